/* codec/base64.h: RFC 4648 base64. Thread-safety: pure. Not constant-time in the data; secrets
 * are compared by crypto, never here. */
#ifndef PST_CODEC_BASE64_H
#define PST_CODEC_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

enum pst_base64 {
    PST_BASE64, /* "+/", padded with '=' */
    PST_BASE64_URL, /* "-_", no padding */
};

void pst_base64_encode(struct pst_buf *buf, enum pst_base64 kind, pst_str bytes);

/* Strict: no blanks, padding exactly as the kind has it, unused bits zero. Errors: INVALID,
 * LIMIT, NO_MEMORY. */
pst_code pst_base64_decode(struct pst_arena *arena, pst_str *out, enum pst_base64 kind,
                           pst_str text, struct pst_err *err);

#endif
