/* tests/unit/app/journal_test.c: the log between threads and store: sampling, room, look-ups, a
 * store that takes nothing for a while. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/journal.h"
#include "os/clock.h"
#include "os/rand.h"
#include "os/thread.h"
#include "store/store.h"
#include "tests/unit/test.h"

struct bench {
    char dir[64], path[96];
    struct pst_db *db;
    struct pst_journal *journal;
    struct pst_thread *writer;
};

static void run_writer(void *arg)
{
    struct bench *b = arg;
    pst_db_writer_run(b->db);
}

static void begin(struct bench *b, enum pst_journal_mode mode)
{
    struct pst_err err;
    *b = (struct bench){0};
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/pst-journal-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->path, sizeof(b->path), "%s/s.db", b->dir);
    const struct pst_db_options options = {.path = b->path, .create = true};
    assert_ok(pst_store_open(&b->db, &options, &err));
    const struct pst_journal_options journal = {.db = b->db, .loops = 2, .mode = mode};
    assert_ok(pst_journal_new(&b->journal, &journal, &err));
    assert_ok(pst_thread_start(&b->writer, "writer", run_writer, b, &err));
}

static void end(struct bench *b)
{
    char command[128];
    pst_db_writer_stop(b->db);
    pst_thread_join(b->writer);
    pst_journal_free(b->journal);
    pst_db_close(b->db);
    (void)snprintf(command, sizeof(command), "%s", b->dir);
    char path[160];
    static const char *const files[] = {"s.db", "s.db-wal", "s.db-shm", "s.db.lock"};
    for (size_t i = 0; i < PST_COUNT(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", b->dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(command);
}

static struct pst_id put_row(struct bench *b, unsigned loop, bool is_routine,
                             struct pst_request_row row)
{
    struct pst_id id = pst_rand_id("req_");
    assert_true(pst_id_parse(row.id, "req_", pst_id_str(&id)));
    pst_journal_request(b->journal, loop, is_routine, &row);
    return id;
}

static struct pst_id put(struct bench *b, unsigned loop, int status, bool is_routine,
                         int64_t duration_us)
{
    return put_row(
        b, loop, is_routine,
        (struct pst_request_row){
            .status = status, .duration_us = duration_us, .at = {1000000}, .actor = {"key_1"}});
}

static bool is_there(struct bench *b, const struct pst_id *id)
{
    struct pst_request_row row;
    return pst_journal_find(b->journal, pst_id_str(id), &row);
}

static bool is_stored(struct bench *b, const struct pst_id *id)
{
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    struct pst_request_row row;
    struct pst_err err;
    assert_ok(pst_db_reader_new(b->db, &reader, &err));
    return pst_requests_get(reader, 0, pst_id_str(id), &row, &err) == PST_OK;
}

static void what_is_logged_is_found_before_and_after_it_is_stored(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, PST_JOURNAL_ALL);
    struct pst_id first = put(&b, 0, 200, true, 1);
    struct pst_id second = put(&b, 1, 500, false, 1);
    assert_true(is_there(&b, &first) && is_there(&b, &second));
    assert_false(is_stored(&b, &first));
    pst_journal_flush(b.journal, NULL, NULL);
    assert_false(is_there(&b, &first));
    assert_true(is_stored(&b, &first) && is_stored(&b, &second));
    struct pst_request_row row;
    assert_false(pst_journal_find(b.journal, PST_STR("nothing"), &row));
    pst_journal_flush(b.journal, NULL, NULL);
    end(&b);
}

static void only_so_many_routine_ones_of_a_second_are_kept(void **state)
{
    (void)state;
    static const struct {
        enum pst_journal_mode mode;
        uint64_t logged;
    } CASES[] = {{PST_JOURNAL_ALL, 43}, {PST_JOURNAL_ERRORS, 1}, {PST_JOURNAL_SAMPLE, 5 + 3}};
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct bench b;
        struct pst_api_journal_stats stats;
        begin(&b, CASES[i].mode);
        for (int k = 0; k < 40; k++)
            (void)put(&b, 0, 200, true, 1);
        (void)put(&b, 0, 200, false, 1); /* changes something */
        (void)put(&b, 0, 404, true, 1);
        (void)put(&b, 0, 200, true, 1000000); /* took long */
        pst_journal_stats(b.journal, &stats);
        assert_int_equal(stats.logged, CASES[i].logged);
        assert_int_equal(stats.logged + stats.unlogged, 43);
        assert_int_equal(stats.dropped, 0);
        end(&b);
    }
}

static void strangers_push_nothing_out(void **state)
{
    (void)state;
    static const enum pst_journal_mode MODES[] = {PST_JOURNAL_ALL, PST_JOURNAL_ERRORS,
                                                  PST_JOURNAL_SAMPLE};
    for (size_t i = 0; i < PST_COUNT(MODES); i++) {
        struct bench b;
        struct pst_api_journal_stats stats;
        struct pst_request_row row = {.status = 401, .duration_us = 5000000};
        begin(&b, MODES[i]);
        struct pst_id honest = put(&b, 0, 404, true, 1);
        for (int k = 0; k < 3000; k++) {
            row.at.us = (k % 2 ? 9 : 8) * PST_US_PER_S; /* they end by turns */
            (void)put_row(&b, 0, false, row);
        }
        assert_true(is_there(&b, &honest));
        pst_journal_stats(b.journal, &stats);
        assert_int_equal(stats.logged, 1 + 5 + 1); /* the first one came in a second before */
        assert_int_equal(stats.unlogged, 3000 - 5 - 1);
        assert_int_equal(stats.dropped, 0);
        /* Nor do they take the place of somebody's errors, and after them there are new ones. */
        struct pst_id later = put(&b, 0, 404, true, 1);
        row.at.us = 10 * PST_US_PER_S;
        struct pst_id next = put_row(&b, 0, false, row);
        row.at.us = -60 * PST_US_PER_S; /* the clock was put back */
        struct pst_id back = put_row(&b, 0, false, row);
        assert_true(is_there(&b, &later) && is_there(&b, &next) && is_there(&b, &back));
        end(&b);
    }
}

static void without_room_the_oldest_goes_and_is_counted(void **state)
{
    (void)state;
    struct bench b;
    struct pst_api_journal_stats stats;
    begin(&b, PST_JOURNAL_ALL);
    struct pst_id oldest = put(&b, 0, 200, true, 1);
    struct pst_id next = put(&b, 0, 200, true, 1);
    struct pst_id last = {0};
    for (int i = 0; i < 2047; i++)
        last = put(&b, 0, 200, true, 1);
    assert_false(is_there(&b, &oldest));
    assert_true(is_there(&b, &next) && is_there(&b, &last));
    pst_journal_stats(b.journal, &stats);
    assert_int_equal(stats.dropped, 1);
    pst_journal_flush(b.journal, NULL, NULL); /* its beginning lies in the middle */
    assert_true(is_stored(&b, &next) && is_stored(&b, &last) && !is_stored(&b, &oldest));
    end(&b);
}

struct seen {
    int count;
    char numbers[16]; /* of the calls, in order; 0 = denied */
};

static void see(void *self, const struct pst_call_row *call)
{
    struct seen *s = self;
    s->count += call->class == PST_CALL_UNREACHABLE;
    size_t len = strlen(s->numbers);
    if (len + 1 < sizeof(s->numbers))
        s->numbers[len] = (char)('0' + call->number);
    assert_string_equal(call->origin, "https://ps:443");
    assert_string_equal(call->connection_id.text, "conn_01m85gjr84fn2tvxyf0ejj4x3j");
}

static void contact(struct bench *b, const struct pst_id *request_id)
{
    const struct pst_err why = {.code = PST_E_UNREACHABLE, .msg = "no such host"};
    const struct pst_http_request request = {.url = PST_STR("https://ps/x")};
    const struct pst_http_response response = {.fault = PST_FAULT_DNS, .timing = {.total_us = 9}};
    const uint8_t span[PST_SPAN_ID] = {5};
    const struct pst_contact c = {
        .connection_id = PST_STR("conn_01m85gjr84fn2tvxyf0ejj4x3j"),
        .request_id = pst_id_str(request_id),
        .origin = "https://ps:443",
        .request = &request,
        .response = &response,
        .code = PST_E_UNREACHABLE,
        .klass = PST_CONTACT_UNREACHABLE,
        .err = &why,
        .number = 1,
        .path = "/x",
        .span_id = span,
    };
    pst_journal_contact(b->journal, &c);
}

static void a_call_is_told_once_and_found_by_what_caused_it(void **state)
{
    (void)state;
    struct bench b;
    struct pst_call_row rows[4];
    struct seen s = {0};
    struct pst_id id = pst_rand_id("req_");
    begin(&b, PST_JOURNAL_ALL);
    contact(&b, &id);
    assert_int_equal(pst_journal_calls(b.journal, pst_id_str(&id), rows, 4), 1);
    assert_string_equal(rows[0].cause, "dns");
    assert_string_equal(rows[0].fault, "dns");
    assert_string_equal(rows[0].code, "SYSTEM_UNREACHABLE");
    assert_string_equal(rows[0].error, "no such host");
    assert_string_equal(rows[0].method, "GET");
    assert_int_equal(rows[0].total_us, 9);
    assert_int_equal(
        pst_journal_calls(b.journal, PST_STR("conn_01m85gjr84fn2tvxyf0ejj4x3j"), rows, 4), 1);
    assert_int_equal(pst_journal_calls(b.journal, PST_STR("req_x"), rows, 4), 0);
    pst_journal_flush(b.journal, see, &s);
    pst_journal_flush(b.journal, see, &s);
    assert_int_equal(s.count, 1);
    end(&b);
}

/* What comes next has another time than what came before. */
static void clock_moves_on(void)
{
    pst_wall from = pst_wall_now();
    while (pst_wall_now().us <= from.us)
        continue;
}

static void a_denied_call_is_told_in_order_and_not_stored(void **state)
{
    (void)state;
    struct bench b;
    struct pst_call_row rows[4];
    struct seen s = {0};
    struct pst_id id = pst_rand_id("req_");
    const struct pst_contact denied = {.connection_id = PST_STR("conn_01m85gjr84fn2tvxyf0ejj4x3j"),
                                       .request_id = pst_id_str(&id),
                                       .origin = "https://ps:443",
                                       .code = PST_E_AWAY};
    begin(&b, PST_JOURNAL_ALL);
    for (int i = 0; i < 2; i++) {
        pst_journal_denied(b.journal, &denied);
        clock_moves_on();
        contact(&b, &id);
        clock_moves_on();
    }
    pst_journal_denied(b.journal, &denied);
    assert_int_equal(pst_journal_calls(b.journal, pst_id_str(&id), rows, 4), 2);
    pst_journal_flush(b.journal, see, &s);
    assert_string_equal(s.numbers, "01010");
    assert_int_equal(s.count, 5);
    pst_journal_flush(b.journal, see, &s);
    assert_int_equal(s.count, 5);
    for (int i = 0; i < 16384 + 1; i++)
        pst_journal_denied(b.journal, &denied);
    pst_journal_flush(b.journal, see, &s);
    assert_int_equal(s.count, 5 + 16384);
    end(&b);
}

static void what_the_store_does_not_take_waits(void **state)
{
    (void)state;
    struct bench b;
    struct seen s = {0};
    begin(&b, PST_JOURNAL_ALL);
    pst_db_writer_stop(b.db); /* from now on it takes nothing */
    pst_thread_join(b.writer);
    b.writer = NULL;
    struct pst_id before = put(&b, 0, 503, false, 1);
    const struct pst_contact denied = {.connection_id = PST_STR("conn_01m85gjr84fn2tvxyf0ejj4x3j"),
                                       .origin = "https://ps:443"};
    contact(&b, &before);
    pst_journal_flush(b.journal, see, &s);
    pst_journal_denied(b.journal, &denied); /* told, although the call is still to be stored */
    struct pst_id later = put(&b, 0, 503, false, 1);
    pst_journal_flush(b.journal, see, &s);
    assert_string_equal(s.numbers, "10");
    assert_true(is_there(&b, &before) && is_there(&b, &later));
    struct pst_call_row rows[2];
    assert_int_equal(pst_journal_calls(b.journal, pst_id_str(&before), rows, 2), 1);
    end(&b);
}

static void a_failing_allocation_leaves_nothing_behind(void **state)
{
    (void)state;
    struct pst_err err;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_journal *j = NULL;
        const struct pst_journal_options options = {.loops = 2};
        if (pst_journal_new(&j, &options, &err) == PST_OK)
            pst_journal_free(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_logged_is_found_before_and_after_it_is_stored),
        cmocka_unit_test(only_so_many_routine_ones_of_a_second_are_kept),
        cmocka_unit_test(strangers_push_nothing_out),
        cmocka_unit_test(without_room_the_oldest_goes_and_is_counted),
        cmocka_unit_test(a_call_is_told_once_and_found_by_what_caused_it),
        cmocka_unit_test(a_denied_call_is_told_in_order_and_not_stored),
        cmocka_unit_test(what_the_store_does_not_take_waits),
        cmocka_unit_test(a_failing_allocation_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
