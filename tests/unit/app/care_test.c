/* tests/unit/app/care_test.c: what retention tells of. */
#include <unistd.h>

#include "app/internal.h"
#include "os/clock.h"
#include "os/rand.h"
#include "os/thread.h"
#include "store/accounts.h"
#include "store/endpoints.h"
#include "store/events.h"
#include "store/store.h"
#include "tests/unit/test.h"

struct world {
    char dir[64];
    struct pst_app app;
    struct pst_db_conn *reader;
    struct pst_thread *writer;
    int64_t organizations[2];
};

static void run_writer(void *arg)
{
    struct world *w = arg;
    pst_db_writer_run(w->app.db);
}

/* Two organizations, the first with an endpoint. */
static pst_code fill(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct world *w = arg;
    for (int i = 0; i < 2; i++) {
        struct pst_organization org = {.id = pst_rand_id("org_"), .name = PST_STR("Acme")};
        PST_TRY(pst_organizations_create(conn, &org, err));
        w->organizations[i] = org.pk;
    }
    struct pst_endpoint e = {
        .id = pst_rand_id("whk_"),
        .organization_pk = w->organizations[0],
        .url = PST_STR("https://app.example.com/hooks"),
        .events = PST_STR("sync.*"),
        .enabled = true,
        .ordered = true,
        .timeout_ms = 10000,
        .horizon_ms = 86400000,
        .public_keys = PST_STR("[]"),
        .created_at = pst_wall_now(),
        .updated_at = pst_wall_now(),
        .deleted_at = PST_WALL_NONE,
    };
    return pst_endpoints_create(conn, &e, err);
}

static int set_up(void **state)
{
    static struct world w;
    struct pst_err err;
    char path[128];
    w = (struct world){.dir = "/tmp/pst_care_XXXXXX"};
    *state = &w;
    if (!mkdtemp(w.dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/s.db", w.dir);
    const struct pst_db_options options = {.path = path, .create = true};
    const char *const env[] = {"HOME=/nonexistent", NULL};
    const char *const args[] = {"--data-dir", w.dir};
    struct pst_settings settings;
    assert_int_equal(pthread_mutex_init(&w.app.mutex, NULL), 0);
    assert_ok(pst_arena_new(&w.app.arena, 4 << 20, &err));
    assert_ok(pst_settings_load(&settings, w.app.arena, args, PST_COUNT(args), env, &err));
    w.app.config = settings.config;
    assert_ok(pst_store_open(&w.app.db, &options, &err));
    assert_ok(pst_db_reader_new(w.app.db, &w.reader, &err));
    assert_ok(pst_thread_start(&w.writer, "writer", run_writer, &w, &err));
    assert_ok(pst_db_write(w.app.db, fill, &w, &err));
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];
    pst_db_writer_stop(w->app.db);
    pst_thread_join(w->writer);
    pst_db_reader_free(w->reader);
    pst_db_close(w->app.db);
    pst_config_unref(w->app.config);
    pst_arena_free(w->app.arena);
    (void)pthread_mutex_destroy(&w->app.mutex);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    return system(command);
}

static int64_t number(struct world *w, const char *sql)
{
    struct pst_err err;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_ok(pst_db_stmt(w->reader, pst_str_from(sql), &st, &err));
    assert_ok(pst_stmt_step(st, &row, &err));
    return row ? pst_stmt_i64(st, 0) : -1;
}

/* An event of each organization, which like all others is too old to be kept. */
static pst_code add_old_events(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct world *w = arg;
    for (int i = 0; i < 2; i++) {
        struct pst_event e = {
            .id = pst_rand_id("evt_"),
            .organization_pk = w->organizations[i],
            .type = PST_STR("sync.completed"),
            .at = pst_wall_now(),
            .body = PST_STR("{}"),
        };
        PST_TRY(pst_events_add(conn, &e, err));
    }
    return pst_db_exec_script(conn, PST_STR("UPDATE event SET at = 0"), err);
}

static void drop_old_events(struct world *w)
{
    struct pst_err err;
    assert_ok(pst_db_write(w->app.db, add_old_events, w, &err));
    assert_false(pst_care_step(&w->app));
    assert_int_equal(number(w, "SELECT count(*) FROM event WHERE type <> 'system.error'"), 0);
}

static void who_lost_events_is_told_once_a_day(void **state)
{
    struct world *w = *state;
    drop_old_events(w);
    assert_int_equal(number(w, "SELECT count(*) FROM event"), 1);
    assert_int_equal(number(w, "SELECT organization_pk FROM event"), w->organizations[0]);
    assert_int_equal(number(w, "SELECT body ->> '$.data.code' = 'EVENTS_DROPPED' FROM event"), 1);
    drop_old_events(w);
    assert_int_equal(number(w, "SELECT count(*) FROM event"), 0);
    w->app.care.told_since.us -= 86400 * PST_US_PER_S;
    drop_old_events(w);
    assert_int_equal(number(w, "SELECT count(*) FROM event"), 1);
}

static void no_more_are_told_than_are_remembered(void **state)
{
    struct world *w = *state;
    w->app.care.told_since = pst_wall_now();
    w->app.care.told_count = PST_COUNT(w->app.care.told);
    drop_old_events(w);
    assert_int_equal(number(w, "SELECT count(*) FROM event"), 0);
}

int main(void)
{
#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_WORLD(who_lost_events_is_told_once_a_day),
        IN_WORLD(no_more_are_told_than_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
