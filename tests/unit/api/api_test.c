/* Parameters by the table, cursors, problem documents, the description. What needs a server and a
 * store is in tests/e2e/test_api.py. */
#include "tests/unit/test.h"

#include "api/internal.h"

static const struct pst_api_op *op_called(const char *id)
{
    for (size_t i = 0; i < pst_api_op_count; i++) {
        if (strcmp(pst_api_ops[i].id, id) == 0)
            return &pst_api_ops[i];
    }
    fail_msg("there is no operation %s", id);
    return &pst_api_ops[0];
}

struct fixture {
    struct pst_arena *arena;
    struct pst_request req;
    struct pst_api_call call;
    struct pst_err err;
};

static void begin(struct fixture *f, const char *op, const char *path, const char *query)
{
    struct pst_err err;
    *f = (struct fixture){0};
    assert_ok(pst_arena_new(&f->arena, 1 << 20, &err));
    f->req.path = pst_str_from(path);
    f->req.query = pst_str_from(query);
    f->call.op = op_called(op);
    f->call.req = &f->req;
    f->call.arena = f->arena;
    if (f->call.op->flags & PST_OP_ENTITY)
        f->call.entity = pst_model_entity(PST_STR("purchase_orders"));
}

static void end(struct fixture *f)
{
    pst_arena_free(f->arena);
}

static const struct checked {
    const char *op;
    const char *query;
    const char *param; /* at fault; NULL: all is well */
} queries[] = {
    {"list", "", NULL},
    {"list", "limit=1&sort=-updated_at&deleted=only&include=source", NULL},
    {"list", "limit=500", NULL},
    {"list", "limit=501", "limit"},
    {"list", "limit=0", "limit"},
    {"list", "limit=-1", "limit"},
    {"list", "limit=%2B1", "limit"},
    {"list", "updated_after=2026-11-24T06:30:00Z&updated_before=2026-11-25", NULL},
    {"list", "updated_after=24.11.2026", "updated_after"},
    {"list", "status=approved&order_date_after=2026-01-01&order_date_before=2026-02-01", NULL},
    {"list", "status_before=approved", "status_before"},
    {"list", "Status=approved", "Status"},
    {"list", "status=approved&status=draft", "status"},
    {"list", "=1", ""},
    {"listSyncs", "status=queued,running", NULL},
    {"listSyncs", "order_date=2026-01-01", "order_date"},
    {"getConnection", "limit=1", "limit"},
    {"deleteConnection", "purge=true", NULL},
    {"deleteConnection", "purge=1", "purge"},
    {"listChanges", "after=9223372036854775807&wait=60", NULL},
    {"listChanges", "after=9223372036854775808", "after"},
    {"listChanges", "wait=61", "wait"},
};

static void parameters_are_checked_by_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(queries); i++) {
        struct fixture f;
        begin(&f, queries[i].op, "/v1/x", queries[i].query);
        pst_code code = pst_api_check_query(&f.call, &f.err);
        if ((code == PST_OK) != (queries[i].param == NULL))
            fail_msg("%s?%s: code %d", queries[i].op, queries[i].query, (int)code);
        if (code != PST_OK) {
            assert_int_equal(code, PST_E_INVALID);
            assert_string_equal(f.err.param, queries[i].param);
        }
        end(&f);
    }
}

static void a_parameter_not_given_has_its_default(void **state)
{
    (void)state;
    struct fixture f;
    struct pst_err err;
    begin(&f, "list", "/v1/x", "deleted=only&updated_after=1970-01-01T00:00:01Z");
    assert_ok(pst_api_check_query(&f.call, &err));
    assert_int_equal(pst_api_query_i64(&f.call, "limit"), 100);
    assert_str(pst_api_query(&f.call, "deleted"), "only");
    assert_null(pst_api_query(&f.call, "sort").ptr);
    assert_int_equal(pst_api_query_wall(&f.call, "updated_after").us, 1000000);
    assert_true(pst_wall_is_none(pst_api_query_wall(&f.call, "updated_before")));
    end(&f);
    begin(&f, "deleteConnection", "/v1/x", "purge=true");
    assert_ok(pst_api_check_query(&f.call, &err));
    assert_true(pst_api_query_bool(&f.call, "purge"));
    end(&f);
    begin(&f, "deleteConnection", "/v1/x", "");
    assert_ok(pst_api_check_query(&f.call, &err));
    assert_false(pst_api_query_bool(&f.call, "purge"));
    end(&f);
}

/* The cursor that a list at `path` with `query` writes for position pk. */
static void cursor_text(char *out, size_t size, const char *path, const char *query, int64_t pk)
{
    struct fixture f;
    struct pst_err err;
    struct pst_json_writer w;
    PST_AUTO(buf) struct pst_buf b = {.max = 1000};
    begin(&f, "listSyncs", path, query);
    assert_ok(pst_api_check_query(&f.call, &err));
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_api_cursor_write(&f.call, &w, true, pk);
    pst_json_end_object(&w);
    assert_ok(pst_json_finish(&w, &err));
    const char *begin_quote = strchr(b.ptr + strlen("{\"next_cursor\":"), '"') + 1;
    assert_true(pst_str_copy(out, size, (pst_str){begin_quote, strcspn(begin_quote, "\"")}));
    end(&f);
}

static void a_cursor_is_taken_only_by_its_own_list(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *query;
        bool fits;
    } rows[] = {
        {"/v1/a", "status=queued&cursor=", true},
        {"/v1/a", "limit=7&status=queued&cursor=", true},
        {"/v1/b", "status=queued&cursor=", false},
        {"/v1/a", "status=failed&cursor=", false},
        {"/v1/a", "cursor=", false},
    };
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        struct fixture f;
        char cursor[64];
        char query[128];
        int64_t pk = 0;
        cursor_text(cursor, sizeof(cursor), "/v1/a", "status=queued", 123456789);
        (void)snprintf(query, sizeof(query), "%s%s", rows[i].query, cursor);
        begin(&f, "listSyncs", rows[i].path, query);
        struct pst_err err;
        assert_ok(pst_api_check_query(&f.call, &err));
        pst_code code = pst_api_cursor_read(&f.call, &pk, &err);
        assert_int_equal(code, rows[i].fits ? PST_OK : PST_E_INVALID);
        if (rows[i].fits)
            assert_int_equal(pk, 123456789);
        else
            assert_string_equal(err.param, "cursor");
        end(&f);
    }
}

/* Round trip from the first record to the last there may be, and no bit of the text may change. */
static void every_bit_of_a_cursor_counts(void **state)
{
    (void)state;
    for (int shift = 0; shift < 63; shift++) {
        for (int64_t pk = (1LL << shift) - (shift > 0); pk <= 1LL << shift; pk++) {
            char query[80] = "status=queued&cursor=";
            const size_t lead = strlen(query);
            struct fixture f;
            int64_t back = 0;
            cursor_text(query + lead, sizeof(query) - lead, "/v1/a", "status=queued", pk);
            const size_t bits = 8 * strlen(query + lead);
            for (size_t bit = 0; bit <= bits; bit++) {
                char *c = &query[lead + bit / 8];
                bool is_whole = bit == bits;
                char was = *c;
                if (!is_whole)
                    *c = (char)(*c ^ 1 << bit % 8);
                begin(&f, "listSyncs", "/v1/a", query);
                pst_code code = pst_api_check_query(&f.call, &f.err);
                if (code == PST_OK)
                    code = pst_api_cursor_read(&f.call, &back, &f.err);
                if ((code == PST_OK) != is_whole || (is_whole && back != pk))
                    fail_msg("pk %lld: %s gives %d", (long long)pk, query, (int)code);
                end(&f);
                *c = was;
            }
        }
    }
}

static void what_is_no_cursor_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"x",
                                        "0",
                                        "000000000000000000000000",
                                        "zzzzzzzzzzzzzzzzzzzzzzzz",
                                        "0123456789abcdef01234567",
                                        "0123456789ABCDEF01234567"};
    for (size_t i = 0; i < PST_COUNT(wrong); i++) {
        struct fixture f;
        struct pst_err err;
        char query[64];
        int64_t pk = 0;
        (void)snprintf(query, sizeof(query), "cursor=%s", wrong[i]);
        begin(&f, "listSyncs", "/v1/a", query);
        assert_ok(pst_api_check_query(&f.call, &err));
        assert_code(pst_api_cursor_read(&f.call, &pk, &err), PST_E_INVALID);
        end(&f);
    }
}

/* ---- problems ---- */

static pst_str member(yyjson_val *root, const char *name)
{
    pst_str text = {NULL, 0};
    (void)pst_json_str(pst_json_get(root, pst_str_from(name)), &text);
    return text;
}

static void every_code_makes_a_whole_problem(void **state)
{
    (void)state;
    struct pst_id id = pst_id_format("req_", (const uint8_t[PST_ID_RAW]){0});
    for (int c = 1; c < PST_CODE_COUNT; c++) {
        struct pst_err err;
        struct pst_err ignored;
        yyjson_doc *doc = NULL;
        PST_AUTO(buf) struct pst_buf b = {.max = 4096};
        PST_AUTO(arena) struct pst_arena *a = NULL;
        assert_ok(pst_arena_new(&a, 1 << 16, &err));
        (void)PST_FAIL_AT(&ignored, (pst_code)c, "a\"b", "it's \"so\"\n\x01");
        pst_api_write_problem(&b, &ignored, &id, PST_STR("conn_1"));
        assert_ok(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err));
        yyjson_val *root = yyjson_doc_get_root(doc);
        int64_t status = 0;
        int64_t after = 0;
        assert_true(pst_json_i64(pst_json_get(root, PST_STR("status")), &status));
        assert_int_equal(status, pst_code_http((pst_code)c));
        assert_str(member(root, "code"), pst_code_name((pst_code)c));
        assert_str(member(root, "connection_id"), "conn_1");
        assert_true(pst_str_starts(member(root, "type"), PST_STR("/docs/errors/")));
        assert_true(member(root, "detail").len > 0);
        /* A failure inside says nothing of the inside. */
        if (status == 500)
            assert_null(strstr(b.ptr, "so\\\""));
        if (status == 429 || status == 503)
            assert_true(pst_json_i64(pst_json_get(root, PST_STR("retry_after")), &after));
    }
}

/* ---- the table and the description ---- */

static void every_operation_is_described_and_leads_to_a_schema(void **state)
{
    (void)state;
    for (size_t i = 0; i < pst_api_op_count; i++) {
        const struct pst_api_op *op = &pst_api_ops[i];
        const char *const names[] = {op->body, op->answer};
        assert_non_null(op->run);
        assert_true(strlen(op->summary) > 3);
        assert_int_equal((op->flags & PST_OP_BODY) != 0, op->body != NULL);
        assert_int_equal(op->status == 204, op->answer == NULL);
        const char *leads_to_it = op->flags & PST_OP_SYNC ? "{sync_id}" : "{connection_id}";
        assert_int_equal((op->flags & PST_OP_CONNECTION) != 0,
                         strstr(op->path, leads_to_it) != NULL);
        for (size_t k = 0; k < PST_COUNT(names); k++) {
            bool found = !names[k] || names[k][0] == '@';
            for (const struct pst_api_schema *s = pst_api_schemas; s->name && !found; s++)
                found = strcmp(s->name, names[k]) == 0;
            if (!found)
                fail_msg("%s: there is no schema '%s'", op->id, names[k]);
        }
    }
}

static void the_description_is_json_with_all_paths(void **state)
{
    (void)state;
    struct pst_err err;
    yyjson_doc *doc = NULL;
    PST_AUTO(buf) struct pst_buf b = {.max = 8 << 20};
    PST_AUTO(arena) struct pst_arena *a = NULL;
    assert_ok(pst_arena_new(&a, 64 << 20, &err));
    pst_api_openapi(&b);
    assert_ok(pst_buf_check(&b, &err));
    assert_ok(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err));
    yyjson_val *paths = pst_json_get(yyjson_doc_get_root(doc), PST_STR("paths"));
    for (size_t i = 0; i < pst_api_op_count; i++) {
        if (!(pst_api_ops[i].flags & PST_OP_ENTITY))
            assert_non_null(pst_json_get(paths, pst_str_from(pst_api_ops[i].path)));
    }
    assert_non_null(
        pst_json_get(paths, PST_STR("/v1/connections/{connection_id}/purchase-orders")));
}

static uint64_t key_of(const char *text)
{
    struct pst_address a;
    assert_true(pst_address_parse(&a, pst_str_from(text)));
    return pst_api_address_key(&a);
}

static void an_address_is_limited_by_itself_or_by_its_network(void **state)
{
    (void)state;
    static const char *const different[] = {
        "192.0.2.1",   "192.0.2.2",       "0.0.0.0",     "255.255.255.255", "::1",
        "2001:db8::1", "2001:db8:0:1::1", "2001:db9::1", "fe80::1",
    };
    for (size_t i = 0; i < PST_COUNT(different); i++) {
        assert_true(key_of(different[i]) != 0);
        for (size_t k = 0; k < i; k++)
            assert_true(key_of(different[i]) != key_of(different[k]));
    }
    assert_true(key_of("2001:db8::1") == key_of("2001:db8::ffff:ffff:ffff:ffff"));
    assert_true(key_of("::ffff:192.0.2.1") == key_of("192.0.2.1"));
}

/* The header lines, as they are sent. */
static const char *limits_of(const struct pst_api_call *call)
{
    static char text[512];
    struct pst_response res = {.head = {.max = 1000}};
    pst_api_put_limits(call, &res);
    assert_true(pst_str_copy(text, sizeof(text), pst_buf_str(&res.head)));
    pst_buf_fini(&res.head);
    return text;
}

static void what_is_left_is_told_of_what_was_counted(void **state)
{
    (void)state;
    struct pst_api_call call = {0};
    assert_string_equal(limits_of(&call), "");
    call.rates[PST_API_LIMIT_CONNECTION] = (struct pst_rate){.quota = 10, .left = 0, .full_s = 60};
    assert_string_equal(limits_of(&call), "RateLimit-Policy: \"connection\";q=10;w=60\r\n"
                                          "RateLimit: \"connection\";r=0;t=60\r\n");
    call.rates[PST_API_LIMIT_KEY] =
        (struct pst_rate){.quota = PST_RATE_QUOTA_MAX, .left = 9999999, .full_s = 1};
    assert_string_equal(limits_of(&call),
                        "RateLimit-Policy: \"key\";q=10000000;w=60, \"connection\";q=10;w=60\r\n"
                        "RateLimit: \"key\";r=9999999;t=1, \"connection\";r=0;t=60\r\n");
}

/* Diagnoses look at tens of thousands of calls while a large host is away. */
static void what_reads_much_leaves_the_event_loop_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"getRequest", "diagnoseConnection", "diagnoseSync",
                                        "diagnoseAnySync"};
    for (size_t i = 0; i < PST_COUNT(names); i++) {
        size_t k = 0;
        while (k < pst_api_op_count && strcmp(pst_api_ops[k].id, names[i]) != 0)
            k++;
        assert_true(k < pst_api_op_count);
        assert_int_equal(pst_api_ops[k].where, PST_RUN_LOOK);
    }
}

static void options_that_are_missing_are_refused(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_api *api = NULL;
    struct pst_api_options none = {.loops = 1};
    assert_code(pst_api_new(&api, &none, &err), PST_E_INVALID);
    pst_api_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_checked_by_the_table),
        cmocka_unit_test(a_parameter_not_given_has_its_default),
        cmocka_unit_test(a_cursor_is_taken_only_by_its_own_list),
        cmocka_unit_test(what_is_no_cursor_is_refused),
        cmocka_unit_test(every_bit_of_a_cursor_counts),
        cmocka_unit_test(every_code_makes_a_whole_problem),
        cmocka_unit_test(every_operation_is_described_and_leads_to_a_schema),
        cmocka_unit_test(the_description_is_json_with_all_paths),
        cmocka_unit_test(an_address_is_limited_by_itself_or_by_its_network),
        cmocka_unit_test(what_is_left_is_told_of_what_was_counted),
        cmocka_unit_test(what_reads_much_leaves_the_event_loop_alone),
        cmocka_unit_test(options_that_are_missing_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
