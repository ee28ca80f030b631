/* store/indexes.c: filter indexes that wait until a table is filled.
 *
 * A third of what the writer does in a first full sync is keeping the indexes of filters, which
 * come in no order; made at once from a filled table they cost a fraction. So while a table that
 * was empty is filled, those of equality filters are left out. Ranges and orders need theirs at any
 * time (an order cannot be had without one); an equality is checked row by row meanwhile, under
 * the budget of records_list.c and in the same order, so that cursors stay good.
 *
 * Whether an index is there is what the schema says, so a crash leaves nothing to repair: opening
 * the store makes every index that is missing (tables.c).
 */
#include "store/records.h"
#include "store/rows.h"
#include "store/schema.h"

enum { SQL_BYTES = 1024 };

bool pst_tables_may_defer(const struct pst_filter *filter)
{
    return filter->field->type != PST_TYPE_DATE && filter->field->type != PST_TYPE_DATETIME;
}

pst_code pst_tables_has_index(struct pst_db_conn *conn, const struct pst_entity *entity,
                              const struct pst_filter *filter, bool *found, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn,
                        PST_STR("SELECT 1 FROM sqlite_schema"
                                " WHERE type = 'index' AND name = ?1 || '_' || ?2"),
                        &st, err));
    pst_stmt_bind_str(st, 1, pst_str_from(entity->table));
    pst_stmt_bind_str(st, 2, pst_str_from(filter->column));
    return pst_stmt_step(st, found, err);
}

/* The first index that is missing, or NULL. */
static pst_code find_missing(struct pst_db_conn *conn, const struct pst_entity *entity,
                             const struct pst_filter **out, struct pst_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < entity->filter_count && !*out; i++) {
        bool found = true;
        if (pst_tables_may_defer(&entity->filters[i]))
            PST_TRY(pst_tables_has_index(conn, entity, &entity->filters[i], &found, err));
        if (!found)
            *out = &entity->filters[i];
    }
    return PST_OK;
}

pst_code pst_records_lacks_index(struct pst_db_conn *conn, const struct pst_entity *entity,
                                 bool *lacks, struct pst_err *err)
{
    const struct pst_filter *missing = NULL;
    PST_TRY(find_missing(conn, entity, &missing, err));
    *lacks = missing != NULL;
    return PST_OK;
}

pst_code pst_records_defer_indexes(struct pst_db_conn *conn, const struct pst_entity *entity,
                                   bool *deferred, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf sql = {0};
    int64_t filled = 0;
    pst_buf_init(&sql, SQL_BYTES * PST_FILTERS_MAX);
    pst_buf_addf(&sql, "SELECT 1 FROM %s LIMIT 1", entity->table);
    PST_TRY(pst_buf_check(&sql, err));
    PST_TRY(pst_row_int(conn, pst_buf_str(&sql), NULL, 0, &filled, err));
    *deferred = filled == 0;
    if (filled)
        return PST_OK;
    pst_buf_reset(&sql);
    for (size_t i = 0; i < entity->filter_count; i++)
        if (pst_tables_may_defer(&entity->filters[i]))
            pst_buf_addf(&sql, "DROP INDEX IF EXISTS %s_%s;", entity->table,
                         entity->filters[i].column);
    PST_TRY(pst_buf_check(&sql, err));
    return pst_db_exec_script(conn, pst_buf_str(&sql), err);
}

pst_code pst_records_build_index(struct pst_db_conn *conn, const struct pst_entity *entity,
                                 bool *left, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf sql = {0};
    const struct pst_filter *missing = NULL;
    PST_TRY(find_missing(conn, entity, &missing, err));
    *left = missing != NULL;
    if (!missing)
        return PST_OK;
    pst_buf_init(&sql, SQL_BYTES);
    pst_tables_index_ddl(&sql, entity, missing);
    PST_TRY(pst_buf_check(&sql, err));
    return pst_db_exec_script(conn, pst_buf_str(&sql), err);
}
