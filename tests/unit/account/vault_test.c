/* Sealed secrets of organizations in a real store, and the rotation of its root key. */
#include "tests/unit/test.h"

#include <unistd.h>

#include "account/account.h"
#include "os/clock.h"
#include "os/rand.h"
#include "store/store.h"

struct world {
    char dir[64];
    char path[96];
    struct pst_db *db;
    struct pst_key *root;
    struct pst_arena *arena;
    struct pst_organization org;
};

static pst_code create_org(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct world *w = arg;
    w->org = (struct pst_organization){
        .id = pst_rand_id("org_"), .name = PST_STR("Acme"), .created_at = pst_wall_now()};
    return pst_organizations_create(conn, &w->org, err);
}

static int set_up(void **state)
{
    static struct world w;
    struct pst_err err;
    w = (struct world){.dir = "/tmp/pst_vault_XXXXXX"};
    *state = &w;
    if (!mkdtemp(w.dir))
        return -1;
    (void)snprintf(w.path, sizeof(w.path), "%s/store.db", w.dir);
    struct pst_db_options options = {.path = w.path, .create = true};
    return pst_crypto_init(&err) != PST_OK || pst_arena_new(&w.arena, 4 << 20, &err) != PST_OK ||
           pst_key_generate(&w.root, &err) != PST_OK ||
           pst_store_open(&w.db, &options, &err) != PST_OK ||
           pst_db_write_direct(w.db, create_org, &w, &err) != PST_OK;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];
    pst_db_close(w->db);
    pst_key_free(w->root);
    pst_arena_free(w->arena);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    return system(command);
}

struct seal_job {
    struct world *w;
    const struct pst_key *root;
    pst_str plain;
    pst_str sealed;
};

static struct pst_vault_place place_of(const struct world *w)
{
    return (struct pst_vault_place){.organization_pk = w->org.pk,
                                    .organization_id = pst_id_str(&w->org.id),
                                    .row_id = PST_STR("conn_1"),
                                    .field = PST_STR("credentials")};
}

static pst_code seal(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct seal_job *job = arg;
    struct pst_vault_place place = place_of(job->w);
    return pst_vault_seal(conn, job->root, &place, job->plain, pst_wall_now(), job->w->arena,
                          &job->sealed, err);
}

static pst_str must_seal(struct world *w, const struct pst_key *root, pst_str plain)
{
    struct pst_err err;
    struct seal_job job = {.w = w, .root = root, .plain = plain};
    assert_ok(pst_db_write_direct(w->db, seal, &job, &err));
    return job.sealed;
}

static pst_code unseal(struct world *w, const struct pst_key *root, pst_str sealed,
                       struct pst_secret **out, struct pst_err *err)
{
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    struct pst_vault_place place = place_of(w);
    PST_TRY(pst_db_reader_new(w->db, &reader, err));
    return pst_vault_unseal(reader, root, &place, sealed, out, err);
}

static size_t count_keys(struct world *w)
{
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    struct pst_err err;
    struct pst_data_key *keys = NULL;
    size_t count = 0;
    bool more = false;
    assert_ok(pst_db_reader_new(w->db, &reader, &err));
    assert_ok(pst_data_keys_list(reader, 0, 100, w->arena, &keys, &count, &more, &err));
    return count;
}

static void a_secret_comes_back_and_one_data_key_serves_them_all(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *one = NULL;
    PST_AUTO(secret) struct pst_secret *two = NULL;
    assert_int_equal(count_keys(w), 0);
    pst_str a = must_seal(w, w->root, PST_STR("first"));
    pst_str b = must_seal(w, w->root, PST_STR("second"));
    assert_int_equal(count_keys(w), 1);
    assert_ok(unseal(w, w->root, a, &one, &err));
    assert_ok(unseal(w, w->root, b, &two, &err));
    assert_str(pst_secret_expose(one), "first");
    assert_str(pst_secret_expose(two), "second");
}

static void a_foreign_key_or_damage_opens_nothing(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(key) struct pst_key *other = NULL;
    struct pst_secret *none = NULL;
    pst_str sealed = must_seal(w, w->root, PST_STR("secret"));
    assert_ok(pst_key_generate(&other, &err));
    assert_code(unseal(w, other, sealed, &none, &err), PST_E_CORRUPT);
    assert_code(unseal(w, w->root, PST_STR("nonsense"), &none, &err), PST_E_CORRUPT);
    assert_null(none);
}

static void the_store_knows_its_root_key(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(key) struct pst_key *other = NULL;
    assert_ok(pst_key_generate(&other, &err));
    assert_ok(pst_vault_open(w->db, w->root, &err)); /* marks it */
    assert_ok(pst_vault_open(w->db, w->root, &err));
    assert_code(pst_vault_open(w->db, other, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "wrong root key"));
}

static void secrets_without_the_mark_are_not_taken_over(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    (void)must_seal(w, w->root, PST_STR("secret"));
    assert_code(pst_vault_open(w->db, w->root, &err), PST_E_CORRUPT);
}

static void a_new_root_key_opens_what_the_old_one_sealed(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    int64_t count = 0;
    PST_AUTO(key) struct pst_key *fresh = NULL;
    PST_AUTO(secret) struct pst_secret *opened = NULL;
    struct pst_secret *none = NULL;
    assert_ok(pst_vault_open(w->db, w->root, &err));
    pst_str sealed = must_seal(w, w->root, PST_STR("secret"));
    assert_ok(pst_key_generate(&fresh, &err));
    assert_code(pst_vault_rotate_root(w->db, fresh, w->root, pst_wall_now(), &count, &err),
                PST_E_INVALID);
    assert_ok(pst_vault_rotate_root(w->db, w->root, fresh, pst_wall_now(), &count, &err));
    assert_int_equal(count, 1);
    assert_code(pst_vault_open(w->db, w->root, &err), PST_E_INVALID);
    assert_ok(pst_vault_open(w->db, fresh, &err));
    assert_code(unseal(w, w->root, sealed, &none, &err), PST_E_CORRUPT);
    assert_ok(unseal(w, fresh, sealed, &opened, &err));
    assert_str(pst_secret_expose(opened), "secret");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_secret_comes_back_and_one_data_key_serves_them_all),
        TEST(a_foreign_key_or_damage_opens_nothing),
        TEST(the_store_knows_its_root_key),
        TEST(secrets_without_the_mark_are_not_taken_over),
        TEST(a_new_root_key_opens_what_the_old_one_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
