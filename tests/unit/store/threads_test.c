/* tests/unit/store/threads_test.c: one writer thread, workers that commit pages through it, and
 * followers with readers of their own: the feed has no gap, lists lose nothing, a backup in the
 * middle of it is whole. Meant for the thread sanitizer too. */
#include <stdatomic.h>

#include "os/thread.h"
#include "tests/unit/store/world.h"

enum { WORKERS = 2, FOLLOWERS = 2, PAGES = 60, PER_PAGE = 5, RECORDS = WORKERS * PAGES * PER_PAGE };

struct shared {
    struct world *w;
    atomic_int workers_left;
};

struct worker {
    struct shared *shared;
    struct pst_thread *thread;
    int number;
    int64_t sync_pk, stream_pk;
    pst_code code;
};

struct follower {
    struct shared *shared;
    struct pst_thread *thread;
    int64_t last;
    int gaps, lists;
    pst_code code;
};

static pst_code commit_page(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    return pst_records_commit_page(conn, arg, err);
}

static pst_code write_page(struct worker *k, int page_number, struct pst_err *err)
{
    struct world *w = k->shared->w;
    struct pst_record_write writes[PER_PAGE];
    struct pst_mapped mapped = {.data = PST_STR("{\"a\":1}"), .created = PST_WALL_NONE};
    char keys[PER_PAGE][32];
    for (int i = 0; i < PER_PAGE; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "%d-%04d-%d", k->number, page_number, i);
        writes[i] = (struct pst_record_write){.op = PST_RECORD_CREATE,
                                              .sort_key = pst_str_from(keys[i]),
                                              .source_id = pst_str_from(keys[i]),
                                              .mapped = &mapped,
                                              .stamp = PST_WALL_NONE};
        pst_record_id_raw(writes[i].id, pst_id_str(&w->conn.id), PST_STR("purchase_orders"),
                          writes[i].source_id);
    }
    struct pst_page_commit page = {.entity = w->orders,
                                   .connection_pk = w->conn.pk,
                                   .sync_pk = k->sync_pk,
                                   .stream_pk = k->stream_pk,
                                   .now = at(page_number),
                                   .writes = writes,
                                   .write_count = PER_PAGE,
                                   .checkpoint = pst_str_from(keys[PER_PAGE - 1]),
                                   .counts = {.read = PER_PAGE}};
    return pst_db_write(w->db, commit_page, &page, err);
}

static void work(void *arg)
{
    struct worker *k = arg;
    struct pst_err err;
    for (int i = 0; i < PAGES && k->code == PST_OK; i++)
        k->code = write_page(k, i, &err);
    atomic_fetch_sub(&k->shared->workers_left, 1);
}

static pst_code take_change(void *self, const struct pst_change_row *row, struct pst_err *err)
{
    struct follower *f = self;
    (void)err;
    f->gaps += row->seq != f->last + 1;
    f->last = row->seq;
    return PST_OK;
}

static pst_code ignore_row(void *self, const struct pst_record_row *row, struct pst_err *err)
{
    (void)self;
    (void)row;
    (void)err;
    return PST_OK;
}

static void follow(void *arg)
{
    struct follower *f = arg;
    struct world *w = f->shared->w;
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    struct pst_err err;
    f->code = pst_db_reader_new(w->db, &reader, &err);
    bool done = false;
    while (f->code == PST_OK) {
        done = atomic_load(&f->shared->workers_left) == 0;
        int64_t scanned = 0;
        int64_t newest = 0;
        bool more = false;
        struct pst_record_query q = world_query(w, 50);
        f->code = pst_changes_list(reader, w->conn.pk, f->last, 0, 7, take_change, f, &scanned,
                                   &newest, &err);
        if (f->code == PST_OK)
            f->code = pst_records_list(reader, &q, ignore_row, NULL, &q.after, &more, &err);
        f->lists++;
        if (done && f->last == newest)
            return;
    }
}

static void run_writer(void *arg)
{
    pst_db_writer_run(arg);
}

static void followers_see_every_commit_in_order_while_it_happens(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct shared shared = {.w = w};
    struct worker workers[WORKERS] = {0};
    struct follower followers[FOLLOWERS] = {0};
    struct pst_thread *writer = NULL;
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    char backup[128];
    struct pst_backup_info info;
    (void)snprintf(backup, sizeof(backup), "%s/backup.db", w->dir);
    atomic_store(&shared.workers_left, WORKERS);
    assert_ok(pst_thread_start(&writer, "writer", run_writer, w->db, &err));
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){
            .shared = &shared, .number = i, .sync_pk = r.sync_pk, .stream_pk = r.orders_pk};
        assert_ok(pst_thread_start(&workers[i].thread, "worker", work, &workers[i], &err));
    }
    for (int i = 0; i < FOLLOWERS; i++) {
        followers[i] = (struct follower){.shared = &shared};
        assert_ok(pst_thread_start(&followers[i].thread, "follower", follow, &followers[i], &err));
    }
    assert_ok(pst_store_backup(w->db, backup, &info, &err));
    for (int i = 0; i < WORKERS; i++)
        pst_thread_join(workers[i].thread);
    for (int i = 0; i < FOLLOWERS; i++)
        pst_thread_join(followers[i].thread);
    pst_db_writer_stop(w->db);
    pst_thread_join(writer);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(workers[i].code, PST_OK);
    for (int i = 0; i < FOLLOWERS; i++) {
        assert_int_equal(followers[i].code, PST_OK);
        assert_int_equal(followers[i].gaps, 0);
        assert_int_equal(followers[i].last, RECORDS);
    }
    int64_t live = 0;
    assert_ok(pst_records_count(w->reader, w->orders, w->conn.pk, &live, &err));
    assert_int_equal(live, RECORDS);
    assert_ok(pst_store_verify(backup, &info, &err));
    assert_int_equal(info.records % PER_PAGE, 0); /* whole pages only */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(followers_see_every_commit_in_order_while_it_happens,
                                        world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
