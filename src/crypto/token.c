/* crypto/token.c: API keys and connection tokens: prefix, 256 random bits, checksum.
 *
 * The checksum (30 bits of SHA-256 over prefix and body) is no protection; it lets a scanner
 * recognise a leaked key and refuses a mistyped one before the store is asked. */
#include <sodium.h>

#include "crypto/internal.h"
#include "os/rand.h"

enum { PREFIX_LEN = 4, BODY_LEN = 52, CHECK_LEN = 6, RANDOM_BYTES = 32 };

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
static const char *const prefixes[] = {
    [PST_TOKEN_API_KEY] = "psk_", [PST_TOKEN_CONNECTION] = "pct_"};

/* The first `digits` groups of five bits of bytes, highest bit first. Bits beyond the end of
 * the input count as zero. */
static void encode_bits(char *out, size_t digits, const unsigned char *bytes, size_t len)
{
    for (size_t d = 0; d < digits; d++) {
        unsigned v = 0;
        for (size_t bit = 5 * d; bit < 5 * d + 5; bit++) {
            unsigned byte = bit / 8 < len ? bytes[bit / 8] : 0;
            v = v << 1 | (byte >> (7 - bit % 8) & 1U);
        }
        out[d] = alphabet[v];
    }
}

static void compute_check(char out[CHECK_LEN], const char *text)
{
    uint8_t hash[PST_SHA256_BYTES];
    pst_sha256(hash, (pst_str){text, PREFIX_LEN + BODY_LEN});
    encode_bits(out, CHECK_LEN, hash, sizeof(hash));
}

static void fill_token(struct pst_token *out, enum pst_token_kind kind, pst_str text)
{
    out->kind = kind;
    pst_sha256(out->hash, text);
    (void)pst_str_copy(out->hint, sizeof(out->hint), pst_str_sub(text, 0, PST_TOKEN_HINT));
}

pst_code pst_token_new(enum pst_token_kind kind, struct pst_token *out,
                       struct pst_secret **out_text, struct pst_err *err)
{
    unsigned char *text = NULL;
    unsigned char random[RANDOM_BYTES];
    PST_TRY(pst_secret_alloc(out_text, PST_TOKEN_LEN, &text, err));
    memcpy(text, prefixes[kind], PREFIX_LEN);
    pst_rand_bytes(random, sizeof(random));
    encode_bits((char *)text + PREFIX_LEN, BODY_LEN, random, sizeof(random));
    compute_check((char *)text + PREFIX_LEN + BODY_LEN, (const char *)text);
    sodium_memzero(random, sizeof(random));
    fill_token(out, kind, pst_secret_expose(*out_text));
    return PST_OK;
}

bool pst_token_parse(struct pst_token *out, pst_str text)
{
    char check[CHECK_LEN];
    if (text.len != PST_TOKEN_LEN)
        return false;
    for (size_t i = PREFIX_LEN; i < text.len; i++) {
        if (pst_str_index(pst_str_from(alphabet), text.ptr[i]) == 32)
            return false;
    }
    for (size_t kind = 0; kind < PST_COUNT(prefixes); kind++) {
        if (memcmp(text.ptr, prefixes[kind], PREFIX_LEN) != 0)
            continue;
        compute_check(check, text.ptr);
        if (sodium_memcmp(check, text.ptr + PREFIX_LEN + BODY_LEN, CHECK_LEN) != 0)
            return false;
        fill_token(out, (enum pst_token_kind)kind, text);
        return true;
    }
    return false;
}

bool pst_token_matches(const struct pst_token *presented, const uint8_t stored[PST_SHA256_BYTES])
{
    return sodium_memcmp(presented->hash, stored, PST_SHA256_BYTES) == 0;
}
