/* app/care.c: retention. Small batches between other writers' jobs, so that nobody waits long. */
#include "app/internal.h"
#include "base/log.h"
#include "os/clock.h"
#include "store/events.h"
#include "store/store.h"

enum { BATCH_ROWS = 2000 };

/* Days; changes have an option of their own. */
enum { SYNCS_DAYS = 90, HISTORY_DAYS = 400, AUDIT_DAYS = 400 };

struct care_job {
    struct pst_retention keep;
    pst_wall events_before;
    int64_t events_max;
    int64_t lost; /* events that were dropped before they were delivered, out */
    bool left; /* out */
};

static pst_wall days_before(pst_wall now, int64_t days)
{
    return (pst_wall){now.us - days * 86400 * PST_US_PER_S};
}

static pst_code retain(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct care_job *job = arg;
    return pst_store_retain(conn, &job->keep, BATCH_ROWS, &job->left, err);
}

static pst_code retain_events(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct care_job *job = arg;
    return pst_events_retain(conn, job->events_before, job->events_max, BATCH_ROWS, &job->lost,
                             &job->left, err);
}

static pst_code purge(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct care_job *job = arg;
    return pst_connections_purge(conn, BATCH_ROWS, &job->left, err);
}

/* Whether more is due. Trouble is logged and tried again at the next round. */
static bool run_batch(struct pst_app *app, pst_db_write_fn fn, struct care_job *job,
                      const char *trouble)
{
    struct pst_err err;
    job->left = false;
    if (pst_db_write(app->db, fn, job, &err) == PST_OK)
        return job->left;
    pst_log_err(PST_LOG_WARN, trouble, &err, NULL);
    return false;
}

bool pst_care_step(struct pst_app *app)
{
    PST_AUTO(config) struct pst_config *config = pst_app_config(app);
    pst_wall now = pst_wall_now();
    int64_t changes_ms = pst_config_int(config, PST_OPT_CHANGES_RETENTION);
    int64_t events_ms = pst_config_int(config, PST_OPT_EVENTS_RETENTION);
    struct care_job job = {.events_before = {now.us - events_ms * 1000},
                           .events_max = pst_config_int(config, PST_OPT_EVENTS_MAX),
                           .keep = {
                               .changes = {now.us - changes_ms * 1000},
                               .syncs = days_before(now, SYNCS_DAYS),
                               .history = days_before(now, HISTORY_DAYS),
                               .audit = days_before(now, AUDIT_DAYS),
                               .deleted_records = PST_WALL_NONE,
                           }};
    bool more = run_batch(app, retain, &job, "old rows could not be removed");
    more = run_batch(app, retain_events, &job, "old events could not be removed") || more;
    if (job.lost)
        PST_LOG(PST_LOG_WARN, "events were dropped before they were delivered",
                PST_F_INT("count", job.lost));
    return run_batch(app, purge, &job, "data of deleted connections could not be removed") || more;
}
