/* server/internal.h: what the files of the server share. Not for other modules.
 *
 * Who owns what: a server owns its loops and listeners; a loop owns its connections, its pool of
 * blocks and exchanges and its timers; a connection owns at most one block (input) and one
 * exchange (the request in hand). An exchange whose client went away while another thread holds
 * it is an orphan: it takes the block along and lives until it is resumed.
 *
 * Thread-safety: everything in a loop belongs to the loop's thread, but for the inbox (under its
 * mutex) and the counters (atomic).
 */
#ifndef PST_SERVER_INTERNAL_H
#define PST_SERVER_INTERNAL_H

#include <llhttp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "os/clock.h"
#include "server/server.h"

/* ---- head.c: the grammar of header sections ---- */

enum pst_scan_result { PST_SCAN_MORE, PST_SCAN_DONE, PST_SCAN_BAD };

/* All zero begins a request's head; pst_server_scan_trailer_init begins a trailer section. */
struct pst_head_scan {
    unsigned state;
    size_t at; /* bytes taken so far; after DONE: length of the section */
    size_t fields; /* header lines begun */
    size_t line_end; /* length of the request line, 0 while it is not complete */
    const char *why; /* after BAD: static text for the error */
};

/* Bytes of a trailer section, its empty line included; each input block has room for a head and as
 * much behind it. */
enum { PST_TRAILER_MAX = 4096 };

void pst_server_scan_trailer_init(struct pst_head_scan *s);
/* Take bytes[s->at .. len). Every byte is looked at once. */
enum pst_scan_result pst_server_scan_head(struct pst_head_scan *s, const char *bytes, size_t len);

/* ---- exchanges ---- */

struct pst_conn;
struct pst_loop;

/* One request and its answer. `req` is first: public code hands back pointers to it. */
struct pst_exchange {
    struct pst_request req;
    struct pst_response res;
    struct pst_loop *loop;
    struct pst_conn *conn; /* NULL for an orphan */
    struct pst_exchange *next_free;
    char *block; /* only an orphan's: the input its slices point into */

    llhttp_t parser;
    struct pst_header *headers; /* being filled by the parser */
    size_t headers_max;
    struct pst_buf body;
    uint64_t body_expected; /* Content-Length, or SIZE_MAX for chunked */
    size_t body_max;
    size_t counted; /* bytes of it in loop->buffered */
    size_t extension_bytes; /* of the current chunk's extensions */
    bool chunked, expects_continue, parsed;
    bool head_ok; /* the head was parsed: req may be shown to callbacks */
    bool keep_alive; /* false: close after the answer */
    bool http_1_0;
    pst_code route_code; /* failure of the router, answered after the body was read */
    struct pst_err route_err;
    pst_str allow;

    bool suspended;
    struct pst_suspend wait;
    uint32_t slot; /* index in loop->slots */
    uint64_t serial; /* of the current suspension */

    struct pst_buf head; /* of the answer: status line and all headers */
    struct pst_buf part; /* of a streamed body: data of the current chunk */
    char frame[24]; /* chunk size line */
    size_t frame_len;
    size_t sent; /* bytes of the current vector already taken by the socket */
    uint64_t body_sent;
    bool head_sent, part_ready, last_part, bodyless;
    int status;
    size_t cut_left;
    bool stalled; /* PST_CUT_STALL has been reached */
};

/* ---- connections ---- */

enum pst_fd_kind { PST_FD_LISTENER, PST_FD_WAKER, PST_FD_CONN };

enum pst_conn_state {
    PST_CONN_IDLE, /* no byte of a request yet */
    PST_CONN_HEAD, /* reading a head */
    PST_CONN_BODY, /* reading a body (or its trailers) */
    PST_CONN_WAITING, /* the handler has suspended */
    PST_CONN_WRITING, /* sending the answer */
    PST_CONN_LINGER, /* answer sent, write side closed, discarding what still comes */
    PST_CONN_DEAD, /* closed; freed at the end of the turn */
};

struct pst_conn {
    enum pst_fd_kind kind; /* first: epoll's pointers are told apart by it */
    enum pst_conn_state state;
    int fd;
    uint32_t mask; /* events asked of epoll */
    bool readable; /* the last read did not come back short */
    bool hung_up; /* the client will send no more */
    bool refused; /* accepted only to be told that there is no room */
    bool counted; /* in the table of addresses */
    bool queued; /* in loop->ready */
    bool in_trailer;
    bool idle; /* in loop->idle */
    bool asked; /* a request has begun on it */
    struct pst_loop *loop;
    struct pst_conn *prev, *next; /* of loop->conns, or of the graveyard */
    struct pst_conn *idle_prev, *idle_next;
    struct pst_conn *ready_next;
    struct pst_peer peer;

    char *block; /* input; NULL when there is none. The request in hand begins at 0 */
    size_t len; /* end of what was read */
    size_t head_end; /* end of the request's head */
    size_t at; /* end of what the request has used so far */
    struct pst_head_scan scan;
    struct pst_exchange *ex;
    uint64_t body_seen; /* bytes of body and framing, for the minimum rate */

    pst_mono phase_started; /* of the state's absolute deadline */
    uint64_t phase_bytes; /* written since phase_started */
    pst_mono deadline;
    pst_mono timer_key; /* <= deadline: what the heap is ordered by */
    size_t timer_index;
};

/* ---- timers.c: a heap of deadlines; one entry per connection ---- */

struct pst_timers {
    struct pst_conn **items;
    size_t len, cap;
};

pst_code pst_server_timer_add(struct pst_timers *t, struct pst_conn *c, struct pst_err *err);
void pst_server_timer_remove(struct pst_timers *t, struct pst_conn *c);
void pst_server_timer_set(struct pst_timers *t, struct pst_conn *c, pst_mono deadline);
/* A connection whose deadline is not after now, or NULL. */
struct pst_conn *pst_server_timer_expired(struct pst_timers *t, pst_mono now);
pst_mono pst_server_timer_next(const struct pst_timers *t); /* may be early, never late */

/* ---- peers.c: connections per address ---- */

struct pst_peers;
pst_code pst_server_peers_new(struct pst_peers **out, struct pst_err *err);
void pst_server_peers_free(struct pst_peers *p);
/* Count one more. Any thread. Errors: RATE_LIMIT (that would pass max), NO_MEMORY. */
pst_code pst_server_peers_enter(struct pst_peers *p, const char *address, size_t max,
                                struct pst_err *err);
void pst_server_peers_leave(struct pst_peers *p, const char *address);

/* ---- loops and the server ---- */

struct pst_listener {
    enum pst_fd_kind kind;
    int fd;
    int port;
    bool local;
    char *path; /* of a unix socket, removed at the end */
};

struct pst_loop_stats {
    _Atomic uint64_t accepted, requests, rejected, suspended, bytes_in, bytes_out;
};

struct pst_waker {
    enum pst_fd_kind kind;
    int fd; /* eventfd */
};

struct pst_loop {
    struct pst_server *server;
    unsigned index;
    int epoll_fd;
    struct pst_waker waker;
    int reserve_fd; /* closed to be able to refuse a connection when descriptors are short */
    pst_mono accept_again; /* listeners are out of epoll until then; NEVER: they are in */
    bool stopping;

    struct pst_conn *conns; /* doubly linked */
    struct pst_conn *idle, *idle_last; /* in state IDLE, longest first */
    struct pst_conn *graveyard;
    struct pst_conn *ready, **ready_tail; /* to be driven again without an event */
    struct pst_timers timers;
    size_t orphans;
    size_t refused; /* connections with that mark */
    size_t buffered; /* bytes of large bodies, of requests and answers */

    char *free_blocks; /* chained through their first bytes */
    size_t free_block_count;
    struct pst_exchange *free_exchanges;
    size_t free_exchange_count;
    struct {
        struct pst_exchange **items;
        size_t len, cap;
    } slots;
    struct {
        uint32_t *items;
        size_t len, cap;
    } free_slots;
    uint64_t next_serial;

    /* Wake-ups from other threads. Sized with the slots, so that posting needs no memory: a slot
     * is in the ring at most once, and wake[slot] is the latest serial asked for, 0 = none. */
    pthread_mutex_t inbox_lock;
    uint64_t *wake;
    uint32_t *ring;
    size_t inbox_cap, ring_head, ring_len;

    uint8_t random[640];
    size_t random_left;
    int64_t date_second;
    char date[40];
    struct pst_loop_stats stats;
};

struct pst_server {
    struct pst_server_limits limits;
    const struct pst_router *router;
    void *self;
    void (*on_error)(void *self, const struct pst_request *req, const struct pst_id *request_id,
                     const struct pst_err *err, struct pst_response *res);
    void (*on_finished)(void *self, const struct pst_request *req, const struct pst_id *request_id,
                        const struct pst_server_outcome *outcome);
    const char *common_headers;
    const struct pst_clock *clock;
    size_t block_size;
    struct pst_listener *listeners;
    size_t listener_count;
    struct pst_loop *loops;
    unsigned loop_count;
    struct pst_peers *peers;
    _Atomic int64_t connections;
    _Atomic int64_t stop_ns; /* monotonic; INT64_MAX: not stopping */
};

static inline pst_mono pst_server_now(const struct pst_loop *loop)
{
    return pst_clock_mono(loop->server->clock);
}

/* listen.c */
pst_code pst_server_listen(struct pst_listener *l, const char *address, struct pst_err *err);
void pst_server_listener_close(struct pst_listener *l);
void pst_server_peer_of(struct pst_peer *out, int fd, bool local,
                        const struct sockaddr_storage *from);

/* exchange.c */
pst_code pst_server_exchange_take(struct pst_loop *loop, struct pst_exchange **out,
                                  struct pst_err *err);
void pst_server_exchange_give(struct pst_exchange *ex);
/* Bodies up to this size are not counted: they are received and sent, however much is in hand. */
enum { PST_SMALL_BODY = 16 << 10 };
/* Count what the bodies of ex hold by now, where it is much. false: it is large, and all that this
 * loop holds is more than its share of buffered_max. */
bool pst_server_exchange_fits(struct pst_exchange *ex);
/* UNAVAILABLE, in words. */
pst_code pst_server_exchange_refuse(struct pst_err *err);
char *pst_server_block_take(struct pst_loop *loop); /* NULL: no memory */
void pst_server_block_give(struct pst_loop *loop, char *block); /* NULL is a no-op */
void pst_server_exchange_unsuspend(struct pst_exchange *ex);
/* The next suspended exchange that another thread has resumed, or NULL. */
struct pst_exchange *pst_server_inbox_next(struct pst_loop *loop);
void pst_server_wake(struct pst_loop *loop);
void pst_server_finished(struct pst_exchange *ex, bool gone);
void pst_server_pools_free(struct pst_loop *loop);

/* parse.c: fills ex->req from the scanned head (bytes[0..len)). Errors carry the status. */
pst_code pst_server_parse_head(struct pst_exchange *ex, const char *bytes, size_t len,
                               const struct pst_server_limits *limits, struct pst_err *err);
/* Decode chunked bytes into ex->body; *used, and *done after the last chunk's size line. */
pst_code pst_server_parse_chunks(struct pst_exchange *ex, const char *bytes, size_t len,
                                 size_t *used, bool *done, struct pst_err *err);

/* answer.c */
/* Turn the result of a handler into bytes to send. Never fails: the last resort is an empty 500
 * or 503. code is PST_OK or that of err. */
void pst_server_answer_begin(struct pst_exchange *ex, pst_code code, const struct pst_err *err);
enum pst_sent { PST_SENT_ALL, PST_SENT_PART, PST_SENT_BROKEN, PST_SENT_RESET, PST_SENT_STALLED };
enum pst_sent pst_server_answer_send(struct pst_exchange *ex, int fd);
void pst_server_answer_end(struct pst_exchange *ex); /* releases a stream; may be repeated */

/* conn.c */
enum pst_step {
    PST_STEP_AGAIN, /* look at the state again */
    PST_STEP_WAIT, /* nothing to do until an event */
    PST_STEP_ANSWERED, /* one request is done */
};

static inline const struct pst_server_limits *pst_server_limits_of(const struct pst_conn *c)
{
    return &c->loop->server->limits;
}

void pst_server_conn_deadline(struct pst_conn *c, int64_t ms); /* of the state just entered */
/* Answer err and close: what follows on this connection can not be trusted. */
enum pst_step pst_server_conn_refuse(struct pst_conn *c, const struct pst_err *err);
enum pst_step pst_server_conn_dispatch(struct pst_conn *c); /* the request is complete */
/* Takes fd over. refusal: answered at once and closed; NULL for a welcome client. */
void pst_server_conn_open(struct pst_loop *loop, int fd, const struct pst_peer *peer, bool counted,
                          const struct pst_err *refusal);
void pst_server_conn_drive(struct pst_conn *c);
void pst_server_conn_event(struct pst_conn *c, uint32_t events);
void pst_server_conn_expired(struct pst_conn *c, pst_mono now);
void pst_server_conn_continue(struct pst_exchange *ex, enum pst_wake why);
void pst_server_conn_kill(struct pst_conn *c); /* close now, whatever it does */
void pst_server_conn_enter_idle(struct pst_conn *c); /* between requests, also before the first */
void pst_server_conn_leave_idle(struct pst_conn *c);

/* input.c */
enum pst_fill { PST_FILL_SOME, PST_FILL_NOTHING, PST_FILL_CLOSED };
enum pst_fill pst_server_read_some(struct pst_conn *c, char *to, size_t room, size_t *got);
enum pst_step pst_server_after_fill(struct pst_conn *c, enum pst_fill fill);
void pst_server_conn_release_block(struct pst_conn *c); /* when it is empty */
enum pst_step pst_server_step_idle(struct pst_conn *c);
enum pst_step pst_server_step_head(struct pst_conn *c);
enum pst_step pst_server_step_body(struct pst_conn *c);

/* accept.c */
void pst_server_accept(struct pst_loop *loop, struct pst_listener *l);
pst_code pst_server_accept_start(struct pst_loop *loop, struct pst_err *err);
void pst_server_accept_stop(struct pst_loop *loop);

/* server.c */
pst_mono pst_server_stop_time(const struct pst_server *server);

#endif
