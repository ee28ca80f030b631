/* codec/tz_rule.h: the POSIX rule at the end of a TZif file, private to this module.
 *
 * "CET-1CEST,M3.5.0,M10.5.0/3": a standard offset and, when there is summer time, its offset and
 * the two days on which it begins and ends. RFC 9636 section 3.3.1.
 */
#ifndef PST_CODEC_TZ_RULE_H
#define PST_CODEC_TZ_RULE_H

#include "base/str.h"
#include "base/time.h"

struct pst_tz_day {
    enum { PST_TZ_WEEKDAY, PST_TZ_JULIAN, PST_TZ_ORDINAL } kind;
    int month, week, weekday; /* WEEKDAY: 1..12, 1..5 (5 = last), 0..6 */
    int day; /* JULIAN 1..365 without 29 February, ORDINAL 0..365 */
    int32_t time_s; /* local time of the change, may be negative or over a day */
};

struct pst_tz_rule {
    bool has_dst;
    int32_t std_s, dst_s; /* local minus UTC */
    struct pst_tz_day begin, end;
};

/* false when text is not such a rule. */
bool pst_tz_rule_parse(struct pst_tz_rule *out, pst_str text);

/* When the day of that year comes, seconds since 1970 as if local time were UTC. */
int64_t pst_tz_rule_moment(const struct pst_tz_day *day, int year);

#endif
