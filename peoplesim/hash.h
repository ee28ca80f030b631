/* peoplesim/hash.h: the numbers that all generated data comes from.
 *
 * A row is a function of the seed and its key, so nothing has to be kept in memory. These are
 * mixers (splitmix64's finaliser), good enough to look random and cheap enough for millions of
 * rows a second. Thread-safety: pure.
 */
#ifndef PEOPLESIM_HASH_H
#define PEOPLESIM_HASH_H

#include <stdint.h>

static inline uint64_t pst_sim_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* One of many independent numbers that belong to h. */
static inline uint64_t pst_sim_derive(uint64_t h, uint64_t salt)
{
    return pst_sim_mix(h + (salt + 1) * 0x9e3779b97f4a7c15ULL);
}

/* A whole number in [0, bound). */
static inline uint32_t pst_sim_below(uint64_t h, uint32_t bound)
{
    return (uint32_t)(((h >> 32) * bound) >> 32);
}

#endif
