/* store/deliveries_read.c: deliveries as the API shows them, and making them wait again. */
#include "crypto/crypto.h"
#include "store/deliveries_private.h"
#include "store/events.h"
#include "store/rows.h"
#include "store/store.h"

enum { SCAN_BUDGET = 10000 };

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

/* ---- making one ---- */

/* UUIDv7 of an endpoint's delivery of an event, of which there is only ever one. */
static void make_id(uint8_t out[PST_ID_RAW], const struct pst_delivery *d)
{
    uint8_t digest[PST_BLAKE2B_BYTES];
    char text[PST_ID_TEXT + 24];
    int n = snprintf(text, sizeof(text), "%s %lld", d->event_id.text, (long long)d->endpoint_pk);
    pst_blake2b(digest, (pst_str){text, (size_t)n});
    pst_id_v7(out, d->created_at, digest);
}

pst_code pst_delivery_insert(struct pst_db_conn *conn, struct pst_delivery *d, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    const int64_t lane[] = {d->endpoint_pk, d->connection_pk};
    make_id(raw, d);
    PST_TRY(pst_row_int(conn,
                        PST_STR("INSERT INTO lane VALUES (?1, ?2, 1)"
                                " ON CONFLICT DO UPDATE SET last_sequence = last_sequence + 1"
                                " RETURNING last_sequence"),
                        lane, 2, &d->sequence, err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT INTO delivery (endpoint_pk, connection_pk, event_pk, loose,"
                                " sequence, due_at, created_at, id)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, d->endpoint_pk);
    pst_stmt_bind_i64(st, 2, d->connection_pk);
    pst_stmt_bind_i64(st, 3, d->event_pk);
    pst_stmt_bind_i64(st, 4, d->is_loose);
    pst_stmt_bind_i64(st, 5, d->sequence);
    pst_stmt_bind_wall(st, 6, d->created_at);
    pst_stmt_bind_blob(st, 7, raw, sizeof(raw));
    PST_TRY(pst_stmt_run(st, NULL, err));
    d->pk = pst_db_last_rowid(conn);
    d->id = pst_id_format("dlv_", raw);
    return PST_OK;
}

pst_code pst_deliveries_add_sample(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t event_pk,
                                   pst_wall now, struct pst_delivery *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(
        pst_db_stmt(conn, PST_STR("SELECT id, connection_pk FROM event WHERE pk = ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, event_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no event %lld", (long long)event_pk);
    *out = (struct pst_delivery){
        .endpoint_pk = endpoint_pk,
        .event_pk = event_pk,
        .event_id = pst_row_id(st, 0, "evt_"),
        .connection_pk = pst_stmt_i64(st, 1),
        .is_sample = true,
        .is_loose = true,
        .created_at = now,
        .tries = {.first_try_at = PST_WALL_NONE, .due_at = now, .refused_since = PST_WALL_NONE},
        .ended_at = PST_WALL_NONE,
    };
    pst_db_notify(conn, PST_TOPIC_EVENTS);
    return pst_delivery_insert(conn, out, err);
}

/* ---- looking ---- */

/* "a,b,flow.*" takes the type. */
static bool is_wanted(pst_str types, pst_str type)
{
    bool any = types.len == 0;
    while (types.len && !any)
        any = pst_events_match(pst_str_split(&types, ','), type);
    return any;
}

/* A row that the conditions in ON refuse costs no look at its event. */
static pst_code open_list(struct pst_db_conn *conn, const struct pst_delivery_query *q,
                          struct pst_stmt **out, struct pst_err *err)
{
    PST_TRY(pst_db_stmt(
        conn,
        PST_STR("SELECT " PST_DELIVERY_COLUMNS ", NULL FROM delivery d"
                " LEFT JOIN event e ON e.pk = CASE WHEN (?3 = 0 OR ?3 >> d.status & 1)"
                " AND (?4 < 0 OR d.connection_pk = ?4)"
                " AND (?5 IS NULL OR d.created_at >= ?5) AND (?6 IS NULL OR d.created_at < ?6)"
                " THEN d.event_pk END"
                " LEFT JOIN connection c ON c.pk = CASE WHEN e.pk > 0 THEN d.connection_pk END"
                " WHERE d.endpoint_pk = ?1 AND d.event_pk < ?2"
                " ORDER BY d.event_pk DESC LIMIT ?7"),
        out, err));
    pst_stmt_bind_i64(*out, 1, q->endpoint_pk);
    pst_stmt_bind_i64(*out, 2, q->before_event_pk ? q->before_event_pk : INT64_MAX);
    pst_stmt_bind_i64(*out, 3, q->statuses);
    pst_stmt_bind_i64(*out, 4, q->connection_pk);
    pst_stmt_bind_wall(*out, 5, q->since);
    pst_stmt_bind_wall(*out, 6, q->until);
    pst_stmt_bind_i64(*out, 7, SCAN_BUDGET + 1);
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
    for (int scanned = 0; row && scanned < SCAN_BUDGET; scanned++) {
        bool is_match = !pst_stmt_is_null(st, 6) && is_wanted(query->types, pst_stmt_str(st, 22));
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
    int64_t changes = 0;
    PST_TRY(pst_row_run(conn,
                        PST_STR("UPDATE delivery SET due_at = ?2, tries = 0, first_try_at = NULL,"
                                " open_before_us = 0, refused_status = 0, refused_count = 0,"
                                " refused_since = NULL, status = 0, ended_at = NULL WHERE pk = ?1"),
                        values, 2, &changes, err));
    if (changes == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no delivery %lld", (long long)pk);
    pst_db_notify(conn, PST_TOPIC_ENDPOINTS);
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
    EVENTS,
    ORDERED,
    ENDPOINT_CONNECTION
};

/* clang-format off */
#define RANGE_COLUMNS                                                                              \
    "SELECT e.pk, e.id, e.at, e.connection_pk, e.type, d.pk, d.status,"                            \
    " coalesce(w.events, p.events), p.ordered, p.connection_pk"
/* clang-format on */

/* Failed ones follow the endpoint's deliveries, all of them the organization's events. */
static pst_code open_range(struct pst_db_conn *conn, const struct pst_delivery_range *r,
                           size_t limit, int64_t after, struct pst_stmt **out, struct pst_err *err)
{
    if (r->all)
        PST_TRY(pst_db_stmt(conn,
                            PST_STR(RANGE_COLUMNS
                                    " FROM event e JOIN endpoint p ON p.pk = ?1"
                                    " LEFT JOIN delivery d ON d.endpoint_pk = ?1"
                                    " AND d.event_pk = e.pk"
                                    " LEFT JOIN endpoint_choice w ON w.endpoint_pk = ?1"
                                    " AND w.connection_pk = e.connection_pk"
                                    " WHERE e.organization_pk = ?4 AND e.sample = 0 AND e.pk > ?2"
                                    " ORDER BY e.pk LIMIT ?3"),
                            out, err));
    else
        PST_TRY(
            pst_db_stmt(conn,
                        PST_STR(RANGE_COLUMNS " FROM delivery d JOIN event e ON e.pk = d.event_pk"
                                              " JOIN endpoint p ON p.pk = ?1"
                                              " LEFT JOIN endpoint_choice w ON w.endpoint_pk = NULL"
                                              " WHERE d.endpoint_pk = ?1 AND d.event_pk > ?2"
                                              " ORDER BY d.event_pk LIMIT ?3"),
                        out, err));
    pst_stmt_bind_i64(*out, 1, r->endpoint_pk);
    pst_stmt_bind_i64(*out, 2, after);
    pst_stmt_bind_i64(*out, 3, (int64_t)limit);
    if (r->all)
        pst_stmt_bind_i64(*out, 4, r->organization_pk);
    return PST_OK;
}

/* Queue the event that st stands at, where it is one of the range. */
static pst_code resend_row(struct pst_db_conn *conn, const struct pst_delivery_range *r,
                           struct pst_stmt *st, pst_wall now, int64_t *count, struct pst_err *err)
{
    pst_wall at = pst_stmt_wall(st, EVENT_AT);
    pst_wall until = pst_wall_is_none(r->until) ? now : r->until;
    int64_t owner = pst_stmt_i64(st, ENDPOINT_CONNECTION);
    int64_t status = pst_stmt_i64(st, STATUS);
    bool is_new = pst_stmt_is_null(st, DELIVERY_PK);
    struct pst_delivery d = {
        .endpoint_pk = r->endpoint_pk,
        .connection_pk = pst_stmt_i64(st, EVENT_CONNECTION),
        .event_pk = pst_stmt_i64(st, EVENT_PK),
        .event_id = pst_row_id(st, EVENT_ID, "evt_"),
        .is_loose = pst_stmt_i64(st, ORDERED) == 0,
        .created_at = now,
    };
    if (at.us < r->since.us || at.us >= until.us)
        return PST_OK;
    if (is_new && ((owner != 0 && owner != d.connection_pk) ||
                   !pst_events_match(pst_stmt_str(st, EVENTS), pst_stmt_str(st, EVENT_TYPE))))
        return PST_OK;
    /* What waits needs no push: its turn comes. */
    if (!is_new && (status == PST_DELIVERY_WAITING || (!r->all && status != PST_DELIVERY_FAILED)))
        return PST_OK;
    *count += 1;
    return is_new ? pst_delivery_insert(conn, &d, err)
                  : pst_deliveries_resend(conn, pst_stmt_i64(st, DELIVERY_PK), now, err);
}

pst_code pst_deliveries_resend_range(struct pst_db_conn *conn,
                                     const struct pst_delivery_range *range, size_t limit,
                                     pst_wall now, int64_t *cursor, int64_t *count,
                                     struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    size_t seen = 0;
    bool row = false;
    PST_TRY(open_range(conn, range, limit, *cursor, &st, err));
    PST_TRY(pst_stmt_step(st, &row, err));
    for (; row; seen++) {
        *cursor = pst_stmt_i64(st, EVENT_PK);
        PST_TRY(resend_row(conn, range, st, now, count, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (seen < limit)
        *cursor = -1;
    pst_db_notify(conn, PST_TOPIC_ENDPOINTS);
    return PST_OK;
}
