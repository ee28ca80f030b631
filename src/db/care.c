/* db/care.c: copies and checks of an SQLite store. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "db/driver.h"
#include "os/clock.h"

enum { COPY_PAGES = 1024, KEPT_MAX = 100 };

/* ---- checks ---- */

/* Where `words` end in the finding, or NULL. */
static const char *behind(pst_str finding, pst_str words)
{
    for (size_t i = 0; i + words.len < finding.len; i++)
        if (memcmp(finding.ptr + i, words.ptr, words.len) == 0)
            return finding.ptr + i + words.len;
    return NULL;
}

/* A page that could not be read says nothing about the file. Some of its words end in SQLite's
 * code; those of a page of a long value end in the page's number. */
static pst_code code_of_finding(pst_str finding)
{
    const char *code = behind(finding, PST_STR("unable to get the page. error code="));
    if (code)
        return pst_db_code_of((int)strtol(code, NULL, 10));
    if (behind(finding, PST_STR("failed to get page ")))
        return pst_db_code_of(SQLITE_IOERR);
    return PST_E_CORRUPT;
}

static pst_code run_check(struct pst_db_conn *conn, pst_str sql, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, sql, &st, err));
    PST_TRY(pst_stmt_step(st, &row, err));
    pst_str finding = row ? pst_stmt_str(st, 0) : PST_STR("no answer");
    if (pst_str_is(finding, "ok"))
        return PST_OK;
    static const pst_str title = PST_STR_INIT("*** in database main ***\n");
    if (finding.len > title.len && memcmp(finding.ptr, title.ptr, title.len) == 0)
        finding = pst_str_sub(finding, title.len, finding.len);
    pst_code code = code_of_finding(finding);
    if (code != PST_E_CORRUPT)
        return PST_FAIL(err, code, "the store cannot be read to its end: %.*s",
                        PST_STR_ARG(finding));
    return PST_FAIL(err, PST_E_CORRUPT, "the store is damaged: %.*s", PST_STR_ARG(finding));
}

pst_code pst_db_quick_check(struct pst_db_conn *conn, struct pst_err *err)
{
    return run_check(conn, PST_STR("PRAGMA quick_check(1)"), err);
}

pst_code pst_db_check(struct pst_db_conn *conn, struct pst_err *err)
{
    PST_TRY(run_check(conn, PST_STR("PRAGMA integrity_check(1)"), err));
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, PST_STR("PRAGMA foreign_key_check"), &st, err));
    PST_TRY(pst_stmt_step(st, &row, err));
    if (row) {
        pst_str table = pst_stmt_str(st, 0);
        return PST_FAIL(err, PST_E_CORRUPT,
                        "the store is damaged: a row of '%.*s' refers to one that is gone",
                        PST_STR_ARG(table));
    }
    return PST_OK;
}

/* ---- files at rest ---- */

pst_code pst_db_uri(char **out, const char *path, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf uri = {0};
    pst_buf_init(&uri, 3 * PST_DB_PATH);
    pst_buf_add_lit(&uri, "file:");
    for (const char *c = path; *c; c++) {
        if (strchr("%?#", *c))
            pst_buf_addf(&uri, "%%%02x", (unsigned char)*c);
        else
            pst_buf_add_char(&uri, *c);
    }
    pst_buf_add_lit(&uri, "?immutable=1");
    PST_TRY(pst_buf_check(&uri, err));
    *out = uri.ptr;
    uri = (struct pst_buf){0};
    return PST_OK;
}

pst_code pst_db_peek_new(const char *path, struct pst_db_conn **out, struct pst_err *err)
{
    PST_AUTO(db_reader) struct pst_db_conn *conn = NULL;
    char log[PST_DB_PATH];
    struct pst_file_info info;
    int n = snprintf(log, sizeof(log), "%s-wal", path);
    if (n < 0 || (size_t)n >= sizeof(log))
        return PST_FAIL(err, PST_E_INVALID, "the path of the store is too long");
    PST_TRY(pst_file_stat(path, &info, err));
    if (!info.exists)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no file '%s'", path);
    PST_TRY(pst_file_stat(log, &info, err));
    if (info.exists && info.size)
        return PST_FAIL(err, PST_E_CORRUPT,
                        "'%s' is a store that was not closed ('%s' lies beside it), no backup",
                        path, log);
    PST_TRY(pst_new((void **)&conn, sizeof(*conn), err));
    PST_TRY(pst_new((void **)&conn->own, sizeof(*conn->own), err));
    conn->db = conn->own;
    conn->own->immutable = true;
    (void)pthread_mutex_init(&conn->own->mutex, NULL);
    (void)pthread_cond_init(&conn->own->filled, NULL);
    (void)pthread_cond_init(&conn->own->drained, NULL);
    conn->own->path = pst_malloc(strlen(path) + 1);
    if (!conn->own->path)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for the path of a store");
    memcpy(conn->own->path, path, strlen(path) + 1);
    PST_TRY(pst_db_uri(&conn->own->uri, path, err));
    PST_TRY(pst_db_handle_open(conn, err));
    *out = PST_TAKE(conn);
    return PST_OK;
}

/* ---- backup ---- */

static void close_sqlite(sqlite3 **handle)
{
    (void)sqlite3_close_v2(*handle);
}

/* The target gets one transaction, without a journal: it has its name only when it is whole. */
static pst_code open_target(sqlite3 **out, const char *path, struct pst_err *err)
{
    struct pst_db_conn target = {0};
    PST_TRY(pst_file_create(path, PST_STR(""), 0600, err));
    int rc = sqlite3_open_v2(path, out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(*out, "PRAGMA journal_mode=OFF; PRAGMA synchronous=FULL", NULL, NULL,
                          NULL);
    target.handle = *out;
    if (!*out)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for the backup");
    return rc == SQLITE_OK ? PST_OK : pst_db_fail(&target, "open the backup", err);
}

/* stopping may be NULL. */
static pst_code copy_pages(struct pst_db_conn *from, sqlite3 *to, const atomic_bool *stopping,
                           struct pst_err *err)
{
    struct pst_db_conn target = {.handle = to};
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", from->handle, "main");
    if (!copy)
        return pst_db_fail(&target, "begin the backup", err);
    int rc = SQLITE_OK;
    bool is_stopped = false;
    while (rc == SQLITE_OK && !is_stopped) {
        rc = sqlite3_backup_step(copy, COPY_PAGES);
        is_stopped = stopping && atomic_load(stopping);
    }
    int end = sqlite3_backup_finish(copy);
    if (is_stopped)
        return PST_FAIL(err, PST_E_CANCELLED, "the copy was broken off");
    if (rc != SQLITE_DONE || end != SQLITE_OK)
        return pst_db_fail(&target, "copy", err);
    return PST_OK;
}

static pst_code sync_file(const char *path, struct pst_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot open '%s'", path);
    int rc = fsync(fd);
    pst_code code = rc == 0 ? PST_OK : PST_FAIL_OS(err, PST_E_IO, "cannot sync '%s'", path);
    (void)close(fd);
    return code;
}

static pst_code copy_to(struct pst_db *db, const char *path, struct pst_err *err)
{
    PST_AUTO(db_reader) struct pst_db_conn *from = NULL;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    __attribute__((cleanup(close_sqlite))) sqlite3 *to = NULL;
    bool row = false;
    PST_TRY(pst_db_reader_new(db, &from, err));
    /* The open read transaction pins one state: steps do not start over when others commit. */
    PST_TRY(pst_db_snapshot_begin(from, err));
    PST_TRY(pst_db_stmt(from, PST_STR("SELECT count(*) FROM sqlite_schema"), &st, err));
    PST_TRY(pst_stmt_step(st, &row, err));
    PST_TRY(open_target(&to, path, err));
    PST_TRY(copy_pages(from, to, db->options.stopping, err));
    PST_TRY(sync_file(path, err));
    PST_AUTO(db_reader) struct pst_db_conn *copy = NULL;
    PST_TRY(pst_db_peek_new(path, &copy, err));
    return pst_db_check(copy, err);
}

pst_code pst_db_backup(struct pst_db *db, const char *path, struct pst_err *err)
{
    char part[PST_DB_PATH];
    int n = snprintf(part, sizeof(part), "%s.part", path);
    if (n < 0 || (size_t)n >= sizeof(part))
        return PST_FAIL(err, PST_E_INVALID, "the path of the backup is too long");
    if (pst_file_exists(path))
        return PST_FAIL(err, PST_E_CONFLICT, "'%s' exists already", path);
    (void)unlink(part); /* of a backup that was cut off */
    pst_code code = copy_to(db, part, err);
    if (code == PST_OK && renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
        code = PST_FAIL_OS(err, errno == EEXIST ? PST_E_CONFLICT : PST_E_IO,
                           "cannot name the backup '%s'", path);
    if (code != PST_OK) {
        (void)unlink(part);
        return code;
    }
    return pst_file_sync_dir(path, err);
}

/* ---- restore ---- */

/* Nobody has the copy yet, so it needs no transaction; as a store it has a log, which goes into
 * the file here and with the handle. */
static pst_code change_copy(sqlite3 *to, pst_db_write_fn change, void *arg, struct pst_err *err)
{
    struct pst_db_conn target = {.handle = to};
    pst_code code = change(&target, arg, err);
    pst_db_stmts_free(&target);
    if (code == PST_OK &&
        sqlite3_wal_checkpoint_v2(to, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
        code = pst_db_fail(&target, "write the copy", err);
    return code;
}

static pst_code copy_file(const char *backup, const char *path, pst_db_write_fn change, void *arg,
                          struct pst_err *err)
{
    PST_AUTO(db_reader) struct pst_db_conn *from = NULL;
    __attribute__((cleanup(close_sqlite))) sqlite3 *to = NULL;
    PST_TRY(pst_db_peek_new(backup, &from, err));
    PST_TRY(open_target(&to, path, err));
    PST_TRY(copy_pages(from, to, NULL, err));
    return change_copy(to, change, arg, err);
}

static bool begins_as_sqlite(const char *path)
{
    static const char magic[] = "SQLite format 3";
    char head[sizeof(magic)] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_whole = read(fd, head, sizeof(head)) == (ssize_t)sizeof(head);
    (void)close(fd);
    return is_whole && memcmp(head, magic, sizeof(magic)) == 0;
}

/* What the old store's log holds goes into its file, which then is whole by itself. A store that
 * cannot be opened any more keeps its log; of a file that is none SQLite would throw it away. */
static void empty_log(const char *path)
{
    __attribute__((cleanup(close_sqlite))) sqlite3 *old = NULL;
    if (!begins_as_sqlite(path) ||
        sqlite3_open_v2(path, &old, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return;
    (void)sqlite3_exec(old, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    (void)sqlite3_wal_checkpoint_v2(old, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

/* Whether `name` is free for the file, or is its name already, by a restore that was broken off. */
static bool may_have_name(const char *path, const char *name)
{
    struct stat a;
    struct stat b;
    if (lstat(name, &b) != 0)
        return errno == ENOENT;
    return stat(path, &a) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static pst_code give_name(const char *path, const char *name, struct pst_err *err)
{
    if (link(path, name) == 0 || errno == EEXIST || errno == ENOENT)
        return PST_OK;
    return PST_FAIL_OS(err, PST_E_IO, "cannot keep '%s' as '%s'", path, name);
}

/* A second name for the old store, and for its log where it still has one: the two belong together.
 * The first name is left, so that at every moment there is a store of it. */
static pst_code keep_old(const char *path, char kept[PST_DB_PATH], struct pst_err *err)
{
    char log[PST_DB_PATH];
    char kept_log[PST_DB_PATH];
    (void)snprintf(log, sizeof(log), "%.*s-wal", PST_DB_PATH - 8, path);
    for (int i = 1; i <= KEPT_MAX; i++) {
        int n = i == 1 ? snprintf(kept, PST_DB_PATH, "%s.before-restore", path)
                       : snprintf(kept, PST_DB_PATH, "%s.before-restore.%d", path, i);
        (void)snprintf(kept_log, sizeof(kept_log), "%.*s-wal", n, kept);
        if (!may_have_name(path, kept) || !may_have_name(log, kept_log))
            continue;
        PST_TRY(give_name(path, kept, err));
        PST_TRY(give_name(log, kept_log, err));
        return pst_file_sync_dir(path, err);
    }
    return PST_FAIL(err, PST_E_CONFLICT,
                    "%d stores of earlier restores lie beside '%s': remove some of them", KEPT_MAX,
                    path);
}

/* The old log would be taken for one of the new store's. */
static pst_code drop_log(const char *path, struct pst_err *err)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    char name[PST_DB_PATH];
    for (size_t i = 0; i < PST_COUNT(suffixes); i++) {
        (void)snprintf(name, sizeof(name), "%.*s%s", PST_DB_PATH - 8, path, suffixes[i]);
        if (unlink(name) != 0 && errno != ENOENT)
            return PST_FAIL_OS(err, PST_E_IO, "cannot remove '%s'", name);
    }
    return PST_OK;
}

/* The copy of the backup is whole, and last, as `part`. */
static pst_code replace(const char *part, const char *path, char kept[PST_DB_PATH],
                        struct pst_err *err)
{
    empty_log(path);
    PST_TRY(keep_old(path, kept, err));
    PST_TRY(drop_log(path, err));
    if (rename(part, path) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot rename '%s' to '%s'", part, path);
    return pst_file_sync_dir(path, err);
}

pst_code pst_db_restore(const char *backup, const char *path, pst_db_write_fn change, void *arg,
                        char kept[PST_DB_PATH], struct pst_err *err)
{
    PST_AUTO(lock) struct pst_lock *lock = NULL;
    char part[PST_DB_PATH];
    if (strlen(path) > PST_DB_PATH - 32)
        return PST_FAIL(err, PST_E_INVALID, "the path of the store is too long");
    PST_TRY(pst_db_lock(&lock, path, err));
    bool has_old = pst_file_exists(path);
    (void)snprintf(part, sizeof(part), "%s.part", path);
    (void)unlink(part); /* of a restore that was broken off */
    PST_TRY(drop_log(part, err));
    pst_code code = copy_file(backup, part, change, arg, err);
    if (code == PST_OK)
        code = sync_file(part, err);
    if (code == PST_OK)
        code = replace(part, path, kept, err);
    if (code != PST_OK)
        (void)unlink(part);
    if (code == PST_OK && !has_old)
        kept[0] = '\0';
    return code;
}
