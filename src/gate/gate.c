/* gate/gate.c: one call from admission to the observer. */
#include "gate/gate.h"

#include <pthread.h>

#include "base/alloc.h"
#include "gate/echo.h"
#include "gate/refusals.h"

/* Silence that lasted less may be the work of a short timeout of the connection's own. */
#define PATIENCE_US (5 * PST_US_PER_S)

enum { PER_HOST = 4, PER_CONNECTION = 2, OFFLINE_AFTER = 3, PATH_TEXT = 160 };

struct pst_gate {
    struct pst_gate_options options;
    struct pst_http_slots *slots;
    struct pst_http_slots *first; /* of connections that are pending: one call at a time */
    pthread_mutex_t mutex; /* guards breakers, refusals */
    struct pst_breakers *breakers;
    struct pst_refusals refusals;
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
    uint32_t at_once = options->per_host ? options->per_host : PER_HOST;
    uint32_t of_one = options->per_connection ? options->per_connection : PER_CONNECTION;
    int offline_after = options->offline_after ? options->offline_after : OFFLINE_AFTER;
    (void)pthread_mutex_init(&gate->mutex, NULL);
    PST_TRY(pst_http_slots_new(&gate->slots, at_once, of_one, err));
    PST_TRY(pst_http_slots_new(&gate->first, 1, 1, err));
    PST_TRY(pst_breakers_new(&gate->breakers, offline_after, err));
    *out = PST_TAKE(gate);
    return PST_OK;
}

void pst_gate_free(struct pst_gate *gate)
{
    if (!gate)
        return;
    pst_http_slots_free(gate->slots);
    pst_http_slots_free(gate->first);
    pst_breakers_free(gate->breakers);
    (void)pthread_mutex_destroy(&gate->mutex);
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

static void observe(const struct pst_gate_run *run, struct pst_contact *contact)
{
    const struct pst_gate_options *o = &run->gate->options;
    char path[PATH_TEXT];
    if (!o->observe)
        return;
    write_path(path, contact->request);
    contact->path = path;
    contact->number = run->counters.calls;
    contact->span_id = run->span_id;
    contact->connection_id = pst_id_str(&run->connection_id);
    contact->request_id = pst_id_str(&run->request_id);
    contact->sync_id = pst_id_str(&run->sync_id);
    contact->credentials_mark = run->options.credentials_mark;
    contact->trial = run->options.trial;
    contact->klass = pst_contact_classify(contact->code, contact->response->status);
    if (contact->code == PST_OK)
        contact->err = NULL;
    o->observe(o->observe_self, contact);
}

/* ---- breakers ---- */

static pst_mono now_of(const struct pst_gate *gate)
{
    return gate->options.mono ? gate->options.mono() : (pst_mono){0};
}

void pst_gate_set_offline(struct pst_gate *gate, pst_str connection_id, bool is_offline,
                          const char *reason)
{
    struct pst_err ignored;
    (void)pthread_mutex_lock(&gate->mutex);
    (void)!pst_breakers_set(gate->breakers, connection_id, is_offline, reason, &ignored);
    (void)pthread_mutex_unlock(&gate->mutex);
}

void pst_gate_restore(struct pst_gate *gate, pst_str connection_id, const char *origin,
                      const char *reason)
{
    struct pst_err ignored;
    (void)pthread_mutex_lock(&gate->mutex);
    (void)!pst_breakers_restore(gate->breakers, origin, connection_id, reason, &ignored);
    (void)pthread_mutex_unlock(&gate->mutex);
}

bool pst_gate_is_away(struct pst_gate *gate, const char *origin)
{
    (void)pthread_mutex_lock(&gate->mutex);
    bool is_away = pst_breakers_is_away(gate->breakers, origin);
    (void)pthread_mutex_unlock(&gate->mutex);
    return is_away;
}

static void read_reason(const struct pst_gate_run *run, char out[PST_REASON_MAX])
{
    struct pst_gate *gate = run->gate;
    (void)pthread_mutex_lock(&gate->mutex);
    (void)snprintf(out, PST_REASON_MAX, "%s",
                   pst_breakers_reason(gate->breakers, pst_id_str(&run->connection_id)));
    (void)pthread_mutex_unlock(&gate->mutex);
}

static pst_code deny(const struct pst_gate_run *run, struct pst_contact *contact,
                     enum pst_admission admission, struct pst_err *err)
{
    if (admission != PST_ADMIT_NOT_ORIGIN) {
        char reason[PST_REASON_MAX];
        read_reason(run, reason);
        return PST_FAIL(err, PST_E_AWAY, "the system is offline%s%s%s",
                        admission == PST_ADMIT_NOT_NOW ? ", as a try a moment ago found" : "",
                        reason[0] ? ": " : "", reason);
    }
    contact->code =
        PST_FAIL(err, PST_E_AWAY, "'%s' cannot be reached, as calls of other connections found",
                 contact->origin);
    contact->err = err;
    contact->is_denied = true;
    observe(run, contact);
    return contact->code;
}

/* Told once more: whoever stores it may have failed to, when it was refused. */
static pst_code deny_refused(const struct pst_gate_run *run, struct pst_contact *contact,
                             struct pst_err *err)
{
    contact->code =
        PST_FAIL(err, PST_E_REAUTH,
                 "the system refused the credentials; nothing is tried until they change");
    contact->err = err;
    contact->is_denied = true;
    observe(run, contact);
    return contact->code;
}

static struct pst_refusal refusal_of(const struct pst_gate_run *run)
{
    return (struct pst_refusal){.connection_id = run->connection_id,
                                .mark = run->options.credentials_mark,
                                .pending_since = run->options.pending_since};
}

/* Whether the call may be made: asked before it waits in line, so that what is away keeps nobody
 * waiting, and again when its turn has come, since much may have happened meanwhile. */
static pst_code admit(const struct pst_gate_run *run, struct pst_breaker_call *call,
                      struct pst_contact *contact, struct pst_err *err)
{
    struct pst_gate *gate = run->gate;
    enum pst_admission admission = PST_ADMIT;
    const struct pst_refusal credentials = refusal_of(run);
    call->began = contact->began = now_of(gate);
    (void)pthread_mutex_lock(&gate->mutex);
    bool is_refused = pst_refusals_has(&gate->refusals, &credentials);
    pst_code code = PST_OK;
    if (!is_refused)
        code = pst_breakers_admit(gate->breakers, call->began, call, &admission, err);
    (void)pthread_mutex_unlock(&gate->mutex);
    if (is_refused)
        return deny_refused(run, contact, err);
    PST_TRY(code);
    return admission == PST_ADMIT ? PST_OK : deny(run, contact, admission, err);
}

/* What one connection's settings may have broken is not held against its origin: certificates
 * that only it does not trust, a timeout shorter than others'. */
static bool is_private(const struct pst_http_request *request,
                       const struct pst_http_response *response)
{
    if (response->fault == PST_FAULT_TLS)
        return request->ca_pem.len > 0;
    return response->fault == PST_FAULT_TIMEOUT && response->timing.total_us < PATIENCE_US;
}

/* Gives back what was admitted, with what the call told of its origin. */
static void release(const struct pst_gate_run *run, const struct pst_breaker_call *call,
                    struct pst_contact *contact, bool was_made)
{
    struct pst_gate *gate = run->gate;
    bool is_up = contact->response->status != 0;
    enum pst_contact_class klass = pst_contact_classify(contact->code, contact->response->status);
    contact->is_private = is_private(contact->request, contact->response);
    bool is_down = was_made && klass == PST_CONTACT_UNREACHABLE && !contact->is_private;
    bool is_refused = klass == PST_CONTACT_REFUSED || (contact->code == PST_E_SYSTEM_DENIED &&
                                                       run->options.trial == PST_TRIAL_PROBE);
    const struct pst_refusal credentials = refusal_of(run);
    contact->is_confirmed = is_down && call->is_of_origin;
    (void)pthread_mutex_lock(&gate->mutex);
    if (was_made && is_refused)
        pst_refusals_add(&gate->refusals, &credentials);
    else if (was_made && klass == PST_CONTACT_GOOD)
        pst_refusals_drop(&gate->refusals, &credentials);
    contact->has_returned = is_up && pst_breakers_is_away(gate->breakers, contact->origin);
    pst_breakers_ended(gate->breakers, now_of(gate), call, is_down, is_up);
    (void)pthread_mutex_unlock(&gate->mutex);
}

/* ---- the call ---- */

/* It has a slot. */
static pst_code make_call(struct pst_gate_run *run, const struct pst_http_request *full,
                          struct pst_contact *contact, struct pst_arena *arena,
                          struct pst_http_response *response, struct pst_err *err)
{
    pst_code code = pst_http_call(run->options.http, full, arena, response, err);
    run->counters.bytes += response->body.len;
    run->counters.wire_bytes += response->wire_bytes;
    run->counters.wait_us += contact->waited_us + response->timing.total_us;
    if (code == PST_OK) {
        code = pst_gate_classify(full, response, run->options.connector, err);
        if (code != PST_OK)
            read_retry_after(response, err);
    }
    return code;
}

/* The time in line is ours: what is left of the deadline afterwards is for the system. */
static void put_off(struct pst_http_request *full, int64_t waited_us)
{
    if (full->deadline.ns != 0)
        full->deadline.ns += waited_us * 1000;
}

/* The places that a call waits for and holds. */
struct turn {
    struct pst_http_slot *first, *slot;
};

static pst_code take_turn(struct pst_gate_run *run, const struct pst_http_request *full,
                          struct pst_contact *contact, struct turn *turn, struct pst_err *err)
{
    struct pst_gate *gate = run->gate;
    int64_t waited_us = 0;
    struct pst_http_wait wait = {.host = pst_id_str(&run->connection_id),
                                 .deadline = full->deadline,
                                 .cancel = full->cancel};
    /* Credentials that nobody has tried are not tried twice at once. */
    if (run->options.pending_since.us != 0)
        PST_TRY(pst_http_slot_take(gate->first, &wait, &turn->first, &waited_us, err));
    wait.host = pst_str_host(pst_str_from(contact->origin));
    wait.owner = pst_id_str(&run->connection_id);
    PST_TRY(pst_http_slot_take(gate->slots, &wait, &turn->slot, &contact->waited_us, err));
    contact->waited_us += waited_us;
    return PST_OK;
}

static void give_turn(struct pst_gate *gate, struct turn *turn)
{
    if (turn->slot)
        pst_http_slot_give(gate->slots, turn->slot);
    if (turn->first)
        pst_http_slot_give(gate->first, turn->first);
}

/* Waits for its turn, and calls. false: no call was made. */
static bool call_in_turn(struct pst_gate_run *run, struct pst_http_request *full,
                         struct pst_breaker_call *call, struct pst_contact *contact,
                         struct pst_arena *arena, struct pst_http_response *response,
                         struct pst_err *err)
{
    bool was_made = false;
    struct turn turn = {0};
    contact->code = take_turn(run, full, contact, &turn, err);
    if (contact->code == PST_OK) {
        put_off(full, contact->waited_us);
        contact->code = admit(run, call, contact, err);
    }
    if (contact->code == PST_OK) {
        contact->code = make_call(run, full, contact, arena, response, err);
        /* A deadline that was over before anything was sent says nothing about the system. */
        was_made = contact->code != PST_E_TIMEOUT || response->timing.total_us > 0;
    }
    contact->err = err;
    release(run, call, contact, was_made); /* before the next one's turn, which asks for it */
    give_turn(run->gate, &turn);
    return was_made;
}

pst_code pst_gate_call(void *self, const struct pst_http_request *request, struct pst_arena *arena,
                       struct pst_http_response *response, struct pst_err *err)
{
    struct pst_gate_run *run = self;
    struct pst_http_request full = complete(run, request);
    char origin[PST_ORIGIN_TEXT];
    struct pst_contact contact = {.origin = origin, .request = &full, .response = response};
    struct pst_breaker_call admitted = {.origin = origin,
                                        .connection = pst_id_str(&run->connection_id),
                                        .trial = run->options.trial};
    *response = (struct pst_http_response){.fault = PST_FAULT_LOCAL};
    PST_TRY(pst_http_origin(origin, full.url, err));
    if (full.cancel && atomic_load_explicit(full.cancel, memory_order_relaxed))
        return PST_FAIL(err, PST_E_CANCELLED, "cancelled");
    PST_TRY(add_trace(run, &full, arena, err));

    PST_TRY(admit(run, &admitted, &contact, err));
    if (call_in_turn(run, &full, &admitted, &contact, arena, response, err)) {
        run->counters.calls++;
        observe(run, &contact);
    }
    return contact.code;
}
