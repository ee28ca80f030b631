/* api/webhook_edit.c: creating, changing and deleting webhook endpoints, and their secrets.
 *
 * What a request says is checked before the writer is asked; inside the job the stored endpoint is
 * read, changed and written, so that two changes at the same time do not undo each other. */
#include "api/hooks.h"
#include "webhook/webhook.h"

/* One change in work. */
struct edit {
    struct pst_api_call *call;
    struct pst_hook_settings settings;
    struct pst_endpoint endpoint; /* to create: what it shall be */
    pst_str secret; /* that signs from now on; "" = as before */
    int64_t overlap_ms;
    pst_str events; /* of a choice */
    bool is_default; /* of a choice: take it back */
    struct pst_hook_view view; /* afterwards */
};

static pst_code answer(struct edit *e, struct pst_err *err)
{
    struct pst_json_writer w;
    pst_api_begin(e->call, &w);
    pst_hook_view_put(&w, e->call, &e->view);
    if (e->secret.len)
        pst_json_add_str(&w, "secret", e->secret);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* The endpoint as it is now, inside the job. */
static pst_code read_again(struct pst_db_conn *conn, struct edit *e, int64_t pk,
                           struct pst_err *err)
{
    struct pst_endpoint now;
    PST_TRY(pst_endpoints_get_pk(conn, pk, e->call->arena, &now, err));
    return pst_hook_view_load(conn, e->call, &now, &e->view, err);
}

/* The stored endpoint to change. Errors: NOT_FOUND (deleted since the request was routed). */
static pst_code read_stored(struct pst_db_conn *conn, const struct pst_api_call *call,
                            struct pst_endpoint *out, struct pst_err *err)
{
    return pst_endpoints_get(conn, call->organization_pk, pst_id_str(&call->webhook.id),
                             call->arena, out, err);
}

/* The body's own secret, else a new one, in e->secret. */
static pst_code take_secret(struct edit *e, enum pst_endpoint_signing signing, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *made = NULL;
    pst_str given = {NULL, 0};
    if (e->call->body)
        PST_TRY(pst_json_opt_str(e->call->body, "secret", &given, err));
    if (given.ptr && pst_hook_secret_check(given, signing, err) != PST_OK) {
        (void)pst_str_copy(err->param, sizeof(err->param), PST_STR("secret"));
        return pst_err_wrap(err, "'secret'");
    }
    if (!given.ptr)
        PST_TRY(pst_hook_secret_new(&made, signing, err));
    return pst_arena_dup(e->call->arena, &e->secret, made ? pst_secret_expose(made) : given, err);
}

/* ---- creating ---- */

static pst_code check_room(struct pst_db_conn *conn, const struct pst_api_call *call,
                           struct pst_err *err)
{
    int64_t count = 0;
    PST_TRY(pst_endpoints_count(conn, call->organization_pk, &count, err));
    if (count >= PST_HOOK_ENDPOINTS_MAX)
        return PST_FAIL(err, PST_E_CONFLICT,
                        "the organization has %d webhooks, which is the most there may be: delete "
                        "one that is no longer needed",
                        PST_HOOK_ENDPOINTS_MAX);
    return PST_OK;
}

static pst_code create_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct edit *e = arg;
    struct pst_api_call *call = e->call;
    struct pst_endpoint made = e->endpoint;
    pst_str detail = {NULL, 0};
    PST_TRY(check_room(conn, call, err));
    PST_TRY(pst_hook_headers_merge(conn, call, &made, e->settings.headers, err));
    PST_TRY(pst_hook_secrets_add(conn, call, &made, e->secret, 0, err));
    PST_TRY(pst_endpoints_create(conn, &made, err));
    PST_TRY(pst_hook_settings_names(&e->settings, call->arena, &detail, err));
    PST_TRY(pst_api_audit(conn, call, "webhook.create", pst_id_str(&made.id), detail, err));
    return read_again(conn, e, made.pk, err);
}

static pst_code read_signing(const struct pst_api_call *call, enum pst_endpoint_signing *out,
                             struct pst_err *err)
{
    pst_str name = PST_STR("hmac");
    PST_TRY(pst_json_opt_str(call->body, "signing", &name, err));
    if (!pst_endpoint_signing_parse(out, name))
        return PST_FAIL_AT(err, PST_E_INVALID, "signing", "'signing' is 'hmac' or 'ed25519'");
    return PST_OK;
}

pst_code pst_api_create_webhook(struct pst_api_call *call, struct pst_err *err)
{
    struct edit e = {
        .call = call,
        .endpoint =
            {
                .id = call->api->options.new_id("whk_"),
                .organization_pk = call->organization_pk,
                .organization_id = call->organization_id,
                .connection_pk = call->connection.pk,
                .connection_id = call->connection.id,
                .events = PST_STR("*"),
                .enabled = true,
                .ordered = true,
                .timeout_ms = PST_HOOK_TIMEOUT_MS,
                .horizon_ms = PST_HOOK_HORIZON_MS,
                .created_at = call->now,
                .updated_at = call->now,
                .deleted_at = PST_WALL_NONE,
            },
    };
    PST_TRY(pst_hook_settings_read(call, &e.settings, err));
    if (!e.settings.set_url)
        return PST_FAIL_AT(err, PST_E_INVALID, "url", "'url' is missing: where events are sent");
    PST_TRY(read_signing(call, &e.endpoint.signing, err));
    PST_TRY(take_secret(&e, e.endpoint.signing, err));
    pst_hook_settings_apply(&e.settings, &e.endpoint);
    PST_TRY(pst_db_write(call->api->options.db, create_in_job, &e, err));

    pst_str location = {NULL, 0};
    PST_TRY(pst_arena_printf(call->arena, &location, err, "%.*s/%s", PST_STR_ARG(call->req->path),
                             e.endpoint.id.text));
    PST_TRY(answer(&e, err));
    pst_response_header(call->res, "Location", location);
    return PST_OK;
}

/* ---- changing ---- */

static pst_code update_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct edit *e = arg;
    struct pst_api_call *call = e->call;
    struct pst_endpoint now;
    pst_str detail = {NULL, 0};
    PST_TRY(read_stored(conn, call, &now, err));
    pst_hook_settings_apply(&e->settings, &now);
    if (e->settings.set_enabled && e->settings.enabled)
        now.health.disabled_at = PST_WALL_NONE;
    PST_TRY(pst_hook_headers_merge(conn, call, &now, e->settings.headers, err));
    PST_TRY(pst_endpoints_update(conn, &now, call->now, err));
    PST_TRY(pst_hook_settings_names(&e->settings, call->arena, &detail, err));
    PST_TRY(pst_api_audit(conn, call, "webhook.update", pst_id_str(&now.id), detail, err));
    return read_again(conn, e, now.pk, err);
}

static pst_code refuse_fixed(const struct pst_api_call *call, struct pst_err *err)
{
    if (pst_json_get(call->body, PST_STR("secret")))
        return PST_FAIL_AT(err, PST_E_INVALID, "secret",
                           "a secret is changed by POST .../rotate-secret, which takes one of your "
                           "own, too");
    if (pst_json_get(call->body, PST_STR("signing")))
        return PST_FAIL_AT(err, PST_E_INVALID, "signing",
                           "'signing' is fixed when a webhook is made: make another one");
    return PST_OK;
}

static pst_code choose_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct edit *e = arg;
    struct pst_api_call *call = e->call;
    struct pst_endpoint now;
    pst_str detail = {NULL, 0};
    PST_TRY(read_stored(conn, call, &now, err));
    PST_TRY(pst_endpoints_choose(conn, now.pk, call->connection.pk, e->events, e->is_default, err));
    PST_TRY(pst_arena_printf(call->arena, &detail, err,
                             "{\"members\":[\"events\"],\"connection_id\":\"%s\"}",
                             call->connection.id.text));
    PST_TRY(pst_api_audit(conn, call, "webhook.update", pst_id_str(&now.id), detail, err));
    return read_again(conn, e, now.pk, err);
}

/* What one connection takes of an endpoint of the whole organization. */
static pst_code choose_events(struct edit *e, struct pst_err *err)
{
    static const char *const only[] = {"events", NULL};
    struct pst_api_call *call = e->call;
    struct pst_err ignored;
    yyjson_val *events = pst_json_get(call->body, PST_STR("events"));
    if (!events || pst_json_only(call->body, "choice", only, &ignored) != PST_OK)
        return PST_FAIL_AT(err, PST_E_INVALID, "events",
                           "this webhook is the whole organization's: for one connection only "
                           "'events' can be chosen (null: as the webhook has them); change the "
                           "rest at /v1/webhooks/%s",
                           call->webhook.id.text);
    e->is_default = yyjson_is_null(events);
    if (!e->is_default)
        PST_TRY(pst_hook_events_read(call, events, &e->events, err));
    PST_TRY(pst_db_write(call->api->options.db, choose_in_job, e, err));
    return answer(e, err);
}

pst_code pst_api_update_webhook(struct pst_api_call *call, struct pst_err *err)
{
    struct edit e = {.call = call};
    if (call->connection.pk && call->webhook.connection_pk == 0)
        return choose_events(&e, err);
    PST_TRY(refuse_fixed(call, err));
    PST_TRY(pst_hook_settings_read(call, &e.settings, err));
    PST_TRY(pst_db_write(call->api->options.db, update_in_job, &e, err));
    return answer(&e, err);
}

/* ---- secrets ---- */

static pst_code rotate_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct edit *e = arg;
    struct pst_api_call *call = e->call;
    struct pst_endpoint now;
    PST_TRY(read_stored(conn, call, &now, err));
    PST_TRY(pst_hook_secrets_add(conn, call, &now, e->secret, e->overlap_ms, err));
    PST_TRY(pst_endpoints_update(conn, &now, call->now, err));
    PST_TRY(pst_api_audit(conn, call, "webhook.rotate_secret", pst_id_str(&now.id),
                          PST_STR("{\"members\":[\"secret\"]}"), err));
    return read_again(conn, e, now.pk, err);
}

pst_code pst_api_rotate_webhook_secret(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"overlap", "secret", NULL};
    struct edit e = {.call = call, .overlap_ms = PST_HOOK_OVERLAP_MS};
    if (call->body) {
        PST_TRY(pst_json_only(call->body, "rotation", members, err));
        PST_TRY(pst_hook_duration_read(call->body, "overlap", 0, PST_HOOK_OVERLAP_MAX_MS,
                                       &e.overlap_ms, err));
    }
    PST_TRY(take_secret(&e, call->webhook.signing, err));
    PST_TRY(pst_db_write(call->api->options.db, rotate_in_job, &e, err));
    return answer(&e, err);
}

/* ---- deleting ---- */

static pst_code delete_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct pst_api_call *call = arg;
    PST_TRY(pst_endpoints_delete(conn, call->webhook.pk, call->now, err));
    return pst_api_audit(conn, call, "webhook.delete", pst_id_str(&call->webhook.id), PST_STR(""),
                         err);
}

pst_code pst_api_delete_webhook(struct pst_api_call *call, struct pst_err *err)
{
    if (call->connection.pk && call->webhook.connection_pk == 0)
        return PST_FAIL(err, PST_E_CONFLICT,
                        "this webhook is the whole organization's: to get nothing of this "
                        "connection, choose {\"events\": []} for it; to delete it, use "
                        "/v1/webhooks/%s",
                        call->webhook.id.text);
    PST_TRY(pst_db_write(call->api->options.db, delete_in_job, call, err));
    call->res->status = 204;
    return PST_OK;
}
