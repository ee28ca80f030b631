/* os/sandbox.c: Landlock with the kernel's three calls (the C library has no wrappers), and the
 * parts together. */
#include "os/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/internal.h"

/* Newer than the headers of Debian 12. */
enum {
    RIGHT_TRUNCATE = 1 << 14, /* from version 3 on */
    RIGHT_IOCTL_DEV = 1 << 15, /* 5 */
    NET_BIND_TCP = 1 << 0, /* 4 */
    VERSION_TRUNCATE = 3,
    VERSION_NET = 4,
    VERSION_IOCTL_DEV = 5,
};

/* struct landlock_ruleset_attr as of version 4; older kernels take it with net = 0. */
struct ruleset {
    uint64_t fs;
    uint64_t net;
};

enum {
    READ_FILE = LANDLOCK_ACCESS_FS_READ_FILE,
    READ_DIRECTORY = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    WRITE_FILE = READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE,
    WRITE_DIRECTORY =
        READ_DIRECTORY | WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG,
};

/* Every right that this version knows: what is not granted below is then refused. */
static struct ruleset handled(int version)
{
    struct ruleset set = {.fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    if (version >= VERSION_TRUNCATE)
        set.fs |= RIGHT_TRUNCATE;
    if (version >= VERSION_NET)
        set.net = NET_BIND_TCP;
    if (version >= VERSION_IOCTL_DEV)
        set.fs |= RIGHT_IOCTL_DEV;
    return set;
}

/* 0, or errno. */
static int add_path(int ruleset, const struct pst_sandbox_path *path, uint64_t known)
{
    struct stat st;
    bool write = path->use == PST_SANDBOX_WRITE;
    int fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : errno;
    int rc = fstat(fd, &st);
    if (rc == 0) {
        uint64_t directory = write ? WRITE_DIRECTORY : READ_DIRECTORY;
        uint64_t file = write ? WRITE_FILE : READ_FILE;
        struct landlock_path_beneath_attr rule = {
            .allowed_access = (S_ISDIR(st.st_mode) ? directory : file) & known,
            .parent_fd = fd,
        };
        rc = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    int failure = rc == 0 ? 0 : errno;
    (void)close(fd);
    return failure;
}

/* 0, or errno; *version is set on success. */
static int restrict_files(const struct pst_sandbox_path *paths, size_t count, int *version)
{
    long found = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (found < 0)
        return errno;
    struct ruleset set = handled((int)found);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0);
    if (ruleset < 0)
        return errno;
    int failure = 0;
    for (size_t i = 0; failure == 0 && i < count; i++)
        failure = add_path(ruleset, &paths[i], set.fs);
    if (failure == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        failure = errno;
    (void)close(ruleset);
    if (failure == 0)
        *version = (int)found;
    return failure;
}

static void note_missing(struct pst_sandbox_state *state, const char *part, int failure)
{
    size_t used = strlen(state->why);
    char text[80];
    (void)snprintf(state->why + used, sizeof(state->why) - used, "%s%s: %s", used ? "; " : "", part,
                   strerror_r(failure, text, sizeof(text)));
}

void pst_sandbox_enter(const struct pst_sandbox_path *paths, size_t count,
                       struct pst_sandbox_state *out)
{
    *out = (struct pst_sandbox_state){0};
    /* Without it an ordinary user gets neither of the others. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        out->no_new_privileges = true;
    else
        note_missing(out, "no new privileges", errno);
    int failure = restrict_files(paths, count, &out->landlock);
    if (failure != 0)
        note_missing(out, "Landlock", failure);
    /* Last: it takes away the calls used above. */
    failure = pst_syscalls_restrict();
    if (failure == 0)
        out->syscalls = true;
    else
        note_missing(out, "system call filter", failure);
}

bool pst_sandbox_is_whole(const struct pst_sandbox_state *state)
{
    return state->no_new_privileges && state->syscalls && state->landlock > 0;
}
