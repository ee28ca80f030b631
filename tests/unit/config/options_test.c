/* Penstock's own table and the paths that follow from it. */
#include "tests/unit/test.h"

#include "config/options.h"

static struct pst_arena *arena;

static int set_up(void **state)
{
    (void)state;
    struct pst_err err;
    return pst_arena_new(&arena, 1 << 20, &err) != PST_OK;
}

static int tear_down(void **state)
{
    (void)state;
    pst_arena_free(arena);
    return 0;
}

static struct pst_config *load(const char *yaml)
{
    struct pst_err err;
    struct pst_config *c = NULL;
    struct pst_config_input in = {.file_name = yaml ? "y" : NULL, .file_text = pst_str_from(yaml)};
    assert_ok(pst_config_load(&c, &pst_options, &in, &err));
    return c;
}

static void the_table_is_sound(void **state)
{
    (void)state;
    PST_AUTO(config) struct pst_config *c = load(NULL); /* every default is within its bounds */
    for (size_t i = 0; i < pst_options.count; i++) {
        const struct pst_config_option *o = &pst_options.options[i];
        assert_true(strspn(o->name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(o->name));
        assert_true(o->help[strlen(o->help) - 1] == '.');
        assert_int_equal(o->type == PST_CONFIG_BOOL, o->arg == NULL);
        if (o->type == PST_CONFIG_INT || o->type == PST_CONFIG_SIZE ||
            o->type == PST_CONFIG_DURATION) {
            assert_non_null(o->unit);
            assert_true(o->max > o->min);
        }
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(o->name, pst_options.options[j].name);
    }
    assert_str(pst_config_str(c, PST_OPT_LISTEN), "127.0.0.1:7400");
    assert_int_equal(pst_config_int(c, PST_OPT_CHANGES_RETENTION), 30LL * 86400 * 1000);
}

static void paths_follow_from_data_dir_root_and_home(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *env[3];
        bool is_root;
        const char *data_dir; /* NULL: refused */
        const char *store;
        const char *key_file;
    } cases[] = {
        {NULL,
         {"HOME=/home/a"},
         true,
         "/var/lib/penstock",
         "/var/lib/penstock/penstock.db",
         "/var/lib/penstock/root.key"},
        {NULL,
         {"HOME=/home/a"},
         false,
         "/home/a/.local/state/penstock",
         "/home/a/.local/state/penstock/penstock.db",
         "/home/a/.local/state/penstock/root.key"},
        {NULL,
         {"HOME=/home/a", "XDG_STATE_HOME=/s"},
         false,
         "/s/penstock",
         "/s/penstock/penstock.db",
         "/s/penstock/root.key"},
        {NULL,
         {"HOME=/home/a", "XDG_STATE_HOME=relative"},
         false,
         "/home/a/.local/state/penstock",
         "/home/a/.local/state/penstock/penstock.db",
         "/home/a/.local/state/penstock/root.key"},
        {"data_dir: /d\nstore: /elsewhere/x.db\nkey_file: /run/k\n",
         {"HOME=/h"},
         true,
         "/d",
         "/elsewhere/x.db",
         "/run/k"},
        {NULL,
         {"HOME=/home/a", "STATE_DIRECTORY=/var/lib/x"},
         false,
         "/var/lib/x",
         "/var/lib/x/penstock.db",
         "/var/lib/x/root.key"},
        {NULL, {NULL}, false, NULL, NULL, NULL},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(config) struct pst_config *c = load(cases[i].yaml);
        struct pst_paths p;
        if (!cases[i].data_dir) {
            assert_code(pst_paths_resolve(arena, &p, c, cases[i].env, cases[i].is_root, &err),
                        PST_E_INVALID);
            assert_string_equal(err.param, "data_dir");
            continue;
        }
        assert_ok(pst_paths_resolve(arena, &p, c, cases[i].env, cases[i].is_root, &err));
        assert_str(p.data_dir, cases[i].data_dir);
        assert_str(p.store, cases[i].store);
        assert_str(p.key_file, cases[i].key_file);
        assert_true(pst_str_starts(p.socket, p.data_dir));
        assert_true(pst_str_ends(p.socket, PST_STR("/penstock.sock")));
        assert_int_equal(strlen(p.lock.ptr), p.lock.len);
    }
}

static void configuration_files_are_looked_for_where_they_belong(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_config_files files;
    assert_ok(pst_config_file_names(arena, &files, (const char *[]){"HOME=/h", NULL}, &err));
    assert_str(files.named, "");
    assert_str(files.user, "/h/.config/penstock/penstock.yaml");
    assert_str(files.system, "/etc/penstock/penstock.yaml");
    assert_ok(pst_config_file_names(arena, &files,
                                    (const char *[]){"HOME=/h", "XDG_CONFIG_HOME=/c", NULL}, &err));
    assert_str(files.user, "/c/penstock/penstock.yaml");
    assert_ok(pst_config_file_names(
        arena, &files, (const char *[]){"HOME=/h", "PENSTOCK_CONFIG=x.yaml", NULL}, &err));
    assert_str(files.named, "x.yaml");
    assert_str(files.user, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(paths_follow_from_data_dir_root_and_home),
        cmocka_unit_test(configuration_files_are_looked_for_where_they_belong),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
