/* crypto/seal.c: sealing and opening, wrapped data keys, the canary.
 *
 * XChaCha20-Poly1305 (libsodium's recommended construction): the 24-byte nonce is large enough
 * to be drawn at random for every message. */
#include <sodium.h>

#include "crypto/internal.h"
#include "os/rand.h"

enum {
    FORMAT = 1,
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    AT_KEY_ID = 1,
    AT_NONCE = AT_KEY_ID + PST_KEY_ID_BYTES,
    AT_BODY = AT_NONCE + NONCE,
    PLACE_BYTES = crypto_generichash_BYTES,
};

_Static_assert((int)PST_SEAL_OVERHEAD == (int)AT_BODY + (int)TAG, "the layout in crypto.h");
_Static_assert((int)PST_KEY_BYTES == (int)crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key size");

static void hash_part(crypto_generichash_state *state, const void *bytes, size_t len)
{
    unsigned char size[8];
    for (size_t i = 0; i < sizeof(size); i++)
        size[i] = (unsigned char)((uint64_t)len >> (8 * i));
    (void)crypto_generichash_update(state, size, sizeof(size));
    (void)crypto_generichash_update(state, bytes, len);
}

/* The associated data: a digest of the length-framed parts, so that its size is fixed whatever
 * the parts are. */
static void digest_place(unsigned char out[PLACE_BYTES], const struct pst_seal_place *place,
                         const uint8_t *key_id)
{
    static const unsigned char format[] = {FORMAT};
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, PLACE_BYTES);
    hash_part(&state, format, sizeof(format));
    hash_part(&state, place->organization_id.ptr, place->organization_id.len);
    hash_part(&state, place->row_id.ptr, place->row_id.len);
    hash_part(&state, place->field.ptr, place->field.len);
    hash_part(&state, key_id, PST_KEY_ID_BYTES);
    (void)crypto_generichash_final(&state, out, PLACE_BYTES);
}

pst_code pst_seal(struct pst_arena *a, pst_str *out, const struct pst_key *key,
                  const struct pst_seal_place *place, pst_str plain, struct pst_err *err)
{
    if (plain.len > PST_SECRET_MAX)
        return PST_FAIL(err, PST_E_LIMIT, "a secret is at most %d bytes", PST_SECRET_MAX);
    unsigned char *box = NULL;
    unsigned char ad[PLACE_BYTES];
    size_t len = plain.len + PST_SEAL_OVERHEAD;
    PST_TRY(pst_arena_alloc(a, &box, len, err));
    box[0] = FORMAT;
    memcpy(box + AT_KEY_ID, pst_key_raw_id(key), PST_KEY_ID_BYTES);
    pst_rand_bytes(box + AT_NONCE, NONCE);
    digest_place(ad, place, pst_key_raw_id(key));
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        box + AT_BODY, NULL, (const unsigned char *)plain.ptr, plain.len, ad, sizeof(ad), NULL,
        box + AT_NONCE, pst_key_bytes(key));
    *out = (pst_str){(const char *)box, len};
    return PST_OK;
}

bool pst_seal_key_id(char out[PST_KEY_ID_TEXT], pst_str sealed)
{
    if (sealed.len < PST_SEAL_OVERHEAD || sealed.ptr[0] != FORMAT)
        return false;
    pst_hex_encode(out, (const uint8_t *)sealed.ptr + AT_KEY_ID, PST_KEY_ID_BYTES);
    return true;
}

pst_code pst_unseal(struct pst_secret **out, const struct pst_key *key,
                    const struct pst_seal_place *place, pst_str sealed, struct pst_err *err)
{
    char key_id[PST_KEY_ID_TEXT];
    if (!pst_seal_key_id(key_id, sealed))
        return PST_FAIL(err, PST_E_CORRUPT, "these %zu bytes are no sealed secret", sealed.len);
    const unsigned char *box = (const unsigned char *)sealed.ptr;
    if (memcmp(box + AT_KEY_ID, pst_key_raw_id(key), PST_KEY_ID_BYTES) != 0)
        return PST_FAIL(err, PST_E_CORRUPT, "the secret was sealed with key %s, not with %s",
                        key_id, pst_key_id(key));

    PST_AUTO(secret) struct pst_secret *secret = NULL;
    unsigned char *plain = NULL;
    unsigned char ad[PLACE_BYTES];
    PST_TRY(pst_secret_alloc(&secret, sealed.len - PST_SEAL_OVERHEAD, &plain, err));
    digest_place(ad, place, pst_key_raw_id(key));
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, box + AT_BODY,
                                                   sealed.len - AT_BODY, ad, sizeof(ad),
                                                   box + AT_NONCE, pst_key_bytes(key)) != 0)
        return PST_FAIL(err, PST_E_CORRUPT,
                        "the sealed secret '%.*s' was changed or belongs to another place",
                        PST_STR_ARG(place->field));
    *out = PST_TAKE(secret);
    return PST_OK;
}

pst_code pst_reseal(struct pst_arena *a, pst_str *out, const struct pst_key *from,
                    const struct pst_key *to, const struct pst_seal_place *place, pst_str sealed,
                    struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *plain = NULL;
    PST_TRY(pst_unseal(&plain, from, place, sealed, err));
    return pst_seal(a, out, to, place, pst_secret_expose(plain), err);
}

static struct pst_seal_place data_key_place(pst_str organization_id)
{
    return (struct pst_seal_place){
        .organization_id = organization_id, .row_id = PST_STR("data_key"), .field = PST_STR("key")};
}

pst_code pst_key_wrap(struct pst_arena *a, pst_str *out, const struct pst_key *root,
                      const struct pst_key *data_key, pst_str organization_id, struct pst_err *err)
{
    struct pst_seal_place place = data_key_place(organization_id);
    pst_str plain = {(const char *)pst_key_bytes(data_key), PST_KEY_BYTES};
    return pst_seal(a, out, root, &place, plain, err);
}

pst_code pst_key_unwrap(struct pst_key **out, const struct pst_key *root, pst_str wrapped,
                        pst_str organization_id, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *plain = NULL;
    struct pst_seal_place place = data_key_place(organization_id);
    PST_TRY(pst_unseal(&plain, root, &place, wrapped, err));
    pst_str bytes = pst_secret_expose(plain);
    if (bytes.len != PST_KEY_BYTES)
        return PST_FAIL(err, PST_E_CORRUPT, "the data key has %zu bytes", bytes.len);
    return pst_key_from_bytes(out, (const unsigned char *)bytes.ptr, err);
}

pst_code pst_key_rewrap(struct pst_arena *a, pst_str *out, const struct pst_key *old_root,
                        const struct pst_key *new_root, pst_str wrapped, pst_str organization_id,
                        struct pst_err *err)
{
    struct pst_seal_place place = data_key_place(organization_id);
    return pst_reseal(a, out, old_root, new_root, &place, wrapped, err);
}

static const struct pst_seal_place canary_place = {.row_id = PST_STR_INIT("canary"),
                                                   .field = PST_STR_INIT("root_key")};
static const pst_str canary_text = PST_STR_INIT("penstock canary 1");

pst_code pst_canary_make(struct pst_arena *a, pst_str *out, const struct pst_key *root,
                         struct pst_err *err)
{
    return pst_seal(a, out, root, &canary_place, canary_text, err);
}

pst_code pst_canary_check(const struct pst_key *root, pst_str canary, struct pst_err *err)
{
    char key_id[PST_KEY_ID_TEXT];
    if (!pst_seal_key_id(key_id, canary))
        return PST_FAIL(err, PST_E_CORRUPT, "the store's record of its root key is damaged");
    if (strcmp(key_id, pst_key_id(root)) != 0)
        return PST_FAIL(err, PST_E_INVALID,
                        "wrong root key: the store was sealed with key %s, the key given is %s",
                        key_id, pst_key_id(root));
    PST_AUTO(secret) struct pst_secret *plain = NULL;
    PST_TRY(pst_unseal(&plain, root, &canary_place, canary, err));
    if (!pst_str_eq(pst_secret_expose(plain), canary_text))
        return PST_FAIL(err, PST_E_CORRUPT, "the store's record of its root key is damaged");
    return PST_OK;
}
