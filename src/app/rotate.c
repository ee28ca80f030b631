/* app/rotate.c: the root key's file moves on with the store.
 *
 * The new key is written beside the old one first, then the store moves to it in one
 * transaction, then the new file takes the name. At every moment there is a file of that name. */
#include "app/rotate.h"

#include <limits.h>
#include <unistd.h>

#include "account/account.h"
#include "base/alloc.h"
#include "os/file.h"

/* What an earlier rotation left behind: a new key from before the store moved, an old one. */
static pst_code drop_leftover(const char *path, struct pst_err *err)
{
    if (pst_file_exists(path) && unlink(path) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot remove '%s'", path);
    return PST_OK;
}

/* Old backups of the store open only with the old key. */
static pst_code put_in_place(const char *path, const char *new_path, const char *old_path,
                             struct pst_err *err)
{
    PST_TRY(drop_leftover(old_path, err));
    if (link(path, old_path) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot keep the old key as '%s'", old_path);
    if (rename(new_path, path) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot put '%s' in its place", new_path);
    return pst_file_sync_dir(path, err);
}

static pst_code rotate(struct pst_db *db, const char *path, const char *new_path,
                       const char *old_path, struct pst_key *fresh, int64_t *count,
                       struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *old = NULL;
    PST_TRY(pst_key_load(&old, path, err));
    PST_TRY(pst_vault_open(db, old, err)); /* else new_path may be the only key there is */
    PST_TRY(drop_leftover(new_path, err));
    PST_TRY(pst_key_save(fresh, new_path, err));
    PST_TRY(pst_vault_rotate_root(db, old, fresh, count, err));
    return put_in_place(path, new_path, old_path, err);
}

pst_code pst_rotate_root_key(struct pst_db *db, const char *path, struct pst_key **fresh,
                             int64_t *count, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *key = NULL;
    char new_path[PATH_MAX];
    char old_path[PATH_MAX];
    int n = snprintf(new_path, sizeof(new_path), "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof(new_path))
        return PST_FAIL(err, PST_E_INVALID, "the path of the key file is too long");
    (void)snprintf(old_path, sizeof(old_path), "%.*s.old", (int)sizeof(old_path) - 8, path);
    PST_TRY(pst_key_generate(&key, err));
    PST_TRY(rotate(db, path, new_path, old_path, key, count, err));
    *fresh = PST_TAKE(key);
    return PST_OK;
}
