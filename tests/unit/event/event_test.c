/* tests/unit/event/event_test.c: the table of types, and what is told when. */
#include "event/event.h"

#include "codec/json.h"
#include "tests/unit/store/world.h"

/* ---- types ---- */

static void types_are_found_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *type; /* type NULL: there is none */
    } cases[] = {
        {"sync.completed", "sync.completed"},
        {"system.error", "system.error"},
        {"flow.large_po_2", "flow.*"},
        {"flow.", NULL},
        {"flow.Large", NULL},
        {"flow.a-b", NULL},
        {"flow.a.b", NULL},
        {"sync", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        const struct pst_event_type *t = pst_event_type_find(pst_str_from(cases[i].name));
        assert_true(!t == !cases[i].type);
        if (t)
            assert_string_equal(t->name, cases[i].type);
    }
}

static void every_schema_and_sample_is_json(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < pst_event_type_count; i++) {
        const struct pst_event_type *t = &pst_event_types[i];
        PST_AUTO(buf) struct pst_buf schema = {.max = 1 << 16};
        yyjson_doc *doc = NULL;
        pst_event_schema(&schema, t);
        assert_read(w, pst_json_read(pst_buf_str(&schema), NULL, w->arena, &doc, &w->err));
        assert_non_null(pst_json_get(yyjson_doc_get_root(doc), PST_STR("properties")));
        assert_read(w, pst_json_read(pst_str_from(t->sample), NULL, w->arena, &doc, &w->err));
        assert_true(t->version >= 1);
    }
}

/* ---- telling ---- */

/* The n-th event of the store, parsed. */
static yyjson_val *event_at(struct world *w, int64_t n, const char *type)
{
    struct pst_event_query q = {.organization_pk = w->org.pk,
                                .since = PST_WALL_NONE,
                                .until = PST_WALL_NONE,
                                .after_pk = n - 1,
                                .limit = 1};
    struct pst_event *items = NULL;
    yyjson_doc *doc = NULL;
    size_t count = 0;
    int64_t last = 0;
    bool more = false;
    assert_read(w, pst_events_list(w->reader, &q, w->arena, &items, &count, &last, &more, &w->err));
    assert_int_equal(count, 1);
    assert_str(items[0].type, type);
    assert_read(w, pst_json_read(items[0].body, NULL, w->arena, &doc, &w->err));
    yyjson_val *root = yyjson_doc_get_root(doc);
    pst_str text = {NULL, 0};
    assert_true(pst_json_str(pst_json_get(root, PST_STR("id")), &text));
    assert_string_equal(text.ptr, items[0].id.text);
    assert_true(pst_json_str(pst_json_get(root, PST_STR("organization_id")), &text));
    assert_string_equal(text.ptr, w->org.id.text);
    assert_true(pst_json_str(pst_json_get(root, PST_STR("type")), &text));
    assert_str(text, type);
    return pst_json_get(root, PST_STR("data"));
}

static int64_t newest(struct world *w)
{
    int64_t pk = 0;
    assert_read(w, pst_events_newest(w->reader, &pk, &w->err));
    return pk;
}

static int64_t number_of(yyjson_val *v, const char *name)
{
    int64_t n = -1;
    assert_true(pst_json_i64(pst_json_get(v, pst_str_from(name)), &n));
    return n;
}

#define assert_member(v, name, expected)                                                           \
    do {                                                                                           \
        pst_str member_ = {NULL, 0};                                                               \
        assert_true(pst_json_str(pst_json_get((v), PST_STR(name)), &member_));                     \
        assert_str(member_, (expected));                                                           \
    } while (0)

static void commit(struct world *w, const struct run *r, const char *const *numbers, size_t count)
{
    struct order orders[200];
    for (size_t i = 0; i < count; i++)
        orders[i] = (struct order){.number = numbers[i], .status = "approved", .stamp = at(1)};
    assert_int_equal(
        world_commit(w, r, PST_RECORD_CREATE, orders, count, numbers[count - 1], at(2)), PST_OK);
}

static void a_completed_run_is_told_once_with_its_changes(void **state)
{
    struct world *w = *state;
    static const char *const first[] = {"PO1", "PO2"};
    static const char *const second[] = {"PO3"};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    commit(w, &r, first, 2);
    commit(w, &r, second, 1);
    assert_write(w, pst_event_tell_syncs(w->writer, w->conn.pk, at(3), &w->err));
    assert_int_equal(newest(w), 0); /* it still runs */
    world_end(w, &r, PST_SYNC_COMPLETED);
    for (int i = 0; i < 2; i++)
        assert_write(w, pst_event_tell_syncs(w->writer, w->conn.pk, at(3), &w->err));
    assert_int_equal(newest(w), 2);

    yyjson_val *data = event_at(w, 1, "records.changed");
    assert_int_equal(number_of(data, "after_seq"), 0);
    assert_int_equal(number_of(data, "to_seq"), 3);
    assert_member(data, "sync_id", r.id.text);
    assert_int_equal(yyjson_arr_size(pst_json_get(data, PST_STR("changes"))), 3);
    yyjson_val *change = yyjson_arr_get(pst_json_get(data, PST_STR("changes")), 2);
    assert_int_equal(number_of(change, "seq"), 3);
    assert_member(change, "op", "created");
    assert_false(yyjson_get_bool(pst_json_get(data, PST_STR("truncated"))));

    data = event_at(w, 2, "sync.completed");
    assert_member(data, "status", "completed");
    assert_member(data, "mode", "full");
    assert_true(yyjson_is_null(pst_json_get(data, PST_STR("error"))));
}

static void a_run_without_changes_tells_only_that_it_ended(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_INCREMENTAL);
    world_end(w, &r, PST_SYNC_FAILED);
    assert_write(w, pst_event_tell_syncs(w->writer, w->conn.pk, at(3), &w->err));
    assert_int_equal(newest(w), 1);
    yyjson_val *data = event_at(w, 1, "sync.failed");
    assert_non_null(pst_json_get(pst_json_get(data, PST_STR("error")), PST_STR("message")));
}

static void a_cancelled_run_tells_what_it_committed(void **state)
{
    struct world *w = *state;
    static const char *const numbers[] = {"PO1"};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    commit(w, &r, numbers, 1);
    world_end(w, &r, PST_SYNC_CANCELLED);
    assert_write(w, pst_event_tell_syncs(w->writer, w->conn.pk, at(3), &w->err));
    assert_int_equal(newest(w), 1);
    assert_member(event_at(w, 1, "records.changed"), "sync_status", "cancelled");
}

static void a_hundred_changes_are_listed_and_no_more(void **state)
{
    struct world *w = *state;
    char texts[200][8];
    const char *numbers[200];
    for (size_t i = 0; i < 200; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "PO%03zu", i);
        numbers[i] = texts[i];
    }
    struct run before = world_run(w, 4, PST_SYNC_FULL); /* so that the range does not begin at 0 */
    commit(w, &before, numbers + 99, 1);
    world_end(w, &before, PST_SYNC_COMPLETED);
    struct run r = world_run(w, 5, PST_SYNC_FULL);
    commit(w, &r, numbers, 99);
    commit(w, &r, numbers + 100, 1);
    world_end(w, &r, PST_SYNC_COMPLETED);
    struct run s = world_run(w, 6, PST_SYNC_FULL);
    commit(w, &s, numbers + 101, 99);
    assert_int_equal(world_commit(w, &s, PST_RECORD_UPDATE,
                                  (struct order[]){{.number = "PO000", .status = "closed"},
                                                   {.number = "PO001", .status = "closed"}},
                                  2, "x", at(4)),
                     PST_OK);
    world_end(w, &s, PST_SYNC_COMPLETED);
    assert_write(w, pst_event_tell_syncs(w->writer, w->conn.pk, at(5), &w->err));
    yyjson_val *exact = event_at(w, 3, "records.changed");
    assert_int_equal(yyjson_arr_size(pst_json_get(exact, PST_STR("changes"))), 100);
    assert_false(yyjson_get_bool(pst_json_get(exact, PST_STR("truncated"))));
    assert_int_equal(number_of(exact, "after_seq"), 1);
    assert_int_equal(number_of(exact, "to_seq"), 101);
    yyjson_val *more = event_at(w, 5, "records.changed");
    assert_int_equal(yyjson_arr_size(pst_json_get(more, PST_STR("changes"))), 100);
    assert_true(yyjson_get_bool(pst_json_get(more, PST_STR("truncated"))));
    assert_int_equal(number_of(more, "to_seq"), 202);
}

static void nothing_is_told_of_a_connection_that_is_gone(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    world_end(w, &r, PST_SYNC_COMPLETED);
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, false, at(3), &w->err));
    assert_write(w, pst_event_tell_syncs(w->writer, w->conn.pk, at(3), &w->err));
    assert_int_equal(newest(w), 0);
    int64_t untold = 1;
    assert_read(w, pst_syncs_next_untold(w->reader, w->conn.pk, &untold, &w->err));
    assert_int_equal(untold, 0);
}

static void tell_status(struct world *w, enum pst_connection_status status, const char *code,
                        const char *reason, const char *request_id, int64_t second)
{
    const struct pst_event_status told = {.status = status,
                                          .previous = PST_CONNECTION_PENDING,
                                          .since = at(second - 1),
                                          .tries = status == PST_CONNECTION_OFFLINE ? 3 : 0,
                                          .code = pst_str_from(code),
                                          .reason = pst_str_from(reason),
                                          .request_id = pst_str_from(request_id)};
    assert_write(w, pst_event_tell_status(w->writer, w->conn.pk, &told, at(second), &w->err));
}

static void three_statuses_are_told(void **state)
{
    struct world *w = *state;
    tell_status(w, PST_CONNECTION_ONLINE, "", "", "req_1", 1);
    tell_status(w, PST_CONNECTION_OFFLINE, "", "refused", "", 3);
    tell_status(w, PST_CONNECTION_AUTHENTICATION_REQUIRED, "REAUTHORIZATION_REQUIRED",
                "wrong password", "", 4);
    tell_status(w, PST_CONNECTION_PENDING, "", "new credentials", "", 5);
    tell_status(w, PST_CONNECTION_INACTIVE, "", "switched off", "", 6);
    assert_int_equal(newest(w), 3);
    yyjson_val *data = event_at(w, 1, "connection.online");
    assert_member(data, "previous_status", "pending");
    assert_member(data, "request_id", "req_1");
    assert_int_equal(number_of(data, "tries"), 0);
    assert_true(yyjson_is_null(pst_json_get(data, PST_STR("error"))));
    data = event_at(w, 2, "connection.offline");
    assert_int_equal(number_of(data, "tries"), 3);
    assert_true(yyjson_is_null(pst_json_get(data, PST_STR("request_id"))));
    assert_member(pst_json_get(data, PST_STR("error")), "code", "SYSTEM_UNREACHABLE");
    data = event_at(w, 3, "connection.authentication_required");
    assert_int_equal(number_of(data, "tries"), 1);
    assert_member(pst_json_get(data, PST_STR("error")), "code", "REAUTHORIZATION_REQUIRED");
    assert_member(pst_json_get(data, PST_STR("error")), "message", "wrong password");
    const struct pst_event_status online = {.status = PST_CONNECTION_ONLINE};
    assert_write(w, pst_event_tell_status(w->writer, w->conn.pk + 9, &online, at(9), &w->err));
    assert_int_equal(newest(w), 3);
}

static void troubles_and_columns_are_told(void **state)
{
    struct world *w = *state;
    struct pst_event_trouble t = {.organization_pk = w->org.pk,
                                  .code = PST_E_WEBHOOK_DISABLED,
                                  .message = PST_STR("410"),
                                  .webhook_id = PST_STR("whk_1")};
    const struct pst_event_column columns[] = {
        {PST_STR("A.NEW"), PST_STR(""), PST_STR("Character")},
        {PST_STR("A.OLD"), PST_STR("Number"), PST_STR("")},
        {PST_STR("A.SAME"), PST_STR("Number"), PST_STR("Character")},
    };
    static const char *const changes[] = {"added", "removed", "changed"};
    assert_write(w, pst_event_tell_trouble(w->writer, &t, at(1), &w->err));
    t.connection_pk = w->conn.pk;
    assert_write(w, pst_event_tell_trouble(w->writer, &t, at(2), &w->err));
    assert_write(
        w, pst_event_tell_schema(w->writer, w->conn.pk, "suppliers", columns, 0, at(3), &w->err));
    assert_write(
        w, pst_event_tell_schema(w->writer, w->conn.pk, "suppliers", columns, 3, at(3), &w->err));
    assert_int_equal(newest(w), 3);
    yyjson_val *data = event_at(w, 2, "system.error");
    assert_member(data, "code", "WEBHOOK_DISABLED");
    assert_member(data, "webhook_id", "whk_1");
    data = event_at(w, 3, "schema.changed");
    yyjson_val *list = pst_json_get(data, PST_STR("columns"));
    for (size_t i = 0; i < PST_COUNT(changes); i++)
        assert_member(yyjson_arr_get(list, i), "change", changes[i]);
    assert_true(yyjson_is_null(pst_json_get(yyjson_arr_get(list, 0), PST_STR("before"))));
    assert_true(yyjson_is_null(pst_json_get(yyjson_arr_get(list, 1), PST_STR("after"))));
}

static void a_sample_is_an_event_that_nobody_lists(void **state)
{
    struct world *w = *state;
    struct pst_event e;
    pst_str unique = PST_STR("1");
    for (size_t i = 0; i < pst_event_type_count; i++) {
        pst_str type = pst_str_from(pst_event_types[i].name);
        if (pst_str_is(type, "flow.*"))
            type = PST_STR("flow.big");
        assert_write(w, pst_event_add_sample(w->writer, w->org.pk, w->conn.pk, type, unique, at(1),
                                             w->arena, &e, &w->err));
        assert_true(e.is_sample);
        assert_true(pst_str_starts(e.body, PST_STR("{\"id\":\"evt_")));
    }
    assert_code(WRITE(w, pst_event_add_sample(w->writer, w->org.pk, 0, PST_STR("flow."), unique,
                                              at(1), w->arena, &e, &w->err)),
                PST_E_INVALID);
    assert_string_equal(w->err.param, "type");
    assert_write(w, pst_event_add_sample(w->writer, w->org.pk, 0, PST_STR("system.error"),
                                         PST_STR("2"), at(1), w->arena, &e, &w->err));
    struct pst_event_query q = {
        .organization_pk = w->org.pk, .since = PST_WALL_NONE, .until = PST_WALL_NONE, .limit = 10};
    struct pst_event *items = NULL;
    size_t count = 1;
    int64_t last = 0;
    bool more = false;
    assert_read(w, pst_events_list(w->reader, &q, w->arena, &items, &count, &last, &more, &w->err));
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_found_by_name),
#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)
        IN_WORLD(every_schema_and_sample_is_json),
        IN_WORLD(a_completed_run_is_told_once_with_its_changes),
        IN_WORLD(a_run_without_changes_tells_only_that_it_ended),
        IN_WORLD(a_cancelled_run_tells_what_it_committed),
        IN_WORLD(a_hundred_changes_are_listed_and_no_more),
        IN_WORLD(nothing_is_told_of_a_connection_that_is_gone),
        IN_WORLD(three_statuses_are_told),
        IN_WORLD(troubles_and_columns_are_told),
        IN_WORLD(a_sample_is_an_event_that_nobody_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
