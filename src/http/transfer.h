/* http/transfer.h: the state of one call while bytes move, and curl's callbacks on it. Private to
 * this module. */
#ifndef PST_HTTP_TRANSFER_H
#define PST_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "base/buf.h"
#include "http/http.h"

struct pst_url;

struct pst_transfer {
    const struct pst_http_options *options;
    struct pst_http_limits limits; /* none is 0 */
    bool is_local; /* a unix socket */
    const atomic_bool *cancel;
    struct pst_arena *arena;
    struct pst_buf *spool; /* body when its length is not known before */
    char *direct; /* else its place in the arena */
    struct pst_http_response *response;

    size_t received; /* decoded bytes */
    int64_t announced; /* Content-Length, -1 = none */
    int lengths; /* Content-Length fields of this header block */
    bool is_coded; /* has a Content-Encoding */
    bool has_answer; /* the first byte was seen */

    pst_mono begin;
    pst_mono window; /* start of the slowness window */
    curl_off_t window_bytes; /* received before it */

    /* Why the callbacks stopped the transfer; PST_OK = they did not. */
    pst_code stop;
    enum pst_http_fault stop_fault;
    int stop_errno;
    const char *stop_text; /* static */
    struct pst_address refused;
};

curl_socket_t pst_transfer_open_socket(void *self, curlsocktype purpose,
                                       struct curl_sockaddr *address);
size_t pst_transfer_header(char *bytes, size_t size, size_t count, void *self);
size_t pst_transfer_write(char *bytes, size_t size, size_t count, void *self);
int pst_transfer_progress(void *self, curl_off_t to_get, curl_off_t got, curl_off_t to_send,
                          curl_off_t sent);

/* The failure as a code, with a message that names the host. rc: curl's result. */
pst_code pst_transfer_fail(struct pst_transfer *t, CURLcode rc, const struct pst_url *url,
                           const char *message, struct pst_err *err);

#endif
