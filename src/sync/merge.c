/* sync/merge.c: order, pairing and classification of a page's documents. */
#include "sync/merge.h"

#include <stdlib.h>

#include "base/vec.h"

static int compare_keys(const void *a, const void *b, void *ctx)
{
    const struct pst_document *docs = ctx;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    int by_key = pst_str_cmp(docs[x].sort_key, docs[y].sort_key);
    return by_key != 0 ? by_key : (x > y) - (x < y);
}

/* Of two documents with one key the one that the source changed last, else the later one. */
static bool replaces(const struct pst_document *later, const struct pst_document *earlier)
{
    if (pst_wall_is_none(later->stamp) || pst_wall_is_none(earlier->stamp))
        return true;
    return later->stamp.us >= earlier->stamp.us;
}

static void drop_repeats(struct pst_merge *m)
{
    size_t kept = 0;
    bool gap = false; /* since the last one kept */
    for (size_t i = 0; i < m->count; i++) {
        const struct pst_document *doc = &m->docs[m->order[i]];
        gap |= m->gaps[i];
        if (kept > 0 && pst_str_eq(m->docs[m->order[kept - 1]].sort_key, doc->sort_key)) {
            if (replaces(doc, &m->docs[m->order[kept - 1]]))
                m->order[kept - 1] = m->order[i];
            continue;
        }
        m->gaps[kept] = gap;
        gap = false;
        m->order[kept++] = m->order[i];
    }
    m->gaps[kept] = gap | m->gaps[m->count];
    m->count = kept;
}

pst_code pst_merge_prepare(struct pst_merge *m, const struct pst_page *page, pst_str prev_key,
                           bool gap_open, struct pst_arena *arena, struct pst_err *err)
{
    *m = (struct pst_merge){.docs = page->documents};
    PST_TRY(pst_arena_array(arena, &m->order, page->count, sizeof *m->order, err));
    PST_TRY(pst_arena_array(arena, &m->gaps, page->count + 1, sizeof *m->gaps, err));
    m->gaps[0] = gap_open;
    pst_str last = prev_key;
    bool has_repeats = false;
    bool is_sorted = true;
    for (size_t i = 0; i < page->count; i++) {
        pst_str key = page->documents[i].sort_key;
        if (key.len == 0) {
            m->gaps[m->count] = true;
            continue;
        }
        int order = last.len > 0 ? pst_str_cmp(key, last) : 1;
        m->is_disordered = m->is_disordered || order < 0;
        is_sorted = is_sorted && (order >= 0 || m->count == 0);
        has_repeats = has_repeats || order == 0;
        m->order[m->count++] = (uint32_t)i;
        last = key;
    }
    if (!is_sorted)
        qsort_r(m->order, m->count, sizeof *m->order, compare_keys, (void *)(uintptr_t)m->docs);
    if (!is_sorted || has_repeats)
        drop_repeats(m);
    if (m->count > 0) {
        m->min_key = m->docs[m->order[0]].sort_key;
        m->max_key = m->docs[m->order[m->count - 1]].sort_key;
    }
    return pst_arena_array(arena, &m->matches, m->count, sizeof *m->matches, err);
}

static bool is_missing(const struct pst_merge *m, const struct pst_record_state *state,
                       pst_wall window_from)
{
    if (state->deleted || m->gaps[m->at])
        return false;
    /* None is before every time: no window takes all, no stamp is in no window. */
    return state->stamp.us >= window_from.us;
}

pst_code pst_merge_states(struct pst_merge *m, const struct pst_record_states *chunk,
                          pst_wall window_from, struct pst_missing *missing, struct pst_err *err)
{
    for (size_t i = 0; i < chunk->count; i++) {
        const struct pst_record_state *state = &chunk->items[i];
        int order = -1;
        while (m->at < m->count) {
            order = pst_str_cmp(state->sort_key, m->docs[m->order[m->at]].sort_key);
            if (order <= 0)
                break;
            m->at++;
        }
        if (m->at < m->count && order == 0) {
            m->matches[m->at++] = (struct pst_match){.pk = state->pk,
                                                     .source_hash = state->source_hash,
                                                     .hash = state->hash,
                                                     .deleted = state->deleted};
            continue;
        }
        if (!is_missing(m, state, window_from))
            continue;
        int64_t *pk = NULL;
        PST_TRY(pst_vec_push(missing, &pk, err));
        *pk = state->pk;
    }
    return PST_OK;
}

static bool same_hash(pst_hash128 a, pst_hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

bool pst_merge_is_known(const struct pst_match *match, pst_hash128 source_hash)
{
    return match->pk != 0 && !match->deleted && same_hash(match->source_hash, source_hash);
}

enum pst_record_op pst_merge_classify(const struct pst_match *match, pst_hash128 hash)
{
    if (match->pk == 0)
        return PST_RECORD_CREATE;
    return !match->deleted && same_hash(match->hash, hash) ? PST_RECORD_RESTAMP : PST_RECORD_UPDATE;
}

/* Keys of a stream are built alike (model/page.h): texts that end with a 0 byte, integers of 8
 * bytes. Without its final 0 a key is the one right before it; otherwise the last 8 bytes are
 * lowered by one, as the number that they may be. */
pst_code pst_merge_key_before(pst_str key, struct pst_arena *arena, pst_str *out,
                              struct pst_err *err)
{
    if (key.ptr[key.len - 1] == '\0') {
        *out = pst_str_sub(key, 0, key.len - 1);
        return PST_OK;
    }
    unsigned char *copy = NULL;
    PST_TRY(pst_arena_alloc(arena, &copy, key.len + 8, err));
    memcpy(copy, key.ptr, key.len);
    copy[key.len - 1]--;
    memset(copy + key.len, 0xff, 8);
    *out = (pst_str){(const char *)copy, key.len + 8};
    return PST_OK;
}
