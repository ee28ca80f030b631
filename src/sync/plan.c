/* sync/plan.c: windows, tries, pacing, guard. */
#include "sync/plan.h"

#include "base/num.h"
#include "codec/tz.h"

/* A source's clock that went back was most likely set to winter time: what changed since then
 * carries stamps of the hour that is lived through twice. */
#define CLOCK_BACK_MS (3600LL * 1000)
#define DAY_US (24LL * 3600 * PST_US_PER_S)

/* `count` units before t; none when that is before all times. */
static pst_wall earlier(pst_wall t, int64_t count, int64_t unit_us)
{
    int64_t us = 0;
    int64_t r = 0;
    if (__builtin_mul_overflow(count, unit_us, &us) || __builtin_sub_overflow(t.us, us, &r))
        return PST_WALL_NONE;
    return (pst_wall){r};
}

/* The beginning of t's day in the source's zone: a change at any hour of a day carries that
 * day's date, so a window on dates has to begin with the whole day. */
static pst_wall day_begin(pst_wall t, const struct pst_tz *zone)
{
    if (pst_wall_is_none(t))
        return t;
    struct pst_civil c = zone ? pst_tz_to_local(zone, t) : pst_wall_to_civil(t);
    c.hour = c.minute = c.second = c.micro = 0;
    return zone ? pst_tz_to_utc(zone, NULL, &c) : pst_wall_from_civil(&c);
}

struct pst_window pst_plan_window(const struct pst_window_input *in)
{
    struct pst_window w = {.mode = PST_FETCH_FULL,
                           .from = PST_WALL_NONE,
                           .to = PST_WALL_NONE,
                           .as_of = in->source_now};
    if (!in->full && in->stream->has_stamp && !pst_wall_is_none(in->synced_to)) {
        w.mode = PST_FETCH_INCREMENTAL;
        w.from = in->source_now.us < in->synced_to.us
                     ? earlier(in->source_now, CLOCK_BACK_MS + in->overlap_ms, 1000)
                     : earlier(in->synced_to, in->overlap_ms, 1000);
        w.to = in->source_now;
    } else if (in->stream->windowed && in->stream->has_stamp && in->history_days > 0) {
        w.from = earlier(in->source_now, in->history_days, DAY_US);
    }
    if (in->stream->date_only)
        w.from = day_begin(w.from, in->zone);
    return w;
}

static int64_t jitter(int64_t ms, uint64_t random)
{
    int64_t fifth = ms / 5;
    return ms - fifth + (int64_t)(random % (uint64_t)(2 * fifth + 1));
}

int64_t pst_plan_retry_ms(const struct pst_err *err, unsigned failures, uint64_t random)
{
    static const int64_t waits[PST_PLAN_TRIES - 1] = {2000, 3000};
    if (failures == 0 || failures >= PST_PLAN_TRIES)
        return -1;
    if (err->code == PST_E_SYSTEM_BUSY) {
        int64_t s = err->retry_after_s > 0 ? err->retry_after_s : PST_PLAN_BUSY_DEFAULT_S;
        /* Never before the time that was asked for; a little later, so that not all come back
         * in the same second. */
        return s > PST_PLAN_BUSY_MAX_S ? -1 : s * 1000 + (int64_t)(random % 1000);
    }
    if (pst_code_retry(err->code) != PST_RETRY_BACKOFF)
        return -1;
    return jitter(waits[failures - 1], random);
}

enum pst_plan_next pst_plan_after_failure(pst_code code)
{
    if (code == PST_E_CANCELLED || code == PST_E_CONFLICT)
        return PST_NEXT_CANCELLED;
    if (pst_code_retry(code) != PST_RETRY_NEVER)
        return PST_NEXT_END;
    return code == PST_E_CORRUPT || code == PST_E_EGRESS ? PST_NEXT_END : PST_NEXT_STREAM;
}

bool pst_plan_commits_now(bool has_changes, pst_mono last_commit, pst_mono now)
{
    return has_changes || now.ns - last_commit.ns >= PST_PLAN_COMMIT_MS * PST_NS_PER_MS;
}

bool pst_plan_guard_trips(int64_t live, int64_t missing, int percent)
{
    pst_i128 share = (pst_i128)missing * 100;
    return missing > 0 && share > (pst_i128)live * percent;
}
