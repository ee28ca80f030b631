/* tests/unit/http/peer.c: one thread, one connection at a time. */
#include "peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "os/clock.h"
#include "os/thread.h"
#include "tests/unit/test.h"

static bool wait_readable(struct peer *p, int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    while (!atomic_load(&p->stop))
        if (poll(&pfd, 1, 20) > 0)
            return true;
    return false;
}

static bool read_request(struct peer *p, int fd)
{
    char head[sizeof(p->last)] = "";
    size_t len = 0;
    while (len < sizeof(head) - 1) {
        if (!wait_readable(p, fd))
            return false;
        ssize_t n = recv(fd, head + len, sizeof(head) - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        if (strstr(head, "\r\n\r\n")) {
            memcpy(p->last, head, sizeof(head));
            return true;
        }
    }
    return false;
}

static bool send_bytes(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static bool play(struct peer *p, int fd, const struct peer_answer *a)
{
    size_t len = a->len ? a->len : strlen(a->bytes);
    for (int waited = 0; waited < a->delay_ms && !atomic_load(&p->stop); waited += 10)
        pst_sleep_ms(10);
    if (a->drip_ms == 0)
        return send_bytes(fd, a->bytes, len);
    for (size_t i = 0; i < len && !atomic_load(&p->stop); i++) {
        if (!send_bytes(fd, a->bytes + i, 1))
            return false;
        pst_sleep_ms(a->drip_ms);
    }
    return true;
}

static void serve(struct peer *p, int fd)
{
    while (read_request(p, fd)) {
        size_t n = atomic_fetch_add(&p->requests, 1);
        const struct peer_answer *a = &p->answers[n < p->count ? n : p->count - 1];
        if (!play(p, fd, a) || a->end == PEER_CLOSE)
            return;
        if (a->end == PEER_RESET) {
            struct linger hard = {.l_onoff = 1};
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
            return;
        }
    }
}

static void run(void *arg)
{
    struct peer *p = arg;
    while (wait_readable(p, p->listener)) {
        int fd = accept(p->listener, NULL, NULL);
        if (fd < 0)
            continue;
        atomic_fetch_add(&p->connections, 1);
        serve(p, fd);
        close(fd);
    }
}

void peer_start(struct peer *p, const struct peer_answer *answers, size_t count)
{
    struct pst_err err;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    memset(p, 0, sizeof(*p));
    p->answers = answers;
    p->count = count;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&in, size) != 0 ||
        listen(p->listener, 16) != 0 ||
        getsockname(p->listener, (struct sockaddr *)&in, &size) != 0 ||
        pst_thread_start(&p->thread, "peer", run, p, &err) != PST_OK)
        fail_msg("the peer cannot be started");
    p->port = ntohs(in.sin_port);
}

void peer_stop(struct peer *p)
{
    atomic_store(&p->stop, true);
    pst_thread_join(p->thread);
    close(p->listener);
}

const char *peer_url(const struct peer *p, const char *path)
{
    static char url[512];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", (unsigned)p->port, path);
    return url;
}
