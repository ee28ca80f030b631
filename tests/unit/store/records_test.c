/* tests/unit/store/records_test.c: page commits, the change feed, deleting what is missing. */
#include "codec/json.h"
#include "store/rows.h"
#include "store/schema.h"
#include "tests/unit/store/world.h"

static const struct order two[] = {
    {"PO1", "approved", NULL, "2026-11-01", {0}, "a"},
    {"PO2", "draft", NULL, "2026-11-02", {0}, "a"},
};

static int64_t last_seq(struct world *w)
{
    struct pst_connection got;
    assert_read(w, pst_connections_get_pk(w->reader, w->conn.pk, w->arena, &got, &w->err));
    return got.last_seq;
}

static struct pst_sync_stream stream_of(struct world *w, const struct run *r)
{
    struct pst_sync sync;
    assert_read(w, pst_syncs_get_pk(w->reader, r->sync_pk, w->arena, &sync, &w->err));
    assert_int_equal(sync.stream_count, 1);
    return sync.streams[0];
}

static int64_t live(struct world *w)
{
    int64_t n = -1;
    assert_read(w, pst_records_count(w->reader, w->orders, w->conn.pk, &n, &w->err));
    return n;
}

static struct pst_record_row get(struct world *w, const char *number)
{
    uint8_t id[PST_ID_RAW];
    struct pst_record_row row = {0};
    bool found = false;
    world_record_id(w, number, id);
    assert_read(w, pst_records_get(w->reader, w->orders, w->conn.pk, id, true, w->arena, &row,
                                   &found, &w->err));
    assert_true(found);
    return row;
}

static void a_page_stores_records_changes_counts_and_checkpoint_together(void **state)
{
    struct world *w = *state;
    char feed[256];
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, two, 2, "key-2", at(10)));
    assert_read(w, world_feed(w, 0, feed, sizeof(feed)));
    assert_string_equal(feed, "1:created:PO1 2:created:PO2");
    assert_int_equal(last_seq(w), 2);
    assert_int_equal(live(w), 2);
    struct pst_sync_stream s = stream_of(w, &r);
    assert_str(s.after_key, "key-2");
    assert_str(s.sort_key, "PO2");
    assert_int_equal(s.counts.read, 2);
    assert_int_equal(s.counts.pages, 1);
    struct pst_record_row row = get(w, "PO1");
    assert_int_equal(row.seq, 1);
    assert_int_equal(row.first_seq, 1);
    assert_true(row.created_at.us == at(10).us);
    assert_true(row.updated_at.us == at(10).us);
    assert_true(pst_wall_is_none(row.deleted_at));
    assert_str(row.source, "compressed");
}

static void a_page_that_fails_leaves_nothing(void **state)
{
    struct world *w = *state;
    char feed[256];
    const struct order twice[] = {{"PO3", "draft", NULL, NULL, {0}, "a"},
                                  {"PO3", "draft", NULL, NULL, {0}, "b"}};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, two, 2, "key-2", at(10)));
    assert_code(world_commit(w, &r, PST_RECORD_CREATE, twice, 2, "key-3", at(11)), PST_E_CONFLICT);
    assert_read(w, world_feed(w, 0, feed, sizeof(feed)));
    assert_string_equal(feed, "1:created:PO1 2:created:PO2");
    assert_str(stream_of(w, &r).after_key, "key-2");
    assert_int_equal(live(w), 2);
    assert_int_equal(last_seq(w), 2);
}

static void an_update_names_the_fields_that_differ(void **state)
{
    struct world *w = *state;
    char feed[256];
    const struct order changed[] = {{"PO2", "approved", NULL, "2026-11-02", at(77), "b"}};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, two, 2, "1", at(10)));
    assert_read(w, world_commit(w, &r, PST_RECORD_UPDATE, changed, 1, "2", at(20)));
    assert_read(w, world_feed(w, 2, feed, sizeof(feed)));
    assert_string_equal(feed, "3:updated:PO2[\"status\",\"note\"]");
    struct pst_record_row row = get(w, "PO2");
    assert_int_equal(row.first_seq, 2);
    assert_int_equal(row.seq, 3);
    assert_true(row.created_at.us == at(10).us);
    assert_true(row.updated_at.us == at(77).us);
    assert_true(row.synced_at.us == at(20).us);
}

static void a_restamp_changes_nothing_that_is_served(void **state)
{
    struct world *w = *state;
    char feed[256];
    const struct order same[] = {{"PO1", "approved", NULL, "2026-11-01", at(88), "a"}};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, two, 2, "1", at(10)));
    assert_read(w, world_commit(w, &r, PST_RECORD_RESTAMP, same, 1, "2", at(20)));
    assert_read(w, world_feed(w, 0, feed, sizeof(feed)));
    assert_string_equal(feed, "1:created:PO1 2:created:PO2");
    struct pst_record_row row = get(w, "PO1");
    assert_true(row.updated_at.us == at(10).us);
    assert_true(row.synced_at.us == at(10).us);
    assert_true(world_state(w, "PO1").stamp.us == at(88).us);
    assert_str(stream_of(w, &r).after_key, "2");
}

static void a_page_without_writes_moves_only_the_checkpoint(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, two, 2, "1", at(10)));
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, NULL, 0, "2", at(11)));
    assert_int_equal(last_seq(w), 2);
    struct pst_sync_stream s = stream_of(w, &r);
    assert_str(s.after_key, "2");
    assert_str(s.sort_key, "PO2"); /* "" leaves it */
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, NULL, 0, "", at(12)));
    assert_str(stream_of(w, &r).after_key, "2");
}

static void a_cancelled_an_ended_and_a_deleted_run_cannot_commit(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_write(w, pst_syncs_cancel(w->writer, w->conn.pk, pst_id_str(&r.id), at(3), &w->err));
    assert_code(world_commit(w, &r, PST_RECORD_CREATE, two, 2, "1", at(10)), PST_E_CANCELLED);
    world_end(w, &r, PST_SYNC_CANCELLED);
    assert_code(world_commit(w, &r, PST_RECORD_CREATE, two, 2, "1", at(10)), PST_E_CONFLICT);
    r = world_run(w, 2, PST_SYNC_FULL);
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, false, at(4), &w->err));
    assert_code(world_commit(w, &r, PST_RECORD_CREATE, two, 2, "1", at(10)), PST_E_CONFLICT);
}

/* ---- states ---- */

static void states_come_in_key_order_between_two_keys(void **state)
{
    struct world *w = *state;
    const struct order many[] = {{"A", "draft"}, {"B", "draft"}, {"C", "draft"}, {"D", "draft"}};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    struct pst_record_states got;
    bool more = false;
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, many, 4, "1", at(10)));
    assert_read(w, pst_records_states(w->reader, w->orders, w->conn.pk, PST_STR("A"), PST_STR("C"),
                                      10, w->arena, &got, &more, &w->err));
    assert_int_equal(got.count, 2);
    assert_str(got.items[0].sort_key, "B");
    assert_str(got.items[1].sort_key, "C");
    assert_false(more);
    assert_read(w, pst_records_states(w->reader, w->orders, w->conn.pk, PST_STR(""), PST_STR(""), 3,
                                      w->arena, &got, &more, &w->err));
    assert_int_equal(got.count, 3);
    assert_true(more);
    assert_read(w, pst_records_states(w->reader, w->orders, w->conn.pk, PST_STR("C"), PST_STR(""),
                                      3, w->arena, &got, &more, &w->err));
    assert_int_equal(got.count, 1);
    assert_false(more);
    assert_int_equal(world_state(w, "nothing").pk, 0);
}

/* ---- deleting ---- */

static struct pst_page_commit page_of(const struct world *w, const struct run *r, pst_wall now)
{
    return (struct pst_page_commit){.entity = w->orders,
                                    .connection_pk = w->conn.pk,
                                    .sync_pk = r->sync_pk,
                                    .stream_pk = r->orders_pk,
                                    .now = now};
}

static void what_is_missing_is_deleted_in_batches(void **state)
{
    struct world *w = *state;
    char feed[256];
    const struct order many[] = {
        {"A", "draft"}, {"B", "draft"}, {"C", "draft"}, {"D", "draft"}, {"E", "draft"}};
    const struct order back[] = {{"C", "approved", NULL, NULL, {0}, "changed"}};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, many, 5, "1", at(10)));
    const int64_t missing[] = {world_state(w, "B").pk, world_state(w, "C").pk,
                               world_state(w, "E").pk, 999};
    struct pst_page_commit page = page_of(w, &r, at(20));
    page.missing = missing;
    page.missing_count = 4;
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err)); /* again: no double */
    int64_t alive = 0;
    int64_t listed = 0;
    assert_read(w, pst_records_guard_counts(w->reader, w->orders, w->conn.pk, r.sync_pk,
                                            PST_WALL_NONE, &alive, &listed, &w->err));
    assert_int_equal(alive, 5);
    assert_int_equal(listed, 3);
    /* Changed after it was listed: it is there after all. */
    assert_read(w, world_commit(w, &r, PST_RECORD_UPDATE, back, 1, "2", at(21)));

    int64_t deleted = 0;
    bool left = false;
    page = page_of(w, &r, at(30));
    assert_write(w, pst_syncs_begin_delete(w->writer, r.sync_pk, r.orders_pk, &w->err));
    assert_write(w, pst_records_delete_missing(w->writer, &page, 2, &deleted, &left, &w->err));
    assert_int_equal(deleted, 1); /* B; C is only taken off the list */
    assert_true(left);
    assert_write(w, pst_records_delete_missing(w->writer, &page, 2, &deleted, &left, &w->err));
    assert_int_equal(deleted, 1);
    assert_false(left);
    assert_write(w, pst_records_delete_missing(w->writer, &page, 2, &deleted, &left, &w->err));
    assert_int_equal(deleted, 0);
    assert_read(w, world_feed(w, 6, feed, sizeof(feed)));
    assert_string_equal(feed, "7:deleted:B 8:deleted:E");
    assert_int_equal(live(w), 3);
    assert_int_equal(stream_of(w, &r).counts.deleted, 2);
    assert_int_equal(stream_of(w, &r).phase, PST_PHASE_DELETE);
    struct pst_record_row row = get(w, "B");
    assert_true(row.deleted_at.us == at(30).us);
    assert_int_equal(row.seq, 7);
}

static void a_deleted_record_that_is_back_is_created_again_in_its_old_place(void **state)
{
    struct world *w = *state;
    char feed[256];
    int64_t deleted = 0;
    bool left = false;
    const struct order again[] = {{"PO1", "closed", NULL, NULL, {0}, "z"}};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, two, 2, "1", at(10)));
    const int64_t missing[] = {world_state(w, "PO1").pk};
    struct pst_page_commit page = page_of(w, &r, at(20));
    page.missing = missing;
    page.missing_count = 1;
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
    assert_write(w, pst_records_delete_missing(w->writer, &page, 9, &deleted, &left, &w->err));
    assert_true(world_state(w, "PO1").deleted);
    assert_read(w, world_commit(w, &r, PST_RECORD_UPDATE, again, 1, "2", at(30)));
    assert_read(w, world_feed(w, 2, feed, sizeof(feed)));
    assert_string_equal(feed, "3:deleted:PO1 4:created:PO1");
    struct pst_record_row row = get(w, "PO1");
    assert_int_equal(row.first_seq, 1);
    assert_true(pst_wall_is_none(row.deleted_at));
    assert_int_equal(live(w), 2);
}

static void the_guard_counts_only_what_lies_in_the_window(void **state)
{
    struct world *w = *state;
    const struct order stamped[] = {{"A", "draft", NULL, NULL, at(100), NULL},
                                    {"B", "draft", NULL, NULL, at(200), NULL},
                                    {"C", "draft", NULL, NULL, {0}, NULL}};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    int64_t alive = 0;
    int64_t listed = 0;
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, stamped, 3, "1", at(300)));
    assert_read(w, pst_records_guard_counts(w->reader, w->orders, w->conn.pk, r.sync_pk, at(200),
                                            &alive, &listed, &w->err));
    assert_int_equal(alive, 1);
    assert_int_equal(listed, 0);
}

/* ---- rejected ---- */

/* What the stream of orders counts, and the rows there are. */
static void assert_rejected(struct world *w, int64_t rows)
{
    struct pst_stream_state s = {0};
    int64_t there = 0;
    bool found = false;
    assert_read(w,
                pst_streams_get(w->reader, w->conn.pk, w->orders, w->arena, &s, &found, &w->err));
    assert_true(found);
    assert_int_equal(s.rejected, rows);
    assert_read(w, pst_row_int(w->reader, PST_STR("SELECT count(*) FROM rejected"), NULL, 0, &there,
                               &w->err));
    assert_int_equal(there, rows);
}

static void rejected_rows_are_counted(void **state)
{
    struct world *w = *state;
    const pst_str source = PST_STR("[]");
    const struct pst_rejected bad[] = {{PST_STR("X|1"), PST_STR("why"), source},
                                       {PST_STR("X|2"), PST_STR("why"), source},
                                       {PST_STR("X|3"), PST_STR("why"), source}};
    const pst_str fine[] = {PST_STR("X|1"), PST_STR("Y|1")}; /* the second never was rejected */
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    struct pst_page_commit page = page_of(w, &r, at(10));
    page.rejected = bad;
    page.rejected_count = 3;
    for (int i = 0; i < 2; i++) { /* again: no more of them */
        assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
        assert_rejected(w, 3);
    }
    page.rejected_count = 0;
    page.accepted_again = fine;
    page.accepted_count = 2;
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
    assert_rejected(w, 2);
    assert_write(w, pst_rejected_drop_unseen(w->writer, page.stream_pk, r.sync_pk, &w->err));
    assert_rejected(w, 2); /* this run saw them */
    world_end(w, &r, PST_SYNC_COMPLETED);
    r = world_run(w, 2, PST_SYNC_FULL);
    assert_write(w, pst_db_exec_script(w->writer, PST_STR("UPDATE sync_stream SET as_of = sync_pk"),
                                       &w->err));
    assert_write(w, pst_rejected_drop_unseen(w->writer, page.stream_pk, r.sync_pk, &w->err));
    assert_rejected(w, 0);
}

static void an_older_store_gets_its_rejected_rows_counted(void **state)
{
    struct world *w = *state;
    const struct pst_rejected bad = {PST_STR("X|1"), PST_STR("why"), PST_STR("[]")};
    size_t count = 0;
    const struct pst_migration *m = &pst_schema_migrations(&count)[10];
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    struct pst_page_commit page = page_of(w, &r, at(10));
    page.rejected = &bad;
    page.rejected_count = 1;
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
    assert_write(w, pst_db_exec_script(w->writer,
                                       PST_STR("ALTER TABLE stream DROP COLUMN rejected;"
                                               "DROP INDEX sync_by_status"),
                                       &w->err));
    assert_int_equal(m->number, 11);
    assert_write(w, pst_db_exec_script(w->writer, m->sql, &w->err));
    assert_rejected(w, 1);
}

static void a_rejected_row_is_kept_until_it_maps(void **state)
{
    struct world *w = *state;
    struct pst_rejected_row *rows = NULL;
    size_t count = 0;
    bool more = false;
    struct pst_rejected bad[] = {{PST_STR("X|1"), PST_STR("status: unknown code"), PST_STR("[]")},
                                 {PST_STR("X|2"), PST_STR("no key"), PST_STR("")}};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    struct pst_page_commit page = page_of(w, &r, at(10));
    page.rejected = bad;
    page.rejected_count = 2;
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
    bad[0].reason = PST_STR("status: still unknown");
    page.now = at(20);
    page.rejected_count = 1;
    page.accepted_again = &bad[1].source_id;
    page.accepted_count = 1;
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
    assert_read(w, pst_rejected_list(w->reader, w->conn.pk, w->orders, 0, 10, w->arena, &rows,
                                     &count, &more, &w->err));
    assert_int_equal(count, 1);
    assert_str(rows[0].source_id, "X|1");
    assert_str(rows[0].reason, "status: still unknown");
    assert_true(rows[0].first_at.us == at(10).us);
    assert_true(rows[0].last_at.us == at(20).us);
    assert_string_equal(rows[0].sync_id.text, r.id.text);
    assert_read(w, pst_rejected_list(w->reader, w->conn.pk, w->suppliers, 0, 10, w->arena, &rows,
                                     &count, &more, &w->err));
    assert_int_equal(count, 0);
}

/* A list of one-column rows, `bytes` long. */
static pst_str source_of(struct world *w, size_t bytes)
{
    static const char row[] = "{\"A\":\"]\\\"}\"},";
    char *text = NULL;
    struct pst_err err;
    assert_ok(pst_arena_alloc(w->arena, &text, bytes, &err));
    text[0] = '[';
    size_t n = 1;
    for (; n + 2 * sizeof row < bytes; n += sizeof row - 1)
        memcpy(text + n, row, sizeof row - 1);
    memset(text + n, 'x', bytes - n); /* the last row takes what is left */
    memcpy(text + n, "{\"A\":\"", 6);
    memcpy(text + bytes - 3, "\"}]", 3);
    return (pst_str){text, bytes};
}

static void large_sources_are_cut_and_end_a_page_early(void **state)
{
    struct world *w = *state;
    enum { ROWS = 18, LIMIT = PST_REJECTED_SOURCE_BYTES };
    struct pst_rejected_row *rows = NULL;
    size_t count = 0;
    bool more = false;
    struct pst_rejected bad[ROWS];
    struct pst_err err;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    struct pst_page_commit page = page_of(w, &r, at(10));
    for (size_t i = 0; i < ROWS; i++) {
        bad[i] = (struct pst_rejected){.reason = PST_STR("why"), .source = source_of(w, LIMIT)};
        assert_ok(pst_arena_printf(w->arena, &bad[i].source_id, &err, "%02zu", i));
    }
    bad[1].source = source_of(w, LIMIT + 1); /* as they were stored before there was a limit */
    bad[2].source = source_of(w, 20 << 20);
    bad[3].source = PST_STR("[{\"A\":1},null]");
    bad[4].source = PST_STR("[null]");
    page.rejected = bad;
    page.rejected_count = ROWS;
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
    assert_read(w, pst_rejected_list(w->reader, w->conn.pk, w->orders, 0, 500, w->arena, &rows,
                                     &count, &more, &w->err));
    assert_int_equal(count, 17);
    assert_true(more);
    assert_int_equal(rows[0].source.len, LIMIT);
    assert_false(rows[0].truncated);
    for (size_t i = 1; i < 3; i++) {
        yyjson_doc *doc = NULL;
        assert_true(rows[i].truncated);
        assert_in_range(rows[i].source.len, LIMIT - 100, LIMIT);
        assert_ok(pst_json_read(rows[i].source, NULL, w->arena, &doc, &err));
        assert_true(yyjson_is_arr(yyjson_doc_get_root(doc)));
    }
    assert_str(rows[3].source, "[{\"A\":1}]");
    assert_str(rows[4].source, "[]");
    assert_true(rows[3].truncated && rows[4].truncated);
    assert_read(w, pst_rejected_list(w->reader, w->conn.pk, w->orders, rows[count - 1].pk, 500,
                                     w->arena, &rows, &count, &more, &w->err));
    assert_int_equal(count, 1);
    assert_false(more);
}

/* ---- the feed ---- */

static void the_feed_tells_expired_from_ended(void **state)
{
    struct world *w = *state;
    char feed[256];
    bool left = true;
    const struct pst_retention none = {PST_WALL_NONE, PST_WALL_NONE, PST_WALL_NONE, PST_WALL_NONE,
                                       PST_WALL_NONE};
    struct pst_retention keep = none;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, two, 1, "1", at(10)));
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, two + 1, 1, "2", at(20)));
    assert_read(w, world_feed(w, 2, feed, sizeof(feed)));
    assert_string_equal(feed, "");
    assert_code(world_feed(w, 3, feed, sizeof(feed)), PST_E_EXPIRED);
    keep.changes = at(15);
    while (left)
        assert_write(w, pst_store_retain(w->writer, &keep, 100, &left, &w->err));
    assert_code(world_feed(w, 0, feed, sizeof(feed)), PST_E_EXPIRED);
    assert_read(w, world_feed(w, 1, feed, sizeof(feed)));
    assert_string_equal(feed, "2:created:PO2");
    keep.changes = at(99);
    do
        assert_write(w, pst_store_retain(w->writer, &keep, 100, &left, &w->err));
    while (left);
    assert_code(world_feed(w, 1, feed, sizeof(feed)), PST_E_EXPIRED);
    assert_read(w, world_feed(w, 2, feed, sizeof(feed)));
}

static pst_code commit_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    return pst_records_commit_page(conn, arg, err);
}

static void a_commit_wakes_who_waits_for_the_connection(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    struct pst_mapped mapped = {.data = PST_STR("{}"), .created = PST_WALL_NONE};
    struct pst_record_write write = {.op = PST_RECORD_CREATE,
                                     .sort_key = PST_STR("K"),
                                     .source_id = PST_STR("K"),
                                     .mapped = &mapped,
                                     .stamp = PST_WALL_NONE};
    struct pst_page_commit page = page_of(w, &r, at(10));
    w->topic_count = 0;
    assert_ok(pst_db_write_direct(w->db, commit_in_job, &page, &err));
    assert_int_equal(w->topic_count, 0); /* nothing changed */
    page.writes = &write;
    page.write_count = 1;
    assert_ok(pst_db_write_direct(w->db, commit_in_job, &page, &err));
    assert_int_equal(w->topic_count, 1);
    assert_int_equal(w->topics[0], w->conn.pk);
}

static void a_page_survives_every_allocation_failing_once(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    const int64_t missing[] = {999};
    const struct pst_rejected bad = {PST_STR("X"), PST_STR("why"), PST_STR("")};
    struct pst_mapped mapped = {.data = PST_STR("{}"), .created = PST_WALL_NONE};
    struct pst_record_write write = {.op = PST_RECORD_CREATE,
                                     .sort_key = PST_STR("K"),
                                     .source_id = PST_STR("K"),
                                     .mapped = &mapped,
                                     .stamp = PST_WALL_NONE};
    struct pst_page_commit page = page_of(w, &r, at(10));
    page.writes = &write;
    page.write_count = 1;
    page.missing = missing;
    page.missing_count = 1;
    page.rejected = &bad;
    page.rejected_count = 1;
    pst_code code = PST_E_NO_MEMORY;
    int failures = 0;
    for (long i = 0; code != PST_OK; i++) {
        world_reopen(w); /* no statement is prepared */
        world_begin(w);
        pst_alloc_fail_at(i);
        code = pst_records_commit_page(w->writer, &page, &w->err);
        pst_alloc_fail_at(-1);
        (void)world_finish(w, code);
        failures += code != PST_OK;
        assert_true(code == PST_OK || code == PST_E_NO_MEMORY);
        assert_int_equal(last_seq(w), code == PST_OK ? 1 : 0);
    }
    assert_true(failures > 10);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_page_stores_records_changes_counts_and_checkpoint_together),
        CASE(a_page_that_fails_leaves_nothing),
        CASE(an_update_names_the_fields_that_differ),
        CASE(a_restamp_changes_nothing_that_is_served),
        CASE(a_page_without_writes_moves_only_the_checkpoint),
        CASE(a_cancelled_an_ended_and_a_deleted_run_cannot_commit),
        CASE(states_come_in_key_order_between_two_keys),
        CASE(what_is_missing_is_deleted_in_batches),
        CASE(a_deleted_record_that_is_back_is_created_again_in_its_old_place),
        CASE(the_guard_counts_only_what_lies_in_the_window),
        CASE(rejected_rows_are_counted),
        CASE(an_older_store_gets_its_rejected_rows_counted),
        CASE(a_rejected_row_is_kept_until_it_maps),
        CASE(large_sources_are_cut_and_end_a_page_early),
        CASE(the_feed_tells_expired_from_ended),
        CASE(a_commit_wakes_who_waits_for_the_connection),
        CASE(a_page_survives_every_allocation_failing_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
