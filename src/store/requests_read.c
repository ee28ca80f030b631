/* store/requests_read.c: reading the request log. */
#include <stdlib.h>

#include "base/num.h"
#include "store/outages.h"
#include "store/requests.h"
#include "store/rows.h"

/* clang-format off */
#define REQUEST                                                                                    \
    "SELECT pk, at, organization_pk, connection_pk, status, duration_us, bytes, id, trace_id,"     \
    " sync_id, operation, method, code, cause, actor, detail,"                                     \
    " (SELECT c.id FROM connection c WHERE c.pk = request.connection_pk),"                         \
    " (SELECT o.id FROM organization o WHERE o.pk = request.organization_pk) FROM request "
#define CALL                                                                                       \
    "SELECT pk, at, connection_pk, class, request_id, sync_id, number, status, bytes, waited_us,"  \
    " dns_us, connect_us, tls_us, first_byte_us, total_us, span_id, origin, method, path, fault,"  \
    " code, cause, error FROM upstream_call "
/* clang-format on */

static void read_bytes(struct pst_stmt *st, int column, uint8_t *out, size_t len)
{
    pst_str raw = pst_stmt_blob(st, column);
    if (raw.len == len)
        memcpy(out, raw.ptr, len);
}

static void read_request(struct pst_stmt *st, struct pst_request_row *r)
{
    *r = (struct pst_request_row){
        .pk = pst_stmt_i64(st, 0),
        .at = pst_stmt_wall(st, 1),
        .organization_pk = pst_stmt_i64(st, 2),
        .connection_pk = pst_stmt_i64(st, 3),
        .status = (int)pst_stmt_i64(st, 4),
        .duration_us = pst_stmt_i64(st, 5),
        .bytes = (uint64_t)pst_stmt_i64(st, 6),
        .sync_id = pst_row_id(st, 9, "sync_"),
        .connection_id = pst_row_id(st, 16, "conn_"),
        .organization_id = pst_row_id(st, 17, "org_"),
    };
    read_bytes(st, 7, r->id, PST_ID_RAW);
    read_bytes(st, 8, r->trace_id, PST_TRACE_ID);
    (void)pst_str_copy(r->operation, sizeof(r->operation), pst_stmt_str(st, 10));
    (void)pst_str_copy(r->method, sizeof(r->method), pst_stmt_str(st, 11));
    (void)pst_str_copy(r->code, sizeof(r->code), pst_stmt_str(st, 12));
    (void)pst_str_copy(r->cause, sizeof(r->cause), pst_stmt_str(st, 13));
    (void)pst_str_copy(r->actor.text, sizeof(r->actor.text), pst_stmt_str(st, 14));
    (void)pst_str_copy(r->detail, sizeof(r->detail), pst_stmt_str(st, 15));
}

static void read_call(struct pst_stmt *st, struct pst_call_row *c)
{
    *c = (struct pst_call_row){
        .pk = pst_stmt_i64(st, 0),
        .at = pst_stmt_wall(st, 1),
        .connection_pk = pst_stmt_i64(st, 2),
        .class = (enum pst_call_class)pst_stmt_i64(st, 3),
        .request_id = pst_row_id(st, 4, "req_"),
        .sync_id = pst_row_id(st, 5, "sync_"),
        .number = (unsigned)pst_stmt_i64(st, 6),
        .status = (int)pst_stmt_i64(st, 7),
        .bytes = (uint64_t)pst_stmt_i64(st, 8),
        .waited_us = pst_stmt_i64(st, 9),
        .dns_us = pst_stmt_i64(st, 10),
        .connect_us = pst_stmt_i64(st, 11),
        .tls_us = pst_stmt_i64(st, 12),
        .first_byte_us = pst_stmt_i64(st, 13),
        .total_us = pst_stmt_i64(st, 14),
    };
    read_bytes(st, 15, c->span_id, PST_SPAN_ID);
    (void)pst_str_copy(c->origin, sizeof(c->origin), pst_stmt_str(st, 16));
    (void)pst_str_copy(c->method, sizeof(c->method), pst_stmt_str(st, 17));
    (void)pst_str_copy(c->path, sizeof(c->path), pst_stmt_str(st, 18));
    (void)pst_str_copy(c->fault, sizeof(c->fault), pst_stmt_str(st, 19));
    (void)pst_str_copy(c->code, sizeof(c->code), pst_stmt_str(st, 20));
    (void)pst_str_copy(c->cause, sizeof(c->cause), pst_stmt_str(st, 21));
    (void)pst_str_copy(c->error, sizeof(c->error), pst_stmt_str(st, 22));
}

pst_code pst_requests_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                          struct pst_request_row *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    if (pst_row_raw_id(raw, "req_", id)) {
        PST_TRY(pst_db_stmt(
            conn, PST_STR(REQUEST "WHERE id = ?1 AND (?2 = 0 OR organization_pk = ?2)"), &st, err));
        pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
        pst_stmt_bind_i64(st, 2, organization_pk);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no request '%.*s'", PST_STR_ARG(id));
    read_request(st, out);
    return PST_OK;
}

/* ---- lists ---- */

/* SQL of a table whose times grow with its keys: the first key, one behind the last, and whether
 * the first row from ?1 on is before ?2. */
struct timed_table {
    pst_str first, end, is_before;
};
#define TIMED_TABLE(name)                                                                          \
    {                                                                                              \
        PST_STR_INIT("SELECT coalesce(min(pk), 0) FROM " name),                                    \
        PST_STR_INIT("SELECT coalesce(max(pk), 0) + 1 FROM " name),                                \
        PST_STR_INIT("SELECT at < ?2 FROM " name " WHERE pk >= ?1 ORDER BY pk LIMIT 1"),           \
    }
static const struct timed_table requests_by_time = TIMED_TABLE("request");
static const struct timed_table calls_by_time = TIMED_TABLE("upstream_call");

/* The first key at or after a time, by halving. */
static pst_code seek(struct pst_db_conn *conn, const struct timed_table *table, pst_wall at,
                     int64_t *out, struct pst_err *err)
{
    int64_t low = 0;
    int64_t high = 0;
    PST_TRY(pst_row_int(conn, table->first, NULL, 0, &low, err));
    PST_TRY(pst_row_int(conn, table->end, NULL, 0, &high, err));
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int64_t is_before = 0;
        const int64_t values[] = {middle, at.us};
        PST_TRY(pst_row_int(conn, table->is_before, values, 2, &is_before, err));
        if (is_before)
            low = middle + 1;
        else
            high = middle;
    }
    *out = low;
    return PST_OK;
}

static bool is_wanted(const struct pst_request_query *q, const struct pst_request_row *r)
{
    bool is_status = q->status == 0 ||
                     (q->status < 10 ? r->status / 100 == q->status : r->status == (int)q->status);
    bool is_time = (pst_wall_is_none(q->since) || r->at.us >= q->since.us) &&
                   (pst_wall_is_none(q->until) || r->at.us < q->until.us);
    return is_status && is_time && (q->code.len == 0 || pst_str_is(q->code, r->code)) &&
           (q->organization_pk == 0 || r->organization_pk == q->organization_pk);
}

static pst_code open_list(struct pst_db_conn *conn, const struct pst_request_query *q,
                          struct pst_stmt **st, struct pst_err *err)
{
    if (q->connection_pk) {
        PST_TRY(pst_db_stmt(conn,
                            PST_STR(REQUEST "WHERE connection_pk = ?1 AND connection_pk > 0"
                                            " AND pk < ?2 ORDER BY pk DESC LIMIT ?3"),
                            st, err));
        pst_stmt_bind_i64(*st, 1, q->connection_pk);
    } else if (q->organization_pk) {
        PST_TRY(pst_db_stmt(conn,
                            PST_STR(REQUEST "WHERE organization_pk = ?1 AND pk < ?2"
                                            " ORDER BY pk DESC LIMIT ?3"),
                            st, err));
        pst_stmt_bind_i64(*st, 1, q->organization_pk);
    } else {
        PST_TRY(
            pst_db_stmt(conn, PST_STR(REQUEST "WHERE pk < ?2 ORDER BY pk DESC LIMIT ?3"), st, err));
    }
    return PST_OK;
}

pst_code pst_requests_list(struct pst_db_conn *conn, const struct pst_request_query *q,
                           struct pst_arena *arena, struct pst_request_row **out, size_t *count,
                           int64_t *last_pk, bool *more, struct pst_err *err)
{
    enum { SLOP_US = 60 * 1000000 }; /* clocks that were put back, requests that ended late */
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_request_row *items = NULL;
    int64_t before = q->before_pk ? q->before_pk : INT64_MAX;
    size_t looked = 0;
    bool row = false;
    *count = 0;
    PST_TRY(pst_row_limit(q->limit, err));
    PST_TRY(pst_arena_array(arena, &items, q->limit, sizeof(*items), err));
    if (!q->before_pk && !pst_wall_is_none(q->until))
        PST_TRY(seek(conn, &requests_by_time, (pst_wall){q->until.us + SLOP_US}, &before, err));
    PST_TRY(open_list(conn, q, &st, err));
    pst_stmt_bind_i64(st, 2, before);
    pst_stmt_bind_i64(st, 3, PST_REQUESTS_BUDGET + 1);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && *count < q->limit && looked < PST_REQUESTS_BUDGET) {
        read_request(st, &items[*count]);
        *last_pk = items[*count].pk;
        bool is_over = !pst_wall_is_none(q->since) && items[*count].at.us < q->since.us - SLOP_US;
        *count += is_wanted(q, &items[*count]);
        looked++;
        PST_TRY(pst_stmt_step(st, &row, err));
        row = row && !is_over;
    }
    *out = items;
    *more = row;
    return PST_OK;
}

/* ---- calls ---- */

static pst_code collect_calls(struct pst_stmt *st, size_t limit, struct pst_arena *arena,
                              struct pst_call_row **out, size_t *count, struct pst_err *err)
{
    struct pst_call_row *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        read_call(st, &items[n++]);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    return PST_OK;
}

static void turn_round(struct pst_call_row *items, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct pst_call_row row = items[i];
        items[i] = items[count - 1 - i];
        items[count - 1 - i] = row;
    }
}

pst_code pst_calls_of(struct pst_db_conn *conn, pst_str id, size_t limit, struct pst_arena *arena,
                      struct pst_call_row **out, size_t *count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    *count = 0;
    PST_TRY(pst_row_limit(limit, err));
    if (pst_row_raw_id(raw, "req_", id))
        PST_TRY(pst_db_stmt(conn,
                            PST_STR(CALL "WHERE request_id = ?1 AND request_id IS NOT NULL"
                                         " ORDER BY pk DESC LIMIT ?2"),
                            &st, err));
    else if (pst_row_raw_id(raw, "sync_", id))
        PST_TRY(pst_db_stmt(conn,
                            PST_STR(CALL "WHERE sync_id = ?1 AND sync_id IS NOT NULL"
                                         " ORDER BY pk DESC LIMIT ?2"),
                            &st, err));
    else
        return PST_OK;
    pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
    pst_stmt_bind_i64(st, 2, (int64_t)limit);
    PST_TRY(collect_calls(st, limit, arena, out, count, err));
    turn_round(*out, *count);
    return PST_OK;
}

pst_code pst_calls_of_connection(struct pst_db_conn *conn, int64_t connection_pk, pst_wall until,
                                 size_t limit, struct pst_arena *arena, struct pst_call_row **out,
                                 size_t *count, struct pst_err *err)
{
    /* A call is written when it has ended, and its time is its beginning. */
    static const int64_t LONGEST_US = 60 * 60 * PST_US_PER_S;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t before = INT64_MAX;
    PST_TRY(pst_row_limit(limit, err));
    if (!pst_wall_is_none(until))
        PST_TRY(seek(conn, &calls_by_time, (pst_wall){until.us + LONGEST_US}, &before, err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR(CALL "WHERE pk IN (SELECT pk FROM upstream_call WHERE"
                                     " connection_pk = ?1 AND pk < ?4 ORDER BY pk DESC LIMIT 10000)"
                                     " AND at <= ?2 ORDER BY pk DESC LIMIT ?3"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    pst_stmt_bind_i64(st, 2, pst_wall_is_none(until) ? INT64_MAX : until.us);
    pst_stmt_bind_i64(st, 3, (int64_t)limit);
    pst_stmt_bind_i64(st, 4, before);
    return collect_calls(st, limit, arena, out, count, err);
}

/* ---- who else was seen ---- */

enum {
    SEEN_CALLS = 20000,
    SEEN_OUTAGES = 20000,
    SEEN_MAX = SEEN_CALLS + SEEN_OUTAGES,
    SEEN_SLOTS = 1 << 16, /* more than SEEN_MAX */
};

struct seen_table {
    struct pst_seen_connection *items;
    size_t count;
    uint16_t *slots; /* index + 1 */
};

static uint64_t hash_text(pst_str text)
{
    uint64_t hash = 1469598103934665603U; /* FNV-1a: only counted, never trusted */
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * 1099511628211U;
    return hash;
}

/* False: of this connection something newer was seen already. */
static bool is_first_sight(struct seen_table *t, int64_t connection_pk)
{
    size_t slot = (uint64_t)connection_pk * 0x9E3779B97F4A7C15U >> 48;
    while (t->slots[slot] && t->items[t->slots[slot] - 1].connection_pk != connection_pk)
        slot = (slot + 1) % SEEN_SLOTS;
    if (t->slots[slot])
        return false;
    t->slots[slot] = (uint16_t)(t->count + 1);
    return true;
}

/* SQL: a connection `c` that is seen, beside the one of ?4. What fails and has never worked says
 * nothing about others: its address may be mistyped. */
#define OWNER "c.organization_pk, c.connector = (SELECT connector FROM connection WHERE pk = ?4)"

static void see(struct seen_table *t, struct pst_stmt *st, enum pst_call_class class,
                pst_str origin, pst_str wanted)
{
    pst_str host = pst_str_host(origin);
    if (!is_first_sight(t, pst_stmt_i64(st, 0)))
        return;
    t->items[t->count++] = (struct pst_seen_connection){
        .connection_pk = pst_stmt_i64(st, 0),
        .organization_pk = pst_stmt_i64(st, 1),
        .is_same_connector = pst_stmt_i64(st, 2),
        .class = class,
        .is_same_host = pst_str_eq(host, wanted),
        .host_hash = hash_text(host),
    };
}

/* Of an origin that is away only some connections were called: the others were denied it. What is
 * in force is newer than any call. */
static pst_code see_outages(struct pst_db_conn *conn, int64_t connection_pk, pst_str host,
                            pst_wall to, struct seen_table *t, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT c.pk, " OWNER ", o.origin FROM outage o INDEXED BY"
                                " outage_busy CROSS JOIN connection c ON c.pk = o.connection_pk"
                                " WHERE o.busy = 1 AND o.kind = ?1 AND o.failures > 0"
                                " AND o.failing_since <= ?2 AND c.deleted_at IS NULL"
                                " AND (c.pk = ?4 OR " PST_ROW_HAS_WORKED ") LIMIT ?3"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, PST_OUTAGE_ORIGIN_DOWN);
    pst_stmt_bind_wall(st, 2, to);
    pst_stmt_bind_i64(st, 3, SEEN_OUTAGES);
    pst_stmt_bind_i64(st, 4, connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        see(t, st, PST_CALL_UNREACHABLE, pst_call_origin(pst_stmt_str(st, 3)), host);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

pst_code pst_calls_seen(struct pst_db_conn *conn, int64_t connection_pk, pst_str origin,
                        pst_wall from, pst_wall to, struct pst_arena *arena,
                        struct pst_seen_connection **out, size_t *count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct seen_table t = {0};
    bool row = false;
    pst_str host = pst_str_host(origin);
    PST_TRY(pst_arena_array(arena, &t.items, SEEN_MAX, sizeof(*t.items), err));
    PST_TRY(pst_arena_array(arena, &t.slots, SEEN_SLOTS, sizeof(*t.slots), err));
    PST_TRY(see_outages(conn, connection_pk, host, to, &t, err));
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT c.pk, " OWNER ", u.origin, u.class FROM upstream_call u"
                                " INDEXED BY upstream_call_seen CROSS JOIN connection c"
                                " ON c.pk = u.connection_pk WHERE u.at >= ?1 AND u.at <= ?2"
                                " AND u.class <> ?5 AND c.deleted_at IS NULL"
                                " AND (u.class = ?6 OR c.pk = ?4 OR " PST_ROW_HAS_WORKED ")"
                                " ORDER BY u.at DESC LIMIT ?3"),
                        &st, err));
    pst_stmt_bind_wall(st, 1, from);
    pst_stmt_bind_wall(st, 2, to);
    pst_stmt_bind_i64(st, 3, SEEN_CALLS);
    pst_stmt_bind_i64(st, 4, connection_pk);
    pst_stmt_bind_i64(st, 5, PST_CALL_LOCAL);
    pst_stmt_bind_i64(st, 6, PST_CALL_GOOD);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        see(&t, st, (enum pst_call_class)pst_stmt_i64(st, 4), pst_stmt_str(st, 3), host);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = t.items;
    *count = t.count;
    return PST_OK;
}

pst_code pst_calls_cause(struct pst_db_conn *conn, pst_str origin, pst_wall from, pst_wall to,
                         char *out, size_t size, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    out[0] = '\0';
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT cause FROM upstream_call WHERE pk IN (SELECT pk FROM"
                                " upstream_call INDEXED BY upstream_call_seen WHERE at >= ?1"
                                " AND at <= ?2 ORDER BY at DESC LIMIT ?3)"
                                " AND class = ?4 AND origin = ?5 ORDER BY pk DESC LIMIT 1"),
                        &st, err));
    pst_stmt_bind_wall(st, 1, from);
    pst_stmt_bind_wall(st, 2, to);
    pst_stmt_bind_i64(st, 3, SEEN_CALLS);
    pst_stmt_bind_i64(st, 4, PST_CALL_UNREACHABLE);
    pst_stmt_bind_str(st, 5, origin);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (row)
        (void)pst_str_copy(out, size, pst_stmt_str(st, 0));
    return PST_OK;
}

pst_code pst_calls_owner(struct pst_db_conn *conn, pst_str connection_id, int64_t *pk,
                         char *connector, size_t size, bool *has_worked, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    uint8_t raw[PST_ID_RAW];
    bool row = false;
    *pk = 0;
    if (!pst_row_raw_id(raw, "conn_", connection_id))
        return PST_OK;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT c.pk, c.connector, " PST_ROW_HAS_WORKED
                                " FROM connection c WHERE c.id = ?1 AND c.deleted_at IS NULL"),
                        &st, err));
    pst_stmt_bind_blob(st, 1, raw, sizeof(raw));
    PST_TRY(pst_stmt_step(st, &row, err));
    if (row && pst_str_copy(connector, size, pst_stmt_str(st, 1))) {
        *pk = pst_stmt_i64(st, 0);
        *has_worked = pst_stmt_i64(st, 2);
    }
    return PST_OK;
}

pst_code pst_calls_is_active(struct pst_db_conn *conn, int64_t connection_pk, bool *out,
                             struct pst_err *err)
{
    int64_t count = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT count(*) FROM connection WHERE pk = ?1"
                                " AND deleted_at IS NULL AND status <> 'inactive'"),
                        &connection_pk, 1, &count, err));
    *out = count != 0;
    return PST_OK;
}

static int compare_keys(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Each key once, in order. */
static size_t make_unique(int64_t *list, size_t count)
{
    size_t n = 0;
    qsort(list, count, sizeof(*list), compare_keys);
    for (size_t i = 0; i < count; i++) {
        if (n == 0 || list[n - 1] != list[i])
            list[n++] = list[i];
    }
    return n;
}

static pst_code all_organizations(struct pst_db_conn *conn, struct pst_arena *arena, int64_t **out,
                                  size_t *count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t size = 0;
    bool row = false;
    PST_TRY(pst_row_int(conn, PST_STR("SELECT count(*) FROM organization"), NULL, 0, &size, err));
    PST_TRY(pst_arena_array(arena, out, (size_t)size, sizeof(**out), err));
    PST_TRY(
        pst_db_stmt(conn, PST_STR("SELECT pk FROM organization ORDER BY pk LIMIT ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, size);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        (*out)[(*count)++] = pst_stmt_i64(st, 0);
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

pst_code pst_calls_organizations(struct pst_db_conn *conn, const int64_t *connections, size_t n,
                                 bool all, struct pst_arena *arena, int64_t **out, size_t *count,
                                 struct pst_err *err)
{
    size_t found = 0;
    int64_t pk = 0;
    *count = 0;
    if (all)
        return all_organizations(conn, arena, out, count, err);
    PST_TRY(pst_arena_array(arena, out, n, sizeof(**out), err));
    for (size_t i = 0; i < n; i++) {
        PST_TRY(pst_row_int(conn, PST_STR("SELECT organization_pk FROM connection WHERE pk = ?1"),
                            &connections[i], 1, &pk, err));
        if (pk)
            (*out)[found++] = pk;
    }
    *count = make_unique(*out, found);
    return PST_OK;
}
