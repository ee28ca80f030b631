/* tests/unit/health/health_test.c: status after every event in every state. */
#include "../test.h"

#include "base/cleanup.h"
#include "health/health.h"

static const pst_wall T0 = {1000000};

enum { SECOND = 1000 };

/* Moment number n, in seconds. */
static struct pst_health_time moment(int64_t n)
{
    return (struct pst_health_time){{T0.us + n * PST_US_PER_S}, {(n + 1) * PST_NS_PER_S}, 0};
}

static struct pst_health in_state(enum pst_conn_status status, const char *reason)
{
    struct pst_health h = pst_health_initial(T0, true, reason);
    h.status = status;
    return h;
}

static struct pst_health_event contact(pst_code code, int http_status, const char *reason)
{
    return (struct pst_health_event){
        .kind = PST_HEALTH_CONTACT, .code = code, .http_status = http_status, .reason = reason};
}

/* The event at moment n, its call begun then. */
static struct pst_health_actions step(struct pst_health *h, int64_t n,
                                      struct pst_health_event event)
{
    struct pst_health_time now = moment(n);
    event.began = now.mono;
    return pst_health_step(h, &pst_health_defaults, &now, &event);
}

static void every_event_in_every_state_leads_to_its_status(void **state)
{
    (void)state;
    enum { P = PST_CONN_PENDING, ON = PST_CONN_ONLINE, OFF = PST_CONN_OFFLINE };
    enum { RE = PST_CONN_REAUTH, IN = PST_CONN_INACTIVE };
    const struct {
        const char *what;
        struct pst_health_event event;
        uint8_t once[5], thrice[5]; /* by the status before */
        bool probe[5];
    } CASES[] = {
        {"good", contact(PST_OK, 200, NULL), {ON, ON, ON, RE, IN}, {ON, ON, ON, RE, IN}, {0}},
        {"own", contact(PST_E_SYSTEM, 500, "x"), {ON, ON, ON, RE, IN}, {ON, ON, ON, RE, IN}, {0}},
        {"denied",
         contact(PST_E_SYSTEM_DENIED, 403, "x"),
         {ON, ON, ON, RE, IN},
         {ON, ON, ON, RE, IN},
         {0}},
        {"rejected",
         contact(PST_E_REJECTED, 200, "x"),
         {ON, ON, ON, RE, IN},
         {ON, ON, ON, RE, IN},
         {0}},
        {"dns",
         contact(PST_E_UNREACHABLE, 0, "x"),
         {P, ON, OFF, RE, IN},
         {OFF, OFF, OFF, RE, IN},
         {0}},
        {"503",
         contact(PST_E_UNREACHABLE, 503, "x"),
         {P, ON, OFF, RE, IN},
         {OFF, OFF, OFF, RE, IN},
         {0}},
        {"timeout",
         contact(PST_E_TIMEOUT, 0, "x"),
         {P, ON, OFF, RE, IN},
         {OFF, OFF, OFF, RE, IN},
         {0}},
        {"foreign page",
         contact(PST_E_FOREIGN_PAGE, 200, "x"),
         {P, ON, OFF, RE, IN},
         {OFF, OFF, OFF, RE, IN},
         {0}},
        {"401", contact(PST_E_REAUTH, 401, "x"), {RE, RE, RE, RE, IN}, {RE, RE, RE, RE, IN}, {0}},
        {"429",
         contact(PST_E_SYSTEM_BUSY, 429, "x"),
         {P, ON, OFF, RE, IN},
         {P, ON, OFF, RE, IN},
         {0}},
        {"cancelled",
         contact(PST_E_CANCELLED, 0, "x"),
         {P, ON, OFF, RE, IN},
         {P, ON, OFF, RE, IN},
         {0}},
        {"no memory",
         contact(PST_E_NO_MEMORY, 0, "x"),
         {P, ON, OFF, RE, IN},
         {P, ON, OFF, RE, IN},
         {0}},
        {"refused address",
         contact(PST_E_EGRESS, 0, "x"),
         {P, ON, OFF, RE, IN},
         {P, ON, OFF, RE, IN},
         {0}},
        {"no descriptors",
         contact(PST_E_UNAVAILABLE, 0, "x"),
         {P, ON, OFF, RE, IN},
         {P, ON, OFF, RE, IN},
         {0}},
        {"new credentials",
         {.kind = PST_HEALTH_CREDENTIALS},
         {P, P, P, P, IN},
         {P, P, P, P, IN},
         {1, 1, 1, 1, 0}},
        {"on",
         {.kind = PST_HEALTH_ENABLED},
         {P, ON, OFF, RE, P},
         {P, ON, OFF, RE, P},
         {0, 0, 0, 0, 1}},
        {"off",
         {.kind = PST_HEALTH_DISABLED, .reason = "x"},
         {IN, IN, IN, IN, IN},
         {IN, IN, IN, IN, IN},
         {0}},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        for (int before = P; before <= IN; before++) {
            struct pst_health h = in_state((enum pst_conn_status)before, "");
            struct pst_health_actions a = step(&h, 1, CASES[i].event);
            bool changed = CASES[i].once[before] != before;
            if ((int)h.status != CASES[i].once[before] || a.has_changed != changed ||
                a.must_probe != CASES[i].probe[before] ||
                h.since.us != (changed ? moment(1).wall.us : T0.us))
                fail_msg("'%s' in %s gives %s", CASES[i].what,
                         pst_conn_status_name((enum pst_conn_status)before),
                         pst_conn_status_name(h.status));
            assert_int_equal(a.from, before);
            (void)step(&h, 3, CASES[i].event);
            (void)step(&h, 6, CASES[i].event);
            assert_int_equal(h.status, CASES[i].thrice[before]);
        }
    }
}

static void what_is_to_be_tried_at_once_and_is_not_is_probed(void **state)
{
    (void)state;
    static const enum pst_health_event_kind KINDS[] = {PST_HEALTH_CREDENTIALS, PST_HEALTH_ENABLED};
    for (size_t i = 0; i < PST_COUNT(KINDS); i++) {
        struct pst_health h = in_state(i ? PST_CONN_INACTIVE : PST_CONN_OFFLINE, "");
        (void)pst_str_copy(h.origin, sizeof(h.origin), PST_STR("https://before:443"));
        (void)step(&h, 1, (struct pst_health_event){.kind = KINDS[i]});
        assert_string_equal(h.origin, ""); /* or it would wait for a probe of that one */
        assert_in_range(h.probe.ns - moment(1).mono.ns, 12 * PST_NS_PER_S, 18 * PST_NS_PER_S);
        (void)step(&h, 5, contact(PST_OK, 200, NULL));
        assert_int_equal(h.probe.ns, PST_MONO_NEVER.ns);
    }
    struct pst_health h = in_state(PST_CONN_OFFLINE, "");
    (void)step(&h, 1, (struct pst_health_event){.kind = PST_HEALTH_CREDENTIALS});
    (void)step(&h, 2, (struct pst_health_event){.kind = PST_HEALTH_DISABLED});
    assert_int_equal(h.probe.ns, PST_MONO_NEVER.ns);
}

static void a_new_reason_is_saved_without_a_new_history_row(void **state)
{
    (void)state;
    struct pst_health h = in_state(PST_CONN_OFFLINE, "no route");
    struct pst_health_actions a = step(&h, 1, contact(PST_E_TIMEOUT, 0, "silence"));
    assert_true(a.must_save);
    assert_false(a.has_changed);
    assert_int_equal(h.since.us, T0.us);
    assert_string_equal(h.reason, "silence");
}

static void the_reason_goes_when_the_system_is_back(void **state)
{
    (void)state;
    struct pst_health h = in_state(PST_CONN_OFFLINE, "no route");
    struct pst_health_event good = contact(PST_OK, 200, NULL);
    assert_true(step(&h, 1, good).must_save);
    assert_string_equal(h.reason, "");
    assert_true(h.owed);
    assert_false(step(&h, 2, good).must_save);
    assert_true(h.owed);
}

static void a_long_reason_is_cut_at_a_character(void **state)
{
    (void)state;
    char text[400];
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[398] = '\0';
    struct pst_health h = in_state(PST_CONN_OFFLINE, "");
    (void)step(&h, 1, contact(PST_E_TIMEOUT, 0, text));
    assert_int_equal(strlen(h.reason), 254);
    memset(text, '\x80', sizeof(text) - 1); /* no text at all */
    text[399] = '\0';
    (void)step(&h, 2, contact(PST_E_TIMEOUT, 0, text));
    assert_string_equal(h.reason, "");
}

static void as_many_failures_as_the_option_says_make_it_offline(void **state)
{
    (void)state;
    for (int n = 1; n <= 10; n++) {
        struct pst_health_options o = pst_health_defaults;
        o.offline_after = n;
        struct pst_health h = in_state(PST_CONN_ONLINE, "");
        for (int i = 1; i <= n; i++) {
            struct pst_health_time now = moment(i);
            struct pst_health_event e = contact(PST_E_TIMEOUT, 0, "x");
            e.began = now.mono;
            (void)pst_health_step(&h, &o, &now, &e);
            assert_int_equal(h.status == PST_CONN_OFFLINE, i == n);
            assert_int_equal(h.failures, i);
        }
        /* All confirming probes together, with the waits between them, fit into a minute. */
        assert_true(pst_health_probe_ms(&o) >= SECOND && pst_health_probe_ms(&o) <= 10 * SECOND);
        assert_true((n - 1) * (pst_health_probe_ms(&o) + 3600) <= 60 * SECOND);
    }
}

static void calls_that_fail_together_count_once(void **state)
{
    (void)state;
    struct pst_health h = in_state(PST_CONN_ONLINE, "");
    for (int i = 0; i < 5; i++) {
        struct pst_health_time now = moment(10 + i);
        struct pst_health_event e = contact(PST_E_UNREACHABLE, 0, "reset");
        e.began = moment(1).mono; /* all were under way */
        struct pst_health_actions a = pst_health_step(&h, &pst_health_defaults, &now, &e);
        assert_int_equal(a.must_save, i == 0);
    }
    assert_int_equal(h.failures, 1);
    assert_int_equal(h.status, PST_CONN_ONLINE);
}

static void a_first_failure_is_confirmed_soon(void **state)
{
    (void)state;
    for (uint64_t random = 0; random < 5000; random += 7) {
        struct pst_health h = in_state(PST_CONN_ONLINE, "");
        struct pst_health_time now = moment(1);
        struct pst_health_event e = contact(PST_E_UNREACHABLE, 0, "x");
        e.began = now.mono;
        now.random = random;
        (void)pst_health_step(&h, &pst_health_defaults, &now, &e);
        int64_t ms = pst_mono_ms_until(now.mono, h.probe);
        assert_true(ms >= 1600 && ms <= 2400);
        now = moment(5);
        now.random = e.began.ns != 0 ? random : 0;
        e.began = now.mono;
        (void)pst_health_step(&h, &pst_health_defaults, &now, &e);
        ms = pst_mono_ms_until(now.mono, h.probe);
        assert_true(ms >= 2400 && ms <= 3600);
        /* Who tries again himself is only waited for. */
        h = in_state(PST_CONN_ONLINE, "");
        e.will_retry = true;
        (void)pst_health_step(&h, &pst_health_defaults, &now, &e);
        ms = pst_mono_ms_until(now.mono, h.probe);
        assert_true(ms >= 12000 && ms <= 18000);
    }
}

static void a_host_known_to_be_away_needs_no_proof(void **state)
{
    (void)state;
    struct pst_health h = in_state(PST_CONN_ONLINE, "");
    struct pst_health_event e = contact(PST_E_AWAY, 0, "as others found");
    e.is_certain = true;
    e.origin = "http://a:80";
    assert_true(step(&h, 1, e).has_changed);
    assert_int_equal(h.status, PST_CONN_OFFLINE);
    assert_true(h.is_origin);
    assert_string_equal(h.origin, "http://a:80");
    assert_string_equal(h.cause, "SYSTEM_UNREACHABLE");
}

static void whose_trouble_it_is_is_kept(void **state)
{
    (void)state;
    struct pst_health h = in_state(PST_CONN_ONLINE, "");
    struct pst_health_event e = contact(PST_E_UNREACHABLE, 0, "x");
    (void)step(&h, 1, e);
    assert_true(h.is_origin);
    e.is_private = true;
    (void)step(&h, 2, e);
    assert_false(h.is_origin);
    (void)step(&h, 3, contact(PST_E_UNREACHABLE, 503, "x"));
    assert_false(h.is_origin);
}

static void a_403_counts_when_a_probe_gets_it_too(void **state)
{
    (void)state;
    struct pst_health h = in_state(PST_CONN_ONLINE, "");
    struct pst_health_event denied = contact(PST_E_SYSTEM_DENIED, 403, "x");
    assert_true(step(&h, 1, denied).must_save);
    assert_true(h.probe.ns != PST_MONO_NEVER.ns);
    (void)step(&h, 2, contact(PST_OK, 200, NULL)); /* another entity is read */
    assert_true(h.probe.ns == PST_MONO_NEVER.ns);
    (void)step(&h, 3, denied);
    denied.trial = PST_TRIAL_PROBE;
    assert_true(step(&h, 5, denied).must_tell);
    assert_int_equal(h.status, PST_CONN_REAUTH);
}

static void only_probes_that_were_due_double_the_wait(void **state)
{
    (void)state;
    struct pst_health h = in_state(PST_CONN_ONLINE, "");
    struct pst_health_event e = contact(PST_E_UNREACHABLE, 0, "x");
    for (int i = 1; i <= 3; i++)
        (void)step(&h, i, e);
    pst_mono due = h.probe;
    assert_int_equal(h.step, 0);
    e.trial = PST_TRIAL_EARLY;
    (void)step(&h, 4, e);
    assert_int_equal(h.step, 0);
    assert_int_equal(h.probe.ns, due.ns);
    assert_int_equal(h.failures, 4);
    e.trial = PST_TRIAL_PROBE;
    (void)step(&h, 5, e);
    assert_int_equal(h.step, 1);
    h.probe = PST_MONO_NEVER; /* as nobody leaves it */
    e.trial = PST_TRIAL_NONE;
    (void)step(&h, 6, e);
    assert_true(h.probe.ns != PST_MONO_NEVER.ns);
}

static void what_was_told_already_is_not_due_any_more(void **state)
{
    (void)state;
    struct pst_health h = in_state(PST_CONN_ONLINE, "");
    h.told = PST_CONN_ONLINE;
    h.tell = moment(1).mono;
    struct pst_health_actions a = step(&h, 2, (struct pst_health_event){.kind = PST_HEALTH_TELL});
    assert_true(a.must_save);
    assert_false(a.must_tell);
    assert_int_equal(h.tell.ns, PST_MONO_NEVER.ns);
}

static void what_is_answered_says_since_when_and_until(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_health h = in_state(PST_CONN_OFFLINE, "");
    struct pst_health_time now = moment(60);
    assert_code(pst_health_unreachable(&h, &now, -1, &err), PST_E_UNREACHABLE);
    assert_int_equal(err.retry_after_s, 1);
    assert_non_null(strstr(err.msg, "since 1970-01-01T00:00:01Z (0 tries)"));
    (void)step(&h, 61, contact(PST_E_UNREACHABLE, 0, "no route"));
    h.probe = moment(90).mono;
    assert_code(pst_health_unreachable(&h, &now, -1, &err), PST_E_UNREACHABLE);
    assert_int_equal(err.retry_after_s, 30);
    assert_non_null(strstr(err.msg, "since 1970-01-01T00:01:02Z (1 try): no route"));
    assert_code(pst_health_unreachable(&h, &now, 1001, &err), PST_E_UNREACHABLE);
    assert_int_equal(err.retry_after_s, 2);
}

static void nothing_is_tried_after_refused_credentials_or_switched_off(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_health h = in_state(PST_CONN_REAUTH, "x");
    assert_code(pst_health_admit(&h, &err), PST_E_REAUTH);
    h = in_state(PST_CONN_INACTIVE, "no credits");
    assert_code(pst_health_admit(&h, &err), PST_E_INACTIVE);
    assert_non_null(strstr(err.msg, "no credits"));
    h = in_state(PST_CONN_INACTIVE, "");
    assert_code(pst_health_admit(&h, &err), PST_E_INACTIVE);
    for (int s = PST_CONN_PENDING; s <= PST_CONN_OFFLINE; s++) {
        h = in_state((enum pst_conn_status)s, "");
        assert_ok(pst_health_admit(&h, &err));
    }
}

static void status_names_are_those_of_the_api(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"pending", "online", "offline", "authentication_required",
                                        "inactive"};
    enum pst_conn_status s;
    for (int i = 0; i < 5; i++) {
        assert_string_equal(pst_conn_status_name((enum pst_conn_status)i), NAMES[i]);
        assert_true(pst_conn_status_parse(&s, pst_str_from(NAMES[i])));
        assert_int_equal(s, i);
    }
    assert_false(pst_conn_status_parse(&s, PST_STR("Online")));
    assert_int_equal(pst_health_initial(T0, false, "no credits").status, PST_CONN_INACTIVE);
    assert_int_equal(pst_health_initial(T0, true, "").status, PST_CONN_PENDING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state_leads_to_its_status),
        cmocka_unit_test(what_is_to_be_tried_at_once_and_is_not_is_probed),
        cmocka_unit_test(a_new_reason_is_saved_without_a_new_history_row),
        cmocka_unit_test(as_many_failures_as_the_option_says_make_it_offline),
        cmocka_unit_test(calls_that_fail_together_count_once),
        cmocka_unit_test(a_first_failure_is_confirmed_soon),
        cmocka_unit_test(a_host_known_to_be_away_needs_no_proof),
        cmocka_unit_test(whose_trouble_it_is_is_kept),
        cmocka_unit_test(a_403_counts_when_a_probe_gets_it_too),
        cmocka_unit_test(only_probes_that_were_due_double_the_wait),
        cmocka_unit_test(what_was_told_already_is_not_due_any_more),
        cmocka_unit_test(what_is_answered_says_since_when_and_until),
        cmocka_unit_test(the_reason_goes_when_the_system_is_back),
        cmocka_unit_test(a_long_reason_is_cut_at_a_character),
        cmocka_unit_test(nothing_is_tried_after_refused_credentials_or_switched_off),
        cmocka_unit_test(status_names_are_those_of_the_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
