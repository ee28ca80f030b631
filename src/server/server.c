/* server/server.c: building a server, stopping it, its figures. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/internal.h"

enum { LOOPS_MAX = 64, LISTENERS_MAX = 16 };

static const struct pst_server_limits defaults = {
    .head_max = 16 << 10,
    .target_max = 8 << 10,
    .headers_max = 100,
    .body_max = 1 << 20,
    .response_max = 32 << 20,
    .arena_max = 16 << 20,
    .buffered_max = 256 << 20,
    .connections_max = 10000,
    .per_address_max = 256,
    .pipeline_max = 8,
    .head_ms = 10000,
    .body_ms = 60000,
    .body_grace_ms = 10000,
    .body_rate = 1024,
    .idle_ms = 60000,
    .settle_ms = 1000,
    .write_ms = 30000,
};

#define DEFAULT(field) limits->field = limits->field ? limits->field : defaults.field

static void fill_defaults(struct pst_server_limits *limits)
{
    DEFAULT(head_max);
    DEFAULT(target_max);
    DEFAULT(headers_max);
    DEFAULT(body_max);
    DEFAULT(response_max);
    DEFAULT(arena_max);
    DEFAULT(buffered_max);
    DEFAULT(connections_max);
    DEFAULT(per_address_max);
    DEFAULT(pipeline_max);
    DEFAULT(head_ms);
    DEFAULT(body_ms);
    DEFAULT(body_grace_ms);
    DEFAULT(body_rate);
    DEFAULT(idle_ms);
    DEFAULT(settle_ms);
    DEFAULT(write_ms);
}

static pst_code init_loop(struct pst_loop *loop, struct pst_server *server, unsigned index,
                          struct pst_err *err)
{
    loop->server = server;
    loop->index = index;
    loop->reserve_fd = -1;
    loop->accept_again = PST_MONO_NEVER;
    loop->ready_tail = &loop->ready;
    loop->date_second = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->waker =
        (struct pst_waker){.kind = PST_FD_WAKER, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    (void)pthread_mutex_init(&loop->inbox_lock, NULL);
    if (loop->epoll_fd < 0 || loop->waker.fd < 0)
        return PST_FAIL_OS(err, PST_E_IO, "making an event loop");
    return PST_OK;
}

static pst_code init_loops(struct pst_server *server, unsigned count, struct pst_err *err)
{
    void *made = NULL;
    PST_TRY(pst_new(&made, count * sizeof(struct pst_loop), err));
    server->loops = made;
    for (unsigned i = 0; i < count; i++) {
        server->loop_count = i + 1;
        PST_TRY(init_loop(&server->loops[i], server, i, err));
    }
    return PST_OK;
}

static pst_code init_listeners(struct pst_server *server, const struct pst_server_options *opt,
                               struct pst_err *err)
{
    void *made = NULL;
    PST_TRY(pst_new(&made, opt->listen_count * sizeof(struct pst_listener), err));
    server->listeners = made;
    for (size_t i = 0; i < opt->listen_count; i++) {
        server->listener_count = i + 1;
        PST_TRY(pst_server_listen(&server->listeners[i], opt->listen[i], err));
    }
    return PST_OK;
}

pst_code pst_server_new(struct pst_server **out, const struct pst_server_options *opt,
                        struct pst_err *err)
{
    if (opt->loops < 1 || opt->loops > LOOPS_MAX)
        return PST_FAIL_AT(err, PST_E_INVALID, "loops", "a server has 1 to %d loops", LOOPS_MAX);
    if (opt->listen_count < 1 || opt->listen_count > LISTENERS_MAX || !opt->router)
        return PST_FAIL_AT(err, PST_E_INVALID, "listen",
                           "a server has 1 to %d listeners and a "
                           "router",
                           LISTENERS_MAX);
    void *made = NULL;
    PST_TRY(pst_new(&made, sizeof(struct pst_server), err));
    PST_AUTO(server) struct pst_server *server = made;
    server->limits = opt->limits;
    fill_defaults(&server->limits);
    server->router = opt->router;
    server->self = opt->self;
    server->on_error = opt->on_error;
    server->on_finished = opt->on_finished;
    server->common_headers = opt->common_headers;
    server->clock = opt->clock ? opt->clock : &pst_clock_system;
    server->block_size = server->limits.head_max + PST_TRAILER_MAX + 1;
    atomic_init(&server->stop_ns, INT64_MAX);
    PST_TRY(pst_server_peers_new(&server->peers, err));
    PST_TRY(init_loops(server, opt->loops, err));
    PST_TRY(init_listeners(server, opt, err));
    *out = PST_TAKE(server);
    return PST_OK;
}

int pst_server_port(const struct pst_server *server, size_t index)
{
    return index < server->listener_count ? server->listeners[index].port : 0;
}

pst_mono pst_server_stop_time(const struct pst_server *server)
{
    return (pst_mono){atomic_load(&server->stop_ns)};
}

void pst_server_stop(struct pst_server *server, int64_t grace_ms)
{
    pst_mono stop = pst_mono_after_ms(pst_clock_mono(server->clock), grace_ms > 0 ? grace_ms : 0);
    int64_t before = atomic_load(&server->stop_ns);
    while (stop.ns < before && !atomic_compare_exchange_weak(&server->stop_ns, &before, stop.ns))
        continue;
    /* Closing would race with the loops; shut down, the listeners refuse whoever comes now. */
    for (size_t i = 0; i < server->listener_count; i++)
        (void)shutdown(server->listeners[i].fd, SHUT_RDWR);
    for (unsigned i = 0; i < server->loop_count; i++)
        pst_server_wake(&server->loops[i]);
}

void pst_server_stats(const struct pst_server *server, struct pst_server_stats *out)
{
    int64_t open_now = atomic_load(&server->connections);
    *out = (struct pst_server_stats){.connections = open_now > 0 ? (uint64_t)open_now : 0};
    for (unsigned i = 0; i < server->loop_count; i++) {
        const struct pst_loop_stats *s = &server->loops[i].stats;
        out->accepted += atomic_load_explicit(&s->accepted, memory_order_relaxed);
        out->requests += atomic_load_explicit(&s->requests, memory_order_relaxed);
        out->rejected += atomic_load_explicit(&s->rejected, memory_order_relaxed);
        out->suspended += atomic_load_explicit(&s->suspended, memory_order_relaxed);
        out->bytes_in += atomic_load_explicit(&s->bytes_in, memory_order_relaxed);
        out->bytes_out += atomic_load_explicit(&s->bytes_out, memory_order_relaxed);
    }
}

static void fini_loop(struct pst_loop *loop)
{
    /* Only after a loop that ended with an error is there anything left to close. */
    while (loop->conns)
        pst_server_conn_kill(loop->conns);
    for (struct pst_conn *c = loop->graveyard, *next = NULL; c; c = next) {
        next = c->next;
        pst_free(c);
    }
    pst_server_pools_free(loop);
    pst_free(loop->timers.items);
    if (loop->reserve_fd >= 0)
        (void)close(loop->reserve_fd);
    if (loop->waker.fd >= 0)
        (void)close(loop->waker.fd);
    if (loop->epoll_fd >= 0)
        (void)close(loop->epoll_fd);
    (void)pthread_mutex_destroy(&loop->inbox_lock);
}

void pst_server_free(struct pst_server *server)
{
    if (!server)
        return;
    for (unsigned i = 0; i < server->loop_count; i++)
        fini_loop(&server->loops[i]);
    for (size_t i = 0; i < server->listener_count; i++)
        pst_server_listener_close(&server->listeners[i]);
    pst_server_peers_free(server->peers);
    pst_free(server->loops);
    pst_free(server->listeners);
    pst_free(server);
}
