/* The receiver of `webhooks listen`: what it takes and what it refuses. */
#include "tests/unit/test.h"

#include "cli/receiver.h"
#include "crypto/crypto.h"
#include "webhook/webhook.h"

static const char body[] = "{\"id\":\"evt_1\"}";
static struct pst_secret *secret, *other;

static int set_up(void **state)
{
    (void)state;
    struct pst_err err;
    assert_ok(pst_crypto_init(&err));
    assert_ok(pst_hook_secret_new(&secret, PST_SIGNING_HMAC, &err));
    assert_ok(pst_hook_secret_new(&other, PST_SIGNING_HMAC, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pst_secret_free(secret);
    pst_secret_free(other);
    return 0;
}

/* The signature of `body` by `by`, at a second, in out. */
static pst_str sign(struct pst_buf *out, const struct pst_secret *by, int64_t at_s)
{
    struct pst_err err;
    assert_ok(pst_hook_sign(out, &by, 1, PST_STR("evt_1"), at_s, pst_str_from(body), &err));
    return pst_buf_str(out);
}

static enum pst_verdict judge(const struct pst_secret *by, const char *id, const char *timestamp,
                              pst_str signature, const char *text, int64_t now_s)
{
    struct pst_err err;
    enum pst_verdict verdict;
    assert_ok(pst_receiver_judge(&verdict, by, pst_str_from(id), pst_str_from(timestamp), signature,
                                 pst_str_from(text), (pst_wall){now_s * PST_US_PER_S}, &err));
    return verdict;
}

static void what_is_signed_is_taken(void **state)
{
    (void)state;
    PST_AUTO(buf) struct pst_buf b = {.max = 1000};
    PST_AUTO(buf) struct pst_buf list = {.max = 1000};
    pst_str signature = sign(&b, secret, 1000);
    assert_int_equal(judge(secret, "evt_1", "1000", signature, body, 1000), PST_VERDICT_OK);
    pst_buf_addf(&list, "v1,AAAA %.*s v1a,BBBB", PST_STR_ARG(signature));
    assert_int_equal(judge(secret, "evt_1", "1000", pst_buf_str(&list), body, 1000),
                     PST_VERDICT_OK);
}

static void five_minutes_are_the_tolerance(void **state)
{
    (void)state;
    PST_AUTO(buf) struct pst_buf b = {.max = 1000};
    pst_str signature = sign(&b, secret, 1000);
    assert_int_equal(judge(secret, "evt_1", "1000", signature, body, 1300), PST_VERDICT_OK);
    assert_int_equal(judge(secret, "evt_1", "1000", signature, body, 700), PST_VERDICT_OK);
    assert_int_equal(judge(secret, "evt_1", "1000", signature, body, 1301), PST_VERDICT_STALE);
    assert_int_equal(judge(secret, "evt_1", "1000", signature, body, 699), PST_VERDICT_STALE);
}

static void what_was_changed_is_forged(void **state)
{
    (void)state;
    PST_AUTO(buf) struct pst_buf b = {.max = 1000};
    pst_str signature = sign(&b, secret, 1000);
    assert_int_equal(judge(other, "evt_1", "1000", signature, body, 1000), PST_VERDICT_FORGED);
    assert_int_equal(judge(secret, "evt_2", "1000", signature, body, 1000), PST_VERDICT_FORGED);
    assert_int_equal(judge(secret, "evt_1", "1001", signature, body, 1000), PST_VERDICT_FORGED);
    assert_int_equal(judge(secret, "evt_1", "1000", signature, "{}", 1000), PST_VERDICT_FORGED);
    assert_int_equal(
        judge(secret, "evt_1", "1000", pst_str_sub(signature, 0, signature.len - 1), body, 1000),
        PST_VERDICT_FORGED);
    /* A wrong signature is worse than a wrong time. */
    assert_int_equal(judge(other, "evt_1", "1000", signature, body, 9000), PST_VERDICT_FORGED);
}

static void what_lacks_a_header_is_not_signed(void **state)
{
    (void)state;
    PST_AUTO(buf) struct pst_buf b = {.max = 1000};
    pst_str signature = sign(&b, secret, 1000);
    static const char *const times[] = {"", "now", "-1", "1000.0", "99999999999999999999"};
    assert_int_equal(judge(secret, "", "1000", signature, body, 1000), PST_VERDICT_UNSIGNED);
    assert_int_equal(judge(secret, "evt_1", "1000", PST_STR(""), body, 1000), PST_VERDICT_UNSIGNED);
    for (size_t i = 0; i < PST_COUNT(times); i++)
        assert_int_equal(judge(secret, "evt_1", times[i], signature, body, 1000),
                         PST_VERDICT_UNSIGNED);
}

static void without_a_secret_nothing_is_checked(void **state)
{
    (void)state;
    assert_int_equal(judge(NULL, "", "", PST_STR(""), "", 0), PST_VERDICT_UNCHECKED);
    for (int v = PST_VERDICT_OK; v <= PST_VERDICT_FORGED; v++)
        assert_true(strlen(pst_verdict_name((enum pst_verdict)v)) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_is_taken),
        cmocka_unit_test(five_minutes_are_the_tolerance),
        cmocka_unit_test(what_was_changed_is_forged),
        cmocka_unit_test(what_lacks_a_header_is_not_signed),
        cmocka_unit_test(without_a_secret_nothing_is_checked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
