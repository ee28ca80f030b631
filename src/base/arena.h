/* base/arena.h: memory that is freed all at once.
 *
 * One arena per request, per fetched page, per attempt. A function that returns memory takes
 * the arena to put it in, so ownership can be read from the signature. There is no "current"
 * arena and no way to free one object.
 *
 * Every arena has a byte limit. Going over it is PST_E_LIMIT, a fault of the input; a refusal
 * by the system allocator is PST_E_NO_MEMORY. In both cases the arena stays valid and may be
 * reset.
 *
 * Thread-safety: one thread at a time. Handing an arena to another thread, with everything in
 * it, is allowed through a queue (os/queue.h).
 */
#ifndef PST_BASE_ARENA_H
#define PST_BASE_ARENA_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

struct pst_arena;

/* limit_bytes: ceiling on live bytes, at least 4096. *out is owned by the caller and is
 * released with pst_arena_free(). Errors: NO_MEMORY. */
pst_code pst_arena_new(struct pst_arena **out, size_t limit_bytes, struct pst_err *err);

/* Zeroed, aligned for any type. size 0 is allowed and gives a valid pointer. out is the
 * address of a pointer; the memory lives until reset or free. Errors: NO_MEMORY, LIMIT. */
pst_code pst_arena_alloc(struct pst_arena *a, void *out, size_t size, struct pst_err *err);

/* The same without the zeros: for memory that is written before it is read. */
pst_code pst_arena_bytes(struct pst_arena *a, void *out, size_t size, struct pst_err *err);

/* Zeroed memory for count objects of size bytes each; an overflowing product is LIMIT. */
pst_code pst_arena_array(struct pst_arena *a, void *out, size_t count, size_t size,
                         struct pst_err *err);

/* Copy s into the arena, adding a NUL that is not counted, so that out->ptr may also be given
 * to a C API. Errors: NO_MEMORY, LIMIT. */
pst_code pst_arena_dup(struct pst_arena *a, pst_str *out, pst_str s, struct pst_err *err);

/* Formatted text in the arena, NUL-terminated. Errors: NO_MEMORY, LIMIT. */
pst_code pst_arena_printf(struct pst_arena *a, pst_str *out, struct pst_err *err, const char *fmt,
                          ...) PST_PRINTF(4, 5);

/* Forget everything. Memory is kept, or taken anew in one piece by the next use. Under
 * AddressSanitizer the old bytes are poisoned, so a stale slice traps at its first use. */
void pst_arena_reset(struct pst_arena *a);

size_t pst_arena_used(const struct pst_arena *a); /* bytes handed out since the last reset */

/* Free a and everything in it. NULL is a no-op. */
void pst_arena_free(struct pst_arena *a);

PST_DEFINE_AUTO(arena, struct pst_arena, pst_arena_free);

#endif
