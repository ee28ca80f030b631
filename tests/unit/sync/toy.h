/* A small system with a scripted connector, and a real store in a temporary folder: what the
 * tests of the engine run against. Time is virtual; sleeping only moves it. */
#ifndef PST_TESTS_UNIT_SYNC_TOY_H
#define PST_TESTS_UNIT_SYNC_TOY_H

#include <pthread.h>

#include "store/store.h"
#include "sync/internal.h"
#include "tests/unit/test.h"

enum { TOY_ROWS = 6000, TOY_STREAMS = 2, TOY_CALLS = 64, TOY_DAY_S = 86400 };
enum { TOY_SUPPLIERS, TOY_ITEMS }; /* items are windowed */

struct toy_row {
    bool exists;
    int64_t stamp_s; /* seconds since 1970 */
    char name[32]; /* "": cannot be mapped */
    char status; /* 'A', 'I' */
    bool has_fault; /* delivered with a fault and without a key */
    bool twice; /* delivered twice in a row */
};

struct toy_world;

struct toy {
    struct toy_row rows[TOY_STREAMS][TOY_ROWS]; /* by number; keys ascend with it */
    int64_t now_s; /* the system's own clock */
    unsigned page_docs; /* documents of a page; 0: as many as rows were asked for */
    bool descending; /* keys come in an order of the system's own */
    bool lacks_column; /* STATUS is not delivered */
    const char *unnamed; /* a column of the connector's own that no row names; NULL: none */
    const char *described; /* "NAME:Character ID:Number:OTHER_NAME"; NULL: it does not say */
    pst_code describe_fails; /* what describe answers instead */
    unsigned described_times;
    /* script: what the n-th call (source_now, fetches and probes, from 0) answers */
    pst_code fail[TOY_CALLS];
    int retry_after_s;
    void (*hook)(struct toy_world *w, unsigned call); /* before the call is answered */
    unsigned calls;
    unsigned opened, closed;
    struct pst_fetch last; /* of the latest fetch; texts are gone */
    const atomic_bool *cancel;
};

struct toy_world {
    struct toy toy;
    char dir[64];
    struct pst_db *db;
    struct pst_thread *writer;
    struct pst_db_conn *reader;
    struct pst_arena *arena;
    struct pst_connector_entry entry;
    struct pst_connectors connectors;
    struct pst_tz *zone; /* UTC */
    struct pst_sync_engine *engine;
    struct pst_sync_options options;
    int64_t mono_ms;
    pst_wall wall;
    int64_t slept_ms; /* by runs */
    int64_t idle_ms; /* by threads that had nothing to do */
    uint64_t random;
    int64_t connection_pk;
    struct pst_id connection_id;
    enum pst_sync_trigger trigger; /* of what toy_queue makes */
    unsigned syncs; /* made so far */
    void (*on_sleep)(struct toy_world *w); /* after time has passed */
    void (*on_commit)(struct toy_world *w); /* on the writer's thread */
    struct pst_sync_report report;
    struct pst_err report_err;
    unsigned reports;
    bool has_lane_thread;
    long fail_alloc_at; /* n-th allocation of the worker's thread that fails; -1: none */
    bool alloc_failed; /* the last run of a worker met it */
    /* What happens when nobody rings the scheduler, and when no worker has anything to do: time
     * passes (for a worker only when a run waits for its time), and this is called. */
    void (*idle)(struct toy_world *w);
    unsigned scheduler_rings;
    pthread_mutex_t mutex; /* guards scheduler_rings */
    pthread_cond_t cond;
};

/* The folder, without a store. */
void toy_world_make(struct toy_world *w);
/* Open the store (made when it is new), its writer, and one connection. */
void toy_world_open(struct toy_world *w);
void toy_world_close(struct toy_world *w);
/* A test's world, made and open, as *state; and its end. */
int toy_set_up(void **state);
int toy_tear_down(void **state);
/* false: no file may grow, nor be written behind its first bytes (SIGXFSZ has to be ignored). */
void toy_let_files_grow(bool yes);
void toy_world_remove(struct toy_world *w);

void toy_put(struct toy_world *w, int stream, unsigned number, const char *name, int64_t stamp_s);
void toy_fill(struct toy_world *w, int stream, unsigned count, int64_t stamp_s);

/* Queue a run over the streams (bit mask of TOY_...). */
int64_t toy_queue(struct toy_world *w, enum pst_sync_mode mode, unsigned streams);
/* A worker works until nothing waits (or it is stopped). */
void toy_work(struct toy_world *w);
/* Both; the run as it ended, which has counted every call. Valid until the next one. */
struct pst_sync toy_sync(struct toy_world *w, enum pst_sync_mode mode, unsigned streams);
struct pst_sync toy_get(struct toy_world *w, int64_t sync_pk);

/* Fails unless the store holds exactly the system's rows that can be mapped, the change feed
 * has no gap, and what a follower of it put together is the same. */
void toy_check_equal(struct toy_world *w, int stream);
void toy_check_feed(struct toy_world *w);

/* One number, or all rows of a statement as text. */
int64_t toy_number(struct toy_world *w, const char *sql);
void toy_dump(struct toy_world *w, const char *sql, struct pst_buf *out);

#endif
