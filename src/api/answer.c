/* api/answer.c: what several operations write: connections, syncs, errors of runs, audit rows. */
#include "api/internal.h"

void pst_api_json(struct pst_api_call *call, int status)
{
    call->res->status = status;
    pst_response_header(call->res, "Content-Type", PST_STR("application/json"));
}

void pst_api_begin(struct pst_api_call *call, struct pst_json_writer *w)
{
    pst_api_json(call, call->op->status);
    pst_json_init(w, &call->res->body);
    pst_json_begin_object(w);
}

pst_code pst_api_audit(struct pst_db_conn *conn, const struct pst_api_call *call,
                       const char *action, pst_str object, pst_str detail, struct pst_err *err)
{
    struct pst_audit entry = {
        .organization_pk = call->organization_pk,
        .at = call->now,
        .actor = call->actor,
        .action = pst_str_from(action),
        .object = object,
        .request_id = pst_id_str(&call->req->id),
        .detail = detail,
    };
    return pst_audit_add(conn, &entry, err);
}

static void put_counts(struct pst_json_writer *w, const struct pst_sync_counts *c)
{
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {
        {"read", c->read},
        {"created", c->created},
        {"updated", c->updated},
        {"deleted", c->deleted},
        {"unchanged", c->unchanged},
        {"rejected", c->rejected},
        {"pages", c->pages},
        {"rows", c->rows},
        {"bytes", c->bytes},
        {"upstream_calls", c->calls},
        {"waiting_ms", c->wait_us / 1000},
        {"working_ms", c->work_us / 1000},
    };
    pst_json_add_object(w, "counts");
    for (size_t i = 0; i < PST_COUNT(rows); i++)
        pst_json_add_i64(w, rows[i].name, rows[i].value);
    pst_json_end_object(w);
}

static void put_stream(struct pst_json_writer *w, const struct pst_sync_stream *s)
{
    pst_json_begin_object(w);
    pst_json_add_z(w, "entity", s->entity ? s->entity->name : NULL);
    pst_json_add_z(w, "status", pst_sync_status_name(s->status));
    pst_json_add_z(w, "phase", s->phase == PST_PHASE_DELETE ? "delete" : "read");
    if (s->begun) {
        pst_json_add_object(w, "window");
        pst_json_add_wall(w, "from", s->from);
        pst_json_add_wall(w, "to", s->to);
        pst_json_end_object(w);
    } else {
        pst_json_add_null(w, "window");
    }
    pst_json_add_wall(w, "started_at", s->started_at);
    pst_json_add_wall(w, "ended_at", s->ended_at);
    pst_json_add_error(w, s->error_code, s->error_message);
    put_counts(w, &s->counts);
    pst_json_end_object(w);
}

static void put_progress(struct pst_json_writer *w, const struct pst_sync_progress *p)
{
    if (!p) {
        pst_json_add_null(w, "progress");
        return;
    }
    pst_json_add_object(w, "progress");
    pst_json_add_z(w, "entity", p->entity ? p->entity->name : NULL);
    pst_json_add_i64(w, "entity_number", (int64_t)p->entity_at + 1);
    pst_json_add_i64(w, "entity_count", p->entity_count);
    pst_json_add_i64(w, "records", p->records);
    pst_json_add_i64(w, "rows", p->rows);
    pst_json_add_i64(w, "deleting", p->deleting);
    pst_json_add_i64(w, "elapsed_ms", p->elapsed_ms);
    pst_json_add_i64(w, "rows_per_second", p->rows_per_s);
    pst_json_add_i64(w, "records_per_second",
                     p->elapsed_ms > 0 ? p->records * 1000 / p->elapsed_ms : 0);
    pst_json_end_object(w);
}

void pst_api_put_sync(struct pst_json_writer *w, const struct pst_api_call *call,
                      const struct pst_sync *sync, const struct pst_sync_progress *progress)
{
    pst_json_add_str(w, "id", pst_id_str(&sync->id));
    pst_json_add_str(w, "connection_id", pst_id_str(&call->connection.id));
    pst_json_add_z(w, "status", pst_sync_status_name(sync->status));
    pst_json_add_z(w, "mode", pst_sync_mode_name(sync->mode));
    pst_json_add_z(w, "trigger", pst_sync_trigger_name(sync->trigger));
    pst_json_add_bool(w, "cancel_requested", sync->cancel_requested);
    pst_json_add_wall(w, "requested_at", sync->requested_at);
    pst_json_add_wall(w, "started_at", sync->started_at);
    pst_json_add_wall(w, "ended_at", sync->ended_at);
    pst_json_add_wall(w, "resumes_at", sync->resume_at);
    pst_json_add_error(w, sync->error_code, sync->error_message);
    pst_json_add_text(w, "request_id", sync->request_id);
    put_counts(w, &sync->counts);
    put_progress(w, progress);
    pst_json_add_array(w, "entities");
    for (size_t i = 0; i < sync->stream_count; i++)
        put_stream(w, &sync->streams[i]);
    pst_json_end_array(w);
}

void pst_api_put_schedule(struct pst_json_writer *w, pst_str schedule)
{
    struct pst_err ignored;
    struct pst_schedule parsed;
    if (schedule.len && schedule.ptr[0] == '{') {
        pst_json_add_raw(w, "schedule", schedule);
        return;
    }
    PST_AUTO(buf) struct pst_buf text = {.max = PST_SCHEDULE_TEXT};
    if (pst_schedule_parse(&parsed, schedule, true, &ignored) == PST_OK) {
        pst_schedule_print(&text, &parsed);
        pst_json_add_raw(w, "schedule", pst_buf_str(&text));
        return;
    }
    pst_json_add_raw(w, "schedule", PST_STR("{\"manual\":true}"));
}

pst_wall pst_api_next_run_at(const struct pst_api_call *call, const struct pst_connection *c)
{
    /* Nothing runs until the user switches it on, or changes the credentials, or the system is
     * back. */
    if (c->status == PST_CONNECTION_INACTIVE ||
        c->status == PST_CONNECTION_AUTHENTICATION_REQUIRED || c->status == PST_CONNECTION_OFFLINE)
        return PST_WALL_NONE;
    return pst_sync_next_run_at(c->schedule, pst_id_str(&c->id), call->now);
}

/* config without what the manifest marks as never to be shown again. */
static void put_config(struct pst_json_writer *w, const struct pst_api_call *call,
                       const struct pst_connection *c)
{
    yyjson_doc *doc = NULL;
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    size_t i = 0;
    size_t n = 0;
    struct pst_err ignored;
    const struct pst_connector_entry *entry =
        pst_connectors_find(call->api->options.connectors, c->connector);
    pst_json_add_object(w, "config");
    if (pst_json_read(c->config, NULL, call->arena, &doc, &ignored) == PST_OK) {
        yyjson_obj_foreach(yyjson_doc_get_root(doc), i, n, key, value)
        {
            bool secret = false;
            for (size_t k = 0; entry && k < entry->manifest->option_count; k++) {
                const struct pst_option *o = &entry->manifest->options[k];
                secret = secret || (o->is_secret && pst_str_is(o->name, yyjson_get_str(key)));
            }
            if (secret)
                pst_json_add_null(w, yyjson_get_str(key));
            else
                pst_json_add_val(w, yyjson_get_str(key), value);
        }
    }
    pst_json_end_object(w);
}

void pst_api_put_connection(struct pst_json_writer *w, const struct pst_api_call *call,
                            const struct pst_connection *c, const struct pst_health *health,
                            bool syncing)
{
    pst_json_add_str(w, "id", pst_id_str(&c->id));
    pst_json_add_str(w, "organization_id", pst_id_str(&c->organization_id));
    pst_json_add_str(w, "name", c->name);
    pst_json_add_str(w, "connector", c->connector);
    put_config(w, call, c);
    pst_json_add_bool(w, "credentials_set", c->credentials.len > 0);
    pst_api_put_schedule(w, c->schedule);
    pst_json_add_i64(w, "history_days", c->history_days);
    pst_json_add_raw(w, "entities", c->entities.len ? c->entities : PST_STR("[]"));
    pst_json_add_raw(w, "metadata", c->metadata.len ? c->metadata : PST_STR("{}"));
    pst_json_add_raw(w, "mapping", c->mapping.len ? c->mapping : PST_STR("{}"));
    pst_json_add_bool(w, "serve_stale", c->serve_stale);
    pst_json_add_bool(w, "enabled", c->status != PST_CONNECTION_INACTIVE);
    pst_json_add_z(w, "status", pst_connection_status_name(c->status));
    pst_json_add_wall(w, "status_since", c->status_since);
    pst_json_add_text(w, "status_reason", c->status_reason);
    pst_api_put_outage(w, call, c, health);
    pst_json_add_bool(w, "syncing", syncing);
    pst_json_add_bool(w, "initial_sync_done", c->initial_sync_done);
    pst_json_add_wall(w, "next_run_at", pst_api_next_run_at(call, c));
    pst_json_add_i64(w, "last_seq", c->last_seq);
    pst_json_add_i64(w, "version", c->version);
    pst_json_add_wall(w, "created_at", c->created_at);
    pst_json_add_wall(w, "updated_at", c->updated_at);
}

/* ---- the streams of a connection ---- */

pst_code pst_api_streams_pick(const struct pst_api_call *call, yyjson_val *names,
                              struct pst_api_streams *streams, struct pst_err *err)
{
    (void)call;
    size_t i = 0;
    size_t n = 0;
    size_t kept = 0;
    yyjson_val *item = NULL;
    if (names && !yyjson_is_null(names) && !yyjson_is_arr(names))
        return PST_FAIL_AT(err, PST_E_INVALID, "entities", "'entities' is a list of names");
    if (yyjson_arr_size(names) == 0)
        return PST_OK;
    yyjson_arr_foreach(names, i, n, item)
    {
        pst_str name = {NULL, 0};
        bool found = false;
        if (!pst_json_str(item, &name))
            return PST_FAIL_AT(err, PST_E_INVALID, "entities", "'entities' is a list of names");
        for (size_t k = 0; k < streams->count; k++)
            found = found || pst_str_eq(streams->items[k]->name, name);
        if (!found)
            return PST_FAIL_AT(err, PST_E_INVALID, "entities", "there is no entity '%.*s' here",
                               PST_STR_ARG(name));
    }
    for (size_t k = 0; k < streams->count; k++) {
        bool wanted = false;
        yyjson_arr_foreach(names, i, n, item)
        {
            pst_str name = {NULL, 0};
            wanted =
                wanted || (pst_json_str(item, &name) && pst_str_eq(streams->items[k]->name, name));
        }
        if (wanted)
            streams->items[kept++] = streams->items[k];
    }
    streams->count = kept;
    return PST_OK;
}

pst_code pst_api_streams_of(const struct pst_api_call *call, const struct pst_connection *c,
                            struct pst_api_streams *out, struct pst_err *err)
{
    yyjson_doc *doc = NULL;
    const struct pst_connector_entry *entry =
        pst_connectors_find(call->api->options.connectors, c->connector);
    if (!entry)
        return PST_FAIL(err, PST_E_UNSUPPORTED, "this build has no connector '%.*s'",
                        PST_STR_ARG(c->connector));
    const struct pst_manifest *m = entry->manifest;
    PST_TRY(pst_arena_array(call->arena, &out->items, m->stream_count, sizeof(*out->items), err));
    for (size_t i = 0; i < m->stream_count; i++)
        out->items[i] = &m->streams[i];
    out->count = m->stream_count;
    if (c->entities.len == 0)
        return PST_OK;
    PST_TRY(pst_json_read(c->entities, NULL, call->arena, &doc, err));
    return pst_api_streams_pick(call, yyjson_doc_get_root(doc), out, err);
}
