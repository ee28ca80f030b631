/* bench/floor.c: the floor of the store: the same rows into the same tables by SQLite alone.
 *
 *   floor_bench STORE COPY RECORDS_PER_COMMIT
 *
 * Reads the purchase orders and the changes of a finished store and writes them to a new file with
 * the same tables and indexes, by prepared upserts, as many to a commit as a page of the sync has,
 * with the same journal, cache, checkpoints and synchronous=FULL. Reading is not measured. Prints
 * seconds, CPU seconds of the writing thread and bytes as one JSON object.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "os/clock.h"

enum { COLUMNS_MAX = 64, BATCH_MAX = 5000, SQL_BYTES = 8192 };

struct table {
    const char *name, *conflict; /* columns of the upsert's key */
    sqlite3_stmt *read, *write;
    int columns;
    sqlite3_value *rows[BATCH_MAX][COLUMNS_MAX];
    int count;
};

static sqlite3 *from, *to;

static void check(sqlite3 *db, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return;
    (void)fprintf(stderr, "floor_bench: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void run(const char *sql)
{
    check(to, sqlite3_exec(to, sql, NULL, NULL, NULL));
}

static int make(void *self, int count, char **values, char **names)
{
    (void)self;
    (void)count;
    (void)names;
    run(values[0]);
    return 0;
}

/* INSERT with one placeholder a column, and the same columns as an update. */
static void prepare(struct table *t)
{
    char sql[SQL_BYTES];
    char values[1024] = "";
    char sets[4096] = "";
    char names[4096] = "";
    (void)snprintf(sql, sizeof(sql), "SELECT * FROM %s", t->name);
    check(from, sqlite3_prepare_v2(from, sql, -1, &t->read, NULL));
    t->columns = sqlite3_column_count(t->read);
    for (int i = 0; i < t->columns; i++) {
        const char *name = sqlite3_column_name(t->read, i);
        size_t v = strlen(values);
        size_t s = strlen(sets);
        size_t n = strlen(names);
        (void)snprintf(values + v, sizeof(values) - v, "%s?%d", i ? "," : "", i + 1);
        (void)snprintf(sets + s, sizeof(sets) - s, "%s%s=excluded.%s", i ? "," : "", name, name);
        (void)snprintf(names + n, sizeof(names) - n, "%s%s", i ? "," : "", name);
    }
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s", t->name,
                   names, values, t->conflict, sets);
    check(to, sqlite3_prepare_v2(to, sql, -1, &t->write, NULL));
}

static void load(struct table *t, int64_t limit)
{
    for (t->count = 0; t->count < limit; t->count++) {
        int rc = sqlite3_step(t->read);
        check(from, rc);
        if (rc != SQLITE_ROW)
            return;
        for (int i = 0; i < t->columns; i++)
            t->rows[t->count][i] = sqlite3_value_dup(sqlite3_column_value(t->read, i));
    }
}

static void store(struct table *t)
{
    for (int r = 0; r < t->count; r++) {
        for (int i = 0; i < t->columns; i++)
            check(to, sqlite3_bind_value(t->write, i + 1, t->rows[r][i]));
        check(to, sqlite3_step(t->write));
        check(to, sqlite3_reset(t->write));
    }
}

static void drop(struct table *t)
{
    for (int r = 0; r < t->count; r++)
        for (int i = 0; i < t->columns; i++)
            sqlite3_value_free(t->rows[r][i]);
}

static void open_files(const char *source, const char *target)
{
    check(from, sqlite3_open_v2(source, &from, SQLITE_OPEN_READONLY, NULL));
    check(to, sqlite3_open(target, &to));
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8192;"
        "PRAGMA wal_autocheckpoint=8192");
    check(from, sqlite3_exec(from,
                             "SELECT sql FROM sqlite_schema WHERE sql NOT NULL AND tbl_name IN"
                             " ('rec_purchase_orders', 'change')"
                             " ORDER BY type = 'index'",
                             make, NULL, NULL));
    run("CREATE TABLE progress (pk INTEGER PRIMARY KEY, after_key TEXT);"
        "INSERT INTO progress VALUES (1, '')");
}

int main(int argc, char **argv)
{
    static struct table records = {.name = "rec_purchase_orders", .conflict = "conn, sort_key"};
    static struct table changes = {.name = "change", .conflict = "connection_pk, seq"};
    int64_t batch = 0;
    int64_t total = 0, wall = 0, cpu = 0;
    if (argc != 4 || !pst_parse_i64(&batch, pst_str_from(argv[3]), 1, BATCH_MAX)) {
        (void)fprintf(stderr, "usage: floor_bench STORE COPY RECORDS_PER_COMMIT\n");
        return 64;
    }
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    open_files(argv[1], argv[2]);
    prepare(&records);
    prepare(&changes);
    do {
        load(&records, batch);
        load(&changes, batch);
        int64_t cpu_from = pst_cpu_thread_ns();
        int64_t from_ns = pst_mono_now().ns;
        run("BEGIN IMMEDIATE");
        store(&records);
        store(&changes);
        run("UPDATE progress SET after_key = 'US001|0000000001' WHERE pk = 1");
        run("COMMIT");
        cpu += pst_cpu_thread_ns() - cpu_from;
        wall += pst_mono_now().ns - from_ns;
        total += records.count;
        drop(&records);
        drop(&changes);
    } while (records.count == batch);
    printf("{\"records\": %" PRId64 ", \"seconds\": %.4f, \"cpu_seconds\": %.4f}\n", total,
           (double)wall / 1e9, (double)cpu / 1e9);
    (void)sqlite3_finalize(records.read);
    (void)sqlite3_finalize(records.write);
    (void)sqlite3_finalize(changes.read);
    (void)sqlite3_finalize(changes.write);
    (void)sqlite3_close(to);
    return sqlite3_close(from) == SQLITE_OK ? 0 : 1;
}
