/* webhook/send.c: attempts: from a delivery to a request, from an answer to what follows. */
#include "base/alloc.h"
#include "base/log.h"
#include "base/vec.h"
#include "event/event.h"
#include "webhook/internal.h"

enum {
    PER_ENDPOINT = 8,
    IN_FLIGHT = 512,
    SLOW_S = 1,
};

/* ---- attempts in flight ---- */

static pst_code begin_attempt(struct pst_hooks *h, struct pst_hook_attempt **out,
                              struct pst_err *err)
{
    struct pst_hook_attempt *a = h->free_attempts;
    if (a)
        h->free_attempts = a->next;
    else
        PST_TRY(pst_new((void **)&a, sizeof(*a), err));
    *a = (struct pst_hook_attempt){.hooks = h, .at = h->wall, .begin = h->now, .prev = h->newest};
    *(h->newest ? &h->newest->next : &h->oldest) = a;
    h->newest = a;
    if (!h->young)
        h->young = a;
    h->in_flight++;
    *out = a;
    return PST_OK;
}

static void end_attempt(struct pst_hooks *h, struct pst_hook_attempt *a)
{
    if (h->young == a)
        h->young = a->next;
    h->slow -= a->is_slow;
    h->in_flight--;
    *(a->prev ? &a->prev->next : &h->oldest) = a->next;
    *(a->next ? &a->next->prev : &h->newest) = a->prev;
    pst_hook_batch_unref(h, a->batch);
    a->next = h->free_attempts;
    h->free_attempts = a;
}

static void mark_slow(struct pst_hooks *h)
{
    while (h->young && h->now.ns - h->young->begin.ns > SLOW_S * PST_NS_PER_S) {
        h->young->is_slow = true;
        h->slow++;
        h->young = h->young->next;
    }
}

/* ---- what an answer means ---- */

static bool is_success(int status)
{
    return status >= 200 && status < 300;
}

/* Our own trouble says nothing about the receiver. */
static bool is_local(pst_code code)
{
    return code == PST_E_NO_MEMORY || code == PST_E_UNAVAILABLE || code == PST_E_CANCELLED;
}

/* Refused, unknown and silent addresses look alike to the users of an organization, or a webhook
 * would be a scanner of the operator's network; the log tells the operator which it was. */
static bool is_unreached(const struct pst_fleet_answer *answer)
{
    return answer->fault == PST_FAULT_EGRESS || answer->fault == PST_FAULT_DNS ||
           answer->fault == PST_FAULT_CONNECT;
}

static void log_unreached(const struct pst_hook_endpoint *e, const struct pst_fleet_answer *answer)
{
    if (is_unreached(answer))
        PST_LOG(PST_LOG_INFO, "a receiver cannot be reached",
                PST_F_ID("webhook_id", &e->settings.id), PST_F_STR("error", answer->error));
}

static struct pst_hook_outcome outcome_of(const struct pst_fleet_answer *answer, pst_wall now,
                                          char text[PST_HOOK_TEXT])
{
    struct pst_hook_outcome o = {
        .status = answer->code == PST_OK ? answer->status : 0,
        .is_timeout = answer->fault == PST_FAULT_TIMEOUT,
        .is_local = is_local(answer->code),
        .retry_after_s = pst_http_retry_after_s(answer->retry_after, now),
        .error = pst_str_sub(answer->error, 0, PST_HOOK_TEXT),
    };
    if (is_unreached(answer))
        o.error = PST_STR("the receiver cannot be reached: wrong or closed address, unknown name, "
                          "or nobody answers there");
    if (answer->code != PST_OK || is_success(o.status))
        return o;
    const char *more = "";
    if (o.status >= 300 && o.status < 400)
        more = "; redirects are not followed";
    int len =
        snprintf(text, PST_HOOK_TEXT, "the receiver answered with status %d%s", o.status, more);
    o.error = (pst_str){text, (size_t)len};
    return o;
}

static void count_outcome(struct pst_hooks *h, const struct pst_hook_outcome *o,
                          const struct pst_delivery_result *r)
{
#define COUNT(name, n) atomic_fetch_add_explicit(&h->stats.name, (n), memory_order_relaxed)
    COUNT(attempts, 1);
    COUNT(duration_us, (uint64_t)r->attempt.duration_us);
    if (is_success(o->status))
        COUNT(delivered, 1);
    else if (o->status > 0)
        COUNT(refused, 1);
    else
        COUNT(unreachable, 1);
    if (r->status == PST_DELIVERY_FAILED)
        COUNT(given_up, 1);
#undef COUNT
}

/* A sample is tried once and says nothing about its endpoint. */
static enum pst_delivery_status step_sample(struct pst_delivery_tries *tries,
                                            const struct pst_hook_outcome *o, pst_wall now)
{
    tries->attempts++;
    tries->tries++;
    if (pst_wall_is_none(tries->first_try_at))
        tries->first_try_at = now;
    return is_success(o->status) ? PST_DELIVERY_DELIVERED : PST_DELIVERY_FAILED;
}

/* The endpoint is still what the attempt was made to. */
static bool is_current(const struct pst_hook_attempt *a)
{
    return a->version == a->endpoint->settings.version;
}

/* An outcome of what a user has changed since says how the delivery goes on, and nothing about the
 * endpoint. When the user said that it is well, a failure of before says nothing about the delivery
 * either: it is due, if only for a last try. */
static enum pst_delivery_status step_stale(struct pst_hooks *h, const struct pst_hook_attempt *a,
                                           struct pst_delivery_tries *tries,
                                           const struct pst_hook_outcome *o, pst_wall now)
{
    const struct pst_hook_endpoint *e = a->endpoint;
    struct pst_endpoint_health health = e->settings.health;
    struct pst_hook_decision d =
        pst_hook_step(&health, tries, e->settings.horizon_ms, o, now, h->options.random());
    if (is_success(o->status) || o->is_local || a->version >= e->well_version)
        return d.status;
    tries->due_at = now;
    tries->refused_status = tries->refused_count = 0;
    return PST_DELIVERY_WAITING;
}

static enum pst_delivery_status step(struct pst_hooks *h, const struct pst_hook_attempt *a,
                                     struct pst_delivery_tries *tries,
                                     const struct pst_hook_outcome *o, pst_wall now)
{
    struct pst_hook_endpoint *e = a->endpoint;
    bool is_slow = h->now.ns - a->begin.ns > SLOW_S * PST_NS_PER_S;
    struct pst_endpoint_health *health = &e->settings.health;
    pst_wall failing_since = health->failing_since;
    bool was_well = health->failures == 0 && pst_wall_is_none(failing_since);
    struct pst_hook_decision d =
        pst_hook_step(health, tries, e->settings.horizon_ms, o, now, h->options.random());
    if (o->is_local)
        return d.status;
    /* The words move to where the next outcome does not take them along. */
    pst_str words = health->last_error;
    if (words.len > 0)
        memcpy(e->last_error, words.ptr, words.len);
    health->last_error = (pst_str){e->last_error, words.len};
    uint32_t most = h->options.per_endpoint ? h->options.per_endpoint : PER_ENDPOINT;
    if (!is_success(o->status) || is_slow)
        e->window = 1;
    else if (e->window < most)
        e->window++;
    if (d.breaker_closed) {
        e->hasten_after = PST_LANE_LOOSE;
        e->hasten_since = failing_since;
    }
    e->was_disabled = e->was_disabled || d.disabled;
    if (!pst_wall_is_none(health->open_since))
        pst_hook_endpoint_close(e); /* not needed for a while, and guarded memory is dear */
    pst_hook_endpoint_touch(h, e, !was_well || !is_success(o->status));
    return d.status;
}

/* ---- what follows for the lane ---- */

static void move_on(struct pst_hooks *h, struct pst_hook_lane *lane, const struct pst_delivery *d)
{
    lane->after = d->event_pk;
    if (lane->batch && ++lane->at == lane->batch->count) {
        bool is_drained = lane->is_drained;
        pst_hook_lane_drop_batch(h, lane);
        lane->is_drained = is_drained;
    }
}

/* The lane stands before d until `due`. */
static void stand_still(struct pst_hooks *h, struct pst_hook_lane *lane, pst_wall due)
{
    pst_hook_lane_drop_batch(h, lane);
    lane->must_commit = true;
    pst_hook_lane_wait(h, lane, due);
}

/* Where it stood is not known to the store before the commit: sent after a crash, the next one
 * would have overtaken this one. */
static void give_up(struct pst_hooks *h, struct pst_hook_lane *lane, const struct pst_delivery *d)
{
    move_on(h, lane, d);
    lane->must_commit = true;
}

/* The outcome is not written: it will be tried again, though it may have arrived. */
static void forget_attempt(struct pst_hooks *h, struct pst_hook_lane *lane,
                           const struct pst_delivery *d)
{
    if (d->is_loose)
        pst_hook_close(lane->endpoint, d->pk);
    pst_hook_lane_drop_batch(h, lane);
    pst_hook_lane_wait(h, lane, PST_WALL_NONE);
}

/* Headers that were sent and are not known any more cannot be found in it: then nothing is kept. */
static pst_str kept_response(const struct pst_hook_attempt *a, char kept[PST_FLEET_KEPT],
                             pst_str body)
{
    if (a->has_headers && (!is_current(a) || !a->endpoint->has_keys))
        return (pst_str){0};
    return pst_hook_redact(kept, a->endpoint, body);
}

static void go_on(struct pst_hooks *h, struct pst_hook_lane *lane, const struct pst_delivery *d,
                  const struct pst_delivery_result *r)
{
    if (r->status == PST_DELIVERY_WAITING)
        stand_still(h, lane, r->tries.due_at);
    else if (r->status == PST_DELIVERY_FAILED)
        give_up(h, lane, d);
    else
        move_on(h, lane, d);
}

static void finish(struct pst_hook_attempt *a, const struct pst_fleet_answer *answer)
{
    struct pst_hooks *h = a->hooks;
    struct pst_hook_lane *lane = a->lane;
    const struct pst_delivery *d = a->delivery;
    struct pst_err err;
    char text[PST_HOOK_TEXT];
    char kept[PST_FLEET_KEPT];
    pst_wall now = h->options.wall();
    struct pst_hook_outcome o = outcome_of(answer, now, text);
    log_unreached(a->endpoint, answer);
    struct pst_delivery_result r = {.pk = d->pk, .tries = d->tries};
    bool is_forgotten = o.is_local && (!d->is_sample || answer->code == PST_E_CANCELLED);
    r.attempt = (struct pst_attempt){.at = a->at,
                                     .duration_us = answer->duration_us,
                                     .status = o.status,
                                     .error = o.error,
                                     .response = kept_response(a, kept, answer->body)};
    if (d->is_sample)
        r.status = step_sample(&r.tries, &o, now);
    else if (is_current(a))
        r.status = step(h, a, &r.tries, &o, now);
    else
        r.status = step_stale(h, a, &r.tries, &o, now);
    is_forgotten = is_forgotten || pst_hook_lot_add(h, lane, d->is_loose, &r, &err) != PST_OK;
    if (is_forgotten)
        forget_attempt(h, lane, d);
    else
        count_outcome(h, &o, &r);
    if (!is_forgotten && !d->is_loose)
        go_on(h, lane, d, &r);
}

static void done(void *self, const struct pst_fleet_answer *answer)
{
    struct pst_hook_attempt *a = self;
    struct pst_hooks *h = a->hooks;
    struct pst_hook_lane *lane = a->lane;
    struct pst_hook_endpoint *e = a->endpoint;
    bool is_express = a->is_express;
    h->now = h->options.mono();
    finish(a, answer);
    end_attempt(h, a);
    --*(is_express ? &e->samples : &e->in_flight);
    e->tenant->in_flight--;
    if (!e->is_held)
        pst_hook_endpoint_set_held(h, e); /* it may be disabled now; the lane is kept */
    lane->in_flight--;
    pst_hook_lane_settle(h, lane);
    pst_hook_endpoint_push(h, e);
    pst_hook_tenant_push(h, e->tenant);
    e->refs--;
    pst_hook_endpoint_rest(h, e);
}

/* ---- from a delivery to a request ---- */

/* Texts of the headers of one request. */
struct head {
    struct pst_http_header items[PST_FLEET_HEADERS];
    size_t count;
    char timestamp[24], sequence[24], attempt[24], version[12];
};

static void add_header(struct head *head, pst_str name, pst_str value)
{
    head->items[head->count++] = (struct pst_http_header){name, value};
}

static void add_number(struct head *head, pst_str name, char *text, size_t size, int64_t number)
{
    int len = snprintf(text, size, "%lld", (long long)number);
    add_header(head, name, (pst_str){text, (size_t)len});
}

static pst_code fill_head(struct pst_hooks *h, const struct pst_hook_endpoint *e,
                          const struct pst_delivery *d, struct head *head, struct pst_err *err)
{
    const struct pst_event_type *type = pst_event_type_find(d->type);
    int64_t now_s = h->wall.us / PST_US_PER_S;
    head->count = 0;
    pst_buf_reset(&h->signature);
    PST_TRY(pst_hook_keys_sign(&h->signature, &e->keys, h->wall, pst_id_str(&d->event_id), now_s,
                               d->body, err));
    add_header(head, PST_STR("Content-Type"), PST_STR("application/json"));
    add_header(head, PST_STR("webhook-id"), pst_id_str(&d->event_id));
    add_number(head, PST_STR("webhook-timestamp"), head->timestamp, sizeof(head->timestamp), now_s);
    add_header(head, PST_STR("webhook-signature"), pst_buf_str(&h->signature));
    add_number(head, PST_STR("penstock-sequence"), head->sequence, sizeof(head->sequence),
               d->sequence);
    add_header(head, PST_STR("penstock-delivery"), pst_id_str(&d->id));
    add_number(head, PST_STR("penstock-attempt"), head->attempt, sizeof(head->attempt),
               d->tries.attempts + 1);
    add_number(head, PST_STR("penstock-event-version"), head->version, sizeof(head->version),
               type ? type->version : 1);
    if (d->is_sample)
        add_header(head, PST_STR("penstock-sample"), PST_STR("true"));
    for (size_t i = 0; i < e->header_count; i++)
        add_header(head, e->headers[i].name, e->headers[i].value);
    return PST_OK;
}

static pst_code launch(struct pst_hooks *h, struct pst_hook_attempt *a, struct pst_err *err)
{
    const struct pst_hook_endpoint *e = a->endpoint;
    struct head head;
    PST_TRY(fill_head(h, e, a->delivery, &head, err));
    const struct pst_fleet_request request = {
        .url = e->settings.url,
        .headers = head.items,
        .header_count = head.count,
        .body = a->delivery->body,
        .timeout_ms = e->settings.timeout_ms,
        .done = done,
        .self = a,
    };
    return pst_fleet_add(h->fleet, &request, err);
}

void pst_hook_send(struct pst_hooks *h, struct pst_hook_lane *lane, struct pst_hook_batch *batch,
                   const struct pst_delivery *delivery, bool is_express)
{
    struct pst_hook_endpoint *e = lane->endpoint;
    struct pst_hook_attempt *a = NULL;
    struct pst_err err;
    int64_t *open = NULL;
    if ((delivery->is_loose && pst_vec_push(&e->open, &open, &err) != PST_OK) ||
        begin_attempt(h, &a, &err) != PST_OK) {
        e->open.len -= open != NULL;
        pst_hook_lane_drop_batch(h, lane);
        pst_hook_lane_wait(h, lane, PST_WALL_NONE);
        return;
    }
    if (open)
        *open = delivery->pk;
    a->endpoint = e;
    a->lane = lane;
    a->batch = batch;
    a->delivery = delivery;
    a->version = e->settings.version;
    a->has_headers = e->header_count > 0;
    batch->refs++;
    lane->in_flight++;
    e->refs++;
    a->is_express = is_express;
    ++*(is_express ? &e->samples : &e->in_flight);
    e->tenant->in_flight++;
    pst_code code = launch(h, a, &err);
    if (code != PST_OK) {
        const struct pst_fleet_answer answer = {
            .code = code, .fault = PST_FAULT_LOCAL, .error = pst_str_from(err.msg)};
        done(a, &answer);
    }
}

/* ---- the pump ---- */

static size_t most_in_flight(const struct pst_hooks *h)
{
    return h->options.in_flight ? h->options.in_flight : IN_FLIGHT;
}

bool pst_hook_has_room(const struct pst_hooks *h)
{
    size_t most = most_in_flight(h);
    return h->in_flight - h->slow < most && h->in_flight < PST_HOOKS_SLOW_TIMES * most &&
           !h->is_stopping && !pst_hook_lots_are_full(h);
}

/* One organization's slow receivers leave half of all to the others. */
size_t pst_hook_tenant_room(const struct pst_hooks *h, const struct pst_hook_tenant *t)
{
    size_t most = PST_HOOKS_SLOW_TIMES * most_in_flight(h) / 2;
    return t->in_flight < most ? most - t->in_flight : 0;
}

static void send_from(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    struct pst_hook_lane *lane = e->ready;
    e->ready = lane->next_ready;
    if (!e->ready)
        e->ready_tail = &e->ready;
    lane->is_ready = false;
    if (lane->must_look) {
        pst_hook_lane_settle(h, lane);
        return;
    }
    const struct pst_delivery *d = pst_hook_lane_next(h, lane);
    if (!d)
        return;
    struct pst_hook_batch *batch = lane->batch;
    if (d->is_loose)
        lane->at++;
    pst_hook_endpoint_spend(h, e);
    lane->in_flight++; /* over what ends at once */
    batch->refs++;
    pst_hook_send(h, lane, batch, d, false);
    pst_hook_batch_unref(h, batch);
    lane->in_flight--;
    pst_hook_lane_settle(h, lane);
}

void pst_hook_pump(struct pst_hooks *h)
{
    mark_slow(h);
    while (h->ring && pst_hook_has_room(h)) {
        struct pst_hook_endpoint *e = pst_hook_endpoint_pop(h);
        if (!pst_hook_endpoint_may_send(h, e))
            continue;
        e->refs++; /* over what ends at once */
        send_from(h, e);
        pst_hook_endpoint_push(h, e);
        e->refs--;
        pst_hook_endpoint_rest(h, e);
    }
}
