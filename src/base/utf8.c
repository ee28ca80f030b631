/* base/utf8.c: validation, eight ASCII bytes at a time. */
#include "base/utf8.h"

#include <stdint.h>

/* Length of the valid sequence at p (n bytes left), 0 when it is none. */
static size_t sequence(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (c < 0xC2 || c > 0xF4 || n < len)
        return 0;
    if (c == 0xE0)
        low = 0xA0;
    else if (c == 0xED)
        high = 0x9F;
    else if (c == 0xF0)
        low = 0x90;
    else if (c == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return len;
}

bool pst_utf8_valid(pst_str s, size_t *bad_at)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;
    while (i < s.len) {
        uint64_t word = 0;
        while (s.len - i >= sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            if (word & 0x8080808080808080ULL)
                break;
            i += sizeof(word);
        }
        if (i == s.len)
            break;
        size_t n = sequence(p + i, s.len - i);
        if (n == 0) {
            if (bad_at)
                *bad_at = i;
            return false;
        }
        i += n;
    }
    return true;
}

pst_str pst_utf8_cut(pst_str s, size_t max)
{
    if (s.len <= max)
        return s;
    while (max > 0 && ((unsigned char)s.ptr[max] & 0xC0) == 0x80)
        max--;
    return (pst_str){s.ptr, max};
}
