/* health/backoff.c: exponential backoff with full jitter. */
#include "health/health.h"

enum { FLOOR_MS = 1000 };

int64_t pst_backoff_range_ms(const struct pst_backoff *b, int64_t step)
{
    int64_t range = b->first_ms;
    for (int64_t i = 0; i < step && range < b->max_ms; i++)
        range *= 2;
    range = range < b->max_ms ? range : b->max_ms;
    return range > FLOOR_MS ? range : FLOOR_MS;
}

int64_t pst_backoff_ms(const struct pst_backoff *b, int64_t step, uint64_t random)
{
    uint64_t width = (uint64_t)(pst_backoff_range_ms(b, step) - FLOOR_MS) + 1;
    return FLOOR_MS + (int64_t)(random % width);
}

int64_t pst_backoff_asked_ms(const struct pst_backoff *b, int64_t step, uint64_t random,
                             int64_t asked_ms)
{
    int64_t ms = pst_backoff_ms(b, step, random);
    int64_t least = asked_ms < b->max_ms ? asked_ms : b->max_ms;
    return ms > least ? ms : least;
}
