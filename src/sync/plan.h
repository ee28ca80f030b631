/* sync/plan.h: the decisions of a run, without any I/O: windows, tries, pacing, guard.
 *
 * Thread-safety: pure.
 */
#ifndef PST_SYNC_PLAN_H
#define PST_SYNC_PLAN_H

#include "connector/connector.h"

/* ---- windows ---- */

struct pst_window_input {
    const struct pst_stream *stream;
    bool full; /* a full sync was asked for */
    pst_wall synced_to; /* the stream's checkpoint; none = never read to its end */
    pst_wall source_now; /* the source's own time */
    int64_t history_days; /* 0 = everything */
    int64_t overlap_ms;
    const struct pst_tz *zone; /* of the source, for whole days; NULL = UTC */
};

struct pst_window {
    enum pst_fetch_mode mode; /* FULL also for an incremental run of a stream that was never
                                 read to its end, or that has no change stamp */
    pst_wall from, to, as_of; /* as in struct pst_fetch */
};

/* An incremental window begins at the checkpoint less the overlap. Where the source's clock went
 * back since (the hour that comes twice in autumn, in systems that keep local time), it begins
 * an hour and the overlap before the source's now: stamps of that hour count again, and what is
 * stamped ahead of the clock is read when the clock gets there. */
struct pst_window pst_plan_window(const struct pst_window_input *in);

/* Whether a window that was stored with a run is that of a full read. */
static inline bool pst_window_is_full(pst_wall to)
{
    return pst_wall_is_none(to);
}

/* ---- failures ---- */

enum { PST_PLAN_TRIES = 3, PST_PLAN_BUSY_MAX_S = 3600, PST_PLAN_BUSY_DEFAULT_S = 30 };
/* Whoever has to wait longer gives its worker to others meanwhile. */
enum { PST_PLAN_HOLD_MS = 5000 };

/* Milliseconds to wait before the operation is tried again, after `failures` failures of it in
 * a row (1, 2, ...); -1: give up. Connectivity failures are tried at 0, +2 and +5 s, a system
 * that is busy after the time it asked for (at most an hour), nothing else. random: 64 random
 * bits, jitter of at most a fifth either way. */
int64_t pst_plan_retry_ms(const struct pst_err *err, unsigned failures, uint64_t random);

/* What a stream's failure means for the streams behind it. */
enum pst_plan_next {
    PST_NEXT_STREAM, /* the entity's own trouble */
    PST_NEXT_END, /* the same would happen to all of them */
    PST_NEXT_CANCELLED, /* the run is no longer wanted */
};
enum pst_plan_next pst_plan_after_failure(pst_code code);

/* ---- pages ---- */

enum { PST_PLAN_COMMIT_MS = 1000 };

/* Pages with changes are committed at once, others at most once a second. */
bool pst_plan_commits_now(bool has_changes, pst_mono last_commit, pst_mono now);

/* Whether a full read misses too much to be believed: more than `percent` of the live records
 * of the window. */
bool pst_plan_guard_trips(int64_t live, int64_t missing, int percent);

#endif
