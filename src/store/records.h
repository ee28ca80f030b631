/* store/records.h: unified records, the change feed and the page commit that writes them.
 *
 * One table per entity (rec_<entity>, from the model): pk, conn, sort_key, source_id, id (16
 * bytes), first_seq, seq, created_at, updated_at, synced_at, deleted_at, stamp, source_hash,
 * hash, data (unified JSON text), source (zstd), dict, and one column per filterable field.
 *
 * pst_records_commit_page() is the only writer: records, change rows, sequence numbers,
 * missing list and checkpoint of one page in the caller's transaction. seq is per connection,
 * 1, 2, 3, ... without gaps, in commit order.
 *
 * Thread-safety: as the connection that is passed. Readers may be any thread's own connection.
 */
#ifndef PST_STORE_RECORDS_H
#define PST_STORE_RECORDS_H

#include "db/db.h"
#include "model/mapping.h"

enum pst_record_op {
    PST_RECORD_CREATE, /* not stored yet */
    PST_RECORD_UPDATE, /* the unified record differs (or it was deleted and is back) */
    PST_RECORD_RESTAMP, /* only the source, its hash or its stamp differ: no change row */
};

/* What is stored of a record, as the merge needs it. */
struct pst_record_state {
    int64_t pk;
    pst_str sort_key;
    pst_hash128 source_hash;
    pst_hash128 hash;
    pst_wall stamp;
    bool deleted;
};

struct pst_record_states {
    struct pst_record_state *items; /* in sort_key order, in the arena */
    size_t count;
};

/* Records (deleted ones included) of one stream with after < sort_key <= upto; an empty upto
 * has no upper end. At most `limit`; *more tells whether it stopped there. */
pst_code pst_records_states(struct pst_db_conn *conn, const struct pst_entity *entity,
                            int64_t connection_pk, pst_str after, pst_str upto, size_t limit,
                            struct pst_arena *arena, struct pst_record_states *out, bool *more,
                            struct pst_err *err);

struct pst_record_write {
    enum pst_record_op op;
    int64_t pk; /* UPDATE, RESTAMP */
    pst_str sort_key;
    pst_str source_id;
    uint8_t id[PST_ID_RAW];
    pst_hash128 source_hash;
    const struct pst_mapped *mapped; /* CREATE, UPDATE; for RESTAMP only hash is read */
    pst_wall stamp; /* of the source, or none */
    pst_str source; /* compressed source rows */
    int64_t dict; /* dictionary used for it, 0 = none */
};

struct pst_page_commit {
    const struct pst_entity *entity;
    int64_t connection_pk;
    int64_t sync_pk;
    int64_t stream_pk;
    pst_wall now; /* synced_at, and `at` of the changes */
    struct pst_record_write *writes;
    size_t write_count;
    const int64_t *missing; /* pks found missing between two keys of a full read */
    size_t missing_count;
    pst_str checkpoint; /* resume key of the run; "" = leave as it is */
    /* rows that could not be mapped: kept aside with the reason, replaced when seen again and
     * removed when the document maps */
    const struct pst_rejected {
        pst_str source_id;
        pst_str reason;
        pst_str source; /* JSON of the rows, uncompressed; may be "" */
    } *rejected;
    size_t rejected_count;
    const pst_str *accepted_again; /* source_ids whose rejection is over; may be empty */
    size_t accepted_count;
    /* added to the run's counts in the same transaction */
    struct pst_sync_counts {
        int64_t read, created, updated, deleted, unchanged, rejected;
        int64_t pages, rows, bytes, calls, wait_us, work_us;
    } counts;
};

/* Inside a writer job. The old data of an UPDATE is read to fill `fields` of the change row.
 * Errors: as db.h; CONFLICT when sync_pk is no longer running (cancelled, or the connection
 * was deleted): the caller ends the run. */
pst_code pst_records_commit_page(struct pst_db_conn *conn, const struct pst_page_commit *page,
                                 struct pst_err *err);

/* Delete (mark) at most `limit` of the records on the run's missing list, each with a change
 * row; *left tells whether more remain. Resumable: a record leaves the list as it is marked.
 * A record that was seen again since is only taken off the list. */
pst_code pst_records_delete_missing(struct pst_db_conn *conn, const struct pst_page_commit *page,
                                    size_t limit, int64_t *deleted, bool *left,
                                    struct pst_err *err);

/* Live records of a stream whose stamp lies at or after `from` (none = all), and how many of
 * them are on the run's missing list: what the delete guard compares. */
pst_code pst_records_guard_counts(struct pst_db_conn *conn, const struct pst_entity *entity,
                                  int64_t connection_pk, int64_t sync_pk, pst_wall from,
                                  int64_t *live, int64_t *missing, struct pst_err *err);

/* ---- reading ---- */

struct pst_record_row {
    uint8_t id[PST_ID_RAW];
    pst_str source_id, data, source; /* source: compressed, only when asked for */
    int64_t dict;
    int64_t seq, first_seq;
    pst_wall created_at, updated_at, synced_at, deleted_at;
};

enum pst_deleted_filter { PST_DELETED_EXCLUDE, PST_DELETED_INCLUDE, PST_DELETED_ONLY };
enum pst_record_sort { PST_SORT_FIRST_SEEN, PST_SORT_UPDATED, PST_SORT_UPDATED_DESC };

struct pst_record_query {
    const struct pst_entity *entity;
    int64_t connection_pk;
    enum pst_deleted_filter deleted;
    enum pst_record_sort sort;
    pst_wall updated_after, updated_before, created_after, created_before; /* none = open; after
                                                                   inclusive, before exclusive */
    pst_wall synced_after, synced_before;
    struct pst_record_filter {
        const struct pst_filter *filter;
        enum { PST_MATCH_EQUAL, PST_MATCH_AFTER, PST_MATCH_BEFORE } match;
        struct pst_filter_value value;
    } filters[PST_FILTERS_MAX * 2];
    size_t filter_count;
    bool with_source;
    size_t limit; /* 1..500 */
    /* position after the last row of the previous page; first_seq 0 = from the start */
    int64_t after_first_seq;
    pst_wall after_updated;
};

/* Calls row for each record of the page in order; the slices in it are valid during the call.
 * *more: there are further ones; *last is where the page ended (also when the scan budget of
 * 10,000 rows ended it early). */
struct pst_record_position {
    int64_t first_seq;
    pst_wall updated;
};
pst_code
pst_records_list(struct pst_db_conn *conn, const struct pst_record_query *query,
                 pst_code (*row)(void *self, const struct pst_record_row *row, struct pst_err *err),
                 void *self, struct pst_record_position *last, bool *more, struct pst_err *err);

/* By record id, or (id NULL) by source_id. *found false when there is none. */
pst_code pst_records_get(struct pst_db_conn *conn, const struct pst_entity *entity,
                         int64_t connection_pk, const uint8_t id[PST_ID_RAW], bool with_source,
                         struct pst_arena *arena, struct pst_record_row *out, bool *found,
                         struct pst_err *err);

pst_code pst_records_count(struct pst_db_conn *conn, const struct pst_entity *entity,
                           int64_t connection_pk, int64_t *live, struct pst_err *err);

/* ---- the change feed ---- */

struct pst_change_row {
    int64_t seq;
    const struct pst_entity *entity;
    enum { PST_CHANGE_CREATED, PST_CHANGE_UPDATED, PST_CHANGE_DELETED } op;
    uint8_t id[PST_ID_RAW];
    pst_wall at;
    pst_str fields; /* JSON array text; "" for created and deleted */
    struct pst_id sync_id;
};

/* Changes with seq > after, in order, only of `entities` (bit i = entity index i; 0 = all).
 * *oldest and *newest: the range kept (0, 0 when empty). Errors: EXPIRED when after + 1 is
 * below the kept range. */
pst_code
pst_changes_list(struct pst_db_conn *conn, int64_t connection_pk, int64_t after, uint64_t entities,
                 size_t limit,
                 pst_code (*row)(void *self, const struct pst_change_row *row, struct pst_err *err),
                 void *self, int64_t *last_seq_scanned, int64_t *newest, struct pst_err *err);

#endif
