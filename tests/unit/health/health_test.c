/* tests/unit/health/health_test.c: status after every event in every state. */
#include "../test.h"

#include "base/cleanup.h"
#include "health/health.h"

static const pst_wall T0 = {1000000}, T1 = {2000000};

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

static void every_event_in_every_state_leads_to_its_status(void **state)
{
    (void)state;
    enum { P = PST_CONN_PENDING, ON = PST_CONN_ONLINE, OFF = PST_CONN_OFFLINE };
    enum { RE = PST_CONN_REAUTH, IN = PST_CONN_INACTIVE };
    const struct {
        const char *what;
        struct pst_health_event event;
        uint8_t after[5]; /* by the status before */
        bool probe[5];
    } CASES[] = {
        {"good", contact(PST_OK, 200, NULL), {ON, ON, ON, RE, IN}, {0}},
        {"its own error", contact(PST_E_SYSTEM, 500, "x"), {ON, ON, ON, RE, IN}, {0}},
        {"denied", contact(PST_E_SYSTEM_DENIED, 403, "x"), {ON, ON, ON, RE, IN}, {0}},
        {"rejected data", contact(PST_E_REJECTED, 200, "x"), {ON, ON, ON, RE, IN}, {0}},
        {"dns", contact(PST_E_UNREACHABLE, 0, "x"), {OFF, OFF, OFF, RE, IN}, {0}},
        {"503", contact(PST_E_UNREACHABLE, 503, "x"), {OFF, OFF, OFF, RE, IN}, {0}},
        {"timeout", contact(PST_E_TIMEOUT, 0, "x"), {OFF, OFF, OFF, RE, IN}, {0}},
        {"foreign page", contact(PST_E_FOREIGN_PAGE, 200, "x"), {OFF, OFF, OFF, RE, IN}, {0}},
        {"401", contact(PST_E_REAUTH, 401, "x"), {RE, RE, RE, RE, IN}, {0}},
        {"429", contact(PST_E_SYSTEM_BUSY, 429, "x"), {P, ON, OFF, RE, IN}, {0}},
        {"cancelled", contact(PST_E_CANCELLED, 0, "x"), {P, ON, OFF, RE, IN}, {0}},
        {"no memory", contact(PST_E_NO_MEMORY, 0, "x"), {P, ON, OFF, RE, IN}, {0}},
        {"refused address", contact(PST_E_EGRESS, 0, "x"), {P, ON, OFF, RE, IN}, {0}},
        {"no descriptors", contact(PST_E_UNAVAILABLE, 0, "x"), {P, ON, OFF, RE, IN}, {0}},
        {"new credentials", {.kind = PST_HEALTH_CREDENTIALS}, {P, P, P, P, IN}, {1, 1, 1, 1, 0}},
        {"on", {.kind = PST_HEALTH_ENABLED}, {P, ON, OFF, RE, P}, {0, 0, 0, 0, 1}},
        {"off", {.kind = PST_HEALTH_DISABLED, .reason = "x"}, {IN, IN, IN, IN, IN}, {0}},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        for (int before = P; before <= IN; before++) {
            struct pst_health h = in_state((enum pst_conn_status)before, "");
            struct pst_health_actions a = pst_health_step(&h, T1, &CASES[i].event);
            bool changed = CASES[i].after[before] != before;
            if ((int)h.status != CASES[i].after[before] || a.has_changed != changed ||
                a.must_probe != CASES[i].probe[before] || h.since.us != (changed ? T1.us : T0.us))
                fail_msg("'%s' in %s gives %s", CASES[i].what,
                         pst_conn_status_name((enum pst_conn_status)before),
                         pst_conn_status_name(h.status));
            if (changed)
                assert_int_equal(a.from, before);
        }
    }
}

static void a_new_reason_is_saved_without_a_new_history_row(void **state)
{
    (void)state;
    struct pst_health h = in_state(PST_CONN_OFFLINE, "no route");
    struct pst_health_event same = contact(PST_E_UNREACHABLE, 0, "no route");
    struct pst_health_event other = contact(PST_E_TIMEOUT, 0, "silence");
    struct pst_health_actions a = pst_health_step(&h, T1, &same);
    assert_false(a.must_save);
    a = pst_health_step(&h, T1, &other);
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
    assert_true(pst_health_step(&h, T1, &good).must_save);
    assert_string_equal(h.reason, "");
    assert_false(pst_health_step(&h, T1, &good).must_save);
}

static void a_long_reason_is_cut_at_a_character(void **state)
{
    (void)state;
    char text[400];
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[398] = '\0';
    struct pst_health_event e = contact(PST_E_TIMEOUT, 0, text);
    struct pst_health h = in_state(PST_CONN_ONLINE, "");
    (void)pst_health_step(&h, T1, &e);
    assert_int_equal(strlen(h.reason), 254);
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
        cmocka_unit_test(a_new_reason_is_saved_without_a_new_history_row),
        cmocka_unit_test(the_reason_goes_when_the_system_is_back),
        cmocka_unit_test(a_long_reason_is_cut_at_a_character),
        cmocka_unit_test(nothing_is_tried_after_refused_credentials_or_switched_off),
        cmocka_unit_test(status_names_are_those_of_the_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
