/* codec/yaml.h: YAML files as JSON values.
 *
 * The plain part of YAML 1.2 (core schema): mappings, sequences, scalars. A quoted or block
 * scalar is a string; a plain one is null (also empty, ~), true, false, an integer, a decimal
 * number, else a string (so yes, no, on, 2026-11-24 and 1.2.3 are strings). Numbers keep their
 * digits; hexadecimal and octal become decimal. A mapping's keys are always text.
 *
 * Refused, with line and column: anchors, aliases, tags, a second document, keys that are no
 * scalar, a key twice in one mapping, a plain number with leading zeros (an id that lost its
 * quotes), .inf and .nan, and whatever passes the limits.
 *
 * Thread-safety: pure.
 */
#ifndef PST_CODEC_YAML_H
#define PST_CODEC_YAML_H

#include "codec/json.h"

enum { PST_YAML_MAX_BYTES = 4 << 20, PST_YAML_MAX_DEPTH = 48 };

/* Append the JSON text of the one document in `text` to out. An empty document is null.
 * Errors: INVALID ("line 3, column 5: ..."), LIMIT, NO_MEMORY. */
pst_code pst_yaml_to_json(pst_str text, struct pst_buf *out, struct pst_err *err);

/* The same, read as by pst_json_read(). */
pst_code pst_yaml_read(pst_str text, struct pst_arena *arena, yyjson_doc **out,
                       struct pst_err *err);

#endif
