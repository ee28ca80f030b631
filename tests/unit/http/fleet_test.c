/* tests/unit/http/fleet_test.c: many requests at once, and receivers that do harm. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/http.h"
#include "os/clock.h"
#include "os/thread.h"
#include "peer.h"
#include "tests/unit/test.h"

/* What one request came to. */
struct result {
    int calls;
    pst_code code;
    enum pst_http_fault fault;
    int status;
    char error[600], retry_after[64];
    size_t body_len;
    char body[PST_FLEET_KEPT];
};

static void note(void *self, const struct pst_fleet_answer *a)
{
    struct result *r = self;
    r->calls++;
    r->code = a->code;
    r->fault = a->fault;
    r->status = a->status;
    (void)snprintf(r->error, sizeof(r->error), "%.*s", PST_STR_ARG(a->error));
    (void)snprintf(r->retry_after, sizeof(r->retry_after), "%.*s", PST_STR_ARG(a->retry_after));
    r->body_len = a->body.len;
    if (a->body.len)
        memcpy(r->body, a->body.ptr, a->body.len);
    assert_true(a->duration_us >= 0);
}

static struct pst_fleet *open_fleet(const struct pst_fleet_options *options)
{
    struct pst_fleet *f = NULL;
    struct pst_err err;
    assert_ok(pst_fleet_new(&f, options, &err));
    return f;
}

static const struct pst_fleet_options plain = {.allow_http = true};

static void add(struct pst_fleet *f, const char *url, int64_t timeout_ms, struct result *r)
{
    struct pst_err err;
    const struct pst_http_header headers[] = {{PST_STR("X-One"), PST_STR("1")},
                                              {PST_STR("X-None"), PST_STR("")}};
    const struct pst_fleet_request q = {.url = pst_str_from(url),
                                        .headers = headers,
                                        .header_count = PST_COUNT(headers),
                                        .body = PST_STR("{\"a\":1}"),
                                        .timeout_ms = timeout_ms,
                                        .done = note,
                                        .self = r};
    *r = (struct result){0};
    assert_ok(pst_fleet_add(f, &q, &err));
}

static void finish(struct pst_fleet *f, const struct result *r)
{
    struct pst_err err;
    while (r->calls == 0)
        assert_ok(pst_fleet_run(f, 100, &err));
    assert_int_equal(r->calls, 1);
}

static struct result call(struct pst_fleet *f, struct peer *p, int64_t timeout_ms)
{
    struct result r;
    add(f, peer_url(p, "/hook"), timeout_ms, &r);
    finish(f, &r);
    return r;
}

/* Of one answer of a peer. */
static struct result ask(const char *bytes, size_t len, enum peer_end end, int64_t timeout_ms)
{
    struct peer p;
    const struct peer_answer a = {.bytes = bytes, .len = len, .end = end};
    PST_AUTO(fleet) struct pst_fleet *f = open_fleet(&plain);
    peer_start(&p, &a, 1);
    struct result r = call(f, &p, timeout_ms);
    peer_stop(&p);
    return r;
}

static void a_request_is_a_post_with_its_headers(void **state)
{
    (void)state;
    struct peer p;
    const struct peer_answer a = {
        .bytes = "HTTP/1.1 202 Yes\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nok"};
    PST_AUTO(fleet) struct pst_fleet *f = open_fleet(&plain);
    peer_start(&p, &a, 1);
    struct result r = call(f, &p, 10000);
    assert_int_equal(r.code, PST_OK);
    assert_int_equal(r.status, 202);
    assert_string_equal(r.retry_after, "7");
    assert_true(r.body_len == 2 && memcmp(r.body, "ok", 2) == 0);
    assert_non_null(strstr(p.last, "POST /hook HTTP/1.1\r\n"));
    assert_non_null(strstr(p.last, "X-One: 1\r\n"));
    assert_non_null(strstr(p.last, "X-None:\r\n"));
    assert_non_null(strstr(p.last, "User-Agent: penstock/" PST_VERSION "\r\n"));
    assert_non_null(strstr(p.last, "Content-Length: 7\r\n"));
    assert_null(strstr(p.last, "Expect"));
    assert_null(strstr(p.last, "Accept"));
    assert_null(strstr(p.last, "Cookie"));
    r = call(f, &p, 10000);
    assert_int_equal(r.status, 202);
    assert_int_equal(atomic_load(&p.connections), 1); /* kept alive */
    peer_stop(&p);
}

static void what_a_receiver_answers_is_taken_as_far_as_it_is_wanted(void **state)
{
    (void)state;
    enum { BIG = 1 << 20 };
    static char big[BIG + 200];
    int head = snprintf(big, sizeof(big), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG);
    memset(big + head, 'y', BIG);
    struct result r = ask(big, (size_t)head + BIG, PEER_KEEP, 10000);
    assert_int_equal(r.code, PST_OK);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, PST_FLEET_KEPT);

    static char headers[BIG];
    size_t len = (size_t)snprintf(headers, sizeof(headers), "HTTP/1.1 200 OK\r\n");
    while (len < 200000)
        len += (size_t)snprintf(headers + len, sizeof(headers) - len, "X-Y: %0100d\r\n", 1);
    r = ask(headers, len, PEER_KEEP, 10000);
    assert_int_equal(r.code, PST_E_UNREACHABLE);
    assert_int_equal(r.fault, PST_FAULT_PROTOCOL);
    assert_non_null(strstr(r.error, "larger than allowed"));

    static char informs[BIG];
    for (len = 0; len < 200000;)
        len += (size_t)snprintf(informs + len, sizeof(informs) - len, "HTTP/1.1 103 Hm\r\n\r\n");
    r = ask(informs, len, PEER_KEEP, 10000);
    assert_int_equal(r.code, PST_E_UNREACHABLE);
    assert_int_equal(r.fault, PST_FAULT_PROTOCOL);
}

static void a_retry_after_is_that_of_the_last_answer(void **state)
{
    (void)state;
    struct result r =
        ask("HTTP/1.1 103 Hm\r\nRetry-After: 1\r\n\r\n"
            "HTTP/1.1 503 No\r\nretry-AFTER:   Sun, 06 Nov 1994 08:49:37 GMT  \r\n\r\n",
            0, PEER_CLOSE, 10000);
    assert_int_equal(r.status, 503);
    assert_string_equal(r.retry_after, "Sun, 06 Nov 1994 08:49:37 GMT");
    r = ask("HTTP/1.1 103 Hm\r\nRetry-After: 1\r\n\r\nHTTP/1.1 503 No\r\n\r\n", 0, PEER_CLOSE,
            10000);
    assert_string_equal(r.retry_after, "");
    char text[200];
    (void)snprintf(text, sizeof(text), "HTTP/1.1 503 No\r\nRetry-After: %064d\r\n\r\n", 1);
    r = ask(text, 0, PEER_CLOSE, 10000);
    assert_string_equal(r.retry_after, "");
}

static void broken_answers_are_failures(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum peer_end end;
        enum pst_http_fault fault;
    } rows[] = {
        {"hello\r\n", PEER_CLOSE, PST_FAULT_PROTOCOL}, /* HTTP/0.9 */
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", PEER_CLOSE, PST_FAULT_TRUNCATED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", PEER_CLOSE,
         PST_FAULT_RESET},
        {"", PEER_CLOSE, PST_FAULT_RESET},
    };
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        struct result r = ask(rows[i].bytes, 0, rows[i].end, 10000);
        assert_int_equal(r.code, PST_E_UNREACHABLE);
        assert_int_equal(r.fault, rows[i].fault);
        assert_non_null(strstr(r.error, "127.0.0.1"));
    }
    struct result r =
        ask("HTTP/1.1 301 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 0,
            PEER_KEEP, 10000);
    assert_true(r.code == PST_OK && r.status == 301); /* not followed */
}

static void the_whole_request_has_one_deadline(void **state)
{
    (void)state;
    struct peer p;
    const struct peer_answer drip = {
        .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n....................",
        .drip_ms = 10};
    PST_AUTO(fleet) struct pst_fleet *f = open_fleet(&plain);
    peer_start(&p, &drip, 1);
    struct result r = call(f, &p, 100);
    assert_int_equal(r.code, PST_E_TIMEOUT);
    assert_int_equal(r.fault, PST_FAULT_TIMEOUT);
    peer_stop(&p);
}

static void nobody_there_is_a_failure(void **state)
{
    (void)state;
    struct peer p;
    struct result r;
    const struct peer_answer a = {.bytes = ""};
    PST_AUTO(fleet) struct pst_fleet *f = open_fleet(&plain);
    peer_start(&p, &a, 1);
    char url[100];
    (void)snprintf(url, sizeof(url), "%s", peer_url(&p, "/"));
    peer_stop(&p);
    add(f, url, 10000, &r);
    finish(f, &r);
    assert_int_equal(r.code, PST_E_UNREACHABLE);
    assert_int_equal(r.fault, PST_FAULT_CONNECT);
    add(f, "http://no-such-name.invalid/", 10000, &r);
    finish(f, &r);
    assert_int_equal(r.code, PST_E_UNREACHABLE);
    assert_int_equal(r.fault, PST_FAULT_DNS);
}

static bool refuse(void *self, const struct pst_address *address, const char **why)
{
    atomic_int *asked = self;
    (void)address;
    atomic_fetch_add(asked, 1);
    *why = "a private address";
    return false;
}

static void addresses_are_asked_for(void **state)
{
    (void)state;
    struct peer p;
    struct result r;
    atomic_int asked = 0;
    const struct peer_answer a = {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    const struct pst_fleet_options o = {.allow_http = true,
                                        .http = {.allows = refuse, .allows_self = &asked}};
    PST_AUTO(fleet) struct pst_fleet *f = open_fleet(&o);
    peer_start(&p, &a, 1);
    char url[100];
    (void)snprintf(url, sizeof(url), "http://2130706433:%u/", (unsigned)p.port); /* 127.0.0.1 */
    const char *const urls[] = {peer_url(&p, "/"), url};
    for (size_t i = 0; i < 2; i++) {
        add(f, urls[i], 10000, &r);
        finish(f, &r);
        assert_int_equal(r.code, PST_E_EGRESS);
        assert_int_equal(r.fault, PST_FAULT_EGRESS);
        assert_non_null(strstr(r.error, "a private address"));
        assert_int_equal(atomic_load(&asked), (int)i + 1);
    }
    assert_int_equal(atomic_load(&p.connections), 0);
    peer_stop(&p);
}

static void what_is_no_request_is_refused_at_once(void **state)
{
    (void)state;
    struct pst_err err;
    struct result r = {0};
    static const struct pst_fleet_options secure = {0};
    PST_AUTO(fleet) struct pst_fleet *f = open_fleet(&secure);
    struct pst_http_header many[PST_FLEET_HEADERS + 1];
    for (size_t i = 0; i < PST_COUNT(many); i++)
        many[i] = (struct pst_http_header){PST_STR("a"), PST_STR("b")};
    const struct {
        const char *url;
        struct pst_http_header header;
        size_t count;
        pst_code code;
    } rows[] = {
        {"http://127.0.0.1/", {PST_STR("a"), PST_STR("b")}, 1, PST_E_INVALID},
        {"ftp://127.0.0.1/", {PST_STR("a"), PST_STR("b")}, 1, PST_E_INVALID},
        {"https://me@127.0.0.1/", {PST_STR("a"), PST_STR("b")}, 1, PST_E_INVALID},
        {"https://127.0.0.1/", {PST_STR("a:"), PST_STR("b")}, 1, PST_E_INVALID},
        {"https://127.0.0.1/", {PST_STR(""), PST_STR("b")}, 1, PST_E_INVALID},
        {"https://127.0.0.1/", {PST_STR("a"), PST_STR("b\r\nc: d")}, 1, PST_E_INVALID},
        {"https://127.0.0.1/", {PST_STR("a\n"), PST_STR("b")}, 1, PST_E_INVALID},
        {"https://127.0.0.1/", {PST_STR("a"), PST_STR("b")}, PST_COUNT(many), PST_E_LIMIT},
    };
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        many[0] = rows[i].header;
        const struct pst_fleet_request q = {.url = pst_str_from(rows[i].url),
                                            .headers = many,
                                            .header_count = rows[i].count,
                                            .timeout_ms = 1000,
                                            .done = note,
                                            .self = &r};
        assert_code(pst_fleet_add(f, &q, &err), rows[i].code);
    }
    assert_int_equal(r.calls, 0);
}

static void all_can_be_broken_off(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    struct peer p;
    struct result r[COUNT];
    struct pst_err err;
    const struct peer_answer a = {.bytes = "HTTP/1.1 200 OK\r\n\r\n", .delay_ms = 100000};
    PST_AUTO(fleet) struct pst_fleet *f = open_fleet(&plain);
    peer_start(&p, &a, 1);
    for (size_t i = 0; i < COUNT; i++)
        add(f, peer_url(&p, "/"), 100000, &r[i]);
    while (atomic_load(&p.requests) == 0)
        assert_ok(pst_fleet_run(f, 10, &err));
    pst_fleet_cancel(f);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(r[i].calls, 1);
        assert_int_equal(r[i].code, PST_E_CANCELLED);
    }
    pst_fleet_cancel(f);
    peer_stop(&p);
}

static void wake_up(void *arg)
{
    pst_fleet_wake(arg);
}

static void another_thread_ends_a_wait(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(fleet) struct pst_fleet *f = open_fleet(&plain);
    struct pst_thread *t = NULL;
    assert_ok(pst_thread_start(&t, "waker", wake_up, f, &err));
    assert_ok(pst_fleet_run(f, -1, &err));
    pst_thread_join(t);
}

static void no_memory_is_a_result(void **state)
{
    (void)state;
    struct peer p;
    struct pst_err err;
    const struct peer_answer a = {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    peer_start(&p, &a, 1);
    const struct pst_fleet_request q = {.url = pst_str_from(peer_url(&p, "/")),
                                        .body = PST_STR("x"),
                                        .timeout_ms = 300,
                                        .done = note};
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(fleet) struct pst_fleet *f = NULL;
        struct result r = {0};
        struct pst_fleet_request mine = q;
        mine.self = &r;
        pst_code code = pst_fleet_new(&f, &plain, &err);
        if (code == PST_OK)
            code = pst_fleet_add(f, &mine, &err);
        if (code == PST_OK)
            finish(f, &r);
        else
            assert_int_equal(code, PST_E_NO_MEMORY);
    }
    peer_stop(&p);
    pst_fleet_free(NULL);
}

static int set_up(void **state)
{
    struct pst_err err;
    (void)state;
    return pst_http_init(&err) == PST_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_a_post_with_its_headers),
        cmocka_unit_test(what_a_receiver_answers_is_taken_as_far_as_it_is_wanted),
        cmocka_unit_test(a_retry_after_is_that_of_the_last_answer),
        cmocka_unit_test(broken_answers_are_failures),
        cmocka_unit_test(the_whole_request_has_one_deadline),
        cmocka_unit_test(nobody_there_is_a_failure),
        cmocka_unit_test(addresses_are_asked_for),
        cmocka_unit_test(what_is_no_request_is_refused_at_once),
        cmocka_unit_test(all_can_be_broken_off),
        cmocka_unit_test(another_thread_ends_a_wait),
        cmocka_unit_test(no_memory_is_a_result),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
