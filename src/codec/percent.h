/* codec/percent.h: percent-encoding for URLs, and the parts of a source_id.
 *
 * A source_id is the key parts joined by '|', with '%' and '|' inside a part written as "%25"
 * and "%7C"; every other byte stands for itself.
 *
 * Thread-safety: pure.
 */
#ifndef PST_CODEC_PERCENT_H
#define PST_CODEC_PERCENT_H

#include "base/arena.h"
#include "base/buf.h"

/* Everything but RFC 3986's unreserved characters (letters, digits, "-._~") as %XX. */
void pst_percent_encode(struct pst_buf *buf, pst_str s);

/* "%XX" to bytes; form: '+' is a blank (query strings). Without anything to decode, *out is s
 * itself, else it lies in the arena. Errors: INVALID (a '%' without two hexadecimal digits, a
 * decoded NUL), LIMIT, NO_MEMORY. */
pst_code pst_percent_decode(struct pst_arena *arena, pst_str *out, pst_str s, bool form,
                            struct pst_err *err);

/* Append one part to a source_id under construction: a '|' first unless is_first. */
void pst_source_id_add(struct pst_buf *buf, pst_str part, bool is_first);

/* Split a source_id into its parts. Errors: INVALID (not of that form, or more than max parts),
 * LIMIT, NO_MEMORY. parts[] point into id or the arena. */
pst_code pst_source_id_split(struct pst_arena *arena, pst_str id, pst_str *parts, size_t max,
                             size_t *count, struct pst_err *err);

#endif
