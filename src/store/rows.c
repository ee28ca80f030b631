/* store/rows.c: small steps between rows and structs. */
#include "store/rows.h"

pst_code pst_row_texts(struct pst_stmt *st, int first, size_t count, struct pst_arena *arena,
                       pst_str *const *out, struct pst_err *err)
{
    for (size_t i = 0; i < count; i++)
        PST_TRY(pst_row_text(st, first + (int)i, arena, out[i], err));
    return PST_OK;
}

struct pst_id pst_row_id(struct pst_stmt *st, int column, const char *prefix)
{
    pst_str raw = pst_stmt_blob(st, column);
    if (raw.len != PST_ID_RAW)
        return (struct pst_id){0};
    return pst_id_format(prefix, (const uint8_t *)raw.ptr);
}

void pst_row_bind_ref(struct pst_stmt *st, int index, int64_t pk)
{
    if (pk == 0)
        pst_stmt_bind_null(st, index);
    else
        pst_stmt_bind_i64(st, index, pk);
}

int pst_row_find_name(const char *const *names, size_t count, pst_str name)
{
    for (size_t i = 0; i < count; i++)
        if (pst_str_is(name, names[i]))
            return (int)i;
    return -1;
}

pst_code pst_row_run(struct pst_db_conn *conn, pst_str sql, const int64_t *values, size_t count,
                     int64_t *changes, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn, sql, &st, err));
    for (size_t i = 0; i < count; i++)
        pst_stmt_bind_i64(st, (int)i + 1, values[i]);
    return pst_stmt_run(st, changes, err);
}

pst_code pst_row_int(struct pst_db_conn *conn, pst_str sql, const int64_t *values, size_t count,
                     int64_t *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, sql, &st, err));
    for (size_t i = 0; i < count; i++)
        pst_stmt_bind_i64(st, (int)i + 1, values[i]);
    PST_TRY(pst_stmt_step(st, &row, err));
    *out = row ? pst_stmt_i64(st, 0) : 0;
    return PST_OK;
}

pst_code pst_row_limit(size_t limit, struct pst_err *err)
{
    if (limit < 1 || limit > PST_ROWS_MAX)
        return PST_FAIL_AT(err, PST_E_INVALID, "limit", "'limit' is %zu, it goes from 1 to %d",
                           limit, (int)PST_ROWS_MAX);
    return PST_OK;
}
