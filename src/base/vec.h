/* base/vec.h: typed growable array on pst_malloc.
 *
 *   struct { struct row *items; size_t len, cap; } rows = {0};
 *   struct row *r = NULL;
 *   PST_TRY(pst_vec_push(&rows, &r, err));      r points at a zeroed new last item
 *   pst_vec_fini(&rows);
 *
 * Pointers to items are valid until the next push. For short-lived arrays whose size is known
 * use pst_arena_array(). Thread-safety: one thread at a time.
 */
#ifndef PST_BASE_VEC_H
#define PST_BASE_VEC_H

#include <stddef.h>

#include "base/err.h"

/* Errors: NO_MEMORY. */
#define pst_vec_push(v, out, err)                                                                  \
    pst_vec_push_((void *)&(v)->items, &(v)->len, &(v)->cap, sizeof(*(v)->items), (void *)(out),   \
                  (err))
#define pst_vec_fini(v)                                                                            \
    do {                                                                                           \
        pst_vec_free_((v)->items);                                                                 \
        (v)->items = NULL;                                                                         \
        (v)->len = (v)->cap = 0;                                                                   \
    } while (0)

pst_code pst_vec_push_(void *items, size_t *len, size_t *cap, size_t size, void *out,
                       struct pst_err *err);
void pst_vec_free_(void *items);

#endif
