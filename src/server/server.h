/* server/server.h: a strict HTTP/1.1 server: llhttp on epoll, absolute deadlines, hard limits.
 *
 * Model. A server has listeners and a fixed number of loops. It starts no threads: the caller
 * runs pst_server_run_loop(server, i) on a thread of its own for every i. Each accepted
 * connection belongs to one loop. A request is parsed whole (head and body), routed, and given
 * to the route's handler on the loop's thread. The handler answers at once, or suspends and is
 * continued later on the same loop. Requests of one connection are answered in order, one at a
 * time; what a client sends ahead waits in the socket.
 *
 * Strictness (RFC 9112, everything odd refused): only CR LF ends a line; no folded headers;
 * header names are tokens; no NUL or control bytes; exactly one Host (HTTP/1.0: at most one);
 * one decimal Content-Length or exactly "chunked", never both; only HTTP/1.1 and HTTP/1.0.
 * Each violation is answered with 400 (or 413, 414, 417, 431, 501, 505), and the connection is
 * closed, since nothing behind a malformed message can be trusted.
 *
 * Ownership. Everything a handler gets (struct pst_request, its slices, its arena) lives until
 * the answer is finished. Errors of a handler, of the router and of the parser all go through
 * one callback, which writes the error's body.
 *
 * Thread-safety: pst_server_resume, pst_server_stop and pst_server_stats from any thread; all
 * else as said at each function. A handler must never block.
 */
#ifndef PST_SERVER_SERVER_H
#define PST_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/id.h"
#include "base/str.h"
#include "base/time.h"

struct pst_server;
struct pst_router;
struct pst_clock; /* os/clock.h */

/* ---- requests ---- */

enum pst_method {
    PST_METHOD_GET,
    PST_METHOD_HEAD, /* answered by GET routes; the server drops the body */
    PST_METHOD_POST,
    PST_METHOD_PUT,
    PST_METHOD_PATCH,
    PST_METHOD_DELETE,
    PST_METHOD_OPTIONS,
    PST_METHOD_COUNT
};

const char *pst_method_name(enum pst_method method); /* "GET" */

struct pst_header {
    pst_str name; /* as sent; compare with pst_str_eq_nocase */
    pst_str value; /* without blanks at its ends */
};

enum { PST_PEER_TEXT = 56 };

struct pst_peer {
    bool local; /* came through a unix socket: uid is set, else address */
    uint32_t uid; /* user of the process at the other end */
    char address[PST_PEER_TEXT]; /* "192.0.2.7" or "2001:db8::1", without the port */
};

enum { PST_ROUTE_PARAMS_MAX = 6 };

/* One request. Slices point into the connection's buffers or the arena. */
struct pst_request {
    struct pst_id id; /* req_..., also sent back as X-Request-Id */
    enum pst_method method;
    pst_str target; /* raw, path and query, as sent */
    pst_str path; /* raw path (percent-encoded), begins with '/' */
    pst_str query; /* raw, without the '?'; empty when there was none */
    const struct pst_header *headers;
    size_t header_count;
    pst_str body; /* decoded from chunks; empty when there was none */
    const struct pst_route *route; /* NULL while no route is known */
    pst_str params[PST_ROUTE_PARAMS_MAX]; /* by position in the pattern, decoded once */
    size_t param_count;
    struct pst_peer peer;
    struct pst_arena *arena; /* for everything made while answering; limit `arena_max` */
    pst_mono started; /* first byte of the request */
    pst_mono now; /* when the handler or continuation was called */
    pst_wall wall; /* the same moment, UTC */
    unsigned loop; /* index of the loop that runs it */
    struct pst_server *server;
    void *user; /* the handler's own; NULL at first, also seen by on_error and on_finished */
};

/* The value of the first header called `name` ({NULL, 0} when absent). count (may be NULL)
 * gets how many there are. */
pst_str pst_request_header(const struct pst_request *req, const char *name, size_t *count);

/* The decoded value of `{name}` in the route's pattern, or {NULL, 0}. */
pst_str pst_request_param(const struct pst_request *req, const char *name);

/* ---- query strings ---- */

struct pst_query_item {
    pst_str name; /* decoded */
    pst_str value; /* decoded; empty for "name" and "name=" */
};

/* Split raw at '&' and decode %XX and '+' once, strictly: a broken escape, a control byte, a
 * NUL or invalid UTF-8 is INVALID naming the parameter. Empty items ("a=1&&b=2") are skipped,
 * duplicates kept in order. At most 100 items (LIMIT). Errors: INVALID, LIMIT, NO_MEMORY. */
pst_code pst_query_parse(struct pst_arena *a, pst_str raw, struct pst_query_item **items,
                         size_t *count, struct pst_err *err);

/* Decode %XX of one path segment ('+' stays '+'), with the same refusals. */
pst_code pst_path_decode(struct pst_arena *a, pst_str raw, pst_str *out, struct pst_err *err);

/* ---- answers ---- */

/* Gives the next part of a streamed body: append to *out (64 KiB is a good size), set *end with
 * the last part. Runs on the loop's thread whenever the client has taken what was written; must
 * not block. A failure cuts the connection, so that the client sees the body is not whole. */
typedef pst_code pst_pull_fn(void *self, struct pst_buf *out, bool *end, struct pst_err *err);

/* For simulators: how to break an answer on purpose. */
enum pst_cut {
    PST_CUT_NONE,
    PST_CUT_CLOSE, /* close after cut_after bytes of the body */
    PST_CUT_RESET, /* reset (RST) after cut_after bytes of the body */
    PST_CUT_STALL, /* send nothing more; until the client goes away or write_ms has passed */
};

/* Filled by the handler. Zero status means 200. */
struct pst_response {
    int status;
    struct pst_buf body; /* sent with Content-Length; maximum `response_max` */
    pst_pull_fn *pull; /* set: the body is streamed in chunks, `body` is not used */
    void *pull_self;
    void (*pull_done)(void *self); /* called once when the stream ends or is given up; or NULL */
    bool close; /* close the connection after this answer */
    bool bare; /* without the server's common_headers: the handler has set what it wants */
    enum pst_cut cut;
    size_t cut_after;
    bool cut_head; /* with cut_after 0: not even the head is sent */
    struct pst_buf head; /* private: use pst_response_header */
};

/* Add a header. Do not add Content-Length, Transfer-Encoding, Connection, Date, X-Request-Id:
 * the server does. A value with CR, LF or NUL is left out (and the answer becomes a 500 when
 * the handler returns OK), since it would split the answer. */
void pst_response_header(struct pst_response *res, const char *name, pst_str value);

/* Forget status, headers, body and stream set so far. */
void pst_response_reset(struct pst_response *res);

/* ---- handlers ---- */

/* Answer req in *res, or suspend. A failure goes to the server's on_error, which writes the
 * error's answer (what was in *res is dropped before). */
typedef pst_code pst_handler_fn(void *self, struct pst_request *req, struct pst_response *res,
                                struct pst_err *err);

struct pst_route {
    enum pst_method method;
    const char *pattern; /* "/v1/connections/{connection_id}"; a last "{rest*}" takes the rest */
    pst_handler_fn *handler;
    void *self;
    size_t body_max; /* bytes of the request's body; 0 = the server's default */
};

/* Literal segments win over `{param}`. routes and the patterns must outlive the router.
 * Errors: NO_MEMORY, INVALID (two routes with the same method and shape, more than
 * PST_ROUTE_PARAMS_MAX params, a malformed pattern). */
pst_code pst_router_new(struct pst_router **out, const struct pst_route *routes, size_t count,
                        struct pst_err *err);
void pst_router_free(struct pst_router *router);

/* Decode and match a raw path. Each segment is decoded once, after splitting at '/', so a
 * param may hold a '/'. On success *route and params are set. Errors: INVALID (broken escape,
 * %00, control bytes, "." or ".." segments), NOT_FOUND, METHOD (*allow, in the arena, lists
 * what would be right: "GET, HEAD, POST"), NO_MEMORY, LIMIT. Any thread. */
pst_code pst_router_match(const struct pst_router *router, enum pst_method method, pst_str path,
                          struct pst_arena *a, const struct pst_route **route,
                          pst_str params[PST_ROUTE_PARAMS_MAX], size_t *param_count, pst_str *allow,
                          struct pst_err *err);

PST_DEFINE_AUTO(router, struct pst_router, pst_router_free);

/* ---- suspending ---- */

/* Names one suspension. A plain value, may be copied to any thread, and stays harmless when
 * what it names is long gone. */
struct pst_ticket {
    uint32_t loop;
    uint32_t slot;
    uint64_t serial; /* 0 names nothing */
};

enum pst_wake {
    PST_WAKE_RESUMED, /* pst_server_resume was called */
    PST_WAKE_DEADLINE, /* the deadline passed first */
    PST_WAKE_STOPPING, /* the server stops: answer now with what there is */
    PST_WAKE_GONE, /* the client went away: release what you hold, the answer is not sent */
};

/* Runs on the loop's thread. Like a handler it answers, fails, or suspends again (not when
 * GONE; there res is valid but discarded). */
typedef pst_code pst_resumed_fn(void *data, struct pst_request *req, struct pst_response *res,
                                enum pst_wake why, struct pst_err *err);

struct pst_suspend {
    pst_resumed_fn *resumed;
    void *data;
    pst_mono deadline; /* PST_MONO_NEVER: none */
    /* false (a wait): nobody else touches the request; RESUMED, DEADLINE, STOPPING or GONE,
     * whichever comes first, ends it.
     * true (held): another thread works on it. From suspend to pst_server_resume that thread
     * alone may use req, its arena and res; `resumed` is called exactly once, and only after
     * pst_server_resume, with RESUMED, or with GONE when the client is gone by then. When the
     * deadline passes the server itself answers 503 and closes; `resumed` then gets GONE.
     * Whoever holds a ticket must therefore resume it, always. */
    bool held;
};

/* Call from a handler or continuation on the loop's thread, then return PST_OK. */
struct pst_ticket pst_server_suspend(struct pst_request *req, const struct pst_suspend *how);

/* Take a suspension back, on the loop's thread, within the same handler or continuation: it
 * answers after all. Not for a held request that another thread knows of already. */
void pst_server_unsuspend(struct pst_request *req);

/* Let the suspended request continue. Any thread; never blocks; a stale ticket is ignored. A
 * wake-up that comes before the handler has returned is not lost. */
void pst_server_resume(struct pst_server *server, struct pst_ticket ticket);

/* ---- the server ---- */

struct pst_server_limits {
    size_t head_max; /* request line and headers, bytes (431); default 16 KiB */
    size_t target_max; /* bytes (414); default 8 KiB */
    size_t headers_max; /* count (431); default 100 */
    size_t body_max; /* bytes (413), where the route says nothing; default 1 MiB */
    size_t response_max; /* bytes of an unstreamed body; default 32 MiB */
    size_t arena_max; /* bytes of a request's arena; default 16 MiB */
    size_t buffered_max; /* bytes of all bodies above 16 KiB, of requests and unstreamed answers,
                            that are in hand (503); each loop has an equal share; default 256 MiB */
    size_t
        connections_max; /* over all loops; beyond it the one that was idle longest is closed, and
                            if none is, the new one gets 503; unix: 16 more; default 10,000 */
    size_t per_address_max; /* per peer address (429 and close); default 256; unix: none */
    size_t pipeline_max; /* requests of one connection answered in one turn; what is sent ahead of
                            that stays in the socket (back pressure); default 8 */
    int64_t head_ms; /* first to last byte of a head; default 10,000 */
    int64_t body_ms; /* end of head to end of body; default 60,000 */
    int64_t body_grace_ms; /* from then on body_rate is asked; default 10,000 */
    size_t body_rate; /* bytes per second, average; default 1,024 */
    int64_t idle_ms; /* between requests; default 60,000 */
    int64_t settle_ms; /* a new connection that has not asked yet makes no room for others before
                          that; default 1,000 */
    int64_t write_ms; /* in each such span the client takes at least body_rate bytes per second of
                         the answer, or all of the rest; else it is cut off; default 30,000 */
};

/* How one request ended, for logs and metrics. */
struct pst_server_outcome {
    int status; /* of the answer, also when it was not sent whole */
    uint64_t bytes; /* of the body, as sent */
    int64_t duration_us; /* first byte of the request to last byte of the answer */
    bool gone; /* the client went away before the end */
};

struct pst_server_options {
    /* "127.0.0.1:7400", "[::1]:7400" (port 0: any free one), "unix:/path" (made with mode 0600,
     * a dead socket file there is replaced, a live one is CONFLICT). */
    const char *const *listen;
    size_t listen_count;
    unsigned loops; /* 1..64 */
    const struct pst_router *router; /* must outlive the server */
    struct pst_server_limits limits; /* 0 = default */
    void *self; /* for the callbacks below */

    /* Write the answer for err: status, headers, body. req is NULL when the head could not be
     * parsed. res holds nothing (Allow is already there for METHOD). When it is NULL, or fails,
     * or leaves status 0, a bare status line with an empty body is sent. Loop's thread. */
    void (*on_error)(void *self, const struct pst_request *req, const struct pst_id *request_id,
                     const struct pst_err *err, struct pst_response *res);

    /* Once per request, after its end. May be NULL. req is NULL for what could not be parsed.
     * Loop's thread. */
    void (*on_finished)(void *self, const struct pst_request *req, const struct pst_id *request_id,
                        const struct pst_server_outcome *outcome);

    /* Header lines for every answer, each ended by CR LF; or NULL. Must outlive the server. */
    const char *common_headers;

    /* For tests: what the time is. NULL: the system's clocks. Must outlive the server. Who moves it
     * has to wake the loops, since they sleep in the system's time. */
    const struct pst_clock *clock;
};

/* Bind and listen. Errors: INVALID (an option, an address), IO, CONFLICT (address in use),
 * NO_MEMORY. Nothing of opt is kept but what is said to outlive. */
pst_code pst_server_new(struct pst_server **out, const struct pst_server_options *opt,
                        struct pst_err *err);

/* The port of the i-th listener (0 for a unix socket). */
int pst_server_port(const struct pst_server *server, size_t index);

/* Serve on the calling thread until the server has stopped. Each index once, each on its own
 * thread. Errors: IO. */
pst_code pst_server_run_loop(struct pst_server *server, unsigned index, struct pst_err *err);

/* Accept no more, wake the waiting, finish what is in hand, close; what is not finished after
 * grace_ms is cut. Returns at once: the loops' threads return when done, which needs every held
 * request resumed. May be called again with a shorter grace. */
void pst_server_stop(struct pst_server *server, int64_t grace_ms);

struct pst_server_stats {
    uint64_t accepted; /* connections ever */
    uint64_t connections; /* open now */
    uint64_t requests; /* parsed whole, ever */
    uint64_t rejected; /* refused by parser, limits or deadlines */
    uint64_t suspended; /* suspended now */
    uint64_t bytes_in;
    uint64_t bytes_out;
};
void pst_server_stats(const struct pst_server *server, struct pst_server_stats *out);

/* After every loop has returned (or none was started). NULL is a no-op. */
void pst_server_free(struct pst_server *server);

PST_DEFINE_AUTO(server, struct pst_server, pst_server_free);

#endif
