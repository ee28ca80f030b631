"""What changes in the source, in the copy and in the feed: updates, additions, deletes, rejections."""
import contextlib
import pathlib
import sqlite3
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import reference  # noqa: E402  (after the path is set)
from harness import Server, Simulator, instant, slowness, wait_until  # noqa: E402
from harness.setup import (connect_to, new_organization, source_rows, start_sync, synced,  # noqa: E402
                           wait_sync)

ENTITIES = sorted(reference.KEYS)


def listed(api, connection, entity, **params):
    return list(api.pages(f"/v1/connections/{connection}/{entity.replace('_', '-')}", limit=100, **params))


def feed(api, connection, after=0, **params):
    """Every change behind `after`, with the numbers checked where nothing is filtered out."""
    changes = []
    while True:
        page = api.get(f"/v1/connections/{connection}/changes", params={"after": after, "limit": 100, **params})
        changes += page["data"]
        if not page["data"] and page["next_after"] == after:
            break
        after = page["next_after"]
    if not params and changes:
        first = changes[0]["seq"]
        assert [c["seq"] for c in changes] == list(range(first, first + len(changes)))
    return changes


def assert_equals_source(api, connection, sim, entities=ENTITIES, zone=None):
    for entity in entities:
        have = {r["source_id"]: reference.shown(r) for r in listed(api, connection, entity)}
        want = reference.expected(entity, source_rows(sim, reference.QUERIES[entity]), connection, zone or sim.zone)
        assert reference.differences(have, want) == [], entity


def counts(sync, entity):
    return next(e["counts"] for e in sync["entities"] if e["entity"] == entity)


@pytest.fixture
def ready(server, sim):
    """(api, connection) after the first full sync, on a manual schedule."""
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="manual")
    assert wait_sync(api, connection)["status"] == "completed"
    return api, connection


def test_an_incremental_sync_brings_what_changed_and_nothing_else(ready, sim):
    api, connection = ready
    before = api.get(f"/v1/connections/{connection}")["last_seq"]
    changed = {reference.part(k[0]) + "|" + reference.part(k[1])
               for k in sim.change("change", "purchase_orders", 7)["keys"]}
    added = sim.change("add", "purchase_orders", 3)["done"]
    sync = synced(api, connection)
    assert sync["status"] == "completed", sync
    c = counts(sync, "purchase_orders")
    assert (c["updated"], c["created"], c["deleted"], c["rejected"]) == (len(changed), added, 0, 0), c
    assert_equals_source(api, connection, sim)
    new = feed(api, connection, before)
    assert len(new) == len(changed) + added
    ids = {r["id"]: r for r in listed(api, connection, "purchase_orders")}
    for change in new:
        assert change["entity"] == "purchase_orders" and change["sync_id"] == sync["id"]
        record = ids[change["record_id"]]
        assert record["seq"] == change["seq"] and record["synced_at"] == change["at"]
        if change["op"] == "updated":
            assert record["source_id"] in changed and change["fields"]
        else:
            assert change["op"] == "created" and change["fields"] is None


def test_an_unchanged_source_writes_nothing(ready, server):
    api, connection = ready
    before = api.get(f"/v1/connections/{connection}")["last_seq"]
    records = {e: listed(api, connection, e) for e in ENTITIES}
    for mode in ("incremental", "full"):
        sync = synced(api, connection, mode)
        assert sync["status"] == "completed", sync
        total = sync["counts"]
        assert total["created"] == total["updated"] == total["deleted"] == 0 and total["read"] == total["unchanged"]
    assert api.get(f"/v1/connections/{connection}")["last_seq"] == before
    assert {e: listed(api, connection, e) for e in ENTITIES} == records


def test_the_feed_replays_to_the_same_state_as_the_lists(ready, sim):
    api, connection = ready
    for step in range(4):
        for entity in ENTITIES:
            sim.change("change", entity, 3)
            sim.change("add", entity, 2)
            sim.change("delete", entity, 1)
        assert synced(api, connection, "full" if step % 2 else "incremental")["status"] == "completed"
    assert synced(api, connection, "full")["status"] == "completed"
    alive = {}
    for change in feed(api, connection):
        key = (change["entity"], change["record_id"])
        if change["op"] == "created":
            assert key not in alive
            alive[key] = change["seq"]
        elif change["op"] == "updated":
            assert key in alive
            alive[key] = change["seq"]
        else:
            del alive[key]
    shown = {(e, r["id"]): r["seq"] for e in ENTITIES for r in listed(api, connection, e)}
    assert alive == shown
    assert_equals_source(api, connection, sim)


def test_the_feed_can_be_narrowed_to_entities(ready):
    api, connection = ready
    everything = feed(api, connection)
    some = feed(api, connection, entities="suppliers,items")
    assert some == [c for c in everything if c["entity"] in ("suppliers", "items")]
    api.fails("GET", f"/v1/connections/{connection}/changes", 400, "INVALID_REQUEST", params={"entities": "suppliers,x"})
    api.fails("GET", f"/v1/connections/{connection}/changes", 400, "INVALID_REQUEST", params={"limit": 1001})


def test_a_waiting_reader_is_woken_by_a_change(ready, sim):
    api, connection = ready
    last = api.get(f"/v1/connections/{connection}")["last_seq"]
    answers = []

    def wait():
        begin = time.monotonic()
        page = api.get(f"/v1/connections/{connection}/changes", params={"after": last, "wait": 20})
        answers.append((page, time.monotonic() - begin))

    reader = threading.Thread(target=wait)
    reader.start()
    time.sleep(0.5)
    assert not answers
    sim.change("change", "suppliers", 1)
    assert synced(api.with_token(api.token), connection)["status"] == "completed"
    reader.join(25)
    page, seconds = answers[0]
    assert [c["op"] for c in page["data"]] == ["updated"] and seconds < 15
    empty = api.get(f"/v1/connections/{connection}/changes", params={"after": last + 1, "wait": 1})
    assert empty["data"] == []


def test_a_waiting_reader_is_not_held_behind_changes_of_other_entities(ready, server):
    """A page passes over 10,000 changes that are filtered out: then there is more to look at, not to wait for."""
    api, connection = ready
    last = api.get(f"/v1/connections/{connection}")["last_seq"]
    server.stop()
    with contextlib.closing(sqlite3.connect(server.data / "penstock.db")) as db, db:
        db.execute("INSERT INTO change SELECT c.pk, c.last_seq + value, s.pk, 1, zeroblob(16), 0, NULL, '[]'"
                   " FROM connection c JOIN stream s ON s.connection_pk = c.pk AND s.entity = 'items',"
                   " (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 10001)"
                   " SELECT value FROM n)")
        db.execute("UPDATE connection SET last_seq = last_seq + 10001")
    server.start()
    api = server.api(api.token)
    path = f"/v1/connections/{connection}/changes"

    def look(after):
        begun = time.monotonic()
        page = api.get(path, params={"after": after, "entities": "suppliers", "wait": 5})
        assert page["data"] == []
        return page["next_after"] - last, time.monotonic() - begun

    passed, seconds = look(last)
    assert passed == 10000 and seconds < 4 * slowness()
    passed, seconds = look(last + 1)
    assert passed == 10001 and seconds >= 5


def test_only_a_full_sync_finds_what_was_deleted(ready, sim):
    api, connection = ready
    gone = sim.change("delete", "purchase_orders", 4)["done"]
    assert counts(synced(api, connection), "purchase_orders")["deleted"] == 0
    sync = synced(api, connection, "full")
    assert sync["status"] == "completed" and counts(sync, "purchase_orders")["deleted"] == gone
    assert_equals_source(api, connection, sim)
    dead = listed(api, connection, "purchase_orders", deleted="only")
    assert len(dead) == gone and all(r["deleted_at"] for r in dead)
    everything = listed(api, connection, "purchase_orders", deleted="include")
    assert len(everything) == gone + len(listed(api, connection, "purchase_orders"))
    one = api.get(f"/v1/connections/{connection}/purchase-orders/{dead[0]['id']}")
    assert one["deleted_at"] == dead[0]["deleted_at"]
    assert [c["op"] for c in feed(api, connection, one["seq"] - 1) if c["record_id"] == one["id"]] == ["deleted"]


def test_what_comes_back_lives_again_under_its_old_id(ready, sim):
    api, connection = ready
    key = sim.change("delete", "suppliers", 1)["keys"][0]
    synced(api, connection, "full")
    dead = listed(api, connection, "suppliers", deleted="only")[0]
    sim.control("POST", "/sim/change", json={"action": "restore", "entity": "suppliers", "key": key})
    assert synced(api, connection, "full")["status"] == "completed"
    again = api.get(f"/v1/connections/{connection}/suppliers/{dead['id']}")
    assert again["deleted_at"] is None and again["seq"] > dead["seq"]
    assert_equals_source(api, connection, sim, ["suppliers"])


def test_too_many_missing_records_are_not_deleted(ready, sim):
    api, connection = ready
    total = len(listed(api, connection, "work_orders"))
    sim.change("delete", "work_orders", total * 3 // 10)
    sync = synced(api, connection, "full")
    assert sync["status"] == "failed", sync
    entity = next(e for e in sync["entities"] if e["entity"] == "work_orders")
    assert entity["error"]["code"] == "DELETE_GUARD", entity
    assert all(e["status"] == "completed" for e in sync["entities"] if e["entity"] != "work_orders")
    assert len(listed(api, connection, "work_orders")) == total


def test_a_change_without_a_stamp_is_found_by_a_full_sync(ready, sim):
    api, connection = ready
    sim.change("change", "purchase_orders", 3, level="record", stamp=False)
    assert synced(api, connection)["counts"]["updated"] == 0
    assert counts(synced(api, connection, "full"), "purchase_orders")["updated"] >= 1
    assert_equals_source(api, connection, sim)


def test_what_was_entered_ahead_of_time_is_read_when_it_comes_into_force(server, programs, place):
    """Neither a supplier nor an item gets a new stamp on the day of its new address or attributes."""
    sim = programs(Simulator(place / "dated", orders=1200))
    sim.control("POST", "/sim/clock", json={"freeze": True})
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="manual")
    assert wait_sync(api, connection)["status"] == "completed"
    moved = {"suppliers": 0, "items": 0}
    for _ in range(5):
        sim.control("POST", "/sim/clock", json={"advance": f"{9 * 24 * 60}m"})
        sync = synced(api, connection)
        assert sync["status"] == "completed", sync
        for entity in moved:
            moved[entity] += counts(sync, entity)["updated"]
        assert_equals_source(api, connection, sim, list(moved))
    assert all(moved.values()), moved


@pytest.mark.parametrize("fault", ["bad_number", "bad_utf8", "bad_stamp"])
def test_a_row_that_cannot_be_mapped_is_kept_aside(ready, sim, fault):
    api, connection = ready
    before = listed(api, connection, "purchase_orders")
    made = sim.control("POST", "/sim/faults", json={"kind": fault, "query": "PST_PURCHASE_ORDERS", "row": 1})
    sync = synced(api, connection, "full")
    assert sync["status"] == "completed", sync
    assert counts(sync, "purchase_orders")["rejected"] >= 1
    assert listed(api, connection, "purchase_orders") == before
    kept = api.get(f"/v1/connections/{connection}/rejected")["data"]
    assert kept and all(r["entity"] == "purchase_orders" and r["reason"] for r in kept), kept
    sim.control("DELETE", f"/sim/faults/{made['id']}")
    assert counts(synced(api, connection, "full"), "purchase_orders")["rejected"] == 0
    assert api.get(f"/v1/connections/{connection}/rejected")["data"] == []


def test_custom_fields_come_with_the_next_read_of_a_row(ready, sim):
    api, connection = ready
    mapping = {"purchase_orders": {"custom_fields": {"project": "A.CUSTOM_C100_A1"}}}
    api.patch(f"/v1/connections/{connection}", json={"mapping": mapping})
    assert counts(synced(api, connection, "full", ["purchase_orders"]), "purchase_orders")["updated"] > 0
    rows = {reference.source_id(r, reference.KEYS["purchase_orders"]): r["A.CUSTOM_C100_A1"]
            for r in source_rows(sim, "PST_PURCHASE_ORDERS")}
    for record in listed(api, connection, "purchase_orders"):
        assert record["custom_fields"] == {"project": rows[record["source_id"]].strip() and rows[record["source_id"]] or None}
    problem = api.fails("PATCH", f"/v1/connections/{connection}", 400, "INVALID_REQUEST",
                        json={"mapping": {"purchase_orders": {"fields": {"nope": "A.X"}}}})
    assert "nope" in problem["detail"]


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_times_are_right_in_any_zone(server, programs, place, zone):
    sim = programs(Simulator(place / "sim", orders=120, zone=zone))
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="manual")
    assert wait_sync(api, connection)["status"] == "completed"
    assert_equals_source(api, connection, sim, zone=zone)
    stamps = {reference.source_id(r, reference.KEYS["items"]): r["A.LAST_DTTM_UPDATE"] for r in source_rows(sim, "PST_ITEMS")}
    for item in listed(api, connection, "items"):
        assert item["updated_at"] == reference.stamp_text(reference.moment(stamps[item["source_id"]], zone))
    sim.change("change", "items", 2)
    assert counts(synced(api, connection), "items")["updated"] == 2


def test_times_of_a_clock_change(ready, sim):
    """The hour that comes twice is read as its first pass, the hour that is missing is moved on."""
    api, connection = ready
    api.patch(f"/v1/connections/{connection}", json={"config": {"base_url": sim.url, "time_zone": "Europe/Berlin"}})
    key = sim.change("change", "work_orders", 1)["keys"][0]
    for local, utc in (("2026-10-25-02.30.00.000000", "2026-10-25T00:30:00Z"),
                       ("2026-03-29-02.30.00.000000", "2026-03-29T01:30:00Z")):
        sim.control("POST", "/sim/change", json={"action": "change", "entity": "work_orders", "key": key[:2],
                                                  "set": {"A.SCHED_START_DTTM": local}})
        assert synced(api, connection, "full", ["work_orders"])["status"] == "completed"
        record = api.get(f"/v1/connections/{connection}/work-orders/source_id:{key[0]}%7C{key[1]}")
        assert record["scheduled_start_at"] == utc


def test_two_connections_side_by_side_do_not_mix(server, programs, place):
    api = server.api(new_organization(server))
    sims = [programs(Simulator(place / f"sim{i}", orders=150, seed=i + 1)) for i in range(2)]
    connections = [connect_to(api, sim, name=f"c{i}", schedule="manual") for i, sim in enumerate(sims)]
    for connection in connections:
        assert wait_sync(api, connection)["status"] == "completed"
    for sim in sims:
        sim.change("change", "purchase_orders", 5)
    started = [api.post(f"/v1/connections/{c}/syncs", json={"mode": "incremental"}, status=202)["id"] for c in connections]
    for sim, connection, sync in zip(sims, connections, started):
        assert counts(wait_sync(api, connection, sync), "purchase_orders")["updated"] == 5
        assert_equals_source(api, connection, sim)
    ids = [{r["id"] for r in listed(api, c, "purchase_orders")} for c in connections]
    assert not ids[0] & ids[1]


def test_switching_off_ends_a_run_and_switching_on_again_starts_one(ready, sim):
    api, connection = ready
    path = f"/v1/connections/{connection}"
    sim.control("POST", "/sim/latency", json={"ms": 5000})
    running = api.post(f"{path}/syncs", json={"mode": "full"}, status=202)["id"]
    wait_until(lambda: api.get(f"{path}/syncs/{running}")["status"] == "running", "the run to begin")
    assert api.patch(path, json={"name": "ERP 2"})["syncing"] is True
    begun = time.monotonic()
    assert api.patch(path, json={"enabled": False})["status"] == "inactive"
    sim.control("POST", "/sim/latency", json={})
    assert api.patch(path, json={"enabled": True})["status"] == "pending"
    assert wait_sync(api, connection, running)["status"] == "cancelled"
    assert time.monotonic() - begun < 4 * slowness(), "the call in flight was not broken off"
    wait_until(lambda: api.get(path)["status"] == "online", "the connection to be tried again")
    assert wait_sync(api, connection)["status"] == "completed"


def test_credentials_that_change_under_a_refused_run_are_tried(server, sim):
    api = server.api(new_organization(server))
    sim.control("POST", "/sim/latency", json={"ms": 1500})
    connection = connect_to(api, sim, schedule="manual", credentials={"username": sim.USER, "password": "wrong-one"})
    path = f"/v1/connections/{connection}"
    wait_until(lambda: api.get(f"{path}/syncs")["data"][0]["status"] == "running", "the run to begin")
    time.sleep(0.3)
    api.patch(path, json={"credentials": {"password": sim.PASSWORD}})
    sim.control("POST", "/sim/latency", json={})
    wait_until(lambda: api.get(path)["initial_sync_done"], "the new credentials to be tried")
    assert "authentication_required" not in [h["status"] for h in api.get(f"{path}/history")["data"]]


def test_new_credentials_of_a_connection_never_reached_are_tried_at_once(server, sim):
    api = server.api(new_organization(server))
    sim.control("POST", "/sim/latency", json={"ms": 5000})
    connection = connect_to(api, sim, schedule="manual")
    path = f"/v1/connections/{connection}"
    first = api.get(f"{path}/syncs")["data"][0]["id"]
    api.post(f"{path}/syncs/{first}/cancel")
    assert wait_sync(api, connection, first)["status"] == "cancelled"
    assert api.get(path)["status"] == "pending"
    sim.control("POST", "/sim/latency", json={})
    assert api.patch(path, json={"credentials": {"password": sim.PASSWORD}})["syncing"] is True
    wait_until(lambda: api.get(path)["status"] == "online", "the new credentials to be tried")
    assert wait_sync(api, connection)["status"] == "completed"


def test_a_late_refusal_of_a_test_says_nothing_of_new_credentials(server, sim):
    """A test and a first run are under way with the old ones when they are replaced."""
    api = server.api(new_organization(server))
    sim.control("POST", "/sim/latency", json={"ms": 2500})
    connection = connect_to(api, sim, schedule="manual", credentials={"username": sim.USER, "password": "wrong-one"})
    path = f"/v1/connections/{connection}"
    answers = []
    tester = threading.Thread(target=lambda: answers.append(api.with_token(api.token).call("POST", f"{path}/test")))
    tester.start()
    time.sleep(0.5)
    api.patch(path, json={"credentials": {"password": sim.PASSWORD}})
    tester.join(60)
    assert answers[0].status_code == 409 or not answers[0].json()["ok"], answers[0].text
    sim.control("POST", "/sim/latency", json={})
    wait_until(lambda: api.get(path)["initial_sync_done"], "the new credentials to be tried")
    assert "authentication_required" not in [h["status"] for h in api.get(f"{path}/history")["data"]]


def test_a_schedule_goes_on_after_its_queued_run_was_switched_off(programs, place, sim):
    """The only worker is busy with another connection, so the scheduled run is still waiting."""
    server = programs(Server(place, sync_workers=1))
    api = server.api(new_organization(server))
    ticking = connect_to(api, sim, schedule="1s")
    assert wait_sync(api, ticking)["status"] == "completed"
    other = connect_to(api, sim, schedule="manual")
    assert wait_sync(api, other)["status"] == "completed"
    sim.control("POST", "/sim/latency", json={"ms": 3000})
    api.post(f"/v1/connections/{other}/syncs", json={"mode": "full"}, status=202)
    path = f"/v1/connections/{ticking}"
    wait_until(lambda: api.get(f"{path}/syncs")["data"][0]["status"] == "queued", "a run to wait for the worker")
    api.patch(path, json={"enabled": False})
    assert api.get(f"{path}/syncs")["data"][0]["status"] == "cancelled"
    sim.control("POST", "/sim/latency", json={})
    assert wait_sync(api, other)["status"] == "completed"
    on = api.patch(path, json={"enabled": True})["updated_at"]
    wait_until(lambda: len([s for s in api.get(f"{path}/syncs")["data"]
                            if s["status"] == "completed" and instant(s["requested_at"]) > instant(on)]) > 2,
               "the schedule to go on")


def test_another_address_needs_the_credentials_again(ready, server, programs, place, sim):
    """Stored credentials never go to an address they were not given for, and what was read from
    the old one does not count as read from the new one."""
    api, connection = ready
    other = programs(Simulator(place / "other", orders=120, seed=99))
    problem = api.fails("PATCH", f"/v1/connections/{connection}", 400, "INVALID_REQUEST",
                        json={"config": {"base_url": other.url}})
    assert "credentials" in problem["detail"]
    assert api.get(f"/v1/connections/{connection}")["config"]["base_url"] == sim.url
    assert other.control("GET", "/sim/stats")["calls"] == 0
    for part in ({"username": sim.USER}, {"password": "x" * 8}):  # what is missing is not taken from the old ones
        api.fails("PATCH", f"/v1/connections/{connection}", 400, "INVALID_REQUEST",
                  json={"config": {"base_url": other.url}, "credentials": part})
    # Only the path differs: the same place.
    api.patch(f"/v1/connections/{connection}", json={"config": {"base_url": sim.url + "/"}})
    answer = api.patch(f"/v1/connections/{connection}", json={
        "config": {"base_url": other.url}, "credentials": {"username": sim.USER, "password": sim.PASSWORD}})
    assert "everything again" in answer["notice"]
    sync = wait_sync(api, connection, start_sync(api, connection, busy_is_fine=True))
    assert sync["counts"]["read"] >= sum(other.count(reference.QUERIES[e]) > 0 for e in ENTITIES)
    have = {r["source_id"] for r in listed(api, connection, "purchase_orders")}
    rows = source_rows(other, "PST_PURCHASE_ORDERS")
    assert {reference.source_id(r, reference.KEYS["purchase_orders"]) for r in rows} == have


@pytest.mark.parametrize("change", [{"history_days": 0}, {"config": {"time_zone": "Asia/Kolkata"}},
                                    {"config": {"business_units": ["AU001"]}}])
def test_settings_that_choose_rows_make_the_next_sync_read_everything(server, sim, change):
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="manual", history_days=30)
    assert wait_sync(api, connection)["status"] == "completed"
    assert synced(api, connection)["counts"]["read"] < 50
    assert "everything again" in api.patch(f"/v1/connections/{connection}", json=change)["notice"]
    sync = synced(api, connection)
    assert counts(sync, "suppliers")["read"] == sim.count("PST_SUPPLIERS"), sync
    assert "notice" not in api.patch(f"/v1/connections/{connection}", json={"config": {"page_size": 1000}})


def test_rows_that_are_no_longer_chosen_are_deleted_however_many(ready, sim):
    """The delete guard is for what goes missing, not for what the user no longer wants."""
    api, connection = ready
    path = f"/v1/connections/{connection}"
    units = sorted({r["business_unit"] for r in listed(api, connection, "purchase_orders")})
    assert len(units) > 2
    answer = api.patch(path, json={"config": {"business_units": units[:1]}})
    assert "deletes" in answer["notice"]
    assert synced(api, connection)["status"] == "completed"
    assert {r["business_unit"] for r in listed(api, connection, "purchase_orders")} == set(units[:1])
    assert {r["business_unit"] for r in listed(api, connection, "work_orders")} == set(units[:1])
    assert counts(synced(api, connection), "purchase_orders")["read"] < 50  # and windows are small again
    sim.change("delete", "work_orders", len(source_rows(sim, "PST_WORK_ORDERS")))
    sync = synced(api, connection, "full")
    assert next(e for e in sync["entities"] if e["entity"] == "work_orders")["error"]["code"] == "DELETE_GUARD"
    assert listed(api, connection, "work_orders")


def served(api, connection):
    """Everything that the lists show, deleted records included."""
    return {(entity, r["id"]): r for entity in ENTITIES for r in listed(api, connection, entity, deleted="include")}


def assert_what_moved_is_in_the_feed(api, connection, before, seq):
    """Whatever is served otherwise than before has a new number, and a change of that number names it."""
    after = served(api, connection)
    named = {(c["entity"], c["record_id"]): c for c in feed(api, connection, seq)}
    moved = {key for key in after if after[key] != before.get(key)}
    assert moved == named.keys()
    for key in moved:
        change = named[key]
        assert after[key]["seq"] == change["seq"] and after[key]["synced_at"] == change["at"]
        if change["op"] == "updated":
            different = {f for f in after[key] if after[key][f] != before[key][f]} - {"seq", "synced_at"}
            assert different - {"updated_at"} <= set(change["fields"]) <= different, (change, different)
    return moved


def test_nothing_that_is_served_changes_without_a_number_in_the_feed(ready, sim):
    api, connection = ready
    before, seq = served(api, connection), api.get(f"/v1/connections/{connection}")["last_seq"]

    # Touched: a new stamp on the same content is no change.
    key = sim.change("change", "work_orders", 1)["keys"][0][:2]
    assert synced(api, connection)["status"] == "completed"
    assert len(assert_what_moved_is_in_the_feed(api, connection, before, seq)) == 1
    before, seq = served(api, connection), api.get(f"/v1/connections/{connection}")["last_seq"]
    rows = [r for r in source_rows(sim, "PST_WORK_ORDERS") if r["A.WO_ID"] == key[1] and r["A.BUSINESS_UNIT"] == key[0]]
    sim.control("POST", "/sim/change", json={"action": "change", "entity": "work_orders", "key": key,
                                             "set": {"A.DESCR": rows[0]["A.DESCR"]}})
    assert [r["A.LAST_DTTM_UPDATE"] for r in source_rows(sim, "PST_WORK_ORDERS")
            if r["A.WO_ID"] == key[1] and r["A.BUSINESS_UNIT"] == key[0]][0] != rows[0]["A.LAST_DTTM_UPDATE"]
    sync = synced(api, connection)
    assert counts(sync, "work_orders")["updated"] == 0, sync
    assert assert_what_moved_is_in_the_feed(api, connection, before, seq) == set()

    # Another time zone: every time that is read from the source moves, those beside the fields, too.
    answer = api.patch(f"/v1/connections/{connection}", json={"config": {"time_zone": "Asia/Kolkata"}})
    assert "everything again" in answer["notice"]
    assert synced(api, connection)["status"] == "completed"
    assert assert_what_moved_is_in_the_feed(api, connection, before, seq) == before.keys()
    stamps = {(e, reference.source_id(r, reference.KEYS[e])): r[reference.STAMPS[e]]
              for e in ENTITIES for r in source_rows(sim, reference.QUERIES[e])}
    for entity in ENTITIES:
        for record in listed(api, connection, entity):
            moment = reference.moment(stamps[entity, record["source_id"]], "Asia/Kolkata")
            assert record["updated_at"] == reference.stamp_text(moment), record
    assert_equals_source(api, connection, sim, zone="Asia/Kolkata")

    # Another mapping: what it changes is an update, what it leaves as it was is none.
    before, seq = served(api, connection), api.get(f"/v1/connections/{connection}")["last_seq"]
    api.patch(f"/v1/connections/{connection}", json={"mapping": {"items": {"fields": {"name": "A.INV_ITEM_ID"}}}})
    assert synced(api, connection, "full")["status"] == "completed"
    moved = assert_what_moved_is_in_the_feed(api, connection, before, seq)
    assert moved and {entity for entity, _ in moved} == {"items"}


def test_of_a_large_rejected_document_the_first_rows_are_kept(ready, sim):
    api, connection = ready
    key = sim.control("POST", "/sim/change", json={"action": "add", "entity": "purchase_orders", "count": 1,
                                                   "lines": 400, "schedules": 3})["keys"][0][:2]
    made = sim.control("POST", "/sim/faults", json={"kind": "bad_number", "query": "PST_PURCHASE_ORDERS", "row": 600})
    assert counts(synced(api, connection, "incremental"), "purchase_orders")["rejected"] == 1
    row = api.get(f"/v1/connections/{connection}/rejected")["data"][0]
    assert (row["source_id"], row["truncated"]) == ("|".join(key), True)
    assert 50 < len(row["source"]) < 600 and all(r["A.PO_ID"] == key[1] for r in row["source"])
    sim.control("DELETE", f"/sim/faults/{made['id']}")
    sim.control("POST", "/sim/change", json={"action": "delete", "entity": "purchase_orders", "key": key})
    assert synced(api, connection, "full")["status"] == "completed"
    assert_equals_source(api, connection, sim)


def test_a_document_that_is_too_large_is_rejected_and_those_behind_it_come(ready, sim):
    api, connection = ready
    key = sim.control("POST", "/sim/change", json={"action": "add", "entity": "purchase_orders", "count": 1, "between": True,
                                                   "lines": 4000, "schedules": 3})["keys"][0][:2]
    sim.change("change", "purchase_orders", 30)
    for mode in ("incremental", "full", "incremental"):
        sync = synced(api, connection, mode)
        assert sync["status"] == "completed", sync
        assert counts(sync, "purchase_orders")["rejected"] == 1, sync
    found = api.get(f"/v1/connections/{connection}/rejected")["data"]
    assert [(r["source_id"], r["reason"]) for r in found] == [("|".join(key), "it has more than 10000 rows")]
    api.fails("GET", f"/v1/connections/{connection}/purchase-orders/source_id:{'%7C'.join(key)}", 404, "NOT_FOUND")
    want = reference.expected("purchase_orders", source_rows(sim, "PST_PURCHASE_ORDERS"), connection, sim.zone)
    del want["|".join(key)]
    have = {r["source_id"]: reference.shown(r) for r in listed(api, connection, "purchase_orders")}
    assert reference.differences(have, want) == []
    sim.control("POST", "/sim/change", json={"action": "delete", "entity": "purchase_orders", "key": key})
    assert synced(api, connection, "full")["status"] == "completed"
    assert_equals_source(api, connection, sim)
