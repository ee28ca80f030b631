/* server/listen.c: listening sockets, and who is at the other end of an accepted one. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/num.h"
#include "server/internal.h"

enum { BACKLOG = 1024 };

static pst_code parse_tcp(struct sockaddr_storage *out, socklen_t *len, pst_str text,
                          struct pst_err *err)
{
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    pst_str host = pst_str_sub(text, 0, colon ? colon - 1 : 0);
    uint64_t port = 0;
    bool valid = colon > 0 && pst_parse_u64(&port, pst_str_sub(text, colon, text.len), 0, 65535);
    bool v6 = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (v6)
        host = pst_str_sub(host, 1, host.len - 2);
    char name[INET6_ADDRSTRLEN] = "";
    valid = valid && pst_str_copy(name, sizeof(name), host);

    *out = (struct sockaddr_storage){0};
    struct sockaddr_in *in4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    if (valid && v6) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        *len = sizeof(*in6);
        valid = inet_pton(AF_INET6, name, &in6->sin6_addr) == 1;
    } else if (valid) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons((uint16_t)port);
        *len = sizeof(*in4);
        valid = inet_pton(AF_INET, pst_str_is(host, "localhost") ? "127.0.0.1" : name,
                          &in4->sin_addr) == 1;
    }
    if (!valid)
        return PST_FAIL_AT(err, PST_E_INVALID, "listen",
                           "'%.*s' is not an address and port like '127.0.0.1:7400'",
                           PST_STR_ARG(text));
    return PST_OK;
}

static pst_code bind_and_listen(struct pst_listener *l, const struct sockaddr_storage *addr,
                                socklen_t len, const char *address, struct pst_err *err)
{
    if (bind(l->fd, (const struct sockaddr *)addr, len) != 0) {
        if (errno == EADDRINUSE)
            return PST_FAIL_OS(err, PST_E_CONFLICT, "'%s'", address);
        return PST_FAIL_OS(err, PST_E_IO, "binding to '%s'", address);
    }
    return PST_OK;
}

static pst_code listen_tcp(struct pst_listener *l, const char *address, struct pst_err *err)
{
    struct sockaddr_storage addr;
    socklen_t len = 0;
    PST_TRY(parse_tcp(&addr, &len, pst_str_from(address), err));
    l->fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return PST_FAIL_OS(err, PST_E_IO, "socket for '%s'", address);
    int on = 1;
    (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (addr.ss_family == AF_INET6)
        (void)setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    PST_TRY(bind_and_listen(l, &addr, len, address, err));
    if (listen(l->fd, BACKLOG) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "listening on '%s'", address);

    len = sizeof(addr);
    if (getsockname(l->fd, (struct sockaddr *)&addr, &len) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "address of '%s'", address);
    l->port = ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                               : ((struct sockaddr_in *)&addr)->sin_port);
    return PST_OK;
}

/* A socket file that nobody answers on is left over from a crash. */
static pst_code remove_dead_socket(const struct sockaddr_un *addr, struct pst_err *err)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) != 0)
        return PST_OK;
    if (!S_ISSOCK(st.st_mode))
        return PST_FAIL(err, PST_E_CONFLICT, "'%s' exists and is not a socket", addr->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return PST_FAIL_OS(err, PST_E_IO, "socket");
    int rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
    int why = errno;
    (void)close(fd);
    if (rc == 0 || why == EAGAIN)
        return PST_FAIL(err, PST_E_CONFLICT, "another server answers on '%s'", addr->sun_path);
    if (unlink(addr->sun_path) != 0 && errno != ENOENT)
        return PST_FAIL_OS(err, PST_E_IO, "removing '%s'", addr->sun_path);
    return PST_OK;
}

static pst_code listen_unix(struct pst_listener *l, const char *path, struct pst_err *err)
{
    union {
        struct sockaddr_un un;
        struct sockaddr_storage any;
    } addr = {.un = {.sun_family = AF_UNIX}};
    if (!pst_str_copy(addr.un.sun_path, sizeof(addr.un.sun_path), pst_str_from(path)) || !path[0])
        return PST_FAIL_AT(err, PST_E_INVALID, "listen",
                           "the path of a socket has 1 to %zu bytes, '%s' does not",
                           sizeof(addr.un.sun_path) - 1, path);
    PST_TRY(remove_dead_socket(&addr.un, err));
    l->local = true;
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return PST_FAIL_OS(err, PST_E_IO, "socket for '%s'", path);
    PST_TRY(bind_and_listen(l, &addr.any, sizeof(addr.un), path, err));
    size_t len = strlen(path);
    l->path = pst_malloc(len + 1);
    if (!l->path) {
        (void)unlink(path);
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for a listener");
    }
    memcpy(l->path, path, len + 1);
    /* Nobody can connect between bind and chmod: the socket does not listen yet. */
    if (chmod(path, S_IRUSR | S_IWUSR) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "mode of '%s'", path);
    if (listen(l->fd, BACKLOG) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "listening on '%s'", path);
    return PST_OK;
}

pst_code pst_server_listen(struct pst_listener *l, const char *address, struct pst_err *err)
{
    *l = (struct pst_listener){.kind = PST_FD_LISTENER, .fd = -1};
    return strncmp(address, "unix:", 5) == 0 ? listen_unix(l, address + 5, err)
                                             : listen_tcp(l, address, err);
}

void pst_server_listener_close(struct pst_listener *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    l->fd = -1;
    if (l->path)
        (void)unlink(l->path);
    pst_free(l->path);
    l->path = NULL;
}

void pst_server_peer_of(struct pst_peer *out, int fd, bool local,
                        const struct sockaddr_storage *from)
{
    *out = (struct pst_peer){.local = local, .uid = UINT32_MAX};
    if (local) {
        struct ucred cred = {0};
        socklen_t len = sizeof(cred);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
            out->uid = cred.uid;
        return;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const void *bytes = from->ss_family == AF_INET6
                            ? (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)from)->sin_addr;
    if (!inet_ntop(from->ss_family, bytes, out->address, sizeof(out->address)))
        out->address[0] = '\0';
}
