/* api/rate.h: how often something may happen, as arithmetic, and a table of it in fixed memory.
 *
 * The generic cell rate algorithm: of a quota of q a minute, each unit takes 60 s / q to come back,
 * and what is owed is kept as one number, the time at which the whole quota is there again. So q
 * units may be taken at once, then they come back evenly, and nothing is reset at a full minute.
 * A unit that is refused costs nothing.
 *
 * The table (struct pst_rates) is shared by all loops and never grows: PST_RATE_ENTRIES of 16 bytes
 * in sets of four, each set under one of a few mutexes that are held for a look at four entries.
 * An entry whose quota is whole is as good as none, so the table is short only when more than four
 * keys of a set owe something at the same moment; then the one that owes least is forgotten, which
 * errs in the caller's favour.
 *
 * Thread-safety: pst_rate_take is pure; pst_rates_take from any thread.
 */
#ifndef PST_API_RATE_H
#define PST_API_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/time.h"

enum {
    PST_RATE_WINDOW_S = 60,
    PST_RATE_QUOTA_MAX = 10000000, /* a minute */
    PST_RATE_ENTRIES = 4096,
};

struct pst_rate {
    int64_t quota; /* units a minute that were asked for; 0: no limit, the rest means nothing */
    int64_t left; /* units that may be taken now, after this one */
    int full_s; /* until the whole quota is there again, rounded up */
    int retry_s; /* refused: until there is a unit, at least 1; else 0 */
};

/* Take one unit of `quota` (1..PST_RATE_QUOTA_MAX). *full_at: when the whole quota is there again,
 * ns 0 at first; written when the unit was there. true: it was. */
bool pst_rate_take(pst_mono *full_at, pst_mono now, int64_t quota, struct pst_rate *out);

struct pst_rates;
pst_code pst_rates_new(struct pst_rates **out, struct pst_err *err); /* Errors: NO_MEMORY */
void pst_rates_free(struct pst_rates *rates); /* NULL is a no-op */
PST_DEFINE_AUTO(rates, struct pst_rates, pst_rates_free);

/* The same for whatever `key` (not 0) stands for. quota 0: true, and nothing is kept. */
bool pst_rates_take(struct pst_rates *rates, uint64_t key, pst_mono now, int64_t quota,
                    struct pst_rate *out);

#endif
