/* sync/sync.h: keeping the copy of every connection's data up to date.
 *
 *   scheduler thread   pst_sync_scheduler_run   connections' schedules -> queued syncs
 *   worker threads     pst_sync_worker_run      queued sync -> pages -> store
 *   anybody            the calls under "from other threads"
 *
 * A sync lives in the store (store/syncs.h): queued, claimed by a worker, checkpointed with
 * every page, ended. What is here only moves it along; killing the process at any instruction
 * leaves a sync that the next start takes up at its last page.
 *
 * This module starts no thread, reads no clock and sleeps only through struct pst_sync_host,
 * which app fills from os/ and tests fill with virtual time.
 *
 * Thread-safety: as said per function.
 */
#ifndef PST_SYNC_SYNC_H
#define PST_SYNC_SYNC_H

#include "db/db.h"
#include "sync/schedule.h"

struct pst_sync;

enum pst_sync_bell {
    PST_SYNC_BELL_WORK, /* a sync was queued: one waiting worker has to look */
    PST_SYNC_BELL_SCHEDULER, /* something happened that the scheduler has to know */
};

/* What sync needs of the machine. Every function may be called from any thread. */
struct pst_sync_host {
    pst_mono (*mono)(void *self);
    pst_wall (*wall)(void *self);
    uint64_t (*random)(void *self); /* 64 random bits */
    void (*sleep_ms)(void *self, int64_t ms); /* short sleeps; cancelling is sync's own affair */
    /* Counting semaphores: ring adds one, await takes one or returns after timeout_ms
     * (negative: no timeout). */
    void (*ring)(void *self, enum pst_sync_bell bell);
    void (*await)(void *self, enum pst_sync_bell bell, int64_t timeout_ms);
    void *self;
};

/* One worker's two helpers: a thread that fetches ahead, and a latch on which the worker waits
 * for the store's writer. Each belongs to exactly one worker. */
struct pst_sync_lane {
    void (*fetch_start)(void *self, void (*fn)(void *arg), void *arg); /* run fn(arg) there */
    void (*fetch_wait)(void *self); /* until that fn has returned; once per start */
    void (*signal)(void *self); /* any thread: adds one */
    void (*await)(void *self); /* worker: takes one, waiting for it */
    void *self;
};

#endif
