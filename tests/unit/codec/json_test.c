/* Strict reading, limits, getters, and a writer that cannot be used wrongly. */
#include "tests/unit/test.h"

#include "codec/json.h"

static pst_code read_text(struct pst_arena *a, const char *text, const struct pst_json_limits *l,
                          yyjson_doc **doc, struct pst_err *err)
{
    return pst_json_read(pst_str_from(text), l, a, doc, err);
}

static void what_is_not_rfc_8259_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "01",
        "1.",
        ".5",
        "+1",
        "NaN",
        "Infinity",
        "nul",
        "\"\t\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "[1] 2",
        "\xEF\xBB\xBF{}",
        "\"\xFF\"",
        "//c\n1",
        "[1 2]",
        "\"\xC0\x80\"",
        "{\"a\" 1}",
        "\"abc",
        "1e",
        "-",
    };
    for (size_t i = 0; i < PST_COUNT(bad); i++) {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        yyjson_doc *doc = NULL;
        assert_ok(pst_arena_new(&a, 1 << 20, &err));
        if (read_text(a, bad[i], NULL, &doc, &err) != PST_E_INVALID)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void limits_hold_on_both_sides(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    yyjson_doc *doc = NULL;
    const struct pst_json_limits depth = {.max_depth = 2};
    const struct pst_json_limits bytes = {.max_bytes = 4};
    const struct pst_json_limits bom = {.allow_bom = true};
    const struct pst_json_limits twice = {.allow_duplicates = true};
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    assert_ok(read_text(a, "[[1]]", &depth, &doc, &err));
    assert_code(read_text(a, "[[[1]]]", &depth, &doc, &err), PST_E_LIMIT);
    assert_code(read_text(a, "{\"a\":{\"b\":[]}}", &depth, &doc, &err), PST_E_LIMIT);
    assert_ok(read_text(a, "1234", &bytes, &doc, &err));
    assert_code(read_text(a, "12345", &bytes, &doc, &err), PST_E_LIMIT);
    assert_ok(read_text(a, "\xEF\xBB\xBF[]", &bom, &doc, &err));
    assert_ok(read_text(a, "[]", &bom, &doc, &err));
    assert_code(read_text(a, "\xEF\xBB\xBF\xEF\xBB\xBF[]", &bom, &doc, &err), PST_E_INVALID);
    assert_code(read_text(a, "{\"a\":1,\"b\":2,\"a\":3}", NULL, &doc, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "'a' stands twice"));
    assert_ok(read_text(a, "{\"a\":1,\"a\":3}", &twice, &doc, &err));
}

static void a_name_twice_is_found_among_many(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(buf) struct pst_buf b = {0};
    yyjson_doc *doc = NULL;
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    pst_buf_init(&b, 1 << 16);
    pst_buf_add_lit(&b, "{\"x\":0");
    for (int i = 0; i < 40; i++)
        pst_buf_addf(&b, ",\"k%d\":%d", i, i);
    pst_buf_add_lit(&b, "}");
    assert_ok(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err));
    b.len--;
    pst_buf_add_lit(&b, ",\"k7\":1}");
    assert_code(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, "'k7'"));
    pst_alloc_fail_at(0);
    assert_code(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err), PST_E_NO_MEMORY);
    pst_alloc_fail_at(-1);
}

static void too_small_an_arena_is_a_limit_not_bad_json(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(buf) struct pst_buf b = {0};
    yyjson_doc *doc = NULL;
    pst_buf_init(&b, 1 << 16);
    assert_ok(pst_arena_new(&a, 4096, &err));
    pst_buf_add_char(&b, '[');
    for (int i = 0; i < 2000; i++)
        pst_buf_add_lit(&b, "1,");
    pst_buf_add_lit(&b, "1]");
    assert_code(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err), PST_E_LIMIT);
}

static void numbers_keep_every_digit(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    yyjson_doc *doc = NULL;
    pst_str s;
    int64_t n = 0;
    bool flag = false;
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    assert_ok(read_text(a,
                        "{\"bo\":1234567890123456789012345678901,\"amt\":39000.000,\"n\":-7,"
                        "\"s\":\"x\",\"t\":true,\"z\":null,\"a\":[],\"o\":{}}",
                        NULL, &doc, &err));
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_true(pst_json_number(pst_json_get(root, PST_STR("bo")), &s));
    assert_str(s, "1234567890123456789012345678901");
    assert_true(pst_json_number(pst_json_get(root, PST_STR("amt")), &s));
    assert_str(s, "39000.000");
    assert_true(pst_json_i64(pst_json_get(root, PST_STR("n")), &n) && n == -7);
    assert_false(pst_json_i64(pst_json_get(root, PST_STR("amt")), &n));
    assert_false(pst_json_i64(pst_json_get(root, PST_STR("s")), &n));
    assert_true(pst_json_str(pst_json_get(root, PST_STR("s")), &s));
    assert_false(pst_json_str(pst_json_get(root, PST_STR("n")), &s));
    assert_true(pst_json_bool(pst_json_get(root, PST_STR("t")), &flag) && flag);
    assert_false(pst_json_bool(NULL, &flag));
    static const char *const types[][2] = {{"bo", "number"}, {"s", "string"}, {"t", "boolean"},
                                           {"z", "null"},    {"a", "array"},  {"o", "object"},
                                           {"?", "nothing"}};
    for (size_t i = 0; i < PST_COUNT(types); i++)
        assert_string_equal(pst_json_type(pst_json_get(root, pst_str_from(types[i][0]))),
                            types[i][1]);
    assert_null(pst_json_get(NULL, PST_STR("x")));
    assert_null(pst_json_get(root, (pst_str){NULL, 0}));
    assert_null(pst_json_get(pst_json_get(root, PST_STR("n")), PST_STR("x")));
}

static void members_are_checked_and_named(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    yyjson_doc *doc = NULL;
    pst_str s = PST_STR("as it was");
    int64_t n = 5;
    bool flag = true;
    yyjson_val *v = NULL;
    const char *names[] = {"s", "n", "f", "a", "o", "z", "e", NULL};
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    assert_ok(
        read_text(a, "{\"s\":\"x\",\"n\":500,\"f\":false,\"a\":[],\"o\":{},\"z\":null,\"e\":\"\"}",
                  NULL, &doc, &err));
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_ok(pst_json_opt_str(root, "z", &s, &err));
    assert_ok(pst_json_opt_str(root, "none", &s, &err));
    assert_str(s, "as it was");
    assert_ok(pst_json_need_str(root, "s", &s, &err));
    assert_str(s, "x");
    assert_code(pst_json_need_str(root, "e", &s, &err), PST_E_INVALID);
    assert_string_equal(err.param, "e");
    assert_code(pst_json_need_str(root, "n", &s, &err), PST_E_INVALID);
    assert_ok(pst_json_opt_i64(root, "n", 1, 500, &n, &err));
    assert_int_equal(n, 500);
    assert_ok(pst_json_opt_i64(root, "z", 1, 2, &n, &err));
    assert_code(pst_json_opt_i64(root, "n", 1, 499, &n, &err), PST_E_INVALID);
    assert_code(pst_json_opt_i64(root, "n", 501, 600, &n, &err), PST_E_INVALID);
    assert_code(pst_json_opt_i64(root, "s", 1, 2, &n, &err), PST_E_INVALID);
    assert_true(pst_json_has(root, "f"));
    assert_false(pst_json_has(root, "z") || pst_json_has(root, "absent"));
    assert_ok(pst_json_opt_bool(root, "f", &flag, &err));
    assert_false(flag);
    assert_ok(pst_json_opt_bool(root, "z", &flag, &err));
    assert_code(pst_json_opt_bool(root, "n", &flag, &err), PST_E_INVALID);
    assert_ok(pst_json_opt_array(root, "a", &v, &err));
    assert_ok(pst_json_opt_array(root, "z", &v, &err));
    assert_code(pst_json_opt_array(root, "o", &v, &err), PST_E_INVALID);
    assert_ok(pst_json_opt_object(root, "o", &v, &err));
    assert_ok(pst_json_opt_object(root, "none", &v, &err));
    assert_code(pst_json_opt_object(root, "a", &v, &err), PST_E_INVALID);
    assert_ok(pst_json_only(root, "thing", names, &err));
    names[6] = NULL;
    assert_code(pst_json_only(root, "thing", names, &err), PST_E_INVALID);
    assert_string_equal(err.param, "e");
    assert_code(pst_json_only(pst_json_get(root, PST_STR("a")), "thing", names, &err),
                PST_E_INVALID);
}

static void an_unknown_name_too_long_for_the_record_is_still_refused(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    yyjson_doc *doc = NULL;
    static const char *const names[] = {NULL};
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    assert_ok(
        read_text(a,
                  "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  "aaaaaaaaaa\":1}",
                  NULL, &doc, &err));
    assert_code(pst_json_only(yyjson_doc_get_root(doc), "thing", names, &err), PST_E_INVALID);
    assert_string_equal(err.param, "");
}

static void text_is_escaped_and_made_valid(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"exactly8", "exactly8"},
        {"12345678\"", "12345678\\\""},
        {"a\"b\\c/d", "a\\\"b\\\\c/d"},
        {"\b\t\n\f\r", "\\b\\t\\n\\f\\r"},
        {"\x01\x1F\x7F", "\\u0001\\u001f\x7F"},
        {"\xC3\xA4 \xE2\x82\xAC", "\xC3\xA4 \xE2\x82\xAC"},
        {"a\xFFz", "a\xEF\xBF\xBDz"},
        {"\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"", ""},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 1000);
        pst_json_escape(&b, pst_str_from(cases[i][0]));
        assert_str(pst_buf_str(&b), cases[i][1]);
    }
}

static void what_was_written_reads_back_the_same(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    PST_AUTO(buf) struct pst_buf b = {0};
    PST_AUTO(buf) struct pst_buf copy = {0};
    struct pst_json_writer w;
    yyjson_doc *doc = NULL;
    pst_buf_init(&b, 10000);
    pst_buf_init(&copy, 10000);
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_json_add_str(&w, "s", PST_STR("x\"y"));
    pst_json_add_z(&w, "z", NULL);
    pst_json_add_str(&w, "e", (pst_str){NULL, 0});
    pst_json_add_z(&w, "c", "text");
    pst_json_add_text(&w, "some", PST_STR("text"));
    pst_json_add_text(&w, "none", PST_STR(""));
    pst_json_add_error(&w, PST_STR("CODE"), PST_STR("why"));
    pst_json_add_i64(&w, "n", -12);
    pst_json_add_bool(&w, "t", true);
    pst_json_add_null(&w, "nil");
    pst_json_add_raw(&w, "raw", PST_STR("[1.50]"));
    pst_json_add_wall(&w, "at", (pst_wall){0});
    pst_json_add_wall(&w, "never", PST_WALL_NONE);
    pst_json_add_val(&w, "absent", NULL);
    pst_json_add_array(&w, "list");
    pst_json_put_i64(&w, 1);
    pst_json_put_bool(&w, false);
    pst_json_begin_object(&w);
    pst_json_end_object(&w);
    pst_json_end_array(&w);
    pst_json_add_object(&w, "inner");
    pst_json_put_name(&w, PST_STR("k"));
    pst_json_put_null(&w);
    pst_json_add_error(&w, PST_STR(""), PST_STR("never told"));
    pst_json_end_object(&w);
    pst_json_end_object(&w);
    assert_ok(pst_json_finish(&w, &err));
    assert_str(pst_buf_str(&b),
               "{\"s\":\"x\\\"y\",\"z\":null,\"e\":\"\",\"c\":\"text\",\"some\":\"text\",\"none\":"
               "null,\"error\":{\"code\":\"CODE\",\"message\":\"why\"},\"n\":-12,"
               "\"t\":true,\"nil\":null,"
               "\"raw\":[1.50],\"at\":\"1970-01-01T00:00:00Z\",\"never\":null,\"absent\":null,"
               "\"list\":[1,false,{}],\"inner\":{\"k\":null,\"error\":null}}");
    assert_ok(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err));
    pst_json_init(&w, &copy);
    pst_json_put_val(&w, yyjson_doc_get_root(doc));
    assert_ok(pst_json_finish(&w, &err));
    assert_true(pst_str_eq(pst_buf_str(&b), pst_buf_str(&copy)));
}

static void wrong_order_is_noticed(void **state)
{
    (void)state;
    for (int i = 0; i < 15; i++) {
        struct pst_err err;
        PST_AUTO(buf) struct pst_buf b = {0};
        struct pst_json_writer w;
        pst_buf_init(&b, 1000);
        pst_json_init(&w, &b);
        switch (i) {
        case 0: /* nothing */
            break;
        case 1:
            pst_json_begin_object(&w);
            break;
        case 2:
            pst_json_put_i64(&w, 1);
            pst_json_put_i64(&w, 2);
            break;
        case 3:
            pst_json_begin_object(&w);
            pst_json_put_i64(&w, 1);
            break;
        case 4:
            pst_json_begin_array(&w);
            pst_json_put_name(&w, PST_STR("x"));
            break;
        case 5:
            pst_json_begin_object(&w);
            pst_json_put_name(&w, PST_STR("x"));
            pst_json_put_name(&w, PST_STR("y"));
            break;
        case 6:
            pst_json_begin_object(&w);
            pst_json_put_name(&w, PST_STR("x"));
            pst_json_end_object(&w);
            break;
        case 7:
            pst_json_begin_array(&w);
            pst_json_end_object(&w);
            break;
        case 8:
            pst_json_end_array(&w);
            break;
        case 9:
            pst_json_put_raw(&w, PST_STR(""));
            break;
        case 10:
            for (int k = 0; k <= PST_JSON_WRITE_DEPTH; k++)
                pst_json_begin_array(&w);
            break;
        case 11:
            pst_json_put_str(&w, PST_STR("a"));
            pst_json_put_str(&w, PST_STR("b"));
            break;
        case 12:
            pst_json_put_null(&w);
            pst_json_put_null(&w);
            break;
        case 13:
            pst_json_put_null(&w);
            pst_json_begin_array(&w);
            break;
        default:
            pst_json_begin_object(&w);
            pst_json_begin_array(&w);
            break;
        }
        if (pst_json_finish(&w, &err) != PST_E_INTERNAL)
            fail_msg("case %d passed", i);
    }
}

/* A document that was read without PST's reader has numbers that lost their digits. */
static void numbers_that_are_no_text_are_not_written(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    yyjson_doc *doc = yyjson_read("[1.10]", 6, 0);
    assert_non_null(doc);
    pst_buf_init(&b, 100);
    pst_json_init(&w, &b);
    pst_json_put_val(&w, yyjson_doc_get_root(doc));
    assert_code(pst_json_finish(&w, &err), PST_E_INTERNAL);
    yyjson_doc_free(doc);
}

static void a_name_outside_an_object_is_noticed(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    pst_buf_init(&b, 100);
    pst_json_init(&w, &b);
    pst_json_put_name(&w, PST_STR("x"));
    assert_code(pst_json_finish(&w, &err), PST_E_INTERNAL);
}

static void reading_survives_every_allocation_fault(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    static char text[8 << 10] = "[";
    size_t len = 1;
    for (int i = 0; i < 40; i++) /* many names in one object, and more values than expected */
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"n%d\":[0,0,0,0,0,0]",
                                i ? "," : "{", i);
    (void)snprintf(text + len, sizeof(text) - len, "}]");
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        yyjson_doc *doc = NULL;
        pst_code rc = pst_arena_new(&a, 1 << 20, &err);
        if (rc == PST_OK)
            rc = pst_json_read(pst_str_from(text), NULL, a, &doc, &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
    }
    assert_int_equal(pst_alloc_live(), live);
}

static void a_full_buffer_is_reported_as_a_limit(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    pst_buf_init(&b, 4);
    pst_json_init(&w, &b);
    pst_json_put_str(&w, PST_STR("abc"));
    pst_json_put_name(&w, PST_STR("misuse"));
    assert_code(pst_json_finish(&w, &err), PST_E_LIMIT);

    PST_AUTO(arena) struct pst_arena *a = NULL;
    yyjson_doc *doc = NULL;
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    assert_ok(read_text(a, "[[1,2],[3]]", NULL, &doc, &err));
    pst_buf_reset(&b);
    pst_json_init(&w, &b);
    pst_json_put_val(&w, yyjson_doc_get_root(doc));
    assert_code(pst_json_finish(&w, &err), PST_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_rfc_8259_is_refused),
        cmocka_unit_test(limits_hold_on_both_sides),
        cmocka_unit_test(a_name_twice_is_found_among_many),
        cmocka_unit_test(too_small_an_arena_is_a_limit_not_bad_json),
        cmocka_unit_test(numbers_keep_every_digit),
        cmocka_unit_test(members_are_checked_and_named),
        cmocka_unit_test(an_unknown_name_too_long_for_the_record_is_still_refused),
        cmocka_unit_test(text_is_escaped_and_made_valid),
        cmocka_unit_test(what_was_written_reads_back_the_same),
        cmocka_unit_test(wrong_order_is_noticed),
        cmocka_unit_test(numbers_that_are_no_text_are_not_written),
        cmocka_unit_test(a_name_outside_an_object_is_noticed),
        cmocka_unit_test(reading_survives_every_allocation_fault),
        cmocka_unit_test(a_full_buffer_is_reported_as_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
