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

static pst_code put_in_place(const char *path, const char *new_path, char kept[PATH_MAX],
                             struct pst_err *err)
{
    PST_TRY(keep_old(kept, path, err));
    if (rename(new_path, path) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot put '%s' in its place", new_path);
    return pst_file_sync_dir(path, err);
}

static pst_code take_over(struct pst_db *db, const char *path, const char *new_path,
                          struct pst_key **out, char kept[PATH_MAX], struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *key = NULL;
    PST_TRY(pst_key_load(&key, new_path, err));
    PST_TRY(pst_vault_open(db, key, err));
    PST_TRY(put_in_place(path, new_path, kept, err));
    *out = PST_TAKE(key);
    return PST_OK;
}

pst_code pst_rotate_finish(struct pst_db *db, const char *path, struct pst_key **out,
                           char kept[PATH_MAX], struct pst_err *err)
{
    char new_path[PATH_MAX];
    struct pst_err why;
    PST_TRY(path_beside(new_path, path, ".new", err));
    if (!pst_file_exists(new_path))
        return err->code;
    pst_code code = take_over(db, path, new_path, out, kept, &why);
    if (code == PST_E_INVALID)
        return PST_FAIL(err, code,
                        "the store's root key is neither in '%s' nor in '%s', which a rotation of "
                        "the root key left there: bring the key back, or name its file with "
                        "--key-file (%s)",
                        path, new_path, why.msg);
    if (code != PST_OK)
        return PST_FAIL(err, code,
                        "a rotation of the root key was broken off, and cannot be finished: '%s' "
                        "has to take the place of '%s': %s",
                        new_path, path, why.msg);
    return PST_OK;
}

static pst_code rotate(struct pst_db *db, const char *path, const struct pst_key *old,
                       struct pst_key *fresh, struct pst_root_rotation *out, struct pst_err *err)
{
    char new_path[PATH_MAX];
    PST_TRY(path_beside(new_path, path, ".new", err));
    PST_TRY(drop_leftover(new_path, err));
    PST_TRY(pst_key_save(fresh, new_path, err));
    PST_TRY(pst_vault_rotate_root(db, old, fresh, pst_wall_now(), &out->count, err));
    return put_in_place(path, new_path, out->kept, err);
}

pst_code pst_rotate_root_key(struct pst_db *db, const char *path, struct pst_key **fresh,
                             struct pst_root_rotation *out, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *old = NULL;
    PST_AUTO(key) struct pst_key *key = NULL;
    out->count = 0;
    PST_TRY(pst_key_load(&old, path, err));
    pst_code code = pst_vault_open(db, old, err); /* else <path>.new may be the only key there is */
    out->was_resumed = code == PST_E_INVALID;
    if (out->was_resumed)
        return pst_rotate_finish(db, path, fresh, out->kept, err);
    PST_TRY(code);
    PST_TRY(pst_key_generate(&key, err));
    PST_TRY(rotate(db, path, old, key, out, err));
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
