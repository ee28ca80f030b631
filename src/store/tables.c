/* store/tables.c: one table per entity, made from the model.
 *
 * Columns that lists and merges look at stand before the large ones: SQLite keeps the front of
 * a long row in the leaf page, so walking and filtering never touch the overflow pages that
 * hold `data` and `source`.
 *
 * Filters are columns with indexes (conn, f_<field>, first_seq): the term is in the index and
 * the rows come in the order of first appearance. The model grows additively: a filter that is
 * new gets its column filled from the stored records, then its index. store/indexes.c leaves some
 * of them out for a time.
 */
#include "store/rows.h"
#include "store/schema.h"

enum { SQL_BYTES = 16384 };

/* clang-format off */
static const char front_columns[] =
    "pk INTEGER PRIMARY KEY,"
    " conn INTEGER NOT NULL,"
    " first_seq INTEGER NOT NULL,"
    " seq INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL,"
    " synced_at INTEGER NOT NULL,"
    " deleted_at INTEGER,"
    " stamp INTEGER,"
    " dict INTEGER NOT NULL,"
    " source_hash BLOB NOT NULL,"
    " hash BLOB NOT NULL,"
    " id BLOB NOT NULL,"
    " sort_key BLOB NOT NULL,"
    " source_id TEXT NOT NULL";
static const struct {
    const char *suffix, *unique, *columns, *where;
} common_indexes[] = {
    {"key", "UNIQUE ", "conn, sort_key", ""},
    {"id", "UNIQUE ", "id", ""},
    {"first", "", "conn, first_seq", ""},
    {"updated", "", "conn, updated_at, first_seq", ""},
    {"deleted", "", "deleted_at", " WHERE deleted_at IS NOT NULL"},
};
/* clang-format on */

static bool is_integer(const struct pst_filter *filter)
{
    enum pst_field_type type = filter->field->type;
    return type == PST_TYPE_INTEGER || type == PST_TYPE_BOOLEAN || type == PST_TYPE_DATETIME;
}

static const char *column_type(const struct pst_filter *filter)
{
    return is_integer(filter) ? "INTEGER" : "TEXT";
}

void pst_tables_index_ddl(struct pst_buf *out, const struct pst_entity *entity,
                          const struct pst_filter *filter)
{
    pst_buf_addf(out,
                 "CREATE INDEX IF NOT EXISTS %s_%s ON %s (conn, %s, first_seq)"
                 " WHERE %s IS NOT NULL;",
                 entity->table, filter->column, entity->table, filter->column, filter->column);
}

void pst_tables_ddl(struct pst_buf *out, const struct pst_entity *entity)
{
    pst_buf_addf(out, "CREATE TABLE IF NOT EXISTS %s (%s", entity->table, front_columns);
    for (size_t i = 0; i < entity->filter_count; i++)
        pst_buf_addf(out, ", %s %s", entity->filters[i].column, column_type(&entity->filters[i]));
    pst_buf_add_lit(out, ", data TEXT NOT NULL, source BLOB NOT NULL) STRICT;");
    for (size_t i = 0; i < PST_COUNT(common_indexes); i++)
        pst_buf_addf(out, "CREATE %sINDEX IF NOT EXISTS %s_%s ON %s (%s)%s;",
                     common_indexes[i].unique, entity->table, common_indexes[i].suffix,
                     entity->table, common_indexes[i].columns, common_indexes[i].where);
    for (size_t i = 0; i < entity->filter_count; i++)
        pst_tables_index_ddl(out, entity, &entity->filters[i]);
}

static pst_code has_column(struct pst_db_conn *conn, const struct pst_entity *entity,
                           const char *column, bool *found, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(conn, PST_STR("SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2"), &st,
                        err));
    pst_stmt_bind_str(st, 1, pst_str_from(entity->table));
    pst_stmt_bind_str(st, 2, pst_str_from(column));
    return pst_stmt_step(st, found, err);
}

/* Add the columns that a table made by an older model does not have. */
static pst_code add_columns(struct pst_db_conn *conn, const struct pst_entity *entity,
                            struct pst_buf *sql, struct pst_err *err)
{
    for (size_t i = 0; i < entity->filter_count; i++) {
        const struct pst_filter *f = &entity->filters[i];
        bool found = false;
        PST_TRY(has_column(conn, entity, f->column, &found, err));
        if (found)
            continue;
        pst_buf_reset(sql);
        pst_buf_addf(sql, "ALTER TABLE %s ADD COLUMN %s %s;", entity->table, f->column,
                     column_type(f));
        if (f->field->type == PST_TYPE_DATETIME)
            pst_buf_addf(sql,
                         "UPDATE %s SET %s = CAST(round((julianday(data ->> '$.%s') -"
                         " 2440587.5) * 86400000) AS INTEGER) * 1000;",
                         entity->table, f->column, f->field->name);
        else
            pst_buf_addf(sql, "UPDATE %s SET %s = data ->> '$.%s';", entity->table, f->column,
                         f->field->name);
        PST_TRY(pst_buf_check(sql, err));
        PST_TRY(pst_db_exec_script(conn, pst_buf_str(sql), err));
    }
    return PST_OK;
}

static pst_code has_table(struct pst_db_conn *conn, const struct pst_entity *entity, bool *found,
                          struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    PST_TRY(pst_db_stmt(
        conn, PST_STR("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1"), &st, err));
    pst_stmt_bind_str(st, 1, pst_str_from(entity->table));
    return pst_stmt_step(st, found, err);
}

pst_code pst_tables_update(struct pst_db_conn *conn, struct pst_err *err)
{
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    PST_AUTO(buf) struct pst_buf sql = {0};
    pst_buf_init(&sql, SQL_BYTES);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        PST_TRY(has_table(conn, &entities[i], &found, err));
        if (found)
            PST_TRY(add_columns(conn, &entities[i], &sql, err));
        pst_buf_reset(&sql);
        pst_tables_ddl(&sql, &entities[i]);
        PST_TRY(pst_buf_check(&sql, err));
        PST_TRY(pst_db_exec_script(conn, pst_buf_str(&sql), err));
    }
    return PST_OK;
}
