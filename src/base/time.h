/* base/time.h: two clocks, two types.
 *
 * pst_mono never jumps and is used for deadlines and intervals; pst_wall is UTC, may jump, and
 * is used for what people and other systems see. Neither is ever read here: os/clock.h does
 * that, and pure modules get `now` as a parameter.
 *
 * Thread-safety: plain values.
 */
#ifndef PST_BASE_TIME_H
#define PST_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct pst_mono {
    int64_t ns; /* since an arbitrary start */
} pst_mono;

typedef struct pst_wall {
    int64_t us; /* microseconds since 1970-01-01T00:00:00Z; PST_WALL_NONE = no time */
} pst_wall;

#define PST_WALL_NONE ((pst_wall){INT64_MIN})
#define PST_MONO_NEVER ((pst_mono){INT64_MAX})
#define PST_US_PER_S 1000000LL
#define PST_NS_PER_MS 1000000LL
#define PST_NS_PER_S 1000000000LL

static inline bool pst_wall_is_none(pst_wall t)
{
    return t.us == INT64_MIN;
}

/* t + ms, held at PST_MONO_NEVER instead of overflowing. */
static inline pst_mono pst_mono_after_ms(pst_mono t, int64_t ms)
{
    int64_t delta = 0;
    int64_t ns = 0;
    if (__builtin_mul_overflow(ms, PST_NS_PER_MS, &delta) ||
        __builtin_add_overflow(t.ns, delta, &ns))
        return PST_MONO_NEVER;
    return (pst_mono){ns};
}

/* Milliseconds from `from` to `to`, rounded up, never below 0. */
static inline int64_t pst_mono_ms_until(pst_mono from, pst_mono to)
{
    if (to.ns <= from.ns)
        return 0;
    int64_t ns = 0;
    if (__builtin_sub_overflow(to.ns, from.ns, &ns))
        return INT64_MAX / PST_NS_PER_MS;
    return ns / PST_NS_PER_MS + (ns % PST_NS_PER_MS != 0);
}

/* A moment of the proleptic Gregorian calendar, no zone. */
struct pst_civil {
    int year; /* 0..9999 */
    int month; /* 1..12 */
    int day; /* 1..31 */
    int hour, minute, second; /* second 0..59; a leap second is read as 59 */
    int micro; /* 0..999999 */
};

int64_t pst_days_from_civil(int year, int month, int day); /* days since 1970-01-01 */
int pst_days_in_month(int year, int month);
bool pst_civil_valid(const struct pst_civil *c);

/* As if c were UTC. c must be valid. */
pst_wall pst_wall_from_civil(const struct pst_civil *c);
/* years 0..9999 only; others are held at the nearest end. */
struct pst_civil pst_wall_to_civil(pst_wall t);

/* "2026-11-24T00:08:45Z", with ".123456" only where there is a fraction. */
enum { PST_WALL_TEXT = 32 };
size_t pst_wall_format(char out[PST_WALL_TEXT], pst_wall t); /* length; "" for none */

/* RFC 3339 with Z or an offset, 'T' or a blank, 0 to 9 fraction digits; also a bare date
 * "2026-11-24" (midnight UTC). false when it is anything else. */
bool pst_wall_parse(pst_wall *out, pst_str text);

#endif
