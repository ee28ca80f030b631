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

pst_str pst_hook_redact(char out[PST_FLEET_KEPT], const struct pst_hook_endpoint *e, pst_str body)
{
    size_t len = body.len < PST_FLEET_KEPT ? body.len : PST_FLEET_KEPT;
    if (len > 0)
        memcpy(out, body.ptr, len);
    for (size_t i = 0; i < e->header_count; i++) {
        pst_str words = e->headers[i].value;
        hide(out, len, words);
        while (words.ptr) /* "Bearer TOKEN": the token alone is as good */
            hide(out, len, pst_str_split(&words, ' '));
    }
    return (pst_str){out, len};
}
