/* API keys and connection tokens. */
#include "tests/unit/test.h"

#include "crypto/crypto.h"

static void a_new_token_has_its_shape_and_is_recognised(void **state)
{
    (void)state;
    static const struct {
        enum pst_token_kind kind;
        const char *prefix;
    } rows[] = {{PST_TOKEN_API_KEY, "psk_"}, {PST_TOKEN_CONNECTION, "pct_"}};
    struct pst_err err;
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        PST_AUTO(secret) struct pst_secret *text = NULL;
        struct pst_token made;
        struct pst_token read;
        uint8_t hash[PST_SHA256_BYTES];
        assert_ok(pst_token_new(rows[i].kind, &made, &text, &err));
        pst_str t = pst_secret_expose(text);
        assert_int_equal(t.len, PST_TOKEN_LEN);
        assert_memory_equal(t.ptr, rows[i].prefix, 4);
        assert_true(pst_token_parse(&read, t));
        assert_int_equal(read.kind, rows[i].kind);
        assert_true(pst_token_matches(&read, made.hash));
        pst_sha256(hash, t);
        assert_memory_equal(hash, made.hash, sizeof(hash));
        assert_int_equal(strlen(made.hint), PST_TOKEN_HINT);
        assert_memory_equal(made.hint, t.ptr, PST_TOKEN_HINT);
    }
}

static void two_tokens_differ(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *one = NULL;
    PST_AUTO(secret) struct pst_secret *two = NULL;
    struct pst_token a;
    struct pst_token b;
    assert_ok(pst_token_new(PST_TOKEN_API_KEY, &a, &one, &err));
    assert_ok(pst_token_new(PST_TOKEN_API_KEY, &b, &two, &err));
    assert_false(pst_token_matches(&a, b.hash));
}

static void any_changed_character_is_noticed(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(secret) struct pst_secret *secret = NULL;
    struct pst_token token;
    char text[PST_TOKEN_LEN + 2];
    assert_ok(pst_token_new(PST_TOKEN_API_KEY, &token, &secret, &err));
    pst_str t = pst_secret_expose(secret);
    for (size_t i = 0; i < t.len; i++) {
        memcpy(text, t.ptr, t.len);
        text[i] = text[i] == '7' ? '8' : '7';
        assert_false(pst_token_parse(&token, (pst_str){text, t.len}));
        text[i] = 'u'; /* not in the alphabet */
        assert_false(pst_token_parse(&token, (pst_str){text, t.len}));
        text[i] = '\0';
        assert_false(pst_token_parse(&token, (pst_str){text, t.len}));
    }
    memcpy(text, t.ptr, t.len);
    text[t.len] = '0';
    assert_true(pst_token_parse(&token, (pst_str){text, t.len}));
    assert_false(pst_token_parse(&token, (pst_str){text, t.len - 1}));
    assert_false(pst_token_parse(&token, (pst_str){text, t.len + 1}));
    assert_false(pst_token_parse(&token, (pst_str){0}));
    text[1] = 'c';
    text[2] = 't'; /* another kind's prefix has another checksum */
    assert_false(pst_token_parse(&token, (pst_str){text, t.len}));
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_token_has_its_shape_and_is_recognised),
        cmocka_unit_test(two_tokens_differ),
        cmocka_unit_test(any_changed_character_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
