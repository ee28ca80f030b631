/* tests/faults/store.c: every call of a day fails once.
 *
 *   store [--full] [--only NAME] [--at N]
 *
 * The day (day.c) is run again and again, each time in a process of its own and with another call
 * failing: file calls (disk.c), SQLite's allocations, ours. A step that fails says so with a code
 * that fits, and works when it is run again after the fault has gone; at the end the store holds
 * what it holds after a day without faults, is sound, and nothing is leaked: no memory, no
 * descriptor. In the lasting kind the fault stays for three tries of the step before it goes.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "db/driver.h"
#include "tests/faults/day.h"
#include "tests/faults/disk.h"

enum { TRIES = 3, SECONDS = 60, WORKERS_MAX = 8, SHOWN = 10, LOG_PAGES = 40, TEXT = 700 };

enum source { FROM_DISK, FROM_SQLITE, FROM_US };

#define BIT(call) (1U << DISK_CALL_##call)

/* ci: how many points are tried at CI's size, spread over all there are. */
static const struct kind {
    const char *name;
    enum source source;
    unsigned calls;
    int error;
    bool lasts;
    long ci;
} kinds[] = {
    {"write-eio", FROM_DISK, BIT(WRITE), EIO, false, 150},
    {"write-enospc", FROM_DISK, BIT(WRITE), ENOSPC, false, 60},
    {"disk-full", FROM_DISK, BIT(WRITE) | BIT(OPEN), ENOSPC, true, 150},
    {"write-half", FROM_DISK, BIT(WRITE), 0, false, 60},
    {"sync-eio", FROM_DISK, BIT(SYNC), EIO, false, 200},
    {"sync-eio-lasting", FROM_DISK, BIT(SYNC), EIO, true, 100},
    {"read-enodev", FROM_DISK, BIT(READ), ENODEV, false, 100},
    {"read-eio", FROM_DISK, BIT(READ), EIO, false, 100},
    {"read-eio-lasting", FROM_DISK, BIT(READ), EIO, true, 60},
    {"open-emfile", FROM_DISK, BIT(OPEN), EMFILE, false, 100},
    {"open-emfile-lasting", FROM_DISK, BIT(OPEN), EMFILE, true, 60},
    {"truncate-eio", FROM_DISK, BIT(TRUNCATE), EIO, false, 60},
    {"unlink-eio", FROM_DISK, BIT(UNLINK), EIO, false, 60},
    {"rename-eio", FROM_DISK, BIT(RENAME), EIO, false, 60},
    {"lock-busy", FROM_DISK, BIT(LOCK), EAGAIN, false, 60},
    {"lock-busy-lasting", FROM_DISK, BIT(LOCK), EAGAIN, true, 30},
    {"lock-eio", FROM_DISK, BIT(LOCK), EIO, false, 60},
    {"sqlite-memory", FROM_SQLITE, 0, 0, false, 250},
    {"sqlite-memory-lasting", FROM_SQLITE, 0, 0, true, 100},
    {"memory", FROM_US, 0, 0, false, 250},
};

/* What one day came to, from the child. */
struct result {
    bool is_done; /* it lived to tell */
    bool is_fine;
    bool has_failed; /* the fault was met */
    long calls; /* that could have failed */
    uint64_t fingerprint;
    char words[TEXT];
};

static void die(const char *what)
{
    (void)fprintf(stderr, "store: %s\n", what);
    exit(70);
}

/* ---- SQLite's memory ---- */

static struct {
    sqlite3_mem_methods real;
    long count, at; /* at < 0: none fails */
    bool lasts, has_failed;
} heap = {.at = -1};

static bool heap_fails(void)
{
    long n = heap.count++;
    if (heap.at < 0 || n < heap.at || (n > heap.at && !heap.lasts))
        return false;
    heap.has_failed = true;
    return true;
}

static void *heap_malloc(int size)
{
    return heap_fails() ? NULL : heap.real.xMalloc(size);
}

static void *heap_realloc(void *ptr, int size)
{
    return heap_fails() ? NULL : heap.real.xRealloc(ptr, size);
}

static void hook_heap(void)
{
    sqlite3_mem_methods ours;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &heap.real) != SQLITE_OK)
        die("SQLite keeps its allocator to itself");
    ours = heap.real;
    ours.xMalloc = heap_malloc;
    ours.xRealloc = heap_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK)
        die("SQLite refuses an allocator");
}

/* ---- switching a fault on and off ---- */

static void set_fault(const struct kind *k, long at, const char *dir)
{
    const struct disk_fault fault = {
        .dir = dir, .calls = k->calls, .at = at, .goes_on = k->lasts, .error = k->error};
    switch (k->source) {
    case FROM_DISK:
        disk_fail(&fault);
        break;
    case FROM_SQLITE:
        heap.count = 0;
        heap.at = at;
        heap.lasts = k->lasts;
        break;
    case FROM_US:
        pst_alloc_fail_at(at < 0 ? INT32_MAX : at);
        break;
    }
}

/* Whether it was met; the calls there were. */
static bool end_fault(const struct kind *k, long *calls)
{
    bool failed = false;
    switch (k->source) {
    case FROM_DISK:
        failed = disk_has_failed();
        *calls = disk_calls();
        disk_fail(NULL);
        break;
    case FROM_SQLITE:
        failed = heap.has_failed;
        *calls = heap.count;
        heap.at = -1;
        break;
    case FROM_US:
        failed = pst_alloc_failed();
        *calls = INT32_MAX - pst_alloc_fail_left(); /* when none failed */
        pst_alloc_fail_at(-1);
        break;
    }
    return failed;
}

/* SQLite takes an EIO of a read for a damaged file. */
static bool is_expected(const struct kind *k, pst_code code)
{
    if (k->calls == BIT(READ) && k->error == EIO && code == PST_E_CORRUPT)
        return true;
    switch ((int)code) {
    case PST_E_IO:
    case PST_E_DISK_FULL:
    case PST_E_NO_MEMORY:
    case PST_E_UNAVAILABLE:
        return true;
    default:
        return false;
    }
}

/* ---- one day ---- */

static bool is_told; /* --at: say what fails */

static int count_descriptors(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        count++;
    if (d)
        (void)closedir(d);
    return count;
}

__attribute__((format(printf, 2, 3))) static bool wrong(struct result *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->words, sizeof(r->words), format, args);
    va_end(args);
    return false;
}

static bool run_step(struct day *d, const struct kind *k, const struct day_step *step,
                     struct result *r)
{
    struct pst_err err = {0};
    for (int i = 1; i <= TRIES + 1; i++) {
        pst_code code = day_run_step(d, step, &err);
        if (code == PST_OK)
            return true;
        if (is_told)
            printf("%s, try %d: %s: %s\n", step->name, i, pst_code_name(code), err.msg);
        if (!is_expected(k, code))
            return wrong(r, "%s, try %d: %s: %.400s", step->name, i, pst_code_name(code), err.msg);
        if (i == TRIES && k->lasts)
            r->has_failed = end_fault(k, &r->calls);
    }
    return wrong(r, "%s does not recover: %.400s", step->name, err.msg);
}

static bool run_steps(struct day *d, const struct kind *k, struct result *r)
{
    for (size_t i = 0; i < day_step_count; i++)
        if (!run_step(d, k, &day_steps[i], r))
            return false;
    return true;
}

static bool look_at_store(const char *dir, struct result *r)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    char path[160];
    struct pst_err err = {0};
    (void)snprintf(path, sizeof(path), "%s/store.db", dir);
    const struct pst_db_options o = {.path = path, .check_bytes = 1 << 30};
    if (pst_db_open(&db, &o, &err) != PST_OK ||
        day_fingerprint(&db->writer, false, &r->fingerprint, &err) != PST_OK)
        return wrong(r, "afterwards: %.400s", err.msg);
    pst_db_close(PST_TAKE(db));
    return day_is_sound(dir, true, r->words, sizeof(r->words));
}

static bool run_day(const struct kind *k, long at, const char *dir, struct result *r)
{
    struct day d;
    struct pst_err err = {0};
    long unused = 0;
    int descriptors = count_descriptors();
    if (day_init(&d, dir, &err) != PST_OK)
        return wrong(r, "%s", err.msg);
    d.log_pages = LOG_PAGES;
    set_fault(k, at, dir);
    bool fine = run_steps(&d, k, r);
    bool failed = end_fault(k, r->has_failed ? &unused : &r->calls);
    r->has_failed = r->has_failed || failed;
    day_fini(&d);
    if (!fine || !look_at_store(dir, r))
        return false;
    if (pst_alloc_live() != 0)
        return wrong(r, "%lld allocations are leaked", (long long)pst_alloc_live());
    if (sqlite3_memory_used() != 0)
        return wrong(r, "SQLite holds %lld bytes", (long long)sqlite3_memory_used());
    if (count_descriptors() != descriptors)
        return wrong(r, "%d descriptors are leaked", count_descriptors() - descriptors);
    return true;
}

/* ---- in a process of its own ---- */

static char base[64];

static void remove_dir(const char *dir)
{
    char command[160];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    if (system(command) != 0)
        die("cannot clean up");
}

static struct result run_apart(const struct kind *k, long at)
{
    struct result r = {0};
    char dir[128];
    int ends[2];
    (void)snprintf(dir, sizeof(dir), "%s/%s-%ld", base, k->name, at);
    if (mkdir(dir, 0700) != 0 || pipe(ends) != 0)
        die("cannot make a directory");
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        (void)alarm(SECONDS);
        r.is_fine = run_day(k, at, dir, &r);
        r.is_done = true;
        _exit(write(ends[1], &r, sizeof(r)) == sizeof(r) ? 0 : 70);
    }
    (void)close(ends[1]);
    if (pid < 0 || read(ends[0], &r, sizeof(r)) < 0)
        die("cannot fork");
    (void)close(ends[0]);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    if (!r.is_done)
        (void)wrong(&r, WIFSIGNALED(status) ? "ended by signal %d" : "ended with %d",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    remove_dir(dir);
    return r;
}

/* ---- all points of one kind ---- */

struct totals {
    long points, met, violations;
};

static void try_points(const struct kind *k, long first, long count, double step, uint64_t expected,
                       struct totals *t)
{
    for (long i = first; i < count; i += (long)sysconf(_SC_NPROCESSORS_ONLN)) {
        long at = (long)((double)i * step);
        struct result r = run_apart(k, at);
        t->points++;
        t->met += r.has_failed;
        if (r.is_fine && r.fingerprint != expected)
            r.is_fine = wrong(&r, "the store is not what it should be");
        if (!r.is_fine && t->violations++ < SHOWN)
            printf("%s at %ld: %s\n", k->name, at, r.words);
    }
}

static struct totals try_with_workers(const struct kind *k, long count, double step,
                                      uint64_t expected)
{
    struct totals sum = {0};
    struct totals t;
    int ends[2];
    long workers = sysconf(_SC_NPROCESSORS_ONLN);
    if (pipe(ends) != 0)
        die("no pipe");
    (void)fflush(stdout);
    for (long i = 0; i < workers; i++) {
        pid_t pid = fork();
        if (pid < 0)
            die("cannot fork");
        if (pid > 0)
            continue;
        t = (struct totals){0};
        try_points(k, i, count, step, expected, &t);
        (void)fflush(stdout);
        _exit(write(ends[1], &t, sizeof(t)) == sizeof(t) ? 0 : 70);
    }
    (void)close(ends[1]);
    while (read(ends[0], &t, sizeof(t)) == sizeof(t)) {
        sum.points += t.points;
        sum.met += t.met;
        sum.violations += t.violations;
    }
    (void)close(ends[0]);
    while (wait(NULL) > 0)
        continue;
    return sum;
}

static bool prove(const struct kind *k, bool full)
{
    struct result whole = run_apart(k, -1);
    if (!whole.is_fine) {
        printf("FAILED: %s: without a fault: %s\n", k->name, whole.words);
        return false;
    }
    long count = full || whole.calls < k->ci ? whole.calls : k->ci;
    struct totals t =
        try_with_workers(k, count, (double)whole.calls / (double)count, whole.fingerprint);
    bool fine = t.violations == 0 && t.points == count && t.met * 2 > t.points;
    printf("%s: %s: %ld of %ld calls failed, %ld met, %ld violations\n", fine ? "ok" : "FAILED",
           k->name, t.points, whole.calls, t.met, t.violations);
    return fine;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    long at = -1;
    bool full = false;
    int passed = 0;
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        full = full || strcmp(argv[i], "--full") == 0;
        if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--at") == 0 && i + 1 < argc)
            at = strtol(argv[++i], NULL, 10);
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)snprintf(base, sizeof(base), "%s/pst-store-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(base))
        die("cannot make a directory");
    hook_heap();
    for (size_t i = 0; i < PST_COUNT(kinds); i++) {
        if (only && strcmp(only, kinds[i].name) != 0)
            continue;
        if (at >= 0) {
            is_told = true;
            struct result r = run_apart(&kinds[i], at);
            printf("%s\n", r.is_fine ? "fine" : r.words);
            continue;
        }
        bool fine = prove(&kinds[i], full);
        passed += fine;
        failed += !fine;
    }
    remove_dir(base);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
