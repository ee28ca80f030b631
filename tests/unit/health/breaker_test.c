/* tests/unit/health/breaker_test.c: which calls may be made, in virtual time. */
#include "../test.h"

#include "base/cleanup.h"
#include "health/health.h"

static const char HOST[] = "http://a.example:80";

static pst_mono at_ms(int64_t ms)
{
    return (pst_mono){ms * PST_NS_PER_MS};
}

/* The calls under way (a trial rather than what overlaps it), by the last letter of the
 * connection's name. */
static struct pst_breaker_call under_way[26];

static struct pst_breaker_call *call_of(const char *connection)
{
    struct pst_breaker_call *call = &under_way[connection[strlen(connection) - 1] - 'a'];
    call->origin = HOST;
    call->connection = pst_str_from(connection);
    return call;
}

static enum pst_admission admit(struct pst_breakers *b, const char *connection, int64_t ms,
                                enum pst_trial trial)
{
    struct pst_err err;
    enum pst_admission out = PST_ADMIT_NOT_NOW;
    struct pst_breaker_call call = *call_of(connection);
    call.trial = trial;
    call.began = at_ms(ms);
    call.is_trial = call.is_of_origin = false;
    assert_ok(pst_breakers_admit(b, at_ms(ms), &call, &out, &err));
    if (out == PST_ADMIT && !call_of(connection)->is_trial)
        *call_of(connection) = call;
    return out;
}

/* A call that began at began_ms, if it was not admitted before, ended at ms. */
static void ended_at(struct pst_breakers *b, const char *connection, int64_t began_ms, int64_t ms,
                     int outcome)
{
    struct pst_breaker_call *call = call_of(connection);
    call->began = at_ms(began_ms);
    pst_breakers_ended(b, at_ms(ms), call, outcome < 0, outcome > 0);
    *call = (struct pst_breaker_call){0};
}

static void ended(struct pst_breakers *b, const char *connection, int64_t ms, int outcome)
{
    ended_at(b, connection, ms, ms, outcome);
}

static void an_origin_is_away_when_several_connections_found_it_so(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_breakers *b = NULL;
    assert_ok(pst_breakers_new(&b, 3, &err));
    for (int i = 0; i < 10; i++)
        ended(b, "conn_a", i * 3000, -1);
    assert_false(pst_breakers_is_away(b, HOST)); /* its own trouble, perhaps */
    assert_int_equal(admit(b, "conn_b", 30000, PST_TRIAL_NONE), PST_ADMIT);
    ended(b, "conn_b", 30000, -1);
    assert_true(pst_breakers_is_away(b, HOST));
    assert_int_equal(admit(b, "conn_c", 30000, PST_TRIAL_NONE), PST_ADMIT_NOT_ORIGIN);
    ended(b, "conn_a", 30000, 0); /* neither up nor down */
    assert_true(pst_breakers_is_away(b, HOST));
    ended(b, "conn_a", 30000, 1);
    assert_false(pst_breakers_is_away(b, HOST));
    assert_int_equal(admit(b, "conn_c", 30000, PST_TRIAL_NONE), PST_ADMIT);
    assert_int_equal(pst_breakers_count(b), 0);
    /* An answer in between begins the count anew. */
    ended(b, "conn_a", 40000, -1);
    ended(b, "conn_b", 43000, -1);
    ended(b, "conn_b", 44000, 1);
    ended(b, "conn_a", 46000, -1);
    assert_false(pst_breakers_is_away(b, HOST));
    pst_breakers_free(b);
    pst_breakers_free(NULL);
}

static void a_moment_of_weakness_counts_once(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"conn_a", "conn_b", "conn_c", "conn_d"};
    struct pst_err err;
    struct pst_breakers *b = NULL;
    assert_ok(pst_breakers_new(&b, 3, &err));
    /* Many at once, and one after the other for two seconds, as on a busy host. */
    for (int ms = 0; ms < 2000; ms += 10)
        ended_at(b, NAMES[ms / 10 % 4], ms, ms + 5, -1);
    assert_false(pst_breakers_is_away(b, HOST));
    /* Calls that were all sent into the silence are one failure, however long it lasted. */
    ended_at(b, "conn_b", 2005, 60000, -1);
    ended_at(b, "conn_c", 2006, 70000, -1);
    ended_at(b, "conn_d", 61999, 80000, -1);
    assert_false(pst_breakers_is_away(b, HOST));
    ended_at(b, "conn_a", 62000, 80000, -1);
    assert_true(pst_breakers_is_away(b, HOST));
    ended(b, "conn_a", 80000, 1);
    assert_int_equal(pst_breakers_count(b), 0);
    pst_breakers_free(b);
}

static void one_trial_at_a_time_is_let_through(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_breakers *b = NULL;
    assert_ok(pst_breakers_new(&b, 3, &err));
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_a"), "away", &err));
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_b"), "away", &err));
    assert_true(pst_breakers_is_away(b, HOST));
    assert_string_equal(pst_breakers_reason(b, PST_STR("conn_a")), "away");
    assert_string_equal(pst_breakers_reason(b, PST_STR("conn_z")), "");
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_PROBE), PST_ADMIT);
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_PROBE), PST_ADMIT_NOT_NOW);
    assert_int_equal(admit(b, "conn_b", 0, PST_TRIAL_EARLY), PST_ADMIT_NOT_NOW);
    ended(b, "conn_a", 0, -1);
    assert_int_equal(admit(b, "conn_b", 10, PST_TRIAL_EARLY), PST_ADMIT);
    ended(b, "conn_b", 10, -1);
    /* Who asks again and again is let through every five seconds; a probe that is due always. */
    assert_int_equal(admit(b, "conn_b", 5009, PST_TRIAL_EARLY), PST_ADMIT_NOT_NOW);
    assert_int_equal(admit(b, "conn_b", 5009, PST_TRIAL_PROBE), PST_ADMIT);
    ended(b, "conn_b", 5009, -1);
    assert_int_equal(admit(b, "conn_b", 10009, PST_TRIAL_EARLY), PST_ADMIT);
    ended(b, "conn_b", 20000, 1);
    /* The host is back; each connection is offline until it has answered itself. */
    assert_false(pst_breakers_is_away(b, HOST));
    assert_int_equal(admit(b, "conn_a", 20000, PST_TRIAL_NONE), PST_ADMIT_NOT_CONNECTION);
    assert_int_equal(admit(b, "conn_a", 20000, PST_TRIAL_PROBE), PST_ADMIT);
    ended(b, "conn_a", 20000, 1);
    assert_ok(pst_breakers_set(b, PST_STR("conn_a"), false, "why", &err));
    assert_int_equal(admit(b, "conn_a", 20000, PST_TRIAL_NONE), PST_ADMIT);
    assert_ok(pst_breakers_set(b, PST_STR("conn_b"), false, "why", &err));
    assert_ok(pst_breakers_set(b, PST_STR("conn_z"), false, "why", &err));
    assert_int_equal(pst_breakers_count(b), 0);
    /* 502 and foreign pages are the connection's alone. */
    assert_ok(pst_breakers_restore(b, "", PST_STR("conn_a"), "away", &err));
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_NONE), PST_ADMIT_NOT_CONNECTION);
    assert_int_equal(admit(b, "conn_b", 0, PST_TRIAL_NONE), PST_ADMIT);
    pst_breakers_free(b);
}

static void a_trial_of_what_is_well_leaves_nothing_behind(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_breakers *b = NULL;
    assert_ok(pst_breakers_new(&b, 3, &err));
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_EARLY), PST_ADMIT);
    ended(b, "conn_a", 20000, 1);
    assert_int_equal(pst_breakers_count(b), 0);
    /* A test of what is online, at a host that is away. */
    ended(b, "conn_x", 20000, -1);
    ended(b, "conn_y", 23000, -1);
    ended(b, "conn_y", 26000, -1);
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_EARLY), PST_ADMIT);
    ended(b, "conn_a", 20000, -1);
    assert_int_equal(pst_breakers_count(b), 1); /* the host */
    pst_breakers_free(b);
}

static void calls_that_overlap_a_trial_do_not_end_it(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_breakers *b = NULL;
    assert_ok(pst_breakers_new(&b, 3, &err));
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_a"), "away", &err));
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_b"), "away", &err));
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_PROBE), PST_ADMIT);
    ended(b, "conn_c", 20000, 1); /* it was under way before */
    assert_false(pst_breakers_is_away(b, HOST));
    assert_ok(pst_breakers_set(b, PST_STR("conn_a"), false, "why", &err));
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_NONE), PST_ADMIT);
    ended(b, "conn_a", 20000, 1);
    assert_ok(pst_breakers_set(b, PST_STR("conn_b"), false, "why", &err));
    assert_int_equal(pst_breakers_count(b), 0);
    /* A test that began before its connection went offline, at a host that has its troubles. */
    ended(b, "conn_x", 20000, -1);
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_EARLY), PST_ADMIT);
    assert_ok(pst_breakers_set(b, PST_STR("conn_a"), true, "why", &err));
    ended(b, "conn_a", 20000, 0);
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_PROBE), PST_ADMIT);
    ended(b, "conn_a", 20000, 0);
    pst_breakers_free(b);
}

static void who_was_let_through_before_ends_no_trial(void **state)
{
    (void)state;
    struct pst_err err;
    enum pst_admission out = PST_ADMIT;
    struct pst_breakers *b = NULL;
    assert_ok(pst_breakers_new(&b, 3, &err));
    /* A test of what was well, and one of what was offline, before the origin went away. */
    struct pst_breaker_call well = {
        .origin = HOST, .connection = PST_STR("conn_a"), .trial = PST_TRIAL_EARLY};
    struct pst_breaker_call lost = {
        .origin = HOST, .connection = PST_STR("conn_b"), .trial = PST_TRIAL_EARLY};
    assert_ok(pst_breakers_set(b, PST_STR("conn_b"), true, "why", &err));
    assert_ok(pst_breakers_admit(b, at_ms(0), &well, &out, &err));
    assert_ok(pst_breakers_admit(b, at_ms(0), &lost, &out, &err));
    assert_true(!well.is_trial && lost.is_trial && !lost.is_of_origin);
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_c"), "away", &err));
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_d"), "away", &err));
    assert_int_equal(admit(b, "conn_c", 0, PST_TRIAL_PROBE), PST_ADMIT);
    pst_breakers_ended(b, at_ms(0), &well, false, false);
    pst_breakers_ended(b, at_ms(0), &lost, false, false);
    assert_int_equal(admit(b, "conn_d", 0, PST_TRIAL_PROBE), PST_ADMIT_NOT_NOW);
    ended(b, "conn_c", 0, 0);
    assert_int_equal(admit(b, "conn_d", 0, PST_TRIAL_PROBE), PST_ADMIT);
    pst_breakers_free(b);
}

static void what_was_admitted_is_asked_again_after_a_wait(void **state)
{
    (void)state;
    struct pst_err err;
    enum pst_admission out = PST_ADMIT;
    struct pst_breakers *b = NULL;
    assert_ok(pst_breakers_new(&b, 3, &err));
    struct pst_breaker_call plain = {.origin = HOST, .connection = PST_STR("conn_a")};
    struct pst_breaker_call trial = {
        .origin = HOST, .connection = PST_STR("conn_b"), .trial = PST_TRIAL_PROBE};
    struct pst_breaker_call other = {
        .origin = HOST, .connection = PST_STR("conn_c"), .trial = PST_TRIAL_PROBE};
    assert_ok(pst_breakers_set(b, PST_STR("conn_b"), true, "why", &err));
    assert_ok(pst_breakers_set(b, PST_STR("conn_c"), true, "why", &err));
    assert_ok(pst_breakers_admit(b, at_ms(0), &plain, &out, &err));
    assert_ok(pst_breakers_admit(b, at_ms(0), &trial, &out, &err));
    assert_ok(pst_breakers_admit(b, at_ms(0), &other, &out, &err));
    assert_int_equal(out, PST_ADMIT);
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_d"), "away", &err));
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_e"), "away", &err));
    assert_ok(pst_breakers_admit(b, at_ms(1), &plain, &out, &err));
    assert_int_equal(out, PST_ADMIT_NOT_ORIGIN);
    for (int i = 0; i < 2; i++) { /* the trial goes on, as the origin's */
        assert_ok(pst_breakers_admit(b, at_ms(1), &trial, &out, &err));
        assert_int_equal(out, PST_ADMIT);
        assert_true(trial.is_trial && trial.is_of_origin);
    }
    assert_ok(pst_breakers_admit(b, at_ms(1), &other, &out, &err));
    assert_int_equal(out, PST_ADMIT_NOT_NOW);
    pst_breakers_ended(b, at_ms(2), &plain, false, false);
    pst_breakers_ended(b, at_ms(2), &other, false, false);
    assert_int_equal(admit(b, "conn_d", 2, PST_TRIAL_PROBE), PST_ADMIT_NOT_NOW);
    pst_breakers_ended(b, at_ms(2), &trial, false, true);
    assert_false(pst_breakers_is_away(b, HOST));
    pst_breakers_free(b);
}

static pst_code use_breakers(struct pst_breakers *b, struct pst_err *err)
{
    enum pst_admission out;
    struct pst_breaker_call call = {
        .origin = HOST, .connection = PST_STR("conn_c"), .trial = PST_TRIAL_EARLY};
    pst_code rc = pst_breakers_restore(b, HOST, PST_STR("conn_a"), "away", err);
    if (rc == PST_OK)
        rc = pst_breakers_restore(b, HOST, PST_STR("conn_b"), "away", err);
    if (rc == PST_OK)
        rc = pst_breakers_admit(b, at_ms(0), &call, &out, err);
    return rc;
}

static void breakers_without_memory_let_calls_through(void **state)
{
    (void)state;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        struct pst_breakers *b = NULL;
        int64_t live = pst_alloc_live();
        pst_code rc = pst_breakers_new(&b, 3, &err);
        if (rc == PST_OK)
            rc = use_breakers(b, &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        if (rc == PST_OK) {
            const struct pst_breaker_call call = {.origin = "http://b:80",
                                                  .connection = PST_STR("conn_d")};
            pst_breakers_ended(b, at_ms(0), &call, true, false);
            assert_false(pst_breakers_is_away(b, "http://b:80"));
        }
        pst_breakers_free(b);
        assert_int_equal(pst_alloc_live(), live);
    }
}

static void a_trial_that_finds_another_under_way_tells_who_did_not_know(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_breakers *b = NULL;
    assert_ok(pst_breakers_new(&b, 3, &err));
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_a"), "away", &err));
    assert_ok(pst_breakers_restore(b, HOST, PST_STR("conn_b"), "away", &err));
    assert_int_equal(admit(b, "conn_a", 0, PST_TRIAL_PROBE), PST_ADMIT);
    assert_int_equal(admit(b, "conn_b", 0, PST_TRIAL_EARLY), PST_ADMIT_NOT_NOW);
    assert_int_equal(admit(b, "conn_c", 0, PST_TRIAL_EARLY), PST_ADMIT_NOT_ORIGIN);
    assert_int_equal(pst_breakers_count(b), 3); /* nothing of conn_c */
    ended(b, "conn_a", 0, -1);
    assert_int_equal(admit(b, "conn_c", 0, PST_TRIAL_EARLY), PST_ADMIT);
    assert_int_equal(admit(b, "conn_c", 0, PST_TRIAL_EARLY), PST_ADMIT_NOT_NOW); /* its own */
    ended(b, "conn_c", 0, -1);
    pst_breakers_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_away_when_several_connections_found_it_so),
        cmocka_unit_test(a_moment_of_weakness_counts_once),
        cmocka_unit_test(one_trial_at_a_time_is_let_through),
        cmocka_unit_test(who_was_let_through_before_ends_no_trial),
        cmocka_unit_test(what_was_admitted_is_asked_again_after_a_wait),
        cmocka_unit_test(a_trial_that_finds_another_under_way_tells_who_did_not_know),
        cmocka_unit_test(a_trial_of_what_is_well_leaves_nothing_behind),
        cmocka_unit_test(calls_that_overlap_a_trial_do_not_end_it),
        cmocka_unit_test(breakers_without_memory_let_calls_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
