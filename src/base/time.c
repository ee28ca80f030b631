/* base/time.c: calendar arithmetic and RFC 3339. */
#include "base/time.h"

#include <stdio.h>

static const int month_days[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int pst_days_in_month(int year, int month)
{
    return month == 2 && is_leap(year) ? 29 : month_days[month];
}

/* Counts in 400-year eras whose years begin in March, so that the leap day comes last. */
int64_t pst_days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

bool pst_civil_valid(const struct pst_civil *c)
{
    return c->year >= 0 && c->year <= 9999 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= pst_days_in_month(c->year, c->month) && c->hour >= 0 && c->hour <= 23 &&
           c->minute >= 0 && c->minute <= 59 && c->second >= 0 && c->second <= 59 &&
           c->micro >= 0 && c->micro <= 999999;
}

pst_wall pst_wall_from_civil(const struct pst_civil *c)
{
    int64_t days = pst_days_from_civil(c->year, c->month, c->day);
    int64_t seconds = days * 86400 + c->hour * 3600 + c->minute * 60 + c->second;
    return (pst_wall){seconds * PST_US_PER_S + c->micro};
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Every record of every answer has three or four times, so this is written for speed: after the
 * range check all numbers are small and positive, and divisions by constants are multiplications.
 */
struct pst_civil pst_wall_to_civil(pst_wall t)
{
    enum { FIRST_DAY = -719528, LAST_DAY = 2932896 }; /* 0000-01-01, 9999-12-31 */
    enum { ERA_DAYS = 146097, TO_MARCH_BEFORE_0 = 719468 + ERA_DAYS };
    int64_t days = floor_div(t.us, 86400 * PST_US_PER_S);
    if (days < FIRST_DAY)
        return (struct pst_civil){.year = 0, .month = 1, .day = 1};
    if (days > LAST_DAY)
        return (struct pst_civil){9999, 12, 31, 23, 59, 59, 999999};
    uint64_t rest = (uint64_t)(t.us - days * 86400 * PST_US_PER_S);
    uint32_t second = (uint32_t)(rest / PST_US_PER_S);
    uint32_t micro = (uint32_t)(rest - (uint64_t)second * PST_US_PER_S);

    uint32_t z = (uint32_t)(days + TO_MARCH_BEFORE_0);
    uint32_t era = z / ERA_DAYS;
    uint32_t doe = z - era * ERA_DAYS;
    uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint32_t mp = (5 * doy + 2) / 153;
    uint32_t month = mp < 10 ? mp + 3 : mp - 9;
    return (struct pst_civil){
        .year = (int)(yoe + era * 400 + (month <= 2)) - 400,
        .month = (int)month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .hour = (int)(second / 3600),
        .minute = (int)(second / 60 % 60),
        .second = (int)(second % 60),
        .micro = (int)micro,
    };
}

static char *put_two(char *p, int value)
{
    p[0] = (char)('0' + (unsigned)value / 10);
    p[1] = (char)('0' + (unsigned)value % 10);
    return p + 2;
}

size_t pst_wall_format(char out[PST_WALL_TEXT], pst_wall t)
{
    out[0] = '\0';
    if (pst_wall_is_none(t))
        return 0;
    struct pst_civil c = pst_wall_to_civil(t);
    char *p = put_two(put_two(out, c.year / 100), c.year % 100);
    *p++ = '-';
    p = put_two(p, c.month);
    *p++ = '-';
    p = put_two(p, c.day);
    *p++ = 'T';
    p = put_two(p, c.hour);
    *p++ = ':';
    p = put_two(p, c.minute);
    *p++ = ':';
    p = put_two(p, c.second);
    if (c.micro) {
        *p++ = '.';
        p = put_two(put_two(put_two(p, c.micro / 10000), c.micro / 100 % 100), c.micro % 100);
        while (p[-1] == '0')
            p--;
    }
    *p++ = 'Z';
    *p = '\0';
    return (size_t)(p - out);
}

/* Reads exactly `width` digits at *at. */
static bool read_digits(pst_str s, size_t *at, int width, int *out)
{
    int value = 0;
    for (int i = 0; i < width; i++, (*at)++) {
        if (*at >= s.len || s.ptr[*at] < '0' || s.ptr[*at] > '9')
            return false;
        value = value * 10 + (s.ptr[*at] - '0');
    }
    *out = value;
    return true;
}

static bool read_char(pst_str s, size_t *at, char c)
{
    if (*at >= s.len || s.ptr[*at] != c)
        return false;
    (*at)++;
    return true;
}

static bool read_date(pst_str s, size_t *at, struct pst_civil *c)
{
    return read_digits(s, at, 4, &c->year) && read_char(s, at, '-') &&
           read_digits(s, at, 2, &c->month) && read_char(s, at, '-') &&
           read_digits(s, at, 2, &c->day);
}

/* ".123456789": digits beyond microseconds are dropped. */
static bool read_fraction(pst_str s, size_t *at, int *micro)
{
    int digits = 0;
    int scale = 100000;
    for (; *at < s.len && s.ptr[*at] >= '0' && s.ptr[*at] <= '9'; (*at)++, digits++) {
        *micro += (s.ptr[*at] - '0') * scale;
        scale /= 10;
    }
    return digits >= 1 && digits <= 9;
}

static bool read_offset(pst_str s, size_t *at, int *minutes)
{
    if (*at >= s.len)
        return false;
    char sign = s.ptr[(*at)++];
    int h = 0;
    int m = 0;
    *minutes = 0;
    if (sign == 'Z' || sign == 'z')
        return true;
    if ((sign != '+' && sign != '-') || !read_digits(s, at, 2, &h) || !read_char(s, at, ':') ||
        !read_digits(s, at, 2, &m) || h > 23 || m > 59)
        return false;
    *minutes = sign == '+' ? h * 60 + m : -(h * 60 + m);
    return true;
}

bool pst_wall_parse(pst_wall *out, pst_str s)
{
    struct pst_civil c = {0};
    size_t at = 0;
    int offset = 0;
    if (!read_date(s, &at, &c))
        return false;
    if (at < s.len) {
        char sep = s.ptr[at++];
        if ((sep != 'T' && sep != 't' && sep != ' ') || !read_digits(s, &at, 2, &c.hour) ||
            !read_char(s, &at, ':') || !read_digits(s, &at, 2, &c.minute) ||
            !read_char(s, &at, ':') || !read_digits(s, &at, 2, &c.second))
            return false;
        if (read_char(s, &at, '.') && !read_fraction(s, &at, &c.micro))
            return false;
        if (!read_offset(s, &at, &offset))
            return false;
    }
    if (c.second == 60)
        c.second = 59;
    if (at != s.len || !pst_civil_valid(&c))
        return false;
    *out = pst_wall_from_civil(&c);
    out->us -= (int64_t)offset * 60 * PST_US_PER_S;
    return true;
}
