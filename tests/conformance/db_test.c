/* tests/conformance/db_test.c: what every driver of db/db.h has to do.
 *
 *   db_test sqlite     on a new file in a temporary directory
 *
 * The suite uses nothing of a driver but its header; what only SQLite has (its file, its log,
 * its lock) is tested under the name of the driver at the end.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"
#include "os/file.h"
#include "os/thread.h"
#include "tests/unit/test.h"

enum { THREADS = 4, WRITES_PER_THREAD = 200 };

struct world {
    char dir[64];
    char path[96];
    struct pst_db *db;
    struct pst_thread *writer;
    atomic_int topics[8];
    atomic_uint_fast64_t commits; /* that on_commit saw last */
};

static void note_commit(void *self, int64_t topic)
{
    struct world *w = self;
    if (topic >= 0 && topic < 8)
        atomic_fetch_add(&w->topics[topic], 1);
    atomic_store(&w->commits, pst_db_commits(w->db));
}

static pst_code open_world(struct world *w, bool create, struct pst_err *err)
{
    struct pst_db_options o = {.path = w->path,
                               .create = create,
                               .busy_ms = 200,
                               .check_bytes = 1 << 20,
                               .on_commit = note_commit,
                               .on_commit_self = w};
    return pst_db_open(&w->db, &o, err);
}

static void run_writer(void *arg)
{
    pst_db_writer_run(arg);
}

static void start_writer(struct world *w)
{
    struct pst_err err;
    assert_ok(pst_thread_start(&w->writer, "writer", run_writer, w->db, &err));
}

static void stop_writer(struct world *w)
{
    if (!w->writer)
        return;
    pst_db_writer_stop(w->db);
    pst_thread_join(w->writer);
    w->writer = NULL;
}

static pst_code make_table(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_db_exec_script(conn,
                              PST_STR("CREATE TABLE item (pk INTEGER PRIMARY KEY,"
                                      " name TEXT NOT NULL UNIQUE, body BLOB);"
                                      "CREATE TABLE part (item INTEGER NOT NULL REFERENCES item);"),
                              err);
}

static int set_up(void **state)
{
    struct pst_err err;
    struct world *w = calloc(1, sizeof(*w));
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/pst-db-XXXXXX");
    if (!mkdtemp(w->dir))
        return -1;
    (void)snprintf(w->path, sizeof(w->path), "%s/store.db", w->dir);
    assert_ok(open_world(w, true, &err));
    assert_ok(pst_db_write_direct(w->db, make_table, NULL, &err));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char cmd[128];
    stop_writer(w);
    pst_db_close(w->db);
    (void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", w->dir);
    int rc = system(cmd);
    free(w);
    return rc;
}

/* ---- jobs ---- */

struct insert {
    const char *name;
    int64_t pk; /* 0 = any */
    bool fail_after;
    int64_t topic; /* -1 = none */
};

static pst_code insert_item(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct insert *in = arg;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn, PST_STR("INSERT INTO item (pk, name) VALUES (?1, ?2)"), &st, err));
    if (in->pk)
        pst_stmt_bind_i64(st, 1, in->pk);
    else
        pst_stmt_bind_null(st, 1);
    pst_stmt_bind_str(st, 2, pst_str_from(in->name));
    int64_t changes = 0;
    PST_TRY(pst_stmt_run(st, &changes, err));
    assert_int_equal(changes, 1);
    if (in->topic >= 0)
        pst_db_notify(conn, in->topic);
    in->pk = pst_db_last_rowid(conn);
    if (in->fail_after)
        return PST_FAIL(err, PST_E_INVALID, "asked to fail");
    return PST_OK;
}

static int64_t count_items(struct pst_db_conn *conn)
{
    struct pst_err err;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_ok(pst_db_stmt(conn, PST_STR("SELECT count(*) FROM item"), &st, &err));
    assert_ok(pst_stmt_step(st, &row, &err));
    assert_true(row);
    return pst_stmt_i64(st, 0);
}

static int64_t count_in(struct pst_db *db)
{
    struct pst_err err;
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    assert_ok(pst_db_reader_new(db, &r, &err));
    return count_items(r);
}

/* ---- values and statements ---- */

static pst_code write_values(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn, PST_STR("INSERT INTO item (pk, name, body) VALUES (?1, ?2, ?3)"), &st,
                        err));
    pst_stmt_bind_i64(st, 1, INT64_MIN);
    pst_stmt_bind_str(st, 2, (pst_str){NULL, 0});
    pst_stmt_bind_blob(st, 3, "a\0b", 3);
    PST_TRY(pst_stmt_run(st, NULL, err));
    pst_stmt_bind_wall(st, 1, (pst_wall){1764000000000001});
    pst_stmt_bind_str(st, 2, PST_STR("\xC3\xA4\xF0\x9F\x90\xA7"));
    pst_stmt_bind_null(st, 3);
    return pst_stmt_run(st, NULL, err);
}

static void values_come_back_as_they_were_bound(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_ok(pst_db_write_direct(w->db, write_values, NULL, &err));
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    assert_ok(pst_db_stmt(r, PST_STR("SELECT pk, name, body FROM item ORDER BY pk"), &st, &err));
    assert_ok(pst_stmt_step(st, &row, &err));
    assert_true(row);
    assert_true(pst_stmt_i64(st, 0) == INT64_MIN);
    assert_false(pst_stmt_is_null(st, 1));
    assert_int_equal(pst_stmt_str(st, 1).len, 0);
    assert_int_equal(pst_stmt_blob(st, 2).len, 3);
    assert_memory_equal(pst_stmt_blob(st, 2).ptr, "a\0b", 3);
    assert_ok(pst_stmt_step(st, &row, &err));
    assert_true(pst_stmt_wall(st, 0).us == 1764000000000001);
    assert_str(pst_stmt_str(st, 1), "\xC3\xA4\xF0\x9F\x90\xA7");
    assert_true(pst_stmt_is_null(st, 2));
    assert_true(pst_wall_is_none(pst_stmt_wall(st, 2)));
    assert_str(pst_stmt_str(st, 2), "");
    assert_ok(pst_stmt_step(st, &row, &err));
    assert_false(row);
}

static void a_wrong_statement_is_internal_and_one_in_use_is_refused(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    struct pst_stmt *st = NULL;
    assert_code(pst_db_stmt(r, PST_STR("SELEKT 1"), &st, &err), PST_E_INTERNAL);
    assert_code(pst_db_stmt(r, PST_STR("SELECT 1; SELECT 2"), &st, &err), PST_E_INTERNAL);
    assert_code(pst_db_stmt(r, PST_STR(""), &st, &err), PST_E_INTERNAL);
    /* A double-quoted word is a name, never a text. */
    assert_code(pst_db_stmt(r, PST_STR("SELECT \"nothing\" FROM item"), &st, &err), PST_E_INTERNAL);
    assert_ok(pst_db_stmt(r, PST_STR("SELECT 1"), &st, &err));
    struct pst_stmt *again = NULL;
    assert_code(pst_db_stmt(r, PST_STR("SELECT 1"), &again, &err), PST_E_INTERNAL);
    pst_stmt_done(st);
    assert_ok(pst_db_stmt(r, PST_STR("SELECT 1"), &again, &err));
    pst_stmt_bind_i64(again, 7, 1); /* there is no seventh */
    bool row = false;
    assert_code(pst_stmt_step(again, &row, &err), PST_E_INTERNAL);
    pst_stmt_done(again);
    pst_stmt_done(NULL);
}

static void the_statement_cache_is_bounded_and_keeps_what_is_in_use(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    PST_AUTO(stmt) struct pst_stmt *held = NULL;
    bool row = false;
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    assert_ok(pst_db_stmt(r, PST_STR("SELECT 4711"), &held, &err));
    assert_ok(pst_stmt_step(held, &row, &err));
    for (int i = 0; i < 1000; i++) {
        char sql[32];
        PST_AUTO(stmt) struct pst_stmt *st = NULL;
        (void)snprintf(sql, sizeof(sql), "SELECT %d", i);
        assert_ok(pst_db_stmt(r, pst_str_from(sql), &st, &err));
        assert_ok(pst_stmt_step(st, &row, &err));
        assert_int_equal(pst_stmt_i64(st, 0), i);
    }
    assert_int_equal(pst_stmt_i64(held, 0), 4711);
}

static void text_compares_as_bytes(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    assert_ok(
        pst_db_stmt(r, PST_STR("SELECT 'Z' < 'a' AND 'a' < '\xC3\x84' AND 'a' <> 'A'"), &st, &err));
    assert_ok(pst_stmt_step(st, &row, &err));
    assert_int_equal(pst_stmt_i64(st, 0), 1);
}

static void a_reader_cannot_write(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    struct insert in = {.name = "x", .topic = -1};
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    assert_code(insert_item(r, &in, &err), PST_E_IO);
}

/* ---- transactions ---- */

static void a_failing_job_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct insert good = {.name = "a", .topic = 1};
    struct insert bad = {.name = "b", .fail_after = true, .topic = 2};
    assert_ok(pst_db_write_direct(w->db, insert_item, &good, &err));
    assert_code(pst_db_write_direct(w->db, insert_item, &bad, &err), PST_E_INVALID);
    assert_string_equal(err.msg, "asked to fail");
    assert_int_equal(count_in(w->db), 1);
    assert_int_equal(w->topics[1], 1);
    assert_int_equal(w->topics[2], 0);
}

static pst_code insert_orphan(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_db_exec_script(conn, PST_STR("INSERT INTO part (item) VALUES (99)"), err);
}

static pst_code insert_null(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_db_exec_script(conn, PST_STR("INSERT INTO item (name) VALUES (NULL)"), err);
}

static void uniqueness_and_references_are_conflicts(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct insert in = {.name = "a", .topic = -1};
    struct insert same = {.name = "a", .topic = -1};
    assert_ok(pst_db_write_direct(w->db, insert_item, &in, &err));
    assert_code(pst_db_write_direct(w->db, insert_item, &same, &err), PST_E_CONFLICT);
    same = (struct insert){.name = "b", .pk = in.pk, .topic = -1};
    assert_code(pst_db_write_direct(w->db, insert_item, &same, &err), PST_E_CONFLICT);
    assert_code(pst_db_write_direct(w->db, insert_orphan, NULL, &err), PST_E_CONFLICT);
    assert_code(pst_db_write_direct(w->db, insert_null, NULL, &err), PST_E_INTERNAL);
    assert_int_equal(count_in(w->db), 1);
}

static void a_snapshot_does_not_see_later_commits(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    struct insert in = {.name = "a", .topic = -1};
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    assert_ok(pst_db_snapshot_begin(r, &err));
    assert_int_equal(count_items(r), 0);
    assert_ok(pst_db_write_direct(w->db, insert_item, &in, &err));
    assert_int_equal(count_items(r), 0);
    pst_db_snapshot_end(r);
    assert_int_equal(count_items(r), 1);
}

static void the_number_of_commits_has_moved_before_anybody_learns_of_one(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct insert in = {.name = "a", .topic = 1};
    uint64_t before = pst_db_commits(w->db);
    assert_ok(pst_db_write_direct(w->db, insert_item, &in, &err));
    assert_int_equal(pst_db_commits(w->db), before + 1);
    assert_int_equal(w->commits, before + 1);
}

/* ---- the writer thread ---- */

struct client {
    struct world *w;
    int number;
    pthread_t thread;
    int ok, conflicts;
};

static void *write_many(void *arg)
{
    struct client *c = arg;
    for (int i = 0; i < WRITES_PER_THREAD; i++) {
        char name[32];
        struct pst_err err;
        /* Every tenth name is written by all, so that jobs fail inside of groups. */
        (void)snprintf(name, sizeof(name), "%d-%d", i % 10 ? c->number : -1, i);
        struct insert in = {.name = name, .topic = i % 8};
        pst_code code = pst_db_write(c->w->db, insert_item, &in, &err);
        c->ok += code == PST_OK;
        c->conflicts += code == PST_E_CONFLICT;
    }
    return NULL;
}

static void many_threads_write_and_each_learns_its_own_result(void **state)
{
    struct world *w = *state;
    struct client clients[THREADS];
    int ok = 0;
    int conflicts = 0;
    start_writer(w);
    for (int i = 0; i < THREADS; i++) {
        clients[i] = (struct client){.w = w, .number = i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, write_many, &clients[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(clients[i].thread, NULL);
        ok += clients[i].ok;
        conflicts += clients[i].conflicts;
    }
    assert_int_equal(ok + conflicts, THREADS * WRITES_PER_THREAD);
    assert_int_equal(conflicts, (THREADS - 1) * WRITES_PER_THREAD / 10);
    assert_int_equal(count_in(w->db), ok);
}

/* Holds the writer thread until everything behind it is queued, so that it makes one group. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool is_reached; /* the writer stands at it: what comes now is queued */
    bool is_open;
};

static pst_code wait_at_gate(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)conn;
    (void)err;
    struct gate *g = arg;
    (void)pthread_mutex_lock(&g->mutex);
    g->is_reached = true;
    (void)pthread_cond_broadcast(&g->cond);
    while (!g->is_open)
        (void)pthread_cond_wait(&g->cond, &g->mutex);
    (void)pthread_mutex_unlock(&g->mutex);
    return PST_OK;
}

static void open_gate(struct gate *g)
{
    (void)pthread_mutex_lock(&g->mutex);
    g->is_open = true;
    (void)pthread_cond_broadcast(&g->cond);
    (void)pthread_mutex_unlock(&g->mutex);
}

/* The writer holds the job that waits at the gate, and nothing else. */
static void hold_writer(struct world *w, struct gate *g, struct pst_db_job *hold)
{
    struct pst_err err;
    assert_ok(pst_db_write_async(w->db, hold, &err));
    (void)pthread_mutex_lock(&g->mutex);
    while (!g->is_reached)
        (void)pthread_cond_wait(&g->cond, &g->mutex);
    (void)pthread_mutex_unlock(&g->mutex);
}

static atomic_int jobs_done;

static void count_done(struct pst_db_job *job)
{
    (void)job;
    atomic_fetch_add(&jobs_done, 1);
}

static void in_a_group_only_the_failing_jobs_are_undone(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct gate g = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct pst_db_job hold = {.fn = wait_at_gate, .arg = &g, .done = count_done};
    struct insert in[6];
    struct pst_db_job jobs[6];
    char names[6][8];
    atomic_store(&jobs_done, 0);
    start_writer(w);
    hold_writer(w, &g, &hold);
    for (int i = 0; i < 6; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%d", i);
        in[i] = (struct insert){.name = names[i], .fail_after = i % 3 == 1, .topic = i};
        jobs[i] = (struct pst_db_job){.fn = insert_item, .arg = &in[i], .done = count_done};
        assert_ok(pst_db_write_async(w->db, &jobs[i], &err));
    }
    open_gate(&g);
    stop_writer(w); /* works off what is queued */
    assert_int_equal(atomic_load(&jobs_done), 7);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(jobs[i].code, i % 3 == 1 ? PST_E_INVALID : PST_OK);
        assert_int_equal(w->topics[i], i % 3 == 1 ? 0 : 1);
    }
    assert_int_equal(count_in(w->db), 4);
}

static void a_full_queue_and_a_stopped_writer_refuse(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct gate g = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    enum { JOBS = 600 };
    struct pst_db_job hold = {.fn = wait_at_gate, .arg = &g, .done = count_done};
    static struct pst_db_job jobs[JOBS];
    int accepted = 0;
    pst_code code = PST_OK;
    start_writer(w);
    hold_writer(w, &g, &hold);
    while (accepted < JOBS && code == PST_OK) {
        jobs[accepted] = (struct pst_db_job){.fn = wait_at_gate, .arg = &g, .done = count_done};
        code = pst_db_write_async(w->db, &jobs[accepted], &err);
        accepted += code == PST_OK;
    }
    open_gate(&g);
    stop_writer(w);
    assert_int_equal(code, PST_E_UNAVAILABLE);
    assert_int_equal(accepted, 256); /* db.h: the default */
    struct insert in = {.name = "late", .topic = -1};
    assert_code(pst_db_write(w->db, insert_item, &in, &err), PST_E_UNAVAILABLE);
    assert_code(pst_db_write_async(w->db, &hold, &err), PST_E_UNAVAILABLE);
}

/* ---- migrations ---- */

static const struct pst_migration first_steps[] = {
    {1, "one", PST_STR_INIT("CREATE TABLE one (a INTEGER); CREATE TABLE more (b TEXT);")},
    {2, "two", PST_STR_INIT("ALTER TABLE one ADD COLUMN c TEXT")},
};
static const struct pst_migration edited_steps[] = {
    {1, "one", PST_STR_INIT("CREATE TABLE one (a INTEGER); CREATE TABLE more (b BLOB);")},
    {2, "two", PST_STR_INIT("ALTER TABLE one ADD COLUMN c TEXT")},
};
static const struct pst_migration breaking_steps[] = {
    {1, "one", PST_STR_INIT("CREATE TABLE one (a INTEGER); CREATE TABLE more (b TEXT);")},
    {2, "two", PST_STR_INIT("ALTER TABLE one ADD COLUMN c TEXT")},
    {3, "half", PST_STR_INIT("CREATE TABLE half (x INTEGER); CREATE TABLE one (a INTEGER);")},
};
static const struct pst_migration gapped_steps[] = {
    {1, "one", PST_STR_INIT("CREATE TABLE one (a INTEGER); CREATE TABLE more (b TEXT);")},
    {3, "three", PST_STR_INIT("CREATE TABLE three (x INTEGER)")},
};

static void migrations_run_once_and_in_order(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    assert_ok(pst_db_migrate(w->db, first_steps, 1, &err));
    assert_ok(pst_db_migrate(w->db, first_steps, 2, &err));
    assert_ok(pst_db_migrate(w->db, first_steps, 2, &err));
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    assert_ok(pst_db_stmt(r, PST_STR("SELECT a, c FROM one"), &st, &err));
}

static void an_edited_a_newer_and_a_broken_schema_are_refused(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    assert_ok(pst_db_migrate(w->db, first_steps, 2, &err));
    assert_code(pst_db_migrate(w->db, edited_steps, 2, &err), PST_E_CONFLICT);
    assert_code(pst_db_migrate(w->db, first_steps, 1, &err), PST_E_CONFLICT);
    assert_code(pst_db_migrate(w->db, gapped_steps, 2, &err), PST_E_INTERNAL);
    assert_code(pst_db_migrate(w->db, breaking_steps, 3, &err), PST_E_INTERNAL);
    /* The step that broke left nothing, and the store goes on. */
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    struct pst_stmt *st = NULL;
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    assert_code(pst_db_stmt(r, PST_STR("SELECT x FROM half"), &st, &err), PST_E_INTERNAL);
    assert_ok(pst_db_migrate(w->db, first_steps, 2, &err));
}

/* ---- care ---- */

static void a_backup_made_while_others_write_is_one_state(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct client c = {.w = w, .number = 1};
    char copy[128];
    (void)snprintf(copy, sizeof(copy), "%s/copy.db", w->dir);
    start_writer(w);
    assert_int_equal(pthread_create(&c.thread, NULL, write_many, &c), 0);
    assert_ok(pst_db_backup(w->db, copy, &err));
    (void)pthread_join(c.thread, NULL);
    assert_code(pst_db_backup(w->db, copy, &err), PST_E_CONFLICT);

    struct pst_file_info info;
    assert_ok(pst_file_stat(copy, &info, &err));
    assert_int_equal(info.mode, 0600);
    PST_AUTO(db) struct pst_db *other = NULL;
    assert_ok(pst_db_open(&other, &(struct pst_db_options){.path = copy}, &err));
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    assert_ok(pst_db_reader_new(other, &r, &err));
    assert_ok(pst_db_check(r, &err));
    assert_in_range(count_items(r), 0, WRITES_PER_THREAD);
}

/* ---- SQLite ---- */

static void sqlite_keeps_the_file_private_and_locked(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_file_info info;
    struct pst_db *second = NULL;
    assert_ok(pst_file_stat(w->path, &info, &err));
    assert_int_equal(info.mode, 0600);
    pid_t child = fork();
    if (child == 0)
        _exit(pst_db_open(&second, &(struct pst_db_options){.path = w->path}, &err) ==
                      PST_E_UNAVAILABLE
                  ? 0
                  : 1);
    int status = -1;
    (void)waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

static void sqlite_opens_only_stores(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_db *db = NULL;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/other.db", w->dir);
    struct pst_db_options o = {.path = path};
    assert_code(pst_db_open(&db, &o, &err), PST_E_NOT_FOUND);
    assert_ok(
        pst_file_write(path, PST_STR("this is no database, but long enough for one"), 0600, &err));
    assert_code(pst_db_open(&db, &o, &err), PST_E_CORRUPT);
    assert_null(db);
}

static void sqlite_leaves_no_log_after_a_clean_close(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    char log[128];
    (void)snprintf(log, sizeof(log), "%s-wal", w->path);
    assert_true(pst_file_exists(log));
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    assert_int_equal(count_items(r), 0);
    pst_db_reader_free(PST_TAKE(r));
    pst_db_close(w->db);
    w->db = NULL;
    assert_false(pst_file_exists(log));
    assert_ok(open_world(w, false, &err));
    assert_false(pst_db_was_unclean(w->db));
}

static void sqlite_checks_after_a_crash_and_keeps_what_was_committed(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_db_close(w->db);
    w->db = NULL;
    pid_t child = fork();
    if (child == 0) {
        struct insert in = {.name = "before the crash", .topic = -1};
        if (open_world(w, false, &err) != PST_OK)
            _exit(1);
        _exit(pst_db_write_direct(w->db, insert_item, &in, &err) == PST_OK ? 0 : 2);
    }
    int status = -1;
    (void)waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_ok(open_world(w, false, &err));
    assert_true(pst_db_was_unclean(w->db));
    assert_int_equal(count_in(w->db), 1);
}

static void sqlite_reports_damage(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    for (int i = 0; i < 200; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "a name that fills the pages of the file %d", i);
        struct insert in = {.name = name, .topic = -1};
        assert_ok(pst_db_write_direct(w->db, insert_item, &in, &err));
    }
    pst_db_close(w->db);
    w->db = NULL;
    int fd = open(w->path, O_RDWR | O_CLOEXEC);
    char junk[4096];
    memset(junk, 0x5A, sizeof(junk));
    assert_true(pwrite(fd, junk, sizeof(junk), 5 * 4096) == (ssize_t)sizeof(junk));
    (void)close(fd);
    assert_ok(open_world(w, false, &err));
    PST_AUTO(db_reader) struct pst_db_conn *r = NULL;
    assert_ok(pst_db_reader_new(w->db, &r, &err));
    assert_code(pst_db_check(r, &err), PST_E_CORRUPT);
}

static pst_code insert_big(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    static const char big[100000];
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(
        pst_db_stmt(conn, PST_STR("INSERT INTO item (name, body) VALUES (hex(?1), ?1)"), &st, err));
    pst_stmt_bind_blob(st, 1, big, sizeof(big));
    return pst_stmt_run(st, NULL, err);
}

static pst_code limit_pages(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_db_exec_script(conn, PST_STR("PRAGMA max_page_count=20"), err);
}

static void sqlite_says_disk_full_and_goes_on_when_there_is_room(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct insert in = {.name = "fits", .topic = -1};
    assert_ok(pst_db_write_direct(w->db, limit_pages, NULL, &err)); /* of this handle only */
    assert_code(pst_db_write_direct(w->db, insert_big, NULL, &err), PST_E_DISK_FULL);
    assert_int_equal(count_in(w->db), 0);
    assert_ok(pst_db_write_direct(w->db, insert_big, NULL, &err)); /* on a new handle */
    assert_ok(pst_db_write_direct(w->db, insert_item, &in, &err));
    assert_int_equal(count_in(w->db), 2);
}

static void sqlite_survives_a_write_error_in_a_commit(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct rlimit old;
    struct insert in = {.name = "later", .topic = -1};
    struct insert lost = {.name = "lost", .topic = 3};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {.rlim_cur = 8192, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    pst_code code = pst_db_write_direct(w->db, insert_item, &lost, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(code == PST_E_IO || code == PST_E_DISK_FULL);
    assert_int_equal(w->topics[3], 0);
    assert_ok(pst_db_write_direct(w->db, insert_item, &in, &err));
    assert_int_equal(count_in(w->db), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest every_driver[] = {
        CASE(values_come_back_as_they_were_bound),
        CASE(a_wrong_statement_is_internal_and_one_in_use_is_refused),
        CASE(the_statement_cache_is_bounded_and_keeps_what_is_in_use),
        CASE(text_compares_as_bytes),
        CASE(a_reader_cannot_write),
        CASE(a_failing_job_leaves_nothing),
        CASE(uniqueness_and_references_are_conflicts),
        CASE(a_snapshot_does_not_see_later_commits),
        CASE(the_number_of_commits_has_moved_before_anybody_learns_of_one),
        CASE(many_threads_write_and_each_learns_its_own_result),
        CASE(in_a_group_only_the_failing_jobs_are_undone),
        CASE(a_full_queue_and_a_stopped_writer_refuse),
        CASE(migrations_run_once_and_in_order),
        CASE(an_edited_a_newer_and_a_broken_schema_are_refused),
        CASE(a_backup_made_while_others_write_is_one_state),
    };
    const struct CMUnitTest sqlite[] = {
        CASE(sqlite_keeps_the_file_private_and_locked),
        CASE(sqlite_opens_only_stores),
        CASE(sqlite_leaves_no_log_after_a_clean_close),
        CASE(sqlite_checks_after_a_crash_and_keeps_what_was_committed),
        CASE(sqlite_reports_damage),
        CASE(sqlite_says_disk_full_and_goes_on_when_there_is_room),
        CASE(sqlite_survives_a_write_error_in_a_commit),
    };
    if (argc != 2 || strcmp(argv[1], "sqlite") != 0) {
        (void)fprintf(stderr, "usage: %s sqlite\n", argv[0]);
        return 2;
    }
    int failed = cmocka_run_group_tests_name("db: sqlite", every_driver, NULL, NULL);
    failed += cmocka_run_group_tests_name("sqlite only", sqlite, NULL, NULL);
    return failed;
}
