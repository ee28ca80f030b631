/* db/db.c: opening and closing a store, and its readers. */
#include "db/db.h"

#include <sys/vfs.h>

#include "base/alloc.h"
#include "db/driver.h"
#include "os/thread.h"

enum { QUEUE_LENGTH = 256, PATH_BYTES = 4096 };

/* File systems over which the locks and shared memory of a write-ahead log do not hold. */
static const struct {
    uint32_t magic;
    const char *name;
} foreign_systems[] = {
    {0x6969, "NFS"},      {0x517B, "SMB"},    {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB2"},
    {0x65735546, "FUSE"}, {0x01021997, "9P"}, {0x00C36400, "Ceph"}, {0x5346414F, "AFS"},
};

static pst_code check_file_system(const char *path, struct pst_err *err)
{
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot look at the file system of '%s'", path);
    for (size_t i = 0; i < PST_COUNT(foreign_systems); i++)
        if ((uint32_t)fs.f_type == foreign_systems[i].magic)
            return PST_FAIL(err, PST_E_UNSUPPORTED, "'%s' lies on %s; a store needs a local disk",
                            path, foreign_systems[i].name);
    return PST_OK;
}

static pst_code with_suffix(char *out, size_t size, const char *path, const char *suffix,
                            struct pst_err *err)
{
    int n = snprintf(out, size, "%s%s", path, suffix);
    if (n < 0 || (size_t)n >= size)
        return PST_FAIL(err, PST_E_INVALID, "the path of the store is too long");
    return PST_OK;
}

pst_code pst_db_lock(struct pst_lock **out, const char *path, struct pst_err *err)
{
    char name[PATH_BYTES];
    PST_TRY(with_suffix(name, sizeof(name), path, ".lock", err));
    pst_code code = pst_lock_take(out, name, err);
    if (code != PST_E_CONFLICT)
        return code;
    err->code = PST_E_UNAVAILABLE;
    return pst_err_wrap(err, "the store is in use");
}

static pst_code prepare_file(struct pst_db *db, struct pst_err *err)
{
    char log[PATH_BYTES];
    struct pst_file_info info;
    PST_TRY(with_suffix(log, sizeof(log), db->path, "-wal", err));
    PST_TRY(pst_file_stat(db->path, &info, err));
    if (!info.exists) {
        if (!db->options.create)
            return PST_FAIL(err, PST_E_NOT_FOUND, "there is no store at '%s'", db->path);
        PST_TRY(pst_file_create(db->path, PST_STR(""), 0600, err));
    }
    PST_TRY(check_file_system(db->path, err));
    PST_TRY(pst_file_stat(log, &info, err));
    db->unclean = info.exists && info.size > 0; /* a clean close empties the log and removes it */
    return PST_OK;
}

static pst_code open_writer(struct pst_db *db, struct pst_err *err)
{
    db->writer.db = db;
    db->writer.is_writer = true;
    PST_TRY(pst_db_handle_open(&db->writer, err));
    if (db->unclean && pst_db_file_bytes(db) <= db->options.check_bytes)
        return pst_db_quick_check(&db->writer, err);
    return PST_OK;
}

/* Without a log, and nobody may make one (the lock is held), reading leaves no trace. */
static pst_code try_reader(struct pst_db *db, struct pst_err *err)
{
    PST_AUTO(db_reader) struct pst_db_conn *conn = NULL;
    if (!db->unclean) {
        PST_TRY(pst_db_uri(&db->uri, db->path, err));
        db->immutable = true;
    }
    return pst_db_reader_new(db, &conn, err);
}

pst_code pst_db_open(struct pst_db **out, const struct pst_db_options *options, struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    size_t len = strlen(options->path);
    pst_db_driver_init();
    PST_TRY(pst_new((void **)&db, sizeof(*db), err));
    (void)pthread_mutex_init(&db->mutex, NULL);
    pst_cond_init(&db->filled);
    (void)pthread_cond_init(&db->drained, NULL);
    db->tail = &db->head;
    db->options = *options;
    if (db->options.queue_length == 0)
        db->options.queue_length = QUEUE_LENGTH;
    db->path = pst_malloc(len + 1);
    if (!db->path)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for the store");
    memcpy(db->path, options->path, len + 1);
    db->options.path = db->path;
    PST_TRY(pst_db_lock(&db->lock, db->path, err));
    PST_TRY(prepare_file(db, err));
    pst_code code = options->read_only ? try_reader(db, err) : open_writer(db, err);
    if (code != PST_OK)
        return pst_err_wrap(err, "'%s'", db->path);
    *out = PST_TAKE(db);
    return PST_OK;
}

void pst_db_close(struct pst_db *db)
{
    if (!db)
        return;
    pst_db_handle_close(&db->writer);
    pst_lock_free(db->lock);
    (void)pthread_cond_destroy(&db->drained);
    (void)pthread_cond_destroy(&db->filled);
    (void)pthread_mutex_destroy(&db->mutex);
    pst_free(db->uri);
    pst_free(db->path);
    pst_free(db);
}

bool pst_db_was_unclean(const struct pst_db *db)
{
    return db->unclean;
}

uint64_t pst_db_commits(const struct pst_db *db)
{
    return atomic_load(&db->commits);
}

int64_t pst_db_file_bytes(const struct pst_db *db)
{
    static const char *const suffixes[] = {"", "-wal"};
    int64_t sum = 0;
    for (size_t i = 0; i < PST_COUNT(suffixes); i++) {
        char name[PATH_BYTES];
        struct pst_file_info info;
        struct pst_err ignored;
        if (with_suffix(name, sizeof(name), db->path, suffixes[i], &ignored) == PST_OK &&
            pst_file_stat(name, &info, &ignored) == PST_OK && info.exists)
            sum += (int64_t)info.size;
    }
    return sum;
}

pst_code pst_db_reader_new(struct pst_db *db, struct pst_db_conn **out, struct pst_err *err)
{
    PST_AUTO(db_reader) struct pst_db_conn *conn = NULL;
    PST_TRY(pst_new((void **)&conn, sizeof(*conn), err));
    conn->db = db;
    PST_TRY(pst_db_handle_open(conn, err));
    *out = PST_TAKE(conn);
    return PST_OK;
}

void pst_db_reader_free(struct pst_db_conn *conn)
{
    if (!conn)
        return;
    pst_db_handle_close(conn);
    pst_db_close(conn->own);
    pst_free(conn);
}
