/* api/incidents.c: the operator's work on incidents. */
#include "api/internal.h"

enum { TITLE_MAX = 200, TEXT_MAX = 4000 };

/* ---- writing ---- */

static void put_components(struct pst_json_writer *w, pst_str list)
{
    pst_json_add_array(w, "components");
    while (list.len)
        pst_json_put_str(w, pst_str_split(&list, ','));
    pst_json_end_array(w);
}

static void put_incident(struct pst_json_writer *w, const struct pst_incident *i)
{
    pst_json_add_str(w, "id", pst_id_str(&i->id));
    pst_json_add_z(w, "kind", pst_incident_kind_name(i->kind));
    pst_json_add_str(w, "title", i->title);
    pst_json_add_z(w, "impact", pst_incident_impact_name(i->impact));
    pst_json_add_z(w, "state", pst_incident_state_name(i->state));
    put_components(w, i->components);
    if (i->subject.len)
        pst_json_add_str(w, "subject", i->subject);
    else
        pst_json_add_null(w, "subject");
    pst_json_add_i64(w, "affected", i->affected);
    pst_json_add_wall(w, "opened_at", i->opened_at);
    pst_json_add_wall(w, "updated_at", i->updated_at);
    pst_json_add_wall(w, "closed_at", i->closed_at);
    pst_json_add_array(w, "updates");
    for (size_t k = 0; k < i->update_count; k++) {
        const struct pst_incident_update *u = &i->updates[k];
        pst_json_begin_object(w);
        pst_json_add_wall(w, "at", u->at);
        pst_json_add_z(w, "state", pst_incident_state_name(u->state));
        pst_json_add_str(w, "text", u->text);
        pst_json_add_str(w, "actor", u->actor);
        pst_json_end_object(w);
    }
    pst_json_end_array(w);
}

static pst_code answer(struct pst_api_call *call, const struct pst_incident *incident,
                       struct pst_err *err)
{
    struct pst_json_writer w;
    pst_api_begin(call, &w);
    put_incident(&w, incident);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* ---- reading ---- */

pst_code pst_api_list_incidents(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_incident *list = NULL;
    size_t count = 0;
    bool more = false;
    int64_t before = 0;
    PST_TRY(pst_api_cursor_read(call, &before, err));
    PST_TRY(pst_incidents_list(call->reader, pst_api_query_bool(call, "open"), before,
                               (size_t)pst_api_query_i64(call, "limit"), call->arena, &list, &count,
                               &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        pst_json_begin_object(&w);
        put_incident(&w, &list[i]);
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

pst_code pst_api_get_incident(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_incident incident;
    PST_TRY(pst_incidents_get(call->reader, pst_request_param(call->req, "incident_id"),
                              call->arena, &incident, err));
    return answer(call, &incident, err);
}

/* ---- changing ---- */

struct edit {
    struct pst_api_call *call;
    struct pst_incident incident; /* as it is to be; then as it is */
    struct pst_incident_update update;
    pst_str title, components; /* NULL: as they are */
    int impact; /* negative: as it is */
};

static pst_code check_length(const char *name, pst_str text, size_t max, struct pst_err *err)
{
    if (text.len > max)
        return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' has at most %zu bytes", name, max);
    return PST_OK;
}

static bool is_component(const struct pst_api_call *call, pst_str name)
{
    static const char *const fixed[] = {"api", "sync", "webhooks"};
    const struct pst_connectors *connectors = call->api->options.connectors;
    for (size_t i = 0; i < PST_COUNT(fixed); i++) {
        if (pst_str_is(name, fixed[i]))
            return true;
    }
    pst_str kind = pst_str_split(&name, ':');
    return pst_str_is(kind, "connector") && pst_connectors_find(connectors, name) != NULL;
}

static pst_code read_components(const struct pst_api_call *call, pst_str *out, struct pst_err *err)
{
    yyjson_val *names = NULL;
    yyjson_val *item = NULL;
    size_t i = 0;
    size_t n = 0;
    pst_str all = PST_STR("");
    PST_TRY(pst_json_opt_array(call->body, "components", &names, err));
    if (!names)
        return PST_OK;
    yyjson_arr_foreach(names, i, n, item)
    {
        pst_str name = {NULL, 0};
        if (!pst_json_str(item, &name) || !is_component(call, name))
            return PST_FAIL_AT(err, PST_E_INVALID, "components",
                               "'components' are 'api', 'sync', 'webhooks' and 'connector:NAME'");
        PST_TRY(pst_arena_printf(call->arena, &all, err, "%.*s%s%.*s", PST_STR_ARG(all),
                                 all.len ? "," : "", PST_STR_ARG(name)));
    }
    PST_TRY(check_length("components", all, TEXT_MAX, err));
    *out = all.ptr ? all : PST_STR("");
    return PST_OK;
}

static pst_code read_impact(const struct pst_api_call *call, int *out, struct pst_err *err)
{
    pst_str text = {NULL, 0};
    enum pst_incident_impact impact = PST_IMPACT_DEGRADED;
    PST_TRY(pst_json_opt_str(call->body, "impact", &text, err));
    if (!text.ptr)
        return PST_OK;
    if (!pst_incident_impact_parse(&impact, text))
        return PST_FAIL_AT(err, PST_E_INVALID, "impact",
                           "'impact' is 'degraded', 'down' or 'maintenance'");
    *out = (int)impact;
    return PST_OK;
}

static pst_code read_state(const struct pst_api_call *call, enum pst_incident_state *out,
                           struct pst_err *err)
{
    pst_str text = {NULL, 0};
    PST_TRY(pst_json_opt_str(call->body, "state", &text, err));
    if (text.ptr && !pst_incident_state_parse(out, text))
        return PST_FAIL_AT(err, PST_E_INVALID, "state",
                           "'state' is 'investigating', 'identified', 'monitoring' or 'resolved'");
    return PST_OK;
}

static void stamp(struct edit *e, pst_str text)
{
    e->update.at = e->call->now;
    e->update.text = text;
    e->update.actor = e->call->actor;
}

static pst_code create_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct edit *e = arg;
    struct pst_id id = e->incident.id;
    PST_TRY(pst_incidents_add(conn, &e->incident, &e->update, err));
    PST_TRY(pst_api_audit(conn, e->call, "incident.create", pst_id_str(&id), PST_STR(""), err));
    return pst_incidents_get(conn, pst_id_str(&id), e->call->arena, &e->incident, err);
}

pst_code pst_api_create_incident(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"title", "text", "impact", "state", "components", NULL};
    struct edit e = {.call = call, .impact = PST_IMPACT_DEGRADED};
    pst_str title = {NULL, 0};
    pst_str text = PST_STR("");
    pst_str components = PST_STR("");
    PST_TRY(pst_json_only(call->body, "incident", members, err));
    PST_TRY(pst_json_need_str(call->body, "title", &title, err));
    PST_TRY(check_length("title", title, TITLE_MAX, err));
    PST_TRY(pst_json_opt_str(call->body, "text", &text, err));
    PST_TRY(check_length("text", text, TEXT_MAX, err));
    PST_TRY(read_impact(call, &e.impact, err));
    PST_TRY(read_state(call, &e.update.state, err));
    PST_TRY(read_components(call, &components, err));
    if (e.update.state == PST_INCIDENT_RESOLVED)
        return PST_FAIL_AT(err, PST_E_INVALID, "state", "an incident does not begin as resolved");
    stamp(&e, text);
    e.incident = (struct pst_incident){
        .id = call->api->options.new_id("inc_"),
        .kind = PST_INCIDENT_MANUAL,
        .components = components,
        .impact = (enum pst_incident_impact)e.impact,
        .state = e.update.state,
        .title = title,
        .opened_at = call->now,
    };
    PST_TRY(pst_db_write(call->api->options.db, create_in_job, &e, err));
    return answer(call, &e.incident, err);
}

static pst_code edit_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct edit *e = arg;
    pst_str id = pst_request_param(e->call->req, "incident_id");
    struct pst_incident before;
    PST_TRY(pst_incidents_get(conn, id, e->call->arena, &before, err));
    PST_TRY(
        pst_incidents_edit(conn, before.pk, e->title, e->components, e->impact, e->call->now, err));
    PST_TRY(pst_api_audit(conn, e->call, "incident.update", id, PST_STR(""), err));
    return pst_incidents_get(conn, id, e->call->arena, &e->incident, err);
}

pst_code pst_api_update_incident(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"title", "impact", "components", NULL};
    struct edit e = {.call = call, .impact = -1};
    PST_TRY(pst_json_only(call->body, "incident", members, err));
    PST_TRY(pst_json_opt_str(call->body, "title", &e.title, err));
    PST_TRY(check_length("title", e.title, TITLE_MAX, err));
    if (e.title.ptr && e.title.len == 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "title", "'title' is empty");
    PST_TRY(read_impact(call, &e.impact, err));
    PST_TRY(read_components(call, &e.components, err));
    PST_TRY(pst_db_write(call->api->options.db, edit_in_job, &e, err));
    return answer(call, &e.incident, err);
}

static pst_code update_in_job(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct edit *e = arg;
    pst_str id = pst_request_param(e->call->req, "incident_id");
    struct pst_incident before;
    PST_TRY(pst_incidents_get(conn, id, e->call->arena, &before, err));
    if (e->update.state == PST_INCIDENT_RESOLVED && before.state == PST_INCIDENT_RESOLVED)
        return PST_FAIL_AT(err, PST_E_CONFLICT, "state", "the incident is closed already");
    PST_TRY(pst_incidents_update(conn, before.pk, &e->update, err));
    PST_TRY(pst_api_audit(conn, e->call, "incident.update", id, PST_STR(""), err));
    return pst_incidents_get(conn, id, e->call->arena, &e->incident, err);
}

pst_code pst_api_add_incident_update(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const members[] = {"state", "text", NULL};
    struct edit e = {.call = call};
    pst_str text = {NULL, 0};
    pst_str state = {NULL, 0};
    PST_TRY(pst_json_only(call->body, "update", members, err));
    PST_TRY(pst_json_need_str(call->body, "state", &state, err));
    PST_TRY(read_state(call, &e.update.state, err));
    PST_TRY(pst_json_need_str(call->body, "text", &text, err));
    PST_TRY(check_length("text", text, TEXT_MAX, err));
    stamp(&e, text);
    PST_TRY(pst_db_write(call->api->options.db, update_in_job, &e, err));
    return answer(call, &e.incident, err);
}
