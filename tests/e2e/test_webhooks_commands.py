"""Every command about webhooks with its flags, its refusals and exit statuses; what status and doctor say of a webhook
in trouble; the receiver of `webhooks listen`; `tail` over a restart."""
import base64
import json
import re
import signal
import time

import pytest
import requests

from harness import Program, wait_until
from harness.hooks import add_hook, deliveries, hook_path, small_sync
from harness.programs import run_cli, slowness
from harness.receiver import Answer
from harness.setup import connect_to, new_organization, wait_sync
from harness.signing import hmac_signature

SECONDS = 20 * slowness()
URL = "https://hooks.example.com/in"
OWN = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def api(server):
    return server.api(new_organization(server))


@pytest.fixture
def follow(place, server):
    """Starts a command that runs until it is ended: follow("tail", "--json")."""
    started = []

    def begin(name, *arguments, **env):
        program = Program(place, f"penstock-{name}", [*arguments, "--data-dir", server.data], **env)
        started.append(program)
        return program.start()

    yield begin
    for program in started:
        program.kill()


def ended(program, number=signal.SIGINT):
    program.signal(number)
    assert program.wait(SECONDS) == 0, program.log()
    return program.log()


def refused(server, status, *arguments, **env):
    """The words of a command that has to fail with an exit status."""
    done = server.cli(*arguments, check=False, **env)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    assert done.stderr.startswith("penstock: "), done.stderr
    return done.stderr


# ---- help ----

ACTIONS = ["show", "create", "update", "delete", "rotate-secret", "test", "deliveries", "attempts", "resend", "listen"]


@pytest.mark.parametrize("command", ["webhooks", "tail", *(f"webhooks {action}" for action in ACTIONS)])
def test_every_command_has_help_with_examples(tmp_path, command):
    text = run_cli(tmp_path, [*command.split(), "--help"]).stdout
    assert f"penstock {command}:" in text and "Examples:" in text
    assert max(map(len, text.splitlines())) <= 130
    if command == "webhooks":
        assert all(f"webhooks {action}" in text for action in ACTIONS)


# ---- setting up ----

def test_create_prints_the_secret_alone(server, api):
    done = server.cli("webhooks", "create", URL, "--description", "mine", "--rate-limit", "50", "--timeout", "20s",
                      "--retry-for", "2h", "--ordered", "no", "--enabled", "no", "--events", "sync.failed,flow.*",
                      "-H", "X-Env=prod")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", done.stdout) and "once" in done.stderr
    [hook] = api.get("/v1/webhooks")["data"]
    assert hook["id"] in done.stderr
    assert {name: hook[name] for name in ("url", "description", "rate_limit", "timeout", "retry_for", "ordered", "enabled",
                                          "events", "headers")} == {
        "url": URL, "description": "mine", "rate_limit": 50, "timeout": "20s", "retry_for": "2h", "ordered": False,
        "enabled": False, "events": ["sync.failed", "flow.*"], "headers": {"X-Env": "***"}}


def test_secrets_come_from_files_and_the_environment(server, api, place, hooks):
    (place / "secret").write_text(OWN + "\n")
    (place / "token").write_text("Bearer from-a-file\n")
    server.cli("webhooks", "create", hooks.url("/file"), "--secret-file", place / "secret", "-H",
               f"Authorization=@{place / 'token'}")
    hooks.trust("/file", OWN)
    server.cli("webhooks", "test", hooks.url("/file"))
    assert hooks.wait("/file")[0].headers["authorization"] == "Bearer from-a-file"
    made = server.cli("webhooks", "create", URL, "--enabled", "no", PENSTOCK_WEBHOOK_SECRET=OWN)
    assert made.stdout.strip() == OWN
    assert server.cli("webhooks", "create", URL, "--enabled", "no", "--secret-file", "-", stdin=OWN + "\n").stdout.strip() == OWN
    assert "command line" in refused(server, 64, "webhooks", "create", URL, "--webhook-secret", OWN)
    pair = server.cli("webhooks", "create", URL, "--enabled", "no", "--signing", "ed25519")
    assert pair.stdout.startswith("whsk_") and "whpk_" in pair.stderr


@pytest.mark.parametrize("arguments, word", [
    ([], "usage"), (["nonsense"], "https://"), ([URL, "extra"], "extra"), ([URL, "--rate-limit", "0"], "1 to 10000"),
    ([URL, "--rate-limit", "many"], "none"), ([URL, "--header", "X"], "NAME=VALUE"), ([URL, "--timeout", "1h"], "30s"),
    ([URL, "--events", "nothing"], "event-types"), ([URL, "--enabled", "maybe"], "yes"), ([URL, "--secret-file", "/none"], "/none"),
    ([URL, "--connection", "nobody"], "nobody"), ([URL, "--nonsense"], "nonsense")])
def test_what_cannot_be_created_is_said(server, api, arguments, word):
    done = server.cli("webhooks", "create", *arguments, check=False)
    assert done.returncode in (64, 66) and word in done.stderr, done.stderr
    assert api.get("/v1/webhooks")["data"] == []


def test_a_webhook_is_named_by_id_url_description_or_not_at_all(server, api):
    assert "webhooks create" in refused(server, 66, "webhooks", "show")
    first = api.post("/v1/webhooks", json={"url": URL, "enabled": False, "description": "first"}, status=201)
    for word in ([first["id"]], [URL], ["first"], []):
        assert server.cli("webhooks", "show", *word, json_output=True)["id"] == first["id"]
    second = api.post("/v1/webhooks", json={"url": URL, "enabled": False, "description": "second"}, status=201)
    assert server.cli("webhooks", "show", "second", json_output=True)["id"] == second["id"]
    both = refused(server, 64, "webhooks", "show")
    assert first["id"] in both and second["id"] in both
    assert first["id"] in refused(server, 65, "webhooks", "show", URL)
    assert "nobody" in refused(server, 66, "webhooks", "show", "nobody")
    refused(server, 66, "webhooks", "show", "whk_01m85gjr84fn2tvxyf0ejj4x3j")


def test_the_list_says_what_there_is(server, api):
    empty = server.cli("webhooks")
    assert empty.stdout == "" and "webhooks create" in empty.stderr
    api.post("/v1/webhooks", json={"url": URL, "enabled": False}, status=201)
    for command in (["webhooks"], ["webhooks", "list"]):
        shown = server.cli(*command).stdout
        assert URL in shown and "off" in shown
    assert server.cli("webhooks", json_output=True) == {"data": api.get("/v1/webhooks")["data"]}
    error = server.cli("webhooks", "show", "nobody", "--json", check=False)
    assert json.loads(error.stderr)["code"] == "NOT_FOUND"


def test_update_changes_what_is_given(server, api, sim):
    hook = api.post("/v1/webhooks", json={"url": URL, "enabled": False, "rate_limit": 5, "headers": {"A": "1"}}, status=201)
    assert "what to change" in refused(server, 64, "webhooks", "update", hook["id"])
    server.cli("webhooks", "update", hook["id"], "--to", URL + "/new", "--rate-limit", "none", "-H", "A=", "-H", "B=2",
               "--ordered", "no", "--events", "none")
    now = api.get(hook_path(hook))
    assert (now["url"], now["rate_limit"], now["headers"], now["ordered"], now["events"], now["enabled"]) == (
        URL + "/new", None, {"B": "***"}, False, [], False)
    assert "enabled" in server.cli("webhooks", "update", "--enabled", "yes", "--json").stdout
    assert api.get(hook_path(hook))["status"] == "active"
    connection = connect_to(api, sim, name="acme", enabled=False)
    base = f"/v1/connections/{connection}/webhooks/{hook['id']}"
    server.cli("webhooks", "update", hook["id"], "--connection", "acme", "--events", "sync.failed,system.error")
    assert api.get(base)["events"] == ["sync.failed", "system.error"]
    assert "Chosen for it" in server.cli("webhooks", "show", hook["id"], "--connection", "acme").stdout
    assert "sync.failed" in server.cli("webhooks", "--connection", "acme").stdout
    server.cli("webhooks", "update", hook["id"], "--connection", "acme", "--events", "default")
    assert (api.get(base)["events"], api.get(base)["events_chosen"]) == ([], False)
    assert "only 'events'" in refused(server, 64, "webhooks", "update", hook["id"], "-c", "acme", "--timeout", "2s")


def test_delete_asks_first(server, api):
    hook = api.post("/v1/webhooks", json={"url": URL, "enabled": False}, status=201)
    assert "--yes" in refused(server, 75, "webhooks", "delete", hook["id"])
    assert server.cli("webhooks", "delete", URL, "--yes").stdout == ""
    refused(server, 66, "webhooks", "delete", hook["id"], "--yes")


def test_rotate_prints_the_new_secret(server, api):
    hook = api.post("/v1/webhooks", json={"url": URL, "enabled": False}, status=201)
    done = server.cli("webhooks", "rotate-secret")
    assert done.stdout.startswith("whsec_") and done.stdout.strip() != hook["secret"]
    assert server.cli("webhooks", "rotate-secret", hook["id"], "--overlap", "0s", PENSTOCK_WEBHOOK_SECRET=OWN).stdout.strip() == OWN
    assert "7d" in refused(server, 64, "webhooks", "rotate-secret", hook["id"], "--overlap", "8d")


# ---- trying out and repairing ----

def test_a_test_shows_status_time_and_answer(server, api, hooks):
    hooks.on("/ok", Answer(200, body=b"thank you"))
    hook = add_hook(api, hooks, "/ok", events=[])
    shown = server.cli("webhooks", "test", hook["id"], "--type", "flow.mine").stdout
    assert re.search(r"delivered: HTTP 200 after \d+\.\d ms", shown) and "thank you" in shown
    assert server.cli("webhooks", "test", json_output=True)["status"] == "delivered"
    assert "event-types" in refused(server, 64, "webhooks", "test", "--type", "nothing")


def test_a_test_that_fails_has_its_exit_status(server, api, hooks):
    hooks.on("/bad", Answer(503, body=b"out of \x1b[31morder"))
    hook = add_hook(api, hooks, "/bad", events=[])
    done = server.cli("webhooks", "test", hook["id"], check=False)
    assert done.returncode == 76 and "failed: HTTP 503" in done.stdout and "2xx" in done.stderr
    assert "order" in done.stdout and "\x1b" not in done.stdout
    dead = api.post("/v1/webhooks", json={"url": "http://127.0.0.1:9998/", "events": []}, status=201)
    done = server.cli("webhooks", "test", dead["id"], check=False)
    assert done.returncode == 75 and "failed: " in done.stdout and "not reached" in done.stderr
    api.patch(hook_path(dead), json={"enabled": False})
    assert "enable it" in refused(server, 69, "webhooks", "test", dead["id"])


def test_deliveries_attempts_and_resend(server, api, sim, hooks):
    hooks.on("/d", Answer(410), Answer(204))
    hook = add_hook(api, hooks, "/d")
    connection = connect_to(api, sim, name="acme")
    wait_sync(api, connection)
    wait_until(lambda: api.get(hook_path(hook))["status"] == "disabled", "it to be disabled", SECONDS)
    held = server.cli("webhooks", "deliveries", hook["id"], "--status", "held", "--connection", "acme", "--since", "1h",
                      json_output=True)["data"]
    assert held == deliveries(api, hook, status="held", connection_id=connection)
    assert "held" in server.cli("webhooks", "deliveries", "--type", "sync.completed,flow.*", "--until", "2100-01-01").stdout
    assert "no deliveries" in server.cli("webhooks", "deliveries", "--since", "0s").stderr
    assert len(server.cli("webhooks", "deliveries", "--limit", "1", json_output=True)["data"]) == 1
    for arguments, word in ((["--status", "x"], "waiting, held"), (["--since", "soon"], "2h"), (["--type", "x"], "event-types")):
        assert word in refused(server, 64, "webhooks", "deliveries", *arguments)
    tried = next(d for d in deliveries(api, hook) if d["attempts_made"])
    shown = server.cli("webhooks", "attempts", hook["id"], tried["id"]).stdout
    assert "410" in shown and tried["event_id"] in shown
    whole = server.cli("webhooks", "attempts", hook["id"], tried["id"], json_output=True)
    assert whole["event"]["id"] == tried["event_id"]
    refused(server, 66, "webhooks", "attempts", hook["id"], "dlv_01m85gjr84fn2tvxyf0ejj4x3j")
    # Changing something else does not switch it on.
    assert "disabled" in server.cli("webhooks", "update", hook["id"], "--timeout", "5s").stdout
    assert "Waiting:" in server.cli("webhooks", "show", hook["id"]).stdout
    # Mended and switched on, all of it goes out; then once more, one and all.
    assert "active" in server.cli("webhooks", "update", hook["id"], "--enabled", "yes").stdout
    wait_until(lambda: all(d["status"] == "delivered" for d in deliveries(api, hook)), "all of it", SECONDS)
    assert "waiting" in server.cli("webhooks", "resend", hook["id"], tried["id"]).stdout
    hooks.wait("/d", 2, seconds=SECONDS, webhook_id=tried["event_id"])
    assert server.cli("webhooks", "resend", hook["id"], "--since", "1h").stdout == "0 queued\n"
    count = len(deliveries(api, hook))
    assert server.cli("webhooks", "resend", "--since", "1h", "--all", json_output=True) == {"queued": count}
    assert "--since" in refused(server, 64, "webhooks", "resend", hook["id"])
    refused(server, 66, "webhooks", "resend", hook["id"], "nothing")


def test_status_and_doctor_say_what_to_do(server, api, sim, hooks):
    quiet = server.cli("doctor", check=False).stdout
    assert "webhook" not in quiet
    hooks.on("/gone", Answer(410))
    hooks.on("/bad", Answer(500))
    gone, bad = (add_hook(api, hooks, path) for path in ("/gone", "/bad"))
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    wait_until(lambda: api.get(hook_path(gone))["status"] == "disabled" and api.get(hook_path(bad))["failures"], "the trouble",
               SECONDS)
    for shown in (server.cli("status").stdout, server.cli("doctor", check=False).stdout, server.cli("webhooks").stdout):
        assert f"webhooks update {gone['id']} --enabled yes" in shown and "410" in shown
        assert f"webhooks test {bad['id']}" in shown and "500" in shown
    troubled = server.cli("status", json_output=True)["troubled_webhooks"]
    assert {hook["id"] for hook in troubled} == {gone["id"], bad["id"]}
    report = server.cli("doctor", "--json", check=False)
    verdicts = {check["name"]: check["verdict"] for check in json.loads(report.stdout)["checks"]}
    assert verdicts[f"webhook {hooks.url('/gone')}"] == "error" and verdicts[f"webhook {hooks.url('/bad')}"] == "warning"
    hooks.on("/gone", Answer(204))
    hooks.on("/bad", Answer(204))
    api.patch(hook_path(gone), json={"enabled": True})
    api.delete(hook_path(bad))
    assert "2 " not in server.cli("doctor", check=False).stdout.partition("webhooks: ")[2][:2]
    assert "none of them in trouble" in server.cli("doctor", check=False).stdout


# ---- listening ----

def signed(secret, body, at=None, identifier="evt_01m85gjr84fn2tvxyf0ejj4x3j", **more):
    headers = {"webhook-id": identifier, "webhook-timestamp": str(int(at or time.time()))}
    headers["webhook-signature"] = "v1,AAAA v1," + hmac_signature(secret, headers, body)
    return {"data": body, "headers": {**headers, **{name.replace("_", "-"): value for name, value in more.items()}}}


def port_of(program):
    found = wait_until(lambda: re.search(r"http://127.0.0.1:(\d+)/", program.log()), "it to listen", SECONDS)
    return int(found.group(1))


def test_listen_takes_what_is_signed_and_nothing_else(follow, place):
    (place / "secret").write_text(OWN)
    listener = follow("listen", "webhooks", "listen", "--secret-file", place / "secret")
    url = f"http://127.0.0.1:{port_of(listener)}/any/path"
    body = b'{"id":"evt_01m85gjr84fn2tvxyf0ejj4x3j","type":"flow.x","connection_id":null,"data":{}}'
    good = signed(OWN, body, penstock_sequence="12", penstock_attempt="3", penstock_sample="true")
    assert requests.post(url, timeout=10, **good).status_code == 204
    assert requests.post(url, timeout=10, **good).status_code == 204
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    changed = dict(signed(OWN, body), data=body + b" ")
    unsigned = {"data": body, "headers": {"webhook-id": "evt_x"}}
    for wrong, word in ((signed(other, body), "wrong signature"), (changed, "wrong signature"),
                        (signed(OWN, body, at=time.time() - 301), "timestamp"),
                        (signed(OWN, body, at=time.time() + 310), "timestamp"), (unsigned, "not signed"),
                        ({"data": b"", "headers": {}}, "not signed")):
        assert requests.post(url, timeout=10, **wrong).status_code == 401
        assert word in listener.log().splitlines()[-1], listener.log()
    assert requests.post(url, timeout=10, **signed(OWN, body, at=time.time() - 290, identifier="evt_near")).status_code == 204
    assert requests.get(url, timeout=10).status_code == 405
    assert requests.post(url, timeout=10, **signed(OWN, b"no \x1b[31mJSON", identifier="evt_\x7f2")).status_code in (204, 400)
    text = ended(listener)
    first, second = [line for line in text.splitlines() if "flow.x" in line][:2]
    assert re.search(r"#12\s+ok, sample, attempt 3$", first) and "ok, duplicate" in second
    assert "\x1b" not in text


def test_listen_without_a_secret_says_that_it_checks_nothing(follow):
    listener = follow("listen", "webhooks", "listen", "--json")
    url = f"http://127.0.0.1:{port_of(listener)}/"
    assert requests.post(url, data=b'{"type":"flow.x","data":{"a":1.50}}', timeout=10).status_code == 204
    assert requests.post(url, data=b'nothing', timeout=10).status_code == 204
    text = ended(listener, signal.SIGTERM)
    assert '{"type":"flow.x","data":{"a":1.50}}' in text.splitlines()
    assert "not checked" in text


def test_listen_creates_its_webhook_and_takes_it_away(server, api, sim, follow):
    connection = connect_to(api, sim, name="acme")
    wait_sync(api, connection)
    for signing, secret in (("hmac", None), ("ed25519", "a pair")):
        env = {}
        if secret:
            pair = api.post("/v1/webhooks", json={"url": URL, "enabled": False, "signing": "ed25519"}, status=201)
            env = {"PENSTOCK_WEBHOOK_SECRET": pair["secret"]}
            api.delete(hook_path(pair))
        listener = follow(f"listen-{signing}", "webhooks", "listen", "--create", "-c", "acme", "--events", "flow.*,sync.failed", **env)
        [hook] = wait_until(lambda: api.get("/v1/webhooks")["data"], "its webhook", SECONDS)
        assert (hook["connection_id"], hook["events"], hook["signing"]) == (connection, ["flow.*", "sync.failed"], signing)
        port_of(listener)
        server.cli("webhooks", "test", "--type", "flow.hello")
        text = ended(listener)
        assert re.search(r"flow\.hello .* ok, sample", text) and "was deleted" in text
        assert api.get("/v1/webhooks")["data"] == []


def test_listen_says_why_it_cannot(server, api, hooks):
    assert str(hooks.port) in refused(server, 65, "webhooks", "listen", "--port", hooks.port)
    assert "base 64" in refused(server, 64, "webhooks", "listen", PENSTOCK_WEBHOOK_SECRET="whsec_x")
    assert "nobody" in refused(server, 66, "webhooks", "listen", "--create", "--connection", "nobody")


# ---- tail ----

def events_of(program):
    return [json.loads(line) for line in program.log().splitlines() if line.startswith("{")]


def test_tail_goes_on_over_a_restart_and_misses_nothing(server, api, sim, follow):
    connection = connect_to(api, sim, schedule="7d")
    wait_sync(api, connection)
    tail = follow("tail", "tail", "--json", "--after", "oldest")
    wait_until(lambda: len(events_of(tail)) >= 2, "what there is", SECONDS)
    server.kill()
    wait_until(lambda: "trying again" in tail.log(), "it to notice", SECONDS)
    server.start()
    again = server.api(api.token)
    small_sync(again, connection)
    wait_until(lambda: "answers again" in tail.log(), "it to go on", SECONDS)
    every = list(again.pages("/v1/events"))[::-1]
    wait_until(lambda: len(events_of(tail)) >= len(every), "all of it", SECONDS)
    ended(tail)
    assert events_of(tail) == every


def test_tail_begins_where_it_is_told(server, api, sim, follow):
    connection = connect_to(api, sim, name="acme")
    wait_sync(api, connection)
    every = list(api.pages("/v1/events"))[::-1]
    tails = {
        "after": follow("tail-after", "tail", "--json", "--after", every[0]["id"]),
        "since": follow("tail-since", "tail", "--json", "--since", "1h", "--types", "sync.completed"),
        "lines": follow("tail-lines", "tail", "--connection", "acme", "--since", "1h"),
    }
    wait_until(lambda: len(events_of(tails["after"])) == len(every) - 1 and events_of(tails["since"]) and
               len(tails["lines"].log().splitlines()) >= len(every), "what there is", SECONDS)
    for tail in tails.values():
        ended(tail)
    assert events_of(tails["after"]) == every[1:]
    assert events_of(tails["since"]) == [event for event in every if event["type"] == "sync.completed"]
    for line, event in zip(tails["lines"].log().splitlines(), every):
        assert event["type"] in line and connection in line and re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  ", line)


def test_tail_says_why_it_cannot(server, api):
    for arguments, status, word in ((["--after", "nothing"], 64, "evt_"), (["--since", "soon"], 64, "2h"),
                                    (["--since", "1h", "--after", "oldest"], 64, "either"), (["--types", "x"], 64, "event-types"),
                                    (["--connection", "nobody"], 66, "nobody"),
                                    (["--after", "evt_01m85gjr84fn2tvxyf0ejj4x3j"], 65, "no longer kept")):
        assert word in refused(server, status, "tail", *arguments)
    server.stop()
    assert "penstock serve" in refused(server, 75, "tail")
    server.start()
