/* tests/unit/webhook/dispatch_test.c: the dispatcher with a real store and real receivers: order,
 * failures, what holds whom up and whom not. */
#include <stdlib.h>

#include "crypto/crypto.h"
#include "http/http.h"
#include "os/clock.h"
#include "stage.h"

/* What edits of endpoints take their values from. */
static pst_str sealed;
static pst_wall since;
static char url[64];
static int64_t endpoint_pk;

static int count(struct stage *s, int path)
{
    return atomic_load(&s->receiver.count[path]);
}

static void answer(struct stage *s, int path, int status)
{
    atomic_store(&s->receiver.status[path], status);
}

/* The number in the n-th body that a path got. */
static int number(struct stage *s, int path, int n)
{
    const struct received *q = receiver_get(&s->receiver, path, n);
    return q ? (int)strtol(strstr(q->body, "\"n\":") + 4, NULL, 10) : -1;
}

static int64_t delivered(struct stage *s)
{
    return stage_ask(s, PST_STR("SELECT count(*) FROM delivery WHERE status = 1"));
}

static int64_t attempts(struct stage *s)
{
    return stage_ask(s, PST_STR("SELECT count(*) FROM attempt"));
}

/* ---- what is sent ---- */

static void a_request_is_signed_and_says_what_it_is(void **state)
{
    struct stage *s = *state;
    struct pst_err err;
    char expected[600];
    (void)stage_endpoint(s, 0, NULL);
    const struct pst_event e = stage_event(s, 0, 7);
    stage_run(s);
    stage_until(delivered(s) == 1);
    const struct received *q = receiver_get(&s->receiver, 0, 0);
    assert_non_null(strstr(q->head, "POST /0 HTTP/1.1\r\n"));
    assert_string_equal(q->body, "{\"data\":{\"n\":7}}");
    assert_string_equal(received_header(q, "Content-Type"), "application/json");
    assert_string_equal(received_header(q, "User-Agent"), "penstock/" PST_VERSION);
    assert_string_equal(received_header(q, "webhook-id"), e.id.text);
    assert_string_equal(received_header(q, "penstock-sequence"), "1");
    assert_string_equal(received_header(q, "penstock-attempt"), "1");
    assert_string_equal(received_header(q, "penstock-event-version"), "1");
    assert_string_equal(received_header(q, "penstock-sample"), "");
    assert_string_equal(received_header(q, "Accept-Encoding"), "");
    assert_memory_equal(received_header(q, "penstock-delivery"), "dlv_", 4);
    PST_AUTO(secret) struct pst_secret *secret = NULL;
    PST_AUTO(buf) struct pst_buf signature = {.max = 1000};
    assert_ok(pst_secret_new(&secret, PST_STR(STAGE_SECRET), &err));
    const struct pst_secret *const all[] = {secret};
    int64_t timestamp = strtoll(received_header(q, "webhook-timestamp"), NULL, 10);
    assert_true(llabs(timestamp - stage_now(s).us / PST_US_PER_S) < 60);
    assert_ok(pst_hook_sign(&signature, all, 1, pst_id_str(&e.id), timestamp, e.body, &err));
    (void)snprintf(expected, sizeof(expected), "%s", signature.ptr);
    assert_string_equal(received_header(q, "webhook-signature"), expected);
}

static void take_headers(struct pst_endpoint *x)
{
    x->headers = sealed;
}

static void custom_headers_go_along(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    sealed = stage_seal(s, &e, PST_STR("headers"),
                        PST_STR("{\"X-Env\":\"test 1\",\"Authorization\":\"Bearer abc\"}"));
    stage_update(s, e.pk, take_headers);
    (void)stage_event(s, 0, 1);
    stage_run(s);
    stage_until(delivered(s) == 1);
    const struct received *q = receiver_get(&s->receiver, 0, 0);
    assert_string_equal(received_header(q, "X-Env"), "test 1");
    assert_string_equal(received_header(q, "Authorization"), "Bearer abc");
}

static void a_lane_is_delivered_in_order(void **state)
{
    struct stage *s = *state;
    enum { EVENTS = 100 };
    (void)stage_endpoint(s, 0, NULL);
    for (int i = 0; i < EVENTS / 2; i++)
        (void)stage_event(s, 0, i);
    stage_run(s);
    for (int i = EVENTS / 2; i < EVENTS; i++)
        (void)stage_event(s, 0, i);
    stage_until(delivered(s) == EVENTS);
    assert_int_equal(count(s, 0), EVENTS);
    for (int i = 0; i < EVENTS; i++) {
        const struct received *q = receiver_get(&s->receiver, 0, i);
        assert_int_equal(number(s, 0, i), i);
        assert_int_equal(strtol(received_header(q, "penstock-sequence"), NULL, 10), i + 1);
    }
    assert_int_equal(stage_ask(s, PST_STR("SELECT count(*) FROM attempt"
                                          " WHERE status = 204 AND error = '' AND number = 1")),
                     EVENTS);
    struct pst_hooks_stats stats;
    pst_hooks_stats(s->hooks, &stats);
    assert_int_equal(stats.delivered, EVENTS);
    assert_int_equal(stats.attempts, EVENTS);
}

/* ---- failures ---- */

static void a_failure_holds_its_lane_and_nothing_else(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint bad = stage_endpoint(s, 0, NULL);
    (void)stage_endpoint(s, 1, NULL);
    answer(s, 0, 503);
    stage_run(s);
    for (int i = 0; i < 3; i++)
        (void)stage_event(s, 0, i);
    stage_until(count(s, 1) == 3 && attempts(s) == 4);
    (void)stage_event(s, 1, 10); /* another lane of the failing endpoint */
    stage_until(count(s, 1) == 4 && attempts(s) == 6);
    assert_int_equal(count(s, 0), 2);
    assert_int_equal(number(s, 0, 0), 0);
    assert_int_equal(number(s, 0, 1), 10);
    struct pst_endpoint e = stage_get(s, bad.pk);
    assert_int_equal(e.health.failures, 2);
    assert_str(e.health.last_error, "the receiver answered with status 503");
    answer(s, 0, 200);
    stage_skip(s, 37); /* 30 s and 20 % */
    stage_until(delivered(s) == 8);
    assert_int_equal(count(s, 0), 6);
    assert_string_equal(received_header(receiver_get(&s->receiver, 0, 2), "penstock-attempt"), "2");
    int last = -1;
    for (int i = 2; i < 6; i++) {
        if (number(s, 0, i) == 10)
            continue;
        assert_int_equal(number(s, 0, i), last + 1);
        last++;
    }
    assert_int_equal(stage_get(s, bad.pk).health.failures, 0);
}

static void be_unordered(struct pst_endpoint *e)
{
    e->ordered = false;
}

static void unordered_deliveries_do_not_wait_for_each_other(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, be_unordered);
    answer(s, 0, 500);
    stage_run(s);
    (void)stage_event(s, 0, 0);
    stage_until(attempts(s) == 1);
    answer(s, 0, 200);
    for (int i = 1; i < 200; i++)
        (void)stage_event(s, i % 3, i);
    stage_until(delivered(s) == 199);
    assert_int_equal(count(s, 0), 200);
    stage_skip(s, 37);
    stage_until(delivered(s) == 200);
    assert_int_equal(number(s, 0, 200), 0);
    assert_string_equal(received_header(receiver_get(&s->receiver, 0, 200), "penstock-attempt"),
                        "2");
}

/* The third comes when the second and the first, which waits, were read already. */
static void what_comes_while_one_is_sent_does_not_wait_for_one_that_failed(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, be_unordered);
    (void)stage_endpoint(s, 1, NULL);
    answer(s, 0, 500);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 2);
    answer(s, 0, 0);
    (void)stage_event(s, 1, 2);
    stage_until(count(s, 0) == 2);
    (void)stage_event(s, 2, 3);
    stage_until(count(s, 1) == 3); /* it is known */
    answer(s, 0, 200);
    stage_until(count(s, 0) == 3);
    assert_int_equal(number(s, 0, 2), 3);
}

static void limit_rate(struct pst_endpoint *e)
{
    e->rate_limit = 10;
}

static void a_rate_limit_is_kept(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, limit_rate);
    (void)stage_endpoint(s, 1, NULL);
    for (int i = 0; i < 10; i++)
        (void)stage_event(s, i, i);
    stage_freeze(s);
    stage_run(s);
    stage_until(count(s, 1) == 10);
    assert_int_equal(count(s, 0), 1);
    for (int i = 2; i <= 10; i++) {
        stage_skip(s, 0.099);
        (void)stage_event(s, 20 + i, 100); /* a turn of the loop in which nothing was due */
        stage_until(count(s, 1) == 10 + i - 1);
        assert_int_equal(count(s, 0), i - 1);
        stage_skip(s, 0.002);
        stage_until(count(s, 0) == i);
    }
}

static void a_breaker_lets_one_through_and_its_end_lets_all_go_on(void **state)
{
    struct stage *s = *state;
    enum { LANES = 30 };
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    answer(s, 0, 503);
    stage_run(s);
    for (int i = 0; i < LANES; i++) {
        (void)stage_event(s, i, i);
        (void)stage_event(s, i, 100 + i);
    }
    /* Failures shrink the window to one at a time, so there are no stragglers. */
    stage_until(!pst_wall_is_none(stage_get(s, e.pk).health.open_since));
    int before = count(s, 0);
    assert_true(before >= 10 && before < LANES);
    for (int probe = 1; probe <= 2; probe++) {
        stage_skip(s, 30 << (probe - 1));
        stage_until(stage_get(s, e.pk).health.open_step == probe);
        assert_int_equal(count(s, 0), before + probe);
    }
    answer(s, 0, 200);
    stage_skip(s, 121);
    stage_until(pst_wall_is_none(stage_get(s, e.pk).health.open_since));
    /* All heads are due again within half a minute, though some had to wait longer. */
    stage_skip(s, 30);
    stage_until(delivered(s) == LANES * 2);
}

static void switch_on_again(struct pst_endpoint *x)
{
    x->enabled = true;
    x->health.disabled_at = PST_WALL_NONE;
}

static void gone_disables_once_and_enabling_goes_on(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    (void)stage_endpoint(s, 1, NULL);
    answer(s, 0, 410);
    stage_run(s);
    for (int i = 0; i < 5; i++)
        (void)stage_event(s, i, i);
    stage_until(!pst_wall_is_none(stage_get(s, e.pk).health.disabled_at));
    /* The other one hears of it, once. */
    stage_until(count(s, 1) == 6);
    assert_int_equal(
        stage_ask(s, PST_STR("SELECT count(*) FROM event WHERE type = 'system.error'")), 1);
    assert_str(stage_get(s, e.pk).health.disabled_reason, "gone");
    int before = count(s, 0);
    (void)stage_event(s, 0, 9);
    stage_until(count(s, 1) == 7);
    assert_int_equal(count(s, 0), before);
    answer(s, 0, 200);
    stage_update(s, e.pk, switch_on_again);
    stage_until(delivered(s) == 14);
    assert_int_equal(stage_get(s, e.pk).health.failures, 0);
}

static void fail_for_days(struct pst_endpoint_health *h)
{
    h->failures = 50;
    h->failing_since = since;
    h->last_failure_at = (pst_wall){since.us + 2 * 86400 * PST_US_PER_S + 86400 * 900000LL};
}

static void three_days_of_failures_disable(void **state)
{
    struct stage *s = *state;
    since = (pst_wall){stage_now(s).us - 3 * 86400 * PST_US_PER_S};
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    stage_set_health(s, e.pk, fail_for_days);
    answer(s, 0, 500);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(!pst_wall_is_none(stage_get(s, e.pk).health.disabled_at));
    assert_str(stage_get(s, e.pk).health.disabled_reason, "failing");
    assert_int_equal(
        stage_ask(s, PST_STR("SELECT count(*) FROM event WHERE type = 'system.error'")), 1);
}

static int64_t of_connection;

static void bind(struct pst_endpoint *x)
{
    x->connection_pk = of_connection;
}

static void only_system_errors(struct pst_endpoint *x)
{
    bind(x);
    x->events = PST_STR("system.error");
}

static void that_one_of_a_connection_is_disabled_its_other_endpoints_hear(void **state)
{
    struct stage *s = *state;
    of_connection = s->connections[0];
    (void)stage_endpoint(s, 0, bind);
    (void)stage_endpoint(s, 1, only_system_errors);
    of_connection = s->connections[1];
    (void)stage_endpoint(s, 2, bind);
    answer(s, 0, 410);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(count(s, 1) == 1);
    assert_int_equal(count(s, 2), 0); /* another connection's */
    assert_int_equal(stage_ask(s, PST_STR("SELECT connection_pk FROM event"
                                          " WHERE type = 'system.error'")),
                     s->connections[0]);
}

static void an_event_is_put_aside_and_the_lane_goes_on(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    answer(s, 0, 422);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    (void)stage_event(s, 0, 2);
    int tries = 0;
    do {
        if (tries > 0)
            stage_skip(s, 5000);
        tries++;
        stage_until(attempts(s) >= tries);
    } while (stage_ask(s, PST_STR("SELECT count(*) FROM delivery WHERE status = 2")) == 0);
    stage_until(attempts(s) == tries + 1); /* the next one's, whose pause begins with it */
    answer(s, 0, 200);
    stage_skip(s, 7200);
    stage_until(delivered(s) == 1);
    assert_int_equal(number(s, 0, count(s, 0) - 1), 2);
    assert_int_equal(stage_ask(s, PST_STR("SELECT last_status FROM delivery WHERE status = 2")),
                     422);
}

/* ---- tests and re-sends ---- */

struct sample {
    int64_t endpoint_pk;
    struct pst_event event;
};

static pst_code add_sample(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct sample *x = arg;
    struct pst_delivery d;
    PST_TRY(pst_events_add(conn, &x->event, err));
    return pst_deliveries_add_sample(conn, x->endpoint_pk, x->event.pk, x->event.at, &d, err);
}

static void send_sample(struct stage *s, const struct pst_endpoint *e)
{
    struct sample x = {.endpoint_pk = e->pk};
    const struct pst_event made = stage_event(s, -1, 99);
    x.event = made;
    x.event.id.text[10] = x.event.id.text[10] == '0' ? '1' : '0';
    x.event.is_sample = true;
    assert_int_equal(stage_write(s, add_sample, &x), PST_OK);
}

static void open_breaker(struct pst_endpoint_health *h)
{
    h->failures = 20;
    h->failing_since = h->last_failure_at = h->open_since = since;
    h->probe_at = (pst_wall){since.us + 600 * PST_US_PER_S};
}

static void a_sample_waits_for_nothing_and_says_nothing(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    since = stage_now(s);
    (void)stage_event(s, 0, 1);
    stage_set_health(s, e.pk, open_breaker);
    send_sample(s, &e); /* before the start ... */
    stage_run(s);
    stage_until(delivered(s) == 1);
    answer(s, 0, 500);
    send_sample(s, &e); /* ... and after it */
    stage_until(stage_ask(s, PST_STR("SELECT count(*) FROM delivery WHERE status = 2")) == 1);
    assert_int_equal(count(s, 0), 2);
    assert_string_equal(received_header(receiver_get(&s->receiver, 0, 0), "penstock-sample"),
                        "true");
    assert_int_equal(stage_get(s, e.pk).health.failures, 20);
}

/* Now by the dispatcher's clock: the system's is ahead of it, the more the longer a test takes. */
static pst_code resend(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    return pst_deliveries_resend(conn, *(int64_t *)arg, stage_now(NULL), err);
}

static void a_re_send_has_the_same_id_and_goes_first(void **state)
{
    struct stage *s = *state;
    (void)stage_endpoint(s, 0, NULL);
    const struct pst_event first = stage_event(s, 0, 1);
    (void)stage_event(s, 0, 2);
    stage_run(s);
    stage_until(delivered(s) == 2);
    int64_t pk = stage_ask(s, PST_STR("SELECT min(pk) FROM delivery"));
    assert_int_equal(stage_write(s, resend, &pk), PST_OK);
    stage_until(count(s, 0) == 3);
    const struct received *q = receiver_get(&s->receiver, 0, 2);
    assert_string_equal(received_header(q, "webhook-id"), first.id.text);
    assert_string_equal(received_header(q, "penstock-attempt"), "2");
    assert_string_equal(received_header(q, "penstock-sequence"), "1");
    stage_until(delivered(s) == 2);
    /* Also while a younger one of the lane is held up. */
    answer(s, 0, 503);
    (void)stage_event(s, 0, 3);
    stage_until(attempts(s) == 4);
    assert_int_equal(stage_write(s, resend, &pk), PST_OK);
    stage_until(count(s, 0) == 5);
    assert_int_equal(number(s, 0, 4), 1);
}

/* ---- the endpoint changes ---- */

static void switch_off(struct pst_endpoint *x)
{
    x->enabled = false;
}

static void switching_it_on_again_ends_the_pause_of_a_breaker(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    since = stage_now(s);
    (void)stage_endpoint(s, 1, NULL);
    (void)stage_event(s, 0, 1);
    stage_set_health(s, e.pk, open_breaker);
    stage_run(s);
    stage_until(count(s, 1) == 1);
    assert_int_equal(count(s, 0), 0);
    stage_update(s, e.pk, switch_off);
    stage_update(s, e.pk, switch_on_again);
    stage_until(count(s, 0) == 1); /* the clock stands still */
}

static void switch_on(struct pst_endpoint *x)
{
    x->enabled = true;
}

static void off_holds_and_on_goes_on(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    (void)stage_endpoint(s, 1, NULL);
    answer(s, 0, 503);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 2);
    stage_update(s, e.pk, switch_off);
    answer(s, 0, 200);
    stage_skip(s, 100);
    (void)stage_event(s, 0, 2);
    stage_until(count(s, 1) == 2);
    assert_int_equal(count(s, 0), 1);
    stage_update(s, e.pk, switch_on);
    stage_until(delivered(s) == 3);
    assert_int_equal(number(s, 0, 1), 1);
}

static void change_url(struct pst_endpoint *x)
{
    x->url = pst_str_from(url);
}

static void another_url_holds_from_the_next_attempt_on(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/3", (unsigned)s->receiver.port);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(delivered(s) == 1);
    stage_update(s, e.pk, change_url);
    (void)stage_event(s, 0, 2);
    stage_until(delivered(s) == 2);
    assert_int_equal(count(s, 3), 1);
}

static pst_code delete_endpoint(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_endpoints_delete(conn, endpoint_pk, stage_now(NULL), err);
}

static void a_deleted_endpoint_gets_nothing_more(void **state)
{
    struct stage *s = *state;
    struct pst_endpoint e = stage_endpoint(s, 0, NULL);
    (void)stage_endpoint(s, 1, NULL);
    answer(s, 0, 503);
    stage_run(s);
    (void)stage_event(s, 0, 1);
    stage_until(attempts(s) == 2);
    endpoint_pk = e.pk;
    assert_int_equal(stage_write(s, delete_endpoint, NULL), PST_OK);
    stage_skip(s, 100);
    (void)stage_event(s, 0, 2);
    stage_until(count(s, 1) == 2);
    assert_int_equal(count(s, 0), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_signed_and_says_what_it_is),
        TEST(custom_headers_go_along),
        TEST(a_lane_is_delivered_in_order),
        TEST(a_failure_holds_its_lane_and_nothing_else),
        TEST(unordered_deliveries_do_not_wait_for_each_other),
        TEST(what_comes_while_one_is_sent_does_not_wait_for_one_that_failed),
        TEST(a_rate_limit_is_kept),
        TEST(a_breaker_lets_one_through_and_its_end_lets_all_go_on),
        TEST(gone_disables_once_and_enabling_goes_on),
        TEST(three_days_of_failures_disable),
        TEST(that_one_of_a_connection_is_disabled_its_other_endpoints_hear),
        TEST(an_event_is_put_aside_and_the_lane_goes_on),
        TEST(switching_it_on_again_ends_the_pause_of_a_breaker),
        TEST(a_sample_waits_for_nothing_and_says_nothing),
        TEST(a_re_send_has_the_same_id_and_goes_first),
        TEST(off_holds_and_on_goes_on),
        TEST(another_url_holds_from_the_next_attempt_on),
        TEST(a_deleted_endpoint_gets_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
