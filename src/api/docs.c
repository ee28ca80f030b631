/* api/docs.c: the readable reference, out of the same table; and a page for each error. */
#include "api/internal.h"
#include "codec/html.h"

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1f24}h1,h2,h3{line-height:1.2}h3{margin-top:2.5rem}code,pre{font:14px/1.45 "
    "ui-monospace,monospace;background:#f3f4f6;border-radius:4px}code{padding:.1em .3em}pre{"
    "padding:.8rem;overflow:auto}table{border-collapse:collapse;width:100%}td,th{text-align:left;"
    "vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid #e5e7eb}.method{display:"
    "inline-block;min-width:4.2rem;font-weight:600}nav a{margin-right:1rem}.dim{color:#57606a}"
    "@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}code,pre{background:"
    "#161b22}td,th{border-color:#30363d}a{color:#79c0ff}.dim{color:#8b949e}}";

static void add_html(struct pst_buf *b, const char *text)
{
    pst_html_add(b, pst_str_from(text));
}

/* Text with `code` in it. */
static void add_words(struct pst_buf *b, const char *text)
{
    bool in_code = false;
    for (; text && *text; text++) {
        if (*text == '`') {
            pst_buf_add_str(b, in_code ? PST_STR("</code>") : PST_STR("<code>"));
            in_code = !in_code;
        } else {
            pst_html_add(b, (pst_str){text, 1});
        }
    }
}

static void begin_page(struct pst_api_call *call, const char *title)
{
    struct pst_buf *b = &call->res->body;
    call->res->status = 200;
    pst_response_header(call->res, "Content-Type", PST_STR("text/html; charset=utf-8"));
    pst_response_header(call->res, "Content-Security-Policy",
                        PST_STR("default-src 'none'; style-src 'unsafe-inline'"));
    pst_buf_add_lit(b, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta "
                       "name=\"viewport\" content=\"width=device-width\"><title>");
    add_html(b, title);
    pst_buf_add_lit(b, "</title><style>");
    pst_buf_add(b, style, sizeof(style) - 1);
    pst_buf_add_lit(b, "</style><h1>");
    add_html(b, title);
    pst_buf_add_lit(b, "</h1>");
}

static void add_params(struct pst_buf *b, const struct pst_api_op *op)
{
    if (!op->params)
        return;
    pst_buf_add_lit(b, "<table><tr><th>Parameter<th>Values<th>Meaning</tr>");
    for (const struct pst_api_param *p = op->params; p->name; p++) {
        static const char *const types[] = {"text", "number", "true or false", "", "time", "list"};
        pst_buf_addf(b, "<tr><td><code>%s</code><td>", p->name);
        if (p->type == PST_PARAM_ENUM)
            add_html(b, p->choices);
        else
            pst_buf_add_str(b, pst_str_from(types[p->type]));
        if (p->type == PST_PARAM_INTEGER && p->max < INT64_MAX)
            pst_buf_addf(b, " %lld to %lld", (long long)p->min, (long long)p->max);
        if (p->fallback)
            pst_buf_addf(b, ", default %s", p->fallback);
        pst_buf_add_lit(b, "<td>");
        add_words(b, p->description);
    }
    pst_buf_add_lit(b, "</table>");
}

static void add_errors(struct pst_buf *b, const struct pst_api_op *op)
{
    if (op->errors[0] == PST_OK)
        return;
    pst_buf_add_lit(b, "<p class=\"dim\">Errors of its own: ");
    for (size_t i = 0; i < PST_OP_ERRORS && op->errors[i] != PST_OK; i++)
        pst_buf_addf(b, "%s%d <code>%s</code>", i ? ", " : "", pst_code_http(op->errors[i]),
                     pst_code_name(op->errors[i]));
    pst_buf_add_lit(b, "</p>");
}

static void add_operation(struct pst_buf *b, const struct pst_api_op *op)
{
    static const char *const roles[] = {"viewer", "developer", "admin"};
    pst_buf_addf(b, "<h3 id=\"%s\"><span class=\"method\">%s</span> <code>", op->id,
                 pst_method_name(op->method));
    add_html(b, op->path);
    pst_buf_add_lit(b, "</code></h3><p>");
    if (strstr(op->summary, "%s"))
        pst_buf_addf(b, "%.*srecords", (int)(strstr(op->summary, "%s") - op->summary), op->summary);
    else
        add_html(b, op->summary);
    pst_buf_add_lit(b, ". ");
    add_words(b, op->description);
    pst_buf_add_lit(b, "</p><p class=\"dim\">");
    if (op->flags & PST_OP_PUBLIC)
        pst_buf_add_lit(b, "Needs no key.");
    else if (op->flags & PST_OP_OPERATOR)
        pst_buf_add_lit(b, "Operator only, through the local socket.");
    else
        pst_buf_addf(b, "Role: %s%s.", roles[op->role],
                     op->flags & PST_OP_TOKEN ? ", or a connection token" : "");
    if (op->flags & PST_OP_SHORT)
        pst_buf_add_lit(b, " With a connection token also without "
                           "<code>/connections/{connection_id}</code>.");
    pst_buf_add_lit(b, "</p>");
    add_params(b, op);
    if (op->example) {
        pst_buf_add_lit(b, "<p>Body, for example:</p><pre>");
        add_html(b, op->example);
        pst_buf_add_lit(b, "</pre>");
    }
    add_errors(b, op);
}

static void add_model(struct pst_buf *b)
{
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    pst_buf_add_lit(b, "<h2 id=\"model\">The unified model</h2>");
    for (size_t i = 0; i < count; i++) {
        const struct pst_entity *e = &entities[i];
        pst_buf_addf(b, "<h3 id=\"%s\">%s <code>/%s</code></h3><p>", e->name, e->title, e->path);
        add_words(b, e->description);
        pst_buf_add_lit(b, "</p><table><tr><th>Field<th>Type<th>Meaning</tr>");
        for (size_t k = 0; k < e->field_count; k++) {
            const struct pst_field *f = &e->fields[k];
            pst_buf_addf(b, "<tr><td><code>%s</code><td>%s%s<td>", f->name,
                         pst_field_type_name(f->type), f->filter >= 0 ? ", filter" : "");
            add_words(b, f->description);
        }
        pst_buf_add_lit(b, "</table>");
    }
}

static void add_events(struct pst_buf *b)
{
    pst_buf_add_lit(b, "<h2 id=\"events\">Events</h2><p>What is sent to webhooks, and listed at "
                       "<code>/v1/events</code>: <code>{\"id\", \"type\", \"timestamp\", "
                       "\"organization_id\", \"connection_id\", \"data\"}</code>. JSON Schemas "
                       "are at <code>/v1/event-types</code> and in OpenAPI.</p>");
    for (size_t i = 0; i < pst_event_type_count; i++) {
        const struct pst_event_type *type = &pst_event_types[i];
        pst_buf_addf(b, "<h3 id=\"%s\"><code>%s</code></h3><p>", type->name, type->name);
        add_words(b, type->description);
        pst_buf_addf(b, "</p><p class=\"dim\">Version %d. <code>data</code>, for example:</p><pre>",
                     type->version);
        add_html(b, type->sample);
        pst_buf_add_lit(b, "</pre>");
    }
}

pst_code pst_api_get_docs(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const tags[] = {"Records",  "Connections", "Syncs",    "Webhooks",
                                       "Requests", "Access",      "Operator", "Service"};
    (void)err;
    struct pst_buf *b = &call->res->body;
    begin_page(call, "Penstock API");
    pst_buf_add_lit(
        b, "<p>Version " PST_VERSION ". Send <code>Authorization: Bearer psk_...</code>. "
           "The same as <a href=\"/v1/openapi.json\">OpenAPI 3.1</a>. Every answer has "
           "<code>X-Request-Id</code>; errors are <code>application/problem+json</code> with a "
           "stable <code>code</code>.</p><nav>");
    for (size_t i = 0; i < PST_COUNT(tags); i++)
        pst_buf_addf(b, "<a href=\"#%s\">%s</a>", tags[i], tags[i]);
    pst_buf_add_lit(b, "<a href=\"#events\">Events</a><a href=\"#model\">Model</a></nav>");
    for (size_t i = 0; i < PST_COUNT(tags); i++) {
        pst_buf_addf(b, "<h2 id=\"%s\">%s</h2>", tags[i], tags[i]);
        for (size_t k = 0; k < pst_api_op_count; k++) {
            if (strcmp(pst_api_ops[k].tag, tags[i]) == 0)
                add_operation(b, &pst_api_ops[k]);
        }
    }
    add_events(b);
    add_model(b);
    return PST_OK;
}

/* "sync-in-progress" -> the first code of that public name. */
static pst_code code_of_path(pst_str path)
{
    for (int c = 1; c < PST_CODE_COUNT; c++) {
        const char *name = pst_code_name((pst_code)c);
        size_t i = 0;
        while (i < path.len && name[i]) {
            char lower = name[i] == '_'                     ? '-'
                         : name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32)
                                                            : name[i];
            if (path.ptr[i] != lower)
                break;
            i++;
        }
        if (i == path.len && !name[i])
            return (pst_code)c;
    }
    return PST_OK;
}

pst_code pst_api_get_error_page(struct pst_api_call *call, struct pst_err *err)
{
    static const char *const origins[] = {
        [PST_ORIGIN_REQUEST] = "the request",
        [PST_ORIGIN_PENSTOCK] = "Penstock itself",
        [PST_ORIGIN_SYSTEM] = "the connected system",
    };
    static const char *const retries[] = {
        [PST_RETRY_NEVER] = "The same request fails again.",
        [PST_RETRY_LATER] = "It may be repeated later.",
        [PST_RETRY_BACKOFF] = "It may be repeated; wait longer from try to try.",
        [PST_RETRY_REAUTH] = "It fails until the connection gets new credentials.",
    };
    pst_code code = code_of_path(pst_request_param(call->req, "code"));
    if (code == PST_OK)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no error of this name");
    struct pst_buf *b = &call->res->body;
    begin_page(call, pst_code_title(code));
    pst_buf_addf(b, "<p><code>%s</code>, HTTP status %d. It comes from %s.</p><p>%s</p>",
                 pst_code_name(code), pst_code_http(code), origins[pst_code_origin(code)],
                 retries[pst_code_retry(code)]);
    pst_buf_add_lit(b, "<p><a href=\"/docs\">The API</a></p>");
    return PST_OK;
}
