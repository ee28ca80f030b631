"""`penstock webhooks` and `penstock tail` against a running server."""
import json
import re
import signal

import pytest
import requests

from harness import Program, wait_until
from harness.hooks import events, hook_path, small_sync
from harness.programs import slowness
from harness.receiver import Answer
from harness.setup import connect_to, new_organization, wait_sync

SECONDS = 20 * slowness()


@pytest.fixture
def api(server):
    return server.api(new_organization(server))


@pytest.fixture
def follow(programs, place, server):
    """Starts a command that runs until Ctrl-C: follow("tail", "--json"). The child's end is the test's to ask for."""
    started = []

    def begin(name, *arguments):
        program = Program(place, f"penstock-{name}", [*arguments, "--data-dir", server.data])
        started.append(program)
        return program.start()

    yield begin
    for program in started:
        program.kill()


def lines(program):
    return [line for line in program.log().splitlines() if line.strip()]


def end(program, expect=0):
    program.signal(signal.SIGINT)
    assert program.wait(SECONDS) == expect, program.log()


def test_an_endpoint_from_creation_to_deletion(server, api, hooks):
    made = server.cli("webhooks", "create", hooks.url("/cli"), "--events", "sync.completed,system.error", json_output=True)
    hooks.trust("/cli", made["secret"])
    [listed] = api.get("/v1/webhooks")["data"]
    assert (listed["id"], listed["events"]) == (made["id"], ["sync.completed", "system.error"])
    for arguments in (["webhooks"], ["webhooks", "list"], ["webhooks", "show", made["id"]]):
        shown = server.cli(*arguments).stdout
        assert hooks.url("/cli") in shown and "whsec_" not in shown
    server.cli("webhooks", "update", made["id"], "--description", "from the command line")
    assert api.get(hook_path(made))["description"] == "from the command line"
    server.cli("webhooks", "test", made["id"], "--type", "system.error")
    [delivery] = hooks.wait("/cli", seconds=SECONDS)
    assert delivery.event["type"] == "system.error"
    [row] = server.cli("webhooks", "deliveries", made["id"], json_output=True)["data"]
    assert (row["status"], row["sample"]) == ("delivered", True)
    assert "204" in server.cli("webhooks", "attempts", made["id"], row["id"]).stdout
    server.cli("webhooks", "resend", made["id"], row["id"])
    hooks.wait("/cli", 2, seconds=SECONDS)
    assert "SAMPLE" in server.cli("webhooks", "deliveries", made["id"]).stdout
    for overlap, words in (("1h", "signs, too"), ("0s", "signs no longer")):
        assert words in server.cli("webhooks", "rotate-secret", made["id"], "--overlap", overlap).stderr
    rotated = server.cli("webhooks", "rotate-secret", made["id"], json_output=True)
    assert rotated["secret"] != made["secret"]
    server.cli("webhooks", "delete", made["id"], "--yes")
    assert api.get("/v1/webhooks")["data"] == []


def test_a_test_that_fails_says_so(server, api, hooks):
    hooks.on("/bad", Answer(500, body=b"out of order"))
    made = server.cli("webhooks", "create", hooks.url("/bad"), json_output=True)
    done = server.cli("webhooks", "test", made["id"], check=False)
    assert done.returncode != 0
    assert "500" in done.stdout + done.stderr


def test_a_range_from_the_command_line(server, api, sim, hooks):
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    wait_until(lambda: events(api, types="sync.completed"), "the events", SECONDS)
    made = server.cli("webhooks", "create", hooks.url("/range"), json_output=True)
    hooks.trust("/range", made["secret"])
    server.cli("webhooks", "resend", made["id"], "--since", "2020-01-01T00:00:00Z", "--all")
    found = hooks.wait("/range", len(events(api)), seconds=SECONDS)
    assert {d.id for d in found} == {event["id"] for event in events(api)}


def test_tail(api, sim, follow):
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    wait_until(lambda: events(api, types="sync.completed"), "the events", SECONDS)
    some = follow("tail", "tail", "--types", "sync.completed", "--since", "2020-01-01T00:00:00Z")
    whole = follow("tail-json", "tail", "--json", "--since", "2020-01-01T00:00:00Z")
    wait_until(lambda: len(lines(some)) >= 1 and len(lines(whole)) >= 2, "what there is", SECONDS)
    small_sync(api, connection)
    count = len(events(api))
    wait_until(lambda: len(lines(some)) >= 2 and len(lines(whole)) >= count, "what comes", SECONDS)
    for program in (some, whole):
        end(program)
    assert all("sync.completed" in line for line in lines(some))
    told = [json.loads(line) for line in lines(whole)]
    assert told == list(reversed(events(api)))


def test_tail_keeps_to_the_organization_it_began_with(api, server, sim, follow):
    tail = follow("tail", "tail", "--json", "--types", "sync.completed", "--after", "oldest")
    wait_sync(api, connect_to(api, sim))
    wait_until(lambda: len(lines(tail)) == 1, "the first sync", SECONDS)
    other = server.api(new_organization(server, name="Other"))
    wait_sync(other, connect_to(other, sim))
    mine = connect_to(api, sim, name="Second")
    wait_sync(api, mine)
    wait_until(lambda: len(lines(tail)) == 2, "the second sync", SECONDS)
    assert json.loads(lines(tail)[1])["connection_id"] == mine
    end(tail)


def test_listen(api, sim, follow):
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    listener = follow("listen", "webhooks", "listen", "--create", "--events", "sync.completed")
    [hook] = wait_until(lambda: api.get("/v1/webhooks")["data"], "its endpoint", SECONDS)
    small_sync(api, connection)
    wait_until(lambda: "sync.completed" in listener.log(), "the event", SECONDS)
    port = int(re.search(r":(\d+)", hook["url"]).group(1))
    forged = requests.post(f"http://127.0.0.1:{port}/", data=b'{"type":"forged"}', timeout=10, headers={
        "webhook-id": "evt_00000000000000000000000000", "webhook-timestamp": "1795511700", "webhook-signature": "v1,AAAA"})
    assert forged.status_code >= 400
    end(listener)
    assert api.get("/v1/webhooks")["data"] == [], "it removes what it made"
