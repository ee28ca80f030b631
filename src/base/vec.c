/* base/vec.c: growth behind the typed macros. */
#include "base/vec.h"

#include <string.h>

#include "base/alloc.h"

pst_code pst_vec_push_(void *items, size_t *len, size_t *cap, size_t size, void *out,
                       struct pst_err *err)
{
    char *base = NULL;
    memcpy(&base, items, sizeof(base));
    if (*len == *cap) {
        size_t more = *cap ? *cap * 2 : 8;
        size_t bytes = 0;
        char *p = __builtin_mul_overflow(more, size, &bytes) ? NULL : pst_realloc(base, bytes);
        if (!p)
            return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for %zu items", more);
        base = p;
        memcpy(items, &base, sizeof(base));
        *cap = more;
    }
    void *slot = base + *len * size;
    memset(slot, 0, size);
    memcpy(out, &slot, sizeof(slot));
    (*len)++;
    return PST_OK;
}

void pst_vec_free_(void *items)
{
    pst_free(items);
}
