/* Help, manual page and JSON come from the table and are whole. */
#include "tests/unit/config/table.h"

#include "codec/json.h"

static void help_shows_every_option_with_its_facts(void **state)
{
    (void)state;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1 << 16);
    pst_config_help(&table, &b);
    assert_non_null(b.ptr);
    static const char *const expected[] = {
        "Service:\n  -n, --name NAME\n        Who it is. Default: anon.\n",
        "  -r, --page-rows N\n        How many. Default: 10 rows; a whole number from 1 to 100.\n",
        "  -f, --fast\n        Be quick.\n",
        "\nLimits:\n  --wait-time TIME\n        How long. Default: 2s; a time from 100ms to 1m.\n",
        "  --mode MODE\n        How. Default: plain; one of plain, loud, silent.\n",
        "  TRIAL_TOKEN=TOKEN\n        The secret.\n",
    };
    for (size_t i = 0; i < PST_COUNT(expected); i++) {
        if (!strstr(b.ptr, expected[i]))
            fail_msg("'%s' is not in:\n%s", expected[i], b.ptr);
    }
}

static void long_help_is_wrapped(void **state)
{
    (void)state;
    static const struct pst_config_option one[] = {
        {.name = "x",
         .type = PST_CONFIG_BOOL,
         .help = "Words that go on and on and on and on, far beyond what fits into one line of a "
                 "terminal, so that they have to be broken somewhere in between the words."}};
    static const struct pst_config_table t = {.program = "t", .options = one, .count = 1};
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1 << 16);
    pst_config_help(&t, &b);
    assert_non_null(b.ptr);
    size_t lines = 0;
    for (pst_str rest = {b.ptr, b.len - 1}; rest.ptr; lines++)
        assert_true(pst_str_split(&rest, '\n').len <= 88);
    assert_int_equal(lines, 4); /* heading, usage, two lines of text */
}

static void the_manual_escapes_what_roff_would_eat(void **state)
{
    (void)state;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1 << 16);
    pst_config_man(&table, &b);
    assert_non_null(b.ptr);
    assert_non_null(strstr(b.ptr, ".SS Limits\n"));
    assert_non_null(strstr(b.ptr, ".TP\n.B \\-r, \\-\\-page\\-rows N\nHow many."));
    assert_non_null(strstr(b.ptr, "Taken over on SIGHUP. Environment: TRIAL_PAGE_ROWS."));
    assert_null(strstr(b.ptr, "TRIAL_FORCE"));
}

static yyjson_val *parse(struct pst_arena *a, const struct pst_buf *b)
{
    struct pst_err err;
    yyjson_doc *doc = NULL;
    assert_ok(pst_json_read(pst_buf_str(b), NULL, a, &doc, &err));
    return yyjson_doc_get_root(doc);
}

static void the_json_description_is_complete(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_str text = {0};
    int64_t max = 0;
    pst_buf_init(&b, 1 << 16);
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    pst_config_describe_json(&table, &b);
    assert_non_null(b.ptr);
    yyjson_val *root = parse(a, &b);
    assert_int_equal(yyjson_arr_size(root), ROW_COUNT);
    yyjson_val *rows_option = yyjson_arr_get(root, ROWS);
    assert_true(pst_json_str(pst_json_get(rows_option, PST_STR("env")), &text));
    assert_str(text, "TRIAL_PAGE_ROWS");
    assert_true(pst_json_str(pst_json_get(rows_option, PST_STR("flag")), &text));
    assert_str(text, "--page-rows");
    assert_true(pst_json_i64(pst_json_get(rows_option, PST_STR("max")), &max));
    assert_int_equal(max, 100);
    assert_int_equal(yyjson_arr_size(pst_json_get(yyjson_arr_get(root, MODE), PST_STR("choices"))),
                     3);
    assert_null(pst_json_get(yyjson_arr_get(root, TOKEN), PST_STR("flag")));
    assert_null(pst_json_get(yyjson_arr_get(root, FORCE), PST_STR("env")));
}

static void values_in_force_hide_secrets(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(config) struct pst_config *c = NULL;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_str text = {0};
    pst_buf_init(&b, 1 << 16);
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    assert_ok(load(&c, NULL, LIST("TRIAL_TOKEN=hunter2"), LIST("--name", "flag"), &err));
    pst_config_values_json(c, &b);
    assert_non_null(b.ptr);
    assert_null(strstr(b.ptr, "hunter2"));
    yyjson_val *root = parse(a, &b);
    yyjson_val *name = pst_json_get(root, PST_STR("name"));
    assert_true(pst_json_str(pst_json_get(name, PST_STR("value")), &text));
    assert_str(text, "flag");
    assert_true(pst_json_str(pst_json_get(name, PST_STR("source")), &text));
    assert_str(text, "flag");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_shows_every_option_with_its_facts),
        cmocka_unit_test(long_help_is_wrapped),
        cmocka_unit_test(the_manual_escapes_what_roff_would_eat),
        cmocka_unit_test(the_json_description_is_complete),
        cmocka_unit_test(values_in_force_hide_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
