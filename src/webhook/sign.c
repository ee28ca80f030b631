/* webhook/sign.c: secrets and signatures of Standard Webhooks 1.0.0. */
#include "codec/base64.h"
#include "codec/json.h"
#include "webhook/internal.h"

enum { HMAC_MIN = 24, HMAC_MAX = 64, HMAC_NEW = 32, SECRETS_BYTES = 64 << 10 };

static const struct {
    pst_str prefix, version;
} FORMS[] = {
    [PST_SIGNING_HMAC] = {PST_STR_INIT("whsec_"), PST_STR_INIT("v1,")},
    [PST_SIGNING_ED25519] = {PST_STR_INIT("whsk_"), PST_STR_INIT("v1a,")},
};

pst_code pst_hook_secret_new(struct pst_secret **out, enum pst_endpoint_signing signing,
                             struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *raw = NULL;
    if (signing == PST_SIGNING_HMAC)
        PST_TRY(pst_secret_random(&raw, HMAC_NEW, err));
    else
        PST_TRY(pst_ed25519_new(&raw, err));
    return pst_secret_encode(out, FORMS[signing].prefix, pst_secret_expose(raw), err);
}

/* The bytes behind the prefix. */
static pst_code open_secret(struct pst_secret **out, pst_str text,
                            enum pst_endpoint_signing signing, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *raw = NULL;
    pst_str prefix = FORMS[signing].prefix;
    uint8_t public_key[PST_ED25519_PUBLIC];
    if (!pst_str_starts(text, prefix))
        return PST_FAIL_AT(err, PST_E_INVALID, "secret", "a secret of this endpoint begins with %s",
                           prefix.ptr);
    pst_code code = pst_secret_decode(&raw, pst_str_sub(text, prefix.len, text.len), err);
    if (code == PST_E_NO_MEMORY)
        return code;
    if (code != PST_OK)
        return PST_FAIL_AT(err, PST_E_INVALID, "secret",
                           "what follows %s is no base 64 with padding", prefix.ptr);
    size_t len = pst_secret_expose(raw).len;
    if (signing == PST_SIGNING_HMAC && (len < HMAC_MIN || len > HMAC_MAX))
        return PST_FAIL_AT(err, PST_E_INVALID, "secret",
                           "a secret has %d to %d bytes as base 64, this one %zu", HMAC_MIN,
                           HMAC_MAX, len);
    if (signing == PST_SIGNING_ED25519 && !pst_ed25519_public(public_key, pst_secret_expose(raw)))
        return PST_FAIL_AT(err, PST_E_INVALID, "secret",
                           "a secret key has 64 bytes as base 64: the seed and its public key");
    *out = PST_TAKE(raw);
    return PST_OK;
}

pst_code pst_hook_secret_check(pst_str text, enum pst_endpoint_signing signing, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *raw = NULL;
    return open_secret(&raw, text, signing, err);
}

pst_code pst_hook_public_key(char out[PST_HOOK_PUBLIC_KEY], pst_str secret, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *raw = NULL;
    PST_AUTO(buf) struct pst_buf text = {.max = PST_HOOK_PUBLIC_KEY - 1};
    uint8_t public_key[PST_ED25519_PUBLIC];
    PST_TRY(open_secret(&raw, secret, PST_SIGNING_ED25519, err));
    (void)pst_ed25519_public(public_key, pst_secret_expose(raw));
    pst_buf_add_lit(&text, "whpk_");
    pst_base64_encode(&text, PST_BASE64, (pst_str){(const char *)public_key, sizeof(public_key)});
    PST_TRY(pst_buf_check(&text, err));
    (void)pst_str_copy(out, PST_HOOK_PUBLIC_KEY, pst_buf_str(&text));
    return PST_OK;
}

/* ---- signing ---- */

/* HMAC takes the three parts as they lie; ed25519 reads its message twice and needs it in one. */
static pst_code add_signature(struct pst_buf *out, const struct pst_hook_key *key,
                              const pst_str parts[3], struct pst_err *err)
{
    uint8_t signature[PST_ED25519_SIGNATURE];
    size_t len = PST_SHA256_BYTES;
    if (key->signing == PST_SIGNING_HMAC) {
        pst_hmac_sha256(signature, pst_secret_expose(key->raw), parts, 3);
    } else {
        PST_AUTO(buf) struct pst_buf message = {.max = SIZE_MAX / 2};
        for (size_t i = 0; i < 3; i++)
            pst_buf_add_str(&message, parts[i]);
        PST_TRY(pst_buf_check(&message, err));
        pst_ed25519_sign(signature, key->raw, pst_buf_str(&message));
        len = PST_ED25519_SIGNATURE;
    }
    pst_buf_add_str(out, FORMS[key->signing].version);
    pst_base64_encode(out, PST_BASE64, (pst_str){(const char *)signature, len});
    return PST_OK;
}

pst_code pst_hook_keys_sign(struct pst_buf *out, const struct pst_hook_keys *keys, pst_wall now,
                            pst_str id, int64_t timestamp_s, pst_str body, struct pst_err *err)
{
    char middle[32];
    int len = snprintf(middle, sizeof(middle), ".%lld.", (long long)timestamp_s);
    const pst_str parts[3] = {id, {middle, (size_t)len}, body};
    bool is_first = true;
    for (size_t i = 0; i < keys->count; i++) {
        const struct pst_hook_key *key = &keys->items[i];
        if (!pst_wall_is_none(key->until) && key->until.us <= now.us)
            continue;
        if (!is_first)
            pst_buf_add_char(out, ' ');
        is_first = false;
        PST_TRY(add_signature(out, key, parts, err));
    }
    return pst_buf_check(out, err);
}

static pst_code add_key(struct pst_hook_keys *keys, pst_str text, pst_wall until,
                        struct pst_err *err)
{
    struct pst_hook_key *key = &keys->items[keys->count];
    if (keys->count == PST_COUNT(keys->items))
        return PST_FAIL(err, PST_E_LIMIT, "an endpoint has at most %zu secrets",
                        PST_COUNT(keys->items));
    key->signing = pst_str_starts(text, FORMS[PST_SIGNING_HMAC].prefix) ? PST_SIGNING_HMAC
                                                                        : PST_SIGNING_ED25519;
    key->until = until;
    PST_TRY(open_secret(&key->raw, text, key->signing, err));
    keys->count++;
    return PST_OK;
}

void pst_hook_keys_drop(struct pst_hook_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        pst_secret_free(keys->items[i].raw);
    *keys = (struct pst_hook_keys){0};
}

static pst_code read_keys(struct pst_hook_keys *out, yyjson_val *list, struct pst_err *err)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *item = NULL;
    yyjson_arr_foreach(list, i, n, item)
    {
        pst_str text = {0};
        pst_str until = {0};
        pst_wall end = PST_WALL_NONE;
        if (!pst_json_str(pst_json_get(item, PST_STR("secret")), &text) ||
            (pst_json_str(pst_json_get(item, PST_STR("until")), &until) &&
             !pst_wall_parse(&end, until)))
            return PST_FAIL(err, PST_E_CORRUPT, "the stored secrets are damaged");
        pst_code code = add_key(out, text, end, err);
        pst_wipe((void *)(uintptr_t)text.ptr, text.len); /* the document's copy */
        PST_TRY(code);
    }
    return PST_OK;
}

pst_code pst_hook_keys_read(struct pst_hook_keys *out, pst_str json, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    yyjson_doc *doc = NULL;
    *out = (struct pst_hook_keys){0};
    PST_TRY(pst_arena_new(&arena, SECRETS_BYTES, err));
    PST_TRY(pst_json_read(json, NULL, arena, &doc, err));
    pst_code code = read_keys(out, yyjson_doc_get_root(doc), err);
    if (code != PST_OK)
        pst_hook_keys_drop(out);
    return code;
}

pst_code pst_hook_sign(struct pst_buf *out, const struct pst_secret *const *secrets, size_t count,
                       pst_str id, int64_t timestamp_s, pst_str body, struct pst_err *err)
{
    struct pst_hook_keys keys = {0};
    pst_code code = PST_OK;
    for (size_t i = 0; code == PST_OK && i < count; i++)
        code = add_key(&keys, pst_secret_expose(secrets[i]), PST_WALL_NONE, err);
    if (code == PST_OK)
        code = pst_hook_keys_sign(out, &keys, PST_WALL_NONE, id, timestamp_s, body, err);
    pst_hook_keys_drop(&keys);
    return code;
}
