/* tests/unit/store/list_test.c: lists: order, filters, budget, cursors, and that every filter is
 * answered by its index. */
#include "store/records_list.h"
#include "tests/unit/store/world.h"

static const struct order five[] = {
    {"A", "approved", "rec_s1", "2026-11-05", {0}, "1"},
    {"B", "draft", "rec_s2", "2026-11-04", {0}, "1"},
    {"C", "approved", "rec_s1", "2026-11-03", {0}, "1"},
    {"D", "draft", "rec_s1", "2026-11-02", {0}, "1"},
    {"E", "approved", NULL, NULL, {0}, "1"},
};

static struct run fill(struct world *w)
{
    struct order stamped[5];
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    for (int i = 0; i < 5; i++) {
        stamped[i] = five[i];
        stamped[i].stamp = at(1000 - 10 * i); /* A newest */
    }
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, stamped, 5, "1", at(2000)));
    return r;
}

static const struct pst_filter *filter_of(const struct pst_entity *e, const char *column)
{
    for (size_t i = 0; i < e->filter_count; i++)
        if (strcmp(e->filters[i].column, column) == 0)
            return &e->filters[i];
    fail_msg("no filter %s", column);
    return NULL;
}

static void add_filter(const struct world *w, struct pst_record_query *q, const char *column,
                       int match, const char *value)
{
    struct pst_record_filter *f = &q->filters[q->filter_count++];
    f->filter = filter_of(w->orders, column);
    f->match = (typeof(f->match))match;
    f->value = value
                   ? (struct pst_filter_value){.kind = PST_FILTER_TEXT, .text = pst_str_from(value)}
                   : (struct pst_filter_value){.kind = PST_FILTER_NULL};
}

static void assert_list(struct world *w, struct pst_record_query *q, const char *expected,
                        bool expected_more)
{
    char got[256];
    bool more = false;
    assert_read(w, world_list(w, q, got, sizeof(got), &more));
    assert_string_equal(got, expected);
    assert_int_equal(more, expected_more);
}

/* ---- order and pages ---- */

static void pages_follow_first_appearance(void **state)
{
    struct world *w = *state;
    (void)fill(w);
    struct pst_record_query q = world_query(w, 2);
    assert_list(w, &q, "A B", true);
    assert_list(w, &q, "C D", true);
    assert_list(w, &q, "E", false);
    q = world_query(w, 5);
    assert_list(w, &q, "A B C D E", false);
}

static void pages_follow_updated_at_both_ways(void **state)
{
    struct world *w = *state;
    (void)fill(w);
    struct pst_record_query q = world_query(w, 3);
    q.sort = PST_SORT_UPDATED;
    assert_list(w, &q, "E D C", true);
    assert_list(w, &q, "B A", false);
    q = world_query(w, 3);
    q.sort = PST_SORT_UPDATED_DESC;
    assert_list(w, &q, "A B C", true);
    assert_list(w, &q, "D E", false);
    q.after = (struct pst_record_position){0};
    q.updated_after = at(970);
    q.updated_before = at(1000);
    assert_list(w, &q, "B C D", false);
}

static pst_code refuse_row(void *self, const struct pst_record_row *row, struct pst_err *err)
{
    int *calls = self;
    (void)row;
    (*calls)++;
    return PST_FAIL(err, PST_E_LIMIT, "the answer is full");
}

static void a_reader_that_has_enough_ends_the_list(void **state)
{
    struct world *w = *state;
    int calls = 0;
    bool more = false;
    (void)fill(w);
    struct pst_record_query q = world_query(w, 5);
    struct pst_record_position last;
    assert_code(pst_records_list(w->reader, &q, refuse_row, &calls, &last, &more, &w->err),
                PST_E_LIMIT);
    assert_int_equal(calls, 1);
    assert_string_equal(w->err.msg, "the answer is full");
    assert_list(w, &q, "A B C D E", false); /* nothing is left open */
}

/* Takes two rows. */
static pst_code fill_up(void *self, const struct pst_record_row *row, struct pst_err *err)
{
    int *calls = self;
    (void)row;
    return ++*calls <= 2 ? PST_OK : PST_FAIL(err, PST_E_LIMIT, "the page is full");
}

static void a_full_page_ends_before_the_record_that_did_not_fit(void **state)
{
    struct world *w = *state;
    int calls = 0;
    bool more = false;
    (void)fill(w);
    struct pst_record_query q = world_query(w, 5);
    struct pst_record_position last;
    assert_read(w, pst_records_list(w->reader, &q, fill_up, &calls, &last, &more, &w->err));
    assert_int_equal(calls, 3);
    assert_true(more);
    q.after = last;
    assert_list(w, &q, "C D E", false);
}

static void a_limit_outside_1_to_500_is_refused(void **state)
{
    struct world *w = *state;
    char got[16];
    bool more = false;
    struct pst_record_query q = world_query(w, 0);
    assert_code(world_list(w, &q, got, sizeof(got), &more), PST_E_INVALID);
    q = world_query(w, 501);
    assert_code(world_list(w, &q, got, sizeof(got), &more), PST_E_INVALID);
    q = world_query(w, 500);
    assert_read(w, world_list(w, &q, got, sizeof(got), &more));
}

static void equal_stamps_are_neither_lost_nor_doubled_at_a_page_end(void **state)
{
    struct world *w = *state;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    struct order same[5];
    for (int i = 0; i < 5; i++) {
        same[i] = five[i];
        same[i].stamp = at(500);
    }
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, same, 5, "1", at(2000)));
    struct pst_record_query q = world_query(w, 2);
    q.sort = PST_SORT_UPDATED_DESC;
    assert_list(w, &q, "E D", true);
    assert_list(w, &q, "C B", true);
    assert_list(w, &q, "A", false);
}

static void rows_that_change_during_a_walk_keep_their_place(void **state)
{
    struct world *w = *state;
    struct run r = fill(w);
    const struct order changed[] = {{"A", "closed", NULL, NULL, at(5000), "2"},
                                    {"D", "closed", NULL, NULL, at(5000), "2"}};
    const struct order added[] = {{"AA", "draft", NULL, NULL, {0}, "1"}};
    struct pst_record_query q = world_query(w, 2);
    assert_list(w, &q, "A B", true);
    assert_read(w, world_commit(w, &r, PST_RECORD_UPDATE, changed, 2, "2", at(3000)));
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, added, 1, "3", at(3000)));
    assert_list(w, &q, "C D", true);
    assert_list(w, &q, "E AA", false);
}

/* ---- filters ---- */

static void filters_are_met(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *column;
        int match;
        const char *value;
        const char *expected;
    } cases[] = {
        {"f_status", PST_MATCH_EQUAL, "approved", "A C E"},
        {"f_status", PST_MATCH_EQUAL, "nothing", ""},
        {"f_supplier_id", PST_MATCH_EQUAL, "rec_s1", "A C D"},
        {"f_supplier_id", PST_MATCH_EQUAL, NULL, "E"},
        {"f_number", PST_MATCH_EQUAL, "D", "D"},
        {"f_order_date", PST_MATCH_EQUAL, "2026-11-03", "C"},
        {"f_order_date", PST_MATCH_AFTER, "2026-11-04", "A B"}, /* inclusive */
        {"f_order_date", PST_MATCH_BEFORE, "2026-11-04", "C D"}, /* exclusive */
    };
    (void)fill(w);
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_record_query q = world_query(w, 10);
        add_filter(w, &q, cases[i].column, cases[i].match, cases[i].value);
        assert_list(w, &q, cases[i].expected, false);
    }
}

static void filters_join_and_pages_of_a_range_go_on(void **state)
{
    struct world *w = *state;
    (void)fill(w);
    struct pst_record_query q = world_query(w, 1);
    add_filter(w, &q, "f_status", PST_MATCH_EQUAL, "approved");
    add_filter(w, &q, "f_supplier_id", PST_MATCH_EQUAL, "rec_s1");
    assert_list(w, &q, "A", true);
    assert_list(w, &q, "C", false);
    q = world_query(w, 1);
    add_filter(w, &q, "f_order_date", PST_MATCH_AFTER, "2026-11-03");
    add_filter(w, &q, "f_order_date", PST_MATCH_BEFORE, "2026-11-05");
    assert_list(w, &q, "B", true);
    assert_list(w, &q, "C", false);
    q = world_query(w, 10);
    add_filter(w, &q, "f_order_date", PST_MATCH_AFTER, "2026-11-03");
    add_filter(w, &q, "f_status", PST_MATCH_EQUAL, "approved");
    assert_list(w, &q, "A C", false);
}

static void times_filter_from_inclusive_to_exclusive(void **state)
{
    struct world *w = *state;
    (void)fill(w);
    struct pst_record_query q = world_query(w, 10);
    q.updated_after = at(970);
    q.updated_before = at(990);
    assert_list(w, &q, "C D", false);
    q = world_query(w, 10);
    q.synced_after = at(2000);
    assert_list(w, &q, "A B C D E", false);
    q = world_query(w, 10);
    q.synced_before = at(2000);
    assert_list(w, &q, "", false);
    q = world_query(w, 10);
    q.created_after = at(2001);
    assert_list(w, &q, "", false);
}

static void deleted_records_are_shown_only_when_asked_for(void **state)
{
    struct world *w = *state;
    struct run r = fill(w);
    int64_t deleted = 0;
    bool left = false;
    const int64_t missing[] = {world_state(w, "B").pk};
    struct pst_page_commit page = {.entity = w->orders,
                                   .connection_pk = w->conn.pk,
                                   .sync_pk = r.sync_pk,
                                   .stream_pk = r.orders_pk,
                                   .now = at(3000),
                                   .missing = missing,
                                   .missing_count = 1};
    assert_write(w, pst_records_commit_page(w->writer, &page, &w->err));
    assert_write(w, pst_records_delete_missing(w->writer, &page, 9, &deleted, &left, &w->err));
    struct pst_record_query q = world_query(w, 10);
    assert_list(w, &q, "A C D E", false);
    q = world_query(w, 10);
    q.deleted = PST_DELETED_INCLUDE;
    assert_list(w, &q, "A B C D E", false);
    q = world_query(w, 10);
    q.deleted = PST_DELETED_ONLY;
    assert_list(w, &q, "B", false);
}

static void another_connection_sees_nothing(void **state)
{
    struct world *w = *state;
    (void)fill(w);
    struct pst_record_query q = world_query(w, 10);
    q.connection_pk = w->conn.pk + 1;
    assert_list(w, &q, "", false);
}

/* ---- budget ---- */

enum { MANY = 10050 };

static void a_scan_ends_at_its_budget_and_goes_on_from_there(void **state)
{
    struct world *w = *state;
    static struct order many[MANY];
    static char numbers[MANY][8];
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(numbers[i], sizeof(numbers[i]), "N%05d", i);
        many[i] = (struct order){
            .number = numbers[i], .status = "draft", .supplier_id = i == 10001 ? "rec_x" : "rec_y"};
    }
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, many, MANY, "1", at(2000)));
    struct pst_record_query q = world_query(w, 10);
    add_filter(w, &q, "f_supplier_id", PST_MATCH_EQUAL, "rec_x");
    assert_list(w, &q, "N10001", false); /* its index answers */
    q = world_query(w, 10);
    q.created_after = at(2001); /* no index: nothing matches */
    assert_list(w, &q, "", true);
    assert_int_equal(q.after.first_seq, 10000);
    assert_list(w, &q, "", false);
}

/* The whole list, by pages; how many records it has. They come by first appearance, each once. */
static int walk_by_pages(struct world *w, struct pst_record_query *q, int *pages)
{
    char got[8192];
    bool more = true;
    int records = 0;
    int64_t before = 0;
    for (*pages = 0; more; ++*pages) {
        assert_read(w, world_list(w, q, got, sizeof(got), &more));
        for (const char *c = got; *c; c++)
            records += c == got || c[-1] == ' ';
        assert_true(!more || q->after.first_seq > before);
        before = q->after.first_seq;
    }
    return records;
}

static void a_range_is_walked_by_first_appearance_be_it_narrow_or_wide(void **state)
{
    struct world *w = *state;
    enum { IN_RANGE = 10001 }; /* one more than a range that its index answers */
    static struct order many[MANY];
    static char numbers[MANY][8];
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(numbers[i], sizeof(numbers[i]), "N%05d", i);
        many[i] = (struct order){.number = numbers[i],
                                 .status = "draft",
                                 .order_date = i < IN_RANGE ? "2026-11-02" : "2026-11-01",
                                 .stamp = at(i == 0 ? 10 : MANY - i)};
    }
    many[0].order_date = "2026-11-03";
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, many, MANY, "1", at(20000)));
    static const struct {
        const char *before;
        int records;
    } cases[] = {{"2026-11-03", IN_RANGE - 1}, {"2026-11-04", IN_RANGE}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        int pages = 0;
        struct pst_record_query q = world_query(w, 500);
        add_filter(w, &q, "f_order_date", PST_MATCH_AFTER, "2026-11-02");
        add_filter(w, &q, "f_order_date", PST_MATCH_BEFORE, cases[i].before);
        assert_int_equal(walk_by_pages(w, &q, &pages), cases[i].records);
        assert_int_equal(pages, (cases[i].records + 499) / 500);
    }
    /* Far back in the store, and found at once: a range of few. */
    struct pst_record_query q = world_query(w, 10);
    q.updated_before = at(3);
    assert_list(w, &q, "N10048 N10049", false);
}

/* A record that changes keeps its place, though it moves in the range. */
static void what_moves_within_a_range_is_neither_missed_nor_repeated(void **state)
{
    struct world *w = *state;
    struct run r = fill(w);
    const struct order later[] = {{"A", "closed", NULL, "2026-12-01", at(5000), "2"},
                                  {"D", "closed", NULL, "2026-10-01", at(1), "2"}};
    struct pst_record_query q = world_query(w, 2);
    struct pst_record_query dates = world_query(w, 2);
    q.updated_after = at(0);
    add_filter(w, &dates, "f_order_date", PST_MATCH_AFTER, "2026-01-01");
    assert_list(w, &q, "A B", true);
    assert_list(w, &dates, "A B", true);
    assert_read(w, world_commit(w, &r, PST_RECORD_UPDATE, later, 2, "2", at(3000)));
    assert_list(w, &q, "C D", true);
    assert_list(w, &q, "E", false);
    assert_list(w, &dates, "C D", false);
}

/* ---- indexes that wait ---- */

static bool lacks(struct world *w)
{
    bool is_lacking = false;
    assert_read(w, pst_records_lacks_index(w->reader, w->orders, &is_lacking, &w->err));
    return is_lacking;
}

static bool defer(struct world *w)
{
    bool deferred = false;
    assert_write(w, pst_records_defer_indexes(w->writer, w->orders, &deferred, &w->err));
    return deferred;
}

static void filters_are_met_while_their_indexes_wait(void **state)
{
    struct world *w = *state;
    assert_false(lacks(w));
    assert_true(defer(w));
    assert_true(lacks(w));
    filters_are_met(state); /* fills the store */
    struct pst_record_query q = world_query(w, 1);
    add_filter(w, &q, "f_supplier_id", PST_MATCH_EQUAL, "rec_s1");
    q.updated_after = at(0);
    assert_list(w, &q, "A", true);
    /* A walk goes on with the index where it began without. */
    int built = 0;
    for (bool left = true; left; built++)
        assert_write(w, pst_records_build_index(w->writer, w->orders, &left, &w->err));
    assert_int_equal(built - 1, w->orders->filter_count - 1); /* all but order_date */
    assert_false(lacks(w));
    assert_list(w, &q, "C", true);
    assert_list(w, &q, "D", false);
    assert_false(defer(w)); /* there are rows now */
    assert_false(lacks(w));
}

static void a_scan_without_its_index_ends_at_the_budget(void **state)
{
    struct world *w = *state;
    static struct order many[MANY];
    static char numbers[MANY][8];
    assert_true(defer(w));
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(numbers[i], sizeof(numbers[i]), "N%05d", i);
        many[i] = (struct order){
            .number = numbers[i], .status = "draft", .supplier_id = i == 10001 ? "rec_x" : "rec_y"};
    }
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, many, MANY, "1", at(2000)));
    struct pst_record_query q = world_query(w, 10);
    add_filter(w, &q, "f_supplier_id", PST_MATCH_EQUAL, "rec_x");
    assert_list(w, &q, "", true);
    assert_list(w, &q, "N10001", false);
}

static void the_next_start_makes_the_indexes_that_wait(void **state)
{
    struct world *w = *state;
    assert_true(defer(w));
    (void)fill(w);
    world_reopen(w);
    assert_false(lacks(w));
}

/* ---- cursors ---- */

static void a_cursor_comes_back_and_belongs_to_its_query(void **state)
{
    struct world *w = *state;
    char text[PST_RECORD_CURSOR];
    struct pst_err err = {0};
    (void)fill(w);
    struct pst_record_query q = world_query(w, 1);
    add_filter(w, &q, "f_order_date", PST_MATCH_AFTER, "2026-11-03");
    assert_list(w, &q, "A", true);
    pst_record_cursor_format(text, &q, &q.after);
    struct pst_record_query again = world_query(w, 5);
    add_filter(w, &again, "f_order_date", PST_MATCH_AFTER, "2026-11-03");
    assert_ok(pst_record_cursor_parse(&again, pst_str_from(text), &err));
    assert_list(w, &again, "B C", false);
    struct pst_record_query other = world_query(w, 5);
    add_filter(w, &other, "f_order_date", PST_MATCH_AFTER, "2026-11-02");
    assert_code(pst_record_cursor_parse(&other, pst_str_from(text), &err), PST_E_INVALID);
    assert_string_equal(err.param, "cursor");
    other = again;
    other.deleted = PST_DELETED_INCLUDE;
    assert_code(pst_record_cursor_parse(&other, pst_str_from(text), &err), PST_E_INVALID);
    other = again;
    other.entity = w->suppliers;
    assert_code(pst_record_cursor_parse(&other, pst_str_from(text), &err), PST_E_INVALID);
}

static void broken_cursors_are_refused(void **state)
{
    struct world *w = *state;
    static const char *const cases[] = {
        "",
        "x",
        "0000000000000000000000000000000000000000000000000",
        "000000000000000000000000000000000000000000000000",
        "00000000000000000000000000000001000000000000000g",
        "0000000000000000000000000000000100000000000000000",
        "00000000000000000000000000000001000000000000000000",
        "000000000000000000000000000000010000000000000000"
        "303030303030303030303030303030303030",
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err = {0};
        struct pst_record_query q = world_query(w, 1);
        assert_code(pst_record_cursor_parse(&q, pst_str_from(cases[i]), &err), PST_E_INVALID);
        assert_int_equal(q.after.first_seq, 0);
    }
}

/* Round trip at the ends of the range and in between, and no bit of the text may change. */
static void every_bit_of_a_cursor_counts(void **state)
{
    struct world *w = *state;
    static const int64_t nums[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1795478400000000};
    uint64_t seed = 88172645463325252U;
    for (int i = 0; i < 400; i++) {
        struct pst_err err;
        struct pst_record_query q = world_query(w, 1);
        struct pst_record_position p = {.num = nums[i % 6]};
        char text[PST_RECORD_CURSOR];
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        p.first_seq = i == 0 ? INT64_MAX : 1 + (int64_t)(seed >> (1 + i % 62));
        pst_record_cursor_format(text, &q, &p);
        assert_ok(pst_record_cursor_parse(&q, pst_str_from(text), &err));
        assert_int_equal(q.after.first_seq, p.first_seq);
        assert_int_equal(q.after.num, p.num);
        for (size_t bit = 0; bit < 8 * strlen(text); bit++) {
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
            if (pst_record_cursor_parse(&q, (pst_str){text, strlen(text)}, &err) == PST_OK)
                fail_msg("%s passes for a cursor", text);
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        }
    }
}

/* ---- the planner ---- */

static void explain(struct world *w, const struct pst_record_query *q, char *out, size_t size)
{
    struct pst_err err;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_AUTO(buf) struct pst_buf sql = {0};
    bool row = false;
    pst_buf_init(&sql, 20000);
    pst_buf_add_lit(&sql, "EXPLAIN QUERY PLAN ");
    pst_records_list_sql(&sql, q);
    assert_ok(pst_buf_check(&sql, &err));
    assert_ok(pst_db_stmt(w->reader, pst_buf_str(&sql), &st, &err));
    size_t len = 0;
    assert_ok(pst_stmt_step(st, &row, &err));
    while (row) {
        pst_str line = pst_stmt_str(st, 3);
        len +=
            (size_t)snprintf(out + len, size - len, "%s%.*s", len ? "; " : "", PST_STR_ARG(line));
        assert_true(len < size);
        assert_ok(pst_stmt_step(st, &row, &err));
    }
}

static void assert_plan(struct world *w, const struct pst_record_query *q, const char *entity,
                        const char *index, const char *terms)
{
    char plan[512];
    char expected[512];
    explain(w, q, plan, sizeof(plan));
    (void)snprintf(expected, sizeof(expected), "SEARCH rec_%s USING INDEX rec_%s_%s (%s)", entity,
                   entity, index, terms);
    assert_string_equal(plan, expected); /* and no "USE TEMP B-TREE" behind it */
}

/* The places of a range come from its index alone, and are sorted. */
static void assert_places(struct world *w, const struct pst_record_query *q, const char *entity,
                          const char *index, const char *terms)
{
    char plan[512];
    char expected[512];
    explain(w, q, plan, sizeof(plan));
    (void)snprintf(
        expected, sizeof(expected),
        "SEARCH rec_%s USING COVERING INDEX rec_%s_%s (%s); USE TEMP B-TREE FOR ORDER BY", entity,
        entity, index, terms);
    assert_string_equal(plan, expected);
}

static void every_filter_of_every_entity_is_in_its_index(void **state)
{
    struct world *w = *state;
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < entities[i].filter_count; k++) {
            const struct pst_filter *f = &entities[i].filters[k];
            char terms[128];
            struct pst_record_query q = world_query(w, 10);
            q.entity = &entities[i];
            q.filters[0].filter = f;
            q.filters[0].value =
                (struct pst_filter_value){.kind = PST_FILTER_TEXT, .text = PST_STR("x")};
            q.filter_count = 1;
            (void)snprintf(terms, sizeof(terms), "conn=? AND %s=? AND first_seq>?", f->column);
            assert_plan(w, &q, entities[i].name, f->column, terms);
            if (f->field->type != PST_TYPE_DATE && f->field->type != PST_TYPE_DATETIME)
                continue;
            q.filters[0].match = PST_MATCH_AFTER;
            (void)snprintf(terms, sizeof(terms), "conn=? AND %s>?", f->column);
            assert_places(w, &q, entities[i].name, f->column, terms);
            q.filters[0].match = PST_MATCH_BEFORE;
            (void)snprintf(terms, sizeof(terms), "conn=? AND %s<?", f->column);
            assert_places(w, &q, entities[i].name, f->column, terms);
        }
    }
}

static void the_common_orders_are_indexes(void **state)
{
    struct world *w = *state;
    struct pst_record_query q = world_query(w, 10);
    assert_plan(w, &q, "purchase_orders", "first", "conn=? AND first_seq>?");
    q.updated_after = at(1);
    assert_places(w, &q, "purchase_orders", "updated", "conn=? AND updated_at>?");
    q.updated_after = PST_WALL_NONE;
    q.sort = PST_SORT_UPDATED;
    assert_plan(w, &q, "purchase_orders", "updated", "conn=?");
    q.updated_after = at(1);
    q.updated_before = at(2);
    assert_plan(w, &q, "purchase_orders", "updated", "conn=? AND updated_at>? AND updated_at<?");
    q.after.first_seq = 1;
    assert_plan(w, &q, "purchase_orders", "updated",
                "conn=? AND (updated_at,first_seq)>(?,?) AND updated_at<?");
    q.sort = PST_SORT_UPDATED_DESC;
    assert_plan(w, &q, "purchase_orders", "updated",
                "conn=? AND updated_at>? AND (updated_at,first_seq)<(?,?)");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(pages_follow_first_appearance),
        CASE(pages_follow_updated_at_both_ways),
        CASE(a_reader_that_has_enough_ends_the_list),
        CASE(a_full_page_ends_before_the_record_that_did_not_fit),
        CASE(a_limit_outside_1_to_500_is_refused),
        CASE(equal_stamps_are_neither_lost_nor_doubled_at_a_page_end),
        CASE(rows_that_change_during_a_walk_keep_their_place),
        CASE(filters_are_met),
        CASE(filters_join_and_pages_of_a_range_go_on),
        CASE(times_filter_from_inclusive_to_exclusive),
        CASE(deleted_records_are_shown_only_when_asked_for),
        CASE(another_connection_sees_nothing),
        CASE(a_scan_ends_at_its_budget_and_goes_on_from_there),
        CASE(a_range_is_walked_by_first_appearance_be_it_narrow_or_wide),
        CASE(what_moves_within_a_range_is_neither_missed_nor_repeated),
        CASE(filters_are_met_while_their_indexes_wait),
        CASE(a_scan_without_its_index_ends_at_the_budget),
        CASE(the_next_start_makes_the_indexes_that_wait),
        CASE(a_cursor_comes_back_and_belongs_to_its_query),
        CASE(broken_cursors_are_refused),
        CASE(every_bit_of_a_cursor_counts),
        CASE(every_filter_of_every_entity_is_in_its_index),
        CASE(the_common_orders_are_indexes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
