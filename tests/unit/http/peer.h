/* tests/unit/http/peer.h: a peer on 127.0.0.1 that plays canned answers, byte for byte, so that
 * tests decide what a broken server sends. */
#ifndef PST_TESTS_UNIT_HTTP_PEER_H
#define PST_TESTS_UNIT_HTTP_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum peer_end {
    PEER_KEEP, /* wait for the next request on the same connection */
    PEER_CLOSE,
    PEER_RESET,
};

struct peer_answer {
    const char *bytes;
    size_t len; /* 0 = strlen(bytes) */
    int delay_ms; /* before the first byte */
    int drip_ms; /* between single bytes; 0 = all at once */
    enum peer_end end;
};

struct peer {
    uint16_t port;
    const struct peer_answer *answers; /* the n-th request gets the n-th, then the last again */
    size_t count;
    atomic_size_t requests;
    atomic_size_t connections;
    atomic_bool stop;
    char last[8192]; /* the latest request's head and what came with it */
    int listener;
    struct pst_thread *thread;
};

void peer_start(struct peer *p, const struct peer_answer *answers, size_t count);
void peer_stop(struct peer *p);
const char *peer_url(const struct peer *p, const char *path); /* static buffer */

#endif
