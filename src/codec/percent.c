/* codec/percent.c: percent-encoding. */
#include "codec/percent.h"

static const char upper_hex[] = "0123456789ABCDEF";

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void add_encoded(struct pst_buf *buf, char c)
{
    unsigned char byte = (unsigned char)c;
    char text[3] = {'%', upper_hex[byte >> 4], upper_hex[byte & 15]};
    pst_buf_add(buf, text, sizeof(text));
}

void pst_percent_encode(struct pst_buf *buf, pst_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (is_unreserved(s.ptr[i]))
            pst_buf_add_char(buf, s.ptr[i]);
        else
            add_encoded(buf, s.ptr[i]);
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

pst_code pst_percent_decode(struct pst_arena *arena, pst_str *out, pst_str s, bool form,
                            struct pst_err *err)
{
    char *p = NULL;
    size_t len = 0;
    if (pst_str_index(s, '%') == s.len && (!form || pst_str_index(s, '+') == s.len)) {
        *out = s;
        return PST_OK;
    }
    PST_TRY(pst_arena_alloc(arena, &p, s.len + 1, err));
    for (size_t i = 0; i < s.len; i++, len++) {
        if (s.ptr[i] != '%') {
            p[len] = form && s.ptr[i] == '+' ? ' ' : s.ptr[i];
            continue;
        }
        int high = s.len - i > 2 ? hex_value(s.ptr[i + 1]) : -1;
        int low = s.len - i > 2 ? hex_value(s.ptr[i + 2]) : -1;
        if (high < 0 || low < 0)
            return PST_FAIL(err, PST_E_INVALID, "byte %zu: '%%' must be followed by two hex digits",
                            i);
        if ((high | low) == 0)
            return PST_FAIL(err, PST_E_INVALID, "byte %zu: '%%00' is not allowed", i);
        p[len] = (char)(high << 4 | low);
        i += 2;
    }
    *out = (pst_str){p, len};
    return PST_OK;
}

void pst_source_id_add(struct pst_buf *buf, pst_str part, bool is_first)
{
    if (!is_first)
        pst_buf_add_char(buf, '|');
    size_t clean = 0;
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] != '%' && part.ptr[i] != '|')
            continue;
        pst_buf_add(buf, part.ptr + clean, i - clean);
        add_encoded(buf, part.ptr[i]);
        clean = i + 1;
    }
    pst_buf_add(buf, part.len ? part.ptr + clean : "", part.len - clean);
}

/* Only the two escapes that pst_source_id_add makes, so that one key has one spelling. */
static pst_code check_part(pst_str part, struct pst_err *err)
{
    for (size_t i = pst_str_index(part, '%'); i < part.len; i++) {
        pst_str escape = pst_str_sub(part, i, 3);
        if (part.ptr[i] == '%' && !pst_str_is(escape, "%25") && !pst_str_is(escape, "%7C"))
            return PST_FAIL(err, PST_E_INVALID,
                            "a '%%' in a source id must be followed by 25 or 7C");
    }
    return PST_OK;
}

pst_code pst_source_id_split(struct pst_arena *arena, pst_str id, pst_str *parts, size_t max,
                             size_t *count, struct pst_err *err)
{
    size_t n = 0;
    pst_str rest = id;
    do {
        if (n == max)
            return PST_FAIL(err, PST_E_INVALID, "a source id of more than %zu parts", max);
        pst_str part = pst_str_split(&rest, '|');
        PST_TRY(check_part(part, err));
        PST_TRY(pst_percent_decode(arena, &parts[n], part, false, err));
        n++;
    } while (rest.ptr);
    *count = n;
    return PST_OK;
}
