/* The columns of a source: looked at once a day and with every full run, told when they differ. */
#include "tests/unit/sync/toy.h"

#define SUPPLIERS (1U << TOY_SUPPLIERS)

static int setup(void **state)
{
    (void)toy_set_up(state);
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    w->toy.described = "ID:Number NAME:Character";
    return 0;
}

static void run(struct toy_world *w, enum pst_sync_mode mode)
{
    struct pst_sync s = toy_sync(w, mode, SUPPLIERS);
    if (s.status != PST_SYNC_COMPLETED)
        fail_msg("%.*s: %s", PST_STR_ARG(s.error_message), w->report_err.msg);
}

static int64_t told(struct toy_world *w)
{
    return toy_number(w, "SELECT count(*) FROM event WHERE type = 'schema.changed'");
}

/* The columns of the newest event, as JSON. */
static void assert_told(struct toy_world *w, const char *columns)
{
    PST_AUTO(buf) struct pst_buf text = {.max = 4000};
    toy_dump(w,
             "SELECT json_extract(body, '$.data.columns') FROM event WHERE type = 'schema.changed'"
             " ORDER BY pk DESC LIMIT 1",
             &text);
    if (!strstr(text.ptr, columns))
        fail_msg("%s is not in %s", columns, text.ptr);
}

static void what_was_found_first_is_no_news(void **state)
{
    struct toy_world *w = *state;
    run(w, PST_SYNC_FULL);
    run(w, PST_SYNC_FULL);
    assert_int_equal(w->toy.described_times, 2);
    assert_int_equal(told(w), 0);
}

static void what_came_went_or_changed_is_told_once(void **state)
{
    struct toy_world *w = *state;
    run(w, PST_SYNC_FULL);
    w->toy.described = "NAME:Long ID:Number BUYER:Character";
    run(w, PST_SYNC_FULL);
    run(w, PST_SYNC_FULL);
    assert_int_equal(told(w), 1);
    assert_told(w, "{\"name\":\"NAME\",\"change\":\"changed\",\"before\":\"Character\",\"after\":"
                   "\"Long\"},{\"name\":\"BUYER\",\"change\":\"added\",\"before\":null,\"after\":"
                   "\"Character\"}");
    w->toy.described = "NAME:Long ID:Number BUYER:";
    run(w, PST_SYNC_FULL);
    assert_told(w, "\"before\":\"Character\",\"after\":\"?\"");
    w->toy.described = "ID:Number NAME:Long";
    run(w, PST_SYNC_FULL);
    assert_int_equal(told(w), 3);
    assert_told(w, "{\"name\":\"BUYER\",\"change\":\"removed\",\"before\":\"?\",\"after\":null}");
}

static void incremental_runs_look_once_a_day(void **state)
{
    struct toy_world *w = *state;
    run(w, PST_SYNC_FULL);
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(w->toy.described_times, 1);
    w->wall.us += 86399 * PST_US_PER_S;
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(w->toy.described_times, 1);
    w->wall.us += PST_US_PER_S;
    w->toy.described = "ID:Number";
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(w->toy.described_times, 2);
    assert_int_equal(told(w), 1);
    w->wall.us -= 3600 * PST_US_PER_S; /* a clock that was put back makes nobody wait for it */
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(w->toy.described_times, 3);
}

static void a_system_that_cannot_say_is_asked_again(void **state)
{
    static const pst_code fails[] = {PST_E_SYSTEM, PST_E_SYSTEM_DENIED, PST_E_TIMEOUT};
    struct toy_world *w = *state;
    for (size_t i = 0; i < PST_COUNT(fails); i++) {
        w->toy.describe_fails = fails[i];
        run(w, PST_SYNC_INCREMENTAL);
        assert_int_equal(w->toy.described_times, i + 1);
    }
    w->toy.describe_fails = PST_OK;
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(toy_number(w, "SELECT columns <> '' FROM stream WHERE entity = 'suppliers'"),
                     1);
}

static void refused_credentials_end_the_run_there(void **state)
{
    struct toy_world *w = *state;
    w->toy.describe_fails = PST_E_REAUTH;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "REAUTHORIZATION_REQUIRED");
    assert_int_equal(w->toy.described_times, 1);
    assert_int_equal(w->toy.calls, 1); /* the clock, and nothing after the refusal */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_found_first_is_no_news, setup, toy_tear_down),
        cmocka_unit_test_setup_teardown(what_came_went_or_changed_is_told_once, setup,
                                        toy_tear_down),
        cmocka_unit_test_setup_teardown(incremental_runs_look_once_a_day, setup, toy_tear_down),
        cmocka_unit_test_setup_teardown(a_system_that_cannot_say_is_asked_again, setup,
                                        toy_tear_down),
        cmocka_unit_test_setup_teardown(refused_credentials_end_the_run_there, setup,
                                        toy_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
