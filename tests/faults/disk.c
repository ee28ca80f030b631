/* tests/faults/disk.c: see disk.h. The real calls are made by syscall(2): the names of the C
 * library lead back here. */
#include "tests/faults/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { FDS = 1024, NOT_WATCHED = -1, THE_DIRECTORY = -2, UNRECORDED = -3 };

const char *const disk_call_names[DISK_CALLS] = {"open",     "read",   "write",  "sync",
                                                 "truncate", "unlink", "rename", "lock"};

static struct {
    pthread_mutex_t mutex;
    char dir[PATH_MAX];
    bool records;
    struct disk_op *ops;
    size_t count, room;
    struct {
        char name[DISK_NAME_BYTES];
        int file;
    } names[DISK_FILES];
    size_t name_count;
    int files;
    int fds[FDS]; /* file + 1; 0: not watched; negative: see above */
    struct disk_fault fault;
    bool fails;
    long calls;
    bool has_failed;
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    (void)pthread_mutex_lock(&disk.mutex);
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&disk.mutex);
}

/* ---- which files ---- */

/* The name below the watched directory, or NULL. "" is the directory itself. */
static const char *name_of(const char *path)
{
    size_t len = strlen(disk.dir);
    if (len == 0 || strncmp(path, disk.dir, len) != 0)
        return NULL;
    if (path[len] == '\0')
        return "";
    if (path[len] != '/' || strchr(path + len + 1, '/') ||
        strlen(path + len + 1) >= DISK_NAME_BYTES)
        return NULL;
    return path + len + 1;
}

static bool ends_with(const char *name, const char *end)
{
    size_t a = strlen(name);
    size_t b = strlen(end);
    return a >= b && strcmp(name + a - b, end) == 0;
}

static bool is_recorded(const char *name)
{
    return !ends_with(name, "-shm") && !ends_with(name, ".lock");
}

static int find_name(const char *name)
{
    for (size_t i = 0; i < disk.name_count; i++)
        if (strcmp(disk.names[i].name, name) == 0)
            return (int)i;
    return -1;
}

static void copy_name(char out[DISK_NAME_BYTES], const char *name)
{
    (void)snprintf(out, DISK_NAME_BYTES, "%s", name);
}

static int set_name(const char *name, int file)
{
    int i = find_name(name);
    if (i < 0 && disk.name_count == DISK_FILES)
        abort();
    if (i < 0)
        i = (int)disk.name_count++;
    copy_name(disk.names[i].name, name);
    disk.names[i].file = file;
    return file;
}

static void drop_name(const char *name)
{
    int i = find_name(name);
    if (i >= 0)
        disk.names[i] = disk.names[--disk.name_count];
}

static int file_of_fd(int fd)
{
    return fd >= 0 && fd < FDS && disk.fds[fd] > 0 ? disk.fds[fd] - 1 : NOT_WATCHED;
}

/* ---- recording ---- */

static struct disk_op *add_op(enum disk_kind kind, int file)
{
    if (disk.count == disk.room) {
        disk.room = disk.room ? 2 * disk.room : 1024;
        disk.ops = realloc(disk.ops, disk.room * sizeof(*disk.ops));
        if (!disk.ops)
            abort();
    }
    struct disk_op *op = &disk.ops[disk.count++];
    *op = (struct disk_op){.kind = kind, .file = file};
    return op;
}

static void note_write(int fd, const void *bytes, size_t len, int64_t at)
{
    int file = file_of_fd(fd);
    if (!disk.records || file < 0)
        return;
    struct disk_op *op = add_op(DISK_WRITE, file);
    op->at = at;
    op->len = len;
    op->bytes = malloc(len ? len : 1);
    if (!op->bytes)
        abort();
    memcpy(op->bytes, bytes, len);
}

static void note_open(int fd, const char *path, bool existed, int flags)
{
    const char *name = name_of(path);
    if (fd < 0 || fd >= FDS)
        return;
    disk.fds[fd] = 0;
    if (!name)
        return;
    if (!*name) {
        disk.fds[fd] = THE_DIRECTORY;
        return;
    }
    if (!is_recorded(name)) {
        disk.fds[fd] = UNRECORDED;
        return;
    }
    int i = find_name(name);
    int file = i >= 0 ? disk.names[i].file : set_name(name, disk.files++);
    disk.fds[fd] = file + 1;
    if (disk.records && !existed)
        copy_name(add_op(DISK_NAME, file)->name, name);
    if (disk.records && existed && (flags & O_TRUNC))
        (void)add_op(DISK_TRUNCATE, file);
}

void disk_record(const char *dir)
{
    lock();
    for (size_t i = 0; i < disk.count; i++)
        free(disk.ops[i].bytes);
    disk.count = 0;
    disk.name_count = 0;
    disk.files = 0;
    (void)snprintf(disk.dir, sizeof(disk.dir), "%s", dir);
    disk.records = true;
    unlock();
}

const struct disk_op *disk_recorded(size_t *count)
{
    lock();
    disk.records = false;
    disk.dir[0] = '\0';
    memset(disk.fds, 0, sizeof(disk.fds));
    *count = disk.count;
    unlock();
    return disk.ops;
}

size_t disk_op_count(void)
{
    return disk.count;
}

/* ---- failing ---- */

void disk_fail(const struct disk_fault *fault)
{
    lock();
    disk.fails = fault != NULL;
    if (fault) {
        disk.fault = *fault;
        (void)snprintf(disk.dir, sizeof(disk.dir), "%s", fault->dir);
    }
    disk.calls = 0;
    disk.has_failed = false;
    unlock();
}

long disk_calls(void)
{
    return disk.calls;
}

bool disk_has_failed(void)
{
    return disk.has_failed;
}

/* The error of this call, 0 = none, -1 = half of it. */
static int fault_of(enum disk_call call)
{
    if (!disk.fails || !(disk.fault.calls & 1U << call))
        return 0;
    long n = disk.calls++;
    if (disk.fault.at < 0 || n < disk.fault.at || (n > disk.fault.at && !disk.fault.goes_on))
        return 0;
    disk.has_failed = true;
    return disk.fault.error ? disk.fault.error : -1;
}

static bool fails_path(enum disk_call call, const char *path)
{
    const char *name = name_of(path);
    int error = name ? fault_of(call) : 0;
    if (error > 0)
        errno = error;
    return error > 0;
}

static int fault_of_fd(enum disk_call call, int fd)
{
    return fd >= 0 && fd < FDS && disk.fds[fd] ? fault_of(call) : 0;
}

static bool fails_fd(enum disk_call call, int fd)
{
    int error = fault_of_fd(call, fd);
    if (error > 0)
        errno = error;
    return error > 0;
}

/* ---- the calls ----
 * Built with 64-bit offsets (Meson's default), these have the names that SQLite and Penstock
 * call: open64, pwrite64, ... */

static int do_open(const char *path, int flags, mode_t mode)
{
    struct stat st;
    lock();
    int fd = -1;
    if (!fails_path(DISK_CALL_OPEN, path)) {
        bool existed = name_of(path) && stat(path, &st) == 0;
        fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
        int e = errno;
        note_open(fd, path, existed, flags);
        errno = e;
    }
    unlock();
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(args, unsigned) : 0;
    va_end(args);
    return do_open(path, flags, mode);
}

int close(int fd)
{
    lock();
    if (fd >= 0 && fd < FDS)
        disk.fds[fd] = 0;
    int rc = (int)syscall(SYS_close, fd);
    unlock();
    return rc;
}

ssize_t pread(int fd, void *to, size_t len, off_t at)
{
    lock();
    ssize_t n = fails_fd(DISK_CALL_READ, fd) ? -1 : syscall(SYS_pread64, fd, to, len, at);
    unlock();
    return n;
}

ssize_t read(int fd, void *to, size_t len)
{
    lock();
    bool fails = fails_fd(DISK_CALL_READ, fd);
    unlock();
    return fails ? -1 : syscall(SYS_read, fd, to, len); /* may wait: not under the lock */
}

static ssize_t do_write(int fd, const void *from, size_t len, off_t at)
{
    int error = fault_of_fd(DISK_CALL_WRITE, fd);
    if (error > 0) {
        errno = error;
        return -1;
    }
    if (error < 0)
        len = (len + 1) / 2;
    ssize_t n = syscall(SYS_pwrite64, fd, from, len, at);
    if (n > 0)
        note_write(fd, from, (size_t)n, at);
    return n;
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
    lock();
    ssize_t n = do_write(fd, from, len, at);
    unlock();
    return n;
}

ssize_t write(int fd, const void *from, size_t len)
{
    if (fd < 0 || fd >= FDS || !disk.fds[fd])
        return syscall(SYS_write, fd, from, len);
    lock();
    off_t at = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t n = do_write(fd, from, len, at);
    if (n > 0)
        (void)syscall(SYS_lseek, fd, at + n, SEEK_SET);
    unlock();
    return n;
}

int ftruncate(int fd, off_t size)
{
    lock();
    int rc = fails_fd(DISK_CALL_TRUNCATE, fd) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
    if (rc == 0 && disk.records && file_of_fd(fd) >= 0)
        add_op(DISK_TRUNCATE, file_of_fd(fd))->at = size;
    unlock();
    return rc;
}

static int do_sync(int fd, long number)
{
    lock();
    int rc = fails_fd(DISK_CALL_SYNC, fd) ? -1 : (int)syscall(number, fd);
    if (rc == 0 && disk.records && file_of_fd(fd) >= 0)
        (void)add_op(DISK_SYNC, file_of_fd(fd));
    if (rc == 0 && disk.records && fd < FDS && disk.fds[fd] == THE_DIRECTORY)
        (void)add_op(DISK_SYNC_DIR, -1);
    unlock();
    return rc;
}

int fsync(int fd)
{
    return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return do_sync(fd, SYS_fdatasync);
}

int unlink(const char *path)
{
    lock();
    const char *name = name_of(path);
    int rc = fails_path(DISK_CALL_UNLINK, path) ? -1 : (int)syscall(SYS_unlink, path);
    if (rc == 0 && name && is_recorded(name)) {
        if (disk.records)
            copy_name(add_op(DISK_UNNAME, -1)->name, name);
        drop_name(name);
    }
    unlock();
    return rc;
}

/* Both names lie in the watched directory, or neither does. */
static int do_rename(const char *from, const char *to, unsigned flags)
{
    lock();
    const char *old = name_of(from);
    const char *new = name_of(to);
    int rc = fails_path(DISK_CALL_RENAME, from)
                 ? -1
                 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
    if (rc == 0 && old && new && find_name(old) >= 0) {
        int file = disk.names[find_name(old)].file;
        drop_name(old);
        (void)set_name(new, file);
        if (disk.records) {
            struct disk_op *op = add_op(DISK_RENAME, file);
            copy_name(op->name, old);
            copy_name(op->other_name, new);
        }
    }
    unlock();
    return rc;
}

int rename(const char *from, const char *to)
{
    return do_rename(from, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    (void)from_dir; /* absolute paths */
    (void)to_dir;
    return do_rename(from, to, flags);
}

int link(const char *from, const char *to)
{
    lock();
    const char *old = name_of(from);
    const char *new = name_of(to);
    int rc = fails_path(DISK_CALL_RENAME, from) ? -1 : (int)syscall(SYS_link, from, to);
    if (rc == 0 && old && new && find_name(old) >= 0) {
        int file = set_name(new, disk.names[find_name(old)].file);
        if (disk.records)
            copy_name(add_op(DISK_NAME, file)->name, new);
    }
    unlock();
    return rc;
}

/* Taking a lock can fail; giving it back does not. */
static bool is_taking(int command, long value)
{
    struct flock lock;
    if (command != F_SETLK)
        return false;
    memcpy(&lock, (const void *)value, sizeof(lock));
    return lock.l_type != F_UNLCK;
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    long value = va_arg(args, long); /* an int or a pointer: either fits */
    va_end(args);
    lock();
    bool fails = is_taking(command, value) && fails_fd(DISK_CALL_LOCK, fd);
    unlock();
    return fails ? -1 : (int)syscall(SYS_fcntl, fd, command, value);
}
