/* base/buf.c: growable bytes. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

enum { FIRST_CAP = 256 };

void pst_buf_fini(struct pst_buf *b)
{
    pst_free(b->ptr);
    *b = (struct pst_buf){.max = b->max};
}

void pst_buf_reset(struct pst_buf *b)
{
    b->len = 0;
    b->fail = PST_OK;
    if (b->ptr)
        b->ptr[0] = '\0';
}

bool pst_buf_grow(struct pst_buf *b, size_t more)
{
    if (b->fail != PST_OK)
        return false;
    if (more > b->max - b->len) {
        b->fail = PST_E_LIMIT;
        return false;
    }
    size_t need = b->len + more + 1; /* more than there is, or the caller had not come here */
    size_t cap = b->cap ? b->cap + b->cap / 2 : FIRST_CAP;
    if (cap < need)
        cap = need;
    if (cap > b->max + 1)
        cap = b->max + 1;
    char *p = pst_realloc(b->ptr, cap);
    if (!p) {
        b->fail = PST_E_NO_MEMORY;
        return false;
    }
    b->ptr = p;
    b->cap = cap;
    return true;
}

void pst_buf_add_u64(struct pst_buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    pst_buf_add(b, digits + at, sizeof(digits) - at);
}

void pst_buf_add_i64(struct pst_buf *b, int64_t v)
{
    if (v < 0)
        pst_buf_add_char(b, '-');
    pst_buf_add_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void pst_buf_addf(struct pst_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 && b->fail == PST_OK)
        b->fail = PST_E_INTERNAL;
    if (!pst_buf_reserve(b, (size_t)n))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void pst_buf_consume(struct pst_buf *b, size_t count)
{
    if (count > b->len)
        count = b->len;
    if (count == 0)
        return;
    b->len -= count;
    memmove(b->ptr, b->ptr + count, b->len + 1);
}

pst_code pst_buf_check(const struct pst_buf *b, struct pst_err *err)
{
    if (b->fail == PST_E_LIMIT)
        return PST_FAIL(err, PST_E_LIMIT, "more than %zu bytes", b->max);
    if (b->fail == PST_E_NO_MEMORY)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for a buffer");
    if (b->fail != PST_OK)
        return PST_FAIL(err, b->fail, "text could not be formatted");
    return PST_OK;
}
