/* tests/unit/app/watch_test.c: what the watch thread makes of calls: which of them are an outage,
 * whom it tells, whom it forgets. */
#include "app/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/rand.h"
#include "os/thread.h"
#include "store/accounts.h"
#include "store/connections.h"
#include "store/incidents.h"
#include "store/outages.h"
#include "store/store.h"
#include "tests/unit/test.h"

enum { MANY = 5200, PATIENCE_MS = 60 * 1000 };

struct bench {
    char dir[64], path[96];
    struct pst_db *db;
    struct pst_journal *journal;
    struct pst_web *web;
    struct pst_watch *watch;
    struct pst_db_conn *reader;
    struct pst_thread *writer, *watcher;
    int64_t organizations[2];
    struct pst_id connections[MANY];
    int64_t pks[MANY];
    size_t count;
    size_t new_count; /* the first ones have never been online */
};

static void run_writer(void *arg)
{
    struct bench *b = arg;
    pst_db_writer_run(b->db);
}

static void committed(void *self, int64_t topic)
{
    struct bench *b = self;
    if (topic == PST_TOPIC_CONNECTIONS && b->watch)
        pst_watch_connections_changed(b->watch);
}

/* The first connection is of the first organization, all others are of the second. */
static pst_code fill(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct bench *b = arg;
    for (int i = 0; i < 2; i++) {
        struct pst_organization org = {.id = pst_rand_id("org_"), .name = PST_STR("Acme")};
        PST_TRY(pst_organizations_create(conn, &org, err));
        b->organizations[i] = org.pk;
    }
    for (size_t i = 0; i < b->count; i++) {
        struct pst_connection c = {
            .id = pst_rand_id("conn_"),
            .organization_pk = b->organizations[i > 0],
            .name = PST_STR("Plant"),
            .connector = PST_STR("peoplesoft"),
            .config = PST_STR("{}"),
            .credentials = PST_STR("sealed"),
            .schedule = PST_STR("15m"),
            .entities = PST_STR("[]"),
            .metadata = PST_STR("{}"),
            .mapping = PST_STR("{}"),
            .status = i < b->new_count ? PST_CONNECTION_PENDING : PST_CONNECTION_ONLINE,
        };
        PST_TRY(pst_connections_create(conn, &c, PST_STR(""), err));
        b->connections[i] = c.id;
        b->pks[i] = c.pk;
    }
    return PST_OK;
}

static void begin_with(struct bench *b, size_t count, size_t new_count, int64_t window_ms)
{
    static const struct pst_connectors none = {0};
    struct pst_err err;
    *b = (struct bench){.count = count, .new_count = new_count};
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/pst-watch-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->path, sizeof(b->path), "%s/s.db", b->dir);
    const struct pst_db_options options = {
        .path = b->path, .create = true, .on_commit = committed, .on_commit_self = b};
    assert_ok(pst_store_open(&b->db, &options, &err));
    assert_ok(pst_db_reader_new(b->db, &b->reader, &err));
    const struct pst_journal_options journal = {.db = b->db, .loops = 1};
    assert_ok(pst_journal_new(&b->journal, &journal, &err));
    assert_ok(pst_web_new(&b->web, &none, &err));
    const struct pst_watch_options watch = {
        .db = b->db, .journal = b->journal, .web = b->web, .window_ms = window_ms};
    assert_ok(pst_watch_new(&b->watch, &watch, &err));
    assert_ok(pst_thread_start(&b->writer, "writer", run_writer, b, &err));
    assert_ok(pst_db_write(b->db, fill, b, &err));
}

static void begin_new(struct bench *b, size_t count, size_t new_count)
{
    begin_with(b, count, new_count, 0);
}

static void begin(struct bench *b, size_t count)
{
    begin_new(b, count, 0);
}

static void watch(struct bench *b)
{
    struct pst_err err;
    assert_ok(pst_thread_start(&b->watcher, "watch", pst_watch_run, b->watch, &err));
}

/* The watch as it is after a restart of the program. */
static void restart(struct bench *b)
{
    struct pst_err err;
    struct pst_watch *old = b->watch;
    const struct pst_watch_options options = {.db = b->db, .journal = b->journal, .web = b->web};
    pst_watch_stop(b->watch);
    pst_thread_join(b->watcher);
    assert_ok(pst_watch_new(&b->watch, &options, &err));
    pst_watch_free(old);
    watch(b);
}

static void end(struct bench *b)
{
    char path[160];
    pst_watch_stop(b->watch);
    pst_thread_join(b->watcher);
    pst_db_writer_stop(b->db);
    pst_thread_join(b->writer);
    pst_watch_free(b->watch);
    pst_web_free(b->web);
    pst_journal_free(b->journal);
    pst_db_reader_free(b->reader);
    pst_db_close(b->db);
    static const char *const files[] = {"s.db", "s.db-wal", "s.db-shm", "s.db.lock"};
    for (size_t i = 0; i < PST_COUNT(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", b->dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(b->dir);
}

static void contact(struct bench *b, size_t i, const char *origin, pst_code code,
                    enum pst_contact_class klass)
{
    const struct pst_err why = {.code = code, .msg = "no"};
    const struct pst_http_request request = {.url = PST_STR("https://ps/x")};
    const struct pst_http_response response = {.status = 200};
    const struct pst_contact c = {
        .connection_id = pst_id_str(&b->connections[i]),
        .origin = origin,
        .request = &request,
        .response = &response,
        .code = code,
        .klass = klass,
        .err = code == PST_OK ? NULL : &why,
        .path = "/x",
    };
    pst_journal_contact(b->journal, &c);
}

static int64_t number(struct bench *b, pst_str sql)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_err err;
    bool row = false;
    assert_ok(pst_db_stmt(b->reader, sql, &st, &err));
    assert_ok(pst_stmt_step(st, &row, &err));
    return row ? pst_stmt_i64(st, 0) : 0;
}

static void await(struct bench *b, const char *sql, int64_t wanted)
{
    pst_mono until = pst_mono_after_ms(pst_mono_now(), PATIENCE_MS);
    while (number(b, pst_str_from(sql)) != wanted) {
        if (pst_mono_now().ns > until.ns)
            fail_msg("waited for %s", sql);
        pst_sleep_ms(1);
    }
}

static void all_organizations_concerned_are_told(void **state)
{
    (void)state;
    static struct bench b;
    begin(&b, MANY);
    for (size_t i = 0; i < MANY; i++) {
        const struct pst_contact denied = {.connection_id = pst_id_str(&b.connections[i]),
                                           .origin = "https://ps:443"};
        pst_journal_denied(b.journal, &denied);
    }
    watch(&b);
    await(&b, "SELECT affected FROM incident", MANY);
    await(&b, "SELECT count(DISTINCT organization_pk) FROM event WHERE type = 'system.error'", 2);
    end(&b);
}

static void refused_credentials_are_no_outage(void **state)
{
    (void)state;
    static struct bench b;
    begin(&b, 8);
    for (size_t i = 0; i < 4; i++)
        contact(&b, i, "https://a:443", PST_E_REAUTH, PST_CONTACT_REFUSED);
    for (size_t i = 4; i < 7; i++)
        contact(&b, i, i == 4 ? "https://b:8443" : "https://b:443", PST_E_FOREIGN_PAGE,
                PST_CONTACT_UNWELL);
    watch(&b);
    await(&b, "SELECT count(*) FROM incident WHERE subject = 'b'", 1); /* whatever its ports */
    assert_int_equal(number(&b, PST_STR("SELECT count(*) FROM incident")), 1);
    end(&b);
}

static pst_code fall_away(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct bench *b = arg;
    for (size_t i = 0; i < b->count; i++)
        PST_TRY(pst_connections_set_status(conn, b->pks[i], PST_CONNECTION_OFFLINE, PST_STR(""),
                                           PST_STR(""), pst_wall_now(), NULL, err));
    return PST_OK;
}

/* Whoever has a key could turn the public page red with addresses that lead nowhere. */
static void what_never_worked_is_no_outage(void **state)
{
    (void)state;
    static struct bench b;
    struct pst_err err;
    begin_new(&b, 8, 4);
    assert_ok(pst_db_write(b.db, fall_away, &b, &err));
    for (size_t i = 0; i < 8; i++)
        contact(&b, i, i < 4 ? "https://typo:443" : "https://b:443", PST_E_UNREACHABLE,
                PST_CONTACT_UNREACHABLE);
    watch(&b);
    await(&b, "SELECT count(*) FROM incident WHERE subject = 'b'", 1);
    assert_int_equal(number(&b, PST_STR("SELECT count(*) FROM incident")), 1);
    assert_int_equal(number(&b, PST_STR("SELECT affected FROM incident")), 4);
    end(&b);
}

static pst_code leave(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct bench *b = arg;
    pst_wall now = pst_wall_now();
    PST_TRY(pst_connections_set_status(conn, b->pks[0], PST_CONNECTION_INACTIVE, PST_STR(""),
                                       PST_STR(""), now, NULL, err));
    PST_TRY(pst_connections_delete(conn, b->pks[1], false, now, err));
    return pst_connections_delete(conn, b->pks[2], false, now, err);
}

static void those_gone_do_not_keep_an_incident_open(void **state)
{
    (void)state;
    static struct bench b;
    struct pst_err err;
    begin(&b, 4);
    for (size_t i = 0; i < 3; i++)
        contact(&b, i, "https://a:443", PST_E_UNREACHABLE, PST_CONTACT_UNREACHABLE);
    contact(&b, 3, "https://a:443", PST_OK, PST_CONTACT_GOOD);
    watch(&b);
    await(&b, "SELECT count(*) FROM incident WHERE closed_at IS NULL", 1);
    assert_ok(pst_db_write(b.db, leave, &b, &err));
    await(&b, "SELECT count(*) FROM incident WHERE closed_at IS NOT NULL", 1);
    end(&b);
}

static pst_code edit_components(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    const pst_str none = {NULL, 0};
    return pst_incidents_edit(conn, 1, none, PST_STR("sync,api"), -1, pst_wall_now(), err);
}

/* Neither before a restart nor behind one. */
static void what_people_edit_does_not_keep_an_incident_open(void **state)
{
    static struct bench b;
    struct pst_err err;
    for (int restarts = 0; restarts < 2; restarts++) {
        begin(&b, 3);
        for (size_t i = 0; i < 3; i++)
            contact(&b, i, "https://a:443", PST_E_UNREACHABLE, PST_CONTACT_UNREACHABLE);
        watch(&b);
        await(&b, "SELECT count(*) FROM incident WHERE closed_at IS NULL", 1);
        assert_ok(pst_db_write(b.db, edit_components, &b, &err));
        if (restarts)
            restart(&b);
        for (size_t i = 0; i < 3; i++)
            contact(&b, i, "https://a:443", PST_OK, PST_CONTACT_GOOD);
        await(&b, "SELECT count(*) FROM incident WHERE closed_at IS NOT NULL", 1);
        assert_int_equal(number(&b, PST_STR("SELECT count(*) FROM incident")), 1);
        end(&b);
    }
    (void)state;
}

static pst_code go_away(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct bench *b = arg;
    for (size_t i = 0; i < b->count; i++) {
        struct pst_outage outage = {.connection_pk = b->pks[i],
                                    .failures = 3,
                                    .kind = i < 4 ? PST_OUTAGE_CONNECTION : PST_OUTAGE_ORIGIN_DOWN,
                                    .tell = PST_MONO_NEVER,
                                    .origin = "https://b:443"};
        if (i % 2)
            (void)snprintf(outage.origin, sizeof(outage.origin), "https://b:8443");
        if (i < 4)
            (void)snprintf(outage.origin, sizeof(outage.origin), "https://a:443");
        PST_TRY(pst_outages_put(conn, &outage, err));
    }
    return PST_OK;
}

static void an_outage_is_known_after_a_restart(void **state)
{
    (void)state;
    static struct bench b;
    struct pst_err err;
    begin_new(&b, 100, 10);
    assert_ok(pst_db_write(b.db, go_away, &b, &err));
    watch(&b);
    await(&b, "SELECT affected FROM incident WHERE subject = 'b'", 90);
    assert_int_equal(number(&b, PST_STR("SELECT count(*) FROM incident")), 1);
    end(&b);
}

static pst_code come_back(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct bench *b = arg;
    for (size_t i = 0; i < b->count; i++) {
        const struct pst_outage outage = {.connection_pk = b->pks[i],
                                          .version = 1,
                                          .tell = PST_MONO_NEVER,
                                          .probe = PST_MONO_NEVER,
                                          .failing_since = PST_WALL_NONE};
        PST_TRY(pst_outages_put(conn, &outage, err));
    }
    return PST_OK;
}

/* Those of two ports of a host share their probes, so that they are not called for longer than the
 * window; those of a third one are well all the time, and called. */
static void an_incident_lasts_as_long_as_its_outage(void **state)
{
    (void)state;
    enum { AWAY = 20, WELL = 10, WINDOW_MS = 1000 };
    static struct bench b;
    struct pst_err err;
    begin_with(&b, AWAY + WELL, 0, WINDOW_MS);
    b.count = AWAY;
    assert_ok(pst_db_write(b.db, go_away, &b, &err));
    watch(&b);
    for (int64_t ms = 0; ms < 4 * WINDOW_MS; ms += 50) {
        for (size_t i = AWAY; i < AWAY + WELL; i++)
            contact(&b, i, "https://b:9443", PST_OK, PST_CONTACT_GOOD);
        pst_sleep_ms(50);
    }
    await(&b, "SELECT count(*) FROM incident WHERE subject = 'b'", 1);
    assert_int_equal(number(&b, PST_STR("SELECT count(*) FROM incident_update")), 1);
    assert_ok(pst_db_write(b.db, come_back, &b, &err));
    await(&b, "SELECT count(*) FROM incident WHERE closed_at IS NOT NULL", 1);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_organizations_concerned_are_told),
        cmocka_unit_test(refused_credentials_are_no_outage),
        cmocka_unit_test(what_never_worked_is_no_outage),
        cmocka_unit_test(an_outage_is_known_after_a_restart),
        cmocka_unit_test(an_incident_lasts_as_long_as_its_outage),
        cmocka_unit_test(what_people_edit_does_not_keep_an_incident_open),
        cmocka_unit_test(those_gone_do_not_keep_an_incident_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
