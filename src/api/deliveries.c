/* api/deliveries.c: what was sent to a webhook endpoint, sending it again, and trying it out. */
#include "api/hooks.h"
#include "event/event.h"
#include "store/events.h"

enum { ATTEMPTS_MAX = 100, RANGE_BATCH = 1000 };

/* ---- showing ---- */

static const char *status_of(const struct pst_delivery *d, bool is_held)
{
    if (d->status == PST_DELIVERY_WAITING && is_held)
        return "held";
    return pst_delivery_status_name(d->status);
}

/* When it is due, or the whole endpoint, whichever is later; none where nothing is sent. */
static pst_wall next_attempt_at(const struct pst_endpoint *e, const struct pst_delivery *d)
{
    const struct pst_endpoint_health *h = &e->health;
    if (d->status != PST_DELIVERY_WAITING || pst_hook_is_off(e))
        return PST_WALL_NONE;
    bool is_paused = !pst_wall_is_none(h->open_since) && !d->is_sample;
    return is_paused && h->probe_at.us > d->tries.due_at.us ? h->probe_at : d->tries.due_at;
}

static void put_status_or_null(struct pst_json_writer *w, const char *name, int64_t status)
{
    if (status)
        pst_json_add_i64(w, name, status);
    else
        pst_json_add_null(w, name);
}

static void put_delivery(struct pst_json_writer *w, const struct pst_endpoint *e,
                         const struct pst_delivery *d)
{
    pst_json_add_str(w, "id", pst_id_str(&d->id));
    pst_json_add_str(w, "webhook_id", pst_id_str(&e->id));
    pst_json_add_str(w, "event_id", pst_id_str(&d->event_id));
    pst_json_add_str(w, "type", d->type);
    pst_json_add_text(w, "connection_id", pst_id_str(&d->connection_id));
    pst_json_add_i64(w, "sequence", d->sequence);
    pst_json_add_bool(w, "sample", d->is_sample);
    pst_json_add_z(w, "status", status_of(d, pst_hook_is_off(e)));
    pst_json_add_i64(w, "attempts_made", d->tries.attempts);
    pst_json_add_wall(w, "next_attempt_at", next_attempt_at(e, d));
    put_status_or_null(w, "last_status", d->last_status);
    pst_json_add_text(w, "last_error", d->last_error);
    pst_json_add_wall(w, "created_at", d->created_at);
    pst_json_add_wall(w, "ended_at", d->ended_at);
}

static void put_attempt(struct pst_json_writer *w, const struct pst_attempt *a)
{
    char ms[40];
    (void)snprintf(ms, sizeof(ms), "%lld.%lld", (long long)(a->duration_us / 1000),
                   (long long)(a->duration_us / 100 % 10));
    pst_json_begin_object(w);
    pst_json_add_i64(w, "number", a->number);
    pst_json_add_wall(w, "at", a->at);
    pst_json_add_raw(w, "duration_ms", pst_str_from(ms));
    put_status_or_null(w, "status", a->status);
    pst_json_add_text(w, "error", a->error);
    pst_json_add_str(w, "response", a->response);
    pst_json_end_object(w);
}

/* ---- lists ---- */

/* "waiting,held,failed" as bits of the store's statuses. *none: nothing can match. */
static pst_code read_statuses(const struct pst_api_call *call, unsigned *bits, bool *none,
                              struct pst_err *err)
{
    pst_str left = pst_api_query(call, "status");
    bool is_held = pst_hook_is_off(&call->webhook);
    bool any = left.len > 0;
    *bits = 0;
    while (left.ptr) {
        pst_str name = pst_str_split(&left, ',');
        if (pst_str_is(name, "delivered"))
            *bits |= 1U << PST_DELIVERY_DELIVERED;
        else if (pst_str_is(name, "failed"))
            *bits |= 1U << PST_DELIVERY_FAILED;
        else if (pst_str_is(name, is_held ? "held" : "waiting"))
            *bits |= 1U << PST_DELIVERY_WAITING;
        else if (!pst_str_is(name, "held") && !pst_str_is(name, "waiting"))
            return PST_FAIL_AT(
                err, PST_E_INVALID, "status",
                "'%.*s' is no status of a delivery: waiting, held, delivered, failed",
                PST_STR_ARG(pst_str_sub(name, 0, 60)));
    }
    *none = any && *bits == 0;
    return PST_OK;
}

pst_code pst_api_list_deliveries(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_delivery *list = NULL;
    size_t count = 0;
    int64_t last = 0;
    bool more = false;
    bool none = false;
    struct pst_delivery_query query = {
        .endpoint_pk = call->webhook.pk,
        .types = pst_api_query(call, "type"),
        .since = pst_api_query_wall(call, "since"),
        .until = pst_api_query_wall(call, "until"),
        .limit = (size_t)pst_api_query_i64(call, "limit"),
    };
    PST_TRY(pst_api_cursor_read(call, &query.before_event_pk, err));
    PST_TRY(read_statuses(call, &query.statuses, &none, err));
    PST_TRY(pst_hook_types_check(call, "type", err));
    PST_TRY(pst_api_query_connection(call, -1, &query.connection_pk, err));
    if (!none)
        PST_TRY(pst_deliveries_list(call->reader, &query, call->arena, &list, &count, &last, &more,
                                    err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        pst_json_begin_object(&w);
        put_delivery(&w, &call->webhook, &list[i]);
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, last);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code find_delivery(struct pst_db_conn *conn, const struct pst_api_call *call,
                              struct pst_delivery *out, struct pst_err *err)
{
    pst_str id = pst_request_param(call->req, "delivery_id");
    pst_code code = pst_deliveries_get(conn, call->webhook.pk, id, call->arena, out, err);
    if (code == PST_E_NOT_FOUND)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no delivery '%.*s' to this webhook",
                        PST_STR_ARG(pst_str_sub(id, 0, 100)));
    return code;
}

pst_code pst_api_get_delivery(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_delivery d;
    struct pst_attempt *attempts = NULL;
    size_t count = 0;
    PST_TRY(find_delivery(call->reader, call, &d, err));
    PST_TRY(pst_deliveries_attempts(call->reader, d.pk, ATTEMPTS_MAX, call->arena, &attempts,
                                    &count, err));
    pst_api_begin(call, &w);
    put_delivery(&w, &call->webhook, &d);
    pst_json_add_array(&w, "attempts");
    for (size_t i = 0; i < count; i++)
        put_attempt(&w, &attempts[i]);
    pst_json_end_array(&w);
    pst_json_add_raw(&w, "event", d.body);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* ---- once more, and tests ---- */

struct sending {
    struct pst_api_call *call;
    pst_str type; /* of a test */
    struct pst_endpoint endpoint; /* as it is inside the job */
    struct pst_delivery delivery;
};

static pst_code answer(struct sending *s, struct pst_err *err)
{
    struct pst_json_writer w;
    pst_api_begin(s->call, &w);
    put_delivery(&w, &s->endpoint, &s->delivery);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code read_endpoint(struct pst_db_conn *conn, struct sending *s, struct pst_err *err)
{
    const struct pst_api_call *call = s->call;
    return pst_endpoints_get(conn, call->organization_pk, pst_id_str(&call->webhook.id),
                             call->arena, &s->endpoint, err);
}

static pst_code resend_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct sending *s = arg;
    struct pst_api_call *call = s->call;
    pst_str detail = {NULL, 0};
    PST_TRY(read_endpoint(conn, s, err));
    PST_TRY(find_delivery(conn, call, &s->delivery, err));
    PST_TRY(pst_deliveries_resend(conn, s->delivery.pk, call->now, err));
    PST_TRY(pst_arena_printf(call->arena, &detail, err, "{\"delivery_id\":\"%s\"}",
                             s->delivery.id.text));
    PST_TRY(pst_api_audit(conn, call, "webhook.resend", pst_id_str(&s->endpoint.id), detail, err));
    return find_delivery(conn, call, &s->delivery, err);
}

pst_code pst_api_resend_delivery(struct pst_api_call *call, struct pst_err *err)
{
    struct sending s = {.call = call};
    PST_TRY(pst_db_write(call->api->options.db, resend_in_job, &s, err));
    return answer(&s, err);
}

static pst_code test_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct sending *s = arg;
    struct pst_api_call *call = s->call;
    struct pst_event event;
    struct pst_id unique = call->api->options.new_id("evt_");
    pst_str detail = {NULL, 0};
    PST_TRY(read_endpoint(conn, s, err));
    if (pst_hook_is_off(&s->endpoint))
        return PST_FAIL(err, PST_E_WEBHOOK_DISABLED, "the webhook is %s: enable it first",
                        s->endpoint.enabled ? "disabled" : "off");
    PST_TRY(pst_event_add_sample(conn, call->organization_pk, s->endpoint.connection_pk, s->type,
                                 pst_id_str(&unique), call->now, call->arena, &event, err));
    PST_TRY(
        pst_deliveries_add_sample(conn, s->endpoint.pk, event.pk, call->now, &s->delivery, err));
    PST_TRY(pst_arena_printf(call->arena, &detail, err,
                             "{\"delivery_id\":\"%s\",\"type\":\"%.*s\"}", s->delivery.id.text,
                             PST_STR_ARG(s->type)));
    PST_TRY(pst_api_audit(conn, call, "webhook.test", pst_id_str(&s->endpoint.id), detail, err));
    struct pst_id id = s->delivery.id;
    return pst_deliveries_get(conn, s->endpoint.pk, pst_id_str(&id), call->arena, &s->delivery,
                              err);
}

pst_code pst_api_test_webhook(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"type", NULL};
    struct sending s = {.call = call, .type = PST_STR("sync.completed")};
    if (call->body) {
        PST_TRY(pst_json_only(call->body, "test", members, err));
        PST_TRY(pst_json_opt_str(call->body, "type", &s.type, err));
    }
    if (s.type.len > PST_HOOK_TYPE_MAX || !pst_event_type_find(s.type))
        return PST_FAIL_AT(err, PST_E_INVALID, "type",
                           "'type' is one of GET /v1/event-types, or flow.NAME with a name of "
                           "your own");
    PST_TRY(pst_db_write(call->api->options.db, test_in_job, &s, err));
    return answer(&s, err);
}

/* ---- a range ---- */

struct resending {
    struct pst_api_call *call;
    struct pst_delivery_range range;
    int64_t cursor, count;
    pst_str detail;
};

/* One batch: the writer has other jobs, too. The first notes who asked for it. */
static pst_code batch_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct resending *r = arg;
    struct pst_api_call *call = r->call;
    if (r->cursor == 0)
        PST_TRY(pst_api_audit(conn, call, "webhook.resend", pst_id_str(&call->webhook.id),
                              r->detail, err));
    return pst_deliveries_resend_range(conn, &r->range, RANGE_BATCH, call->now, &r->cursor,
                                       &r->count, err);
}

static pst_code read_time(yyjson_val *body, const char *name, pst_wall *out, struct pst_err *err)
{
    pst_str text = {NULL, 0};
    *out = PST_WALL_NONE;
    PST_TRY(pst_json_opt_str(body, name, &text, err));
    if (text.ptr && !pst_wall_parse(out, text))
        return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' is a time such as 2026-11-24T06:30:00Z",
                           name);
    return PST_OK;
}

static pst_code read_range(struct resending *r, struct pst_err *err)
{
    static const char *const members[] = {"since", "until", "status", NULL};
    yyjson_val *body = r->call->body;
    pst_str status = PST_STR("failed");
    char since[PST_WALL_TEXT];
    char until[PST_WALL_TEXT];
    PST_TRY(pst_json_only(body, "range", members, err));
    PST_TRY(read_time(body, "since", &r->range.since, err));
    PST_TRY(read_time(body, "until", &r->range.until, err));
    PST_TRY(pst_json_opt_str(body, "status", &status, err));
    r->range.all = pst_str_is(status, "all");
    if (pst_wall_is_none(r->range.since))
        return PST_FAIL_AT(err, PST_E_INVALID, "since",
                           "'since' is missing: from when on events are sent again");
    if (!pst_wall_is_none(r->range.until) && r->range.until.us <= r->range.since.us)
        return PST_FAIL_AT(err, PST_E_INVALID, "until", "'until' has to be later than 'since'");
    if (!r->range.all && !pst_str_is(status, "failed"))
        return PST_FAIL_AT(err, PST_E_INVALID, "status", "'status' is 'failed' or 'all'");
    (void)pst_wall_format(since, r->range.since);
    (void)pst_wall_format(until, r->range.until);
    return pst_arena_printf(r->call->arena, &r->detail, err,
                            "{\"since\":\"%s\",\"until\":\"%s\",\"status\":\"%.*s\"}", since, until,
                            PST_STR_ARG(status));
}

pst_code pst_api_resend_range(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct resending r = {
        .call = call,
        .range = {.endpoint_pk = call->webhook.pk, .organization_pk = call->organization_pk}};
    PST_TRY(read_range(&r, err));
    while (r.cursor >= 0) {
        if (atomic_load(&call->api->stopping))
            return PST_FAIL(err, PST_E_UNAVAILABLE,
                            "the server is stopping; %lld deliveries were queued, ask again for "
                            "the rest",
                            (long long)r.count);
        PST_TRY(pst_db_write(call->api->options.db, batch_in_job, &r, err));
    }
    pst_api_begin(call, &w);
    pst_json_add_i64(&w, "queued", r.count);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
