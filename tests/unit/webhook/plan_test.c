/* tests/unit/webhook/plan_test.c: the planner against rules written down a second time, in virtual
 * time. */
#include <math.h>

#include "tests/unit/test.h"
#include "webhook/plan.h"

enum { DAY_S = 86400 };

static const int64_t HORIZON_MS = 24 * 3600 * 1000LL;
static const pst_wall T0 = {1795478400 * PST_US_PER_S};

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15U;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static struct pst_endpoint_health well(void)
{
    struct pst_endpoint_health h = {0};
    h.failing_since = h.open_since = h.probe_at = h.disabled_at = PST_WALL_NONE;
    h.last_success_at = h.last_failure_at = PST_WALL_NONE;
    return h;
}

static struct pst_delivery_tries fresh(void)
{
    return (struct pst_delivery_tries){
        .first_try_at = PST_WALL_NONE, .due_at = T0, .refused_since = PST_WALL_NONE};
}

static struct pst_hook_outcome status(int code)
{
    return (struct pst_hook_outcome){.status = code,
                                     .retry_after_s = -1,
                                     .error = pst_str_from(code < 300 && code >= 200 ? "" : "no")};
}

static pst_wall after(pst_wall t, double seconds)
{
    return (pst_wall){t.us + (int64_t)(seconds * 1e6)};
}

static double seconds_between(pst_wall a, pst_wall b)
{
    return (double)(b.us - a.us) / 1e6;
}

static bool is_none(pst_wall t)
{
    return pst_wall_is_none(t);
}

/* ---- one delivery ---- */

static void any_2xx_is_success(void **state)
{
    (void)state;
    const int codes[] = {200, 201, 202, 204, 299};
    for (size_t i = 0; i < PST_COUNT(codes); i++) {
        struct pst_endpoint_health h = well();
        struct pst_delivery_tries t = fresh();
        const struct pst_hook_outcome o = status(codes[i]);
        h.failures = 3;
        h.failing_since = T0;
        h.last_error = PST_STR("before");
        struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &o, after(T0, 5), 0);
        assert_int_equal(d.status, PST_DELIVERY_DELIVERED);
        assert_false(d.breaker_closed || d.disabled);
        assert_int_equal(h.failures, 0);
        assert_true(is_none(h.failing_since) && h.last_success_at.us == after(T0, 5).us);
        assert_int_equal(h.last_error.len, 0);
        assert_true(t.attempts == 1 && t.tries == 1 && t.first_try_at.us == after(T0, 5).us);
    }
    const int others[] = {100, 199, 300, 301, 307, 399, 400, 404, 500, 599, 0};
    for (size_t i = 0; i < PST_COUNT(others); i++) {
        struct pst_endpoint_health h = well();
        struct pst_delivery_tries t = fresh();
        const struct pst_hook_outcome o = status(others[i]);
        struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &o, T0, 0);
        assert_int_equal(d.status, PST_DELIVERY_WAITING);
        assert_int_equal(h.failures, 1);
        assert_str(h.last_error, "no");
        assert_true(h.last_failure_at.us == T0.us && h.failing_since.us == T0.us);
    }
}

/* 100,000 schedules of 20 tries: each step within 20 % of the rule, in the mean within 1 %, and
 * both ends of the jitter are reached. */
static void steps_double_up_to_two_hours_with_jitter(void **state)
{
    (void)state;
    enum { SCHEDULES = 100000, STEPS = 18 };
    static double sum[STEPS], least[STEPS], most[STEPS];
    uint64_t seed = 1;
    for (int i = 0; i < SCHEDULES; i++) {
        struct pst_endpoint_health h = well();
        struct pst_delivery_tries t = fresh();
        pst_wall now = T0;
        for (int k = 0; k < STEPS; k++) {
            const struct pst_hook_outcome o = status(503);
            struct pst_hook_decision d =
                pst_hook_step(&h, &t, 100 * HORIZON_MS, &o, now, draw(&seed));
            assert_int_equal(d.status, PST_DELIVERY_WAITING);
            double wait = seconds_between(now, t.due_at);
            sum[k] += wait;
            least[k] = i == 0 || wait < least[k] ? wait : least[k];
            most[k] = wait > most[k] ? wait : most[k];
            now = t.due_at;
        }
    }
    double rule = 30;
    for (int k = 0; k < STEPS; k++) {
        assert_true(fabs(sum[k] / SCHEDULES - rule) < rule * 0.01);
        assert_true(least[k] >= rule * 0.8 - 1e-5 && least[k] < rule * 0.81);
        assert_true(most[k] <= rule * 1.2 + 1e-5 && most[k] > rule * 1.19);
        rule = rule * 2 < 7200 ? rule * 2 : 7200;
    }
}

static void the_last_of_twenty_tries_is_made_when_the_day_is_over(void **state)
{
    (void)state;
    struct pst_endpoint_health h = well();
    struct pst_delivery_tries t = fresh();
    const struct pst_hook_outcome o = status(500);
    pst_wall now = T0;
    int made = 0;
    for (;;) {
        h.failures = 0; /* other deliveries succeed: no breaker */
        h.failing_since = PST_WALL_NONE;
        made++;
        /* The middle of the jitter. */
        uint64_t step_us = 30000000U;
        for (int k = 1; k < made && step_us < 7200000000U; k++)
            step_us *= 2;
        step_us = step_us < 7200000000U ? step_us : 7200000000U;
        struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &o, now, step_us / 5);
        if (d.status == PST_DELIVERY_FAILED)
            break;
        now = t.due_at;
    }
    assert_int_equal(made, 20);
    assert_true(now.us == after(T0, DAY_S).us);
}

static void receivers_are_given_the_time_they_ask_for(void **state)
{
    (void)state;
    const struct {
        int status, retry_after_s;
        bool is_timeout;
        double least, most; /* of the first wait, which is 24 to 36 s by itself */
    } rows[] = {
        {503, -1, false, 24, 36},        {503, 10, false, 24, 36},
        {503, 0, false, 24, 36},         {503, 100, false, 100, 100},
        {503, 7200, false, 7200, 7200},  {503, 7201, false, 7200, 7200},
        {503, 86400, false, 7200, 7200}, {429, -1, false, 60, 60},
        {429, 30, false, 60, 60},        {429, 90, false, 90, 90},
        {0, -1, true, 60, 60},           {302, 300, false, 300, 300},
    };
    uint64_t seed = 2;
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        for (int k = 0; k < 1000; k++) {
            struct pst_endpoint_health h = well();
            struct pst_delivery_tries t = fresh();
            const struct pst_hook_outcome o = {.status = rows[i].status,
                                               .is_timeout = rows[i].is_timeout,
                                               .retry_after_s = rows[i].retry_after_s};
            (void)pst_hook_step(&h, &t, HORIZON_MS, &o, T0, draw(&seed));
            double wait = seconds_between(T0, t.due_at);
            assert_true(wait >= rows[i].least - 1e-5 && wait <= rows[i].most + 1e-5);
        }
    }
    /* Not even at the end of an event's time are they asked sooner. */
    struct pst_endpoint_health h = well();
    struct pst_delivery_tries t = fresh();
    const struct pst_hook_outcome o = {.status = 429, .retry_after_s = 600};
    t.tries = 5;
    t.first_try_at = T0;
    pst_wall now = after(T0, DAY_S - 10);
    (void)pst_hook_step(&h, &t, HORIZON_MS, &o, now, 7);
    assert_true(t.due_at.us == after(now, 600).us);
}

static void the_same_refusal_eight_times_over_an_hour_puts_an_event_aside(void **state)
{
    (void)state;
    for (int code = 400; code < 500; code++) {
        struct pst_endpoint_health h = well();
        struct pst_delivery_tries t = fresh();
        const struct pst_hook_outcome o = status(code);
        bool is_patient = code == 408 || code == 425 || code == 429 || code == 410;
        pst_wall now = T0;
        int made = 0;
        struct pst_hook_decision d = {0};
        do {
            h = well(); /* of the endpoint we do not speak here */
            d = pst_hook_step(&h, &t, HORIZON_MS, &o, now, 0); /* the shortest waits */
            made++;
            now = code == 410 ? after(now, 600) : t.due_at;
        } while (d.status == PST_DELIVERY_WAITING && made < 12);
        if (is_patient) {
            assert_int_equal(d.status, PST_DELIVERY_WAITING);
        } else {
            /* 0.8 * (30 + 60 + ... ) passes an hour with the ninth. */
            assert_int_equal(d.status, PST_DELIVERY_FAILED);
            assert_int_equal(made, 9);
            assert_int_equal(t.refused_status, code);
        }
    }
}

static void another_answer_begins_the_count_anew(void **state)
{
    (void)state;
    struct pst_endpoint_health h = well();
    struct pst_delivery_tries t = fresh();
    const int codes[] = {400, 400, 400, 400, 400, 400, 400, 422, 400, 500, 400};
    const int64_t counts[] = {1, 2, 3, 4, 5, 6, 7, 1, 1, 0, 1};
    for (size_t i = 0; i < PST_COUNT(codes); i++) {
        const struct pst_hook_outcome o = status(codes[i]);
        pst_wall now = after(T0, (double)i * 1000);
        struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &o, now, 1);
        assert_int_equal(d.status, PST_DELIVERY_WAITING);
        assert_int_equal(t.refused_count, counts[i]);
        assert_int_equal(is_none(t.refused_since), counts[i] == 0);
        if (counts[i] == 1)
            assert_true(t.refused_since.us == now.us);
    }
    /* Eight within an hour are not enough. */
    t = fresh();
    for (int i = 0; i < 8; i++) {
        const struct pst_hook_outcome o = status(404);
        pst_wall now = after(T0, i * 514.0); /* the eighth 2 s before the hour */
        assert_int_equal(pst_hook_step(&h, &t, HORIZON_MS, &o, now, 1).status,
                         PST_DELIVERY_WAITING);
    }
    const struct pst_hook_outcome o = status(404);
    assert_int_equal(pst_hook_step(&h, &t, HORIZON_MS, &o, after(T0, 3600), 1).status,
                     PST_DELIVERY_FAILED);
}

static void trouble_of_our_own_is_held_against_nobody(void **state)
{
    (void)state;
    const struct pst_hook_outcome o = {.is_local = true, .retry_after_s = -1};
    uint64_t seed = 3;
    for (int i = 0; i < 1000; i++) {
        struct pst_endpoint_health h = well();
        struct pst_delivery_tries t = fresh();
        struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &o, T0, draw(&seed));
        assert_int_equal(d.status, PST_DELIVERY_WAITING);
        assert_true(t.attempts == 0 && t.tries == 0 && is_none(t.first_try_at));
        assert_true(h.failures == 0 && is_none(h.failing_since));
        double wait = seconds_between(T0, t.due_at);
        assert_true(wait >= 1 && wait < 2);
    }
}

/* ---- the endpoint ---- */

static void gone_disables_at_once(void **state)
{
    (void)state;
    struct pst_endpoint_health h = well();
    struct pst_delivery_tries t = fresh();
    const struct pst_hook_outcome o = status(410);
    struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &o, T0, 0);
    assert_true(d.disabled && d.status == PST_DELIVERY_WAITING);
    assert_str(h.disabled_reason, "gone");
    assert_true(h.disabled_at.us == T0.us && t.due_at.us == T0.us);
    assert_true(is_none(pst_hook_open_at(&h, after(T0, 1e6))));
    /* What was under way then ends later and tells nothing twice. */
    struct pst_delivery_tries other = fresh();
    d = pst_hook_step(&h, &other, HORIZON_MS, &o, after(T0, 1), 0);
    assert_true(!d.disabled && d.status == PST_DELIVERY_WAITING);
    assert_true(h.disabled_at.us == T0.us);
    const struct pst_hook_outcome fine = status(200);
    d = pst_hook_step(&h, &other, HORIZON_MS, &fine, after(T0, 2), 0);
    assert_int_equal(d.status, PST_DELIVERY_DELIVERED);
    assert_true(h.disabled_at.us == T0.us); /* only a user switches it on ... */
    assert_true(!d.breaker_closed && h.open_since.us == T0.us); /* ... and the time stands still */
}

static void the_time_of_events_stands_still_while_it_is_disabled(void **state)
{
    (void)state;
    struct pst_endpoint_health h = well();
    struct pst_delivery_tries t = fresh();
    const struct pst_hook_outcome gone = status(410);
    const struct pst_hook_outcome bad = status(500);
    const struct pst_hook_outcome fine = status(200);
    (void)pst_hook_step(&h, &t, HORIZON_MS, &gone, T0, 0);
    struct pst_delivery_tries straggler = fresh();
    (void)pst_hook_step(&h, &straggler, HORIZON_MS, &fine, after(T0, 5), 0);
    /* A month later a user enables it: store/endpoints.h counts the time as open. */
    pst_wall now = after(T0, 30 * DAY_S);
    h.open_us += now.us - h.open_since.us;
    h.open_since = h.probe_at = h.disabled_at = h.failing_since = PST_WALL_NONE;
    h.failures = h.open_step = 0;
    struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &bad, now, 0);
    assert_int_equal(d.status, PST_DELIVERY_WAITING);
    h.failing_since = PST_WALL_NONE;
    d = pst_hook_step(&h, &t, HORIZON_MS, &bad, after(now, DAY_S), 0);
    assert_int_equal(d.status, PST_DELIVERY_FAILED);
}

static void three_days_of_failures_disable_and_a_success_clears(void **state)
{
    (void)state;
    struct pst_endpoint_health h = well();
    const struct pst_hook_outcome bad = status(500);
    const struct pst_hook_outcome fine = status(204);
    for (int hour = 0; hour <= 72; hour += 2) {
        struct pst_delivery_tries t = fresh();
        struct pst_hook_decision d =
            pst_hook_step(&h, &t, HORIZON_MS, &bad, after(T0, hour * 3600.0), 0);
        assert_int_equal(d.disabled, hour == 72);
    }
    assert_str(h.disabled_reason, "failing");
    h = well();
    for (int hour = 0; hour < 140; hour += 2) {
        struct pst_delivery_tries t = fresh();
        const struct pst_hook_outcome *o = hour == 70 ? &fine : &bad;
        struct pst_hook_decision d =
            pst_hook_step(&h, &t, HORIZON_MS, o, after(T0, hour * 3600.0), 0);
        assert_false(d.disabled);
        assert_int_equal(d.breaker_closed, hour == 70);
    }
}

static void nothing_but_failures_is_all_that_counts(void **state)
{
    (void)state;
    struct pst_endpoint_health h = well();
    struct pst_delivery_tries t = fresh();
    const struct pst_hook_outcome bad = status(500);
    (void)pst_hook_step(&h, &t, HORIZON_MS, &bad, T0, 0);
    /* However little was tried in between. */
    struct pst_hook_decision d =
        pst_hook_step(&h, &t, HORIZON_MS, &bad, after(T0, 3 * DAY_S - 1), 0);
    assert_false(d.disabled);
    assert_true(h.failing_since.us == T0.us);
    d = pst_hook_step(&h, &t, HORIZON_MS, &bad, after(T0, 3 * DAY_S), 0);
    assert_true(d.disabled && h.failing_since.us == T0.us);
}

/* One attempt per 30 s * 2^n, at most 15 min apart, whatever waits. */
static void the_breaker_lets_one_attempt_through_at_a_time(void **state)
{
    (void)state;
    struct pst_endpoint_health h = well();
    const struct pst_hook_outcome bad = status(503);
    const struct pst_hook_outcome fine = status(200);
    pst_wall now = T0;
    for (int i = 0; i < 10; i++) {
        struct pst_delivery_tries t = fresh();
        assert_true(pst_hook_open_at(&h, now).us == now.us);
        (void)pst_hook_step(&h, &t, HORIZON_MS, &bad, now, 0);
        assert_int_equal(!is_none(h.open_since), i == 9);
    }
    double wait = 30;
    for (int n = 0; n < 20; n++) {
        pst_wall next = pst_hook_open_at(&h, now);
        assert_true(next.us == after(now, wait).us);
        /* Attempts that were under way when it opened do not move the probe. */
        struct pst_delivery_tries straggler = fresh();
        (void)pst_hook_step(&h, &straggler, HORIZON_MS, &bad, after(now, 1), 0);
        assert_true(pst_hook_open_at(&h, now).us == next.us);
        now = next;
        assert_true(pst_hook_open_at(&h, now).us == now.us);
        struct pst_delivery_tries t = fresh();
        (void)pst_hook_step(&h, &t, HORIZON_MS, &bad, now, 0);
        wait = wait * 2 < 900 ? wait * 2 : 900;
    }
    struct pst_delivery_tries t = fresh();
    now = after(now, 100);
    struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &fine, now, 0);
    assert_true(d.breaker_closed && is_none(h.open_since) && is_none(h.probe_at));
    assert_true(h.open_us == now.us - T0.us && h.open_step == 0);
    assert_true(pst_hook_open_at(&h, now).us == now.us);
}

static void an_events_time_stands_still_while_the_breaker_is_open(void **state)
{
    (void)state;
    struct pst_endpoint_health h = well();
    struct pst_delivery_tries t = fresh();
    const struct pst_hook_outcome bad = status(503);
    (void)pst_hook_step(&h, &t, HORIZON_MS, &bad, T0, 0);
    h.failing_since = PST_WALL_NONE;
    h.open_us = 10 * 3600 * PST_US_PER_S; /* was open for ten hours, and is since one */
    h.open_since = after(T0, 20 * 3600);
    h.probe_at = after(T0, DAY_S);
    h.last_failure_at = PST_WALL_NONE;
    struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &bad, after(T0, DAY_S), 0);
    assert_int_equal(d.status, PST_DELIVERY_WAITING); /* 10 of 24 hours have passed */
    d = pst_hook_step(&h, &t, HORIZON_MS, &bad, after(T0, 30 * 3600), 0);
    assert_int_equal(d.status, PST_DELIVERY_WAITING);
    h.open_us += 10 * 3600 * PST_US_PER_S;
    h.open_since = PST_WALL_NONE;
    h.failures = 0;
    d = pst_hook_step(&h, &t, HORIZON_MS, &bad, after(T0, 44 * 3600 - 1), 0);
    assert_int_equal(d.status, PST_DELIVERY_WAITING);
    assert_true(t.due_at.us == after(T0, 44 * 3600).us);
    d = pst_hook_step(&h, &t, HORIZON_MS, &bad, t.due_at, 0);
    assert_int_equal(d.status, PST_DELIVERY_FAILED);
}

static void a_clock_that_is_put_back_does_no_harm(void **state)
{
    (void)state;
    struct pst_endpoint_health h = well();
    struct pst_delivery_tries t = fresh();
    const struct pst_hook_outcome bad = status(500);
    const struct pst_hook_outcome fine = status(200);
    for (int i = 0; i < 12; i++)
        (void)pst_hook_step(&h, &t, HORIZON_MS, &bad, T0, 0);
    pst_wall before = after(T0, -1e6);
    struct pst_hook_decision d = pst_hook_step(&h, &t, HORIZON_MS, &bad, before, 0);
    assert_int_equal(d.status, PST_DELIVERY_WAITING);
    assert_true(seconds_between(before, t.due_at) <= 1e6 + DAY_S);
    d = pst_hook_step(&h, &t, HORIZON_MS, &fine, before, 0);
    assert_true(d.breaker_closed && h.open_us == 0);
}

/* ---- the same rules a second time, in microseconds and floating point (whole
 * numbers, so exact), over random outcomes ---- */

static const double S = 1e6;

struct reference {
    double failing_since, open_since, probe, opened_before; /* < 0: none */
    double disabled;
    int failures, step;
    double first_try, opened_at_first, refused_since;
    int tries, refused, refused_status;
};

static double opened(const struct reference *r, double now)
{
    return r->opened_before + (r->open_since >= 0 ? now - r->open_since : 0);
}

struct expectation {
    const char *status;
    bool closed, disabled;
    double least, most; /* of the wait */
};

static struct expectation expect_failure(struct reference *r, const struct pst_hook_outcome *o,
                                         double now, double horizon)
{
    struct expectation e = {.status = "waiting"};
    if (r->failing_since < 0)
        r->failing_since = now;
    r->failures++;
    if (r->open_since >= 0 && now >= r->probe) {
        r->step++;
        r->probe = now + fmin(30 * pow(2, r->step), 900) * S;
    }
    if (r->open_since < 0 && r->failures >= 10) {
        r->open_since = now;
        r->step = 0;
        r->probe = now + 30 * S;
    }
    if (r->disabled < 0 && (o->status == 410 || now - r->failing_since >= 3 * DAY_S * S)) {
        e.disabled = true;
        r->disabled = now;
        if (r->open_since < 0) {
            r->open_since = now;
            r->step = 0;
            r->probe = now + 30 * S;
        }
    }
    if (r->disabled >= 0)
        return e;
    double end = r->first_try + horizon + opened(r, now) - r->opened_at_first;
    if (now >= end || (r->refused >= 8 && now - r->refused_since >= 3600 * S)) {
        e.status = "failed";
        return e;
    }
    double step = fmin(30 * pow(2, r->tries - 1), 7200) * S;
    double asked = o->status == 429 || o->is_timeout ? 60 * S : 0;
    asked = fmax(asked, fmin(o->retry_after_s, 7200) * S);
    e.least = fmax(fmin(step * 0.8, end - now), asked);
    e.most = fmax(fmin(step * 1.2, end - now), asked);
    return e;
}

static struct expectation expect(struct reference *r, const struct pst_hook_outcome *o, double now,
                                 double horizon)
{
    bool is_refusal = o->status / 100 == 4 && o->status != 408 && o->status != 410 &&
                      o->status != 425 && o->status != 429;
    if (r->tries++ == 0) {
        r->first_try = now;
        r->opened_at_first = opened(r, now);
    }
    if (is_refusal && r->refused > 0 && r->refused_status == o->status) {
        r->refused++;
    } else {
        r->refused = is_refusal;
        r->refused_status = o->status;
        r->refused_since = now;
    }
    if (o->status / 100 != 2)
        return expect_failure(r, o, now, horizon);
    struct expectation e = {.status = "delivered"};
    r->failing_since = -1;
    r->failures = 0;
    if (r->disabled < 0 && r->open_since >= 0) {
        e.closed = true;
        r->opened_before = opened(r, now);
        r->open_since = -1;
    }
    return e;
}

static const char *name_of(enum pst_delivery_status s)
{
    static const char *const names[] = {"waiting", "delivered", "failed"};
    return names[s];
}

static struct pst_hook_outcome random_outcome(uint64_t *seed, int mood)
{
    static const int codes[] = {200, 204, 302, 400, 400, 404, 408, 425, 429, 500, 503, 0};
    struct pst_hook_outcome o = {.retry_after_s = -1};
    uint64_t r = draw(seed) % 100;
    if (mood == 0 && r < 60)
        o.status = 200;
    else if (mood == 1 && r < 97)
        o.status = 503;
    else if (mood == 2 && r < 97)
        o.status = 422;
    else
        o.status = codes[draw(seed) % PST_COUNT(codes)];
    if (draw(seed) % 3000 == 0)
        o.status = 410;
    o.is_timeout = o.status == 0 && draw(seed) % 2;
    if (draw(seed) % 10 == 0)
        o.retry_after_s = (int)(draw(seed) % 10000);
    return o;
}

static void forget_delivery(struct reference *r)
{
    r->tries = r->refused = 0;
}

static void random_histories_follow_the_rules(void **state)
{
    (void)state;
    uint64_t seed = 20261128;
    int seen[3] = {0};
    int disabled = 0;
    int closed = 0;
    for (int history = 0; history < 2000; history++) {
        struct pst_endpoint_health h = well();
        struct pst_delivery_tries t = fresh();
        struct reference r = {.failing_since = -1, .open_since = -1, .disabled = -1};
        int64_t horizon_ms = (int64_t)(1 + draw(&seed) % 168) * 3600 * 1000;
        pst_wall now = T0;
        int mood = history % 4;
        int stragglers = 0; /* that end after it was disabled */
        for (int i = 0; i < 200 && stragglers < 8; i++) {
            const struct pst_hook_outcome o = random_outcome(&seed, mood);
            double at = (double)(now.us - T0.us);
            struct pst_hook_decision d = pst_hook_step(&h, &t, horizon_ms, &o, now, draw(&seed));
            struct expectation e = expect(&r, &o, at, (double)horizon_ms * 1000);
            assert_string_equal(name_of(d.status), e.status);
            assert_int_equal(d.breaker_closed, e.closed);
            assert_int_equal(d.disabled, e.disabled);
            assert_int_equal(h.failures, r.failures);
            assert_int_equal(!is_none(h.open_since), r.open_since >= 0);
            seen[d.status]++;
            disabled += d.disabled;
            stragglers += r.disabled >= 0;
            assert_true((double)h.open_us == r.opened_before);
            closed += d.breaker_closed;
            pst_wall next = now;
            if (d.status == PST_DELIVERY_WAITING && r.disabled < 0) {
                double wait = (double)(t.due_at.us - now.us);
                assert_true(wait >= e.least - 1 && wait <= e.most + 1);
                next = t.due_at;
            } else {
                t = fresh();
                forget_delivery(&r);
                next = after(now, (double)(draw(&seed) % 3600) + 1);
            }
            pst_wall open_at = pst_hook_open_at(&h, next);
            if (r.disabled < 0 && r.open_since >= 0)
                assert_true((double)(open_at.us - T0.us) ==
                            fmax(r.probe, (double)(next.us - T0.us)));
            if (!is_none(open_at))
                next = open_at;
            now = next;
        }
    }
    assert_true(seen[0] > 1000 && seen[1] > 1000 && seen[2] > 100 && disabled > 50 && closed > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_2xx_is_success),
        cmocka_unit_test(steps_double_up_to_two_hours_with_jitter),
        cmocka_unit_test(the_last_of_twenty_tries_is_made_when_the_day_is_over),
        cmocka_unit_test(receivers_are_given_the_time_they_ask_for),
        cmocka_unit_test(the_same_refusal_eight_times_over_an_hour_puts_an_event_aside),
        cmocka_unit_test(another_answer_begins_the_count_anew),
        cmocka_unit_test(trouble_of_our_own_is_held_against_nobody),
        cmocka_unit_test(gone_disables_at_once),
        cmocka_unit_test(the_time_of_events_stands_still_while_it_is_disabled),
        cmocka_unit_test(three_days_of_failures_disable_and_a_success_clears),
        cmocka_unit_test(nothing_but_failures_is_all_that_counts),
        cmocka_unit_test(the_breaker_lets_one_attempt_through_at_a_time),
        cmocka_unit_test(an_events_time_stands_still_while_the_breaker_is_open),
        cmocka_unit_test(a_clock_that_is_put_back_does_no_harm),
        cmocka_unit_test(random_histories_follow_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
