/* Schedules: what is accepted, how they print, where the ticks lie. */
#include "sync/schedule.h"
#include "tests/unit/test.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct pst_err err;

static pst_code from_json(const char *text, bool dev, struct pst_schedule *out)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    yyjson_doc *doc = NULL;
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    assert_ok(pst_json_read(pst_str_from(text), NULL, arena, &doc, &err));
    return pst_schedule_from_json(out, yyjson_doc_get_root(doc), dev, &err);
}

static void what_is_accepted_prints_in_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool dev;
        const char *printed;
    } cases[] = {
        {"\"15m\"", false, "{\"interval\":\"15m\"}"},
        {"{\"interval\":\"15m\"}", false, "{\"interval\":\"15m\"}"},
        {"\"60s\"", false, "{\"interval\":\"1m\"}"},
        {"\"90s\"", false, "{\"interval\":\"90s\"}"},
        {"\"168h\"", false, "{\"interval\":\"7d\"}"},
        {"\"1s\"", true, "{\"interval\":\"1s\"}"},
        {"null", false, "{\"interval\":\"15m\"}"},
        {"\"manual\"", false, "{\"manual\":true}"},
        {"{\"manual\":true}", false, "{\"manual\":true}"},
        {"\"0 6 * * *\"", false, "{\"cron\":\"0 6 * * *\",\"time_zone\":\"UTC\"}"},
        {"\" 0 6 * * 1-5 Europe/Berlin \"", false,
         "{\"cron\":\"0 6 * * 1-5\",\"time_zone\":\"Europe/Berlin\"}"},
        {"\"\\t0\\r\\n\\t 6  *\\t*\\t\\t1-5\\tEurope/Berlin\\t\"", false,
         "{\"cron\":\"0 6 * * 1-5\",\"time_zone\":\"Europe/Berlin\"}"},
        {"\"@daily Asia/Tokyo\"", false, "{\"cron\":\"@daily\",\"time_zone\":\"Asia/Tokyo\"}"},
        {"{\"cron\":\"0 6 * * *\",\"time_zone\":\"Europe/Berlin\"}", false,
         "{\"cron\":\"0 6 * * *\",\"time_zone\":\"Europe/Berlin\"}"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_schedule s;
        struct pst_schedule again;
        PST_AUTO(buf) struct pst_buf out = {0};
        PST_AUTO(buf) struct pst_buf twice = {0};
        pst_buf_init(&out, PST_SCHEDULE_TEXT);
        pst_buf_init(&twice, PST_SCHEDULE_TEXT);
        if (from_json(cases[i].json, cases[i].dev, &s) != PST_OK)
            fail_msg("%s: %s", cases[i].json, err.msg);
        pst_schedule_print(&out, &s);
        assert_str(pst_buf_str(&out), cases[i].printed);
        assert_ok(pst_schedule_parse(&again, pst_buf_str(&out), true, &err));
        pst_schedule_print(&twice, &again);
        assert_str(pst_buf_str(&twice), cases[i].printed);
    }
}

static void what_is_refused_names_the_schedule(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool dev;
    } cases[] = {
        {"\"59s\"", false},
        {"\"8d\"", false},
        {"\"169h\"", false},
        {"\"0s\"", true},
        {"\"500ms\"", true},
        {"\"1500ms\"", true},
        {"\"soon\"", false},
        {"\"\"", false},
        {"{}", false},
        {"{\"interval\":\"15m\",\"cron\":\"0 6 * * *\"}", false},
        {"{\"interval\":\"15m\",\"time_zone\":\"UTC\"}", false},
        {"{\"cron\":\"0 6 * * *\",\"time_zone\":\"Europe/Nowhere\"}", false},
        {"{\"cron\":\"0 6 * * *\",\"time_zone\":\"../../etc/passwd\"}", false},
        {"{\"cron\":\"0 25 * * *\"}", false},
        {"{\"cron\":\"0 0 30 2 *\"}", false},
        {"{\"every\":\"15m\"}", false},
        {"{\"interval\":15}", false},
        {"{\"cron\":15}", false},
        {"{\"cron\":\"0 6 * * *\",\"time_zone\":1}", false},
        {"{\"cron\":\"0 6 * * *\",\"time_zone\":\"/etc\"}", false},
        {"{\"cron\":\"0 6 * * *\",\"time_zone\":\"" A64 "\"}", false},
        {"{\"cron\":\"0 6 " A64 A64 " * *\"}", false},
        {"{\"manual\":1}", false},
        {"{\"manual\":false}", false},
        {"15", false},
        {"[]", false},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_schedule s;
        err.param[0] = 0;
        if (from_json(cases[i].json, cases[i].dev, &s) != PST_E_INVALID)
            fail_msg("%s was accepted", cases[i].json);
        assert_true(err.param[0] != 0);
    }
}

static void nothing_said_is_the_default(void **state)
{
    (void)state;
    struct pst_schedule s;
    assert_ok(pst_schedule_from_json(&s, NULL, false, &err));
    assert_int_equal(s.kind, PST_SCHEDULE_INTERVAL);
    assert_int_equal(s.interval_ms, 900000);
    assert_code(pst_schedule_parse(&s, PST_STR(""), true, &err), PST_E_INVALID);
}

static void what_the_store_holds_is_read_or_refused(void **state)
{
    (void)state;
    static char large[5000];
    struct pst_schedule s;
    memset(large, ' ', sizeof large);
    large[0] = '{';
    large[sizeof large - 1] = '}';
    assert_ok(pst_schedule_parse(&s, PST_STR("0 6 * * * Mars/Base"), true, &err)); /* not asked */
    assert_string_equal(s.zone, "Mars/Base");
    assert_code(pst_schedule_parse(&s, PST_STR("{\"interval\""), true, &err), PST_E_INVALID);
    assert_code(pst_schedule_parse(&s, (pst_str){large, sizeof large}, true, &err), PST_E_INVALID);
    assert_string_equal(err.msg, "schedule is too long");
    FOR_EACH_ALLOC_FAULT(i)
    {
        pst_code rc = pst_schedule_parse(&s, PST_STR("{\"interval\":\"15m\"}"), true, &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
    }
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    yyjson_doc *doc = NULL;
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    assert_ok(pst_json_read(PST_STR("\"@daily Asia/Tokyo\""), NULL, arena, &doc, &err));
    FOR_EACH_ALLOC_FAULT(i)
    {
        pst_code rc = pst_schedule_from_json(&s, yyjson_doc_get_root(doc), false, &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
    }
}

static void interval_ticks_lie_on_a_grid_of_the_connection(void **state)
{
    (void)state;
    const struct pst_schedule s = {.kind = PST_SCHEDULE_INTERVAL, .interval_ms = 900000};
    const uint64_t spread = pst_schedule_spread(PST_STR("conn_0000000000000000000000000a"));
    for (int64_t t = -2 * 900 * PST_US_PER_S; t < 3 * 900 * PST_US_PER_S; t += 7777777) {
        pst_wall next = pst_schedule_next(&s, NULL, spread, (pst_wall){t});
        assert_true(next.us > t && next.us - t <= 900 * PST_US_PER_S);
        assert_int_equal((next.us - (int64_t)(spread % 900000000U)) % 900000000, 0);
        assert_int_equal(pst_schedule_next(&s, NULL, spread, next).us, next.us + 900000000);
    }
}

static void equal_intervals_are_spread_evenly(void **state)
{
    (void)state;
    enum { N = 10000, BINS = 100 };
    unsigned bins[BINS] = {0};
    for (unsigned i = 0; i < N; i++) {
        char id[40];
        (void)snprintf(id, sizeof id, "conn_01jd%022u", i);
        bins[pst_schedule_spread(pst_str_from(id)) % 900000000U / (900000000U / BINS)]++;
    }
    for (unsigned i = 0; i < BINS; i++)
        if (bins[i] < 50 || bins[i] > 160)
            fail_msg("bin %u holds %u of %u", i, bins[i], N);
}

static void the_grid_of_a_connection_never_changes(void **state)
{
    (void)state;
    assert_int_equal(pst_schedule_spread(PST_STR("")), 0x8570e250fe4c2473U);
}

static void a_cron_tick_follows_the_clock_on_the_wall(void **state)
{
    (void)state;
    static const struct {
        const char *cron, *after, *next;
    } cases[] = {
        {"0 6 * * *", "2026-03-28T05:00:00Z", "2026-03-29T04:00:00Z"},
        {"30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"}, /* missing hour */
        {"30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"}, /* repeated hour */
        {"30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
    };
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    assert_ok(pst_tz_load(&tz, NULL, PST_STR("Europe/Berlin"), &err));
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_schedule s;
        pst_wall after = {0};
        char text[PST_WALL_TEXT];
        assert_ok(pst_schedule_parse(&s, pst_str_from(cases[i].cron), false, &err));
        assert_true(pst_wall_parse(&after, pst_str_from(cases[i].after)));
        pst_wall_format(text, pst_schedule_next(&s, tz, 12345, after));
        assert_string_equal(text, cases[i].next);
    }
}

static void manual_never_ticks(void **state)
{
    (void)state;
    const struct pst_schedule s = {.kind = PST_SCHEDULE_MANUAL};
    assert_true(pst_wall_is_none(pst_schedule_next(&s, NULL, 1, (pst_wall){0})));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_accepted_prints_in_one_form),
        cmocka_unit_test(what_is_refused_names_the_schedule),
        cmocka_unit_test(nothing_said_is_the_default),
        cmocka_unit_test(what_the_store_holds_is_read_or_refused),
        cmocka_unit_test(interval_ticks_lie_on_a_grid_of_the_connection),
        cmocka_unit_test(equal_intervals_are_spread_evenly),
        cmocka_unit_test(the_grid_of_a_connection_never_changes),
        cmocka_unit_test(a_cron_tick_follows_the_clock_on_the_wall),
        cmocka_unit_test(manual_never_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
