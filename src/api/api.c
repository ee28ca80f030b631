/* api/api.c: building the api around its table of operations; what it counts. */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/vec.h"

enum {
    REQUEST_MS = 30000,
    CALL_MS = 120000,
    OPENAPI_MAX = 4 << 20,
    SOURCE_LEVEL = 1, /* of zstd; only reading happens here */
    SCRATCH_BYTES = 64 << 20, /* one record, parsed */
};

const char pst_api_common_headers[] = "Penstock-Version: " PST_VERSION "\r\n"
                                      "X-Content-Type-Options: nosniff\r\n"
                                      "Cache-Control: no-store\r\n";

static const char prefix[] = "/connections/{connection_id}";

/* "/v1/connections/{connection_id}/changes" -> "/v1/changes", in memory of its own. */
static pst_code short_path(const char *path, char **out, struct pst_err *err)
{
    void *made = NULL;
    const char *at = strstr(path, prefix);
    PST_TRY(pst_new(&made, strlen(path) + 1, err));
    *out = made;
    size_t head = at ? (size_t)(at - path) : 0;
    memcpy(*out, path, head);
    const char *tail = at ? at + sizeof(prefix) - 1 : path;
    memcpy(*out + head, tail, strlen(tail) + 1);
    return PST_OK;
}

static size_t count_routes(size_t more)
{
    size_t n = pst_api_op_count + more;
    for (size_t i = 0; i < pst_api_op_count; i++)
        n += (pst_api_ops[i].flags & PST_OP_SHORT) != 0;
    return n;
}

static void add_route(struct pst_api *api, size_t index, const char *pattern)
{
    const struct pst_api_op *op = &pst_api_ops[index];
    api->routes[api->route_count++] = (struct pst_route){
        .method = op->method,
        .pattern = pattern,
        .handler = pst_api_dispatch,
        .self = &api->bound[index],
    };
}

static pst_code build_routes(struct pst_api *api, struct pst_err *err)
{
    void *routes = NULL;
    void *bound = NULL;
    size_t more = api->options.more_route_count;
    PST_TRY(pst_new(&routes, count_routes(more) * sizeof(*api->routes), err));
    api->routes = routes;
    PST_TRY(pst_new(&bound, pst_api_op_count * sizeof(*api->bound), err));
    api->bound = bound;
    for (size_t i = 0; i < pst_api_op_count; i++) {
        api->bound[i].api = api;
        api->bound[i].op = &pst_api_ops[i];
        add_route(api, i, pst_api_ops[i].path);
    }
    for (size_t i = 0; i < pst_api_op_count; i++) {
        char *pattern = NULL;
        if (!(pst_api_ops[i].flags & PST_OP_SHORT))
            continue;
        PST_TRY(short_path(pst_api_ops[i].path, &pattern, err));
        add_route(api, i, pattern);
    }
    /* Of others; behind the short patterns, which are this file's to free. */
    if (more)
        memcpy(api->routes + api->route_count, api->options.more_routes,
               more * sizeof(*api->routes));
    return pst_router_new(&api->router, api->routes, api->route_count + more, err);
}

static pst_code open_loops(struct pst_api *api, struct pst_err *err)
{
    void *made = NULL;
    PST_TRY(pst_new(&made, api->options.loops * sizeof(*api->loops), err));
    api->loops = made;
    for (unsigned i = 0; i < api->options.loops; i++) {
        PST_TRY(pst_db_reader_new(api->options.db, &api->loops[i].reader, err));
        PST_TRY(pst_zip_new(&api->loops[i].zip, SOURCE_LEVEL, err));
        PST_TRY(pst_arena_new(&api->loops[i].scratch, SCRATCH_BYTES, err));
        PST_TRY(pst_new((void **)&api->loops[i].seen, sizeof(struct pst_api_seen), err));
    }
    return PST_OK;
}

static pst_code open_lookers(struct pst_api *api, struct pst_err *err)
{
    void *made = NULL;
    PST_TRY(pst_new(&made, api->options.lookers * sizeof(struct pst_db_conn *), err));
    api->lookers = made;
    for (unsigned i = 0; i < api->options.lookers; i++)
        PST_TRY(pst_db_reader_new(api->options.db, &api->lookers[i], err));
    return PST_OK;
}

pst_code pst_api_new(struct pst_api **out, const struct pst_api_options *options,
                     struct pst_err *err)
{
    void *made = NULL;
    if (!options->db || !options->root || !options->connectors || !options->sync ||
        !options->work || !options->look || !options->call || !options->new_id ||
        options->loops == 0 || options->lookers == 0)
        return PST_FAIL(err, PST_E_INVALID, "an option of the api is missing");
    PST_TRY(pst_new(&made, sizeof(struct pst_api), err));
    PST_AUTO(api) struct pst_api *api = made;
    api->options = *options;
    if (api->options.request_ms == 0)
        api->options.request_ms = REQUEST_MS;
    if (api->options.call_ms == 0)
        api->options.call_ms = CALL_MS;
    api->started = PST_WALL_NONE;
    (void)pthread_mutex_init(&api->wait_lock, NULL);
    pst_buf_init(&api->openapi, OPENAPI_MAX);
    PST_TRY(pst_tz_load(&api->utc, NULL, PST_STR("UTC"), err));
    PST_TRY(pst_api_limits_init(api, err));
    PST_TRY(build_routes(api, err));
    PST_TRY(open_loops(api, err));
    PST_TRY(open_lookers(api, err));
    pst_api_openapi(&api->openapi);
    PST_TRY(pst_buf_check(&api->openapi, err));
    *out = PST_TAKE(api);
    return PST_OK;
}

static void close_loop(struct pst_api_loop *loop)
{
    for (size_t i = 0; i < PST_COUNT(loop->dicts); i++)
        pst_zip_dict_free(loop->dicts[i].dict);
    pst_zip_free(loop->zip);
    pst_arena_free(loop->scratch);
    pst_free(loop->seen);
    pst_db_reader_free(loop->reader);
}

void pst_api_free(struct pst_api *api)
{
    if (!api)
        return;
    for (unsigned i = 0; api->loops && i < api->options.loops; i++)
        close_loop(&api->loops[i]);
    for (unsigned i = 0; api->lookers && i < api->options.lookers; i++)
        pst_db_reader_free(api->lookers[i]);
    /* The short patterns stand behind one route per operation. */
    for (size_t i = pst_api_op_count; i < api->route_count; i++)
        pst_free((void *)(uintptr_t)api->routes[i].pattern);
    pst_api_limits_fini(api);
    pst_router_free(api->router);
    pst_tz_free(api->utc);
    pst_buf_fini(&api->openapi);
    pst_vec_fini(&api->waiters);
    (void)pthread_mutex_destroy(&api->wait_lock);
    pst_free(api->loops);
    pst_free(api->lookers);
    pst_free(api->bound);
    pst_free(api->routes);
    pst_free(api);
}

const struct pst_router *pst_api_router(const struct pst_api *api)
{
    return api->router;
}

void pst_api_set_server(struct pst_api *api, struct pst_server *server)
{
    api->server = server;
}

void pst_api_stopping(struct pst_api *api)
{
    atomic_store(&api->stopping, true);
}

/* ---- after each answer ---- */

/* A key that somebody put into the path is cut off behind its prefix. */
static pst_str without_key(pst_str path)
{
    static const char *const prefixes[] = {"psk_", "pct_"};
    for (size_t i = 0; i < PST_COUNT(prefixes); i++) {
        const char *at = path.ptr ? memmem(path.ptr, path.len, prefixes[i], 4) : NULL;
        if (at)
            path.len = (size_t)(at - path.ptr) + 4;
    }
    return path;
}

void pst_api_on_finished(void *self, const struct pst_request *req, const struct pst_id *request_id,
                         const struct pst_server_outcome *outcome)
{
    struct pst_api *api = self;
    int digit = outcome->gone ? 0 : outcome->status / 100;
    if (req && req->route && req->route->handler != pst_api_dispatch)
        return; /* of others, who have their own figures */
    if (req && req->route) {
        struct pst_api_bound *bound = req->route->self;
        atomic_fetch_add_explicit(&bound->answers[digit > 5 ? 5 : digit], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&bound->duration_us, (uint64_t)outcome->duration_us,
                                  memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(&api->unrouted, 1, memory_order_relaxed);
    }
    if (api->options.journal.request)
        pst_api_log_request(api, req, request_id, outcome);
    if (!pst_log_enabled(PST_LOG_DEBUG))
        return;
    char trace[PST_TRACE_TEXT];
    const struct pst_api_call *call = req ? req->user : NULL;
    pst_api_trace_id(trace, call, request_id);
    PST_LOG(PST_LOG_DEBUG, "request", PST_F_ID("request_id", request_id),
            PST_F_Z("trace_id", trace), PST_F_Z("method", req ? pst_method_name(req->method) : ""),
            PST_F_STR("path", without_key(req ? req->path : PST_STR(""))),
            PST_F_INT("status", outcome->status), PST_F_INT("bytes", outcome->bytes),
            PST_F_INT("duration_us", outcome->duration_us),
            PST_F_STR("actor", call ? call->actor : PST_STR("")));
}
