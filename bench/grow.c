/* bench/grow.c: records of a bench, written page by page. */
#include "grow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/rand.h"
#include "store/accounts.h"
#include "store/connections.h"
#include "store/store.h"
#include "store/syncs.h"

enum { FILTERS_MAX = 8, TEXT = 40 };

struct grow {
    struct pst_db *db;
    const struct pst_entity *entity;
    struct pst_connection connection;
    int64_t sync_pk, stream_pk, records, bytes;
    char *fill; /* what records are padded with */
    char *data; /* of GROW_PAGE records */
    struct pst_record_write writes[GROW_PAGE];
    struct pst_mapped mapped[GROW_PAGE];
    char keys[GROW_PAGE][GROW_KEY], texts[GROW_PAGE][FILTERS_MAX][TEXT];
    size_t count;
};

_Noreturn void grow_stop(const struct pst_err *err)
{
    (void)fprintf(stderr, "bench: %s\n", err->msg);
    exit(1);
}

uint64_t grow_mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
    return (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
}

void grow_key(char out[GROW_KEY], int64_t n)
{
    (void)snprintf(out, GROW_KEY, "US001|%010" PRId64, n);
}

void grow_record_id(uint8_t out[PST_ID_RAW], int64_t n)
{
    uint64_t h = grow_mix((uint64_t)n + 1);
    uint64_t id[2] = {grow_mix(h), h};
    memcpy(out, id, PST_ID_RAW);
}

void grow_supplier(char out[40], int64_t n)
{
    (void)snprintf(out, 40, "rec_%026" PRIu64,
                   grow_mix(grow_mix((uint64_t)n + 1) % GROW_SUPPLIERS));
}

/* ---- the connection and the run that writes ---- */

static pst_code find_organization(struct pst_db_conn *conn, struct pst_arena *arena, int64_t *out,
                                  struct pst_err *err)
{
    struct pst_organization *list = NULL;
    size_t count = 0;
    bool more = false;
    PST_TRY(pst_organizations_list(conn, 0, 1, arena, &list, &count, &more, err));
    if (count) {
        *out = list[0].pk;
        return PST_OK;
    }
    struct pst_organization org = {
        .id = pst_rand_id("org_"), .name = PST_STR("bench"), .created_at = pst_wall_now()};
    PST_TRY(pst_organizations_create(conn, &org, err));
    *out = org.pk;
    return PST_OK;
}

static pst_code set_up(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct grow *g = arg;
    bool found = false;
    struct pst_sync sync;
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_connection *c = &g->connection;
    *c = (struct pst_connection){.id = pst_rand_id("conn_"),
                                 .name = PST_STR("bench"),
                                 .connector = PST_STR("peoplesoft"),
                                 .config = PST_STR("{}"),
                                 .entities = PST_STR("[]"),
                                 .metadata = PST_STR("{}"),
                                 .mapping = PST_STR("{}"),
                                 .status = PST_CONNECTION_PENDING,
                                 .created_at = pst_wall_now()};
    PST_TRY(pst_arena_new(&arena, 1 << 20, err));
    PST_TRY(find_organization(conn, arena, &c->organization_pk, err));
    PST_TRY(pst_connections_create(conn, c, PST_STR(""), err));
    struct pst_sync_request request = {.id = pst_rand_id("sync_"),
                                       .connection_pk = c->pk,
                                       .trigger = PST_SYNC_MANUAL,
                                       .mode = PST_SYNC_FULL,
                                       .entities = &g->entity,
                                       .entity_count = 1,
                                       .now = pst_wall_now()};
    PST_TRY(pst_syncs_create(conn, &request, &g->sync_pk, NULL, err));
    PST_TRY(pst_syncs_claim(conn, request.now, arena, &sync, &found, err));
    g->stream_pk = sync.streams[0].stream_pk;
    return pst_syncs_begin_stream(conn, g->sync_pk, g->stream_pk, PST_WALL_NONE, PST_WALL_NONE,
                                  request.now, request.now, err);
}

/* ---- records ---- */

static void fill_filters(struct grow *g, size_t at, int64_t n)
{
    static const char *const statuses[] = {"approved", "draft", "closed", "dispatched"};
    uint64_t h = grow_mix((uint64_t)n + 1);
    struct pst_mapped *m = &g->mapped[at];
    for (size_t i = 0; i < g->entity->filter_count && i < FILTERS_MAX; i++) {
        char *text = g->texts[at][i];
        const struct pst_field *field = g->entity->filters[i].field;
        if (field->type == PST_TYPE_REFERENCE)
            grow_supplier(text, n);
        else if (field->type == PST_TYPE_DATE)
            (void)snprintf(text, TEXT, "2026-%02d-%02d", (int)(h >> 24 & 7) + 1,
                           (int)(h >> 32 & 15) + 1);
        else if (field->type == PST_TYPE_ENUM)
            (void)snprintf(text, TEXT, "%s", statuses[h >> 8 & 3]);
        else if (strcmp(field->name, "number") == 0)
            (void)snprintf(text, TEXT, "%010" PRId64, n);
        else
            (void)snprintf(text, TEXT, "%.8s%02d", field->name, (int)(h >> (16 + i) & 31));
        m->filters[i] =
            (struct pst_filter_value){.kind = PST_FILTER_TEXT, .text = pst_str_from(text)};
    }
}

static void add_record(struct grow *g, int64_t n, int version)
{
    size_t at = g->count++;
    size_t len = (size_t)g->bytes * 4 / 5;
    char *data = g->data + at * (size_t)g->bytes;
    uint64_t h = grow_mix((uint64_t)n + 1);
    grow_key(g->keys[at], n);
    memcpy(data, g->fill, len);
    int head = snprintf(
        data, len, "{\"number\":\"%010" PRId64 "\",\"buyer\":\"%d\",\"comments\":\"", n, version);
    data[head] = 'x';
    memcpy(data + len - 2, "\"}", 2);
    struct pst_mapped *m = &g->mapped[at];
    *m = (struct pst_mapped){.data = {data, len}, .created = PST_WALL_NONE};
    m->hash = (pst_hash128){h, (uint64_t)version};
    fill_filters(g, at, n);
    g->writes[at] = (struct pst_record_write){
        .op = version ? PST_RECORD_UPDATE : PST_RECORD_CREATE,
        .pk = n + 1,
        .sort_key = pst_str_from(g->keys[at]),
        .source_id = pst_str_from(g->keys[at]),
        .source_hash = {h, h + (uint64_t)version},
        .mapped = m,
        .stamp = {1795478400000000 + n},
        .source = {g->fill, (size_t)g->bytes / 5},
    };
    grow_record_id(g->writes[at].id, n);
}

static pst_code commit_page(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    return pst_records_commit_page(conn, arg, err);
}

static void write_page(struct grow *g)
{
    struct pst_page_commit page = {.entity = g->entity,
                                   .connection_pk = g->connection.pk,
                                   .sync_pk = g->sync_pk,
                                   .stream_pk = g->stream_pk,
                                   .now = pst_wall_now(),
                                   .writes = g->writes,
                                   .write_count = g->count,
                                   .checkpoint = PST_STR("key"),
                                   .counts = {.pages = 1}};
    MUST(pst_db_write_direct(g->db, commit_page, &page, &err));
    g->count = 0;
}

void grow_to(struct grow *g, int64_t records)
{
    while (g->records < records) {
        add_record(g, g->records++, 0);
        if (g->count == GROW_PAGE || g->records == records)
            write_page(g);
    }
}

void grow_update(struct grow *g, int64_t first, int64_t count, int version)
{
    for (int64_t n = first; n < first + count; n++)
        add_record(g, n, version);
    write_page(g);
}

/* ---- open and close ---- */

struct grow *grow_open(const char *path, int64_t bytes)
{
    struct grow *g = pst_calloc(1, sizeof(*g));
    struct pst_db_options o = {.path = path, .create = true, .cache_bytes = 16 << 20};
    if (!g)
        exit(71);
    g->bytes = bytes;
    g->entity = pst_model_entity(PST_STR("purchase_orders"));
    g->fill = pst_malloc((size_t)bytes);
    g->data = pst_malloc((size_t)bytes * GROW_PAGE);
    if (!g->fill || !g->data)
        exit(71);
    for (int64_t i = 0; i < bytes; i++)
        g->fill[i] = (char)('a' + grow_mix((uint64_t)i) % 26);
    MUST(pst_store_open(&g->db, &o, &err));
    MUST(pst_db_write_direct(g->db, set_up, g, &err));
    return g;
}

static pst_code end_run(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct grow *g = arg;
    struct pst_sync_outcome outcome = {.status = PST_SYNC_COMPLETED};
    pst_wall now = pst_wall_now();
    PST_TRY(pst_syncs_end_stream(conn, g->sync_pk, g->stream_pk, &outcome, now, err));
    enum pst_sync_status status;
    PST_TRY(pst_syncs_end(conn, g->sync_pk, &outcome, false, now, &status, err));
    return pst_connections_set_status(conn, g->connection.pk, PST_CONNECTION_INACTIVE, PST_STR(""),
                                      PST_STR(""), now, NULL, err);
}

void grow_close(struct grow *g)
{
    MUST(pst_db_write_direct(g->db, end_run, g, &err));
    pst_db_close(g->db);
    pst_free(g->fill);
    pst_free(g->data);
    pst_free(g);
}

struct pst_db *grow_db(struct grow *g)
{
    return g->db;
}

const struct pst_entity *grow_entity(const struct grow *g)
{
    return g->entity;
}

int64_t grow_connection_pk(const struct grow *g)
{
    return g->connection.pk;
}

struct pst_id grow_connection_id(const struct grow *g)
{
    return g->connection.id;
}
