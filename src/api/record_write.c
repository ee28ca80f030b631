/* api/record_write.c: a stored record as JSON. The envelope comes from the row's columns; the
 * unified JSON text behind it is copied as it is stored, parsed only when fields are chosen. */
#include "api/internal.h"

#include "base/alloc.h"
#include "store/dictionaries.h"

/* A page of large records ends early, so that what one request holds in memory has a bound. */
enum { SOURCE_MAX = 16 << 20, PAGE_BYTES = 8 << 20 };

/* Members of the envelope that `fields` may name, beside the model's. */
static const char *const envelope[] = {
    "id",        "source_id", "created_at",   "updated_at",    "deleted_at",
    "synced_at", "seq",       "display_name", "custom_fields",
};

static bool is_field(const struct pst_entity *entity, pst_str name)
{
    for (size_t i = 0; i < PST_COUNT(envelope); i++) {
        if (pst_str_is(name, envelope[i]))
            return true;
    }
    return pst_model_field(entity, name) != NULL;
}

pst_code pst_api_shape_init(struct pst_api_shape *s, struct pst_api_call *call, struct pst_err *err)
{
    *s = (struct pst_api_shape){.call = call, .is_first = true};
    s->with_source = pst_str_is(pst_api_query(call, "include"), "source");
    pst_str left = pst_api_query(call, "fields");
    if (!left.ptr)
        return PST_OK;
    size_t room = 1;
    for (size_t i = 0; i < left.len; i++)
        room += left.ptr[i] == ',';
    pst_str *names = NULL;
    PST_TRY(pst_arena_array(call->arena, &names, room, sizeof(*names), err));
    s->fields = names;
    for (bool more = true; more; more = left.ptr != NULL) {
        pst_str name = pst_str_split(&left, ',');
        if (!is_field(call->entity, name))
            return PST_FAIL_AT(err, PST_E_INVALID, "fields", "%s have no field '%.*s'",
                               call->entity->name, PST_STR_ARG(name));
        names[s->field_count++] = name;
    }
    return PST_OK;
}

static bool wants(const struct pst_api_shape *s, const char *name)
{
    for (size_t i = 0; i < s->field_count; i++) {
        if (pst_str_is(s->fields[i], name))
            return true;
    }
    return !s->fields || strcmp(name, "id") == 0;
}

static void add_name(struct pst_buf *b, const char *name)
{
    if (b->len && b->ptr[b->len - 1] != '{')
        pst_buf_add_char(b, ',');
    pst_buf_add_char(b, '"');
    pst_buf_add_str(b, pst_str_from(name));
    pst_buf_add_lit(b, "\":");
}

static void add_wall(struct pst_buf *b, const char *name, pst_wall t)
{
    char text[PST_WALL_TEXT];
    add_name(b, name);
    if (pst_wall_is_none(t)) {
        pst_buf_add_lit(b, "null");
        return;
    }
    size_t len = pst_wall_format(text, t);
    pst_buf_add_char(b, '"');
    pst_buf_add(b, text, len);
    pst_buf_add_char(b, '"');
}

static void add_envelope(const struct pst_api_shape *s, struct pst_buf *b,
                         const struct pst_record_row *row)
{
    struct pst_id id = pst_id_format("rec_", row->id);
    add_name(b, "id");
    pst_buf_add_char(b, '"');
    pst_buf_add_str(b, pst_id_str(&id));
    pst_buf_add_char(b, '"');
    if (wants(s, "source_id")) {
        add_name(b, "source_id");
        pst_buf_add_char(b, '"');
        pst_json_escape(b, row->source_id);
        pst_buf_add_char(b, '"');
    }
    const struct {
        const char *name;
        pst_wall at;
    } times[] = {
        {"created_at", row->created_at},
        {"updated_at", row->updated_at},
        {"deleted_at", row->deleted_at},
        {"synced_at", row->synced_at},
    };
    for (size_t i = 0; i < PST_COUNT(times); i++) {
        if (wants(s, times[i].name))
            add_wall(b, times[i].name, times[i].at);
    }
    if (wants(s, "seq")) {
        add_name(b, "seq");
        pst_buf_add_i64(b, row->seq);
    }
}

/* Only the chosen members of the unified text, in the order it has them. */
static pst_code add_chosen(const struct pst_api_shape *s, struct pst_buf *b, pst_str data,
                           struct pst_err *err)
{
    yyjson_doc *doc = NULL;
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    size_t i = 0;
    size_t n = 0;
    struct pst_arena *scratch = s->call->api->loops[s->call->req->loop].scratch;
    pst_arena_reset(scratch);
    PST_TRY(pst_json_read(data, NULL, scratch, &doc, err));
    yyjson_obj_foreach(yyjson_doc_get_root(doc), i, n, key, value)
    {
        struct pst_json_writer w;
        if (!wants(s, yyjson_get_str(key)))
            continue;
        add_name(b, yyjson_get_str(key));
        pst_json_init(&w, b);
        pst_json_put_val(&w, value);
    }
    return PST_OK;
}

/* The dictionary, from this loop's few most recently used ones. */
static pst_code find_dict(struct pst_api_call *call, int64_t id, const struct pst_zip_dict **out,
                          struct pst_err *err)
{
    struct pst_api_loop *loop = &call->api->loops[call->req->loop];
    size_t at = 0;
    while (at < PST_COUNT(loop->dicts) - 1 && loop->dicts[at].id != id)
        at++;
    if (loop->dicts[at].id != id) {
        pst_str bytes = {NULL, 0};
        struct pst_zip_dict *fresh = NULL;
        PST_TRY(pst_dictionaries_get(call->reader, id, call->arena, &bytes, err));
        PST_TRY(pst_zip_dict_new(&fresh, bytes, 1, err));
        pst_zip_dict_free(loop->dicts[at].dict);
        loop->dicts[at].id = id;
        loop->dicts[at].dict = fresh;
    }
    for (; at > 0; at--) {
        struct pst_zip_dict *dict = loop->dicts[at].dict;
        loop->dicts[at].id = loop->dicts[at - 1].id;
        loop->dicts[at].dict = loop->dicts[at - 1].dict;
        loop->dicts[at - 1].id = id;
        loop->dicts[at - 1].dict = dict;
    }
    *out = loop->dicts[0].dict;
    return PST_OK;
}

static pst_code add_source(struct pst_api_call *call, struct pst_buf *b,
                           const struct pst_record_row *row, struct pst_err *err)
{
    const struct pst_zip_dict *dict = NULL;
    add_name(b, "source");
    if (row->source.len == 0) {
        pst_buf_add_lit(b, "null");
        return PST_OK;
    }
    if (row->dict)
        PST_TRY(find_dict(call, row->dict, &dict, err));
    return pst_zip_decompress(call->api->loops[call->req->loop].zip, dict, row->source, SOURCE_MAX,
                              b, err);
}

static pst_code add_record(struct pst_api_shape *s, struct pst_buf *b,
                           const struct pst_record_row *row, struct pst_err *err)
{
    pst_buf_add_char(b, '{');
    add_envelope(s, b, row);
    if (s->fields) {
        PST_TRY(add_chosen(s, b, row->data, err));
    } else if (row->data.len > 2) {
        pst_buf_add_char(b, ',');
        pst_buf_add(b, row->data.ptr + 1, row->data.len - 2);
    }
    if (s->with_source)
        PST_TRY(add_source(s->call, b, row, err));
    pst_buf_add_char(b, '}');
    return pst_buf_check(b, err);
}

pst_code pst_api_write_record(void *shape, const struct pst_record_row *row, struct pst_err *err)
{
    struct pst_api_shape *s = shape;
    struct pst_buf *b = &s->call->res->body;
    size_t begin = b->len;
    if (s->is_first) {
        s->is_first = false;
        return add_record(s, b, row, err);
    }
    pst_buf_add_char(b, ',');
    pst_code code = add_record(s, b, row, err);
    if (code == PST_OK && b->len > PAGE_BYTES)
        code = PST_FAIL(err, PST_E_LIMIT, "the page is full");
    if (code == PST_E_LIMIT) {
        b->fail = PST_OK;
        b->len = begin;
    }
    return code;
}
