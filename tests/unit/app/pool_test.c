/* The pool for calls that API requests cause. */
#include "tests/unit/test.h"

#include "app/internal.h"
#include "os/clock.h"

struct tally {
    _Atomic int runs;
    _Atomic unsigned workers_seen; /* bit per index */
    _Atomic bool hold; /* work waits until it is false */
};

static void count(void *arg, unsigned worker)
{
    struct tally *t = arg;
    while (t->hold)
        pst_sleep_ms(1);
    t->workers_seen |= 1U << worker;
    t->runs++;
}

static void all_work_that_was_taken_is_done(void **state)
{
    (void)state;
    struct pst_err err;
    struct tally t = {0};
    PST_AUTO(pool) struct pst_pool *p = NULL;
    assert_ok(pst_pool_new(&p, "test", 2, 3, &err));
    for (int i = 0; i < 20; i++)
        assert_true(pst_pool_submit(p, count, &t));
    assert_ok(pst_pool_start(p, &err));
    pst_pool_stop(p);
    assert_int_equal(t.runs, 20);
    assert_int_equal(t.workers_seen & ~(1U << 3 | 1U << 4), 0);
    assert_false(pst_pool_submit(p, count, &t));
}

static void a_full_pool_refuses(void **state)
{
    (void)state;
    struct pst_err err;
    struct tally t = {.hold = true};
    int taken = 0;
    int64_t live = pst_alloc_live();
    PST_AUTO(pool) struct pst_pool *p = NULL;
    assert_ok(pst_pool_new(&p, "test", 1, 0, &err));
    assert_ok(pst_pool_start(p, &err));
    while (taken < 1000 && pst_pool_submit(p, count, &t))
        taken++;
    assert_in_range(taken, 16, 17); /* the queue, and one in hand */
    t.hold = false;
    pst_pool_stop(p);
    assert_int_equal(t.runs, taken);
    pst_pool_free(PST_TAKE(p));
    assert_int_equal(pst_alloc_live(), live);
}

static void no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    struct pst_err err;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_pool *p = NULL;
        pst_code rc = pst_pool_new(&p, "test", 2, 0, &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        pst_pool_free(p);
    }
    assert_int_equal(pst_alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_work_that_was_taken_is_done),
        cmocka_unit_test(a_full_pool_refuses),
        cmocka_unit_test(no_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
