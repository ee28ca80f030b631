/* codec/html.c: text inside HTML. */
#include "codec/html.h"

void pst_html_add(struct pst_buf *buf, pst_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '<':
            pst_buf_add_lit(buf, "&lt;");
            break;
        case '>':
            pst_buf_add_lit(buf, "&gt;");
            break;
        case '&':
            pst_buf_add_lit(buf, "&amp;");
            break;
        case '"':
            pst_buf_add_lit(buf, "&quot;");
            break;
        default:
            pst_buf_add_char(buf, text.ptr[i]);
        }
    }
}
