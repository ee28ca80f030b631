/* codec/cron.c: cron fields as bit sets, and the next moment that fits them all. */
#include "codec/cron.h"

#include "base/num.h"

/* ---- parsing -------------------------------------------------------------------------------- */

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct field {
    const char *name;
    int min, max;
    const char *const *words; /* the first stands for min; NULL = numbers only */
    int word_count;
};

static const struct field fields[5] = {
    {"minute", 0, 59, NULL, 0},
    {"hour", 0, 23, NULL, 0},
    {"day of month", 1, 31, NULL, 0},
    {"month", 1, 12, month_names, 12},
    {"day of week", 0, 7, weekday_names, 7},
};

static bool read_value(const struct field *f, pst_str text, int *out)
{
    int64_t v = 0;
    for (int i = 0; i < f->word_count; i++) {
        if (pst_str_eq_nocase(text, pst_str_from(f->words[i]))) {
            *out = f->min + i;
            return true;
        }
    }
    if (!pst_parse_i64(&v, text, f->min, f->max))
        return false;
    *out = (int)v;
    return true;
}

/* "*", "n", "a-b", the first and last with "/s". */
static bool read_item(const struct field *f, pst_str item, uint64_t *bits)
{
    int from = f->min;
    int to = f->max;
    int64_t step = 1;
    pst_str rest = item;
    pst_str range = pst_str_split(&rest, '/');
    bool stepped = rest.ptr != NULL;
    bool single = false;
    if (stepped && !pst_parse_i64(&step, rest, 1, f->max))
        return false;
    if (!pst_str_is(range, "*")) {
        pst_str end = range;
        pst_str begin = pst_str_split(&end, '-');
        single = end.ptr == NULL;
        if (!read_value(f, begin, &from) || (!single && !read_value(f, end, &to)))
            return false;
        if (single)
            to = from;
    }
    if (to < from || (stepped && single))
        return false;
    for (int v = from; v <= to; v += (int)step)
        *bits |= 1ULL << v;
    return true;
}

static pst_code read_field(const struct field *f, pst_str text, uint64_t *bits, struct pst_err *err)
{
    pst_str rest = text;
    do {
        pst_str item = pst_str_split(&rest, ',');
        if (!read_item(f, item, bits))
            return PST_FAIL(err, PST_E_INVALID,
                            "%s: '%.*s' is not of the form *, n, a-b, */s or a-b/s "
                            "with values from %d to %d",
                            f->name, PST_STR_ARG(pst_str_sub(item, 0, 64)), f->min, f->max);
    } while (rest.ptr);
    return PST_OK;
}

static pst_str expand_word(pst_str text)
{
    static const struct {
        const char *word, *fields;
    } words[] = {
        {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
        {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
        {"@annually", "0 0 1 1 *"},
    };
    for (size_t i = 0; i < PST_COUNT(words); i++) {
        if (pst_str_eq_nocase(text, pst_str_from(words[i].word)))
            return pst_str_from(words[i].fields);
    }
    return text;
}

/* Whether some month has one of the days; weekdays come in every month. */
static bool can_happen(const struct pst_cron *c)
{
    static const int longest[13] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!c->any_day && !c->any_weekday)
        return true; /* either suffices */
    for (int m = 1; m <= 12; m++) {
        if (c->months >> m & 1 && c->days & ((2ULL << longest[m]) - 2))
            return true;
    }
    return false;
}

static pst_str next_word(pst_str *rest)
{
    *rest = pst_str_trim(*rest);
    size_t len = 0;
    while (len < rest->len && !pst_is_space(rest->ptr[len]))
        len++;
    pst_str word = {rest->ptr, len};
    *rest = pst_str_sub(*rest, len, rest->len);
    return word;
}

pst_code pst_cron_parse(struct pst_cron *out, pst_str text, struct pst_err *err)
{
    uint64_t bits[5] = {0};
    pst_str words[5];
    pst_str rest = expand_word(pst_str_trim(text));
    for (int i = 0; i < 5; i++) {
        words[i] = next_word(&rest);
        if (words[i].len == 0)
            return PST_FAIL(err, PST_E_INVALID,
                            "five fields are needed: minute hour day-of-month month day-of-week");
        PST_TRY(read_field(&fields[i], words[i], &bits[i], err));
    }
    if (pst_str_trim(rest).len > 0)
        return PST_FAIL(err, PST_E_INVALID, "more than five fields");
    struct pst_cron c = {
        .minutes = bits[0],
        .hours = (uint32_t)bits[1],
        .days = (uint32_t)bits[2],
        .months = (uint16_t)bits[3],
        .weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7F),
        .any_hour = words[1].ptr[0] == '*',
        .any_day = words[2].ptr[0] == '*',
        .any_weekday = words[4].ptr[0] == '*',
    };
    if (!can_happen(&c))
        return PST_FAIL(err, PST_E_INVALID, "day of month: no such day in these months");
    *out = c;
    return PST_OK;
}

/* ---- the next tick ----------------------------------------------------------------------------
 */

static bool day_fits(const struct pst_cron *c, int month, int day, int weekday)
{
    bool by_day = c->days >> day & 1;
    bool by_weekday = c->weekdays >> weekday & 1;
    if (!(c->months >> month & 1))
        return false;
    return c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

/* The first local minute of the day at or after `minute` (0..1439) that fits, or -1. */
static int minute_of_day(const struct pst_cron *c, int minute)
{
    for (int h = minute / 60; h < 24; h++) {
        uint64_t left = c->minutes >> (h == minute / 60 ? minute % 60 : 0)
                                          << (h == minute / 60 ? minute % 60 : 0);
        if ((c->hours >> h & 1) && left)
            return h * 60 + __builtin_ctzll(left);
    }
    return -1;
}

enum { LAST_YEAR = 9998 };

/* The first local minute (since 1970, as if UTC) at or after `from` that fits; INT64_MIN when
 * there is none. */
static int64_t next_local(const struct pst_cron *c, int64_t from)
{
    int64_t day = from / 1440 - (from % 1440 < 0);
    int minute = (int)(from - day * 1440);
    int64_t last = pst_days_from_civil(LAST_YEAR, 12, 31);
    for (; day <= last; day++, minute = 0) {
        struct pst_civil d = pst_wall_to_civil((pst_wall){day * 86400 * PST_US_PER_S});
        int weekday = (int)(((day + 4) % 7 + 7) % 7);
        if (!day_fits(c, d.month, d.day, weekday))
            continue;
        int at = minute_of_day(c, minute);
        if (at >= 0)
            return day * 1440 + at;
    }
    return INT64_MIN;
}

static int64_t local_minute(const struct pst_tz *tz, pst_wall t)
{
    struct pst_civil c = pst_tz_to_local(tz, t);
    return pst_days_from_civil(c.year, c.month, c.day) * 1440 + c.hour * 60 + c.minute;
}

/* Ticks as named times: each fitting local minute once, by pst_tz_to_utc's answer. Times in a
 * gap are moved behind some that really exist, so the earliest of them is kept until the first
 * that exists is known. */
static pst_wall next_named(const struct pst_cron *c, const struct pst_tz *tz, pst_wall after)
{
    struct pst_tz_memo memo = {0};
    struct pst_tz_period p = pst_tz_period_at(tz, after);
    pst_wall moved = PST_WALL_NONE;
    int64_t from = local_minute(tz, after);
    /* Behind a recent change, times in its gap may still be to come. */
    if (p.from_s != INT64_MIN && after.us / PST_US_PER_S - p.from_s < 86400)
        from -= 1440;
    for (;;) {
        int64_t at = next_local(c, from);
        if (at == INT64_MIN)
            return moved;
        struct pst_civil civil = pst_wall_to_civil((pst_wall){at * 60 * PST_US_PER_S});
        pst_wall t = pst_tz_to_utc(tz, &memo, &civil);
        from = at + 1;
        if (t.us <= after.us)
            continue;
        bool exists = local_minute(tz, t) == at;
        if (exists)
            return !pst_wall_is_none(moved) && moved.us < t.us ? moved : t;
        if (pst_wall_is_none(moved))
            moved = t;
    }
}

/* The first tick after `after` in the second pass of the hour repeated at change_s, where the
 * offset went from `before` to the smaller `now`; none when there is none. */
static pst_wall second_pass(const struct pst_cron *c, int64_t change_s, int32_t before, int32_t now,
                            pst_wall after)
{
    int64_t end = change_s + before; /* local, exclusive */
    int64_t from = (change_s + now + 59) / 60;
    int64_t start = (after.us / PST_US_PER_S + now) / 60 + 1;
    int64_t at = next_local(c, start > from ? start : from);
    if (at == INT64_MIN || at * 60 >= end)
        return PST_WALL_NONE;
    return (pst_wall){(at * 60 - now) * PST_US_PER_S};
}

/* Rhythms tick in the second pass of a repeated hour as well. */
static pst_wall next_rhythm(const struct pst_cron *c, const struct pst_tz *tz, pst_wall after,
                            pst_wall named)
{
    struct pst_tz_period p = pst_tz_period_at(tz, after);
    for (;;) {
        if (p.from_s != INT64_MIN) {
            pst_wall before = {(p.from_s - 1) * PST_US_PER_S};
            int32_t offset = pst_tz_period_at(tz, before).offset_s;
            pst_wall t = offset > p.offset_s ? second_pass(c, p.from_s, offset, p.offset_s, after)
                                             : PST_WALL_NONE;
            if (!pst_wall_is_none(t)) /* no named time lies inside a second pass */
                return t;
        }
        if (p.to_s == INT64_MAX || pst_wall_is_none(named) || p.to_s * PST_US_PER_S >= named.us)
            return named;
        p = pst_tz_period_at(tz, (pst_wall){p.to_s * PST_US_PER_S});
    }
}

pst_wall pst_cron_next(const struct pst_cron *cron, const struct pst_tz *tz, pst_wall after)
{
    pst_wall named = next_named(cron, tz, after);
    return cron->any_hour ? next_rhythm(cron, tz, after, named) : named;
}
