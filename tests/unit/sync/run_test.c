/* Runs over a real store: modes, windows, pages, deletes, failures, cancelling, stopping. */
#include <unistd.h>

#include "store/rejected.h"
#include "tests/unit/sync/toy.h"

#define BOTH (1U << TOY_SUPPLIERS | 1U << TOY_ITEMS)
#define SUPPLIERS (1U << TOY_SUPPLIERS)
#define ITEMS (1U << TOY_ITEMS)

static void move_on(struct toy_world *w, int64_t seconds)
{
    w->toy.now_s += seconds;
    w->wall.us += seconds * PST_US_PER_S;
    w->mono_ms += seconds * 1000;
}

static void check_counts(const struct pst_sync *s, int64_t read, int64_t created, int64_t updated,
                         int64_t deleted, int64_t unchanged, int64_t rejected)
{
    const struct pst_sync_counts *c = &s->counts;
    if (c->read != read || c->created != created || c->updated != updated ||
        c->deleted != deleted || c->unchanged != unchanged || c->rejected != rejected)
        fail_msg("read %lld created %lld updated %lld deleted %lld unchanged %lld rejected %lld",
                 (long long)c->read, (long long)c->created, (long long)c->updated,
                 (long long)c->deleted, (long long)c->unchanged, (long long)c->rejected);
}

static void a_first_full_sync_reads_everything_of_the_window(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 250, w->toy.now_s - 400LL * TOY_DAY_S);
    toy_fill(w, TOY_ITEMS, 120, w->toy.now_s - 10LL * TOY_DAY_S);
    toy_put(w, TOY_ITEMS, 500, "Too old", w->toy.now_s - 91LL * TOY_DAY_S);
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    check_counts(&s, 370, 370, 0, 0, 0, 0);
    assert_int_equal(s.stream_count, 2);
    assert_int_equal(s.streams[0].counts.created + s.streams[1].counts.created, 370);
    /* one for the clock is not a page; two streams of three and two pages with their ends */
    assert_int_equal(w->toy.calls, 1 + 4 + 3);
    assert_int_equal(s.counts.rows, 370);
    assert_int_equal(s.counts.bytes, 37000);
    toy_check_equal(w, TOY_SUPPLIERS);
    w->toy.rows[TOY_ITEMS][500].exists = false;
    toy_check_equal(w, TOY_ITEMS);
    toy_check_feed(w);
    assert_int_equal(toy_number(w, "SELECT initial_sync_done FROM connection"), 1);
    assert_int_equal(w->reports, 1);
    assert_int_equal(w->report.status, PST_SYNC_COMPLETED);
    assert_null(w->report.err);
    assert_int_equal(w->toy.opened, w->toy.closed);
}

static void a_first_fill_leaves_every_index_behind(void **state)
{
    struct toy_world *w = *state;
    static const char indexes[] = "SELECT count(*) FROM sqlite_schema WHERE type = 'index'";
    static const char version[] = "SELECT schema_version FROM pragma_schema_version";
    int64_t all = toy_number(w, indexes);
    int64_t begun = toy_number(w, version);
    toy_fill(w, TOY_SUPPLIERS, 250, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(toy_number(w, indexes), all);
    int64_t filled = toy_number(w, version);
    assert_true(filled > begun); /* some were left out and made at the end */
    toy_check_equal(w, TOY_SUPPLIERS);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(toy_number(w, version), filled);
}

static void an_incremental_sync_reads_what_changed_since_less_the_overlap(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 50, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    int64_t first = w->toy.now_s;
    move_on(w, 900);
    toy_put(w, TOY_SUPPLIERS, 7, "Renamed", w->toy.now_s - 10);
    toy_put(w, TOY_SUPPLIERS, 60, "New", w->toy.now_s - 5);
    toy_put(w, TOY_SUPPLIERS, 70, "Of the future", w->toy.now_s); /* not below the end */
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    check_counts(&s, 2, 1, 1, 0, 0, 0);
    assert_int_equal(w->toy.last.mode, PST_FETCH_INCREMENTAL);
    assert_int_equal(w->toy.last.from.us, (first - 600) * PST_US_PER_S);
    assert_int_equal(w->toy.last.to.us, w->toy.now_s * PST_US_PER_S);
    move_on(w, 900);
    s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    check_counts(&s, 3, 1, 0, 0, 2, 0); /* the two lie inside the overlap */
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
    assert_int_equal(
        toy_number(w, "SELECT count(*) FROM change WHERE op = 1 AND fields LIKE '%name%'"), 1);
}

static void a_late_commit_inside_the_overlap_is_not_missed(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 5000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    /* Stamped before the last read, committed after it. */
    toy_put(w, TOY_SUPPLIERS, 9, "Late", w->toy.now_s - 599);
    move_on(w, 60);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    check_counts(&s, 1, 1, 0, 0, 0, 0);
    toy_check_equal(w, TOY_SUPPLIERS);
}

static void a_stream_never_read_is_read_whole_by_an_incremental_run(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 400LL * TOY_DAY_S);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, BOTH);
    check_counts(&s, 5, 5, 0, 0, 0, 0);
    assert_true(pst_wall_is_none(s.streams[0].to));
    move_on(w, 60);
    s = toy_sync(w, PST_SYNC_INCREMENTAL, BOTH);
    assert_false(pst_wall_is_none(s.streams[0].to));
    check_counts(&s, 0, 0, 0, 0, 0, 0);
}

static const char records[] =
    "SELECT pk || '|' || seq || '|' || first_seq || '|' || hex(hash) || hex(source_hash) || '|' ||"
    " ifnull(stamp, '-') || '|' || ifnull(deleted_at, '-') || '|' || synced_at || '|' ||"
    " updated_at || '|' || hex(source) || '|' || data FROM rec_suppliers ORDER BY pk";

static void unchanged_rows_are_not_written(void **state)
{
    struct toy_world *w = *state;
    PST_AUTO(buf) struct pst_buf before = {0};
    PST_AUTO(buf) struct pst_buf after = {0};
    pst_buf_init(&before, 8 << 20);
    pst_buf_init(&after, 8 << 20);
    toy_fill(w, TOY_SUPPLIERS, 350, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    toy_dump(w, records, &before);
    move_on(w, 60);
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    check_counts(&s, 350, 0, 0, 0, 350, 0);
    toy_dump(w, records, &after);
    assert_string_equal(before.ptr, after.ptr);
    assert_int_equal(toy_number(w, "SELECT max(seq) FROM change"), 350);
}

static void a_row_that_differs_only_in_the_source_is_rewritten_without_a_change(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 3, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    move_on(w, 60);
    w->toy.rows[TOY_SUPPLIERS][1].stamp_s = w->toy.now_s - 1;
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    check_counts(&s, 1, 0, 0, 0, 1, 0);
    assert_int_equal(toy_number(w, "SELECT max(seq) FROM change"), 3);
    assert_int_equal(toy_number(w, "SELECT max(stamp) / 1000000 FROM rec_suppliers"),
                     w->toy.now_s - 1);
    move_on(w, 60);
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    check_counts(&s, 3, 0, 0, 0, 3, 0);
}

static void a_full_sync_deletes_what_is_gone_and_revives_what_is_back(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 300, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    static const unsigned gone[] = {0, 1, 99, 100, 101, 150, 298, 299}; /* at the pages' borders */
    for (size_t i = 0; i < PST_COUNT(gone); i++)
        w->toy.rows[TOY_SUPPLIERS][gone[i]].exists = false;
    move_on(w, 60);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    check_counts(&s, 0 + 0, 0, 0, 0, 0, 0); /* stamps lie before the overlap */
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    check_counts(&s, 292, 0, 0, 8, 292, 0);
    toy_check_equal(w, TOY_SUPPLIERS);
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    check_counts(&s, 292, 0, 0, 0, 292, 0);
    w->toy.rows[TOY_SUPPLIERS][100].exists = true;
    w->toy.rows[TOY_SUPPLIERS][299].exists = true;
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    check_counts(&s, 294, 2, 0, 0, 292, 0);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
    assert_int_equal(toy_number(w, "SELECT records FROM stream"), 294);
}

static void only_records_inside_the_window_are_called_missing(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_ITEMS, 100, w->toy.now_s - 80LL * TOY_DAY_S);
    for (unsigned i = 0; i < 50; i++)
        w->toy.rows[TOY_ITEMS][2 * i].stamp_s = w->toy.now_s - 5LL * TOY_DAY_S;
    (void)toy_sync(w, PST_SYNC_FULL, ITEMS);
    move_on(w, 20LL * TOY_DAY_S); /* every second one is now outside the window */
    w->toy.rows[TOY_ITEMS][10].exists = false;
    w->toy.rows[TOY_ITEMS][11].exists = false; /* outside: not looked for */
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, ITEMS);
    check_counts(&s, 49, 0, 0, 1, 49, 0);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rec_items WHERE deleted_at IS NULL"), 99);
}

static void the_guard_stops_a_full_sync_that_misses_too_much(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 100, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    for (unsigned i = 0; i < 21; i++)
        w->toy.rows[TOY_SUPPLIERS][i].exists = false;
    toy_put(w, TOY_SUPPLIERS, 50, "Changed", w->toy.now_s - 1);
    move_on(w, 60);
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "DELETE_GUARD");
    check_counts(&s, 79, 0, 1, 0, 78, 0);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rec_suppliers WHERE deleted_at IS NULL"),
                     100);
    w->toy.rows[TOY_SUPPLIERS][0].exists = true; /* 20 of 100 */
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    check_counts(&s, 80, 0, 0, 20, 80, 0);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

static void an_empty_answer_to_a_full_sync_deletes_nothing(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 10, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    for (unsigned i = 0; i < 10; i++)
        w->toy.rows[TOY_SUPPLIERS][i].exists = false;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_str(s.error_code, "DELETE_GUARD");
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rec_suppliers WHERE deleted_at IS NULL"),
                     10);
}

static void keys_in_another_order_are_stored_but_nothing_is_deleted(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 250, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    w->toy.descending = true;
    w->toy.rows[TOY_SUPPLIERS][5].exists = false;
    toy_put(w, TOY_SUPPLIERS, 6, "Changed", w->toy.now_s - 1);
    toy_put(w, TOY_SUPPLIERS, 260, "New", w->toy.now_s - 1);
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_str(s.error_code, "DELETE_GUARD");
    check_counts(&s, 250, 1, 1, 0, 248, 0);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rec_suppliers WHERE deleted_at IS NULL"),
                     251);
    /* An incremental run does not mind. */
    toy_put(w, TOY_SUPPLIERS, 7, "Changed too", w->toy.now_s + 1);
    toy_put(w, TOY_SUPPLIERS, 8, "And this", w->toy.now_s + 2);
    move_on(w, 60);
    s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    check_counts(&s, 4, 0, 2, 0, 2, 0);
    toy_check_feed(w);
}

static void a_document_that_comes_twice_is_taken_once(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 30, w->toy.now_s - 1000);
    w->toy.page_docs = 5;
    for (unsigned i = 0; i < 30; i += 4)
        w->toy.rows[TOY_SUPPLIERS][i].twice = true;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    check_counts(&s, 38, 30, 0, 0, 8, 0);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

static void rows_that_cannot_be_mapped_are_kept_aside(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 20, w->toy.now_s - 1000);
    w->toy.rows[TOY_SUPPLIERS][3].name[0] = 0;
    w->toy.rows[TOY_SUPPLIERS][9].has_fault = true;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    check_counts(&s, 20, 18, 0, 0, 0, 2);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected"), 2);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected WHERE source_id = 'S00003'"
                                   " AND reason LIKE '%name%' AND source LIKE '[{%'"),
                     1);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected WHERE source_id LIKE '?%'"
                                   " AND reason LIKE 'bad UTF-8%'"),
                     1);
    toy_put(w, TOY_SUPPLIERS, 3, "Mended", w->toy.now_s);
    move_on(w, 60);
    s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    check_counts(&s, 1, 1, 0, 0, 0, 0);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected"), 1);
    toy_check_equal(w, TOY_SUPPLIERS);
}

static void a_rejected_row_is_forgotten_when_a_whole_read_does_not_see_it(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 200, w->toy.now_s - 1000);
    w->toy.rows[TOY_SUPPLIERS][3].name[0] = 0;
    w->toy.rows[TOY_SUPPLIERS][150].name[0] = 0;
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected"), 2);
    w->toy.rows[TOY_SUPPLIERS][150].exists = false;
    move_on(w, 200LL * TOY_DAY_S);
    (void)toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected"), 2); /* whatever its age */
    w->toy.fail[2] = PST_E_SYSTEM;
    assert_int_equal(toy_sync(w, PST_SYNC_FULL, SUPPLIERS).status, PST_SYNC_FAILED);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected"), 2);
    w->toy.fail[2] = PST_OK;
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected WHERE source_id = 'S00003'"), 1);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected"), 1);
}

/* The first part of the read belongs to the run that broke off. */
static void a_row_that_a_broken_read_rejected_is_kept_when_another_run_ends_it(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 250, w->toy.now_s - 1000);
    w->toy.rows[TOY_SUPPLIERS][3].name[0] = 0;
    for (size_t i = 2; i < 5; i++)
        w->toy.fail[i] = PST_E_UNREACHABLE;
    assert_int_equal(toy_sync(w, PST_SYNC_FULL, SUPPLIERS).status, PST_SYNC_FAILED);
    memset(w->toy.fail, 0, sizeof w->toy.fail);
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(s.counts.read, 150);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected"), 1);
}

static void a_record_that_can_no_longer_be_mapped_stays_as_it_was(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 20, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    w->toy.rows[TOY_SUPPLIERS][3].name[0] = 0;
    w->toy.rows[TOY_SUPPLIERS][9].has_fault = true;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    check_counts(&s, 20, 0, 0, 0, 18, 2);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rec_suppliers WHERE deleted_at IS NULL"),
                     20);
    /* Back to what it was: nothing to write, and no longer kept aside. */
    toy_put(w, TOY_SUPPLIERS, 3, "Row 3", w->toy.now_s - 1000);
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    check_counts(&s, 20, 0, 0, 0, 19, 1);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rejected WHERE source_id = 'S00003'"), 0);
}

static void change_between_pages(struct toy_world *w, unsigned call)
{
    if (call != 3)
        return;
    toy_put(w, TOY_SUPPLIERS, 10, "Changed behind the reader", w->toy.now_s + 1);
    toy_put(w, TOY_SUPPLIERS, 249, "Changed before the reader", w->toy.now_s + 1);
    w->toy.rows[TOY_SUPPLIERS][20].exists = false;
    w->toy.rows[TOY_SUPPLIERS][248].exists = false;
    toy_put(w, TOY_SUPPLIERS, 2000, "New at the end", w->toy.now_s + 1);
}

static void rows_that_change_between_pages_are_not_missed(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 250, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    w->toy.hook = change_between_pages;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    w->toy.hook = NULL;
    move_on(w, 60);
    (void)toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS); /* for the row deleted behind the reader */
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
    check_counts(&s, 249, 0, 0, 1, 249, 0);
}

/* ---- failures ---- */

static void connectivity_failures_are_tried_three_times(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 250, w->toy.now_s - 1000);
    w->toy.fail[0] = PST_E_UNREACHABLE;
    w->toy.fail[1] = PST_E_UNREACHABLE;
    w->toy.fail[4] = PST_E_UNREACHABLE;
    w->toy.fail[5] = PST_E_FOREIGN_PAGE;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(w->toy.calls, 3 + 2 + 4 + 2); /* with a probe before each last try */
    assert_true(w->slept_ms >= 2 * 4000 && w->slept_ms <= 2 * 6000);
    assert_true(s.counts.wait_us >= 4000000);
    toy_check_equal(w, TOY_SUPPLIERS);
}

static void a_third_failure_ends_the_run_and_keeps_the_checkpoint(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 250, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, 10, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, BOTH);
    int64_t synced_to = toy_number(w, "SELECT min(synced_to) FROM stream");
    move_on(w, 60);
    toy_put(w, TOY_SUPPLIERS, 3, "Changed", w->toy.now_s - 1);
    for (unsigned i = 2; i < 5; i++)
        w->toy.fail[i] = PST_E_UNREACHABLE;
    struct pst_sync s = toy_sync(w, PST_SYNC_INCREMENTAL, BOTH);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "SYSTEM_UNREACHABLE");
    assert_int_equal(w->toy.calls, 5); /* the second stream is not tried */
    check_counts(&s, 1, 0, 1, 0, 0, 0); /* what came is kept */
    assert_int_equal(toy_number(w, "SELECT min(synced_to) FROM stream"), synced_to);
    assert_int_equal(toy_number(w, "SELECT max(synced_to) FROM stream"), synced_to);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM stream WHERE sync_pk IS NOT NULL"), 0);
    memset(w->toy.fail, 0, sizeof w->toy.fail);
    s = toy_sync(w, PST_SYNC_INCREMENTAL, BOTH);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    toy_check_equal(w, TOY_SUPPLIERS);
}

/* The clock is asked, then a page three times, with a probe before the last time. */
static void a_call_that_fails_while_the_system_answers_others_fails_its_stream(void **state)
{
    struct toy_world *w = *state;
    const struct {
        pst_code probe, last;
        unsigned calls;
        const char *code;
        bool ends; /* the run, or only that stream */
    } CASES[] = {
        {PST_OK, PST_E_UNREACHABLE, 5, "SYSTEM_ERROR", false},
        {PST_OK, PST_E_FOREIGN_PAGE, 5, "SYSTEM_ERROR", false},
        {PST_E_SYSTEM_BUSY, PST_E_UNREACHABLE, 5, "SYSTEM_ERROR", false},
        {PST_E_SYSTEM_DENIED, PST_E_UNREACHABLE, 5, "SYSTEM_ERROR", false},
        {PST_OK, PST_E_AWAY, 5, "SYSTEM_UNREACHABLE", true},
        {PST_OK, PST_E_NO_MEMORY, 5, "SERVICE_UNAVAILABLE", true},
        {PST_E_UNREACHABLE, PST_OK, 4, "SYSTEM_UNREACHABLE", true},
        {PST_E_TIMEOUT, PST_OK, 4, "SYSTEM_UNREACHABLE", true},
        {PST_E_AWAY, PST_OK, 4, "SYSTEM_UNREACHABLE", true},
        {PST_E_REAUTH, PST_OK, 4, "REAUTHORIZATION_REQUIRED", true},
    };
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, 5, w->toy.now_s - 1000);
    /* A busy system is waited for, not probed. */
    w->toy.fail[1] = PST_E_UNREACHABLE;
    w->toy.fail[2] = PST_E_SYSTEM_BUSY;
    w->toy.retry_after_s = 1;
    assert_int_equal(toy_sync(w, PST_SYNC_FULL, BOTH).status, PST_SYNC_COMPLETED);
    assert_int_equal(w->toy.calls, 1 + 2 + 4);
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        memset(w->toy.fail, 0, sizeof w->toy.fail);
        w->toy.fail[1] = w->toy.fail[2] = PST_E_UNREACHABLE;
        w->toy.fail[3] = CASES[i].probe;
        w->toy.fail[4] = CASES[i].last;
        struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
        assert_int_equal(s.status, PST_SYNC_FAILED);
        assert_str(s.streams[0].error_code, CASES[i].code);
        assert_int_equal(w->toy.calls, CASES[i].calls + (CASES[i].ends ? 0 : 2));
        assert_int_equal(s.streams[1].status, CASES[i].ends ? PST_SYNC_FAILED : PST_SYNC_COMPLETED);
    }
}

static void silence_is_confirmed_by_probes_and_the_call_not_repeated(void **state)
{
    struct toy_world *w = *state;
    const struct {
        pst_code first, second; /* probe */
        unsigned calls; /* of the run: a clock, a page, probes */
        const char *code;
        bool ends; /* the run, or only that stream */
    } CASES[] = {
        {PST_OK, PST_OK, 3, "SYSTEM_ERROR", false},
        {PST_E_SYSTEM_BUSY, PST_OK, 3, "SYSTEM_ERROR", false},
        {PST_E_SYSTEM_DENIED, PST_OK, 3, "SYSTEM_ERROR", false},
        {PST_E_UNREACHABLE, PST_OK, 4, "SYSTEM_ERROR", false},
        {PST_E_TIMEOUT, PST_E_TIMEOUT, 4, "SYSTEM_UNREACHABLE", true},
        {PST_E_AWAY, PST_OK, 3, "SYSTEM_UNREACHABLE", true},
        {PST_E_REAUTH, PST_OK, 3, "REAUTHORIZATION_REQUIRED", true},
    };
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, 5, w->toy.now_s - 1000);
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        memset(w->toy.fail, 0, sizeof w->toy.fail);
        w->toy.fail[1] = PST_E_TIMEOUT;
        w->toy.fail[2] = CASES[i].first;
        w->toy.fail[3] = CASES[i].second;
        struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
        assert_int_equal(s.status, PST_SYNC_FAILED);
        assert_str(s.streams[0].error_code, CASES[i].code);
        assert_int_equal(w->toy.calls, CASES[i].calls + (CASES[i].ends ? 0 : 2));
        assert_int_equal(s.streams[1].status, CASES[i].ends ? PST_SYNC_FAILED : PST_SYNC_COMPLETED);
    }
}

static void a_silent_clock_is_not_asked_again(void **state)
{
    struct toy_world *w = *state;
    w->toy.fail[0] = PST_E_TIMEOUT;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "SYSTEM_ERROR");
    assert_int_equal(w->toy.calls, 2);
}

static pst_code go_offline(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct toy_world *w = arg;
    return pst_connections_set_status(conn, w->connection_pk, PST_CONNECTION_OFFLINE,
                                      PST_STR("away"), (pst_str){0}, w->wall, NULL, err);
}

static void a_system_that_is_offline_is_tried_once(void **state)
{
    struct toy_world *w = *state;
    struct pst_err err;
    static const pst_code codes[] = {PST_E_UNREACHABLE, PST_E_TIMEOUT};
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    w->trigger = PST_SYNC_MANUAL;
    for (size_t i = 0; i < PST_COUNT(codes); i++) {
        assert_ok(pst_db_write(w->db, go_offline, w, &err));
        w->toy.fail[0] = codes[i];
        struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
        assert_int_equal(s.status, PST_SYNC_FAILED);
        assert_str(s.error_code, "SYSTEM_UNREACHABLE");
        assert_int_equal(w->toy.calls, 1);
        assert_int_equal(w->slept_ms, 0);
    }
    /* Once it has answered, failures are confirmed as ever. */
    memset(w->toy.fail, 0, sizeof w->toy.fail);
    w->toy.fail[1] = PST_E_UNREACHABLE;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_true(w->slept_ms > 0);
}

static void a_busy_system_is_waited_for(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    w->toy.fail[1] = PST_E_SYSTEM_BUSY;
    w->toy.retry_after_s = 4;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(w->idle_ms, 0);
    assert_true(w->slept_ms >= 4000 && w->slept_ms < 5000);
}

static void refused_credentials_are_not_tried_twice(void **state)
{
    struct toy_world *w = *state;
    w->toy.fail[0] = PST_E_REAUTH;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "REAUTHORIZATION_REQUIRED");
    assert_int_equal(w->toy.calls, 1);
    assert_int_equal(w->slept_ms, 0);
    assert_int_equal(toy_number(w, "SELECT status = 'authentication_required' FROM connection"), 1);
    s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "REAUTHORIZATION_REQUIRED");
    assert_int_equal(w->toy.calls, 0);
}

static pst_code patch(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct toy_world *w = arg;
    char text[32];
    struct pst_connection_patch p = {.set_credentials = true};
    (void)snprintf(text, sizeof(text), "new %u", w->syncs);
    p.credentials = pst_str_from(text);
    PST_TRY(pst_connections_patch(conn, w->connection_pk, &p, 0, w->wall, err));
    return pst_connections_set_status(conn, w->connection_pk, PST_CONNECTION_PENDING,
                                      PST_STR("new credentials"), PST_STR(""), w->wall, NULL, err);
}

static void patch_now(struct toy_world *w, unsigned call)
{
    struct pst_err err;
    if (call == 0)
        assert_ok(pst_db_write(w->db, patch, w, &err));
}

static void a_refusal_of_credentials_that_were_replaced_meanwhile_is_no_verdict(void **state)
{
    struct toy_world *w = *state;
    w->toy.fail[0] = PST_E_REAUTH;
    w->toy.hook = patch_now;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_int_equal(toy_number(w, "SELECT status = 'pending' FROM connection"), 1);
    /* Whoever changed them could queue no run while this one held the streams. */
    assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), 2);
    s = toy_get(w, toy_number(w, "SELECT max(pk) FROM sync"));
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(s.stream_count, 2);
}

static void credentials_that_came_during_a_run_are_tried_after_it_however_it_ends(void **state)
{
    static const struct {
        pst_code code; /* of the run's first calls */
        size_t calls;
        enum pst_sync_status status;
        enum pst_sync_mode next;
    } cases[] = {
        {PST_E_UNREACHABLE, 3, PST_SYNC_FAILED, PST_SYNC_FULL},
        {PST_E_SYSTEM, 1, PST_SYNC_FAILED, PST_SYNC_FULL},
        {PST_OK, 0, PST_SYNC_COMPLETED, PST_SYNC_INCREMENTAL},
    };
    struct toy_world *w = *state;
    w->toy.hook = patch_now;
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        int64_t before = toy_number(w, "SELECT count(*) FROM sync");
        memset(w->toy.fail, 0, sizeof w->toy.fail);
        for (size_t k = 0; k < cases[i].calls; k++)
            w->toy.fail[k] = cases[i].code;
        struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
        assert_int_equal(s.status, cases[i].status);
        assert_int_equal(toy_number(w, "SELECT count(*) FROM sync"), before + 2);
        s = toy_get(w, toy_number(w, "SELECT max(pk) FROM sync"));
        assert_int_equal(s.mode, cases[i].next);
        assert_int_equal(s.status, PST_SYNC_COMPLETED);
    }
}

static void an_entitys_own_failure_leaves_the_others_their_result(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, 5, w->toy.now_s - 1000);
    w->toy.fail[1] = PST_E_SYSTEM_DENIED;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "SYSTEM_ERROR");
    assert_int_equal(s.streams[0].status, PST_SYNC_FAILED);
    assert_int_equal(s.streams[1].status, PST_SYNC_COMPLETED);
    assert_int_equal(w->slept_ms, 0);
    toy_check_equal(w, TOY_ITEMS);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM stream WHERE synced_to IS NOT NULL"), 1);
    assert_int_equal(toy_number(w, "SELECT initial_sync_done FROM connection"), 0);
    /* The next run makes up for it, whatever its mode. */
    memset(w->toy.fail, 0, sizeof w->toy.fail);
    s = toy_sync(w, PST_SYNC_INCREMENTAL, BOTH);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    toy_check_equal(w, TOY_SUPPLIERS);
    assert_int_equal(toy_number(w, "SELECT initial_sync_done FROM connection"), 1);
}

static void a_missing_column_is_the_streams_failure(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5, w->toy.now_s - 1000);
    w->toy.lacks_column = true;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_FAILED);
    assert_str(s.error_code, "INVALID_REQUEST");
    assert_int_equal(toy_number(w, "SELECT error_message LIKE '%STATUS%' FROM stream"), 1);
}

/* ---- cancelling and stopping ---- */

static pst_code cancel_newest(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct toy_world *w = arg;
    uint8_t raw[PST_ID_RAW] = {(uint8_t)(w->syncs >> 8), (uint8_t)w->syncs};
    struct pst_id id = pst_id_format("sync_", raw);
    return pst_syncs_cancel(conn, w->connection_pk, pst_id_str(&id), w->wall, err);
}

static void cancel_at_the_third_call(struct toy_world *w, unsigned call)
{
    struct pst_err err;
    if (call != 3)
        return;
    assert_ok(pst_db_write(w->db, cancel_newest, w, &err));
    pst_sync_cancel(w->engine, w->connection_pk, w->syncs);
}

static void a_cancelled_run_ends_and_keeps_what_it_read(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    w->toy.hook = cancel_at_the_third_call;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_CANCELLED);
    assert_int_equal(w->toy.calls, 4);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM rec_suppliers") % 100, 0);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM stream WHERE sync_pk IS NOT NULL"), 0);
    w->toy.hook = NULL;
    s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

static void a_queued_run_that_is_cancelled_never_begins(void **state)
{
    struct toy_world *w = *state;
    struct pst_err err;
    int64_t pk = toy_queue(w, PST_SYNC_FULL, BOTH);
    assert_ok(pst_db_write(w->db, cancel_newest, w, &err));
    pst_sync_cancel(w->engine, w->connection_pk, pk);
    toy_work(w);
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_CANCELLED);
    assert_int_equal(w->toy.calls, 0);
}

/* The flag of a run that was cancelled a moment too late must not end the next one. */
static void raise_flag(struct toy_world *w, unsigned call)
{
    if (call == 2)
        atomic_store(&w->engine->slots[0].cancel, true);
}

static void a_cancel_that_meant_another_run_is_shrugged_off(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 500, w->toy.now_s - 1000);
    w->toy.hook = raise_flag;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    toy_check_equal(w, TOY_SUPPLIERS);
}

static unsigned stop_at;

static void stop_now(struct toy_world *w, unsigned call)
{
    if (call == stop_at)
        pst_sync_stop(w->engine);
}

static void a_stopped_run_goes_on_where_it_was(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, 200, w->toy.now_s - 1000);
    w->toy.hook = stop_now;
    int64_t pk = toy_queue(w, PST_SYNC_FULL, BOTH);
    unsigned stops = 0;
    unsigned calls = 0;
    for (; stops < 100; stops++) {
        w->toy.calls = 0;
        stop_at = 4; /* of this process: the clock once, then pages */
        toy_work(w);
        calls += w->toy.calls;
        if (toy_get(w, pk).status == PST_SYNC_COMPLETED)
            break;
        assert_int_equal(w->report.status, PST_SYNC_QUEUED);
    }
    assert_int_equal(toy_get(w, pk).status, PST_SYNC_COMPLETED);
    assert_in_range(stops, 2, 6);
    /* The clock, fifteen pages and ends, and the one broken off at each stop. */
    assert_in_range(calls, 1 + 11 + 3, 1 + 11 + 3 + 2 * stops);
    struct pst_sync s = toy_get(w, pk);
    check_counts(&s, 1200, 1200, 0, 0, 0, 0);
    assert_int_equal(s.counts.calls, calls); /* of all the processes that had it */
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_equal(w, TOY_ITEMS);
    toy_check_feed(w);
}

static pst_code delete_connection(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct toy_world *w = arg;
    return pst_connections_delete(conn, w->connection_pk, false, w->wall, err);
}

static void delete_at_the_third_call(struct toy_world *w, unsigned call)
{
    struct pst_err err;
    if (call == 3)
        assert_ok(pst_db_write(w->db, delete_connection, w, &err));
}

static void a_run_ends_when_its_connection_is_deleted(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 1000, w->toy.now_s - 1000);
    w->toy.hook = delete_at_the_third_call;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, BOTH);
    assert_int_equal(s.status, PST_SYNC_CANCELLED);
    assert_true(w->toy.calls < 8);
}

/* ---- pacing, determinism ---- */

static unsigned commits;

static void count_commit(struct toy_world *w)
{
    (void)w;
    commits++;
}

static void quiet_pages_are_not_committed_one_by_one(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 5000, w->toy.now_s - 1000);
    w->options.page_rows = 100;
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    int64_t pages = toy_number(w, "SELECT pages FROM sync_stream");
    assert_int_equal(pages, 51);
    w->on_commit = count_commit;
    commits = 0;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    check_counts(&s, 5000, 0, 0, 0, 5000, 0);
    assert_int_equal(s.counts.pages, 51);
    assert_true(commits < 12);
}

static pst_code dawdle(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)conn, (void)arg, (void)err;
    (void)usleep(100000);
    return PST_OK;
}

static void no_matter(struct pst_db_job *job)
{
    (void)job;
}

static struct pst_db_job slow_job = {.fn = dawdle, .done = no_matter};

/* In front of the first page's commit. */
static void hold_up_the_writer(struct toy_world *w, unsigned call)
{
    struct pst_err err;
    if (call == 2)
        assert_ok(pst_db_write_async(w->db, &slow_job, &err));
}

/* Nobody waits for the first page's commit when those behind it have nothing to commit, and its
 * memory is the fourth page's, too. */
static void a_page_that_is_still_being_written_keeps_its_memory(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 600, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    for (unsigned i = 0; i < 100; i++)
        toy_put(w, TOY_SUPPLIERS, i, "Changed", w->toy.now_s);
    w->toy.hook = hold_up_the_writer;
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    check_counts(&s, 600, 0, 100, 0, 500, 0);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_feed(w);
}

static void dump_feed(struct toy_world *w, struct pst_buf *out)
{
    toy_dump(w,
             "SELECT seq || ' ' || op || ' ' || hex(record_id) || ' ' || fields FROM change"
             " ORDER BY seq",
             out);
}

static void play_history(struct toy_world *w, struct pst_buf *out)
{
    toy_fill(w, TOY_SUPPLIERS, 300, w->toy.now_s - 1000);
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    for (unsigned i = 0; i < 40; i++)
        toy_put(w, TOY_SUPPLIERS, 7 * i, "Changed", w->toy.now_s + 5);
    move_on(w, 60);
    (void)toy_sync(w, PST_SYNC_INCREMENTAL, SUPPLIERS);
    for (unsigned i = 0; i < 30; i++)
        w->toy.rows[TOY_SUPPLIERS][9 * i].exists = false;
    (void)toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    dump_feed(w, out);
}

static void two_runs_of_one_history_give_the_same_feed(void **state)
{
    struct toy_world *w = *state;
    static struct toy_world other;
    PST_AUTO(buf) struct pst_buf a = {0};
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&a, 1 << 20);
    pst_buf_init(&b, 1 << 20);
    play_history(w, &a);
    toy_world_make(&other);
    toy_world_open(&other);
    other.has_lane_thread = true;
    play_history(&other, &b);
    toy_world_close(&other);
    toy_world_remove(&other);
    assert_string_equal(a.ptr, b.ptr);
}

static void source_rows_are_kept_with_a_dictionary(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 2000, w->toy.now_s - 1000);
    w->options.page_rows = 1000;
    pst_sync_engine_retune(w->engine, 1000, 600000, 20);
    struct pst_sync s = toy_sync(w, PST_SYNC_FULL, SUPPLIERS);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    assert_int_equal(toy_number(w, "SELECT count(*) FROM dictionary"), 1);
    assert_int_equal(
        toy_number(w,
                   "SELECT count(*) FROM rec_suppliers WHERE dict <> (SELECT pk FROM dictionary)"),
        0);
    assert_true(toy_number(w, "SELECT max(length(source)) FROM rec_suppliers") < 60);
}

static void an_allocation_that_fails_harms_nothing(void **state)
{
    struct toy_world *w = *state;
    toy_fill(w, TOY_SUPPLIERS, 80, w->toy.now_s - 1000);
    toy_fill(w, TOY_ITEMS, 3, w->toy.now_s - 1000);
    w->toy.rows[TOY_SUPPLIERS][7].name[0] = 0;
    w->toy.page_docs = 70; /* enough for a dictionary */
    bool met = true;
    for (long at = 0; met; at++) {
        if (at % 3 == 0) /* something to write, to revive and to delete in every round */
            toy_put(w, TOY_SUPPLIERS, (unsigned)at % 60, "Changed", w->toy.now_s - 1);
        w->toy.rows[TOY_SUPPLIERS][70].exists = at % 2;
        w->fail_alloc_at = at;
        int64_t pk = toy_queue(w, PST_SYNC_FULL, BOTH);
        toy_work(w);
        met = w->alloc_failed;
        w->fail_alloc_at = -1;
        toy_work(w); /* whoever could not even claim it leaves it to the next */
        struct pst_sync s = toy_get(w, pk);
        assert_true(s.status == PST_SYNC_COMPLETED || s.status == PST_SYNC_FAILED);
        if (s.status == PST_SYNC_FAILED)
            assert_str(s.error_code, "SERVICE_UNAVAILABLE");
        assert_int_equal(w->toy.opened, w->toy.closed);
        assert_true(at < 5000);
        move_on(w, 1);
    }
    assert_int_equal(toy_sync(w, PST_SYNC_FULL, BOTH).status, PST_SYNC_COMPLETED);
    toy_check_equal(w, TOY_SUPPLIERS);
    toy_check_equal(w, TOY_ITEMS);
    toy_check_feed(w);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, toy_set_up, toy_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_first_full_sync_reads_everything_of_the_window),
        T(a_first_fill_leaves_every_index_behind),
        T(an_incremental_sync_reads_what_changed_since_less_the_overlap),
        T(a_late_commit_inside_the_overlap_is_not_missed),
        T(a_stream_never_read_is_read_whole_by_an_incremental_run),
        T(unchanged_rows_are_not_written),
        T(a_row_that_differs_only_in_the_source_is_rewritten_without_a_change),
        T(a_full_sync_deletes_what_is_gone_and_revives_what_is_back),
        T(only_records_inside_the_window_are_called_missing),
        T(the_guard_stops_a_full_sync_that_misses_too_much),
        T(an_empty_answer_to_a_full_sync_deletes_nothing),
        T(keys_in_another_order_are_stored_but_nothing_is_deleted),
        T(a_document_that_comes_twice_is_taken_once),
        T(rows_that_cannot_be_mapped_are_kept_aside),
        T(a_rejected_row_is_forgotten_when_a_whole_read_does_not_see_it),
        T(a_row_that_a_broken_read_rejected_is_kept_when_another_run_ends_it),
        T(a_record_that_can_no_longer_be_mapped_stays_as_it_was),
        T(rows_that_change_between_pages_are_not_missed),
        T(connectivity_failures_are_tried_three_times),
        T(a_third_failure_ends_the_run_and_keeps_the_checkpoint),
        T(a_call_that_fails_while_the_system_answers_others_fails_its_stream),
        T(silence_is_confirmed_by_probes_and_the_call_not_repeated),
        T(a_silent_clock_is_not_asked_again),
        T(a_system_that_is_offline_is_tried_once),
        T(a_busy_system_is_waited_for),
        T(refused_credentials_are_not_tried_twice),
        T(a_refusal_of_credentials_that_were_replaced_meanwhile_is_no_verdict),
        T(credentials_that_came_during_a_run_are_tried_after_it_however_it_ends),
        T(an_entitys_own_failure_leaves_the_others_their_result),
        T(a_missing_column_is_the_streams_failure),
        T(a_cancelled_run_ends_and_keeps_what_it_read),
        T(a_queued_run_that_is_cancelled_never_begins),
        T(a_cancel_that_meant_another_run_is_shrugged_off),
        T(a_stopped_run_goes_on_where_it_was),
        T(a_run_ends_when_its_connection_is_deleted),
        T(quiet_pages_are_not_committed_one_by_one),
        T(a_page_that_is_still_being_written_keeps_its_memory),
        T(two_runs_of_one_history_give_the_same_feed),
        T(source_rows_are_kept_with_a_dictionary),
        T(an_allocation_that_fails_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
