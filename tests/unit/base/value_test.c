/* Numbers, decimals, times, ids, UTF-8: tables of inputs, both sides of every limit. */
#include "tests/unit/test.h"

#include "base/cleanup.h"
#include "base/decimal.h"
#include "base/id.h"
#include "base/num.h"
#include "base/time.h"
#include "base/utf8.h"

static void integers_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"18446744073709551616", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"0x1", false, 0},
        {"--1", false, 0},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        int64_t v = 77;
        bool good = pst_parse_i64(&v, pst_str_from(cases[i].text), INT64_MIN, INT64_MAX);
        if (good != cases[i].good || v != (good ? cases[i].value : 77))
            fail_msg("'%s'", cases[i].text);
    }
    int64_t v = 0;
    uint64_t u = 0;
    assert_true(pst_parse_i64(&v, PST_STR("500"), 1, 500));
    assert_false(pst_parse_i64(&v, PST_STR("501"), 1, 500));
    assert_false(pst_parse_i64(&v, PST_STR("0"), 1, 500));
    assert_true(pst_parse_u64(&u, PST_STR("18446744073709551615"), 0, UINT64_MAX));
    assert_true(pst_parse_u64(&u, PST_STR("5"), 5, 9));
    assert_false(pst_parse_u64(&u, PST_STR("4"), 5, 9));
}

static void durations_and_sizes_take_units(void **state)
{
    (void)state;
    int64_t ms = 0;
    uint64_t bytes = 0;
    assert_true(pst_parse_duration_ms(&ms, PST_STR("90")) && ms == 90000);
    assert_true(pst_parse_duration_ms(&ms, PST_STR("250ms")) && ms == 250);
    assert_true(pst_parse_duration_ms(&ms, PST_STR("15m")) && ms == 900000);
    assert_true(pst_parse_duration_ms(&ms, PST_STR("7d")) && ms == 604800000);
    assert_false(pst_parse_duration_ms(&ms, PST_STR("7w")));
    assert_false(pst_parse_duration_ms(&ms, PST_STR("m")));
    assert_false(pst_parse_duration_ms(&ms, PST_STR("-1s")));
    assert_false(pst_parse_duration_ms(&ms, PST_STR("")));
    assert_false(pst_parse_duration_ms(&ms, PST_STR("213503982334601d")));
    assert_false(pst_parse_duration_ms(&ms, PST_STR("18446744073709551615ms")));
    assert_true(pst_parse_size(&bytes, PST_STR("64MiB")) && bytes == 64ULL << 20);
    assert_true(pst_parse_size(&bytes, PST_STR("4096")) && bytes == 4096);
    assert_false(pst_parse_size(&bytes, PST_STR("64MB")));
}

static void decimals_keep_every_digit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *plain; /* NULL: refused */
    } cases[] = {
        {"39000.000", "39000.000"},
        {"0", "0"},
        {"-0", "0"},
        {"-0.50", "-0.50"},
        {".5", "0.5"},
        {"5.", "5"},
        {"+7", "7"},
        {"1E+2", "100"},
        {"1.25e1", "12.5"},
        {"125e-5", "0.00125"},
        {"0e99", "0"},
        {"0e-30", "0.000000000000000000000000000000"},
        {"000123", "123"},
        {"12345678.9012345678", "12345678.9012345678"},
        {"-999999999999999999", "-999999999999999999"},
        {"-9999999999999999999", "-9999999999999999999"},
        {"1.2.3", NULL},
        {"1234567890123456789012345678901", "1234567890123456789012345678901"},
        {"999999999999999999999999999999999999", "999999999999999999999999999999999999"},
        {"1000000000000000000000000000000000000", NULL},
        {"99999999999999999999999999999999999999999999", NULL},
        {"1e36", NULL},
        {"1e99999", NULL},
        {"1e-37", NULL},
        {"", NULL},
        {"-", NULL},
        {".", NULL},
        {"1e", NULL},
        {"1e+", NULL},
        {"1e5x", NULL},
        {"1e5/", NULL},
        {"1,5", NULL},
        {"NaN", NULL},
        {"1 ", NULL},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        struct pst_decimal d;
        char out[PST_DECIMAL_TEXT] = "";
        bool good = pst_decimal_parse(&d, pst_str_from(cases[i].text), &err) == PST_OK;
        size_t len = good ? pst_decimal_format(out, d) : 0;
        assert_int_equal(len, strlen(out));
        if (good != (cases[i].plain != NULL) || (good && strcmp(out, cases[i].plain) != 0))
            fail_msg("'%s' gives '%s'", cases[i].text, out);
    }
}

static struct pst_decimal dec(const char *text)
{
    struct pst_err err;
    struct pst_decimal d = {0};
    assert_ok(pst_decimal_parse(&d, pst_str_from(text), &err));
    return d;
}

static void decimals_add_multiply_and_compare_exactly(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_decimal d;
    char out[PST_DECIMAL_TEXT];
    assert_ok(pst_decimal_add(&d, dec("0.1"), dec("0.20"), &err));
    (void)pst_decimal_format(out, d);
    assert_string_equal(out, "0.30");
    assert_ok(pst_decimal_mul(&d, dec("-1.5"), dec("2.25"), &err));
    (void)pst_decimal_format(out, d);
    assert_string_equal(out, "-3.375");
    struct pst_decimal top = dec("999999999999999999999999999999999999");
    struct pst_decimal fine = dec("0.00000000000000000001");
    assert_code(pst_decimal_add(&d, top, dec("1"), &err), PST_E_LIMIT);
    assert_code(pst_decimal_add(&d, top, fine, &err), PST_E_LIMIT);
    assert_code(pst_decimal_add(&d, dec("-999999999999999999999999999999999999"), dec("-1"), &err),
                PST_E_LIMIT);
    /* The larger scale still fits 128 bits, the sum does not. */
    assert_code(
        pst_decimal_add(&d, dec("170141183460469231731687303715884105"), dec("0.999"), &err),
        PST_E_LIMIT);
    assert_code(pst_decimal_mul(&d, top, top, &err), PST_E_LIMIT);
    /* One more than 128 bits hold, in its last digit. */
    assert_code(pst_decimal_parse(&d, PST_STR("170141183460469231731687303715884105728"), &err),
                PST_E_LIMIT);
    assert_code(pst_decimal_mul(&d, top, dec("2"), &err), PST_E_LIMIT);
    assert_code(pst_decimal_mul(&d, fine, fine, &err), PST_E_LIMIT);
    assert_int_equal(pst_decimal_cmp(dec("1.0"), dec("1")), 0);
    assert_true(pst_decimal_cmp(dec("-2"), dec("1.5")) < 0);
    assert_true(pst_decimal_cmp(dec("2"), dec("1.5")) > 0);
    assert_true(pst_decimal_cmp(top, fine) > 0);
    assert_true(pst_decimal_cmp(fine, top) < 0);
    assert_true(pst_decimal_cmp(dec("-999999999999999999999999999999999999"), fine) < 0);
    assert_true(pst_decimal_cmp(fine, dec("-999999999999999999999999999999999999")) > 0);
}

static void plain_notation_is_recognised(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "-1", "10.50", "0.0", "-0.1"};
    static const char *const bad[] = {"", "-", ".5", "5.", "01", "+1", "1e2", "1.2.3", "1x", "1.x"};
    for (size_t i = 0; i < PST_COUNT(good); i++)
        assert_true(pst_decimal_is_plain(pst_str_from(good[i])));
    for (size_t i = 0; i < PST_COUNT(bad); i++)
        assert_false(pst_decimal_is_plain(pst_str_from(bad[i])));
}

static void times_are_written_and_read_as_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *canonical; /* NULL: refused */
    } cases[] = {
        {"2026-11-24T00:08:45Z", "2026-11-24T00:08:45Z"},
        {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
        {"1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"},
        {"2024-02-29T12:00:00.120Z", "2024-02-29T12:00:00.12Z"},
        {"2000-02-29 00:00:00z", "2000-02-29T00:00:00Z"},
        {"0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"},
        {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
        {"2026-11-24t02:08:45+02:00", "2026-11-24T00:08:45Z"},
        {"2026-11-23T19:38:45-04:30", "2026-11-24T00:08:45Z"},
        {"2026-06-30T23:59:60Z", "2026-06-30T23:59:59Z"},
        {"2026-11-24", "2026-11-24T00:00:00Z"},
        {"2026-11-24T00:00:00.123456789Z", "2026-11-24T00:00:00.123456Z"},
        {"2026-11-24T00:00:00.5-01:00", "2026-11-24T01:00:00.5Z"},
        {"2026-11-24T00:00:00.5", NULL},
        {"2026-11-2x", NULL},
        {"2026-11-2/", NULL},
        {"2023-02-29T00:00:00Z", NULL},
        {"1900-02-29", NULL},
        {"2026-13-01", NULL},
        {"2026-00-01", NULL},
        {"2026-01-00", NULL},
        {"2026-01-32", NULL},
        {"2026-11-24T24:00:00Z", NULL},
        {"2026-11-24T00:60:00Z", NULL},
        {"2026-11-24T00:00:61Z", NULL},
        {"2026-11-24T00:00:00", NULL},
        {"2026-11-24T00:00:00.Z", NULL},
        {"2026-11-24T00:00:00.1234567890Z", NULL},
        {"2026-11-24T00:00:00+24:00", NULL},
        {"2026-11-24T00:00:00+00:60", NULL},
        {"2026-11-24T00:00:00+0000", NULL},
        {"2026-11-24T00:00:00*00:00", NULL},
        {"2026-11-24T00:00:00+1", NULL},
        {"2026-11-24T00:00:00+01:1", NULL},
        {"2026-11-24T00:00:00Zx", NULL},
        {"2026-11-24X00:00:00Z", NULL},
        {"2026-11-24T0:00:00Z", NULL},
        {"2026-11-24T00-00:00Z", NULL},
        {"2026-11-24T00:0", NULL},
        {"2026-11-24T00:00-00Z", NULL},
        {"2026-11-24T00:00:x0Z", NULL},
        {"2026/11/24", NULL},
        {"2026-11", NULL},
        {"2026-1x-01", NULL},
        {"2026-11/24", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        pst_wall t;
        char out[PST_WALL_TEXT] = "";
        bool good = pst_wall_parse(&t, pst_str_from(cases[i].text));
        size_t len = good ? pst_wall_format(out, t) : 0;
        assert_int_equal(len, strlen(out));
        if (good != (cases[i].canonical != NULL) || (good && strcmp(out, cases[i].canonical) != 0))
            fail_msg("'%s' gives '%s'", cases[i].text, out);
    }
    char out[PST_WALL_TEXT];
    assert_int_equal(pst_wall_format(out, PST_WALL_NONE), 0);
    assert_true(pst_wall_is_none(PST_WALL_NONE));
}

static void the_calendar_agrees_with_itself_for_every_day(void **state)
{
    (void)state;
    int64_t day = pst_days_from_civil(0, 1, 1);
    for (int y = 0; y <= 9999; y++) {
        for (int m = 1; m <= 12; m++) {
            for (int d = 1; d <= pst_days_in_month(y, m); d++, day++) {
                struct pst_civil c = pst_wall_to_civil((pst_wall){day * 86400 * PST_US_PER_S});
                if (pst_days_from_civil(y, m, d) != day || c.year != y || c.month != m ||
                    c.day != d)
                    fail_msg("%04d-%02d-%02d", y, m, d);
            }
        }
    }
    assert_int_equal(pst_wall_to_civil((pst_wall){INT64_MAX}).year, 9999);
    assert_int_equal(pst_wall_to_civil((pst_wall){INT64_MIN + 1}).year, 0);
    assert_int_equal(pst_days_from_civil(-400, 3, 1), pst_days_from_civil(0, 3, 1) - 146097);
}

static void invalid_civil_moments_are_recognised(void **state)
{
    (void)state;
    static const struct pst_civil bad[] = {
        {-1, 1, 1, 0, 0, 0, 0},    {10000, 1, 1, 0, 0, 0, 0},      {2026, 0, 1, 0, 0, 0, 0},
        {2026, 13, 1, 0, 0, 0, 0}, {2026, 1, 0, 0, 0, 0, 0},       {2026, 4, 31, 0, 0, 0, 0},
        {2026, 1, 1, -1, 0, 0, 0}, {2026, 1, 1, 24, 0, 0, 0},      {2026, 1, 1, 0, -1, 0, 0},
        {2026, 1, 1, 0, 60, 0, 0}, {2026, 1, 1, 0, 0, -1, 0},      {2026, 1, 1, 0, 0, 60, 0},
        {2026, 1, 1, 0, 0, 0, -1}, {2026, 1, 1, 0, 0, 0, 1000000},
    };
    for (size_t i = 0; i < PST_COUNT(bad); i++)
        assert_false(pst_civil_valid(&bad[i]));
}

static void monotonic_sums_are_held_instead_of_overflowing(void **state)
{
    (void)state;
    pst_mono t = {5};
    assert_int_equal(pst_mono_after_ms(t, 2).ns, 2000005);
    assert_int_equal(pst_mono_after_ms(t, INT64_MAX).ns, INT64_MAX);
    assert_int_equal(pst_mono_after_ms(PST_MONO_NEVER, 1).ns, INT64_MAX);
    assert_int_equal(pst_mono_ms_until(t, (pst_mono){6}), 1);
    assert_int_equal(pst_mono_ms_until(t, (pst_mono){1000005}), 1);
    assert_int_equal(pst_mono_ms_until(t, t), 0);
    assert_int_equal(pst_mono_ms_until((pst_mono){9}, t), 0);
    assert_int_equal(pst_mono_ms_until((pst_mono){INT64_MIN}, PST_MONO_NEVER),
                     INT64_MAX / PST_NS_PER_MS);
}

static void ids_round_trip_and_sort_by_time(void **state)
{
    (void)state;
    uint8_t raw[PST_ID_RAW];
    uint8_t back[PST_ID_RAW];
    const uint8_t random[10] = {0xFF, 0xFF, 0xFF, 1, 2, 3, 4, 5, 6, 7};
    pst_id_v7(raw, (pst_wall){1764000000000000}, random);
    struct pst_id id = pst_id_format("conn_", raw);
    assert_int_equal(strlen(id.text), 5 + PST_ID_BODY);
    assert_true(pst_id_parse(back, "conn_", pst_id_str(&id)));
    assert_memory_equal(raw, back, PST_ID_RAW);
    assert_true(pst_id_parse(NULL, "conn_", pst_id_str(&id)));
    assert_int_equal(raw[6] >> 4, 7);
    assert_int_equal(raw[8] >> 6, 2);
    assert_false(pst_id_parse(back, "sync_", pst_id_str(&id)));
    pst_id_v7(back, (pst_wall){1764000000001000}, random);
    struct pst_id later = pst_id_format("conn_", back);
    assert_true(strcmp(id.text, later.text) < 0);
    pst_id_v7(back, (pst_wall){-5}, random);
    assert_int_equal(back[0], 0);
    assert_false(pst_id_parse(back, "", PST_STR("8zzzzzzzzzzzzzzzzzzzzzzzzz")));
    assert_true(pst_id_parse(back, "", PST_STR("7zzzzzzzzzzzzzzzzzzzzzzzzz")));
    assert_false(pst_id_parse(back, "", PST_STR("7zzzzzzzzzzzzzzzzzzzzzzzzu")));
    assert_false(pst_id_parse(back, "", PST_STR("7zzzzzzzzzzzzzzzzzzzzzzzz\0")));
    assert_false(pst_id_parse(back, "", PST_STR("7zzz")));
    assert_int_equal(strlen(pst_id_format("too_long_prefix_", raw).text), 8 + PST_ID_BODY);
}

static void utf8_is_checked_as_rfc_3629_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        int bad_at; /* -1: valid */
    } cases[] = {
        {"", 0, -1},
        {"plain ascii text that is long", 29, -1},
        {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9, -1},
        {"12345678\xC3\xA4", 10, -1},
        {"12345678abcdefgh", 16, -1},
        {"\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF", 10, -1},
        {"\xE0\xA0\x80\xF0\x90\x80\x80", 7, -1},
        {"a\0b", 3, -1},
        {"\x80", 1, 0},
        {"ab\xC0\x80", 4, 2},
        {"\xC1\xBF", 2, 0},
        {"\xE0\x9F\xBF", 3, 0},
        {"\xED\xA0\x80", 3, 0},
        {"\xF0\x8F\xBF\xBF", 4, 0},
        {"\xF4\x90\x80\x80", 4, 0},
        {"\xF5\x80\x80\x80", 4, 0},
        {"\xE2\x82", 2, 0},
        {"\xE2\x82\x41", 3, 0},
        {"\xC3\x41", 2, 0},
        {"12345678\xFF", 9, 8},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        size_t at = 99;
        bool good = pst_utf8_valid((pst_str){cases[i].text, cases[i].len}, &at);
        if (good != (cases[i].bad_at < 0) || (!good && at != (size_t)cases[i].bad_at))
            fail_msg("case %zu: at %zu", i, at);
    }
    assert_false(pst_utf8_valid(PST_STR("\xFF"), NULL));
    assert_str(pst_utf8_cut(PST_STR("a\xE2\x82\xAC"), 3), "a");
    assert_str(pst_utf8_cut(PST_STR("a\xE2\x82\xAC"), 4), "a\xE2\x82\xAC");
    assert_str(pst_utf8_cut(PST_STR("abc"), 2), "ab");
    assert_str(pst_utf8_cut(PST_STR("\xE2\x82\xAC"), 1), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_strictly),
        cmocka_unit_test(durations_and_sizes_take_units),
        cmocka_unit_test(decimals_keep_every_digit),
        cmocka_unit_test(decimals_add_multiply_and_compare_exactly),
        cmocka_unit_test(plain_notation_is_recognised),
        cmocka_unit_test(times_are_written_and_read_as_rfc_3339),
        cmocka_unit_test(the_calendar_agrees_with_itself_for_every_day),
        cmocka_unit_test(invalid_civil_moments_are_recognised),
        cmocka_unit_test(monotonic_sums_are_held_instead_of_overflowing),
        cmocka_unit_test(ids_round_trip_and_sort_by_time),
        cmocka_unit_test(utf8_is_checked_as_rfc_3629_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
