"""The API as a contract: what OpenAPI says is what happens. Answers against their schemas, tenant
walls over every operation, roles, tokens and short paths, strict parameters and bodies."""
import json
import re
import socket
import threading
import time
import types
from random import Random

import pytest
import requests
import yaml

from harness import Server, Simulator
from harness.programs import ROOT, sanitizer_reports, slowness
from harness.setup import connect_to, new_organization, start_sync, wait_sync
from harness.wait import wait_until

STRANGERS = {"connection_id": "conn_01m85gjr84fn2tvxyf0ejj4x3j", "sync_id": "sync_01m85gjr84fn2tvxyf0ejj4x3j",
             "record_id": "rec_01m85gjr84fn2tvxyf0ejj4x3j", "key_id": "key_01m85gjr84fn2tvxyf0ejj4x3j",
             "organization_id": "org_01m85gjr84fn2tvxyf0ejj4x3j", "code": "nothing",
             "webhook_id": "whk_01m85gjr84fn2tvxyf0ejj4x3j", "delivery_id": "dlv_01m85gjr84fn2tvxyf0ejj4x3j",
             "event_id": "evt_01m85gjr84fn2tvxyf0ejj4x3j", "request_id": "req_01m85gjr84fn2tvxyf0ejj4x3j",
             "incident_id": "inc_01m85gjr84fn2tvxyf0ejj4x3j"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One server for all tests of this file: two organizations, each with a synced connection."""
    place = tmp_path_factory.mktemp("api")
    sim = Simulator(place / "sim", orders=40).start()
    server = Server(place).start()
    try:
        mine = server.api(new_organization(server, "Mine"))
        other = server.api(new_organization(server, "Other"))
        w = types.SimpleNamespace(server=server, sim=sim, mine=mine, other=other, place=place)
        w.connection = connect_to(mine, sim)
        w.foreign = connect_to(other, sim)
        w.sync = wait_sync(mine, w.connection)["id"]
        w.foreign_sync = wait_sync(other, w.foreign)["id"]
        w.base = f"/v1/connections/{w.connection}"
        w.spec = mine.get("/v1/openapi.json")
        w.keys = {role: mine.post("/v1/keys", json={"name": role, "role": role}, status=201)
                  for role in ("viewer", "developer", "admin")}
        w.as_role = {role: mine.with_token(key["key"]) for role, key in w.keys.items()}
        w.hook, w.foreign_hook = (held_hook(api) for api in (mine, other))
        w.token = mine.post(f"{w.base}/tokens", json={"name": "app"}, status=201)
        w.as_token = mine.with_token(w.token["token"])
        yield w
        server.stop(expect=0)
        assert not sanitizer_reports(place)
    finally:
        for program in (server, sim):
            program.kill()


def held_hook(api):
    """A webhook that is switched off and holds a delivery of every event; it, and ids of one of these."""
    hook = api.post("/v1/webhooks", json={"url": "https://hooks.example.com/held", "enabled": False}, status=201)
    api.post(f"/v1/webhooks/{hook['id']}/resend", json={"since": "2026-01-01T00:00:00Z", "status": "all"}, status=202)
    delivery = api.get(f"/v1/webhooks/{hook['id']}/deliveries", params={"limit": 1})["data"][0]
    return {"webhook_id": hook["id"], "delivery_id": delivery["id"], "event_id": delivery["event_id"]}


# ---- OpenAPI ----

def operations(spec):
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def resolve(spec, schema):
    while "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


PYTHON_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def is_type(value, name):
    if name in ("integer", "number"):
        return isinstance(value, int if name == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, PYTHON_TYPES[name])


def violations(spec, schema, value, at="$"):
    """What of JSON Schema our descriptions use; everything else in them would be a hole."""
    schema = resolve(spec, schema)
    found = []
    for part in schema.get("allOf", []):
        found += violations(spec, part, value, at + " ")
    if "anyOf" in schema or "oneOf" in schema:
        options = schema.get("anyOf", []) + schema.get("oneOf", [])
        if all(violations(spec, option, value, at) for option in options):
            found.append(f"{at}: {value!r} fits none of {len(options)} schemas")
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(is_type(value, name) for name in names):
            return found + [f"{at}: {value!r:.80} is not {names}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: {value!r:.80} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r:.80} is not in {schema['enum']}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r:.80} does not match {schema['pattern']}")
    if isinstance(value, dict):
        found += [f"{at}: '{name}' is missing" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            if name in schema.get("properties", {}):
                found += violations(spec, schema["properties"][name], item, f"{at}.{name}")
            elif schema.get("additionalProperties") is False or (
                    at == "$" and "properties" in schema and "allOf" not in schema):
                found.append(f"{at}: '{name}' is not described")
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            found += violations(spec, schema["items"], item, f"{at}[{i}]")
    return found


def answer_schema(operation, status):
    content = operation["responses"][str(status)].get("content", {})
    return next(iter(content.values()))["schema"] if content else None


def test_every_reference_resolves_and_every_operation_has_its_own_id(world):
    text = json.dumps(world.spec)
    for name in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert name in world.spec["components"]["schemas"], name
    ids = [operation["operationId"] for _, _, operation in operations(world.spec)]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations(world.spec):
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), (method, path)
        assert operation["summary"] and operation["tags"], (method, path)


def test_every_entity_has_its_paths(world):
    entities = world.mine.get(f"{world.base}/entities")["data"]
    assert entities
    for entity in entities:
        path = "/v1/connections/{connection_id}/" + entity["path"]
        assert path in world.spec["paths"]
        assert path + "/{record_id}" in world.spec["paths"]


def described(fields):
    """What the model's page says of fields, as the API is to tell it; an enum has its source's code beside it."""
    out = {}
    for name, f in fields.items():
        out[name] = {"type": f["type"], "description": f["description"], "filterable": f.get("filterable", False),
                     "references": f.get("target"), "values": list(f["values"]) if "values" in f else None,
                     "fields": described(f["fields"]) if "fields" in f else None}
        if f["type"] == "enum":
            out[f"source_{name}"] = {"type": "string", "filterable": False, "references": None, "values": None,
                                     "fields": None, "description":
                                     f"What the source system holds for {name}, untouched."}
    return out


def told(fields):
    return {f["name"]: {"type": f["type"], "description": f["description"], "filterable": f["filterable"],
                        "references": f.get("references"), "values": f.get("values"),
                        "fields": told(f["fields"]) if "fields" in f else None} for f in fields}


def test_entities_are_described_down_to_the_innermost_field(world):
    for entity in world.mine.get(f"{world.base}/entities")["data"]:
        model = yaml.safe_load((ROOT / "model" / f"{entity['name']}.yaml").read_text())
        assert told(entity["fields"]) == described(model["fields"])


def own_ids(world):
    record = world.mine.get(f"{world.base}/suppliers", params={"limit": 1})["data"][0]
    request = world.mine.call("GET", f"{world.base}/suppliers?limit=0").headers["X-Request-Id"]
    return {"request_id": request, "incident_id": "", "connection_id": world.connection, "sync_id": world.sync,
            "record_id": record["id"], "key_id": world.keys["viewer"]["id"], "organization_id": "",
            "code": "not-found", **world.hook}


def test_every_get_answers_what_openapi_says(world):
    checked = 0
    ids = own_ids(world)
    for path, method, operation in operations(world.spec):
        if method != "GET" or "Operator" in operation["tags"]:
            continue
        ids["record_id"] = STRANGERS["record_id"]
        if "{record_id}" in path:
            entity = path.split("/")[4]
            ids["record_id"] = world.mine.get(f"{world.base}/{entity}", params={"limit": 1})["data"][0]["id"]
        target = re.sub(r"{(\w+)}", lambda m: ids[m[1]], path)
        response = world.mine.call(method, target)
        assert response.status_code == 200, (target, response.text[:300])
        media = response.headers["Content-Type"].partition(";")[0]
        assert media in operation["responses"]["200"]["content"], (target, media)
        if media == "application/json":
            assert violations(world.spec, answer_schema(operation, 200), response.json()) == [], target
        checked += 1
    assert checked > 15


def test_errors_are_what_openapi_calls_a_problem(world):
    schema = {"$ref": "#/components/schemas/Problem"}
    for path in ("/v1/connections/nothing", f"{world.base}/suppliers?limit=0", f"{world.base}/nothing"):
        body = world.mine.call("GET", path).json()
        assert violations(world.spec, schema, body) == [], body
        page = world.mine.call("GET", body["docs"])
        assert page.status_code == 200 and body["code"] in page.text


def test_the_readable_reference_has_every_operation(world):
    page = world.mine.call("GET", "/docs")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "http://" not in page.text and "https://" not in re.sub(r"https://(ps|app)\.example\.com", "", page.text)
    assert "<script" not in page.text
    for path, _, operation in operations(world.spec):
        if "{record_id}" not in path and operation["tags"] != ["Records"]:
            assert f'id="{operation["operationId"]}"' in page.text, path


# ---- who may do what ----

def target_of(path, ids):
    return re.sub(r"{(\w+)}", lambda m: ids[m[1]], path)


def body_for(operation):
    if "requestBody" not in operation:
        return {}
    return {"json": operation["requestBody"]["content"]["application/json"].get("example", {})}


def is_public(operation):
    return operation.get("security") == []


def is_operators(operation):
    return operation["tags"] == ["Operator"]


def test_nothing_but_the_public_is_shown_without_a_key(world):
    anyone = world.mine.with_token(None)
    for path, method, operation in operations(world.spec):
        if is_public(operation):
            continue
        body = anyone.fails(method, target_of(path, {**STRANGERS, "connection_id": world.connection}), 401,
                            "AUTHENTICATION_FAILED", **body_for(operation))
        assert "connection_id" not in body, path


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer psk_short", "Basic cHNrOng=", "psk_x",
                                    "Bearer psk_0000000000000000000000000000000000000000000000000000000000"])
def test_a_wrong_key_is_refused(world, header):
    response = world.mine.call("GET", "/v1/connections", headers={"Authorization": header})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_with_one_letter_changed_is_refused(world):
    key = world.keys["viewer"]["key"]
    for i in (4, 20, len(key) - 1):
        wrong = key[:i] + ("0" if key[i] != "0" else "1") + key[i + 1:]
        world.mine.with_token(wrong).fails("GET", "/v1/connections", 401, "AUTHENTICATION_FAILED")


def test_ids_of_another_organization_are_like_none_at_all(world):
    """Every operation with an id in its path, with ids that exist but are not ours."""
    request = world.other.call("GET", f"/v1/connections/{world.foreign}/suppliers?limit=0").headers["X-Request-Id"]
    foreign = {**world.foreign_hook, "request_id": request, "incident_id": "x", "connection_id": world.foreign,
               "sync_id": world.foreign_sync,
               "key_id": world.other.get("/v1/keys")["data"][0]["id"], "code": "x", "organization_id": "x",
               "record_id": world.other.get(f"/v1/connections/{world.foreign}/suppliers")["data"][0]["id"]}
    for path, method, operation in operations(world.spec):
        if "{" not in path or is_public(operation) or is_operators(operation):
            continue
        for caller in (world.mine, world.as_token):
            answers = []
            for ids in (foreign, STRANGERS):
                response = caller.call(method, target_of(path, ids), **body_for(operation))
                text = response.text.replace(response.headers["X-Request-Id"], "")
                answers.append((response.status_code,
                                re.sub(r"(conn|sync|rec|key|whk|dlv|evt|req)_\w{26}", "ID", text)))
            assert answers[0] == answers[1], (method, path)
            assert answers[0][0] == (404 if caller is world.mine else answers[0][0]), (method, path, answers)
            assert answers[0][0] in (403, 404), (method, path, answers)


def test_ids_of_another_connection_are_not_found_below_ours(world):
    for path in (f"{world.base}/syncs/{world.foreign_sync}", f"{world.base}/tokens/{world.token['id']}x"):
        method = "GET" if "syncs" in path else "DELETE"
        world.mine.fails(method, path, 404, "NOT_FOUND")
    world.mine.fails("POST", f"{world.base}/syncs/{world.foreign_sync}/cancel", 404, "NOT_FOUND")
    world.mine.fails("DELETE", f"/v1/keys/{world.token['id']}", 404, "NOT_FOUND")
    world.mine.fails("DELETE", f"{world.base}/tokens/{world.keys['admin']['id']}", 404, "NOT_FOUND")


def test_roles_may_what_openapi_says(world):
    ranks = ["viewer", "developer", "admin"]
    for path, method, operation in operations(world.spec):
        if is_public(operation) or is_operators(operation):
            continue
        needed = re.search(r"Role: (\w+)", operation["description"])[1]
        for role in ranks:
            ids = {**STRANGERS}
            response = world.as_role[role].call(method, target_of(path, ids), json={"nonsense": 1}
                                                if "requestBody" in operation else None)
            refused = response.status_code == 403
            assert refused == (ranks.index(role) < ranks.index(needed)), (role, method, path, response.text)


def test_operators_things_are_for_the_operator_only(world):
    for path, method, operation in operations(world.spec):
        if is_operators(operation):
            world.mine.fails(method, target_of(path, STRANGERS), 403, "PERMISSION_DENIED", **body_for(operation))


def test_a_connection_token_reads_and_syncs_its_connection_and_nothing_else(world):
    for path, method, operation in operations(world.spec):
        if is_public(operation):
            continue
        may = "token of the connection" in operation["description"]
        ids = {**STRANGERS, "connection_id": world.connection}
        response = world.as_token.call(method, target_of(path, ids), json={"nonsense": 1}
                                       if "requestBody" in operation else None)
        assert (response.status_code == 403) == (not may), (method, path, response.text)


def test_short_paths_work_with_a_token_and_give_the_same(world):
    for path in ("suppliers?limit=3", "purchase-orders?limit=2&fields=number", "changes?limit=3", "sync-status",
                 "syncs", "entities", "history", f"syncs/{world.sync}", "rejected"):
        short = world.as_token.get(f"/v1/{path}")
        assert short == world.as_token.get(f"{world.base}/{path}"), path
        world.mine.fails("GET", f"/v1/{path}", 404, "NOT_FOUND")


def test_a_token_starts_a_sync_over_the_short_path(world):
    sync = world.as_token.post("/v1/syncs", json={"entities": ["suppliers"]}, status=202)
    assert wait_sync(world.mine, world.connection, sync["id"])["status"] == "completed"


def test_a_revoked_key_and_token_stop_working_at_once(world):
    key = world.mine.post("/v1/keys", json={"name": "gone", "role": "viewer"}, status=201)
    caller = world.mine.with_token(key["key"])
    caller.get("/v1/connections")
    assert world.mine.call("DELETE", f"/v1/keys/{key['id']}").status_code == 204
    caller.fails("GET", "/v1/connections", 401, "AUTHENTICATION_FAILED")
    token = world.mine.post(f"{world.base}/tokens", status=201)
    caller = world.mine.with_token(token["token"])
    caller.get("/v1/sync-status")
    assert world.mine.call("DELETE", f"{world.base}/tokens/{token['id']}").status_code == 204
    caller.fails("GET", "/v1/sync-status", 401, "AUTHENTICATION_FAILED")
    shown = json.dumps(world.mine.get("/v1/keys")) + json.dumps(world.mine.get(f"{world.base}/tokens"))
    assert key["key"] not in shown and token["token"] not in shown
    assert '"key"' not in shown and '"token"' not in shown


def test_what_event_loops_remember_ends_with_the_next_commit(world):
    """Several kept connections, so that every loop has seen the key and the connection just before."""
    def answers(callers, path):
        return {caller.call("GET", path).status_code for caller in callers}
    for _ in range(5):
        key = world.mine.post("/v1/keys", json={"name": "gone", "role": "viewer"}, status=201)
        callers = [world.mine.with_token(key["key"]) for _ in range(6)]
        assert answers(callers, f"{world.base}/suppliers?limit=1") == {200}
        assert world.mine.call("DELETE", f"/v1/keys/{key['id']}").status_code == 204
        assert answers(callers, f"{world.base}/suppliers?limit=1") == {401}
        gone = connect_to(world.mine, world.sim, name="gone", entities=["suppliers"], schedule="7d")
        callers = [world.mine.with_token(world.mine.token) for _ in range(6)]
        assert answers(callers, f"/v1/connections/{gone}/suppliers?limit=1") == {200}
        assert world.mine.call("DELETE", f"/v1/connections/{gone}?purge=true").status_code == 204
        assert answers(callers, f"/v1/connections/{gone}/suppliers?limit=1") == {404}


def test_the_log_of_changes_says_who_did_what(world):
    entry = world.mine.get("/v1/audit", params={"limit": 500})["data"]
    assert {"key.create", "token.create", "connection.create"} <= {e["action"] for e in entry}
    assert any(e["object"] == world.token["id"] for e in entry)
    assert all(e["request_id"].startswith("req_") for e in entry)
    theirs = {e["object"] for e in world.other.get("/v1/audit")["data"]}
    assert not theirs & {e["object"] for e in entry}


def test_the_log_of_changes_names_what_was_changed_and_shows_no_value(world):
    world.mine.patch(world.base, json={"metadata": {"note": "not for the log"}, "serve_stale": False})
    entry = next(e for e in world.mine.get("/v1/audit", params={"limit": 500})["data"]
                 if e["action"] == "connection.update" and e["object"] in world.base)
    assert entry["detail"] == {"members": ["metadata", "serve_stale"]}, entry


def test_null_leaves_a_connections_settings_as_they_are(world):
    names = ("name", "schedule", "serve_stale", "history_days", "entities", "metadata", "mapping", "config", "enabled")
    made = world.mine.get(f"/v1/connections/{connect_to(world.mine, world.sim, schedule='manual', serve_stale=True)}")
    path = f"/v1/connections/{made['id']}"
    changed = world.mine.patch(path, json=dict.fromkeys(names))
    assert {name: changed[name] for name in names} == {name: made[name] for name in names}
    # Nor is it told as a change.
    world.mine.patch(path, json={"metadata": {"a": 1}, **dict.fromkeys(names[:3])})
    entry = next(e for e in world.mine.get("/v1/audit", params={"limit": 500})["data"]
                 if e["action"] == "connection.update" and e["object"] == made["id"])
    assert entry["detail"] == {"members": ["metadata"]}
    world.mine.call("DELETE", path + "?purge=true")


# ---- parameters and bodies ----

@pytest.mark.parametrize("query, param", [
    ("limit=0", "limit"), ("limit=501", "limit"), ("limit=x", "limit"), ("limit=", "limit"), ("limit=1.0", "limit"),
    ("limit=1&limit=2", "limit"), ("nothing=1", "nothing"), ("sort=name", "sort"), ("deleted=yes", "deleted"),
    ("updated_after=yesterday", "updated_after"), ("cursor=x", "cursor"), ("fields=number,nothing", "fields"),
    ("fields=", "fields"), ("include=sauce", "include"), ("status=nothing", "status"), ("status=", "status"),
    ("order_date_after=2026-13-01", "order_date_after"), ("order_date=20260101", "order_date"),
    ("supplier_id=5", "supplier_id"), ("lines=1", "lines"), ("status_after=approved", "status_after"),
    ("a%00b=1", "query"), ("limit=%zz", "limit"), ("limit=1%0a", "limit"),
])
def test_a_wrong_parameter_is_named(world, query, param):
    body = world.mine.fails("GET", f"{world.base}/purchase-orders?{query}", 400, "INVALID_REQUEST")
    assert body["param"] == param, body


@pytest.mark.parametrize("path", ["/v1/connections", "/v1/keys", "/v1/audit", "/v1/connectors", "syncs", "history",
                                  "changes", "entities", "sync-status", "rejected", "tokens"])
def test_an_unknown_parameter_is_refused_everywhere(world, path):
    path = path if path.startswith("/") else f"{world.base}/{path}"
    assert world.mine.fails("GET", f"{path}?bogus=1", 400, "INVALID_REQUEST")["param"] == "bogus"


def test_a_cursor_is_bound_to_its_list(world):
    for path in (f"{world.base}/suppliers", f"{world.base}/syncs", "/v1/audit", f"{world.base}/history"):
        start_sync(world.mine, world.connection, entities=["items"], busy_is_fine=True)
        wait_sync(world.mine, world.connection)
        cursor = world.mine.get(path, params={"limit": 1})["next_cursor"]
        assert cursor, path
        assert world.mine.get(path, params={"limit": 1, "cursor": cursor})["data"]
        other = f"{world.base}/items" if path.endswith("suppliers") else f"{world.base}/suppliers"
        world.mine.fails("GET", f"{other}?cursor={cursor}", 400, "INVALID_REQUEST")
        wrong = cursor[:-1] + ("0" if cursor[-1] != "0" else "1")
        response = world.mine.call("GET", f"{path}?limit=1&cursor={wrong}")
        assert response.status_code in (200, 400)  # never a failure of ours
    cursor = world.mine.get(f"{world.base}/suppliers", params={"limit": 1})["next_cursor"]
    for more in ("sort=updated_at", "deleted=include", "updated_after=2020-01-01T00:00:00Z"):
        world.mine.fails("GET", f"{world.base}/suppliers?cursor={cursor}&{more}", 400, "INVALID_REQUEST")


BODIES = [
    (b"", 400), (b"[]", 400), (b"null", 400), (b'"x"', 400), (b"{", 400), (b'{"name":"a"} x', 400),
    (b'{"name":"a","name":"b"}', 400), (b'{"name":"\xff"}', 400), (b'{"name":"\\ud800"}', 400), (b"{'name':1}", 400),
    (b'{"name":1}', 400), (b'{"name":""}', 400), (b'{"name":"  "}', 400), (b'{"name":"' + b"x" * 201 + b'"}', 400),
    (b'{"metadata":' + b'{"a":' * 32 + b"1" + b"}" * 32 + b"}", 413), (b'\xef\xbb\xbf{"name":"a"}', 400),
    (b'{"metadata":{"a":01}}', 400), (b'{"metadata":NaN}', 400), (b'{"name":"a",}', 400),
    (b'{"history_days":36501}', 400), (b'{"history_days":-1}', 400), (b'{"history_days":1.5}', 400), (b'{"history_days":"1"}', 400),
    (b'{"entities":["nothing"]}', 400), (b'{"entities":"items"}', 400), (b'{"schedule":"1x"}', 400),
    (b'{"schedule":{"cron":"61 * * * *"}}', 400), (b'{"connector":"sandbox"}', 400), (b'{"config":[]}', 400),
    (b'{"config":{"nothing":1}}', 400), (b'{"config":{"base_url":"ftp://x"}}', 400),
    (b'{"credentials":{"pass":"x"}}', 400), (b'{"mapping":{"nothing":{}}}', 400), (b'{"id":"conn_x"}', 400),
]


@pytest.mark.parametrize("body, status", BODIES, ids=lambda v: v[:40].decode("latin-1") if isinstance(v, bytes) else v)
def test_a_wrong_body_changes_nothing(world, body, status):
    before = world.mine.get(world.base)
    response = world.mine.call("PATCH", world.base, data=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (status, 400), response.text
    after = world.mine.get(world.base)
    assert {k: v for k, v in before.items() if k not in ("syncing", "last_seq", "next_run_at")} == \
        {k: v for k, v in after.items() if k not in ("syncing", "last_seq", "next_run_at")}


@pytest.mark.parametrize("media, status", [("application/json", 200), ("Application/JSON; Charset=UTF-8", 200),
                                           ("text/plain", 415), ("application/jsonx", 415), ("", 415),
                                           ("application/json; charset=latin1", 415), ("multipart/form-data", 415)])
def test_only_json_is_taken(world, media, status):
    response = world.mine.call("PATCH", world.base, data=b'{"metadata":{}}', headers={"Content-Type": media})
    assert response.status_code == status, response.text


def test_a_body_where_none_is_taken_is_refused(world):
    response = world.mine.call("GET", world.base, data=b'{"a":1}', headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    response = world.mine.call("POST", f"{world.base}/test", json={"a": 1})
    assert response.status_code == 400


def test_a_body_above_the_limit_is_refused(world):
    response = world.mine.call("PATCH", world.base, data=b" " * (1 << 20) + b"{}",
                               headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_wrong_methods_are_told_the_right_ones(world):
    response = world.mine.call("PUT", "/v1/connections")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, POST"


def test_a_malformed_request_gets_a_problem_and_the_connection_is_closed(world):
    with socket.create_connection(("127.0.0.1", world.server.port), timeout=10 * slowness()) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1 and head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head and b"X-Request-Id: req_" in head
    assert json.loads(body)["code"] == "INVALID_REQUEST"


# ---- connections ----

def test_a_connection_lives_from_post_to_purge(world):
    api = world.mine
    made = api.call("POST", "/v1/connections", json={
        "name": "Second", "connector": "peoplesoft", "config": {"base_url": world.sim.url, "time_zone": world.sim.zone},
        "credentials": {"username": world.sim.USER, "password": world.sim.PASSWORD}, "schedule": "30m",
        "history_days": 0, "entities": ["suppliers"], "metadata": {"tenant": "42"}})
    assert made.status_code == 201
    connection = made.json()
    path = f"/v1/connections/{connection['id']}"
    assert made.headers["Location"] == path
    assert connection["status"] == "pending" and connection["syncing"] and connection["credentials_set"]
    assert "credentials" not in connection and world.sim.PASSWORD not in made.text
    assert wait_sync(api, connection["id"])["status"] == "completed"
    assert [e["entity"] for e in api.get(f"{path}/sync-status")["entities"]] == ["suppliers"]
    assert api.get(path)["status"] == "online"
    caused = [(h["status"], h["request_id"]) for h in api.get(f"{path}/history")["data"]]
    assert caused == [(s, made.headers["X-Request-Id"]) for s in ("online", "pending")]

    changed = api.patch(path, json={"name": "Renamed", "metadata": {"tenant": None, "plan": "big"},
                                    "config": {"page_size": 100}})
    assert changed["name"] == "Renamed" and changed["metadata"] == {"plan": "big"}
    assert changed["config"]["base_url"] == world.sim.url and changed["config"]["page_size"] == 100
    assert changed["version"] > connection["version"] and "notice" not in changed
    mapped = api.patch(path, json={"mapping": {"suppliers": {"custom_fields": {"alias": "VENDOR_NAME_SHORT"}}}})
    assert "full sync" in mapped["notice"]

    off = api.patch(path, json={"enabled": False})
    assert off["status"] == "inactive" and not off["enabled"] and off["next_run_at"] is None
    api.fails("POST", f"{path}/syncs", 409, "CONNECTION_INACTIVE")
    assert api.patch(path, json={"serve_stale": True})["serve_stale"]
    same = api.patch(path, json={"enabled": None, "serve_stale": None})  # null is as good as not given
    assert same["status"] == "inactive" and not same["enabled"] and same["serve_stale"]
    on = api.patch(path, json={"enabled": True})
    assert on["status"] in ("pending", "online")
    wait_sync(api, connection["id"])
    statuses = [h["status"] for h in api.pages(f"{path}/history")]
    assert statuses[-3:] == ["inactive", "online", "pending"] and statuses[0] == "online", statuses

    token = api.with_token(api.post(f"{path}/tokens", status=201)["token"])
    assert api.call("DELETE", path).status_code == 204
    api.fails("GET", path, 404, "NOT_FOUND")
    api.fails("DELETE", path, 404, "NOT_FOUND")
    token.fails("GET", "/v1/suppliers", 401, "AUTHENTICATION_FAILED")
    assert connection["id"] not in [c["id"] for c in api.pages("/v1/connections")]
    assert api.call("DELETE", path, params={"purge": "true"}).status_code == 204


def test_the_largest_settings_are_taken(world):
    name = "\u00e9" * 100
    made = world.mine.post("/v1/connections", status=201, json={
        "name": name, "connector": "peoplesoft", "config": {"base_url": world.sim.url}, "enabled": False,
        "credentials": {"username": "x", "password": "y"}, "history_days": 36500})
    assert (made["name"], made["history_days"]) == (name, 36500)
    for more in ({"name": name + "x"}, {"history_days": 36501}):
        world.mine.fails("PATCH", f"/v1/connections/{made['id']}", 400, "INVALID_REQUEST", json=more)
    world.mine.call("DELETE", f"/v1/connections/{made['id']}")


def test_config_that_makes_no_sense_is_named(world):
    for change, param in (({"config": {}}, "config.base_url"), ({"credentials": {"username": "x"}},
                          "credentials.password"), ({"name": None}, "name"), ({"connector": "nothing"}, "connector"),
                          ({"connector": None}, "connector")):
        body = {"name": "x", "connector": "peoplesoft", "config": {"base_url": world.sim.url},
                "credentials": {"username": "x", "password": "y"}, **change}
        problem = world.mine.fails("POST", "/v1/connections", 400, "INVALID_REQUEST", json=body)
        assert problem["param"] == param, problem


def test_a_test_says_what_is_wrong_and_what_to_do(world):
    api = world.mine
    made = api.post("/v1/connections", status=201, json={
        "name": "Wrong", "connector": "peoplesoft", "entities": ["items"],
        "config": {"base_url": world.sim.url, "queries": {"suppliers": "NO_SUCH_QUERY"}},
        "credentials": {"username": world.sim.USER, "password": world.sim.PASSWORD}})
    path = f"/v1/connections/{made['id']}"
    assert api.post(f"{path}/test")["ok"] is True
    api.patch(path, json={"entities": []})
    result = api.post(f"{path}/test")
    assert result["ok"] is False
    failed = [c for c in result["checks"] if not c["ok"]]
    assert {c["entity"] for c in failed} == {"suppliers"}
    assert "NO_SUCH_QUERY" in failed[0]["name"] + failed[0]["detail"] and failed[0]["fix"]
    assert violations(world.spec, {"$ref": "#/components/schemas/Test"}, result) == []
    wait_sync(api, made["id"])
    api.call("DELETE", path)


def test_refused_credentials_are_not_tried_again_by_anybody(world):
    api = world.mine
    made = api.post("/v1/connections", status=201, json={
        "name": "Refused", "connector": "peoplesoft", "config": {"base_url": world.sim.url},
        "credentials": {"username": world.sim.USER, "password": "wrong-" + "x" * 8}})
    path = f"/v1/connections/{made['id']}"
    assert wait_sync(api, made["id"])["error"]["code"] == "REAUTHORIZATION_REQUIRED"
    wait_until(lambda: api.get(path)["status"] == "authentication_required", "the refusal to show")
    api.fails("POST", f"{path}/syncs", 409, "REAUTHORIZATION_REQUIRED")
    api.fails("POST", f"{path}/test", 409, "REAUTHORIZATION_REQUIRED")
    freshness = api.get(f"{path}/sync-status")
    assert freshness["next_run_at"] is None and api.get(path)["next_run_at"] is None
    for entity in freshness["entities"]:
        assert entity["status"] == "failed" and entity["error"]["code"] == "REAUTHORIZATION_REQUIRED", entity
        assert entity["last_attempt_at"] and not entity["last_success_at"] and not entity["next_run_at"], entity
    api.patch(path, json={"credentials": {"password": world.sim.PASSWORD}})
    wait_until(lambda: api.get(path)["status"] == "online", "the new credentials to be tried", 20 * slowness())
    assert api.post(f"{path}/test")["ok"] is True
    wait_sync(api, made["id"])
    api.call("DELETE", path)


def test_each_of_several_runs_shows_its_progress(world):
    api = world.mine
    made = connect_to(api, world.sim, name="Two runs", schedule="7d")
    path = f"/v1/connections/{made}"
    wait_sync(api, made)
    world.sim.control("POST", "/sim/latency", json={"ms": 5000})
    runs = [start_sync(api, made, "full", [entity]) for entity in ("suppliers", "items")]
    try:
        wait_until(lambda: {e["entity"] for e in api.get(f"{path}/sync-status")["entities"] if e["progress"]}
                   == {"suppliers", "items"}, "both runs to show their progress", 30 * slowness())
    finally:
        world.sim.control("POST", "/sim/latency", json={})
        for run in runs:
            api.post(f"{path}/syncs/{run}/cancel")
            wait_sync(api, made, run)
        api.call("DELETE", path)


def test_two_connections_changed_at_once_lose_nothing(world):
    api = world.mine
    failures = []

    def change(i):
        mine = world.server.api(api.token)
        for _ in range(20):
            response = mine.call("PATCH", world.base, json={"metadata": {f"k{i}": i}})
            if response.status_code == 200:
                return
            if response.status_code != 409:
                failures.append(response.text)
                return
        failures.append("never got through")

    threads = [threading.Thread(target=change, args=(i,)) for i in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert api.get(world.base)["metadata"].items() >= {f"k{i}": i for i in range(5)}.items()
    api.patch(world.base, json={"metadata": {f"k{i}": None for i in range(5)}})


# ---- changes ----

def test_the_feed_waits_for_the_next_change(world):
    api = world.server.api(world.mine.token)
    last = api.get(f"{world.base}/changes")["last_seq"]
    begin = time.monotonic()
    page = api.get(f"{world.base}/changes", params={"after": last, "wait": 1})
    assert page == {"data": [], "next_after": last, "last_seq": last}
    assert time.monotonic() - begin >= 0.95

    got = []
    waiting = threading.Thread(target=lambda: got.append(
        api.get(f"{world.base}/changes", params={"after": last, "wait": 30})))
    waiting.start()
    time.sleep(0.3)
    world.sim.change("change", "suppliers", 3)
    sync = wait_sync(world.mine, world.connection,
                     start_sync(world.mine, world.connection, entities=["suppliers"]))
    waiting.join(timeout=30 * slowness())
    assert got and got[0]["data"], "the waiting request was not woken"
    assert got[0]["data"][0]["seq"] == last + 1
    assert {c["sync_id"] for c in got[0]["data"]} == {sync["id"]}


def test_the_feed_is_without_gaps_and_can_be_narrowed(world):
    changes = []
    after = 0
    while True:
        page = world.mine.get(f"{world.base}/changes", params={"after": after, "limit": 100})
        changes += page["data"]
        if page["next_after"] == after:
            break
        after = page["next_after"]
    assert [c["seq"] for c in changes] == list(range(1, page["last_seq"] + 1))
    only = world.mine.get(f"{world.base}/changes", params={"entities": "items", "limit": 500})
    assert {c["entity"] for c in only["data"]} == {"items"}
    assert only["next_after"] == page["last_seq"]
    world.mine.fails("GET", f"{world.base}/changes?entities=nothing", 400, "INVALID_REQUEST")
    world.mine.fails("GET", f"{world.base}/changes?wait=61", 400, "INVALID_REQUEST")


# ---- syncs ----

def test_a_busy_entity_refuses_a_sync_whole(world):
    world.sim.control("POST", "/sim/latency", json={"ms": 400})
    try:
        first = start_sync(world.mine, world.connection, mode="full")
        body = world.mine.fails("POST", f"{world.base}/syncs", 409, "SYNC_IN_PROGRESS", json={"entities": ["items"]})
        assert body["sync_id"] == first and body["retryable"] is True
        cancelled = world.mine.post(f"{world.base}/syncs/{first}/cancel")
        assert cancelled["id"] == first
    finally:
        world.sim.control("POST", "/sim/latency", json={})
    ended = wait_sync(world.mine, world.connection, first)
    assert ended["status"] == "cancelled"
    again = world.mine.post(f"{world.base}/syncs/{first}/cancel")
    assert again["status"] == "cancelled"


@pytest.mark.parametrize("body, param", [({"mode": "quick"}, "mode"), ({"entities": ["nothing"]}, "entities"),
                                         ({"entities": "items"}, "entities"), ({"force": True}, "force")])
def test_a_sync_that_makes_no_sense_is_refused(world, body, param):
    problem = world.mine.fails("POST", f"{world.base}/syncs", 400, "INVALID_REQUEST", json=body)
    assert problem["param"] == param


# ---- service ----

def test_metrics_are_openmetrics(world):
    response = world.mine.call("GET", "/metrics")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    lines = response.text.splitlines()
    assert lines[-1] == "# EOF"
    families = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    for line in lines:
        if not line.startswith("#"):
            assert re.fullmatch(r"[a-z_]+(\{[a-z_]+=\"[^\"]*\"(,[a-z_]+=\"[^\"]*\")*\})? \d+(\.\d+)?", line), line
            name = re.match(r"[a-z_]+", line)[0]
            assert name in families or re.sub(r"_(total|info)$", "", name) in families, name
    assert 'penstock_http_requests_total{operation="getOpenapi",status="2xx"}' in response.text


def test_head_is_like_get_without_a_body(world):
    get = world.mine.call("GET", world.base)
    head = world.mine.call("HEAD", world.base)
    assert head.status_code == 200 and head.text == ""
    assert head.headers["Content-Length"] == str(len(get.content))


def test_a_stop_answers_those_who_wait(programs, place):
    server = programs(Server(place))
    api = server.api(new_organization(server))
    made = api.post("/v1/connections", status=201, json={
        "name": "x", "connector": "peoplesoft", "config": {"base_url": "http://127.0.0.1:9"}, "enabled": False,
        "credentials": {"username": "x", "password": "y"}})
    got = []
    waiting = threading.Thread(target=lambda: got.append(
        api.call("GET", f"/v1/connections/{made['id']}/changes", params={"wait": 30})))
    waiting.start()
    wait_until(lambda: "penstock_http_suspended 1" in server.api().call("GET", "/metrics").text, "the long-poll")
    begin = time.monotonic()
    server.stop(expect=0)
    waiting.join(timeout=5 * slowness())
    assert time.monotonic() - begin < 5 * slowness()
    assert got and got[0].json() == {"data": [], "next_after": 0, "last_seq": 0}
    assert got[0].headers["Connection"] == "close"


# ---- whatever is sent ----

ODD_TEXT = ["", "0", "-1", "9223372036854775808", "1e9", "null", "true", "%", "'", '"', "\\", "../..", "a" * 300, "ä",
            "\u202e", "conn_x", "2026-11-24T06:30:00Z", "2026-02-30", "9999-12-31T23:59:59Z", "0000-01-01", "approved",
            "purchase_orders", "number,status", "source", "updated_at", "status", "rec_01m85gjr84fn2tvxyf0ejj4x3j"]
ODD_JSON = [None, True, False, 0, -1, 1.5, 10**30, "", "x", [], {}, [None], {"": 1}, {"a": {"b": []}}, "15m",
            ["items"], {"cron": "* * * * *"}, {"interval": "15m"}, {"items": {"fields": {}}}, {"username": 1}]


def odd_call(random, world, path, method, operation):
    ids = {**STRANGERS, "connection_id": world.connection, "sync_id": world.sync}
    ids = {name: random.choice(ODD_TEXT) or "x" if random.random() < 0.1 else value for name, value in ids.items()}
    target = re.sub(r"{(\w+)}", lambda m: requests.utils.quote(ids[m[1]], safe=""), path)
    names = [p["name"] for p in operation["parameters"] if p["in"] == "query"] + ["bogus"]
    params = {}
    for name in random.sample(names, random.randint(0, min(4, len(names)))):
        schema = next((p["schema"] for p in operation["parameters"] if p["name"] == name), {})
        good = schema.get("enum", []) + [v for k, v in schema.items() if k in ("minimum", "maximum", "default")]
        params[name] = random.choice(good) if good and random.random() < 0.6 else random.choice(ODD_TEXT)
    params.pop("wait", None)  # an answer is waited for, not the wait
    body = None
    if "requestBody" in operation and random.random() < 0.9:
        schema = resolve(world.spec, operation["requestBody"]["content"]["application/json"]["schema"])
        members = list(schema.get("properties", {})) + ["bogus"]
        body = {m: random.choice(ODD_JSON) for m in random.sample(members, random.randint(0, min(4, len(members))))}
        if random.random() < 0.5:
            body.pop("bogus", None)
            body.pop("enabled", None)
    return target, params, body


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_are_answered_as_described_and_never_fail_inside(world, seed):
    random = Random(seed)
    calls = [o for o in operations(world.spec) if o[1] != "DELETE" and not o[0].endswith("/test")]
    known = {"POST /v1/connections"}  # would leave connections that sync behind
    statuses = set()
    for _ in range(400):
        path, method, operation = random.choice(calls)
        if f"{method} {path}" in known:
            continue
        target, params, body = odd_call(random, world, path, method, operation)
        response = world.mine.call(method, target, params=params, json=body)
        statuses.add(response.status_code)
        assert response.status_code < 500, (method, target, params, body, response.text)
        described = operation["responses"].get(str(response.status_code))
        assert described, (method, target, params, body, response.status_code, response.text)
        if response.headers["Content-Type"].endswith("json") and response.content:
            schema = next(iter(described["content"].values()))["schema"]
            found = violations(world.spec, schema, response.json())
            if "fields" in params:  # leaves members out, that is its purpose
                found = [v for v in found if not v.endswith("is missing")]
            assert found == [], (method, target, params, body)
    assert {200, 400, 404} <= statuses
    world.mine.patch(world.base, json={"enabled": True, "schedule": "manual", "entities": [], "mapping": {}})
