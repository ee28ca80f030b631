/* What a start needs: configuration files, the data directory, the root key, egress rules. */
#include "tests/unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "app/internal.h"
#include "app/rotate.h"
#include "os/file.h"
#include "os/net.h"
#include "store/store.h"

struct world {
    char dir[64];
    char home[80]; /* "HOME=<dir>" */
    char path[160];
    struct pst_arena *arena;
};

static int set_up(void **state)
{
    static struct world w;
    struct pst_err err;
    w = (struct world){.dir = "/tmp/pst_start_XXXXXX"};
    *state = &w;
    if (!mkdtemp(w.dir))
        return -1;
    (void)snprintf(w.home, sizeof(w.home), "HOME=%s", w.dir);
    return pst_crypto_init(&err) != PST_OK || pst_arena_new(&w.arena, 4 << 20, &err) != PST_OK;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];
    pst_arena_free(w->arena);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    return system(command);
}

static const char *in_dir(struct world *w, const char *name)
{
    (void)snprintf(w->path, sizeof(w->path), "%s/%s", w->dir, name);
    return w->path;
}

static pst_code load(struct world *w, const char *const *args, struct pst_settings *out,
                     struct pst_err *err)
{
    const char *const env[] = {w->home, NULL};
    size_t count = 0;
    while (args[count])
        count++;
    return pst_settings_load(out, w->arena, args, count, env, err);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void the_file_of_the_user_is_found_and_another_may_be_named(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_settings s;
    assert_ok(pst_dir_make(in_dir(w, ".config/penstock"), 0755, &err));
    assert_ok(pst_file_write(in_dir(w, ".config/penstock/penstock.yaml"),
                             PST_STR("page_rows: 77\ndata_dir: /d\n"), 0644, &err));
    assert_ok(load(w, ARGS(), &s, &err));
    assert_int_equal(pst_config_int(s.config, PST_OPT_PAGE_ROWS), 77);
    assert_str(s.paths.data_dir, "/d");
    assert_true(pst_str_ends(s.file, PST_STR("/.config/penstock/penstock.yaml")));
    pst_config_unref(s.config);

    assert_ok(pst_file_write(in_dir(w, "other.yaml"), PST_STR("page_rows: 88\n"), 0644, &err));
    assert_ok(load(w, ARGS("--config", w->path, "--data-dir", "/e"), &s, &err));
    assert_int_equal(pst_config_int(s.config, PST_OPT_PAGE_ROWS), 88);
    assert_str(s.paths.data_dir, "/e");
    pst_config_unref(s.config);
    assert_code(load(w, ARGS("--config", in_dir(w, "none.yaml")), &s, &err), PST_E_NOT_FOUND);
}

static void a_file_with_a_secret_has_to_be_private(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_settings s;
    pst_str text = PST_STR("root_key: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n");
    assert_ok(pst_file_write(in_dir(w, "s.yaml"), text, 0644, &err));
    assert_code(load(w, ARGS("--config", w->path), &s, &err), PST_E_DENIED);
    assert_null(strstr(err.msg, "MDEy"));
    assert_ok(pst_file_write(in_dir(w, "s.yaml"), text, 0600, &err));
    assert_ok(load(w, ARGS("--config", w->path), &s, &err));
    pst_config_unref(s.config);
}

static void the_data_directory_is_made_private_or_refused(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_file_info info;
    struct pst_paths paths = {.data_dir = pst_str_from(in_dir(w, "a/b"))};
    assert_ok(pst_start_data_dir(&paths, &err));
    assert_ok(pst_file_stat(w->path, &info, &err));
    assert_int_equal(info.mode, 0700);
    assert_ok(pst_start_data_dir(&paths, &err));
    assert_int_equal(chmod(w->path, 0750), 0);
    assert_code(pst_start_data_dir(&paths, &err), PST_E_DENIED);
}

static struct pst_paths paths_in(struct world *w)
{
    struct pst_err err;
    struct pst_paths p = {0};
    assert_ok(pst_arena_dup(w->arena, &p.store, pst_str_from(in_dir(w, "s.db")), &err));
    assert_ok(pst_arena_dup(w->arena, &p.key_file, pst_str_from(in_dir(w, "root.key")), &err));
    return p;
}

static void the_root_key_is_made_once_and_never_replaced(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_settings s;
    struct pst_paths paths = paths_in(w);
    PST_AUTO(key) struct pst_key *first = NULL;
    PST_AUTO(key) struct pst_key *second = NULL;
    struct pst_key *none = NULL;
    assert_ok(load(w, ARGS("--data-dir", w->dir), &s, &err));
    assert_ok(pst_start_root_key(&first, s.config, &paths, &err));
    assert_ok(pst_start_root_key(&second, s.config, &paths, &err));
    assert_string_equal(pst_key_id(first), pst_key_id(second));
    assert_int_equal(unlink(paths.key_file.ptr), 0);
    assert_ok(pst_file_write(paths.store.ptr, PST_STR("store"), 0600, &err));
    assert_code(pst_start_root_key(&none, s.config, &paths, &err), PST_E_NOT_FOUND);
    assert_false(pst_file_exists(paths.key_file.ptr));
    pst_config_unref(s.config);
}

static void a_rotation_that_was_broken_off_is_finished(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_paths paths = paths_in(w);
    PST_AUTO(db) struct pst_db *db = NULL;
    PST_AUTO(key) struct pst_key *root = NULL;
    PST_AUTO(key) struct pst_key *fresh = NULL;
    struct pst_db_options options = {.path = paths.store.ptr, .create = true};
    bool created = false;
    assert_ok(pst_key_load_or_create(&root, paths.key_file.ptr, &created, &err));
    assert_ok(pst_store_open(&db, &options, &err));
    assert_ok(pst_start_vault(db, &root, &paths, &err));

    /* Everything but the last step: the store is the new key's, the file still the old one's. */
    char old_id[PST_KEY_ID_TEXT];
    (void)snprintf(old_id, sizeof(old_id), "%s", pst_key_id(root));
    assert_ok(pst_key_generate(&fresh, &err));
    assert_ok(pst_key_save(fresh, in_dir(w, "root.key.new"), &err));
    assert_ok(pst_vault_rotate_root(db, root, fresh, (pst_wall){1}, NULL, &err));
    assert_ok(pst_start_vault(db, &root, &paths, &err));
    assert_string_equal(pst_key_id(root), pst_key_id(fresh));
    assert_false(pst_file_exists(in_dir(w, "root.key.new")));
    PST_AUTO(key) struct pst_key *kept = NULL; /* older backups need it */
    assert_ok(pst_key_load(&kept, in_dir(w, "root.key.old"), &err));
    assert_string_equal(pst_key_id(kept), old_id);

    /* A new key that is not the store's is not taken over. */
    PST_AUTO(key) struct pst_key *wrong = NULL;
    PST_AUTO(key) struct pst_key *other = NULL;
    assert_ok(pst_key_generate(&wrong, &err));
    assert_ok(pst_key_generate(&other, &err));
    assert_ok(pst_key_save(other, in_dir(w, "root.key.new"), &err));
    assert_code(pst_start_vault(db, &wrong, &paths, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "/root.key' nor in '"));
    assert_true(pst_file_exists(in_dir(w, "root.key.new")));
}

/* Everything but the last step; id gets the new key's. */
static void break_off_rotation(struct world *w, struct pst_db *db, const struct pst_key *root,
                               char id[PST_KEY_ID_TEXT])
{
    struct pst_err err;
    PST_AUTO(key) struct pst_key *fresh = NULL;
    assert_ok(pst_key_generate(&fresh, &err));
    assert_ok(pst_key_save(fresh, in_dir(w, "root.key.new"), &err));
    assert_ok(pst_vault_rotate_root(db, root, fresh, (pst_wall){1}, NULL, &err));
    (void)snprintf(id, PST_KEY_ID_TEXT, "%s", pst_key_id(fresh));
}

static void the_next_rotation_finishes_one_that_was_broken_off(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_paths paths = paths_in(w);
    PST_AUTO(db) struct pst_db *db = NULL;
    PST_AUTO(key) struct pst_key *root = NULL;
    PST_AUTO(key) struct pst_key *fresh = NULL;
    PST_AUTO(key) struct pst_key *another = NULL;
    struct pst_root_rotation done;
    struct pst_db_options options = {.path = paths.store.ptr, .create = true};
    bool created = false;
    char id[PST_KEY_ID_TEXT];
    assert_ok(pst_key_load_or_create(&root, paths.key_file.ptr, &created, &err));
    assert_ok(pst_store_open(&db, &options, &err));
    assert_ok(pst_start_vault(db, &root, &paths, &err));
    break_off_rotation(w, db, root, id);

    assert_int_equal(chmod(in_dir(w, "root.key.new"), 0644), 0);
    assert_code(pst_rotate_root_key(db, paths.key_file.ptr, &fresh, &done, &err), PST_E_DENIED);
    assert_non_null(strstr(err.msg, "was broken off"));
    assert_non_null(strstr(err.msg, "root.key.new"));
    assert_code(pst_start_vault(db, &root, &paths, &err), PST_E_DENIED);
    assert_int_equal(chmod(in_dir(w, "root.key.new"), 0600), 0);

    assert_ok(pst_rotate_root_key(db, paths.key_file.ptr, &fresh, &done, &err));
    assert_true(done.was_resumed);
    assert_string_equal(pst_key_id(fresh), id);
    assert_string_equal(done.kept, in_dir(w, "root.key.old"));
    assert_ok(pst_rotate_root_key(db, paths.key_file.ptr, &another, &done, &err));
    assert_false(done.was_resumed);
    assert_string_equal(done.kept, in_dir(w, "root.key.old.2"));
    assert_string_not_equal(pst_key_id(another), id);

    /* Neither key is the store's, or there is none beside it. */
    assert_int_equal(rename(done.kept, paths.key_file.ptr), 0);
    pst_key_free(fresh);
    fresh = NULL;
    assert_code(pst_rotate_root_key(db, paths.key_file.ptr, &fresh, &done, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "wrong root key"));
}

static bool allows(const struct pst_egress *e, const char *text, uint16_t port)
{
    struct pst_address address;
    assert_true(pst_address_parse(&address, pst_str_from(text)));
    address.port = port;
    return pst_egress_allows(e, PST_ZONE_SYSTEM, &address, NULL);
}

static void connections_may_go_where_the_options_say(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_settings s;
    struct pst_egress egress;
    assert_ok(
        load(w, ARGS("--data-dir", "/d", "--system-ranges", "10.1.0.0/16,fd00::/8"), &s, &err));
    assert_ok(pst_start_egress(&egress, s.config, w->arena, &err));
    pst_config_unref(s.config);
    assert_true(allows(&egress, "10.1.2.3", 443));
    assert_false(allows(&egress, "10.2.2.3", 443));
    assert_true(allows(&egress, "fd00::1", 443));
    assert_false(allows(&egress, "127.0.0.1", 443));
    assert_false(allows(&egress, "169.254.169.254", 80));
    assert_ok(load(w, ARGS("--data-dir", "/d", "--system-ranges", "10.1.0.0/33"), &s, &err));
    assert_code(pst_start_egress(&egress, s.config, w->arena, &err), PST_E_INVALID);
    assert_string_equal(err.param, "system_ranges");
    pst_config_unref(s.config);
}

static void receivers_may_lie_where_their_option_says(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_settings s;
    struct pst_egress egress;
    struct pst_address address;
    assert_true(pst_address_parse(&address, PST_STR("10.1.2.3")));
    assert_ok(load(w, ARGS("--data-dir", "/d", "--webhook-ranges", "10.1.0.0/16"), &s, &err));
    assert_ok(pst_start_egress(&egress, s.config, w->arena, &err));
    pst_config_unref(s.config);
    assert_true(pst_egress_allows(&egress, PST_ZONE_PUBLIC, &address, NULL));
    assert_false(pst_egress_allows(&egress, PST_ZONE_SYSTEM, &address, NULL));
    assert_ok(load(w, ARGS("--data-dir", "/d", "--webhook-ranges", "10.1"), &s, &err));
    assert_code(pst_start_egress(&egress, s.config, w->arena, &err), PST_E_INVALID);
    assert_string_equal(err.param, "webhook_ranges");
    pst_config_unref(s.config);
}

static void receivers_may_have_authorities_of_their_own(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_settings s;
    const char *file = "";
    assert_ok(load(w, ARGS("--data-dir", "/d"), &s, &err));
    assert_ok(pst_start_receivers_ca(&file, s.config, w->arena, &err));
    assert_null(file);
    pst_config_unref(s.config);
    assert_ok(
        load(w, ARGS("--data-dir", "/d", "--webhook-ca-file", in_dir(w, "ca.pem")), &s, &err));
    assert_code(pst_start_receivers_ca(&file, s.config, w->arena, &err), PST_E_NOT_FOUND);
    assert_ok(pst_file_write(w->path, PST_STR("nothing\n"), 0644, &err));
    assert_code(pst_start_receivers_ca(&file, s.config, w->arena, &err), PST_E_INVALID);
    assert_string_equal(err.param, "webhook_ca_file");
    assert_ok(pst_file_write(w->path, PST_STR("-----BEGIN CERTIFICATE-----\n"), 0644, &err));
    assert_ok(pst_start_receivers_ca(&file, s.config, w->arena, &err));
    pst_config_unref(s.config);
    assert_string_equal(file, w->path);
}

static void nobody_is_sent_to_our_own_listener(void **state)
{
    static const struct {
        const char *listen;
        const char *address;
    } cases[] = {
        {"127.0.0.1:7400", "127.0.0.1"}, {"[::1]:7400", "::1"}, {"0.0.0.0:7400", "127.0.0.1"},
        {"0.0.0.0:7400", "127.9.9.9"},   {"[::]:7400", "::1"},  {"[::]:7400", "127.0.0.1"},
        {"localhost:7400", "127.0.0.1"},
    };
    struct world *w = *state;
    struct pst_err err;
    struct pst_settings s;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_egress egress;
        assert_ok(load(w, ARGS("--data-dir", "/d", "--dev"), &s, &err));
        assert_ok(pst_start_egress(&egress, s.config, w->arena, &err));
        pst_config_unref(s.config);
        assert_true(allows(&egress, cases[i].address, 7400));
        assert_ok(
            pst_start_own_address(&egress, pst_str_from(cases[i].listen), 7400, w->arena, &err));
        assert_false(allows(&egress, cases[i].address, 7400));
        assert_true(allows(&egress, cases[i].address, 7401));
    }
}

/* Behind a wildcard, and with the machine's ranges opened to receivers. */
static void nor_to_another_address_of_this_machine(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_net_address *all = NULL;
    size_t count = 0;
    const struct pst_range everything[] = {{{0}, 0}, {{[10] = 0xff, [11] = 0xff}, 96}};
    struct pst_egress egress = {.allow_loopback = true};
    egress.ranges[PST_ZONE_SYSTEM] = everything;
    egress.range_counts[PST_ZONE_SYSTEM] = PST_COUNT(everything);
    assert_ok(pst_net_addresses(w->arena, &all, &count, &err));
    assert_ok(pst_start_own_address(&egress, PST_STR("0.0.0.0:7400"), 7400, w->arena, &err));
    assert_true(egress.own_count >= count);
    for (size_t i = 0; i < count; i++) {
        char text[PST_ADDRESS_TEXT];
        const char *why = NULL;
        struct pst_address a = {.port = 7400};
        memcpy(a.ip, all[i].ip, sizeof(a.ip));
        pst_address_format(text, &a);
        if (pst_egress_allows(&egress, PST_ZONE_SYSTEM, &a, &why))
            fail_msg("%s is allowed", text);
        assert_string_equal(why, "one of Penstock's own addresses");
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_file_of_the_user_is_found_and_another_may_be_named),
        TEST(a_file_with_a_secret_has_to_be_private),
        TEST(the_data_directory_is_made_private_or_refused),
        TEST(the_root_key_is_made_once_and_never_replaced),
        TEST(a_rotation_that_was_broken_off_is_finished),
        TEST(the_next_rotation_finishes_one_that_was_broken_off),
        TEST(connections_may_go_where_the_options_say),
        TEST(receivers_may_lie_where_their_option_says),
        TEST(receivers_may_have_authorities_of_their_own),
        TEST(nobody_is_sent_to_our_own_listener),
        TEST(nor_to_another_address_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
