/* connectors/peoplesoft/meta.c: the one shape that all metadata answers have, and what QueryFields
 * says of a stream's columns. */
#include "connectors/peoplesoft/meta.h"

#include "codec/json.h"
#include "connectors/peoplesoft/request.h"

/* The first member that is no attribute. */
static yyjson_val *first_member(yyjson_val *object)
{
    yyjson_obj_iter it;
    yyjson_val *key;
    if (!yyjson_is_obj(object))
        return NULL;
    yyjson_obj_iter_init(object, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        pst_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        if (!pst_str_starts(name, PST_STR("attr:")) && !pst_str_starts(name, PST_STR("xmlns")))
            return yyjson_obj_iter_get_val(key);
    }
    return NULL;
}

pst_code pst_ps_meta_read(pst_str body, struct pst_arena *arena, yyjson_val ***out, size_t *count,
                          struct pst_err *err)
{
    const struct pst_json_limits limits = {.allow_bom = true, .allow_duplicates = true};
    yyjson_doc *doc = NULL;
    pst_code code = pst_json_read(body, &limits, arena, &doc, err);
    if (code == PST_E_INVALID)
        return PST_FAIL(err, PST_E_SYSTEM, "the list could not be read: it is not JSON");
    PST_TRY(code);
    yyjson_val *message = first_member(yyjson_doc_get_root(doc));
    yyjson_val *list = first_member(message);
    bool is_array = yyjson_is_arr(list);
    size_t size = is_array ? yyjson_arr_size(list) : yyjson_is_obj(list) ? 1 : 0;
    yyjson_val **items = NULL;
    size_t n = 0;
    PST_TRY(pst_arena_array(arena, &items, size, sizeof(*items), err));
    for (size_t i = 0; i < size; i++) {
        yyjson_val *entry = is_array ? yyjson_arr_get(list, i) : list;
        yyjson_val *item = pst_json_get(entry, PST_STR("PTQASWRK"));
        if (item)
            items[n++] = item;
    }
    *out = items;
    *count = n;
    return PST_OK;
}

pst_str pst_ps_meta_text(yyjson_val *item, const char *name)
{
    pst_str text = {0};
    yyjson_val *v = pst_json_get(item, pst_str_from(name));
    if (!pst_json_str(v, &text))
        (void)pst_json_number(v, &text);
    return pst_str_trim(text);
}

pst_code pst_ps_meta_ask(const struct pst_connector *self, const struct pst_connector_ctx *ctx,
                         const char *service, pst_str query, struct pst_arena *arena,
                         yyjson_val ***out, size_t *count, struct pst_err *err)
{
    struct pst_http_response response;
    pst_str url = {0};
    PST_TRY(pst_ps_url_meta(self, service, query, arena, &url, err));
    PST_TRY(pst_ps_get(self, ctx, url, PST_EXPECT_JSON, arena, &response, err));
    return pst_ps_meta_read(response.body, arena, out, count, err);
}

pst_code pst_ps_describe(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                         const struct pst_stream *stream, struct pst_arena *arena,
                         struct pst_source_columns *out, struct pst_err *err)
{
    const struct pst_ps_stream *s = NULL;
    yyjson_val **items = NULL;
    pst_str *names = NULL;
    size_t count = 0;
    PST_TRY(pst_ps_stream_find(self, stream, &s, err));
    PST_TRY(pst_ps_meta_ask(self, ctx, "QueryFields", s->query, arena, &items, &count, err));
    *out = (struct pst_source_columns){0};
    PST_TRY(pst_arena_array(arena, &out->items, count, sizeof(*out->items), err));
    PST_TRY(pst_arena_array(arena, &names, count, sizeof(*names), err));
    for (size_t i = 0; i < count; i++) {
        struct pst_source_column *c = &out->items[out->count];
        c->name = pst_ps_meta_text(items[i], "UniqueFieldName");
        c->type = pst_ps_meta_text(items[i], "FieldType");
        names[out->count] = c->name;
        out->count += c->name.len > 0;
    }
    for (size_t i = 0; i < out->count; i++) {
        pst_str canonical = pst_ps_stream_canonical(s, names[i], names, out->count);
        if (!pst_str_eq(canonical, names[i]))
            out->items[i].column = canonical;
    }
    if (out->count == 0)
        return PST_FAIL(err, PST_E_SYSTEM, "query '%.*s' is described without a column",
                        PST_STR_ARG(s->query));
    return PST_OK;
}
