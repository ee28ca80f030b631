/* model/plan.h: a compiled mapping, private to this module.
 *
 *   mapping_compile.c  manifest + overrides -> struct pst_mapping
 *   mapper.c           one thread's state: binding columns, hashing, mapping a document
 *   mapper_value.c     cells -> JSON values, by the type of the field
 *
 * Everything a mapping points at lives in its own arena. Columns are known by number: index into
 * `columns` of the mapping, which the mapper binds to cells of a page.
 */
#ifndef PST_MODEL_PLAN_H
#define PST_MODEL_PLAN_H

#include "base/arena.h"
#include "base/map.h"
#include "codec/tz.h"
#include "model/mapping.h"

enum pst_rule_kind {
    PST_RULE_NULL, /* no rule for this field of the model */
    PST_RULE_COLUMN, /* first row of the group */
    PST_RULE_FIRST, /* the first column that is not blank, first row of the group */
    PST_RULE_SUM, /* exact sum over the rows of the group */
    PST_RULE_MIN, /* over the rows of the group */
    PST_RULE_MAX,
    PST_RULE_REF, /* record id of the target's source_id */
    PST_RULE_TEMPLATE, /* text with columns in it */
    PST_RULE_CONST,
    PST_RULE_GROUP, /* array: one object per distinct value of the columns */
};

/* {if: {COLUMN: [values]}, value: v}: all columns must have one of their values. */
struct pst_rule_when {
    const struct pst_rule_test {
        unsigned column;
        const pst_str *values;
        size_t value_count;
    } *tests;
    size_t test_count;
    const char *value; /* name of the enum's value */
};

struct pst_rule_piece { /* of a template */
    pst_str text; /* literal in front of the column */
    int column; /* -1: none (the last piece) */
};

struct pst_rule {
    enum pst_rule_kind kind;
    enum pst_field_type type;
    bool required; /* null rejects the document */
    pst_str name; /* for messages: "lines.amount" */
    pst_str lead; /* what stands before the value: `,"amount":` */
    const char *target; /* REF: entity name */
    const unsigned *columns;
    size_t column_count;
    const struct pst_rule_code { /* ENUM; compared in either case */
        pst_str code;
        const char *value; /* name of the value */
    } *codes;
    size_t code_count;
    const struct pst_rule_when *whens;
    size_t when_count;
    const struct pst_rule_piece *pieces;
    size_t piece_count;
    pst_str constant; /* CONST: the text */
    const struct pst_rule *rules; /* GROUP: members of its objects */
    size_t rule_count;
    int filter; /* index of the filter it fills, or -1 */
};

struct pst_mapping {
    struct pst_arena *arena;
    const struct pst_entity *entity;
    const struct pst_tz *zone;
    struct pst_id (*record_id)(pst_str connection_id, pst_str entity, pst_str source_id);
    pst_str connection_id;
    const pst_str *columns; /* every column that a rule names */
    size_t column_count;
    struct pst_rule display_name;
    struct pst_rule created; /* kind NULL when there is none */
    const struct pst_rule *rules; /* the model's fields, in the model's order */
    size_t rule_count;
    const struct pst_rule *custom; /* custom fields */
    size_t custom_count;
    pst_str described; /* the rules in force as JSON */
    uint64_t version;
};

enum {
    PST_MAPPING_BYTES = 4 << 20, /* arena of a mapping */
    PST_MAPPING_COLUMNS = 1024, /* columns that one mapping may name */
    PST_MAPPING_DEPTH = 4, /* groups inside groups */
    PST_RULE_COLUMNS = 16, /* columns of one rule */
    PST_MAPPED_BYTES = 16 << 20, /* largest unified record */
    PST_MAPPING_FORMAT = 1, /* raise when the converters' results change */
};

/* Names compare as the whole, else by what stands behind the dot ("A.PO_ID", "PO_ID"). */
pst_str pst_column_tail(pst_str name);

struct pst_mapper {
    const struct pst_mapping *mapping;
    int *cell_of; /* per mapping column: column of the page; -1: blank in all its rows */
    struct pst_tz_memo memo;
    struct pst_buf out; /* the unified JSON under construction */
    struct pst_buf scratch; /* hash input, source ids */
    /* the page it is bound to */
    const struct pst_columns *columns;
    pst_str *bound_names; /* copies of its names, to see quickly that they repeat */
    size_t bound_count;
    unsigned *order; /* page columns by name: what makes the hash independent of position */
    size_t order_cap;
    struct pst_arena *names; /* holds bound_names and order */
    uint64_t names_hash;
    bool *is_there; /* scratch: page columns that some row of a document has */
    bool is_sure; /* cell_of is what the page's names alone say */
    /* the document being mapped */
    const struct pst_document *doc;
    struct pst_mapped *mapped;
    struct pst_arena *results;
    struct pst_err *reject; /* set by a converter that cannot convert: reason in msg */
    uint32_t *rows; /* scratch: 0, 1, 2, ... and regrouped copies */
    size_t rows_cap;
    size_t rows_used;
};

/* Rows of one group: numbers of the document's rows. */
struct pst_group {
    const uint32_t *rows;
    size_t count;
};

/* Append the value of rule over group to m->out, without its lead. *null tells whether it was
 * null. Errors: INVALID = the document is to be rejected; NO_MEMORY, LIMIT. */
pst_code pst_mapper_value(struct pst_mapper *m, const struct pst_rule *rule, struct pst_group group,
                          bool *null, struct pst_err *err);

/* The cell of a mapping column in one row; absent when the page has no such column. */
const struct pst_cell *pst_mapper_cell(const struct pst_mapper *m, uint32_t row, unsigned column);

/* Blank in the source's sense: absent, null, "" or only blanks. */
bool pst_cell_is_blank(const struct pst_cell *cell);

#endif
