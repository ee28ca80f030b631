/* bench/store.c: how fast the store takes pages of records, without a network or a mapping.
 *
 *   build/dev/bench/store_bench [RECORDS [BYTES [DIRECTORY]]]
 *
 * Writes RECORDS purchase orders of BYTES each (a fifth of it as source copy) in pages of 500,
 * walks their states as an unchanged re-sync does, updates every tenth, reads them all in lists
 * of 100, and prints what each took. The floor beside it is the same bytes put into a table
 * without any index by the same SQLite with the same commits.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/num.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/accounts.h"
#include "store/connections.h"
#include "store/records.h"
#include "store/store.h"
#include "store/syncs.h"

enum { PAGE = 500, LIST = 100, FILTERS = 6 };

struct bench {
    struct pst_db *db;
    struct pst_db_conn *reader;
    const struct pst_entity *entity;
    int64_t connection_pk, sync_pk, stream_pk;
    int64_t records, bytes;
    char *data; /* of one record; its head is rewritten for each */
    struct pst_record_write writes[PAGE];
    struct pst_mapped mapped[PAGE];
    char keys[PAGE][16], texts[PAGE][FILTERS][40];
    char *page_data; /* PAGE records */
    struct pst_page_commit page;
    int64_t listed;
};

static void stop(const struct pst_err *err)
{
    (void)fprintf(stderr, "store_bench: %s\n", err->msg);
    exit(1);
}

#define MUST(expr)                                                                                 \
    do {                                                                                           \
        struct pst_err err = {0};                                                                  \
        if ((expr) != PST_OK)                                                                      \
            stop(&err);                                                                            \
    } while (0)

/* ---- what is written ---- */

static pst_code set_up(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct bench *b = arg;
    uint8_t raw[PST_ID_RAW] = {1};
    bool found = false;
    struct pst_sync sync;
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_organization org = {.id = pst_id_format("org_", raw), .name = PST_STR("bench")};
    struct pst_connection c = {.id = pst_id_format("conn_", raw),
                               .name = PST_STR("bench"),
                               .connector = PST_STR("peoplesoft"),
                               .config = PST_STR("{}"),
                               .entities = PST_STR("[]"),
                               .metadata = PST_STR("{}"),
                               .mapping = PST_STR("{}")};
    PST_TRY(pst_arena_new(&arena, 1 << 20, err));
    PST_TRY(pst_organizations_create(conn, &org, err));
    c.organization_pk = org.pk;
    PST_TRY(pst_connections_create(conn, &c, PST_STR(""), err));
    b->connection_pk = c.pk;
    struct pst_sync_request request = {.id = pst_id_format("sync_", raw),
                                       .connection_pk = c.pk,
                                       .trigger = PST_SYNC_MANUAL,
                                       .mode = PST_SYNC_FULL,
                                       .entities = &b->entity,
                                       .entity_count = 1,
                                       .now = pst_wall_now()};
    PST_TRY(pst_syncs_create(conn, &request, &b->sync_pk, NULL, err));
    PST_TRY(pst_syncs_claim(conn, request.now, arena, &sync, &found, err));
    b->stream_pk = sync.streams[0].stream_pk;
    return pst_syncs_begin_stream(conn, b->sync_pk, b->stream_pk, PST_WALL_NONE, PST_WALL_NONE,
                                  request.now, request.now, err);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
    return (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
}

static void fill_record(struct bench *b, size_t at, int64_t n, int version)
{
    struct pst_record_write *w = &b->writes[at];
    struct pst_mapped *m = &b->mapped[at];
    size_t len = (size_t)b->bytes * 4 / 5;
    char *data = b->page_data + at * (size_t)b->bytes;
    uint64_t h = mix((uint64_t)n + 1);
    static const char *const statuses[] = {"approved", "draft", "closed", "dispatched"};
    (void)snprintf(b->keys[at], sizeof(b->keys[at]), "US001%010" PRId64, n);
    memcpy(data, b->data, len);
    int head = snprintf(data, len, "{\"number\":\"%010" PRId64 "\",\"version\":\"%d\",\"lines\":\"",
                        n, version);
    data[head] = 'x';
    memcpy(data + len - 2, "\"}", 2);
    (void)snprintf(b->texts[at][0], 40, "%010" PRId64, n);
    (void)snprintf(b->texts[at][1], 40, "US%03d", (int)(h % 20));
    (void)snprintf(b->texts[at][2], 40, "%s", statuses[h >> 8 & 3]);
    (void)snprintf(b->texts[at][3], 40, "rec_%026" PRIu64, mix(h % 500));
    (void)snprintf(b->texts[at][4], 40, "BUYER%02d", (int)(h >> 16 & 31));
    (void)snprintf(b->texts[at][5], 40, "2026-%02d-%02d", (int)(h >> 24 & 7) + 1,
                   (int)(h >> 32 & 15) + 1);
    *m = (struct pst_mapped){.data = {data, len}, .created = PST_WALL_NONE};
    m->hash = (pst_hash128){h, (uint64_t)version};
    for (size_t i = 0; i < FILTERS; i++)
        m->filters[i] = (struct pst_filter_value){.kind = PST_FILTER_TEXT,
                                                  .text = pst_str_from(b->texts[at][i])};
    *w = (struct pst_record_write){.op = version ? PST_RECORD_UPDATE : PST_RECORD_CREATE,
                                   .pk = n + 1,
                                   .sort_key = pst_str_from(b->keys[at]),
                                   .source_id = pst_str_from(b->keys[at]),
                                   .source_hash = {h, h},
                                   .mapped = m,
                                   .stamp = {1795478400000000 + n},
                                   .source = {b->data, (size_t)b->bytes / 5}};
    uint64_t id[2] = {mix(h), h};
    memcpy(w->id, id, sizeof(id));
}

static pst_code commit_page(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    return pst_records_commit_page(conn, arg, err);
}

static void write_records(struct bench *b, int64_t step, int version)
{
    size_t count = 0;
    for (int64_t n = 0; n < b->records; n += step) {
        fill_record(b, count++, n, version);
        if (count < PAGE && n + step < b->records)
            continue;
        b->page = (struct pst_page_commit){.entity = b->entity,
                                           .connection_pk = b->connection_pk,
                                           .sync_pk = b->sync_pk,
                                           .stream_pk = b->stream_pk,
                                           .now = pst_wall_now(),
                                           .writes = b->writes,
                                           .write_count = count,
                                           .checkpoint = PST_STR("key"),
                                           .counts = {.pages = 1}};
        MUST(pst_db_write_direct(b->db, commit_page, &b->page, &err));
        count = 0;
    }
}

/* ---- the floor: the same bytes and commits, no index, no change feed ---- */

static pst_code make_floor(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    (void)arg;
    return pst_db_exec_script(
        conn, PST_STR("CREATE TABLE floor (pk INTEGER PRIMARY KEY, data TEXT, source BLOB)"), err);
}

static pst_code write_floor(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct bench *b = arg;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(
        pst_db_stmt(conn, PST_STR("INSERT INTO floor (data, source) VALUES (?1, ?2)"), &st, err));
    for (size_t i = 0; i < PAGE; i++) {
        pst_stmt_bind_str(st, 1, b->mapped[i].data);
        pst_stmt_bind_blob(st, 2, b->data, (size_t)b->bytes / 5);
        PST_TRY(pst_stmt_run(st, NULL, err));
    }
    return PST_OK;
}

/* ---- reading ---- */

static void walk_states(struct bench *b)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    char after[16] = "";
    bool more = true;
    MUST(pst_arena_new(&arena, 16 << 20, &err));
    while (more) {
        struct pst_record_states got;
        pst_arena_reset(arena);
        MUST(pst_records_states(b->reader, b->entity, b->connection_pk, pst_str_from(after),
                                PST_STR(""), PAGE, arena, &got, &more, &err));
        if (got.count)
            (void)pst_str_copy(after, sizeof(after), got.items[got.count - 1].sort_key);
    }
}

static pst_code take_row(void *self, const struct pst_record_row *row, struct pst_err *err)
{
    (void)err;
    ((struct bench *)self)->listed += row->data.len != 0;
    return PST_OK;
}

static void list_all(struct bench *b)
{
    struct pst_record_query q = {.entity = b->entity,
                                 .connection_pk = b->connection_pk,
                                 .updated_after = PST_WALL_NONE,
                                 .updated_before = PST_WALL_NONE,
                                 .created_after = PST_WALL_NONE,
                                 .created_before = PST_WALL_NONE,
                                 .synced_after = PST_WALL_NONE,
                                 .synced_before = PST_WALL_NONE,
                                 .limit = LIST};
    bool more = true;
    while (more)
        MUST(pst_records_list(b->reader, &q, take_row, b, &q.after, &more, &err));
}

/* ---- measuring ---- */

struct clock_start {
    int64_t cpu;
    pst_mono wall;
};

static struct clock_start start_clock(void)
{
    return (struct clock_start){pst_cpu_process_ns(), pst_mono_now()};
}

static void report(const char *what, struct clock_start from, int64_t count)
{
    double s = (double)(pst_mono_now().ns - from.wall.ns) / 1e9;
    double cpu = (double)(pst_cpu_process_ns() - from.cpu) / 1e3;
    printf("%-34s %8" PRId64 " in %7.3f s  %9.0f/s  %6.1f us of CPU each\n", what, count, s,
           (double)count / s, cpu / (double)count);
}

static void run(struct bench *b)
{
    struct clock_start t = start_clock();
    write_records(b, 1, 0);
    report("create, pages of 500", t, b->records);
    t = start_clock();
    walk_states(b);
    report("walk the states (unchanged)", t, b->records);
    t = start_clock();
    write_records(b, 10, 1);
    report("update every tenth", t, (b->records + 9) / 10);
    t = start_clock();
    list_all(b);
    report("list, pages of 100", t, b->listed);
    MUST(pst_db_write_direct(b->db, make_floor, NULL, &err));
    t = start_clock();
    for (int64_t n = 0; n < b->records; n += PAGE)
        MUST(pst_db_write_direct(b->db, write_floor, b, &err));
    report("floor: bare inserts", t, (b->records + PAGE - 1) / PAGE * PAGE);
}

int main(int argc, char **argv)
{
    struct bench *b = pst_calloc(1, sizeof(*b));
    char dir[256];
    char path[300];
    int64_t records = 100000;
    int64_t bytes = 5000;
    if (!b || (argc > 1 && !pst_parse_i64(&records, pst_str_from(argv[1]), PAGE, 100000000)) ||
        (argc > 2 && !pst_parse_i64(&bytes, pst_str_from(argv[2]), 200, 1000000))) {
        (void)fprintf(stderr, "usage: store_bench [RECORDS [BYTES [DIRECTORY]]]\n");
        return 64;
    }
    (void)snprintf(dir, sizeof(dir), "%s/pst-bench-XXXXXX", argc > 3 ? argv[3] : "/tmp");
    if (!mkdtemp(dir))
        return 74;
    (void)snprintf(path, sizeof(path), "%s/store.db", dir);
    b->records = records;
    b->bytes = bytes;
    b->entity = pst_model_entity(PST_STR("purchase_orders"));
    b->data = pst_malloc((size_t)bytes);
    b->page_data = pst_malloc((size_t)bytes * PAGE);
    if (!b->data || !b->page_data)
        return 71;
    for (int64_t i = 0; i < bytes; i++)
        b->data[i] = (char)('a' + mix((uint64_t)i) % 26);
    struct pst_db_options o = {.path = path, .create = true};
    MUST(pst_store_open(&b->db, &o, &err));
    MUST(pst_db_write_direct(b->db, set_up, b, &err));
    MUST(pst_db_reader_new(b->db, &b->reader, &err));
    run(b);
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    printf("file %.1f MiB, peak RSS %.1f MiB\n", (double)pst_db_file_bytes(b->db) / 1048576.0,
           (double)use.ru_maxrss / 1024.0);
    pst_db_reader_free(b->reader);
    pst_db_close(b->db);
    char cmd[300];
    (void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    return system(cmd);
}
