/* webhook/queue.c: a hash table of nodes that lie in their objects, and a heap of timers. */
#include <string.h>

#include "base/alloc.h"
#include "webhook/internal.h"

/* ---- table ---- */

enum { FIRST_BUCKETS = 64, FIRST_TIMERS = 64 };

static size_t bucket_of(const struct pst_hook_table *t, int64_t a, int64_t b)
{
    uint64_t x = (uint64_t)a * 0x9e3779b97f4a7c15U + (uint64_t)b;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93U;
    x ^= x >> 32;
    return (size_t)x & (t->bucket_count - 1);
}

void *pst_hook_table_find(const struct pst_hook_table *t, int64_t a, int64_t b)
{
    if (t->count == 0)
        return NULL;
    struct pst_hook_node *node = t->buckets[bucket_of(t, a, b)];
    while (node && (node->a != a || node->b != b))
        node = node->next;
    return node;
}

static void put(struct pst_hook_table *t, struct pst_hook_node *node)
{
    struct pst_hook_node **bucket = &t->buckets[bucket_of(t, node->a, node->b)];
    node->next = *bucket;
    *bucket = node;
}

static pst_code grow_table(struct pst_hook_table *t, struct pst_err *err)
{
    struct pst_hook_table grown = {
        .bucket_count = t->bucket_count ? t->bucket_count * 2 : FIRST_BUCKETS, .count = t->count};
    PST_TRY(pst_new((void **)&grown.buckets, grown.bucket_count * sizeof(*grown.buckets), err));
    for (size_t i = 0; i < t->bucket_count; i++) {
        while (t->buckets[i]) {
            struct pst_hook_node *node = t->buckets[i];
            t->buckets[i] = node->next;
            put(&grown, node);
        }
    }
    pst_free((void *)t->buckets);
    *t = grown;
    return PST_OK;
}

pst_code pst_hook_table_add(struct pst_hook_table *t, struct pst_hook_node *node,
                            struct pst_err *err)
{
    if (t->count == t->bucket_count)
        PST_TRY(grow_table(t, err));
    put(t, node);
    t->count++;
    return PST_OK;
}

void pst_hook_table_remove(struct pst_hook_table *t, struct pst_hook_node *node)
{
    struct pst_hook_node **at = &t->buckets[bucket_of(t, node->a, node->b)];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    t->count--;
}

void pst_hook_table_fini(struct pst_hook_table *t)
{
    pst_free((void *)t->buckets);
    *t = (struct pst_hook_table){0};
}

/* ---- timers: a binary heap; places count from 1 ---- */

pst_code pst_hook_heap_reserve(struct pst_hook_heap *heap, size_t count, struct pst_err *err)
{
    if (count <= heap->cap)
        return PST_OK;
    size_t cap = heap->cap ? heap->cap * 2 : FIRST_TIMERS;
    while (cap < count)
        cap *= 2;
    struct pst_hook_timer **items = pst_realloc((void *)heap->items, cap * sizeof(*items));
    if (!items)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for %zu timers", cap);
    heap->items = items;
    heap->cap = cap;
    return PST_OK;
}

static void set_place(struct pst_hook_heap *heap, size_t place, struct pst_hook_timer *timer)
{
    heap->items[place - 1] = timer;
    timer->place = place;
}

static void sift(struct pst_hook_heap *heap, struct pst_hook_timer *timer, size_t place)
{
    while (place > 1 && heap->items[place / 2 - 1]->at.ns > timer->at.ns) {
        set_place(heap, place, heap->items[place / 2 - 1]);
        place /= 2;
    }
    for (size_t child = 2 * place; child <= heap->len; child = 2 * place) {
        if (child < heap->len && heap->items[child]->at.ns < heap->items[child - 1]->at.ns)
            child++;
        if (heap->items[child - 1]->at.ns >= timer->at.ns)
            break;
        set_place(heap, place, heap->items[child - 1]);
        place = child;
    }
    set_place(heap, place, timer);
}

void pst_hook_heap_set(struct pst_hook_heap *heap, struct pst_hook_timer *timer, pst_mono at)
{
    timer->at = at;
    sift(heap, timer, timer->place ? timer->place : ++heap->len);
}

void pst_hook_heap_clear(struct pst_hook_heap *heap, struct pst_hook_timer *timer)
{
    size_t place = timer->place;
    if (place == 0)
        return;
    timer->place = 0;
    struct pst_hook_timer *last = heap->items[--heap->len];
    if (last != timer)
        sift(heap, last, place);
}

void pst_hook_heap_fini(struct pst_hook_heap *heap)
{
    pst_free((void *)heap->items);
    *heap = (struct pst_hook_heap){0};
}
