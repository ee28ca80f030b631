/* webhook/endpoints.c: endpoints in memory: their settings, their secrets, and when one may be sent
 * to. */
#include "account/account.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/vec.h"
#include "codec/json.h"
#include "webhook/internal.h"

enum {
    ARENA_BYTES = 1 << 20, /* settings of one */
    IDLE_MAX = 256, /* kept though they have nothing to send */
    SICK_S = 60, /* a secret that cannot be opened */
    RETRY_MS = 1000, /* settings that cannot be read */
    BURST_NS = 50 * 1000 * 1000, /* of a rate limit */
};

/* ---- secrets ---- */

void pst_hook_endpoint_close(struct pst_hook_endpoint *e)
{
    pst_hook_keys_drop(&e->keys);
    pst_secret_free(e->header_bytes);
    e->header_bytes = NULL;
    e->header_count = 0;
    e->has_keys = false;
}

static pst_code unseal(struct pst_hooks *h, const struct pst_hook_endpoint *e, pst_str field,
                       pst_str sealed, struct pst_secret **out, struct pst_err *err)
{
    const struct pst_vault_place place = {
        .organization_pk = e->settings.organization_pk,
        .organization_id = pst_id_str(&e->settings.organization_id),
        .row_id = pst_id_str(&e->settings.id),
        .field = field,
    };
    return pst_vault_unseal(h->reader, h->options.root, &place, sealed, out, err);
}

/* Names and values one behind the other, in guarded memory; headers point into it. */
static pst_code keep_headers(struct pst_hook_endpoint *e, struct pst_buf *bytes, yyjson_val *object,
                             struct pst_err *err)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *key = NULL;
    yyjson_val *item = NULL;
    if (yyjson_obj_size(object) > PST_HOOK_HEADERS)
        return PST_FAIL(err, PST_E_CORRUPT, "the stored headers are damaged");
    yyjson_obj_foreach(object, i, n, key, item)
    {
        struct pst_http_header *header = &e->headers[e->header_count++];
        *header = (struct pst_http_header){0};
        (void)pst_json_str(key, &header->name);
        (void)pst_json_str(item, &header->value);
        pst_buf_add_str(bytes, header->name);
        pst_buf_add_str(bytes, header->value);
        pst_wipe((void *)(uintptr_t)header->value.ptr, header->value.len);
    }
    PST_TRY(pst_buf_check(bytes, err));
    PST_TRY(pst_secret_new(&e->header_bytes, pst_buf_str(bytes), err));
    const char *at = pst_secret_expose(e->header_bytes).ptr;
    for (size_t k = 0; k < e->header_count; k++) {
        e->headers[k].name.ptr = at;
        at += e->headers[k].name.len;
        e->headers[k].value.ptr = at;
        at += e->headers[k].value.len;
    }
    return PST_OK;
}

static pst_code open_headers(struct pst_hooks *h, struct pst_hook_endpoint *e, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *plain = NULL;
    PST_AUTO(buf) struct pst_buf bytes = {.max = PST_SECRET_MAX};
    yyjson_doc *doc = NULL;
    if (e->settings.headers.len == 0)
        return PST_OK;
    PST_TRY(unseal(h, e, PST_STR("headers"), e->settings.headers, &plain, err));
    pst_arena_reset(h->scratch);
    PST_TRY(pst_json_read(pst_secret_expose(plain), NULL, h->scratch, &doc, err));
    /* All at once: a buffer that grows would leave copies behind. */
    (void)pst_buf_reserve(&bytes, pst_secret_expose(plain).len);
    pst_code code = keep_headers(e, &bytes, yyjson_doc_get_root(doc), err);
    if (bytes.ptr)
        pst_wipe(bytes.ptr, bytes.len);
    return code;
}

static pst_code open_keys(struct pst_hooks *h, struct pst_hook_endpoint *e, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *plain = NULL;
    PST_TRY(unseal(h, e, PST_STR("secrets"), e->settings.secrets, &plain, err));
    PST_TRY(pst_hook_keys_read(&e->keys, pst_secret_expose(plain), err));
    if (e->keys.count == 0)
        return PST_FAIL(err, PST_E_CORRUPT, "the webhook has no secret");
    PST_TRY(open_headers(h, e, err));
    e->has_keys = true;
    return PST_OK;
}

bool pst_hook_endpoint_open(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    struct pst_err err;
    if (e->has_keys || open_keys(h, e, &err) == PST_OK)
        return true;
    pst_hook_endpoint_close(e);
    pst_log_err(PST_LOG_ERROR, "a webhook's secrets cannot be opened; it is left alone for a while",
                &err, (const struct pst_log_field[]){PST_F_ID("webhook_id", &e->settings.id), {0}});
    pst_hook_heap_set(&h->timers, &e->timer, pst_mono_after_ms(h->now, SICK_S * 1000));
    return false;
}

/* ---- settings ---- */

/* The health's words move to where they may be changed. */
static void keep_error(struct pst_hook_endpoint *e)
{
    pst_str text = pst_str_sub(e->settings.health.last_error, 0, sizeof(e->last_error));
    if (text.len > 0)
        memmove(e->last_error, text.ptr, text.len);
    e->settings.health.last_error = (pst_str){e->last_error, text.len};
}

void pst_hook_endpoint_set_held(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    const struct pst_endpoint *s = &e->settings;
    e->is_held =
        !s->enabled || !pst_wall_is_none(s->deleted_at) || !pst_wall_is_none(s->health.disabled_at);
    if (e->is_held) {
        pst_hook_endpoint_close(e);
        pst_hook_lanes_drop(h, e);
    }
}

/* The store has failures that a success has ended since. */
static bool is_success_ahead(const struct pst_endpoint_health *known,
                             const struct pst_endpoint_health *stored)
{
    return !pst_wall_is_none(stored->failing_since) && pst_wall_is_none(known->failing_since) &&
           known->last_success_at.us >= stored->last_failure_at.us;
}

static void keep_success(struct pst_hooks *h, struct pst_hook_endpoint *e,
                         const struct pst_endpoint_health *known)
{
    struct pst_endpoint_health *health = &e->settings.health;
    health->failures = 0;
    health->failing_since = PST_WALL_NONE;
    health->last_success_at = known->last_success_at;
    pst_hook_endpoint_touch(h, e, true);
}

/* In bounded parts, each behind the outcomes that are known by then: also what an attempt that
 * ended just before says is due. */
void pst_hook_endpoint_hasten(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    e->well_version = e->settings.version;
    e->hasten_after = PST_LANE_LOOSE;
    e->hasten_since = PST_WALL_NONE;
    pst_hook_endpoint_touch(h, e, true);
}

/* A user says that it is well: it goes to another receiver, or is on again. Several changes at once
 * may have switched it off and on. */
static bool becomes_well(const struct pst_hook_endpoint *e, const struct pst_endpoint *fresh)
{
    const struct pst_endpoint *known = &e->settings;
    return known->version > 0 && (e->is_held || fresh->version > known->version + 1 ||
                                  !pst_str_eq(known->url, fresh->url));
}

/* What a user changed holds from the next attempt on. What deliveries made of the endpoint is
 * ahead of the store here, unless the user's change says otherwise. */
static void take_settings(struct pst_hooks *h, struct pst_hook_endpoint *e,
                          const struct pst_endpoint *fresh)
{
    struct pst_endpoint_health health = e->settings.health;
    bool is_same = e->settings.version == fresh->version;
    bool is_well = becomes_well(e, fresh);
    e->settings = *fresh;
    if (is_same) {
        e->settings.health = health;
    } else {
        pst_hook_endpoint_close(e);
        keep_error(e);
        e->has_changed = e->was_disabled = false; /* what is still to be written is of before ... */
        if (is_success_ahead(&health, &fresh->health))
            keep_success(h, e, &health); /* ... but for this */
        if (is_well)
            pst_hook_endpoint_hasten(h, e);
        if (e->timer.place) /* what it waited for may hold no longer */
            pst_hook_heap_set(&h->timers, &e->timer, h->now);
    }
    if (e->window == 0)
        e->window = 1;
}

static pst_code read_settings(struct pst_hooks *h, struct pst_hook_endpoint *e, struct pst_err *err)
{
    struct pst_endpoint fresh;
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    uint64_t epoch = h->epoch;
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    pst_code code = pst_endpoints_get_pk(h->reader, e->node.a, arena, &fresh, err);
    if (code == PST_E_NOT_FOUND) {
        fresh = (struct pst_endpoint){.pk = e->node.a, .version = -1, .deleted_at = h->wall};
        fresh.health.disabled_at = PST_WALL_NONE;
        code = PST_OK;
    }
    PST_TRY(code);
    take_settings(h, e, &fresh);
    /* The reason is one of two literals; the arena it was read into goes. */
    if (pst_wall_is_none(e->settings.health.disabled_at))
        e->settings.health.disabled_reason = (pst_str){0};
    else
        e->settings.health.disabled_reason = pst_str_is(e->settings.health.disabled_reason, "gone")
                                                 ? PST_STR("gone")
                                                 : PST_STR("failing");
    pst_arena_free(e->arena);
    e->arena = PST_TAKE(arena);
    e->epoch = epoch;
    pst_hook_endpoint_set_held(h, e);
    return PST_OK;
}

/* ---- organizations ---- */

static pst_code join_tenant(struct pst_hooks *h, struct pst_hook_endpoint *e, struct pst_err *err)
{
    struct pst_hook_tenant *t = pst_hook_table_find(&h->tenants, e->settings.organization_pk, 0);
    if (!t) {
        PST_TRY(pst_new((void **)&t, sizeof(*t), err));
        t->node.a = e->settings.organization_pk;
        t->waiting_tail = &t->waiting;
        pst_code code = pst_hook_table_add(&h->tenants, &t->node, err);
        if (code != PST_OK) {
            pst_free(t);
            return code;
        }
    }
    t->endpoint_count++;
    e->tenant = t;
    return PST_OK;
}

static void leave_tenant(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    if (!e->tenant || --e->tenant->endpoint_count > 0)
        return;
    pst_hook_table_remove(&h->tenants, &e->tenant->node);
    pst_free(e->tenant);
}

/* It is in no ring meanwhile, but counts as if it were. */
static void wait_for_tenant(struct pst_hook_endpoint *e)
{
    e->is_in_ring = true;
    e->next_ready = NULL;
    *e->tenant->waiting_tail = e;
    e->tenant->waiting_tail = &e->next_ready;
}

void pst_hook_tenant_push(struct pst_hooks *h, struct pst_hook_tenant *t)
{
    size_t count = pst_hook_tenant_room(h, t);
    if (t->in_flight == 0)
        count = t->endpoint_count; /* no end will be told */
    for (struct pst_hook_endpoint *e = t->waiting; e && count > 0; e = t->waiting) {
        t->waiting = e->next_ready;
        if (!t->waiting)
            t->waiting_tail = &t->waiting;
        e->is_in_ring = false;
        pst_hook_endpoint_push(h, e);
        count -= e->is_in_ring;
        pst_hook_endpoint_rest(h, e);
    }
}

/* ---- life ---- */

static void leave_idle(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    if (!e->is_idle)
        return;
    *(e->prev_idle ? &e->prev_idle->next_idle : &h->oldest_idle) = e->next_idle;
    *(e->next_idle ? &e->next_idle->prev_idle : &h->newest_idle) = e->prev_idle;
    e->prev_idle = e->next_idle = NULL;
    e->is_idle = false;
    h->idle_count--;
}

void pst_hook_endpoint_free(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    leave_idle(h, e);
    pst_hook_heap_clear(&h->timers, &e->timer);
    pst_hook_table_remove(&h->endpoints, &e->node);
    pst_hook_endpoint_close(e);
    leave_tenant(h, e);
    pst_arena_free(e->arena);
    pst_vec_fini(&e->open);
    pst_free(e);
}

void pst_hook_endpoint_rest(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    if (e->lanes || e->refs > 0 || e->is_dirty || e->is_in_ring || e->is_scanned || e->is_idle)
        return;
    e->prev_idle = h->newest_idle;
    *(h->newest_idle ? &h->newest_idle->next_idle : &h->oldest_idle) = e;
    h->newest_idle = e;
    e->is_idle = true;
    if (++h->idle_count > IDLE_MAX)
        pst_hook_endpoint_free(h, h->oldest_idle);
}

static pst_code load(struct pst_hooks *h, int64_t pk, struct pst_hook_endpoint **out,
                     struct pst_err *err)
{
    struct pst_hook_endpoint *e = NULL;
    PST_TRY(pst_hook_heap_reserve(&h->timers, h->lanes.count + h->endpoints.count + 2, err));
    PST_TRY(pst_new((void **)&e, sizeof(*e), err));
    e->node.a = pk;
    e->timer.kind = PST_HOOK_TIMER_ENDPOINT;
    e->ready_tail = &e->ready;
    e->settings.version = -2; /* of no row */
    e->saved_at.ns = h->now.ns - PST_NS_PER_S;
    e->hasten_after = PST_HOOK_NO_HASTE;
    pst_code code = pst_hook_table_add(&h->endpoints, &e->node, err);
    if (code != PST_OK) {
        pst_free(e);
        return code;
    }
    code = read_settings(h, e, err);
    if (code == PST_OK)
        code = join_tenant(h, e, err);
    if (code != PST_OK) {
        pst_hook_endpoint_free(h, e);
        return code;
    }
    *out = e;
    return PST_OK;
}

pst_code pst_hook_endpoint_find(struct pst_hooks *h, int64_t pk, struct pst_hook_endpoint **out,
                                struct pst_err *err)
{
    struct pst_hook_endpoint *e = pst_hook_table_find(&h->endpoints, pk, 0);
    *out = NULL;
    if (!e)
        PST_TRY(load(h, pk, &e, err));
    else if (e->epoch != h->epoch)
        PST_TRY(read_settings(h, e, err));
    leave_idle(h, e);
    if (e->is_held)
        pst_hook_endpoint_rest(h, e);
    else
        *out = e;
    return PST_OK;
}

/* ---- the ring ---- */

void pst_hook_endpoint_push(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    if (e->is_in_ring || !e->ready || e->timer.place)
        return;
    e->is_in_ring = true;
    e->next_ready = NULL;
    *h->ring_tail = e;
    h->ring_tail = &e->next_ready;
}

struct pst_hook_endpoint *pst_hook_endpoint_pop(struct pst_hooks *h)
{
    struct pst_hook_endpoint *e = h->ring;
    if (!e)
        return NULL;
    h->ring = e->next_ready;
    if (!h->ring)
        h->ring_tail = &h->ring;
    e->is_in_ring = false;
    return e;
}

void pst_hook_endpoint_touch(struct pst_hooks *h, struct pst_hook_endpoint *e, bool has_changed)
{
    e->has_changed = e->has_changed || has_changed;
    if (e->is_dirty)
        return;
    e->is_dirty = true;
    e->next_dirty = h->dirty;
    h->dirty = e;
}

static void wait_ns(struct pst_hooks *h, struct pst_hook_endpoint *e, int64_t ns)
{
    pst_hook_heap_set(&h->timers, &e->timer, (pst_mono){h->now.ns + ns});
}

/* A bucket that fills at the rate and holds what comes in BURST_NS, or one. */
static int64_t rate_step_ns(const struct pst_hook_endpoint *e)
{
    return e->settings.rate_limit > 0 ? PST_NS_PER_S / e->settings.rate_limit : 0;
}

static int64_t rate_wait_ns(const struct pst_hooks *h, const struct pst_hook_endpoint *e)
{
    int64_t step_ns = rate_step_ns(e);
    return step_ns ? e->rate_at.ns - h->now.ns - (step_ns < BURST_NS ? BURST_NS : 0) : 0;
}

void pst_hook_endpoint_spend(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    int64_t from_ns = e->rate_at.ns > h->now.ns ? e->rate_at.ns : h->now.ns;
    e->rate_at.ns = from_ns + rate_step_ns(e);
}

/* Until the breaker's probe; one that is farther away than any was set by a clock that was put
 * back since. */
static int64_t probe_wait_ns(const struct pst_hooks *h, const struct pst_hook_endpoint *e)
{
    int64_t us = pst_hook_open_at(&e->settings.health, h->wall).us - h->wall.us;
    return us > PST_HOOK_BREAKER_LONGEST_S * PST_US_PER_S ? 0 : us * 1000;
}

bool pst_hook_endpoint_may_send(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    struct pst_err err;
    if (e->epoch != h->epoch && read_settings(h, e, &err) != PST_OK) {
        pst_log_err(PST_LOG_ERROR, "a webhook cannot be read", &err, NULL);
        wait_ns(h, e, RETRY_MS * PST_NS_PER_MS);
        return false;
    }
    if (e->is_held) {
        pst_hook_endpoint_rest(h, e);
        return false;
    }
    bool is_open = !pst_wall_is_none(e->settings.health.open_since);
    if (!e->ready || e->in_flight >= (is_open ? 1 : e->window))
        return false;
    if (pst_hook_tenant_room(h, e->tenant) == 0) {
        wait_for_tenant(e);
        return false;
    }
    int64_t ns = probe_wait_ns(h, e);
    if (ns <= 0)
        ns = rate_wait_ns(h, e);
    if (ns > 0)
        wait_ns(h, e, ns);
    return ns <= 0 && pst_hook_endpoint_open(h, e);
}
