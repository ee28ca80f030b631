/* config/file.c: options from a YAML file: one mapping of names to scalars or lists. */
#include "codec/yaml.h"
#include "config/internal.h"

static bool scalar_text(yyjson_val *v, pst_str *out)
{
    bool b = false;
    if (pst_json_str(v, out) || pst_json_number(v, out))
        return true;
    if (!pst_json_bool(v, &b))
        return false;
    *out = b ? PST_STR("true") : PST_STR("false");
    return true;
}

static pst_code read_sequence(struct pst_config *c, size_t index, yyjson_val *list,
                              const char *where, struct pst_err *err)
{
    const struct pst_config_option *o = &c->table->options[index];
    pst_str *items = NULL;
    size_t count = 0;
    size_t i = 0;
    size_t max = 0;
    yyjson_val *item = NULL;
    if (o->type != PST_CONFIG_LIST)
        return PST_FAIL_AT(err, PST_E_INVALID, o->name, "%s: one value is expected, not a list",
                           where);
    PST_TRY(pst_arena_array(c->arena, &items, yyjson_arr_size(list), sizeof(*items), err));
    yyjson_arr_foreach(list, i, max, item)
    {
        if (!scalar_text(item, &items[count++]))
            return PST_FAIL_AT(err, PST_E_INVALID, o->name, "%s: item %zu is a %s, not a text",
                               where, i + 1, pst_json_type(item));
    }
    return pst_config_parse_items(c->arena, o, items, count, PST_FROM_FILE, where,
                                  &c->values[index], err);
}

static pst_code read_member(struct pst_config *c, const char *file, pst_str name, yyjson_val *v,
                            struct pst_err *err)
{
    char where[PST_CONFIG_TEXT_MAX];
    pst_str text = {0};
    (void)snprintf(where, sizeof(where), "file '%s', %.*s", file, PST_STR_ARG(name));
    size_t index = pst_config_find(c->table, name);
    if (index == c->table->count) {
        const char *near_name = pst_config_nearest(c->table, name);
        return PST_FAIL(err, PST_E_INVALID, "%s: there is no such option%s%s", where,
                        near_name ? "; did you mean " : "", near_name ? near_name : "");
    }
    const struct pst_config_option *o = &c->table->options[index];
    if (o->flags & PST_CONFIG_FLAG_ONLY)
        return PST_FAIL_AT(err, PST_E_INVALID, o->name, "%s: this is a flag only", where);
    if (yyjson_is_null(v))
        return PST_OK;
    if (yyjson_is_arr(v))
        return read_sequence(c, index, v, where, err);
    if (!scalar_text(v, &text))
        return PST_FAIL_AT(err, PST_E_INVALID, o->name, "%s: a value is expected, not a mapping",
                           where);
    return pst_config_parse(c->arena, o, text, PST_FROM_FILE, where, &c->values[index], err);
}

pst_code pst_config_read_file(struct pst_config *c, const char *name, pst_str text,
                              struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *scratch = NULL;
    yyjson_doc *doc = NULL;
    PST_TRY(pst_arena_new(&scratch, 16 * (size_t)PST_CONFIG_FILE_BYTES, err));
    if (pst_yaml_read(text, scratch, &doc, err) != PST_OK)
        return pst_err_wrap(err, "file '%s'", name);

    yyjson_val *root = yyjson_doc_get_root(doc);
    if (yyjson_is_null(root))
        return PST_OK;
    if (!yyjson_is_obj(root))
        return PST_FAIL(err, PST_E_INVALID, "file '%s': a mapping of options is expected", name);
    size_t i = 0;
    size_t max = 0;
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    yyjson_obj_foreach(root, i, max, key, value)
    {
        PST_TRY(
            read_member(c, name, (pst_str){yyjson_get_str(key), yyjson_get_len(key)}, value, err));
    }
    return PST_OK;
}
