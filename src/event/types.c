/* event/types.c: finding types, their schemas, and samples. The table is made from types.yaml. */
#include "event/draft.h"
#include "store/accounts.h"

/* "flow.*" stands for flow.<name>, name being [a-z0-9_]+. */
static bool is_named(const struct pst_event_type *t, pst_str name)
{
    pst_str own = pst_str_from(t->name);
    if (!pst_str_ends(own, PST_STR(".*")))
        return pst_str_eq(own, name);
    pst_str prefix = pst_str_sub(own, 0, own.len - 1);
    if (!pst_str_starts(name, prefix) || name.len == prefix.len)
        return false;
    for (size_t i = prefix.len; i < name.len; i++) {
        char c = name.ptr[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_')
            return false;
    }
    return true;
}

const struct pst_event_type *pst_event_type_find(pst_str name)
{
    for (size_t i = 0; i < pst_event_type_count; i++)
        if (is_named(&pst_event_types[i], name))
            return &pst_event_types[i];
    return NULL;
}

void pst_event_schema(struct pst_buf *out, const struct pst_event_type *type)
{
    bool is_open = pst_str_ends(pst_str_from(type->name), PST_STR(".*"));
    pst_buf_add_lit(out, "{\"type\":\"object\",\"required\":[\"id\",\"type\",\"timestamp\","
                         "\"organization_id\",\"connection_id\",\"data\"],\"properties\":{"
                         "\"id\":{\"type\":\"string\",\"description\":\"evt_...: the same on every "
                         "attempt.\"},\"type\":{\"type\":\"string\",");
    if (is_open)
        pst_buf_addf(out, "\"pattern\":\"^%.*s[a-z0-9_]+$\"", (int)strlen(type->name) - 1,
                     type->name);
    else
        pst_buf_addf(out, "\"const\":\"%s\"", type->name);
    pst_buf_addf(out,
                 "},\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\"},"
                 "\"organization_id\":{\"type\":\"string\"},"
                 "\"connection_id\":{\"type\":%s},\"data\":%s}}",
                 type->of_connection ? "\"string\"" : "[\"string\",\"null\"]", type->schema);
}

static pst_code find_subject(struct pst_db_conn *conn, int64_t organization_pk,
                             int64_t connection_pk, struct pst_arena *arena,
                             struct pst_event_subject *out, struct pst_err *err)
{
    struct pst_organization organization;
    *out = (struct pst_event_subject){.organization_pk = organization_pk,
                                      .connection_pk = connection_pk};
    PST_TRY(pst_organizations_get_pk(conn, organization_pk, arena, &organization, err));
    out->organization_id = organization.id;
    if (connection_pk == 0)
        return PST_OK;
    struct pst_connection connection;
    PST_TRY(pst_connections_get_pk(conn, connection_pk, arena, &connection, err));
    out->connection_id = connection.id;
    return PST_OK;
}

pst_code pst_event_add_sample(struct pst_db_conn *conn, int64_t organization_pk,
                              int64_t connection_pk, pst_str type, pst_str unique, pst_wall now,
                              struct pst_arena *arena, struct pst_event *out, struct pst_err *err)
{
    PST_AUTO(draft) struct pst_draft d = {0};
    struct pst_event_subject subject;
    const struct pst_event_type *t = pst_event_type_find(type);
    if (!t)
        return PST_FAIL_AT(err, PST_E_INVALID, "type", "there is no type of event '%.*s'",
                           PST_STR_ARG(type));
    PST_TRY(find_subject(conn, organization_pk, connection_pk, arena, &subject, err));
    if (t->of_connection && connection_pk == 0) /* the shape wants one; it need not be there */
        subject.connection_id = (struct pst_id){.text = "conn_01jdf3x8q2e4vb7n5k9m1r6t0w"};
    pst_draft_fill(&d, &subject, type, &unique, 1, now, pst_str_from(t->sample));
    d.event.is_sample = true;
    PST_TRY(pst_draft_send(&d, conn, err));
    *out = d.event;
    return pst_arena_dup(arena, &out->body, d.event.body, err);
}
