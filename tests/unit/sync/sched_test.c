/* The scheduler in virtual time: single rules, then random histories against a slow reference. */
#include "sync/sched.h"
#include "tests/unit/test.h"

#define S PST_US_PER_S
#define MIN (60 * S)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)
#define T0 (20000 * DAY) /* somewhere in 2024 */

static struct pst_err err;

struct world {
    struct pst_sched *sched;
    int64_t mono_us, wall_us;
    struct pst_sched_actions actions;
    struct {
        struct pst_sched_run run;
        int64_t at;
    } ran[4096];
    size_t ran_count;
};

static void world_init(struct world *w)
{
    *w = (struct world){.mono_us = 77 * S, .wall_us = T0};
    assert_ok(pst_sched_new(&w->sched, &err));
}

static void tell(struct world *w, struct pst_sched_event event)
{
    assert_ok(pst_sched_step(w->sched, (pst_mono){w->mono_us * 1000}, (pst_wall){w->wall_us},
                             &event, &w->actions, &err));
    for (size_t i = 0; i < w->actions.count; i++) {
        assert_true(w->ran_count < PST_COUNT(w->ran));
        w->ran[w->ran_count].run = w->actions.runs[i];
        w->ran[w->ran_count++].at = w->wall_us;
    }
    assert_true(pst_sched_valid(w->sched));
}

static void finish(struct world *w, int64_t connection)
{
    tell(w, (struct pst_sched_event){.kind = PST_SCHED_FINISHED, .connection = connection});
}

/* Let time pass, stepping when the scheduler asks for it; runs end at once when `instant`. */
static void pass(struct world *w, int64_t us, bool instant)
{
    int64_t end = w->mono_us + us;
    while (w->mono_us < end) {
        int64_t wake = w->actions.wake.ns == INT64_MAX ? end : w->actions.wake.ns / 1000;
        if (wake <= w->mono_us)
            wake = w->mono_us + 1000;
        int64_t to = wake < end ? wake : end;
        w->wall_us += to - w->mono_us;
        w->mono_us = to;
        size_t before = w->ran_count;
        tell(w, (struct pst_sched_event){.kind = PST_SCHED_TIME});
        for (size_t i = before; instant && i < w->ran_count; i++)
            finish(w, w->ran[i].run.connection);
    }
}

static struct pst_sched_event every(int64_t connection, int64_t interval_ms)
{
    return (struct pst_sched_event){.kind = PST_SCHED_PUT,
                                    .connection = connection,
                                    .schedule = PST_SCHEDULE_INTERVAL,
                                    .interval_ms = interval_ms,
                                    .last_run = PST_WALL_NONE};
}

static struct pst_sched_event daily_at_six(int64_t connection)
{
    struct pst_sched_event e = {.kind = PST_SCHED_PUT,
                                .connection = connection,
                                .schedule = PST_SCHEDULE_CRON,
                                .last_run = PST_WALL_NONE};
    assert_ok(pst_cron_parse(&e.cron, PST_STR("0 6 * * *"), &err));
    return e;
}

static void a_new_connection_runs_at_once_then_on_its_grid(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct pst_sched_event put = every(1, 900000);
    put.initial = true;
    put.spread = (uint64_t)(5 * MIN);
    tell(&w, put);
    assert_int_equal(w.ran_count, 1);
    assert_int_equal(w.ran[0].run.kind, PST_RUN_INITIAL);
    finish(&w, 1);
    pass(&w, HOUR, true);
    assert_int_equal(w.ran_count, 5);
    for (size_t i = 1; i < 5; i++) {
        assert_int_equal(w.ran[i].run.kind, PST_RUN_SCHEDULED);
        assert_int_equal(w.ran[i].at, T0 + 5 * MIN + (int64_t)(i - 1) * 15 * MIN);
        assert_int_equal(w.ran[i].run.tick.us, w.ran[i].at);
    }
    pst_sched_free(w.sched);
}

static void a_long_run_is_never_overlapped_and_owes_one(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    tell(&w, every(1, 60000));
    pass(&w, 5 * MIN + 30 * S, false);
    assert_int_equal(w.ran_count, 1); /* four further ticks came while it was running */
    finish(&w, 1);
    assert_int_equal(w.ran_count, 2);
    assert_int_equal(w.ran[1].run.tick.us, w.ran[0].run.tick.us + MIN);
    finish(&w, 1);
    assert_int_equal(w.ran_count, 2);
    pass(&w, MIN, true);
    assert_int_equal(w.ran_count, 3);
    assert_int_equal(w.ran[2].at % MIN, 0); /* the grid stands where it stood */
    pst_sched_free(w.sched);
}

static void days_off_are_one_run(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct pst_sched_event put = every(1, 900000);
    put.last_run.us = T0 - 3 * DAY;
    tell(&w, put);
    assert_int_equal(w.ran_count, 1);
    finish(&w, 1);
    pass(&w, 14 * MIN, true);
    assert_int_equal(w.ran_count, 1);
    pass(&w, MIN, true);
    assert_int_equal(w.ran_count, 2);
    pst_sched_free(w.sched);
}

static void a_run_before_the_start_within_the_interval_owes_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct pst_sched_event put = every(1, 900000);
    put.last_run.us = T0 - 1; /* T0 itself is a tick */
    tell(&w, put);
    assert_int_equal(w.ran_count, 1);
    finish(&w, 1);
    pass(&w, 14 * MIN, true);
    assert_int_equal(w.ran_count, 1);
    pst_sched_free(w.sched);
}

static void what_is_owed_is_run_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct pst_sched_event put = every(1, 7 * DAY / 1000);
    assert_false(pst_sched_is_running(w.sched, 1));
    tell(&w, put);
    pass(&w, HOUR, true);
    size_t before = w.ran_count;
    put.paused = true;
    tell(&w, put);
    put.paused = false;
    put.owed = true; /* between two ticks */
    tell(&w, put);
    pass(&w, MIN, false);
    assert_int_equal(w.ran_count, before + 1);
    assert_int_equal(w.ran[before].run.kind, PST_RUN_SCHEDULED);
    assert_true(pst_sched_is_running(w.sched, 1));
    /* Owed while one is going on: behind it. */
    put.owed = false;
    tell(&w, put);
    put.owed = true;
    tell(&w, put);
    pass(&w, MIN, false);
    assert_int_equal(w.ran_count, before + 1);
    finish(&w, 1);
    pass(&w, MIN, false);
    assert_int_equal(w.ran_count, before + 2);
    finish(&w, 1);
    assert_false(pst_sched_is_running(w.sched, 1));
    put.owed = false;
    tell(&w, put);
    pass(&w, DAY, true);
    assert_int_equal(w.ran_count, before + 2);
    /* Nothing else changed. */
    put.owed = true;
    tell(&w, put);
    pass(&w, MIN, true);
    assert_int_equal(w.ran_count, before + 3);
    pst_sched_free(w.sched);
}

static void paused_connections_wait(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct pst_sched_event put = every(1, 60000);
    put.paused = true;
    put.initial = true;
    tell(&w, put);
    pass(&w, 10 * MIN, true);
    assert_int_equal(w.ran_count, 0);
    assert_true(pst_wall_is_none(pst_sched_next_run(w.sched, 1)));
    put.paused = false;
    tell(&w, put);
    assert_int_equal(w.ran_count, 1);
    assert_int_equal(w.ran[0].run.kind, PST_RUN_INITIAL);
    finish(&w, 1);
    put.initial = false;
    put.paused = true;
    tell(&w, put);
    pass(&w, 10 * MIN + S, true);
    put.paused = false;
    tell(&w, put);
    pass(&w, S, true);
    assert_int_equal(w.ran_count, 2); /* ten ticks were missed: one run */
    pst_sched_free(w.sched);
}

static void a_changed_schedule_owes_nothing_of_the_old_one(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    tell(&w, every(1, 60000));
    pass(&w, 3 * MIN + S, false);
    assert_int_equal(w.ran_count, 1); /* running, and ticks were missed */
    struct pst_sched_event put = every(1, 3600000);
    tell(&w, put);
    finish(&w, 1);
    assert_int_equal(w.ran_count, 1);
    assert_int_equal(pst_sched_next_run(w.sched, 1).us % HOUR, 0);
    put.schedule = PST_SCHEDULE_MANUAL;
    tell(&w, put);
    assert_true(pst_wall_is_none(pst_sched_next_run(w.sched, 1)));
    pass(&w, DAY, true);
    assert_int_equal(w.ran_count, 1);
    pst_sched_free(w.sched);
}

static void every_part_of_a_cron_expression_is_part_of_the_schedule(void **state)
{
    (void)state;
    PST_AUTO(tz) struct pst_tz *utc = NULL;
    assert_ok(pst_tz_load(&utc, NULL, PST_STR("UTC"), &err));
    /* The second of each is due at another time, or its ticks mean something else. */
    static const char *const changes[][2] = {
        {"0 6 * * *", "1 6 * * *"},    {"0 6 * * *", "0 7 * * *"},   {"0 6 1 * *", "0 6 2 * *"},
        {"0 6 1 1 *", "0 6 1 2 *"},    {"0 6 * * 1", "0 6 * * 2"},   {"0 0-23 * * *", "0 * * * *"},
        {"0 6 1-31 * 1", "0 6 * * 1"}, {"0 6 1 * 0-6", "0 6 1 * *"},
    };
    for (size_t i = 0; i < PST_COUNT(changes); i++) {
        struct world w;
        world_init(&w);
        struct pst_sched_event put = daily_at_six(1);
        put.zone = utc;
        assert_ok(pst_cron_parse(&put.cron, pst_str_from(changes[i][0]), &err));
        tell(&w, put);
        /* Running, with a tick of the old schedule missed: the new one does not owe it. */
        put.initial = true;
        tell(&w, put);
        assert_int_equal(w.ran_count, 1);
        w.wall_us += 400 * DAY;
        w.mono_us += 400 * DAY;
        tell(&w, (struct pst_sched_event){.kind = PST_SCHED_TIME});
        pass(&w, S, false);
        assert_int_equal(w.ran_count, 1);
        put.initial = false;
        assert_ok(pst_cron_parse(&put.cron, pst_str_from(changes[i][1]), &err));
        tell(&w, put);
        finish(&w, 1);
        if (w.ran_count != 1)
            fail_msg("%s is taken for %s", changes[i][1], changes[i][0]);
        pst_sched_free(w.sched);
    }
}

static void a_connection_can_be_made_to_begin_anew(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    tell(&w, every(1, 900000));
    struct pst_sched_event put = every(1, 900000);
    put.initial = true;
    tell(&w, put);
    assert_int_equal(w.ran_count, 1);
    assert_int_equal(w.ran[0].run.kind, PST_RUN_INITIAL);
    tell(&w, put); /* while it runs this is nothing new */
    finish(&w, 1);
    assert_int_equal(w.ran_count, 1);
    pst_sched_free(w.sched);
}

static void a_cron_expression_may_have_had_its_last_tick(void **state)
{
    (void)state;
    PST_AUTO(tz) struct pst_tz *utc = NULL;
    assert_ok(pst_tz_load(&utc, NULL, PST_STR("UTC"), &err));
    struct world w;
    world_init(&w);
    pst_wall end = {0};
    assert_true(pst_wall_parse(&end, PST_STR("9998-12-31T12:00:00Z")));
    w.wall_us = end.us;
    struct pst_sched_event put = daily_at_six(1);
    put.zone = utc;
    put.last_run.us = end.us - DAY;
    tell(&w, put); /* that of the morning was missed */
    pass(&w, S, true);
    assert_int_equal(w.ran_count, 1);
    assert_true(pst_wall_is_none(pst_sched_next_run(w.sched, 1)));
    assert_true(pst_wall_is_none(pst_sched_next_run(w.sched, 2))); /* unknown */
    pst_sched_free(w.sched);
    pst_sched_free(NULL);
}

static void an_unchanged_put_changes_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    tell(&w, every(1, 900000));
    pst_wall next = pst_sched_next_run(w.sched, 1);
    pass(&w, MIN, true);
    tell(&w, every(1, 900000));
    assert_int_equal(pst_sched_next_run(w.sched, 1).us, next.us);
    pst_sched_free(w.sched);
}

static void a_clock_set_back_does_not_silence_an_interval(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    tell(&w, every(1, 60000));
    pass(&w, 5 * MIN + S, true);
    assert_int_equal(w.ran_count, 5);
    w.wall_us -= 30 * DAY;
    tell(&w, (struct pst_sched_event){.kind = PST_SCHED_TIME});
    pass(&w, 5 * MIN, true);
    assert_int_equal(w.ran_count, 10);
    pst_sched_free(w.sched);
}

static void a_clock_set_ahead_is_one_run(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    tell(&w, every(1, 60000));
    w.wall_us += 30 * DAY + 30 * S;
    pass(&w, 10 * S, true);
    assert_int_equal(w.ran_count, 1);
    pst_sched_free(w.sched);
}

static void a_cron_tick_is_not_repeated_by_a_small_step_back(void **state)
{
    (void)state;
    PST_AUTO(tz) struct pst_tz *utc = NULL;
    assert_ok(pst_tz_load(&utc, NULL, PST_STR("UTC"), &err));
    struct world w;
    world_init(&w);
    struct pst_sched_event put = daily_at_six(1);
    put.zone = utc;
    tell(&w, put);
    pass(&w, 6 * HOUR + S, true);
    assert_int_equal(w.ran_count, 1);
    w.wall_us -= 10 * MIN;
    pass(&w, HOUR, true);
    assert_int_equal(w.ran_count, 1);
    /* Set back by more, 06:00 comes once more: it is another day's for all we know. */
    w.wall_us -= 2 * HOUR;
    pass(&w, 3 * HOUR, true);
    assert_int_equal(w.ran_count, 2);
    pst_sched_free(w.sched);
}

static void cron_runs_once_a_day_over_both_clock_changes(void **state)
{
    (void)state;
    PST_AUTO(tz) struct pst_tz *berlin = NULL;
    assert_ok(pst_tz_load(&berlin, NULL, PST_STR("Europe/Berlin"), &err));
    static const char *const starts[] = {"2026-03-25T12:00:00Z", "2026-10-21T12:00:00Z"};
    for (size_t i = 0; i < PST_COUNT(starts); i++) {
        struct world w;
        world_init(&w);
        pst_wall start = {0};
        assert_true(pst_wall_parse(&start, pst_str_from(starts[i])));
        w.wall_us = start.us;
        struct pst_sched_event put = daily_at_six(1);
        assert_ok(pst_cron_parse(&put.cron, PST_STR("30 2 * * *"), &err));
        put.zone = berlin;
        tell(&w, put);
        pass(&w, 7 * DAY, true);
        assert_int_equal(w.ran_count, 7);
        pst_sched_free(w.sched);
    }
}

static void a_removed_connection_is_forgotten(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (int64_t c = 1; c <= 100; c++)
        tell(&w, every(c, 60000 + 1000 * c));
    for (int64_t c = 1; c <= 100; c += 2)
        tell(&w, (struct pst_sched_event){.kind = PST_SCHED_REMOVE, .connection = c});
    assert_int_equal(pst_sched_count(w.sched), 50);
    pass(&w, 5 * MIN, true);
    for (size_t i = 0; i < w.ran_count; i++)
        assert_int_equal(w.ran[i].run.connection % 2, 0);
    assert_true(w.ran_count > 50);
    finish(&w, 1); /* unknown: no matter */
    pst_sched_free(w.sched);
}

static void a_hundred_thousand_connections_are_cheap_and_spread(void **state)
{
    (void)state;
    enum { N = 100000 };
    PST_AUTO(sched) struct pst_sched *s = NULL;
    struct pst_sched_actions a;
    int64_t now = T0;
    assert_ok(pst_sched_new(&s, &err));
    for (int64_t c = 1; c <= N; c++) {
        char id[40];
        (void)snprintf(id, sizeof id, "conn_01jd%022lld", (long long)c);
        struct pst_sched_event put = every(c, 86400000);
        put.spread = pst_schedule_spread(pst_str_from(id));
        assert_ok(pst_sched_step(s, (pst_mono){now * 1000}, (pst_wall){now}, &put, &a, &err));
        assert_int_equal(a.count, 0);
    }
    assert_true(pst_sched_valid(s));
    size_t total = 0;
    size_t busiest = 0;
    for (int64_t t = 1; t <= 86400; t++) {
        size_t in_second = 0;
        do {
            const struct pst_sched_event time = {.kind = PST_SCHED_TIME};
            pst_wall wall = {now + t * S};
            assert_ok(pst_sched_step(s, (pst_mono){wall.us * 1000}, wall, &time, &a, &err));
            in_second += a.count;
            struct pst_sched_actions ended = a;
            for (size_t i = 0; i < ended.count; i++) {
                const struct pst_sched_event end = {.kind = PST_SCHED_FINISHED,
                                                    .connection = ended.runs[i].connection};
                assert_ok(pst_sched_step(s, (pst_mono){wall.us * 1000}, wall, &end, &a, &err));
                assert_int_equal(a.count, 0);
            }
            a = ended;
        } while (a.count == PST_SCHED_RUNS);
        total += in_second;
        busiest = in_second > busiest ? in_second : busiest;
    }
    assert_int_equal(total, N);
    assert_true(busiest <= 15); /* 1.2 on average */
}

static void missed_ticks_of_many_are_spread(void **state)
{
    (void)state;
    enum { N = 2000 };
    struct world w;
    world_init(&w);
    for (int64_t c = 1; c <= N; c++) {
        char id[40];
        (void)snprintf(id, sizeof id, "conn_01jd%022lld", (long long)c);
        struct pst_sched_event put = every(c, 3600000);
        put.last_run.us = T0 - DAY;
        put.spread = pst_schedule_spread(pst_str_from(id));
        tell(&w, put);
    }
    assert_true(w.ran_count < N / 10);
    pass(&w, 21 * S, true); /* 10 ms for each */
    assert_true(w.ran_count >= N);
    pst_sched_free(w.sched);
}

static void missed_ticks_wait_for_half_an_interval_or_five_minutes_at_most(void **state)
{
    (void)state;
    static const struct {
        int n;
        int64_t interval_ms, most_us;
    } cases[] = {{7000, 60000, 30 * S}, {40000, 86400000, 300 * S}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(sched) struct pst_sched *s = NULL;
        struct pst_sched_actions a;
        assert_ok(pst_sched_new(&s, &err));
        int64_t latest = 0;
        for (int c = 1; c <= cases[i].n; c++) {
            struct pst_sched_event put = every(c, cases[i].interval_ms);
            put.last_run.us = T0 - 8 * DAY;
            /* Its tick is far away, its place in the spread anywhere. */
            put.spread = (uint64_t)c * 0x9e3779b97f4a7c15U;
            assert_ok(pst_sched_step(s, (pst_mono){T0 * 1000}, (pst_wall){T0}, &put, &a, &err));
            pst_wall next = pst_sched_next_run(s, c);
            if (a.count == 0 && next.us > latest)
                latest = next.us;
        }
        assert_in_range(latest - T0, cases[i].most_us * 9 / 10, cases[i].most_us);
    }
}

static void connections_whose_places_collide_are_kept_apart(void **state)
{
    (void)state;
    struct world w;
    int64_t ids[60];
    world_init(&w);
    uint64_t x = 88172645463325252U;
    for (size_t i = 0; i < PST_COUNT(ids); i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        ids[i] = (int64_t)(x >> 1) + 1;
        tell(&w, every(ids[i], 3600000));
    }
    for (size_t i = 0; i < PST_COUNT(ids); i += 2)
        tell(&w, (struct pst_sched_event){.kind = PST_SCHED_REMOVE, .connection = ids[i]});
    for (size_t i = 0; i < PST_COUNT(ids); i++)
        assert_int_equal(pst_wall_is_none(pst_sched_next_run(w.sched, ids[i])), i % 2 == 0);
    tell(&w, (struct pst_sched_event){.kind = PST_SCHED_REMOVE, .connection = ids[0]});
    assert_int_equal(pst_sched_count(w.sched), 30);
    pst_sched_free(w.sched);
}

static void an_allocation_that_fails_leaves_the_state_as_it_was(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_sched *s = NULL;
        struct pst_sched_actions a;
        if (pst_sched_new(&s, &err) != PST_OK)
            continue;
        int64_t c = 1;
        for (; c <= 200; c++) {
            struct pst_sched_event put = every(c, 60000);
            pst_code rc = pst_sched_step(s, (pst_mono){T0 * 1000}, (pst_wall){T0}, &put, &a, &err);
            if (rc != PST_OK) {
                assert_int_equal(rc, PST_E_NO_MEMORY);
                break;
            }
        }
        assert_int_equal(pst_sched_count(s), c - 1);
        assert_true(pst_sched_valid(s));
        pst_sched_free(s);
    }
    assert_int_equal(pst_alloc_live(), live);
}

/* ---- random histories against a slow reference ---- */

static uint64_t seed;

static int64_t draw(int64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (int64_t)(seed % (uint64_t)below);
}

enum { CONNECTIONS = 8 };

/* What a connection may do, kept apart from the scheduler: a list of its grid's ticks is never
 * built, whether there is one in a stretch of time is decided second by second. */
struct model {
    bool known, paused, running;
    int64_t interval_us, phase_us;
    int64_t settled; /* ticks up to here were run or are not owed */
    int64_t owed_since; /* when the oldest owed tick could have been run; 0 = none */
    int64_t run_ends; /* mono */
};

static bool has_tick(const struct model *m, int64_t after, int64_t upto)
{
    for (int64_t t = after / S * S; t <= upto; t += S)
        if (t > after && (t - m->phase_us) % m->interval_us == 0)
            return true;
    return false;
}

static void judge_runs(struct world *w, struct model *models, size_t from)
{
    for (size_t i = from; i < w->ran_count; i++) {
        struct model *m = &models[w->ran[i].run.connection];
        if (!m->known || m->paused || m->running)
            fail_msg("connection %lld ran when it may not", (long long)w->ran[i].run.connection);
        if (!has_tick(m, m->settled, w->wall_us))
            fail_msg("connection %lld ran without a tick", (long long)w->ran[i].run.connection);
        m->settled = w->wall_us;
        m->owed_since = 0;
        m->running = true;
        m->run_ends = w->mono_us + draw(200) * S;
    }
}

/* Nothing that may run is left waiting for longer than the spread of missed ticks. */
static void judge_waiting(struct world *w, struct model *models)
{
    for (int c = 1; c < CONNECTIONS; c++) {
        struct model *m = &models[c];
        bool may_run = m->known && !m->paused && !m->running;
        if (!may_run || !has_tick(m, m->settled, w->wall_us - S)) {
            m->owed_since = 0;
            continue;
        }
        if (m->owed_since == 0)
            m->owed_since = w->mono_us;
        if (w->mono_us - m->owed_since > 2 * S)
            fail_msg("connection %d waits since %lld s", c,
                     (long long)((w->mono_us - m->owed_since) / S));
    }
}

static void change_something(struct world *w, struct model *models)
{
    int64_t c = 1 + draw(CONNECTIONS - 1);
    struct model *m = &models[c];
    int64_t what = draw(10);
    if (what == 0) {
        tell(w, (struct pst_sched_event){.kind = PST_SCHED_REMOVE, .connection = c});
        *m = (struct model){0};
        return;
    }
    struct pst_sched_event put = every(c, 0);
    bool renew = !m->known || what == 1;
    if (renew) {
        m->interval_us = (20 + draw(300)) * S;
        m->phase_us = draw(m->interval_us / S) * S;
        m->settled = w->wall_us;
    }
    m->known = true;
    if (what < 4)
        m->paused = !m->paused;
    put.interval_ms = m->interval_us / 1000;
    put.spread = (uint64_t)m->phase_us;
    put.paused = m->paused;
    size_t before = w->ran_count;
    tell(w, put);
    judge_runs(w, models, before);
}

static void play(uint64_t with)
{
    struct world w;
    struct model models[CONNECTIONS] = {{0}};
    seed = with * 0x9e3779b97f4a7c15U + 1;
    world_init(&w);
    for (int step = 0; step < 1500; step++) {
        if (draw(30) == 0)
            change_something(&w, models);
        if (draw(200) == 0) /* asleep, or the clock was set ahead */
            w.wall_us += draw(3) * 1000 * S;
        for (int c = 1; c < CONNECTIONS; c++)
            if (models[c].running && models[c].run_ends <= w.mono_us) {
                size_t before = w.ran_count;
                models[c].running = false;
                finish(&w, c);
                judge_runs(&w, models, before);
            }
        int64_t us = (1 + draw(3)) * S;
        w.mono_us += us;
        w.wall_us += us;
        size_t before = w.ran_count;
        tell(&w, (struct pst_sched_event){.kind = PST_SCHED_TIME});
        judge_runs(&w, models, before);
        judge_waiting(&w, models);
    }
    pst_sched_free(w.sched);
}

static void random_histories_keep_every_rule(void **state)
{
    (void)state;
    for (uint64_t with = 1; with <= 100; with++)
        play(with);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_connection_runs_at_once_then_on_its_grid),
        cmocka_unit_test(a_long_run_is_never_overlapped_and_owes_one),
        cmocka_unit_test(days_off_are_one_run),
        cmocka_unit_test(a_run_before_the_start_within_the_interval_owes_nothing),
        cmocka_unit_test(what_is_owed_is_run_once),
        cmocka_unit_test(paused_connections_wait),
        cmocka_unit_test(a_changed_schedule_owes_nothing_of_the_old_one),
        cmocka_unit_test(every_part_of_a_cron_expression_is_part_of_the_schedule),
        cmocka_unit_test(a_connection_can_be_made_to_begin_anew),
        cmocka_unit_test(a_cron_expression_may_have_had_its_last_tick),
        cmocka_unit_test(missed_ticks_wait_for_half_an_interval_or_five_minutes_at_most),
        cmocka_unit_test(connections_whose_places_collide_are_kept_apart),
        cmocka_unit_test(an_unchanged_put_changes_nothing),
        cmocka_unit_test(a_clock_set_back_does_not_silence_an_interval),
        cmocka_unit_test(a_clock_set_ahead_is_one_run),
        cmocka_unit_test(a_cron_tick_is_not_repeated_by_a_small_step_back),
        cmocka_unit_test(cron_runs_once_a_day_over_both_clock_changes),
        cmocka_unit_test(a_removed_connection_is_forgotten),
        cmocka_unit_test(a_hundred_thousand_connections_are_cheap_and_spread),
        cmocka_unit_test(missed_ticks_of_many_are_spread),
        cmocka_unit_test(an_allocation_that_fails_leaves_the_state_as_it_was),
        cmocka_unit_test(random_histories_keep_every_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
