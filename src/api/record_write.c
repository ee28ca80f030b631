/* api/record_write.c: a stored record as JSON. The envelope comes from the row's columns; the
 * unified JSON text behind it is copied as it is stored, parsed only when fields are chosen. */
#include "api/internal.h"

#include "base/alloc.h"
#include "store/dictionaries.h"

/* A page of large records ends early, so that what one request holds in memory has a bound. */
enum { SOURCE_MAX = 16 << 20, PAGE_BYTES = 8 << 20 };

/* The envelope: what stands in front of the model's fields, in this order. `fields` may name them,
 * and the two that lie in the unified text though no model lists them. */
enum member { SOURCE_ID, CREATED_AT, UPDATED_AT, DELETED_AT, SYNCED_AT, SEQ, MEMBER_COUNT };
static const char *const envelope[] = {
    [SOURCE_ID] = "source_id",   [CREATED_AT] = "created_at", [UPDATED_AT] = "updated_at",
    [DELETED_AT] = "deleted_at", [SYNCED_AT] = "synced_at",   [SEQ] = "seq",
};
static const char *const others[] = {"id", "display_name", "custom_fields"};

/* A name with what stands around it; `id` is always the first, so the others have a comma. */
#define LEAD(name) PST_STR(",\"" name "\":")
enum {
    HEAD_BYTES = sizeof("{\"id\":\"rec_\",\"source_id\":") + PST_ID_BODY,
    TAIL_BYTES = 4 * (sizeof(",\"created_at\":\"\"") + PST_WALL_TEXT) + sizeof(",\"seq\":") + 20,
};

static bool is_one_of(const char *const *names, size_t count, pst_str name, size_t *at)
{
    for (*at = 0; *at < count; (*at)++) {
        if (pst_str_is(name, names[*at]))
            return true;
    }
    return false;
}

pst_code pst_api_shape_init(struct pst_api_shape *s, struct pst_api_call *call, struct pst_err *err)
{
    *s = (struct pst_api_shape){.call = call, .is_first = true, .members = ~0U};
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
    s->members = 0;
    for (bool more = true; more; more = left.ptr != NULL) {
        size_t at = 0;
        pst_str name = pst_str_split(&left, ',');
        if (is_one_of(envelope, PST_COUNT(envelope), name, &at))
            s->members |= 1U << at;
        else if (!is_one_of(others, PST_COUNT(others), name, &at) &&
                 !pst_model_field(call->entity, name))
            return PST_FAIL_AT(err, PST_E_INVALID, "fields", "%s have no field '%.*s'",
                               call->entity->name, PST_STR_ARG(name));
        names[s->field_count++] = name;
    }
    return PST_OK;
}

static bool is_chosen(const struct pst_api_shape *s, pst_str name)
{
    for (size_t i = 0; i < s->field_count; i++) {
        if (pst_str_eq(s->fields[i], name))
            return true;
    }
    return false;
}

/* ---- the envelope: written through a pointer into room that was made before ---- */

static char *put(char *p, pst_str text)
{
    memcpy(p, text.ptr, text.len);
    return p + text.len;
}

static char *put_wall(char *p, struct pst_api_wall *memo, pst_str lead, pst_wall t)
{
    p = put(p, lead);
    if (pst_wall_is_none(t))
        return put(p, PST_STR("null"));
    *p++ = '"';
    p = pst_api_put_wall(memo, p, t);
    *p++ = '"';
    return p;
}

static void end_put(struct pst_buf *b, char *p)
{
    *p = '\0';
    b->len = (size_t)(p - b->ptr);
}

static void add_envelope(struct pst_api_shape *s, struct pst_buf *b,
                         const struct pst_record_row *row)
{
    const unsigned members = s->members;
    struct pst_id id = pst_id_format("rec_", row->id);
    if (!pst_buf_reserve(b, HEAD_BYTES))
        return;
    char *p = put(b->ptr + b->len, PST_STR("{\"id\":\""));
    p = put(p, (pst_str){id.text, strlen("rec_") + PST_ID_BODY});
    *p++ = '"';
    if (members & 1U << SOURCE_ID) {
        end_put(b, put(p, LEAD("source_id")));
        pst_json_quote(b, row->source_id);
        p = b->ptr + b->len;
    }
    end_put(b, p);
    if (!pst_buf_reserve(b, TAIL_BYTES))
        return;
    p = b->ptr + b->len;
    if (members & 1U << CREATED_AT)
        p = put_wall(p, &s->walls[0], LEAD("created_at"), row->created_at);
    if (members & 1U << UPDATED_AT)
        p = put_wall(p, &s->walls[1], LEAD("updated_at"), row->updated_at);
    if (members & 1U << DELETED_AT)
        p = put_wall(p, &s->walls[2], LEAD("deleted_at"), row->deleted_at);
    if (members & 1U << SYNCED_AT)
        p = put_wall(p, &s->walls[3], LEAD("synced_at"), row->synced_at);
    if (members & 1U << SEQ)
        p = put(p, LEAD("seq"));
    end_put(b, p);
    if (members & 1U << SEQ)
        pst_buf_add_i64(b, row->seq);
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
        pst_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        if (!is_chosen(s, name))
            continue;
        pst_buf_add_char(b, ',');
        pst_json_quote(b, name);
        pst_buf_add_char(b, ':');
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
    pst_buf_add_lit(b, ",\"source\":");
    if (row->source.len == 0) {
        pst_buf_add_lit(b, "null");
        return PST_OK;
    }
    if (row->dict)
        PST_TRY(find_dict(call, row->dict, &dict, err));
    PST_AUTO(buf) struct pst_buf packed = {0};
    pst_buf_init(&packed, SOURCE_MAX);
    PST_TRY(pst_zip_decompress(call->api->loops[call->req->loop].zip, dict, row->source, SOURCE_MAX,
                               &packed, err));
    return pst_source_unpack(b, pst_buf_str(&packed), err);
}

static pst_code add_record(struct pst_api_shape *s, struct pst_buf *b,
                           const struct pst_record_row *row, struct pst_err *err)
{
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
