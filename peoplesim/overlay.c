/* peoplesim/overlay.c: a sorted list of sorted chunks of changes. */
#include "peoplesim/overlay.h"

#include "base/alloc.h"
#include "base/vec.h"

static void free_edits(struct pst_sim_change *c)
{
    for (size_t i = 0; i < c->edits.len; i++) {
        struct pst_sim_edit *e = &c->edits.items[i];
        for (size_t k = 0; k < e->values.len; k++)
            pst_free((void *)(uintptr_t)e->values.items[k].text.ptr);
        pst_vec_fini(&e->values);
    }
    pst_vec_fini(&c->edits);
}

void pst_sim_overlay_fini(struct pst_sim_overlay *o)
{
    for (size_t i = 0; i < o->chunks.len; i++) {
        struct pst_sim_chunk *chunk = o->chunks.items[i];
        for (size_t k = 0; k < chunk->len; k++) {
            free_edits(chunk->items[k]);
            pst_free(chunk->items[k]);
        }
        pst_free(chunk);
    }
    pst_vec_fini(&o->chunks);
    o->count = 0;
}

void pst_sim_change_clear(struct pst_sim_change *c)
{
    free_edits(c);
    *c = (struct pst_sim_change){.doc = c->doc, .stamp = PST_SIM_STAMP_BASE};
}

struct pst_sim_place pst_sim_overlay_lower(const struct pst_sim_overlay *o, uint64_t doc)
{
    /* The first chunk whose last document is not below doc. */
    size_t lo = 0;
    size_t hi = o->chunks.len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct pst_sim_chunk *c = o->chunks.items[mid];
        if (c->items[c->len - 1]->doc < doc)
            lo = mid + 1;
        else
            hi = mid;
    }
    struct pst_sim_place p = {lo, 0};
    if (lo == o->chunks.len)
        return p;
    const struct pst_sim_chunk *c = o->chunks.items[lo];
    size_t end = c->len;
    while (p.item < end) {
        size_t mid = p.item + (end - p.item) / 2;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): below len, items are set */
        if (c->items[mid]->doc < doc)
            p.item = mid + 1;
        else
            end = mid;
    }
    return p;
}

const struct pst_sim_change *pst_sim_overlay_at(const struct pst_sim_overlay *o,
                                                struct pst_sim_place p)
{
    if (p.chunk >= o->chunks.len)
        return NULL;
    return o->chunks.items[p.chunk]->items[p.item];
}

void pst_sim_overlay_step(const struct pst_sim_overlay *o, struct pst_sim_place *p)
{
    if (++p->item >= o->chunks.items[p->chunk]->len)
        *p = (struct pst_sim_place){p->chunk + 1, 0};
}

const struct pst_sim_change *pst_sim_overlay_find(const struct pst_sim_overlay *o, uint64_t doc)
{
    const struct pst_sim_change *c = pst_sim_overlay_at(o, pst_sim_overlay_lower(o, doc));
    return c && c->doc == doc ? c : NULL;
}

/* Put an empty chunk at index `at` of the list. */
static pst_code insert_chunk(struct pst_sim_overlay *o, size_t at, struct pst_sim_chunk **out,
                             struct pst_err *err)
{
    struct pst_sim_chunk *chunk = NULL;
    PST_TRY(pst_new((void **)&chunk, sizeof(*chunk), err));
    struct pst_sim_chunk **last = NULL;
    pst_code rc = pst_vec_push(&o->chunks, &last, err);
    if (rc != PST_OK) {
        pst_free(chunk);
        return rc;
    }
    struct pst_sim_chunk **items = o->chunks.items;
    memmove(&items[at + 1], &items[at], (o->chunks.len - 1 - at) * sizeof(*items));
    items[at] = chunk;
    *out = chunk;
    return PST_OK;
}

/* Where a new change for doc goes, in a chunk that has room. */
static pst_code make_room(struct pst_sim_overlay *o, uint64_t doc, struct pst_sim_chunk **out,
                          size_t *item, struct pst_err *err)
{
    struct pst_sim_place p = pst_sim_overlay_lower(o, doc);
    if (o->chunks.len == 0) {
        *item = 0;
        return insert_chunk(o, 0, out, err);
    }
    if (p.chunk == o->chunks.len) { /* behind everything: at the end of the last chunk */
        p.chunk--;
        p.item = o->chunks.items[p.chunk]->len;
    }
    struct pst_sim_chunk *chunk = o->chunks.items[p.chunk];
    if (chunk->len == PST_SIM_CHUNK) {
        struct pst_sim_chunk *right = NULL;
        size_t half = PST_SIM_CHUNK / 2;
        PST_TRY(insert_chunk(o, p.chunk + 1, &right, err));
        memcpy(right->items, chunk->items + half, (PST_SIM_CHUNK - half) * sizeof(*right->items));
        right->len = PST_SIM_CHUNK - half;
        chunk->len = half;
        if (p.item > half) {
            chunk = right;
            p.item -= half;
        }
    }
    *out = chunk;
    *item = p.item;
    return PST_OK;
}

pst_code pst_sim_overlay_touch(struct pst_sim_overlay *o, uint64_t doc, struct pst_sim_change **out,
                               struct pst_err *err)
{
    struct pst_sim_place p = pst_sim_overlay_lower(o, doc);
    const struct pst_sim_change *found = pst_sim_overlay_at(o, p);
    if (found && found->doc == doc) {
        *out = o->chunks.items[p.chunk]->items[p.item];
        return PST_OK;
    }
    struct pst_sim_change *c = NULL;
    PST_TRY(pst_new((void **)&c, sizeof(*c), err));
    *c = (struct pst_sim_change){.doc = doc, .stamp = PST_SIM_STAMP_BASE};
    struct pst_sim_chunk *chunk = NULL;
    size_t item = 0;
    pst_code rc = make_room(o, doc, &chunk, &item, err);
    if (rc != PST_OK) {
        pst_free(c);
        return rc;
    }
    memmove(&chunk->items[item + 1], &chunk->items[item],
            (chunk->len - item) * sizeof(*chunk->items));
    chunk->items[item] = c;
    chunk->len++;
    o->count++;
    *out = c;
    return PST_OK;
}

/* Index of the first edit that is not below (line, sub). */
static size_t edit_lower(const struct pst_sim_change *c, uint32_t line, uint32_t sub)
{
    size_t lo = 0;
    size_t hi = c->edits.len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct pst_sim_edit *e = &c->edits.items[mid];
        if (e->line < line || (e->line == line && e->sub < sub))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct pst_sim_edit *pst_sim_edit_find(const struct pst_sim_change *c, uint32_t line,
                                             uint32_t sub)
{
    size_t at = edit_lower(c, line, sub);
    if (at == c->edits.len || c->edits.items[at].line != line || c->edits.items[at].sub != sub)
        return NULL;
    return &c->edits.items[at];
}

pst_code pst_sim_edit_touch(struct pst_sim_change *c, uint32_t line, uint32_t sub,
                            struct pst_sim_edit **out, struct pst_err *err)
{
    size_t at = edit_lower(c, line, sub);
    struct pst_sim_edit *items = c->edits.items;
    if (at == c->edits.len || items[at].line != line || items[at].sub != sub) {
        struct pst_sim_edit *last = NULL;
        PST_TRY(pst_vec_push(&c->edits, &last, err));
        items = c->edits.items;
        memmove(&items[at + 1], &items[at], (c->edits.len - 1 - at) * sizeof(*items));
        items[at] = (struct pst_sim_edit){.line = line, .sub = sub};
    }
    *out = &items[at];
    return PST_OK;
}

pst_code pst_sim_edit_set(struct pst_sim_edit *e, int column, pst_str text, struct pst_err *err)
{
    char *copy = pst_malloc(text.len + 1);
    if (!copy)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for a value");
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    struct pst_sim_set_value *v = NULL;
    for (size_t i = 0; i < e->values.len && !v; i++)
        if (e->values.items[i].column == column)
            v = &e->values.items[i];
    if (v) {
        pst_free((void *)(uintptr_t)v->text.ptr);
    } else {
        pst_code rc = pst_vec_push(&e->values, &v, err);
        if (rc != PST_OK) {
            pst_free(copy);
            return rc;
        }
    }
    *v = (struct pst_sim_set_value){column, {copy, text.len}};
    return PST_OK;
}
