/* connectors/peoplesoft/repair.c: nearly JSON to JSON, in one pass, without understanding it. */
#include <string.h>

#include "connectors/peoplesoft/reader.h"

static bool is_hex4(pst_str s, size_t at, unsigned *out)
{
    unsigned v = 0;
    if (s.len - at < 4)
        return false;
    for (size_t i = at; i < at + 4; i++) {
        char c = s.ptr[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (unsigned)((c | 0x20) - 'a') + 10;
        else
            return false;
        v = v * 16 + digit;
    }
    *out = v;
    return true;
}

/* An escape at s[at] == '\\': copied when JSON knows it. Returns what it was long. */
static size_t copy_escape(struct pst_buf *out, pst_str s, size_t at)
{
    unsigned unit = 0;
    unsigned low = 0;
    if (at + 1 >= s.len) {
        pst_buf_add_char(out, '\\'); /* cut off here: leave it so */
        return 1;
    }
    char c = s.ptr[at + 1];
    if (c == 'u' && is_hex4(s, at + 2, &unit)) {
        bool is_high = unit >= 0xd800 && unit <= 0xdbff;
        if (is_high && s.len - at >= 12 && s.ptr[at + 6] == '\\' && s.ptr[at + 7] == 'u' &&
            is_hex4(s, at + 8, &low) && low >= 0xdc00 && low <= 0xdfff) {
            pst_buf_add(out, s.ptr + at, 12);
            return 12;
        }
        if (is_high || (unit >= 0xdc00 && unit <= 0xdfff))
            pst_buf_add_char(out, '\xff');
        else
            pst_buf_add(out, s.ptr + at, 6);
        return 6;
    }
    if (c != '\0' && strchr("\"\\/bfnrt", c)) {
        pst_buf_add(out, s.ptr + at, 2);
        return 2;
    }
    pst_buf_add_lit(out, "\\\\"); /* "\'" and the like: the backslash was meant */
    return 1;
}

/* A text from its opening quote on. Returns what it was long; a missing end stays missing. */
static size_t copy_text(struct pst_buf *out, pst_str s, size_t at)
{
    size_t i = at + 1;
    pst_buf_add_char(out, '"');
    while (i < s.len && s.ptr[i] != '"') {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '\\') {
            i += copy_escape(out, s, i);
            continue;
        }
        i++;
        if (c >= ' ')
            pst_buf_add_char(out, (char)c);
        else if (c == '\n')
            pst_buf_add_lit(out, "\\n");
        else if (c == '\r')
            pst_buf_add_lit(out, "\\r");
        else if (c == '\t')
            pst_buf_add_lit(out, "\\t");
        else
            pst_buf_add_char(out, '\xff');
    }
    if (i < s.len) {
        pst_buf_add_char(out, '"');
        i++;
    }
    return i - at;
}

static bool is_number(pst_str s)
{
    size_t i = s.len > 0 && s.ptr[0] == '-';
    size_t digits = 0;
    size_t first = i;
    for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
        digits++;
    if (digits == 0 || (digits > 1 && s.ptr[first] == '0'))
        return false;
    if (i < s.len && s.ptr[i] == '.') {
        for (digits = 0, i++; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
            digits++;
        if (digits == 0)
            return false;
    }
    if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
        i++;
        i += i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-');
        for (digits = 0; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
            digits++;
        if (digits == 0)
            return false;
    }
    return i == s.len;
}

/* A word or number outside of texts. */
static size_t copy_word(struct pst_buf *out, pst_str s, size_t at)
{
    size_t end = at;
    while (end < s.len && !strchr(" \t\r\n,:{}[]\"", s.ptr[end]))
        end++;
    if (end == at)
        end++; /* a NUL byte, which strchr finds too */
    pst_str word = pst_str_sub(s, at, end - at);
    bool is_known = pst_str_is(word, "true") || pst_str_is(word, "false") ||
                    pst_str_is(word, "null") || is_number(word);
    /* The last word may be half a word: then the answer is cut off, not odd. */
    if (is_known || end == s.len) {
        pst_buf_add_str(out, word);
        return end - at;
    }
    pst_buf_add_char(out, '"');
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        if (c == '\\')
            pst_buf_add_lit(out, "\\\\");
        else
            pst_buf_add_char(out, (unsigned char)c < ' ' ? '\xff' : c);
    }
    pst_buf_add_char(out, '"');
    return end - at;
}

pst_code pst_ps_repair(pst_str body, struct pst_arena *arena, pst_str *out, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf buf = {0};
    pst_buf_init(&buf, body.len * 3 + 64);
    size_t i = 0;
    while (i < body.len) {
        char c = body.ptr[i];
        if (c == '"') {
            i += copy_text(&buf, body, i);
        } else if (c != '\0' && strchr(" \t\r\n,:{}[]", c)) {
            pst_buf_add_char(&buf, c);
            i++;
        } else {
            i += copy_word(&buf, body, i);
        }
    }
    PST_TRY(pst_buf_check(&buf, err));
    char *copy = NULL;
    PST_TRY(pst_arena_alloc(arena, &copy, buf.len + PST_HTTP_PADDING, err));
    if (buf.len)
        memcpy(copy, buf.ptr, buf.len);
    *out = (pst_str){copy, buf.len};
    return PST_OK;
}
