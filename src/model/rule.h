/* model/rule.h: parsing one rule of a mapping, private to this module. */
#ifndef PST_MODEL_RULE_H
#define PST_MODEL_RULE_H

#include "model/plan.h"

/* What compiling a mapping gathers. */
struct pst_rule_compiler {
    struct pst_arena *arena;
    pst_str *columns; /* in the arena, PST_MAPPING_COLUMNS of room */
    size_t column_count;
    struct pst_map column_numbers; /* name -> number + 1 */
    bool in_custom; /* custom fields: a rule may name its type */
};

/* `,"name":` (without the comma where first), and the name for messages. */
pst_code pst_rule_lead(struct pst_rule_compiler *c, struct pst_rule *rule, const char *name,
                       bool first, struct pst_err *err);

/* A column's name, or a list of them, into rule->columns. */
pst_code pst_rule_columns(struct pst_rule_compiler *c, yyjson_val *spec, pst_str path,
                          struct pst_rule *rule, struct pst_err *err);

/* Everything but arrays. rule->type and lead are set already. path ends with a NUL. */
pst_code pst_rule_parse(struct pst_rule_compiler *c, const struct pst_field *field,
                        yyjson_val *spec, pst_str path, struct pst_rule *rule, struct pst_err *err);

/* source_<enum>: the columns of the enum's rule untouched, or those that its spec names as
 * `source`. */
pst_code pst_rule_twin(struct pst_rule_compiler *c, const struct pst_rule *of,
                       yyjson_val *enum_spec, pst_str path, struct pst_rule *rule,
                       struct pst_err *err);

/* The members of an object (of anything else: none), one after another; false behind the last. */
yyjson_obj_iter pst_rule_members(yyjson_val *obj);
bool pst_rule_next(yyjson_obj_iter *it, pst_str *name, yyjson_val **value);

#endif
