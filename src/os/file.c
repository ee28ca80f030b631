/* os/file.c: whole files, directories and permissions. */
#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/rand.h"

enum { STDIN_START = 4096 };

/* A descriptor closed at the end of the scope. */
static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
#define AUTO_FD __attribute__((cleanup(close_fd))) int

static pst_code code_of_errno(int e)
{
    switch (e) {
    case ENOENT:
    case ENOTDIR:
        return PST_E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return PST_E_DENIED;
    case EEXIST:
        return PST_E_CONFLICT;
    case ENOSPC:
    case EDQUOT:
        return PST_E_DISK_FULL;
    case ENOMEM:
        return PST_E_NO_MEMORY;
    default:
        return PST_E_IO;
    }
}

#define FAIL_FILE(err, what, path)                                                                 \
    PST_FAIL_OS((err), code_of_errno(errno), "cannot " what " '%s'", (path))

/* read(2) until cap bytes are there or the file ends. */
static ssize_t read_all(int fd, char *buf, size_t cap)
{
    size_t have = 0;
    while (have < cap) {
        ssize_t n = read(fd, buf + have, cap - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static pst_code open_input(int *out, const char *path, struct pst_err *err)
{
    int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                    : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return FAIL_FILE(err, "read", path);
    *out = fd;
    return PST_OK;
}

static size_t first_guess(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 0)
        return STDIN_START;
    return (size_t)st.st_size;
}

pst_code pst_file_read(struct pst_arena *a, pst_str *out, const char *path, size_t max_bytes,
                       struct pst_err *err)
{
    AUTO_FD fd = -1;
    PST_TRY(open_input(&fd, path, err));

    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, max_bytes < SIZE_MAX ? max_bytes + 1 : max_bytes);
    size_t step = first_guess(fd);
    if (step > max_bytes)
        step = max_bytes;
    step++;
    for (;;) {
        if (!pst_buf_reserve(&b, step))
            return pst_buf_check(&b, err);
        ssize_t n = read_all(fd, b.ptr + b.len, step);
        if (n < 0)
            return FAIL_FILE(err, "read", path);
        b.len += (size_t)n;
        if (b.len > max_bytes)
            return PST_FAIL(err, PST_E_LIMIT, "'%s' is larger than %zu bytes", path, max_bytes);
        if ((size_t)n < step)
            break;
        step = max_bytes + 1 - b.len < b.len ? max_bytes + 1 - b.len : b.len;
    }
    return pst_arena_dup(a, out, pst_buf_str(&b), err);
}

pst_code pst_file_read_into(void *buf, size_t cap, size_t *out_len, const char *path,
                            struct pst_err *err)
{
    AUTO_FD fd = -1;
    PST_TRY(open_input(&fd, path, err));
    char extra = 0;
    ssize_t n = read_all(fd, buf, cap);
    if (n < 0)
        return FAIL_FILE(err, "read", path);
    if ((size_t)n == cap && read_all(fd, &extra, 1) == 1) {
        explicit_bzero(buf, cap);
        return PST_FAIL(err, PST_E_LIMIT, "'%s' is larger than %zu bytes", path, cap);
    }
    *out_len = (size_t)n;
    return PST_OK;
}

static pst_code write_all(int fd, const char *path, pst_str bytes, struct pst_err *err)
{
    size_t done = 0;
    while (done < bytes.len) {
        ssize_t n = write(fd, bytes.ptr + done, bytes.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FAIL_FILE(err, "write", path);
        done += (size_t)n;
    }
    return PST_OK;
}

pst_code pst_file_sync_dir(const char *path, struct pst_err *err)
{
    char dir[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (slash && !pst_str_copy(dir, sizeof(dir), (pst_str){path, len ? len : 1}))
        return PST_FAIL(err, PST_E_INVALID, "the path '%.80s...' is too long", path);
    AUTO_FD fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return FAIL_FILE(err, "sync directory", dir);
    return PST_OK;
}

/* Write bytes to a new file beside path and make them durable. */
static pst_code write_temporary(char *temp, size_t size, const char *path, pst_str bytes,
                                unsigned mode, struct pst_err *err)
{
    int n = snprintf(temp, size, "%s.%016llx.tmp", path, (unsigned long long)pst_rand_u64());
    if (n < 0 || (size_t)n >= size)
        return PST_FAIL(err, PST_E_INVALID, "the path '%.80s...' is too long", path);
    AUTO_FD fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return FAIL_FILE(err, "create", path);
    pst_code rc = write_all(fd, path, bytes, err);
    if (rc == PST_OK && (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0))
        rc = FAIL_FILE(err, "write", path);
    if (rc != PST_OK)
        (void)unlink(temp);
    return rc;
}

pst_code pst_file_write(const char *path, pst_str bytes, unsigned mode, struct pst_err *err)
{
    char temp[PATH_MAX];
    PST_TRY(write_temporary(temp, sizeof(temp), path, bytes, mode, err));
    if (rename(temp, path) != 0) {
        pst_code rc = FAIL_FILE(err, "write", path);
        (void)unlink(temp);
        return rc;
    }
    return pst_file_sync_dir(path, err);
}

pst_code pst_file_create(const char *path, pst_str bytes, unsigned mode, struct pst_err *err)
{
    char temp[PATH_MAX];
    PST_TRY(write_temporary(temp, sizeof(temp), path, bytes, mode, err));
    /* link(2) refuses an existing name, which rename(2) would replace. */
    pst_code rc = link(temp, path) == 0 ? PST_OK : FAIL_FILE(err, "create", path);
    (void)unlink(temp);
    PST_TRY(rc);
    return pst_file_sync_dir(path, err);
}

/* All of `in` behind what `out` has, inside the kernel. */
static pst_code copy_content(int out, int in, const char *path, struct pst_err *err)
{
    enum { STEP_BYTES = 1 << 24 };
    ssize_t n = 1;
    while (n > 0) {
        n = sendfile(out, in, NULL, STEP_BYTES);
        if (n < 0 && errno == EINTR)
            n = 1;
    }
    return n == 0 ? PST_OK : FAIL_FILE(err, "write", path);
}

static pst_code copy_whole(const char *from, const char *part, struct pst_err *err)
{
    AUTO_FD in = -1;
    PST_TRY(open_input(&in, from, err));
    AUTO_FD out = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return FAIL_FILE(err, "create", part);
    PST_TRY(copy_content(out, in, part, err));
    return fsync(out) == 0 ? PST_OK : FAIL_FILE(err, "write", part);
}

static pst_code name_new(const char *from, const char *to, struct pst_err *err)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0)
        return FAIL_FILE(err, "create", to);
    return pst_file_sync_dir(to, err);
}

static pst_code copy_over(const char *from, const char *to, struct pst_err *err)
{
    char part[PATH_MAX];
    int n = snprintf(part, sizeof(part), "%s.%016llx.tmp", to, (unsigned long long)pst_rand_u64());
    if (n < 0 || (size_t)n >= sizeof(part))
        return PST_FAIL(err, PST_E_INVALID, "the path '%.80s...' is too long", to);
    pst_code rc = copy_whole(from, part, err);
    if (rc == PST_OK)
        rc = name_new(part, to, err);
    if (rc == PST_OK)
        rc = unlink(from) == 0 ? PST_OK : FAIL_FILE(err, "remove", from);
    else
        (void)unlink(part);
    return rc;
}

pst_code pst_file_move(const char *from, const char *to, struct pst_err *err)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return pst_file_sync_dir(to, err);
    if (errno == EXDEV)
        return copy_over(from, to, err);
    return FAIL_FILE(err, "create", to);
}

static pst_code make_one_dir(const char *path, unsigned mode, struct pst_err *err)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return PST_OK;
        return PST_FAIL(err, PST_E_CONFLICT, "'%s' is not a directory", path);
    }
    if (mkdir(path, 0700) != 0) {
        /* Somebody else was quicker. */
        if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            return PST_OK;
        return FAIL_FILE(err, "make directory", path);
    }
    if (chmod(path, (mode_t)mode) != 0)
        return FAIL_FILE(err, "set the mode of", path);
    return PST_OK;
}

pst_code pst_dir_make(const char *path, unsigned mode, struct pst_err *err)
{
    char part[PATH_MAX];
    if (!pst_str_copy(part, sizeof(part), pst_str_from(path)) || !*path)
        return PST_FAIL(err, PST_E_INVALID, "'%.80s' is no usable path", path);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        PST_TRY(make_one_dir(part, mode, err));
        *p = '/';
    }
    return make_one_dir(part, mode, err);
}

pst_code pst_dir_sweep(const char *dir, const char *prefix, struct pst_err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return FAIL_FILE(err, "read directory", dir);
    DIR *d = fdopendir(fd);
    if (!d) {
        pst_code rc = FAIL_FILE(err, "read directory", dir);
        (void)close(fd);
        return rc;
    }
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0)
            (void)unlinkat(fd, e->d_name, 0);
    }
    (void)closedir(d);
    return PST_OK;
}

bool pst_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

pst_code pst_file_stat(const char *path, struct pst_file_info *out, struct pst_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return FAIL_FILE(err, "look at", path);
        *out = (struct pst_file_info){0};
        return PST_OK;
    }
    bool ours = st.st_uid == geteuid();
    *out = (struct pst_file_info){
        .exists = true,
        .is_dir = S_ISDIR(st.st_mode),
        .is_owned = ours,
        .is_private = (ours || st.st_uid == 0) && (st.st_mode & 077) == 0,
        .mode = st.st_mode & 0777,
        .uid = st.st_uid,
        .size = (uint64_t)st.st_size,
    };
    return PST_OK;
}

pst_code pst_file_check_private(const char *path, struct pst_err *err)
{
    struct pst_file_info info;
    PST_TRY(pst_file_stat(path, &info, err));
    if (!info.exists)
        return PST_FAIL(err, PST_E_NOT_FOUND, "'%s' does not exist", path);
    if (info.is_private)
        return PST_OK;
    if (!info.is_owned && info.uid != 0)
        return PST_FAIL(err, PST_E_DENIED, "'%s' belongs to another user (uid %u)", path, info.uid);
    return PST_FAIL(err, PST_E_DENIED, "'%s' may be read by others (mode %03o): chmod %s '%s'",
                    path, info.mode, info.is_dir ? "700" : "600", path);
}

pst_code pst_file_space(const char *path, uint64_t *out_bytes, struct pst_err *err)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return FAIL_FILE(err, "look at the file system of", path);
    *out_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return PST_OK;
}
