/* JSON values as people see them. */
#include "tests/unit/test.h"

#include "cli/output.h"
#include "cli/terminal.h"

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

static yyjson_val *parse(const char *text)
{
    struct pst_err err;
    yyjson_doc *doc = NULL;
    assert_ok(pst_json_read(pst_str_from(text), NULL, arena, &doc, &err));
    return yyjson_doc_get_root(doc);
}

static void a_value_is_found_by_its_path(void **state)
{
    (void)state;
    yyjson_val *v = parse("{\"a\":{\"b\":\"text\",\"n\":42},\"list\":[1]}");
    assert_str(pst_value_str(v, "a.b"), "text");
    assert_int_equal(pst_value_i64(v, "a.n"), 42);
    assert_null(pst_value_at(v, "a.c"));
    assert_null(pst_value_at(v, "a.b.c"));
    assert_null(pst_value_at(NULL, "a"));
    assert_str(pst_value_str(v, "a.n"), "");
    assert_int_equal(pst_value_i64(v, "a.b"), 0);
}

static void values_look_as_their_column_wants(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum pst_column_kind kind;
        const char *text;
    } cases[] = {
        {"\"plain\"", PST_COLUMN_TEXT, "plain"},
        {"1234567", PST_COLUMN_NUMBER, "1,234,567"},
        {"-1234", PST_COLUMN_NUMBER, "-1,234"},
        {"999", PST_COLUMN_NUMBER, "999"},
        {"12.50", PST_COLUMN_TEXT, "12.50"},
        {"true", PST_COLUMN_YES, "yes"},
        {"false", PST_COLUMN_YES, "no"},
        {"false", PST_COLUMN_TEXT, "false"},
        {"null", PST_COLUMN_TEXT, "-"},
        {"[]", PST_COLUMN_TEXT, "-"},
        {"[\"a\",\"b\"]", PST_COLUMN_TEXT, "a, b"},
        {"{\"a\":1}", PST_COLUMN_TEXT, "{\"a\":1}"},
        {"[]", PST_COLUMN_CHOICE, "all"},
        {"[\"a\",\"b\"]", PST_COLUMN_CHOICE, "a, b"},
        {"{\"interval\":\"15m\"}", PST_COLUMN_SCHEDULE, "every 15m"},
        {"{\"cron\":\"0 6 * * *\",\"time_zone\":\"Europe/Berlin\"}", PST_COLUMN_SCHEDULE,
         "0 6 * * * Europe/Berlin"},
        {"{\"manual\":true}", PST_COLUMN_SCHEDULE, "manual"},
        {"\"2026-11-24T00:08:45.123Z\"", PST_COLUMN_TIME, "2026-11-24 00:08:45Z"},
        {"\"never\"", PST_COLUMN_TIME, "never"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 4096);
        pst_value_text(&b, parse(cases[i].json), cases[i].kind);
        assert_str(pst_buf_str(&b), cases[i].text);
    }
}

static void control_characters_never_reach_the_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t columns;
        const char *clean;
    } cases[] = {
        {"a\x1b[31mred", 80, "a [31mred"},
        {"two\nlines\r\n", 80, "two lines  "},
        {"c1 \xc2\x9b"
         "31m",
         80, "c1  31m"},
        {"\x7f", 80, " "},
        {"M\xc3\xbcnchen", 80, "M\xc3\xbcnchen"},
        {"M\xc3\xbcnchen", 7, "M\xc3\xbcnchen"},
        {"M\xc3\xbcnchen", 6, "M\xc3\xbcn..."},
        {"abc", 2, "ab"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 4096);
        pst_terminal_clean(&b, pst_str_from(cases[i].text), cases[i].columns);
        assert_str(pst_buf_str(&b), cases[i].clean);
    }
}

static void spans_are_short(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0.0 s"},      {9999, "9.9 s"},     {10000, "10 s"},
                 {119999, "119 s"}, {120000, "2 min"},   {7199999, "119 min"},
                 {7200000, "2 h"},  {172799999, "47 h"}, {172800000, "2 days"}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 4096);
        pst_format_span(&b, cases[i].ms);
        assert_str(pst_buf_str(&b), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_found_by_its_path),
        cmocka_unit_test(values_look_as_their_column_wants),
        cmocka_unit_test(control_characters_never_reach_the_terminal),
        cmocka_unit_test(spans_are_short),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
