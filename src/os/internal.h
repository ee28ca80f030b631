/* os/internal.h: what the files of os share. Not for other modules. */
#ifndef PST_OS_INTERNAL_H
#define PST_OS_INTERNAL_H

/* syscalls.c: leave only the system calls of the table to this process, all its threads and
 * their children. Returns 0, or the errno of the refusal. */
int pst_syscalls_restrict(void);

#endif
