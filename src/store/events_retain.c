/* store/events_retain.c: removing old events with what was done about them.
 *
 * Events go from the front, a few at a time: what the deliveries of one take is known when they are
 * gone. Deliveries were made in nearly the same order, so they go from their
 * front as long as their event is gone; one that a re-send made later for an old event goes when
 * its turn comes, and means nothing until then. */
#include "store/events.h"
#include "store/outbox_private.h"
#include "store/rows.h"

enum { STEP = 64 }; /* so many events more than it takes may go for their size */

struct retention {
    pst_wall before;
    int64_t excess; /* bytes above the limit */
    int64_t bytes, events; /* removed */
    int64_t oldest; /* pk of the first event that stays */
};

/* Where the part to remove ends: bodies alone cover the excess, or limit. */
static pst_code find_end(struct pst_db_conn *conn, struct retention *r, size_t limit,
                         struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT pk, at, length(CAST(body AS BLOB)) FROM event"
                                " ORDER BY pk LIMIT ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, (int64_t)limit + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        bool is_old = !pst_wall_is_none(r->before) && pst_stmt_i64(st, 1) < r->before.us;
        r->oldest = pst_stmt_i64(st, 0);
        if ((!is_old && r->bytes >= r->excess) || (size_t)r->events == limit)
            return PST_OK;
        r->bytes += PST_OUTBOX_EVENT_BYTES + pst_stmt_i64(st, 2);
        r->events++;
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    r->oldest++; /* nothing stays */
    return PST_OK;
}

/* What may still be removed. */
struct room {
    size_t events, deliveries, attempts;
};

/* The last of at most `limit` deliveries from the front whose event is gone; 0 = there is none. */
static pst_code find_gone(struct pst_db_conn *conn, int64_t oldest, size_t limit, int64_t *end,
                          struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    *end = 0;
    PST_TRY(pst_db_stmt(
        conn, PST_STR("SELECT pk, event_pk < ?1 FROM delivery ORDER BY pk LIMIT ?2"), &st, err));
    pst_stmt_bind_i64(st, 1, oldest);
    pst_stmt_bind_i64(st, 2, (int64_t)limit);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && pst_stmt_i64(st, 1)) {
        *end = pst_stmt_i64(st, 0);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

/* At most room->attempts of those at deliveries up to `end`. */
static pst_code remove_attempts(struct pst_db_conn *conn, int64_t end, struct room *room,
                                struct pst_err *err)
{
    const int64_t values[] = {end, (int64_t)room->attempts, PST_OUTBOX_ATTEMPT_BYTES};
    int64_t bytes = 0;
    int64_t removed = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT sum(?3 + length(CAST(error AS BLOB)) + length(response))"
                                " FROM (SELECT error, response FROM attempt WHERE delivery_pk <= ?1"
                                " ORDER BY delivery_pk, number LIMIT ?2)"),
                        values, 3, &bytes, err));
    PST_TRY(pst_row_run(conn,
                        PST_STR("DELETE FROM attempt WHERE (delivery_pk, number) IN"
                                " (SELECT delivery_pk, number FROM attempt WHERE delivery_pk <= ?1"
                                " ORDER BY delivery_pk, number LIMIT ?2)"),
                        values, 2, &removed, err));
    room->attempts -= (size_t)removed;
    return pst_outbox_count(conn, 0, -bytes, err);
}

static void note_loss(struct pst_outbox_loss *loss, int64_t organization_pk)
{
    size_t i = 0;
    loss->count++;
    while (i < loss->organization_count && loss->organizations[i] != organization_pk)
        i++;
    if (i == loss->organization_count && i < PST_OUTBOX_LOSERS)
        loss->organizations[loss->organization_count++] = organization_pk;
}

/* Of the deliveries up to `end`; a sample has no sequence. */
static pst_code count_loss(struct pst_db_conn *conn, int64_t end, struct pst_outbox_loss *loss,
                           struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT p.organization_pk FROM delivery d JOIN endpoint p"
                                " ON p.pk = d.endpoint_pk AND p.deleted_at IS NULL"
                                " WHERE d.pk <= ?1 AND d.status = 0 AND d.sequence > 0"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, end);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        note_loss(loss, pst_stmt_i64(st, 0));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

/* From the front, those whose event is gone, as far as their attempts went before them. */
static pst_code remove_deliveries(struct pst_db_conn *conn, struct room *room,
                                  struct pst_outbox_loss *loss, struct pst_err *err)
{
    int64_t oldest = 0;
    int64_t end = 0;
    int64_t removed = 0;
    PST_TRY(pst_outbox_oldest(conn, &oldest, err));
    PST_TRY(find_gone(conn, oldest, room->deliveries, &end, err));
    if (end == 0)
        return PST_OK;
    PST_TRY(remove_attempts(conn, end, room, err));
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT coalesce(min(delivery_pk) - 1, ?1) FROM attempt"
                                " WHERE delivery_pk <= ?1"),
                        &end, 1, &end, err));
    PST_TRY(count_loss(conn, end, loss, err));
    PST_TRY(
        pst_row_run(conn, PST_STR("DELETE FROM delivery WHERE pk <= ?1"), &end, 1, &removed, err));
    room->deliveries -= (size_t)removed;
    return pst_outbox_count(conn, 0, -removed * PST_OUTBOX_DELIVERY_BYTES, err);
}

/* Endpoints that were deleted and of which nothing is listed any more. */
static pst_code remove_endpoints(struct pst_db_conn *conn, pst_wall before, struct pst_err *err)
{
    static const pst_str steps[] = {
        PST_STR_INIT("DELETE FROM endpoint_choice WHERE endpoint_pk = ?1"),
        PST_STR_INIT("DELETE FROM lane WHERE endpoint_pk = ?1"),
        PST_STR_INIT("DELETE FROM endpoint WHERE pk = ?1"),
    };
    int64_t pk = 0;
    if (pst_wall_is_none(before))
        return PST_OK;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT pk FROM endpoint p WHERE deleted_at < ?1 AND NOT EXISTS"
                                " (SELECT 1 FROM delivery WHERE endpoint_pk = p.pk) LIMIT 1"),
                        &before.us, 1, &pk, err));
    for (size_t i = 0; pk && i < PST_COUNT(steps); i++)
        PST_TRY(pst_row_run(conn, steps[i], &pk, 1, NULL, err));
    return PST_OK;
}

pst_code pst_events_retain(struct pst_db_conn *conn, pst_wall before, int64_t max_bytes,
                           size_t limit, struct pst_outbox_loss *loss, bool *left,
                           struct pst_err *err)
{
    struct room room = {limit, limit, limit};
    loss->count = 0;
    loss->organization_count = 0;
    for (;;) {
        struct pst_outbox_size size = {0};
        PST_TRY(remove_deliveries(conn, &room, loss, err));
        *left = room.events == 0 || room.deliveries == 0 || room.attempts == 0;
        if (*left)
            break;
        PST_TRY(pst_events_size(conn, &size, err));
        struct retention r = {.before = before, .excess = size.bytes - max_bytes};
        PST_TRY(find_end(conn, &r, room.events < STEP ? room.events : STEP, err));
        if (r.events == 0)
            break;
        room.events -= (size_t)r.events;
        PST_TRY(
            pst_row_run(conn, PST_STR("DELETE FROM event WHERE pk < ?1"), &r.oldest, 1, NULL, err));
        PST_TRY(pst_outbox_count(conn, -r.events, -r.bytes, err));
    }
    return remove_endpoints(conn, before, err);
}
