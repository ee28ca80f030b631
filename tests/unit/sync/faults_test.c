/* The connected system fails at every call of a full sync, in every way there is, once and from
 * then on: the run ends, nothing is deleted that was not missed by a whole read, streams are free,
 * the feed is whole, and the next run makes up for all of it. */
#include "tests/unit/sync/toy.h"

#define BOTH (1U << TOY_SUPPLIERS | 1U << TOY_ITEMS)

enum { CALLS_MIN = 6, MOVED = 5, FIRST = 150 };

static const pst_code classes[] = {
    PST_E_UNREACHABLE, PST_E_TIMEOUT, PST_E_FOREIGN_PAGE, PST_E_REAUTH,        PST_E_SYSTEM,
    PST_E_SYSTEM_BUSY, PST_E_LIMIT,   PST_E_NO_MEMORY,    PST_E_UNAVAILABLE,   PST_E_EGRESS,
    PST_E_INVALID,     PST_E_CORRUPT, PST_E_INTERNAL,     PST_E_SYSTEM_DENIED,
};

static struct toy_world world;

/* Five go, five that were gone come back, five are renamed; another five each time. */
static void change_the_source(struct toy_world *w, unsigned round)
{
    char name[32];
    (void)snprintf(name, sizeof name, "Round %u", round);
    for (int stream = 0; stream < TOY_STREAMS; stream++) {
        for (unsigned i = 0; i < MOVED; i++) {
            w->toy.rows[stream][(round % 5) * MOVED + i].exists = false;
            w->toy.rows[stream][((round + 1) % 5) * MOVED + i].exists = true;
            toy_put(w, stream, 60 + i, name, w->toy.now_s - 5);
        }
    }
}

static pst_code make_pending(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct toy_world *w = arg;
    return pst_connections_set_status(conn, w->connection_pk, PST_CONNECTION_PENDING,
                                      PST_STR("new credentials"), PST_STR(""), w->wall, NULL, err);
}

static int64_t deleted_in(struct toy_world *w, const struct pst_sync *s, int stream)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM change WHERE op = 2 AND sync_pk = %lld AND stream_pk ="
                   " (SELECT pk FROM stream WHERE entity = '%s')",
                   (long long)s->pk, s->streams[stream].entity->name);
    return toy_number(w, sql);
}

static void check_ended(struct toy_world *w, const struct pst_sync *s)
{
    assert_true(s->status == PST_SYNC_COMPLETED || s->status == PST_SYNC_FAILED);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM stream WHERE sync_pk IS NOT NULL"), 0);
    assert_int_equal(w->toy.opened, w->toy.closed);
    toy_check_feed(w);
    for (size_t i = 0; i < s->stream_count; i++) {
        int stream = strcmp(s->streams[i].entity->name, "items") == 0 ? TOY_ITEMS : TOY_SUPPLIERS;
        if (s->streams[i].status == PST_SYNC_COMPLETED)
            toy_check_equal(w, stream);
        else
            assert_int_equal(deleted_in(w, s, (int)i), 0);
    }
}

/* How many calls the run made. */
static unsigned fail_at(struct toy_world *w, unsigned at, pst_code code, bool for_good,
                        unsigned round)
{
    struct pst_err err;
    change_the_source(w, round);
    for (unsigned i = at; i < TOY_CALLS && (for_good || i == at); i++)
        w->toy.fail[i] = code;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    unsigned calls = w->toy.calls;
    check_ended(w, &s);

    memset(w->toy.fail, 0, sizeof w->toy.fail);
    assert_ok(pst_db_write(w->db, make_pending, w, &err));
    s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    check_ended(w, &s);
    return calls;
}

/* A store of its own for each: looking at the feed costs what it is long. */
static void fail_everywhere(pst_code code, bool for_good)
{
    struct toy_world *w = &world;
    unsigned at = 0;
    toy_world_make(w);
    toy_world_open(w);
    w->toy.page_docs = 70;
    toy_fill(w, TOY_SUPPLIERS, FIRST, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, FIRST, w->toy.now_s - 1000);
    assert_int_equal(toy_sync(w, PST_SYNC_FULL, BOTH).status, PST_SYNC_COMPLETED);
    while (fail_at(w, at, code, for_good, at) > at)
        at++;
    assert_true(at > CALLS_MIN);
    toy_world_close(w);
    toy_world_remove(w);
}

static void a_call_that_fails_once_costs_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(classes); i++)
        fail_everywhere(classes[i], false);
}

static void a_system_that_goes_away_for_good_costs_nothing_when_it_is_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(classes); i++)
        fail_everywhere(classes[i], true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fails_once_costs_nothing),
        cmocka_unit_test(a_system_that_goes_away_for_good_costs_nothing_when_it_is_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
