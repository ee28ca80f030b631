/* The columns of a source: looked at once a day and with every full run, told when they differ; and
 * asked for when a page leaves one out. */
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

static void a_system_that_did_not_say_is_asked_again_in_a_day(void **state)
{
    static const pst_code fails[] = {PST_E_SYSTEM, PST_E_SYSTEM_DENIED, PST_E_TIMEOUT,
                                     PST_E_UNREACHABLE};
    struct toy_world *w = *state;
    run(w, PST_SYNC_INCREMENTAL);
    for (unsigned i = 0; i < PST_COUNT(fails); i++) {
        w->toy.describe_fails = fails[i];
        w->wall.us += 86400 * PST_US_PER_S;
        run(w, PST_SYNC_INCREMENTAL);
        w->wall.us += 86399 * PST_US_PER_S;
        run(w, PST_SYNC_INCREMENTAL);
        w->trigger = PST_SYNC_SCHEDULED;
        run(w, PST_SYNC_FULL);
        assert_int_equal(w->toy.described_times, 2 * i + 2);
        w->trigger = PST_SYNC_MANUAL;
        run(w, PST_SYNC_FULL);
        assert_int_equal(w->toy.described_times, 2 * i + 3);
    }
    /* What it said before is still known. */
    w->toy.describe_fails = PST_OK;
    w->toy.described = "ID:Number";
    w->wall.us += 86400 * PST_US_PER_S;
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(told(w), 1);
    assert_told(w, "[{\"name\":\"NAME\",\"change\":\"removed\"");
}

static void no_memory_is_not_the_systems_silence(void **state)
{
    struct toy_world *w = *state;
    w->toy.describe_fails = PST_E_NO_MEMORY;
    assert_int_equal(toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS).status, PST_SYNC_FAILED);
    w->toy.describe_fails = PST_OK;
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(w->toy.described_times, 2);
}

/* ---- columns that a page leaves out ---- */

static const char ALL[] = "ID:Number NAME:Character MODIFIED:Date STATUS:Character";

static void change_one(struct toy_world *w, const char *name)
{
    w->wall.us += 120 * PST_US_PER_S;
    w->toy.now_s += 120;
    toy_put(w, TOY_SUPPLIERS, 1, name, w->toy.now_s - 100);
}

static int64_t nulls(struct toy_world *w)
{
    return toy_number(
        w, "SELECT count(*) FROM rec_suppliers WHERE json_extract(data, '$.status') IS NULL");
}

static void fails_for_want_of(struct toy_world *w, const char *column)
{
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "INVALID_REQUEST");
    if (!memmem(s.error_message.ptr, s.error_message.len, column, strlen(column)))
        fail_msg("%s is not in %.*s", column, PST_STR_ARG(s.error_message));
}

static void a_column_that_a_page_leaves_out_is_blank(void **state)
{
    struct toy_world *w = *state;
    w->toy.described = ALL;
    w->toy.page_docs = 2; /* several pages */
    w->toy.lacks_column = true;
    run(w, PST_SYNC_FULL);
    assert_int_equal(nulls(w), 5);
    assert_int_equal(w->toy.described_times, 2); /* as every full run, and once for its pages */
    toy_put(w, TOY_SUPPLIERS, 2, "Moved", w->toy.now_s + 10);
    toy_put(w, TOY_SUPPLIERS, 3, "Moved", w->toy.now_s + 10);
    toy_put(w, TOY_SUPPLIERS, 4, "Moved", w->toy.now_s + 10);
    change_one(w, "Moved");
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(w->toy.described_times, 3); /* once for all its pages */
    change_one(w, "Again");
    w->toy.lacks_column = false;
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(w->toy.described_times, 3);
    assert_int_equal(nulls(w), 1); /* the one outside of the overlap */
}

static void a_column_that_the_source_lost_fails_its_stream(void **state)
{
    struct toy_world *w = *state;
    w->toy.described = ALL;
    run(w, PST_SYNC_FULL);
    w->toy.lacks_column = true;
    w->toy.described = "ID:Number NAME:Character MODIFIED:Date";
    change_one(w, "Moved");
    fails_for_want_of(w, "STATUS");
    assert_int_equal(told(w), 1); /* not only tomorrow */
    assert_int_equal(nulls(w), 0);
    /* Nobody says any more: what was said last is what is known. */
    w->toy.describe_fails = PST_E_SYSTEM_DENIED;
    change_one(w, "Moved");
    fails_for_want_of(w, "STATUS");
    change_one(w, "Moved");
    fails_for_want_of(w, "STATUS");
    assert_int_equal(w->toy.described_times, 3); /* the refused one once */
    assert_int_equal(nulls(w), 0);
}

static void a_system_that_never_said_its_columns_is_believed(void **state)
{
    struct toy_world *w = *state;
    w->toy.describe_fails = PST_E_SYSTEM_DENIED;
    w->toy.lacks_column = true;
    w->toy.unnamed = "STAMP";
    run(w, PST_SYNC_INCREMENTAL);
    change_one(w, "Moved");
    run(w, PST_SYNC_INCREMENTAL);
    assert_int_equal(w->toy.described_times, 1);
    assert_int_equal(nulls(w), 5);
}

static void what_the_adapter_itself_misses_is_asked_for_too(void **state)
{
    struct toy_world *w = *state;
    w->toy.described = "ID:Number NAME:Character MODIFIED:Date STATUS:Character TOUCHED:Date:STAMP";
    w->toy.unnamed = "STAMP";
    run(w, PST_SYNC_FULL);
    /* Its other name is kept with it. */
    run(w, PST_SYNC_INCREMENTAL);
    w->toy.described = ALL;
    change_one(w, "Moved");
    fails_for_want_of(w, "STAMP");
}

static void credentials_refused_in_between_end_the_run(void **state)
{
    struct toy_world *w = *state;
    w->toy.described = ALL;
    run(w, PST_SYNC_FULL);
    w->toy.lacks_column = true;
    w->toy.describe_fails = PST_E_REAUTH;
    change_one(w, "Moved");
    assert_str(toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS).error_code, "REAUTHORIZATION_REQUIRED");
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
        cmocka_unit_test_setup_teardown(a_system_that_did_not_say_is_asked_again_in_a_day, setup,
                                        toy_tear_down),
        cmocka_unit_test_setup_teardown(no_memory_is_not_the_systems_silence, setup, toy_tear_down),
        cmocka_unit_test_setup_teardown(a_column_that_a_page_leaves_out_is_blank, setup,
                                        toy_tear_down),
        cmocka_unit_test_setup_teardown(a_column_that_the_source_lost_fails_its_stream, setup,
                                        toy_tear_down),
        cmocka_unit_test_setup_teardown(a_system_that_never_said_its_columns_is_believed, setup,
                                        toy_tear_down),
        cmocka_unit_test_setup_teardown(what_the_adapter_itself_misses_is_asked_for_too, setup,
                                        toy_tear_down),
        cmocka_unit_test_setup_teardown(credentials_refused_in_between_end_the_run, setup,
                                        toy_tear_down),
        cmocka_unit_test_setup_teardown(refused_credentials_end_the_run_there, setup,
                                        toy_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
