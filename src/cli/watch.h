/* cli/watch.h: a running sync as a progress bar on a terminal, as plain lines elsewhere.
 *
 * Thread-safety: main thread.
 */
#ifndef PST_CLI_WATCH_H
#define PST_CLI_WATCH_H

#include "cli/command.h"

/* Follow a sync to its end and print its result (with --json: the sync as the API has it).
 * Errors: the sync's own error when it failed, CANCELLED when it was cancelled or the watching
 * was ended by Ctrl-C; those of the calls. */
pst_code pst_watch_sync(struct pst_cli *cli, pst_str connection_id, pst_str sync_id,
                        struct pst_err *err);

#endif
