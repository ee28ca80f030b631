/* crypto/sign.c: ed25519 signatures, and secrets as base 64 text. */
#include <sodium.h>

#include "crypto/internal.h"
#include "os/rand.h"

_Static_assert(PST_ED25519_SECRET == crypto_sign_SECRETKEYBYTES, "libsodium's secret key");
_Static_assert(PST_ED25519_PUBLIC == crypto_sign_PUBLICKEYBYTES, "libsodium's public key");
_Static_assert(PST_ED25519_SIGNATURE == crypto_sign_BYTES, "libsodium's signature");

pst_code pst_secret_random(struct pst_secret **out, size_t len, struct pst_err *err)
{
    unsigned char *bytes = NULL;
    PST_TRY(pst_secret_alloc(out, len, &bytes, err));
    pst_rand_bytes(bytes, len);
    return PST_OK;
}

pst_code pst_secret_encode(struct pst_secret **out, pst_str prefix, pst_str bytes,
                           struct pst_err *err)
{
    unsigned char *text = NULL;
    size_t size =
        sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL); /* and NUL */
    PST_TRY(pst_secret_alloc(out, prefix.len + size - 1, &text, err));
    if (prefix.len > 0)
        memcpy(text, prefix.ptr, prefix.len);
    (void)sodium_bin2base64((char *)text + prefix.len, size, (const unsigned char *)bytes.ptr,
                            bytes.len, sodium_base64_VARIANT_ORIGINAL);
    return PST_OK;
}

pst_code pst_secret_decode(struct pst_secret **out, pst_str text, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *s = NULL;
    unsigned char *bytes = NULL;
    const char *end = NULL;
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    PST_TRY(pst_secret_alloc(&s, text.len / 4 * 3 - (text.len < 4 ? 0 : padding), &bytes, err));
    size_t room = pst_secret_expose(s).len;
    if (text.len % 4 != 0 ||
        sodium_base642bin(bytes, room, text.ptr, text.len, NULL, NULL, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text.ptr + text.len) /* else what it decoded fills the room */
        return PST_FAIL(err, PST_E_INVALID, "not valid base64");
    *out = PST_TAKE(s);
    return PST_OK;
}

pst_code pst_ed25519_new(struct pst_secret **out, struct pst_err *err)
{
    unsigned char *bytes = NULL;
    unsigned char seed[crypto_sign_SEEDBYTES];
    unsigned char public_key[PST_ED25519_PUBLIC];
    PST_TRY(pst_secret_alloc(out, PST_ED25519_SECRET, &bytes, err));
    pst_rand_bytes(seed, sizeof(seed));
    (void)crypto_sign_seed_keypair(public_key, bytes, seed);
    sodium_memzero(seed, sizeof(seed));
    return PST_OK;
}

bool pst_ed25519_public(uint8_t out[PST_ED25519_PUBLIC], pst_str secret)
{
    unsigned char whole[PST_ED25519_SECRET];
    if (secret.len != sizeof(whole))
        return false;
    (void)crypto_sign_seed_keypair(out, whole, (const unsigned char *)secret.ptr);
    bool fits = sodium_memcmp(whole, secret.ptr, sizeof(whole)) == 0;
    sodium_memzero(whole, sizeof(whole));
    return fits;
}

void pst_ed25519_sign(uint8_t out[PST_ED25519_SIGNATURE], const struct pst_secret *secret,
                      pst_str message)
{
    (void)crypto_sign_detached(out, NULL, (const unsigned char *)message.ptr, message.len,
                               (const unsigned char *)pst_secret_expose(secret).ptr);
}
