/* db/driver.h: what the files of this module share. Private to src/db.
 *
 * db.c opens and closes, writer.c queues and groups, migrate.c counts steps; they know no
 * database. sqlite.c (handles), stmt.c (statements) and care.c (copies, checks) are the SQLite
 * driver and the only files that include sqlite3.h.
 */
#ifndef PST_DB_DRIVER_H
#define PST_DB_DRIVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "db/db.h"
#include "os/file.h"

enum { PST_DB_TOPICS_MAX = 1024 };

struct sqlite3;
struct sqlite3_stmt;

struct pst_db_conn {
    struct pst_db *db;
    struct sqlite3 *handle; /* NULL: to be opened before the next use (writer) */
    struct sqlite3_stmt *undo; /* ROLLBACK, ready for the moment when there is no memory */
    bool is_writer;
    bool broken; /* the handle saw a failure after which it must not be used again */
    struct pst_map stmts; /* text -> struct pst_stmt */
    struct pst_stmt *newest, *oldest; /* the same in order of last use */
    struct pst_err trouble; /* of the group in progress: see pst_db_trouble; code 0: none */
    int wal_pages; /* in the log after the last commit */
    int64_t topics[PST_DB_TOPICS_MAX]; /* named by the transaction in progress */
    size_t topic_count;
    struct pst_db *own; /* of a peeked file: freed with the connection */
};

struct pst_db {
    char *path;
    struct pst_db_options options; /* path points at the copy above */
    struct pst_lock *lock;
    char *uri; /* of a file that nobody writes */
    bool immutable; /* opened by that */
    bool unclean;
    struct pst_db_conn writer;
    _Atomic uint64_t commits; /* pst_db_commits */
    int wal_next; /* log pages at which the next checkpoint is tried */
    pst_mono truncate_after; /* no blocking checkpoint before */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t filled, drained;
    struct pst_db_job *head, **tail;
    uint32_t queued;
    bool stopping;
    struct pst_err trouble; /* code 0: none */
};

/* ---- the driver ---- */

/* <path>.lock. Errors: UNAVAILABLE (held). */
pst_code pst_db_lock(struct pst_lock **out, const char *path, struct pst_err *err);

void pst_db_driver_init(void); /* before the first handle; again does nothing */
/* Open the handle of conn (conn->db and is_writer are set), apply every rule of db.h. */
pst_code pst_db_handle_open(struct pst_db_conn *conn, struct pst_err *err);
/* Release statements and handle; conn may be opened again. */
void pst_db_handle_close(struct pst_db_conn *conn);

pst_code pst_db_begin(struct pst_db_conn *conn, struct pst_err *err);
pst_code pst_db_commit(struct pst_db_conn *conn, struct pst_err *err);
/* Afterwards there is no transaction, if need be because the writer's handle is closed. Nothing to
 * roll back is fine. */
void pst_db_rollback(struct pst_db_conn *conn);
pst_code pst_db_savepoint(struct pst_db_conn *conn, struct pst_err *err);
pst_code pst_db_savepoint_release(struct pst_db_conn *conn, struct pst_err *err);
pst_code pst_db_savepoint_rollback(struct pst_db_conn *conn, struct pst_err *err);
bool pst_db_in_transaction(const struct pst_db_conn *conn);

/* Between commits: move the log into the file when it has grown enough. Failing is no error of
 * anybody's job: the log stays and the next commit tries again. */
void pst_db_checkpoint(struct pst_db *db);

/* Fast check of the whole file. Errors: CORRUPT. */
pst_code pst_db_quick_check(struct pst_db_conn *conn, struct pst_err *err);

/* file:<path>?immutable=1; what a URI reserves is escaped. Freed with pst_free. */
pst_code pst_db_uri(char **out, const char *path, struct pst_err *err);

pst_code pst_db_code_of(int extended); /* of an extended code of SQLite's */
/* The driver's last failure on conn as an error of ours. */
pst_code pst_db_fail(struct pst_db_conn *conn, const char *doing, struct pst_err *err);

void pst_db_stmts_free(struct pst_db_conn *conn);

#endif
