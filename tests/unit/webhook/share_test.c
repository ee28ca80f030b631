/* tests/unit/webhook/share_test.c: who gets how much of the dispatcher: samples, slow receivers,
 * organizations. */
#include "os/clock.h"
#include "os/rand.h"
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

/* Another endpoint gets an event: what could be sent before it was. */
static void pass_turn(struct stage *s, int path)
{
    int before = count(s, path);
    (void)stage_event(s, STAGE_CONNECTIONS - 1, 1000);
    stage_until(count(s, path) > before);
}

static void want_nothing(struct pst_endpoint *e)
{
    e->events = PST_STR("");
}

/* ---- samples ---- */

struct samples {
    struct stage *s;
    int64_t endpoint_pk;
    int count;
};

static pst_code add_samples(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct samples *x = arg;
    for (int i = 0; i < x->count; i++) {
        struct pst_delivery d;
        struct pst_event e = {
            .id = pst_rand_id("evt_"),
            .organization_pk = x->s->org.pk,
            .type = PST_STR("sync.completed"),
            .at = stage_now(x->s),
            .is_sample = true,
            .body = PST_STR("{}"),
        };
        PST_TRY(pst_events_add(conn, &e, err));
        PST_TRY(pst_deliveries_add_sample(conn, x->endpoint_pk, e.pk, e.at, &d, err));
    }
    return PST_OK;
}

static void samples_have_a_bound(void **state)
{
    struct stage *s = *state;
    enum { SAMPLES = 30 };
    struct pst_endpoint e = stage_endpoint(s, 0, want_nothing);
    (void)stage_endpoint(s, 1, NULL);
    struct samples x = {s, e.pk, SAMPLES};
    answer(s, 0, 0);
    stage_run(s);
    pass_turn(s, 1); /* it runs: what comes now is news to it */
    assert_int_equal(stage_write(s, add_samples, &x), PST_OK);
    /* Four that wait for nothing, and one as any delivery. */
    stage_until(count(s, 0) == 5);
    pass_turn(s, 1);
    assert_int_equal(count(s, 0), 5);
    assert_int_equal(stage_write(s, add_samples, &x), PST_OK);
    pass_turn(s, 1);
    assert_int_equal(count(s, 0), 5);
    answer(s, 0, 200);
    stage_until(delivered(s) == 2 * SAMPLES + 3);
    assert_int_equal(count(s, 0), 2 * SAMPLES);
}

/* One more than wait for nothing. */
static void samples_that_hang_hold_up_no_other_after_a_start(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, want_nothing);
    struct samples x = {s, e.pk, 5};
    assert_int_equal(stage_write(s, add_samples, &x), PST_OK);
    answer(s, 0, 0);
    stage_run(s);
    stage_until(count(s, 0) == 5);
}

static void samples_take_no_room_that_is_not_there(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, want_nothing);
    struct samples x = {s, e.pk, 10};
    s->options.in_flight = 2;
    answer(s, 0, 0);
    stage_run(s);
    assert_int_equal(stage_write(s, add_samples, &x), PST_OK);
    stage_until(count(s, 0) == 2);
    struct pst_hooks_stats stats;
    for (int i = 0; i < 20; i++) {
        (void)stage_event(s, 0, i); /* turns */
        pst_hooks_stats(s->hooks, &stats);
        assert_true(stats.in_flight <= 2);
    }
    answer(s, 0, 200);
    stage_until(delivered(s) == 10);
}

/* ---- slow receivers ---- */

static void be_unordered(struct pst_endpoint *e)
{
    e->ordered = false;
}

static void a_slow_success_is_trusted_with_one_at_a_time(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, be_unordered);
    (void)stage_endpoint(s, 1, NULL);
    stage_run(s);
    for (int i = 0; i < 20; i++)
        (void)stage_event(s, i, i);
    stage_until(delivered(s) == 40);
    answer(s, 0, 0);
    for (int i = 0; i < 8; i++)
        (void)stage_event(s, i, i);
    stage_until(count(s, 0) == 28); /* trusted with eight */
    stage_skip(s, 1.1);
    pass_turn(s, 1);
    answer(s, 0, 200);
    stage_until(delivered(s) == 2 * 29);
    answer(s, 0, 0);
    for (int i = 0; i < 10; i++)
        (void)stage_event(s, i, i);
    stage_until(count(s, 0) >= 31); /* the event of the turn was answered at once */
    pass_turn(s, 1);
    assert_int_equal(count(s, 0), 31);
}

static pst_code create_org(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct stage *s = arg;
    s->org = (struct pst_organization){
        .id = pst_rand_id("org_"), .name = PST_STR("Other"), .created_at = stage_now(s)};
    return pst_organizations_create(conn, &s->org, err);
}

static void an_organization_leaves_half_to_the_others(void **state)
{
    struct stage *s = *state;
    enum { SLOW = 20, TOTAL = 16 };
    for (int i = 0; i < SLOW; i++)
        (void)stage_endpoint(s, 0, be_unordered);
    const struct pst_organization first = s->org;
    assert_int_equal(stage_write(s, create_org, s), PST_OK);
    const struct pst_organization second = s->org;
    (void)stage_endpoint(s, 1, NULL);
    s->options.in_flight = TOTAL / PST_HOOKS_SLOW_TIMES;
    answer(s, 0, 0);
    stage_run(s);
    s->org = first;
    (void)stage_event(s, 0, 1);
    s->org = second;
    for (int i = 0; i < 10 && count(s, 1) < 5; i++) {
        stage_skip(s, 1.1); /* they are slow now */
        (void)stage_event(s, -1, i);
        pst_sleep_ms(1);
    }
    stage_until(count(s, 1) >= 5);
    stage_until(count(s, 0) == TOTAL / 2);
    for (int i = 0; i < 3; i++) {
        stage_skip(s, 1.1);
        int before = count(s, 1);
        (void)stage_event(s, -1, 100);
        stage_until(count(s, 1) > before);
        assert_int_equal(count(s, 0), TOTAL / 2);
    }
    answer(s, 0, 200);
    stage_until(count(s, 0) == SLOW); /* the others have waited for it */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(samples_have_a_bound),
        TEST(samples_that_hang_hold_up_no_other_after_a_start),
        TEST(samples_take_no_room_that_is_not_there),
        TEST(a_slow_success_is_trusted_with_one_at_a_time),
        TEST(an_organization_leaves_half_to_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
