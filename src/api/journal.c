/* api/journal.c: what is noted of every request when it has ended, and the trace it belongs to. */
#include <stdio.h>

#include "api/internal.h"
#include "health/diagnose.h"

void pst_api_read_trace(struct pst_api_call *call)
{
    size_t count = 0;
    struct pst_trace *trace = NULL;
    struct pst_err ignored;
    pst_str parent = pst_request_header(call->req, "traceparent", &count);
    if (count != 1 || pst_arena_alloc(call->arena, &trace, sizeof(*trace), &ignored) != PST_OK)
        return;
    pst_str state = pst_request_header(call->req, "tracestate", &count);
    if (pst_trace_parse(trace, parent, count == 1 ? state : PST_STR("")))
        call->trace = trace;
}

static void read_trace_id(uint8_t out[PST_TRACE_ID], const struct pst_api_call *call,
                          const struct pst_id *request_id)
{
    /* A trace that begins here has the bits of the request's id. */
    if (call && call->trace)
        memcpy(out, call->trace->id, PST_TRACE_ID);
    else
        (void)pst_id_parse(out, "req_", pst_id_str(request_id));
}

void pst_api_trace_id(char out[PST_TRACE_TEXT], const struct pst_api_call *call,
                      const struct pst_id *request_id)
{
    uint8_t id[PST_TRACE_ID] = {0};
    read_trace_id(id, call, request_id);
    pst_trace_format_id(out, id);
}

/* A word of ours: it stands in the description of the API. */
static bool is_our_word(const struct pst_api *api, pst_str word)
{
    char quoted[48];
    if (word.len == 0 || word.len + 3 > sizeof(quoted))
        return false;
    int n = snprintf(quoted, sizeof(quoted), "\"%.*s\"", PST_STR_ARG(word));
    return memmem(api->openapi.ptr, api->openapi.len, quoted, (size_t)n) != NULL;
}

/* The message's format with "..." for whatever was put into it. */
static void add_format(struct pst_buf *out, const char *fmt)
{
    for (const char *p = fmt; *p; p++) {
        if (*p != '%') {
            pst_buf_add_char(out, *p);
            continue;
        }
        p += 1 + strspn(p + 1, "-+ #0123456789.*hlzjt");
        if (*p == '\0')
            return;
        if (*p == '%')
            pst_buf_add_char(out, '%');
        else
            pst_buf_add_lit(out, "...");
    }
}

/* What callers say may hold a secret that came into the wrong place, and errors quote it. Of those
 * only our own words are kept: the name of the parameter, where it is one of ours, and the format.
 */
void pst_api_note_failure(struct pst_api_call *call, const struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf text = {.max = 2 * sizeof(err->msg)};
    bool is_callers = pst_code_origin(err->code) == PST_ORIGIN_REQUEST;
    call->failure = err->code;
    if (!is_callers)
        pst_buf_addf(&text, "%s", err->msg);
    if (is_callers && is_our_word(call->api, pst_str_from(err->param)))
        pst_buf_addf(&text, "%s: ", err->param);
    if (is_callers && err->fmt)
        add_format(&text, err->fmt);
    pst_str cut = pst_str_sub(pst_buf_str(&text), 0, sizeof(call->failure_text) - 1);
    (void)pst_str_copy(call->failure_text, sizeof(call->failure_text), cut);
}

/* Where there was no operation: the first code that is answered with that status. */
static pst_code code_of_status(int status)
{
    for (int code = 1; code < PST_CODE_COUNT; code++) {
        if (pst_code_http((pst_code)code) == status)
            return (pst_code)code;
    }
    return PST_E_INTERNAL;
}

static void copy_text(char *out, size_t size, pst_str text)
{
    (void)pst_str_copy(out, size, pst_str_sub(text, 0, size - 1));
}

/* What a success tells of; read of a success only, like the sync, for the same reason. */
static void copy_finding(struct pst_request_row *row, const struct pst_api_call *call)
{
    if (call->finding == PST_OK)
        return;
    copy_text(row->detail, sizeof(row->detail), call->finding_text);
    copy_text(row->cause, sizeof(row->cause),
              pst_str_from(pst_cause_name(pst_cause_of(call->finding, 0, NULL))));
}

/* The sync that the path names, else the one that was started; of a success, since then it is there
 * and its caller's, and a thread of a pool has let go of the call. */
static void copy_sync(struct pst_request_row *row, const struct pst_api_call *call,
                      const struct pst_server_outcome *outcome)
{
    if (outcome->status >= 400)
        return;
    pst_str named = pst_request_param(call->req, "sync_id");
    if (pst_id_parse(NULL, "sync_", named))
        copy_text(row->sync_id.text, sizeof(row->sync_id.text), named);
    else
        row->sync_id = call->sync_id;
}

static void copy_call(struct pst_request_row *row, const struct pst_api_call *call,
                      const struct pst_server_outcome *outcome)
{
    row->organization_pk = call->organization_pk;
    row->organization_id = call->organization_id;
    row->connection_pk = call->connection.pk;
    row->connection_id = call->connection.id;
    copy_text(row->operation, sizeof(row->operation), pst_str_from(call->op->id));
    copy_text(row->actor.text, sizeof(row->actor.text), call->actor);
    copy_sync(row, call, outcome);
    if (outcome->status >= 400)
        copy_text(row->detail, sizeof(row->detail), pst_str_from(call->failure_text));
    else
        copy_finding(row, call);
}

void pst_api_log_request(struct pst_api *api, const struct pst_request *req,
                         const struct pst_id *request_id, const struct pst_server_outcome *outcome)
{
    const struct pst_api_call *call = req && req->route ? req->user : NULL;
    bool is_failure = outcome->status >= 400;
    if (call && (call->op->flags & PST_OP_PUBLIC) && !is_failure)
        return; /* probes, metrics, documentation: of nobody and about nothing */
    struct pst_request_row row = {
        .status = outcome->status,
        .duration_us = outcome->duration_us,
        .bytes = outcome->bytes,
    };
    if (!pst_id_parse(row.id, "req_", pst_id_str(request_id)))
        return;
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | row.id[i]; /* the id was made when it came in */
    row.at = (pst_wall){ms * 1000};
    read_trace_id(row.trace_id, call, request_id);
    if (req)
        copy_text(row.method, sizeof(row.method), pst_str_from(pst_method_name(req->method)));
    if (call)
        copy_call(&row, call, outcome);
    if (is_failure) {
        pst_code code =
            call && call->failure != PST_OK ? call->failure : code_of_status(outcome->status);
        copy_text(row.code, sizeof(row.code), pst_str_from(pst_code_name(code)));
        copy_text(row.cause, sizeof(row.cause),
                  pst_str_from(pst_cause_name(pst_cause_of(code, 0, NULL))));
    }
    bool is_routine = call && call->op->method == PST_METHOD_GET && !is_failure;
    api->options.journal.request(api->options.journal.self, req ? req->loop : 0, is_routine, &row);
}
