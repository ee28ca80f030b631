/* Limits in virtual time: both sides of each bound, against a bucket of tokens that is filled
 * drop by drop; the table of a fixed size; many threads at one key. */
#include "tests/unit/test.h"

#include "api/rate.h"
#include "os/thread.h"

static const int64_t second = PST_NS_PER_S;

static void test_as_many_as_the_quota_at_once_and_not_one_more(void **state)
{
    (void)state;
    static const int64_t quotas[] = {1, 2, 10, 59, 60, 61, 6000, 7000, 9999999, PST_RATE_QUOTA_MAX};
    for (size_t i = 0; i < PST_COUNT(quotas); i++) {
        struct pst_rate r;
        pst_mono full_at = {0};
        pst_mono now = {7 * second};
        for (int64_t left = quotas[i]; left > 0; left--) {
            assert_true(pst_rate_take(&full_at, now, quotas[i], &r));
            assert_int_equal(r.left, left - 1);
            assert_int_equal(r.quota, quotas[i]);
            assert_int_equal(r.retry_s, 0);
        }
        pst_mono before = full_at;
        assert_int_equal(r.full_s, 60);
        assert_false(pst_rate_take(&full_at, now, quotas[i], &r));
        assert_int_equal(r.left, 0);
        assert_int_equal(r.retry_s, (60 + quotas[i] - 1) / quotas[i]);
        assert_int_equal(full_at.ns, before.ns); /* a refusal costs nothing */
        /* The next unit comes after one share of the minute, not a nanosecond before. */
        int64_t unit = 60 * second / quotas[i];
        assert_false(pst_rate_take(&full_at, (pst_mono){now.ns + unit - 1}, quotas[i], &r));
        assert_true(pst_rate_take(&full_at, (pst_mono){now.ns + unit}, quotas[i], &r));
        /* And the whole quota after a minute. */
        assert_true(pst_rate_take(&full_at, (pst_mono){now.ns + 200 * second}, quotas[i], &r));
        assert_int_equal(r.left, quotas[i] - 1);
    }
}

static void test_a_quota_that_was_made_smaller_holds_at_once(void **state)
{
    (void)state;
    struct pst_rate r;
    pst_mono full_at = {0};
    pst_mono now = {second};
    for (int i = 0; i < 7; i++)
        assert_true(pst_rate_take(&full_at, now, 7, &r));
    /* 60 s less a rounding are owed, of which the new quota has only as much. */
    assert_false(pst_rate_take(&full_at, now, 1, &r));
    full_at.ns = now.ns + 100 * second;
    assert_false(pst_rate_take(&full_at, now, 2, &r));
    assert_int_equal(r.left, 0);
    assert_int_equal(r.retry_s, 70);
    assert_int_equal(r.full_s, 100);
}

/* The same as a bucket that holds tokens and is refilled as time goes by. */
struct bucket {
    int64_t unit, room, level, at;
};

static bool drop_one(struct bucket *b, int64_t now)
{
    int64_t more = now - b->at;
    b->at = now;
    b->level = b->room - b->level < more ? b->room : b->level + more;
    if (b->level < b->unit)
        return false;
    b->level -= b->unit;
    return true;
}

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void test_it_is_a_bucket_of_tokens(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252U;
    for (int round = 0; round < 400; round++) {
        int64_t quota = 1 + (int64_t)(next(&seed) % (round % 2 ? 20 : 100000));
        int64_t unit = 60 * second / quota;
        struct bucket b = {unit, unit * quota, unit * quota, 0};
        pst_mono full_at = {0};
        int64_t now = 1;
        int64_t taken = 0;
        for (int i = 0; i < 2000; i++) {
            struct pst_rate r;
            /* From many at one moment to pauses of several shares; seldom of minutes. */
            now += (int64_t)(next(&seed) % 3) * (int64_t)(next(&seed) % (uint64_t)unit);
            if (next(&seed) % 500 == 0)
                now += (int64_t)(next(&seed) % 130) * second;
            bool expected = drop_one(&b, now);
            assert_int_equal(pst_rate_take(&full_at, (pst_mono){now}, quota, &r), expected);
            assert_int_equal(r.left, b.level / unit);
            assert_int_equal(r.full_s, (b.room - b.level + second - 1) / second);
            if (!expected) {
                /* Too early by a second is refused, what was promised holds. */
                pst_mono copy = full_at;
                struct pst_rate again;
                int64_t then = now + r.retry_s * second;
                assert_true(pst_rate_take(&copy, (pst_mono){then}, quota, &again));
                assert_false(pst_rate_take(&full_at, (pst_mono){then - second}, quota, &again));
            }
            taken += expected;
            /* Never more than the quota, and what came back since. */
            assert_true(taken <= quota + now / unit);
        }
    }
}

static void test_whoever_keeps_to_the_rate_is_never_refused(void **state)
{
    (void)state;
    static const int64_t quotas[] = {1, 7, 60, 6000, 999999};
    for (size_t i = 0; i < PST_COUNT(quotas); i++) {
        pst_mono full_at = {0};
        struct pst_rate r;
        for (int64_t n = 0; n < 5000; n++)
            assert_true(pst_rate_take(&full_at, (pst_mono){1 + n * (60 * second / quotas[i])},
                                      quotas[i], &r));
    }
}

static void test_each_key_has_its_own_quota(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_rate r;
    PST_AUTO(rates) struct pst_rates *rates = NULL;
    assert_ok(pst_rates_new(&rates, &err));
    pst_mono now = {second};
    for (uint64_t key = 1; key <= 200; key++) {
        assert_true(pst_rates_take(rates, key, now, 2, &r));
        assert_true(pst_rates_take(rates, key, now, 2, &r));
        assert_false(pst_rates_take(rates, key, now, 2, &r));
    }
    for (uint64_t key = 1; key <= 200; key++)
        assert_false(pst_rates_take(rates, key, now, 2, &r));
    /* No quota: nothing is kept, and what there was is forgotten by nobody. */
    assert_true(pst_rates_take(rates, 1, now, 0, &r));
    assert_int_equal(r.quota, 0);
    assert_false(pst_rates_take(rates, 1, now, 2, &r));
}

static void test_a_flood_of_keys_takes_no_memory_and_forgives_at_most(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_rate r;
    PST_AUTO(rates) struct pst_rates *rates = NULL;
    assert_ok(pst_rates_new(&rates, &err));
    pst_mono now = {second};
    /* One key owes the most of all. */
    for (int i = 0; i < 10; i++)
        assert_true(pst_rates_take(rates, 42, now, 10, &r));
    assert_false(pst_rates_take(rates, 42, now, 10, &r));
    /* A flood of others, each of which owes little, does not wash it out. */
    for (uint64_t key = 1000; key < 1000 + 50 * PST_RATE_ENTRIES; key++)
        assert_true(pst_rates_take(rates, key, now, 10, &r));
    assert_false(pst_rates_take(rates, 42, now, 10, &r));
}

enum { THREADS = 4, TRIES = 20000, QUOTA = 30000 };
struct crowd {
    struct pst_rates *rates;
    int64_t taken;
};

static void take_many(void *arg)
{
    struct crowd *c = arg;
    struct pst_rate r;
    for (int i = 0; i < TRIES; i++)
        c->taken += pst_rates_take(c->rates, 5, (pst_mono){second}, QUOTA, &r);
}

static void test_threads_share_one_quota(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(rates) struct pst_rates *rates = NULL;
    struct crowd crowd[THREADS];
    struct pst_thread *threads[THREADS] = {NULL};
    int64_t taken = 0;
    assert_ok(pst_rates_new(&rates, &err));
    for (int i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){rates, 0};
        assert_ok(pst_thread_start(&threads[i], "taker", take_many, &crowd[i], &err));
    }
    for (int i = 0; i < THREADS; i++) {
        pst_thread_join(threads[i]);
        taken += crowd[i].taken;
    }
    assert_int_equal(taken, QUOTA);
}

static void test_no_memory_for_the_table_is_said(void **state)
{
    (void)state;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        struct pst_rates *rates = NULL;
        if (pst_rates_new(&rates, &err) != PST_OK)
            assert_int_equal(err.code, PST_E_NO_MEMORY);
        pst_rates_free(rates);
    }
    pst_rates_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_as_the_quota_at_once_and_not_one_more),
        cmocka_unit_test(test_a_quota_that_was_made_smaller_holds_at_once),
        cmocka_unit_test(test_it_is_a_bucket_of_tokens),
        cmocka_unit_test(test_whoever_keeps_to_the_rate_is_never_refused),
        cmocka_unit_test(test_each_key_has_its_own_quota),
        cmocka_unit_test(test_a_flood_of_keys_takes_no_memory_and_forgives_at_most),
        cmocka_unit_test(test_threads_share_one_quota),
        cmocka_unit_test(test_no_memory_for_the_table_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
