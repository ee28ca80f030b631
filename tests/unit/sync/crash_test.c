/* A process that dies in the middle of a run, at every call and every commit of it: the next one
 * takes the run up, nothing is lost, nothing is told twice, nothing is deleted too early. */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sync/toy.h"

enum { DIED = 9, ROWS = 300, GONE = 30 };

static struct toy_world world;
static unsigned die_at;
static unsigned commits;

static void die_at_call(struct toy_world *w, unsigned call)
{
    (void)w;
    if (call == die_at)
        _exit(DIED);
}

/* On the writer's thread, when the commit is durable and nobody knows yet. */
static void die_at_commit(struct toy_world *w)
{
    (void)w;
    if (commits++ == die_at)
        _exit(DIED);
}

/* Work in a process of its own; whether it lived to the end. */
static bool work_apart(struct toy_world *w, bool by_commit)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        toy_world_open(w);
        w->toy.calls = 0;
        commits = 0;
        if (by_commit)
            w->on_commit = die_at_commit;
        else
            w->toy.hook = die_at_call;
        toy_work(w);
        w->on_commit = NULL;
        toy_world_close(w);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DIED);
    return WEXITSTATUS(status) == 0;
}

static void change_the_source(struct toy_world *w)
{
    for (unsigned i = 0; i < GONE; i++)
        w->toy.rows[TOY_SUPPLIERS][7 * i].exists = false;
    for (unsigned i = 0; i < 40; i++)
        toy_put(w, TOY_SUPPLIERS, 7 * i + 1, "Changed", w->toy.now_s - 5);
    for (unsigned i = 0; i < 20; i++)
        toy_put(w, TOY_SUPPLIERS, 400 + i, "New", w->toy.now_s - 5);
}

/* *lived: the process outlived its run, so there is no later point to die at. */
static void die_once(unsigned at, bool by_commit, enum pst_sync_mode mode, bool *lived)
{
    struct toy_world *w = &world;
    toy_world_make(w);
    toy_world_open(w);
    toy_fill(w, TOY_SUPPLIERS, ROWS, w->toy.now_s - 1000);
    w->toy.page_docs = 50;
    (void)toy_sync(w, PST_SYNC_FULL, 1U << TOY_SUPPLIERS);
    change_the_source(w);
    int64_t pk = toy_queue(w, mode, 1U << TOY_SUPPLIERS);
    toy_world_close(w);

    die_at = at;
    *lived = work_apart(w, by_commit);

    toy_world_open(w);
    struct pst_sync s = toy_get(w, pk);
    int64_t deleted =
        toy_number(w, "SELECT count(*) FROM rec_suppliers WHERE deleted_at IS NOT NULL");
    if (s.status != PST_SYNC_COMPLETED && s.streams[0].phase == PST_PHASE_READ)
        assert_int_equal(deleted, 0);
    w->toy.calls = 0;
    toy_work(w);
    s = toy_get(w, pk);
    assert_int_equal(s.status, PST_SYNC_COMPLETED);
    toy_check_feed(w);
    if (mode == PST_SYNC_FULL) {
        toy_check_equal(w, TOY_SUPPLIERS);
        assert_int_equal(s.counts.deleted, GONE);
        /* No page is counted or written twice. */
        assert_int_equal(s.counts.read, ROWS - GONE - 1 + 20 + 1);
    }
    assert_int_equal(s.counts.created, 20);
    assert_int_equal(toy_number(w, "SELECT max(seq) FROM change"),
                     ROWS + s.counts.created + s.counts.updated + s.counts.deleted);
    toy_world_close(w);
    toy_world_remove(w);
}

static void die_everywhere(bool by_commit, enum pst_sync_mode mode, unsigned least)
{
    bool lived = false;
    unsigned at = 0;
    for (; !lived; at++) {
        die_once(at, by_commit, mode, &lived);
        assert_true(at < 100);
    }
    if (at < least)
        fail_msg("only %u points to die at", at);
}

static void a_full_sync_survives_death_at_every_call(void **state)
{
    (void)state;
    die_everywhere(false, PST_SYNC_FULL, 8);
}

static void a_full_sync_survives_death_at_every_commit(void **state)
{
    (void)state;
    die_everywhere(true, PST_SYNC_FULL, 10);
}

static void an_incremental_sync_survives_death_at_every_commit(void **state)
{
    (void)state;
    die_everywhere(true, PST_SYNC_INCREMENTAL, 5);
}

/* A row without a key at the end of a page hides a record that is there: whoever goes on behind
 * that page must not take it for missing. */
static void a_row_without_a_key_at_a_pages_end_deletes_nothing_after_a_death(void **state)
{
    bool lived = false;
    (void)state;
    for (unsigned at = 0; !lived; at++) {
        struct toy_world *w = &world;
        toy_world_make(w);
        toy_world_open(w);
        toy_fill(w, TOY_SUPPLIERS, ROWS, w->toy.now_s - 1000);
        w->toy.page_docs = 50;
        (void)toy_sync(w, PST_SYNC_FULL, 1U << TOY_SUPPLIERS);
        w->toy.rows[TOY_SUPPLIERS][49].has_fault = true;
        int64_t pk = toy_queue(w, PST_SYNC_FULL, 1U << TOY_SUPPLIERS);
        toy_world_close(w);
        die_at = at;
        lived = work_apart(w, false);
        toy_world_open(w);
        w->toy.calls = 0;
        toy_work(w);
        assert_int_equal(toy_get(w, pk).status, PST_SYNC_COMPLETED);
        assert_int_equal(
            toy_number(w, "SELECT count(*) FROM rec_suppliers WHERE deleted_at IS NOT NULL"), 0);
        toy_world_close(w);
        toy_world_remove(w);
        assert_true(at < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_sync_survives_death_at_every_call),
        cmocka_unit_test(a_full_sync_survives_death_at_every_commit),
        cmocka_unit_test(an_incremental_sync_survives_death_at_every_commit),
        cmocka_unit_test(a_row_without_a_key_at_a_pages_end_deletes_nothing_after_a_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
