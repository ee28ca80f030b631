/* api/syncs.c: runs: list, look at, start by hand, cancel. */
#include "api/internal.h"

enum { PROGRESS_MAX = 64 };

static const struct pst_sync_progress *progress_of(const struct pst_sync_progress *list, size_t n,
                                                   int64_t sync_pk)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].sync_pk == sync_pk)
            return &list[i];
    }
    return NULL;
}

static pst_code read_statuses(const struct pst_api_call *call, unsigned *bits, struct pst_err *err)
{
    pst_str left = pst_api_query(call, "status");
    *bits = 0;
    while (left.len) {
        enum pst_sync_status status;
        pst_str name = pst_str_split(&left, ',');
        if (!pst_sync_status_parse(&status, name))
            return PST_FAIL_AT(err, PST_E_INVALID, "status", "'%.*s' is no status of a sync",
                               PST_STR_ARG(name));
        *bits |= 1U << status;
    }
    return PST_OK;
}

pst_code pst_api_list_syncs(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_sync_progress progress[PROGRESS_MAX];
    struct pst_sync *list = NULL;
    size_t count = 0;
    unsigned statuses = 0;
    bool more = false;
    int64_t before = 0;
    PST_TRY(pst_api_cursor_read(call, &before, err));
    PST_TRY(read_statuses(call, &statuses, err));
    PST_TRY(pst_syncs_list(call->reader, call->connection.pk, before, statuses,
                           (size_t)pst_api_query_i64(call, "limit"), call->arena, &list, &count,
                           &more, err));
    size_t running =
        pst_sync_progress(call->api->options.sync, call->connection.pk, progress, PROGRESS_MAX);
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        pst_json_begin_object(&w);
        pst_api_put_sync(&w, call, &list[i], progress_of(progress, running, list[i].pk));
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code write_sync(struct pst_api_call *call, const struct pst_sync *sync,
                           struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_sync_progress progress[PROGRESS_MAX];
    size_t running =
        pst_sync_progress(call->api->options.sync, call->connection.pk, progress, PROGRESS_MAX);
    pst_api_begin(call, &w);
    pst_api_put_sync(&w, call, sync, progress_of(progress, running, sync->pk));
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code no_such_sync(const struct pst_api_call *call, struct pst_err *err)
{
    return PST_FAIL(err, PST_E_NOT_FOUND, "there is no sync '%.*s'",
                    PST_STR_ARG(pst_request_param(call->req, "sync_id")));
}

pst_code pst_api_get_sync(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_sync sync;
    pst_code code = pst_syncs_get(call->reader, call->connection.pk,
                                  pst_request_param(call->req, "sync_id"), call->arena, &sync, err);
    if (code == PST_E_NOT_FOUND)
        return no_such_sync(call, err);
    PST_TRY(code);
    return write_sync(call, &sync, err);
}

/* ---- starting ---- */

struct start {
    struct pst_api_call *call;
    struct pst_sync_request request;
    struct pst_id busy;
    struct pst_sync sync; /* as it was queued */
    bool was_offline; /* runs that waited made room */
};

static pst_code start_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct start *s = arg;
    struct pst_connection c;
    int64_t pk = 0;
    PST_TRY(pst_connections_get_pk(conn, s->request.connection_pk, s->call->arena, &c, err));
    s->was_offline = c.status == PST_CONNECTION_OFFLINE;
    PST_TRY(pst_syncs_create(conn, &s->request, &pk, &s->busy, err));
    PST_TRY(pst_event_tell_syncs(conn, c.pk, s->call->now, err)); /* what made room */
    PST_TRY(
        pst_api_audit(conn, s->call, "sync.create", pst_id_str(&s->request.id), PST_STR(""), err));
    return pst_syncs_get_pk(conn, pk, s->call->arena, &s->sync, err);
}

static pst_code read_start(struct start *s, struct pst_err *err)
{
    static const char *const members[] = {"mode", "entities", NULL};
    struct pst_api_call *call = s->call;
    struct pst_api_streams streams = {0};
    const struct pst_entity **entities = NULL;
    pst_str mode = PST_STR("incremental");
    s->request.mode = PST_SYNC_INCREMENTAL;
    PST_TRY(pst_api_streams_of(call, &call->connection, &streams, err));
    if (call->body) {
        PST_TRY(pst_json_only(call->body, "sync", members, err));
        PST_TRY(pst_json_opt_str(call->body, "mode", &mode, err));
        PST_TRY(pst_api_streams_pick(call, pst_json_get(call->body, PST_STR("entities")), &streams,
                                     err));
    }
    if (!pst_sync_mode_parse(&s->request.mode, mode))
        return PST_FAIL_AT(err, PST_E_INVALID, "mode", "'mode' is 'incremental' or 'full'");
    PST_TRY(pst_arena_array(call->arena, &entities, streams.count, sizeof(*entities), err));
    for (size_t i = 0; i < streams.count; i++)
        entities[i] = streams.items[i]->entity;
    s->request.entities = entities;
    s->request.entity_count = streams.count;
    return PST_OK;
}

pst_code pst_api_create_sync(struct pst_api_call *call, struct pst_err *err)
{
    struct start s = {.call = call,
                      .request = {
                          .id = call->api->options.new_id("sync_"),
                          .connection_pk = call->connection.pk,
                          .trigger = PST_SYNC_MANUAL,
                          .request_id = pst_id_str(&call->req->id),
                          .now = call->now,
                      }};
    PST_TRY(read_start(&s, err));
    if (call->connection.status == PST_CONNECTION_AUTHENTICATION_REQUIRED)
        return PST_FAIL(err, PST_E_REAUTH,
                        "the connected system refused the credentials: nothing is tried until "
                        "they are changed");
    pst_code code = pst_db_write(call->api->options.db, start_in_job, &s, err);
    if (code == PST_E_SYNC_IN_PROGRESS && s.busy.text[0])
        (void)pst_str_copy(err->param, sizeof(err->param), pst_id_str(&s.busy));
    PST_TRY(code);
    call->sync_id = s.sync.id;
    /* The scheduler may have been waiting for a run that made room for this one. */
    if (s.was_offline)
        pst_sync_made_room(call->api->options.sync, call->connection.pk);
    pst_sync_work_added(call->api->options.sync);
    pst_str location = {NULL, 0};
    PST_TRY(pst_arena_printf(call->arena, &location, err, "/v1/connections/%s/syncs/%s",
                             call->connection.id.text, s.sync.id.text));
    pst_response_header(call->res, "Location", location);
    return write_sync(call, &s.sync, err);
}

/* ---- cancelling ---- */

static pst_code cancel_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct start *s = arg;
    struct pst_api_call *call = s->call;
    pst_str id = pst_request_param(call->req, "sync_id");
    PST_TRY(pst_syncs_cancel(conn, call->connection.pk, id, call->now, err));
    PST_TRY(pst_event_tell_syncs(conn, call->connection.pk, call->now, err));
    PST_TRY(pst_api_audit(conn, call, "sync.cancel", id, PST_STR(""), err));
    return pst_syncs_get(conn, call->connection.pk, id, call->arena, &s->sync, err);
}

pst_code pst_api_cancel_sync(struct pst_api_call *call, struct pst_err *err)
{
    struct start s = {.call = call};
    pst_code code = pst_db_write(call->api->options.db, cancel_in_job, &s, err);
    if (code == PST_E_NOT_FOUND)
        return no_such_sync(call, err);
    PST_TRY(code);
    pst_sync_cancel(call->api->options.sync, call->connection.pk, s.sync.pk);
    return write_sync(call, &s.sync, err);
}
