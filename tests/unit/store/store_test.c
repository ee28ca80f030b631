/* tests/unit/store/store_test.c: opening, tables of the model, backup and restore, retention,
 * and the look at whether contents agree. */
#include <unistd.h>

#include "os/file.h"
#include "store/incidents.h"
#include "store/rows.h"
#include "store/schema.h"
#include "tests/unit/store/world.h"

static const struct order three[] = {
    {"A", "draft", NULL, "2026-11-01", {0}, "1"},
    {"B", "draft", NULL, "2026-11-02", {0}, "1"},
    {"C", "draft", NULL, "2026-11-03", {0}, "1"},
};

static const struct pst_retention keep_all = {
    {INT64_MIN}, {INT64_MIN}, {INT64_MIN}, {INT64_MIN}, {INT64_MIN}};

static int64_t number(struct world *w, pst_str sql)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    assert_read(w, pst_db_stmt(w->reader, sql, &st, &w->err));
    assert_read(w, pst_stmt_step(st, &row, &w->err));
    assert_true(row);
    return pst_stmt_i64(st, 0);
}

/* ---- schema ---- */

static void a_store_opens_again_with_what_it_held(void **state)
{
    struct world *w = *state;
    char feed[64];
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, three, 3, "1", at(1)));
    world_reopen(w);
    assert_false(pst_db_was_unclean(w->db));
    assert_read(w, world_feed(w, 0, feed, sizeof(feed)));
    assert_string_equal(feed, "1:created:A 2:created:B 3:created:C");
}

static void migrations_are_numbered_without_gaps(void **state)
{
    (void)state;
    size_t count = 0;
    const struct pst_migration *list = pst_schema_migrations(&count);
    assert_true(count >= 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(list[i].number, (int)i + 1);
}

static void a_filter_that_is_new_in_the_model_is_filled_from_the_records(void **state)
{
    struct world *w = *state;
    char got[64];
    bool more = false;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, three, 3, "1", at(1)));
    /* What an older model's store looks like: no such column. */
    assert_write(w,
                 pst_db_exec_script(w->writer,
                                    PST_STR("DROP INDEX rec_purchase_orders_f_status;"
                                            "ALTER TABLE rec_purchase_orders DROP COLUMN f_status"),
                                    &w->err));
    world_reopen(w);
    struct pst_record_query q = world_query(w, 10);
    q.filters[0] =
        (struct pst_record_filter){.filter = &w->orders->filters[2],
                                   .value = {.kind = PST_FILTER_TEXT, .text = PST_STR("draft")}};
    q.filter_count = 1;
    assert_read(w, world_list(w, &q, got, sizeof(got), &more));
    assert_string_equal(got, "A B C");
}

static void a_store_of_a_newer_version_is_refused(void **state)
{
    struct world *w = *state;
    struct pst_db *db = NULL;
    struct pst_backup_info info;
    char copy[128];
    (void)snprintf(copy, sizeof(copy), "%s/newer.db", w->dir);
    assert_write(w, pst_db_exec_script(w->writer,
                                       PST_STR("INSERT INTO schema_migration VALUES"
                                               " (99, 'later', 'x', 0)"),
                                       &w->err));
    assert_read(w, pst_db_backup(w->db, copy, &w->err));
    assert_code(pst_store_open(&db, &(struct pst_db_options){.path = copy}, &w->err),
                PST_E_CONFLICT);
    assert_null(db);
    assert_code(pst_store_verify(copy, &info, &w->err), PST_E_CONFLICT);
}

/* ---- backup ---- */

static void a_backup_is_restored_over_what_came_after_it(void **state)
{
    struct world *w = *state;
    char backup[128];
    char before[128];
    struct pst_backup_info info = {0};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    (void)snprintf(backup, sizeof(backup), "%s/a b%%?#.db", w->dir);
    (void)snprintf(before, sizeof(before), "%s.before-restore", w->path);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, three, 2, "1", at(1)));
    assert_read(w, pst_store_backup(w->db, backup, &info, &w->err));
    assert_int_equal(info.records, 2);
    assert_code(pst_store_backup(w->db, backup, &info, &w->err), PST_E_CONFLICT);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, three + 2, 1, "2", at(2)));
    char kept[PST_DB_PATH];
    assert_code(pst_store_restore(backup, w->path, at(9), &info, kept, &w->err), PST_E_UNAVAILABLE);

    pst_db_reader_free(w->reader);
    pst_db_close(w->db);
    w->reader = NULL;
    w->db = NULL;
    assert_read(w, pst_store_restore(backup, w->path, at(9), &info, kept, &w->err));
    assert_string_equal(kept, before);
    assert_int_equal(info.organizations, 1);
    assert_int_equal(info.connections, 1);
    assert_int_equal(info.records, 2);
    assert_true(info.newest_change.us == at(1).us);
    assert_true(info.bytes > 4096);
    assert_true(pst_file_exists(before));
    world_reopen(w);
    int64_t records = 0;
    assert_read(w, pst_records_count(w->reader, w->orders, w->conn.pk, &records, &w->err));
    assert_int_equal(records, 2);
}

static void restore_at(struct world *w, const char *backup, pst_wall now)
{
    struct pst_backup_info info = {0};
    char kept[PST_DB_PATH];
    pst_db_reader_free(w->reader);
    pst_db_close(w->db);
    w->reader = NULL;
    w->db = NULL;
    assert_read(w, pst_store_restore(backup, w->path, now, &info, kept, &w->err));
    world_reopen(w);
}

/* The feed goes on as "created" of this order behind `start`; each older position has expired. */
static void goes_on_behind(struct world *w, const struct run *r, int64_t start, int64_t older,
                           const struct order *next)
{
    char feed[128];
    char wanted[64];
    for (int64_t after = older - 3; after <= older; after++)
        assert_code(world_feed(w, after, feed, sizeof(feed)), PST_E_EXPIRED);
    assert_read(w, world_commit(w, r, PST_RECORD_CREATE, next, 1, "2", at(30)));
    for (int64_t after = older - 3; after <= older; after++)
        assert_code(world_feed(w, after, feed, sizeof(feed)), PST_E_EXPIRED);
    (void)snprintf(wanted, sizeof(wanted), "%lld:created:%s", (long long)start + 1, next->number);
    assert_read(w, world_feed(w, start, feed, sizeof(feed)));
    assert_string_equal(feed, wanted);
}

/* Its number would name another change than the one that the follower saw under it. */
static void a_restore_takes_no_followers_position_for_one_of_the_new_feed(void **state)
{
    struct world *w = *state;
    char backup[128];
    struct pst_backup_info info = {0};
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    (void)snprintf(backup, sizeof(backup), "%s/backup.db", w->dir);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, three, 1, "1", at(1)));
    assert_write(
        w, pst_db_exec_script(w->writer, PST_STR("INSERT INTO lane VALUES (1, 1, 7)"), &w->err));
    assert_read(w, pst_store_backup(w->db, backup, &info, &w->err));
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, three + 1, 2, "2", at(2)));
    restore_at(w, backup, at(9));
    /* Nor is a delivery's number one that a receiver had under another event, nor what lies between
     * time off. */
    int64_t number = 0;
    pst_wall seen = PST_WALL_NONE;
    assert_read(w, pst_row_int(w->reader, PST_STR("SELECT last_sequence FROM lane"), NULL, 0,
                               &number, &w->err));
    assert_int_equal(number, at(9).us);
    assert_read(w, pst_status_seen_get(w->reader, &seen, &w->err));
    assert_int_equal(seen.us, at(9).us);
    goes_on_behind(w, &r, at(9).us, 3, three + 1);
    restore_at(w, backup, at(20)); /* once more from the same state */
    goes_on_behind(w, &r, at(20).us, at(9).us + 1, three + 2);
    assert_int_equal(unlink(backup), 0);
    assert_read(w, pst_store_backup(w->db, backup, &info, &w->err));
    restore_at(w, backup, at(0)); /* by a clock that was set back */
    goes_on_behind(w, &r, at(20).us + 2, at(20).us + 1, three + 1);
}

static void what_is_no_whole_backup_is_refused(void **state)
{
    struct world *w = *state;
    struct pst_backup_info info = {.schema = -1};
    struct pst_backup_info made = {0};
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/bad.db", w->dir);
    assert_code(pst_store_verify(path, &info, &w->err), PST_E_NOT_FOUND);
    assert_read(
        w, pst_file_write(path, PST_STR("not a database at all, whatever it says"), 0600, &w->err));
    assert_code(pst_store_verify(path, &info, &w->err), PST_E_CORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_read(w, pst_file_write(path, PST_STR(""), 0600, &w->err));
    assert_code(pst_store_verify(path, &info, &w->err), PST_E_CORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_read(w, pst_store_backup(w->db, path, &made, &w->err));
    assert_int_equal(truncate(path, 8192), 0);
    assert_code(pst_store_verify(path, &info, &w->err), PST_E_CORRUPT);
    assert_int_equal(info.schema, -1);
    /* The live store is no backup: its log lies beside it. */
    assert_code(pst_store_verify(w->path, &info, &w->err), PST_E_CORRUPT);
}

/* ---- retention ---- */

static void retain(struct world *w, const struct pst_retention *keep, size_t limit)
{
    bool left = true;
    for (int i = 0; left; i++) {
        assert_true(i < 1000);
        assert_write(w, pst_store_retain(w->writer, keep, limit, &left, &w->err));
    }
}

static void retention_removes_what_is_older_and_nothing_else(void **state)
{
    struct world *w = *state;
    struct pst_retention keep = keep_all;
    for (unsigned n = 1; n <= 3; n++) {
        struct run r = world_run(w, n, PST_SYNC_FULL);
        assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, &three[n - 1], 1, "1", at(n * 10)));
        world_end(w, &r, PST_SYNC_COMPLETED); /* at(50) */
    }
    retain(w, &keep, 1);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM change")), 3);
    keep.changes = at(20);
    retain(w, &keep, 1);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM change")), 2);
    assert_int_equal(number(w, PST_STR("SELECT min(seq) FROM change")), 2);
    keep.syncs = at(60); /* held at changes: they name their runs */
    retain(w, &keep, 1);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM sync")), 3);
    keep.changes = at(60);
    retain(w, &keep, 1);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM sync")), 0);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM sync_stream")), 0);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM change")), 0);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM connection_history")), 1);
    keep.history = at(1);
    retain(w, &keep, 10);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM connection_history")), 0);
}

static void a_clock_that_went_back_leaves_no_gap_in_the_feed(void **state)
{
    struct world *w = *state;
    struct pst_retention keep = keep_all;
    char feed[64];
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, &three[0], 1, "1", at(10)));
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, &three[1], 1, "2", at(90)));
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, &three[2], 1, "3", at(20)));
    keep.changes = at(50);
    retain(w, &keep, 100);
    assert_read(w, world_feed(w, 1, feed, sizeof(feed)));
    assert_string_equal(feed, "2:created:B 3:created:C");
}

static void retention_of_deleted_records_and_left_over_lists(void **state)
{
    struct world *w = *state;
    struct pst_retention keep = keep_all;
    int64_t deleted = 0;
    bool left = false;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, three, 3, "1", at(1)));
    const int64_t missing[] = {world_state(w, "A").pk, world_state(w, "B").pk};
    struct pst_page_commit page = {.entity = w->orders,
                                   .connection_pk = w->conn.pk,
                                   .sync_pk = r.sync_pk,
                                   .stream_pk = r.orders_pk,
                                   .now = at(30),
                                   .missing = missing,
                                   .missing_count = 2};
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
    assert_write(w, pst_records_delete_missing(w->writer, &page, 1, &deleted, &left, &w->err));
    assert_true(left);
    retain(w, &keep, 100);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM sync_missing")), 1); /* it runs */
    world_end(w, &r, PST_SYNC_FAILED);
    retain(w, &keep, 100);
    /* The stream was never read to its end: a read that goes on with this one needs the list. */
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM sync_missing")), 1);
    r = world_run(w, 2, PST_SYNC_FULL);
    world_end(w, &r, PST_SYNC_COMPLETED);
    retain(w, &keep, 100);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM sync_missing")), 0);
    keep.deleted_records = at(30);
    retain(w, &keep, 100);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM rec_purchase_orders")), 3);
    keep.deleted_records = at(31);
    retain(w, &keep, 100);
    assert_int_equal(number(w, PST_STR("SELECT count(*) FROM rec_purchase_orders")), 2);
}

/* ---- the look at the contents ---- */

static void note_finding(void *self, pst_str text)
{
    char *last = self;
    (void)snprintf(last, 256, "%.*s", PST_STR_ARG(text));
}

static void every_disagreement_of_the_contents_is_found(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *damage;
        const char *words;
    } cases[] = {
        {"DELETE FROM change WHERE seq = 2", "the feed has 2 from 1 to 3"},
        {"UPDATE connection SET last_seq = 5", "its last change is 5"},
        {"UPDATE stream SET records = 4", "counts 4 live records, there are 3"},
        {"UPDATE stream SET rejected = 2", "counts 2 rejected rows, there are 0"},
        {"UPDATE stream SET sync_pk = 77", "held by a sync that has ended"},
        {"UPDATE rec_purchase_orders SET data = '{}' WHERE pk = 2", "not what was written"},
        {"UPDATE rec_purchase_orders SET conn = 9 WHERE pk = 2", "belongs to no stream"},
    };
    char last[256] = "";
    int64_t findings = 0;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, three, 3, "1", at(1)));
    world_end(w, &r, PST_SYNC_COMPLETED);
    assert_read(w, pst_store_audit(w->reader, note_finding, last, &findings, &w->err));
    if (findings)
        fail_msg("sound, but: %s", last);
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        world_begin(w);
        assert_read(w, pst_db_exec_script(w->writer, pst_str_from(cases[i].damage), &w->err));
        assert_read(w, pst_store_audit(w->writer, note_finding, last, &findings, &w->err));
        assert_code(world_finish(w, PST_E_CANCELLED), PST_E_CANCELLED);
        assert_true(findings >= 1);
        if (!strstr(last, cases[i].words))
            fail_msg("%s: found '%s', expected '%s'", cases[i].damage, last, cases[i].words);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_store_opens_again_with_what_it_held),
        CASE(migrations_are_numbered_without_gaps),
        CASE(a_filter_that_is_new_in_the_model_is_filled_from_the_records),
        CASE(a_store_of_a_newer_version_is_refused),
        CASE(a_backup_is_restored_over_what_came_after_it),
        CASE(a_restore_takes_no_followers_position_for_one_of_the_new_feed),
        CASE(what_is_no_whole_backup_is_refused),
        CASE(retention_removes_what_is_older_and_nothing_else),
        CASE(a_clock_that_went_back_leaves_no_gap_in_the_feed),
        CASE(retention_of_deleted_records_and_left_over_lists),
        CASE(every_disagreement_of_the_contents_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
