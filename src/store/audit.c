/* store/audit.c: the audit log and the wrapped data keys. */
#include "store/accounts.h"
#include "store/rows.h"

/* ---- audit ---- */

pst_code pst_audit_add(struct pst_db_conn *conn, const struct pst_audit *e, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO audit (organization_pk, at, actor, action, object,"
                                " request_id, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, e->organization_pk);
    pst_stmt_bind_wall(st, 2, e->at);
    pst_stmt_bind_str(st, 3, e->actor);
    pst_stmt_bind_str(st, 4, e->action);
    pst_stmt_bind_str(st, 5, e->object);
    pst_stmt_bind_str(st, 6, e->request_id);
    pst_stmt_bind_str(st, 7, e->detail.len ? e->detail : PST_STR("{}"));
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_audit_list(struct pst_db_conn *conn, int64_t organization_pk, int64_t before_pk,
                        size_t limit, struct pst_arena *arena, struct pst_audit **out,
                        size_t *count, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_audit *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT pk, organization_pk, at, actor, action, object,"
                                " request_id, detail FROM audit"
                                " WHERE organization_pk = ?1 AND pk < ?2"
                                " ORDER BY pk DESC LIMIT ?3"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, organization_pk);
    pst_stmt_bind_i64(st, 2, before_pk ? before_pk : INT64_MAX);
    pst_stmt_bind_i64(st, 3, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        struct pst_audit *e = &items[n++];
        pst_str *const texts[] = {&e->actor, &e->action, &e->object, &e->request_id, &e->detail};
        e->pk = pst_stmt_i64(st, 0);
        e->organization_pk = pst_stmt_i64(st, 1);
        e->at = pst_stmt_wall(st, 2);
        PST_TRY(pst_row_texts(st, 3, PST_COUNT(texts), arena, texts, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

/* ---- data keys ---- */

/* clang-format off */
#define DATA_KEY                                                                                   \
    "SELECT k.pk, k.organization_pk, o.id, k.created_at, k.retired_at, k.key_id, k.wrapped"        \
    " FROM data_key k JOIN organization o ON o.pk = k.organization_pk "
/* clang-format on */

static pst_code read_data_key(struct pst_stmt *st, struct pst_arena *arena,
                              struct pst_data_key *out, struct pst_err *err)
{
    out->pk = pst_stmt_i64(st, 0);
    out->organization_pk = pst_stmt_i64(st, 1);
    out->organization_id = pst_row_id(st, 2, "org_");
    out->created_at = pst_stmt_wall(st, 3);
    out->retired_at = pst_stmt_wall(st, 4);
    PST_TRY(pst_row_text(st, 5, arena, &out->key_id, err));
    return pst_row_blob(st, 6, arena, &out->wrapped, err);
}

pst_code pst_data_keys_add(struct pst_db_conn *conn, struct pst_data_key *key, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    const int64_t retire[] = {key->organization_pk, key->created_at.us};
    PST_TRY(pst_row_run(conn,
                        PST_STR("UPDATE data_key SET retired_at = ?2"
                                " WHERE organization_pk = ?1 AND retired_at IS NULL"),
                        retire, 2, NULL, err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO data_key (organization_pk, key_id, wrapped,"
                                " created_at) VALUES (?1, ?2, ?3, ?4)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, key->organization_pk);
    pst_stmt_bind_str(st, 2, key->key_id);
    pst_stmt_bind_blob(st, 3, key->wrapped.ptr, key->wrapped.len);
    pst_stmt_bind_wall(st, 4, key->created_at);
    PST_TRY(pst_stmt_run(st, NULL, err));
    key->pk = pst_db_last_rowid(conn);
    key->retired_at = PST_WALL_NONE;
    return PST_OK;
}

pst_code pst_data_keys_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str key_id,
                           struct pst_arena *arena, struct pst_data_key *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR(DATA_KEY "WHERE k.organization_pk = ?1 AND CASE ?2 WHEN ''"
                                         " THEN k.retired_at IS NULL ELSE k.key_id = ?2 END"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, organization_pk);
    pst_stmt_bind_str(st, 2, key_id);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "organization %lld has no such data key",
                        (long long)organization_pk);
    return read_data_key(st, arena, out, err);
}

pst_code pst_data_keys_list(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                            struct pst_arena *arena, struct pst_data_key **out, size_t *count,
                            bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_data_key *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(
        pst_db_stmt(conn, PST_STR(DATA_KEY "WHERE k.pk > ?1 ORDER BY k.pk LIMIT ?2"), &st, err));
    pst_stmt_bind_i64(st, 1, after_pk);
    pst_stmt_bind_i64(st, 2, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        PST_TRY(read_data_key(st, arena, &items[n++], err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

pst_code pst_data_keys_rewrap(struct pst_db_conn *conn, int64_t pk, pst_str wrapped,
                              struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t changes = 0;
    PST_TRY(pst_db_stmt(conn, PST_STR("UPDATE data_key SET wrapped = ?2 WHERE pk = ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_blob(st, 2, wrapped.ptr, wrapped.len);
    PST_TRY(pst_stmt_run(st, &changes, err));
    if (changes == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no data key %lld", (long long)pk);
    return PST_OK;
}

pst_code pst_data_keys_retired(struct pst_db_conn *conn, int64_t organization_pk, int64_t *pk,
                               struct pst_err *err)
{
    return pst_row_int(conn,
                       PST_STR("SELECT pk FROM data_key WHERE organization_pk = ?1"
                               " AND retired_at IS NOT NULL ORDER BY pk LIMIT 1"),
                       &organization_pk, 1, pk, err);
}

/* Every column that is in the table of account/rotate.c is asked here. */
pst_code pst_data_keys_remove(struct pst_db_conn *conn, int64_t pk, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    /* Sealed bytes begin with one byte of format and the key's id (crypto/crypto.h). */
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT k.retired_at IS NULL, EXISTS (SELECT 1 FROM connection c"
                                " WHERE c.organization_pk = k.organization_pk"
                                " AND lower(hex(substr(c.credentials, 2, 16))) = k.key_id)"
                                " OR EXISTS (SELECT 1 FROM endpoint p"
                                " WHERE p.organization_pk = k.organization_pk"
                                " AND k.key_id IN (lower(hex(substr(p.secrets, 2, 16))),"
                                " lower(hex(substr(p.headers, 2, 16)))))"
                                " FROM data_key k WHERE k.pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no data key %lld", (long long)pk);
    if (pst_stmt_i64(st, 0) || pst_stmt_i64(st, 1))
        return PST_FAIL(err, PST_E_CONFLICT, "data key %lld is in use", (long long)pk);
    return pst_row_run(conn, PST_STR("DELETE FROM data_key WHERE pk = ?1"), &pk, 1, NULL, err);
}
