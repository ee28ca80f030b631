/* api/keys.c: API keys, connection tokens, the audit log. A key's text is shown once, in the
 * answer that creates it; the store has its hash. */
#include "api/internal.h"

enum { NAME_MAX_BYTES = 200 };

static void put_access(struct pst_json_writer *w, const struct pst_access *a)
{
    pst_json_add_str(w, "id", pst_id_str(&a->id));
    pst_json_add_str(w, "name", a->name);
    if (a->connection_pk)
        pst_json_add_str(w, "connection_id", pst_id_str(&a->connection_id));
    else
        pst_json_add_z(w, "role", pst_role_name(a->role));
    pst_json_add_str(w, "hint", a->hint);
    pst_json_add_wall(w, "created_at", a->created_at);
    pst_json_add_wall(w, "last_used_at", a->last_used_at);
    pst_json_add_wall(w, "revoked_at", a->revoked_at);
}

static pst_code list_accesses(struct pst_api_call *call, int64_t connection_pk, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_access *list = NULL;
    size_t count = 0;
    bool more = false;
    int64_t after = 0;
    PST_TRY(pst_api_cursor_read(call, &after, err));
    PST_TRY(pst_accesses_list(call->reader, call->organization_pk, connection_pk, after,
                              (size_t)pst_api_query_i64(call, "limit"), call->arena, &list, &count,
                              &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        pst_json_begin_object(&w);
        put_access(&w, &list[i]);
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

pst_code pst_api_list_keys(struct pst_api_call *call, struct pst_err *err)
{
    return list_accesses(call, 0, err);
}

pst_code pst_api_list_tokens(struct pst_api_call *call, struct pst_err *err)
{
    return list_accesses(call, call->connection.pk, err);
}

/* ---- creating ---- */

struct creation {
    struct pst_api_call *call;
    struct pst_access access;
};

static pst_code create_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct creation *c = arg;
    PST_TRY(pst_accesses_create(conn, &c->access, err));
    return pst_api_audit(conn, c->call, c->access.connection_pk ? "token.create" : "key.create",
                         pst_id_str(&c->access.id), PST_STR(""), err);
}

static pst_code create_access(struct pst_api_call *call, struct creation *c, struct pst_err *err)
{
    struct pst_token token;
    PST_AUTO(secret) struct pst_secret *text = NULL;
    bool is_token = c->access.connection_pk != 0;
    PST_TRY(pst_json_opt_str(call->body, "name", &c->access.name, err));
    if (c->access.name.len > NAME_MAX_BYTES)
        return PST_FAIL_AT(err, PST_E_INVALID, "name", "'name' has at most %d bytes",
                           NAME_MAX_BYTES);
    PST_TRY(pst_token_new(is_token ? PST_TOKEN_CONNECTION : PST_TOKEN_API_KEY, &token, &text, err));
    c->call = call;
    c->access.id = call->api->options.new_id("key_");
    c->access.organization_pk = call->organization_pk;
    memcpy(c->access.hash, token.hash, sizeof(token.hash));
    c->access.hint = pst_str_from(token.hint);
    c->access.created_at = call->now;
    c->access.last_used_at = c->access.revoked_at = PST_WALL_NONE;
    PST_TRY(pst_db_write(call->api->options.db, create_in_job, c, err));

    struct pst_json_writer w;
    pst_api_begin(call, &w);
    put_access(&w, &c->access);
    pst_json_add_str(&w, is_token ? "token" : "key", pst_secret_expose(text));
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

pst_code pst_api_create_key(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"name", "role", NULL};
    struct creation c = {.access = {.name = PST_STR("")}};
    pst_str role = PST_STR("viewer");
    PST_TRY(pst_json_only(call->body, "key", members, err));
    PST_TRY(pst_json_opt_str(call->body, "role", &role, err));
    if (!pst_role_parse(&c.access.role, role))
        return PST_FAIL_AT(err, PST_E_INVALID, "role", "'role' is one of viewer, developer, admin");
    return create_access(call, &c, err);
}

pst_code pst_api_create_token(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"name", NULL};
    struct creation c = {.access = {.name = PST_STR(""), .role = PST_ROLE_VIEWER}};
    c.access.connection_pk = call->connection.pk;
    c.access.connection_id = call->connection.id;
    if (call->body)
        PST_TRY(pst_json_only(call->body, "token", members, err));
    return create_access(call, &c, err);
}

/* ---- revoking ---- */

/* A key's path may not revoke a token, nor one connection's path another's token. */
static pst_code check_kind(struct pst_db_conn *conn, const struct pst_api_call *call, pst_str id,
                           struct pst_err *err)
{
    int64_t after = 0;
    for (bool more = true; more;) {
        struct pst_access *list = NULL;
        size_t count = 0;
        PST_TRY(pst_accesses_list(conn, call->organization_pk, call->connection.pk, after, 500,
                                  call->arena, &list, &count, &more, err));
        for (size_t i = 0; i < count; i++) {
            after = list[i].pk;
            if (pst_str_eq(pst_id_str(&list[i].id), id))
                return PST_OK;
        }
    }
    return PST_FAIL(err, PST_E_NOT_FOUND, "there is no key '%.*s'", PST_STR_ARG(id));
}

static pst_code revoke_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct pst_api_call *call = arg;
    pst_str id = pst_request_param(call->req, "key_id");
    PST_TRY(check_kind(conn, call, id, err));
    PST_TRY(pst_accesses_revoke(conn, call->organization_pk, id, call->now, err));
    return pst_api_audit(conn, call, call->connection.pk ? "token.revoke" : "key.revoke", id,
                         PST_STR(""), err);
}

pst_code pst_api_revoke_key(struct pst_api_call *call, struct pst_err *err)
{
    PST_TRY(pst_db_write(call->api->options.db, revoke_in_job, call, err));
    call->res->status = 204;
    return PST_OK;
}

pst_code pst_api_revoke_token(struct pst_api_call *call, struct pst_err *err)
{
    return pst_api_revoke_key(call, err);
}

/* ---- audit ---- */

pst_code pst_api_list_audit(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_audit *list = NULL;
    size_t count = 0;
    bool more = false;
    int64_t before = 0;
    PST_TRY(pst_api_cursor_read(call, &before, err));
    PST_TRY(pst_audit_list(call->reader, call->organization_pk, before,
                           (size_t)pst_api_query_i64(call, "limit"), call->arena, &list, &count,
                           &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        pst_json_begin_object(&w);
        pst_json_add_wall(&w, "at", list[i].at);
        pst_json_add_str(&w, "actor", list[i].actor);
        pst_json_add_str(&w, "action", list[i].action);
        pst_json_add_str(&w, "object", list[i].object);
        pst_json_add_str(&w, "request_id", list[i].request_id);
        pst_json_add_raw(&w, "detail", list[i].detail.len ? list[i].detail : PST_STR("{}"));
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
