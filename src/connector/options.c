/* connector/options.c: a connection's config and credentials against the manifest's options. */
#include <string.h>

#include "codec/json.h"
#include "codec/tz.h"
#include "connector/connector.h"

enum { STRING_MAX = 1024, TEXT_MAX = 64 << 10, ITEMS_MAX = 1000, PATH_MAX_BYTES = 64 };

static const struct pst_option *find_option(const struct pst_manifest *m, pst_str name)
{
    for (size_t i = 0; i < m->option_count; i++)
        if (pst_str_eq(m->options[i].name, name))
            return &m->options[i];
    return NULL;
}

/* ---- one value ----------------------------------------------------------------------------- */

static bool is_one_line(pst_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool is_word(pst_str s, const char *also)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || (c != '\0' && strchr(also, c))))
            return false;
    }
    return s.len > 0;
}

static pst_code check_string(const struct pst_option *o, yyjson_val *v, size_t max, pst_str *out,
                             struct pst_err *err)
{
    if (!pst_json_str(v, out))
        return PST_FAIL(err, PST_E_INVALID, "must be a string, not %s", pst_json_type(v));
    if (out->len > max)
        return PST_FAIL(err, PST_E_INVALID, "is longer than %zu bytes", max);
    if (o->is_required && pst_str_trim(*out).len == 0)
        return PST_FAIL(err, PST_E_INVALID, "must not be empty");
    if (memchr(out->ptr ? out->ptr : "", '\0', out->len))
        return PST_FAIL(err, PST_E_INVALID, "has a character it may not have");
    return PST_OK;
}

static pst_code check_url(pst_str url, struct pst_err *err)
{
    char origin[PST_ORIGIN_TEXT];
    if (url.len == 0)
        return PST_OK;
    PST_TRY(pst_http_origin(origin, url, err));
    if (pst_str_index(url, '?') < url.len || pst_str_index(url, '#') < url.len)
        return PST_FAIL(err, PST_E_INVALID, "must end with the path: no '?' and no '#'");
    return PST_OK;
}

/* Loaded once to see that it exists: a wrong zone would only be noticed by the first sync. */
static pst_code check_zone(pst_str name, struct pst_err *err)
{
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    return name.len == 0 ? PST_OK : pst_tz_load(&tz, NULL, name, err);
}

static pst_code check_enum(const struct pst_option *o, pst_str value, struct pst_err *err)
{
    yyjson_arr_iter it;
    yyjson_val *v;
    pst_str one;
    yyjson_arr_iter_init(o->values, &it);
    while ((v = yyjson_arr_iter_next(&it)))
        if (pst_json_str(v, &one) && pst_str_eq(one, value))
            return PST_OK;
    return PST_FAIL(err, PST_E_INVALID, "'%.*s' is not one of its values",
                    PST_STR_ARG(pst_str_sub(value, 0, 64)));
}

static pst_code check_range(const struct pst_option *o, int64_t n, const char *unit,
                            struct pst_err *err)
{
    if (o->max > o->min && (n < o->min || n > o->max))
        return PST_FAIL(err, PST_E_INVALID, "must be between %lld and %lld%s", (long long)o->min,
                        (long long)o->max, unit);
    return PST_OK;
}

static bool read_ms(yyjson_val *v, int64_t *out)
{
    pst_str text;
    return (pst_json_str(v, &text) || pst_json_number(v, &text)) && text.len > 0 &&
           pst_parse_duration_ms(out, text);
}

static pst_code check_list(yyjson_val *v, struct pst_err *err)
{
    yyjson_arr_iter it;
    yyjson_val *item;
    pst_str s;
    if (!yyjson_is_arr(v))
        return PST_FAIL(err, PST_E_INVALID, "must be a list, not %s", pst_json_type(v));
    if (yyjson_arr_size(v) > ITEMS_MAX)
        return PST_FAIL(err, PST_E_INVALID, "has more than %d entries", ITEMS_MAX);
    yyjson_arr_iter_init(v, &it);
    while ((item = yyjson_arr_iter_next(&it)))
        if (!pst_json_str(item, &s) || s.len == 0 || s.len > STRING_MAX || !is_one_line(s))
            return PST_FAIL(err, PST_E_INVALID, "has an entry that is no short, non-empty string");
    return PST_OK;
}

static pst_code check_map(yyjson_val *v, int depth, struct pst_err *err)
{
    yyjson_obj_iter it;
    yyjson_val *key;
    pst_str s;
    if (!yyjson_is_obj(v))
        return PST_FAIL(err, PST_E_INVALID, "must be an object, not %s", pst_json_type(v));
    if (yyjson_obj_size(v) > ITEMS_MAX)
        return PST_FAIL(err, PST_E_INVALID, "has more than %d members", ITEMS_MAX);
    yyjson_obj_iter_init(v, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        yyjson_val *item = yyjson_obj_iter_get_val(key);
        if (depth > 1)
            PST_TRY(check_map(item, depth - 1, err));
        else if (!pst_json_str(item, &s) || s.len == 0 || s.len > STRING_MAX || !is_one_line(s))
            return PST_FAIL(err, PST_E_INVALID, "'%.64s' is no short, non-empty string",
                            yyjson_get_str(key));
    }
    return PST_OK;
}

static pst_code check_value(const struct pst_option *o, yyjson_val *v, struct pst_err *err)
{
    pst_str s = {0};
    int64_t n = 0;
    bool b = false;
    switch (o->type) {
    case PST_OPTION_TEXT:
        return check_string(o, v, TEXT_MAX, &s, err);
    case PST_OPTION_STRING:
    case PST_OPTION_URL:
    case PST_OPTION_TIMEZONE:
    case PST_OPTION_ENUM:
        PST_TRY(check_string(o, v, STRING_MAX, &s, err));
        if (!is_one_line(s))
            return PST_FAIL(err, PST_E_INVALID, "must be one line");
        if (o->is_name && !is_word(s, ""))
            return PST_FAIL(err, PST_E_INVALID, "must be letters, digits and '_' only");
        if (o->type == PST_OPTION_TIMEZONE)
            return check_zone(s, err);
        if (o->type == PST_OPTION_URL)
            return check_url(s, err);
        return o->type == PST_OPTION_ENUM ? check_enum(o, s, err) : PST_OK;
    case PST_OPTION_INTEGER:
        if (!pst_json_i64(v, &n))
            return PST_FAIL(err, PST_E_INVALID, "must be a whole number");
        return check_range(o, n, "", err);
    case PST_OPTION_DURATION:
        if (!read_ms(v, &n))
            return PST_FAIL(err, PST_E_INVALID, "must be a time such as \"90s\" or \"5m\"");
        return check_range(o, n, " ms", err);
    case PST_OPTION_BOOLEAN:
        return pst_json_bool(v, &b) ? PST_OK
                                    : PST_FAIL(err, PST_E_INVALID, "must be true or false");
    case PST_OPTION_LIST:
        return check_list(v, err);
    case PST_OPTION_MAP:
        return check_map(v, 1, err);
    case PST_OPTION_MAP_OF_MAPS:
        return check_map(v, 2, err);
    }
    return PST_OK;
}

/* ---- config and credentials ---------------------------------------------------------------- */

/* The failure with its place: param "config.node", message "config.node: must be ...". */
static pst_code at(struct pst_err *err, const char *place, pst_str name)
{
    int room = PATH_MAX_BYTES - 1 - (int)strlen(place) - 1;
    int len = name.len < (size_t)room ? (int)name.len : room;
    struct pst_err inner = *err;
    char param[PATH_MAX_BYTES];
    (void)snprintf(param, sizeof(param), "%s.%.*s", place, len, name.ptr);
    return PST_FAIL_AT(err, inner.code, param, "%s: %.400s", param, inner.msg);
}

static pst_code check_given(const struct pst_manifest *m, yyjson_val *from, bool is_credential,
                            const char *place, struct pst_err *err)
{
    yyjson_obj_iter it;
    yyjson_val *key;
    yyjson_obj_iter_init(from, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        pst_str name = {0};
        (void)pst_json_str(key, &name);
        yyjson_val *v = yyjson_obj_iter_get_val(key);
        const struct pst_option *o = find_option(m, name);
        pst_code code = PST_OK;
        if (!o || o->is_credential != is_credential)
            code = PST_FAIL(err, PST_E_INVALID, "the connector has no such option");
        else if (!yyjson_is_null(v))
            code = check_value(o, v, err);
        if (code != PST_OK)
            return at(err, place, name);
    }
    return PST_OK;
}

static pst_code check_place(const struct pst_manifest *m, yyjson_val *from, bool is_credential,
                            struct pst_err *err)
{
    const char *place = is_credential ? "credentials" : "config";
    if (!from)
        return PST_OK;
    if (!yyjson_is_obj(from))
        return PST_FAIL_AT(err, PST_E_INVALID, place, "%s must be an object, not %s", place,
                           pst_json_type(from));
    PST_TRY(check_given(m, from, is_credential, place, err));
    for (size_t i = 0; i < m->option_count; i++) {
        const struct pst_option *o = &m->options[i];
        yyjson_val *v = pst_json_get(from, o->name);
        if (o->is_required && o->is_credential == is_credential && (!v || yyjson_is_null(v))) {
            pst_code code =
                PST_FAIL(err, PST_E_INVALID, "is missing (%.*s)", PST_STR_ARG(o->title));
            (void)code;
            return at(err, place, o->name);
        }
    }
    return PST_OK;
}

pst_code pst_manifest_check(const struct pst_manifest *m, yyjson_val *config,
                            yyjson_val *credentials, struct pst_err *err)
{
    PST_TRY(check_place(m, config, false, err));
    return check_place(m, credentials, true, err);
}

/* ---- values -------------------------------------------------------------------------------- */

static yyjson_val *value_of(const struct pst_manifest *m, yyjson_val *from, const char *name)
{
    yyjson_val *v = pst_json_get(from, pst_str_from(name));
    if (v && !yyjson_is_null(v))
        return v;
    const struct pst_option *o = find_option(m, pst_str_from(name));
    return o ? o->fallback : NULL;
}

pst_str pst_option_str(const struct pst_manifest *m, yyjson_val *from, const char *name)
{
    pst_str s = {0};
    return pst_json_str(value_of(m, from, name), &s) ? s : (pst_str){0};
}

int64_t pst_option_i64(const struct pst_manifest *m, yyjson_val *from, const char *name)
{
    int64_t n = 0;
    return pst_json_i64(value_of(m, from, name), &n) ? n : 0;
}

int64_t pst_option_ms(const struct pst_manifest *m, yyjson_val *from, const char *name)
{
    int64_t ms = 0;
    return read_ms(value_of(m, from, name), &ms) ? ms : 0;
}

bool pst_option_bool(const struct pst_manifest *m, yyjson_val *from, const char *name)
{
    bool b = false;
    return pst_json_bool(value_of(m, from, name), &b) && b;
}
