"""Webhooks end to end: which events are written, who gets them, in which order, signed with what; samples,
re-sending, switching off, restarts."""
import base64
import time

import pytest

from harness import Server, instant, wait_until
from harness.hooks import (add_hook, attempts_of, base_path, check_event, deliveries, events, hook_path, resend,
                           small_sync, type_of, wait_attempts, wait_statuses)
from harness.programs import slowness
from harness.receiver import Answer
from harness.setup import connect_to, new_organization, start_sync, synced, wait_sync
from harness.signing import Refused, verify

SECONDS = 20 * slowness()


@pytest.fixture
def api(server):
    return server.api(new_organization(server))


def feed(api, connection, after=0):
    return api.get(f"/v1/connections/{connection}/changes", params={"after": after, "limit": 500})["data"]


def of_type(found, kind):
    return [event for event in found if event["type"] == kind]


# ---- what is told ----


def test_a_first_sync_is_told(api, sim, hooks):
    add_hook(api, hooks, "/all")
    connection = connect_to(api, sim)
    sync = wait_sync(api, connection)
    [completed] = hooks.wait_type("/all", "sync.completed", seconds=SECONDS)
    [changed] = hooks.wait_type("/all", "records.changed", seconds=SECONDS)
    [online] = hooks.wait_type("/all", "connection.online", seconds=SECONDS)
    for event in (completed, changed, online):
        assert event["connection_id"] == connection
        assert instant(event["timestamp"])
    newest = api.get(f"/v1/connections/{connection}/changes", params={"after": 0, "limit": 1})["last_seq"]
    assert (changed["data"]["after_seq"], changed["data"]["to_seq"]) == (0, newest), changed
    assert completed["data"]["sync_id"] == changed["data"]["sync_id"] == sync["id"]
    assert (completed["data"]["trigger"], changed["data"]["sync_status"]) == ("initial", "completed")
    assert sum(each["created"] for each in changed["data"]["entities"]) == newest
    assert {each["entity"]: each["created"] for each in completed["data"]["entities"] if each["created"]} == {
        each["entity"]: each["created"] for each in changed["data"]["entities"]}
    assert changed["data"]["truncated"] is True and len(changed["data"]["changes"]) == 100
    assert (online["data"]["status"], online["data"]["previous_status"]) == ("online", "pending")


def test_changes_of_a_run_are_the_feed_between_two_numbers(api, sim, hooks):
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    add_hook(api, hooks, "/changes", events=["records.changed"])
    before = api.get(f"/v1/connections/{connection}/changes", params={"after": 0, "limit": 1})["last_seq"]
    sim.change("change", "suppliers", 3)
    sim.change("add", "items", 2)
    synced(api, connection)
    [event] = hooks.wait_type("/changes", "records.changed", seconds=SECONDS)
    data = event["data"]
    told = feed(api, connection, data["after_seq"])
    assert data["after_seq"] == before and data["to_seq"] == told[-1]["seq"]
    assert data["truncated"] is False
    assert data["changes"] == [{name: change[name] for name in ("seq", "entity", "op", "record_id")} for change in told]
    counts = {each["entity"]: (each["created"], each["updated"], each["deleted"]) for each in data["entities"]}
    assert counts == {entity: tuple(sum(c["entity"] == entity and c["op"] == op for c in told)
                                    for op in ("created", "updated", "deleted"))
                      for entity in {change["entity"] for change in told}}
    assert {"suppliers", "items"} <= counts.keys()
    # Nothing has changed: the run is told, changes are not.
    synced(api, connection)
    assert len(of_type(events(api), "records.changed")) == 2


def test_a_failed_run_and_the_status_that_follows_are_told(api, sim, hooks):
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    add_hook(api, hooks, "/all")
    sim.control("POST", "/sim/account", json={"password": "another-password"})
    synced(api, connection)
    [failed] = hooks.wait_type("/all", "sync.failed", seconds=SECONDS)
    assert failed["data"]["error"]["code"] == "REAUTHORIZATION_REQUIRED", failed
    [gone] = hooks.wait_type("/all", "connection.authentication_required", seconds=SECONDS)
    assert gone["connection_id"] == connection and gone["data"]["error"]["code"] == "REAUTHORIZATION_REQUIRED"
    sim.control("POST", "/sim/account", json={"password": sim.PASSWORD})
    api.patch(f"/v1/connections/{connection}", json={"credentials": {"username": sim.USER, "password": sim.PASSWORD}})
    hooks.wait_type("/all", "connection.online", seconds=SECONDS)


def test_an_outage_is_told(programs, place, sim, hooks):
    # Its end at once too, not when the time to hold it back is over; and probes soon.
    server = programs(Server(place, hold_down=0, probe_first="1s", probe_max="1s"))
    api = server.api(new_organization(server))
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    add_hook(api, hooks, "/status", events=["connection.offline", "connection.online"])
    sim.control("POST", "/sim/faults", json={"kind": "503"})

    def offline():
        small_sync(api, connection)
        return hooks.of("/status")
    wait_until(offline, "the connection to be offline", 60 * slowness())
    [event] = hooks.wait_type("/status", "connection.offline", seconds=SECONDS)
    assert event["connection_id"] == connection and event["data"]["previous_status"] == "online"
    assert event["data"]["error"], event
    sim.control("DELETE", "/sim/faults")
    [event] = hooks.wait_type("/status", "connection.online", seconds=SECONDS)
    assert event["connection_id"] == connection and event["data"]["previous_status"] == "offline"


def test_what_a_cancelled_run_committed_is_told(programs, place, api, hooks):
    from harness import Simulator
    slow = programs(Simulator(place / "slow", orders=2000, latency="60ms", name="peoplesim-slow"))
    add_hook(api, hooks, "/all")
    connection = connect_to(api, slow)

    def some_records():
        return api.get(f"/v1/connections/{connection}/changes", params={"after": 0, "limit": 1})["last_seq"] > 0
    wait_until(some_records, "the first page", SECONDS)
    sync = api.get(f"/v1/connections/{connection}/syncs", params={"limit": 1})["data"][0]["id"]
    api.post(f"/v1/connections/{connection}/syncs/{sync}/cancel")
    ended = wait_sync(api, connection, sync)
    if ended["status"] != "cancelled":
        pytest.skip("the run was over before it could be cancelled")
    [changed] = hooks.wait_type("/all", "records.changed", seconds=SECONDS)
    newest = api.get(f"/v1/connections/{connection}/changes", params={"after": 0, "limit": 1})["last_seq"]
    assert (changed["data"]["after_seq"], changed["data"]["to_seq"]) == (0, newest)
    assert changed["data"]["sync_status"] == "cancelled"
    assert not of_type(events(api), "sync.completed")


# ---- what is sent ----


def test_the_body_is_the_event_byte_for_byte(api, sim, hooks):
    add_hook(api, hooks, "/all")
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    hooks.wait_type("/all", "sync.completed", seconds=SECONDS)
    types = api.get("/v1/event-types")["data"]
    for delivery in hooks.of("/all"):
        stored = api.call("GET", f"/v1/events/{delivery.id}")
        assert stored.status_code == 200 and stored.content == delivery.body
        assert delivery.event in events(api)
        check_event(types, delivery.event)
        entry = type_of(types, delivery.event["type"])
        assert delivery.headers["penstock-event-version"] == str(entry["version"])
        assert "penstock-sample" not in delivery.headers
        assert abs(int(delivery.headers["webhook-timestamp"]) - delivery.at) < 10 * slowness()


def test_a_sample_of_every_type(api, hooks):
    hook = add_hook(api, hooks, "/samples", events=[])
    types = api.get("/v1/event-types")["data"]
    names = [entry["type"].replace("*", "large_po_approved") for entry in types]
    assert {"sync.completed", "sync.failed", "connection.authentication_required", "connection.online",
            "connection.offline", "system.error", "records.changed", "schema.changed"} <= set(names)
    for name in names:
        made = api.post(hook_path(hook, "test"), json={"type": name}, status=202)
        assert made["sample"] is True and made["type"] == name and made["webhook_id"] == hook["id"]
        [delivery] = hooks.wait("/samples", penstock_delivery=made["id"], seconds=SECONDS)
        assert delivery.headers["penstock-sample"] == "true"
        check_event(types, delivery.event)
        assert delivery.event["type"] == name
        check_event(types, {**type_of(types, name)["sample"], "type": name})
    api.fails("POST", hook_path(hook, "test"), 400, "INVALID_REQUEST", json={"type": "no.such"})
    assert events(api) == [], "samples are not events"


def test_a_sample_is_tried_once_and_waits_for_nobody(api, sim, hooks):
    hook = add_hook(api, hooks, "/all")
    hooks.on("/all", Answer(500, body=b"no"))
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    wait_attempts(api, hook, 1)  # the lane is held
    made = api.post(hook_path(hook, "test"), json={}, status=202)
    assert made["type"] == "sync.completed"

    def ended():
        found = api.get(hook_path(hook, "deliveries", made["id"]))
        return found if found["status"] == "failed" else None
    found = wait_until(ended, "the sample to have failed", SECONDS)
    assert (found["attempts_made"], found["last_status"]) == (1, 500)
    assert found["attempts"][0]["response"] == "no"
    assert found["event"]["type"] == "sync.completed"


def test_headers_of_ones_own(api, hooks):
    headers = {"X-Env": "test", "Authorization": "Bearer of-the-receiver"}
    hook = add_hook(api, hooks, "/headers", headers=headers)
    assert hook["headers"] == {name: "***" for name in headers}
    api.patch(hook_path(hook), json={"headers": {"X-Env": None, "X-More": "1"}})
    api.post(hook_path(hook, "test"), json={}, status=202)
    [delivery] = hooks.wait("/headers", seconds=SECONDS)
    assert delivery.headers["authorization"] == headers["Authorization"]
    assert delivery.headers["x-more"] == "1" and "x-env" not in delivery.headers


# ---- to whom ----


def test_each_endpoint_gets_what_it_chose(api, sim, hooks):
    add_hook(api, hooks, "/all")
    add_hook(api, hooks, "/runs", events=["sync.completed", "sync.failed"])
    add_hook(api, hooks, "/none", events=[])
    off = add_hook(api, hooks, "/off", enabled=False)
    assert off["status"] == "off"
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    hooks.wait_type("/all", "sync.completed", seconds=SECONDS)
    hooks.wait_type("/runs", "sync.completed", seconds=SECONDS)
    assert {d.event["type"] for d in hooks.of("/runs")} == {"sync.completed"}
    assert not hooks.of("/none") and not hooks.of("/off")
    assert {d.event["id"] for d in hooks.of("/all")} == {event["id"] for event in events(api)}


def test_a_choice_per_connection(api, sim, hooks):
    first = connect_to(api, sim, name="First")
    second = connect_to(api, sim, name="Second")
    for connection in (first, second):
        wait_sync(api, connection)
    hook = add_hook(api, hooks, "/wide", events=["sync.completed"])
    mine = base_path(first)
    api.patch(f"{mine}/{hook['id']}", json={"events": ["records.changed"]})
    listed = {entry["id"]: entry for entry in api.get(mine)["data"]}
    assert (listed[hook["id"]]["events"], listed[hook["id"]]["events_chosen"]) == (["records.changed"], True)
    other = api.get(f"{base_path(second)}/{hook['id']}")
    assert (other["events"], other["events_chosen"]) == (["sync.completed"], False)
    sim.change("change", "suppliers", 2)
    for connection in (first, second):
        small_sync(api, connection)
    hooks.wait("/wide", 2, seconds=SECONDS)
    assert {(d.event["connection_id"], d.event["type"]) for d in hooks.of("/wide")} == {
        (first, "records.changed"), (second, "sync.completed")}
    api.fails("PATCH", f"{mine}/{hook['id']}", 400, "INVALID_REQUEST", json={"url": "https://example.com/"})
    api.fails("DELETE", f"{mine}/{hook['id']}", 409, "CONFLICT")
    api.patch(f"{mine}/{hook['id']}", json={"events": None})
    assert api.get(f"{mine}/{hook['id']}")["events_chosen"] is False


def test_an_endpoint_of_one_connection(api, sim, hooks):
    first = connect_to(api, sim, name="First")
    second = connect_to(api, sim, name="Second")
    for connection in (first, second):
        wait_sync(api, connection)
    hook = add_hook(api, hooks, "/bound", connection=first, events=["sync.completed"])
    assert hook["connection_id"] == first
    add_hook(api, hooks, "/wide", events=["sync.completed"])
    assert hook["id"] not in [entry["id"] for entry in api.get(base_path(second))["data"]]
    assert len(api.get(base_path(first))["data"]) == 2
    for connection in (second, first):
        small_sync(api, connection)
    hooks.wait("/wide", 2, seconds=SECONDS)
    hooks.wait("/bound", 1, seconds=SECONDS)
    assert {d.event["connection_id"] for d in hooks.of("/bound")} == {first}
    api.delete(f"{base_path(first)}/{hook['id']}", status=204)
    api.fails("GET", hook_path(hook), 404, "NOT_FOUND")


def test_another_organization_sees_nothing(server, api, sim, hooks):
    hook = add_hook(api, hooks, "/all")
    stranger = server.api(new_organization(server, name="Other"))
    add_hook(stranger, hooks, "/stranger")
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    hooks.wait_type("/all", "sync.completed", seconds=SECONDS)
    some = hooks.of("/all")[0]
    for path in (hook_path(hook), hook_path(hook, "deliveries"), f"/v1/events/{some.id}",
                 hook_path(hook, "deliveries", some.headers["penstock-delivery"])):
        stranger.fails("GET", path, 404, "NOT_FOUND")
    assert events(stranger) == [] and not hooks.of("/stranger")


# ---- order ----


def test_events_of_a_connection_come_in_order(api, sim, hooks):
    add_hook(api, hooks, "/ordered")
    connections = [connect_to(api, sim, name=f"Number {i}") for i in range(3)]
    for connection in connections:
        wait_sync(api, connection)
    for _ in range(3):
        sim.change("change", "suppliers", 1)
        for connection in connections:
            small_sync(api, connection)
    told = list(reversed(events(api)))
    hooks.wait("/ordered", len(told), seconds=SECONDS)
    for connection in connections:
        got = [d for d in hooks.of("/ordered") if d.event["connection_id"] == connection]
        assert [d.id for d in got] == [event["id"] for event in told if event["connection_id"] == connection]
        assert [d.sequence for d in got] == list(range(1, len(got) + 1))
        for earlier, later in zip(got, got[1:]):
            assert earlier.ended_at <= later.at + 0.05, "one at a time"
    assert hooks.most_busy["/ordered"] <= len(connections)


def test_an_unordered_endpoint_waits_for_no_other_event(api, sim, hooks):
    hook = add_hook(api, hooks, "/loose", ordered=False, events=["sync.completed", "records.changed"])
    hooks.on("/loose", Answer(503), Answer(204))
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    small_sync(api, connection)
    hooks.wait("/loose", 3, seconds=SECONDS)
    assert len(wait_statuses(api, hook, "delivered", 2)) == 2
    [held] = wait_statuses(api, hook, "waiting", 1)
    assert held["last_status"] == 503
    assert sorted(d["sequence"] for d in deliveries(api, hook)) == [1, 2, 3]


# ---- signing ----


def test_old_and_new_secret_sign_while_one_is_rotated(api, hooks):
    hook = add_hook(api, hooks, "/rotate")
    old = hook["secret"]
    assert "secret" not in api.get(hook_path(hook))
    new = api.post(hook_path(hook, "rotate-secret"), json={"overlap": "1h"})["secret"]
    hooks.trust("/rotate", old, new)
    api.post(hook_path(hook, "test"), json={}, status=202)
    [both] = hooks.wait("/rotate", seconds=SECONDS)
    assert len(both.headers["webhook-signature"].split()) == 2
    newest = api.post(hook_path(hook, "rotate-secret"), json={"overlap": "0s"})["secret"]
    hooks.trust("/rotate", newest)
    api.post(hook_path(hook, "test"), json={}, status=202)
    last = hooks.wait("/rotate", 2, seconds=SECONDS)[-1]
    # The secret that was replaced at once signs no more; the one before it does until its hour is over.
    with pytest.raises(Refused):
        verify(new, last.headers, last.body, time.time())


def test_a_secret_of_ones_own(api, hooks):
    own = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    hook = add_hook(api, hooks, "/own", secret=own)
    assert hook["secret"] == own
    api.post(hook_path(hook, "test"), json={}, status=202)
    hooks.wait("/own", seconds=SECONDS)
    for bad in ("whsec_c2hvcnQ=", "whsec_%%%", "whsk_AAAA", "", "secret"):
        api.fails("POST", "/v1/webhooks", 400, "INVALID_REQUEST", json={"url": hooks.url("/"), "secret": bad})


def test_ed25519(api, hooks):
    hook = add_hook(api, hooks, "/asymmetric", signing="ed25519")
    assert hook["secret"].startswith("whsk_") and len(hook["public_keys"]) == 1
    api.post(hook_path(hook, "test"), json={}, status=202)
    [delivery] = hooks.wait("/asymmetric", seconds=SECONDS)
    assert delivery.headers["webhook-signature"].startswith("v1a,")
    with pytest.raises(Refused):
        verify(hook["public_keys"][0], delivery.headers, delivery.body + b" ", time.time())
    rotated = api.post(hook_path(hook, "rotate-secret"), json={"overlap": "1h"})
    assert len(rotated["public_keys"]) == 2
    hooks.trust("/asymmetric", *rotated["public_keys"])
    api.post(hook_path(hook, "test"), json={}, status=202)
    hooks.wait("/asymmetric", 2, seconds=SECONDS)


# ---- re-sending ----


def test_a_delivery_is_sent_again_with_the_same_id(api, sim, hooks):
    hook = add_hook(api, hooks, "/again", events=["sync.completed"])
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    delivered = wait_attempts(api, hook, 1, status="delivered")
    assert resend(api, hook, delivered)["id"] == delivered["id"]
    first, second = hooks.wait("/again", 2, seconds=SECONDS)
    assert (first.id, first.body, first.sequence) == (second.id, second.body, second.sequence)
    assert (first.attempt, second.attempt) == (1, 2)
    wait_attempts(api, hook, 2, status="delivered")
    assert [attempt["number"] for attempt in attempts_of(api, hook, delivered)] == [1, 2]


def test_a_range_is_sent_again(api, sim, hooks):
    before = "2020-01-01T00:00:00Z"
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    hook = add_hook(api, hooks, "/range", events=["sync.completed", "records.changed"])
    small_sync(api, connection)
    wait_attempts(api, hook, 1, status="delivered")
    # Failed ones only: there is none.
    assert api.post(hook_path(hook, "resend"), json={"since": before}, status=202)["queued"] == 0
    # All: what was delivered, and what there was before the endpoint.
    wanted = [event for event in reversed(events(api)) if event["type"] in hook["events"]]
    already = len(hooks.of("/range"))
    answer = api.post(hook_path(hook, "resend"), json={"since": before, "status": "all"}, status=202)
    assert answer["queued"] == len(wanted)
    found = hooks.wait("/range", already + len(wanted), seconds=SECONDS)[already:]
    assert [d.id for d in found] == [event["id"] for event in wanted], "in the order of the events"


# ---- on and off, restarts ----


def test_what_is_switched_off_holds_and_goes_on(api, sim, hooks):
    hook = add_hook(api, hooks, "/switch", events=["sync.completed"])
    hooks.on("/switch", Answer(500), Answer(204))
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    wait_attempts(api, hook, 1)
    assert api.patch(hook_path(hook), json={"enabled": False})["status"] == "off"
    [held] = deliveries(api, hook, status="held")
    api.fails("POST", hook_path(hook, "test"), 409, "WEBHOOK_DISABLED")
    small_sync(api, connection)  # not wanted meanwhile: it is off by its owner
    assert len(deliveries(api, hook)) == 1
    resend(api, hook, held)
    assert len(hooks.of("/switch")) == 1
    assert api.patch(hook_path(hook), json={"enabled": True})["status"] == "active"
    hooks.wait("/switch", 2, seconds=SECONDS)
    wait_attempts(api, hook, 2, status="delivered")


def test_a_deleted_endpoint_gets_nothing_more(api, sim, hooks):
    hook = add_hook(api, hooks, "/deleted")
    hooks.on("/deleted", Answer(503))
    add_hook(api, hooks, "/other", events=["sync.completed"])
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    wait_attempts(api, hook, 1)
    api.delete(hook_path(hook), status=204)
    small_sync(api, connection)
    hooks.wait("/other", 2, seconds=SECONDS)
    assert len(hooks.of("/deleted")) == 1


def test_a_restart_goes_on_where_it_was(server, api, sim, hooks):
    hook = add_hook(api, hooks, "/restart", events=["sync.completed"])
    hooks.on("/restart", Answer(500), Answer(204))
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    before = wait_attempts(api, hook, 1)
    server.stop()
    server.start()
    api = server.api(api.token)
    after = wait_attempts(api, hook, 1)
    assert {k: v for k, v in after.items()} == {k: v for k, v in before.items()}
    assert api.get(hook_path(hook))["failing_since"] is not None
    resend(api, hook, after)
    hooks.wait("/restart", 2, seconds=SECONDS)
    server.stop()
    server.start()
    api = server.api(api.token)
    small_sync(api, connection)
    found = hooks.wait("/restart", 3, seconds=SECONDS)
    assert [d.sequence for d in found] == [1, 1, 2]


def test_an_answer_that_nobody_read_is_asked_for_again(server, api, sim, hooks):
    """The server dies while a receiver thinks: the same event comes again after the start."""
    add_hook(api, hooks, "/late", events=["sync.completed"])
    hooks.on("/late", Answer(204, after=60), Answer(204))
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    hooks.wait("/late", seconds=SECONDS)
    server.kill()
    server.start()
    first, second = hooks.wait("/late", 2, seconds=SECONDS)
    assert (first.id, first.body) == (second.id, second.body)


def test_a_slow_receiver_does_not_hold_up_a_stop(server, api, sim, hooks):
    add_hook(api, hooks, "/hang", events=["sync.completed"])
    hooks.on("/hang", Answer(how="hang"))
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    hooks.wait("/hang", seconds=SECONDS)
    server.stop(expect=0)  # within its time


# ---- the list of events ----


def test_events_are_listed_and_followed(api, sim, hooks):
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    found = wait_until(lambda: of_type(events(api), "sync.completed") and events(api), "the events", SECONDS)
    assert [e["timestamp"] for e in found] == sorted((e["timestamp"] for e in found), reverse=True)
    assert [e for e in found if e["type"] == "sync.completed"] == events(api, types="sync.completed")
    assert events(api, connection_id=connection) == found
    assert events(api, since=found[0]["timestamp"])[-1]["timestamp"] >= found[0]["timestamp"]
    # Oldest first behind an event, page by page.
    one_by_one, after = [found[-1]], found[-1]["id"]
    while len(one_by_one) < len(found):
        page = api.get("/v1/events", params={"after": after, "limit": 1})
        one_by_one += page["data"]
        after = page["next_after"]
    assert one_by_one == list(reversed(found))
    page = api.get("/v1/events", params={"after": "newest"})
    assert page["data"] == []


def test_a_follower_waits_for_the_next_event(api, sim):
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    wait_until(lambda: of_type(events(api), "sync.completed"), "the events", SECONDS)
    after = api.get("/v1/events", params={"after": "newest"})["next_after"]
    start_sync(api, connection, entities=["suppliers"])
    page = api.get("/v1/events", params={"after": after, "wait": 30})
    assert page["data"] and page["data"][0]["type"] in ("sync.completed", "records.changed")
