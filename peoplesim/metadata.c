/* peoplesim/metadata.c: ListQuery, QueryFields, QueryPrompts as XML or JSON.
 *
 * All three answers have one form: a message holding one response per thing, each with one
 * PTQASWRK of named values. Names and values here are the simulator's own, so nothing needs
 * escaping. */
#include <inttypes.h>
#include <stdio.h>

#include "base/num.h"
#include "peoplesim/gateway.h"

#define SCHEMAS "http://xmlns.oracle.com/Enterprise/Tools/schemas/"

struct message {
    struct pst_buf *out;
    const char *name; /* "QAS_LISTQUERY_RESP" */
    bool is_json;
    size_t count; /* of responses so far */
};

static void begin_message(struct message *m, const char *name, bool is_json,
                          struct pst_response *res)
{
    *m = (struct message){.out = &res->body, .name = name, .is_json = is_json};
    pst_response_header(res, "Content-Type",
                        is_json ? PST_STR("application/json") : PST_STR("text/xml; charset=UTF-8"));
    if (is_json)
        pst_buf_addf(m->out, "{\"%s_MSG\":{", name);
    else
        pst_buf_addf(m->out,
                     "<?xml version=\"1.0\"?>\n<%s_MSG xmlns=\"" SCHEMAS "%s_MSG.VERSION_1\">",
                     name, name);
}

static void begin_response(struct message *m)
{
    if (!m->is_json) {
        pst_buf_addf(m->out, "<%s><PTQASWRK class=\"R\">", m->name);
    } else {
        if (m->count == 0)
            pst_buf_addf(m->out, "\"%s\":[", m->name);
        else
            pst_buf_add_char(m->out, ',');
        pst_buf_add_lit(m->out, "{\"PTQASWRK\":{\"attr:class\":\"R\"");
    }
    m->count++;
}

static void put_text(struct message *m, const char *name, const char *value)
{
    if (m->is_json)
        pst_buf_addf(m->out, ",\"%s\":\"%s\"", name, value);
    else if (*value)
        pst_buf_addf(m->out, "<%s>%s</%s>", name, value, name);
    else
        pst_buf_addf(m->out, "<%s/>", name);
}

static void put_number(struct message *m, const char *name, int64_t value)
{
    if (m->is_json)
        pst_buf_addf(m->out, ",\"%s\":%" PRId64, name, value);
    else
        pst_buf_addf(m->out, "<%s>%" PRId64 "</%s>", name, value, name);
}

static void end_response(struct message *m)
{
    if (m->is_json)
        pst_buf_add_lit(m->out, "}}");
    else
        pst_buf_addf(m->out, "</PTQASWRK></%s>", m->name);
}

static void end_message(struct message *m)
{
    if (!m->is_json)
        pst_buf_addf(m->out, "</%s_MSG>\n", m->name);
    else if (m->count)
        pst_buf_add_lit(m->out, "]}}");
    else
        pst_buf_add_lit(m->out, "}}");
}

/* ---- the services ---- */

pst_code pst_sim_list_queries(struct pst_sim_call *call, struct pst_request *req,
                              struct pst_response *res, struct pst_err *err)
{
    (void)err;
    struct message m;
    int64_t max = 0;
    uint64_t shown = 0;
    pst_str search = pst_sim_param(call, "search");
    bool is_public = pst_str_eq_nocase(pst_request_param(req, "owner"), PST_STR("public"));
    (void)pst_parse_i64(&max, pst_sim_param(call, "maxrows"), 0, INT64_MAX);
    begin_message(&m, "QAS_LISTQUERY_RESP", call->is_json, res);
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT && is_public; i++) {
        const struct pst_sim_query *q = &pst_sim_queries[i];
        if (!pst_str_starts(pst_str_from(q->name), search) || (max && shown == (uint64_t)max) ||
            pst_sim_faults_hides(&call->gateway->faults, q->name))
            continue;
        shown++;
        begin_response(&m);
        put_text(&m, "QueryName", q->name);
        put_text(&m, "Description", q->descr);
        put_text(&m, "OwnerType", "Public");
        end_response(&m);
    }
    end_message(&m);
    return PST_OK;
}

static bool is_missing(const struct pst_sim_call *call, const struct pst_sim_column *c)
{
    const struct pst_sim_effects *e = &call->effects;
    return e->row_kind == PST_SIM_FAULT_MISSING_COLUMN && e->row == 0 &&
           strcmp(e->column, c->name) == 0;
}

pst_code pst_sim_list_fields(struct pst_sim_call *call, struct pst_request *req,
                             struct pst_response *res, struct pst_err *err)
{
    (void)req, (void)err;
    struct message m;
    int64_t number = 0;
    begin_message(&m, "QAS_LISTQUERYFIELDS_RESP", call->is_json, res);
    for (size_t i = 0; call->found && i < call->found->column_count; i++) {
        const struct pst_sim_column *c = &call->found->columns[i];
        if (is_missing(call, c))
            continue;
        begin_response(&m);
        put_number(&m, "ColumnNumber", ++number);
        put_text(&m, "FieldName", pst_sim_field_of(c));
        put_text(&m, "FieldType", pst_sim_type_name(c->type));
        put_number(&m, "FieldLength", c->digits);
        put_number(&m, "FieldDecimal", c->decimals);
        put_text(&m, "HeadingText", c->heading);
        put_text(&m, "UniqueFieldName", c->name);
        end_response(&m);
    }
    end_message(&m);
    return PST_OK;
}

pst_code pst_sim_list_prompts(struct pst_sim_call *call, struct pst_request *req,
                              struct pst_response *res, struct pst_err *err)
{
    (void)req, (void)err;
    struct message m;
    struct pst_sim_prompt prompts[PST_SIM_PROMPTS_MAX];
    size_t count = call->found ? pst_sim_prompts(call->found, prompts) : 0;
    begin_message(&m, "QAS_LISTQUERYPROMPTS_RESP", call->is_json, res);
    for (size_t i = 0; i < count; i++) {
        begin_response(&m);
        put_text(&m, "QueryName", call->found->name);
        put_text(&m, "FieldName", "");
        put_text(&m, "HeadingText", prompts[i].name);
        put_text(&m, "FieldType", "Character");
        put_text(&m, "FormatText", "Mixedcase");
        put_number(&m, "FieldLength", prompts[i].length);
        put_number(&m, "FieldDecimal", 0);
        put_text(&m, "UniquePromptName", prompts[i].name);
        put_text(&m, "PromptTable", "");
        end_response(&m);
    }
    end_message(&m);
    return PST_OK;
}
