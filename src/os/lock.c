/* os/lock.c: one process at a time, by flock(2): the kernel drops it when the process ends, so
 * a lock left behind by a crash does not exist. */
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/num.h"
#include "os/file.h"

struct pst_lock {
    int fd;
};

static pst_code refuse_held(int fd, const char *path, struct pst_err *err)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    pst_str text = pst_str_trim((pst_str){pid, n > 0 ? (size_t)n : 0});
    return PST_FAIL(err, PST_E_CONFLICT, "'%s' is locked by another process (pid %.*s)", path,
                    PST_STR_ARG(text));
}

pst_code pst_lock_take(struct pst_lock **out, const char *path, struct pst_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return PST_FAIL_OS(err, errno == EACCES ? PST_E_DENIED : PST_E_IO, "cannot open lock '%s'",
                           path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        pst_code rc = errno == EWOULDBLOCK ? refuse_held(fd, path, err)
                                           : PST_FAIL_OS(err, PST_E_IO, "cannot lock '%s'", path);
        (void)close(fd);
        return rc;
    }
    /* The pid is for the error text above only; the lock is the flock. */
    char pid[24];
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        errno = 0;

    struct pst_lock *lock = NULL;
    pst_code rc = pst_new((void **)&lock, sizeof(*lock), err);
    if (rc != PST_OK) {
        (void)close(fd);
        return rc;
    }
    lock->fd = fd;
    *out = lock;
    return PST_OK;
}

void pst_lock_free(struct pst_lock *lock)
{
    if (!lock)
        return;
    (void)close(lock->fd);
    pst_free(lock);
}
