/* connectors/peoplesoft/stream.c: a stream's query, key and renames. */
#include "connectors/peoplesoft/stream.h"

#include <stdlib.h>

#include "codec/json.h"

const struct pst_ps_query *pst_ps_pack_find(pst_str name)
{
    for (size_t i = 0; i < PST_PS_PACK.query_count; i++)
        if (pst_str_eq(PST_PS_PACK.queries[i].name, name))
            return &PST_PS_PACK.queries[i];
    return NULL;
}

const struct pst_ps_column *pst_ps_query_column(const struct pst_ps_query *query, pst_str name)
{
    for (size_t i = 0; i < query->column_count; i++)
        if (pst_str_eq(query->columns[i].name, name))
            return &query->columns[i];
    return NULL;
}

static int find_prompt(const struct pst_ps_query *query, pst_str lead, pst_str name)
{
    for (size_t i = 0; i < query->prompt_count; i++) {
        pst_str p = query->prompts[i].name;
        if (pst_str_starts(p, lead) && pst_str_eq(pst_str_sub(p, lead.len, p.len), name))
            return (int)i;
    }
    return -1;
}

/* What stands behind the last dot: "A.PO_ID" -> "PO_ID". */
static pst_str tail_of(pst_str name)
{
    size_t from = name.len;
    while (from > 0 && name.ptr[from - 1] != '.')
        from--;
    return pst_str_sub(name, from, name.len);
}

static int64_t largest(uint16_t digits)
{
    int64_t n = 0;
    for (int i = 0; i < digits && i < 18; i++)
        n = n * 10 + 9;
    return n;
}

static pst_code build_key(struct pst_ps_stream *s, yyjson_val *spec, struct pst_err *err)
{
    yyjson_val *key = NULL;
    yyjson_arr_iter it;
    yyjson_val *part;
    int64_t parts = 0;
    PST_TRY(pst_json_opt_array(spec, "key", &key, err));
    PST_TRY(pst_json_opt_i64(spec, "document", 1, PST_PS_KEY_PARTS, &parts, err));
    yyjson_arr_iter_init(key, &it);
    while (key && (part = yyjson_arr_iter_next(&it))) {
        pst_str type = {0};
        if (s->key_count == PST_PS_KEY_PARTS)
            return PST_FAIL(err, PST_E_INVALID, "key: more than %d parts", PST_PS_KEY_PARTS);
        struct pst_ps_key_part *k = &s->key[s->key_count++];
        PST_TRY(pst_json_need_str(part, "column", &k->column, err));
        PST_TRY(pst_json_need_str(part, "type", &type, err));
        const struct pst_ps_column *column = pst_ps_query_column(s->pack, k->column);
        k->is_number = pst_str_is(type, "number");
        k->prompt = find_prompt(s->pack, PST_STR("LAST_"), tail_of(k->column));
        if (!column || k->prompt < 0)
            return PST_FAIL(err, PST_E_INVALID, "key: the pack has no column or prompt for '%.*s'",
                            PST_STR_ARG(k->column));
        k->max = largest(column->length);
    }
    s->document_parts = (size_t)parts;
    if (parts == 0 || s->document_parts > s->key_count)
        return PST_FAIL(err, PST_E_INVALID, "document: a part count between 1 and the key's");
    for (size_t i = s->document_parts; i < s->key_count; i++)
        if (!s->key[i].is_number)
            return PST_FAIL(err, PST_E_INVALID, "key: parts below the document must be numbers");
    return PST_OK;
}

static pst_code build_renames(struct pst_connector *self, struct pst_ps_stream *s,
                              yyjson_val *config, struct pst_err *err)
{
    yyjson_val *all = pst_json_get(pst_json_get(config, PST_STR("columns")), s->stream->name);
    struct pst_ps_rename *renames = NULL;
    yyjson_obj_iter it;
    yyjson_val *key;
    if (!yyjson_is_obj(all))
        return PST_OK;
    PST_TRY(pst_arena_array(self->arena, &renames, yyjson_obj_size(all), sizeof(*renames), err));
    s->renames = renames;
    yyjson_obj_iter_init(all, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        pst_str pack = {yyjson_get_str(key), yyjson_get_len(key)};
        pst_str site = {0};
        if (!pst_ps_query_column(s->pack, pack))
            return PST_FAIL_AT(err, PST_E_INVALID, "config.columns",
                               "config.columns.%.*s: query '%.*s' of the pack has no column '%.*s'",
                               PST_STR_ARG(s->stream->name), PST_STR_ARG(s->pack->name),
                               PST_STR_ARG(pst_str_sub(pack, 0, 64)));
        (void)pst_json_str(yyjson_obj_iter_get_val(key), &site);
        PST_TRY(pst_arena_dup(self->arena, &renames[s->rename_count].pack, pack, err));
        PST_TRY(pst_arena_dup(self->arena, &renames[s->rename_count].site, site, err));
        s->rename_count++;
    }
    return PST_OK;
}

static int compare_text(const void *a, const void *b)
{
    return pst_str_cmp(*(const pst_str *)a, *(const pst_str *)b);
}

static pst_code build_scope(struct pst_connector *self, struct pst_ps_stream *s, yyjson_val *config,
                            yyjson_val *spec, struct pst_err *err)
{
    pst_str option = {0};
    pst_str *scope = NULL;
    yyjson_arr_iter it;
    yyjson_val *v;
    PST_TRY(pst_json_opt_str(spec, "scope", &option, err));
    yyjson_val *values = option.len ? pst_json_get(config, option) : NULL;
    if (!yyjson_is_arr(values) || yyjson_arr_size(values) == 0)
        return PST_OK;
    PST_TRY(pst_arena_array(self->arena, &scope, yyjson_arr_size(values), sizeof(*scope), err));
    yyjson_arr_iter_init(values, &it);
    while ((v = yyjson_arr_iter_next(&it))) {
        pst_str one = {0};
        (void)pst_json_str(v, &one);
        PST_TRY(pst_arena_dup(self->arena, &scope[s->scope_count++], one, err));
    }
    qsort(scope, s->scope_count, sizeof(*scope), compare_text);
    s->scope = scope;
    return PST_OK;
}

static pst_code build_stream(struct pst_connector *self, struct pst_ps_stream *s,
                             yyjson_val *config, struct pst_err *err)
{
    yyjson_val *spec = s->stream->manifest;
    yyjson_val *names = pst_json_get(config, PST_STR("queries"));
    yyjson_val *stamp = pst_json_get(spec, PST_STR("stamp"));
    pst_str query = {0};
    PST_TRY(pst_json_need_str(spec, "query", &query, err));
    s->pack = pst_ps_pack_find(query);
    if (!s->pack)
        return PST_FAIL(err, PST_E_INVALID, "query: '%.*s' is not in the pack", PST_STR_ARG(query));
    (void)pst_json_str(pst_json_get(names, s->stream->name), &query);
    PST_TRY(pst_arena_dup(self->arena, &s->query, query, err));
    if (stamp)
        PST_TRY(pst_json_need_str(stamp, "column", &s->stamp, err));
    s->from_prompt = find_prompt(s->pack, PST_STR(""), PST_STR("FROMDTTM"));
    s->to_prompt = find_prompt(s->pack, PST_STR(""), PST_STR("TODTTM"));
    s->as_of_prompt = find_prompt(s->pack, PST_STR(""), PST_STR("ASOFDATE"));
    PST_TRY(build_key(s, spec, err));
    PST_TRY(build_renames(self, s, config, err));
    return build_scope(self, s, config, spec, err);
}

pst_code pst_ps_streams_build(struct pst_connector *self, yyjson_val *config, struct pst_err *err)
{
    const struct pst_manifest *m = self->manifest;
    PST_TRY(
        pst_arena_array(self->arena, &self->streams, m->stream_count, sizeof(*self->streams), err));
    for (size_t i = 0; i < m->stream_count; i++) {
        struct pst_ps_stream *s = &self->streams[self->stream_count++];
        s->stream = &m->streams[i];
        if (build_stream(self, s, config, err) != PST_OK)
            return pst_err_wrap(err, "stream '%.*s'", PST_STR_ARG(s->stream->name));
    }
    return PST_OK;
}

pst_code pst_ps_stream_find(const struct pst_connector *self, const struct pst_stream *stream,
                            const struct pst_ps_stream **out, struct pst_err *err)
{
    for (size_t i = 0; i < self->stream_count; i++) {
        if (pst_str_eq(self->streams[i].stream->name, stream->name)) {
            *out = &self->streams[i];
            return PST_OK;
        }
    }
    return PST_FAIL(err, PST_E_INVALID, "peoplesoft has no stream '%.*s'",
                    PST_STR_ARG(stream->name));
}

static bool is_among(pst_str name, const pst_str *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pst_str_eq(all[i], name))
            return true;
    return false;
}

/* The one column of the pack with that tail, or NULL. */
static const struct pst_ps_column *find_by_tail(const struct pst_ps_query *query, pst_str tail)
{
    const struct pst_ps_column *found = NULL;
    for (size_t i = 0; i < query->column_count; i++) {
        if (!pst_str_eq(tail_of(query->columns[i].name), tail))
            continue;
        if (found)
            return NULL;
        found = &query->columns[i];
    }
    return found;
}

pst_str pst_ps_stream_canonical(const struct pst_ps_stream *s, pst_str name, const pst_str *all,
                                size_t count)
{
    for (size_t i = 0; i < s->rename_count; i++)
        if (pst_str_eq(s->renames[i].site, name))
            return s->renames[i].pack;
    const struct pst_ps_column *column = pst_ps_query_column(s->pack, name);
    if (column)
        return column->name;
    pst_str tail = tail_of(name);
    column = find_by_tail(s->pack, tail);
    if (!column || is_among(column->name, all, count))
        return name;
    size_t same_tail = 0;
    for (size_t i = 0; i < count; i++)
        same_tail += pst_str_eq(tail_of(all[i]), tail);
    return same_tail > 1 ? name : column->name;
}

pst_str pst_ps_stream_site_name(const struct pst_ps_stream *s, pst_str pack_name)
{
    for (size_t i = 0; i < s->rename_count; i++)
        if (pst_str_eq(s->renames[i].pack, pack_name))
            return s->renames[i].site;
    return pack_name;
}

bool pst_ps_stream_has(const struct pst_ps_stream *s, pst_str first_part)
{
    return s->scope_count == 0 || is_among(first_part, s->scope, s->scope_count);
}

bool pst_ps_stream_next_scope(const struct pst_ps_stream *s, pst_str value, pst_str *out)
{
    for (size_t i = 0; i < s->scope_count; i++) {
        if (pst_str_cmp(s->scope[i], value) > 0) {
            *out = s->scope[i];
            return true;
        }
    }
    return false;
}

int pst_ps_key_cmp(const struct pst_ps_stream *s, const struct pst_ps_key *a,
                   const struct pst_ps_key *b, size_t parts)
{
    for (size_t i = 0; i < parts; i++) {
        int order = s->key[i].is_number
                        ? (a->number[i] > b->number[i]) - (a->number[i] < b->number[i])
                        : pst_str_cmp(a->text[i], b->text[i]);
        if (order != 0)
            return order;
    }
    return 0;
}
