/* store/deliveries.c: what the dispatcher reads and writes: lanes, their next deliveries, outcomes.
 *
 * Lanes and endpoints are found by skipping through the indexes of what waits, a step for each,
 * so that a backlog costs as many steps as it has lanes and not as it has rows. */
#include "store/deliveries_private.h"

#include "store/outbox_private.h"
#include "store/rows.h"

/* ---- what waits ---- */

pst_code pst_deliveries_newest(struct pst_db_conn *conn, int64_t *pk, struct pst_err *err)
{
    return pst_row_int(conn, PST_STR("SELECT max(pk) FROM delivery"), NULL, 0, pk, err);
}

#define NEWS "SELECT d.pk, d.endpoint_pk, d.connection_pk, d.loose, e.sample FROM delivery d "

static pst_code read_news(struct pst_stmt *st, struct pst_delivery_news *out, size_t *count,
                          struct pst_err *err)
{
    bool row = false;
    *count = 0;
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        out[(*count)++] = (struct pst_delivery_news){
            .pk = pst_stmt_i64(st, 0),
            .endpoint_pk = pst_stmt_i64(st, 1),
            .lane = pst_stmt_i64(st, 3) ? PST_LANE_LOOSE : pst_stmt_i64(st, 2),
            .is_sample = pst_stmt_i64(st, 4) != 0,
        };
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

pst_code pst_deliveries_news(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                             struct pst_delivery_news *out, size_t *count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR(NEWS "LEFT JOIN event e ON d.loose = 1 AND e.pk = d.event_pk"
                                     " WHERE d.pk > ?1 AND d.status = 0 ORDER BY d.pk LIMIT ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, after_pk);
    pst_stmt_bind_i64(st, 2, (int64_t)limit);
    return read_news(st, out, count, err);
}

pst_code pst_deliveries_loose(struct pst_db_conn *conn, int64_t endpoint_pk, size_t limit,
                              struct pst_delivery_news *out, size_t *count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR(NEWS "INDEXED BY delivery_loose JOIN event e ON e.pk = d.event_pk"
                                     " WHERE d.status = 0 AND d.loose = 1 AND d.endpoint_pk = ?1"
                                     " ORDER BY d.due_at, d.event_pk LIMIT ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, endpoint_pk);
    pst_stmt_bind_i64(st, 2, (int64_t)limit);
    return read_news(st, out, count, err);
}

/* The nearest endpoint behind after_pk in either index; 0 = none. */
static pst_code next_endpoint(struct pst_db_conn *conn, int64_t after_pk, int64_t *pk,
                              struct pst_err *err)
{
    int64_t ordered = 0;
    int64_t loose = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT endpoint_pk FROM delivery INDEXED BY delivery_in_lane"
                                " WHERE status = 0 AND loose = 0 AND endpoint_pk > ?1"
                                " ORDER BY endpoint_pk LIMIT 1"),
                        &after_pk, 1, &ordered, err));
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT endpoint_pk FROM delivery INDEXED BY delivery_loose"
                                " WHERE status = 0 AND loose = 1 AND endpoint_pk > ?1"
                                " ORDER BY endpoint_pk LIMIT 1"),
                        &after_pk, 1, &loose, err));
    *pk = ordered == 0 || (loose != 0 && loose < ordered) ? loose : ordered;
    return PST_OK;
}

pst_code pst_deliveries_endpoints(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                                  int64_t *out, size_t *count, struct pst_err *err)
{
    *count = 0;
    while (*count < limit) {
        PST_TRY(next_endpoint(conn, after_pk, &after_pk, err));
        if (after_pk == 0)
            break;
        out[(*count)++] = after_pk;
    }
    return PST_OK;
}

/* The first delivery, of those whose event is kept, of the next lane behind after_lane. */
struct head {
    int64_t lane, pk;
    pst_wall due_at, refused_since;
};

static pst_code next_head(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t after_lane,
                          struct head *out, bool *found, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT connection_pk, due_at, pk, refused_since"
                                " FROM delivery INDEXED BY delivery_in_lane"
                                " WHERE status = 0 AND loose = 0 AND endpoint_pk = ?1"
                                " AND connection_pk > ?2"
                                " AND EXISTS (SELECT 1 FROM event e WHERE e.pk = event_pk)"
                                " ORDER BY connection_pk, event_pk LIMIT 1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, endpoint_pk);
    pst_stmt_bind_i64(st, 2, after_lane);
    PST_TRY(pst_stmt_step(st, found, err));
    if (*found)
        *out = (struct head){.lane = pst_stmt_i64(st, 0),
                             .due_at = pst_stmt_wall(st, 1),
                             .pk = pst_stmt_i64(st, 2),
                             .refused_since = pst_stmt_wall(st, 3)};
    return PST_OK;
}

pst_code pst_deliveries_lanes(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t after_lane,
                              size_t limit, struct pst_delivery_lane *out, size_t *count,
                              struct pst_err *err)
{
    bool found = true;
    *count = 0;
    while (*count < limit) {
        struct head head = {0};
        PST_TRY(next_head(conn, endpoint_pk, after_lane, &head, &found, err));
        if (!found)
            break;
        out[(*count)++] = (struct pst_delivery_lane){head.lane, head.due_at};
        after_lane = head.lane;
    }
    return PST_OK;
}

/* ---- the next of a lane ---- */

#define WAITING(index)                                                                             \
    "SELECT " PST_DELIVERY_COLUMNS ", e.body FROM delivery d " index                               \
    " JOIN event e ON e.pk = d.event_pk LEFT JOIN connection c ON c.pk = d.connection_pk"          \
    " WHERE d.status = 0 "

/* Runs a prepared statement to its end, into *out with room for limit. */
static pst_code read_all(struct pst_stmt *st, size_t limit, struct pst_arena *arena,
                         struct pst_delivery **out, size_t *count, struct pst_err *err)
{
    bool row = false;
    *count = 0;
    *out = NULL;
    PST_TRY(pst_stmt_step(st, &row, err));
    if (row)
        PST_TRY(pst_arena_bytes(arena, out, limit * sizeof(**out), err));
    while (row && *count < limit) {
        PST_TRY(pst_delivery_read_row(st, arena, &(*out)[*count], err));
        ++*count;
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

pst_code pst_deliveries_next(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t lane,
                             int64_t after_event_pk, size_t limit, struct pst_arena *arena,
                             struct pst_delivery **out, size_t *count, struct pst_err *err)
{
    static const pst_str ordered = PST_STR_INIT(
        WAITING("INDEXED BY delivery_in_lane") "AND d.loose = 0 AND d.endpoint_pk = ?1"
                                               " AND d.connection_pk = ?3 AND d.event_pk > ?4"
                                               " ORDER BY d.event_pk LIMIT ?2");
    static const pst_str loose = PST_STR_INIT(
        WAITING("INDEXED BY delivery_loose") "AND d.loose = 1 AND d.endpoint_pk = ?1"
                                             " ORDER BY d.due_at, d.event_pk LIMIT ?2");
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn, lane == PST_LANE_LOOSE ? loose : ordered, &st, err));
    pst_stmt_bind_i64(st, 1, endpoint_pk);
    pst_stmt_bind_i64(st, 2, (int64_t)limit);
    if (lane != PST_LANE_LOOSE) {
        pst_stmt_bind_i64(st, 3, lane);
        pst_stmt_bind_i64(st, 4, after_event_pk);
    }
    return read_all(st, limit, arena, out, count, err);
}

pst_code pst_deliveries_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                               struct pst_delivery **out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    size_t count = 0;
    PST_TRY(pst_db_stmt(conn, PST_STR(WAITING("") "AND d.pk = ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    PST_TRY(read_all(st, 1, arena, out, &count, err));
    return PST_OK;
}

/* ---- outcomes ---- */

/* *changed: it was waiting, and was not re-sent since the attempt began; a success ends it in
 * either case. */
static pst_code update_delivery(struct pst_db_conn *conn, const struct pst_delivery_result *r,
                                int64_t *changed, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    const struct pst_delivery_tries *t = &r->tries;
    bool has_ended = r->status != PST_DELIVERY_WAITING;
    pst_wall ended = PST_WALL_NONE;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE delivery SET status = ?2, due_at = ?3, attempts = ?4,"
                                " tries = ?5, first_try_at = ?6, open_before_us = ?7,"
                                " refused_status = ?8, refused_count = ?9, refused_since = ?10,"
                                " last_status = ?11, last_error = ?12, ended_at = ?13"
                                " WHERE pk = ?1 AND status = 0 AND (tries = ?5 - 1 OR ?2 = 1)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, r->pk);
    pst_stmt_bind_i64(st, 2, r->status);
    pst_stmt_bind_wall(st, 3, t->due_at);
    pst_stmt_bind_i64(st, 4, t->attempts);
    pst_stmt_bind_i64(st, 5, t->tries);
    pst_stmt_bind_wall(st, 6, t->first_try_at);
    pst_stmt_bind_i64(st, 7, t->open_before_us);
    pst_stmt_bind_i64(st, 8, t->refused_status);
    pst_stmt_bind_i64(st, 9, t->refused_count);
    pst_stmt_bind_wall(st, 10, t->refused_count ? t->refused_since : PST_WALL_NONE);
    pst_stmt_bind_i64(st, 11, r->attempt.status);
    pst_stmt_bind_str(st, 12, r->attempt.error);
    if (has_ended)
        ended.us = r->attempt.at.us + r->attempt.duration_us;
    pst_stmt_bind_wall(st, 13, ended);
    return pst_stmt_run(st, changed, err);
}

/* The attempt was made, though nothing follows from it. *changed: the delivery is there. */
static pst_code count_attempt(struct pst_db_conn *conn, const struct pst_delivery_result *r,
                              int64_t *changed, struct pst_err *err)
{
    const int64_t values[] = {r->pk, r->tries.attempts};
    return pst_row_run(conn,
                       PST_STR("UPDATE delivery SET attempts = max(attempts, ?2) WHERE pk = ?1"),
                       values, 2, changed, err);
}

pst_code pst_deliveries_record(struct pst_db_conn *conn, const struct pst_delivery_result *result,
                               struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    const struct pst_attempt *a = &result->attempt;
    int64_t is_new = 0;
    int64_t is_there = 0;
    PST_TRY(update_delivery(conn, result, &is_there, err));
    if (!is_there)
        PST_TRY(count_attempt(conn, result, &is_there, err));
    if (!is_there)
        return PST_OK;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("INSERT OR IGNORE INTO attempt (delivery_pk, number, at,"
                                " duration_us, status, error, response)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, result->pk);
    pst_stmt_bind_i64(st, 2, result->tries.attempts);
    pst_stmt_bind_wall(st, 3, a->at);
    pst_stmt_bind_i64(st, 4, a->duration_us);
    pst_stmt_bind_i64(st, 5, a->status);
    pst_stmt_bind_str(st, 6, a->error);
    pst_stmt_bind_blob(st, 7, a->response.ptr, a->response.len);
    PST_TRY(pst_stmt_run(st, &is_new, err));
    int64_t bytes = PST_OUTBOX_ATTEMPT_BYTES + (int64_t)(a->error.len + a->response.len);
    return is_new ? pst_outbox_count(conn, 0, bytes, err) : PST_OK;
}

/* ---- a breaker has closed, or the endpoint was switched on ---- */

/* The i-th of count. */
static pst_code set_due(struct pst_db_conn *conn, const struct pst_delivery_haste *haste,
                        int64_t pk, size_t i, size_t count, pst_wall now, struct pst_err *err)
{
    int64_t wait_us = haste->spread_ms * 1000 * (int64_t)i / (int64_t)count;
    const int64_t values[] = {pk, now.us + wait_us, pst_wall_is_none(haste->failing_since)};
    return pst_row_run(conn,
                       PST_STR("UPDATE delivery SET due_at = min(due_at, ?2),"
                               " refused_status = iif(?3, 0, refused_status),"
                               " refused_count = iif(?3, 0, refused_count),"
                               " refused_since = iif(?3, NULL, refused_since)"
                               " WHERE pk = ?1 AND status = 0"
                               " AND (due_at > ?2 OR (?3 AND refused_count > 0))"),
                       values, 3, NULL, err);
}

/* Loose ones each wait for themselves. Those that were hastened are not found again. */
static pst_code hasten_loose(struct pst_db_conn *conn, const struct pst_delivery_haste *haste,
                             size_t limit, pst_wall now, bool *more, struct pst_err *err)
{
    int64_t pks[PST_ROWS_MAX];
    size_t count = 0;
    {
        PST_AUTO(stmt) struct pst_stmt *st = NULL;
        bool row = false;
        PST_TRY(pst_db_stmt(conn,
                            PST_STR("SELECT pk FROM delivery INDEXED BY delivery_loose"
                                    " WHERE status = 0 AND loose = 1 AND endpoint_pk = ?1"
                                    " AND due_at > ?2"
                                    " AND (refused_since IS NULL OR refused_since >= ?4)"
                                    " ORDER BY due_at, event_pk LIMIT ?3"),
                            &st, err));
        pst_stmt_bind_i64(st, 1, haste->endpoint_pk);
        pst_stmt_bind_i64(st, 2, now.us + haste->spread_ms * 1000);
        pst_stmt_bind_i64(st, 3, (int64_t)limit);
        pst_stmt_bind_i64(st, 4, haste->failing_since.us); /* none is before all */
        PST_TRY(pst_stmt_step(st, &row, err));
        while (row && count < limit) {
            pks[count++] = pst_stmt_i64(st, 0);
            PST_TRY(pst_stmt_step(st, &row, err));
        }
    }
    for (size_t i = 0; i < count; i++)
        PST_TRY(set_due(conn, haste, pks[i], i, count, now, err));
    *more = count == limit;
    return PST_OK;
}

pst_code pst_deliveries_hasten(struct pst_db_conn *conn, const struct pst_delivery_haste *haste,
                               int64_t after_lane, size_t limit, pst_wall now, int64_t *next_lane,
                               struct pst_err *err)
{
    struct head heads[PST_ROWS_MAX];
    size_t count = 0;
    bool found = true;
    bool more = false;
    PST_TRY(pst_row_limit(limit, err));
    if (after_lane == PST_LANE_LOOSE)
        PST_TRY(hasten_loose(conn, haste, limit, now, &more, err));
    *next_lane = PST_LANE_LOOSE;
    if (more)
        return PST_OK;
    while (count < limit) {
        PST_TRY(next_head(conn, haste->endpoint_pk, after_lane, &heads[count], &found, err));
        if (!found)
            break;
        after_lane = heads[count++].lane;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_refused = !pst_wall_is_none(heads[i].refused_since) &&
                          heads[i].refused_since.us < haste->failing_since.us;
        if (!is_refused)
            PST_TRY(set_due(conn, haste, heads[i].pk, i, count, now, err));
    }
    *next_lane = found ? after_lane : PST_LANE_DONE;
    return PST_OK;
}
