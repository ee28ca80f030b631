/* gate/echo.c: error pages like to quote the request, and their words go into messages, logs and
 * the store. */
#include "gate/echo.h"

#include "base/buf.h"
#include "codec/base64.h"
#include "codec/percent.h"
#include "crypto/crypto.h"

enum { WINDOW = 6, GROUP = 3, FORM_GROWTH = 3, ROOM = 16 };

static bool has_window(pst_str text, pst_str form)
{
    size_t window = form.len < WINDOW ? form.len : WINDOW;
    for (size_t i = 0; window > 0 && i + window <= form.len; i++) {
        if (memmem(text.ptr, text.len, form.ptr + i, window))
            return true;
    }
    return false;
}

/* What any base 64 of a longer text has of the secret in it: one spelling per offset of the secret
 * in its group of three. The groups at both ends are shared with what stands around it. */
static bool has_base64(pst_str text, pst_str secret, struct pst_buf *scratch)
{
    for (size_t skip = 0; skip < GROUP && skip < secret.len; skip++) {
        pst_str whole = pst_str_sub(secret, skip, secret.len);
        whole.len -= whole.len % GROUP;
        pst_buf_reset(scratch);
        pst_base64_encode(scratch, PST_BASE64, whole);
        if (whole.len >= GROUP && has_window(text, pst_buf_str(scratch)))
            return true;
    }
    return false;
}

static bool has_encoded(pst_str text, pst_str secret, struct pst_buf *scratch)
{
    static const char digits[2][17] = {"0123456789abcdef", "0123456789ABCDEF"};
    pst_buf_reset(scratch);
    pst_percent_encode(scratch, secret);
    if (has_window(text, pst_buf_str(scratch)))
        return true;
    for (size_t k = 0; k < 2; k++) {
        pst_buf_reset(scratch);
        for (size_t i = 0; i < secret.len; i++) {
            unsigned char c = (unsigned char)secret.ptr[i];
            pst_buf_add_char(scratch, digits[k][c >> 4]);
            pst_buf_add_char(scratch, digits[k][c & 15]);
        }
        if (has_window(text, pst_buf_str(scratch)))
            return true;
    }
    return has_base64(text, secret, scratch);
}

bool pst_gate_echoes(const struct pst_http_request *request, pst_str text)
{
    PST_AUTO(buf) struct pst_buf scratch = {0};
    if (!request->password || text.len == 0)
        return false;
    pst_str secret = pst_secret_expose(request->password);
    /* All at once, so that no smaller copy is left behind. */
    pst_buf_init(&scratch, FORM_GROWTH * secret.len + ROOM);
    if (!pst_buf_reserve(&scratch, FORM_GROWTH * secret.len))
        return true;
    bool found =
        has_window(text, secret) || has_encoded(text, secret, &scratch) || scratch.fail != PST_OK;
    pst_wipe(scratch.ptr, scratch.cap);
    return found;
}
