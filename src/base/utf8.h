/* base/utf8.h: UTF-8 as RFC 3629 defines it (no overlong forms, no surrogates, up to
 * U+10FFFF). Thread-safety: pure. */
#ifndef PST_BASE_UTF8_H
#define PST_BASE_UTF8_H

#include "base/str.h"

/* Whether s is valid; *bad_at (may be NULL) is the offset of the first wrong byte. */
bool pst_utf8_valid(pst_str s, size_t *bad_at);

/* The longest prefix of at most max bytes that ends at a character's border. */
pst_str pst_utf8_cut(pst_str s, size_t max);

#endif
