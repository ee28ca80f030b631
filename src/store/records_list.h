/* store/records_list.h: the statement of a list, for the test that explains it. Private to
 * src/store. */
#ifndef PST_STORE_RECORDS_LIST_H
#define PST_STORE_RECORDS_LIST_H

#include "base/buf.h"
#include "store/records.h"

/* The SQL that pst_records_list runs for this query. */
void pst_records_list_sql(struct pst_buf *out, const struct pst_record_query *query);

#endif
