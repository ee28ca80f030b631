/* Cron ticks against a year told minute by minute with libc's zones: clock changes of every kind
 * there is (an hour, half an hour, two, at midnight, a whole day left out). */
#include "codec/cron.h"

#include "tests/unit/sync/almanac.h"
#include "tests/unit/test.h"

#define US PST_US_PER_S
#define DAY_S 86400LL

static struct pst_err err;

static const struct place {
    const char *zone, *from; /* 400 days */
} places[] = {
    {"UTC", "2026-01-01"},
    {"Europe/Berlin", "2026-01-01"},
    {"Europe/Dublin", "2027-01-01"}, /* winter is the exception */
    {"America/New_York", "2027-06-01"},
    {"America/Sao_Paulo", "2018-01-01"}, /* changed at midnight */
    {"America/Havana", "2026-01-01"}, /* at midnight, back to the day before */
    {"America/St_Johns", "2010-06-01"}, /* at 00:01, with half an hour */
    {"America/Caracas", "2007-06-01"}, /* half an hour back for good */
    {"Asia/Kolkata", "2026-01-01"},
    {"Asia/Kathmandu", "2026-01-01"}, /* 45 minutes */
    {"Asia/Pyongyang", "2018-01-01"}, /* half an hour forward */
    {"Asia/Beirut", "2026-01-01"},
    {"Africa/Casablanca", "2026-01-01"}, /* around a month of fasting */
    {"Africa/Cairo", "2026-01-01"},
    {"Antarctica/Troll", "2026-01-01"}, /* two hours */
    {"Australia/Lord_Howe", "2026-01-01"}, /* half an hour */
    {"Australia/Adelaide", "2026-01-01"},
    {"Pacific/Chatham", "2026-01-01"}, /* 12:45 and 13:45 */
    {"Pacific/Apia", "2011-06-01"}, /* 30 December 2011 never was */
    {"Pacific/Kwajalein", "1993-01-01"}, /* nor was 21 August 1993 */
    {"Europe/Lisbon", "2038-06-01"}, /* beyond 32 bits of time */
};

static const char *const crons[] = {
    "30 2 * * *",       "0 0 * * *",          "15,45 1-3 * * *",    "59 23 * * *",
    "*/20 2 * * 0",     "0 */3 * * *",        "30 */2 * * *",       "7 * * * 6,0",
    "0 0 1 * *",        "0 12 29-31 2,4,8 *", "5 4 13 * 5",         "1 0,1,2,3,23 * 3,4,9-11 *",
    "10-50/20 0 * * 7", "45 1 * * *",         "2 */1 30,31 12,8 *",
};

static void fail_at(const struct place *p, const char *cron, int64_t after, int64_t got,
                    int64_t expected)
{
    char text[3][PST_WALL_TEXT];
    const int64_t times[3] = {after, got, expected};
    for (size_t i = 0; i < 3; i++)
        pst_wall_format(text[i], (pst_wall){times[i]});
    fail_msg("%s in %s: after %s comes %s, not %s", cron, p->zone, text[0], text[1], text[2]);
}

static void compare(const struct place *p, const struct almanac *a, const uint8_t *ticks,
                    const struct pst_tz *tz, const char *text, const struct pst_cron *c,
                    int64_t from_us, int64_t to_us)
{
    for (int64_t at = from_us; at < to_us;) {
        int64_t expected = almanac_next(a, ticks, at);
        int64_t got = pst_cron_next(c, tz, (pst_wall){at}).us;
        if (got != expected && (got < to_us || expected < to_us))
            fail_at(p, text, at, got, expected);
        at = expected;
    }
}

/* From moments around each change, not only from tick to tick. */
static void compare_around(const struct place *p, const struct almanac *a, const uint8_t *ticks,
                           const struct pst_tz *tz, const char *text, const struct pst_cron *c)
{
    for (int i = 0; i < a->change_count; i++) {
        int64_t change = (a->start_s + a->changes[i] * 60LL) * US;
        for (int64_t by = -26 * 60; by <= 26 * 60; by += 13) {
            int64_t at = change + by * 60 * US + (by & 1 ? 0 : 1);
            int64_t expected = almanac_next(a, ticks, at);
            int64_t got = pst_cron_next(c, tz, (pst_wall){at}).us;
            if (got != expected && expected != INT64_MAX)
                fail_at(p, text, at, got, expected);
        }
    }
}

static void check_place(const struct place *p, const char *const *list, size_t count)
{
    pst_wall from = {0};
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    assert_true(pst_wall_parse(&from, pst_str_from(p->from)));
    assert_ok(pst_tz_load(&tz, NULL, pst_str_from(p->zone), &err));
    struct almanac *a = almanac_new(p->zone, from.us / US);
    for (size_t i = 0; i < count; i++) {
        struct pst_cron c;
        uint8_t *ticks = almanac_ticks(a, list[i]);
        assert_ok(pst_cron_parse(&c, pst_str_from(list[i]), &err));
        compare(p, a, ticks, tz, list[i], &c, from.us + 3 * DAY_S * US, from.us + 396 * DAY_S * US);
        compare_around(p, a, ticks, tz, list[i], &c);
        free(ticks);
    }
    free(a);
}

static void every_tick_of_a_year_comes_once_in_every_kind_of_zone(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(places); i++)
        check_place(&places[i], crons, PST_COUNT(crons));
}

/* ---- random expressions ---- */

static uint64_t seed = 0x2545f4914f6cdd1dU;

static int draw(int below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (int)(seed % (uint64_t)below);
}

static void add_field(char *out, size_t size, int min, int max, int star_of_ten)
{
    size_t at = strlen(out);
    const char *lead = at ? " " : "";
    int from = min + draw(max - min + 1);
    int to = from + draw(max - from + 1);
    if (draw(10) < star_of_ten)
        (void)snprintf(out + at, size - at, draw(4) ? "%s*" : "%s*/%d", lead, 1 + draw(5));
    else if (draw(2))
        (void)snprintf(out + at, size - at, "%s%d", lead, from);
    else
        (void)snprintf(out + at, size - at, draw(2) ? "%s%d-%d" : "%s%d-%d/%d", lead, from, to,
                       1 + draw(7));
}

static void random_expressions_tick_as_the_year_says(void **state)
{
    (void)state;
    char texts[6][128];
    const char *list[6];
    for (size_t i = 0; i < PST_COUNT(places); i++) {
        for (size_t k = 0; k < PST_COUNT(list);) {
            struct pst_cron c;
            char *text = texts[k];
            text[0] = '\0';
            add_field(text, sizeof texts[k], 0, 59, 0);
            add_field(text, sizeof texts[k], 0, draw(2) ? 3 : 23, 3);
            add_field(text, sizeof texts[k], 1, 31, 8);
            add_field(text, sizeof texts[k], 1, 12, 8);
            add_field(text, sizeof texts[k], 0, 7, 8);
            if (pst_cron_parse(&c, pst_str_from(text), &err) == PST_OK) /* else no such day */
                list[k++] = text;
        }
        check_place(&places[i], list, PST_COUNT(list));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tick_of_a_year_comes_once_in_every_kind_of_zone),
        cmocka_unit_test(random_expressions_tick_as_the_year_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
