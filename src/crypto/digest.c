/* crypto/digest.c: record ids, SHA-256, HMAC, comparison, hex. */
#include <sodium.h>

#include "crypto/crypto.h"

/* The length in front of each part makes the framing unambiguous. */
static void update_part(crypto_generichash_state *state, pst_str part)
{
    unsigned char len[8];
    for (size_t i = 0; i < sizeof(len); i++)
        len[i] = (unsigned char)((uint64_t)part.len >> (8 * i));
    (void)crypto_generichash_update(state, len, sizeof(len));
    (void)crypto_generichash_update(state, (const unsigned char *)part.ptr, part.len);
}

void pst_record_id_raw(uint8_t out[PST_ID_RAW], pst_str connection_id, pst_str entity,
                       pst_str source_id)
{
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, PST_ID_RAW);
    update_part(&state, connection_id);
    update_part(&state, entity);
    update_part(&state, source_id);
    (void)crypto_generichash_final(&state, out, PST_ID_RAW);
}

struct pst_id pst_record_id(pst_str connection_id, pst_str entity, pst_str source_id)
{
    uint8_t raw[PST_ID_RAW];
    pst_record_id_raw(raw, connection_id, entity, source_id);
    return pst_id_format("rec_", raw);
}

void pst_blake2b(uint8_t out[PST_BLAKE2B_BYTES], pst_str bytes)
{
    (void)crypto_generichash(out, PST_BLAKE2B_BYTES, (const unsigned char *)bytes.ptr, bytes.len,
                             NULL, 0);
}

void pst_sha256(uint8_t out[PST_SHA256_BYTES], pst_str bytes)
{
    (void)crypto_hash_sha256(out, (const unsigned char *)bytes.ptr, bytes.len);
}

void pst_hmac_sha256(uint8_t out[PST_SHA256_BYTES], pst_str key, const pst_str *parts,
                     size_t part_count)
{
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.ptr, key.len);
    for (size_t i = 0; i < part_count; i++)
        (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)parts[i].ptr,
                                            parts[i].len);
    (void)crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof(state));
}

bool pst_bytes_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void pst_hex_encode(char *out, const uint8_t *bytes, size_t len)
{
    (void)sodium_bin2hex(out, 2 * len + 1, bytes, len);
}
