/* os/service.c: signals, word to the service manager, protection of memory, the log's end. */
#include "os/service.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/clock.h"

pst_code pst_service_signals(int *out_fd, struct pst_err *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the write */
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (rc != 0) {
        errno = rc;
        return PST_FAIL_OS(err, PST_E_IO, "cannot block signals");
    }
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot receive signals");
    *out_fd = fd;
    return PST_OK;
}

enum pst_signal pst_service_wait_signal(int fd, int64_t timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct signalfd_siginfo info;
    int wait = timeout_ms < 0 ? -1 : timeout_ms > 3600000 ? 3600000 : (int)timeout_ms;
    if (poll(&p, 1, wait) <= 0 || read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return PST_SIGNAL_NONE;
    if (info.ssi_signo == SIGHUP)
        return PST_SIGNAL_RELOAD;
    return info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ? PST_SIGNAL_STOP
                                                                 : PST_SIGNAL_NONE;
}

static void end_process(int number)
{
    (void)number;
    _exit(0);
}

void pst_service_end_on_signals(void)
{
    (void)signal(SIGINT, end_process);
    (void)signal(SIGTERM, end_process);
}

pst_code pst_service_protect_memory(struct pst_err *err)
{
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot switch core dumps off");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot protect memory from other processes");
    return PST_OK;
}

uint64_t pst_service_raise_files(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted; /* it does not fail; without limits there is nothing to raise */
    struct rlimit more = limit;
    more.rlim_cur = wanted < limit.rlim_max ? (rlim_t)wanted : limit.rlim_max;
    if (more.rlim_cur > limit.rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0)
        return more.rlim_cur;
    return limit.rlim_cur;
}

static int format_notify(char *text, size_t size, enum pst_notify what, const char *status)
{
    const char *sep = status ? "\nSTATUS=" : "";
    const char *tail = status ? status : "";
    switch (what) {
    case PST_NOTIFY_READY:
        return snprintf(text, size, "READY=1%s%s", sep, tail);
    case PST_NOTIFY_RELOADING:
        /* systemd wants the moment, so that a READY of before does not count. */
        return snprintf(text, size, "RELOADING=1\nMONOTONIC_USEC=%lld%s%s",
                        (long long)(pst_mono_now().ns / 1000), sep, tail);
    case PST_NOTIFY_STOPPING:
        return snprintf(text, size, "STOPPING=1%s%s", sep, tail);
    case PST_NOTIFY_STATUS:
        break;
    }
    return snprintf(text, size, "STATUS=%s", tail);
}

void pst_service_notify(enum pst_notify what, const char *status)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path))
        return;
    size_t len = strlen(path);
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* abstract name space */

    char text[512];
    int n = format_notify(text, sizeof(text), what, status);
    if (n < 0)
        return;
    size_t size = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    (void)sendto(fd, text, size, MSG_NOSIGNAL, (const struct sockaddr *)&to, to_len);
    (void)close(fd);
}

static void write_line(void *self, const char *line, size_t len)
{
    (void)self;
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a log that cannot be written must not stop the service */
        line += n;
        len -= (size_t)n;
    }
}

static pst_wall read_wall(void *self)
{
    (void)self;
    return pst_wall_now();
}

struct pst_log_sink pst_service_log_sink(void)
{
    return (struct pst_log_sink){.write = write_line, .now = read_wall};
}
