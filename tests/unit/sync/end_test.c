/* How runs end, and what the next one does with what they left. */
#include <signal.h>

#include "tests/unit/sync/toy.h"

#define BOTH (1U << TOY_SUPPLIERS | 1U << TOY_ITEMS)
#define SUPPLIERS (1U << TOY_SUPPLIERS)

static void move_on(struct toy_world *w, int64_t seconds)
{
    w->toy.now_s += seconds;
    w->wall.us += seconds * PST_US_PER_S;
    w->mono_ms += seconds * 1000;
}

/* ---- a store that refuses ---- */

static void fill_the_disk(struct toy_world *w, unsigned call)
{
    (void)w;
    if (call == 3)
        toy_let_files_grow(false);
}

static void make_room_after_a_while(struct toy_world *w)
{
    if (w->slept_ms >= 5000)
        toy_let_files_grow(true);
}

static void stop_after_a_while(struct toy_world *w)
{
    if (w->slept_ms >= 5000)
        pst_sync_stop(w->engine);
}

static void a_run_whose_end_the_store_refuses_is_ended_as_soon_as_it_takes_it(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    w->toy.hook = fill_the_disk;
    w->on_sleep = make_room_after_a_while;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "INTERNAL_ERROR");
    assert_true(w->slept_ms >= 5000 && w->slept_ms <= 6500);
    assert_int_equal(w->reports, 2); /* told at once, and when it was over */
    assert_int_equal(w->report.status, PST_SYNC_FAILED);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM stream WHERE sync_pk IS NOT NULL"), 0);
    w->toy.hook = NULL;
    assert_int_equal(toy_sync(w, PST_SYNC_FULL, BOTH).status, PST_SYNC_COMPLETED);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

static void a_stop_does_not_wait_for_a_store_that_refuses(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    w->toy.hook = fill_the_disk;
    w->on_sleep = stop_after_a_while;
    int64_t pk = toy_queue(w, PST_SYNC_FULL, BOTH);
    toy_work(w);
    toy_let_files_grow(true);
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_RUNNING);
    w->toy.hook = NULL;
    w->on_sleep = NULL;
    toy_world_close(w);
    toy_world_open(w);
    toy_work(w);
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_COMPLETED);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

static pst_code do_nothing(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)conn, (void)arg, (void)err;
    return PST_OK;
}

/* The commit of the second page fails; the third changes nothing, so nobody has looked when the
 * stop comes. */
static void lose_the_second_page(struct toy_world *w, unsigned call)
{
    struct pst_err err;
    if (call == 3)
        toy_let_files_grow(false);
    if (call != 4)
        return;
    (void)pst_db_write(w->db, do_nothing, NULL, &err); /* what was queued before is done with */
    toy_let_files_grow(true);
    pst_sync_stop(w->engine);
}

static void nothing_behind_a_page_that_was_lost_counts_as_read(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    assert_int_equal(toy_sync(w, PST_SYNC_FULL, SUPPLIERS).status, PST_SYNC_COMPLETED);
    move_on(w, 7200);
    toy_put(w, TOY_SUPPLIERS, 150, "Changed", w->toy.now_s - 3600);
    w->toy.calls = 0;
    w->toy.hook = lose_the_second_page;
    int64_t pk = toy_queue(w, PST_SYNC_FULL, SUPPLIERS);
    toy_work(w);
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_RUNNING);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM change WHERE op = 1"), 0);
    w->toy.hook = NULL;
    toy_world_close(w);
    toy_world_open(w);
    toy_work(w);
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_COMPLETED);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

/* ---- a first read that breaks off ---- */

/* Fails when the n-th page of the first stream is asked for (0: the first). */
static struct pst_sync break_off_at(struct toy_world *w, enum pst_sync_mode mode, unsigned page)
{
    w->toy.calls = 0;
    for (unsigned i = 0; i < TOY_CALLS; i++)
        w->toy.fail[i] = i > page ? PST_E_UNREACHABLE : PST_OK;
    struct pst_sync s = toy_sync(w, mode, SUPPLIERS);
    memset(w->toy.fail, 0, sizeof w->toy.fail);
    w->toy.calls = 0;
    assert_int_equal(s.status, PST_SYNC_FAILED);
    return s;
}

/* arg: NULL as where more history is asked for, else as where other rows were chosen. */
static pst_code rewind_streams(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    for (int64_t pk = 1; pk <= TOY_STREAMS; pk++)
        PST_TRY(pst_streams_rewind(conn, pk, PST_WALL_NONE, arg != NULL, err));
    return PST_OK;
}

static pst_code retain(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    bool left = false;
    const struct pst_retention keep = {PST_WALL_NONE, PST_WALL_NONE, PST_WALL_NONE, PST_WALL_NONE,
                                       PST_WALL_NONE};
    return pst_store_retain(conn, &keep, 10000, &left, err);
}

static void write_in_job(struct toy_world *w, pst_db_write_fn fn)
{
    struct pst_err err;
    assert_ok(pst_db_write(w->db, fn, NULL, &err));
}

static void a_first_read_that_fails_goes_on_where_it_was(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    int64_t began_s = w->toy.now_s;
    assert_int_equal(break_off_at(w, PST_SYNC_FULL, 4).counts.read, 400);
    move_on(w, 60);
    /* Changed behind and before the place, and gone. */
    toy_put(w, TOY_SUPPLIERS, 3, "Changed", w->toy.now_s - 1);
    toy_put(w, TOY_SUPPLIERS, 900, "Changed", w->toy.now_s - 1);
    move_on(w, 3600);
    assert_int_equal(break_off_at(w, PST_SYNC_INCREMENTAL, 3).counts.read, 300);
    move_on(w, 60);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(s.counts.read, 300);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rec_suppliers"), 1000);
    /* Synced only up to when the first of them began: what changed since is read next. */
    assert_int_equal(toy_number(w, "SELECT synced_to / 1000000 FROM stream"), began_s);
    s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.counts.updated, 1);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

static void what_a_broken_read_found_missing_is_not_forgotten(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    assert_int_equal(toy_sync(w, PST_SYNC_FULL, SUPPLIERS).status, PST_SYNC_COMPLETED);
    w->toy.rows[TOY_SUPPLIERS][50].exists = false;
    w->toy.rows[TOY_SUPPLIERS][950].exists = false;
    write_in_job(w, rewind_streams);
    (void)break_off_at(w, PST_SYNC_INCREMENTAL, 4);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync_missing"), 1);
    write_in_job(w, retain);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync_missing"), 1);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.counts.read, 598);
    assert_int_equal(s.counts.deleted, 2);
    write_in_job(w, retain);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync_missing"), 0);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

/* What makes the place worthless, and the pages that are read again then. */
static void a_read_is_begun_anew_when_its_place_means_nothing(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    (void)break_off_at(w, PST_SYNC_FULL, 4);
    move_on(w, 25 * 3600); /* too long ago */
    assert_int_equal(break_off_at(w, PST_SYNC_INCREMENTAL, 2).counts.read, 200);
    write_in_job(w, rewind_streams); /* other settings */
    assert_int_equal(break_off_at(w, PST_SYNC_INCREMENTAL, 3).counts.read, 300);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.counts.read, 700);
    /* A stream that was read to its end once: a full sync is to see everything. */
    assert_int_equal(break_off_at(w, PST_SYNC_FULL, 3).counts.read, 300);
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(s.counts.read, 1000);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

/* Who asks for everything gets it, also where it was never read to its end; the first sync that
 * Penstock makes by itself is another matter. */
static void a_full_sync_by_hand_reads_everything(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    w->trigger = PST_SYNC_INITIAL;
    (void)break_off_at(w, PST_SYNC_FULL, 4);
    assert_int_equal(break_off_at(w, PST_SYNC_FULL, 2).counts.read, 200);
    w->trigger = PST_SYNC_MANUAL;
    assert_int_equal(break_off_at(w, PST_SYNC_FULL, 3).counts.read, 300);
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(s.counts.read, 1000);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

/* arg: the new mapping. */
static pst_code change_mapping(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct pst_connection_patch patch = {.set_mapping = true, .mapping = pst_str_from(arg)};
    return pst_connections_patch(conn, 1, &patch, 0, (pst_wall){1}, err);
}

static void what_another_mapping_began_is_begun_anew(void **state)
{
    struct toy_world *w = *state;
    struct pst_err err;
    char more[] = "{\"suppliers\":{\"custom_fields\":{\"state\":{\"column\":\"STATUS\"}}}}";
    char wrong[] = "{\"suppliers\":{\"name\":{\"column\":7}}}";
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    (void)break_off_at(w, PST_SYNC_INCREMENTAL, 4);
    assert_ok(pst_db_write(w->db, change_mapping, more, &err));
    assert_int_equal(break_off_at(w, PST_SYNC_INCREMENTAL, 7).counts.read, 700);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(s.counts.read, 300); /* the same mapping as before */
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rec_suppliers WHERE data LIKE '%state%'"),
                     1000);
    toy_check_equal(w, TOY_SUPPLIERS);
    /* One that is wrong is the stream's own failure, as ever. */
    write_in_job(w, rewind_streams);
    assert_ok(pst_db_write(w->db, change_mapping, wrong, &err));
    s = toy_sync(w, PST_SYNC_INCREMENTAL, BOTH);
    assert_str(s.streams[0].error_code, "INVALID_REQUEST");
    assert_int_equal(s.streams[1].status, PST_SYNC_COMPLETED);
    toy_check_feed(w);
}

static void keys_out_of_order_are_not_gone_on_with(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    w->toy.descending = true;
    (void)break_off_at(w, PST_SYNC_FULL, 4);
    w->toy.descending = false;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(s.counts.read, 1000);
    toy_check_equal(w, TOY_SUPPLIERS);
}

/* ---- ticks while the system is away ---- */

struct status_job {
    const struct toy_world *w;
    enum pst_connection_status status;
};

static pst_code set_status(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct status_job *job = arg;
    return pst_connections_set_status(conn, job->w->connection_pk, job->status, PST_STR("because"),
                                      (pst_str){0}, job->w->wall, NULL, err);
}

static void become(struct toy_world *w, enum pst_connection_status status)
{
    struct pst_err err;
    struct status_job job = {w, status};
    w->wall.us += PST_US_PER_S;
    assert_ok(pst_db_write(w->db, set_status, &job, &err));
}

static void a_tick_that_makes_no_call_leaves_no_run(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    become(w, PST_CONNECTION_ONLINE);
    w->trigger = PST_SYNC_SCHEDULED;
    w->toy.fail[0] = PST_E_AWAY;
    (void)toy_queue(w, PST_SYNC_INCREMENTAL, BOTH);
    toy_work(w);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), 0);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync_stream"), 0);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM stream WHERE sync_pk IS NOT NULL"), 0);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM event"), 0);
    /* Who asked for one is told; and so it is when the system goes in the middle. */
    w->trigger = PST_SYNC_MANUAL;
    assert_int_equal(toy_sync(w, PST_SYNC_INCREMENTAL, BOTH).status, PST_SYNC_FAILED);
    w->trigger = PST_SYNC_SCHEDULED;
    w->toy.fail[0] = PST_OK;
    w->toy.fail[1] = PST_E_AWAY;
    assert_int_equal(toy_sync(w, PST_SYNC_INCREMENTAL, BOTH).status, PST_SYNC_FAILED);
}

static void go_and_come_back(struct toy_world *w, unsigned call)
{
    if (call > 0)
        return;
    become(w, PST_CONNECTION_OFFLINE);
    become(w, PST_CONNECTION_ONLINE);
}

static void a_tick_that_was_denied_while_the_system_came_back_is_made(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    become(w, PST_CONNECTION_ONLINE);
    w->trigger = PST_SYNC_SCHEDULED;
    w->toy.fail[0] = PST_E_AWAY;
    w->toy.hook = go_and_come_back;
    int64_t pk = toy_queue(w, PST_SYNC_INCREMENTAL, BOTH);
    toy_work(w);
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_COMPLETED);
    assert_int_equal(w->reports, 1);
    toy_check_equal(w, TOY_SUPPLIERS);
}

/* ---- rows that the user chose away ---- */

static void choose_other_rows(struct toy_world *w)
{
    struct pst_err err;
    assert_ok(pst_db_write(w->db, rewind_streams, w, &err));
}

static void remove_suppliers(struct toy_world *w, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        w->toy.rows[TOY_SUPPLIERS][i].exists = false;
}

/* There may be more of them than of what is left. From then on the guard stands again. */
static void rows_that_were_chosen_away_go_past_the_guard_once(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 100, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    remove_suppliers(w, 0, 60);
    write_in_job(w, rewind_streams);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_str(s.error_code, "DELETE_GUARD");
    choose_other_rows(w);
    s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(s.counts.deleted, 60);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
    remove_suppliers(w, 60, 80);
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_str(s.error_code, "DELETE_GUARD");
}

/* Where keys come in no order nobody can tell what was chosen away. */
static void without_order_nothing_goes_past_the_guard(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 100, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    choose_other_rows(w);
    w->toy.descending = true;
    remove_suppliers(w, 0, 60);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_str(s.error_code, "DELETE_GUARD");
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rec_suppliers WHERE deleted_at IS NULL"),
                     100);
}

/* Its credentials are new: nobody has tried them, while the old ones are being tried. */
static void a_run_of_new_credentials_that_is_denied_waits(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    become(w, PST_CONNECTION_PENDING);
    w->trigger = PST_SYNC_SCHEDULED;
    w->toy.fail[0] = w->toy.fail[1] = PST_E_AWAY;
    int64_t pk = toy_queue(w, PST_SYNC_INCREMENTAL, BOTH);
    toy_work(w);
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_COMPLETED);
    assert_in_range(w->idle_ms, 10000, 11000);
    toy_check_equal(w, TOY_SUPPLIERS);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, toy_set_up, toy_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_run_whose_end_the_store_refuses_is_ended_as_soon_as_it_takes_it),
        T(a_stop_does_not_wait_for_a_store_that_refuses),
        T(nothing_behind_a_page_that_was_lost_counts_as_read),
        T(a_first_read_that_fails_goes_on_where_it_was),
        T(what_a_broken_read_found_missing_is_not_forgotten),
        T(a_read_is_begun_anew_when_its_place_means_nothing),
        T(a_full_sync_by_hand_reads_everything),
        T(what_another_mapping_began_is_begun_anew),
        T(keys_out_of_order_are_not_gone_on_with),
        T(a_tick_that_makes_no_call_leaves_no_run),
        T(a_tick_that_was_denied_while_the_system_came_back_is_made),
        T(a_run_of_new_credentials_that_is_denied_waits),
        T(rows_that_were_chosen_away_go_past_the_guard_once),
        T(without_order_nothing_goes_past_the_guard),
    };
    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
