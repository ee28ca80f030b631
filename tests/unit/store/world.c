/* tests/unit/store/world.c: see world.h. */
#include "tests/unit/store/world.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static void note_commit(void *self, int64_t topic)
{
    struct world *w = self;
    if (w->topic_count < PST_COUNT(w->topics))
        w->topics[w->topic_count++] = topic;
}

struct pst_id world_id(const char *prefix, unsigned n)
{
    uint8_t raw[PST_ID_RAW] = {1, 2, 3, (uint8_t)(n >> 8), (uint8_t)n};
    return pst_id_format(prefix, raw);
}

pst_wall at(int64_t seconds)
{
    return (pst_wall){(1795478400 + seconds) * PST_US_PER_S};
}

static pst_code borrow_writer(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct world *w = arg;
    (void)err;
    w->writer = conn;
    return PST_OK;
}

void world_begin(struct world *w)
{
    struct pst_err err;
    assert_ok(pst_db_exec_script(w->writer, PST_STR("BEGIN IMMEDIATE"), &err));
}

pst_code world_finish(struct world *w, pst_code code)
{
    struct pst_err err;
    pst_str end = code == PST_OK ? PST_STR("COMMIT") : PST_STR("ROLLBACK");
    assert_ok(pst_db_exec_script(w->writer, end, &err));
    return code;
}

static void open_store(struct world *w)
{
    struct pst_db_options o = {
        .path = w->path, .create = true, .on_commit = note_commit, .on_commit_self = w};
    struct pst_err err;
    assert_ok(pst_store_open(&w->db, &o, &err));
    assert_ok(pst_db_reader_new(w->db, &w->reader, &err));
    assert_ok(pst_db_write_direct(w->db, borrow_writer, w, &err));
}

int world_set_up(void **state)
{
    struct pst_err err;
    struct world *w = calloc(1, sizeof(*w));
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/pst-store-XXXXXX");
    if (!mkdtemp(w->dir))
        return -1;
    (void)snprintf(w->path, sizeof(w->path), "%s/store.db", w->dir);
    w->orders = pst_model_entity(PST_STR("purchase_orders"));
    w->suppliers = pst_model_entity(PST_STR("suppliers"));
    assert_ok(pst_crypto_init(&err));
    assert_ok(pst_arena_new(&w->arena, 64 << 20, &err));
    open_store(w);
    w->org = (struct pst_organization){
        .id = world_id("org_", 1), .name = PST_STR("Acme"), .created_at = at(0)};
    assert_write(w, pst_organizations_create(w->writer, &w->org, &w->err));
    w->conn = (struct pst_connection){
        .id = world_id("conn_", 1),
        .organization_pk = w->org.pk,
        .name = PST_STR("Plant"),
        .connector = PST_STR("peoplesoft"),
        .config = PST_STR("{\"url\":\"http://ps\"}"),
        .credentials = PST_STR("sealed"),
        .schedule = PST_STR("15m"),
        .history_days = 90,
        .entities = PST_STR("[]"),
        .metadata = PST_STR("{}"),
        .mapping = PST_STR("{}"),
        .status = PST_CONNECTION_PENDING,
        .created_at = at(0),
    };
    assert_write(w, pst_connections_create(w->writer, &w->conn, PST_STR(""), &w->err));
    *state = w;
    return 0;
}

static void close_store(struct world *w)
{
    pst_db_reader_free(w->reader);
    pst_db_close(w->db);
    w->reader = NULL;
    w->db = NULL;
}

int world_tear_down(void **state)
{
    struct world *w = *state;
    char cmd[128];
    close_store(w);
    pst_arena_free(w->arena);
    (void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", w->dir);
    int rc = system(cmd);
    free(w);
    return rc;
}

void world_reopen(struct world *w)
{
    close_store(w);
    open_store(w);
}

/* ---- runs ---- */

struct run world_run(struct world *w, unsigned n, enum pst_sync_mode mode)
{
    struct run r = {.id = world_id("sync_", n)};
    struct pst_sync sync;
    bool found = false;
    const struct pst_sync_request request = {
        .id = r.id,
        .connection_pk = w->conn.pk,
        .trigger = PST_SYNC_MANUAL,
        .mode = mode,
        .entities = (const struct pst_entity *const[]){w->orders},
        .entity_count = 1,
        .now = at(0),
    };
    assert_write(w, pst_syncs_create(w->writer, &request, &r.sync_pk, NULL, &w->err));
    assert_write(w, pst_syncs_claim(w->writer, at(1), w->arena, &sync, &found, &w->err));
    assert_true(found);
    assert_true(sync.pk == r.sync_pk);
    r.orders_pk = sync.streams[0].stream_pk;
    assert_write(w, pst_syncs_begin_stream(w->writer, r.sync_pk, r.orders_pk, PST_WALL_NONE,
                                           PST_WALL_NONE, at(100), at(2), &w->err));
    return r;
}

void world_end(struct world *w, const struct run *r, enum pst_sync_status status)
{
    struct pst_err why = {.code = PST_E_UNREACHABLE, .msg = "connection refused"};
    const struct pst_sync_outcome o = {.status = status, .failure = &why, .mapping_version = 7};
    enum pst_sync_status end;
    assert_write(w, pst_syncs_end(w->writer, r->sync_pk, &o, true, at(50), &end, &w->err));
    assert_int_equal(end, status);
}

/* ---- records ---- */

static pst_hash128 hash_of(pst_str s)
{
    XXH128_hash_t h = XXH3_128bits(s.ptr, s.len);
    return (pst_hash128){h.low64, h.high64};
}

void world_record_id(struct world *w, const char *number, uint8_t id[PST_ID_RAW])
{
    pst_record_id_raw(id, pst_id_str(&w->conn.id), PST_STR("purchase_orders"),
                      pst_str_from(number));
}

struct pst_record_state world_state(struct world *w, const char *number)
{
    struct pst_record_state s;
    struct pst_err err;
    pst_str key = pst_str_from(number);
    assert_ok(pst_records_states_of(w->reader, w->orders, w->conn.pk, &key, 1, &s, &err));
    return s;
}

static struct pst_filter_value text_value(const char *z)
{
    if (!z)
        return (struct pst_filter_value){.kind = PST_FILTER_NULL};
    return (struct pst_filter_value){.kind = PST_FILTER_TEXT, .text = pst_str_from(z)};
}

static void map_order(struct world *w, const struct order *o, struct pst_mapped *out)
{
    struct pst_err err;
    *out = (struct pst_mapped){.created = PST_WALL_NONE};
    assert_ok(pst_arena_printf(w->arena, &out->data, &err,
                               "{\"display_name\":\"%s\",\"number\":\"%s\",\"status\":\"%s\","
                               "\"note\":\"%s\"}",
                               o->number, o->number, o->status, o->note ? o->note : ""));
    out->hash = hash_of(out->data);
    /* In the model's order: number, business_unit, status, supplier_id, buyer, order_date. */
    out->filters[0] = text_value(o->number);
    out->filters[1] = text_value("US001");
    out->filters[2] = text_value(o->status);
    out->filters[3] = text_value(o->supplier_id);
    out->filters[4] = text_value(NULL);
    out->filters[5] = text_value(o->order_date);
}

pst_code world_commit(struct world *w, const struct run *r, enum pst_record_op op,
                      const struct order *orders, size_t count, const char *checkpoint,
                      pst_wall now)
{
    struct pst_err err;
    struct pst_record_write *writes = NULL;
    struct pst_mapped *mapped = NULL;
    assert_ok(pst_arena_array(w->arena, &writes, count, sizeof(*writes), &err));
    assert_ok(pst_arena_array(w->arena, &mapped, count, sizeof(*mapped), &err));
    for (size_t i = 0; i < count; i++) {
        const struct order *o = &orders[i];
        map_order(w, o, &mapped[i]);
        writes[i] = (struct pst_record_write){
            .op = op,
            .pk = op == PST_RECORD_CREATE ? 0 : world_state(w, o->number).pk,
            .sort_key = pst_str_from(o->number),
            .source_id = pst_str_from(o->number),
            .source_hash = hash_of(pst_str_from(o->note ? o->note : o->number)),
            .mapped = &mapped[i],
            .stamp = o->stamp.us ? o->stamp : PST_WALL_NONE,
            .source = PST_STR("compressed"),
        };
        world_record_id(w, o->number, writes[i].id);
    }
    const struct pst_page_commit page = {
        .entity = w->orders,
        .connection_pk = w->conn.pk,
        .sync_pk = r->sync_pk,
        .stream_pk = r->orders_pk,
        .now = now,
        .writes = writes,
        .write_count = count,
        .checkpoint = pst_str_from(checkpoint),
        .sort_key = count ? writes[count - 1].sort_key : PST_STR(""),
        .counts = {.read = (int64_t)count, .pages = 1},
    };
    return WRITE(w, pst_records_commit_page(w->writer, &page, &w->err));
}

/* ---- reading ---- */

struct text {
    char *out;
    size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void add_text(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->out + t->len, t->size - t->len, format, args);
    va_end(args);
    assert_in_range(n, 0, t->size - t->len - 1);
    t->len += (size_t)n;
}

static pst_code add_record(void *self, const struct pst_record_row *row, struct pst_err *err)
{
    struct text *t = self;
    (void)err;
    add_text(t, "%s%.*s", t->len ? " " : "", PST_STR_ARG(row->source_id));
    return PST_OK;
}

struct pst_record_query world_query(const struct world *w, size_t limit)
{
    return (struct pst_record_query){
        .entity = w->orders,
        .connection_pk = w->conn.pk,
        .updated_after = PST_WALL_NONE,
        .updated_before = PST_WALL_NONE,
        .created_after = PST_WALL_NONE,
        .created_before = PST_WALL_NONE,
        .synced_after = PST_WALL_NONE,
        .synced_before = PST_WALL_NONE,
        .limit = limit,
    };
}

pst_code world_list(struct world *w, struct pst_record_query *q, char *out, size_t size, bool *more)
{
    struct text t = {.out = out, .size = size};
    struct pst_record_position last;
    out[0] = 0;
    PST_TRY(pst_records_list(w->reader, q, add_record, &t, &last, more, &w->err));
    q->after = last;
    return PST_OK;
}

struct feed_text {
    struct text t;
    struct world *w;
};

static pst_code add_change(void *self, const struct pst_change_row *row, struct pst_err *err)
{
    static const char *const ops[] = {"created", "updated", "deleted"};
    struct feed_text *f = self;
    struct pst_record_row record;
    bool found = false;
    PST_TRY(pst_records_get(f->w->reader, row->entity, f->w->conn.pk, row->id, false, f->w->arena,
                            &record, &found, err));
    add_text(&f->t, "%s%lld:%s:%.*s%.*s", f->t.len ? " " : "", (long long)row->seq, ops[row->op],
             PST_STR_ARG(record.source_id), PST_STR_ARG(row->fields));
    return PST_OK;
}

pst_code world_feed(struct world *w, int64_t after, char *out, size_t size)
{
    struct feed_text f = {.t = {.out = out, .size = size}, .w = w};
    int64_t last = 0;
    int64_t newest = 0;
    out[0] = 0;
    return pst_changes_list(w->reader, w->conn.pk, after, 0, 1000, add_change, &f, &last, &newest,
                            &w->err);
}
