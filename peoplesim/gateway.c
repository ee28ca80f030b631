/* peoplesim/gateway.c: one call from request to answer: who asks, what fires, which service. */
#include "peoplesim/gateway.h"

#define REST "/PSIGW/RESTListeningConnector/{node}/"

typedef pst_code service_fn(struct pst_sim_call *call, struct pst_request *req,
                            struct pst_response *res, struct pst_err *err);

struct service {
    const char *name;
    const char *pattern;
    service_fn *answer;
};

static const struct service services[PST_SIM_GATEWAY_ROUTES] = {
    {"ExecuteQuery", REST "ExecuteQuery.v1/{owner}/{query}/{type}/{format}", pst_sim_execute},
    {"ListQuery", REST "ListQuery.v1/{owner}/listquery", pst_sim_list_queries},
    {"QueryFields", REST "QueryFields.v1/{owner}/{query}", pst_sim_list_fields},
    {"QueryPrompts", REST "QueryPrompts.v1/{owner}/{query}", pst_sim_list_prompts},
};

static const struct service *service_of(const struct pst_request *req)
{
    for (size_t i = 0; i < PST_SIM_GATEWAY_ROUTES; i++)
        if (strcmp(req->route->pattern, services[i].pattern) == 0)
            return &services[i];
    return &services[0];
}

pst_str pst_sim_param(const struct pst_sim_call *call, const char *name)
{
    for (size_t i = 0; i < call->item_count; i++)
        if (pst_str_is(call->items[i].name, name))
            return call->items[i].value;
    return (pst_str){0};
}

static bool is_yes_or_no(pst_str text)
{
    return pst_str_eq_nocase(text, PST_STR("Y")) || pst_str_eq_nocase(text, PST_STR("N"));
}

/* What holds for every service before its own work. false: res has the answer. */
static bool admit(struct pst_sim_call *call, const struct pst_request *req,
                  struct pst_response *res)
{
    struct pst_sim_gateway *g = call->gateway;
    if (call->effects.answer != PST_SIM_FAULT_NONE) {
        if (call->effects.answer == PST_SIM_FAULT_401 ||
            call->effects.answer == PST_SIM_FAULT_IB_158_45)
            g->stats.refused_logins++;
        pst_sim_fail_as(call->effects.answer, res);
        return false;
    }
    if (!pst_sim_account_admits(&g->account, pst_request_header(req, "Authorization", NULL))) {
        g->stats.refused_logins++;
        pst_sim_fail_login(res);
        return false;
    }
    if (!pst_str_is(pst_request_param(req, "node"), g->node)) {
        pst_sim_fail_page(res, 404);
        return false;
    }
    if (!is_yes_or_no(pst_sim_param(call, "isconnectedquery"))) {
        pst_sim_fail_ib(g, res, 400, "Required variable isconnectedquery is missing. (158,10503)");
        return false;
    }
    return true;
}

/* Break the answer on its way where a fault says so. */
static void spoil_way(const struct pst_sim_effects *e, struct pst_response *res)
{
    static const enum pst_cut cuts[PST_SIM_FAULT_KINDS] = {
        [PST_SIM_FAULT_RESET] = PST_CUT_RESET,
        [PST_SIM_FAULT_TRUNCATE] = PST_CUT_CLOSE,
        [PST_SIM_FAULT_STALL] = PST_CUT_STALL,
    };
    if (e->way == PST_SIM_FAULT_NONE)
        return;
    res->cut = cuts[e->way];
    /* A stall or a cut without a place breaks the body in its middle, a reset before the head. */
    res->cut_head = e->way == PST_SIM_FAULT_RESET && e->way_bytes < 0;
    if (e->way_bytes >= 0)
        res->cut_after = (size_t)e->way_bytes;
    else if (!res->cut_head)
        res->cut_after = res->body.len / 2;
}

static pst_code answer(struct pst_sim_call *call, struct pst_request *req, struct pst_response *res,
                       struct pst_err *err)
{
    pst_code rc = PST_OK;
    if (admit(call, req, res)) {
        pst_response_header(res, "Set-Cookie",
                            PST_STR("JSESSIONID=9f3kQp1SimulatedGateway; path=/; HttpOnly"));
        rc = service_of(req)->answer(call, req, res, err);
    }
    if (rc == PST_OK)
        spoil_way(&call->effects, res);
    pst_sim_stats_leave(&call->gateway->stats, rc == PST_OK ? res->body.len : 0);
    return rc;
}

static pst_code after_delay(void *data, struct pst_request *req, struct pst_response *res,
                            enum pst_wake why, struct pst_err *err)
{
    struct pst_sim_call *call = data;
    if (why == PST_WAKE_GONE) {
        pst_sim_stats_leave(&call->gateway->stats, 0);
        return PST_OK;
    }
    return answer(call, req, res, err);
}

static bool has_fired(const struct pst_sim_effects *e)
{
    return e->answer != PST_SIM_FAULT_NONE || e->way != PST_SIM_FAULT_NONE || e->row_cap ||
           e->prompts_ignored || e->is_hidden || e->row_kind != PST_SIM_FAULT_NONE;
}

static pst_code make_call(struct pst_sim_gateway *g, struct pst_request *req,
                          struct pst_sim_call **out, struct pst_err *err)
{
    struct pst_sim_call *call = NULL;
    PST_TRY(pst_arena_alloc(req->arena, &call, sizeof(*call), err));
    call->gateway = g;
    call->service = service_of(req)->name;
    call->query = pst_request_param(req, "query");
    PST_TRY(pst_query_parse(req->arena, req->query, &call->items, &call->item_count, err));
    call->is_json = pst_str_eq_nocase(pst_sim_param(call, "json_resp"), PST_STR("true"));
    pst_sim_faults_decide(&g->faults, call->service, call->query, &call->effects);
    bool is_public = pst_str_eq_nocase(pst_request_param(req, "owner"), PST_STR("public"));
    if (is_public && !call->effects.is_hidden)
        call->found = pst_sim_find_query(call->query);
    *out = call;
    return PST_OK;
}

static pst_code serve(void *self, struct pst_request *req, struct pst_response *res,
                      struct pst_err *err)
{
    struct pst_sim_gateway *g = self;
    struct pst_sim_call *call = NULL;
    PST_TRY(make_call(g, req, &call, err));
    pst_sim_stats_enter(&g->stats);
    if (has_fired(&call->effects))
        g->stats.faults++;
    if (call->effects.delay_ms <= 0)
        return answer(call, req, res, err);
    struct pst_suspend how = {
        .resumed = after_delay,
        .data = call,
        .deadline = pst_mono_after_ms(req->now, call->effects.delay_ms),
    };
    (void)pst_server_suspend(req, &how);
    return PST_OK;
}

void pst_sim_gateway_routes(struct pst_sim_gateway *g, struct pst_route *routes)
{
    for (size_t i = 0; i < PST_SIM_GATEWAY_ROUTES; i++)
        routes[i] = (struct pst_route){PST_METHOD_GET, services[i].pattern, serve, g, 0};
}
