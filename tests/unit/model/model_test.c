/* Entities, sort keys, source rows as JSON, schemas, differences. */
#include "tests/unit/test.h"

#include "codec/json.h"
#include "tests/unit/model/fixture.h"

static void entities_are_found_by_name_and_by_path(void **state)
{
    (void)state;
    size_t count = 0;
    const struct pst_entity *all = pst_model_entities(&count);
    assert_true(count >= 4);
    for (size_t i = 0; i < count; i++) {
        const struct pst_entity *e = &all[i];
        assert_ptr_equal(pst_model_entity(pst_str_from(e->name)), e);
        assert_ptr_equal(pst_model_entity_by_path(pst_str_from(e->path)), e);
        assert_int_equal(pst_model_entity_index(e), i);
        assert_true(e->filter_count <= PST_FILTERS_MAX);
        for (size_t f = 0; f < e->filter_count; f++)
            assert_int_equal(e->filters[f].field->filter, (int)f);
        for (size_t f = 0; f < e->field_count; f++) {
            assert_non_null(pst_field_type_name(e->fields[f].type));
            if (e->fields[f].type != PST_TYPE_ENUM)
                continue;
            char twin[64];
            (void)snprintf(twin, sizeof(twin), "source_%s", e->fields[f].name);
            assert_string_equal(e->fields[f + 1].name, twin);
        }
    }
    assert_null(pst_model_entity(PST_STR("nothing")));
    assert_null(pst_model_entity_by_path(PST_STR("purchase_orders")));
    assert_null(pst_model_field(all, PST_STR("nothing")));
}

static pst_str key_of(struct pst_buf *b, const char *text, int64_t number)
{
    pst_buf_reset(b);
    pst_sort_key_add_text(b, pst_str_from(text));
    pst_sort_key_add_i64(b, number);
    return pst_buf_str(b);
}

static void sort_keys_order_like_the_source(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t number;
    } ascending[] = {
        {"", -5},  {"", 7},          {"A", INT64_MIN}, {"A", -1}, {"A", 0}, {"A", 9},
        {"A", 10}, {"A", INT64_MAX}, {"A1", 0},        {"AB", 1}, {"B", 0}, {"\xC3\xA4", 0},
    };
    for (size_t i = 1; i < PST_COUNT(ascending); i++) {
        PST_AUTO(buf) struct pst_buf a = {0};
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&a, 100);
        pst_buf_init(&b, 100);
        assert_true(pst_str_cmp(key_of(&a, ascending[i - 1].text, ascending[i - 1].number),
                                key_of(&b, ascending[i].text, ascending[i].number)) < 0);
    }
}

static void source_rows_are_shown_as_they_came(void **state)
{
    (void)state;
    struct fixture_page p;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1000);
    fixture_columns(&p, "A.\"X|B|C|D");
    fixture_row(&p, "a\"b|#1.50|\\0|-");
    fixture_row(&p, "-||x|#2");
    p.cells[7] = (struct pst_cell){PST_STR("true"), PST_CELL_BOOL};
    pst_document_source_json(&b, &p.columns, &p.doc);
    assert_str(pst_buf_str(&b), "[{\"A.\\\"X\":\"a\\\"b\",\"B\":1.50,\"C\":null},"
                                "{\"B\":\"\",\"C\":\"x\",\"D\":true}]");
}

static void of_many_source_rows_the_first_are_shown(void **state)
{
    (void)state;
    static const struct {
        size_t max;
        const char *shown;
    } CASES[] = {
        {26, "[{\"A\":1},{\"A\":2},{\"A\":30}]"},
        {25, "[{\"A\":1},{\"A\":2},null]"},
        {22, "[{\"A\":1},{\"A\":2},null]"},
        {21, "[{\"A\":1},null]"},
        {14, "[{\"A\":1},null]"},
        {13, "[null]"},
        {7, "[null]"},
    };
    struct fixture_page p;
    fixture_columns(&p, "A");
    fixture_row(&p, "#1");
    fixture_row(&p, "#2");
    fixture_row(&p, "#30");
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 100);
        pst_buf_add_lit(&b, "before");
        pst_document_source_head(&b, &p.columns, &p.doc, CASES[i].max);
        assert_str(pst_str_sub(pst_buf_str(&b), 6, b.len), CASES[i].shown);
        assert_true(b.len - 6 <= CASES[i].max);
    }
}

static void kept_rows_give_the_rows_as_they_came(void **state)
{
    (void)state;
    struct fixture_page p;
    struct pst_err err;
    PST_AUTO(buf) struct pst_buf shown = {0};
    PST_AUTO(buf) struct pst_buf packed = {0};
    PST_AUTO(buf) struct pst_buf back = {0};
    char text[300];
    pst_buf_init(&shown, 10000);
    pst_buf_init(&packed, 10000);
    pst_buf_init(&back, 10000);
    memset(text, 'x', sizeof(text));
    fixture_columns(&p, "A.\"X|B|C|D");
    fixture_row(&p, "a\"b|#1.50|\\0|-");
    fixture_row(&p, "a\"b|#1.50|\\0|-");
    fixture_row(&p, "a\"b||x|#2");
    fixture_row(&p, "-||x|#2");
    fixture_row(&p, "-||#2|x");
    p.cells[7] = (struct pst_cell){PST_STR("true"), PST_CELL_BOOL};
    p.cells[9].text = (pst_str){text, sizeof(text)}; /* a length of two bytes */
    pst_document_source_json(&shown, &p.columns, &p.doc);
    pst_source_pack(&packed, &p.columns, &p.doc);
    assert_ok(pst_source_unpack(&back, pst_buf_str(&packed), &err));
    assert_str(pst_buf_str(&back), shown.ptr);
    /* Cut anywhere it is damaged, and whatever byte is wrong nothing worse happens. */
    for (size_t i = 0; i < packed.len; i++) {
        pst_buf_reset(&back);
        assert_code(pst_source_unpack(&back, (pst_str){packed.ptr, i}, &err), PST_E_CORRUPT);
        assert_int_equal(back.len, 0);
        for (int bit = 0; bit < 8; bit++) {
            packed.ptr[i] = (char)(packed.ptr[i] ^ 1 << bit);
            pst_buf_reset(&back);
            (void)pst_source_unpack(&back, pst_buf_str(&packed), &err);
            packed.ptr[i] = (char)(packed.ptr[i] ^ 1 << bit);
        }
    }
    pst_buf_add_char(&packed, 'x');
    assert_code(pst_source_unpack(&back, pst_buf_str(&packed), &err), PST_E_CORRUPT);
    /* A number that never ends, and a page that leaves no room. */
    assert_code(
        pst_source_unpack(&back, PST_STR("\1\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1"), &err),
        PST_E_CORRUPT);
    for (size_t max = 0; max < packed.len - 1; max++) {
        PST_AUTO(buf) struct pst_buf tight = {.max = max};
        pst_source_pack(&tight, &p.columns, &p.doc);
        assert_code(pst_buf_check(&tight, &err), PST_E_LIMIT);
    }
    PST_AUTO(buf) struct pst_buf small = {.max = shown.len - 1};
    packed.len--;
    assert_code(pst_source_unpack(&small, pst_buf_str(&packed), &err), PST_E_LIMIT);
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(buf) struct pst_buf own = {.max = 10000};
        pst_code rc = pst_source_unpack(&own, pst_buf_str(&packed), &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
    }
}

static void schemas_are_valid_json_with_every_field(void **state)
{
    (void)state;
    size_t count = 0;
    const struct pst_entity *all = pst_model_entities(&count);
    for (size_t i = 0; i < count; i++) {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        PST_AUTO(buf) struct pst_buf b = {0};
        yyjson_doc *doc = NULL;
        pst_buf_init(&b, 1 << 20);
        assert_ok(pst_arena_new(&a, 1 << 22, &err));
        pst_model_schema_json(&b, &all[i]);
        assert_ok(pst_json_read(pst_buf_str(&b), NULL, a, &doc, &err));
        yyjson_val *props = pst_json_get(yyjson_doc_get_root(doc), PST_STR("properties"));
        for (size_t f = 0; f < all[i].field_count; f++)
            assert_non_null(pst_json_get(props, pst_str_from(all[i].fields[f].name)));
        assert_non_null(pst_json_get(props, PST_STR("seq")));
        assert_non_null(pst_json_get(props, PST_STR("custom_fields")));
    }
}

static void differences_name_the_top_level_members(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"{}", "{}", "[]"},
        {"{\"a\":1,\"b\":[1,{\"c\":\"},\\\"\"}]}", "{\"a\":1,\"b\":[1,{\"c\":\"},\\\"\"}]}", "[]"},
        {"{\"a\":1,\"b\":[1,2]}", "{\"a\":2,\"b\":[1,2],\"c\":null}", "[\"a\",\"c\"]"},
        {"{\"a\":1,\"b\":2}", "{\"b\":2}", "[\"a\"]"},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "[]"},
        {"{\"a\":\"\\\\\"}", "{\"a\":\"\\\\\\\"\"}", "[\"a\"]"},
        {"", "{}", "[]"},
        {"[]", "{}", "[]"},
        {"{\"a\"}", "{\"a\":1}", "[\"a\"]"},
        {"{\"a\":1", "{\"a\":1}", "[]"},
        {"{\"a", "{\"a\":1}", "[]"},
        {"{\"a}", "{\"a\":1}", "[\"a\"]"},
        {"{x}", "{\"a\":1}", "[\"a\"]"},
        {"{\"a\":1,\"b\":{\"c\":[1]}}", "{\"a\":1,\"b\":{\"c\":[2]}}", "[\"b\"]"},
        {"{\"a\":[1}", "{\"a\":1}", "[\"a\"]"},
        {"{\"a\":1}", "{\"a\"x1}", "[\"a\"]"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"c\":3}", "[\"b\"]"},
        {"{\"a\":1}", "[]", "[]"},
        {"{", "}", "[]"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 1000);
        pst_model_diff(&b, pst_str_from(cases[i][0]), pst_str_from(cases[i][1]));
        if (!pst_str_is(pst_buf_str(&b), cases[i][2]))
            fail_msg("%s / %s gives %s", cases[i][0], cases[i][1], b.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entities_are_found_by_name_and_by_path),
        cmocka_unit_test(sort_keys_order_like_the_source),
        cmocka_unit_test(source_rows_are_shown_as_they_came),
        cmocka_unit_test(of_many_source_rows_the_first_are_shown),
        cmocka_unit_test(kept_rows_give_the_rows_as_they_came),
        cmocka_unit_test(schemas_are_valid_json_with_every_field),
        cmocka_unit_test(differences_name_the_top_level_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
