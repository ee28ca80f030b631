"""Deliveries as others verify them: the npm packages standardwebhooks and svix, and the receivers of
docs/receivers in five languages, each started and sent genuine and forged deliveries."""
import base64
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest
import requests

from harness import wait_until
from harness.hooks import add_hook, hook_path, small_sync, wait_statuses
from harness.nginx import free_ports
from harness.programs import ROOT, slowness
from harness.setup import connect_to, new_organization, wait_sync
from harness.signing import hmac_signature

SECONDS = 30 * slowness()
NPM = ROOT / "tests/npm"
RECEIVERS = ROOT / "docs/receivers"


@pytest.fixture
def api(server):
    return server.api(new_organization(server))


# ---- npm ----


def recorded(key, delivery, headers=None, body=None):
    return {"key": key, "headers": {**delivery.headers, **(headers or {})},
            "body": base64.b64encode(delivery.body if body is None else body).decode()}


def npm_verdicts(records):
    """What the libraries say to each: {"library": None or why not}."""
    assert (NPM / "node_modules").is_dir(), "run ./dev setup"
    done = subprocess.run(["node", NPM / "verify.js"], input="\n".join(map(json.dumps, records)) + "\n", text=True,
                          capture_output=True, check=True, timeout=60 * slowness())
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(records)
    return found


def samples(api, hooks, hook, path, count):
    types = [entry["type"].replace("*", "some_flow") for entry in api.get("/v1/event-types")["data"]]
    for number in range(count):
        api.post(hook_path(hook, "test"), json={"type": types[number % len(types)]}, status=202)
    return hooks.wait(path, count, seconds=SECONDS)


def test_standardwebhooks_and_svix_verify_every_delivery(api, sim, hooks):
    hook = add_hook(api, hooks, "/hmac")
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    small_sync(api, connection)
    samples(api, hooks, hook, "/hmac", 60)
    new = api.post(hook_path(hook, "rotate-secret"), json={"overlap": "1h"})["secret"]
    before = len(hooks.of("/hmac"))
    both = samples(api, hooks, hook, "/hmac", before + 40)
    records = [recorded(hook["secret"], d) for d in both] + [recorded(new, d) for d in both[before:]]
    verdicts = npm_verdicts(records)
    assert all(v == {"standardwebhooks": None, "svix": None} for v in verdicts), verdicts
    assert len(verdicts) > 140


def test_the_libraries_refuse_what_is_not_genuine(api, hooks):
    hook = add_hook(api, hooks, "/hmac")
    other = add_hook(api, hooks, "/other")
    [d] = samples(api, hooks, hook, "/hmac", 1)
    old = {**d.headers, "webhook-timestamp": str(int(d.headers["webhook-timestamp"]) - 400)}
    old["webhook-signature"] = "v1," + hmac_signature(hook["secret"], old, d.body)
    wrong = [recorded(hook["secret"], d, body=d.body + b" "),
             recorded(other["secret"], d),
             recorded(hook["secret"], d, headers=old),  # signed, and too old
             recorded(hook["secret"], d, headers={"webhook-id": "evt_00000000000000000000000000"}),
             recorded(hook["secret"], d, headers={"webhook-timestamp": str(int(time.time()) + 1)})]
    for verdict in npm_verdicts(wrong):
        assert verdict["standardwebhooks"] and verdict["svix"], verdict


def test_node_verifies_ed25519(api, hooks):
    hook = add_hook(api, hooks, "/ed", signing="ed25519")
    before = samples(api, hooks, hook, "/ed", 30)
    keys = api.post(hook_path(hook, "rotate-secret"), json={"overlap": "1h"})["public_keys"]
    [old] = hook["public_keys"]
    [new] = [key for key in keys if key != old]
    after = samples(api, hooks, hook, "/ed", len(before) + 10)[len(before):]
    good = [recorded(old, d) for d in before + after] + [recorded(new, d) for d in after]
    assert all(verdict == {"ed25519": None} for verdict in npm_verdicts(good))
    bad = [recorded(new, d) for d in before] + [recorded(old, d, body=d.body[:-1] + b" ") for d in before]
    assert all(verdict["ed25519"] for verdict in npm_verdicts(bad))


# ---- the receivers of the documentation ----


@dataclasses.dataclass
class Language:
    file: str
    program: str
    run: list  # {file}, {port}
    build: list = None


LANGUAGES = [
    Language("receiver.py", "python3", ["python3", "{file}"]),
    Language("receiver.js", "node", ["node", "{file}"]),
    Language("receiver.php", "php", ["php", "-S", "127.0.0.1:{port}", "{file}"]),
    Language("receiver.rb", "ruby", ["ruby", "{file}"]),
    Language("receiver.go", "go", ["{place}/receiver"], ["go", "build", "-o", "{place}/receiver", "{file}"]),
]


class Example:
    """One of the receivers, running."""

    def __init__(self, language, place, secret):
        [self.port] = free_ports(1)
        self.log = place / "example.txt"
        words = {"file": RECEIVERS / language.file, "port": self.port, "place": place}
        env = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(self.port), "HOME": str(place), "TMPDIR": str(place),
               "GOFLAGS": "-mod=mod", "GOCACHE": str(place / "go"), "GO111MODULE": "off"}
        if language.build:
            subprocess.run([part.format(**words) for part in language.build], env=env, cwd=place, check=True,
                           capture_output=True, timeout=300)
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen([part.format(**words) for part in language.run], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, env=env, cwd=place)
        wait_until(lambda: self.post({}, b"").status_code == 401, f"{language.file} to listen", 20)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def post(self, headers, body):
        try:
            return requests.post(self.url, headers=headers, data=body, timeout=10, proxies={"http": ""})
        except requests.ConnectionError as error:
            assert self.child.poll() is None, self.log.read_text()
            raise OSError from error

    def stop(self):
        self.child.terminate()
        self.child.wait(10)


def forged(d, secret):
    """Deliveries that nobody with the secret has just sent."""
    now = int(d.headers["webhook-timestamp"])

    def with_headers(**more):
        return {**d.headers, **{name.replace("_", "-"): value for name, value in more.items()}}
    old, future = with_headers(webhook_timestamp=str(now - 400)), with_headers(webhook_timestamp=str(now + 400))
    for headers in (old, future):
        headers["webhook-signature"] = "v1," + hmac_signature(secret, headers, d.body)
    yield "another body", d.headers, d.body.replace(b"evt_", b"evt-")
    yield "another id", with_headers(webhook_id="evt_00000000000000000000000000"), d.body
    yield "another time", with_headers(webhook_timestamp=str(now - 1)), d.body
    yield "an old one", old, d.body
    yield "one of the future", future, d.body
    yield "no time", with_headers(webhook_timestamp="soon"), d.body
    yield "no signature", with_headers(webhook_signature=""), d.body
    yield "a signature that is none", with_headers(webhook_signature="v1,c2hvcnQ= v1 , v1,"), d.body
    yield "another version", with_headers(webhook_signature=d.headers["webhook-signature"].replace("v1,", "v2,")), d.body


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.program)
def test_the_receivers_of_the_documentation(api, hooks, place, language):
    if not shutil.which(language.program):
        pytest.skip(f"{language.program} is not installed")
    assert len((RECEIVERS / language.file).read_text().splitlines()) <= 60
    secret = api.post("/v1/webhooks", json={"url": hooks.url("/template")}, status=201)["secret"]
    example = Example(language, place, secret)
    try:
        hook = api.post("/v1/webhooks", json={"url": example.url, "secret": secret, "events": []}, status=201)
        copy = api.post("/v1/webhooks", json={"url": hooks.url("/copy"), "secret": secret, "events": []}, status=201)
        for kind in ("sync.completed", "records.changed"):
            api.post(hook_path(hook, "test"), json={"type": kind}, status=202)
        assert len(wait_statuses(api, hook, "delivered", 2)) == 2
        # Both secrets sign while one is rotated.
        api.post(hook_path(hook, "rotate-secret"), json={"overlap": "1h"})
        api.post(hook_path(hook, "test"), json={"type": "system.error"}, status=202)
        wait_statuses(api, hook, "delivered", 3)
        # What is handled twice is accepted twice, and handled once.
        api.post(hook_path(copy, "test"), json={"type": "sync.failed"}, status=202)
        [d] = hooks.wait("/copy", seconds=SECONDS)
        send = {name: value for name, value in d.headers.items() if name not in ("host", "content-length")}
        d.headers = send
        for _ in range(2):
            assert example.post(send, d.body).status_code == 204
        for what, headers, body in forged(d, secret):
            assert example.post(headers, body).status_code == 401, what
        text = wait_until(lambda: example.log.read_text() if d.id in example.log.read_text() else None, "its output", 10)
        assert text.count(d.id) == 1 and text.count("sync.failed") == 1
        for kind in ("sync.completed", "records.changed", "system.error"):
            assert kind in text
    finally:
        example.stop()


def test_the_page_shows_every_receiver():
    text = (ROOT / "docs/webhooks.md").read_text(encoding="utf-8")
    shown = {path.name for path in RECEIVERS.iterdir()}
    assert shown == {language.file for language in LANGUAGES}
    for name in shown:
        assert f"receivers/{name}" in text
    assert pathlib.Path(ROOT / "docs/webhooks.md").is_file()
