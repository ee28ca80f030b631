/* crypto/key.c: root and data keys in memory and in the key file. */
#include <sodium.h>

#include "crypto/internal.h"
#include "os/file.h"
#include "os/rand.h"

enum {
    KEY_TEXT_LEN = 44, /* base 64 of 32 bytes, padded */
    KEY_FILE_MAX = 256,
};

struct pst_key {
    unsigned char bytes[PST_KEY_BYTES];
    uint8_t id[PST_KEY_ID_BYTES];
    char id_text[PST_KEY_ID_TEXT];
};

/* The id is a digest under the key itself over a fixed text: it says nothing about the key, and
 * two keys cannot be given the same id on purpose. */
static void fill_id(struct pst_key *key)
{
    static const unsigned char text[] = "penstock key id 1";
    (void)crypto_generichash(key->id, PST_KEY_ID_BYTES, text, sizeof(text) - 1, key->bytes,
                             PST_KEY_BYTES);
    pst_hex_encode(key->id_text, key->id, PST_KEY_ID_BYTES);
}

pst_code pst_key_from_bytes(struct pst_key **out, const unsigned char *bytes, struct pst_err *err)
{
    struct pst_key *key = NULL;
    PST_TRY(pst_guarded_alloc((void **)&key, sizeof(*key), err));
    memcpy(key->bytes, bytes, PST_KEY_BYTES);
    fill_id(key);
    (void)sodium_mprotect_readonly(key);
    *out = key;
    return PST_OK;
}

const unsigned char *pst_key_bytes(const struct pst_key *key)
{
    return key->bytes;
}

const uint8_t *pst_key_raw_id(const struct pst_key *key)
{
    return key->id;
}

const char *pst_key_id(const struct pst_key *key)
{
    return key->id_text;
}

void pst_key_free(struct pst_key *key)
{
    pst_guarded_free(key);
}

pst_code pst_key_generate(struct pst_key **out, struct pst_err *err)
{
    unsigned char bytes[PST_KEY_BYTES];
    pst_rand_bytes(bytes, sizeof(bytes));
    pst_code rc = pst_key_from_bytes(out, bytes, err);
    sodium_memzero(bytes, sizeof(bytes));
    return rc;
}

pst_code pst_key_from_text(struct pst_key **out, pst_str text, struct pst_err *err)
{
    unsigned char bytes[PST_KEY_BYTES];
    size_t len = 0;
    pst_str t = pst_str_trim(text);
    int rc = t.len == KEY_TEXT_LEN ? sodium_base642bin(bytes, sizeof(bytes), t.ptr, t.len, NULL,
                                                       &len, NULL, sodium_base64_VARIANT_ORIGINAL)
                                   : -1;
    pst_code code = PST_OK;
    if (rc != 0 || len != PST_KEY_BYTES)
        code = PST_FAIL(err, PST_E_INVALID,
                        "a key is 32 bytes as base 64, which is 44 characters (try: openssl rand "
                        "-base64 32)");
    else
        code = pst_key_from_bytes(out, bytes, err);
    sodium_memzero(bytes, sizeof(bytes));
    return code;
}

pst_code pst_key_load(struct pst_key **out, const char *path, struct pst_err *err)
{
    char text[KEY_FILE_MAX];
    size_t len = 0;
    PST_TRY(pst_file_check_private(path, err));
    PST_TRY(pst_file_read_into(text, sizeof(text), &len, path, err));
    pst_code rc = pst_key_from_text(out, (pst_str){text, len}, err);
    sodium_memzero(text, sizeof(text));
    return rc == PST_OK ? PST_OK : pst_err_wrap(err, "key file '%s'", path);
}

pst_code pst_key_save(const struct pst_key *key, const char *path, struct pst_err *err)
{
    char text[KEY_TEXT_LEN + 2];
    (void)sodium_bin2base64(text, sizeof(text), key->bytes, PST_KEY_BYTES,
                            sodium_base64_VARIANT_ORIGINAL);
    text[KEY_TEXT_LEN] = '\n';
    pst_code rc = pst_file_create(path, (pst_str){text, KEY_TEXT_LEN + 1}, 0600, err);
    sodium_memzero(text, sizeof(text));
    return rc;
}

pst_code pst_key_load_or_create(struct pst_key **out, const char *path, bool *out_created,
                                struct pst_err *err)
{
    if (pst_file_exists(path)) {
        PST_TRY(pst_key_load(out, path, err));
        *out_created = false;
        return PST_OK;
    }
    PST_AUTO(key) struct pst_key *key = NULL;
    PST_TRY(pst_key_generate(&key, err));
    PST_TRY(pst_key_save(key, path, err));
    *out = PST_TAKE(key);
    *out_created = true;
    return PST_OK;
}
