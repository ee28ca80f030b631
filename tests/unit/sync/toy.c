#include "tests/unit/sync/toy.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "codec/tz.h"
#include "crypto/crypto.h"
#include "os/thread.h"
#include "store/accounts.h"

static const char manifest[] = "name: toy\n"
                               "title: A toy\n"
                               "credits: 0\n"
                               "options: {}\n"
                               "streams:\n"
                               "  suppliers:\n"
                               "    stamp: {column: MODIFIED, type: datetime}\n"
                               "    display_name: NAME\n"
                               "    fields:\n"
                               "      number: {column: ID, required: true}\n"
                               "      name: {column: NAME, required: true}\n"
                               "      status: {column: STATUS, map: {A: approved, I: inactive}}\n"
                               "  items:\n"
                               "    windowed: true\n"
                               "    stamp: {column: MODIFIED, type: datetime}\n"
                               "    display_name: NAME\n"
                               "    fields:\n"
                               "      number: {column: ID, required: true}\n"
                               "      name: {column: NAME, required: true}\n"
                               "      status: {column: STATUS, map: {A: active, I: inactive}}\n";

static const char *const names[] = {"suppliers", "items"};

/* ---- the connector ---- */

struct pst_connector {
    struct toy_world *world;
    unsigned before; /* calls, when it was opened */
};

static pst_code answer(struct toy_world *w, struct pst_err *err)
{
    struct toy *t = &w->toy;
    unsigned call = t->calls++;
    if (t->hook)
        t->hook(w, call);
    if (t->cancel && atomic_load(t->cancel))
        return PST_FAIL(err, PST_E_CANCELLED, "broken off");
    pst_code code = call < TOY_CALLS ? t->fail[call] : PST_OK;
    if (code == PST_OK)
        return PST_OK;
    pst_code rc = PST_FAIL(err, code, "toy.example.com said no");
    err->retry_after_s = t->retry_after_s;
    return rc;
}

static pst_code toy_source_now(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                               pst_wall *out, struct pst_err *err)
{
    (void)ctx;
    PST_TRY(answer(self->world, err));
    out->us = self->world->toy.now_s * PST_US_PER_S;
    return PST_OK;
}

static void fill_cell(struct pst_cell *cell, pst_str text)
{
    *cell = (struct pst_cell){.kind = PST_CELL_TEXT, .text = text};
}

static pst_code fill_document(struct pst_arena *arena, const struct toy_row *row, unsigned number,
                              struct pst_document *doc, struct pst_err *err)
{
    char stamp[PST_WALL_TEXT];
    struct pst_cell *cells = NULL;
    struct pst_buf key;
    *doc = (struct pst_document){.row_count = 1, .stamp = {row->stamp_s * PST_US_PER_S}};
    PST_TRY(pst_arena_array(arena, &cells, 4, sizeof *cells, err));
    PST_TRY(pst_arena_printf(arena, &doc->source_id, err, "S%05u", number));
    pst_buf_init(&key, 64);
    pst_sort_key_add_text(&key, doc->source_id);
    pst_code rc = pst_buf_check(&key, err);
    if (rc == PST_OK)
        rc = pst_arena_dup(arena, &doc->sort_key, pst_buf_str(&key), err);
    pst_buf_fini(&key);
    PST_TRY(rc);
    pst_str text;
    fill_cell(&cells[0], doc->source_id);
    PST_TRY(pst_arena_dup(arena, &text, pst_str_from(row->name), err));
    fill_cell(&cells[1], text);
    size_t n = pst_wall_format(stamp, doc->stamp);
    PST_TRY(pst_arena_dup(arena, &text, (pst_str){stamp, n}, err));
    fill_cell(&cells[2], text);
    PST_TRY(pst_arena_dup(arena, &text, (pst_str){&row->status, 1}, err));
    fill_cell(&cells[3], text);
    doc->cells = cells;
    if (row->has_fault) {
        doc->fault = PST_STR("bad UTF-8 at byte 12");
        doc->source_id = doc->sort_key = (pst_str){0};
    }
    return PST_OK;
}

static bool is_asked_for(const struct toy_row *row, const struct pst_fetch *f)
{
    int64_t us = row->stamp_s * PST_US_PER_S;
    return row->exists && (pst_wall_is_none(f->from) || us >= f->from.us) &&
           (pst_wall_is_none(f->to) || us < f->to.us);
}

static unsigned number_of(pst_str key)
{
    unsigned n = 0;
    for (size_t i = 0; i < key.len; i++)
        n = n * 10 + (unsigned)(key.ptr[i] - '0');
    return n;
}

static pst_code toy_fetch(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                          const struct pst_fetch *f, struct pst_arena *arena, struct pst_page *out,
                          struct pst_err *err)
{
    static const pst_str columns[] = {PST_STR_INIT("ID"), PST_STR_INIT("NAME"),
                                      PST_STR_INIT("MODIFIED"), PST_STR_INIT("STATUS")};
    struct toy_world *w = self->world;
    struct toy *t = &w->toy;
    struct pst_document *docs = NULL;
    unsigned limit = t->page_docs ? t->page_docs : f->limit;
    (void)ctx;
    PST_TRY(answer(w, err));
    t->last = *f;
    PST_TRY(pst_arena_array(arena, &docs, limit + 1, sizeof *docs, err));
    int stream = pst_str_is(f->stream->name, "items") ? TOY_ITEMS : TOY_SUPPLIERS;
    unsigned begin = f->after_key.len ? number_of(f->after_key) + 1 : 0;
    unsigned last = 0;
    size_t n = 0;
    /* In descending order the key is the distance from the end. */
    for (unsigned at = begin; at < TOY_ROWS && n < limit; at++) {
        unsigned number = t->descending ? TOY_ROWS - 1 - at : at;
        const struct toy_row *row = &t->rows[stream][number];
        if (!is_asked_for(row, f))
            continue;
        PST_TRY(fill_document(arena, row, number, &docs[n++], err));
        if (row->twice && n <= limit)
            docs[n] = docs[n - 1], n++;
        last = at;
    }
    *out = (struct pst_page){.columns = {columns, t->lacks_column ? 3 : 4},
                             .documents = docs,
                             .count = n,
                             .end = n == 0,
                             .rows = n,
                             .bytes = 100 * n,
                             .wait_us = 10};
    if (t->unnamed && n > 0)
        out->unnamed = pst_str_from(t->unnamed);
    return n == 0 ? PST_OK : pst_arena_printf(arena, &out->next_key, err, "%u", last);
}

static pst_code toy_describe(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                             const struct pst_stream *stream, struct pst_arena *arena,
                             struct pst_source_columns *out, struct pst_err *err)
{
    struct toy *t = &self->world->toy;
    pst_str left = pst_str_from(t->described);
    (void)ctx;
    (void)stream;
    t->described_times++;
    if (t->describe_fails != PST_OK)
        return PST_FAIL(err, t->describe_fails, "no description");
    *out = (struct pst_source_columns){0};
    PST_TRY(pst_arena_array(arena, &out->items, 20, sizeof(*out->items), err));
    while (left.len) {
        pst_str type = pst_str_split(&left, ' ');
        pst_str name = pst_str_split(&type, ':');
        out->items[out->count++] = (struct pst_source_column){
            .name = name, .type = pst_str_split(&type, ':'), .column = type};
    }
    return PST_OK;
}

static pst_code toy_probe(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                          struct pst_err *err)
{
    struct toy_world *w = self->world;
    assert_true(ctx->deadline.ns <= (w->mono_ms + 10000) * PST_NS_PER_MS);
    return answer(w, err);
}

static const struct pst_connector_ops toy_ops = {
    .name = "toy",
    .manifest_yaml = manifest,
    .manifest_len = sizeof manifest - 1,
    .probe = toy_probe,
    .source_now = toy_source_now,
    .fetch = toy_fetch,
};

static const struct pst_connector_ops toy_described_ops = {
    .name = "toy",
    .manifest_yaml = manifest,
    .manifest_len = sizeof manifest - 1,
    .probe = toy_probe,
    .source_now = toy_source_now,
    .fetch = toy_fetch,
    .describe = toy_describe,
};

static pst_code open_toy(void *self, unsigned worker, const struct pst_connection *connection,
                         pst_str sync_id, pst_str request_id, const atomic_bool *cancel,
                         struct pst_sync_system *out, struct pst_err *err)
{
    struct toy_world *w = self;
    struct pst_connector *c = NULL;
    (void)worker;
    (void)connection;
    (void)sync_id;
    (void)request_id;
    PST_TRY(pst_new((void **)&c, sizeof *c, err));
    c->world = w;
    c->before = w->toy.calls;
    *out = (struct pst_sync_system){.ops = w->toy.described ? &toy_described_ops : &toy_ops,
                                    .manifest = w->entry.manifest,
                                    .connector = c,
                                    .ctx.zone = w->zone,
                                    .self = c};
    w->toy.opened++;
    w->toy.cancel = cancel;
    return PST_OK;
}

static int64_t calls_of_toy(void *self, const struct pst_sync_system *system)
{
    const struct toy_world *w = self;
    return (int64_t)w->toy.calls - system->connector->before;
}

static void close_toy(void *self, struct pst_sync_system *system)
{
    struct toy_world *w = self;
    w->toy.closed++;
    w->toy.cancel = NULL;
    pst_free(system->self);
}

/* ---- the host ---- */

static pst_mono host_mono(void *self)
{
    const struct toy_world *w = self;
    return (pst_mono){w->mono_ms * PST_NS_PER_MS};
}

static pst_wall host_wall(void *self)
{
    const struct toy_world *w = self;
    return w->wall;
}

static uint64_t host_random(void *self)
{
    struct toy_world *w = self;
    w->random += 0x9e3779b97f4a7c15U;
    return w->random ^ (w->random >> 31);
}

static void host_sleep(void *self, int64_t ms)
{
    struct toy_world *w = self;
    w->mono_ms += ms;
    w->slept_ms += ms;
    if (w->on_sleep)
        w->on_sleep(w);
}

static void host_ring(void *self, enum pst_sync_bell bell)
{
    struct toy_world *w = self;
    if (bell != PST_SYNC_BELL_SCHEDULER)
        return;
    (void)pthread_mutex_lock(&w->mutex);
    w->scheduler_rings++;
    (void)pthread_cond_signal(&w->cond);
    (void)pthread_mutex_unlock(&w->mutex);
}

/* Only a wait without end really waits. */
static bool take_ring(struct toy_world *w, bool waits)
{
    (void)pthread_mutex_lock(&w->mutex);
    while (waits && w->scheduler_rings == 0)
        (void)pthread_cond_wait(&w->cond, &w->mutex);
    bool rung = w->scheduler_rings > 0;
    w->scheduler_rings -= rung;
    (void)pthread_mutex_unlock(&w->mutex);
    return rung;
}

static void pass_time(struct toy_world *w, int64_t ms)
{
    w->mono_ms += ms;
    w->wall.us += ms * 1000;
    w->idle_ms += ms;
}

/* A worker that finds nothing to do, and nothing that waits for its time, has done what the test
 * wants. For the scheduler time passes when nobody rings. */
static void host_await(void *self, enum pst_sync_bell bell, int64_t timeout_ms)
{
    struct toy_world *w = self;
    if (bell == PST_SYNC_BELL_WORK) {
        if (toy_number(w, "SELECT count(*) FROM sync WHERE claimed = 0 AND resume_at > 0") == 0)
            pst_sync_stop(w->engine);
        else
            pass_time(w, timeout_ms);
        if (w->idle)
            w->idle(w);
        return;
    }
    if (take_ring(w, timeout_ms < 0))
        return;
    pass_time(w, timeout_ms);
    if (w->idle)
        w->idle(w);
}

static void keep_report(void *self, const struct pst_sync_report *report)
{
    struct toy_world *w = self;
    w->report = *report;
    w->reports++;
    if (report->err) {
        w->report_err = *report->err;
        w->report.err = &w->report_err;
    }
}

/* ---- a lane: on the spot, or with a thread for each fetch ---- */

struct lane {
    struct pst_thread *thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned signals;
    bool is_threaded;
    void (*fn)(void *arg);
    void *arg;
};

static void run_fetch(void *self)
{
    struct lane *l = self;
    l->fn(l->arg);
}

static void fetch_start(void *self, void (*fn)(void *arg), void *arg)
{
    struct lane *l = self;
    struct pst_err err;
    l->fn = fn;
    l->arg = arg;
    if (l->is_threaded)
        assert_ok(pst_thread_start(&l->thread, "fetch", run_fetch, l, &err));
    else
        fn(arg);
}

static void fetch_wait(void *self)
{
    struct lane *l = self;
    pst_thread_join(l->thread);
    l->thread = NULL;
}

static void lane_signal(void *self)
{
    struct lane *l = self;
    (void)pthread_mutex_lock(&l->mutex);
    l->signals++;
    (void)pthread_cond_signal(&l->cond);
    (void)pthread_mutex_unlock(&l->mutex);
}

static void lane_await(void *self)
{
    struct lane *l = self;
    (void)pthread_mutex_lock(&l->mutex);
    while (l->signals == 0)
        (void)pthread_cond_wait(&l->cond, &l->mutex);
    l->signals--;
    (void)pthread_mutex_unlock(&l->mutex);
}

/* ---- the world ---- */

void toy_world_make(struct toy_world *w)
{
    struct pst_err err;
    memset(w, 0, sizeof *w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/pst-sync-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_ok(pst_crypto_init(&err));
    w->toy.now_s = 20000LL * TOY_DAY_S;
    w->wall.us = w->toy.now_s * PST_US_PER_S;
    w->mono_ms = 1000;
    w->random = 42;
    w->fail_alloc_at = -1;
    w->trigger = PST_SYNC_MANUAL;
    (void)pthread_mutex_init(&w->mutex, NULL);
    (void)pthread_cond_init(&w->cond, NULL);
}

static void on_commit(void *self, int64_t topic)
{
    struct toy_world *w = self;
    (void)topic;
    if (w->on_commit)
        w->on_commit(w);
}

static pst_code create_connection(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct toy_world *w = arg;
    uint8_t raw[PST_ID_RAW] = {1};
    struct pst_organization org = {
        .id = pst_id_format("org_", raw), .name = PST_STR("Toys"), .created_at = w->wall};
    struct pst_connection c = {.id = pst_id_format("conn_", raw),
                               .name = PST_STR("Toy"),
                               .connector = PST_STR("toy"),
                               .config = PST_STR("{}"),
                               .schedule = PST_STR("{\"manual\":true}"),
                               .history_days = 90,
                               .entities = PST_STR("[]"),
                               .metadata = PST_STR("{}"),
                               .mapping = PST_STR("{}"),
                               .status = PST_CONNECTION_PENDING,
                               .status_since = w->wall,
                               .next_run_at = PST_WALL_NONE,
                               .last_tick_at = PST_WALL_NONE,
                               .created_at = w->wall,
                               .updated_at = w->wall,
                               .deleted_at = PST_WALL_NONE};
    PST_TRY(pst_organizations_create(conn, &org, err));
    c.organization_pk = org.pk;
    PST_TRY(pst_connections_create(conn, &c, PST_STR(""), err));
    return PST_OK;
}

static void run_writer(void *db)
{
    pst_db_writer_run(db);
}

void toy_world_open(struct toy_world *w)
{
    struct pst_err err;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/store.db", w->dir);
    const struct pst_db_options options = {.path = path,
                                           .create = true,
                                           .cache_bytes = 4 << 20,
                                           .busy_ms = 1000,
                                           .queue_length = 64,
                                           .on_commit = on_commit,
                                           .on_commit_self = w};
    uint8_t raw[PST_ID_RAW] = {1};
    assert_ok(pst_store_open(&w->db, &options, &err));
    assert_ok(pst_db_reader_new(w->db, &w->reader, &err));
    if (toy_number(w, "SELECT count(*) FROM connection") == 0)
        assert_ok(pst_db_write_direct(w->db, create_connection, w, &err));
    w->connection_pk = toy_number(w, "SELECT min(pk) FROM connection");
    w->syncs = (unsigned)toy_number(w, "SELECT count(*) FROM sync");
    w->connection_id = pst_id_format("conn_", raw);
    assert_ok(pst_thread_start(&w->writer, "writer", run_writer, w->db, &err));
    assert_ok(pst_arena_new(&w->arena, 64 << 20, &err));
    w->entry.ops = &toy_ops;
    assert_ok(pst_manifest_new(&w->entry.manifest, &toy_ops, &err));
    assert_ok(pst_tz_load(&w->zone, NULL, PST_STR("UTC"), &err));
    w->connectors = (struct pst_connectors){&w->entry, 1};
    w->options = (struct pst_sync_options){
        .db = w->db,
        .connectors = &w->connectors,
        .host = {.mono = host_mono,
                 .wall = host_wall,
                 .random = host_random,
                 .sleep_ms = host_sleep,
                 .ring = host_ring,
                 .await = host_await,
                 .self = w},
        .systems = {.open = open_toy, .close = close_toy, .calls = calls_of_toy, .self = w},
        .report = keep_report,
        .report_self = w,
        .workers = 1,
        .page_rows = 100,
        .overlap_ms = 600000,
        .delete_guard_percent = 20,
    };
    assert_ok(pst_sync_engine_new(&w->engine, &w->options, &err));
    assert_ok(pst_sync_recover(w->engine, &err));
}

void toy_world_close(struct toy_world *w)
{
    pst_db_writer_stop(w->db);
    pst_thread_join(w->writer);
    pst_sync_engine_free(w->engine);
    pst_manifest_free(w->entry.manifest);
    pst_tz_free(w->zone);
    pst_arena_free(w->arena);
    pst_db_reader_free(w->reader);
    pst_db_close(w->db);
}

void toy_world_remove(struct toy_world *w)
{
    static const char *const files[] = {"store.db", "store.db-wal", "store.db-shm", "store.db.lock",
                                        "store.db-lock"};
    for (size_t i = 0; i < PST_COUNT(files); i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", w->dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(w->dir);
}

void toy_put(struct toy_world *w, int stream, unsigned number, const char *name, int64_t stamp_s)
{
    struct toy_row *row = &w->toy.rows[stream][number];
    *row = (struct toy_row){.exists = true, .stamp_s = stamp_s, .status = 'A'};
    (void)snprintf(row->name, sizeof row->name, "%s", name);
}

void toy_fill(struct toy_world *w, int stream, unsigned count, int64_t stamp_s)
{
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "Row %u", i);
        toy_put(w, stream, i, name, stamp_s);
    }
}

struct create_job {
    struct pst_sync_request request;
    int64_t pk;
};

static pst_code create_sync(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct create_job *job = arg;
    return pst_syncs_create(conn, &job->request, &job->pk, NULL, err);
}

int64_t toy_queue(struct toy_world *w, enum pst_sync_mode mode, unsigned streams)
{
    struct pst_err err;
    const struct pst_entity *entities[TOY_STREAMS];
    size_t count = 0;
    uint8_t raw[PST_ID_RAW] = {0};
    w->syncs++;
    raw[0] = (uint8_t)(w->syncs >> 8);
    raw[1] = (uint8_t)w->syncs;
    for (unsigned i = 0; i < TOY_STREAMS; i++)
        if (streams & 1U << i)
            entities[count++] = pst_model_entity(pst_str_from(names[i]));
    struct create_job job = {.request = {.id = pst_id_format("sync_", raw),
                                         .connection_pk = w->connection_pk,
                                         .trigger = w->trigger,
                                         .mode = mode,
                                         .entities = entities,
                                         .entity_count = count,
                                         .request_id = PST_STR("req_1"),
                                         .now = w->wall}};
    assert_ok(pst_db_write(w->db, create_sync, &job, &err));
    return job.pk;
}

void toy_work(struct toy_world *w)
{
    struct pst_err err;
    struct lane lane = {.is_threaded = w->has_lane_thread};
    (void)pthread_mutex_init(&lane.mutex, NULL);
    (void)pthread_cond_init(&lane.cond, NULL);
    const struct pst_sync_lane table = {.fetch_start = fetch_start,
                                        .fetch_wait = fetch_wait,
                                        .signal = lane_signal,
                                        .await = lane_await,
                                        .self = &lane};
    pst_alloc_fail_at(w->fail_alloc_at);
    pst_code rc = pst_sync_worker_run(w->engine, 0, &table, &err);
    w->alloc_failed = pst_alloc_failed();
    pst_alloc_fail_at(-1);
    if (rc != PST_OK && !w->alloc_failed)
        fail_msg("the worker could not begin: %s", err.msg);
    assert_int_equal(lane.signals, 0);
    assert_null(lane.thread);
    (void)pthread_cond_destroy(&lane.cond);
    (void)pthread_mutex_destroy(&lane.mutex);
    /* A stopped engine does not start again. */
    pst_sync_engine_free(w->engine);
    w->engine = NULL;
    assert_ok(pst_sync_engine_new(&w->engine, &w->options, &err));
}

struct pst_sync toy_get(struct toy_world *w, int64_t sync_pk)
{
    struct pst_err err;
    struct pst_sync sync = {0};
    pst_arena_reset(w->arena);
    assert_ok(pst_syncs_get_pk(w->reader, sync_pk, w->arena, &sync, &err));
    return sync;
}

struct pst_sync toy_sync(struct toy_world *w, enum pst_sync_mode mode, unsigned streams)
{
    int64_t pk = toy_queue(w, mode, streams);
    unsigned opened = w->toy.opened;
    w->toy.calls = 0;
    toy_work(w);
    struct pst_sync sync = toy_get(w, pk);
    bool is_only = w->toy.opened <= opened + 1;
    if (!pst_wall_is_none(sync.ended_at) && is_only && !w->alloc_failed)
        assert_int_equal(sync.counts.calls, w->toy.calls);
    return sync;
}

int toy_set_up(void **state)
{
    static struct toy_world world;
    toy_world_make(&world);
    toy_world_open(&world);
    *state = &world;
    return 0;
}

int toy_tear_down(void **state)
{
    toy_world_close(*state);
    toy_world_remove(*state);
    return 0;
}

void toy_let_files_grow(bool yes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = yes ? limit.rlim_max : 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* ---- looks ---- */

int64_t toy_number(struct toy_world *w, const char *sql)
{
    struct pst_err err;
    bool row = false;
    struct pst_stmt *st = NULL;
    assert_ok(pst_db_stmt(w->reader, pst_str_from(sql), &st, &err));
    assert_ok(pst_stmt_step(st, &row, &err));
    assert_true(row);
    int64_t n = pst_stmt_i64(st, 0);
    pst_stmt_done(st);
    return n;
}

void toy_dump(struct toy_world *w, const char *sql, struct pst_buf *out)
{
    struct pst_err err;
    bool row = false;
    struct pst_stmt *st = NULL;
    assert_ok(pst_db_stmt(w->reader, pst_str_from(sql), &st, &err));
    for (;;) {
        assert_ok(pst_stmt_step(st, &row, &err));
        if (!row)
            break;
        pst_buf_add_str(out, pst_stmt_str(st, 0));
        pst_buf_add_char(out, '\n');
    }
    pst_stmt_done(st);
    assert_ok(pst_buf_check(out, &err));
}

void toy_check_equal(struct toy_world *w, int stream)
{
    PST_AUTO(buf) struct pst_buf expected = {0};
    PST_AUTO(buf) struct pst_buf stored = {0};
    char sql[256];
    pst_buf_init(&expected, 1 << 20);
    pst_buf_init(&stored, 1 << 20);
    for (unsigned i = 0; i < TOY_ROWS; i++) {
        const struct toy_row *row = &w->toy.rows[stream][i];
        if (row->exists && row->name[0] && !row->has_fault)
            pst_buf_addf(&expected, "S%05u %s %c\n", i, row->name, row->status);
    }
    (void)snprintf(sql, sizeof sql,
                   "SELECT source_id || ' ' || (data ->> 'name') || ' ' ||"
                   " upper(substr(data ->> 'status', 1, 1)) FROM rec_%s"
                   " WHERE deleted_at IS NULL ORDER BY sort_key",
                   names[stream]);
    toy_dump(w, sql, &stored);
    assert_string_equal(stored.ptr ? stored.ptr : "", expected.ptr ? expected.ptr : "");
}

/* The feed against itself and against the records: numbered without gap, a record begins with
 * created, is created again only after deleted, and its last change is the record's. */
void toy_check_feed(struct toy_world *w)
{
    assert_int_equal(toy_number(w, "SELECT count(*) - coalesce(max(seq), 0) FROM change"), 0);
    assert_int_equal(toy_number(w, "SELECT coalesce((SELECT max(seq) FROM change), 0) - last_seq"
                                   " FROM connection"),
                     0);
    assert_int_equal(
        toy_number(
            w, "SELECT count(*) FROM (SELECT op, lag(op) OVER (PARTITION BY record_id ORDER BY seq)"
               " AS before FROM change) WHERE (op = 0) <> (before IS NULL OR before = 2)"),
        0);
    assert_int_equal(
        toy_number(w, "SELECT count(*) FROM (SELECT id, seq, deleted_at FROM rec_suppliers"
                      " UNION ALL SELECT id, seq, deleted_at FROM rec_items) r"
                      " WHERE seq <> (SELECT max(seq) FROM change c WHERE c.record_id = r.id)"
                      " OR (deleted_at IS NOT NULL) <> ((SELECT op FROM change c"
                      " WHERE c.seq = r.seq) = 2)"),
        0);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync_missing m JOIN sync y"
                                   " ON y.pk = m.sync_pk WHERE y.ended_at IS NULL"),
                     0);
}
