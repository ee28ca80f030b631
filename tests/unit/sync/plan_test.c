/* The decisions of a run: windows, tries, pacing, guard. */
#include "codec/tz.h"
#include "sync/plan.h"
#include "tests/unit/test.h"

#define S PST_US_PER_S
#define DAY (86400 * S)
#define NONE INT64_MIN

static void windows_follow_the_stream_the_mode_and_the_checkpoint(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        bool windowed, has_stamp, date_only, full;
        int64_t synced_to, history_days;
        enum pst_fetch_mode mode;
        int64_t from, to;
    } cases[] = {
        {"incremental reaches back by the overlap", true, true, false, false, 100 * DAY, 90,
         PST_FETCH_INCREMENTAL, 100 * DAY - 600 * S, 200 * DAY},
        {"a clock that went back: the hour before counts again", true, true, false, false,
         200 * DAY + 1, 90, PST_FETCH_INCREMENTAL, 200 * DAY - 4200 * S, 200 * DAY},
        {"a clock that stood still", true, true, false, false, 200 * DAY, 90, PST_FETCH_INCREMENTAL,
         200 * DAY - 600 * S, 200 * DAY},
        {"never read: a full window", true, true, false, false, NONE, 90, PST_FETCH_FULL, 110 * DAY,
         NONE},
        {"never read, master data: everything", false, true, false, false, NONE, 90, PST_FETCH_FULL,
         NONE, NONE},
        {"full ignores the checkpoint", true, true, false, true, 199 * DAY, 90, PST_FETCH_FULL,
         110 * DAY, NONE},
        {"full without history limit", true, true, false, true, 199 * DAY, 0, PST_FETCH_FULL, NONE,
         NONE},
        {"full of master data has no window", false, true, false, true, 199 * DAY, 90,
         PST_FETCH_FULL, NONE, NONE},
        {"no stamp: every read is a whole read", true, false, false, false, 199 * DAY, 90,
         PST_FETCH_FULL, NONE, NONE},
        {"dates: from the beginning of the day", true, true, true, false, 100 * DAY + 5, 90,
         PST_FETCH_INCREMENTAL, 99 * DAY, 200 * DAY},
        {"dates: a day's begin less the overlap is the day before", true, true, true, false,
         100 * DAY + 600 * S, 90, PST_FETCH_INCREMENTAL, 100 * DAY, 200 * DAY},
        {"dates: everything has no first day", true, true, true, true, NONE, 0, PST_FETCH_FULL,
         NONE, NONE},
        {"a history longer than time is everything", true, true, false, true, NONE, INT64_MAX,
         PST_FETCH_FULL, NONE, NONE},
        {"the longest history that there is", true, true, false, true, NONE, INT64_MAX / DAY,
         PST_FETCH_FULL, 200 * DAY - INT64_MAX / DAY * DAY, NONE},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        const struct pst_stream stream = {.windowed = cases[i].windowed,
                                          .has_stamp = cases[i].has_stamp,
                                          .date_only = cases[i].date_only};
        const struct pst_window_input in = {.stream = &stream,
                                            .full = cases[i].full,
                                            .synced_to = {cases[i].synced_to},
                                            .source_now = {200 * DAY},
                                            .history_days = cases[i].history_days,
                                            .overlap_ms = 600000};
        struct pst_window w = pst_plan_window(&in);
        if (w.mode != cases[i].mode || w.from.us != cases[i].from || w.to.us != cases[i].to ||
            w.as_of.us != 200 * DAY)
            fail_msg("%s: mode %d from %lld to %lld", cases[i].what, (int)w.mode,
                     (long long)w.from.us, (long long)w.to.us);
        assert_int_equal(pst_window_is_full(w.to), w.mode == PST_FETCH_FULL);
    }
}

static void a_source_clock_before_all_histories_reads_everything(void **state)
{
    (void)state;
    const struct pst_stream stream = {.windowed = true, .has_stamp = true};
    const struct pst_window_input in = {.stream = &stream,
                                        .full = true,
                                        .synced_to = {NONE},
                                        .source_now = {-DAY},
                                        .history_days = INT64_MAX / DAY};
    assert_true(pst_wall_is_none(pst_plan_window(&in).from));
}

static void a_day_begins_in_the_zone_of_the_source(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    assert_ok(pst_tz_load(&tz, NULL, PST_STR("America/New_York"), &err));
    pst_wall synced = {0};
    assert_true(
        pst_wall_parse(&synced, PST_STR("2026-11-24T03:00:00Z"))); /* 22:00 the day before */
    const struct pst_stream stream = {.has_stamp = true, .date_only = true};
    const struct pst_window_input in = {
        .stream = &stream, .synced_to = synced, .source_now = synced, .zone = tz};
    char text[PST_WALL_TEXT];
    pst_wall_format(text, pst_plan_window(&in).from);
    assert_string_equal(text, "2026-11-23T05:00:00Z");
}

static void only_connectivity_and_busy_systems_are_tried_again(void **state)
{
    (void)state;
    static const struct {
        pst_code code;
        unsigned failures;
        int retry_after_s;
        int64_t min, max; /* -1: given up */
    } cases[] = {
        {PST_E_UNREACHABLE, 0, 0, -1, -1},     {PST_E_UNREACHABLE, 1, 0, 1600, 2400},
        {PST_E_UNREACHABLE, 2, 0, 2400, 3600}, {PST_E_UNREACHABLE, 3, 0, -1, -1},
        {PST_E_TIMEOUT, 1, 0, 1600, 2400},     {PST_E_FOREIGN_PAGE, 2, 0, 2400, 3600},
        {PST_E_REAUTH, 1, 0, -1, -1},          {PST_E_SYSTEM, 1, 0, -1, -1},
        {PST_E_SYSTEM_DENIED, 1, 0, -1, -1},   {PST_E_CANCELLED, 1, 0, -1, -1},
        {PST_E_NO_MEMORY, 1, 0, -1, -1},       {PST_E_EGRESS, 1, 0, -1, -1},
        {PST_E_SYSTEM_BUSY, 1, 7, 7000, 7999}, {PST_E_SYSTEM_BUSY, 2, 3600, 3600000, 3600999},
        {PST_E_SYSTEM_BUSY, 1, 3601, -1, -1},  {PST_E_SYSTEM_BUSY, 1, 0, 30000, 30999},
        {PST_E_SYSTEM_BUSY, 3, 7, -1, -1},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err e = {.code = cases[i].code, .retry_after_s = cases[i].retry_after_s};
        for (uint64_t r = 0; r < 4000; r++) {
            int64_t ms = pst_plan_retry_ms(&e, cases[i].failures, r * 0x9e3779b97f4a7c15U);
            if (ms < cases[i].min || ms > cases[i].max)
                fail_msg("case %zu: %lld ms", i, (long long)ms);
        }
    }
}

static void a_failure_ends_the_run_only_when_it_is_everybodys(void **state)
{
    (void)state;
    static const struct {
        pst_code code;
        enum pst_plan_next next;
    } cases[] = {
        {PST_E_SYSTEM, PST_NEXT_STREAM},       {PST_E_SYSTEM_DENIED, PST_NEXT_STREAM},
        {PST_E_INVALID, PST_NEXT_STREAM},      {PST_E_DELETE_GUARD, PST_NEXT_STREAM},
        {PST_E_LIMIT, PST_NEXT_STREAM},        {PST_E_REAUTH, PST_NEXT_END},
        {PST_E_UNREACHABLE, PST_NEXT_END},     {PST_E_TIMEOUT, PST_NEXT_END},
        {PST_E_FOREIGN_PAGE, PST_NEXT_END},    {PST_E_SYSTEM_BUSY, PST_NEXT_END},
        {PST_E_DISK_FULL, PST_NEXT_END},       {PST_E_NO_MEMORY, PST_NEXT_END},
        {PST_E_CORRUPT, PST_NEXT_END},         {PST_E_EGRESS, PST_NEXT_END},
        {PST_E_CANCELLED, PST_NEXT_CANCELLED}, {PST_E_CONFLICT, PST_NEXT_CANCELLED},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++)
        if (pst_plan_after_failure(cases[i].code) != cases[i].next)
            fail_msg("%s", pst_code_name(cases[i].code));
}

static void quiet_pages_commit_once_a_second(void **state)
{
    (void)state;
    const pst_mono last = {5 * PST_NS_PER_S};
    assert_true(pst_plan_commits_now(true, last, last));
    assert_false(pst_plan_commits_now(false, last, (pst_mono){6 * PST_NS_PER_S - 1}));
    assert_true(pst_plan_commits_now(false, last, (pst_mono){6 * PST_NS_PER_S}));
}

static void the_guard_trips_above_its_share(void **state)
{
    (void)state;
    assert_false(pst_plan_guard_trips(100, 20, 20));
    assert_true(pst_plan_guard_trips(100, 21, 20));
    assert_false(pst_plan_guard_trips(0, 0, 20));
    assert_false(pst_plan_guard_trips(0, 0, 0));
    assert_true(pst_plan_guard_trips(1000000, 1, 0));
    assert_false(pst_plan_guard_trips(10, 10, 100));
    assert_true(pst_plan_guard_trips(INT64_MAX / 2, INT64_MAX / 2, 99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_follow_the_stream_the_mode_and_the_checkpoint),
        cmocka_unit_test(a_source_clock_before_all_histories_reads_everything),
        cmocka_unit_test(a_day_begins_in_the_zone_of_the_source),
        cmocka_unit_test(only_connectivity_and_busy_systems_are_tried_again),
        cmocka_unit_test(a_failure_ends_the_run_only_when_it_is_everybodys),
        cmocka_unit_test(quiet_pages_commit_once_a_second),
        cmocka_unit_test(the_guard_trips_above_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
