/* server/loop.c: one event loop: wait, handle events, wake-ups, deadlines, and stop. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/internal.h"

enum { EVENTS_PER_TURN = 128 };

static void handle_event(struct pst_loop *loop, const struct epoll_event *event)
{
    enum pst_fd_kind kind = *(const enum pst_fd_kind *)event->data.ptr;
    uint64_t count = 0;
    switch (kind) {
    case PST_FD_LISTENER:
        if (!loop->stopping && loop->accept_again.ns == PST_MONO_NEVER.ns)
            pst_server_accept(loop, event->data.ptr);
        return;
    case PST_FD_WAKER: {
        ssize_t ignored = read(loop->waker.fd, &count, sizeof(count));
        (void)ignored;
        return;
    }
    case PST_FD_CONN:
        pst_server_conn_event(event->data.ptr, event->events);
        return;
    }
}

static void run_inbox(struct pst_loop *loop)
{
    struct pst_exchange *ex = NULL;
    while ((ex = pst_server_inbox_next(loop)) != NULL)
        pst_server_conn_continue(ex, PST_WAKE_RESUMED);
}

/* Those that were queued before this turn; who queues again waits for the next. */
static void run_ready(struct pst_loop *loop)
{
    struct pst_conn *c = loop->ready;
    loop->ready = NULL;
    loop->ready_tail = &loop->ready;
    while (c) {
        struct pst_conn *next = c->ready_next;
        c->queued = false;
        pst_server_conn_drive(c);
        c = next;
    }
}

static void run_timers(struct pst_loop *loop)
{
    pst_mono now = pst_server_now(loop);
    struct pst_conn *c = NULL;
    while ((c = pst_server_timer_expired(&loop->timers, now)) != NULL) {
        pst_server_timer_set(&loop->timers, c, PST_MONO_NEVER);
        pst_server_conn_expired(c, now);
    }
    if (loop->accept_again.ns <= now.ns && !loop->stopping) {
        struct pst_err ignored;
        if (pst_server_accept_start(loop, &ignored) != PST_OK)
            loop->accept_again = pst_mono_after_ms(now, 1000);
    }
}

/* A dead connection that is still in the ready list is buried in a later turn. */
static void bury(struct pst_loop *loop)
{
    struct pst_conn *c = loop->graveyard;
    loop->graveyard = NULL;
    while (c) {
        struct pst_conn *next = c->next;
        if (c->queued) {
            c->next = loop->graveyard;
            loop->graveyard = c;
        } else {
            pst_free(c);
        }
        c = next;
    }
}

static void begin_stop(struct pst_loop *loop)
{
    pst_server_accept_stop(loop);
    loop->stopping = true;
    for (struct pst_conn *c = loop->conns, *next = NULL; c; c = next) {
        next = c->next;
        if (c->state == PST_CONN_IDLE)
            pst_server_conn_kill(c);
        else if (c->state == PST_CONN_WAITING && c->ex->suspended && !c->ex->wait.held)
            pst_server_conn_continue(c->ex, PST_WAKE_STOPPING);
    }
}

static void check_stop(struct pst_loop *loop)
{
    pst_mono stop = pst_server_stop_time(loop->server);
    if (stop.ns == PST_MONO_NEVER.ns)
        return;
    if (!loop->stopping)
        begin_stop(loop);
    if (pst_server_now(loop).ns < stop.ns)
        return;
    while (loop->conns)
        pst_server_conn_kill(loop->conns);
}

static int timeout_of(const struct pst_loop *loop)
{
    if (loop->ready)
        return 0;
    pst_mono until = pst_server_timer_next(&loop->timers);
    if (loop->accept_again.ns < until.ns && !loop->stopping)
        until = loop->accept_again;
    pst_mono stop = pst_server_stop_time(loop->server);
    if (loop->conns && stop.ns < until.ns)
        until = stop;
    if (until.ns == PST_MONO_NEVER.ns)
        return -1;
    int64_t ms = pst_mono_ms_until(pst_server_now(loop), until);
    return ms < 60000 ? (int)ms : 60000;
}

pst_code pst_server_run_loop(struct pst_server *server, unsigned index, struct pst_err *err)
{
    if (index >= server->loop_count)
        return PST_FAIL(err, PST_E_INVALID, "there is no loop %u", index);
    struct pst_loop *loop = &server->loops[index];
    struct epoll_event waker = {.events = EPOLLIN, .data.ptr = &loop->waker};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->waker.fd, &waker) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "watching the waker");
    PST_TRY(pst_server_accept_start(loop, err));

    for (;;) {
        struct epoll_event events[EVENTS_PER_TURN];
        check_stop(loop);
        bury(loop);
        if (loop->stopping && !loop->conns && !loop->orphans)
            return PST_OK;
        int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, timeout_of(loop));
        if (n < 0 && errno != EINTR)
            return PST_FAIL_OS(err, PST_E_IO, "waiting for events");
        for (int i = 0; i < n; i++)
            handle_event(loop, &events[i]);
        run_inbox(loop);
        run_ready(loop);
        run_timers(loop);
    }
}
