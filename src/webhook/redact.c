/* webhook/redact.c: a receiver may say again what it was sent; its answers are kept and shown, the
 * values of custom headers are not. */
#include "webhook/internal.h"

enum { VALUE_MIN = 6 }; /* shorter ones are no secrets, and stand in every text */

/* Stars over every place where value stands in text, also where text ends within it. */
static void hide(char *text, size_t len, pst_str value)
{
    char *at = text;
    if (value.len < VALUE_MIN)
        return;
    while ((at = memmem(at, len - (size_t)(at - text), value.ptr, value.len)) != NULL) {
        memset(at, '*', value.len);
        at += value.len;
    }
    for (size_t k = value.len - 1; k >= VALUE_MIN - 1; k--) {
        if (k > len || memcmp(text + len - k, value.ptr, k) != 0)
            continue;
        memset(text + len - k, '*', k);
        return;
    }
}

/* How many bytes of text are c as a JSON text has it: itself, "\/", "\u002f" (some escape more than
 * they have to). As many as there are when text ends within it; 0: it is something else. */
static size_t spelled_char(const char *text, size_t len, char c)
{
    char escaped[7];
    if (text[0] != '\\')
        return text[0] == c && c != '"';
    if (len == 1 || (text[1] == c && (c == '/' || c == '"' || c == '\\')))
        return len == 1 ? 1 : 2;
    (void)snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned char)c);
    size_t most = len < 6 ? len : 6;
    return strncasecmp(text, escaped, most) == 0 ? most : 0;
}

/* The same of a value; also when text ends within it. */
static size_t spelled(const char *text, size_t len, pst_str value)
{
    size_t at = 0;
    size_t i = 0;
    for (; i < value.len && at < len; i++) {
        size_t taken = spelled_char(text + at, len - at, value.ptr[i]);
        if (taken == 0)
            return 0;
        at += taken;
    }
    return i == value.len || i >= VALUE_MIN - 1 ? at : 0;
}

static void hide_escaped(char *text, size_t len, pst_str value)
{
    if (value.len < VALUE_MIN || !memchr(text, '\\', len))
        return;
    for (size_t at = 0; at < len; at++)
        memset(text + at, '*', spelled(text + at, len - at, value));
}

static void hide_both(char *text, size_t len, pst_str value)
{
    hide(text, len, value);
    hide_escaped(text, len, value);
}

pst_str pst_hook_redact(char out[PST_FLEET_KEPT], const struct pst_hook_endpoint *e, pst_str body)
{
    size_t len = body.len < PST_FLEET_KEPT ? body.len : PST_FLEET_KEPT;
    if (len > 0)
        memcpy(out, body.ptr, len);
    for (size_t i = 0; i < e->header_count; i++) {
        pst_str words = e->headers[i].value;
        hide_both(out, len, words);
        while (words.ptr) /* "Bearer TOKEN": the token alone is as good */
            hide_both(out, len, pst_str_split(&words, ' '));
    }
    return (pst_str){out, len};
}
