/* api/organizations.c: the tenants; the operator's. */
#include "api/internal.h"

enum { NAME_MAX_BYTES = 200 };

static void put_organization(struct pst_json_writer *w, const struct pst_organization *o)
{
    pst_json_add_str(w, "id", pst_id_str(&o->id));
    pst_json_add_str(w, "name", o->name);
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

pst_code pst_api_get_organization(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_organization o;
    pst_str id = pst_request_param(call->req, "organization_id");
    pst_code code = pst_organizations_get(call->reader, id, call->arena, &o, err);
    if (code == PST_E_NOT_FOUND)
        return PST_FAIL(err, code, "there is no organization '%.*s'", PST_STR_ARG(id));
    PST_TRY(code);
    pst_api_begin(call, &w);
    put_organization(&w, &o);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

struct creation {
    struct pst_api_call *call;
    struct pst_organization organization;
};

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
    PST_TRY(pst_organizations_create(conn, &c->organization, err));
    c->call->organization_pk = c->organization.pk;
    return pst_api_audit(conn, c->call, "organization.create", pst_id_str(&c->organization.id),
                         PST_STR(""), err);
}

pst_code pst_api_create_organization(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"name", NULL};
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
    PST_TRY(pst_db_write(call->api->options.db, create_in_job, &c, err));
    pst_api_begin(call, &w);
    put_organization(&w, &c.organization);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
