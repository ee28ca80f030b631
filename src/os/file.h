/* os/file.h: whole files, directories, locks and permissions.
 *
 * Paths are NUL-terminated. Modes are exact: the process's umask is not applied. Errors name
 * the path. Thread-safety: any thread; a lock belongs to one owner.
 */
#ifndef PST_OS_FILE_H
#define PST_OS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

/* Read the whole file into the arena, NUL added. "-" is standard input.
 * Errors: NOT_FOUND, DENIED, LIMIT (larger than max_bytes), IO, NO_MEMORY. */
pst_code pst_file_read(struct pst_arena *a, pst_str *out, const char *path, size_t max_bytes,
                       struct pst_err *err);

/* The same into memory of the caller (secrets that may not lie in an arena). *out_len gets the
 * length; a file longer than cap is LIMIT and buf is wiped. */
pst_code pst_file_read_into(void *buf, size_t cap, size_t *out_len, const char *path,
                            struct pst_err *err);

/* Replace path atomically: temporary file beside it, fsync, rename, fsync of the directory.
 * After a crash there is the old file or the new one. Errors: DENIED, DISK_FULL, IO. */
pst_code pst_file_write(const char *path, pst_str bytes, unsigned mode, struct pst_err *err);

/* The same, but the file must not exist yet. Errors: also CONFLICT. */
pst_code pst_file_create(const char *path, pst_str bytes, unsigned mode, struct pst_err *err);

/* Give a file another name, on another file system by a copy that has its name only when it is
 * whole and durable; mode 0600 there. Never replaces a file. Errors: CONFLICT, NOT_FOUND, DENIED,
 * DISK_FULL, IO. */
pst_code pst_file_move(const char *from, const char *to, struct pst_err *err);

/* mkdir -p; directories that are made get `mode`, existing ones stay as they are.
 * Errors: DENIED, CONFLICT (something that is not a directory is in the way), IO. */
pst_code pst_dir_make(const char *path, unsigned mode, struct pst_err *err);

/* Remove the files in dir whose names begin with prefix; what cannot be removed stays.
 * Errors: NOT_FOUND, DENIED, IO (dir cannot be read). */
pst_code pst_dir_sweep(const char *dir, const char *prefix, struct pst_err *err);

/* fsync of the directory that holds path. Errors: IO. */
pst_code pst_file_sync_dir(const char *path, struct pst_err *err);

bool pst_file_exists(const char *path);

struct pst_file_info {
    bool exists;
    bool is_dir;
    bool is_private; /* ours (or root's), and no permission for group and others */
    bool is_owned; /* by this process's effective user */
    unsigned mode; /* the nine permission bits */
    uint32_t uid;
    uint64_t size; /* bytes */
};
/* A missing file is no error: exists is false. Errors: DENIED, IO. */
pst_code pst_file_stat(const char *path, struct pst_file_info *out, struct pst_err *err);

/* PST_OK when path exists and only its owner (this user or root) may read it, else DENIED with
 * a text that says which chmod helps. Errors: NOT_FOUND, DENIED, IO. */
pst_code pst_file_check_private(const char *path, struct pst_err *err);

/* Bytes free to this user on the file system of path. Errors: IO. */
pst_code pst_file_space(const char *path, uint64_t *out_bytes, struct pst_err *err);

/* Exclusive lock on a file (created 0600 where it is missing); ends with the process. The
 * owner's pid is written into it. Errors: CONFLICT (held; the text has the pid), DENIED, IO. */
struct pst_lock;
pst_code pst_lock_take(struct pst_lock **out, const char *path, struct pst_err *err);
void pst_lock_free(struct pst_lock *lock); /* NULL is a no-op; the file stays */
PST_DEFINE_AUTO(lock, struct pst_lock, pst_lock_free);

#endif
