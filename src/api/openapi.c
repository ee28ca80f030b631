/* api/openapi.c: OpenAPI 3.1 out of the table of operations and the model. */
#include "api/internal.h"

/* "get" + "PurchaseOrders" */
static void add_camel(struct pst_buf *b, const char *snake)
{
    bool up = true;
    for (; *snake; snake++) {
        if (*snake == '_') {
            up = true;
            continue;
        }
        pst_buf_add_char(b, up && *snake >= 'a' && *snake <= 'z' ? (char)(*snake - 32) : *snake);
        up = false;
    }
}

static void put_ref(struct pst_json_writer *w, const char *name)
{
    char text[120];
    (void)snprintf(text, sizeof(text), "#/components/schemas/%s", name);
    pst_json_begin_object(w);
    pst_json_add_z(w, "$ref", text);
    pst_json_end_object(w);
}

/* Schemas are written with single quotes; \' inside a text stands for the quote itself. */
static void put_schema_text(struct pst_json_writer *w, const char *text)
{
    PST_AUTO(buf) struct pst_buf b = {.max = 1 << 16};
    for (; *text; text++) {
        if (*text == '\\' && text[1] == '\'') {
            pst_buf_add_lit(&b, "'");
            text++;
        } else {
            pst_buf_add_char(&b, *text == '\'' ? '"' : *text);
        }
    }
    pst_json_put_raw(w, pst_buf_str(&b));
}

/* ---- parameters ---- */

static void put_choices(struct pst_json_writer *w, const char *choices)
{
    pst_str left = pst_str_from(choices);
    pst_json_add_array(w, "enum");
    while (left.len)
        pst_json_put_str(w, pst_str_split(&left, '|'));
    pst_json_end_array(w);
}

static void put_param_schema(struct pst_json_writer *w, const struct pst_api_param *p)
{
    static const char *const types[] = {
        [PST_PARAM_STRING] = "string",   [PST_PARAM_INTEGER] = "integer",
        [PST_PARAM_BOOLEAN] = "boolean", [PST_PARAM_ENUM] = "string",
        [PST_PARAM_TIME] = "string",     [PST_PARAM_LIST] = "array",
    };
    pst_json_add_object(w, "schema");
    pst_json_add_z(w, "type", types[p->type]);
    if (p->type == PST_PARAM_INTEGER) {
        pst_json_add_i64(w, "minimum", p->min);
        pst_json_add_i64(w, "maximum", p->max);
    }
    if (p->type == PST_PARAM_ENUM)
        put_choices(w, p->choices);
    if (p->type == PST_PARAM_TIME)
        pst_json_add_z(w, "format", "date-time");
    if (p->type == PST_PARAM_STRING)
        pst_json_add_i64(w, "maxLength", p->max);
    if (p->type == PST_PARAM_LIST)
        pst_json_add_raw(w, "items", PST_STR("{\"type\":\"string\"}"));
    bool bare = p->type == PST_PARAM_INTEGER || p->type == PST_PARAM_BOOLEAN;
    if (p->fallback && bare)
        pst_json_add_raw(w, "default", pst_str_from(p->fallback));
    else if (p->fallback)
        pst_json_add_z(w, "default", p->fallback);
    pst_json_end_object(w);
}

static void put_query_param(struct pst_json_writer *w, const struct pst_api_param *p)
{
    pst_json_begin_object(w);
    pst_json_add_z(w, "name", p->name);
    pst_json_add_z(w, "in", "query");
    pst_json_add_z(w, "description", p->description);
    if (p->type == PST_PARAM_LIST) {
        pst_json_add_z(w, "style", "form");
        pst_json_add_bool(w, "explode", false);
    }
    put_param_schema(w, p);
    if (p->example && p->type != PST_PARAM_LIST)
        pst_json_add_z(w, "example", p->example);
    pst_json_end_object(w);
}

static void put_filter(struct pst_json_writer *w, const struct pst_field *field, const char *suffix,
                       const char *what)
{
    char name[120];
    static const char *const formats[] = {
        [PST_TYPE_DATE] = "date",
        [PST_TYPE_DATETIME] = "date-time",
        [PST_TYPE_ARRAY] = NULL,
    };
    (void)snprintf(name, sizeof(name), "%s%s", field->name, suffix);
    pst_json_begin_object(w);
    pst_json_add_z(w, "name", name);
    pst_json_add_z(w, "in", "query");
    pst_json_add_z(w, "description", what);
    pst_json_add_object(w, "schema");
    if (field->type == PST_TYPE_INTEGER)
        pst_json_add_z(w, "type", "integer");
    else if (field->type == PST_TYPE_BOOLEAN)
        pst_json_add_z(w, "type", "boolean");
    else
        pst_json_add_z(w, "type", "string");
    if (formats[field->type])
        pst_json_add_z(w, "format", formats[field->type]);
    if (field->value_count) {
        pst_json_add_array(w, "enum");
        for (size_t i = 0; i < field->value_count; i++)
            pst_json_put_str(w, pst_str_from(field->values[i].name));
        pst_json_end_array(w);
    }
    pst_json_end_object(w);
    pst_json_end_object(w);
}

static void put_filters(struct pst_json_writer *w, const struct pst_entity *entity)
{
    for (size_t i = 0; i < entity->filter_count; i++) {
        const struct pst_field *f = entity->filters[i].field;
        put_filter(w, f, "", f->description);
        if (f->type != PST_TYPE_DATE && f->type != PST_TYPE_DATETIME)
            continue;
        put_filter(w, f, "_after", "At or after.");
        put_filter(w, f, "_before", "Before.");
    }
}

static void put_path_params(struct pst_json_writer *w, const char *path)
{
    for (const char *at = strchr(path, '{'); at; at = strchr(at + 1, '{')) {
        pst_str name = {at + 1, strcspn(at + 1, "}")};
        if (pst_str_is(name, "entities"))
            continue;
        pst_json_begin_object(w);
        pst_json_add_str(w, "name", name);
        pst_json_add_z(w, "in", "path");
        pst_json_add_bool(w, "required", true);
        pst_json_add_raw(w, "schema", PST_STR("{\"type\":\"string\"}"));
        pst_json_end_object(w);
    }
}

static void put_params(struct pst_json_writer *w, const struct pst_api_op *op,
                       const struct pst_entity *entity)
{
    pst_json_add_array(w, "parameters");
    put_path_params(w, op->path);
    for (const struct pst_api_param *p = op->params; p && p->name; p++)
        put_query_param(w, p);
    if (entity && op->flags & PST_OP_FILTERS)
        put_filters(w, entity);
    pst_json_end_array(w);
}

/* ---- bodies ---- */

static void put_request_body(struct pst_json_writer *w, const struct pst_api_op *op)
{
    if (!op->body)
        return;
    pst_json_add_object(w, "requestBody");
    pst_json_add_bool(w, "required", !(op->flags & PST_OP_BODY_OPTIONAL));
    pst_json_add_object(w, "content");
    pst_json_add_object(w, "application/json");
    pst_json_put_name(w, PST_STR("schema"));
    put_ref(w, op->body);
    if (op->example)
        pst_json_add_raw(w, "example", pst_str_from(op->example));
    pst_json_end_object(w);
    pst_json_end_object(w);
    pst_json_end_object(w);
}

static void put_answer_schema(struct pst_json_writer *w, const struct pst_api_op *op,
                              const struct pst_entity *entity)
{
    pst_json_put_name(w, PST_STR("schema"));
    if (op->answer[0] != '@') {
        put_ref(w, op->answer);
    } else if (!entity) {
        pst_json_put_raw(w, PST_STR("{\"type\":\"string\"}"));
    } else if (strcmp(op->answer, "@entity") == 0) {
        put_ref(w, entity->singular);
    } else {
        pst_json_begin_object(w);
        pst_json_add_z(w, "type", "object");
        pst_json_add_raw(w, "required", PST_STR("[\"data\",\"next_cursor\"]"));
        pst_json_add_object(w, "properties");
        pst_json_add_object(w, "data");
        pst_json_add_z(w, "type", "array");
        pst_json_put_name(w, PST_STR("items"));
        put_ref(w, entity->singular);
        pst_json_end_object(w);
        pst_json_add_raw(w, "next_cursor", PST_STR("{\"type\":[\"string\",\"null\"]}"));
        pst_json_end_object(w);
        pst_json_end_object(w);
    }
}

static const char *media_of(const struct pst_api_op *op)
{
    if (strcmp(op->answer, "@html") == 0)
        return "text/html";
    return strcmp(op->answer, "@text") == 0 ? "application/openmetrics-text" : "application/json";
}

static void put_problem(struct pst_json_writer *w, int status, const char *description)
{
    char key[8];
    (void)snprintf(key, sizeof(key), "%d", status);
    pst_json_add_object(w, key);
    pst_json_add_z(w, "description", description);
    pst_json_add_object(w, "content");
    pst_json_add_object(w, "application/problem+json");
    pst_json_put_name(w, PST_STR("schema"));
    put_ref(w, "Problem");
    pst_json_end_object(w);
    pst_json_end_object(w);
    pst_json_end_object(w);
}

/* What the operation itself says, and what can happen to any; one entry per status. */
static void put_problems(struct pst_json_writer *w, const struct pst_api_op *op)
{
    pst_code codes[PST_OP_ERRORS + 7];
    size_t n = 0;
    for (size_t i = 0; i < PST_OP_ERRORS && op->errors[i] != PST_OK; i++)
        codes[n++] = op->errors[i];
    codes[n++] = PST_E_INVALID;
    if (!(op->flags & PST_OP_PUBLIC)) {
        codes[n++] = PST_E_UNAUTHENTICATED;
        codes[n++] = PST_E_DENIED;
        codes[n++] = PST_E_RATE_LIMIT;
    }
    if (op->body)
        codes[n++] = PST_E_MEDIA_TYPE;
    codes[n++] = PST_E_UNAVAILABLE;
    for (size_t i = 0; i < n; i++) {
        PST_AUTO(buf) struct pst_buf text = {.max = 400};
        bool first = true;
        for (size_t k = 0; k < n; k++) {
            if (pst_code_http(codes[k]) != pst_code_http(codes[i]))
                continue;
            if (k < i)
                first = false;
            if (!text.len || !strstr(text.ptr, pst_code_name(codes[k])))
                pst_buf_addf(&text, "%s`%s`", text.len ? ", " : "", pst_code_name(codes[k]));
        }
        if (first)
            put_problem(w, pst_code_http(codes[i]), text.ptr);
    }
}

static void put_header(struct pst_json_writer *w, const char *name, const char *description,
                       const char *example)
{
    pst_json_add_object(w, name);
    pst_json_add_z(w, "description", description);
    pst_json_add_raw(w, "schema", PST_STR("{\"type\":\"string\"}"));
    pst_json_add_z(w, "example", example);
    pst_json_end_object(w);
}

static void put_limit_headers(struct pst_json_writer *w)
{
    pst_json_add_object(w, "headers");
    put_header(w, "RateLimit-Policy", "Requests (`q`) in a window of seconds (`w`).",
               "\"key\";q=6000;w=60");
    put_header(w, "RateLimit",
               "Requests that are left (`r`), and seconds until all are there again (`t`).",
               "\"key\";r=5999;t=1");
    pst_json_end_object(w);
}

static void put_responses(struct pst_json_writer *w, const struct pst_api_op *op,
                          const struct pst_entity *entity)
{
    char key[8];
    (void)snprintf(key, sizeof(key), "%d", op->status);
    pst_json_add_object(w, "responses");
    pst_json_add_object(w, key);
    pst_json_add_z(w, "description", op->status == 204 ? "Done" : "The answer");
    if (!(op->flags & (PST_OP_PUBLIC | PST_OP_OPERATOR)))
        put_limit_headers(w);
    if (op->answer) {
        pst_json_add_object(w, "content");
        pst_json_add_object(w, media_of(op));
        put_answer_schema(w, op, entity);
        pst_json_end_object(w);
        pst_json_end_object(w);
    }
    pst_json_end_object(w);
    put_problems(w, op);
    pst_json_end_object(w);
}

/* ---- operations ---- */

static void put_words(struct pst_json_writer *w, const struct pst_api_op *op,
                      const struct pst_entity *entity)
{
    static const char *const who[] = {"viewer", "developer", "admin"};
    PST_AUTO(buf) struct pst_buf b = {.max = 4096};
    pst_buf_add_str(&b, pst_str_from(op->id));
    if (entity)
        add_camel(&b, entity->name);
    pst_json_add_str(w, "operationId", pst_buf_str(&b));

    pst_buf_reset(&b);
    for (const char *s = op->summary; *s; s++) {
        if (entity && s[0] == '%' && s[1] == 's') {
            pst_buf_add_str(&b, pst_str_from(entity->title));
            s++;
        } else {
            pst_buf_add_char(&b, *s);
        }
    }
    pst_json_add_str(w, "summary", pst_buf_str(&b));

    pst_buf_reset(&b);
    if (op->description)
        pst_buf_addf(&b, "%s\n\n", op->description);
    if (op->flags & PST_OP_PUBLIC)
        pst_buf_add_lit(&b, "Needs no key.");
    else if (op->flags & PST_OP_OPERATOR)
        pst_buf_add_lit(&b, "Operator only, through the local socket.");
    else
        pst_buf_addf(&b, "Role: %s%s.", who[op->role],
                     op->flags & PST_OP_TOKEN ? "; or a token of the connection" : "");
    pst_json_add_str(w, "description", pst_buf_str(&b));
}

static void put_operation(struct pst_json_writer *w, const struct pst_api_op *op,
                          const struct pst_entity *entity)
{
    char method[16] = "";
    const char *name = pst_method_name(op->method);
    for (size_t i = 0; i < sizeof(method) - 1 && name[i]; i++)
        method[i] = (char)(name[i] + 32);
    pst_json_add_object(w, method);
    pst_json_add_array(w, "tags");
    pst_json_put_str(w, pst_str_from(op->tag));
    pst_json_end_array(w);
    put_words(w, op, entity);
    put_params(w, op, entity);
    put_request_body(w, op);
    put_responses(w, op, entity);
    if (op->flags & PST_OP_PUBLIC)
        pst_json_add_raw(w, "security", PST_STR("[]"));
    pst_json_end_object(w);
}

/* The path with the entity's name in it. */
static void path_text(char *out, size_t size, const char *path, const struct pst_entity *entity)
{
    const char *at = strstr(path, "{entities}");
    if (entity && at)
        (void)snprintf(out, size, "%.*s%s%s", (int)(at - path), path, entity->path,
                       at + strlen("{entities}"));
    else
        (void)snprintf(out, size, "%s", path);
}

/* Operations of one path stand together, wherever they are in the table. */
static bool is_first_of_path(size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(pst_api_ops[i].path, pst_api_ops[index].path) == 0)
            return false;
    }
    return true;
}

static void put_path(struct pst_json_writer *w, size_t index, const struct pst_entity *entity)
{
    char path[200];
    path_text(path, sizeof(path), pst_api_ops[index].path, entity);
    pst_json_add_object(w, path);
    for (size_t i = index; i < pst_api_op_count; i++) {
        if (strcmp(pst_api_ops[i].path, pst_api_ops[index].path) == 0)
            put_operation(w, &pst_api_ops[i], entity);
    }
    pst_json_end_object(w);
}

static void put_paths(struct pst_json_writer *w)
{
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    pst_json_add_object(w, "paths");
    for (size_t i = 0; i < pst_api_op_count; i++) {
        if (!is_first_of_path(i))
            continue;
        if (!(pst_api_ops[i].flags & PST_OP_ENTITY)) {
            put_path(w, i, NULL);
            continue;
        }
        for (size_t k = 0; k < count; k++)
            put_path(w, i, &entities[k]);
    }
    pst_json_end_object(w);
}

static void put_components(struct pst_json_writer *w)
{
    size_t count = 0;
    const struct pst_entity *entities = pst_model_entities(&count);
    pst_json_add_object(w, "components");
    pst_json_add_raw(w, "securitySchemes",
                     PST_STR("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":"
                             "\"An API key (psk_...) or connection token (pct_...).\"}}"));
    pst_json_add_object(w, "schemas");
    for (const struct pst_api_schema *s = pst_api_schemas; s->name; s++) {
        pst_json_put_name(w, pst_str_from(s->name));
        put_schema_text(w, s->json);
    }
    for (size_t i = 0; i < count; i++) {
        PST_AUTO(buf) struct pst_buf schema = {.max = 1 << 18};
        pst_model_schema_json(&schema, &entities[i]);
        pst_json_add_raw(w, entities[i].singular, pst_buf_str(&schema));
    }
    pst_json_end_object(w);
    pst_json_end_object(w);
}

void pst_api_openapi(struct pst_buf *out)
{
    struct pst_json_writer w;
    struct pst_err ignored;
    pst_json_init(&w, out);
    pst_json_begin_object(&w);
    pst_json_add_z(&w, "openapi", "3.1.0");
    pst_json_add_object(&w, "info");
    pst_json_add_z(&w, "title", "Penstock");
    pst_json_add_z(&w, "version", PST_VERSION);
    pst_json_add_z(&w, "description",
                   "One API over the data of connected business systems. With a connection token, "
                   "paths below a connection also work without `/connections/{connection_id}`: "
                   "`/v1/purchase-orders`. Changes within `/v1` are additive.");
    pst_json_add_raw(&w, "license",
                     PST_STR("{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}"));
    pst_json_end_object(&w);
    pst_json_add_raw(&w, "servers", PST_STR("[{\"url\":\"/\"}]"));
    pst_json_add_raw(&w, "security", PST_STR("[{\"bearer\":[]}]"));
    put_paths(&w);
    pst_api_put_event_docs(&w);
    put_components(&w);
    pst_json_end_object(&w);
    /* What went wrong stays in the buffer, where the caller looks. */
    if (pst_json_finish(&w, &ignored) != PST_OK && out->fail == PST_OK)
        out->fail = PST_E_INTERNAL;
}

pst_code pst_api_get_openapi(struct pst_api_call *call, struct pst_err *err)
{
    (void)err;
    pst_api_json(call, 200);
    pst_buf_add_str(&call->res->body, pst_buf_str(&call->api->openapi));
    return PST_OK;
}
