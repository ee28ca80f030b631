/* codec/cron.h: cron expressions with a time zone.
 *
 * Five fields: minute 0-59, hour 0-23, day of month 1-31, month 1-12 or jan-dec, day of week 0-7
 * or sun-sat (0 and 7 are Sunday); each a list of '*', n, a-b, with a step "/s" behind '*' or a
 * range. Days: when both day fields are restricted (do not begin with '*'), either one suffices.
 * Also @hourly @daily @midnight @weekly @monthly @yearly @annually. An expression that no date
 * can ever meet (30 February) is refused.
 *
 * Clock changes
 *   missing hour    a tick inside the gap comes at the time moved forward by the gap's length
 *                   (02:30 at 03:30), once, also when another tick falls on that instant
 *   repeated hour   expressions whose hour field begins with '*' tick in both passes, as their
 *                   ticks are a rhythm; all others only in the first, as they name a time
 *
 * Thread-safety: plain values; the zone is only read.
 */
#ifndef PST_CODEC_CRON_H
#define PST_CODEC_CRON_H

#include "codec/tz.h"

struct pst_cron {
    uint64_t minutes; /* bit m */
    uint32_t hours; /* bit h */
    uint32_t days; /* bit d, 1..31 */
    uint16_t months; /* bit m, 1..12 */
    uint8_t weekdays; /* bit d, 0 = Sunday */
    bool any_hour; /* the hour field begins with '*' */
    bool any_day; /* the day of month field begins with '*' */
    bool any_weekday; /* the day of week field begins with '*' */
};

/* Errors: INVALID naming the field at fault. */
pst_code pst_cron_parse(struct pst_cron *out, pst_str text, struct pst_err *err);

/* The first tick strictly after `after`; PST_WALL_NONE beyond the year 9998. */
pst_wall pst_cron_next(const struct pst_cron *cron, const struct pst_tz *tz, pst_wall after);

#endif
