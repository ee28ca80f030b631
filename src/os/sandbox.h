/* os/sandbox.h: giving up for good what this process will not need: whoever takes it over finds
 * little to do with it.
 *
 *   no new privileges   set-user-id programs and file capabilities have no effect
 *   system calls        only those of a table (os/syscalls.c) are there; the others answer
 *                       ENOSYS, as from a kernel that never had them: no program is started, no
 *                       process traced, nothing mounted, no memory both written and executed
 *   files (Landlock)    only the named paths may be read or written; no TCP port is opened for
 *                       listening
 *
 * Every part is best effort: kernels before 5.13 and some containers lack Landlock, some
 * containers forbid filters. What is in force is reported, and it is the caller who decides
 * whether that is enough. Descriptors that are open already keep working.
 *
 * Facts: landlock(7), seccomp(2), kernel's Documentation/userspace-api/landlock.rst.
 * Thread-safety: the main thread, before it starts others: they inherit Landlock only then.
 */
#ifndef PST_OS_SANDBOX_H
#define PST_OS_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum pst_sandbox_use {
    PST_SANDBOX_READ, /* files and directories beneath may be read */
    PST_SANDBOX_WRITE, /* and files in it made, changed, renamed, removed */
};

/* A directory with all beneath it, or a file; one that does not exist is passed over. */
struct pst_sandbox_path {
    const char *path;
    enum pst_sandbox_use use;
};

enum { PST_SANDBOX_WHY = 160 };

struct pst_sandbox_state {
    bool no_new_privileges;
    bool syscalls;
    int landlock; /* version of the kernel's interface; 0: not in force */
    char why[PST_SANDBOX_WHY]; /* what is missing and why, one line; "" when all is in force */
};

/* Enter it. Never fails as a whole: *out says what is in force from now on. */
void pst_sandbox_enter(const struct pst_sandbox_path *paths, size_t count,
                       struct pst_sandbox_state *out);

/* Whether every part is. */
bool pst_sandbox_is_whole(const struct pst_sandbox_state *state);

#endif
