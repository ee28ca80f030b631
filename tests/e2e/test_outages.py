"""Outages of the connected system, whole: found, told once, probed, answered for, caught up."""
import concurrent.futures
import contextlib
import json
import pathlib
import re
import sqlite3
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import Server, Simulator, instant, wait_until  # noqa: E402  (after the path is set)
from harness.mute import Mute  # noqa: E402
from harness.programs import slowness  # noqa: E402
from harness.setup import connect_to, new_organization, start_sync, synced, wait_sync  # noqa: E402

# Intervals of the product divided by 15 (probes) and by 300 (hold-down), so that tests are short.
QUICK = {"probe_first": "1s", "probe_max": "2s", "hold_down": "1s"}
STATUSES = ("connection.online", "connection.offline", "connection.authentication_required")


def told(server, connection):
    """The types of the events about the connection's status, oldest first, from the store."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data}/penstock.db?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT e.type, e.body FROM event e JOIN connection c ON c.pk = e.connection_pk"
                          " WHERE e.sample = 0 ORDER BY e.pk").fetchall()
    return [kind for kind, body in rows if kind in STATUSES and connection in body]


def broken_off(server, port):
    """How many calls of that port had a connection and got no answer, as far as the log was written."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data}/penstock.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT count(*) FROM upstream_call WHERE origin LIKE ? AND status = 0"
                          " AND error NOT LIKE '%refused%'", (f"%:{port}",)).fetchone()[0]


def connection_of(api, connection):
    return api.get(f"/v1/connections/{connection}")


def status_of(api, connection):
    return connection_of(api, connection)["status"]


def wait_status(api, connection, status, seconds=30):
    wait_until(lambda: status_of(api, connection) == status, f"the status {status}", seconds * slowness())


def syncs_of(api, connection):
    return list(api.pages(f"/v1/connections/{connection}/syncs", limit=500))


def check(api, connection):
    """A test of the connection, whatever it finds."""
    return api.call("POST", f"/v1/connections/{connection}/test")


def fault(sim, kind, **more):
    sim.control("POST", "/sim/faults", json={"kind": kind, **more})


def calls(sim):
    return sim.control("GET", "/sim/stats")["calls"]


class FixedSimulator(Simulator):
    """One that can be started again at the address it had."""

    def start(self):
        super().start()
        self.command[self.command.index("--listen") + 1] = f"127.0.0.1:{self.port}"
        return self


@pytest.fixture
def sim(programs, place):
    return programs(FixedSimulator(place, orders=20))


@pytest.fixture
def server(programs, place):
    return programs(Server(place, **QUICK))


@pytest.fixture
def connected(server, sim):
    """(api, connection), read once; its schedule comes only after the test."""
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="7d", entities=["items", "suppliers"],
                            config={"base_url": sim.url, "time_zone": sim.zone, "timeout": "1s"})
    assert wait_sync(api, connection)["status"] == "completed"
    wait_until(lambda: told(server, connection) == ["connection.online"], "the event", 10)
    return api, connection


def break_down(sim, how):
    if how == "refused":
        sim.stop()
    elif how == "silence":
        fault(sim, "slow", ms=60000)
    else:
        fault(sim, how)


def mend(sim, how):
    if how == "refused":
        sim.start()
    else:
        sim.control("DELETE", "/sim/faults")


@pytest.mark.threads
@pytest.mark.parametrize("how", ["refused", "reset", "truncate", "silence", "503", "sign_on", "redirect"])
@pytest.mark.parametrize("by", ["sync", "test"])
def test_an_outage_is_found_told_once_and_caught_up_once(connected, server, sim, how, by):
    api, connection = connected
    runs = len(syncs_of(api, connection))
    break_down(sim, how)
    begun = time.monotonic()
    if by == "sync":
        sync = synced(api, connection, seconds=60)
        assert sync["status"] == "failed" and sync["error"]["code"] == "SYSTEM_UNREACHABLE", sync
    else:
        check(api, connection)
    wait_status(api, connection, "offline", 60)
    assert time.monotonic() - begun < 60 * slowness()
    found = connection_of(api, connection)
    assert found["outage"]["tries"] >= 3 and found["status_reason"]
    assert found["next_run_at"] is None and found["outage"]["next_probe_at"]
    # Probes go on, and are neither syncs nor told.
    tries = found["outage"]["tries"]
    wait_until(lambda: connection_of(api, connection)["outage"]["tries"] > tries + 1, "two probes", 30 * slowness())
    assert len(syncs_of(api, connection)) == runs + (by == "sync")
    wait_until(lambda: told(server, connection) == ["connection.online", "connection.offline"], "the event", 10)
    mend(sim, how)
    wait_status(api, connection, "online", 30)
    wait_until(lambda: len(syncs_of(api, connection)) == runs + (by == "sync") + 1, "the sync that catches up", 20)
    caught_up = wait_sync(api, connection)
    assert (caught_up["trigger"], caught_up["mode"], caught_up["status"]) == ("scheduled", "incremental", "completed")
    wait_until(lambda: told(server, connection) == ["connection.online", "connection.offline", "connection.online"],
               "the event", 10 * slowness())
    assert connection_of(api, connection)["outage"] is None
    assert connection_of(api, connection)["next_run_at"]
    check(api, connection)
    assert len(syncs_of(api, connection)) == runs + (by == "sync") + 1
    assert [h["status"] for h in api.get(f"/v1/connections/{connection}/history")["data"]] == \
        ["online", "offline", "online", "pending"]


@pytest.mark.parametrize("url", ["http://no.such.invalid", "http://127.0.0.1:14999", "https://127.0.0.1:{port}"],
                         ids=["name", "port", "tls"])
def test_a_system_that_never_answered_is_told_offline_once(server, sim, url):
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="7d", entities=["items"],
                            config={"base_url": url.format(port=sim.port), "time_zone": sim.zone})
    wait_status(api, connection, "offline", 60)
    assert wait_sync(api, connection)["status"] == "failed"
    tries = connection_of(api, connection)["outage"]["tries"]
    wait_until(lambda: connection_of(api, connection)["outage"]["tries"] > tries, "a probe", 30 * slowness())
    assert told(server, connection) == ["connection.offline"]
    assert [h["status"] for h in api.get(f"/v1/connections/{connection}/history")["data"]] == ["offline", "pending"]
    # Another address is another system.
    api.patch(f"/v1/connections/{connection}", {
        "config": {"base_url": sim.url}, "credentials": {"username": sim.USER, "password": sim.PASSWORD}})
    wait_status(api, connection, "online")
    wait_until(lambda: told(server, connection) == ["connection.offline", "connection.online"], "the event", 10)


MUTES = {"silence": "http", "tls_stall": "https"}


@pytest.mark.parametrize("how", MUTES)
def test_a_system_that_takes_calls_and_never_answers_is_offline(programs, place, sim, how):
    server = programs(Server(place, **QUICK, connect_timeout="1s"))
    api = server.api(new_organization(server))
    config = {"base_url": sim.url, "time_zone": sim.zone, "timeout": "1s"}
    connection = connect_to(api, sim, schedule="7d", entities=["items"], config=config)
    assert wait_sync(api, connection)["status"] == "completed"
    with Mute() as mute:
        api.patch(f"/v1/connections/{connection}", {
            "config": {**config, "base_url": f"{MUTES[how]}://127.0.0.1:{mute.port}"},
            "credentials": {"username": sim.USER, "password": sim.PASSWORD}})
        wait_status(api, connection, "offline", 60)
        outage = connection_of(api, connection)["outage"]
        assert mute.taken >= outage["tries"] >= 3
        wait_until(lambda: connection_of(api, connection)["outage"]["tries"] > outage["tries"], "a probe", 30 * slowness())
    assert told(server, connection) == ["connection.online", "connection.offline"]


@pytest.mark.parametrize("first, drip", [
    (b"HTTP/1.1 200 OK\r\n", b""),
    (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n", b" "),
], ids=["half_a_head", "drip"])
def test_a_system_that_never_ends_its_answer_is_offline(connected, server, sim, first, drip):
    """What confirms the first failure waits for ten seconds, not for the minute that a slow answer may take."""
    api, connection = connected
    sim.stop()
    check(api, connection)
    with Mute(first, drip, port=sim.port) as mute:
        wait_status(api, connection, "offline", 60)
        found = connection_of(api, connection)
        assert mute.taken >= 1 and found["outage"]["tries"] == 3, found
        assert "timed out" in found["status_reason"], found
    sim.start()
    wait_status(api, connection, "online")
    wait_until(lambda: told(server, connection) == ["connection.online", "connection.offline", "connection.online"],
               "the event", 20 * slowness())


def test_a_moment_of_weakness_is_no_outage(connected, server, sim):
    api, connection = connected
    for kind in ("reset", "503"):
        fault(sim, kind, count=2)
        assert synced(api, connection, seconds=60)["status"] == "completed"
        fault(sim, kind, count=1)
        check(api, connection)
        assert synced(api, connection, seconds=60)["status"] == "completed"
    assert status_of(api, connection) == "online"
    assert told(server, connection) == ["connection.online"]


def test_one_slow_query_is_no_outage(connected, server, sim):
    api, connection = connected
    fault(sim, "slow", ms=60000, query="PST_ITEMS", service="ExecuteQuery")
    sync = synced(api, connection, seconds=60)
    entities = {e["entity"]: e for e in sync["entities"]}
    assert entities["items"]["error"]["code"] == "SYSTEM_ERROR", sync
    assert entities["suppliers"]["status"] == "completed", sync
    assert entities["items"]["counts"]["upstream_calls"] == 1, "the silent call was repeated"
    assert status_of(api, connection) == "online"
    assert told(server, connection) == ["connection.online"]


@pytest.fixture
def offline(connected, sim):
    """(api, connection) of a system that went away."""
    api, connection = connected
    fault(sim, "503")
    check(api, connection)
    wait_status(api, connection, "offline")
    return api, connection


def told_how_old(server, api, connection):
    """The command says of a stored copy that it is one, and takes none that is too old."""
    since = connection_of(api, connection)["outage"]["since"]
    wait_until(lambda: int(api.call("GET", f"/v1/connections/{connection}/items", headers={
        "Cache-Control": "stale-if-error"}).headers["Age"]) >= 2, "the copy to be two seconds old", 10)
    listed = server.cli("records", connection, "items", "--stale=1h")
    assert re.fullmatch(rf"the system has been offline since {since[:10]} {since[11:19]}Z: this is the stored copy of "
                        rf"\d+(\.\d)? s ago\n", listed.stderr), listed.stderr
    plain = server.cli("records", connection, "items", "--stale", "--json")
    stale = json.loads(plain.stdout)["stale"]
    assert stale["age"] >= 2 and stale["offline_since"] == since and "stored copy" in plain.stderr
    record = json.loads(plain.stdout)["data"][0]["id"]
    one = server.cli("records", connection, "items", record, "--stale", "--json")
    assert json.loads(one.stdout)["id"] == record and "stored copy" in one.stderr
    old = server.cli("records", connection, "items", "--stale=1s", "--no-retry", check=False)
    assert old.returncode != 0 and "takes any age" in old.stderr, old
    none = server.cli("records", connection, "items", "--no-retry", check=False)
    assert none.returncode != 0 and "the same with --stale" in none.stderr, none
    for age in ("soon", "0s", "-1h", "1.5h"):
        refused = server.cli("records", connection, "items", f"--stale={age}", check=False)
        assert refused.returncode == 64 and f"'{age}' is not a time from 1s to 36500d" in refused.stderr, refused
    apart = server.cli("records", connection, "items", "--stale", "1h", check=False)
    assert apart.returncode == 64 and "--stale=1h" in apart.stderr, apart


def test_records_of_what_is_offline_are_503_or_stale(offline, server, sim):
    api, connection = offline
    path = f"/v1/connections/{connection}/items"
    answer = api.call("GET", path)
    problem = answer.json()
    assert answer.status_code == 503 and problem["code"] == "SYSTEM_UNREACHABLE", problem
    assert problem["origin"] == "connected_system" and problem["retryable"] is True
    assert problem["retry_after"] == int(answer.headers["Retry-After"]) >= 1
    assert "tries" in problem["detail"] and "since 20" in problem["detail"], problem
    assert "Penstock-Stale" not in answer.headers
    api.fails("GET", f"{path}/rec_00000000000000000000000000", 503, "SYSTEM_UNREACHABLE")
    for part in ("changes", "sync-status", "syncs", "entities", "history", "rejected"):
        api.get(f"/v1/connections/{connection}/{part}")
    assert api.get(f"/v1/connections/{connection}/sync-status")["outage"]["tries"] >= 3
    shown = server.cli("status", connection).stdout
    assert "Away since" in shown and "Next probe" in shown, shown
    shown = server.cli("connections", "get", connection).stdout
    assert "Away since" in shown and "Tries" in shown and "Next probe" in shown, shown
    assert server.cli("records", connection, "items", "--no-retry", check=False).returncode != 0
    assert server.cli("records", connection, "items", "--stale", json_output=True)["data"]
    told_how_old(server, api, connection)

    for wish in ("stale-if-error", "stale-if-error=3600", "no-store, Stale-If-Error=\"3600\""):
        stale = api.call("GET", path, headers={"Cache-Control": wish})
        assert stale.status_code == 200 and stale.json()["data"], wish
        assert stale.headers["Penstock-Stale"] == "true" and 0 <= int(stale.headers["Age"]) < 3600
    record = stale.json()["data"][0]["id"]
    one = api.call("GET", f"{path}/{record}", headers={"Cache-Control": "stale-if-error"})
    assert one.status_code == 200 and one.json()["id"] == record and one.headers["Penstock-Stale"] == "true"
    wait_until(lambda: int(api.call("GET", path, headers={"Cache-Control": "stale-if-error"}).headers["Age"]) >= 1,
               "the copy to be a second old", 10)
    for wish in ("stale-if-error=0", "stale-if-error=x", "max-stale=3600", "stale-if-error="):
        api.fails("GET", path, 503, "SYSTEM_UNREACHABLE", headers={"Cache-Control": wish})

    api.patch(f"/v1/connections/{connection}", {"serve_stale": True})
    assert api.call("GET", path).headers["Penstock-Stale"] == "true"
    api.fails("GET", path, 503, "SYSTEM_UNREACHABLE", headers={"Cache-Control": "stale-if-error=0"})
    sim.control("DELETE", "/sim/faults")
    wait_status(api, connection, "online")
    assert "Penstock-Stale" not in api.call("GET", path).headers


@pytest.fixture
def slowly_probed(programs, place, sim):
    """(api, connection) of a system that went away and is, in all likelihood, not probed during the test."""
    server = programs(Server(place, probe_first="1h", probe_max="1h"))
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="7d", entities=["items"])
    assert wait_sync(api, connection)["status"] == "completed"
    fault(sim, "503")
    check(api, connection)
    wait_status(api, connection, "offline")
    return api, connection


def test_answers_about_what_is_offline_cost_the_system_no_call(slowly_probed, sim):
    api, connection = slowly_probed
    path = f"/v1/connections/{connection}/items"
    stale = {"Cache-Control": "stale-if-error"}
    record = api.call("GET", path, headers=stale).json()["data"][0]["id"]
    before, tries = calls(sim), connection_of(api, connection)["outage"]["tries"]
    for _ in range(20):
        for which in (path, f"{path}/{record}"):
            api.fails("GET", which, 503, "SYSTEM_UNREACHABLE")
            assert api.call("GET", which, headers=stale).status_code == 200
    # Should a probe have fallen in between, it is a try.
    assert calls(sim) - before == connection_of(api, connection)["outage"]["tries"] - tries


def test_what_was_never_read_is_not_served_stale(server, sim):
    api = server.api(new_organization(server))
    fault(sim, "503")
    connection = connect_to(api, sim, schedule="7d", entities=["items"], serve_stale=True)
    assert wait_sync(api, connection)["status"] == "failed"
    wait_status(api, connection, "offline")
    api.fails("GET", f"/v1/connections/{connection}/items", 503, "SYSTEM_UNREACHABLE")
    sim.control("DELETE", "/sim/faults")
    wait_status(api, connection, "online")
    wait_until(lambda: connection_of(api, connection)["initial_sync_done"], "the first sync", 20 * slowness())
    assert [s["status"] for s in syncs_of(api, connection)] == ["completed", "failed"]


def test_a_sync_by_hand_tries_an_offline_system_once(slowly_probed, sim):
    api, connection = slowly_probed

    def calls_of_a_sync():
        before = calls(sim)
        sync = synced(api, connection)
        assert sync["status"] == "failed" and sync["error"]["code"] == "SYSTEM_UNREACHABLE", sync
        return calls(sim) - before
    # None while the last try is a moment ago (on a slow machine the next one may come later than that).
    assert wait_until(calls_of_a_sync, "a sync that tries", 30 * slowness(), every=0.3) == 1
    wait_until(lambda: calls_of_a_sync() == 0, "a sync that does not", 30 * slowness(), every=0)
    assert status_of(api, connection) == "offline"
    sim.control("DELETE", "/sim/faults")
    wait_until(lambda: synced(api, connection)["status"] == "completed", "a sync that works", 30 * slowness(), every=0.3)
    assert status_of(api, connection) == "online"


def test_a_waiting_run_that_makes_room_is_told(slowly_probed, place):
    """At once: not with the end of the run that took its place."""
    api, connection = slowly_probed
    store = place / "data" / "penstock.db"
    with contextlib.closing(sqlite3.connect(store, timeout=30)) as db, db:
        [pk] = db.execute("SELECT pk FROM connection").fetchone()
        run = db.execute("INSERT INTO sync (id, connection_pk, cause, mode, status, requested_at, request_id)"
                         " VALUES (randomblob(16), ?, 'scheduled', 'incremental', 'queued', 1, '')", (pk,)).lastrowid
        streams = db.execute("SELECT pk FROM stream WHERE connection_pk = ?", (pk,)).fetchall()
        for position, [stream] in enumerate(streams):
            db.execute("INSERT INTO sync_stream (sync_pk, stream_pk, position, status) VALUES (?, ?, ?, 'queued')",
                       (run, stream, position))
            db.execute("UPDATE stream SET sync_pk = ? WHERE pk = ?", (run, stream))
    start_sync(api, connection)
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        assert db.execute("SELECT status, told FROM sync WHERE pk = ?", (run,)).fetchone() == ("cancelled", 1)


def test_a_test_brings_back_what_probes_would_find_later(programs, place, sim):
    server = programs(Server(place, hold_down="1s"))  # probes after up to 15 s, and later
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="7d", entities=["items"])
    assert wait_sync(api, connection)["status"] == "completed"
    fault(sim, "reset")
    check(api, connection)
    wait_status(api, connection, "offline")
    sim.control("DELETE", "/sim/faults")
    wait_until(lambda: check(api, connection).json()["ok"], "a test to pass", 30)
    assert status_of(api, connection) == "online"
    wait_until(lambda: len(syncs_of(api, connection)) == 2, "the sync that catches up", 20)


@pytest.mark.threads
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_in_the_middle_loses_and_repeats_nothing(offline, server, sim, end):
    api, connection = offline
    wait_until(lambda: told(server, connection)[-1] == "connection.offline", "the event", 10)
    tries = connection_of(api, connection)["outage"]["tries"]
    getattr(server, end)()
    server.start()
    api = server.api(api.token)
    assert connection_of(api, connection)["outage"]["tries"] >= tries
    api.fails("GET", f"/v1/connections/{connection}/items", 503, "SYSTEM_UNREACHABLE")
    wait_until(lambda: connection_of(api, connection)["outage"]["tries"] > tries, "a probe", 20 * slowness())
    runs = len(syncs_of(api, connection))
    sim.control("DELETE", "/sim/faults")
    wait_status(api, connection, "online")
    getattr(server, end)()
    server.start()
    api = server.api(api.token)
    wait_until(lambda: len(syncs_of(api, connection)) == runs + 1, "the sync that catches up", 20 * slowness())
    assert wait_sync(api, connection)["status"] == "completed"
    wait_until(lambda: told(server, connection) == ["connection.online", "connection.offline", "connection.online"],
               "the event", 20 * slowness())
    assert len(syncs_of(api, connection)) == runs + 1


def test_repeats_are_joined_and_the_last_status_is_told(programs, place, sim):
    server = programs(Server(place, probe_first="1s", probe_max="1s", hold_down="8s"))
    api = server.api(new_organization(server))
    connection = connect_to(api, sim, schedule="7d", entities=["items"])
    assert wait_sync(api, connection)["status"] == "completed"
    for _ in range(2):
        fault(sim, "reset")
        check(api, connection)
        wait_status(api, connection, "offline")
        sim.control("DELETE", "/sim/faults")
        wait_status(api, connection, "online")
    assert told(server, connection) == ["connection.online", "connection.offline"]
    wait_until(lambda: len(told(server, connection)) == 3, "the last status to be told", 30 * slowness())
    assert told(server, connection)[-1] == "connection.online"
    history = [h["status"] for h in api.get(f"/v1/connections/{connection}/history")["data"]]
    assert history == ["online", "offline", "online", "offline", "online", "pending"]


@pytest.mark.parametrize("kind", ["401", "ib_158_45", "403"])
def test_a_probe_that_is_refused_ends_the_probes(offline, server, sim, kind):
    api, connection = offline
    sim.control("DELETE", "/sim/faults")
    fault(sim, kind)
    wait_status(api, connection, "authentication_required")
    before = calls(sim)
    assert connection_of(api, connection)["outage"] is None
    wait_until(lambda: told(server, connection)[-1] == "connection.authentication_required", "the event", 10)
    check(api, connection)
    assert calls(sim) == before, "refused credentials were tried again"
    sim.control("DELETE", "/sim/faults")
    api.patch(f"/v1/connections/{connection}", {"credentials": {"username": sim.USER, "password": sim.PASSWORD}})
    wait_status(api, connection, "online")
    assert wait_sync(api, connection)["status"] == "completed"


def test_wrong_credentials_are_tried_once_however_many_ask(programs, place, server):
    """A system that locks an account at the second refusal does not lock this one."""
    sim = programs(Simulator(place / "locking", orders=20, lock_after=2))
    api = server.api(new_organization(server))
    wrong = {"username": sim.USER, "password": "wrong"}
    connection = connect_to(api, sim, schedule="7d", entities=["items", "suppliers"], credentials=wrong)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: check(api, connection), range(8)))
    wait_status(api, connection, "authentication_required")
    api.fails("POST", f"/v1/connections/{connection}/syncs", 409, "REAUTHORIZATION_REQUIRED")
    assert sim.control("GET", "/sim/stats")["calls"] == 1
    assert sim.control("GET", "/sim/state")["locked"] is False
    api.patch(f"/v1/connections/{connection}", {"credentials": {"username": sim.USER, "password": sim.PASSWORD}})
    wait_status(api, connection, "online")


def test_new_credentials_are_tried_though_a_try_of_the_old_ones_is_under_way(programs, place, server, sim):
    api = server.api(new_organization(server))
    connections = [connect_to(api, sim, schedule="7d", entities=["items"]) for _ in range(2)]
    for connection in connections:
        assert wait_sync(api, connection)["status"] == "completed"
    fault(sim, "reset")
    for connection in connections:
        check(api, connection)
    for connection in connections:
        wait_status(api, connection, "offline")
    [dead] = sim.control("GET", "/sim/faults")["faults"]
    fault(sim, "slow", ms=5000)  # the host is away, and it is the answer to one of them that finds it back
    sim.control("DELETE", f"/sim/faults/{dead['id']}")
    slow = sim.control("GET", "/sim/faults")["faults"][0]["fired"]
    wait_until(lambda: sim.control("GET", "/sim/faults")["faults"][0]["fired"] > slow, "a probe", 30 * slowness(), every=0.05)
    sim.control("DELETE", "/sim/faults")
    assert [status_of(api, connection) for connection in connections] == ["offline"] * 2
    for connection in connections:
        api.patch(f"/v1/connections/{connection}", {"credentials": {"username": sim.USER, "password": sim.PASSWORD}})
    for connection in connections:
        wait_status(api, connection, "online", 40)
        wait_until(lambda c=connection: [s["status"] for s in syncs_of(api, c)] == ["completed"] * 2, "what was missed", 40)


def test_a_probe_of_the_old_address_says_nothing_about_the_new_one(programs, place, server, sim):
    api = server.api(new_organization(server))
    connections = [connect_to(api, sim, schedule="7d", entities=["items"]) for _ in range(2)]
    for connection in connections:
        assert wait_sync(api, connection)["status"] == "completed"
    sim.stop()
    for connection in connections:
        check(api, connection)
    for connection in connections:
        wait_status(api, connection, "offline")
    new = programs(Simulator(place / "new", orders=20))
    with Mute(port=sim.port) as old:  # in its place: a probe is under way until it ends
        wait_until(lambda: old.taken, "a probe", 30 * slowness(), every=0.05)
        for connection in connections:
            api.patch(f"/v1/connections/{connection}", {"config": {"base_url": new.url}, "credentials": {
                "username": new.USER, "password": new.PASSWORD}})
        for connection in connections:
            wait_status(api, connection, "online")
    wait_until(lambda: broken_off(server, sim.port), "the end of the probe", 30 * slowness())
    for connection in connections:
        assert synced(api, connection)["status"] == "completed"
        changes = [row["status"] for row in api.get(f"/v1/connections/{connection}/history")["data"]]
        assert sorted(changes) == ["offline", "online", "online", "pending", "pending"], changes
        wait_until(lambda c=connection: len(told(server, c)) > 2, "the event", 10 * slowness())
        assert told(server, connection) == ["connection.online", "connection.offline", "connection.online"]


def test_a_busy_system_is_waited_for(connected, server, sim):
    api, connection = connected
    fault(sim, "429", count=2)
    begun = time.monotonic()
    assert synced(api, connection)["status"] == "completed"
    assert sim.control("GET", "/sim/faults")["faults"][0]["fired"] == 2
    assert time.monotonic() - begun >= 2, "it asked twice to come back after a second"


def test_busy_systems_hold_up_nobody_else(programs, place, sim):
    """Their runs wait without a worker, and can be cancelled."""
    server = programs(Server(place, sync_workers=2))
    api, other = (server.api(new_organization(server, name)) for name in ("Busy", "Other"))
    with Mute(first=b"HTTP/1.1 429 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n") as busy:
        waiting = [connect_to(api, sim, schedule="manual", entities=["items"], config={
            "base_url": f"http://127.0.0.1:{busy.port}"}) for _ in range(2)]
        for connection in waiting:
            wait_until(lambda c=connection: [s for s in syncs_of(api, c) if s["resumes_at"]], "a run that waits", 30 * slowness())
        assert wait_sync(other, connect_to(other, sim, schedule="manual", entities=["items"]))["status"] == "completed"
        runs = [syncs_of(api, connection)[0] for connection in waiting]
        assert [(r["status"], r["resumes_at"] > r["started_at"], r["ended_at"]) for r in runs] == [("running", True, None)] * 2
        for connection, run in zip(waiting, runs):
            assert api.get(f"/v1/connections/{connection}/sync-status")["resumes_at"] == run["resumes_at"]
            found = api.get(f"/v1/syncs/{run['id']}/diagnosis")
            assert (found["scope"], found["cause"]) == ("connection", "slow_down"), found
            found = api.get(f"/v1/connections/{connection}/diagnosis")
            assert (found["scope"], found["cause"]) == ("connection", "slow_down"), found
            assert "Waits until" in server.cli("status", connection, "--organization", "Busy").stdout
        api.post(f"/v1/connections/{waiting[0]}/syncs/{runs[0]['id']}/cancel", status=200)
        ended = wait_sync(api, waiting[0])
        assert (ended["status"], ended["resumes_at"]) == ("cancelled", None)


def test_a_busy_system_is_not_offline(connected, server, sim):
    """Not after any number of 429s: each is an answer."""
    api, connection = connected
    fault(sim, "429")
    for _ in range(2):
        sync = synced(api, connection)
        assert sync["status"] == "failed" and sync["error"]["code"] == "SYSTEM_ERROR", sync
        assert not check(api, connection).json()["ok"]
    [busy] = sim.control("GET", "/sim/faults")["faults"]
    assert busy["fired"] >= 6, "twice what makes a connection offline"
    found = connection_of(api, connection)
    assert found["status"] == "online" and found["outage"] is None and found["next_run_at"], found
    sim.control("DELETE", "/sim/faults")
    assert synced(api, connection)["status"] == "completed"
    assert told(server, connection) == ["connection.online"]


def test_a_probe_that_meets_a_busy_system_decides_nothing(offline, server, sim):
    api, connection = offline
    [away] = sim.control("GET", "/sim/faults")["faults"]
    fault(sim, "429")
    sim.control("DELETE", f"/sim/faults/{away['id']}")
    wait_until(lambda: sim.control("GET", "/sim/faults")["faults"][0]["fired"] >= 3, "probes to go on", 30 * slowness())
    assert status_of(api, connection) == "offline"
    sim.control("DELETE", "/sim/faults")
    wait_status(api, connection, "online")
    wait_until(lambda: told(server, connection) == ["connection.online", "connection.offline", "connection.online"],
               "the event", 20 * slowness())


def test_a_probe_that_is_to_wait_for_a_day_does_not(offline, server, sim):
    """It comes again after `probe_max`: the system may be well long before."""
    api, connection = offline
    sim.stop()
    with Mute(first=b"HTTP/1.1 429 Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n", port=sim.port) as busy:
        wait_until(lambda: busy.taken, "a probe", 30 * slowness())
        wait_until(lambda: busy.taken > 1, "the next one", 30 * slowness())
    assert status_of(api, connection) == "offline"
    sim.start()
    wait_status(api, connection, "online")


def test_a_query_that_is_forbidden_is_no_outage(connected, server, sim):
    api, connection = connected
    fault(sim, "403", query="PST_ITEMS", service="ExecuteQuery")
    sync = synced(api, connection)
    assert {e["entity"]: e["status"] for e in sync["entities"]} == {"items": "failed", "suppliers": "completed"}
    assert status_of(api, connection) == "online", "a 403 of one entity is that entity's own"
    assert f"penstock diagnose {connection}" in server.cli("status").stdout, "what failed is not hidden by that"


def test_the_deleted_and_the_switched_off_are_not_probed(offline, server, sim):
    api, connection = offline
    api.patch(f"/v1/connections/{connection}", {"enabled": False})
    other = connect_to(api, sim, schedule="7d", entities=["items"])
    wait_status(api, other, "offline")
    assert status_of(api, connection) == "inactive"
    api.delete(f"/v1/connections/{other}")
    sim.control("DELETE", "/sim/stats")
    third = connect_to(api, sim, schedule="7d", entities=["items"])
    wait_status(api, third, "offline")
    wait_until(lambda: connection_of(api, third)["outage"]["tries"] >= 5, "probes", 30 * slowness())
    seen = calls(sim)
    assert seen <= connection_of(api, third)["outage"]["tries"] + 1, "others than the third were called"
    sim.control("DELETE", "/sim/faults")
    api.patch(f"/v1/connections/{connection}", {"enabled": True})
    wait_status(api, connection, "online")


def open_incidents(server):
    return server.cli("incidents", "--open", json_output=True)["data"]


def check_diagnoses(api, connections):
    """All say that it is the host, those that were denied every call, too."""
    denied = 0
    for connection in connections[::10]:
        found = api.get(f"/v1/connections/{connection}/diagnosis")
        assert (found["scope"], found["reach"], found["cause"]) == ("systemic", "host", "reset"), found
        evidence = found["evidence"]
        assert evidence["host"] == evidence["connector"] == {
            "connections": len(connections), "failing": len(connections)}, evidence
        assert found["since"] and found["because"][0]
        if evidence["connection"]["failed_calls"] == 0:
            denied += 1
            last = syncs_of(api, connection)[0]
            assert last["counts"]["upstream_calls"] == 0 and last["error"]["code"] == "SYSTEM_UNREACHABLE", last
            of_sync = api.get(f"/v1/connections/{connection}/syncs/{last['id']}/diagnosis")
            assert (of_sync["scope"], of_sync["reach"], of_sync["cause"]) == ("systemic", "host", "offline"), of_sync
            test = check(api, connection)
            if not calls_of(api, test):  # else it was let through to try
                of_test = api.get(f"/v1/requests/{test.headers['X-Request-Id']}")["diagnosis"]
                assert (of_test["scope"], of_test["cause"]) == ("systemic", "offline"), of_test
    assert denied > 0, "no connection was denied its calls"


def calls_of(api, response):
    return api.get(f"/v1/requests/{response.headers['X-Request-Id']}")["calls"]


def test_a_small_storm(programs, place):
    """Many connections of one host that dies and comes back: never more than four requests at a time,
    one event each, one sync each to catch up; one incident, and it is the host for every one of them."""
    count = 60 if slowness() > 1 else 300
    sim = programs(FixedSimulator(place, orders=5))
    server = programs(Server(place, **QUICK, sync_workers=8, incident_after="2s", incident_quiet="2s"))
    api = server.api(new_organization(server))
    connections = [connect_to(api, sim, schedule="7d", entities=["items"]) for _ in range(count)]
    for connection in connections:
        wait_status(api, connection, "online", 120)
    wait_until(lambda: all(len(syncs_of(api, c)) == 1 and not connection_of(api, c)["syncing"] for c in connections),
               "the first syncs", 120 * slowness())
    fault(sim, "reset")
    sim.control("DELETE", "/sim/stats")
    for connection in connections:
        start_sync(api, connection)
    for connection in connections:
        wait_status(api, connection, "offline", 120)
    down = sim.control("GET", "/sim/stats")
    assert down["concurrent_max"] <= 4, down
    assert down["calls"] <= 40, "the host was hammered while it was down"
    found = wait_until(lambda: open_incidents(server), "the incident", 30 * slowness())
    assert [(i["kind"], i["subject"]) for i in found] == [("host", "127.0.0.1")], found
    check_diagnoses(api, connections)
    sim.control("DELETE", "/sim/stats")
    sim.control("DELETE", "/sim/faults")
    for connection in connections:
        wait_status(api, connection, "online", 120)
    wait_until(lambda: all(len(syncs_of(api, c)) == 3 for c in connections), "one sync each", 120 * slowness(), every=1)
    wait_until(lambda: not any(connection_of(api, c)["syncing"] for c in connections), "their ends", 120 * slowness())
    assert sim.control("GET", "/sim/stats")["concurrent_max"] <= 4
    for connection in connections[::10]:
        assert [s["trigger"] for s in syncs_of(api, connection)] == ["scheduled", "manual", "initial"]
        wait_until(lambda c=connection: told(server, c) == ["connection.online", "connection.offline",
                                                             "connection.online"], "the events", 30 * slowness())
    wait_until(lambda: not open_incidents(server), "the end of the incident", 60 * slowness())
    ages = [instant(connection_of(api, c)["status_since"]) for c in connections]
    assert (max(ages) - min(ages)).total_seconds() < 60 * slowness()
