/* http/date.c: the dates of HTTP and Retry-After. */
#include <string.h>

#include "base/num.h"
#include "http/http.h"

static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static bool parse_month(int *out, pst_str s)
{
    for (int m = 0; m < 12; m++) {
        if (s.len == 3 && memcmp(MONTHS + (size_t)m * 3, s.ptr, 3) == 0) {
            *out = m + 1;
            return true;
        }
    }
    return false;
}

static bool parse_int(int *out, pst_str s, int min, int max)
{
    int64_t v = 0;
    if (!pst_parse_i64(&v, s, min, max))
        return false;
    *out = (int)v;
    return true;
}

static bool parse_clock(struct pst_civil *c, pst_str s)
{
    pst_str h = pst_str_split(&s, ':');
    pst_str m = pst_str_split(&s, ':');
    if (!parse_int(&c->hour, h, 0, 23) || !parse_int(&c->minute, m, 0, 59) ||
        !parse_int(&c->second, s, 0, 60))
        return false;
    if (c->second == 60)
        c->second = 59;
    return true;
}

/* Next word, blanks skipped. */
static pst_str next_word(pst_str *rest)
{
    pst_str s = *rest;
    while (s.len && s.ptr[0] == ' ')
        s = pst_str_sub(s, 1, s.len);
    pst_str word = pst_str_split(&s, ' ');
    *rest = s;
    return word;
}

/* "06 Nov 1994 08:49:37 GMT", and "06-Nov-94 08:49:37 GMT" with its words split at '-'. */
static bool parse_day_first(struct pst_civil *c, pst_str rest)
{
    pst_str day = next_word(&rest);
    pst_str month, year;
    if (pst_str_index(day, '-') < day.len) {
        pst_str parts = day;
        day = pst_str_split(&parts, '-');
        month = pst_str_split(&parts, '-');
        year = parts;
    } else {
        month = next_word(&rest);
        year = next_word(&rest);
    }
    if (!parse_int(&c->day, day, 1, 31) || !parse_month(&c->month, month) ||
        !parse_int(&c->year, year, 0, 9999))
        return false;
    if (year.len == 2)
        c->year += c->year < 70 ? 2000 : 1900;
    return parse_clock(c, next_word(&rest)) && pst_str_is(pst_str_trim(rest), "GMT");
}

/* "Nov  6 08:49:37 1994" */
static bool parse_asctime(struct pst_civil *c, pst_str rest)
{
    return parse_month(&c->month, next_word(&rest)) &&
           parse_int(&c->day, next_word(&rest), 1, 31) && parse_clock(c, next_word(&rest)) &&
           parse_int(&c->year, next_word(&rest), 0, 9999);
}

bool pst_http_date_parse(pst_wall *out, pst_str text)
{
    struct pst_civil c = {0};
    pst_str rest = pst_str_trim(text);
    pst_str weekday = next_word(&rest);
    bool has_comma = weekday.len > 0 && weekday.ptr[weekday.len - 1] == ',';
    if (!(has_comma ? parse_day_first(&c, rest) : parse_asctime(&c, rest)))
        return false;
    if (!pst_civil_valid(&c))
        return false;
    *out = pst_wall_from_civil(&c);
    return true;
}

int pst_http_retry_after_s(pst_str value, pst_wall now)
{
    enum { DAY_S = 86400 };
    uint64_t seconds = 0;
    pst_wall at;
    value = pst_str_trim(value);
    if (value.len == 0)
        return -1;
    if (pst_parse_u64(&seconds, value, 0, UINT64_MAX))
        return seconds > DAY_S ? DAY_S : (int)seconds;
    if (!pst_http_date_parse(&at, value))
        return -1;
    int64_t delta = at.us - now.us;
    if (delta <= 0)
        return 0;
    delta = (delta + PST_US_PER_S - 1) / PST_US_PER_S;
    return delta > DAY_S ? DAY_S : (int)delta;
}
