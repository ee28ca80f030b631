/* model/model.h: the unified model, compiled from model/ by tools/gen.py.
 *
 * Everything that depends on which entities and fields there are (mapping checks, tables and
 * indexes of the store, filters of the API, OpenAPI schemas, docs) reads these tables.
 *
 * Thread-safety: constant data.
 */
#ifndef PST_MODEL_MODEL_H
#define PST_MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum pst_field_type {
    PST_TYPE_STRING, /* short text */
    PST_TYPE_TEXT, /* long text */
    PST_TYPE_INTEGER,
    PST_TYPE_DECIMAL, /* exact decimal, a JSON string */
    PST_TYPE_BOOLEAN,
    PST_TYPE_DATE, /* "2026-11-24" */
    PST_TYPE_DATETIME, /* RFC 3339, UTC */
    PST_TYPE_ENUM, /* one of values; <field's source twin> carries the untouched code */
    PST_TYPE_REFERENCE, /* record id of another entity */
    PST_TYPE_ARRAY, /* of objects with `fields` */
};

struct pst_enum_value {
    const char *name;
    const char *description;
};

struct pst_field {
    const char *name;
    enum pst_field_type type;
    const char *description;
    const char *example; /* JSON text, or NULL */
    const struct pst_enum_value *values; /* ENUM: value_count of them */
    size_t value_count;
    const struct pst_field *fields; /* ARRAY: field_count of them */
    size_t field_count;
    const char *target; /* REFERENCE: entity name */
    int filter; /* index into pst_entity.filters, or -1 */
};

/* A filterable top-level field: kept in a column of its own beside the JSON text, so that
 * filters and their indexes never parse JSON. Equality for all types; dates and times also
 * as <field>_after (inclusive) and <field>_before (exclusive). */
struct pst_filter {
    const struct pst_field *field;
    const char *column; /* "f_status" */
};

struct pst_entity {
    const char *name; /* "purchase_orders" */
    const char *singular; /* "purchase_order" */
    const char *path; /* "purchase-orders" */
    const char *title; /* "Purchase orders" */
    const char *domain; /* "supply_chain" */
    const char *description;
    const struct pst_field *fields;
    size_t field_count;
    const struct pst_filter *filters;
    size_t filter_count; /* at most PST_FILTERS_MAX */
    const char *table; /* "rec_purchase_orders" */
};

enum { PST_FILTERS_MAX = 16, PST_ENTITIES_MAX = 64 };

const struct pst_entity *pst_model_entities(size_t *count);
const struct pst_entity *pst_model_entity(pst_str name); /* NULL: no such entity */
const struct pst_entity *pst_model_entity_by_path(pst_str path); /* "purchase-orders" */
const struct pst_field *pst_model_field(const struct pst_entity *entity, pst_str name);
size_t pst_model_entity_index(const struct pst_entity *entity); /* 0..count-1 */

const char *pst_field_type_name(enum pst_field_type type);

/* JSON Schema (2020-12) of a record of this entity, as OpenAPI's components/schemas wants it. */
void pst_model_schema_json(struct pst_buf *out, const struct pst_entity *entity);

/* JSON array with the names of the top-level members that differ between two unified JSON
 * texts, e.g. ["status","lines"]. Texts that are not objects give []. */
void pst_model_diff(struct pst_buf *out, pst_str before, pst_str after);

#endif
