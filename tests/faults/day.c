/* tests/faults/day.c: see day.h. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/faults/day.h"

#include "app/internal.h"
#include "app/rotate.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "db/driver.h"
#include "event/event.h"
#include "os/file.h"

enum { ARENA_BYTES = 4 << 20, PAGE_ORDERS = 16, NOTE_BYTES = 700, GROUP_JOBS = 5 };

static struct pst_id id_of(const char *prefix, unsigned n)
{
    uint8_t raw[PST_ID_RAW] = {1, 2, 3, (uint8_t)(n >> 8), (uint8_t)n};
    return pst_id_format(prefix, raw);
}

static pst_wall at(int64_t seconds)
{
    return (pst_wall){(1795478400 + seconds) * PST_US_PER_S}; /* 2026-11-24 */
}

static pst_hash128 hash_of(pst_str s)
{
    XXH128_hash_t x = XXH3_128bits(s.ptr, s.len);
    pst_hash128 h = {.lo = x.low64, .hi = x.high64};
    return h;
}

/* ---- files, opening, closing ---- */

static struct pst_paths paths_of(const struct day *d)
{
    return (struct pst_paths){.data_dir = pst_str_from(d->dir),
                              .store = pst_str_from(d->store),
                              .key_file = pst_str_from(d->key_file)};
}

static pst_code load_key(struct day *d, struct pst_err *err)
{
    bool created = false;
    pst_key_free(d->root);
    d->root = NULL;
    return pst_key_load_or_create(&d->root, d->key_file, &created, err);
}

static void close_store(struct day *d)
{
    pst_db_reader_free(d->reader);
    pst_db_close(d->db);
    d->reader = NULL;
    d->db = NULL;
}

static pst_code open_store(struct day *d, struct pst_err *err)
{
    const struct pst_db_options o = {
        .path = d->store, .create = true, .busy_ms = 50, .log_pages = d->log_pages};
    close_store(d);
    PST_TRY(pst_store_open(&d->db, &o, err));
    if (d->plant)
        PST_TRY(pst_db_exec_script(&d->db->writer, pst_str_from(d->plant), err));
    return pst_db_reader_new(d->db, &d->reader, err);
}

static pst_code open_vault(struct day *d, struct pst_err *err)
{
    const struct pst_paths paths = paths_of(d);
    return pst_start_vault(d->db, &d->root, &paths, err);
}

static pst_code close_day(struct day *d, struct pst_err *err)
{
    (void)err;
    close_store(d);
    return PST_OK;
}

static pst_code rotate_root(struct day *d, struct pst_err *err)
{
    const struct pst_db_options o = {.path = d->store, .busy_ms = 50};
    PST_AUTO(db) struct pst_db *db = NULL;
    PST_AUTO(key) struct pst_key *fresh = NULL;
    struct pst_root_rotation done;
    close_store(d);
    PST_TRY(pst_store_open(&db, &o, err));
    return pst_rotate_root_key(db, d->key_file, &fresh, &done, err);
}

static pst_code back_up(struct day *d, struct pst_err *err)
{
    struct pst_backup_info info;
    if (pst_file_exists(d->backup)) /* of a try whose directory could not be synced */
        return pst_store_verify(d->backup, &info, err);
    return pst_store_backup(d->db, d->backup, &info, err);
}

/* ---- jobs ---- */

static pst_code create_organization(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    struct pst_organization org = {
        .id = id_of("org_", 1), .name = PST_STR("Acme"), .created_at = at(0)};
    PST_TRY(pst_organizations_create(conn, &org, err));
    d->org = org;
    const struct pst_audit entry = {.organization_pk = org.pk,
                                    .at = at(0),
                                    .actor = PST_STR("operator"),
                                    .action = PST_STR("organization.create"),
                                    .object = pst_id_str(&org.id)};
    return pst_audit_add(conn, &entry, err);
}

static pst_code create_key(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    struct pst_access access = {.id = id_of("key_", 1),
                                .organization_pk = d->org.pk,
                                .hash = {7},
                                .hint = PST_STR("psk_01234567"),
                                .name = PST_STR("first"),
                                .role = PST_ROLE_ADMIN,
                                .created_at = at(1)};
    return pst_accesses_create(conn, &access, err);
}

static pst_code seal(struct day *d, struct pst_db_conn *conn, const char *plain, pst_str *out,
                     struct pst_err *err)
{
    const struct pst_id id = id_of("conn_", 1);
    const struct pst_vault_place place = {.organization_pk = d->org.pk,
                                          .organization_id = pst_id_str(&d->org.id),
                                          .row_id = pst_id_str(&id),
                                          .field = PST_STR("credentials")};
    return pst_vault_seal(conn, d->root, &place, pst_str_from(plain), at(2), d->arena, out, err);
}

static pst_code create_connection(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    struct pst_connection c = {
        .id = id_of("conn_", 1),
        .organization_pk = d->org.pk,
        .name = PST_STR("Plant"),
        .connector = PST_STR("peoplesoft"),
        .config = PST_STR("{\"base_url\":\"http://ps\"}"),
        .schedule = PST_STR("15m"),
        .history_days = 90,
        .entities = PST_STR("[]"),
        .metadata = PST_STR("{}"),
        .mapping = PST_STR("{}"),
        .status = PST_CONNECTION_PENDING,
        .created_at = at(2),
    };
    PST_TRY(seal(d, conn, "{\"password\":\"first\"}", &c.credentials, err));
    PST_TRY(pst_connections_create(conn, &c, PST_STR(""), err));
    const struct pst_credit_wish wish = {.organization_pk = d->org.pk,
                                         .connection_pk = c.pk,
                                         .connection_id = c.id,
                                         .credits = 4,
                                         .reason = "created",
                                         .now = at(2)};
    PST_TRY(pst_credits_hold(conn, &wish, err));
    d->conn = c;
    return PST_OK;
}

static pst_code change_credentials(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    struct pst_connection_patch patch = {.set_credentials = true, .set_name = true};
    patch.name = PST_STR("Plant with new credentials");
    PST_TRY(seal(d, conn, "{\"password\":\"second\"}", &patch.credentials, err));
    return pst_connections_patch(conn, d->conn.pk, &patch, 0, at(60), err);
}

static pst_code go_online(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    PST_TRY(pst_connections_set_plan(conn, d->conn.pk, at(900), at(0), err));
    const struct pst_event_status online = {.status = PST_CONNECTION_ONLINE,
                                            .previous = PST_CONNECTION_PENDING,
                                            .since = at(3),
                                            .code = PST_STR(""),
                                            .reason = PST_STR(""),
                                            .request_id = PST_STR("req_1")};
    PST_TRY(pst_connections_set_status(conn, d->conn.pk, PST_CONNECTION_ONLINE, PST_STR(""),
                                       PST_STR("req_1"), at(3), NULL, err));
    return pst_event_tell_status(conn, d->conn.pk, &online, at(3), err);
}

/* ---- webhooks ---- */

static pst_code create_endpoint(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    struct pst_endpoint e = {
        .id = id_of("whk_", 1),
        .organization_pk = d->org.pk,
        .url = PST_STR("https://app.example.com/hooks"),
        .events = PST_STR("*"),
        .enabled = true,
        .ordered = true,
        .timeout_ms = 10000,
        .horizon_ms = 86400000,
        .public_keys = PST_STR("[]"),
        .created_at = at(2),
    };
    PST_TRY(pst_endpoints_create(conn, &e, err));
    d->endpoint_pk = e.pk;
    return PST_OK;
}

/* What the dispatcher writes about the first delivery that waits: an attempt and, `count` being the
 * answer's status, what follows from it. */
static pst_code note_attempt(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    struct pst_delivery *next = NULL;
    size_t count = 0;
    const bool is_good = d->step->count < 300;
    PST_TRY(
        pst_deliveries_next(conn, d->endpoint_pk, d->conn.pk, 0, 1, d->arena, &next, &count, err));
    if (count != 1)
        return PST_FAIL(err, PST_E_INTERNAL, "no delivery waits");
    struct pst_delivery_result r = {
        .pk = next->pk,
        .status = is_good ? PST_DELIVERY_DELIVERED : PST_DELIVERY_WAITING,
        .tries = next->tries,
        .attempt = {.at = at(70), .duration_us = 1500, .status = d->step->count},
    };
    struct pst_endpoint_health health = {.failures = is_good ? 0 : 1};
    health.failing_since = is_good ? PST_WALL_NONE : at(70);
    health.open_since = health.probe_at = health.disabled_at = PST_WALL_NONE;
    health.last_success_at = is_good ? at(70) : PST_WALL_NONE;
    health.last_failure_at = is_good ? PST_WALL_NONE : at(70);
    r.tries.attempts++;
    r.tries.tries++;
    r.tries.first_try_at = at(70);
    r.tries.due_at = at(100);
    r.attempt.error = health.last_error = is_good ? PST_STR("") : PST_STR("answered 503");
    PST_TRY(pst_deliveries_record(conn, &r, err));
    return pst_endpoints_set_health(conn, d->endpoint_pk, 1, &health, err);
}

/* Everything since the day began is to be sent again. */
static pst_code send_again(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    const struct pst_delivery_range range = {.endpoint_pk = d->endpoint_pk,
                                             .organization_pk = d->org.pk,
                                             .since = at(0),
                                             .until = PST_WALL_NONE,
                                             .all = true};
    int64_t cursor = 0;
    int64_t count = 0;
    return pst_deliveries_resend_range(conn, &range, 100, at(80), &cursor, &count, err);
}

static pst_code queue_sync(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    const struct pst_sync_request request = {
        .id = id_of("sync_", d->syncs + 1),
        .connection_pk = d->conn.pk,
        .trigger = PST_SYNC_MANUAL,
        .mode = d->step->mode,
        .entities = (const struct pst_entity *const[]){d->orders},
        .entity_count = 1,
        .now = at(10),
    };
    int64_t pk = 0;
    PST_TRY(pst_syncs_create(conn, &request, &pk, NULL, err));
    d->sync_pk = pk;
    return PST_OK;
}

static pst_code begin_sync(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    struct pst_sync sync;
    bool found = false;
    PST_TRY(pst_syncs_claim(conn, at(11), d->arena, &sync, &found, err));
    if (!found || sync.pk != d->sync_pk)
        return PST_FAIL(err, PST_E_INTERNAL, "the run is not there");
    d->stream_pk = sync.streams[0].stream_pk;
    return pst_syncs_begin_stream(conn, d->sync_pk, d->stream_pk, PST_WALL_NONE, PST_WALL_NONE,
                                  at(100), at(12), err);
}

static void map_order(const struct day *d, pst_str number, char *text, size_t size,
                      struct pst_mapped *out)
{
    *out = (struct pst_mapped){.created = PST_WALL_NONE};
    int n = snprintf(text, size, "{\"display_name\":\"%s\",\"number\":\"%s\",\"note\":\"%u%0*d\"}",
                     number.ptr, number.ptr, d->syncs, NOTE_BYTES, d->step->op);
    out->data = (pst_str){text, (size_t)n};
    out->hash = hash_of(out->data);
    for (size_t i = 0; i < d->orders->filter_count; i++)
        out->filters[i].kind = PST_FILTER_NULL;
    out->filters[0] = (struct pst_filter_value){.kind = PST_FILTER_TEXT, .text = number};
}

static pst_code fill_write(struct day *d, struct pst_db_conn *conn, int n,
                           struct pst_record_write *w, struct pst_err *err)
{
    struct pst_mapped *mapped = NULL;
    char *text = NULL;
    pst_str number = {0};
    struct pst_record_state state = {0};
    PST_TRY(pst_arena_printf(d->arena, &number, err, "PO%05d", n));
    PST_TRY(pst_arena_alloc(d->arena, &mapped, sizeof(*mapped), err));
    PST_TRY(pst_arena_alloc(d->arena, &text, NOTE_BYTES + 128, err));
    map_order(d, number, text, NOTE_BYTES + 128, mapped);
    if (d->step->op != PST_RECORD_CREATE)
        PST_TRY(pst_records_states_of(conn, d->orders, d->conn.pk, &number, 1, &state, err));
    *w = (struct pst_record_write){.op = d->step->op,
                                   .pk = state.pk,
                                   .sort_key = number,
                                   .source_id = number,
                                   .source_hash = mapped->hash,
                                   .mapped = mapped,
                                   .stamp = at(5 + d->syncs),
                                   .source = PST_STR("compressed")};
    pst_record_id_raw(w->id, pst_id_str(&d->conn.id), PST_STR("purchase_orders"), number);
    return PST_OK;
}

/* One page: its orders, the checkpoint behind them and, every time, one row that is refused. */
static pst_code commit_page(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    struct pst_record_write writes[PAGE_ORDERS];
    const struct day_step *s = d->step;
    const struct pst_rejected rejected = {
        .source_id = PST_STR("PO99999"), .reason = PST_STR("no number"), .source = PST_STR("[]")};
    for (int i = 0; i < s->count; i++)
        PST_TRY(fill_write(d, conn, s->first + i, &writes[i], err));
    const struct pst_page_commit page = {
        .entity = d->orders,
        .connection_pk = d->conn.pk,
        .sync_pk = d->sync_pk,
        .stream_pk = d->stream_pk,
        .now = at(20),
        .writes = writes,
        .write_count = (size_t)s->count,
        .checkpoint = writes[s->count - 1].sort_key,
        .sort_key = writes[s->count - 1].sort_key,
        .rejected = &rejected,
        .rejected_count = 1,
        .counts = {.read = s->count, .pages = 1},
    };
    return pst_records_commit_page(conn, &page, err);
}

/* The page of a full read that found the step's orders missing. */
static pst_code note_missing(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    int64_t missing[PAGE_ORDERS];
    struct pst_record_write found;
    for (int i = 0; i < d->step->count; i++) {
        PST_TRY(fill_write(d, conn, d->step->first + i, &found, err));
        missing[i] = found.pk;
    }
    const struct pst_page_commit page = {
        .entity = d->orders,
        .connection_pk = d->conn.pk,
        .sync_pk = d->sync_pk,
        .stream_pk = d->stream_pk,
        .now = at(30),
        .missing = missing,
        .missing_count = (size_t)d->step->count,
        .checkpoint = PST_STR("PO00099"),
        .sort_key = PST_STR("PO00099"),
        .counts = {.pages = 1},
    };
    return pst_records_commit_page(conn, &page, err);
}

static pst_code delete_missing(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    const struct pst_page_commit page = {
        .entity = d->orders,
        .connection_pk = d->conn.pk,
        .sync_pk = d->sync_pk,
        .stream_pk = d->stream_pk,
        .now = at(31),
    };
    int64_t deleted = 0;
    bool left = false;
    PST_TRY(pst_syncs_begin_delete(conn, d->sync_pk, d->stream_pk, err));
    return pst_records_delete_missing(conn, &page, 100, &deleted, &left, err);
}

static pst_code end_stream(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    const struct pst_sync_outcome o = {.status = PST_SYNC_COMPLETED, .mapping_version = 7};
    return pst_syncs_end_stream(conn, d->sync_pk, d->stream_pk, &o, at(40), err);
}

static pst_code end_sync(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct day *d = arg;
    const struct pst_sync_outcome o = {.status = PST_SYNC_COMPLETED, .mapping_version = 7};
    enum pst_sync_status status;
    PST_TRY(pst_syncs_end(conn, d->sync_pk, &o, true, at(41), &status, err));
    return pst_event_tell_syncs(conn, d->conn.pk, at(41), err);
}

static pst_code count_sync(struct day *d, struct pst_err *err)
{
    (void)err;
    d->syncs++;
    return PST_OK;
}

static pst_code retain(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct pst_retention keep = {.changes = at(0),
                                       .syncs = at(0),
                                       .history = at(3),
                                       .audit = at(1),
                                       .deleted_records = at(200)};
    bool left = false;
    (void)arg;
    return pst_store_retain(conn, &keep, 4, &left, err);
}

/* ---- reading ---- */

static pst_code follow_change(void *self, const struct pst_change_row *row, struct pst_err *err)
{
    int64_t *seen = self;
    if (row->seq != *seen + 1)
        return PST_FAIL(err, PST_E_INTERNAL, "change %lld after %lld", (long long)row->seq,
                        (long long)*seen);
    *seen = row->seq;
    return PST_OK;
}

static pst_code read_feed(struct day *d, struct pst_err *err)
{
    int64_t seen = d->feed_seen;
    int64_t last = 0;
    int64_t newest = 0;
    PST_TRY(pst_db_snapshot_begin(d->reader, err));
    pst_code code = pst_changes_list(d->reader, d->conn.pk, seen, 0, 500, follow_change, &seen,
                                     &last, &newest, err);
    pst_db_snapshot_end(d->reader);
    if (code == PST_OK && seen != newest)
        return PST_FAIL(err, PST_E_INTERNAL, "the feed ends at %lld", (long long)seen);
    if (code == PST_OK)
        d->feed_seen = seen;
    return code;
}

/* ---- several jobs under one commit ---- */

/* Rows whose place does not depend on the order in which they came. */
static pst_code note_in_group(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(
        pst_db_stmt(conn, PST_STR("INSERT INTO meta (name, value) VALUES (?1, x'00')"), &st, err));
    pst_stmt_bind_str(st, 1, *(const pst_str *)arg);
    PST_TRY(pst_stmt_run(st, NULL, err));
    if (pst_str_is(*(const pst_str *)arg, "group.refused"))
        return PST_FAIL(err, PST_E_INVALID, "this job is refused");
    return PST_OK;
}

static void ignore_done(struct pst_db_job *job)
{
    (void)job;
}

static pst_str notes[GROUP_JOBS] = {PST_STR_INIT("group.one"), PST_STR_INIT("group.refused"),
                                    PST_STR_INIT("group.two"), PST_STR_INIT("group.three"),
                                    PST_STR_INIT("group.four")};
enum { REFUSED = 1 };

/* *there: bits of the notes that the store has. */
static pst_code find_notes(struct day *d, unsigned *there, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(d->reader, PST_STR("SELECT name FROM meta WHERE name LIKE 'group.%'"), &st,
                        err));
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        for (unsigned i = 0; i < GROUP_JOBS; i++)
            if (pst_str_eq(pst_stmt_str(st, 0), notes[i]))
                *there |= 1U << i;
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

static pst_code look_at_results(struct day *d, const struct pst_db_job *jobs, unsigned there,
                                struct pst_err *err)
{
    pst_code code = PST_OK;
    for (unsigned i = 0; i < GROUP_JOBS; i++) {
        if (there & 1U << i)
            continue;
        if (jobs[i].code == PST_OK)
            d->notes_done |= 1U << i;
        if (i == REFUSED && jobs[i].code == PST_OK)
            return PST_FAIL(err, PST_E_INTERNAL, "a refused job was done");
        if (jobs[i].code != PST_OK && !(i == REFUSED && jobs[i].code == PST_E_INVALID)) {
            *err = jobs[i].err;
            code = jobs[i].code;
        }
    }
    return code;
}

/* The writer's loop over jobs that wait, one of which fails by itself. A writer that was stopped
 * starts no more, so the store is opened anew; and a commit whose sync failed may be there after
 * an opening, because its bytes were written. What was told to be done is there. */
static pst_code run_group(struct day *d, struct pst_err *err)
{
    struct pst_db_job jobs[GROUP_JOBS] = {0};
    unsigned there = 0;
    PST_TRY(open_store(d, err));
    PST_TRY(open_vault(d, err));
    PST_TRY(find_notes(d, &there, err));
    if ((there & d->notes_done) != d->notes_done || there & 1U << REFUSED)
        return PST_FAIL(err, PST_E_INTERNAL, "of the group, %x is there and not %x", there,
                        d->notes_done);
    for (unsigned i = 0; i < GROUP_JOBS; i++) {
        jobs[i] = (struct pst_db_job){.fn = note_in_group, .arg = &notes[i], .done = ignore_done};
        if (!(there & 1U << i))
            PST_TRY(pst_db_write_async(d->db, &jobs[i], err));
    }
    pst_db_writer_stop(d->db);
    pst_db_writer_run(d->db);
    return look_at_results(d, jobs, there, err);
}

static pst_code reopen(struct day *d, struct pst_err *err)
{
    PST_TRY(load_key(d, err));
    PST_TRY(open_store(d, err));
    return open_vault(d, err);
}

/* ---- the day ---- */

#define SYNC(mode_)                                                                                \
    {.name = "a run is queued", .job = queue_sync, .mode = (mode_)},                               \
    {                                                                                              \
        .name = "a run begins", .job = begin_sync                                                  \
    }
#define PAGE(op_, first_, count_)                                                                  \
    {.name = "a page", .job = commit_page, .op = (op_), .first = (first_), .count = (count_)}
#define END                                                                                        \
    {.name = "a stream ends", .job = end_stream}, {.name = "a run ends", .job = end_sync},         \
    {                                                                                              \
        .name = "the next run", .run = count_sync                                                  \
    }

const struct day_step day_steps[] = {
    {.name = "the root key", .run = load_key},
    {.name = "the store is opened and migrated", .run = open_store},
    {.name = "the store is marked with the key", .run = open_vault},
    {.name = "an organization", .job = create_organization},
    {.name = "an API key", .job = create_key},
    {.name = "a connection", .job = create_connection},
    {.name = "a webhook endpoint", .job = create_endpoint},
    SYNC(PST_SYNC_FULL),
    {.name = "the connection is online", .job = go_online},
    PAGE(PST_RECORD_CREATE, 0, PAGE_ORDERS),
    PAGE(PST_RECORD_CREATE, 16, PAGE_ORDERS),
    PAGE(PST_RECORD_CREATE, 32, 8),
    END,
    {.name = "the feed is read", .run = read_feed},
    {.name = "a webhook fails", .job = note_attempt, .count = 503},
    {.name = "a webhook is delivered", .job = note_attempt, .count = 204},
    SYNC(PST_SYNC_INCREMENTAL),
    PAGE(PST_RECORD_UPDATE, 4, 12),
    PAGE(PST_RECORD_CREATE, 40, 3),
    END,
    {.name = "new credentials", .job = change_credentials},
    SYNC(PST_SYNC_FULL),
    PAGE(PST_RECORD_RESTAMP, 0, 4),
    {.name = "what is missing is listed",
     .job = note_missing,
     .op = PST_RECORD_UPDATE,
     .first = 8,
     .count = 5},
    {.name = "what is missing is deleted", .job = delete_missing},
    END,
    {.name = "the feed is read", .run = read_feed},
    {.name = "webhooks are sent again", .job = send_again},
    {.name = "a webhook is delivered again", .job = note_attempt, .count = 204},
    {.name = "old rows go", .job = retain},
    {.name = "a backup", .run = back_up},
    {.name = "the store is closed", .run = close_day},
    {.name = "several jobs under one commit", .run = run_group},
    {.name = "the root key is rotated", .run = rotate_root},
    {.name = "the store is opened again", .run = reopen},
    {.name = "credentials under the new key", .job = change_credentials},
    SYNC(PST_SYNC_INCREMENTAL),
    PAGE(PST_RECORD_UPDATE, 20, 4),
    END,
    {.name = "the store is closed", .run = close_day},
};
const size_t day_step_count = PST_COUNT(day_steps);

pst_code day_init(struct day *d, const char *dir, struct pst_err *err)
{
    *d = (struct day){.orders = pst_model_entity(PST_STR("purchase_orders"))};
    (void)snprintf(d->dir, sizeof(d->dir), "%s", dir);
    (void)snprintf(d->store, sizeof(d->store), "%s/store.db", dir);
    (void)snprintf(d->key_file, sizeof(d->key_file), "%s/root.key", dir);
    (void)snprintf(d->backup, sizeof(d->backup), "%s/backup.db", dir);
    PST_TRY(pst_crypto_init(err));
    return pst_arena_new(&d->arena, ARENA_BYTES, err);
}

pst_code day_run_step(struct day *d, const struct day_step *step, struct pst_err *err)
{
    d->step = step;
    pst_arena_reset(d->arena);
    if (step->run)
        return step->run(d, err);
    return pst_db_write_direct(d->db, step->job, d, err);
}

void day_fini(struct day *d)
{
    close_store(d);
    pst_key_free(d->root);
    pst_arena_free(d->arena);
    d->root = NULL;
    d->arena = NULL;
}
