/* codec/json.h: strict JSON in, valid JSON out.
 *
 * Reading is yyjson with the limits it lacks (bytes, depth, duplicate names) and numbers kept
 * as the text the sender wrote, so that no digit is lost. Values are read with the yyjson_*
 * functions where they suffice (iteration, array access) and with the getters below where a
 * number or an error message is involved: a number is a RAW value here, never yyjson_is_num.
 *
 * Writing appends to a struct pst_buf. What the writer lets through is valid UTF-8 JSON
 * whatever it is given; using it in the wrong order (a value without its name, an end without
 * its begin) marks the buffer with PST_E_INTERNAL.
 *
 * Thread-safety: a document may be read by many threads; a writer belongs to one.
 */
#ifndef PST_CODEC_JSON_H
#define PST_CODEC_JSON_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/num.h"
#include "base/time.h"

/* ---- reading ---- */

struct pst_json_limits {
    size_t max_bytes; /* of the text; 0 = PST_JSON_MAX_BYTES */
    unsigned max_depth; /* arrays and objects inside each other; 0 = PST_JSON_MAX_DEPTH */
    bool allow_bom; /* skip one UTF-8 byte order mark at the beginning */
    bool allow_duplicates; /* else a name twice in one object is an error */
};

enum { PST_JSON_MAX_BYTES = 16 << 20, PST_JSON_MAX_DEPTH = 64 };

/* RFC 8259 and nothing more: one value, no trailing bytes, valid UTF-8, no unpaired surrogate.
 * The document lies in the arena (about three times the text's size) and does not point into
 * text. Errors: INVALID with the byte offset in the message, LIMIT, NO_MEMORY. */
pst_code pst_json_read(pst_str text, const struct pst_json_limits *limits, struct pst_arena *arena,
                       yyjson_doc **out, struct pst_err *err);

/* Member of an object; NULL when v is no object (NULL included) or has no such member. */
yyjson_val *pst_json_get(yyjson_val *v, pst_str name);

/* Whether v is of that type, and its value. NULL is of no type. Text stays in the document.
 * The i64 form takes a whole number without fraction or exponent. */
bool pst_json_str(yyjson_val *v, pst_str *out);
bool pst_json_number(yyjson_val *v, pst_str *out); /* the digits as written */
bool pst_json_i64(yyjson_val *v, int64_t *out);
bool pst_json_bool(yyjson_val *v, bool *out);

/* "string", "number", "boolean", "null", "array", "object", or "nothing" for NULL. */
const char *pst_json_type(yyjson_val *v);

/* Members by name, for requests and configuration. Absent and null leave *out as it is; a value
 * of another type is INVALID, naming the member in err->param. `obj` must be an object.
 * need_str also refuses absent, null and "". */
bool pst_json_has(yyjson_val *obj, const char *name); /* neither absent nor null */
pst_code pst_json_opt_str(yyjson_val *obj, const char *name, pst_str *out, struct pst_err *err);
pst_code pst_json_need_str(yyjson_val *obj, const char *name, pst_str *out, struct pst_err *err);
pst_code pst_json_opt_bool(yyjson_val *obj, const char *name, bool *out, struct pst_err *err);
pst_code pst_json_opt_i64(yyjson_val *obj, const char *name, int64_t min, int64_t max, int64_t *out,
                          struct pst_err *err);
pst_code pst_json_opt_array(yyjson_val *obj, const char *name, yyjson_val **out,
                            struct pst_err *err);
pst_code pst_json_opt_object(yyjson_val *obj, const char *name, yyjson_val **out,
                             struct pst_err *err);

/* INVALID, naming it, when v is no object or has a member that is not among `names` (NULL ends
 * the list). what: the thing for the message ("connection"). */
pst_code pst_json_only(yyjson_val *v, const char *what, const char *const *names,
                       struct pst_err *err);

/* ---- writing ---- */

/* The string's inside, escaped, without the quotes; bytes that are no UTF-8 become U+FFFD. */
void pst_json_escape(struct pst_buf *buf, pst_str s);
/* The whole string, quotes included. Text that needs no escape is one copy. */
void pst_json_quote(struct pst_buf *buf, pst_str s);

enum { PST_JSON_WRITE_DEPTH = 64 };

struct pst_json_writer {
    struct pst_buf *buf; /* borrowed */
    uint64_t objects; /* bit d: the container at depth d is an object */
    unsigned depth; /* open containers */
    bool has_items; /* something stands in the innermost container */
    bool has_name; /* a member's name waits for its value */
    bool done; /* the one top-level value is complete */
};

/* Writes one JSON value behind what buf already holds. */
void pst_json_init(struct pst_json_writer *w, struct pst_buf *buf);

/* PST_OK when exactly one complete value was written and the buffer did not fail.
 * Errors: LIMIT, NO_MEMORY, INTERNAL. */
pst_code pst_json_finish(struct pst_json_writer *w, struct pst_err *err);

void pst_json_begin_object(struct pst_json_writer *w);
void pst_json_end_object(struct pst_json_writer *w);
void pst_json_begin_array(struct pst_json_writer *w);
void pst_json_end_array(struct pst_json_writer *w);

void pst_json_put_name(struct pst_json_writer *w, pst_str name); /* then exactly one value */
void pst_json_put_str(struct pst_json_writer *w, pst_str s);
void pst_json_put_i64(struct pst_json_writer *w, int64_t v);
void pst_json_put_bool(struct pst_json_writer *w, bool v);
void pst_json_put_null(struct pst_json_writer *w);
/* One complete JSON value as text. The caller vouches for it (stored JSON, checked input). */
void pst_json_put_raw(struct pst_json_writer *w, pst_str json);
void pst_json_put_wall(struct pst_json_writer *w, pst_wall t); /* RFC 3339; none is null */
/* A value read before, with every digit of its numbers. NULL is null. */
void pst_json_put_val(struct pst_json_writer *w, yyjson_val *v);

/* Name and value of a member at once. A NULL z is null, and so is the text "". */
void pst_json_add_str(struct pst_json_writer *w, const char *name, pst_str s);
void pst_json_add_text(struct pst_json_writer *w, const char *name, pst_str text);
void pst_json_add_z(struct pst_json_writer *w, const char *name, const char *z);
void pst_json_add_i64(struct pst_json_writer *w, const char *name, int64_t v);
void pst_json_add_bool(struct pst_json_writer *w, const char *name, bool v);
void pst_json_add_null(struct pst_json_writer *w, const char *name);
void pst_json_add_raw(struct pst_json_writer *w, const char *name, pst_str json);
void pst_json_add_wall(struct pst_json_writer *w, const char *name, pst_wall t);
void pst_json_add_val(struct pst_json_writer *w, const char *name, yyjson_val *v);
/* The member "error": its code and message, or null where the code is "". */
void pst_json_add_error(struct pst_json_writer *w, pst_str code, pst_str message);
void pst_json_add_object(struct pst_json_writer *w, const char *name); /* begins it */
void pst_json_add_array(struct pst_json_writer *w, const char *name); /* begins it */

#endif
