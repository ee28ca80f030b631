/* tests/unit/app/days_test.c: seconds of days: each under its own day, whatever the store does, and
 * the time without the program. */
#include "app/days.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/unit/test.h"

enum { DAY = 20785, DAY_S = 86400 };

struct bench {
    char dir[64], path[96];
    struct pst_db *db;
    struct pst_db_conn *reader;
    struct pst_web *web;
    struct pst_days days;
};

static pst_wall at(int64_t day, int64_t seconds)
{
    return (pst_wall){(day * DAY_S + seconds) * PST_US_PER_S};
}

static void begin(struct bench *b)
{
    static struct pst_manifest manifest = {.name = PST_STR_INIT("x"), .title = PST_STR_INIT("X")};
    static const struct pst_connector_entry entry = {.manifest = &manifest};
    static const struct pst_connectors connectors = {.items = &entry, .count = 1};
    struct pst_err err;
    *b = (struct bench){0};
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/pst-days-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->path, sizeof(b->path), "%s/s.db", b->dir);
    const struct pst_db_options options = {.path = b->path, .create = true};
    assert_ok(pst_store_open(&b->db, &options, &err));
    assert_ok(pst_db_reader_new(b->db, &b->reader, &err));
    assert_ok(pst_web_new(&b->web, &connectors, &err));
}

static void end(struct bench *b)
{
    char path[160];
    pst_web_free(b->web);
    pst_db_reader_free(b->reader);
    pst_db_close(b->db);
    static const char *const files[] = {"s.db", "s.db-wal", "s.db-shm", "s.db.lock"};
    for (size_t i = 0; i < PST_COUNT(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", b->dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(b->dir);
}

static void store(struct bench *b)
{
    struct pst_err err;
    assert_ok(pst_db_write_direct(b->db, pst_days_write, &b->days, &err));
    pst_days_stored(&b->days);
}

/* Of a component: each day's watched, degraded and down seconds. */
static void assert_days(struct bench *b, const char *component, const char *wanted)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_status_day *list = NULL;
    struct pst_err err;
    char text[400] = "";
    size_t count = 0;
    size_t len = 0;
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    assert_ok(pst_status_days_list(b->reader, DAY - 400, 1000, arena, &list, &count, &err));
    for (size_t i = 0; i < count; i++) {
        if (pst_str_is(list[i].component, component))
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%+d:%lld/%lld/%lld",
                                    len ? " " : "", (int)(list[i].day - DAY),
                                    (long long)list[i].watched_s, (long long)list[i].degraded_s,
                                    (long long)list[i].down_s);
    }
    assert_string_equal(text, wanted);
}

static void what_the_store_does_not_take_stays_with_its_day(void **state)
{
    (void)state;
    static struct bench b;
    struct pst_err err;
    begin(&b);
    pst_days_begin(&b.days, b.web, PST_WALL_NONE, at(DAY, 100));
    pst_days_count(&b.days, at(DAY, 160), 60);
    /* It fails over midnight: the API reads, all else is down. */
    assert_ok(pst_web_refresh(b.web, b.reader, true, at(DAY, 160), &err));
    pst_days_count(&b.days, at(DAY, DAY_S - 1), 7);
    pst_days_count(&b.days, at(DAY + 1, 2), 3);
    pst_days_count(&b.days, at(DAY + 1, 60), 58);
    assert_days(&b, "api", "");
    store(&b);
    assert_days(&b, "api", "+0:67/7/0 +1:61/61/0");
    assert_days(&b, "sync", "+0:67/0/7 +1:61/0/61");
    assert_days(&b, "connector:x", "+0:67/0/0 +1:61/0/0");
    /* Once. */
    store(&b);
    assert_days(&b, "api", "+0:67/7/0 +1:61/61/0");
    end(&b);
}

static void of_many_days_that_wait_the_oldest_goes(void **state)
{
    (void)state;
    static struct bench b;
    begin(&b);
    pst_days_begin(&b.days, b.web, PST_WALL_NONE, at(DAY, 0));
    for (int i = 0; i <= PST_DAYS_WAITING; i++)
        pst_days_count(&b.days, at(DAY + i, 0), i + 1);
    store(&b);
    assert_days(&b, "api",
                "+1:2/0/0 +2:3/0/0 +3:4/0/0 +4:5/0/0 +5:6/0/0 +6:7/0/0 +7:8/0/0 +8:9/0/0");
    end(&b);
}

static void the_time_without_the_program_is_down(void **state)
{
    (void)state;
    static struct bench b;
    struct pst_err err;
    pst_wall seen = PST_WALL_NONE;
    begin(&b);
    pst_days_begin(&b.days, b.web, PST_WALL_NONE, at(DAY, 0));
    store(&b); /* the first start of all */
    assert_days(&b, "api", "");
    pst_days_count(&b.days, at(DAY, 50), 50);
    store(&b);
    assert_ok(pst_status_seen_get(b.reader, &seen, &err));
    assert_int_equal(seen.us, at(DAY, 50).us);
    /* Off for two nights; what is not stored at once is not lost. */
    pst_days_begin(&b.days, b.web, seen, at(DAY + 2, 10));
    pst_days_count(&b.days, at(DAY + 2, 30), 20);
    store(&b);
    for (int i = 0; i < 3; i++) {
        static const char *const ours[] = {"api", "sync", "webhooks"};
        assert_days(&b, ours[i], "+0:86400/0/86350 +1:86400/0/86400 +2:30/0/10");
    }
    assert_days(&b, "connector:x", "+0:50/0/0 +2:20/0/0"); /* nobody looked */
    store(&b);
    assert_days(&b, "api", "+0:86400/0/86350 +1:86400/0/86400 +2:30/0/10");
    end(&b);
}

static void a_clock_that_was_put_back_and_a_long_absence_are_bounded(void **state)
{
    (void)state;
    static struct bench b;
    struct pst_err err;
    begin(&b);
    pst_days_begin(&b.days, b.web, at(DAY, 10), at(DAY, 9));
    store(&b);
    assert_days(&b, "api", "");
    pst_days_begin(&b.days, b.web, at(DAY - 300, 0), at(DAY, 0));
    store(&b);
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_status_day *list = NULL;
    size_t count = 0;
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    assert_ok(pst_status_days_list(b.reader, 0, 1000, arena, &list, &count, &err));
    assert_int_equal(count, 3 * PST_WEB_DAYS);
    assert_int_equal(list[0].day, DAY - PST_WEB_DAYS);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_store_does_not_take_stays_with_its_day),
        cmocka_unit_test(of_many_days_that_wait_the_oldest_goes),
        cmocka_unit_test(the_time_without_the_program_is_down),
        cmocka_unit_test(a_clock_that_was_put_back_and_a_long_absence_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
