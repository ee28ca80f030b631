/* api/rate.c: the arithmetic of limits, and the table of what is owed. */
#include "api/rate.h"

#include <pthread.h>

#include "base/alloc.h"

enum { WAYS = 4, SETS = PST_RATE_ENTRIES / WAYS, LOCKS = 32 };

struct entry {
    uint64_t key; /* 0: never used */
    pst_mono full_at;
};

struct pst_rates {
    pthread_mutex_t locks[LOCKS]; /* of the sets with that remainder */
    struct entry sets[SETS][WAYS];
};

static int seconds_up(int64_t ns)
{
    return (int)((ns + PST_NS_PER_S - 1) / PST_NS_PER_S);
}

bool pst_rate_take(pst_mono *full_at, pst_mono now, int64_t quota, struct pst_rate *out)
{
    int64_t unit_ns = PST_RATE_WINDOW_S * PST_NS_PER_S / quota;
    int64_t all_ns = unit_ns * quota;
    int64_t owed = full_at->ns > now.ns ? full_at->ns - now.ns : 0;
    int64_t missing = owed + unit_ns - all_ns;
    bool is_there = missing <= 0;
    if (is_there) {
        owed += unit_ns;
        full_at->ns = now.ns + owed;
    }
    *out = (struct pst_rate){
        .quota = quota,
        /* What is owed is more than everything where the quota was larger before. */
        .left = owed < all_ns ? (all_ns - owed) / unit_ns : 0,
        .full_s = seconds_up(owed),
        .retry_s = is_there ? 0 : seconds_up(missing),
    };
    return is_there;
}

pst_code pst_rates_new(struct pst_rates **out, struct pst_err *err)
{
    void *made = NULL;
    PST_TRY(pst_new(&made, sizeof(struct pst_rates), err));
    *out = made;
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_init(&(*out)->locks[i], NULL);
    return PST_OK;
}

void pst_rates_free(struct pst_rates *rates)
{
    if (!rates)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_destroy(&rates->locks[i]);
    pst_free(rates);
}

/* Keys are mostly small numbers in a row: spread them over the sets (Fibonacci hashing). */
static size_t set_of(uint64_t key)
{
    return (size_t)((key * 0x9E3779B97F4A7C15U) >> 40) % SETS;
}

/* Its entry, or the one of the set that is forgotten for it. */
static struct entry *find(struct entry set[WAYS], uint64_t key)
{
    struct entry *least = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].full_at.ns < least->full_at.ns)
            least = &set[i];
    }
    *least = (struct entry){.key = key};
    return least;
}

bool pst_rates_take(struct pst_rates *rates, uint64_t key, pst_mono now, int64_t quota,
                    struct pst_rate *out)
{
    size_t set = set_of(key);
    *out = (struct pst_rate){0};
    if (quota == 0)
        return true;
    (void)pthread_mutex_lock(&rates->locks[set % LOCKS]);
    bool is_there = pst_rate_take(&find(rates->sets[set], key)->full_at, now, quota, out);
    (void)pthread_mutex_unlock(&rates->locks[set % LOCKS]);
    return is_there;
}
