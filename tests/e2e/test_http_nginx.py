"""The HTTP server held against nginx: the same bytes to both, and what each took for a request. And
nginx in front of Penstock: no bytes make a second request for Penstock that nginx did not send.

A difference is either stricter (Penstock refuses where nginx goes on) or laxer. Each needs its reason
in a table here; where a message ends may never be seen laxer, and never differently.
"""
import json
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from harness import Server
from harness.nginx import Nginx, free_ports
from harness.programs import slowness
from harness.raw import converse, parse_head, take_answer
from http_corpus import MARKER, corpus

FULL = os.environ.get("PST_SIZE", "ci") == "full"
MUTATIONS = 50_000 if FULL else 2500
DEADLINE = 5  # seconds that a head or a body may take, on both sides
REFUSALS = {400, 408, 413, 414, 417, 431, 494, 501, 505, 405}

COMPARED = """
    client_header_timeout {seconds}s; client_body_timeout {seconds}s; keepalive_timeout {seconds}s;
    client_max_body_size 1m; merge_slashes off; keepalive_requests 1000; lingering_timeout 1s;
    large_client_header_buffers 4 16k; proxy_ignore_client_abort on;
    server {{
        listen 127.0.0.1:{port} backlog=2000; server_name compared;
        location / {{ proxy_pass http://unix:{place}/sink; }}
    }}
    server {{ listen unix:{place}/sink backlog=2000; server_name sink; access_log off; location / {{ return 200 "sink\\n"; }} }}
"""


@dataclass(frozen=True)
class Taken:
    """What a server took a connection's bytes for. requests: (method, path) of those it accepted; end:
    the status with which it refused what came then, or "closed", or "open" when it went on waiting."""
    requests: tuple
    end: object
    why: str = ""


def path_of(uri):
    """As much of the path as a line of the log holds."""
    return uri.split("?")[0][:500]


def taken_by_nginx(conversation, lines):
    requests, end = [], "closed" if conversation.closed else "open"
    for line in lines:
        if line["upstream"] == "200":
            requests.append((line["method"], path_of(line["uri"])))
        else:
            end = line["status"]
    return Taken(tuple(requests), end)


def taken_by_penstock(conversation, log):
    """From the answers, which carry request ids, and the log lines of those."""
    requests, end, why = [], "closed" if conversation.closed else "open", ""
    data = conversation.received
    while data:
        if data.startswith(b"HTTP/1.1 100 "):
            data = data[data.index(b"\r\n\r\n") + 4:]
        headers = dict(parse_head(data[:data.index(b"\r\n\r\n") + 4])[1])
        line = log[headers["X-Request-Id"]]
        answer, data = take_answer(data, line["method"] == "HEAD", ended=True)
        assert answer.status == line["status"]
        if answer.closes and answer.status in REFUSALS and (answer.status != 405 or not line["method"]):
            end, why = answer.status, json.loads(answer.body)["detail"]
            assert not data
        else:
            requests.append((line["method"], path_of(line["path"])))
    return Taken(tuple(requests), end, why)


# Where Penstock refuses and nginx does not: the words of the refusal, and why it is right.
STRICTER = {
    "a line ends with a bare LF": "an LF that one parser takes for the end of a line and another does not is how requests are smuggled",
    "a CR is not followed by LF": "the same of a CR",
    "a NUL byte|a control byte": "RFC 9110 5.5: such a value is rejected or its bytes replaced; it is never meant",
    "a folded header line": "RFC 9112 5.2: obsolete; nginx passes it over in trailers",
    "a blank in a header's name|a header's name is not a token": "RFC 9110 5.1; nginx drops such headers unseen",
    "a tab beside the body's length": "parsers differ on it",
    "malformed chunk: ": "nginx passes over blanks and bytes behind a chunk's size and data; RFC 9112 7.1 has none",
    "a chunk's extensions have more than": "a limit",
    "the Host header is malformed": "RFC 9112 3.2; nginx takes nearly any bytes",
    "the body's length is said more than once": "nginx takes a length beside an empty or dropped one",
    "Transfer-Encoding must be exactly": "nginx takes it in HTTP/1.0, where it has no meaning",
    "Content-Length is not a decimal number": "nginx drops what it does not understand",
    "the request line is malformed|the request line has no HTTP version": "only the origin form is spoken here, not HTTP/0.9",
    "the (target|head|request|trailers) ha(s|ve) more than": "a limit",
    "only '100-continue' can be expected": "RFC 9110 10.1.1: 417; nginx passes the expectation over",
    "unknown method": "nginx passes any token on",
    "'HTTP/1.*' is not spoken here": "nginx answers every minor version of HTTP/1",
    "": "closed after a good answer: where 'close' and 'keep-alive' are both asked for, and where nginx finds a 'keep-alive' "
        "inside a longer word",
}

# Where nginx refuses, or closes, and Penstock does not: a pattern for the sent bytes, and why it does no harm.
# A message's end is seen alike in all of them; the tests make sure of that.
LAXER = {
    rb" /\S*%(?![0-9A-Fa-f]{2})": "a broken escape: routing answers 400 too, and nothing is wrong with the framing",
    rb" /\S*%00": "the same of NUL in an escape",
    rb" /\S*(\.|%2e){2}": "the same of dot segments above the root",
    rb"Connection: [^\r]*close": "nginx closes for a 'close' inside a longer word",
    rb" HTTP/1\.0\r\n(.*\r\n)*Expect: ": "RFC 9110 10.1.1: an expectation in HTTP/1.0 is passed over, even twice",
}


def compare(place):
    """What nginx and Penstock took every case of the corpus for: [(family, bytes, nginx, penstock)]."""
    port, = free_ports(1)
    nginx = Nginx(place / "nginx", COMPARED.format(port=port, place=place / "nginx", seconds=DEADLINE), [port]).start()
    server = Server(place, log_level="debug", head_timeout=f"{DEADLINE}s", body_timeout=f"{DEADLINE}s",
                    idle_timeout=f"{DEADLINE}s").start()
    cases = corpus(MUTATIONS)
    messages = [data + MARKER for _, data in cases]
    seconds = (DEADLINE + 4) * slowness()
    try:
        with ThreadPoolExecutor(2) as pool:
            theirs, ours = pool.map(lambda to: converse(to, messages, seconds, at_a_time=200), (port, server.port))
    finally:
        nginx.stop()
        server.stop()
    by_client = {}
    for line in nginx.requests(server="compared"):
        by_client.setdefault(line["client"], []).append(line)
    log = {line["request_id"]: line for line in server.log_lines(msg="request")}
    return [(family, data, taken_by_nginx(their, by_client.get(their.source, [])), taken_by_penstock(our, log))
            for (family, data), their, our in zip(cases, theirs, ours)]


def kind_of(nginx, penstock):
    """None where both agree, else "stricter", "laxer", "apart" (different requests) or "end"."""
    if nginx.requests == penstock.requests:
        refused = [isinstance(one.end, int) for one in (nginx, penstock)]
        return None if refused[0] == refused[1] else "end"
    shorter = min(len(nginx.requests), len(penstock.requests))
    if nginx.requests[:shorter] != penstock.requests[:shorter]:
        return "apart"
    return "stricter" if len(penstock.requests) == shorter else "laxer"


def show(cases):
    return "\n".join(f"{family}: {data[:300]!r}\n    nginx    {nginx}\n    penstock {penstock}"
                     for family, data, nginx, penstock in cases[:20])


def check_reach(cases):
    """Else nothing is compared: a good part is accepted, a good part refused, by each."""
    for which in (2, 3):
        ends = [isinstance(case[which].end, int) for case in cases]
        assert sum(ends) > len(cases) / 10 and len(cases) - sum(ends) > len(cases) / 10
    assert any(("GET", "/smuggled") in nginx.requests for _, _, nginx, _ in cases), "the corpus smuggles nothing"


def check_laxer(cases):
    """Each has its reason, and none is about where a message ends: the marker is still found."""
    unexplained = [case for case in cases if not any(re.search(pattern, case[1]) for pattern in LAXER)]
    assert not unexplained, "laxer:\n" + show(unexplained)
    misframed = [case for case in cases if case[3].requests[-1] != ("GET", "/marker") or ("GET", "/smuggled") in case[3].requests]
    assert not misframed, "another end of a message:\n" + show(misframed)


def check_stricter(cases):
    def explained(why):
        return any(re.match(pattern, why) if pattern else not why for pattern in STRICTER)
    unexplained = [case for case in cases if not explained(case[3].why)]
    assert not unexplained, "stricter without a reason:\n" + show(unexplained)


def test_whatever_differs_from_nginx_is_stricter_and_has_its_reason(place):
    """No bytes are taken for different requests, nothing about a message's end is accepted that nginx refuses,
    and what is not whole is seen so by both."""
    cases = compare(place)
    check_reach(cases)
    kinds = {kind: [case for case in cases if kind_of(*case[2:]) == kind] for kind in ("apart", "end", "laxer", "stricter")}
    assert not kinds["apart"], "different requests:\n" + show(kinds["apart"])
    check_laxer(kinds["laxer"])
    check_stricter(kinds["stricter"])
    assert not kinds["end"], "another end of the connection:\n" + show(kinds["end"])


# ---- behind nginx ----

PROXY = """
    client_header_timeout {seconds}s; client_body_timeout {seconds}s; keepalive_timeout {seconds}s; proxy_read_timeout 20s;
    client_max_body_size 4m; merge_slashes off; lingering_timeout 1s; ignore_invalid_headers off; underscores_in_headers on;
    proxy_next_upstream off; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ignore_client_abort on;
    upstream penstock {{ server 127.0.0.1:{penstock}; keepalive 8; keepalive_requests 100000; }}
    server {{ listen 127.0.0.1:{buffered} backlog=2000; server_name buffered; location / {{ proxy_pass http://penstock; }} }}
    server {{
        listen 127.0.0.1:{streamed} backlog=2000; server_name streamed; proxy_request_buffering off;
        location / {{ proxy_pass http://penstock; }}
    }}
"""


def answers_with_ids(conversation, log):
    """The request ids of a conversation's answers, as far as they came from Penstock."""
    ids = re.findall(rb"^X-Request-Id: (req_\w+)\r$", conversation.received, re.M)
    return [log[one.decode()] for one in ids]


@pytest.mark.parametrize("way", ["buffered", "streamed"])
def test_behind_nginx_no_bytes_make_a_request_that_nginx_did_not_send(place, way):
    """Counted on both sides, over upstream connections that are kept and shared by all clients; and every
    client gets the answers to its own requests, in order."""
    server = Server(place, log_level="debug", max_per_address=2000, body_timeout=f"{DEADLINE}s").start()
    buffered, streamed = free_ports(2)
    nginx = Nginx(place / "nginx", PROXY.format(seconds=DEADLINE, penstock=server.port, buffered=buffered, streamed=streamed),
                  [buffered, streamed]).start()
    messages = [data + MARKER for _, data in corpus(MUTATIONS // 2, seed=7401)]
    try:
        held = converse({"buffered": buffered, "streamed": streamed}[way], messages, (DEADLINE + 6) * slowness(), at_a_time=200)
    finally:
        nginx.stop()
        server.stop()
    sent = [line for line in nginx.requests(server=way) if line["upstream"]]
    log = {line["request_id"]: line for line in server.log_lines(msg="request") if line["path"] != "/readyz"}
    assert len(sent) > len(messages) / 2
    assert len(log) == len(sent), "another number of requests came than nginx sent"
    seen = Counter((line["method"], path_of(line["path"])) for line in log.values() if line["method"])
    unseen = Counter((line["method"], path_of(line["uri"])) for line in sent)
    strange = seen - unseen
    assert not strange, f"requests that nginx did not send: {strange}"
    refused = sum(not line["method"] for line in log.values())
    assert sum((unseen - seen).values()) == refused
    by_client = {}
    for line in sent:
        by_client.setdefault(line["client"], []).append(path_of(line["uri"]))
    for one in held:
        got = [path_of(line["path"]) for line in answers_with_ids(one, log) if line["method"]]
        own = iter(by_client.get(one.source, []))
        assert all(path in own for path in got), (one.sent[:300], got, by_client.get(one.source))

