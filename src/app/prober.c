/* app/prober.c: the threads that probe what is offline, and tell what waited for the end of a
 * hold-down. health's probes say which and when; what is found out reaches them through the
 * contacts that the gate reports.
 *
 * Of the threads that wait, one waits for the next due time, the others for work. */
#include "app/internal.h"
#include "base/alloc.h"
#include "base/log.h"
#include "health/health.h"
#include "os/clock.h"
#include "os/rand.h"
#include "store/outages.h"

enum { ROW_BYTES = 16 << 20, BATCH = 256, AGAIN_MS = 5000 };

struct prober_thread {
    struct pst_prober *prober;
    unsigned number; /* 0, 1, ... */
    struct pst_db_conn *reader;
    struct pst_arena *arena; /* of one task */
    struct pst_thread *thread;
};

struct pst_prober {
    struct pst_prober_options options;
    pthread_mutex_t mutex; /* guards probes, has_leader, is_stopped */
    pthread_cond_t due, work; /* for the one that waits for the next due time; for the others */
    struct pst_probes *probes;
    bool has_leader;
    bool is_stopped;
    struct prober_thread *threads; /* options.workers of them */
};

pst_code pst_prober_new(struct pst_prober **out, const struct pst_prober_options *options,
                        struct pst_err *err)
{
    struct pst_prober *fresh = NULL;
    PST_TRY(pst_new((void **)&fresh, sizeof(*fresh), err));
    PST_AUTO(prober) struct pst_prober *p = fresh;
    p->options = *options;
    (void)pthread_mutex_init(&p->mutex, NULL);
    pst_cond_init(&p->due);
    pst_cond_init(&p->work);
    PST_TRY(pst_probes_new(&p->probes, &options->health.backoff, err));
    PST_TRY(pst_new((void **)&p->threads, options->workers * sizeof(*p->threads), err));
    for (unsigned i = 0; i < options->workers; i++)
        p->threads[i] = (struct prober_thread){.prober = p, .number = i};
    *out = PST_TAKE(p);
    return PST_OK;
}

void pst_prober_free(struct pst_prober *p)
{
    if (!p)
        return;
    for (unsigned i = 0; p->threads && i < p->options.workers; i++) {
        pst_db_reader_free(p->threads[i].reader);
        pst_arena_free(p->threads[i].arena);
    }
    pst_free(p->threads);
    pst_probes_free(p->probes);
    (void)pthread_cond_destroy(&p->due);
    (void)pthread_cond_destroy(&p->work);
    (void)pthread_mutex_destroy(&p->mutex);
    pst_free(p);
}

/* ---- what others say ---- */

static void wake(struct pst_prober *p)
{
    (void)pthread_cond_signal(p->has_leader ? &p->due : &p->work);
}

/* When a probe was missed (the server was down) it is drawn anew, so that not all come at once. */
static pst_mono not_before(const struct pst_prober *p, const struct pst_health *state, pst_mono now,
                           bool is_start)
{
    if (!is_start || state->probe.ns >= now.ns)
        return state->probe;
    return pst_mono_after_ms(
        now, pst_backoff_ms(&p->options.health.backoff, state->step, pst_rand_u64()));
}

static void put(struct pst_prober *p, int64_t pk, pst_str id, const struct pst_health *state,
                bool is_start)
{
    struct pst_err err;
    pst_mono now = pst_mono_now();
    bool is_offline = state->status == PST_CONN_OFFLINE;
    const struct pst_probe_item item = {
        .connection_pk = pk,
        .version = state->version,
        .origin = state->origin,
        .is_origin = state->is_origin,
        .is_offline = is_offline,
        .step = state->step,
        .probe = not_before(p, state, now, is_start),
        .tell = state->tell,
    };
    (void)pthread_mutex_lock(&p->mutex);
    pst_code rc = PST_OK;
    /* Who stored it may come here after who stored the next one. */
    if (!pst_probes_knows_newer(p->probes, pk, state->version)) {
        if (is_start && is_offline)
            pst_gate_restore(p->options.gate, id, state->is_origin ? state->origin : "",
                             state->reason);
        else
            pst_gate_set_offline(p->options.gate, id, is_offline, state->reason);
        rc = pst_probes_put(p->probes, now, &item, &err);
    }
    bool is_away = state->origin[0] && pst_gate_is_away(p->options.gate, state->origin);
    pst_probes_origin(p->probes, now, pst_rand_u64(), state->origin, is_away);
    wake(p);
    (void)pthread_mutex_unlock(&p->mutex);
    if (rc != PST_OK)
        pst_log_err(PST_LOG_WARN, "a connection cannot be probed before the next start", &err,
                    (const struct pst_log_field[]){PST_F_STR("connection_id", id), {0}});
}

void pst_prober_put(struct pst_prober *p, int64_t connection_pk, pst_str connection_id,
                    const struct pst_health *state)
{
    put(p, connection_pk, connection_id, state, false);
}

void pst_prober_changed(void *self, int64_t connection_pk, pst_str connection_id,
                        const struct pst_health *health)
{
    struct pst_prober *p = self;
    if (health) {
        put(p, connection_pk, connection_id, health, false);
        return;
    }
    (void)pthread_mutex_lock(&p->mutex);
    pst_gate_set_offline(p->options.gate, connection_id, false, "");
    pst_probes_remove(p->probes, connection_pk);
    (void)pthread_mutex_unlock(&p->mutex);
}

void pst_prober_returned(struct pst_prober *p, const char *origin)
{
    (void)pthread_mutex_lock(&p->mutex);
    bool is_away = pst_gate_is_away(p->options.gate, origin);
    pst_probes_origin(p->probes, pst_mono_now(), pst_rand_u64(), origin, is_away);
    wake(p);
    (void)pthread_mutex_unlock(&p->mutex);
}

int64_t pst_prober_in_ms(void *self, int64_t connection_pk)
{
    struct pst_prober *p = self;
    (void)pthread_mutex_lock(&p->mutex);
    int64_t ms = pst_probes_in_ms(p->probes, pst_mono_now(), connection_pk);
    (void)pthread_mutex_unlock(&p->mutex);
    return ms;
}

/* ---- tasks ---- */

/* The connection and its health as they are stored. */
struct patient {
    struct pst_connection connection;
    struct pst_health health;
};

static pst_code examine(struct pst_db_conn *conn, struct pst_arena *arena, int64_t pk,
                        struct patient *out, struct pst_err *err)
{
    struct pst_health_time now = pst_health_now();
    PST_TRY(pst_connections_get_pk(conn, pk, arena, &out->connection, err));
    return pst_health_load(&out->health, conn, &out->connection, &now, err);
}

struct tell_job {
    struct pst_prober *prober;
    struct pst_arena *arena;
    int64_t pk;
    struct patient patient;
};

static pst_code tell(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct tell_job *job = arg;
    const struct pst_health_event event = {.kind = PST_HEALTH_TELL};
    struct pst_health_time now = pst_health_now();
    PST_TRY(examine(conn, job->arena, job->pk, &job->patient, err));
    struct pst_health_actions actions =
        pst_health_step(&job->patient.health, &job->prober->options.health, &now, &event);
    if (!actions.must_save)
        return PST_OK;
    return pst_health_save(conn, &job->patient.health, &actions, job->pk, PST_STR(""), &now, err);
}

/* One cheap round trip; the observer of the gate hears what it finds out. */
static pst_code probe(struct prober_thread *t, const struct patient *patient, struct pst_err *err)
{
    const struct pst_prober_options *o = &t->prober->options;
    struct pst_sync_system system = {0};
    PST_TRY(pst_systems_open_probe(o->systems, o->first_index + t->number, &patient->connection,
                                   &system, err));
    system.ctx.deadline = pst_mono_after_ms(pst_mono_now(), pst_health_probe_ms(&o->health));
    pst_code rc = system.ops->probe(system.connector, &system.ctx, err);
    pst_systems_close(o->systems, &system);
    return rc;
}

static bool wants_probe(const struct patient *patient)
{
    return patient->health.probe.ns != PST_MONO_NEVER.ns &&
           pst_health_admit(&patient->health, &(struct pst_err){0}) == PST_OK;
}

/* How long to wait before the next try when this one found nothing out. */
static int64_t again_ms(const struct prober_thread *t, const struct pst_health *before,
                        const struct pst_health *after, const struct pst_err *failure)
{
    if (after->version != before->version)
        return 0;
    int64_t ms = pst_backoff_asked_ms(&t->prober->options.health.backoff, after->step,
                                      pst_rand_u64(), failure->retry_after_s * 1000LL);
    return ms > AGAIN_MS ? ms : AGAIN_MS;
}

/* *again: as pst_probes_done. NOT_FOUND: the connection is gone. */
static pst_code carry_out(struct prober_thread *t, const struct pst_probe_task *task,
                          int64_t *again, struct pst_err *err)
{
    struct pst_prober *p = t->prober;
    struct patient before;
    struct patient after;
    struct pst_err failure = {0};
    *again = AGAIN_MS;
    pst_arena_reset(t->arena);
    if (task->kind == PST_PROBE_TELL) {
        struct tell_job job = {.prober = p, .arena = t->arena, .pk = task->connection_pk};
        PST_TRY(pst_db_write(p->options.db, tell, &job, err));
        pst_prober_put(p, task->connection_pk, pst_id_str(&job.patient.connection.id),
                       &job.patient.health);
        *again = 0;
        return PST_OK;
    }
    PST_TRY(examine(t->reader, t->arena, task->connection_pk, &before, err));
    bool is_wanted = wants_probe(&before);
    if (is_wanted && probe(t, &before, &failure) == PST_OK)
        failure = (struct pst_err){0};
    PST_TRY(examine(t->reader, t->arena, task->connection_pk, &after, err));
    pst_prober_put(p, task->connection_pk, pst_id_str(&after.connection.id), &after.health);
    *again = is_wanted ? again_ms(t, &before.health, &after.health, &failure) : 0;
    return PST_OK;
}

static void finish(struct pst_prober *p, const struct pst_probe_task *task, pst_code rc,
                   int64_t again)
{
    (void)pthread_mutex_lock(&p->mutex);
    if (rc == PST_E_NOT_FOUND)
        pst_probes_remove(p->probes, task->connection_pk);
    pst_probes_done(p->probes, pst_mono_now(), pst_rand_u64(), task, again);
    wake(p);
    (void)pthread_mutex_unlock(&p->mutex);
}

/* ---- the threads ---- */

/* false: the prober is stopped. */
static bool take_task(struct pst_prober *p, struct pst_probe_task *task)
{
    pst_mono next = PST_MONO_NEVER;
    (void)pthread_mutex_lock(&p->mutex);
    for (;;) {
        *task = (struct pst_probe_task){0};
        if (p->is_stopped)
            break;
        *task = pst_probes_next(p->probes, pst_mono_now(), &next);
        if (task->kind != PST_PROBE_NONE)
            break;
        bool leads = !p->has_leader;
        p->has_leader = true;
        (void)pst_cond_wait_until(leads ? &p->due : &p->work, &p->mutex,
                                  leads ? next : PST_MONO_NEVER);
        if (leads)
            p->has_leader = false;
    }
    /* Somebody else has to wait for the next due time. */
    if (!p->has_leader)
        (void)pthread_cond_signal(&p->work);
    bool is_stopped = p->is_stopped;
    (void)pthread_mutex_unlock(&p->mutex);
    return !is_stopped;
}

/* Everything that was due some time when the server ended. */
static pst_code load_all(struct prober_thread *t, struct pst_err *err)
{
    struct pst_prober *p = t->prober;
    int64_t pks[BATCH];
    int64_t last = 0;
    size_t count = BATCH;
    while (count == BATCH) {
        PST_TRY(pst_outages_busy(t->reader, last, pks, BATCH, &count, err));
        for (size_t i = 0; i < count; i++) {
            struct patient patient;
            pst_arena_reset(t->arena);
            pst_code rc = examine(t->reader, t->arena, pks[i], &patient, err);
            if (rc == PST_OK)
                put(p, pks[i], pst_id_str(&patient.connection.id), &patient.health, true);
            else if (rc != PST_E_NOT_FOUND)
                return rc;
            last = pks[i];
        }
    }
    return PST_OK;
}

static void run_prober(void *arg)
{
    struct prober_thread *t = arg;
    struct pst_err err;
    struct pst_probe_task task;
    if (t->number == 0 && load_all(t, &err) != PST_OK)
        pst_log_err(PST_LOG_ERROR, "offline connections could not be read", &err, NULL);
    while (take_task(t->prober, &task)) {
        int64_t again = AGAIN_MS;
        pst_code rc = carry_out(t, &task, &again, &err);
        finish(t->prober, &task, rc, again);
    }
}

pst_code pst_prober_start(struct pst_prober *p, struct pst_err *err)
{
    for (unsigned i = 0; i < p->options.workers; i++) {
        struct prober_thread *t = &p->threads[i];
        char name[24];
        (void)snprintf(name, sizeof(name), "probe-%u", i + 1);
        PST_TRY(pst_arena_new(&t->arena, ROW_BYTES, err));
        PST_TRY(pst_db_reader_new(p->options.db, &t->reader, err));
        PST_TRY(pst_thread_start(&t->thread, name, run_prober, t, err));
    }
    return PST_OK;
}

void pst_prober_stop(struct pst_prober *p)
{
    (void)pthread_mutex_lock(&p->mutex);
    p->is_stopped = true;
    (void)pthread_cond_broadcast(&p->due);
    (void)pthread_cond_broadcast(&p->work);
    (void)pthread_mutex_unlock(&p->mutex);
    for (unsigned i = 0; i < p->options.workers; i++) {
        pst_thread_join(p->threads[i].thread);
        p->threads[i].thread = NULL;
    }
}
