/* app/rotate.c: the root key's file moves on with the store; data keys under it.
 *
 * The new root key is written beside the old one first, then the store moves to it in one
 * transaction, then the new file takes the name. At every moment there is a file of that name. */
#include "app/rotate.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/internal.h"
#include "base/alloc.h"
#include "os/clock.h"
#include "os/file.h"

/* What an earlier rotation left behind: a new key from before the store moved. */
static pst_code drop_leftover(const char *path, struct pst_err *err)
{
    if (pst_file_exists(path) && unlink(path) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot remove '%s'", path);
    return PST_OK;
}

static pst_code path_beside(char out[PATH_MAX], const char *path, const char *suffix,
                            struct pst_err *err)
{
    int n = snprintf(out, PATH_MAX, "%s%s", path, suffix);
    if (n < 0 || n >= PATH_MAX)
        return PST_FAIL(err, PST_E_INVALID, "the path of the key file is too long");
    return PST_OK;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat of_a;
    struct stat of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

/* A second name for the key at `path`: .old, .old.2, ... A name that was taken stays what it is,
 * for backups from before that rotation open only with that key. */
static pst_code keep_old(char kept[PATH_MAX], const char *path, struct pst_err *err)
{
    enum { KEPT_MAX = 10000 };
    for (int i = 1; i <= KEPT_MAX; i++) {
        char suffix[32] = ".old";
        if (i > 1)
            (void)snprintf(suffix, sizeof(suffix), ".old.%d", i);
        PST_TRY(path_beside(kept, path, suffix, err));
        if (link(path, kept) == 0)
            return PST_OK;
        if (errno != EEXIST)
            return PST_FAIL_OS(err, PST_E_IO, "cannot keep the old key as '%s'", kept);
        if (is_same_file(path, kept)) /* of a rotation that was broken off right here */
            return PST_OK;
    }
    return PST_FAIL(err, PST_E_CONFLICT, "too many old keys lie beside '%s'", path);
}

pst_code pst_rotate_finish(const char *path, char kept[PATH_MAX], struct pst_err *err)
{
    char new_path[PATH_MAX];
    PST_TRY(path_beside(new_path, path, ".new", err));
    PST_TRY(keep_old(kept, path, err));
    if (rename(new_path, path) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot put '%s' in its place", new_path);
    return pst_file_sync_dir(path, err);
}

static pst_code rotate(struct pst_db *db, const char *path, struct pst_key *fresh,
                       char kept[PATH_MAX], int64_t *count, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *old = NULL;
    char new_path[PATH_MAX];
    PST_TRY(path_beside(new_path, path, ".new", err));
    PST_TRY(pst_key_load(&old, path, err));
    PST_TRY(pst_vault_open(db, old, err)); /* else new_path may be the only key there is */
    PST_TRY(drop_leftover(new_path, err));
    PST_TRY(pst_key_save(fresh, new_path, err));
    PST_TRY(pst_vault_rotate_root(db, old, fresh, pst_wall_now(), count, err));
    return pst_rotate_finish(path, kept, err);
}

pst_code pst_rotate_root_key(struct pst_db *db, const char *path, struct pst_key **fresh,
                             char kept[PATH_MAX], int64_t *count, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *key = NULL;
    PST_TRY(pst_key_generate(&key, err));
    PST_TRY(rotate(db, path, key, kept, count, err));
    *fresh = PST_TAKE(key);
    return PST_OK;
}

pst_code pst_rotate_data_keys(struct pst_db *db, const struct pst_config *config,
                              const struct pst_paths *paths, pst_str organization,
                              struct pst_data_rotation *out, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *root = NULL;
    PST_TRY(pst_start_root_key(&root, config, paths, err));
    PST_TRY(pst_start_vault(db, &root, paths, err));
    return pst_vault_rotate_data(db, root, organization, pst_wall_now(), out, err);
}
