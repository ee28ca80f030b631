/* model/rule.c: one rule of a mapping: a column's name, or an object with one verb. */
#include "model/rule.h"

#include "codec/json.h"

static pst_str str_of(yyjson_val *v)
{
    pst_str s = {NULL, 0};
    (void)pst_json_str(v, &s);
    return s;
}

static yyjson_val *member(yyjson_val *obj, const char *name)
{
    return pst_json_get(obj, pst_str_from(name));
}

pst_code pst_rule_lead(struct pst_rule_compiler *c, struct pst_rule *rule, const char *name,
                       bool first, struct pst_err *err)
{
    PST_TRY(pst_arena_dup(c->arena, &rule->name, pst_str_from(name), err));
    return pst_arena_printf(c->arena, &rule->lead, err, "%s\"%s\":", first ? "" : ",", name);
}

yyjson_obj_iter pst_rule_members(yyjson_val *obj)
{
    return yyjson_obj_iter_with(obj);
}

bool pst_rule_next(yyjson_obj_iter *it, pst_str *name, yyjson_val **value)
{
    yyjson_val *key = yyjson_obj_iter_next(it);
    if (key == NULL)
        return false;
    *name = str_of(key);
    *value = yyjson_obj_iter_get_val(key);
    return true;
}

/* A list, or one thing as a list of one. */
static size_t list_size(yyjson_val *v)
{
    return strcmp(pst_json_type(v), "array") == 0 ? yyjson_arr_size(v) : 1;
}

static yyjson_val *list_item(yyjson_val *v, size_t i)
{
    return strcmp(pst_json_type(v), "array") == 0 ? yyjson_arr_get(v, i) : v;
}

/* ---- columns ----------------------------------------------------------------------------- */

static pst_code column_number(struct pst_rule_compiler *c, pst_str name, pst_str path,
                              unsigned *out, struct pst_err *err)
{
    if (name.len == 0 || name.len > 128)
        return PST_FAIL(err, PST_E_INVALID, "%.*s: the name of a source column is needed",
                        PST_STR_ARG(path));
    uintptr_t known = (uintptr_t)pst_map_get(&c->column_numbers, name);
    if (known) {
        *out = (unsigned)(known - 1);
        return PST_OK;
    }
    if (c->column_count == PST_MAPPING_COLUMNS)
        return PST_FAIL(err, PST_E_LIMIT, "%.*s: more than %d source columns in one mapping",
                        PST_STR_ARG(path), PST_MAPPING_COLUMNS);
    if (!c->columns)
        PST_TRY(
            pst_arena_array(c->arena, &c->columns, PST_MAPPING_COLUMNS, sizeof(*c->columns), err));
    PST_TRY(pst_arena_dup(c->arena, &c->columns[c->column_count], name, err));
    PST_TRY(
        pst_map_put(&c->column_numbers, name, (void *)(uintptr_t)(c->column_count + 1), NULL, err));
    *out = (unsigned)c->column_count++;
    return PST_OK;
}

pst_code pst_rule_columns(struct pst_rule_compiler *c, yyjson_val *spec, pst_str path,
                          struct pst_rule *rule, struct pst_err *err)
{
    size_t count = list_size(spec);
    unsigned *columns = NULL;
    if (count == 0 || count > PST_RULE_COLUMNS)
        return PST_FAIL(err, PST_E_INVALID, "%.*s: 1 to %d source columns are needed",
                        PST_STR_ARG(path), PST_RULE_COLUMNS);
    PST_TRY(pst_arena_array(c->arena, &columns, count, sizeof(*columns), err));
    for (size_t i = 0; i < count; i++)
        PST_TRY(column_number(c, str_of(list_item(spec, i)), path, &columns[i], err));
    rule->columns = columns;
    rule->column_count = count;
    return PST_OK;
}

/* ---- enums ------------------------------------------------------------------------------- */

/* The model's own copy of the value's name, or an error that lists what there is. */
static pst_code enum_value(const struct pst_field *field, yyjson_val *v, pst_str path,
                           const char **out, struct pst_err *err)
{
    pst_str name = str_of(v);
    for (size_t i = 0; i < field->value_count; i++) {
        if (pst_str_is(name, field->values[i].name)) {
            *out = field->values[i].name;
            return PST_OK;
        }
    }
    return PST_FAIL(err, PST_E_INVALID, "%.*s: '%.*s' is not a value of %s", PST_STR_ARG(path),
                    PST_STR_ARG(pst_str_sub(name, 0, 64)), field->name);
}

static pst_code parse_codes(struct pst_rule_compiler *c, const struct pst_field *field,
                            yyjson_val *map, pst_str path, struct pst_rule *rule,
                            struct pst_err *err)
{
    struct pst_rule_code *codes = NULL;
    pst_str code;
    yyjson_val *value = NULL;
    if (!yyjson_is_obj(map))
        return PST_FAIL(err, PST_E_INVALID, "%.*s.map: codes and their values are needed",
                        PST_STR_ARG(path));
    PST_TRY(pst_arena_array(c->arena, &codes, yyjson_obj_size(map), sizeof(*codes), err));
    rule->codes = codes;
    yyjson_obj_iter it = pst_rule_members(map);
    while (pst_rule_next(&it, &code, &value)) {
        PST_TRY(enum_value(field, value, path, &codes->value, err));
        PST_TRY(pst_arena_dup(c->arena, &codes->code, code, err));
        codes++;
    }
    rule->code_count = (size_t)(codes - rule->codes);
    return PST_OK;
}

static pst_code parse_test(struct pst_rule_compiler *c, pst_str column, yyjson_val *spec,
                           pst_str path, struct pst_rule_test *out, struct pst_err *err)
{
    size_t count = list_size(spec);
    pst_str *values = NULL;
    PST_TRY(column_number(c, column, path, &out->column, err));
    PST_TRY(pst_arena_array(c->arena, &values, count, sizeof(*values), err));
    for (size_t i = 0; i < count; i++) {
        yyjson_val *v = list_item(spec, i);
        pst_str text;
        if (!pst_json_str(v, &text) && !pst_json_number(v, &text))
            return PST_FAIL(err, PST_E_INVALID, "%.*s.when: texts to compare with are needed",
                            PST_STR_ARG(path));
        PST_TRY(pst_arena_dup(c->arena, &values[i], text, err));
    }
    out->values = values;
    out->value_count = count;
    return PST_OK;
}

static pst_code parse_when(struct pst_rule_compiler *c, const struct pst_field *field,
                           yyjson_val *spec, pst_str path, struct pst_rule_when *out,
                           struct pst_err *err)
{
    yyjson_val *tests = member(spec, "if");
    yyjson_val *values = NULL;
    struct pst_rule_test *list = NULL;
    pst_str column;
    if (!yyjson_is_obj(tests) || yyjson_obj_size(tests) == 0)
        return PST_FAIL(err, PST_E_INVALID, "%.*s.when: {if: {COLUMN: [..]}, value: ..} is needed",
                        PST_STR_ARG(path));
    PST_TRY(enum_value(field, member(spec, "value"), path, &out->value, err));
    PST_TRY(pst_arena_array(c->arena, &list, yyjson_obj_size(tests), sizeof(*list), err));
    out->tests = list;
    yyjson_obj_iter it = pst_rule_members(tests);
    while (pst_rule_next(&it, &column, &values))
        PST_TRY(parse_test(c, column, values, path, list++, err));
    out->test_count = (size_t)(list - out->tests);
    return PST_OK;
}

static pst_code parse_enum(struct pst_rule_compiler *c, const struct pst_field *field,
                           yyjson_val *spec, pst_str path, struct pst_rule *rule,
                           struct pst_err *err)
{
    yyjson_val *whens = member(spec, "when");
    struct pst_rule_when *list = NULL;
    PST_TRY(parse_codes(c, field, member(spec, "map"), path, rule, err));
    if (!whens)
        return PST_OK;
    if (!yyjson_is_arr(whens))
        return PST_FAIL(err, PST_E_INVALID, "%.*s.when: a list is needed", PST_STR_ARG(path));
    size_t count = yyjson_arr_size(whens);
    PST_TRY(pst_arena_array(c->arena, &list, count, sizeof(*list), err));
    for (size_t i = 0; i < count; i++)
        PST_TRY(parse_when(c, field, list_item(whens, i), path, &list[i], err));
    rule->whens = list;
    rule->when_count = count;
    return PST_OK;
}

/* ---- templates and constants ------------------------------------------------------------- */

static pst_code parse_template(struct pst_rule_compiler *c, yyjson_val *v, pst_str path,
                               struct pst_rule *rule, struct pst_err *err)
{
    pst_str rest = str_of(v);
    struct pst_rule_piece *pieces = NULL;
    unsigned *columns = NULL;
    size_t count = 0;
    PST_TRY(pst_arena_array(c->arena, &pieces, PST_RULE_COLUMNS + 1, sizeof(*pieces), err));
    PST_TRY(pst_arena_array(c->arena, &columns, PST_RULE_COLUMNS, sizeof(*columns), err));
    for (;; count++) {
        size_t open = pst_str_index(rest, '{');
        PST_TRY(pst_arena_dup(c->arena, &pieces[count].text, pst_str_sub(rest, 0, open), err));
        pieces[count].column = -1;
        if (open == rest.len)
            break;
        rest = pst_str_sub(rest, open + 1, rest.len);
        size_t close = pst_str_index(rest, '}');
        if (close == rest.len || count == PST_RULE_COLUMNS)
            return PST_FAIL(err, PST_E_INVALID,
                            "%.*s.template: \"text {COLUMN} text\" with 1 to %d columns is needed",
                            PST_STR_ARG(path), PST_RULE_COLUMNS);
        PST_TRY(column_number(c, pst_str_sub(rest, 0, close), path, &columns[count], err));
        pieces[count].column = (int)columns[count];
        rest = pst_str_sub(rest, close + 1, rest.len);
    }
    if (count == 0)
        return PST_FAIL(err, PST_E_INVALID, "%.*s.template: it names no {COLUMN}",
                        PST_STR_ARG(path));
    rule->pieces = pieces;
    rule->piece_count = count + 1;
    rule->columns = columns;
    rule->column_count = count;
    return PST_OK;
}

static pst_code parse_const(struct pst_rule_compiler *c, const struct pst_field *field,
                            yyjson_val *v, pst_str path, struct pst_rule *rule, struct pst_err *err)
{
    const char *name = NULL;
    pst_str text = {NULL, 0};
    bool text_type = field->type == PST_TYPE_STRING || field->type == PST_TYPE_TEXT;
    if (field->type == PST_TYPE_ENUM)
        PST_TRY(enum_value(field, v, path, &name, err));
    else if (!text_type || !pst_json_str(v, &text))
        return PST_FAIL(err, PST_E_INVALID,
                        "%.*s.const: only text and enum fields take a constant, and it is a text",
                        PST_STR_ARG(path));
    return pst_arena_dup(c->arena, &rule->constant, name ? pst_str_from(name) : text, err);
}

/* ---- the verb ---------------------------------------------------------------------------- */

#define BIT(type) (1U << PST_TYPE_##type)
#define TEXTS (BIT(STRING) | BIT(TEXT))
#define TIMES (BIT(DATE) | BIT(DATETIME))
#define ANY (TEXTS | TIMES | BIT(INTEGER) | BIT(DECIMAL) | BIT(BOOLEAN) | BIT(ENUM))

static const struct verb {
    const char *name;
    enum pst_rule_kind kind;
    unsigned types; /* of the fields that it can fill; const has a message of its own */
} verbs[] = {
    {"column", PST_RULE_COLUMN, ANY},
    {"first", PST_RULE_FIRST, ANY},
    {"sum", PST_RULE_SUM, BIT(DECIMAL)},
    {"min", PST_RULE_MIN, BIT(DECIMAL) | BIT(INTEGER) | TIMES},
    {"max", PST_RULE_MAX, BIT(DECIMAL) | BIT(INTEGER) | TIMES},
    {"ref", PST_RULE_REF, BIT(REFERENCE)},
    {"template", PST_RULE_TEMPLATE, TEXTS},
    {"const", PST_RULE_CONST, ANY | BIT(REFERENCE)},
};

static pst_code find_verb(yyjson_val *spec, pst_str path, const struct verb **out,
                          yyjson_val **value, struct pst_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < PST_COUNT(verbs); i++) {
        yyjson_val *v = member(spec, verbs[i].name);
        if (!v)
            continue;
        if (*out)
            return PST_FAIL(err, PST_E_INVALID, "%.*s: both '%s' and '%s'", PST_STR_ARG(path),
                            (*out)->name, verbs[i].name);
        *out = &verbs[i];
        *value = v;
    }
    if (!*out)
        return PST_FAIL(err, PST_E_INVALID,
                        "%.*s: one of column, first, sum, min, max, ref, template, const is needed",
                        PST_STR_ARG(path));
    return PST_OK;
}

/* A member that would have no effect is a mistake of who wrote it. */
static pst_code check_members(const struct pst_rule_compiler *c, const struct pst_field *field,
                              yyjson_val *spec, pst_str path, struct pst_err *err)
{
    static const char *const of_all[] = {"column", "first",    "sum",   "min",      "max",
                                         "ref",    "template", "const", "required", NULL};
    static const char *const of_enums[] = {"column",   "first", "const",  "map",
                                           "required", "when",  "source", NULL};
    static const char *const of_custom[] = {"column",   "first", "sum",      "min",  "max", "ref",
                                            "template", "const", "required", "type", NULL};
    const char *const *allowed = of_all;
    if (field->type == PST_TYPE_ENUM)
        allowed = of_enums;
    else if (c->in_custom)
        allowed = of_custom;
    return pst_json_only(spec, path.ptr, allowed, err);
}

pst_code pst_rule_parse(struct pst_rule_compiler *c, const struct pst_field *field,
                        yyjson_val *spec, pst_str path, struct pst_rule *rule, struct pst_err *err)
{
    const struct verb *verb = &verbs[0]; /* of a column's name alone */
    yyjson_val *value = spec;
    if (!pst_json_str(spec, &(pst_str){0})) {
        PST_TRY(check_members(c, field, spec, path, err));
        PST_TRY(find_verb(spec, path, &verb, &value, err));
        if (pst_json_opt_bool(spec, "required", &rule->required, err) != PST_OK)
            return pst_err_wrap(err, "%.*s", PST_STR_ARG(path));
    }
    rule->kind = verb->kind;
    if (!(verb->types >> field->type & 1))
        return PST_FAIL(err, PST_E_INVALID, "%.*s: '%s' does not give a %s", PST_STR_ARG(path),
                        verb->name, pst_field_type_name(field->type));
    if (rule->kind == PST_RULE_CONST)
        return parse_const(c, field, value, path, rule, err);
    if (rule->kind == PST_RULE_TEMPLATE)
        return parse_template(c, value, path, rule, err);
    PST_TRY(pst_rule_columns(c, value, path, rule, err));
    return field->type == PST_TYPE_ENUM ? parse_enum(c, field, spec, path, rule, err) : PST_OK;
}

pst_code pst_rule_twin(struct pst_rule_compiler *c, const struct pst_rule *of,
                       yyjson_val *enum_spec, pst_str path, struct pst_rule *rule,
                       struct pst_err *err)
{
    yyjson_val *source = member(enum_spec, "source");
    if (source == NULL && of->kind == PST_RULE_CONST)
        return PST_OK;
    rule->kind = PST_RULE_FIRST;
    if (source)
        return pst_rule_columns(c, source, path, rule, err);
    rule->columns = of->columns;
    rule->column_count = of->column_count;
    return PST_OK;
}
