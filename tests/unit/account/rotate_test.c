/* Other data keys for organizations: broken off before each sync of the store, every secret opens,
 * and the next call goes on. The C library's fsync and fdatasync lead here; the real calls are made
 * by syscall(2). */
#include "tests/unit/test.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account/account.h"
#include "os/rand.h"
#include "store/connections.h"
#include "store/endpoints.h"
#include "store/store.h"

enum { STOPPED = 77, ORGANIZATIONS = 3, SYNCS_MIN = 10 };
static const size_t secrets[ORGANIZATIONS] = {1, 0, 230}; /* 230: three batches */

static struct {
    bool counts;
    int calls, stop_at;
} broken;

static void count_call(void)
{
    if (broken.counts && broken.calls++ == broken.stop_at)
        _exit(STOPPED);
}

int fsync(int fd)
{
    count_call();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    count_call();
    return (int)syscall(SYS_fdatasync, fd);
}

struct world {
    char dir[64], path[96], copy[96];
    struct pst_key *root;
    struct pst_arena *arena;
    struct pst_organization orgs[ORGANIZATIONS];
};

/* With secrets and headers that say its id. */
static pst_code add_endpoint(struct pst_db_conn *conn, struct world *w,
                             const struct pst_organization *o, struct pst_err *err)
{
    struct pst_endpoint e = {.id = pst_rand_id("whk_"),
                             .organization_pk = o->pk,
                             .events = PST_STR("*"),
                             .public_keys = PST_STR("[]"),
                             .created_at = {1}};
    struct pst_vault_place place = {o->pk, pst_id_str(&o->id), pst_id_str(&e.id),
                                    PST_STR("secrets")};
    PST_TRY(pst_vault_seal(conn, w->root, &place, pst_id_str(&e.id), (pst_wall){1}, w->arena,
                           &e.secrets, err));
    place.field = PST_STR("headers");
    PST_TRY(pst_vault_seal(conn, w->root, &place, pst_id_str(&e.id), (pst_wall){1}, w->arena,
                           &e.headers, err));
    return pst_endpoints_create(conn, &e, err);
}

static pst_code fill(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct world *w = arg;
    for (size_t i = 0; i < ORGANIZATIONS; i++) {
        struct pst_organization *o = &w->orgs[i];
        *o = (struct pst_organization){
            .id = pst_rand_id("org_"), .name = PST_STR("Acme"), .created_at = {1}};
        PST_TRY(pst_organizations_create(conn, o, err));
        for (size_t k = 0; k < secrets[i]; k++) {
            struct pst_connection c = {.id = pst_rand_id("conn_"),
                                       .organization_pk = o->pk,
                                       .created_at = {1},
                                       .next_run_at = PST_WALL_NONE};
            const struct pst_vault_place place = {o->pk, pst_id_str(&o->id), pst_id_str(&c.id),
                                                  PST_STR("credentials")};
            PST_TRY(pst_vault_seal(conn, w->root, &place, pst_id_str(&c.id), (pst_wall){1},
                                   w->arena, &c.credentials, err));
            PST_TRY(pst_connections_create(conn, &c, PST_STR(""), err));
        }
        if (secrets[i])
            PST_TRY(add_endpoint(conn, w, o, err));
    }
    return PST_OK;
}

static pst_code open_store(const char *path, struct pst_db **db, struct pst_err *err)
{
    const struct pst_db_options options = {.path = path, .create = true};
    return pst_store_open(db, &options, err);
}

static int set_up(void **state)
{
    static struct world w;
    struct pst_err err;
    PST_AUTO(db) struct pst_db *db = NULL;
    w = (struct world){.dir = "/tmp/pst_rotate_XXXXXX"};
    *state = &w;
    if (!mkdtemp(w.dir))
        return -1;
    (void)snprintf(w.path, sizeof(w.path), "%s/store.db", w.dir);
    (void)snprintf(w.copy, sizeof(w.copy), "%s/copy.db", w.dir);
    return pst_crypto_init(&err) != PST_OK || pst_arena_new(&w.arena, 16 << 20, &err) != PST_OK ||
           pst_key_generate(&w.root, &err) != PST_OK || open_store(w.path, &db, &err) != PST_OK ||
           pst_vault_open(db, w.root, &err) != PST_OK ||
           pst_db_write_direct(db, fill, &w, &err) != PST_OK;
}

__attribute__((format(printf, 1, 2))) static int shell(const char *format, ...)
{
    char command[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    return system(command);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    pst_key_free(w->root);
    pst_arena_free(w->arena);
    return shell("rm -rf '%s'", w->dir);
}

/* ---- looks ---- */

struct seen {
    size_t opened, keys, new_keys;
};

static void look_at_endpoints(struct world *w, struct pst_db_conn *reader)
{
    struct pst_err err;
    for (size_t i = 0; i < ORGANIZATIONS; i++) {
        struct pst_endpoint *list = NULL;
        size_t count = 0;
        bool more = false;
        assert_ok(pst_endpoints_list(reader, w->orgs[i].pk, -1, 0, 10, w->arena, &list, &count,
                                     &more, &err));
        assert_int_equal(count, secrets[i] > 0);
        for (size_t k = 0; k < count * 2; k++) {
            PST_AUTO(secret) struct pst_secret *plain = NULL;
            const struct pst_endpoint *e = &list[k / 2];
            const struct pst_vault_place place = {
                e->organization_pk, pst_id_str(&e->organization_id), pst_id_str(&e->id),
                k % 2 ? PST_STR("headers") : PST_STR("secrets")};
            assert_ok(pst_vault_unseal(reader, w->root, &place, k % 2 ? e->headers : e->secrets,
                                       &plain, &err));
            assert_str(pst_secret_expose(plain), e->id.text);
        }
    }
}

/* Every secret opens and says its connection's id; how many data keys there are, and how many of
 * them were made at or after `since`. */
static struct seen look(struct world *w, struct pst_db *db, pst_wall since)
{
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    struct pst_err err;
    struct seen seen = {0};
    bool more = true;
    pst_arena_reset(w->arena);
    assert_ok(pst_db_reader_new(db, &reader, &err));
    for (int64_t after = 0; more;) {
        struct pst_connection *list = NULL;
        size_t count = 0;
        assert_ok(
            pst_connections_list(reader, 0, after, 100, w->arena, &list, &count, &more, &err));
        for (size_t i = 0; i < count; i++, seen.opened++) {
            PST_AUTO(secret) struct pst_secret *plain = NULL;
            const struct pst_vault_place place = {list[i].organization_pk,
                                                  pst_id_str(&list[i].organization_id),
                                                  pst_id_str(&list[i].id), PST_STR("credentials")};
            assert_ok(pst_vault_unseal(reader, w->root, &place, list[i].credentials, &plain, &err));
            assert_str(pst_secret_expose(plain), list[i].id.text);
            after = list[i].pk;
        }
    }
    look_at_endpoints(w, reader);
    struct pst_data_key *keys = NULL;
    assert_ok(pst_data_keys_list(reader, 0, 100, w->arena, &keys, &seen.keys, &more, &err));
    for (size_t i = 0; i < seen.keys; i++)
        seen.new_keys += keys[i].created_at.us >= since.us;
    return seen;
}

static void copy_store(struct world *w)
{
    assert_int_equal(shell("rm -f '%s'*", w->copy), 0);
    assert_int_equal(shell("cp '%s' '%s'", w->path, w->copy), 0);
}

/* false: it came to its end before the sync at which it was to stop. */
static bool stop_rotation(struct world *w, int at, pst_str organization)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct pst_db *db = NULL;
        struct pst_data_rotation done;
        struct pst_err err;
        if (open_store(w->copy, &db, &err) != PST_OK)
            _exit(1);
        broken.counts = true;
        broken.stop_at = at;
        _exit(pst_vault_rotate_data(db, w->root, organization, (pst_wall){10}, &done, &err) ==
                      PST_OK
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == STOPPED);
    return WEXITSTATUS(status) == STOPPED;
}

/* ---- tests ---- */

static void every_organization_gets_another_key_and_loses_the_old_one(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_data_rotation done;
    PST_AUTO(db) struct pst_db *db = NULL;
    assert_ok(open_store(w->path, &db, &err));
    assert_ok(pst_vault_rotate_data(db, w->root, PST_STR(""), (pst_wall){10}, &done, &err));
    assert_int_equal(done.organizations, 2);
    assert_int_equal(done.secrets, 235);
    assert_false(done.was_resumed);
    struct seen seen = look(w, db, (pst_wall){10});
    assert_int_equal(seen.opened, 231);
    assert_int_equal(seen.keys, 2);
    assert_int_equal(seen.new_keys, 2);
    /* Again is another rotation, not what is left of one. */
    assert_ok(pst_vault_rotate_data(db, w->root, PST_STR(""), (pst_wall){20}, &done, &err));
    assert_int_equal(done.secrets, 235);
    assert_false(done.was_resumed);
    assert_int_equal(look(w, db, (pst_wall){20}).new_keys, 2);
}

static void one_organization_is_named_by_its_id(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_data_rotation done;
    PST_AUTO(db) struct pst_db *db = NULL;
    assert_ok(open_store(w->path, &db, &err));
    assert_ok(pst_vault_rotate_data(db, w->root, pst_id_str(&w->orgs[0].id), (pst_wall){10}, &done,
                                    &err));
    assert_int_equal(done.secrets, 3);
    assert_int_equal(look(w, db, (pst_wall){10}).new_keys, 1);
    assert_code(pst_vault_rotate_data(db, w->root, PST_STR("nobody"), (pst_wall){10}, &done, &err),
                PST_E_NOT_FOUND);
}

static void broken_off_anywhere_everything_opens_and_the_next_call_goes_on(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    int at = 0;
    for (bool is_stopped = true; is_stopped; at++) {
        PST_AUTO(db) struct pst_db *db = NULL;
        struct pst_data_rotation done;
        copy_store(w);
        is_stopped = stop_rotation(w, at, PST_STR(""));
        assert_ok(open_store(w->copy, &db, &err));
        assert_int_equal(look(w, db, (pst_wall){10}).opened, 231);
        if (!is_stopped)
            continue;
        assert_ok(pst_vault_rotate_data(db, w->root, PST_STR(""), (pst_wall){20}, &done, &err));
        struct seen seen = look(w, db, (pst_wall){10});
        assert_int_equal(seen.opened, 231);
        assert_int_equal(seen.keys, 2);
        assert_int_equal(seen.new_keys, 2);
    }
    assert_true(at > SYNCS_MIN);
}

/* What one organization's own rotation left behind is finished without a third key. */
static void a_key_that_was_retired_is_not_followed_by_two(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_str org = pst_id_str(&w->orgs[2].id);
    int at = 0;
    for (bool is_stopped = true; is_stopped; at++) {
        PST_AUTO(db) struct pst_db *db = NULL;
        struct pst_data_rotation done = {0};
        copy_store(w);
        is_stopped = stop_rotation(w, at, org);
        assert_ok(open_store(w->copy, &db, &err));
        bool has_begun = look(w, db, (pst_wall){10}).keys == 3;
        if (!is_stopped || !has_begun)
            continue;
        assert_ok(pst_vault_rotate_data(db, w->root, org, (pst_wall){20}, &done, &err));
        assert_true(done.was_resumed);
        struct seen seen = look(w, db, (pst_wall){20});
        assert_int_equal(seen.keys, 2);
        assert_int_equal(seen.new_keys, 0);
    }
}

static void a_secret_that_does_not_open_is_named_and_nothing_is_lost(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_data_rotation done;
    PST_AUTO(key) struct pst_key *other = NULL;
    PST_AUTO(db) struct pst_db *db = NULL;
    assert_ok(open_store(w->path, &db, &err));
    assert_ok(pst_key_generate(&other, &err));
    assert_code(pst_vault_rotate_data(db, other, PST_STR(""), (pst_wall){10}, &done, &err),
                PST_E_CORRUPT);
    assert_non_null(strstr(err.msg, "credentials of conn_"));
    assert_int_equal(look(w, db, (pst_wall){1}).opened, 231);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_organization_gets_another_key_and_loses_the_old_one),
        TEST(one_organization_is_named_by_its_id),
        TEST(broken_off_anywhere_everything_opens_and_the_next_call_goes_on),
        TEST(a_key_that_was_retired_is_not_followed_by_two),
        TEST(a_secret_that_does_not_open_is_named_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
