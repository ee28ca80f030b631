/* Deliveries as the API reads and re-sends them. */
#include "store/deliveries_private.h"
#include "store/endpoints.h"
#include "store/events.h"
#include "tests/unit/store/world.h"

enum { MANY = 10050 };

static int64_t add_endpoint(struct world *w, unsigned n, int64_t connection_pk, const char *events,
                            bool ordered)
{
    struct pst_endpoint e = {
        .id = world_id("whk_", n),
        .organization_pk = w->org.pk,
        .connection_pk = connection_pk,
        .url = PST_STR("https://example.com/"),
        .events = pst_str_from(events),
        .enabled = true,
        .ordered = ordered,
        .timeout_ms = 10000,
        .horizon_ms = 86400000,
        .public_keys = PST_STR("[]"),
        .created_at = at(0),
        .updated_at = at(0),
        .deleted_at = PST_WALL_NONE,
    };
    assert_write(w, pst_endpoints_create(w->writer, &e, &w->err));
    return e.pk;
}

static pst_code put_event(struct world *w, unsigned n, int64_t connection_pk, const char *type,
                          pst_wall when, int64_t *pk)
{
    struct pst_event e = {
        .id = world_id("evt_", n),
        .organization_pk = w->org.pk,
        .connection_pk = connection_pk,
        .type = pst_str_from(type),
        .at = when,
        .body = PST_STR("{\"data\":{}}"),
    };
    PST_TRY(pst_events_add(w->writer, &e, &w->err));
    *pk = e.pk;
    return PST_OK;
}

static int64_t add_event(struct world *w, unsigned n, int64_t connection_pk, const char *type,
                         int64_t second)
{
    int64_t pk = 0;
    assert_write(w, put_event(w, n, connection_pk, type, at(second), &pk));
    return pk;
}

static pst_code run_sql(struct world *w, pst_str sql)
{
    return pst_db_exec_script(w->writer, sql, &w->err);
}

static struct pst_delivery_query all_of(int64_t endpoint_pk, size_t limit)
{
    return (struct pst_delivery_query){.endpoint_pk = endpoint_pk,
                                       .connection_pk = -1,
                                       .since = PST_WALL_NONE,
                                       .until = PST_WALL_NONE,
                                       .limit = limit};
}

/* The types of a page, joined by blanks. */
static const char *page(struct world *w, struct pst_delivery_query *q, bool *more)
{
    static char out[2000];
    struct pst_delivery *list = NULL;
    size_t count = 0;
    size_t len = 0;
    out[0] = '\0';
    assert_read(w, pst_deliveries_list(w->reader, q, w->arena, &list, &count, &q->before_event_pk,
                                       more, &w->err));
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%.*s", len ? " " : "",
                                PST_STR_ARG(list[i].type));
    return out;
}

static struct pst_delivery only(struct world *w, int64_t endpoint_pk)
{
    struct pst_delivery_query q = all_of(endpoint_pk, 10);
    struct pst_delivery *list = NULL;
    size_t count = 0;
    bool more = false;
    assert_read(w, pst_deliveries_list(w->reader, &q, w->arena, &list, &count, &q.before_event_pk,
                                       &more, &w->err));
    assert_int_equal(count, 1);
    return list[0];
}

static void a_list_is_newest_first_and_walks_on(void **state)
{
    struct world *w = *state;
    bool more = false;
    int64_t e = add_endpoint(w, 1, 0, "*", true);
    int64_t other = add_endpoint(w, 2, 0, "flow.b", true);
    add_event(w, 1, w->conn.pk, "flow.a", 1);
    add_event(w, 2, 0, "flow.b", 2);
    add_event(w, 3, w->conn.pk, "flow.c", 3);
    struct pst_delivery_query q = all_of(e, 2);
    assert_string_equal(page(w, &q, &more), "flow.c flow.b");
    assert_true(more);
    assert_string_equal(page(w, &q, &more), "flow.a");
    assert_false(more);
    q = all_of(other, 2);
    assert_string_equal(page(w, &q, &more), "flow.b");
    assert_false(more);
    q = all_of(e, 501);
    struct pst_delivery *list = NULL;
    size_t count = 0;
    assert_int_equal(pst_deliveries_list(w->reader, &q, w->arena, &list, &count, &q.before_event_pk,
                                         &more, &w->err),
                     PST_E_INVALID);
}

static void every_filter_holds(void **state)
{
    struct world *w = *state;
    bool more = false;
    int64_t e = add_endpoint(w, 1, 0, "*", true);
    add_event(w, 1, w->conn.pk, "flow.a", 1);
    int64_t b = add_event(w, 2, 0, "flow.b", 2);
    add_event(w, 3, w->conn.pk, "sync.failed", 3);
    assert_write(w, run_sql(w, PST_STR("UPDATE delivery SET status = 2 WHERE event_pk = 2")));
    assert_int_equal(b, 2);
    struct pst_delivery_query q = all_of(e, 10);
    q.statuses = 1U << PST_DELIVERY_FAILED;
    assert_string_equal(page(w, &q, &more), "flow.b");
    q = all_of(e, 10);
    q.statuses = 1U << PST_DELIVERY_WAITING | 1U << PST_DELIVERY_DELIVERED;
    assert_string_equal(page(w, &q, &more), "sync.failed flow.a");
    q = all_of(e, 10);
    q.types = PST_STR("sync.failed,flow.a");
    assert_string_equal(page(w, &q, &more), "sync.failed flow.a");
    q = all_of(e, 10);
    q.types = PST_STR("flow.*");
    assert_string_equal(page(w, &q, &more), "flow.b flow.a");
    q = all_of(e, 10);
    q.connection_pk = 0;
    assert_string_equal(page(w, &q, &more), "flow.b");
    q = all_of(e, 10);
    q.connection_pk = w->conn.pk;
    assert_string_equal(page(w, &q, &more), "sync.failed flow.a");
    q = all_of(e, 10);
    q.since = at(2);
    q.until = at(3);
    assert_string_equal(page(w, &q, &more), "flow.b");
}

static pst_code put_many(struct world *w, unsigned count)
{
    int64_t pk = 0;
    for (unsigned i = 0; i < count; i++)
        PST_TRY(put_event(w, 100 + i, 0, "flow.many", at(10), &pk));
    return PST_OK;
}

static void a_walk_ends_at_its_budget_and_goes_on(void **state)
{
    struct world *w = *state;
    bool more = false;
    int64_t e = add_endpoint(w, 1, 0, "*", true);
    add_event(w, 1, 0, "sync.failed", 1);
    assert_write(w, put_many(w, MANY));
    struct pst_delivery_query q = all_of(e, 10);
    q.types = PST_STR("sync.failed");
    assert_string_equal(page(w, &q, &more), "");
    assert_true(more);
    assert_string_equal(page(w, &q, &more), "sync.failed");
    assert_false(more);
    int64_t waiting = 0;
    assert_read(w, pst_deliveries_waiting(w->reader, e, MANY, &waiting, &w->err));
    assert_int_equal(waiting, MANY);
    assert_read(w, pst_deliveries_waiting(w->reader, e, MANY + 5, &waiting, &w->err));
    assert_int_equal(waiting, MANY + 1);
    assert_read(w, pst_deliveries_waiting(w->reader, 0, MANY + 5, &waiting, &w->err));
    assert_int_equal(waiting, MANY + 1);
    assert_read(w, pst_deliveries_waiting(w->reader, 0, 7, &waiting, &w->err));
    assert_int_equal(waiting, 7);
}

static void one_delivery_is_read_whole(void **state)
{
    struct world *w = *state;
    struct pst_delivery d;
    int64_t e = add_endpoint(w, 1, 0, "*", false);
    add_event(w, 1, w->conn.pk, "flow.a", 1);
    struct pst_delivery listed = only(w, e);
    assert_int_equal(listed.body.len, 0);
    assert_read(w, pst_deliveries_get(w->reader, e, pst_id_str(&listed.id), w->arena, &d, &w->err));
    assert_int_equal(d.pk, listed.pk);
    assert_string_equal(d.connection_id.text, w->conn.id.text);
    assert_string_equal(d.event_id.text, world_id("evt_", 1).text);
    assert_true(pst_str_is(d.body, "{\"data\":{}}"));
    assert_true(d.is_loose);
    assert_false(d.is_sample);
    assert_int_equal(d.sequence, 1);
    assert_int_equal(d.status, PST_DELIVERY_WAITING);
    assert_int_equal(d.created_at.us, at(1).us);
    assert_int_equal(d.tries.due_at.us, at(1).us);
    assert_true(pst_wall_is_none(d.ended_at));
    assert_int_equal(
        pst_deliveries_get(w->reader, e + 1, pst_id_str(&listed.id), w->arena, &d, &w->err),
        PST_E_NOT_FOUND);
    assert_int_equal(pst_deliveries_get(w->reader, e, PST_STR("dlv_x"), w->arena, &d, &w->err),
                     PST_E_NOT_FOUND);
    assert_string_equal(pst_delivery_status_name(PST_DELIVERY_WAITING), "waiting");
    assert_string_equal(pst_delivery_status_name(PST_DELIVERY_DELIVERED), "delivered");
    assert_string_equal(pst_delivery_status_name(PST_DELIVERY_FAILED), "failed");
}

static void the_newest_attempts_come_oldest_first(void **state)
{
    struct world *w = *state;
    struct pst_attempt *list = NULL;
    size_t count = 0;
    add_endpoint(w, 1, 0, "*", true);
    add_event(w, 1, 0, "flow.a", 1);
    assert_write(w, run_sql(w, PST_STR("INSERT INTO attempt VALUES (1, 1, 5, 1500, 0, 'no', x''),"
                                       " (1, 2, 6, 1600, 503, 'busy', x'6869'),"
                                       " (1, 3, 7, 1700, 200, '', x'ff')")));
    assert_read(w, pst_deliveries_attempts(w->reader, 1, 2, w->arena, &list, &count, &w->err));
    assert_int_equal(count, 2);
    assert_int_equal(list[0].number, 2);
    assert_int_equal(list[0].status, 503);
    assert_int_equal(list[0].duration_us, 1600);
    assert_true(pst_str_is(list[0].error, "busy"));
    assert_true(pst_str_is(list[0].response, "hi"));
    assert_int_equal(list[1].number, 3);
    assert_int_equal(list[1].response.len, 1);
    assert_read(w, pst_deliveries_attempts(w->reader, 1, 500, w->arena, &list, &count, &w->err));
    assert_int_equal(count, 3);
    assert_int_equal(list[0].number, 1);
    assert_read(w, pst_deliveries_attempts(w->reader, 2, 500, w->arena, &list, &count, &w->err));
    assert_int_equal(count, 0);
}

static void a_sample_is_one_loose_delivery(void **state)
{
    struct world *w = *state;
    struct pst_delivery d = {0};
    int64_t e = add_endpoint(w, 1, 0, "", true);
    add_event(w, 1, w->conn.pk, "flow.a", 1);
    assert_write(w, pst_deliveries_add_sample(w->writer, e, 1, at(2), &d, &w->err));
    assert_int_equal(d.sequence, 0); /* and nothing is missing between the others */
    assert_true(d.is_sample && d.is_loose);
    assert_string_equal(only(w, e).id.text, d.id.text);
    assert_true(only(w, e).is_loose);
    assert_int_equal(WRITE(w, pst_deliveries_add_sample(w->writer, e, 1, at(2), &d, &w->err)),
                     PST_E_CONFLICT);
    assert_int_equal(WRITE(w, pst_deliveries_add_sample(w->writer, e, 99, at(2), &d, &w->err)),
                     PST_E_NOT_FOUND);
}

static void a_resent_delivery_is_as_new(void **state)
{
    struct world *w = *state;
    int64_t e = add_endpoint(w, 1, 0, "*", true);
    add_event(w, 1, 0, "flow.a", 1);
    assert_write(w,
                 run_sql(w, PST_STR("UPDATE delivery SET status = 2, attempts = 9, tries = 9,"
                                    " first_try_at = 5, open_before_us = 6, refused_status = 400,"
                                    " refused_count = 8, refused_since = 7, ended_at = 8,"
                                    " last_status = 400, last_error = 'no'")));
    assert_write(w, pst_deliveries_resend(w->writer, 1, at(50), &w->err));
    struct pst_delivery d = only(w, e);
    assert_int_equal(d.status, PST_DELIVERY_WAITING);
    assert_int_equal(d.tries.attempts, 9);
    assert_int_equal(d.tries.tries, 0);
    assert_true(pst_wall_is_none(d.tries.first_try_at));
    assert_int_equal(d.tries.open_before_us, 0);
    assert_int_equal(d.tries.refused_status, 0);
    assert_int_equal(d.tries.refused_count, 0);
    assert_true(pst_wall_is_none(d.tries.refused_since));
    assert_int_equal(d.tries.due_at.us, at(50).us);
    assert_true(pst_wall_is_none(d.ended_at));
    assert_int_equal(d.last_status, 400);
    assert_int_equal(d.sequence, 1);
    assert_int_equal(WRITE(w, pst_deliveries_resend(w->writer, 2, at(50), &w->err)),
                     PST_E_NOT_FOUND);
}

/* Works off a range in batches of two; gives what was queued. */
static int64_t resend(struct world *w, int64_t endpoint_pk, int64_t since, int64_t until, bool all)
{
    struct pst_delivery_range r = {.endpoint_pk = endpoint_pk,
                                   .organization_pk = w->org.pk,
                                   .since = at(since),
                                   .until = until ? at(until) : PST_WALL_NONE,
                                   .all = all};
    int64_t cursor = 0;
    int64_t count = 0;
    int batches = 0;
    while (cursor >= 0 && batches++ < 100)
        assert_write(
            w, pst_deliveries_resend_range(w->writer, &r, 2, at(1000), &cursor, &count, &w->err));
    assert_int_equal(cursor, -1);
    return count;
}

static void a_range_takes_failed_ones_only(void **state)
{
    struct world *w = *state;
    bool more = false;
    int64_t e = add_endpoint(w, 1, 0, "*", true);
    for (unsigned i = 1; i <= 6; i++)
        add_event(w, i, 0, "flow.a", i * 10);
    assert_write(w, run_sql(w, PST_STR("UPDATE delivery SET status = 2 WHERE event_pk IN (1, 3, 5);"
                                       "UPDATE delivery SET status = 1 WHERE event_pk IN (2, 4)")));
    assert_int_equal(resend(w, e, 20, 50, false), 1);
    struct pst_delivery_query q = all_of(e, 10);
    q.statuses = 1U << PST_DELIVERY_FAILED;
    assert_string_equal(page(w, &q, &more), "flow.a flow.a");
    assert_int_equal(resend(w, e, 0, 0, false), 2);
    assert_int_equal(resend(w, e, 0, 0, false), 0);
    assert_int_equal(resend(w, e + 1, 0, 0, false), 0);
}

static void a_range_of_all_queues_what_was_never_queued(void **state)
{
    struct world *w = *state;
    add_event(w, 1, w->conn.pk, "flow.a", 10);
    add_event(w, 2, w->conn.pk, "sync.failed", 20);
    add_event(w, 3, 0, "flow.a", 30);
    int64_t e = add_endpoint(w, 1, 0, "flow.*", true);
    int64_t of_connection = add_endpoint(w, 2, w->conn.pk, "*", false);
    add_event(w, 4, w->conn.pk, "flow.b", 40);
    assert_write(w, run_sql(w, PST_STR("UPDATE delivery SET status = 1 WHERE endpoint_pk = 1")));
    assert_int_equal(e, 1);
    assert_int_equal(resend(w, e, 0, 0, true), 3);
    struct pst_delivery_query q = all_of(e, 10);
    bool more = false;
    assert_string_equal(page(w, &q, &more), "flow.b flow.a flow.a");
    assert_int_equal(resend(w, e, 0, 0, true), 0); /* all of them wait */
    assert_int_equal(resend(w, of_connection, 0, 40, true), 2);
    q = all_of(of_connection, 10);
    assert_string_equal(page(w, &q, &more), "flow.b sync.failed flow.a");
    /* What was chosen for the connection counts. */
    assert_write(
        w, pst_endpoints_choose(w->writer, e, w->conn.pk, PST_STR("sync.failed"), false, &w->err));
    assert_int_equal(resend(w, e, 15, 0, true), 1);
    assert_write(w, pst_endpoints_delete(w->writer, e, at(60), &w->err));
    add_event(w, 5, w->conn.pk, "sync.failed", 70);
    assert_int_equal(resend(w, e, 0, 0, true), 0);
}

static int64_t number(struct world *w, const char *sql)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_read(w, pst_db_stmt(w->reader, pst_str_from(sql), &st, &w->err));
    assert_read(w, pst_stmt_step(st, &row, &w->err));
    return row ? pst_stmt_i64(st, 0) : -1;
}

static void a_purged_connection_leaves_no_lane(void **state)
{
    struct world *w = *state;
    bool left = true;
    add_event(w, 1, w->conn.pk, "flow.a", 10); /* never queued */
    int64_t e = add_endpoint(w, 1, 0, "flow.*", true);
    add_event(w, 2, w->conn.pk, "flow.b", 20);
    add_event(w, 3, 0, "flow.c", 30);
    assert_write(w, run_sql(w, PST_STR("UPDATE delivery SET status = 2")));
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, true, at(40), &w->err));
    for (int i = 0; left && i < 100; i++)
        assert_write(w, pst_connections_purge(w->writer, 1, &left, &w->err));
    assert_false(left);
    assert_int_equal(resend(w, e, 0, 0, true), 2);
    assert_int_equal(number(w, "SELECT count(*) FROM lane"), 1);
    assert_int_equal(number(w, "SELECT connection_pk FROM lane"), 0);
}

static void samples_and_strangers_are_in_no_range(void **state)
{
    struct world *w = *state;
    struct pst_organization other = {.id = world_id("org_", 9), .name = PST_STR("other")};
    assert_write(w, pst_organizations_create(w->writer, &other, &w->err));
    add_event(w, 1, 0, "flow.a", 10);
    add_event(w, 2, 0, "flow.b", 20);
    assert_write(w, run_sql(w, PST_STR("UPDATE event SET sample = 1 WHERE pk = 1;"
                                       "UPDATE event SET organization_pk = 2 WHERE pk = 2")));
    int64_t e = add_endpoint(w, 1, 0, "*", true);
    assert_int_equal(resend(w, e, 0, 0, true), 0);

    struct pst_delivery d = {0}; /* a sample that failed */
    assert_write(w, pst_deliveries_add_sample(w->writer, e, 1, at(2), &d, &w->err));
    assert_write(w, run_sql(w, PST_STR("UPDATE delivery SET status = 2")));
    assert_int_equal(resend(w, e, 0, 0, false), 0);
    assert_int_equal(resend(w, e, 0, 0, true), 0);
}

/* ---- the planner ---- */

static void assert_plan(struct world *w, pst_str sql, const char *first)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_AUTO(buf) struct pst_buf text = {.max = 20000};
    PST_AUTO(buf) struct pst_buf plan = {.max = 20000};
    bool row = false;
    pst_buf_add_lit(&text, "EXPLAIN QUERY PLAN ");
    pst_buf_add_str(&text, sql);
    assert_read(w, pst_db_stmt(w->reader, pst_buf_str(&text), &st, &w->err));
    assert_read(w, pst_stmt_step(st, &row, &w->err));
    while (row) {
        pst_buf_addf(&plan, "%.*s\n", PST_STR_ARG(pst_stmt_str(st, 3)));
        assert_read(w, pst_stmt_step(st, &row, &w->err));
    }
    if (!pst_str_starts(pst_buf_str(&plan), pst_str_from(first)) ||
        strstr(plan.ptr, "TEMP B-TREE") || strstr(plan.ptr, "SCAN"))
        fail_msg("the plan is:\n%s", plan.ptr);
}

static void every_walk_has_its_index(void **state)
{
    struct world *w = *state;
    pst_str range[2];
    pst_str list;
    pst_deliveries_list_sql(&list);
    pst_deliveries_range_sql(range);
    assert_plan(w, list,
                "SEARCH d USING INDEX sqlite_autoindex_delivery_2 (endpoint_pk=? AND event_pk<?)");
    assert_plan(w, range[0], "SEARCH p USING INTEGER PRIMARY KEY");
    assert_plan(w, range[1], "SEARCH p USING INTEGER PRIMARY KEY");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_is_newest_first_and_walks_on),
        TEST(every_filter_holds),
        TEST(a_walk_ends_at_its_budget_and_goes_on),
        TEST(one_delivery_is_read_whole),
        TEST(the_newest_attempts_come_oldest_first),
        TEST(a_sample_is_one_loose_delivery),
        TEST(a_resent_delivery_is_as_new),
        TEST(a_range_takes_failed_ones_only),
        TEST(a_range_of_all_queues_what_was_never_queued),
        TEST(a_purged_connection_leaves_no_lane),
        TEST(samples_and_strangers_are_in_no_range),
        TEST(every_walk_has_its_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
