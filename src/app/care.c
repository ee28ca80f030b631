/* app/care.c: retention. Small batches between other writers' jobs, so that nobody waits long. */
#include "app/internal.h"
#include "base/log.h"
#include "event/event.h"
#include "os/clock.h"
#include "store/incidents.h"
#include "store/requests.h"
#include "store/store.h"

enum { BATCH_ROWS = 2000 };

/* Days; changes have an option of their own. */
enum { SYNCS_DAYS = 90, HISTORY_DAYS = 400, AUDIT_DAYS = 400, INCIDENTS_DAYS = 400 };

struct care_job {
    const struct pst_care *care;
    struct pst_retention keep;
    pst_wall now;
    pst_wall events_before;
    int64_t events_max;
    pst_wall requests_before, incidents_before;
    int64_t requests_max;
    struct pst_outbox_loss loss; /* out */
    bool left, worked; /* out */
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

/* Not again for a day; and when as many were told as are remembered, nobody more. */
static bool may_tell(const struct pst_care *care, int64_t organization_pk)
{
    for (size_t i = 0; i < care->told_count; i++)
        if (care->told[i] == organization_pk)
            return false;
    return care->told_count < PST_COUNT(care->told);
}

static pst_code tell_loss(struct pst_db_conn *conn, int64_t organization_pk, pst_wall now,
                          struct pst_err *err)
{
    const struct pst_event_trouble trouble = {
        .organization_pk = organization_pk,
        .code = PST_E_DROPPED,
        .message = PST_STR("events were dropped before they were delivered to a webhook: they had "
                           "waited for as long, or for as much room, as events are kept"),
    };
    return pst_event_tell_trouble(conn, &trouble, now, err);
}

static pst_code retain_events(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct care_job *job = arg;
    PST_TRY(pst_events_retain(conn, job->events_before, job->events_max, BATCH_ROWS, &job->loss,
                              &job->left, err));
    for (size_t i = 0; i < job->loss.organization_count; i++)
        if (may_tell(job->care, job->loss.organizations[i]))
            PST_TRY(tell_loss(conn, job->loss.organizations[i], job->now, err));
    return PST_OK;
}

static pst_code retain_requests(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct care_job *job = arg;
    return pst_requests_retain(conn, job->requests_before, job->requests_max, BATCH_ROWS,
                               &job->left, err);
}

static pst_code retain_incidents(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct care_job *job = arg;
    return pst_incidents_retain(conn, job->incidents_before, BATCH_ROWS, &job->left, err);
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
    job->worked = pst_db_write(app->db, fn, job, &err) == PST_OK;
    if (job->worked)
        return job->left;
    pst_log_err(PST_LOG_WARN, trouble, &err, NULL);
    return false;
}

static void begin_day(struct pst_care *care, pst_wall now)
{
    if (care->told_count > 0 && days_before(now, 1).us < care->told_since.us)
        return;
    care->told_count = 0;
    care->told_since = now;
}

static void note_told(struct pst_care *care, const struct pst_outbox_loss *loss)
{
    for (size_t i = 0; i < loss->organization_count; i++)
        if (may_tell(care, loss->organizations[i]))
            care->told[care->told_count++] = loss->organizations[i];
}

static bool care_for_events(struct pst_app *app, struct care_job *job)
{
    begin_day(&app->care, job->now);
    bool more = run_batch(app, retain_events, job, "old events could not be removed");
    if (!job->worked || job->loss.count == 0)
        return more;
    PST_LOG(PST_LOG_WARN, "events were dropped before they were delivered",
            PST_F_INT("count", job->loss.count));
    note_told(&app->care, &job->loss);
    return more;
}

bool pst_care_step(struct pst_app *app)
{
    PST_AUTO(config) struct pst_config *config = pst_app_config(app);
    pst_wall now = pst_wall_now();
    int64_t changes_ms = pst_config_int(config, PST_OPT_CHANGES_RETENTION);
    int64_t events_ms = pst_config_int(config, PST_OPT_EVENTS_RETENTION);
    int64_t requests_ms = pst_config_int(config, PST_OPT_REQUESTS_RETENTION);
    struct care_job job = {.care = &app->care,
                           .now = now,
                           .events_before = {now.us - events_ms * 1000},
                           .events_max = pst_config_int(config, PST_OPT_EVENTS_MAX),
                           .requests_before = {now.us - requests_ms * 1000},
                           .requests_max = pst_config_int(config, PST_OPT_REQUESTS_MAX),
                           .incidents_before = days_before(now, INCIDENTS_DAYS),
                           .keep = {
                               .changes = {now.us - changes_ms * 1000},
                               .syncs = days_before(now, SYNCS_DAYS),
                               .history = days_before(now, HISTORY_DAYS),
                               .audit = days_before(now, AUDIT_DAYS),
                               .deleted_records = PST_WALL_NONE,
                           }};
    bool more = run_batch(app, retain, &job, "old rows could not be removed");
    more = care_for_events(app, &job) || more;
    more = run_batch(app, retain_requests, &job, "old requests could not be removed") || more;
    more = run_batch(app, retain_incidents, &job, "old incidents could not be removed") || more;
    return run_batch(app, purge, &job, "data of deleted connections could not be removed") || more;
}
