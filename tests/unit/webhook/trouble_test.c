/* tests/unit/webhook/trouble_test.c: the dispatcher when something is wrong: with the store, with a
 * secret, with a receiver's answers and addresses; and its stops and starts. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"
#include "stage.h"

static int count(struct stage *s, int path)
{
    return atomic_load(&s->receiver.count[path]);
}

static void answer(struct stage *s, int path, int status)
{
    atomic_store(&s->receiver.status[path], status);
}

static int64_t delivered(struct stage *s)
{
    return stage_ask(s, PST_STR("SELECT count(*) FROM delivery WHERE status = 1"));
}

static int64_t attempts(struct stage *s)
{
    return stage_ask(s, PST_STR("SELECT count(*) FROM attempt"));
}

/* ---- stops and starts ---- */

static void a_start_takes_up_what_waits(void **state)
{
    struct stage *s = *state;
    enum { EACH = 20 };
    (void)stage_endpoint(s, 0, NULL);
    stage_run(s);
    for (int i = 0; i < EACH; i++)
        (void)stage_event(s, i % 3, i);
    stage_until(count(s, 0) > EACH / 2);
    stage_halt(s, 10000);
    /* What was answered is known, and the rest waits. */
    assert_int_equal(delivered(s), count(s, 0));
    for (int i = EACH; i < 2 * EACH; i++)
        (void)stage_event(s, i % 3, i);
    stage_run(s);
    stage_until(delivered(s) == 2 * EACH);
    assert_int_equal(count(s, 0), 2 * EACH);
}

static void a_stop_waits_for_answers_as_long_as_it_may(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    answer(s, 0, 0);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(count(s, 0) == 1);
    pst_hooks_stop(s->hooks, 20000);
    answer(s, 0, 200);
    stage_halt(s, 20000);
    assert_int_equal(delivered(s), 1);

    answer(s, 0, 0);
    stage_run(s);
    (void)stage_event(s, 0, 2);
    stage_until(count(s, 0) == 2);
    stage_halt(s, 1);
    assert_int_equal(delivered(s), 1);
    assert_int_equal(attempts(s), 1); /* nothing is held against anybody */
    answer(s, 0, 200);
    stage_run(s);
    stage_until(delivered(s) == 2);
    const struct received *q = receiver_get(&s->receiver, 0, 2);
    assert_string_equal(received_header(q, "penstock-attempt"), "1");
}

static void a_stop_before_a_run_is_kept(void **state)
{
    struct stage *s = *state;
    struct pst_err err;
    struct pst_hooks *h = NULL;
    assert_ok(pst_hooks_new(&h, &s->options, &err));
    pst_hooks_stop(h, 0);
    assert_ok(pst_hooks_run(h, &err));
    pst_hooks_free(h);
    pst_hooks_free(NULL);
}

/* ---- the store ---- */

static void outcomes_are_kept_while_the_store_refuses_them(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    stage_sql(s, PST_STR("ALTER TABLE attempt RENAME TO hidden")); /* every lot fails */
    stage_run(s);
    for (int i = 0; i < 100; i++)
        (void)stage_event(s, 0, i);
    /* It does not run ahead of what it can write. */
    stage_until(count(s, 0) == 32);
    stage_skip(s, 1.1);
    (void)stage_event(s, 1, 100); /* another lane */
    stage_until(count(s, 0) == 33);
    assert_int_equal(delivered(s), 0);
    stage_sql(s, PST_STR("ALTER TABLE hidden RENAME TO attempt"));
    stage_skip(s, 1.1);
    stage_until(delivered(s) == 101);
    assert_int_equal(count(s, 0), 101); /* nothing twice */
    assert_int_equal(attempts(s), 101);
}

static void a_stop_does_not_wait_for_a_store_that_refuses(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    stage_sql(s, PST_STR("ALTER TABLE attempt RENAME TO hidden")); /* every lot fails */
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(count(s, 0) == 1);
    stage_halt(s, 10000);
    stage_sql(s, PST_STR("ALTER TABLE hidden RENAME TO attempt"));
    stage_run(s);
    stage_until(delivered(s) == 1);
    assert_int_equal(count(s, 0), 2); /* at least once */
}

/* A job that the writer is at until it is let go, and so many behind it that there is no room. */
static atomic_bool is_held, is_holding;

static pst_code hold(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)conn;
    (void)arg;
    (void)err;
    atomic_store(&is_holding, true);
    while (atomic_load(&is_held))
        pst_sleep_ms(1);
    return PST_OK;
}

static void forget(struct pst_db_job *job)
{
    (void)job;
}

static void fill_writer(struct stage *s)
{
    enum { MANY = 300 }; /* 256 may wait */
    static struct pst_db_job jobs[MANY];
    struct pst_err err;
    size_t i = 0;
    atomic_store(&is_held, true);
    atomic_store(&is_holding, false);
    do {
        assert_true(i < MANY);
        jobs[i] = (struct pst_db_job){.fn = hold, .done = forget};
        stage_until(i != 1 || atomic_load(&is_holding));
    } while (pst_db_write_async(s->db, &jobs[i++], &err) == PST_OK);
}

static atomic_int looks; /* of the dispatcher at its clock */
static pst_mono (*true_mono)(void);

static pst_mono counted_mono(void)
{
    atomic_fetch_add(&looks, 1);
    return true_mono();
}

static void count_turns(struct stage *s)
{
    true_mono = s->options.mono;
    s->options.mono = counted_mono;
}

/* One that begins now has ended. */
static void pass_turns(struct stage *s)
{
    for (int i = 0; i < 3; i++) {
        int before = atomic_load(&looks);
        stage_skip(s, 0.001);
        stage_until(atomic_load(&looks) > before);
    }
}

static void a_stop_waits_for_room_to_write(void **state)
{
    struct stage *s = *state;
    struct pst_hooks_stats stats;
    count_turns(s);
    (void)stage_endpoint(s, 0, NULL);
    answer(s, 0, 0);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(count(s, 0) == 1);
    fill_writer(s);
    stage_freeze(s);
    answer(s, 0, 200);
    stage_until((pst_hooks_stats(s->hooks, &stats), stats.delivered) == 1);
    stage_skip(s, 0.01); /* enough to be handed on, which fails */
    pass_turns(s);
    pst_hooks_stop(s->hooks, 0);
    atomic_store(&is_held, false);
    stage_halt(s, 0);
    assert_int_equal(delivered(s), 1);
}

static void nothing_overtakes_an_event_whose_end_is_not_written(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    (void)stage_event(s, 0, 1);
    (void)stage_event(s, 0, 2);
    stage_sql(s, PST_STR("UPDATE delivery SET refused_status = 422, refused_count = 7,"
                         " refused_since = 0 WHERE pk = 1"));
    stage_sql(s, PST_STR("ALTER TABLE attempt RENAME TO hidden")); /* every lot fails */
    answer(s, 0, 422);
    stage_run(s);
    stage_until(count(s, 0) == 1);
    (void)stage_event(s, 1, 3); /* another lane */
    stage_until(count(s, 0) == 2);
    assert_non_null(strstr(receiver_get(&s->receiver, 0, 1)->body, "\"n\":3"));
    stage_halt(s, 0); /* as a crash: it is not known that the first was given up */
    stage_sql(s, PST_STR("ALTER TABLE hidden RENAME TO attempt"));
    answer(s, 0, 200);
    stage_run(s);
    stage_until(delivered(s) == 3);
    assert_int_equal(count(s, 0), 5);
}

/* On the dispatcher's thread: an attempt's end asks for the time before it needs memory. */
static pst_wall (*true_wall)(void);
static atomic_long fail_at;
static atomic_bool has_failed;

static pst_wall wall_before_a_failure(void)
{
    long n = atomic_load(&fail_at);
    if (n >= 0 && pst_alloc_failed()) {
        atomic_store(&has_failed, true);
        atomic_store(&fail_at, n = -1);
    }
    pst_alloc_fail_at(n);
    return true_wall();
}

/* The n-th allocation of the end of the attempt fails by which the endpoint is disabled. */
static bool disable_without_memory(struct stage *s, long n)
{
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    int before = count(s, 0);
    answer(s, 0, 0);
    (void)stage_event(s, 0, 1);
    stage_run(s); /* with nothing in memory yet */
    stage_until(count(s, 0) == before + 1);
    atomic_store(&has_failed, false);
    atomic_store(&fail_at, n);
    answer(s, 0, 410);
    stage_until(!pst_wall_is_none(stage_get(s, e.pk).health.disabled_at));
    atomic_store(&fail_at, -1);
    stage_halt(s, 0);
    return atomic_load(&has_failed);
}

static void an_endpoint_is_disabled_without_memory(void **state)
{
    struct stage *s = *state;
    long n = 0;
    true_wall = s->options.wall;
    atomic_store(&fail_at, -1);
    s->options.wall = wall_before_a_failure;
    while (disable_without_memory(s, n))
        n++;
    assert_true(n > 2);
}

static void a_lane_is_read_as_far_as_it_goes(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    for (int i = 0; i < 500; i++)
        (void)stage_event(s, i % 40, i);
    stage_run(s);
    stage_until(delivered(s) == 500);
    struct pst_hooks_stats stats;
    stage_until((pst_hooks_stats(s->hooks, &stats), stats.lanes) == 0);
    assert_int_equal(stats.endpoints, 1); /* idle, and kept for a while */
    assert_int_equal(stats.in_flight, 0);
}

static void be_loose(struct pst_endpoint *e)
{
    e->ordered = false;
}

static void large_events_of_one_endpoint_hide_no_other(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, be_loose);
    for (int i = 0; i < 4; i++)
        (void)stage_event(s, 0, i);
    stage_sql(s, PST_STR("UPDATE event SET body = '{\"x\":\"' || hex(zeroblob(400000)) || '\"}'"));
    (void)stage_endpoint(s, 1, NULL);
    answer(s, 0, 500);
    (void)stage_event(s, 1, 9); /* for both */
    stage_run(s);
    stage_until(count(s, 1) == 1);
}

static void what_cannot_be_read_hides_no_other(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    (void)stage_event(s, 0, 1);
    (void)stage_endpoint(s, 1, NULL);
    (void)stage_event(s, 0, 2); /* for both */
    stage_sql(s, PST_STR("UPDATE endpoint SET signing = 'of tomorrow' WHERE pk = 1"));
    stage_run(s);
    stage_until(delivered(s) == 1); /* the sweep finds what is behind it */
    (void)stage_event(s, 0, 3);
    stage_until(delivered(s) == 2); /* and so do news */
    assert_int_equal(count(s, 0), 0);
    assert_int_equal(count(s, 1), 2);
}

/* ---- secrets ---- */

static void damage_secrets(struct pst_endpoint *e)
{
    e->secrets = PST_STR("damaged");
}

static void a_secret_that_cannot_be_opened_stops_its_endpoint_only(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, damage_secrets);
    (void)stage_endpoint(s, 1, NULL);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    (void)stage_event(s, 1, 2);
    stage_until(delivered(s) == 2);
    stage_skip(s, 61);
    (void)stage_event(s, 0, 3);
    stage_until(delivered(s) == 3);
    assert_int_equal(count(s, 0), 0);
    assert_int_equal(stage_get(s, e.pk).health.failures, 0);
}

/* ---- answers ---- */

static void of_an_answer_its_beginning_is_kept(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    answer(s, 0, 200);
    const size_t sizes[] = {0, 100, 4096, 4097, 65536, 65537, 1 << 20};
    stage_run(s);
    for (size_t i = 0; i < PST_COUNT(sizes); i++) {
        atomic_store(&s->receiver.body_bytes[0], sizes[i]);
        (void)stage_event(s, 0, 1);
        stage_until(delivered(s) == (int64_t)i + 1);
        int64_t kept = stage_ask(s, PST_STR("SELECT length(response) FROM attempt"
                                            " ORDER BY delivery_pk DESC LIMIT 1"));
        assert_int_equal(kept, sizes[i] < 4096 ? sizes[i] : 4096);
    }
}

static void a_redirect_is_a_failure(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    atomic_store(&s->receiver.headers[0], "Location: /5\r\n");
    answer(s, 0, 307);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 1);
    assert_int_equal(count(s, 5), 0);
    assert_str(stage_get(s, e.pk).health.last_error,
               "the receiver answered with status 307; redirects are not followed");
}

static void retry_after_is_kept(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    atomic_store(&s->receiver.headers[0], "Retry-After: 600\r\n");
    answer(s, 0, 429);
    stage_run(s);
    pst_wall before = stage_now(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 1);
    int64_t due = stage_ask(s, PST_STR("SELECT due_at FROM delivery"));
    assert_true(due - before.us >= 600 * PST_US_PER_S &&
                due <= stage_now(s).us + 600 * PST_US_PER_S);
}

static void shorten_timeout(struct pst_endpoint *e)
{
    e->timeout_ms = 50;
}

static void an_answer_that_does_not_come_is_a_failure(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, shorten_timeout);
    answer(s, 0, 0);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 1);
    pst_str words = stage_get(s, e.pk).health.last_error;
    assert_non_null(strstr(words.ptr, "waiting with '127.0.0.1' failed"));
    assert_true(stage_ask(s, PST_STR("SELECT due_at FROM delivery")) >=
                stage_now(s).us + 50 * PST_US_PER_S);
    struct pst_hooks_stats stats;
    pst_hooks_stats(s->hooks, &stats);
    assert_int_equal(stats.unreachable, 1);
}

/* ---- addresses ---- */

static bool allows_none(void *self, const struct pst_address *address, const char **why)
{
    (void)self;
    (void)address;
    *why = "a private address";
    return false;
}

static void an_address_that_is_not_allowed_is_the_endpoints_failure(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    s->options.allows = allows_none;
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 1);
    assert_int_equal(atomic_load(&s->receiver.total), 0);
    pst_str words = stage_get(s, e.pk).health.last_error;
    assert_true(pst_str_starts(words, PST_STR("the receiver cannot be reached")));
    assert_int_equal(stage_get(s, e.pk).health.failures, 1);
}

static void nobody_there(struct pst_endpoint *e)
{
    e->url = PST_STR("http://127.0.0.1:1/");
}

static void unknown_name(struct pst_endpoint *e)
{
    e->url = PST_STR("http://no-such-name.invalid/");
}

static void forbidden_address(struct pst_endpoint *e)
{
    e->url = PST_STR("http://127.0.0.2:1/");
}

static bool allows_one(void *self, const struct pst_address *address, const char **why)
{
    (void)self;
    *why = "a private address";
    return address->ip[15] == 1;
}

/* To the users of an organization; what it was is in the log. */
static void refused_unknown_and_silent_addresses_look_alike(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, nobody_there);
    (void)stage_endpoint(s, 1, unknown_name);
    (void)stage_endpoint(s, 2, forbidden_address);
    s->options.allows = allows_one;
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 3);
    assert_int_equal(stage_ask(s, PST_STR("SELECT count(DISTINCT error) FROM attempt")), 1);
    assert_int_equal(stage_ask(s, PST_STR("SELECT count(DISTINCT last_error) FROM endpoint")), 1);
    assert_int_equal(
        stage_ask(s, PST_STR("SELECT count(*) FROM attempt"
                             " WHERE error LIKE '%127.0.0.%' OR error LIKE '%.invalid%'")),
        0);
}

static void plain_http_needs_the_operators_leave(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    s->options.allow_http = false;
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 1);
    assert_int_equal(atomic_load(&s->receiver.total), 0);
    assert_str(stage_get(s, e.pk).health.last_error, "'127.0.0.1': only https is allowed");
}

/* ---- the system ---- */

static atomic_int refused_adds; /* how many more */

/* In place of the C library's. */
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_ADD && atomic_load(&refused_adds) > 0) {
        atomic_fetch_sub(&refused_adds, 1);
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

static atomic_bool refuses_waits;

/* In place of the C library's. */
int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
    if (!atomic_load(&refuses_waits))
        return epoll_pwait(epoll, events, max, timeout_ms, NULL);
    errno = EBADF;
    return -1;
}

static void nothing_is_in_flight_behind_a_dispatcher_that_fails(void **state)
{
    struct stage *s = *state;
    struct pst_hooks_stats stats;
    count_turns(s);
    (void)stage_endpoint(s, 0, NULL);
    answer(s, 0, 0);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(count(s, 0) == 1);
    pst_hooks_stop(s->hooks, 20000);
    pass_turns(s); /* it waits for the answer */
    atomic_store(&refuses_waits, true);
    stage_skip(s, 0.001);
    pst_thread_join(s->dispatcher);
    s->dispatcher = NULL;
    atomic_store(&refuses_waits, false);
    pst_hooks_stats(s->hooks, &stats);
    stage_sql(s, PST_STR("SELECT 1"));
    pst_hooks_free(s->hooks);
    s->hooks = NULL;
    assert_int_equal(s->ended, PST_E_INTERNAL);
    assert_int_equal(stats.in_flight, 0);
}

static void a_socket_that_cannot_be_waited_for_fails_its_attempt_only(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    stage_run(s);
    atomic_store(&refused_adds, 1);
    (void)stage_event(s, 0, 1);
    stage_until(atomic_load(&refused_adds) == 0);
    (void)stage_event(s, 1, 2);
    stage_until(delivered(s) == 1);
    stage_skip(s, 1.1); /* trouble of our own: soon again */
    stage_until(delivered(s) == 2);
    assert_int_equal(stage_get(s, e.pk).health.failures, 0);
    assert_int_equal(attempts(s), 2);
}

/* ---- many at once ---- */

static void hanging_receivers_hold_up_nobody(void **state)
{
    struct stage *s = *state;
    enum { HANGING = 7 }; /* an organization has eight of sixteen */
    for (int i = 0; i < HANGING; i++)
        (void)stage_endpoint(s, 0, NULL);
    (void)stage_endpoint(s, 1, NULL);
    answer(s, 0, 0);
    s->options.in_flight = 4;
    stage_run(s);
    for (int i = 0; i < 20; i++)
        (void)stage_event(s, i, i);
    /* Those that take longer than a second do not count; a second of the dispatcher's clock. */
    for (int i = 0; i < 10 && count(s, 1) < 20; i++) {
        stage_skip(s, 1.1);
        (void)stage_event(s, 20 + i, 100);
        pst_sleep_ms(1);
    }
    stage_until(count(s, 1) >= 20);
    assert_true(count(s, 0) <= HANGING);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_start_takes_up_what_waits),
        TEST(a_stop_waits_for_answers_as_long_as_it_may),
        TEST(a_stop_before_a_run_is_kept),
        TEST(outcomes_are_kept_while_the_store_refuses_them),
        TEST(a_stop_does_not_wait_for_a_store_that_refuses),
        TEST(a_stop_waits_for_room_to_write),
        TEST(nothing_overtakes_an_event_whose_end_is_not_written),
        TEST(an_endpoint_is_disabled_without_memory),
        TEST(a_lane_is_read_as_far_as_it_goes),
        TEST(large_events_of_one_endpoint_hide_no_other),
        TEST(what_cannot_be_read_hides_no_other),
        TEST(a_secret_that_cannot_be_opened_stops_its_endpoint_only),
        TEST(of_an_answer_its_beginning_is_kept),
        TEST(a_redirect_is_a_failure),
        TEST(retry_after_is_kept),
        TEST(an_answer_that_does_not_come_is_a_failure),
        TEST(an_address_that_is_not_allowed_is_the_endpoints_failure),
        TEST(refused_unknown_and_silent_addresses_look_alike),
        TEST(plain_http_needs_the_operators_leave),
        TEST(a_socket_that_cannot_be_waited_for_fails_its_attempt_only),
        TEST(nothing_is_in_flight_behind_a_dispatcher_that_fails),
        TEST(hanging_receivers_hold_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
