/* codec/timestamp.h: dates and times as ERPs write them.
 *
 * Read are: a date "2016-08-30"; behind it 'T', a blank, or '-', and a time "12:34[:56[.f]]" or
 * "12.34.56[.f]", with 1 to 9 digits of fraction, an hour that may have one digit (with or
 * without a further blank before it, "2016-08-30  9:05"); behind that "Z" or an offset "-07",
 * "-0700", "-07:00". Blanks around it are ignored. Years 0001 to 9999.
 *
 * Thread-safety: pure.
 */
#ifndef PST_CODEC_TIMESTAMP_H
#define PST_CODEC_TIMESTAMP_H

#include "codec/tz.h"

struct pst_stamp {
    struct pst_civil civil; /* as written; fractions beyond microseconds are cut */
    bool has_time; /* else midnight */
    bool has_offset;
    int32_t offset_s; /* local minus UTC, where has_offset */
};

/* false when text is anything else (blank included); *out is then untouched. */
bool pst_stamp_parse(struct pst_stamp *out, pst_str text);

/* A time of day alone, " 9:05" or "13:00:30.5"; the date of *out stays as it is. */
bool pst_stamp_parse_time(struct pst_civil *out, pst_str text);

/* The instant: by its own offset where it has one, else in tz. memo may be NULL. */
pst_wall pst_stamp_to_wall(const struct pst_stamp *stamp, const struct pst_tz *tz,
                           struct pst_tz_memo *memo);

/* "2016-08-30". */
enum { PST_DATE_TEXT = 12 };
size_t pst_date_format(char out[PST_DATE_TEXT], const struct pst_civil *c);

#endif
