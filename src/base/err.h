/* base/err.h: the one error type.
 *
 * A function that can fail returns pst_code and takes a struct pst_err * as its last
 * parameter. On PST_OK the err is untouched. On failure the err holds the same code as was
 * returned, and a message fit to show to an operator or API client.
 *
 * The code (and the columns of errors.def) is for programs; the message is for people and is
 * never parsed. Messages: lower case, one line, no full stop, the object in single quotes;
 * never a credential, never a raw source row. An err owns no memory, so the report of an
 * allocation failure cannot itself fail.
 *
 * Thread-safety: an err belongs to the caller's stack frame or job.
 */
#ifndef PST_BASE_ERR_H
#define PST_BASE_ERR_H

#include <errno.h>
#include <stdint.h>

/* clang-format off */
typedef enum [[nodiscard]] pst_code {
    PST_OK = 0,
#define X(name, code, origin, retry, exit, http, title) PST_E_##name,
#include "base/errors.def"
#undef X
    PST_CODE_COUNT
} pst_code;
/* clang-format on */

enum pst_retry {
    PST_RETRY_NEVER,
    PST_RETRY_LATER,
    PST_RETRY_BACKOFF,
    PST_RETRY_REAUTH,
};

enum pst_origin {
    PST_ORIGIN_REQUEST,
    PST_ORIGIN_PENSTOCK,
    PST_ORIGIN_SYSTEM,
};

struct pst_err {
    pst_code code;
    int os_errno; /* of the failed system call, else 0 */
    int http_status; /* status the peer sent, else 0 */
    int retry_after_s; /* seconds the peer or we ask to wait, 0 = not said */
    const char *file; /* where the error was raised; static storage */
    int line;
    const char *fmt; /* the message without what was put into it; static storage */
    char param[64]; /* name of the parameter, field or option at fault, or "" */
    char msg[512]; /* NUL-terminated; an overlong text ends in "..." */
};

#define PST_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Raise: fill *err and return code, so that a call site is one line. code must not be
 * PST_OK. The second form also records errno, for a failed system call; the third names the
 * parameter, field or option at fault. */
#define PST_FAIL(err, code, ...)                                                                   \
    PST_ERR_SET((err), (code), 0, NULL, __FILE__, __LINE__, __VA_ARGS__)
#define PST_FAIL_OS(err, code, ...)                                                                \
    PST_ERR_SET((err), (code), errno, NULL, __FILE__, __LINE__, __VA_ARGS__)
#define PST_FAIL_AT(err, code, param, ...)                                                         \
    PST_ERR_SET((err), (code), 0, (param), __FILE__, __LINE__, __VA_ARGS__)
#if defined(__clang_analyzer__) || defined(PST_ANALYZER)
/* They see one file at a time: say here that the result is the code. */
#define PST_ERR_SET(err, code, ...) ((void)pst_err_set((err), (code), __VA_ARGS__), (code))
#else
#define PST_ERR_SET(err, code, ...) pst_err_set((err), (code), __VA_ARGS__)
#endif
pst_code pst_err_set(struct pst_err *err, pst_code code, int os_errno, const char *param,
                     const char *file, int line, const char *fmt, ...) PST_PRINTF(7, 8);

/* Return from the calling function when expr fails; err is filled by expr. */
#define PST_TRY(expr)                                                                              \
    do {                                                                                           \
        pst_code pst_rc_ = (expr);                                                                 \
        if (pst_rc_ != PST_OK)                                                                     \
            return pst_rc_;                                                                        \
    } while (0)

/* Add what the caller was doing, as a prefix ("page 12: HTTP 503 ..."). Keeps everything
 * else of the original, and returns its code. */
pst_code pst_err_wrap(struct pst_err *err, const char *fmt, ...) PST_PRINTF(2, 3);

/* The columns of errors.def. Any value of the enum is accepted; PST_OK gives "OK", exit 0,
 * HTTP 200. Strings are static. */
enum pst_retry pst_code_retry(pst_code code);
enum pst_origin pst_code_origin(pst_code code);
const char *pst_code_name(pst_code code); /* "SYSTEM_UNREACHABLE" */
const char *pst_code_title(pst_code code);
const char *pst_origin_name(enum pst_origin origin); /* "request", "penstock", "connected_system" */
int pst_code_exit(pst_code code);
int pst_code_http(pst_code code);

/* Whether a client may repeat the call unchanged later (retry is not NEVER and not REAUTH). */
int pst_code_retryable(pst_code code);

/* The code whose public name is `name` (first line of the table that has it), or
 * PST_E_INTERNAL where nothing matches. */
pst_code pst_code_from_name(const char *name);

#endif
