/* Cron and time zones, the slow way. */
#include "tests/unit/sync/almanac.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define US 1000000LL

#define QUARTER 15 /* no zone changes twice in as many minutes */

static int offset_at(int64_t at_s)
{
    time_t t = (time_t)at_s;
    struct tm local;
    if (localtime_r(&t, &local) == NULL || local.tm_gmtoff % 60 != 0)
        abort();
    return (int)(local.tm_gmtoff / 60);
}

struct almanac *almanac_new(const char *zone, int64_t start_s)
{
    struct almanac *a = calloc(1, sizeof *a);
    char path[128];
    (void)snprintf(path, sizeof path, ":%s", zone);
    if (a == NULL || setenv("TZ", path, 1) != 0)
        abort();
    tzset();
    a->start_s = start_s;
    for (int m = 0; m < ALMANAC_MINUTES; m += QUARTER) {
        int before = m > 0 ? a->offset[m - 1] : offset_at(start_s);
        bool is_same = offset_at(start_s + (m + QUARTER - 1) * 60LL) == before;
        for (int i = m; i < m + QUARTER; i++) {
            a->offset[i] = (int16_t)(is_same ? before : offset_at(start_s + i * 60LL));
            if (i > 0 && a->offset[i] != a->offset[i - 1] && a->change_count < 8)
                a->changes[a->change_count++] = i;
        }
    }
    (void)unsetenv("TZ");
    return a;
}

/* "*", "a", "a-b", each with "/s", in a list; numbers only. */
static bool in_field(const char *field, int value, int min, int max)
{
    while (*field) {
        int from = min;
        int to = max;
        int step = 1;
        if (*field == '*') {
            field++;
        } else {
            char *end = NULL;
            from = to = (int)strtol(field, &end, 10);
            if (*end == '-')
                to = (int)strtol(end + 1, &end, 10);
            field = end;
        }
        if (*field == '/') {
            char *end = NULL;
            step = (int)strtol(field + 1, &end, 10);
            field = end;
        }
        if (value >= from && value <= to && (value - from) % step == 0)
            return true;
        if (*field == ',')
            field++;
    }
    return false;
}

struct fields {
    char text[5][64];
    bool minutes[60], hours[24]; /* the first two, as most moments end there */
};

static void read_fields(struct fields *f, const char *cron)
{
    if (sscanf(cron, "%63s %63s %63s %63s %63s", f->text[0], f->text[1], f->text[2], f->text[3],
               f->text[4]) != 5)
        abort();
    for (int m = 0; m < 60; m++)
        f->minutes[m] = in_field(f->text[0], m, 0, 59);
    for (int h = 0; h < 24; h++)
        f->hours[h] = in_field(f->text[1], h, 0, 23);
}

/* Whether the local minute (since 1970, as if it were UTC) fits. */
static bool fits(const struct fields *f, int64_t minute)
{
    time_t t = (time_t)(minute * 60);
    struct tm c;
    if (!f->minutes[minute % 60] || !f->hours[minute / 60 % 24])
        return false;
    if (gmtime_r(&t, &c) == NULL)
        abort();
    bool by_day = in_field(f->text[2], c.tm_mday, 1, 31);
    bool by_weekday =
        in_field(f->text[4], c.tm_wday, 0, 7) || (c.tm_wday == 0 && in_field(f->text[4], 7, 0, 7));
    bool either = f->text[2][0] != '*' && f->text[4][0] != '*';
    return in_field(f->text[3], c.tm_mon + 1, 1, 12) &&
           (either ? by_day || by_weekday : by_day && by_weekday);
}

static void mark(uint8_t *ticks, int64_t minute)
{
    if (minute >= 0 && minute < ALMANAC_MINUTES)
        ticks[minute / 8] |= (uint8_t)(1 << minute % 8);
}

/* Room on both sides of the local minutes for offsets of a day and changes of a day. */
#define MARGIN 4320

uint8_t *almanac_ticks(const struct almanac *a, const char *cron)
{
    struct fields f;
    uint8_t *ticks = calloc(1, ALMANAC_MINUTES / 8 + 1);
    uint8_t *seen = calloc(1, ALMANAC_MINUTES + 2 * MARGIN);
    int64_t first = a->start_s / 60;
    if (ticks == NULL || seen == NULL)
        abort();
    read_fields(&f, cron);
    bool is_rhythm = f.text[1][0] == '*';
    for (int64_t m = 0; m < ALMANAC_MINUTES; m++) {
        int64_t local = first + m + a->offset[m];
        uint8_t *was_there = &seen[local - first + MARGIN];
        /* What the clock jumped over comes as much later as it jumped. */
        if (m > 0 && a->offset[m] > a->offset[m - 1])
            for (int64_t gone = first + m + a->offset[m - 1]; gone < local; gone++)
                if (!seen[gone - first + MARGIN] && fits(&f, gone))
                    mark(ticks, gone - first - a->offset[m - 1]);
        if ((is_rhythm || !*was_there) && fits(&f, local))
            mark(ticks, m);
        *was_there = 1;
    }
    free(seen);
    return ticks;
}

int64_t almanac_next(const struct almanac *a, const uint8_t *ticks, int64_t us)
{
    int64_t m = us / US / 60 - a->start_s / 60 + 1;
    for (; m < ALMANAC_MINUTES; m++) {
        if (ticks[m / 8] == 0 && m % 8 == 0)
            m += 7;
        else if (ticks[m / 8] >> m % 8 & 1)
            return (a->start_s + m * 60) * US;
    }
    return INT64_MAX;
}
