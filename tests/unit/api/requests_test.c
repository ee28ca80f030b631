/* tests/unit/api/requests_test.c: what is noted of a request, and where its calls are found. */
#include "tests/unit/store/world.h"

#include "api/internal.h"

static const struct pst_api_op *op_called(const char *id)
{
    size_t i = 0;
    while (i < pst_api_op_count && strcmp(pst_api_ops[i].id, id) != 0)
        i++;
    assert_true(i < pst_api_op_count);
    return &pst_api_ops[i];
}

static void keep_row(void *self, unsigned loop, bool is_routine, const struct pst_request_row *row)
{
    (void)loop, (void)is_routine;
    *(struct pst_request_row *)self = *row;
}

static void what_a_test_found_stands_in_its_row(void **state)
{
    (void)state;
    static const struct {
        pst_code finding;
        int status;
        const char *cause, *code, *detail;
    } CASES[] = {
        {PST_OK, 200, "", "", ""},
        {PST_E_REAUTH, 200, "credentials", "", "it said no"},
        {PST_E_AWAY, 200, "offline", "", "it said no"},
        {PST_E_REAUTH, 503, "timeout", "SYSTEM_UNREACHABLE",
         "too late"}, /* a success only tells of it */
    };
    struct pst_id id = world_id("req_", 1);
    const struct pst_route route = {0};
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct pst_request_row row = {0};
        struct pst_api api = {.options.journal = {.request = keep_row, .self = &row}};
        struct pst_api_call call = {.op = op_called("testConnection"),
                                    .finding = CASES[i].finding,
                                    .finding_text = PST_STR("it said no"),
                                    .failure = PST_E_TIMEOUT,
                                    .failure_text = "too late"};
        struct pst_request req = {.route = &route, .user = &call};
        call.req = &req;
        const struct pst_server_outcome outcome = {.status = CASES[i].status};
        pst_api_log_request(&api, &req, &id, &outcome);
        assert_string_equal(row.cause, CASES[i].cause);
        assert_string_equal(row.detail, CASES[i].detail);
        assert_string_equal(row.code, CASES[i].code);
    }
}

static void keep_routine(void *self, unsigned loop, bool is_routine,
                         const struct pst_request_row *row)
{
    (void)loop, (void)row;
    *(bool *)self = is_routine;
}

/* Reads can be made without end: where they run says nothing about it. */
static void reads_that_succeed_are_routine(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        int status;
        bool is_routine;
    } CASES[] = {
        {"getConnection", 200, true},       {"getRequest", 200, true},
        {"diagnoseConnection", 200, true},  {"diagnoseAnySync", 200, true},
        {"diagnoseConnection", 404, false}, {"testConnection", 200, false},
        {"createSync", 202, false},
    };
    struct pst_id id = world_id("req_", 1);
    const struct pst_route route = {0};
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        bool is_routine = !CASES[i].is_routine;
        struct pst_api api = {.options.journal = {.request = keep_routine, .self = &is_routine}};
        struct pst_api_call call = {.op = op_called(CASES[i].op)};
        struct pst_request req = {.route = &route, .user = &call};
        call.req = &req;
        const struct pst_server_outcome outcome = {.status = CASES[i].status};
        pst_api_log_request(&api, &req, &id, &outcome);
        assert_int_equal(is_routine, CASES[i].is_routine);
    }
}

static size_t give_many(void *self, pst_str id, struct pst_call_row *out, size_t max)
{
    (void)self, (void)id;
    for (size_t i = 0; i < max; i++)
        out[i] = (struct pst_call_row){.number = 1000 + (unsigned)i, .at = at(1000)};
    return max;
}

static void the_newest_calls_are_shown(void **state)
{
    struct world *w = *state;
    struct pst_id id = world_id("req_", 1);
    struct pst_call_row row = {.connection_id = w->conn.id, .number = 1, .at = at(1)};
    const struct pst_request_batch batch = {.calls = &row, .call_count = 1};
    struct pst_api api = {.options.journal = {.calls = give_many, .self = w}};
    struct pst_api_call call = {.api = &api, .arena = w->arena, .reader = w->reader};
    struct pst_call_row *calls = NULL;
    size_t count = 0;
    assert_true(pst_str_copy(row.request_id.text, sizeof(row.request_id.text), pst_id_str(&id)));
    assert_write(w, pst_requests_add(w->writer, &batch, &w->err));
    assert_read(w, pst_api_find_calls(&call, pst_id_str(&id), &calls, &count, &w->err));
    assert_int_equal(count, 200);
    assert_int_equal(calls[0].number, 1000);
    assert_int_equal(calls[199].number, 1199);
}

/* Stored between two looks: the journal has it no more. */
static size_t store_meanwhile(void *self, pst_str id, struct pst_call_row *out, size_t max)
{
    struct world *w = self;
    struct pst_call_row row = {.connection_id = w->conn.id, .number = 1, .at = at(1)};
    const struct pst_request_batch batch = {.calls = &row, .call_count = 1};
    (void)out, (void)max;
    assert_true(pst_str_copy(row.request_id.text, sizeof(row.request_id.text), id));
    assert_write(w, pst_requests_add(w->writer, &batch, &w->err));
    return 0;
}

static void a_call_that_is_stored_at_the_moment_is_found(void **state)
{
    struct world *w = *state;
    struct pst_id id = world_id("req_", 1);
    struct pst_api api = {.options.journal = {.calls = store_meanwhile, .self = w}};
    struct pst_api_call call = {.api = &api, .arena = w->arena, .reader = w->reader};
    struct pst_call_row *calls = NULL;
    size_t count = 0;
    assert_read(w, pst_api_find_calls(&call, pst_id_str(&id), &calls, &count, &w->err));
    assert_int_equal(count, 1);
    assert_int_equal(calls[0].number, 1);
}

/* Two that are not stored yet: one of then, which was long under way, and one of now. */
static size_t give_late(void *self, pst_str id, struct pst_call_row *out, size_t max)
{
    const struct world *w = self;
    assert_true(pst_str_eq(id, pst_id_str(&w->conn.id)) && max > 2);
    out[0] = (struct pst_call_row){.number = 1, .at = at(1)};
    out[1] = (struct pst_call_row){.number = 9, .at = at(9000)};
    out[2] = (struct pst_call_row){.number = 3, .at = at(3)};
    return 3;
}

/* A verdict about the past does not depend on what the connection does at the moment. */
static void of_the_past_only_calls_of_then_are_looked_at(void **state)
{
    struct world *w = *state;
    struct pst_call_row rows[3] = {
        {.connection_id = w->conn.id, .number = 1, .at = at(1)},
        {.connection_id = w->conn.id, .number = 2, .at = at(2)},
        {.connection_id = w->conn.id, .number = 8, .at = at(8000)},
    };
    const struct pst_request_batch batch = {.calls = rows, .call_count = PST_COUNT(rows)};
    struct pst_api api = {.options.journal = {.calls = give_late, .self = w}};
    struct pst_api_call call = {.api = &api, .arena = w->arena, .reader = w->reader};
    struct pst_call_row *calls = NULL;
    size_t count = 0;
    assert_write(w, pst_requests_add(w->writer, &batch, &w->err));
    assert_read(w, pst_api_find_calls_until(&call, &w->conn, at(300), &calls, &count, &w->err));
    assert_int_equal(count, 3);
    assert_int_equal(calls[0].number, 3);
    assert_int_equal(calls[1].number, 1);
    assert_int_equal(calls[2].number, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_test_found_stands_in_its_row),
        cmocka_unit_test(reads_that_succeed_are_routine),
        cmocka_unit_test_setup_teardown(the_newest_calls_are_shown, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(of_the_past_only_calls_of_then_are_looked_at, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(a_call_that_is_stored_at_the_moment_is_found, world_set_up,
                                        world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
