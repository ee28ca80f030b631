/* base/alloc.c: malloc with a fault counter. */
#include "base/alloc.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Per thread, so that a torture test of one thread leaves the others alone. */
static _Thread_local long fail_countdown = -1;
static _Thread_local bool fail_happened;
static _Atomic int64_t live;

bool pst_alloc_must_fail(void)
{
    if (__builtin_expect(fail_countdown < 0, 1))
        return false;
    if (fail_countdown-- > 0)
        return false;
    fail_happened = true;
    return true;
}

static void *counted(void *ptr)
{
    if (ptr)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return ptr;
}

void *pst_malloc(size_t size)
{
    return pst_alloc_must_fail() ? NULL : counted(malloc(size ? size : 1));
}

void *pst_calloc(size_t count, size_t size)
{
    return pst_alloc_must_fail() ? NULL : counted(calloc(count ? count : 1, size ? size : 1));
}

void *pst_realloc(void *ptr, size_t size)
{
    if (!ptr)
        return pst_malloc(size);
    return pst_alloc_must_fail() ? NULL : realloc(ptr, size ? size : 1);
}

void pst_free(void *ptr)
{
    if (!ptr)
        return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(ptr);
}

pst_code pst_new(void **out, size_t size, struct pst_err *err)
{
    void *p = pst_calloc(1, size);
    if (!p)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for %zu bytes", size);
    *out = p;
    return PST_OK;
}

void pst_alloc_trim(void)
{
#if defined(__GLIBC__)
    (void)malloc_trim(0);
#endif
}

void pst_alloc_fail_at(long n)
{
    fail_countdown = n;
    fail_happened = false;
}

bool pst_alloc_failed(void)
{
    return fail_happened;
}

long pst_alloc_fail_left(void)
{
    return fail_countdown;
}

int64_t pst_alloc_live(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}
