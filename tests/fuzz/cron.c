/* tests/fuzz/cron.c: cron expressions and schedules. */
#include "base/alloc.h"
#include "sync/schedule.h"
#include "tests/fuzz/fuzz.h"

static const int64_t MINUTE_US = 60LL * 1000000;

static bool matches(const struct pst_cron *cron, pst_wall t)
{
    struct pst_civil c = pst_wall_to_civil(t);
    int64_t days = pst_days_from_civil(c.year, c.month, c.day);
    int weekday = (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    bool day = cron->days >> c.day & 1;
    bool week = cron->weekdays >> weekday & 1;
    bool any = cron->any_day || cron->any_weekday;
    return (cron->minutes >> c.minute & 1) && (cron->hours >> c.hour & 1) &&
           (cron->months >> c.month & 1) && (any ? day && week : day || week);
}

static void check_ticks(const struct pst_cron *cron, pst_wall after)
{
    static struct pst_tz *utc;
    struct pst_err err;
    if (!utc)
        FUZZ_OK(pst_tz_load(&utc, NULL, PST_STR("UTC"), &err));
    for (int i = 0; i < 4; i++) {
        pst_wall next = pst_cron_next(cron, utc, after);
        if (pst_wall_is_none(next))
            return;
        FUZZ_REQUIRE(next.us > after.us && next.us % MINUTE_US == 0 && matches(cron, next));
        int64_t from = after.us - after.us % MINUTE_US;
        for (int64_t t = from + MINUTE_US; t < next.us && t < from + 90 * MINUTE_US; t += MINUTE_US)
            FUZZ_REQUIRE(!matches(cron, (pst_wall){t}));
        after = next;
    }
}

static void check_schedule(pst_str text, bool dev)
{
    struct pst_err err;
    struct pst_schedule s;
    struct pst_schedule back;
    struct pst_buf once;
    struct pst_buf twice;
    if (pst_schedule_parse(&s, text, dev, &err) != PST_OK)
        return;
    pst_buf_init(&once, PST_SCHEDULE_TEXT);
    pst_buf_init(&twice, PST_SCHEDULE_TEXT);
    pst_schedule_print(&once, &s);
    FUZZ_REQUIRE(once.fail == PST_OK);
    FUZZ_OK(pst_schedule_parse(&back, pst_buf_str(&once), true, &err));
    pst_schedule_print(&twice, &back);
    FUZZ_REQUIRE(pst_str_eq(pst_buf_str(&once), pst_buf_str(&twice)));
    pst_buf_fini(&once);
    pst_buf_fini(&twice);
}

void pst_fuzz(pst_str bytes)
{
    struct pst_err err;
    struct pst_cron cron;
    unsigned choice = fuzz_take(&bytes);
    check_schedule(bytes, choice & 1);
    if (pst_cron_parse(&cron, bytes, &err) == PST_OK)
        check_ticks(&cron, (pst_wall){1767225600LL * 1000000 + (int64_t)choice * 12345678901LL});
}
