"""The walls between organizations: every operation of the server's own table, every kind of
caller, ids that are its own, another organization's, nobody's, and no ids at all.

The table is read from src/api/routes.c and held against OpenAPI, so that a new operation is in by
itself, and fails here until EXPECTED says who may use it. What another organization has is answered
like what does not exist, shows no byte of it, and stays as it is."""
import contextlib
import http.client
import json
import re
import socket
import sqlite3
import types
import urllib.parse

import pytest

from harness import Server, Simulator, programs, wait_until
from harness.programs import sanitizer_reports, slowness
from harness.setup import connection_body, new_organization, synced, wait_sync

ROUTES = programs.ROOT / "src/api/routes.c"
ID = re.compile(r"\b(?:org|conn|sync|key|rec|whk|dlv|evt|req|inc)_[0-9a-z]{26}\b")
KEY = re.compile(r"\b(?:psk|pct)_[0-9a-z]{30,}|\bwhs(?:ec|k)_")
MARK = {"a": "quartz-otter-5kd81", "b": "velvet-heron-93xq7"}
ABSENT = "01m85gjr84fn2tvxyf0ejj4x3j"
PREFIX = {"connection_id": "conn_", "sync_id": "sync_", "record_id": "rec_", "key_id": "key_",
          "organization_id": "org_", "webhook_id": "whk_", "delivery_id": "dlv_", "event_id": "evt_",
          "request_id": "req_", "incident_id": "inc_"}
MALFORMED = ["nothing", "{prefix}", "{prefix}" + ABSENT[:-1], "{prefix}" + ABSENT + "0", "{prefix}" + "u" * 26,
             "%27%20OR%201%3D1--", "..%2f..", "%F0%9F%A6%93", "1", "x" * 2000]
RANKS = ["viewer", "developer", "admin"]


# ---- what is expected: one row per operation of the table ----

class Expect:
    """who: public, operator, or the lowest role; token: connection tokens may; status: of success
    with the caller's own ids. own(world, org): (more ids, body, query) for that success."""

    def __init__(self, who, status=200, token=False, own=None, body=None):
        self.who, self.status, self.token, self.body = who, status, token, body
        self.own = own or (lambda w, org: ({}, body, ""))


def own_record(w, org):
    return {"record_id": w.orgs[org].records[w.entity]}, None, ""


def a_disposable(w, org, **more):
    """A connection of the organization that may be deleted."""
    made = w.orgs[org].admin.json("POST", "/v1/connections", w.body(org, name="disposable", **more), 201)
    return made["id"]


def deletable_connection(w, org):
    return {"connection_id": a_disposable(w, org)}, None, ""


def deletable_key(w, org):
    return {"key_id": w.orgs[org].admin.json("POST", "/v1/keys", {"name": "x", "role": "viewer"}, 201)["id"]}, None, ""


def deletable_token(w, org):
    path = f"/v1/connections/{w.orgs[org].connection}/tokens"
    return {"key_id": w.orgs[org].admin.json("POST", path, {}, 201)["id"]}, None, ""


def idle_sync(w, org):
    o = w.orgs[org]
    path = f"/v1/connections/{o.connection}/syncs"
    while any(s["status"] in ("queued", "running") for s in o.admin.json("GET", path + "?limit=5")["data"]):
        pass
    return {}, {"entities": ["suppliers"]}, ""


def new_name(w, org):
    w.counter += 1
    return {}, {"name": f"new {w.counter}"}, ""


def backup_path(w, org):
    w.counter += 1
    return {}, {"path": str(w.server.data / f"walls-{w.counter}.db")}, ""


def hook_body(**more):
    return {"url": "https://hooks.example.com/made", "enabled": False, **more}


def deletable_hook(w, org):
    return {"webhook_id": w.orgs[org].admin.json("POST", "/v1/webhooks", hook_body(), 201)["id"]}, None, ""


def deletable_connection_hook(w, org):
    path = f"/v1/connections/{w.orgs[org].connection}/webhooks"
    return {"webhook_id": w.orgs[org].admin.json("POST", path, hook_body(), 201)["id"]}, None, ""


def a_hook_that_is_on(w, org):
    made = w.orgs[org].admin.json("POST", "/v1/webhooks", hook_body(enabled=True, events=[]), 201)
    return {"webhook_id": made["id"]}, None, ""


EXPECTED = {
    "list": Expect("viewer", token=True),
    "get": Expect("viewer", token=True, own=own_record),
    "listChanges": Expect("viewer", token=True),
    "listConnections": Expect("viewer"),
    "createConnection": Expect("developer", 201, own=lambda w, org: ({}, w.body(org, name="made"), "")),
    "getConnection": Expect("viewer", token=True),
    "updateConnection": Expect("developer", body={"metadata": {"seen": "yes"}}),
    "deleteConnection": Expect("admin", 204, own=deletable_connection),
    "testConnection": Expect("developer"),
    "listHistory": Expect("viewer", token=True),
    "listEntities": Expect("viewer", token=True),
    "listRejected": Expect("viewer", token=True),
    "listConnectors": Expect("viewer"),
    "listSyncs": Expect("viewer", token=True),
    "createSync": Expect("developer", 202, token=True, own=idle_sync, body={"entities": ["suppliers"]}),
    "getSync": Expect("viewer", token=True),
    "cancelSync": Expect("developer", token=True),
    "getSyncStatus": Expect("viewer", token=True),
    "listWebhooks": Expect("viewer"),
    "createWebhook": Expect("developer", 201, body=hook_body()),
    "getWebhook": Expect("viewer"),
    "updateWebhook": Expect("developer", body={"description": "seen"}),
    "deleteWebhook": Expect("developer", 204, own=deletable_hook),
    "rotateWebhookSecret": Expect("developer"),
    "testWebhook": Expect("developer", 202, own=a_hook_that_is_on),
    "resendDeliveries": Expect("developer", 202, body={"since": "2026-01-01T00:00:00Z"}),
    "listDeliveries": Expect("viewer"),
    "getDelivery": Expect("viewer"),
    "resendDelivery": Expect("developer", 202),
    "listConnectionWebhooks": Expect("viewer"),
    "createConnectionWebhook": Expect("developer", 201, body=hook_body()),
    "getConnectionWebhook": Expect("viewer"),
    "updateConnectionWebhook": Expect("developer", body={"description": "seen"}),
    "deleteConnectionWebhook": Expect("developer", 204, own=deletable_connection_hook),
    "listEvents": Expect("viewer"),
    "getEvent": Expect("viewer"),
    "listEventTypes": Expect("viewer"),
    "getCredits": Expect("viewer"),
    "listCreditEntries": Expect("viewer"),
    "listRequests": Expect("viewer", token=True),
    "getRequest": Expect("viewer", token=True),
    "diagnoseConnection": Expect("viewer", token=True),
    "diagnoseSync": Expect("viewer", token=True),
    "diagnoseAnySync": Expect("viewer", token=True),
    "listIncidents": Expect("operator"),
    "createIncident": Expect("operator", 201, body={"title": "made"}),
    "getIncident": Expect("operator"),
    "updateIncident": Expect("operator", body={"title": "changed"}),
    "addIncidentUpdate": Expect("operator", 201, body={"state": "monitoring", "text": "looked at"}),
    "listTokens": Expect("admin"),
    "createToken": Expect("admin", 201, body={"name": "made"}),
    "revokeToken": Expect("admin", 204, own=deletable_token),
    "listKeys": Expect("admin"),
    "createKey": Expect("admin", 201, body={"name": "made", "role": "viewer"}),
    "revokeKey": Expect("admin", 204, own=deletable_key),
    "listAudit": Expect("admin"),
    "listOrganizations": Expect("operator"),
    "createOrganization": Expect("operator", 201, own=new_name, body={"name": "never made"}),
    "getOrganization": Expect("operator"),
    "updateOrganization": Expect("operator", own=lambda w, org: ({}, {"credits": None}, ""), body={"credits": 7}),
    "getServer": Expect("operator"),
    "createBackup": Expect("operator", 201, own=backup_path, body={"path": "/nowhere/never-made.db"}),
    "getOpenapi": Expect("public"),
    "getHealth": Expect("public"),
    "getReadiness": Expect("public"),
    "getMetrics": Expect("public"),
    "getDocs": Expect("public"),
    "getErrorPage": Expect("public"),
}


# ---- the table ----

def routes():
    """{(method, path): (operation id, flags)} of the server's table."""
    text = ROUTES.read_text()
    prefix = re.search(r'#define CONNECTION "([^"]+)"', text)[1]
    table = text[text.index("pst_api_ops[] = {"):]
    entries = re.split(r"\{PST_METHOD_", table)[1:]
    found = {}
    for entry in entries:
        head = re.match(r'(\w+),\s*(CONNECTION\s*)?(?:"([^"]*)")?\s*,', entry)
        flags = set(re.findall(r"PST_OP_(\w+)", entry))
        words = re.findall(r'"([^"]*)"', entry)
        tag = next(i for i, word in enumerate(words) if word in ("Records", "Connections", "Syncs", "Webhooks",
                                                                 "Access", "Requests", "Operator", "Service"))
        found[head[1], (prefix if head[2] else "") + (head[3] or "")] = (words[tag + 1], flags)
    assert len(found) == len(entries)
    return found


def template_of(path, table, method):
    """The table's path of a path in OpenAPI, which has records' operations once per entity."""
    if (method, path) in table:
        return path
    return re.sub(r"^(/v1/connections/{connection_id}/)[a-z-]+", r"\1{entities}", path)


class Operation:
    def __init__(self, method, path, name, flags, entity):
        self.method, self.path, self.name, self.flags, self.entity = method, path, name, flags, entity
        self.expect = EXPECTED[name]
        self.short = path.startswith("/v1/") and "SHORT" in flags and "{connection_id}" not in path

    def __repr__(self):
        return f"{self.method} {self.path}"


def operations(spec):
    table = routes()
    for path, methods in spec["paths"].items():
        for method in methods:
            method = method.upper()
            name, flags = table[method, template_of(path, table, method)]
            entity = path.split("/")[4] if "ENTITY" in flags else None
            yield Operation(method, path, name, flags, entity)
            if "SHORT" in flags:
                yield Operation(method, path.replace("/connections/{connection_id}", ""), name, flags, entity)


# ---- callers ----

class Answer:
    def __init__(self, response, sent):
        self.status, self.headers, self.sent = response.status, response.getheaders(), sent
        self.body = response.read()

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def text(self):
        return self.body.decode()

    def shown(self):
        """All that came, as text."""
        return "\n".join(f"{key}: {value}" for key, value in self.headers) + "\n" + self.text()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60 * slowness())
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Caller:
    """name: of the kind; org: whose (None: nobody's); role: or None; connection: of a token."""

    def __init__(self, world, name, org=None, role=None, headers=None, connection=None, operator=False):
        self.name, self.org, self.role, self.headers = name, org, role, headers or {}
        self.connection, self.operator = connection, operator
        self.path = world.server.data / "penstock.sock" if operator else None
        self.port = world.server.port
        self.link = None

    def __repr__(self):
        return self.name

    def call(self, method, target, body=None, headers=None):
        if self.link is None:
            self.link = UnixConnection(self.path) if self.operator else \
                http.client.HTTPConnection("127.0.0.1", self.port, timeout=60 * slowness())
        text = json.dumps(body) if body is not None else None
        more = {"Content-Type": "application/json"} if text else {}
        try:
            self.link.request(method, target, text, {**self.headers, **more, **(headers or {})})
            return Answer(self.link.getresponse(), target + (text or ""))
        except (http.client.HTTPException, OSError):
            self.link.close()
            self.link = None
            raise

    def json(self, method, target, body=None, status=200):
        answer = self.call(method, target, body)
        assert answer.status == status, (self, method, target, answer.text()[:500])
        return json.loads(answer.body) if answer.body else None


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# ---- two organizations, each full of its mark ----

def organization(w, name, sim):
    """With a synced connection, a second one, a deleted one, keys of each role, tokens, revoked ones."""
    mark = MARK[name]
    admin = Caller(w, f"{name} admin", name, "admin", bearer(new_organization(w.server, f"org {mark}")))
    o = types.SimpleNamespace(admin=admin, sim=sim, callers={}, dead=[])
    w.orgs[name] = o
    sim.change("change", "suppliers", 6, set={"A.NAME1": f"supplier {mark}"})
    sim.change("change", "items", 6, set={"A.DESCR60": f"item {mark}"})
    sim.change("change", "purchase_orders", 6, set={"A.CUSTOM_C100_A1": f"order {mark}"})
    sim.change("change", "work_orders", 6, set={"A.DESCR": mark})
    if name == "b":
        sim.change("add", "items", 1)  # one that nobody else has
    sim.control("POST", "/sim/faults", json={"kind": "bad_number", "query": "PST_PURCHASE_ORDERS", "row": 1})
    o.connection, o.sibling, o.deleted = (
        admin.json("POST", "/v1/connections", w.body(name, name=f"{kind} {mark}"), 201)["id"]
        for kind in ("main", "sibling", "deleted"))
    api = w.server.api(admin.headers["Authorization"][7:])
    o.sync, o.sibling_sync = (wait_sync(api, each)["id"] for each in (o.connection, o.sibling))
    wait_sync(api, o.deleted)
    synced(api, o.connection)
    sim.control("DELETE", "/sim/faults")
    o.keys = {role: admin.json("POST", "/v1/keys", {"name": f"{role} {mark}", "role": role}, 201)
              for role in RANKS}
    revoked = admin.json("POST", "/v1/keys", {"name": f"revoked {mark}", "role": "admin"}, 201)
    o.tokens = {each: admin.json("POST", f"/v1/connections/{o.__dict__[each]}/tokens", {"name": mark}, 201)
                for each in ("connection", "sibling", "deleted")}
    gone = admin.json("POST", f"/v1/connections/{o.connection}/tokens", {"name": f"gone {mark}"}, 201)
    admin.json("DELETE", f"/v1/keys/{revoked['id']}", status=204)
    admin.json("DELETE", f"/v1/connections/{o.connection}/tokens/{gone['id']}", status=204)
    admin.json("DELETE", f"/v1/connections/{o.deleted}", status=204)
    for role in RANKS:
        o.callers[role] = Caller(w, f"{name} {role}", name, role, bearer(o.keys[role]["key"]))
    for each in ("connection", "sibling"):
        o.callers[f"token of {each}"] = Caller(w, f"{name} token of {each}", name,
                                               headers=bearer(o.tokens[each]["token"]),
                                               connection=o.__dict__[each])
    for what, text in (("revoked key", revoked["key"]), ("revoked token", gone["token"]),
                       ("token of a deleted connection", o.tokens["deleted"]["token"])):
        o.dead.append(Caller(w, f"{name} {what}", headers=bearer(text)))
    o.records = {}
    for entity in w.entities:
        rows = admin.json("GET", f"/v1/connections/{o.connection}/{entity}?limit=500")["data"]
        o.records[entity] = rows[0]["id"]
    o.request = admin.call("GET", f"/v1/connections/{o.connection}/suppliers?limit=0").header("X-Request-Id")
    o.key, o.token = o.keys["viewer"]["id"], o.tokens["connection"]["id"]
    webhooks(o, mark)
    o.id = next(each["id"] for each in w.operator.json("GET", "/v1/organizations")["data"] if mark in each["name"])
    return o


def webhooks(o, mark):
    """One of the organization and one of each connection, switched off, with deliveries that are held."""
    paths = {"hook": "/v1/webhooks", "connection_hook": f"/v1/connections/{o.connection}/webhooks",
             "sibling_hook": f"/v1/connections/{o.sibling}/webhooks"}
    for name, path in paths.items():
        body = hook_body(description=f"{name} {mark}", headers={"X-Mark": "mark"})
        setattr(o, name, o.admin.json("POST", path, body, 201)["id"])
        o.admin.json("POST", f"/v1/webhooks/{getattr(o, name)}/resend", {"since": "2026-01-01T00:00:00Z", "status": "all"},
                     202)
    o.delivery, o.other_delivery = (
        o.admin.json("GET", f"/v1/webhooks/{each}/deliveries?limit=1")["data"][0]["id"]
        for each in (o.hook, o.connection_hook))
    o.event = o.admin.json("GET", "/v1/events?limit=1")["data"][0]["id"]


def everything_of(w, name):
    """All that the organization may see of itself, as one text."""
    o, texts = w.orgs[name], []
    for op in w.operations:
        if op.method == "GET" and not op.short and op.expect.who in RANKS and op.name != "listEventTypes":
            path = target_of(op, {**ids_of(o, op), "record_id": o.records.get(op.entity, "")})
            texts.append(o.admin.call("GET", path + ("?include=source&limit=500" if op.name == "list" else "")).text())
    return "\n".join(texts)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    place = tmp_path_factory.mktemp("walls")
    sims = {name: Simulator(place / f"sim-{name}", orders=40, seed=seed).start()
            for name, seed in (("a", 1), ("b", 2))}
    server = Server(place).start()
    w = types.SimpleNamespace(server=server, place=place, orgs={}, counter=0, sims=sims, entity=None)
    w.body = lambda org, **more: connection_body(
        sims[org], **{"metadata": {"mark": MARK[org]}, "schedule": "7d", **more})
    try:
        w.operator = Caller(w, "operator", operator=True)
        w.spec = json.loads(Caller(w, "anyone").call("GET", "/v1/openapi.json").body)
        w.operations = list(operations(w.spec))
        w.entities = sorted({op.entity for op in w.operations if op.entity})
        incident = w.operator.json("POST", "/v1/incidents", {"title": "walls"}, 201)["id"]
        for name in ("a", "b"):
            organization(w, name, sims[name])
            w.orgs[name].incident = incident
        w.nobody = [Caller(w, "nobody")] + w.orgs["a"].dead + w.orgs["b"].dead + [
            Caller(w, f"malformed {i}", headers=headers) for i, headers in enumerate((
                bearer(""), bearer("psk_short"), bearer("psk_" + "0" * 55), bearer(w.orgs["a"].keys["admin"]["key"][:-1]),
                {"Authorization": "Basic cHNrOng="}, {"Authorization": w.orgs["a"].keys["admin"]["key"]},
                {"Authorization": "Bearer " + w.orgs["b"].keys["admin"]["id"]},
                {"Cookie": "session=" + w.orgs["a"].keys["admin"]["key"]}))]
        w.of_a = list(w.orgs["a"].callers.values())
        w.of_b = list(w.orgs["b"].callers.values())
        w.foreign_ids = {name: set(ID.findall(everything_of(w, name))) | {w.orgs[name].id} for name in ("a", "b")}
        yield w
        server.stop(expect=0)
        assert not sanitizer_reports(place)
    finally:
        for program in (server, *sims.values()):
            program.kill()


# ---- the table is whole ----

def test_the_table_openapi_and_the_expectations_are_the_same_operations(world):
    table = routes()
    described = {(method.upper(), template_of(path, table, method.upper()))
                 for path, methods in world.spec["paths"].items() for method in methods}
    assert described == set(table)
    assert {name for name, _ in table.values()} == set(EXPECTED), "every operation has a row in EXPECTED"
    assert len(world.operations) > 45 and len(world.entities) >= 4


def test_the_marks_are_where_they_are_looked_for(world):
    for name, other in (("a", "b"), ("b", "a")):
        seen = everything_of(world, name)
        for what in ("supplier", "item", "order", "main", "sibling", "viewer"):
            assert f"{what} {MARK[name]}" in seen, what
        assert MARK[other] not in seen
    assert len(world.foreign_ids["b"]) > 100
    assert not world.foreign_ids["a"] & world.foreign_ids["b"]
    rejected = world.orgs["b"].admin.json("GET", f"/v1/connections/{world.orgs['b'].connection}/rejected")["data"]
    assert rejected


# ---- every operation, every caller, all ids ----

def ids_of(o, op):
    key = o.token if "/tokens/" in op.path else o.key
    hook = o.connection_hook if "{connection_id}" in op.path else o.hook
    return {"connection_id": o.connection, "sync_id": o.sync, "record_id": o.records.get(op.entity), "key_id": key,
            "organization_id": o.id, "code": "not-found", "webhook_id": hook, "delivery_id": o.delivery,
            "event_id": o.event, "request_id": o.request, "incident_id": o.incident}


def id_sets(w, op, org):
    """(kind, ids) for a caller of the organization: own, foreign, absent, inner ones, malformed."""
    own, foreign = ids_of(w.orgs[org], op), ids_of(w.orgs["b" if org == "a" else "a"], op)
    absent = {name: PREFIX.get(name, "") + ABSENT for name in own}
    named = re.findall(r"{(\w+)}", op.path)
    yield "own", own
    if not named:
        return
    if named != ["code"]:  # which is nobody's
        yield "foreign", foreign
        yield "absent", absent
    if len(named) > 1:
        inner = named[-1]
        yield "inner foreign", {**own, inner: foreign[inner]}
        yield "inner absent", {**own, inner: absent[inner]}
        if inner in ("sync_id", "key_id", "webhook_id", "delivery_id"):
            sibling = {"sync_id": w.orgs[org].sibling_sync, "key_id": w.orgs[org].tokens["sibling"]["id"],
                       "webhook_id": w.orgs[org].sibling_hook, "delivery_id": w.orgs[org].other_delivery}
            yield "inner sibling", {**own, inner: sibling[inner]}
    for text in MALFORMED:
        yield "malformed", {**own, named[-1]: text.replace("{prefix}", PREFIX.get(named[-1], ""))}


def target_of(op, ids):
    return re.sub(r"{(\w+)}", lambda m: str(ids[m[1]]), op.path)


def may(op, caller):
    """401, 403, or 0: the caller may use the operation, if the ids are right."""
    who = op.expect.who
    if who == "public":
        return 0
    if caller.org is None and not caller.operator:
        return 401
    if caller.operator:
        return 0
    if who == "operator":
        return 403
    if caller.connection:
        return 0 if op.expect.token else 403
    return 403 if RANKS.index(caller.role) < RANKS.index(who) else 0


def expected_status(w, op, caller, kind):
    refused = may(op, caller)
    if refused:
        return refused
    if op.short and not caller.connection:
        return 404
    if kind != "own" and (op.expect.who != "public" or "{code}" in op.path):
        return 404
    of_a_connection = op.name in ("getRequest", "diagnoseAnySync")
    if kind == "own" and of_a_connection and caller.connection == w.orgs[caller.org or "a"].sibling:
        return 404
    if kind == "own" and caller.connection and not op.short and caller.connection != w.orgs[caller.org].connection:
        return 404 if "{connection_id}" in op.path else op.expect.status
    inner = re.search(r"{(sync_id|key_id|record_id)}", op.path)
    if kind == "own" and inner and caller.connection == w.orgs[caller.org or "a"].sibling:
        return 404
    return op.expect.status


def check_answer(w, op, caller, org, answer, status):
    assert answer.status == status, (caller, op, answer.sent[:300], answer.status, answer.text()[:400])
    if answer.status >= 400:
        assert answer.header("Content-Type").startswith("application/problem+json")
    shown = answer.shown()
    others = [name for name in ("a", "b") if name != org]
    if caller.operator or op.expect.who == "public" and op.name == "getOpenapi":
        return
    for other in others:
        assert MARK[other] not in shown, (caller, op, answer.sent[:300])
        leaked = (set(ID.findall(shown)) & w.foreign_ids[other]) - set(ID.findall(answer.sent))
        assert not leaked, (caller, op, leaked)
    if answer.status >= 300:
        assert not KEY.search(shown), (caller, op)


def comparable(answer):
    """The answer without what differs from one to the next by nature."""
    request = answer.header("X-Request-Id") or ""
    headers = {key: ID.sub("ID", value) for key, value in answer.headers if key not in ("Date", "X-Request-Id")}
    return answer.status, headers, ID.sub("ID", answer.text().replace(request, "REQUEST"))


def try_all(w, op, caller, org, with_success):
    """Every set of ids; returns how many were tried."""
    answers = {}
    w.entity = op.entity
    for kind, ids in id_sets(w, op, org):
        status = expected_status(w, op, caller, kind)
        body, query = op.expect.body, ""
        if kind == "own":
            if status < 300 and not with_success:
                continue
            if status < 300:
                more, body, query = op.expect.own(w, org)
                ids = {**ids, **more}
        answer = caller.call(op.method, target_of(op, ids) + query, body)
        check_answer(w, op, caller, caller.org, answer, status)
        answers.setdefault(kind, comparable(answer))
    for foreign, absent in (("foreign", "absent"), ("inner foreign", "inner absent"),
                            ("inner sibling", "inner absent")):
        if foreign in answers:
            assert answers[foreign] == answers[absent], (caller, op)
    return len(answers)


def dump(w, name):
    """Every row of the store that belongs to the organization, by table."""
    w.counter += 1
    path = w.server.data / f"dump-{w.counter}.db"
    mark = w.operator.call("GET", "/v1/requests?limit=0").header("X-Request-Id")
    wait_until(lambda: mark in w.operator.call("GET", "/v1/requests?status=400&limit=500").text(), "the log to be stored")
    w.operator.json("POST", "/v1/backup", {"path": str(path)}, 201)
    with contextlib.closing(sqlite3.connect(path)) as db:
        org = db.execute("SELECT pk FROM organization WHERE name = ?", (f"org {MARK[name]}",)).fetchone()[0]
        connections = f"(SELECT pk FROM connection WHERE organization_pk = {org})"
        streams = f"(SELECT pk FROM stream WHERE connection_pk IN {connections})"
        syncs = f"(SELECT pk FROM sync WHERE connection_pk IN {connections})"
        endpoints = f"(SELECT pk FROM endpoint WHERE organization_pk = {org})"
        deliveries = f"(SELECT pk FROM delivery WHERE endpoint_pk IN {endpoints})"
        owners = {"organization_pk": f"= {org}", "endpoint_pk": f"IN {endpoints}", "delivery_pk": f"IN {deliveries}",
                  "connection_pk": f"IN {connections}", "stream_pk": f"IN {streams}", "sync_pk": f"IN {syncs}",
                  "conn": f"IN {connections}"}
        rows = {"organization": db.execute(f"SELECT * FROM organization WHERE pk = {org}").fetchall()}
        for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'"):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info('{table}')")]
            owner = next((column for column in owners if column in columns), None)
            if owner:
                rows[table] = sorted(map(repr, db.execute(f"SELECT * FROM {table} WHERE {owner} {owners[owner]}")))
            else:
                assert table in ("meta", "organization", "schema_migration", "sqlite_sequence", "outbox", "incident",
                                 "incident_update", "status_day"), f"whose is {table}?"
    path.unlink()
    return rows


def test_what_another_organization_has_is_like_nothing_and_stays_as_it_is(world):
    """Everybody who is not of organization b, on everything that b has."""
    before = dump(world, "b")
    assert sum(map(len, before.values())) > 300
    tried = 0
    for op in world.operations:
        for caller in world.of_a + world.nobody:
            tried += try_all(world, op, caller, "a", with_success=False)
    assert tried > 3000
    after = dump(world, "b")
    for table in before:
        assert before[table] == after[table], table


def test_everybody_gets_what_is_his_as_documented(world):
    for op in world.operations:
        for caller in world.of_a + world.of_b:
            try_all(world, op, caller, caller.org, with_success=True)
    called = Caller(world, "anyone").call("GET", "/metrics").text()
    missing = set(EXPECTED) - set(re.findall(r'operation="(\w+)"', called))
    assert missing <= {"getMetrics"}, "operations that no caller reached"


def test_the_operator_reaches_everything_once_and_one_organization_when_it_is_named(world):
    named = Caller(world, "operator of a", operator=True, headers={"Penstock-Organization": world.orgs["a"].id})
    for op in world.operations:
        for kind, ids in id_sets(world, op, "a"):
            if op.name in ("getOrganization", "updateOrganization", "listConnectors", "getIncident", "updateIncident",
                           "addIncidentUpdate") and kind == "foreign":
                continue  # organizations and incidents are all the operator's
            status = expected_status(world, op, named, kind)
            world.entity = op.entity
            body, more = op.expect.body, {}
            if kind == "own" and status < 300:
                more, body, _ = op.expect.own(world, "a")
            answer = named.call(op.method, target_of(op, {**ids, **more}), body)
            assert answer.status == status, (op, kind, answer.sent[:200], answer.status, answer.text()[:300])


def test_no_other_method_is_a_way_in(world):
    paths = {}
    for op in world.operations:
        paths.setdefault(op.path, (op, set()))[1].add(op.method)
    for op, methods in paths.values():
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - methods:
            answers = []
            for ids in (ids_of(world.orgs["b"], op), {k: PREFIX.get(k, "") + ABSENT for k in ids_of(world.orgs["b"], op)}):
                answer = world.orgs["a"].admin.call(method, target_of(op, ids), None)
                is_head = method == "HEAD" and "GET" in methods
                allowed = (404, 405) if not is_head or op.expect.who != "public" else (200, 404)
                if is_head and not re.search("{", op.path):
                    allowed = (200, 403, 404)
                elif is_head:
                    allowed = (403, *allowed)
                assert answer.status in allowed, (method, op, answer.status)
                assert MARK["b"] not in answer.shown()
                answers.append(comparable(answer))
            if "{" in op.path and "{code}" not in op.path:
                assert answers[0] == answers[1], (method, op)


# ---- foreign ids elsewhere than in the path ----

def test_filters_with_foreign_references_find_nothing(world):
    a, b = world.orgs["a"], world.orgs["b"]
    theirs = {}
    for entity in world.entities:
        for row in b.admin.json("GET", f"/v1/connections/{b.connection}/{entity}?limit=100")["data"]:
            theirs.update({(entity, name): value for name, value in row.items()
                           if name.endswith("_id") and str(value).startswith("rec_")})
    tried = 0
    for (entity, name), value in theirs.items():
        mine = a.admin.call("GET", f"/v1/connections/{a.connection}/{entity}?{name}={value}")
        if mine.status == 400:
            continue  # not a filter
        assert json.loads(mine.body)["data"] == []
        assert b.admin.json("GET", f"/v1/connections/{b.connection}/{entity}?{name}={value}")["data"]
        tried += 1
    assert tried >= 1


def test_the_same_source_id_is_everybodys_own_record(world):
    a, b = world.orgs["a"], world.orgs["b"]
    shared = only_one = 0
    for entity in world.entities:
        records = {}
        for o in (a, b):
            rows = o.admin.json("GET", f"/v1/connections/{o.connection}/{entity}?limit=500")["data"]
            records[o.id] = {row["source_id"]: row["id"] for row in rows}
        for source_id in list(set(records[a.id]) & set(records[b.id]))[:5]:
            quoted = urllib.parse.quote(f"source_id:{source_id}", safe=":")
            found = a.admin.json("GET", f"/v1/connections/{a.connection}/{entity}/{quoted}")
            assert found["id"] == records[a.id][source_id] != records[b.id][source_id]
            shared += 1
        for source_id in set(records[b.id]) - set(records[a.id]):
            quoted = urllib.parse.quote(f"source_id:{source_id}", safe=":")
            assert b.admin.call("GET", f"/v1/connections/{b.connection}/{entity}/{quoted}").status == 200
            assert a.admin.call("GET", f"/v1/connections/{a.connection}/{entity}/{quoted}").status == 404
            only_one += 1
    assert shared and only_one


def test_a_cursor_belongs_to_one_list_of_one_organization(world):
    a, b = world.orgs["a"], world.orgs["b"]
    lists = 0
    for op in world.operations:
        if op.method != "GET" or op.short or op.expect.who not in RANKS or "next_cursor" not in \
                b.admin.call("GET", target_of(op, ids_of(b, op))).text():
            continue
        page = json.loads(b.admin.call("GET", target_of(op, ids_of(b, op)) + "?limit=1").body)
        if not page.get("next_cursor"):
            continue  # a list that always comes whole, or is short
        lists += 1
        again = "?limit=1&cursor=" + page["next_cursor"]
        assert b.admin.call("GET", target_of(op, ids_of(b, op)) + again).status == 200
        refused = a.admin.call("GET", target_of(op, ids_of(a, op)) + again)
        assert refused.status == 400 and json.loads(refused.body)["param"] == "cursor", (op, refused.text())
        if "{connection_id}" in op.path:
            sibling = {**ids_of(b, op), "connection_id": b.sibling}
            assert b.admin.call("GET", target_of(op, sibling) + again).status == 400, op
    assert lists >= 6
    # On a short path only the token says whose list it is.
    tokens = [b.callers["token of connection"], b.callers["token of sibling"], a.callers["token of connection"]]
    for path in ("/v1/suppliers", "/v1/history"):
        cursor = tokens[0].json("GET", path + "?limit=1")["next_cursor"]
        if cursor:
            assert [each.call("GET", f"{path}?limit=1&cursor={cursor}").status for each in tokens] == [200, 400, 400]


def test_a_header_that_names_another_organization_changes_nothing(world):
    a, b = world.orgs["a"], world.orgs["b"]
    for value in (b.id, f"org {MARK['b']}", "org_" + ABSENT, "nothing", ""):
        for path in ("/v1/connections", "/v1/keys", f"/v1/connections/{b.connection}",
                     f"/v1/connections/{b.connection}/suppliers", f"/v1/connections/{a.connection}"):
            plain = a.admin.call("GET", path)
            named = a.admin.call("GET", path, headers={"Penstock-Organization": value})
            assert comparable(plain) == comparable(named), path
            assert MARK["b"] not in named.shown()
    # The operator means it: one organization's name does not open another's connection.
    for value, status in ((a.id, 404), ("nothing", 404), (b.id, 200)):
        caller = Caller(world, "operator", operator=True, headers={"Penstock-Organization": value})
        assert caller.call("GET", f"/v1/connections/{b.connection}").status == status


@pytest.mark.parametrize("method, path, body", [
    ("POST", "/v1/keys", {"name": "x", "role": "viewer"}),
    ("POST", "/v1/connections", None),
    ("PATCH", "/v1/connections/{a}", {"name": "x"}),
    ("POST", "/v1/connections/{a}/tokens", {"name": "x"}),
    ("POST", "/v1/connections/{a}/syncs", {"mode": "incremental"}),
])
def test_a_body_names_no_other_owner(world, method, path, body):
    a, b = world.orgs["a"], world.orgs["b"]
    body = body if body is not None else world.body("a")
    for member, value in (("organization_id", b.id), ("organization", f"org {MARK['b']}"), ("id", b.connection),
                          ("connection_id", b.connection), ("connection", b.connection), ("pk", 1),
                          ("organization_pk", 2)):
        answer = a.admin.call(method, path.replace("{a}", a.connection), {**body, member: value})
        assert answer.status == 400, (member, answer.text()[:300])
        assert MARK["b"] not in answer.shown()


def test_names_of_another_organization_are_free_to_take(world):
    """A refusal would tell that they are taken."""
    a, b = world.orgs["a"], world.orgs["b"]
    name = b.admin.json("GET", f"/v1/connections/{b.connection}")["name"]
    made = a.admin.json("POST", "/v1/connections", world.body("a", name=name), 201)
    a.admin.json("DELETE", f"/v1/connections/{made['id']}?purge=true", status=204)
    key = a.admin.json("POST", "/v1/keys", {"name": b.keys["viewer"]["name"], "role": "viewer"}, 201)
    a.admin.json("DELETE", f"/v1/keys/{key['id']}", status=204)


def test_two_keys_at_once_are_none(world):
    a, b = world.orgs["a"], world.orgs["b"]
    with socket.create_connection(("127.0.0.1", world.server.port)) as link:
        link.sendall((f"GET /v1/connections HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      f"Authorization: {a.admin.headers['Authorization']}\r\n"
                      f"Authorization: {b.admin.headers['Authorization']}\r\n\r\n").encode())
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    assert answer.startswith((b"HTTP/1.1 401", b"HTTP/1.1 400"))
    assert MARK["a"].encode() not in answer and MARK["b"].encode() not in answer


@pytest.mark.parametrize("name", ["access_token", "token", "key", "api_key", "Authorization"])
def test_a_key_in_the_query_opens_nothing(world, name):
    key = world.orgs["b"].keys["admin"]["key"]
    for caller in (world.nobody[0], world.orgs["a"].admin):
        answer = caller.call("GET", f"/v1/connections?{name}={key}")
        assert answer.status == (401 if caller is world.nobody[0] else 400)
        assert key not in answer.shown() and MARK["b"] not in answer.shown()


def test_what_is_public_shows_nobodys_data(world):
    for op in world.operations:
        if op.expect.who == "public":
            shown = world.nobody[0].call("GET", op.path.replace("{code}", "not-found")).shown()
            assert MARK["a"] not in shown and MARK["b"] not in shown, op
            assert not set(ID.findall(shown)) & (world.foreign_ids["a"] | world.foreign_ids["b"]), op
