/* gate/gate.c: one call from admission to the observer. */
#include "gate/gate.h"

#include "base/alloc.h"
#include "gate/echo.h"

enum { PER_ORIGIN = 4, PER_CONNECTION = 2, PATH_TEXT = 160 };

struct pst_gate {
    struct pst_gate_options options;
    struct pst_http_slots *slots;
};

struct pst_gate_run {
    struct pst_gate *gate;
    struct pst_gate_run_options options;
    struct pst_id connection_id, request_id, sync_id;
    struct pst_gate_counters counters;
    bool is_traced;
    struct pst_trace trace;
    uint8_t span_id[PST_SPAN_ID]; /* of the call in hand */
    char traceparent[PST_TRACEPARENT_TEXT];
};

pst_code pst_gate_new(struct pst_gate **out, const struct pst_gate_options *options,
                      struct pst_err *err)
{
    void *p = NULL;
    PST_TRY(pst_new(&p, sizeof(struct pst_gate), err));
    PST_AUTO(gate) struct pst_gate *gate = p;
    gate->options = *options;
    uint32_t at_once = options->per_origin ? options->per_origin : PER_ORIGIN;
    uint32_t of_one = options->per_connection ? options->per_connection : PER_CONNECTION;
    PST_TRY(pst_http_slots_new(&gate->slots, at_once, of_one, err));
    *out = PST_TAKE(gate);
    return PST_OK;
}

void pst_gate_free(struct pst_gate *gate)
{
    if (!gate)
        return;
    pst_http_slots_free(gate->slots);
    pst_free(gate);
}

static pst_code copy_id(struct pst_id *out, pst_str text, struct pst_err *err)
{
    if (!pst_str_copy(out->text, sizeof(out->text), text))
        return PST_FAIL(err, PST_E_INVALID, "an id is too long");
    return PST_OK;
}

static void begin_trace(struct pst_gate_run *run, const struct pst_trace *given)
{
    uint8_t id[PST_TRACE_ID];
    run->is_traced = run->gate->options.random != NULL;
    if (given)
        run->trace = *given;
    else if (pst_id_parse(id, "sync_", pst_id_str(&run->sync_id)) ||
             pst_id_parse(id, "req_", pst_id_str(&run->request_id)))
        pst_trace_begin(&run->trace, id);
    else
        run->is_traced = false;
}

pst_code pst_gate_begin(struct pst_gate_run **out, struct pst_gate *gate,
                        const struct pst_gate_run_options *options, struct pst_err *err)
{
    void *p = NULL;
    PST_TRY(pst_new(&p, sizeof(struct pst_gate_run), err));
    PST_AUTO(gate_run) struct pst_gate_run *run = p;
    run->gate = gate;
    run->options = *options;
    PST_TRY(copy_id(&run->connection_id, options->connection_id, err));
    PST_TRY(copy_id(&run->request_id, options->request_id, err));
    PST_TRY(copy_id(&run->sync_id, options->sync_id, err));
    begin_trace(run, options->trace);
    pst_http_reset(options->http);
    *out = PST_TAKE(run);
    return PST_OK;
}

void pst_gate_end(struct pst_gate_run *run)
{
    if (!run)
        return;
    pst_http_reset(run->options.http);
    pst_free(run);
}

struct pst_gate_counters pst_gate_counters(const struct pst_gate_run *run)
{
    return run->counters;
}

static void default_limit(int64_t *value, int64_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

/* The caller's request with what the run and the configuration add to it. */
static struct pst_http_request complete(const struct pst_gate_run *run,
                                        const struct pst_http_request *request)
{
    const struct pst_http_limits *l = &run->gate->options.limits;
    struct pst_http_request r = *request;
    default_limit(&r.limits.connect_ms, l->connect_ms);
    default_limit(&r.limits.first_byte_ms, l->first_byte_ms);
    default_limit(&r.limits.total_ms, l->total_ms);
    default_limit(&r.limits.slow_ms, l->slow_ms);
    default_limit(&r.limits.slow_bytes_per_s, l->slow_bytes_per_s);
    if (r.limits.max_body_bytes == 0)
        r.limits.max_body_bytes = l->max_body_bytes;
    if (r.limits.max_ratio == 0)
        r.limits.max_ratio = l->max_ratio;
    r.cancel = run->options.cancel;
    if (run->options.deadline.ns != 0 &&
        (r.deadline.ns == 0 || run->options.deadline.ns < r.deadline.ns))
        r.deadline = run->options.deadline;
    return r;
}

/* Each call is a span of its own. */
static pst_code add_trace(struct pst_gate_run *run, struct pst_http_request *r,
                          struct pst_arena *arena, struct pst_err *err)
{
    struct pst_http_header *headers = NULL;
    size_t n = r->header_count;
    if (!run->is_traced)
        return PST_OK;
    PST_TRY(pst_arena_array(arena, &headers, n + 2, sizeof(*headers), err));
    if (n)
        memcpy(headers, r->headers, n * sizeof(*headers));
    run->gate->options.random(run->span_id, sizeof(run->span_id));
    pst_trace_format(run->traceparent, &run->trace, run->span_id);
    headers[n++] = (struct pst_http_header){PST_STR("traceparent"), pst_str_from(run->traceparent)};
    if (run->trace.state[0])
        headers[n++] =
            (struct pst_http_header){PST_STR("tracestate"), pst_str_from(run->trace.state)};
    r->headers = headers;
    r->header_count = n;
    return PST_OK;
}

/* The URL's path; "..." in the place of one that has the password in it. */
static void write_path(char out[PATH_TEXT], const struct pst_http_request *request)
{
    pst_str url = request->url;
    size_t scheme = pst_str_index(url, ':');
    pst_str rest = pst_str_sub(url, scheme + 3, url.len);
    pst_str path = pst_str_sub(rest, pst_str_index(rest, '/'), rest.len);
    path = pst_str_sub(path, 0, pst_str_index(path, '#'));
    path = pst_str_sub(path, 0, pst_str_index(path, '?'));
    if (pst_gate_echoes(request, path))
        path = PST_STR("...");
    (void)pst_str_copy(out, PATH_TEXT, pst_str_sub(path, 0, PATH_TEXT - 1));
}

static void read_retry_after(const struct pst_http_response *response, struct pst_err *err)
{
    pst_wall now;
    /* A date is taken against the peer's own clock; without one only seconds are understood. */
    if (!pst_http_date_parse(&now, response->date))
        now = (pst_wall){INT64_MAX};
    int seconds = pst_http_retry_after_s(response->retry_after, now);
    if (seconds > 0)
        err->retry_after_s = seconds;
}

static void observe(const struct pst_gate_run *run, const char *origin, int64_t waited_us,
                    const struct pst_http_request *request,
                    const struct pst_http_response *response, pst_code code,
                    const struct pst_err *err)
{
    const struct pst_gate_options *o = &run->gate->options;
    char path[PATH_TEXT];
    if (!o->observe)
        return;
    write_path(path, request);
    const struct pst_contact contact = {
        .connection_id = pst_id_str(&run->connection_id),
        .request_id = pst_id_str(&run->request_id),
        .sync_id = pst_id_str(&run->sync_id),
        .credentials_mark = run->options.credentials_mark,
        .origin = origin,
        .request = request,
        .response = response,
        .code = code,
        .klass = pst_contact_classify(code, response->status),
        .err = code == PST_OK ? NULL : err,
        .number = run->counters.calls,
        .waited_us = waited_us,
        .path = path,
        .span_id = run->span_id,
    };
    o->observe(o->observe_self, &contact);
}

pst_code pst_gate_call(void *self, const struct pst_http_request *request, struct pst_arena *arena,
                       struct pst_http_response *response, struct pst_err *err)
{
    struct pst_gate_run *run = self;
    struct pst_http_request full = complete(run, request);
    char origin[PST_ORIGIN_TEXT];
    struct pst_http_slot *slot = NULL;
    int64_t waited_us = 0;
    *response = (struct pst_http_response){.fault = PST_FAULT_LOCAL};
    PST_TRY(pst_http_origin(origin, full.url, err));
    if (full.cancel && atomic_load_explicit(full.cancel, memory_order_relaxed))
        return PST_FAIL(err, PST_E_CANCELLED, "cancelled");
    PST_TRY(add_trace(run, &full, arena, err));

    const struct pst_http_wait wait = {.origin = origin,
                                       .owner = pst_id_str(&run->connection_id),
                                       .deadline = full.deadline,
                                       .cancel = full.cancel};
    PST_TRY(pst_http_slot_take(run->gate->slots, &wait, &slot, &waited_us, err));
    pst_code code = pst_http_call(run->options.http, &full, arena, response, err);
    pst_http_slot_give(run->gate->slots, slot);

    run->counters.calls++;
    run->counters.bytes += response->body.len;
    run->counters.wire_bytes += response->wire_bytes;
    run->counters.wait_us += waited_us + response->timing.total_us;
    if (code == PST_OK) {
        code = pst_gate_classify(&full, response, run->options.connector, err);
        if (code != PST_OK)
            read_retry_after(response, err);
    }
    /* A deadline that was over before anything was sent says nothing about the system. */
    bool was_made = code != PST_E_TIMEOUT || response->timing.total_us > 0;
    if (was_made)
        observe(run, origin, waited_us, &full, response, code, err);
    return code;
}
