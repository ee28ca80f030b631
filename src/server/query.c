/* server/query.c: percent-decoding of paths and query strings, strict. */
#include "base/utf8.h"
#include "server/server.h"

enum { QUERY_ITEMS_MAX = 100 };

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decode raw to out (room for raw.len bytes). NULL, or what is wrong. */
static const char *decode_to(char *out, size_t *out_len, pst_str raw, bool plus)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char b = (unsigned char)raw.ptr[i];
        if (b == '%') {
            int high = i + 2 < raw.len ? hex_value(raw.ptr[i + 1]) : -1;
            int low = i + 2 < raw.len ? hex_value(raw.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return "a '%' without two hexadecimal digits";
            b = (unsigned char)(high * 16 + low);
            i += 2;
        } else if (b == '+' && plus) {
            b = ' ';
        }
        if (b < 0x20 || b == 0x7f)
            return "a control byte";
        out[n++] = (char)b;
    }
    *out_len = n;
    return pst_utf8_valid((pst_str){out, n}, NULL) ? NULL : "invalid UTF-8";
}

static pst_code decode(struct pst_arena *a, pst_str raw, bool plus, pst_str *out, const char **why,
                       struct pst_err *err)
{
    char *bytes = NULL;
    size_t len = 0;
    PST_TRY(pst_arena_alloc(a, &bytes, raw.len + 1, err));
    *why = decode_to(bytes, &len, raw, plus);
    bytes[len] = '\0';
    *out = (pst_str){bytes, len};
    return PST_OK;
}

pst_code pst_path_decode(struct pst_arena *a, pst_str raw, pst_str *out, struct pst_err *err)
{
    const char *why = NULL;
    PST_TRY(decode(a, raw, false, out, &why, err));
    if (why)
        return PST_FAIL_AT(err, PST_E_INVALID, "path", "the path has %s", why);
    return PST_OK;
}

static pst_code decode_item(struct pst_arena *a, pst_str raw, struct pst_query_item *item,
                            struct pst_err *err)
{
    const char *why = NULL;
    pst_str value = raw;
    pst_str name = pst_str_split(&value, '=');
    PST_TRY(decode(a, name, true, &item->name, &why, err));
    if (why)
        return PST_FAIL_AT(err, PST_E_INVALID, "query", "a parameter's name has %s", why);
    PST_TRY(decode(a, value, true, &item->value, &why, err));
    if (why)
        return PST_FAIL_AT(err, PST_E_INVALID, item->name.ptr, "the value of '%.*s' has %s",
                           PST_STR_ARG(item->name), why);
    return PST_OK;
}

pst_code pst_query_parse(struct pst_arena *a, pst_str raw, struct pst_query_item **items,
                         size_t *count, struct pst_err *err)
{
    size_t room = 1;
    for (size_t i = 0; i < raw.len; i++)
        room += raw.ptr[i] == '&';
    if (room > QUERY_ITEMS_MAX)
        room = QUERY_ITEMS_MAX;
    struct pst_query_item *list = NULL;
    PST_TRY(pst_arena_array(a, &list, room, sizeof(*list), err));

    size_t n = 0;
    while (raw.len) {
        pst_str part = pst_str_split(&raw, '&');
        if (part.len == 0)
            continue;
        if (n == room)
            return PST_FAIL_AT(err, PST_E_LIMIT, "query", "more than %d query parameters",
                               QUERY_ITEMS_MAX);
        PST_TRY(decode_item(a, part, &list[n++], err));
    }
    *items = list;
    *count = n;
    return PST_OK;
}
