/* event/body.c: the envelope that all events have. */
#include "crypto/crypto.h"
#include "event/draft.h"

/* UUIDv7 whose random part is a hash of what the event tells. */
static struct pst_id make_id(pst_str type, const pst_str *unique, size_t count, pst_wall now)
{
    uint8_t digest[PST_SHA256_BYTES];
    uint8_t raw[PST_ID_RAW];
    pst_hmac_sha256(digest, type, unique, count);
    pst_id_v7(raw, now, digest);
    return pst_id_format("evt_", raw);
}

static void begin(struct pst_draft *d, const struct pst_event_subject *subject, pst_str type,
                  const pst_str *unique, size_t unique_count, pst_wall now)
{
    struct pst_json_writer *w = &d->w;
    *d = (struct pst_draft){.event = {.id = make_id(type, unique, unique_count, now),
                                      .organization_pk = subject->organization_pk,
                                      .connection_pk = subject->connection_pk,
                                      .connection_id = subject->connection_id,
                                      .type = type,
                                      .at = now}};
    pst_buf_init(&d->body, PST_EVENT_BODY_BYTES);
    pst_json_init(w, &d->body);
    pst_json_begin_object(w);
    pst_json_add_str(w, "id", pst_id_str(&d->event.id));
    pst_json_add_str(w, "type", type);
    pst_json_add_wall(w, "timestamp", now);
    pst_json_add_str(w, "organization_id", pst_id_str(&subject->organization_id));
    if (subject->connection_id.text[0])
        pst_json_add_str(w, "connection_id", pst_id_str(&subject->connection_id));
    else
        pst_json_add_null(w, "connection_id");
}

void pst_draft_begin(struct pst_draft *d, const struct pst_event_subject *subject, pst_str type,
                     const pst_str *unique, size_t unique_count, pst_wall now)
{
    begin(d, subject, type, unique, unique_count, now);
    pst_json_add_object(&d->w, "data");
}

void pst_draft_fill(struct pst_draft *d, const struct pst_event_subject *subject, pst_str type,
                    const pst_str *unique, size_t unique_count, pst_wall now, pst_str data)
{
    begin(d, subject, type, unique, unique_count, now);
    pst_json_add_raw(&d->w, "data", data);
}

pst_code pst_draft_send(struct pst_draft *d, struct pst_db_conn *conn, struct pst_err *err)
{
    while (d->w.depth > 0)
        pst_json_end_object(&d->w);
    PST_TRY(pst_json_finish(&d->w, err));
    d->event.body = pst_buf_str(&d->body);
    return pst_events_add(conn, &d->event, err);
}
