/* webhook/plan.h: what follows from an attempt: the pure core of deliveries.
 *
 *   step(endpoint, delivery, outcome, now, random) -> verdict, and both as they are afterwards
 *
 * Rules (product.md 2.6): any 2xx is success. 410 disables the endpoint. A failed attempt is
 * repeated after 30 s, doubling, at most 2 h apart, with +-20 % jitter; Retry-After is honoured up
 * to 2 h; at least 60 s after a 429 or a timeout. An event is tried for the endpoint's horizon from
 * its first attempt; while the breaker is open that time stands still. One that is refused with the
 * same 4xx (not 408, 425, 429) 8 times over at least an hour is given up. After 10 failures in a
 * row the breaker opens: one attempt for the whole endpoint after 30 s, doubling, at most 15 min
 * apart, until one succeeds. An endpoint with nothing but failures for 3 days is disabled. The last
 * try of an event is made when its time ends. Events of a disabled endpoint are due at once when it
 * is enabled, and until then their time stands still.
 *
 * Pure: no clock, no randomness of its own, no memory. Property-tested in virtual time.
 */
#ifndef PST_WEBHOOK_PLAN_H
#define PST_WEBHOOK_PLAN_H

#include "store/deliveries.h"
#include "store/endpoints.h"

enum {
    PST_HOOK_FIRST_WAIT_S = 30,
    PST_HOOK_LONGEST_WAIT_S = 2 * 3600,
    PST_HOOK_JITTER_PERCENT = 20,
    PST_HOOK_SLOWED_WAIT_S = 60, /* after a 429 or a timeout */
    PST_HOOK_REFUSALS = 8,
    PST_HOOK_REFUSED_S = 3600,
    PST_HOOK_BREAKER_FAILURES = 10,
    PST_HOOK_BREAKER_WAIT_S = 30,
    PST_HOOK_BREAKER_LONGEST_S = 15 * 60,
    PST_HOOK_DISABLE_S = 3 * 86400,
};

/* How one attempt ended. */
struct pst_hook_outcome {
    int status; /* HTTP; 0 = no answer */
    bool is_timeout;
    bool is_local; /* our own trouble (no memory, no descriptors, a stop): nothing is held against
                      the endpoint; the delivery is tried again soon */
    int retry_after_s; /* -1 = none */
    pst_str error; /* words; "" for a 2xx; borrowed */
};

struct pst_hook_decision {
    enum pst_delivery_status status; /* WAITING = again at tries.due_at */
    bool breaker_closed; /* by this success: pst_deliveries_hasten, with failing_since of before */
    bool disabled; /* by this failure: tell system.error */
};

/* now: when the attempt ended. *health and *tries are read and become what is to be stored;
 * health->last_error points into outcome afterwards. random: 64 random bits. */
struct pst_hook_decision pst_hook_step(struct pst_endpoint_health *health,
                                       struct pst_delivery_tries *tries, int64_t horizon_ms,
                                       const struct pst_hook_outcome *outcome, pst_wall now,
                                       uint64_t random);

/* When the endpoint as a whole may next be sent to: now, or the breaker's probe. none: never (it is
 * disabled). */
pst_wall pst_hook_open_at(const struct pst_endpoint_health *health, pst_wall now);

#endif
