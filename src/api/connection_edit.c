/* api/connection_edit.c: creating, changing and deleting connections.
 *
 * Settings are checked against the connector's manifest before the writer is asked. config,
 * credentials and metadata are merged member by member when they change (null removes one),
 * the credentials inside the writer job, where nothing changes between reading and writing.
 */
#include "api/internal.h"
#include "base/num.h"

enum {
    NAME_MAX_BYTES = 200,
    HISTORY_DAYS_MAX = 36500,
    HISTORY_DAYS = 90,
    DOC_MAX = 1 << 20,
    DETAIL_MAX = 1024
};

static const char *const members[] = {
    "name",     "connector", "config",  "credentials", "schedule", "history_days",
    "entities", "metadata",  "mapping", "serve_stale", "enabled",  NULL,
};

/* One create or patch in work. */
struct edit {
    struct pst_api_call *call;
    const struct pst_connector_entry *connector;
    struct pst_connection_patch patch; /* texts in the request's arena */
    yyjson_val *credentials; /* as given, or NULL */
    bool has_enabled, enabled;
    struct pst_api_streams streams; /* what a first sync reads */
    struct pst_connection result; /* the row after the change */
    struct pst_health health; /* of it, then */
    bool has_new_health;
    struct pst_api_credits cost; /* of a create */
    bool moves; /* to another address: stored credentials count nothing there */
    bool rereads; /* the next sync has to read everything again */
    bool rechooses; /* and what it misses is to go: other rows were chosen */
    bool queued; /* a sync was queued with it */
    bool syncing; /* one is queued or running */
};

/* ---- JSON texts ---- */

static pst_code to_text(struct pst_arena *a, yyjson_val *v, pst_str *out, struct pst_err *err)
{
    struct pst_json_writer w;
    PST_AUTO(buf) struct pst_buf b = {.max = DOC_MAX};
    pst_json_init(&w, &b);
    pst_json_put_val(&w, v);
    PST_TRY(pst_json_finish(&w, err));
    pst_code code = pst_arena_dup(a, out, pst_buf_str(&b), err);
    pst_wipe(b.ptr, b.len);
    return code;
}

/* before (text of an object) with the members of patch put over it; null removes. */
static pst_code merge(struct pst_arena *a, pst_str before, yyjson_val *patch, pst_str *out,
                      struct pst_err *err)
{
    yyjson_doc *doc = NULL;
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    size_t i = 0;
    size_t n = 0;
    struct pst_json_writer w;
    PST_AUTO(buf) struct pst_buf b = {.max = DOC_MAX};
    PST_TRY(pst_json_read(before.len ? before : PST_STR("{}"), NULL, a, &doc, err));
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    yyjson_obj_foreach(yyjson_doc_get_root(doc), i, n, key, value)
    {
        if (!yyjson_obj_getn(patch, yyjson_get_str(key), yyjson_get_len(key)))
            pst_json_add_val(&w, yyjson_get_str(key), value);
    }
    yyjson_obj_foreach(patch, i, n, key, value)
    {
        if (!yyjson_is_null(value))
            pst_json_add_val(&w, yyjson_get_str(key), value);
    }
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    pst_code code = pst_arena_dup(a, out, pst_buf_str(&b), err);
    pst_wipe(b.ptr, b.len);
    return code;
}

/* ---- reading the request ---- */

static pst_code read_name(struct edit *e, struct pst_err *err)
{
    pst_str name = {NULL, 0};
    PST_TRY(pst_json_opt_str(e->call->body, "name", &name, err));
    if (!name.ptr)
        return PST_OK;
    name = pst_str_trim(name);
    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return PST_FAIL_AT(err, PST_E_INVALID, "name", "'name' has 1 to %d bytes", NAME_MAX_BYTES);
    e->patch.set_name = true;
    e->patch.name = name;
    return PST_OK;
}

static pst_code read_schedule(struct edit *e, struct pst_err *err)
{
    struct pst_schedule schedule;
    yyjson_val *v = pst_json_get(e->call->body, PST_STR("schedule"));
    if (!pst_json_has(e->call->body, "schedule"))
        return PST_OK;
    PST_AUTO(buf) struct pst_buf text = {.max = PST_SCHEDULE_TEXT};
    PST_TRY(pst_schedule_from_json(&schedule, v, e->call->api->options.dev, err));
    pst_schedule_print(&text, &schedule);
    PST_TRY(pst_buf_check(&text, err));
    e->patch.set_schedule = true;
    return pst_arena_dup(e->call->arena, &e->patch.schedule, pst_buf_str(&text), err);
}

static pst_code read_object(struct edit *e, const char *name, pst_str before, bool *set,
                            pst_str *out, struct pst_err *err)
{
    yyjson_val *v = NULL;
    PST_TRY(pst_json_opt_object(e->call->body, name, &v, err));
    if (!v)
        return PST_OK;
    *set = true;
    return merge(e->call->arena, before, v, out, err);
}

static pst_code read_entities(struct edit *e, struct pst_err *err)
{
    struct pst_api_streams all = {0};
    yyjson_val *names = NULL;
    struct pst_connection every = {.connector = e->connector->manifest->name};
    PST_TRY(pst_json_opt_array(e->call->body, "entities", &names, err));
    if (!names)
        return PST_OK;
    PST_TRY(pst_api_streams_of(e->call, &every, &all, err));
    PST_TRY(pst_api_streams_pick(e->call, names, &all, err));
    e->patch.set_entities = true;
    return to_text(e->call->arena, names, &e->patch.entities, err);
}

static pst_code read_mapping(struct edit *e, struct pst_err *err)
{
    yyjson_val *v = NULL;
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    size_t i = 0;
    size_t n = 0;
    PST_TRY(pst_json_opt_object(e->call->body, "mapping", &v, err));
    if (!v)
        return PST_OK;
    yyjson_obj_foreach(v, i, n, key, value)
    {
        pst_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        const struct pst_stream *stream = pst_manifest_stream(e->connector->manifest, name);
        struct pst_mapping *mapping = NULL;
        struct pst_mapping_options options = {.zone = e->call->api->utc,
                                              .record_id = pst_record_id};
        if (!stream)
            return PST_FAIL_AT(err, PST_E_INVALID, "mapping", "there is no entity '%.*s' here",
                               PST_STR_ARG(name));
        pst_code code =
            pst_mapping_new(&mapping, stream->entity, stream->manifest, value, &options, err);
        pst_mapping_free(mapping);
        if (code != PST_OK)
            return pst_err_wrap(err, "mapping");
    }
    e->patch.set_mapping = true;
    return to_text(e->call->arena, v, &e->patch.mapping, err);
}

static pst_code read_settings(struct edit *e, const struct pst_connection *before,
                              struct pst_err *err)
{
    yyjson_val *body = e->call->body;
    struct pst_connection_patch *p = &e->patch;
    PST_TRY(pst_json_only(body, "connection", members, err));
    PST_TRY(read_name(e, err));
    PST_TRY(read_schedule(e, err));
    PST_TRY(read_object(e, "config", before->config, &p->set_config, &p->config, err));
    PST_TRY(read_object(e, "metadata", before->metadata, &p->set_metadata, &p->metadata, err));
    PST_TRY(read_entities(e, err));
    PST_TRY(read_mapping(e, err));
    p->history_days = -1;
    PST_TRY(pst_json_opt_i64(body, "history_days", 0, HISTORY_DAYS_MAX, &p->history_days, err));
    p->set_history_days = p->history_days >= 0;
    p->set_serve_stale = pst_json_has(body, "serve_stale");
    PST_TRY(pst_json_opt_bool(body, "serve_stale", &p->serve_stale, err));
    e->has_enabled = pst_json_has(body, "enabled");
    e->enabled = true;
    PST_TRY(pst_json_opt_bool(body, "enabled", &e->enabled, err));
    PST_TRY(pst_json_opt_object(body, "credentials", &e->credentials, err));
    if (!p->set_config)
        return PST_OK;
    yyjson_doc *doc = NULL;
    PST_TRY(pst_json_read(p->config, NULL, e->call->arena, &doc, err));
    return pst_manifest_check(e->connector->manifest, yyjson_doc_get_root(doc), NULL, err);
}

/* ---- inside the writer's job ---- */

/* Seal the merged credentials. before: sealed, or "". */
static pst_code seal_credentials(struct pst_db_conn *conn, struct edit *e,
                                 const struct pst_connection *c, pst_str *out, struct pst_err *err)
{
    struct pst_api_call *call = e->call;
    PST_AUTO(secret) struct pst_secret *old = NULL;
    yyjson_doc *doc = NULL;
    pst_str plain = {NULL, 0};
    struct pst_vault_place place = {
        .organization_pk = call->organization_pk,
        .organization_id = pst_id_str(&call->organization_id),
        .row_id = pst_id_str(&c->id),
        .field = PST_STR("credentials"),
    };
    const struct pst_key *root = call->api->options.root;
    if (c->credentials.len && !e->moves)
        PST_TRY(pst_vault_unseal(conn, root, &place, c->credentials, &old, err));
    PST_TRY(merge(call->arena, old ? pst_secret_expose(old) : PST_STR("{}"), e->credentials, &plain,
                  err));
    pst_code code = pst_json_read(plain, NULL, call->arena, &doc, err);
    if (code == PST_OK)
        code = pst_manifest_check(e->connector->manifest, NULL, yyjson_doc_get_root(doc), err);
    if (code == PST_OK)
        code = pst_vault_seal(conn, root, &place, plain, call->now, call->arena, out, err);
    pst_wipe((void *)(uintptr_t)plain.ptr, plain.len);
    return code;
}

/* Queue what makes the new settings show: the first full sync, or the next incremental one. A
 * run that is already under way will do. */
static pst_code queue_sync(struct pst_db_conn *conn, struct edit *e, const struct pst_connection *c,
                           struct pst_err *err)
{
    struct pst_api_call *call = e->call;
    const struct pst_entity **entities = NULL;
    int64_t pk = 0;
    PST_TRY(pst_arena_array(call->arena, &entities, e->streams.count, sizeof(*entities), err));
    for (size_t i = 0; i < e->streams.count; i++)
        entities[i] = e->streams.items[i]->entity;
    struct pst_sync_request request = {
        .id = call->api->options.new_id("sync_"),
        .connection_pk = c->pk,
        .trigger = c->initial_sync_done ? PST_SYNC_SCHEDULED : PST_SYNC_INITIAL,
        .mode = c->initial_sync_done ? PST_SYNC_INCREMENTAL : PST_SYNC_FULL,
        .entities = entities,
        .entity_count = e->streams.count,
        .request_id = pst_id_str(&call->req->id),
        .now = call->now,
    };
    pst_code code = pst_syncs_create(conn, &request, &pk, NULL, err);
    if (code == PST_E_SYNC_IN_PROGRESS)
        return PST_OK;
    e->queued = code == PST_OK && pk != 0;
    return code;
}

static pst_code read_result(struct pst_db_conn *conn, struct edit *e, int64_t pk,
                            struct pst_err *err)
{
    int64_t queued = 0;
    int64_t running = 0;
    PST_TRY(pst_syncs_count_open(conn, pk, &queued, &running, err));
    e->syncing = queued + running > 0;
    PST_TRY(pst_connections_get_pk(conn, pk, e->call->arena, &e->result, err));
    return pst_api_load_health(conn, e->call, &e->result, &e->health, err);
}

static pst_code create_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct edit *e = arg;
    struct pst_api_call *call = e->call;
    PST_TRY(
        pst_api_plan_credits(conn, call, e->connector->manifest, e->patch.config, &e->cost, err));
    bool is_active = e->enabled && !e->cost.is_short;
    struct pst_connection c = {
        .id = call->api->options.new_id("conn_"),
        .organization_pk = call->organization_pk,
        .organization_id = call->organization_id,
        .name = e->patch.name,
        .connector = e->connector->manifest->name,
        .config = e->patch.config,
        .schedule = e->patch.schedule,
        .history_days = e->patch.history_days,
        .entities = e->patch.entities,
        .metadata = e->patch.metadata,
        .mapping = e->patch.mapping,
        .serve_stale = e->patch.serve_stale,
        .status = is_active ? PST_CONNECTION_PENDING : PST_CONNECTION_INACTIVE,
        .status_since = call->now,
        .status_reason = e->cost.is_short ? e->cost.reason
                         : is_active      ? PST_STR("")
                                          : PST_STR("switched off by the user"),
        .next_run_at = PST_WALL_NONE,
        .last_tick_at = PST_WALL_NONE,
        .created_at = call->now,
        .deleted_at = PST_WALL_NONE,
    };
    PST_TRY(seal_credentials(conn, e, &c, &c.credentials, err));
    PST_TRY(pst_connections_create(conn, &c, pst_id_str(&call->req->id), err));
    PST_TRY(pst_api_audit(conn, call, "connection.create", pst_id_str(&c.id), PST_STR(""), err));
    if (!e->cost.is_short)
        PST_TRY(pst_api_hold_credits(conn, call, &c, e->cost.due, "created", err));
    if (is_active)
        PST_TRY(queue_sync(conn, e, &c, err));
    return read_result(conn, e, c.pk, err);
}

/* NULL: the connection is gone. */
static void tell_prober(const struct pst_api_call *call, const struct pst_health *health)
{
    const struct pst_api_prober *p = &call->api->options.prober;
    if (p->changed)
        p->changed(p->self, call->connection.pk, pst_id_str(&call->connection.id), health);
}

static pst_code answer(struct edit *e, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_api_call *call = e->call;
    call->connection = e->result;
    if (e->has_new_health)
        tell_prober(call, &e->health);
    if (e->result.status == PST_CONNECTION_INACTIVE)
        pst_sync_cancel_connection(call->api->options.sync, e->result.pk);
    else
        pst_sync_connection_changed(call->api->options.sync, e->result.pk);
    if (e->rereads)
        pst_sync_cancel_connection(call->api->options.sync, e->result.pk);
    if (e->queued)
        pst_sync_work_added(call->api->options.sync);
    pst_api_begin(call, &w);
    pst_api_put_connection(&w, call, &e->result, &e->health, e->syncing);
    if (e->cost.is_short)
        pst_json_add_z(&w, "notice",
                       "It is switched off, since there are not enough credits: switch it on "
                       "(`enabled`) when there are.");
    else if (e->rechooses)
        pst_json_add_z(&w, "notice",
                       "The next sync reads everything again, since what was read before was read "
                       "with other settings, and deletes what is no longer among it.");
    else if (e->rereads)
        pst_json_add_z(&w, "notice",
                       "The next sync reads everything again, since what was read before was read "
                       "with other settings.");
    else if (e->patch.set_mapping && e->result.last_seq > 0)
        pst_json_add_z(&w, "notice",
                       "The mapping holds for rows that are read from now on; a full sync applies "
                       "it to the rest.");
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static void fill_defaults(struct pst_connection_patch *p)
{
    if (!p->set_schedule)
        p->schedule = PST_STR("{\"interval\":\"15m\"}");
    if (!p->set_history_days)
        p->history_days = HISTORY_DAYS;
    if (!p->set_entities)
        p->entities = PST_STR("[]");
    if (!p->set_metadata)
        p->metadata = PST_STR("{}");
    if (!p->set_mapping)
        p->mapping = PST_STR("{}");
}

pst_code pst_api_create_connection(struct pst_api_call *call, struct pst_err *err)
{
    struct edit e = {.call = call};
    struct pst_connection nothing = {0};
    pst_str connector = {NULL, 0};
    PST_TRY(pst_json_only(call->body, "connection", members, err));
    PST_TRY(pst_json_need_str(call->body, "connector", &connector, err));
    e.connector = pst_connectors_find(call->api->options.connectors, connector);
    if (!e.connector)
        return PST_FAIL_AT(err, PST_E_INVALID, "connector", "there is no connector '%.*s'",
                           PST_STR_ARG(connector));
    PST_TRY(read_settings(&e, &nothing, err));
    if (!e.patch.set_name)
        return PST_FAIL_AT(err, PST_E_INVALID, "name", "'name' is missing");
    if (!e.patch.set_config || !e.credentials)
        return PST_FAIL_AT(err, PST_E_INVALID, e.patch.set_config ? "credentials" : "config",
                           "'%s' is missing", e.patch.set_config ? "credentials" : "config");
    fill_defaults(&e.patch);
    struct pst_connection named = {.connector = connector, .entities = e.patch.entities};
    PST_TRY(pst_api_streams_of(call, &named, &e.streams, err));
    PST_TRY(pst_db_write(call->api->options.db, create_in_job, &e, err));

    pst_str location = {NULL, 0};
    PST_TRY(pst_arena_printf(call->arena, &location, err, "/v1/connections/%s", e.result.id.text));
    PST_TRY(answer(&e, err));
    pst_response_header(call->res, "Location", location);
    return PST_OK;
}

/* ---- changing ---- */

static pst_code change_status(struct pst_db_conn *conn, struct edit *e,
                              const struct pst_connection *c, struct pst_err *err)
{
    struct pst_health health;
    struct pst_health_event event = {.kind = PST_HEALTH_CREDENTIALS, .reason = "new credentials"};
    if (e->has_enabled && !e->enabled)
        event = (struct pst_health_event){.kind = PST_HEALTH_DISABLED,
                                          .reason = "switched off by the user"};
    else if (e->has_enabled && c->status == PST_CONNECTION_INACTIVE)
        event = (struct pst_health_event){.kind = PST_HEALTH_ENABLED,
                                          .reason = "switched on by the user"};
    else if (!e->credentials)
        return PST_OK;
    struct pst_health_time now = pst_api_health_time(e->call);
    PST_TRY(pst_health_load(&health, conn, c, &now, err));
    struct pst_health_actions actions =
        pst_health_step(&health, &pst_health_defaults, &now, &event);
    e->has_new_health = actions.must_save;
    if (actions.must_save)
        PST_TRY(pst_health_save(conn, &health, &actions, c->pk, pst_id_str(&e->call->req->id), &now,
                                err));
    if (actions.must_probe)
        return queue_sync(conn, e, c, err);
    if (actions.has_changed)
        return pst_syncs_cancel_all(conn, c->pk, e->call->now, err);
    return PST_OK;
}

/* {"members":["name","config"]}: what was given and not null, never a value, since some are
 * secret. */
static pst_code name_members(struct pst_api_call *call, pst_str *out, struct pst_err *err)
{
    struct pst_json_writer w;
    PST_AUTO(buf) struct pst_buf b = {.max = DETAIL_MAX};
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_json_add_array(&w, "members");
    for (size_t i = 0; members[i]; i++)
        if (pst_json_has(call->body, members[i]))
            pst_json_put_str(&w, pst_str_from(members[i]));
    pst_json_end_array(&w);
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    return pst_arena_dup(call->arena, out, pst_buf_str(&b), err);
}

static pst_code update_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct edit *e = arg;
    struct pst_api_call *call = e->call;
    struct pst_connection now;
    PST_TRY(pst_connections_get_pk(conn, call->connection.pk, call->arena, &now, err));
    if (e->credentials) {
        e->patch.set_credentials = true;
        PST_TRY(seal_credentials(conn, e, &now, &e->patch.credentials, err));
    }
    /* config and metadata were merged with the row that was read before. */
    int64_t version = e->patch.set_config || e->patch.set_metadata ? call->connection.version : 0;
    PST_TRY(pst_connections_patch(conn, now.pk, &e->patch, version, call->now, err));
    bool is_switched_on = e->has_enabled && e->enabled && now.status == PST_CONNECTION_INACTIVE;
    PST_TRY(pst_api_adjust_credits(conn, call, &now, e->connector->manifest,
                                   e->patch.set_config ? e->patch.config : now.config,
                                   is_switched_on, err));
    if (e->rereads)
        PST_TRY(pst_api_rewind(conn, call, now.pk, e->rechooses, err));
    PST_TRY(change_status(conn, e, &now, err));
    PST_TRY(pst_event_tell_syncs(conn, now.pk, call->now, err));
    pst_str detail = {NULL, 0};
    PST_TRY(name_members(call, &detail, err));
    PST_TRY(pst_api_audit(conn, call, "connection.update", pst_id_str(&now.id), detail, err));
    return read_result(conn, e, now.pk, err);
}

/* 0 is everything. */
static bool reaches_further(int64_t days, int64_t before)
{
    return before != 0 && (days == 0 || days > before);
}

static pst_code check_move(struct edit *e, const struct pst_connection *c, struct pst_err *err)
{
    struct pst_api_move move = {0};
    if (e->patch.set_config)
        PST_TRY(pst_api_compare_config(e->call, e->connector->manifest, c->config, e->patch.config,
                                       &move, err));
    if (move.moves && !e->credentials)
        return PST_FAIL_AT(err, PST_E_INVALID, "credentials",
                           "another address needs 'credentials' in the same request: the stored "
                           "ones are only sent to the address they were given for");
    e->moves = move.moves;
    e->rechooses = move.rechooses;
    e->rereads = move.rereads || (e->patch.set_history_days &&
                                  reaches_further(e->patch.history_days, c->history_days));
    return PST_OK;
}

pst_code pst_api_update_connection(struct pst_api_call *call, struct pst_err *err)
{
    struct edit e = {.call = call};
    const struct pst_connection *c = &call->connection;
    pst_str connector = c->connector;
    e.connector = pst_connectors_find(call->api->options.connectors, c->connector);
    if (!e.connector)
        return PST_FAIL(err, PST_E_UNSUPPORTED, "this build has no connector '%.*s'",
                        PST_STR_ARG(c->connector));
    PST_TRY(read_settings(&e, c, err));
    PST_TRY(check_move(&e, c, err));
    PST_TRY(pst_json_opt_str(call->body, "connector", &connector, err));
    if (!pst_str_eq(connector, c->connector))
        return PST_FAIL_AT(err, PST_E_INVALID, "connector",
                           "the connector of a connection can not be changed");
    struct pst_connection named = *c;
    if (e.patch.set_entities)
        named.entities = e.patch.entities;
    PST_TRY(pst_api_streams_of(call, &named, &e.streams, err));
    PST_TRY(pst_db_write(call->api->options.db, update_in_job, &e, err));
    return answer(&e, err);
}

/* ---- deleting ---- */

static pst_code delete_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct pst_api_call *call = arg;
    bool purge = pst_api_query_bool(call, "purge");
    PST_TRY(pst_connections_delete(conn, call->connection.pk, purge, call->now, err));
    PST_TRY(pst_api_hold_credits(conn, call, &call->connection, 0, "deleted", err));
    PST_TRY(pst_event_tell_syncs(conn, call->connection.pk, call->now, err));
    return pst_api_audit(conn, call, purge ? "connection.purge" : "connection.delete",
                         pst_id_str(&call->connection.id), PST_STR(""), err);
}

pst_code pst_api_delete_connection(struct pst_api_call *call, struct pst_err *err)
{
    if (!pst_wall_is_none(call->connection.deleted_at) && !pst_api_query_bool(call, "purge"))
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no connection '%s'",
                        call->connection.id.text);
    PST_TRY(pst_db_write(call->api->options.db, delete_in_job, call, err));
    tell_prober(call, NULL);
    pst_sync_cancel_connection(call->api->options.sync, call->connection.pk);
    call->res->status = 204;
    return PST_OK;
}
