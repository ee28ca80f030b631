/* tests/unit/store/syncs_test.c: the life of runs and what it does to streams. */
#include "tests/unit/store/world.h"

#include "store/syncs_private.h"

static pst_code create(struct world *w, unsigned n, enum pst_sync_trigger trigger,
                       const struct pst_entity *a, const struct pst_entity *b, int64_t *pk,
                       struct pst_id *busy)
{
    const struct pst_entity *const entities[] = {a, b};
    const struct pst_sync_request request = {
        .id = world_id("sync_", n),
        .connection_pk = w->conn.pk,
        .trigger = trigger,
        .mode = PST_SYNC_INCREMENTAL,
        .entities = entities,
        .entity_count = b ? 2 : 1,
        .request_id = PST_STR("req_x"),
        .now = at(n),
    };
    return WRITE(w, pst_syncs_create(w->writer, &request, pk, busy, &w->err));
}

static struct pst_sync get(struct world *w, int64_t pk)
{
    struct pst_sync sync = {0};
    assert_read(w, pst_syncs_get_pk(w->reader, pk, w->arena, &sync, &w->err));
    return sync;
}

static struct pst_stream_state stream(struct world *w, const struct pst_entity *e)
{
    struct pst_stream_state s = {0};
    bool found = false;
    assert_read(w, pst_streams_get(w->reader, w->conn.pk, e, w->arena, &s, &found, &w->err));
    assert_true(found);
    return s;
}

static bool claim(struct world *w, struct pst_sync *out)
{
    bool found = false;
    assert_write(w, pst_syncs_claim(w->writer, at(60), w->arena, out, &found, &w->err));
    return found;
}

/* ---- queueing ---- */

static void a_manual_run_is_refused_whole_when_a_stream_is_held(void **state)
{
    struct world *w = *state;
    int64_t first = 0;
    int64_t second = 0;
    struct pst_id busy = {0};
    assert_read(w, create(w, 1, PST_SYNC_MANUAL, w->orders, NULL, &first, NULL));
    assert_code(create(w, 2, PST_SYNC_MANUAL, w->suppliers, w->orders, &second, &busy),
                PST_E_SYNC_IN_PROGRESS);
    assert_string_equal(busy.text, world_id("sync_", 1).text);
    assert_non_null(strstr(w->err.msg, busy.text));
    assert_read(w, create(w, 3, PST_SYNC_MANUAL, w->suppliers, NULL, &second, &busy));
    assert_int_equal(stream(w, w->suppliers).sync_pk, second);
}

static void a_scheduled_run_leaves_busy_streams_out(void **state)
{
    struct world *w = *state;
    int64_t first = 0;
    int64_t second = 0;
    assert_read(w, create(w, 1, PST_SYNC_MANUAL, w->orders, NULL, &first, NULL));
    assert_read(w, create(w, 2, PST_SYNC_SCHEDULED, w->orders, w->suppliers, &second, NULL));
    struct pst_sync sync = get(w, second);
    assert_int_equal(sync.stream_count, 1);
    assert_ptr_equal(sync.streams[0].entity, w->suppliers);
    int64_t third = -1;
    assert_read(w, create(w, 3, PST_SYNC_SCHEDULED, w->orders, w->suppliers, &third, NULL));
    assert_int_equal(third, 0);
}

static void only_an_active_connection_takes_runs(void **state)
{
    struct world *w = *state;
    int64_t pk = 0;
    const struct pst_sync_request none = {.id = world_id("sync_", 1), .connection_pk = w->conn.pk};
    assert_code(WRITE(w, pst_syncs_create(w->writer, &none, &pk, NULL, &w->err)), PST_E_INVALID);
    assert_code(create(w, 1, PST_SYNC_MANUAL, w->orders, w->orders, &pk, NULL), PST_E_INVALID);
    assert_write(w, pst_connections_set_status(w->writer, w->conn.pk, PST_CONNECTION_INACTIVE,
                                               PST_STR("off"), PST_STR(""), at(1), NULL, &w->err));
    assert_code(create(w, 1, PST_SYNC_MANUAL, w->orders, NULL, &pk, NULL), PST_E_INACTIVE);
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, false, at(2), &w->err));
    assert_code(create(w, 1, PST_SYNC_MANUAL, w->orders, NULL, &pk, NULL), PST_E_NOT_FOUND);
}

static void a_manual_run_takes_the_place_of_what_waits_for_a_system_that_is_offline(void **state)
{
    struct world *w = *state;
    struct pst_sync sync;
    struct pst_id busy;
    int64_t waiting = 0;
    int64_t pk = 0;
    assert_code(create(w, 1, PST_SYNC_SCHEDULED, w->orders, NULL, &waiting, NULL), PST_OK);
    assert_code(create(w, 2, PST_SYNC_MANUAL, w->orders, NULL, &pk, &busy), PST_E_SYNC_IN_PROGRESS);
    assert_write(w, pst_connections_set_status(w->writer, w->conn.pk, PST_CONNECTION_OFFLINE,
                                               PST_STR("away"), PST_STR(""), at(1), NULL, &w->err));
    assert_false(claim(w, &sync));
    assert_code(create(w, 2, PST_SYNC_MANUAL, w->orders, NULL, &pk, &busy), PST_OK);
    assert_int_equal(get(w, waiting).status, PST_SYNC_CANCELLED);
    /* What somebody asked for, or what is being tried, it does not. */
    assert_code(create(w, 3, PST_SYNC_MANUAL, w->orders, NULL, &pk, &busy), PST_E_SYNC_IN_PROGRESS);
    assert_true(claim(w, &sync));
    assert_int_equal(sync.pk, pk);
    assert_code(create(w, 3, PST_SYNC_MANUAL, w->orders, NULL, &pk, &busy), PST_E_SYNC_IN_PROGRESS);
}

static void a_run_that_began_nothing_is_withdrawn(void **state)
{
    struct world *w = *state;
    struct pst_sync sync;
    int64_t pk = 0;
    assert_code(create(w, 1, PST_SYNC_SCHEDULED, w->orders, NULL, &pk, NULL), PST_OK);
    assert_code(WRITE(w, pst_syncs_withdraw(w->writer, pk, &w->err)), PST_E_CONFLICT);
    assert_true(claim(w, &sync));
    assert_write(w, pst_syncs_withdraw(w->writer, pk, &w->err));
    assert_code(WRITE(w, pst_syncs_withdraw(w->writer, pk, &w->err)), PST_E_CONFLICT);
    assert_code(create(w, 2, PST_SYNC_MANUAL, w->orders, NULL, &pk, NULL),
                PST_OK); /* the stream is free */
    assert_true(claim(w, &sync));
    assert_write(w, pst_syncs_begin_stream(w->writer, pk, sync.streams[0].stream_pk, at(0), at(1),
                                           at(1), at(1), &w->err));
    assert_code(WRITE(w, pst_syncs_withdraw(w->writer, pk, &w->err)), PST_E_CONFLICT);
}

/* ---- running ---- */

static void runs_are_claimed_in_order_and_resumed_first(void **state)
{
    struct world *w = *state;
    int64_t pks[2] = {0};
    struct pst_sync sync;
    int64_t count = 0;
    assert_read(w, create(w, 1, PST_SYNC_MANUAL, w->orders, NULL, &pks[0], NULL));
    assert_read(w, create(w, 2, PST_SYNC_MANUAL, w->suppliers, NULL, &pks[1], NULL));
    assert_true(claim(w, &sync));
    assert_int_equal(sync.pk, pks[0]);
    assert_int_equal(sync.status, PST_SYNC_RUNNING);
    assert_true(sync.started_at.us == at(60).us);
    assert_true(claim(w, &sync));
    assert_int_equal(sync.pk, pks[1]);
    assert_false(claim(w, &sync));
    assert_write(w, pst_syncs_release(w->writer, pks[1], &w->err));
    world_reopen(w); /* a stop: the other is still claimed by nobody alive */
    assert_write(w, pst_syncs_recover(w->writer, &count, &w->err));
    assert_int_equal(count, 1);
    assert_true(claim(w, &sync));
    assert_int_equal(sync.pk, pks[0]);
    assert_true(claim(w, &sync));
    assert_int_equal(sync.pk, pks[1]);
    assert_false(claim(w, &sync));
}

static void a_resumed_run_keeps_its_window_and_its_place(void **state)
{
    struct world *w = *state;
    const struct order one[] = {{"PO1", "draft"}};
    struct run r = world_run(w, 1, PST_SYNC_INCREMENTAL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, one, 1, "key-1", at(10)));
    world_reopen(w);
    assert_write(w, pst_syncs_recover(w->writer, NULL, &w->err));
    struct pst_sync sync;
    assert_true(claim(w, &sync));
    assert_true(sync.streams[0].begun);
    assert_write(w, pst_syncs_begin_stream(w->writer, r.sync_pk, r.orders_pk, at(7), at(8), at(9),
                                           at(70), &w->err));
    sync = get(w, r.sync_pk);
    assert_true(pst_wall_is_none(sync.streams[0].from));
    assert_true(sync.streams[0].as_of.us == at(100).us);
    assert_str(sync.streams[0].after_key, "key-1");
    assert_str(sync.streams[0].sort_key, "PO1");
    assert_int_equal(sync.counts.read, 1);
}

static void success_moves_the_checkpoint_to_the_windows_end(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL); /* open window: as_of counts */
    assert_true(stream(w, w->orders).running);
    assert_string_equal(stream(w, w->orders).sync_id.text, r.id.text);
    assert_true(pst_wall_is_none(stream(w, w->orders).synced_to));
    world_end(w, &r, PST_SYNC_COMPLETED);
    struct pst_stream_state s = stream(w, w->orders);
    assert_true(s.synced_to.us == at(100).us);
    assert_true(s.last_success_at.us == at(50).us);
    assert_true(s.last_full_at.us == at(50).us);
    assert_true(s.last_attempt_at.us == at(2).us);
    assert_int_equal(s.sync_pk, 0);
    assert_int_equal(s.mapping_version, 7);
    struct pst_connection c;
    assert_read(w, pst_connections_get_pk(w->reader, w->conn.pk, w->arena, &c, &w->err));
    assert_true(c.initial_sync_done);
}

static void failure_keeps_the_checkpoint_and_says_why(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    world_end(w, &r, PST_SYNC_COMPLETED);
    r = world_run(w, 2, PST_SYNC_INCREMENTAL);
    world_end(w, &r, PST_SYNC_FAILED);
    struct pst_stream_state s = stream(w, w->orders);
    assert_true(s.synced_to.us == at(100).us);
    assert_str(s.error_code, "SYSTEM_UNREACHABLE");
    assert_str(s.error_message, "connection refused");
    struct pst_sync sync = get(w, r.sync_pk);
    assert_int_equal(sync.status, PST_SYNC_FAILED);
    assert_str(sync.error_code, "SYSTEM_UNREACHABLE");
    assert_str(sync.streams[0].error_message, "connection refused");
    r = world_run(w, 3, PST_SYNC_INCREMENTAL);
    world_end(w, &r, PST_SYNC_CANCELLED);
    assert_str(stream(w, w->orders).error_code, "SYSTEM_UNREACHABLE");
    r = world_run(w, 4, PST_SYNC_INCREMENTAL);
    world_end(w, &r, PST_SYNC_COMPLETED);
    assert_str(stream(w, w->orders).error_code, "");
}

static void one_failed_stream_fails_the_run_and_the_others_move_on(void **state)
{
    struct world *w = *state;
    int64_t pk = 0;
    struct pst_sync sync;
    struct pst_err why = {.code = PST_E_SYSTEM_DENIED, .msg = "no permission for the query"};
    const struct pst_sync_outcome fine = {.status = PST_SYNC_COMPLETED};
    const struct pst_sync_outcome failed = {.status = PST_SYNC_FAILED, .failure = &why};
    enum pst_sync_status status;
    assert_read(w, create(w, 1, PST_SYNC_MANUAL, w->orders, w->suppliers, &pk, NULL));
    assert_true(claim(w, &sync));
    int64_t orders = sync.streams[0].stream_pk;
    int64_t suppliers = sync.streams[1].stream_pk;
    assert_write(w, pst_syncs_begin_stream(w->writer, pk, suppliers, at(1), at(90), at(90), at(61),
                                           &w->err));
    assert_write(w, pst_syncs_end_stream(w->writer, pk, orders, &failed, at(62), &w->err));
    assert_code(WRITE(w, pst_syncs_end_stream(w->writer, pk, orders, &fine, at(62), &w->err)),
                PST_E_CONFLICT);
    assert_write(w, pst_syncs_end(w->writer, pk, &fine, true, at(63), &status, &w->err));
    assert_int_equal(status, PST_SYNC_FAILED);
    assert_str(get(w, pk).error_message, "no permission for the query");
    assert_true(stream(w, w->suppliers).synced_to.us == at(90).us);
    assert_true(pst_wall_is_none(stream(w, w->orders).synced_to));
    /* It failed before it was begun, and was attempted all the same. */
    assert_true(stream(w, w->orders).last_attempt_at.us == sync.started_at.us);
    assert_true(stream(w, w->suppliers).last_attempt_at.us == at(61).us);
    assert_int_equal(stream(w, w->orders).sync_pk, 0);
    assert_code(WRITE(w, pst_syncs_end(w->writer, pk, &fine, true, at(64), &status, &w->err)),
                PST_E_CONFLICT);
}

/* ---- cancelling ---- */

static void a_queued_run_is_cancelled_at_once_a_running_one_is_asked(void **state)
{
    struct world *w = *state;
    int64_t queued = 0;
    bool wanted = false;
    struct run r = world_run(w, 1, PST_SYNC_INCREMENTAL);
    assert_read(w, create(w, 2, PST_SYNC_MANUAL, w->suppliers, NULL, &queued, NULL));
    struct pst_id id = world_id("sync_", 2);
    assert_write(w, pst_syncs_cancel(w->writer, w->conn.pk, pst_id_str(&id), at(5), &w->err));
    assert_int_equal(get(w, queued).status, PST_SYNC_CANCELLED);
    assert_int_equal(stream(w, w->suppliers).sync_pk, 0);
    assert_read(w, pst_syncs_is_wanted(w->reader, r.sync_pk, &wanted, &w->err));
    assert_true(wanted);
    assert_write(w, pst_syncs_cancel(w->writer, w->conn.pk, pst_id_str(&r.id), at(6), &w->err));
    assert_int_equal(get(w, r.sync_pk).status, PST_SYNC_RUNNING);
    assert_true(get(w, r.sync_pk).cancel_requested);
    assert_read(w, pst_syncs_is_wanted(w->reader, r.sync_pk, &wanted, &w->err));
    assert_false(wanted);
    world_end(w, &r, PST_SYNC_CANCELLED);
    assert_write(w, pst_syncs_cancel(w->writer, w->conn.pk, pst_id_str(&r.id), at(7), &w->err));
    assert_true(get(w, r.sync_pk).ended_at.us == at(50).us);
    id = world_id("sync_", 9);
    assert_code(WRITE(w, pst_syncs_cancel(w->writer, w->conn.pk, pst_id_str(&id), at(7), &w->err)),
                PST_E_NOT_FOUND);
    assert_code(
        WRITE(w, pst_syncs_cancel(w->writer, w->conn.pk + 1, pst_id_str(&r.id), at(7), &w->err)),
        PST_E_NOT_FOUND);
}

static void deleting_a_connection_ends_what_waits(void **state)
{
    struct world *w = *state;
    int64_t queued = 0;
    int64_t running = 0;
    int64_t pk = 0;
    assert_read(w, create(w, 1, PST_SYNC_MANUAL, w->orders, NULL, &pk, NULL));
    assert_read(w, pst_syncs_count_open(w->reader, 0, &queued, &running, &w->err));
    assert_int_equal(queued, 1);
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, false, at(3), &w->err));
    assert_read(w, pst_syncs_count_open(w->reader, 0, &queued, &running, &w->err));
    assert_int_equal(queued + running, 0);
    assert_int_equal(get(w, pk).status, PST_SYNC_CANCELLED);
}

/* ---- reading ---- */

static void the_list_is_newest_first_and_filters_by_status(void **state)
{
    struct world *w = *state;
    struct pst_sync *items = NULL;
    size_t count = 0;
    bool more = false;
    for (unsigned n = 1; n <= 3; n++) {
        struct run r = world_run(w, n, PST_SYNC_INCREMENTAL);
        world_end(w, &r, n == 2 ? PST_SYNC_FAILED : PST_SYNC_COMPLETED);
    }
    assert_read(w, pst_syncs_list(w->reader, w->conn.pk, 0, 0, 2, w->arena, &items, &count, &more,
                                  &w->err));
    assert_int_equal(count, 2);
    assert_true(more);
    assert_string_equal(items[0].id.text, world_id("sync_", 3).text);
    assert_read(w, pst_syncs_list(w->reader, w->conn.pk, items[1].pk, 0, 2, w->arena, &items,
                                  &count, &more, &w->err));
    assert_int_equal(count, 1);
    assert_false(more);
    assert_read(w, pst_syncs_list(w->reader, w->conn.pk, 0, 1U << PST_SYNC_FAILED, 9, w->arena,
                                  &items, &count, &more, &w->err));
    assert_int_equal(count, 1);
    assert_string_equal(items[0].id.text, world_id("sync_", 2).text);
}

static unsigned statuses_of(struct world *w, unsigned statuses, size_t limit, size_t *count)
{
    struct pst_sync *items = NULL;
    unsigned seen = 0;
    bool more = false;
    assert_read(w, pst_syncs_list(w->reader, w->conn.pk, 0, statuses, limit, w->arena, &items,
                                  count, &more, &w->err));
    for (size_t i = 0; i < *count; i++) {
        seen |= 1U << items[i].status;
        assert_true(i == 0 || items[i].pk < items[i - 1].pk);
    }
    return seen;
}

static void the_list_of_any_statuses_is_these_newest_first(void **state)
{
    struct world *w = *state;
    const enum pst_sync_status ends[] = {PST_SYNC_COMPLETED, PST_SYNC_FAILED, PST_SYNC_CANCELLED};
    size_t count = 0;
    for (unsigned n = 1; n <= 6; n++) {
        struct run r = world_run(w, n, PST_SYNC_INCREMENTAL);
        world_end(w, &r, ends[n % 3]);
    }
    (void)world_run(w, 7, PST_SYNC_INCREMENTAL);
    for (unsigned statuses = 1; statuses < 32; statuses++) {
        unsigned there = statuses & ~(1U << PST_SYNC_QUEUED);
        assert_int_equal(statuses_of(w, statuses, 9, &count), there);
        size_t expected = there >> PST_SYNC_RUNNING & 1;
        for (size_t i = 0; i < PST_COUNT(ends); i++)
            expected += 2 * (there >> ends[i] & 1);
        assert_int_equal(count, expected);
    }
    assert_int_equal(statuses_of(w, 31, 1, &count), 1U << PST_SYNC_RUNNING);
    assert_int_equal(count, 1);
}

static void an_own_run_is_one_that_nobody_asked_for_by_hand(void **state)
{
    struct world *w = *state;
    bool is_there = true;
    assert_read(w, pst_syncs_has_own(w->reader, w->conn.pk, &is_there, &w->err));
    assert_false(is_there);
    struct run r = world_run(w, 1, PST_SYNC_INCREMENTAL);
    assert_write(
        w, pst_db_exec_script(w->writer, PST_STR("UPDATE sync SET cause = 'manual'"), &w->err));
    assert_read(w, pst_syncs_has_own(w->reader, w->conn.pk, &is_there, &w->err));
    assert_false(is_there);
    assert_write(
        w, pst_db_exec_script(w->writer, PST_STR("UPDATE sync SET cause = 'scheduled'"), &w->err));
    assert_read(w, pst_syncs_has_own(w->reader, w->conn.pk, &is_there, &w->err));
    assert_true(is_there);
    assert_read(w, pst_syncs_has_own(w->reader, w->conn.pk + 1, &is_there, &w->err));
    assert_false(is_there);
    world_end(w, &r, PST_SYNC_COMPLETED);
    assert_read(w, pst_syncs_has_own(w->reader, w->conn.pk, &is_there, &w->err));
    assert_false(is_there);
}

static void assert_plan(struct world *w, pst_str sql, const char *expected)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_AUTO(buf) struct pst_buf text = {.max = 20000};
    PST_AUTO(buf) struct pst_buf plan = {.max = 20000};
    bool row = false;
    pst_buf_add_lit(&text, "EXPLAIN QUERY PLAN ");
    pst_buf_add_str(&text, sql);
    assert_read(w, pst_db_stmt(w->reader, pst_buf_str(&text), &st, &w->err));
    assert_read(w, pst_stmt_step(st, &row, &w->err));
    while (row) {
        pst_str line = pst_stmt_str(st, 3);
        if (pst_str_starts(line, PST_STR("SEARCH")) || pst_str_starts(line, PST_STR("SCAN")) ||
            pst_str_starts(line, PST_STR("USE")))
            pst_buf_addf(&plan, "%.*s\n", PST_STR_ARG(line));
        assert_read(w, pst_stmt_step(st, &row, &w->err));
    }
    assert_read(w, pst_buf_check(&plan, &w->err));
    pst_buf_add_char(&plan, 0);
    assert_string_equal(plan.ptr, expected);
}

static void no_question_walks_the_history(void **state)
{
    struct world *w = *state;
#define ENDED "SEARCH sync USING INDEX sync_by_status (connection_pk=? AND status=? AND pk<?)\n"
    assert_plan(w, pst_syncs_list_sql(false),
                "SEARCH sync USING INDEX sync_by_connection (connection_pk=? AND pk<?)\n");
    assert_plan(w, pst_syncs_list_sql(true),
                "SEARCH sync USING INDEX sync_open (connection_pk=? AND pk<?)\n" ENDED ENDED ENDED);
    assert_plan(w, pst_syncs_has_own_sql(),
                "SCAN CONSTANT ROW\nSEARCH sync USING INDEX sync_open (connection_pk=?)\n");
    assert_plan(w, pst_syncs_count_open_sql(true),
                "SEARCH sync USING INDEX sync_open (connection_pk=?)\n");
    assert_plan(w, pst_syncs_count_open_sql(false), "SCAN sync USING INDEX sync_open\n");
}

static void names_go_both_ways(void **state)
{
    (void)state;
    for (int i = PST_SYNC_QUEUED; i <= PST_SYNC_CANCELLED; i++) {
        enum pst_sync_status back = PST_SYNC_QUEUED;
        assert_true(pst_sync_status_parse(
            &back, pst_str_from(pst_sync_status_name((enum pst_sync_status)i))));
        assert_int_equal(back, i);
    }
    enum pst_sync_mode mode;
    assert_true(pst_sync_mode_parse(&mode, PST_STR("full")));
    assert_int_equal(mode, PST_SYNC_FULL);
    assert_false(pst_sync_mode_parse(&mode, PST_STR("Full")));
    assert_string_equal(pst_sync_trigger_name(PST_SYNC_INITIAL), "initial");
}

/* ---- streams ---- */

static void a_rewound_stream_reads_from_there(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    struct pst_stream_state *all = NULL;
    size_t count = 0;
    world_end(w, &r, PST_SYNC_COMPLETED);
    assert_write(w, pst_streams_rewind(w->writer, r.orders_pk, at(5), false, &w->err));
    assert_true(stream(w, w->orders).synced_to.us == at(5).us);
    assert_false(stream(w, w->orders).unguarded);
    assert_write(w, pst_streams_rewind(w->writer, r.orders_pk, PST_WALL_NONE, true, &w->err));
    assert_true(pst_wall_is_none(stream(w, w->orders).synced_to));
    assert_write(w, pst_streams_rewind(w->writer, r.orders_pk, PST_WALL_NONE, false, &w->err));
    assert_true(stream(w, w->orders).unguarded); /* for the reason before */
    int64_t pk = 0;
    assert_write(w, pst_streams_ensure(w->writer, w->conn.pk, w->suppliers, &pk, &w->err));
    assert_read(w, pst_streams_list(w->reader, w->conn.pk, w->arena, &all, &count, &w->err));
    assert_int_equal(count, 2);
    assert_ptr_equal(all[0].entity, w->orders);
    assert_ptr_equal(all[1].entity, w->suppliers);
    assert_code(WRITE(w, pst_streams_ensure(w->writer, 999, w->orders, &pk, &w->err)),
                PST_E_CONFLICT);
}

static bool is_gone_on_with(struct world *w, const struct run *r)
{
    struct pst_sync_broken broken;
    bool found = false;
    assert_read(w, pst_syncs_find_broken(w->reader, w->conn.pk, r->orders_pk, at(0), w->arena,
                                         &broken, &found, &w->err));
    return found;
}

/* A first read that waits is gone on with by who took its place, but not when somebody wanted its
 * end. */
static void a_first_read_that_made_room_is_gone_on_with(void **state)
{
    static const struct order one = {"A", "draft", NULL, "2026-11-01", {0}, "1"};
    struct world *w = *state;
    struct pst_sync sync;
    struct pst_id busy;
    struct run r = {.id = world_id("sync_", 1)};
    int64_t pk = 0;
    assert_code(create(w, 1, PST_SYNC_INITIAL, w->orders, NULL, &r.sync_pk, NULL), PST_OK);
    assert_true(claim(w, &sync));
    r.orders_pk = sync.streams[0].stream_pk;
    assert_write(w, pst_syncs_begin_stream(w->writer, r.sync_pk, r.orders_pk, PST_WALL_NONE,
                                           PST_WALL_NONE, at(1), at(2), &w->err));
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, &one, 1, "1", at(3)));
    assert_write(w, pst_syncs_release(w->writer, r.sync_pk, &w->err));
    assert_write(w, pst_connections_set_status(w->writer, w->conn.pk, PST_CONNECTION_OFFLINE,
                                               PST_STR("away"), PST_STR(""), at(4), NULL, &w->err));
    assert_code(create(w, 2, PST_SYNC_MANUAL, w->orders, NULL, &pk, &busy), PST_OK);
    assert_int_equal(get(w, r.sync_pk).status, PST_SYNC_CANCELLED);
    assert_false(get(w, r.sync_pk).cancel_requested);
    assert_true(is_gone_on_with(w, &r));
    assert_write(w, pst_streams_rewind(w->writer, r.orders_pk, PST_WALL_NONE, true, &w->err));
    assert_false(is_gone_on_with(w, &r));
}

static void a_waiting_run_that_is_cancelled_is_not_gone_on_with(void **state)
{
    static const struct order one = {"A", "draft", NULL, "2026-11-01", {0}, "1"};
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, &one, 1, "1", at(3)));
    assert_write(w, pst_syncs_release(w->writer, r.sync_pk, &w->err));
    struct pst_sync sync = get(w, r.sync_pk);
    assert_write(w, pst_syncs_cancel(w->writer, w->conn.pk, pst_id_str(&sync.id), at(4), &w->err));
    assert_int_equal(get(w, r.sync_pk).status, PST_SYNC_CANCELLED);
    assert_true(get(w, r.sync_pk).cancel_requested);
    assert_false(is_gone_on_with(w, &r));
}

/* It ends as failed, not as cancelled, and behind what the change of settings swept away. */
static void a_run_that_fails_just_as_it_is_to_stop_is_not_gone_on_with(void **state)
{
    static const struct order one = {"A", "draft", NULL, "2026-11-01", {0}, "1"};
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, &one, 1, "1", at(3)));
    world_end(w, &r, PST_SYNC_FAILED);
    assert_true(is_gone_on_with(w, &r));
    r = world_run(w, 2, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_UPDATE, &one, 1, "1", at(4)));
    assert_write(w, pst_syncs_cancel_all(w->writer, w->conn.pk, at(5), &w->err));
    assert_write(w, pst_streams_rewind(w->writer, r.orders_pk, PST_WALL_NONE, true, &w->err));
    world_end(w, &r, PST_SYNC_FAILED);
    assert_false(is_gone_on_with(w, &r));
}

static void a_run_that_is_to_stop_moves_no_checkpoint(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    const struct pst_sync_outcome completed = {.status = PST_SYNC_COMPLETED};
    assert_write(w, pst_syncs_cancel_all(w->writer, w->conn.pk, at(5), &w->err));
    assert_write(w, pst_streams_rewind(w->writer, r.orders_pk, PST_WALL_NONE, true, &w->err));
    assert_code(WRITE(w, pst_syncs_end_stream(w->writer, r.sync_pk, r.orders_pk, &completed, at(6),
                                              &w->err)),
                PST_E_CANCELLED);
    world_end(w, &r, PST_SYNC_CANCELLED);
    assert_true(pst_wall_is_none(stream(w, w->orders).synced_to));
    assert_true(stream(w, w->orders).unguarded);
    r = world_run(w, 2, PST_SYNC_FULL);
    world_end(w, &r, PST_SYNC_COMPLETED);
    assert_false(stream(w, w->orders).unguarded);
}

static void dictionaries_stay_for_what_was_made_with_them(void **state)
{
    struct world *w = *state;
    int64_t pk = 0;
    int64_t first = 0;
    int64_t second = 0;
    pst_str bytes;
    assert_write(w, pst_streams_ensure(w->writer, w->conn.pk, w->orders, &pk, &w->err));
    assert_write(w, pst_dictionaries_add(w->writer, pk, PST_STR("one"), at(1), &first, &w->err));
    assert_write(w, pst_dictionaries_add(w->writer, pk, PST_STR("two"), at(2), &second, &w->err));
    assert_int_equal(stream(w, w->orders).dict, second);
    assert_read(w, pst_dictionaries_get(w->reader, first, w->arena, &bytes, &w->err));
    assert_str(bytes, "one");
    assert_code(pst_dictionaries_get(w->reader, 99, w->arena, &bytes, &w->err), PST_E_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

static void a_sync_leads_to_its_connection(void **state)
{
    struct world *w = *state;
    struct pst_id found;
    const struct run r = world_run(w, 1, PST_SYNC_FULL);
    const struct pst_id unknown = world_id("sync_", 77);
    const struct {
        int64_t organization_pk;
        const struct pst_id *id;
        const char *connection;
    } cases[] = {
        {w->org.pk, &r.id, w->conn.id.text}, {0, &r.id, w->conn.id.text}, /* the operator */
        {w->org.pk + 1, &r.id, ""},          {w->org.pk, &unknown, ""},   {0, &w->conn.id, ""},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        assert_read(w, pst_syncs_connection(w->reader, cases[i].organization_pk,
                                            pst_id_str(cases[i].id), &found, &w->err));
        assert_string_equal(found.text, cases[i].connection);
    }
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, false, at(9), &w->err));
    assert_read(w, pst_syncs_connection(w->reader, 0, pst_id_str(&r.id), &found, &w->err));
    assert_string_equal(found.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_manual_run_is_refused_whole_when_a_stream_is_held),
        CASE(a_scheduled_run_leaves_busy_streams_out),
        CASE(only_an_active_connection_takes_runs),
        CASE(a_manual_run_takes_the_place_of_what_waits_for_a_system_that_is_offline),
        CASE(a_run_that_began_nothing_is_withdrawn),
        CASE(runs_are_claimed_in_order_and_resumed_first),
        CASE(a_resumed_run_keeps_its_window_and_its_place),
        CASE(success_moves_the_checkpoint_to_the_windows_end),
        CASE(a_sync_leads_to_its_connection),
        CASE(failure_keeps_the_checkpoint_and_says_why),
        CASE(one_failed_stream_fails_the_run_and_the_others_move_on),
        CASE(a_queued_run_is_cancelled_at_once_a_running_one_is_asked),
        CASE(deleting_a_connection_ends_what_waits),
        CASE(the_list_is_newest_first_and_filters_by_status),
        CASE(the_list_of_any_statuses_is_these_newest_first),
        CASE(an_own_run_is_one_that_nobody_asked_for_by_hand),
        CASE(no_question_walks_the_history),
        CASE(names_go_both_ways),
        CASE(a_rewound_stream_reads_from_there),
        CASE(a_first_read_that_made_room_is_gone_on_with),
        CASE(a_waiting_run_that_is_cancelled_is_not_gone_on_with),
        CASE(a_run_that_fails_just_as_it_is_to_stop_is_not_gone_on_with),
        CASE(a_run_that_is_to_stop_moves_no_checkpoint),
        CASE(dictionaries_stay_for_what_was_made_with_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
