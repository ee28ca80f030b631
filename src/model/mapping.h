/* model/mapping.h: source rows to unified records.
 *
 * A mapping is compiled once from a stream's mapping in the connector's manifest plus the
 * connection's overrides. A mapper is one thread's working state for it.
 *
 * The way of a document: pst_mapper_bind() once per page (names to column numbers; cheap while
 * names repeat) -> pst_mapper_source_hash() -> if the stored hash differs pst_mapper_apply().
 *
 * Rejection is not an error: a document that cannot be mapped comes back with `reject` set,
 * which names the field, the column and what was expected, never the value.
 *
 * Thread-safety: struct pst_mapping is immutable; struct pst_mapper belongs to one thread.
 */
#ifndef PST_MODEL_MAPPING_H
#define PST_MODEL_MAPPING_H

#include <yyjson.h>

#include "base/id.h"
#include "model/model.h"
#include "model/page.h"

struct pst_mapping;
struct pst_mapper;
struct pst_tz; /* codec/tz.h */

typedef struct pst_hash128 {
    uint64_t lo, hi;
} pst_hash128;

struct pst_mapping_options {
    const struct pst_tz *zone; /* of the source's zoneless times; outlives the mapping */
    /* Record id of (connection, entity, source_id); crypto's, passed in because this module
     * stands beside it. */
    struct pst_id (*record_id)(pst_str connection_id, pst_str entity, pst_str source_id);
    pst_str connection_id; /* "conn_..."; copied */
};

/* stream: the stream's object in the manifest; overrides: the connection's object for this
 * entity, or NULL. Both are only read during the call. Errors: INVALID with the path of what
 * is wrong ("streams.purchase_orders.fields.status.map: 'aproved' is not a value of status"),
 * NO_MEMORY. */
pst_code pst_mapping_new(struct pst_mapping **out, const struct pst_entity *entity,
                         yyjson_val *stream, yyjson_val *overrides,
                         const struct pst_mapping_options *options, struct pst_err *err);
void pst_mapping_free(struct pst_mapping *m); /* NULL is a no-op */
const struct pst_entity *pst_mapping_entity(const struct pst_mapping *m);
uint64_t pst_mapping_version(const struct pst_mapping *m); /* changes when a rule changes */

/* The mapping in force as JSON, for GET .../entities. */
void pst_mapping_describe(const struct pst_mapping *m, struct pst_buf *out);

pst_code pst_mapper_new(struct pst_mapper **out, const struct pst_mapping *m, struct pst_err *err);
void pst_mapper_free(struct pst_mapper *mapper);

/* What is known of a source's columns beside those that a page names. */
struct pst_known_columns {
    struct pst_columns columns; /* of the source; none when it did not say */
    bool is_untold; /* it did not say: it is taken to have whatever a page does not name */
};

/* Columns of the mapping that no row of the page names are blank where the source is known to have
 * them. Errors: INVALID when it has them no longer (the message names all of them); with known NULL
 * also when that, or which column is meant, cannot be told from the page's names alone. columns
 * must live until the next bind. */
pst_code pst_mapper_bind_known(struct pst_mapper *mapper, const struct pst_columns *columns,
                               const struct pst_known_columns *known, struct pst_err *err);

/* The same where the page names all that the source has. */
pst_code pst_mapper_bind(struct pst_mapper *mapper, const struct pst_columns *columns,
                         struct pst_err *err);

/* Whether a page's, or a source's, columns have one for that name: the same, or the only one with
 * the same part behind the dot. */
bool pst_columns_have(const struct pst_columns *columns, pst_str name);

/* XXH3-128 over the canonical source cells (names and values; not their position in the page)
 * and the mapping's version. Columns that no row of the document has do not count: what other
 * documents of its page have makes no difference. */
pst_hash128 pst_mapper_source_hash(struct pst_mapper *mapper, const struct pst_document *doc);

/* One value per pst_entity.filters entry. */
struct pst_filter_value {
    enum { PST_FILTER_NULL, PST_FILTER_TEXT, PST_FILTER_INT } kind;
    pst_str text; /* enums, references, strings, dates ("2026-11-24"), decimals as written */
    int64_t num; /* integers, booleans 0/1, datetimes in microseconds */
};

struct pst_mapped {
    pst_str data; /* unified JSON object: display_name, the model's fields,
                     custom_fields; without the envelope (id, seq, times) */
    pst_hash128 hash; /* XXH3-128 of data */
    pst_wall created; /* from the source, or PST_WALL_NONE */
    struct pst_filter_value filters[PST_FILTERS_MAX];
    pst_str reject; /* "" = mapped; else the reason and nothing else is set */
};

/* Results live in `arena`. Errors: NO_MEMORY, LIMIT (one record over the arena's limit). */
pst_code pst_mapper_apply(struct pst_mapper *mapper, const struct pst_document *doc,
                          struct pst_arena *arena, struct pst_mapped *out, struct pst_err *err);

#endif
