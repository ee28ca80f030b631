"""The grammar and the limits of the HTTP server, rule by rule, in bytes: what is malformed is
refused with a problem document and closed, nothing behind it is served, and the server goes on."""
import json
import re

import pytest

from harness import Server
from harness.programs import SANITIZER
from harness.raw import Connection, take_answer, take_answers
from harness.setup import new_organization
from http_requests import chunked, request

MARKER = request("GET /healthz")
REQUEST_ID = re.compile(r"req_[0-9a-z]{26}$")
GET = b"GET /healthz HTTP/1.1\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: a\r\n"
CODED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

# The 26 requests that HTTP libraries were held against (docs/http.md): what most of them serve.
MALFORMED = {
    "a length and chunked": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunked and a length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "two different lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two equal lengths": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "length 5x": POST + b"Content-Length: 5x\r\n\r\nhello",
    "length +5": POST + b"Content-Length: +5\r\n\r\nhello",
    "length -5": POST + b"Content-Length: -5\r\n\r\nhello",
    "length beyond 64 bits": POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "chunk size 0x5": CODED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size +5": CODED + b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk size 5 and a blank": CODED + b"5 \r\nhello\r\n0\r\n\r\n",
    "bare LF behind a chunk size": CODED + b"5\nhello\r\n0\r\n\r\n",
    "a chunk longer than its size": CODED + b"5\r\nhelloXX\r\n0\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": CODED.replace(b"1.1", b"1.0") + b"5\r\nhello\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "a folded line": POST + b"X-A: b\r\n Content-Length: 5\r\n\r\nhello",
    "an empty name": GET + b"Host: a\r\n: b\r\n\r\n",
    "NUL in a value": GET + b"Host: a\r\nX-A: b\0c\r\n\r\n",
    "bare CR in a value": GET + b"Host: a\r\nX-A: b\rX-B: c\r\n\r\n",
    "a control byte in a value": GET + b"Host: a\r\nX-A: b\x01c\r\n\r\n",
    "bare LF as an end of line": GET + b"Host: a\nX-A: b\r\n\r\n",
    "two hosts": GET + b"Host: a\r\nHost: b\r\n\r\n",
    "no host": GET + b"X-A: b\r\n\r\n",
}


@pytest.fixture(scope="module")
def server(shared_place):
    running = Server(shared_place, max_per_address=2000).start()
    running.key = new_organization(running)
    yield running
    running.stop()


def check_refusal(answer, status, code):
    """A problem document with its request id, on a connection that ends."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.closes
    assert answer.header("Content-Type") == "application/problem+json"
    problem = json.loads(answer.body)
    assert problem["code"] == code and problem["status"] == status and problem["origin"] == "request", problem
    assert problem["detail"] and not problem["retryable"] or status == 408, problem
    assert REQUEST_ID.match(problem["request_id"]) and problem["request_id"] == answer.header("X-Request-Id")
    return problem


def refused(server, data, status=400, code="INVALID_REQUEST"):
    """`data` and a good request behind it: one answer, the refusal; then the end. Whole and byte
    by byte. The next connection is served."""
    details = set()
    for cuts in ((), range(1, len(data))):
        if len(cuts) > 400:
            continue
        with Connection(server.port) as connection:
            connection.send(data + MARKER, cuts)
            answers = take_answers(connection.rest())
        assert len(answers) == 1, answers
        details.add(check_refusal(answers[0], status, code)["detail"])
        with Connection(server.port) as connection:
            assert connection.ask(MARKER).status == 200
    assert len(details) == 1, details
    return details.pop()


def served(server, data, status=200, head=False):
    """`data` and a good request behind it are both answered, on a connection that stays."""
    with Connection(server.port) as connection:
        answer = connection.ask(data + MARKER, bodyless=head)
        assert answer.status == status and not answer.closes, (answer.status, answer.body)
        assert connection.read().status == 200
        assert connection.ask(MARKER).status == 200
    return answer


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_refused_and_nothing_behind_it_is_served(server, name):
    refused(server, MALFORMED[name])


def test_there_are_26_of_them():
    assert len(MALFORMED) == 26


# ---- E1: one grammar ----

def test_e1_only_cr_lf_ends_a_line(server):
    for bad in (b"GET /healthz HTTP/1.1\nHost: a\r\n\r\n", GET + b"Host: a\n\r\n", GET + b"Host: a\r\n\n",
                b"GET /healthz HTTP/1.1\rHost: a\r\n\r\n", GET + b"Host: a\r\r\n\r\n", b"\n" + MARKER, b"\r\n" + MARKER,
                CODED + b"5\r\nhello\n0\r\n\r\n", CODED + b"0\n\r\n", CODED + b"0\r\n\n", CODED + b"0\r\nT: a\n\r\n"):
        refused(server, bad)


def test_e1_no_header_is_folded(server):
    for bad in (GET + b"Host: a\r\nX-A: b\r\n c\r\n\r\n", GET + b"Host: a\r\nX-A: b\r\n\tc\r\n\r\n",
                GET + b" Host: a\r\n\r\n", CODED + b"0\r\nT: a\r\n b\r\n\r\n"):
        assert "folded" in refused(server, bad)


def test_e1_names_are_tokens(server):
    served(server, GET + b"Host: a\r\n!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n")
    for byte in [*range(0x21), *range(0x7f, 0x100), *b'"(),/;<=>?@[\\]{}']:
        refused(server, GET + b"Host: a\r\nX-" + bytes([byte]) + b"A: b\r\n\r\n")
    for bad in (b"X-A\r\n", b": b\r\n", b"X-A :b\r\n", b"X-A\t: b\r\n"):
        refused(server, GET + b"Host: a\r\n" + bad + b"\r\n")


def test_e1_values_have_no_control_bytes(server):
    served(server, GET + b"Host: a\r\nX-A:\t b\tc \xc3\xa4 \xff \r\nX-B:\r\n\r\n")
    for byte in [*range(9), 0x0b, 0x0c, *range(0x0e, 0x20), 0x7f]:
        refused(server, GET + b"Host: a\r\nX-A: b" + bytes([byte]) + b"c\r\n\r\n")


def test_e1_there_is_one_host(server):
    for good in (b"a", b"penstock.example.com:7400", b"[::1]:7400", b"127.0.0.1", b"a_b", b"a.:65535"):
        served(server, GET + b"Host: " + good + b"\r\n\r\n")
    for bad in (b"", b"Host:\r\n", b"Host: \r\n", b"Host: a\r\nhost: a\r\n", b"Host: a b\r\n", b"Host: a,b\r\n",
                b"Host: u@a\r\n", b"Host: a/b\r\n", b"Host: \xc3\xa4\r\n", b"Host: http://a\r\n", b"Host: :80\r\n", b"Host: a:\r\n", b"Host: a:x\r\n",
                b"Host: a:65536\r\n", b"Host: ..\r\n", b"Host: a..b\r\n", b"Host: .a\r\n", b"Host: [::1\r\n", b"Host: []\r\n",
                b"Host: [::1]x\r\n", b"Host: a[::1]\r\n"):
        refused(server, GET + bad + b"\r\n")


def test_e1_one_decimal_length_or_exactly_chunked(server):
    bad_lengths = (b"", b"5 5", b"0x5", b"5.0", b"5e0", b"5,", b"five", b"\xd9\xa5", b"9223372036854775808", b"1" * 40)
    for value in bad_lengths:
        refused(server, POST + b"Content-Length: " + value + b"\r\n\r\nhello")
    bad_codings = (b"", b"identity", b"gzip", b"gzip, chunked", b"chunked, chunked", b"chunked;q=1", b'"chunked"',
                   b"chunked,", b",chunked", b"chunke", b"chunkedx", b"\x0bchunked", b"chun ked")
    for value in bad_codings:
        refused(server, POST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n")
    refused(server, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    for line in (b"Content-Length:\t5", b"Content-Length: \t5", b"Content-Length: 5\t", b"Content-Length: 5 \t ",
                 b"Transfer-Encoding:\tchunked", b"Transfer-Encoding: chunked\t"):
        refused(server, POST + line + b"\r\n\r\nhello")
    served(server, POST + b"Content-Length:  5  \r\n\r\nhello", 405)
    served(server, POST + b"Content-Length: 0005\r\n\r\nhello", 405)
    served(server, POST + b"transfer-encoding:CHUNKED\r\n\r\n" + chunked(b"hello"), 405)


def test_e1_chunks_have_plain_sizes_and_short_extensions(server):
    for size in (b"", b" 5", b"5 ", b"\t5", b"-5", b"5h", b"5_0", b"10000000000000005", b"5\r", b"0x5", b"5 ;a=b"):
        refused(server, CODED + size + b"\r\nhello\r\n0\r\n\r\n")
    served(server, CODED + b"0005;a=\"b c\"\r\nhello\r\n0\r\n\r\n", 405)
    served(server, CODED + b"5;" + b"a" * 63 + b"\r\nhello\r\n0\r\n\r\n", 405)
    for extension in (b";" + b"a" * 70, b";a\nb", b";a=\0b", b";a\rb"):
        refused(server, CODED + b"5" + extension + b"\r\nhello\r\n0\r\n\r\n")


def test_e1_trailers_are_dropped(server):
    """They are read by the grammar of headers, and say nothing about the request."""
    trailer = b"Authorization: Bearer " + server.key.encode() + b"\r\nContent-Length: 9\r\nHost: b\r\n"
    body = chunked(b'{"name":"n","role":"captain"}', trailer=trailer)
    head = request("POST /v1/keys", "Content-Type: application/json", "Transfer-Encoding: chunked")
    assert served(server, head + body, 401).status == 401
    for bad in (b"T a\r\n", b" T: a\r\n", b"T : a\r\n", b"T: \0\r\n", b": a\r\n"):
        refused(server, CODED + b"5\r\nhello\r\n0\r\n" + bad + b"\r\n")


def test_e1_a_request_line_is_exact(server):
    for bad in (b"GET  /healthz HTTP/1.1", b"GET /healthz  HTTP/1.1", b"GET\t/healthz HTTP/1.1", b" GET /healthz HTTP/1.1",
                b"GET /healthz HTTP/1.1 ", b"GET /healthz", b"GET", b"GET /healthz http/1.1", b"GET /healthz HTTP/1.1.1",
                b"GET /healthz HTTP/1", b"GET /healthz HTTP/11", b"GET /healthz HTTP/01.1", b"GET /health z HTTP/1.1",
                b"GET http://a/healthz HTTP/1.1", b"GET healthz HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET a:80 HTTP/1.1",
                b"CONNECT a:80 HTTP/1.1", b"GET /\xc3\xa4 HTTP/1.1", b"GET /#a HTTP/1.1", b"GET /\x7f HTTP/1.1",
                b"G@T /healthz HTTP/1.1", b"PRI * HTTP/2.0"):
        refused(server, bad + b"\r\nHost: a\r\n\r\n")
    refused(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    for version in (b"0.9", b"1.2", b"2.0", b"3.0"):
        refused(server, b"GET /healthz HTTP/" + version + b"\r\nHost: a\r\n\r\n", 505, "HTTP_VERSION_NOT_SUPPORTED")
    for method in (b"TRACE", b"CONNECT", b"get", b"FROB", b"PROPFIND"):
        refused(server, method + b" /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 501, "UNKNOWN_METHOD")


def test_e1_nul_and_controls_are_refused_in_escapes_too(server):
    auth = b"Authorization: Bearer " + server.key.encode() + b"\r\n"
    for path in (b"/v1/connections/%00", b"/v1/connections/a%0d%0ab", b"/v1/connections/%7f", b"/v1/%2e%2e/healthz",
                 b"/v1/connections/%", b"/v1/connections/%4", b"/v1/connections/%4g", b"/v1/connections/%ff",
                 b"/v1/connections/%c0%af", b"/v1/connections?cursor=%00", b"/v1/connections?cursor=%1f",
                 b"/v1/connections?%00=1", b"/v1/connections?cursor=%ff", b"/v1/connections?cursor=%0"):
        answer = served(server, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n" + auth + b"\r\n", 400)
        assert json.loads(answer.body)["code"] == "INVALID_REQUEST", path


def test_e1_only_the_invitation_to_send_can_be_expected(server):
    head = request("POST /v1/keys", f"Authorization: Bearer {server.key}", "Content-Type: application/json",
                   "Expect: 100-continue", "Content-Length: 2")
    with Connection(server.port) as connection:
        connection.send(head)
        while b"\r\n\r\n" not in connection.data:
            assert connection.more()
        assert connection.data == b"HTTP/1.1 100 Continue\r\n\r\n"
        answer = connection.ask(b"[]")
        assert answer.status == 400 and answer.informational == [100] and not answer.closes
    refused(server, head.replace(b"100-continue", b"200-ok"), 417, "EXPECTATION_FAILED")
    # What would be refused anyway is not invited. Whether its body follows is unknown: the end.
    for bad, status, code in ((head.replace(b": 2", b": 99999999"), 413, "PAYLOAD_TOO_LARGE"),
                              (head.replace(b"/v1/keys", b"/nothing"), 404, "NOT_FOUND")):
        with Connection(server.port) as connection:
            answer = connection.ask(bad)
            check_refusal(answer, status, code)
            assert answer.informational == [] and connection.rest() == b""
    # Who sends the body at once is not told to send it.
    with Connection(server.port) as connection:
        answer = connection.ask(head + b"[]")
        assert answer.status == 400 and answer.informational == [] and not answer.closes


# ---- E3: limits, both sides of each (E2, the deadlines: test_http_slow.py) ----

def test_e3_a_head_has_up_to_16_kib(server):
    fixed = len(GET + b"Host: a\r\nX-A: \r\n\r\n")
    fits = GET + b"Host: a\r\nX-A: " + b"a" * ((16 << 10) - fixed) + b"\r\n\r\n"
    served(server, fits)
    refused(server, fits.replace(b"aaa", b"aaaa", 1), 431, "HEADERS_TOO_LARGE")
    refused(server, GET + b"X" * (1 << 20), 431, "HEADERS_TOO_LARGE")


def test_e3_a_request_has_up_to_100_headers(server):
    lines = b"".join(b"X-%d: a\r\n" % i for i in range(99))
    served(server, GET + b"Host: a\r\n" + lines + b"\r\n")
    refused(server, GET + b"Host: a\r\n" + lines + b"X: a\r\n\r\n", 431, "HEADERS_TOO_LARGE")


def test_e3_a_target_has_up_to_8_kib(server):
    served(server, request(b"GET /" + b"a" * ((8 << 10) - 1)), 404)
    refused(server, request(b"GET /" + b"a" * (8 << 10)), 414, "URI_TOO_LONG")
    refused(server, b"GET /" + b"a" * (1 << 20), 414, "URI_TOO_LONG")


def test_e3_a_body_has_up_to_1_mib(server):
    whole = b"x" * (1 << 20)
    coded = request("POST /nothing", "Transfer-Encoding: chunked")
    served(server, request("POST /nothing", body=whole), 404)
    served(server, coded + chunked(whole[:700_000], whole[700_000:]), 404)
    refused(server, request("POST /nothing", body=whole + b"x"), 413, "PAYLOAD_TOO_LARGE")
    refused(server, request("POST /nothing", "Content-Length: 9223372036854775807"), 413, "PAYLOAD_TOO_LARGE")
    refused(server, coded + chunked(whole[:700_000], whole[700_000:] + b"x"), 413, "PAYLOAD_TOO_LARGE")
    refused(server, coded + b"ffffffffffffffff\r\n", 413, "PAYLOAD_TOO_LARGE")


def test_e3_trailers_have_up_to_4_kib_and_100_lines(server):
    fits = b"T: " + b"a" * ((4 << 10) - 7) + b"\r\n"
    served(server, CODED + b"0\r\n" + fits + b"\r\n", 405)
    refused(server, CODED + b"0\r\n" + fits.replace(b"aaa", b"aaaa", 1) + b"\r\n", 431, "HEADERS_TOO_LARGE")
    lines = [b"T%d: a\r\n" % i for i in range(101)]
    served(server, CODED + b"0\r\n" + b"".join(lines[:100]) + b"\r\n", 405)
    refused(server, CODED + b"0\r\n" + b"".join(lines) + b"\r\n", 431, "HEADERS_TOO_LARGE")


def test_e3_a_flood_in_a_pipeline_is_answered_whole_and_takes_no_memory(server):
    """What is sent ahead waits in the socket, however much it is."""
    count, answered = 20_000, 0
    data = memoryview(MARKER * count)
    before = server.memory()
    with Connection(server.port) as connection:
        while answered < count:
            if data:
                connection.socket.settimeout(0.2)
                try:
                    data = data[connection.socket.send(data):]
                except TimeoutError:
                    pass  # the server takes no more before its answers are read
                connection.socket.settimeout(30)
            connection.more()
            while taken := take_answer(connection.data):
                assert taken[0].status == 200
                answered, connection.data = answered + 1, taken[1]
        assert not connection.data
    assert SANITIZER or server.memory() - before < 2 << 20


# ---- E4: bodies of JSON ----

GOOD_JSON = [
    b'{"name":"n","role":"captain"}', b' \t\r\n{"name" : "n" , "role" : "captain"}\n', b'{"role":"captain","name":"\\u00e4"}',
    b'{"name":"\\ud83d\\ude00","role":"captain"}', '{"name":"ä😀","role":"captain"}'.encode(),
    b'{"name":"\\"\\\\\\/\\b\\f\\n\\r\\t","role":"captain"}', b'{"name":"\x7f","role":"captain"}',
]
BAD_JSON = [
    b"{", b"}", b"[]", b"null", b'"a"', b"1", b"{}{}", b"{} x", b'{"name":}', b'{"name":"a",}', b'{,"name":"a"}',
    b'{name:"a"}', b"{'name':'a'}", b'{"name" "a"}', b'{"name":"a" "role":"b"}', b'{"name":"a"}\0', b"\0", b"\xef\xbb\xbf{}",
    b'{"name":"a","name":"a"}', b'{"name":"a","\\u006eame":"b"}', b'{"name":{"a":1,"a":2}}', b'{"name":"\xff"}',
    b'{"name":"\xc0\xaf"}', b'{"name":"\xed\xa0\x80"}', b'{"name":"\xf4\x90\x80\x80"}', b'{"name":"\xc3"}', b'{"name":"\\ud800"}',
    b'{"name":"\\udc00\\ud800"}', b'{"name":"\\x41"}', b'{"name":"\n"}', b'{"name":"a\tb"}', b'{"name":"', b'{"name":"a\\',
    b'{"name":01}', b'{"name":+1}', b'{"name":.5}', b'{"name":1.}', b'{"name":1e}', b'{"name":0x1}', b'{"name":NaN}',
    b'{"name":Infinity}', b'{"name":-}', b'{"name":tru}', b'{"name":True}', b'{/* a */"name":"a"}', b'{"name":"a"}//',
    "{}".encode("utf-16"),
]


def json_answer(server, body, *headers):
    with Connection(server.port) as connection:
        data = request("POST /v1/keys", f"Authorization: Bearer {server.key}", *headers, body=body)
        answer = connection.ask(data)
        assert not answer.closes and connection.ask(MARKER).status == 200
        return answer.status, json.loads(answer.body)


def test_e4_right_json_is_read(server):
    for body in GOOD_JSON:
        status, problem = json_answer(server, body, "Content-Type: application/json")
        assert status == 400 and problem["param"] == "role", (body, problem)


def test_e4_wrong_json_is_refused(server):
    for body in BAD_JSON:
        status, problem = json_answer(server, body, "Content-Type: application/json")
        assert status == 400 and problem["code"] == "INVALID_REQUEST", (body, problem)
        assert problem["detail"].startswith("the body"), (body, problem)


def test_e4_json_is_nested_up_to_32_deep(server):
    for opening, closing in ((b'{"a":', b"}"), (b"[", b"]")):
        def nested(depth, opening=opening, closing=closing):
            return b'{"name":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"
        status, problem = json_answer(server, nested(32), "Content-Type: application/json")
        assert status == 400 and problem.get("param") == "name", problem
        status, problem = json_answer(server, nested(33), "Content-Type: application/json")
        assert status == 413 and "deep" in problem["detail"], problem
        status, problem = json_answer(server, nested(100_000), "Content-Type: application/json")
        assert status == 413 and "deep" in problem["detail"], problem


def test_e4_the_type_is_json_and_nothing_like_it(server):
    body = b'{"name":"n","role":"captain"}'
    for good in ("application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=UTF-8"):
        assert json_answer(server, body, f"Content-Type: {good}")[0] == 400, good
    for bad in ("text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a",
                "application/jsonp", "application/json; charset=latin-1", "application/json, text/plain", "*/*", ""):
        status, problem = json_answer(server, body, f"Content-Type: {bad}")
        assert status == 415 and problem["code"] == "UNSUPPORTED_MEDIA_TYPE", bad
    assert json_answer(server, body)[0] == 415
    assert json_answer(server, body, "Content-Type: application/json", "Content-Type: application/json")[0] == 415


# ---- E5: what stands in a path is never a file's name ----

def test_e5_no_path_leads_to_a_file(server):
    for prefix in (b"/", b"/docs/", b"/docs/errors/", b"/v1/", b"/v1/connections/"):
        for name in (b"penstock.db", b"root.key", b"etc/passwd", b"//etc/passwd", b"%2fetc%2fpasswd", b"..%2f..%2fetc%2fpasswd",
                     b"../../../../etc/passwd", b"..;/etc/passwd", b"..%5c..%5cetc%5cpasswd", b"..\\..\\etc", b"%2e%2e/%2e%2e/etc/passwd",
                     b"%252e%252e%252fetc%252fpasswd", b"....//....//etc/passwd", b"not-found%00.html", b"file:%2f%2f%2fetc%2fpasswd",
                     b"proc/self/environ", b".git/config", b"%c0%ae%c0%ae/etc/passwd"):
            with Connection(server.port) as connection:
                answer = connection.ask(b"GET " + prefix + name + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            assert answer.status in (400, 401, 404), (prefix, name, answer.status)
            assert answer.header("Content-Type") == "application/problem+json" and b"root:" not in answer.body
