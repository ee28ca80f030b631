/* codec/timestamp.c: one small reader over the variations that ERPs write. */
#include "codec/timestamp.h"

#include "base/num.h"

struct scan {
    pst_str s;
    size_t at;
};

static bool take(struct scan *in, char c)
{
    if (in->at >= in->s.len || in->s.ptr[in->at] != c)
        return false;
    in->at++;
    return true;
}

static bool digits(struct scan *in, int least, int most, int *out)
{
    int v = 0;
    int n = 0;
    for (; n < most && in->at < in->s.len; n++, in->at++) {
        char c = in->s.ptr[in->at];
        if (c < '0' || c > '9')
            break;
        v = v * 10 + (c - '0');
    }
    *out = v;
    return n >= least;
}

static bool read_date(struct scan *in, struct pst_civil *c)
{
    return digits(in, 4, 4, &c->year) && take(in, '-') && digits(in, 2, 2, &c->month) &&
           take(in, '-') && digits(in, 2, 2, &c->day) && c->year >= 1;
}

static bool read_fraction(struct scan *in, struct pst_civil *c)
{
    int scale = 100000;
    size_t from = in->at;
    for (; in->at < in->s.len && in->s.ptr[in->at] >= '0' && in->s.ptr[in->at] <= '9'; in->at++) {
        c->micro += (in->s.ptr[in->at] - '0') * scale;
        scale /= 10;
    }
    return in->at > from && in->at - from <= 9;
}

/* "12:34[:56[.f]]" or "12.34.56[.f]" */
static bool read_time(struct scan *in, struct pst_civil *c)
{
    if (!digits(in, 1, 2, &c->hour))
        return false;
    char sep = in->at < in->s.len ? in->s.ptr[in->at] : '\0';
    if (sep != ':' && sep != '.')
        return false;
    in->at++;
    if (!digits(in, 2, 2, &c->minute))
        return false;
    if (!take(in, sep))
        return sep == ':';
    if (!digits(in, 2, 2, &c->second))
        return false;
    return !take(in, '.') || read_fraction(in, c);
}

/* "Z", "-07", "-0700", "-07:00", or nothing. */
static bool read_offset(struct scan *in, struct pst_stamp *out)
{
    int h = 0;
    int m = 0;
    if (in->at == in->s.len)
        return true;
    out->has_offset = true;
    if (take(in, 'Z') || take(in, 'z'))
        return true;
    bool minus = take(in, '-');
    if ((!minus && !take(in, '+')) || !digits(in, 2, 2, &h))
        return false;
    if (in->at < in->s.len) {
        (void)take(in, ':');
        if (!digits(in, 2, 2, &m))
            return false;
    }
    out->offset_s = (h * 3600 + m * 60) * (minus ? -1 : 1);
    return h <= 23 && m <= 59;
}

bool pst_stamp_parse(struct pst_stamp *out, pst_str text)
{
    struct scan in = {.s = pst_str_trim(text)};
    struct pst_stamp v = {0};
    if (!read_date(&in, &v.civil))
        return false;
    if (in.at < in.s.len) {
        if (!take(&in, 'T') && !take(&in, '-') && !take(&in, ' '))
            return false;
        (void)take(&in, ' ');
        v.has_time = true;
        if (!read_time(&in, &v.civil) || !read_offset(&in, &v))
            return false;
    }
    if (in.at != in.s.len || !pst_civil_valid(&v.civil))
        return false;
    *out = v;
    return true;
}

bool pst_stamp_parse_time(struct pst_civil *out, pst_str text)
{
    struct scan in = {.s = pst_str_trim(text)};
    struct pst_civil c = {.year = out->year, .month = out->month, .day = out->day};
    if (!read_time(&in, &c) || in.at != in.s.len || c.hour > 23 || c.minute > 59 || c.second > 59)
        return false;
    *out = c;
    return true;
}

pst_wall pst_stamp_to_wall(const struct pst_stamp *stamp, const struct pst_tz *tz,
                           struct pst_tz_memo *memo)
{
    if (!stamp->has_offset)
        return pst_tz_to_utc(tz, memo, &stamp->civil);
    pst_wall t = pst_wall_from_civil(&stamp->civil);
    return (pst_wall){t.us - stamp->offset_s * PST_US_PER_S};
}

size_t pst_date_format(char out[PST_DATE_TEXT], const struct pst_civil *c)
{
    int parts[3] = {c->year, c->month, c->day};
    static const int width[3] = {4, 2, 2};
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        if (i)
            out[at++] = '-';
        for (int d = width[i] - 1, v = parts[i]; d >= 0; d--, v /= 10)
            out[at + (size_t)d] = (char)('0' + v % 10);
        at += (size_t)width[i];
    }
    out[at] = '\0';
    return at;
}
