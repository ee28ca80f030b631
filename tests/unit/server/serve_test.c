/* Answers, suspension, streams, stopping; the last tests with several loops. */
#include "tests/unit/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "tests/unit/server/fixture.h"

#define HOST " HTTP/1.1\r\nHost: a\r\n\r\n"

static char *ask(struct fixture *f, const char *request)
{
    int fd = client_connect(f);
    client_say(fd, request);
    char *answer = client_read_answer(fd, 5000);
    (void)close(fd);
    return answer;
}

static void an_answer_carries_the_common_headers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    char *answer = ask(&f, "GET /marker" HOST);
    assert_int_equal(status_of(answer), 200);
    assert_non_null(strstr(answer, "\r\nDate: "));
    assert_non_null(strstr(answer, " GMT\r\n"));
    assert_non_null(strstr(answer, "\r\nX-Request-Id: req_"));
    assert_non_null(strstr(answer, "\r\nX-Common: yes\r\n"));
    assert_non_null(strstr(answer, "\r\nContent-Length: 6\r\n"));
    assert_null(strstr(answer, "Connection:"));
    pst_free(answer);
    fixture_stop(&f, 1000);
    assert_int_equal(atomic_load(&f.finished), 1);
}

static void a_handlers_error_replaces_what_it_had_written(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    char *answer = ask(&f, "GET /fail" HOST);
    assert_int_equal(status_of(answer), 409);
    assert_null(strstr(answer, "half"));
    assert_null(strstr(answer, "X-Half"));
    assert_non_null(strstr(answer, "\"detail\":\"this always fails\""));
    pst_free(answer);
    answer = ask(&f, "GET /header" HOST); /* a value that would split the answer */
    assert_int_equal(status_of(answer), 500);
    assert_null(strstr(answer, "Set-Cookie"));
    pst_free(answer);
    fixture_stop(&f, 1000);
}

static void an_answer_beyond_its_maximum_is_an_error(void **state)
{
    (void)state;
    struct pst_server_limits limits = {.response_max = 1000};
    struct fixture f;
    fixture_start(&f, &limits, 1);
    char *answer = ask(&f, "GET /size/1000" HOST);
    assert_int_equal(status_of(answer), 200);
    pst_free(answer);
    answer = ask(&f, "GET /size/1001" HOST);
    assert_int_equal(status_of(answer), 500);
    pst_free(answer);
    fixture_stop(&f, 1000);
}

static void head_is_answered_without_a_body(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    static const char *const targets[] = {"/size/1000", "/stream?parts=3", "/nothing"};
    for (size_t i = 0; i < PST_COUNT(targets); i++) {
        int fd = client_connect(&f);
        bool closed = false;
        char request[128];
        (void)snprintf(request, sizeof(request),
                       "HEAD %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", targets[i]);
        client_say(fd, request);
        char *answer = client_read_all(fd, 3000, &closed);
        assert_true(closed);
        assert_int_equal(status_of(answer), i == 2 ? 404 : 200);
        assert_string_equal(body_of(answer), "");
        if (i == 0)
            assert_non_null(strstr(answer, "\r\nContent-Length: 1000\r\n"));
        pst_free(answer);
        (void)close(fd);
    }
    fixture_stop(&f, 1000);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    enum { REQUESTS = 50 };
    struct fixture f;
    fixture_start(&f, NULL, 1);
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 65536);
    for (int i = 0; i < REQUESTS; i++)
        pst_buf_addf(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n%s\r\n<%02d>",
                     i == REQUESTS - 1 ? "Connection: close\r\n" : "", i);
    int fd = client_connect(&f);
    client_send(fd, b.ptr, b.len);
    bool closed = false;
    char *answers = client_read_all(fd, 5000, &closed);
    assert_true(closed);
    assert_int_equal(count_of(answers, "HTTP/1.1 200 OK\r\n"), REQUESTS);
    const char *at = answers;
    for (int i = 0; i < REQUESTS; i++) {
        char want[16];
        (void)snprintf(want, sizeof(want), "\r\n\r\n<%02d>", i);
        at = strstr(at, want);
        assert_non_null(at);
    }
    pst_free(answers);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

static void a_body_is_invited_only_where_it_is_wanted(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    static const char expecting[] =
        " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    char request[256];
    int fd = client_connect(&f);
    (void)snprintf(request, sizeof(request), "POST /echo%s", expecting);
    client_say(fd, request);
    bool closed = false;
    char *answer = client_read_until(fd, "\r\n\r\n", 5000);
    assert_string_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    pst_free(answer);
    client_say(fd, "hello");
    answer = client_read_answer(fd, 3000);
    assert_string_equal(body_of(answer), "hello");
    pst_free(answer);
    (void)close(fd);

    fd = client_connect(&f);
    (void)snprintf(request, sizeof(request), "POST /nothing%s", expecting);
    client_say(fd, request);
    answer = client_read_all(fd, 3000, &closed);
    assert_true(closed);
    assert_int_equal(status_of(answer), 404);
    pst_free(answer);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

static void http_1_0_gets_answers_it_understands(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    static const char *const requests[] = {
        "GET /size/70000 HTTP/1.0\r\n\r\n",
        "GET /stream?parts=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    };
    for (size_t i = 0; i < PST_COUNT(requests); i++) {
        int fd = client_connect(&f);
        bool closed = false;
        client_say(fd, requests[i]);
        char *answer = client_read_all(fd, 3000, &closed);
        assert_true(closed);
        assert_null(strstr(answer, "chunked"));
        assert_int_equal(strlen(body_of(answer)), i == 0 ? 70000 : 65536);
        pst_free(answer);
        (void)close(fd);
    }
    fixture_stop(&f, 1000);
}

static void a_stream_arrives_whole_and_is_given_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    char *answer = ask(&f, "GET /stream?parts=100" HOST);
    assert_non_null(strstr(answer, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_int_equal(count_of(answer, "\r\n10000\r\n"), 100);
    assert_int_equal(count_of(answer, "0123456789abcdef"), 100 * 4096);
    assert_non_null(strstr(answer, "\r\n0\r\n\r\n"));
    pst_free(answer);
    answer = ask(&f, "GET /stream?parts=0" HOST);
    assert_string_equal(body_of(answer), "0\r\n\r\n");
    pst_free(answer);
    assert_true(wait_for(&f.released, 2));
    fixture_stop(&f, 1000);
    assert_int_equal(atomic_load(&f.released), 2);
}

static void answers_are_cut_where_a_simulator_wants_it(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    bool closed = false;
    int fd = client_connect(&f);
    client_say(fd, "GET /cut?after=4" HOST);
    char *answer = client_read_all(fd, 3000, &closed);
    assert_true(closed);
    assert_non_null(strstr(answer, "\r\nContent-Length: 10\r\n"));
    assert_string_equal(body_of(answer), "0123");
    pst_free(answer);
    (void)close(fd);

    fd = client_connect(&f);
    client_say(fd, "GET /reset?after=0" HOST);
    char bytes[4096];
    ssize_t n = 0;
    do
        n = recv(fd, bytes, sizeof(bytes), 0);
    while (n > 0);
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

static void a_stalled_answer_stays_open_until_the_client_goes(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    int fd = client_connect(&f);
    client_say(fd, "GET /stall?after=4" HOST);
    char *answer = client_read_until(fd, "\r\n\r\n0123", 5000);
    assert_string_equal(body_of(answer), "0123");
    pst_free(answer);
    pst_free(ask(&f, "GET /marker" HOST)); /* answered in a later turn of the loop */
    assert_true(wait_for(&f.finished, 1));
    assert_false(client_heard(fd));
    (void)close(fd);
    assert_true(wait_for(&f.finished, 2));

    bool closed = false;
    fd = client_connect(&f);
    client_say(fd, "GET /mute" HOST);
    answer = client_read_all(fd, 3000, &closed);
    assert_true(closed);
    assert_string_equal(answer, "");
    pst_free(answer);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

/* ---- suspension ---- */

static void a_waiting_request_is_resumed_from_another_thread(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    int fd = client_connect(&f);
    client_say(fd, "GET /wait" HOST "GET /marker" HOST); /* the second waits its turn */
    assert_true(wait_for(&f.waiting, 1));
    pst_sleep_ms(50);
    assert_int_equal(atomic_load(&f.markers), 0);
    struct pst_ticket ticket = f.ticket;
    pst_server_resume(f.server, ticket);
    char *answer = client_read_answer(fd, 3000);
    assert_non_null(strstr(answer, "resumed"));
    pst_free(answer);
    assert_true(wait_for(&f.markers, 1));
    pst_server_resume(f.server, ticket); /* stale now */
    pst_server_resume(f.server, (struct pst_ticket){0});
    pst_server_resume(f.server, (struct pst_ticket){.loop = 9, .slot = 77, .serial = 5});
    pst_server_resume(f.server, (struct pst_ticket){.loop = 0, .slot = 77777, .serial = 5});
    client_say(fd, "GET /wait?ms=100" HOST);
    /* The marker's answer came with the first one, or comes now, before that of the wait. */
    pst_free(client_read_answer(fd, 3000));
    answer = client_read_answer(fd, 800);
    pst_free(answer);
    (void)close(fd);
    fixture_stop(&f, 1000);
    assert_int_equal(atomic_load(&f.gone), 0);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    pst_mono begin = pst_mono_now();
    char *answer = ask(&f, "GET /wait?ms=150" HOST);
    assert_true(pst_mono_now().ns - begin.ns >= 145 * PST_NS_PER_MS);
    assert_string_equal(body_of(answer), "deadline");
    pst_free(answer);
    fixture_stop(&f, 1000);
}

static void a_client_that_leaves_while_waiting_is_noticed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    int fd = client_connect(&f);
    client_say(fd, "GET /wait" HOST);
    assert_true(wait_for(&f.waiting, 1));
    (void)close(fd);
    assert_true(wait_for(&f.gone, 1));
    pst_server_resume(f.server, f.ticket);
    fixture_stop(&f, 1000);
    assert_int_equal(atomic_load(&f.gone), 1);
}

static void a_held_request_outlives_its_client(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    int fd = client_connect(&f);
    client_say(fd, "GET /held" HOST);
    assert_true(wait_for(&f.waiting, 1));
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    (void)close(fd);
    pst_sleep_ms(100);
    assert_int_equal(atomic_load(&f.gone), 0);
    pst_buf_add_lit(&f.held->body, "written by the other thread ");
    pst_server_resume(f.server, f.ticket);
    assert_true(wait_for(&f.gone, 1));
    fixture_stop(&f, 1000);
}

static void a_held_request_is_answered_with_what_the_other_thread_wrote(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    int fd = client_connect(&f);
    client_say(fd, "GET /held" HOST);
    assert_int_equal(shutdown(fd, SHUT_WR), 0); /* a half-closed client still gets its answer */
    assert_true(wait_for(&f.waiting, 1));
    pst_buf_add_lit(&f.held->body, "work done, ");
    pst_server_resume(f.server, f.ticket);
    char *answer = client_read_answer(fd, 3000);
    assert_string_equal(body_of(answer), "work done, resumed");
    pst_free(answer);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

static void a_held_request_beyond_its_deadline_is_answered_by_the_server(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    int fd = client_connect(&f);
    client_say(fd, "GET /held?ms=100" HOST);
    bool closed = false;
    char *answer = client_read_all(fd, 3000, &closed);
    assert_true(closed);
    assert_int_equal(status_of(answer), 503);
    pst_free(answer);
    (void)close(fd);
    pst_buf_add_lit(&f.held->body, "too late");
    pst_server_resume(f.server, f.ticket);
    assert_true(wait_for(&f.gone, 1));
    fixture_stop(&f, 1000);
}

/* ---- stopping ---- */

static void a_stop_wakes_waits_closes_the_idle_and_ends(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 2);
    int idle = client_connect(&f);
    int fd = client_connect(&f);
    client_say(fd, "GET /wait" HOST);
    assert_true(wait_for(&f.waiting, 1));
    pst_mono begin = pst_mono_now();
    fixture_stop(&f, 5000);
    assert_true((pst_mono_now().ns - begin.ns) / PST_NS_PER_MS < 4000);
    bool closed = false;
    char *answer = client_read_all(fd, 1000, &closed);
    assert_string_equal(body_of(answer), "stopping");
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    pst_free(answer);
    answer = client_read_all(idle, 1000, &closed);
    assert_true(closed);
    pst_free(answer);
    (void)close(fd);
    (void)close(idle);
}

static void who_comes_during_a_stop_is_refused_by_the_system(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 2);
    int fd = client_connect(&f);
    client_say(fd, "GET /held" HOST);
    assert_true(wait_for(&f.waiting, 1));
    pst_server_stop(f.server, 5000); /* goes on while the request is held */
    for (int i = 0; i < 1000 && client_try(&f) != ECONNREFUSED; i++)
        pst_sleep_ms(5);
    assert_int_equal(client_try(&f), ECONNREFUSED);
    pst_server_resume(f.server, f.ticket);
    char *answer = client_read_answer(fd, 3000);
    assert_string_equal(body_of(answer), "resumed");
    pst_free(answer);
    (void)close(fd);
    fixture_stop(&f, 5000);
}

static void what_is_not_done_at_the_end_of_the_grace_is_cut(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    int fd = client_connect(&f);
    client_say_and_wait(&f, fd, "GET /stream?parts=1000000" HOST);
    pst_mono begin = pst_mono_now();
    fixture_stop(&f, 200);
    assert_true(pst_mono_now().ns - begin.ns >= 190 * PST_NS_PER_MS);
    assert_int_equal(atomic_load(&f.released), 1);
    (void)close(fd);
}

/* A loop that finds no memory refuses or drops one request and serves the next. Each step runs
 * with one allocation failing, further behind every time. */
static void a_loop_survives_every_allocation_fault(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL, 1);
    static const char *const requests[] = {
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET /size/100000" HOST,
        "GET /stream?parts=2" HOST,
        "GET /wait?ms=1" HOST,
        "GET /nothing" HOST,
    };
    for (size_t i = 0; i < PST_COUNT(requests) * 12; i++) {
        char fault[64];
        (void)snprintf(fault, sizeof(fault), "GET /fault?n=%zu%s", i / PST_COUNT(requests), HOST);
        pst_free(ask(&f, fault));
        int fd = client_connect(&f);
        client_say(fd, requests[i % PST_COUNT(requests)]);
        char *answer = client_read_answer(fd, 2000);
        int status = status_of(answer);
        if (status != 0 && status != 200 && status != 404 && status != 503 && status != 500)
            fail_msg("%s: %s", requests[i % PST_COUNT(requests)], answer);
        pst_free(answer);
        (void)close(fd);
        pst_free(ask(&f, "GET /fault?n=999999" HOST)); /* what is left of the fault is over */
        pst_free(ask(&f, "GET /marker" HOST));
        answer = ask(&f, "GET /marker" HOST);
        assert_int_equal(status_of(answer), 200);
        pst_free(answer);
    }
    fixture_stop(&f, 1000);
}

/* ---- several loops ---- */

struct many {
    struct fixture *fixture;
    int failures;
};

static void ask_many(void *arg)
{
    struct many *m = arg;
    for (int i = 0; i < 40; i++) {
        char *answer =
            ask(m->fixture, i % 4 == 0 ? "GET /stream?parts=3" HOST : "GET /size/20000" HOST);
        m->failures += status_of(answer) != 200;
        pst_free(answer);
    }
}

static void several_loops_serve_several_clients(void **state)
{
    (void)state;
    enum { CLIENTS = 4 };
    struct fixture f;
    struct pst_err err;
    fixture_start(&f, NULL, 3);
    struct many many[CLIENTS];
    struct pst_thread *threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        many[i] = (struct many){&f, 0};
        assert_ok(pst_thread_start(&threads[i], "client", ask_many, &many[i], &err));
    }
    for (int i = 0; i < 200; i++) {
        struct pst_server_stats stats;
        pst_server_resume(f.server, (struct pst_ticket){(uint32_t)i % 3, 0, (uint64_t)i});
        pst_server_stats(f.server, &stats);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pst_thread_join(threads[i]);
        assert_int_equal(many[i].failures, 0);
    }
    struct pst_server_stats stats;
    pst_server_stats(f.server, &stats);
    assert_int_equal(stats.requests, CLIENTS * 40);
    assert_int_equal(stats.accepted, CLIENTS * 40);
    assert_int_equal(stats.suspended, 0);
    fixture_stop(&f, 1000);
    assert_int_equal(atomic_load(&f.finished), CLIENTS * 40);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        unsigned loops;
        pst_code code;
    } rows[] = {
        {"127.0.0.1:0", 1, PST_OK},
        {"[::1]:0", 1, PST_OK},
        {"localhost:0", 1, PST_OK},
        {"127.0.0.1:0", 0, PST_E_INVALID},
        {"127.0.0.1:0", 65, PST_E_INVALID},
        {"127.0.0.1", 1, PST_E_INVALID},
        {"127.0.0.1:65536", 1, PST_E_INVALID},
        {"example.com:80", 1, PST_E_INVALID},
        {"::1:80", 1, PST_E_INVALID},
        {"unix:", 1, PST_E_INVALID},
        {"unix:/nonexistent/x", 1, PST_E_IO},
        {"unix:/dev/null", 1, PST_E_CONFLICT},
        {"192.0.2.1:0", 1, PST_E_IO},
    };
    struct pst_err err;
    PST_AUTO(router) struct pst_router *router = NULL;
    assert_ok(pst_router_new(&router, NULL, 0, &err));
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        struct pst_server_options options = {
            .listen = &rows[i].listen, .listen_count = 1, .loops = rows[i].loops, .router = router};
        PST_AUTO(server) struct pst_server *server = NULL;
        pst_code code = pst_server_new(&server, &options, &err);
        if (code != rows[i].code)
            fail_msg("'%s': code %d: %s", rows[i].listen, (int)code, code ? err.msg : "");
    }
}

static void a_new_server_survives_every_allocation_fault(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(router) struct pst_router *router = NULL;
    assert_ok(pst_router_new(&router, NULL, 0, &err));
    char path[64];
    (void)snprintf(path, sizeof(path), "unix:/tmp/pst-server-fault-%d.sock", (int)getpid());
    const char *listen[] = {"127.0.0.1:0", path};
    struct pst_server_options options = {
        .listen = listen, .listen_count = 2, .loops = 2, .router = router};
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(server) struct pst_server *server = NULL;
        pst_code code = pst_server_new(&server, &options, &err);
        assert_int_equal(code, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_carries_the_common_headers),
        cmocka_unit_test(a_handlers_error_replaces_what_it_had_written),
        cmocka_unit_test(an_answer_beyond_its_maximum_is_an_error),
        cmocka_unit_test(head_is_answered_without_a_body),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_body_is_invited_only_where_it_is_wanted),
        cmocka_unit_test(http_1_0_gets_answers_it_understands),
        cmocka_unit_test(a_stream_arrives_whole_and_is_given_back),
        cmocka_unit_test(answers_are_cut_where_a_simulator_wants_it),
        cmocka_unit_test(a_stalled_answer_stays_open_until_the_client_goes),
        cmocka_unit_test(a_waiting_request_is_resumed_from_another_thread),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_client_that_leaves_while_waiting_is_noticed),
        cmocka_unit_test(a_held_request_outlives_its_client),
        cmocka_unit_test(a_held_request_is_answered_with_what_the_other_thread_wrote),
        cmocka_unit_test(a_held_request_beyond_its_deadline_is_answered_by_the_server),
        cmocka_unit_test(a_stop_wakes_waits_closes_the_idle_and_ends),
        cmocka_unit_test(who_comes_during_a_stop_is_refused_by_the_system),
        cmocka_unit_test(what_is_not_done_at_the_end_of_the_grace_is_cut),
        cmocka_unit_test(a_loop_survives_every_allocation_fault),
        cmocka_unit_test(several_loops_serve_several_clients),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(a_new_server_survives_every_allocation_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
