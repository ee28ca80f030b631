/* connectors/peoplesoft/meta.h: answers of ListQuery, QueryFields and QueryPrompts. Private to this
 * module. */
#ifndef PST_CONNECTORS_PEOPLESOFT_META_H
#define PST_CONNECTORS_PEOPLESOFT_META_H

#include "connectors/peoplesoft/stream.h"

/* {"..._MSG":{"..._RESP":[{"PTQASWRK":{...}},...]}}: the PTQASWRK objects, as an array in the
 * arena. A single object instead of the list is taken; an empty message is none.
 * Errors: SYSTEM (not of that form), LIMIT, NO_MEMORY. */
pst_code pst_ps_meta_read(pst_str body, struct pst_arena *arena, yyjson_val ***out, size_t *count,
                          struct pst_err *err);

/* Ask QueryFields or QueryPrompts (`service`) about a query. Errors: as pst_ps_get, and above. */
pst_code pst_ps_meta_ask(const struct pst_connector *self, const struct pst_connector_ctx *ctx,
                         const char *service, pst_str query, struct pst_arena *arena,
                         yyjson_val ***out, size_t *count, struct pst_err *err);

/* struct pst_connector_ops.describe */
pst_code pst_ps_describe(struct pst_connector *self, const struct pst_connector_ctx *ctx,
                         const struct pst_stream *stream, struct pst_arena *arena,
                         struct pst_source_columns *out, struct pst_err *err);

/* A member as text, a number's digits included; "" when it is absent. */
pst_str pst_ps_meta_text(yyjson_val *item, const char *name);

#endif
