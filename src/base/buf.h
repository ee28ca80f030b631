/* base/buf.h: growable bytes with a maximum fixed at birth.
 *
 * Failure is sticky: an append that would pass the maximum, or finds no memory, leaves the
 * buffer as it was and marks it; later appends do nothing. The writer of a body therefore
 * appends without checks and asks once, at the end, with pst_buf_check().
 *
 * bytes[len] is always a NUL that is not counted, once anything was appended.
 *
 * Thread-safety: one thread at a time.
 */
#ifndef PST_BASE_BUF_H
#define PST_BASE_BUF_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

struct pst_buf {
    char *ptr;
    size_t len;
    size_t cap; /* bytes allocated */
    size_t max; /* largest len allowed */
    pst_code fail; /* PST_OK, or the first failure: LIMIT, NO_MEMORY, INTERNAL */
};

/* Empty, nothing allocated. max_bytes: the largest length. */
static inline void pst_buf_init(struct pst_buf *b, size_t max_bytes)
{
    *b = (struct pst_buf){.max = max_bytes};
}

void pst_buf_fini(struct pst_buf *b); /* frees; b may be used again with its old maximum */
void pst_buf_reset(struct pst_buf *b); /* empty, memory kept, failure forgotten */

/* Make room for `more` bytes beyond len. Returns false (and marks b) when that fails. After
 * true, up to `more` bytes may be written at ptr + len before len is raised by hand. */
static inline bool pst_buf_reserve(struct pst_buf *b, size_t more);
bool pst_buf_grow(struct pst_buf *b, size_t more); /* the same, when it has to grow */

static inline void pst_buf_add(struct pst_buf *b, const void *bytes, size_t len);
static inline void pst_buf_add_str(struct pst_buf *b, pst_str s);
static inline void pst_buf_add_char(struct pst_buf *b, char c);
void pst_buf_add_i64(struct pst_buf *b, int64_t v);
void pst_buf_add_u64(struct pst_buf *b, uint64_t v);
void pst_buf_addf(struct pst_buf *b, const char *fmt, ...) PST_PRINTF(2, 3);
#define pst_buf_add_lit(b, lit) pst_buf_add((b), "" lit, sizeof(lit) - 1)

/* Drop `count` bytes at the front (at most len). */
void pst_buf_consume(struct pst_buf *b, size_t count);

/* What is in it; valid until the next call on b. */
static inline pst_str pst_buf_str(const struct pst_buf *b)
{
    return (pst_str){b->ptr, b->len};
}

/* PST_OK, or the sticky failure with a message. Errors: LIMIT, NO_MEMORY; INTERNAL where a text
 * could not be formatted. */
pst_code pst_buf_check(const struct pst_buf *b, struct pst_err *err);

/* Inline: most appends are short and find room. cap is never above max + 1. */
static inline bool pst_buf_reserve(struct pst_buf *b, size_t more)
{
    return (b->fail == PST_OK && more < b->cap - b->len) || pst_buf_grow(b, more);
}

static inline void pst_buf_add(struct pst_buf *b, const void *bytes, size_t len)
{
    if (!pst_buf_reserve(b, len))
        return;
    if (len)
        memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = '\0';
}

static inline void pst_buf_add_str(struct pst_buf *b, pst_str s)
{
    pst_buf_add(b, s.ptr, s.len);
}

static inline void pst_buf_add_char(struct pst_buf *b, char c)
{
    pst_buf_add(b, &c, 1);
}

static inline void pst_auto_buf(struct pst_buf *b)
{
    pst_buf_fini(b);
}
/* PST_AUTO(buf) struct pst_buf b = {.max = MAX}; an uninitialised one must not leave scope. */

#endif
