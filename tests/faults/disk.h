/* tests/faults/disk.h: the calls by which a program changes files, seen and spoilt.
 *
 * disk.c defines open, pwrite, fsync and their like for the whole program (its own definitions
 * come before the C library's), so that everything passes here: SQLite's VFS, and the files that
 * Penstock writes itself (keys, names of backups, directories). It does the real call, and for
 * files directly below one watched directory it
 *   records    what was written, cut, synced, named and renamed, in order: what a power loss at
 *              any point may leave of it is worked out in power.c
 *   or fails   the n-th call with an error number, once or from then on.
 *
 * Thread-safety: any thread; watching starts and ends while one thread runs.
 */
#ifndef PST_TESTS_FAULTS_DISK_H
#define PST_TESTS_FAULTS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_kind {
    DISK_WRITE,
    DISK_TRUNCATE, /* at: the new size */
    DISK_SYNC,
    DISK_SYNC_DIR,
    DISK_NAME, /* file got the name */
    DISK_UNNAME, /* the name went */
    DISK_RENAME, /* name became other_name */
};

enum { DISK_NAME_BYTES = 64, DISK_FILES = 256 };

struct disk_op {
    enum disk_kind kind;
    int file; /* 0, 1, ... in order of creation */
    int64_t at;
    size_t len;
    unsigned char *bytes;
    char name[DISK_NAME_BYTES], other_name[DISK_NAME_BYTES];
};

/* Record what happens below dir, an absolute path. Locks and SQLite's shared memory are not
 * recorded: they mean nothing after a restart. */
void disk_record(const char *dir);
/* Stop recording; the operations, valid until the next disk_record. */
const struct disk_op *disk_recorded(size_t *count);
size_t disk_op_count(void); /* while recording */

/* Calls that can be made to fail. */
enum disk_call {
    DISK_CALL_OPEN,
    DISK_CALL_READ,
    DISK_CALL_WRITE,
    DISK_CALL_SYNC,
    DISK_CALL_TRUNCATE,
    DISK_CALL_UNLINK,
    DISK_CALL_RENAME, /* link too */
    DISK_CALL_LOCK,
    DISK_CALLS,
};
extern const char *const disk_call_names[DISK_CALLS];

struct disk_fault {
    const char *dir;
    unsigned calls; /* bits of enum disk_call */
    long at; /* the n-th of those calls fails, from 0; negative: none */
    bool goes_on; /* and all after it */
    int error; /* 0: a write does half of what it should, and says so */
};
/* NULL switches off. Counting starts at 0. */
void disk_fail(const struct disk_fault *fault);
long disk_calls(void); /* calls of the chosen kinds since disk_fail */
bool disk_has_failed(void);

#endif
