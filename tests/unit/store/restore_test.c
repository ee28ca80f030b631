/* tests/unit/store/restore_test.c: a restore is broken off before each of its calls that change
 * names or make them last, and repeated. The names of the C library lead here; the real calls are
 * made by syscall(2). */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"
#include "tests/unit/store/world.h"

enum { STOPPED = 77, CALLS_MIN = 6 };

static struct {
    bool counts;
    int calls, stop_at;
} broken;

static void count_call(void)
{
    if (broken.counts && broken.calls++ == broken.stop_at)
        _exit(STOPPED);
}

int link(const char *from, const char *to)
{
    count_call();
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
    count_call();
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rename(const char *from, const char *to)
{
    count_call();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fsync(int fd)
{
    count_call();
    return (int)syscall(SYS_fsync, fd);
}

/* ---- a store with a log, and a backup of what it held before ---- */

static const struct order orders[] = {
    {"A", "draft", NULL, "2026-11-01", {0}, "1"},
    {"B", "draft", NULL, "2026-11-02", {0}, "1"},
};

struct place {
    char backup[128], dir[128], path[160], kept[192], look[160];
};

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char command[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

static void make_place(struct world *w, struct place *p)
{
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    (void)snprintf(p->backup, sizeof(p->backup), "%s/backup.db", w->dir);
    (void)snprintf(p->dir, sizeof(p->dir), "%s/case", w->dir);
    (void)snprintf(p->path, sizeof(p->path), "%s/store.db", p->dir);
    (void)snprintf(p->kept, sizeof(p->kept), "%s.before-restore", p->path);
    (void)snprintf(p->look, sizeof(p->look), "%s/look", w->dir);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, orders, 1, "1", at(1)));
    struct pst_backup_info info = {0};
    assert_read(w, pst_store_backup(w->db, p->backup, &info, &w->err));
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, orders + 1, 1, "2", at(2)));
}

/* The store as a kill leaves it: its log is not in its file. */
static void lay_out(struct world *w, const struct place *p)
{
    shell("rm -rf '%s' && mkdir '%s'", p->dir, p->dir);
    shell("cp '%s' '%s/'", w->path, p->dir);
    shell("cp '%s-wal' '%s/'", w->path, p->dir);
}

/* How many records the store of that name holds, looked at in a copy. */
static int64_t records_of(struct world *w, const struct place *p, const char *path)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    char copy[320];
    int64_t records = 0;
    shell("rm -rf '%s'", p->look);
    shell("cp -r '%s' '%s'", p->dir, p->look);
    (void)snprintf(copy, sizeof(copy), "%s%s", p->look, path + strlen(p->dir));
    const struct pst_db_options o = {.path = copy};
    assert_read(w, pst_store_open(&db, &o, &w->err));
    assert_read(w, pst_db_reader_new(db, &reader, &w->err));
    assert_read(w, pst_records_count(reader, w->orders, w->conn.pk, &records, &w->err));
    pst_db_reader_free(PST_TAKE(reader));
    return records;
}

static pst_code restore(struct world *w, const struct place *p)
{
    struct pst_backup_info info;
    char kept[PST_DB_PATH];
    return pst_store_restore(p->backup, p->path, at(9), &info, kept, &w->err);
}

/* false: it came to its end before the call at which it was to stop. */
static bool stop_restore(struct world *w, const struct place *p, int at)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        broken.counts = true;
        broken.stop_at = at;
        _exit(restore(w, p) == PST_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == STOPPED);
    return WEXITSTATUS(status) == STOPPED;
}

static void broken_off_anywhere_there_is_the_old_store_or_the_new_one(void **state)
{
    struct world *w = *state;
    struct place p;
    int at = 0;
    make_place(w, &p);
    for (bool is_stopped = true; is_stopped; at++) {
        lay_out(w, &p);
        is_stopped = stop_restore(w, &p, at);
        int64_t records = records_of(w, &p, p.path);
        if (records != 1 && (records != 2 || !is_stopped))
            fail_msg("stopped before call %d the store has %d records", at, (int)records);
        assert_read(w, restore(w, &p));
        assert_int_equal(records_of(w, &p, p.path), 1);
        assert_int_equal(records_of(w, &p, p.kept), 2);
    }
    assert_true(at > CALLS_MIN);
}

static void what_an_earlier_restore_kept_is_never_replaced(void **state)
{
    struct world *w = *state;
    struct place p;
    struct pst_backup_info info;
    char kept[PST_DB_PATH];
    char second[256];
    make_place(w, &p);
    lay_out(w, &p);
    (void)snprintf(second, sizeof(second), "%s.2", p.kept);
    assert_read(w, pst_store_restore(p.backup, p.path, at(9), &info, kept, &w->err));
    assert_string_equal(kept, p.kept);
    assert_read(w, pst_store_restore(p.backup, p.path, at(9), &info, kept, &w->err));
    assert_string_equal(kept, second);
    assert_int_equal(records_of(w, &p, p.kept), 2);
    assert_int_equal(records_of(w, &p, second), 1);
    shell("rm '%s'", p.path);
    assert_read(w, pst_store_restore(p.backup, p.path, at(9), &info, kept, &w->err));
    assert_string_equal(kept, "");
}

/* Then the log is all there is of the newest commits: it is kept, and is not the new store's. */
static void a_store_that_does_not_open_is_kept_with_its_log(void **state)
{
    struct world *w = *state;
    struct place p;
    make_place(w, &p);
    int at = 0;
    for (bool is_stopped = true; is_stopped; at++) {
        lay_out(w, &p);
        shell("printf 'garbage that is no header' | dd of='%s' conv=notrunc status=none", p.path);
        shell("cp '%s' '%s.copy'", p.path, p.dir);
        is_stopped = stop_restore(w, &p, at);
        assert_read(w, restore(w, &p));
        assert_int_equal(records_of(w, &p, p.path), 1);
        shell("cmp '%s.copy' '%s'", p.dir, p.kept);
        shell("cmp '%s-wal' '%s-wal'", w->path, p.kept);
    }
    assert_true(at > CALLS_MIN);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(broken_off_anywhere_there_is_the_old_store_or_the_new_one),
        CASE(what_an_earlier_restore_kept_is_never_replaced),
        CASE(a_store_that_does_not_open_is_kept_with_its_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
