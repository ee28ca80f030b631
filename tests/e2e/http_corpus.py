"""A corpus of requests, right and wrong, to hold one HTTP server against another: every family of
shapes that parsers are known to differ on, and random mutations of some of them.

A case is what is sent before the marker, a plain request that shows where the case has ended. Bodies
are requests themselves, so that a body taken for a request shows too.
"""
import random

from http_requests import chunked

MARKER = b"GET /marker HTTP/1.1\r\nHost: penstock\r\nConnection: close\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: penstock\r\nX: "
HEAD = b"%s HTTP/1.1\r\nHost: penstock\r\n"
GET = HEAD % b"GET /get"
POST = HEAD % b"POST /post"
CODED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

# Bytes that mean something to some parser.
SPICE = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b";", b",", b"/", b"%", b"?", b"#", b"\x0b", b"\x7f", b"\x80", b"\xff",
         b"0", b"5", b"x", b"\r\n ", b"\r\n\r\n", b"0\r\n\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
         b"Host: b\r\n", b"HTTP/1.1", b"GET ", b"\"", b"\\", b"+", b"-", b"_", b"chunked", b"Connection: close\r\n"]


def request_lines():
    for method in (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PROPFIND",
                   b"get", b"Get", b"FROB", b"G", b"G-T", b"G_T", b"G.T", b"G\0T", b"G T", b"GET/", b"", b"A" * 40):
        yield method + b" /line HTTP/1.1"
    for target in (b"/", b"//", b"/a//b", b"/.", b"/..", b"/a/.", b"/a/..", b"/a/../b", b"/a/./b", b"/../b", b"/%2e%2e/b",
                   b"/%2e/b", b"/a%2fb", b"/a%5cb", b"/a\\b", b"/%", b"/%4", b"/%zz", b"/%00", b"/a%00b", b"/%0a", b"/%7f",
                   b"/%ff", b"/%c3%a4", b"/\xc3\xa4", b"/\x80", b"/\x7f", b"/\x01", b"/\t", b"/a b", b"/a?b=c", b"/a?", b"/?a",
                   b"/a?%00", b"/a#b", b"/a?b#c", b"*", b"a", b"", b"http://penstock/a", b"http://penstock", b"HTTP://penstock/a",
                   b"https://penstock/a", b"http:///a", b"http://a b/", b"ftp://penstock/a", b"penstock:80", b"/a:b", b"/a;b",
                   b"/~a", b"/a'b", b"/a\"b", b"/a<b>", b"/a|b", b"/a^b", b"/a`b", b"/a{b}", b"/+", b"/%2B", b"///", b"?a",
                   b"/" + b"t" * 4000, b"/" + b"t" * 8100, b"/" + b"t" * 8191, b"/" + b"t" * 8400, b"/" + b"t" * 30000):
        yield b"GET " + target + b" HTTP/1.1"
    for version in (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/2", b"HTTP/1", b"HTTP/1.", b"HTTP/.1",
                    b"HTTP/11", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.01", b"HTTP/1,1", b"http/1.1", b"Http/1.1", b"HTTP /1.1",
                    b"HTTP/ 1.1", b"HTTP/1.1x", b"HTTP/1.1 x", b"HTTPS/1.1", b"XTTP/1.1", b"HTTP/1.1\0", b"HTTP/9.9", b"HTTP/1.9",
                    b"ICY/1.1", b"HTTP/-1.1", b"HTTP/1.1\t", b""):
        yield b"GET /version " + version
    for line in (b"GET /line", b"GET", b"", b" GET /line HTTP/1.1", b"GET  /line HTTP/1.1", b"GET /line  HTTP/1.1",
                 b"GET /line HTTP/1.1 ", b"GET\t/line HTTP/1.1", b"GET /line\tHTTP/1.1", b"\tGET /line HTTP/1.1",
                 b"PRI * HTTP/2.0", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\x80\x2e\x01\x00\x02", b"OPTIONS * HTTP/1.1",
                 b"CONNECT penstock:80 HTTP/1.1", b"HTTP/1.1 200 OK", b"\0GET /line HTTP/1.1", b"\xef\xbb\xbfGET /line HTTP/1.1"):
        yield line


def header_lines():
    for name in (b"X-A", b"x", b"X_A", b"X.A", b"X~A", b"!#$%&'*+-.^_`|~", b"1", b"X A", b"X\tA", b" X-A", b"\tX-A", b"X-A ", b"X-A\t",
                 b"", b"X(A)", b"X/A", b"X\"A", b"X,A", b"X;A", b"X=A", b"X@A", b"X[A]", b"X{A}", b"X\\A", b"X\0A", b"X\x01A",
                 b"X\x7fA", b"X\x80A", b"X\xc3\xa4", b"X\rA", b"X\nA", b"n" * 300):
        yield name + b": v"
    for value in (b"", b" ", b"\t", b"  v  ", b"\tv\t", b"v", b"v\tv", b"v v", b"v\0v", b"v\x01v", b"v\x0bv", b"v\x0cv", b"v\x1fv", b"v\x7fv",
                  b"v\x80v", b"v\xffv", b"\xc3\xa4", b"v\rv", b"v\nv", b"v\r", b"\rv", b"\nv", b"v\n", b"v\r\n v", b"v\r\n\tv", b"\r\n v",
                  b"v\r\n ", b"v:v", b":", b"v,v", b"\"v\"", b"\"v", b"v" * 3000, b"v" * 7000):
        yield b"X-A: " + value
        yield b"X-A:" + value
    for line in (b"X-A", b"X-A v", b":", b": v", b"X-A : v", b"X-A\t: v", b"X-A\n: v", b"X-A\r: v", b"X-A\r\n: v", b" ", b"\t", b" v",
                 b"X-A: v\nX-B: v", b"X-A: v\rX-B: v", b"X-A: v\n\nX-B: v", b"X-A: v\n\r\nX-B: v", b"X-A: v\r\r", b"X-A: v\n",
                 b"Content-Length: 0", b"Content-length : 0", b"Connection: keep-alive\nX: v"):
        yield line
    for host in (b"", b" ", b"penstock", b"penstock:80", b"[::1]", b"[::1]:80", b"a b", b"a,b", b"a/b", b"a\\b", b"a@b", b"a#b", b"a?b",
                 b"a%b", b"a%20b", b"a\0b", b"\xc3\xa4", b":80", b"a:", b"a:x", b"..", b"a..b", b".a", b"a.", b"-a", b"a_b", b"[", b"[::1"):
        yield host


def lengths():
    values = (b"0", b"5", b"05", b"00000000005", b"+5", b"-5", b"-0", b"5.0", b"5e0", b"0x5", b"5x", b"x5", b"5 5", b"5,5", b"5, 5", b"5;5",
              b"\"5\"", b"", b" ", b"5 ", b"\t5\t", b" 5", b"5\0", b"\x0b5", b"five", b"\xd9\xa5", b"9223372036854775807", b"9223372036854775808",
              b"18446744073709551615", b"18446744073709551621", b"4294967301", b"1" * 30, b"6", b"4", b"1048577", b"99999999")
    for value in values:
        yield [b"Content-Length: " + value]
    for first in (b"5", b"6", b"0", b"05", b"x", b""):
        for second in (b"5", b"6", b"0"):
            yield [b"Content-Length: " + first, b"Content-Length: " + second]
    for name in (b"content-length", b"CONTENT-LENGTH", b"Content_Length", b"Content-Length ", b" Content-Length", b"Content-Length\t",
                 b"Content Length", b"Content-Length\0", b"\"Content-Length\"", b"Content-Lengthx", b"XContent-Length", b"Content--Length"):
        yield [name + b": 5"]


def codings():
    values = (b"chunked", b"Chunked", b"CHUNKED", b" chunked ", b"\tchunked", b"chunked\t", b"xchunked", b"chunkedx", b"chunke", b"chunked,",
              b",chunked", b"chunked, chunked", b"chunked,chunked", b"identity", b"identity, chunked", b"chunked, identity", b"gzip",
              b"gzip, chunked", b"chunked, gzip", b"deflate", b"x-gzip", b"trailers, chunked", b"chunked;q=1", b"chunked; a=b", b"\"chunked\"",
              b"'chunked'", b"chunked\0", b"\x0bchunked", b"\x0cchunked", b"chun\0ked", b"chun ked", b"", b" ", b"null", b"true", b"chunked\x80",
              b"\r\n chunked", b"x\r\n chunked", b"chunked\r\n x")
    for value in values:
        yield [b"Transfer-Encoding: " + value]
    for name in (b"transfer-encoding", b"TRANSFER-ENCODING", b"Transfer_Encoding", b"Transfer-Encoding ", b" Transfer-Encoding",
                 b"Transfer-Encoding\t", b"Transfer Encoding", b"Transfer-Encoding\0", b"Transfer-Encodingx", b"Transfer-Encoding\r",
                 b"X: x\nTransfer-Encoding", b"X: x\rTransfer-Encoding"):
        yield [name + b": chunked"]
    for other in (b"chunked", b"identity", b"gzip", b"", b"x"):
        yield [b"Transfer-Encoding: chunked", b"Transfer-Encoding: " + other]
        yield [b"Transfer-Encoding: " + other, b"Transfer-Encoding: chunked"]


def bodies():
    """Bodies in chunks, behind CODED."""
    good = b"5\r\nhello\r\n"
    for size in (b"5", b"05", b"0000000000000005", b"000000000000000000000000005", b"+5", b"-5", b"0x5", b"5x", b"x5", b" 5", b"5 ", b"\t5",
                 b"5\t", b"5 5", b"5,", b"5.", b"", b" ", b"10000000000000005", b"ffffffffffffffff", b"8000000000000005", b"5;", b"5;a", b"5;a=b",
                 b"5;a=\"b\"", b"5; a=b", b"5 ;a=b", b"5;a;b", b"5;a=b;c=d", b"5;;", b"5;a=b c", b"5;\x80", b"5;\0", b"5;\x01", b"5;a\rb", b"5;a\nb",
                 b"5;" + b"a" * 60, b"5;" + b"a" * 100, b"5;" + b"a" * 5000, b"5\0", b"5\x0b", b"a", b"A", b"g", b"5\r", b"5\n", b"5\r\n\r", b"4", b"6"):
        yield size + b"\r\nhello\r\n0\r\n\r\n"
    for line_end in (b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n", b"", b" \r\n", b"\r\n\r\n"):
        yield b"5" + line_end + b"hello\r\n0\r\n\r\n"
        yield b"5\r\nhello" + line_end + b"0\r\n\r\n"
        yield good + b"0" + line_end + b"\r\n"
        yield good + b"0\r\n" + line_end
        yield good + b"0\r\nT: v" + line_end + b"\r\n"
        yield good + b"0\r\nT: v\r\n" + line_end
    for trailer in (b"T: v", b"T : v", b" T: v", b"T v", b"T", b": v", b"T: v\r\n v", b"T: \0", b"T: \x01", b"T\0: v", b"T: v\rU: v", b"T: v\nU: v",
                    b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: b", b"T: " + b"v" * 3000, b"T: " + b"v" * 5000, b"\x80: v"):
        yield good + b"0\r\n" + trailer + b"\r\n\r\n"
    for last in (b"0", b"00", b"000000000000", b"0;a=b", b"0 ", b" 0", b"-0", b"0x0", b"0\0"):
        yield good + last + b"\r\n\r\n"
    yield b"0\r\n\r\n"
    yield b"1\r\na\r\n" * 500 + b"0\r\n\r\n"
    yield chunked(b"x" * 60000)
    yield chunked(b"x" * 900000, b"x" * 200000)
    yield chunked(SMUGGLED) + b""
    yield good
    yield good + b"0\r\n"
    yield b"5\r\nhel"


def connections():
    tokens = (b"close", b"Close", b"CLOSE", b"keep-alive", b"Keep-Alive", b"close, keep-alive", b"keep-alive, close", b"close,", b",close",
              b"x", b"x, close", b"close, x", b"closex", b"xclose", b"clos", b"", b"Upgrade", b"Upgrade, close", b"TE", b"close;x", b"\"close\"",
              b"content-length", b"host", b"close close")
    for version in (b"HTTP/1.1", b"HTTP/1.0"):
        for token in tokens:
            yield b"GET /kept " + version + b"\r\nHost: penstock\r\nConnection: " + token + b"\r\n\r\n"
        for first, second in ((b"close", b"keep-alive"), (b"keep-alive", b"close"), (b"x", b"close")):
            yield (b"GET /kept " + version + b"\r\nHost: penstock\r\nConnection: " + first + b"\r\nConnection: " + second + b"\r\n\r\n")
        yield b"GET /kept " + version + b"\r\n\r\n"
        yield b"GET /kept " + version + b"\r\nHost: penstock\r\n\r\n"
        yield b"POST /kept " + version + b"\r\nHost: penstock\r\nContent-Length: 5\r\n\r\nhello"
        yield b"POST /kept " + version + b"\r\nHost: penstock\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"
        yield b"POST /kept " + version + b"\r\nHost: penstock\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        yield b"GET /kept " + version + b"\r\nHost: penstock\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def expectations():
    for value in (b"100-continue", b"100-Continue", b"100-continue, x", b"x", b"", b"200-ok", b"100-continue\r\nExpect: 100-continue"):
        for version in (b"1.1", b"1.0"):
            yield (b"POST /expect HTTP/" + version + b"\r\nHost: penstock\r\nConnection: keep-alive\r\nExpect: " + value
                   + b"\r\nContent-Length: 5\r\n\r\nhello")
    yield GET + b"Expect: 100-continue\r\n\r\n"


def pipelines():
    smuggled = SMUGGLED + b"y\r\n\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(smuggled)
    yield GET + b"\r\n" + GET + b"\r\n" + POST + length + smuggled
    yield GET + length + smuggled
    yield (HEAD % b"DELETE /delete") + length + smuggled
    yield (HEAD % b"HEAD /head") + length + smuggled
    yield (HEAD % b"OPTIONS /options") + length + smuggled
    yield POST + length + smuggled + GET + b"\r\n"
    yield CODED + chunked(smuggled) + GET + b"\r\n"
    yield CODED + chunked(smuggled[:9], smuggled[9:]) * 1 + POST + length + smuggled
    yield POST + b"Content-Length: 0\r\n\r\n" + smuggled
    yield POST + b"\r\n" + smuggled
    for between in (b"\r\n", b"\n", b"\r\n\r\n", b"\r", b" ", b"\0", b"\r\n\r\n\r\n\r\n"):
        yield between + GET + b"\r\n"
        yield GET + b"\r\n" + between + GET + b"\r\n"
        yield POST + b"Content-Length: 5\r\n\r\nhello" + between + GET + b"\r\n"
        yield CODED + chunked(b"hello") + between + GET + b"\r\n"
    for count in (2, 8, 9, 30):
        yield (GET + b"\r\n") * count


def parts_of_a_length():
    for count in (50, 98, 99, 100, 150):
        yield GET + b"".join(b"X-%d: v\r\n" % i for i in range(count)) + b"\r\n"
    for size in (1000, 7000, 8100, 15000, 17000, 33000):
        yield GET + b"X: " + b"v" * size + b"\r\n\r\n"
    yield GET + (b"X: " + b"v" * 4000 + b"\r\n") * 3 + b"\r\n"
    yield GET + (b"X: " + b"v" * 4000 + b"\r\n") * 5 + b"\r\n"
    for size in (100_000, 1 << 20, (1 << 20) + 1):
        yield POST + b"Content-Length: %d\r\n\r\n" % size + b"b" * size
    for cut in (b"", b"G", b"GET /", GET[:20], GET, GET + b"X: ", POST + b"Content-Length: 5\r\n\r\nhel", CODED, CODED + b"5"):
        yield cut + b""


def seeds():
    yield GET + b"X-A: v\r\n\r\n"
    yield POST + b"Content-Length: 5\r\n\r\nhello"
    yield CODED + b"5\r\nhello\r\n0\r\n\r\n"
    yield CODED + b"3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nT: v\r\n\r\n"
    yield POST + b"Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello" + GET + b"\r\n"
    yield b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    yield POST + b"Transfer-Encoding: chunked\r\nX-A: v\r\n\r\n" + chunked(SMUGGLED + b"y\r\n\r\n")
    yield POST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED
    yield HEAD % b"OPTIONS /a/b?c=d%20e" + b"Content-Length: 0\r\nAccept: */*\r\n\r\n"


def mutate(rng, data):
    """One to three small changes."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[at:at] = rng.choice(SPICE)
        elif kind == 1:
            del data[at:at + rng.choice((1, 1, 2, 5))]
        elif kind == 2:
            data[at:at + 1] = rng.choice(SPICE)
        elif kind == 3:
            data[at:at + 1] = bytes([rng.randrange(256)])
        elif kind == 4:
            end = at + rng.randrange(1, 30)
            data[at:at] = data[at:end]
        else:
            lines = bytes(data).split(b"\r\n")
            first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[first], lines[second] = lines[second], lines[first]
            data = bytearray(b"\r\n".join(lines))
        if not data:
            data = bytearray(b"\r\n")
    return bytes(data)


def structured():
    """Every case of the families, as (family, bytes)."""
    smuggled = SMUGGLED + b"y\r\n\r\n"
    for line in request_lines():
        yield "request line", line + b"\r\nHost: penstock\r\n\r\n"
    for line in header_lines():
        yield "header", GET + line + b"\r\n\r\n"
        yield "host", b"GET /host HTTP/1.1\r\nHost: " + line + b"\r\n\r\n"
    for lines in lengths():
        yield "length", POST + b"\r\n".join(lines) + b"\r\n\r\nhello"
        yield "length", GET + b"\r\n".join(lines) + b"\r\n\r\nhello"
    for lines in codings():
        for with_length in ([], [b"Content-Length: 5"], [b"Content-Length: 0"], [b"Content-Length: %d" % len(chunked(smuggled))]):
            for head in (POST, POST.replace(b"1.1", b"1.0")):
                for order in (lines + with_length, with_length + lines)[:2 if with_length else 1]:
                    yield "coding", head + b"\r\n".join(order) + b"\r\n\r\n" + chunked(smuggled)
    for body in bodies():
        yield "chunks", CODED + body
    for family, cases in (("connection", connections()), ("expect", expectations()), ("pipeline", pipelines()), ("size", parts_of_a_length())):
        for case in cases:
            yield family, case


def corpus(mutations, seed=7400):
    """All of it: the families, and that many mutations of the seeds."""
    cases = list(structured())
    rng = random.Random(seed)
    sources = list(seeds())
    cases += [("mutation", mutate(rng, rng.choice(sources))) for _ in range(mutations)]
    return cases
