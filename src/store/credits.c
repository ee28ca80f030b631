/* store/credits.c: pools, what is held of them, and the ledger. */
#include "store/credits.h"

#include "store/rows.h"
#include "store/store.h"

pst_code pst_credits_get(struct pst_db_conn *conn, int64_t organization_pk, struct pst_credits *out,
                         struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT credits IS NOT NULL, coalesce(credits, 0), overage,"
                                " credits_used FROM organization WHERE pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, organization_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no organization %lld", (long long)organization_pk);
    *out = (struct pst_credits){
        .has_pool = pst_stmt_i64(st, 0) != 0,
        .pool = pst_stmt_i64(st, 1),
        .allows_overage = pst_stmt_i64(st, 2) != 0,
        .used = pst_stmt_i64(st, 3),
    };
    return PST_OK;
}

pst_code pst_credits_set(struct pst_db_conn *conn, int64_t organization_pk,
                         const struct pst_credits *c, struct pst_err *err)
{
    int64_t changes = 0;
    const int64_t values[] = {organization_pk, c->has_pool, c->pool, c->allows_overage};
    PST_TRY(pst_row_run(conn,
                        PST_STR("UPDATE organization SET credits = CASE ?2 WHEN 1 THEN ?3 END,"
                                " overage = ?4 WHERE pk = ?1"),
                        values, PST_COUNT(values), &changes, err));
    if (changes == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no organization %lld", (long long)organization_pk);
    return PST_OK;
}

pst_code pst_credits_total(struct pst_db_conn *conn, int64_t *out, struct pst_err *err)
{
    return pst_row_int(conn, PST_STR("SELECT coalesce(sum(credits_used), 0) FROM organization"),
                       NULL, 0, out, err);
}

pst_code pst_credits_held(struct pst_db_conn *conn, int64_t connection_pk, int64_t *out,
                          struct pst_err *err)
{
    return pst_row_int(conn, PST_STR("SELECT credits FROM connection WHERE pk = ?1"),
                       &connection_pk, 1, out, err);
}

static pst_code change_one(struct pst_db_conn *conn, pst_str sql, int64_t pk, int64_t amount,
                           struct pst_err *err)
{
    int64_t changes = 0;
    const int64_t values[] = {pk, amount};
    PST_TRY(pst_row_run(conn, sql, values, PST_COUNT(values), &changes, err));
    if (changes == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND, "nobody there to book credits for");
    return PST_OK;
}

pst_code pst_credits_move(struct pst_db_conn *conn, struct pst_credit_entry *entry,
                          struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_credits after;
    uint8_t raw[PST_ID_RAW];
    if (!pst_row_raw_id(raw, "conn_", pst_id_str(&entry->connection_id)))
        return PST_FAIL(err, PST_E_INTERNAL, "'%s' is no connection id", entry->connection_id.text);
    PST_TRY(change_one(
        conn, PST_STR("UPDATE organization SET credits_used = credits_used + ?2 WHERE pk = ?1"),
        entry->organization_pk, entry->amount, err));
    PST_TRY(change_one(conn, PST_STR("UPDATE connection SET credits = credits + ?2 WHERE pk = ?1"),
                       entry->connection_pk, entry->amount, err));
    PST_TRY(pst_credits_get(conn, entry->organization_pk, &after, err));
    entry->used = after.used;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO credit_entry (organization_pk, connection_pk,"
                                " connection_id, at, amount, overage, used, reason, request_id)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, entry->organization_pk);
    pst_stmt_bind_i64(st, 2, entry->connection_pk);
    pst_stmt_bind_blob(st, 3, raw, sizeof(raw));
    pst_stmt_bind_wall(st, 4, entry->at);
    pst_stmt_bind_i64(st, 5, entry->amount);
    pst_stmt_bind_i64(st, 6, entry->overage);
    pst_stmt_bind_i64(st, 7, entry->used);
    pst_stmt_bind_str(st, 8, entry->reason);
    pst_stmt_bind_str(st, 9, entry->request_id);
    PST_TRY(pst_stmt_run(st, NULL, err));
    entry->pk = pst_db_last_rowid(conn);
    return PST_OK;
}

pst_code pst_credits_ledger(struct pst_db_conn *conn, int64_t organization_pk, int64_t before_pk,
                            size_t limit, struct pst_arena *arena, struct pst_credit_entry **out,
                            size_t *count, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_credit_entry *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT pk, connection_pk, connection_id, at, amount, overage,"
                                " used, reason, request_id FROM credit_entry"
                                " WHERE organization_pk = ?1 AND pk < ?2"
                                " ORDER BY pk DESC LIMIT ?3"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, organization_pk);
    pst_stmt_bind_i64(st, 2, before_pk ? before_pk : INT64_MAX);
    pst_stmt_bind_i64(st, 3, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        struct pst_credit_entry *e = &items[n++];
        *e = (struct pst_credit_entry){
            .pk = pst_stmt_i64(st, 0),
            .organization_pk = organization_pk,
            .connection_pk = pst_stmt_i64(st, 1),
            .connection_id = pst_row_id(st, 2, "conn_"),
            .at = pst_stmt_wall(st, 3),
            .amount = pst_stmt_i64(st, 4),
            .overage = pst_stmt_i64(st, 5),
            .used = pst_stmt_i64(st, 6),
        };
        PST_TRY(pst_row_text(st, 7, arena, &e->reason, err));
        PST_TRY(pst_row_text(st, 8, arena, &e->request_id, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

static pst_code read_holder(struct pst_stmt *st, struct pst_arena *arena,
                            struct pst_credit_holder *h, struct pst_err *err)
{
    *h = (struct pst_credit_holder){
        .pk = pst_stmt_i64(st, 0),
        .id = pst_row_id(st, 1, "conn_"),
        .credits = pst_stmt_i64(st, 2),
    };
    if (!pst_connection_status_parse(&h->status, pst_stmt_str(st, 3)))
        return PST_FAIL(err, PST_E_CORRUPT, "a connection has an unknown status");
    PST_TRY(pst_row_text(st, 4, arena, &h->name, err));
    return pst_row_text(st, 5, arena, &h->connector, err);
}

pst_code pst_credits_holders(struct pst_db_conn *conn, int64_t organization_pk, int64_t after_pk,
                             size_t limit, struct pst_arena *arena, struct pst_credit_holder **out,
                             size_t *count, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_credit_holder *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT pk, id, credits, status, name, connector FROM connection"
                                " WHERE organization_pk = ?1 AND pk > ?2 AND deleted_at IS NULL"
                                " ORDER BY pk LIMIT ?3"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, organization_pk);
    pst_stmt_bind_i64(st, 2, after_pk);
    pst_stmt_bind_i64(st, 3, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        PST_TRY(read_holder(st, arena, &items[n++], err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}
