/* server/input.c: reading a request: bytes from the socket, the head, the body. */
#include <errno.h>

#include "server/internal.h"

enum { DIRECT_READ = 16 << 10 };

/* ---- reading ---- */

enum pst_fill pst_server_read_some(struct pst_conn *c, char *to, size_t room, size_t *got)
{
    *got = 0;
    if (!c->readable)
        return PST_FILL_NOTHING;
    ssize_t n = recv(c->fd, to, room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        c->readable = errno == EINTR;
        return PST_FILL_NOTHING;
    }
    if (n <= 0)
        return PST_FILL_CLOSED;
    *got = (size_t)n;
    if (*got < room && !c->hung_up)
        c->readable = false;
    atomic_fetch_add_explicit(&c->loop->stats.bytes_in, (uint64_t)n, memory_order_relaxed);
    return PST_FILL_SOME;
}

/* Read to the end of the block. The caller has made sure that there is room. */
static enum pst_fill fill_block(struct pst_conn *c)
{
    if (!c->block)
        c->block = pst_server_block_take(c->loop);
    if (!c->block)
        return PST_FILL_CLOSED;
    size_t got = 0;
    enum pst_fill fill =
        pst_server_read_some(c, c->block + c->len, c->loop->server->block_size - c->len, &got);
    c->len += got;
    c->body_seen += got;
    return fill;
}

void pst_server_conn_release_block(struct pst_conn *c)
{
    if (c->len > 0)
        return;
    pst_server_block_give(c->loop, c->block);
    c->block = NULL;
}

enum pst_step pst_server_after_fill(struct pst_conn *c, enum pst_fill fill)
{
    if (fill == PST_FILL_SOME)
        return PST_STEP_AGAIN;
    if (fill == PST_FILL_CLOSED)
        pst_server_conn_kill(c);
    return PST_STEP_WAIT;
}

enum pst_step pst_server_step_idle(struct pst_conn *c)
{
    if (c->len == 0) {
        enum pst_fill fill = fill_block(c);
        if (c->len == 0) {
            pst_server_conn_release_block(c);
            return pst_server_after_fill(c, fill);
        }
    }
    struct pst_err err;
    pst_code code = pst_server_exchange_take(c->loop, &c->ex, &err);
    if (code != PST_OK)
        return pst_server_conn_refuse(c, &err);
    c->ex->conn = c;
    c->ex->req.peer = c->peer;
    c->scan = (struct pst_head_scan){0};
    c->head_end = c->at = 0;
    pst_server_conn_leave_idle(c);
    c->asked = true;
    c->state = PST_CONN_HEAD;
    pst_server_conn_deadline(c, pst_server_limits_of(c)->head_ms);
    return PST_STEP_AGAIN;
}

/* ---- the head ---- */

static pst_code check_head_limits(const struct pst_conn *c, struct pst_err *err)
{
    const struct pst_server_limits *limits = pst_server_limits_of(c);
    enum { METHOD_AND_VERSION = 32 };
    size_t line = c->scan.line_end ? c->scan.line_end : c->scan.at;
    if (line > limits->target_max + METHOD_AND_VERSION)
        return PST_FAIL(err, PST_E_URI_TOO_LONG, "the target has more than %zu bytes",
                        limits->target_max);
    if (c->scan.at > limits->head_max)
        return PST_FAIL(err, PST_E_HEADERS_TOO_LARGE, "the head has more than %zu bytes",
                        limits->head_max);
    if (c->scan.fields > limits->headers_max)
        return PST_FAIL(err, PST_E_HEADERS_TOO_LARGE, "the request has more than %zu headers",
                        limits->headers_max);
    return PST_OK;
}

static void route_request(struct pst_exchange *ex)
{
    const struct pst_server *server = ex->loop->server;
    struct pst_request *req = &ex->req;
    ex->route_code =
        pst_router_match(server->router, req->method, req->path, req->arena, &req->route,
                         req->params, &req->param_count, &ex->allow, &ex->route_err);
    ex->body_max =
        req->route && req->route->body_max ? req->route->body_max : server->limits.body_max;
    ex->body.max = ex->body_max;
}

/* "100 Continue" is 25 bytes into a socket that has nothing else to send. */
static enum pst_step invite_body(struct pst_conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (send(c->fd, text, sizeof(text) - 1, MSG_NOSIGNAL) == (ssize_t)(sizeof(text) - 1))
        return PST_STEP_AGAIN;
    pst_server_conn_kill(c);
    return PST_STEP_WAIT;
}

static enum pst_step begin_body(struct pst_conn *c)
{
    struct pst_exchange *ex = c->ex;
    struct pst_err err;
    if (ex->body_expected == 0)
        return pst_server_conn_dispatch(c);
    if (!ex->chunked && ex->body_expected > ex->body_max) {
        (void)PST_FAIL(&err, PST_E_LIMIT, "the body has more than %zu bytes", ex->body_max);
        return pst_server_conn_refuse(c, &err);
    }
    c->state = PST_CONN_BODY;
    c->in_trailer = false;
    c->body_seen = c->len - c->at;
    pst_server_conn_deadline(c, pst_server_limits_of(c)->body_grace_ms <
                                        pst_server_limits_of(c)->body_ms
                                    ? pst_server_limits_of(c)->body_grace_ms
                                    : pst_server_limits_of(c)->body_ms);
    if (!ex->expects_continue || c->len > c->at)
        return PST_STEP_AGAIN;
    return ex->route_code == PST_OK ? invite_body(c) : pst_server_conn_refuse(c, &ex->route_err);
}

enum pst_step pst_server_step_head(struct pst_conn *c)
{
    struct pst_exchange *ex = c->ex;
    struct pst_err err;
    enum pst_scan_result scan = pst_server_scan_head(&c->scan, c->block, c->len);
    pst_code code = check_head_limits(c, &err);
    if (code == PST_OK && scan == PST_SCAN_BAD)
        code = PST_FAIL(&err, PST_E_INVALID, "%s", c->scan.why);
    if (code != PST_OK)
        return pst_server_conn_refuse(c, &err);
    if (scan == PST_SCAN_MORE)
        return pst_server_after_fill(c, fill_block(c));

    c->head_end = c->at = c->scan.at;
    ex->headers_max = c->scan.fields;
    if (pst_server_parse_head(ex, c->block, c->head_end, pst_server_limits_of(c), &err) != PST_OK)
        return pst_server_conn_refuse(c, &err);
    ex->head_ok = true;
    route_request(ex);
    return begin_body(c);
}

/* ---- the body ---- */

/* A body of known length: first from the block, then straight from the socket. Memory grows
 * with what has come, not with what was announced. */
static enum pst_step read_plain_body(struct pst_conn *c)
{
    struct pst_exchange *ex = c->ex;
    size_t want = (size_t)ex->body_expected - ex->body.len;
    size_t here = c->len - c->at < want ? c->len - c->at : want;
    pst_buf_add(&ex->body, c->block + c->at, here);
    c->at += here;
    want -= here;
    if (want == 0 && ex->body.fail == PST_OK)
        return pst_server_conn_dispatch(c);

    struct pst_err err;
    size_t step = ex->body.len > DIRECT_READ ? ex->body.len : DIRECT_READ;
    size_t room = want < step ? want : step;
    if (!pst_buf_reserve(&ex->body, room)) {
        if (pst_buf_check(&ex->body, &err) != PST_OK)
            return pst_server_conn_refuse(c, &err);
    }
    size_t got = 0;
    enum pst_fill fill = pst_server_read_some(c, ex->body.ptr + ex->body.len, room, &got);
    ex->body.len += got;
    c->body_seen += got;
    return pst_server_after_fill(c, fill);
}

static pst_code check_trailer_limits(const struct pst_conn *c, struct pst_err *err)
{
    if (c->scan.at > PST_TRAILER_MAX)
        return PST_FAIL(err, PST_E_HEADERS_TOO_LARGE, "the trailers have more than %d bytes",
                        PST_TRAILER_MAX);
    if (c->scan.fields > pst_server_limits_of(c)->headers_max)
        return PST_FAIL(err, PST_E_HEADERS_TOO_LARGE, "the request has more than %zu trailers",
                        pst_server_limits_of(c)->headers_max);
    return PST_OK;
}

/* Behind a head there is always room for the largest trailers, once they are moved up to it. */
static enum pst_step fill_trailer(struct pst_conn *c)
{
    if (c->len == c->loop->server->block_size) {
        memmove(c->block + c->head_end, c->block + c->at, c->len - c->at);
        c->len -= c->at - c->head_end;
        c->at = c->head_end;
    }
    return pst_server_after_fill(c, fill_block(c));
}

static enum pst_step read_trailer(struct pst_conn *c)
{
    struct pst_err err;
    enum pst_scan_result scan = pst_server_scan_head(&c->scan, c->block + c->at, c->len - c->at);
    pst_code code = check_trailer_limits(c, &err);
    if (code == PST_OK && scan == PST_SCAN_BAD)
        code = PST_FAIL(&err, PST_E_INVALID, "%s, behind the last chunk", c->scan.why);
    if (code != PST_OK)
        return pst_server_conn_refuse(c, &err);
    if (scan == PST_SCAN_MORE)
        return fill_trailer(c);
    c->at += c->scan.at;
    return pst_server_conn_dispatch(c);
}

static enum pst_step read_chunked_body(struct pst_conn *c)
{
    struct pst_exchange *ex = c->ex;
    struct pst_err err;
    if (c->in_trailer)
        return read_trailer(c);
    if (c->len == c->at) {
        c->at = c->len = c->head_end; /* all decoded: the space behind the head is free again */
        return pst_server_after_fill(c, fill_block(c));
    }
    size_t used = 0;
    bool done = false;
    pst_code code =
        pst_server_parse_chunks(ex, c->block + c->at, c->len - c->at, &used, &done, &err);
    c->at += used;
    if (code != PST_OK)
        return pst_server_conn_refuse(c, &err);
    if (done) {
        c->in_trailer = true;
        pst_server_scan_trailer_init(&c->scan);
    }
    return PST_STEP_AGAIN;
}

enum pst_step pst_server_step_body(struct pst_conn *c)
{
    struct pst_err err;
    if (!pst_server_exchange_fits(c->ex)) {
        (void)pst_server_exchange_refuse(&err);
        return pst_server_conn_refuse(c, &err);
    }
    return c->ex->chunked ? read_chunked_body(c) : read_plain_body(c);
}
