/* store/sealed.h: a sealed secret as a row of some table holds it, for what walks them all.
 *
 * Thread-safety: plain data, in the arena of whoever listed it.
 */
#ifndef PST_STORE_SEALED_H
#define PST_STORE_SEALED_H

#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/str.h"
#include "db/db.h"

struct pst_sealed {
    int64_t pk; /* of its row */
    struct pst_id row_id; /* "conn_...", part of the place it is sealed to */
    pst_str bytes;
};

/* What follows is private to src/store. */

/* The rows of a table whose secret is sealed by another key than the one asked for. Sealed bytes
 * begin with one byte of format and the key's id (crypto/crypto.h). */
#define PST_SEALED_IN(table, column)                                                               \
    "SELECT pk, id, " column " FROM " table " WHERE organization_pk = ?1 AND pk > ?3"              \
    " AND deleted_at IS NULL AND length(" column ") > 0"                                           \
    " AND lower(hex(substr(" column ", 2, 16))) <> ?2 ORDER BY pk LIMIT ?4"

struct pst_sealed_query {
    pst_str sql; /* PST_SEALED_IN(...) */
    const char *prefix; /* of the rows' ids */
    int64_t organization_pk;
    pst_str key_id;
    int64_t after_pk;
    size_t limit;
};
pst_code pst_sealed_list(struct pst_db_conn *conn, const struct pst_sealed_query *query,
                         struct pst_arena *arena, struct pst_sealed **out, size_t *count,
                         struct pst_err *err);

/* sql: an UPDATE of row ?1 from bytes ?2 to ?3; *changed: it still had them. */
pst_code pst_sealed_replace(struct pst_db_conn *conn, pst_str sql, int64_t pk, pst_str before,
                            pst_str after, bool *changed, struct pst_err *err);

#endif
