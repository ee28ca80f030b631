/* event/draft.h: an event while it is written. Private to this module. */
#ifndef PST_EVENT_DRAFT_H
#define PST_EVENT_DRAFT_H

#include "codec/json.h"
#include "event/event.h"

enum { PST_EVENT_BODY_BYTES = 1 << 20 };

/* Whom it tells about. Texts are borrowed. */
struct pst_event_subject {
    int64_t organization_pk, connection_pk; /* connection_pk 0 = none */
    struct pst_id organization_id, connection_id; /* connection_id "" then */
};

struct pst_draft {
    struct pst_buf body;
    struct pst_json_writer w; /* inside "data", an object, between begin and send */
    struct pst_event event;
};

/* The envelope up to the beginning of "data". unique: what no other event of that millisecond has.
 */
void pst_draft_begin(struct pst_draft *d, const struct pst_event_subject *subject, pst_str type,
                     const pst_str *unique, size_t unique_count, pst_wall now);
/* The same with a whole "data" given as JSON; for samples. */
void pst_draft_fill(struct pst_draft *d, const struct pst_event_subject *subject, pst_str type,
                    const pst_str *unique, size_t unique_count, pst_wall now, pst_str data);
/* End it and write it into the outbox. d->event.body is valid until fini. */
pst_code pst_draft_send(struct pst_draft *d, struct pst_db_conn *conn, struct pst_err *err);

static inline void pst_auto_draft(struct pst_draft *d)
{
    pst_buf_fini(&d->body);
}

#endif
