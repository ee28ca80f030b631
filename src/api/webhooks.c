/* api/webhooks.c: webhook endpoints as they are shown, and lists of them. */
#include "api/hooks.h"
#include "store/deliveries.h"

/* A page holds fewer than its limit where endpoints could be large: texts, and sealed headers. */
enum { PAGE_MAX = 100, WAITING_MAX = 10000 };

static const char *status_of(const struct pst_endpoint *e)
{
    const struct pst_endpoint_health *h = &e->health;
    if (!e->enabled)
        return "off";
    if (!pst_wall_is_none(h->disabled_at))
        return "disabled";
    if (!pst_wall_is_none(h->open_since))
        return "paused";
    return pst_wall_is_none(h->failing_since) ? "active" : "failing";
}

static void put_events(struct pst_json_writer *w, pst_str events)
{
    pst_json_add_array(w, "events");
    while (events.len)
        pst_json_put_str(w, pst_str_split(&events, ' '));
    pst_json_end_array(w);
}

static void put_settings(struct pst_json_writer *w, const struct pst_hook_view *v)
{
    const struct pst_endpoint *e = &v->endpoint;
    pst_json_add_str(w, "id", pst_id_str(&e->id));
    pst_json_add_str(w, "organization_id", pst_id_str(&e->organization_id));
    pst_json_add_text(w, "connection_id", pst_id_str(&e->connection_id));
    pst_json_add_str(w, "url", e->url);
    pst_json_add_str(w, "description", e->description);
    put_events(w, v->events);
    pst_json_add_bool(w, "enabled", e->enabled);
    pst_json_add_bool(w, "ordered", e->ordered);
    if (e->rate_limit)
        pst_json_add_i64(w, "rate_limit", e->rate_limit);
    else
        pst_json_add_null(w, "rate_limit");
    pst_hook_duration_put(w, "timeout", e->timeout_ms);
    pst_hook_duration_put(w, "retry_for", e->horizon_ms);
    pst_json_add_raw(w, "headers", v->headers);
    pst_json_add_z(w, "signing", pst_endpoint_signing_name(e->signing));
    pst_json_add_raw(w, "public_keys", e->public_keys.len ? e->public_keys : PST_STR("[]"));
}

static void put_health(struct pst_json_writer *w, const struct pst_endpoint *e)
{
    const struct pst_endpoint_health *h = &e->health;
    pst_json_add_z(w, "status", status_of(e));
    pst_json_add_text(w, "disabled_reason", h->disabled_reason);
    pst_json_add_wall(w, "disabled_at", h->disabled_at);
    pst_json_add_wall(w, "failing_since", h->failing_since);
    pst_json_add_i64(w, "failures", h->failures);
    pst_json_add_wall(w, "next_attempt_at",
                      strcmp(status_of(e), "paused") == 0 ? h->probe_at : PST_WALL_NONE);
    pst_json_add_wall(w, "last_success_at", h->last_success_at);
    pst_json_add_wall(w, "last_failure_at", h->last_failure_at);
    pst_json_add_text(w, "last_error", h->last_error);
}

pst_code pst_hook_view_load(struct pst_db_conn *conn, const struct pst_api_call *call,
                            const struct pst_endpoint *e, struct pst_hook_view *out,
                            struct pst_err *err)
{
    *out = (struct pst_hook_view){.endpoint = *e, .events = e->events, .waiting = -1};
    PST_TRY(pst_hook_headers_show(conn, call, e, &out->headers, err));
    if (call->connection.pk == 0 || e->connection_pk != 0)
        return PST_OK;
    pst_str chosen = {NULL, 0};
    PST_TRY(pst_endpoints_choice(conn, e->pk, call->connection.pk, call->arena, &chosen,
                                 &out->chosen, err));
    if (out->chosen)
        out->events = chosen;
    return PST_OK;
}

void pst_hook_view_put(struct pst_json_writer *w, const struct pst_api_call *call,
                       const struct pst_hook_view *v)
{
    put_settings(w, v);
    put_health(w, &v->endpoint);
    if (call->connection.pk)
        pst_json_add_bool(w, "events_chosen", v->chosen);
    if (v->waiting >= 0) {
        pst_json_add_i64(w, "waiting", v->waiting);
        pst_json_add_bool(w, "waiting_is_capped", v->waiting == WAITING_MAX);
    }
    pst_json_add_wall(w, "created_at", v->endpoint.created_at);
    pst_json_add_wall(w, "updated_at", v->endpoint.updated_at);
}

pst_code pst_api_get_webhook(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_hook_view view;
    PST_TRY(pst_hook_view_load(call->reader, call, &call->webhook, &view, err));
    PST_TRY(
        pst_deliveries_waiting(call->reader, call->webhook.pk, WAITING_MAX, &view.waiting, err));
    pst_api_begin(call, &w);
    pst_hook_view_put(&w, call, &view);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* connection_pk: as pst_endpoints_list has it. */
static pst_code write_page(struct pst_api_call *call, int64_t connection_pk, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_endpoint *list = NULL;
    size_t limit = (size_t)pst_api_query_i64(call, "limit");
    size_t count = 0;
    bool more = false;
    int64_t after = 0;
    PST_TRY(pst_api_cursor_read(call, &after, err));
    PST_TRY(pst_endpoints_list(call->reader, call->organization_pk, connection_pk, after,
                               limit < PAGE_MAX ? limit : PAGE_MAX, call->arena, &list, &count,
                               &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        struct pst_hook_view view;
        PST_TRY(pst_hook_view_load(call->reader, call, &list[i], &view, err));
        pst_json_begin_object(&w);
        pst_hook_view_put(&w, call, &view);
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

pst_code pst_api_list_webhooks(struct pst_api_call *call, struct pst_err *err)
{
    int64_t connection_pk = -1;
    PST_TRY(pst_api_query_connection(call, -1, &connection_pk, err));
    return write_page(call, connection_pk, err);
}

pst_code pst_api_list_connection_webhooks(struct pst_api_call *call, struct pst_err *err)
{
    return write_page(call, call->connection.pk, err);
}
