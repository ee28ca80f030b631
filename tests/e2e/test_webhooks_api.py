"""The API of webhooks, deliveries and events: every operation with its answers and refusals, every limit on both
sides, what is audited, and what is never shown again. What happens to deliveries is in test_webhooks.py."""
import base64
import contextlib
import json
import sqlite3
import threading
import time
import types
import uuid

import jsonschema
import pytest

from harness import Server, Simulator, instant, wait_until
from harness.hooks import add_hook, check_event, hook_path, small_sync
from harness.programs import sanitizer_reports, slowness
from harness.receiver import Receiver
from harness.setup import connect_to, new_organization, wait_sync

URL = "https://hooks.example.com/in"
ABSENT = "01m85gjr84fn2tvxyf0ejj4x3j"
SECONDS = 20 * slowness()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An organization with two connections of which one is synced, a receiver, and OpenAPI."""
    place = tmp_path_factory.mktemp("webhooks")
    sim = Simulator(place / "sim", orders=20).start()
    server = Server(place).start()
    hooks = Receiver()
    try:
        api = server.api(new_organization(server, "Mine"))
        w = types.SimpleNamespace(server=server, api=api, sim=sim, hooks=hooks, place=place)
        w.connection = connect_to(api, sim, schedule="7d")
        wait_sync(api, w.connection)
        w.other_connection = connect_to(api, sim, name="Other", enabled=False)
        wait_until(lambda: api.get("/v1/events", params={"types": "sync.completed"})["data"], "an event", SECONDS)
        w.types = api.get("/v1/event-types")["data"]
        w.spec = api.get("/v1/openapi.json")
        yield w
        server.stop(expect=0)
        hooks.check()
        assert not sanitizer_reports(place)
        assert b"whsec_" not in b"".join(path.read_bytes() for path in server.data.glob("penstock.db*"))
        assert "whsec_" not in server.log() and "header-canary" not in server.log()
    finally:
        hooks.close()
        for program in (server, sim):
            program.kill()


@pytest.fixture
def api(world):
    return world.api


def create(api, status=201, **body):
    """A webhook, switched off unless it is said otherwise, so that nothing is sent."""
    return api.post("/v1/webhooks", json={"url": URL, "enabled": False, **body}, status=status)


def refused(api, param, method="POST", path="/v1/webhooks", code="INVALID_REQUEST", **body):
    """The problem of a body that has to be refused because of `param`."""
    if method == "POST":
        body = {"url": URL, **body}
    problem = api.fails(method, path, 400, code, json=body)
    assert problem["param"] == param, problem
    return problem["detail"]


def held(api, status="all", **body):
    """A webhook that is off, and its deliveries, all held."""
    hook = create(api, **body)
    api.post(hook_path(hook, "resend"), json={"since": "2026-01-01T00:00:00Z", "status": status}, status=202)
    return hook, list(api.pages(hook_path(hook, "deliveries")))


def check_schema(world, name, value):
    schema = {"$ref": f"#/components/schemas/{name}", "components": world.spec["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


# ---- creating ----

def test_what_is_left_out_has_a_default(world, api):
    made = api.post("/v1/webhooks", json={"url": URL}, status=201)
    check_schema(world, "WebhookWithSecret", made)
    defaults = {"url": URL, "description": "", "events": ["*"], "enabled": True, "ordered": True, "rate_limit": None,
                "timeout": "10s", "retry_for": "24h", "headers": {}, "signing": "hmac", "public_keys": [],
                "status": "active", "connection_id": None, "disabled_at": None, "failures": 0, "last_error": None}
    assert {name: made[name] for name in defaults} == defaults
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 32
    shown = api.get(hook_path(made))
    check_schema(world, "Webhook", shown)
    assert "secret" not in shown and made["secret"] not in json.dumps(api.get("/v1/webhooks"))
    assert (shown["waiting"], shown["waiting_is_capped"]) == (0, False)
    assert "waiting" not in api.get("/v1/webhooks")["data"][0]
    api.delete(hook_path(made))


def test_everything_can_be_set(world, api):
    body = {"url": URL, "description": "d", "events": ["sync.completed", "flow.*", "flow.big_order"], "enabled": False,
            "ordered": False, "rate_limit": 50, "timeout": "30s", "retry_for": "7d", "signing": "ed25519",
            "headers": {"Authorization": "header-canary", "X-Env": "prod"}}
    made = api.post("/v1/webhooks", json=body, status=201)
    check_schema(world, "WebhookWithSecret", made)
    assert made["headers"] == {"Authorization": "***", "X-Env": "***"}
    assert {name: made[name] for name in body if name != "headers"} == {
        name: value for name, value in body.items() if name != "headers"}
    assert made["secret"].startswith("whsk_") and made["public_keys"][0].startswith("whpk_")
    assert base64.b64decode(made["secret"][5:])[32:] == base64.b64decode(made["public_keys"][0][5:])
    assert made["status"] == "off"


def test_where_it_was_made_is_said(api, world):
    for path in ("/v1/webhooks", f"/v1/connections/{world.connection}/webhooks"):
        response = api.call("POST", path, json={"url": URL, "enabled": False})
        assert response.headers["Location"] == f"{path}/{response.json()['id']}"
        assert api.get(response.headers["Location"])["id"] == response.json()["id"]


@pytest.mark.parametrize("url, word", [
    ("", "bytes"), ("https://" + "a" * 2000, "bytes"), ("ftp://example.com/", "https://"), ("example.com", "https://"),
    ("https://user:pass@example.com/", "user name"), ("https://example.com/#x", "fragment"),
    ("https:///x", "host"), ("https://exa mple.com/", "blank"), ("https://ex\u00e4mple.com/", "ASCII"),
    ("https://example.com:0/", "port"), ("https://example.com:65536/", "port"), ("https://-_!.example.com/", "host"),
    ("https://127.1/", "host"), ("https://0x7f000001/", "host"), ("https://2130706433/", "host"),
    ("https://example..com/", "host"), ("https://[::1/", "host"), ("https://example.com\\@evil.example/", "backslash"),
])
def test_a_url_that_is_none_is_refused(api, url, word):
    assert word in refused(api, "url", url=url)


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0", "[fe80::1]",
                                  "[::ffff:10.0.0.1]", "100.100.100.200", "127.0.0.1:22"])
def test_an_address_that_is_never_delivered_to_is_refused_at_once(api, host):
    refused(api, "url", url=f"https://{host}/", code="ADDRESS_NOT_ALLOWED")


def test_penstocks_own_address_is_refused(api, world):
    refused(api, "url", url=f"http://127.0.0.1:{world.server.port}/v1/webhooks", code="ADDRESS_NOT_ALLOWED")


@pytest.mark.parametrize("url", ["https://example.com", "https://EXAMPLE.com:8443/a?b=c", "https://[2606:4700::1]/",
                                 "https://1.1.1.1/", "http://127.0.0.1:9999/", "https://xn--exmple-cua.com/",
                                 "https://my_host.example.com./"])
def test_a_url_that_is_one_is_taken_as_it_is(api, url):
    assert create(api, url=url)["url"] == url


def test_without_development_mode_only_https_is_taken(programs, place):
    server = programs(Server(place, dev=False))
    api = server.api(new_organization(server))
    assert "https://" in refused(api, "url", url="http://hooks.example.com/")
    refused(api, "url", url="https://127.0.0.1:9999/", code="ADDRESS_NOT_ALLOWED")
    create(api)


def test_plain_http_where_the_operator_allows_it(programs, place):
    server = programs(Server(place, dev=False, webhook_http=True))
    api = server.api(new_organization(server))
    create(api, url="http://hooks.example.com/")
    refused(api, "url", url="http://127.0.0.1:9999/", code="ADDRESS_NOT_ALLOWED")


LIMITS = [
    ("url", "https://example.com/" + "x" * 1980, "https://example.com/" + "x" * 1981),
    ("description", "x" * 1000, "x" * 1001),
    ("events", [f"flow.f{i}" for i in range(50)], [f"flow.f{i}" for i in range(51)]),
    ("events", ["flow." + "x" * 95], ["flow." + "x" * 96]),
    ("rate_limit", 1, 0), ("rate_limit", 10000, 10001),
    ("timeout", "1s", "999ms"), ("timeout", "30s", "31s"),
    ("retry_for", "1h", "59m"), ("retry_for", "7d", "169h"),
    ("headers", {f"X-{i}": "v" for i in range(20)}, {f"X-{i}": "v" for i in range(21)}),
    ("headers", {"X" * 100: "v"}, {"X" * 101: "v"}),
    ("headers", {"X": "v" * 1000}, {"X": "v" * 1001}),
    ("secret", "whsec_" + base64.b64encode(b"x" * 24).decode(), "whsec_" + base64.b64encode(b"x" * 23).decode()),
    ("secret", "whsec_" + base64.b64encode(b"x" * 64).decode(), "whsec_" + base64.b64encode(b"x" * 65).decode()),
]


@pytest.mark.parametrize("name, taken, too_much", LIMITS)
def test_each_limit_holds_on_both_sides(api, name, taken, too_much):
    refused(api, name, **{name: too_much})
    made = create(api, **{name: taken})
    if name == "headers":
        assert set(made["headers"]) == set(taken)
    else:
        assert made[name] == taken


WRONG = [
    ("url", 7), ("url", None), ("description", 7), ("events", "sync.completed"), ("events", [7]), ("events", ["sync"]),
    ("events", ["nothing.*"]), ("events", [".*"]), ("events", ["sync.comp*"]), ("events", ["flow."]), ("events", ["flow.Big"]), ("events", [""]), ("enabled", "yes"),
    ("ordered", 1), ("rate_limit", "50"), ("rate_limit", 1.5), ("rate_limit", -1), ("timeout", 10), ("timeout", "soon"),
    ("timeout", ""), ("retry_for", "8d"), ("headers", []), ("headers", {"X Y": "v"}), ("headers", {"": "v"}),
    ("headers", {"X\u00e4": "v"}), ("headers", {"X": 7}), ("headers", {"X": ""}), ("headers", {"X": "a\nb"}),
    ("headers", {"X": " a"}), ("headers", {"X": "\u00e4"}), ("headers", {"X-A": "1", "x-a": "2"}),
    ("signing", "rsa"), ("signing", 7), ("secret", "whsec_"), ("secret", "secret"), ("secret", "whsk_AAAA"),
    ("secret", ""), ("id", "whk_x"), ("status", "active"), ("nonsense", 1),
]


@pytest.mark.parametrize("name, value", WRONG)
def test_what_makes_no_sense_is_named(api, name, value):
    before = len(list(api.pages("/v1/webhooks")))
    body = {"url": URL, name: value}
    problem = api.fails("POST", "/v1/webhooks", 400, "INVALID_REQUEST", json=body)
    assert problem["param"] == name, problem
    assert len(list(api.pages("/v1/webhooks"))) == before


@pytest.mark.parametrize("name", ["Host", "content-length", "Content-Type", "Connection", "Transfer-Encoding",
                                  "User-Agent", "Webhook-Id", "webhook-anything", "Penstock-Sequence", "TE", "Upgrade",
                                  "Expect", "Trailer", "Keep-Alive", "Proxy-Authorization", "Content-Encoding",
                                  "Accept-Encoding"])
def test_a_header_that_is_penstocks_own_is_refused(api, name):
    assert name in refused(api, "headers", headers={name: "v"})


def test_a_refused_header_does_not_say_its_value_again(api):
    assert "canary" not in refused(api, "headers", headers={"X": "canary\n"})
    assert "canary" not in refused(api, "secret", secret="whsec_canary")


def test_a_list_of_events_is_kept_once_each(api):
    assert create(api, events=["flow.a", "sync.failed", "flow.a"])["events"] == ["flow.a", "sync.failed"]
    assert create(api, events=["flow.a", "*"])["events"] == ["*"]
    assert create(api, events=["sync.*", "connection.*", "flow.*"])["events"] == ["sync.*", "connection.*", "flow.*"]
    assert create(api, events=[])["events"] == []


def test_an_organization_has_500_at_most(world):
    api = world.server.api(new_organization(world.server, "Full"))
    for i in range(500):
        last = create(api, description=str(i))
    problem = api.fails("POST", "/v1/webhooks", 409, "CONFLICT", json={"url": URL})
    assert "500" in problem["detail"] and "delete" in problem["detail"]
    api.delete(hook_path(last))
    create(api)
    pages = []
    cursor = {}
    while True:
        page = api.get("/v1/webhooks", params={"limit": 500, **cursor})
        pages.append(len(page["data"]))
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert pages == [100] * 5
    found = [hook["id"] for hook in api.pages("/v1/webhooks", limit=7)]
    assert len(found) == len(set(found)) == 500
    # Another organization has room of its own.
    create(world.api)


# ---- looking ----

def test_what_is_not_there_is_not_found(api, world):
    hook, deliveries = held(api)
    gone = create(api)
    api.delete(hook_path(gone))
    absent = {"id": "whk_" + ABSENT}
    for each in (absent, gone, {"id": "nothing"}):
        for method, more, body in (("GET", (), None), ("PATCH", (), {"description": "x"}), ("DELETE", (), None),
                                   ("POST", ("rotate-secret",), {}), ("POST", ("test",), {}),
                                   ("POST", ("resend",), {"since": "2026-01-01T00:00:00Z"}), ("GET", ("deliveries",), None),
                                   ("GET", ("deliveries", deliveries[0]["id"]), None),
                                   ("POST", ("deliveries", deliveries[0]["id"], "resend"), None)):
            api.fails(method, hook_path(each, *more), 404, "NOT_FOUND", json=body)
    other, others = held(api)
    for wanted in ("dlv_" + ABSENT, "nothing", others[0]["id"]):
        api.fails("GET", hook_path(hook, "deliveries", wanted), 404, "NOT_FOUND")
        api.fails("POST", hook_path(hook, "deliveries", wanted, "resend"), 404, "NOT_FOUND")
    api.fails("GET", "/v1/events/evt_" + ABSENT, 404, "NOT_FOUND")
    for path in ("/v1/webhooks", hook_path(hook, "deliveries"), "/v1/events"):
        problem = api.fails("GET", path, 404, "NOT_FOUND", params={"connection_id": "conn_" + ABSENT})
        assert problem["param"] == "connection_id"


@pytest.mark.parametrize("path, query, param", [
    ("/v1/webhooks", "limit=0", "limit"), ("/v1/webhooks", "status=active", "status"),
    ("deliveries", "status=pending", "status"), ("deliveries", "type=sync", "type"), ("deliveries", "since=soon", "since"),
    ("deliveries", "until=1", "until"), ("deliveries", "limit=501", "limit"), ("deliveries", "cursor=x", "cursor"),
    ("/v1/events", "types=nothing", "types"), ("/v1/events", "wait=61", "wait"), ("/v1/events", "wait=1", "wait"),
    ("/v1/events", "after=evt_x", "after"), ("/v1/events", "after=newest&cursor=x", "cursor"),
    ("/v1/events", "since=never", "since"), ("/v1/events", "limit=501", "limit"), ("/v1/event-types", "a=b", "a"),
])
def test_a_wrong_parameter_is_named(api, path, query, param):
    if path == "deliveries":
        path = hook_path(create(api), "deliveries")
    assert api.fails("GET", f"{path}?{query}", 400, "INVALID_REQUEST")["param"] == param


def test_a_list_can_be_narrowed_to_a_connection(api, world):
    mine = api.post(f"/v1/connections/{world.connection}/webhooks", json={"url": URL, "enabled": False}, status=201)
    wide = create(api)
    all_of_it = {hook["id"] for hook in api.pages("/v1/webhooks")}
    there = {hook["id"] for hook in api.pages("/v1/webhooks", connection_id=world.connection)}
    elsewhere = {hook["id"] for hook in api.pages("/v1/webhooks", connection_id=world.other_connection)}
    assert {mine["id"], wide["id"]} <= all_of_it and {mine["id"], wide["id"]} <= there
    assert wide["id"] in elsewhere and mine["id"] not in elsewhere


# ---- changing ----

def test_only_what_is_given_changes(api, world):
    hook = create(api, description="before", rate_limit=7, headers={"A": "1", "B": "2"})
    changed = api.patch(hook_path(hook), json={"url": URL + "/new", "timeout": "2s", "events": ["system.error"]})
    check_schema(world, "Webhook", changed)
    assert (changed["url"], changed["timeout"], changed["events"]) == (URL + "/new", "2s", ["system.error"])
    assert (changed["description"], changed["rate_limit"], changed["retry_for"]) == ("before", 7, "24h")
    assert api.patch(hook_path(hook), json={"rate_limit": None})["rate_limit"] is None
    changed = api.patch(hook_path(hook), json={"headers": {"a": None, "C": "3"}})
    assert set(changed["headers"]) == {"B", "C"}
    assert set(api.patch(hook_path(hook), json={"headers": {"b": "4"}})["headers"]) == {"b", "C"}
    full = {f"X-{i}": "v" for i in range(18)}
    assert len(api.patch(hook_path(hook), json={"headers": full})["headers"]) == 20
    refused(api, "headers", "PATCH", hook_path(hook), headers={"One": "more"})
    assert len(api.patch(hook_path(hook), json={"headers": {"One": "more", "C": None}})["headers"]) == 20
    assert api.patch(hook_path(hook), json={})["updated_at"] >= changed["updated_at"]


@pytest.mark.parametrize("body, param", [
    ({"secret": "whsec_x"}, "secret"), ({"signing": "ed25519"}, "signing"), ({"url": "http://10.0.0.1/"}, "url"),
    ({"events": ["nothing"]}, "events"), ({"timeout": "1h"}, "timeout"), ({"nonsense": 1}, "nonsense")])
def test_a_change_that_makes_no_sense_changes_nothing(api, body, param):
    hook = create(api)
    before = api.get(hook_path(hook))
    problem = api.call("PATCH", hook_path(hook), json={"description": "never", **body}).json()
    assert (problem["status"], problem["param"]) == (400, param)
    assert api.get(hook_path(hook)) == before


def test_changes_at_once_do_not_undo_each_other(api, world):
    hook = create(api)
    bodies = [{"description": "x"}, {"timeout": "3s"}, {"rate_limit": 9}, {"headers": {"A": "1"}},
              {"headers": {"B": "1"}}, {"retry_for": "2h"}]
    threads = [threading.Thread(target=lambda body=body: world.server.api(api.token).patch(hook_path(hook), json=body))
               for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = api.get(hook_path(hook))
    assert (now["description"], now["timeout"], now["rate_limit"], now["retry_for"]) == ("x", "3s", 9, "2h")
    assert set(now["headers"]) == {"A", "B"}


def test_off_and_on_again(api, world):
    hook = create(api, enabled=True, events=[])
    assert api.patch(hook_path(hook), json={"enabled": False})["status"] == "off"
    problem = api.fails("POST", hook_path(hook, "test"), 409, "WEBHOOK_DISABLED", json={})
    assert "enable it first" in problem["detail"]
    assert api.patch(hook_path(hook), json={"enabled": True})["status"] == "active"


# ---- connections ----

def test_a_connection_has_its_own_and_those_of_all(api, world):
    base, other = (f"/v1/connections/{each}/webhooks" for each in (world.connection, world.other_connection))
    wide = create(api, events=["sync.failed"])
    mine = api.post(base, json={"url": URL, "enabled": False, "events": ["flow.x"]}, status=201)
    check_schema(world, "WebhookWithSecret", mine)
    assert mine["connection_id"] == world.connection and mine["events_chosen"] is False
    for hook in api.get(base)["data"]:
        check_schema(world, "Webhook", hook)
    listed = {hook["id"]: hook for hook in api.pages(base)}
    assert listed[mine["id"]]["events"] == ["flow.x"] and listed[wide["id"]]["events"] == ["sync.failed"]
    assert mine["id"] not in {hook["id"] for hook in api.pages(other)}
    for method, body in (("GET", None), ("PATCH", {"description": "x"}), ("DELETE", None)):
        api.fails(method, f"{other}/{mine['id']}", 404, "NOT_FOUND", json=body)
    assert api.patch(f"{base}/{mine['id']}", json={"description": "mine", "timeout": "4s"})["timeout"] == "4s"
    assert api.get(hook_path(mine))["description"] == "mine"
    assert api.call("DELETE", f"{base}/{mine['id']}").status_code == 204
    api.fails("GET", f"{base}/{mine['id']}", 404, "NOT_FOUND")


def test_a_connection_chooses_events_of_a_webhook_of_all(api, world):
    base, other = (f"/v1/connections/{each}/webhooks" for each in (world.connection, world.other_connection))
    wide = create(api, events=["sync.failed"])
    chosen = api.patch(f"{base}/{wide['id']}", json={"events": ["sync.completed", "flow.*"]})
    assert (chosen["events"], chosen["events_chosen"]) == (["sync.completed", "flow.*"], True)
    assert api.get(f"{base}/{wide['id']}")["events"] == ["sync.completed", "flow.*"]
    assert api.get(f"{other}/{wide['id']}")["events"] == ["sync.failed"]
    assert api.get(hook_path(wide))["events"] == ["sync.failed"]
    assert api.patch(f"{base}/{wide['id']}", json={"events": []})["events"] == []
    back = api.patch(f"{base}/{wide['id']}", json={"events": None})
    assert (back["events"], back["events_chosen"]) == (["sync.failed"], False)
    for body in ({"description": "x"}, {"events": [], "enabled": True}, {}):
        problem = api.fails("PATCH", f"{base}/{wide['id']}", 400, "INVALID_REQUEST", json=body)
        assert problem["param"] == "events" and hook_path(wide) in problem["detail"]
    refused(api, "events", "PATCH", f"{base}/{wide['id']}", events=["nothing"])
    problem = api.fails("DELETE", f"{base}/{wide['id']}", 409, "CONFLICT")
    assert "events" in problem["detail"]
    assert api.get(hook_path(wide))["id"] == wide["id"]


# ---- secrets ----

def test_a_rotated_secret_signs_with_the_old_one_for_a_while(api, world):
    hook = add_hook(api, world.hooks, "/rotated", events=[])
    rotated = api.post(hook_path(hook, "rotate-secret"), status=200)
    check_schema(world, "WebhookWithSecret", rotated)
    assert rotated["secret"] != hook["secret"]
    world.hooks.trust("/rotated", hook["secret"], rotated["secret"])
    api.post(hook_path(hook, "test"), json={}, status=202)
    [first] = world.hooks.wait("/rotated", seconds=SECONDS)
    assert len(first.headers["webhook-signature"].split()) == 2
    last = api.post(hook_path(hook, "rotate-secret"), json={"overlap": "0s"})
    world.hooks.trust("/rotated", last["secret"])
    api.post(hook_path(hook, "test"), json={}, status=202)
    second = world.hooks.wait("/rotated", 2, seconds=SECONDS)[1]
    assert len(second.headers["webhook-signature"].split()) == 1


def test_five_secrets_sign_at_most(api, world):
    hook = add_hook(api, world.hooks, "/five", events=[])
    secrets = [hook["secret"]]
    for _ in range(6):
        secrets.append(api.post(hook_path(hook, "rotate-secret"), json={"overlap": "7d"})["secret"])
    world.hooks.trust("/five", *secrets[-5:])
    api.post(hook_path(hook, "test"), json={}, status=202)
    [delivery] = world.hooks.wait("/five", seconds=SECONDS)
    assert len(delivery.headers["webhook-signature"].split()) == 5


def test_public_keys_follow_the_secrets(api, world):
    hook = add_hook(api, world.hooks, "/pair", events=[], signing="ed25519")
    rotated = api.post(hook_path(hook, "rotate-secret"), json={})
    assert rotated["public_keys"][1:] == hook["public_keys"]
    world.hooks.trust("/pair", *rotated["public_keys"])
    api.post(hook_path(hook, "test"), json={}, status=202)
    world.hooks.wait("/pair", seconds=SECONDS)
    assert len(api.post(hook_path(hook, "rotate-secret"), json={"overlap": "0s"})["public_keys"]) == 1


@pytest.mark.parametrize("body, param", [
    ({"overlap": "8d"}, "overlap"), ({"overlap": "-1s"}, "overlap"), ({"overlap": 5}, "overlap"),
    ({"secret": "whsk_AAAA"}, "secret"), ({"secret": "x"}, "secret"), ({"nonsense": 1}, "nonsense")])
def test_a_rotation_that_makes_no_sense_changes_nothing(api, body, param):
    hook = create(api)
    problem = api.fails("POST", hook_path(hook, "rotate-secret"), 400, "INVALID_REQUEST", json=body)
    assert problem["param"] == param
    assert api.get(hook_path(hook))["updated_at"] == hook["updated_at"]


def test_an_own_secret_is_taken(api, world):
    own = "whsec_" + base64.b64encode(b"k" * 24).decode()
    hook = add_hook(api, world.hooks, "/own", events=[], secret=own)
    assert hook["secret"] == own
    api.post(hook_path(hook, "test"), json={}, status=202)
    world.hooks.wait("/own", seconds=SECONDS)
    assert api.post(hook_path(hook, "rotate-secret"), json={"secret": own, "overlap": "0s"})["secret"] == own


# ---- deliveries ----

def test_deliveries_are_listed_filtered_and_paged(api, world):
    hook, deliveries = held(api)
    events = list(api.pages("/v1/events"))
    assert [d["event_id"] for d in deliveries] == [event["id"] for event in events]
    for delivery in deliveries:
        check_schema(world, "Delivery", delivery)
        assert (delivery["status"], delivery["webhook_id"], delivery["attempts_made"]) == ("held", hook["id"], 0)
        assert delivery["next_attempt_at"] is None and delivery["ended_at"] is None
    path = hook_path(hook, "deliveries")
    assert list(api.pages(path, limit=1)) == deliveries
    for query, keep in (({"status": "held"}, lambda d: True), ({"status": "waiting,delivered,failed"}, lambda d: False),
                        ({"status": "held,failed"}, lambda d: True), ({"type": "sync.completed"},
                                                                      lambda d: d["type"] == "sync.completed"),
                        ({"type": "flow.*"}, lambda d: False), ({"type": "sync.*,records.*"},
                                                                                    lambda d: d["type"][:4] in ("sync", "reco")), ({"connection_id": world.connection},
                                                                lambda d: d["connection_id"] == world.connection),
                        ({"connection_id": world.other_connection},
                         lambda d: d["connection_id"] == world.other_connection),
                        ({"since": "2100-01-01T00:00:00Z"}, lambda d: False),
                        ({"until": "2100-01-01T00:00:00Z"}, lambda d: True)):
        assert list(api.pages(path, **query)) == [d for d in deliveries if keep(d)], query
    one = api.get(hook_path(hook, "deliveries", deliveries[0]["id"]))
    check_schema(world, "DeliveryWithAttempts", one)
    assert one["attempts"] == [] and one["event"] == events[0]


def test_a_cursor_is_good_for_its_own_list_only(api, world):
    hook, _ = held(api)
    other, _ = held(api)
    page = api.get(hook_path(hook, "deliveries"), params={"limit": 1})
    assert page["next_cursor"]
    for path, more in ((hook_path(other, "deliveries"), {}), (hook_path(hook, "deliveries"), {"status": "held"}),
                       ("/v1/events", {}), ("/v1/webhooks", {})):
        problem = api.fails("GET", path, 400, "INVALID_REQUEST", params={"cursor": page["next_cursor"], **more})
        assert problem["param"] == "cursor"


def test_a_range_that_makes_no_sense_is_refused(api):
    hook = create(api)
    since = "2026-01-01T00:00:00Z"
    for body, param in (({}, "since"), ({"since": "soon"}, "since"), ({"since": 1}, "since"),
                        ({"since": since, "until": since}, "until"), ({"since": since, "until": "x"}, "until"),
                        ({"since": since, "status": "waiting"}, "status"), ({"since": since, "x": 1}, "x")):
        assert api.fails("POST", hook_path(hook, "resend"), 400, "INVALID_REQUEST", json=body)["param"] == param, body


def test_a_range_queues_what_was_never_queued_once(api, world):
    hook = create(api, events=["sync.completed"])
    body = {"since": "2026-01-01T00:00:00Z"}
    assert api.post(hook_path(hook, "resend"), json=body, status=202) == {"queued": 0}
    queued = api.post(hook_path(hook, "resend"), json={**body, "status": "all"}, status=202)["queued"]
    assert queued == len(list(api.pages("/v1/events", types="sync.completed"))) > 0
    assert api.post(hook_path(hook, "resend"), json={**body, "status": "all"}, status=202)["queued"] == 0
    later = {"since": "2100-01-01T00:00:00Z", "status": "all"}
    assert api.post(hook_path(create(api), "resend"), json=later, status=202)["queued"] == 0
    assert api.get(hook_path(hook))["waiting"] == queued


def test_a_test_of_every_type_arrives(api, world):
    hook = add_hook(api, world.hooks, "/samples", events=[])
    names = [entry["type"].replace("*", "my_flow") for entry in world.types]
    for name in names:
        sent = api.post(hook_path(hook, "test"), json={"type": name}, status=202)
        check_schema(world, "Delivery", sent)
        assert (sent["sample"], sent["type"]) == (True, name)
    arrived = world.hooks.wait("/samples", len(names), seconds=SECONDS, penstock_sample="true")
    assert sorted(d.event["type"] for d in arrived) == sorted(names)
    for delivery in arrived:
        check_event(world.types, delivery.event)
    # Samples are not what happened.
    assert not {d.id for d in arrived} & {event["id"] for event in api.pages("/v1/events")}
    for body, param in (({"type": "nothing"}, "type"), ({"type": "flow.*"}, "type"), ({"type": "*"}, "type"),
                        ({"type": 7}, "type"), ({"type": "flow." + "x" * 96}, "type"), ({"nonsense": 1}, "nonsense")):
        assert api.fails("POST", hook_path(hook, "test"), 400, "INVALID_REQUEST", json=body)["param"] == param


# ---- events ----

def test_events_are_as_they_were_sent(api, world):
    hook = add_hook(api, world.hooks, "/bytes")
    small_sync(api, world.connection)
    delivery = world.hooks.wait("/bytes", seconds=SECONDS)[0]
    assert api.call("GET", f"/v1/events/{delivery.id}").content == delivery.body
    assert delivery.event in list(api.pages("/v1/events"))
    api.delete(hook_path(hook))
    for event in api.pages("/v1/events"):
        check_event(world.types, event)


def test_events_are_paged_and_filtered(api, world):
    every = list(api.pages("/v1/events"))
    times = [instant(e["timestamp"]) for e in every]
    assert len(every) > 2 and times == sorted(times, reverse=True)
    assert list(api.pages("/v1/events", limit=1)) == every
    kind = every[0]["type"]
    assert list(api.pages("/v1/events", types=kind, limit=1)) == [e for e in every if e["type"] == kind]
    assert list(api.pages("/v1/events", connection_id=world.connection)) == [
        e for e in every if e["connection_id"] == world.connection]
    middle = every[len(every) // 2]["timestamp"]
    assert list(api.pages("/v1/events", since=middle)) == [e for e in every if instant(e["timestamp"]) >= instant(middle)]
    assert list(api.pages("/v1/events", until=middle)) == [e for e in every if instant(e["timestamp"]) < instant(middle)]


def follow(api, after, **params):
    """All events behind `after`, walked in small pages."""
    found = []
    while True:
        page = api.get("/v1/events", params={"after": after, "limit": 2, **params})
        found += page["data"]
        if page["next_after"] == after or not page["data"]:
            return found, page["next_after"]
        after = page["next_after"]


def test_events_are_followed_from_any_place(api, world):
    every = list(api.pages("/v1/events"))[::-1]
    assert follow(api, "oldest")[0] == every
    assert follow(api, every[0]["id"])[0] == every[1:]
    found, after = follow(api, "newest")
    assert (found, after) == ([], every[-1]["id"])
    found, after = follow(api, "oldest", types="sync.completed")
    assert found == [e for e in every if e["type"] == "sync.completed"]
    assert after in (every[-1]["id"], found[-1]["id"])
    problem = api.fails("GET", "/v1/events", 410, "CHANGES_EXPIRED", params={"after": "evt_" + ABSENT})
    assert problem["param"] == "after"


def test_following_waits_for_the_next_event(api, world):
    newest = api.get("/v1/events", params={"after": "newest"})["next_after"]
    answers = []
    waiting = world.server.api(api.token)
    thread = threading.Thread(target=lambda: answers.append(
        waiting.get("/v1/events", params={"after": newest, "wait": 30, "connection_id": world.connection})))
    thread.start()
    sync = small_sync(api, world.connection)
    thread.join()
    assert answers[0]["data"] and answers[0]["data"][0]["data"]["sync_id"] == sync["id"]
    # One that nothing comes for is answered when its time is up, and says where it was.
    newest = api.get("/v1/events", params={"after": "newest"})["next_after"]
    page = api.get("/v1/events", params={"after": newest, "wait": 1, "types": "flow.never"})
    assert (page["data"], page["next_after"]) == ([], newest)


def test_who_has_no_event_yet_misses_none(world):
    api = world.server.api(new_organization(world.server, "Young"))
    page = api.get("/v1/events", params={"after": "newest"})
    assert page == {"data": [], "next_after": None}
    connection = connect_to(api, world.sim, schedule="7d")
    wait_sync(api, connection)
    found, _ = follow(api, "oldest")
    assert found == list(api.pages("/v1/events"))[::-1] and found


def test_a_page_of_large_events_ends_early_and_loses_none(programs, place):
    server = programs(Server(place))
    api = server.api(new_organization(server))
    sample = next(entry["sample"] for entry in api.get("/v1/event-types")["data"] if entry["type"] == "flow.*")
    server.stop()
    count, now = 600, int(time.time() * 1e6)
    with contextlib.closing(sqlite3.connect(server.data / "penstock.db")) as db:
        for i in range(count):
            identifier = uuid.UUID(int=(0x7 << 76) | (0x2 << 62) | i + 1)
            body = json.dumps({**sample, "type": "flow.large", "data": {"i": i, "filler": "x" * 20000}}, separators=(",", ":"))
            db.execute("INSERT INTO event (id, organization_pk, connection_pk, type, at, sample, body)"
                       " VALUES (?, 1, 0, 'flow.large', ?, 0, ?)", (identifier.bytes, now + i, body))
        db.commit()
    server.start()
    api = server.api(api.token)
    newest = api.get("/v1/events", params={"limit": 500})
    assert 300 < len(newest["data"]) < 500 and newest["next_cursor"]
    assert [e["data"]["i"] for e in api.pages("/v1/events", limit=500)] == list(range(count))[::-1]
    found, after = [], "oldest"
    while len(found) < count:
        page = api.get("/v1/events", params={"after": after, "limit": 500})
        found += page["data"]
        after = page["next_after"]
    assert [e["data"]["i"] for e in found] == list(range(count))


def test_every_type_has_a_schema_that_its_sample_fits(api, world):
    assert {entry["type"] for entry in world.types} == {
        "sync.completed", "sync.failed", "connection.authentication_required", "connection.online", "connection.offline",
        "system.error", "records.changed", "schema.changed", "flow.*"}
    for entry in world.types:
        check_schema(world, "EventType", entry)
        check_event(world.types, entry["sample"])


# ---- OpenAPI and the reference ----

def test_openapi_describes_what_a_receiver_gets(api, world):
    assert set(world.spec["webhooks"]) == {entry["type"] for entry in world.types}
    for entry in world.types:
        operation = world.spec["webhooks"][entry["type"]]["post"]
        assert operation["x-event-version"] == entry["version"]
        assert operation["description"] and {"2XX", "410"} <= set(operation["responses"])
        content = operation["requestBody"]["content"]["application/json"]
        assert content["schema"] == entry["schema"] and content["example"] == entry["sample"]
        headers = {parameter["name"]: parameter["description"] for parameter in operation["parameters"]}
        assert {"webhook-id", "webhook-timestamp", "webhook-signature", "penstock-sequence"} <= set(headers)
        # A receiver does see gaps, leaps, and higher numbers of older events.
        told = headers["penstock-sequence"]
        assert "without gaps" not in told and all(word in told for word in ("given up", "restore", "re-send"))
    delivery = world.spec["components"]["schemas"]["Delivery"]["properties"]
    assert "without gaps" not in delivery["sequence"]["description"]
    page = api.call("GET", "/docs").text
    for entry in world.types:
        assert f'id="{entry["type"]}"' in page


# ---- who did what ----

def test_changes_are_audited_by_their_names_only(api, world):
    hook = create(api, headers={"X-A": "header-canary"}, description="audited")
    api.patch(hook_path(hook), json={"headers": {"X-A": "header-canary-2"}, "timeout": "5s"})
    api.patch(f"/v1/connections/{world.connection}/webhooks/{hook['id']}", json={"events": []})
    api.post(hook_path(hook, "rotate-secret"))
    api.patch(hook_path(hook), json={"enabled": True, "events": []})
    delivery = api.post(hook_path(hook, "test"), status=202)
    api.post(hook_path(hook, "deliveries", delivery["id"], "resend"), status=202)
    api.post(hook_path(hook, "resend"), json={"since": "2100-01-01T00:00:00Z"}, status=202)
    api.delete(hook_path(hook))
    rows = [row for row in api.pages("/v1/audit") if row["object"] == hook["id"]][::-1]
    assert [(row["action"], row["detail"]) for row in rows] == [
        ("webhook.create", {"members": ["url", "description", "enabled", "headers"]}),
        ("webhook.update", {"members": ["timeout", "headers"]}),
        ("webhook.update", {"members": ["events"], "connection_id": world.connection}),
        ("webhook.rotate_secret", {"members": ["secret"]}),
        ("webhook.update", {"members": ["events", "enabled"]}),
        ("webhook.test", {"delivery_id": delivery["id"], "type": "sync.completed"}),
        ("webhook.resend", {"delivery_id": delivery["id"]}),
        ("webhook.resend", {"since": "2100-01-01T00:00:00Z", "until": "", "status": "failed"}),
        ("webhook.delete", {}),
    ]
    assert all(row["actor"].startswith("key_") for row in rows)
    assert "canary" not in json.dumps(rows) and "whsec_" not in json.dumps(rows)


@pytest.mark.parametrize("role", ["viewer", "developer"])
def test_viewers_look_and_developers_change(api, role):
    hook, deliveries = held(api)
    key = api.post("/v1/keys", json={"name": role, "role": role}, status=201)
    caller = api.with_token(key["key"])
    for path in ("/v1/webhooks", hook_path(hook), hook_path(hook, "deliveries"), "/v1/events", "/v1/event-types",
                 hook_path(hook, "deliveries", deliveries[0]["id"]), f"/v1/events/{deliveries[0]['event_id']}"):
        caller.get(path)
    for method, path, body, status in (
            ("POST", "/v1/webhooks", {"url": URL, "enabled": False}, 201), ("PATCH", hook_path(hook), {"timeout": "2s"}, 200),
            ("POST", hook_path(hook, "rotate-secret"), {}, 200), ("POST", hook_path(hook, "test"), {}, 409),
            ("POST", hook_path(hook, "resend"), {"since": "2100-01-01T00:00:00Z"}, 202),
            ("POST", hook_path(hook, "deliveries", deliveries[0]["id"], "resend"), None, 202),
            ("DELETE", hook_path(hook), None, 204)):
        response = caller.call(method, path, json=body)
        assert response.status_code == (403 if role == "viewer" else status), (method, path, response.text)
