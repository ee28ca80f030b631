/* base/map.c: open addressing over an array of entries. */
#include "base/map.h"

#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"

/* Process-wide, written once at start before any thread exists. */
static unsigned long long map_seed;

void pst_map_seed(unsigned long long seed)
{
    map_seed = seed;
}

void pst_map_fini(struct pst_map *m)
{
    for (size_t i = 0; i < m->count; i++)
        pst_free((void *)(uintptr_t)m->entries[i].key.ptr);
    pst_free(m->entries);
    pst_free(m->slots);
    *m = (struct pst_map){0};
}

/* Slot that holds key, or the free slot where it would go. slot_count is a power of two. */
static size_t find_slot(const struct pst_map *m, pst_str key)
{
    size_t mask = m->slot_count - 1;
    size_t at = (size_t)XXH3_64bits_withSeed(key.ptr, key.len, map_seed) & mask;
    while (m->slots[at] != 0 && !pst_str_eq(m->entries[m->slots[at] - 1].key, key))
        at = (at + 1) & mask;
    return at;
}

static void fill_slots(struct pst_map *m)
{
    memset(m->slots, 0, m->slot_count * sizeof(*m->slots));
    for (size_t i = 0; i < m->count; i++)
        m->slots[find_slot(m, m->entries[i].key)] = (unsigned)(i + 1);
}

static pst_code grow(struct pst_map *m, struct pst_err *err)
{
    size_t cap = m->cap ? m->cap * 2 : 8;
    unsigned *slots = pst_calloc(cap * 2, sizeof(*slots));
    struct pst_map_entry *entries = NULL;
    if (slots)
        entries = pst_realloc(m->entries, cap * sizeof(*entries));
    if (!entries) {
        pst_free(slots);
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for a map of %zu", cap);
    }
    pst_free(m->slots);
    m->entries = entries;
    m->cap = cap;
    m->slots = slots;
    m->slot_count = cap * 2;
    fill_slots(m);
    return PST_OK;
}

pst_code pst_map_put(struct pst_map *m, pst_str key, void *value, void **old, struct pst_err *err)
{
    if (m->count == m->cap)
        PST_TRY(grow(m, err));
    size_t at = find_slot(m, key);
    if (m->slots[at] != 0) {
        struct pst_map_entry *e = &m->entries[m->slots[at] - 1];
        if (old)
            *old = e->value;
        e->value = value;
        return PST_OK;
    }
    char *copy = pst_malloc(key.len + 1);
    if (!copy)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for a map key");
    if (key.len)
        memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    m->entries[m->count] = (struct pst_map_entry){{copy, key.len}, value};
    m->slots[at] = (unsigned)++m->count;
    if (old)
        *old = NULL;
    return PST_OK;
}

static struct pst_map_entry *find(const struct pst_map *m, pst_str key)
{
    if (m->count == 0)
        return NULL;
    unsigned index = m->slots[find_slot(m, key)];
    return index ? &m->entries[index - 1] : NULL;
}

void *pst_map_get(const struct pst_map *m, pst_str key)
{
    struct pst_map_entry *e = find(m, key);
    return e ? e->value : NULL;
}

bool pst_map_has(const struct pst_map *m, pst_str key)
{
    return find(m, key) != NULL;
}

void *pst_map_remove(struct pst_map *m, pst_str key)
{
    struct pst_map_entry *e = find(m, key);
    if (!e)
        return NULL;
    void *value = e->value;
    pst_free((void *)(uintptr_t)e->key.ptr);
    *e = m->entries[--m->count];
    fill_slots(m);
    return value;
}
