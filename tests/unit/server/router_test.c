/* Routes, path decoding and query strings. */
#include "tests/unit/test.h"

#include "server/server.h"

static pst_code nothing(void *self, struct pst_request *req, struct pst_response *res,
                        struct pst_err *err)
{
    (void)self, (void)req, (void)res, (void)err;
    return PST_OK;
}

static const struct pst_route routes[] = {
    {PST_METHOD_GET, "/", nothing},
    {PST_METHOD_GET, "/v1/connections", nothing},
    {PST_METHOD_POST, "/v1/connections", nothing},
    {PST_METHOD_GET, "/v1/connections/{connection_id}", nothing},
    {PST_METHOD_DELETE, "/v1/connections/{connection_id}", nothing},
    {PST_METHOD_GET, "/v1/connections/{connection_id}/changes", nothing},
    {PST_METHOD_GET, "/v1/connections/{connection_id}/{entities}", nothing},
    {PST_METHOD_GET, "/v1/connections/{connection_id}/{entities}/{record_id}", nothing},
    {PST_METHOD_GET, "/v1/connections/{connection_id}/changes/special", nothing},
    {PST_METHOD_GET, "/assets/{file*}", nothing},
};

static const struct lookup {
    enum pst_method method;
    const char *path;
    pst_code code;
    const char *pattern; /* or what Allow says */
    const char *params[3];
} lookups[] = {
    {PST_METHOD_GET, "/", PST_OK, "/", {NULL}},
    {PST_METHOD_GET, "/v1/connections", PST_OK, "/v1/connections", {NULL}},
    {PST_METHOD_HEAD, "/v1/connections", PST_OK, "/v1/connections", {NULL}},
    {PST_METHOD_GET,
     "/v1/connections/conn_1",
     PST_OK,
     "/v1/connections/{connection_id}",
     {"conn_1"}},
    {PST_METHOD_GET,
     "/v1/connections/conn_1/changes",
     PST_OK,
     "/v1/connections/{connection_id}/changes",
     {"conn_1"}},
    {PST_METHOD_GET,
     "/v1/connections/c/items",
     PST_OK,
     "/v1/connections/{connection_id}/{entities}",
     {"c", "items"}},
    /* the dead end below the literal "changes" is left again */
    {PST_METHOD_GET,
     "/v1/connections/c/changes/rec_1",
     PST_OK,
     "/v1/connections/{connection_id}/{entities}/{record_id}",
     {"c", "changes", "rec_1"}},
    {PST_METHOD_GET,
     "/v1/connections/c/changes/special",
     PST_OK,
     "/v1/connections/{connection_id}/changes/special",
     {"c"}},
    {PST_METHOD_GET,
     "/v1/connections/c/items/source_id:US001%7C42",
     PST_OK,
     "/v1/connections/{connection_id}/{entities}/{record_id}",
     {"c", "items", "source_id:US001|42"}},
    {PST_METHOD_GET,
     "/v1/connections/c/items/a%2Fb",
     PST_OK,
     "/v1/connections/{connection_id}/{entities}/{record_id}",
     {"c", "items", "a/b"}},
    {PST_METHOD_GET,
     "/v1/connections/c/items/%2525",
     PST_OK,
     "/v1/connections/{connection_id}/{entities}/{record_id}",
     {"c", "items", "%25"}},
    {PST_METHOD_GET,
     "/v1/connections/c/items/a+b",
     PST_OK,
     "/v1/connections/{connection_id}/{entities}/{record_id}",
     {"c", "items", "a+b"}},
    {PST_METHOD_GET, "/v1/conn%65ctions", PST_OK, "/v1/connections", {NULL}},
    {PST_METHOD_GET, "/assets/css/a%20b.css", PST_OK, "/assets/{file*}", {"css/a b.css"}},
    {PST_METHOD_GET, "/v1", PST_E_NOT_FOUND, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/connections/", PST_E_NOT_FOUND, NULL, {NULL}},
    {PST_METHOD_GET, "/v1//connections", PST_E_NOT_FOUND, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/connections/c/", PST_E_NOT_FOUND, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/connections/c/items/r/x", PST_E_NOT_FOUND, NULL, {NULL}},
    {PST_METHOD_GET, "/V1/connections", PST_E_NOT_FOUND, NULL, {NULL}},
    {PST_METHOD_PATCH, "/v1/connections", PST_E_METHOD, "GET, HEAD, POST", {NULL}},
    {PST_METHOD_POST, "/v1/connections/c", PST_E_METHOD, "GET, HEAD, DELETE", {NULL}},
    {PST_METHOD_GET, "/v1/%00", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/%0a", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/%7f", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/%", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/%4", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/%4g", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/%c3", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/../connections", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/%2e%2e/connections", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "/v1/./connections", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET, "v1", PST_E_INVALID, NULL, {NULL}},
    {PST_METHOD_GET,
     "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/"
     "29/30/31/32/33",
     PST_E_NOT_FOUND,
     NULL,
     {NULL}},
};

static void check_lookup(const struct pst_router *router, const struct lookup *l,
                         struct pst_arena *a)
{
    struct pst_err err;
    struct pst_request req = {.method = l->method};
    pst_str allow = {NULL, 0};
    pst_code code = pst_router_match(router, l->method, pst_str_from(l->path), a, &req.route,
                                     req.params, &req.param_count, &allow, &err);
    if (code != l->code)
        fail_msg("%s: code %d, expected %d", l->path, (int)code, (int)l->code);
    if (code == PST_E_METHOD)
        assert_str(allow, l->pattern);
    if (code != PST_OK)
        return;
    assert_string_equal(req.route->pattern, l->pattern);
    size_t want = 0;
    for (size_t i = 0; i < 3 && l->params[i]; i++, want++)
        assert_str(req.params[i], l->params[i]);
    assert_int_equal(req.param_count, want);
}

static void paths_find_their_routes(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(router) struct pst_router *router = NULL;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    assert_ok(pst_router_new(&router, routes, PST_COUNT(routes), &err));
    for (size_t i = 0; i < PST_COUNT(lookups); i++)
        check_lookup(router, &lookups[i], a);
}

static void params_are_found_by_name(void **state)
{
    (void)state;
    struct pst_request req = {.route = &routes[7],
                              .params = {PST_STR_INIT("c"), PST_STR_INIT("e"), PST_STR_INIT("r")},
                              .param_count = 3};
    assert_str(pst_request_param(&req, "entities"), "e");
    assert_str(pst_request_param(&req, "record_id"), "r");
    assert_null(pst_request_param(&req, "other").ptr);
    req.route = &routes[9];
    assert_str(pst_request_param(&req, "file"), "c");
    req.route = NULL;
    assert_null(pst_request_param(&req, "file").ptr);
}

static void wrong_route_tables_are_refused(void **state)
{
    (void)state;
    static const struct pst_route wrong[][2] = {
        {{PST_METHOD_GET, "/a/{x}", nothing}, {PST_METHOD_GET, "/a/{y}", nothing}},
        {{PST_METHOD_GET, "/a", nothing}, {PST_METHOD_GET, "/a", nothing}},
        {{PST_METHOD_GET, "/a", nothing}, {PST_METHOD_GET, "b", nothing}},
        {{PST_METHOD_GET, "/a", nothing}, {PST_METHOD_GET, "", nothing}},
        {{PST_METHOD_GET, "/a", nothing}, {PST_METHOD_GET, "/{rest*}/b", nothing}},
        {{PST_METHOD_GET, "/a", nothing},
         {PST_METHOD_GET, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}", nothing}},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(wrong); i++) {
        struct pst_router *router = NULL;
        assert_code(pst_router_new(&router, wrong[i], 2, &err), PST_E_INVALID);
        assert_null(router);
    }
}

static void a_router_survives_every_allocation_fault(void **state)
{
    (void)state;
    struct pst_err err;
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(router) struct pst_router *router = NULL;
        pst_code code = pst_router_new(&router, routes, PST_COUNT(routes), &err);
        assert_int_equal(code, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
    }
}

static const struct query {
    const char *raw;
    pst_code code;
    size_t count;
    const char *items[4][2];
    const char *param;
} queries[] = {
    {"", PST_OK, 0, {{NULL}}, NULL},
    {"a=1", PST_OK, 1, {{"a", "1"}}, NULL},
    {"a=1&b=2&a=3", PST_OK, 3, {{"a", "1"}, {"b", "2"}, {"a", "3"}}, NULL},
    {"&&a=1&", PST_OK, 1, {{"a", "1"}}, NULL},
    {"a", PST_OK, 1, {{"a", ""}}, NULL},
    {"a=", PST_OK, 1, {{"a", ""}}, NULL},
    {"=1", PST_OK, 1, {{"", "1"}}, NULL},
    {"a=b=c", PST_OK, 1, {{"a", "b=c"}}, NULL},
    {"a+b=c+d%2B%26", PST_OK, 1, {{"a b", "c d+&"}}, NULL},
    {"%61=%C3%A4", PST_OK, 1, {{"a", "\303\244"}}, NULL},
    {"a=%", PST_E_INVALID, 0, {{NULL}}, "a"},
    {"x=1&lim%69t=%zz", PST_E_INVALID, 0, {{NULL}}, "limit"},
    {"a=%00", PST_E_INVALID, 0, {{NULL}}, "a"},
    {"a=%0D%0A", PST_E_INVALID, 0, {{NULL}}, "a"},
    {"a=%FF", PST_E_INVALID, 0, {{NULL}}, "a"},
    {"%zz=1", PST_E_INVALID, 0, {{NULL}}, "query"},
};

static void queries_are_decoded_once_and_strictly(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    for (size_t i = 0; i < PST_COUNT(queries); i++) {
        const struct query *q = &queries[i];
        struct pst_query_item *items = NULL;
        size_t count = 0;
        assert_code(pst_query_parse(a, pst_str_from(q->raw), &items, &count, &err), q->code);
        if (q->code != PST_OK) {
            assert_string_equal(err.param, q->param);
            continue;
        }
        assert_int_equal(count, q->count);
        for (size_t k = 0; k < count; k++) {
            assert_str(items[k].name, q->items[k][0]);
            assert_str(items[k].value, q->items[k][1]);
        }
    }
}

static void a_hundred_parameters_are_taken_and_one_more_is_refused(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(buf) struct pst_buf raw = {0};
    pst_buf_init(&raw, 4096);
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    struct pst_query_item *items = NULL;
    size_t count = 0;
    for (int i = 0; i < 100; i++)
        pst_buf_addf(&raw, "&p%d=%d", i, i);
    assert_ok(pst_query_parse(a, pst_buf_str(&raw), &items, &count, &err));
    assert_int_equal(count, 100);
    assert_str(items[99].value, "99");
    pst_buf_add_lit(&raw, "&one=more");
    assert_code(pst_query_parse(a, pst_buf_str(&raw), &items, &count, &err), PST_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_find_their_routes),
        cmocka_unit_test(params_are_found_by_name),
        cmocka_unit_test(wrong_route_tables_are_refused),
        cmocka_unit_test(a_router_survives_every_allocation_fault),
        cmocka_unit_test(queries_are_decoded_once_and_strictly),
        cmocka_unit_test(a_hundred_parameters_are_taken_and_one_more_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
