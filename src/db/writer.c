/* db/writer.c: the writer: jobs from a queue, grouped under one commit.
 *
 * A commit costs an fsync, so what waits shares one: each job of a group runs in a savepoint
 * of its own, and all learn their result after the commit. A job alone needs no savepoint.
 * After a failure that leaves the state of the file in doubt (a failed commit, an input/output
 * error) the handle is closed and opened again; nothing is tried twice on it.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "db/driver.h"
#include "os/clock.h"
#include "os/thread.h"

enum {
    GROUP_MAX = 256, /* jobs under one commit */
    PROBE_MS = 1000, /* in trouble: how often an idle writer looks whether it is over */
    GROUP_MS = 20, /* no further job joins a group that has worked this long */
};

void pst_db_notify(struct pst_db_conn *conn, int64_t topic)
{
    for (size_t i = conn->topic_count; i-- > 0;)
        if (conn->topics[i] == topic)
            return;
    /* A full list loses no wake-up that matters: every topic is looked at again by its waiters
     * when their own time-out ends. */
    if (conn->topic_count < PST_DB_TOPICS_MAX)
        conn->topics[conn->topic_count++] = topic;
}

static void set_result(struct pst_db_job *job, pst_code code, const struct pst_err *err)
{
    job->code = code;
    if (code != PST_OK && err != &job->err)
        job->err = *err;
}

/* Every job of the list that had worked so far has failed after all. */
static void fail_group(struct pst_db_job *first, const struct pst_db_job *end, pst_code code,
                       const struct pst_err *err)
{
    for (struct pst_db_job *job = first; job != end; job = job->next)
        if (job->code == PST_OK)
            set_result(job, code, err);
}

/* *whole: what ended the transaction under all its jobs, if something did. */
static pst_code run_in_savepoint(struct pst_db_conn *conn, struct pst_db_job *job,
                                 struct pst_err *whole)
{
    size_t topics = conn->topic_count;
    job->err = (struct pst_err){0};
    pst_code code = pst_db_savepoint(conn, &job->err);
    if (code == PST_OK) {
        code = job->fn(conn, job->arg, &job->err);
        pst_code closed = PST_OK;
        if (!pst_db_in_transaction(conn)) { /* SQLite rolled everything back by itself */
            if (code == PST_OK)
                code = PST_FAIL(&job->err, PST_E_INTERNAL,
                                "store: the transaction ended before its job");
            *whole = job->err;
        } else {
            closed = code == PST_OK ? pst_db_savepoint_release(conn, whole)
                                    : pst_db_savepoint_rollback(conn, whole);
        }
        if (closed != PST_OK)
            pst_db_rollback(conn);
        if (code == PST_OK && closed != PST_OK) {
            code = closed;
            job->err = *whole;
        }
    }
    if (code != PST_OK)
        conn->topic_count = topics;
    job->code = code;
    return code;
}

/* Runs jobs from `first` on in one transaction; returns the first job that was not run. */
static struct pst_db_job *run_jobs(struct pst_db_conn *conn, struct pst_db_job *first)
{
    pst_mono end = pst_mono_after_ms(pst_mono_now(), GROUP_MS);
    if (!first->next) {
        first->err = (struct pst_err){0};
        first->code = first->fn(conn, first->arg, &first->err);
        if (first->code != PST_OK)
            pst_db_rollback(conn);
        return NULL;
    }
    struct pst_db_job *job = first;
    int count = 0;
    do {
        struct pst_err whole = {0};
        pst_code code = run_in_savepoint(conn, job, &whole);
        struct pst_db_job *next = job->next;
        if (code != PST_OK && !pst_db_in_transaction(conn)) {
            fail_group(first, next, whole.code ? whole.code : code,
                       whole.code ? &whole : &job->err);
            return next;
        }
        job = next;
    } while (job && ++count < GROUP_MAX && pst_mono_now().ns < end.ns);
    return job;
}

/* One transaction over as many jobs from `first` on as fit; returns the rest. */
static struct pst_db_job *run_group(struct pst_db *db, struct pst_db_job *first)
{
    struct pst_db_conn *conn = &db->writer;
    struct pst_err err = {0};
    pst_code code = PST_OK;
    conn->topic_count = 0;
    if (conn->broken)
        pst_db_handle_close(conn);
    if (!conn->handle)
        code = pst_db_handle_open(conn, &err);
    if (code == PST_OK)
        code = pst_db_begin(conn, &err);
    if (code != PST_OK) {
        for (struct pst_db_job *job = first; job; job = job->next)
            set_result(job, code, &err);
        return NULL;
    }
    struct pst_db_job *rest = run_jobs(conn, first);
    bool is_open = pst_db_in_transaction(conn);
    if (is_open && (code = pst_db_commit(conn, &err)) != PST_OK)
        pst_db_rollback(conn);
    (void)atomic_fetch_add(&db->commits, 1);
    if (!is_open) {
        /* Rolled back: by run_jobs, or by SQLite under a job that called itself fine. */
        (void)PST_FAIL(&err, PST_E_INTERNAL, "store: the transaction ended before its job");
        fail_group(first, rest, PST_E_INTERNAL, &err);
    } else if (code != PST_OK) {
        fail_group(first, rest, code, &err);
    } else if (db->options.on_commit) {
        for (size_t i = 0; i < conn->topic_count; i++)
            db->options.on_commit(db->options.on_commit_self, conn->topics[i]);
    }
    return rest;
}

/* What pst_db_trouble tells from now on. */
static void note_trouble(struct pst_db *db)
{
    const struct pst_err *now = &db->writer.trouble;
    (void)pthread_mutex_lock(&db->mutex);
    pst_code before = db->trouble.code;
    db->trouble = *now;
    (void)pthread_mutex_unlock(&db->mutex);
    if (now->code != PST_OK && before == PST_OK)
        pst_log_err(PST_LOG_ERROR, "the store cannot be written; it is tried again", now, NULL);
    else if (now->code == PST_OK && before != PST_OK)
        PST_LOG(PST_LOG_INFO, "the store is written again");
}

bool pst_db_trouble(struct pst_db *db, struct pst_err *why)
{
    (void)pthread_mutex_lock(&db->mutex);
    *why = db->trouble;
    (void)pthread_mutex_unlock(&db->mutex);
    return why->code != PST_OK;
}

static void run_all(struct pst_db *db, struct pst_db_job *first)
{
    while (first) {
        db->writer.trouble.code = PST_OK;
        struct pst_db_job *rest = run_group(db, first);
        note_trouble(db);
        while (first != rest) {
            struct pst_db_job *next = first->next; /* done may end the job's life */
            first->done(first);
            first = next;
        }
        pst_db_checkpoint(db);
    }
}

/* A commit that changes nothing but needs the file: the number is not used otherwise. */
static pst_code write_probe(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_db_exec_script(conn, PST_STR("PRAGMA user_version = 0"), err);
}

static void ignore_done(struct pst_db_job *job)
{
    (void)job;
}

/* With the mutex: wait for jobs; in trouble not longer than PROBE_MS. false: try whether it is
 * over. */
static bool await_jobs(struct pst_db *db)
{
    pst_mono end = pst_mono_after_ms(pst_mono_now(), PROBE_MS);
    while (!db->head && !db->stopping) {
        if (db->trouble.code == PST_OK)
            (void)pthread_cond_wait(&db->filled, &db->mutex);
        else if (!pst_cond_wait_until(&db->filled, &db->mutex, end))
            return false;
    }
    return true;
}

void pst_db_writer_run(struct pst_db *db)
{
    for (;;) {
        (void)pthread_mutex_lock(&db->mutex);
        bool has_news = await_jobs(db);
        struct pst_db_job *jobs = db->head;
        db->head = NULL;
        db->tail = &db->head;
        db->queued = 0;
        (void)pthread_cond_broadcast(&db->drained);
        (void)pthread_mutex_unlock(&db->mutex);
        struct pst_db_job probe = {.fn = write_probe, .done = ignore_done};
        if (!jobs && has_news)
            return;
        run_all(db, jobs ? jobs : &probe);
    }
}

void pst_db_writer_stop(struct pst_db *db)
{
    (void)pthread_mutex_lock(&db->mutex);
    db->stopping = true;
    (void)pthread_cond_broadcast(&db->filled);
    (void)pthread_cond_broadcast(&db->drained);
    (void)pthread_mutex_unlock(&db->mutex);
}

static pst_code enqueue(struct pst_db *db, struct pst_db_job *job, bool wait, struct pst_err *err)
{
    pst_code code = PST_OK;
    job->next = NULL;
    (void)pthread_mutex_lock(&db->mutex);
    while (wait && !db->stopping && db->queued >= db->options.queue_length)
        (void)pthread_cond_wait(&db->drained, &db->mutex);
    if (db->stopping) {
        code = PST_FAIL(err, PST_E_UNAVAILABLE, "the store is stopping");
    } else if (db->queued >= db->options.queue_length) {
        code = PST_FAIL(err, PST_E_UNAVAILABLE, "the store has too many changes waiting");
    } else {
        *db->tail = job;
        db->tail = &job->next;
        db->queued++;
        (void)pthread_cond_signal(&db->filled);
    }
    (void)pthread_mutex_unlock(&db->mutex);
    return code;
}

pst_code pst_db_write_async(struct pst_db *db, struct pst_db_job *job, struct pst_err *err)
{
    return enqueue(db, job, false, err);
}

struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool is_done;
};

static void wake(struct pst_db_job *job)
{
    struct waiter *w = job->done_arg;
    (void)pthread_mutex_lock(&w->mutex);
    w->is_done = true;
    (void)pthread_cond_signal(&w->cond);
    (void)pthread_mutex_unlock(&w->mutex);
}

pst_code pst_db_write(struct pst_db *db, pst_db_write_fn fn, void *arg, struct pst_err *err)
{
    struct waiter w = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct pst_db_job job = {.fn = fn, .arg = arg, .done = wake, .done_arg = &w};
    pst_code code = enqueue(db, &job, true, err);
    if (code == PST_OK) {
        (void)pthread_mutex_lock(&w.mutex);
        while (!w.is_done)
            (void)pthread_cond_wait(&w.cond, &w.mutex);
        (void)pthread_mutex_unlock(&w.mutex);
        code = job.code;
        if (code != PST_OK)
            *err = job.err;
    }
    (void)pthread_cond_destroy(&w.cond);
    (void)pthread_mutex_destroy(&w.mutex);
    return code;
}

pst_code pst_db_write_direct(struct pst_db *db, pst_db_write_fn fn, void *arg, struct pst_err *err)
{
    struct pst_db_job job = {.fn = fn, .arg = arg, .done = ignore_done};
    run_all(db, &job);
    if (job.code != PST_OK)
        *err = job.err;
    return job.code;
}
