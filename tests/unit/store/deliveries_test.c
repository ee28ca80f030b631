/* tests/unit/store/deliveries_test.c: what the dispatcher reads and writes. */
#include "store/deliveries.h"
#include "store/endpoints.h"
#include "store/events.h"
#include "tests/unit/store/world.h"

static int64_t add_endpoint(struct world *w, unsigned n, bool ordered)
{
    struct pst_endpoint e = {
        .id = world_id("whk_", n),
        .organization_pk = w->org.pk,
        .url = PST_STR("https://example.com/"),
        .events = PST_STR("*"),
        .enabled = true,
        .ordered = ordered,
        .timeout_ms = 10000,
        .horizon_ms = 86400000,
        .public_keys = PST_STR("[]"),
        .created_at = at(0),
        .updated_at = at(0),
        .deleted_at = PST_WALL_NONE,
    };
    assert_write(w, pst_endpoints_create(w->writer, &e, &w->err));
    return e.pk;
}

/* Connections are only numbers here. */
static int64_t add_event(struct world *w, unsigned n, int64_t connection_pk, int64_t second)
{
    char body[32];
    (void)snprintf(body, sizeof(body), "{\"n\":%u}", n);
    struct pst_event e = {
        .id = world_id("evt_", n),
        .organization_pk = w->org.pk,
        .connection_pk = connection_pk,
        .type = PST_STR("flow.x"),
        .at = at(second),
        .body = pst_str_from(body),
    };
    assert_write(w, pst_events_add(w->writer, &e, &w->err));
    return e.pk;
}

static size_t next(struct world *w, int64_t endpoint, int64_t lane, int64_t after, size_t limit,
                   struct pst_delivery **out)
{
    size_t count = 99;
    assert_read(w, pst_deliveries_next(w->reader, endpoint, lane, after, limit, w->arena, out,
                                       &count, &w->err));
    return count;
}

/* Write an outcome of the first delivery of a lane. */
static void record(struct world *w, const struct pst_delivery *d, enum pst_delivery_status status,
                   int64_t due, int64_t refused)
{
    struct pst_delivery_result r = {.pk = d->pk, .status = status, .tries = d->tries};
    r.tries.attempts++;
    r.tries.tries++;
    r.tries.first_try_at = at(5);
    r.tries.due_at = at(due);
    r.tries.refused_count = refused;
    r.tries.refused_status = refused ? 404 : 0;
    r.tries.refused_since = refused ? at(6) : PST_WALL_NONE;
    r.attempt = (struct pst_attempt){.at = at(7),
                                     .duration_us = 1500000,
                                     .status = status == PST_DELIVERY_DELIVERED ? 204 : 404,
                                     .error = PST_STR("no"),
                                     .response = PST_STR("a\0b")};
    assert_write(w, pst_deliveries_record(w->writer, &r, &w->err));
}

static void a_lane_is_read_in_order_with_bodies(void **state)
{
    struct world *w = *state;
    struct pst_delivery *d = NULL;
    int64_t e = add_endpoint(w, 1, true);
    for (unsigned i = 1; i <= 5; i++)
        add_event(w, i, i % 2 ? 7 : 8, i);
    assert_int_equal(next(w, e, 7, 0, 10, &d), 3);
    for (unsigned i = 0; i < 3; i++) {
        char body[32];
        (void)snprintf(body, sizeof(body), "{\"n\":%u}", 2 * i + 1);
        assert_str(d[i].body, body);
        assert_str(d[i].type, "flow.x");
        assert_int_equal(d[i].sequence, i + 1);
        assert_true(d[i].tries.due_at.us == at(2 * i + 1).us && d[i].endpoint_pk == e);
        assert_string_equal(d[i].event_id.text, world_id("evt_", 2 * i + 1).text);
        assert_true(pst_wall_is_none(d[i].tries.first_try_at));
    }
    assert_int_equal(next(w, e, 7, d[0].event_pk, 1, &d), 1);
    assert_str(d[0].body, "{\"n\":3}");
    assert_int_equal(next(w, e, 7, d[0].event_pk + 100, 1, &d), 0);
    assert_int_equal(next(w, e, 9, 0, 1, &d), 0);
    assert_int_equal(next(w, e, PST_LANE_LOOSE, 0, 1, &d), 0);
}

static void endpoints_and_lanes_are_skipped_through(void **state)
{
    struct world *w = *state;
    int64_t pks[5];
    size_t count = 0;
    struct pst_delivery_lane lanes[5];
    int64_t first = add_endpoint(w, 1, true);
    int64_t loose = add_endpoint(w, 2, false);
    int64_t third = add_endpoint(w, 3, true);
    assert_read(w, pst_deliveries_endpoints(w->reader, 0, 5, pks, &count, &w->err));
    assert_int_equal(count, 0);
    for (unsigned i = 1; i <= 40; i++)
        add_event(w, i, i % 4, 100 - i);
    assert_read(w, pst_deliveries_endpoints(w->reader, 0, 5, pks, &count, &w->err));
    assert_true(count == 3 && pks[0] == first && pks[1] == loose && pks[2] == third);
    assert_read(w, pst_deliveries_endpoints(w->reader, first, 1, pks, &count, &w->err));
    assert_true(count == 1 && pks[0] == loose);
    assert_read(w, pst_deliveries_lanes(w->reader, first, -1, 3, lanes, &count, &w->err));
    assert_int_equal(count, 3);
    for (int64_t i = 0; i < 3; i++) /* 0 = events of no connection */
        assert_true(lanes[i].lane == i && lanes[i].due_at.us == at(100 - (i ? i : 4)).us);
    assert_read(w, pst_deliveries_lanes(w->reader, first, 2, 3, lanes, &count, &w->err));
    assert_true(count == 1 && lanes[0].lane == 3);
    assert_read(w, pst_deliveries_lanes(w->reader, loose, -1, 3, lanes, &count, &w->err));
    assert_int_equal(count, 0);
}

static void loose_ones_come_by_their_time(void **state)
{
    struct world *w = *state;
    struct pst_delivery *d = NULL;
    int64_t e = add_endpoint(w, 1, false);
    add_event(w, 1, 7, 30);
    add_event(w, 2, 8, 10);
    add_event(w, 3, 7, 20);
    assert_int_equal(next(w, e, PST_LANE_LOOSE, 0, 10, &d), 3);
    assert_str(d[0].body, "{\"n\":2}");
    assert_str(d[1].body, "{\"n\":3}");
    assert_str(d[2].body, "{\"n\":1}");
    assert_true(d[0].is_loose && d[0].sequence == 1 && d[2].sequence == 1);
    record(w, &d[0], PST_DELIVERY_WAITING, 25, 0);
    assert_int_equal(next(w, e, PST_LANE_LOOSE, 0, 2, &d), 2);
    assert_str(d[0].body, "{\"n\":3}");
    assert_str(d[1].body, "{\"n\":2}");
}

static void what_waits_for_an_event_that_is_gone_is_no_head(void **state)
{
    struct world *w = *state;
    struct pst_delivery_lane lanes[5];
    size_t count = 0;
    int64_t e = add_endpoint(w, 1, true);
    add_event(w, 1, 7, 10);
    add_event(w, 2, 7, 20);
    add_event(w, 3, 8, 30);
    assert_write(
        w, pst_db_exec_script(w->writer, PST_STR("DELETE FROM event WHERE pk IN (1, 3)"), &w->err));
    assert_read(w, pst_deliveries_lanes(w->reader, e, -1, 5, lanes, &count, &w->err));
    assert_true(count == 1 && lanes[0].lane == 7 && lanes[0].due_at.us == at(20).us);
    assert_code(WRITE(w, pst_deliveries_resend(w->writer, 1, at(50), &w->err)), PST_E_NOT_FOUND);
    assert_write(w, pst_deliveries_resend(w->writer, 2, at(50), &w->err));
}

static void news_are_what_came_since_and_still_waits(void **state)
{
    struct world *w = *state;
    struct pst_delivery *d = NULL;
    struct pst_delivery_news news[5];
    size_t count = 0;
    int64_t newest = 99;
    assert_read(w, pst_deliveries_newest(w->reader, &newest, &w->err));
    assert_int_equal(newest, 0);
    int64_t e = add_endpoint(w, 1, true);
    int64_t loose = add_endpoint(w, 2, false);
    add_event(w, 1, 7, 1);
    add_event(w, 2, 0, 2);
    assert_read(w, pst_deliveries_news(w->reader, 0, 5, news, &count, &w->err));
    assert_int_equal(count, 4);
    assert_true(news[0].endpoint_pk == e && news[0].lane == 7 && !news[0].is_sample);
    assert_true(news[1].endpoint_pk == loose && news[1].lane == PST_LANE_LOOSE);
    assert_true(news[2].lane == 0 && news[3].pk > news[2].pk);
    assert_read(w, pst_deliveries_newest(w->reader, &newest, &w->err));
    assert_int_equal(newest, news[3].pk);
    assert_int_equal(next(w, e, 7, 0, 1, &d), 1);
    record(w, d, PST_DELIVERY_DELIVERED, 0, 0);
    assert_read(w, pst_deliveries_news(w->reader, 0, 1, news, &count, &w->err));
    assert_true(count == 1 && news[0].endpoint_pk == loose);
    struct pst_event sample = {.id = world_id("evt_", 9),
                               .organization_pk = w->org.pk,
                               .type = PST_STR("flow.x"),
                               .at = at(9),
                               .is_sample = true,
                               .body = PST_STR("{}")};
    struct pst_delivery made;
    assert_write(w, pst_events_add(w->writer, &sample, &w->err));
    assert_write(w, pst_deliveries_add_sample(w->writer, e, sample.pk, at(9), &made, &w->err));
    assert_read(w, pst_deliveries_news(w->reader, newest, 5, news, &count, &w->err));
    assert_true(count == 1 && news[0].is_sample && news[0].lane == PST_LANE_LOOSE);
    assert_read(w, pst_deliveries_get_pk(w->reader, made.pk, w->arena, &d, &w->err));
    assert_true(d && d->is_sample);
    record(w, d, PST_DELIVERY_FAILED, 0, 0);
    assert_read(w, pst_deliveries_get_pk(w->reader, made.pk, w->arena, &d, &w->err));
    assert_null(d);
}

static void an_outcome_is_the_delivery_and_an_attempt(void **state)
{
    struct world *w = *state;
    struct pst_delivery *d = NULL;
    struct pst_delivery got;
    struct pst_attempt *a = NULL;
    size_t count = 0;
    int64_t e = add_endpoint(w, 1, true);
    add_event(w, 1, 7, 1);
    assert_int_equal(next(w, e, 7, 0, 1, &d), 1);
    const struct pst_delivery first = *d;
    record(w, d, PST_DELIVERY_WAITING, 50, 3);
    assert_int_equal(next(w, e, 7, 0, 1, &d), 1);
    assert_true(d->tries.due_at.us == at(50).us && d->tries.first_try_at.us == at(5).us);
    assert_true(d->tries.refused_count == 3 && d->tries.refused_since.us == at(6).us);
    assert_int_equal(d->last_status, 404);
    record(w, d, PST_DELIVERY_DELIVERED, 50, 0);
    assert_int_equal(next(w, e, 7, 0, 1, &d), 0);
    /* It is not waiting any more: late news of it are an attempt, and one that is known is none. */
    struct pst_delivery third = first;
    third.tries.attempts = 2;
    record(w, &third, PST_DELIVERY_WAITING, 70, 0);
    record(w, &third, PST_DELIVERY_WAITING, 70, 0);
    assert_read(w,
                pst_deliveries_get(w->reader, e, pst_id_str(&first.id), w->arena, &got, &w->err));
    assert_int_equal(got.status, PST_DELIVERY_DELIVERED);
    assert_true(got.ended_at.us == at(7).us + 1500000 && got.tries.attempts == 3);
    assert_read(w, pst_deliveries_attempts(w->reader, first.pk, 10, w->arena, &a, &count, &w->err));
    assert_int_equal(count, 3);
    assert_true(a[1].number == 2 && a[1].status == 204 && a[1].duration_us == 1500000);
    assert_int_equal(a[1].response.len, 3);
    /* One that is gone gets nothing. */
    third.pk = 1000;
    record(w, &third, PST_DELIVERY_WAITING, 70, 0);
    assert_read(w, pst_deliveries_attempts(w->reader, 1000, 10, w->arena, &a, &count, &w->err));
    assert_int_equal(count, 0);
}

static void a_re_send_during_an_attempt_is_not_lost(void **state)
{
    struct world *w = *state;
    struct pst_delivery *d = NULL;
    struct pst_delivery got;
    int64_t e = add_endpoint(w, 1, true);
    add_event(w, 1, 7, 1);
    assert_int_equal(next(w, e, 7, 0, 1, &d), 1);
    record(w, d, PST_DELIVERY_WAITING, 50, 3);
    assert_int_equal(next(w, e, 7, 0, 1, &d), 1);
    const struct pst_delivery second = *d; /* under way ... */
    assert_write(w, pst_deliveries_resend(w->writer, d->pk, at(60), &w->err));
    record(w, &second, PST_DELIVERY_FAILED, 0, 8); /* ... and would have been the last */
    assert_int_equal(next(w, e, 7, 0, 1, &d), 1);
    assert_true(d->tries.due_at.us == at(60).us && d->tries.tries == 0);
    assert_true(d->tries.refused_count == 0 && d->tries.attempts == 2);
    /* The next one has a number of its own, and a success counts however old. */
    const struct pst_delivery third = *d;
    record(w, &third, PST_DELIVERY_WAITING, 70, 0);
    assert_int_equal(next(w, e, 7, 0, 1, &d), 1);
    const struct pst_delivery fourth = *d;
    assert_write(w, pst_deliveries_resend(w->writer, d->pk, at(80), &w->err));
    record(w, &fourth, PST_DELIVERY_DELIVERED, 0, 0);
    assert_read(w,
                pst_deliveries_get(w->reader, e, pst_id_str(&third.id), w->arena, &got, &w->err));
    assert_true(got.status == PST_DELIVERY_DELIVERED && got.tries.attempts == 4);
    struct pst_attempt *a = NULL;
    size_t count = 0;
    assert_read(w, pst_deliveries_attempts(w->reader, got.pk, 10, w->arena, &a, &count, &w->err));
    assert_int_equal(count, 4);
}

static void a_closed_breaker_makes_heads_due_spread_over_time(void **state)
{
    struct world *w = *state;
    struct pst_delivery *d = NULL;
    struct pst_delivery_lane lanes[5];
    size_t count = 0;
    int64_t behind = -1;
    int64_t e = add_endpoint(w, 1, true);
    /* What was refused (at 6 s) before the endpoint failed is its own trouble. */
    struct pst_delivery_haste haste = {e, at(7), 3000};
    for (unsigned i = 1; i <= 8; i++)
        add_event(w, i, i % 4, 1);
    for (int64_t lane = 0; lane < 4; lane++) {
        assert_int_equal(next(w, e, lane, 0, 1, &d), 1);
        record(w, d, PST_DELIVERY_WAITING, 5000, lane == 2 ? 4 : 0);
    }
    assert_code(
        WRITE(w, pst_deliveries_hasten(w->writer, &haste, -1, 0, at(100), &behind, &w->err)),
        PST_E_INVALID);
    assert_write(w, pst_deliveries_hasten(w->writer, &haste, -1, 3, at(100), &behind, &w->err));
    assert_int_equal(behind, 2);
    assert_read(w, pst_deliveries_lanes(w->reader, e, -1, 5, lanes, &count, &w->err));
    const int64_t due[] = {100, 101, 5000, 5000};
    for (size_t i = 0; i < 4; i++)
        assert_true(lanes[i].due_at.us == at(due[i]).us);
    assert_write(w, pst_deliveries_hasten(w->writer, &haste, behind, 3, at(100), &behind, &w->err));
    assert_int_equal(behind, PST_LANE_DONE);
    assert_read(w, pst_deliveries_lanes(w->reader, e, 2, 5, lanes, &count, &w->err));
    assert_true(count == 1 && lanes[0].due_at.us == at(100).us);
    /* Nobody has to wait longer than before. */
    haste.spread_ms = 0;
    assert_write(w, pst_deliveries_hasten(w->writer, &haste, -1, 5, at(900), &behind, &w->err));
    assert_read(w, pst_deliveries_lanes(w->reader, e, -1, 5, lanes, &count, &w->err));
    assert_true(lanes[0].due_at.us == at(100).us && lanes[2].due_at.us == at(5000).us);
    /* What the outage itself refused is not. */
    haste.failing_since = at(6);
    assert_write(w, pst_deliveries_hasten(w->writer, &haste, -1, 5, at(900), &behind, &w->err));
    assert_read(w, pst_deliveries_lanes(w->reader, e, -1, 5, lanes, &count, &w->err));
    assert_true(lanes[2].due_at.us == at(900).us);

    int64_t loose = add_endpoint(w, 2, false);
    for (unsigned i = 11; i <= 13; i++)
        add_event(w, i, 0, i == 13 ? 50 : 7000);
    haste = (struct pst_delivery_haste){loose, at(7), 2000};
    assert_write(w, pst_deliveries_hasten(w->writer, &haste, -1, 5, at(100), &behind, &w->err));
    assert_int_equal(next(w, loose, PST_LANE_LOOSE, 0, 5, &d), 3);
    assert_true(d[0].tries.due_at.us == at(50).us && d[1].tries.due_at.us == at(100).us &&
                d[2].tries.due_at.us == at(101).us);
    record(w, &d[2], PST_DELIVERY_WAITING, 5000, 1);
    const int64_t refused_due[] = {5000, 100};
    const pst_wall failing[] = {at(7), PST_WALL_NONE};
    for (size_t i = 0; i < 2; i++) {
        haste.failing_since = failing[i];
        assert_write(w, pst_deliveries_hasten(w->writer, &haste, -1, 5, at(100), &behind, &w->err));
        assert_int_equal(next(w, loose, PST_LANE_LOOSE, 0, 5, &d), 3);
        assert_true(d[2].tries.due_at.us == at(refused_due[i]).us);
    }
}

static void switch_to(struct world *w, int64_t pk, bool enabled, int64_t second)
{
    struct pst_endpoint e;
    assert_read(w, pst_endpoints_get_pk(w->reader, pk, w->arena, &e, &w->err));
    e.enabled = enabled;
    assert_write(w, pst_endpoints_update(w->writer, &e, at(second), &w->err));
}

/* How many loose ones and heads of lanes are due by then. */
static size_t count_due(struct world *w, int64_t endpoint_pk, int64_t second)
{
    enum { MOST = 2000 };
    static struct pst_delivery_lane lanes[MOST];
    struct pst_delivery *d = NULL;
    size_t lane_count = 0;
    size_t due = 0;
    size_t count = next(w, endpoint_pk, PST_LANE_LOOSE, 0, MOST, &d);
    assert_read(w, pst_deliveries_lanes(w->reader, endpoint_pk, PST_LANE_LOOSE, MOST, lanes,
                                        &lane_count, &w->err));
    for (size_t i = 0; i < count; i++)
        due += d[i].tries.due_at.us <= at(second).us;
    for (size_t i = 0; i < lane_count; i++)
        due += lanes[i].due_at.us <= at(second).us;
    return due;
}

static void what_waits_goes_on_at_once_when_the_endpoint_is_switched_on(void **state)
{
    struct world *w = *state;
    struct pst_delivery *d = NULL;
    struct pst_endpoint got;
    enum { LANES = 3 };
    const int64_t pks[] = {add_endpoint(w, 1, true), add_endpoint(w, 2, false)};
    for (unsigned i = 1; i <= LANES; i++)
        add_event(w, i, i, 1);
    assert_int_equal(next(w, pks[0], 1, 0, 1, &d), 1);
    record(w, d, PST_DELIVERY_WAITING, 5000, 4);
    assert_int_equal(next(w, pks[1], PST_LANE_LOOSE, 0, 1, &d), 1);
    record(w, d, PST_DELIVERY_WAITING, 5000, 4);
    for (size_t i = 0; i < 2; i++) {
        switch_to(w, pks[i], false, 100);
        switch_to(w, pks[i], false, 150); /* another change while it is off */
        assert_read(w, pst_endpoints_get_pk(w->reader, pks[i], w->arena, &got, &w->err));
        assert_true(got.health.open_since.us == at(100).us);
        switch_to(w, pks[i], true, 300);
        assert_read(w, pst_endpoints_get_pk(w->reader, pks[i], w->arena, &got, &w->err));
        assert_true(pst_wall_is_none(got.health.open_since));
        assert_int_equal(got.health.open_us, 200 * PST_US_PER_S); /* the time that does not count */
    }
    assert_int_equal(next(w, pks[0], 1, 0, 1, &d), 1);
    assert_true(d->tries.due_at.us == at(300).us && d->tries.refused_count == 0);
    assert_int_equal(next(w, pks[1], PST_LANE_LOOSE, 0, LANES, &d), LANES);
    assert_true(d[LANES - 1].tries.due_at.us == at(300).us);
}

/* In bounded parts: the first with the change, the others by the dispatcher. */
static void a_long_backlog_is_hastened_part_by_part(void **state)
{
    struct world *w = *state;
    enum { MANY = 1010, PART = 500 };
    const int64_t pks[] = {add_endpoint(w, 1, true), add_endpoint(w, 2, false)};
    for (unsigned i = 1; i <= MANY; i++)
        add_event(w, i, i, 5000);
    for (size_t i = 0; i < 2; i++) {
        struct pst_delivery_haste haste = {.endpoint_pk = pks[i], .failing_since = PST_WALL_NONE};
        int64_t lane = PST_LANE_LOOSE;
        int parts = 1;
        switch_to(w, pks[i], false, 100);
        switch_to(w, pks[i], true, 300);
        assert_int_equal(count_due(w, pks[i], 300), PART);
        haste.spread_ms = i ? 1000 : 0; /* that some are due later does not find them again */
        do {
            int64_t before = lane;
            assert_write(
                w, pst_deliveries_hasten(w->writer, &haste, lane, PART, at(300), &lane, &w->err));
            assert_true(lane != before || parts < 3);
        } while (lane != PST_LANE_DONE && ++parts < 9);
        assert_int_equal(parts, i ? 2 : 3);
        assert_int_equal(count_due(w, pks[i], 301), MANY);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_lane_is_read_in_order_with_bodies),
        TEST(endpoints_and_lanes_are_skipped_through),
        TEST(loose_ones_come_by_their_time),
        TEST(what_waits_for_an_event_that_is_gone_is_no_head),
        TEST(news_are_what_came_since_and_still_waits),
        TEST(an_outcome_is_the_delivery_and_an_attempt),
        TEST(a_re_send_during_an_attempt_is_not_lost),
        TEST(a_closed_breaker_makes_heads_due_spread_over_time),
        TEST(what_waits_goes_on_at_once_when_the_endpoint_is_switched_on),
        TEST(a_long_backlog_is_hastened_part_by_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
