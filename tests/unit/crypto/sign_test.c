/* ed25519 signatures, and secrets as base 64 text. */
#include "tests/unit/test.h"

#include "crypto/crypto.h"

static pst_str bytes(const void *p, size_t len)
{
    return (pst_str){p, len};
}

/* RFC 8032, 7.1, TEST 2: the secret key is seed and public key. */
static const uint8_t key[PST_ED25519_SECRET] = {
    0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
    0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
    0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc,
    0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c};
static const char signature[] = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

static void a_known_message_gets_its_signature(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *secret = NULL;
    uint8_t public_key[PST_ED25519_PUBLIC];
    uint8_t made[PST_ED25519_SIGNATURE];
    char hex[2 * PST_ED25519_SIGNATURE + 1];
    assert_true(pst_ed25519_public(public_key, bytes(key, sizeof(key))));
    assert_memory_equal(public_key, key + 32, sizeof(public_key));
    assert_ok(pst_secret_new(&secret, bytes(key, sizeof(key)), &err));
    pst_ed25519_sign(made, secret, PST_STR("\x72"));
    pst_hex_encode(hex, made, sizeof(made));
    assert_string_equal(hex, signature);
}

static void a_key_whose_halves_do_not_fit_is_none(void **state)
{
    (void)state;
    uint8_t public_key[PST_ED25519_PUBLIC];
    uint8_t bad[PST_ED25519_SECRET + 1];
    for (size_t i = 0; i < PST_ED25519_SECRET; i++) {
        memcpy(bad, key, sizeof(key));
        bad[i] ^= 1;
        assert_false(pst_ed25519_public(public_key, bytes(bad, PST_ED25519_SECRET)));
    }
    memcpy(bad, key, sizeof(key));
    assert_false(pst_ed25519_public(public_key, bytes(bad, PST_ED25519_SECRET - 1)));
    assert_false(pst_ed25519_public(public_key, bytes(bad, PST_ED25519_SECRET + 1)));
    assert_false(pst_ed25519_public(public_key, PST_STR("")));
}

static void new_keys_are_whole_and_differ(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *one = NULL;
    PST_AUTO(secret) struct pst_secret *two = NULL;
    uint8_t public_key[PST_ED25519_PUBLIC];
    assert_ok(pst_ed25519_new(&one, &err));
    assert_ok(pst_ed25519_new(&two, &err));
    assert_true(pst_ed25519_public(public_key, pst_secret_expose(one)));
    assert_memory_equal(public_key, pst_secret_expose(one).ptr + 32, sizeof(public_key));
    assert_false(pst_str_eq(pst_secret_expose(one), pst_secret_expose(two)));
}

static void random_secrets_have_their_length_and_differ(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *one = NULL;
    PST_AUTO(secret) struct pst_secret *two = NULL;
    struct pst_secret *none = NULL;
    assert_ok(pst_secret_random(&one, 32, &err));
    assert_ok(pst_secret_random(&two, 32, &err));
    assert_int_equal(pst_secret_expose(one).len, 32);
    assert_false(pst_str_eq(pst_secret_expose(one), pst_secret_expose(two)));
    assert_code(pst_secret_random(&none, PST_SECRET_MAX + 1, &err), PST_E_LIMIT);
}

/* RFC 4648, 10. */
static void text_and_bytes_are_each_others_base64(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *text;
    } rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff", "+/8="},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        PST_AUTO(secret) struct pst_secret *text = NULL;
        PST_AUTO(secret) struct pst_secret *plain = NULL;
        PST_AUTO(secret) struct pst_secret *named = NULL;
        assert_ok(pst_secret_encode(&text, PST_STR(""), pst_str_from(rows[i].plain), &err));
        assert_str(pst_secret_expose(text), rows[i].text);
        assert_ok(pst_secret_decode(&plain, pst_str_from(rows[i].text), &err));
        assert_str(pst_secret_expose(plain), rows[i].plain);
        assert_ok(pst_secret_encode(&named, PST_STR("whsec_"), pst_str_from(rows[i].plain), &err));
        assert_true(pst_str_starts(pst_secret_expose(named), PST_STR("whsec_")));
        assert_str(pst_str_sub(pst_secret_expose(named), 6, 100), rows[i].text);
    }
}

static void what_is_no_base64_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Z",    "Zg",   "Zg=",       "=",         "==",       "===",   "====",
        "Zh==", "Zm9=", "Zm9 v",     "Zm9vYg= =", "Zm9v\n",   "Zm9v=", "Zg==Zg==",
        "Zm-v", "Zm_v", "Zm9v Zm9v", "Zm9vé",     "Zm9vZ===",
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(texts); i++) {
        PST_AUTO(secret) struct pst_secret *plain = NULL;
        if (pst_secret_decode(&plain, pst_str_from(texts[i]), &err) != PST_E_INVALID)
            fail_msg("'%s' was taken", texts[i]);
    }
}

static void no_memory_is_a_result(void **state)
{
    (void)state;
    struct pst_err err;
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(secret) struct pst_secret *one = NULL;
        PST_AUTO(secret) struct pst_secret *two = NULL;
        PST_AUTO(secret) struct pst_secret *three = NULL;
        PST_AUTO(secret) struct pst_secret *four = NULL;
        pst_code codes[] = {pst_secret_random(&one, 16, &err),
                            pst_secret_encode(&two, PST_STR("a"), PST_STR("b"), &err),
                            pst_secret_decode(&three, PST_STR("Zm9v"), &err),
                            pst_ed25519_new(&four, &err)};
        for (size_t k = 0; k < PST_COUNT(codes); k++)
            assert_true(codes[k] == PST_OK || codes[k] == PST_E_NO_MEMORY);
    }
}

int main(void)
{
    struct pst_err err;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_message_gets_its_signature),
        cmocka_unit_test(a_key_whose_halves_do_not_fit_is_none),
        cmocka_unit_test(new_keys_are_whole_and_differ),
        cmocka_unit_test(random_secrets_have_their_length_and_differ),
        cmocka_unit_test(text_and_bytes_are_each_others_base64),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(no_memory_is_a_result),
    };
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
