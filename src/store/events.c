/* store/events.c: writing events with their deliveries, and reading them. */
#include "store/events.h"

#include "crypto/crypto.h"
#include "store/outbox_private.h"
#include "store/rows.h"
#include "store/store.h"

/* clang-format off */
#define COLUMNS                                                                                    \
    "SELECT e.pk, e.id, e.organization_pk, e.connection_pk, c.id, e.type, e.at, e.sample, e.body"  \
    " FROM event e LEFT JOIN connection c ON c.pk = e.connection_pk "
/* clang-format on */

/* ---- which endpoints want it ---- */

/* One name of a list: the type itself, "*", or "flow.*". */
static bool is_covered(pst_str name, pst_str type)
{
    if (pst_str_is(name, "*") || pst_str_eq(name, type))
        return true;
    return name.len > 2 && pst_str_ends(name, PST_STR(".*")) &&
           pst_str_starts(type, pst_str_sub(name, 0, name.len - 1));
}

bool pst_events_match(pst_str list, pst_str type)
{
    while (list.len)
        if (is_covered(pst_str_split(&list, ' '), type))
            return true;
    return false;
}

bool pst_outbox_is_asked_for(pst_str types, pst_str type)
{
    bool is_any = types.len == 0;
    while (!is_any && types.len)
        is_any = is_covered(pst_str_split(&types, ','), type);
    return is_any;
}

/* A delivery's id: of its time, else a hash of what it joins. */
static void make_delivery_id(uint8_t out[PST_ID_RAW], const struct pst_outbox_entry *e)
{
    uint8_t both[2 * PST_ID_RAW];
    uint8_t digest[PST_BLAKE2B_BYTES];
    memcpy(both, e->event_id, PST_ID_RAW);
    memcpy(both + PST_ID_RAW, e->endpoint_id, PST_ID_RAW);
    pst_blake2b(digest, (pst_str){(const char *)both, sizeof(both)});
    pst_id_v7(out, e->now, digest);
}

static pst_code next_sequence(struct pst_db_conn *conn, const struct pst_outbox_entry *e,
                              int64_t *out, struct pst_err *err)
{
    const int64_t lane[] = {e->endpoint_pk, e->connection_pk};
    *out = 0;
    if (e->is_sample)
        return PST_OK;
    return pst_row_int(conn,
                       PST_STR("INSERT INTO lane (endpoint_pk, connection_pk, last_sequence)"
                               " VALUES (?1, ?2, 1) ON CONFLICT (endpoint_pk, connection_pk)"
                               " DO UPDATE SET last_sequence = last_sequence + 1"
                               " RETURNING last_sequence"),
                       lane, 2, out, err);
}

pst_code pst_outbox_count(struct pst_db_conn *conn, int64_t events, int64_t bytes,
                          struct pst_err *err)
{
    const int64_t values[] = {events, bytes};
    return pst_row_run(conn, PST_STR("UPDATE outbox SET events = events + ?1, bytes = bytes + ?2"),
                       values, 2, NULL, err);
}

pst_code pst_outbox_queue(struct pst_db_conn *conn, const struct pst_outbox_entry *e, int64_t *pk,
                          struct pst_id *id, int64_t *sequence, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    make_delivery_id(raw, e);
    PST_TRY(next_sequence(conn, e, sequence, err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO delivery (endpoint_pk, connection_pk, event_pk, loose,"
                                " sequence, due_at, created_at, id)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, e->endpoint_pk);
    pst_stmt_bind_i64(st, 2, e->connection_pk);
    pst_stmt_bind_i64(st, 3, e->event_pk);
    pst_stmt_bind_i64(st, 4, e->is_loose);
    pst_stmt_bind_i64(st, 5, *sequence);
    pst_stmt_bind_wall(st, 6, e->now);
    pst_stmt_bind_blob(st, 7, raw, sizeof(raw));
    PST_TRY(pst_stmt_run(st, NULL, err));
    if (pk)
        *pk = pst_db_last_rowid(conn);
    if (id)
        *id = pst_id_format("dlv_", raw);
    return pst_outbox_count(conn, 0, PST_OUTBOX_DELIVERY_BYTES, err);
}

static pst_code queue_for_all(struct pst_db_conn *conn, const struct pst_event *event,
                              const uint8_t raw[PST_ID_RAW], struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_outbox_entry entry = {
        .connection_pk = event->connection_pk, .event_pk = event->pk, .now = event->at};
    bool row = false;
    memcpy(entry.event_id, raw, PST_ID_RAW);
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT p.pk, p.id, p.ordered, p.events, h.events FROM endpoint p"
                                " LEFT JOIN endpoint_choice h ON h.endpoint_pk = p.pk"
                                " AND h.connection_pk = ?2"
                                " WHERE p.organization_pk = ?1 AND p.deleted_at IS NULL"
                                " AND p.enabled = 1"
                                " AND (p.connection_pk = 0 OR p.connection_pk = ?2)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, event->organization_pk);
    pst_stmt_bind_i64(st, 2, event->connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        pst_str id = pst_stmt_blob(st, 1);
        int64_t sequence = 0;
        entry.endpoint_pk = pst_stmt_i64(st, 0);
        entry.is_loose = pst_stmt_i64(st, 2) == 0;
        if (id.len == PST_ID_RAW)
            memcpy(entry.endpoint_id, id.ptr, PST_ID_RAW);
        if (pst_outbox_wants(pst_stmt_str(st, 3), !pst_stmt_is_null(st, 4), pst_stmt_str(st, 4),
                             event->type))
            PST_TRY(pst_outbox_queue(conn, &entry, NULL, NULL, &sequence, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

pst_code pst_events_add(struct pst_db_conn *conn, struct pst_event *event, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    if (!pst_row_raw_id(raw, "evt_", pst_id_str(&event->id)))
        return PST_FAIL(err, PST_E_INTERNAL, "'%s' is no event id", event->id.text);
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO event (id, organization_pk, connection_pk, type, at,"
                                " sample, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
                        &st, err));
    pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
    pst_stmt_bind_i64(st, 2, event->organization_pk);
    pst_stmt_bind_i64(st, 3, event->connection_pk);
    pst_stmt_bind_str(st, 4, event->type);
    pst_stmt_bind_wall(st, 5, event->at);
    pst_stmt_bind_i64(st, 6, event->is_sample);
    pst_stmt_bind_str(st, 7, event->body);
    PST_TRY(pst_stmt_run(st, NULL, err));
    event->pk = pst_db_last_rowid(conn);
    PST_TRY(pst_outbox_count(conn, 1, PST_OUTBOX_EVENT_BYTES + (int64_t)event->body.len, err));
    if (!event->is_sample)
        PST_TRY(queue_for_all(conn, event, raw, err));
    pst_db_notify(conn, PST_TOPIC_EVENTS);
    pst_db_notify(conn, pst_topic_events_of(event->organization_pk));
    return PST_OK;
}

/* ---- reading ---- */

static pst_code read_event(struct pst_stmt *st, struct pst_arena *arena, struct pst_event *out,
                           struct pst_err *err)
{
    *out = (struct pst_event){
        .pk = pst_stmt_i64(st, 0),
        .id = pst_row_id(st, 1, "evt_"),
        .organization_pk = pst_stmt_i64(st, 2),
        .connection_pk = pst_stmt_i64(st, 3),
        .connection_id = pst_row_id(st, 4, "conn_"),
        .at = pst_stmt_wall(st, 6),
        .is_sample = pst_stmt_i64(st, 7) != 0,
    };
    PST_TRY(pst_row_text(st, 5, arena, &out->type, err));
    return pst_row_text(st, 8, arena, &out->body, err);
}

pst_code pst_events_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                        struct pst_arena *arena, struct pst_event *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    if (pst_row_raw_id(raw, "evt_", id)) {
        PST_TRY(pst_db_stmt(
            conn, PST_STR(COLUMNS "WHERE e.id = ?1 AND (?2 = 0 OR e.organization_pk = ?2)"), &st,
            err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        pst_stmt_bind_i64(st, 2, organization_pk);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no event '%.*s'", PST_STR_ARG(id));
    return read_event(st, arena, out, err);
}

/* Order and index follow from the query: of a connection or of all, forward or back. */
static pst_str list_sql(const struct pst_event_query *q)
{
#define OF_ORGANIZATION COLUMNS "WHERE e.sample = 0 AND e.organization_pk = ?1"
#define OF_CONNECTION COLUMNS "WHERE e.sample = 0 AND e.connection_pk = ?2"
#define BETWEEN " AND e.pk > ?3 AND e.pk < ?4 ORDER BY e.pk"
    static const pst_str all[2][2] = {
        {PST_STR_INIT(OF_ORGANIZATION BETWEEN " LIMIT ?5"),
         PST_STR_INIT(OF_ORGANIZATION BETWEEN " DESC LIMIT ?5")},
        {PST_STR_INIT(OF_CONNECTION BETWEEN " LIMIT ?5"),
         PST_STR_INIT(OF_CONNECTION BETWEEN " DESC LIMIT ?5")},
    };
    return all[q->connection_pk != 0][q->before_pk > 0];
}

static bool is_asked_for(const struct pst_event_query *q, struct pst_stmt *st)
{
    pst_wall at = pst_stmt_wall(st, 6);
    return pst_stmt_i64(st, 2) == q->organization_pk &&
           (pst_wall_is_none(q->since) || at.us >= q->since.us) &&
           (pst_wall_is_none(q->until) || at.us < q->until.us) &&
           pst_outbox_is_asked_for(q->types, pst_stmt_str(st, 5));
}

pst_code pst_events_seek(struct pst_db_conn *conn, pst_wall at, int64_t *pk, struct pst_err *err)
{
    int64_t low = 0;
    int64_t high = 0;
    PST_TRY(pst_outbox_oldest(conn, &low, err));
    PST_TRY(pst_events_newest(conn, &high, err));
    high++;
    while (low < high) { /* the answer lies in [low, high] */
        const int64_t values[] = {low + (high - low) / 2, at.us};
        int64_t is_before = 0;
        PST_TRY(pst_row_int(conn,
                            PST_STR("SELECT at < ?2 FROM event WHERE pk >= ?1 ORDER BY pk LIMIT 1"),
                            values, 2, &is_before, err));
        if (is_before)
            low = values[0] + 1;
        else
            high = values[0];
    }
    *pk = low;
    return PST_OK;
}

/* What the times of a query say of the pks, with room for a clock that was put back a little. */
static pst_code narrow(struct pst_db_conn *conn, const struct pst_event_query *q, int64_t *after,
                       int64_t *before, struct pst_err *err)
{
    enum { SLACK_S = 600 };
    int64_t pk = 0;
    *after = q->after_pk;
    *before = q->before_pk > 0 ? q->before_pk : INT64_MAX;
    if (!pst_wall_is_none(q->since)) {
        PST_TRY(pst_events_seek(conn, (pst_wall){q->since.us - SLACK_S * PST_US_PER_S}, &pk, err));
        *after = *after > pk - 1 ? *after : pk - 1;
    }
    if (!pst_wall_is_none(q->until)) {
        PST_TRY(pst_events_seek(conn, (pst_wall){q->until.us + SLACK_S * PST_US_PER_S}, &pk, err));
        *before = *before < pk ? *before : pk;
    }
    return PST_OK;
}

pst_code pst_events_list(struct pst_db_conn *conn, const struct pst_event_query *q,
                         struct pst_arena *arena, struct pst_event **out, size_t *count,
                         int64_t *last_pk, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t after = 0;
    int64_t before = 0;
    size_t looked = 0;
    bool row = false;
    *count = 0;
    *last_pk = q->before_pk > 0 ? q->before_pk : q->after_pk;
    PST_TRY(pst_row_limit(q->limit, err));
    PST_TRY(narrow(conn, q, &after, &before, err));
    PST_TRY(pst_arena_array(arena, out, q->limit, sizeof(**out), err));
    PST_TRY(pst_db_stmt(conn, list_sql(q), &st, err));
    pst_stmt_bind_i64(st, 1, q->organization_pk);
    pst_stmt_bind_i64(st, 2, q->connection_pk);
    pst_stmt_bind_i64(st, 3, after);
    pst_stmt_bind_i64(st, 4, before);
    pst_stmt_bind_i64(st, 5, PST_OUTBOX_SCAN + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && *count < q->limit && looked++ < PST_OUTBOX_SCAN) {
        *last_pk = pst_stmt_i64(st, 0);
        if (is_asked_for(q, st))
            PST_TRY(read_event(st, arena, &(*out)[(*count)++], err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *more = row;
    return PST_OK;
}

pst_code pst_events_newest(struct pst_db_conn *conn, int64_t *pk, struct pst_err *err)
{
    return pst_row_int(conn, PST_STR("SELECT coalesce(max(pk), 0) FROM event"), NULL, 0, pk, err);
}

pst_code pst_outbox_oldest(struct pst_db_conn *conn, int64_t *pk, struct pst_err *err)
{
    return pst_row_int(conn,
                       PST_STR("SELECT coalesce(min(pk), (SELECT seq + 1 FROM sqlite_sequence"
                               " WHERE name = 'event'), 1) FROM event"),
                       NULL, 0, pk, err);
}

pst_code pst_events_size(struct pst_db_conn *conn, struct pst_outbox_size *out, struct pst_err *err)
{
    PST_TRY(pst_row_int(conn, PST_STR("SELECT events FROM outbox"), NULL, 0, &out->events, err));
    return pst_row_int(conn, PST_STR("SELECT bytes FROM outbox"), NULL, 0, &out->bytes, err);
}
