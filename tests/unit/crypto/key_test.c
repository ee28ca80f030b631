/* Keys in memory and in their file. */
#include "tests/unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "os/file.h"

static const char sample[] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="; /* 0123...cdef twice */

static void a_key_is_read_from_text(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(key) struct pst_key *a = NULL;
    PST_AUTO(key) struct pst_key *b = NULL;
    assert_ok(pst_key_from_text(&a, pst_str_from(sample), &err));
    assert_ok(
        pst_key_from_text(&b, PST_STR(" MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\r\n"), &err));
    assert_string_equal(pst_key_id(a), pst_key_id(b));
    assert_int_equal(strlen(pst_key_id(a)), PST_KEY_ID_TEXT - 1);
}

static void what_is_not_32_bytes_of_base64_is_no_key(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "short",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZQ==", /* 31 bytes */
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZW==", /* bits behind them */
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYw", /* 33 bytes */
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk*WY=",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMj M0NTY3ODlhYmNkZW=",
    };
    struct pst_err err;
    struct pst_key *key = NULL;
    for (size_t i = 0; i < PST_COUNT(bad); i++) {
        assert_code(pst_key_from_text(&key, pst_str_from(bad[i]), &err), PST_E_INVALID);
        assert_true(bad[i][0] == '\0' || strstr(err.msg, bad[i]) == NULL);
    }
}

static void the_first_start_makes_a_private_key_file_and_the_second_reads_it(void **state)
{
    (void)state;
    struct pst_err err;
    char dir[] = "/tmp/pst_key_test_XXXXXX";
    char path[64];
    PST_AUTO(key) struct pst_key *first = NULL;
    PST_AUTO(key) struct pst_key *second = NULL;
    struct pst_key *none = NULL;
    struct pst_file_info info;
    bool created = false;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/root.key", dir);
    assert_code(pst_key_load(&none, path, &err), PST_E_NOT_FOUND);
    assert_ok(pst_key_load_or_create(&first, path, &created, &err));
    assert_true(created);
    assert_ok(pst_file_stat(path, &info, &err));
    assert_int_equal(info.mode, 0600);
    assert_int_equal(info.size, 45);
    assert_ok(pst_key_load_or_create(&second, path, &created, &err));
    assert_false(created);
    assert_string_equal(pst_key_id(first), pst_key_id(second));
    assert_code(pst_key_save(first, path, &err), PST_E_CONFLICT);

    assert_int_equal(chmod(path, 0640), 0);
    assert_code(pst_key_load(&none, path, &err), PST_E_DENIED);
    assert_ok(pst_file_write(path, PST_STR("not a key"), 0600, &err));
    assert_code(pst_key_load_or_create(&none, path, &created, &err), PST_E_INVALID);
    assert_non_null(strstr(err.msg, path));
    char big[300];
    memset(big, 'A', sizeof(big));
    assert_ok(pst_file_write(path, (pst_str){big, sizeof(big)}, 0600, &err));
    assert_code(pst_key_load(&none, path, &err), PST_E_LIMIT);
    (void)unlink(path);
    (void)rmdir(dir);
    assert_code(pst_key_load_or_create(&none, path, &created, &err), PST_E_NOT_FOUND);
    assert_null(none);
}

static void generated_keys_differ(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(key) struct pst_key *a = NULL;
    PST_AUTO(key) struct pst_key *b = NULL;
    assert_ok(pst_key_generate(&a, &err));
    assert_ok(pst_key_generate(&b, &err));
    assert_string_not_equal(pst_key_id(a), pst_key_id(b));
}

/* The library cannot start where the kernel gives no randomness; the linker puts this in front. */
static bool sodium_starts = true;
int __real_sodium_init(void);
int __wrap_sodium_init(void);
int __wrap_sodium_init(void)
{
    return sodium_starts ? __real_sodium_init() : -1;
}

static void a_library_that_cannot_start_is_an_error(void **state)
{
    (void)state;
    struct pst_err err;
    sodium_starts = false;
    assert_code(pst_crypto_init(&err), PST_E_INTERNAL);
    sodium_starts = true;
    assert_ok(pst_crypto_init(&err));
}

static void keys_and_secrets_survive_every_allocation_fault(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    char dir[] = "/tmp/pst_key_test_XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/root.key", dir);
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        PST_AUTO(key) struct pst_key *made = NULL;
        PST_AUTO(key) struct pst_key *read = NULL;
        PST_AUTO(secret) struct pst_secret *secret = NULL;
        bool created = false;
        (void)unlink(path);
        pst_code rc = pst_key_load_or_create(&made, path, &created, &err);
        if (rc == PST_OK)
            rc = pst_key_load_or_create(&read, path, &created, &err);
        if (rc == PST_OK)
            rc = pst_secret_new(&secret, PST_STR("x"), &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
        if (rc == PST_OK)
            assert_string_equal(pst_key_id(made), pst_key_id(read));
    }
    (void)unlink(path);
    (void)rmdir(dir);
    assert_int_equal(pst_alloc_live(), live);
}

static void a_secret_holds_its_bytes_up_to_the_limit(void **state)
{
    (void)state;
    struct pst_err err;
    for (size_t len = 0; len < 70; len++) {
        char bytes[70];
        PST_AUTO(secret) struct pst_secret *s = NULL;
        memset(bytes, 's', sizeof(bytes));
        assert_ok(pst_secret_new(&s, (pst_str){bytes, len}, &err));
        pst_wipe(bytes, sizeof(bytes));
        assert_int_equal(bytes[69], 0);
        pst_str got = pst_secret_expose(s);
        assert_int_equal(got.len, len);
        assert_int_equal(strlen(got.ptr), len);
    }
    struct pst_secret *none = NULL;
    char *big = pst_malloc(PST_SECRET_MAX + 1);
    memset(big, 'b', PST_SECRET_MAX + 1);
    assert_code(pst_secret_new(&none, (pst_str){big, PST_SECRET_MAX + 1}, &err), PST_E_LIMIT);
    assert_ok(pst_secret_new(&none, (pst_str){big, PST_SECRET_MAX}, &err));
    pst_secret_free(none);
    pst_secret_free(NULL);
    pst_free(big);
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_read_from_text),
        cmocka_unit_test(what_is_not_32_bytes_of_base64_is_no_key),
        cmocka_unit_test(the_first_start_makes_a_private_key_file_and_the_second_reads_it),
        cmocka_unit_test(generated_keys_differ),
        cmocka_unit_test(a_library_that_cannot_start_is_an_error),
        cmocka_unit_test(keys_and_secrets_survive_every_allocation_fault),
        cmocka_unit_test(a_secret_holds_its_bytes_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
