/* store/syncs_private.h: what the other files of the store ask of runs. Private to src/store. */
#ifndef PST_STORE_SYNCS_PRIVATE_H
#define PST_STORE_SYNCS_PRIVATE_H

#include "store/syncs.h"

enum { PST_SYNC_COUNTERS = 12 };

/* The counters in the order of their columns. */
int64_t pst_sync_counts_at(const struct pst_sync_counts *counts, size_t i);

/* What the tests look at the plans of: the list of all or of some statuses, whether there is an own
 * run, the open ones of one connection or of all. */
pst_str pst_syncs_list_sql(bool has_statuses);
pst_str pst_syncs_has_own_sql(void);
pst_str pst_syncs_count_open_sql(bool of_one);

/* Errors: CONFLICT when the run is not running or its connection was deleted, CANCELLED when
 * it was asked to stop. */
pst_code pst_syncs_check_running(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err);

#endif
