/* crypto/secret.c: memory for secrets: guard pages around it, locked, kept out of dumps, wiped
 * on release. */
#include <sodium.h>

#include "base/alloc.h"
#include "crypto/internal.h"

struct pst_secret {
    size_t len;
    unsigned char bytes[]; /* len and a NUL */
};

pst_code pst_crypto_init(struct pst_err *err)
{
    if (sodium_init() < 0)
        return PST_FAIL(err, PST_E_INTERNAL, "libsodium cannot be initialised");
    return PST_OK;
}

pst_code pst_guarded_alloc(void **out, size_t len, struct pst_err *err)
{
    void *p = pst_alloc_must_fail() ? NULL : sodium_malloc(len);
    if (!p)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for %zu guarded bytes", len);
    *out = p;
    return PST_OK;
}

void pst_guarded_free(void *ptr)
{
    sodium_free(ptr);
}

void pst_wipe(void *ptr, size_t len)
{
    sodium_memzero(ptr, len);
}

/* sodium_malloc puts the end of what it gives at a guard page, so sizes are kept to a multiple
 * of the alignment that the struct needs. */
static size_t aligned_size(size_t len)
{
    size_t align = _Alignof(struct pst_secret);
    size_t size = sizeof(struct pst_secret) + len + 1;
    return (size + align - 1) / align * align;
}

pst_code pst_secret_alloc(struct pst_secret **out, size_t len, unsigned char **out_bytes,
                          struct pst_err *err)
{
    if (len > PST_SECRET_MAX)
        return PST_FAIL(err, PST_E_LIMIT, "a secret is at most %d bytes", PST_SECRET_MAX);
    struct pst_secret *s = NULL;
    PST_TRY(pst_guarded_alloc((void **)&s, aligned_size(len), err));
    s->len = len;
    s->bytes[len] = '\0';
    *out = s;
    *out_bytes = s->bytes;
    return PST_OK;
}

pst_code pst_secret_new(struct pst_secret **out, pst_str bytes, struct pst_err *err)
{
    unsigned char *to = NULL;
    PST_TRY(pst_secret_alloc(out, bytes.len, &to, err));
    if (bytes.len > 0)
        memcpy(to, bytes.ptr, bytes.len);
    return PST_OK;
}

pst_str pst_secret_expose(const struct pst_secret *s)
{
    return (pst_str){(const char *)s->bytes, s->len};
}

void pst_secret_free(struct pst_secret *s)
{
    pst_guarded_free(s);
}
