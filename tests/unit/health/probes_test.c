/* tests/unit/health/probes_test.c: who is probed when, in virtual time. */
#include "../test.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "health/health.h"

static const char HOST[] = "http://a.example:80";

static pst_mono at_ms(int64_t ms)
{
    return (pst_mono){ms * PST_NS_PER_MS};
}

static const struct pst_backoff BACKOFF = {15000, 1800000};

static struct pst_probe_item item(int64_t pk, int64_t version, int64_t probe_ms)
{
    return (struct pst_probe_item){
        .connection_pk = pk,
        .version = version,
        .origin = HOST,
        .is_origin = true,
        .probe = probe_ms < 0 ? PST_MONO_NEVER : at_ms(probe_ms),
        .tell = PST_MONO_NEVER,
    };
}

static void put(struct pst_probes *p, int64_t now_ms, struct pst_probe_item i)
{
    struct pst_err err;
    assert_ok(pst_probes_put(p, at_ms(now_ms), &i, &err));
}

static void a_probe_comes_when_it_is_due(void **state)
{
    (void)state;
    struct pst_err err;
    pst_mono wake;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    assert_int_equal(pst_probes_next(p, at_ms(0), &wake).kind, PST_PROBE_NONE);
    assert_int_equal(wake.ns, PST_MONO_NEVER.ns);
    put(p, 0, item(1, 1, 100));
    put(p, 0, item(2, 1, 50));
    struct pst_probe_item third = item(3, 1, -1);
    third.tell = at_ms(70);
    third.origin = "";
    put(p, 0, third);
    assert_int_equal(pst_probes_count(p), 3);
    assert_int_equal(pst_probes_in_ms(p, at_ms(0), 1), 100);
    assert_int_equal(pst_probes_in_ms(p, at_ms(0), 3), -1);
    assert_int_equal(pst_probes_in_ms(p, at_ms(0), 4), -1);
    assert_int_equal(pst_probes_next(p, at_ms(49), &wake).kind, PST_PROBE_NONE);
    assert_int_equal(wake.ns, at_ms(50).ns);
    struct pst_probe_task task = pst_probes_next(p, at_ms(50), &wake);
    assert_int_equal(task.connection_pk, 2);
    assert_int_equal(pst_probes_next(p, at_ms(69), &wake).kind, PST_PROBE_NONE);
    put(p, 60, item(2, 1, 55)); /* not while it is probed */
    assert_int_equal(pst_probes_next(p, at_ms(69), &wake).kind, PST_PROBE_NONE);
    pst_probes_done(p, at_ms(69), 0, &task, 5000);
    assert_int_equal(pst_probes_in_ms(p, at_ms(69), 2), 5000);
    task = pst_probes_next(p, at_ms(70), &wake);
    assert_int_equal(task.kind, PST_PROBE_TELL);
    assert_int_equal(task.connection_pk, 3);
    pst_probes_done(p, at_ms(70), 0, &task, 5000);
    assert_int_equal(pst_probes_next(p, at_ms(80), &wake).kind, PST_PROBE_NONE);
    third.tell = PST_MONO_NEVER;
    third.version = 2;
    put(p, 80, third);
    assert_int_equal(pst_probes_count(p), 2);
    put(p, 80, item(1, 0, -1)); /* older than what is known */
    assert_int_equal(pst_probes_count(p), 2);
    put(p, 80, item(9, 1, -1));
    pst_probes_remove(p, 1);
    pst_probes_remove(p, 1);
    pst_probes_remove(p, 2);
    assert_int_equal(pst_probes_count(p), 0);
    pst_probes_done(p, at_ms(90), 0, &task, 0);
    pst_probes_free(p);
    pst_probes_free(NULL);
}

static void what_ends_while_it_is_probed_is_forgotten_afterwards(void **state)
{
    (void)state;
    struct pst_err err;
    pst_mono wake;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    put(p, 0, item(1, 1, 0));
    struct pst_probe_task task = pst_probes_next(p, at_ms(0), &wake);
    put(p, 0, item(1, 2, -1));
    assert_int_equal(pst_probes_count(p), 1);
    pst_probes_done(p, at_ms(1), 0, &task, 0);
    assert_int_equal(pst_probes_count(p), 0);
    /* Or not, when it fails again meanwhile, elsewhere. */
    put(p, 0, item(1, 3, 0));
    task = pst_probes_next(p, at_ms(0), &wake);
    put(p, 0, item(1, 4, -1));
    struct pst_probe_item moved = item(1, 5, 900);
    moved.origin = "http://b.example:80";
    put(p, 0, moved);
    pst_probes_done(p, at_ms(1), 0, &task, 0);
    assert_int_equal(pst_probes_in_ms(p, at_ms(1), 1), 899);
    moved.version = 6;
    put(p, 1, moved);
    put(p, 1, item(2, 1, 900));
    pst_probes_free(p);
}

static void four_at_a_time_of_one_host(void **state)
{
    (void)state;
    struct pst_err err;
    pst_mono wake;
    struct pst_probes *p = NULL;
    struct pst_probe_task tasks[4];
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    for (int64_t pk = 1; pk <= 10; pk++) {
        struct pst_probe_item own = item(pk, 1, 0);
        own.is_origin = false;
        put(p, 0, own);
    }
    for (size_t i = 0; i < 4; i++) {
        tasks[i] = pst_probes_next(p, at_ms(0), &wake);
        assert_int_equal(tasks[i].kind, PST_PROBE_CONTACT);
    }
    assert_int_equal(pst_probes_next(p, at_ms(0), &wake).kind, PST_PROBE_NONE);
    assert_int_equal(wake.ns, at_ms(100).ns);
    pst_probes_done(p, at_ms(50), 0, &tasks[0], 1000);
    assert_int_equal(pst_probes_next(p, at_ms(100), &wake).kind, PST_PROBE_CONTACT);
    assert_int_equal(pst_probes_next(p, at_ms(100), &wake).kind, PST_PROBE_NONE);
    pst_probes_free(p);
}

/* ---- a host with many connections ---- */

enum { MANY = 10000 };

/* The next probe that is begun at that time; 0: none. */
static int64_t next_at(struct pst_probes *p, int64_t ms)
{
    pst_mono wake;
    struct pst_probe_task task = pst_probes_next(p, at_ms(ms), &wake);
    if (task.kind == PST_PROBE_NONE)
        assert_true(wake.ns > at_ms(ms + 60000).ns); /* nothing turns round while they wait */
    return task.connection_pk;
}

static struct pst_probe_item offline_alone(int64_t pk, int64_t version, int64_t probe_ms)
{
    struct pst_probe_item own = item(pk, version, probe_ms);
    own.is_origin = false;
    own.is_offline = true;
    return own;
}

/* probe_ms: when it is tried again; < 0: it is well. */
static void probed(struct pst_probes *p, int64_t ms, int64_t pk, int64_t probe_ms)
{
    const struct pst_probe_task task = {PST_PROBE_CONTACT, pk};
    put(p, ms, offline_alone(pk, 2, probe_ms));
    pst_probes_done(p, at_ms(ms), 0, &task, 0);
}

static void what_is_offline_by_itself_is_asked_one_at_a_time_until_one_answers(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    for (int64_t pk = 1; pk <= 8; pk++)
        put(p, 0, offline_alone(pk, 1, 0));
    int64_t first = next_at(p, 0);
    assert_true(first != 0);
    assert_int_equal(next_at(p, 5000), 0);
    probed(p, 5000, first, 900000);
    int64_t second = next_at(p, 5000);
    assert_true(second != 0 && second != first);
    assert_int_equal(next_at(p, 5000), 0);
    /* That one is well: two, and then three at a time. */
    probed(p, 6000, second, -1);
    int64_t a = next_at(p, 6000);
    int64_t b = next_at(p, 6000);
    assert_true(a != 0 && b != 0);
    assert_int_equal(next_at(p, 6000), 0);
    probed(p, 7000, a, -1);
    int64_t c = next_at(p, 7000);
    int64_t d = next_at(p, 7000);
    assert_true(c != 0 && d != 0);
    assert_int_equal(next_at(p, 7000), 0);
    /* A busy one says nothing; one that fails begins it anew. */
    const struct pst_probe_task busy = {PST_PROBE_CONTACT, c};
    pst_probes_done(p, at_ms(8000), 0, &busy, 700000);
    assert_true(next_at(p, 8000) != 0);
    probed(p, 8000, b, 900000);
    assert_int_equal(next_at(p, 8000), 0);
    probed(p, 8000, d, -1);
    assert_true(next_at(p, 8000) != 0);
    pst_probes_free(p);
}

static void the_next_outage_begins_with_one_at_a_time_again(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    struct pst_probe_item told = offline_alone(9, 1, -1); /* keeps the host in mind */
    told.is_offline = false;
    told.tell = at_ms(10000000);
    put(p, 0, told);
    for (int64_t pk = 1; pk <= 4; pk++) {
        put(p, 0, offline_alone(pk, 1, 0));
        int64_t asked = next_at(p, 0);
        assert_int_equal(asked, pk);
        probed(p, 0, pk, -1);
    }
    for (int64_t pk = 1; pk <= 4; pk++)
        put(p, 600000, offline_alone(pk, 3, 600000));
    assert_true(next_at(p, 600000) != 0);
    assert_int_equal(next_at(p, 600000), 0);
    pst_probes_free(p);
}

static void who_moves_while_it_is_probed_belongs_to_where_it_is(void **state)
{
    (void)state;
    static const char OTHER[] = "http://b.example:80";
    struct pst_err err;
    pst_mono wake;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    put(p, 0, item(1, 1, 0));
    put(p, 0, item(2, 1, 0));
    pst_probes_origin(p, at_ms(0), 0, HOST, true);
    struct pst_probe_task task = pst_probes_next(p, at_ms(60000), &wake);
    assert_int_equal(task.kind, PST_PROBE_CONTACT);
    struct pst_probe_item moved = item(task.connection_pk, 2, 61000);
    moved.origin = OTHER;
    put(p, 60000, moved);
    /* While its host is away one is asked at a time, also when that one has moved. */
    assert_int_equal(pst_probes_next(p, at_ms(60500), &wake).kind, PST_PROBE_NONE);
    pst_probes_done(p, at_ms(60500), 0, &task, 0);
    /* It no longer waits for the one that is away. */
    struct pst_probe_task own = pst_probes_next(p, at_ms(61000), &wake);
    assert_int_equal(own.connection_pk, task.connection_pk);
    pst_probes_done(p, at_ms(61000), 0, &own, 5000);
    struct pst_probe_task other = pst_probes_next(p, at_ms(1900000), &wake);
    assert_int_equal(other.kind, PST_PROBE_CONTACT);
    pst_probes_free(p);
}

static void what_is_known_newer_is_told(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    assert_false(pst_probes_knows_newer(p, 1, 1));
    put(p, 0, item(1, 2, 0));
    assert_true(pst_probes_knows_newer(p, 1, 1));
    assert_false(pst_probes_knows_newer(p, 1, 2));
    pst_probes_free(p);
}

struct host {
    struct pst_probes *p;
    int64_t version[MANY + 1];
    bool is_online[MANY + 1];
    uint64_t seed;
};

static uint64_t draw(struct host *h)
{
    h->seed = h->seed * 6364136223846793005U + 1442695040888963407U;
    return h->seed >> 16;
}

static void many_connections_of_a_dead_host_share_one_probe_and_come_back_in_turns(void **state)
{
    (void)state;
    struct pst_err err;
    static struct host h;
    h = (struct host){.seed = 1};
    assert_ok(pst_probes_new(&h.p, &BACKOFF, &err));
    for (int64_t pk = 1; pk <= MANY; pk++)
        put(h.p, 0, item(pk, ++h.version[pk], (int64_t)(draw(&h) % 15000)));
    pst_probes_origin(h.p, at_ms(0), draw(&h), HOST, true);
    pst_probes_origin(h.p, at_ms(0), draw(&h), HOST, true);
    pst_probes_origin(h.p, at_ms(0), draw(&h), "http://unknown:80", true);

    /* Two hours of silence: each probe takes ten seconds. */
    int64_t now = 0;
    size_t probes = 0;
    int64_t last = 0;
    pst_mono wake;
    while (now < 7200000) {
        struct pst_probe_task task = pst_probes_next(h.p, at_ms(now), &wake);
        if (task.kind == PST_PROBE_NONE) {
            assert_true(wake.ns > at_ms(now).ns && wake.ns != PST_MONO_NEVER.ns);
            now = wake.ns / PST_NS_PER_MS;
            continue;
        }
        assert_true(task.connection_pk != last); /* by turns */
        last = task.connection_pk;
        probes++;
        assert_int_equal(pst_probes_next(h.p, at_ms(now + 5000), &wake).kind, PST_PROBE_NONE);
        assert_true(pst_probes_in_ms(h.p, at_ms(now), 5) >= 0);
        now += 10000;
        put(h.p, now, item(task.connection_pk, ++h.version[task.connection_pk], now + 900000));
        pst_probes_done(h.p, at_ms(now), draw(&h), &task, 0);
    }
    assert_true(probes >= 6 && probes <= 40);

    /* It is back. */
    int64_t back = now;
    size_t online = 0;
    size_t most = 0;
    struct {
        struct pst_probe_task task;
        int64_t ends;
    } flying[8];
    size_t in_flight = 0;
    int64_t first = 0;
    while (online < MANY) {
        struct pst_probe_task task = pst_probes_next(h.p, at_ms(now), &wake);
        if (task.kind == PST_PROBE_CONTACT) {
            assert_true(in_flight < 4);
            flying[in_flight].task = task;
            flying[in_flight++].ends = now + 5;
            most = in_flight > most ? in_flight : most;
            assert_true(online > 0 || in_flight == 1);
            continue;
        }
        if (in_flight == 0) {
            assert_true(wake.ns != PST_MONO_NEVER.ns);
            now = wake.ns / PST_NS_PER_MS;
            continue;
        }
        now = flying[0].ends;
        int64_t pk = flying[0].task.connection_pk;
        assert_false(h.is_online[pk]);
        h.is_online[pk] = true;
        first = online++ ? first : now;
        put(h.p, now, item(pk, ++h.version[pk], -1));
        pst_probes_origin(h.p, at_ms(now), draw(&h), HOST, false);
        pst_probes_done(h.p, at_ms(now), draw(&h), &flying[0].task, 0);
        memmove(&flying[0], &flying[1], --in_flight * sizeof(flying[0]));
    }
    assert_int_equal(most, 4);
    assert_true(first - back <= 1810000);
    assert_true(now - first <= 60000);
    assert_int_equal(pst_probes_count(h.p), 0);
    pst_probes_free(h.p);
}

static void who_wants_no_probe_any_more_gives_its_turn_to_the_next(void **state)
{
    (void)state;
    struct pst_err err;
    pst_mono wake;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    for (int64_t pk = 1; pk <= 4; pk++)
        put(p, 0, item(pk, 1, 1000));
    pst_probes_origin(p, at_ms(0), 0, HOST, true);
    assert_int_equal(pst_probes_next(p, at_ms(0), &wake).kind, PST_PROBE_NONE);
    int64_t now = wake.ns / PST_NS_PER_MS;
    struct pst_probe_task task = pst_probes_next(p, at_ms(now), &wake);
    int64_t first = task.connection_pk;
    put(p, now, item(first, 2, -1)); /* it was switched off */
    pst_probes_done(p, at_ms(now), 0, &task, 0);
    task = pst_probes_next(p, at_ms(now), &wake);
    assert_int_equal(task.kind, PST_PROBE_CONTACT);
    assert_true(task.connection_pk != first);
    pst_probes_remove(p, task.connection_pk); /* it was deleted */
    pst_probes_done(p, at_ms(now), 0, &task, 5000);
    task = pst_probes_next(p, at_ms(now), &wake);
    assert_int_equal(task.kind, PST_PROBE_CONTACT);
    /* Who has asked in vain makes the others wait. */
    put(p, now, item(task.connection_pk, 2, now + 1000));
    pst_probes_done(p, at_ms(now), 1, &task, 0);
    assert_int_equal(pst_probes_next(p, at_ms(now), &wake).kind, PST_PROBE_NONE);
    assert_true(wake.ns > at_ms(now).ns);
    pst_probes_free(p);
}

static void a_host_that_dies_again_while_it_comes_back_is_left_alone(void **state)
{
    (void)state;
    struct pst_err err;
    pst_mono wake;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    for (int64_t pk = 1; pk <= 6; pk++)
        put(p, 0, item(pk, 1, 0));
    pst_probes_origin(p, at_ms(0), 0, HOST, true);
    assert_int_equal(pst_probes_next(p, at_ms(0), &wake).kind, PST_PROBE_NONE);
    struct pst_probe_task task = pst_probes_next(p, wake, &wake);
    assert_int_equal(task.kind, PST_PROBE_CONTACT);
    put(p, 2000, item(task.connection_pk, 2, -1));
    pst_probes_origin(p, at_ms(2000), 0, HOST, false);
    pst_probes_done(p, at_ms(2000), 0, &task, 0);
    task = pst_probes_next(p, at_ms(2000), &wake);
    assert_int_equal(task.kind, PST_PROBE_CONTACT);
    put(p, 3000, item(task.connection_pk, 2, 9000)); /* failed */
    pst_probes_origin(p, at_ms(3000), 5000, HOST, true);
    pst_probes_done(p, at_ms(3000), 5000, &task, 0);
    assert_int_equal(pst_probes_next(p, at_ms(3000), &wake).kind, PST_PROBE_NONE);
    assert_true(wake.ns >= at_ms(4000).ns);
    /* A busy answer does not double the wait; nobody left, nothing to do. */
    task = pst_probes_next(p, wake, &wake);
    assert_int_equal(task.kind, PST_PROBE_CONTACT);
    pst_probes_done(p, at_ms(9000), 0, &task, 7000);
    assert_int_equal(pst_probes_next(p, at_ms(15999), &wake).kind, PST_PROBE_NONE);
    for (int64_t pk = 1; pk <= 6; pk++)
        pst_probes_remove(p, pk);
    assert_int_equal(pst_probes_next(p, at_ms(99999), &wake).kind, PST_PROBE_NONE);
    assert_int_equal(wake.ns, PST_MONO_NEVER.ns);
    pst_probes_free(p);
}

static void the_only_one_that_is_left_is_not_probed_twice_at_once(void **state)
{
    (void)state;
    struct pst_err err;
    pst_mono wake;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    put(p, 0, item(1, 1, 0));
    struct pst_probe_item own = item(2, 1, 0);
    put(p, 0, own);
    struct pst_probe_task first = pst_probes_next(p, at_ms(0), &wake);
    struct pst_probe_task second = pst_probes_next(p, at_ms(0), &wake);
    assert_int_equal(second.kind, PST_PROBE_CONTACT);
    pst_probes_origin(p, at_ms(0), 0, HOST, true); /* both are under way */
    pst_probes_done(p, at_ms(1), 0, &first, 0);
    pst_probes_remove(p, first.connection_pk);
    assert_int_equal(pst_probes_next(p, at_ms(100000), &wake).kind, PST_PROBE_NONE);
    pst_probes_done(p, at_ms(100000), 0, &second, 0);
    pst_probes_origin(p, at_ms(100001), 0, HOST, false);
    struct pst_probe_task task = pst_probes_next(p, at_ms(100001), &wake);
    assert_int_equal(task.connection_pk, second.connection_pk);
    pst_probes_done(p, at_ms(100002), 0, &task, 0);
    pst_probes_free(p);
}

static void whose_turn_it_is_while_its_event_is_told_waits(void **state)
{
    (void)state;
    struct pst_err err;
    pst_mono wake;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    for (int64_t pk = 1; pk <= 2; pk++) {
        struct pst_probe_item both = item(pk, 1, 0);
        both.tell = at_ms(0);
        both.step = 3; /* up to two minutes */
        put(p, 0, both);
    }
    struct pst_probe_item other = item(3, 1, -1);
    other.tell = at_ms(900000);
    put(p, 0, other);
    other = item(4, 1, 900000);
    other.origin = "http://b.example:80";
    put(p, 0, other);
    other.version = 2;
    put(p, 0, other);
    pst_probes_origin(p, at_ms(0), 119000, HOST, true);
    assert_int_equal(pst_probes_in_ms(p, at_ms(0), 1), 120000);
    assert_int_equal(pst_probes_in_ms(p, at_ms(0), 4), 900000);
    struct pst_probe_task first = pst_probes_next(p, at_ms(1), &wake);
    struct pst_probe_task second = pst_probes_next(p, at_ms(1), &wake);
    assert_int_equal(first.kind, PST_PROBE_TELL);
    assert_int_equal(second.kind, PST_PROBE_TELL);
    assert_int_equal(pst_probes_next(p, at_ms(120000), &wake).kind, PST_PROBE_NONE);
    assert_int_equal(wake.ns, at_ms(120100).ns);
    struct pst_probe_item told = item(second.connection_pk, 2, 0);
    put(p, 120000, told);
    pst_probes_done(p, at_ms(120000), 0, &second, 5000);
    struct pst_probe_task probe = pst_probes_next(p, at_ms(120100), &wake);
    assert_int_equal(probe.kind, PST_PROBE_CONTACT);
    assert_int_equal(probe.connection_pk, second.connection_pk);
    /* It ends well, without the others being asked: nobody waits any more. */
    put(p, 120200, item(probe.connection_pk, 3, -1));
    put(p, 120200, item(first.connection_pk, 3, -1));
    pst_probes_origin(p, at_ms(120200), 0, HOST, false);
    pst_probes_done(p, at_ms(120200), 0, &probe, 1000);
    pst_probes_done(p, at_ms(120200), 0, &first, 1000);
    assert_int_equal(pst_probes_count(p), 2);
    /* Away once more, with nobody to probe; then somebody comes. */
    pst_probes_origin(p, at_ms(120300), 0, HOST, true);
    other = item(3, 2, -1);
    other.tell = at_ms(900000);
    put(p, 120300, other);
    put(p, 120300, item(5, 1, 125000));
    assert_int_equal(pst_probes_in_ms(p, at_ms(120300), 5), 4700);
    put(p, 120300, item(6, 1, 0));
    assert_int_equal(pst_probes_in_ms(p, at_ms(120300), 6), 4700);
    pst_probes_remove(p, 5);
    pst_probes_remove(p, 6);
    put(p, 130000, item(7, 1, 0));
    assert_int_equal(pst_probes_next(p, at_ms(130000), &wake).connection_pk, 7);
    pst_probes_free(p);
}

static void a_connection_without_a_host_is_probed_alone(void **state)
{
    (void)state;
    struct pst_err err;
    pst_mono wake;
    struct pst_probes *p = NULL;
    assert_ok(pst_probes_new(&p, &BACKOFF, &err));
    struct pst_probe_item own = item(1, 1, 0);
    own.origin = "";
    put(p, 0, own);
    struct pst_probe_task task = pst_probes_next(p, at_ms(0), &wake);
    assert_int_equal(task.connection_pk, 1);
    pst_probes_done(p, at_ms(10), 0, &task, 0);
    pst_probes_free(p);
}

static void running_out_of_memory_changes_nothing(void **state)
{
    (void)state;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        struct pst_probes *p = NULL;
        int64_t live = pst_alloc_live();
        pst_code rc = pst_probes_new(&p, &BACKOFF, &err);
        for (int64_t pk = 1; rc == PST_OK && pk <= 40; pk++) {
            char host[32];
            (void)snprintf(host, sizeof(host), "http://%lld:80", (long long)pk);
            struct pst_probe_item own = item(pk, 1, pk);
            own.origin = pk == 1 ? "" : host;
            rc = pst_probes_put(p, at_ms(0), &own, &err);
        }
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        pst_probes_free(p);
        assert_int_equal(pst_alloc_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_comes_when_it_is_due),
        cmocka_unit_test(who_wants_no_probe_any_more_gives_its_turn_to_the_next),
        cmocka_unit_test(whose_turn_it_is_while_its_event_is_told_waits),
        cmocka_unit_test(a_connection_without_a_host_is_probed_alone),
        cmocka_unit_test(what_ends_while_it_is_probed_is_forgotten_afterwards),
        cmocka_unit_test(four_at_a_time_of_one_host),
        cmocka_unit_test(what_is_offline_by_itself_is_asked_one_at_a_time_until_one_answers),
        cmocka_unit_test(many_connections_of_a_dead_host_share_one_probe_and_come_back_in_turns),
        cmocka_unit_test(a_host_that_dies_again_while_it_comes_back_is_left_alone),
        cmocka_unit_test(the_only_one_that_is_left_is_not_probed_twice_at_once),
        cmocka_unit_test(the_next_outage_begins_with_one_at_a_time_again),
        cmocka_unit_test(who_moves_while_it_is_probed_belongs_to_where_it_is),
        cmocka_unit_test(what_is_known_newer_is_told),
        cmocka_unit_test(running_out_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
