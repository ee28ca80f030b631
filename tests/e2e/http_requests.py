"""Requests in bytes, for the tests of the HTTP server: such as have a definite answer without
changing anything, and such as must be refused."""
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    name: str
    data: bytes
    status: int
    head: bool = False  # answered without a body
    keeps: bool = True  # the connection stays open after the answer


def chunked(*pieces, trailer=b"", extension=b""):
    """A chunked body of the pieces."""
    parts = [b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces]
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


def request(line, *headers, body=b"", length=True):
    """A request of HTTP/1.1 with Host; with its Content-Length when it has a body."""
    if isinstance(line, str):
        line = line.encode()
    if not line.endswith((b"HTTP/1.1", b"HTTP/1.0")):
        line += b" HTTP/1.1"
    lines = [line, b"Host: penstock", *(h.encode() if isinstance(h, str) else h for h in headers)]
    if body and length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def steady_requests(key):
    """Requests that can be repeated in any order and always have the same answer. key: an API key
    of an administrator."""
    auth = f"Authorization: Bearer {key}"
    is_json = "Content-Type: application/json"
    wrong = json.dumps({"name": "n", "role": "captain-of-the-ship"}).encode()
    nested = b'{"a":' * 40 + b"1" + b"}" * 40
    large = json.dumps({"name": "x" * 25000, "role": "viewer"}).encode()
    pieces = [wrong[:1], wrong[1:7], wrong[7:]]
    coded = "Transfer-Encoding: chunked"

    def post(name, status, *headers, body=b"", path="/v1/keys", **more):
        return Request(name, request(f"POST {path}", auth, *headers, body=body, **more), status)

    return [
        Request("health", request("GET /healthz"), 200),
        Request("health without its body", request("HEAD /healthz"), 200, head=True),
        Request("ready", request("GET /readyz", "User-Agent: a test", "Accept: */*"), 200),
        Request("the reference", request("GET /docs"), 200),
        Request("the reference without its body", request("HEAD /docs"), 200, head=True),
        Request("an error's page", request("GET /docs/errors/not-found"), 200),
        Request("OpenAPI", request("GET /v1/openapi.json", auth), 200),
        Request("an empty list", request("GET /v1/connections?limit=1", auth), 200),
        Request("a list in HTTP/1.0", request("GET /v1/connections HTTP/1.0", auth, "Connection: keep-alive"), 200),
        Request("nothing there", request("GET /nothing/at/all"), 404),
        Request("a body for nothing", request("POST /nothing", body=b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), 404),
        Request("nothing there, without its body", request("HEAD /nothing"), 404, head=True),
        Request("a wrong method", request("DELETE /healthz"), 405),
        Request("an unknown parameter", request("GET /v1/connections?colour=red", auth), 400),
        Request("a broken escape", request("GET /v1/connections?limit=%zz", auth), 400),
        Request("an encoded NUL", request("GET /v1/connections/%00", auth), 400),
        Request("an encoded NUL in the query", request("GET /v1/connections?cursor=a%00b", auth), 400),
        Request("dot segments", request("GET /v1/../healthz"), 400),
        Request("encoded dot segments", request("GET /v1/%2e%2E/healthz"), 400),
        Request("no key", request("POST /v1/keys", is_json, body=wrong), 401),
        Request("a body that is not wanted", request("GET /v1/connections", auth, is_json, body=b"{}"), 400),
        Request("an upgrade that is not wanted",
                request("GET /healthz", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
                200),
        Request("many headers", request("GET /healthz", *(f"X-{i}: {i * 7}" for i in range(60))), 200),
        Request("a long header", request("GET /healthz", "X-Long: " + "y" * 9000), 200),
        Request("a long target", request("GET /" + "z" * 7000), 404),
        post("a wrong value", 400, is_json, body=wrong),
        post("a wrong value in chunks", 400, is_json, coded, body=chunked(*pieces), length=False),
        post("a wrong value in chunks of one byte", 400, is_json, coded, length=False,
             body=chunked(*(wrong[i:i + 1] for i in range(len(wrong))))),
        post("chunks with extensions and trailers", 400, is_json, coded, length=False,
             body=chunked(*pieces, extension=b";a=b", trailer=b"X-T: 1\r\nContent-Length: 3\r\n")),
        post("chunks and an upgrade", 400, is_json, coded, "Connection: Upgrade", "Upgrade: h2c",
             body=chunked(*pieces), length=False),
        post("no chunk but the last", 400, is_json, coded, body=chunked(), length=False),
        post("a body of 25 kB", 400, is_json, body=large),
        post("a chunk of 25 kB", 400, is_json, coded, body=chunked(large), length=False),
        post("chunks of 3 kB and a trailer", 400, is_json, coded, length=False,
             body=chunked(*(large[i:i + 3000] for i in range(0, len(large), 3000)), trailer=b"X-T: a trailer\r\n")),
        post("a body as deep as a well", 413, is_json, body=nested),
        post("a body that is no JSON", 400, is_json, body=b"{'name': 1}"),
        post("bytes behind the JSON", 400, is_json, body=wrong + b"x"),
        post("a member twice", 400, is_json, body=b'{"name":"a","name":"b"}'),
        post("a text that is not UTF-8", 400, is_json, body=b'{"name":"\xff"}'),
        post("another type", 415, "Content-Type: text/plain", body=wrong),
        post("no type", 415, body=wrong),
        post("no body", 400, is_json),
        post("a length of zero", 400, is_json, "Content-Length: 0"),
    ]
