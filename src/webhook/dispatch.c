/* webhook/dispatch.c: the loop of the dispatcher: news, the sweep over what waits, stopping. */
#include "base/alloc.h"
#include "base/log.h"
#include "store/store.h"
#include "webhook/internal.h"

enum {
    SCRATCH_BYTES = 1 << 20,
    NEWS = 512, /* rows read at once */
    NEWS_ROUNDS = 4, /* in one turn */
    NEWS_MS = 5 * 1000, /* look, though nobody said that there is something */
    SWEEP_MS = 10 * 60 * 1000, /* the same for all that waits */
    SWEEP_LANES = 256, /* in one turn */
    SIGNATURE_MAX = 4096,
    GRACE_MS = 20 * 1000,
};

/* ---- word from other threads ---- */

void pst_hook_signal(struct pst_hooks *h, unsigned what)
{
    if ((atomic_fetch_or(&h->signals, what) & what) != what)
        pst_fleet_wake(h->fleet);
}

/* Into the list of those to be looked at; when it is full, all are. */
static unsigned note_change(struct pst_hooks *h, int64_t endpoint_pk)
{
    for (size_t i = 0; i < PST_COUNT(h->changed); i++) {
        int64_t there = 0;
        if (atomic_compare_exchange_strong(&h->changed[i], &there, endpoint_pk) ||
            there == endpoint_pk)
            return PST_HOOK_ENDPOINTS;
    }
    return PST_HOOK_SWEEP;
}

void pst_hooks_on_commit(struct pst_hooks *h, int64_t topic)
{
    int64_t endpoint_pk = pst_topic_endpoint_of(topic);
    if (topic == PST_TOPIC_EVENTS)
        pst_hook_signal(h, PST_HOOK_EVENTS);
    else if (endpoint_pk > 0)
        pst_hook_signal(h, PST_HOOK_EVENTS | note_change(h, endpoint_pk));
}

void pst_hooks_stop(struct pst_hooks *h, int64_t grace_ms)
{
    atomic_store(&h->grace_ms, grace_ms);
    pst_hook_signal(h, PST_HOOK_STOP);
}

void pst_hooks_stats(const struct pst_hooks *h, struct pst_hooks_stats *out)
{
#define READ(name) .name = atomic_load_explicit(&h->stats.name, memory_order_relaxed)
    *out = (struct pst_hooks_stats){READ(attempts),    READ(delivered), READ(refused),
                                    READ(unreachable), READ(given_up),  READ(in_flight),
                                    READ(endpoints),   READ(lanes),     READ(duration_us)};
#undef READ
}

/* What will not read better the next time is left alone until the next sweep; it must not stand
 * in the way of all others. */
static pst_code pass_over(pst_code code, int64_t endpoint_pk, const struct pst_err *err)
{
    if (code == PST_OK || code == PST_E_NO_MEMORY || code == PST_E_UNAVAILABLE || code == PST_E_IO)
        return code;
    pst_log_err(PST_LOG_ERROR, "what waits for a webhook cannot be read; it is passed over", err,
                (const struct pst_log_field[]){PST_F_INT("endpoint_pk", endpoint_pk), {0}});
    return PST_OK;
}

/* ---- news ---- */

/* A few samples of an endpoint wait for nothing; the others are sent as what waits loose. */
static bool may_hurry(const struct pst_hooks *h, const struct pst_hook_endpoint *e)
{
    return e->samples < PST_HOOK_SAMPLES && pst_hook_has_room(h) &&
           pst_hook_tenant_room(h, e->tenant) > 0;
}

static pst_code send_sample(struct pst_hooks *h, struct pst_hook_lane *lane, int64_t pk,
                            struct pst_err *err)
{
    struct pst_hook_batch *batch = NULL;
    if (pst_hook_is_open(lane->endpoint, pk) || !pst_hook_endpoint_open(h, lane->endpoint))
        return PST_OK;
    PST_TRY(pst_hook_sample_read(h, pk, &batch, err));
    if (batch) {
        pst_hook_lane_drop_batch(h, lane); /* it may stand in it */
        pst_hook_send(h, lane, batch, &batch->items[0], true);
        pst_hook_batch_unref(h, batch);
    }
    return PST_OK;
}

static pst_code take_news(struct pst_hooks *h, const struct pst_delivery_news *news,
                          struct pst_err *err)
{
    struct pst_hook_endpoint *e = NULL;
    struct pst_hook_lane *lane = NULL;
    pst_code code = PST_OK;
    PST_TRY(pst_hook_endpoint_find(h, news->endpoint_pk, &e, err));
    if (!e)
        return PST_OK; /* held; found again when it is enabled */
    e->refs++;
    code = pst_hook_lane_find(h, e, news->lane, &lane, err);
    if (code == PST_OK) {
        lane->is_drained = false;
        lane->in_flight++; /* over what ends at once */
        if (news->is_sample && may_hurry(h, e))
            code = send_sample(h, lane, news->pk, err);
        else if (news->lane == PST_LANE_LOOSE)
            pst_hook_heap_clear(&h->timers, &lane->timer); /* due before what it waits for */
        lane->in_flight--;
        pst_hook_lane_settle(h, lane);
    }
    e->refs--;
    pst_hook_endpoint_rest(h, e);
    return code;
}

static pst_code read_news(struct pst_hooks *h, bool *more, struct pst_err *err)
{
    struct pst_delivery_news news[NEWS];
    size_t count = NEWS;
    for (int round = 0; count == NEWS && round < NEWS_ROUNDS; round++) {
        PST_TRY(pst_deliveries_news(h->reader, h->news_after, NEWS, news, &count, err));
        for (size_t i = 0; i < count; i++) {
            PST_TRY(pass_over(take_news(h, &news[i], err), news[i].endpoint_pk, err));
            h->news_after = news[i].pk;
        }
    }
    *more = count == NEWS;
    return PST_OK;
}

/* ---- the sweep: all that waits, a part in each turn ---- */

void pst_hook_scan(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    e->scan_after = PST_LANE_LOOSE;
    if (e->is_scanned)
        return;
    e->is_scanned = true;
    e->next_scan = NULL;
    *h->scan_tail = e;
    h->scan_tail = &e->next_scan;
}

/* Endpoints that a user changed, or that have older deliveries to send again. */
static pst_code take_changes(struct pst_hooks *h, struct pst_err *err)
{
    for (size_t i = 0; i < PST_COUNT(h->changed); i++) {
        int64_t pk = atomic_exchange(&h->changed[i], 0);
        struct pst_hook_endpoint *e = pst_hook_table_find(&h->endpoints, pk, 0);
        if (pk == 0)
            continue;
        bool is_known = e != NULL;
        if (e)
            e->epoch = 0;
        PST_TRY(pass_over(pst_hook_endpoint_find(h, pk, &e, err), pk, err));
        if (e && !is_known) /* it was held, or has nothing that could be hastened */
            pst_hook_endpoint_hasten(h, e);
        if (e)
            pst_hook_scan(h, e);
    }
    return PST_OK;
}

static void begin_sweep(struct pst_hooks *h)
{
    h->epoch++;
    h->is_sweeping = true;
    h->sweep_after = 0;
    h->sweep_at = pst_mono_after_ms(h->now, SWEEP_MS);
}

/* The next endpoint of the sweep to the scanned ones. */
static pst_code sweep_endpoint(struct pst_hooks *h, struct pst_err *err)
{
    struct pst_hook_endpoint *e = NULL;
    size_t count = 0;
    int64_t pk = 0;
    PST_TRY(pst_deliveries_endpoints(h->reader, h->sweep_after, 1, &pk, &count, err));
    if (count == 0) {
        h->is_sweeping = false;
        return PST_OK;
    }
    PST_TRY(pass_over(pst_hook_endpoint_find(h, pk, &e, err), pk, err));
    if (e)
        pst_hook_scan(h, e);
    h->sweep_after = pk;
    return PST_OK;
}

/* What the store says about a lane, against what is known. */
static pst_code compare_lane(struct pst_hooks *h, struct pst_hook_endpoint *e, int64_t number,
                             pst_wall due, struct pst_err *err)
{
    struct pst_hook_lane *lane = NULL;
    bool is_known = pst_hook_table_find(&h->lanes, e->node.a, number) != NULL;
    PST_TRY(pst_hook_lane_find(h, e, number, &lane, err));
    if (!is_known && due.us > h->wall.us)
        pst_hook_lane_wait(h, lane, due);
    else if (is_known && !(lane->timer.place && lane->due.us == due.us))
        lane->must_look = true;
    if (lane->must_look && lane->is_ready)
        return PST_OK; /* looks when its turn comes */
    pst_hook_lane_settle(h, lane);
    return PST_OK;
}

/* Those that a stop left behind: other loose deliveries may stand before them. */
static pst_code scan_samples(struct pst_hooks *h, struct pst_hook_endpoint *e, struct pst_err *err)
{
    struct pst_delivery_news waiting[PST_HOOK_BATCH];
    size_t count = 0;
    PST_TRY(pst_deliveries_loose(h->reader, e->node.a, PST_HOOK_BATCH, waiting, &count, err));
    for (size_t i = 0; i < count; i++)
        if (waiting[i].is_sample)
            PST_TRY(take_news(h, &waiting[i], err));
    return count ? compare_lane(h, e, PST_LANE_LOOSE, PST_WALL_NONE, err) : PST_OK;
}

static pst_code scan_lanes(struct pst_hooks *h, struct pst_hook_endpoint *e, size_t *budget,
                           struct pst_err *err)
{
    struct pst_delivery_lane lanes[SWEEP_LANES];
    size_t count = 0;
    size_t limit = *budget;
    if (e->scan_after == PST_LANE_LOOSE)
        PST_TRY(scan_samples(h, e, err));
    PST_TRY(pst_deliveries_lanes(h->reader, e->node.a, e->scan_after, limit, lanes, &count, err));
    for (size_t i = 0; i < count; i++) {
        PST_TRY(compare_lane(h, e, lanes[i].lane, lanes[i].due_at, err));
        e->scan_after = lanes[i].lane;
    }
    *budget -= count;
    if (count < limit)
        e->is_scanned = false;
    return PST_OK;
}

static pst_code sweep(struct pst_hooks *h, struct pst_err *err)
{
    size_t budget = SWEEP_LANES;
    while (budget > 0 && (h->scan || h->is_sweeping)) {
        struct pst_hook_endpoint *e = h->scan;
        budget--;
        if (!e) {
            PST_TRY(sweep_endpoint(h, err));
            continue;
        }
        if (budget > 0 && !e->is_held) {
            pst_code code = scan_lanes(h, e, &budget, err);
            PST_TRY(pass_over(code, e->node.a, err));
            if (code != PST_OK)
                e->is_scanned = false;
        }
        if (e->is_held)
            e->is_scanned = false;
        if (!e->is_scanned) {
            h->scan = e->next_scan;
            if (!h->scan)
                h->scan_tail = &h->scan;
            pst_hook_endpoint_rest(h, e);
        }
    }
    return PST_OK;
}

/* ---- a turn ---- */

static void ring_timers(struct pst_hooks *h)
{
    while (h->timers.len > 0 && h->timers.items[0]->at.ns <= h->now.ns) {
        struct pst_hook_timer *timer = h->timers.items[0];
        pst_hook_heap_clear(&h->timers, timer);
        if (timer->kind == PST_HOOK_TIMER_LANE) {
            struct pst_hook_lane *lane =
                (void *)((char *)timer - offsetof(struct pst_hook_lane, timer));
            lane->is_due = true;
            pst_hook_lane_settle(h, lane);
        } else {
            struct pst_hook_endpoint *e =
                (void *)((char *)timer - offsetof(struct pst_hook_endpoint, timer));
            pst_hook_endpoint_push(h, e);
            pst_hook_endpoint_rest(h, e);
        }
    }
}

/* What has to be read from the store; *busy: there is more to read at once. */
static pst_code look(struct pst_hooks *h, unsigned signals, bool *busy, struct pst_err *err)
{
    bool more = false;
    if ((signals & PST_HOOK_SWEEP) || h->now.ns >= h->sweep_at.ns)
        begin_sweep(h);
    if (signals & PST_HOOK_ENDPOINTS)
        PST_TRY(take_changes(h, err));
    if ((signals & PST_HOOK_EVENTS) || h->now.ns >= h->news_at.ns) {
        h->news_at = pst_mono_after_ms(h->now, NEWS_MS);
        PST_TRY(read_news(h, &more, err));
        if (more)
            h->news_at = h->now;
    }
    PST_TRY(sweep(h, err));
    *busy = more || h->scan || h->is_sweeping;
    return PST_OK;
}

static void show_stats(struct pst_hooks *h)
{
#define SHOW(name, n) atomic_store_explicit(&h->stats.name, (n), memory_order_relaxed)
    SHOW(in_flight, h->in_flight);
    SHOW(endpoints, h->endpoints.count);
    SHOW(lanes, h->lanes.count);
#undef SHOW
}

static void set_now(struct pst_hooks *h)
{
    h->now = h->options.mono();
    h->wall = h->options.wall();
}

static int64_t least_wait_ms(const struct pst_hooks *h, bool busy)
{
    int64_t wait_ms = pst_mono_ms_until(h->now, h->news_at);
    if (h->timers.len > 0 && !h->is_stopping) {
        int64_t timer_ms = pst_mono_ms_until(h->now, h->timers.items[0]->at);
        if (timer_ms < wait_ms)
            wait_ms = timer_ms;
    }
    return busy ? 0 : wait_ms;
}

static pst_code turn(struct pst_hooks *h, struct pst_err *err)
{
    bool busy = false;
    set_now(h);
    unsigned signals = atomic_exchange(&h->signals, 0);
    if (signals & PST_HOOK_WRITTEN)
        pst_hook_lots_written(h);
    if (signals & PST_HOOK_STOP)
        h->is_stopping = true;
    busy = h->is_stopping && signals; /* it may be over: stop() looks before the next wait */
    if (!h->is_stopping) {
        struct pst_err look_err;
        if (look(h, signals, &busy, &look_err) != PST_OK) {
            /* Nothing is lost: what was not looked at is looked at again. */
            pst_log_err(PST_LOG_ERROR, "waiting deliveries cannot be read", &look_err, NULL);
            h->news_at = h->sweep_at = pst_mono_after_ms(h->now, 1000);
        }
        ring_timers(h);
        pst_hook_pump(h);
    }
    int64_t wait_ms = least_wait_ms(h, busy);
    pst_hook_lots_submit(h, h->is_stopping, &wait_ms);
    show_stats(h);
    return pst_fleet_run(h->fleet, wait_ms, err);
}

/* What is in flight gets its time. */
static pst_code await_answers(struct pst_hooks *h, struct pst_err *err)
{
    pst_mono end = pst_mono_after_ms(h->now, atomic_load(&h->grace_ms));
    while (h->in_flight > 0 && h->now.ns < end.ns) {
        h->news_at = end; /* bounds the wait */
        PST_TRY(turn(h, err));
    }
    return PST_OK;
}

static pst_code work(struct pst_hooks *h, struct pst_err *err)
{
    /* What was there before is found by the sweep. */
    PST_TRY(pst_deliveries_newest(h->reader, &h->news_after, err));
    begin_sweep(h);
    while (!h->is_stopping)
        PST_TRY(turn(h, err));
    return await_answers(h, err);
}

pst_code pst_hooks_run(struct pst_hooks *h, struct pst_err *err)
{
    set_now(h);
    pst_code code = work(h, err);
    /* However it ended: nothing is in flight behind this thread, and what is known is written. */
    set_now(h);
    pst_fleet_cancel(h->fleet);
    pst_hook_lots_flush(h);
    show_stats(h);
    return code;
}

/* ---- life ---- */

pst_code pst_hooks_new(struct pst_hooks **out, const struct pst_hooks_options *options,
                       struct pst_err *err)
{
    PST_AUTO(hooks) struct pst_hooks *h = NULL;
    PST_TRY(pst_new((void **)&h, sizeof(*h), err));
    const struct pst_fleet_options fleet = {
        .http = {.allows = options->allows,
                 .allows_self = options->allows_self,
                 .ca_file = options->ca_file},
        .allow_http = options->allow_http,
    };
    h->options = *options;
    h->ring_tail = &h->ring;
    h->scan_tail = &h->scan;
    h->open_lot = &h->lots[0];
    for (size_t i = 0; i < PST_COUNT(h->lots); i++)
        h->lots[i].hooks = h;
    pst_buf_init(&h->signature, SIGNATURE_MAX);
    atomic_init(&h->grace_ms, GRACE_MS);
    PST_TRY(pst_arena_new(&h->scratch, SCRATCH_BYTES, err));
    PST_TRY(pst_db_reader_new(options->db, &h->reader, err));
    PST_TRY(pst_fleet_new(&h->fleet, &fleet, err));
    *out = PST_TAKE(h);
    return PST_OK;
}

/* Whatever is left, in flight or not. */
static void free_endpoints(struct pst_hooks *h)
{
    for (size_t i = 0; i < h->endpoints.bucket_count; i++) {
        while (h->endpoints.buckets[i]) {
            struct pst_hook_endpoint *e = (void *)h->endpoints.buckets[i];
            for (struct pst_hook_lane *lane = e->lanes; lane; lane = lane->next)
                lane->in_flight = lane->uncommitted = 0;
            pst_hook_lanes_drop(h, e);
            pst_hook_endpoint_free(h, e);
        }
    }
}

void pst_hooks_free(struct pst_hooks *h)
{
    if (!h)
        return;
    free_endpoints(h);
    while (h->free_attempts) {
        struct pst_hook_attempt *next = h->free_attempts->next;
        pst_free(h->free_attempts);
        h->free_attempts = next;
    }
    pst_hook_batches_free(h);
    pst_hook_lots_free(h);
    pst_hook_table_fini(&h->endpoints);
    pst_hook_table_fini(&h->lanes);
    pst_hook_table_fini(&h->tenants);
    pst_hook_heap_fini(&h->timers);
    pst_buf_fini(&h->signature);
    pst_fleet_free(h->fleet);
    pst_db_reader_free(h->reader);
    pst_arena_free(h->scratch);
    pst_free(h);
}
