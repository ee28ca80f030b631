/* app/app.h: the server as a process: builds every object in dependency order, owns the threads,
 * tears down in reverse.
 *
 *   main thread       signals, retention, reload
 *   writer            the one connection that changes the store
 *   server 1..n       one event loop each
 *   scheduler         which connection is due
 *   webhooks          deliveries of events
 *   sync 1..n         one sync at a time, each with a fetch thread that reads ahead
 *   work 1..n         API requests that change something, and so wait for the writer
 *   call 1..n         calls to connected systems that API requests cause
 *
 * Stopping: no new requests and no new pages; what is in hand is finished or checkpointed; a
 * second SIGTERM or SIGINT ends the process at once (which is safe at any moment).
 *
 * Thread-safety: main thread.
 */
#ifndef PST_APP_APP_H
#define PST_APP_APP_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* Serve until SIGTERM or SIGINT. args: flags of `penstock serve`. Errors: everything that keeps
 * the server from starting, in words for the operator. */
pst_code pst_app_serve(const char *const *args, size_t arg_count, const char *const *env,
                       struct pst_err *err);

/* For commands that look from outside: whether a server listens on that socket, and whether one
 * could listen on that address ("127.0.0.1:7400"; errors: CONFLICT, INVALID, DENIED, IO). */
bool pst_app_is_running(pst_str socket_path);
pst_code pst_app_try_listen(pst_str address, struct pst_err *err);

#endif
