"""Canary secrets through every path, then searched for everywhere: logs at their most talkative,
answers, commands' output, the store with its log and backups, /proc, and what other hosts were sent.

The system connected to is a hostile one: whatever it is sent as Authorization it says again, in every
place where an error may quote it."""
import base64
import contextlib
import hashlib
import http.server
import json
import pathlib
import secrets
import signal
import socket
import sqlite3
import threading
import urllib.parse

import pytest

from harness import Server, wait_until
from harness.programs import slowness
from harness.receiver import Answer
from harness.setup import wait_sync

WINDOW = 10  # so many characters of a secret in a row are a leak, too
PLAIN = "Zx7Kq9-" + secrets.token_hex(12)
ODD = 'q"\\\'<b>&amp;%41+/= \u00e4\u6f22:;' + secrets.token_hex(10)
LONG = "L" + secrets.token_hex(250)
ROOT_KEY = base64.b64encode(secrets.token_bytes(32)).decode()
USER = "CANARYUSER"


# ---- searching ----

def aligned(data):
    """What stands inside the base 64 of anything that has data in it, at each of three offsets."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        start = (0, 2, 3)[shift]
        yield text[start:len(text) - 1]


def forms(secret, windows=True):
    """All spellings of a secret that count as a leak, as bytes: (name, bytes)."""
    raw = secret.encode()
    found = {("raw", raw), ("hex", raw.hex().encode()), ("HEX", raw.hex().upper().encode()),
             ("percent", urllib.parse.quote(secret, safe="").encode()),
             ("percent of a form", urllib.parse.quote_plus(secret).encode()),
             ("JSON", json.dumps(secret)[1:-1].encode()),
             ("JSON with letters", json.dumps(secret, ensure_ascii=False)[1:-1].encode()),
             ("HTML", secret.replace("&", "&amp;").replace("<", "&lt;").encode()),
             ("SHA-256", hashlib.sha256(raw).hexdigest().encode()),
             ("SHA-256, base 64", base64.b64encode(hashlib.sha256(raw).digest()).rstrip(b"="))}
    for user in (USER + ":", ""):
        for text in aligned((user + secret).encode()):
            found |= {("base 64", text.encode()), ("base 64 of a URL", text.replace("+", "-").replace("/", "_").encode())}
    if windows:
        tail = raw[-20:]
        found |= {("part", tail[i:i + WINDOW]) for i in range(len(tail) - WINDOW + 1)}
    return found


class Search:
    def __init__(self, **named):
        self.forms = [(f"{name}, {form}", text) for name, secret in named.items() for form, text in forms(secret)]
        self.binary = []

    def find(self, content, where):
        return [f"{where}: {name}" for name, text in self.forms + self.binary if text in content]

    def files(self, directory, but=()):
        found = []
        for path in sorted(pathlib.Path(directory).rglob("*")):
            if path.is_file() and path.name not in but:
                found += self.find(path.read_bytes(), path.name)
        return found


def test_the_search_finds_every_spelling_in_anything(tmp_path):
    """What finds nothing has to show that it could."""
    for secret in (PLAIN, ODD, LONG):
        search = Search(it=secret)
        basic = base64.b64encode(f"{USER}:{secret}".encode())
        planted = [secret.encode(), basic, base64.b64encode(secret.encode()), b"x" + secret.encode()[-12:] + b"y",
                   base64.b64encode(f"a{secret}b".encode()), base64.b64encode(f"ab{secret}".encode()),
                   secret.encode().hex().encode(), urllib.parse.quote(secret).encode(), json.dumps(secret).encode(),
                   json.dumps({"Authorization": "Basic " + basic.decode()}).encode(),
                   hashlib.sha256(secret.encode()).hexdigest().encode()]
        for i, content in enumerate(planted):
            path = tmp_path / "planted.log"
            path.write_bytes(b'{"msg":"call","detail":"' + content + b'"}\n')
            assert search.files(tmp_path), (i, content)
        (tmp_path / "planted.log").write_bytes(b'{"msg":"call","detail":"nothing"}\n')
        assert not search.files(tmp_path)


# ---- a hostile system ----

class Hostile:
    """Answers in the way `mode` says; keeps what it was sent."""

    def __init__(self):
        self.mode, self.seen, self.elsewhere = "401", [], ""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.seen.append((self.path, self.headers.get("Authorization")))
                outer.answer(self)

            do_POST = do_PUT = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def echo(self, request):
        sent = request.headers.get("Authorization", "")
        try:
            clear = base64.b64decode(sent.split(" ")[1]).decode(errors="replace")
        except (IndexError, ValueError):
            clear = ""
        return sent, clear

    def answer(self, request):
        sent, clear = self.echo(request)
        both = f"{sent} {clear} {clear.partition(':')[2]}"
        quoted = json.dumps(both)
        safe = urllib.parse.quote(clear)
        status, kind, body, headers = {
            "401": (401, "text/html", f"<title>401 {both}</title>{both}", {"WWW-Authenticate": f'Basic realm="{safe}"'}),
            "403": (403, "text/html", f"<title>403 {both}</title>{both}", {}),
            "404": (404, "text/plain", both, {}),
            "500 text": (500, "text/plain", f"SQL error: {both}", {}),
            "500 JSON": (500, "application/json", f'{{"status":"error","message":{quoted}}}', {}),
            "IB error": (200, "application/json",
                         f'{{"IBResponse":{{"type":"error","statuscode":"500","defaulttitle":{quoted},'
                         f'"defaultmessage":{quoted}}}}}', {}),
            "refused by the IB": (200, "application/json",
                                  f'{{"IBResponse":{{"type":"error","statuscode":"401","DefaultTitle":{quoted},'
                                  f'"DefaultMessage":"User password failed. (158,45) " ,"x":{quoted}}}}}', {}),
            "503": (503, "text/html", f"<h1>{both}</h1>", {"Retry-After": "1", "Server": safe}),
            "foreign page": (200, "text/html",
                             f"<html><head><title>{both}</title></head><body>{both}</body></html>", {}),
            "garbage": (200, "application/json", f'{{"rows":[{quoted}', {}),
            "odd JSON": (200, "application/json", f'{{{quoted}:{quoted}}}', {}),
            "redirect": (302, "text/html", both, {"Location": f"{self.elsewhere}/login?auth={safe}"}),
            "redirect 307": (307, "text/html", both, {"Location": f"{self.elsewhere}/?x={safe}"}),
            "redirect here": (301, "text/html", both, {"Location": f"/{safe}"}),
            "redirect with credentials": (302, "text/html", both,
                                          {"Location": self.elsewhere.replace("//", f"//{safe}@") + "/"}),
            "cut off": (200, "application/json", "", {"Content-Length": "100000", "X-Echo": safe}),
            "429": (429, "text/plain", both, {"Retry-After": "1"}),
        }[self.mode]
        payload = body.encode()
        request.send_response(status, "Reason " + safe[:60])
        headers.setdefault("Content-Type", kind)
        headers.setdefault("Content-Length", str(len(payload)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(payload or b'{"rows":[' + clear.encode())
        if self.mode == "cut off":
            request.close_connection = True


MODES = ["401", "403", "404", "500 text", "500 JSON", "IB error", "refused by the IB", "503", "foreign page", "garbage",
         "odd JSON", "redirect", "redirect 307", "redirect here", "redirect with credentials", "cut off", "429"]


# ---- a server that is watched ----

class Watched:
    """Everything that the API answers is kept, but for the answer that shows a new key, once."""

    def __init__(self, server):
        self.server, self.answers = server, []

    def api(self, token=None):
        api = self.server.api(token)
        api.session.hooks["response"].append(
            lambda response, **_: self.answers.append(f"{response.headers}\n{response.text}".encode()))
        return api

    def commands(self, *lines, **env):
        """Run each; it may fail, but not for being no command of ours."""
        for line in lines:
            done = self.server.cli(*line, check=False, **env)
            assert done.returncode != 64, f"{line}: {done.stderr}"


@pytest.fixture
def hostile():
    systems = [Hostile(), Hostile()]
    systems[0].elsewhere = systems[1].url
    yield systems[0], systems[1]
    for each in systems:
        each.close()


@pytest.fixture
def watched(programs, place):
    return Watched(programs(Server(place, log_level="debug", env={"PENSTOCK_ROOT_KEY": ROOT_KEY})))


def key_of(server, name="Canary"):
    server.cli("organizations", "create", name)
    body = server.cli("keys", "create", "--organization", name, "--name", "k", "--role", "admin", json_output=True)
    # The one place where it is to be seen; the harness keeps commands' output in cli.log.
    log = server.directory / "cli.log"
    log.write_text(log.read_text().replace(body["key"], "(the key, shown once)"))
    return body["key"]


def body_of(url, password, **more):
    return {"name": "canary", "connector": "peoplesoft", "config": {"base_url": url},
            "credentials": {"username": USER, "password": password}, "schedule": "7d", **more}


def look_everywhere(watched, place, search, but=()):
    """Every place at once; the store is copied first, so that its pages are those of the disk, too."""
    server = watched.server
    server.cli("backup", place / "copy.db")
    for name in ("cmdline", "status", "comm"):
        watched.answers.append(pathlib.Path(f"/proc/{server.pid}/{name}").read_bytes())
    anyone = watched.api()
    anyone.call("GET", "/metrics")
    found = search.files(place, but)
    for i, answer in enumerate(watched.answers):
        found += search.find(answer, f"answer {i}: {answer[:300]!r} ...")
    assert not found, "\n".join(found[:20])
    (place / "copy.db").unlink()


def exercise(watched, api, connection):
    """Everything that reads what is known about a connection."""
    path = f"/v1/connections/{connection}"
    for target in ("", "/sync-status", "/syncs", "/history", "/entities", "/rejected", "/changes", "/tokens",
                   "/suppliers?include=source", "/diagnosis"):
        api.call("GET", path + target)
    for sync in api.get(path + "/syncs")["data"]:
        api.call("GET", f"{path}/syncs/{sync['id']}")
        api.call("GET", f"{path}/syncs/{sync['id']}/diagnosis")
    # Once this one is in the stored log, all before it are.
    mark = api.call("GET", "/v1/requests?limit=0").headers["X-Request-Id"]
    wait_until(lambda: mark in [r["id"] for r in api.get("/v1/requests?status=400&limit=500")["data"]], "the log")
    for request in api.get("/v1/requests?limit=200")["data"]:
        api.call("GET", f"/v1/requests/{request['id']}")
    for page in ("/status", "/status.json", "/status.atom"):
        watched.answers.append(api.session.get(api.base + page, timeout=20).content)
    api.call("GET", "/v1/audit")
    api.call("GET", "/v1/connections")


@pytest.mark.parametrize("password", [PLAIN, ODD, LONG], ids=["plain", "odd", "long"])
def test_a_system_that_says_the_credentials_again_is_not_repeated(watched, place, hostile, password):
    system, elsewhere = hostile
    key = key_of(watched.server)
    api = watched.api(key)
    search = Search(password=password)
    system.mode = "401"
    connection = api.post("/v1/connections", json=body_of(system.url, password), status=201)["id"]
    path = f"/v1/connections/{connection}"
    wait_sync(api, connection, seconds=60)
    for mode in MODES:
        system.mode = mode
        before = len(system.seen)
        # New credentials, though the same, so that it is tried again after a refusal.
        api.patch(path, json={"credentials": {"username": USER, "password": password}})
        api.call("POST", path + "/test")
        started = api.call("POST", path + "/syncs", json={"entities": ["suppliers"]})
        if started.status_code == 202:
            wait_sync(api, connection, started.json()["id"], seconds=90)
        assert len(system.seen) > before, mode
        exercise(watched, api, connection)
    watched.commands(["connections"], ["connections", "get", "canary"], ["status"], ["status", "--json"],
                     ["sync", "canary"], ["connections", "test", "canary"], ["doctor"],
                     ["doctor", "--reach"], ["doctor", "--reach", "--json"], PENSTOCK_LISTEN="127.0.0.1:0")
    look_everywhere(watched, place, search)
    # Sent it was, to the right host only.
    wanted = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()
    assert {sent for _, sent in system.seen} == {wanted}
    assert all(PLAIN not in asked and "auth=" not in asked for asked, _ in system.seen)
    assert elsewhere.seen == []


def test_credentials_stay_with_their_address(watched, place, hostile):
    system, elsewhere = hostile
    api = watched.api(key_of(watched.server))
    connection = api.post("/v1/connections", json=body_of(system.url, PLAIN), status=201)["id"]
    wait_sync(api, connection, seconds=60)
    path = f"/v1/connections/{connection}"
    for config in ({"base_url": elsewhere.url}, {"base_url": elsewhere.url + "/x"},
                   {"base_url": system.url.replace("http:", "https:")}):
        assert api.call("PATCH", path, json={"config": config}).status_code == 400
    assert api.call("PATCH", path, json={"config": {"base_url": elsewhere.url},
                                         "credentials": {"username": USER}}).status_code == 400
    before = len(system.seen)
    # New credentials, though the same, so that it is tried again after a refusal.
    api.patch(path, json={"credentials": {"username": USER, "password": PLAIN}})
    api.call("POST", path + "/test")
    assert len(system.seen) > before and elsewhere.seen == []
    look_everywhere(watched, place, Search(password=PLAIN))


WRONG = [
    lambda s, url: {"credentials": s},
    lambda s, url: {"credentials": [s]},
    lambda s, url: {"credentials": {"username": USER, "pasword": s}},
    lambda s, url: {"credentials": {"username": USER, s: "x"}},
    lambda s, url: {"credentials": {"username": USER, "password": {"value": s}}},
    lambda s, url: {"credentials": {"username": USER, "password": s + "\u0000"}},
    lambda s, url: {"credentials": {"username": USER, "password": s * 4000}},
    lambda s, url: {"credentials": {"username": f"{USER}:{s}", "password": "x"}},
    lambda s, url: {"config": {"base_url": url, "password": s}},
    lambda s, url: {"config": {"base_url": url, "node": s + "/.."}},
    lambda s, url: {"config": {"base_url": url, "time_zone": s}},
    lambda s, url: {"config": {"base_url": url, "page_size": s}},
    lambda s, url: {"config": {"base_url": url, "owner": s}},
    lambda s, url: {"config": {"base_url": url.replace("//", f"//{USER}:{urllib.parse.quote(s, safe='')}@")}},
    lambda s, url: {"config": {"base_url": url.replace("//", f"//{s}@")}},
    lambda s, url: {"config": {"base_url": f"{url}/?password={urllib.parse.quote(s, safe='')}"}},
    lambda s, url: {"config": {"base_url": f"{url}/#{urllib.parse.quote(s, safe='')}"}},
    lambda s, url: {"schedule": s},
    lambda s, url: {"schedule": {"cron": s, "time_zone": "UTC"}},
    lambda s, url: {"entities": [s]},
    lambda s, url: {"connector": s},
    lambda s, url: {"password": s},
    lambda s, url: {s: s},
]


@pytest.mark.parametrize("secret", [PLAIN, ODD], ids=["plain", "odd"])
def test_a_secret_in_a_wrong_field_is_not_kept_and_not_logged(watched, place, hostile, secret):
    """The answer to whom sent it may name what was wrong; nothing else may have it."""
    system, _ = hostile
    key = key_of(watched.server)
    speaker = watched.server.api(key)  # these answers go to who knows the secret
    connection = watched.api(key).post("/v1/connections", json=body_of(system.url, "right"), status=201)["id"]
    for make in WRONG:
        wrong = make(secret, system.url)
        for method, path, body in (("POST", "/v1/connections", {**body_of(system.url, "right"), **wrong}),
                                   ("PATCH", f"/v1/connections/{connection}", wrong)):
            response = speaker.call(method, path, json=body)
            # A user id may be anything, and what has a colon in it is one.
            if response.status_code < 300:
                assert "username" in str(wrong.get("credentials")), (method, wrong)
    for text in (f'{{"credentials":{{"password":"{PLAIN}"', f'{{"password":"{PLAIN}","password":"{PLAIN}"}}',
                 f'["{PLAIN}"]', f'"{PLAIN}"', PLAIN):
        response = speaker.call("POST", "/v1/connections", data=text.encode(),
                                headers={"Content-Type": "application/json"})
        assert response.status_code == 400
        assert PLAIN not in response.text
    exercise(watched, watched.api(key), connection)
    look_everywhere(watched, place, Search(secret=secret, plain=PLAIN))


def test_keys_and_tokens_are_shown_once_and_kept_as_hashes(watched, place, hostile):
    system, _ = hostile
    server = watched.server
    key = key_of(server)
    speaker = server.api(key)
    made = [speaker.post("/v1/keys", json={"name": f"k{i}", "role": "viewer"}, status=201) for i in range(2)]
    connection = watched.api(key).post("/v1/connections", json=body_of(system.url, PLAIN), status=201)["id"]
    token = speaker.post(f"/v1/connections/{connection}/tokens", status=201)["token"]
    watched.api(made[0]["key"]).get("/v1/connections")
    watched.api(token).get("/v1/sync-status")
    watched.api(key).call("DELETE", f"/v1/keys/{made[1]['id']}")
    # Where they do not belong: a refusal tells and logs nothing of them.
    anyone = watched.api()
    for text in (key, token, made[1]["key"]):
        anyone.call("GET", "/v1/connections", headers={"Authorization": f"Bearer {text}x"})
        anyone.call("GET", "/v1/connections", headers={"Authorization": f"Basic {text}"})
        anyone.call("GET", "/v1/connections", headers={"Authorization": text, "X-Api-Key": text, "Cookie": text,
                                                       "traceparent": text, "User-Agent": text, "X-Request-Id": text})
        watched.api(made[1]["key"]).call("GET", "/v1/keys")
        for target in (f"/v1/connections?key={text}", f"/v1/connections/{text}", f"/v1/{text}", f"/{text}",
                       f"/v1/connections/{connection}/{text}"):
            server.api(key).call("GET", target)  # an answer may say again what was asked
            server.api().session.request("BREW", server.url + target, timeout=20)
        with socket.create_connection(("127.0.0.1", server.port)) as link:
            link.sendall(f"GET /v1/connections HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {text}\r\n"
                         f"Broken {text}\r\n\r\n".encode())
            watched.answers.append(link.recv(65536))
    exercise(watched, watched.api(key), connection)
    watched.commands(["keys"], ["keys", "--json"], ["keys", "list"], ["status", "--url", server.url],
                     ["organizations"], PENSTOCK_KEY=key)
    look_everywhere(watched, place, Search(key=key, token=token, revoked=made[1]["key"], second=made[0]["key"]))


def test_the_root_key_is_nowhere(watched, place, hostile):
    system, _ = hostile
    server = watched.server
    api = watched.api(key_of(server))
    connection = api.post("/v1/connections", json=body_of(system.url, PLAIN), status=201)["id"]
    wait_sync(api, connection, seconds=60)
    search = Search(root_key=ROOT_KEY)
    raw = base64.b64decode(ROOT_KEY)
    search.forms += [(f"root key, {name}", text) for name, text in (
        ("bytes", raw), ("hex", raw.hex().encode()), ("half", raw[:16]), ("other half", raw[16:]))]
    server.signal(signal.SIGHUP)
    wait_until(lambda: "nothing changed" in server.log(), "the reload")
    watched.commands(["doctor"], ["doctor", "--json"], PENSTOCK_ROOT_KEY=ROOT_KEY, PENSTOCK_LISTEN="127.0.0.1:0")
    look_everywhere(watched, place, search)
    # A server that does not start with it, and one that crashes with it.
    server.stop()
    for env in ({"PENSTOCK_ROOT_KEY": ROOT_KEY + "x"}, {"PENSTOCK_ROOT_KEY": ROOT_KEY[:-8]},
                {"PENSTOCK_ROOT_KEY": base64.b64encode(b"x" * 32).decode()}):
        refused = Server(place, name="penstock-refused", env=env)
        refused.start(ready=False)
        assert refused.wait(30) != 0
    server.start()
    server.signal(signal.SIGABRT)
    server.wait(30 * slowness())
    assert not search.files(place)
    server.start()


def sealed_credentials(server, place):
    """Those of the only connection, as they lie in the store."""
    copy = place / "sealed.db"
    server.cli("backup", copy)
    with contextlib.closing(sqlite3.connect(copy)) as store:
        (sealed,), = store.execute("SELECT credentials FROM connection")
    copy.unlink()
    return sealed


def test_the_password_is_gone_when_the_connection_is(watched, place, hostile):
    """Sealed or not: what erased it takes it out of the file, once the store's log is written back."""
    system, _ = hostile
    server = watched.server
    api = watched.api(key_of(server))
    connection = api.post("/v1/connections", json=body_of(system.url, LONG), status=201)["id"]
    wait_sync(api, connection, seconds=60)
    sealed, bytes_sealed = Search(), sealed_credentials(server, place)
    # What stands before names the key.
    sealed.binary = [("sealed password", bytes_sealed[i:i + 32]) for i in range(64, len(bytes_sealed) - 32, 32)]
    assert len(sealed.binary) > 10 and sealed.files(server.data)
    api.delete(f"/v1/connections/{connection}")
    look_everywhere(watched, place, Search(password=LONG))
    assert sealed_credentials(server, place) == b""
    server.stop()
    assert not sealed.files(place)
    server.start()


# ---- webhooks ----

def echoing(delivery):
    """A receiver that says again whatever it was sent."""
    body = json.dumps({**delivery.headers, "body": delivery.body.decode()}).encode()
    return Answer(500, headers={"X-Echo": delivery.headers["authorization"][:200], "Content-Type": "text/plain"}, body=body)


def test_secrets_and_headers_of_webhooks_are_shown_once_or_never(watched, place, hooks):
    server = watched.server
    speaker = server.api(key_of(server))  # these answers show a secret, once
    api = watched.api(speaker.token)
    hooks.on("/echo", echoing)
    own = "whsec_" + base64.b64encode(secrets.token_bytes(40)).decode()
    body = {"url": hooks.url("/echo"), "headers": {"Authorization": "Bearer " + PLAIN, "X-Other": PLAIN[::-1]}}
    made = speaker.post("/v1/webhooks", json=body, status=201)
    pair = speaker.post("/v1/webhooks", json={**body, "signing": "ed25519"}, status=201)
    shown = [made["secret"], pair["secret"], own]
    shown.append(speaker.post(f"/v1/webhooks/{made['id']}/rotate-secret")["secret"])
    speaker.post(f"/v1/webhooks/{made['id']}/rotate-secret", json={"secret": own})
    for each in (made, pair):
        path = f"/v1/webhooks/{each['id']}"
        delivery = api.post(path + "/test", json={}, status=202)["id"]
        wait_until(lambda path=path, delivery=delivery: api.get(f"{path}/deliveries/{delivery}")["status"] == "failed",
                   "the delivery to fail", 30 * slowness())
        for method, target, change in (("GET", "", None), ("PATCH", "", {"headers": {"X-Third": PLAIN}}),
                                       ("GET", "/deliveries", None), ("GET", f"/deliveries/{delivery}", None),
                                       ("POST", f"/deliveries/{delivery}/resend", None),
                                       ("PATCH", "", {"headers": {"X-Third": None}})):
            api.call(method, path + target, json=change)
        watched.commands(["webhooks"], ["webhooks", "show", each["id"]], ["webhooks", "deliveries", each["id"]],
                         ["webhooks", "attempts", each["id"], delivery], ["webhooks", "test", each["id"]],
                         ["webhooks", "--json"], ["status"], ["doctor"])
    for target in ("/v1/webhooks", "/v1/events", "/v1/audit"):
        api.call("GET", target)
    # What is wrong is not said again, but to whom said it.
    for wrong in ({"headers": {"X": PLAIN + "\n"}}, {"headers": {PLAIN + " ": "x"}}, {"secret": PLAIN}, {"secret": own[:-4]},
                  {"events": [PLAIN]}, {"url": f"https://{PLAIN}:x@example.com/"}, {"headers": [PLAIN]}):
        speaker.call("POST", "/v1/webhooks", json={**body, **wrong})
        speaker.call("PATCH", f"/v1/webhooks/{made['id']}", json=wrong)
    sent = hooks.of("/echo")
    assert sent and all(d.headers["authorization"] == "Bearer " + PLAIN for d in sent)
    named = {f"secret {i}": text.partition("_")[2] for i, text in enumerate(shown)}
    look_everywhere(watched, place, Search(header=PLAIN, other=PLAIN[::-1], **named))
    # Deleted, they are gone from the store as well.
    for each in (made, pair):
        api.delete(f"/v1/webhooks/{each['id']}")
    look_everywhere(watched, place, Search(header=PLAIN, **named))
