/* store/rows.h: reading and binding what every table of the store has: texts, ids, names of
 * enumerations. Private to src/store.
 */
#ifndef PST_STORE_ROWS_H
#define PST_STORE_ROWS_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"

enum { PST_ROWS_MAX = 500 }; /* most rows of one list */

/* A column's text or blob, copied. Errors: NO_MEMORY, LIMIT. */
static inline pst_code pst_row_text(struct pst_stmt *st, int column, struct pst_arena *arena,
                                    pst_str *out, struct pst_err *err)
{
    return pst_arena_dup(arena, out, pst_stmt_str(st, column), err);
}

static inline pst_code pst_row_blob(struct pst_stmt *st, int column, struct pst_arena *arena,
                                    pst_str *out, struct pst_err *err)
{
    return pst_arena_dup(arena, out, pst_stmt_blob(st, column), err);
}

/* Several texts at once: `count` columns from `first` on. */
pst_code pst_row_texts(struct pst_stmt *st, int first, size_t count, struct pst_arena *arena,
                       pst_str *const *out, struct pst_err *err);

/* 16 bytes as an id; "" for NULL. */
struct pst_id pst_row_id(struct pst_stmt *st, int column, const char *prefix);

/* "conn_..." to its 16 bytes. false: not such an id. */
static inline bool pst_row_raw_id(uint8_t raw[PST_ID_RAW], const char *prefix, pst_str id)
{
    return pst_id_parse(raw, prefix, id);
}

/* NULL for 0, which stands for "none" in the structs. */
void pst_row_bind_ref(struct pst_stmt *st, int index, int64_t pk);

/* Index of name, or -1. */
int pst_row_find_name(const char *const *names, size_t count, pst_str name);

/* Run a statement without result; binds the integers in order from ?1. */
pst_code pst_row_run(struct pst_db_conn *conn, pst_str sql, const int64_t *values, size_t count,
                     int64_t *changes, struct pst_err *err);

/* The one integer a statement gives for the integers bound from ?1; 0 when there is no row. */
pst_code pst_row_int(struct pst_db_conn *conn, pst_str sql, const int64_t *values, size_t count,
                     int64_t *out, struct pst_err *err);

/* SQL: whether the connection `c` has ever been online. What lies further back than its history
 * goes shows in its first sync. */
#define PST_ROW_HAS_WORKED                                                                         \
    "(c.status = 'online' OR c.initial_sync_done = 1 OR EXISTS (SELECT 1 FROM connection_history"  \
    " h WHERE h.connection_pk = c.pk AND h.status = 'online'))"

/* Checks a list's limit. Errors: INVALID. */
pst_code pst_row_limit(size_t limit, struct pst_err *err);

#endif
