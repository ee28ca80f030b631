/* base/alloc.h: the only caller of malloc.
 *
 * Out of memory is a result, never an abort. Tests make the n-th allocation of a thread
 * fail (pst_alloc_fail_at) and count what is still live (pst_alloc_live).
 *
 * Thread-safety: all functions may be called from any thread; the fault counter is per
 * thread, the live counter is global.
 */
#ifndef PST_BASE_ALLOC_H
#define PST_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* NULL when there is no memory (or a fault was asked for). size 0 gives a valid pointer. */
void *pst_malloc(size_t size);
void *pst_calloc(size_t count, size_t size); /* zeroed; an overflowing product is NULL */
void *pst_realloc(void *ptr, size_t size); /* ptr stays valid when NULL is returned */
void pst_free(void *ptr); /* NULL is a no-op */

/* pst_calloc that reports: *out is a `void **` to a zeroed object. Errors: NO_MEMORY. */
pst_code pst_new(void **out, size_t size, struct pst_err *err);

/* Give back to the system what is free, of all threads; takes milliseconds. For the end of work
 * that needed much. */
void pst_alloc_trim(void);

/* Tests only: let the n-th allocation from now (0 is the first) of this thread fail; -1
 * switches off. pst_alloc_failed: whether it did since the last pst_alloc_fail_at. */
void pst_alloc_fail_at(long n);
bool pst_alloc_failed(void);
/* Whether this allocation is the one to fail; counts it. Arenas ask for each of theirs, so that
 * every one can fail and not only those that need a new block. */
bool pst_alloc_must_fail(void);
long pst_alloc_fail_left(void); /* allocations before the one that fails; negative: none does */
int64_t pst_alloc_live(void); /* allocations not yet freed, over all threads */

#endif
