/* store/syncs.h: runs, the streams they hold, how far they came and what they counted.
 *
 *   create -> queued -> claim -> running -> begin/pages/end of each stream -> end
 *                         ^          |
 *                         +--recover-+   after a stop or crash a run goes on where its last page
 *                                        was committed
 *
 * A stream is held by at most one queued or running sync. pst_records_commit_page() moves the
 * resume point and adds to the counts in the transaction of the data.
 *
 * Functions that change something run inside a writer job and notify PST_TOPIC_SYNCS. Text in
 * results lives in the arena. Errors of all: as db.h, and NO_MEMORY, LIMIT.
 * Thread-safety: as the connection that is passed.
 */
#ifndef PST_STORE_SYNCS_H
#define PST_STORE_SYNCS_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"
#include "model/model.h"

enum pst_sync_trigger { PST_SYNC_SCHEDULED, PST_SYNC_MANUAL, PST_SYNC_INITIAL };
enum pst_sync_mode { PST_SYNC_INCREMENTAL, PST_SYNC_FULL };
enum pst_sync_status {
    PST_SYNC_QUEUED,
    PST_SYNC_RUNNING,
    PST_SYNC_COMPLETED,
    PST_SYNC_FAILED,
    PST_SYNC_CANCELLED,
};
enum pst_sync_phase { PST_PHASE_READ, PST_PHASE_DELETE };

const char *pst_sync_trigger_name(enum pst_sync_trigger trigger); /* "scheduled" */
const char *pst_sync_mode_name(enum pst_sync_mode mode); /* "incremental" */
const char *pst_sync_status_name(enum pst_sync_status status); /* "queued" */
bool pst_sync_mode_parse(enum pst_sync_mode *out, pst_str name);
bool pst_sync_status_parse(enum pst_sync_status *out, pst_str name);

struct pst_sync_counts {
    int64_t read, created, updated, deleted, unchanged, rejected; /* documents */
    int64_t pages, rows, bytes, calls; /* upstream pages, source rows, decoded bytes, calls */
    int64_t wait_us, work_us; /* waiting for the system, working */
};
void pst_sync_counts_add(struct pst_sync_counts *to, const struct pst_sync_counts *more);

/* One stream of a run. */
struct pst_sync_stream {
    int64_t stream_pk;
    const struct pst_entity *entity; /* NULL: an entity this version does not know */
    enum pst_sync_status status;
    enum pst_sync_phase phase; /* DELETE: the read is complete, what is missing is being deleted */
    bool begun; /* the window below is set */
    pst_wall from, to, as_of; /* the fixed window, in the source's time */
    pst_str after_key; /* next_key of the last page committed, "" = at the start */
    pst_str sort_key; /* of the last document committed, "" = at the start */
    /* Set and read by sync while it begins: */
    int64_t goes_on; /* run whose broken read this one goes on with, 0 = none */
    uint64_t first_mapping; /* version of the mapping that a first read begins with, 0 = no such */
    pst_wall started_at, ended_at;
    pst_str error_code, error_message; /* "" = none */
    int64_t first_seq, last_seq; /* its changes lie among these of the connection; 0 = none */
    struct pst_sync_counts counts;
};

struct pst_sync {
    int64_t pk;
    struct pst_id id; /* "sync_..." */
    int64_t connection_pk;
    enum pst_sync_trigger trigger;
    enum pst_sync_mode mode;
    enum pst_sync_status status;
    bool cancel_requested;
    pst_wall requested_at, started_at, ended_at;
    pst_wall resume_at; /* it waits for a busy system; none = it does not */
    pst_str error_code, error_message;
    pst_str request_id; /* that asked for it, or "" */
    struct pst_sync_counts counts; /* sum over the streams; calls: and those of no stream */
    struct pst_sync_stream *streams; /* in the order they are read */
    size_t stream_count;
};

/* ---- queueing ---- */

struct pst_sync_request {
    struct pst_id id;
    int64_t connection_pk;
    enum pst_sync_trigger trigger;
    enum pst_sync_mode mode;
    const struct pst_entity *const *entities; /* in the order they shall be read; >= 1 */
    size_t entity_count;
    pst_str request_id;
    pst_wall now;
};

/* Queue a run and take its streams. MANUAL cancels what waits because the connection is offline,
 * without cancel_requested: a first read that had begun can be gone on with.
 * MANUAL and INITIAL are refused whole when one is held: SYNC_IN_PROGRESS, and *busy (may be NULL)
 * gets the id of the run that holds it. SCHEDULED leaves busy streams out; when none is left, *pk
 * is 0 and nothing was written. Errors: also NOT_FOUND (connection deleted), INACTIVE (switched
 * off), INVALID (no entities). */
pst_code pst_syncs_create(struct pst_db_conn *conn, const struct pst_sync_request *request,
                          int64_t *pk, struct pst_id *busy, struct pst_err *err);

/* Take the run that waits longest (interrupted ones first) and mark it running. *found false
 * when nothing waits. */
pst_code pst_syncs_claim(struct pst_db_conn *conn, pst_wall now, struct pst_arena *arena,
                         struct pst_sync *out, bool *found, struct pst_err *err);

/* Before the first claim: runs that were running when the program ended may be claimed again,
 * with what they had committed. *count may be NULL. */
pst_code pst_syncs_recover(struct pst_db_conn *conn, int64_t *count, struct pst_err *err);

/* A claimed run that has begun nothing is as if it had not been queued. Errors: CONFLICT. */
pst_code pst_syncs_withdraw(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err);

/* Hand a run back unfinished: it is claimed again, with what it has committed; one that was put off
 * not before that time. */
pst_code pst_syncs_release(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err);

/* A claimed run is to wait, PST_SYNC_WAIT_MAX_S at most, and will be released. *is_put_off false:
 * it did so waits_max times without getting a page further. */
enum { PST_SYNC_WAIT_MAX_S = 3700 };
pst_code pst_syncs_put_off(struct pst_db_conn *conn, int64_t sync_pk, pst_wall until,
                           unsigned waits_max, bool *is_put_off, struct pst_err *err);
/* The same, however often it waited. */
pst_code pst_syncs_wait(struct pst_db_conn *conn, int64_t sync_pk, pst_wall until,
                        struct pst_err *err);
/* When the first of the runs that were put off is to be claimed; none. */
pst_code pst_syncs_next_resume(struct pst_db_conn *conn, pst_wall now, pst_wall *out,
                               struct pst_err *err);

/* A queued run is cancelled at once; a running one is asked to stop, and its next page commit
 * fails with CANCELLED. Ended ones stay as they are. Errors: NOT_FOUND. */
pst_code pst_syncs_cancel(struct pst_db_conn *conn, int64_t connection_pk, pst_str id, pst_wall now,
                          struct pst_err *err);

/* The same for every run of a connection that is deleted (by pst_connections_delete) or switched
 * off. */
pst_code pst_syncs_cancel_all(struct pst_db_conn *conn, int64_t connection_pk, pst_wall now,
                              struct pst_err *err);

/* ---- running; CONFLICT when the run is not running, CANCELLED when it shall stop ---- */

/* Fix the window of a stream: once per run; a resumed run reads what was fixed. */
pst_code pst_syncs_begin_stream(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                                pst_wall from, pst_wall to, pst_wall as_of, pst_wall now,
                                struct pst_err *err);

/* The first read of a stream, which may take hours, goes on where a run before broke off: a
 * stream that was never read to its end, whose newest run failed on the way or had to make room,
 * not before `since`. *found false: there is none, or it may not be gone on with (cancelled by
 * request, rewound, keys out of order, the guard). Reader or writer. */
struct pst_sync_broken {
    int64_t sync_pk; /* of the run that failed */
    pst_wall from, as_of; /* the window of its read */
    pst_str after_key, sort_key;
    uint64_t mapping_version; /* that it began with (pst_streams_set_mapping) */
};
pst_code pst_syncs_find_broken(struct pst_db_conn *conn, int64_t connection_pk, int64_t stream_pk,
                               pst_wall since, struct pst_arena *arena, struct pst_sync_broken *out,
                               bool *found, struct pst_err *err);
/* After pst_syncs_begin_stream with that window: take over how far it came, and its list of
 * missing. */
pst_code pst_syncs_take_over(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                             int64_t broken_pk, struct pst_err *err);

/* The read is complete; the missing list may be worked off (pst_records_delete_missing). */
pst_code pst_syncs_begin_delete(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                                struct pst_err *err);

/* End one stream and let go of it. COMPLETED moves its checkpoint to the window's end (`to`,
 * or as_of where the window is open), remembers mapping_version and clears its error; FAILED
 * keeps the checkpoint and the error; CANCELLED keeps both as they were. What is left of the
 * missing list means nothing any more (pst_store_retain removes it), but for a stream that was
 * never read to its end (pst_syncs_find_broken). `failure` is read for FAILED only. A run that was
 * asked to stop completes nothing (CANCELLED): what it read may be read with other settings now,
 * and the checkpoint taken back. */
struct pst_sync_outcome {
    enum pst_sync_status status; /* COMPLETED, FAILED, CANCELLED */
    const struct pst_err *failure;
    uint64_t mapping_version;
};
pst_code pst_syncs_end_stream(struct pst_db_conn *conn, int64_t sync_pk, int64_t stream_pk,
                              const struct pst_sync_outcome *outcome, pst_wall now,
                              struct pst_err *err);

/* End the run; streams that have not ended get `outcome`. The run's own status: CANCELLED when
 * outcome says so, else FAILED when one stream failed (with the first stream's error), else
 * COMPLETED. A completed run of all the connection's streams (`covers_all`) has read each to its
 * end: initial_sync_done is set. *status gets it. */
pst_code pst_syncs_end(struct pst_db_conn *conn, int64_t sync_pk,
                       const struct pst_sync_outcome *outcome, bool covers_all, pst_wall now,
                       enum pst_sync_status *status, struct pst_err *err);

/* How many calls the run has made so far, those that belong to none of its streams included (the
 * clock, columns, probes). */
pst_code pst_syncs_set_calls(struct pst_db_conn *conn, int64_t sync_pk, int64_t calls,
                             struct pst_err *err);

/* What a worker looks at between pages (reader or writer). */
pst_code pst_syncs_is_wanted(struct pst_db_conn *conn, int64_t sync_pk, bool *wanted,
                             struct pst_err *err);

/* ---- telling ---- */

/* A run of the connection that ended and is not marked as told, the first one; 0 = none. Inside a
 * writer job, as is the next. */
pst_code pst_syncs_next_untold(struct pst_db_conn *conn, int64_t connection_pk, int64_t *sync_pk,
                               struct pst_err *err);
pst_code pst_syncs_mark_told(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err);

/* ---- reading ---- */

/* With its streams. Errors: NOT_FOUND. */
pst_code pst_syncs_get(struct pst_db_conn *conn, int64_t connection_pk, pst_str id,
                       struct pst_arena *arena, struct pst_sync *out, struct pst_err *err);
pst_code pst_syncs_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                          struct pst_sync *out, struct pst_err *err);

/* The connection, of that organization (0 = of any), that has the sync and is not deleted; "" =
 * there is none. */
pst_code pst_syncs_connection(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                              struct pst_id *out, struct pst_err *err);

/* Newest first, with streams, before before_pk (0 = from the newest); statuses: bit i = status
 * i, 0 = all. limit 1..500. */
pst_code pst_syncs_list(struct pst_db_conn *conn, int64_t connection_pk, int64_t before_pk,
                        unsigned statuses, size_t limit, struct pst_arena *arena,
                        struct pst_sync **out, size_t *count, bool *more, struct pst_err *err);

/* Whether a run of the connection that nobody asked for by hand is queued or running. */
pst_code pst_syncs_has_own(struct pst_db_conn *conn, int64_t connection_pk, bool *out,
                           struct pst_err *err);

/* When the first run of the connection that waits for its busy system goes on; none. */
pst_code pst_syncs_resume_at(struct pst_db_conn *conn, int64_t connection_pk, pst_wall *out,
                             struct pst_err *err);
/* How many are queued and running, of one connection or (0) of all. */
pst_code pst_syncs_count_open(struct pst_db_conn *conn, int64_t connection_pk, int64_t *queued,
                              int64_t *running, struct pst_err *err);

#endif
