/* codec/html.h: text inside HTML.
 *
 * Thread-safety: pure.
 */
#ifndef PST_CODEC_HTML_H
#define PST_CODEC_HTML_H

#include "base/buf.h"

/* Text as it stands between tags or in a double-quoted attribute: < > & " as references. */
void pst_html_add(struct pst_buf *buf, pst_str text);

#endif
