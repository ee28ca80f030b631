/* store/schema.h: the store's tables. Private to src/store. */
#ifndef PST_STORE_SCHEMA_H
#define PST_STORE_SCHEMA_H

#include "base/buf.h"
#include "db/db.h"
#include "model/model.h"

const struct pst_migration *pst_schema_migrations(size_t *count);

/* The CREATE TABLE and CREATE INDEX statements of an entity's table, each "IF NOT EXISTS". */
void pst_tables_ddl(struct pst_buf *out, const struct pst_entity *entity);

/* The CREATE INDEX statement of one filter, "IF NOT EXISTS". */
void pst_tables_index_ddl(struct pst_buf *out, const struct pst_entity *entity,
                          const struct pst_filter *filter);

/* Whether the filter's index may be missing while the table is filled for the first time. */
bool pst_tables_may_defer(const struct pst_filter *filter);
pst_code pst_tables_has_index(struct pst_db_conn *conn, const struct pst_entity *entity,
                              const struct pst_filter *filter, bool *found, struct pst_err *err);

/* Inside a transaction: make the tables, columns and indexes of the model that are missing.
 * A column added to a table with rows is filled from the stored records. */
pst_code pst_tables_update(struct pst_db_conn *conn, struct pst_err *err);

#endif
