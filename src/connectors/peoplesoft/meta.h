/* connectors/peoplesoft/meta.h: answers of ListQuery, QueryFields and QueryPrompts. Private to this
 * module. */
#ifndef PST_CONNECTORS_PEOPLESOFT_META_H
#define PST_CONNECTORS_PEOPLESOFT_META_H

#include <yyjson.h>

#include "base/arena.h"

/* {"..._MSG":{"..._RESP":[{"PTQASWRK":{...}},...]}}: the PTQASWRK objects, as an array in the
 * arena. A single object instead of the list is taken; an empty message is none.
 * Errors: SYSTEM (not of that form), LIMIT, NO_MEMORY. */
pst_code pst_ps_meta_read(pst_str body, struct pst_arena *arena, yyjson_val ***out, size_t *count,
                          struct pst_err *err);

/* A member as text, a number's digits included; "" when it is absent. */
pst_str pst_ps_meta_text(yyjson_val *item, const char *name);

#endif
