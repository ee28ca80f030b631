/* webhook/plan.c: the rules of product.md 2.6 as one step over two states. */
#include "webhook/plan.h"

enum { SOON_MS = 1000 }; /* after trouble of our own */

static pst_wall later(pst_wall t, int64_t us)
{
    return (pst_wall){t.us + us};
}

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* From `from` to `to`; a clock that was set back makes it 0, never negative. */
static int64_t elapsed_us(pst_wall from, pst_wall to)
{
    return max_i64(to.us - from.us, 0);
}

/* first, 2 first, 4 first, ... up to most. */
static int64_t doubled_s(int64_t first, int64_t most, int64_t steps)
{
    return min_i64(first << min_i64(steps, 16), most);
}

static bool is_open(const struct pst_endpoint_health *health)
{
    return !pst_wall_is_none(health->open_since);
}

/* How long the breaker was open in all. */
static int64_t open_us(const struct pst_endpoint_health *health, pst_wall now)
{
    return health->open_us + (is_open(health) ? elapsed_us(health->open_since, now) : 0);
}

static bool is_disabled(const struct pst_endpoint_health *health)
{
    return !pst_wall_is_none(health->disabled_at);
}

/* ---- the endpoint ---- */

/* While the endpoint is disabled it stays open, and the time of events stands still. */
static bool close_breaker(struct pst_endpoint_health *health, pst_wall now)
{
    bool was_open = is_open(health);
    if (is_disabled(health))
        return false;
    health->open_us = open_us(health, now);
    health->open_since = health->probe_at = PST_WALL_NONE;
    health->open_step = 0;
    return was_open;
}

static void wait_for_probe(struct pst_endpoint_health *health, pst_wall now)
{
    int64_t wait_s =
        doubled_s(PST_HOOK_BREAKER_WAIT_S, PST_HOOK_BREAKER_LONGEST_S, health->open_step);
    health->probe_at = later(now, wait_s * PST_US_PER_S);
}

static void open_breaker(struct pst_endpoint_health *health, pst_wall now)
{
    health->open_since = now;
    health->open_step = 0;
    wait_for_probe(health, now);
}

/* One more failure; attempts that were under way when the breaker opened end before its probe is
 * due and do not move it. */
static void count_failure(struct pst_endpoint_health *health, pst_wall now)
{
    health->failures++;
    if (is_open(health)) {
        if (now.us >= health->probe_at.us) {
            health->open_step++;
            wait_for_probe(health, now);
        }
    } else if (health->failures >= PST_HOOK_BREAKER_FAILURES) {
        open_breaker(health, now);
    }
}

static void note_failing(struct pst_endpoint_health *health, pst_wall now)
{
    if (pst_wall_is_none(health->failing_since))
        health->failing_since = now;
    health->last_failure_at = now;
}

/* Events go on where they stood when it is enabled again, so their time stands still. */
static void disable(struct pst_endpoint_health *health, pst_wall now, pst_str reason)
{
    health->disabled_at = now;
    health->disabled_reason = reason;
    if (!is_open(health))
        open_breaker(health, now);
}

/* Whether this failure disables the endpoint. */
static bool fail_endpoint(struct pst_endpoint_health *health, const struct pst_hook_outcome *o,
                          pst_wall now)
{
    note_failing(health, now);
    count_failure(health, now);
    health->last_error = o->error;
    if (is_disabled(health))
        return false;
    if (o->status == 410)
        disable(health, now, PST_STR("gone"));
    else if (elapsed_us(health->failing_since, now) >= PST_HOOK_DISABLE_S * PST_US_PER_S)
        disable(health, now, PST_STR("failing"));
    return is_disabled(health);
}

/* ---- the delivery ---- */

static void begin_try(struct pst_delivery_tries *tries, const struct pst_endpoint_health *health,
                      pst_wall now)
{
    tries->attempts++;
    if (tries->tries++ == 0) {
        tries->first_try_at = now;
        tries->open_before_us = open_us(health, now);
    }
}

/* 4xx says that the request is wrong, but for those that say "not now". 410 is about the endpoint.
 */
static bool is_refusal(int status)
{
    return status >= 400 && status < 500 && status != 408 && status != 410 && status != 425 &&
           status != 429;
}

static void count_refusal(struct pst_delivery_tries *tries, int status, pst_wall now)
{
    if (!is_refusal(status)) {
        tries->refused_status = tries->refused_count = 0;
        tries->refused_since = PST_WALL_NONE;
    } else if (status == tries->refused_status) {
        tries->refused_count++;
    } else {
        tries->refused_status = status;
        tries->refused_count = 1;
        tries->refused_since = now;
    }
}

static bool is_refused_for_good(const struct pst_delivery_tries *tries, pst_wall now)
{
    return tries->refused_count >= PST_HOOK_REFUSALS &&
           elapsed_us(tries->refused_since, now) >= PST_HOOK_REFUSED_S * PST_US_PER_S;
}

/* What the receiver asked for. */
static int64_t asked_wait_us(const struct pst_hook_outcome *o)
{
    int64_t slowed_s = o->status == 429 || o->is_timeout ? PST_HOOK_SLOWED_WAIT_S : 0;
    int64_t after_s = min_i64(o->retry_after_s, PST_HOOK_LONGEST_WAIT_S);
    return max_i64(slowed_s, after_s) * PST_US_PER_S;
}

/* The step of this try, +-20 %. */
static int64_t backoff_us(const struct pst_delivery_tries *tries, uint64_t random)
{
    int64_t step_us =
        doubled_s(PST_HOOK_FIRST_WAIT_S, PST_HOOK_LONGEST_WAIT_S, tries->tries - 1) * PST_US_PER_S;
    int64_t reach_us = step_us * PST_HOOK_JITTER_PERCENT / 100;
    return step_us - reach_us + (int64_t)(random % (uint64_t)(2 * reach_us + 1));
}

/* When its time is over, as far as that can be told while the breaker may be open. */
static pst_wall give_up_at(const struct pst_delivery_tries *tries,
                           const struct pst_endpoint_health *health, int64_t horizon_ms,
                           pst_wall now)
{
    int64_t stood_us = max_i64(open_us(health, now) - tries->open_before_us, 0);
    return later(tries->first_try_at, horizon_ms * 1000 + stood_us);
}

/* The last try is made when the time ends, but never before the receiver wants it. */
static pst_wall next_try(const struct pst_delivery_tries *tries, pst_wall end,
                         const struct pst_hook_outcome *o, pst_wall now, uint64_t random)
{
    int64_t wait_us = min_i64(backoff_us(tries, random), elapsed_us(now, end));
    return later(now, max_i64(wait_us, asked_wait_us(o)));
}

struct pst_hook_decision pst_hook_step(struct pst_endpoint_health *health,
                                       struct pst_delivery_tries *tries, int64_t horizon_ms,
                                       const struct pst_hook_outcome *outcome, pst_wall now,
                                       uint64_t random)
{
    struct pst_hook_decision d = {.status = PST_DELIVERY_WAITING};
    if (outcome->is_local) {
        tries->due_at = later(now, (SOON_MS + (int64_t)(random % SOON_MS)) * 1000);
        return d;
    }
    begin_try(tries, health, now);
    count_refusal(tries, outcome->status, now);
    if (outcome->status >= 200 && outcome->status < 300) {
        health->failures = 0;
        health->failing_since = PST_WALL_NONE;
        health->last_success_at = now;
        health->last_error = (pst_str){0};
        d.breaker_closed = close_breaker(health, now);
        d.status = PST_DELIVERY_DELIVERED;
        return d;
    }
    d.disabled = fail_endpoint(health, outcome, now);
    if (is_disabled(health)) {
        tries->due_at = now; /* held; goes on as soon as it may */
        return d;
    }
    pst_wall end = give_up_at(tries, health, horizon_ms, now);
    if (now.us >= end.us || is_refused_for_good(tries, now))
        d.status = PST_DELIVERY_FAILED;
    else
        tries->due_at = next_try(tries, end, outcome, now, random);
    return d;
}

pst_wall pst_hook_open_at(const struct pst_endpoint_health *health, pst_wall now)
{
    if (is_disabled(health))
        return PST_WALL_NONE;
    if (is_open(health) && health->probe_at.us > now.us)
        return health->probe_at;
    return now;
}
