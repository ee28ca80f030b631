/* codec/tz_rule.c: POSIX time zone rules. */
#include "codec/tz_rule.h"

struct scan {
    pst_str s;
    size_t at;
};

static char peek(const struct scan *in)
{
    return in->at < in->s.len ? in->s.ptr[in->at] : '\0';
}

/* c is not NUL, which peek answers at the end. */
static bool take(struct scan *in, char c)
{
    if (peek(in) != c)
        return false;
    in->at++;
    return true;
}

static bool number(struct scan *in, int most, int *out)
{
    int v = 0;
    size_t from = in->at;
    while (peek(in) >= '0' && peek(in) <= '9' && v <= most)
        v = v * 10 + (in->s.ptr[in->at++] - '0');
    *out = v;
    return in->at > from && v <= most;
}

/* Three letters or more, or anything inside <>. */
static bool skip_name(struct scan *in)
{
    size_t from = in->at;
    if (take(in, '<')) {
        while (peek(in) != '\0' && peek(in) != '>')
            in->at++;
        return take(in, '>');
    }
    while ((peek(in) >= 'A' && peek(in) <= 'Z') || (peek(in) >= 'a' && peek(in) <= 'z'))
        in->at++;
    return in->at - from >= 3;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool hours(struct scan *in, int32_t *out)
{
    int h = 0;
    int m = 0;
    int s = 0;
    int sign = take(in, '-') ? -1 : 1;
    if (sign > 0)
        (void)take(in, '+');
    if (!number(in, 167, &h))
        return false;
    if (take(in, ':') && !number(in, 59, &m))
        return false;
    if (take(in, ':') && !number(in, 59, &s))
        return false;
    *out = sign * (h * 3600 + m * 60 + s);
    return true;
}

static bool day(struct scan *in, struct pst_tz_day *d)
{
    bool ok = false;
    *d = (struct pst_tz_day){.time_s = 7200};
    if (take(in, 'M')) {
        d->kind = PST_TZ_WEEKDAY;
        ok = number(in, 12, &d->month) && take(in, '.') && number(in, 5, &d->week) &&
             take(in, '.') && number(in, 6, &d->weekday) && d->month >= 1 && d->week >= 1;
    } else if (take(in, 'J')) {
        d->kind = PST_TZ_JULIAN;
        ok = number(in, 365, &d->day) && d->day >= 1;
    } else {
        d->kind = PST_TZ_ORDINAL;
        ok = number(in, 365, &d->day);
    }
    return ok && (!take(in, '/') || hours(in, &d->time_s));
}

bool pst_tz_rule_parse(struct pst_tz_rule *out, pst_str text)
{
    struct scan in = {.s = text};
    struct pst_tz_rule r = {0};
    if (!skip_name(&in) || !hours(&in, &r.std_s))
        return false;
    r.std_s = -r.std_s; /* POSIX counts westwards */
    if (in.at < text.len) {
        r.has_dst = true;
        r.dst_s = r.std_s + 3600;
        if (!skip_name(&in))
            return false;
        if (peek(&in) != ',') {
            if (!hours(&in, &r.dst_s))
                return false;
            r.dst_s = -r.dst_s;
        }
        if (!take(&in, ',') || !day(&in, &r.begin) || !take(&in, ',') || !day(&in, &r.end))
            return false;
    }
    if (in.at != text.len)
        return false;
    *out = r;
    return true;
}

static int64_t weekday_in(const struct pst_tz_day *d, int year)
{
    int64_t first = pst_days_from_civil(year, d->month, 1);
    int first_weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    int day_of_month = 1 + (d->weekday - first_weekday + 7) % 7 + (d->week - 1) * 7;
    if (day_of_month > pst_days_in_month(year, d->month))
        day_of_month -= 7;
    return first + day_of_month - 1;
}

int64_t pst_tz_rule_moment(const struct pst_tz_day *d, int year)
{
    int64_t days = 0;
    bool leap = pst_days_in_month(year, 2) == 29;
    if (d->kind == PST_TZ_WEEKDAY)
        days = weekday_in(d, year);
    else if (d->kind == PST_TZ_JULIAN)
        days = pst_days_from_civil(year, 1, 1) + d->day - 1 + (leap && d->day >= 60);
    else
        days = pst_days_from_civil(year, 1, 1) + d->day;
    return days * 86400 + d->time_s;
}
