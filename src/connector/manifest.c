/* connector/manifest.c: connector.yaml to struct pst_manifest. */
#include "base/alloc.h"
#include "codec/yaml.h"
#include "connector/connector.h"

enum { MANIFEST_BYTES = 8 << 20, OPTIONS_MAX = 64 };

struct loaded {
    struct pst_manifest manifest; /* first: the public part is the whole to its users */
    struct pst_arena *arena;
};

static const char *const TYPE_NAMES[] = {
    [PST_OPTION_STRING] = "string",
    [PST_OPTION_TEXT] = "text",
    [PST_OPTION_URL] = "url",
    [PST_OPTION_TIMEZONE] = "timezone",
    [PST_OPTION_ENUM] = "enum",
    [PST_OPTION_INTEGER] = "integer",
    [PST_OPTION_DURATION] = "duration",
    [PST_OPTION_BOOLEAN] = "boolean",
    [PST_OPTION_LIST] = "list",
    [PST_OPTION_MAP] = "map",
    [PST_OPTION_MAP_OF_MAPS] = "map_of_maps",
};

const char *pst_option_type_name(enum pst_option_type type)
{
    return TYPE_NAMES[type];
}

static pst_code read_type(struct pst_option *o, pst_str name, struct pst_err *err)
{
    for (size_t i = 0; i < PST_COUNT(TYPE_NAMES); i++) {
        if (pst_str_is(name, TYPE_NAMES[i])) {
            o->type = (enum pst_option_type)i;
            return PST_OK;
        }
    }
    return PST_FAIL(err, PST_E_INVALID, "type: '%.*s' is no type", PST_STR_ARG(name));
}

static pst_code read_option(struct pst_option *o, yyjson_val *spec, struct pst_err *err)
{
    static const char *const KNOWN[] = {"type",   "required", "default", "secret",  "credential",
                                        "min",    "max",      "values",  "pattern", "reread",
                                        "choose", "title",    "help",    "example", NULL};
    pst_str type = {0};
    pst_str pattern = {0};
    PST_TRY(pst_json_only(spec, "an option", KNOWN, err));
    PST_TRY(pst_json_need_str(spec, "type", &type, err));
    PST_TRY(read_type(o, type, err));
    PST_TRY(pst_json_need_str(spec, "title", &o->title, err));
    PST_TRY(pst_json_opt_str(spec, "help", &o->help, err));
    PST_TRY(pst_json_opt_str(spec, "example", &o->example, err));
    PST_TRY(pst_json_opt_bool(spec, "required", &o->is_required, err));
    PST_TRY(pst_json_opt_bool(spec, "credential", &o->is_credential, err));
    PST_TRY(pst_json_opt_bool(spec, "secret", &o->is_secret, err));
    PST_TRY(pst_json_opt_bool(spec, "reread", &o->is_reread, err));
    PST_TRY(pst_json_opt_bool(spec, "choose", &o->is_choice, err));
    PST_TRY(pst_json_opt_i64(spec, "min", INT64_MIN, INT64_MAX, &o->min, err));
    PST_TRY(pst_json_opt_i64(spec, "max", INT64_MIN, INT64_MAX, &o->max, err));
    PST_TRY(pst_json_opt_array(spec, "values", &o->values, err));
    PST_TRY(pst_json_opt_str(spec, "pattern", &pattern, err));
    if (pattern.len && !pst_str_is(pattern, "name"))
        return PST_FAIL(err, PST_E_INVALID, "pattern: '%.*s' is no pattern", PST_STR_ARG(pattern));
    o->is_name = pattern.len > 0;
    o->fallback = pst_json_get(spec, PST_STR("default"));
    if (o->is_secret && !o->is_credential)
        return PST_FAIL(err, PST_E_INVALID, "secret: only a credential can be secret");
    if ((o->type == PST_OPTION_ENUM) != (o->values != NULL))
        return PST_FAIL(err, PST_E_INVALID, "values: an enum has them, and nothing else has");
    return PST_OK;
}

static pst_code read_options(struct loaded *l, yyjson_val *root, struct pst_err *err)
{
    yyjson_val *specs = NULL;
    struct pst_option *options = NULL;
    yyjson_obj_iter it;
    yyjson_val *key;
    PST_TRY(pst_json_opt_object(root, "options", &specs, err));
    size_t count = yyjson_obj_size(specs);
    if (count > OPTIONS_MAX)
        return PST_FAIL(err, PST_E_INVALID, "options: more than %d", OPTIONS_MAX);
    PST_TRY(pst_arena_array(l->arena, &options, count, sizeof(*options), err));
    l->manifest.options = options;
    yyjson_obj_iter_init(specs, &it);
    while (specs && (key = yyjson_obj_iter_next(&it))) {
        struct pst_option *o = &options[l->manifest.option_count];
        o->name = (pst_str){yyjson_get_str(key), yyjson_get_len(key)};
        if (read_option(o, yyjson_obj_iter_get_val(key), err) != PST_OK)
            return pst_err_wrap(err, "options.%.*s", PST_STR_ARG(o->name));
        l->manifest.option_count++;
    }
    return PST_OK;
}

static pst_code read_stamp(struct pst_stream *s, struct pst_err *err)
{
    yyjson_val *stamp = NULL;
    pst_str type = {0};
    PST_TRY(pst_json_opt_object(s->manifest, "stamp", &stamp, err));
    if (!stamp)
        return PST_OK;
    PST_TRY(pst_json_need_str(stamp, "type", &type, err));
    if (!pst_str_is(type, "date") && !pst_str_is(type, "datetime"))
        return PST_FAIL(err, PST_E_INVALID, "stamp.type: 'date' or 'datetime'");
    s->has_stamp = true;
    s->date_only = pst_str_is(type, "date");
    return PST_OK;
}

static pst_code read_stream(struct pst_stream *s, yyjson_val *value, struct pst_err *err)
{
    s->entity = pst_model_entity(s->name);
    s->manifest = value;
    if (!s->entity)
        return PST_FAIL(err, PST_E_INVALID, "no entity of that name");
    if (!yyjson_is_obj(value))
        return PST_FAIL(err, PST_E_INVALID, "must be an object");
    PST_TRY(pst_json_opt_bool(value, "windowed", &s->windowed, err));
    PST_TRY(pst_json_opt_bool(value, "effective_dated", &s->effective_dated, err));
    PST_TRY(read_stamp(s, err));
    if (s->windowed && !s->has_stamp)
        return PST_FAIL(err, PST_E_INVALID, "windowed: a window needs a stamp");
    return PST_OK;
}

static pst_code read_streams(struct loaded *l, yyjson_val *root, struct pst_err *err)
{
    yyjson_val *all = NULL;
    struct pst_stream *streams = NULL;
    yyjson_obj_iter it;
    yyjson_val *key;
    PST_TRY(pst_json_opt_object(root, "streams", &all, err));
    if (yyjson_obj_size(all) == 0)
        return PST_FAIL(err, PST_E_INVALID, "streams: there are none");
    PST_TRY(pst_arena_array(l->arena, &streams, yyjson_obj_size(all), sizeof(*streams), err));
    l->manifest.streams = streams;
    yyjson_obj_iter_init(all, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        struct pst_stream *s = &streams[l->manifest.stream_count++];
        s->name = (pst_str){yyjson_get_str(key), yyjson_get_len(key)};
        if (read_stream(s, yyjson_obj_iter_get_val(key), err) != PST_OK)
            return pst_err_wrap(err, "streams.%.*s", PST_STR_ARG(s->name));
    }
    return PST_OK;
}

static pst_code read_root(struct loaded *l, yyjson_val *root, const struct pst_connector_ops *ops,
                          struct pst_err *err)
{
    static const char *const KNOWN[] = {"name",    "title",   "description", "credits",
                                        "options", "streams", "adapter",     NULL};
    struct pst_manifest *m = &l->manifest;
    int64_t credits = -1;
    PST_TRY(pst_json_only(root, "a manifest", KNOWN, err));
    PST_TRY(pst_json_need_str(root, "name", &m->name, err));
    PST_TRY(pst_json_need_str(root, "title", &m->title, err));
    PST_TRY(pst_json_opt_str(root, "description", &m->description, err));
    PST_TRY(pst_json_opt_i64(root, "credits", 0, 4, &credits, err));
    PST_TRY(pst_json_opt_object(root, "adapter", &m->adapter, err));
    if (!pst_str_is(m->name, ops->name))
        return PST_FAIL(err, PST_E_INVALID, "name: '%.*s' is not the adapter's, '%s'",
                        PST_STR_ARG(m->name), ops->name);
    if (credits < 0 || credits == 3)
        return PST_FAIL(err, PST_E_INVALID, "credits: 0, 1, 2 or 4");
    m->credits = (int)credits;
    PST_TRY(read_options(l, root, err));
    return read_streams(l, root, err);
}

pst_code pst_manifest_new(struct pst_manifest **out, const struct pst_connector_ops *ops,
                          struct pst_err *err)
{
    void *p = NULL;
    yyjson_doc *doc = NULL;
    PST_TRY(pst_new(&p, sizeof(struct loaded), err));
    struct loaded *l = p;
    pst_code code = pst_arena_new(&l->arena, MANIFEST_BYTES, err);
    if (code == PST_OK)
        code = pst_yaml_read((pst_str){ops->manifest_yaml, ops->manifest_len}, l->arena, &doc, err);
    if (code == PST_OK)
        code = read_root(l, yyjson_doc_get_root(doc), ops, err);
    if (code != PST_OK) {
        pst_manifest_free(&l->manifest);
        return pst_err_wrap(err, "manifest of '%s'", ops->name);
    }
    *out = &l->manifest;
    return PST_OK;
}

void pst_manifest_free(struct pst_manifest *m)
{
    if (!m)
        return;
    struct loaded *l = (struct loaded *)(void *)m;
    pst_arena_free(l->arena);
    pst_free(l);
}

const struct pst_stream *pst_manifest_stream(const struct pst_manifest *m, pst_str entity)
{
    for (size_t i = 0; i < m->stream_count; i++)
        if (pst_str_eq(m->streams[i].name, entity))
            return &m->streams[i];
    return NULL;
}

const struct pst_connector_entry *pst_connectors_find(const struct pst_connectors *all,
                                                      pst_str name)
{
    for (size_t i = 0; i < all->count; i++)
        if (pst_str_is(name, all->items[i].ops->name))
            return &all->items[i];
    return NULL;
}
