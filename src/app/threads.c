/* app/threads.c: starting, stopping and joining every thread of the server. */
#include <signal.h>
#include <unistd.h>

#include "app/internal.h"
#include "app/watch.h"
#include "base/alloc.h"
#include "base/log.h"

/* A thread that could not go on takes the whole server down, gracefully: half a server that
 * looks alive is worse. */
static void end_badly(const char *what, const struct pst_err *err)
{
    pst_log_err(PST_LOG_ERROR, what, err, NULL);
    (void)kill(getpid(), SIGTERM);
}

static void run_writer(void *arg)
{
    struct pst_app *app = arg;
    pst_db_writer_run(app->db);
}

static void run_scheduler(void *arg)
{
    struct pst_app *app = arg;
    struct pst_err err;
    if (pst_sync_scheduler_run(app->sync, &err) != PST_OK)
        end_badly("the scheduler ended", &err);
}

static void run_webhooks(void *arg)
{
    struct pst_app *app = arg;
    struct pst_err err;
    if (pst_hooks_run(app->hooks, &err) != PST_OK)
        end_badly("the delivery of webhooks ended", &err);
}

static void run_worker(void *arg)
{
    struct pst_worker *w = arg;
    struct pst_err err;
    struct pst_sync_lane lane = pst_lane_table(&w->lane);
    if (pst_sync_worker_run(w->app->sync, w->index, &lane, &err) != PST_OK)
        end_badly("a sync worker ended", &err);
}

static void run_loop(void *arg)
{
    struct pst_loop *loop = arg;
    struct pst_err err;
    if (pst_server_run_loop(loop->app->server, loop->index, &err) != PST_OK)
        end_badly("a server loop ended", &err);
}

static pst_code start_workers(struct pst_app *app, unsigned count, struct pst_err *err)
{
    struct pst_app_threads *t = &app->threads;
    PST_TRY(pst_new((void **)&t->workers, count * sizeof(*t->workers), err));
    for (unsigned i = 0; i < count; i++) {
        struct pst_worker *w = &t->workers[i];
        char name[24];
        (void)snprintf(name, sizeof(name), "sync-%u", i + 1);
        w->app = app;
        w->index = i;
        t->worker_count = i + 1;
        PST_TRY(pst_lane_open(&w->lane, i, err));
        PST_TRY(pst_thread_start(&w->thread, name, run_worker, w, err));
    }
    return PST_OK;
}

static pst_code start_loops(struct pst_app *app, unsigned count, struct pst_err *err)
{
    struct pst_app_threads *t = &app->threads;
    PST_TRY(pst_new((void **)&t->loops, count * sizeof(struct pst_thread *), err));
    PST_TRY(pst_new((void **)&t->loop_args, count * sizeof(*t->loop_args), err));
    for (unsigned i = 0; i < count; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "server-%u", i + 1);
        t->loop_args[i] = (struct pst_loop){.app = app, .index = i};
        PST_TRY(pst_thread_start(&t->loops[i], name, run_loop, &t->loop_args[i], err));
        t->loop_count = i + 1;
    }
    return PST_OK;
}

static pst_code start_all(struct pst_app *app, struct pst_err *err)
{
    struct pst_app_threads *t = &app->threads;
    unsigned workers = (unsigned)pst_config_int(app->config, PST_OPT_SYNC_WORKERS);
    unsigned loops = (unsigned)pst_config_int(app->config, PST_OPT_SERVER_THREADS);
    PST_TRY(pst_thread_start(&t->writer, "writer", run_writer, app, err));
    PST_TRY(pst_thread_start(&t->watch, "watch", pst_watch_run, app->watch, err));
    PST_TRY(pst_sync_recover(app->sync, err));
    PST_TRY(start_workers(app, workers, err));
    PST_TRY(pst_pool_start(app->work, err));
    PST_TRY(pst_pool_start(app->looks, err));
    PST_TRY(pst_pool_start(app->calls, err));
    PST_TRY(pst_prober_start(app->prober, err));
    PST_TRY(pst_thread_start(&t->scheduler, "scheduler", run_scheduler, app, err));
    PST_TRY(pst_thread_start(&t->webhooks, "webhooks", run_webhooks, app, err));
    /* Last, so that nobody is served by half a server. */
    return start_loops(app, loops, err);
}

pst_code pst_threads_start(struct pst_app *app, struct pst_err *err)
{
    pst_code rc = start_all(app, err);
    if (rc != PST_OK)
        pst_threads_stop(app);
    return rc;
}

static void join_loops(struct pst_app_threads *t)
{
    for (unsigned i = 0; i < t->loop_count; i++)
        pst_thread_join(t->loops[i]);
    pst_free((void *)t->loops);
    pst_free(t->loop_args);
}

static void join_workers(struct pst_app_threads *t)
{
    for (unsigned i = 0; i < t->worker_count; i++) {
        pst_thread_join(t->workers[i].thread);
        pst_lane_close(&t->workers[i].lane);
    }
    pst_free(t->workers);
}

void pst_threads_stop(struct pst_app *app)
{
    struct pst_app_threads *t = &app->threads;
    int64_t grace_ms = pst_config_int(app->config, PST_OPT_STOP_TIMEOUT);
    atomic_store(&app->stopping, true);
    pst_api_stopping(app->api);
    pst_server_stop(app->server, grace_ms);
    pst_sync_stop(app->sync);
    pst_hooks_stop(app->hooks, grace_ms);
    /* What requests wait for ends first, then the requests, then the syncs; the writer serves
     * them all and goes last. */
    pst_prober_stop(app->prober);
    pst_pool_stop(app->calls);
    pst_pool_stop(app->looks);
    pst_pool_stop(app->work);
    join_loops(t);
    pst_thread_join(t->scheduler);
    join_workers(t);
    pst_thread_join(t->webhooks);
    /* It stores what the others have noted last. */
    pst_watch_stop(app->watch);
    pst_thread_join(t->watch);
    if (t->writer) {
        pst_db_writer_stop(app->db);
        pst_thread_join(t->writer);
    }
    *t = (struct pst_app_threads){0};
}
