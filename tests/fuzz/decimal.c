/* tests/fuzz/decimal.c: decimals, integers, durations and sizes: exact or refused. */
#include "base/decimal.h"
#include "base/num.h"
#include "tests/fuzz/fuzz.h"

static void check_format(struct pst_decimal d)
{
    struct pst_err err;
    struct pst_decimal back;
    char text[PST_DECIMAL_TEXT];
    size_t len = pst_decimal_format(text, d);
    FUZZ_REQUIRE(len < sizeof(text) && strlen(text) == len);
    FUZZ_REQUIRE(pst_decimal_is_plain((pst_str){text, len}));
    FUZZ_OK(pst_decimal_parse(&back, (pst_str){text, len}, &err));
    FUZZ_REQUIRE(back.coefficient == d.coefficient && back.scale == d.scale);
}

static void check_arithmetic(struct pst_decimal a, struct pst_decimal b)
{
    struct pst_err err;
    struct pst_decimal ab;
    struct pst_decimal ba;
    bool added = pst_decimal_add(&ab, a, b, &err) == PST_OK;
    FUZZ_REQUIRE(added == (pst_decimal_add(&ba, b, a, &err) == PST_OK));
    if (added) {
        struct pst_decimal zero = {0, 0};
        int sign = pst_decimal_cmp(b, zero);
        FUZZ_REQUIRE(pst_decimal_cmp(ab, ba) == 0 && ab.scale == ba.scale);
        FUZZ_REQUIRE((pst_decimal_cmp(ab, a) > 0) == (sign > 0));
        FUZZ_REQUIRE((pst_decimal_cmp(ab, a) < 0) == (sign < 0));
        check_format(ab);
    }
    bool multiplied = pst_decimal_mul(&ab, a, b, &err) == PST_OK;
    FUZZ_REQUIRE(multiplied == (pst_decimal_mul(&ba, b, a, &err) == PST_OK));
    if (multiplied) {
        FUZZ_REQUIRE(ab.coefficient == ba.coefficient && ab.scale == ba.scale);
        check_format(ab);
    }
    FUZZ_REQUIRE((pst_decimal_cmp(a, b) < 0) == (pst_decimal_cmp(b, a) > 0));
}

static void check_integers(pst_str text)
{
    char copy[32];
    int64_t i = 0;
    int64_t j = 0;
    uint64_t u = 0;
    if (pst_parse_i64(&i, text, INT64_MIN, INT64_MAX)) {
        FUZZ_REQUIRE(pst_str_copy(copy, sizeof(copy), text) || text.len >= sizeof(copy));
        FUZZ_REQUIRE(text.len >= sizeof(copy) || strtoll(copy, NULL, 10) == i);
        FUZZ_REQUIRE(text.ptr[0] == '-' ||
                     (pst_parse_u64(&u, text, 0, INT64_MAX) && u == (uint64_t)i));
        FUZZ_REQUIRE(i == INT64_MIN || !pst_parse_i64(&j, text, INT64_MIN, i - 1));
        FUZZ_REQUIRE(i == INT64_MAX || !pst_parse_i64(&j, text, i + 1, INT64_MAX));
    }
    if (pst_parse_duration_ms(&i, text))
        FUZZ_REQUIRE(i >= 0);
    (void)pst_parse_size(&u, text);
}

void pst_fuzz(pst_str bytes)
{
    struct pst_err err;
    struct pst_decimal a = {0, 0};
    struct pst_decimal b = {0, 0};
    pst_str second = bytes;
    pst_str first = pst_str_split(&second, ' ');
    check_integers(bytes);
    pst_code code = pst_decimal_parse(&a, first, &err);
    FUZZ_REQUIRE(code == PST_OK || code == PST_E_INVALID || code == PST_E_LIMIT);
    if (code != PST_OK)
        return;
    FUZZ_REQUIRE(a.scale >= 0 && a.scale <= PST_DECIMAL_DIGITS);
    check_format(a);
    if (pst_decimal_is_plain(first) && !(a.coefficient == 0 && first.ptr[0] == '-')) {
        char text[PST_DECIMAL_TEXT];
        FUZZ_REQUIRE(pst_str_eq((pst_str){text, pst_decimal_format(text, a)}, first));
    }
    if (second.ptr && pst_decimal_parse(&b, second, &err) == PST_OK)
        check_arithmetic(a, b);
}
