/* store/deliveries_private.h: what the files of deliveries share. Private to src/store. */
#ifndef PST_STORE_DELIVERIES_PRIVATE_H
#define PST_STORE_DELIVERIES_PRIVATE_H

#include "store/deliveries.h"

/* The columns of a struct pst_delivery, from `delivery d`, `event e` and `connection c`; text of
 * the event's body, or NULL, has to follow as the last one. */
/* clang-format off */
#define PST_DELIVERY_COLUMNS                                                                       \
    "d.pk, d.id, d.endpoint_pk, d.connection_pk, c.id, d.event_pk, e.id, e.sample, d.loose,"       \
    " d.sequence, d.status, d.attempts, d.tries, d.first_try_at, d.open_before_us, d.due_at,"      \
    " d.refused_status, d.refused_count, d.refused_since, d.last_status, d.created_at,"            \
    " d.ended_at, e.type, d.last_error"
/* clang-format on */
enum { PST_DELIVERY_COLUMN_BODY = 24 };

/* Errors: NO_MEMORY, LIMIT. */
pst_code pst_delivery_read_row(struct pst_stmt *st, struct pst_arena *arena,
                               struct pst_delivery *out, struct pst_err *err);

/* For tests of the plan: what a range of failed ones is walked by, and one of all. */
void pst_deliveries_range_sql(pst_str out[2]);
void pst_deliveries_list_sql(pst_str *out);

#endif
