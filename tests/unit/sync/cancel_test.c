/* A run that is cancelled breaks off, at whatever moment that comes: also where the flag of its
 * worker is being set by the worker itself. Were it missed, the run would go on until the next
 * commit, which may be a silent call away. */
#include <sqlite3.h>

#include "tests/unit/sync/toy.h"

#define BOTH (1U << TOY_SUPPLIERS | 1U << TOY_ITEMS)

static struct toy_world *the_world;
static bool is_armed; /* cancel as soon as it can be done */

static pst_code cancel_newest(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct toy_world *w = arg;
    uint8_t raw[PST_ID_RAW] = {(uint8_t)(w->syncs >> 8), (uint8_t)w->syncs};
    struct pst_id id = pst_id_format("sync_", raw);
    return pst_syncs_cancel(conn, w->connection_pk, pst_id_str(&id), w->wall, err);
}

/* As the API does it. */
static void cancel_now(struct toy_world *w)
{
    struct pst_err err;
    is_armed = false;
    assert_ok(pst_db_write(w->db, cancel_newest, w, &err));
    pst_sync_cancel(w->engine, w->connection_pk, w->syncs);
}

static void check_cancelled(struct toy_world *w, const struct pst_sync *s, unsigned calls)
{
    assert_false(is_armed);
    assert_int_equal(s->status, PST_SYNC_CANCELLED);
    assert_int_equal(w->toy.calls, calls);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM stream WHERE sync_pk IS NOT NULL"), 0);
}

/* ---- between the claim and the slot ---- */

/* The clock is read for the slot before the slot says which run it has. */
static pst_mono cancel_and_tell_time(void *self)
{
    struct toy_world *w = self;
    if (is_armed && toy_number(w, "SELECT count(*) FROM sync WHERE claimed = 1") > 0)
        cancel_now(w);
    return (pst_mono){w->mono_ms * PST_NS_PER_MS};
}

static void a_run_that_is_cancelled_before_its_slot_shows_it_makes_no_call(void **state)
{
    struct toy_world *w = *state;
    struct pst_err err;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    pst_sync_engine_free(w->engine);
    w->options.host.mono = cancel_and_tell_time;
    assert_ok(pst_sync_engine_new(&w->engine, &w->options, &err));
    is_armed = true;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    check_cancelled(w, &s, 0);
}

/* ---- while a flag that meant another run is lowered ---- */

static void raise_flag(struct toy_world *w, unsigned call)
{
    if (call != 2)
        return;
    is_armed = true;
    atomic_store(&w->engine->slots[0].cancel, true);
}

/* The worker has read that its run is wanted, and has not acted on it. */
static int cancel_behind_the_look(unsigned type, void *arg, void *statement, void *ns)
{
    (void)type, (void)arg, (void)ns;
    const char *sql = sqlite3_sql(statement);
    if (is_armed && strstr(sql, "y.cancel_requested,") && strstr(sql, "c.deleted_at"))
        cancel_now(the_world);
    return 0;
}

static int trace_reader(sqlite3 *db, char **message, const struct sqlite3_api_routines *api)
{
    (void)message, (void)api;
    return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, cancel_behind_the_look, NULL);
}

static void a_run_that_is_cancelled_while_it_looks_whether_it_is_wanted_breaks_off(void **state)
{
    struct toy_world *w = *state;
    the_world = w;
    toy_fill(w, TOY_SUPPLIERS, 50, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, 500, w->toy.now_s - 1000);
    w->toy.hook = raise_flag;
    (void)sqlite3_auto_extension((void (*)(void))trace_reader);
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    sqlite3_reset_auto_extension();
    check_cancelled(w, &s, 3);
}

/* ---- while a page that nobody wants is broken off ---- */

static void cancel_at_the_second_page(struct toy_world *w, unsigned call)
{
    if (call == 2)
        cancel_now(w);
}

static void a_run_that_is_cancelled_while_a_page_is_abandoned_reads_no_further_stream(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, 500, w->toy.now_s - 1000);
    w->toy.lacks_column = true;
    w->toy.hook = cancel_at_the_second_page;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    check_cancelled(w, &s, 3);
    w->toy.hook = NULL;
    /* And one that is not cancelled goes on with the next stream. */
    s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.streams[1].error_code, "INVALID_REQUEST");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, toy_set_up, toy_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_run_that_is_cancelled_before_its_slot_shows_it_makes_no_call),
        T(a_run_that_is_cancelled_while_it_looks_whether_it_is_wanted_breaks_off),
        T(a_run_that_is_cancelled_while_a_page_is_abandoned_reads_no_further_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
