/* tests/unit/webhook/receiver.h: receivers of webhooks on 127.0.0.1: one thread, many kept-alive
 * connections, an answer per path. Every request is kept.
 *
 * Thread-safety: all functions from the test's thread.
 */
#ifndef PST_TESTS_UNIT_WEBHOOK_RECEIVER_H
#define PST_TESTS_UNIT_WEBHOOK_RECEIVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { RECEIVER_PATHS = 8, RECEIVER_CONNECTIONS = 64, RECEIVER_REQUESTS = 4096 };

struct received {
    int path; /* of "/3" */
    char *head; /* request line and headers */
    char *body;
};

struct receiver_connection {
    int fd;
    char *bytes;
    size_t len;
    int hangs; /* path whose answer is due, -1 = none */
};

struct receiver {
    uint16_t port;
    atomic_int status[RECEIVER_PATHS]; /* to answer with; 0 = none, until it changes */
    const char *_Atomic headers[RECEIVER_PATHS]; /* more of them, each with its CR LF; or NULL */
    atomic_size_t body_bytes[RECEIVER_PATHS]; /* of the answer */
    atomic_int count[RECEIVER_PATHS];
    atomic_int total;
    pthread_mutex_t mutex; /* guards requests */
    struct received requests[RECEIVER_REQUESTS]; /* [0, total) */
    struct receiver_connection connections[RECEIVER_CONNECTIONS];
    int listener;
    atomic_bool stop;
    struct pst_thread *thread;
};

void receiver_start(struct receiver *r); /* every path answers 204 */
void receiver_stop(struct receiver *r);

/* The n-th request of a path, from 0; NULL: there was none. */
const struct received *receiver_get(struct receiver *r, int path, int n);
/* A header's value in a static buffer; "" = it is not there. */
const char *received_header(const struct received *q, const char *name);

#endif
