/* api/connections.c: reading connections, their history, and the connectors there are. */
#include "api/internal.h"

static pst_code is_syncing(struct pst_api_call *call, int64_t pk, bool *out, struct pst_err *err)
{
    int64_t queued = 0;
    int64_t running = 0;
    PST_TRY(pst_syncs_count_open(call->reader, pk, &queued, &running, err));
    *out = queued + running > 0;
    return PST_OK;
}

/* Only of what is offline more is shown than the connection's row has. */
static pst_code see_health(const struct pst_api_call *call, const struct pst_connection *c,
                           struct pst_health *out, struct pst_err *err)
{
    *out = (struct pst_health){0};
    return c->status == PST_CONNECTION_OFFLINE
               ? pst_api_load_health(call->reader, call, c, out, err)
               : PST_OK;
}

pst_code pst_api_list_connections(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_connection *list = NULL;
    size_t count = 0;
    bool more = false;
    int64_t after = 0;
    PST_TRY(pst_api_cursor_read(call, &after, err));
    PST_TRY(pst_connections_list(call->reader, call->organization_pk, after,
                                 (size_t)pst_api_query_i64(call, "limit"), call->arena, &list,
                                 &count, &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        bool syncing = false;
        struct pst_health health;
        PST_TRY(is_syncing(call, list[i].pk, &syncing, err));
        pst_json_begin_object(&w);
        PST_TRY(see_health(call, &list[i], &health, err));
        pst_api_put_connection(&w, call, &list[i], &health, syncing);
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

pst_code pst_api_get_connection(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_health health;
    bool syncing = false;
    PST_TRY(is_syncing(call, call->connection.pk, &syncing, err));
    PST_TRY(see_health(call, &call->connection, &health, err));
    pst_api_begin(call, &w);
    pst_api_put_connection(&w, call, &call->connection, &health, syncing);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

pst_code pst_api_list_history(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_connection_event *list = NULL;
    size_t count = 0;
    bool more = false;
    int64_t before = 0;
    PST_TRY(pst_api_cursor_read(call, &before, err));
    PST_TRY(pst_connections_history(call->reader, call->connection.pk, before,
                                    (size_t)pst_api_query_i64(call, "limit"), call->arena, &list,
                                    &count, &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        pst_json_begin_object(&w);
        pst_json_add_wall(&w, "at", list[i].at);
        pst_json_add_z(&w, "status", pst_connection_status_name(list[i].status));
        pst_json_add_str(&w, "reason", list[i].reason);
        if (list[i].request_id.len)
            pst_json_add_str(&w, "request_id", list[i].request_id);
        else
            pst_json_add_null(&w, "request_id");
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* ---- connectors ---- */

static void put_option(struct pst_json_writer *w, const struct pst_option *o)
{
    pst_json_begin_object(w);
    pst_json_add_str(w, "name", o->name);
    pst_json_add_z(w, "in", o->is_credential ? "credentials" : "config");
    pst_json_add_z(w, "type", pst_option_type_name(o->type));
    pst_json_add_bool(w, "required", o->is_required);
    pst_json_add_bool(w, "secret", o->is_secret);
    pst_json_add_val(w, "values", o->values);
    pst_json_add_val(w, "default", o->fallback);
    pst_json_add_str(w, "title", o->title);
    pst_json_add_str(w, "help", o->help);
    pst_json_end_object(w);
}

static void put_connector(struct pst_json_writer *w, const struct pst_manifest *m)
{
    pst_json_begin_object(w);
    pst_json_add_str(w, "name", m->name);
    pst_json_add_str(w, "title", m->title);
    pst_json_add_str(w, "description", m->description);
    pst_json_add_i64(w, "credits", m->credits);
    pst_json_add_array(w, "options");
    for (size_t i = 0; i < m->option_count; i++)
        put_option(w, &m->options[i]);
    pst_json_end_array(w);
    pst_json_add_array(w, "entities");
    for (size_t i = 0; i < m->stream_count; i++)
        pst_json_put_str(w, m->streams[i].name);
    pst_json_end_array(w);
    pst_json_end_object(w);
}

pst_code pst_api_list_connectors(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    const struct pst_connectors *all = call->api->options.connectors;
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < all->count; i++)
        put_connector(&w, all->items[i].manifest);
    pst_json_end_array(&w);
    pst_json_add_null(&w, "next_cursor");
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
