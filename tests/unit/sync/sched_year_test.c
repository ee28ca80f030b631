/* The scheduler through years of virtual time against a second opinion.
 *
 * A connection's ticks are known here beforehand: an interval's by its grid, a cron expression's
 * from an almanac made with libc's zones. Beside the scheduler each connection is followed by a
 * few words of what sync/sched.h promises: from when until when its next run has to begin. Clocks
 * jump, the machine sleeps, runs take long or fail, schedules and zones change, the process
 * starts anew. After every step it is asked: did only run what may, did all run that must, and is
 * the next look neither at once for nothing nor too late.
 */
#include "sync/sched.h"

#include "base/alloc.h"
#include "base/num.h"
#include "sync/schedule.h"
#include "tests/unit/sync/almanac.h"
#include "tests/unit/test.h"

#define US PST_US_PER_S
#define MIN_US (60 * US)
#define HOUR_US (60 * MIN_US)
#define DAY_US (24 * HOUR_US)
#define NEVER INT64_MAX
#define ASLEEP_US (20 * US) /* nobody looked for longer: what was missed is spread */

static struct pst_err err;

static const char *const zones[] = {
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "America/St_Johns",
    "America/Havana",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Asia/Kolkata",
    "Africa/Cairo",
};

static const char *const crons[] = {
    "30 2 * * *",     "*/20 * * * *", "0 0 * * *", "15 */2 * * 1-5",
    "45 1,2,3 * * *", "0 6 * * 1",    "0 3 1 * *", "5 0-4 * * 0",
};

static const int64_t intervals_s[] = {60, 600, 900, 1800, 3600, 7200, 6 * 3600, 86400, 7 * 86400};

/* ---- ticks ---- */

struct calendar {
    struct almanac *almanacs[PST_COUNT(zones)];
    struct pst_tz *tz[PST_COUNT(zones)];
    uint8_t *ticks[PST_COUNT(zones)][PST_COUNT(crons)];
    struct pst_cron parsed[PST_COUNT(crons)];
};

static struct calendar *calendar_new(int64_t start_s)
{
    struct calendar *c = calloc(1, sizeof *c);
    assert_non_null(c);
    for (size_t k = 0; k < PST_COUNT(crons); k++)
        assert_ok(pst_cron_parse(&c->parsed[k], pst_str_from(crons[k]), &err));
    for (size_t z = 0; z < PST_COUNT(zones); z++) {
        assert_ok(pst_tz_load(&c->tz[z], NULL, pst_str_from(zones[z]), &err));
        c->almanacs[z] = almanac_new(zones[z], start_s);
        for (size_t k = 0; k < PST_COUNT(crons); k++)
            c->ticks[z][k] = almanac_ticks(c->almanacs[z], crons[k]);
    }
    return c;
}

static void calendar_free(struct calendar *c)
{
    for (size_t z = 0; z < PST_COUNT(zones); z++) {
        for (size_t k = 0; k < PST_COUNT(crons); k++)
            free(c->ticks[z][k]);
        free(c->almanacs[z]);
        pst_tz_free(c->tz[z]);
    }
    free(c);
}

/* ---- what is known of a connection ---- */

struct model {
    bool known, paused, running, initial;
    enum pst_schedule_kind kind;
    int64_t interval_us;
    uint64_t spread;
    size_t zone, cron;
    int64_t settled; /* ticks up to here were run, or are not owed */
    int64_t ran_at; /* what a restart finds in the store */
    int64_t next; /* the first tick after settled */
    int64_t from, to; /* idle: the next run has to begin within */
    bool owed; /* running: a tick came meanwhile */
    int64_t owed_to; /* ... and its run may be put off until then */
    int64_t owed_tick;
    int64_t run_ends; /* mono */
    uint64_t runs;
};

enum { MAX_CONNECTIONS = 40 };

struct world {
    struct calendar *calendar;
    struct pst_sched *sched;
    struct model models[MAX_CONNECTIONS + 1]; /* by connection number, 1.. */
    int count;
    int64_t mono_us, wall_us; /* now */
    int64_t looked_wall_us, looked_offset_us; /* at the last step */
    bool has_looked;
    int64_t earliest; /* of what may happen; judged again from there on */
    struct pst_sched_actions actions;
    uint64_t seed, steps, runs;
};

static int64_t draw(struct world *w, int64_t below)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return (int64_t)(w->seed % (uint64_t)below);
}

static int64_t tick_after(const struct world *w, const struct model *m, int64_t us)
{
    if (m->kind == PST_SCHEDULE_CRON)
        return almanac_next(w->calendar->almanacs[m->zone], w->calendar->ticks[m->zone][m->cron],
                            us);
    if (m->kind == PST_SCHEDULE_MANUAL)
        return NEVER;
    int64_t phase = (int64_t)(m->spread % (uint64_t)m->interval_us);
    return us + m->interval_us - (us - phase) % m->interval_us;
}

/* The longest that a missed tick may be put off: never behind the tick that follows. */
static int64_t put_off(const struct world *w, const struct model *m)
{
    int64_t known = 0;
    int64_t most = 300 * US;
    for (int c = 1; c <= w->count; c++)
        known += w->models[c].known;
    if (m->kind == PST_SCHEDULE_INTERVAL && m->interval_us / 2 < most)
        most = m->interval_us / 2;
    if (known * 10000 < most)
        most = known * 10000;
    int64_t to = w->wall_us + most;
    int64_t following = tick_after(w, m, w->wall_us);
    return following < to ? following : to;
}

/* When it has to run, from what it did and what time it is. */
static void expect(const struct world *w, struct model *m)
{
    m->next = m->from = m->to = NEVER;
    if (!m->known)
        return;
    m->next = tick_after(w, m, m->settled);
    if (m->paused)
        return;
    if (m->running) {
        if (m->next < w->wall_us) {
            if (!m->owed)
                m->owed_tick = m->next;
            m->owed = true;
            m->owed_to = put_off(w, m);
            m->settled = w->wall_us;
            m->next = tick_after(w, m, m->settled);
        }
        return;
    }
    if (m->initial || m->owed) {
        m->from = w->wall_us;
        m->to = m->initial || m->owed_to < w->wall_us ? w->wall_us : m->owed_to;
        return;
    }
    if (m->next == NEVER)
        return;
    m->from = m->next < w->wall_us ? w->wall_us : m->next;
    m->to = m->next < w->wall_us ? put_off(w, m) : m->next;
}

/* ---- a step ---- */

static void see_run(struct world *w, const struct pst_sched_run *run)
{
    struct model *m = &w->models[run->connection];
    if (!m->known || m->paused)
        fail_msg("%lld ran, and may not", (long long)run->connection);
    if (m->running)
        fail_msg("%lld overlaps itself", (long long)run->connection);
    if (m->from > w->wall_us)
        fail_msg("%lld ran %lld us early", (long long)run->connection,
                 (long long)(m->from - w->wall_us));
    assert_int_equal(run->kind, m->initial ? PST_RUN_INITIAL : PST_RUN_SCHEDULED);
    if (!m->initial && !m->owed)
        assert_int_equal(run->tick.us, m->next);
    m->running = true;
    m->initial = m->owed = false;
    m->settled = m->ran_at = w->wall_us;
    m->runs++;
    w->runs++;
    /* Mostly short, sometimes longer than the interval; failed ones end at once. */
    static const int64_t most_s[] = {1, 30, 300, 4000, 20000};
    m->run_ends = w->mono_us + draw(w, most_s[draw(w, 5)] * US);
    expect(w, m);
}

static void judge_wake(const struct world *w, int64_t earliest)
{
    int64_t wake_us = w->actions.wake.ns == INT64_MAX ? NEVER : w->actions.wake.ns / 1000;
    if (wake_us <= w->mono_us)
        fail_msg("it wants to be called again at once, for nothing");
    if (earliest == NEVER)
        return;
    if (wake_us == NEVER || wake_us - w->mono_us > earliest - w->wall_us + 1000)
        fail_msg("it would sleep for %lld us, and something is due in %lld",
                 (long long)(wake_us - w->mono_us), (long long)(earliest - w->wall_us));
    if (wake_us - w->mono_us > PST_SCHED_LOOK_MS * 1000LL)
        fail_msg("it would not notice that the clock jumped");
}

static void judge(struct world *w)
{
    w->earliest = NEVER;
    for (int c = 1; c <= w->count; c++) {
        struct model *m = &w->models[c];
        if (!m->known || m->paused)
            continue;
        if (m->running && m->next <= w->wall_us) { /* it came while its own run was going on */
            if (!m->owed)
                m->owed_tick = m->next;
            m->owed = true;
            m->settled = m->owed_to = w->wall_us;
            m->next = tick_after(w, m, m->settled);
        }
        if (!m->running && m->to <= w->wall_us)
            fail_msg("%d waits, and is due since %lld us", c, (long long)(w->wall_us - m->to));
        int64_t soonest = m->running ? m->next : m->to;
        if (soonest < w->earliest)
            w->earliest = soonest;
    }
}

/* What the scheduler has to notice of the clocks at its next step. */
static void foresee_clock(struct world *w)
{
    int64_t offset = w->wall_us - w->mono_us;
    bool went_back = w->has_looked && offset < w->looked_offset_us - US;
    bool slept = w->has_looked && w->wall_us - w->looked_wall_us > ASLEEP_US;
    for (int c = 1; (went_back || slept) && c <= w->count; c++) {
        struct model *m = &w->models[c];
        if (went_back && m->settled > w->wall_us &&
            (m->kind != PST_SCHEDULE_CRON || m->settled - w->wall_us > HOUR_US))
            m->settled = w->wall_us;
        if (went_back || (m->running ? m->next : m->from) < w->wall_us) {
            bool was_put_off = !went_back && !m->running && m->from != m->to;
            int64_t to = m->to > w->wall_us ? m->to : w->wall_us;
            expect(w, m);
            if (was_put_off)
                m->to = to;
        }
        w->earliest = INT64_MIN; /* judge all anew */
    }
    w->looked_wall_us = w->wall_us;
    w->looked_offset_us = offset;
    w->has_looked = true;
}

static void step(struct world *w, const struct pst_sched_event *event)
{
    static const struct pst_sched_event time = {.kind = PST_SCHED_TIME};
    bool is_dull = event->kind == PST_SCHED_TIME;
    do {
        assert_ok(pst_sched_step(w->sched, (pst_mono){w->mono_us * 1000}, (pst_wall){w->wall_us},
                                 event, &w->actions, &err));
        w->steps++;
        is_dull = is_dull && w->actions.count == 0;
        for (size_t i = 0; i < w->actions.count; i++)
            see_run(w, &w->actions.runs[i]);
        event = &time;
    } while (w->actions.count == PST_SCHED_RUNS);
    if (!is_dull || w->wall_us >= w->earliest)
        judge(w);
    judge_wake(w, w->earliest);
}

static void tick(struct world *w)
{
    foresee_clock(w);
    step(w, &(struct pst_sched_event){.kind = PST_SCHED_TIME});
}

/* ---- what happens ---- */

static void put(struct world *w, int c, bool is_new)
{
    struct model *m = &w->models[c];
    const struct pst_sched_event event = {
        .kind = PST_SCHED_PUT,
        .connection = c,
        .schedule = m->kind,
        .interval_ms = m->interval_us / 1000,
        .cron = w->calendar->parsed[m->cron],
        .zone = w->calendar->tz[m->zone],
        .spread = m->spread,
        .paused = m->paused,
        .initial = m->initial,
        .running = is_new && m->running,
        .last_run = {is_new ? m->ran_at : 0},
    };
    m->known = !is_new;
    foresee_clock(w);
    m->known = true;
    if (is_new) {
        m->settled = m->ran_at == INT64_MIN ? w->wall_us : m->ran_at;
        if (m->settled > w->wall_us &&
            (m->kind != PST_SCHEDULE_CRON || m->settled - w->wall_us > HOUR_US))
            m->settled = w->wall_us;
        m->owed = false;
    }
    expect(w, m);
    step(w, &event);
}

static void choose_schedule(struct world *w, struct model *m, size_t shortest)
{
    int64_t what = draw(w, 20);
    m->kind = what == 0  ? PST_SCHEDULE_MANUAL
              : what < 9 ? PST_SCHEDULE_CRON
                         : PST_SCHEDULE_INTERVAL;
    m->cron = (size_t)draw(w, PST_COUNT(crons));
    m->zone = (size_t)draw(w, PST_COUNT(zones));
    size_t i = shortest + (size_t)draw(w, (int64_t)(PST_COUNT(intervals_s) - shortest));
    m->interval_us = intervals_s[i] * US;
}

static void add_connection(struct world *w, int c, size_t shortest)
{
    struct model *m = &w->models[c];
    *m = (struct model){
        .known = true, .initial = draw(w, 2), .ran_at = INT64_MIN, .run_ends = NEVER};
    m->spread = (uint64_t)draw(w, INT64_MAX);
    choose_schedule(w, m, shortest);
    put(w, c, true);
}

/* The ticks of the old schedule are not owed under the new one. */
static void change_schedule(struct world *w, struct model *m, int c, bool zone_only)
{
    size_t zone = m->zone;
    if (zone_only)
        m->zone = (size_t)draw(w, PST_COUNT(zones));
    else
        choose_schedule(w, m, 0);
    if (zone_only && zone == m->zone)
        return;
    foresee_clock(w);
    m->settled = w->wall_us;
    m->owed = false;
    put(w, c, false);
}

/* The store knows when each began its last run; runs under way go on or were lost. */
static void restart(struct world *w)
{
    pst_sched_free(w->sched);
    assert_ok(pst_sched_new(&w->sched, &err));
    bool was[MAX_CONNECTIONS + 1] = {false};
    int64_t asleep = draw(w, 3) ? 2 * US : draw(w, 5 * HOUR_US);
    w->mono_us = 50 * US; /* another boot */
    w->wall_us += asleep;
    w->has_looked = false;
    for (int c = 1; c <= w->count; c++) {
        was[c] = w->models[c].known;
        w->models[c].known = false;
    }
    for (int c = 1; c <= w->count; c++) {
        struct model *m = &w->models[c];
        if (!was[c])
            continue;
        m->known = true;
        if (m->running && draw(w, 2)) /* its end is told some time later */
            m->run_ends = w->mono_us + draw(w, 1000 * US);
        else
            m->running = false;
        put(w, c, true);
    }
}

/* A jump back must not leave it to a microsecond whether a cron tick is remembered. */
static bool is_borderline(const struct world *w, int64_t wall_us)
{
    for (int c = 1; c <= w->count; c++) {
        const struct model *m = &w->models[c];
        int64_t ahead = m->settled - wall_us - HOUR_US;
        if (m->known && ((ahead > -MIN_US && ahead < MIN_US) || (m->running && m->owed)))
            return true;
    }
    return false;
}

static void set_clock(struct world *w, int64_t base_offset_us)
{
    static const int64_t most[] = {900000, 5 * US, 10 * MIN_US, 3 * HOUR_US, 2 * DAY_US};
    int64_t by = draw(w, most[draw(w, 5)]) * (draw(w, 2) ? 1 : -1);
    int64_t drift = w->wall_us + by - w->mono_us - base_offset_us;
    if (drift < -3 * DAY_US || drift > 3 * DAY_US || (by < 0 && is_borderline(w, w->wall_us + by)))
        return;
    w->wall_us += by;
}

static void do_something(struct world *w, int64_t *base_offset_us)
{
    int c = 1 + (int)draw(w, w->count);
    struct model *m = &w->models[c];
    switch (draw(w, 12)) {
    case 0:
        if (m->known)
            change_schedule(w, m, c, /* zone_only */ false);
        break;
    case 1:
        if (m->known && m->kind == PST_SCHEDULE_CRON)
            change_schedule(w, m, c, /* zone_only */ true);
        break;
    case 2:
    case 3:
        m->paused = !m->paused;
        if (m->known)
            put(w, c, false);
        break;
    case 4:
        foresee_clock(w);
        m->known = false;
        m->running = false;
        step(w, &(struct pst_sched_event){.kind = PST_SCHED_REMOVE, .connection = c});
        break;
    case 5: /* the machine sleeps, or is busy with other things */
        w->wall_us += draw(w, 2) ? draw(w, 4 * HOUR_US) : draw(w, 10 * US);
        *base_offset_us = w->wall_us - w->mono_us;
        break;
    case 6:
        restart(w);
        *base_offset_us = w->wall_us - w->mono_us;
        break;
    case 7: /* told of an end that nobody waits for */
        foresee_clock(w);
        if (!m->running)
            step(w, &(struct pst_sched_event){.kind = PST_SCHED_FINISHED, .connection = c});
        break;
    default:
        set_clock(w, *base_offset_us);
        break;
    }
    if (!m->known && draw(w, 2))
        add_connection(w, c, 0);
}

static void end_runs(struct world *w)
{
    for (int c = 1; c <= w->count; c++) {
        struct model *m = &w->models[c];
        if (!m->known || !m->running || m->run_ends > w->mono_us)
            continue;
        foresee_clock(w);
        m->running = false;
        expect(w, m);
        step(w, &(struct pst_sched_event){.kind = PST_SCHED_FINISHED, .connection = c});
    }
}

/* Let time pass until something is to happen, but not behind `until` (mono). */
static void pass(struct world *w, int64_t until)
{
    while (w->mono_us < until) {
        int64_t to = w->actions.wake.ns == INT64_MAX ? until : w->actions.wake.ns / 1000;
        for (int c = 1; c <= w->count; c++)
            if (w->models[c].known && w->models[c].running && w->models[c].run_ends < to)
                to = w->models[c].run_ends;
        to = to > until ? until : to;
        to = to <= w->mono_us ? w->mono_us + 1 : to;
        w->wall_us += to - w->mono_us;
        w->mono_us = to;
        end_runs(w);
        tick(w);
    }
}

static void world_init(struct world *w, struct calendar *calendar, uint64_t seed, int count,
                       size_t shortest, int64_t wall_us)
{
    *w = (struct world){.calendar = calendar,
                        .seed = seed * 0x9e3779b97f4a7c15U + 1,
                        .count = count,
                        .mono_us = 123 * US,
                        .wall_us = wall_us,
                        .earliest = NEVER};
    assert_ok(pst_sched_new(&w->sched, &err));
    for (int c = 1; c <= count; c++)
        add_connection(w, c, shortest);
}

/* ---- tests ---- */

#define START_S 1767225600LL /* 2026-01-01 */

static void a_year_on_the_grid(void **state)
{
    struct calendar *calendar = *state;
    struct world w;
    world_init(&w, calendar, 1, MAX_CONNECTIONS, 2, (START_S + 10 * 86400) * US);
    pass(&w, w.mono_us + 366 * DAY_US);
    assert_true(w.runs > 100000);
    /* A look every five seconds, two steps a run, and nothing else. */
    assert_true(w.steps < 366ULL * 86400 / 5 + 4 * w.runs + 1000);
    for (int c = 1; c <= w.count; c++)
        if (w.models[c].kind != PST_SCHEDULE_MANUAL && w.models[c].runs < 10)
            fail_msg("connection %d ran %u times", c, (unsigned)w.models[c].runs);
    assert_true(pst_sched_valid(w.sched));
    pst_sched_free(w.sched);
}

static void restless_weeks(void **state)
{
    struct calendar *calendar = *state;
    for (uint64_t seed = 2; seed < 82; seed++) {
        struct world w;
        /* Over both changes of the clocks in the north, and those of the south. */
        int64_t day = 70 + (int64_t)(seed * 37 % 260);
        world_init(&w, calendar, seed, 12, 0, (START_S + day * 86400) * US);
        int64_t base_offset_us = w.wall_us - w.mono_us;
        for (int i = 0; i < 400; i++) {
            pass(&w, w.mono_us + draw(&w, draw(&w, 4) ? 20 * MIN_US : 2 * HOUR_US));
            do_something(&w, &base_offset_us);
        }
        assert_true(pst_sched_valid(w.sched));
        pst_sched_free(w.sched);
    }
}

/* ---- many at once ---- */

enum { MANY = 10000 };

/* The runs of the next `seconds`: how many, and how many in the busiest second. Each ends at
 * once. */
static size_t count_runs(struct pst_sched *s, int64_t *us, int seconds, size_t *busiest)
{
    static int64_t open[MANY];
    struct pst_sched_actions a;
    size_t total = 0;
    *busiest = 0;
    for (int i = 0; i < seconds; i++, *us += US) {
        size_t in_second = 0;
        size_t ended = 0;
        struct pst_sched_event event = {.kind = PST_SCHED_TIME};
        for (;;) {
            assert_ok(pst_sched_step(s, (pst_mono){*us * 1000}, (pst_wall){*us}, &event, &a, &err));
            for (size_t r = 0; r < a.count; r++)
                open[in_second++] = a.runs[r].connection;
            if (ended == in_second)
                break;
            event.kind = PST_SCHED_FINISHED;
            event.connection = open[ended++];
        }
        assert_true(a.wake.ns > *us * 1000);
        total += in_second;
        *busiest = in_second > *busiest ? in_second : *busiest;
    }
    return total;
}

static struct pst_sched *many_new(int64_t us, int64_t last_run_us)
{
    struct pst_sched *s = NULL;
    struct pst_sched_actions a;
    assert_ok(pst_sched_new(&s, &err));
    for (int c = 1; c <= MANY; c++) {
        char id[40];
        (void)snprintf(id, sizeof id, "conn_01jd%022d", c);
        const struct pst_sched_event put = {.kind = PST_SCHED_PUT,
                                            .connection = c,
                                            .schedule = PST_SCHEDULE_INTERVAL,
                                            .interval_ms = 900000,
                                            .spread = pst_schedule_spread(pst_str_from(id)),
                                            .running = true, /* not before all are known */
                                            .last_run = {last_run_us}};
        assert_ok(pst_sched_step(s, (pst_mono){us * 1000}, (pst_wall){us}, &put, &a, &err));
        assert_int_equal(a.count, 0);
    }
    for (int c = 1; c <= MANY; c++) {
        const struct pst_sched_event end = {.kind = PST_SCHED_FINISHED, .connection = c};
        assert_ok(pst_sched_step(s, (pst_mono){us * 1000}, (pst_wall){us}, &end, &a, &err));
    }
    return s;
}

static void ten_thousand_connections_stay_spread(void **state)
{
    (void)state;
    size_t busiest = 0;
    int64_t us = START_S * US + 7;
    struct pst_sched *s = many_new(us, us);
    assert_int_equal(count_runs(s, &us, 901, &busiest), MANY);
    assert_in_range(busiest, 12, 30); /* 11 on average */
    us += 3 * HOUR_US; /* asleep: 100 s for all, and the ticks of that time */
    assert_in_range(count_runs(s, &us, 101, &busiest), MANY, MANY + MANY / 8);
    assert_in_range(busiest, 100, 170);
    assert_int_equal(count_runs(s, &us, 900, &busiest), MANY);
    assert_in_range(busiest, 12, 30);
    pst_sched_free(s);
}

int main(void)
{
    struct calendar *calendar = calendar_new(START_S);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(a_year_on_the_grid, calendar),
        cmocka_unit_test_prestate(restless_weeks, calendar),
        cmocka_unit_test(ten_thousand_connections_stay_spread),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    calendar_free(calendar);
    return failed;
}
