/* http/url.h: the parts of an absolute URL. Private to this module. */
#ifndef PST_HTTP_URL_H
#define PST_HTTP_URL_H

#include "http/http.h"

struct pst_url {
    bool is_tls;
    pst_str host; /* an IPv6 address with its brackets */
    uint16_t port;
    pst_str target; /* path, query and fragment as written; may be "" */
};

/* Slices of url. Errors: INVALID. */
pst_code pst_url_split(struct pst_url *out, pst_str url, struct pst_err *err);

#endif
