/* db/db.h: one statement interface over a relational store, SQLite first.
 *
 * Model: many readers, one writer. A reader connection belongs to one thread. All changes go
 * through the writer thread, which takes jobs from a queue, runs each in a savepoint and
 * groups what is waiting under one commit; a job learns its result only after that commit is
 * durable. SQL is written once with ?1 placeholders, values are always bound.
 *
 * On SQLite: WAL, synchronous=FULL, one process, one writer connection, and only that
 * connection ever checkpoints.
 *
 * Errors of every call here: IO, CORRUPT, DISK_FULL, NO_MEMORY, UNAVAILABLE (busy, stopping),
 * CONFLICT (a uniqueness or foreign-key rule), INTERNAL (a wrong statement).
 */
#ifndef PST_DB_DB_H
#define PST_DB_DB_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

struct pst_db; /* the store; any thread */
struct pst_db_conn; /* one connection; one thread */
struct pst_stmt; /* a prepared statement of one connection, cached by it */

struct pst_db_options {
    const char *path; /* SQLite file; created 0600 when absent and `create` */
    bool create;
    bool read_only; /* the lock and readers only; nothing is written, not even what a log holds
                       goes into the file. Errors of open: also those of a first reader */
    int64_t cache_bytes; /* page cache of the writer; a reader has an eighth of it */
    int64_t busy_ms; /* wait for a lock held by another process */
    uint32_t queue_length; /* writer jobs waiting before pst_db_write blocks; 0 = 256 */
    uint32_t log_pages; /* pages in the log at which it is moved into the file; 0 = 8192 */
    int64_t check_bytes; /* after an unclean stop a file up to this size is checked by open;
                            larger ones are left to the caller (pst_db_was_unclean) */
    const atomic_bool *stopping; /* breaks off backups when it becomes true; or NULL */
    /* Called on the writer thread after a commit, once per topic that a job of that commit
     * named with pst_db_notify (and once per job with it). May be NULL. Must not block. */
    void (*on_commit)(void *self, int64_t topic);
    void *on_commit_self;
};

/* Takes the lock file <path>.lock. Errors: as above, UNAVAILABLE when another process has the
 * store open, NOT_FOUND without `create`, CORRUPT when the check after an unclean stop found
 * damage, or the file is no store. */
pst_code pst_db_open(struct pst_db **out, const struct pst_db_options *options,
                     struct pst_err *err);
void pst_db_close(struct pst_db *db); /* after the writer has stopped and readers are freed */
PST_DEFINE_AUTO(db, struct pst_db, pst_db_close);

/* Whether the store was not closed the last time (kill, crash, power). */
bool pst_db_was_unclean(const struct pst_db *db);
int64_t pst_db_file_bytes(const struct pst_db *db); /* main file and write-ahead log; any thread */

/* How often the writer has ended a transaction, whatever its outcome. Raised when a commit can be
 * seen by readers and before any of its jobs (or on_commit) learns of it. So what was read after
 * asking for this number is current for as long as the number is the same: the rule by which
 * anything read may be remembered. Any thread. */
uint64_t pst_db_commits(const struct pst_db *db);

/* Whether the last try to write failed for want of room or by input and output, and how. Without
 * jobs the writer tries again every second, so that it ends with its cause. Any thread. */
bool pst_db_trouble(struct pst_db *db, struct pst_err *why);

/* ---- readers ---- */

pst_code pst_db_reader_new(struct pst_db *db, struct pst_db_conn **out, struct pst_err *err);
void pst_db_reader_free(struct pst_db_conn *conn);
PST_DEFINE_AUTO(db_reader, struct pst_db_conn, pst_db_reader_free);

/* One consistent snapshot over several statements. _end never fails; unmatched is a bug. */
pst_code pst_db_snapshot_begin(struct pst_db_conn *conn, struct pst_err *err);
void pst_db_snapshot_end(struct pst_db_conn *conn);

/* ---- the writer ---- */

/* Runs on the writer thread inside a transaction. Failing rolls back this job only. It must
 * not block on anything but the database, and may run again only if told so by its caller. */
typedef pst_code (*pst_db_write_fn)(struct pst_db_conn *conn, void *arg, struct pst_err *err);

/* Body of the writer thread (started by app); returns after pst_db_writer_stop, when every
 * queued job is done. */
void pst_db_writer_run(struct pst_db *db);
void pst_db_writer_stop(struct pst_db *db);

/* Run fn and wait until it is durable. Any thread but the writer's and the event loops'. */
pst_code pst_db_write(struct pst_db *db, pst_db_write_fn fn, void *arg, struct pst_err *err);

/* The same on the calling thread: only while no writer thread runs (offline commands, set-up,
 * tests). */
pst_code pst_db_write_direct(struct pst_db *db, pst_db_write_fn fn, void *arg, struct pst_err *err);

/* The same without waiting: done is called on the writer thread after the commit (or failure)
 * with job; job belongs to the caller and must stay until then. */
struct pst_db_job {
    pst_db_write_fn fn;
    void *arg;
    void (*done)(struct pst_db_job *job);
    void *done_arg;
    pst_code code; /* result, set before done */
    struct pst_err err; /* valid when code is not PST_OK */
    struct pst_db_job *next; /* private */
};
/* Never blocks; a full queue is UNAVAILABLE, and done is then not called. */
pst_code pst_db_write_async(struct pst_db *db, struct pst_db_job *job, struct pst_err *err);

/* Inside a job: tell on_commit about topic after the commit. */
void pst_db_notify(struct pst_db_conn *conn, int64_t topic);

/* ---- statements ---- */

/* The statement for sql on this connection, reset and without bindings; prepared at first use
 * and cached by text. A statement is in use until pst_stmt_done (PST_AUTO(stmt)); the same sql
 * may not be asked for again before. */
pst_code pst_db_stmt(struct pst_db_conn *conn, pst_str sql, struct pst_stmt **out,
                     struct pst_err *err);
void pst_stmt_done(struct pst_stmt *st); /* NULL is a no-op */
PST_DEFINE_AUTO(stmt, struct pst_stmt, pst_stmt_done);

/* index counts from 1. Text and blobs are borrowed until pst_stmt_done or the next bind of
 * that index. A failing bind is reported by the next step. pst_stmt_bind_str of {NULL,0} binds
 * the empty text; use _null for NULL. _wall binds microseconds, or NULL for none. */
void pst_stmt_bind_i64(struct pst_stmt *st, int index, int64_t v);
void pst_stmt_bind_str(struct pst_stmt *st, int index, pst_str v);
void pst_stmt_bind_blob(struct pst_stmt *st, int index, const void *bytes, size_t len);
void pst_stmt_bind_null(struct pst_stmt *st, int index);
void pst_stmt_bind_wall(struct pst_stmt *st, int index, pst_wall v);

/* *row tells whether there is a row to read. */
pst_code pst_stmt_step(struct pst_stmt *st, bool *row, struct pst_err *err);
/* For statements without result rows; *changes (may be NULL) gets the rows touched. Resets, so
 * that the statement can be bound and run again. */
pst_code pst_stmt_run(struct pst_stmt *st, int64_t *changes, struct pst_err *err);
/* Ready for new bindings and another step, still in use. */
void pst_stmt_reset(struct pst_stmt *st);

/* Columns count from 0; text and blobs are valid until the next step, reset or done. */
int64_t pst_stmt_i64(struct pst_stmt *st, int column);
pst_str pst_stmt_str(struct pst_stmt *st, int column); /* NULL gives "" */
pst_str pst_stmt_blob(struct pst_stmt *st, int column);
bool pst_stmt_is_null(struct pst_stmt *st, int column);
pst_wall pst_stmt_wall(struct pst_stmt *st, int column); /* NULL gives none */

int64_t pst_db_last_rowid(struct pst_db_conn *conn);

/* Several statements of trusted, literal SQL (migrations, generated DDL). */
pst_code pst_db_exec_script(struct pst_db_conn *conn, pst_str sql, struct pst_err *err);

/* ---- migrations: numbered, forward only, checksummed ---- */

struct pst_migration {
    int number; /* 1, 2, 3, ... without gaps */
    const char *name;
    pst_str sql;
};

/* Bring the store up to date, one transaction per step. Errors as above, and CONFLICT when the
 * store is newer than the list, or a step already applied has another checksum. Runs before
 * the writer thread starts. */
pst_code pst_db_migrate(struct pst_db *db, const struct pst_migration *list, size_t count,
                        struct pst_err *err);

/* ---- care ---- */

/* Consistent copy to a new file at `path` (0600), while writes go on; checked as by pst_db_check
 * before it gets that name. Errors: also CONFLICT (path exists). Any thread. */
pst_code pst_db_backup(struct pst_db *db, const char *path, struct pst_err *err);
/* Read a file that nobody writes (a backup) and leave nothing beside it; freed as a reader.
 * Errors: also NOT_FOUND, CORRUPT (no store, or a log lies beside it). */
pst_code pst_db_peek_new(const char *path, struct pst_db_conn **out, struct pst_err *err);
/* Put a copy of `backup` in the place of the store at `path`, which must not be open (its lock
 * is taken). The file that was there is kept under the name that kept gets ("" where there was
 * none): <path>.before-restore, or a numbered one where that is taken; never is one replaced.
 * Broken off anywhere, there is the old store or the new one at `path`, the old one is lost under
 * neither name, and it may be repeated. (An old store that is damaged keeps a log that could not
 * be moved into it beside the kept name alone.) `change` makes of the copy what it shall be before
 * it gets its name; a failure of it leaves the old store. Errors: its own, as peek and open, and
 * CONFLICT (100 are kept). */
enum { PST_DB_PATH = 4096 };
pst_code pst_db_restore(const char *backup, const char *path, pst_db_write_fn change, void *arg,
                        char kept[PST_DB_PATH], struct pst_err *err);
/* Full integrity check; PST_OK, or CORRUPT with the first finding. Reader connection. */
pst_code pst_db_check(struct pst_db_conn *conn, struct pst_err *err);

#endif
