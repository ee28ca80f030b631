/* store/records.h: unified records, the change feed and the page commit that writes them.
 *
 * One table per entity (rec_<entity>, made from the model's filters by store/tables.c): pk, conn,
 * sort_key, source_id, id (16 bytes), first_seq, seq, created_at, updated_at, synced_at,
 * deleted_at, stamp, source_hash, hash, data (unified JSON text), source (zstd), dict, and one
 * column per filterable field.
 *
 * pst_records_commit_page() is the only writer: records, change rows, sequence numbers,
 * missing list and checkpoint of one page in the caller's transaction. seq is per connection,
 * 1, 2, 3, ... without gaps, in commit order; a restore leaps ahead once, with an empty feed
 * (pst_store_restore).
 *
 * Thread-safety: as the connection that is passed. Readers may be any thread's own connection.
 */
#ifndef PST_STORE_RECORDS_H
#define PST_STORE_RECORDS_H

#include "db/db.h"
#include "model/mapping.h"
#include "store/syncs.h"

enum pst_record_op {
    PST_RECORD_CREATE, /* not stored yet */
    PST_RECORD_UPDATE, /* what is served differs (or it was deleted and is back) */
    PST_RECORD_RESTAMP, /* only the source rows, their hash or their stamp differ: no change row */
};

/* What is stored of a record, as the merge needs it. */
struct pst_record_state {
    int64_t pk;
    pst_str sort_key; /* in the arena, or the key that was asked for */
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

/* The same for given keys, in any order: out[i] belongs to sort_keys[i], pk 0 = not stored. What
 * an incremental read asks, whose documents lie far apart. */
pst_code pst_records_states_of(struct pst_db_conn *conn, const struct pst_entity *entity,
                               int64_t connection_pk, const pst_str *sort_keys, size_t count,
                               struct pst_record_state *out, struct pst_err *err);

/* The times that the API shows of a record. Errors: CONFLICT (it is gone). */
struct pst_record_times {
    pst_wall created_at, updated_at;
};
pst_code pst_records_times(struct pst_db_conn *conn, const struct pst_entity *entity,
                           int64_t connection_pk, int64_t pk, struct pst_record_times *out,
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
    pst_str sort_key; /* of the page's last document, kept beside the checkpoint: where a resumed
                         full read goes on looking for what is missing; "" = leave as it is */
    /* rows that could not be mapped: kept aside with the reason, replaced when seen again and
     * removed when the document maps */
    const struct pst_rejected {
        pst_str source_id;
        pst_str reason;
        pst_str source; /* JSON of the rows, uncompressed, of PST_REJECTED_SOURCE_BYTES at most, as
                           pst_document_source_head makes it; may be "" */
    } *rejected;
    size_t rejected_count;
    const pst_str *accepted_again; /* source_ids whose rejection is over; may be empty */
    size_t accepted_count;
    /* added to the run's counts in the same transaction */
    struct pst_sync_counts counts;
};

/* Inside a writer job. The old data of an UPDATE is read to fill `fields` of the change row; an
 * UPDATE of a deleted record brings it back (a `created` change; it keeps its first_seq). What
 * is served of a record changes only together with its seq, so RESTAMP leaves updated_at.
 * created_at is the source's where it has one, else `now` of the first commit; updated_at the
 * stamp, else `now`. Notifies the topic connection_pk when there were changes.
 * Errors: as db.h; CANCELLED when the run was asked to stop, CONFLICT when it is not running or
 * its connection was deleted: the caller ends the run. */
pst_code pst_records_commit_page(struct pst_db_conn *conn, const struct pst_page_commit *page,
                                 struct pst_err *err);

/* Delete (mark) at most `limit` of the records on the run's missing list, each with a change
 * row; *left tells whether more remain. Resumable: a record leaves the list as it is marked.
 * A record that was changed since it was listed is only taken off the list. Of page only
 * entity, connection_pk, sync_pk, stream_pk and now are read; the run's count of deleted grows
 * by *deleted. Errors: as pst_records_commit_page. */
pst_code pst_records_delete_missing(struct pst_db_conn *conn, const struct pst_page_commit *page,
                                    size_t limit, int64_t *deleted, bool *left,
                                    struct pst_err *err);

/* Live records of a stream whose stamp lies at or after `from` (none = all), and how many of
 * them are on the run's missing list: what the delete guard compares. */
pst_code pst_records_guard_counts(struct pst_db_conn *conn, const struct pst_entity *entity,
                                  int64_t connection_pk, int64_t sync_pk, pst_wall from,
                                  int64_t *live, int64_t *missing, struct pst_err *err);

/* ---- filling an empty table ---- */

/* Leave the indexes of equality filters out until they are built; lists are the same without them,
 * only slower. Does nothing, and *deferred is false, when the table has a row. Inside a writer
 * job, as is the next. Errors: as db.h. */
pst_code pst_records_defer_indexes(struct pst_db_conn *conn, const struct pst_entity *entity,
                                   bool *deferred, struct pst_err *err);

/* Build one index that is missing; *left tells whether to ask again. Takes about 50 ms for 100,000
 * records. Errors: as db.h. */
pst_code pst_records_build_index(struct pst_db_conn *conn, const struct pst_entity *entity,
                                 bool *left, struct pst_err *err);

/* Whether there is one to build: left out by another run, or by one that could not build it. */
pst_code pst_records_lacks_index(struct pst_db_conn *conn, const struct pst_entity *entity,
                                 bool *lacks, struct pst_err *err);

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
    /* Where the previous page ended (what pst_records_list gave as *last); all zero = from the
     * start. Belongs to one query: same entity, filters and sort. */
    struct pst_record_position {
        int64_t first_seq;
        int64_t num; /* updated_at where that is the order, microseconds; else 0 */
    } after;
};

/* Calls row for each record of the page in order; the slices in it are valid during the call.
 * A row that refuses with LIMIT what is not the page's first record ends the page before it.
 * *more: there are further ones; *last is where the page ended (also when the scan budget of
 * 10,000 rows ended it early, so a page may be short, even empty, and have more behind it).
 *
 * Order: as `sort` says, whatever the filters. */
pst_code
pst_records_list(struct pst_db_conn *conn, const struct pst_record_query *query,
                 pst_code (*row)(void *self, const struct pst_record_row *row, struct pst_err *err),
                 void *self, struct pst_record_position *last, bool *more, struct pst_err *err);

/* Deleted ones too. *found false when there is none. By source_id: compute the id from it
 * (pst_record_id_raw). */
pst_code pst_records_get(struct pst_db_conn *conn, const struct pst_entity *entity,
                         int64_t connection_pk, const uint8_t id[PST_ID_RAW], bool with_source,
                         struct pst_arena *arena, struct pst_record_row *out, bool *found,
                         struct pst_err *err);

/* Opaque text for a position, bound to the query: letters and digits, NUL-terminated. */
enum { PST_RECORD_CURSOR = 49 };
void pst_record_cursor_format(char out[PST_RECORD_CURSOR], const struct pst_record_query *query,
                              const struct pst_record_position *position);
/* Fills query->after. Errors: INVALID (not a cursor, or another query's), err->param "cursor". */
pst_code pst_record_cursor_parse(struct pst_record_query *query, pst_str text, struct pst_err *err);

/* Live records. */
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
 * *newest is the connection's last seq; *last_seq_scanned where the next call goes on (at least
 * `after`; it moves past changes of other entities, and is *newest when all were seen).
 * Errors: EXPIRED when after + 1 is below the kept range, or after is above *newest (the store
 * was put back to an older state): list, then follow from *newest. NOT_FOUND: no such
 * connection. */
pst_code
pst_changes_list(struct pst_db_conn *conn, int64_t connection_pk, int64_t after, uint64_t entities,
                 size_t limit,
                 pst_code (*row)(void *self, const struct pst_change_row *row, struct pst_err *err),
                 void *self, int64_t *last_seq_scanned, int64_t *newest, struct pst_err *err);

/* The changes of one run among first..last, in order, at most `limit` (10,000 are looked at, those
 * of runs beside it included); *more: there may be further ones. */
pst_code pst_changes_of_sync(struct pst_db_conn *conn, int64_t connection_pk, int64_t sync_pk,
                             int64_t first, int64_t last, size_t limit,
                             pst_code (*row)(void *self, const struct pst_change_row *row,
                                             struct pst_err *err),
                             void *self, bool *more, struct pst_err *err);

#endif
