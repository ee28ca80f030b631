/* db/stmt.c: prepared SQLite statements, cached per connection by their text.
 *
 * The cache keeps the 256 last used; lists with filters are composed from fragments, so the
 * number of texts is large but the number in use at a time is small.
 */
#include <sqlite3.h>

#include "base/alloc.h"
#include "db/driver.h"

enum { STMTS_MAX = 256 };

struct pst_stmt {
    struct pst_db_conn *conn;
    sqlite3_stmt *handle;
    pst_str sql; /* the map's copy */
    struct pst_stmt *newer, *older;
    bool in_use;
    int bind_rc; /* first failed bind since the last reset */
};

static void unlink_stmt(struct pst_db_conn *conn, struct pst_stmt *st)
{
    *(st->newer ? &st->newer->older : &conn->newest) = st->older;
    *(st->older ? &st->older->newer : &conn->oldest) = st->newer;
    st->newer = st->older = NULL;
}

static void link_newest(struct pst_db_conn *conn, struct pst_stmt *st)
{
    st->older = conn->newest;
    *(conn->newest ? &conn->newest->newer : &conn->oldest) = st;
    conn->newest = st;
}

static void drop_stmt(struct pst_db_conn *conn, struct pst_stmt *st)
{
    unlink_stmt(conn, st);
    (void)sqlite3_finalize(st->handle);
    (void)pst_map_remove(&conn->stmts, st->sql);
    pst_free(st);
}

void pst_db_stmts_free(struct pst_db_conn *conn)
{
    while (conn->newest)
        drop_stmt(conn, conn->newest);
    pst_map_fini(&conn->stmts);
}

static void drop_oldest_idle(struct pst_db_conn *conn)
{
    for (struct pst_stmt *st = conn->oldest; st; st = st->newer) {
        if (!st->in_use) {
            drop_stmt(conn, st);
            return;
        }
    }
}

static pst_code prepare(struct pst_db_conn *conn, pst_str sql, struct pst_stmt **out,
                        struct pst_err *err)
{
    struct pst_stmt *st = NULL;
    if (conn->stmts.count >= STMTS_MAX)
        drop_oldest_idle(conn);
    PST_TRY(pst_new((void **)&st, sizeof(*st), err));
    st->conn = conn;
    const char *tail = NULL;
    int rc = sqlite3_prepare_v3(conn->handle, sql.ptr, (int)sql.len, SQLITE_PREPARE_PERSISTENT,
                                &st->handle, &tail);
    pst_code code = PST_OK;
    if (rc != SQLITE_OK)
        code = pst_db_fail(conn, "prepare", err);
    else if (!st->handle || tail != sql.ptr + sql.len)
        code = PST_FAIL(err, PST_E_INTERNAL, "store: not one statement: '%.*s'", PST_STR_ARG(sql));
    else
        code = pst_map_put(&conn->stmts, sql, st, NULL, err);
    if (code != PST_OK) {
        (void)sqlite3_finalize(st->handle);
        pst_free(st);
        return code;
    }
    st->sql = conn->stmts.entries[conn->stmts.count - 1].key;
    link_newest(conn, st);
    *out = st;
    return PST_OK;
}

pst_code pst_db_stmt(struct pst_db_conn *conn, pst_str sql, struct pst_stmt **out,
                     struct pst_err *err)
{
    if (!conn->handle)
        return PST_FAIL(err, PST_E_UNAVAILABLE, "store: the connection is closed");
    struct pst_stmt *st = pst_map_get(&conn->stmts, sql);
    if (!st)
        PST_TRY(prepare(conn, sql, &st, err));
    if (st->in_use)
        return PST_FAIL(err, PST_E_INTERNAL, "store: statement is in use: '%.*s'",
                        PST_STR_ARG(sql));
    if (st != conn->newest) {
        unlink_stmt(conn, st);
        link_newest(conn, st);
    }
    st->in_use = true;
    st->bind_rc = SQLITE_OK;
    *out = st;
    return PST_OK;
}

void pst_stmt_done(struct pst_stmt *st)
{
    if (!st)
        return;
    (void)sqlite3_reset(st->handle);
    (void)sqlite3_clear_bindings(st->handle);
    st->in_use = false;
}

void pst_stmt_reset(struct pst_stmt *st)
{
    (void)sqlite3_reset(st->handle);
    st->bind_rc = SQLITE_OK;
}

/* ---- binding ---- */

static void note_bind(struct pst_stmt *st, int rc)
{
    if (rc != SQLITE_OK && st->bind_rc == SQLITE_OK)
        st->bind_rc = rc;
}

void pst_stmt_bind_i64(struct pst_stmt *st, int index, int64_t v)
{
    note_bind(st, sqlite3_bind_int64(st->handle, index, v));
}

void pst_stmt_bind_str(struct pst_stmt *st, int index, pst_str v)
{
    note_bind(st, sqlite3_bind_text64(st->handle, index, v.ptr ? v.ptr : "", v.len, SQLITE_STATIC,
                                      SQLITE_UTF8));
}

void pst_stmt_bind_blob(struct pst_stmt *st, int index, const void *bytes, size_t len)
{
    note_bind(st, sqlite3_bind_blob64(st->handle, index, bytes ? bytes : "", len, SQLITE_STATIC));
}

void pst_stmt_bind_null(struct pst_stmt *st, int index)
{
    note_bind(st, sqlite3_bind_null(st->handle, index));
}

void pst_stmt_bind_wall(struct pst_stmt *st, int index, pst_wall v)
{
    if (pst_wall_is_none(v))
        pst_stmt_bind_null(st, index);
    else
        pst_stmt_bind_i64(st, index, v.us);
}

/* ---- running ---- */

pst_code pst_stmt_step(struct pst_stmt *st, bool *row, struct pst_err *err)
{
    if (st->bind_rc != SQLITE_OK)
        return PST_FAIL(err,
                        st->bind_rc == SQLITE_TOOBIG  ? PST_E_LIMIT
                        : st->bind_rc == SQLITE_NOMEM ? PST_E_NO_MEMORY
                                                      : PST_E_INTERNAL,
                        "store: cannot bind a value: %s", sqlite3_errstr(st->bind_rc));
    int rc = sqlite3_step(st->handle);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return pst_db_fail(st->conn, "statement", err);
    *row = rc == SQLITE_ROW;
    return PST_OK;
}

pst_code pst_stmt_run(struct pst_stmt *st, int64_t *changes, struct pst_err *err)
{
    bool row = true;
    pst_code code = PST_OK;
    while (code == PST_OK && row)
        code = pst_stmt_step(st, &row, err);
    if (code == PST_OK && changes)
        *changes = sqlite3_stmt_readonly(st->handle) ? 0 : sqlite3_changes64(st->conn->handle);
    pst_stmt_reset(st);
    return code;
}

/* ---- reading ---- */

int64_t pst_stmt_i64(struct pst_stmt *st, int column)
{
    return sqlite3_column_int64(st->handle, column);
}

pst_str pst_stmt_str(struct pst_stmt *st, int column)
{
    const unsigned char *text = sqlite3_column_text(st->handle, column);
    if (!text)
        return PST_STR("");
    return (pst_str){(const char *)text, (size_t)sqlite3_column_bytes(st->handle, column)};
}

pst_str pst_stmt_blob(struct pst_stmt *st, int column)
{
    const void *bytes = sqlite3_column_blob(st->handle, column);
    if (!bytes)
        return PST_STR("");
    return (pst_str){bytes, (size_t)sqlite3_column_bytes(st->handle, column)};
}

bool pst_stmt_is_null(struct pst_stmt *st, int column)
{
    return sqlite3_column_type(st->handle, column) == SQLITE_NULL;
}

pst_wall pst_stmt_wall(struct pst_stmt *st, int column)
{
    if (pst_stmt_is_null(st, column))
        return PST_WALL_NONE;
    return (pst_wall){pst_stmt_i64(st, column)};
}
