/* gate/page.h: what kind of thing an answer's body is. Private to this module. */
#ifndef PST_GATE_PAGE_H
#define PST_GATE_PAGE_H

#include "base/str.h"

enum pst_body_shape {
    PST_BODY_EMPTY, /* nothing but blanks */
    PST_BODY_JSON, /* begins with { or [ */
    PST_BODY_XML,
    PST_BODY_XML_ERROR, /* an XML document that is an error message: SOAP fault, IBResponse */
    PST_BODY_HTML,
    PST_BODY_OTHER,
};

/* By its first bytes, after a byte order mark and blanks; the content type is not believed. */
enum pst_body_shape pst_body_shape(pst_str body);

/* Text between an element's tags, markup and CDATA marks removed, blanks joined, at most size - 1
 * bytes; "" when there is none. Names compare without case. */
void pst_page_text(char *out, size_t size, pst_str body, const char *element);

/* Whether `text` stands anywhere in the first 64 KiB. */
bool pst_page_has(pst_str body, pst_str text);

#endif
