/* The queue between threads, and threads themselves. */
#include "tests/unit/test.h"

#include <signal.h>

#include "os/clock.h"
#include "os/queue.h"
#include "os/thread.h"

static void items_come_out_in_the_order_they_went_in(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_queue *q = NULL;
    int items[3];
    void *got = NULL;
    assert_ok(pst_queue_new(&q, 3, &err));
    for (size_t round = 0; round < 4; round++) { /* past the ring's end */
        for (size_t i = 0; i < 3; i++)
            assert_true(pst_queue_try_push(q, &items[i]));
        assert_false(pst_queue_try_push(q, &items[0]));
        assert_int_equal(pst_queue_len(q), 3);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(pst_queue_pop(q, &got, 0), PST_POP_ITEM);
            assert_ptr_equal(got, &items[i]);
        }
        assert_int_equal(pst_queue_pop(q, &got, 0), PST_POP_TIMEOUT);
    }
    pst_queue_free(q, NULL);
    pst_queue_free(NULL, NULL);
}

static void a_capacity_outside_its_bounds_is_refused(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_queue *q = NULL;
    assert_code(pst_queue_new(&q, 0, &err), PST_E_INVALID);
    assert_code(pst_queue_new(&q, (1 << 20) + 1, &err), PST_E_INVALID);
    assert_ok(pst_queue_new(&q, 1 << 20, &err));
    pst_queue_free(q, NULL);
}

static void an_empty_queue_waits_no_longer_than_asked(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_queue *q = NULL;
    void *got = NULL;
    assert_ok(pst_queue_new(&q, 1, &err));
    pst_mono start = pst_mono_now();
    assert_int_equal(pst_queue_pop(q, &got, 30), PST_POP_TIMEOUT);
    assert_true(pst_mono_ms_until(start, pst_mono_now()) >= 30);
    pst_queue_free(q, NULL);
}

static void count_drop(void *item)
{
    (*(int *)item)++;
}

static void a_closed_queue_gives_what_it_holds_and_takes_no_more(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_queue *q = NULL;
    int dropped = 0;
    void *got = NULL;
    assert_ok(pst_queue_new(&q, 4, &err));
    for (int i = 0; i < 3; i++)
        assert_ok(pst_queue_push(q, &dropped, &err));
    pst_queue_close(q);
    pst_queue_close(q);
    assert_true(pst_queue_is_closed(q));
    assert_code(pst_queue_push(q, &dropped, &err), PST_E_CANCELLED);
    assert_false(pst_queue_try_push(q, &dropped));
    assert_int_equal(pst_queue_pop(q, &got, -1), PST_POP_ITEM);
    pst_queue_free(q, count_drop);
    assert_int_equal(dropped, 2);

    assert_ok(pst_queue_new(&q, 1, &err));
    pst_queue_close(q);
    assert_int_equal(pst_queue_pop(q, &got, -1), PST_POP_CLOSED);
    pst_queue_free(q, NULL);
}

enum { PER_SENDER = 5000, SENDERS = 2, TAKERS = 2 };

struct traffic {
    struct pst_queue *q;
    _Atomic int taken[SENDERS * PER_SENDER];
    int items[SENDERS * PER_SENDER];
    _Atomic int next_sender;
};

static void send_items(void *arg)
{
    struct traffic *t = arg;
    struct pst_err err;
    int base = PER_SENDER * t->next_sender++;
    for (int i = 0; i < PER_SENDER; i++) {
        if (pst_queue_push(t->q, &t->items[base + i], &err) != PST_OK)
            return;
    }
}

static void take_items(void *arg)
{
    struct traffic *t = arg;
    void *got = NULL;
    while (pst_queue_pop(t->q, &got, -1) == PST_POP_ITEM)
        t->taken[(int *)got - t->items]++;
}

static void every_item_reaches_exactly_one_of_many_takers(void **state)
{
    (void)state;
    static struct traffic t;
    struct pst_err err;
    struct pst_thread *senders[SENDERS];
    struct pst_thread *takers[TAKERS];
    assert_ok(pst_queue_new(&t.q, 7, &err));
    for (int i = 0; i < TAKERS; i++)
        assert_ok(pst_thread_start(&takers[i], "taker", take_items, &t, &err));
    for (int i = 0; i < SENDERS; i++)
        assert_ok(pst_thread_start(&senders[i], "sender", send_items, &t, &err));
    for (int i = 0; i < SENDERS; i++)
        pst_thread_join(senders[i]);
    pst_queue_close(t.q);
    for (int i = 0; i < TAKERS; i++)
        pst_thread_join(takers[i]);
    for (int i = 0; i < SENDERS * PER_SENDER; i++)
        assert_int_equal(t.taken[i], 1);
    pst_queue_free(t.q, NULL);
}

static void push_until_closed(void *arg)
{
    struct pst_err err;
    struct pst_queue *q = arg;
    while (pst_queue_push(q, q, &err) == PST_OK)
        continue;
}

static void closing_wakes_a_sender_that_waits(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_queue *q = NULL;
    struct pst_thread *t = NULL;
    assert_ok(pst_queue_new(&q, 1, &err));
    assert_ok(pst_thread_start(&t, "sender", push_until_closed, q, &err));
    pst_sleep_ms(20);
    pst_queue_close(q);
    pst_thread_join(t);
    pst_queue_free(q, NULL);
}

struct seen {
    char name[16];
    bool blocks_term;
};

static void look_at_self(void *arg)
{
    struct seen *s = arg;
    sigset_t mask;
    (void)pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    s->blocks_term = sigismember(&mask, SIGTERM) == 1;
}

static void a_thread_has_its_name_and_no_signals(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_thread *t = NULL;
    struct seen seen = {0};
    sigset_t mask;
    assert_ok(pst_thread_start(&t, "a-name-that-is-too-long", look_at_self, &seen, &err));
    pst_thread_join(t);
    pst_thread_join(NULL);
    assert_string_equal(seen.name, "a-name-that-is-");
    assert_true(seen.blocks_term);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
    assert_true(pst_cpu_count() >= 1);
}

static void no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    struct pst_err err;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_queue *q = NULL;
        pst_code rc = pst_queue_new(&q, 8, &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        pst_queue_free(q, NULL);
    }
    assert_int_equal(pst_alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_the_order_they_went_in),
        cmocka_unit_test(a_capacity_outside_its_bounds_is_refused),
        cmocka_unit_test(an_empty_queue_waits_no_longer_than_asked),
        cmocka_unit_test(a_closed_queue_gives_what_it_holds_and_takes_no_more),
        cmocka_unit_test(every_item_reaches_exactly_one_of_many_takers),
        cmocka_unit_test(closing_wakes_a_sender_that_waits),
        cmocka_unit_test(a_thread_has_its_name_and_no_signals),
        cmocka_unit_test(no_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
