/* store/syncs.c: the life of a run: queued, claimed, begun and ended stream by stream. */
#include "store/syncs.h"

#include "store/rows.h"
#include "store/store.h"
#include "store/streams.h"
#include "store/syncs_private.h"

/* ---- queueing ---- */

static pst_code check_connection(struct pst_db_conn *conn, int64_t connection_pk,
                                 struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT status = 'inactive' FROM connection"
                                " WHERE pk = ?1 AND deleted_at IS NULL"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no connection %lld", (long long)connection_pk);
    if (pst_stmt_i64(st, 0))
        return PST_FAIL(err, PST_E_INACTIVE, "the connection is inactive");
    return PST_OK;
}

/* The stream's pk, and which run holds it ("" = none). */
static pst_code look_at_stream(struct pst_db_conn *conn, int64_t connection_pk,
                               const struct pst_entity *entity, int64_t *stream_pk,
                               struct pst_id *holder, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_streams_ensure(conn, connection_pk, entity, stream_pk, err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT y.id FROM stream s JOIN sync y ON y.pk = s.sync_pk"
                                " WHERE s.pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, *stream_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    *holder = row ? pst_row_id(st, 0, "sync_") : (struct pst_id){0};
    return PST_OK;
}

static pst_code insert_sync(struct pst_db_conn *conn, const struct pst_sync_request *r, int64_t *pk,
                            struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    if (!pst_row_raw_id(raw, "sync_", pst_id_str(&r->id)))
        return PST_FAIL(err, PST_E_INTERNAL, "'%s' is no sync id", r->id.text);
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO sync (id, connection_pk, cause, mode, status,"
                                " requested_at, request_id)"
                                " VALUES (?1, ?2, ?3, ?4, 'queued', ?5, ?6)"),
                        &st, err));
    pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
    pst_stmt_bind_i64(st, 2, r->connection_pk);
    pst_stmt_bind_str(st, 3, pst_str_from(pst_sync_trigger_name(r->trigger)));
    pst_stmt_bind_str(st, 4, pst_str_from(pst_sync_mode_name(r->mode)));
    pst_stmt_bind_wall(st, 5, r->now);
    pst_stmt_bind_str(st, 6, r->request_id);
    PST_TRY(pst_stmt_run(st, NULL, err));
    *pk = pst_db_last_rowid(conn);
    return PST_OK;
}

static pst_code take_stream(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                            size_t position, struct pst_err *err)
{
    const int64_t row[] = {sync_pk, stream_pk, (int64_t)position};
    PST_TRY(pst_row_run(conn,
                        PST_STR("INSERT INTO sync_stream (sync_pk, stream_pk, position, status)"
                                " VALUES (?1, ?2, ?3, 'queued')"),
                        row, 3, NULL, err));
    return pst_row_run(conn, PST_STR("UPDATE stream SET sync_pk = ?1 WHERE pk = ?2"), row, 2, NULL,
                       err);
}

static pst_code end_waiting(struct pst_db_conn *conn, int64_t sync_pk, pst_wall now,
                            struct pst_err *err);

/* What waits for a system that is offline makes room for who wants to try it now; what it was to
 * read is caught up with in any case, and a first read that it had begun is gone on with: nobody
 * asked for its end. */
static pst_code clear_way(struct pst_db_conn *conn, const struct pst_sync_request *r,
                          struct pst_err *err)
{
    int64_t pk = 0;
    do {
        PST_TRY(pst_row_int(conn,
                            PST_STR("SELECT s.pk FROM sync s JOIN connection c"
                                    " ON c.pk = s.connection_pk WHERE s.connection_pk = ?1"
                                    " AND s.ended_at IS NULL AND s.claimed = 0"
                                    " AND s.cause <> 'manual' AND c.status = 'offline' LIMIT 1"),
                            &r->connection_pk, 1, &pk, err));
        if (pk)
            PST_TRY(end_waiting(conn, pk, r->now, err));
    } while (pk);
    return PST_OK;
}

pst_code pst_syncs_create(struct pst_db_conn *conn, const struct pst_sync_request *r, int64_t *pk,
                          struct pst_id *busy, struct pst_err *err)
{
    int64_t streams[PST_ENTITIES_MAX];
    size_t count = 0;
    if (r->entity_count == 0 || r->entity_count > PST_ENTITIES_MAX)
        return PST_FAIL_AT(err, PST_E_INVALID, "entities", "a sync needs 1 to %d entities",
                           (int)PST_ENTITIES_MAX);
    PST_TRY(check_connection(conn, r->connection_pk, err));
    if (r->trigger == PST_SYNC_MANUAL)
        PST_TRY(clear_way(conn, r, err));
    for (size_t i = 0; i < r->entity_count; i++) {
        struct pst_id holder;
        PST_TRY(
            look_at_stream(conn, r->connection_pk, r->entities[i], &streams[count], &holder, err));
        if (holder.text[0] == 0) {
            count++;
        } else if (r->trigger != PST_SYNC_SCHEDULED) {
            if (busy)
                *busy = holder;
            return PST_FAIL(err, PST_E_SYNC_IN_PROGRESS, "%s is reading %s", holder.text,
                            r->entities[i]->name);
        }
    }
    *pk = 0;
    if (count == 0)
        return PST_OK;
    PST_TRY(insert_sync(conn, r, pk, err));
    for (size_t i = 0; i < count; i++) {
        pst_code code = take_stream(conn, *pk, streams[i], i, err);
        if (code == PST_E_CONFLICT)
            return PST_FAIL_AT(err, PST_E_INVALID, "entities", "an entity is named twice");
        PST_TRY(code);
    }
    pst_db_notify(conn, PST_TOPIC_SYNCS);
    return PST_OK;
}

/* Which run is next. What nobody asked for by hand waits while its connection is offline: it is
 * taken up when the system is back. One that waits for a busy system is not looked at before its
 * time; a time that lies further away than any wait was written before the clock was set back. */
#define NEXT_OF(status)                                                                            \
    PST_STR_INIT("SELECT s.pk FROM sync s WHERE s.ended_at IS NULL AND s.claimed = 0"              \
                 " AND s.status = '" status "' AND (s.resume_at <= ?1 OR s.resume_at > ?2)"        \
                 " AND (s.cause = 'manual' OR NOT EXISTS"                                          \
                 " (SELECT 1 FROM connection c WHERE c.pk = s.connection_pk"                       \
                 " AND c.status = 'offline')) ORDER BY s.pk LIMIT 1")
static const pst_str waiting[] = {NEXT_OF("running"), NEXT_OF("queued")};

pst_code pst_syncs_claim(struct pst_db_conn *conn, pst_wall now, struct pst_arena *arena,
                         struct pst_sync *out, bool *found, struct pst_err *err)
{
    int64_t pk = 0;
    const int64_t times[] = {now.us, now.us + PST_SYNC_WAIT_MAX_S * PST_US_PER_S};
    for (size_t i = 0; i < PST_COUNT(waiting) && pk == 0; i++)
        PST_TRY(pst_row_int(conn, waiting[i], times, PST_COUNT(times), &pk, err));
    *found = pk != 0;
    if (!*found)
        return PST_OK;
    const int64_t values[] = {pk, now.us};
    PST_TRY(pst_row_run(conn,
                        PST_STR("UPDATE sync SET status = 'running', claimed = 1, resume_at = 0,"
                                " started_at = coalesce(started_at, ?2) WHERE pk = ?1"),
                        values, 2, NULL, err));
    pst_db_notify(conn, PST_TOPIC_SYNCS);
    return pst_syncs_get_pk(conn, pk, arena, out, err);
}

pst_code pst_syncs_recover(struct pst_db_conn *conn, int64_t *count, struct pst_err *err)
{
    return pst_row_run(conn,
                       PST_STR("UPDATE sync SET claimed = 0"
                               " WHERE ended_at IS NULL AND claimed = 1"),
                       NULL, 0, count, err);
}

pst_code pst_syncs_release(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err)
{
    return pst_row_run(conn,
                       PST_STR("UPDATE sync SET claimed = 0,"
                               " resume_at = CASE cancel_requested WHEN 1 THEN 0 ELSE resume_at END"
                               " WHERE pk = ?1 AND ended_at IS NULL"),
                       &sync_pk, 1, NULL, err);
}

pst_code pst_syncs_put_off(struct pst_db_conn *conn, int64_t sync_pk, pst_wall until,
                           unsigned waits_max, bool *is_put_off, struct pst_err *err)
{
    static const pst_str sql = PST_STR_INIT(
        "UPDATE sync SET resume_at = ?2, waits = CASE waited_pages WHEN p.pages THEN waits + 1"
        " ELSE 1 END, waited_pages = p.pages FROM (SELECT coalesce(sum(pages), 0) AS pages"
        " FROM sync_stream WHERE sync_pk = ?1) p WHERE pk = ?1 AND status = 'running'"
        " AND (waits < ?3 OR waited_pages <> p.pages)");
    const int64_t values[] = {sync_pk, until.us, waits_max};
    int64_t changed = 0;
    PST_TRY(pst_row_run(conn, sql, values, PST_COUNT(values), &changed, err));
    *is_put_off = changed > 0;
    pst_db_notify(conn, PST_TOPIC_SYNCS);
    return PST_OK;
}

pst_code pst_syncs_wait(struct pst_db_conn *conn, int64_t sync_pk, pst_wall until,
                        struct pst_err *err)
{
    const int64_t values[] = {sync_pk, until.us};
    return pst_row_run(conn, PST_STR("UPDATE sync SET resume_at = ?2 WHERE pk = ?1"), values,
                       PST_COUNT(values), NULL, err);
}

pst_code pst_syncs_next_resume(struct pst_db_conn *conn, pst_wall now, pst_wall *out,
                               struct pst_err *err)
{
    int64_t us = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT min(resume_at) FROM sync WHERE ended_at IS NULL"
                                " AND claimed = 0 AND resume_at > ?1"),
                        &now.us, 1, &us, err));
    out->us = us ? us : PST_WALL_NONE.us;
    return PST_OK;
}

static pst_code check_open(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err)
{
    int64_t open = 0;
    PST_TRY(pst_row_int(conn, PST_STR("SELECT 1 FROM sync WHERE pk = ?1 AND status = 'running'"),
                        &sync_pk, 1, &open, err));
    return open ? PST_OK : PST_FAIL(err, PST_E_CONFLICT, "the sync is not running");
}

pst_code pst_syncs_withdraw(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err)
{
    int64_t begun = 0;
    PST_TRY(check_open(conn, sync_pk, err));
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT count(*) FROM sync_stream WHERE sync_pk = ?1 AND begun"),
                        &sync_pk, 1, &begun, err));
    if (begun)
        return PST_FAIL(err, PST_E_CONFLICT, "the sync has begun");
    PST_TRY(pst_row_run(conn, PST_STR("UPDATE stream SET sync_pk = NULL WHERE sync_pk = ?1"),
                        &sync_pk, 1, NULL, err));
    PST_TRY(pst_row_run(conn, PST_STR("DELETE FROM sync_stream WHERE sync_pk = ?1"), &sync_pk, 1,
                        NULL, err));
    pst_db_notify(conn, PST_TOPIC_SYNCS);
    return pst_row_run(conn, PST_STR("DELETE FROM sync WHERE pk = ?1"), &sync_pk, 1, NULL, err);
}

/* ---- cancelling ---- */

/* Ends a run that no worker has. */
static pst_code end_waiting(struct pst_db_conn *conn, int64_t sync_pk, pst_wall now,
                            struct pst_err *err)
{
    const struct pst_sync_outcome cancelled = {.status = PST_SYNC_CANCELLED};
    enum pst_sync_status status;
    const int64_t values[] = {sync_pk};
    PST_TRY(pst_row_run(conn, PST_STR("UPDATE sync SET status = 'running' WHERE pk = ?1"), values,
                        1, NULL, err));
    return pst_syncs_end(conn, sync_pk, &cancelled, false, now, &status, err);
}

static pst_code cancel_one(struct pst_db_conn *conn, int64_t sync_pk, bool has_worker, pst_wall now,
                           struct pst_err *err)
{
    pst_db_notify(conn, PST_TOPIC_SYNCS);
    PST_TRY(pst_row_run(conn, PST_STR("UPDATE sync SET cancel_requested = 1 WHERE pk = ?1"),
                        &sync_pk, 1, NULL, err));
    return has_worker ? PST_OK : end_waiting(conn, sync_pk, now, err);
}

pst_code pst_syncs_cancel(struct pst_db_conn *conn, int64_t connection_pk, pst_str id, pst_wall now,
                          struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    if (pst_row_raw_id(raw, "sync_", id)) {
        PST_TRY(pst_db_stmt(conn,
                            PST_STR("SELECT pk, claimed, ended_at FROM sync"
                                    " WHERE id = ?1 AND connection_pk = ?2"),
                            &st, err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        pst_stmt_bind_i64(st, 2, connection_pk);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no sync '%.*s'", PST_STR_ARG(id));
    if (!pst_stmt_is_null(st, 2))
        return PST_OK;
    int64_t pk = pst_stmt_i64(st, 0);
    bool has_worker = pst_stmt_i64(st, 1) != 0;
    return cancel_one(conn, pk, has_worker, now, err);
}

pst_code pst_syncs_cancel_all(struct pst_db_conn *conn, int64_t connection_pk, pst_wall now,
                              struct pst_err *err)
{
    int64_t pk = 0;
    do {
        PST_TRY(pst_row_int(conn,
                            PST_STR("SELECT pk FROM sync WHERE ended_at IS NULL AND claimed = 0"
                                    " AND connection_pk = ?1 LIMIT 1"),
                            &connection_pk, 1, &pk, err));
        if (pk)
            PST_TRY(cancel_one(conn, pk, false, now, err));
    } while (pk);
    pst_db_notify(conn, PST_TOPIC_SYNCS);
    return pst_row_run(conn,
                       PST_STR("UPDATE sync SET cancel_requested = 1"
                               " WHERE ended_at IS NULL AND connection_pk = ?1"),
                       &connection_pk, 1, NULL, err);
}

/* ---- running ---- */

static pst_code no_such_stream(struct pst_err *err)
{
    return PST_FAIL(err, PST_E_CONFLICT, "the sync does not read that stream any more");
}

pst_code pst_syncs_begin_stream(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                                pst_wall from, pst_wall to, pst_wall as_of, pst_wall now,
                                struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t changes = 0;
    PST_TRY(pst_syncs_check_running(conn, sync_pk, err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE sync_stream SET status = 'running',"
                                " window_from = CASE begun WHEN 0 THEN ?3 ELSE window_from END,"
                                " window_to = CASE begun WHEN 0 THEN ?4 ELSE window_to END,"
                                " as_of = CASE begun WHEN 0 THEN ?5 ELSE as_of END,"
                                " started_at = coalesce(started_at, ?6), begun = 1"
                                " WHERE sync_pk = ?1 AND stream_pk = ?2 AND ended_at IS NULL"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, sync_pk);
    pst_stmt_bind_i64(st, 2, stream_pk);
    pst_stmt_bind_wall(st, 3, from);
    pst_stmt_bind_wall(st, 4, to);
    pst_stmt_bind_wall(st, 5, as_of);
    pst_stmt_bind_wall(st, 6, now);
    PST_TRY(pst_stmt_run(st, &changes, err));
    if (changes == 0)
        return no_such_stream(err);
    const int64_t values[] = {stream_pk, now.us};
    pst_db_notify(conn, PST_TOPIC_SYNCS);
    return pst_row_run(conn, PST_STR("UPDATE stream SET last_attempt_at = ?2 WHERE pk = ?1"),
                       values, 2, NULL, err);
}

pst_code pst_syncs_take_over(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                             int64_t broken_pk, struct pst_err *err)
{
    const int64_t values[] = {sync_pk, stream_pk, broken_pk};
    PST_TRY(pst_row_run(conn,
                        PST_STR("UPDATE sync_stream SET (after_key, sort_key) ="
                                " (SELECT after_key, sort_key FROM sync_stream"
                                " WHERE sync_pk = ?3 AND stream_pk = ?2)"
                                " WHERE sync_pk = ?1 AND stream_pk = ?2"),
                        values, 3, NULL, err));
    return pst_row_run(conn,
                       PST_STR("UPDATE sync_missing SET sync_pk = ?1"
                               " WHERE sync_pk = ?3 AND stream_pk = ?2"),
                       values, 3, NULL, err);
}

pst_code pst_syncs_begin_delete(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                                struct pst_err *err)
{
    const int64_t values[] = {sync_pk, stream_pk};
    int64_t changes = 0;
    PST_TRY(pst_syncs_check_running(conn, sync_pk, err));
    PST_TRY(pst_row_run(conn,
                        PST_STR("UPDATE sync_stream SET phase = 1"
                                " WHERE sync_pk = ?1 AND stream_pk = ?2 AND ended_at IS NULL"),
                        values, 2, &changes, err));
    return changes ? PST_OK : no_such_stream(err);
}

pst_code pst_syncs_set_calls(struct pst_db_conn *conn, int64_t sync_pk, int64_t calls,
                             struct pst_err *err)
{
    const int64_t values[] = {sync_pk, calls};
    return pst_row_run(conn,
                       PST_STR("UPDATE sync SET own_calls = ?2 - coalesce("
                               "(SELECT sum(calls) FROM sync_stream WHERE sync_pk = ?1), 0)"
                               " WHERE pk = ?1"),
                       values, 2, NULL, err);
}

/* ---- ending ---- */

static pst_code close_sync_stream(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                                  const struct pst_sync_outcome *o, pst_wall now, int64_t *changes,
                                  struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool failed = o->status == PST_SYNC_FAILED;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE sync_stream SET status = ?3, ended_at = ?4,"
                                " error_code = ?5, error_message = ?6"
                                " WHERE sync_pk = ?1 AND stream_pk = ?2 AND ended_at IS NULL"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, sync_pk);
    pst_stmt_bind_i64(st, 2, stream_pk);
    pst_stmt_bind_str(st, 3, pst_str_from(pst_sync_status_name(o->status)));
    pst_stmt_bind_wall(st, 4, now);
    pst_stmt_bind_str(st, 5, failed ? pst_str_from(pst_code_name(o->failure->code)) : PST_STR(""));
    pst_stmt_bind_str(st, 6, failed ? pst_str_from(o->failure->msg) : PST_STR(""));
    return pst_stmt_run(st, changes, err);
}

/* The stream moves on (COMPLETED) or remembers why not (FAILED); either way it is free. */
static pst_code free_stream(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                            const struct pst_sync_outcome *o, pst_wall now, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    static const pst_str completed = PST_STR_INIT(
        "UPDATE stream SET sync_pk = NULL, last_success_at = ?3, error_code = '',"
        " error_message = '', mapping_version = ?4, unguarded = 0,"
        " synced_to = coalesce((SELECT coalesce(p.window_to, p.as_of) FROM sync_stream p"
        " WHERE p.sync_pk = ?2 AND p.stream_pk = ?1), synced_to),"
        " last_full_at = CASE (SELECT mode FROM sync WHERE pk = ?2) WHEN 'full' THEN ?3"
        " ELSE last_full_at END"
        " WHERE pk = ?1 AND sync_pk = ?2");
    /* A run may fail before it begins its streams; it has attempted them all the same. */
    static const pst_str failed =
        PST_STR_INIT("UPDATE stream SET sync_pk = NULL, error_code = ?3, error_message = ?4,"
                     " last_attempt_at = max(coalesce(last_attempt_at, 0),"
                     " coalesce((SELECT started_at FROM sync WHERE pk = ?2), ?5))"
                     " WHERE pk = ?1 AND sync_pk = ?2");
    static const pst_str cancelled =
        PST_STR_INIT("UPDATE stream SET sync_pk = NULL WHERE pk = ?1 AND sync_pk = ?2");
    pst_str sql = o->status == PST_SYNC_COMPLETED ? completed
                  : o->status == PST_SYNC_FAILED  ? failed
                                                  : cancelled;
    PST_TRY(pst_db_stmt(conn, sql, &st, err));
    pst_stmt_bind_i64(st, 1, stream_pk);
    pst_stmt_bind_i64(st, 2, sync_pk);
    if (o->status == PST_SYNC_COMPLETED) {
        pst_stmt_bind_wall(st, 3, now);
        pst_stmt_bind_i64(st, 4, (int64_t)o->mapping_version);
    } else if (o->status == PST_SYNC_FAILED) {
        pst_stmt_bind_str(st, 3, pst_str_from(pst_code_name(o->failure->code)));
        pst_stmt_bind_str(st, 4, pst_str_from(o->failure->msg));
        pst_stmt_bind_wall(st, 5, now);
    }
    return pst_stmt_run(st, NULL, err);
}

static pst_code end_stream(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                           const struct pst_sync_outcome *outcome, pst_wall now,
                           struct pst_err *err)
{
    int64_t changes = 0;
    PST_TRY(check_open(conn, sync_pk, err));
    PST_TRY(close_sync_stream(conn, sync_pk, stream_pk, outcome, now, &changes, err));
    if (changes == 0)
        return no_such_stream(err);
    pst_db_notify(conn, PST_TOPIC_SYNCS);
    return free_stream(conn, sync_pk, stream_pk, outcome, now, err);
}

pst_code pst_syncs_end_stream(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                              const struct pst_sync_outcome *outcome, pst_wall now,
                              struct pst_err *err)
{
    if (outcome->status == PST_SYNC_COMPLETED)
        PST_TRY(pst_syncs_check_running(conn, sync_pk, err));
    return end_stream(conn, sync_pk, stream_pk, outcome, now, err);
}

/* The run's own row, from what became of its streams. */
static pst_code close_sync(struct pst_db_conn *conn, int64_t sync_pk,
                           const struct pst_sync_outcome *o, pst_wall now,
                           enum pst_sync_status *status, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *find = NULL;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT error_code, error_message FROM sync_stream"
                                " WHERE sync_pk = ?1 AND status = 'failed'"
                                " ORDER BY position LIMIT 1"),
                        &find, err));
    pst_stmt_bind_i64(find, 1, sync_pk);
    PST_TRY(pst_stmt_step(find, &row, err));
    pst_str error_code = row ? pst_stmt_str(find, 0) : PST_STR("");
    pst_str message = row ? pst_stmt_str(find, 1) : PST_STR("");
    if (!row && o->status == PST_SYNC_FAILED) {
        error_code = pst_str_from(pst_code_name(o->failure->code));
        message = pst_str_from(o->failure->msg);
    }
    *status = o->status;
    if (row && o->status == PST_SYNC_COMPLETED)
        *status = PST_SYNC_FAILED;
    PST_TRY(pst_db_stmt(
        conn,
        PST_STR("UPDATE sync SET status = ?2, ended_at = ?3, claimed = 0, resume_at = 0,"
                " error_code = ?4, error_message = ?5 WHERE pk = ?1"),
        &st, err));
    pst_stmt_bind_i64(st, 1, sync_pk);
    pst_stmt_bind_str(st, 2, pst_str_from(pst_sync_status_name(*status)));
    pst_stmt_bind_wall(st, 3, now);
    pst_stmt_bind_str(st, 4, error_code);
    pst_stmt_bind_str(st, 5, message);
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_syncs_end(struct pst_db_conn *conn, int64_t sync_pk,
                       const struct pst_sync_outcome *outcome, bool covers_all, pst_wall now,
                       enum pst_sync_status *status, struct pst_err *err)
{
    int64_t stream_pk = 0;
    PST_TRY(check_open(conn, sync_pk, err));
    do {
        PST_TRY(pst_row_int(conn,
                            PST_STR("SELECT stream_pk FROM sync_stream"
                                    " WHERE sync_pk = ?1 AND ended_at IS NULL LIMIT 1"),
                            &sync_pk, 1, &stream_pk, err));
        if (stream_pk)
            PST_TRY(end_stream(conn, sync_pk, stream_pk, outcome, now, err));
    } while (stream_pk);
    PST_TRY(close_sync(conn, sync_pk, outcome, now, status, err));
    pst_db_notify(conn, PST_TOPIC_SYNCS);
    if (*status != PST_SYNC_COMPLETED || !covers_all)
        return PST_OK;
    return pst_row_run(conn,
                       PST_STR("UPDATE connection SET initial_sync_done = 1 WHERE pk ="
                               " (SELECT connection_pk FROM sync WHERE pk = ?1)"),
                       &sync_pk, 1, NULL, err);
}
