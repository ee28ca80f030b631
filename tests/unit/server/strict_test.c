/* Malformed requests: each is refused and closed, and the good request sent behind it is never
 * served (no request smuggling). Both in one write and byte by byte. */
#include "tests/unit/test.h"

#include <unistd.h>

#include "tests/unit/server/fixture.h"

#define GOOD "GET /marker HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST /echo HTTP/1.1\r\nHost: a\r\n"
#define GET "GET /marker HTTP/1.1\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define BYTES(text) (text), sizeof(text) - 1

static const struct bad {
    const char *name;
    const char *bytes;
    size_t len;
    int status;
} bad_requests[] = {
    /* the two lengths of a body */
    {"length and chunked",
     BYTES(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                "5\r\nhello\r\n0\r\n\r\n"),
     400},
    {"chunked and length",
     BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
                "5\r\nhello\r\n0\r\n\r\n"),
     400},
    {"two lengths", BYTES(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 400},
    {"two equal lengths", BYTES(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400},
    {"a list of lengths", BYTES(POST "Content-Length: 5, 5\r\n\r\nhello"), 400},
    {"length 5x", BYTES(POST "Content-Length: 5x\r\n\r\nhello"), 400},
    {"length +5", BYTES(POST "Content-Length: +5\r\n\r\nhello"), 400},
    {"length -5", BYTES(POST "Content-Length: -5\r\n\r\nhello"), 400},
    {"length 0x5", BYTES(POST "Content-Length: 0x5\r\n\r\nhello"), 400},
    {"length with a blank inside", BYTES(POST "Content-Length: 5 5\r\n\r\nhello"), 400},
    {"empty length", BYTES(POST "Content-Length:\r\n\r\nhello"), 400},
    {"length beyond 64 bits", BYTES(POST "Content-Length: 18446744073709551621\r\n\r\nhello"), 400},
    {"length 5.0", BYTES(POST "Content-Length: 5.0\r\n\r\nhello"), 400},
    /* transfer codings */
    {"a tab before a length", BYTES(POST "Content-Length:\t5\r\n\r\nhello"), 400},
    {"a tab behind a length", BYTES(POST "Content-Length: 5\t\r\n\r\nhello"), 400},
    {"a tab before chunked", BYTES(POST "Transfer-Encoding: \tchunked\r\n\r\n0\r\n\r\n"), 400},
    {"xchunked", BYTES(POST "Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), 400},
    {"chunked twice", BYTES(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 400},
    {"two codings headers",
     BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    {"gzip, chunked", BYTES(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400},
    {"chunked, identity", BYTES(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), 400},
    {"identity", BYTES(POST "Transfer-Encoding: identity\r\n\r\nhello"), 400},
    {"chunked;q=1", BYTES(POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), 400},
    {"quoted chunked", BYTES(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), 400},
    {"vertical tab before chunked", BYTES(POST "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n"),
     400},
    {"chunked in HTTP/1.0",
     BYTES("POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    /* chunks */
    {"chunk size 0x5", BYTES(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"), 400},
    {"chunk size +5", BYTES(CHUNKED "+5\r\nhello\r\n0\r\n\r\n"), 400},
    {"chunk size -5", BYTES(CHUNKED "-5\r\nhello\r\n0\r\n\r\n"), 400},
    {"chunk size 5 and a blank", BYTES(CHUNKED "5 \r\nhello\r\n0\r\n\r\n"), 400},
    {"chunk size after a blank", BYTES(CHUNKED " 5\r\nhello\r\n0\r\n\r\n"), 400},
    {"no chunk size", BYTES(CHUNKED "\r\nhello\r\n0\r\n\r\n"), 400},
    {"chunk size 5g", BYTES(CHUNKED "5g\r\nhello\r\n0\r\n\r\n"), 400},
    {"chunk size beyond 64 bits", BYTES(CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n"), 400},
    {"bare LF after a chunk size", BYTES(CHUNKED "5\nhello\r\n0\r\n\r\n"), 400},
    {"bare CR after a chunk size", BYTES(CHUNKED "5\rhello\r\n0\r\n\r\n"), 400},
    {"bare LF after a chunk", BYTES(CHUNKED "5\r\nhello\n0\r\n\r\n"), 400},
    {"a chunk longer than its size", BYTES(CHUNKED "5\r\nhelloXX0\r\n\r\n"), 400},
    {"bare LF as the end of chunks", BYTES(CHUNKED "5\r\nhello\r\n0\r\n\n"), 400},
    {"bare LF after the last chunk", BYTES(CHUNKED "5\r\nhello\r\n0\n\r\n"), 400},
    {"bare LF in an extension", BYTES(CHUNKED "5;a\nb\r\nhello\r\n0\r\n\r\n"), 400},
    {"NUL in an extension", BYTES(CHUNKED "5;a=\0b\r\nhello\r\n0\r\n\r\n"), 400},
    {"an extension of 70 bytes",
     BYTES(CHUNKED "5;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                   "\r\nhello\r\n0\r\n\r\n"),
     400},
    {"a folded trailer", BYTES(CHUNKED "0\r\nT: a\r\n b\r\n\r\n"), 400},
    {"a trailer without colon", BYTES(CHUNKED "0\r\nT a\r\n\r\n"), 400},
    {"a bare LF in trailers", BYTES(CHUNKED "0\r\nT: a\n\r\n"), 400},
    /* header lines */
    {"blank before the colon", BYTES(POST "Content-Length : 5\r\n\r\nhello"), 400},
    {"tab before the colon", BYTES(POST "Content-Length\t: 5\r\n\r\nhello"), 400},
    {"blank inside a name", BYTES(POST "Content Length: 5\r\n\r\nhello"), 400},
    {"a folded line", BYTES(POST "X-A: b\r\n c\r\n\r\n"), 400},
    {"a folded first line", BYTES(GET " Host: a\r\nX-A: b\r\n\r\n"), 400},
    {"a folded length", BYTES(POST "Content-Length:\r\n 5\r\n\r\nhello"), 400},
    {"NUL in a value", BYTES(GET "Host: a\r\nX-A: b\0c\r\n\r\n"), 400},
    {"NUL in a name", BYTES(GET "Host: a\r\nX-\0A: b\r\n\r\n"), 400},
    {"control byte in a value", BYTES(GET "Host: a\r\nX-A: b\001c\r\n\r\n"), 400},
    {"DEL in a value", BYTES(GET "Host: a\r\nX-A: b\177c\r\n\r\n"), 400},
    {"bare CR in a value", BYTES(GET "Host: a\r\nX-A: b\rc\r\n\r\n"), 400},
    {"bare CR as an end of line", BYTES(GET "Host: a\rX-A: b\r\n\r\n"), 400},
    {"bare LF as an end of line", BYTES(GET "Host: a\nX-A: b\r\n\r\n"), 400},
    {"bare LF as the end of the head", BYTES(GET "Host: a\r\n\n"), 400},
    {"CR CR LF", BYTES(GET "Host: a\r\r\n\r\n"), 400},
    {"CR and another byte as the end", BYTES(GET "Host: a\r\n\rX"), 400},
    {"an empty name", BYTES(GET "Host: a\r\n: b\r\n\r\n"), 400},
    {"a line without colon", BYTES(GET "Host: a\r\nX-A\r\n\r\n"), 400},
    {"a name in brackets", BYTES(GET "Host: a\r\nX[A]: b\r\n\r\n"), 400},
    {"a byte above ASCII in a name", BYTES(GET "Host: a\r\nX-\303\244: b\r\n\r\n"), 400},
    /* hosts */
    {"two hosts", BYTES(GET "Host: a\r\nHost: b\r\n\r\n"), 400},
    {"two equal hosts", BYTES(GET "Host: a\r\nHost: a\r\n\r\n"), 400},
    {"no host", BYTES(GET "X-A: b\r\n\r\n"), 400},
    {"an empty host", BYTES(GET "Host:\r\n\r\n"), 400},
    {"a host with a blank", BYTES(GET "Host: a b\r\n\r\n"), 400},
    {"a host with a path", BYTES(GET "Host: a/b\r\n\r\n"), 400},
    {"a host with a comma", BYTES(GET "Host: a,b\r\n\r\n"), 400},
    {"a host that is only a port", BYTES(GET "Host: :80\r\n\r\n"), 400},
    {"a host with an empty port", BYTES(GET "Host: a:\r\n\r\n"), 400},
    {"a host with a port too high", BYTES(GET "Host: a:65536\r\n\r\n"), 400},
    {"a host with an empty label", BYTES(GET "Host: a..b\r\n\r\n"), 400},
    {"a host that begins with a dot", BYTES(GET "Host: .a\r\n\r\n"), 400},
    {"an open bracket", BYTES(GET "Host: [::1\r\n\r\n"), 400},
    {"something behind the bracket", BYTES(GET "Host: [::1]a\r\n\r\n"), 400},
    {"a host with a user", BYTES(GET "Host: u@a\r\n\r\n"), 400},
    /* request lines */
    {"a leading empty line", BYTES("\r\n" GOOD), 400},
    {"a leading blank", BYTES(" " GOOD), 400},
    {"two blanks", BYTES("GET  /marker HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"a tab", BYTES("GET\t/marker HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"a blank at the end", BYTES("GET /marker HTTP/1.1 \r\nHost: a\r\n\r\n"), 400},
    {"a blank in the target", BYTES("GET /mar ker HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"no version", BYTES("GET /marker\r\nHost: a\r\n\r\n"), 400},
    {"a version in lower case", BYTES("GET /marker http/1.1\r\nHost: a\r\n\r\n"), 400},
    {"version 1.10", BYTES("GET /marker HTTP/1.10\r\nHost: a\r\n\r\n"), 400},
    {"version 1", BYTES("GET /marker HTTP/1\r\nHost: a\r\n\r\n"), 400},
    {"version 1.2", BYTES("GET /marker HTTP/1.2\r\nHost: a\r\n\r\n"), 505},
    {"version 2.0", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400},
    {"version 2.0 of a path", BYTES("GET /marker HTTP/2.0\r\nHost: a\r\n\r\n"), 505},
    {"version 0.9", BYTES("GET /marker HTTP/0.9\r\nHost: a\r\n\r\n"), 505},
    {"an absolute target", BYTES("GET http://a/marker HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"an asterisk", BYTES("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"an authority", BYTES("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"a fragment", BYTES("GET /marker#x HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"a byte above ASCII in the target", BYTES("GET /\303\244 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"NUL in the target", BYTES("GET /mar\0ker HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"bare LF after the request line", BYTES("GET /marker HTTP/1.1\nHost: a\r\n\r\n"), 400},
    {"bare CR after the request line", BYTES("GET /marker HTTP/1.1\rHost: a\r\n\r\n"), 400},
    {"an unknown method", BYTES("FROB /marker HTTP/1.1\r\nHost: a\r\n\r\n"), 501},
    {"a method in lower case", BYTES("get /marker HTTP/1.1\r\nHost: a\r\n\r\n"), 501},
    {"a TLS hello", BYTES("\026\003\001\002\000\001\000\001"), 400},
    {"an unknown expectation", BYTES(POST "Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello"), 417},
};

static void send_in_pieces(int fd, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        client_send(fd, bytes + i, 1);
}

static void check_refused(struct fixture *f, const struct bad *bad, bool in_pieces)
{
    bool closed = false;
    int fd = client_connect(f);
    if (in_pieces) {
        send_in_pieces(fd, bad->bytes, bad->len);
        client_say(fd, GOOD);
    } else {
        char both[4096];
        memcpy(both, bad->bytes, bad->len);
        memcpy(both + bad->len, GOOD, sizeof(GOOD) - 1);
        client_send(fd, both, bad->len + sizeof(GOOD) - 1);
    }
    char *answer = client_read_all(fd, 3000, &closed);
    (void)close(fd);
    if (!closed || status_of(answer) != bad->status || count_of(answer, "HTTP/1.1 ") != 1 ||
        atomic_load(&f->markers) != 0 || !strstr(answer, "Connection: close\r\n") ||
        !strstr(answer, "X-Request-Id: req_") || !strstr(answer, "application/problem+json"))
        fail_msg("%s%s: expected %d and close, got (closed: %d, served: %d) %s", bad->name,
                 in_pieces ? " (byte by byte)" : "", bad->status, closed, atomic_load(&f->markers),
                 answer);
    pst_free(answer);
}

static void every_malformed_request_is_refused_and_closed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    for (size_t i = 0; i < PST_COUNT(bad_requests); i++) {
        check_refused(&f, &bad_requests[i], false);
        check_refused(&f, &bad_requests[i], true);
    }
    fixture_stop(&f, 1000);
}

/* The strict server still has to take what is right. */
static const struct good {
    const char *name;
    const char *bytes;
    int status;
    const char *body;
} good_requests[] = {
    {"plain", GOOD, 200, "marker"},
    {"empty value", GET "Host: a\r\nX-A:\r\n\r\n", 200, "marker"},
    {"tabs around a value", GET "Host:\ta\t\r\n\r\n", 200, "marker"},
    {"UTF-8 in a value", GET "Host: a\r\nX-A: \303\244\r\n\r\n", 200, "marker"},
    {"a host with port", GET "Host: example.com:7400\r\n\r\n", 200, "marker"},
    {"an IPv6 host", GET "Host: [::1]:7400\r\n\r\n", 200, "marker"},
    {"names in any case", "POST /echo HTTP/1.1\r\nhOST: a\r\ncontent-LENGTH: 5\r\n\r\nhello", 200,
     "hello"},
    {"a length with zeros", POST "Content-Length: 0005\r\n\r\nhello", 200, "hello"},
    {"length 0", POST "Content-Length: 0\r\n\r\n", 200, ""},
    {"no body", POST "\r\n", 200, ""},
    {"chunks", CHUNKED "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, "hello0123456789"},
    {"Chunked in another case", POST "Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     200, "hello"},
    {"a chunk extension", CHUNKED "5;a=b\r\nhello\r\n0\r\n\r\n", 200, "hello"},
    {"trailers", CHUNKED "5\r\nhello\r\n0\r\nX-T: a\r\nContent-Length: 9\r\n\r\n", 200, "hello"},
    {"an upgrade that is not wanted",
     GET "Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", 200, "marker"},
    {"an upgrade with chunks",
     POST "Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
          "5\r\nhello\r\n0\r\n\r\n",
     200, "hello"},
    {"HTTP/1.0 without host", "GET /marker HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200,
     "marker"},
    {"a body for GET", GET "Host: a\r\nContent-Length: 5\r\n\r\nhello", 200, "marker"},
    {"not found", "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, NULL},
    {"not found with a body", "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
     404, NULL},
    {"a wrong method", "DELETE /marker HTTP/1.1\r\nHost: a\r\n\r\n", 405, NULL},
    {"a NUL in the path", "GET /mar%00ker HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"dots in the path", "GET /a/../marker HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"encoded dots in the path", "GET /a/%2e%2E/marker HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
};

static void every_good_request_is_served_and_the_next_one_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    for (size_t i = 0; i < PST_COUNT(good_requests) * 2; i++) {
        const struct good *good = &good_requests[i / 2];
        int fd = client_connect(&f);
        if (i % 2)
            send_in_pieces(fd, good->bytes, strlen(good->bytes));
        else
            client_say(fd, good->bytes);
        char *answer = client_read_answer(fd, 3000);
        if (status_of(answer) != good->status ||
            (good->body && strcmp(body_of(answer), good->body) != 0))
            fail_msg("%s: expected %d '%s', got %s", good->name, good->status, good->body, answer);
        pst_free(answer);
        client_say(fd, GOOD);
        answer = client_read_answer(fd, 3000);
        if (status_of(answer) != 200 || strcmp(body_of(answer), "marker") != 0)
            fail_msg("%s: the request behind it got %s", good->name, answer);
        pst_free(answer);
        (void)close(fd);
    }
    fixture_stop(&f, 1000);
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    int fd = client_connect(&f);
    client_say(fd, "POST /marker HTTP/1.1\r\nHost: a\r\n\r\n");
    char *answer = client_read_answer(fd, 3000);
    assert_int_equal(status_of(answer), 405);
    assert_non_null(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
    pst_free(answer);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malformed_request_is_refused_and_closed),
        cmocka_unit_test(every_good_request_is_served_and_the_next_one_too),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
