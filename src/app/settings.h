/* app/settings.h: the server's configuration as a process finds it: file, environment, flags,
 * and the paths that follow. Commands use it too, to find a server's data.
 *
 * Thread-safety: any thread.
 */
#ifndef PST_APP_SETTINGS_H
#define PST_APP_SETTINGS_H

#include "config/options.h"

/* How the names of copies begin that the server makes in its data directory for `penstock backup`
 * to take away; a start removes what was left there. */
#define PST_STAGED ".staged-"

struct pst_settings {
    struct pst_config *config; /* one reference, the caller's */
    struct pst_paths paths; /* in the arena */
    pst_str file; /* the configuration file that was read, or "" */
};

/* args: flags of `penstock serve`. Errors: INVALID, NOT_FOUND and DENIED (the file), IO,
 * NO_MEMORY, LIMIT. */
pst_code pst_settings_load(struct pst_settings *out, struct pst_arena *arena,
                           const char *const *args, size_t arg_count, const char *const *env,
                           struct pst_err *err);

#endif
