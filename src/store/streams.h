/* store/streams.h: what is known of each stream (one entity read from one connection) between
 * runs.
 *
 * synced_to moves only when a run of the stream completes (pst_syncs_end_stream); how far a
 * run in progress came belongs to the run (store/syncs.h), so that an abandoned run leaves no
 * trace here. sync_pk is the run that holds the stream: one column, hence never two.
 *
 * Functions that change something run inside a writer job. Text in results lives in the arena.
 * Errors of all: as db.h, and NO_MEMORY, LIMIT. Thread-safety: as the connection passed.
 */
#ifndef PST_STORE_STREAMS_H
#define PST_STORE_STREAMS_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"
#include "model/model.h"

struct pst_stream_state {
    int64_t pk;
    int64_t connection_pk;
    const struct pst_entity *entity;
    pst_wall synced_to; /* the source's time up to which the last completed run read: the next
                           incremental window begins there, less the overlap; none = never */
    int64_t sync_pk; /* queued or running sync that holds the stream; 0 = free */
    struct pst_id sync_id; /* of it, or "" */
    bool running; /* that sync has begun with this stream */
    pst_wall last_success_at, last_attempt_at, last_full_at; /* none = never */
    pst_str error_code; /* public code of the last attempt's failure, "" = it worked */
    pst_str error_message;
    int64_t records; /* live records, kept exact by the page commit */
    int64_t rejected; /* rows that are kept aside, kept exact by what keeps and drops them */
    bool unguarded; /* other rows were chosen since the last completed run (pst_streams_rewind) */
    uint64_t mapping_version; /* of the last completed run, or that a first read since began with; 0
                                 = none */
    int64_t dict; /* dictionary for new source copies (store/dictionaries.h), 0 = none */
    pst_str columns; /* of the source, JSON [["A.PO_ID","Character"], ...], with a third text where
                        pages name a column otherwise; led by a null when the system did not say
                        when it was asked last; "" = not looked yet */
    pst_wall columns_at; /* when it was asked for them; none = never */
};

/* The stream's row, made when it is missing (writer). Errors: CONFLICT (no such connection). */
pst_code pst_streams_ensure(struct pst_db_conn *conn, int64_t connection_pk,
                            const struct pst_entity *entity, int64_t *pk, struct pst_err *err);

/* *found false when there is no row yet. */
pst_code pst_streams_get(struct pst_db_conn *conn, int64_t connection_pk,
                         const struct pst_entity *entity, struct pst_arena *arena,
                         struct pst_stream_state *out, bool *found, struct pst_err *err);

/* All rows of a connection, by entity name. Rows of entities that this version does not know
 * are left out. */
pst_code pst_streams_list(struct pst_db_conn *conn, int64_t connection_pk, struct pst_arena *arena,
                          struct pst_stream_state **out, size_t *count, struct pst_err *err);

/* What the source's columns were found to be. */
pst_code pst_streams_set_columns(struct pst_db_conn *conn, int64_t pk, pst_str columns,
                                 pst_wall now, struct pst_err *err);

/* A first read of it begins with this version of the mapping. */
pst_code pst_streams_set_mapping(struct pst_db_conn *conn, int64_t pk, uint64_t version,
                                 struct pst_err *err);

/* The next incremental run reads from `synced_to` (none = everything), without a full sync; a
 * read that broke off is not gone on with. `unguarded`: what is missing then is missing because the
 * user chose other rows, however much it is; so it stays until a run completes. */
pst_code pst_streams_rewind(struct pst_db_conn *conn, int64_t pk, pst_wall synced_to,
                            bool unguarded, struct pst_err *err);

#endif
