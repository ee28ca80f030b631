/* store/requests.c: writing the request log, and keeping it bounded. */
#include "store/requests.h"

#include "store/rows.h"

static void bind_id(struct pst_stmt *st, int index, const char *prefix, const struct pst_id *id,
                    uint8_t raw[PST_ID_RAW])
{
    if (pst_row_raw_id(raw, prefix, pst_id_str(id)))
        pst_stmt_bind_blob(st, index, raw, PST_ID_RAW);
    else
        pst_stmt_bind_null(st, index);
}

static pst_code add_request(struct pst_db_conn *conn, const struct pst_request_row *r,
                            struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t sync[PST_ID_RAW];
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT OR IGNORE INTO request (at, organization_pk, connection_pk,"
                                " status, duration_us, bytes, id, trace_id, sync_id, operation,"
                                " method, code, cause, actor, detail) VALUES (?1, ?2, ?3, ?4, ?5,"
                                " ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"),
                        &st, err));
    pst_stmt_bind_wall(st, 1, r->at);
    pst_stmt_bind_i64(st, 2, r->organization_pk);
    pst_stmt_bind_i64(st, 3, r->connection_pk);
    pst_stmt_bind_i64(st, 4, r->status);
    pst_stmt_bind_i64(st, 5, r->duration_us);
    pst_stmt_bind_i64(st, 6, (int64_t)r->bytes);
    pst_stmt_bind_blob(st, 7, r->id, PST_ID_RAW);
    pst_stmt_bind_blob(st, 8, r->trace_id, PST_TRACE_ID);
    bind_id(st, 9, "sync_", &r->sync_id, sync);
    pst_stmt_bind_str(st, 10, pst_str_from(r->operation));
    pst_stmt_bind_str(st, 11, pst_str_from(r->method));
    pst_stmt_bind_str(st, 12, pst_str_from(r->code));
    pst_stmt_bind_str(st, 13, pst_str_from(r->cause));
    pst_stmt_bind_str(st, 14, pst_id_str(&r->actor));
    pst_stmt_bind_str(st, 15, pst_str_from(r->detail));
    return pst_stmt_run(st, NULL, err);
}

static pst_code add_call(struct pst_db_conn *conn, const struct pst_call_row *c,
                         struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t connection[PST_ID_RAW];
    uint8_t request[PST_ID_RAW];
    uint8_t sync[PST_ID_RAW];
    PST_TRY(pst_db_stmt(
        conn,
        PST_STR("INSERT INTO upstream_call (connection_pk, at, class, origin, request_id, sync_id,"
                " number, status, bytes, waited_us, dns_us, connect_us, tls_us, first_byte_us,"
                " total_us, span_id, method, path, fault, code, cause, error)"
                " SELECT pk, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
                " ?17, ?18, ?19, ?20, ?21, ?22 FROM connection WHERE id = ?1"),
        &st, err));
    bind_id(st, 1, "conn_", &c->connection_id, connection);
    pst_stmt_bind_wall(st, 2, c->at);
    pst_stmt_bind_i64(st, 3, c->class);
    pst_stmt_bind_str(st, 4, pst_str_from(c->origin));
    bind_id(st, 5, "req_", &c->request_id, request);
    bind_id(st, 6, "sync_", &c->sync_id, sync);
    const int64_t numbers[] = {c->number,     c->status, (int64_t)c->bytes, c->waited_us, c->dns_us,
                               c->connect_us, c->tls_us, c->first_byte_us,  c->total_us};
    for (size_t i = 0; i < PST_COUNT(numbers); i++)
        pst_stmt_bind_i64(st, 7 + (int)i, numbers[i]);
    pst_stmt_bind_blob(st, 16, c->span_id, PST_SPAN_ID);
    const char *const texts[] = {c->method, c->path, c->fault, c->code, c->cause, c->error};
    for (size_t i = 0; i < PST_COUNT(texts); i++)
        pst_stmt_bind_str(st, 17 + (int)i, pst_str_from(texts[i]));
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_requests_add(struct pst_db_conn *conn, const struct pst_request_batch *batch,
                          struct pst_err *err)
{
    for (size_t i = 0; i < batch->request_count; i++)
        PST_TRY(add_request(conn, &batch->requests[i], err));
    for (size_t i = 0; i < batch->call_count; i++)
        PST_TRY(add_call(conn, &batch->calls[i], err));
    return PST_OK;
}

/* ---- retention ---- */

/* Rows come in order of time and their keys without gaps: the oldest ones are looked at, and how
 * many there are follows from the first and the last key. */
static pst_code retain_table(struct pst_db_conn *conn, pst_str bounds, pst_str remove,
                             const int64_t values[3], bool *left, struct pst_err *err)
{
    int64_t changes = 0;
    int64_t first_kept = 0;
    PST_TRY(pst_row_int(conn, bounds, values, 1, &first_kept, err));
    const int64_t all[] = {values[1], first_kept, values[2]};
    PST_TRY(pst_row_run(conn, remove, all, PST_COUNT(all), &changes, err));
    *left = *left || changes == values[2];
    return PST_OK;
}

pst_code pst_requests_retain(struct pst_db_conn *conn, pst_wall before, int64_t max_rows,
                             size_t limit, bool *left, struct pst_err *err)
{
    const int64_t values[] = {max_rows, before.us, (int64_t)limit};
    *left = false;
    PST_TRY(retain_table(conn, PST_STR("SELECT coalesce(max(pk), 0) - ?1 + 1 FROM request"),
                         PST_STR("DELETE FROM request WHERE pk IN (SELECT pk FROM request"
                                 " ORDER BY pk LIMIT ?3) AND (at < ?1 OR pk < ?2)"),
                         values, left, err));
    return retain_table(conn, PST_STR("SELECT coalesce(max(pk), 0) - ?1 + 1 FROM upstream_call"),
                        PST_STR("DELETE FROM upstream_call WHERE pk IN (SELECT pk FROM"
                                " upstream_call ORDER BY pk LIMIT ?3) AND (at < ?1 OR pk < ?2)"),
                        values, left, err);
}
