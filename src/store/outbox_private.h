/* store/outbox_private.h: what the files about events, endpoints and deliveries share. Private to
 * src/store.
 */
#ifndef PST_STORE_OUTBOX_PRIVATE_H
#define PST_STORE_OUTBOX_PRIVATE_H

#include "store/deliveries.h"
#include "store/events.h"

enum {
    PST_OUTBOX_SCAN = 10000, /* rows that one call of a list looks at */
    /* What a row takes about, indexes included, beside its texts. */
    PST_OUTBOX_EVENT_BYTES = 200,
    PST_OUTBOX_DELIVERY_BYTES = 400,
    PST_OUTBOX_ATTEMPT_BYTES = 100,
};

/* Count what was written or, negative, removed. Inside a writer job. */
pst_code pst_outbox_count(struct pst_db_conn *conn, int64_t events, int64_t bytes,
                          struct pst_err *err);

/* A delivery of an event to an endpoint. */
struct pst_outbox_entry {
    int64_t endpoint_pk, connection_pk, event_pk;
    uint8_t endpoint_id[PST_ID_RAW], event_id[PST_ID_RAW];
    bool is_loose, is_sample;
    pst_wall now;
};
/* Write it, due now, with the next sequence of its endpoint and connection; 0 for a sample. Inside
 * a writer job. Errors: CONFLICT (this event was queued for this endpoint before). */
pst_code pst_outbox_queue(struct pst_db_conn *conn, const struct pst_outbox_entry *entry,
                          int64_t *pk, struct pst_id *id, int64_t *sequence, struct pst_err *err);

/* Whether an endpoint wants a type: what was chosen for the connection, else its own events. */
static inline bool pst_outbox_wants(pst_str own, bool is_chosen, pst_str chosen, pst_str type)
{
    return pst_events_match(is_chosen ? chosen : own, type);
}

/* Whether type is among those of a query ("" = every type). */
bool pst_outbox_is_asked_for(pst_str types, pst_str type);

/* The pk of the oldest event that is kept; the next one to be written when there is none. */
pst_code pst_outbox_oldest(struct pst_db_conn *conn, int64_t *pk, struct pst_err *err);

#endif
