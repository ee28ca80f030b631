/* cli/follow.h: commands that go on for ever outlive a server that is started again: they say so
 * once, ask again each second, and go on where they were.
 *
 * Thread-safety: one thread per struct.
 */
#ifndef PST_CLI_FOLLOW_H
#define PST_CLI_FOLLOW_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* All zero at first. */
struct pst_follow {
    bool is_connected; /* the server has answered once */
    bool is_waiting; /* it does not answer, which was said */
};

/* After each call, with what it returned. True: make the next one (the wait is over). False: what
 * err says is final; so is whatever comes before the first answer, that the command is refused at
 * once where nothing runs. */
bool pst_follow_goes_on(struct pst_follow *f, pst_code code, const struct pst_err *err);
/* Seconds that the next call may wait for news, as the query has it: "20"; "" while the server does
 * not answer, so that it is told as soon as it does. */
pst_str pst_follow_wait(const struct pst_follow *f);

#endif
