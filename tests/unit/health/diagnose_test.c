/* tests/unit/health/diagnose_test.c: causes of all codes, and the verdict on all evidence, held
 * against rules written anew here. */
#include "../test.h"

#include "base/cleanup.h"
#include "health/diagnose.h"

static void every_code_has_a_cause_of_its_own_kind(void **state)
{
    (void)state;
    for (int i = 0; i < PST_CODE_COUNT; i++) {
        pst_code code = (pst_code)i;
        struct pst_evidence e = {.cause = pst_cause_of(code, 0, NULL)};
        struct pst_verdict v = pst_diagnose(&e);
        enum pst_scope expected = PST_SCOPE_CONNECTION;
        if (code == PST_OK)
            expected = PST_SCOPE_NONE;
        else if (pst_code_origin(code) == PST_ORIGIN_REQUEST)
            expected = code == PST_E_EGRESS ? PST_SCOPE_CONNECTION : PST_SCOPE_REQUEST;
        else if (pst_code_origin(code) == PST_ORIGIN_PENSTOCK)
            expected = code == PST_E_CANCELLED || code == PST_E_UNSUPPORTED ? PST_SCOPE_REQUEST
                       : code == PST_E_DELETE_GUARD                         ? PST_SCOPE_CONNECTION
                                                                            : PST_SCOPE_SYSTEMIC;
        else if (code == PST_E_SYSTEM || code == PST_E_SYSTEM_DENIED || code == PST_E_REJECTED ||
                 code == PST_E_OUTCOME_UNKNOWN)
            expected = PST_SCOPE_REQUEST;
        if (v.scope != expected)
            fail_msg("%s (%d): %s", pst_code_name(code), i, pst_scope_name(v.scope));
        assert_int_equal(v.reach == PST_REACH_PENSTOCK, v.scope == PST_SCOPE_SYSTEMIC);
    }
}

static void how_a_call_failed_tells_the_cause(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *fault;
        const char *cause;
    } CASES[] = {
        {0, "dns", "dns"},           {0, "connect", "connect"},   {0, "tls", "tls"},
        {0, "timeout", "timeout"},   {0, "reset", "reset"},       {0, "truncated", "reset"},
        {0, "protocol", "protocol"}, {0, NULL, "connect"},        {0, "what else", "connect"},
        {502, NULL, "proxy"},        {503, "", "unavailable"},    {504, NULL, "proxy"},
        {407, NULL, "proxy"},        {200, "truncated", "reset"},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++)
        assert_string_equal(
            pst_cause_name(pst_cause_of(PST_E_UNREACHABLE, CASES[i].status, CASES[i].fault)),
            CASES[i].cause);
    assert_string_equal(pst_cause_name(pst_cause_of(PST_E_TIMEOUT, 0, "timeout")), "timeout");
}

static void every_cause_has_words_and_is_found_by_its_name(void **state)
{
    (void)state;
    for (int i = 0; i < PST_CAUSE_COUNT; i++) {
        enum pst_cause found = PST_CAUSE_WORKED;
        const char *name = pst_cause_name((enum pst_cause)i);
        assert_true(pst_cause_find(&found, pst_str_from(name)));
        assert_int_equal(found, i);
        assert_true(strlen(name) < 24); /* what the log has room for */
        for (const char *p = name; *p; p++)
            assert_true((*p >= 'a' && *p <= 'z') || *p == '_');
        const char *const sentences[] = {pst_cause_title((enum pst_cause)i),
                                         pst_cause_advice((enum pst_cause)i)};
        for (size_t k = 0; k < PST_COUNT(sentences); k++) {
            size_t len = strlen(sentences[k]);
            assert_true(len >= 10 && sentences[k][len - 1] == '.');
        }
    }
    enum pst_cause unchanged = PST_CAUSE_DNS;
    assert_false(pst_cause_find(&unchanged, PST_STR("nothing")));
    assert_int_equal(unchanged, PST_CAUSE_DNS);
}

static void only_refused_credentials_are_a_refusal(void **state)
{
    (void)state;
    for (int i = 0; i < PST_CODE_COUNT; i++)
        assert_int_equal(pst_cause_is_refusal(pst_cause_of((pst_code)i, 0, NULL)),
                         i == PST_E_REAUTH);
    assert_false(pst_cause_is_refusal(pst_cause_of(PST_E_UNREACHABLE, 407, NULL)));
}

static void many_begins_where_it_says(void **state)
{
    (void)state;
    assert_false(pst_peers_many_of_host(&(struct pst_peers){2, 2}));
    assert_true(pst_peers_many_of_host(&(struct pst_peers){3, 3}));
    assert_true(pst_peers_many_of_host(&(struct pst_peers){6, 3}));
    assert_false(pst_peers_many_of_host(&(struct pst_peers){7, 3}));
    assert_false(pst_peers_many_of_connector(&(struct pst_peers){4, 4}, 4));
    assert_true(pst_peers_many_of_connector(&(struct pst_peers){5, 5}, 3));
    assert_false(pst_peers_many_of_connector(&(struct pst_peers){5, 5}, 2));
    assert_true(pst_peers_many_of_connector(&(struct pst_peers){10, 5}, 5));
    assert_false(pst_peers_many_of_connector(&(struct pst_peers){11, 5}, 5));
}

/* The rules of docs/diagnosis.md once more, the other way round. */
static enum pst_scope scope_anew(const struct pst_evidence *e, bool reaches, bool may_be_single)
{
    bool host = e->host.failing > 2 && e->host.failing >= e->host.seen - e->host.failing;
    bool connector = e->connector.failing > 4 && e->failing_hosts > 2 &&
                     e->connector.failing >= e->connector.seen - e->connector.failing;
    if (!reaches)
        return e->failed_operations > 2 && !e->good ? PST_SCOPE_CONNECTION : PST_SCOPE_REQUEST;
    if (host || connector)
        return PST_SCOPE_SYSTEMIC;
    return may_be_single && e->good && !e->is_failing_now ? PST_SCOPE_REQUEST
                                                          : PST_SCOPE_CONNECTION;
}

static void the_verdict_follows_from_the_evidence(void **state)
{
    (void)state;
    static const struct {
        enum pst_cause cause;
        bool reaches, may_be_single;
    } CAUSES[] = {
        {PST_CAUSE_DNS, true, false},          {PST_CAUSE_CONNECT, true, false},
        {PST_CAUSE_TLS, true, false},          {PST_CAUSE_TIMEOUT, true, true},
        {PST_CAUSE_RESET, true, true},         {PST_CAUSE_PROTOCOL, true, true},
        {PST_CAUSE_PROXY, true, false},        {PST_CAUSE_MAINTENANCE, true, false},
        {PST_CAUSE_FOREIGN_PAGE, true, false}, {PST_CAUSE_CREDENTIALS, true, false},
        {PST_CAUSE_FORBIDDEN, false, false},   {PST_CAUSE_SYSTEM_ERROR, false, false},
        {PST_CAUSE_REJECTED, false, false},    {PST_CAUSE_OUTCOME_UNKNOWN, false, false},
    };
    long looked = 0;
    for (size_t i = 0; i < PST_COUNT(CAUSES); i++) {
        for (int bits = 0; bits < 1 << 13; bits++) {
            struct pst_evidence e = {
                .cause = CAUSES[i].cause,
                .host = {bits & 7, bits & 7 ? (bits >> 3 & 7) % ((bits & 7) + 1) : 0},
                .connector = {10, bits >> 6 & 7},
                .failing_hosts = bits >> 9 & 3,
                .good = bits >> 11 & 1,
                .failed_operations = bits >> 3 & 7,
                .is_failing_now = bits >> 12 & 1,
            };
            struct pst_verdict v = pst_diagnose(&e);
            enum pst_scope expected = scope_anew(&e, CAUSES[i].reaches, CAUSES[i].may_be_single);
            if (v.scope != expected || v.cause != e.cause)
                fail_msg("%s, bits %x: %s", pst_cause_name(e.cause), (unsigned)bits,
                         pst_scope_name(v.scope));
            assert_int_equal(v.reach != PST_REACH_NONE, v.scope == PST_SCOPE_SYSTEMIC);
            looked++;
        }
    }
    assert_int_equal(looked, (long)PST_COUNT(CAUSES) << 13);
}

static void scopes_have_the_names_of_the_api(void **state)
{
    (void)state;
    assert_string_equal(pst_scope_name(PST_SCOPE_NONE), "none");
    assert_string_equal(pst_scope_name(PST_SCOPE_SYSTEMIC), "systemic");
    assert_string_equal(pst_scope_name(PST_SCOPE_CONNECTION), "connection");
    assert_string_equal(pst_scope_name(PST_SCOPE_REQUEST), "request");
    assert_string_equal(pst_reach_name(PST_REACH_PENSTOCK), "penstock");
}

static void a_connector_in_trouble_comes_before_its_hosts(void **state)
{
    (void)state;
    struct pst_evidence e = {
        .cause = PST_CAUSE_CONNECT, .host = {3, 3}, .connector = {6, 6}, .failing_hosts = 3};
    assert_string_equal(pst_reach_name(pst_diagnose(&e).reach), "connector");
    e.failing_hosts = 2;
    assert_string_equal(pst_reach_name(pst_diagnose(&e).reach), "host");
}

static void a_store_that_fails_is_the_cause_of_what_fails_meanwhile(void **state)
{
    (void)state;
    struct pst_evidence e = {.cause = PST_CAUSE_OVERLOAD, .store_is_failing = true};
    assert_int_equal(pst_diagnose(&e).cause, PST_CAUSE_STORE);
    e.cause = PST_CAUSE_DISK_FULL;
    assert_int_equal(pst_diagnose(&e).cause, PST_CAUSE_DISK_FULL);
    e = (struct pst_evidence){.cause = PST_CAUSE_OVERLOAD};
    assert_int_equal(pst_diagnose(&e).cause, PST_CAUSE_OVERLOAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_cause_of_its_own_kind),
        cmocka_unit_test(how_a_call_failed_tells_the_cause),
        cmocka_unit_test(every_cause_has_words_and_is_found_by_its_name),
        cmocka_unit_test(only_refused_credentials_are_a_refusal),
        cmocka_unit_test(many_begins_where_it_says),
        cmocka_unit_test(the_verdict_follows_from_the_evidence),
        cmocka_unit_test(scopes_have_the_names_of_the_api),
        cmocka_unit_test(a_connector_in_trouble_comes_before_its_hosts),
        cmocka_unit_test(a_store_that_fails_is_the_cause_of_what_fails_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
