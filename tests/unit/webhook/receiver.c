/* tests/unit/webhook/receiver.c: see receiver.h. */
#include "receiver.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "os/thread.h"
#include "tests/unit/test.h"

enum { REQUEST_MAX = 1 << 20, POLL_MS = 5 };

static char *copy(const char *from, size_t len)
{
    char *to = malloc(len + 1);
    if (!to)
        abort();
    memcpy(to, from, len);
    to[len] = '\0';
    return to;
}

static void keep(struct receiver *r, int path, const char *head, size_t head_len, const char *body,
                 size_t body_len)
{
    (void)pthread_mutex_lock(&r->mutex);
    int n = atomic_load(&r->total);
    if (n == RECEIVER_REQUESTS)
        abort();
    r->requests[n] = (struct received){path, copy(head, head_len), copy(body, body_len)};
    atomic_store(&r->total, n + 1);
    atomic_fetch_add(&r->count[path], 1);
    (void)pthread_mutex_unlock(&r->mutex);
}

static bool send_all(int fd, const char *bytes, size_t len)
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

static bool answer(struct receiver *r, struct receiver_connection *c, int path)
{
    int status = atomic_load(&r->status[path]);
    size_t body = status == 204 ? 0 : atomic_load(&r->body_bytes[path]);
    const char *headers = atomic_load(&r->headers[path]);
    char head[512];
    char block[4096];
    c->hangs = status == 0 ? path : -1;
    if (status == 0)
        return true;
    int len =
        snprintf(head, sizeof(head), "HTTP/1.1 %d Whatever\r\n%s", status, headers ? headers : "");
    len += snprintf(head + len, sizeof(head) - (size_t)len,
                    status == 204 ? "\r\n" : "Content-Length: %zu\r\n\r\n", body);
    bool is_sent = send_all(c->fd, head, (size_t)len);
    memset(block, 'x', sizeof(block));
    while (is_sent && body > 0) {
        size_t part = body < sizeof(block) ? body : sizeof(block);
        is_sent = send_all(c->fd, block, part);
        body -= part;
    }
    return is_sent;
}

/* Every whole request that has come. */
static bool handle(struct receiver *r, struct receiver_connection *c)
{
    char *end = NULL;
    while (c->hangs < 0 && (end = memmem(c->bytes, c->len, "\r\n\r\n", 4))) {
        size_t head_len = (size_t)(end - c->bytes) + 4;
        c->bytes[head_len - 1] = '\0';
        const char *length = strcasestr(c->bytes, "\ncontent-length:");
        size_t body_len = length ? strtoul(length + 16, NULL, 10) : 0;
        c->bytes[head_len - 1] = '\n';
        if (c->len < head_len + body_len)
            return true;
        const char *target = strchr(c->bytes, '/');
        int path = target ? (target[1] - '0') % RECEIVER_PATHS : 0;
        keep(r, path, c->bytes, head_len, c->bytes + head_len, body_len);
        c->len -= head_len + body_len;
        memmove(c->bytes, c->bytes + head_len + body_len, c->len);
        c->bytes[c->len] = '\0';
        if (!answer(r, c, path))
            return false;
    }
    return true;
}

static void hang_up(struct receiver_connection *c)
{
    (void)close(c->fd);
    free(c->bytes);
    *c = (struct receiver_connection){.fd = -1, .hangs = -1};
}

static void take(struct receiver *r)
{
    for (size_t i = 0; i < RECEIVER_CONNECTIONS; i++) {
        struct receiver_connection *c = &r->connections[i];
        if (c->fd < 0) {
            *c = (struct receiver_connection){.fd = accept(r->listener, NULL, NULL), .hangs = -1};
            c->bytes = calloc(1, REQUEST_MAX);
            return;
        }
    }
    abort();
}

static void read_more(struct receiver *r, struct receiver_connection *c)
{
    ssize_t n = recv(c->fd, c->bytes + c->len, REQUEST_MAX - 1 - c->len, 0);
    if (n > 0) {
        c->len += (size_t)n;
        c->bytes[c->len] = '\0';
    }
    if (n <= 0 || !handle(r, c))
        hang_up(c);
}

/* Answers that were held back and may be given now. */
static void release(struct receiver *r, struct receiver_connection *c)
{
    if (c->fd < 0 || c->hangs < 0 || atomic_load(&r->status[c->hangs]) == 0)
        return;
    int path = c->hangs;
    c->hangs = -1;
    if (!answer(r, c, path) || !handle(r, c))
        hang_up(c);
}

static void run(void *arg)
{
    struct receiver *r = arg;
    while (!atomic_load(&r->stop)) {
        struct pollfd fds[RECEIVER_CONNECTIONS + 1] = {{.fd = r->listener, .events = POLLIN}};
        for (size_t i = 0; i < RECEIVER_CONNECTIONS; i++)
            fds[i + 1] = (struct pollfd){.fd = r->connections[i].fd, .events = POLLIN};
        if (poll(fds, RECEIVER_CONNECTIONS + 1, POLL_MS) < 0)
            continue;
        for (size_t i = 0; i < RECEIVER_CONNECTIONS; i++) {
            if (fds[i + 1].revents)
                read_more(r, &r->connections[i]);
            release(r, &r->connections[i]);
        }
        if (fds[0].revents)
            take(r);
    }
}

void receiver_start(struct receiver *r)
{
    struct pst_err err;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    memset(r, 0, sizeof(*r));
    (void)pthread_mutex_init(&r->mutex, NULL);
    for (size_t i = 0; i < RECEIVER_PATHS; i++)
        atomic_store(&r->status[i], 204);
    for (size_t i = 0; i < RECEIVER_CONNECTIONS; i++)
        r->connections[i] = (struct receiver_connection){.fd = -1, .hangs = -1};
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(r->listener >= 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&in, size), 0);
    assert_int_equal(listen(r->listener, 64), 0);
    assert_int_equal(getsockname(r->listener, (struct sockaddr *)&in, &size), 0);
    assert_ok(pst_thread_start(&r->thread, "receiver", run, r, &err));
    r->port = ntohs(in.sin_port);
}

void receiver_stop(struct receiver *r)
{
    atomic_store(&r->stop, true);
    pst_thread_join(r->thread);
    for (size_t i = 0; i < RECEIVER_CONNECTIONS; i++)
        if (r->connections[i].fd >= 0)
            hang_up(&r->connections[i]);
    for (int i = 0; i < atomic_load(&r->total); i++) {
        free(r->requests[i].head);
        free(r->requests[i].body);
    }
    (void)close(r->listener);
    (void)pthread_mutex_destroy(&r->mutex);
}

const struct received *receiver_get(struct receiver *r, int path, int n)
{
    const struct received *found = NULL;
    (void)pthread_mutex_lock(&r->mutex);
    for (int i = 0; i < atomic_load(&r->total) && !found; i++)
        if (r->requests[i].path == path && n-- == 0)
            found = &r->requests[i];
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

const char *received_header(const struct received *q, const char *name)
{
    static char value[2048];
    char wanted[128];
    (void)snprintf(wanted, sizeof(wanted), "\n%s: ", name);
    value[0] = '\0';
    const char *at = strcasestr(q->head, wanted);
    if (at)
        (void)sscanf(at + strlen(wanted), "%2047[^\r]", value);
    return value;
}
