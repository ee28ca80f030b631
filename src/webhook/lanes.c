/* webhook/lanes.c: what is next in each lane, and when it is due.
 *
 * A lane is ready (its endpoint may send from it), waits (its timer is set), or has to stand still
 * until something that is under way ends: an attempt, or a commit. Each end calls settle, which
 * decides anew. A lane with nothing left is freed. */
#include "base/alloc.h"
#include "base/log.h"
#include "webhook/internal.h"

enum {
    ARENA_BYTES = 64 << 20, /* of one batch; bodies have limits of their own */
    BUFFERED_MAX = 16 << 20, /* bytes of batches; beyond it lanes read one delivery at a time */
    FREE_BATCHES = 256,
    FREE_BATCH_BYTES = 64 << 10, /* larger ones are not kept */
    LONGEST_WAIT_S = PST_HOOK_LONGEST_WAIT_S * (100 + PST_HOOK_JITTER_PERCENT) / 100,
};

static bool is_loose(const struct pst_hook_lane *lane)
{
    return lane->node.b == PST_LANE_LOOSE;
}

/* ---- batches ---- */

static void free_batch(struct pst_hook_batch *batch)
{
    pst_arena_free(batch->arena);
    pst_free(batch);
}

static pst_code new_batch(struct pst_hooks *h, struct pst_hook_batch **out, struct pst_err *err)
{
    struct pst_hook_batch *batch = h->free_batches;
    if (batch) {
        h->free_batches = batch->next;
        h->free_batch_count--;
    } else {
        PST_TRY(pst_new((void **)&batch, sizeof(*batch), err));
        pst_code code = pst_arena_new(&batch->arena, ARENA_BYTES, err);
        if (code != PST_OK) {
            free_batch(batch);
            return code;
        }
    }
    batch->refs = 1;
    batch->count = batch->bytes = 0;
    *out = batch;
    return PST_OK;
}

static void count_bytes(struct pst_hooks *h, struct pst_hook_batch *batch)
{
    batch->bytes = pst_arena_used(batch->arena);
    h->buffered += batch->bytes;
}

void pst_hook_batch_unref(struct pst_hooks *h, struct pst_hook_batch *batch)
{
    if (!batch || --batch->refs > 0)
        return;
    h->buffered -= batch->bytes;
    if (h->free_batch_count == FREE_BATCHES || batch->bytes > FREE_BATCH_BYTES) {
        free_batch(batch);
        return;
    }
    pst_arena_reset(batch->arena);
    batch->next = h->free_batches;
    h->free_batches = batch;
    h->free_batch_count++;
}

void pst_hook_batches_free(struct pst_hooks *h)
{
    while (h->free_batches) {
        struct pst_hook_batch *next = h->free_batches->next;
        free_batch(h->free_batches);
        h->free_batches = next;
    }
}

pst_code pst_hook_sample_read(struct pst_hooks *h, int64_t pk, struct pst_hook_batch **out,
                              struct pst_err *err)
{
    struct pst_hook_batch *batch = NULL;
    PST_TRY(new_batch(h, &batch, err));
    pst_code code = pst_deliveries_get_pk(h->reader, pk, batch->arena, &batch->items, err);
    batch->count = code == PST_OK && batch->items ? 1 : 0;
    count_bytes(h, batch);
    *out = batch;
    if (batch->count == 0) {
        pst_hook_batch_unref(h, batch);
        *out = NULL;
    }
    return code;
}

void pst_hook_lane_drop_batch(struct pst_hooks *h, struct pst_hook_lane *lane)
{
    pst_hook_batch_unref(h, lane->batch);
    lane->batch = NULL;
    lane->is_drained = false;
}

/* ---- loose deliveries that are under way ---- */

static int64_t *find_open(const struct pst_hook_endpoint *e, int64_t pk)
{
    for (size_t i = 0; i < e->open.len; i++)
        if (e->open.items[i] == pk)
            return &e->open.items[i];
    return NULL;
}

bool pst_hook_is_open(const struct pst_hook_endpoint *e, int64_t delivery_pk)
{
    return find_open(e, delivery_pk) != NULL;
}

void pst_hook_close(struct pst_hook_endpoint *e, int64_t delivery_pk)
{
    int64_t *item = find_open(e, delivery_pk);
    if (item)
        *item = e->open.items[--e->open.len];
}

/* ---- life of a lane ---- */

pst_code pst_hook_lane_find(struct pst_hooks *h, struct pst_hook_endpoint *e, int64_t number,
                            struct pst_hook_lane **out, struct pst_err *err)
{
    struct pst_hook_lane *lane = pst_hook_table_find(&h->lanes, e->node.a, number);
    *out = lane;
    if (lane)
        return PST_OK;
    PST_TRY(pst_hook_heap_reserve(&h->timers, h->lanes.count + h->endpoints.count + 2, err));
    PST_TRY(pst_new((void **)&lane, sizeof(*lane), err));
    lane->node = (struct pst_hook_node){.a = e->node.a, .b = number};
    lane->timer.kind = PST_HOOK_TIMER_LANE;
    lane->endpoint = e;
    lane->due = PST_WALL_NONE;
    pst_code code = pst_hook_table_add(&h->lanes, &lane->node, err);
    if (code != PST_OK) {
        pst_free(lane);
        return code;
    }
    lane->next = e->lanes;
    if (e->lanes)
        e->lanes->prev = lane;
    e->lanes = lane;
    e->lane_count++;
    *out = lane;
    return PST_OK;
}

/* It is in no list of ready ones. */
static void free_lane(struct pst_hooks *h, struct pst_hook_lane *lane)
{
    struct pst_hook_endpoint *e = lane->endpoint;
    pst_hook_heap_clear(&h->timers, &lane->timer);
    pst_hook_lane_drop_batch(h, lane);
    pst_hook_table_remove(&h->lanes, &lane->node);
    e->lane_count--;
    *(lane->prev ? &lane->prev->next : &e->lanes) = lane->next;
    if (lane->next)
        lane->next->prev = lane->prev;
    pst_free(lane);
    pst_hook_endpoint_rest(h, e);
}

static bool is_quiet(const struct pst_hook_lane *lane)
{
    return lane->in_flight == 0 && lane->uncommitted == 0;
}

void pst_hook_lanes_drop(struct pst_hooks *h, struct pst_hook_endpoint *e)
{
    for (struct pst_hook_lane *lane = e->ready; lane; lane = lane->next_ready)
        lane->is_ready = false;
    e->ready = NULL;
    e->ready_tail = &e->ready;
    e->refs++; /* it stays until the last of its lanes has gone */
    for (struct pst_hook_lane *lane = e->lanes, *next = NULL; lane; lane = next) {
        next = lane->next;
        pst_hook_heap_clear(&h->timers, &lane->timer);
        pst_hook_lane_drop_batch(h, lane);
        if (is_quiet(lane))
            free_lane(h, lane);
    }
    e->refs--;
}

void pst_hook_lane_wait(struct pst_hooks *h, struct pst_hook_lane *lane, pst_wall due)
{
    int64_t wait_us = PST_US_PER_S;
    if (!pst_wall_is_none(due))
        wait_us = due.us - h->wall.us;
    if (wait_us > LONGEST_WAIT_S * PST_US_PER_S) /* the clock was put back */
        wait_us = LONGEST_WAIT_S * PST_US_PER_S;
    if (wait_us < 1000)
        wait_us = 1000;
    lane->due = due;
    pst_hook_heap_set(&h->timers, &lane->timer, (pst_mono){h->now.ns + wait_us * 1000});
}

/* Older deliveries may wait again: from the beginning. */
static void look_again(struct pst_hooks *h, struct pst_hook_lane *lane)
{
    pst_hook_heap_clear(&h->timers, &lane->timer);
    pst_hook_lane_drop_batch(h, lane);
    lane->after = 0;
    lane->is_due = lane->must_look = lane->must_commit = false;
}

/* Whether it has to stand still until an attempt or a commit ends. */
static bool is_busy(const struct pst_hook_lane *lane)
{
    if (is_loose(lane))
        return lane->in_flight + lane->uncommitted >= PST_HOOK_LOOSE_AHEAD;
    return lane->in_flight > 0 || lane->uncommitted >= PST_HOOK_AHEAD ||
           (lane->must_commit && lane->uncommitted > 0);
}

/* What is under way of a loose lane is left out one by one; of another, only its end tells where
 * the beginning is. */
static bool may_look(const struct pst_hook_lane *lane)
{
    return is_loose(lane) || is_quiet(lane);
}

void pst_hook_lane_settle(struct pst_hooks *h, struct pst_hook_lane *lane)
{
    struct pst_hook_endpoint *e = lane->endpoint;
    if (lane->is_ready || (lane->must_look && !may_look(lane)))
        return;
    if (lane->must_look)
        look_again(h, lane);
    if (e->is_held) {
        if (is_quiet(lane))
            free_lane(h, lane);
        return;
    }
    if (lane->timer.place || is_busy(lane))
        return;
    lane->must_commit = false;
    if (lane->batch || !lane->is_drained) {
        lane->is_ready = true;
        lane->next_ready = NULL;
        *e->ready_tail = lane;
        e->ready_tail = &lane->next_ready;
        pst_hook_endpoint_push(h, e);
    } else if (is_quiet(lane)) {
        free_lane(h, lane);
    }
}

/* ---- reading ---- */

/* Without what is under way: when its turn in the batch came it might have ended. */
static void leave_out_open(const struct pst_hook_lane *lane, struct pst_hook_batch *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (!pst_hook_is_open(lane->endpoint, batch->items[i].pk))
            batch->items[count++] = batch->items[i];
    batch->count = count;
}

/* A batch of what comes next; none when there is nothing. */
static pst_code read_batch(struct pst_hooks *h, struct pst_hook_lane *lane, struct pst_err *err)
{
    struct pst_hook_batch *batch = NULL;
    size_t limit = h->buffered > BUFFERED_MAX ? 1 : PST_HOOK_BATCH;
    if (is_loose(lane))
        limit += lane->endpoint->open.len;
    PST_TRY(new_batch(h, &batch, err));
    pst_code code = pst_deliveries_next(h->reader, lane->node.a, lane->node.b, lane->after, limit,
                                        batch->arena, &batch->items, &batch->count, err);
    count_bytes(h, batch);
    lane->is_drained = code == PST_OK && batch->count < limit;
    if (code == PST_OK && is_loose(lane))
        leave_out_open(lane, batch);
    if (code != PST_OK || batch->count == 0) {
        pst_hook_batch_unref(h, batch);
        return code;
    }
    lane->batch = batch;
    lane->at = 0;
    return PST_OK;
}

static void drop_ended_batch(struct pst_hooks *h, struct pst_hook_lane *lane)
{
    if (lane->batch && lane->at == lane->batch->count) {
        bool is_drained = lane->is_drained;
        pst_hook_lane_drop_batch(h, lane);
        lane->is_drained = is_drained;
    }
}

static bool must_wait(const struct pst_hooks *h, const struct pst_hook_lane *lane)
{
    return lane->batch->items[lane->at].tries.due_at.us > h->wall.us && !lane->is_due;
}

const struct pst_delivery *pst_hook_lane_next(struct pst_hooks *h, struct pst_hook_lane *lane)
{
    struct pst_err err;
    drop_ended_batch(h, lane);
    if (lane->batch && lane->at > 0 && must_wait(h, lane))
        pst_hook_lane_drop_batch(h, lane); /* what came since it was read may be due before */
    if (!lane->batch && !lane->is_drained) {
        if (read_batch(h, lane, &err) != PST_OK) {
            pst_log_err(PST_LOG_ERROR, "deliveries of a webhook cannot be read", &err,
                        (const struct pst_log_field[]){
                            PST_F_ID("webhook_id", &lane->endpoint->settings.id), {0}});
            pst_hook_lane_wait(h, lane, PST_WALL_NONE);
            return NULL;
        }
    }
    if (!lane->batch) {
        pst_hook_lane_settle(h, lane);
        return NULL;
    }
    const struct pst_delivery *d = &lane->batch->items[lane->at];
    if (must_wait(h, lane)) {
        pst_wall due = d->tries.due_at;
        pst_hook_lane_drop_batch(h, lane);
        pst_hook_lane_wait(h, lane, due);
        return NULL;
    }
    lane->is_due = false;
    return d;
}
