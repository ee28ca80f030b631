/* Record ids and digests, against published and independently computed values. */
#include "tests/unit/test.h"

#include "crypto/crypto.h"

static void a_record_id_is_the_same_for_ever(void **state)
{
    (void)state;
    /* Computed with Python's hashlib.blake2b(digest_size=16). */
    struct pst_id id = pst_record_id(PST_STR("conn_a"), PST_STR("items"), PST_STR("US001|0001"));
    assert_string_equal(id.text, "rec_181m95f72fmq3e379jj1dzxpjs");
    uint8_t raw[PST_ID_RAW];
    pst_record_id_raw(raw, PST_STR("conn_a"), PST_STR("items"), PST_STR("US001|0001"));
    assert_string_equal(pst_id_format("rec_", raw).text, id.text);
}

static void shifting_a_border_between_parts_gives_another_id(void **state)
{
    (void)state;
    static const pst_str rows[][3] = {
        {PST_STR_INIT("ab"), PST_STR_INIT("c"), PST_STR_INIT("d")},
        {PST_STR_INIT("a"), PST_STR_INIT("bc"), PST_STR_INIT("d")},
        {PST_STR_INIT("a"), PST_STR_INIT("b"), PST_STR_INIT("cd")},
        {PST_STR_INIT(""), PST_STR_INIT("abc"), PST_STR_INIT("d")},
        {PST_STR_INIT("abcd"), PST_STR_INIT(""), PST_STR_INIT("")},
    };
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        for (size_t j = 0; j < i; j++) {
            struct pst_id a = pst_record_id(rows[i][0], rows[i][1], rows[i][2]);
            struct pst_id b = pst_record_id(rows[j][0], rows[j][1], rows[j][2]);
            assert_string_not_equal(a.text, b.text);
        }
    }
}

static void assert_hex(const uint8_t *bytes, const char *expected)
{
    char text[2 * PST_SHA256_BYTES + 1];
    pst_hex_encode(text, bytes, PST_SHA256_BYTES);
    assert_string_equal(text, expected);
}

static void sha256_and_hmac_match_the_published_vectors(void **state)
{
    (void)state;
    uint8_t out[PST_SHA256_BYTES];
    pst_sha256(out, PST_STR("abc")); /* FIPS 180-2 */
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    pst_sha256(out, (pst_str){0});
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    pst_blake2b(out, PST_STR("abc")); /* as b2sum -l 256 says */
    assert_hex(out, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    /* RFC 4231, case 2, in one part and in three. */
    static const char expected[] =
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    pst_str whole = PST_STR("what do ya want for nothing?");
    pst_str parts[] = {PST_STR("what do ya"), PST_STR(""), PST_STR(" want for nothing?")};
    pst_hmac_sha256(out, PST_STR("Jefe"), &whole, 1);
    assert_hex(out, expected);
    pst_hmac_sha256(out, PST_STR("Jefe"), parts, 3);
    assert_hex(out, expected);
    /* RFC 4231, case 6: a key longer than a block. */
    char key[131];
    memset(key, 0xaa, sizeof(key));
    whole = PST_STR("Test Using Larger Than Block-Size Key - Hash Key First");
    pst_hmac_sha256(out, (pst_str){key, sizeof(key)}, &whole, 1);
    assert_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void comparison_looks_at_every_byte(void **state)
{
    (void)state;
    char a[33] = {0};
    char b[33] = {0};
    assert_true(pst_bytes_equal(a, b, sizeof(a)));
    assert_true(pst_bytes_equal(a, b, 0));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] = 1;
        assert_false(pst_bytes_equal(a, b, sizeof(a)));
        b[i] = 0;
    }
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_id_is_the_same_for_ever),
        cmocka_unit_test(shifting_a_border_between_parts_gives_another_id),
        cmocka_unit_test(sha256_and_hmac_match_the_published_vectors),
        cmocka_unit_test(comparison_looks_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
