/* Slices: comparing, cutting, copying. */
#include "base/cleanup.h"
#include "tests/unit/test.h"

static void literals_and_c_text_compare_by_bytes(void **state)
{
    (void)state;
    assert_true(pst_str_eq(PST_STR("abc"), pst_str_from("abc")));
    assert_false(pst_str_eq(PST_STR("abc"), PST_STR("abd")));
    assert_false(pst_str_eq(PST_STR("abc"), PST_STR("ab")));
    assert_true(pst_str_eq((pst_str){NULL, 0}, PST_STR("")));
    assert_int_equal(pst_str_from(NULL).len, 0);
    assert_true(pst_str_is(PST_STR("x"), "x"));
}

static void case_is_folded_for_ascii_only(void **state)
{
    (void)state;
    assert_true(pst_str_eq_nocase(PST_STR("Content-Length"), PST_STR("content-LENGTH")));
    assert_false(pst_str_eq_nocase(PST_STR("a"), PST_STR("ab")));
    assert_false(pst_str_eq_nocase(PST_STR("\xC3\x84"), PST_STR("\xC3\xA4")));
    assert_false(pst_str_eq_nocase(PST_STR("@"), PST_STR("`")));
    assert_false(pst_str_eq_nocase(PST_STR("["), PST_STR("{")));
}

static void order_is_by_bytes_with_prefixes_first(void **state)
{
    (void)state;
    assert_true(pst_str_cmp(PST_STR("a"), PST_STR("b")) < 0);
    assert_true(pst_str_cmp(PST_STR("ab"), PST_STR("a")) > 0);
    assert_true(pst_str_cmp(PST_STR(""), PST_STR("a")) < 0);
    assert_true(pst_str_cmp(PST_STR("\xFF"), PST_STR("a")) > 0);
    assert_int_equal(pst_str_cmp(PST_STR("a"), PST_STR("a")), 0);
    assert_int_equal(pst_str_cmp((pst_str){NULL, 0}, (pst_str){NULL, 0}), 0);
}

static void prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(pst_str_starts(PST_STR("conn_1"), PST_STR("conn_")));
    assert_true(pst_str_starts(PST_STR("x"), PST_STR("")));
    assert_false(pst_str_starts(PST_STR("con"), PST_STR("conn_")));
    assert_false(pst_str_starts(PST_STR("sync_"), PST_STR("conn_")));
    assert_true(pst_str_ends(PST_STR("a.yaml"), PST_STR(".yaml")));
    assert_true(pst_str_ends(PST_STR("x"), PST_STR("")));
    assert_false(pst_str_ends(PST_STR("aml"), PST_STR(".yaml")));
    assert_false(pst_str_ends(PST_STR("a.json"), PST_STR(".yaml")));
}

static void sub_is_held_inside_the_slice(void **state)
{
    (void)state;
    assert_str(pst_str_sub(PST_STR("abcdef"), 2, 3), "cde");
    assert_str(pst_str_sub(PST_STR("abc"), 2, 99), "c");
    assert_str(pst_str_sub(PST_STR("abc"), 3, 1), "");
    assert_str(pst_str_sub(PST_STR("abc"), 99, 1), "");
    assert_int_equal(pst_str_index(PST_STR("a|b"), '|'), 1);
    assert_int_equal(pst_str_index(PST_STR("ab"), '|'), 2);
    assert_int_equal(pst_str_index((pst_str){NULL, 0}, '|'), 0);
}

static void trim_takes_blanks_at_both_ends(void **state)
{
    (void)state;
    assert_str(pst_str_trim(PST_STR(" \t\r\na b\n ")), "a b");
    assert_str(pst_str_trim(PST_STR("  ")), "");
    assert_str(pst_str_trim(PST_STR("x")), "x");
}

static void split_walks_through_all_parts(void **state)
{
    (void)state;
    pst_str rest = PST_STR("a||b");
    assert_str(pst_str_split(&rest, '|'), "a");
    assert_str(pst_str_split(&rest, '|'), "");
    assert_str(pst_str_split(&rest, '|'), "b");
    assert_null(rest.ptr);
    assert_str(pst_str_split(&rest, '|'), "");
    rest = PST_STR("a|");
    assert_str(pst_str_split(&rest, '|'), "a");
    assert_non_null(rest.ptr);
    assert_str(pst_str_split(&rest, '|'), "");
    assert_null(rest.ptr);
}

static void a_host_is_without_its_scheme_and_port(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"https://ps.example.com:8443", "ps.example.com"},
        {"http://127.0.0.1:80", "127.0.0.1"},
        {"https://[2001:db8::1]:443", "[2001:db8::1]"},
        {"https://[2001:db8", "[2001:db8"},
        {"https://ps.exam", "ps.exam"},
        {"https://", ""},
        {"https", ""},
        {"", ""},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++)
        assert_true(pst_str_is(pst_str_host(pst_str_from(CASES[i][0])), CASES[i][1]));
}

static void a_copy_that_does_not_fit_or_has_a_nul_is_refused(void **state)
{
    (void)state;
    char out[4] = "zzz";
    assert_true(pst_str_copy(out, sizeof(out), PST_STR("abc")));
    assert_string_equal(out, "abc");
    assert_false(pst_str_copy(out, sizeof(out), PST_STR("abcd")));
    assert_string_equal(out, "");
    assert_false(pst_str_copy(out, sizeof(out), PST_STR("a\0b")));
    assert_true(pst_str_copy(out, sizeof(out), (pst_str){NULL, 0}));
    assert_false(pst_str_copy(out, 0, PST_STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_and_c_text_compare_by_bytes),
        cmocka_unit_test(case_is_folded_for_ascii_only),
        cmocka_unit_test(order_is_by_bytes_with_prefixes_first),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(sub_is_held_inside_the_slice),
        cmocka_unit_test(trim_takes_blanks_at_both_ends),
        cmocka_unit_test(split_walks_through_all_parts),
        cmocka_unit_test(a_host_is_without_its_scheme_and_port),
        cmocka_unit_test(a_copy_that_does_not_fit_or_has_a_nul_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
