/* http/transfer.h: the state of one call while bytes move, and curl's callbacks on it. Private to
 * this module. */
#ifndef PST_HTTP_TRANSFER_H
#define PST_HTTP_TRANSFER_H

#include "base/buf.h"
#include "http/handle.h"

struct pst_transfer {
    struct pst_guard guard; /* stop: why the callbacks ended the transfer */
    struct pst_http_limits limits; /* none is 0 */
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
};

size_t pst_transfer_header(char *bytes, size_t size, size_t count, void *self);
size_t pst_transfer_write(char *bytes, size_t size, size_t count, void *self);
int pst_transfer_progress(void *self, curl_off_t to_get, curl_off_t got, curl_off_t to_send,
                          curl_off_t sent);

#endif
