/* base/str.c: slices. */
#include "base/str.h"

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool pst_str_eq_nocase(pst_str a, pst_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower((unsigned char)a.ptr[i]) != lower((unsigned char)b.ptr[i]))
            return false;
    }
    return true;
}

int pst_str_cmp(pst_str a, pst_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (c != 0)
        return c;
    return (a.len > b.len) - (a.len < b.len);
}

bool pst_str_starts(pst_str s, pst_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool pst_str_ends(pst_str s, pst_str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

size_t pst_str_index(pst_str s, char c)
{
    const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return p ? (size_t)(p - s.ptr) : s.len;
}

pst_str pst_str_sub(pst_str s, size_t from, size_t len)
{
    if (from >= s.len)
        return (pst_str){NULL, 0};
    size_t left = s.len - from;
    return (pst_str){s.ptr + from, len < left ? len : left};
}

bool pst_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

pst_str pst_str_trim(pst_str s)
{
    while (s.len && pst_is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && pst_is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

pst_str pst_str_split(pst_str *rest, char sep)
{
    size_t at = pst_str_index(*rest, sep);
    pst_str head = {rest->ptr, at};
    *rest =
        at == rest->len ? (pst_str){NULL, 0} : (pst_str){rest->ptr + at + 1, rest->len - at - 1};
    return head;
}

pst_str pst_str_host(pst_str origin)
{
    pst_str rest = pst_str_sub(origin, pst_str_index(origin, ':') + 3, origin.len);
    if (rest.len && rest.ptr[0] == '[') /* an IPv6 address has colons of its own */
        return pst_str_sub(rest, 0, pst_str_index(rest, ']') + 1);
    return pst_str_sub(rest, 0, pst_str_index(rest, ':'));
}

bool pst_str_copy(char *out, size_t size, pst_str s)
{
    if (size == 0)
        return false;
    out[0] = '\0';
    if (s.len >= size || (s.len && memchr(s.ptr, '\0', s.len)))
        return false;
    if (s.len)
        memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}
