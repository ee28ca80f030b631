/* model/mapping_compile.c: from a manifest's stream and a connection's overrides to a plan.
 *
 * The format is described at the head of connectors/peoplesoft/connector.yaml. Every mistake is
 * INVALID with the path of what is wrong, so that who wrote the override finds it. */
#include "codec/json.h"
#include "model/plan.h"
#include "model/rule.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"

pst_str pst_column_tail(pst_str name)
{
    for (size_t i = name.len; i > 0; i--) {
        if (name.ptr[i - 1] == '.')
            return pst_str_sub(name, i, name.len);
    }
    return name;
}

/* The member `name` of an object, or NULL. */
static yyjson_val *member(yyjson_val *obj, const char *name)
{
    return pst_json_get(obj, pst_str_from(name));
}

static bool is_absent(yyjson_val *v)
{
    return v == NULL || yyjson_is_null(v);
}

/* ---- the fields of one level ------------------------------------------------------------ */

struct level {
    const struct pst_field *fields;
    size_t count;
    yyjson_val *rules; /* the manifest's, an object */
    yyjson_val *overrides; /* the connection's, or NULL */
    pst_str path; /* "fields", "fields.lines.fields" */
};

static bool known_field(const struct level *l, pst_str name)
{
    for (size_t i = 0; i < l->count; i++) {
        if (pst_str_is(name, l->fields[i].name))
            return true;
    }
    return false;
}

/* Rules for fields that the model does not have are mistakes. */
static pst_code check_names(const struct level *l, yyjson_val *rules, struct pst_err *err)
{
    pst_str name;
    yyjson_val *rule = NULL;
    if (!rules)
        return PST_OK;
    if (!yyjson_is_obj(rules))
        return PST_FAIL(err, PST_E_INVALID, "%.*s: an object is needed", PST_STR_ARG(l->path));
    yyjson_obj_iter it = pst_rule_members(rules);
    while (pst_rule_next(&it, &name, &rule)) {
        if (!known_field(l, name))
            return PST_FAIL(err, PST_E_INVALID, "%.*s.%.*s: the model has no such field",
                            PST_STR_ARG(l->path), PST_STR_ARG(name));
    }
    return PST_OK;
}

static bool is_twin_of(const struct pst_field *twin, const struct pst_field *of)
{
    return of->type == PST_TYPE_ENUM && strncmp(twin->name, "source_", 7) == 0 &&
           strcmp(twin->name + 7, of->name) == 0;
}

/* The rule for one field: the override's, else the manifest's; the twin of an enum takes the
 * enum's column. */
static yyjson_val *rule_of(const struct level *l, size_t i, bool *twin)
{
    pst_str name = pst_str_from(l->fields[i].name);
    yyjson_val *own = pst_json_get(l->overrides, name);
    if (!own)
        own = pst_json_get(l->rules, name);
    *twin = !own && i > 0 && is_twin_of(&l->fields[i], &l->fields[i - 1]);
    if (*twin)
        return rule_of(l, i - 1, &(bool){false});
    return own;
}

static pst_code compile_level(struct pst_rule_compiler *c, const struct level *l, unsigned depth,
                              const struct pst_rule **out, size_t *count, struct pst_err *err);

static pst_code compile_group(struct pst_rule_compiler *c, const struct pst_field *field,
                              yyjson_val *spec, pst_str path, unsigned depth, struct pst_rule *rule,
                              struct pst_err *err)
{
    static const char *const allowed[] = {"group_by", "fields", NULL};
    PST_TRY(pst_json_only(spec, path.ptr, allowed, err));
    if (depth >= PST_MAPPING_DEPTH)
        return PST_FAIL(err, PST_E_LIMIT, "%.*s: more than %d levels of arrays", PST_STR_ARG(path),
                        PST_MAPPING_DEPTH);
    rule->kind = PST_RULE_GROUP;
    PST_TRY(pst_rule_columns(c, member(spec, "group_by"), path, rule, err));
    struct level inner = {
        .fields = field->fields,
        .count = field->field_count,
        .rules = member(spec, "fields"),
    };
    PST_TRY(pst_arena_printf(c->arena, &inner.path, err, "%.*s.fields", PST_STR_ARG(path)));
    return compile_level(c, &inner, depth + 1, &rule->rules, &rule->rule_count, err);
}

/* rules: of the whole level, compiled up to the one before i. */
static pst_code compile_field(struct pst_rule_compiler *c, const struct level *l, size_t i,
                              unsigned depth, struct pst_rule *rules, struct pst_err *err)
{
    const struct pst_field *field = &l->fields[i];
    struct pst_rule *rule = &rules[i];
    bool is_first = i == 0 && depth > 0; /* at the top display_name stands in front */
    bool twin = false;
    pst_str path;
    yyjson_val *spec = rule_of(l, i, &twin);
    PST_TRY(pst_arena_printf(c->arena, &path, err, "%.*s.%s", PST_STR_ARG(l->path), field->name));
    rule->type = field->type;
    rule->target = field->target;
    rule->filter = depth == 0 ? field->filter : -1;
    PST_TRY(pst_rule_lead(c, rule, field->name, is_first, err));
    if (is_absent(spec))
        return PST_OK;
    if (twin)
        return pst_rule_twin(c, &rules[i - 1], spec, path, rule, err);
    if (field->type == PST_TYPE_ARRAY)
        return compile_group(c, field, spec, path, depth, rule, err);
    return pst_rule_parse(c, field, spec, path, rule, err);
}

static pst_code compile_level(struct pst_rule_compiler *c, const struct level *l, unsigned depth,
                              const struct pst_rule **out, size_t *count, struct pst_err *err)
{
    struct pst_rule *rules = NULL;
    PST_TRY(check_names(l, l->rules, err));
    PST_TRY(check_names(l, l->overrides, err));
    PST_TRY(pst_arena_array(c->arena, &rules, l->count, sizeof(*rules), err));
    for (size_t i = 0; i < l->count; i++)
        PST_TRY(compile_field(c, l, i, depth, rules, err));
    *out = rules;
    *count = l->count;
    return PST_OK;
}

/* ---- beside the model's fields ---------------------------------------------------------- */

static const struct pst_field text_field = {
    .name = "display_name", .type = PST_TYPE_STRING, .filter = -1};
static const struct pst_field created_field = {
    .name = "created_at", .type = PST_TYPE_DATETIME, .filter = -1};

static pst_code compile_extra(struct pst_rule_compiler *c, const struct pst_field *field,
                              yyjson_val *spec, struct pst_rule *rule, struct pst_err *err)
{
    rule->type = field->type;
    rule->filter = -1;
    if (is_absent(spec))
        return PST_OK;
    return pst_rule_parse(c, field, spec, pst_str_from(field->name), rule, err);
}

static bool custom_name_ok(pst_str name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
    char text[65];
    if (!pst_str_copy(text, sizeof(text), name) || strspn(text, "0123456789") > 0)
        return false;
    return text[0] != '\0' && strspn(text, allowed) == name.len;
}

/* Custom fields take the type their rule names ("type": "decimal"), else text. */
static pst_code custom_type(yyjson_val *spec, pst_str path, enum pst_field_type *out,
                            struct pst_err *err)
{
    static const enum pst_field_type types[] = {
        PST_TYPE_STRING,  PST_TYPE_INTEGER, PST_TYPE_DECIMAL,
        PST_TYPE_BOOLEAN, PST_TYPE_DATE,    PST_TYPE_DATETIME,
    };
    pst_str name;
    *out = PST_TYPE_STRING;
    if (!pst_json_str(member(spec, "type"), &name))
        return PST_OK;
    for (size_t i = 0; i < PST_COUNT(types); i++) {
        if (pst_str_is(name, pst_field_type_name(types[i]))) {
            *out = types[i];
            return PST_OK;
        }
    }
    return PST_FAIL(
        err, PST_E_INVALID,
        "%.*s.type: '%.*s' is none of string, integer, decimal, boolean, date, datetime",
        PST_STR_ARG(path), PST_STR_ARG(name));
}

static pst_code compile_custom(struct pst_rule_compiler *c, yyjson_val *specs,
                               struct pst_mapping *m, struct pst_err *err)
{
    struct pst_rule *rule = NULL;
    yyjson_val *spec = NULL;
    pst_str name;
    if (is_absent(specs))
        return PST_OK;
    if (!yyjson_is_obj(specs))
        return PST_FAIL(err, PST_E_INVALID, "custom_fields: an object is needed");
    PST_TRY(pst_arena_array(c->arena, &rule, yyjson_obj_size(specs), sizeof(*rule), err));
    m->custom = rule;
    c->in_custom = true;
    yyjson_obj_iter it = pst_rule_members(specs);
    for (; pst_rule_next(&it, &name, &spec); rule++) {
        struct pst_field field = {.filter = -1};
        pst_str path;
        if (!custom_name_ok(name))
            return PST_FAIL(err, PST_E_INVALID,
                            "custom_fields: '%.*s' is no name (a-z, 0-9, '_', at most 64)",
                            PST_STR_ARG(pst_str_sub(name, 0, 80)));
        PST_TRY(pst_arena_printf(c->arena, &path, err, "custom_fields.%.*s", PST_STR_ARG(name)));
        PST_TRY(custom_type(spec, path, &field.type, err));
        field.name = path.ptr + sizeof("custom_fields.") - 1;
        rule->type = field.type;
        rule->filter = -1;
        PST_TRY(pst_rule_lead(c, rule, field.name, rule == m->custom, err));
        PST_TRY(pst_rule_parse(c, &field, spec, path, rule, err));
    }
    m->custom_count = (size_t)(rule - m->custom);
    return PST_OK;
}

/* ---- description and version ------------------------------------------------------------ */

/* Members of `rules` that `but` does not have; either may be NULL. */
static void describe_rules(struct pst_json_writer *w, yyjson_val *rules, yyjson_val *but)
{
    yyjson_obj_iter it = pst_rule_members(rules);
    pst_str name;
    yyjson_val *rule = NULL;
    while (pst_rule_next(&it, &name, &rule)) {
        if (pst_json_get(but, name))
            continue;
        pst_json_put_name(w, name);
        pst_json_put_val(w, rule);
    }
}

static pst_code describe(struct pst_mapping *m, yyjson_val *stream, yyjson_val *overrides,
                         struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    pst_buf_init(&b, PST_MAPPING_BYTES / 2);
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_json_add_val(&w, "display_name", member(stream, "display_name"));
    pst_json_add_val(&w, "created_at", member(stream, "created_at"));
    pst_json_add_object(&w, "fields");
    describe_rules(&w, member(stream, "fields"), member(overrides, "fields"));
    describe_rules(&w, member(overrides, "fields"), NULL);
    pst_json_end_object(&w);
    pst_json_add_object(&w, "custom_fields");
    describe_rules(&w, member(overrides, "custom_fields"), NULL);
    pst_json_end_object(&w);
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    PST_TRY(pst_arena_dup(m->arena, &m->described, pst_buf_str(&b), err));

    /* Whatever changes what a row maps to is in the version: rules, the model, the zone, us. */
    pst_str zone = pst_tz_name(m->zone);
    XXH64_hash_t h = XXH3_64bits_withSeed(b.ptr, b.len, PST_MAPPING_FORMAT);
    h = XXH3_64bits_withSeed(zone.ptr, zone.len, h);
    pst_buf_reset(&b);
    pst_model_schema_json(&b, m->entity);
    PST_TRY(pst_buf_check(&b, err));
    m->version = XXH3_64bits_withSeed(b.ptr, b.len, h) | 1; /* 0 means none */
    return PST_OK;
}

/* ---- the whole -------------------------------------------------------------------------- */

static pst_code compile(struct pst_rule_compiler *c, struct pst_mapping *m, yyjson_val *stream,
                        yyjson_val *overrides, struct pst_err *err)
{
    static const char *const allowed[] = {"fields", "custom_fields", NULL};
    struct level top = {
        .fields = m->entity->fields,
        .count = m->entity->field_count,
        .rules = member(stream, "fields"),
        .path = PST_STR("fields"),
    };
    if (is_absent(overrides))
        overrides = NULL;
    else
        PST_TRY(pst_json_only(overrides, "mapping", allowed, err));
    top.overrides = member(overrides, "fields");
    if (is_absent(top.overrides))
        top.overrides = NULL;
    PST_TRY(compile_extra(c, &text_field, member(stream, "display_name"), &m->display_name, err));
    PST_TRY(compile_extra(c, &created_field, member(stream, "created_at"), &m->created, err));
    PST_TRY(compile_level(c, &top, 0, &m->rules, &m->rule_count, err));
    PST_TRY(compile_custom(c, member(overrides, "custom_fields"), m, err));
    m->columns = c->columns;
    m->column_count = c->column_count;
    return describe(m, stream, overrides, err);
}

pst_code pst_mapping_new(struct pst_mapping **out, const struct pst_entity *entity,
                         yyjson_val *stream, yyjson_val *overrides,
                         const struct pst_mapping_options *options, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_mapping *m = NULL;
    struct pst_rule_compiler c = {0};
    PST_TRY(pst_arena_new(&arena, PST_MAPPING_BYTES, err));
    PST_TRY(pst_arena_alloc(arena, &m, sizeof(*m), err));
    *m = (struct pst_mapping){
        .arena = arena,
        .entity = entity,
        .zone = options->zone,
        .record_id = options->record_id,
    };
    PST_TRY(pst_arena_dup(arena, &m->connection_id, options->connection_id, err));
    c.arena = arena;
    pst_code rc = compile(&c, m, stream, overrides, err);
    pst_map_fini(&c.column_numbers);
    if (rc != PST_OK)
        return pst_err_wrap(err, "mapping of %s", entity->name);
    m->arena = PST_TAKE(arena);
    *out = m;
    return PST_OK;
}

void pst_mapping_free(struct pst_mapping *m)
{
    if (m)
        pst_arena_free(m->arena);
}

const struct pst_entity *pst_mapping_entity(const struct pst_mapping *m)
{
    return m->entity;
}

uint64_t pst_mapping_version(const struct pst_mapping *m)
{
    return m->version;
}

void pst_mapping_describe(const struct pst_mapping *m, struct pst_buf *out)
{
    pst_buf_add_str(out, m->described);
}
