/* app/contacts.c: every call of a connected system tells something about its connection. The
 * health machine decides what; here its decision is stored, and prober and sync are told.
 *
 * A good contact of a connection that is online, which is nearly all of them, costs two reads. */
#include "app/internal.h"
#include "base/alloc.h"
#include "base/log.h"
#include "health/health.h"
#include "os/clock.h"
#include "os/rand.h"
#include "store/outages.h"

enum { ROW_BYTES = 4 << 20 };

struct pst_contacts {
    struct pst_db *db;
    struct pst_sync_engine *sync;
    struct pst_prober *prober;
    struct pst_health_options options;
    pthread_mutex_t mutex; /* guards reader: calls end on many threads */
    struct pst_db_conn *reader;
};

pst_code pst_contacts_new(struct pst_contacts **out, struct pst_db *db,
                          const struct pst_health_options *options, struct pst_err *err)
{
    struct pst_contacts *c = NULL;
    PST_TRY(pst_new((void **)&c, sizeof(*c), err));
    c->db = db;
    c->options = *options;
    pst_code rc = pst_db_reader_new(db, &c->reader, err);
    if (rc != PST_OK) {
        pst_free(c);
        return rc;
    }
    (void)pthread_mutex_init(&c->mutex, NULL);
    *out = c;
    return PST_OK;
}

void pst_contacts_free(struct pst_contacts *c)
{
    if (!c)
        return;
    pst_db_reader_free(c->reader);
    (void)pthread_mutex_destroy(&c->mutex);
    pst_free(c);
}

void pst_contacts_set(struct pst_contacts *c, struct pst_sync_engine *engine,
                      struct pst_prober *prober)
{
    c->sync = engine;
    c->prober = prober;
}

struct pst_health_time pst_health_now(void)
{
    return (struct pst_health_time){
        .wall = pst_wall_now(), .mono = pst_mono_now(), .random = pst_rand_u64()};
}

struct contact_job {
    struct pst_contacts *contacts;
    pst_str connection_id;
    pst_str request_id;
    uint64_t credentials_mark;
    struct pst_health_event event;
    int64_t pk; /* out */
    struct pst_health_actions actions; /* out */
    struct pst_health health; /* out */
};

static pst_code read_connection(struct pst_db_conn *conn, pst_str id, struct pst_arena **arena,
                                struct pst_connection *out, struct pst_err *err)
{
    PST_TRY(pst_arena_new(arena, ROW_BYTES, err));
    return pst_connections_get(conn, 0, id, *arena, out, err);
}

/* What was found out with credentials that were replaced since says nothing of those in force, nor
 * of the system: another address comes with credentials of its own. */
static bool is_outdated(const struct contact_job *job, const struct pst_connection *row)
{
    return job->credentials_mark != pst_connection_credentials_mark(row);
}

static bool is_plainly_good(const struct contact_job *job)
{
    return job->event.code != PST_E_SYSTEM_DENIED &&
           pst_contact_classify(job->event.code, job->event.http_status) == PST_CONTACT_GOOD;
}

static pst_code look(struct pst_db_conn *conn, const struct contact_job *job, bool *is_news,
                     struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_connection row;
    PST_TRY(read_connection(conn, job->connection_id, &arena, &row, err));
    *is_news = row.status != PST_CONNECTION_INACTIVE &&
               row.status != PST_CONNECTION_AUTHENTICATION_REQUIRED && !is_outdated(job, &row);
    if (*is_news && row.status == PST_CONNECTION_ONLINE && is_plainly_good(job))
        return pst_outages_is_failing(conn, row.pk, is_news, err);
    return PST_OK;
}

/* Whether the event may change what is stored. A connection that was deleted meanwhile, and our own
 * trouble, are no news: the next contact tells again. */
static bool is_news(struct pst_contacts *c, const struct contact_job *job)
{
    struct pst_err err;
    bool found = false;
    if (pst_contact_classify(job->event.code, job->event.http_status) == PST_CONTACT_LOCAL)
        return false;
    (void)pthread_mutex_lock(&c->mutex);
    pst_code rc = look(c->reader, job, &found, &err);
    (void)pthread_mutex_unlock(&c->mutex);
    return rc == PST_OK && found;
}

/* Decided on the writer, where nothing changes between the look and the change. */
static pst_code apply_contact(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct contact_job *job = arg;
    struct pst_connection row;
    struct pst_health_time now = pst_health_now();
    job->actions = (struct pst_health_actions){0};
    PST_TRY(read_connection(conn, job->connection_id, &arena, &row, err));
    PST_TRY(pst_health_load(&job->health, conn, &row, &now, err));
    job->pk = row.pk;
    if (is_outdated(job, &row))
        return PST_OK;
    job->actions = pst_health_step(&job->health, &job->contacts->options, &now, &job->event);
    if (!job->actions.must_save)
        return PST_OK;
    return pst_health_save(conn, &job->health, &job->actions, row.pk, job->request_id, &now, err);
}

static void tell_others(struct pst_contacts *c, const struct pst_contact *contact,
                        const struct contact_job *job)
{
    if (c->prober)
        pst_prober_put(c->prober, job->pk, contact->connection_id, &job->health);
    if (!job->actions.has_changed)
        return;
    PST_LOG(PST_LOG_INFO, "connection status", PST_F_STR("connection_id", contact->connection_id),
            PST_F_Z("status", pst_conn_status_name(job->health.status)),
            PST_F_Z("reason", job->health.reason), PST_F_STR("sync_id", contact->sync_id),
            PST_F_STR("request_id", contact->request_id));
    if (!c->sync)
        return;
    pst_sync_connection_changed(c->sync, job->pk);
    if (job->actions.from == PST_CONN_OFFLINE)
        pst_sync_work_added(c->sync); /* runs that waited for it */
}

void pst_contacts_observe(void *self, const struct pst_contact *contact)
{
    struct pst_contacts *c = self;
    struct pst_err err;
    struct contact_job job = {
        .contacts = c,
        .connection_id = contact->connection_id,
        .request_id = contact->request_id,
        .credentials_mark = contact->credentials_mark,
        .event = {.kind = PST_HEALTH_CONTACT,
                  .code = contact->code,
                  .http_status = contact->response->status,
                  .reason = contact->err ? contact->err->msg : NULL,
                  .began = contact->began,
                  .trial = contact->trial,
                  .is_private = contact->is_private,
                  .is_certain = contact->is_denied || contact->is_confirmed,
                  .will_retry = contact->sync_id.len > 0,
                  .origin = contact->origin},
    };
    /* Also what is online may have found it so: no status changes then. */
    if (contact->has_returned && c->prober)
        pst_prober_returned(c->prober, contact->origin);
    /* A run knows whether the credentials it was refused with are still those in force; its end
     * says so (sync/worker.c). */
    if (contact->code == PST_E_REAUTH && contact->sync_id.len > 0)
        return;
    if (contact->connection_id.len == 0 || !is_news(c, &job))
        return;
    if (pst_db_write(c->db, apply_contact, &job, &err) != PST_OK) {
        pst_log_err(PST_LOG_WARN, "the status of a connection could not be stored", &err,
                    (const struct pst_log_field[]){
                        PST_F_STR("connection_id", contact->connection_id), {0}});
        return;
    }
    if (job.actions.must_save)
        tell_others(c, contact, &job);
}
