"""Webhooks when receivers fail: retries, waiting, giving up, the breaker, 410, answers that would hurt, a dead and
a slow endpoint beside a healthy one."""
import time

import pytest

from harness import instant, wait_until
from harness.hooks import (add_hook, attempts_of, deliveries, events, hook_path, resend, small_sync, wait_attempts,
                           wait_statuses)
from harness.nginx import free_ports
from harness.programs import slowness
from harness.receiver import Answer
from harness.setup import connect_to, new_organization, wait_sync

SECONDS = 20 * slowness()
KINDS = ["sync.completed"]


@pytest.fixture
def api(server):
    return server.api(new_organization(server))


@pytest.fixture
def connection(api, sim):
    """A connection that is online, before there is any endpoint."""
    made = connect_to(api, sim)
    wait_sync(api, made)
    return made


def waits(delivery, attempt):
    """Seconds from the end of an attempt to the next one."""
    ended = instant(attempt["at"]).timestamp() + attempt["duration_ms"] / 1000
    return instant(delivery["next_attempt_at"]).timestamp() - ended


def failed_once(api, hooks, connection, answer, **more):
    """An endpoint whose first delivery has failed once; returns it, the delivery, and the attempt."""
    hook = add_hook(api, hooks, "/fails", events=KINDS, **more)
    hooks.on("/fails", answer, Answer(204))
    small_sync(api, connection)
    delivery = wait_attempts(api, hook, 1, seconds=40)
    return hook, delivery, attempts_of(api, hook, delivery)[0]


# ---- what counts as a failure, and when it is tried again ----


@pytest.mark.parametrize("status", [100, 301, 302, 304, 307, 400, 401, 404, 408, 418, 425, 500, 503, 599])
def test_anything_but_a_2xx_is_tried_again_after_half_a_minute(api, hooks, connection, status):
    headers = {"Location": hooks.url("/elsewhere")} if status < 400 else {}
    answer = Answer(status, headers=headers, body=b"what is wrong" if status >= 400 else b"")
    hook, delivery, attempt = failed_once(api, hooks, connection, answer, timeout="2s")
    assert delivery["status"] == "waiting"
    if status == 100:  # only said that it may go on: no answer
        assert attempt["status"] is None and attempt["error"]
        return
    assert (delivery["last_status"], attempt["status"]) == (status, status)
    assert attempt["error"] and delivery["last_error"]
    assert attempt["response"] == ("what is wrong" if status >= 400 else "")
    assert 23.9 <= waits(delivery, attempt) <= 36.1
    assert not hooks.of("/elsewhere"), "redirects are not followed"
    shown = api.get(hook_path(hook))
    assert shown["status"] == "failing" and shown["failures"] == 1 and shown["last_error"]
    assert shown["waiting"] == 1 and shown["waiting_is_capped"] is False


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_any_2xx_is_a_success(api, hooks, connection, status):
    hook = add_hook(api, hooks, "/good", events=KINDS)
    hooks.on("/good", Answer(status))
    small_sync(api, connection)
    delivery = wait_attempts(api, hook, 1, status="delivered")
    assert (delivery["last_status"], delivery["last_error"], delivery["next_attempt_at"]) == (status, None, None)
    assert delivery["ended_at"]
    assert api.get(hook_path(hook))["status"] == "active"


@pytest.mark.parametrize("status, header, least, most", [
    (503, "100", 100, 101),
    (503, "5", 23.9, 36.1),  # not sooner than without it
    (503, "1000000", 7199, 7201),
    (503, "soon", 23.9, 36.1),
    (503, "-5", 23.9, 36.1),
    (429, "", 60, 61),
    (429, "90", 90, 91),
])
def test_retry_after_is_honoured(api, hooks, connection, status, header, least, most):
    answer = Answer(status, headers={"Retry-After": header} if header else {})
    _, delivery, attempt = failed_once(api, hooks, connection, answer)
    assert least - 0.5 <= waits(delivery, attempt) <= most + 0.5


def test_retry_after_may_be_a_date(api, hooks, connection):
    when = time.gmtime(time.time() + 300)
    header = time.strftime("%a, %d %b %Y %H:%M:%S GMT", when)
    _, delivery, attempt = failed_once(api, hooks, connection, Answer(503, headers={"Retry-After": header}))
    assert 280 <= waits(delivery, attempt) <= 302


@pytest.mark.parametrize("answer", [
    Answer(how="close"), Answer(how="reset"),
    Answer(how="raw", body=b"garbage\r\n\r\n"),
    Answer(how="raw", body=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut off"),
    Answer(how="raw", body=b"HTTP/9.9 200 OK\r\n\r\n"),
    Answer(how="raw", body=b"HTTP/1.1 100 Continue\r\n\r\n" * 20000),
], ids=["close", "reset", "garbage", "cut", "version", "continue"])
def test_no_answer_is_a_failure(api, hooks, connection, answer):
    hook, delivery, attempt = failed_once(api, hooks, connection, answer, timeout="3s")
    assert delivery["status"] == "waiting"
    assert attempt["error"] and delivery["last_error"]
    assert waits(delivery, attempt) >= 23.9
    resend(api, hook, delivery)
    wait_attempts(api, hook, 2, status="delivered")


def test_a_timeout_waits_at_least_a_minute(api, hooks, connection):
    hook, delivery, attempt = failed_once(api, hooks, connection, Answer(how="hang"), timeout="1s")
    assert attempt["status"] is None and ("1 s" in attempt["error"] or "time" in attempt["error"]), attempt
    assert 1000 <= attempt["duration_ms"]
    assert waits(delivery, attempt) >= 59.9
    resend(api, hook, delivery)
    wait_attempts(api, hook, 2, status="delivered")
    [late, _] = hooks.wait("/fails", 2)
    assert late.ended_at - late.at >= 0.9


def test_a_late_answer_counts_while_there_is_time(api, hooks, connection):
    hook = add_hook(api, hooks, "/late", events=KINDS, timeout="30s")
    hooks.on("/late", Answer(204, after=1.5))
    small_sync(api, connection)
    delivery = wait_attempts(api, hook, 1, status="delivered")
    assert attempts_of(api, hook, delivery)[0]["duration_ms"] >= 1500


def test_by_itself_it_comes_again_and_the_lane_waits_for_it(api, hooks, connection, sim):
    """The one test that waits for the first retry; meanwhile the others of the lane wait, too."""
    lane = add_hook(api, hooks, "/lane")
    hooks.on("/lane", Answer(503), Answer(204))
    other = connect_to(api, sim, name="Other")  # its first event is the one that fails
    wait_sync(api, other)
    small_sync(api, connection)
    small_sync(api, connection)
    wait_until(lambda: len(deliveries(api, lane)) >= 5, "what is told", SECONDS)
    failed = hooks.of("/lane")[0].event["connection_id"]
    told = [event for event in reversed(events(api)) if event["connection_id"] == failed]
    if failed == connection:
        told = told[-2:]  # what came before the endpoint is not sent to it
    wait_until(lambda: len({d.id for d in hooks.of("/lane")}) == len(deliveries(api, lane)), "the retry",
               60 * slowness(), every=0.2)
    got = [d for d in hooks.of("/lane") if d.event["connection_id"] == failed]
    assert got[0].id == got[1].id and (got[0].attempt, got[1].attempt) == (1, 2)
    assert got[1].at - got[0].ended_at >= 23.5
    assert [d.id for d in got[1:]] == [event["id"] for event in told]


# ---- an endpoint that goes ----


def test_410_disables_at_once(api, hooks, connection):
    add_hook(api, hooks, "/watch", events=["system.error"])
    hook, delivery, _ = failed_once(api, hooks, connection, Answer(410))
    [told] = hooks.wait_type("/watch", "system.error", seconds=SECONDS)
    assert (told["data"]["webhook_id"], told["data"]["code"]) == (hook["id"], "WEBHOOK_DISABLED"), told
    shown = api.get(hook_path(hook))
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "gone") and shown["disabled_at"]
    small_sync(api, connection)  # is held
    held = wait_statuses(api, hook, "held", 2)
    assert delivery["id"] in [d["id"] for d in held]
    api.fails("POST", hook_path(hook, "test"), 409, "WEBHOOK_DISABLED")
    resend(api, hook, delivery)
    assert len(hooks.of("/fails")) == 1, "nothing comes after a 410"
    assert api.patch(hook_path(hook), json={"enabled": True})["status"] == "active"
    found = hooks.wait("/fails", 3, seconds=SECONDS)
    assert [d.sequence for d in found] == [1, 1, 2]
    assert len(hooks.of("/watch")) == 1, "it is told once"


def test_a_failing_endpoint_is_not_flooded(api, hooks, connection):
    """After ten failures in a row the endpoint as a whole waits, however many events there are for it."""
    hook = add_hook(api, hooks, "/dead", ordered=False)
    hooks.on("/dead", Answer(500))
    for _ in range(12):
        small_sync(api, connection)
    api.post(hook_path(hook, "resend"), json={"since": "2020-01-01T00:00:00Z", "status": "all"}, status=202)

    def paused():
        found = api.get(hook_path(hook))
        return found if found["status"] == "paused" else None
    shown = wait_until(paused, "the breaker", SECONDS)
    assert shown["failures"] >= 10
    probe = instant(shown["next_attempt_at"]).timestamp()
    assert probe > time.time() + 10
    seen = len(hooks.of("/dead"))
    assert seen <= 10 + 8, "those in flight, and no more"
    small_sync(api, connection)
    add_hook(api, hooks, "/alive", events=KINDS)
    small_sync(api, connection)
    hooks.wait("/alive", seconds=SECONDS)
    assert len(hooks.of("/dead")) == seen
    # Off and on closes the breaker: all of it comes at once.
    hooks.on("/dead", Answer(204))
    api.patch(hook_path(hook), json={"enabled": False})
    api.patch(hook_path(hook), json={"enabled": True})
    assert api.get(hook_path(hook))["failures"] == 0


# ---- what a receiver may say ----


@pytest.mark.parametrize("how, status", [("huge", 200), ("huge", 500), ("endless_headers", 200), ("drip", 200)])
def test_an_answer_without_end_ends(server, api, hooks, connection, how, status):
    before = server.memory()
    hook, delivery, attempt = failed_once(api, hooks, connection, Answer(status, how=how), timeout="2s")
    [bad] = hooks.of("/fails")
    wait_until(lambda: bad.ended_at, "the connection to end", SECONDS)
    assert bad.sent < 20 << 20, "what the sockets hold, and little more"
    assert len((attempt["response"] or "").encode()) <= 4096
    assert server.memory() - before < (32 << 20) * slowness()
    if delivery["status"] == "waiting":
        resend(api, hook, delivery)
        wait_attempts(api, hook, 2, status="delivered")
    assert api.get(hook_path(hook))["status"] == "active"


def test_the_first_4_kib_of_an_answer_are_kept(api, hooks, connection):
    hook, delivery, attempt = failed_once(api, hooks, connection, Answer(400, body=b"a" * 5000 + b"\xff\x00end"))
    assert attempt["response"] == "a" * 4096
    hooks.on("/fails", Answer(400, body=b"\xff\xfe\x00 caf\xc3\xa9"))
    resend(api, hook, delivery)
    wait_attempts(api, hook, 2)
    assert "caf\u00e9" in attempts_of(api, hook, delivery)[1]["response"]


# ---- side by side ----


def test_dead_and_slow_endpoints_delay_nobody(api, hooks, connection):
    [closed] = free_ports(1)
    dead = api.post("/v1/webhooks", json={"url": f"http://127.0.0.1:{closed}/"}, status=201)
    add_hook(api, hooks, "/slow", timeout="30s")
    hooks.on("/slow", Answer(how="hang"))
    add_hook(api, hooks, "/good", events=KINDS)
    for _ in range(5):
        small_sync(api, connection)
    found = hooks.wait("/good", 5, seconds=SECONDS)
    [slow] = hooks.of("/slow")
    assert found[-1].at > slow.at and not slow.ended_at, "all of it while the slow one thinks"
    delivery = wait_attempts(api, dead, 1)
    assert (delivery["status"], delivery["last_status"]) == ("waiting", None)
    assert "cannot be reached" in delivery["last_error"]


def test_a_rate_limit(api, hooks, connection):
    hook = add_hook(api, hooks, "/rate", rate_limit=5, ordered=False)
    for _ in range(8):
        small_sync(api, connection)
    api.post(hook_path(hook, "resend"), json={"since": "2020-01-01T00:00:00Z", "status": "all"}, status=202)
    wait_statuses(api, hook, "delivered", 10, seconds=30)
    times = sorted(d.at for d in hooks.of("/rate"))
    for first, after in zip(times, times[11:]):  # a second's worth may be saved up
        assert after - first > 0.7, [round(t - times[0], 2) for t in times]
    api.patch(hook_path(hook), json={"rate_limit": None})
    assert api.get(hook_path(hook))["rate_limit"] is None


def test_connections_are_kept(api, hooks, connection):
    hook = add_hook(api, hooks, "/kept")
    for _ in range(6):
        small_sync(api, connection)
    wait_statuses(api, hook, "delivered", 6)
    used = {d.connection for d in hooks.of("/kept")}
    assert len(used) <= 2, f"{len(hooks.of('/kept'))} deliveries over {len(used)} connections"
