/* store/retain.c: removing what is no longer kept, in batches that never hold up the writer:
 * the data of purged connections, and what is older than the retention says. */
#include "base/buf.h"
#include "model/model.h"
#include "store/accounts.h"
#include "store/connections.h"
#include "store/rows.h"
#include "store/store.h"

enum { SQL_BYTES = 1024, CONNECTIONS_PER_BATCH = 100 };

/* Rows that this batch may still remove. */
struct budget {
    int64_t rows;
};

/* Run a DELETE whose last placeholder is the number of rows it may remove. */
static pst_code remove_some(struct pst_db_conn *conn, struct budget *b, pst_str sql,
                            const int64_t *values, size_t count, struct pst_err *err)
{
    int64_t all[4];
    int64_t changes = 0;
    if (b->rows <= 0)
        return PST_OK;
    memcpy(all, values, count * sizeof(*values));
    all[count] = b->rows;
    PST_TRY(pst_row_run(conn, sql, all, count + 1, &changes, err));
    b->rows -= changes;
    return PST_OK;
}

/* ---- purging ---- */

/* In this order: what refers goes before what is referred to. */
static const pst_str purge_steps[] = {
    PST_STR_INIT("DELETE FROM change WHERE connection_pk = ?1 AND seq IN (SELECT seq FROM change"
                 " WHERE connection_pk = ?1 ORDER BY seq LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM rejected WHERE pk IN (SELECT pk FROM rejected"
                 " WHERE connection_pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM sync_missing WHERE (sync_pk, stream_pk, record_pk) IN (SELECT"
                 " m.sync_pk, m.stream_pk, m.record_pk FROM sync y JOIN sync_missing m"
                 " ON m.sync_pk = y.pk WHERE y.connection_pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM sync_stream WHERE (sync_pk, stream_pk) IN (SELECT p.sync_pk,"
                 " p.stream_pk FROM sync y JOIN sync_stream p ON p.sync_pk = y.pk"
                 " WHERE y.connection_pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM sync WHERE pk IN (SELECT pk FROM sync"
                 " WHERE connection_pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM dictionary WHERE pk IN (SELECT d.pk FROM stream s JOIN dictionary d"
                 " ON d.stream_pk = s.pk WHERE s.connection_pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM stream WHERE pk IN (SELECT pk FROM stream"
                 " WHERE connection_pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM access WHERE pk IN (SELECT pk FROM access"
                 " WHERE connection_pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM connection_history WHERE pk IN (SELECT pk FROM connection_history"
                 " WHERE connection_pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM endpoint_choice WHERE connection_pk = ?1 AND endpoint_pk IN (SELECT"
                 " endpoint_pk FROM endpoint_choice WHERE connection_pk = ?1 LIMIT ?2)"),
    /* Those of deleted endpoints go with these. */
    PST_STR_INIT("DELETE FROM lane WHERE connection_pk = ?1 AND endpoint_pk IN (SELECT"
                 " l.endpoint_pk FROM connection c JOIN endpoint p"
                 " ON p.organization_pk = c.organization_pk AND p.deleted_at IS NULL"
                 " JOIN lane l ON l.endpoint_pk = p.pk AND l.connection_pk = c.pk"
                 " WHERE c.pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM upstream_call WHERE pk IN (SELECT pk FROM upstream_call"
                 " WHERE connection_pk = ?1 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM request WHERE pk IN (SELECT pk FROM request"
                 " WHERE connection_pk = ?1 AND connection_pk > 0 LIMIT ?2)"),
    PST_STR_INIT("DELETE FROM connection WHERE pk IN (SELECT ?1 LIMIT ?2)"),
};

static pst_code purge_records(struct pst_db_conn *conn, int64_t pk, struct budget *b,
                              struct pst_err *err)
{
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    PST_AUTO(buf) struct pst_buf sql = {0};
    pst_buf_init(&sql, SQL_BYTES);
    for (size_t i = 0; i < count; i++) {
        pst_buf_reset(&sql);
        pst_buf_addf(&sql,
                     "DELETE FROM %s WHERE pk IN (SELECT pk FROM %s WHERE conn = ?1 LIMIT ?2)",
                     entities[i].table, entities[i].table);
        PST_TRY(pst_buf_check(&sql, err));
        PST_TRY(remove_some(conn, b, pst_buf_str(&sql), &pk, 1, err));
    }
    return PST_OK;
}

pst_code pst_connections_purge(struct pst_db_conn *conn, size_t limit, bool *left,
                               struct pst_err *err)
{
    static const pst_str next =
        PST_STR_INIT("SELECT pk FROM connection c WHERE purge = 1 AND NOT EXISTS (SELECT 1 FROM"
                     " sync y WHERE y.connection_pk = c.pk AND y.ended_at IS NULL"
                     " AND y.claimed = 1) LIMIT 1");
    struct budget b = {(int64_t)limit};
    int64_t pk = 0;
    PST_TRY(pst_row_int(conn, next, NULL, 0, &pk, err));
    while (pk && b.rows > 0) {
        PST_TRY(purge_records(conn, pk, &b, err));
        for (size_t i = 0; i < PST_COUNT(purge_steps); i++)
            PST_TRY(remove_some(conn, &b, purge_steps[i], &pk, 1, err));
        PST_TRY(pst_row_int(conn, next, NULL, 0, &pk, err));
    }
    *left = pk != 0;
    return PST_OK;
}

/* ---- changes ---- */

/* Only from the front, so that what is kept has no gap whatever the clock did. */
static pst_code retain_changes_of(struct pst_db_conn *conn, int64_t connection_pk, pst_wall before,
                                  struct budget *b, struct pst_err *err)
{
    int64_t oldest = 0;
    int64_t kept = 0;
    const int64_t of[] = {connection_pk, before.us};
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT CASE WHEN at < ?2 THEN seq ELSE 0 END FROM change"
                                " WHERE connection_pk = ?1 ORDER BY seq LIMIT 1"),
                        of, 2, &oldest, err));
    if (oldest == 0)
        return PST_OK;
    const int64_t range[] = {connection_pk, before.us, oldest, oldest + b->rows};
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT coalesce(min(seq), ?4) FROM change WHERE connection_pk ="
                                " ?1 AND seq >= ?3 AND seq < ?4 AND at >= ?2"),
                        range, 4, &kept, err));
    const int64_t gone[] = {connection_pk, kept};
    int64_t changes = 0;
    PST_TRY(pst_row_run(conn, PST_STR("DELETE FROM change WHERE connection_pk = ?1 AND seq < ?2"),
                        gone, 2, &changes, err));
    b->rows -= changes;
    return PST_OK;
}

static pst_code put_cursor(struct pst_db_conn *conn, int64_t pk, struct pst_err *err)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)pk);
    return pst_meta_put(conn, PST_STR("retain.changes"), pst_str_from(text), err);
}

/* Goes round the connections, a hundred per batch; where it stands is kept in the store. */
static pst_code retain_changes(struct pst_db_conn *conn, pst_wall before, struct budget *b,
                               bool *left, struct pst_err *err)
{
    int64_t pk = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT CAST(value AS INTEGER) FROM meta"
                                " WHERE name = 'retain.changes'"),
                        NULL, 0, &pk, err));
    for (int i = 0; i < CONNECTIONS_PER_BATCH; i++) {
        int64_t next = 0;
        PST_TRY(pst_row_int(conn,
                            PST_STR("SELECT pk FROM connection WHERE pk > ?1 ORDER BY pk LIMIT 1"),
                            &pk, 1, &next, err));
        if (next == 0)
            return put_cursor(conn, 0, err);
        PST_TRY(retain_changes_of(conn, next, before, b, err));
        if (b->rows <= 0)
            break; /* the same connection again */
        pk = next;
    }
    *left = true;
    return put_cursor(conn, pk, err);
}

/* ---- the rest ---- */

static pst_code retain_syncs(struct pst_db_conn *conn, pst_wall before, struct budget *b,
                             struct pst_err *err)
{
    while (b->rows > 0) {
        int64_t pk = 0;
        PST_TRY(pst_row_int(conn, PST_STR("SELECT pk FROM sync WHERE ended_at < ?1 LIMIT 1"),
                            &before.us, 1, &pk, err));
        if (pk == 0)
            return PST_OK;
        PST_TRY(pst_row_run(conn, PST_STR("DELETE FROM sync_stream WHERE sync_pk = ?1"), &pk, 1,
                            NULL, err));
        PST_TRY(pst_row_run(conn, PST_STR("DELETE FROM sync WHERE pk = ?1"), &pk, 1, NULL, err));
        b->rows--;
    }
    return PST_OK;
}

/* Lists of runs that ended without working them off, unless one may be gone on with
 * (pst_syncs_find_broken). */
static pst_code drop_missing_lists(struct pst_db_conn *conn, struct budget *b, struct pst_err *err)
{
    int64_t pk = 0;
    do {
        int64_t open = 0;
        PST_TRY(pst_row_int(conn,
                            PST_STR("SELECT coalesce(min(sync_pk), 0) FROM sync_missing"
                                    " WHERE sync_pk > ?1"),
                            &pk, 1, &pk, err));
        PST_TRY(pst_row_int(conn,
                            PST_STR("SELECT 1 FROM sync y WHERE y.pk = ?1 AND (y.ended_at IS NULL"
                                    " OR EXISTS (SELECT 1 FROM sync_stream t JOIN stream s"
                                    " ON s.pk = t.stream_pk WHERE t.sync_pk = y.pk"
                                    " AND (t.status = 'failed' OR (t.status = 'cancelled'"
                                    " AND y.cancel_requested = 0)) AND s.synced_to IS NULL))"),
                            &pk, 1, &open, err));
        if (pk && !open)
            PST_TRY(remove_some(conn, b,
                                PST_STR("DELETE FROM sync_missing WHERE (sync_pk, stream_pk,"
                                        " record_pk) IN (SELECT sync_pk, stream_pk, record_pk"
                                        " FROM sync_missing WHERE sync_pk = ?1 LIMIT ?2)"),
                                &pk, 1, err));
    } while (pk && b->rows > 0);
    return PST_OK;
}

static pst_code retain_deleted(struct pst_db_conn *conn, pst_wall before, struct budget *b,
                               struct pst_err *err)
{
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    PST_AUTO(buf) struct pst_buf sql = {0};
    pst_buf_init(&sql, SQL_BYTES);
    for (size_t i = 0; i < count; i++) {
        pst_buf_reset(&sql);
        pst_buf_addf(&sql,
                     "DELETE FROM %s WHERE pk IN (SELECT pk FROM %s"
                     " WHERE deleted_at IS NOT NULL AND deleted_at < ?1 LIMIT ?2)",
                     entities[i].table, entities[i].table);
        PST_TRY(pst_buf_check(&sql, err));
        PST_TRY(remove_some(conn, b, pst_buf_str(&sql), &before.us, 1, err));
    }
    return PST_OK;
}

pst_code pst_store_retain(struct pst_db_conn *conn, const struct pst_retention *keep, size_t limit,
                          bool *left, struct pst_err *err)
{
    struct budget b = {(int64_t)limit};
    pst_wall syncs = keep->syncs;
    /* Rows come in order of time: looking at the oldest ones is enough. */
    const struct {
        pst_wall before;
        pst_str sql;
    } simple[] = {
        {keep->history, PST_STR("DELETE FROM connection_history WHERE at < ?1 AND pk IN (SELECT pk"
                                " FROM connection_history ORDER BY pk LIMIT ?2)")},
        {keep->audit, PST_STR("DELETE FROM audit WHERE at < ?1 AND pk IN (SELECT pk FROM audit"
                              " ORDER BY pk LIMIT ?2)")},
    };
    *left = false;
    if (!pst_wall_is_none(keep->changes))
        PST_TRY(retain_changes(conn, keep->changes, &b, left, err));
    if (pst_wall_is_none(keep->changes) || keep->changes.us < syncs.us)
        syncs = keep->changes; /* changes name the run they came from */
    if (!pst_wall_is_none(syncs))
        PST_TRY(retain_syncs(conn, syncs, &b, err));
    PST_TRY(drop_missing_lists(conn, &b, err));
    for (size_t i = 0; i < PST_COUNT(simple); i++)
        if (!pst_wall_is_none(simple[i].before))
            PST_TRY(remove_some(conn, &b, simple[i].sql, &simple[i].before.us, 1, err));
    if (!pst_wall_is_none(keep->deleted_records))
        PST_TRY(retain_deleted(conn, keep->deleted_records, &b, err));
    *left = *left || b.rows <= 0;
    return PST_OK;
}
