/* Bells and lanes, with real threads. */
#include "tests/unit/test.h"

#include "app/internal.h"
#include "os/clock.h"

static void a_bell_counts_what_rang_before_anybody_waited(void **state)
{
    (void)state;
    struct pst_bell b;
    pst_bell_init(&b);
    pst_bell_ring(&b);
    pst_bell_ring(&b);
    pst_mono start = pst_mono_now();
    pst_bell_await(&b, -1);
    pst_bell_await(&b, 10000);
    assert_true(pst_mono_ms_until(start, pst_mono_now()) < 5000);
    start = pst_mono_now();
    pst_bell_await(&b, 30);
    assert_true(pst_mono_ms_until(start, pst_mono_now()) >= 30);
    pst_bell_await(&b, 0);
    pst_bell_fini(&b);
}

static void ring_later(void *arg)
{
    pst_sleep_ms(20);
    pst_bell_ring(arg);
}

static void a_bell_wakes_who_waits(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_host host;
    struct pst_thread *t = NULL;
    pst_host_init(&host);
    struct pst_sync_host table = pst_host_table(&host);
    assert_ok(
        pst_thread_start(&t, "ringer", ring_later, &host.bells[PST_SYNC_BELL_SCHEDULER], &err));
    table.await(table.self, PST_SYNC_BELL_SCHEDULER, -1);
    pst_thread_join(t);
    table.ring(table.self, PST_SYNC_BELL_WORK);
    table.await(table.self, PST_SYNC_BELL_WORK, -1);
    assert_true(table.wall(table.self).us > 0);
    assert_true(table.random(table.self) != table.random(table.self));
    pst_host_fini(&host);
}

struct fetch {
    struct pst_sync_lane *lane;
    pthread_t by;
    int runs;
};

static void fetch_something(void *arg)
{
    struct fetch *f = arg;
    pst_sleep_ms(5);
    f->by = pthread_self();
    f->runs++;
    f->lane->signal(f->lane->self);
}

static void a_lane_runs_a_fetch_beside_its_worker(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_lane lane = {0};
    assert_ok(pst_lane_open(&lane, 0, &err));
    struct pst_sync_lane table = pst_lane_table(&lane);
    struct fetch f = {.lane = &table};
    for (int i = 1; i <= 20; i++) {
        table.fetch_start(table.self, fetch_something, &f);
        table.fetch_wait(table.self);
        assert_int_equal(f.runs, i);
        table.await(table.self);
    }
    assert_false(pthread_equal(f.by, pthread_self()));
    pst_lane_close(&lane);
    struct pst_lane never = {0};
    pst_lane_close(&never);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bell_counts_what_rang_before_anybody_waited),
        cmocka_unit_test(a_bell_wakes_who_waits),
        cmocka_unit_test(a_lane_runs_a_fetch_beside_its_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
