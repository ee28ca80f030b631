/* store/deliveries_read.c: deliveries as the API shows them, and making them wait again. */
#include "store/deliveries_private.h"
#include "store/outbox_private.h"
#include "store/rows.h"
#include "store/store.h"

static const char *const status_names[] = {
    [PST_DELIVERY_WAITING] = "waiting",
    [PST_DELIVERY_DELIVERED] = "delivered",
    [PST_DELIVERY_FAILED] = "failed",
};

const char *pst_delivery_status_name(enum pst_delivery_status status)
{
    return status_names[status];
}

pst_code pst_delivery_read_row(struct pst_stmt *st, struct pst_arena *arena,
                               struct pst_delivery *out, struct pst_err *err)
{
    *out = (struct pst_delivery){
        .pk = pst_stmt_i64(st, 0),
        .id = pst_row_id(st, 1, "dlv_"),
        .endpoint_pk = pst_stmt_i64(st, 2),
        .connection_pk = pst_stmt_i64(st, 3),
        .connection_id = pst_row_id(st, 4, "conn_"),
        .event_pk = pst_stmt_i64(st, 5),
        .event_id = pst_row_id(st, 6, "evt_"),
        .is_sample = pst_stmt_i64(st, 7) != 0,
        .is_loose = pst_stmt_i64(st, 8) != 0,
        .sequence = pst_stmt_i64(st, 9),
        .status = (enum pst_delivery_status)pst_stmt_i64(st, 10),
        .tries =
            {
                .attempts = pst_stmt_i64(st, 11),
                .tries = pst_stmt_i64(st, 12),
                .first_try_at = pst_stmt_wall(st, 13),
                .open_before_us = pst_stmt_i64(st, 14),
                .due_at = pst_stmt_wall(st, 15),
                .refused_status = pst_stmt_i64(st, 16),
                .refused_count = pst_stmt_i64(st, 17),
                .refused_since = pst_stmt_wall(st, 18),
            },
        .last_status = pst_stmt_i64(st, 19),
        .created_at = pst_stmt_wall(st, 20),
        .ended_at = pst_stmt_wall(st, 21),
    };
    pst_str *const texts[] = {&out->type, &out->last_error, &out->body};
    return pst_row_texts(st, 22, PST_COUNT(texts), arena, texts, err);
}

/* ---- trying an endpoint out ---- */

static void copy_raw(uint8_t out[PST_ID_RAW], pst_str blob)
{
    if (blob.len == PST_ID_RAW)
        memcpy(out, blob.ptr, PST_ID_RAW);
}

/* An event's and an endpoint's share of a delivery. Errors: NOT_FOUND. */
static pst_code read_entry(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t event_pk,
                           struct pst_outbox_entry *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT e.connection_pk, e.id, p.id FROM event e, endpoint p"
                                " WHERE e.pk = ?1 AND p.pk = ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, event_pk);
    pst_stmt_bind_i64(st, 2, endpoint_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no event %lld or endpoint %lld", (long long)event_pk,
                        (long long)endpoint_pk);
    *out = (struct pst_outbox_entry){
        .endpoint_pk = endpoint_pk, .connection_pk = pst_stmt_i64(st, 0), .event_pk = event_pk};
    copy_raw(out->event_id, pst_stmt_blob(st, 1));
    copy_raw(out->endpoint_id, pst_stmt_blob(st, 2));
    return PST_OK;
}

pst_code pst_deliveries_add_sample(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t event_pk,
                                   pst_wall now, struct pst_delivery *out, struct pst_err *err)
{
    struct pst_outbox_entry entry;
    PST_TRY(read_entry(conn, endpoint_pk, event_pk, &entry, err));
    entry.is_loose = entry.is_sample = true;
    entry.now = now;
    *out = (struct pst_delivery){
        .endpoint_pk = endpoint_pk,
        .connection_pk = entry.connection_pk,
        .event_pk = event_pk,
        .event_id = pst_id_format("evt_", entry.event_id),
        .is_sample = true,
        .is_loose = true,
        .tries = {.first_try_at = PST_WALL_NONE, .due_at = now, .refused_since = PST_WALL_NONE},
        .created_at = now,
        .ended_at = PST_WALL_NONE,
    };
    pst_db_notify(conn, PST_TOPIC_EVENTS);
    return pst_outbox_queue(conn, &entry, &out->pk, &out->id, &out->sequence, err);
}

/* ---- looking ---- */

/* A row that the conditions in ON refuse costs no look at its event. */
void pst_deliveries_list_sql(pst_str *out)
{
    *out = PST_STR("SELECT " PST_DELIVERY_COLUMNS ", NULL FROM delivery d"
                   " LEFT JOIN event e ON e.pk = CASE WHEN (?3 = 0 OR ?3 >> d.status & 1)"
                   " AND (?4 < 0 OR d.connection_pk = ?4)"
                   " AND (?5 IS NULL OR d.created_at >= ?5) AND (?6 IS NULL OR d.created_at < ?6)"
                   " THEN d.event_pk END"
                   " LEFT JOIN connection c ON c.pk = CASE WHEN e.pk > 0 THEN d.connection_pk END"
                   " WHERE d.endpoint_pk = ?1 AND d.event_pk < ?2"
                   " ORDER BY d.event_pk DESC LIMIT ?7");
}

static pst_code open_list(struct pst_db_conn *conn, const struct pst_delivery_query *q,
                          struct pst_stmt **out, struct pst_err *err)
{
    pst_str sql;
    pst_deliveries_list_sql(&sql);
    PST_TRY(pst_db_stmt(conn, sql, out, err));
    pst_stmt_bind_i64(*out, 1, q->endpoint_pk);
    pst_stmt_bind_i64(*out, 2, q->before_event_pk ? q->before_event_pk : INT64_MAX);
    pst_stmt_bind_i64(*out, 3, q->statuses);
    pst_stmt_bind_i64(*out, 4, q->connection_pk);
    pst_stmt_bind_wall(*out, 5, q->since);
    pst_stmt_bind_wall(*out, 6, q->until);
    pst_stmt_bind_i64(*out, 7, PST_OUTBOX_SCAN + 1);
    return PST_OK;
}

pst_code pst_deliveries_list(struct pst_db_conn *conn, const struct pst_delivery_query *query,
                             struct pst_arena *arena, struct pst_delivery **out, size_t *count,
                             int64_t *last_event_pk, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_delivery *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(query->limit, err));
    PST_TRY(pst_arena_array(arena, &items, query->limit, sizeof(*items), err));
    PST_TRY(open_list(conn, query, &st, err));
    *last_event_pk = query->before_event_pk;
    PST_TRY(pst_stmt_step(st, &row, err));
    for (int scanned = 0; row && scanned < PST_OUTBOX_SCAN; scanned++) {
        bool is_match =
            !pst_stmt_is_null(st, 6) && pst_outbox_is_asked_for(query->types, pst_stmt_str(st, 22));
        if (is_match && n == query->limit)
            break;
        if (is_match)
            PST_TRY(pst_delivery_read_row(st, arena, &items[n++], err));
        *last_event_pk = pst_stmt_i64(st, 5);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    *more = row;
    return PST_OK;
}

pst_code pst_deliveries_get(struct pst_db_conn *conn, int64_t endpoint_pk, pst_str id,
                            struct pst_arena *arena, struct pst_delivery *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    if (pst_row_raw_id(raw, "dlv_", id)) {
        PST_TRY(pst_db_stmt(conn,
                            PST_STR("SELECT " PST_DELIVERY_COLUMNS ", e.body FROM delivery d"
                                    " JOIN event e ON e.pk = d.event_pk"
                                    " LEFT JOIN connection c ON c.pk = d.connection_pk"
                                    " WHERE d.id = ?1 AND d.endpoint_pk = ?2"),
                            &st, err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        pst_stmt_bind_i64(st, 2, endpoint_pk);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no delivery '%.*s'", PST_STR_ARG(id));
    return pst_delivery_read_row(st, arena, out, err);
}

pst_code pst_deliveries_attempts(struct pst_db_conn *conn, int64_t delivery_pk, size_t limit,
                                 struct pst_arena *arena, struct pst_attempt **out, size_t *count,
                                 struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_attempt *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_row_limit(limit, err));
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT number, at, duration_us, status, error, response"
                                " FROM attempt WHERE delivery_pk = ?1"
                                " ORDER BY number DESC LIMIT ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, delivery_pk);
    pst_stmt_bind_i64(st, 2, (int64_t)limit);
    PST_TRY(pst_stmt_step(st, &row, err));
    /* From the newest on, filled from the end. */
    while (row) {
        struct pst_attempt *a = &items[limit - ++n];
        a->number = pst_stmt_i64(st, 0);
        a->at = pst_stmt_wall(st, 1);
        a->duration_us = pst_stmt_i64(st, 2);
        a->status = pst_stmt_i64(st, 3);
        PST_TRY(pst_row_text(st, 4, arena, &a->error, err));
        PST_TRY(pst_row_blob(st, 5, arena, &a->response, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items + (limit - n);
    *count = n;
    return PST_OK;
}

pst_code pst_deliveries_waiting(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t most,
                                int64_t *count, struct pst_err *err)
{
    const int64_t values[] = {most, endpoint_pk};
    if (endpoint_pk == 0)
        return pst_row_int(conn,
                           PST_STR("SELECT min(?1, (SELECT count(*) FROM (SELECT 1 FROM delivery"
                                   " INDEXED BY delivery_in_lane WHERE status = 0 AND loose = 0"
                                   " LIMIT ?1)) + (SELECT count(*) FROM (SELECT 1 FROM delivery"
                                   " INDEXED BY delivery_loose WHERE status = 0 AND loose = 1"
                                   " LIMIT ?1)))"),
                           values, 1, count, err);
    return pst_row_int(conn,
                       PST_STR("SELECT min(?1, (SELECT count(*) FROM (SELECT 1 FROM delivery"
                               " INDEXED BY delivery_in_lane WHERE endpoint_pk = ?2"
                               " AND status = 0 AND loose = 0 LIMIT ?1))"
                               " + (SELECT count(*) FROM (SELECT 1 FROM delivery"
                               " INDEXED BY delivery_loose WHERE endpoint_pk = ?2"
                               " AND status = 0 AND loose = 1 LIMIT ?1)))"),
                       values, 2, count, err);
}

/* ---- once more ---- */

pst_code pst_deliveries_resend(struct pst_db_conn *conn, int64_t pk, pst_wall now,
                               struct pst_err *err)
{
    const int64_t values[] = {pk, now.us};
    int64_t endpoint_pk = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("UPDATE delivery SET due_at = ?2, tries = 0, first_try_at = NULL,"
                                " open_before_us = 0, refused_status = 0, refused_count = 0,"
                                " refused_since = NULL, status = 0, ended_at = NULL WHERE pk = ?1"
                                " AND EXISTS (SELECT 1 FROM event e WHERE e.pk = event_pk)"
                                " RETURNING endpoint_pk"),
                        values, 2, &endpoint_pk, err));
    if (endpoint_pk == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no delivery %lld", (long long)pk);
    pst_db_notify(conn, pst_topic_endpoint(endpoint_pk));
    return PST_OK;
}

/* What a range looks at of each event. */
enum {
    EVENT_PK,
    EVENT_ID,
    EVENT_AT,
    EVENT_CONNECTION,
    EVENT_TYPE,
    DELIVERY_PK,
    STATUS,
    ENDPOINT_ID,
    ORDERED,
    OWNER,
    OWN_EVENTS,
    CHOSEN_EVENTS,
    CONNECTION_PK
};

/* clang-format off */
#define RANGE_COLUMNS                                                                              \
    "SELECT e.pk, e.id, e.at, e.connection_pk, e.type, d.pk, d.status, p.id, p.ordered,"           \
    " p.connection_pk, p.events, h.events, c.pk"
/* Every event of the organization; and the endpoint's deliveries, of which a choice says nothing. */
#define RANGE_OF_ALL                                                                               \
    RANGE_COLUMNS                                                                                  \
    " FROM event e JOIN endpoint p ON p.pk = ?1 AND p.deleted_at IS NULL"                          \
    " LEFT JOIN delivery d ON d.endpoint_pk = ?1 AND d.event_pk = e.pk"                            \
    " LEFT JOIN endpoint_choice h ON h.endpoint_pk = ?1 AND h.connection_pk = e.connection_pk"     \
    " LEFT JOIN connection c ON c.pk = e.connection_pk"                                            \
    " WHERE e.organization_pk = ?4 AND e.sample = 0 AND e.pk > ?2 ORDER BY e.pk LIMIT ?3"
#define RANGE_OF_FAILED                                                                            \
    RANGE_COLUMNS                                                                                  \
    " FROM delivery d JOIN event e ON e.pk = d.event_pk"                                           \
    " JOIN endpoint p ON p.pk = ?1 AND p.deleted_at IS NULL"                                       \
    " LEFT JOIN endpoint_choice h ON h.endpoint_pk = NULL LEFT JOIN connection c ON c.pk = NULL"   \
    " WHERE d.endpoint_pk = ?1 AND d.event_pk > ?2 AND ?4 > 0 AND e.sample = 0"                    \
    " ORDER BY d.event_pk LIMIT ?3"
/* clang-format on */

void pst_deliveries_range_sql(pst_str out[2])
{
    out[0] = PST_STR(RANGE_OF_FAILED);
    out[1] = PST_STR(RANGE_OF_ALL);
}

/* Queue the event that st stands at, where it is one of the range. What waits needs no push: its
 * turn comes. */
static pst_code resend_row(struct pst_db_conn *conn, const struct pst_delivery_range *r,
                           struct pst_stmt *st, pst_wall now, int64_t *count, struct pst_err *err)
{
    struct pst_outbox_entry entry = {
        .endpoint_pk = r->endpoint_pk,
        .connection_pk = pst_stmt_i64(st, EVENT_CONNECTION),
        .event_pk = pst_stmt_i64(st, EVENT_PK),
        .is_loose = pst_stmt_i64(st, ORDERED) == 0,
        .now = now,
    };
    int64_t sequence = 0;
    int64_t status = pst_stmt_i64(st, STATUS);
    int64_t owner = pst_stmt_i64(st, OWNER);
    pst_wall until = pst_wall_is_none(r->until) ? now : r->until;
    pst_wall at = pst_stmt_wall(st, EVENT_AT);
    if (at.us < r->since.us || at.us >= until.us)
        return PST_OK;
    if (!pst_stmt_is_null(st, DELIVERY_PK)) {
        if (status == PST_DELIVERY_WAITING || (!r->all && status != PST_DELIVERY_FAILED))
            return PST_OK;
        *count += 1;
        return pst_deliveries_resend(conn, pst_stmt_i64(st, DELIVERY_PK), now, err);
    }
    if (entry.connection_pk != 0 && pst_stmt_is_null(st, CONNECTION_PK))
        return PST_OK; /* purged: nothing counts what it queues any more */
    if ((owner != 0 && owner != entry.connection_pk) ||
        !pst_outbox_wants(pst_stmt_str(st, OWN_EVENTS), !pst_stmt_is_null(st, CHOSEN_EVENTS),
                          pst_stmt_str(st, CHOSEN_EVENTS), pst_stmt_str(st, EVENT_TYPE)))
        return PST_OK;
    copy_raw(entry.event_id, pst_stmt_blob(st, EVENT_ID));
    copy_raw(entry.endpoint_id, pst_stmt_blob(st, ENDPOINT_ID));
    *count += 1;
    return pst_outbox_queue(conn, &entry, NULL, NULL, &sequence, err);
}

/* Behind which event a range begins, with room for a clock that was put back a little. */
static pst_code begin_range(struct pst_db_conn *conn, pst_wall since, int64_t *cursor,
                            struct pst_err *err)
{
    enum { SLACK_S = 600 };
    PST_TRY(pst_events_seek(conn, (pst_wall){since.us - SLACK_S * PST_US_PER_S}, cursor, err));
    *cursor -= 1;
    return PST_OK;
}

pst_code pst_deliveries_resend_range(struct pst_db_conn *conn,
                                     const struct pst_delivery_range *range, size_t limit,
                                     pst_wall now, int64_t *cursor, int64_t *count,
                                     struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    pst_str sql[2];
    size_t seen = 0;
    bool row = false;
    if (*cursor == 0)
        PST_TRY(begin_range(conn, range->since, cursor, err));
    pst_deliveries_range_sql(sql);
    PST_TRY(pst_db_stmt(conn, sql[range->all], &st, err));
    pst_stmt_bind_i64(st, 1, range->endpoint_pk);
    pst_stmt_bind_i64(st, 2, *cursor);
    pst_stmt_bind_i64(st, 3, (int64_t)limit);
    pst_stmt_bind_i64(st, 4, range->organization_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    for (; row; seen++) {
        *cursor = pst_stmt_i64(st, EVENT_PK);
        PST_TRY(resend_row(conn, range, st, now, count, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (seen < limit)
        *cursor = -1;
    pst_db_notify(conn, pst_topic_endpoint(range->endpoint_pk));
    return PST_OK;
}
