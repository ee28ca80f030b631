/* peoplesim/json.c: typed members and quoting. */
#include "peoplesim/json.h"

#include <inttypes.h>

pst_code pst_sim_json_read(pst_str text, yyjson_doc **out, struct pst_err *err)
{
    yyjson_read_err why = {0};
    if (text.len == 0)
        text = PST_STR("{}");
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, 0, NULL, &why);
    if (!doc)
        return PST_FAIL(err, PST_E_INVALID, "not JSON at byte %zu: %s", why.pos, why.msg);
    if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
        yyjson_doc_free(doc);
        return PST_FAIL(err, PST_E_INVALID, "a JSON object is expected");
    }
    *out = doc;
    return PST_OK;
}

pst_code pst_sim_json_only(yyjson_val *obj, const char *const *names, struct pst_err *err)
{
    size_t i = 0;
    size_t max = 0;
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    yyjson_obj_foreach(obj, i, max, key, value)
    {
        const char *const *name = names;
        while (*name && !yyjson_equals_str(key, *name))
            name++;
        if (!*name)
            return PST_FAIL_AT(err, PST_E_INVALID, "member", "'%.60s' is not known here",
                               yyjson_get_str(key));
    }
    return PST_OK;
}

static yyjson_val *member(yyjson_val *obj, const char *name)
{
    yyjson_val *v = yyjson_obj_get(obj, name);
    return yyjson_is_null(v) ? NULL : v;
}

pst_code pst_sim_json_str(yyjson_val *obj, const char *name, pst_str *out, struct pst_err *err)
{
    yyjson_val *v = member(obj, name);
    if (!v)
        return PST_OK;
    if (!yyjson_is_str(v))
        return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' must be a text", name);
    *out = (pst_str){yyjson_get_str(v), yyjson_get_len(v)};
    return PST_OK;
}

pst_code pst_sim_json_int(yyjson_val *obj, const char *name, int64_t min, int64_t max, int64_t *out,
                          struct pst_err *err)
{
    yyjson_val *v = member(obj, name);
    if (!v)
        return PST_OK;
    bool is_too_big = yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX;
    if (!yyjson_is_int(v) || is_too_big || yyjson_get_sint(v) < min || yyjson_get_sint(v) > max)
        return PST_FAIL_AT(err, PST_E_INVALID, name,
                           "'%s' must be a whole number from %" PRId64 " to %" PRId64, name, min,
                           max);
    *out = yyjson_get_sint(v);
    return PST_OK;
}

pst_code pst_sim_json_bool(yyjson_val *obj, const char *name, bool *out, struct pst_err *err)
{
    yyjson_val *v = member(obj, name);
    if (!v)
        return PST_OK;
    if (!yyjson_is_bool(v))
        return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' must be true or false", name);
    *out = yyjson_get_bool(v);
    return PST_OK;
}

void pst_sim_json_quote(struct pst_buf *out, pst_str s)
{
    pst_buf_add_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\')
            pst_buf_add_char(out, '\\');
        if (c < 0x20)
            pst_buf_addf(out, "\\u%04x", c);
        else
            pst_buf_add_char(out, (char)c);
    }
    pst_buf_add_char(out, '"');
}
