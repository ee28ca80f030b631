/* The scheduler's thread over a real store, in virtual time. No worker runs: what is queued is
 * ended as soon as the thread has nothing to do. */
#include "tests/unit/sync/toy.h"

#include "store/outages.h"

enum { HOUR_S = 3600 };

static int64_t ends_at_us;
static bool leaves_open; /* queued runs are not ended */
static bool is_denied; /* the run that is open when the system goes makes no call, ... */
static int64_t taken_pk; /* of it */
static bool loses_notes; /* there is no memory to tell of the end of a run */
static int waits; /* ... and its end is heard of so many turns after the system is back */

static pst_code end_all(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct toy_world *w = arg;
    const struct pst_sync_outcome done = {.status = PST_SYNC_COMPLETED};
    bool found = true;
    while (found) {
        struct pst_sync sync = {0};
        enum pst_sync_status status;
        PST_TRY(pst_syncs_claim(conn, w->wall, w->arena, &sync, &found, err));
        if (!found)
            break;
        PST_TRY(pst_syncs_end(conn, sync.pk, &done, true, w->wall, &status, err));
        pst_alloc_fail_at(loses_notes ? 0 : -1);
        if (sync.trigger != PST_SYNC_MANUAL)
            pst_sync_note(w->engine, PST_NOTE_FINISHED, sync.connection_pk);
        pst_alloc_fail_at(-1);
    }
    return PST_OK;
}

/* An outage that begins and ends at these times; 0: none. */
static int64_t away_from_us, back_from_us;
static bool is_back;

static pst_code change_status(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct toy_world *w = arg;
    struct pst_outage o;
    PST_TRY(pst_connections_set_status(conn, w->connection_pk,
                                       is_back ? PST_CONNECTION_ONLINE : PST_CONNECTION_OFFLINE,
                                       PST_STR(""), (pst_str){0}, w->wall, NULL, err));
    PST_TRY(pst_outages_get(conn, w->connection_pk, &o, err));
    o.owed = is_back;
    o.saved_at = w->wall;
    return pst_outages_put(conn, &o, err);
}

static void live_through_outage(struct toy_world *w)
{
    struct pst_err err;
    int64_t *next = away_from_us ? &away_from_us : &back_from_us;
    if (*next == 0 || w->wall.us < *next)
        return;
    is_back = next == &back_from_us;
    *next = 0;
    assert_ok(pst_db_write(w->db, change_status, w, &err));
    pst_sync_connection_changed(w->engine, w->connection_pk);
}

static pst_code take_run(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct toy_world *w = arg;
    struct pst_sync sync = {0};
    bool found = false;
    PST_TRY(pst_syncs_claim(conn, w->wall, w->arena, &sync, &found, err));
    taken_pk = sync.pk;
    return PST_OK;
}

static pst_code withdraw(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_syncs_withdraw(conn, taken_pk, err);
}

static void deny(struct toy_world *w)
{
    struct pst_err err;
    if (back_from_us == 0 && --waits == 0)
        pst_sync_note(w->engine, PST_NOTE_FINISHED, w->connection_pk);
    if (is_denied && taken_pk == 0)
        assert_ok(pst_db_write(w->db, take_run, w, &err));
    if (is_denied && away_from_us == 0) {
        assert_ok(pst_db_write(w->db, withdraw, w, &err));
        is_denied = false;
    }
}

static void idle(struct toy_world *w)
{
    struct pst_err err;
    live_through_outage(w);
    deny(w);
    if (!leaves_open && toy_number(w, "SELECT count(*) FROM sync WHERE ended_at IS NULL") > 0)
        assert_ok(pst_db_write(w->db, end_all, w, &err));
    if (w->wall.us >= ends_at_us)
        pst_sync_stop(w->engine);
}

/* The scheduler's thread for so long, from start to stop. */
static void schedule_for(struct toy_world *w, int64_t seconds)
{
    struct pst_err err;
    ends_at_us = w->wall.us + seconds * PST_US_PER_S;
    assert_ok(pst_sync_scheduler_run(w->engine, &err));
    pst_sync_engine_free(w->engine);
    w->engine = NULL;
    assert_ok(pst_sync_engine_new(&w->engine, &w->options, &err));
}

struct patch_job {
    int64_t pk;
    pst_str schedule;
    pst_wall now;
    enum pst_connection_status status;
};

static pst_code set_schedule(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct patch_job *job = arg;
    const struct pst_connection_patch p = {.set_schedule = true, .schedule = job->schedule};
    return pst_connections_patch(conn, job->pk, &p, 0, job->now, err);
}

static void give_schedule(struct toy_world *w, const char *text)
{
    struct pst_err err;
    struct patch_job job = {w->connection_pk, pst_str_from(text), w->wall, 0};
    assert_ok(pst_db_write(w->db, set_schedule, &job, &err));
}

static pst_code set_status(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct patch_job *job = arg;
    return pst_connections_set_status(conn, job->pk, job->status, PST_STR("because"), (pst_str){0},
                                      job->now, NULL, err);
}

static int setup(void **state)
{
    (void)toy_set_up(state);
    struct toy_world *w = *state;
    w->idle = idle;
    leaves_open = is_denied = loses_notes = false;
    taken_pk = waits = 0;
    away_from_us = back_from_us = 0;
    return 0;
}

static void a_new_connection_gets_its_initial_sync_then_its_ticks(void **state)
{
    struct toy_world *w = *state;
    give_schedule(w, "15m");
    schedule_for(w, 2 * HOUR_S);
    assert_int_equal(
        toy_number(w, "SELECT count(*) FROM sync WHERE cause = 'initial' AND mode = 'full'"), 1);
    assert_in_range(toy_number(w, "SELECT count(*) FROM sync WHERE cause = 'scheduled' AND mode ="
                                  " 'incremental'"),
                    7, 8);
    assert_int_equal(toy_number(w, "SELECT min(cause = 'initial') FROM sync WHERE pk = 1"), 1);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync_stream") % 2, 0);
    assert_true(toy_number(w, "SELECT next_run_at FROM connection") > w->wall.us);
}

/* Syncs that were asked for in seconds [from, to) of the test. */
static int64_t asked_between(struct toy_world *w, pst_wall begin, int64_t from, int64_t to)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM sync WHERE requested_at >= %lld AND requested_at < %lld",
                   (long long)(begin.us + from * PST_US_PER_S),
                   (long long)(begin.us + to * PST_US_PER_S));
    return toy_number(w, sql);
}

static void an_outage_pauses_the_schedule_and_is_caught_up_by_one_sync(void **state)
{
    struct toy_world *w = *state;
    pst_wall begin = w->wall;
    give_schedule(w, "6h");
    away_from_us = begin.us + HOUR_S * PST_US_PER_S;
    back_from_us = begin.us + 20 * HOUR_S * PST_US_PER_S;
    schedule_for(w, 21 * HOUR_S);
    assert_true(asked_between(w, begin, 0, HOUR_S + 10) >= 1);
    assert_int_equal(asked_between(w, begin, HOUR_S + 10, 20 * HOUR_S), 0);
    int64_t ticks = asked_between(w, begin, 20 * HOUR_S, 21 * HOUR_S);
    assert_true(ticks >= 1 && ticks <= 2); /* a tick may follow on its own */
    assert_int_equal(asked_between(w, begin, 20 * HOUR_S, 20 * HOUR_S + 60), 1);
    assert_int_equal(toy_number(w, "SELECT sum(owed) FROM outage"), 0);
}

static void an_outage_between_two_ticks_is_caught_up_too(void **state)
{
    struct toy_world *w = *state;
    pst_wall begin = w->wall;
    give_schedule(w, "7d");
    away_from_us = begin.us + HOUR_S * PST_US_PER_S;
    back_from_us = away_from_us + 60 * PST_US_PER_S;
    schedule_for(w, 2 * HOUR_S);
    int64_t before = asked_between(w, begin, 0, HOUR_S);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), before + 1);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync WHERE mode = 'incremental'"), 1);
}

static void who_syncs_by_hand_catches_up_by_hand(void **state)
{
    struct toy_world *w = *state;
    pst_wall begin = w->wall;
    schedule_for(w, 60); /* the first sync */
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), 1);
    give_schedule(w, "");
    away_from_us = begin.us + HOUR_S * PST_US_PER_S;
    back_from_us = away_from_us + 60 * PST_US_PER_S;
    schedule_for(w, 2 * HOUR_S);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), 1);
}

static void a_restart_still_owes_the_sync_that_catches_up(void **state)
{
    struct toy_world *w = *state;
    struct pst_err err;
    give_schedule(w, "7d");
    schedule_for(w, 60);
    int64_t before = toy_number(w, "SELECT count(*) FROM sync");
    is_back = true; /* and the server ended */
    assert_ok(pst_db_write(w->db, change_status, w, &err));
    schedule_for(w, HOUR_S);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), before + 1);
    schedule_for(w, HOUR_S);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), before + 1);
}

static void a_run_that_waited_for_the_system_is_what_catches_up(void **state)
{
    struct toy_world *w = *state;
    pst_wall begin = w->wall;
    give_schedule(w, "15m");
    leaves_open = true; /* the first one stays queued */
    away_from_us = begin.us + 60 * PST_US_PER_S;
    back_from_us = begin.us + HOUR_S * PST_US_PER_S;
    schedule_for(w, HOUR_S + 60);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), 1);
    assert_int_equal(toy_number(w, "SELECT sum(owed) FROM outage"), 0);
}

static void a_run_that_is_over_is_not_what_catches_up(void **state)
{
    struct toy_world *w = *state;
    pst_wall begin = w->wall;
    give_schedule(w, "7d");
    leaves_open = is_denied = true;
    waits = 3;
    away_from_us = begin.us + 60 * PST_US_PER_S;
    back_from_us = begin.us + HOUR_S * PST_US_PER_S;
    schedule_for(w, HOUR_S + 60);
    assert_int_equal(asked_between(w, begin, HOUR_S, HOUR_S + 60), 1);
    assert_int_equal(toy_number(w, "SELECT sum(owed) FROM outage"), 0);
}

static void a_restart_goes_on_with_the_same_grid(void **state)
{
    struct toy_world *w = *state;
    give_schedule(w, "15m");
    schedule_for(w, HOUR_S);
    int64_t before = toy_number(w, "SELECT count(*) FROM sync");
    schedule_for(w, 60);
    assert_in_range(toy_number(w, "SELECT count(*) FROM sync"), before, before + 1);
    w->wall.us += 10LL * TOY_DAY_S * PST_US_PER_S; /* days off */
    before = toy_number(w, "SELECT count(*) FROM sync");
    schedule_for(w, 60);
    assert_in_range(toy_number(w, "SELECT count(*) FROM sync"), before + 1, before + 2);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync WHERE cause = 'initial'"), 1);
}

static void busy_streams_are_left_out_and_a_busy_connection_is_left_alone(void **state)
{
    struct toy_world *w = *state;
    give_schedule(w, "1m");
    schedule_for(w, 1); /* the initial one is over */
    (void)toy_queue(w, PST_SYNC_FULL, 1U << TOY_ITEMS);
    leaves_open = true;
    schedule_for(w, 150);
    /* One scheduled run of the other stream; while that is open no further one. */
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync WHERE cause = 'scheduled'"), 1);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync_stream p JOIN sync y ON y.pk ="
                                   " p.sync_pk WHERE y.cause = 'scheduled'"),
                     1);
}

static void a_run_that_the_api_queued_is_not_overlapped(void **state)
{
    struct toy_world *w = *state;
    give_schedule(w, "1m");
    w->trigger = PST_SYNC_INITIAL;
    (void)toy_queue(w, PST_SYNC_FULL, 1U << TOY_ITEMS); /* the other stream is free again */
    leaves_open = true;
    schedule_for(w, 150);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), 1);
    leaves_open = false;
    away_from_us = back_from_us = 0;
    schedule_for(w, 150);
    assert_in_range(toy_number(w, "SELECT count(*) FROM sync"), 2, 4);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync WHERE cause = 'initial'"), 1);
}

static struct patch_job later;
static int64_t later_at_us;

static void idle_then_change_status(struct toy_world *w)
{
    struct pst_err err;
    if (later.pk && w->wall.us >= later_at_us) {
        later.now = w->wall;
        assert_ok(pst_db_write(w->db, set_status, &later, &err));
        pst_sync_connection_changed(w->engine, later.pk);
        later.pk = 0;
    }
    idle(w);
}

static void a_switched_off_connection_is_not_synced_until_it_is_on_again(void **state)
{
    struct toy_world *w = *state;
    give_schedule(w, "1m");
    w->idle = idle_then_change_status;
    later = (struct patch_job){.pk = w->connection_pk, .status = PST_CONNECTION_INACTIVE};
    later_at_us = w->wall.us + 330 * PST_US_PER_S;
    schedule_for(w, 1200);
    int64_t count = toy_number(w, "SELECT count(*) FROM sync");
    assert_in_range(count, 5, 7); /* the initial one and five ticks */
    later = (struct patch_job){.pk = w->connection_pk, .status = PST_CONNECTION_PENDING};
    later_at_us = w->wall.us + 300 * PST_US_PER_S;
    schedule_for(w, 330);
    assert_in_range(toy_number(w, "SELECT count(*) FROM sync"), count + 1, count + 2);
}

static pst_code delete_connection(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct toy_world *w = arg;
    return pst_connections_delete(conn, w->connection_pk, false, w->wall, err);
}

static void idle_then_delete(struct toy_world *w)
{
    struct pst_err err;
    if (later_at_us && w->wall.us >= later_at_us) {
        assert_ok(pst_db_write(w->db, delete_connection, w, &err));
        pst_sync_connection_changed(w->engine, w->connection_pk);
        later_at_us = 0;
    }
    idle(w);
}

static void a_deleted_connection_is_not_synced(void **state)
{
    struct toy_world *w = *state;
    give_schedule(w, "1m");
    w->idle = idle_then_delete;
    later_at_us = w->wall.us + 150 * PST_US_PER_S;
    schedule_for(w, 1200);
    assert_in_range(toy_number(w, "SELECT count(*) FROM sync"), 3, 4);
}

static void a_manual_schedule_still_has_its_initial_sync(void **state)
{
    struct toy_world *w = *state;
    schedule_for(w, TOY_DAY_S);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), 1);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync WHERE cause = 'initial'"), 1);
}

static void the_end_of_a_run_that_nobody_heard_of_is_made_up_for(void **state)
{
    struct toy_world *w = *state;
    give_schedule(w, "1m");
    loses_notes = true; /* each of them */
    schedule_for(w, HOUR_S);
    /* The initial one, and one of each minute. */
    assert_in_range(toy_number(w, "SELECT count(*) FROM sync"), 58, 61);
}

/* No memory for the first of two notes: the second is the end of a run. */
static void idle_then_fail(struct toy_world *w)
{
    bool ends = later_at_us && w->wall.us >= later_at_us &&
                toy_number(w, "SELECT count(*) FROM sync WHERE ended_at IS NULL") > 0;
    if (ends)
        pst_sync_connection_changed(w->engine, w->connection_pk);
    idle(w);
    if (ends) {
        later_at_us = 0;
        pst_alloc_fail_at(0);
    }
}

static void the_end_of_a_run_behind_a_failure_is_made_up_for(void **state)
{
    struct toy_world *w = *state;
    give_schedule(w, "1m");
    w->idle = idle_then_fail;
    later_at_us = w->wall.us + 150 * PST_US_PER_S;
    schedule_for(w, HOUR_S);
    assert_int_equal(later_at_us, 0);
    assert_in_range(toy_number(w, "SELECT count(*) FROM sync"), 58, 61);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, toy_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_new_connection_gets_its_initial_sync_then_its_ticks),
        T(an_outage_pauses_the_schedule_and_is_caught_up_by_one_sync),
        T(an_outage_between_two_ticks_is_caught_up_too),
        T(who_syncs_by_hand_catches_up_by_hand),
        T(a_restart_still_owes_the_sync_that_catches_up),
        T(a_run_that_waited_for_the_system_is_what_catches_up),
        T(a_run_that_is_over_is_not_what_catches_up),
        T(a_restart_goes_on_with_the_same_grid),
        T(busy_streams_are_left_out_and_a_busy_connection_is_left_alone),
        T(a_run_that_the_api_queued_is_not_overlapped),
        T(a_switched_off_connection_is_not_synced_until_it_is_on_again),
        T(a_deleted_connection_is_not_synced),
        T(a_manual_schedule_still_has_its_initial_sync),
        T(the_end_of_a_run_that_nobody_heard_of_is_made_up_for),
        T(the_end_of_a_run_behind_a_failure_is_made_up_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
