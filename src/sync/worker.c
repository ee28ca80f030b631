/* sync/worker.c: a worker thread: claim a run, carry it through, end it. */
#include "base/alloc.h"
#include "event/event.h"
#include "health/health.h"
#include "sync/internal.h"

#define RUN_ARENA (64U << 20)
#define SCRATCH_ARENA (64U << 20)
#define JSON_MAX (256U << 20)
#define LOOK_MS 30000
#define END_AGAIN_MS 1000
#define LOOK_STOP_MS 50
#define TRIM_ROWS 5000

static pst_code make_lots(struct pst_sync_worker *w, struct pst_err *err)
{
    for (size_t i = 0; i < PST_COUNT(w->lots); i++)
        PST_TRY(pst_lot_new(&w->lots[i], err));
    return PST_OK;
}

/* A worker that waits keeps nothing of the pages of its last run. */
static void drop_lots(struct pst_sync_worker *w, const struct pst_run *run)
{
    for (size_t i = 0; i < PST_COUNT(w->lots); i++) {
        pst_lot_free(w->lots[i]);
        w->lots[i] = NULL;
    }
    if (run->counts.rows < TRIM_ROWS)
        return;
    pst_buf_fini(&w->json);
    pst_alloc_trim();
}

static void worker_fini(struct pst_sync_worker *w)
{
    pst_bindings_fini(&w->bindings);
    pst_zip_free(w->zip);
    pst_db_reader_free(w->reader);
    pst_arena_free(w->arena);
    pst_arena_free(w->scratch);
    pst_buf_fini(&w->json);
}

static pst_code worker_init(struct pst_sync_worker *w, struct pst_err *err)
{
    pst_buf_init(&w->json, JSON_MAX);
    PST_TRY(pst_arena_new(&w->arena, RUN_ARENA, err));
    PST_TRY(pst_arena_new(&w->scratch, SCRATCH_ARENA, err));
    PST_TRY(pst_zip_new(&w->zip, PST_ZIP_LEVEL, err));
    return pst_db_reader_new(w->e->options.db, &w->reader, err);
}

/* ---- claiming ---- */

struct claim_job {
    struct pst_arena *arena;
    struct pst_sync *sync;
    pst_wall now;
    bool found;
    pst_wall next; /* when there may be one, if none was found */
};

static pst_code claim(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct claim_job *job = arg;
    PST_TRY(pst_syncs_claim(conn, job->now, job->arena, job->sync, &job->found, err));
    return job->found ? PST_OK : pst_syncs_next_resume(conn, job->now, &job->next, err);
}

static void open_slot(struct pst_sync_worker *w, const struct pst_sync *sync)
{
    struct pst_sync_slot *slot = w->slot;
    atomic_store(&slot->contacted, false);
    atomic_store(&slot->ticket, 0);
    atomic_store(&slot->started_ns, pst_sync_mono(w->e).ns);
    atomic_store(&slot->entity, -1);
    atomic_store(&slot->entity_at, 0);
    atomic_store(&slot->entity_count, (int64_t)sync->stream_count);
    atomic_store(&slot->records, 0);
    atomic_store(&slot->rows, 0);
    atomic_store(&slot->deleting, 0);
    /* The connection is shown before the ticket is drawn: whoever draws a later one sees it. */
    atomic_store(&slot->connection_pk, sync->connection_pk);
    atomic_store(&slot->ticket, atomic_fetch_add(&w->e->tickets, 1) + 1);
    atomic_store(&slot->sync_pk, sync->pk);
}

static void close_slot(struct pst_sync_worker *w)
{
    atomic_store(&w->slot->sync_pk, 0);
    atomic_store(&w->slot->connection_pk, 0);
}

/* ---- ending ---- */

struct end_job {
    const struct pst_run *run;
    struct pst_sync_outcome outcome;
    pst_wall now;
    enum pst_sync_status status;
    bool must_pause; /* the status of the connection changed */
    bool has_successor; /* another run was queued in its place */
    bool is_withdrawn; /* it is as if it had not been queued */
    bool is_put_back; /* it is queued as it was */
};

static bool has_new_credentials(const struct pst_run *run, const struct pst_connection *now)
{
    return pst_connection_credentials_mark(now) !=
           pst_connection_credentials_mark(&run->connection);
}

/* Whether credentials came after this run began that nobody has tried: whoever was to may have
 * found the system unreachable. */
static bool are_untried(const struct pst_run *run, const struct pst_connection *now)
{
    return (now->status == PST_CONNECTION_PENDING || now->status == PST_CONNECTION_OFFLINE) &&
           has_new_credentials(run, now);
}

/* Refused credentials: nothing may be tried with them again, also by a run that is queued
 * already. Credentials that were replaced since this run began are another matter. */
static pst_code note_refusal(struct pst_db_conn *conn, struct end_job *job, struct pst_err *err)
{
    const struct pst_run *run = job->run;
    struct pst_connection now = {0};
    pst_code rc =
        pst_connections_get_pk(conn, run->sync->connection_pk, run->w->scratch, &now, err);
    if (rc == PST_E_NOT_FOUND)
        return PST_OK;
    PST_TRY(rc);
    if (has_new_credentials(run, &now))
        return PST_OK;
    struct pst_health health;
    const struct pst_health_time time = {.wall = job->now, .mono = pst_sync_mono(run->w->e)};
    const struct pst_health_event refused = {
        .kind = PST_HEALTH_CONTACT, .code = PST_E_REAUTH, .reason = job->outcome.failure->msg};
    PST_TRY(pst_health_load(&health, conn, &now, &time, err));
    struct pst_health_actions actions =
        pst_health_step(&health, &pst_health_defaults, &time, &refused);
    job->must_pause = actions.has_changed;
    return actions.must_save
               ? pst_health_save(conn, &health, &actions, now.pk, run->sync->request_id, &time, err)
               : PST_OK;
}

/* The connection was put to `pending` while this run still went by what it was before, and held
 * the streams: what was to try new credentials, or a connection that was switched off and on, could
 * not be queued then. A run that was cancelled or failed is done again; after one that completed an
 * incremental one is enough. */
static pst_code queue_successor(struct pst_db_conn *conn, struct end_job *job, struct pst_err *err)
{
    const struct pst_run *run = job->run;
    const struct pst_entity *entities[PST_ENTITIES_MAX];
    struct pst_sync_request request = {.id = pst_sync_new_id(run->w->e),
                                       .connection_pk = run->sync->connection_pk,
                                       .trigger = run->sync->trigger,
                                       .mode = run->sync->mode,
                                       .entities = entities,
                                       .request_id = run->sync->request_id,
                                       .now = job->now};
    struct pst_connection now = {0};
    if (!run->is_open)
        return PST_OK;
    pst_code rc =
        pst_connections_get_pk(conn, run->sync->connection_pk, run->w->scratch, &now, err);
    if (rc == PST_E_NOT_FOUND)
        return PST_OK;
    PST_TRY(rc);
    bool is_switched = job->status == PST_SYNC_CANCELLED && now.version != run->connection.version;
    if (!(is_switched && now.status == PST_CONNECTION_PENDING) && !are_untried(run, &now))
        return PST_OK;
    if (job->status == PST_SYNC_COMPLETED) {
        request.mode = PST_SYNC_INCREMENTAL;
        request.trigger = PST_SYNC_SCHEDULED;
    }
    for (size_t i = 0; i < run->sync->stream_count; i++)
        if (run->sync->streams[i].entity)
            entities[request.entity_count++] = run->sync->streams[i].entity;
    int64_t pk = 0;
    rc = pst_syncs_create(conn, &request, &pk, NULL, err);
    job->has_successor = rc == PST_OK && pk != 0;
    return rc == PST_E_SYNC_IN_PROGRESS ? PST_OK : rc;
}

/* A tick that came while the system is away, and made no call: the schedule goes on as probes, and
 * what it was to read is caught up with when the system is back. */
static bool was_denied(const struct end_job *job)
{
    const struct pst_sync *sync = job->run->sync;
    bool has_begun = false;
    for (size_t i = 0; i < sync->stream_count; i++)
        has_begun = has_begun || sync->streams[i].begun;
    return job->outcome.status == PST_SYNC_FAILED && job->outcome.failure->code == PST_E_AWAY &&
           sync->trigger == PST_SYNC_SCHEDULED && !has_begun;
}

/* As if it had not been queued. One whose system came back since is put back into the queue: it is
 * the run that catches up; and so is one of new credentials, until the try of the old ones that is
 * under way is over. */
static pst_code undo(struct pst_db_conn *conn, struct end_job *job, struct pst_err *err)
{
    const struct pst_sync *sync = job->run->sync;
    struct pst_connection now = {0};
    pst_code rc =
        pst_connections_get_pk(conn, sync->connection_pk, job->run->w->scratch, &now, err);
    if (rc != PST_OK && rc != PST_E_NOT_FOUND)
        return rc;
    bool is_back = rc == PST_OK && now.status == PST_CONNECTION_ONLINE &&
                   now.status_since.us != job->run->connection.status_since.us;
    bool is_pending = rc == PST_OK && now.status == PST_CONNECTION_PENDING;
    if (is_pending)
        PST_TRY(pst_syncs_wait(conn, sync->pk, (pst_wall){job->now.us + PST_EARLY_GAP_MS * 1000LL},
                               err));
    job->is_put_back = is_back || is_pending;
    job->is_withdrawn = !job->is_put_back;
    return job->is_put_back ? pst_syncs_release(conn, sync->pk, err)
                            : pst_syncs_withdraw(conn, sync->pk, err);
}

/* Those of before it was handed back included. */
static pst_code store_calls(struct pst_db_conn *conn, const struct pst_run *run,
                            struct pst_err *err)
{
    return pst_syncs_set_calls(conn, run->sync->pk, run->sync->counts.calls + run->counts.calls,
                               err);
}

static pst_code end_run(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct end_job *job = arg;
    pst_arena_reset(job->run->w->scratch);
    if (job->outcome.status == PST_SYNC_FAILED && job->outcome.failure->code == PST_E_REAUTH &&
        job->run->is_open)
        PST_TRY(note_refusal(conn, job, err));
    if (was_denied(job))
        PST_TRY(undo(conn, job, err));
    else
        PST_TRY(pst_syncs_end(conn, job->run->sync->pk, &job->outcome, job->run->covers_all,
                              job->now, &job->status, err));
    PST_TRY(store_calls(conn, job->run, err));
    if (!job->is_put_back)
        PST_TRY(queue_successor(conn, job, err));
    /* Those, too, that made room for a successor. */
    return pst_event_tell_syncs(conn, job->run->sync->connection_pk, job->now, err);
}

static pst_code release_run(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct end_job *job = arg;
    PST_TRY(store_calls(conn, job->run, err));
    return pst_syncs_release(conn, job->run->sync->pk, err);
}

static void report(const struct pst_run *run, enum pst_sync_status status,
                   const struct pst_err *err)
{
    const struct pst_sync_options *o = &run->w->e->options;
    const struct pst_sync_report r = {
        .sync_id = run->sync->id,
        .connection_id = run->connection.id,
        .request_id = run->sync->request_id,
        .status = status,
        .mode = run->sync->mode,
        .trigger = run->sync->trigger,
        .counts = run->counts,
        .err = err,
    };
    if (o->report)
        o->report(o->report_self, &r);
}

/* A store that refuses (a full disk, no memory) is asked until it takes the end of the run: a
 * run that nobody carries on may not hold its streams. The log is told at once. A stop leaves the
 * run to the next start. */
static pst_code store_end(struct pst_run *run, struct end_job *job, pst_db_write_fn how,
                          struct pst_err *err)
{
    struct pst_sync_engine *e = run->w->e;
    bool is_told = false;
    for (;;) {
        pst_code rc = pst_run_write(run, how, job, err);
        if (rc == PST_OK || pst_code_retry(rc) != PST_RETRY_LATER || atomic_load(&e->stopping))
            return rc;
        if (!is_told)
            report(run, PST_SYNC_RUNNING, err);
        is_told = true;
        for (int64_t ms = 0; ms < END_AGAIN_MS && !atomic_load(&e->stopping); ms += LOOK_STOP_MS)
            e->options.host.sleep_ms(e->options.host.self, LOOK_STOP_MS);
        job->now = pst_sync_wall(e);
    }
}

static void end(struct pst_run *run, pst_code rc, struct pst_err *failure)
{
    struct pst_sync_engine *e = run->w->e;
    struct pst_err err;
    struct end_job job = {.run = run, .now = pst_sync_wall(e), .status = PST_SYNC_FAILED};
    bool is_over = pst_plan_after_failure(rc) == PST_NEXT_CANCELLED && rc != PST_OK;
    if (is_over && (run->is_put_off || atomic_load(&e->stopping))) {
        rc = store_end(run, &job, release_run, &err);
        report(run, PST_SYNC_QUEUED, rc == PST_OK ? NULL : &err);
        pst_sync_work_added(e); /* others look when it is due */
        return;
    }
    job.outcome.status = rc == PST_OK ? PST_SYNC_COMPLETED
                         : is_over    ? PST_SYNC_CANCELLED
                                      : PST_SYNC_FAILED;
    job.outcome.failure = failure;
    pst_code ended = store_end(run, &job, end_run, &err);
    /* CONFLICT: it was ended from outside (its connection is gone). */
    if (ended != PST_OK && ended != PST_E_CONFLICT)
        report(run, PST_SYNC_FAILED, &err);
    else if (!job.is_withdrawn && !job.is_put_back)
        report(run, job.status,
               job.outcome.status == PST_SYNC_FAILED                      ? failure
               : job.status == PST_SYNC_FAILED && run->has_stream_failure ? &run->stream_failure
                                                                          : NULL);
    if (job.has_successor || job.is_put_back)
        pst_sync_work_added(e);
    if (job.must_pause)
        pst_sync_note(e, PST_NOTE_CHANGED, run->sync->connection_pk);
    if (run->sync->trigger != PST_SYNC_MANUAL && !job.is_put_back)
        pst_sync_note(e, PST_NOTE_FINISHED, run->sync->connection_pk);
}

static void carry_through(struct pst_sync_worker *w, struct pst_sync *sync)
{
    struct pst_run run = {.w = w, .sync = sync};
    struct pst_err err = {0};
    open_slot(w, sync);
    /* Who cancelled it before the slot was open found no flag to raise. */
    atomic_store(&w->slot->cancel, true);
    pst_code rc = pst_run_check(&run, &err);
    if (rc == PST_OK)
        rc = make_lots(w, &err);
    if (rc == PST_OK)
        rc = pst_run_execute(&run, &err);
    pst_run_count_calls(&run);
    if (run.is_open)
        w->e->options.systems.close(w->e->options.systems.self, &run.system);
    drop_lots(w, &run);
    end(&run, rc, &err);
    close_slot(w);
}

/* *idle_ms: how long there is nothing to do; 0: there was a run. */
static pst_code work_once(struct pst_sync_worker *w, int64_t *idle_ms, struct pst_err *err)
{
    struct pst_sync sync = {0};
    pst_arena_reset(w->arena);
    struct claim_job job = {.arena = w->arena, .sync = &sync, .now = pst_sync_wall(w->e)};
    PST_TRY(pst_db_write(w->e->options.db, claim, &job, err));
    *idle_ms = job.found ? 0 : LOOK_MS;
    if (job.found)
        carry_through(w, &sync);
    else if (!pst_wall_is_none(job.next) && job.next.us - job.now.us < LOOK_MS * 1000LL)
        *idle_ms = (job.next.us - job.now.us) / 1000 + 1;
    return PST_OK;
}

pst_code pst_sync_worker_run(struct pst_sync_engine *e, unsigned worker,
                             const struct pst_sync_lane *lane, struct pst_err *err)
{
    if (worker >= e->options.workers)
        return PST_FAIL(err, PST_E_INVALID, "there is no worker %u", worker);
    struct pst_sync_worker w = {.e = e, .index = worker, .lane = lane, .slot = &e->slots[worker]};
    pst_code rc = worker_init(&w, err);
    while (rc == PST_OK && !atomic_load(&e->stopping)) {
        int64_t idle_ms = LOOK_MS;
        struct pst_err late;
        /* A store that refuses (full disk, no memory) is asked again later. */
        if (work_once(&w, &idle_ms, &late) != PST_OK)
            idle_ms = LOOK_MS;
        if (idle_ms > 0)
            e->options.host.await(e->options.host.self, PST_SYNC_BELL_WORK, idle_ms);
    }
    worker_fini(&w);
    return rc;
}

static pst_code recover(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_syncs_recover(conn, NULL, err);
}

pst_code pst_sync_recover(struct pst_sync_engine *e, struct pst_err *err)
{
    return pst_db_write(e->options.db, recover, NULL, err);
}
