/* Limits and deadlines, both sides of each. */
#include "tests/unit/test.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "tests/unit/server/fixture.h"

static const struct pst_server_limits small = {
    .head_max = 1024,
    .target_max = 200,
    .headers_max = 10,
    .body_max = 2000,
    .response_max = 1 << 20,
    .per_address_max = 4,
    .head_ms = 300,
    .body_ms = 1200,
    .body_grace_ms = 300,
    .body_rate = 1000,
    .idle_ms = 400,
    .write_ms = 400,
};

static char *ask(struct fixture *f, const char *request, size_t len, bool *closed)
{
    int fd = client_connect(f);
    client_send(fd, request, len);
    char *answer = client_read_all(fd, 3000, closed);
    (void)close(fd);
    return answer;
}

static void expect_status(struct fixture *f, const struct pst_buf *request, int status)
{
    bool closed = false;
    char *answer = ask(f, request->ptr, request->len, &closed);
    if (status_of(answer) != status || !closed)
        fail_msg("expected %d and close, got %s", status, answer);
    pst_free(answer);
}

static const char GET[] = "GET /marker HTTP/1.1\r\nHost: a\r\n\r\n";

static void expect_answer(int fd, const char *request, int status)
{
    client_say(fd, request);
    char *answer = client_read_answer(fd, 3000);
    assert_int_equal(status_of(answer), status);
    pst_free(answer);
}

static void wait_for_connections(const struct fixture *f, uint64_t count)
{
    for (int i = 0; i < 500 && fixture_stats(f).connections != count; i++)
        pst_sleep_ms(10);
    assert_int_equal(fixture_stats(f).connections, count);
}

static void fill(struct pst_buf *b, char c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pst_buf_add_char(b, c);
}

static void sizes_are_taken_up_to_their_limit_and_refused_beyond(void **state)
{
    (void)state;
    static const struct {
        size_t target, header, headers, body;
        int status;
    } rows[] = {
        {200, 0, 0, 0, 404},   {201, 0, 0, 0, 414},   {5000, 0, 0, 0, 414}, {10, 700, 0, 0, 404},
        {10, 1100, 0, 0, 431}, {10, 9000, 0, 0, 431}, {10, 0, 8, 0, 404},   {10, 0, 9, 0, 431},
        {10, 0, 0, 2000, 404}, {10, 0, 0, 2001, 413},
    };
    struct fixture f;
    fixture_start(&f, &small, 1);
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 65536);
        pst_buf_add_lit(&b, "POST /");
        fill(&b, 'x', rows[i].target - 1);
        pst_buf_add_lit(&b, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        if (rows[i].header) {
            pst_buf_add_lit(&b, "X-Long: ");
            fill(&b, 'y', rows[i].header);
            pst_buf_add_lit(&b, "\r\n");
        }
        for (size_t k = 0; k < rows[i].headers; k++)
            pst_buf_addf(&b, "X-%zu: z\r\n", k);
        if (rows[i].body)
            pst_buf_addf(&b, "Content-Length: %zu\r\n", rows[i].body);
        pst_buf_add_lit(&b, "\r\n");
        fill(&b, 'b', rows[i].body);
        expect_status(&f, &b, rows[i].status);
    }
    fixture_stop(&f, 1000);
}

static void a_routes_own_body_limit_holds_for_lengths_and_chunks(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
    } rows[] = {
        {"Content-Length: 10\r\n\r\n0123456789", 200},
        {"Content-Length: 11\r\n\r\n0123456789a", 413},
        {"Content-Length: 999999999999\r\n\r\n", 413},
        {"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", 200},
        {"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n", 413},
        {"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413},
    };
    struct fixture f;
    fixture_start(&f, &small, 1);
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 65536);
        pst_buf_addf(&b, "POST /small HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s",
                     rows[i].body);
        expect_status(&f, &b, rows[i].status);
    }
    fixture_stop(&f, 1000);
}

static void a_large_body_is_read_whole(void **state)
{
    (void)state;
    struct pst_server_limits limits = {.body_max = 3 << 20};
    struct fixture f;
    fixture_start(&f, &limits, 1);
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 4 << 20);
    pst_buf_addf(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 3 << 20);
    fill(&b, 'b', 3 << 20);
    int fd = client_connect(&f);
    client_send(fd, b.ptr, b.len);
    char *answer = client_read_answer(fd, 5000);
    assert_int_equal(strlen(body_of(answer)), 3 << 20);
    pst_free(answer);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

/* ---- deadlines, by a clock of the test's ---- */

/* Say text, and later more of it; the server has to be silent 1 ms before `ms` after the first, and
 * then to answer 408 and close. */
static void expect_timeout(struct fixture *f, const char *text, const char *more, int64_t ms)
{
    bool closed = false;
    int fd = client_connect(f);
    client_say_and_wait(f, fd, text);
    fixture_advance(f, ms / 2);
    client_say_and_wait(f, fd, more);
    fixture_advance(f, ms - ms / 2 - 1);
    assert_false(client_heard(fd));
    client_say_and_wait(f, fd, more);
    fixture_advance(f, 1);
    char *answer = client_read_all(fd, 10000, &closed);
    assert_true(closed);
    assert_int_equal(status_of(answer), 408);
    pst_free(answer);
    (void)close(fd);
}

static void a_head_is_cut_by_an_absolute_deadline(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start_at_rest(&f, &small);
    expect_timeout(&f, "G", "E", small.head_ms);
    expect_timeout(&f, "GET /marker HTTP/1.1\r\nHost: a\r\nX-A: ", "x", small.head_ms);

    int fd =
        client_connect(&f); /* in time by a millisecond; and the next head has all of it again */
    for (int i = 0; i < 3; i++) {
        client_say_and_wait(&f, fd, "GET /marker HTTP/1.1\r\n");
        fixture_advance(&f, small.head_ms - 1);
        expect_answer(fd, "Host: a\r\n\r\n", 200);
    }
    (void)close(fd);
    fixture_stop(&f, 1000);
}

#define POST "POST /echo HTTP/1.1\r\nHost: a\r\n"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static void a_body_is_cut_by_the_minimum_rate_and_by_the_last_deadline(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start_at_rest(&f, &small); /* 1,000 bytes per second after 300 ms, 1,200 ms at most */
    expect_timeout(&f, POST "Content-Length: 1000\r\n\r\n", "x", small.body_grace_ms);
    expect_timeout(&f, POST "Content-Length: 1000\r\n\r\n" HUNDRED HUNDRED HUNDRED HUNDRED, "",
                   400);
    expect_timeout(&f, POST "Content-Length: 2000\r\n\r\n" THOUSAND HUNDRED HUNDRED HUNDRED,
                   HUNDRED, small.body_ms);
    expect_timeout(&f, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello", "",
                   small.body_grace_ms);
    expect_timeout(&f, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: ", "x",
                   small.body_grace_ms);
    fixture_stop(&f, 1000);
}

static void a_body_at_the_minimum_rate_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start_at_rest(&f, &small);
    int fd = client_connect(&f);
    client_say_and_wait(&f, fd, POST "Content-Length: 1000\r\n\r\n" HUNDRED HUNDRED HUNDRED);
    for (int i = 0; i < 6; i++) {
        fixture_advance(&f, i ? 100 : 299);
        assert_false(client_heard(fd));
        client_say_and_wait(&f, fd, HUNDRED);
    }
    fixture_advance(&f, 100);
    expect_answer(fd, HUNDRED, 200);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start_at_rest(&f, &small);
    for (int asks = 0; asks < 2; asks++) {
        bool closed = false;
        int fd = client_connect(&f);
        fixture_advance(&f, 0); /* accepted by now */
        if (asks) {
            fixture_advance(&f, small.idle_ms - 1);
            expect_answer(fd, GET, 200);
        }
        fixture_advance(&f, small.idle_ms - 1);
        assert_false(client_heard(fd));
        fixture_advance(&f, 1);
        char *answer = client_read_all(fd, 10000, &closed);
        assert_true(closed);
        assert_string_equal(answer, "");
        pst_free(answer);
        (void)close(fd);
    }
    fixture_stop(&f, 1000);
}

/* Take what has come, until it is at least want bytes or the server has closed. */
static size_t take(int fd, size_t want)
{
    char part[4096];
    size_t total = 0;
    ssize_t n = 0;
    while (total < want && (n = recv(fd, part, sizeof(part), 0)) > 0)
        total += (size_t)n;
    return total;
}

static void a_reader_that_stalls_is_cut_and_one_that_takes_enough_is_not(void **state)
{
    (void)state;
    enum { SPANS = 5, ENOUGH = 1 << 20 };
    struct fixture f;
    fixture_start_at_rest(&f, &small); /* 400 bytes each 400 ms */
    int fd = client_connect(&f);
    client_say(fd, "GET /stream?parts=100000 HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < SPANS; i++) {
        uint64_t sent = fixture_stats(&f).bytes_out;
        assert_int_equal(take(fd, ENOUGH) >= ENOUGH, 1);
        for (int k = 0; k < 10000 && fixture_stats(&f).bytes_out < sent + ENOUGH / 2; k++)
            pst_sleep_ms(1);
        fixture_advance(&f, small.write_ms);
        assert_int_equal(atomic_load(&f.released), 0);
    }
    fixture_advance(&f, small.write_ms - 1);
    assert_int_equal(atomic_load(&f.released), 0);
    fixture_advance(&f, 1);
    for (int i = 0; i < 3 && atomic_load(&f.released) == 0;
         i++) /* what went to the buffers counts */
        fixture_advance(&f, small.write_ms);
    assert_int_equal(atomic_load(&f.released), 1);
    errno = 0;
    (void)take(fd, SIZE_MAX);
    assert_int_equal(errno, ECONNRESET); /* nothing stays in the system's buffers */
    (void)close(fd);
    fixture_stop(&f, 1000);
}

static void who_does_not_close_after_a_refusal_is_closed_two_seconds_later(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start_at_rest(&f, &small);
    int fd = client_connect(&f);
    expect_answer(fd, "bad\r\n", 400);
    fixture_advance(&f, 1999);
    client_say_and_wait(&f, fd, "it is read and dropped");
    wait_for_connections(&f, 1);
    fixture_advance(&f, 1);
    wait_for_connections(&f, 0);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

static void a_suspended_request_is_continued_at_its_deadline(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start_at_rest(&f, &small);
    int fd = client_connect(&f);
    client_say_and_wait(&f, fd, "GET /wait?ms=5000 HTTP/1.1\r\nHost: a\r\n\r\n");
    fixture_advance(&f, 4999);
    assert_false(client_heard(fd));
    fixture_advance(&f, 1);
    char *answer = client_read_answer(fd, 10000);
    assert_string_equal(body_of(answer), "deadline");
    pst_free(answer);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

/* ---- how much is in hand at a time ---- */

static void what_is_in_hand_has_a_limit_and_small_bodies_always_go(void **state)
{
    (void)state;
    enum { MAX = 100000, HALF = 60000 };
    struct pst_server_limits limits = {.buffered_max = MAX};
    struct fixture f;
    fixture_start_at_rest(&f, &limits);
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1 << 20);
    pst_buf_add_lit(&b, POST "Content-Length: 60001\r\n\r\n");
    fill(&b, 'b', HALF);
    pst_buf_add_char(&b, '\0');
    int holder = client_connect(&f);
    client_say_and_wait(&f, holder, b.ptr);

    int fd = client_connect(&f); /* a second body of that size, and an answer */
    expect_answer(fd, b.ptr, 503);
    (void)close(fd);
    fd = client_connect(&f);
    expect_answer(fd, "GET /size/60000 HTTP/1.1\r\nHost: a\r\n\r\n", 503);
    expect_answer(fd, "GET /size/16384 HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    expect_answer(fd, POST "Content-Length: 10\r\n\r\n" TEN, 200);
    expect_answer(fd, "GET /size/30000 HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    (void)close(holder);
    fixture_advance(&f, 0);
    for (int i = 0; i < 5; i++) /* each is given back */
        expect_answer(fd, "GET /size/60000 HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    expect_answer(fd, "GET /size/100001 HTTP/1.1\r\nHost: a\r\n\r\n", 503);
    (void)close(fd);
    fixture_stop(&f, 1000);
}

/* ---- numbers of connections ---- */

static void more_connections_of_one_address_are_told_so(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, &small, 1);
    int fds[6];
    for (int i = 0; i < 4; i++) {
        fds[i] = client_connect(&f);
        expect_answer(fds[i], GET, 200);
    }
    bool closed = false;
    char *answer = ask(&f, "", 0, &closed); /* the fifth of one address */
    assert_int_equal(status_of(answer), 429);
    assert_true(closed);
    pst_free(answer);
    for (int i = 4; i < 6; i++) { /* local ones are not counted per address */
        fds[i] = client_connect_local(&f);
        client_say(fds[i], "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n");
        answer = client_read_answer(fds[i], 3000);
        char expected[32];
        (void)snprintf(expected, sizeof(expected), "uid %u", (unsigned)getuid());
        assert_string_equal(body_of(answer), expected);
        pst_free(answer);
    }
    for (int i = 0; i < 6; i++)
        (void)close(fds[i]);
    wait_for_connections(&f, 0);
    answer = ask(&f, "GET /peer HTTP/1.0\r\n\r\n", 22, &closed);
    assert_string_equal(body_of(answer), "address 127.0.0.1");
    pst_free(answer);
    fixture_stop(&f, 1000);
}

/* Idle ones give way, the one that has been so longest first; busy ones do not; the operator's
 * socket has places of its own. */
static void connections_beyond_the_limit_take_the_place_of_idle_ones(void **state)
{
    (void)state;
    enum { MAX = 4, SPARE = 16 };
    struct pst_server_limits limits = {.connections_max = MAX};
    struct fixture f;
    bool closed = false;
    int fds[MAX + SPARE + 1];
    fixture_start(&f, &limits, 1);
    for (int i = 0; i < MAX; i++) {
        fds[i] = client_connect(&f);
        expect_answer(fds[i], GET, 200);
    }
    expect_answer(fds[0], GET, 200); /* now the second is the oldest */
    int fd = client_connect(&f);
    expect_answer(fd, GET, 200);
    char *answer = client_read_all(fds[1], 3000, &closed);
    assert_true(closed);
    assert_string_equal(answer, "");
    pst_free(answer);
    (void)close(fds[1]);
    fds[1] = fd;

    for (int i = 0; i < MAX; i++)
        client_say_until_read(&f, fds[i], "G");
    for (int i = MAX; i < MAX + SPARE; i++) {
        fds[i] = client_connect_local(&f);
        expect_answer(fds[i], GET, 200);
        client_say_until_read(&f, fds[i], "G");
    }
    for (int local = 0; local < 2; local++) {
        fd = local ? client_connect_local(&f) : client_connect(&f);
        answer = client_read_all(fd, 3000, &closed);
        assert_int_equal(status_of(answer), 503);
        assert_true(closed);
        pst_free(answer);
        (void)close(fd);
    }
    for (int i = 0; i < MAX + SPARE; i++) {
        expect_answer(fds[i], GET + 1, 200);
        (void)close(fds[i]);
    }
    wait_for_connections(&f, 0);
    fixture_stop(&f, 1000);
}

/* Several are accepted in one turn: the first of them is not closed before its request was looked
 * at. */
static void a_new_connection_has_the_time_to_ask_before_it_makes_room(void **state)
{
    (void)state;
    struct fixture f;
    bool closed = false;
    fixture_start(&f, &(struct pst_server_limits){.connections_max = 1, .settle_ms = 60000}, 1);
    int first = client_connect(&f);
    int second = client_connect(&f);
    char *answer = client_read_all(second, 3000, &closed);
    assert_int_equal(status_of(answer), 503);
    pst_free(answer);
    expect_answer(first, GET, 200);
    (void)close(first);
    (void)close(second);
    fixture_stop(&f, 1000);

    fixture_start(&f, &(struct pst_server_limits){.connections_max = 1, .settle_ms = 1}, 1);
    first = client_connect(&f);
    wait_for_connections(&f, 1);
    pst_sleep_ms(20);
    second = client_connect(&f);
    expect_answer(second, GET, 200);
    answer = client_read_all(first, 3000, &closed);
    assert_true(closed);
    assert_string_equal(answer, "");
    pst_free(answer);
    (void)close(first);
    (void)close(second);
    fixture_stop(&f, 1000);
}

/* The process runs out of descriptors: who comes then is told or waits, and when some are free
 * again all goes on. */
static void running_out_of_descriptors_is_survived(void **state)
{
    (void)state;
    enum { SPARE = 12, CLIENTS = 30 };
    struct pst_server_limits limits = {.idle_ms = 20000};
    struct rlimit before;
    struct fixture f;
    int fds[CLIENTS];
    int served = 0;
    fixture_start(&f, &limits, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    (void)close(next);
    for (int i = 0; i < CLIENTS; i++) { /* the clients' ends are below the coming limit */
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
    }
    struct rlimit low = {.rlim_cur = (rlim_t)(next + CLIENTS + SPARE), .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int i = 0; i < CLIENTS; i++) {
        client_connect_fd(&f, fds[i]);
        client_say(fds[i], "GET /marker HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    pst_sleep_ms(300);
    for (int i = 0; i < CLIENTS; i++) {
        char *answer = client_read_answer(fds[i], 20);
        assert_non_null(answer);
        served += status_of(answer) == 200;
        pst_free(answer);
    }
    assert_in_range(served, SPARE - 2, SPARE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < CLIENTS; i++)
        (void)close(fds[i]);
    bool closed = false;
    char *answer = ask(&f, "GET /marker HTTP/1.0\r\n\r\n", 24, &closed);
    assert_int_equal(status_of(answer), 200);
    pst_free(answer);
    fixture_stop(&f, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_taken_up_to_their_limit_and_refused_beyond),
        cmocka_unit_test(a_routes_own_body_limit_holds_for_lengths_and_chunks),
        cmocka_unit_test(a_large_body_is_read_whole),
        cmocka_unit_test(a_head_is_cut_by_an_absolute_deadline),
        cmocka_unit_test(a_body_is_cut_by_the_minimum_rate_and_by_the_last_deadline),
        cmocka_unit_test(a_body_at_the_minimum_rate_is_taken),
        cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(a_reader_that_stalls_is_cut_and_one_that_takes_enough_is_not),
        cmocka_unit_test(who_does_not_close_after_a_refusal_is_closed_two_seconds_later),
        cmocka_unit_test(a_suspended_request_is_continued_at_its_deadline),
        cmocka_unit_test(what_is_in_hand_has_a_limit_and_small_bodies_always_go),
        cmocka_unit_test(more_connections_of_one_address_are_told_so),
        cmocka_unit_test(connections_beyond_the_limit_take_the_place_of_idle_ones),
        cmocka_unit_test(a_new_connection_has_the_time_to_ask_before_it_makes_room),
        cmocka_unit_test(running_out_of_descriptors_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
