/* api/health.c: the paths for probes and for monitoring (OpenMetrics). */
#include "api/internal.h"

pst_code pst_api_healthz(struct pst_api_call *call, struct pst_err *err)
{
    (void)err;
    pst_api_json(call, 200);
    pst_buf_add_lit(&call->res->body, "{\"status\":\"ok\",\"version\":\"" PST_VERSION "\"}");
    return PST_OK;
}

pst_code pst_api_readyz(struct pst_api_call *call, struct pst_err *err)
{
    int64_t queued = 0;
    int64_t running = 0;
    struct pst_err trouble;
    if (atomic_load(&call->api->stopping))
        return PST_FAIL(err, PST_E_UNAVAILABLE, "the server is stopping");
    if (pst_db_trouble(call->api->options.db, &trouble))
        return PST_FAIL(err, PST_E_UNAVAILABLE, "the store cannot be written: %s", trouble.msg);
    PST_TRY(pst_syncs_count_open(call->reader, 0, &queued, &running, err));
    pst_api_json(call, 200);
    pst_buf_add_lit(&call->res->body, "{\"status\":\"ready\"}");
    return PST_OK;
}

void pst_api_set_sandbox(struct pst_api *api, const struct pst_api_sandbox *sandbox)
{
    api->sandbox = *sandbox;
}

pst_code pst_api_get_server(struct pst_api_call *call, struct pst_err *err)
{
    const struct pst_api_sandbox *s = &call->api->sandbox;
    struct pst_json_writer w;
    struct pst_err trouble;
    bool is_writable = !pst_db_trouble(call->api->options.db, &trouble);
    pst_api_begin(call, &w);
    pst_json_add_z(&w, "version", PST_VERSION);
    pst_json_add_bool(&w, "dev", call->api->options.dev);
    pst_json_add_object(&w, "store");
    pst_json_add_bool(&w, "writable", is_writable);
    pst_json_add_z(&w, "trouble", is_writable ? "" : trouble.msg);
    pst_json_end_object(&w);
    pst_json_add_object(&w, "sandbox");
    pst_json_add_str(&w, "mode", s->mode);
    pst_json_add_bool(&w, "no_new_privileges", s->no_new_privileges);
    pst_json_add_bool(&w, "system_calls", s->system_calls);
    pst_json_add_i64(&w, "landlock", s->landlock);
    pst_json_add_z(&w, "missing", s->missing ? s->missing : "");
    pst_json_end_object(&w);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static void put_help(struct pst_buf *b, const char *name, const char *type, const char *help)
{
    pst_buf_addf(b, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

static void put_value(struct pst_buf *b, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    bool counter = strcmp(type, "counter") == 0;
    put_help(b, name, type, help);
    pst_buf_addf(b, "%s%s %llu\n", name, counter ? "_total" : "", (unsigned long long)value);
}

static void put_operations(struct pst_buf *b, const struct pst_api *api)
{
    static const char *const classes[] = {"gone", "1xx", "2xx", "3xx", "4xx", "5xx"};
    put_help(b, "penstock_http_requests", "counter", "Answered requests by operation and status.");
    for (size_t i = 0; i < pst_api_op_count; i++) {
        for (size_t k = 0; k < PST_COUNT(classes); k++) {
            uint64_t n = atomic_load_explicit(&api->bound[i].answers[k], memory_order_relaxed);
            if (n)
                pst_buf_addf(b,
                             "penstock_http_requests_total{operation=\"%s\",status=\"%s\"} %llu\n",
                             pst_api_ops[i].id, classes[k], (unsigned long long)n);
        }
    }
    put_help(b, "penstock_http_request_seconds", "counter", "Time from first byte to last.");
    for (size_t i = 0; i < pst_api_op_count; i++) {
        uint64_t us = atomic_load_explicit(&api->bound[i].duration_us, memory_order_relaxed);
        if (us)
            pst_buf_addf(b, "penstock_http_request_seconds_total{operation=\"%s\"} %llu.%06llu\n",
                         pst_api_ops[i].id, (unsigned long long)(us / 1000000),
                         (unsigned long long)(us % 1000000));
    }
}

static void put_journal(struct pst_buf *b, const struct pst_api *api)
{
    struct pst_api_journal_stats s = {0};
    if (!api->options.journal.stats)
        return;
    api->options.journal.stats(api->options.journal.self, &s);
    put_value(b, "penstock_request_log_requests", "counter", "Requests taken into the request log.",
              s.logged);
    put_value(b, "penstock_request_log_left_out", "counter",
              "Requests that the option request_log left out.", s.unlogged);
    put_value(b, "penstock_request_log_dropped", "counter",
              "Requests and upstream calls that found no room before the store took them.",
              s.dropped);
}

static void put_server(struct pst_buf *b, const struct pst_api *api)
{
    struct pst_server_stats s = {0};
    if (api->server)
        pst_server_stats(api->server, &s);
    put_value(b, "penstock_http_connections", "gauge", "Open client connections.", s.connections);
    put_value(b, "penstock_http_connections_accepted", "counter", "Client connections ever.",
              s.accepted);
    put_value(b, "penstock_http_rejected", "counter",
              "Requests refused by parser, limits or deadlines.", s.rejected);
    put_value(b, "penstock_http_suspended", "gauge", "Requests that wait or are worked on.",
              s.suspended);
    put_value(b, "penstock_http_received_bytes", "counter", "Bytes from clients.", s.bytes_in);
    put_value(b, "penstock_http_sent_bytes", "counter", "Bytes to clients.", s.bytes_out);
    put_help(b, "penstock_http_limited", "counter", "Requests refused with 429, by policy.");
    for (size_t i = 0; i < PST_API_LIMITS; i++)
        pst_buf_addf(b, "penstock_http_limited_total{policy=\"%s\"} %llu\n",
                     pst_api_limit_name((enum pst_api_limit)i),
                     (unsigned long long)atomic_load(&api->limits[i].refused));
    put_value(b, "penstock_http_unrouted", "counter", "Answers to requests without an operation.",
              (uint64_t)atomic_load(&api->unrouted));
}

static void put_webhooks(struct pst_buf *b, const struct pst_api *api)
{
    struct pst_hooks_stats s = {0};
    if (api->options.hooks)
        pst_hooks_stats(api->options.hooks, &s);
    put_value(b, "penstock_webhook_attempts", "counter", "Attempts at deliveries.", s.attempts);
    put_value(b, "penstock_webhook_delivered", "counter", "Deliveries that arrived.", s.delivered);
    put_value(b, "penstock_webhook_refused", "counter",
              "Attempts that a receiver answered with another status than 2xx.", s.refused);
    put_value(b, "penstock_webhook_unreachable", "counter", "Attempts without an answer.",
              s.unreachable);
    put_value(b, "penstock_webhook_given_up", "counter", "Deliveries that are not tried any more.",
              s.given_up);
    put_value(b, "penstock_webhook_in_flight", "gauge", "Attempts under way.", s.in_flight);
    put_value(b, "penstock_webhook_endpoints", "gauge", "Endpoints in memory.", s.endpoints);
    put_value(b, "penstock_webhook_lanes", "gauge",
              "Endpoint and connection pairs that have something waiting.", s.lanes);
    put_help(b, "penstock_webhook_attempt_seconds", "counter", "Time of all attempts.");
    pst_buf_addf(b, "penstock_webhook_attempt_seconds_total %llu.%06llu\n",
                 (unsigned long long)(s.duration_us / 1000000),
                 (unsigned long long)(s.duration_us % 1000000));
}

pst_code pst_api_metrics(struct pst_api_call *call, struct pst_err *err)
{
    int64_t queued = 0;
    int64_t running = 0;
    int64_t credits = 0;
    struct pst_buf *b = &call->res->body;
    PST_TRY(pst_syncs_count_open(call->reader, 0, &queued, &running, err));
    PST_TRY(pst_credits_total(call->reader, &credits, err));
    call->res->status = 200;
    pst_response_header(call->res, "Content-Type",
                        PST_STR("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    put_help(b, "penstock_build", "info", "The version that runs.");
    pst_buf_add_lit(b, "penstock_build_info{version=\"" PST_VERSION "\"} 1\n");
    put_value(b, "penstock_syncs_queued", "gauge", "Syncs that wait for a worker.",
              (uint64_t)queued);
    put_value(b, "penstock_syncs_running", "gauge", "Syncs in progress.", (uint64_t)running);
    put_value(b, "penstock_credits_used", "gauge", "Credits held by connections.",
              (uint64_t)credits);
    put_server(b, call->api);
    put_webhooks(b, call->api);
    put_journal(b, call->api);
    put_operations(b, call->api);
    pst_buf_add_lit(b, "# EOF\n");
    return PST_OK;
}
