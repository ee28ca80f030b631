/* tests/unit/connectors/peoplesoft/gateway.c: the gateway inside the test. */
#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "codec/tz.h"
#include "crypto/crypto.h"
#include "tests/unit/test.h"

/* Value of a parameter, not decoded. */
static pst_str parameter(pst_str url, const char *name)
{
    pst_str rest = pst_str_sub(url, pst_str_index(url, '?') + 1, url.len);
    while (rest.len) {
        pst_str pair = pst_str_split(&rest, '&');
        pst_str key = pst_str_split(&pair, '=');
        if (pst_str_is(key, name))
            return pair;
    }
    return (pst_str){0};
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Decoded, in a buffer that lives until the call after next. */
static pst_str decode(pst_str s)
{
    static char buffers[2][256];
    static unsigned turn;
    char *out = buffers[turn++ % 2];
    size_t n = 0;
    for (size_t i = 0; i < s.len && n < sizeof(buffers[0]); i++) {
        if (s.ptr[i] == '%' && i + 2 < s.len) {
            out[n++] = (char)(hex(s.ptr[i + 1]) * 16 + hex(s.ptr[i + 2]));
            i += 2;
        } else {
            out[n++] = s.ptr[i];
        }
    }
    return (pst_str){out, n};
}

static pst_str prompt(pst_str url, const char *name)
{
    pst_str names = parameter(url, "prompt_uniquepromptname");
    pst_str values = parameter(url, "prompt_fieldvalue");
    while (names.len) {
        pst_str value = pst_str_split(&values, ',');
        if (pst_str_is(pst_str_split(&names, ','), name))
            return decode(value);
    }
    return (pst_str){0};
}

static int number(pst_str s)
{
    int n = 0;
    for (size_t i = 0; i < s.len; i++)
        n = n * 10 + (s.ptr[i] - '0');
    return n;
}

static bool is_behind(const struct gateway_row *r, pst_str url)
{
    int order = pst_str_cmp(pst_str_from(r->unit), prompt(url, "LAST_BUSINESS_UNIT"));
    if (order == 0)
        order = pst_str_cmp(pst_str_from(r->order), prompt(url, "LAST_PO_ID"));
    if (order == 0)
        order = r->line - number(prompt(url, "LAST_LINE_NBR"));
    if (order == 0)
        order = r->schedule - number(prompt(url, "LAST_SCHED_NBR"));
    return order > 0;
}

static void put_member(struct pst_buf *b, const struct gateway *g, const char *name,
                       const char *value, bool is_text)
{
    if (g->without && strcmp(g->without, name) == 0)
        return;
    const char *shown = g->is_bare ? name + 2 : name;
    pst_buf_addf(b, is_text ? ",\"%s\":\"%s\"" : ",\"%s\":%s", shown, value);
}

static void put_row(struct pst_buf *b, const struct gateway *g, const struct gateway_row *r, int n)
{
    char digits[16];
    pst_buf_addf(b, "%s{\"attr:rownumber\":%d", n > 1 ? "," : "", n);
    put_member(b, g, "A.BUSINESS_UNIT", r->unit, true);
    put_member(b, g, "A.PO_ID", r->order, true);
    (void)snprintf(digits, sizeof(digits), "%d", r->line);
    put_member(b, g, "B.LINE_NBR", digits, false);
    (void)snprintf(digits, sizeof(digits), "%d", r->schedule);
    put_member(b, g, "C.SCHED_NBR", digits, false);
    put_member(b, g, "A.LAST_DTTM_UPDATE", r->stamp ? r->stamp : "2026-01-15-12.00.00.000000",
               true);
    if (r->extra)
        pst_buf_addf(b, "%s", r->extra);
    pst_buf_add_char(b, '}');
}

static void put_table(struct pst_buf *b, const struct gateway *g, pst_str url)
{
    unsigned max = (unsigned)number(parameter(url, "maxrows"));
    unsigned sent = 0;
    pst_buf_add_lit(b,
                    "{\"status\":\"success\",\"data\":{\"query\":{\"queryname=\":\"Q\",\"rows\":[");
    if (g->cap && g->cap < max)
        max = g->cap;
    for (size_t i = 0; i < g->row_count && sent < max; i++) {
        const struct gateway_row *r = &g->rows[g->is_descending ? g->row_count - 1 - i : i];
        if (g->ignores_prompts || is_behind(r, url))
            put_row(b, g, r, (int)++sent);
    }
    pst_buf_add_lit(b, "]}}}");
}

static pst_code reply(struct pst_arena *arena, struct pst_http_response *response, pst_str body,
                      struct pst_err *err)
{
    char *copy = NULL;
    PST_TRY(pst_arena_alloc(arena, &copy, body.len + PST_HTTP_PADDING, err));
    if (body.len)
        memcpy(copy, body.ptr, body.len);
    response->body = (pst_str){copy, body.len};
    return PST_OK;
}

static pst_code refuse(pst_code code, int status, struct pst_err *err)
{
    code = PST_FAIL(err, code, "'ps.example.com' answered HTTP %d", status);
    err->http_status = status;
    return code;
}

static pst_code answer(struct gateway *g, size_t call, pst_str url, struct pst_arena *arena,
                       struct pst_http_response *response, struct pst_err *err)
{
    for (size_t i = 0; i < g->answer_count; i++) {
        const struct gateway_answer *a = &g->answers[i];
        if (a->call != call)
            continue;
        response->date = pst_str_from(a->date);
        if (a->code != PST_OK)
            return refuse(a->code, a->http_status, err);
        return reply(arena, response, pst_str_from(a->body), err);
    }
    for (size_t i = 0; i < g->meta_count; i++) {
        if (!strstr(url.ptr, g->meta[i].part))
            continue;
        if (g->meta[i].code != PST_OK)
            return refuse(g->meta[i].code, g->meta[i].http_status, err);
        return reply(arena, response, pst_str_from(g->meta[i].body), err);
    }
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 64 << 20);
    put_table(&b, g, url);
    PST_TRY(pst_buf_check(&b, err));
    return reply(arena, response, pst_buf_str(&b), err);
}

pst_code gateway_call(void *self, const struct pst_http_request *request, struct pst_arena *arena,
                      struct pst_http_response *response, struct pst_err *err)
{
    struct gateway *g = self;
    size_t call = g->calls++;
    if (g->before)
        g->before(g, call);
    *response = (struct pst_http_response){.status = 200, .timing.total_us = 1000};
    (void)pst_str_copy(g->urls[call % GATEWAY_CALLS], sizeof(g->urls[0]), request->url);
    (void)pst_str_copy(g->user, sizeof(g->user), request->user);
    if (request->password)
        (void)pst_str_copy(g->password, sizeof(g->password), pst_secret_expose(request->password));
    return answer(g, call, request->url, arena, response, err);
}

static struct pst_manifest *manifest;

static void free_manifest(void)
{
    pst_manifest_free(manifest);
}

const struct pst_manifest *gateway_manifest(void)
{
    struct pst_err err;
    if (manifest)
        return manifest;
    assert_ok(pst_manifest_new(&manifest, &pst_peoplesoft_ops, &err));
    atexit(free_manifest);
    return manifest;
}

pst_code gateway_open(struct pst_connector **out, const char *config, const char *credentials,
                      struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    yyjson_doc *a = NULL;
    yyjson_doc *b = NULL;
    PST_TRY(pst_arena_new(&arena, 1 << 20, err));
    PST_TRY(pst_json_read(pst_str_from(config), NULL, arena, &a, err));
    PST_TRY(pst_json_read(pst_str_from(credentials), NULL, arena, &b, err));
    return pst_peoplesoft_ops.open(out, gateway_manifest(), yyjson_doc_get_root(a),
                                   yyjson_doc_get_root(b), err);
}

static struct pst_tz *zones[8];

static void free_zones(void)
{
    for (size_t i = 0; i < PST_COUNT(zones); i++)
        pst_tz_free(zones[i]);
}

const struct pst_tz *gateway_zone(const char *name)
{
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(zones); i++) {
        if (!zones[i]) {
            if (i == 0)
                atexit(free_zones);
            assert_ok(pst_tz_load(&zones[i], NULL, pst_str_from(name), &err));
        }
        if (pst_str_is(pst_tz_name(zones[i]), name))
            return zones[i];
    }
    abort();
}
