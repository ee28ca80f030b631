/* base/decimal.c: decimals on 128-bit integers. */
#include "base/decimal.h"

enum { SHORT_DIGITS = 18 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool pst_decimal_is_plain(pst_str s)
{
    size_t i = s.len > 0 && s.ptr[0] == '-';
    size_t whole = i;
    while (i < s.len && is_digit(s.ptr[i]))
        i++;
    if (i == whole || (i - whole > 1 && s.ptr[whole] == '0'))
        return false;
    if (i == s.len)
        return true;
    if (s.ptr[i] != '.')
        return false;
    size_t fraction = ++i;
    while (i < s.len && is_digit(s.ptr[i]))
        i++;
    return i == s.len && i > fraction;
}

/* coefficient * 10^power, false when it has more than PST_DECIMAL_DIGITS digits. */
static bool shift(pst_i128 *coefficient, int power)
{
    for (; power > 0; power--) {
        if (*coefficient == 0)
            return true;
        if (__builtin_mul_overflow(*coefficient, (pst_i128)10, coefficient))
            return false;
    }
    return true;
}

static bool fits(pst_i128 v)
{
    static const pst_i128 TOP = (pst_i128)1000000000000000000 * 1000000000000000000;
    _Static_assert(PST_DECIMAL_DIGITS == 36, "TOP is ten to that power");
    return v < TOP && v > -TOP;
}

static pst_code too_long(struct pst_err *err)
{
    return PST_FAIL(err, PST_E_LIMIT, "a number with more than %d digits", PST_DECIMAL_DIGITS);
}

struct scan {
    pst_str text;
    size_t at;
    pst_i128 value;
    int digits; /* read so far, in all */
    bool overflow;
};

static void scan_digits(struct scan *s)
{
    for (; s->at < s->text.len && is_digit(s->text.ptr[s->at]); s->at++, s->digits++) {
        pst_i128 digit = s->text.ptr[s->at] - '0';
        if (!shift(&s->value, 1) || __builtin_add_overflow(s->value, digit, &s->value))
            s->overflow = true;
    }
}

static bool scan_exponent(struct scan *s, int *out)
{
    s->at++;
    bool negative = s->at < s->text.len && s->text.ptr[s->at] == '-';
    if (s->at < s->text.len && (s->text.ptr[s->at] == '-' || s->text.ptr[s->at] == '+'))
        s->at++;
    size_t from = s->at;
    int e = 0;
    for (; s->at < s->text.len && is_digit(s->text.ptr[s->at]); s->at++)
        e = e > 1000 ? e : e * 10 + (s->text.ptr[s->at] - '0');
    *out = negative ? -e : e;
    return s->at > from;
}

/* Plain digits and at most one point, 18 digits in all: nearly every number there is, in 64
 * bits. */
static bool parse_short(struct pst_decimal *out, pst_str text)
{
    size_t i = text.len > 0 && text.ptr[0] == '-';
    size_t from = i;
    size_t point = text.len;
    int64_t v = 0;
    if (text.len - from > SHORT_DIGITS)
        return false;
    for (; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_digit(c))
            v = v * 10 + (c - '0');
        else if (c == '.' && point == text.len)
            point = i;
        else
            return false;
    }
    size_t dot = point < text.len;
    if (text.len - from == dot)
        return false;
    *out = (struct pst_decimal){from ? -v : v, dot ? (int)(text.len - point - 1) : 0};
    return true;
}

pst_code pst_decimal_parse(struct pst_decimal *out, pst_str text, struct pst_err *err)
{
    if (parse_short(out, text))
        return PST_OK;
    struct scan s = {.text = text};
    bool negative = text.len > 0 && text.ptr[0] == '-';
    int scale = 0;
    int exponent = 0;
    if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        s.at = 1;
    scan_digits(&s);
    if (s.at < text.len && text.ptr[s.at] == '.') {
        int whole = s.digits;
        s.at++;
        scan_digits(&s);
        scale = s.digits - whole;
    }
    bool good = s.digits > 0;
    if (good && s.at < text.len && (text.ptr[s.at] == 'e' || text.ptr[s.at] == 'E'))
        good = scan_exponent(&s, &exponent);
    if (!good || s.at != text.len)
        return PST_FAIL(err, PST_E_INVALID, "'%.*s' is not a number",
                        PST_STR_ARG(pst_str_sub(text, 0, 64)));
    scale -= exponent;
    if (scale < 0) {
        s.overflow |=
            !shift(&s.value,
                   scale < -PST_DECIMAL_DIGITS && s.value != 0 ? PST_DECIMAL_DIGITS + 2 : -scale);
        scale = 0;
    }
    if (s.overflow || scale > PST_DECIMAL_DIGITS || !fits(s.value))
        return too_long(err);
    *out = (struct pst_decimal){negative ? -s.value : s.value, scale};
    return PST_OK;
}

size_t pst_decimal_format(char out[PST_DECIMAL_TEXT], struct pst_decimal d)
{
    char digits[PST_DECIMAL_TEXT];
    pst_u128 v = d.coefficient < 0 ? -(pst_u128)d.coefficient : (pst_u128)d.coefficient;
    int count = 0;
    for (; v > UINT64_MAX; v /= 10)
        digits[count++] = (char)('0' + (int)(v % 10));
    uint64_t low = (uint64_t)v; /* nearly always all of it, and much faster to divide */
    do {
        digits[count++] = (char)('0' + (int)(low % 10));
        low /= 10;
    } while (low);
    while (count <= d.scale)
        digits[count++] = '0';

    char *p = out;
    if (d.coefficient < 0)
        *p++ = '-';
    while (count > 0) {
        *p++ = digits[--count];
        if (count == d.scale && count > 0)
            *p++ = '.';
    }
    *p = '\0';
    return (size_t)(p - out);
}

/* Bring both to the larger scale. */
static bool align(struct pst_decimal *a, struct pst_decimal *b)
{
    struct pst_decimal *small = a->scale < b->scale ? a : b;
    int scale = a->scale < b->scale ? b->scale : a->scale;
    if (!shift(&small->coefficient, scale - small->scale))
        return false;
    small->scale = scale;
    return true;
}

pst_code pst_decimal_add(struct pst_decimal *out, struct pst_decimal a, struct pst_decimal b,
                         struct pst_err *err)
{
    pst_i128 sum = 0;
    if (!align(&a, &b) || __builtin_add_overflow(a.coefficient, b.coefficient, &sum) || !fits(sum))
        return too_long(err);
    *out = (struct pst_decimal){sum, a.scale};
    return PST_OK;
}

pst_code pst_decimal_mul(struct pst_decimal *out, struct pst_decimal a, struct pst_decimal b,
                         struct pst_err *err)
{
    pst_i128 product = 0;
    if (__builtin_mul_overflow(a.coefficient, b.coefficient, &product) || !fits(product) ||
        a.scale + b.scale > PST_DECIMAL_DIGITS)
        return too_long(err);
    *out = (struct pst_decimal){product, a.scale + b.scale};
    return PST_OK;
}

int pst_decimal_cmp(struct pst_decimal a, struct pst_decimal b)
{
    /* When the scales cannot be brought together, the sign of the one that grew decides. */
    struct pst_decimal x = a;
    struct pst_decimal y = b;
    if (!align(&x, &y)) {
        bool a_grew = a.scale < b.scale;
        pst_i128 grew = a_grew ? a.coefficient : b.coefficient;
        return (grew > 0) == a_grew ? 1 : -1;
    }
    return (x.coefficient > y.coefficient) - (x.coefficient < y.coefficient);
}
