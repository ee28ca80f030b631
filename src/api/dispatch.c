/* api/dispatch.c: from a routed request to an operation's function: who calls, what for, with
 * which parameters and body, and on which thread. */
#include "api/internal.h"
#include "base/log.h"

enum { BODY_DEPTH = 32 };

/* The connection that has the sync: what others have is not there. */
static pst_code find_by_sync(const struct pst_api_call *call, struct pst_id *out,
                             struct pst_err *err)
{
    pst_str id = pst_request_param(call->req, "sync_id");
    PST_TRY(pst_syncs_connection(call->reader, call->organization_pk, id, out, err));
    if (!out->text[0])
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no sync '%.*s'",
                        PST_STR_ARG(pst_str_sub(id, 0, 100)));
    return PST_OK;
}

static pst_code load_connection(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_id found;
    pst_str id = pst_request_param(call->req, "connection_id");
    if (call->caller == PST_CALLER_TOKEN) {
        /* A token has one connection; naming another is like naming none that exists. */
        if (id.ptr && !pst_str_eq(id, pst_id_str(&call->access.connection_id)))
            return PST_FAIL(err, PST_E_NOT_FOUND, "there is no connection '%.*s'", PST_STR_ARG(id));
        id = pst_id_str(&call->access.connection_id);
    } else if (call->op->flags & PST_OP_SYNC) {
        PST_TRY(find_by_sync(call, &found, err));
        id = pst_id_str(&found);
    }
    if (!id.ptr)
        return PST_FAIL(err, PST_E_NOT_FOUND,
                        "short paths are for connection tokens; with an API key use "
                        "/v1/connections/{connection_id}%.*s",
                        PST_STR_ARG(pst_str_sub(call->req->path, 3, call->req->path.len)));
    bool is_brief = call->op->flags & PST_OP_BRIEF;
    if (!is_brief || !pst_api_recall_connection(call, id)) {
        uint64_t commits = pst_db_commits(call->api->options.db);
        pst_code code = call->op->flags & PST_OP_DELETED
                            ? pst_connections_get_deleted(call->reader, call->organization_pk, id,
                                                          call->arena, &call->connection, err)
                            : pst_connections_get(call->reader, call->organization_pk, id,
                                                  call->arena, &call->connection, err);
        if (code == PST_E_NOT_FOUND)
            return PST_FAIL(err, PST_E_NOT_FOUND, "there is no connection '%.*s'", PST_STR_ARG(id));
        PST_TRY(code);
        if (is_brief)
            pst_api_remember_connection(call, commits);
    }
    /* The operator may have named only the connection: what is made for it is its owner's. */
    call->organization_pk = call->connection.organization_pk;
    call->organization_id = call->connection.organization_id;
    return PST_OK;
}

static pst_code load_webhook(struct pst_api_call *call, struct pst_err *err)
{
    pst_str id = pst_request_param(call->req, "webhook_id");
    struct pst_endpoint *e = &call->webhook;
    pst_code code = pst_endpoints_get(call->reader, call->organization_pk, id, call->arena, e, err);
    bool is_foreign = code == PST_OK && call->connection.pk && e->connection_pk != 0 &&
                      e->connection_pk != call->connection.pk;
    if (code == PST_E_NOT_FOUND || is_foreign)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no webhook '%.*s'",
                        PST_STR_ARG(pst_str_sub(id, 0, 100)));
    PST_TRY(code);
    /* The operator may have named only the webhook. */
    call->organization_pk = e->organization_pk;
    call->organization_id = e->organization_id;
    return PST_OK;
}

static pst_code resolve_entity(struct pst_api_call *call, struct pst_err *err)
{
    pst_str path = pst_request_param(call->req, "entities");
    const struct pst_connector_entry *connector =
        pst_connectors_find(call->api->options.connectors, call->connection.connector);
    call->entity = pst_model_entity_by_path(path);
    if (!call->entity || !connector ||
        !pst_manifest_stream(connector->manifest, pst_str_from(call->entity->name)))
        return PST_FAIL(err, PST_E_NOT_FOUND, "this connection has no '%.*s'", PST_STR_ARG(path));
    return PST_OK;
}

static bool is_json(pst_str type)
{
    pst_str name = pst_str_trim(pst_str_split(&type, ';'));
    pst_str parameter = pst_str_trim(type);
    return pst_str_eq_nocase(name, PST_STR("application/json")) &&
           (parameter.len == 0 || pst_str_eq_nocase(parameter, PST_STR("charset=utf-8")));
}

static pst_code read_body(struct pst_api_call *call, struct pst_err *err)
{
    pst_str text = call->req->body;
    bool wanted = call->op->flags & PST_OP_BODY;
    bool optional = !wanted || call->op->flags & PST_OP_BODY_OPTIONAL;
    if (text.len == 0) {
        if (!optional)
            return PST_FAIL_AT(err, PST_E_INVALID, "body", "this operation needs a JSON body");
        return PST_OK;
    }
    if (!wanted && call->req->method == PST_METHOD_GET)
        return PST_FAIL_AT(err, PST_E_INVALID, "body", "this operation takes no body");
    size_t types = 0;
    pst_str type = pst_request_header(call->req, "Content-Type", &types);
    if (types != 1 || !is_json(type))
        return PST_FAIL_AT(err, PST_E_MEDIA_TYPE, "Content-Type",
                           "the body has to be application/json");
    yyjson_doc *doc = NULL;
    struct pst_json_limits limits = {.max_depth = BODY_DEPTH};
    pst_code code = pst_json_read(text, &limits, call->arena, &doc, err);
    if (code != PST_OK)
        return pst_err_wrap(err, "the body");
    call->body = yyjson_doc_get_root(doc);
    if (!yyjson_is_obj(call->body))
        return PST_FAIL_AT(err, PST_E_INVALID, "body", "the body has to be a JSON object");
    if (!wanted && yyjson_obj_size(call->body) > 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "body", "this operation takes no body");
    return PST_OK;
}

static pst_code prepare(struct pst_api_call *call, struct pst_err *err)
{
    unsigned flags = call->op->flags;
    PST_TRY(pst_api_authenticate(call, err));
    if (flags & PST_OP_CONNECTION) {
        PST_TRY(load_connection(call, err));
        PST_TRY(pst_api_limit_connection(call, err));
    }
    if (flags & PST_OP_WEBHOOK)
        PST_TRY(load_webhook(call, err));
    if (flags & PST_OP_ENTITY)
        PST_TRY(resolve_entity(call, err));
    PST_TRY(pst_api_check_query(call, err));
    PST_TRY(read_body(call, err));
    return flags & PST_OP_LIVE ? pst_api_meet_outage(call, err) : PST_OK;
}

/* ---- on a pool ---- */

static void run_on_pool(void *arg, unsigned worker)
{
    struct pst_api_call *call = arg;
    call->worker = worker;
    call->reader = call->op->where == PST_RUN_LOOK ? call->api->lookers[worker] : NULL;
    call->code = call->op->run(call, &call->err);
    /* From here on the loop has the call again, and may have released it already. */
    pst_server_resume(call->api->server, call->ticket);
}

static pst_code back_on_loop(void *data, struct pst_request *req, struct pst_response *res,
                             enum pst_wake why, struct pst_err *err)
{
    (void)req, (void)res, (void)why;
    struct pst_api_call *call = data;
    if (call->code != PST_OK)
        *err = call->err;
    return call->code;
}

static pst_code hand_over(struct pst_api_call *call, struct pst_err *err)
{
    const struct pst_api_options *o = &call->api->options;
    bool is_call = call->op->where == PST_RUN_CALL;
    struct pst_suspend how = {
        .resumed = back_on_loop,
        .data = call,
        .deadline = call->op->flags & PST_OP_UNHURRIED
                        ? PST_MONO_NEVER
                        : pst_mono_after_ms(call->req->now, is_call ? o->call_ms : o->request_ms),
        .held = true,
    };
    call->reader = NULL;
    call->ticket = pst_server_suspend(call->req, &how);
    bool taken = is_call                           ? o->call(o->call_self, run_on_pool, call)
                 : call->op->where == PST_RUN_LOOK ? o->look(o->look_self, run_on_pool, call)
                                                   : o->work(o->work_self, run_on_pool, call);
    if (taken)
        return PST_OK;
    pst_code code = PST_FAIL(err, PST_E_UNAVAILABLE, "too many requests are being worked on");
    err->retry_after_s = 1;
    return code;
}

pst_code pst_api_dispatch(void *self, struct pst_request *req, struct pst_response *res,
                          struct pst_err *err)
{
    struct pst_api_bound *bound = self;
    struct pst_api_call *call = NULL;
    PST_TRY(pst_arena_alloc(req->arena, &call, sizeof(*call), err));
    call->api = bound->api;
    call->op = bound->op;
    call->req = req;
    call->res = res;
    call->arena = req->arena;
    call->now = req->wall;
    call->reader = bound->api->loops[req->loop].reader;
    req->user = call;
    pst_api_read_trace(call);
    PST_TRY(prepare(call, err));
    pst_api_put_limits(call, res);
    pst_api_touch(call);
    return call->op->where == PST_RUN_LOOP ? call->op->run(call, err) : hand_over(call, err);
}
