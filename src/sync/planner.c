/* sync/planner.c: the scheduler thread: feeds sched.h with what happens, and turns the runs it
 * asks for into queued syncs.
 */
#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "store/outages.h"
#include "sync/internal.h"
#include "sync/sched.h"

#define PLANNER_ARENA (256U << 20)
#define LOAD_BATCH 1000

struct run_job {
    struct pst_db_job job;
    struct planner *planner;
    struct pst_sync_request request;
    pst_wall next_run;
    int64_t pk; /* 0: there was nothing to do */
    bool is_ready; /* the request is complete */
};

struct planner {
    struct pst_sync_engine *e;
    struct pst_sched *sched;
    struct pst_db_conn *reader;
    struct pst_arena *arena; /* of one round of runs, or of one connection */
    struct pst_map zones; /* name -> struct pst_tz */
    struct {
        int64_t *items;
        size_t len, cap;
    } finished; /* connections whose run could not begin */
    struct pst_sched_actions actions;
    struct run_job jobs[PST_SCHED_RUNS];
    _Atomic int jobs_open;
    struct {
        struct pst_sched_event *items;
        size_t len, cap;
    } loaded; /* connections of one batch, not yet told to the scheduler */
    int64_t last_loaded;
};

/* ---- feeding the scheduler ---- */

static pst_code find_zone(struct planner *p, pst_str name, const struct pst_tz **out,
                          struct pst_err *err)
{
    struct pst_tz *tz = pst_map_get(&p->zones, name);
    if (tz == NULL) {
        struct pst_err local;
        /* A zone that vanished with an update of the system: better at the wrong hour than
         * never. */
        if (pst_tz_load(&tz, NULL, name, &local) != PST_OK)
            PST_TRY(pst_tz_load(&tz, NULL, PST_STR("UTC"), err));
        pst_code rc = pst_map_put(&p->zones, name, tz, NULL, err);
        if (rc != PST_OK) {
            pst_tz_free(tz);
            return rc;
        }
    }
    *out = tz;
    return PST_OK;
}

static pst_code step(struct planner *p, const struct pst_sched_event *event, struct pst_err *err);

static pst_code describe(struct planner *p, const struct pst_connection_plan *plan,
                         struct pst_sched_event *out, struct pst_err *err)
{
    struct pst_schedule schedule = {.kind = PST_SCHEDULE_MANUAL};
    struct pst_err local;
    const struct pst_tz *zone = NULL;
    if (plan->schedule.len > 0 &&
        pst_schedule_parse(&schedule, plan->schedule, true, &local) != PST_OK)
        schedule.kind = PST_SCHEDULE_MANUAL;
    if (schedule.kind == PST_SCHEDULE_CRON)
        PST_TRY(find_zone(p, pst_str_from(schedule.zone), &zone, err));
    *out = (struct pst_sched_event){
        .kind = PST_SCHED_PUT,
        .connection = plan->pk,
        .schedule = schedule.kind,
        .interval_ms = schedule.interval_ms,
        .cron = schedule.cron,
        .zone = zone,
        .spread = pst_schedule_spread(pst_id_str(&plan->id)),
        .paused = plan->status == PST_CONNECTION_AUTHENTICATION_REQUIRED ||
                  plan->status == PST_CONNECTION_INACTIVE || plan->status == PST_CONNECTION_OFFLINE,
        .initial = !plan->initial_sync_done && pst_wall_is_none(plan->last_tick_at),
        .running = plan->has_own_run,
        .last_run = plan->last_tick_at,
        /* Who syncs by hand only catches up by hand, too, but for the first sync. */
        .owed = plan->owed && (schedule.kind != PST_SCHEDULE_MANUAL || !plan->initial_sync_done),
    };
    return PST_OK;
}

static pst_code load_row(void *self, const struct pst_connection_plan *plan, struct pst_err *err)
{
    struct planner *p = self;
    struct pst_sched_event *event = NULL;
    PST_TRY(pst_vec_push(&p->loaded, &event, err));
    p->last_loaded = plan->pk;
    return describe(p, plan, event, err);
}

/* As after a start: what was known before may be wrong in any way (a run that is over, a connection
 * that is gone). Batch by batch, so that no read is open while runs are queued. */
static pst_code load_all(struct planner *p, struct pst_err *err)
{
    struct pst_sched *fresh = NULL;
    bool more = true;
    PST_TRY(pst_sched_new(&fresh, err));
    pst_sched_free(p->sched);
    p->sched = fresh;
    p->last_loaded = 0;
    while (more && !atomic_load(&p->e->stopping)) {
        p->loaded.len = 0;
        PST_TRY(
            pst_connections_plan(p->reader, p->last_loaded, LOAD_BATCH, load_row, p, &more, err));
        for (size_t i = 0; i < p->loaded.len; i++)
            PST_TRY(step(p, &p->loaded.items[i], err));
    }
    return PST_OK;
}

struct settle_job {
    int64_t pk;
    bool is_settled; /* out */
};

/* A run that waited for the system, or goes on, is what catches up; one that is over, though its
 * end was not heard of yet, is not. */
static pst_code settle(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct settle_job *job = arg;
    PST_TRY(pst_syncs_has_own(conn, job->pk, &job->is_settled, err));
    return job->is_settled ? pst_outages_settle(conn, job->pk, err) : PST_OK;
}

static pst_code load_one(struct planner *p, int64_t pk, struct pst_err *err)
{
    struct pst_connection c = {0};
    const struct pst_sched_event removed = {.kind = PST_SCHED_REMOVE, .connection = pk};
    pst_arena_reset(p->arena);
    pst_code rc = pst_connections_get_pk(p->reader, pk, p->arena, &c, err);
    if (rc == PST_E_NOT_FOUND || (rc == PST_OK && !pst_wall_is_none(c.deleted_at)))
        return step(p, &removed, err);
    PST_TRY(rc);
    struct pst_outage outage;
    PST_TRY(pst_outages_get(p->reader, pk, &outage, err));
    const struct pst_connection_plan plan = {
        .pk = c.pk,
        .id = c.id,
        .schedule = c.schedule,
        .status = c.status,
        .initial_sync_done = c.initial_sync_done,
        .owed = outage.owed,
        .version = c.version,
        .created_at = c.created_at,
        .next_run_at = c.next_run_at,
        .last_tick_at = c.last_tick_at,
    };
    struct pst_sched_event event;
    PST_TRY(describe(p, &plan, &event, err));
    if (event.owed && pst_sched_is_running(p->sched, pk)) {
        struct settle_job job = {.pk = pk};
        PST_TRY(pst_db_write(p->e->options.db, settle, &job, err));
        event.owed = !job.is_settled;
    }
    return step(p, &event, err);
}

/* ---- carrying runs out ---- */

static pst_code queue_run(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct run_job *job = arg;
    bool is_busy = false;
    /* The API queues the first run, and one after new credentials. Streams it has already read are
     * free again, yet the connection is not to be read by two such runs at once. */
    PST_TRY(pst_syncs_has_own(conn, job->request.connection_pk, &is_busy, err));
    /* The one that the API queued may have come to its end since the connection was looked at. */
    if (!is_busy && job->request.trigger == PST_SYNC_INITIAL)
        PST_TRY(pst_connections_is_read(conn, job->request.connection_pk, &is_busy, err));
    pst_code rc = is_busy ? PST_E_SYNC_IN_PROGRESS
                          : pst_syncs_create(conn, &job->request, &job->pk, NULL, err);
    /* Held by another run, or switched off meanwhile: nothing was written, and nothing is
     * owed. */
    if (rc == PST_E_SYNC_IN_PROGRESS || rc == PST_E_INACTIVE)
        job->pk = 0;
    else
        PST_TRY(rc);
    PST_TRY(pst_outages_settle(conn, job->request.connection_pk, err));
    return pst_connections_set_plan(conn, job->request.connection_pk, job->next_run,
                                    job->request.now, err);
}

static void run_queued(struct pst_db_job *job)
{
    struct run_job *run = job->done_arg;
    struct planner *p = run->planner;
    const struct pst_sync_host *host = &p->e->options.host;
    /* With the last job the scheduler may go on, and end: p is not looked at afterwards. */
    if (atomic_fetch_sub(&p->jobs_open, 1) == 1)
        host->ring(host->self, PST_SYNC_BELL_SCHEDULER);
}

static pst_code prepare_run(struct planner *p, const struct pst_sched_run *run, struct run_job *job,
                            struct pst_err *err)
{
    struct pst_connection c = {0};
    PST_TRY(pst_connections_get_pk(p->reader, run->connection, p->arena, &c, err));
    const struct pst_connector_entry *entry =
        pst_connectors_find(p->e->options.connectors, c.connector);
    if (entry == NULL)
        return PST_FAIL(err, PST_E_UNSUPPORTED, "no connector '%.*s'", PST_STR_ARG(c.connector));
    bool is_initial = run->kind == PST_RUN_INITIAL;
    job->request = (struct pst_sync_request){
        .id = pst_sync_new_id(p->e),
        .connection_pk = run->connection,
        .trigger = is_initial ? PST_SYNC_INITIAL : PST_SYNC_SCHEDULED,
        .mode = is_initial ? PST_SYNC_FULL : PST_SYNC_INCREMENTAL,
        .now = pst_sync_wall(p->e),
    };
    PST_TRY(pst_sync_entities(&c, entry->manifest, p->arena, &job->request.entities,
                              &job->request.entity_count, err));
    if (job->request.entity_count == 0)
        return PST_FAIL(err, PST_E_INVALID, "the connection reads no entities");
    job->next_run = pst_sched_next_run(p->sched, run->connection);
    return PST_OK;
}

static void start_job(struct planner *p, const struct pst_sched_run *run, struct run_job *job)
{
    struct pst_err err;
    *job = (struct run_job){.planner = p};
    job->is_ready = prepare_run(p, run, job, &err) == PST_OK;
    if (!job->is_ready)
        return;
    job->job =
        (struct pst_db_job){.fn = queue_run, .arg = job, .done = run_queued, .done_arg = job};
    atomic_fetch_add(&p->jobs_open, 1);
    if (pst_db_write_async(p->e->options.db, &job->job, &err) == PST_OK)
        return;
    atomic_fetch_sub(&p->jobs_open, 1);
    /* The queue is full: wait in line. */
    job->job.code = pst_db_write(p->e->options.db, queue_run, job, &err);
}

/* Queue the runs under as few commits as the writer manages, and wait for them: the jobs are
 * used again by the next step. */
static pst_code start_runs(struct planner *p, struct pst_err *err)
{
    const struct pst_sync_host *host = &p->e->options.host;
    size_t count = p->actions.count;
    if (count == 0)
        return PST_OK;
    pst_arena_reset(p->arena);
    for (size_t i = 0; i < count; i++)
        start_job(p, &p->actions.runs[i], &p->jobs[i]);
    while (atomic_load(&p->jobs_open) > 0)
        host->await(host->self, PST_SYNC_BELL_SCHEDULER, -1);
    for (size_t i = 0; i < count; i++) {
        const struct run_job *job = &p->jobs[i];
        if (job->is_ready && job->job.code == PST_OK && job->pk != 0) {
            pst_sync_work_added(p->e);
            continue;
        }
        int64_t *connection = NULL;
        PST_TRY(pst_vec_push(&p->finished, &connection, err));
        *connection = p->actions.runs[i].connection;
    }
    return PST_OK;
}

static pst_code step(struct planner *p, const struct pst_sched_event *event, struct pst_err *err)
{
    PST_TRY(pst_sched_step(p->sched, pst_sync_mono(p->e), pst_sync_wall(p->e), event, &p->actions,
                           err));
    return start_runs(p, err);
}

/* ---- the thread ---- */

static pst_code take_finished(struct planner *p, struct pst_err *err)
{
    while (p->finished.len > 0) {
        const struct pst_sched_event event = {.kind = PST_SCHED_FINISHED,
                                              .connection = p->finished.items[--p->finished.len]};
        PST_TRY(step(p, &event, err));
    }
    return PST_OK;
}

static pst_code take_notes(struct planner *p, struct pst_err *err)
{
    pst_code rc = PST_OK;
    struct pst_sync_note *note = pst_sync_take_notes(p->e);
    while (note) {
        struct pst_sync_note *next = note->next;
        const struct pst_sched_event event = {.kind = PST_SCHED_FINISHED,
                                              .connection = note->connection_pk};
        if (rc == PST_OK)
            rc = note->kind == PST_NOTE_CHANGED ? load_one(p, note->connection_pk, err)
                                                : step(p, &event, err);
        pst_free(note);
        note = next;
    }
    return rc;
}

static pst_code look_around(struct planner *p, struct pst_err *err)
{
    const struct pst_sched_event time = {.kind = PST_SCHED_TIME};
    if (atomic_exchange(&p->e->notes_lost, false))
        PST_TRY(load_all(p, err));
    PST_TRY(take_notes(p, err));
    PST_TRY(step(p, &time, err));
    return take_finished(p, err);
}

static pst_code planner_init(struct planner *p, struct pst_err *err)
{
    PST_TRY(pst_arena_new(&p->arena, PLANNER_ARENA, err));
    PST_TRY(pst_db_reader_new(p->e->options.db, &p->reader, err));
    return load_all(p, err);
}

static void planner_fini(struct planner *p)
{
    pst_sched_free(p->sched);
    for (size_t i = 0; i < p->zones.count; i++)
        pst_tz_free(p->zones.entries[i].value);
    pst_map_fini(&p->zones);
    pst_vec_fini(&p->finished);
    pst_vec_fini(&p->loaded);
    pst_db_reader_free(p->reader);
    pst_arena_free(p->arena);
}

static void run_planner(struct planner *p)
{
    const struct pst_sync_host *host = &p->e->options.host;
    while (!atomic_load(&p->e->stopping)) {
        struct pst_err err;
        int64_t ms = PST_SCHED_LOOK_MS;
        /* What failed (no memory, a store that refuses), and the notes and runs that went unheard
         * with it, are made up for by looking at everything again. */
        if (look_around(p, &err) != PST_OK)
            atomic_store(&p->e->notes_lost, true);
        else if (p->actions.wake.ns != PST_MONO_NEVER.ns)
            ms = pst_mono_ms_until(pst_sync_mono(p->e), p->actions.wake);
        /* The ring of a note, or of a stop, may have been taken while runs were queued. */
        if (ms > 0 && atomic_load(&p->e->notes) == NULL && !atomic_load(&p->e->stopping))
            host->await(host->self, PST_SYNC_BELL_SCHEDULER, ms);
    }
}

pst_code pst_sync_scheduler_run(struct pst_sync_engine *e, struct pst_err *err)
{
    struct planner *p = NULL;
    PST_TRY(pst_new((void **)&p, sizeof *p, err));
    p->e = e;
    pst_code rc = planner_init(p, err);
    if (rc == PST_OK)
        run_planner(p);
    planner_fini(p);
    pst_free(p);
    return rc;
}
