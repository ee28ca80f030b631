/* store/records_commit.c: the hot path: one page of records, changes and checkpoint.
 *
 * Statements are looked up once per page and held over the loop; sequence numbers come from
 * one update of the connection, so commit order is their order.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "store/records.h"
#include "store/rejected.h"
#include "store/rows.h"
#include "store/syncs_private.h"

enum {
    SQL_BYTES = 8192,
    FIELDS_BYTES = 65536, /* names of the fields of one entity */
    FIRST_FILTER = 12, /* placeholder of the first filter; what only one statement has follows */
};

enum change_op { CHANGE_CREATED, CHANGE_UPDATED, CHANGE_DELETED };

/* What stays prepared while a page is written. */
struct page_writer {
    struct pst_db_conn *conn;
    const struct pst_page_commit *page;
    struct pst_buf fields; /* of the change in hand */
    struct pst_stmt *insert, *old, *update, *restamp, *change;
    int64_t first_seq, last_seq; /* taken for this page; 0 = none */
    int64_t next_seq;
    int64_t live_delta; /* how many more live records there are */
    int64_t rejected_delta; /* how many more rows are kept aside */
};

static void fini_writer(struct page_writer *w)
{
    pst_buf_fini(&w->fields);
    pst_stmt_done(w->insert);
    pst_stmt_done(w->old);
    pst_stmt_done(w->update);
    pst_stmt_done(w->restamp);
    pst_stmt_done(w->change);
}

/* ---- statements ---- */

static void add_insert(struct pst_buf *sql, const struct pst_entity *e)
{
    pst_buf_addf(sql,
                 "INSERT INTO %s (conn, seq, first_seq, synced_at, updated_at, stamp,"
                 " source_hash, hash, data, source, dict, created_at, id, sort_key, source_id",
                 e->table);
    for (size_t i = 0; i < e->filter_count; i++)
        pst_buf_addf(sql, ", %s", e->filters[i].column);
    pst_buf_add_lit(sql, ") VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11");
    int own = FIRST_FILTER + (int)e->filter_count;
    pst_buf_addf(sql, ", ?%d, ?%d, ?%d", own, own + 1, own + 2);
    for (size_t i = 0; i < e->filter_count; i++)
        pst_buf_addf(sql, ", ?%d", FIRST_FILTER + (int)i);
    pst_buf_add_char(sql, ')');
}

static void add_update(struct pst_buf *sql, const struct pst_entity *e)
{
    pst_buf_addf(sql,
                 "UPDATE %s SET seq = ?2, synced_at = ?3, updated_at = ?4, stamp = ?5,"
                 " source_hash = ?6, hash = ?7, data = ?8, source = ?9, dict = ?10,"
                 " created_at = coalesce(?11, created_at), deleted_at = NULL",
                 e->table);
    for (size_t i = 0; i < e->filter_count; i++)
        pst_buf_addf(sql, ", %s = ?%d", e->filters[i].column, FIRST_FILTER + (int)i);
    pst_buf_addf(sql, " WHERE pk = ?%d AND conn = ?1", FIRST_FILTER + (int)e->filter_count);
}

static void add_old(struct pst_buf *sql, const struct pst_entity *e)
{
    pst_buf_addf(sql,
                 "SELECT deleted_at IS NOT NULL, data, created_at, updated_at FROM %s"
                 " WHERE pk = ?1 AND conn = ?2",
                 e->table);
}

static void add_restamp(struct pst_buf *sql, const struct pst_entity *e)
{
    pst_buf_addf(sql,
                 "UPDATE %s SET stamp = ?3, source_hash = ?4, source = ?5, dict = ?6"
                 " WHERE pk = ?1 AND conn = ?2",
                 e->table);
}

static pst_code open_stmt(struct page_writer *w,
                          void (*compose)(struct pst_buf *, const struct pst_entity *),
                          struct pst_stmt **out, struct pst_err *err)
{
    if (*out)
        return PST_OK;
    PST_AUTO(buf) struct pst_buf sql = {0};
    pst_buf_init(&sql, SQL_BYTES);
    compose(&sql, w->page->entity);
    PST_TRY(pst_buf_check(&sql, err));
    return pst_db_stmt(w->conn, pst_buf_str(&sql), out, err);
}

/* ---- changes ---- */

static pst_code take_seqs(struct page_writer *w, int64_t count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    if (count == 0)
        return PST_OK;
    PST_TRY(pst_db_stmt(w->conn,
                        PST_STR("UPDATE connection SET last_seq = last_seq + ?2"
                                " WHERE pk = ?1 AND deleted_at IS NULL RETURNING last_seq"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, w->page->connection_pk);
    pst_stmt_bind_i64(st, 2, count);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_CONFLICT, "the connection was deleted");
    w->last_seq = pst_stmt_i64(st, 0);
    w->first_seq = w->next_seq = w->last_seq - count + 1;
    pst_db_notify(w->conn, w->page->connection_pk);
    return PST_OK;
}

/* The change row of w->next_seq, which is used up by it. */
static pst_code add_change(struct page_writer *w, enum change_op op, const void *id,
                           struct pst_err *err)
{
    const struct pst_page_commit *p = w->page;
    if (!w->change)
        PST_TRY(pst_db_stmt(w->conn,
                            PST_STR("INSERT INTO change (connection_pk, seq, stream_pk, op,"
                                    " record_id, at, sync_pk, fields)"
                                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
                            &w->change, err));
    pst_stmt_bind_i64(w->change, 1, p->connection_pk);
    pst_stmt_bind_i64(w->change, 2, w->next_seq++);
    pst_stmt_bind_i64(w->change, 3, p->stream_pk);
    pst_stmt_bind_i64(w->change, 4, op);
    pst_stmt_bind_blob(w->change, 5, id, PST_ID_RAW);
    pst_stmt_bind_wall(w->change, 6, p->now);
    pst_row_bind_ref(w->change, 7, p->sync_pk);
    pst_stmt_bind_str(w->change, 8, op == CHANGE_UPDATED ? pst_buf_str(&w->fields) : PST_STR(""));
    return pst_stmt_run(w->change, NULL, err);
}

/* ---- records ---- */

static void bind_filters(struct pst_stmt *st, const struct pst_entity *e,
                         const struct pst_mapped *mapped)
{
    for (size_t i = 0; i < e->filter_count; i++) {
        const struct pst_filter_value *v = &mapped->filters[i];
        int at = FIRST_FILTER + (int)i;
        switch (v->kind) {
        case PST_FILTER_NULL:
            pst_stmt_bind_null(st, at);
            break;
        case PST_FILTER_TEXT:
            pst_stmt_bind_str(st, at, v->text);
            break;
        case PST_FILTER_INT:
            pst_stmt_bind_i64(st, at, v->num);
            break;
        }
    }
}

/* Placeholders 1 to 11, the same for a new record and an update. */
static void bind_record(struct pst_stmt *st, const struct page_writer *w,
                        const struct pst_record_write *r)
{
    const struct pst_page_commit *p = w->page;
    pst_stmt_bind_i64(st, 1, p->connection_pk);
    pst_stmt_bind_i64(st, 2, w->next_seq);
    pst_stmt_bind_wall(st, 3, p->now);
    pst_stmt_bind_wall(st, 4, pst_wall_is_none(r->stamp) ? p->now : r->stamp);
    pst_stmt_bind_wall(st, 5, r->stamp);
    pst_stmt_bind_blob(st, 6, &r->source_hash, sizeof(r->source_hash));
    pst_stmt_bind_blob(st, 7, &r->mapped->hash, sizeof(r->mapped->hash));
    pst_stmt_bind_str(st, 8, r->mapped->data);
    pst_stmt_bind_blob(st, 9, r->source.ptr, r->source.len);
    pst_stmt_bind_i64(st, 10, r->dict);
    pst_stmt_bind_wall(st, 11, r->mapped->created);
    bind_filters(st, p->entity, r->mapped);
}

static pst_code write_created(struct page_writer *w, const struct pst_record_write *r,
                              struct pst_err *err)
{
    PST_TRY(open_stmt(w, add_insert, &w->insert, err));
    bind_record(w->insert, w, r);
    if (pst_wall_is_none(r->mapped->created))
        pst_stmt_bind_wall(w->insert, 11, w->page->now);
    int own = FIRST_FILTER + (int)w->page->entity->filter_count;
    pst_stmt_bind_blob(w->insert, own, r->id, PST_ID_RAW);
    pst_stmt_bind_blob(w->insert, own + 1, r->sort_key.ptr, r->sort_key.len);
    pst_stmt_bind_str(w->insert, own + 2, r->source_id);
    PST_TRY(pst_stmt_run(w->insert, NULL, err));
    w->live_delta++;
    return add_change(w, CHANGE_CREATED, r->id, err);
}

/* Where the fields are the same it is the times that moved. */
static void name_times(struct page_writer *w, const struct pst_record_write *r)
{
    pst_wall created = pst_stmt_wall(w->old, 2);
    bool is_created = !pst_wall_is_none(r->mapped->created) && r->mapped->created.us != created.us;
    bool is_updated = r->stamp.us != pst_stmt_wall(w->old, 3).us || !is_created;
    pst_buf_reset(&w->fields);
    pst_buf_addf(&w->fields, "[%s%s%s]", is_created ? "\"created_at\"" : "",
                 is_created && is_updated ? "," : "", is_updated ? "\"updated_at\"" : "");
}

static pst_code write_updated(struct page_writer *w, const struct pst_record_write *r,
                              struct pst_err *err)
{
    bool row = false;
    PST_TRY(open_stmt(w, add_old, &w->old, err));
    PST_TRY(open_stmt(w, add_update, &w->update, err));
    pst_stmt_bind_i64(w->old, 1, r->pk);
    pst_stmt_bind_i64(w->old, 2, w->page->connection_pk);
    PST_TRY(pst_stmt_step(w->old, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_CONFLICT, "a record to update is gone");
    bool is_back = pst_stmt_i64(w->old, 0) != 0;
    pst_buf_reset(&w->fields);
    if (!is_back)
        pst_model_diff(&w->fields, pst_stmt_str(w->old, 1), r->mapped->data);
    if (!is_back && pst_str_is(pst_buf_str(&w->fields), "[]"))
        name_times(w, r);
    pst_stmt_reset(w->old);
    PST_TRY(pst_buf_check(&w->fields, err));
    bind_record(w->update, w, r);
    pst_stmt_bind_i64(w->update, FIRST_FILTER + (int)w->page->entity->filter_count, r->pk);
    PST_TRY(pst_stmt_run(w->update, NULL, err));
    w->live_delta += is_back;
    return add_change(w, is_back ? CHANGE_CREATED : CHANGE_UPDATED, r->id, err);
}

static pst_code write_restamped(struct page_writer *w, const struct pst_record_write *r,
                                struct pst_err *err)
{
    PST_TRY(open_stmt(w, add_restamp, &w->restamp, err));
    pst_stmt_bind_i64(w->restamp, 1, r->pk);
    pst_stmt_bind_i64(w->restamp, 2, w->page->connection_pk);
    pst_stmt_bind_wall(w->restamp, 3, r->stamp);
    pst_stmt_bind_blob(w->restamp, 4, &r->source_hash, sizeof(r->source_hash));
    pst_stmt_bind_blob(w->restamp, 5, r->source.ptr, r->source.len);
    pst_stmt_bind_i64(w->restamp, 6, r->dict);
    return pst_stmt_run(w->restamp, NULL, err);
}

static pst_code write_records(struct page_writer *w, struct pst_err *err)
{
    const struct pst_page_commit *p = w->page;
    int64_t changed = 0;
    for (size_t i = 0; i < p->write_count; i++)
        changed += p->writes[i].op != PST_RECORD_RESTAMP;
    PST_TRY(take_seqs(w, changed, err));
    for (size_t i = 0; i < p->write_count; i++) {
        const struct pst_record_write *r = &p->writes[i];
        switch (r->op) {
        case PST_RECORD_CREATE:
            PST_TRY(write_created(w, r, err));
            break;
        case PST_RECORD_UPDATE:
            PST_TRY(write_updated(w, r, err));
            break;
        case PST_RECORD_RESTAMP:
            PST_TRY(write_restamped(w, r, err));
            break;
        }
    }
    return PST_OK;
}

/* ---- what else belongs to a page ---- */

static pst_code list_missing(struct page_writer *w, struct pst_err *err)
{
    const struct pst_page_commit *p = w->page;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_AUTO(buf) struct pst_buf sql = {0};
    if (p->missing_count == 0)
        return PST_OK;
    pst_buf_init(&sql, SQL_BYTES);
    pst_buf_addf(&sql,
                 "INSERT OR IGNORE INTO sync_missing (sync_pk, stream_pk, record_pk, seq)"
                 " SELECT ?1, ?2, pk, seq FROM %s"
                 " WHERE pk = ?3 AND conn = ?4 AND deleted_at IS NULL",
                 p->entity->table);
    PST_TRY(pst_buf_check(&sql, err));
    PST_TRY(pst_db_stmt(w->conn, pst_buf_str(&sql), &st, err));
    pst_stmt_bind_i64(st, 1, p->sync_pk);
    pst_stmt_bind_i64(st, 2, p->stream_pk);
    pst_stmt_bind_i64(st, 4, p->connection_pk);
    for (size_t i = 0; i < p->missing_count; i++) {
        pst_stmt_bind_i64(st, 3, p->missing[i]);
        PST_TRY(pst_stmt_run(st, NULL, err));
    }
    return PST_OK;
}

/* Keep one row aside, or what is new about one that is kept already. */
static pst_code keep_one(struct page_writer *w, const struct pst_rejected *r, struct pst_err *err)
{
    static const pst_str statements[] = {
        PST_STR_INIT("UPDATE rejected SET reason = ?3, source = ?4, sync_pk = ?5, last_at = ?6"
                     " WHERE stream_pk = ?1 AND source_id = ?2"),
        PST_STR_INIT("INSERT INTO rejected (stream_pk, source_id, reason, source, sync_pk,"
                     " first_at, last_at, connection_pk) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)"),
    };
    int64_t changes = 0;
    for (size_t i = 0; i < PST_COUNT(statements) && changes == 0; i++) {
        PST_AUTO(stmt) struct pst_stmt *st = NULL;
        PST_TRY(pst_db_stmt(w->conn, statements[i], &st, err));
        pst_stmt_bind_i64(st, 1, w->page->stream_pk);
        pst_stmt_bind_str(st, 2, r->source_id);
        pst_stmt_bind_str(st, 3, r->reason);
        pst_stmt_bind_str(st, 4, r->source);
        pst_row_bind_ref(st, 5, w->page->sync_pk);
        pst_stmt_bind_wall(st, 6, w->page->now);
        if (i == 1)
            pst_stmt_bind_i64(st, 7, w->page->connection_pk);
        PST_TRY(pst_stmt_run(st, &changes, err));
        w->rejected_delta += (int64_t)i;
    }
    return PST_OK;
}

static pst_code keep_rejected(struct page_writer *w, struct pst_err *err)
{
    const struct pst_page_commit *p = w->page;
    for (size_t i = 0; i < p->rejected_count; i++)
        PST_TRY(keep_one(w, &p->rejected[i], err));
    return PST_OK;
}

static pst_code drop_accepted(struct page_writer *w, struct pst_err *err)
{
    const struct pst_page_commit *p = w->page;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    if (p->accepted_count == 0)
        return PST_OK;
    PST_TRY(pst_db_stmt(w->conn,
                        PST_STR("DELETE FROM rejected WHERE stream_pk = ?1 AND source_id = ?2"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, p->stream_pk);
    for (size_t i = 0; i < p->accepted_count; i++) {
        int64_t gone = 0;
        pst_stmt_bind_str(st, 2, p->accepted_again[i]);
        PST_TRY(pst_stmt_run(st, &gone, err));
        w->rejected_delta -= gone;
    }
    return PST_OK;
}

/* Counts, and where the run goes on. */
static pst_code move_checkpoint(const struct page_writer *w, const struct pst_page_commit *p,
                                struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    int64_t changes = 0;
    PST_TRY(pst_db_stmt(
        w->conn,
        PST_STR("UPDATE sync_stream SET after_key = CASE ?3 WHEN '' THEN after_key ELSE ?3 END,"
                " sort_key = CASE length(?4) WHEN 0 THEN sort_key ELSE ?4 END,"
                " n_read = n_read + ?5, n_created = n_created + ?6, n_updated = n_updated + ?7,"
                " n_deleted = n_deleted + ?8, n_unchanged = n_unchanged + ?9,"
                " n_rejected = n_rejected + ?10, pages = pages + ?11,"
                " source_rows = source_rows + ?12, bytes = bytes + ?13, calls = calls + ?14,"
                " wait_us = wait_us + ?15, work_us = work_us + ?16,"
                " first_seq = coalesce(first_seq, ?17), last_seq = coalesce(?18, last_seq)"
                " WHERE sync_pk = ?1 AND stream_pk = ?2 AND ended_at IS NULL"),
        &st, err));
    pst_stmt_bind_i64(st, 1, p->sync_pk);
    pst_stmt_bind_i64(st, 2, p->stream_pk);
    pst_stmt_bind_str(st, 3, p->checkpoint);
    pst_stmt_bind_blob(st, 4, p->sort_key.ptr, p->sort_key.len);
    for (size_t i = 0; i < PST_SYNC_COUNTERS; i++)
        pst_stmt_bind_i64(st, 5 + (int)i, pst_sync_counts_at(&p->counts, i));
    pst_row_bind_ref(st, 17, w->first_seq);
    pst_row_bind_ref(st, 18, w->last_seq);
    PST_TRY(pst_stmt_run(st, &changes, err));
    if (changes == 0)
        return PST_FAIL(err, PST_E_CONFLICT, "the sync does not read that stream any more");
    return PST_OK;
}

static pst_code count_live(struct page_writer *w, struct pst_err *err)
{
    const int64_t values[] = {w->page->stream_pk, w->live_delta};
    if (w->live_delta == 0)
        return PST_OK;
    return pst_row_run(w->conn, PST_STR("UPDATE stream SET records = records + ?2 WHERE pk = ?1"),
                       values, 2, NULL, err);
}

pst_code pst_records_commit_page(struct pst_db_conn *conn, const struct pst_page_commit *page,
                                 struct pst_err *err)
{
    __attribute__((cleanup(fini_writer))) struct page_writer w = {.conn = conn, .page = page};
    pst_buf_init(&w.fields, FIELDS_BYTES);
    PST_TRY(pst_syncs_check_running(conn, page->sync_pk, err));
    PST_TRY(write_records(&w, err));
    PST_TRY(list_missing(&w, err));
    PST_TRY(keep_rejected(&w, err));
    PST_TRY(drop_accepted(&w, err));
    PST_TRY(pst_rejected_count(conn, page->stream_pk, w.rejected_delta, err));
    PST_TRY(move_checkpoint(&w, page, err));
    return count_live(&w, err);
}

/* ---- deleting what a full read missed ---- */

struct missing_record {
    int64_t pk;
    bool is_due; /* live, and as it was when it was listed */
    uint8_t id[PST_ID_RAW];
};

static pst_code read_missing(struct page_writer *w, size_t limit, struct missing_record *out,
                             size_t *count, int64_t *due, struct pst_err *err)
{
    const struct pst_page_commit *p = w->page;
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_AUTO(buf) struct pst_buf sql = {0};
    bool row = false;
    pst_buf_init(&sql, SQL_BYTES);
    pst_buf_addf(&sql,
                 "SELECT m.record_pk, r.deleted_at IS NULL AND r.seq = m.seq, r.id"
                 " FROM sync_missing m LEFT JOIN %s r ON r.pk = m.record_pk AND r.conn = ?4"
                 " WHERE m.sync_pk = ?1 AND m.stream_pk = ?2 ORDER BY m.record_pk LIMIT ?3",
                 p->entity->table);
    PST_TRY(pst_buf_check(&sql, err));
    PST_TRY(pst_db_stmt(w->conn, pst_buf_str(&sql), &st, err));
    pst_stmt_bind_i64(st, 1, p->sync_pk);
    pst_stmt_bind_i64(st, 2, p->stream_pk);
    pst_stmt_bind_i64(st, 3, (int64_t)limit);
    pst_stmt_bind_i64(st, 4, p->connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        struct missing_record *m = &out[(*count)++];
        pst_str id = pst_stmt_blob(st, 2);
        m->pk = pst_stmt_i64(st, 0);
        m->is_due = pst_stmt_i64(st, 1) != 0 && id.len == PST_ID_RAW;
        if (m->is_due)
            memcpy(m->id, id.ptr, PST_ID_RAW);
        *due += m->is_due;
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

static pst_code mark_deleted(struct page_writer *w, const struct missing_record *items,
                             size_t count, struct pst_err *err)
{
    const struct pst_page_commit *p = w->page;
    PST_AUTO(stmt) struct pst_stmt *mark = NULL;
    PST_AUTO(stmt) struct pst_stmt *off = NULL;
    PST_AUTO(buf) struct pst_buf sql = {0};
    pst_buf_init(&sql, SQL_BYTES);
    pst_buf_addf(&sql,
                 "UPDATE %s SET deleted_at = ?2, updated_at = ?2, synced_at = ?2, seq = ?3"
                 " WHERE pk = ?1",
                 p->entity->table);
    PST_TRY(pst_buf_check(&sql, err));
    PST_TRY(pst_db_stmt(w->conn, pst_buf_str(&sql), &mark, err));
    PST_TRY(pst_db_stmt(w->conn,
                        PST_STR("DELETE FROM sync_missing"
                                " WHERE sync_pk = ?1 AND stream_pk = ?2 AND record_pk = ?3"),
                        &off, err));
    pst_stmt_bind_i64(off, 1, p->sync_pk);
    pst_stmt_bind_i64(off, 2, p->stream_pk);
    for (size_t i = 0; i < count; i++) {
        pst_stmt_bind_i64(off, 3, items[i].pk);
        PST_TRY(pst_stmt_run(off, NULL, err));
        if (!items[i].is_due)
            continue;
        pst_stmt_bind_i64(mark, 1, items[i].pk);
        pst_stmt_bind_wall(mark, 2, p->now);
        pst_stmt_bind_i64(mark, 3, w->next_seq);
        PST_TRY(pst_stmt_run(mark, NULL, err));
        PST_TRY(add_change(w, CHANGE_DELETED, items[i].id, err));
    }
    return PST_OK;
}

static void free_missing(struct missing_record **items)
{
    pst_free(*items);
}

pst_code pst_records_delete_missing(struct pst_db_conn *conn, const struct pst_page_commit *page,
                                    size_t limit, int64_t *deleted, bool *left, struct pst_err *err)
{
    __attribute__((cleanup(fini_writer))) struct page_writer w = {.conn = conn, .page = page};
    __attribute__((cleanup(free_missing))) struct missing_record *items = NULL;
    size_t count = 0;
    int64_t due = 0;
    pst_buf_init(&w.fields, FIELDS_BYTES);
    PST_TRY(pst_syncs_check_running(conn, page->sync_pk, err));
    PST_TRY(pst_new((void **)&items, (limit ? limit : 1) * sizeof(*items), err));
    PST_TRY(read_missing(&w, limit, items, &count, &due, err));
    PST_TRY(take_seqs(&w, due, err));
    PST_TRY(mark_deleted(&w, items, count, err));
    w.live_delta = -due;
    PST_TRY(count_live(&w, err));
    const struct pst_page_commit progress = {
        .sync_pk = page->sync_pk, .stream_pk = page->stream_pk, .counts = {.deleted = due}};
    PST_TRY(move_checkpoint(&w, &progress, err));
    const int64_t of[] = {page->sync_pk, page->stream_pk};
    int64_t more = 0;
    PST_TRY(pst_row_int(conn,
                        PST_STR("SELECT 1 FROM sync_missing WHERE sync_pk = ?1 AND stream_pk = ?2"
                                " LIMIT 1"),
                        of, 2, &more, err));
    *deleted = due;
    *left = more != 0;
    return PST_OK;
}
