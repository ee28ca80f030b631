/* http/handle.h: what every curl handle of ours has in common: the rules that never change, the
 * guard that decides about addresses, and what a failure is called. Private to this module. */
#ifndef PST_HTTP_HANDLE_H
#define PST_HTTP_HANDLE_H

#include <curl/curl.h>

#include "http/http.h"

/* Where a transfer may connect; and why a callback of ours ended it. */
struct pst_guard {
    bool (*allows)(void *self, const struct pst_address *address, const char **why);
    void *allows_self;
    bool is_local; /* a unix socket */
    bool is_proxied; /* the operator's proxy: addresses are not asked about */

    pst_code stop; /* PST_OK = it was not ended */
    enum pst_http_fault fault;
    int os_errno;
    const char *text; /* static */
    struct pst_address refused;
};

/* The first reason counts. */
void pst_guard_stop(struct pst_guard *g, pst_code code, enum pst_http_fault fault,
                    const char *text);

/* Set options until one is refused; `rc` is a CURLcode of the caller. */
#define PST_SET(easy, rc, option, value)                                                           \
    do {                                                                                           \
        if ((rc) == CURLE_OK)                                                                      \
            (rc) = curl_easy_setopt((easy), (option), (value));                                    \
    } while (0)

/* Schemes, redirects, .netrc, signals, proxy, TLS, user agent, open-socket callback. message has
 * CURL_ERROR_SIZE bytes and lives as long as the handle. */
CURLcode pst_handle_set_rules(CURL *easy, const struct pst_http_options *options,
                              struct pst_guard *guard, char *message);

/* Whether a name or value may stand in a header: no control bytes. */
bool pst_handle_is_header_text(pst_str s);

/* A transfer that failed, as a code, with a message that names the host. rc: curl's result; status:
 * the answer's so far, 0 = none. */
pst_code pst_handle_fail(const struct pst_guard *g, CURLcode rc, pst_str host, const char *message,
                         int status, enum pst_http_fault *fault, struct pst_err *err);

#endif
