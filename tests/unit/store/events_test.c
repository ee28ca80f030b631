/* tests/unit/store/events_test.c: the outbox: who gets an event, how lists walk, what retention
 * removes. */
#include "store/deliveries.h"
#include "store/endpoints.h"
#include "store/events.h"
#include "store/store.h"
#include "tests/unit/store/world.h"

/* An endpoint of the organization that wants `events`; connection_pk 0 = organization-wide. */
static struct pst_endpoint add_endpoint(struct world *w, unsigned n, int64_t connection_pk,
                                        const char *events, bool ordered)
{
    struct pst_endpoint e = {.id = world_id("whk_", n),
                             .organization_pk = w->org.pk,
                             .connection_pk = connection_pk,
                             .url = PST_STR("https://app.example.com/hooks"),
                             .description = PST_STR(""),
                             .events = pst_str_from(events),
                             .enabled = true,
                             .ordered = ordered,
                             .timeout_ms = 10000,
                             .horizon_ms = 86400000,
                             .headers = PST_STR(""),
                             .secrets = PST_STR("sealed"),
                             .public_keys = PST_STR("[]"),
                             .created_at = at(0)};
    assert_write(w, pst_endpoints_create(w->writer, &e, &w->err));
    return e;
}

static struct pst_event event_of(const struct world *w, unsigned n, int64_t connection_pk,
                                 const char *type)
{
    return (struct pst_event){.id = world_id("evt_", n),
                              .organization_pk = w->org.pk,
                              .connection_pk = connection_pk,
                              .type = pst_str_from(type),
                              .at = at(n),
                              .body = PST_STR("{\"data\":{}}")};
}

static int64_t add(struct world *w, unsigned n, int64_t connection_pk, const char *type)
{
    struct pst_event e = event_of(w, n, connection_pk, type);
    assert_write(w, pst_events_add(w->writer, &e, &w->err));
    return e.pk;
}

/* The one number that the statement gives. */
static int64_t number(struct world *w, const char *sql)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_read(w, pst_db_stmt(w->reader, pst_str_from(sql), &st, &w->err));
    assert_read(w, pst_stmt_step(st, &row, &w->err));
    assert_true(row);
    return pst_stmt_i64(st, 0);
}

static void types_are_matched_by_name_and_family(void **state)
{
    (void)state;
    static const struct {
        const char *list, *type;
        bool is_match;
    } cases[] = {
        {"*", "sync.failed", true},
        {"sync.completed sync.failed", "sync.failed", true},
        {"sync.completed", "sync.failed", false},
        {"sync.complete", "sync.completed", false},
        {"sync.completed", "sync.complete", false},
        {"flow.*", "flow.large_po", true},
        {"flow.*", "flows.large_po", false},
        {"", "sync.failed", false},
        {".*", "sync.failed", false},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++)
        assert_int_equal(pst_events_match(pst_str_from(cases[i].list), pst_str_from(cases[i].type)),
                         cases[i].is_match);
}

static void an_event_goes_to_those_who_want_it(void **state)
{
    struct world *w = *state;
    struct pst_endpoint all = add_endpoint(w, 1, 0, "*", true);
    struct pst_endpoint own = add_endpoint(w, 2, w->conn.pk, "sync.failed", false);
    (void)add_endpoint(w, 3, w->conn.pk + 1, "*", true); /* of another connection */
    struct pst_endpoint off = add_endpoint(w, 4, 0, "*", true);
    struct pst_endpoint gone = add_endpoint(w, 5, 0, "*", true);
    struct pst_endpoint chosen = add_endpoint(w, 6, 0, "*", true);
    off.enabled = false;
    assert_write(w, pst_endpoints_update(w->writer, &off, at(1), &w->err));
    assert_write(w, pst_endpoints_delete(w->writer, gone.pk, at(1), &w->err));
    assert_write(w, pst_endpoints_choose(w->writer, chosen.pk, w->conn.pk,
                                         PST_STR("sync.completed"), false, &w->err));

    (void)add(w, 10, w->conn.pk, "sync.failed");
    assert_int_equal(number(w, "SELECT count(*) FROM delivery"), 2);
    assert_int_equal(number(w, "SELECT sum(endpoint_pk) FROM delivery"), all.pk + own.pk);
    assert_int_equal(number(w, "SELECT loose FROM delivery ORDER BY endpoint_pk DESC LIMIT 1"), 1);

    /* The choice holds for its connection only; without it the endpoint's own events do. */
    (void)add(w, 11, 0, "sync.failed");
    assert_int_equal(number(w, "SELECT count(*) FROM delivery WHERE event_pk = 2"), 2);
    assert_write(
        w, pst_endpoints_choose(w->writer, chosen.pk, w->conn.pk, PST_STR(""), true, &w->err));
    (void)add(w, 12, w->conn.pk, "sync.failed");
    assert_int_equal(number(w, "SELECT count(*) FROM delivery WHERE event_pk = 3"), 3);
}

static void sequences_count_per_endpoint_and_connection(void **state)
{
    struct world *w = *state;
    (void)add_endpoint(w, 1, 0, "*", true);
    (void)add_endpoint(w, 2, 0, "sync.failed", true);
    (void)add(w, 10, w->conn.pk, "sync.completed");
    (void)add(w, 11, 0, "system.error");
    (void)add(w, 12, w->conn.pk, "sync.failed");
    assert_int_equal(
        number(w, "SELECT max(sequence) FROM delivery WHERE endpoint_pk = 1 AND connection_pk > 0"),
        2);
    assert_int_equal(
        number(w, "SELECT max(sequence) FROM delivery WHERE endpoint_pk = 1 AND connection_pk = 0"),
        1);
    assert_int_equal(number(w, "SELECT max(sequence) FROM delivery WHERE endpoint_pk = 2"), 1);
}

static pst_code add_in_job(struct pst_db_conn *conn, void *event, struct pst_err *err)
{
    return pst_events_add(conn, event, err);
}

/* A request that waits for events of one organization is not woken by those of another. */
static void a_commit_names_the_organization(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_event e = event_of(w, 1, 0, "system.error");
    w->topic_count = 0;
    assert_ok(pst_db_write_direct(w->db, add_in_job, &e, &err));
    assert_int_equal(w->topic_count, 2);
    assert_int_equal(w->topics[0], PST_TOPIC_EVENTS);
    assert_int_equal(w->topics[1], pst_topic_events_of(w->org.pk));
    assert_true(pst_topic_events_of(1) != pst_topic_events_of(2));
    assert_true(pst_topic_events_of(1) < PST_TOPIC_ORGANIZATIONS);
    assert_int_equal(pst_topic_endpoint_of(pst_topic_events_of(INT32_MAX)), 0);
}

static void an_event_is_written_once(void **state)
{
    struct world *w = *state;
    struct pst_event e = event_of(w, 10, 0, "system.error");
    (void)add_endpoint(w, 1, 0, "*", true);
    assert_write(w, pst_events_add(w->writer, &e, &w->err));
    assert_code(WRITE(w, pst_events_add(w->writer, &e, &w->err)), PST_E_CONFLICT);
    e.id = world_id("sync_", 1);
    assert_code(WRITE(w, pst_events_add(w->writer, &e, &w->err)), PST_E_INTERNAL);
    assert_int_equal(number(w, "SELECT count(*) FROM delivery"), 1);
    assert_int_equal(number(w, "SELECT events FROM outbox"), 1);
}

static void an_event_is_found_by_its_owner(void **state)
{
    struct world *w = *state;
    struct pst_event got;
    (void)add(w, 10, w->conn.pk, "sync.failed");
    struct pst_id id = world_id("evt_", 10);
    assert_read(w, pst_events_get(w->reader, w->org.pk, pst_id_str(&id), w->arena, &got, &w->err));
    assert_string_equal(got.id.text, id.text);
    assert_string_equal(got.connection_id.text, w->conn.id.text);
    assert_str(got.body, "{\"data\":{}}");
    assert_str(got.type, "sync.failed");
    assert_true(got.at.us == at(10).us);
    assert_code(pst_events_get(w->reader, w->org.pk + 1, pst_id_str(&id), w->arena, &got, &w->err),
                PST_E_NOT_FOUND);
    static const char *const absent[] = {"", "evt_", "sync_00000000000000000000000000"};
    for (size_t i = 0; i < PST_COUNT(absent); i++)
        assert_code(pst_events_get(w->reader, 0, pst_str_from(absent[i]), w->arena, &got, &w->err),
                    PST_E_NOT_FOUND);
}

/* The seconds of the events of a page, joined by blanks. */
static void list(struct world *w, const struct pst_event_query *q, char *out, size_t size,
                 int64_t *last, bool *more)
{
    struct pst_event *items = NULL;
    size_t count = 0;
    size_t used = 0;
    assert_read(w, pst_events_list(w->reader, q, w->arena, &items, &count, last, more, &w->err));
    out[0] = 0;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? " " : "",
                                 (long long)((items[i].at.us - at(0).us) / PST_US_PER_S));
}

static void lists_walk_both_ways_with_filters(void **state)
{
    struct world *w = *state;
    char text[200];
    int64_t last = 0;
    bool more = false;
    for (unsigned n = 1; n <= 6; n++)
        (void)add(w, n, n % 2 ? w->conn.pk : 0, n % 3 ? "sync.failed" : "flow.a");
    struct pst_event sample = event_of(w, 7, 0, "sync.failed");
    sample.is_sample = true;
    assert_write(w, pst_events_add(w->writer, &sample, &w->err));
    struct pst_event_query q = {
        .organization_pk = w->org.pk, .since = PST_WALL_NONE, .until = PST_WALL_NONE, .limit = 4};
    list(w, &q, text, sizeof(text), &last, &more);
    assert_string_equal(text, "1 2 3 4");
    assert_true(more);
    q.after_pk = last;
    list(w, &q, text, sizeof(text), &last, &more);
    assert_string_equal(text, "5 6");
    assert_false(more);
    q.after_pk = 0;
    q.before_pk = INT64_MAX;
    list(w, &q, text, sizeof(text), &last, &more);
    assert_string_equal(text, "6 5 4 3");
    q.before_pk = last;
    list(w, &q, text, sizeof(text), &last, &more);
    assert_string_equal(text, "2 1");

    q.before_pk = INT64_MAX;
    q.connection_pk = w->conn.pk;
    list(w, &q, text, sizeof(text), &last, &more);
    assert_string_equal(text, "5 3 1");
    q.types = PST_STR("flow.*,system.error");
    list(w, &q, text, sizeof(text), &last, &more);
    assert_string_equal(text, "3");
    q.types = PST_STR("");
    q.since = at(3);
    q.until = at(5);
    list(w, &q, text, sizeof(text), &last, &more);
    assert_string_equal(text, "3");
    q.organization_pk++;
    list(w, &q, text, sizeof(text), &last, &more);
    assert_string_equal(text, "");
    q.limit = 0;
    struct pst_event *items = NULL;
    size_t count = 0;
    assert_code(pst_events_list(w->reader, &q, w->arena, &items, &count, &last, &more, &w->err),
                PST_E_INVALID);
}

static void a_time_is_found_by_halving(void **state)
{
    struct world *w = *state;
    int64_t pk = 0;
    assert_read(w, pst_events_seek(w->reader, at(5), &pk, &w->err));
    assert_int_equal(pk, 1); /* where the first one will be */
    for (unsigned n = 1; n <= 40; n++)
        (void)add(w, n * 10, 0, "system.error");
    for (unsigned t = 0; t <= 410; t++) {
        assert_read(w, pst_events_seek(w->reader, at(t), &pk, &w->err));
        assert_int_equal(pk, t <= 10 ? 1 : (t + 9) / 10);
    }
}

static void retain(struct world *w, pst_wall before, int64_t max_bytes, size_t limit,
                   struct pst_outbox_loss *loss, bool *left)
{
    assert_write(w, pst_events_retain(w->writer, before, max_bytes, limit, loss, left, &w->err));
}

/* What an event of add() counts, alone and with its delivery. */
enum { EVENT_BYTES = 200 + 11, DELIVERED_BYTES = EVENT_BYTES + 400 };

static void record(struct world *w, int64_t pk, enum pst_delivery_status status, const char *error,
                   size_t response)
{
    static const char answer[4096];
    const struct pst_delivery_result r = {
        .pk = pk,
        .status = status,
        .tries = {.attempts = 1, .tries = 1, .first_try_at = at(1), .due_at = at(1)},
        .attempt = {.at = at(1), .error = pst_str_from(error), .response = {answer, response}}};
    assert_write(w, pst_deliveries_record(w->writer, &r, &w->err));
}

static void old_events_go_with_their_deliveries(void **state)
{
    struct world *w = *state;
    struct pst_outbox_loss loss;
    bool left = false;
    (void)add_endpoint(w, 1, 0, "*", true);
    for (unsigned n = 1; n <= 10; n++)
        (void)add(w, n, 0, "system.error");
    for (int64_t pk = 1; pk <= 10; pk++)
        record(w, pk, pk <= 3 ? PST_DELIVERY_DELIVERED : PST_DELIVERY_WAITING, "", 0);
    retain(w, at(5), INT64_MAX, 100, &loss, &left);
    assert_false(left);
    assert_int_equal(loss.count, 1); /* the fourth was still waiting */
    assert_int_equal(number(w, "SELECT min(pk) FROM event"), 5);
    assert_int_equal(number(w, "SELECT min(event_pk) FROM delivery"), 5);
    assert_int_equal(number(w, "SELECT min(delivery_pk) FROM attempt"), 5);
    assert_int_equal(number(w, "SELECT events FROM outbox"), 6);
    assert_int_equal(number(w, "SELECT bytes FROM outbox"), 6 * (DELIVERED_BYTES + 100));

    retain(w, PST_WALL_NONE, 0, 2, &loss, &left); /* in batches */
    assert_true(left);
    assert_int_equal(number(w, "SELECT min(pk) FROM event"), 7);
    assert_int_equal(number(w, "SELECT count(*) FROM delivery"), 4);
    retain(w, at(100), 0, 100, &loss, &left);
    assert_false(left);
    assert_int_equal(number(w, "SELECT count(*) FROM event"), 0);
    assert_int_equal(number(w, "SELECT count(*) FROM delivery"), 0);
    assert_int_equal(number(w, "SELECT bytes + events FROM outbox"), 0);
    int64_t pk = 0;
    assert_read(w, pst_events_seek(w->reader, at(5), &pk, &w->err));
    assert_int_equal(pk, 11); /* numbers are not used again */
    assert_int_equal(add(w, 50, 0, "system.error"), 11);
}

static void the_size_counts_all_that_is_kept(void **state)
{
    struct world *w = *state;
    struct pst_outbox_loss loss;
    bool left = false;
    (void)add_endpoint(w, 1, 0, "*", true);
    for (unsigned n = 1; n <= 100; n++)
        (void)add(w, n, 0, "system.error");
    for (int64_t pk = 1; pk <= 100; pk++)
        record(w, pk, PST_DELIVERY_DELIVERED, "no", 4000);
    record(w, 1, PST_DELIVERY_DELIVERED, "no", 4000); /* the same attempt */
    enum { EACH = DELIVERED_BYTES + 100 + 2 + 4000 };
    assert_int_equal(number(w, "SELECT bytes FROM outbox"), 100 * EACH);
    retain(w, PST_WALL_NONE, 100 * EACH, 1000, &loss, &left);
    assert_int_equal(number(w, "SELECT count(*) FROM event"), 100);
    /* Bodies alone would never reach it; what the answers take does. */
    retain(w, PST_WALL_NONE, 99 * EACH, 1000, &loss, &left);
    assert_false(left);
    assert_true(number(w, "SELECT bytes FROM outbox") <= 99 * EACH);
    assert_true(number(w, "SELECT count(*) FROM event") >= 100 - 64);
    assert_int_equal(number(w, "SELECT count(*) FROM event"),
                     number(w, "SELECT count(*) FROM attempt"));
    assert_int_equal(number(w, "SELECT bytes FROM outbox"),
                     EACH * number(w, "SELECT events FROM outbox"));
    assert_int_equal(loss.count, 0);
}

static void what_nobody_waits_for_is_no_loss(void **state)
{
    struct world *w = *state;
    struct pst_outbox_loss loss;
    struct pst_delivery sample;
    bool left = false;
    struct pst_endpoint deleted = add_endpoint(w, 1, 0, "*", true);
    struct pst_endpoint kept = add_endpoint(w, 2, 0, "sync.*", true);
    (void)add(w, 1, 0, "system.error"); /* for the deleted one */
    struct pst_event e = event_of(w, 2, 0, "sync.completed");
    e.is_sample = true;
    assert_write(w, pst_events_add(w->writer, &e, &w->err));
    assert_write(w, pst_deliveries_add_sample(w->writer, kept.pk, e.pk, at(2), &sample, &w->err));
    assert_write(w, pst_endpoints_delete(w->writer, deleted.pk, at(3), &w->err));
    retain(w, at(3), INT64_MAX, 100, &loss, &left);
    assert_int_equal(number(w, "SELECT count(*) FROM delivery"), 0);
    assert_int_equal(loss.count, 0);
    assert_int_equal(loss.organization_count, 0);
    (void)add(w, 3, 0, "sync.failed");
    (void)add(w, 4, 0, "sync.failed");
    retain(w, at(5), INT64_MAX, 100, &loss, &left);
    assert_int_equal(loss.count, 2);
    assert_int_equal(loss.organization_count, 1);
    assert_int_equal(loss.organizations[0], w->org.pk);
}

static void attempts_go_in_batches(void **state)
{
    struct world *w = *state;
    struct pst_outbox_loss loss;
    bool left = false;
    (void)add_endpoint(w, 1, 0, "*", true);
    (void)add(w, 1, 0, "system.error");
    (void)add(w, 2, 0, "system.error");
    assert_write(
        w, pst_db_exec_script(w->writer,
                              PST_STR("INSERT INTO attempt WITH RECURSIVE"
                                      " n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                                      " WHERE i < 25) SELECT 1, i, 0, 0, 500, 'no', x'00' FROM n"),
                              &w->err));
    assert_write(w, pst_db_exec_script(w->writer,
                                       PST_STR("UPDATE outbox SET bytes = bytes"
                                               " + 25 * 103"),
                                       &w->err));
    for (int kept = 15; kept > 0; kept -= 10) {
        retain(w, at(2), INT64_MAX, 10, &loss, &left);
        assert_true(left);
        assert_int_equal(number(w, "SELECT count(*) FROM attempt"), kept);
        assert_int_equal(number(w, "SELECT count(*) FROM delivery"), 2);
        assert_int_equal(loss.count, 0); /* it is counted when it goes */
    }
    retain(w, at(2), INT64_MAX, 10, &loss, &left);
    assert_false(left);
    assert_int_equal(loss.count, 1);
    assert_int_equal(number(w, "SELECT count(*) FROM attempt"), 0);
    assert_int_equal(number(w, "SELECT count(*) FROM delivery"), 1);
    assert_int_equal(number(w, "SELECT bytes FROM outbox"), DELIVERED_BYTES);
}

static void deliveries_of_what_is_gone_go_before_further_events(void **state)
{
    struct world *w = *state;
    struct pst_outbox_loss loss;
    bool left = false;
    for (unsigned n = 1; n <= 5; n++)
        (void)add_endpoint(w, n, 0, "*", true);
    for (unsigned n = 1; n <= 10; n++)
        (void)add(w, n, 0, "system.error");
    retain(w, at(3), INT64_MAX, 4, &loss, &left); /* 10 deliveries, 4 a time */
    assert_true(left);
    assert_int_equal(number(w, "SELECT count(*) FROM delivery"), 46);
    retain(w, at(3), 8 * (EVENT_BYTES + 5 * 400), 4, &loss, &left);
    retain(w, at(3), 8 * (EVENT_BYTES + 5 * 400), 4, &loss, &left);
    assert_false(left);
    assert_int_equal(number(w, "SELECT count(*) FROM event"), 8);
    assert_int_equal(number(w, "SELECT count(*) FROM delivery"), 40);
}

static void deleted_endpoints_go_when_nothing_is_listed_of_them(void **state)
{
    struct world *w = *state;
    struct pst_outbox_loss loss;
    bool left = false;
    struct pst_endpoint e = add_endpoint(w, 1, 0, "*", true);
    (void)add(w, 1, 0, "system.error");
    assert_write(w, pst_endpoints_delete(w->writer, e.pk, at(2), &w->err));
    retain(w, at(1), INT64_MAX, 100, &loss, &left);
    assert_int_equal(number(w, "SELECT count(*) FROM endpoint"), 1);
    retain(w, at(3), INT64_MAX, 100, &loss, &left);
    assert_int_equal(number(w, "SELECT count(*) FROM endpoint"), 0);
    assert_int_equal(number(w, "SELECT count(*) FROM lane"), 0);
}

static pst_code delete_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct world *w = arg;
    return pst_connections_delete(conn, w->conn.pk, false, at(5), err);
}

static void a_deleted_connection_takes_its_endpoints_along(void **state)
{
    struct world *w = *state;
    struct pst_endpoint own = add_endpoint(w, 1, w->conn.pk, "*", true);
    struct pst_endpoint all = add_endpoint(w, 2, 0, "*", true);
    struct pst_endpoint got;
    struct pst_err err;
    w->topic_count = 0;
    assert_ok(pst_db_write_direct(w->db, delete_in_job, w, &err));
    assert_int_equal(pst_topic_endpoint_of(w->topics[0]), own.pk);
    assert_code(
        pst_endpoints_get(w->reader, w->org.pk, pst_id_str(&own.id), w->arena, &got, &w->err),
        PST_E_NOT_FOUND);
    assert_read(w, pst_endpoints_get_pk(w->reader, own.pk, w->arena, &got, &w->err));
    assert_int_equal(got.secrets.len, 0);
    assert_read(
        w, pst_endpoints_get(w->reader, w->org.pk, pst_id_str(&all.id), w->arena, &got, &w->err));
}

static void the_size_is_what_it_holds(void **state)
{
    struct world *w = *state;
    struct pst_outbox_size size = {0};
    int64_t pk = 0;
    assert_read(w, pst_events_newest(w->reader, &pk, &w->err));
    assert_int_equal(pk, 0);
    (void)add(w, 1, 0, "system.error");
    assert_read(w, pst_events_size(w->reader, &size, &w->err));
    assert_int_equal(size.events, 1);
    assert_int_equal(size.bytes, EVENT_BYTES);
    assert_read(w, pst_events_newest(w->reader, &pk, &w->err));
    assert_int_equal(pk, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_matched_by_name_and_family),
#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)
        IN_WORLD(an_event_goes_to_those_who_want_it),
        IN_WORLD(sequences_count_per_endpoint_and_connection),
        IN_WORLD(a_commit_names_the_organization),
        IN_WORLD(an_event_is_written_once),
        IN_WORLD(an_event_is_found_by_its_owner),
        IN_WORLD(lists_walk_both_ways_with_filters),
        IN_WORLD(a_time_is_found_by_halving),
        IN_WORLD(old_events_go_with_their_deliveries),
        IN_WORLD(the_size_counts_all_that_is_kept),
        IN_WORLD(what_nobody_waits_for_is_no_loss),
        IN_WORLD(attempts_go_in_batches),
        IN_WORLD(deliveries_of_what_is_gone_go_before_further_events),
        IN_WORLD(deleted_endpoints_go_when_nothing_is_listed_of_them),
        IN_WORLD(a_deleted_connection_takes_its_endpoints_along),
        IN_WORLD(the_size_is_what_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
