/* peoplesim/json.h: the little JSON the control port and the state file need.
 *
 * Reading is yyjson itself; this adds typed members with errors that name them. Writing is
 * text with quoted strings. Thread-safety: pure.
 */
#ifndef PEOPLESIM_JSON_H
#define PEOPLESIM_JSON_H

#include <yyjson.h>

#include "base/buf.h"

static inline void pst_auto_sim_json(yyjson_doc **doc)
{
    yyjson_doc_free(*doc);
}
/* PST_AUTO(sim_json) yyjson_doc *doc = NULL; */

/* An object; the empty text counts as {}. Errors: INVALID, NO_MEMORY. */
pst_code pst_sim_json_read(pst_str text, yyjson_doc **out, struct pst_err *err);

/* INVALID naming it when obj has a member not in names (NULL ends the list). */
pst_code pst_sim_json_only(yyjson_val *obj, const char *const *names, struct pst_err *err);

/* Members; absent or null leaves *out. Errors: INVALID, naming the member. */
pst_code pst_sim_json_str(yyjson_val *obj, const char *name, pst_str *out, struct pst_err *err);
pst_code pst_sim_json_int(yyjson_val *obj, const char *name, int64_t min, int64_t max, int64_t *out,
                          struct pst_err *err);
pst_code pst_sim_json_bool(yyjson_val *obj, const char *name, bool *out, struct pst_err *err);

/* s as a JSON string with its quotes. */
void pst_sim_json_quote(struct pst_buf *out, pst_str s);

#endif
