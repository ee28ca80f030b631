/* store/streams.c: the rows of streams, and the dictionaries of their source copies. */
#include "store/streams.h"

#include "store/dictionaries.h"
#include "store/rows.h"

/* clang-format off */
#define COLUMNS                                                                                    \
    "SELECT s.pk, s.connection_pk, s.entity, s.synced_to, s.sync_pk, y.id, p.status,"              \
    " s.last_success_at, s.last_attempt_at, s.last_full_at, s.records,"                            \
    " s.rejected, s.mapping_version, s.dict,"                                                      \
    " s.error_code, s.error_message, s.columns, s.columns_at, s.unguarded"                         \
    " FROM stream s LEFT JOIN sync y ON y.pk = s.sync_pk"                                          \
    " LEFT JOIN sync_stream p ON p.sync_pk = s.sync_pk AND p.stream_pk = s.pk "                    \
    "WHERE s.connection_pk = ?1 "
/* clang-format on */

static pst_code read_stream(struct pst_stmt *st, struct pst_arena *arena,
                            struct pst_stream_state *out, struct pst_err *err)
{
    *out = (struct pst_stream_state){
        .pk = pst_stmt_i64(st, 0),
        .connection_pk = pst_stmt_i64(st, 1),
        .entity = pst_model_entity(pst_stmt_str(st, 2)),
        .synced_to = pst_stmt_wall(st, 3),
        .sync_pk = pst_stmt_i64(st, 4),
        .sync_id = pst_row_id(st, 5, "sync_"),
        .running = pst_str_is(pst_stmt_str(st, 6), "running"),
        .last_success_at = pst_stmt_wall(st, 7),
        .last_attempt_at = pst_stmt_wall(st, 8),
        .last_full_at = pst_stmt_wall(st, 9),
        .records = pst_stmt_i64(st, 10),
        .rejected = pst_stmt_i64(st, 11),
        .mapping_version = (uint64_t)pst_stmt_i64(st, 12),
        .dict = pst_stmt_i64(st, 13),
        .columns_at = pst_stmt_wall(st, 17),
        .unguarded = pst_stmt_i64(st, 18) != 0,
    };
    pst_str *const texts[] = {&out->error_code, &out->error_message, &out->columns};
    return pst_row_texts(st, 14, PST_COUNT(texts), arena, texts, err);
}

pst_code pst_streams_ensure(struct pst_db_conn *conn, int64_t connection_pk,
                            const struct pst_entity *entity, int64_t *pk, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *find = NULL;
    PST_AUTO(stmt) struct pst_stmt *insert = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT pk FROM stream WHERE connection_pk = ?1 AND entity = ?2"),
                        &find, err));
    pst_stmt_bind_i64(find, 1, connection_pk);
    pst_stmt_bind_str(find, 2, pst_str_from(entity->name));
    PST_TRY(pst_stmt_step(find, &row, err));
    if (row) {
        *pk = pst_stmt_i64(find, 0);
        return PST_OK;
    }
    PST_TRY(pst_db_stmt(conn, PST_STR("INSERT INTO stream (connection_pk, entity) VALUES (?1, ?2)"),
                        &insert, err));
    pst_stmt_bind_i64(insert, 1, connection_pk);
    pst_stmt_bind_str(insert, 2, pst_str_from(entity->name));
    PST_TRY(pst_stmt_run(insert, NULL, err));
    *pk = pst_db_last_rowid(conn);
    return PST_OK;
}

pst_code pst_streams_set_columns(struct pst_db_conn *conn, int64_t pk, pst_str columns,
                                 pst_wall now, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(
        conn, PST_STR("UPDATE stream SET columns = ?2, columns_at = ?3 WHERE pk = ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_str(st, 2, columns);
    pst_stmt_bind_wall(st, 3, now);
    return pst_stmt_run(st, NULL, err);
}

pst_code pst_streams_set_mapping(struct pst_db_conn *conn, int64_t pk, uint64_t version,
                                 struct pst_err *err)
{
    const int64_t values[] = {pk, (int64_t)version};
    return pst_row_run(conn, PST_STR("UPDATE stream SET mapping_version = ?2 WHERE pk = ?1"),
                       values, PST_COUNT(values), NULL, err);
}

pst_code pst_streams_get(struct pst_db_conn *conn, int64_t connection_pk,
                         const struct pst_entity *entity, struct pst_arena *arena,
                         struct pst_stream_state *out, bool *found, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn, PST_STR(COLUMNS "AND s.entity = ?2"), &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    pst_stmt_bind_str(st, 2, pst_str_from(entity->name));
    PST_TRY(pst_stmt_step(st, found, err));
    return *found ? read_stream(st, arena, out, err) : PST_OK;
}

pst_code pst_streams_list(struct pst_db_conn *conn, int64_t connection_pk, struct pst_arena *arena,
                          struct pst_stream_state **out, size_t *count, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct pst_stream_state *items = NULL;
    size_t n = 0;
    bool row = false;
    PST_TRY(pst_arena_array(arena, &items, PST_ENTITIES_MAX, sizeof(*items), err));
    PST_TRY(pst_db_stmt(conn, PST_STR(COLUMNS "ORDER BY s.entity"), &st, err));
    pst_stmt_bind_i64(st, 1, connection_pk);
    PST_TRY(pst_stmt_step(st, &row, err));
    while (row && n < PST_ENTITIES_MAX) {
        PST_TRY(read_stream(st, arena, &items[n], err));
        n += items[n].entity != NULL;
        PST_TRY(pst_stmt_step(st, &row, err));
    }
    *out = items;
    *count = n;
    return PST_OK;
}

pst_code pst_streams_rewind(struct pst_db_conn *conn, int64_t pk, pst_wall synced_to,
                            bool unguarded, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("UPDATE stream SET synced_to = ?2, unguarded = max(unguarded, ?3)"
                                " WHERE pk = ?1"),
                        &st, err));
    pst_stmt_bind_i64(st, 1, pk);
    pst_stmt_bind_wall(st, 2, synced_to);
    pst_stmt_bind_i64(st, 3, unguarded);
    PST_TRY(pst_stmt_run(st, NULL, err));
    return pst_row_run(
        conn,
        PST_STR("UPDATE sync_stream SET after_key = '' WHERE stream_pk = ?1"
                " AND status IN ('failed', 'cancelled') AND sync_pk IN (SELECT pk FROM sync"
                " WHERE connection_pk ="
                " (SELECT connection_pk FROM stream WHERE pk = ?1))"),
        &pk, 1, NULL, err);
}

/* ---- dictionaries ---- */

pst_code pst_dictionaries_add(struct pst_db_conn *conn, int64_t stream_pk, pst_str bytes,
                              pst_wall now, int64_t *id, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(
        conn, PST_STR("INSERT INTO dictionary (stream_pk, created_at, bytes) VALUES (?1, ?2, ?3)"),
        &st, err));
    pst_stmt_bind_i64(st, 1, stream_pk);
    pst_stmt_bind_wall(st, 2, now);
    pst_stmt_bind_blob(st, 3, bytes.ptr, bytes.len);
    PST_TRY(pst_stmt_run(st, NULL, err));
    *id = pst_db_last_rowid(conn);
    const int64_t values[] = {stream_pk, *id};
    return pst_row_run(conn, PST_STR("UPDATE stream SET dict = ?2 WHERE pk = ?1"), values,
                       PST_COUNT(values), NULL, err);
}

pst_code pst_dictionaries_get(struct pst_db_conn *conn, int64_t id, struct pst_arena *arena,
                              pst_str *bytes, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    bool row = false;
    PST_TRY(pst_db_stmt(conn, PST_STR("SELECT bytes FROM dictionary WHERE pk = ?1"), &st, err));
    pst_stmt_bind_i64(st, 1, id);
    PST_TRY(pst_stmt_step(st, &row, err));
    if (!row)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no dictionary %lld", (long long)id);
    return pst_row_blob(st, 0, arena, bytes, err);
}
