/* peoplesim/journal.c: an append-only file of lines. */
#include "peoplesim/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "os/file.h"

enum { JOURNAL_MAX = 256 << 20 };

struct pst_sim_journal {
    int fd;
    struct pst_buf line; /* the line being written, reused */
};

static pst_code open_file(struct pst_sim_journal *j, const char *path, pst_str whole,
                          struct pst_err *err)
{
    j->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (j->fd < 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot open '%s'", path);
    if (ftruncate(j->fd, (off_t)whole.len) != 0 || lseek(j->fd, 0, SEEK_END) < 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot write '%s'", path);
    return PST_OK;
}

pst_code pst_sim_journal_open(struct pst_sim_journal **out, const char *path,
                              struct pst_arena *arena, pst_str *lines, struct pst_err *err)
{
    *lines = (pst_str){0};
    if (pst_file_exists(path))
        PST_TRY(pst_file_read(arena, lines, path, JOURNAL_MAX, err));
    while (lines->len && lines->ptr[lines->len - 1] != '\n')
        lines->len--;
    struct pst_sim_journal *j = NULL;
    PST_TRY(pst_new((void **)&j, sizeof(*j), err));
    j->fd = -1;
    pst_buf_init(&j->line, JOURNAL_MAX);
    pst_code rc = open_file(j, path, *lines, err);
    if (rc != PST_OK) {
        pst_sim_journal_free(j);
        return rc;
    }
    *out = j;
    return PST_OK;
}

pst_code pst_sim_journal_append(struct pst_sim_journal *j, pst_str line, struct pst_err *err)
{
    if (!j)
        return PST_OK;
    pst_buf_reset(&j->line);
    pst_buf_add_str(&j->line, line);
    pst_buf_add_char(&j->line, '\n');
    PST_TRY(pst_buf_check(&j->line, err));
    for (size_t at = 0; at < j->line.len;) {
        ssize_t n = write(j->fd, j->line.ptr + at, j->line.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return PST_FAIL_OS(err, errno == ENOSPC ? PST_E_DISK_FULL : PST_E_IO,
                               "cannot write the state file");
        at += (size_t)n;
    }
    return PST_OK;
}

void pst_sim_journal_free(struct pst_sim_journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        (void)close(j->fd);
    pst_buf_fini(&j->line);
    pst_free(j);
}
