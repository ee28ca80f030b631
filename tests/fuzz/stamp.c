/* tests/fuzz/stamp.c: dates and times as ERPs and clients write them, and the files and rules of
 * time zones. */
#include "codec/timestamp.h"
#include "codec/tz_rule.h"
#include "http/http.h"
#include "tests/fuzz/fuzz.h"

static const struct pst_tz *zone_of(unsigned choice)
{
    static const char *const names[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe",
                                        "America/St_Johns"};
    static struct pst_tz *zones[PST_COUNT(names)];
    struct pst_err err;
    choice %= PST_COUNT(names);
    if (!zones[choice])
        FUZZ_OK(pst_tz_load(&zones[choice], NULL, pst_str_from(names[choice]), &err));
    return zones[choice];
}

static void check_wall(pst_wall t)
{
    char text[PST_WALL_TEXT];
    pst_wall back = PST_WALL_NONE;
    struct pst_civil c = pst_wall_to_civil(t);
    FUZZ_REQUIRE(pst_civil_valid(&c) && pst_wall_from_civil(&c).us == t.us);
    if (c.year < 0 || c.year > 9999)
        return;
    FUZZ_REQUIRE(pst_wall_format(text, t) == strlen(text));
    FUZZ_REQUIRE(pst_wall_parse(&back, pst_str_from(text)) && back.us == t.us);
}

static void check_period(const struct pst_tz *tz, pst_wall t)
{
    struct pst_tz_period p = pst_tz_period_at(tz, t);
    int64_t s = t.us / 1000000 - (t.us % 1000000 < 0);
    FUZZ_REQUIRE(p.from_s <= s && s < p.to_s);
    struct pst_civil local = pst_tz_to_local(tz, t);
    FUZZ_REQUIRE(pst_civil_valid(&local));
}

static void check_stamp(pst_str text, const struct pst_tz *tz)
{
    struct pst_stamp stamp;
    struct pst_tz_memo memo = {0};
    char date[PST_DATE_TEXT];
    pst_wall t = PST_WALL_NONE;
    if (pst_wall_parse(&t, text))
        check_wall(t);
    if (pst_http_date_parse(&t, text))
        check_wall(t);
    struct pst_civil time = {.year = 2026, .month = 1, .day = 1};
    if (pst_stamp_parse_time(&time, text))
        FUZZ_REQUIRE(pst_civil_valid(&time));
    if (!pst_stamp_parse(&stamp, text))
        return;
    FUZZ_REQUIRE(pst_civil_valid(&stamp.civil));
    FUZZ_REQUIRE(pst_date_format(date, &stamp.civil) == strlen(date));
    t = pst_stamp_to_wall(&stamp, tz, NULL);
    FUZZ_REQUIRE(pst_stamp_to_wall(&stamp, tz, &memo).us == t.us);
    FUZZ_REQUIRE(pst_stamp_to_wall(&stamp, tz, &memo).us == t.us);
    check_period(tz, t);
}

static void check_rule(pst_str text)
{
    struct pst_tz_rule rule;
    if (!pst_tz_rule_parse(&rule, text) || !rule.has_dst)
        return;
    for (int year = 1970; year < 2100; year += 43) {
        int64_t begin = pst_tz_rule_moment(&rule.begin, year);
        int64_t first = pst_days_from_civil(year, 1, 1) * 86400;
        FUZZ_REQUIRE(begin >= first - 8 * 86400 && begin < first + (366 + 8) * 86400LL);
    }
}

/* A whole zone file: refused, or good for every moment. */
static void check_zone(pst_str file)
{
    struct pst_err err;
    struct pst_tz *tz = NULL;
    if (pst_tz_parse(&tz, PST_STR("Fuzz/Zone"), file, &err) != PST_OK)
        return;
    for (int64_t day = -40000; day < 60000; day += 997)
        check_period(tz, (pst_wall){day * 86400 * 1000000 + 1});
    pst_tz_free(tz);
}

void pst_fuzz(pst_str bytes)
{
    unsigned choice = fuzz_take(&bytes);
    if (choice & 0x80) {
        check_zone(bytes);
        return;
    }
    check_stamp(bytes, zone_of(choice));
    check_rule(bytes);
}
