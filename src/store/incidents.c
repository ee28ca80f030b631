/* store/incidents.c: incidents, their updates, and days. */
#include "store/incidents.h"

#include <stdio.h>

#include "store/accounts.h"
#include "store/rows.h"
#include "store/store.h"

static const char *const KINDS[] = {"manual", "host", "connector", "penstock"};
static const char *const IMPACTS[] = {"degraded", "down", "maintenance"};
static const char *const STATES[] = {"investigating", "identified", "monitoring", "resolved"};

const char *pst_incident_kind_name(enum pst_incident_kind kind)
{
    return KINDS[kind];
}

const char *pst_incident_impact_name(enum pst_incident_impact impact)
{
    return IMPACTS[impact];
}

const char *pst_incident_state_name(enum pst_incident_state state)
{
    return STATES[state];
}

bool pst_incident_impact_parse(enum pst_incident_impact *out, pst_str name)
{
    int found = pst_row_find_name(IMPACTS, PST_COUNT(IMPACTS), name);
    if (found >= 0)
        *out = (enum pst_incident_impact)found;
    return found >= 0;
}

bool pst_incident_state_parse(enum pst_incident_state *out, pst_str name)
{
    int found = pst_row_find_name(STATES, PST_COUNT(STATES), name);
    if (found >= 0)
        *out = (enum pst_incident_state)found;
    return found >= 0;
}

/* ---- writing ---- */

static pst_code add_update(struct pst_db_conn *conn, int64_t pk,
                           const struct pst_incident_update *u, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO incident_update (incident_pk, at, state, text, actor)"
                                " VALUES (?1, ?2, ?3, ?4, ?5)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_wall(st, 2, u->at);
    pst_stmt_bind_str(st, 3, pst_str_from(STATES[u->state]));
    pst_stmt_bind_str(st, 4, u->text);
    pst_stmt_bind_str(st, 5, u->actor);
    PST_TRY(pst_stmt_run(st, NULL, err));
    pst_db_notify(conn, PST_TOPIC_INCIDENTS);
    return PST_OK;
}

pst_code pst_incidents_add(struct pst_db_conn *conn, struct pst_incident *incident,
                           const struct pst_incident_update *first, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    if (!pst_row_raw_id(raw, "inc_", pst_id_str(&incident->id)))
        return PST_FAIL(err, PST_E_INTERNAL, "'%s' is no id of an incident", incident->id.text);
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO incident (id, kind, subject, components, impact,"
                                " state, title, affected, opened_at, updated_at, connector)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)"),
                        &st, err));
    pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
    pst_stmt_bind_str(st, 2, pst_str_from(KINDS[incident->kind]));
    pst_stmt_bind_str(st, 3, incident->subject);
    pst_stmt_bind_str(st, 4, incident->components);
    pst_stmt_bind_str(st, 5, pst_str_from(IMPACTS[incident->impact]));
    pst_stmt_bind_str(st, 6, pst_str_from(STATES[incident->state]));
    pst_stmt_bind_str(st, 7, incident->title);
    pst_stmt_bind_i64(st, 8, incident->affected);
    pst_stmt_bind_wall(st, 9, incident->opened_at);
    pst_stmt_bind_str(st, 10, incident->connector);
    PST_TRY(pst_stmt_run(st, NULL, err));
    incident->pk = pst_db_last_rowid(conn);
    return add_update(conn, incident->pk, first, err);
}

static pst_code no_such_incident(int64_t pk, struct pst_err *err)
{
    return PST_FAIL(err, PST_E_NOT_FOUND, "there is no incident %lld", (long long)pk);
}

pst_code pst_incidents_update(struct pst_db_conn *conn, int64_t pk,
                              const struct pst_incident_update *update, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t changes = 0;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE incident SET state = ?2, updated_at = ?3,"
                                " closed_at = CASE WHEN ?2 = 'resolved'"
                                " THEN coalesce(closed_at, ?3) END WHERE pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_str(st, 2, pst_str_from(STATES[update->state]));
    pst_stmt_bind_wall(st, 3, update->at);
    PST_TRY(pst_stmt_run(st, &changes, err));
    return changes ? add_update(conn, pk, update, err) : no_such_incident(pk, err);
}

pst_code pst_incidents_edit(struct pst_db_conn *conn, int64_t pk, pst_str title, pst_str components,
                            int impact, pst_wall now, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t changes = 0;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE incident SET updated_at = ?5, title = coalesce(?2, title),"
                                " components = coalesce(?3, components),"
                                " impact = coalesce(?4, impact) WHERE pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_null(st, 2);
    pst_stmt_bind_null(st, 3);
    pst_stmt_bind_null(st, 4);
    if (title.ptr)
        pst_stmt_bind_str(st, 2, title);
    if (components.ptr)
        pst_stmt_bind_str(st, 3, components);
    if (impact >= 0)
        pst_stmt_bind_str(st, 4, pst_str_from(IMPACTS[impact]));
    pst_stmt_bind_wall(st, 5, now);
    PST_TRY(pst_stmt_run(st, &changes, err));
    pst_db_notify(conn, PST_TOPIC_INCIDENTS);
    return changes ? PST_OK : no_such_incident(pk, err);
}

/* ---- reading ---- */

/* clang-format off */
#define INCIDENT                                                                                   \
    "SELECT pk, id, kind, impact, state, affected, opened_at, updated_at, closed_at, subject,"     \
    " components, title, connector FROM incident "
/* clang-format on */

static int name_at(struct pst_stmt *st, int column, const char *const *names, size_t count)
{
    int found = pst_row_find_name(names, count, pst_stmt_str(st, column));
    return found < 0 ? 0 : found;
}

static pst_code read_incident(struct pst_stmt *st, struct pst_arena *arena,
                              struct pst_incident *out, struct pst_err *err)
{
    pst_str *const texts[] = {&out->subject, &out->components, &out->title, &out->connector};
    *out = (struct pst_incident){
        .pk = pst_stmt_i64(st, 0),
        .id = pst_row_id(st, 1, "inc_"),
        .kind = (enum pst_incident_kind)name_at(st, 2, KINDS, PST_COUNT(KINDS)),
        .impact = (enum pst_incident_impact)name_at(st, 3, IMPACTS, PST_COUNT(IMPACTS)),
        .state = (enum pst_incident_state)name_at(st, 4, STATES, PST_COUNT(STATES)),
        .affected = pst_stmt_i64(st, 5),
        .opened_at = pst_stmt_wall(st, 6),
        .updated_at = pst_stmt_wall(st, 7),
        .closed_at = pst_stmt_wall(st, 8),
    };
    return pst_row_texts(st, 9, PST_COUNT(texts), arena, texts, err);
}

static pst_code read_updates(struct pst_db_conn *conn, struct pst_arena *arena,
                             struct pst_incident *incident, struct pst_err *err)
{
    enum { UPDATES_MAX = 100 };
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    int64_t count = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT count(*) FROM incident_update WHERE incident_pk = ?1"),
                        &incident->pk, 1, &count, err));
    if (count > UPDATES_MAX)
        count = UPDATES_MAX;
    PST_TRY(
        pst_arena_array(arena, &incident->updates, (size_t)count, sizeof(*incident->updates), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT at, state, text, actor FROM incident_update"
                                " WHERE incident_pk = ?1 ORDER BY pk DESC LIMIT ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, incident->pk);
    pst_stmt_bind_i64(st, 2, count);
    PST_TRY(pst_stmt_step(st, &row, err));
    incident->update_count = (size_t)count;
    for (; row && count > 0; count--) { /* from the last one back */
        struct pst_incident_update *u = &incident->updates[count - 1];
        u->at = pst_stmt_wall(st, 0);
        u->state = (enum pst_incident_state)name_at(st, 1, STATES, PST_COUNT(STATES));
        PST_TRY(pst_row_text(st, 2, arena, &u->text, err));
        PST_TRY(pst_row_text(st, 3, arena, &u->actor, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    incident->updates += count; /* 0, unless some went meanwhile */
    incident->update_count -= (size_t)count;
    return PST_OK;
}

pst_code pst_incidents_get(struct pst_db_conn *conn, pst_str id, struct pst_arena *arena,
                           struct pst_incident *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    if (pst_row_raw_id(raw, "inc_", id)) {
        PST_TRY(pst_db_stmt(conn, PST_STR(INCIDENT "WHERE id = ?1"), &st, err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no incident '%.*s'", PST_STR_ARG(id));
    PST_TRY(read_incident(st, arena, out, err));
    return read_updates(conn, arena, out, err);
}

static pst_code read_all_updates(struct pst_db_conn *conn, struct pst_arena *arena,
                                 struct pst_incident *items, size_t count, struct pst_err *err)
{
    for (size_t i = 0; i < count; i++)
        PST_TRY(read_updates(conn, arena, &items[i], err));
    return PST_OK;
}

pst_code pst_incidents_list(struct pst_db_conn *conn, bool open_only, int64_t before_pk,
                            size_t limit, struct pst_arena *arena, struct pst_incident **out,
                            size_t *count, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_incident *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR(INCIDENT "WHERE pk < ?1 AND (closed_at IS NULL OR ?2 = 0)"
                                         " ORDER BY pk DESC LIMIT ?3"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, before_pk ? before_pk : INT64_MAX);
    pst_stmt_bind_i64(st, 2, open_only);
    pst_stmt_bind_i64(st, 3, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        PST_TRY(read_incident(st, arena, &items[n++], err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return read_all_updates(conn, arena, items, n, err);
}

pst_code pst_incidents_shown(struct pst_db_conn *conn, pst_wall since, size_t limit,
                             struct pst_arena *arena, struct pst_incident **out, size_t *count,
                             struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_incident *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, PST_ROWS_MAX, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR(INCIDENT "WHERE closed_at IS NULL OR closed_at >= ?1"
                                         " ORDER BY closed_at IS NOT NULL, pk DESC LIMIT ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, since.us);
    pst_stmt_bind_i64(st, 2, PST_ROWS_MAX);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        PST_TRY(read_incident(st, arena, &items[n], err));
        if (n >= limit && !pst_wall_is_none(items[n].closed_at))
            break;
        n++;
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    return read_all_updates(conn, arena, items, n, err);
}

pst_code pst_incidents_find_open(struct pst_db_conn *conn, enum pst_incident_kind kind,
                                 pst_str subject, pst_str connector, int64_t *pk,
                                 struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT pk FROM incident WHERE closed_at IS NULL AND kind = ?1"
                                " AND subject = ?2 AND connector = ?3 ORDER BY pk LIMIT 1"),
                        &st, err));
    pst_stmt_bind_str(st, 1, pst_str_from(KINDS[kind]));
    pst_stmt_bind_str(st, 2, subject);
    pst_stmt_bind_str(st, 3, connector);
    PST_TRY(pst_stmt_step(st, &row, err));
    *pk = row ? pst_stmt_i64(st, 0) : 0;
    return PST_OK;
}

/* ---- days ---- */

pst_code pst_status_days_add(struct pst_db_conn *conn, const struct pst_status_day *more,
                             struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO status_day (day, component, watched_s, degraded_s,"
                                " down_s) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET"
                                " watched_s = watched_s + excluded.watched_s,"
                                " degraded_s = degraded_s + excluded.degraded_s,"
                                " down_s = down_s + excluded.down_s"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, more->day);
    pst_stmt_bind_str(st, 2, more->component);
    pst_stmt_bind_i64(st, 3, more->watched_s);
    pst_stmt_bind_i64(st, 4, more->degraded_s);
    pst_stmt_bind_i64(st, 5, more->down_s);
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_status_days_list(struct pst_db_conn *conn, int64_t from_day, size_t limit,
                              struct pst_arena *arena, struct pst_status_day **out, size_t *count,
                              struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_status_day *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT day, watched_s, degraded_s, down_s, component"
                                " FROM status_day WHERE day >= ?1 ORDER BY day LIMIT ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, from_day);
    pst_stmt_bind_i64(st, 2, (int64_t)limit);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        struct pst_status_day *d = &items[n++];
        *d = (struct pst_status_day){.day = pst_stmt_i64(st, 0),
                                     .watched_s = pst_stmt_i64(st, 1),
                                     .degraded_s = pst_stmt_i64(st, 2),
                                     .down_s = pst_stmt_i64(st, 3)};
        PST_TRY(pst_row_text(st, 4, arena, &d->component, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    return PST_OK;
}

pst_code pst_status_seen_get(struct pst_db_conn *conn, pst_wall *out, struct pst_err *err)
{
    int64_t us = 0;
    PST_TRY(pst_row_int(
        conn, PST_STR("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'status.seen'"), NULL,
        0, &us, err));
    out->us = us > 0 ? us : PST_WALL_NONE.us;
    return PST_OK;
}

pst_code pst_status_seen_put(struct pst_db_conn *conn, pst_wall at, struct pst_err *err)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)at.us);
    return pst_meta_put(conn, PST_STR("status.seen"), pst_str_from(text), err);
}

pst_code pst_incidents_retain(struct pst_db_conn *conn, pst_wall before, size_t limit, bool *left,
                              struct pst_err *err)
{
    int64_t updates = 0;
    int64_t incidents = 0;
    int64_t days = 0;
    const int64_t values[] = {before.us, (int64_t)limit};
    const int64_t day[] = {before.us / (86400 * PST_US_PER_S), (int64_t)limit};
    PST_TRY(pst_row_run(conn,
                        PST_STR("DELETE FROM incident_update WHERE pk IN (SELECT u.pk FROM incident"
                                " i JOIN incident_update u ON u.incident_pk = i.pk"
                                " WHERE i.closed_at < ?1 LIMIT ?2)"),
                        values, 2, &updates, err));
    PST_TRY(pst_row_run(conn,
                        PST_STR("DELETE FROM incident WHERE pk IN (SELECT pk FROM incident i"
                                " WHERE closed_at < ?1 AND NOT EXISTS (SELECT 1 FROM"
                                " incident_update u WHERE u.incident_pk = i.pk) LIMIT ?2)"),
                        values, 2, &incidents, err));
    PST_TRY(pst_row_run(conn,
                        PST_STR("DELETE FROM status_day WHERE (day, component) IN (SELECT day,"
                                " component FROM status_day WHERE day < ?1 LIMIT ?2)"),
                        day, 2, &days, err));
    *left = updates == values[1] || incidents == values[1] || days == values[1];
    return PST_OK;
}
