/* base/err.c: filling error records, and the table behind the codes. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct code_row {
    const char *code;
    enum pst_origin origin;
    enum pst_retry retry;
    int exit_status;
    int http;
    const char *title;
};

/* clang-format off */
static const struct code_row codes[PST_CODE_COUNT] = {
    [PST_OK] = {"OK", PST_ORIGIN_PENSTOCK, PST_RETRY_NEVER, 0, 200, "OK"},
#define X(name, code, origin, retry, exit, http, title) \
    [PST_E_##name] = {code, PST_ORIGIN_##origin, PST_RETRY_##retry, exit, http, title},
#include "base/errors.def"
#undef X
};
/* clang-format on */

/* Marks a text that did not fit, so that a reader knows. */
static void mark_cut(char *text, size_t size)
{
    memcpy(text + size - 4, "...", 4);
}

pst_code pst_err_set(struct pst_err *err, pst_code code, int os_errno, const char *param,
                     const char *file, int line, const char *fmt, ...)
{
    *err = (struct pst_err){
        .code = code, .os_errno = os_errno, .file = file, .line = line, .fmt = fmt};
    if (param)
        (void)snprintf(err->param, sizeof(err->param), "%s", param);

    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);

    size_t len = (size_t)n;
    if (n < 0) { /* a text that cannot be formatted is left out */
        err->msg[0] = '\0';
        len = 0;
    }
    if (os_errno != 0 && len < sizeof(err->msg)) {
        char text[128] = "";
        const char *reason = strerror_r(os_errno, text, sizeof(text));
        len += (size_t)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", reason);
    }
    if (len >= sizeof(err->msg))
        mark_cut(err->msg, sizeof(err->msg));
    return code;
}

pst_code pst_err_wrap(struct pst_err *err, const char *fmt, ...)
{
    char text[sizeof(err->msg)];
    char joined[sizeof(err->msg)];

    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    /* The prefix may take at most half, so that the cause is always readable. */
    int n = snprintf(joined, sizeof(joined), "%.255s: %s", text, err->msg);
    if (n >= (int)sizeof(joined))
        mark_cut(joined, sizeof(joined));
    memcpy(err->msg, joined, sizeof(err->msg));
    return err->code;
}

static const struct code_row *row_of(pst_code code)
{
    return (unsigned)code < PST_CODE_COUNT ? &codes[code] : &codes[PST_E_INTERNAL];
}

enum pst_retry pst_code_retry(pst_code code)
{
    return row_of(code)->retry;
}

enum pst_origin pst_code_origin(pst_code code)
{
    return row_of(code)->origin;
}

const char *pst_code_name(pst_code code)
{
    return row_of(code)->code;
}

const char *pst_code_title(pst_code code)
{
    return row_of(code)->title;
}

const char *pst_origin_name(enum pst_origin origin)
{
    static const char *const names[] = {[PST_ORIGIN_REQUEST] = "request",
                                        [PST_ORIGIN_PENSTOCK] = "penstock",
                                        [PST_ORIGIN_SYSTEM] = "connected_system"};
    return names[origin];
}

int pst_code_exit(pst_code code)
{
    return row_of(code)->exit_status;
}

int pst_code_http(pst_code code)
{
    return row_of(code)->http;
}

int pst_code_retryable(pst_code code)
{
    enum pst_retry retry = pst_code_retry(code);
    return retry == PST_RETRY_LATER || retry == PST_RETRY_BACKOFF;
}

pst_code pst_code_from_name(const char *name)
{
    for (int i = 1; i < PST_CODE_COUNT; i++) {
        if (strcmp(codes[i].code, name) == 0)
            return (pst_code)i;
    }
    return PST_E_INTERNAL;
}
