/* store/records_read.c: states for the merge, single records, counts. */
#include "base/buf.h"
#include "store/records.h"
#include "store/rows.h"

enum { SQL_BYTES = 2048 };

static pst_code open_stmt(struct pst_db_conn *conn, struct pst_stmt **out, struct pst_err *err,
                          const char *format, const struct pst_entity *entity)
    __attribute__((format(printf, 4, 0)));

/* The statement `format` with the entity's table in its one %s. */
static pst_code open_stmt(struct pst_db_conn *conn, struct pst_stmt **out, struct pst_err *err,
                          const char *format, const struct pst_entity *entity)
{
    char sql[SQL_BYTES];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = snprintf(sql, sizeof(sql), format, entity->table);
#pragma GCC diagnostic pop
    if (n < 0 || (size_t)n >= sizeof(sql))
        return PST_FAIL(err, PST_E_INTERNAL, "a statement is too long");
    return pst_db_stmt(conn, (pst_str){sql, (size_t)n}, out, err);
}

static bool read_hash(pst_hash128 *out, pst_str bytes)
{
    if (bytes.len != sizeof(*out))
        return false;
    memcpy(out, bytes.ptr, sizeof(*out));
    return true;
}

/* Columns pk, source_hash, hash, stamp, deleted_at from 0 on. */
static pst_code read_state(struct pst_stmt *st, struct pst_record_state *out, struct pst_err *err)
{
    out->pk = pst_stmt_i64(st, 0);
    out->stamp = pst_stmt_wall(st, 3);
    out->deleted = !pst_stmt_is_null(st, 4);
    if (!read_hash(&out->source_hash, pst_stmt_blob(st, 1)) ||
        !read_hash(&out->hash, pst_stmt_blob(st, 2)))
        return PST_FAIL(err, PST_E_CORRUPT, "record %lld has no hash", (long long)out->pk);
    return PST_OK;
}

pst_code pst_records_states(struct pst_db_conn *conn, const struct pst_entity *entity,
                            int64_t connection_pk, pst_str after, pst_str upto, size_t limit,
                            struct pst_arena *arena, struct pst_record_states *out, bool *more,
                            struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_record_state *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_arena_array(arena, &items, limit, sizeof(*items), err));
    if (upto.len)
        PST_TRY(open_stmt(conn, &st, err,
                          "SELECT pk, source_hash, hash, stamp, deleted_at, sort_key FROM %s"
                          " WHERE conn = ?1 AND sort_key > ?2 AND sort_key <= ?4"
                          " ORDER BY sort_key LIMIT ?3",
                          entity));
    else
        PST_TRY(open_stmt(conn, &st, err,
                          "SELECT pk, source_hash, hash, stamp, deleted_at, sort_key FROM %s"
                          " WHERE conn = ?1 AND sort_key > ?2 ORDER BY sort_key LIMIT ?3",
                          entity));
    pst_stmt_bind_i64(st, 1, connection_pk);
    pst_stmt_bind_blob(st, 2, after.ptr, after.len);
    pst_stmt_bind_i64(st, 3, (int64_t)limit + 1);
    if (upto.len)
        pst_stmt_bind_blob(st, 4, upto.ptr, upto.len);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < limit) {
        struct pst_record_state *s = &items[n++];
        PST_TRY(read_state(st, s, err));
        PST_TRY(pst_row_blob(st, 5, arena, &s->sort_key, err));
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = (struct pst_record_states){items, n};
    *more = row;
    return PST_OK;
}

pst_code pst_records_states_of(struct pst_db_conn *conn, const struct pst_entity *entity,
                               int64_t connection_pk, const pst_str *sort_keys, size_t count,
                               struct pst_record_state *out, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(open_stmt(conn, &st, err,
                      "SELECT pk, source_hash, hash, stamp, deleted_at FROM %s"
                      " WHERE conn = ?1 AND sort_key = ?2",
                      entity));
    pst_stmt_bind_i64(st, 1, connection_pk);
    for (size_t i = 0; i < count; i++) {
        bool row = false;
        out[i] = (struct pst_record_state){.sort_key = sort_keys[i], .stamp = PST_WALL_NONE};
        pst_stmt_bind_blob(st, 2, sort_keys[i].ptr, sort_keys[i].len);
        PST_TRY(pst_stmt_step(st, &row, err));
        if (row)
            PST_TRY(read_state(st, &out[i], err));
        pst_stmt_reset(st);
    }
    return PST_OK;
}

pst_code pst_records_times(struct pst_db_conn *conn, const struct pst_entity *entity,
                           int64_t connection_pk, int64_t pk, struct pst_record_times *out,
                           struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(open_stmt(conn, &st, err,
                      "SELECT created_at, updated_at FROM %s WHERE pk = ?1 AND conn = ?2", entity));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_i64(st, 2, connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_CONFLICT, "a record is gone");
    *out = (struct pst_record_times){pst_stmt_wall(st, 0), pst_stmt_wall(st, 1)};
    return PST_OK;
}

pst_code pst_records_guard_counts(struct pst_db_conn *conn, const struct pst_entity *entity,
                                  int64_t connection_pk, int64_t sync_pk, pst_wall from,
                                  int64_t *live, int64_t *missing, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_AUTO(stmt) struct pst_stmt *of_list = NULL;
    bool row = false;
    if (pst_wall_is_none(from)) {
        PST_TRY(pst_records_count(conn, entity, connection_pk, live, err));
    } else {
        PST_TRY(open_stmt(conn, &st, err,
                          "SELECT count(*) FROM %s"
                          " WHERE conn = ?1 AND deleted_at IS NULL AND stamp >= ?2",
                          entity));
        pst_stmt_bind_i64(st, 1, connection_pk);
        pst_stmt_bind_wall(st, 2, from);
        PST_TRY(pst_stmt_step(st, &row, err));
        *live = pst_stmt_i64(st, 0);
    }
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT count(*) FROM sync_missing m"
                                " JOIN stream s ON s.pk = m.stream_pk"
                                " WHERE m.sync_pk = ?1 AND s.entity = ?2"),
                        &of_list, err));
    pst_stmt_bind_i64(of_list, 1, sync_pk);
    pst_stmt_bind_str(of_list, 2, pst_str_from(entity->name));
    PST_TRY(pst_stmt_step(of_list, &row, err));
    *missing = pst_stmt_i64(of_list, 0);
    return PST_OK;
}

pst_code pst_records_get(struct pst_db_conn *conn, const struct pst_entity *entity,
                         int64_t connection_pk, const uint8_t id[PST_ID_RAW], bool with_source,
                         struct pst_arena *arena, struct pst_record_row *out, bool *found,
                         struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(open_stmt(conn, &st, err,
                      "SELECT first_seq, seq, created_at, updated_at, synced_at, deleted_at, dict,"
                      " source_id, data, CASE ?3 WHEN 1 THEN source END FROM %s"
                      " WHERE id = ?1 AND conn = ?2",
                      entity));
    pst_stmt_bind_blob(st, 1, id, PST_ID_RAW);
    pst_stmt_bind_i64(st, 2, connection_pk);
    pst_stmt_bind_i64(st, 3, with_source);
    PST_TRY(pst_stmt_step(st, found, err));
    if (!*found)
        return PST_OK;
    *out = (struct pst_record_row){
        .first_seq = pst_stmt_i64(st, 0),
        .seq = pst_stmt_i64(st, 1),
        .created_at = pst_stmt_wall(st, 2),
        .updated_at = pst_stmt_wall(st, 3),
        .synced_at = pst_stmt_wall(st, 4),
        .deleted_at = pst_stmt_wall(st, 5),
        .dict = pst_stmt_i64(st, 6),
    };
    memcpy(out->id, id, PST_ID_RAW);
    PST_TRY(pst_row_text(st, 7, arena, &out->source_id, err));
    PST_TRY(pst_row_text(st, 8, arena, &out->data, err));
    return pst_row_blob(st, 9, arena, &out->source, err);
}

pst_code pst_records_count(struct pst_db_conn *conn, const struct pst_entity *entity,
                           int64_t connection_pk, int64_t *live, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(
        conn, PST_STR("SELECT records FROM stream WHERE connection_pk = ?1 AND entity = ?2"), &st,
        err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    pst_stmt_bind_str(st, 2, pst_str_from(entity->name));
    PST_TRY(pst_stmt_step(st, &row, err));
    *live = row ? pst_stmt_i64(st, 0) : 0;
    return PST_OK;
}
