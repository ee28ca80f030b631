/* Values and their bounds, sources and their order, snapshots. */
#include "tests/unit/config/table.h"

static void without_sources_the_defaults_hold(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(config) struct pst_config *c = NULL;
    const pst_str *items = NULL;
    assert_ok(load(&c, NULL, NULL, NULL, &err));
    assert_str(pst_config_str(c, NAME), "anon");
    assert_int_equal(pst_config_int(c, ROWS), 10);
    assert_false(pst_config_bool(c, FAST));
    assert_int_equal(pst_config_int(c, WAIT), 2000);
    assert_int_equal(pst_config_int(c, CACHE), 1048576);
    assert_str(pst_config_str(c, MODE), "plain");
    assert_int_equal(pst_config_int(c, MODE), 0);
    assert_int_equal(pst_config_list(c, HOSTS, &items), 0);
    assert_str(pst_config_str(c, TOKEN), "");
    assert_int_equal(pst_config_source(c, NAME), PST_FROM_DEFAULT);
}

static void a_flag_beats_the_environment_which_beats_the_file(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(config) struct pst_config *c = NULL;
    assert_ok(load(&c, "name: filed\npage_rows: 3\nmode: loud\n",
                   LIST("TRIAL_NAME=env", "TRIAL_PAGE_ROWS=4", "TRIAL_MODE=", "OTHER=1"),
                   LIST("--name", "flag"), &err));
    assert_str(pst_config_str(c, NAME), "flag");
    assert_int_equal(pst_config_source(c, NAME), PST_FROM_FLAG);
    assert_int_equal(pst_config_int(c, ROWS), 4);
    assert_int_equal(pst_config_source(c, ROWS), PST_FROM_ENV);
    assert_int_equal(pst_config_int(c, MODE), 1); /* an empty variable is not set */
    assert_int_equal(pst_config_source(c, MODE), PST_FROM_FILE);
}

static void the_file_takes_scalars_and_lists(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(config) struct pst_config *c = NULL;
    const pst_str *items = NULL;
    assert_ok(load(&c, "fast: true\nwait_time: 3\ncache: 4KiB\nhosts: [a, 12]\nname: null\n", NULL,
                   NULL, &err));
    assert_true(pst_config_bool(c, FAST));
    assert_int_equal(pst_config_int(c, WAIT), 3000);
    assert_int_equal(pst_config_int(c, CACHE), 4096);
    assert_int_equal(pst_config_list(c, HOSTS, &items), 2);
    assert_str(items[1], "12");
    assert_str(pst_config_str(c, NAME), "anon");
    assert_false(pst_config_has_secret_in_file(c));
    PST_AUTO(config) struct pst_config *empty = NULL;
    assert_ok(load(&empty, "# nothing\n", NULL, NULL, &err));
    PST_AUTO(config) struct pst_config *secret = NULL;
    assert_ok(load(&secret, "token: x\n", NULL, NULL, &err));
    assert_true(pst_config_has_secret_in_file(secret));
}

static void both_sides_of_every_bound(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        bool is_ok;
    } cases[] = {
        {"TRIAL_NAME", "ab", true},          {"TRIAL_NAME", "a", false},
        {"TRIAL_NAME", "abcdefgh", true},    {"TRIAL_NAME", "abcdefghi", false},
        {"TRIAL_PAGE_ROWS", "1", true},      {"TRIAL_PAGE_ROWS", "0", false},
        {"TRIAL_PAGE_ROWS", "100", true},    {"TRIAL_PAGE_ROWS", "101", false},
        {"TRIAL_PAGE_ROWS", "ten", false},   {"TRIAL_PAGE_ROWS", "1.0", false},
        {"TRIAL_FAST", "on", true},          {"TRIAL_FAST", "2", false},
        {"TRIAL_WAIT_TIME", "100ms", true},  {"TRIAL_WAIT_TIME", "99ms", false},
        {"TRIAL_WAIT_TIME", "1m", true},     {"TRIAL_WAIT_TIME", "61s", false},
        {"TRIAL_CACHE", "1KiB", true},       {"TRIAL_CACHE", "1023", false},
        {"TRIAL_CACHE", "1MiB", true},       {"TRIAL_CACHE", "1048577", false},
        {"TRIAL_MODE", "silent", true},      {"TRIAL_MODE", "sile", false},
        {"TRIAL_MODE", "plain|loud", false}, {"TRIAL_HOSTS", "a,b,c", true},
        {"TRIAL_HOSTS", "a,b,c,d", false},   {"TRIAL_HOSTS", "a,,c", false},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(config) struct pst_config *c = NULL;
        char text[80];
        (void)snprintf(text, sizeof(text), "%s=%s", cases[i].name, cases[i].value);
        pst_code rc = load(&c, NULL, LIST(text), NULL, &err);
        if ((rc == PST_OK) != cases[i].is_ok)
            fail_msg("%s: %d", text, (int)rc);
        if (rc != PST_OK) {
            assert_int_equal(rc, PST_E_INVALID);
            assert_non_null(strstr(err.msg, cases[i].name));
        }
    }
}

static void an_error_names_source_option_value_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *env;
        const char *flag;
        const char *param;
        const char *message;
    } cases[] = {
        {NULL, "TRIAL_PAGE_ROWS=x", NULL, "page_rows",
         "environment variable TRIAL_PAGE_ROWS: 'x' is not a whole number from 1 to 100"},
        {NULL, NULL, "--wait-time=9h", "wait_time",
         "flag --wait-time: '9h' is not a time from 100ms to 1m"},
        {"cache: 2GiB\n", NULL, NULL, "cache",
         "file 'trial.yaml', cache: '2GiB' is not a size from 1KiB to 1MiB"},
        {NULL, NULL, "--mode=x", "mode", "flag --mode: 'x' is not one of plain, loud, silent"},
        {"nome: x\n", NULL, NULL, "",
         "file 'trial.yaml', nome: there is no such option; did you mean name"},
        {"name: {a: b}\n", NULL, NULL, "name",
         "file 'trial.yaml', name: a value is expected, not a mapping"},
        {"name: [a]\n", NULL, NULL, "name",
         "file 'trial.yaml', name: one value is expected, not a list"},
        {"force: true\n", NULL, NULL, "force", "file 'trial.yaml', force: this is a flag only"},
        {"- a\n", NULL, NULL, "", "file 'trial.yaml': a mapping of options is expected"},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_config *c = NULL;
        assert_code(load(&c, cases[i].yaml, LIST(cases[i].env), LIST(cases[i].flag), &err),
                    PST_E_INVALID);
        assert_string_equal(err.msg, cases[i].message);
        assert_string_equal(err.param, cases[i].param);
    }
}

static void a_secret_is_never_repeated_in_an_error(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_config *c = NULL;
    assert_code(
        load(&c, NULL, LIST("TRIAL_TOKEN=hunter2hunter2hunter2hunter2hunter2hunter2"), NULL, &err),
        PST_E_INVALID);
    assert_null(strstr(err.msg, "hunter2"));
    assert_code(load(&c, NULL, NULL, LIST("--token", "hunter2"), &err), PST_E_INVALID);
    assert_null(strstr(err.msg, "hunter2"));
    assert_non_null(strstr(err.msg, "TRIAL_TOKEN"));
}

static void a_reload_takes_over_only_what_may_change(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(config) struct pst_config *old = NULL;
    PST_AUTO(config) struct pst_config *fresh = NULL;
    PST_AUTO(config) struct pst_config *merged = NULL;
    size_t changed[4];
    bool needs_restart = false;
    assert_ok(load(&old, "name: old\nhosts: [a, b]\n", NULL, NULL, &err));
    assert_ok(load(&fresh, "name: new\npage_rows: 7\nhosts: [a, b]\n", NULL, NULL, &err));
    assert_int_equal(pst_config_diff(old, old, changed, 4, &needs_restart), 0);
    assert_false(needs_restart);
    assert_int_equal(pst_config_diff(old, fresh, changed, 4, &needs_restart), 2);
    assert_true(needs_restart);
    assert_int_equal(changed[0], NAME);
    assert_int_equal(changed[1], ROWS);
    assert_ok(pst_config_merge_reload(&merged, old, fresh, &err));
    pst_config_unref(PST_TAKE(old));
    pst_config_unref(PST_TAKE(fresh));
    const pst_str *items = NULL;
    assert_str(pst_config_str(merged, NAME), "old");
    assert_int_equal(pst_config_int(merged, ROWS), 7);
    assert_int_equal(pst_config_list(merged, HOSTS, &items), 2);
    assert_str(items[1], "b");
}

static void a_snapshot_lives_until_its_last_reference(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_config *c = NULL;
    int64_t live = pst_alloc_live();
    assert_ok(load(&c, NULL, NULL, NULL, &err));
    struct pst_config *same = pst_config_ref(c);
    pst_config_unref(c);
    assert_str(pst_config_str(same, NAME), "anon");
    pst_config_unref(same);
    pst_config_unref(NULL);
    assert_int_equal(pst_alloc_live(), live);
}

static void no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    struct pst_err err;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_config *c = NULL;
        pst_code rc =
            load(&c, "hosts: [a, b]\n", LIST("TRIAL_NAME=env"), LIST("-r5", "word"), &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        pst_config_unref(c);
    }
    assert_int_equal(pst_alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_sources_the_defaults_hold),
        cmocka_unit_test(a_flag_beats_the_environment_which_beats_the_file),
        cmocka_unit_test(the_file_takes_scalars_and_lists),
        cmocka_unit_test(both_sides_of_every_bound),
        cmocka_unit_test(an_error_names_source_option_value_and_what_is_allowed),
        cmocka_unit_test(a_secret_is_never_repeated_in_an_error),
        cmocka_unit_test(a_reload_takes_over_only_what_may_change),
        cmocka_unit_test(a_snapshot_lives_until_its_last_reference),
        cmocka_unit_test(no_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
