/* tests/unit/connectors/peoplesoft/check_test.c: what test() finds and what it tells the
 * administrator to do. */
#include "../../test.h"

#include <stdio.h>

#include "connectors/peoplesoft/pack.h"
#include "crypto/crypto.h"
#include "gateway.h"

#define CONFIG "{\"base_url\":\"https://ps.example.com\"}"
#define EMPTY "{\"status\":\"success\",\"data\":{\"query\":{\"numrows\":0,\"rows\":[]}}}"
#define CLOCK                                                                                      \
    "{\"status\":\"success\",\"data\":{\"query\":{\"rows\":[{\"CURRENT_DTTM\":"                    \
    "\"2026-07-01-12.00.00.000000\"}]}}}"
#define LIST(items) "{\"QAS_LISTQUERY_RESP_MSG\":{\"QAS_LISTQUERY_RESP\":" items "}}"
#define LISTED(name) "{\"PTQASWRK\":{\"attr:class\":\"R\",\"QueryName\":\"" name "\"}}"

static const struct gateway_row ROWS[] = {{"US001", "1", 1, 1, NULL, NULL},
                                          {"US001", "2", 1, 1, NULL, NULL},
                                          {"US001", "3", 1, 1, NULL, NULL}};

/* QueryFields and QueryPrompts of the installed query, as the pack has it but for one thing. */
struct installed {
    const char *no_column, *renamed_to; /* a column that is missing, or has another name */
    const char *number_column; /* a column that became a number */
    const char *no_prompt, *extra_prompt;
};

static char fields[16384], prompts[4096];

static void install(const struct installed *i)
{
    const struct pst_ps_query *q = pst_ps_pack_find(PST_STR("PST_PURCHASE_ORDERS"));
    static const struct {
        char kind;
        const char *type;
    } TYPES[] = {{'C', "Character"}, {'N', "Number"},   {'S', "Signed Number"},
                 {'D', "Date"},      {'T', "Datetime"}, {'L', "Long Character"}};
    size_t n =
        (size_t)snprintf(fields, sizeof(fields),
                         "{\"QAS_LISTQUERYFIELDS_RESP_MSG\":{\"QAS_LISTQUERYFIELDS_RESP\":[{}");
    for (size_t c = 0; c < q->column_count; c++) {
        const char *name = q->columns[c].name.ptr;
        const char *type = "";
        for (size_t k = 0; k < PST_COUNT(TYPES); k++)
            if (TYPES[k].kind == q->columns[c].kind)
                type = TYPES[k].type;
        if (i->no_column && strcmp(name, i->no_column) == 0) {
            if (!i->renamed_to)
                continue;
            name = i->renamed_to;
        }
        if (i->number_column && strcmp(name, i->number_column) == 0)
            type = "Number";
        n += (size_t)snprintf(fields + n, sizeof(fields) - n,
                              ",{\"PTQASWRK\":{\"ColumnNumber\":%zu,\"FieldType\":\"%s\","
                              "\"UniqueFieldName\":\"%s\"}}",
                              c + 1, type, name);
    }
    (void)snprintf(fields + n, sizeof(fields) - n, "]}}");
    n = (size_t)snprintf(prompts, sizeof(prompts),
                         "{\"QAS_LISTQUERYPROMPTS_RESP_MSG\":{\"QAS_LISTQUERYPROMPTS_RESP\":[{}");
    for (size_t p = 0; p < q->prompt_count; p++)
        if (!i->no_prompt || strcmp(q->prompts[p].name.ptr, i->no_prompt) != 0)
            n += (size_t)snprintf(prompts + n, sizeof(prompts) - n,
                                  ",{\"PTQASWRK\":{\"UniquePromptName\":\"%s\"}}",
                                  q->prompts[p].name.ptr);
    if (i->extra_prompt)
        n += (size_t)snprintf(prompts + n, sizeof(prompts) - n,
                              ",{\"PTQASWRK\":{\"UniquePromptName\":\"%s\"}}", i->extra_prompt);
    (void)snprintf(prompts + n, sizeof(prompts) - n, "]}}");
}

struct outcome {
    struct pst_checks checks;
    struct gateway gateway;
    struct pst_arena *arena;
};

static void run(struct outcome *o, const char *config, const struct gateway_meta *meta,
                size_t count)
{
    struct pst_connector *self = NULL;
    struct pst_err err;
    const struct pst_stream *stream =
        pst_manifest_stream(gateway_manifest(), PST_STR("purchase_orders"));
    o->gateway.rows = o->gateway.rows ? o->gateway.rows : ROWS;
    o->gateway.row_count = PST_COUNT(ROWS);
    o->gateway.meta = meta;
    o->gateway.meta_count = count;
    const struct pst_connector_ctx ctx = {
        .call = gateway_call, .self = &o->gateway, .zone = gateway_zone("UTC")};
    assert_ok(pst_arena_new(&o->arena, 8 << 20, &err));
    assert_ok(gateway_open(&self, config, GATEWAY_CREDENTIALS, &err));
    assert_ok(pst_peoplesoft_ops.test(self, &ctx, &stream, 1, o->arena, &o->checks, &err));
    pst_peoplesoft_ops.close(self);
}

/* "+name" for good findings, "-name" for others; what the last bad one says and advises. */
static void summary(const struct outcome *o, char *out, size_t size, pst_str *detail, pst_str *fix)
{
    size_t n = 0;
    out[0] = '\0';
    *detail = *fix = (pst_str){0};
    for (size_t i = 0; i < o->checks.count; i++) {
        const struct pst_check *c = &o->checks.items[i];
        n +=
            (size_t)snprintf(out + n, size - n, "%c%.*s;", c->ok ? '+' : '-', PST_STR_ARG(c->name));
        assert_true(c->detail.len > 0);
        assert_int_equal(c->fix.len == 0, c->ok);
        assert_int_equal(c->code == PST_OK, c->ok);
        if (!c->ok) {
            *detail = c->detail;
            *fix = c->fix;
        }
    }
}

#define Q "PST_PURCHASE_ORDERS"
#define HEAD "+address;+credentials;+clock;"
#define ALL_GOOD HEAD "+query " Q ";+columns of " Q ";+prompts of " Q ";+rows of " Q ";"
#define GOOD_LIST {.part = "ListQuery", .body = LIST("[" LISTED("OTHER") "," LISTED(Q) "]")}
#define GOOD_CLOCK {.part = "/PST_CLOCK/", .body = CLOCK}
#define GOOD_FIELDS {.part = "QueryFields", .body = fields}
#define GOOD_PROMPTS {.part = "QueryPrompts", .body = prompts}

static const struct {
    const char *what, *config;
    struct installed installed;
    struct gateway_meta meta[5];
    const char *checks, *detail, *fix;
} CASES[] = {
    {"all is well",
     CONFIG,
     {0},
     {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     ALL_GOOD,
     "",
     ""},
    {"one query listed as an object",
     CONFIG,
     {0},
     {{.part = "ListQuery", .body = LIST(LISTED(Q))}, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     ALL_GOOD,
     "",
     ""},
    {"no query installed",
     CONFIG,
     {0},
     {{.part = "ListQuery", .body = "{\"QAS_LISTQUERY_RESP_MSG\":{}}"}, GOOD_CLOCK},
     HEAD "-query " Q ";",
     "no public query '" Q "'",
     "Query Manager"},
    {"the query under another name",
     "{\"base_url\":\"https://h\",\"queries\":{\"purchase_orders\":\"OTHER\"}}",
     {0},
     {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     HEAD "+query OTHER;+columns of OTHER;+prompts of OTHER;+rows of OTHER;",
     "",
     ""},
    {"the list may not be asked",
     CONFIG,
     {0},
     {{.part = "ListQuery", .code = PST_E_SYSTEM_DENIED, .http_status = 403},
      GOOD_CLOCK,
      GOOD_FIELDS,
      GOOD_PROMPTS},
     "+address;-list of queries;+clock;+columns of " Q ";+prompts of " Q ";+rows of " Q ";",
     "HTTP 403",
     "QAS_LISTQUERY_REST_GET"},
    {"no clock query",
     CONFIG,
     {0},
     {GOOD_LIST,
      {.part = "/PST_CLOCK/", .code = PST_E_SYSTEM, .http_status = 500},
      GOOD_FIELDS,
      GOOD_PROMPTS},
     ALL_GOOD,
     "",
     ""},
    {"a column is missing",
     CONFIG,
     {.no_column = "C.QTY_PO"},
     {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     HEAD "+query " Q ";-columns of " Q ";+prompts of " Q ";+rows of " Q ";",
     "has no column 'C.QTY_PO'",
     "option `columns`"},
    {"a renamed column",
     "{\"base_url\":\"https://h\",\"columns\":{\"purchase_orders\":{\"C.QTY_PO\":\"X.QTY\"}}}",
     {.no_column = "C.QTY_PO", .renamed_to = "X.QTY"},
     {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     ALL_GOOD,
     "",
     ""},
    {"a column without alias",
     CONFIG,
     {.no_column = "C.QTY_PO", .renamed_to = "QTY_PO"},
     {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     ALL_GOOD,
     "",
     ""},
    {"an ambiguous column without alias",
     CONFIG,
     {.no_column = "C.CANCEL_STATUS", .renamed_to = "CANCEL_STATUS"},
     {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     HEAD "+query " Q ";-columns of " Q ";+prompts of " Q ";+rows of " Q ";",
     "'C.CANCEL_STATUS'",
     ""},
    {"a column of another type",
     CONFIG,
     {.number_column = "A.PO_ID"},
     {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     HEAD "+query " Q ";-columns of " Q ";+prompts of " Q ";+rows of " Q ";",
     "'A.PO_ID' is Number",
     "query pack"},
    {"a prompt is missing",
     CONFIG,
     {.no_prompt = "LAST_SCHED_NBR"},
     {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     HEAD "+query " Q ";+columns of " Q ";-prompts of " Q ";+rows of " Q ";",
     "has no prompt 'LAST_SCHED_NBR'",
     "unique prompt name"},
    {"a prompt too many",
     CONFIG,
     {.extra_prompt = "BIND7"},
     {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS},
     HEAD "+query " Q ";+columns of " Q ";-prompts of " Q ";+rows of " Q ";",
     "not in the pack: 'BIND7'",
     ""},
    {"a naked 500 on reading",
     CONFIG,
     {0},
     {GOOD_LIST,
      GOOD_CLOCK,
      GOOD_FIELDS,
      GOOD_PROMPTS,
      {.part = "ExecuteQuery", .code = PST_E_SYSTEM, .http_status = 500}},
     HEAD "+query " Q ";+columns of " Q ";+prompts of " Q ";-rows of " Q ";",
     "HTTP 500",
     "service system status is Production"},
    {"wrong node",
     CONFIG,
     {0},
     {{.part = "/PSIGW/", .code = PST_E_SYSTEM, .http_status = 404}},
     "+address;-list of queries;+clock;-columns of " Q ";",
     "HTTP 404",
     "default local node"},
    {"refused",
     CONFIG,
     {0},
     {{.part = "/PSIGW/", .code = PST_E_REAUTH, .http_status = 401}},
     "+address;-credentials;",
     "HTTP 401",
     "User Profiles"},
    {"refused later",
     CONFIG,
     {0},
     {GOOD_LIST, GOOD_CLOCK, {.part = "/PSIGW/", .code = PST_E_REAUTH, .http_status = 401}},
     HEAD "+query " Q ";-columns of " Q ";",
     "HTTP 401",
     "User Profiles"},
    {"unreachable",
     CONFIG,
     {0},
     {{.part = "/PSIGW/", .code = PST_E_UNREACHABLE}},
     "-address;",
     "HTTP 0",
     "firewall"},
    {"a portal in front",
     CONFIG,
     {0},
     {{.part = "/PSIGW/", .code = PST_E_FOREIGN_PAGE, .http_status = 200}},
     "-address;",
     "HTTP 200",
     "/psp"},
    {"an address that is not allowed",
     CONFIG,
     {0},
     {{.part = "/PSIGW/", .code = PST_E_EGRESS}},
     "-address;",
     "",
     "system_ranges"},
};

static void every_fault_is_found_and_advised_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct outcome o = {0};
        char found[512];
        pst_str detail;
        pst_str fix;
        size_t count = 0;
        while (count < PST_COUNT(CASES[i].meta) && CASES[i].meta[count].part)
            count++;
        install(&CASES[i].installed);
        run(&o, CASES[i].config, CASES[i].meta, count);
        summary(&o, found, sizeof(found), &detail, &fix);
        if (strcmp(found, CASES[i].checks) != 0)
            fail_msg("%s: %s (%.*s)", CASES[i].what, found, PST_STR_ARG(detail));
        if (CASES[i].detail[0] && !strstr(detail.ptr, CASES[i].detail))
            fail_msg("%s: %.*s", CASES[i].what, PST_STR_ARG(detail));
        if (CASES[i].fix[0] && !strstr(fix.ptr, CASES[i].fix))
            fail_msg("%s: %.*s", CASES[i].what, PST_STR_ARG(fix));
        pst_arena_free(o.arena);
    }
}

static void refused_credentials_are_tried_once(void **state)
{
    (void)state;
    static const struct gateway_meta META[] = {
        {.part = "/PSIGW/", .code = PST_E_REAUTH, .http_status = 401}};
    struct outcome o = {0};
    run(&o, CONFIG, META, 1);
    assert_int_equal(o.gateway.calls, 1);
    pst_arena_free(o.arena);
}

static void prompts_without_effect_are_found(void **state)
{
    (void)state;
    static const struct gateway_meta META[] = {GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS};
    struct outcome o = {.gateway.ignores_prompts = true};
    char found[512];
    pst_str detail;
    pst_str fix;
    install(&(struct installed){0});
    run(&o, CONFIG, META, PST_COUNT(META));
    summary(&o, found, sizeof(found), &detail, &fix);
    assert_non_null(strstr(found, "-rows of " Q ";"));
    assert_non_null(strstr(detail.ptr, "does not heed its prompts"));
    pst_arena_free(o.arena);
}

static void an_empty_table_is_no_fault_but_said(void **state)
{
    (void)state;
    static const struct gateway_meta META[] = {
        GOOD_LIST, GOOD_CLOCK, GOOD_FIELDS, GOOD_PROMPTS, {.part = "ExecuteQuery", .body = EMPTY}};
    struct outcome o = {0};
    install(&(struct installed){0});
    run(&o, CONFIG, META, PST_COUNT(META));
    const struct pst_check *last = &o.checks.items[o.checks.count - 1];
    assert_true(last->ok);
    assert_non_null(strstr(last->detail.ptr, "row-level security"));
    pst_arena_free(o.arena);
}

static void our_own_trouble_is_no_finding(void **state)
{
    (void)state;
    static const struct gateway_meta META[] = {{.part = "/PSIGW/", .code = PST_E_CANCELLED}};
    struct gateway g = {.meta = META, .meta_count = 1};
    const struct pst_connector_ctx ctx = {
        .call = gateway_call, .self = &g, .zone = gateway_zone("UTC")};
    struct pst_connector *self = NULL;
    struct pst_arena *arena = NULL;
    struct pst_checks checks = {0};
    struct pst_err err;
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    assert_ok(gateway_open(&self, CONFIG, GATEWAY_CREDENTIALS, &err));
    assert_code(pst_peoplesoft_ops.test(self, &ctx, NULL, 0, arena, &checks, &err),
                PST_E_CANCELLED);
    pst_peoplesoft_ops.close(self);
    pst_arena_free(arena);
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_is_found_and_advised_on),
        cmocka_unit_test(refused_credentials_are_tried_once),
        cmocka_unit_test(prompts_without_effect_are_found),
        cmocka_unit_test(an_empty_table_is_no_fault_but_said),
        cmocka_unit_test(our_own_trouble_is_no_finding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
