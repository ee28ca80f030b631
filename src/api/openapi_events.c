/* api/openapi_events.c: OpenAPI's "webhooks": what is sent to a receiver, out of the table of event
 * types. */
#include "api/internal.h"

enum { SCHEMA_BYTES = 64 << 10 };

/* The headers that say something; what HTTP itself needs is left out. */
static const struct {
    const char *name, *schema, *description;
} headers[] = {
    {"webhook-id", "{\"type\":\"string\"}",
     "The event's id, the same on every attempt: what a receiver knows duplicates by."},
    {"webhook-timestamp", "{\"type\":\"integer\"}", "Seconds since 1970, of this attempt."},
    {"webhook-signature", "{\"type\":\"string\"}",
     "Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body` (`v1a,` for "
     "ed25519); several, separated by blanks, while a secret is rotated."},
    {"penstock-sequence", "{\"type\":\"integer\",\"minimum\":0}",
     "Counts what is queued for this webhook of a connection: 1, 2, 3, ...; 0 of a sample. A gap "
     "is an event that was given up or dropped, and may be filled later; a restore of the server "
     "leaps far ahead. What a re-send adds gets new numbers, higher than those of newer events."},
    {"penstock-delivery", "{\"type\":\"string\"}", "The delivery's id."},
    {"penstock-attempt", "{\"type\":\"integer\",\"minimum\":1}", "Of this delivery."},
    {"penstock-event-version", "{\"type\":\"integer\",\"minimum\":1}",
     "Of the shape of `data`. Within one, members may come, none goes or changes."},
};

static void put_headers(struct pst_json_writer *w)
{
    pst_json_add_array(w, "parameters");
    for (size_t i = 0; i < PST_COUNT(headers); i++) {
        pst_json_begin_object(w);
        pst_json_add_z(w, "name", headers[i].name);
        pst_json_add_z(w, "in", "header");
        pst_json_add_bool(w, "required", true);
        pst_json_add_z(w, "description", headers[i].description);
        pst_json_add_raw(w, "schema", pst_str_from(headers[i].schema));
        pst_json_end_object(w);
    }
    pst_json_end_array(w);
}

static void put_body(struct pst_json_writer *w, const struct pst_event_type *type)
{
    PST_AUTO(buf) struct pst_buf schema = {.max = SCHEMA_BYTES};
    pst_event_schema(&schema, type);
    pst_json_add_object(w, "requestBody");
    pst_json_add_bool(w, "required", true);
    pst_json_add_object(w, "content");
    pst_json_add_object(w, "application/json");
    pst_json_add_raw(w, "schema", pst_buf_str(&schema));
    pst_json_put_name(w, PST_STR("example"));
    pst_api_put_sample(w, type);
    pst_json_end_object(w);
    pst_json_end_object(w);
    pst_json_end_object(w);
}

static void put_answers(struct pst_json_writer *w)
{
    static const struct {
        const char *status, *description;
    } answers[] = {
        {"2XX", "Received. The body is not looked at."},
        {"410", "The receiver is gone: the webhook is disabled at once."},
        {"default", "Not received: it is sent again, later and later. Redirects are not followed."},
    };
    pst_json_add_object(w, "responses");
    for (size_t i = 0; i < PST_COUNT(answers); i++) {
        pst_json_add_object(w, answers[i].status);
        pst_json_add_z(w, "description", answers[i].description);
        pst_json_end_object(w);
    }
    pst_json_end_object(w);
}

void pst_api_put_event_docs(struct pst_json_writer *w)
{
    pst_json_add_object(w, "webhooks");
    for (size_t i = 0; i < pst_event_type_count; i++) {
        const struct pst_event_type *type = &pst_event_types[i];
        pst_json_add_object(w, type->name);
        pst_json_add_object(w, "post");
        pst_json_add_raw(w, "tags", PST_STR("[\"Events\"]"));
        pst_json_add_z(w, "summary", type->name);
        pst_json_add_z(w, "description", type->description);
        pst_json_add_i64(w, "x-event-version", type->version);
        pst_json_add_raw(w, "security", PST_STR("[]"));
        put_headers(w);
        put_body(w, type);
        put_answers(w);
        pst_json_end_object(w);
        pst_json_end_object(w);
    }
    pst_json_end_object(w);
}
