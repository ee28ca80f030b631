/* Rules over an entity that has everything: each type in a filter, enums with and without a twin,
 * arrays too deep; limits, and every allocation that may fail on the way. */
#include "tests/unit/model/fixture.h"
#include "tests/unit/test.h"

static const struct pst_enum_value kinds[] = {{"alpha", "First."}, {"beta", "Second."}};

#define FIELD(n, t, f) {.name = (n), .type = PST_TYPE_##t, .description = "", .filter = (f)}
#define ENUM_FIELD(n, f)                                                                           \
    {.name = (n),                                                                                  \
     .type = PST_TYPE_ENUM,                                                                        \
     .description = "",                                                                            \
     .values = kinds,                                                                              \
     .value_count = 2,                                                                             \
     .filter = (f)}
#define ARRAY_FIELD(n, inner)                                                                      \
    {.name = (n),                                                                                  \
     .type = PST_TYPE_ARRAY,                                                                       \
     .description = "",                                                                            \
     .fields = (inner),                                                                            \
     .field_count = PST_COUNT(inner),                                                              \
     .filter = -1}

static const struct pst_field level5[] = {FIELD("number", INTEGER, -1)};
static const struct pst_field level4[] = {FIELD("number", INTEGER, -1), ARRAY_FIELD("d5", level5)};
static const struct pst_field level3[] = {FIELD("number", INTEGER, -1), ARRAY_FIELD("d4", level4)};
static const struct pst_field level2[] = {FIELD("number", INTEGER, -1), ARRAY_FIELD("d3", level3)};
static const struct pst_field level1[] = {FIELD("number", INTEGER, -1), ARRAY_FIELD("d2", level2)};

static const struct pst_field fields[] = {
    ENUM_FIELD("kind", 0),
    FIELD("note", STRING, -1),
    ENUM_FIELD("state", -1),
    FIELD("source_other", STRING, -1),
    FIELD("count", INTEGER, 1),
    FIELD("amount", DECIMAL, 2),
    FIELD("flag", BOOLEAN, 3),
    FIELD("day", DATE, 4),
    FIELD("at", DATETIME, 5),
    {.name = "other_id",
     .type = PST_TYPE_REFERENCE,
     .description = "",
     .target = "others",
     .filter = 6},
    FIELD("text", TEXT, 7),
    ENUM_FIELD("mode", -1),
    FIELD("source_mode", STRING, -1),
    ARRAY_FIELD("d1", level1),
};

static const struct pst_filter filters[] = {
    {&fields[0], "f_kind"}, {&fields[4], "f_count"}, {&fields[5], "f_amount"},
    {&fields[6], "f_flag"}, {&fields[7], "f_day"},   {&fields[8], "f_at"},
    {&fields[9], "f_ref"},  {&fields[10], "f_text"},
};

static const struct pst_entity everything = {
    .name = "everything",
    .singular = "everything",
    .path = "everything",
    .title = "Everything",
    .domain = "test",
    .description = "",
    .fields = fields,
    .field_count = PST_COUNT(fields),
    .filters = filters,
    .filter_count = PST_COUNT(filters),
    .table = "rec_everything",
};

static struct pst_err err;
static struct pst_tz *utc;

static int load_zone(void **state)
{
    (void)state;
    return pst_tz_load(&utc, NULL, PST_STR("UTC"), &err) == PST_OK ? 0 : -1;
}

static int free_zone(void **state)
{
    (void)state;
    pst_tz_free(utc);
    return 0;
}

struct outcome {
    struct pst_arena *arena;
    struct pst_mapped mapped;
};

static void map(struct outcome *o, struct fixture_page *p, const char *stream, const char *over)
{
    struct pst_mapping *m = NULL;
    struct pst_mapper *mapper = NULL;
    assert_ok(fixture_mapping_of(&m, &everything, stream, over, utc, &err));
    assert_ok(pst_mapper_new(&mapper, m, &err));
    assert_ok(pst_mapper_bind(mapper, &p->columns, &err));
    assert_ok(pst_mapper_apply(mapper, &p->doc, o->arena, &o->mapped, &err));
    pst_mapper_free(mapper);
    pst_mapping_free(m);
}

/* Whether the unified JSON has this text. */
static void assert_in(const struct outcome *o, const char *text)
{
    if (o->mapped.reject.len > 0 || strstr(o->mapped.data.ptr, text) == NULL)
        fail_msg("no %s in %s%s", text, o->mapped.reject.ptr ? o->mapped.reject.ptr : "",
                 o->mapped.data.ptr ? o->mapped.data.ptr : "");
}

static struct outcome outcome_new(void)
{
    struct outcome o = {NULL};
    assert_ok(pst_arena_new(&o.arena, 1 << 22, &err));
    return o;
}

static const char flat_stream[] =
    "fields: {kind: {column: K, map: {A: alpha, B: beta}}, count: N, amount: M, flag: F, day: D,"
    " at: T, other_id: {ref: [R]}, text: X}";
static const char flat_columns[] = "K|N|M|F|D|T|R|X";

static void every_type_fills_its_filter(void **state)
{
    (void)state;
    struct fixture_page p;
    struct outcome o = outcome_new();
    const struct pst_filter_value *f = o.mapped.filters;
    fixture_columns(&p, flat_columns);
    fixture_row(&p, "b|#7|#1.50|Y|2026-02-03|2026-02-03T04:05:06.5Z|9|words");
    map(&o, &p, flat_stream, "");
    assert_str(f[0].text, "beta");
    assert_int_equal(f[1].kind, PST_FILTER_INT);
    assert_int_equal(f[1].num, 7);
    assert_str(f[2].text, "1.50");
    assert_int_equal(f[3].num, 1);
    assert_str(f[4].text, "2026-02-03");
    assert_int_equal(f[5].kind, PST_FILTER_INT);
    assert_int_equal(f[5].num, 1770091506500000);
    assert_str(f[6].text, "rec_others:9");
    assert_str(f[7].text, "words");
    /* What is blank is NULL in the filter, too. */
    fixture_columns(&p, flat_columns);
    fixture_row(&p, "| |||||\\0|-");
    map(&o, &p, flat_stream, "");
    for (size_t i = 0; i < PST_COUNT(filters); i++)
        assert_int_equal(f[i].kind, PST_FILTER_NULL);
    pst_arena_free(o.arena);
}

static void a_twin_shows_what_the_enum_was_made_of(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *mode, *twin;
    } cases[] = {
        {"mode: {column: K, map: {k: alpha}}", "\"mode\":\"alpha\"", "\"source_mode\":\"k\""},
        {"mode: {first: [E, L], map: {l: beta}}", "\"mode\":\"beta\"", "\"source_mode\":\"l\""},
        {"mode: {column: K, map: {k: alpha}, source: L}", "\"mode\":\"alpha\"",
         "\"source_mode\":\"l\""},
        {"mode: {column: K, map: {k: alpha}, source: [E, L]}", "\"mode\":\"alpha\"",
         "\"source_mode\":\"l\""},
        {"mode: {const: beta}", "\"mode\":\"beta\"", "\"source_mode\":null"},
        {"mode: {const: beta, source: L}", "\"mode\":\"beta\"", "\"source_mode\":\"l\""},
        {"mode: null", "\"mode\":null", "\"source_mode\":null"},
        {"mode: {column: K, map: {}}, source_mode: L", "\"mode\":null", "\"source_mode\":\"l\""},
        {"kind: {column: K, map: {}}, state: {column: L, map: {l: beta}}", "\"state\":\"beta\"",
         "\"source_other\":null"}, /* not its twin */
        {"mode: {column: K, map: {}, when: [{if: {N: 7, L: l}, value: beta}]}", "\"mode\":\"beta\"",
         "\"source_mode\":\"k\""},
        {"mode: {column: K, map: {}, when: [{if: {N: [6, 8], L: l}, value: beta}]}",
         "\"mode\":null", "\"source_mode\":\"k\""},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct fixture_page p;
        struct outcome o = outcome_new();
        char stream[200];
        fixture_columns(&p, "E|K|L|N");
        fixture_row(&p, "|k|l|#7");
        (void)snprintf(stream, sizeof stream, "fields: {%s}", cases[i].rule);
        map(&o, &p, stream, "");
        assert_in(&o, cases[i].mode);
        assert_in(&o, cases[i].twin);
        pst_arena_free(o.arena);
    }
}

static void arrays_nest_four_deep_and_no_deeper(void **state)
{
    (void)state;
    static const char four[] =
        "fields: {d1: {group_by: A, fields: {number: A, d2: {group_by: B, fields: {number: B, d3:"
        " {group_by: C, fields: {number: C, d4: {group_by: D, fields: {number: D%s}}}}}}}}}";
    struct fixture_page p;
    struct outcome o = outcome_new();
    struct pst_mapping *m = NULL;
    char stream[400];
    (void)snprintf(stream, sizeof stream, four, "");
    fixture_columns(&p, "A|B|C|D");
    fixture_row(&p, "#1|#1|#1|#1");
    fixture_row(&p, "#1|#1|#1|#2");
    fixture_row(&p, "#1|#2|#1|#3");
    map(&o, &p, stream, "");
    assert_in(&o, "\"d1\":[{\"number\":1,\"d2\":["
                  "{\"number\":1,\"d3\":[{\"number\":1,\"d4\":[{\"number\":1,\"d5\":[]},"
                  "{\"number\":2,\"d5\":[]}]}]},"
                  "{\"number\":2,\"d3\":[{\"number\":1,\"d4\":[{\"number\":3,\"d5\":[]}]}]}]}]");
    (void)snprintf(stream, sizeof stream, four, ", d5: {group_by: D, fields: {number: D}}");
    assert_code(fixture_mapping_of(&m, &everything, stream, "", utc, &err), PST_E_LIMIT);
    assert_non_null(strstr(err.msg, "d5: more than 4 levels of arrays"));
    pst_arena_free(o.arena);
}

static void what_a_list_of_lines_needs_is_told(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"d1: {fields: {number: A}}", "fields.d1: the name of a source column is needed"},
        {"d1: {group_by: A, rows: 1}", "'rows' is not a member of a fields.d1"},
        {"d1: A", "the fields.d1 must be an object, not string"},
        {"d1: {group_by: A, fields: {other: B}}", "fields.d1.fields.other: the model has no such"},
        {"other_id: R", "fields.other_id: 'column' does not give a reference"},
        {"text: {const: 3}", "only text and enum fields take a constant"},
        {"count: {const: x}", "only text and enum fields take a constant"},
        {"kind: {column: K, map: {}, when: [{if: {A: true}, value: beta}]}", "texts to compare"},
        {"kind: {column: K, map: {}, when: [{if: {'': x}, value: beta}]}", "source column"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_mapping *m = NULL;
        char stream[200];
        (void)snprintf(stream, sizeof stream, "fields: {%s}", cases[i][0]);
        assert_code(fixture_mapping_of(&m, &everything, stream, "", utc, &err), PST_E_INVALID);
        if (strstr(err.msg, cases[i][1]) == NULL)
            fail_msg("%s: '%s' does not say '%s'", cases[i][0], err.msg, cases[i][1]);
    }
}

static void extremes_are_the_first_of_equals(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *cells[3], *want;
    } cases[] = {
        {"amount: {min: C}", {"2", "1.0", "1"}, "\"amount\":\"1.0\""},
        {"amount: {max: C}", {"1", "2.0", "2"}, "\"amount\":\"2.0\""},
        {"amount: {max: C}", {"3", "", "1"}, "\"amount\":\"3\""},
        {"count: {min: C}", {"-1", "-2", "5"}, "\"count\":-2"},
        {"day: {max: C}", {"2026-01-01", "2026-01-02", "2025-12-31"}, "\"day\":\"2026-01-02\""},
        {"at: {min: C}",
         {"2026-01-01T01:00+01", "2026-01-01T00:30Z", ""},
         "\"at\":\"2026-01-01T00:00:00Z\""},
        {"at: {max: C}", {"", "", ""}, "\"at\":null"},
        {"text: {const: here}", {"", "", ""}, "\"text\":\"here\""},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct fixture_page p;
        struct outcome o = outcome_new();
        char stream[100];
        char rows[3][40];
        fixture_columns(&p, "K|C");
        for (size_t r = 0; r < 3; r++) {
            (void)snprintf(rows[r], sizeof rows[r], "k|%s", cases[i].cells[r]);
            fixture_row(&p, rows[r]);
        }
        (void)snprintf(stream, sizeof stream, "fields: {note: K, %s}", cases[i].rule);
        map(&o, &p, stream, "");
        assert_in(&o, cases[i].want);
        pst_arena_free(o.arena);
    }
}

static void a_sum_beyond_36_digits_rejects(void **state)
{
    (void)state;
    static const char nines[] = "999999999999999999999999999999999999";
    struct fixture_page p;
    struct outcome o = outcome_new();
    fixture_columns(&p, "C");
    fixture_row(&p, nines);
    map(&o, &p, "fields: {amount: {sum: C}}", "");
    assert_in(&o, nines);
    fixture_row(&p, "1");
    map(&o, &p, "fields: {amount: {sum: C}}", "");
    assert_str(o.mapped.reject, "amount: C is not a number that can be summed");
    pst_arena_free(o.arena);
}

static void custom_fields_are_called_by_simple_names(void **state)
{
    (void)state;
#define TEN "a123456789"
    static const struct {
        const char *name;
        bool ok;
    } cases[] = {
        {"a", true},
        {"_", true},
        {"z_9", true},
        {"", false},
        {"9a", false},
        {"A", false},
        {"aZ", false},
        {"a-b", false},
        {"a b", false},
        {"a{", false},
        {"a`", false},
        {"a/", false},
        {"a:", false},
        {TEN TEN TEN TEN TEN TEN "abcd", true},
        {TEN TEN TEN TEN TEN TEN "abcde", false},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_mapping *m = NULL;
        char over[120];
        (void)snprintf(over, sizeof over, "custom_fields: {'%s': C}", cases[i].name);
        pst_code rc = fixture_mapping_of(&m, &everything, "display_name: null", over, utc, &err);
        if ((rc == PST_OK) != cases[i].ok)
            fail_msg("'%s': %s", cases[i].name, pst_code_name(rc));
        if (rc == PST_OK)
            pst_mapping_free(m);
    }
}

static void a_mapping_names_at_most_1024_columns(void **state)
{
    (void)state;
    static char over[40000];
    for (int columns = 1024; columns <= 1025; columns++) {
        struct pst_mapping *m = NULL;
        size_t at = (size_t)snprintf(over, sizeof over, "custom_fields:\n");
        for (int i = 1; i <= columns; i++)
            at += (size_t)snprintf(over + at, sizeof over - at, "  f%d: COLUMN_%d\n", i, i);
        pst_code rc = fixture_mapping_of(&m, &everything, "fields: {}", over, utc, &err);
        assert_int_equal(rc, columns == 1024 ? PST_OK : PST_E_LIMIT);
        if (rc == PST_OK) {
            struct pst_mapper *mapper = NULL;
            struct fixture_page p;
            /* All of them missing: as many are named as a message holds. */
            fixture_columns(&p, "NONE");
            assert_ok(pst_mapper_new(&mapper, m, &err));
            assert_code(pst_mapper_bind(mapper, &p.columns, &err), PST_E_INVALID);
            assert_non_null(strstr(err.msg, "COLUMN_1, COLUMN_2"));
            assert_true(strlen(err.msg) < sizeof err.msg);
            pst_mapper_free(mapper);
        } else {
            assert_non_null(strstr(err.msg, "more than 1024 source columns"));
        }
        pst_mapping_free(m);
    }
    struct pst_mapping *m = NULL;
    (void)snprintf(over, sizeof over, "custom_fields: {f: 'C%0128d'}", 1);
    assert_code(fixture_mapping_of(&m, &everything, "fields: {}", over, utc, &err), PST_E_INVALID);
}

static void rich_mappings_survive_every_allocation_fault(void **state)
{
    (void)state;
    static const char stream[] =
        "display_name: {template: 'No {N}, {X}'}\n"
        "created_at: T\n"
        "fields:\n"
        "  kind: {first: [E, K], map: {A: alpha, B: beta},\n"
        "         when: [{if: {N: [6, 7], X: words}, value: alpha}]}\n"
        "  note: {const: fixed}\n"
        "  amount: {sum: M}\n"
        "  other_id: {ref: [R, K]}\n"
        "  text: {template: '{X}'}\n"
        "  mode: {column: K, map: {B: beta}, source: [E, K]}\n"
        "  d1: {group_by: N, fields: {number: N, d2: {group_by: [K], fields: {number: N}}}}\n";
    static const char over[] = "custom_fields: {c1: X, c2: {max: M, type: decimal}}";
    int64_t live = pst_alloc_live();
    struct fixture_page p;
    fixture_columns(&p, "E|K|N|M|R|X|T");
    fixture_row(&p, "|b|#7|#1.50|9|words|2026-01-01");
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(arena) struct pst_arena *a = NULL;
        struct pst_mapping *m = NULL;
        struct pst_mapper *mapper = NULL;
        struct pst_mapped out = {0};
        pst_code rc = pst_arena_new(&a, 1 << 20, &err);
        if (rc == PST_OK)
            rc = fixture_mapping_of(&m, &everything, stream, over, utc, &err);
        if (rc == PST_OK)
            rc = pst_mapper_new(&mapper, m, &err);
        if (rc == PST_OK)
            rc = pst_mapper_bind(mapper, &p.columns, &err);
        if (rc == PST_OK)
            rc = pst_mapper_apply(mapper, &p.doc, a, &out, &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        if (rc == PST_OK) {
            assert_str(out.reject, "");
            assert_str(out.filters[6].text, "rec_others:9|b");
        }
        pst_mapper_free(mapper);
        pst_mapping_free(m);
    }
    assert_int_equal(pst_alloc_live(), live);
}

static void a_reason_that_finds_no_memory_is_an_error(void **state)
{
    (void)state;
    struct fixture_page p;
    fixture_columns(&p, "N");
    fixture_row(&p, "many");
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(arena) struct pst_arena *a = NULL;
        struct pst_mapping *m = NULL;
        struct pst_mapper *mapper = NULL;
        struct pst_mapped out = {0};
        pst_code rc = pst_arena_new(&a, 1 << 20, &err);
        if (rc == PST_OK)
            rc = fixture_mapping_of(&m, &everything, "fields: {count: N}", "", utc, &err);
        if (rc == PST_OK)
            rc = pst_mapper_new(&mapper, m, &err);
        if (rc == PST_OK)
            rc = pst_mapper_bind(mapper, &p.columns, &err);
        if (rc == PST_OK)
            rc = pst_mapper_apply(mapper, &p.doc, a, &out, &err);
        assert_true(rc == PST_OK || (rc == PST_E_NO_MEMORY && pst_alloc_failed()));
        assert_true(rc != PST_OK || pst_str_is(out.reject, "count: N is not a whole number"));
        pst_mapper_free(mapper);
        pst_mapping_free(m);
    }
}

static void a_reference_that_finds_no_memory_is_an_error(void **state)
{
    (void)state;
    struct fixture_page p;
    fixture_columns(&p, "R");
    fixture_row(&p, "");
    p.cells[0].text = PST_STR("9|x");
    struct pst_mapping *m = NULL;
    assert_ok(fixture_mapping_of(&m, &everything, "fields: {other_id: {ref: R}}", "", utc, &err));
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(arena) struct pst_arena *a = NULL;
        struct pst_mapper *mapper = NULL;
        struct pst_mapped out = {0};
        pst_code rc = pst_arena_new(&a, 1 << 20, &err);
        if (rc == PST_OK)
            rc = pst_mapper_new(&mapper, m, &err);
        if (rc == PST_OK)
            rc = pst_mapper_bind(mapper, &p.columns, &err);
        if (rc == PST_OK)
            rc = pst_mapper_apply(mapper, &p.doc, a, &out, &err);
        assert_true(rc == PST_OK || (rc == PST_E_NO_MEMORY && pst_alloc_failed()));
        assert_true(rc != PST_OK || pst_str_is(out.filters[6].text, "rec_others:9%7Cx"));
        pst_mapper_free(mapper);
    }
    pst_mapping_free(m);
}

/* A hash without memory must not pass for that of another document, nor for its own. */
static void a_hash_that_finds_no_memory_is_like_no_other(void **state)
{
    (void)state;
    struct fixture_page p;
    struct pst_mapping *m = NULL;
    struct pst_mapper *mapper = NULL;
    fixture_columns(&p, "N|X");
    fixture_row(&p, "#1|words");
    assert_ok(fixture_mapping_of(&m, &everything, "fields: {count: N}", "", utc, &err));
    assert_ok(pst_mapper_new(&mapper, m, &err));
    assert_ok(pst_mapper_bind(mapper, &p.columns, &err));
    pst_alloc_fail_at(0);
    pst_hash128 without = pst_mapper_source_hash(mapper, &p.doc);
    assert_true(pst_alloc_failed());
    pst_alloc_fail_at(-1);
    pst_hash128 with = pst_mapper_source_hash(mapper, &p.doc);
    pst_hash128 again = pst_mapper_source_hash(mapper, &p.doc);
    assert_true(with.lo == again.lo && with.hi == again.hi);
    assert_true(without.lo != with.lo);
    p.doc.row_count = 0;
    assert_true(pst_mapper_source_hash(mapper, &p.doc).lo != without.lo);
    pst_mapper_free(mapper);
    pst_mapping_free(m);
}

/* Document after document through one mapper, larger and smaller ones, lines named by a text. */
static void one_mapper_maps_many_documents(void **state)
{
    (void)state;
    static const struct {
        const char *rows[3], *want;
    } cases[] = {
        {{"A|#1", "B|#2", "A|#3"}, "\"d1\":[{\"number\":1,\"d2\":[]},{\"number\":2,\"d2\":[]}]"},
        {{"B|#2"}, "\"d1\":[{\"number\":2,\"d2\":[]}]"},
        {{"B|#2", "A|#1"}, "\"d1\":[{\"number\":2,\"d2\":[]},{\"number\":1,\"d2\":[]}]"},
    };
    struct pst_mapping *m = NULL;
    struct pst_mapper *mapper = NULL;
    assert_ok(fixture_mapping_of(
        &m, &everything, "fields: {d1: {group_by: K, fields: {number: N}}}", "", utc, &err));
    assert_ok(pst_mapper_new(&mapper, m, &err));
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct fixture_page p;
        struct outcome o = outcome_new();
        fixture_columns(&p, "K|N");
        for (size_t r = 0; r < 3 && cases[i].rows[r]; r++)
            fixture_row(&p, cases[i].rows[r]);
        assert_ok(pst_mapper_bind(mapper, &p.columns, &err));
        assert_ok(pst_mapper_apply(mapper, &p.doc, o.arena, &o.mapped, &err));
        assert_in(&o, cases[i].want);
        pst_arena_free(o.arena);
    }
    pst_mapper_free(mapper);
    pst_mapping_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_fills_its_filter),
        cmocka_unit_test(a_twin_shows_what_the_enum_was_made_of),
        cmocka_unit_test(arrays_nest_four_deep_and_no_deeper),
        cmocka_unit_test(what_a_list_of_lines_needs_is_told),
        cmocka_unit_test(extremes_are_the_first_of_equals),
        cmocka_unit_test(a_sum_beyond_36_digits_rejects),
        cmocka_unit_test(custom_fields_are_called_by_simple_names),
        cmocka_unit_test(a_mapping_names_at_most_1024_columns),
        cmocka_unit_test(rich_mappings_survive_every_allocation_fault),
        cmocka_unit_test(a_reason_that_finds_no_memory_is_an_error),
        cmocka_unit_test(a_reference_that_finds_no_memory_is_an_error),
        cmocka_unit_test(a_hash_that_finds_no_memory_is_like_no_other),
        cmocka_unit_test(one_mapper_maps_many_documents),
    };
    return cmocka_run_group_tests(tests, load_zone, free_zone);
}
