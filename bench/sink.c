/* bench/sink.c: a receiver of webhooks that does as little as a receiver can: one thread on epoll.
 *
 *   sink_bench
 *
 * Listens on a free port of loopback, prints it, and answers every POST with 204, but for those to
 * /slow, which get no answer. A bench asks it over the same port:
 *
 *   GET /stats   how many came, when the first and the last (microseconds since 1970), and how long
 *                after their event's time: percentiles of the last SAMPLES of them
 *   GET /reset   begin anew
 *
 * Ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/time.h"
#include "os/clock.h"

enum { CLIENTS = 4096, BUFFER = 64 << 10, SAMPLES = 1 << 20, READY = 256 };

struct client {
    size_t have;
    char bytes[BUFFER];
};
static struct client *clients[CLIENTS]; /* by descriptor */

static struct {
    uint64_t count, bodies; /* bodies: their bytes */
    int64_t first_us, last_us;
    uint32_t lag_us[SAMPLES]; /* a ring */
} seen;

static _Noreturn void stop(const char *what)
{
    (void)fprintf(stderr, "sink_bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- what is counted ---- */

static void note(const char *body, size_t len)
{
    static const char name[] = "\"timestamp\":\"";
    int64_t now = pst_wall_now().us;
    size_t within = len < 300 ? len : 300; /* it stands in front of `data` */
    const char *at = memmem(body, within, name, sizeof(name) - 1);
    pst_wall told = PST_WALL_NONE;
    if (at) {
        const char *text = at + sizeof(name) - 1;
        const char *end = memchr(text, '"', (size_t)(body + len - text));
        if (end && !pst_wall_parse(&told, (pst_str){text, (size_t)(end - text)}))
            told = PST_WALL_NONE;
    }
    int64_t lag = pst_wall_is_none(told) || now < told.us ? 0 : now - told.us;
    seen.lag_us[seen.count % SAMPLES] = lag > UINT32_MAX ? UINT32_MAX : (uint32_t)lag;
    seen.first_us = seen.count ? seen.first_us : now;
    seen.last_us = now;
    seen.bodies += len;
    seen.count++;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void tell_stats(int fd)
{
    char body[400];
    char head[500];
    size_t n = seen.count < SAMPLES ? (size_t)seen.count : SAMPLES;
    qsort(seen.lag_us, n, sizeof(*seen.lag_us), compare);
#define AT(share) (n ? seen.lag_us[(size_t)((double)(n - 1) * (share))] : 0)
    int len = snprintf(body, sizeof(body),
                       "{\"count\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"first_us\":%" PRId64
                       ",\"last_us\":%" PRId64 ",\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u,"
                       "\"max_us\":%u,\"cpu_ns\":%" PRId64 "}",
                       seen.count, seen.bodies, seen.first_us, seen.last_us, AT(0.5), AT(0.99),
                       AT(0.999), AT(1.0), pst_cpu_thread_ns());
    int all = snprintf(head, sizeof(head),
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n%s",
                       len, body);
    (void)!write(fd, head, (size_t)all);
}

/* ---- HTTP ---- */

static size_t body_length(const char *head, const char *end)
{
    static const char name[] = "\r\ncontent-length:";
    for (const char *p = head; (size_t)(end - p) > sizeof(name); p++)
        if (*p == '\r' && strncasecmp(p, name, sizeof(name) - 1) == 0)
            return strtoul(p + sizeof(name) - 1, NULL, 10);
    return 0;
}

/* A whole request at the beginning of what came? Answers it; returns its bytes, 0 = not yet. */
static size_t take(int fd, const char *from, size_t have)
{
    static const char good[] = "HTTP/1.1 204 No Content\r\n\r\n";
    const char *end = memmem(from, have, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - from) + 4;
    size_t body = body_length(from, end + 2);
    if (have < head + body)
        return 0;
    if (strncmp(from, "GET /stats", 10) == 0) {
        tell_stats(fd);
    } else if (strncmp(from, "GET /reset", 10) == 0) {
        seen.count = seen.bodies = 0;
        (void)!write(fd, good, sizeof(good) - 1);
    } else if (strncmp(from, "POST /slow", 10) != 0) {
        note(from + head, body);
        (void)!write(fd, good, sizeof(good) - 1);
    }
    return head + body;
}

static void drop(int fd)
{
    free(clients[fd]);
    clients[fd] = NULL;
    close(fd);
}

static void serve(int fd)
{
    struct client *c = clients[fd];
    ssize_t n = read(fd, c->bytes + c->have, sizeof(c->bytes) - c->have);
    if (n <= 0) {
        drop(fd);
        return;
    }
    c->have += (size_t)n;
    size_t at = 0;
    for (size_t used; (used = take(fd, c->bytes + at, c->have - at)) > 0;)
        at += used;
    memmove(c->bytes, c->bytes + at, c->have - at);
    c->have -= at;
}

static void greet(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0)
        return;
    if (fd >= CLIENTS || !(clients[fd] = calloc(1, sizeof(struct client)))) {
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        stop("epoll");
}

static int open_listener(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        stop("listening");
    printf("%d\n", ntohs(at.sin_port));
    (void)fflush(stdout);
    return fd;
}

int main(void)
{
    int listener = open_listener();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ready[READY];
    struct epoll_event of_listener = {.events = EPOLLIN, .data.fd = listener};
    struct epoll_event of_input = {.events = EPOLLIN, .data.fd = STDIN_FILENO};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &of_listener) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &of_input) != 0)
        stop("epoll");
    for (;;) {
        int n = epoll_wait(epoll, ready, READY, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == listener)
                greet(epoll, listener);
            else if (ready[i].data.fd == STDIN_FILENO)
                return 0;
            else
                serve(ready[i].data.fd);
        }
    }
}
