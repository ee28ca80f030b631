/* store/sealed.c: the sealed secrets of any table. */
#include "store/sealed.h"

#include "store/rows.h"

pst_code pst_sealed_list(struct pst_db_conn *conn, const struct pst_sealed_query *query,
                         struct pst_arena *arena, struct pst_sealed **out, size_t *count,
                         struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    *count = 0;
    PST_TRY(pst_row_limit(query->limit, err));
    PST_TRY(pst_arena_array(arena, out, query->limit, sizeof(**out), err));
    PST_TRY(pst_db_stmt(conn, query->sql, &st, err));
    pst_stmt_bind_i64(st, 1, query->organization_pk);
    pst_stmt_bind_str(st, 2, query->key_id);
    pst_stmt_bind_i64(st, 3, query->after_pk);
    pst_stmt_bind_i64(st, 4, (int64_t)query->limit);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        struct pst_sealed *s = &(*out)[(*count)++];
        s->pk = pst_stmt_i64(st, 0);
        s->row_id = pst_row_id(st, 1, query->prefix);
        PST_TRY(pst_row_blob(st, 2, arena, &s->bytes, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

pst_code pst_sealed_replace(struct pst_db_conn *conn, pst_str sql, int64_t pk, pst_str before,
                            pst_str after, bool *changed, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t changes = 0;
    PST_TRY(pst_db_stmt(conn, sql, &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_blob(st, 2, before.ptr, before.len);
    pst_stmt_bind_blob(st, 3, after.ptr, after.len);
    PST_TRY(pst_stmt_run(st, &changes, err));
    *changed = changes > 0;
    return PST_OK;
}
