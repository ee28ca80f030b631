/* os/thread.h: starting and joining threads.
 *
 * Threads start with every signal blocked, so that signals arrive only where service.h reads
 * them. Only `app` (and mains of tests and tools) starts threads. pthread mutexes and
 * conditions are used directly; conditions that wait with a timeout are made with
 * pst_cond_init, which uses the monotonic clock.
 */
#ifndef PST_OS_THREAD_H
#define PST_OS_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/time.h"

struct pst_thread;

/* name: at most 15 bytes are shown by the system. arg is borrowed until the thread is joined.
 * Errors: NO_MEMORY, UNAVAILABLE (the system refuses another thread). */
pst_code pst_thread_start(struct pst_thread **out, const char *name, void (*run)(void *arg),
                          void *arg, struct pst_err *err);

/* Wait for its end and release it. NULL is a no-op. */
void pst_thread_join(struct pst_thread *t);

void pst_cond_init(pthread_cond_t *cond);

/* Wait until signalled or deadline (PST_MONO_NEVER: no deadline); false when it has passed.
 * mutex is held by the caller. Wakes may be spurious. */
bool pst_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, pst_mono deadline);

/* Processors this process may run on, at least 1. */
int pst_cpu_count(void);

#endif
