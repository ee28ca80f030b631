/* os/rand.h: randomness from the kernel.
 *
 * These functions cannot fail: a kernel that refuses random bytes leaves nothing safe to do,
 * so the process aborts (it cannot happen after boot on any supported system).
 * Thread-safety: any thread.
 */
#ifndef PST_OS_RAND_H
#define PST_OS_RAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "base/time.h"

void pst_rand_bytes(void *out, size_t len);
uint64_t pst_rand_u64(void);
uint64_t pst_rand_below(uint64_t bound); /* uniform in [0, bound); bound >= 1 */

/* A new time-ordered id: pst_rand_id("conn_"). The second form stamps it with a given time. */
struct pst_id pst_rand_id(const char *prefix);
struct pst_id pst_rand_id_at(const char *prefix, pst_wall now);

#endif
