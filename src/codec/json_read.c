/* codec/json_read.c: yyjson behind limits, and getters that report. */
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/json.h"

enum { FEW_NAMES = 12 }; /* compared pairwise below this, sorted above */

/* ---- yyjson's memory from an arena ---- */

struct arena_alc {
    struct pst_arena *arena;
    struct pst_err err; /* of the allocation that failed */
};

static void *alc_malloc(void *ctx, size_t size)
{
    struct arena_alc *a = ctx;
    void *p = NULL;
    return pst_arena_alloc(a->arena, &p, size, &a->err) == PST_OK ? p : NULL;
}

static void *alc_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
    if (size <= old_size)
        return ptr;
    void *p = alc_malloc(ctx, size);
    if (p)
        memcpy(p, ptr, old_size);
    return p;
}

static void alc_free(void *ctx, void *ptr)
{
    (void)ctx;
    (void)ptr;
}

/* ---- checks that yyjson does not make ---- */

struct check {
    unsigned max_depth;
    bool names; /* refuse a name twice */
    const char *text; /* the document's own copy, for offsets */
    size_t shift; /* bytes of the original before that copy */
};

static pst_str key_of(yyjson_val *key)
{
    return (pst_str){yyjson_get_str(key), yyjson_get_len(key)};
}

static pst_code name_twice(const struct check *c, pst_str name, struct pst_err *err)
{
    return PST_FAIL(err, PST_E_INVALID, "not valid JSON at byte %zu: the name '%.*s' stands twice",
                    (size_t)(name.ptr - c->text) + c->shift, PST_STR_ARG(pst_str_sub(name, 0, 64)));
}

static int compare_names(const void *a, const void *b)
{
    return pst_str_cmp(*(const pst_str *)a, *(const pst_str *)b);
}

static pst_code check_many_names(const struct check *c, yyjson_val *obj, struct pst_err *err)
{
    size_t count = 0;
    pst_str *names = pst_calloc(yyjson_obj_size(obj), sizeof(*names));
    if (!names)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory to check %zu names", yyjson_obj_size(obj));
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    for (yyjson_val *key = yyjson_obj_iter_next(&it); key; key = yyjson_obj_iter_next(&it))
        names[count++] = key_of(key);
    qsort(names, count, sizeof(*names), compare_names);

    pst_code rc = PST_OK;
    for (size_t i = 1; i < count && rc == PST_OK; i++) {
        if (pst_str_eq(names[i - 1], names[i]))
            rc = name_twice(c, names[i], err);
    }
    pst_free(names);
    return rc;
}

static pst_code check_names(const struct check *c, yyjson_val *obj, struct pst_err *err)
{
    if (yyjson_obj_size(obj) > FEW_NAMES)
        return check_many_names(c, obj, err);
    pst_str seen[FEW_NAMES];
    size_t count = 0;
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    for (yyjson_val *key = yyjson_obj_iter_next(&it); key; key = yyjson_obj_iter_next(&it)) {
        pst_str name = key_of(key);
        for (size_t i = 0; i < count; i++) {
            if (pst_str_eq(seen[i], name))
                return name_twice(c, name, err);
        }
        seen[count++] = name;
    }
    return PST_OK;
}

/* The recursion is bounded by max_depth. */
static pst_code check_value(const struct check *c, yyjson_val *v, unsigned depth,
                            struct pst_err *err)
{
    if (!yyjson_is_ctn(v))
        return PST_OK;
    if (depth == c->max_depth)
        return PST_FAIL(err, PST_E_LIMIT, "JSON nested deeper than %u levels", c->max_depth);
    if (yyjson_is_arr(v)) {
        yyjson_arr_iter it = yyjson_arr_iter_with(v);
        for (yyjson_val *item = yyjson_arr_iter_next(&it); item; item = yyjson_arr_iter_next(&it))
            PST_TRY(check_value(c, item, depth + 1, err));
        return PST_OK;
    }
    if (c->names)
        PST_TRY(check_names(c, v, err));
    yyjson_obj_iter it = yyjson_obj_iter_with(v);
    for (yyjson_val *key = yyjson_obj_iter_next(&it); key; key = yyjson_obj_iter_next(&it))
        PST_TRY(check_value(c, yyjson_obj_iter_get_val(key), depth + 1, err));
    return PST_OK;
}

pst_code pst_json_read(pst_str text, const struct pst_json_limits *limits, struct pst_arena *arena,
                       yyjson_doc **out, struct pst_err *err)
{
    size_t max_bytes = limits && limits->max_bytes ? limits->max_bytes : PST_JSON_MAX_BYTES;
    if (text.len > max_bytes)
        return PST_FAIL(err, PST_E_LIMIT, "JSON of more than %zu bytes", max_bytes);

    struct check c = {
        .max_depth = limits && limits->max_depth ? limits->max_depth : PST_JSON_MAX_DEPTH,
        .names = !limits || !limits->allow_duplicates,
    };
    if (limits && limits->allow_bom && pst_str_starts(text, PST_STR("\xEF\xBB\xBF")))
        c.shift = 3;
    text = pst_str_sub(text, c.shift, text.len);
    if (text.len == 0)
        return PST_FAIL(err, PST_E_INVALID, "not valid JSON: it is empty");

    struct arena_alc memory = {.arena = arena};
    yyjson_alc alc = {alc_malloc, alc_realloc, alc_free, &memory};
    yyjson_read_err problem = {0};
    /* Without YYJSON_READ_INSITU the text is copied, not written to. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len,
                                       YYJSON_READ_NUMBER_AS_RAW, &alc, &problem);
    if (!doc && memory.err.code != PST_OK) {
        *err = memory.err;
        return pst_err_wrap(err, "reading JSON");
    }
    if (!doc)
        return PST_FAIL(err, PST_E_INVALID, "not valid JSON at byte %zu: %s", problem.pos + c.shift,
                        problem.msg);
    c.text = doc->str_pool;
    PST_TRY(check_value(&c, yyjson_doc_get_root(doc), 0, err));
    *out = doc;
    return PST_OK;
}

/* ---- getters ---- */

yyjson_val *pst_json_get(yyjson_val *v, pst_str name)
{
    return yyjson_obj_getn(v, name.ptr ? name.ptr : "", name.len);
}

bool pst_json_str(yyjson_val *v, pst_str *out)
{
    if (!yyjson_is_str(v))
        return false;
    *out = (pst_str){yyjson_get_str(v), yyjson_get_len(v)};
    return true;
}

bool pst_json_number(yyjson_val *v, pst_str *out)
{
    if (!yyjson_is_raw(v))
        return false;
    *out = (pst_str){yyjson_get_raw(v), yyjson_get_len(v)};
    return true;
}

bool pst_json_i64(yyjson_val *v, int64_t *out)
{
    pst_str text;
    return pst_json_number(v, &text) && pst_parse_i64(out, text, INT64_MIN, INT64_MAX);
}

bool pst_json_bool(yyjson_val *v, bool *out)
{
    if (!yyjson_is_bool(v))
        return false;
    *out = yyjson_get_bool(v);
    return true;
}

const char *pst_json_type(yyjson_val *v)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "boolean";
    case YYJSON_TYPE_STR:
        return "string";
    case YYJSON_TYPE_ARR:
        return "array";
    case YYJSON_TYPE_OBJ:
        return "object";
    case YYJSON_TYPE_RAW:
    case YYJSON_TYPE_NUM:
        return "number";
    default:
        return "nothing";
    }
}

/* The member, or NULL where it is absent or null. */
static yyjson_val *find_member(yyjson_val *obj, const char *name)
{
    yyjson_val *v = pst_json_get(obj, pst_str_from(name));
    return yyjson_is_null(v) ? NULL : v;
}

static pst_code wrong_type(yyjson_val *v, const char *name, const char *want, struct pst_err *err)
{
    return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' must be %s, not %s", name, want,
                       pst_json_type(v));
}

bool pst_json_has(yyjson_val *obj, const char *name)
{
    return find_member(obj, name) != NULL;
}

pst_code pst_json_opt_str(yyjson_val *obj, const char *name, pst_str *out, struct pst_err *err)
{
    yyjson_val *v = find_member(obj, name);
    if (v && !pst_json_str(v, out))
        return wrong_type(v, name, "a string", err);
    return PST_OK;
}

pst_code pst_json_need_str(yyjson_val *obj, const char *name, pst_str *out, struct pst_err *err)
{
    pst_str text = {0};
    PST_TRY(pst_json_opt_str(obj, name, &text, err));
    if (text.len == 0)
        return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' is missing", name);
    *out = text;
    return PST_OK;
}

pst_code pst_json_opt_bool(yyjson_val *obj, const char *name, bool *out, struct pst_err *err)
{
    yyjson_val *v = find_member(obj, name);
    if (v && !pst_json_bool(v, out))
        return wrong_type(v, name, "true or false", err);
    return PST_OK;
}

pst_code pst_json_opt_i64(yyjson_val *obj, const char *name, int64_t min, int64_t max, int64_t *out,
                          struct pst_err *err)
{
    yyjson_val *v = find_member(obj, name);
    if (!v)
        return PST_OK;
    pst_str text;
    if (!pst_json_number(v, &text))
        return wrong_type(v, name, "a whole number", err);
    if (!pst_parse_i64(out, text, min, max))
        return PST_FAIL_AT(err, PST_E_INVALID, name,
                           "'%s' must be a whole number from %lld to %lld", name, (long long)min,
                           (long long)max);
    return PST_OK;
}

pst_code pst_json_opt_array(yyjson_val *obj, const char *name, yyjson_val **out,
                            struct pst_err *err)
{
    yyjson_val *v = find_member(obj, name);
    if (!v)
        return PST_OK;
    if (!yyjson_is_arr(v))
        return wrong_type(v, name, "an array", err);
    *out = v;
    return PST_OK;
}

pst_code pst_json_opt_object(yyjson_val *obj, const char *name, yyjson_val **out,
                             struct pst_err *err)
{
    yyjson_val *v = find_member(obj, name);
    if (!v)
        return PST_OK;
    if (!yyjson_is_obj(v))
        return wrong_type(v, name, "an object", err);
    *out = v;
    return PST_OK;
}

pst_code pst_json_only(yyjson_val *v, const char *what, const char *const *names,
                       struct pst_err *err)
{
    if (!yyjson_is_obj(v))
        return PST_FAIL(err, PST_E_INVALID, "the %s must be an object, not %s", what,
                        pst_json_type(v));
    yyjson_obj_iter it = yyjson_obj_iter_with(v);
    for (yyjson_val *key = yyjson_obj_iter_next(&it); key; key = yyjson_obj_iter_next(&it)) {
        pst_str name = key_of(key);
        size_t i = 0;
        while (names[i] && !pst_str_is(name, names[i]))
            i++;
        if (names[i])
            continue;
        char param[sizeof(err->param)];
        if (!pst_str_copy(param, sizeof(param), name))
            param[0] = '\0';
        return PST_FAIL_AT(err, PST_E_INVALID, param, "'%.*s' is not a member of a %s",
                           PST_STR_ARG(pst_str_sub(name, 0, 64)), what);
    }
    return PST_OK;
}
