/* app/probe.c: looking at a server from outside. */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/app.h"
#include "base/cleanup.h"
#include "server/server.h"

bool pst_app_is_running(pst_str socket_path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (!pst_str_copy(at.sun_path, sizeof(at.sun_path), socket_path))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool answers = connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
    (void)close(fd);
    return answers;
}

pst_code pst_app_try_listen(pst_str address, struct pst_err *err)
{
    PST_AUTO(router) struct pst_router *router = NULL;
    PST_AUTO(server) struct pst_server *server = NULL;
    const char *const listen[] = {address.ptr};
    struct pst_server_options options = {.listen = listen, .listen_count = 1, .loops = 1};
    PST_TRY(pst_router_new(&router, NULL, 0, err));
    options.router = router;
    return pst_server_new(&server, &options, err);
}
