/* Runs whose system is busy (429): the wait is not a worker's. */
#include <signal.h>

#include "tests/unit/sync/toy.h"

#define SUPPLIERS (1U << TOY_SUPPLIERS)

static void a_run_whose_system_is_busy_for_long_holds_nobody_up(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, 5, w->toy.now_s - 1000);
    w->toy.fail[3] = PST_E_SYSTEM_BUSY; /* the third page */
    w->toy.retry_after_s = 40;
    int64_t first = toy_queue(w, PST_SYNC_FULL, SUPPLIERS);
    int64_t second = toy_queue(w, PST_SYNC_FULL, 1U << TOY_ITEMS);
    toy_work(w);
    struct pst_sync other = toy_get(w, second);
    assert_int_equal(other.status, PST_SYNC_COMPLETED);
    pst_wall other_ended = other.ended_at;
    struct pst_sync s = toy_get(w, first);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_true(other_ended.us < s.ended_at.us);
    assert_int_equal(w->slept_ms, 0);
    assert_in_range(w->idle_ms, 40000, 42000);
    assert_int_equal(s.counts.read, 500); /* no page twice */
    assert_true(pst_wall_is_none(s.resume_at));
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

static void who_stays_busy_is_given_up(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    for (unsigned i = 0; i < TOY_CALLS; i++)
        w->toy.fail[i] = PST_E_SYSTEM_BUSY;
    w->toy.retry_after_s = 300;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "SYSTEM_ERROR");
    assert_int_equal(w->toy.calls, 3);
    assert_in_range(w->idle_ms, 600000, 604000);
    /* Also when only the pages are refused, and the clock is not. */
    w->idle_ms = 0;
    w->toy.calls = 0;
    w->toy.fail[0] = PST_OK;
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_in_range(w->idle_ms, 600000, 604000);
}

static void who_gets_on_may_wait_as_often_as_it_is_asked_to(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    w->toy.retry_after_s = 60;
    for (unsigned i = 3; i < TOY_CALLS; i += 4)
        w->toy.fail[i] = PST_E_SYSTEM_BUSY;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_true(w->idle_ms >= 3 * 60000);
    assert_int_equal(s.counts.read, 1000);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

/* Pages that change nothing are committed now and then only; a wait keeps the place all the same.
 */
static void what_is_read_before_a_wait_is_not_read_again(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    assert_int_equal(toy_sync(w, PST_SYNC_FULL, SUPPLIERS).status, PST_SYNC_COMPLETED);
    w->toy.calls = 0;
    w->toy.retry_after_s = 60;
    for (unsigned i = 4; i < TOY_CALLS; i += 5)
        w->toy.fail[i] = PST_E_SYSTEM_BUSY;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(s.counts.read, 1000);
    assert_int_equal(s.counts.unchanged, 1000);
}

static bool is_filled;

/* The writer's thread, which alone looks at the store in this moment. */
static void fill_the_disk(struct toy_world *w)
{
    if (!is_filled && toy_number(w, "SELECT count(*) FROM sync WHERE resume_at > 0") == 1) {
        is_filled = true;
        toy_let_files_grow(false);
    }
}

static void make_room(struct toy_world *w)
{
    if (w->slept_ms >= 5000)
        toy_let_files_grow(true);
}

/* No worker has it, and none can take it before that is stored. */
static void a_run_that_cannot_be_put_back_is_as_soon_as_the_store_takes_it(void **state)
{
    struct toy_world *w = *state;
    is_filled = false;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    w->toy.fail[3] = PST_E_SYSTEM_BUSY;
    w->toy.retry_after_s = 60;
    w->on_commit = fill_the_disk;
    w->on_sleep = make_room;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_true(is_filled);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    toy_check_equal(w, TOY_SUPPLIERS);
}

static pst_code cancel(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct toy_world *w = arg;
    struct pst_sync *open = NULL;
    size_t count = 0;
    bool more = false;
    PST_TRY(pst_syncs_list(conn, w->connection_pk, 0, 1U << PST_SYNC_RUNNING, 1, w->arena, &open,
                           &count, &more, err));
    assert_int_equal(count, 1);
    assert_false(pst_wall_is_none(open->resume_at));
    return pst_syncs_cancel(conn, w->connection_pk, pst_id_str(&open->id), w->wall, err);
}

static void cancel_while_it_waits(struct toy_world *w)
{
    struct pst_err err;
    w->idle = NULL;
    assert_ok(pst_db_write(w->db, cancel, w, &err));
}

static void who_waits_can_be_cancelled(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    w->toy.fail[3] = PST_E_SYSTEM_BUSY;
    w->toy.retry_after_s = 300;
    w->idle = cancel_while_it_waits;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_CANCELLED);
    assert_true(pst_wall_is_none(s.resume_at));
    assert_true(w->idle_ms <= 30000);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM stream WHERE sync_pk IS NOT NULL"), 0);
}

static void stop_while_it_waits(struct toy_world *w)
{
    pst_sync_stop(w->engine);
}

static void a_restart_keeps_the_wait(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    w->toy.fail[3] = PST_E_SYSTEM_BUSY;
    w->toy.retry_after_s = 200;
    w->idle = stop_while_it_waits;
    int64_t pk = toy_queue(w, PST_SYNC_FULL, SUPPLIERS);
    toy_work(w);
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_RUNNING);
    unsigned calls = w->toy.calls;
    toy_world_close(w);
    toy_world_open(w);
    toy_work(w);
    assert_int_equal(w->toy.calls, calls);
    w->idle = NULL;
    toy_work(w);
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_COMPLETED);
    assert_in_range(w->idle_ms, 200000, 230000);
    toy_check_equal(w, TOY_SUPPLIERS);
}

/* The clock was set back by more than any wait lasts. */
static void set_the_clock_back(struct toy_world *w)
{
    w->wall.us -= 86400 * PST_US_PER_S;
    w->idle = NULL;
}

static void a_clock_that_is_set_back_makes_no_wait_longer(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    w->toy.fail[3] = PST_E_SYSTEM_BUSY;
    w->toy.retry_after_s = 200;
    w->idle = set_the_clock_back;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_true(w->idle_ms <= 230000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, toy_set_up, toy_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_run_whose_system_is_busy_for_long_holds_nobody_up),
        T(who_stays_busy_is_given_up),
        T(who_gets_on_may_wait_as_often_as_it_is_asked_to),
        T(what_is_read_before_a_wait_is_not_read_again),
        T(a_run_that_cannot_be_put_back_is_as_soon_as_the_store_takes_it),
        T(who_waits_can_be_cancelled),
        T(a_restart_keeps_the_wait),
        T(a_clock_that_is_set_back_makes_no_wait_longer),
    };
    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
