"""Every public error code, provoked. The table is held against src/base/errors.def: a code that is
new there fails here until a test provokes it, or a reason says why none does."""
import http.client
import json
import re
import resource
import socket
import sqlite3
import types

import pytest

from harness import Server, Simulator, programs, wait_until
from harness.api import check_problem
from harness.programs import sanitizer_reports, slowness
from harness.setup import connect_to, connection_body, new_organization, start_sync, synced, wait_sync

DEF = (programs.ROOT / "src/base/errors.def").read_text()
ROW = re.compile(r'^X\(\w+, "(\w+)", (\w+), (\w+), (\d+), (\d+), "([^"]+)"\)$', re.M)
ORIGINS = {"REQUEST": "request", "PENSTOCK": "penstock", "SYSTEM": "connected_system"}
NOBODY = "conn_01m85gjr84fn2tvxyf0ejj4x3j"


def table():
    """{code: rows of it}, each (origin, retry, exit, http, title)."""
    rows = {}
    for code, *row in ROW.findall(DEF):
        rows.setdefault(code, []).append(row)
    assert sum(map(len, rows.values())) == len(re.findall(r"^X\(", DEF, re.M))
    return rows


# ---- what provokes them: {code: function of the world that gives the answer} ----

PROVOKED = {}


def provokes(code):
    def note(function):
        assert code not in PROVOKED
        PROVOKED[code] = function
        return function
    return note


# Codes that nothing public gives yet.
NOT_YET = {
    "EVENTS_DROPPED": "told as an event after as long as events are kept: tests/unit/app/care_test.c",
    "IDEMPOTENCY_MISMATCH": "writes to connected systems come later",
    "OUTCOME_UNKNOWN": "writes to connected systems come later",
    "SYSTEM_REJECTED": "writes to connected systems come later",
    "WEBHOOK_DISABLED": "tests/e2e of webhooks provoke it with the API of webhooks",
}


class Told:
    """A code that is told of something else than the request: of a sync, a check, a command."""

    def __init__(self, code):
        self.code = code


def raw(w, text):
    """What a server answers to these bytes."""
    with socket.create_connection(("127.0.0.1", w.server.port), timeout=20 * slowness()) as link:
        link.sendall(text)
        answer = http.client.HTTPResponse(link)
        answer.begin()
        return types.SimpleNamespace(status_code=answer.status, headers=answer.headers, body=answer.read())


def as_operator(w, method, path, body):
    link = http.client.HTTPConnection("localhost")
    link.sock = socket.socket(socket.AF_UNIX)
    link.sock.connect(str(w.server.data / "penstock.sock"))
    link.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
    answer = link.getresponse()
    return types.SimpleNamespace(status_code=answer.status, headers=answer.headers, body=answer.read())


@provokes("INVALID_REQUEST")
def a_parameter_that_is_none(w):
    return w.api.call("GET", "/v1/connections?limit=many")


@provokes("AUTHENTICATION_FAILED")
def no_key(w):
    return w.server.api().call("GET", "/v1/connections")


@provokes("CREDITS_EXHAUSTED")
def too_few_credits(w):
    w.server.cli("organizations", "update", "Test", "--credits", "0")
    try:
        made = w.api.post("/v1/connections", json=connection_body(w.sim), status=201)
        return w.api.call("PATCH", f"/v1/connections/{made['id']}", json={"enabled": True})
    finally:
        w.server.cli("organizations", "update", "Test", "--credits", "unlimited")


@provokes("PERMISSION_DENIED")
def what_is_the_operators(w):
    return w.api.call("GET", "/v1/organizations")


@provokes("NOT_FOUND")
def no_such_connection(w):
    return w.api.call("GET", f"/v1/connections/{NOBODY}")


@provokes("METHOD_NOT_ALLOWED")
def another_method(w):
    return w.api.call("PUT", "/v1/connections", json={})


@provokes("REQUEST_TIMEOUT")
def half_a_head(w):
    return raw(w, b"GET /v1/connections HTTP/1.1\r\nHost: x\r\n")


@provokes("CONFLICT")
def a_name_that_is_taken(w):
    return as_operator(w, "POST", "/v1/organizations", {"name": "Test"})


@provokes("SYNC_IN_PROGRESS")
def a_second_sync(w):
    w.sim.control("POST", "/sim/latency", json={"ms": 400})
    try:
        first = start_sync(w.api, w.connection)
        return w.api.call("POST", f"/v1/connections/{w.connection}/syncs", json={})
    finally:
        w.api.post(f"/v1/connections/{w.connection}/syncs/{first}/cancel")
        w.sim.control("POST", "/sim/latency", json={})
        wait_sync(w.api, w.connection, first)


@provokes("CONNECTION_INACTIVE")
def a_sync_of_what_is_switched_off(w):
    made = connect_to(w.api, w.sim, enabled=False)
    return w.api.call("POST", f"/v1/connections/{made}/syncs", json={})


@provokes("REAUTHORIZATION_REQUIRED")
def a_sync_with_a_wrong_password(w):
    made = connect_to(w.api, w.sim, credentials={"username": w.sim.USER, "password": "wrong"})
    wait_until(lambda: w.api.get(f"/v1/connections/{made}")["status"] == "authentication_required", "the refusal",
               20 * slowness())
    return w.api.call("POST", f"/v1/connections/{made}/syncs", json={})


@provokes("CHANGES_EXPIRED")
def changes_that_are_gone(w):
    return w.api.call("GET", f"/v1/connections/{w.expired}/changes?after=0")


@provokes("PAYLOAD_TOO_LARGE")
def a_body_without_end(w):
    return w.api.call("POST", "/v1/keys", json={"name": "x" * (1 << 20)})


@provokes("URI_TOO_LONG")
def an_address_without_end(w):
    return w.api.call("GET", "/v1/connections?cursor=" + "x" * 9000)


@provokes("UNSUPPORTED_MEDIA_TYPE")
def a_body_that_is_no_json(w):
    return w.api.call("POST", "/v1/keys", data="name=x", headers={"Content-Type": "text/plain"})


@provokes("EXPECTATION_FAILED")
def an_expectation(w):
    return raw(w, b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\n{}")


@provokes("RATE_LIMIT_EXCEEDED")
def one_request_too_many(w):
    for _ in range(3):
        answer = w.limited.call("GET", "/v1/keys")
    return answer


@provokes("HEADERS_TOO_LARGE")
def a_header_without_end(w):
    return w.api.call("GET", "/v1/connections", headers={"X-More": "x" * 20000})


@provokes("UNKNOWN_METHOD")
def a_method_nobody_knows(w):
    return raw(w, b"BREW /v1/connections HTTP/1.1\r\nHost: x\r\n\r\n")


@provokes("HTTP_VERSION_NOT_SUPPORTED")
def another_protocol(w):
    return raw(w, b"GET /v1/connections HTTP/2.0\r\nHost: x\r\n\r\n")


@provokes("NOT_SUPPORTED")
def a_connector_of_another_build(w):
    return w.api.call("GET", f"/v1/connections/{w.unknown}/sync-status")


@provokes("INTERNAL_ERROR")
def a_store_that_cannot_be_written(w):
    resource.prlimit(w.doomed.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    return w.doomed.api(w.doomed_key).call("POST", "/v1/keys", json={"name": "x", "role": "viewer"})


@provokes("SERVICE_UNAVAILABLE")
def a_server_that_is_not_ready(w):
    PROVOKED["INTERNAL_ERROR"](w)
    api = w.doomed.api()
    wait_until(lambda: api.call("GET", "/readyz").status_code == 503, "not to be ready", 20 * slowness())
    return api.call("GET", "/readyz")


@provokes("CANCELLED")
def a_question_that_nobody_answers(w):
    done = w.server.cli("connections", "delete", w.connection, "--json", check=False)
    assert done.returncode == 75
    return Told(json.loads(done.stderr)["code"])


@provokes("DELETE_GUARD")
def too_much_is_missing(w):
    w.sim.change("delete", "work_orders", w.sim.count("PST_WORK_ORDERS") // 2)
    sync = synced(w.api, w.connection, "full", ["work_orders"])
    return Told(sync["entities"][0]["error"]["code"])


@provokes("ADDRESS_NOT_ALLOWED")
def an_address_of_the_link(w):
    return failed_check(w, connect_to(w.api, w.sim, config={"base_url": "http://169.254.1.1"}))


@provokes("SYSTEM_ERROR")
def a_query_that_fails(w):
    w.sim.control("POST", "/sim/faults", json={"kind": "500", "query": "PST_ITEMS"})
    try:
        return Told(synced(w.api, w.connection, "full", ["items"])["entities"][0]["error"]["code"])
    finally:
        w.sim.control("DELETE", "/sim/faults")


@provokes("SYSTEM_UNREACHABLE")
def an_address_where_nobody_is(w):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        return failed_check(w, connect_to(w.api, w.sim, config={"base_url": f"http://127.0.0.1:{closed.getsockname()[1]}"}))


def failed_check(w, connection):
    checks = w.api.post(f"/v1/connections/{connection}/test", json={})["checks"]
    return Told(next(c["code"] for c in checks if not c["ok"]))


# ---- the world ----

@pytest.fixture(scope="module")
def world(tmp_path_factory):
    place = tmp_path_factory.mktemp("errors")
    sim = Simulator(place / "sim", orders=40).start()
    server = Server(place / "main", head_timeout="700ms")
    limited = Server(place / "limited", rate_limit_key=2)
    doomed = Server(place / "doomed")
    try:
        w = types.SimpleNamespace(server=server.start(), limited=limited.start(), doomed=doomed.start(), sim=sim)
        w.api = server.api(new_organization(server))
        w.connection, w.expired, w.unknown = (connect_to(w.api, sim, schedule="manual") for _ in range(3))
        for connection in (w.connection, w.expired, w.unknown):
            assert wait_sync(w.api, connection)["status"] == "completed"
        with_edited_store(w)
        w.limited = limited.api(new_organization(limited))
        w.doomed_key = new_organization(doomed)
        yield w
        server.stop(expect=0)
        limited.stop(expect=0)
        assert not sanitizer_reports(place)
    finally:
        for program in (server, limited, doomed, sim):
            program.kill()


def with_edited_store(w):
    """What takes a month, or another build."""
    w.server.stop()
    with sqlite3.connect(w.server.data / "penstock.db") as store:
        pks = [pk for pk, in store.execute("SELECT pk FROM connection ORDER BY pk")]
        store.execute("DELETE FROM change WHERE connection_pk = ? AND seq < 10", (pks[1],))
        store.execute("UPDATE connection SET connector = 'other' WHERE pk = ?", (pks[2],))
    store.close()
    w.server.start()
    w.api = w.server.api(w.api.token)


# ---- the table is whole, and each is what it says ----

def test_every_public_code_is_provoked_or_has_a_reason():
    codes = set(table())
    assert set(PROVOKED) | set(NOT_YET) == codes, codes ^ (set(PROVOKED) | set(NOT_YET))
    assert not set(PROVOKED) & set(NOT_YET), "a reason that is none any more"


@pytest.mark.parametrize("code", sorted(PROVOKED))
def test_it_is_told_as_the_table_says(world, code):
    answer = PROVOKED[code](world)
    if isinstance(answer, Told):
        assert answer.code == code
        return
    if hasattr(answer, "body"):
        answer.text, answer.json = answer.body.decode(), lambda: json.loads(answer.body)
    assert answer.status_code >= 400, answer.text
    problem = check_problem(answer)
    assert problem["code"] == code, problem
    rows = [row for row in table()[code] if int(row[3]) == answer.status_code and row[4] == problem["title"]]
    assert rows, (problem, table()[code])
    origin, retry, *_ = rows[0]
    assert problem["origin"] == ORIGINS[origin]
    assert problem["retryable"] == (retry in ("LATER", "BACKOFF"))
    if "Retry-After" in answer.headers:
        assert int(answer.headers["Retry-After"]) == problem["retry_after"] > 0
    assert problem["type"] == problem["docs"] == "/docs/errors/" + code.lower().replace("_", "-")
    known = world.server.api().get("/v1/openapi.json")["components"]["schemas"]["Problem"]
    assert set(problem) <= set(known["properties"]) and set(known["required"]) <= set(problem)


@pytest.mark.parametrize("code", sorted(table()))
def test_it_has_a_page(world, code):
    page = world.server.api().call("GET", "/docs/errors/" + code.lower().replace("_", "-"))
    assert page.status_code == 200 and code in page.text and table()[code][0][4] in page.text
    assert f"HTTP status {table()[code][0][3]}" in page.text
    assert f"`{code}` | {table()[code][0][3]} |" in (programs.ROOT / "docs/errors.md").read_text()
