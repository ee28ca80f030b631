/* tests/unit/health/detect_test.c: the detector in virtual time: single stories, and random ones
 * held against a reference that keeps every contact and counts anew at each second. */
#include "../test.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "health/detect.h"

enum { SECOND = 1, MINUTE = 60, FOUND = 16 };

static pst_mono at(int64_t second)
{
    return (pst_mono){(second + 1) * PST_NS_PER_S};
}

static const struct pst_detector_options QUICK = {
    .window_ms = 600000, .open_after_ms = 30000, .close_after_ms = 120000};

struct story {
    struct pst_detector *d;
    int64_t now;
    struct pst_detection found[FOUND];
    size_t count; /* in the last step that found something */
    int opened, closed;
};

static int begin(void **state)
{
    static struct story s;
    struct pst_err err;
    s = (struct story){0};
    *state = &s;
    return pst_detector_new(&s.d, &QUICK, &err) != PST_OK;
}

static int end(void **state)
{
    struct story *s = *state;
    pst_detector_free(s->d);
    return 0;
}

static void contact(struct story *s, int64_t pk, const char *host, bool fails)
{
    struct pst_err err;
    assert_ok(pst_detector_contact(s->d, at(s->now), pk, PST_STR("peoplesoft"), pst_str_from(host),
                                   fails, &err));
}

static void pass(struct story *s, int64_t seconds)
{
    for (int64_t i = 0; i < seconds; i++) {
        struct pst_detection found[FOUND];
        s->now++;
        size_t count = pst_detector_step(s->d, at(s->now), found, FOUND);
        for (size_t k = 0; k < count; k++) {
            s->found[k] = found[k];
            *(found[k].opens ? &s->opened : &s->closed) += 1;
        }
        s->count = count ? count : s->count;
    }
}

static void three_of_a_host_open_one_incident_and_their_return_closes_it(void **state)
{
    struct story *s = *state;
    int64_t pks[4];
    for (int i = 1; i <= 2; i++)
        contact(s, i, "https://a:443", true);
    pass(s, 5 * MINUTE);
    assert_int_equal(s->opened, 0);
    contact(s, 3, "https://a:443", true);
    pass(s, 29);
    assert_int_equal(s->opened, 0);
    pass(s, 5);
    assert_int_equal(s->opened, 1);
    assert_int_equal(s->found[0].reach, PST_REACH_HOST);
    assert_string_equal(s->found[0].subject, "https://a:443");
    assert_string_equal(s->found[0].connector, "peoplesoft");
    assert_int_equal(s->found[0].peers.failing, 3);
    assert_int_equal(pst_detector_affected(s->d, &s->found[0], pks, 4), 3);
    assert_int_equal(pst_detector_affected(s->d, &s->found[0], pks, 2), 2);
    /* A noisy time in between changes nothing. */
    for (int i = 0; i < 20; i++) {
        contact(s, 1, "https://a:443", i % 2);
        pass(s, 10);
    }
    assert_int_equal(s->opened + s->closed, 1);
    for (int i = 1; i <= 3; i++)
        contact(s, i, "https://a:443", false);
    pass(s, 119);
    assert_int_equal(s->closed, 0);
    pass(s, 5);
    assert_int_equal(s->closed, 1);
    assert_int_equal(s->opened, 1);
}

static void a_minority_is_no_incident(void **state)
{
    struct story *s = *state;
    for (int i = 1; i <= 10; i++)
        contact(s, i, "https://a:443", i <= 4);
    pass(s, 5 * MINUTE);
    assert_int_equal(s->opened, 0);
    contact(s, 5, "https://a:443", true);
    pass(s, 31);
    assert_int_equal(s->opened, 1);
}

static void trouble_of_many_hosts_is_one_of_the_connector(void **state)
{
    struct story *s = *state;
    static const char *const HOSTS[] = {"https://a:443", "https://b:443", "https://c:443"};
    for (int i = 0; i < 9; i++)
        contact(s, i + 1, HOSTS[i % 3], true);
    pass(s, 5 * MINUTE);
    assert_int_equal(s->opened, 1);
    assert_int_equal(s->found[0].reach, PST_REACH_CONNECTOR);
    assert_string_equal(s->found[0].subject, "peoplesoft");
    assert_int_equal(s->found[0].peers.failing, 9);
    int64_t pks[16];
    assert_int_equal(pst_detector_affected(s->d, &s->found[0], pks, 16), 9);
    /* One host stays down: its own incident begins when the connector's is over. */
    for (int i = 0; i < 9; i++)
        contact(s, i + 1, HOSTS[i % 3], i % 3 == 0 && i > 0);
    for (int i = 20; i < 40; i++)
        contact(s, i, HOSTS[1], false);
    pass(s, 3 * MINUTE);
    assert_int_equal(s->closed, 1);
    contact(s, 1, HOSTS[0], true);
    pass(s, MINUTE);
    assert_int_equal(s->opened, 2);
    assert_int_equal(s->found[0].reach, PST_REACH_HOST);
}

static void the_same_host_of_two_connectors_is_counted_for_each(void **state)
{
    struct story *s = *state;
    struct pst_err err;
    for (int i = 1; i <= 4; i++)
        assert_ok(pst_detector_contact(s->d, at(s->now), i, i % 2 ? PST_STR("one") : PST_STR("two"),
                                       PST_STR("https://a:443"), true, &err));
    pass(s, 5 * MINUTE);
    assert_int_equal(s->opened, 0);
}

static void old_contacts_and_deleted_connections_count_no_more(void **state)
{
    struct story *s = *state;
    for (int i = 1; i <= 3; i++)
        contact(s, i, "https://a:443", true);
    pst_detector_forget(s->d, 2);
    pst_detector_forget(s->d, 77);
    pass(s, 5 * MINUTE);
    assert_int_equal(s->opened, 0);
    contact(s, 2, "https://a:443", true);
    pass(s, 31);
    assert_int_equal(s->opened, 1);
    /* Nobody says anything any more: it is over when the window has passed. */
    pass(s, 599);
    assert_int_equal(s->closed, 0);
    pass(s, 140);
    assert_int_equal(s->closed, 1);
    assert_int_equal(s->found[0].peers.seen, 0);
}

static void our_own_store_is_told_like_the_rest(void **state)
{
    struct story *s = *state;
    int64_t pks[2];
    pst_detector_store(s->d, true);
    pass(s, 20);
    pst_detector_store(s->d, false);
    pass(s, 20);
    pst_detector_store(s->d, true);
    pass(s, 20);
    assert_int_equal(s->opened, 0);
    pass(s, 12);
    assert_int_equal(s->opened, 1);
    assert_int_equal(s->found[0].reach, PST_REACH_PENSTOCK);
    assert_string_equal(s->found[0].subject, "store");
    contact(s, 1, "https://a:443", true);
    assert_int_equal(pst_detector_affected(s->d, &s->found[0], pks, 2), 0);
    pst_detector_store(s->d, false);
    pass(s, 121);
    assert_int_equal(s->closed, 1);
}

static void what_was_open_before_a_restart_is_closed_and_not_opened_again(void **state)
{
    struct story *s = *state;
    struct pst_err err;
    assert_ok(pst_detector_resume(s->d, at(0), PST_REACH_HOST, PST_STR("https://a:443"),
                                  PST_STR("peoplesoft"), &err));
    assert_ok(pst_detector_resume(s->d, at(0), PST_REACH_CONNECTOR, PST_STR("sandbox"),
                                  PST_STR("sandbox"), &err));
    assert_ok(
        pst_detector_resume(s->d, at(0), PST_REACH_PENSTOCK, PST_STR("store"), PST_STR(""), &err));
    for (int i = 1; i <= 3; i++)
        contact(s, i, "https://a:443", true);
    pass(s, 5 * MINUTE);
    assert_int_equal(s->opened, 0);
    assert_int_equal(s->closed, 1); /* the store */
    for (int i = 1; i <= 3; i++)
        contact(s, i, "https://a:443", false);
    pass(s, 121);
    assert_int_equal(s->closed, 2);
    pass(s, 600);
    assert_int_equal(s->closed, 3); /* nobody of the other connector was seen */
}

static void more_than_there_is_room_for_comes_with_the_next_step(void **state)
{
    struct story *s = *state;
    struct pst_detection one[1];
    char host[32];
    for (int h = 0; h < 2; h++) {
        (void)snprintf(host, sizeof(host), "https://h%d:443", h);
        for (int i = 0; i < 3; i++)
            contact(s, h * 10 + i, host, true);
    }
    size_t found = 0;
    for (; s->now < 40; s->now++) {
        size_t n = pst_detector_step(s->d, at(s->now), one, 1);
        found += n;
        assert_int_equal(pst_detector_step(s->d, at(s->now), one, 0), 0);
    }
    assert_int_equal(found, 2);
}

/* ---- the reference ---- */

enum { CONNECTIONS = 40, HOSTS = 5, GROUPS = HOSTS + 1, SECONDS = 20000 };

struct reference {
    int64_t seen_at[CONNECTIONS]; /* -1: never */
    bool fails[CONNECTIONS];
    bool is_open[GROUPS]; /* the last one: the connector */
    int64_t held[GROUPS]; /* seconds that the other condition has held */
    int64_t opened_at[GROUPS];
};

static void count_group(const struct reference *r, int64_t now, int group, int *seen, int *failing,
                        int *hosts)
{
    bool host_fails[HOSTS] = {false};
    *seen = *failing = *hosts = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        if (r->seen_at[i] < 0 || now - r->seen_at[i] >= 600 ||
            (group < HOSTS && i % HOSTS != group))
            continue;
        *seen += 1;
        *failing += r->fails[i];
        host_fails[i % HOSTS] = host_fails[i % HOSTS] || r->fails[i];
    }
    for (int h = 0; h < HOSTS; h++)
        *hosts += host_fails[h];
}

/* +1: opens now, -1: closes now. */
static int step_reference(struct reference *r, int64_t now, int group)
{
    int seen = 0;
    int failing = 0;
    int hosts = 0;
    count_group(r, now, group, &seen, &failing, &hosts);
    bool holds = false;
    if (r->is_open[group])
        holds = seen ? failing < seen * 0.2 : now - r->opened_at[group] >= 600;
    else if (group < HOSTS)
        holds = failing >= 3 && failing >= seen * 0.5 && !r->is_open[HOSTS];
    else
        holds = failing >= 5 && hosts >= 3 && failing >= seen * 0.5;
    r->held[group] = holds ? r->held[group] + 1 : 0;
    if (r->held[group] <= (r->is_open[group] ? 120 : 30))
        return 0;
    r->is_open[group] = !r->is_open[group];
    r->held[group] = 0;
    r->opened_at[group] = now;
    return r->is_open[group] ? 1 : -1;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void random_stories_agree_with_the_reference(void **state)
{
    struct story *s = *state;
    struct reference r = {0};
    uint64_t seed = 88172645463325252U;
    int changes = 0;
    bool down[HOSTS] = {false};
    memset(r.seen_at, -1, sizeof(r.seen_at));
    for (int64_t now = 0; now < SECONDS; now++) {
        s->now = now;
        /* Hosts go down and come back; sometimes nobody is looked at for a while. */
        if (next_random(&seed) % 200 == 0)
            down[next_random(&seed) % HOSTS] = next_random(&seed) % 2;
        if (next_random(&seed) % 3000 == 0)
            for (int h = 0; h < HOSTS; h++)
                down[h] = now % 2;
        bool is_quiet = now / 900 % 7 == 6;
        for (int k = 0; k < 3 && !is_quiet; k++) {
            int i = (int)(next_random(&seed) % CONNECTIONS);
            bool fails = down[i % HOSTS] != (next_random(&seed) % 20 == 0);
            char host[32];
            (void)snprintf(host, sizeof(host), "https://h%d:443", i % HOSTS);
            contact(s, i + 1, host, fails);
            r.seen_at[i] = now;
            r.fails[i] = fails;
        }
        struct pst_detection found[FOUND];
        size_t count = pst_detector_step(s->d, at(now), found, FOUND);
        int expected = 0;
        for (int g = HOSTS; g >= 0; g--) { /* the connector first */
            int change = step_reference(&r, now, g);
            expected += change != 0;
            bool is_found = change == 0;
            for (size_t k = 0; k < count; k++) {
                char host[32];
                (void)snprintf(host, sizeof(host), "https://h%d:443", g);
                bool is_it = g == HOSTS ? found[k].reach == PST_REACH_CONNECTOR
                                        : strcmp(found[k].subject, host) == 0;
                is_found = is_found || (is_it && found[k].opens == (change > 0));
            }
            if (!is_found)
                fail_msg("second %lld, group %d: %d not found", (long long)now, g, change);
        }
        if ((int)count != expected)
            fail_msg("second %lld: %zu changes, expected %d", (long long)now, count, expected);
        changes += expected;
    }
    assert_true(changes > 20);
}

static pst_code some_of_everything(struct pst_detector **out, struct pst_err *err)
{
    PST_AUTO(detector) struct pst_detector *d = NULL;
    const struct pst_detector_options defaults = {.open_after_ms = 1, .close_after_ms = 1};
    PST_TRY(pst_detector_new(&d, &defaults, err));
    PST_TRY(pst_detector_resume(d, at(0), PST_REACH_HOST, PST_STR("https://a:443"), PST_STR("one"),
                                err));
    for (int i = 0; i < 3; i++)
        PST_TRY(pst_detector_contact(d, at(0), i, PST_STR("peoplesoft"), PST_STR("https://a:443"),
                                     true, err));
    PST_TRY(pst_detector_contact(d, at(0), 1, PST_STR("two"), PST_STR("https://b:443"), true, err));
    *out = PST_TAKE(d);
    return PST_OK;
}

static void a_failing_allocation_leaves_it_whole(void **state)
{
    (void)state;
    struct pst_err err;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_detector *d = NULL;
        struct pst_detection found[FOUND];
        if (some_of_everything(&d, &err) == PST_OK)
            (void)pst_detector_step(d, at(1), found, FOUND);
        pst_detector_free(d);
    }
}

static void those_affected_fail_at_that_host_of_that_connector(void **state)
{
    struct story *s = *state;
    struct pst_err err;
    int64_t pks[8];
    for (int i = 1; i <= 3; i++)
        contact(s, i, "https://a:443", true);
    contact(s, 4, "https://a:443", false);
    contact(s, 5, "https://b:443", true);
    assert_ok(pst_detector_contact(s->d, at(s->now), 6, PST_STR("other"), PST_STR("https://a:443"),
                                   true, &err));
    pass(s, 31);
    assert_int_equal(s->opened, 1);
    assert_int_equal(pst_detector_affected(s->d, &s->found[0], pks, 8), 3);
    for (int i = 0; i < 3; i++)
        assert_true(pks[i] >= 1 && pks[i] <= 3);
    contact(s, 2, "https://a:443", false);
    assert_int_equal(pst_detector_affected(s->d, &s->found[0], pks, 8), 2);
    size_t all = pst_detector_affected(s->d, NULL, pks, 8);
    assert_true(all > 2);
    for (size_t i = 0; i < all; i++)
        assert_int_not_equal(pks[i], 2);
}

static void what_was_seen_longest_ago_makes_room(void **state)
{
    struct story *s = *state;
    for (int64_t pk = 1; pk <= PST_DETECT_CONNECTIONS + 3; pk++)
        contact(s, pk, pk <= 3 ? "https://a:443" : "https://b:443", pk <= 3);
    pass(s, 40);
    assert_int_equal(s->opened, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            three_of_a_host_open_one_incident_and_their_return_closes_it, begin, end),
        cmocka_unit_test_setup_teardown(a_minority_is_no_incident, begin, end),
        cmocka_unit_test_setup_teardown(trouble_of_many_hosts_is_one_of_the_connector, begin, end),
        cmocka_unit_test_setup_teardown(the_same_host_of_two_connectors_is_counted_for_each, begin,
                                        end),
        cmocka_unit_test_setup_teardown(old_contacts_and_deleted_connections_count_no_more, begin,
                                        end),
        cmocka_unit_test_setup_teardown(our_own_store_is_told_like_the_rest, begin, end),
        cmocka_unit_test_setup_teardown(
            what_was_open_before_a_restart_is_closed_and_not_opened_again, begin, end),
        cmocka_unit_test_setup_teardown(more_than_there_is_room_for_comes_with_the_next_step, begin,
                                        end),
        cmocka_unit_test_setup_teardown(random_stories_agree_with_the_reference, begin, end),
        cmocka_unit_test(a_failing_allocation_leaves_it_whole),
        cmocka_unit_test_setup_teardown(those_affected_fail_at_that_host_of_that_connector, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_was_seen_longest_ago_makes_room, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
