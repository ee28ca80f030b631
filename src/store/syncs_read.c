/* store/syncs_read.c: reading runs: names, single runs, history. */
#include "store/rows.h"
#include "store/syncs_private.h"

/* clang-format off */
#define COLUMNS                                                                                    \
    "SELECT pk, id, connection_pk, cause, mode, status, cancel_requested, requested_at,"           \
    " started_at, ended_at, error_code, error_message, request_id,"                                 \
    " nullif(resume_at, 0), own_calls FROM sync "
/* clang-format on */

static const char *const trigger_names[] = {
    [PST_SYNC_SCHEDULED] = "scheduled",
    [PST_SYNC_MANUAL] = "manual",
    [PST_SYNC_INITIAL] = "initial",
};
static const char *const mode_names[] = {
    [PST_SYNC_INCREMENTAL] = "incremental",
    [PST_SYNC_FULL] = "full",
};
static const char *const status_names[] = {
    [PST_SYNC_QUEUED] = "queued",       [PST_SYNC_RUNNING] = "running",
    [PST_SYNC_COMPLETED] = "completed", [PST_SYNC_FAILED] = "failed",
    [PST_SYNC_CANCELLED] = "cancelled",
};

const char *pst_sync_trigger_name(enum pst_sync_trigger trigger)
{
    return trigger_names[trigger];
}

const char *pst_sync_mode_name(enum pst_sync_mode mode)
{
    return mode_names[mode];
}

const char *pst_sync_status_name(enum pst_sync_status status)
{
    return status_names[status];
}

bool pst_sync_mode_parse(enum pst_sync_mode *out, pst_str name)
{
    int i = pst_row_find_name(mode_names, PST_COUNT(mode_names), name);
    if (i >= 0)
        *out = (enum pst_sync_mode)i;
    return i >= 0;
}

bool pst_sync_status_parse(enum pst_sync_status *out, pst_str name)
{
    int i = pst_row_find_name(status_names, PST_COUNT(status_names), name);
    if (i >= 0)
        *out = (enum pst_sync_status)i;
    return i >= 0;
}

static int64_t *count_at(struct pst_sync_counts *c, size_t i)
{
    int64_t *const all[PST_SYNC_COUNTERS] = {
        &c->read,  &c->created, &c->updated, &c->deleted, &c->unchanged, &c->rejected,
        &c->pages, &c->rows,    &c->bytes,   &c->calls,   &c->wait_us,   &c->work_us,
    };
    return all[i];
}

int64_t pst_sync_counts_at(const struct pst_sync_counts *c, size_t i)
{
    struct pst_sync_counts copy = *c;
    return *count_at(&copy, i);
}

void pst_sync_counts_add(struct pst_sync_counts *to, const struct pst_sync_counts *more)
{
    for (size_t i = 0; i < PST_SYNC_COUNTERS; i++)
        *count_at(to, i) += pst_sync_counts_at(more, i);
}

static pst_code unknown_name(struct pst_err *err)
{
    return PST_FAIL(err, PST_E_CORRUPT, "a sync has an unknown status, mode or trigger");
}

static pst_code read_stream(struct pst_stmt *st, struct pst_arena *arena,
                            struct pst_sync_stream *out, struct pst_err *err)
{
    *out = (struct pst_sync_stream){
        .stream_pk = pst_stmt_i64(st, 0),
        .entity = pst_model_entity(pst_stmt_str(st, 1)),
        .phase = pst_stmt_i64(st, 3) ? PST_PHASE_DELETE : PST_PHASE_READ,
        .begun = pst_stmt_i64(st, 4) != 0,
        .from = pst_stmt_wall(st, 5),
        .to = pst_stmt_wall(st, 6),
        .as_of = pst_stmt_wall(st, 7),
        .started_at = pst_stmt_wall(st, 8),
        .ended_at = pst_stmt_wall(st, 9),
        .first_seq = pst_stmt_i64(st, 14 + PST_SYNC_COUNTERS),
        .last_seq = pst_stmt_i64(st, 15 + PST_SYNC_COUNTERS),
    };
    pst_str *const texts[] = {&out->after_key, &out->error_code, &out->error_message};
    if (!pst_sync_status_parse(&out->status, pst_stmt_str(st, 2)))
        return unknown_name(err);
    PST_TRY(pst_row_texts(st, 10, PST_COUNT(texts), arena, texts, err));
    PST_TRY(pst_row_blob(st, 13, arena, &out->sort_key, err));
    for (size_t i = 0; i < PST_SYNC_COUNTERS; i++)
        *count_at(&out->counts, i) = pst_stmt_i64(st, 14 + (int)i);
    return PST_OK;
}

static pst_code read_streams(struct pst_db_conn *conn, struct pst_arena *arena,
                             struct pst_sync *sync, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t count = 0;
    bool row = false;
    PST_TRY(pst_row_int(conn, PST_STR("SELECT count(*) FROM sync_stream WHERE sync_pk = ?1"),
                        &sync->pk, 1, &count, err));
    PST_TRY(pst_arena_array(arena, &sync->streams, (size_t)count, sizeof(*sync->streams), err));
    PST_TRY(pst_db_stmt(
        conn,
        PST_STR("SELECT p.stream_pk, s.entity, p.status, p.phase, p.begun, p.window_from,"
                " p.window_to, p.as_of, p.started_at, p.ended_at, p.after_key, p.error_code,"
                " p.error_message, p.sort_key, p.n_read, p.n_created, p.n_updated, p.n_deleted,"
                " p.n_unchanged, p.n_rejected, p.pages, p.source_rows, p.bytes, p.calls,"
                " p.wait_us, p.work_us, p.first_seq, p.last_seq"
                " FROM sync_stream p LEFT JOIN stream s ON s.pk = p.stream_pk"
                " WHERE p.sync_pk = ?1 ORDER BY p.position"),
        &st, err));
    pst_stmt_bind_i64(st, 1, sync->pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && sync->stream_count < (size_t)count) {
        struct pst_sync_stream *s = &sync->streams[sync->stream_count++];
        PST_TRY(read_stream(st, arena, s, err));
        pst_sync_counts_add(&sync->counts, &s->counts);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

static pst_code read_sync(struct pst_db_conn *conn, struct pst_stmt *st, struct pst_arena *arena,
                          struct pst_sync *out, struct pst_err *err)
{
    *out = (struct pst_sync){
        .pk = pst_stmt_i64(st, 0),
        .id = pst_row_id(st, 1, "sync_"),
        .connection_pk = pst_stmt_i64(st, 2),
        .cancel_requested = pst_stmt_i64(st, 6) != 0,
        .requested_at = pst_stmt_wall(st, 7),
        .started_at = pst_stmt_wall(st, 8),
        .ended_at = pst_stmt_wall(st, 9),
        .resume_at = pst_stmt_wall(st, 13),
        .counts.calls = pst_stmt_i64(st, 14),
    };
    pst_str *const texts[] = {&out->error_code, &out->error_message, &out->request_id};
    int trigger = pst_row_find_name(trigger_names, PST_COUNT(trigger_names), pst_stmt_str(st, 3));
    if (trigger < 0 || !pst_sync_mode_parse(&out->mode, pst_stmt_str(st, 4)) ||
        !pst_sync_status_parse(&out->status, pst_stmt_str(st, 5)))
        return unknown_name(err);
    out->trigger = (enum pst_sync_trigger)trigger;
    PST_TRY(pst_row_texts(st, 10, PST_COUNT(texts), arena, texts, err));
    return read_streams(conn, arena, out, err);
}

pst_code pst_syncs_get(struct pst_db_conn *conn, int64_t connection_pk, pst_str id,
                       struct pst_arena *arena, struct pst_sync *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    if (pst_row_raw_id(raw, "sync_", id)) {
        PST_TRY(
            pst_db_stmt(conn, PST_STR(COLUMNS "WHERE id = ?1 AND connection_pk = ?2"), &st, err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        pst_stmt_bind_i64(st, 2, connection_pk);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no sync '%.*s'", PST_STR_ARG(id));
    return read_sync(conn, st, arena, out, err);
}

pst_code pst_syncs_connection(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                              struct pst_id *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    *out = (struct pst_id){0};
    if (!pst_row_raw_id(raw, "sync_", id))
        return PST_OK;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT c.id FROM sync s JOIN connection c ON c.pk ="
                                " s.connection_pk WHERE s.id = ?1 AND c.deleted_at IS NULL"
                                " AND (?2 = 0 OR c.organization_pk = ?2)"),
                        &st, err));
    pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
    pst_stmt_bind_i64(st, 2, organization_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (row)
        *out = pst_row_id(st, 0, "conn_");
    return PST_OK;
}

pst_code pst_syncs_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                          struct pst_sync *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, PST_STR(COLUMNS "WHERE pk = ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no sync %lld", (long long)pk);
    return read_sync(conn, st, arena, out, err);
}

/* clang-format off */
#define OF_CONNECTION "WHERE connection_pk = ?1 AND pk < ?2 "
#define NEWEST_FIRST "ORDER BY pk DESC LIMIT ?3"
#define OR_ENDED(status, bit)                                                                      \
    "UNION ALL " COLUMNS OF_CONNECTION "AND ended_at IS NOT NULL AND status = '" status "'"        \
    " AND ?4 >> " bit " & 1 "
/* clang-format on */

/* Each status has its own walk through an index, and the walks are merged: what the history has of
 * the others is never looked at. */
pst_str pst_syncs_list_sql(bool has_statuses)
{
    static const pst_str all = PST_STR_INIT(COLUMNS OF_CONNECTION NEWEST_FIRST);
    static const pst_str some = PST_STR_INIT(
        COLUMNS OF_CONNECTION
        "AND ended_at IS NULL AND ?4 >> (status = 'running') & 1 " OR_ENDED("completed", "2")
            OR_ENDED("failed", "3") OR_ENDED("cancelled", "4") NEWEST_FIRST);
    _Static_assert(PST_SYNC_QUEUED == 0 && PST_SYNC_RUNNING == 1 && PST_SYNC_COMPLETED == 2 &&
                       PST_SYNC_FAILED == 3 && PST_SYNC_CANCELLED == 4,
                   "the bits of the statuses");
    return has_statuses ? some : all;
}

pst_code pst_syncs_list(struct pst_db_conn *conn, int64_t connection_pk, int64_t before_pk,
                        unsigned statuses, size_t limit, struct pst_arena *arena,
                        struct pst_sync **out, size_t *count, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_sync *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn, pst_syncs_list_sql(statuses != 0), &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    pst_stmt_bind_i64(st, 2, before_pk ? before_pk : INT64_MAX);
    pst_stmt_bind_i64(st, 3, (int64_t)limit + 1);
    if (statuses)
        pst_stmt_bind_i64(st, 4, statuses);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        PST_TRY(read_sync(conn, st, arena, &items[n++], err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

pst_code pst_syncs_resume_at(struct pst_db_conn *conn, int64_t connection_pk, pst_wall *out,
                             struct pst_err *err)
{
    int64_t us = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT min(nullif(resume_at, 0)) FROM sync"
                                " WHERE ended_at IS NULL AND connection_pk = ?1"),
                        &connection_pk, 1, &us, err));
    out->us = us ? us : PST_WALL_NONE.us;
    return PST_OK;
}

pst_str pst_syncs_has_own_sql(void)
{
    return PST_STR("SELECT EXISTS (SELECT 1 FROM sync WHERE connection_pk = ?1"
                   " AND ended_at IS NULL AND cause <> 'manual')");
}

pst_code pst_syncs_has_own(struct pst_db_conn *conn, int64_t connection_pk, bool *out,
                           struct pst_err *err)
{
    int64_t found = 0;
    PST_TRY(pst_row_int(conn, pst_syncs_has_own_sql(), &connection_pk, 1, &found, err));
    *out = found != 0;
    return PST_OK;
}

#define COUNT_OPEN                                                                                 \
    "SELECT coalesce(sum(status = 'queued'), 0), coalesce(sum(status = 'running'), 0) FROM sync"   \
    " WHERE ended_at IS NULL"

pst_str pst_syncs_count_open_sql(bool of_one)
{
    static const pst_str all = PST_STR_INIT(COUNT_OPEN);
    static const pst_str one = PST_STR_INIT(COUNT_OPEN " AND connection_pk = ?1");
    return of_one ? one : all;
}

pst_code pst_syncs_count_open(struct pst_db_conn *conn, int64_t connection_pk, int64_t *queued,
                              int64_t *running, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, pst_syncs_count_open_sql(connection_pk != 0), &st, err));
    if (connection_pk)
        pst_stmt_bind_i64(st, 1, connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    *queued = pst_stmt_i64(st, 0);
    *running = pst_stmt_i64(st, 1);
    return PST_OK;
}

pst_code pst_syncs_find_broken(struct pst_db_conn *conn, int64_t connection_pk, int64_t stream_pk,
                               pst_wall since, struct pst_arena *arena, struct pst_sync_broken *out,
                               bool *found, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    *found = false;
    PST_TRY(pst_db_stmt(
        conn,
        PST_STR("SELECT t.sync_pk, t.window_from, t.as_of, t.after_key, t.sort_key,"
                " t.status IN ('failed', 'cancelled') AND t.window_to IS NULL AND t.phase = 0"
                " AND t.after_key <> '' AND t.sort_key < x'ffffffffffffffff'"
                " AND t.error_code <> 'DELETE_GUARD' AND t.ended_at >= ?3 AND s.synced_to IS NULL"
                " AND y.cancel_requested = 0, s.mapping_version"
                " FROM sync y JOIN sync_stream t ON t.sync_pk = y.pk AND t.stream_pk = ?2"
                " JOIN stream s ON s.pk = t.stream_pk"
                " WHERE y.connection_pk = ?1 AND t.begun = 1 AND t.ended_at IS NOT NULL"
                " ORDER BY y.pk DESC LIMIT 1"),
        &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    pst_stmt_bind_i64(st, 2, stream_pk);
    pst_stmt_bind_wall(st, 3, since);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row || !pst_stmt_i64(st, 5))
        return PST_OK;
    *found = true;
    out->sync_pk = pst_stmt_i64(st, 0);
    out->from = pst_stmt_wall(st, 1);
    out->as_of = pst_stmt_wall(st, 2);
    out->mapping_version = (uint64_t)pst_stmt_i64(st, 6);
    PST_TRY(pst_row_text(st, 3, arena, &out->after_key, err));
    return pst_row_blob(st, 4, arena, &out->sort_key, err);
}

pst_code pst_syncs_check_running(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT y.status = 'running', y.cancel_requested,"
                                " c.deleted_at IS NOT NULL"
                                " FROM sync y JOIN connection c ON c.pk = y.connection_pk"
                                " WHERE y.pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, sync_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row || !pst_stmt_i64(st, 0))
        return PST_FAIL(err, PST_E_CONFLICT, "the sync is not running");
    if (pst_stmt_i64(st, 2))
        return PST_FAIL(err, PST_E_CONFLICT, "the connection was deleted");
    if (pst_stmt_i64(st, 1))
        return PST_FAIL(err, PST_E_CANCELLED, "the sync was cancelled");
    return PST_OK;
}

pst_code pst_syncs_is_wanted(struct pst_db_conn *conn, int64_t sync_pk, bool *wanted,
                             struct pst_err *err)
{
    struct pst_err why = {0};
    pst_code code = pst_syncs_check_running(conn, sync_pk, &why);
    *wanted = code == PST_OK;
    if (code == PST_OK || code == PST_E_CONFLICT || code == PST_E_CANCELLED)
        return PST_OK;
    *err = why;
    return code;
}

/* ---- what is to be told of ---- */

pst_code pst_syncs_next_untold(struct pst_db_conn *conn, int64_t connection_pk, int64_t *sync_pk,
                               struct pst_err *err)
{
    return pst_row_int(conn,
                       PST_STR("SELECT pk FROM sync WHERE connection_pk = ?1"
                               " AND ended_at IS NOT NULL AND told = 0 ORDER BY pk LIMIT 1"),
                       &connection_pk, 1, sync_pk, err);
}

pst_code pst_syncs_mark_told(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err)
{
    return pst_row_run(conn, PST_STR("UPDATE sync SET told = 1 WHERE pk = ?1"), &sync_pk, 1, NULL,
                       err);
}
