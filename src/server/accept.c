/* server/accept.c: taking new connections, and refusing them in words when there is no room.
 *
 * When the process runs out of descriptors the listeners leave epoll for a moment (a level-
 * triggered listener would otherwise spin), and a descriptor held in reserve lets one waiting
 * client be told.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "os/rand.h"
#include "server/internal.h"

enum {
    ACCEPTS_PER_TURN = 8, /* the other loops want some too */
    PAUSE_MS = 100,
    REFUSED_MAX = 64, /* connections per loop that are only being told so */
    UNSENT_MAX =
        128 << 10, /* bytes of answers in the system's buffers that are not yet on the way */
    LOCAL_SPARE = 16, /* connections beyond the limit for clients of a unix socket */
};

static pst_code watch_listeners(struct pst_loop *loop, int operation, struct pst_err *err)
{
    for (size_t i = 0; i < loop->server->listener_count; i++) {
        struct pst_listener *l = &loop->server->listeners[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = l};
        if (epoll_ctl(loop->epoll_fd, operation, l->fd, &event) != 0)
            return PST_FAIL_OS(err, PST_E_IO, "watching a listener");
    }
    return PST_OK;
}

static void open_reserve(struct pst_loop *loop)
{
    if (loop->reserve_fd < 0)
        loop->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

pst_code pst_server_accept_start(struct pst_loop *loop, struct pst_err *err)
{
    open_reserve(loop);
    loop->accept_again = PST_MONO_NEVER;
    return watch_listeners(loop, EPOLL_CTL_ADD, err);
}

void pst_server_accept_stop(struct pst_loop *loop)
{
    struct pst_err ignored;
    if (loop->accept_again.ns == PST_MONO_NEVER.ns && !loop->stopping)
        (void)watch_listeners(loop, EPOLL_CTL_DEL, &ignored);
}

static void pause_accepting(struct pst_loop *loop)
{
    struct pst_err ignored;
    (void)watch_listeners(loop, EPOLL_CTL_DEL, &ignored);
    loop->accept_again = pst_mono_after_ms(pst_server_now(loop), PAUSE_MS);
}

/* Whether an idle connection may be closed for another's sake: not before it had the time to ask. A
 * turn accepts several at once, and the request of the first may be on its way. */
static bool gives_way(struct pst_loop *loop, const struct pst_conn *idle)
{
    pst_mono settled = pst_mono_after_ms(idle->phase_started, loop->server->limits.settle_ms);
    return idle->asked || settled.ns <= pst_server_now(loop).ns;
}

/* Whether there is room for one more; the connection that has been idle longest makes some. The
 * operator's socket keeps a few for itself, so that a flood can be looked at. */
static bool has_room(struct pst_loop *loop, bool local)
{
    const struct pst_server_limits *limits = &loop->server->limits;
    int64_t max = (int64_t)limits->connections_max + (local ? LOCAL_SPARE : 0);
    if (atomic_load(&loop->server->connections) < max)
        return true;
    if (!loop->idle || !gives_way(loop, loop->idle))
        return false;
    pst_server_conn_kill(loop->idle);
    return atomic_load(&loop->server->connections) < max;
}

/* Whether this client is welcome; else err says why not. */
static pst_code admit(struct pst_loop *loop, const struct pst_peer *peer, bool *counted,
                      struct pst_err *err)
{
    const struct pst_server_limits *limits = &loop->server->limits;
    *counted = false;
    if (!has_room(loop, peer->local)) {
        pst_code code = PST_FAIL(err, PST_E_UNAVAILABLE, "all %zu connections are taken",
                                 limits->connections_max);
        err->retry_after_s = 1;
        return code;
    }
    if (peer->local)
        return PST_OK;
    pst_code code =
        pst_server_peers_enter(loop->server->peers, peer->address, limits->per_address_max, err);
    *counted = code == PST_OK;
    if (code != PST_OK)
        err->retry_after_s = 1;
    return code;
}

/* What a client has not taken waits in our memory, of which there is one copy and a deadline, and
 * not by the megabyte in the system's. */
static void limit_unsent(int fd)
{
    int bytes = UNSENT_MAX;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

static void welcome(struct pst_loop *loop, const struct pst_listener *l, int fd,
                    const struct sockaddr_storage *from)
{
    struct pst_peer peer;
    struct pst_err err;
    bool counted = false;
    if (!l->local)
        limit_unsent(fd);
    pst_server_peer_of(&peer, fd, l->local, from);
    pst_code code = admit(loop, &peer, &counted, &err);
    if (code != PST_OK && loop->refused >= REFUSED_MAX) {
        (void)close(fd);
        return;
    }
    pst_server_conn_open(loop, fd, &peer, counted, code == PST_OK ? NULL : &err);
}

/* No descriptor left: use the reserve for one client, then leave the rest in the backlog. */
static void refuse_one(struct pst_loop *loop, const struct pst_listener *l)
{
    char text[256];
    struct pst_id id = pst_rand_id("req_");
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 503 Service Unavailable\r\nX-Request-Id: %s\r\nRetry-After: 1\r\n"
                       "Content-Length: 0\r\nConnection: close\r\n\r\n",
                       id.text);
    if (loop->reserve_fd >= 0)
        (void)close(loop->reserve_fd);
    loop->reserve_fd = -1;
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        ssize_t ignored = send(fd, text, (size_t)len, MSG_NOSIGNAL);
        (void)ignored;
        (void)shutdown(fd, SHUT_WR);
        (void)close(fd);
        atomic_fetch_add_explicit(&loop->stats.rejected, 1, memory_order_relaxed);
    }
    open_reserve(loop);
}

void pst_server_accept(struct pst_loop *loop, struct pst_listener *l)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof(from);
        int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(loop, l, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            refuse_one(loop, l);
            pause_accepting(loop);
            return;
        }
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}
