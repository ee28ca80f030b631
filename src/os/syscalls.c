/* os/syscalls.c: the system calls that the server may use, as a table, loaded with libseccomp.
 *
 * What is not in the table answers ENOSYS, so that a C library of tomorrow, which tries a newer
 * call first, falls back to the one that is here. Nothing is killed: a call that was forgotten
 * here must cost one request, not the service. */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/internal.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* names for anonymous memory; glibc from 2.39 on */
#endif

static const char *const allowed[] = {
    /* files: which ones is Landlock's business */
    "access", "chmod", "close", "close_range", "creat", "dup", "dup2", "dup3", "faccessat",
    "faccessat2", "fadvise64", "fallocate", "fchmod", "fchmodat", "fchmodat2", "fchown", "fcntl",
    "fdatasync", "flock", "fstat", "fstatfs", "fsync", "ftruncate", "getcwd", "getdents64", "link",
    "linkat", "lseek", "lstat", "mkdir", "mkdirat", "newfstatat", "open", "openat", "pread64",
    "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readlink", "readlinkat",
    "readv", "rename", "renameat", "renameat2", "rmdir", "stat", "statfs", "statx",
    "sync_file_range", "truncate", "umask", "unlink", "unlinkat", "write", "writev",
    /* memory */
    "brk", "madvise", "membarrier", "mlock", "mlock2", "mremap", "msync", "munlock", "munmap",
    /* sockets and waiting */
    "accept", "accept4", "bind", "connect", "epoll_create1", "epoll_ctl", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "eventfd2", "getpeername", "getsockname", "getsockopt", "listen",
    "pipe", "pipe2", "poll", "ppoll", "pselect6", "recvfrom", "recvmmsg", "recvmsg", "select",
    "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "signalfd4", "socketpair",
    "timerfd_create", "timerfd_settime",
    /* threads, time, who we are */
    "clock_getres", "clock_gettime", "clock_nanosleep", "exit", "exit_group", "futex", "getcpu",
    "getegid", "geteuid", "getgid", "getpid", "getppid", "getrandom", "getrlimit", "getrusage",
    "gettid", "gettimeofday", "getuid", "map_shadow_stack", "nanosleep", "restart_syscall", "rseq",
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait",
    "sched_getaffinity", "sched_yield", "set_robust_list", "sigaltstack", "sysinfo", "time",
    "times", "uname"};

/* Allowed only where one argument is so; several rows of a call are alternatives. A mask of 0
 * stands for all bits of an int. */
static const struct {
    const char *name;
    unsigned argument;
    scmp_datum_t mask;
    scmp_datum_t value;
} allowed_if[] = {
    {"clone", 0, CLONE_THREAD, CLONE_THREAD}, /* threads, no processes */
    {"ioctl", 1, 0, FIONBIO},
    {"ioctl", 1, 0, FIONREAD},
    {"ioctl", 1, 0, SIOCGIFINDEX}, /* zones of IPv6 addresses */
    {"ioctl", 1, 0, SIOCGIFNAME},
    {"ioctl", 1, 0, TCGETS}, /* isatty; TIOCSTI would type into a terminal */
    {"mmap", 2, PROT_EXEC, 0},
    {"mmap", 2, PROT_WRITE | PROT_EXEC, PROT_EXEC}, /* modules of the name service, from files */
    {"mprotect", 2, PROT_EXEC, 0},
    {"prctl", 0, 0, PR_SET_NAME},
    {"prctl", 0, 0, PR_SET_VMA},
    {"prlimit64", 2, UINT64_MAX, 0}, /* looking at limits, not changing them */
    {"socket", 0, 0, AF_INET},
    {"socket", 0, 0, AF_INET6},
    {"socket", 0, 0, AF_NETLINK}, /* the resolver asks for the addresses of this machine */
    {"socket", 0, 0, AF_UNIX},
};

/* Signals go to this process only. */
static const char *const allowed_to_self[] = {"kill", "tgkill"};

static void release(scmp_filter_ctx *ctx)
{
    seccomp_release(*ctx);
}

/* A call that this machine's kind has not, or this libseccomp does not know, is passed over. */
static int allow(scmp_filter_ctx ctx, const char *name, const struct scmp_arg_cmp *condition)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return 0;
    int rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, condition ? 1 : 0, condition);
    return rc == -EDOM ? 0 : rc;
}

static int add_rules(scmp_filter_ctx ctx)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < PST_COUNT(allowed); i++)
        rc = allow(ctx, allowed[i], NULL);
    for (size_t i = 0; rc == 0 && i < PST_COUNT(allowed_if); i++) {
        scmp_datum_t mask = allowed_if[i].mask ? allowed_if[i].mask : UINT32_MAX;
        rc =
            allow(ctx, allowed_if[i].name,
                  &SCMP_CMP(allowed_if[i].argument, SCMP_CMP_MASKED_EQ, mask, allowed_if[i].value));
    }
    for (size_t i = 0; rc == 0 && i < PST_COUNT(allowed_to_self); i++)
        rc = allow(ctx, allowed_to_self[i], &SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    return rc;
}

int pst_syscalls_restrict(void)
{
    __attribute__((cleanup(release))) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (!ctx)
        return ENOMEM;
    int rc = add_rules(ctx);
    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    /* Kernels before 5.16 slow every filtered process down against attacks between parties
     * inside one process, which this one does not have. Not all know the request. */
    if (rc == 0)
        (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
    if (rc == 0)
        (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0)
        rc = seccomp_load(ctx);
    return -rc;
}
