/* base/arena.c: blocks that double in size, handed out front to back. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/alloc.h"

#if defined(__SANITIZE_ADDRESS__)
#define PST_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PST_HAS_ASAN 1
#endif
#endif
#ifdef PST_HAS_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

enum { ALIGN = alignof(max_align_t), FIRST_BLOCK = 4096 - 64, LARGEST_STEP = 1 << 20 };

struct block {
    struct block *prev;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char bytes[];
};

struct pst_arena {
    struct block *top;
    size_t limit;
    size_t used; /* handed out, with alignment */
    size_t next_size;
};

pst_code pst_arena_new(struct pst_arena **out, size_t limit_bytes, struct pst_err *err)
{
    struct pst_arena *a = pst_calloc(1, sizeof(*a));
    if (!a)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for an arena");
    a->limit = limit_bytes < 4096 ? 4096 : limit_bytes;
    a->next_size = FIRST_BLOCK;
    *out = a;
    return PST_OK;
}

static pst_code add_block(struct pst_arena *a, size_t need, struct pst_err *err)
{
    size_t size = a->next_size > need ? a->next_size : need;
    struct block *b = pst_malloc(sizeof(*b) + size);
    if (!b)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for %zu bytes", size);
    *b = (struct block){.prev = a->top, .size = size};
    POISON(b->bytes, size);
    a->top = b;
    if (a->next_size < LARGEST_STEP)
        a->next_size *= 2;
    return PST_OK;
}

static pst_code take(struct pst_arena *a, void **out, size_t size, struct pst_err *err)
{
    size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (need < size || need > a->limit - a->used)
        return PST_FAIL(err, PST_E_LIMIT, "more than %zu bytes needed", a->limit);
    if (pst_alloc_must_fail())
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for %zu bytes", size);
    if (!a->top || need > a->top->size - a->top->used)
        PST_TRY(add_block(a, need, err));
    *out = a->top->bytes + a->top->used;
    UNPOISON(*out, size);
    a->top->used += need;
    a->used += need;
    return PST_OK;
}

pst_code pst_arena_alloc(struct pst_arena *a, void *out, size_t size, struct pst_err *err)
{
    void *p = NULL;
    PST_TRY(take(a, &p, size ? size : 1, err));
    memset(p, 0, size);
    memcpy(out, &p, sizeof(p));
    return PST_OK;
}

pst_code pst_arena_bytes(struct pst_arena *a, void *out, size_t size, struct pst_err *err)
{
    void *p = NULL;
    PST_TRY(take(a, &p, size ? size : 1, err));
    memcpy(out, &p, sizeof(p));
    return PST_OK;
}

pst_code pst_arena_array(struct pst_arena *a, void *out, size_t count, size_t size,
                         struct pst_err *err)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total))
        return PST_FAIL(err, PST_E_LIMIT, "more than %zu bytes needed", a->limit);
    return pst_arena_alloc(a, out, total, err);
}

pst_code pst_arena_dup(struct pst_arena *a, pst_str *out, pst_str s, struct pst_err *err)
{
    void *p = NULL;
    if (s.len == SIZE_MAX)
        return PST_FAIL(err, PST_E_LIMIT, "more than %zu bytes needed", a->limit);
    PST_TRY(take(a, &p, s.len + 1, err));
    if (s.len)
        memcpy(p, s.ptr, s.len);
    ((char *)p)[s.len] = '\0';
    *out = (pst_str){p, s.len};
    return PST_OK;
}

pst_code pst_arena_printf(struct pst_arena *a, pst_str *out, struct pst_err *err, const char *fmt,
                          ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return PST_FAIL(err, PST_E_INTERNAL, "text could not be formatted");

    void *p = NULL;
    PST_TRY(take(a, &p, (size_t)n + 1, err));
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    *out = (pst_str){p, (size_t)n};
    return PST_OK;
}

/* Of several blocks none is kept: the next one will be as large as all of them, so that an arena
 * that is used over and over soon needs no memory but its one block. */
void pst_arena_reset(struct pst_arena *a)
{
    struct block *keep = a->top && !a->top->prev ? a->top : NULL;
    size_t sum = 0;
    for (struct block *b = keep ? NULL : a->top, *prev = NULL; b; b = prev) {
        prev = b->prev;
        sum += b->size;
        pst_free(b);
    }
    if (sum > a->next_size)
        a->next_size = sum < a->limit ? sum : a->limit;
    a->top = keep;
    a->used = 0;
    if (keep) {
        keep->used = 0;
        POISON(keep->bytes, keep->size);
    }
}

size_t pst_arena_used(const struct pst_arena *a)
{
    return a->used;
}

void pst_arena_free(struct pst_arena *a)
{
    if (!a)
        return;
    for (struct block *b = a->top, *prev = NULL; b; b = prev) {
        prev = b->prev;
        pst_free(b);
    }
    pst_free(a);
}
