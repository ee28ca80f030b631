/* os/net.h: the addresses of this machine.
 *
 * Thread-safety: any thread.
 */
#ifndef PST_OS_NET_H
#define PST_OS_NET_H

#include <stdint.h>

#include "base/arena.h"

struct pst_net_address {
    uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
};
/* Those that the interfaces have now, in the arena. Not from within the sandbox, which knows no
 * netlink. Errors: UNAVAILABLE, NO_MEMORY, LIMIT. */
pst_code pst_net_addresses(struct pst_arena *arena, struct pst_net_address **out, size_t *count,
                           struct pst_err *err);

#endif
