/* base/num.c: strict integers from text. */
#include "base/num.h"

#include "base/cleanup.h"

bool pst_parse_u64(uint64_t *out, pst_str text, uint64_t min, uint64_t max)
{
    uint64_t v = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text.ptr[i] - '0'), &v))
            return false;
    }
    if (v < min || v > max)
        return false;
    *out = v;
    return true;
}

bool pst_parse_i64(int64_t *out, pst_str text, int64_t min, int64_t max)
{
    uint64_t magnitude = 0;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t top = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    if (!pst_parse_u64(&magnitude, negative ? pst_str_sub(text, 1, text.len) : text, 0, top))
        return false;
    int64_t v = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    if (v < min || v > max)
        return false;
    *out = v;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* Number followed by one of the units; no unit means `plain`. */
static bool parse_with_unit(uint64_t *out, pst_str text, const struct unit *units, size_t count,
                            uint64_t plain)
{
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    uint64_t v = 0;
    uint64_t factor = digits == text.len ? plain : 0;
    for (size_t i = 0; i < count; i++) {
        if (pst_str_is(pst_str_sub(text, digits, text.len), units[i].name))
            factor = units[i].factor;
    }
    if (factor == 0 || !pst_parse_u64(&v, pst_str_sub(text, 0, digits), 0, UINT64_MAX))
        return false;
    return !__builtin_mul_overflow(v, factor, out);
}

bool pst_parse_duration_ms(int64_t *out, pst_str text)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
    };
    uint64_t ms = 0;
    if (!parse_with_unit(&ms, text, units, PST_COUNT(units), 1000) || ms > INT64_MAX)
        return false;
    *out = (int64_t)ms;
    return true;
}

bool pst_parse_size(uint64_t *out, pst_str text)
{
    static const struct unit units[] = {
        {"B", 1},
        {"KiB", 1ULL << 10},
        {"MiB", 1ULL << 20},
        {"GiB", 1ULL << 30},
        {"TiB", 1ULL << 40},
    };
    uint64_t v = 0;
    if (!parse_with_unit(&v, text, units, PST_COUNT(units), 1))
        return false;
    *out = v;
    return true;
}
