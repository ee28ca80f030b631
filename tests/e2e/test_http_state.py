"""Nothing of one request reaches the next: random sequences on one connection are answered as
each request is alone, and however the bytes are cut on their way, the answer is the same."""
import os
import random
import re

import pytest

from harness import Server
from harness.raw import Connection, take_answers
from harness.setup import new_organization
from http_requests import Request, request, steady_requests

FULL = os.environ.get("PST_SIZE", "ci") == "full"
SEQUENCES = 2000 if FULL else 150
LONGEST = 12
VARYING = re.compile(rb"req_[0-9a-z]{26}|\r\n(?:Date|RateLimit): [^\r]+")


def plain(answer):
    """An answer's bytes without what differs from one to the next."""
    return VARYING.sub(b"", answer.head) + VARYING.sub(b"", answer.body)


@pytest.fixture(scope="module")
def bench(shared_place):
    """A server for all tests of the file, its requests, and how it answers each alone."""
    server = Server(shared_place, max_per_address=2000).start()
    requests = steady_requests(new_organization(server))
    alone = {}
    for one in requests:
        with Connection(server.port) as connection:
            answer = connection.ask(one.data, bodyless=one.head)
        assert answer.status == one.status, (one.name, answer)
        assert not answer.closes, one.name
        alone[one.name] = plain(answer)
    yield server, requests, alone
    server.stop()


def check(one, answer, alone, how):
    assert answer is not None, f"{one.name}, {how}: no answer"
    assert plain(answer) == alone[one.name], f"{one.name}, {how}: another answer than alone"


def random_cuts(rng, length):
    """Where to cut, nowhere to everywhere."""
    count = rng.choice((0, 1, 2, 5, 20, length - 1 if length < 400 else 40))
    return sorted(rng.sample(range(1, length), min(count, length - 1)))


@pytest.mark.parametrize("seed", range(4))
def test_a_sequence_on_one_connection_is_answered_as_each_request_alone(bench, seed):
    server, requests, alone = bench
    rng = random.Random(seed)
    for number in range(SEQUENCES // 4):
        chosen = [rng.choice(requests) for _ in range(rng.randint(2, LONGEST))]
        how = f"seed {seed}, sequence {number}: {[one.name for one in chosen]}"
        with Connection(server.port) as connection:
            while chosen:
                burst = [chosen.pop(0) for _ in range(rng.randint(1, len(chosen)))]
                data = b"".join(one.data for one in burst)
                connection.send(data, random_cuts(rng, len(data)))
                for one in burst:
                    check(one, connection.read(bodyless=one.head), alone, how)
            assert connection.data == b"", how


def test_a_request_cut_anywhere_gets_the_same_answer(bench):
    """Every cut of the short requests; of the long ones, cuts around the ends of their parts."""
    server, requests, alone = bench
    for one in requests:
        places = range(1, len(one.data))
        if len(one.data) > 600:
            head = one.data.index(b"\r\n\r\n")
            places = [p for p in places if p < 40 or abs(p - head) < 6 or len(one.data) - p < 24 or p % 4093 == 0]
        with Connection(server.port) as connection:
            for place in places:
                answer = connection.ask(one.data, [place], bodyless=one.head)
                check(one, answer, alone, f"cut at {place}")


def test_a_request_byte_by_byte_gets_the_same_answer(bench):
    server, requests, alone = bench
    with Connection(server.port) as connection:
        for one in requests:
            if len(one.data) < 1000:
                answer = connection.ask(one.data, range(1, len(one.data)), bodyless=one.head)
                check(one, answer, alone, "byte by byte")


def test_where_the_input_buffer_ends_changes_nothing(bench):
    """Bodies in chunks whose end lies at every place around the end of the buffer that a request is
    read into (the limit of the head and a little more), sent in one piece."""
    server, requests, _ = bench
    auth = next(line for line in requests[6].data.split(b"\r\n") if line.startswith(b"Authorization"))
    head = request("POST /v1/keys", auth, "Content-Type: application/json", "Transfer-Encoding: chunked")
    for trailer in (b"", b"X-Trailer: the end\r\n"):
        seen = set()
        for total in range((20 << 10) - 8, (20 << 10) + len(trailer) + 12):
            frame = 5 + 2 + 2 + 3 + len(trailer) + 2
            text = b'{"name":"%s","role":"captain"}'
            size = total - len(head) - frame + 1
            piece = text % (b"x" * (size - len(text) + 2))
            data = head + b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(piece), piece, trailer)
            with Connection(server.port) as connection:
                seen.add(plain(connection.ask(data)))
        assert len(seen) == 1, [answer[:300] for answer in seen]


@pytest.mark.parametrize("length", [2, 9, 40])
def test_pipelined_requests_are_answered_in_order_and_the_last_one_closes(bench, length):
    """More than the server answers in one turn, too."""
    server, requests, alone = bench
    rng = random.Random(length)
    chosen = [rng.choice(requests) for _ in range(length)]
    last = Request("last", request("GET /healthz", "Connection: close"), 200, keeps=False)
    with Connection(server.port) as connection:
        connection.send(b"".join(one.data for one in [*chosen, last]))
        answers = take_answers(connection.rest(), lambda i: i < length and chosen[i].head)
    assert len(answers) == length + 1
    for one, answer in zip(chosen, answers):
        check(one, answer, alone, "in a pipeline")
    assert answers[-1].status == 200 and answers[-1].closes


def test_a_refusal_ends_the_connection_and_the_next_one_is_untouched(bench):
    server, requests, alone = bench
    for one in requests:
        with Connection(server.port) as connection:
            connection.send(one.data + b"GET /healthz HTTP/1.1\nHost: a\r\n\r\n" + one.data)
            answers = take_answers(connection.rest(), lambda i: i == 0 and one.head)
        assert len(answers) == 2 and answers[1].status == 400 and answers[1].closes, one.name
        check(one, answers[0], alone, "before a refused one")
