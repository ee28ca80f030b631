/* api/organizations.c: the tenants and their pools of credits; the operator's. */
#include "api/internal.h"

enum { NAME_MAX_BYTES = 200, POOL_MAX = 1000000000 };

static void put_organization(struct pst_json_writer *w, const struct pst_organization *o)
{
    pst_json_add_str(w, "id", pst_id_str(&o->id));
    pst_json_add_str(w, "name", o->name);
    if (o->credits.has_pool)
        pst_json_add_i64(w, "credits", o->credits.pool);
    else
        pst_json_add_null(w, "credits");
    pst_json_add_bool(w, "overage", o->credits.allows_overage);
    pst_json_add_i64(w, "credits_used", o->credits.used);
    pst_json_add_wall(w, "created_at", o->created_at);
}

pst_code pst_api_list_organizations(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_organization *list = NULL;
    size_t count = 0;
    bool more = false;
    int64_t after = 0;
    PST_TRY(pst_api_cursor_read(call, &after, err));
    PST_TRY(pst_organizations_list(call->reader, after, (size_t)pst_api_query_i64(call, "limit"),
                                   call->arena, &list, &count, &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        pst_json_begin_object(&w);
        put_organization(&w, &list[i]);
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code find_organization(struct pst_db_conn *conn, struct pst_api_call *call,
                                  struct pst_organization *out, struct pst_err *err)
{
    pst_str id = pst_request_param(call->req, "organization_id");
    pst_code code = pst_organizations_get(conn, id, call->arena, out, err);
    if (code == PST_E_NOT_FOUND)
        return PST_FAIL(err, code, "there is no organization '%.*s'", PST_STR_ARG(id));
    return code;
}

pst_code pst_api_get_organization(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_organization o;
    PST_TRY(find_organization(call->reader, call, &o, err));
    pst_api_begin(call, &w);
    put_organization(&w, &o);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

struct creation {
    struct pst_api_call *call;
    struct pst_organization organization;
};

/* Members "credits" (null: without end) and "overage", where they are given. */
static pst_code read_credits(yyjson_val *body, struct pst_credits *c, struct pst_err *err)
{
    yyjson_val *pool = pst_json_get(body, PST_STR("credits"));
    PST_TRY(pst_json_opt_bool(body, "overage", &c->allows_overage, err));
    if (pool)
        c->has_pool = !yyjson_is_null(pool);
    return pst_json_opt_i64(body, "credits", 0, POOL_MAX, &c->pool, err);
}

/* {"credits":10,"overage":false} */
static pst_code describe_credits(struct pst_api_call *call, const struct pst_credits *c,
                                 pst_str *out, struct pst_err *err)
{
    char pool[24] = "null";
    if (c->has_pool)
        (void)snprintf(pool, sizeof(pool), "%lld", (long long)c->pool);
    return pst_arena_printf(call->arena, out, err, "{\"credits\":%s,\"overage\":%s}", pool,
                            c->allows_overage ? "true" : "false");
}

/* Names are unique, so that the operator may use them instead of ids. */
static pst_code check_name_free(struct pst_db_conn *conn, struct creation *c, struct pst_err *err)
{
    int64_t after = 0;
    for (bool more = true; more;) {
        struct pst_organization *list = NULL;
        size_t count = 0;
        PST_TRY(
            pst_organizations_list(conn, after, 500, c->call->arena, &list, &count, &more, err));
        for (size_t i = 0; i < count; i++) {
            after = list[i].pk;
            if (pst_str_eq(list[i].name, c->organization.name))
                return PST_FAIL_AT(err, PST_E_CONFLICT, "name",
                                   "there already is an organization of this name: %s",
                                   list[i].id.text);
        }
    }
    return PST_OK;
}

static pst_code create_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct creation *c = arg;
    PST_TRY(check_name_free(conn, c, err));
    pst_str detail = {NULL, 0};
    PST_TRY(pst_organizations_create(conn, &c->organization, err));
    PST_TRY(pst_credits_set(conn, c->organization.pk, &c->organization.credits, err));
    PST_TRY(describe_credits(c->call, &c->organization.credits, &detail, err));
    c->call->organization_pk = c->organization.pk;
    return pst_api_audit(conn, c->call, "organization.create", pst_id_str(&c->organization.id),
                         detail, err);
}

pst_code pst_api_create_organization(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"name", "credits", "overage", NULL};
    struct pst_json_writer w;
    struct creation c = {
        .call = call,
        .organization = {.id = call->api->options.new_id("org_"), .created_at = call->now},
    };
    PST_TRY(pst_json_only(call->body, "organization", members, err));
    PST_TRY(pst_json_need_str(call->body, "name", &c.organization.name, err));
    c.organization.name = pst_str_trim(c.organization.name);
    if (c.organization.name.len == 0 || c.organization.name.len > NAME_MAX_BYTES)
        return PST_FAIL_AT(err, PST_E_INVALID, "name", "'name' has 1 to %d bytes", NAME_MAX_BYTES);
    PST_TRY(read_credits(call->body, &c.organization.credits, err));
    PST_TRY(pst_db_write(call->api->options.db, create_in_job, &c, err));
    pst_api_begin(call, &w);
    put_organization(&w, &c.organization);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code update_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct creation *c = arg;
    struct pst_organization *o = &c->organization;
    pst_str detail = {NULL, 0};
    PST_TRY(find_organization(conn, c->call, o, err));
    PST_TRY(read_credits(c->call->body, &o->credits, err));
    PST_TRY(pst_credits_set(conn, o->pk, &o->credits, err));
    PST_TRY(describe_credits(c->call, &o->credits, &detail, err));
    c->call->organization_pk = o->pk;
    return pst_api_audit(conn, c->call, "organization.update", pst_id_str(&o->id), detail, err);
}

pst_code pst_api_update_organization(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"credits", "overage", NULL};
    struct pst_json_writer w;
    struct creation c = {.call = call};
    PST_TRY(pst_json_only(call->body, "organization", members, err));
    PST_TRY(pst_db_write(call->api->options.db, update_in_job, &c, err));
    pst_api_begin(call, &w);
    put_organization(&w, &c.organization);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
