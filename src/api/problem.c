/* api/problem.c: every error as application/problem+json (RFC 9457), in one place. */
#include "api/internal.h"
#include "base/log.h"

enum { RETRY_UNAVAILABLE_S = 5, RETRY_RATE_S = 1 };

/* "/docs/errors/system-unreachable" */
static void put_docs_path(struct pst_json_writer *w, const char *name, const char *code)
{
    char path[96];
    int n = snprintf(path, sizeof(path), "/docs/errors/%s", code);
    for (int i = (int)strlen("/docs/errors/"); i < n && path[i]; i++) {
        if (path[i] == '_')
            path[i] = '-';
        else if (path[i] >= 'A' && path[i] <= 'Z')
            path[i] = (char)(path[i] - 'A' + 'a');
    }
    pst_json_add_z(w, name, path);
}

static int retry_after(const struct pst_err *err)
{
    int status = pst_code_http(err->code);
    if (err->retry_after_s > 0)
        return err->retry_after_s;
    if (status == 429)
        return RETRY_RATE_S;
    return status == 503 ? RETRY_UNAVAILABLE_S : 0;
}

/* What went wrong inside is for the log, not for clients. */
static bool is_internal(pst_code code)
{
    return pst_code_http(code) == 500;
}

void pst_api_write_problem(struct pst_buf *out, const struct pst_err *err,
                           const struct pst_id *request_id, pst_str connection_id)
{
    struct pst_json_writer w;
    const char *code = pst_code_name(err->code);
    pst_json_init(&w, out);
    pst_json_begin_object(&w);
    put_docs_path(&w, "type", code);
    pst_json_add_z(&w, "title", pst_code_title(err->code));
    pst_json_add_i64(&w, "status", pst_code_http(err->code));
    pst_json_add_z(&w, "detail",
                   is_internal(err->code)
                       ? "something went wrong inside Penstock; its log has the request id"
                       : err->msg);
    pst_json_add_z(&w, "code", code);
    pst_json_add_z(&w, "origin", pst_origin_name(pst_code_origin(err->code)));
    pst_json_add_str(&w, "request_id", pst_id_str(request_id));
    if (connection_id.len)
        pst_json_add_str(&w, "connection_id", connection_id);
    pst_json_add_bool(&w, "retryable", pst_code_retryable(err->code));
    if (retry_after(err) > 0)
        pst_json_add_i64(&w, "retry_after", retry_after(err));
    if (err->code == PST_E_RATE_LIMIT && err->param[0]) {
        pst_json_add_array(&w, "violated_policies");
        pst_json_put_str(&w, pst_str_from(err->param));
        pst_json_end_array(&w);
    } else if (err->param[0] && !is_internal(err->code)) {
        pst_json_add_z(&w, err->code == PST_E_SYNC_IN_PROGRESS ? "sync_id" : "param", err->param);
    }
    put_docs_path(&w, "docs", code);
    pst_json_end_object(&w);
}

void pst_api_on_error(void *self, const struct pst_request *req, const struct pst_id *request_id,
                      const struct pst_err *err, struct pst_response *res)
{
    (void)self;
    struct pst_api_call *call =
        req && req->route && req->route->handler == pst_api_dispatch ? req->user : NULL;
    pst_str connection_id = {NULL, 0};
    char trace[PST_TRACE_TEXT];
    if (call && call->connection.pk)
        connection_id = pst_id_str(&call->connection.id);
    if (call)
        pst_api_note_failure(call, err);
    pst_api_trace_id(trace, call, request_id);
    if (is_internal(err->code))
        pst_log_err(PST_LOG_ERROR, "request failed", err,
                    (const struct pst_log_field[]){
                        PST_F_ID("request_id", request_id),
                        PST_F_Z("trace_id", trace),
                        PST_F_STR("connection_id", connection_id),
                        PST_F_Z("operation", call ? call->op->id : ""),
                        {0},
                    });
    res->status = pst_code_http(err->code);
    pst_response_header(res, "Content-Type", PST_STR("application/problem+json"));
    if (retry_after(err) > 0) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%d", retry_after(err));
        pst_response_header(res, "Retry-After", pst_str_from(text));
    }
    if (call)
        pst_api_put_limits(call, res);
    if (err->code == PST_E_UNAUTHENTICATED)
        pst_response_header(res, "WWW-Authenticate", PST_STR("Bearer realm=\"Penstock\""));
    pst_api_write_problem(&res->body, err, request_id, connection_id);
}
