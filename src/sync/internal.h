/* sync/internal.h: what the files of the engine share. Private to sync and its tests.
 *
 *   engine.c   life, stop, cancel, progress, the scheduler's inbox
 *   planner.c  the scheduler thread around sched.h
 *   worker.c   claim a run, wait for its turn, end it
 *   run.c      one run: contact, windows, its streams one after another
 *   columns.c  whether the columns of a stream's source are those of before
 *   pull.c     one stream: fetch | map | write, then what is missing
 *   lot.c      one page: fetched on the lane, merged and mapped by the worker, committed
 *   binding.c  compiled mappings and dictionaries, kept between runs
 */
#ifndef PST_SYNC_INTERNAL_H
#define PST_SYNC_INTERNAL_H

#include "codec/zip.h"
#include "store/records.h"
#include "store/rejected.h"
#include "store/streams.h"
#include "sync/merge.h"
#include "sync/plan.h"
#include "sync/sync.h"

/* ---- engine ---- */

/* A worker's shop window: written by it, read by every thread. */
struct pst_sync_slot {
    atomic_bool cancel; /* breaks off upstream calls; also set by a stop */
    atomic_bool contacted; /* the system has answered this run once */
    _Atomic int64_t ticket; /* order in which runs of one connection were taken; 0 = not yet */
    _Atomic int64_t sync_pk, connection_pk; /* 0 = idle */
    _Atomic int64_t started_ns;
    _Atomic int64_t entity; /* index in the model, -1 = none yet */
    _Atomic int64_t entity_at, entity_count;
    _Atomic int64_t records, rows, deleting;
};

enum pst_sync_note_kind { PST_NOTE_CHANGED, PST_NOTE_FINISHED };

struct pst_sync_note {
    struct pst_sync_note *next;
    enum pst_sync_note_kind kind;
    int64_t connection_pk;
};

struct pst_sync_engine {
    struct pst_sync_options options;
    _Atomic int64_t page_rows, overlap_ms, delete_guard_percent;
    atomic_bool stopping;
    _Atomic int64_t tickets;
    _Atomic(struct pst_sync_note *) notes; /* newest first; the scheduler takes all at once */
    atomic_bool notes_lost; /* no memory for a note: look at every connection */
    struct pst_sync_slot *slots; /* options.workers of them */
};

static inline pst_mono pst_sync_mono(const struct pst_sync_engine *e)
{
    return e->options.host.mono(e->options.host.self);
}
static inline pst_wall pst_sync_wall(const struct pst_sync_engine *e)
{
    return e->options.host.wall(e->options.host.self);
}
struct pst_id pst_sync_new_id(const struct pst_sync_engine *e);
/* Any thread: tell the scheduler. */
void pst_sync_note(struct pst_sync_engine *e, enum pst_sync_note_kind kind, int64_t connection_pk);
/* Scheduler: all notes so far, oldest first; to be freed one by one. */
struct pst_sync_note *pst_sync_take_notes(struct pst_sync_engine *e);

/* ---- bindings ---- */

/* One stream's mapping, ready to use, and its dictionary. */
struct pst_binding {
    int64_t connection_pk, version; /* 0 = free place */
    const struct pst_entity *entity;
    struct pst_mapping *mapping;
    struct pst_mapper *mapper;
    int64_t dict; /* id of zip_dict in the store; 0 = none */
    struct pst_zip_dict *zip_dict;
    uint64_t used; /* clock of the last use */
};

enum { PST_BINDINGS = 32, PST_ZIP_LEVEL = 1 };

struct pst_bindings {
    struct pst_binding items[PST_BINDINGS];
    uint64_t clock;
};
void pst_bindings_fini(struct pst_bindings *b);

/* The binding of (connection, its version, stream), compiled when it is not at hand. Valid
 * until PST_BINDINGS others were asked for. Errors: as pst_mapping_new. */
pst_code pst_bindings_get(struct pst_bindings *b, const struct pst_connection *connection,
                          const struct pst_stream *stream, const struct pst_mapping_options *opts,
                          struct pst_binding **out, struct pst_err *err);

/* Make the stored dictionary `dict` (0 = none) the binding's. */
pst_code pst_binding_load_dict(struct pst_binding *b, struct pst_db_conn *reader, int64_t dict,
                               struct pst_err *err);

/* ---- a worker and its run ---- */

struct pst_run;

struct pst_sync_worker {
    struct pst_sync_engine *e;
    unsigned index;
    const struct pst_sync_lane *lane;
    struct pst_sync_slot *slot;
    struct pst_db_conn *reader;
    struct pst_zip *zip;
    struct pst_bindings bindings;
    struct pst_arena *arena; /* of the run */
    struct pst_arena *scratch; /* of a look-up */
    struct pst_lot *lots[3];
    struct pst_buf json; /* source rows of one document */
};

struct pst_run {
    struct pst_sync_worker *w;
    struct pst_sync *sync;
    struct pst_connection connection;
    struct pst_sync_system system;
    bool is_open;
    bool covers_all; /* it reads every entity of the connection */
    struct pst_sync_counts counts; /* what this process did */
    bool is_put_off; /* it waits for a busy system, without a worker */
    struct pst_err stream_failure; /* of the first stream that failed by itself */
    bool has_stream_failure;
};

/* Bring counts.calls up to what the system, which nothing calls at this moment, was asked. */
void pst_run_count_calls(struct pst_run *run);
/* CANCELLED when the run shall not go on (cancelled, or the program stops). */
pst_code pst_run_check(struct pst_run *run, struct pst_err *err);
/* Wait. Errors: CANCELLED, at once when the run shall not go on. */
pst_code pst_run_sleep(struct pst_run *run, int64_t ms, struct pst_err *err);
/* What follows a call of the run that failed, as *err says: PST_OK when it is to be made again, now
 * that it was waited for; else the failure that counts. CANCELLED, with is_put_off: the system is
 * busy for so long that the run goes on later, from what it has committed. A call that met with
 * silence is not repeated: probes find out whether the system is there; if it is, the failure is
 * SYSTEM, that of this call alone. A call that failed otherwise is made three times, the third time
 * only if a probe was answered before it; its failure is SYSTEM then, too. */
struct pst_run_tries { /* of one call; all zero begins */
    unsigned failures;
    bool is_alone; /* the system answered a probe since */
    int64_t waited_us;
    struct pst_err last;
};
pst_code pst_run_try_again(struct pst_run *run, struct pst_run_tries *tries, struct pst_err *err);
/* Read and write everything the run asks for. The run's own failure (as opposed to that of a
 * stream) is returned; streams that are not ended by then get it. */
pst_code pst_run_execute(struct pst_run *run, struct pst_err *err);
/* Before a stream is read: once a day, and with every full run, look whether the columns of its
 * source changed, and tell it. A system that did not say is asked again in a day, or by a full run
 * that somebody started. Errors: REAUTH, CANCELLED, NO_MEMORY, and those of the store. */
pst_code pst_run_look_at_columns(struct pst_run *run, const struct pst_sync_stream *stream,
                                 const struct pst_stream *def, struct pst_err *err);
/* The stream's mapping as the connection has it. Errors: as pst_bindings_get. */
pst_code pst_run_bind(struct pst_run *run, const struct pst_stream *def, struct pst_binding **out,
                      struct pst_err *err);
/* The columns that the source has, in the run's arena: asked for when a page leaves one out,
 * since one that was lost a moment ago must not pass for blank; but at most once a day while the
 * system does not say. What it said before counts then. Nothing else may call the system meanwhile.
 * Errors: as above. */
pst_code pst_run_find_columns(struct pst_run *run, const struct pst_sync_stream *stream,
                              const struct pst_stream *def, struct pst_known_columns *out,
                              struct pst_err *err);
/* Jitter and ids. */
uint64_t pst_run_random(const struct pst_run *run);

/* Train a dictionary, store it as the stream's and use it from now on. Samples that would gain
 * nothing leave the binding as it is. Errors: as db.h, NO_MEMORY. */
pst_code pst_binding_train(struct pst_binding *b, struct pst_run *run, int64_t stream_pk,
                           const pst_str *samples, size_t count, struct pst_err *err);
/* fn(conn, arg) on the writer, waited for. */
pst_code pst_run_write(struct pst_run *run, pst_db_write_fn fn, void *arg, struct pst_err *err);

/* ---- one stream of a run ---- */

struct pst_pull {
    struct pst_run *run;
    struct pst_sync_stream *stream;
    const struct pst_stream *def;
    struct pst_binding *binding;
    struct pst_window window;
    struct pst_known_columns known; /* beside those of pages, once that was asked */
    bool has_looked; /* it was */
    bool has_rejected; /* rows of this stream are kept aside: tell which are fine again */
    bool is_remapped; /* records of it may have been made by another mapping */
    bool may_train; /* no dictionary yet, none tried by this run */
    bool may_defer; /* nothing is stored of this stream yet, and all of it will be read */
    bool lacks_index; /* the table is filled without some indexes, to be built before the end */
    int64_t created; /* records, by this pull */
    bool is_disordered; /* keys do not ascend: what is missing cannot be told */
    bool is_unguarded; /* the user chose other rows: much of what is stored may be missing */
    bool gap_open; /* the last document had no key, or may have had none */
    struct pst_buf last_key; /* largest sort key so far */
    struct pst_buf checkpoint; /* resume key of the last page mapped */
    bool checkpoint_moved; /* it is not committed yet */
    bool has_lost_page; /* one that was mapped could not be committed: nothing behind it may be */
    struct pst_sync_counts pending; /* counts not committed yet */
    pst_mono last_commit;
    struct pst_lot *writing; /* the lot that is with the writer, or NULL */
};

/* Read the stream to its end and end it in the store. A failure of the stream is stored with
 * it and returned. */
pst_code pst_pull_stream(struct pst_run *run, struct pst_sync_stream *stream, struct pst_err *err);

/* ---- one page ---- */

struct pst_lot {
    struct pst_arena *rows; /* what fetch returned */
    struct pst_arena *work; /* what mapping made of it */
    struct pst_buf packed; /* compressed source rows, one after another */
    /* fetch stage, on the lane's thread */
    const struct pst_run *run;
    struct pst_fetch fetch;
    struct pst_page page;
    int64_t calls; /* that it took */
    pst_code code;
    struct pst_err err;
    /* write stage, on the writer's thread */
    struct pst_page_commit commit;
    struct pst_db_job job;
    struct pst_missing missing;
};

pst_code pst_lot_new(struct pst_lot **out, struct pst_err *err);
void pst_lot_free(struct pst_lot *lot); /* NULL is a no-op */

void pst_lot_fetch(void *lot); /* body for the lane */

/* Ready the mapping for the columns of lot->page, the next to be mapped. What its rows do not name
 * is blank, unless the source has it no longer; that is asked once per stream and run, so nothing
 * may be fetched meanwhile. Errors: INVALID (a column that is gone), and as pst_run_find_columns.
 */
pst_code pst_lot_bind(const struct pst_lot *lot, struct pst_pull *pull, struct pst_err *err);

/* Turn lot->page into lot->commit. */
pst_code pst_lot_map(struct pst_lot *lot, struct pst_pull *pull, struct pst_err *err);

/* The same for what lies behind the last page of a full read: only what is missing there. */
pst_code pst_lot_tail(struct pst_lot *lot, struct pst_pull *pull, struct pst_err *err);

bool pst_lot_has_changes(const struct pst_lot *lot);

/* What stands for a key that is larger than any: a full read in which keys did not ascend. */
#define PST_KEY_DISORDERED PST_STR("\xff\xff\xff\xff\xff\xff\xff\xff")

#endif
