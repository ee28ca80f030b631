/* os/rand.c: getrandom(2). */
#include "os/rand.h"

#include <errno.h>
#include <sys/random.h>

#include "os/clock.h"

void pst_rand_bytes(void *out, size_t len)
{
    char *p = out;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            abort();
        p += n;
        len -= (size_t)n;
    }
}

uint64_t pst_rand_u64(void)
{
    uint64_t v = 0;
    pst_rand_bytes(&v, sizeof(v));
    return v;
}

uint64_t pst_rand_below(uint64_t bound)
{
    /* Values in the incomplete last interval would make small results likelier. */
    uint64_t skip = (UINT64_MAX % bound + 1) % bound;
    for (;;) {
        uint64_t v = pst_rand_u64();
        if (v <= UINT64_MAX - skip)
            return v % bound;
    }
}

struct pst_id pst_rand_id_at(const char *prefix, pst_wall now)
{
    uint8_t random[10];
    uint8_t raw[PST_ID_RAW];
    pst_rand_bytes(random, sizeof(random));
    pst_id_v7(raw, now, random);
    return pst_id_format(prefix, raw);
}

struct pst_id pst_rand_id(const char *prefix)
{
    return pst_rand_id_at(prefix, pst_wall_now());
}
