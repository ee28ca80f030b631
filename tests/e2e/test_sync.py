"""Syncs of the real programs: scheduled, by hand, incremental, full, cancelled, interrupted and
resumed; deletes, rejected rows, every fault of the simulator, time zones, connections side by side."""
import pathlib
import sys
import time
from datetime import datetime

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import reference  # noqa: E402  (after the path is set)
from harness import Server, Simulator, instant, wait_until  # noqa: E402
from harness.programs import slowness  # noqa: E402
from harness.setup import connect_to, new_organization, source_rows, start_sync, synced, wait_sync  # noqa: E402

ENTITIES = sorted(reference.KEYS)
ORDERS = "PST_PURCHASE_ORDERS"


def path_of(connection, entity):
    return f"/v1/connections/{connection}/{entity.replace('_', '-')}"


def records(api, connection, entity, **params):
    return list(api.pages(path_of(connection, entity), limit=500, **params))


def assert_equal(api, sim, connection, entities=ENTITIES, without=()):
    """The store shows what the simulator has; `without`: source ids that were rejected."""
    for entity in entities:
        have = {r["source_id"]: reference.shown(r) for r in records(api, connection, entity)}
        want = reference.expected(entity, source_rows(sim, reference.QUERIES[entity]), connection, sim.zone)
        for source_id in without:
            want.pop(source_id, None)
        assert reference.differences(have, want) == [], entity


def changes(api, connection, after=0):
    """The whole change feed behind `after`, held to what it promises."""
    feed = []
    while True:
        page = api.get(f"/v1/connections/{connection}/changes", params={"after": after, "limit": 500})
        if not page["data"]:
            break
        feed += page["data"]
        after = page["data"][-1]["seq"]
    assert [c["seq"] for c in feed] == list(range(feed[0]["seq"], feed[0]["seq"] + len(feed))) if feed else True
    return feed


def assert_told_once(feed):
    """A record is created before all else, and again only after it was deleted."""
    last = {}
    for change in feed:
        before = last.get(change["record_id"])
        assert (change["op"] == "created") == (before in (None, "deleted")), change
        last[change["record_id"]] = change["op"]


def entity_of(sync, entity):
    return next(e for e in sync["entities"] if e["entity"] == entity)


def counts_of(sync, entity):
    return entity_of(sync, entity)["counts"]


def a_minute_later(sim):
    sim.control("POST", "/sim/clock", json={"advance": "1m"})


def fault(sim, kind, **more):
    sim.control("POST", "/sim/faults", json={"kind": kind, **more})


def calls(sim):
    return sim.control("GET", "/sim/stats")["calls"]


def status_of(api, connection):
    return api.get(f"/v1/connections/{connection}")["status"]


@pytest.fixture
def connected(server, sim):
    """(api, connection id) after the first full sync; nothing runs by itself afterwards."""
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="manual")
    sync = wait_sync(api, connection)
    assert sync["status"] == "completed", sync
    assert sync["trigger"] == "initial" and sync["mode"] == "full"
    return api, connection


# ---- incremental, full, deletes ----

@pytest.mark.threads
def test_an_incremental_sync_brings_what_changed(connected, sim):
    api, connection = connected
    for entity in ENTITIES:
        sim.change("change", entity, 3)
        sim.change("add", entity, 2)
    a_minute_later(sim)
    sync = synced(api, connection)
    assert sync["status"] == "completed", sync
    for entity in ENTITIES:
        counts = counts_of(sync, entity)
        assert (counts["created"], counts["updated"], counts["deleted"]) == (2, 3, 0), (entity, counts)
        assert entity_of(sync, entity)["window"]["to"] is not None
    assert_equal(api, sim, connection)
    assert_told_once(changes(api, connection))


def test_every_call_of_a_sync_is_counted(connected, sim):
    """As many as the request log has, those that belong to no entity (the clock, the columns) included."""
    api, connection = connected
    first = api.get(f"/v1/connections/{connection}/syncs")["data"][0]
    a_minute_later(sim)
    before = calls(sim)
    runs = [first, synced(api, connection), synced(api, connection, "full")]
    for sync in runs:
        logged = api.get(f"/v1/requests/{sync['request_id']}")["calls"]
        of_entities = sum(e["counts"]["upstream_calls"] for e in sync["entities"])
        assert sync["counts"]["upstream_calls"] == len(logged) > of_entities, sync
    assert sum(sync["counts"]["upstream_calls"] for sync in runs[1:]) == calls(sim) - before


def test_lines_that_change_without_the_header_are_found_by_a_full_sync(connected, sim):
    api, connection = connected
    sim.change("change", "purchase_orders", 4, level="record", stamp=False)
    a_minute_later(sim)
    assert counts_of(synced(api, connection), "purchase_orders")["updated"] == 0
    counts = counts_of(synced(api, connection, "full"), "purchase_orders")
    assert 1 <= counts["updated"] <= 4
    assert_equal(api, sim, connection)


def test_only_a_full_sync_finds_deletes(connected, sim):
    api, connection = connected
    gone = {}
    for entity in ENTITIES:
        total = len(records(api, connection, entity))
        gone[entity] = {"|".join(map(str, key)) for key in sim.change("delete", entity, max(1, total // 10))["keys"]}
    a_minute_later(sim)
    sync = synced(api, connection)
    assert all(counts_of(sync, e)["deleted"] == 0 for e in ENTITIES)
    sync = synced(api, connection, "full")
    assert sync["status"] == "completed", sync
    assert_equal(api, sim, connection)
    for entity in ENTITIES:
        assert counts_of(sync, entity)["deleted"] == len(gone[entity])
        marked = records(api, connection, entity, deleted="only")
        assert len(marked) == len(gone[entity]) and all(r["deleted_at"] for r in marked)
    again = synced(api, connection, "full")
    assert all(counts_of(again, e)["deleted"] == 0 for e in ENTITIES)
    assert_told_once(changes(api, connection))


def test_the_guard_keeps_a_stream_that_misses_too_much(connected, sim):
    api, connection = connected
    total = len(records(api, connection, "work_orders"))
    sim.change("delete", "work_orders", total // 5 + 1)
    sim.change("delete", "items", 1)
    sync = synced(api, connection, "full")
    assert sync["status"] == "failed"
    assert entity_of(sync, "work_orders")["error"]["code"] == "DELETE_GUARD"
    assert entity_of(sync, "items")["status"] == "completed" and counts_of(sync, "items")["deleted"] == 1
    assert len(records(api, connection, "work_orders")) == total


def test_a_full_sync_of_unchanged_data_writes_nothing(connected):
    api, connection = connected
    newest = api.get(f"/v1/connections/{connection}")["last_seq"]
    sync = synced(api, connection, "full")
    for entity in ENTITIES:
        counts = counts_of(sync, entity)
        assert counts["unchanged"] == counts["read"] > 0, (entity, counts)
        assert counts["created"] == counts["updated"] == counts["deleted"] == 0
    assert api.get(f"/v1/connections/{connection}")["last_seq"] == newest


def test_chosen_entities_are_the_only_ones_read(connected, sim):
    api, connection = connected
    for entity in ENTITIES:
        sim.change("change", entity, 1)
    a_minute_later(sim)
    sync = synced(api, connection, "incremental", ["items"])
    assert [e["entity"] for e in sync["entities"]] == ["items"]
    assert_equal(api, sim, connection, ["items"])
    synced(api, connection)
    assert_equal(api, sim, connection)


# ---- rows that cannot be used ----

@pytest.mark.parametrize("kind, entity", [("bad_stamp", "work_orders"), ("bad_number", "purchase_orders"),
                                          ("bad_utf8", "work_orders")])
def test_a_bad_row_is_kept_aside_and_stops_nothing(server, sim, kind, entity):
    api = server.api(new_organization(server))
    column = {"column": "C.QTY_PO"} if kind == "bad_number" else {}
    fault(sim, kind, query=reference.QUERIES[entity], service="ExecuteQuery", row=2, count=1, **column)
    connection = connect_to(api, sim, schedule="manual")
    sync = wait_sync(api, connection)
    assert sync["status"] == "completed", sync
    counts = counts_of(sync, entity)
    assert counts["rejected"] == 1, counts
    assert counts["created"] == counts["read"] - 1
    mended = synced(api, connection, "full")
    assert counts_of(mended, entity)["rejected"] == 0
    assert_equal(api, sim, connection)


# ---- columns ----

def test_a_column_that_rows_leave_out_is_blank_and_one_that_is_gone_is_named(server, sim):
    api = server.api(new_organization(server))
    fault(sim, "blanks_left_out")
    connection = connect_to(api, sim, schedule="manual")
    assert wait_sync(api, connection)["status"] == "completed"
    assert_equal(api, sim, connection)
    seq = changes(api, connection)[-1]["seq"]
    for _ in range(3):  # small pages, in which no row may have a value for a column
        for entity in ENTITIES:
            sim.change("change", entity, 1)
        a_minute_later(sim)
        sync = synced(api, connection)
        assert sync["status"] == "completed", sync
        assert_equal(api, sim, connection)
    moved = {c["record_id"] for c in changes(api, connection, seq)}
    assert len(moved) <= 3 * len(ENTITIES)
    fault(sim, "missing_column", query="PST_ITEMS", column="A.DESCR60")
    sim.change("change", "items", 1)
    a_minute_later(sim)
    sync = synced(api, connection)
    assert sync["status"] == "failed", sync
    assert "no longer has" in str(entity_of(sync, "items")["error"]), sync
    assert "A.DESCR60" in str(entity_of(sync, "items")["error"]), sync


# ---- faults ----

FAULTS = [
    # kind, how often (0: always), the run's error, status of the connection
    ("503", 1, None, "online"),
    ("503", 2, None, "online"),
    ("503", 0, "SYSTEM_ERROR", "online"),
    ("reset", 1, None, "online"),
    ("reset", 0, "SYSTEM_ERROR", "online"),
    ("truncate", 1, None, "online"),
    ("truncate", 0, "SYSTEM_ERROR", "online"),
    ("sign_on", 1, None, "online"),
    ("sign_on", 0, "SYSTEM_ERROR", "online"),
    ("500", 1, "SYSTEM_ERROR", "online"),
    ("500_text", 1, "SYSTEM_ERROR", "online"),
    ("403", 1, "SYSTEM_ERROR", "online"),
    ("404", 1, "SYSTEM_ERROR", "online"),
    ("garbage", 1, "SYSTEM_ERROR", "online"),
    ("401", 1, "REAUTHORIZATION_REQUIRED", "authentication_required"),
    ("ib_158_45", 1, "REAUTHORIZATION_REQUIRED", "authentication_required"),
]


@pytest.mark.parametrize("kind, count, code, status", FAULTS, ids=[f"{f[0]}-{f[1] or 'always'}" for f in FAULTS])
def test_each_fault_is_met_in_its_own_way(connected, sim, kind, count, code, status):
    api, connection = connected
    for entity in ENTITIES:
        sim.change("change", entity, 2)
    a_minute_later(sim)
    fault(sim, kind, query="PST_ITEMS", service="ExecuteQuery", **({"count": count} if count else {}))
    sync = synced(api, connection)
    if code is None:
        assert sync["status"] == "completed", sync
    else:
        assert sync["status"] == "failed", sync
        assert entity_of(sync, "items")["error"]["code"] == code, sync
        assert counts_of(sync, "items")["updated"] == 0
    wait_until(lambda: status_of(api, connection) == status, f"the status {status}", 10)
    sim.control("DELETE", "/sim/faults")
    after = synced(api, connection) if status != "authentication_required" else refused(api, sim, connection)
    assert after["status"] == "completed", after
    assert_equal(api, sim, connection)
    wait_until(lambda: status_of(api, connection) == "online", "the status online", 10)
    assert_told_once(changes(api, connection))


ONE_QUERY = [
    # kind of a fault that one query always meets, and what the error says of it
    ("503", "HTTP 503"),
    ("truncate", "reading the answer"),
    ("reset", "reading the answer"),
    ("sign_on", "a web page instead of data"),
]


@pytest.mark.parametrize("kind, words", ONE_QUERY, ids=[kind for kind, _ in ONE_QUERY])
def test_a_query_that_always_fails_starves_no_other(connected, sim, kind, words):
    """The system answers a probe, so it is that entity's own trouble: those behind it advance, and there is no outage."""
    api, connection = connected
    begun = {e["entity"]: e["last_success_at"] for e in api.get(f"/v1/connections/{connection}/sync-status")["entities"]}
    for entity in ENTITIES:
        sim.change("change", entity, 2)
    a_minute_later(sim)
    fault(sim, kind, query=ORDERS, service="ExecuteQuery")
    for _ in range(2):
        sync = synced(api, connection)
        assert sync["status"] == "failed", sync
        found = {e["entity"]: e["status"] for e in sync["entities"]}
        assert found == {e: "failed" if e == "purchase_orders" else "completed" for e in ENTITIES}, sync
        error = entity_of(sync, "purchase_orders")["error"]
        assert error["code"] == "SYSTEM_ERROR", error
        for part in (f"query '{ORDERS}': ", words, "; other requests the system answers"):
            assert part in error["message"], error
    now = {e["entity"]: e["last_success_at"] for e in api.get(f"/v1/connections/{connection}/sync-status")["entities"]}
    assert {e for e in ENTITIES if now[e] > begun[e]} == set(ENTITIES) - {"purchase_orders"}
    history = api.get(f"/v1/connections/{connection}/history")["data"]
    assert [h["status"] for h in history if h["status"] == "offline"] == [], history
    assert status_of(api, connection) == "online"
    sim.control("DELETE", "/sim/faults")
    assert synced(api, connection)["status"] == "completed"
    assert_equal(api, sim, connection)


@pytest.mark.parametrize("kind", ["503", "truncate"])
def test_a_query_that_fails_with_all_the_rest_ends_the_run(connected, sim, kind):
    """The probe is not answered either: the run ends as a whole, and the connection is offline."""
    api, connection = connected
    fault(sim, kind, query=ORDERS, service="ExecuteQuery")
    fault(sim, kind, service="ListQuery")
    sync = synced(api, connection)
    failed = {e["entity"]: e["error"]["code"] for e in sync["entities"] if e["status"] == "failed"}
    assert failed == {e: "SYSTEM_UNREACHABLE" for e in ("purchase_orders", "work_orders")}, sync
    wait_until(lambda: status_of(api, connection) == "offline", "the status offline", 10)
    sim.control("DELETE", "/sim/faults")
    assert synced(api, connection)["status"] == "completed"
    assert_equal(api, sim, connection)


def refused(api, sim, connection):
    """After refused credentials nothing is tried until they change; the sync that then catches up."""
    before = calls(sim)
    answer = api.call("POST", f"/v1/connections/{connection}/syncs", json={"mode": "incremental"})
    if answer.status_code == 202:
        assert wait_sync(api, connection, answer.json()["id"])["status"] == "failed"
    else:
        assert answer.json()["code"] == "REAUTHORIZATION_REQUIRED"
    assert calls(sim) == before, "refused credentials were tried again"
    api.patch(f"/v1/connections/{connection}",
              {"credentials": {"username": sim.USER, "password": sim.PASSWORD}})
    return wait_sync(api, connection)


def test_an_entitys_own_failure_leaves_the_others_their_result(connected, sim):
    api, connection = connected
    for entity in ENTITIES:
        sim.change("change", entity, 2)
    a_minute_later(sim)
    fault(sim, "403", query="PST_SUPPLIERS", service="ExecuteQuery")
    sync = synced(api, connection)
    assert sync["status"] == "failed"
    assert entity_of(sync, "suppliers")["status"] == "failed"
    for entity in ("items", "purchase_orders", "work_orders"):
        assert entity_of(sync, entity)["status"] == "completed", entity
    assert_equal(api, sim, connection, ["items", "purchase_orders", "work_orders"])


def test_a_silent_row_cap_loses_nothing(server, sim):
    api = server.api(new_organization(server))
    fault(sim, "row_cap", rows=17)
    connection = connect_to(api, sim, schedule="manual", entities=["items", "suppliers"])
    assert wait_sync(api, connection)["status"] == "completed"
    assert_equal(api, sim, connection, ["items", "suppliers"])


def test_a_system_that_falls_silent_is_given_up(server, sim):
    api = server.api(new_organization(server))
    fault(sim, "slow", ms=60000, query="PST_ITEMS", service="ExecuteQuery")
    connection = connect_to(api, sim, schedule="manual",
                            config={"base_url": sim.url, "time_zone": sim.zone, "timeout": "1s"})
    sync = wait_sync(api, connection, seconds=40)
    assert sync["status"] == "failed"
    # The system answers probes: it is that query's own trouble, and it is not asked three times.
    assert entity_of(sync, "items")["error"]["code"] == "SYSTEM_ERROR"
    assert counts_of(sync, "items")["upstream_calls"] == 1
    sim.control("DELETE", "/sim/faults")
    assert synced(api, connection)["status"] == "completed"
    assert_equal(api, sim, connection)


def test_a_call_ends_when_call_timeout_is_over(programs, place, sim):
    server = programs(Server(place, call_timeout=f"{5 * slowness()}s"))
    api = server.api(new_organization(server))
    # The answer begins at once; that it then stops would be noticed by its speed after a minute.
    fault(sim, "stall", query="PST_ITEMS", service="ExecuteQuery")
    connection = connect_to(api, sim, schedule="manual", entities=["items"])
    sync = wait_sync(api, connection, seconds=40)
    assert sync["status"] == "failed"
    assert entity_of(sync, "items")["error"]["code"] == "SYSTEM_ERROR", sync
    sim.control("DELETE", "/sim/faults")
    assert synced(api, connection)["status"] == "completed"


# ---- cancelling, stopping, killing ----

@pytest.fixture
def slow(programs, place, sim):
    """A server with small pages and a simulator that takes its time: a sync lasts seconds."""
    sim.control("POST", "/sim/latency", json={"ms": 30, "jitter_ms": 0})
    return programs(Server(place, page_rows=40))


def running(api, connection, sync):
    """The sync, once it has committed a few pages."""
    def look():
        found = api.get(f"/v1/connections/{connection}/syncs/{sync}")
        assert found["status"] in ("queued", "running"), found
        return found if sum(e["counts"]["pages"] for e in found["entities"]) >= 5 else None
    return wait_until(look, "the sync to be under way", 20 * slowness())


def first_sync(api, connection):
    return api.get(f"/v1/connections/{connection}/syncs", params={"limit": 1})["data"][0]["id"]


@pytest.mark.threads
def test_a_cancelled_sync_ends_at_once_and_keeps_its_pages(slow, sim):
    api = slow.api(new_organization(slow))
    connection = connect_to(api, sim, schedule="manual", entities=["purchase_orders"])
    sync = first_sync(api, connection)
    running(api, connection, sync)
    sim.control("POST", "/sim/latency", json={"ms": 20000, "jitter_ms": 0})
    time.sleep(0.2)
    began = time.monotonic()
    api.post(f"/v1/connections/{connection}/syncs/{sync}/cancel")
    ended = wait_sync(api, connection, sync)
    assert ended["status"] == "cancelled", ended
    assert time.monotonic() - began < 5 * slowness(), "the call in flight was waited for"
    kept = len(records(api, connection, "purchase_orders"))
    assert kept == counts_of(ended, "purchase_orders")["created"] > 0
    sim.control("POST", "/sim/latency", json={"ms": 0, "jitter_ms": 0})
    assert synced(api, connection, "full")["status"] == "completed"
    assert_equal(api, sim, connection, ["purchase_orders"])
    assert_told_once(changes(api, connection))


def test_a_sync_in_progress_refuses_another_of_its_streams(slow, sim):
    api = slow.api(new_organization(slow))
    connection = connect_to(api, sim, schedule="manual", entities=["purchase_orders", "items"])
    sync = first_sync(api, connection)
    running(api, connection, sync)
    problem = api.fails("POST", f"/v1/connections/{connection}/syncs", 409, "SYNC_IN_PROGRESS",
                        json={"mode": "full", "entities": ["purchase_orders"]})
    assert sync in str(problem)
    assert wait_sync(api, connection, sync)["status"] == "completed"


@pytest.mark.threads
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_interrupted_sync_goes_on_at_its_last_page(slow, sim, how):
    api = slow.api(new_organization(slow))
    connection = connect_to(api, sim, schedule="manual")
    sync = first_sync(api, connection)
    running(api, connection, sync)
    getattr(slow, how)()
    sim.change("change", "purchase_orders", 5)
    slow.start()
    api = slow.api(api.token)
    ended = wait_sync(api, connection, sync, seconds=60)
    assert ended["status"] == "completed", ended
    for entity in ENTITIES:
        counts = counts_of(ended, entity)
        assert counts["created"] + counts["updated"] + counts["unchanged"] == counts["read"], (entity, counts)
        assert counts["created"] == len(records(api, connection, entity)), "a page was read twice"
    a_minute_later(sim)
    assert synced(api, connection)["status"] == "completed"
    assert_equal(api, sim, connection)
    assert_told_once(changes(api, connection))


def test_a_killed_full_sync_deletes_nothing_before_its_end(slow, sim):
    api = slow.api(new_organization(slow))
    connection = connect_to(api, sim, schedule="manual", entities=["purchase_orders"])
    assert wait_sync(api, connection, seconds=60)["status"] == "completed"
    total = len(records(api, connection, "purchase_orders"))
    sim.change("delete", "purchase_orders", total // 10)
    sync = start_sync(api, connection, "full")
    running(api, connection, sync)
    slow.kill()
    slow.start()
    api = slow.api(api.token)
    assert wait_sync(api, connection, sync, seconds=60)["status"] == "completed"
    assert_equal(api, sim, connection, ["purchase_orders"])
    assert len(records(api, connection, "purchase_orders", deleted="only")) == total // 10


# ---- schedules ----

def test_a_schedule_brings_changes_without_being_asked(server, sim):
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="1s")
    wait_sync(api, connection)
    sim.change("change", "purchase_orders", 3)
    a_minute_later(sim)

    def brought():
        assert_equal(api, sim, connection, ["purchase_orders"])
        return True
    wait_until(brought, "the changes to arrive", 15 * slowness(), every=0.3)
    runs = api.get(f"/v1/connections/{connection}/syncs", params={"limit": 50})["data"]
    assert {r["trigger"] for r in runs} == {"initial", "scheduled"}
    assert sum(r["trigger"] == "initial" for r in runs) == 1
    spans = sorted((instant(r["started_at"]), instant(r["ended_at"])) for r in runs if r["ended_at"])
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:])), "runs overlapped"
    status = api.get(f"/v1/connections/{connection}/sync-status")
    assert status["next_run_at"] is not None
    api.patch(f"/v1/connections/{connection}", {"schedule": "manual"})
    wait_until(lambda: api.get(f"/v1/connections/{connection}/sync-status")["next_run_at"] is None,
               "the schedule to be off", 5)
    time.sleep(1.5)
    count = len(api.get(f"/v1/connections/{connection}/syncs", params={"limit": 100})["data"])
    time.sleep(2.5)
    assert len(api.get(f"/v1/connections/{connection}/syncs", params={"limit": 100})["data"]) == count


@pytest.mark.parametrize("schedule", ["30 6 * * 1-5 Europe/Berlin", {"cron": "@daily", "time_zone": "Asia/Tokyo"},
                                      {"interval": "7d"}, "15m"])
def test_a_schedule_is_shown_in_one_form_with_its_next_run(connected, schedule):
    api, connection = connected
    shown = api.patch(f"/v1/connections/{connection}", {"schedule": schedule})["schedule"]
    assert isinstance(shown, dict) and set(shown) <= {"interval", "cron", "time_zone"}
    again = api.patch(f"/v1/connections/{connection}", {"schedule": shown})["schedule"]
    assert again == shown
    assert api.get(f"/v1/connections/{connection}/sync-status")["next_run_at"] is not None


def test_a_switched_off_connection_does_not_sync_until_it_is_on_again(server, sim):
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="1s")
    wait_sync(api, connection)
    api.patch(f"/v1/connections/{connection}", {"enabled": False})
    assert status_of(api, connection) == "inactive"
    time.sleep(1.5 * slowness())
    sim.control("DELETE", "/sim/stats")
    time.sleep(2.5)
    assert calls(sim) == 0
    sim.change("change", "items", 2)
    a_minute_later(sim)
    api.patch(f"/v1/connections/{connection}", {"enabled": True})

    def caught_up():
        assert_equal(api, sim, connection, ["items"])
        return True
    wait_until(caught_up, "the missed changes", 15 * slowness(), every=0.3)


# ---- time zones ----

@pytest.mark.parametrize("zone, before", [
    ("America/New_York", "2026-11-01T05:20:00Z"),  # 01:20, an hour that comes twice
    ("America/New_York", "2027-03-14T06:40:00Z"),  # 01:40, before an hour that does not come
    ("Europe/Berlin", "2026-10-25T00:20:00Z"),
    ("Australia/Lord_Howe", "2027-04-03T14:30:00Z"),  # half an hour comes twice
    ("Asia/Kathmandu", "2026-11-24T12:10:00Z"),  # +05:45
])
def test_changes_around_a_clock_change_are_not_missed(programs, place, server, zone, before):
    sim = programs(Simulator(place / "zoned", orders=40, zone=zone, name="peoplesim-zoned"))
    sim.control("POST", "/sim/clock", json={"now": before})
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="manual")
    assert wait_sync(api, connection)["status"] == "completed"
    for step in range(20):  # 140 minutes; until the clock is past where it went back from
        for entity in ENTITIES:
            sim.change("change", entity, 2)
        sim.control("POST", "/sim/clock", json={"advance": "7m"})
        if step % 3 == 2:
            sync = synced(api, connection)
            assert sync["status"] == "completed", sync
    synced(api, connection)
    assert_equal(api, sim, connection)
    assert_told_once(changes(api, connection))


# ---- side by side ----

@pytest.mark.threads
def test_two_connections_side_by_side_keep_apart(programs, place, server, sim):
    other = programs(Simulator(place / "other", orders=150, seed=2, name="peoplesim-other"))
    key = new_organization(server)
    api = server.api(key)
    first = connect_to(api, sim, schedule="1s")
    second = connect_to(api, other, schedule="1s")
    wait_sync(api, first)
    wait_sync(api, second)
    for _ in range(5):
        for source in (sim, other):
            source.change("change", "purchase_orders", 3)
            source.change("add", "work_orders", 1)
            a_minute_later(source)
        time.sleep(0.5)
    for connection in (first, second):
        api.patch(f"/v1/connections/{connection}", {"schedule": "manual"})
    for connection, source in ((first, sim), (second, other)):
        wait_until(lambda c=connection: not api.get(f"/v1/connections/{c}/sync-status")["syncing"], "quiet", 20)
        assert synced(api, connection)["status"] == "completed"
        assert_equal(api, source, connection)
        assert_told_once(changes(api, connection))


def test_one_systems_outage_does_not_hold_up_another(programs, place, server, sim):
    other = programs(Simulator(place / "other", orders=50, seed=2, name="peoplesim-other"))
    api = server.api(new_organization(server))
    first = connect_to(api, sim, schedule="manual")
    second = connect_to(api, other, schedule="manual")
    wait_sync(api, first)
    wait_sync(api, second)
    fault(sim, "503")
    slow_one = start_sync(api, first)
    began = time.monotonic()
    assert synced(api, second)["status"] == "completed"
    assert time.monotonic() - began < 3 * slowness()
    assert wait_sync(api, first, slow_one)["status"] == "failed"
    assert status_of(api, second) == "online"
