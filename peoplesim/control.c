/* peoplesim/control.c: the routes of the control port; state, counts, statistics, dump, account;
 * replaying the journal. */
#include "peoplesim/control.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/num.h"

enum { DUMP_PART = 256 << 10 };

struct control_route {
    enum pst_method method;
    const char *pattern;
    pst_handler_fn *handler;
};

static const struct control_route table[] = {
    {PST_METHOD_GET, "/sim/state", pst_sim_control_state},
    {PST_METHOD_GET, "/sim/status", pst_sim_control_state},
    {PST_METHOD_GET, "/sim/stats", pst_sim_control_stats},
    {PST_METHOD_DELETE, "/sim/stats", pst_sim_control_reset_stats},
    {PST_METHOD_GET, "/sim/dump", pst_sim_control_dump},
    {PST_METHOD_POST, "/sim/change", pst_sim_control_change},
    {PST_METHOD_GET, "/sim/clock", pst_sim_control_clock},
    {PST_METHOD_POST, "/sim/clock", pst_sim_control_set_clock},
    {PST_METHOD_GET, "/sim/faults", pst_sim_control_faults},
    {PST_METHOD_POST, "/sim/faults", pst_sim_control_add_fault},
    {PST_METHOD_DELETE, "/sim/faults", pst_sim_control_remove_faults},
    {PST_METHOD_DELETE, "/sim/faults/{id}", pst_sim_control_remove_faults},
    {PST_METHOD_GET, "/sim/latency", pst_sim_control_latency},
    {PST_METHOD_POST, "/sim/latency", pst_sim_control_set_latency},
    {PST_METHOD_POST, "/sim/account", pst_sim_control_set_account},
};
_Static_assert(PST_COUNT(table) <= PST_SIM_CONTROL_ROUTES, "room for all routes");

size_t pst_sim_control_routes(struct pst_sim_control *c, struct pst_route *routes)
{
    for (size_t i = 0; i < PST_COUNT(table); i++)
        routes[i] = (struct pst_route){table[i].method, table[i].pattern, table[i].handler, c, 0};
    return PST_COUNT(table);
}

void pst_sim_control_fail(const struct pst_err *err, struct pst_response *res)
{
    res->status = pst_code_http(err->code);
    pst_response_header(res, "Content-Type", PST_STR("application/json"));
    pst_buf_addf(&res->body, "{\"error\":\"%s\",\"param\":", pst_code_name(err->code));
    pst_sim_json_quote(&res->body, pst_str_from(err->param));
    pst_buf_add_lit(&res->body, ",\"message\":");
    pst_sim_json_quote(&res->body, pst_str_from(err->msg));
    pst_buf_add_lit(&res->body, "}\n");
}

/* ---- state ---- */

static void put_settings(const struct pst_sim_settings *s, struct pst_buf *out)
{
    char epoch[PST_WALL_TEXT];
    (void)pst_wall_format(epoch, (pst_wall){s->epoch_us});
    pst_buf_addf(out,
                 "{\"seed\":%" PRIu64 ",\"orders\":%" PRIu64
                 ",\"lines\":[%u,%u],\"schedules\":[%u,%u],"
                 "\"epoch\":\"%s\",\"history_s\":%" PRId64 ",\"odd\":%s}",
                 s->seed, s->orders, s->lines_min, s->lines_max, s->schedules_min, s->schedules_max,
                 epoch, s->history_us / 1000000, s->odd ? "true" : "false");
}

pst_code pst_sim_control_state(void *self, struct pst_request *req, struct pst_response *res,
                               struct pst_err *err)
{
    (void)req, (void)err;
    struct pst_sim_control *c = self;
    struct pst_sim_gateway *g = c->gateway;
    struct pst_buf *out = &res->body;
    pst_buf_add_lit(out, "{\"settings\":");
    put_settings(&pst_sim_engine_world(g->engine)->settings, out);
    pst_buf_add_lit(out, ",\"clock\":");
    pst_sim_clock_json(c, out);
    pst_buf_addf(out, ",\"node\":\"%s\",\"user\":", g->node);
    pst_sim_json_quote(out, pst_str_from(g->account.user));
    pst_buf_addf(out, ",\"locked\":%s,\"changed\":%" PRIu64 ",\"queries\":{",
                 pst_sim_account_is_locked(&g->account) ? "true" : "false",
                 pst_sim_engine_changed(g->engine));
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT; i++) {
        const struct pst_sim_query *q = &pst_sim_queries[i];
        uint64_t docs = 0;
        uint64_t rows = 0;
        pst_sim_engine_count(g->engine, q, PST_SIM_ALL_TIMES, &docs, &rows);
        pst_buf_addf(out,
                     "%s\"%s\":{\"entity\":\"%s\",\"documents\":%" PRIu64 ",\"rows\":%" PRIu64 "}",
                     i ? "," : "", q->name, q->entity_name, docs, rows);
    }
    pst_buf_add_lit(out, "}}\n");
    return PST_OK;
}

pst_code pst_sim_control_stats(void *self, struct pst_request *req, struct pst_response *res,
                               struct pst_err *err)
{
    (void)req, (void)err;
    pst_sim_stats_json(&((struct pst_sim_control *)self)->gateway->stats, &res->body);
    return PST_OK;
}

pst_code pst_sim_control_reset_stats(void *self, struct pst_request *req, struct pst_response *res,
                                     struct pst_err *err)
{
    (void)req, (void)err;
    pst_sim_stats_reset(&((struct pst_sim_control *)self)->gateway->stats);
    res->status = 204;
    return PST_OK;
}

/* ---- dump ---- */

struct dump {
    struct pst_sim_engine *engine;
    struct pst_sim_select select; /* `after` moves on */
};

static pst_code pull_dump(void *self, struct pst_buf *out, bool *end, struct pst_err *err)
{
    struct dump *d = self;
    struct pst_sim_selected got;
    PST_TRY(pst_sim_engine_dump(d->engine, &d->select, DUMP_PART, out, &got, err));
    *end = got.is_end;
    if (got.rows)
        d->select.after = got.last;
    return PST_OK;
}

static pst_code read_moment(pst_str text, const char *name, int64_t *out, struct pst_err *err)
{
    if (text.len && !pst_sim_dttm_read(out, text))
        return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' must be YYYY-MM-DD-HH.MI.SS.FFFFFF",
                           name);
    return PST_OK;
}

static pst_code read_dump(const struct pst_query_item *item, struct pst_sim_select *q,
                          struct pst_err *err)
{
    static const char *const modes[] = {"code", "short", "long"};
    if (pst_str_is(item->name, "query")) {
        q->query = pst_sim_find_query(item->value);
    } else if (pst_str_is(item->name, "from")) {
        return read_moment(item->value, "from", &q->window.from, err);
    } else if (pst_str_is(item->name, "to")) {
        return read_moment(item->value, "to", &q->window.to, err);
    } else if (pst_str_is(item->name, "asof")) {
        if (item->value.len && !pst_sim_date_read(&q->asof_day, item->value))
            return PST_FAIL_AT(err, PST_E_INVALID, "asof", "'asof' must be YYYY-MM-DD");
    } else if (pst_str_is(item->name, "translate")) {
        for (size_t i = 0; i < PST_COUNT(modes); i++)
            if (pst_str_is(item->value, modes[i]))
                q->xlat = (enum pst_sim_xlat_mode)i;
    } else {
        return PST_FAIL_AT(err, PST_E_INVALID, "parameter", "'%.*s' is not known here",
                           PST_STR_ARG(item->name));
    }
    return PST_OK;
}

pst_code pst_sim_control_dump(void *self, struct pst_request *req, struct pst_response *res,
                              struct pst_err *err)
{
    struct pst_sim_gateway *g = ((struct pst_sim_control *)self)->gateway;
    struct pst_query_item *items = NULL;
    size_t count = 0;
    struct dump *d = NULL;
    PST_TRY(pst_arena_alloc(req->arena, &d, sizeof(*d), err));
    PST_TRY(pst_query_parse(req->arena, req->query, &items, &count, err));
    d->engine = g->engine;
    d->select = (struct pst_sim_select){.window = PST_SIM_ALL_TIMES,
                                        .after = PST_SIM_FROM_START,
                                        .asof_day = PST_SIM_NO_TIME,
                                        .columns = PST_SIM_ALL_COLUMNS,
                                        .xlat = g->xlat};
    for (size_t i = 0; i < count; i++)
        PST_TRY(read_dump(&items[i], &d->select, err));
    if (!d->select.query)
        return PST_FAIL_AT(err, PST_E_INVALID, "query", "'query' must name a query");
    pst_response_header(res, "Content-Type", PST_STR("application/x-ndjson"));
    res->pull = pull_dump;
    res->pull_self = d;
    return PST_OK;
}

/* ---- account ---- */

pst_code pst_sim_control_set_account(void *self, struct pst_request *req, struct pst_response *res,
                                     struct pst_err *err)
{
    static const char *const members[] = {"password", "locked", NULL};
    struct pst_sim_account *a = &((struct pst_sim_control *)self)->gateway->account;
    PST_AUTO(sim_json) yyjson_doc *doc = NULL;
    pst_str password = {0};
    PST_TRY(pst_sim_json_read(req->body, &doc, err));
    yyjson_val *body = yyjson_doc_get_root(doc);
    bool is_locked = pst_sim_account_is_locked(a);
    PST_TRY(pst_sim_json_only(body, members, err));
    PST_TRY(pst_sim_json_str(body, "password", &password, err));
    PST_TRY(pst_sim_json_bool(body, "locked", &is_locked, err));
    if (password.len && !pst_sim_account_set_password(a, password))
        return PST_FAIL_AT(err, PST_E_INVALID, "password", "'password' must have 1 to %d bytes",
                           PST_SIM_ACCOUNT_TEXT - 1);
    pst_sim_account_set_locked(a, is_locked);
    pst_buf_addf(&res->body, "{\"locked\":%s}\n", is_locked ? "true" : "false");
    return PST_OK;
}

/* ---- the journal ---- */

pst_code pst_sim_control_replay(struct pst_sim_control *c, pst_str line, struct pst_err *err)
{
    PST_AUTO(sim_json) yyjson_doc *doc = NULL;
    PST_AUTO(buf) struct pst_buf answer = {.max = 1 << 20};
    int64_t at = 0;
    int64_t seed = 0;
    pst_str op = {0};
    PST_TRY(pst_sim_json_read(line, &doc, err));
    yyjson_val *root = yyjson_doc_get_root(doc);
    PST_TRY(pst_sim_json_str(root, "op", &op, err));
    if (pst_str_is(op, "clock"))
        return pst_sim_clock_replay(c, root, err);
    PST_TRY(pst_sim_json_int(root, "at", INT64_MIN, INT64_MAX, &at, err));
    PST_TRY(pst_sim_json_int(root, "seed", 0, INT64_MAX, &seed, err));
    /* The body stands last, as it came: from behind its name to the closing brace. */
    const char *body = strstr(line.ptr, "\"body\":");
    if (!pst_str_is(op, "change") || !body || body >= line.ptr + line.len || at == 0)
        return PST_FAIL(err, PST_E_CORRUPT, "the state file has a line that is no operation");
    body += strlen("\"body\":");
    pst_str text = {body, (size_t)(line.ptr + line.len - 1 - body)};
    return pst_sim_change_apply(c, text, (uint64_t)seed, at, &answer, err);
}
