/* codec/tz.h: time zones from the system's TZif files, any number at once.
 *
 * A zone is the table of its offset changes, the file's own and, from the POSIX rule at its
 * end, 400 years more; later times use the same table, as the calendar repeats after 400 years.
 *
 * Local to UTC always has an answer: of a repeated hour the first instant is taken, a time in a
 * missing hour is moved forward by the length of the gap (02:30 becomes 03:30).
 *
 * Thread-safety: a zone never changes after loading; any number of threads may use it, each
 * with a memo of its own.
 */
#ifndef PST_CODEC_TZ_H
#define PST_CODEC_TZ_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/time.h"

#define PST_TZ_DIR "/usr/share/zoneinfo"

struct pst_tz;

/* Read `name` ("Europe/Berlin") below dir (NULL = PST_TZ_DIR). Names are letters, digits, and
 * "_+-/", relative, without "..". "UTC" needs no file. Errors: INVALID (no zone of that name),
 * IO, CORRUPT, NO_MEMORY. *out is released with pst_tz_free(). */
pst_code pst_tz_load(struct pst_tz **out, const char *dir, pst_str name, struct pst_err *err);

/* Whether `name` could be one, without looking for its file. */
bool pst_tz_name_valid(pst_str name);

/* The same from the bytes of a TZif file, version 2 or later. Errors: CORRUPT, NO_MEMORY. */
pst_code pst_tz_parse(struct pst_tz **out, pst_str name, pst_str file, struct pst_err *err);

void pst_tz_free(struct pst_tz *tz);
PST_DEFINE_AUTO(tz, struct pst_tz, pst_tz_free);

pst_str pst_tz_name(const struct pst_tz *tz); /* owned by tz */

/* A stretch of time with one offset: [from_s, to_s), seconds since 1970 UTC. */
struct pst_tz_period {
    int64_t from_s; /* INT64_MIN: since ever */
    int64_t to_s; /* INT64_MAX: for ever */
    int32_t offset_s; /* local minus UTC */
};
struct pst_tz_period pst_tz_period_at(const struct pst_tz *tz, pst_wall t);

/* Remembers the last stretch, so that conversions near each other need no search. Starts all
 * zero; belongs to one zone and one thread. May be NULL. */
struct pst_tz_memo {
    int64_t from_s, to_s; /* local seconds for which offset_s holds; empty at first */
    int32_t offset_s;
};

/* c must be valid (pst_civil_valid). */
pst_wall pst_tz_to_utc(const struct pst_tz *tz, struct pst_tz_memo *memo,
                       const struct pst_civil *c);

struct pst_civil pst_tz_to_local(const struct pst_tz *tz, pst_wall t);

#endif
