/* os/service.h: being a daemon: signals as events, word to systemd, no core dumps, the log.
 *
 * Thread-safety: pst_service_prepare on the main thread before any other starts; signals are
 * read by one thread; notify from any.
 */
#ifndef PST_OS_SERVICE_H
#define PST_OS_SERVICE_H

#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

/* Blocks SIGTERM, SIGINT, SIGHUP (and ignores SIGPIPE) for this thread and those it starts;
 * *out_fd is a descriptor that becomes readable when one arrives (close it with close()).
 * Errors: IO. */
pst_code pst_service_signals(int *out_fd, struct pst_err *err);

enum pst_signal {
    PST_SIGNAL_NONE, /* timeout, or an event nobody cares about */
    PST_SIGNAL_STOP, /* SIGTERM or SIGINT */
    PST_SIGNAL_RELOAD, /* SIGHUP */
};
/* Wait at most timeout_ms (negative: without end) for the next one. */
enum pst_signal pst_service_wait_signal(int fd, int64_t timeout_ms);

/* SIGINT and SIGTERM end the process at once, with status 0: for commands that only show things
 * until somebody has seen enough. */
void pst_service_end_on_signals(void);

/* No core dumps, not traceable by the same user: memory holds credentials. Errors: IO. */
pst_code pst_service_protect_memory(struct pst_err *err);

/* Let this process open `wanted` descriptors, as far as the hard limit allows. Returns how many it
 * may open now. */
uint64_t pst_service_raise_files(uint64_t wanted);

enum pst_notify { PST_NOTIFY_READY, PST_NOTIFY_RELOADING, PST_NOTIFY_STOPPING, PST_NOTIFY_STATUS };
/* One datagram to $NOTIFY_SOCKET as systemd's sd_notify(3) defines it; nothing happens where
 * the variable is not set. status (may be NULL): one line for `systemctl status`. */
void pst_service_notify(enum pst_notify what, const char *status);

/* Log lines to standard error, stamped by the system clock. */
struct pst_log_sink pst_service_log_sink(void);

#endif
