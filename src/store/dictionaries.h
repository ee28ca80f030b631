/* store/dictionaries.h: zstd dictionaries for the kept source rows, one line per stream.
 *
 * A dictionary is never changed or removed while its connection exists: old source copies need
 * it. Errors: as db.h, and NO_MEMORY, LIMIT. Thread-safety: as the connection passed.
 */
#ifndef PST_STORE_DICTIONARIES_H
#define PST_STORE_DICTIONARIES_H

#include "base/arena.h"
#include "db/db.h"

/* Store a trained dictionary and make it the stream's; *id is what records carry (writer). */
pst_code pst_dictionaries_add(struct pst_db_conn *conn, int64_t stream_pk, pst_str bytes,
                              pst_wall now, int64_t *id, struct pst_err *err);

/* Errors: NOT_FOUND. */
pst_code pst_dictionaries_get(struct pst_db_conn *conn, int64_t id, struct pst_arena *arena,
                              pst_str *bytes, struct pst_err *err);

#endif
