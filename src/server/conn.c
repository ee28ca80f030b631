/* server/conn.c: one connection's life: read a request, hand it over, send the answer, again.
 *
 *   IDLE -> HEAD -> BODY -> WAITING -> WRITING -> IDLE ...
 *                                              -> LINGER -> DEAD
 *
 * Each state has one step function and one absolute deadline. Steps run until the socket has
 * nothing more to give or take (WAIT). Violations answer an error and close.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/internal.h"

enum { LINGER_MS = 2000, DISCARD_PER_TURN = 64 << 10 };

void pst_server_conn_deadline(struct pst_conn *c, int64_t ms)
{
    c->phase_started = pst_server_now(c->loop);
    c->phase_bytes = 0;
    pst_server_timer_set(&c->loop->timers, c, pst_mono_after_ms(c->phase_started, ms));
}

/* ---- the idle ones, which are closed first when there is no room ---- */

void pst_server_conn_enter_idle(struct pst_conn *c)
{
    struct pst_loop *loop = c->loop;
    c->state = PST_CONN_IDLE;
    c->idle = true;
    c->idle_prev = loop->idle_last;
    c->idle_next = NULL;
    *(c->idle_prev ? &c->idle_prev->idle_next : &loop->idle) = c;
    loop->idle_last = c;
    pst_server_conn_deadline(c, pst_server_limits_of(c)->idle_ms);
}

void pst_server_conn_leave_idle(struct pst_conn *c)
{
    struct pst_loop *loop = c->loop;
    if (!c->idle)
        return;
    c->idle = false;
    *(c->idle_prev ? &c->idle_prev->idle_next : &loop->idle) = c->idle_next;
    *(c->idle_next ? &c->idle_next->idle_prev : &loop->idle_last) = c->idle_prev;
}

/* ---- opening and closing ---- */

static bool register_conn(struct pst_conn *c)
{
    struct pst_err ignored;
    c->mask = EPOLLIN | EPOLLRDHUP;
    struct epoll_event event = {.events = c->mask, .data.ptr = c};
    if (pst_server_timer_add(&c->loop->timers, c, &ignored) != PST_OK)
        return false;
    if (epoll_ctl(c->loop->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) == 0)
        return true;
    pst_server_timer_remove(&c->loop->timers, c);
    return false;
}

static void start_answer(struct pst_conn *c, pst_code code, const struct pst_err *err)
{
    struct pst_err own;
    if (code == PST_OK && c->ex->res.body.len > PST_SMALL_BODY &&
        !pst_server_exchange_fits(c->ex)) {
        code = pst_server_exchange_refuse(&own);
        err = &own;
    }
    pst_server_conn_leave_idle(c);
    c->state = PST_CONN_WRITING;
    pst_server_answer_begin(c->ex, code, err);
    pst_server_conn_deadline(c, pst_server_limits_of(c)->write_ms);
}

enum pst_step pst_server_conn_refuse(struct pst_conn *c, const struct pst_err *err)
{
    struct pst_err own;
    atomic_fetch_add_explicit(&c->loop->stats.rejected, 1, memory_order_relaxed);
    if (!c->ex && pst_server_exchange_take(c->loop, &c->ex, &own) != PST_OK) {
        pst_server_conn_kill(c);
        return PST_STEP_WAIT;
    }
    c->ex->conn = c;
    c->ex->keep_alive = false;
    start_answer(c, err->code, err);
    return PST_STEP_AGAIN;
}

void pst_server_conn_open(struct pst_loop *loop, int fd, const struct pst_peer *peer, bool counted,
                          const struct pst_err *refusal)
{
    struct pst_conn *c = pst_calloc(1, sizeof(*c));
    if (c)
        *c = (struct pst_conn){.kind = PST_FD_CONN, .fd = fd, .loop = loop, .peer = *peer};
    if (!c || !register_conn(c)) {
        if (counted)
            pst_server_peers_leave(loop->server->peers, peer->address);
        pst_free(c);
        (void)close(fd);
        return;
    }
    c->counted = counted;
    c->refused = refusal != NULL;
    loop->refused += c->refused;
    c->next = loop->conns;
    if (loop->conns)
        loop->conns->prev = c;
    loop->conns = c;
    atomic_fetch_add(&loop->server->connections, 1);
    atomic_fetch_add_explicit(&loop->stats.accepted, 1, memory_order_relaxed);
    pst_server_conn_enter_idle(c);
    if (refusal && pst_server_conn_refuse(c, refusal) == PST_STEP_AGAIN)
        pst_server_conn_drive(c);
}

static void give_up_exchange(struct pst_conn *c)
{
    struct pst_exchange *ex = c->ex;
    c->ex = NULL;
    if (ex->suspended && ex->wait.held) {
        /* Another thread still works on it, in the block too. */
        ex->conn = NULL;
        ex->block = c->block;
        c->block = NULL;
        c->loop->orphans++;
        return;
    }
    if (ex->suspended) {
        struct pst_err ignored;
        pst_server_exchange_unsuspend(ex);
        ex->req.now = pst_server_now(ex->loop);
        (void)ex->wait.resumed(ex->wait.data, &ex->req, &ex->res, PST_WAKE_GONE, &ignored);
        pst_server_exchange_unsuspend(ex);
    }
    if (ex->head_ok || ex->status)
        pst_server_finished(ex, true);
    pst_server_exchange_give(ex);
}

void pst_server_conn_kill(struct pst_conn *c)
{
    struct pst_loop *loop = c->loop;
    if (c->state == PST_CONN_DEAD)
        return;
    c->state = PST_CONN_DEAD;
    pst_server_conn_leave_idle(c);
    if (c->ex)
        give_up_exchange(c);
    pst_server_block_give(loop, c->block);
    c->block = NULL;
    (void)close(c->fd);
    pst_server_timer_remove(&loop->timers, c);
    if (c->counted)
        pst_server_peers_leave(loop->server->peers, c->peer.address);
    loop->refused -= c->refused;
    if (c->prev)
        c->prev->next = c->next;
    else
        loop->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->next = loop->graveyard;
    loop->graveyard = c;
    atomic_fetch_sub(&loop->server->connections, 1);
}

/* ---- handing over ---- */

enum pst_step pst_server_conn_dispatch(struct pst_conn *c)
{
    struct pst_exchange *ex = c->ex;
    struct pst_err err;
    atomic_fetch_add_explicit(&c->loop->stats.requests, 1, memory_order_relaxed);
    if (ex->route_code != PST_OK) {
        start_answer(c, ex->route_code, &ex->route_err);
        return PST_STEP_AGAIN;
    }
    c->state = PST_CONN_WAITING;
    ex->req.body = pst_buf_str(&ex->body);
    ex->req.now = pst_server_now(ex->loop);
    const struct pst_route *route = ex->req.route;
    pst_code code = route->handler(route->self, &ex->req, &ex->res, &err);
    if (ex->suspended && code == PST_OK) {
        pst_server_timer_set(&c->loop->timers, c, ex->wait.deadline);
        if (c->hung_up && !ex->wait.held)
            pst_server_conn_kill(c);
        else if (c->loop->stopping && !ex->wait.held)
            pst_server_conn_continue(ex, PST_WAKE_STOPPING);
        return PST_STEP_WAIT;
    }
    pst_server_exchange_unsuspend(ex);
    start_answer(c, code, &err);
    return PST_STEP_AGAIN;
}

/* ---- the answer ---- */

static void begin_linger(struct pst_conn *c)
{
    /* Closing with unread bytes would reset the connection and could take the answer with it. */
    pst_server_block_give(c->loop, c->block);
    c->block = NULL;
    c->len = 0;
    if (shutdown(c->fd, SHUT_WR) != 0) {
        pst_server_conn_kill(c);
        return;
    }
    c->state = PST_CONN_LINGER;
    c->readable = true;
    pst_server_conn_deadline(c, LINGER_MS);
}

static enum pst_step finish_answer(struct pst_conn *c)
{
    struct pst_exchange *ex = c->ex;
    bool keep = ex->keep_alive;
    c->ex = NULL;
    pst_server_answer_end(ex);
    pst_server_finished(ex, false);
    pst_server_exchange_give(ex);
    if (!keep) {
        begin_linger(c);
        return c->state == PST_CONN_LINGER ? PST_STEP_AGAIN : PST_STEP_WAIT;
    }
    c->len -= c->at;
    if (c->len)
        memmove(c->block, c->block + c->at, c->len);
    c->at = c->head_end = 0;
    pst_server_conn_release_block(c);
    pst_server_conn_enter_idle(c);
    return PST_STEP_ANSWERED;
}

/* Closing resets: what the system still holds for the client is dropped with it. */
static void make_reset(struct pst_conn *c)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static enum pst_step step_writing(struct pst_conn *c)
{
    switch (pst_server_answer_send(c->ex, c->fd)) {
    case PST_SENT_ALL:
        return finish_answer(c);
    case PST_SENT_PART:
        return PST_STEP_WAIT;
    case PST_SENT_RESET:
        make_reset(c);
        break;
    case PST_SENT_STALLED:
        if (!c->hung_up)
            return PST_STEP_WAIT;
        break;
    case PST_SENT_BROKEN:
        break;
    }
    pst_server_conn_kill(c);
    return PST_STEP_WAIT;
}

static enum pst_step step_linger(struct pst_conn *c)
{
    char discard[4096];
    for (size_t total = 0; total < DISCARD_PER_TURN;) {
        size_t got = 0;
        enum pst_fill fill = pst_server_read_some(c, discard, sizeof(discard), &got);
        if (fill != PST_FILL_SOME)
            return pst_server_after_fill(c, fill);
        total += got;
    }
    return PST_STEP_WAIT;
}

/* ---- driving ---- */

static uint32_t wanted_events(const struct pst_conn *c)
{
    bool is_writing = c->state == PST_CONN_WRITING && !c->ex->stalled;
    uint32_t out = is_writing ? (uint32_t)EPOLLOUT : 0;
    if (c->state != PST_CONN_WAITING && c->state != PST_CONN_WRITING)
        return EPOLLIN | EPOLLRDHUP;
    /* Not reading now. What was already reported is not asked for again, since epoll would
     * report it without end. */
    uint32_t in = c->readable ? 0 : (uint32_t)EPOLLIN;
    return c->hung_up ? out : (out | in | (uint32_t)EPOLLRDHUP);
}

static void update_mask(struct pst_conn *c)
{
    uint32_t want = wanted_events(c);
    if (c->state == PST_CONN_DEAD || want == c->mask)
        return;
    struct epoll_event event = {.events = want, .data.ptr = c};
    if (epoll_ctl(c->loop->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) != 0) {
        pst_server_conn_kill(c);
        return;
    }
    c->mask = want;
}

static enum pst_step run_step(struct pst_conn *c)
{
    switch (c->state) {
    case PST_CONN_IDLE:
        return pst_server_step_idle(c);
    case PST_CONN_HEAD:
        return pst_server_step_head(c);
    case PST_CONN_BODY:
        return pst_server_step_body(c);
    case PST_CONN_WRITING:
        return step_writing(c);
    case PST_CONN_LINGER:
        return step_linger(c);
    case PST_CONN_WAITING:
    case PST_CONN_DEAD:
        break;
    }
    return PST_STEP_WAIT;
}

void pst_server_conn_drive(struct pst_conn *c)
{
    size_t answered = 0;
    for (;;) {
        enum pst_step step = run_step(c);
        if (step == PST_STEP_WAIT)
            break;
        if (step == PST_STEP_ANSWERED && ++answered >= pst_server_limits_of(c)->pipeline_max) {
            if (!c->queued) {
                c->queued = true;
                c->ready_next = NULL;
                *c->loop->ready_tail = c;
                c->loop->ready_tail = &c->ready_next;
            }
            break;
        }
    }
    update_mask(c);
}

void pst_server_conn_event(struct pst_conn *c, uint32_t events)
{
    if (c->state == PST_CONN_DEAD)
        return;
    if (events & EPOLLERR) {
        pst_server_conn_kill(c);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
        c->readable = true;
    if (events & (EPOLLHUP | EPOLLRDHUP))
        c->hung_up = true;
    if (c->state == PST_CONN_WAITING) {
        /* A waiting client that has closed its side is gone. A held request goes on: its
         * effects count, and a client that only closed its write side gets the answer. */
        if ((events & EPOLLHUP) || (c->hung_up && !c->ex->wait.held))
            pst_server_conn_kill(c);
        update_mask(c);
        return;
    }
    pst_server_conn_drive(c);
}

void pst_server_conn_continue(struct pst_exchange *ex, enum pst_wake why)
{
    struct pst_err err;
    struct pst_conn *c = ex->conn;
    pst_server_exchange_unsuspend(ex);
    ex->req.now = pst_server_now(ex->loop);
    pst_code code =
        ex->wait.resumed(ex->wait.data, &ex->req, &ex->res, c ? why : PST_WAKE_GONE, &err);
    if (!c) {
        pst_server_exchange_unsuspend(ex);
        ex->loop->orphans--;
        pst_server_finished(ex, true);
        pst_server_exchange_give(ex);
        return;
    }
    if (ex->suspended && code == PST_OK) {
        pst_server_timer_set(&c->loop->timers, c, ex->wait.deadline);
        return;
    }
    pst_server_exchange_unsuspend(ex);
    start_answer(c, code, &err);
    pst_server_conn_drive(c);
}

/* ---- deadlines ---- */

/* The request belongs to another thread for longer than allowed: answer in its stead. */
static void answer_for_held(struct pst_conn *c)
{
    struct pst_err err;
    struct pst_id id = c->ex->req.id;
    give_up_exchange(c);
    c->len = c->at = 0;
    (void)PST_FAIL(&err, PST_E_UNAVAILABLE, "the request took longer than it may");
    if (pst_server_exchange_take(c->loop, &c->ex, &err) != PST_OK) {
        pst_server_conn_kill(c);
        return;
    }
    c->ex->req.id = id;
    (void)pst_server_conn_refuse(c, &err);
    pst_server_conn_drive(c);
}

static void body_expired(struct pst_conn *c, pst_mono now)
{
    const struct pst_server_limits *limits = pst_server_limits_of(c);
    int64_t elapsed_ms = (now.ns - c->phase_started.ns) / PST_NS_PER_MS;
    /* Until when what has come so far satisfies the minimum rate. */
    int64_t paid_ms = (int64_t)(c->body_seen * 1000 / limits->body_rate);
    int64_t until_ms = paid_ms > limits->body_grace_ms ? paid_ms : limits->body_grace_ms;
    if (until_ms > limits->body_ms)
        until_ms = limits->body_ms;
    if (until_ms > elapsed_ms) {
        pst_server_timer_set(&c->loop->timers, c, pst_mono_after_ms(c->phase_started, until_ms));
        return;
    }
    struct pst_err err;
    (void)PST_FAIL(&err, PST_E_REQUEST_TIMEOUT, "the body of the request comes too slowly");
    (void)pst_server_conn_refuse(c, &err);
    pst_server_conn_drive(c);
}

void pst_server_conn_expired(struct pst_conn *c, pst_mono now)
{
    const struct pst_server_limits *limits = pst_server_limits_of(c);
    struct pst_err err;
    switch (c->state) {
    case PST_CONN_HEAD:
        (void)PST_FAIL(&err, PST_E_REQUEST_TIMEOUT,
                       "the head of the request did not arrive within %lld ms",
                       (long long)limits->head_ms);
        (void)pst_server_conn_refuse(c, &err);
        pst_server_conn_drive(c);
        return;
    case PST_CONN_BODY:
        body_expired(c, now);
        return;
    case PST_CONN_WAITING:
        if (c->ex->wait.held)
            answer_for_held(c);
        else
            pst_server_conn_continue(c->ex, PST_WAKE_DEADLINE);
        return;
    case PST_CONN_WRITING:
        if (c->phase_bytes >= limits->body_rate * (uint64_t)limits->write_ms / 1000) {
            pst_server_conn_deadline(c, limits->write_ms);
            return;
        }
        atomic_fetch_add_explicit(&c->loop->stats.rejected, 1, memory_order_relaxed);
        make_reset(c);
        break;
    case PST_CONN_IDLE:
    case PST_CONN_LINGER:
    case PST_CONN_DEAD:
        break;
    }
    pst_server_conn_kill(c);
}
