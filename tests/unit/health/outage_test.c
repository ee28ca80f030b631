/* tests/unit/health/outage_test.c: the machine in virtual time: random contacts against a reference
 * that looks at the whole log, links that alternate, a year of outages, the draws of the backoff.
 */
#include <stdlib.h>

#include "../test.h"

#include "base/cleanup.h"
#include "health/health.h"

#define MINUTE (60 * PST_NS_PER_S)
#define HOUR (60 * MINUTE)

enum { EVENTS_MAX = 100000 };

/* splitmix64: every run draws the same. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t *state, uint64_t bound)
{
    return draw(state) % bound;
}

/* ---- backoff ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The greatest distance between what was drawn and an even spread. */
static double kolmogorov(double *draws, size_t count)
{
    double worst = 0;
    qsort(draws, count, sizeof(*draws), by_value);
    for (size_t i = 0; i < count; i++) {
        double over = (double)(i + 1) / (double)count - draws[i];
        double under = draws[i] - (double)i / (double)count;
        worst = over > worst ? over : worst;
        worst = under > worst ? under : worst;
    }
    return worst;
}

static void waits_are_spread_evenly_and_double_up_to_half_an_hour(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    static double draws[DRAWS];
    static const int64_t ends_s[] = {15, 30, 60, 120, 240, 480, 960, 1800, 1800, 1800};
    const struct pst_backoff *b = &pst_health_defaults.backoff;
    uint64_t seed = 7;
    for (size_t step = 0; step < PST_COUNT(ends_s); step++) {
        int64_t end = ends_s[step] * 1000;
        assert_int_equal(pst_backoff_range_ms(b, (int64_t)step), end);
        for (size_t i = 0; i < DRAWS; i++) {
            int64_t ms = pst_backoff_ms(b, (int64_t)step, draw(&seed));
            assert_true(ms >= 1000 && ms <= end);
            draws[i] = (double)(ms - 1000 + 1) / (double)(end - 1000 + 1);
        }
        assert_true(kolmogorov(draws, DRAWS) < 1.95 / 316.2); /* p > 0.001 */
    }
    assert_int_equal(pst_backoff_range_ms(b, INT64_MAX), 1800000);
    assert_int_equal(pst_backoff_range_ms(&(struct pst_backoff){10, 20}, 0), 1000);
}

static void a_busy_system_is_left_alone_as_it_asks_and_never_longer_than_half_an_hour(void **state)
{
    (void)state;
    const struct pst_backoff *b = &pst_health_defaults.backoff;
    static const struct {
        uint64_t random;
        int64_t asked_s, wait_ms;
    } CASES[] = {
        {0, 0, 1000},
        {0, 1, 1000},
        {0, 2, 2000},
        {13999, 2, 14999},
        {13999, 15, 15000},
        {0, 1799, 1799000},
        {0, 1800, 1800000},
        {0, 1801, 1800000},
        {14000, 86400, 1800000},
        {14000, 0, 15000},
        {0, INT32_MAX, 1800000},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++)
        assert_int_equal(pst_backoff_asked_ms(b, 0, CASES[i].random, CASES[i].asked_s * 1000),
                         CASES[i].wait_ms);
}

/* ---- random contacts against the log ---- */

enum what { GOOD, DOWN, BUSY, REFUSED, NEW_CREDENTIALS, WHATS };

struct entry {
    enum what what;
    int64_t began, ended; /* seconds */
};

/* What the log as a whole says, read from its end. */
static enum pst_conn_status status_by_log(const struct entry *log, size_t count, int offline_after)
{
    size_t from = 0;
    for (size_t i = 0; i < count; i++)
        if (log[i].what == NEW_CREDENTIALS)
            from = i + 1;
    for (size_t i = from; i < count; i++)
        if (log[i].what == REFUSED)
            return PST_CONN_REAUTH;
    size_t last_good = from;
    bool was_good = false;
    for (size_t i = from; i < count; i++)
        if (log[i].what == GOOD) {
            last_good = i;
            was_good = true;
        }
    int failures = 0;
    int64_t counted = INT64_MIN;
    for (size_t i = last_good; i < count; i++)
        if (log[i].what == DOWN && log[i].began >= counted) {
            failures++;
            counted = log[i].ended;
        }
    if (failures >= offline_after)
        return PST_CONN_OFFLINE;
    return was_good ? PST_CONN_ONLINE : PST_CONN_PENDING;
}

/* Whether nothing was found out with the credentials in force, and they are not the first ones. */
static bool is_untried(const struct entry *log, size_t count)
{
    while (count > 0 && log[count - 1].what == BUSY)
        count--;
    return count > 0 && log[count - 1].what == NEW_CREDENTIALS;
}

static struct pst_health_event event_of(const struct entry *e)
{
    static const pst_code codes[] = {[GOOD] = PST_OK,
                                     [DOWN] = PST_E_UNREACHABLE,
                                     [BUSY] = PST_E_SYSTEM_BUSY,
                                     [REFUSED] = PST_E_REAUTH,
                                     [NEW_CREDENTIALS] = PST_OK};
    return (struct pst_health_event){.kind = e->what == NEW_CREDENTIALS ? PST_HEALTH_CREDENTIALS
                                                                        : PST_HEALTH_CONTACT,
                                     .code = codes[e->what],
                                     .reason = "x",
                                     .began = {e->began * PST_NS_PER_S}};
}

static void any_sequence_of_contacts_leads_where_the_log_says(void **state)
{
    (void)state;
    enum { LENGTH = 60, RUNS = 20000 };
    static struct entry log[LENGTH];
    for (uint64_t run = 0; run < RUNS; run++) {
        uint64_t seed = run;
        struct pst_health_options o = pst_health_defaults;
        o.offline_after = 1 + (int)below(&seed, 10);
        struct pst_health h = pst_health_initial((pst_wall){0}, true, "");
        int64_t now_s = 100;
        unsigned mood = 0;
        for (size_t i = 0; i < LENGTH; i++) {
            now_s += (int64_t)below(&seed, 20);
            mood = below(&seed, 8) ? mood : (unsigned)below(&seed, 2); /* runs of either kind */
            uint64_t dice = below(&seed, 100);
            log[i].what = dice < 90 ? (enum what)mood : (enum what)below(&seed, WHATS);
            log[i].ended = now_s;
            log[i].began = now_s - (int64_t)below(&seed, 15);
            struct pst_health_time now = {{now_s * PST_US_PER_S}, {now_s * PST_NS_PER_S}, dice};
            struct pst_health_event event = event_of(&log[i]);
            (void)pst_health_step(&h, &o, &now, &event);
            enum pst_conn_status expected = status_by_log(log, i + 1, o.offline_after);
            if (h.status != expected)
                fail_msg("run %llu, contact %zu: %s, the log says %s", (unsigned long long)run, i,
                         pst_conn_status_name(h.status), pst_conn_status_name(expected));
            bool is_probed = h.probe.ns != PST_MONO_NEVER.ns;
            assert_int_equal(is_probed, is_untried(log, i + 1) ||
                                            (h.failures > 0 && h.status != PST_CONN_REAUTH));
            assert_true(h.status != PST_CONN_OFFLINE || is_probed);
            assert_int_equal(pst_wall_is_none(h.failing_since), h.failures == 0);
        }
    }
}

/* ---- a world with a link that goes and comes ---- */

struct told {
    int64_t ns;
    enum pst_conn_status status;
};

struct world {
    struct pst_health health;
    struct pst_health_options options;
    int64_t now; /* monotonic */
    int64_t wall_offset_us; /* jumps */
    uint64_t seed;
    int64_t poll; /* ns between contacts of its own while it is not offline */
    int64_t next_poll;
    struct told told[EVENTS_MAX];
    size_t told_count;
    int64_t changed; /* last change of the status */
    size_t changes;
    size_t probes, catch_ups;
};
static struct world world;

static void world_begin(int64_t poll, uint64_t seed)
{
    world = (struct world){.health = pst_health_initial((pst_wall){0}, true, ""),
                           .options = pst_health_defaults,
                           .now = 10 * HOUR,
                           .seed = seed,
                           .poll = poll};
    world.next_poll = world.now;
}

static void world_step(struct pst_health_event event)
{
    struct world *w = &world;
    struct pst_health_time now = {{w->now / 1000 + w->wall_offset_us}, {w->now}, draw(&w->seed)};
    event.began = now.mono;
    struct pst_health_actions a = pst_health_step(&w->health, &w->options, &now, &event);
    if (a.has_changed) {
        w->changed = w->now;
        w->changes++;
    }
    if (w->health.owed) {
        w->catch_ups++;
        w->health.owed = false; /* the planner queues it */
    }
    if (a.must_tell)
        w->told[w->told_count++] = (struct told){w->now, w->health.status};
}

static void world_contact(bool is_up, enum pst_trial trial)
{
    world_step((struct pst_health_event){.kind = PST_HEALTH_CONTACT,
                                         .code = is_up ? PST_OK : PST_E_UNREACHABLE,
                                         .reason = is_up ? NULL : "down",
                                         .trial = trial});
}

/* On to `until`, the link being up or down all the time. */
static void world_run(int64_t until, bool is_up)
{
    struct world *w = &world;
    for (;;) {
        bool polls = w->health.status != PST_CONN_OFFLINE;
        int64_t next = polls ? w->next_poll : INT64_MAX;
        next = w->health.probe.ns < next ? w->health.probe.ns : next;
        next = w->health.tell.ns < next ? w->health.tell.ns : next;
        if (next > until)
            break;
        w->now = next > w->now ? next : w->now;
        if (w->health.tell.ns <= w->now) {
            world_step((struct pst_health_event){.kind = PST_HEALTH_TELL});
        } else if (w->health.probe.ns <= w->now) {
            w->probes++;
            world_contact(is_up, PST_TRIAL_PROBE);
        } else {
            world_contact(is_up, PST_TRIAL_NONE);
        }
        if (w->next_poll <= w->now)
            w->next_poll = w->now + w->poll;
    }
    w->now = until;
    if (w->next_poll < w->now)
        w->next_poll = w->now;
}

static void assert_told_calmly(const char *what)
{
    const struct world *w = &world;
    /* The first contact's event is what a person waits for, and starts no hold-down. */
    for (size_t i = 1; i < w->told_count; i++) {
        if (w->told[i].status == w->told[i - 1].status)
            fail_msg("%s: the same status was told twice in a row", what);
        if (i >= 3 && w->told[i].ns - w->told[i - 2].ns < 10 * MINUTE)
            fail_msg("%s: three events within ten minutes", what);
    }
}

static void a_link_that_alternates_is_told_of_twice_in_ten_minutes(void **state)
{
    (void)state;
    static const double periods_s[] = {0.5, 1,   2,   3,   5,   7,   10,  15,  20,  30,
                                       45,  60,  75,  90,  100, 120, 150, 180, 200, 240,
                                       270, 300, 330, 360, 400, 440, 480, 520, 560, 600};
    for (size_t i = 0; i < PST_COUNT(periods_s); i++) {
        for (int settles = 0; settles <= 1; settles++) {
            char what[40];
            (void)snprintf(what, sizeof(what), "period %.1f s", periods_s[i]);
            world_begin(PST_NS_PER_S / 5, 11 + i);
            world.options.backoff = (struct pst_backoff){1000, 2000}; /* sees every turn */
            int64_t half = (int64_t)(periods_s[i] * (double)PST_NS_PER_S / 2);
            world_run(world.now + HOUR, true);
            for (int64_t end = world.now + 4 * HOUR; world.now < end;) {
                world_run(world.now + half, false);
                world_run(world.now + half, true);
                assert_true(world.told_count < EVENTS_MAX - 10);
            }
            world_run(world.now + HOUR, settles != 0);
            assert_told_calmly(what);
            assert_int_equal(world.health.status, settles ? PST_CONN_ONLINE : PST_CONN_OFFLINE);
            const struct told *last = &world.told[world.told_count - 1];
            if (last->status != world.health.status || last->ns > world.changed + 5 * MINUTE)
                fail_msg("%s: the last status was not told in time", what);
        }
    }
}

static void relapses_are_told_less_and_less(void **state)
{
    (void)state;
    world_begin(PST_NS_PER_S, 5);
    world.options.backoff = (struct pst_backoff){1000, 2000};
    world_run(world.now + HOUR, true);
    size_t before = world.told_count;
    for (int i = 0; i < 120; i++) { /* four hours, a minute each way */
        world_run(world.now + MINUTE, false);
        world_run(world.now + MINUTE, true);
    }
    assert_true(world.changes > 200);
    assert_true(world.told_count - before <= 4 * 2 + 5);
    assert_int_equal(world.health.hold_ms, 30 * 60 * 1000);
    /* A calm hour, and the next outage is told as if nothing had been. */
    world_run(world.now + HOUR, true);
    size_t calm = world.told_count;
    world_run(world.now + MINUTE, false);
    assert_int_equal(world.told_count, calm + 1);
    assert_int_equal(world.health.hold_ms, 5 * 60 * 1000);
}

static void a_year_of_outages_is_told_one_by_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        world_begin(15 * MINUTE, seed);
        size_t outages = 0;
        world_run(world.now + HOUR, true);
        assert_int_equal(world.told_count, 1);
        int64_t end = world.now + 365 * 24 * HOUR;
        while (world.now < end) {
            /* Longer than a poll and its confirmation, so that it is seen; calm in between, so
             * that nothing is joined. The clock on the wall jumps as it likes. */
            int64_t length = 17 * MINUTE + (int64_t)below(&world.seed, 12) * HOUR;
            int64_t begun = world.now;
            size_t before = world.told_count;
            world_run(world.now + length / 2, false);
            world.wall_offset_us += (int64_t)below(&world.seed, 7200) * PST_US_PER_S - 3600000000;
            world_run(begun + length, false);
            assert_int_equal(world.health.status, PST_CONN_OFFLINE);
            assert_int_equal(world.told_count, before + 1);
            assert_true(world.told[before].ns - begun <= 15 * MINUTE + 10 * PST_NS_PER_S);
            size_t caught_up = world.catch_ups;
            int64_t back = world.now;
            world_run(world.now + 31 * MINUTE + (int64_t)below(&world.seed, 24) * HOUR, true);
            assert_int_equal(world.told_count, before + 2);
            assert_int_equal(world.told[before + 1].status, PST_CONN_ONLINE);
            assert_true(world.told[before + 1].ns - back <= 30 * MINUTE);
            assert_int_equal(world.catch_ups, caught_up + 1);
            outages++;
        }
        assert_true(outages > 300);
        assert_int_equal(world.told_count, 1 + 2 * outages);
        assert_int_equal(world.changes, world.told_count);
        assert_told_calmly("a year");
    }
}

static void a_short_outage_is_told_with_its_end_held_back(void **state)
{
    (void)state;
    world_begin(PST_NS_PER_S, 3);
    world.options.backoff = (struct pst_backoff){1000, 2000};
    world_run(world.now + HOUR, true);
    int64_t begun = world.now;
    world_run(world.now + MINUTE, false);
    assert_int_equal(world.told_count, 2);
    world_run(world.now + 2 * MINUTE, true);
    assert_int_equal(world.health.status, PST_CONN_ONLINE);
    assert_int_equal(world.told_count, 2);
    world_step((struct pst_health_event){.kind = PST_HEALTH_TELL}); /* too early */
    assert_int_equal(world.told_count, 2);
    world_run(world.now + 10 * MINUTE, true);
    assert_int_equal(world.told_count, 3);
    assert_true(world.told[2].ns - begun <= 6 * MINUTE);
    /* With no hold-down every change is told. */
    world.options.hold_first_ms = world.options.hold_max_ms = 0;
    for (int i = 0; i < 5; i++) {
        world_run(world.now + MINUTE, false);
        world_run(world.now + MINUTE, true);
    }
    assert_int_equal(world.told_count, 13);
}

static void what_people_do_and_refusals_are_told_at_once(void **state)
{
    (void)state;
    world_begin(PST_NS_PER_S, 3);
    world.options.backoff = (struct pst_backoff){1000, 2000};
    world_run(world.now + 10 * PST_NS_PER_S, true);
    world_run(world.now + 20 * PST_NS_PER_S, false); /* right after it was made */
    assert_int_equal(world.told_count, 2);
    world_run(world.now + 20 * PST_NS_PER_S, true);
    assert_int_equal(world.told_count, 2); /* held */
    world_step((struct pst_health_event){
        .kind = PST_HEALTH_CONTACT, .code = PST_E_REAUTH, .http_status = 401, .reason = "no"});
    assert_int_equal(world.told_count, 3);
    assert_int_equal(world.told[2].status, PST_CONN_REAUTH);
    world_step((struct pst_health_event){.kind = PST_HEALTH_CREDENTIALS});
    assert_int_equal(world.told_count, 3); /* pending is not told of */
    world_contact(true, PST_TRIAL_NONE);
    assert_int_equal(world.told_count, 4);
    world_step((struct pst_health_event){.kind = PST_HEALTH_DISABLED});
    world_step((struct pst_health_event){.kind = PST_HEALTH_TELL});
    world_step((struct pst_health_event){.kind = PST_HEALTH_ENABLED});
    assert_int_equal(world.told_count, 4);
    world_contact(true, PST_TRIAL_NONE);
    assert_int_equal(world.told_count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_are_spread_evenly_and_double_up_to_half_an_hour),
        cmocka_unit_test(a_busy_system_is_left_alone_as_it_asks_and_never_longer_than_half_an_hour),
        cmocka_unit_test(any_sequence_of_contacts_leads_where_the_log_says),
        cmocka_unit_test(a_link_that_alternates_is_told_of_twice_in_ten_minutes),
        cmocka_unit_test(relapses_are_told_less_and_less),
        cmocka_unit_test(a_year_of_outages_is_told_one_by_one),
        cmocka_unit_test(a_short_outage_is_told_with_its_end_held_back),
        cmocka_unit_test(what_people_do_and_refusals_are_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
