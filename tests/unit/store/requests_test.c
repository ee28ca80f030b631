/* tests/unit/store/requests_test.c: the request log: written, found, listed, bounded. */
#include "store/requests.h"

#include <stdio.h>

#include "store/outages.h"
#include "tests/unit/store/world.h"

static struct pst_request_row request(const struct world *w, unsigned n, int status,
                                      const char *code)
{
    struct pst_request_row r = {
        .trace_id = {[15] = (uint8_t)n},
        .at = at(n * 10),
        .organization_pk = w->org.pk,
        .connection_pk = n % 2 ? w->conn.pk : 0,
        .actor = world_id("key_", 1),
        .status = status,
        .duration_us = 1500,
        .bytes = 77,
        .operation = "listSyncs",
        .method = "GET",
        .cause = "not_found",
        .detail = "there is none",
    };
    struct pst_id id = world_id("req_", n);
    assert_true(pst_id_parse(r.id, "req_", pst_id_str(&id)));
    if (n % 2)
        r.sync_id = world_id("sync_", n);
    (void)snprintf(r.code, sizeof(r.code), "%s", code);
    return r;
}

static struct pst_call_row call(const struct world *w, unsigned n, enum pst_call_class class)
{
    return (struct pst_call_row){
        .at = at(n * 10),
        .connection_id = w->conn.id,
        .request_id = world_id("req_", 1),
        .sync_id = world_id("sync_", 1),
        .span_id = {[7] = (uint8_t)n},
        .class = class,
        .number = n,
        .status = 503,
        .bytes = 12,
        .waited_us = 1,
        .dns_us = 2,
        .connect_us = 3,
        .tls_us = 4,
        .first_byte_us = 5,
        .total_us = 15,
        .origin = "https://ps:443",
        .method = "GET",
        .path = "/a/b",
        .fault = "dns",
        .code = "SYSTEM_UNREACHABLE",
        .cause = "dns",
        .error = "no such host",
    };
}

static void add(struct world *w, const struct pst_request_row *r, size_t n,
                const struct pst_call_row *c, size_t calls)
{
    const struct pst_request_batch batch = {r, n, c, calls};
    assert_write(w, pst_requests_add(w->writer, &batch, &w->err));
}

static void a_request_comes_back_as_it_was_written(void **state)
{
    struct world *w = *state;
    struct pst_request_row r = request(w, 1, 404, "NOT_FOUND");
    struct pst_request_row got;
    struct pst_id id = world_id("req_", 1);
    add(w, &r, 1, NULL, 0);
    add(w, &r, 1, NULL, 0); /* again changes nothing */
    assert_read(w, pst_requests_get(w->reader, w->org.pk, pst_id_str(&id), &got, &w->err));
    assert_memory_equal(got.id, r.id, PST_ID_RAW);
    assert_memory_equal(got.trace_id, r.trace_id, PST_TRACE_ID);
    assert_string_equal(got.organization_id.text, w->org.id.text);
    assert_string_equal(got.connection_id.text, w->conn.id.text);
    assert_string_equal(got.sync_id.text, r.sync_id.text);
    assert_string_equal(got.actor.text, r.actor.text);
    assert_string_equal(got.operation, "listSyncs");
    assert_string_equal(got.method, "GET");
    assert_string_equal(got.code, "NOT_FOUND");
    assert_string_equal(got.cause, "not_found");
    assert_string_equal(got.detail, "there is none");
    assert_int_equal(got.status, 404);
    assert_int_equal(got.duration_us, 1500);
    assert_int_equal(got.bytes, 77);
    assert_int_equal(got.at.us, r.at.us);
    assert_read(w, pst_requests_get(w->reader, 0, pst_id_str(&id), &got, &w->err));
    assert_code(pst_requests_get(w->reader, w->org.pk + 1, pst_id_str(&id), &got, &w->err),
                PST_E_NOT_FOUND);
    assert_code(pst_requests_get(w->reader, 0, PST_STR("req_x"), &got, &w->err), PST_E_NOT_FOUND);
    id = world_id("req_", 2);
    assert_code(pst_requests_get(w->reader, 0, pst_id_str(&id), &got, &w->err), PST_E_NOT_FOUND);
}

/* Walks a list; the numbers of its requests, by their time. */
static void walk(struct world *w, struct pst_request_query q, char *out, size_t size)
{
    bool more = true;
    size_t len = 0;
    out[0] = '\0';
    while (more) {
        struct pst_request_row *rows = NULL;
        size_t count = 0;
        int64_t last = 0;
        assert_read(
            w, pst_requests_list(w->reader, &q, w->arena, &rows, &count, &last, &more, &w->err));
        for (size_t i = 0; i < count; i++)
            len += (size_t)snprintf(out + len, size - len, "%s%lld", len ? " " : "",
                                    (long long)((rows[i].at.us - at(0).us) / 10000000));
        q.before_pk = last;
    }
}

static void lists_filter_and_page_newest_first(void **state)
{
    struct world *w = *state;
    struct pst_request_row rows[8];
    char text[100];
    for (unsigned i = 0; i < 8; i++)
        rows[i] = request(w, i + 1, i % 3 ? 404 : 500, i % 3 ? "NOT_FOUND" : "INTERNAL_ERROR");
    rows[7].organization_pk = 0;
    add(w, rows, 8, NULL, 0);
    struct pst_request_query all = {
        .organization_pk = w->org.pk, .since = PST_WALL_NONE, .until = PST_WALL_NONE, .limit = 2};
    struct pst_request_query q = all;
    walk(w, q, text, sizeof(text));
    assert_string_equal(text, "7 6 5 4 3 2 1");
    q.organization_pk = 0;
    walk(w, q, text, sizeof(text));
    assert_string_equal(text, "8 7 6 5 4 3 2 1");
    q = all;
    q.connection_pk = w->conn.pk;
    walk(w, q, text, sizeof(text));
    assert_string_equal(text, "7 5 3 1");
    q = all;
    q.code = PST_STR("INTERNAL_ERROR");
    walk(w, q, text, sizeof(text));
    assert_string_equal(text, "7 4 1");
    q = all;
    q.status = 500;
    walk(w, q, text, sizeof(text));
    assert_string_equal(text, "7 4 1");
    q.status = 4;
    walk(w, q, text, sizeof(text));
    assert_string_equal(text, "6 5 3 2");
    q = all;
    q.since = at(30);
    q.until = at(60);
    walk(w, q, text, sizeof(text));
    assert_string_equal(text, "5 4 3");
    q.limit = 0;
    struct pst_request_row *none = NULL;
    size_t count = 0;
    int64_t last = 0;
    bool more = false;
    assert_code(pst_requests_list(w->reader, &q, w->arena, &none, &count, &last, &more, &w->err),
                PST_E_INVALID);
}

static void a_range_of_time_far_back_is_found_at_once_and_ends(void **state)
{
    struct world *w = *state;
    struct pst_request_row rows[50];
    char text[100];
    for (unsigned block = 0; block < 20; block++) {
        for (unsigned i = 0; i < 50; i++)
            rows[i] = request(w, block * 50 + i + 1, 404, "NOT_FOUND");
        add(w, rows, 50, NULL, 0);
    }
    struct pst_request_query q = {
        .organization_pk = w->org.pk, .since = at(5000), .until = at(5030), .limit = 10};
    walk(w, q, text, sizeof(text));
    assert_string_equal(text, "502 501 500");
    q = (struct pst_request_query){.since = at(20000), .until = at(20001), .limit = 10};
    walk(w, q, text, sizeof(text));
    assert_string_equal(text, "");
}

static void calls_are_found_by_request_sync_and_connection(void **state)
{
    struct world *w = *state;
    struct pst_call_row calls[3] = {call(w, 1, PST_CALL_GOOD), call(w, 2, PST_CALL_UNREACHABLE),
                                    call(w, 3, PST_CALL_GOOD)};
    struct pst_call_row gone = call(w, 4, PST_CALL_GOOD);
    struct pst_call_row *got = NULL;
    size_t count = 0;
    gone.connection_id = world_id("conn_", 77); /* not there any more */
    add(w, NULL, 0, calls, 3);
    add(w, NULL, 0, &gone, 1);
    struct pst_id request_id = world_id("req_", 1);
    struct pst_id sync_id = world_id("sync_", 1);
    assert_read(
        w, pst_calls_of(w->reader, pst_id_str(&request_id), 10, w->arena, &got, &count, &w->err));
    assert_int_equal(count, 3);
    assert_int_equal(got[0].number, 1);
    assert_int_equal(got[1].class, PST_CALL_UNREACHABLE);
    assert_int_equal(got[1].first_byte_us, 5);
    assert_int_equal(got[1].total_us, 15);
    assert_string_equal(got[1].error, "no such host");
    assert_string_equal(got[1].path, "/a/b");
    assert_string_equal(got[1].cause, "dns");
    assert_int_equal(got[1].span_id[7], 2);
    assert_string_equal(got[1].request_id.text, request_id.text);
    assert_read(w,
                pst_calls_of(w->reader, pst_id_str(&sync_id), 2, w->arena, &got, &count, &w->err));
    assert_int_equal(count, 2);
    assert_int_equal(got[0].number, 2); /* the last ones */
    assert_read(w, pst_calls_of(w->reader, PST_STR("conn_x"), 2, w->arena, &got, &count, &w->err));
    assert_int_equal(count, 0);
    assert_read(w, pst_calls_of_connection(w->reader, w->conn.pk, at(25), 10, w->arena, &got,
                                           &count, &w->err));
    assert_int_equal(count, 2);
    assert_int_equal(got[0].number, 2);
    assert_read(w, pst_calls_of_connection(w->reader, w->conn.pk, PST_WALL_NONE, 10, w->arena, &got,
                                           &count, &w->err));
    assert_int_equal(count, 3);
}

/* However much the connection did since: a request is kept for 30 days, and so are its neighbours.
 */
static void calls_of_long_ago_are_found_behind_many_newer_ones(void **state)
{
    struct world *w = *state;
    enum { NEWER = 10001, BATCH = 73, LATER_S = 2 * 60 * 60 };
    struct pst_call_row old = call(w, 1, PST_CALL_UNREACHABLE);
    struct pst_call_row rows[BATCH];
    struct pst_call_row *got = NULL;
    size_t count = 0;
    add(w, NULL, 0, &old, 1);
    for (unsigned done = 0; done < NEWER; done += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            rows[i] = call(w, done + i, PST_CALL_GOOD);
            rows[i].at = at(LATER_S + done + i);
        }
        add(w, NULL, 0, rows, BATCH);
    }
    assert_read(w, pst_calls_of_connection(w->reader, w->conn.pk, at(300), 10, w->arena, &got,
                                           &count, &w->err));
    assert_int_equal(count, 1);
    assert_int_equal(got[0].class, PST_CALL_UNREACHABLE);
}

static void the_newest_word_of_each_connection_is_seen(void **state)
{
    struct world *w = *state;
    struct pst_connection other = w->conn;
    struct pst_seen_connection *seen = NULL;
    size_t count = 0;
    other.id = world_id("conn_", 50);
    other.connector = PST_STR("sandbox");
    assert_write(w, pst_connections_create(w->writer, &other, PST_STR(""), &w->err));
    struct pst_call_row calls[5] = {call(w, 1, PST_CALL_GOOD), call(w, 2, PST_CALL_UNWELL),
                                    call(w, 3, PST_CALL_LOCAL), call(w, 4, PST_CALL_GOOD),
                                    call(w, 900, PST_CALL_GOOD)};
    calls[3].connection_id = other.id;
    (void)snprintf(calls[3].origin, sizeof(calls[3].origin), "https://else:443");
    add(w, NULL, 0, calls, 5);
    assert_read(w, pst_calls_seen(w->reader, w->conn.pk, PST_STR("https://ps:443"), at(0), at(100),
                                  w->arena, &seen, &count, &w->err));
    assert_int_equal(count, 2);
    assert_int_equal(seen[0].connection_pk, other.pk);
    assert_int_equal(seen[0].class, PST_CALL_GOOD);
    assert_false(seen[0].is_same_connector || seen[0].is_same_host);
    assert_int_equal(seen[1].connection_pk, w->conn.pk);
    assert_int_equal(seen[1].class, PST_CALL_UNWELL); /* of which kind its trouble is */
    assert_true(seen[1].is_same_connector && seen[1].is_same_host);
    assert_int_equal(seen[1].organization_pk, w->org.pk);
    assert_true(seen[0].host_hash != seen[1].host_hash);
    assert_write(w, pst_connections_delete(w->writer, other.pk, false, at(1), &w->err));
    assert_read(w, pst_calls_seen(w->reader, w->conn.pk, PST_STR(""), at(0), at(100), w->arena,
                                  &seen, &count, &w->err));
    assert_int_equal(count, 1);
}

static void the_ports_of_a_host_are_one(void **state)
{
    struct world *w = *state;
    static const char *const OTHERS[] = {"https://ps:8443", "http://ps:80", "https://ps.else:443"};
    struct pst_seen_connection *seen = NULL;
    size_t count = 0;
    struct pst_call_row calls[4] = {call(w, 1, PST_CALL_UNREACHABLE)};
    for (size_t i = 0; i < PST_COUNT(OTHERS); i++) {
        struct pst_connection other = w->conn;
        other.id = world_id("conn_", 50 + (unsigned)i);
        other.name = pst_str_from(OTHERS[i]);
        other.status = PST_CONNECTION_ONLINE;
        assert_write(w, pst_connections_create(w->writer, &other, PST_STR(""), &w->err));
        calls[i + 1] = call(w, (unsigned)i + 2, PST_CALL_UNREACHABLE);
        calls[i + 1].connection_id = other.id;
        (void)snprintf(calls[i + 1].origin, sizeof(calls[i + 1].origin), "%s", OTHERS[i]);
    }
    add(w, NULL, 0, calls, 4);
    assert_read(w, pst_calls_seen(w->reader, w->conn.pk, PST_STR("https://ps:443"), at(0), at(100),
                                  w->arena, &seen, &count, &w->err));
    assert_int_equal(count, 4);
    assert_false(seen[0].is_same_host);
    assert_true(seen[1].is_same_host && seen[2].is_same_host && seen[3].is_same_host);
    assert_true(seen[0].host_hash != seen[1].host_hash);
    assert_true(seen[1].host_hash == seen[2].host_hash && seen[2].host_hash == seen[3].host_hash);
}

static void put_outage(struct world *w, int64_t pk, enum pst_outage_kind kind, int64_t since)
{
    struct pst_outage outage = {.connection_pk = pk,
                                .failures = 1,
                                .kind = kind,
                                .failing_since = at(since),
                                .saved_at = at(since),
                                .tell = PST_MONO_NEVER,
                                .origin = "https://ps:8443"}; /* another port of the host */
    assert_write(w, pst_outages_put(w->writer, &outage, &w->err));
}

static void whose_origin_is_away_is_seen_without_a_call(void **state)
{
    struct world *w = *state;
    struct pst_connection other = w->conn;
    struct pst_seen_connection *seen = NULL;
    size_t count = 0;
    const pst_str origin = PST_STR("https://ps:443");
    other.id = world_id("conn_", 50);
    other.name = PST_STR("Other");
    other.status = PST_CONNECTION_ONLINE;
    assert_write(w, pst_connections_create(w->writer, &other, PST_STR(""), &w->err));
    /* What has never worked says nothing about others, neither by its outage nor by its calls. */
    struct pst_connection mistyped = w->conn;
    mistyped.id = world_id("conn_", 51);
    mistyped.name = PST_STR("Mistyped");
    assert_write(w, pst_connections_create(w->writer, &mistyped, PST_STR(""), &w->err));
    put_outage(w, mistyped.pk, PST_OUTAGE_ORIGIN_DOWN, 50);
    struct pst_call_row calls[2] = {call(w, 1, PST_CALL_GOOD), call(w, 2, PST_CALL_UNREACHABLE)};
    calls[1].connection_id = mistyped.id;
    add(w, NULL, 0, calls, 2);
    /* Not for its own trouble, which has calls, and not before it began. */
    put_outage(w, other.pk, PST_OUTAGE_CONNECTION, 50);
    assert_read(w, pst_calls_seen(w->reader, w->conn.pk, origin, at(0), at(100), w->arena, &seen,
                                  &count, &w->err));
    assert_int_equal(count, 1);
    put_outage(w, other.pk, PST_OUTAGE_ORIGIN_DOWN, 101);
    assert_read(w, pst_calls_seen(w->reader, w->conn.pk, origin, at(0), at(100), w->arena, &seen,
                                  &count, &w->err));
    assert_int_equal(count, 1);
    assert_int_equal(seen[0].class, PST_CALL_GOOD);
    put_outage(w, other.pk, PST_OUTAGE_ORIGIN_DOWN, 50);
    put_outage(w, w->conn.pk, PST_OUTAGE_ORIGIN_DOWN, 60); /* newer than its good call */
    assert_read(w, pst_calls_seen(w->reader, w->conn.pk, origin, at(0), at(100), w->arena, &seen,
                                  &count, &w->err));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++)
        assert_true(seen[i].class == PST_CALL_UNREACHABLE && seen[i].is_same_host &&
                    seen[i].is_same_connector);
    assert_true(seen[0].host_hash == seen[1].host_hash);
}

static void the_cause_that_others_found_is_borrowed(void **state)
{
    struct world *w = *state;
    char cause[24];
    const pst_str origin = PST_STR("https://ps:443");
    struct pst_call_row calls[4] = {call(w, 1, PST_CALL_UNREACHABLE),
                                    call(w, 2, PST_CALL_UNREACHABLE), call(w, 3, PST_CALL_UNWELL),
                                    call(w, 4, PST_CALL_UNREACHABLE)};
    (void)snprintf(calls[0].cause, sizeof(calls[0].cause), "dns");
    (void)snprintf(calls[1].cause, sizeof(calls[1].cause), "reset");
    (void)snprintf(calls[2].cause, sizeof(calls[2].cause), "proxy");
    (void)snprintf(calls[3].origin, sizeof(calls[3].origin), "https://else:443");
    add(w, NULL, 0, calls, 4);
    assert_read(w,
                pst_calls_cause(w->reader, origin, at(0), at(100), cause, sizeof(cause), &w->err));
    assert_string_equal(cause, "reset");
    assert_read(w, pst_calls_cause(w->reader, PST_STR("https://none:443"), at(0), at(100), cause,
                                   sizeof(cause), &w->err));
    assert_string_equal(cause, "");
}

static void owners_are_found(void **state)
{
    struct world *w = *state;
    char connector[20];
    int64_t pk = 7;
    bool has_worked = true;
    int64_t *list = NULL;
    size_t count = 0;
    const int64_t twice[] = {w->conn.pk, w->conn.pk, 999};
    assert_read(w, pst_calls_owner(w->reader, pst_id_str(&w->conn.id), &pk, connector,
                                   sizeof(connector), &has_worked, &w->err));
    assert_int_equal(pk, w->conn.pk);
    assert_str(w->conn.connector, connector);
    assert_false(has_worked);
    assert_write(w, pst_connections_set_status(w->writer, w->conn.pk, PST_CONNECTION_ONLINE,
                                               PST_STR(""), PST_STR(""), at(1), NULL, &w->err));
    assert_write(w, pst_connections_set_status(w->writer, w->conn.pk, PST_CONNECTION_OFFLINE,
                                               PST_STR(""), PST_STR(""), at(2), NULL, &w->err));
    assert_read(w, pst_calls_owner(w->reader, pst_id_str(&w->conn.id), &pk, connector,
                                   sizeof(connector), &has_worked, &w->err));
    assert_true(has_worked);
    assert_read(w, pst_calls_owner(w->reader, PST_STR("conn_x"), &pk, connector, sizeof(connector),
                                   &has_worked, &w->err));
    assert_int_equal(pk, 0);
    assert_read(
        w, pst_calls_organizations(w->reader, twice, 3, false, w->arena, &list, &count, &w->err));
    assert_int_equal(count, 1);
    assert_int_equal(list[0], w->org.pk);
    assert_read(
        w, pst_calls_organizations(w->reader, NULL, 0, true, w->arena, &list, &count, &w->err));
    assert_int_equal(count, 1);
}

static void a_connection_is_active_until_it_is_switched_off_or_deleted(void **state)
{
    struct world *w = *state;
    bool is_active = false;
    assert_read(w, pst_calls_is_active(w->reader, w->conn.pk, &is_active, &w->err));
    assert_true(is_active);
    assert_write(w, pst_connections_set_status(w->writer, w->conn.pk, PST_CONNECTION_INACTIVE,
                                               PST_STR(""), PST_STR(""), at(1), NULL, &w->err));
    assert_read(w, pst_calls_is_active(w->reader, w->conn.pk, &is_active, &w->err));
    assert_false(is_active);
    struct pst_connection other = w->conn;
    other.id = world_id("conn_", 50);
    assert_write(w, pst_connections_create(w->writer, &other, PST_STR(""), &w->err));
    assert_write(w, pst_connections_delete(w->writer, other.pk, false, at(3), &w->err));
    assert_read(w, pst_calls_is_active(w->reader, other.pk, &is_active, &w->err));
    assert_false(is_active);
    assert_read(w, pst_calls_is_active(w->reader, 999, &is_active, &w->err));
    assert_false(is_active);
}

static void however_many_organizations_there_are_all_are_found(void **state)
{
    enum { COUNT = 10001 };
    struct world *w = *state;
    int64_t *list = NULL;
    size_t count = 0;
    assert_write(w, pst_db_exec_script(
                        w->writer,
                        PST_STR("INSERT INTO organization (id, name, created_at)"
                                " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                                " WHERE i < 10000) SELECT randomblob(16), 'o' || i, 0 FROM n"),
                        &w->err));
    assert_read(
        w, pst_calls_organizations(w->reader, NULL, 0, true, w->arena, &list, &count, &w->err));
    assert_int_equal(count, COUNT);
}

static int64_t rows_of(struct world *w, pst_str sql)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_read(w, pst_db_stmt(w->reader, sql, &st, &w->err));
    assert_read(w, pst_stmt_step(st, &row, &w->err));
    return pst_stmt_i64(st, 0);
}

static void what_is_old_or_too_much_goes_in_batches(void **state)
{
    struct world *w = *state;
    struct pst_request_row rows[20];
    struct pst_call_row calls[20];
    bool left = false;
    for (unsigned i = 0; i < 20; i++) {
        rows[i] = request(w, i + 1, 404, "NOT_FOUND");
        calls[i] = call(w, i + 1, PST_CALL_GOOD);
    }
    add(w, rows, 20, calls, 20);
    assert_write(w, pst_requests_retain(w->writer, at(50), 1000, 3, &left, &w->err));
    assert_true(left);
    assert_int_equal(rows_of(w, PST_STR("SELECT count(*) FROM request")), 17);
    assert_write(w, pst_requests_retain(w->writer, at(50), 1000, 100, &left, &w->err));
    assert_false(left);
    assert_int_equal(rows_of(w, PST_STR("SELECT min(pk) FROM request")), 5);
    assert_int_equal(rows_of(w, PST_STR("SELECT count(*) FROM upstream_call")), 16);
    assert_write(w, pst_requests_retain(w->writer, at(0), 6, 100, &left, &w->err));
    assert_int_equal(rows_of(w, PST_STR("SELECT count(*) FROM request")), 6);
    assert_int_equal(rows_of(w, PST_STR("SELECT count(*) FROM upstream_call")), 6);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_request_comes_back_as_it_was_written),
        CASE(lists_filter_and_page_newest_first),
        CASE(a_range_of_time_far_back_is_found_at_once_and_ends),
        CASE(calls_are_found_by_request_sync_and_connection),
        CASE(calls_of_long_ago_are_found_behind_many_newer_ones),
        CASE(the_newest_word_of_each_connection_is_seen),
        CASE(the_ports_of_a_host_are_one),
        CASE(whose_origin_is_away_is_seen_without_a_call),
        CASE(the_cause_that_others_found_is_borrowed),
        CASE(owners_are_found),
        CASE(a_connection_is_active_until_it_is_switched_off_or_deleted),
        CASE(however_many_organizations_there_are_all_are_found),
        CASE(what_is_old_or_too_much_goes_in_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
