/* sync/run.c: one run: contact with the system, windows, its streams one after another. */
#include "crypto/crypto.h"
#include "sync/internal.h"

#define SLEEP_SLICE_MS 50
#define GO_ON_S (24LL * 3600)

/* ---- what every stage of a run needs ---- */

uint64_t pst_run_random(const struct pst_run *run)
{
    return run->w->e->options.host.random(run->w->e->options.host.self);
}

void pst_run_count_calls(struct pst_run *run)
{
    const struct pst_sync_systems *systems = &run->w->e->options.systems;
    if (run->is_open)
        run->counts.calls = systems->calls(systems->self, &run->system);
}

pst_code pst_run_write(struct pst_run *run, pst_db_write_fn fn, void *arg, struct pst_err *err)
{
    return pst_db_write(run->w->e->options.db, fn, arg, err);
}

pst_code pst_run_bind(struct pst_run *run, const struct pst_stream *def, struct pst_binding **out,
                      struct pst_err *err)
{
    const struct pst_mapping_options opts = {.zone = run->system.ctx.zone,
                                             .record_id = pst_record_id,
                                             .connection_id = pst_id_str(&run->connection.id)};
    return pst_bindings_get(&run->w->bindings, &run->connection, def, &opts, out, err);
}

pst_code pst_run_check(struct pst_run *run, struct pst_err *err)
{
    struct pst_sync_engine *e = run->w->e;
    if (atomic_load(&e->stopping))
        return PST_FAIL(err, PST_E_CANCELLED, "penstock is stopping");
    if (!atomic_load(&run->w->slot->cancel))
        return PST_OK;
    /* Whoever raised the flag may have meant the run that had this slot before. It is lowered
     * before the look: one that is raised from then on stays. */
    bool is_wanted = false;
    atomic_store(&run->w->slot->cancel, false);
    pst_code rc = pst_syncs_is_wanted(run->w->reader, run->sync->pk, &is_wanted, err);
    if (rc == PST_OK && is_wanted && !atomic_load(&e->stopping))
        return PST_OK;
    atomic_store(&run->w->slot->cancel, true);
    if (rc == PST_OK)
        rc = PST_FAIL(err, PST_E_CANCELLED, "%s",
                      is_wanted ? "penstock is stopping" : "the sync was cancelled");
    return rc;
}

pst_code pst_run_sleep(struct pst_run *run, int64_t ms, struct pst_err *err)
{
    struct pst_sync_engine *e = run->w->e;
    pst_mono until = pst_mono_after_ms(pst_sync_mono(e), ms);
    for (;;) {
        PST_TRY(pst_run_check(run, err));
        int64_t left = pst_mono_ms_until(pst_sync_mono(e), until);
        if (left == 0)
            return PST_OK;
        e->options.host.sleep_ms(e->options.host.self,
                                 left < SLEEP_SLICE_MS ? left : SLEEP_SLICE_MS);
    }
}

/* ---- contact ---- */

/* A status that a run may not touch: the credentials were refused, or it is switched off. */
static pst_code admit(const struct pst_connection *c, struct pst_err *err)
{
    switch (c->status) {
    case PST_CONNECTION_PENDING:
    case PST_CONNECTION_ONLINE:
    case PST_CONNECTION_OFFLINE:
        return PST_OK;
    case PST_CONNECTION_AUTHENTICATION_REQUIRED:
        return PST_FAIL(err, PST_E_REAUTH,
                        "the system refused the credentials; nothing is tried until they change");
    case PST_CONNECTION_INACTIVE:
        break;
    }
    return PST_FAIL(err, PST_E_INACTIVE, "the connection is switched off");
}

static pst_code load_connection(struct pst_run *run, struct pst_err *err)
{
    return pst_connections_get_pk(run->w->reader, run->sync->connection_pk, run->w->arena,
                                  &run->connection, err);
}

/* Whether an earlier run of this connection is still waiting for its first answer: refused
 * credentials must be found by one request, not by several at once. */
static bool has_turn(const struct pst_run *run)
{
    const struct pst_sync_engine *e = run->w->e;
    int64_t ticket = atomic_load(&run->w->slot->ticket);
    for (unsigned i = 0; i < e->options.workers; i++) {
        struct pst_sync_slot *other = &e->slots[i];
        if (i == run->w->index || atomic_load(&other->connection_pk) != run->sync->connection_pk ||
            atomic_load(&other->contacted))
            continue;
        if (atomic_load(&other->ticket) < ticket)
            return false;
    }
    return true;
}

static pst_code wait_for_turn(struct pst_run *run, struct pst_err *err)
{
    while (!has_turn(run))
        PST_TRY(pst_run_sleep(run, SLEEP_SLICE_MS, err));
    return PST_OK;
}

/* Failed calls are repeated, but for the first one to a system that is known to be offline: that is
 * a probe. */
static bool may_retry(const struct pst_run *run)
{
    return run->connection.status != PST_CONNECTION_OFFLINE ||
           atomic_load(&run->w->slot->contacted);
}

/* A short probe. *answers: the system is there, whatever it says; else *silence (may be err) says
 * how it is not. Errors: REAUTH, CANCELLED. */
static pst_code ask_for_life(struct pst_run *run, bool *answers, struct pst_err *silence,
                             struct pst_err *err)
{
    struct pst_err answer = {0};
    struct pst_connector_ctx ctx = run->system.ctx;
    ctx.deadline = pst_mono_after_ms(pst_sync_mono(run->w->e), run->w->e->options.probe_ms);
    PST_TRY(pst_run_check(run, err));
    pst_code rc = run->system.ops->probe(run->system.connector, &ctx, &answer);
    *answers = rc == PST_OK || rc == PST_E_SYSTEM_BUSY || pst_code_retry(rc) == PST_RETRY_NEVER;
    if (!*answers)
        *silence = answer;
    if (rc != PST_E_CANCELLED && rc != PST_E_REAUTH)
        return PST_OK;
    *err = answer;
    return rc;
}

static pst_code fail_alone(const struct pst_err *failure, struct pst_err *err)
{
    struct pst_err copy = *failure;
    pst_code rc = PST_FAIL(err, PST_E_SYSTEM, "%s; other requests the system answers", copy.msg);
    err->http_status = copy.http_status;
    return rc;
}

/* A call met with silence (*err says how): it is not repeated; short probes find out whether the
 * system is there. Returns SYSTEM when it is (only that call is not answered), REAUTH, CANCELLED,
 * else the code of the silence. */
static pst_code listen_to(struct pst_run *run, struct pst_err *err)
{
    struct pst_err silence = *err;
    struct pst_err last = *err;
    for (unsigned failures = 1; may_retry(run); failures++) {
        int64_t ms = pst_plan_retry_ms(&last, failures, pst_run_random(run));
        if (ms < 0)
            break;
        PST_TRY(pst_run_sleep(run, ms, err));
        bool answers = false;
        PST_TRY(ask_for_life(run, &answers, &last, err));
        if (answers)
            return fail_alone(&silence, err);
    }
    *err = silence;
    return silence.code;
}

/* Before the last try of a call that failed (tries->last) a probe finds out whether it is the call
 * or the system. Not after it: with three failures in a row the connection is offline, which ends
 * whatever else the run does, and is not even true when one request is all that the system fails.
 */
static pst_code ask_before_last(struct pst_run *run, struct pst_run_tries *tries,
                                struct pst_err *err)
{
    struct pst_err silence;
    PST_TRY(ask_for_life(run, &tries->is_alone, &silence, err));
    if (tries->is_alone)
        return PST_OK;
    *err = tries->last;
    return err->code;
}

struct put_off_job {
    int64_t sync_pk;
    pst_wall until;
    bool is_put_off;
};

static pst_code store_put_off(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct put_off_job *job = arg;
    return pst_syncs_put_off(conn, job->sync_pk, job->until, PST_PLAN_TRIES - 1, &job->is_put_off,
                             err);
}

/* Pages that wait for the writer are committed before it is asked how far the run came. */
static pst_code put_off(struct pst_run *run, int64_t ms, struct pst_err *err)
{
    struct pst_err busy = *err;
    struct put_off_job job = {.sync_pk = run->sync->pk,
                              .until = {pst_sync_wall(run->w->e).us + ms * 1000}};
    PST_TRY(pst_run_write(run, store_put_off, &job, err));
    run->is_put_off = job.is_put_off;
    if (run->is_put_off)
        return PST_FAIL(err, PST_E_CANCELLED, "the run waits, since the system is busy");
    *err = busy;
    return busy.code;
}

pst_code pst_run_try_again(struct pst_run *run, struct pst_run_tries *tries, struct pst_err *err)
{
    /* Broken off for a run that is no longer the one of this slot: not a failure. */
    if (err->code == PST_E_CANCELLED)
        return pst_run_check(run, err);
    if (err->code == PST_E_TIMEOUT)
        return listen_to(run, err);
    /* What others found out meanwhile says less than its own failure. */
    if (err->code == PST_E_AWAY && tries->failures > 0) {
        *err = tries->last;
        return err->code;
    }
    int64_t ms =
        may_retry(run) ? pst_plan_retry_ms(err, ++tries->failures, pst_run_random(run)) : -1;
    if (ms < 0 && tries->is_alone && pst_code_retry(err->code) == PST_RETRY_BACKOFF)
        return fail_alone(err, err);
    if (ms < 0)
        return err->code;
    if (err->code == PST_E_SYSTEM_BUSY && ms > PST_PLAN_HOLD_MS)
        return put_off(run, ms, err);
    tries->last = *err;
    tries->waited_us += ms * 1000;
    PST_TRY(pst_run_sleep(run, ms, err));
    bool is_next_last = tries->failures == PST_PLAN_TRIES - 1;
    return is_next_last && tries->last.code != PST_E_SYSTEM_BUSY ? ask_before_last(run, tries, err)
                                                                 : PST_OK;
}

/* The source's own time, asked once, and the first request of the run: alone. */
static pst_code ask_source_now(struct pst_run *run, pst_wall *out, struct pst_err *err)
{
    struct pst_sync_engine *e = run->w->e;
    struct pst_run_tries tries = {0};
    for (;;) {
        struct pst_connector_ctx ctx = run->system.ctx;
        ctx.deadline = pst_mono_after_ms(pst_sync_mono(e), e->options.page_timeout_ms);
        PST_TRY(pst_run_check(run, err));
        pst_code rc = run->system.ops->source_now(run->system.connector, &ctx, out, err);
        if (rc == PST_OK) {
            atomic_store(&run->w->slot->contacted, true);
            return PST_OK;
        }
        PST_TRY(pst_run_try_again(run, &tries, err));
    }
}

/* ---- windows ---- */

struct window_job {
    struct pst_run *run;
    pst_wall now;
};

static pst_code store_windows(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct window_job *job = arg;
    struct pst_sync *sync = job->run->sync;
    PST_TRY(pst_syncs_set_calls(conn, sync->pk, sync->counts.calls + job->run->counts.calls, err));
    for (size_t i = 0; i < sync->stream_count; i++) {
        const struct pst_sync_stream *s = &sync->streams[i];
        if (s->begun || s->status != PST_SYNC_RUNNING)
            continue;
        PST_TRY(pst_syncs_begin_stream(conn, sync->pk, s->stream_pk, s->from, s->to, s->as_of,
                                       job->now, err));
        if (s->goes_on)
            PST_TRY(pst_syncs_take_over(conn, sync->pk, s->stream_pk, s->goes_on, err));
        else if (s->first_mapping)
            PST_TRY(pst_streams_set_mapping(conn, s->stream_pk, s->first_mapping, err));
    }
    return PST_OK;
}

/* A first read that broke off is gone on with: what came before its checkpoint is stored, and
 * what changed there since is read by the next incremental run, whose window begins at as_of. Not
 * where that was made by another mapping, nor by who asks for everything. */
static pst_code go_on(struct pst_run *run, struct pst_sync_stream *stream,
                      const struct pst_stream *def, struct pst_err *err)
{
    struct pst_sync_broken broken;
    struct pst_binding *binding = NULL;
    bool found = false;
    pst_wall now = pst_sync_wall(run->w->e);
    pst_code rc = pst_run_bind(run, def, &binding, err);
    if (rc != PST_OK) /* a mapping that is wrong is told when the stream's turn comes */
        return pst_code_retry(rc) == PST_RETRY_NEVER ? PST_OK : rc;
    stream->first_mapping = pst_mapping_version(binding->mapping);
    if (run->sync->mode == PST_SYNC_FULL && run->sync->trigger == PST_SYNC_MANUAL)
        return PST_OK;
    PST_TRY(pst_syncs_find_broken(run->w->reader, run->connection.pk, stream->stream_pk,
                                  (pst_wall){now.us - GO_ON_S * PST_US_PER_S}, run->w->arena,
                                  &broken, &found, err));
    if (!found || broken.mapping_version != stream->first_mapping)
        return PST_OK;
    stream->goes_on = broken.sync_pk;
    stream->from = broken.from;
    stream->as_of = broken.as_of;
    stream->after_key = broken.after_key;
    stream->sort_key = broken.sort_key;
    return PST_OK;
}

static pst_code plan_stream(struct pst_run *run, struct pst_sync_stream *stream,
                            pst_wall source_now, struct pst_err *err)
{
    struct pst_stream_state state = {.synced_to = PST_WALL_NONE};
    bool found = false;
    const struct pst_stream *def =
        pst_manifest_stream(run->system.manifest, pst_str_from(stream->entity->name));
    if (def == NULL) /* the stream's own failure, told when its turn comes */
        return PST_OK;
    PST_TRY(pst_streams_get(run->w->reader, run->connection.pk, stream->entity, run->w->arena,
                            &state, &found, err));
    const struct pst_window_input in = {
        .stream = def,
        .full = run->sync->mode == PST_SYNC_FULL,
        .synced_to = found ? state.synced_to : PST_WALL_NONE,
        .source_now = source_now,
        .history_days = run->connection.history_days,
        .overlap_ms = atomic_load(&run->w->e->overlap_ms),
        .zone = run->system.ctx.zone,
    };
    struct pst_window window = pst_plan_window(&in);
    stream->from = window.from;
    stream->to = window.to;
    stream->as_of = window.as_of;
    bool is_first = !found || pst_wall_is_none(state.synced_to);
    return is_first ? go_on(run, stream, def, err) : PST_OK;
}

static bool is_open(const struct pst_sync_stream *s)
{
    return s->entity != NULL && (s->status == PST_SYNC_QUEUED || s->status == PST_SYNC_RUNNING);
}

static pst_code begin_streams(struct pst_run *run, struct pst_err *err)
{
    bool is_new = false;
    struct pst_sync *sync = run->sync;
    for (size_t i = 0; i < sync->stream_count; i++)
        is_new = is_new || (is_open(&sync->streams[i]) && !sync->streams[i].begun);
    if (!is_new)
        return PST_OK;
    pst_wall source_now = PST_WALL_NONE;
    PST_TRY(ask_source_now(run, &source_now, err));
    for (size_t i = 0; i < sync->stream_count; i++) {
        struct pst_sync_stream *s = &sync->streams[i];
        if (!is_open(s) || s->begun)
            continue;
        PST_TRY(plan_stream(run, s, source_now, err));
        s->status = PST_SYNC_RUNNING;
    }
    pst_run_count_calls(run);
    struct window_job job = {.run = run, .now = pst_sync_wall(run->w->e)};
    PST_TRY(pst_run_write(run, store_windows, &job, err));
    for (size_t i = 0; i < sync->stream_count; i++)
        if (is_open(&sync->streams[i]))
            sync->streams[i].begun = true;
    return PST_OK;
}

/* ---- the run ---- */

static pst_code see_coverage(struct pst_run *run, struct pst_err *err)
{
    const struct pst_entity *const *entities = NULL;
    size_t count = 0;
    PST_TRY(pst_sync_entities(&run->connection, run->system.manifest, run->w->arena, &entities,
                              &count, err));
    run->covers_all = true;
    for (size_t i = 0; i < count; i++) {
        bool is_read = false;
        for (size_t k = 0; k < run->sync->stream_count; k++)
            is_read = is_read || run->sync->streams[k].entity == entities[i];
        run->covers_all = run->covers_all && is_read;
    }
    return PST_OK;
}

static pst_code open_system(struct pst_run *run, struct pst_err *err)
{
    const struct pst_sync_systems *systems = &run->w->e->options.systems;
    PST_TRY(systems->open(systems->self, run->w->index, &run->connection,
                          pst_id_str(&run->sync->id), run->sync->request_id, &run->w->slot->cancel,
                          &run->system, err));
    run->is_open = true;
    return PST_OK;
}

static pst_code read_one(struct pst_run *run, struct pst_sync_stream *s, struct pst_err *err)
{
    const struct pst_stream *def =
        pst_manifest_stream(run->system.manifest, pst_str_from(s->entity->name));
    PST_TRY(pst_run_check(run, err)); /* the stream before may have left the flag up */
    if (def)
        PST_TRY(pst_run_look_at_columns(run, s, def, err));
    return pst_pull_stream(run, s, err);
}

static pst_code read_streams(struct pst_run *run, struct pst_err *err)
{
    struct pst_sync_slot *slot = run->w->slot;
    struct pst_err failure;
    for (size_t i = 0; i < run->sync->stream_count; i++) {
        struct pst_sync_stream *s = &run->sync->streams[i];
        if (!is_open(s))
            continue;
        atomic_store(&slot->entity_at, (int64_t)i);
        atomic_store(&slot->entity, (int64_t)pst_model_entity_index(s->entity));
        pst_code rc = read_one(run, s, &failure);
        if (rc != PST_OK && pst_plan_after_failure(rc) == PST_NEXT_STREAM &&
            !run->has_stream_failure) {
            run->stream_failure = failure;
            run->has_stream_failure = true;
        }
        if (rc == PST_OK || pst_plan_after_failure(rc) == PST_NEXT_STREAM)
            continue;
        *err = failure;
        return rc;
    }
    return PST_OK;
}

pst_code pst_run_execute(struct pst_run *run, struct pst_err *err)
{
    PST_TRY(wait_for_turn(run, err));
    PST_TRY(load_connection(run, err)); /* as the run before left it */
    PST_TRY(admit(&run->connection, err));
    PST_TRY(open_system(run, err));
    PST_TRY(see_coverage(run, err));
    PST_TRY(begin_streams(run, err));
    return read_streams(run, err);
}
