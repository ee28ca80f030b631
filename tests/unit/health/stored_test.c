/* tests/unit/health/stored_test.c: the machine's state through the store, restarts and clocks that
 * jump; the store's rows of outages. */
#include "health/health.h"
#include "store/outages.h"

#include "store/events.h"
#include "tests/unit/store/world.h"

static struct pst_health_time moment(int64_t wall_s, int64_t mono_s)
{
    return (struct pst_health_time){at(wall_s), {mono_s * PST_NS_PER_S}, 0};
}

static struct pst_health load(struct world *w, struct pst_health_time now)
{
    struct pst_health h;
    struct pst_connection c;
    assert_read(w, pst_connections_get_pk(w->reader, w->conn.pk, w->arena, &c, &w->err));
    assert_read(w, pst_health_load(&h, w->reader, &c, &now, &w->err));
    return h;
}

static struct pst_health_actions contact(struct world *w, pst_code code, int64_t wall_s,
                                         int64_t mono_s)
{
    struct pst_health_time now = moment(wall_s, mono_s);
    struct pst_health h = load(w, now);
    const struct pst_health_event e = {.kind = PST_HEALTH_CONTACT,
                                       .code = code,
                                       .reason = code == PST_OK ? NULL : "no route",
                                       .began = now.mono,
                                       .origin = "http://a.example:80"};
    struct pst_health_actions a = pst_health_step(&h, &pst_health_defaults, &now, &e);
    if (a.must_save)
        assert_write(
            w, pst_health_save(w->writer, &h, &a, w->conn.pk, PST_STR("req_1"), &now, &w->err));
    return a;
}

static int64_t count_events(struct world *w)
{
    int64_t newest = 0;
    assert_read(w, pst_events_newest(w->reader, &newest, &w->err));
    return newest;
}

static void an_outage_is_stored_with_its_history_and_events(void **state)
{
    struct world *w = *state;
    bool failing = true;
    assert_int_equal(load(w, moment(0, 100)).version, 0);
    assert_read(w, pst_outages_is_failing(w->reader, w->conn.pk, &failing, &w->err));
    assert_false(failing);
    (void)contact(w, PST_OK, 0, 100);
    assert_int_equal(count_events(w), 1);
    for (int64_t i = 1; i <= 3; i++) {
        (void)contact(w, PST_E_UNREACHABLE, i, 100 + i);
        assert_read(w, pst_outages_is_failing(w->reader, w->conn.pk, &failing, &w->err));
        assert_true(failing);
    }
    assert_int_equal(count_events(w), 2);
    struct pst_health h = load(w, moment(4, 104));
    assert_int_equal(h.status, PST_CONN_OFFLINE);
    assert_int_equal(h.version, 4);
    assert_int_equal(h.failures, 3);
    assert_int_equal(h.failing_since.us, at(1).us);
    assert_true(h.is_origin);
    assert_string_equal(h.cause, "SYSTEM_UNREACHABLE");
    assert_string_equal(h.origin, "http://a.example:80");
    assert_int_equal(h.told, PST_CONN_OFFLINE);
    int64_t busy[2];
    size_t count = 0;
    assert_read(w, pst_outages_busy(w->reader, 0, busy, 2, &count, &w->err));
    assert_int_equal(count, 1);
    assert_int_equal(busy[0], w->conn.pk);
    assert_read(w, pst_outages_busy(w->reader, busy[0], busy, 2, &count, &w->err));
    assert_int_equal(count, 0);
    (void)contact(w, PST_OK, 600, 700);
    assert_true(load(w, moment(600, 700)).owed);
    assert_write(w, pst_outages_settle(w->writer, w->conn.pk, &w->err));
    assert_false(load(w, moment(600, 700)).owed);
    assert_int_equal(count_events(w), 3);
    assert_read(w, pst_outages_busy(w->reader, 0, busy, 2, &count, &w->err));
    assert_int_equal(count, 0);
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, false, at(700), &w->err));
    struct pst_outage row;
    assert_read(w, pst_outages_get(w->reader, w->conn.pk, &row, &w->err));
    assert_int_equal(row.version, 0);
}

static int64_t probe_in_s(struct world *w, int64_t wall_s, int64_t mono_s)
{
    struct pst_health_time now = moment(wall_s, mono_s);
    return (load(w, now).probe.ns - now.mono.ns) / PST_NS_PER_S;
}

static void intervals_survive_restarts_and_clocks_that_jump(void **state)
{
    struct world *w = *state;
    for (int64_t i = 1; i <= 3; i++)
        (void)contact(w, PST_E_UNREACHABLE, 1000 + i, 5000 + i);
    struct pst_health h = load(w, moment(1003, 5003));
    h.probe.ns = 5103 * PST_NS_PER_S;
    const struct pst_health_actions a = {.must_save = true};
    struct pst_health_time now = moment(1003, 5003);
    assert_write(w, pst_health_save(w->writer, &h, &a, w->conn.pk, PST_STR(""), &now, &w->err));
    assert_int_equal(probe_in_s(w, 1003, 5003), 100);
    /* The program was started again; the wall may say what it likes. */
    assert_int_equal(probe_in_s(w, 1043, 5043), 60);
    assert_int_equal(probe_in_s(w, 1043 + 86400, 5043), 60);
    assert_int_equal(probe_in_s(w, 1043 - 86400, 5043), 60);
    assert_int_equal(probe_in_s(w, 1203, 5203), -100);
    /* The machine was: its monotonic clock began anew, and the wall tells what passed. */
    assert_int_equal(probe_in_s(w, 1033, 20), 70);
    assert_int_equal(probe_in_s(w, 1003 + 3600, 20), -3500);
    /* A wall that was set back meanwhile: no time has passed. */
    assert_int_equal(probe_in_s(w, 903, 20), 100);
    /* What is never due stays so. */
    assert_int_equal(load(w, moment(1033, 20)).tell.ns, PST_MONO_NEVER.ns);
}

static void a_hold_down_goes_on_after_a_restart(void **state)
{
    struct world *w = *state;
    (void)contact(w, PST_OK, 0, 10000);
    for (int64_t i = 1; i <= 3; i++)
        (void)contact(w, PST_E_UNREACHABLE, 4000 + i, 14000 + i);
    assert_int_equal(count_events(w), 2);
    (void)contact(w, PST_OK, 4063, 14063); /* a minute later: held back */
    assert_int_equal(count_events(w), 2);
    struct pst_health_time now = moment(4063 + 120, 30); /* the machine was restarted */
    struct pst_health h = load(w, now);
    assert_int_equal(h.status, PST_CONN_ONLINE);
    assert_int_equal(h.told, PST_CONN_OFFLINE);
    assert_int_equal((h.tell.ns - now.mono.ns) / PST_NS_PER_S, 120);
    now = moment(4063 + 241, 151);
    h = load(w, now);
    const struct pst_health_event due = {.kind = PST_HEALTH_TELL};
    struct pst_health_actions a = pst_health_step(&h, &pst_health_defaults, &now, &due);
    assert_true(a.must_tell);
    assert_write(w, pst_health_save(w->writer, &h, &a, w->conn.pk, PST_STR(""), &now, &w->err));
    assert_int_equal(count_events(w), 3);
    assert_int_equal(load(w, now).tell.ns, PST_MONO_NEVER.ns);
}

static void absurd_times_are_held_at_the_ends(void **state)
{
    struct world *w = *state;
    struct pst_outage row = {.connection_pk = w->conn.pk,
                             .failing_since = PST_WALL_NONE,
                             .saved_at = at(0),
                             .saved = {INT64_MAX / 2},
                             .counted = {INT64_MIN + 5},
                             .probe = {INT64_MAX - 5},
                             .tell = PST_MONO_NEVER};
    assert_write(w, pst_outages_put(w->writer, &row, &w->err));
    struct pst_health h = load(w, moment(0, 5));
    assert_int_equal(h.counted.ns, INT64_MIN);
    assert_true(h.probe.ns < PST_MONO_NEVER.ns);
    row.saved.ns = -(INT64_MAX / 2);
    row.version = 1;
    assert_write(w, pst_outages_put(w->writer, &row, &w->err));
    (void)load(w, moment(0, 5));
    /* As the migration leaves it. */
    row.saved.ns = 0;
    row.probe.ns = 0;
    row.version = 2;
    assert_write(w, pst_outages_put(w->writer, &row, &w->err));
    assert_true(load(w, moment(100, 5)).probe.ns < 5 * PST_NS_PER_S);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        T(an_outage_is_stored_with_its_history_and_events),
        T(intervals_survive_restarts_and_clocks_that_jump),
        T(a_hold_down_goes_on_after_a_restart),
        T(absurd_times_are_held_at_the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
