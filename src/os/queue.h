/* os/queue.h: bounded first-in-first-out queue of owned pointers between threads.
 *
 * What is pushed changes owner: the sender does not look at it again. Closing stops pushes at
 * once; pops go on until the queue is empty, then say so. Waiting is in order of arrival only
 * as far as the system's mutex is.
 *
 * Thread-safety: any number of threads on both ends. pst_queue_free when none is left.
 */
#ifndef PST_OS_QUEUE_H
#define PST_OS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct pst_queue;

/* capacity: 1..1048576 items. Errors: INVALID, NO_MEMORY. */
pst_code pst_queue_new(struct pst_queue **out, size_t capacity, struct pst_err *err);

/* Waits while the queue is full. On failure the item stays with the caller.
 * Errors: CANCELLED (closed). */
pst_code pst_queue_push(struct pst_queue *q, void *item, struct pst_err *err);

/* Does not wait: false when full or closed, the item stays with the caller. */
bool pst_queue_try_push(struct pst_queue *q, void *item);

enum pst_queue_pop { PST_POP_ITEM, PST_POP_TIMEOUT, PST_POP_CLOSED };

/* Wait at most timeout_ms (negative: without end, 0: not at all) for an item; *out is set
 * only with PST_POP_ITEM. PST_POP_CLOSED: closed and empty, there will be no more. */
enum pst_queue_pop pst_queue_pop(struct pst_queue *q, void **out, int64_t timeout_ms);

void pst_queue_close(struct pst_queue *q); /* may be called again */
bool pst_queue_is_closed(struct pst_queue *q);
size_t pst_queue_len(struct pst_queue *q); /* a moment's value */

/* Release q; `drop` (may be NULL) is called for each item still in it. NULL q is a no-op. */
void pst_queue_free(struct pst_queue *q, void (*drop)(void *item));

#endif
