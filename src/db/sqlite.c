/* db/sqlite.c: SQLite handles: opening by the rules, transactions, checkpoints, error mapping.
 *
 * SQLite 3.7.0 to 3.51.2 can corrupt a file when two connections checkpoint and write at the
 * same moment (the WAL-reset bug). Here one connection writes, and only it checkpoints: the
 * automatic checkpoint is off everywhere, readers never checkpoint when they close.
 */
#include <sqlite3.h>

#include "base/log.h"
#include "db/driver.h"
#include "os/clock.h"

enum {
    APPLICATION_ID = 0x50535431, /* "PST1" */
    WAL_STEP_PAGES = 8192, /* 32 MiB: a checkpoint that waits for nobody */
    WAL_BLOCKING_STEPS = 8, /* 256 MiB: readers pinned the log; wait for them a little */
    WAL_BLOCKING_MS = 100,
    WAL_BLOCKING_PAUSE_MS = 10000,
    WAL_KEPT_BYTES = 64 << 20, /* what stays allocated of the log once it starts over */
    CACHE_BYTES = 8 << 20,
    READER_SHARE = 8, /* of the writer's cache */
    BUSY_MS = 5000,
};

/* ---- errors ---- */

pst_code pst_db_code_of(int extended)
{
    switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return PST_E_CONFLICT;
    case SQLITE_IOERR_NOMEM:
        return PST_E_NO_MEMORY;
    default:
        break;
    }
    switch (extended & 0xff) {
    case SQLITE_FULL:
        return PST_E_DISK_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return PST_E_UNAVAILABLE;
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
        return PST_E_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return PST_E_CORRUPT;
    case SQLITE_NOMEM:
        return PST_E_NO_MEMORY;
    case SQLITE_TOOBIG:
        return PST_E_LIMIT;
    case SQLITE_INTERRUPT:
        return PST_E_CANCELLED;
    default:
        return PST_E_INTERNAL;
    }
}

pst_code pst_db_fail(struct pst_db_conn *conn, const char *doing, struct pst_err *err)
{
    int extended = sqlite3_extended_errcode(conn->handle);
    pst_code code = pst_db_code_of(extended);
    const char *text = sqlite3_errmsg(conn->handle);
    if ((extended & 0xff) == SQLITE_READONLY)
        text = "this user cannot write the file or its folder";
    int os = sqlite3_system_errno(conn->handle);
    (void)PST_FAIL(err, code, "store: %s: %s (%d)", doing, text, extended);
    if (code != PST_E_IO && code != PST_E_CORRUPT && code != PST_E_DISK_FULL)
        return code;
    if (code != PST_E_CORRUPT && os != 0) {
        errno = os;
        (void)PST_FAIL_OS(err, code, "store: %s: %s (%d)", doing, text, extended);
    }
    conn->broken = true;
    conn->trouble = *err;
    return code;
}

/* ---- opening ---- */

static pst_code exec(struct pst_db_conn *conn, const char *sql, struct pst_err *err)
{
    if (sqlite3_exec(conn->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return pst_db_fail(conn, sql, err);
    return PST_OK;
}

static pst_code read_int(struct pst_db_conn *conn, const char *sql, int64_t *out,
                         struct pst_err *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(conn->handle, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    pst_code code = rc == SQLITE_ROW ? PST_OK : pst_db_fail(conn, sql, err);
    (void)sqlite3_finalize(st);
    return code;
}

static int note_log_size(void *self, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    ((struct pst_db_conn *)self)->wal_pages = pages;
    return SQLITE_OK;
}

static pst_code harden(struct pst_db_conn *conn, struct pst_err *err)
{
    static const struct {
        int option;
        int value;
    } switches[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    };
    for (size_t i = 0; i < PST_COUNT(switches); i++) {
        int now = -1;
        if (sqlite3_db_config(conn->handle, switches[i].option, switches[i].value, &now) !=
                SQLITE_OK ||
            now != switches[i].value)
            return PST_FAIL(err, PST_E_INTERNAL, "store: SQLite refuses setting %d",
                            switches[i].option);
    }
    int on = 0;
    if (!conn->is_writer &&
        sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &on) != SQLITE_OK)
        return PST_FAIL(err, PST_E_INTERNAL, "store: SQLite refuses NO_CKPT_ON_CLOSE");
    (void)sqlite3_limit(conn->handle, SQLITE_LIMIT_ATTACHED, 0);
    return PST_OK;
}

/* An empty file becomes a store; any other must be one. */
static pst_code claim_file(struct pst_db_conn *conn, struct pst_err *err)
{
    int64_t id = 0;
    int64_t tables = 0;
    PST_TRY(read_int(conn, "PRAGMA application_id", &id, err));
    if (id == APPLICATION_ID)
        return PST_OK;
    PST_TRY(read_int(conn, "SELECT count(*) FROM sqlite_schema", &tables, err));
    if (!conn->is_writer || id != 0 || tables != 0)
        return PST_FAIL(err, PST_E_CORRUPT, "'%s' is a database, but not a store of Penstock",
                        conn->db->path);
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "PRAGMA application_id=%d", (int)APPLICATION_ID);
    return exec(conn, sql, err);
}

static pst_code set_up(struct pst_db_conn *conn, struct pst_err *err)
{
    const struct pst_db_options *o = &conn->db->options;
    int64_t busy = o->busy_ms > 0 ? o->busy_ms : BUSY_MS;
    int64_t cache = o->cache_bytes > 0 ? o->cache_bytes : CACHE_BYTES;
    /* There is one writer and a reader per thread; what they read again lies in the system's
     * page cache anyway. */
    if (!conn->is_writer)
        cache /= READER_SHARE;
    char sql[64];
    PST_TRY(harden(conn, err));
    if (sqlite3_prepare_v3(conn->handle, "ROLLBACK", -1, SQLITE_PREPARE_PERSISTENT, &conn->undo,
                           NULL) != SQLITE_OK)
        return pst_db_fail(conn, "prepare", err);
    (void)sqlite3_extended_result_codes(conn->handle, 1);
    (void)sqlite3_busy_timeout(conn->handle, busy < INT32_MAX ? (int)busy : INT32_MAX);
    (void)sqlite3_wal_autocheckpoint(conn->handle, 0);
    (void)snprintf(sql, sizeof(sql), "PRAGMA cache_size=-%lld", (long long)(cache / 1024));
    PST_TRY(exec(conn, sql, err));
    PST_TRY(exec(conn, "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY", err));
    if (conn->is_writer || conn->db->immutable || o->read_only)
        PST_TRY(claim_file(conn, err));
    if (!conn->is_writer)
        return exec(conn, "PRAGMA query_only=ON", err);
    PST_TRY(exec(conn, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", err));
    /* However this SQLite was compiled: sealed secrets that were erased do not stay in the file. */
    PST_TRY(exec(conn, "PRAGMA secure_delete=ON", err));
    int64_t level = 0;
    PST_TRY(read_int(conn, "PRAGMA synchronous", &level, err));
    if (level != 2)
        return PST_FAIL(err, PST_E_INTERNAL, "store: SQLite refuses synchronous=FULL");
    int64_t has_log = 0;
    PST_TRY(read_int(conn, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &has_log, err));
    if (!has_log)
        return PST_FAIL(err, PST_E_UNSUPPORTED,
                        "'%s' lies on a file system without shared memory; a store needs it",
                        conn->db->path);
    (void)snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit=%d", (int)WAL_KEPT_BYTES);
    PST_TRY(exec(conn, sql, err));
    (void)sqlite3_wal_hook(conn->handle, note_log_size, conn);
    return PST_OK;
}

void pst_db_driver_init(void)
{
    /* Its statistics of memory are one lock that every allocation of every thread takes: with two
     * readers it was a third of their time. Refused, without harm, once a database is open. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

pst_code pst_db_handle_open(struct pst_db_conn *conn, struct pst_err *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    flags |= conn->db->immutable ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI : SQLITE_OPEN_READWRITE;
    conn->broken = false;
    conn->wal_pages = 0;
    const char *name = conn->db->immutable ? conn->db->uri : conn->db->path;
    int rc = sqlite3_open_v2(name, &conn->handle, flags, NULL);
    pst_code code = PST_OK;
    if (!conn->handle)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for a connection to the store");
    if (rc != SQLITE_OK)
        code = pst_db_fail(conn, "open", err);
    else
        code = set_up(conn, err);
    if (code != PST_OK)
        pst_db_handle_close(conn);
    return code;
}

void pst_db_handle_close(struct pst_db_conn *conn)
{
    pst_db_stmts_free(conn);
    (void)sqlite3_finalize(conn->undo);
    conn->undo = NULL;
    if (conn->handle && sqlite3_close(conn->handle) != SQLITE_OK)
        (void)sqlite3_close_v2(conn->handle); /* a statement still in use: a bug of the caller */
    conn->handle = NULL;
}

/* ---- transactions ---- */

static pst_code run(struct pst_db_conn *conn, pst_str sql, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn, sql, &st, err));
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_db_begin(struct pst_db_conn *conn, struct pst_err *err)
{
    return run(conn, PST_STR("BEGIN IMMEDIATE"), err);
}

pst_code pst_db_commit(struct pst_db_conn *conn, struct pst_err *err)
{
    pst_code code = run(conn, PST_STR("COMMIT"), err);
    if (code != PST_OK && code != PST_E_UNAVAILABLE)
        conn->broken = true; /* what a failed fsync left behind is unknown: never go on with it */
    return code;
}

void pst_db_rollback(struct pst_db_conn *conn)
{
    if (!pst_db_in_transaction(conn))
        return;
    (void)sqlite3_step(conn->undo);
    (void)sqlite3_reset(conn->undo);
    if (!pst_db_in_transaction(conn))
        return;
    conn->broken = true;
    if (conn->is_writer) /* half a job must not meet the next commit */
        pst_db_handle_close(conn);
}

pst_code pst_db_savepoint(struct pst_db_conn *conn, struct pst_err *err)
{
    return run(conn, PST_STR("SAVEPOINT job"), err);
}

pst_code pst_db_savepoint_release(struct pst_db_conn *conn, struct pst_err *err)
{
    return run(conn, PST_STR("RELEASE job"), err);
}

pst_code pst_db_savepoint_rollback(struct pst_db_conn *conn, struct pst_err *err)
{
    PST_TRY(run(conn, PST_STR("ROLLBACK TO job"), err));
    return run(conn, PST_STR("RELEASE job"), err);
}

bool pst_db_in_transaction(const struct pst_db_conn *conn)
{
    return conn->handle && sqlite3_get_autocommit(conn->handle) == 0;
}

pst_code pst_db_snapshot_begin(struct pst_db_conn *conn, struct pst_err *err)
{
    return run(conn, PST_STR("BEGIN"), err);
}

void pst_db_snapshot_end(struct pst_db_conn *conn)
{
    pst_db_rollback(conn); /* nothing was written; unlike COMMIT it cannot be refused */
}

int64_t pst_db_last_rowid(struct pst_db_conn *conn)
{
    return sqlite3_last_insert_rowid(conn->handle);
}

pst_code pst_db_exec_script(struct pst_db_conn *conn, pst_str sql, struct pst_err *err)
{
    const char *at = sql.ptr;
    const char *end = sql.ptr + sql.len;
    while (at < end) {
        sqlite3_stmt *st = NULL;
        const char *tail = end;
        int rc = sqlite3_prepare_v2(conn->handle, at, (int)(end - at), &st, &tail);
        if (rc == SQLITE_OK && st)
            while ((rc = sqlite3_step(st)) == SQLITE_ROW)
                ;
        pst_code code = PST_OK;
        if (rc != SQLITE_OK && rc != SQLITE_DONE)
            code = pst_db_fail(conn, "script", err);
        (void)sqlite3_finalize(st);
        PST_TRY(code);
        at = tail;
    }
    return PST_OK;
}

/* ---- checkpoints ---- */

void pst_db_checkpoint(struct pst_db *db)
{
    struct pst_db_conn *conn = &db->writer;
    int step = db->options.log_pages ? (int)db->options.log_pages : WAL_STEP_PAGES;
    if (!conn->handle || conn->wal_pages < db->wal_next)
        return;
    int mode = SQLITE_CHECKPOINT_PASSIVE;
    pst_mono now = pst_mono_now();
    if (conn->wal_pages >= WAL_BLOCKING_STEPS * step && now.ns >= db->truncate_after.ns) {
        mode = SQLITE_CHECKPOINT_TRUNCATE;
        db->truncate_after = pst_mono_after_ms(now, WAL_BLOCKING_PAUSE_MS);
        (void)sqlite3_busy_timeout(conn->handle, WAL_BLOCKING_MS);
    }
    int in_log = 0;
    int moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(conn->handle, NULL, mode, &in_log, &moved);
    if (mode == SQLITE_CHECKPOINT_TRUNCATE) {
        int64_t busy = db->options.busy_ms > 0 ? db->options.busy_ms : BUSY_MS;
        (void)sqlite3_busy_timeout(conn->handle, busy < INT32_MAX ? (int)busy : INT32_MAX);
    }
    if (rc != SQLITE_OK && rc != SQLITE_BUSY) {
        struct pst_err err = {0};
        (void)pst_db_fail(conn, "checkpoint", &err);
        PST_LOG(PST_LOG_DEBUG, "checkpoint failed", PST_F_Z("error", err.msg));
    }
    /* All moved: the next commit starts the log over. Else a reader pins it: try again after
     * another step, not at each commit. */
    db->wal_next = step;
    if (rc != SQLITE_OK || moved < in_log)
        db->wal_next = conn->wal_pages + step;
}
