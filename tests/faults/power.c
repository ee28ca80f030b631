/* tests/faults/power.c: the power fails at every write of a day.
 *
 *   power [--full]
 *
 * A day (day.c) is run once while every write, sync, truncation and name is recorded (disk.c).
 * Then, for every n: the power fails before the n-th of them. What was synced is on the disk; of
 * what was not, each variant below keeps another part. The store is opened afresh on what is left
 * and must be what a commit had made of it: the last that was acknowledged before, or a later one
 * that was under way; it must pass every check, with its key, and a backup that was acknowledged.
 *
 * It assumes of a disk what SQLite does: a write changes no byte outside itself ("powersafe
 * overwrite"); within it any sector may be old, new or garbage. A directory keeps the order of its
 * changes.
 *
 * Controls: stores that do not sync (synchronous=OFF, NORMAL) and a disk whose directory is not
 * synced must be found out, or the instrument is blind.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "db/driver.h"
#include "os/file.h"
#include "tests/faults/day.h"
#include "tests/faults/disk.h"

enum {
    SECTOR = 512,
    ACKS = 128,
    SEEN = 1 << 16,
    WORKERS_MAX = 8,
    LOG_PAGES = 40,
    SHOWN = 8,
    WORDS = 560
};

enum variant { DROPPED, KEPT, PREFIX, RANDOM, SECTORS, TORN, GARBAGE, ZEROS, VARIANTS };
static const char *const variant_names[VARIANTS] = {
    "all of it dropped",           "all of it kept",
    "the first writes kept",       "some writes kept",
    "some sectors kept",           "the last write torn",
    "sectors kept, lost, garbage", "sizes kept, bytes not"};

struct file {
    unsigned char *bytes; /* on the disk for certain */
    size_t len;
    const struct disk_op **pending;
    size_t pending_count;
};

struct names {
    char name[DISK_FILES][DISK_NAME_BYTES];
    int file[DISK_FILES];
    size_t count;
};

struct machine {
    struct file files[DISK_FILES];
    struct names names;
    const struct disk_op *pending_names[DISK_FILES];
    size_t pending_name_count;
};

struct ack {
    size_t at; /* operations before it */
    const char *step;
    uint64_t fingerprint; /* 0: not taken */
};

struct test {
    const struct disk_op *ops;
    size_t op_count;
    struct ack acks[ACKS];
    size_t ack_count;
    uint64_t *kept; /* [op_count + 1]: the store when everything was kept */
    char base[64], cut[96];
    struct {
        uint64_t state, fingerprint;
        bool is_sound;
        char words[WORDS];
    } *seen; /* [SEEN] */
    long states, opened, violations;
    unsigned variants; /* random ones per point */
    bool quiet;
    bool forgets_dir; /* the control */
};

static void die(const char *what)
{
    (void)fprintf(stderr, "power: %s\n", what);
    exit(70);
}

static uint64_t next(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15U;
    uint64_t z = *seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* ---- the disk before the power fails ---- */

static void resize(struct file *f, size_t len)
{
    f->bytes = realloc(f->bytes, len ? len : 1);
    if (!f->bytes)
        die("no memory");
    if (len > f->len)
        memset(f->bytes + f->len, 0, len - f->len);
    f->len = len;
}

static void apply(struct file *f, const struct disk_op *op)
{
    if (op->kind == DISK_TRUNCATE) {
        resize(f, (size_t)op->at);
        return;
    }
    if ((size_t)op->at + op->len > f->len)
        resize(f, (size_t)op->at + op->len);
    memcpy(f->bytes + op->at, op->bytes, op->len);
}

static void set_name(struct names *n, const char *name, int file)
{
    size_t i = 0;
    while (i < n->count && strcmp(n->name[i], name) != 0)
        i++;
    if (file < 0) {
        if (i == n->count)
            return;
        n->count--;
        memmove(n->name[i], n->name[n->count], DISK_NAME_BYTES);
        n->file[i] = n->file[n->count];
        return;
    }
    if (i == DISK_FILES)
        die("too many files");
    n->count += i == n->count;
    memcpy(n->name[i], name, DISK_NAME_BYTES);
    n->file[i] = file;
}

static void apply_name(struct names *n, const struct disk_op *op)
{
    if (op->kind == DISK_NAME)
        set_name(n, op->name, op->file);
    else
        set_name(n, op->name, -1);
    if (op->kind == DISK_RENAME)
        set_name(n, op->other_name, op->file);
}

static void advance(const struct test *t, struct machine *m, const struct disk_op *op)
{
    struct file *f = op->file >= 0 ? &m->files[op->file] : NULL;
    switch (op->kind) {
    case DISK_WRITE:
    case DISK_TRUNCATE:
        f->pending = realloc(f->pending, (f->pending_count + 1) * sizeof(*f->pending));
        if (!f->pending)
            die("no memory");
        f->pending[f->pending_count++] = op;
        break;
    case DISK_SYNC:
        for (size_t i = 0; i < f->pending_count; i++)
            apply(f, f->pending[i]);
        f->pending_count = 0;
        break;
    case DISK_SYNC_DIR:
        if (t->forgets_dir)
            break;
        for (size_t i = 0; i < m->pending_name_count; i++)
            apply_name(&m->names, m->pending_names[i]);
        m->pending_name_count = 0;
        break;
    case DISK_NAME:
    case DISK_UNNAME:
    case DISK_RENAME:
        if (m->pending_name_count == DISK_FILES)
            die("too many names");
        m->pending_names[m->pending_name_count++] = op;
        break;
    }
}

static void machine_fini(struct machine *m)
{
    for (size_t i = 0; i < DISK_FILES; i++) {
        free(m->files[i].bytes);
        free((void *)m->files[i].pending);
    }
    free(m);
}

/* ---- what is left of it ---- */

/* The bytes of op between two offsets into it. */
static void apply_part(struct file *f, const struct disk_op *op, size_t from, size_t to)
{
    const struct disk_op part = {.kind = DISK_WRITE,
                                 .at = op->at + (int64_t)from,
                                 .len = to - from,
                                 .bytes = op->bytes + from};
    apply(f, &part);
}

/* Where the sector that holds byte `from` of op ends, as an offset into op. */
static size_t sector_end(const struct disk_op *op, size_t from)
{
    size_t end = from + SECTOR - (size_t)((op->at + (int64_t)from) % SECTOR);
    return end < op->len ? end : op->len;
}

static void apply_garbage(struct file *f, const struct disk_op *op, size_t from, size_t to,
                          uint64_t *seed)
{
    unsigned char bytes[SECTOR];
    for (size_t i = 0; i < to - from; i++)
        bytes[i] = (unsigned char)next(seed);
    const struct disk_op part = {
        .kind = DISK_WRITE, .at = op->at + (int64_t)from, .len = to - from, .bytes = bytes};
    apply(f, &part);
}

static void apply_sectors(struct file *f, const struct disk_op *op, enum variant v, uint64_t *seed)
{
    size_t torn_at = v == TORN ? (size_t)(next(seed) % (op->len + 1)) : 0;
    if (v == TORN) {
        apply_part(f, op, 0, torn_at);
        return;
    }
    for (size_t from = 0; from < op->len;) {
        size_t to = sector_end(op, from);
        uint64_t dice = next(seed) % 6;
        if (dice < 3)
            apply_part(f, op, from, to);
        else if (dice < 5 && v == GARBAGE)
            apply_garbage(f, op, from, to, seed);
        from = to;
    }
}

static void apply_zeros(struct file *f, const struct disk_op *op)
{
    size_t end = op->kind == DISK_TRUNCATE ? (size_t)op->at : (size_t)op->at + op->len;
    if (op->kind == DISK_TRUNCATE || end > f->len)
        resize(f, end);
}

static void apply_pending(struct file *to, const struct file *from, enum variant v, uint64_t *seed)
{
    size_t count = from->pending_count;
    size_t first = v == PREFIX ? (size_t)(next(seed) % (count + 1)) : count;
    for (size_t i = 0; i < count; i++) {
        const struct disk_op *op = from->pending[i];
        bool is_last = i + 1 == count;
        bool keeps = v == KEPT || (v == PREFIX && i < first) || (v == TORN && !is_last) ||
                     ((v == RANDOM || (op->kind == DISK_TRUNCATE && v != DROPPED && v != PREFIX)) &&
                      next(seed) % 2);
        if (v == ZEROS)
            apply_zeros(to, op);
        else if (keeps)
            apply(to, op);
        else if (op->kind == DISK_WRITE && (v == SECTORS || v == GARBAGE || (v == TORN && is_last)))
            apply_sectors(to, op, v, seed);
    }
}

static void write_file(const char *dir, const char *name, const struct file *f)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, f->bytes, f->len) != (ssize_t)f->len)
        die("cannot write what is left of the disk");
    (void)close(fd);
}

/* The files that are there after the power failed, in t->cut if `writes`; a hash over them. */
static uint64_t leave(const struct test *t, const struct machine *m, enum variant v, uint64_t seed,
                      bool writes)
{
    struct names names = m->names;
    uint64_t state = 0;
    size_t kept = v == DROPPED ? 0 : m->pending_name_count;
    if (v != DROPPED && v != KEPT)
        kept = (size_t)(next(&seed) % (kept + 1));
    for (size_t i = 0; i < kept; i++)
        apply_name(&names, m->pending_names[i]);
    for (size_t i = 0; i < names.count; i++) {
        const struct file *from = &m->files[names.file[i]];
        struct file f = {0};
        uint64_t file_seed = seed + (uint64_t)names.file[i];
        resize(&f, from->len);
        if (from->len)
            memcpy(f.bytes, from->bytes, from->len);
        apply_pending(&f, from, v, &file_seed);
        state +=
            XXH3_64bits_withSeed(f.bytes, f.len, XXH3_64bits(names.name[i], strlen(names.name[i])));
        if (writes)
            write_file(t->cut, names.name[i], &f);
        free(f.bytes);
    }
    return state;
}

/* ---- the start after it ---- */

static void empty(const char *dir)
{
    char path[512];
    DIR *d = opendir(dir);
    bool found = d != NULL;
    while (found) { /* a folder that changes may be read with gaps */
        const struct dirent *entry = NULL;
        found = false;
        rewinddir(d);
        while ((entry = readdir(d))) {
            (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
            if (entry->d_type == DT_REG && unlink(path) == 0)
                found = true;
        }
    }
    if (d)
        (void)closedir(d);
}

/* The state that a program which knows no migration finds; leaves the store closed. */
static pst_code fingerprint_of(const char *dir, uint64_t *out, struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/store.db", dir);
    const struct pst_db_options o = {.path = path, .create = true, .check_bytes = 1 << 30};
    PST_TRY(pst_db_open(&db, &o, err));
    return day_fingerprint(&db->writer, true, out, err);
}

static bool backup_is_sound(const struct test *t, bool must_be, char *words, size_t size)
{
    struct pst_backup_info info;
    struct pst_err err = {0};
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/backup.db", t->cut);
    if (!must_be && !pst_file_exists(path))
        return true;
    if (pst_store_verify(path, &info, &err) == PST_OK)
        return true;
    (void)snprintf(words, size, "the backup: %.400s", err.msg);
    return false;
}

static size_t look_up(struct test *t, uint64_t state)
{
    size_t i = (size_t)(state % SEEN);
    while (t->seen[i].state && t->seen[i].state != state)
        i = (i + 1) % SEEN;
    return i;
}

/* Opens the state afresh, once per state. */
static size_t examine(struct test *t, const struct machine *m, enum variant v, uint64_t seed,
                      bool had_backup)
{
    uint64_t state = leave(t, m, v, seed, false) + had_backup;
    size_t i = look_up(t, state);
    t->states++;
    if (t->seen[i].state)
        return i;
    if (++t->opened > SEEN * 3 / 4)
        die("too many states");
    empty(t->cut);
    (void)leave(t, m, v, seed, true);
    struct pst_err err = {0};
    char store[160];
    (void)snprintf(store, sizeof(store), "%s/store.db", t->cut);
    bool has_store = pst_file_exists(store);
    t->seen[i].state = state;
    t->seen[i].is_sound = false;
    if (fingerprint_of(t->cut, &t->seen[i].fingerprint, &err) != PST_OK)
        (void)snprintf(t->seen[i].words, sizeof(t->seen[i].words), "does not open: %.500s",
                       err.msg);
    else
        t->seen[i].is_sound =
            day_is_sound(t->cut, has_store, t->seen[i].words, sizeof(t->seen[i].words)) &&
            backup_is_sound(t, had_backup, t->seen[i].words, sizeof(t->seen[i].words));
    return i;
}

/* ---- the verdict ---- */

/* The last acknowledgement at or before n. */
static const struct ack *last_ack(const struct test *t, size_t n)
{
    size_t i = t->ack_count;
    while (i > 0 && t->acks[i - 1].at > n)
        i--;
    return i ? &t->acks[i - 1] : NULL;
}

static bool is_acked(const struct test *t, size_t n, const char *step)
{
    for (size_t i = 0; i < t->ack_count; i++)
        if (t->acks[i].at <= n && strcmp(t->acks[i].step, step) == 0)
            return true;
    return false;
}

static void report(struct test *t, size_t n, enum variant v, uint64_t seed, const char *words)
{
    const struct ack *ack = last_ack(t, n);
    t->violations++;
    if (t->quiet || t->violations > SHOWN)
        return;
    printf("power off before operation %zu (after: %s), %s, seed %llu: %s\n", n,
           ack ? ack->step : "nothing", variant_names[v], (unsigned long long)seed, words);
}

static void judge(struct test *t, const struct machine *m, size_t n, enum variant v, uint64_t seed)
{
    const struct ack *ack = last_ack(t, n);
    size_t i = examine(t, m, v, seed, is_acked(t, n, "a backup"));
    if (!t->seen[i].is_sound) {
        report(t, n, v, seed, t->seen[i].words);
        return;
    }
    for (size_t at = ack ? ack->at : 0; at <= n; at++)
        if (t->kept[at] == t->seen[i].fingerprint)
            return;
    for (size_t at = 0; at < (ack ? ack->at : 0); at++)
        if (t->kept[at] == t->seen[i].fingerprint) {
            report(t, n, v, seed, "an acknowledged commit is lost");
            return;
        }
    report(t, n, v, seed, "the store is what no commit made of it");
}

/* ---- one day ---- */

static void record_day(struct test *t, const char *plant)
{
    struct day d;
    struct pst_err err = {0};
    if (day_init(&d, t->base, &err) != PST_OK)
        die(err.msg);
    d.log_pages = LOG_PAGES;
    d.plant = plant;
    t->ack_count = 0;
    disk_record(t->base);
    for (size_t i = 0; i < day_step_count; i++) {
        if (day_run_step(&d, &day_steps[i], &err) != PST_OK) {
            printf("%s: %s\n", day_steps[i].name, err.msg);
            die("the day fails by itself");
        }
        struct ack *a = &t->acks[t->ack_count++];
        *a = (struct ack){.at = disk_op_count(), .step = day_steps[i].name};
        if (d.db && day_fingerprint(&d.db->writer, true, &a->fingerprint, &err) != PST_OK)
            die(err.msg);
    }
    t->ops = disk_recorded(&t->op_count);
    day_fini(&d);
    empty(t->base);
}

/* What the store is when nothing is lost, at each point: the states that commits made. */
static void find_commits(struct test *t)
{
    struct machine *m = calloc(1, sizeof(*m));
    t->kept = calloc(t->op_count + 1, sizeof(*t->kept));
    if (!m || !t->kept)
        die("no memory");
    for (size_t n = 0; n <= t->op_count; n++) {
        size_t i = examine(t, m, KEPT, 0, is_acked(t, n, "a backup"));
        t->kept[n] = t->seen[i].fingerprint;
        if (!t->seen[i].is_sound)
            report(t, n, KEPT, 0, t->seen[i].words);
        for (size_t a = 0; a < t->ack_count; a++)
            if (t->acks[a].at == n && t->acks[a].fingerprint &&
                t->acks[a].fingerprint != t->kept[n])
                report(t, n, KEPT, 0, "the store is not what it was before");
        if (n < t->op_count)
            advance(t, m, &t->ops[n]);
    }
    machine_fini(m);
}

static size_t count_commits(const struct test *t)
{
    size_t count = 1;
    for (size_t n = 1; n <= t->op_count; n++)
        count += t->kept[n] != t->kept[n - 1];
    return count;
}

/* Points first, first + step, ... */
static void cut_everywhere(struct test *t, size_t first, size_t step)
{
    struct machine *m = calloc(1, sizeof(*m));
    if (!m)
        die("no memory");
    for (size_t n = 0; n <= t->op_count; n++) {
        if (n % step == first) {
            judge(t, m, n, DROPPED, 0);
            for (unsigned i = 0; i < t->variants; i++)
                judge(t, m, n, PREFIX + (enum variant)((n / step + i) % (VARIANTS - PREFIX)),
                      n * 1000 + i);
        }
        if (n < t->op_count)
            advance(t, m, &t->ops[n]);
    }
    machine_fini(m);
}

struct totals {
    long states, opened, violations;
};

/* A worker's part, in a process of its own. */
static pid_t start_worker(struct test *t, size_t worker, size_t workers, int out)
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)snprintf(t->cut, sizeof(t->cut), "%s/cut%zu", t->base, worker);
    if (mkdir(t->cut, 0700) != 0)
        die("cannot make a directory");
    t->states = t->opened = t->violations = 0;
    cut_everywhere(t, worker, workers);
    const struct totals totals = {t->states, t->opened, t->violations};
    empty(t->cut);
    (void)rmdir(t->cut);
    (void)fflush(stdout);
    _exit(write(out, &totals, sizeof(totals)) == sizeof(totals) ? 0 : 70);
}

static void cut_with_workers(struct test *t)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t workers = cores < 1 ? 1 : cores > WORKERS_MAX ? WORKERS_MAX : (size_t)cores;
    int ends[2];
    if (pipe(ends) != 0)
        die("no pipe");
    for (size_t i = 0; i < workers; i++)
        if (start_worker(t, i, workers, ends[1]) < 0)
            die("cannot fork");
    (void)close(ends[1]);
    size_t heard = 0;
    struct totals totals;
    while (read(ends[0], &totals, sizeof(totals)) == sizeof(totals)) {
        t->states += totals.states;
        t->opened += totals.opened;
        t->violations += totals.violations;
        heard++;
    }
    (void)close(ends[0]);
    while (wait(NULL) > 0)
        continue;
    if (heard != workers)
        die("a worker died");
}

/* ---- all of it ---- */

static void prepare(struct test *t)
{
    const char *roots[] = {"/dev/shm", getenv("TMPDIR"), "/tmp"};
    for (size_t i = 0; i < PST_COUNT(roots); i++) {
        if (!roots[i] || access(roots[i], W_OK) != 0)
            continue;
        (void)snprintf(t->base, sizeof(t->base), "%s/pst-power-XXXXXX", roots[i]);
        if (mkdtemp(t->base))
            break;
        t->base[0] = '\0';
    }
    (void)snprintf(t->cut, sizeof(t->cut), "%s/cut", t->base);
    t->seen = calloc(SEEN, sizeof(*t->seen));
    if (!t->base[0] || mkdir(t->cut, 0700) != 0 || !t->seen)
        die("cannot make a directory");
}

static void forget(struct test *t)
{
    memset(t->seen, 0, SEEN * sizeof(*t->seen));
    free(t->kept);
    t->kept = NULL;
    t->states = t->opened = t->violations = 0;
}

static bool prove(struct test *t)
{
    record_day(t, NULL);
    find_commits(t);
    size_t commits = count_commits(t);
    cut_with_workers(t);
    bool fine = t->violations == 0 && commits > day_step_count / 2;
    printf("%s: %zu operations, %zu states made by commits, %ld cuts, %ld of them different, %ld"
           " violations\n",
           fine ? "ok" : "FAILED", t->op_count, commits, t->states, t->opened, t->violations);
    forget(t);
    return fine;
}

static bool control(struct test *t, const char *plant, bool forgets_dir, const char *what)
{
    t->quiet = true;
    t->forgets_dir = forgets_dir;
    record_day(t, plant);
    t->forgets_dir = false;
    find_commits(t); /* a process that is killed loses nothing, synced or not */
    long killed = t->violations;
    t->forgets_dir = forgets_dir;
    cut_everywhere(t, 3, 7);
    bool fine = killed == 0 && t->violations > 0;
    printf("%s: control, %s: %ld violations in %ld cuts\n", fine ? "ok" : "FAILED", what,
           t->violations, t->states);
    t->quiet = t->forgets_dir = false;
    forget(t);
    return fine;
}

int main(int argc, char **argv)
{
    static struct test t = {.variants = 2};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--full") == 0)
            t.variants = 4 * (VARIANTS - PREFIX);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    prepare(&t);
    int failed = !prove(&t);
    failed += !control(&t, "PRAGMA synchronous=OFF", false, "synchronous=OFF");
    failed += !control(&t, "PRAGMA synchronous=NORMAL", false, "synchronous=NORMAL");
    failed += !control(&t, NULL, true, "a directory that is not synced");
    empty(t.cut);
    if (rmdir(t.cut) != 0 || rmdir(t.base) != 0)
        die("something is left over");
    free(t.seen);
    printf("%d passed, %d failed\n", 4 - failed, failed);
    return failed ? 1 : 0;
}
