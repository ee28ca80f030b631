/* tests/unit/webhook/sign_test.c: secrets and signatures, against the example of the Standard
 * Webhooks specification and values made by other programs. */
#include "codec/base64.h"
#include "tests/unit/test.h"
#include "webhook/internal.h"

static const char hmac_secret[] = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
static const char key_secret[] =
    "whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs9QBfD6EOJWpK3CqdNG368nJgszy7ElozAzVXxKvRmDA==";
static const char key_public[] = "whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

static struct pst_secret *secret(const char *text)
{
    struct pst_secret *s = NULL;
    struct pst_err err;
    assert_ok(pst_secret_new(&s, pst_str_from(text), &err));
    return s;
}

/* Signature by hand: HMAC-SHA256 of openssl's command line over the same bytes. */
static void known_content_gets_its_signature(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *one = secret(hmac_secret);
    PST_AUTO(buf) struct pst_buf out = {.max = 1000};
    const struct pst_secret *const all[] = {one};
    assert_ok(pst_hook_sign(&out, all, 1, PST_STR("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"), 1649367553,
                            PST_STR("{\"email\":\"test@example.com\",\"username\":\"test_user\"}"),
                            &err));
    assert_str(pst_buf_str(&out), "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
}

/* Whether value is "v1a," and a signature of the known key's: made again here from the whole. */
static void check_ed25519(pst_str value, const char *content)
{
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *raw = NULL;
    PST_AUTO(buf) struct pst_buf out = {.max = 1000};
    uint8_t signature[PST_ED25519_SIGNATURE];
    assert_ok(pst_secret_decode(&raw, pst_str_from(key_secret + 5), &err));
    pst_ed25519_sign(signature, raw, pst_str_from(content));
    pst_buf_add_lit(&out, "v1a,");
    pst_base64_encode(&out, PST_BASE64, (pst_str){(char *)signature, sizeof(signature)});
    assert_true(pst_str_eq(value, pst_buf_str(&out)));
}

static void each_secret_signs_in_its_own_way(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *one = secret(hmac_secret);
    PST_AUTO(secret) struct pst_secret *two = secret(key_secret);
    PST_AUTO(buf) struct pst_buf out = {.max = 1000};
    const struct pst_secret *const all[] = {two, one};
    assert_ok(pst_hook_sign(&out, all, 2, PST_STR("evt_1"), 17, PST_STR("{}"), &err));
    pst_str rest = pst_buf_str(&out);
    check_ed25519(pst_str_split(&rest, ' '), "evt_1.17.{}");
    assert_true(pst_str_starts(rest, PST_STR("v1,")));
    assert_int_equal(rest.len, 3 + 44);
}

static void a_new_secret_is_one_and_has_a_public_key(void **state)
{
    (void)state;
    struct pst_err err;
    char public_key[PST_HOOK_PUBLIC_KEY];
    const enum pst_endpoint_signing kinds[] = {PST_SIGNING_HMAC, PST_SIGNING_ED25519};
    for (size_t i = 0; i < PST_COUNT(kinds); i++) {
        PST_AUTO(secret) struct pst_secret *made = NULL;
        assert_ok(pst_hook_secret_new(&made, kinds[i], &err));
        pst_str text = pst_secret_expose(made);
        assert_ok(pst_hook_secret_check(text, kinds[i], &err));
        assert_code(pst_hook_secret_check(text, kinds[1 - i], &err), PST_E_INVALID);
        assert_int_equal(text.len, i == 0 ? 6 + 44 : 5 + 88);
        if (i == 1)
            assert_ok(pst_hook_public_key(public_key, text, &err));
        else
            assert_code(pst_hook_public_key(public_key, text, &err), PST_E_INVALID);
    }
    assert_ok(pst_hook_public_key(public_key, pst_str_from(key_secret), &err));
    assert_string_equal(public_key, key_public);
}

static void secrets_of_another_shape_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pst_endpoint_signing signing;
        const char *words;
    } rows[] = {
        {"", PST_SIGNING_HMAC, "begins with whsec_"},
        {"C2FVsBQIhrscChlQIMV+b5sSYspob7oD", PST_SIGNING_HMAC, "begins with whsec_"},
        {key_secret, PST_SIGNING_HMAC, "begins with whsec_"},
        {hmac_secret, PST_SIGNING_ED25519, "begins with whsk_"},
        {"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7o=", PST_SIGNING_HMAC, "24 to 64 bytes"},
        {"whsec_C2FVsBQIhrscChlQIMV-b5sSYspob7oD", PST_SIGNING_HMAC, "no base 64"},
        {"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7o", PST_SIGNING_HMAC, "no base 64"},
        {"whsk_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", PST_SIGNING_ED25519, "seed and its public"},
    };
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        assert_code(pst_hook_secret_check(pst_str_from(rows[i].text), rows[i].signing, &err),
                    PST_E_INVALID);
        assert_non_null(strstr(err.msg, rows[i].words));
        assert_string_equal(err.param, "secret");
    }
}

/* 24 and 64 bytes are taken, 23 and 65 are not. */
static void both_ends_of_a_secrets_length(void **state)
{
    (void)state;
    struct pst_err err;
    const char raw[66] = {7};
    for (size_t len = 22; len <= 66; len++) {
        PST_AUTO(secret) struct pst_secret *text = NULL;
        assert_ok(pst_secret_encode(&text, PST_STR("whsec_"), (pst_str){raw, len}, &err));
        pst_code code = pst_hook_secret_check(pst_secret_expose(text), PST_SIGNING_HMAC, &err);
        assert_int_equal(code == PST_OK, len >= 24 && len <= 64);
    }
}

static void a_secret_signs_until_its_time_is_over(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_hook_keys keys;
    char json[512];
    (void)snprintf(json, sizeof(json),
                   "[{\"secret\":\"%s\",\"until\":null},"
                   "{\"secret\":\"%s\",\"until\":\"2026-11-24T00:00:00Z\"}]",
                   key_secret, hmac_secret);
    pst_wall end;
    assert_true(pst_wall_parse(&end, PST_STR("2026-11-24T00:00:00Z")));
    for (int64_t offset = -1; offset <= 0; offset++) {
        PST_AUTO(buf) struct pst_buf out = {.max = 1000};
        assert_ok(pst_hook_keys_read(&keys, pst_str_from(json), &err));
        assert_int_equal(keys.count, 2);
        const pst_wall now = {end.us + offset};
        assert_ok(pst_hook_keys_sign(&out, &keys, now, PST_STR("a"), 1, PST_STR("b"), &err));
        assert_true(pst_str_starts(pst_buf_str(&out), PST_STR("v1a,")));
        assert_int_equal(pst_str_index(pst_buf_str(&out), ' ') < out.len, offset < 0);
        pst_hook_keys_drop(&keys);
        assert_int_equal(keys.count, 0);
    }
}

static void stored_secrets_that_are_damaged_are_told(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[1]",
        "[{}]",
        "[{\"secret\":1}]",
        "[{\"secret\":\"whsec_\"}]",
        "[{\"secret\":\"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\",\"until\":\"soon\"}]",
        "[{\"secret\":\"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\"},{\"secret\":\"x\"}]",
    };
    struct pst_err err;
    struct pst_hook_keys keys;
    for (size_t i = 0; i < PST_COUNT(texts); i++) {
        pst_code code = pst_hook_keys_read(&keys, pst_str_from(texts[i]), &err);
        assert_true(code == PST_E_CORRUPT || code == PST_E_INVALID);
        assert_int_equal(keys.count, 0);
    }
}

static void no_memory_is_a_result(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *one = secret(key_secret);
    const struct pst_secret *const all[] = {one};
    char json[256];
    (void)snprintf(json, sizeof(json), "[{\"secret\":\"%s\"}]", key_secret);
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(buf) struct pst_buf out = {.max = 1000};
        PST_AUTO(secret) struct pst_secret *made = NULL;
        struct pst_hook_keys keys;
        char public_key[PST_HOOK_PUBLIC_KEY];
        pst_code codes[] = {
            pst_hook_sign(&out, all, 1, PST_STR("a"), 1, PST_STR("b"), &err),
            pst_hook_secret_new(&made, PST_SIGNING_ED25519, &err),
            pst_hook_keys_read(&keys, pst_str_from(json), &err),
            pst_hook_public_key(public_key, pst_str_from(key_secret), &err),
        };
        for (size_t k = 0; k < PST_COUNT(codes); k++)
            assert_true(codes[k] == PST_OK || codes[k] == PST_E_NO_MEMORY);
        pst_hook_keys_drop(&keys);
    }
}

int main(void)
{
    struct pst_err err;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_content_gets_its_signature),
        cmocka_unit_test(each_secret_signs_in_its_own_way),
        cmocka_unit_test(a_new_secret_is_one_and_has_a_public_key),
        cmocka_unit_test(secrets_of_another_shape_are_refused_with_the_reason),
        cmocka_unit_test(both_ends_of_a_secrets_length),
        cmocka_unit_test(a_secret_signs_until_its_time_is_over),
        cmocka_unit_test(stored_secrets_that_are_damaged_are_told),
        cmocka_unit_test(no_memory_is_a_result),
    };
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
