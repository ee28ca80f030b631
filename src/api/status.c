/* api/status.c: how fresh a connection's entities are, what they consist of, and the source rows
 * that could not be mapped. */
#include "api/internal.h"

static const struct pst_stream_state *state_of(const struct pst_stream_state *list, size_t count,
                                               const struct pst_entity *entity)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].entity == entity)
            return &list[i];
    }
    return NULL;
}

static const struct pst_sync_progress *progress_of(const struct pst_sync_progress *list, size_t n,
                                                   const struct pst_entity *entity)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].entity == entity)
            return &list[i];
    }
    return NULL;
}

static const char *status_of(const struct pst_stream_state *s)
{
    if (!s)
        return "never";
    if (s->sync_pk)
        return s->running ? "running" : "queued";
    if (s->error_code.len)
        return "failed";
    /* A first run that was cancelled has attempted it, and read it never. */
    return pst_wall_is_none(s->last_success_at) ? "never" : "completed";
}

static void put_entity_status(struct pst_json_writer *w, const struct pst_entity *entity,
                              const struct pst_stream_state *s, pst_wall next_run_at,
                              const struct pst_sync_progress *p)
{
    const struct pst_stream_state never = {
        .last_success_at = PST_WALL_NONE,
        .last_attempt_at = PST_WALL_NONE,
        .last_full_at = PST_WALL_NONE,
        .synced_to = PST_WALL_NONE,
    };
    const struct pst_stream_state *shown = s ? s : &never;
    pst_json_begin_object(w);
    pst_json_add_z(w, "entity", entity->name);
    pst_json_add_z(w, "status", status_of(s));
    pst_json_add_wall(w, "last_success_at", shown->last_success_at);
    pst_json_add_wall(w, "last_attempt_at", shown->last_attempt_at);
    pst_json_add_wall(w, "last_full_at", shown->last_full_at);
    pst_json_add_wall(w, "synced_to", shown->synced_to);
    pst_json_add_wall(w, "next_run_at", next_run_at);
    pst_json_add_error(w, shown->error_code, shown->error_message);
    pst_json_add_i64(w, "records", shown->records);
    pst_json_add_i64(w, "rejected", shown->rejected);
    if (shown->sync_id.text[0])
        pst_json_add_str(w, "sync_id", pst_id_str(&shown->sync_id));
    else
        pst_json_add_null(w, "sync_id");
    if (p) {
        pst_json_add_object(w, "progress");
        pst_json_add_i64(w, "records", p->records);
        pst_json_add_i64(w, "rows", p->rows);
        pst_json_add_i64(w, "rows_per_second", p->rows_per_s);
        pst_json_end_object(w);
    } else {
        pst_json_add_null(w, "progress");
    }
    pst_json_end_object(w);
}

pst_code pst_api_sync_status(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_api_streams streams = {0};
    struct pst_stream_state *states = NULL;
    struct pst_sync_progress progress[PST_ENTITIES_MAX]; /* a run holds at least one */
    const struct pst_connection *c = &call->connection;
    size_t count = 0;
    int64_t queued = 0;
    int64_t running = 0;
    pst_wall resumes_at = PST_WALL_NONE;
    struct pst_health health;
    PST_TRY(pst_api_load_health(call->reader, call, c, &health, err));
    PST_TRY(pst_syncs_resume_at(call->reader, c->pk, &resumes_at, err));
    PST_TRY(pst_api_streams_of(call, c, &streams, err));
    PST_TRY(pst_streams_list(call->reader, c->pk, call->arena, &states, &count, err));
    PST_TRY(pst_syncs_count_open(call->reader, c->pk, &queued, &running, err));
    size_t runs = pst_sync_progress(call->api->options.sync, c->pk, progress, PST_COUNT(progress));
    pst_wall next = pst_api_next_run_at(call, c);

    pst_api_begin(call, &w);
    pst_json_add_str(&w, "connection_id", pst_id_str(&c->id));
    pst_json_add_z(&w, "status", pst_connection_status_name(c->status));
    pst_json_add_wall(&w, "status_since", c->status_since);
    if (c->status_reason.len)
        pst_json_add_str(&w, "status_reason", c->status_reason);
    else
        pst_json_add_null(&w, "status_reason");
    pst_api_put_outage(&w, call, c, &health);
    pst_json_add_bool(&w, "syncing", queued + running > 0);
    pst_json_add_wall(&w, "resumes_at", resumes_at);
    pst_json_add_bool(&w, "initial_sync_done", c->initial_sync_done);
    pst_api_put_schedule(&w, c->schedule);
    pst_json_add_wall(&w, "next_run_at", next);
    pst_json_add_i64(&w, "last_seq", c->last_seq);
    pst_json_add_array(&w, "entities");
    for (size_t i = 0; i < streams.count; i++) {
        const struct pst_entity *entity = streams.items[i]->entity;
        put_entity_status(&w, entity, state_of(states, count, entity), next,
                          progress_of(progress, runs, entity));
    }
    pst_json_end_array(&w);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* ---- entities ---- */

static void put_fields(struct pst_json_writer *w, const struct pst_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct pst_field *f = &fields[i];
        pst_json_begin_object(w);
        pst_json_add_z(w, "name", f->name);
        pst_json_add_z(w, "type", pst_field_type_name(f->type));
        pst_json_add_z(w, "description", f->description);
        pst_json_add_bool(w, "filterable", f->filter >= 0);
        if (f->target)
            pst_json_add_z(w, "references", f->target);
        if (f->value_count) {
            pst_json_add_array(w, "values");
            for (size_t k = 0; k < f->value_count; k++)
                pst_json_put_str(w, pst_str_from(f->values[k].name));
            pst_json_end_array(w);
        }
        if (f->field_count) {
            pst_json_add_array(w, "fields");
            put_fields(w, f->fields, f->field_count);
            pst_json_end_array(w);
        }
        pst_json_end_object(w);
    }
}

/* The rules in force: the manifest's, with the connection's own put over them. */
static pst_code put_mapping(struct pst_json_writer *w, const struct pst_tz *utc,
                            const struct pst_stream *stream, yyjson_val *overrides,
                            struct pst_err *err)
{
    struct pst_mapping *mapping = NULL;
    struct pst_mapping_options options = {.zone = utc, .record_id = pst_record_id};
    PST_AUTO(buf) struct pst_buf text = {.max = 1 << 20};
    PST_TRY(pst_mapping_new(&mapping, stream->entity, stream->manifest,
                            pst_json_get(overrides, stream->name), &options, err));
    pst_mapping_describe(mapping, &text);
    pst_mapping_free(mapping);
    PST_TRY(pst_buf_check(&text, err));
    pst_json_add_raw(w, "mapping", pst_buf_str(&text));
    return PST_OK;
}

static pst_code put_entity(struct pst_json_writer *w, const struct pst_tz *utc,
                           const struct pst_stream *stream, yyjson_val *overrides,
                           struct pst_err *err)
{
    const struct pst_entity *e = stream->entity;
    pst_json_begin_object(w);
    pst_json_add_z(w, "name", e->name);
    pst_json_add_z(w, "path", e->path);
    pst_json_add_z(w, "title", e->title);
    pst_json_add_z(w, "domain", e->domain);
    pst_json_add_z(w, "description", e->description);
    pst_json_add_bool(w, "windowed", stream->windowed);
    pst_json_add_bool(w, "writable", false);
    pst_json_add_array(w, "required_for_writes");
    pst_json_end_array(w);
    pst_json_add_array(w, "filterable");
    for (size_t i = 0; i < e->filter_count; i++)
        pst_json_put_str(w, pst_str_from(e->filters[i].field->name));
    pst_json_end_array(w);
    pst_json_add_array(w, "fields");
    put_fields(w, e->fields, e->field_count);
    pst_json_end_array(w);
    PST_TRY(put_mapping(w, utc, stream, overrides, err));
    pst_json_end_object(w);
    return PST_OK;
}

pst_code pst_api_list_entities(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_api_streams streams = {0};
    yyjson_doc *overrides = NULL;
    pst_str mapping = call->connection.mapping;
    PST_TRY(pst_api_streams_of(call, &call->connection, &streams, err));
    PST_TRY(
        pst_json_read(mapping.len ? mapping : PST_STR("{}"), NULL, call->arena, &overrides, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < streams.count; i++)
        PST_TRY(
            put_entity(&w, call->api->utc, streams.items[i], yyjson_doc_get_root(overrides), err));
    pst_json_end_array(&w);
    pst_json_add_null(&w, "next_cursor");
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* ---- rejected rows ---- */

pst_code pst_api_list_rejected(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_rejected_row *list = NULL;
    const struct pst_entity *entity = NULL;
    size_t count = 0;
    bool more = false;
    int64_t after = 0;
    pst_str name = pst_api_query(call, "entity");
    if (name.ptr && !(entity = pst_model_entity(name)))
        return PST_FAIL_AT(err, PST_E_INVALID, "entity", "there is no entity '%.*s'",
                           PST_STR_ARG(name));
    PST_TRY(pst_api_cursor_read(call, &after, err));
    PST_TRY(pst_rejected_list(call->reader, call->connection.pk, entity, after,
                              (size_t)pst_api_query_i64(call, "limit"), call->arena, &list, &count,
                              &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        const struct pst_rejected_row *r = &list[i];
        pst_json_begin_object(&w);
        pst_json_add_z(&w, "entity", r->entity ? r->entity->name : NULL);
        pst_json_add_str(&w, "source_id", r->source_id);
        pst_json_add_str(&w, "reason", r->reason);
        pst_json_add_wall(&w, "first_at", r->first_at);
        pst_json_add_wall(&w, "last_at", r->last_at);
        if (r->sync_id.text[0])
            pst_json_add_str(&w, "sync_id", pst_id_str(&r->sync_id));
        else
            pst_json_add_null(&w, "sync_id");
        if (r->source.len)
            pst_json_add_raw(&w, "source", r->source);
        else
            pst_json_add_null(&w, "source");
        pst_json_add_bool(&w, "truncated", r->truncated);
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
