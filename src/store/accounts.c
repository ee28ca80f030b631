/* store/accounts.c: organizations, keys and tokens, facts of the store. */
#include "store/accounts.h"

#include "store/rows.h"

/* ---- organizations ---- */

/* clang-format off */
#define ORGANIZATION                                                                               \
    "SELECT pk, id, created_at, name, credits IS NOT NULL, coalesce(credits, 0), overage,"         \
    " credits_used FROM organization "
/* clang-format on */

static pst_code read_organization(struct pst_stmt *st, struct pst_arena *arena,
                                  struct pst_organization *out, struct pst_err *err)
{
    out->pk = pst_stmt_i64(st, 0);
    out->id = pst_row_id(st, 1, "org_");
    out->created_at = pst_stmt_wall(st, 2);
    out->credits = (struct pst_credits){
        .has_pool = pst_stmt_i64(st, 4) != 0,
        .pool = pst_stmt_i64(st, 5),
        .allows_overage = pst_stmt_i64(st, 6) != 0,
        .used = pst_stmt_i64(st, 7),
    };
    return pst_row_text(st, 3, arena, &out->name, err);
}

pst_code pst_organizations_create(struct pst_db_conn *conn, struct pst_organization *org,
                                  struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    if (!pst_row_raw_id(raw, "org_", pst_id_str(&org->id)))
        return PST_FAIL(err, PST_E_INTERNAL, "'%s' is no organization id", org->id.text);
    PST_TRY(pst_db_stmt(
        conn, PST_STR("INSERT INTO organization (id, name, created_at) VALUES (?1, ?2, ?3)"), &st,
        err));
    pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
    pst_stmt_bind_str(st, 2, org->name);
    pst_stmt_bind_wall(st, 3, org->created_at);
    PST_TRY(pst_stmt_run(st, NULL, err));
    org->pk = pst_db_last_rowid(conn);
    return PST_OK;
}

pst_code pst_organizations_get(struct pst_db_conn *conn, pst_str id, struct pst_arena *arena,
                               struct pst_organization *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    if (pst_row_raw_id(raw, "org_", id)) {
        PST_TRY(pst_db_stmt(conn, PST_STR(ORGANIZATION "WHERE id = ?1"), &st, err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no organization '%.*s'", PST_STR_ARG(id));
    return read_organization(st, arena, out, err);
}

pst_code pst_organizations_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                                  struct pst_organization *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, PST_STR(ORGANIZATION "WHERE pk = ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no organization %lld", (long long)pk);
    return read_organization(st, arena, out, err);
}

pst_code pst_organizations_list(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                                struct pst_arena *arena, struct pst_organization **out,
                                size_t *count, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_organization *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(
        pst_db_stmt(conn, PST_STR(ORGANIZATION "WHERE pk > ?1 ORDER BY pk LIMIT ?2"), &st, err));
    pst_stmt_bind_i64(st, 1, after_pk);
    pst_stmt_bind_i64(st, 2, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        PST_TRY(read_organization(st, arena, &items[n++], err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

/* ---- API keys and connection tokens ---- */

/* clang-format off */
#define ACCESS                                                                                     \
    "SELECT a.pk, a.id, a.organization_pk, o.id, a.connection_pk, c.id, a.hash, a.role,"           \
    " a.created_at, a.last_used_at, a.revoked_at, a.hint, a.name"                                  \
    " FROM access a JOIN organization o ON o.pk = a.organization_pk"                               \
    " LEFT JOIN connection c ON c.pk = a.connection_pk "
/* clang-format on */

static const char *const role_names[] = {
    [PST_ROLE_VIEWER] = "viewer",
    [PST_ROLE_DEVELOPER] = "developer",
    [PST_ROLE_ADMIN] = "admin",
};

const char *pst_role_name(enum pst_role role)
{
    return role_names[role];
}

bool pst_role_parse(enum pst_role *out, pst_str name)
{
    int i = pst_row_find_name(role_names, PST_COUNT(role_names), name);
    if (i >= 0)
        *out = (enum pst_role)i;
    return i >= 0;
}

static pst_code read_access(struct pst_stmt *st, struct pst_arena *arena, struct pst_access *out,
                            struct pst_err *err)
{
    *out = (struct pst_access){
        .pk = pst_stmt_i64(st, 0),
        .id = pst_row_id(st, 1, "key_"),
        .organization_pk = pst_stmt_i64(st, 2),
        .organization_id = pst_row_id(st, 3, "org_"),
        .connection_pk = pst_stmt_i64(st, 4),
        .connection_id = pst_row_id(st, 5, "conn_"),
        .created_at = pst_stmt_wall(st, 8),
        .last_used_at = pst_stmt_wall(st, 9),
        .revoked_at = pst_stmt_wall(st, 10),
    };
    pst_str hash = pst_stmt_blob(st, 6);
    if (hash.len != sizeof(out->hash) || !pst_role_parse(&out->role, pst_stmt_str(st, 7)))
        return PST_FAIL(err, PST_E_CORRUPT, "key %lld is damaged", (long long)out->pk);
    memcpy(out->hash, hash.ptr, hash.len);
    PST_TRY(pst_row_text(st, 11, arena, &out->hint, err));
    return pst_row_text(st, 12, arena, &out->name, err);
}

pst_code pst_accesses_create(struct pst_db_conn *conn, struct pst_access *a, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    if (!pst_row_raw_id(raw, "key_", pst_id_str(&a->id)))
        return PST_FAIL(err, PST_E_INTERNAL, "'%s' is no key id", a->id.text);
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO access (id, organization_pk, connection_pk, hash,"
                                " hint, name, role, created_at)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
                        &st, err));
    pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
    pst_stmt_bind_i64(st, 2, a->organization_pk);
    pst_row_bind_ref(st, 3, a->connection_pk);
    pst_stmt_bind_blob(st, 4, a->hash, sizeof(a->hash));
    pst_stmt_bind_str(st, 5, a->hint);
    pst_stmt_bind_str(st, 6, a->name);
    pst_stmt_bind_str(st, 7, pst_str_from(role_names[a->role]));
    pst_stmt_bind_wall(st, 8, a->created_at);
    PST_TRY(pst_stmt_run(st, NULL, err));
    a->pk = pst_db_last_rowid(conn);
    return PST_OK;
}

pst_code pst_accesses_find(struct pst_db_conn *conn, const uint8_t hash[PST_SHA256_BYTES],
                           struct pst_arena *arena, struct pst_access *out, bool *found,
                           struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR(ACCESS "WHERE a.hash = ?1 AND a.revoked_at IS NULL"
                                       " AND c.deleted_at IS NULL"),
                        &st, err));
    pst_stmt_bind_blob(st, 1, hash, PST_SHA256_BYTES);
    PST_TRY(pst_stmt_step(st, found, err));
    return *found ? read_access(st, arena, out, err) : PST_OK;
}

pst_code pst_accesses_list(struct pst_db_conn *conn, int64_t organization_pk, int64_t connection_pk,
                           int64_t after_pk, size_t limit, struct pst_arena *arena,
                           struct pst_access **out, size_t *count, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_access *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR(ACCESS "WHERE a.organization_pk = ?1 AND a.pk > ?2"
                                       " AND (?3 < 0 OR coalesce(a.connection_pk, 0) = ?3)"
                                       " ORDER BY a.pk LIMIT ?4"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, organization_pk);
    pst_stmt_bind_i64(st, 2, after_pk);
    pst_stmt_bind_i64(st, 3, connection_pk);
    pst_stmt_bind_i64(st, 4, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        PST_TRY(read_access(st, arena, &items[n++], err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

pst_code pst_accesses_revoke(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                             pst_wall now, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    int64_t changes = 0;
    if (pst_row_raw_id(raw, "key_", id)) {
        PST_TRY(pst_db_stmt(conn,
                            PST_STR("UPDATE access SET revoked_at = coalesce(revoked_at, ?3)"
                                    " WHERE id = ?1 AND organization_pk = ?2"),
                            &st, err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        pst_stmt_bind_i64(st, 2, organization_pk);
        pst_stmt_bind_wall(st, 3, now);
        PST_TRY(pst_stmt_run(st, &changes, err));
    }
    if (changes == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no key '%.*s'", PST_STR_ARG(id));
    return PST_OK;
}

pst_code pst_accesses_touch(struct pst_db_conn *conn, int64_t pk, pst_wall now, struct pst_err *err)
{
    const int64_t minute = 60 * PST_US_PER_S;
    const int64_t values[] = {pk, now.us - now.us % minute};
    return pst_row_run(conn, PST_STR("UPDATE access SET last_used_at = ?2 WHERE pk = ?1"), values,
                       2, NULL, err);
}

/* ---- facts of the store ---- */

pst_code pst_meta_get(struct pst_db_conn *conn, pst_str name, struct pst_arena *arena, pst_str *out,
                      bool *found, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn, PST_STR("SELECT value FROM meta WHERE name = ?1"), &st, err));
    pst_stmt_bind_str(st, 1, name);
    PST_TRY(pst_stmt_step(st, found, err));
    if (!*found) {
        *out = PST_STR("");
        return PST_OK;
    }
    return pst_row_blob(st, 0, arena, out, err);
}

pst_code pst_meta_put(struct pst_db_conn *conn, pst_str name, pst_str value, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO meta (name, value) VALUES (?1, ?2)"
                                " ON CONFLICT (name) DO UPDATE SET value = excluded.value"),
                        &st, err));
    pst_stmt_bind_str(st, 1, name);
    pst_stmt_bind_blob(st, 2, value.ptr, value.len);
    return pst_stmt_run(st, NULL, err);
}
