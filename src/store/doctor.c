/* store/doctor.c: do the contents of a store agree with each other? What a check of the file
 * cannot see: gaps in sequences, counters that are off, records that are not what was written. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "model/mapping.h"
#include "store/rows.h"
#include "store/store.h"

enum { SQL_BYTES = 1024, TEXT_BYTES = 512 };

struct report {
    struct pst_db_conn *conn;
    void (*found)(void *self, pst_str text);
    void *self;
    int64_t findings;
};

static void add_finding(struct report *r, pst_str text)
{
    r->findings++;
    r->found(r->self, text);
}

/* Each row of the statement is one finding, in words, in its first column. */
static pst_code report_rows(struct report *r, pst_str sql, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(r->conn, sql, &st, err));
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        add_finding(r, pst_stmt_str(st, 0));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

static const pst_str common_checks[] = {
    PST_STR_INIT("SELECT 'connection ' || c.pk || ': its last change is ' || c.last_seq ||"
                 " ', the feed has ' || count(*) || ' from ' || min(x.seq) || ' to ' || max(x.seq)"
                 " FROM connection c JOIN change x ON x.connection_pk = c.pk WHERE c.purge = 0"
                 " GROUP BY c.pk"
                 " HAVING max(x.seq) <> c.last_seq OR count(*) <> max(x.seq) - min(x.seq) + 1"),
    PST_STR_INIT("SELECT 'stream ' || s.pk || ' is held by a sync that has ended' FROM stream s"
                 " LEFT JOIN sync y ON y.pk = s.sync_pk"
                 " WHERE s.sync_pk IS NOT NULL AND (y.pk IS NULL OR y.ended_at IS NOT NULL)"),
    PST_STR_INIT("SELECT 'stream ' || s.pk || ' counts ' || s.rejected || ' rejected rows, there"
                 " are ' || (SELECT count(*) FROM rejected r WHERE r.stream_pk = s.pk)"
                 " FROM stream s JOIN connection c ON c.pk = s.connection_pk AND c.purge = 0"
                 " WHERE s.rejected <> (SELECT count(*) FROM rejected r"
                 " WHERE r.stream_pk = s.pk)"),
    PST_STR_INIT("SELECT 'change ' || x.seq || ' of connection ' || x.connection_pk || ' belongs to"
                 " no stream' FROM change x LEFT JOIN stream s ON s.pk = x.stream_pk"
                 " WHERE s.pk IS NULL LIMIT 100"),
    PST_STR_INIT(
        "SELECT 'organization ' || o.pk || ' uses ' || o.credits_used || ' credits, its"
        " connections hold ' || (SELECT coalesce(sum(credits), 0) FROM connection"
        " WHERE organization_pk = o.pk) || ', its ledger has ' ||"
        " (SELECT coalesce(sum(amount), 0) FROM credit_entry WHERE organization_pk = o.pk)"
        " FROM organization o WHERE o.credits_used <> (SELECT coalesce(sum(credits), 0)"
        " FROM connection WHERE organization_pk = o.pk) OR o.credits_used <>"
        " (SELECT coalesce(sum(amount), 0) FROM credit_entry WHERE organization_pk = o.pk)"),
};

/* %s is the entity's table, twice; ?1 its name. */
static const char *const entity_checks[] = {
    "SELECT 'stream ' || s.pk || ' counts ' || s.records || ' live records, there are ' ||"
    " (SELECT count(*) FROM %s WHERE conn = s.connection_pk AND deleted_at IS NULL)"
    " FROM stream s JOIN connection c ON c.pk = s.connection_pk AND c.purge = 0"
    " WHERE s.entity = ?1 AND s.records <> (SELECT count(*) FROM %s"
    " WHERE conn = s.connection_pk AND deleted_at IS NULL)",
    "SELECT '%s: record ' || r.pk || ' belongs to no stream, or its seq lies behind the"
    " connection''s' FROM %s r LEFT JOIN connection c ON c.pk = r.conn"
    " LEFT JOIN stream s ON s.connection_pk = r.conn AND s.entity = ?1"
    " WHERE s.pk IS NULL OR c.pk IS NULL OR r.seq > c.last_seq OR r.first_seq > r.seq LIMIT 100",
};

static pst_code check_hashes(struct report *r, const struct pst_entity *e, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    char sql[SQL_BYTES];
    bool row = false;
    (void)snprintf(sql, sizeof(sql), "SELECT pk, hash, data FROM %s", e->table);
    PST_TRY(pst_db_stmt(r->conn, pst_str_from(sql), &st, err));
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row) {
        pst_str hash = pst_stmt_blob(st, 1);
        pst_str data = pst_stmt_str(st, 2);
        XXH128_hash_t h = XXH3_128bits(data.ptr, data.len);
        pst_hash128 now = {.lo = h.low64, .hi = h.high64};
        if (hash.len != sizeof(now) || memcmp(hash.ptr, &now, sizeof(now)) != 0) {
            char text[TEXT_BYTES];
            (void)snprintf(text, sizeof(text), "%s: record %lld is not what was written", e->table,
                           (long long)pst_stmt_i64(st, 0));
            add_finding(r, pst_str_from(text));
        }
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    return PST_OK;
}

static pst_code check_entity(struct report *r, const struct pst_entity *e, struct pst_err *err)
{
    for (size_t i = 0; i < PST_COUNT(entity_checks); i++) {
        PST_AUTO(stmt) struct pst_stmt *st = NULL;
        char sql[SQL_BYTES];
        bool row = false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(sql, sizeof(sql), entity_checks[i], e->table, e->table);
#pragma GCC diagnostic pop
        PST_TRY(pst_db_stmt(r->conn, pst_str_from(sql), &st, err));
        pst_stmt_bind_str(st, 1, pst_str_from(e->name));
        PST_TRY(pst_stmt_step(st, &row, err));
        while (row) {
            add_finding(r, pst_stmt_str(st, 0));
            PST_TRY(pst_stmt_step(st, &row, err));
        }
    }
    return check_hashes(r, e, err);
}

pst_code pst_store_audit(struct pst_db_conn *conn, void (*found)(void *self, pst_str text),
                         void *self, int64_t *findings, struct pst_err *err)
{
    struct report r = {.conn = conn, .found = found, .self = self};
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    for (size_t i = 0; i < PST_COUNT(common_checks); i++)
        PST_TRY(report_rows(&r, common_checks[i], err));
    for (size_t i = 0; i < count; i++)
        PST_TRY(check_entity(&r, &entities[i], err));
    *findings = r.findings;
    return PST_OK;
}
