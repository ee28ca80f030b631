/* sync/sync.h: keeping the copy of every connection's data up to date.
 *
 *   scheduler thread   pst_sync_scheduler_run   connections' schedules -> queued syncs
 *   worker threads     pst_sync_worker_run      queued sync -> pages -> store
 *   anybody            the calls under "from any thread"
 *
 * A sync lives in the store (store/syncs.h): queued, claimed by a worker, checkpointed with
 * every page, ended. What is here only moves it along; killing the process at any instruction
 * leaves a sync that the next start takes up at its last page.
 *
 * This module starts no thread, reads no clock and sleeps only through struct pst_sync_host,
 * which app fills from os/ and tests fill with time of their own. It reaches connected systems
 * only through struct pst_sync_systems, which app fills from gate/ and the connectors.
 *
 * Who queues a sync (the API) does so with pst_syncs_create in a writer job of its own and then
 * calls pst_sync_work_added. Who changes a connection (created, patched, status, deleted) calls
 * pst_sync_connection_changed after the commit. Who cancels calls pst_syncs_cancel in a writer
 * job, then pst_sync_cancel, which also breaks off the upstream call in flight.
 */
#ifndef PST_SYNC_SYNC_H
#define PST_SYNC_SYNC_H

#include <stdatomic.h>

#include "base/trace.h"
#include "connector/connector.h"
#include "store/connections.h"
#include "store/syncs.h"
#include "sync/schedule.h"

struct pst_sync_engine;

enum pst_sync_bell {
    PST_SYNC_BELL_WORK, /* a sync was queued: one waiting worker has to look */
    PST_SYNC_BELL_SCHEDULER, /* something happened that the scheduler has to know */
};

/* What sync needs of the machine. Every function may be called from any thread. */
struct pst_sync_host {
    pst_mono (*mono)(void *self);
    pst_wall (*wall)(void *self);
    uint64_t (*random)(void *self); /* 64 random bits */
    void (*sleep_ms)(void *self, int64_t ms); /* short ones; cancelling is sync's own affair */
    /* Counting semaphores: ring adds one, await takes one or returns after timeout_ms
     * (negative: no timeout). */
    void (*ring)(void *self, enum pst_sync_bell bell);
    void (*await)(void *self, enum pst_sync_bell bell, int64_t timeout_ms);
    void *self;
};

/* One worker's helpers: a thread that fetches ahead, and a latch on which the worker waits for
 * the store's writer. A lane belongs to exactly one worker. */
struct pst_sync_lane {
    void (*fetch_start)(void *self, void (*fn)(void *arg), void *arg); /* run fn(arg) there */
    void (*fetch_wait)(void *self); /* until that fn has returned; once per start */
    void (*signal)(void *self); /* any thread: adds one */
    void (*await)(void *self); /* the worker: takes one, waiting for it */
    void *self;
};

/* A connected system, opened for one run. */
struct pst_sync_system {
    const struct pst_connector_ops *ops;
    const struct pst_manifest *manifest;
    struct pst_connector *connector;
    struct pst_connector_ctx ctx; /* deadline is set by sync before each operation; ctx.zone
                                     lives as long as the engine */
    void *self; /* whatever open needs to close again (a gate run, the HTTP handle) */
};

struct pst_sync_systems {
    /* Unseal the credentials, find the connector, begin a gate run and open the adapter.
     * request_id: the API request that caused it, "" = none.
     * worker: index of the calling worker, for an HTTP handle per worker. cancel: breaks off
     * calls in flight. On failure nothing is left open. Errors: INVALID (configuration),
     * UNSUPPORTED (no such connector in this build), NO_MEMORY, and what unsealing says. */
    pst_code (*open)(void *self, unsigned worker, const struct pst_connection *connection,
                     pst_str sync_id, pst_str request_id, const atomic_bool *cancel,
                     struct pst_sync_system *out, struct pst_err *err);
    void (*close)(void *self, struct pst_sync_system *system);
    /* How many upstream calls were made since it was opened, as the request log has them. */
    int64_t (*calls)(void *self, const struct pst_sync_system *system);
    /* The trace that the calls of what this worker opens next belong to; copied. NULL (the function
     * or the trace): one of their own. */
    void (*set_trace)(void *self, unsigned worker, const struct pst_trace *trace);
    void *self;
};

/* How a run ended; for the log and the metrics of app. Borrowed for the call. */
struct pst_sync_report {
    struct pst_id sync_id, connection_id;
    pst_str request_id; /* that caused it, "" = none */
    enum pst_sync_status status; /* QUEUED: handed back because of a stop; RUNNING: over, but the
                                    store does not take its end, which is tried again */
    enum pst_sync_mode mode;
    enum pst_sync_trigger trigger;
    struct pst_sync_counts counts; /* of this process's part of the run */
    const struct pst_err *err; /* NULL unless it (or a stream of it: the first) failed, or our own
                                  store refused */
};

struct pst_sync_options {
    struct pst_db *db;
    const struct pst_connectors *connectors;
    struct pst_sync_host host;
    struct pst_sync_systems systems;
    void (*report)(void *self, const struct pst_sync_report *report); /* worker thread; or NULL */
    void *report_self;
    unsigned workers; /* how many will call pst_sync_worker_run; 1..256 */
    uint32_t page_rows; /* source rows to ask for at once, 1..100000 */
    int64_t overlap_ms; /* how far an incremental window reaches back */
    int64_t page_timeout_ms; /* one page, all its calls; 0 = 15 minutes */
    int delete_guard_percent; /* 0..100 */
    int64_t probe_ms; /* how long a probe may take; 0 = 10 s */
};

/* Options are copied, what they point to outlives the engine. Errors: INVALID, NO_MEMORY. */
pst_code pst_sync_engine_new(struct pst_sync_engine **out, const struct pst_sync_options *options,
                             struct pst_err *err);
/* After all its threads have returned. NULL is a no-op. */
void pst_sync_engine_free(struct pst_sync_engine *e);
PST_DEFINE_AUTO(sync_engine, struct pst_sync_engine, pst_sync_engine_free);

/* Options that may change while running (SIGHUP); taken over by runs that begin later. */
void pst_sync_engine_retune(struct pst_sync_engine *e, uint32_t page_rows, int64_t overlap_ms,
                            int delete_guard_percent);

/* ---- threads ---- */

/* Once, before the threads: runs that a crash or stop left behind may be claimed again. Any
 * thread that may use pst_db_write. */
pst_code pst_sync_recover(struct pst_sync_engine *e, struct pst_err *err);

/* Bodies of threads; return after pst_sync_stop. worker: 0..workers-1, each once. They end
 * early, with an error, only when they could not begin. */
pst_code pst_sync_scheduler_run(struct pst_sync_engine *e, struct pst_err *err);
pst_code pst_sync_worker_run(struct pst_sync_engine *e, unsigned worker,
                             const struct pst_sync_lane *lane, struct pst_err *err);

/* ---- from any thread; none of these waits ---- */

/* Every run commits the page in hand and is handed back; upstream calls are broken off. */
void pst_sync_stop(struct pst_sync_engine *e);

void pst_sync_work_added(struct pst_sync_engine *e);
void pst_sync_connection_changed(struct pst_sync_engine *e, int64_t connection_pk);
/* Break off the run if a worker has it; the store was told before (pst_syncs_cancel). */
void pst_sync_cancel(struct pst_sync_engine *e, int64_t connection_pk, int64_t sync_pk);
/* The same for every run of a connection that was deleted or switched off (pst_syncs_cancel_all),
 * and pst_sync_connection_changed. */
void pst_sync_cancel_connection(struct pst_sync_engine *e, int64_t connection_pk);
/* A run that never began may have made room for one of an offline connection (pst_syncs_create). */
void pst_sync_made_room(struct pst_sync_engine *e, int64_t connection_pk);

/* A run in progress, as of now; what is committed stands in the store. */
struct pst_sync_progress {
    int64_t sync_pk, connection_pk;
    const struct pst_entity *entity; /* being read; NULL while it contacts the system */
    unsigned entity_at, entity_count; /* 0-based position among the run's entities */
    int64_t records, rows; /* of this run, by this process, all entities */
    int64_t deleting; /* > 0: records still to be deleted of this entity */
    int64_t elapsed_ms;
    int64_t rows_per_s; /* since the run was taken up */
};
/* Fill out[0..cap) with the runs in progress of a connection (0 = all); returns how many. */
size_t pst_sync_progress(struct pst_sync_engine *e, int64_t connection_pk,
                         struct pst_sync_progress *out, size_t cap);

/* When a connection's schedule is next due, for `next_run_at`: by its grid, so it may be asked
 * anywhere. schedule as the store holds it; none: manual, or text that is no schedule. */
pst_wall pst_sync_next_run_at(pst_str schedule, pst_str connection_id, pst_wall now);

/* The entities that a connection reads, in the manifest's order: those it names (unknown names
 * are left out), or all of the connector. The array lives in the arena.
 * Errors: INVALID (the list is no JSON array), NO_MEMORY, LIMIT. */
pst_code pst_sync_entities(const struct pst_connection *connection,
                           const struct pst_manifest *manifest, struct pst_arena *arena,
                           const struct pst_entity *const **out, size_t *count,
                           struct pst_err *err);

#endif
