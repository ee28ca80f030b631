/* tests/unit/http/client_test.c: the client against a peer that answers byte for byte what a test
 * says: good answers, broken ones, limits from both sides, deadlines, cancelling, egress. */
#include "../test.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/crypto.h"
#include "http/http.h"
#include "os/clock.h"
#include "os/thread.h"
#include "peer.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

struct fixture {
    struct pst_http *http;
    struct pst_arena *arena;
    struct pst_http_response response;
    struct pst_err err;
};

static void begin(struct fixture *f, const struct pst_http_options *options)
{
    struct pst_err err;
    *f = (struct fixture){0};
    assert_ok(pst_http_new(&f->http, options ? options : &(struct pst_http_options){0}, &err));
    assert_ok(pst_arena_new(&f->arena, 8 << 20, &err));
}

static void end(struct fixture *f)
{
    pst_http_free(f->http);
    pst_arena_free(f->arena);
}

static pst_code get(struct fixture *f, const struct peer *p, struct pst_http_request request)
{
    if (request.url.len == 0)
        request.url = pst_str_from(peer_url(p, "/x"));
    return pst_http_call(f->http, &request, f->arena, &f->response, &f->err);
}

static void a_good_answer_arrives_whole(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes =
             OK_HEAD "Content-Length: 7\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n{\"a\":1}"},
        {.bytes = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n"},
        {.bytes = OK_HEAD "\r\n{\"a\":1}", .end = PEER_CLOSE},
    };
    struct peer p;
    struct fixture f;
    peer_start(&p, A, PST_COUNT(A));
    begin(&f, NULL);
    for (size_t i = 0; i < PST_COUNT(A); i++) {
        struct pst_err err = f.err;
        assert_ok(get(&f, &p, (struct pst_http_request){0}));
        assert_int_equal(f.response.status, 200);
        assert_str(f.response.body, "{\"a\":1}");
        for (size_t k = 0; k < PST_HTTP_PADDING; k++)
            assert_int_equal(f.response.body.ptr[f.response.body.len + k], 0);
        assert_str(f.response.content_type, "application/json");
        assert_int_equal(f.response.fault, PST_FAULT_NONE);
        assert_int_equal(f.response.is_reused, i > 0);
        assert_int_equal(f.response.wire_bytes, 7);
        assert_true(f.response.timing.total_us > 0);
        assert_int_equal(f.response.peer.port, p.port);
        if (i == 0)
            assert_str(f.response.date, "Sun, 06 Nov 1994 08:49:37 GMT");
        else
            assert_int_equal(f.response.date.len, 0);
    }
    assert_int_equal(p.connections, 1);
    end(&f);
    peer_stop(&p);
}

static void the_request_carries_what_was_asked_and_no_more(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {{.bytes = OK_HEAD "Content-Length: 0\r\n\r\n"}};
    struct peer p;
    struct fixture f;
    struct pst_err err;
    struct pst_secret *password = NULL;
    peer_start(&p, A, 1);
    begin(&f, NULL);
    assert_ok(pst_secret_new(&password, PST_STR("pass"), &err));
    struct pst_http_header headers[] = {{PST_STR_INIT("Accept"), PST_STR_INIT("application/json")}};
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("NO_PROXY", "nothing", 1);
    err = f.err;
    assert_ok(get(&f, &p,
                  (struct pst_http_request){.url = pst_str_from(peer_url(&p, "/p?a=1,2&b=%20")),
                                            .headers = headers,
                                            .header_count = 1,
                                            .user = PST_STR("user"),
                                            .password = password}));
    unsetenv("http_proxy");
    unsetenv("NO_PROXY");
    assert_non_null(strstr(p.last, "GET /p?a=1,2&b=%20 HTTP/1.1\r\n"));
    assert_non_null(strstr(p.last, "Authorization: Basic dXNlcjpwYXNz\r\n"));
    assert_non_null(strstr(p.last, "Accept: application/json\r\n"));
    assert_null(strstr(p.last, "Expect"));
    assert_null(strstr(p.last, "Content-Type"));
    assert_null(strstr(p.last, "Cookie"));
    assert_ok(
        get(&f, &p, (struct pst_http_request){.method = PST_STR("POST"), .body = PST_STR("<x/>")}));
    assert_non_null(strstr(p.last, "POST /x HTTP/1.1\r\n"));
    assert_non_null(strstr(p.last, "Content-Length: 4\r\n"));
    assert_null(strstr(p.last, "Authorization"));
    pst_secret_free(password);
    end(&f);
    peer_stop(&p);
}

static void cookies_live_for_one_run(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = OK_HEAD "Set-Cookie: JSESSIONID=abc; Path=/\r\nContent-Length: 0\r\n\r\n"}};
    struct peer p;
    struct fixture f;
    peer_start(&p, A, 1);
    begin(&f, NULL);
    struct pst_err err = f.err;
    assert_ok(get(&f, &p, (struct pst_http_request){0}));
    assert_ok(get(&f, &p, (struct pst_http_request){0}));
    assert_non_null(strstr(p.last, "Cookie: JSESSIONID=abc\r\n"));
    pst_http_reset(f.http);
    assert_ok(get(&f, &p, (struct pst_http_request){0}));
    assert_null(strstr(p.last, "Cookie"));
    assert_int_equal(p.connections, 2);
    end(&f);
    peer_stop(&p);
}

static void broken_answers_are_named_for_what_they_are(void **state)
{
    (void)state;
    static const struct {
        struct peer_answer answer;
        pst_code code;
        enum pst_http_fault fault;
    } CASES[] = {
        {{.bytes = OK_HEAD "Content-Length: 9\r\n\r\n{\"a\"", .end = PEER_CLOSE},
         PST_E_UNREACHABLE,
         PST_FAULT_TRUNCATED},
        {{.bytes = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"a\"", .end = PEER_CLOSE},
         PST_E_UNREACHABLE,
         PST_FAULT_TRUNCATED},
        {{.bytes = OK_HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", .end = PEER_CLOSE},
         PST_E_UNREACHABLE,
         PST_FAULT_PROTOCOL},
        {{.bytes = OK_HEAD "Content-Length: 2\r\ncontent-length: 20\r\n\r\n{}", .end = PEER_CLOSE},
         PST_E_UNREACHABLE,
         PST_FAULT_PROTOCOL},
        {{.bytes = "{\"not\":\"http\"}", .end = PEER_CLOSE}, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL},
        {{.bytes = OK_HEAD "Content-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\n{}"},
         PST_E_UNREACHABLE,
         PST_FAULT_PROTOCOL},
        {{.bytes = OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!"},
         PST_E_UNREACHABLE,
         PST_FAULT_PROTOCOL},
        {{.bytes = "", .end = PEER_CLOSE}, PST_E_UNREACHABLE, PST_FAULT_RESET},
        {{.bytes = OK_HEAD "Content-Length: 9\r\n\r\n{\"a\"", .end = PEER_RESET},
         PST_E_UNREACHABLE,
         PST_FAULT_RESET},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct peer p;
        struct fixture f;
        peer_start(&p, &CASES[i].answer, 1);
        begin(&f, NULL);
        pst_code code = get(&f, &p, (struct pst_http_request){0});
        if (code != CASES[i].code || f.err.code != code || f.response.fault != CASES[i].fault ||
            f.response.body.len != 0)
            fail_msg("case %zu: %s, fault %s: %s", i, pst_code_name(code),
                     pst_http_fault_name(f.response.fault), f.err.msg);
        end(&f);
        peer_stop(&p);
    }
}

static void a_status_is_no_failure_here_and_redirects_are_not_followed(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nwait"},
        {.bytes = "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"},
        {.bytes = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: "
                  "0\r\n\r\n"},
        {.bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n"},
    };
    struct peer p;
    struct fixture f;
    peer_start(&p, A, PST_COUNT(A));
    begin(&f, NULL);
    struct pst_err err = f.err;
    assert_ok(get(&f, &p, (struct pst_http_request){0}));
    assert_int_equal(f.response.status, 503);
    assert_str(f.response.retry_after, "7");
    assert_str(f.response.body, "wait");
    assert_ok(get(&f, &p, (struct pst_http_request){0}));
    assert_int_equal(f.response.status, 302);
    assert_str(f.response.location, "http://elsewhere/");
    assert_ok(get(&f, &p, (struct pst_http_request){0}));
    assert_int_equal(f.response.status, 401);
    assert_str(f.response.www_authenticate, "Basic realm=\"x\"");
    assert_ok(get(&f, &p, (struct pst_http_request){0}));
    assert_int_equal(f.response.status, 204);
    assert_int_equal(p.requests, 4);
    end(&f);
    peer_stop(&p);
}

static void a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = OK_HEAD "Content-Length: 10\r\n\r\n0123456789"},
        {.bytes = OK_HEAD "\r\n0123456789", .end = PEER_CLOSE},
    };
    for (size_t i = 0; i < PST_COUNT(A); i++) {
        struct peer p;
        struct fixture f;
        peer_start(&p, &A[i], 1);
        begin(&f, NULL);
        struct pst_err err = f.err;
        assert_ok(get(&f, &p, (struct pst_http_request){.limits.max_body_bytes = 10}));
        assert_str(f.response.body, "0123456789");
        assert_code(get(&f, &p, (struct pst_http_request){.limits.max_body_bytes = 9}),
                    PST_E_LIMIT);
        assert_int_equal(f.response.fault, PST_FAULT_LIMIT);
        assert_int_equal(f.response.status, 200);
        end(&f);
        peer_stop(&p);
    }
}

static void silence_ends_at_each_limit(void **state)
{
    (void)state;
    static const struct peer_answer SILENT = {.bytes = "", .delay_ms = 4000};
    static const struct peer_answer DRIP = {
        .bytes = OK_HEAD "Content-Length: 60\r\n\r\n"
                         "012345678901234567890123456789012345678901234567890123456789",
        .drip_ms = 50};
    static const struct {
        const struct peer_answer *answer;
        struct pst_http_limits limits;
    } CASES[] = {
        {&SILENT, {.first_byte_ms = 300}},
        {&SILENT, {.total_ms = 300}},
        {&DRIP, {.slow_ms = 400, .slow_bytes_per_s = 1000}},
        {&DRIP, {.total_ms = 400}},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct peer p;
        struct fixture f;
        peer_start(&p, CASES[i].answer, 1);
        begin(&f, NULL);
        pst_mono start = pst_mono_now();
        pst_code code = get(&f, &p, (struct pst_http_request){.limits = CASES[i].limits});
        int64_t ms = pst_mono_ms_until(start, pst_mono_now());
        if (code != PST_E_TIMEOUT || f.response.fault != PST_FAULT_TIMEOUT || ms > 2500)
            fail_msg("case %zu: %s after %d ms: %s", i, pst_code_name(code), (int)ms, f.err.msg);
        end(&f);
        peer_stop(&p);
    }
}

static void a_deadline_in_the_past_makes_no_call(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {{.bytes = OK_HEAD "Content-Length: 0\r\n\r\n"}};
    struct peer p;
    struct fixture f;
    peer_start(&p, A, 1);
    begin(&f, NULL);
    pst_mono past = {pst_mono_now().ns - 1};
    assert_code(get(&f, &p, (struct pst_http_request){.deadline = past}), PST_E_TIMEOUT);
    assert_int_equal(p.requests, 0);
    end(&f);
    peer_stop(&p);
}

static void set_flag(void *arg)
{
    pst_sleep_ms(100);
    atomic_store((atomic_bool *)arg, true);
}

static void cancelling_ends_a_waiting_call(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {{.bytes = "", .delay_ms = 4000}};
    struct peer p;
    struct fixture f;
    struct pst_err err;
    struct pst_thread *thread = NULL;
    atomic_bool cancel = false;
    peer_start(&p, A, 1);
    begin(&f, NULL);
    assert_ok(pst_thread_start(&thread, "cancel", set_flag, &cancel, &err));
    pst_mono start = pst_mono_now();
    assert_code(get(&f, &p, (struct pst_http_request){.cancel = &cancel}), PST_E_CANCELLED);
    assert_true(pst_mono_ms_until(start, pst_mono_now()) < 2500);
    pst_thread_join(thread);
    end(&f);
    peer_stop(&p);
}

static bool refuse_all(void *self, const struct pst_address *address, const char **why)
{
    *(struct pst_address *)self = *address;
    *why = "a loopback address";
    return false;
}

static void a_refused_address_is_never_connected_to(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {{.bytes = OK_HEAD "Content-Length: 0\r\n\r\n"}};
    static const char *const HOSTS[] = {"127.0.0.1",  "localhost", "0x7f.1", "2130706433",
                                        "0177.0.0.1", "127.1",     "[::1]",  "[::ffff:127.0.0.1]"};
    struct peer p;
    struct fixture f;
    struct pst_address seen = {0};
    peer_start(&p, A, 1);
    begin(&f, &(struct pst_http_options){.allows = refuse_all, .allows_self = &seen});
    for (size_t i = 0; i < PST_COUNT(HOSTS); i++) {
        char url[128];
        (void)snprintf(url, sizeof(url), "http://%s:%u/", HOSTS[i], (unsigned)p.port);
        pst_code code = get(&f, &p, (struct pst_http_request){.url = pst_str_from(url)});
        if (code != PST_E_EGRESS || f.response.fault != PST_FAULT_EGRESS || seen.port != p.port)
            fail_msg("%s: %s", HOSTS[i], pst_code_name(code));
    }
    assert_int_equal(p.connections, 0);
    end(&f);
    peer_stop(&p);
}

static void behind_a_proxy_an_address_in_the_url_is_still_decided_on(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {{.bytes = OK_HEAD "Content-Length: 2\r\n\r\n{}"}};
    struct peer p;
    struct fixture f;
    char proxy[64];
    struct pst_address seen = {0};
    peer_start(&p, A, 1);
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", (unsigned)p.port);
    begin(&f,
          &(struct pst_http_options){.allows = refuse_all, .allows_self = &seen, .proxy = proxy});
    assert_code(get(&f, &p, (struct pst_http_request){.url = PST_STR("http://10.0.0.1/")}),
                PST_E_EGRESS);
    assert_int_equal(p.requests, 0);
    struct pst_err err = f.err;
    assert_ok(get(&f, &p, (struct pst_http_request){.url = PST_STR("http://ps.example.com/x")}));
    assert_non_null(strstr(p.last, "GET http://ps.example.com/x HTTP/1.1\r\n"));
    end(&f);
    peer_stop(&p);
}

static void a_closed_port_and_an_unknown_name_are_told_apart(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {{.bytes = ""}};
    struct peer p;
    struct fixture f;
    peer_start(&p, A, 1);
    peer_stop(&p);
    begin(&f, NULL);
    assert_code(get(&f, &p, (struct pst_http_request){0}), PST_E_UNREACHABLE);
    assert_int_equal(f.response.fault, PST_FAULT_CONNECT);
    assert_code(get(&f, &p, (struct pst_http_request){.url = PST_STR("http://no.such.invalid/")}),
                PST_E_UNREACHABLE);
    assert_int_equal(f.response.fault, PST_FAULT_DNS);
    end(&f);
}

static void a_call_works_after_one_that_failed_and_the_cookies_stay(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = OK_HEAD "Set-Cookie: JSESSIONID=abc; Path=/\r\nContent-Length: 0\r\n\r\n"}};
    static const char *const DEAD[] = {"http://no.such.invalid/", "http://127.0.0.1:1/"};
    struct peer p;
    struct fixture f;
    peer_start(&p, A, 1);
    begin(&f, NULL);
    for (size_t i = 0; i < PST_COUNT(DEAD); i++) {
        struct pst_err err = f.err;
        assert_ok(get(&f, &p, (struct pst_http_request){0}));
        for (int k = 0; k < 2; k++) /* the same failure again, not one of our own */
            assert_code(get(&f, &p, (struct pst_http_request){.url = pst_str_from(DEAD[i])}),
                        PST_E_UNREACHABLE);
        assert_ok(get(&f, &p, (struct pst_http_request){0}));
        assert_non_null(strstr(p.last, "Cookie: JSESSIONID=abc\r\n"));
    }
    end(&f);
    peer_stop(&p);
}

static void wrong_requests_are_refused_before_anything_is_sent(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {{.bytes = OK_HEAD "Content-Length: 0\r\n\r\n"}};
    static struct pst_http_header split[] = {{PST_STR_INIT("X"), PST_STR_INIT("a\r\nHost: b")}};
    static struct pst_http_header named[] = {{PST_STR_INIT("X: y"), PST_STR_INIT("a")}};
    struct peer p;
    struct fixture f;
    peer_start(&p, A, 1);
    begin(&f, NULL);
    const struct pst_http_request requests[] = {
        {.url = PST_STR("file:///etc/passwd")}, {.url = PST_STR("http://user:secret@127.0.0.1/")},
        {.method = PST_STR("GET /x")},          {.headers = split, .header_count = 1},
        {.headers = named, .header_count = 1},
    };
    for (size_t i = 0; i < PST_COUNT(requests); i++)
        assert_code(get(&f, &p, requests[i]), PST_E_INVALID);
    assert_int_equal(p.connections, 0);
    end(&f);
    peer_stop(&p);
}

static void every_failed_allocation_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = OK_HEAD "Content-Length: 2\r\n\r\n{}", .end = PEER_CLOSE}};
    struct peer p;
    peer_start(&p, A, 1);
    struct pst_http_request request = {.url = pst_str_from(peer_url(&p, "/x"))};
    int failed = 0;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_http *http = NULL;
        struct pst_arena *arena = NULL;
        struct pst_http_response response;
        struct pst_err err;
        pst_code code = pst_http_new(&http, &(struct pst_http_options){0}, &err);
        if (code == PST_OK)
            code = pst_arena_new(&arena, 1 << 20, &err);
        if (code == PST_OK)
            code = pst_http_call(http, &request, arena, &response, &err);
        /* Inside libcurl and the resolver a failed allocation may have other names. */
        if (pst_alloc_failed() && code != PST_OK)
            failed++;
        assert_true(code != PST_OK || response.status == 200);
        pst_http_free(http);
        pst_arena_free(arena);
    }
    assert_true(failed > 10);
    peer_stop(&p);
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK || pst_http_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer_arrives_whole),
        cmocka_unit_test(the_request_carries_what_was_asked_and_no_more),
        cmocka_unit_test(cookies_live_for_one_run),
        cmocka_unit_test(broken_answers_are_named_for_what_they_are),
        cmocka_unit_test(a_status_is_no_failure_here_and_redirects_are_not_followed),
        cmocka_unit_test(a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not),
        cmocka_unit_test(silence_ends_at_each_limit),
        cmocka_unit_test(a_deadline_in_the_past_makes_no_call),
        cmocka_unit_test(cancelling_ends_a_waiting_call),
        cmocka_unit_test(a_refused_address_is_never_connected_to),
        cmocka_unit_test(behind_a_proxy_an_address_in_the_url_is_still_decided_on),
        cmocka_unit_test(a_closed_port_and_an_unknown_name_are_told_apart),
        cmocka_unit_test(a_call_works_after_one_that_failed_and_the_cookies_stay),
        cmocka_unit_test(wrong_requests_are_refused_before_anything_is_sent),
        cmocka_unit_test(every_failed_allocation_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
