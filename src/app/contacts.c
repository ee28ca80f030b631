/* app/contacts.c: every call of a connected system tells something about its connection. The
 * health machine decides what; here its decision is stored and sync is told.
 *
 * A good contact of a connection that is online, which is nearly all of them, costs one read. */
#include "app/internal.h"
#include "base/alloc.h"
#include "base/log.h"
#include "health/health.h"
#include "os/clock.h"

enum { ROW_BYTES = 4 << 20 };

struct pst_contacts {
    struct pst_db *db;
    struct pst_sync_engine *sync;
    pthread_mutex_t mutex; /* guards reader: calls end on many threads */
    struct pst_db_conn *reader;
};

pst_code pst_contacts_new(struct pst_contacts **out, struct pst_db *db, struct pst_err *err)
{
    struct pst_contacts *c = NULL;
    PST_TRY(pst_new((void **)&c, sizeof(*c), err));
    c->db = db;
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

void pst_contacts_set_sync(struct pst_contacts *c, struct pst_sync_engine *engine)
{
    c->sync = engine;
}

struct contact_job {
    pst_str connection_id;
    pst_str request_id;
    uint64_t credentials_mark;
    struct pst_health_event event;
    int64_t pk; /* out */
    bool has_changed; /* out */
    struct pst_health health; /* out */
};

static pst_code read_connection(struct pst_db_conn *conn, pst_str id, struct pst_arena **arena,
                                struct pst_connection *out, struct pst_err *err)
{
    PST_TRY(pst_arena_new(arena, ROW_BYTES, err));
    return pst_connections_get(conn, 0, id, *arena, out, err);
}

/* What was found out with credentials that were replaced since says nothing of those in force.
 * That the system cannot be reached holds for both. */
static bool is_outdated(const struct contact_job *job, const struct pst_connection *row)
{
    enum pst_contact_class class = pst_contact_classify(job->event.code, job->event.http_status);
    return (class == PST_CONTACT_REFUSED || class == PST_CONTACT_GOOD) &&
           job->credentials_mark != pst_connection_credentials_mark(row);
}

/* Whether the event would change what is stored; *code tells how the look went. */
static bool is_news(struct pst_contacts *c, const struct contact_job *job)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_connection row;
    struct pst_health health;
    struct pst_err err;
    (void)pthread_mutex_lock(&c->mutex);
    pst_code rc = read_connection(c->reader, job->connection_id, &arena, &row, &err);
    (void)pthread_mutex_unlock(&c->mutex);
    if (rc != PST_OK)
        return false; /* deleted meanwhile, or our own trouble: the next contact tells again */
    if (is_outdated(job, &row))
        return false;
    pst_health_load(&health, &row);
    return pst_health_step(&health, pst_wall_now(), &job->event).must_save;
}

/* Decided again on the writer, where nothing changes between the look and the change. */
static pst_code apply_contact(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct contact_job *job = arg;
    struct pst_connection row;
    PST_TRY(read_connection(conn, job->connection_id, &arena, &row, err));
    pst_health_load(&job->health, &row);
    job->pk = row.pk;
    if (is_outdated(job, &row))
        return PST_OK;
    struct pst_health_actions actions = pst_health_step(&job->health, pst_wall_now(), &job->event);
    if (!actions.must_save)
        return PST_OK;
    return pst_health_save(conn, &job->health, row.pk, job->request_id, pst_wall_now(),
                           &job->has_changed, err);
}

void pst_contacts_observe(void *self, const struct pst_contact *contact)
{
    struct pst_contacts *c = self;
    struct pst_err err;
    struct contact_job job = {
        .connection_id = contact->connection_id,
        .request_id = contact->request_id,
        .credentials_mark = contact->credentials_mark,
        .event = {.kind = PST_HEALTH_CONTACT,
                  .code = contact->code,
                  .reason = contact->err ? contact->err->msg : NULL},
    };
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
    if (!job.has_changed)
        return;
    PST_LOG(PST_LOG_INFO, "connection status", PST_F_STR("connection_id", contact->connection_id),
            PST_F_Z("status", pst_conn_status_name(job.health.status)),
            PST_F_Z("reason", job.health.reason), PST_F_STR("sync_id", contact->sync_id),
            PST_F_STR("request_id", contact->request_id));
    if (c->sync)
        pst_sync_connection_changed(c->sync, job.pk);
}
