/* store/outages.c: the rows of outages. */
#include "store/outages.h"

#include "store/rows.h"

static void read_outage(struct pst_stmt *st, struct pst_outage *o)
{
    *o = (struct pst_outage){
        .connection_pk = pst_stmt_i64(st, 0),
        .version = pst_stmt_i64(st, 1),
        .owed = pst_stmt_i64(st, 2) != 0,
        .failures = pst_stmt_i64(st, 3),
        .failing_since = pst_stmt_wall(st, 4),
        .kind = (enum pst_outage_kind)pst_stmt_i64(st, 5),
        .step = pst_stmt_i64(st, 6),
        .hold_ms = pst_stmt_i64(st, 7),
        .saved_at = pst_stmt_wall(st, 8),
        .saved = {pst_stmt_i64(st, 9)},
        .counted = {pst_stmt_i64(st, 10)},
        .changed = {pst_stmt_i64(st, 11)},
        .told_at = {pst_stmt_i64(st, 12)},
        .tell = {pst_stmt_i64(st, 13)},
        .probe = {pst_stmt_i64(st, 14)},
    };
    (void)pst_connection_status_parse(&o->told, pst_stmt_str(st, 15));
    (void)pst_str_copy(o->cause, sizeof(o->cause), pst_stmt_str(st, 16));
    (void)pst_str_copy(o->origin, sizeof(o->origin), pst_stmt_str(st, 17));
}

pst_code pst_outages_get(struct pst_db_conn *conn, int64_t connection_pk, struct pst_outage *out,
                         struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(
        pst_db_stmt(conn,
                    PST_STR("SELECT connection_pk, version, owed, failures, failing_since, kind,"
                            " step, hold_ms, saved_at, saved_ns, counted_ns, changed_ns,"
                            " told_ns, tell_ns, probe_ns, told, cause, origin"
                            " FROM outage WHERE connection_pk = ?1"),
                    &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    *out = (struct pst_outage){
        .connection_pk = connection_pk, .tell = PST_MONO_NEVER, .probe = PST_MONO_NEVER};
    out->failing_since = out->saved_at = PST_WALL_NONE;
    if (row)
        read_outage(st, out);
    return PST_OK;
}

pst_code pst_outages_is_failing(struct pst_db_conn *conn, int64_t connection_pk, bool *out,
                                struct pst_err *err)
{
    int64_t found = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT failures > 0 OR probe_ns < 9223372036854775807 FROM outage"
                                " WHERE connection_pk = ?1"),
                        &connection_pk, 1, &found, err));
    *out = found != 0;
    return PST_OK;
}

pst_code pst_outages_put(struct pst_db_conn *conn, const struct pst_outage *o, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool is_busy = o->tell.ns != PST_MONO_NEVER.ns || o->probe.ns != PST_MONO_NEVER.ns;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT OR REPLACE INTO outage (connection_pk, version, busy, owed,"
                                " failures, failing_since, kind, step, told, hold_ms, saved_at,"
                                " saved_ns, counted_ns, changed_ns, told_ns, tell_ns, probe_ns,"
                                " cause, origin) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
                                " ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"),
                        &st, err));
    const int64_t numbers[] = {o->saved.ns,   o->counted.ns, o->changed.ns,
                               o->told_at.ns, o->tell.ns,    o->probe.ns};
    pst_stmt_bind_i64(st, 1, o->connection_pk);
    pst_stmt_bind_i64(st, 2, o->version + 1);
    pst_stmt_bind_i64(st, 3, is_busy);
    pst_stmt_bind_i64(st, 4, o->owed);
    pst_stmt_bind_i64(st, 5, o->failures);
    pst_stmt_bind_wall(st, 6, o->failing_since);
    pst_stmt_bind_i64(st, 7, o->kind);
    pst_stmt_bind_i64(st, 8, o->step);
    pst_stmt_bind_str(st, 9, pst_str_from(pst_connection_status_name(o->told)));
    pst_stmt_bind_i64(st, 10, o->hold_ms);
    pst_stmt_bind_wall(st, 11, o->saved_at);
    for (int i = 0; i < (int)PST_COUNT(numbers); i++)
        pst_stmt_bind_i64(st, 12 + i, numbers[i]);
    pst_stmt_bind_str(st, 18, pst_str_from(o->cause));
    pst_stmt_bind_str(st, 19, pst_str_from(o->origin));
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_outages_settle(struct pst_db_conn *conn, int64_t connection_pk, struct pst_err *err)
{
    return pst_row_run(conn,
                       PST_STR("UPDATE outage SET owed = 0 WHERE connection_pk = ?1 AND owed = 1"),
                       &connection_pk, 1, NULL, err);
}

pst_code pst_outages_away(struct pst_db_conn *conn, int64_t after_pk, struct pst_outage_away *out,
                          size_t limit, size_t *count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    *count = 0;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT o.connection_pk, o.origin, c.connector FROM outage o"
                                " INDEXED BY outage_busy JOIN connection c ON c.pk ="
                                " o.connection_pk WHERE o.busy = 1 AND o.connection_pk > ?1"
                                " AND o.kind = ?2 AND o.failures > 0 AND c.deleted_at IS NULL"
                                " AND " PST_ROW_HAS_WORKED " ORDER BY o.connection_pk LIMIT ?3"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, after_pk);
    pst_stmt_bind_i64(st, 2, PST_OUTAGE_ORIGIN_DOWN);
    pst_stmt_bind_i64(st, 3, (int64_t)limit);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        struct pst_outage_away *a = &out[(*count)++];
        *a = (struct pst_outage_away){.connection_pk = pst_stmt_i64(st, 0)};
        (void)pst_str_copy(a->origin, sizeof(a->origin), pst_stmt_str(st, 1));
        (void)pst_str_copy(a->connector, sizeof(a->connector), pst_stmt_str(st, 2));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

pst_code pst_outages_busy(struct pst_db_conn *conn, int64_t after_pk, int64_t *out, size_t limit,
                          size_t *count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    *count = 0;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT connection_pk FROM outage WHERE busy = 1"
                                " AND connection_pk > ?1 ORDER BY connection_pk LIMIT ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, after_pk);
    pst_stmt_bind_i64(st, 2, (int64_t)limit);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        out[(*count)++] = pst_stmt_i64(st, 0);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}
