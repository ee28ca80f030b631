/* connectors/peoplesoft/adapter.c: the operations of the connector. */
#include "connectors/peoplesoft/peoplesoft.h"

#include "base/alloc.h"
#include "codec/json.h"
#include "codec/timestamp.h"
#include "connectors/peoplesoft/check.h"
#include "connectors/peoplesoft/fetch.h"
#include "connectors/peoplesoft/meta.h"
#include "connectors/peoplesoft/reader.h"
#include "connectors/peoplesoft/request.h"
#include "crypto/crypto.h"
#include "pack_manifest.h"

enum { SELF_BYTES = 4 << 20, CALL_BYTES = 4 << 20 };

/* The message catalog's numbers stay the same in every language. */
static const struct pst_connector_phrase PHRASES[] = {
    {"(158,45)", PST_E_REAUTH, "the user id or the password is wrong (message 158,45)"},
    {"(158,55)", PST_E_REAUTH,
     "the user id is not known, or that of the node ANONYMOUS is broken (message 158,55)"},
    {"(158,536)", PST_E_SYSTEM_DENIED,
     "the user's permission lists do not have this web service (message 158,536)"},
    {"(158,10721)", PST_E_UNREACHABLE,
     "the integration gateway does not reach the application server (message 158,10721)"},
    {"errorCode=105", PST_E_REAUTH, "the sign-on page says that user id or password is wrong"},
};

static void close_self(struct pst_connector *self)
{
    if (!self)
        return;
    pst_secret_free(self->password);
    pst_arena_free(self->arena);
    pst_free(self);
}
PST_DEFINE_AUTO(self, struct pst_connector, close_self);

/* ".../PSIGW/RESTListeningConnector/NODE/"; a base that already names the listening connector is
 * what administrators often copy, so it is taken too. */
static pst_code build_services(struct pst_connector *self, pst_str base, pst_str node,
                               struct pst_err *err)
{
    static const char *const KNOWN[] = {"/RESTListeningConnector", "/PSIGW"};
    pst_str lead = PST_STR("/PSIGW");
    while (pst_str_ends(base, PST_STR("/")))
        base.len--;
    if (pst_str_ends(base, node) && base.len > node.len &&
        base.ptr[base.len - node.len - 1] == '/' &&
        pst_str_ends(pst_str_sub(base, 0, base.len - node.len - 1), pst_str_from(KNOWN[0])))
        base.len -= node.len + 1;
    for (size_t i = 0; i < PST_COUNT(KNOWN); i++)
        if (pst_str_ends(base, pst_str_from(KNOWN[i])))
            base.len -= strlen(KNOWN[i]);
    return pst_arena_printf(self->arena, &self->services, err,
                            "%.*s%.*s/RESTListeningConnector/%.*s/", PST_STR_ARG(base),
                            PST_STR_ARG(lead), PST_STR_ARG(node));
}

static pst_code read_clock_option(struct pst_connector *self, yyjson_val *config,
                                  struct pst_err *err)
{
    yyjson_val *clock = pst_json_get(self->manifest->adapter, PST_STR("clock"));
    yyjson_val *names = pst_json_get(config, PST_STR("queries"));
    pst_str query = {0};
    PST_TRY(pst_json_need_str(clock, "query", &query, err));
    PST_TRY(pst_json_need_str(clock, "column", &self->clock_column, err));
    (void)pst_json_str(pst_json_get(names, PST_STR("clock")), &query);
    return pst_arena_dup(self->arena, &self->clock_query, query, err);
}

/* Names of streams in `queries` and `columns`. */
static pst_code check_names(const struct pst_connector *self, yyjson_val *config,
                            const char *option, struct pst_err *err)
{
    yyjson_val *map = pst_json_get(config, pst_str_from(option));
    yyjson_obj_iter it;
    yyjson_val *key;
    if (!yyjson_is_obj(map))
        return PST_OK;
    yyjson_obj_iter_init(map, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        pst_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        bool is_clock = pst_str_is(name, "clock") && strcmp(option, "queries") == 0;
        if (!is_clock && !pst_manifest_stream(self->manifest, name))
            return PST_FAIL_AT(err, PST_E_INVALID, "config", "config.%s: there is no stream '%.*s'",
                               option, PST_STR_ARG(pst_str_sub(name, 0, 64)));
    }
    return PST_OK;
}

static pst_code read_config(struct pst_connector *self, yyjson_val *config, yyjson_val *credentials,
                            struct pst_err *err)
{
    const struct pst_manifest *m = self->manifest;
    struct pst_arena *a = self->arena;
    PST_TRY(check_names(self, config, "queries", err));
    PST_TRY(check_names(self, config, "columns", err));
    PST_TRY(build_services(self, pst_option_str(m, config, "base_url"),
                           pst_option_str(m, config, "node"), err));
    PST_TRY(pst_arena_dup(a, &self->owner, pst_option_str(m, config, "owner"), err));
    PST_TRY(pst_arena_dup(a, &self->ca_pem, pst_option_str(m, config, "ca_pem"), err));
    PST_TRY(pst_arena_dup(a, &self->user, pst_option_str(m, credentials, "username"), err));
    PST_TRY(pst_secret_new(&self->password, pst_option_str(m, credentials, "password"), err));
    self->is_unverified = !pst_option_bool(m, config, "tls_verify");
    self->page_size = (uint32_t)pst_option_i64(m, config, "page_size");
    self->timeout_ms = pst_option_ms(m, config, "timeout");
    PST_TRY(read_clock_option(self, config, err));
    return pst_ps_streams_build(self, config, err);
}

static pst_code open_self(struct pst_connector **out, const struct pst_manifest *manifest,
                          yyjson_val *config, yyjson_val *credentials, struct pst_err *err)
{
    void *p = NULL;
    if (!config || !credentials)
        return PST_FAIL(err, PST_E_INVALID, "config or credentials are missing");
    PST_TRY(pst_manifest_check(manifest, config, credentials, err));
    PST_TRY(pst_new(&p, sizeof(struct pst_connector), err));
    PST_AUTO(self) struct pst_connector *self = p;
    self->manifest = manifest;
    PST_TRY(pst_arena_new(&self->arena, SELF_BYTES, err));
    PST_TRY(read_config(self, config, credentials, err));
    *out = PST_TAKE(self);
    return PST_OK;
}

static pst_code probe(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                      struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_http_response response;
    pst_str url = {0};
    PST_TRY(pst_arena_new(&arena, CALL_BYTES, err));
    PST_TRY(pst_ps_url_list(self, self->clock_query, arena, &url, err));
    return pst_ps_get(self, ctx, url, PST_EXPECT_JSON, arena, &response, err);
}

pst_code pst_ps_read_clock(const struct pst_connector *self, const struct pst_connector_ctx *ctx,
                           struct pst_arena *arena, pst_wall *out, pst_str *date,
                           struct pst_err *err)
{
    struct pst_http_response response = {0};
    struct pst_ps_rows rows = {.arena = arena};
    struct pst_stamp stamp;
    size_t added = 0;
    pst_str url = {0};
    PST_TRY(pst_ps_url_query(self, self->clock_query, 1, arena, &url, err));
    pst_code code = pst_ps_get(self, ctx, url, PST_EXPECT_JSON, arena, &response, err);
    *date = response.date;
    PST_TRY(code);
    PST_TRY(pst_ps_rows_read(&rows, response.body, &added, err));
    int column = pst_ps_rows_column(&rows, self->clock_column);
    if (column < 0 && rows.column_count == 1)
        column = 0; /* an expression's name is easily lost */
    if (added == 0 || column < 0 || !pst_stamp_parse(&stamp, rows.cells[column].text))
        return PST_FAIL(err, PST_E_SYSTEM, "query '%.*s' does not return a date-time in '%.*s'",
                        PST_STR_ARG(self->clock_query), PST_STR_ARG(self->clock_column));
    *out = pst_stamp_to_wall(&stamp, ctx->zone, NULL);
    return PST_OK;
}

static pst_code source_now(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                           pst_wall *out, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    pst_str date = {0};
    struct pst_err problem;
    PST_TRY(pst_arena_new(&arena, CALL_BYTES, err));
    pst_code code = pst_ps_read_clock(self, ctx, arena, out, &date, &problem);
    /* Without the clock query the web server's clock has to do. */
    if ((code == PST_E_SYSTEM || code == PST_E_SYSTEM_DENIED) && pst_http_date_parse(out, date))
        return PST_OK;
    if (code != PST_OK)
        *err = problem;
    return code;
}

const struct pst_connector_ops pst_peoplesoft_ops = {
    .name = "peoplesoft",
    .manifest_yaml = PST_PS_MANIFEST,
    .manifest_len = PST_PS_MANIFEST_LEN,
    .phrases = PHRASES,
    .phrase_count = PST_COUNT(PHRASES),
    .open = open_self,
    .probe = probe,
    .test = pst_ps_check,
    .source_now = source_now,
    .fetch = pst_ps_fetch,
    .describe = pst_ps_describe,
    .close = close_self,
};
