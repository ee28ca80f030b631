/* Whose turn it is: limits and fairness of pst_turns by random sequences against counts of the
 * test's own, and of pst_http_slots by threads. */
#include "tests/unit/test.h"

#include <pthread.h>

#include "http/http.h"
#include "http/turns.h"
#include "os/clock.h"
#include "os/thread.h"

static struct pst_err err;

static pst_str text_of(char out[24], const char *kind, int n)
{
    int len = snprintf(out, 24, "%s%d", kind, n);
    return (pst_str){out, (size_t)len};
}

/* ---- one after the other ---- */

static void ask(struct pst_turns *t, struct pst_turn *turn, const char *host, const char *owner)
{
    assert_ok(pst_turns_ask(t, turn, pst_str_from(host), pst_str_from(owner), &err));
}

static void test_a_long_queue_does_not_starve_another(void **state)
{
    (void)state;
    PST_AUTO(turns) struct pst_turns *t = NULL;
    struct pst_turn a[6];
    struct pst_turn b[2];
    assert_ok(pst_turns_new(&t, 1, 2, &err));
    for (size_t i = 0; i < PST_COUNT(a); i++)
        ask(t, &a[i], "host", "a");
    assert_ptr_equal(pst_turns_next(t), &a[0]);
    assert_null(pst_turns_next(t));
    ask(t, &b[0], "host", "b");
    ask(t, &b[1], "host", "b");
    /* One of a's had its turn, so b begins behind a's next one, then they take turns. */
    struct pst_turn *in = &a[0];
    struct pst_turn *expected[] = {&a[1], &b[0], &a[2], &b[1], &a[3], &a[4], &a[5]};
    for (size_t i = 0; i < PST_COUNT(expected); i++) {
        pst_turns_leave(t, in);
        in = pst_turns_next(t);
        assert_ptr_equal(in, expected[i]);
        assert_null(pst_turns_next(t));
    }
    pst_turns_leave(t, in);
}

static void test_an_owner_has_its_limit_over_all_hosts(void **state)
{
    (void)state;
    PST_AUTO(turns) struct pst_turns *t = NULL;
    struct pst_turn a[4];
    assert_ok(pst_turns_new(&t, 4, 2, &err));
    ask(t, &a[0], "one", "a");
    ask(t, &a[1], "two", "a");
    assert_non_null(pst_turns_next(t));
    assert_non_null(pst_turns_next(t));
    ask(t, &a[2], "one", "a");
    ask(t, &a[3], "two", "a");
    assert_null(pst_turns_next(t)); /* the hosts have room, the owner has not */
    pst_turns_leave(t, &a[0]);
    assert_ptr_equal(pst_turns_next(t), &a[2]);
    assert_null(pst_turns_next(t));
    pst_turns_leave(t, &a[1]);
    assert_ptr_equal(pst_turns_next(t), &a[3]);
    pst_turns_leave(t, &a[2]);
    pst_turns_leave(t, &a[3]);
}

static void test_what_is_nobodys_has_only_the_limit_of_its_host(void **state)
{
    (void)state;
    PST_AUTO(turns) struct pst_turns *t = NULL;
    struct pst_turn n[4];
    assert_ok(pst_turns_new(&t, 3, 1, &err));
    for (size_t i = 0; i < PST_COUNT(n); i++)
        ask(t, &n[i], "host", "");
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(pst_turns_next(t), &n[i]);
    assert_null(pst_turns_next(t));
    for (size_t i = 0; i < PST_COUNT(n); i++)
        pst_turns_leave(t, &n[i]);
}

static void test_who_gives_up_waiting_leaves_the_others_in_order(void **state)
{
    (void)state;
    PST_AUTO(turns) struct pst_turns *t = NULL;
    struct pst_turn a[5];
    assert_ok(pst_turns_new(&t, 1, 1, &err));
    for (size_t i = 0; i < PST_COUNT(a); i++)
        ask(t, &a[i], "host", "a");
    assert_ptr_equal(pst_turns_next(t), &a[0]);
    pst_turns_leave(t, &a[4]); /* the last of the queue, */
    pst_turns_leave(t, &a[2]); /* one in its middle, */
    pst_turns_leave(t, &a[1]); /* and its first */
    ask(t, &a[1], "host", "a");
    pst_turns_leave(t, &a[0]);
    assert_ptr_equal(pst_turns_next(t), &a[3]);
    pst_turns_leave(t, &a[3]);
    assert_ptr_equal(pst_turns_next(t), &a[1]);
    pst_turns_leave(t, &a[1]);
    assert_null(pst_turns_next(t));
}

/* ---- random sequences ---- */

enum { HOSTS = 3, OWNERS = 7, CALLS = 60, STEPS = 60000 };

struct call {
    struct pst_turn turn;
    bool is_used;
    int host, owner;
    uint64_t asked; /* which asking it was */
};

struct world {
    struct pst_turns *turns;
    int per_host, per_owner;
    struct call calls[CALLS];
    int at_host[HOSTS], of_owner[OWNERS];
    /* Of an owner that waits at a host and might have one more: how often another was let in
     * since then. */
    int passed[HOSTS][OWNERS][OWNERS];
    uint64_t clock;
};

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static bool has_room(const struct world *w, int owner)
{
    return owner == 0 || w->of_owner[owner] < w->per_owner; /* 0 is nobody */
}

static const struct call *oldest_waiting(const struct world *w, int host, int owner)
{
    const struct call *found = NULL;
    for (int i = 0; i < CALLS; i++) {
        const struct call *c = &w->calls[i];
        if (c->is_used && !c->turn.is_in && c->host == host && c->owner == owner &&
            (!found || c->asked < found->asked))
            found = c;
    }
    return found;
}

static void check_let_in(struct world *w, struct call *c)
{
    c->turn.is_in = false; /* as before, to find it among those that waited */
    assert_ptr_equal(oldest_waiting(w, c->host, c->owner), c);
    c->turn.is_in = true;
    assert_true(has_room(w, c->owner));
    for (int other = 0; other < OWNERS; other++) {
        if (other == c->owner || !oldest_waiting(w, c->host, other) || !has_room(w, other))
            continue;
        /* At most once before one that waits and may. */
        assert_true(++w->passed[c->host][other][c->owner] <= 1);
    }
    memset(w->passed[c->host][c->owner], 0, sizeof(w->passed[c->host][c->owner]));
    w->at_host[c->host]++;
    w->of_owner[c->owner]++;
    assert_true(w->at_host[c->host] <= w->per_host);
}

static void settle(struct world *w)
{
    for (struct pst_turn *t = pst_turns_next(w->turns); t; t = pst_turns_next(w->turns))
        check_let_in(w, (struct call *)t);
    /* Nobody waits who might go. */
    for (int o = 0; o < HOSTS; o++) {
        for (int a = 0; a < OWNERS && w->at_host[o] < w->per_host; a++)
            assert_false(oldest_waiting(w, o, a) && has_room(w, a));
    }
}

static void begin_call(struct world *w, struct call *c, uint64_t *seed)
{
    char host[24];
    char owner[24] = "";
    c->host = (int)(next(seed) % HOSTS);
    /* The first owners ask far more often than the last. */
    c->owner = (int)((next(seed) % OWNERS) * (next(seed) % OWNERS) / OWNERS);
    c->asked = ++w->clock;
    if (!oldest_waiting(w, c->host, c->owner))
        memset(w->passed[c->host][c->owner], 0, sizeof(w->passed[c->host][c->owner]));
    c->is_used = true;
    pst_str owner_text = c->owner ? text_of(owner, "owner", c->owner) : PST_STR("");
    assert_ok(pst_turns_ask(w->turns, &c->turn, text_of(host, "o", c->host), owner_text, &err));
}

static void end_call(struct world *w, struct call *c)
{
    if (c->turn.is_in) {
        w->at_host[c->host]--;
        w->of_owner[c->owner]--;
    }
    pst_turns_leave(w->turns, &c->turn);
    c->is_used = false;
}

static void test_limits_and_fairness_hold_in_any_sequence(void **state)
{
    (void)state;
    uint64_t seed = 2463534242U;
    for (int round = 0; round < 12; round++) {
        PST_AUTO(turns) struct pst_turns *turns = NULL;
        struct world w = {.per_host = 1 + round % 4, .per_owner = 1 + round % 3};
        assert_ok(pst_turns_new(&turns, (uint32_t)w.per_host, (uint32_t)w.per_owner, &err));
        w.turns = turns;
        for (int step = 0; step < STEPS / 12; step++) {
            struct call *c = &w.calls[next(&seed) % CALLS];
            if (!c->is_used)
                begin_call(&w, c, &seed);
            else if (c->turn.is_in || next(&seed) % 20 == 0) /* done, or given up */
                end_call(&w, c);
            settle(&w);
        }
        for (int i = 0; i < CALLS; i++) {
            if (w.calls[i].is_used)
                end_call(&w, &w.calls[i]);
            settle(&w);
        }
        for (int o = 0; o < HOSTS; o++)
            assert_int_equal(w.at_host[o], 0);
    }
}

/* ---- threads ---- */

enum { GREEDY = 6, GREEDY_CALLS = 60, MODEST_CALLS = 20 };

struct crowd {
    struct pst_http_slots *slots;
    atomic_int inside, most; /* calls at the host */
    atomic_int greedy_inside, greedy_most;
    atomic_int greedy_let_in; /* ever */
    atomic_int passed_most; /* let in while one of the modest waited */
};

static void raise_to(atomic_int *most, int now)
{
    int seen = atomic_load(most);
    while (now > seen && !atomic_compare_exchange_weak(most, &seen, now)) {
    }
}

static struct pst_http_slot *take(struct crowd *c, pst_str owner)
{
    struct pst_err own;
    struct pst_http_slot *slot = NULL;
    int64_t waited = 0;
    struct pst_http_wait wait = {.host = PST_STR("http://h:80"), .owner = owner};
    if (pst_http_slot_take(c->slots, &wait, &slot, &waited, &own) != PST_OK)
        abort();
    raise_to(&c->most, atomic_fetch_add(&c->inside, 1) + 1);
    return slot;
}

static void give(struct crowd *c, struct pst_http_slot *slot)
{
    atomic_fetch_sub(&c->inside, 1);
    pst_http_slot_give(c->slots, slot);
}

static void be_greedy(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < GREEDY_CALLS; i++) {
        struct pst_http_slot *slot = take(c, PST_STR("greedy"));
        atomic_fetch_add(&c->greedy_let_in, 1);
        raise_to(&c->greedy_most, atomic_fetch_add(&c->greedy_inside, 1) + 1);
        pst_sleep_ms(1);
        atomic_fetch_sub(&c->greedy_inside, 1);
        give(c, slot);
    }
}

static void be_modest(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < MODEST_CALLS; i++) {
        int before = atomic_load(&c->greedy_let_in);
        struct pst_http_slot *slot = take(c, PST_STR("modest"));
        raise_to(&c->passed_most, atomic_load(&c->greedy_let_in) - before);
        pst_sleep_ms(1);
        give(c, slot);
    }
}

static void test_threads_keep_the_limits_and_take_turns(void **state)
{
    (void)state;
    struct crowd c = {0};
    struct pst_thread *threads[GREEDY + 1] = {NULL};
    assert_ok(pst_http_slots_new(&c.slots, 2, 2, &err));
    pst_code started = PST_OK;
    for (size_t i = 0; i < GREEDY && started == PST_OK; i++)
        started = pst_thread_start(&threads[i], "greedy", be_greedy, &c, &err);
    if (started == PST_OK)
        started = pst_thread_start(&threads[GREEDY], "modest", be_modest, &c, &err);
    for (size_t i = 0; i < PST_COUNT(threads); i++)
        pst_thread_join(threads[i]); /* before anything is judged: they use what lies here */
    if (started != PST_OK)
        pst_http_slots_free(c.slots);
    assert_ok(started);
    assert_int_equal(c.greedy_let_in, GREEDY * GREEDY_CALLS);
    assert_in_range(c.most, 1, 2);
    assert_in_range(c.greedy_most, 1, 2);
    /* Once by its turn; the counter lags behind by what both slots hold, before and after. A queue
     * in order of asking alone would have passed all six. */
    assert_in_range(c.passed_most, 0, 5);
    pst_http_slots_free(c.slots);
}

static void test_waiting_ends_with_the_deadline_or_the_cancel_flag(void **state)
{
    (void)state;
    struct pst_http_slots *slots = NULL;
    struct pst_http_slot *a = NULL;
    struct pst_http_slot *b = NULL;
    struct pst_http_slot *none = NULL;
    int64_t waited = 0;
    atomic_bool cancel = false;
    struct pst_http_wait at_a = {.host = PST_STR("a"), .owner = PST_STR("x")};
    struct pst_http_wait at_b = {.host = PST_STR("b"), .owner = PST_STR("y"), .cancel = &cancel};
    assert_ok(pst_http_slots_new(&slots, 1, 1, &err));
    assert_ok(pst_http_slot_take(slots, &at_a, &a, &waited, &err));
    assert_ok(pst_http_slot_take(slots, &at_b, &b, &waited, &err));
    at_a.deadline = pst_mono_after_ms(pst_mono_now(), 30);
    assert_code(pst_http_slot_take(slots, &at_a, &none, &waited, &err), PST_E_UNAVAILABLE);
    assert_true(waited >= 29000);
    at_a.deadline = PST_MONO_NEVER;
    at_a.cancel = &cancel;
    atomic_store(&cancel, true);
    assert_code(pst_http_slot_take(slots, &at_a, &none, &waited, &err), PST_E_CANCELLED);
    assert_null(none);
    pst_http_slot_give(slots, a);
    /* A slot that is free is given, whatever the flag says: the call looks at it itself. */
    assert_ok(pst_http_slot_take(slots, &at_a, &a, &waited, &err));
    pst_http_slot_give(slots, a);
    pst_http_slot_give(slots, b);
    pst_http_slots_free(slots);
    pst_http_slots_free(NULL);
    pst_turns_free(NULL);
}

static void test_failed_allocations_change_nothing(void **state)
{
    (void)state;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_turns *t = NULL;
        struct pst_turn a;
        struct pst_turn b;
        bool has_a = false;
        bool has_b = false;
        int64_t live = pst_alloc_live();
        if (pst_turns_new(&t, 1, 1, &err) == PST_OK) {
            has_a = pst_turns_ask(t, &a, PST_STR("o"), PST_STR("x"), &err) == PST_OK;
            has_b = pst_turns_ask(t, &b, PST_STR("o"), PST_STR("y"), &err) == PST_OK;
            assert_ptr_equal(pst_turns_next(t), has_a ? &a : has_b ? &b : NULL);
            if (has_a)
                pst_turns_leave(t, &a);
            if (has_b)
                pst_turns_leave(t, &b);
        }
        pst_turns_free(t);
        assert_int_equal(pst_alloc_live(), live);
    }
    FOR_EACH_ALLOC_FAULT(k)
    {
        struct pst_http_slots *slots = NULL;
        struct pst_http_slot *slot = NULL;
        int64_t waited = 0;
        int64_t live = pst_alloc_live();
        const struct pst_http_wait wait = {.host = PST_STR("a"), .owner = PST_STR("x")};
        pst_code code = pst_http_slots_new(&slots, 1, 1, &err);
        if (code == PST_OK)
            code = pst_http_slot_take(slots, &wait, &slot, &waited, &err);
        assert_int_equal(code, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        if (slot)
            pst_http_slot_give(slots, slot);
        pst_http_slots_free(slots);
        assert_int_equal(pst_alloc_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_long_queue_does_not_starve_another),
        cmocka_unit_test(test_an_owner_has_its_limit_over_all_hosts),
        cmocka_unit_test(test_what_is_nobodys_has_only_the_limit_of_its_host),
        cmocka_unit_test(test_who_gives_up_waiting_leaves_the_others_in_order),
        cmocka_unit_test(test_limits_and_fairness_hold_in_any_sequence),
        cmocka_unit_test(test_threads_keep_the_limits_and_take_turns),
        cmocka_unit_test(test_waiting_ends_with_the_deadline_or_the_cancel_flag),
        cmocka_unit_test(test_failed_allocations_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
