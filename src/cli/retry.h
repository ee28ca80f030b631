/* cli/retry.h: whether a request that was refused is sent again, and when: the recipe of
 * docs/retries.md, as every client may have it.
 *
 * Again, when the answer is 429 or 503 and says `retryable`; a POST or DELETE only after 429, which
 * is refused before anything is done, since after a 503 it may have been done. Not before what
 * Retry-After asks for, and then at any moment within a span that doubles from 1 s to 16 s (full
 * jitter), so that clients that were refused together do not come back together. At most five
 * times, and at most 60 s of waiting in all: what asks for more is given up at once.
 *
 * Thread-safety: pure.
 */
#ifndef PST_CLI_RETRY_H
#define PST_CLI_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum { PST_RETRY_TRIES = 5, PST_RETRY_TOTAL_MS = 60000 };

/* Of one request. All zero at first. */
struct pst_retry_state {
    int tries; /* that were made after the first */
    int64_t waited_ms;
};

/* How a try ended. */
struct pst_retry_answer {
    const char *method;
    int status;
    bool is_retryable; /* member of the problem document */
    int retry_after_s; /* 0 = not said */
};

/* Milliseconds to wait until the next try, which is counted; -1: give up. random: any number. */
int64_t pst_retry_next(struct pst_retry_state *state, const struct pst_retry_answer *answer,
                       uint64_t random);

#endif
