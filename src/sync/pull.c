/* sync/pull.c: one stream of a run, from its first page to its checkpoint.
 *
 * Three pages are under way at a time: one is fetched on the lane's thread, one is mapped here,
 * one is with the writer. Each has a lot of its own, used in turn; a lot is filled again only
 * when its page is durable.
 */
#include "sync/internal.h"

#define KEY_MAX (1U << 20)
#define DELETE_BATCH 1000
#define DEFERRED_RECORDS 200000 /* building an index sorts its entries in memory */

/* ---- the write stage ---- */

static pst_code commit_lot(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct pst_lot *lot = arg;
    return pst_records_commit_page(conn, &lot->commit, err);
}

static void signal_lane(struct pst_db_job *job)
{
    const struct pst_sync_lane *lane = job->done_arg;
    lane->signal(lane->self);
}

/* Wait until the lot that is with the writer is durable. */
static pst_code drain(struct pst_pull *p, struct pst_err *err)
{
    struct pst_lot *lot = p->writing;
    if (lot == NULL)
        return PST_OK;
    const struct pst_sync_lane *lane = p->run->w->lane;
    lane->await(lane->self);
    p->writing = NULL;
    if (lot->job.code == PST_OK)
        return PST_OK;
    p->has_lost_page = true;
    *err = lot->job.err;
    return lot->job.code;
}

static pst_code hand_over(struct pst_pull *p, struct pst_lot *lot, struct pst_err *err)
{
    PST_TRY(drain(p, err));
    if (p->checkpoint_moved) {
        PST_TRY(pst_buf_check(&p->checkpoint, err));
        PST_TRY(
            pst_arena_dup(lot->work, &lot->commit.checkpoint, pst_buf_str(&p->checkpoint), err));
        PST_TRY(pst_arena_dup(lot->work, &lot->commit.sort_key, pst_buf_str(&p->last_key), err));
    }
    lot->commit.counts = p->pending;
    lot->job = (struct pst_db_job){.fn = commit_lot,
                                   .arg = lot,
                                   .done = signal_lane,
                                   .done_arg = (void *)(uintptr_t)p->run->w->lane};
    pst_code rc = pst_db_write_async(p->run->w->e->options.db, &lot->job, err);
    if (rc == PST_OK)
        p->writing = lot;
    else if (rc == PST_E_UNAVAILABLE) /* the queue is full: wait in line */
        rc = pst_run_write(p->run, commit_lot, lot, err);
    PST_TRY(rc);
    p->pending = (struct pst_sync_counts){0};
    p->checkpoint_moved = false;
    p->last_commit = pst_sync_mono(p->run->w->e);
    return PST_OK;
}

static pst_code submit(struct pst_pull *p, struct pst_lot *lot, struct pst_err *err)
{
    pst_code rc = hand_over(p, lot, err);
    p->has_lost_page = p->has_lost_page || rc != PST_OK;
    return rc;
}

/* ---- indexes ---- */

struct index_job {
    const struct pst_entity *entity;
    bool deferred, left;
};

static pst_code defer_indexes(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct index_job *job = arg;
    return pst_records_defer_indexes(conn, job->entity, &job->deferred, err);
}

static pst_code build_index(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct index_job *job = arg;
    return pst_records_build_index(conn, job->entity, &job->left, err);
}

/* One by one: others may write in between. */
static pst_code build_indexes(struct pst_pull *p, struct pst_err *err)
{
    struct index_job job = {.entity = p->stream->entity, .left = p->lacks_index};
    while (job.left)
        PST_TRY(pst_run_write(p->run, build_index, &job, err));
    p->lacks_index = false;
    return PST_OK;
}

/* Before the first of several pages of a full read goes into a stream without records. */
static pst_code begin_filling(struct pst_pull *p, struct pst_err *err)
{
    struct index_job job = {.entity = p->stream->entity};
    if (!p->may_defer)
        return PST_OK;
    PST_TRY(pst_run_write(p->run, defer_indexes, &job, err));
    p->lacks_index = p->lacks_index || job.deferred;
    return PST_OK;
}

/* ---- the map stage ---- */

/* Whether a document of this page may also stand in the page that is being written, so that
 * what is stored is only known once that is done. */
static bool overlaps_written(const struct pst_pull *p, const struct pst_page *page)
{
    for (size_t i = 0; p->writing && i < page->count; i++)
        if (pst_str_cmp(page->documents[i].sort_key, pst_buf_str(&p->last_key)) <= 0)
            return true;
    return false;
}

static void show_progress(struct pst_pull *p, const struct pst_sync_counts *c)
{
    struct pst_sync_slot *slot = p->run->w->slot;
    pst_sync_counts_add(&p->run->counts, c);
    atomic_store(&slot->records, p->run->counts.read);
    atomic_store(&slot->rows, p->run->counts.rows);
}

static pst_code map_page(struct pst_pull *p, struct pst_lot *lot, struct pst_err *err)
{
    pst_mono begin = pst_sync_mono(p->run->w->e);
    if (overlaps_written(p, &lot->page))
        PST_TRY(drain(p, err));
    PST_TRY(pst_lot_map(lot, p, err));
    pst_mono now = pst_sync_mono(p->run->w->e);
    lot->commit.counts.work_us = (now.ns - begin.ns) / 1000;
    show_progress(p, &lot->commit.counts);
    p->created += lot->commit.counts.created;
    if (p->created >= DEFERRED_RECORDS)
        PST_TRY(build_indexes(p, err));
    pst_sync_counts_add(&p->pending, &lot->commit.counts);
    if (lot->page.next_key.len > 0) {
        pst_buf_reset(&p->checkpoint);
        pst_buf_add_str(&p->checkpoint, lot->page.next_key);
        p->checkpoint_moved = true;
    }
    if (!pst_plan_commits_now(pst_lot_has_changes(lot), p->last_commit, now))
        return PST_OK;
    return submit(p, lot, err);
}

/* ---- the fetch stage ---- */

static pst_code start_fetch(struct pst_pull *p, struct pst_lot *lot, pst_str after_key,
                            struct pst_err *err)
{
    const struct pst_sync_lane *lane = p->run->w->lane;
    /* The page after it changed nothing and was not submitted, so nobody has waited for it. */
    if (p->writing && lot == p->writing)
        PST_TRY(drain(p, err));
    lot->run = p->run;
    lot->fetch = (struct pst_fetch){
        .stream = p->def,
        .mode = p->window.mode,
        .from = p->window.from,
        .to = p->window.to,
        .as_of = p->window.as_of,
        .after_key = after_key,
        .limit = (uint32_t)atomic_load(&p->run->w->e->page_rows),
    };
    lane->fetch_start(lane->self, pst_lot_fetch, lot);
    return PST_OK;
}

static pst_code check_page(const struct pst_lot *lot, struct pst_err *err)
{
    if (lot->page.end)
        return PST_OK;
    if (lot->page.count == 0 || lot->page.next_key.len == 0)
        return PST_FAIL(err, PST_E_SYSTEM, "an empty page came before the end of the data");
    if (pst_str_eq(lot->page.next_key, lot->fetch.after_key))
        return PST_FAIL(err, PST_E_SYSTEM, "the same page came twice");
    return PST_OK;
}

/* Wait for the page that is being fetched; failures that may pass are tried again. */
static pst_code take_page(struct pst_pull *p, struct pst_lot *lot, struct pst_err *err)
{
    const struct pst_sync_lane *lane = p->run->w->lane;
    struct pst_run_tries tries = {0};
    for (;;) {
        lane->fetch_wait(lane->self);
        PST_TRY(pst_run_check(p->run, err));
        if (lot->code == PST_OK) {
            atomic_store(&p->run->w->slot->contacted, true);
            p->pending.wait_us += tries.waited_us;
            return check_page(lot, err);
        }
        p->pending.calls += lot->calls;
        *err = lot->err;
        PST_TRY(pst_run_try_again(p->run, &tries, err));
        lane->fetch_start(lane->self, pst_lot_fetch, lot);
    }
}

/* A page is being fetched that nobody will look at. The flag stays up, since it may have been
 * raised for the run meanwhile: pst_run_check lowers it if not. */
static void abandon_fetch(struct pst_pull *p)
{
    const struct pst_sync_lane *lane = p->run->w->lane;
    atomic_store(&p->run->w->slot->cancel, true);
    lane->fetch_wait(lane->self);
}

static pst_code read_pages(struct pst_pull *p, struct pst_err *err)
{
    struct pst_lot **lots = p->run->w->lots;
    PST_TRY(start_fetch(p, lots[0], p->stream->after_key, err));
    for (size_t i = 0;; i++) {
        struct pst_lot *lot = lots[i % 3];
        PST_TRY(take_page(p, lot, err));
        PST_TRY(pst_lot_bind(lot, p, err));
        /* Read before the lot after the next takes this one's memory. */
        bool is_end = lot->page.end;
        if (!is_end)
            PST_TRY(start_fetch(p, lots[(i + 1) % 3], lot->page.next_key, err));
        pst_code rc = i == 0 && !is_end ? begin_filling(p, err) : PST_OK;
        if (rc == PST_OK)
            rc = map_page(p, lot, err);
        if (rc != PST_OK && !is_end)
            abandon_fetch(p);
        if (rc != PST_OK || is_end)
            return rc;
    }
}

/* ---- the end of a stream ---- */

struct end_job {
    struct pst_page_commit commit; /* what is still to be counted */
    struct pst_sync_outcome outcome;
    pst_wall now;
    bool is_whole; /* everything there is was read */
};

static pst_code end_stream(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct end_job *job = arg;
    const struct pst_sync_counts *c = &job->commit.counts;
    if (c->read > 0 || c->calls > 0 || c->pages > 0)
        PST_TRY(pst_records_commit_page(conn, &job->commit, err));
    if (job->is_whole)
        PST_TRY(pst_rejected_drop_unseen(conn, job->commit.stream_pk, job->commit.sync_pk, err));
    return pst_syncs_end_stream(conn, job->commit.sync_pk, job->commit.stream_pk, &job->outcome,
                                job->now, err);
}

static struct pst_page_commit empty_commit(const struct pst_pull *p)
{
    return (struct pst_page_commit){
        .entity = p->stream->entity,
        .connection_pk = p->run->connection.pk,
        .sync_pk = p->run->sync->pk,
        .stream_pk = p->stream->stream_pk,
        .now = pst_sync_wall(p->run->w->e),
        .counts = p->pending,
    };
}

static pst_code end_with(struct pst_pull *p, enum pst_sync_status status,
                         const struct pst_err *failure, struct pst_err *err)
{
    struct end_job job = {
        .commit = empty_commit(p),
        .outcome = {.status = status,
                    .failure = failure,
                    .mapping_version = p->binding ? pst_mapping_version(p->binding->mapping) : 0},
        .now = pst_sync_wall(p->run->w->e),
        .is_whole = status == PST_SYNC_COMPLETED && p->window.mode == PST_FETCH_FULL,
    };
    PST_TRY(pst_run_write(p->run, end_stream, &job, err));
    p->stream->status = status;
    return PST_OK;
}

/* ---- what a full read did not show ---- */

static pst_code begin_delete(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct pst_pull *p = arg;
    return pst_syncs_begin_delete(conn, p->run->sync->pk, p->stream->stream_pk, err);
}

struct delete_job {
    struct pst_page_commit commit;
    int64_t deleted;
    bool left;
};

static pst_code delete_batch(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct delete_job *job = arg;
    return pst_records_delete_missing(conn, &job->commit, DELETE_BATCH, &job->deleted, &job->left,
                                      err);
}

static pst_code delete_missing(struct pst_pull *p, int64_t missing, struct pst_err *err)
{
    struct pst_sync_slot *slot = p->run->w->slot;
    struct delete_job job = {.left = true};
    while (job.left) {
        atomic_store(&slot->deleting, missing);
        PST_TRY(pst_run_check(p->run, err));
        job.commit = empty_commit(p);
        job.deleted = 0;
        PST_TRY(pst_run_write(p->run, delete_batch, &job, err));
        p->run->counts.deleted += job.deleted;
        missing = missing > job.deleted ? missing - job.deleted : 0;
    }
    atomic_store(&slot->deleting, 0);
    return PST_OK;
}

static pst_code guard(struct pst_pull *p, int64_t *missing, struct pst_err *err)
{
    int64_t live = 0;
    int percent = (int)atomic_load(&p->run->w->e->delete_guard_percent);
    if (p->is_disordered)
        return PST_FAIL(err, PST_E_DELETE_GUARD,
                        "the system does not return %.*s in key order, so what is missing cannot "
                        "be told; everything that came was stored, nothing was deleted",
                        PST_STR_ARG(p->def->name));
    PST_TRY(pst_records_guard_counts(p->run->w->reader, p->def->entity, p->run->connection.pk,
                                     p->run->sync->pk, p->window.from, &live, missing, err));
    if (p->is_unguarded || !pst_plan_guard_trips(live, *missing, percent))
        return PST_OK;
    return PST_FAIL(err, PST_E_DELETE_GUARD,
                    "%lld of %lld %.*s are missing in the system, more than %d %%; nothing was "
                    "deleted",
                    (long long)*missing, (long long)live, PST_STR_ARG(p->def->name), percent);
}

static pst_code finish_full(struct pst_pull *p, struct pst_err *err)
{
    int64_t missing = 0;
    if (!p->is_disordered) {
        /* The lots are all free: nothing is fetched, and what was written is waited for. */
        PST_TRY(drain(p, err));
        PST_TRY(pst_lot_tail(p->run->w->lots[0], p, err));
        if (pst_lot_has_changes(p->run->w->lots[0]))
            PST_TRY(submit(p, p->run->w->lots[0], err));
    }
    PST_TRY(drain(p, err));
    PST_TRY(guard(p, &missing, err));
    if (missing == 0)
        return PST_OK;
    PST_TRY(pst_run_write(p->run, begin_delete, p, err));
    return delete_missing(p, missing, err);
}

/* ---- the whole stream ---- */

static pst_code prepare(struct pst_pull *p, struct pst_err *err)
{
    struct pst_run *run = p->run;
    struct pst_stream_state state = {0};
    bool found = false;
    p->def = pst_manifest_stream(run->system.manifest, pst_str_from(p->stream->entity->name));
    if (p->def == NULL)
        return PST_FAIL(err, PST_E_INVALID, "this connector does not read %s",
                        p->stream->entity->name);
    p->window = (struct pst_window){
        .mode = pst_window_is_full(p->stream->to) ? PST_FETCH_FULL : PST_FETCH_INCREMENTAL,
        .from = p->stream->from,
        .to = p->stream->to,
        .as_of = p->stream->as_of,
    };
    PST_TRY(pst_run_bind(run, p->def, &p->binding, err));
    PST_TRY(pst_streams_get(run->w->reader, run->connection.pk, p->def->entity, run->w->arena,
                            &state, &found, err));
    PST_TRY(pst_binding_load_dict(p->binding, run->w->reader, state.dict, err));
    p->may_train = state.dict == 0;
    p->has_rejected = state.rejected > 0;
    p->is_unguarded = state.unguarded;
    p->may_defer =
        p->window.mode == PST_FETCH_FULL && p->stream->after_key.len == 0 && state.records == 0;
    if (p->window.mode == PST_FETCH_FULL)
        PST_TRY(pst_records_lacks_index(run->w->reader, p->def->entity, &p->lacks_index, err));
    /* Of a first read it is the version that it began with, whatever was stored before. */
    p->is_remapped = pst_wall_is_none(state.synced_to) ||
                     state.mapping_version != pst_mapping_version(p->binding->mapping);
    pst_buf_add_str(&p->last_key, p->stream->sort_key);
    p->is_disordered = pst_str_eq(p->stream->sort_key, PST_KEY_DISORDERED);
    /* The last document before the checkpoint may have come without a key. */
    p->gap_open = p->has_rejected && p->stream->sort_key.len > 0;
    p->last_commit = pst_sync_mono(run->w->e);
    return pst_buf_check(&p->last_key, err);
}

static pst_code read_stream(struct pst_pull *p, struct pst_err *err)
{
    PST_TRY(prepare(p, err));
    if (p->stream->phase == PST_PHASE_DELETE)
        return delete_missing(p, 0, err);
    PST_TRY(read_pages(p, err));
    return p->window.mode == PST_FETCH_FULL ? finish_full(p, err) : drain(p, err);
}

/* The pages that were mapped and, because they changed nothing, not committed one by one: whoever
 * goes on with this read need not ask for them again. Not behind a page that was lost. */
static pst_code keep_for_later(struct pst_pull *p, struct pst_err *err)
{
    if (!p->checkpoint_moved || p->has_lost_page)
        return PST_OK;
    struct pst_lot *lot = p->run->w->lots[0];
    pst_arena_reset(lot->work);
    lot->commit = empty_commit(p);
    PST_TRY(submit(p, lot, err));
    return drain(p, err);
}

pst_code pst_pull_stream(struct pst_run *run, struct pst_sync_stream *stream, struct pst_err *err)
{
    struct pst_pull p = {.run = run, .stream = stream};
    struct pst_err late;
    pst_buf_init(&p.checkpoint, KEY_MAX);
    pst_buf_init(&p.last_key, KEY_MAX);
    pst_code rc = read_stream(&p, err);
    pst_code drained = drain(&p, &late);
    if (rc == PST_OK && drained != PST_OK) {
        *err = late;
        rc = drained;
    }
    /* When the program stops, its next start builds them. */
    pst_code built = atomic_load(&run->w->e->stopping) ? PST_OK : build_indexes(&p, &late);
    if (rc == PST_OK && built != PST_OK) {
        *err = late;
        rc = built;
    }
    if (rc == PST_OK)
        rc = end_with(&p, PST_SYNC_COMPLETED, NULL, err);
    else if (pst_plan_after_failure(rc) != PST_NEXT_CANCELLED || run->is_put_off ||
             atomic_load(&run->w->e->stopping))
        (void)keep_for_later(&p, &late); /* else those pages are read once more */
    if (rc != PST_OK && pst_plan_after_failure(rc) != PST_NEXT_CANCELLED)
        (void)end_with(&p, PST_SYNC_FAILED, err, &late); /* the run's end does it again */
    pst_buf_fini(&p.checkpoint);
    pst_buf_fini(&p.last_key);
    return rc;
}
