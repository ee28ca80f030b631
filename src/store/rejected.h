/* store/rejected.h: source rows that could not be mapped, kept aside with the reason.
 *
 * Written by pst_records_commit_page(). Errors: as db.h, and NO_MEMORY, LIMIT.
 * Thread-safety: as the connection that is passed.
 */
#ifndef PST_STORE_REJECTED_H
#define PST_STORE_REJECTED_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"
#include "model/model.h"

enum {
    PST_REJECTED_SOURCE_BYTES = 256 << 10, /* of one row's source at most are kept */
    PST_REJECTED_PAGE_BYTES = 4 << 20, /* of text at most are listed at once, or one row */
};

struct pst_rejected_row {
    int64_t pk;
    const struct pst_entity *entity;
    pst_str source_id;
    pst_str reason;
    pst_str source; /* JSON array of the source rows, or "" */
    bool truncated; /* not of all of them */
    struct pst_id sync_id; /* run that saw it last; "" when that run is no longer kept */
    pst_wall first_at, last_at; /* first and last time it was rejected */
};

/* Of one connection, of one entity or (NULL) all, in order of first rejection behind after_pk.
 * limit 1..500; fewer come, with *more, where they are large. */
pst_code pst_rejected_list(struct pst_db_conn *conn, int64_t connection_pk,
                           const struct pst_entity *entity, int64_t after_pk, size_t limit,
                           struct pst_arena *arena, struct pst_rejected_row **out, size_t *count,
                           bool *more, struct pst_err *err);

/* A full read of the stream by that run has come to its end: what it did not reject is not there
 * any more, or was accepted. Nothing else forgets a rejected row. Inside a writer job. */
pst_code pst_rejected_drop_unseen(struct pst_db_conn *conn, int64_t stream_pk, int64_t sync_pk,
                                  struct pst_err *err);

/* So many more (less than 0: fewer) rows of the stream are kept. For what keeps and drops them. */
pst_code pst_rejected_count(struct pst_db_conn *conn, int64_t stream_pk, int64_t delta,
                            struct pst_err *err);

#endif
