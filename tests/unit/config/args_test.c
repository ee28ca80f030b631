/* The command line: flags in all their spellings, and words. */
#include "tests/unit/config/table.h"

static void a_flag_may_be_written_in_several_ways(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        {"--page-rows", "7", NULL}, {"--page-rows=7", NULL}, {"--page_rows=7", NULL},
        {"-r", "7", NULL},          {"-r7", NULL},           {"-fr7", NULL},
        {"-fr", "7", NULL},         {"-r9", "-r7", NULL},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(config) struct pst_config *c = NULL;
        assert_ok(load(&c, NULL, NULL, cases[i], &err));
        assert_int_equal(pst_config_int(c, ROWS), 7);
    }
}

static void a_bool_needs_no_value(void **state)
{
    (void)state;
    static const struct {
        const char *args[3];
        bool expected;
    } cases[] = {
        {{"--fast"}, true},           {{"-f"}, true},
        {{"--fast=no"}, false},       {{"--no-fast"}, false},
        {{"-f", "--no-fast"}, false}, {{"--fast", "true"}, true},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(config) struct pst_config *c = NULL;
        assert_ok(load(&c, NULL, NULL, cases[i].args, &err));
        assert_int_equal(pst_config_bool(c, FAST), cases[i].expected);
    }
}

static void a_value_may_be_left_out_where_the_table_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *args[3];
        int64_t ms;
    } cases[] = {
        {{"--age"}, 9000}, {{"--age=3s"}, 3000}, {{"--age", "--fast"}, 9000}, {{"--fast"}, 0}};
    static const struct pst_config_option options[] = {
        {.name = "age",
         .type = PST_CONFIG_DURATION,
         .bare = "9s",
         .arg = "AGE",
         .help = "How old."},
        {.name = "fast", .type = PST_CONFIG_BOOL, .help = "Be quick."},
    };
    static const struct pst_config_table ages = {
        .program = "trial", .options = options, .count = PST_COUNT(options)};
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(config) struct pst_config *c = NULL;
        size_t count = cases[i].args[1] ? 2 : 1;
        const struct pst_config_input in = {.args = cases[i].args, .arg_count = count};
        assert_ok(pst_config_load(&c, &ages, &in, &err));
        assert_int_equal(pst_config_int(c, 0), cases[i].ms);
    }
    struct pst_config *none = NULL;
    const char *const apart[] = {"--age", "3s"};
    assert_code(pst_config_load(&none, &ages,
                                &(struct pst_config_input){.args = apart, .arg_count = 2}, &err),
                PST_E_INVALID);
    assert_string_equal(err.msg, "unexpected argument '3s'");
    PST_AUTO(buf) struct pst_buf help = {.max = 4096};
    pst_config_help(&ages, &help);
    assert_non_null(memmem(help.ptr, help.len, "--age[=AGE]\n", 12));
}

static void a_repeated_list_flag_adds(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(config) struct pst_config *c = NULL;
    const pst_str *items = NULL;
    assert_ok(load(&c, NULL, LIST("TRIAL_HOSTS=x,y,z"), LIST("--hosts", "a,b", "--hosts=c"), &err));
    assert_int_equal(pst_config_list(c, HOSTS, &items), 3);
    assert_str(items[0], "a");
    assert_str(items[2], "c");
    struct pst_config *none = NULL;
    assert_code(load(&none, NULL, NULL, LIST("--hosts", "a,b", "--hosts=c,d"), &err),
                PST_E_INVALID);
}

static void words_are_kept_in_order(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(config) struct pst_config *c = NULL;
    const pst_str *words = NULL;
    assert_ok(load(&c, NULL, NULL, LIST("one", "--fast", "--", "--name"), &err));
    assert_int_equal(pst_config_words(c, &words), 2);
    assert_str(words[0], "one");
    assert_str(words[1], "--name");
    PST_AUTO(config) struct pst_config *dash = NULL;
    assert_ok(load(&dash, NULL, NULL, LIST("-"), &err));
    assert_int_equal(pst_config_words(dash, &words), 1);
}

static void what_is_wrong_on_the_command_line_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *args[4];
        const char *message;
    } cases[] = {
        {{"--nme", "x"}, "there is no flag --nme; did you mean --name?"},
        {{"--pagerows=1"}, "there is no flag --pagerows; did you mean --page-rows?"},
        {{"--quite-different"}, "there is no flag --quite-different (see --help)"},
        {{"--no-name"}, "there is no flag --no-name (see --help)"},
        {{"-x"}, "there is no flag -x (see --help)"},
        {{"--name"}, "flag --name needs a value (NAME)"},
        {{"--name", "--fast"}, "flag --name needs a value (NAME)"},
        {{"-r"}, "flag -r needs a value (N)"},
        {{"a", "b", "c"}, "unexpected argument 'c'"},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_config *c = NULL;
        assert_code(load(&c, NULL, NULL, cases[i].args, &err), PST_E_INVALID);
        assert_string_equal(err.msg, cases[i].message);
    }
}

static void a_required_option_has_to_be_given(void **state)
{
    (void)state;
    static const struct pst_config_option need[] = {{.name = "from_file",
                                                     .type = PST_CONFIG_STRING,
                                                     .flags = PST_CONFIG_REQUIRED,
                                                     .arg = "FILE",
                                                     .help = "x"}};
    static const struct pst_config_table t = {.program = "t", .options = need, .count = 1};
    struct pst_err err;
    struct pst_config *c = NULL;
    struct pst_config_input in = {0};
    assert_code(pst_config_load(&c, &t, &in, &err), PST_E_INVALID);
    assert_string_equal(err.msg, "--from-file FILE is needed");
}

static void a_flag_can_be_looked_for_beforehand(void **state)
{
    (void)state;
    const char **args = LIST("word", "--config=a.yaml", "-h", "--json", "--", "--late");
    assert_string_equal(pst_config_peek_flag(args, 6, "config", 0), "a.yaml");
    assert_non_null(pst_config_peek_flag(args, 6, "help", 'h'));
    assert_non_null(pst_config_peek_flag(args, 6, "json", 0));
    assert_null(pst_config_peek_flag(args, 6, "js", 0));
    assert_null(pst_config_peek_flag(args, 6, "late", 0));
    assert_string_equal(pst_config_peek_flag(LIST("--config"), 1, "config", 0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_may_be_written_in_several_ways),
        cmocka_unit_test(a_bool_needs_no_value),
        cmocka_unit_test(a_value_may_be_left_out_where_the_table_says_so),
        cmocka_unit_test(a_repeated_list_flag_adds),
        cmocka_unit_test(words_are_kept_in_order),
        cmocka_unit_test(what_is_wrong_on_the_command_line_is_said),
        cmocka_unit_test(a_required_option_has_to_be_given),
        cmocka_unit_test(a_flag_can_be_looked_for_beforehand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
