/* store/syncs_private.h: what the other files of the store ask of runs. Private to src/store. */
#ifndef PST_STORE_SYNCS_PRIVATE_H
#define PST_STORE_SYNCS_PRIVATE_H

#include "store/syncs.h"

enum { PST_SYNC_COUNTERS = 12 };

/* The counters in the order of their columns. */
int64_t pst_sync_counts_at(const struct pst_sync_counts *counts, size_t i);

/* Errors: CONFLICT when the run is not running or its connection was deleted, CANCELLED when
 * it was asked to stop. */
pst_code pst_syncs_check_running(struct pst_db_conn *conn, int64_t sync_pk, struct pst_err *err);

#endif
