/* tests/fuzz/uri.c: paths, queries and what is percent-encoded in them. */
#include "base/utf8.h"
#include "codec/percent.h"
#include "server/server.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 1 << 20, PARTS = 8 };

/* Paths of the shapes that the API has. */
static const struct pst_route routes[] = {
    {.method = PST_METHOD_GET, .pattern = "/"},
    {.method = PST_METHOD_GET, .pattern = "/v1/connections"},
    {.method = PST_METHOD_POST, .pattern = "/v1/connections"},
    {.method = PST_METHOD_GET, .pattern = "/v1/connections/{connection_id}"},
    {.method = PST_METHOD_DELETE, .pattern = "/v1/connections/{connection_id}"},
    {.method = PST_METHOD_GET, .pattern = "/v1/connections/{connection_id}/{entity}/{id}"},
    {.method = PST_METHOD_GET, .pattern = "/v1/connections/{connection_id}/syncs/{id}"},
    {.method = PST_METHOD_GET, .pattern = "/files/{rest*}"},
};

static bool is_clean(pst_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    }
    return pst_utf8_valid(s, NULL);
}

/* What the server's scanner of heads lets through. */
static bool can_come(pst_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        if ((unsigned char)path.ptr[i] <= 0x20 || (unsigned char)path.ptr[i] >= 0x7f)
            return false;
    }
    return true;
}

static void check_path(struct pst_arena *a, pst_str path, struct pst_err *err)
{
    static struct pst_router *router;
    const struct pst_route *route = NULL;
    pst_str params[PST_ROUTE_PARAMS_MAX];
    pst_str allow = {NULL, 0};
    size_t count = 0;
    if (!router && pst_router_new(&router, routes, PST_COUNT(routes), err) != PST_OK)
        abort();
    pst_code code =
        pst_router_match(router, PST_METHOD_GET, path, a, &route, params, &count, &allow, err);
    FUZZ_REQUIRE(code != PST_OK || route);
    FUZZ_REQUIRE(code != PST_E_METHOD || allow.len > 0);
    for (size_t i = 0; code == PST_OK && i < count && can_come(path); i++)
        FUZZ_REQUIRE(is_clean(params[i]) && !pst_str_is(params[i], ".."));
}

static void check_query(struct pst_arena *a, pst_str query, struct pst_err *err)
{
    struct pst_query_item *items = NULL;
    size_t count = 0;
    if (pst_query_parse(a, query, &items, &count, err) != PST_OK)
        return;
    FUZZ_REQUIRE(count <= 100);
    for (size_t i = 0; i < count; i++)
        FUZZ_REQUIRE(is_clean(items[i].name) && is_clean(items[i].value));
}

/* What is encoded and decoded again is the same; what decodes, decodes to no more bytes. */
static void check_percent(struct pst_arena *a, pst_str s, struct pst_err *err)
{
    struct pst_buf b;
    pst_str back = {NULL, 0};
    if (memchr(s.ptr, 0, s.len)) /* the server's scanner has refused it before */
        return;
    if (pst_percent_decode(a, &back, s, false, err) == PST_OK)
        FUZZ_REQUIRE(back.len <= s.len && (back.len == 0 || !memchr(back.ptr, 0, back.len)));
    pst_buf_init(&b, ARENA_BYTES);
    pst_percent_encode(&b, s);
    FUZZ_REQUIRE(pst_percent_decode(a, &back, pst_buf_str(&b), false, err) == PST_OK);
    FUZZ_REQUIRE(pst_str_eq(back, s));
    pst_buf_fini(&b);
}

/* A source_id that splits is what its parts make. */
static void check_source_id(struct pst_arena *a, pst_str id, struct pst_err *err)
{
    struct pst_buf b;
    pst_str parts[PARTS];
    size_t count = 0;
    if (pst_source_id_split(a, id, parts, PARTS, &count, err) != PST_OK)
        return;
    FUZZ_REQUIRE(count <= PARTS);
    pst_buf_init(&b, ARENA_BYTES);
    for (size_t i = 0; i < count; i++)
        pst_source_id_add(&b, parts[i], i == 0);
    FUZZ_REQUIRE(pst_str_eq(pst_buf_str(&b), id));
    pst_buf_fini(&b);
}

void pst_fuzz(pst_str bytes)
{
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    if (bytes.len > 4096)
        return;
    FUZZ_OK(pst_arena_new(&a, ARENA_BYTES, &err));
    size_t question = pst_str_index(bytes, '?');
    check_path(a, pst_str_sub(bytes, 0, question), &err);
    check_query(a, pst_str_sub(bytes, question + 1, bytes.len), &err);
    check_percent(a, bytes, &err);
    check_source_id(a, bytes, &err);
}
