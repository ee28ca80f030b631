/* tests/unit/webhook/change_test.c: what becomes of attempts that are under way when a user changes
 * their endpoint, and of what waits when one is switched on again. */
#include "os/clock.h"
#include "stage.h"
#include "store/store.h"

/* What edits of endpoints take their values from. */
static pst_str sealed;
static char url[64];

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

static void change_url(struct pst_endpoint *x)
{
    x->url = pst_str_from(url);
}

/* An event is under way to path 0 when the endpoint moves to path 3; the dispatcher knows. */
static void move_while_under_way(struct stage *s, const struct pst_endpoint *e,
                                 void (*edit)(struct pst_endpoint *x))
{
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/3", (unsigned)s->receiver.port);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(delivered(s) == 1); /* trusted with two at once from now on */
    answer(s, 0, 0);
    (void)stage_event(s, 0, 2);
    stage_until(count(s, 0) == 2);
    stage_update(s, e->pk, edit);
    (void)stage_event(s, 1, 3);
    stage_until(count(s, 3) == 1);
}

static void time_out(struct pst_endpoint *x)
{
    x->timeout_ms = 1000;
}

static void an_answer_of_the_old_receiver(struct stage *s, int status,
                                          void (*edit)(struct pst_endpoint *x))
{
    struct pst_endpoint e = stage_endpoint(s, 0, edit);
    move_while_under_way(s, &e, change_url);
    answer(s, 0, status);
    stage_until(delivered(s) == 3); /* at once, also what the old one refused */
    assert_int_equal(count(s, 3), 2);
    assert_int_equal(attempts(s), 4);
    e = stage_get(s, e.pk);
    assert_true(pst_wall_is_none(e.health.disabled_at) && pst_wall_is_none(e.health.failing_since));
    assert_int_equal(e.health.failures, 0);
    assert_int_equal(
        stage_ask(s, PST_STR("SELECT count(*) FROM event WHERE type = 'system.error'")), 0);
}

static void the_old_receiver_is_gone(void **state)
{
    an_answer_of_the_old_receiver(*state, 410, NULL);
}

static void the_old_receiver_fails(void **state)
{
    an_answer_of_the_old_receiver(*state, 500, NULL);
}

static void the_old_receiver_refuses(void **state)
{
    an_answer_of_the_old_receiver(*state, 404, NULL);
}

static void the_old_receiver_slows_down(void **state)
{
    struct stage *s = *state;
    atomic_store(&s->receiver.headers[0], "Retry-After: 7200\r\n");
    an_answer_of_the_old_receiver(s, 429, NULL);
}

static void the_old_receiver_is_silent(void **state)
{
    an_answer_of_the_old_receiver(*state, 0, time_out);
}

/* For the eighth time and over more than an hour, which would be the end. */
static void what_the_old_receiver_refused_for_good_goes_to_the_new_one(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/3", (unsigned)s->receiver.port);
    (void)stage_event(s, 0, 1);
    stage_sql(s, PST_STR("UPDATE delivery SET attempts = 7, tries = 7, refused_count = 7,"
                         " refused_status = 404, first_try_at = due_at - 7200000000,"
                         " refused_since = due_at - 7200000000, due_at = due_at + 60000000"));
    stage_run(s);
    (void)stage_event(s, 1, 2);
    stage_until(delivered(s) == 1); /* trusted with two at once from now on */
    answer(s, 0, 0);
    stage_skip(s, 61);
    stage_until(count(s, 0) == 2);
    stage_update(s, e.pk, change_url);
    (void)stage_event(s, 2, 3);
    stage_until(count(s, 3) == 1);
    answer(s, 3, 404);
    answer(s, 0, 404);
    stage_until(attempts(s) == 4);
    assert_int_equal(stage_ask(s, PST_STR("SELECT status FROM delivery WHERE tries > 2")),
                     PST_DELIVERY_WAITING); /* the new one's first refusal */
    assert_int_equal(stage_ask(s, PST_STR("SELECT refused_count FROM delivery WHERE tries > 2")),
                     1);
}

/* The old receiver has answered, and that is not written yet. */
static pst_code move_behind_an_answer(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct stage *s = arg;
    struct pst_hooks_stats stats;
    struct pst_endpoint e;
    answer(s, 0, 500);
    stage_until((pst_hooks_stats(s->hooks, &stats), stats.attempts) == 1);
    PST_TRY(pst_endpoints_get_pk(conn, 1, s->arena, &e, err));
    change_url(&e);
    return pst_endpoints_update(conn, &e, stage_now(s), err);
}

static void an_answer_that_is_written_after_the_move_is_the_old_ones(void **state)
{
    struct stage *s = *state;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/3", (unsigned)s->receiver.port);
    assert_int_equal(stage_endpoint(s, 0, NULL).pk, 1);
    answer(s, 0, 0);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(count(s, 0) == 1);
    assert_int_equal(stage_write(s, move_behind_an_answer, s), PST_OK);
    stage_until(delivered(s) == 1);
    assert_int_equal(count(s, 3), 1);
}

/* Paused, each lane waiting: none of it is the new receiver's. */
static void at_a_new_url_all_lanes_go_on_at_once(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    enum { LANES = 10 };
    answer(s, 0, 503);
    stage_run(s);
    for (int i = 0; i < LANES; i++)
        (void)stage_event(s, i, i);
    stage_until(!pst_wall_is_none(stage_get(s, e.pk).health.open_since));
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/3", (unsigned)s->receiver.port);
    stage_update(s, e.pk, change_url);
    stage_until(delivered(s) == LANES);
    assert_int_equal(count(s, 3), LANES);
    assert_true(pst_wall_is_none(stage_get(s, e.pk).health.failing_since));
}

static void take_headers(struct pst_endpoint *x)
{
    x->headers = sealed;
}

static void change_url_and_headers(struct pst_endpoint *x)
{
    change_url(x);
    x->headers = (pst_str){0};
}

static int64_t leaks(struct stage *s)
{
    return stage_ask(s, PST_STR("SELECT count(*) FROM attempt"
                                " WHERE instr(CAST(response AS TEXT), 'xxxxxx')"));
}

static void an_echo_of_an_old_header_is_not_kept(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    sealed = stage_seal(s, &e, PST_STR("headers"), PST_STR("{\"X-Key\":\"xxxxxxxxxxxx\"}"));
    stage_update(s, e.pk, take_headers);
    atomic_store(&s->receiver.body_bytes[0], 24); /* of 'x' */
    answer(s, 0, 200);
    move_while_under_way(s, &e, change_url_and_headers);
    assert_int_equal(leaks(s), 0);
    answer(s, 0, 500);
    stage_until(attempts(s) == 3);
    assert_int_equal(leaks(s), 0);
}

/* The attempt that opens the breaker, whose secrets are closed then. */
static void an_echo_is_not_kept_when_the_secrets_are_closed(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    sealed = stage_seal(s, &e, PST_STR("headers"), PST_STR("{\"X-Key\":\"xxxxxxxxxxxx\"}"));
    stage_update(s, e.pk, take_headers);
    atomic_store(&s->receiver.body_bytes[0], 24);
    answer(s, 0, 500);
    stage_run(s);
    for (int i = 0; i < 10; i++)
        (void)stage_event(s, i, i);
    stage_until(attempts(s) == 10);
    assert_false(pst_wall_is_none(stage_get(s, e.pk).health.open_since));
    assert_int_equal(leaks(s), 0);
    assert_int_equal(stage_ask(s, PST_STR("SELECT min(length(response)) FROM attempt")), 24);
}

static void without_headers_the_old_receivers_answer_is_kept(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    atomic_store(&s->receiver.body_bytes[0], 24);
    answer(s, 0, 200);
    move_while_under_way(s, &e, change_url);
    answer(s, 0, 500);
    stage_until(delivered(s) == 3);
    assert_int_equal(stage_ask(s, PST_STR("SELECT count(*) FROM attempt WHERE status = 500"
                                          " AND length(response) = 24")),
                     1);
}

/* The first 410 closes the secrets. */
static void without_headers_answers_are_kept_when_the_secrets_are_closed(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    enum { LANES = 4 };
    stage_run(s);
    for (int i = 0; i < LANES; i++)
        (void)stage_event(s, i, i);
    stage_until(delivered(s) == LANES);
    atomic_store(&s->receiver.body_bytes[0], 24);
    answer(s, 0, 0);
    for (int i = 0; i < LANES; i++)
        (void)stage_event(s, i, i);
    stage_until(count(s, 0) == 2 * LANES);
    answer(s, 0, 410);
    stage_until(attempts(s) == 2 * LANES);
    assert_int_equal(stage_ask(s, PST_STR("SELECT count(*) FROM attempt WHERE status = 410"
                                          " AND length(response) = 24")),
                     LANES);
}

static void describe(struct pst_endpoint *x)
{
    x->description = PST_STR("changed");
}

static void be_loose(struct pst_endpoint *x)
{
    x->ordered = false;
}

/* The receiver is the same: what it says holds. */
static void another_change_hastens_nothing(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(delivered(s) == 1);
    answer(s, 0, 0);
    (void)stage_event(s, 0, 2);
    stage_until(count(s, 0) == 2);
    stage_update(s, e.pk, describe);
    (void)stage_event(s, 1, 3);
    stage_until(count(s, 0) == 3); /* the dispatcher knows */
    answer(s, 0, 500);
    stage_until(attempts(s) == 3);
    assert_int_equal(stage_ask(s, PST_STR("SELECT count(*) FROM delivery"
                                          " WHERE due_at - created_at > 20000000")),
                     2);
}

static void what_waits_loose_does_not_wait_for_what_is_under_way(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, be_loose);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(delivered(s) == 1); /* trusted with two at once from now on */
    answer(s, 0, 0);
    (void)stage_event(s, 0, 2);
    stage_until(count(s, 0) == 2);
    stage_update(s, e.pk, describe);
    (void)stage_event(s, 0, 3);
    stage_until(count(s, 0) == 3);
}

static void only_the_lanes_of_what_changed_are_looked_at_again(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    struct pst_endpoint e = stage_endpoint(s, 1, NULL);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(delivered(s) == 2);
    /* They wait again, and nobody is told ... */
    stage_sql(s, PST_STR("UPDATE delivery SET status = 0, tries = 0, ended_at = NULL"));
    stage_update(s, e.pk, describe); /* ... but of this one */
    stage_until(delivered(s) > 0);
    assert_int_equal(count(s, 0), 1);
    assert_int_equal(count(s, 1), 2);
}

/* More changes at once than are told one by one. */
static void of_many_changes_none_is_missed(void **state)
{
    struct stage *s = *state;
    enum { MANY = 100 };
    int64_t pks[MANY];
    for (int i = 0; i < MANY; i++)
        pks[i] = stage_endpoint(s, 0, NULL).pk;
    (void)stage_event(s, 0, 1);
    s->options.in_flight = 16;
    stage_run(s);
    stage_until(delivered(s) == MANY);
    stage_sql(s, PST_STR("UPDATE delivery SET status = 0, tries = 0, ended_at = NULL"));
    for (int i = 0; i < MANY; i++)
        pst_hooks_on_commit(s->hooks, pst_topic_endpoint(pks[i]));
    stage_until(delivered(s) == MANY);
    assert_int_equal(count(s, 0), 2 * MANY);
}

/* The success is with the dispatcher only when a user's change reads the health from the store. */
static void a_success_counts_though_a_user_changes_the_endpoint(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    answer(s, 0, 503);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 1);
    assert_false(pst_wall_is_none(stage_get(s, e.pk).health.failing_since));
    answer(s, 0, 0);
    (void)stage_event(s, 1, 2);
    stage_until(count(s, 0) == 2);
    stage_sql(s, PST_STR("UPDATE endpoint SET version = version + 1")); /* nobody is told ... */
    answer(s, 0, 200);
    stage_until(delivered(s) == 1);
    assert_false(pst_wall_is_none(stage_get(s, e.pk).health.failing_since));
    stage_update(s, e.pk, describe); /* ... until now */
    stage_until(pst_wall_is_none(stage_get(s, e.pk).health.failing_since));
    assert_int_equal(stage_get(s, e.pk).health.failures, 0);
}

/* ---- switched off and on ---- */

static void switch_off(struct pst_endpoint *x)
{
    x->enabled = false;
}

static void switch_on(struct pst_endpoint *x)
{
    x->enabled = true;
    x->health.disabled_at = PST_WALL_NONE;
}

static void all_lanes_go_on_at_once(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    enum { LANES = 8 };
    answer(s, 0, 404);
    stage_run(s);
    for (int i = 0; i < LANES; i++)
        (void)stage_event(s, i, i);
    stage_until(attempts(s) == LANES); /* each has to wait half a minute */
    stage_update(s, e.pk, switch_off);
    answer(s, 0, 200);
    stage_update(s, e.pk, switch_on);
    stage_until(delivered(s) == LANES);
}

static void an_answer_of_before_it_was_off_says_nothing(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(delivered(s) == 1);
    answer(s, 0, 0);
    (void)stage_event(s, 0, 2);
    stage_until(count(s, 0) == 2);
    stage_update(s, e.pk, switch_off);
    stage_update(s, e.pk, switch_on);
    (void)stage_event(s, 1, 3);
    stage_until(count(s, 0) == 3); /* the dispatcher knows */
    answer(s, 0, 500);
    stage_until(attempts(s) == 4);
    assert_int_equal(stage_ask(s, PST_STR("SELECT max(attempts) FROM delivery")), 2);
}

/* More than one commit takes, each in an hour. */
enum { BACKLOG = 1050 };

static void have_backlog(struct stage *s)
{
    for (int i = 0; i < BACKLOG; i++)
        (void)stage_event(s, 0, i);
    stage_sql(s, PST_STR("UPDATE delivery SET due_at = due_at + 3600000000"));
}

static void a_long_loose_backlog_goes_to_the_new_receiver_at_once(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, be_loose);
    struct pst_hooks_stats stats;
    have_backlog(s);
    stage_run(s);
    stage_until((pst_hooks_stats(s->hooks, &stats), stats.lanes) == 1);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/3", (unsigned)s->receiver.port);
    stage_update(s, e.pk, change_url);
    stage_until(delivered(s) == BACKLOG);
    assert_int_equal(count(s, 3), BACKLOG);
}

/* Of the endpoints that are off only some are kept in memory. */
static void a_long_loose_backlog_of_an_endpoint_that_is_not_in_memory(void **state)
{
    struct stage *s = *state;
    enum { IDLE = 256 };
    struct pst_endpoint e = stage_endpoint(s, 0, be_loose);
    struct pst_hooks_stats stats;
    have_backlog(s);
    for (int i = 0; i < IDLE; i++)
        (void)stage_endpoint(s, 1, NULL);
    (void)stage_event(s, 1, BACKLOG);
    stage_sql(s, PST_STR("UPDATE endpoint SET enabled = 0"));
    stage_run(s);
    stage_until((pst_hooks_stats(s->hooks, &stats), stats.endpoints) == IDLE);
    stage_update(s, e.pk, switch_on);
    stage_until(delivered(s) == BACKLOG + 1);
}

static void shorten_horizon(struct pst_endpoint *x)
{
    x->horizon_ms = 3600 * 1000;
}

static void the_time_of_events_stands_still_while_it_is_off(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, shorten_horizon);
    answer(s, 0, 503);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 1);
    stage_update(s, e.pk, switch_off);
    stage_skip(s, 2 * 3600);
    stage_update(s, e.pk, switch_on);
    stage_until(attempts(s) == 2);
    assert_int_equal(stage_ask(s, PST_STR("SELECT status FROM delivery")), PST_DELIVERY_WAITING);
    stage_skip(s, 3600);
    stage_until(attempts(s) == 3);
    assert_int_equal(stage_ask(s, PST_STR("SELECT status FROM delivery")), PST_DELIVERY_FAILED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_old_receiver_is_gone),
        TEST(the_old_receiver_fails),
        TEST(the_old_receiver_refuses),
        TEST(the_old_receiver_slows_down),
        TEST(the_old_receiver_is_silent),
        TEST(what_the_old_receiver_refused_for_good_goes_to_the_new_one),
        TEST(an_answer_that_is_written_after_the_move_is_the_old_ones),
        TEST(without_headers_the_old_receivers_answer_is_kept),
        TEST(without_headers_answers_are_kept_when_the_secrets_are_closed),
        TEST(another_change_hastens_nothing),
        TEST(an_answer_of_before_it_was_off_says_nothing),
        TEST(a_long_loose_backlog_goes_to_the_new_receiver_at_once),
        TEST(a_long_loose_backlog_of_an_endpoint_that_is_not_in_memory),
        TEST(at_a_new_url_all_lanes_go_on_at_once),
        TEST(an_echo_of_an_old_header_is_not_kept),
        TEST(an_echo_is_not_kept_when_the_secrets_are_closed),
        TEST(a_success_counts_though_a_user_changes_the_endpoint),
        TEST(what_waits_loose_does_not_wait_for_what_is_under_way),
        TEST(only_the_lanes_of_what_changed_are_looked_at_again),
        TEST(of_many_changes_none_is_missed),
        TEST(all_lanes_go_on_at_once),
        TEST(the_time_of_events_stands_still_while_it_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
