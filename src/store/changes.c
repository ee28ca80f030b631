/* store/changes.c: reading the change feed. */
#include "store/records.h"
#include "store/rows.h"

enum { STREAMS_MAX = 256, SCAN_BUDGET = 10000 };

struct stream_entity {
    int64_t pk;
    const struct pst_entity *entity; /* NULL: not of this version's model */
};

struct feed {
    struct stream_entity streams[STREAMS_MAX];
    size_t count;
    int64_t sync_pk; /* of the last change that was read, and its id */
    struct pst_id sync_id;
};

static pst_code read_feed(struct pst_db_conn *conn, int64_t connection_pk, struct feed *feed,
                          struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, PST_STR("SELECT pk, entity FROM stream WHERE connection_pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && feed->count < STREAMS_MAX) {
        feed->streams[feed->count++] = (struct stream_entity){
            .pk = pst_stmt_i64(st, 0), .entity = pst_model_entity(pst_stmt_str(st, 1))};
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

static const struct pst_entity *entity_of(const struct feed *feed, int64_t stream_pk)
{
    for (size_t i = 0; i < feed->count; i++)
        if (feed->streams[i].pk == stream_pk)
            return feed->streams[i].entity;
    return NULL;
}

/* Neighbours were nearly always written by the same run. */
static pst_code find_sync(struct pst_db_conn *conn, int64_t sync_pk, struct feed *feed,
                          struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    if (sync_pk == feed->sync_pk)
        return PST_OK;
    PST_TRY(pst_db_stmt(conn, PST_STR("SELECT id FROM sync WHERE pk = ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, sync_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    feed->sync_pk = sync_pk;
    feed->sync_id = row ? pst_row_id(st, 0, "sync_") : (struct pst_id){0};
    return PST_OK;
}

/* *newest; and whether the changes behind `after` are all still there. */
static pst_code check_range(struct pst_db_conn *conn, int64_t connection_pk, int64_t after,
                            int64_t *newest, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT c.last_seq, (SELECT min(seq) FROM change"
                                " WHERE connection_pk = c.pk) FROM connection c"
                                " WHERE c.pk = ?1 AND c.deleted_at IS NULL"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no connection %lld", (long long)connection_pk);
    *newest = pst_stmt_i64(st, 0);
    int64_t oldest = pst_stmt_is_null(st, 1) ? *newest + 1 : pst_stmt_i64(st, 1);
    if (after > *newest)
        return PST_FAIL_AT(
            err, PST_E_EXPIRED, "after",
            "the newest change is %lld: this feed gave no such number, or the store was"
            " put back to an older state; list the records, then follow from there",
            (long long)*newest);
    if (after + 1 < oldest)
        return PST_FAIL_AT(err, PST_E_EXPIRED, "after",
                           "the changes up to %lld are no longer kept; list the records, then"
                           " follow from %lld",
                           (long long)(oldest - 1), (long long)*newest);
    return PST_OK;
}

/* Without sync_id. */
static struct pst_change_row read_change(struct pst_stmt *st, const struct feed *feed)
{
    struct pst_change_row c = {
        .seq = pst_stmt_i64(st, 0),
        .entity = entity_of(feed, pst_stmt_i64(st, 1)),
        .op = (typeof(c.op))pst_stmt_i64(st, 2),
        .at = {pst_stmt_i64(st, 4)},
        .fields = pst_stmt_str(st, 5),
    };
    pst_str id = pst_stmt_blob(st, 3);
    if (id.len == PST_ID_RAW)
        memcpy(c.id, id.ptr, PST_ID_RAW);
    return c;
}

static pst_code walk(struct pst_db_conn *conn, struct pst_stmt *st, struct feed *feed,
                     uint64_t entities, size_t limit,
                     pst_code (*row_fn)(void *self, const struct pst_change_row *row,
                                        struct pst_err *err),
                     void *self, int64_t *last, struct pst_err *err)
{
    size_t given = 0;
    bool row = false;
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && given < limit) {
        struct pst_change_row c = read_change(st, feed);
        if (c.seq != *last + 1) /* retention overtook us since check_range */
            return PST_FAIL_AT(err, PST_E_EXPIRED, "after",
                               "the changes up to %lld are no longer kept", (long long)(c.seq - 1));
        *last = c.seq;
        if (c.entity && (!entities || (entities >> pst_model_entity_index(c.entity) & 1))) {
            given++;
            PST_TRY(find_sync(conn, pst_stmt_i64(st, 6), feed, err));
            c.sync_id = feed->sync_id;
            PST_TRY(row_fn(self, &c, err));
        }
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

/* Changes with after < seq <= upto, at most SCAN_BUDGET. */
static pst_code open_range(struct pst_db_conn *conn, int64_t connection_pk, int64_t after,
                           int64_t upto, struct pst_stmt **out, struct pst_err *err)
{
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT seq, stream_pk, op, record_id, at, fields, sync_pk"
                                " FROM change WHERE connection_pk = ?1 AND seq > ?2 AND seq <= ?3"
                                " ORDER BY seq LIMIT ?4"),
                        out, err));
    pst_stmt_bind_i64(*out, 1, connection_pk);
    pst_stmt_bind_i64(*out, 2, after);
    pst_stmt_bind_i64(*out, 3, upto);
    pst_stmt_bind_i64(*out, 4, SCAN_BUDGET);
    return PST_OK;
}

pst_code
pst_changes_list(struct pst_db_conn *conn, int64_t connection_pk, int64_t after, uint64_t entities,
                 size_t limit,
                 pst_code (*row)(void *self, const struct pst_change_row *row, struct pst_err *err),
                 void *self, int64_t *last_seq_scanned, int64_t *newest, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct feed feed = {.count = 0};
    PST_TRY(check_range(conn, connection_pk, after, newest, err));
    *last_seq_scanned = after;
    if (after == *newest)
        return PST_OK; /* the answer of almost every poll */
    PST_TRY(read_feed(conn, connection_pk, &feed, err));
    PST_TRY(open_range(conn, connection_pk, after, *newest, &st, err));
    return walk(conn, st, &feed, entities, limit, row, self, last_seq_scanned, err);
}

pst_code pst_changes_of_sync(struct pst_db_conn *conn, int64_t connection_pk, int64_t sync_pk,
                             int64_t first, int64_t last, size_t limit,
                             pst_code (*row_fn)(void *self, const struct pst_change_row *row,
                                                struct pst_err *err),
                             void *self, bool *more, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct feed feed = {.count = 0};
    int64_t seen = first - 1;
    size_t given = 0;
    bool row = false;
    *more = false;
    PST_TRY(read_feed(conn, connection_pk, &feed, err));
    PST_TRY(open_range(conn, connection_pk, first - 1, last, &st, err));
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && !*more) {
        struct pst_change_row c = read_change(st, &feed);
        bool is_its = pst_stmt_i64(st, 6) == sync_pk && c.entity;
        *more = is_its && given == limit;
        if (is_its && !*more)
            PST_TRY(row_fn(self, &c, err));
        given += is_its;
        seen = c.seq;
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *more = *more || seen < last;
    return PST_OK;
}
