/* webhook/write.c: outcomes, many in one commit.
 *
 * Two lots: one collects, the other is with the writer. When the store refuses a lot it is kept and
 * tried again; the other one fills up to its bound, and then nothing more is sent. */
#include "base/log.h"
#include "base/vec.h"
#include "event/event.h"
#include "store/store.h"
#include "webhook/internal.h"

enum {
    LOT_BYTES = 64 << 20,
    FULL_BYTES = 16 << 20, /* of texts: answers of receivers */
    ENOUGH = 512, /* rows that are not held back for more to come */
    HOLD_MS = 5,
    RETRY_MS = 1000,
    BUSY_MS = 20, /* the writer's queue is full */
    SAVE_MS = 1000, /* how often the time of a success is written */
    HASTEN_LANES = 500, /* in one commit */
    HASTEN_MS = 20, /* between two lanes */
    SPREAD_MS = 30 * 1000, /* all lanes */
};

/* ---- on the writer thread ---- */

static pst_code tell_disabled(struct pst_db_conn *conn, const struct pst_hook_health_row *row,
                              pst_wall now, struct pst_err *err)
{
    bool is_gone = pst_str_is(row->health.disabled_reason, "gone");
    struct pst_event_trouble trouble = {
        .organization_pk = row->organization_pk,
        .connection_pk = row->connection_pk,
        .code = PST_E_WEBHOOK_DISABLED,
        .message = is_gone
                       ? PST_STR("the webhook was disabled: its receiver answered 410 Gone")
                       : PST_STR("the webhook was disabled: every delivery of three days failed"),
        .webhook_id = pst_id_str(&row->id),
    };
    pst_code code = pst_event_tell_trouble(conn, &trouble, now, err);
    return code == PST_E_CONFLICT ? PST_OK : code; /* told already */
}

static pst_code write_health(struct pst_db_conn *conn, struct pst_hook_health_row *row,
                             pst_wall now, struct pst_err *err)
{
    pst_code code = pst_endpoints_set_health(conn, row->pk, row->version, &row->health, err);
    if (code == PST_E_NOT_FOUND || code == PST_E_CONFLICT) /* deleted, or changed by a user */
        return PST_OK;
    PST_TRY(code);
    if (row->must_tell)
        PST_TRY(tell_disabled(conn, row, now, err));
    return PST_OK;
}

static pst_code write_lot(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct pst_hook_lot *lot = arg;
    for (size_t i = 0; i < lot->rows.len; i++)
        PST_TRY(pst_deliveries_record(conn, &lot->rows.items[i].result, err));
    for (size_t i = 0; i < lot->healths.len; i++) {
        struct pst_hook_health_row *row = &lot->healths.items[i];
        PST_TRY(write_health(conn, row, lot->now, err));
        if (row->hasten_after != PST_HOOK_NO_HASTE)
            PST_TRY(pst_deliveries_hasten(conn, &row->haste, row->hasten_after, HASTEN_LANES,
                                          lot->now, &row->hasten_next, err));
    }
    return PST_OK;
}

static void written(struct pst_db_job *job)
{
    struct pst_hook_lot *lot = job->done_arg;
    pst_hook_signal(lot->hooks, PST_HOOK_WRITTEN);
}

/* ---- collecting ---- */

static pst_code ensure_arena(struct pst_hook_lot *lot, struct pst_err *err)
{
    return lot->arena ? PST_OK : pst_arena_new(&lot->arena, LOT_BYTES, err);
}

/* A text that finds no memory is left out; the outcome counts. */
static void keep_text(struct pst_hook_lot *lot, pst_str *text)
{
    struct pst_err err;
    if (text->len == 0 || pst_arena_dup(lot->arena, text, *text, &err) != PST_OK)
        *text = (pst_str){0};
}

pst_code pst_hook_lot_add(struct pst_hooks *h, struct pst_hook_lane *lane, bool is_loose,
                          const struct pst_delivery_result *result, struct pst_err *err)
{
    struct pst_hook_lot *lot = h->open_lot;
    struct pst_hook_outcome_row *row = NULL;
    PST_TRY(ensure_arena(lot, err));
    PST_TRY(pst_vec_push(&lot->rows, &row, err));
    *row = (struct pst_hook_outcome_row){.result = *result, .lane = lane, .is_loose = is_loose};
    keep_text(lot, &row->result.attempt.error);
    keep_text(lot, &row->result.attempt.response);
    lane->uncommitted++;
    lane->endpoint->refs++;
    if (lot->rows.len == 1)
        h->first_at = h->now;
    if (lane->uncommitted >= PST_HOOK_AHEAD / 2) /* it is about to stand still for this lot */
        h->first_at = (pst_mono){0};
    return PST_OK;
}

static pst_code add_health(struct pst_hooks *h, struct pst_hook_lot *lot,
                           struct pst_hook_endpoint *e, struct pst_err *err)
{
    struct pst_hook_health_row *row = NULL;
    bool is_all = pst_wall_is_none(e->hasten_since); /* a user said so, and waits for it */
    int64_t spread_ms = is_all ? 0 : (int64_t)e->lane_count * HASTEN_MS;
    PST_TRY(ensure_arena(lot, err));
    PST_TRY(pst_vec_push(&lot->healths, &row, err));
    *row = (struct pst_hook_health_row){
        .endpoint = e,
        .health = e->settings.health,
        .id = e->settings.id,
        .pk = e->node.a,
        .organization_pk = e->settings.organization_pk,
        .connection_pk = e->settings.connection_pk,
        .version = e->settings.version,
        .must_tell = e->was_disabled,
        .hasten_after = e->hasten_after,
        .haste = {.endpoint_pk = e->node.a,
                  .failing_since = e->hasten_since,
                  .spread_ms = spread_ms < SPREAD_MS ? spread_ms : SPREAD_MS},
    };
    keep_text(lot, &row->health.last_error);
    e->has_changed = e->was_disabled = e->is_dirty = false;
    e->hasten_after = PST_HOOK_NO_HASTE;
    e->saved_at = h->now;
    e->refs++;
    return PST_OK;
}

/* Healths that are to be written now; the others stay dirty. */
static void collect_healths(struct pst_hooks *h, struct pst_hook_lot *lot, bool all,
                            int64_t *wait_ms)
{
    struct pst_err err;
    struct pst_hook_endpoint **at = &h->dirty;
    while (*at) {
        struct pst_hook_endpoint *e = *at;
        int64_t left_ms = pst_mono_ms_until(h->now, pst_mono_after_ms(e->saved_at, SAVE_MS));
        bool is_time = all || e->has_changed || left_ms == 0;
        if (is_time && add_health(h, lot, e, &err) == PST_OK) {
            *at = e->next_dirty;
            continue;
        }
        if (is_time)
            left_ms = RETRY_MS;
        if (left_ms < *wait_ms)
            *wait_ms = left_ms;
        at = &e->next_dirty;
    }
}

bool pst_hook_lots_are_full(const struct pst_hooks *h)
{
    const struct pst_hook_lot *lot = h->open_lot;
    return lot->rows.len + h->in_flight >= PST_HOOK_ROWS_MAX ||
           (lot->arena && pst_arena_used(lot->arena) > FULL_BYTES);
}

/* ---- to the writer and back ---- */

/* With what is to be written of healths; false: there is nothing. */
static bool close_lot(struct pst_hooks *h, bool all, int64_t *wait_ms)
{
    struct pst_hook_lot *lot = h->open_lot;
    collect_healths(h, lot, all, wait_ms);
    if (lot->rows.len == 0 && lot->healths.len == 0)
        return false;
    h->sent_lot = lot;
    h->open_lot = &h->lots[lot == &h->lots[0]];
    return true;
}

static void hand_on(struct pst_hooks *h)
{
    struct pst_hook_lot *lot = h->sent_lot;
    struct pst_err err;
    lot->now = h->wall;
    lot->job = (struct pst_db_job){.fn = write_lot, .arg = lot, .done = written, .done_arg = lot};
    h->is_with_writer = pst_db_write_async(h->options.db, &lot->job, &err) == PST_OK;
    if (!h->is_with_writer)
        h->retry_at = pst_mono_after_ms(h->now, BUSY_MS);
}

void pst_hook_lots_submit(struct pst_hooks *h, bool all, int64_t *wait_ms)
{
    int64_t left_ms = 0;
    if (h->is_with_writer)
        return;
    if (h->sent_lot) {
        left_ms = pst_mono_ms_until(h->now, h->retry_at);
        if (left_ms == 0)
            hand_on(h);
    } else {
        struct pst_hook_lot *lot = h->open_lot;
        if (!all && lot->rows.len > 0 && lot->rows.len < ENOUGH)
            left_ms = pst_mono_ms_until(h->now, pst_mono_after_ms(h->first_at, HOLD_MS));
        if (left_ms == 0) {
            if (!close_lot(h, all, wait_ms))
                return;
            hand_on(h);
        }
    }
    if (!h->is_with_writer && left_ms == 0)
        left_ms = BUSY_MS;
    if (left_ms > 0 && left_ms < *wait_ms)
        *wait_ms = left_ms;
}

static void settle_row(struct pst_hooks *h, const struct pst_hook_outcome_row *row)
{
    struct pst_hook_lane *lane = row->lane;
    struct pst_hook_endpoint *e = lane->endpoint;
    lane->uncommitted--;
    if (row->is_loose) {
        pst_hook_close(e, row->result.pk);
        if (row->result.status == PST_DELIVERY_WAITING) { /* due anew: look when */
            pst_hook_heap_clear(&h->timers, &lane->timer);
            lane->is_drained = false;
        }
    }
    pst_hook_lane_settle(h, lane);
    e->refs--;
    pst_hook_endpoint_rest(h, e);
}

static void settle_health(struct pst_hooks *h, const struct pst_hook_health_row *row)
{
    struct pst_hook_endpoint *e = row->endpoint;
    if (row->hasten_after != PST_HOOK_NO_HASTE) {
        if (row->hasten_next == PST_LANE_DONE) {
            pst_hook_scan(h, e);
        } else if (e->hasten_after == PST_HOOK_NO_HASTE) { /* else it has begun anew */
            e->hasten_after = row->hasten_next;
            pst_hook_endpoint_touch(h, e, true);
        }
    }
    e->refs--;
    pst_hook_endpoint_rest(h, e);
}

static void empty_lot(struct pst_hook_lot *lot)
{
    lot->rows.len = lot->healths.len = 0;
    if (lot->arena)
        pst_arena_reset(lot->arena);
}

void pst_hook_lots_written(struct pst_hooks *h)
{
    struct pst_hook_lot *lot = h->sent_lot;
    h->is_with_writer = false;
    if (lot->job.code != PST_OK) {
        pst_log_err(h->is_refused ? PST_LOG_DEBUG : PST_LOG_WARN,
                    "outcomes of webhooks are not written yet; it is tried again", &lot->job.err,
                    NULL);
        h->is_refused = true;
        h->retry_at = pst_mono_after_ms(h->now, RETRY_MS);
        return;
    }
    h->sent_lot = NULL;
    h->is_refused = false;
    for (size_t i = 0; i < lot->rows.len; i++)
        settle_row(h, &lot->rows.items[i]);
    for (size_t i = 0; i < lot->healths.len; i++)
        settle_health(h, &lot->healths.items[i]);
    empty_lot(lot);
}

static pst_code do_nothing(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)conn;
    (void)arg;
    (void)err;
    return PST_OK;
}

void pst_hook_lots_flush(struct pst_hooks *h)
{
    struct pst_err err;
    int64_t wait_ms = 0;
    pst_code code = PST_OK;
    if (h->is_with_writer) { /* jobs end in their order */
        code = pst_db_write(h->options.db, do_nothing, NULL, &err);
        if (code == PST_OK)
            pst_hook_lots_written(h);
    }
    while (code == PST_OK && (h->sent_lot || close_lot(h, true, &wait_ms))) {
        struct pst_hook_lot *lot = h->sent_lot;
        lot->now = h->wall;
        code = lot->job.code = pst_db_write(h->options.db, write_lot, lot, &err);
        if (code == PST_OK)
            pst_hook_lots_written(h);
    }
    if (code != PST_OK)
        pst_log_err(PST_LOG_WARN,
                    "outcomes of webhooks are not written; what they tell of is sent again", &err,
                    NULL);
}

void pst_hook_lots_free(struct pst_hooks *h)
{
    for (size_t i = 0; i < PST_COUNT(h->lots); i++) {
        pst_vec_fini(&h->lots[i].rows);
        pst_vec_fini(&h->lots[i].healths);
        pst_arena_free(h->lots[i].arena);
    }
}
