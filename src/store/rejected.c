/* store/rejected.c: reading the rows that were kept aside, and forgetting what is gone. */
#include "store/rejected.h"

#include "store/rows.h"

/* The end of the last row that ends within the first `max` bytes of a list of rows; 1: of none. */
static size_t find_cut(pst_str source, size_t max)
{
    size_t cut = 1;
    int depth = 0;
    bool is_text = false;
    for (size_t i = 0; i < max; i++) {
        char c = source.ptr[i];
        if (is_text && c == '\\')
            i++;
        else if (c == '"')
            is_text = !is_text;
        else if (!is_text && (c == '{' || c == '['))
            depth++;
        else if (!is_text && (c == '}' || c == ']') && --depth == 1)
            cut = i + 1;
    }
    return cut;
}

/* Behind a source that was cut stands a null (pst_document_source_head). Those that were stored
 * before there was a limit are cut now. */
static pst_code take_source(pst_str stored, struct pst_arena *arena, struct pst_rejected_row *out,
                            struct pst_err *err)
{
    size_t cut = 0;
    if (stored.len > PST_REJECTED_SOURCE_BYTES)
        cut = find_cut(stored, PST_REJECTED_SOURCE_BYTES - 1);
    else if (pst_str_is(stored, "[null]"))
        cut = 1;
    else if (pst_str_ends(stored, PST_STR(",null]")))
        cut = stored.len - PST_STR(",null]").len;
    out->truncated = cut > 0;
    if (cut == 0)
        return pst_arena_dup(arena, &out->source, stored, err);
    char *text = NULL;
    PST_TRY(pst_arena_bytes(arena, &text, cut + 1, err));
    memcpy(text, stored.ptr, cut);
    text[cut] = ']';
    out->source = (pst_str){text, cut + 1};
    return PST_OK;
}

pst_code pst_rejected_list(struct pst_db_conn *conn, int64_t connection_pk,
                           const struct pst_entity *entity, int64_t after_pk, size_t limit,
                           struct pst_arena *arena, struct pst_rejected_row **out, size_t *count,
                           bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_rejected_row *items = NULL;
    size_t n = 0;
    size_t bytes = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(
        conn,
        PST_STR("SELECT r.pk, s.entity, r.source_id, r.reason, r.source, y.id, r.first_at,"
                " r.last_at FROM rejected r JOIN stream s ON s.pk = r.stream_pk"
                " LEFT JOIN sync y ON y.pk = r.sync_pk"
                " WHERE r.connection_pk = ?1 AND r.pk > ?2 AND (?3 = '' OR s.entity = ?3)"
                " ORDER BY r.pk LIMIT ?4"),
        &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    pst_stmt_bind_i64(st, 2, after_pk);
    pst_stmt_bind_str(st, 3, entity ? pst_str_from(entity->name) : PST_STR(""));
    pst_stmt_bind_i64(st, 4, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        struct pst_rejected_row *r = &items[n];
        pst_str *const texts[] = {&r->source_id, &r->reason};
        pst_str source = pst_stmt_str(st, 4);
        bytes += pst_stmt_str(st, 2).len + pst_stmt_str(st, 3).len +
                 pst_str_sub(source, 0, PST_REJECTED_SOURCE_BYTES).len;
        if (n > 0 && bytes > PST_REJECTED_PAGE_BYTES)
            break;
        n++;
        r->pk = pst_stmt_i64(st, 0);
        r->entity = pst_model_entity(pst_stmt_str(st, 1));
        PST_TRY(pst_row_texts(st, 2, PST_COUNT(texts), arena, texts, err));
        PST_TRY(take_source(source, arena, r, err));
        r->sync_id = pst_row_id(st, 5, "sync_");
        r->first_at = pst_stmt_wall(st, 6);
        r->last_at = pst_stmt_wall(st, 7);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

pst_code pst_rejected_drop_unseen(struct pst_db_conn *conn, int64_t stream_pk, int64_t sync_pk,
                                  struct pst_err *err)
{
    const int64_t values[] = {stream_pk, sync_pk};
    int64_t gone = 0;
    /* A read that a run took over from one that broke off has the same as_of in both. */
    PST_TRY(
        pst_row_run(conn,
                    PST_STR("DELETE FROM rejected WHERE stream_pk = ?1"
                            " AND coalesce(sync_pk, 0) NOT IN (SELECT t.sync_pk FROM sync_stream t"
                            " JOIN sync_stream o ON o.stream_pk = t.stream_pk"
                            " AND (t.sync_pk = o.sync_pk OR t.as_of = o.as_of)"
                            " WHERE o.sync_pk = ?2 AND o.stream_pk = ?1)"),
                    values, PST_COUNT(values), &gone, err));
    return pst_rejected_count(conn, stream_pk, -gone, err);
}

pst_code pst_rejected_count(struct pst_db_conn *conn, int64_t stream_pk, int64_t delta,
                            struct pst_err *err)
{
    const int64_t values[] = {stream_pk, delta};
    if (delta == 0)
        return PST_OK;
    return pst_row_run(conn, PST_STR("UPDATE stream SET rejected = rejected + ?2 WHERE pk = ?1"),
                       values, PST_COUNT(values), NULL, err);
}
