/* codec/base64.c: RFC 4648. */
#include "codec/base64.h"

static const char alphabets[2][65] = {
    [PST_BASE64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [PST_BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

void pst_base64_encode(struct pst_buf *buf, enum pst_base64 kind, pst_str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned v = (unsigned)p[i] << 16;
        if (left > 1)
            v |= (unsigned)p[i + 1] << 8;
        if (left > 2)
            v |= p[i + 2];
        size_t digits = left > 2 ? 4 : left + 1;
        for (size_t d = 0; d < 4; d++) {
            if (d < digits)
                pst_buf_add_char(buf, alphabets[kind][v >> (18 - 6 * d) & 63]);
            else if (kind == PST_BASE64)
                pst_buf_add_char(buf, '=');
        }
    }
}

static pst_code invalid(struct pst_err *err)
{
    return PST_FAIL(err, PST_E_INVALID, "not valid base64");
}

pst_code pst_base64_decode(struct pst_arena *arena, pst_str *out, enum pst_base64 kind,
                           pst_str text, struct pst_err *err)
{
    char *p = NULL;
    size_t len = 0;
    unsigned bits = 0;
    unsigned v = 0;
    if (kind == PST_BASE64) {
        if (text.len % 4 != 0)
            return invalid(err);
        for (int pad = 0; pad < 2 && text.len && text.ptr[text.len - 1] == '='; pad++)
            text.len--;
    }
    if (text.len % 4 == 1)
        return invalid(err);
    PST_TRY(pst_arena_alloc(arena, &p, text.len / 4 * 3 + 3, err));
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        size_t digit = pst_str_index((pst_str){alphabets[kind], 64}, c);
        if (digit == 64)
            return invalid(err);
        v = (v << 6 | (unsigned)digit) & 0xFFFF;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            p[len++] = (char)(v >> bits & 0xFF);
        }
    }
    if (v & ((1U << bits) - 1)) /* unused bits */
        return invalid(err);
    *out = (pst_str){p, len};
    return PST_OK;
}
