"""Clients that try again: the command line, and the recipes of docs/retries.md as they stand there,
against a server that refuses as often as the test says."""
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import pytest

from harness import Server, programs as harness_programs
from harness.programs import environment, run_cli, slowness
from harness.setup import new_organization

ROOT = harness_programs.ROOT
GOOD = {"data": [], "next_cursor": None}


def problem(status, code="SERVICE_UNAVAILABLE", retryable=True, **more):
    return {"type": "/docs/errors/x", "title": "x", "status": status, "detail": "come back later", "code": code,
            "origin": "penstock", "request_id": "req_01m85gjr84fn2tvxyf0ejj4x3j", "retryable": retryable, **more}


LIMITED = (429, problem(429, "RATE_LIMIT_EXCEEDED", retry_after=1), {"Retry-After": "1"})
BUSY = (503, problem(503), {})
FINAL = (503, problem(503, "REAUTHORIZATION_REQUIRED", retryable=False), {})


class Refusing:
    """Answers one request after the other from a list, then well; counts them and keeps their times."""

    def __init__(self, answers):
        self.answers, self.times, self.methods = list(answers), [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.times.append(time.monotonic())
                outer.methods.append(self.command)
                status, body, headers = outer.answers.pop(0) if outer.answers else (200, GOOD, {})
                kind = "application/problem+json" if status >= 400 else "application/json"
                text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def waits(self):
        return [b - a for a, b in zip(self.times, self.times[1:])]


@pytest.fixture
def refusing():
    made = []

    def start(*answers):
        made.append(Refusing(answers))
        return made[-1]
    yield start
    for each in made:
        each.close()


# ---- the command line ----

@pytest.fixture(scope="module")
def key(shared_place):
    """A key as there are: the command line knows a mistyped one by itself."""
    server = Server(shared_place).start()
    try:
        return new_organization(server)
    finally:
        server.stop()


@pytest.fixture
def command(place, key):
    def run(server, *arguments, **env):
        return run_cli(place, [*arguments, "--url", server.url], check=False, PENSTOCK_KEY=key, **env)
    return run


def test_a_command_waits_as_long_as_it_is_asked_to_and_says_so(command, refusing):
    server = refusing(LIMITED, LIMITED)
    done = command(server, "keys")
    assert done.returncode == 0 and "no keys yet" in done.stdout + done.stderr
    assert len(server.times) == 3 and all(wait >= 1 for wait in server.waits())
    notes = [line for line in done.stderr.splitlines() if "trying again" in line]
    assert len(notes) == 2 and "RATE_LIMIT_EXCEEDED" in notes[0] and "1 of 5" in notes[0] and "--no-retry" in notes[0]
    shown = [float(re.search(r"in ([0-9.]+) s", note)[1]) for note in notes]
    assert all(wait >= told - 0.06 for wait, told in zip(server.waits(), shown))


def test_with_json_the_notes_stay_out_of_the_output(command, refusing):
    server = refusing(BUSY)
    done = command(server, "keys", "--json")
    assert done.returncode == 0 and json.loads(done.stdout) == {"data": []}


@pytest.mark.parametrize("answer, arguments, tries", [
    (FINAL, ["keys"], 1),  # it says that it is no use
    ((503, problem(503, retryable=False), {}), ["keys"], 1),
    ((429, problem(429, "RATE_LIMIT_EXCEEDED", retry_after=61), {"Retry-After": "61"}), ["keys"], 1),  # too long
    (BUSY, ["keys", "--no-retry"], 1),
    (BUSY, ["organizations", "create", "x"], 1),  # it may have been made
    (LIMITED, ["organizations", "create", "x"], 2),
    (BUSY, ["keys", "revoke", "key_01m85gjr84fn2tvxyf0ejj4x3j"], 1),
    (BUSY, ["connections", "update", "conn_01m85gjr84fn2tvxyf0ejj4x3j", "--name", "y"], 2),
    ((500, problem(500, "INTERNAL_ERROR"), {}), ["keys"], 1),
    ((409, problem(409, "SYNC_IN_PROGRESS"), {}), ["keys"], 1),
])
def test_what_is_tried_again_and_what_is_not(command, refusing, answer, arguments, tries):
    server = refusing(answer)
    done = command(server, *arguments)
    assert len(server.times) == tries, done.stderr
    assert (done.returncode == 0) == (tries == 2), (done.returncode, done.stderr)


def test_no_retry_can_be_set_for_good(command, refusing):
    server = refusing(BUSY)
    assert command(server, "keys", PENSTOCK_RETRY="false").returncode == 75
    assert len(server.times) == 1


def test_a_command_gets_through_the_real_limit(programs, place):
    server = programs(Server(place, rate_limit_key=30))
    api = server.api(new_organization(server))
    while api.call("GET", "/v1/keys").status_code == 200:
        pass
    done = run_cli(place, ["keys", "--url", server.url], PENSTOCK_KEY=api.token)
    assert "RATE_LIMIT_EXCEEDED: trying again in" in done.stderr and "test" in done.stdout


# ---- the recipes ----

def recipe(language):
    text = (ROOT / "docs/retries.md").read_text()
    return re.search(rf"```{language}\n(.*?)```", text, re.S)[1]


def run_recipe(place, language, server, method="GET"):
    """The status that the recipe ends with."""
    if language == "python":
        code = recipe("python") + (
            "\nsession = requests.Session()\nsession.trust_env = False\n"
            f"print(send(session, {method!r}, {server.url + '/v1/keys'!r}).status_code)\n")
        words = [sys.executable, "-c", code]
    else:
        code = recipe("javascript") + (
            f"\nsend({json.dumps(server.url + '/v1/keys')}, {{method: {json.dumps(method)}}})"
            ".then((answer) => console.log(answer.status));\n")
        words = ["node", "-e", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=90 * slowness(), cwd=place, check=True,
                          env={"PATH": os.environ["PATH"]})
    return int(done.stdout)


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_recipe_gets_through(place, refusing, language):
    server = refusing(LIMITED, BUSY, LIMITED)
    assert run_recipe(place, language, server) == 200
    assert len(server.times) == 4
    waits = server.waits()
    assert waits[0] >= 1 and waits[2] >= 1


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_recipe_gets_through_a_proxy_that_answers_in_its_own_words(place, refusing, language):
    html = {"Content-Type": "text/html"}
    server = refusing((503, "<html>no backend</html>", {**html, "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
                      (429, "slow down", html))
    assert run_recipe(place, language, server) == 200
    assert len(server.times) == 3


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_recipe_gives_up_where_it_is_no_use(place, refusing, language):
    for answer, method in ((FINAL, "GET"), (BUSY, "POST"), (BUSY, "DELETE"), ((404, problem(404, "NOT_FOUND", retryable=False), {}), "GET"),
                           ((429, LIMITED[1], {"Retry-After": "61"}), "GET")):
        server = refusing(answer)
        assert run_recipe(place, language, server, method) == answer[0]
        assert len(server.times) == 1


def test_the_recipe_in_words_repeats_what_the_others_do():
    words, program = (ROOT / "docs/retries.md").read_text().split("## The recipe")[1].split("```")[:2]
    after_503 = words.split("After 503")[1].split("\n3. ")[0]
    repeated, looked_at = after_503.split("look before")
    assert re.findall(r"`([A-Z]+)`", repeated) == ["GET", "PATCH"]
    assert re.findall(r"`([A-Z]+)`", looked_at) == ["POST", "DELETE"]
    assert "503 and request.method in (POST, DELETE):" in program


def test_the_line_for_curl_gets_through(place, refusing):
    server = refusing(LIMITED, LIMITED)
    done = subprocess.run(["sh", "-c", recipe("sh")], capture_output=True, text=True, timeout=90, check=True,
                          env={**environment(pathlib.Path(place)), "PENSTOCK_URL": server.url, "PENSTOCK_KEY": "psk_x"})
    assert json.loads(done.stdout) == GOOD and len(server.times) == 3
