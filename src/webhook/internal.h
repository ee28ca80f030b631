/* webhook/internal.h: what the files of the dispatcher share. Not for other modules.
 *
 *   dispatch.c   the loop: news, the sweep over what waits, stopping
 *   endpoints.c  endpoints in memory: settings, secrets, when one may be sent to; organizations
 *   lanes.c      lanes in memory: what is next in each, when it is due
 *   send.c       attempts: from a delivery to a request, from an answer to an outcome
 *   write.c      outcomes, many in one commit
 *   queue.c      hash table and timers for all of it
 *   sign.c       secrets and signatures
 *   plan.c       the rules
 *
 * In memory are endpoints that have something waiting, a struct per lane that has something
 * waiting, and at most BATCH deliveries of a lane that is being sent. Everything belongs to the
 * dispatcher thread, but for a lot while its job is with the writer.
 */
#ifndef PST_WEBHOOK_INTERNAL_H
#define PST_WEBHOOK_INTERNAL_H

#include "store/deliveries.h"
#include "store/endpoints.h"
#include "webhook/plan.h"
#include "webhook/webhook.h"

enum {
    PST_HOOK_TEXT = 512, /* words of a failure */
    PST_HOOK_HEADERS = 20, /* custom ones */
    PST_HOOK_BATCH = 16, /* deliveries of a lane read at once */
    PST_HOOK_AHEAD = 32, /* outcomes of a lane that are not in the store yet */
    PST_HOOK_LOOSE_AHEAD = 64, /* the same and those in flight, of loose deliveries */
    PST_HOOK_SAMPLES = 4, /* in flight that wait for nothing, of an endpoint */
    PST_HOOK_ROWS_MAX = 8192, /* outcomes in memory; nothing is sent beyond them */
    PST_HOOK_CHANGED = 32, /* endpoints that have changed since the last turn */
};
#define PST_HOOK_NO_HASTE INT64_MIN

/* ---- sign.c ---- */

struct pst_hook_key {
    enum pst_endpoint_signing signing;
    pst_wall until; /* none = without end */
    struct pst_secret *raw;
};

/* The secrets of an endpoint, ready to sign. All zero: none. */
struct pst_hook_keys {
    struct pst_hook_key items[8];
    size_t count;
};
/* From struct pst_endpoint.secrets, unsealed. Errors: CORRUPT, INVALID, NO_MEMORY. */
pst_code pst_hook_keys_read(struct pst_hook_keys *out, pst_str json, struct pst_err *err);
void pst_hook_keys_drop(struct pst_hook_keys *keys); /* wipes */
/* As pst_hook_sign, with those that sign at `now`. Errors: NO_MEMORY. */
pst_code pst_hook_keys_sign(struct pst_buf *out, const struct pst_hook_keys *keys, pst_wall now,
                            pst_str id, int64_t timestamp_s, pst_str body, struct pst_err *err);

/* ---- queue.c ---- */

/* First member of what is in a table: its key is the pair (a, b). */
struct pst_hook_node {
    struct pst_hook_node *next;
    int64_t a, b;
};
struct pst_hook_table {
    struct pst_hook_node **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    size_t count;
};
void *pst_hook_table_find(const struct pst_hook_table *t, int64_t a, int64_t b);
pst_code pst_hook_table_add(struct pst_hook_table *t, struct pst_hook_node *node,
                            struct pst_err *err);
void pst_hook_table_remove(struct pst_hook_table *t, struct pst_hook_node *node);
void pst_hook_table_fini(struct pst_hook_table *t);

enum pst_hook_timer_kind { PST_HOOK_TIMER_LANE, PST_HOOK_TIMER_ENDPOINT };
struct pst_hook_timer {
    pst_mono at;
    size_t place; /* in the heap, from 1; 0 = not set */
    enum pst_hook_timer_kind kind;
};
/* The earliest first. Room is made with each thing that has a timer, so that setting one does not
 * fail. */
struct pst_hook_heap {
    struct pst_hook_timer **items;
    size_t len, cap;
};
pst_code pst_hook_heap_reserve(struct pst_hook_heap *heap, size_t count, struct pst_err *err);
void pst_hook_heap_set(struct pst_hook_heap *heap, struct pst_hook_timer *timer, pst_mono at);
void pst_hook_heap_clear(struct pst_hook_heap *heap, struct pst_hook_timer *timer);
void pst_hook_heap_fini(struct pst_hook_heap *heap);

/* ---- the things in memory ---- */

/* Deliveries read at once, shared by their lane and the attempts at them. */
struct pst_hook_batch {
    struct pst_arena *arena;
    struct pst_delivery *items;
    size_t count;
    size_t refs;
    size_t bytes; /* counted in pst_hooks.buffered */
    struct pst_hook_batch *next; /* among the free ones */
};

struct pst_hook_lane {
    struct pst_hook_node node; /* endpoint, lane */
    struct pst_hook_timer timer; /* set: waits */
    struct pst_hook_endpoint *endpoint;
    struct pst_hook_lane *prev, *next; /* of the endpoint */
    struct pst_hook_lane *next_ready;
    struct pst_hook_batch *batch; /* read and not yet sent: items[at...] */
    size_t at;
    int64_t after; /* event of the last delivery that has ended */
    pst_wall due; /* what it waits for, as the store has it; none = something else */
    uint32_t in_flight;
    uint32_t uncommitted; /* outcomes that are not in the store yet */
    bool is_ready; /* in the endpoint's list of lanes that can go on */
    bool is_drained; /* the store had no more when it was asked */
    bool is_due; /* has waited: the clock is not asked again */
    bool must_commit; /* goes on only when its outcomes are in the store */
    bool must_look; /* the same from the beginning: older ones may wait again */
};

/* The endpoints of an organization in memory share what it may have in flight. */
struct pst_hook_tenant {
    struct pst_hook_node node; /* organization, 0 */
    size_t endpoint_count;
    size_t in_flight;
    struct pst_hook_endpoint *waiting, **waiting_tail; /* for one of these to end */
};

struct pst_hook_endpoint {
    struct pst_hook_node node; /* pk, 0 */
    struct pst_hook_timer timer; /* set: nothing is sent before */
    struct pst_hook_tenant *tenant;
    struct pst_hook_endpoint *next_ready; /* in the ring of those that can send, or the tenant's */
    struct pst_hook_endpoint *next_dirty, *next_scan;
    struct pst_hook_endpoint *prev_idle, *next_idle;
    struct pst_hook_lane *lanes;
    size_t lane_count;
    struct pst_hook_lane *ready, **ready_tail; /* lanes that can go on */

    struct pst_arena *arena; /* texts of settings */
    struct pst_endpoint settings; /* with the health as of now */
    char last_error[PST_HOOK_TEXT]; /* the health's */
    uint64_t epoch; /* pst_hooks.epoch when settings were read; 0 = they have changed since */
    bool is_held; /* off, disabled or deleted: nothing is sent */
    int64_t well_version; /* of the last settings by which a user said that it is well */

    bool has_keys; /* the two below are open */
    struct pst_hook_keys keys;
    struct pst_secret *header_bytes; /* custom headers lie in it */
    struct pst_http_header headers[PST_HOOK_HEADERS];
    size_t header_count;

    uint32_t window; /* deliveries in flight that it is trusted with; grows with successes */
    uint32_t in_flight; /* without the samples of the next line */
    uint32_t samples; /* in flight that waited for nothing */
    uint32_t refs; /* attempts, samples included, and outcomes that are not in the store yet */
    pst_mono rate_at; /* of the token bucket: when it is full again */
    struct {
        int64_t *items;
        size_t len, cap;
    } open; /* loose deliveries in flight or not in the store yet */

    bool is_in_ring, is_dirty, is_scanned, is_idle;
    bool has_changed; /* dirty, and by more than the time of a success */
    bool was_disabled; /* to be told */
    pst_mono saved_at; /* health was written */
    int64_t scan_after; /* lane; while is_scanned */
    int64_t hasten_after; /* as pst_deliveries_hasten; PST_HOOK_NO_HASTE = nothing to do */
    pst_wall hasten_since; /* it had been failing since then; none = all that waits */
};

struct pst_hook_attempt {
    struct pst_hooks *hooks;
    struct pst_hook_attempt *prev, *next; /* in the order in which they began */
    struct pst_hook_endpoint *endpoint;
    struct pst_hook_lane *lane;
    struct pst_hook_batch *batch;
    const struct pst_delivery *delivery; /* in batch */
    int64_t version; /* of the endpoint's settings */
    pst_wall at;
    pst_mono begin;
    bool is_slow;
    bool is_express; /* a sample that waited for nothing */
    bool has_headers; /* custom ones were sent */
};

/* Outcomes for one commit. */
struct pst_hook_lot {
    struct pst_hooks *hooks;
    struct pst_arena *arena; /* texts */
    struct {
        struct pst_hook_outcome_row {
            struct pst_delivery_result result;
            struct pst_hook_lane *lane;
            bool is_loose;
        } *items;
        size_t len, cap;
    } rows;
    struct {
        struct pst_hook_health_row {
            struct pst_hook_endpoint *endpoint;
            struct pst_endpoint_health health; /* last_error lies in arena */
            struct pst_id id;
            int64_t pk, organization_pk, connection_pk, version;
            bool must_tell; /* disabled */
            int64_t hasten_after; /* PST_HOOK_NO_HASTE = none */
            int64_t hasten_next; /* where it goes on */
            struct pst_delivery_haste haste;
        } *items;
        size_t len, cap;
    } healths;
    pst_wall now;
    struct pst_db_job job;
};

struct pst_hooks {
    struct pst_hooks_options options;
    struct pst_fleet *fleet;
    struct pst_db_conn *reader;
    struct pst_arena *scratch; /* headers of an endpoint, while they are opened */
    struct pst_buf signature;
    atomic_uint signals; /* PST_HOOK_EVENTS and so on: what other threads said */
    _Atomic int64_t changed[PST_HOOK_CHANGED]; /* endpoints, 0 = room for one */
    _Atomic int64_t grace_ms;

    pst_mono now; /* of this turn of the loop */
    pst_wall wall;
    struct pst_hook_table endpoints, lanes, tenants;
    struct pst_hook_heap timers;
    struct pst_hook_endpoint *ring, **ring_tail; /* endpoints that can send, in turn */
    struct pst_hook_endpoint *oldest_idle, *newest_idle;
    size_t idle_count;
    uint64_t epoch; /* 1, 2, ...: raised when any endpoint may have changed */

    struct pst_hook_batch *free_batches;
    size_t free_batch_count;
    size_t buffered; /* bytes of batches in use */
    struct pst_hook_attempt *oldest, *newest, *young; /* young: the first that is not slow */
    size_t in_flight, slow;
    struct pst_hook_attempt *free_attempts;

    struct pst_hook_lot lots[2];
    struct pst_hook_lot *open_lot; /* collects */
    struct pst_hook_lot *sent_lot; /* with the writer, or to be tried again; NULL = none */
    bool is_with_writer; /* the sent lot */
    bool is_refused; /* the sent lot, and that was said */
    pst_mono first_at; /* of the open lot's first outcome */
    pst_mono retry_at; /* of a sent lot that failed */
    struct pst_hook_endpoint *dirty;

    int64_t news_after; /* delivery */
    pst_mono news_at; /* look again, though nobody said so */
    bool is_sweeping;
    int64_t sweep_after; /* endpoint */
    pst_mono sweep_at; /* begin one, though nobody said so */
    struct pst_hook_endpoint *scan, **scan_tail;
    bool is_stopping;

    struct {
        _Atomic uint64_t attempts, delivered, refused, unreachable, given_up, duration_us;
        _Atomic uint64_t in_flight, endpoints, lanes;
    } stats;
};

/* ---- endpoints.c ---- */

/* All that waits for it is due: a user said that it is well. */
void pst_hook_endpoint_hasten(struct pst_hooks *h, struct pst_hook_endpoint *e);
/* Find or load; *out NULL when nothing may be sent to it (gone, off, disabled). */
pst_code pst_hook_endpoint_find(struct pst_hooks *h, int64_t pk, struct pst_hook_endpoint **out,
                                struct pst_err *err);
/* Whether it may be sent to now; when not, something that will happen puts it into the ring
 * again. */
bool pst_hook_endpoint_may_send(struct pst_hooks *h, struct pst_hook_endpoint *e);
/* One token of its rate limit. */
void pst_hook_endpoint_spend(struct pst_hooks *h, struct pst_hook_endpoint *e);
/* Open its secrets, if they are not; false: they cannot be, and it is left alone for a while. */
bool pst_hook_endpoint_open(struct pst_hooks *h, struct pst_hook_endpoint *e);
void pst_hook_endpoint_close(struct pst_hook_endpoint *e); /* wipes them */
/* Into the ring, when a lane of it can go on. */
void pst_hook_endpoint_push(struct pst_hooks *h, struct pst_hook_endpoint *e);
struct pst_hook_endpoint *pst_hook_endpoint_pop(struct pst_hooks *h);
/* Into the ring with those that wait for their organization, as many as there is room for. */
void pst_hook_tenant_push(struct pst_hooks *h, struct pst_hook_tenant *t);
/* Its health changed. */
void pst_hook_endpoint_touch(struct pst_hooks *h, struct pst_hook_endpoint *e, bool has_changed);
/* Nothing may be left of it: then it is kept for a while, without work. */
void pst_hook_endpoint_rest(struct pst_hooks *h, struct pst_hook_endpoint *e);
void pst_hook_endpoint_free(struct pst_hooks *h, struct pst_hook_endpoint *e);
void pst_hook_endpoint_set_held(struct pst_hooks *h, struct pst_hook_endpoint *e);

/* ---- lanes.c ---- */

/* Find or make. Errors: NO_MEMORY. */
pst_code pst_hook_lane_find(struct pst_hooks *h, struct pst_hook_endpoint *e, int64_t lane,
                            struct pst_hook_lane **out, struct pst_err *err);
/* Something about it changed: make it ready, let it wait, or let it go. It may be freed. */
void pst_hook_lane_settle(struct pst_hooks *h, struct pst_hook_lane *lane);
/* Let it wait until due (none: a second). */
void pst_hook_lane_wait(struct pst_hooks *h, struct pst_hook_lane *lane, pst_wall due);
void pst_hook_lane_drop_batch(struct pst_hooks *h, struct pst_hook_lane *lane);
/* What is to be sent next; NULL: nothing now, and the lane is settled. */
const struct pst_delivery *pst_hook_lane_next(struct pst_hooks *h, struct pst_hook_lane *lane);
/* Nothing of its endpoint is sent any more: let go what is not in flight. */
void pst_hook_lanes_drop(struct pst_hooks *h, struct pst_hook_endpoint *e);
void pst_hook_batch_unref(struct pst_hooks *h, struct pst_hook_batch *batch);
void pst_hook_batches_free(struct pst_hooks *h); /* those that are not used */
/* A sample, whatever else waits: a batch of one, with one reference; NULL: it does not wait. */
pst_code pst_hook_sample_read(struct pst_hooks *h, int64_t pk, struct pst_hook_batch **out,
                              struct pst_err *err);
bool pst_hook_is_open(const struct pst_hook_endpoint *e, int64_t delivery_pk);
void pst_hook_close(struct pst_hook_endpoint *e, int64_t delivery_pk);

/* ---- send.c ---- */

/* Begin an attempt at a delivery of batch (which gets a reference). Whatever goes wrong becomes an
 * outcome. is_express: a sample that does not wait for its endpoint. */
void pst_hook_send(struct pst_hooks *h, struct pst_hook_lane *lane, struct pst_hook_batch *batch,
                   const struct pst_delivery *delivery, bool is_express);
bool pst_hook_has_room(const struct pst_hooks *h); /* for one more attempt */
/* For how many more of an organization. */
size_t pst_hook_tenant_room(const struct pst_hooks *h, const struct pst_hook_tenant *t);
/* As many as may be. */
void pst_hook_pump(struct pst_hooks *h);

/* ---- write.c ---- */

/* An outcome for the next commit. Errors: NO_MEMORY. */
pst_code pst_hook_lot_add(struct pst_hooks *h, struct pst_hook_lane *lane, bool is_loose,
                          const struct pst_delivery_result *result, struct pst_err *err);
/* Hand on what is collected, if it is time; *wait_ms becomes less where something is left. */
void pst_hook_lots_submit(struct pst_hooks *h, bool all, int64_t *wait_ms);
/* The writer is done with the sent lot. */
void pst_hook_lots_written(struct pst_hooks *h);
bool pst_hook_lots_are_full(const struct pst_hooks *h);
/* All that is left, waiting for the writer; what the store refuses is sent again by the next start.
 */
void pst_hook_lots_flush(struct pst_hooks *h);
void pst_hook_lots_free(struct pst_hooks *h);

/* dispatch.c: from any thread. */
enum {
    PST_HOOK_EVENTS = 1,
    PST_HOOK_ENDPOINTS = 2, /* those in pst_hooks.changed */
    PST_HOOK_SWEEP = 4, /* more than there is room for there: all are looked at */
    PST_HOOK_WRITTEN = 8,
    PST_HOOK_STOP = 16,
};
void pst_hook_signal(struct pst_hooks *h, unsigned what);
/* Look at all lanes of an endpoint in the store. */
void pst_hook_scan(struct pst_hooks *h, struct pst_hook_endpoint *e);

/* ---- redact.c ---- */

/* The beginning of an answer's body, without the values of the endpoint's custom headers. */
pst_str pst_hook_redact(char out[PST_FLEET_KEPT], const struct pst_hook_endpoint *e, pst_str body);

#endif
