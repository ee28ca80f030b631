/* tests/unit/webhook/stage.c: see stage.h. */
#include "stage.h"

#include <unistd.h>

#include "http/http.h"
#include "os/clock.h"
#include "os/rand.h"
#include "os/thread.h"
#include "store/store.h"

/* Clocks are functions without a self. They go at a tenth of the speed, so that on a machine that
 * is busy nothing becomes due by itself. */
static _Atomic int64_t begin_ns, offset_ns, frozen_ns; /* frozen: 0 = they go */

static pst_mono mono(void)
{
    int64_t frozen = atomic_load(&frozen_ns);
    int64_t begin = atomic_load(&begin_ns);
    int64_t now = frozen ? frozen : pst_mono_now().ns;
    return (pst_mono){begin + (now - begin) / 10 + atomic_load(&offset_ns)};
}

static _Atomic int64_t wall_base_us; /* wall = base + mono */

static pst_wall wall(void)
{
    return (pst_wall){atomic_load(&wall_base_us) + mono().ns / 1000};
}

pst_wall stage_now(const struct stage *s)
{
    (void)s;
    return wall();
}

void stage_skip(struct stage *s, double seconds)
{
    atomic_fetch_add(&offset_ns, (int64_t)(seconds * 1e9));
    if (s->dispatcher)
        pst_hooks_on_commit(s->hooks, PST_TOPIC_EVENTS);
}

void stage_freeze(struct stage *s)
{
    (void)s;
    atomic_store(&frozen_ns, pst_mono_now().ns);
}

/* ---- jobs ---- */

pst_code stage_write(struct stage *s, pst_db_write_fn fn, void *arg)
{
    struct pst_err err;
    return pst_db_write(s->db, fn, arg, &err);
}

static pst_code run_sql(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    return pst_db_exec_script(conn, *(pst_str *)arg, err);
}

void stage_sql(struct stage *s, pst_str sql)
{
    struct pst_err err;
    assert_ok(pst_db_write(s->db, run_sql, &sql, &err));
}

int64_t stage_ask(struct stage *s, pst_str sql)
{
    struct pst_err err;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_ok(pst_db_stmt(s->reader, sql, &st, &err));
    assert_ok(pst_stmt_step(st, &row, &err));
    return row ? pst_stmt_i64(st, 0) : 0;
}

struct job {
    struct stage *s;
    struct pst_endpoint *endpoint;
    struct pst_event *event;
    pst_str field, plain, sealed;
    void (*edit)(struct pst_endpoint *e);
    void (*edit_health)(struct pst_endpoint_health *h);
    int64_t pk;
};

static pst_code seal(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct job *j = arg;
    const struct pst_vault_place place = {.organization_pk = j->s->org.pk,
                                          .organization_id = pst_id_str(&j->s->org.id),
                                          .row_id = pst_id_str(&j->endpoint->id),
                                          .field = j->field};
    return pst_vault_seal(conn, j->s->root, &place, j->plain, wall(), j->s->arena, &j->sealed, err);
}

pst_str stage_seal(struct stage *s, const struct pst_endpoint *e, pst_str field, pst_str plain)
{
    struct pst_err err;
    struct pst_endpoint copy = *e;
    struct job j = {.s = s, .endpoint = &copy, .field = field, .plain = plain};
    assert_ok(pst_db_write(s->db, seal, &j, &err));
    return j.sealed;
}

static pst_code create_endpoint(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct job *j = arg;
    return pst_endpoints_create(conn, j->endpoint, err);
}

struct pst_endpoint stage_endpoint(struct stage *s, int path, void (*edit)(struct pst_endpoint *e))
{
    struct pst_err err;
    struct pst_endpoint e = {
        .id = pst_rand_id("whk_"),
        .organization_pk = s->org.pk,
        .events = PST_STR("*"),
        .enabled = true,
        .ordered = true,
        .timeout_ms = 600 * 1000, /* what hangs does so until it is answered or broken off */
        .horizon_ms = 24 * 3600 * 1000,
        .public_keys = PST_STR("[]"),
        .created_at = wall(),
        .updated_at = wall(),
        .deleted_at = PST_WALL_NONE,
    };
    assert_ok(pst_arena_printf(s->arena, &e.url, &err, "http://127.0.0.1:%u/%d",
                               (unsigned)s->receiver.port, path));
    e.secrets = stage_seal(s, &e, PST_STR("secrets"),
                           PST_STR("[{\"secret\":\"" STAGE_SECRET "\",\"until\":null}]"));
    if (edit)
        edit(&e);
    struct job j = {.s = s, .endpoint = &e};
    assert_ok(pst_db_write(s->db, create_endpoint, &j, &err));
    return e;
}

struct pst_endpoint stage_get(struct stage *s, int64_t pk)
{
    struct pst_err err;
    struct pst_endpoint e;
    assert_ok(pst_endpoints_get_pk(s->reader, pk, s->arena, &e, &err));
    return e;
}

static pst_code update_endpoint(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct job *j = arg;
    struct pst_endpoint e;
    PST_TRY(pst_endpoints_get_pk(conn, j->pk, j->s->arena, &e, err));
    j->edit(&e);
    return pst_endpoints_update(conn, &e, wall(), err);
}

void stage_update(struct stage *s, int64_t pk, void (*edit)(struct pst_endpoint *e))
{
    struct pst_err err;
    struct job j = {.s = s, .pk = pk, .edit = edit};
    assert_ok(pst_db_write(s->db, update_endpoint, &j, &err));
}

static pst_code write_health(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct job *j = arg;
    struct pst_endpoint e;
    PST_TRY(pst_endpoints_get_pk(conn, j->pk, j->s->arena, &e, err));
    j->edit_health(&e.health);
    return pst_endpoints_set_health(conn, j->pk, e.version, &e.health, err);
}

void stage_set_health(struct stage *s, int64_t pk, void (*edit)(struct pst_endpoint_health *h))
{
    struct pst_err err;
    struct job j = {.s = s, .pk = pk, .edit_health = edit};
    assert_ok(pst_db_write(s->db, write_health, &j, &err));
}

static pst_code add_event(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct job *j = arg;
    return pst_events_add(conn, j->event, err);
}

struct pst_event stage_event(struct stage *s, int connection, int number)
{
    struct pst_err err;
    struct pst_event e = {
        .id = pst_rand_id("evt_"),
        .organization_pk = s->org.pk,
        .connection_pk = connection < 0 ? 0 : s->connections[connection],
        .type = PST_STR("sync.completed"),
        .at = wall(),
    };
    assert_ok(pst_arena_printf(s->arena, &e.body, &err, "{\"data\":{\"n\":%d}}", number));
    struct job j = {.s = s, .event = &e};
    assert_ok(pst_db_write(s->db, add_event, &j, &err));
    return e;
}

void stage_tell(struct stage *s)
{
    struct pst_err err;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_ok(pst_db_stmt(
        s->reader,
        PST_STR("SELECT endpoint_pk, connection_pk, event_pk, status, due_at,"
                " attempts, loose, last_status FROM delivery WHERE status = 0 ORDER BY pk"),
        &st, &err));
    while (pst_stmt_step(st, &row, &err) == PST_OK && row)
        print_message("endpoint %d connection %d event %d: status %d, due in %.1f s, attempts %d,"
                      " loose %d, last status %d\n",
                      (int)pst_stmt_i64(st, 0), (int)pst_stmt_i64(st, 1), (int)pst_stmt_i64(st, 2),
                      (int)pst_stmt_i64(st, 3), (double)(pst_stmt_i64(st, 4) - wall().us) / 1e6,
                      (int)pst_stmt_i64(st, 5), (int)pst_stmt_i64(st, 6), (int)pst_stmt_i64(st, 7));
    for (int64_t pk = 1; pk <= stage_ask(s, PST_STR("SELECT max(pk) FROM endpoint")); pk++) {
        struct pst_endpoint e = stage_get(s, pk);
        print_message("endpoint %d version %d: %s, %d failures, %s, %s\n", (int)pk, (int)e.version,
                      e.enabled ? "on" : "off", (int)e.health.failures,
                      pst_wall_is_none(e.health.open_since) ? "closed" : "open",
                      pst_wall_is_none(e.health.disabled_at) ? "" : "disabled");
    }
}

/* ---- set-up ---- */

static void on_commit(void *self, int64_t topic)
{
    struct stage *s = self;
    if (s->hooks)
        pst_hooks_on_commit(s->hooks, topic);
}

static pst_code create_org(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct stage *s = arg;
    s->org = (struct pst_organization){
        .id = pst_rand_id("org_"), .name = PST_STR("Acme"), .created_at = pst_wall_now()};
    PST_TRY(pst_organizations_create(conn, &s->org, err));
    for (size_t i = 0; i < STAGE_CONNECTIONS; i++) {
        struct pst_connection c = {
            .id = pst_rand_id("conn_"),
            .organization_pk = s->org.pk,
            .name = PST_STR("Plant"),
            .connector = PST_STR("peoplesoft"),
            .config = PST_STR("{}"),
            .credentials = PST_STR("sealed"),
            .schedule = PST_STR("15m"),
            .history_days = 90,
            .entities = PST_STR("[]"),
            .metadata = PST_STR("{}"),
            .mapping = PST_STR("{}"),
            .status = PST_CONNECTION_PENDING,
            .created_at = pst_wall_now(),
        };
        PST_TRY(pst_connections_create(conn, &c, PST_STR(""), err));
        s->connections[i] = c.pk;
    }
    return PST_OK;
}

static void run_writer(void *arg)
{
    struct stage *s = arg;
    pst_db_writer_run(s->db);
}

static void run_dispatcher(void *arg)
{
    struct stage *s = arg;
    struct pst_err err;
    s->ended = pst_hooks_run(s->hooks, &err);
}

int stage_set_up(void **state)
{
    struct pst_err err;
    struct stage *s = calloc(1, sizeof(*s));
    *state = s;
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/pst-hooks-XXXXXX");
    if (!mkdtemp(s->dir))
        return -1;
    (void)snprintf(s->path, sizeof(s->path), "%s/store.db", s->dir);
    const struct pst_db_options o = {
        .path = s->path, .create = true, .on_commit = on_commit, .on_commit_self = s};
    atomic_store(&offset_ns, 0);
    atomic_store(&frozen_ns, 0);
    atomic_store(&begin_ns, pst_mono_now().ns);
    atomic_store(&wall_base_us, pst_wall_now().us - pst_mono_now().ns / 1000);
    assert_ok(pst_crypto_init(&err));
    assert_ok(pst_http_init(&err));
    assert_ok(pst_arena_new(&s->arena, 64 << 20, &err));
    assert_ok(pst_key_generate(&s->root, &err));
    assert_ok(pst_store_open(&s->db, &o, &err));
    assert_ok(pst_db_write_direct(s->db, create_org, s, &err));
    assert_ok(pst_db_reader_new(s->db, &s->reader, &err));
    assert_ok(pst_thread_start(&s->writer, "writer", run_writer, s, &err));
    receiver_start(&s->receiver);
    s->options = (struct pst_hooks_options){.db = s->db,
                                            .root = s->root,
                                            .allow_http = true,
                                            .mono = mono,
                                            .wall = wall,
                                            .random = pst_rand_u64};
    return 0;
}

/* Commits tell the dispatcher, so it is there before the writer looks for it, and goes after. */
void stage_run(struct stage *s)
{
    struct pst_err err;
    struct pst_hooks *hooks = NULL;
    assert_ok(pst_hooks_new(&hooks, &s->options, &err));
    stage_sql(s, PST_STR("SELECT 1")); /* the writer is at rest */
    s->hooks = hooks;
    assert_ok(pst_thread_start(&s->dispatcher, "webhooks", run_dispatcher, s, &err));
}

void stage_halt(struct stage *s, int64_t grace_ms)
{
    if (!s->dispatcher)
        return;
    pst_hooks_stop(s->hooks, grace_ms);
    pst_thread_join(s->dispatcher);
    s->dispatcher = NULL;
    stage_sql(s, PST_STR("SELECT 1"));
    pst_hooks_free(s->hooks);
    s->hooks = NULL;
    assert_int_equal(s->ended, PST_OK);
}

int stage_tear_down(void **state)
{
    struct stage *s = *state;
    char cmd[128];
    stage_halt(s, 0);
    receiver_stop(&s->receiver);
    pst_db_writer_stop(s->db);
    pst_thread_join(s->writer);
    pst_db_reader_free(s->reader);
    pst_db_close(s->db);
    pst_key_free(s->root);
    pst_arena_free(s->arena);
    (void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", s->dir);
    int rc = system(cmd);
    free(s);
    return rc;
}
