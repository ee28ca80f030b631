"""E2: absolute deadlines. A thousand clients of each slow way hold on to the server while a healthy one goes
on being served; each is let go at its deadline, and leaves nothing behind. And the limit of connections,
with ten thousand of them idle."""
import json
import re
import time

import pytest
import requests

from harness import Server, slowness, wait_until
from harness.programs import SANITIZER
from harness.raw import Connection
from harness.setup import new_organization
from harness.slow import Crowd, Way, raise_descriptors
from http_requests import request

CROWD = 1000
DEADLINE = 2  # of each kind, in these tests
LATE = 6.0  # how much later than that a busy machine may be
IDLE_BYTES, ACTIVE_BYTES = 8 << 10, 40 << 10  # resident memory of the server per connection (docs/http.md)

HEAD = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /v1/keys HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture
def server(programs, place):
    limit = f"{DEADLINE}s"
    return programs(Server(place, head_timeout=limit, body_timeout=limit, idle_timeout=limit, write_timeout=limit,
                           max_connections=4 * CROWD))


class Healthy:
    """A client that asks in a steady beat: a new connection, a kept one, in turn. Fails at the first answer
    that is not the right one."""

    def __init__(self, server):
        self.server, self.token = server, new_organization(server)
        self.asked = request("GET /v1/connections", f"Authorization: Bearer {self.token}")
        self.slowest = 0.0

    def rounds(self, while_true):
        """How many answers there were, and per second."""
        begun, count, self.slowest = time.monotonic(), 0, 0.0
        kept = None
        while while_true(time.monotonic() - begun):
            started = time.monotonic()
            with Connection(self.server.port, source="127.0.0.9") as fresh:
                assert fresh.ask(self.asked).status == 200
            if kept is None or count % 20 == 0:
                if kept:
                    kept.close()
                kept = Connection(self.server.port, source="127.0.0.9")
            assert kept.ask(self.asked).status == 200
            count += 2
            self.slowest = max(self.slowest, time.monotonic() - started)
        kept.close()
        return count, count / (time.monotonic() - begun)


def metric(server, name):
    with Connection(server.port, source="127.0.0.9") as connection:
        text = connection.ask(request("GET /metrics", "Connection: close")).body.decode()
    return int(re.search(rf"^{name} (\d+)$", text, re.M).group(1))


def timed_out(held, status):
    """Every socket was ended by the server at its deadline, with those statuses."""
    late = [one for one in held if not one.ended or not DEADLINE - 0.1 <= one.seconds <= DEADLINE + LATE * slowness()]
    assert not late, (len(late), late[:3])
    wrong = [one for one in held if [int(text) for text in re.findall(rb"HTTP/1.1 ([2-5]..) ", one.said)] != status]
    assert not wrong, (len(wrong), wrong[:3])


WAYS = {
    "a head that never ends": ([Way(HEAD, b"X-A: b\r\n"), Way(b"G"), Way(HEAD + b"X-A: ", b"b")], [408]),
    "a body that never ends": ([Way(POST + b"Content-Length: 100000\r\n\r\n", b"b"),
                                Way(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nb\r\n"),
                                Way(POST + b"Transfer-Encoding: chunked\r\n\r\n5;", b"a"),
                                Way(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"T: v\r\n"),
                                Way(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")], [408]),
    "nothing at all": ([Way(b"")], []),
}


def attack(server, healthy, ways, per_connection):
    """The crowd's fate, with the healthy client served beside it, and the memory bounded."""
    _, alone = healthy.rounds(lambda seconds: seconds < 1.0)
    before = server.memory()
    crowd = Crowd(server.port, ways, CROWD, seconds=60 * slowness())
    peak = 0

    def watch(_):
        nonlocal peak
        peak = max(peak, server.memory())
        return not crowd.done()

    try:
        count, rate = healthy.rounds(watch)
        held = crowd.ended()
    finally:
        crowd.kill()
    assert len(held) == CROWD
    # Figures of a busy machine say little; an answer that waits for the crowd takes as long as they hold on.
    assert rate * slowness() > 2, f"{rate:.0f} answers/s beside the crowd, {alone:.0f}/s without"
    assert healthy.slowest < 5 * slowness(), f"an answer took {healthy.slowest:.1f} s"
    each = (peak - before) // CROWD
    print(f"{count} answers, {rate:.0f}/s (alone {alone:.0f}/s), slowest {healthy.slowest:.3f} s, {each} bytes per connection")
    assert SANITIZER or each <= per_connection, f"{each} bytes of memory per connection"
    wait_until(lambda: metric(server, "penstock_http_connections") == 1, "all connections to be given back")
    return held


@pytest.mark.parametrize("name", WAYS)
def test_a_thousand_slow_clients_are_let_go_at_their_deadline_and_slow_nobody_down(server, name):
    ways, status = WAYS[name]
    timed_out(attack(server, Healthy(server), ways, ACTIVE_BYTES if status else IDLE_BYTES), status)


def test_a_thousand_clients_that_do_not_read_are_cut_off(server):
    """Each asks for more than the sockets' buffers hold, and takes nothing of it."""
    healthy = Healthy(server)
    wanted = request("GET /v1/openapi.json", f"Authorization: Bearer {healthy.token}")
    with Connection(server.port) as connection:
        answer = connection.ask(wanted)
    size = len(answer.body)
    way = Way(wanted * 40, reads=False, receive_buffer=4096)
    held = attack(server, healthy, [way], ACTIVE_BYTES + 2 * size)
    late = [one for one in held if not one.ended or not DEADLINE - 0.1 <= one.seconds <= 2 * DEADLINE + LATE * slowness()]
    assert not late, (len(late), late[:3])


def test_a_thousand_large_bodies_take_no_more_memory_than_they_may(programs, place):
    """Without a key, and each as fast as it has to be: what is in hand at a time has a limit."""
    limit = 32 << 20
    server = programs(Server(place, body_timeout=f"{DEADLINE}s", max_connections=4 * CROWD, max_buffered=limit))
    way = Way(POST + b"Content-Length: 1048576\r\n\r\n", b"b" * 16384)
    held = attack(server, Healthy(server), [way], ACTIVE_BYTES + (16 << 10) + 2 * limit // CROWD)
    statuses = [int(text) for one in held for text in re.findall(rb"HTTP/1.1 ([2-5]..) ", one.said)]
    assert set(statuses) <= {408, 503} and statuses.count(503) > CROWD / 4, {s: statuses.count(s) for s in set(statuses)}
    assert all(one.ended for one in held)


# ---- the limit of connections ----

def test_ten_thousand_connections_may_be_idle_and_one_more_takes_the_place_of_the_oldest(programs, place):
    """The defaults: 10,000 connections, 256 of one address."""
    assert raise_descriptors() >= 11_000, "the hard limit of open files (ulimit -Hn) is too low for this test"
    server = programs(Server(place))
    healthy = Healthy(server)
    before = server.memory()
    crowd = Crowd(server.port, [Way(request("GET /healthz"), reads=True)], 9_999, seconds=50 * slowness())
    try:
        with Connection(server.port, source="127.0.0.9") as probe:
            wait_until(lambda: b"10000" in gauge(probe), "9,999 idle connections and one", 30 * slowness())
            each = (server.memory() - before) // 10_000
            print(f"{each} bytes of memory per idle connection")
            assert SANITIZER or each <= IDLE_BYTES, f"{each} bytes of memory per idle connection"
            count, _ = healthy.rounds(lambda seconds: seconds < 2)
            assert count > 20
            assert 9_900 <= int(gauge(probe).split()[1]) <= 10_000
        held = crowd.release()
    finally:
        crowd.kill()
    assert all(one.said.startswith(b"HTTP/1.1 200 OK") for one in held)
    pushed_out = sum(one.ended for one in held)
    assert 1 <= pushed_out <= count + 20, pushed_out
    wait_until(lambda: metric(server, "penstock_http_connections") == 1, "all connections to be given back", 20 * slowness())


def gauge(connection):
    body = connection.ask(request("GET /metrics")).body
    return next(line for line in body.splitlines() if line.startswith(b"penstock_http_connections "))


def test_where_all_connections_are_busy_one_more_is_told_to_come_back(programs, place):
    """503 with Retry-After; the operator's socket still answers; and with one gone there is room for one."""
    server = programs(Server(place, max_connections=8, head_timeout="60s"))
    new_organization(server)
    held = []
    wait_until(lambda: fill(server, held, 8) and all_busy(server), "8 connections in the midst of a head")
    with Connection(server.port) as more:
        answer = more.read()
        problem = json.loads(answer.body)
        assert answer.status == 503 and answer.header("Retry-After") == "1" and answer.closes
        assert problem["code"] == "SERVICE_UNAVAILABLE" and problem["retryable"] and more.rest() == b""
    assert server.cli("status", json_output=True)
    held[0].close()
    wait_until(lambda: welcome(server), "a place to be free")
    for one in held[1:]:
        assert one.ask(b"Host: a\r\n\r\n").status == 200
        one.close()


def fill(server, held, count):
    """`held` are `count` connections, each in the midst of a head; true when the server has kept all. A
    connection of the set-up whose end the server sees late may have had the place of one."""
    kept = [one for one in held if not one.answered()]
    held[:] = kept + [Connection(server.port).send(b"GET /healthz HTTP/1.1\r\n") for _ in range(count - len(kept))]
    return len(kept) == count


def all_busy(server):
    with Connection(server.data / "penstock.sock") as local:
        connections = gauge(local)
    with Connection(server.port) as more:
        more.socket.settimeout(0.3)
        return connections.endswith(b" 9") and more.read().status == 503


def welcome(server):
    with Connection(server.port) as one:
        return one.ask(request("GET /healthz")).status == 200


def test_more_of_one_address_than_it_may_have_are_told_so(programs, place):
    server = programs(Server(place, max_per_address=4))
    held = [Connection(server.port, source="127.0.0.8") for _ in range(4)]
    for one in held:
        assert one.ask(request("GET /healthz")).status == 200
    with Connection(server.port, source="127.0.0.8") as more:
        answer = more.read()
        assert answer.status == 429 and answer.header("Retry-After") == "1" and answer.closes and more.rest() == b""
        assert json.loads(answer.body)["code"] == "RATE_LIMIT_EXCEEDED"
    with Connection(server.port, source="127.0.0.7") as other:
        assert other.ask(request("GET /healthz")).status == 200
    held.pop().close()

    def again():
        with Connection(server.port, source="127.0.0.8") as one:
            return one.ask(request("GET /healthz")).status == 200
    wait_until(again, "the address to have room again")
    for one in held:
        one.close()
