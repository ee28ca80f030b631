/* gate/page.c: sniffing of bodies and their human-readable parts. */
#include "gate/page.h"

#include <string.h>

#include "base/utf8.h"

enum { LOOK_BYTES = 64 << 10 };

static pst_str skip_blank(pst_str s)
{
    while (s.len && strchr(" \t\r\n", s.ptr[0]) && s.ptr[0] != '\0')
        s = pst_str_sub(s, 1, s.len);
    return s;
}

static bool starts_nocase(pst_str s, const char *prefix)
{
    pst_str p = pst_str_from(prefix);
    return pst_str_eq_nocase(pst_str_sub(s, 0, p.len), p);
}

/* Position of `text`, without case, in the part that is looked at; s.len when absent. */
static size_t find_nocase(pst_str s, size_t from, const char *text)
{
    size_t len = strlen(text);
    size_t end = s.len < LOOK_BYTES ? s.len : LOOK_BYTES;
    for (size_t i = from; i + len <= end; i++)
        if (pst_str_eq_nocase((pst_str){s.ptr + i, len}, (pst_str){text, len}))
            return i;
    return s.len;
}

bool pst_page_has(pst_str body, pst_str text)
{
    pst_str s = pst_str_sub(body, 0, LOOK_BYTES);
    return text.len > 0 && s.len >= text.len && memmem(s.ptr, s.len, text.ptr, text.len) != NULL;
}

/* From the root element's name on, with a prefix removed; "" when there is none. */
static pst_str find_root(pst_str s)
{
    while (s.len && s.ptr[0] == '<') {
        pst_str rest = pst_str_sub(s, 1, s.len);
        if (rest.len == 0 || (rest.ptr[0] != '?' && rest.ptr[0] != '!')) {
            size_t end = 0;
            size_t name = 0;
            for (; end < rest.len && !strchr(" \t\r\n/>", rest.ptr[end]); end++)
                if (rest.ptr[end] == ':')
                    name = end + 1;
            return pst_str_sub(rest, name, rest.len);
        }
        bool is_comment = starts_nocase(rest, "!--");
        size_t end = find_nocase(rest, 0, is_comment ? "-->" : ">");
        s = skip_blank(pst_str_sub(rest, end + (is_comment ? 3 : 1), rest.len));
    }
    return (pst_str){0};
}

static bool is_html(pst_str s, pst_str root)
{
    static const char *const ROOTS[] = {"html", "head", "body", "script", "meta", "title"};
    if (find_nocase(pst_str_sub(s, 0, 1024), 0, "<!doctype html") < s.len &&
        starts_nocase(s, "<!doctype html"))
        return true;
    for (size_t i = 0; i < sizeof(ROOTS) / sizeof(ROOTS[0]); i++)
        if (starts_nocase(root, ROOTS[i]))
            return true;
    return false;
}

enum pst_body_shape pst_body_shape(pst_str body)
{
    pst_str s = body;
    if (pst_str_starts(s, PST_STR("\xef\xbb\xbf")))
        s = pst_str_sub(s, 3, s.len);
    s = skip_blank(s);
    if (s.len == 0)
        return PST_BODY_EMPTY;
    if (s.ptr[0] == '{' || s.ptr[0] == '[')
        return PST_BODY_JSON;
    if (s.ptr[0] != '<')
        return PST_BODY_OTHER;
    pst_str root = find_root(s);
    if (is_html(s, root))
        return PST_BODY_HTML;
    if (starts_nocase(root, "IBResponse"))
        return pst_page_has(s, PST_STR("type=\"success\"")) ? PST_BODY_XML : PST_BODY_XML_ERROR;
    if (starts_nocase(root, "Envelope"))
        return find_nocase(s, 0, ":Fault>") < s.len || find_nocase(s, 0, "<Fault") < s.len
                   ? PST_BODY_XML_ERROR
                   : PST_BODY_XML;
    return root.len ? PST_BODY_XML : PST_BODY_OTHER;
}

/* Between the tags of `element`, wherever it stands. */
static pst_str find_element(pst_str body, const char *element)
{
    size_t len = strlen(element);
    for (size_t at = 0; (at = find_nocase(body, at, element)) < body.len; at += len) {
        size_t open = at + len;
        if (at == 0 || body.ptr[at - 1] != '<' || open >= body.len ||
            !strchr(" \t\r\n>", body.ptr[open]))
            continue;
        while (open < body.len && body.ptr[open] != '>')
            open++;
        pst_str inside = pst_str_sub(body, open + 1, LOOK_BYTES);
        size_t close = 0;
        while (close + 2 + len <= inside.len &&
               !(inside.ptr[close] == '<' && inside.ptr[close + 1] == '/' &&
                 pst_str_eq_nocase(pst_str_sub(inside, close + 2, len), (pst_str){element, len})))
            close++;
        bool is_open = close + 2 + len > inside.len; /* its end is missing */
        return pst_str_sub(inside, 0, is_open ? inside.len : close);
    }
    return (pst_str){0};
}

void pst_page_text(char *out, size_t size, pst_str body, const char *element)
{
    pst_str s = pst_str_trim(find_element(body, element));
    if (pst_str_starts(s, PST_STR("<![CDATA["))) {
        s = pst_str_sub(s, 9, s.len);
        if (pst_str_ends(s, PST_STR("]]>")))
            s.len -= 3;
    }
    size_t n = 0;
    size_t i = 0;
    bool was_blank = true;
    bool in_tag = false;
    for (; i < s.len && n + 1 < size; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '<' || c == '>') {
            in_tag = c == '<';
            continue;
        }
        bool is_blank = c <= ' ' || c == 0x7f;
        if (in_tag || (is_blank && was_blank))
            continue;
        out[n++] = is_blank ? ' ' : (char)c;
        was_blank = is_blank;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    /* Where it was cut, not inside of a character. */
    while (i < s.len && n > 0 && ((unsigned char)out[n - 1] & 0xc0) == 0x80)
        n--;
    if (i < s.len && n > 0 && ((unsigned char)out[n - 1] & 0x80))
        n--;
    out[n] = '\0';
    if (!pst_utf8_valid((pst_str){out, n}, NULL))
        out[0] = '\0';
}
