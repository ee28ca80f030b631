/* gate/echo.h: whether a text of the system's says again what it was sent in confidence. Private to
 * this module. */
#ifndef PST_GATE_ECHO_H
#define PST_GATE_ECHO_H

#include "http/http.h"

/* Whether the text has a part of the request's password in it (six characters in a row, or all of
 * a shorter one), as it is, percent-encoded, in hexadecimal digits or in base 64, as in the
 * Authorization header. When that cannot be told for lack of memory: true. */
bool pst_gate_echoes(const struct pst_http_request *request, pst_str text);

#endif
