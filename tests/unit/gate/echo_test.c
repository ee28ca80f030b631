/* A system that says again what it was sent: recognised in every spelling, cut off or whole. */
#include "tests/unit/test.h"

#include "crypto/crypto.h"
#include "gate/echo.h"

static int set_up(void **state)
{
    struct pst_err err;
    (void)state;
    return pst_crypto_init(&err) != PST_OK;
}

static bool echoes(const char *password, const char *text)
{
    PST_AUTO(secret) struct pst_secret *secret = NULL;
    struct pst_err err;
    assert_ok(pst_secret_new(&secret, pst_str_from(password), &err));
    const struct pst_http_request request = {.user = PST_STR("PSAPI"), .password = secret};
    return pst_gate_echoes(&request, pst_str_from(text));
}

static void every_spelling_of_the_password_is_recognised(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "correct horse",
        "User 'PSAPI' with correct horse",
        "cut off: correct",
        "orrect hor",
        "correct%20horse",
        "PSAPI%3Acorrect%20ho",
        "636f727265637420686f727365",
        "636F727265637420",
        "Y29ycmVjdCBob3JzZQ==", /* correct horse */
        "Basic UFNBUEk6Y29ycmVjdCBob3JzZQ==", /* PSAPI:correct horse */
        "YTpjb3JyZWN0IGhvcnNl", /* a:correct horse */
        "YWI6Y29ycmVjdCBob3JzZQ", /* ab:correct horse */
        "YWJjOmNvcnJlY3QgaG9yc2U=", /* abc:correct horse */
    };
    for (size_t i = 0; i < PST_COUNT(texts); i++)
        if (!echoes("correct horse", texts[i]))
            fail_msg("not recognised: %s", texts[i]);
}

static void other_words_are_not_taken_for_it(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "Not found",       "User PSAPI is unknown",
                                        "horse",    "corre ct ho rse", "UFNBUEk6",
                                        "636f7 272"};
    for (size_t i = 0; i < PST_COUNT(texts); i++)
        if (echoes("correct horse", texts[i]))
            fail_msg("taken for it: %s", texts[i]);
}

static void a_short_password_counts_as_a_whole_and_none_is_never_found(void **state)
{
    (void)state;
    assert_true(echoes("abc", "it was abc"));
    assert_false(echoes("abc", "it was ab"));
    assert_false(echoes("", "it was nothing"));
    const struct pst_http_request none = {.user = PST_STR("PSAPI")};
    assert_false(pst_gate_echoes(&none, PST_STR("anything")));
}

static void without_memory_the_text_counts_as_one_to_hide(void **state)
{
    (void)state;
    PST_AUTO(secret) struct pst_secret *secret = NULL;
    struct pst_err err;
    assert_ok(pst_secret_new(&secret, PST_STR("correct horse"), &err));
    const struct pst_http_request request = {.password = secret};
    pst_alloc_fail_at(0);
    bool found = pst_gate_echoes(&request, PST_STR("Not found"));
    pst_alloc_fail_at(-1);
    assert_true(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_the_password_is_recognised),
        cmocka_unit_test(other_words_are_not_taken_for_it),
        cmocka_unit_test(a_short_password_counts_as_a_whole_and_none_is_never_found),
        cmocka_unit_test(without_memory_the_text_counts_as_one_to_hide),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
