/* base/map.h: hash map from text to pointer, keyed hash so that chosen keys cannot collide.
 *
 * Keys are copied; values belong to the caller. Iteration order is that of insertion as long
 * as nothing was removed. Thread-safety: one thread at a time.
 */
#ifndef PST_BASE_MAP_H
#define PST_BASE_MAP_H

#include "base/err.h"
#include "base/str.h"

struct pst_map_entry {
    pst_str key; /* owned by the map */
    void *value;
};

struct pst_map {
    struct pst_map_entry *entries; /* entries[0..count), read freely */
    size_t count;
    size_t cap;
    unsigned *slots; /* private: index + 1 into entries, 0 = empty */
    size_t slot_count;
};

/* An all-zero map is empty and ready. The seed is set once per process, before the first map
 * is used, from the kernel's randomness; tests may leave it 0. */
void pst_map_seed(unsigned long long seed);
void pst_map_fini(struct pst_map *m);

/* Insert or replace; *old (may be NULL) gets the value replaced, or NULL.
 * Errors: NO_MEMORY. */
pst_code pst_map_put(struct pst_map *m, pst_str key, void *value, void **old, struct pst_err *err);

void *pst_map_get(const struct pst_map *m, pst_str key); /* NULL when absent */
bool pst_map_has(const struct pst_map *m, pst_str key);
void *pst_map_remove(struct pst_map *m, pst_str key); /* the value, or NULL when absent */

#endif
