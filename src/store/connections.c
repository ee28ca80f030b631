/* store/connections.c: the rows of connections and their history. */
#include "store/connections.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store/endpoints.h"
#include "store/rows.h"
#include "store/store.h"
#include "store/syncs_private.h"

/* clang-format off */
#define COLUMNS                                                                                    \
    "SELECT c.pk, c.id, c.organization_pk, o.id, c.history_days, c.serve_stale,"                   \
    " c.initial_sync_done, c.status, c.status_since, c.last_seq, c.version, c.next_run_at,"        \
    " c.last_tick_at, c.created_at, c.updated_at, c.deleted_at, c.purge,"                          \
    " c.name, c.connector, c.config, c.schedule, c.entities, c.metadata, c.mapping,"               \
    " c.status_reason, c.credentials"                                                              \
    " FROM connection c JOIN organization o ON o.pk = c.organization_pk "
/* clang-format on */

static const char *const status_names[] = {
    [PST_CONNECTION_PENDING] = "pending",
    [PST_CONNECTION_ONLINE] = "online",
    [PST_CONNECTION_OFFLINE] = "offline",
    [PST_CONNECTION_AUTHENTICATION_REQUIRED] = "authentication_required",
    [PST_CONNECTION_INACTIVE] = "inactive",
};

const char *pst_connection_status_name(enum pst_connection_status status)
{
    return status_names[status];
}

bool pst_connection_status_parse(enum pst_connection_status *out, pst_str name)
{
    int i = pst_row_find_name(status_names, PST_COUNT(status_names), name);
    if (i >= 0)
        *out = (enum pst_connection_status)i;
    return i >= 0;
}

static pst_code read_status(struct pst_stmt *st, int column, enum pst_connection_status *out,
                            struct pst_err *err)
{
    if (!pst_connection_status_parse(out, pst_stmt_str(st, column)))
        return PST_FAIL(err, PST_E_CORRUPT, "a connection has an unknown status");
    return PST_OK;
}

static pst_code read_connection(struct pst_stmt *st, struct pst_arena *arena,
                                struct pst_connection *c, struct pst_err *err)
{
    *c = (struct pst_connection){
        .pk = pst_stmt_i64(st, 0),
        .id = pst_row_id(st, 1, "conn_"),
        .organization_pk = pst_stmt_i64(st, 2),
        .organization_id = pst_row_id(st, 3, "org_"),
        .history_days = pst_stmt_i64(st, 4),
        .serve_stale = pst_stmt_i64(st, 5) != 0,
        .initial_sync_done = pst_stmt_i64(st, 6) != 0,
        .status_since = pst_stmt_wall(st, 8),
        .last_seq = pst_stmt_i64(st, 9),
        .version = pst_stmt_i64(st, 10),
        .next_run_at = pst_stmt_wall(st, 11),
        .last_tick_at = pst_stmt_wall(st, 12),
        .created_at = pst_stmt_wall(st, 13),
        .updated_at = pst_stmt_wall(st, 14),
        .deleted_at = pst_stmt_wall(st, 15),
        .purge = pst_stmt_i64(st, 16) != 0,
    };
    pst_str *const texts[] = {&c->name,     &c->connector, &c->config,  &c->schedule,
                              &c->entities, &c->metadata,  &c->mapping, &c->status_reason};
    PST_TRY(read_status(st, 7, &c->status, err));
    PST_TRY(pst_row_texts(st, 17, PST_COUNT(texts), arena, texts, err));
    return pst_row_blob(st, 25, arena, &c->credentials, err);
}

static pst_code add_history(struct pst_db_conn *conn, int64_t pk, enum pst_connection_status status,
                            pst_str reason, pst_str request_id, pst_wall now, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO connection_history"
                                " (connection_pk, at, status, reason, request_id)"
                                " VALUES (?1, ?2, ?3, ?4, ?5)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_wall(st, 2, now);
    pst_stmt_bind_str(st, 3, pst_str_from(status_names[status]));
    pst_stmt_bind_str(st, 4, reason);
    pst_stmt_bind_str(st, 5, request_id);
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_connections_create(struct pst_db_conn *conn, struct pst_connection *c,
                                pst_str request_id, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    if (!pst_row_raw_id(raw, "conn_", pst_id_str(&c->id)))
        return PST_FAIL(err, PST_E_INTERNAL, "'%s' is no connection id", c->id.text);
    PST_TRY(pst_db_stmt(
        conn,
        PST_STR("INSERT INTO connection (id, organization_pk, name, connector, config,"
                " credentials, schedule, history_days, entities, metadata, mapping, serve_stale,"
                " status, status_since, status_reason, created_at, updated_at)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?14,"
                " ?14)"),
        &st, err));
    pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
    pst_stmt_bind_i64(st, 2, c->organization_pk);
    pst_stmt_bind_str(st, 3, c->name);
    pst_stmt_bind_str(st, 4, c->connector);
    pst_stmt_bind_str(st, 5, c->config);
    pst_stmt_bind_blob(st, 6, c->credentials.ptr, c->credentials.len);
    pst_stmt_bind_str(st, 7, c->schedule);
    pst_stmt_bind_i64(st, 8, c->history_days);
    pst_stmt_bind_str(st, 9, c->entities);
    pst_stmt_bind_str(st, 10, c->metadata);
    pst_stmt_bind_str(st, 11, c->mapping);
    pst_stmt_bind_i64(st, 12, c->serve_stale);
    pst_stmt_bind_str(st, 13, pst_str_from(status_names[c->status]));
    pst_stmt_bind_wall(st, 14, c->created_at);
    pst_stmt_bind_str(st, 15, c->status_reason);
    PST_TRY(pst_stmt_run(st, NULL, err));
    c->pk = pst_db_last_rowid(conn);
    c->version = 1;
    c->last_seq = 0;
    c->status_since = c->updated_at = c->created_at;
    pst_db_notify(conn, PST_TOPIC_CONNECTIONS);
    return add_history(conn, c->pk, c->status, c->status_reason, request_id, c->created_at, err);
}

/* ---- reading ---- */

/* Every sealing has a nonce of its own, so that the same words given again are another mark. */
uint64_t pst_connection_credentials_mark(const struct pst_connection *c)
{
    return XXH3_64bits(c->credentials.len ? c->credentials.ptr : "", c->credentials.len);
}

static pst_code get_by_id(struct pst_db_conn *conn, pst_str sql, int64_t organization_pk,
                          pst_str id, struct pst_arena *arena, struct pst_connection *out,
                          struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    if (pst_row_raw_id(raw, "conn_", id)) {
        PST_TRY(pst_db_stmt(conn, sql, &st, err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        pst_stmt_bind_i64(st, 2, organization_pk);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no connection '%.*s'", PST_STR_ARG(id));
    return read_connection(st, arena, out, err);
}

pst_code pst_connections_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                             struct pst_arena *arena, struct pst_connection *out,
                             struct pst_err *err)
{
    return get_by_id(conn,
                     PST_STR(COLUMNS "WHERE c.id = ?1 AND (?2 = 0 OR c.organization_pk = ?2)"
                                     " AND c.deleted_at IS NULL"),
                     organization_pk, id, arena, out, err);
}

pst_code pst_connections_get_deleted(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                                     struct pst_arena *arena, struct pst_connection *out,
                                     struct pst_err *err)
{
    return get_by_id(conn,
                     PST_STR(COLUMNS "WHERE c.id = ?1 AND (?2 = 0 OR c.organization_pk = ?2)"),
                     organization_pk, id, arena, out, err);
}

pst_code pst_connections_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                                struct pst_connection *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(
        pst_db_stmt(conn, PST_STR(COLUMNS "WHERE c.pk = ?1 AND c.deleted_at IS NULL"), &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no connection %lld", (long long)pk);
    return read_connection(st, arena, out, err);
}

pst_code pst_connections_is_read(struct pst_db_conn *conn, int64_t pk, bool *out,
                                 struct pst_err *err)
{
    int64_t unread = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT initial_sync_done = 0 FROM connection WHERE pk = ?1"
                                " AND deleted_at IS NULL"),
                        &pk, 1, &unread, err));
    *out = unread == 0;
    return PST_OK;
}

pst_code pst_connections_list(struct pst_db_conn *conn, int64_t organization_pk, int64_t after_pk,
                              size_t limit, struct pst_arena *arena, struct pst_connection **out,
                              size_t *count, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_connection *items = NULL;
    size_t n = 0;
    bool row = false;
    pst_str sql = organization_pk ? PST_STR(COLUMNS "WHERE c.organization_pk = ?1 AND c.pk > ?2"
                                                    " AND c.deleted_at IS NULL"
                                                    " ORDER BY c.pk LIMIT ?3")
                                  : PST_STR(COLUMNS "WHERE ?1 = 0 AND c.pk > ?2"
                                                    " AND c.deleted_at IS NULL"
                                                    " ORDER BY c.pk LIMIT ?3");
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn, sql, &st, err));
    pst_stmt_bind_i64(st, 1, organization_pk);
    pst_stmt_bind_i64(st, 2, after_pk);
    pst_stmt_bind_i64(st, 3, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        PST_TRY(read_connection(st, arena, &items[n++], err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

pst_code pst_connections_plan(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                              pst_code (*row_fn)(void *self, const struct pst_connection_plan *plan,
                                                 struct pst_err *err),
                              void *self, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT c.pk, c.id, c.schedule, c.status, c.initial_sync_done,"
                                " c.version, c.created_at, c.next_run_at, c.last_tick_at,"
                                " coalesce(o.owed, 0), EXISTS (SELECT 1 FROM sync y"
                                " WHERE y.connection_pk = c.pk AND y.ended_at IS NULL"
                                " AND y.cause <> 'manual') FROM connection c"
                                " LEFT JOIN outage o ON o.connection_pk = c.pk"
                                " WHERE c.pk > ?1 AND c.deleted_at IS NULL"
                                " ORDER BY c.pk LIMIT ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, after_pk);
    pst_stmt_bind_i64(st, 2, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    for (; row && n < limit; n++) {
        struct pst_connection_plan plan = {
            .pk = pst_stmt_i64(st, 0),
            .id = pst_row_id(st, 1, "conn_"),
            .schedule = pst_stmt_str(st, 2),
            .initial_sync_done = pst_stmt_i64(st, 4) != 0,
            .version = pst_stmt_i64(st, 5),
            .created_at = pst_stmt_wall(st, 6),
            .next_run_at = pst_stmt_wall(st, 7),
            .last_tick_at = pst_stmt_wall(st, 8),
            .owed = pst_stmt_i64(st, 9) != 0,
            .has_own_run = pst_stmt_i64(st, 10) != 0,
        };
        PST_TRY(read_status(st, 3, &plan.status, err));
        PST_TRY(row_fn(self, &plan, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *more = row;
    return PST_OK;
}

pst_code pst_connections_history(struct pst_db_conn *conn, int64_t connection_pk, int64_t before_pk,
                                 size_t limit, struct pst_arena *arena,
                                 struct pst_connection_event **out, size_t *count, bool *more,
                                 struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_connection_event *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT pk, at, status, reason, request_id FROM connection_history"
                                " WHERE connection_pk = ?1 AND pk < ?2 ORDER BY pk DESC LIMIT ?3"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    pst_stmt_bind_i64(st, 2, before_pk ? before_pk : INT64_MAX);
    pst_stmt_bind_i64(st, 3, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        struct pst_connection_event *e = &items[n++];
        e->pk = pst_stmt_i64(st, 0);
        e->at = pst_stmt_wall(st, 1);
        PST_TRY(read_status(st, 2, &e->status, err));
        PST_TRY(pst_row_text(st, 3, arena, &e->reason, err));
        PST_TRY(pst_row_text(st, 4, arena, &e->request_id, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

/* ---- changing ---- */

static pst_code explain_no_row(struct pst_db_conn *conn, int64_t pk, const char *otherwise,
                               struct pst_err *err)
{
    int64_t there = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT 1 FROM connection WHERE pk = ?1 AND deleted_at IS NULL"),
                        &pk, 1, &there, err));
    if (!there)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no connection %lld", (long long)pk);
    return PST_FAIL(err, PST_E_CONFLICT, "%s", otherwise);
}

static void bind_if(struct pst_stmt *st, int index, bool set, pst_str value)
{
    if (set)
        pst_stmt_bind_str(st, index, value);
    else
        pst_stmt_bind_null(st, index);
}

pst_code pst_connections_patch(struct pst_db_conn *conn, int64_t pk,
                               const struct pst_connection_patch *p, int64_t if_version,
                               pst_wall now, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t changes = 0;
    PST_TRY(pst_db_stmt(
        conn,
        PST_STR("UPDATE connection SET name = coalesce(?2, name), config = coalesce(?3, config),"
                " credentials = coalesce(?4, credentials), schedule = coalesce(?5, schedule),"
                " history_days = coalesce(?6, history_days), entities = coalesce(?7, entities),"
                " metadata = coalesce(?8, metadata), mapping = coalesce(?9, mapping),"
                " serve_stale = coalesce(?10, serve_stale), updated_at = ?11,"
                " version = version + 1"
                " WHERE pk = ?1 AND deleted_at IS NULL AND (?12 = 0 OR version = ?12)"),
        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    bind_if(st, 2, p->set_name, p->name);
    bind_if(st, 3, p->set_config, p->config);
    if (p->set_credentials)
        pst_stmt_bind_blob(st, 4, p->credentials.ptr, p->credentials.len);
    bind_if(st, 5, p->set_schedule, p->schedule);
    if (p->set_history_days)
        pst_stmt_bind_i64(st, 6, p->history_days);
    bind_if(st, 7, p->set_entities, p->entities);
    bind_if(st, 8, p->set_metadata, p->metadata);
    bind_if(st, 9, p->set_mapping, p->mapping);
    if (p->set_serve_stale)
        pst_stmt_bind_i64(st, 10, p->serve_stale);
    pst_stmt_bind_wall(st, 11, now);
    pst_stmt_bind_i64(st, 12, if_version);
    PST_TRY(pst_stmt_run(st, &changes, err));
    if (changes == 0)
        return explain_no_row(conn, pk, "the connection was changed meanwhile", err);
    pst_db_notify(conn, PST_TOPIC_CONNECTIONS);
    return PST_OK;
}

static pst_code set_reason(struct pst_db_conn *conn, int64_t pk, pst_str reason,
                           struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE connection SET status_reason = ?2"
                                " WHERE pk = ?1 AND status_reason <> ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_str(st, 2, reason);
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_connections_set_status(struct pst_db_conn *conn, int64_t pk,
                                    enum pst_connection_status status, pst_str reason,
                                    pst_str request_id, pst_wall now, bool *changed,
                                    struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    enum pst_connection_status before = status;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT status FROM connection WHERE pk = ?1"
                                " AND deleted_at IS NULL"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no connection %lld", (long long)pk);
    PST_TRY(read_status(st, 0, &before, err));
    if (changed)
        *changed = before != status;
    pst_stmt_done(PST_TAKE(st));
    if (before == status)
        return set_reason(conn, pk, reason, err);
    if (before == PST_CONNECTION_INACTIVE && status != PST_CONNECTION_PENDING)
        return PST_FAIL(err, PST_E_CONFLICT, "the connection is inactive");
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE connection SET status = ?2, status_since = ?3,"
                                " status_reason = ?4 WHERE pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_str(st, 2, pst_str_from(status_names[status]));
    pst_stmt_bind_wall(st, 3, now);
    pst_stmt_bind_str(st, 4, reason);
    PST_TRY(pst_stmt_run(st, NULL, err));
    pst_db_notify(conn, PST_TOPIC_CONNECTIONS);
    return add_history(conn, pk, status, reason, request_id, now, err);
}

pst_code pst_connections_set_plan(struct pst_db_conn *conn, int64_t pk, pst_wall next_run_at,
                                  pst_wall last_tick_at, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE connection SET next_run_at = ?2, last_tick_at = ?3"
                                " WHERE pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_wall(st, 2, next_run_at);
    pst_stmt_bind_wall(st, 3, last_tick_at);
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_connections_sealed(struct pst_db_conn *conn, int64_t organization_pk, pst_str key_id,
                                int64_t after_pk, size_t limit, struct pst_arena *arena,
                                struct pst_sealed **out, size_t *count, struct pst_err *err)
{
    const struct pst_sealed_query query = {PST_STR(PST_SEALED_IN("connection", "credentials")),
                                           "conn_",
                                           organization_pk,
                                           key_id,
                                           after_pk,
                                           limit};
    return pst_sealed_list(conn, &query, arena, out, count, err);
}

pst_code pst_connections_reseal(struct pst_db_conn *conn, int64_t pk, pst_str before, pst_str after,
                                struct pst_err *err)
{
    bool changed = false;
    PST_TRY(pst_sealed_replace(conn,
                               PST_STR("UPDATE connection SET credentials = ?3"
                                       " WHERE pk = ?1 AND credentials = ?2"),
                               pk, before, after, &changed, err));
    return changed ? PST_OK
                   : PST_FAIL(err, PST_E_CONFLICT, "the credentials were changed meanwhile");
}

/* Those that hear nothing but this connection. */
static pst_code delete_endpoints(struct pst_db_conn *conn, int64_t connection_pk, pst_wall now,
                                 struct pst_err *err)
{
    for (;;) {
        int64_t pk = 0;
        PST_TRY(pst_row_int(conn,
                            PST_STR("SELECT pk FROM endpoint WHERE connection_pk = ?1"
                                    " AND connection_pk > 0 AND deleted_at IS NULL LIMIT 1"),
                            &connection_pk, 1, &pk, err));
        if (pk == 0)
            return PST_OK;
        PST_TRY(pst_endpoints_delete(conn, pk, now, err));
    }
}

pst_code pst_connections_delete(struct pst_db_conn *conn, int64_t pk, bool purge, pst_wall now,
                                struct pst_err *err)
{
    int64_t changes = 0;
    const int64_t values[] = {pk, now.us, purge};
    PST_TRY(pst_row_run(conn,
                        PST_STR("UPDATE connection SET deleted_at = coalesce(deleted_at, ?2),"
                                " purge = max(purge, ?3), credentials = x'', next_run_at = NULL,"
                                " version = version + (deleted_at IS NULL)"
                                " WHERE pk = ?1 AND (deleted_at IS NULL OR ?3 = 1)"),
                        values, PST_COUNT(values), &changes, err));
    if (changes == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no connection %lld", (long long)pk);
    PST_TRY(delete_endpoints(conn, pk, now, err));
    PST_TRY(pst_row_run(conn, PST_STR("DELETE FROM outage WHERE connection_pk = ?1"), values, 1,
                        NULL, err));
    pst_db_notify(conn, PST_TOPIC_CONNECTIONS);
    pst_db_notify(conn, pk); /* nobody waits for its changes any more */
    return pst_syncs_cancel_all(conn, pk, now, err);
}
