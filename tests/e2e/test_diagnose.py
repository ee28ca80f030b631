"""Diagnosis: staged situations, each with the verdict that has to come out of its request id; the
request log and what it never holds; traces; the detector, incidents and the status page."""
import contextlib
import http.server
import json
import pathlib
import re
import socket
import sqlite3
import threading
import xml.etree.ElementTree

import pytest

from harness import Problem, Server, Simulator, wait_until
from harness.programs import slowness
from harness.setup import connect_to, connection_body, new_organization, start_sync, synced, wait_sync
from harness.tlsfront import Certificates, TlsFront
from test_faults import FullDisk, NoLargerFiles, small_disk

REQUEST_ID = re.compile(r"req_[0-9a-z]{26}$")


# ---- asking ----

def look_up(api, request_id):
    """The request with its calls and verdict."""
    return api.get(f"/v1/requests/{request_id}")


def verdict_of(api, response):
    return look_up(api, response.headers["X-Request-Id"])["diagnosis"]


def says(diagnosis, scope, cause, reach=None):
    assert (diagnosis["scope"], diagnosis["cause"], diagnosis["reach"]) == (scope, cause, reach), diagnosis
    for member in ("summary", "likely_cause", "what_to_do"):
        assert diagnosis[member], member
    return diagnosis


def a_connection(api, url, **more):
    """To an address of one's own, that nothing runs on by itself but the first sync."""
    body = {"name": "There", "connector": "peoplesoft", "config": {"base_url": url, "time_zone": "UTC"},
            "credentials": {"username": Simulator.USER, "password": Simulator.PASSWORD}, "schedule": "manual",
            "history_days": 0, **more}
    return api.post("/v1/connections", json=body, status=201)["id"]


def run_test(api, connection):
    return api.call("POST", f"/v1/connections/{connection}/test", timeout=60 * slowness())


def verdict_on(api, url, **more):
    """The verdict on a test of a connection to that address."""
    return verdict_of(api, run_test(api, a_connection(api, url, **more)))


class Answering:
    """A server on a free port that answers everything in one way: a status, or raw bytes."""

    def __init__(self, status=None, raw=None, headers=None):
        outer = self
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.seen.append(dict(self.headers))
                if raw is not None:
                    self.wfile.write(raw)
                    return
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def dead_url(host="127.0.0.1"):
    """An address where nothing listens."""
    with socket.create_server((host, 0)) as listener:
        return f"http://{host}:{listener.getsockname()[1]}"


@pytest.fixture
def api(server):
    return server.api(new_organization(server))


@pytest.fixture
def connected(api, sim):
    """(api, connection) after a first full sync."""
    connection = connect_to(api, sim, schedule="manual")
    assert wait_sync(api, connection)["status"] == "completed"
    return api, connection


def fault(sim, kind, **more):
    sim.control("POST", "/sim/faults", json={"kind": kind, **more})


# ---- of the connection ----

def test_a_dead_host(api):
    diagnosis = says(verdict_on(api, dead_url()), "connection", "connect")
    assert diagnosis["since"] and diagnosis["evidence"]["connection"]["failed_calls"] > 0
    assert any("127.0.0.1" in line for line in diagnosis["because"]), diagnosis


def test_a_name_that_does_not_resolve(api):
    says(verdict_on(api, "http://no-such-host.invalid:8000"), "connection", "dns")


def test_an_expired_certificate(api, sim, place):
    certificates = Certificates(place / "tls")
    front = TlsFront(sim.port, certificates.issue("old", expired=True))
    config = {"base_url": front.url, "time_zone": "UTC", "ca_pem": certificates.authority.read_text()}
    diagnosis = says(verdict_on(api, front.url, config=config), "connection", "tls")
    assert any("expired" in line for line in diagnosis["because"]), diagnosis
    front.close()


def test_a_certificate_nobody_vouches_for(api, sim, place):
    front = TlsFront(sim.port, Certificates(place / "tls").issue("unknown"))
    says(verdict_on(api, front.url), "connection", "tls")
    front.close()


def test_a_wrong_password(api, sim):
    credentials = {"username": Simulator.USER, "password": "not-the-password"}
    says(verdict_on(api, sim.url, credentials=credentials), "connection", "credentials")


def test_credentials_refused_in_words(connected, sim):
    api, connection = connected
    fault(sim, "ib_158_45")
    says(verdict_of(api, run_test(api, connection)), "connection", "credentials")
    wait_until(lambda: api.get(f"/v1/connections/{connection}")["status"] == "authentication_required", "the status")
    says(api.get(f"/v1/connections/{connection}/diagnosis"), "connection", "credentials")


@pytest.mark.parametrize("kind, cause", [
    ("503", "unavailable"), ("sign_on", "foreign_page"), ("redirect", "foreign_page"), ("reset", "reset"),
    ("truncate", "reset")])
def test_a_system_that_is_unwell(connected, sim, kind, cause):
    api, connection = connected
    fault(sim, kind)
    says(verdict_of(api, run_test(api, connection)), "connection", cause)


def test_a_test_that_was_not_let_through(connected, sim):
    """An offline system is not tried twice in a moment; nothing was called, and nothing worked."""
    api, connection = connected
    fault(sim, "503")
    run_test(api, connection)
    wait_until(lambda: api.get(f"/v1/connections/{connection}")["status"] == "offline", "the status", 60 * slowness())

    def denied():
        found = look_up(api, run_test(api, connection).headers["X-Request-Id"])
        return found if not found["calls"] else None
    says(wait_until(denied, "a test without a call", 20)["diagnosis"], "connection", "offline")


@pytest.mark.parametrize("status, cause", [(502, "proxy"), (504, "proxy"), (429, "slow_down")])
def test_what_stands_in_front_of_it(api, status, cause):
    with Answering(status) as front:
        says(verdict_on(api, front.url), "connection", cause)


def test_a_test_that_makes_no_call_finds_nothing(connected, sim):
    """It says so once, and does not go on as if something had answered."""
    api, connection = connected
    fault(sim, "reset")
    run_test(api, connection)
    wait_until(lambda: api.get(f"/v1/connections/{connection}")["status"] == "offline", "the status", 30 * slowness())

    def denied():
        checks = run_test(api, connection).json()["checks"]
        return checks if "a moment ago" in checks[0]["detail"] else None
    [only] = wait_until(denied, "a test that is not let through", 30 * slowness(), every=0)
    assert (only["name"], only["ok"]) == ("address", False) and "No call was made" in only["fix"], only


def test_a_wrong_time_zone_is_noticed(api, sim):
    connection = a_connection(api, sim.url, config={"base_url": sim.url, "time_zone": "Asia/Tokyo"})
    [clock] = [c for c in run_test(api, connection).json()["checks"] if c["name"] == "clock"]
    assert "540 min behind the web server's" in clock["detail"] and "time_zone" in clock["detail"], clock


def test_something_that_speaks_no_http(api):
    with Answering(raw=b"SSH-2.0-OpenSSH_9.2\r\n") as other:
        says(verdict_on(api, other.url), "connection", "protocol")


def test_an_address_that_is_not_allowed(api):
    says(verdict_on(api, "http://169.254.169.254"), "connection", "address_not_allowed")


def test_a_system_that_falls_silent(api, sim):
    fault(sim, "slow", ms=60000)
    config = {"base_url": sim.url, "time_zone": sim.zone, "timeout": "1s"}
    says(verdict_on(api, sim.url, config=config), "connection", "timeout")


def test_rows_that_cannot_be_mapped(connected, sim):
    api, connection = connected
    fault(sim, "bad_number", query="PST_PURCHASE_ORDERS", row=1)
    response = api.call("POST", f"/v1/connections/{connection}/syncs", json={"mode": "full"})
    sync = wait_sync(api, connection, response.json()["id"])
    assert sync["counts"]["rejected"] > 0
    for diagnosis in (verdict_of(api, response), api.get(f"/v1/connections/{connection}/syncs/{sync['id']}/diagnosis"),
                      api.get(f"/v1/connections/{connection}/diagnosis")):
        says(diagnosis, "connection", "mapping")
        assert any("could not be mapped" in line for line in diagnosis["because"])


def test_a_full_sync_that_would_delete_too_much(connected, sim):
    api, connection = connected
    sim.change("delete", "purchase_orders", 100)
    response = api.call("POST", f"/v1/connections/{connection}/syncs", json={"mode": "full"})
    sync = wait_sync(api, connection, response.json()["id"])
    assert sync["error"]["code"] == "DELETE_GUARD", sync["error"]
    says(verdict_of(api, response), "connection", "delete_guard")


# ---- of the request ----

def test_one_slow_query(api, sim):
    config = {"base_url": sim.url, "time_zone": sim.zone, "timeout": "1s"}
    connection = connect_to(api, sim, schedule="manual", config=config)
    assert wait_sync(api, connection)["status"] == "completed"
    fault(sim, "slow", ms=60000, query="PST_ITEMS", service="ExecuteQuery", count=1)
    slow = run_test(api, connection)
    assert run_test(api, connection).json()["ok"], "the system answers others"
    diagnosis = says(verdict_of(api, slow), "request", "timeout")
    assert diagnosis["evidence"]["connection"]["good_calls"] > 0
    assert any("PST_ITEMS" in o["path"] for o in diagnosis["evidence"]["operations"])


@pytest.mark.parametrize("kind, cause", [("500_text", "system_error"), ("500", "system_error"), ("403", "forbidden")])
def test_one_query_that_fails(connected, sim, kind, cause):
    api, connection = connected
    fault(sim, kind, query="PST_ITEMS", service="ExecuteQuery")
    response = api.call("POST", f"/v1/connections/{connection}/syncs", json={"entities": ["items"]})
    wait_sync(api, connection, response.json()["id"])
    diagnosis = says(verdict_of(api, response), "request", cause)
    assert any("PST_ITEMS" in o["path"] for o in diagnosis["evidence"]["operations"])


def test_an_invalid_parameter(connected):
    api, connection = connected
    for query, kept in (("limit=0", "limit: '...' is a number from"), ("colour=red", "no parameter '...' here")):
        response = api.call("GET", f"/v1/connections/{connection}/suppliers?{query}")
        diagnosis = says(verdict_of(api, response), "request", "invalid_request")
        assert any(kept in line for line in diagnosis["because"]), "our own words, and none of the caller's"


def test_an_id_that_is_not_ones_own(server, connected):
    _, connection = connected
    other = server.api(new_organization(server, "Other"))
    says(verdict_of(other, other.call("GET", f"/v1/connections/{connection}")), "request", "not_found")


def test_a_role_too_low(server, connected):
    api, connection = connected
    viewer = server.api(api.post("/v1/keys", json={"name": "v", "role": "viewer"}, status=201)["key"])
    says(verdict_of(viewer, viewer.call("DELETE", f"/v1/connections/{connection}")), "request", "permission")


def test_a_caller_without_a_key_and_a_path_that_leads_nowhere(server):
    """Nobody's requests: the operator looks them up."""
    new_organization(server)
    for path, cause in (("/v1/connections", "authentication"), ("/nothing-here", "not_found")):
        request_id = server.api().call("GET", path).headers["X-Request-Id"]
        found = server.cli("diagnose", request_id, json_output=True)
        says(found["diagnosis"], "request", cause)
        text = server.cli("diagnose", request_id).stdout
        assert "request's own" in text and request_id in text


def test_a_body_too_large(api):
    response = api.call("POST", "/v1/connections", data=b"x" * (2 << 20), headers={"Content-Type": "application/json"})
    assert response.status_code == 413


def test_two_syncs_at_once(api, programs, place):
    slow = programs(Simulator(place / "slow", orders=400))
    fault(slow, "slow", ms=300)
    connection = connect_to(api, slow, schedule="manual")
    response = api.call("POST", f"/v1/connections/{connection}/syncs")
    assert response.status_code == 409, response.text
    says(verdict_of(api, response), "request", "conflict")
    slow.control("DELETE", "/sim/faults")


def test_a_connection_that_is_switched_off(connected):
    api, connection = connected
    api.patch(f"/v1/connections/{connection}", {"enabled": False})
    says(verdict_of(api, api.call("POST", f"/v1/connections/{connection}/syncs")), "request", "inactive")
    says(api.get(f"/v1/connections/{connection}/diagnosis"), "request", "inactive")


def test_our_own_rate_limit(programs, place):
    """Of a caller that sent too much, not of the system: another key of the organization looks it up."""
    server = programs(Server(place, rate_limit_key=3))
    api = server.api(new_organization(server))
    refused = next(r for r in (api.call("GET", "/v1/keys") for _ in range(10)) if r.status_code == 429)
    other = server.api(server.cli("keys", "create", "--name", "other", json_output=True)["key"])
    found = look_up(other, refused.headers["X-Request-Id"])
    assert (found["status"], found["code"], found["calls"]) == (429, "RATE_LIMIT_EXCEEDED", []), found
    diagnosis = says(found["diagnosis"], "request", "rate_limit")
    assert any("in a minute" in line for line in diagnosis["because"]), diagnosis


def test_exhausted_credits(server, api):
    """What was created beyond the pool is switched off: to switch it on is refused, and why is said."""
    server.cli("organizations", "update", "Test", "--credits", 1)
    connection = a_connection(api, dead_url())
    refused = api.call("PATCH", f"/v1/connections/{connection}", json={"enabled": True})
    assert refused.status_code == 402, refused.text
    diagnosis = says(verdict_of(api, refused), "request", "credits")
    assert any("credits" in line for line in diagnosis["because"]), diagnosis
    now = says(api.get(f"/v1/connections/{connection}/diagnosis"), "request", "inactive")
    assert any("CREDITS_EXHAUSTED" in line for line in now["because"]), now
    sync = api.call("POST", f"/v1/connections/{connection}/syncs")
    assert sync.status_code == 409
    says(verdict_of(api, sync), "request", "inactive")


def test_what_went_well(connected):
    api, connection = connected
    response = api.call("POST", f"/v1/connections/{connection}/syncs", json={"mode": "incremental"})
    sync = wait_sync(api, connection, response.json()["id"])
    assert sync["status"] == "completed"
    says(verdict_of(api, response), "none", "worked")
    says(verdict_of(api, run_test(api, connection)), "none", "worked")
    says(api.get(f"/v1/connections/{connection}/diagnosis"), "none", "worked")


# ---- systemic ----

def test_our_own_disk_is_full(programs, place):
    """The refused request is not lost either: it is found while the store takes nothing."""
    with small_disk(place / "disk", 8) as disk:
        server = programs(Server(disk or place / "disk", **({"sqlite_cache": "1MiB"} if disk else {})))
        api = server.api(new_organization(server))
        trouble = FullDisk(server) if disk else NoLargerFiles(server)
        trouble.begin()
        response = api.call("POST", "/v1/keys", json={"name": "x", "role": "viewer"})
        assert response.status_code in (500, 503), response.text
        says(verdict_of(api, response), "systemic", "disk_full" if disk else "store", "penstock")
        page = wait_until(lambda: page_says(server, "sync", "down"), "the page to say so", 20 * slowness())
        assert component(page, "api")["status"] == "degraded"
        trouble.end()
        wait_until(lambda: page_says(server, "sync", "ok"), "the page to calm down", 30 * slowness())
        stored = wait_until(lambda: [r for r in api.get("/v1/requests?status=5")["data"]
                                     if r["id"] == response.headers["X-Request-Id"]], "it to be stored", 20 * slowness())
        assert stored[0]["operation"] == "createKey"
        server.stop()


def let_them_have_worked(server):
    """What has never worked says nothing about others; these did once, as far as the store knows."""
    with contextlib.closing(sqlite3.connect(server.data / "penstock.db", timeout=30)) as db, db:
        db.execute("UPDATE connection SET initial_sync_done = 1")


def several(server, api, urls, each):
    connections = [a_connection(api, url, name=f"C{i}") for i, url in enumerate(urls * each)]
    let_them_have_worked(server)
    return connections


def settled(api, response, connections):
    """The verdict when the calls of that many connections of the caller have come to the store."""
    def complete():
        diagnosis = verdict_of(api, response)
        return diagnosis if diagnosis["evidence"]["connector"]["connections"] == connections else None
    return wait_until(complete, "the calls to be stored", 20 * slowness())


def test_new_connections_with_a_mistyped_address(api):
    """However many of them there are: each can correct its own."""
    url = dead_url()
    connections = [a_connection(api, url, name=f"New {i}") for i in range(4)]
    responses = [run_test(api, c) for c in connections]
    for response in responses:
        found = wait_until(lambda r=response: verdict_of(api, r), "the verdict")
        says(found, "connection", "connect")
        assert found["evidence"]["host"]["connections"] <= 1, found


def test_many_connections_of_one_host(server, api):
    connections = several(server, api, [dead_url()], 4)
    responses = [run_test(api, c) for c in connections]
    diagnosis = says(settled(api, responses[-1], 4), "systemic", "connect", "host")
    assert diagnosis["evidence"]["host"] == {"connections": 4, "failing": 4}
    assert "4 of 4 connections to this host" in "\n".join(diagnosis["because"])
    shown = server.cli("diagnose", connections[0]).stdout
    assert "same host" in shown and "does not accept connections" in shown


def test_the_ports_of_a_machine_are_one_host(server, api):
    connections = several(server, api, [dead_url(), dead_url()], 2)
    responses = [run_test(api, c) for c in connections]
    diagnosis = says(settled(api, responses[0], 4), "systemic", "connect", "host")
    assert diagnosis["evidence"]["host"] == {"connections": 4, "failing": 4}


def test_many_hosts_of_one_connector(server, api):
    connections = several(server, api, [dead_url(f"127.0.0.{i}") for i in (1, 2, 3)], 2)
    responses = [run_test(api, c) for c in connections]
    diagnosis = says(settled(api, responses[0], 6), "systemic", "connect", "connector")
    assert diagnosis["evidence"]["connector"]["failing"] == 6


def test_what_others_have_counts_and_is_not_counted_out(server):
    """Two organizations on one dead host: each sees its own numbers, and that it is systemic."""
    url = dead_url()
    apis = [server.api(new_organization(server, name)) for name in ("One", "Two")]
    connections = [several(server, each, [url], 2) for each in apis]
    responses = [run_test(each, c) for each, mine in zip(apis, connections) for c in mine]
    for each, response in zip(apis, (responses[0], responses[-1])):
        settled(each, response, 2)
    diagnosis = says(verdict_of(apis[0], responses[0]), "systemic", "connect", "host")
    assert diagnosis["evidence"]["host"] == {"connections": 2, "failing": 2}
    assert diagnosis["evidence"]["elsewhere"] is True
    assert connections[1][0] not in json.dumps(diagnosis) and "Two" not in json.dumps(diagnosis)


def test_a_wrong_password_while_others_are_away(server, api, sim):
    """Two troubles at once: an outage makes no refusal systemic, and refusals no outage."""
    for c in several(server, api, [dead_url(), dead_url(), dead_url()], 2):
        run_test(api, c)
    wrong = a_connection(api, sim.url, credentials={"username": Simulator.USER, "password": "wrong"})
    refused = wait_sync(api, wrong)
    assert refused["status"] == "failed", refused
    wait_until(lambda: api.get(f"/v1/connections/{wrong}")["status"] == "authentication_required", "the status")
    path = f"/v1/connections/{wrong}/diagnosis"
    wait_until(lambda: api.get(path)["evidence"]["connector"]["connections"] == 7, "the calls to be stored",
               20 * slowness())
    for diagnosis in (api.get(path), api.get(f"/v1/connections/{wrong}/syncs/{refused['id']}/diagnosis")):
        says(diagnosis, "connection", "credentials")
        assert diagnosis["evidence"]["connector"] == {"connections": 7, "failing": 1}, diagnosis["evidence"]


def test_an_outage_while_others_have_wrong_passwords(server, api, sim, connected):
    _, mine = connected
    credentials = {"username": Simulator.USER, "password": "wrong"}
    wrong = [a_connection(api, sim.url, name=f"W{i}", credentials=credentials) for i in range(4)]
    for c in wrong:
        wait_sync(api, c)
    let_them_have_worked(server)
    wait_until(lambda: api.get(f"/v1/connections/{wrong[0]}/diagnosis")["evidence"]["host"]["failing"] == 4,
               "the refusals to be stored", 20 * slowness())
    says(api.get(f"/v1/connections/{wrong[0]}/diagnosis"), "systemic", "credentials", "host")
    fault(sim, "503")
    diagnosis = says(settled(api, run_test(api, mine), 5), "connection", "unavailable")
    assert diagnosis["evidence"]["host"]["failing"] <= 1, diagnosis["evidence"]


# ---- the request log ----

def test_requests_are_found_by_connection_code_status_and_time(server, connected):
    api, connection = connected
    first = api.call("GET", f"/v1/connections/{connection}/suppliers?colour=red")
    api.call("GET", "/v1/connections/conn_01m85gjr84fn2tvxyf0ejj4x3j")
    wanted = first.headers["X-Request-Id"]
    wait_until(lambda: api.get("/v1/requests?status=404")["data"], "the log to be stored")

    def ids(**params):
        return [r["id"] for r in api.pages("/v1/requests", **params)]
    assert wanted in ids(connection_id=connection) and wanted in ids(code="INVALID_REQUEST")
    assert wanted in ids(status=4) and wanted in ids(status=400) and wanted not in ids(status=404)
    at = look_up(api, wanted)["at"]
    assert wanted in ids(since=at) and wanted not in ids(until=at)
    assert len(ids(limit=1)) == len(set(ids(limit=1)))
    assert ids(code="SYSTEM_UNREACHABLE") == []
    api.fails("GET", "/v1/requests?connection_id=conn_01m85gjr84fn2tvxyf0ejj4x3j", 404, "NOT_FOUND")
    api.fails("GET", "/v1/requests?status=x", 400, "INVALID_REQUEST")
    api.fails("GET", "/v1/requests/req_01m85gjr84fn2tvxyf0ejj4x3j", 404, "NOT_FOUND")
    # Others see nothing of it, the operator all.
    other = server.api(new_organization(server, "Other"))
    other.fails("GET", f"/v1/requests/{wanted}", 404, "NOT_FOUND")
    other.fails("GET", f"/v1/requests?connection_id={connection}", 404, "NOT_FOUND")
    assert wanted not in [r["id"] for r in other.pages("/v1/requests")]
    assert server.cli("diagnose", wanted, json_output=True)["id"] == wanted


def test_a_token_sees_its_own_connections_requests(server, connected, sim):
    api, connection = connected
    sibling = connect_to(api, sim, name="Sibling", schedule="manual")
    token = server.api(api.post(f"/v1/connections/{connection}/tokens", json={}, status=201)["token"])
    mine = token.call("GET", "/v1/suppliers?colour=red").headers["X-Request-Id"]
    other = api.call("GET", f"/v1/connections/{sibling}/suppliers?colour=red").headers["X-Request-Id"]
    assert look_up(token, mine)["connection_id"] == connection
    token.fails("GET", f"/v1/requests/{other}", 404, "NOT_FOUND")
    token.fails("GET", f"/v1/requests?connection_id={sibling}", 404, "NOT_FOUND")
    wait_until(lambda: any(r["id"] == mine for r in token.pages("/v1/requests")), "the log to be stored")
    assert all(r["connection_id"] == connection for r in token.pages("/v1/requests"))
    assert token.get("/v1/diagnosis")["evidence"]["connection"]["id"] == connection


def test_of_successful_reads_a_sample_is_kept_and_all_else_whole(connected, server):
    api, connection = connected
    read = [api.call("GET", f"/v1/connections/{connection}/suppliers?limit=1").headers["X-Request-Id"]
            for _ in range(200)]
    for _ in range(50):  # anybody's, who pushes nothing out
        server.api().call("GET", "/v1/connections")
    failed = [api.call("GET", f"/v1/connections/{connection}/suppliers?limit=0").headers["X-Request-Id"]
              for _ in range(50)]
    wait_until(lambda: failed[-1] in [r["id"] for r in api.get("/v1/requests?status=4")["data"]], "it to be stored")
    kept = {r["id"] for r in api.pages("/v1/requests", limit=500)}
    assert set(failed) <= kept and len(set(read) & kept) < 200
    text = server.api().call("GET", "/metrics").text
    assert int(re.search(r"penstock_request_log_left_out_total (\d+)", text)[1]) >= 200 - len(set(read) & kept)
    assert re.search(r"penstock_request_log_dropped_total 0\b", text)


@pytest.mark.parametrize("mode, read_is_kept", [("all", True), ("errors", False)])
def test_the_option_request_log(programs, place, mode, read_is_kept):
    server = programs(Server(place, request_log=mode))
    api = server.api(new_organization(server))
    read = [api.call("GET", "/v1/connections").headers["X-Request-Id"] for _ in range(30)]
    failed = api.call("GET", "/v1/connections?x=1").headers["X-Request-Id"]
    wait_until(lambda: failed in [r["id"] for r in api.get("/v1/requests?limit=500")["data"]], "it to be stored")
    kept = {r["id"] for r in api.pages("/v1/requests", limit=500)}
    assert (set(read) <= kept) == read_is_kept and (set(read) & kept == set()) == (not read_is_kept)


def test_the_log_survives_a_stop_and_is_bounded(programs, place):
    server = programs(Server(place, request_log="all", requests_max=1000))
    api = server.api(new_organization(server))
    last = [api.call("GET", "/v1/connections?x=1").headers["X-Request-Id"] for _ in range(1200)][-1]
    server.stop()
    server.start()
    api = server.api(api.token)
    assert look_up(api, last)["code"] == "INVALID_REQUEST"
    wait_until(lambda: len(list(api.pages("/v1/requests", limit=500))) <= 1100, "the oldest to go", 40 * slowness())
    assert look_up(api, last)["id"] == last


def test_calls_show_where_the_time_went_and_no_query(connected):
    api, connection = connected
    found = look_up(api, run_test(api, connection).headers["X-Request-Id"])
    assert found["calls"], found
    for number, call in enumerate(found["calls"], 1):
        assert call["number"] == number and call["status"] == 200 and call["bytes"] > 0
        assert call["times_us"]["total"] >= call["times_us"]["first_byte"] >= 0
        assert "?" not in call["path"] and call["path"].startswith("/PSIGW/")


def test_a_scheduled_sync_shows_its_calls(server, api, sim):
    """No request stands behind it: they are found by the sync."""
    connection = connect_to(api, sim, schedule="1d", entities=["suppliers"])
    sync = wait_sync(api, connection)
    assert sync["trigger"] == "initial" and sync["status"] == "completed", sync
    found = says(api.get(f"/v1/connections/{connection}/syncs/{sync['id']}/diagnosis"), "none", "worked")
    assert found["calls"], found
    assert [call["number"] for call in found["calls"]] == list(range(1, len(found["calls"]) + 1))
    assert all(call["status"] == 200 and call["path"].startswith("/PSIGW/") for call in found["calls"])
    text = server.cli("diagnose", sync["id"]).stdout
    assert "TOTAL (us)" in text and text.count("/PSIGW/") == len(found["calls"]), text


def test_a_sync_is_diagnosed_by_its_id_alone(server, connected, sim):
    """Without asking any connection whether it is its own: one request, and none that fails."""
    api, connection = connected
    for i in range(3):
        a_connection(api, dead_url(), name=f"Other {i}")
    sync = synced(api, connection)["id"]
    found = server.cli("diagnose", sync, json_output=True)
    for path in (f"/v1/connections/{connection}/syncs/{sync}/diagnosis", f"/v1/syncs/{sync}/diagnosis"):
        same = api.get(path)
        assert [same[name] for name in ("scope", "cause", "calls")] == ["none", "worked", found["calls"]], path
    def logged():
        api.get(f"/v1/syncs/{sync}/diagnosis")  # of reads that succeed a sample is kept
        return [r for r in api.pages("/v1/requests", limit=500) if r["operation"] == "diagnoseAnySync"]
    stored = wait_until(logged, "the log to be stored", 20 * slowness(), every=1)
    assert stored and all(r["sync_id"] == sync and r["connection_id"] == connection for r in stored)
    assert not [r for r in api.pages("/v1/requests", limit=500) if r["status"] == 404]
    # Others' syncs are not there, nor is what a token's connection does not have.
    server.api(new_organization(server, "Other")).fails("GET", f"/v1/syncs/{sync}/diagnosis", 404, "NOT_FOUND")
    sibling = connect_to(api, sim, name="Sibling", schedule="manual")
    for mine, status in ((connection, 200), (sibling, 404)):
        token = server.api(api.post(f"/v1/connections/{mine}/tokens", json={}, status=201)["token"])
        assert token.call("GET", f"/v1/syncs/{sync}/diagnosis").status_code == status
    unknown = server.cli("diagnose", "sync_01m85gjr84fn2tvxyf0ejj4x3j", check=False)
    assert unknown.returncode == 66 and "there is no sync" in unknown.stderr


def test_a_cancelled_sync_shows_its_calls(api, programs, place):
    slow = programs(Simulator(place / "slow", orders=400))
    fault(slow, "slow", ms=60000, query="PST_PURCHASE_ORDERS")
    connection = connect_to(api, slow, schedule="manual")
    path = f"/v1/connections/{connection}/syncs"
    sync = api.get(path)["data"][0]["id"]
    wait_until(lambda: api.get(f"{path}/{sync}/diagnosis")["calls"], "its first calls", 30 * slowness())
    api.post(f"{path}/{sync}/cancel", status=200)
    slow.control("DELETE", "/sim/faults")
    wait_sync(api, connection, sync)
    found = says(api.get(f"{path}/{sync}/diagnosis"), "request", "cancelled")
    assert found["calls"], found


# ---- traces ----

def test_a_trace_is_continued_upstream(api):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with Answering(404) as system:
        connection = a_connection(api, system.url)
        wait_sync(api, connection)
        system.seen.clear()
        response = api.call("POST", f"/v1/connections/{connection}/test", headers={
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "rojo=00f067aa0ba902b7"})
        seen = [dict((k.lower(), v) for k, v in each.items()) for each in system.seen]
    assert seen
    for each in seen:
        assert re.fullmatch(f"00-{trace}-[0-9a-f]{{16}}-01", each["traceparent"]), each
        assert "00f067aa0ba902b7" not in each["traceparent"] and each["tracestate"] == "rojo=00f067aa0ba902b7"
    assert len({each["traceparent"] for each in seen}) == len(seen), "each call is a span of its own"
    assert look_up(api, response.headers["X-Request-Id"])["trace_id"] == trace


@pytest.mark.parametrize("bad", ["", "nonsense", "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
                                 "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
                                 "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                 "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                                 "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"])
def test_a_broken_trace_begins_a_new_one(api, bad):
    with Answering(404) as system:
        connection = a_connection(api, system.url)
        wait_sync(api, connection)
        system.seen.clear()
        response = api.call("POST", f"/v1/connections/{connection}/test", headers={"traceparent": bad})
        sent = [each.get("traceparent") for each in system.seen]
    trace = look_up(api, response.headers["X-Request-Id"])["trace_id"]
    assert trace != "4bf92f3577b34da6a3ce929d0e0e4736" and trace != "0" * 32
    assert sent and all(each.split("-")[1] == trace for each in sent)


# ---- the detector and incidents ----

def page(server, path="/status.json", **headers):
    response = server.api().session.get(server.url + path, headers=headers, timeout=10 * slowness())
    assert response.status_code == 200, response.text
    return response


def component(shown, name):
    return next(c for c in shown["components"] if c["name"] == name)


def page_says(server, name, status):
    shown = page(server).json()
    return shown if component(shown, name)["status"] == status else None


def incidents(server, *more):
    return server.cli("incidents", *more, json_output=True)["data"]


@pytest.fixture
def watching(programs, place):
    """A server whose detector is quick."""
    return programs(Server(place, incident_after="1s", incident_quiet="1s"))


@pytest.mark.threads
def test_an_incident_begins_and_ends_by_itself(watching, programs, place):
    sim = programs(Simulator(place / "sim"))
    api = watching.api(new_organization(watching))
    other = watching.api(new_organization(watching, "Other"))
    connections = [connect_to(api, sim, name=f"C{i}", schedule="manual", entities=["suppliers"]) for i in range(4)]
    for c in connections:
        wait_sync(api, c)
    fault(sim, "503")
    for c in connections:
        run_test(api, c)
    found = wait_until(lambda: incidents(watching, "--open"), "an incident", 20 * slowness())
    assert len(found) == 1 and found[0]["kind"] == "host" and found[0]["subject"] == "127.0.0.1", found
    assert found[0]["components"] == ["connector:peoplesoft"] and found[0]["affected"] >= 3
    shown = wait_until(lambda: page_says(watching, "connector:peoplesoft", "degraded"), "the page to say so")
    assert [i["id"] for i in shown["incidents"]] == [found[0]["id"]] and shown["status"] == "degraded"
    # Those concerned are told, and nobody else.
    assert told(watching, "system.error") == [("Test", found[0]["id"])]
    assert other.token
    # It goes on over a restart, and is not opened twice.
    watching.stop()
    watching.start()
    assert [i["id"] for i in incidents(watching, "--open")] == [found[0]["id"]]
    api = watching.api(api.token)
    sim.control("DELETE", "/sim/faults")
    for c in connections:
        run_test(api, c)
    wait_until(lambda: not incidents(watching, "--open"), "it to be over", 20 * slowness())
    ended = incidents(watching)
    assert len(ended) == 1 and [u["state"] for u in ended[0]["updates"]] == ["investigating", "resolved"]
    wait_until(lambda: page_says(watching, "connector:peoplesoft", "ok"), "the page to calm down")


def told(server, kind):
    """(organization, incident) of events, from the store itself."""
    import sqlite3
    with sqlite3.connect(f"file:{server.data}/penstock.db?mode=ro", uri=True) as db:
        rows = db.execute("SELECT o.name, e.body FROM event e JOIN organization o ON o.pk = e.organization_pk"
                          " WHERE e.type = ?", (kind,)).fetchall()
    return [(name, re.search(r"inc_[0-9a-z]{26}", body)[0]) for name, body in rows if "inc_" in body]


def test_people_open_update_and_close_incidents(server):
    new_organization(server)
    made = server.cli("incidents", "open", "Slow <b>answers</b>", "--text", "We look & see.", "--components",
                      "api,connector:peoplesoft", "--impact", "down", json_output=True)
    shown = wait_until(lambda: page_says(server, "api", "down"), "the page to say so")
    assert shown["incidents"][0]["title"] == "Slow <b>answers</b>" and shown["status"] == "down"
    html = page(server, "/status").text
    assert "Slow &lt;b&gt;answers&lt;/b&gt;" in html and "We look &amp; see." in html and "<b>answers" not in html
    server.cli("incidents", "update", made["id"], "A disk is being replaced.", "--state", "monitoring")
    closed = server.cli("incidents", "close", made["id"], "Replaced.")
    assert (closed.stdout, closed.stderr) == (made["id"] + "\n", "state: resolved\n")  # a script takes the id as it is
    again = server.cli("incidents", "close", made["id"], check=False)
    assert again.returncode == 65 and "closed already" in again.stderr
    assert incidents(server, "--open") == [] and len(incidents(server)) == 1
    shown = wait_until(lambda: page_says(server, "api", "ok"), "the page to calm down")
    assert [u["state"] for u in shown["incidents"][0]["updates"]] == ["investigating", "monitoring", "resolved"]
    assert all("actor" not in u for u in shown["incidents"][0]["updates"])
    for arguments in (("open", "x", "--components", "nothing"), ("open", ""), ("update", "inc_x", "text"),
                      ("close", "inc_01m85gjr84fn2tvxyf0ejj4x3j")):
        assert server.cli("incidents", *arguments, check=False).returncode in (64, 66), arguments


def test_incidents_are_the_operators(api):
    for method, path in (("GET", "/v1/incidents"), ("POST", "/v1/incidents")):
        api.fails(method, path, 403, "PERMISSION_DENIED", **({"json": {"title": "x"}} if method == "POST" else {}))


# ---- the status page ----

def test_the_status_page_in_all_its_forms(server):
    html = page(server, "/status", Accept="text/html")
    assert html.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script" not in html.text and "http://" not in html.text.replace("http://www.w3.org", "")
    policy = html.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert html.headers["Cache-Control"].startswith("public, max-age=")
    assert re.findall(r'style="', html.text) == [], "the policy allows no style attributes"
    for title in ("API", "Sync engine", "Webhooks", "Oracle PeopleSoft"):
        assert title in html.text
    as_json = page(server, "/status", Accept="application/json")
    assert as_json.headers["Content-Type"] == "application/json" and as_json.headers["Vary"] == "Accept"
    shown = page(server).json()
    assert [c["name"] for c in shown["components"]] == ["api", "sync", "webhooks", "connector:peoplesoft"]
    assert all(len(c["days"]) == 90 for c in shown["components"])
    feed = xml.etree.ElementTree.fromstring(page(server, "/status.atom").content)
    assert feed.tag == "{http://www.w3.org/2005/Atom}feed"
    session = server.api().session
    again = session.get(server.url + "/status", headers={"If-None-Match": page(server, "/status").headers["ETag"]})
    assert again.status_code in (200, 304)  # drawn anew in between it is another one
    assert session.head(server.url + "/status").headers["Content-Type"].startswith("text/html")
    assert session.post(server.url + "/status").status_code == 405


def test_the_time_without_the_server_is_down(server):
    """Two hours, as the store has it: on the page from the start on, and not of the connectors."""
    import sqlite3
    import time
    new_organization(server)
    server.stop()
    with sqlite3.connect(server.data / "penstock.db") as db:
        known, = db.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'status.seen'").fetchone()
        assert known <= time.time() * 1e6
        db.execute("UPDATE meta SET value = CAST(? AS BLOB) WHERE name = 'status.seen'", (str(known - 7200 * 10**6),))
    server.start()
    shown = wait_until(lambda: page(server).json(), "the first picture")
    for name, is_down in (("api", True), ("sync", True), ("webhooks", True), ("connector:peoplesoft", False)):
        down = sum(day["down_seconds"] for day in component(shown, name)["days"])
        assert down >= 7200 if is_down else down == 0, (name, down)
        assert component(shown, name)["status"] == "ok"
    assert float(component(shown, "api")["uptime_percent"]) < 99
    assert ", down for " in page(server, "/status").text


def test_the_status_page_tells_nothing_of_customers(watching, programs, place):
    sim = programs(Simulator(place / "sim"))
    mark = "quartz-otter-5kd81"
    api = watching.api(new_organization(watching, f"org {mark}"))
    connections = [connect_to(api, sim, name=f"{mark} {i}", schedule="manual") for i in range(4)]
    for c in connections:
        wait_sync(api, c)
    fault(sim, "503")
    for c in connections:
        run_test(api, c)
    wait_until(lambda: page_says(watching, "connector:peoplesoft", "degraded"), "the incident on the page", 30)
    for path in ("/status", "/status.json", "/status.atom"):
        text = page(watching, path).text
        assert mark not in text and "127.0.0.1" not in text and str(sim.port) not in text
        assert not re.search(r"\b(org|conn|sync|req|key)_[0-9a-z]{26}", text)


def test_the_page_of_causes_is_whole():
    """docs/diagnosis.md has every cause of the table, with its words."""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    rows = re.findall(r'^X\(\w+, "(\w+)", \w+, "(.*?)", "(.*?)"\)$', (root / "src/health/causes.def").read_text(), re.M)
    shown = (root / "docs/diagnosis.md").read_text()
    assert len(rows) > 25
    for name, title, advice in rows:
        assert f"| `{name}` |" in shown and f"| {title} | {advice} |" in shown, name
