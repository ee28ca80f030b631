/* cli/cmd_rotate.c: penstock keys rotate-root: a new root key for the store, offline.
 *
 * The new key is written beside the old one first, then the store moves to it in one
 * transaction, then the file is renamed. Broken off anywhere, the next start works: with the
 * old key, or by taking the new one over (app/start.c). */
#include <limits.h>
#include <unistd.h>

#include "account/account.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "os/file.h"
#include "store/store.h"

PST_CLI_TABLE(table);

/* A new key left by a rotation that was broken off before the store moved. */
static pst_code drop_leftover(const char *new_path, struct pst_err *err)
{
    if (pst_file_exists(new_path) && unlink(new_path) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot remove '%s'", new_path);
    return PST_OK;
}

static pst_code keep_old(const char *path, const char *new_path, struct pst_err *err)
{
    char old_path[PATH_MAX];
    int n = snprintf(old_path, sizeof(old_path), "%s.old", path);
    if (n < 0 || (size_t)n >= sizeof(old_path))
        return PST_FAIL(err, PST_E_INVALID, "the path of the key file is too long");
    /* Old backups of the store open only with it. */
    if (rename(path, old_path) != 0 || rename(new_path, path) != 0)
        return PST_FAIL_OS(err, PST_E_IO, "cannot put '%s' in its place", new_path);
    return pst_file_sync_dir(path, err);
}

static pst_code rotate(struct pst_db *db, const char *path, const char *new_path, int64_t *count,
                       struct pst_key **fresh, struct pst_err *err)
{
    PST_AUTO(key) struct pst_key *old = NULL;
    PST_TRY(pst_key_load(&old, path, err));
    PST_TRY(pst_vault_open(db, old, err));
    PST_TRY(drop_leftover(new_path, err));
    PST_TRY(pst_key_generate(fresh, err));
    PST_TRY(pst_key_save(*fresh, new_path, err));
    PST_TRY(pst_vault_rotate_root(db, old, *fresh, count, err));
    return keep_old(path, new_path, err);
}

static void print_result(const struct pst_cli *cli, const struct pst_key *fresh, int64_t count,
                         const char *path)
{
    if (cli->json)
        pst_printf("{\"key_id\":\"%s\",\"data_keys\":%lld}\n", pst_key_id(fresh), (long long)count);
    else
        pst_printf("root key %s is in force; %lld data keys were wrapped anew\n"
                   "the old key is kept as %s.old: backups made before now need it\n",
                   pst_key_id(fresh), (long long)count, path);
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    PST_AUTO(key) struct pst_key *fresh = NULL;
    struct pst_paths paths;
    char new_path[PATH_MAX];
    int64_t count = 0;
    PST_TRY(pst_client_paths(cli, &paths, err));
    int n = snprintf(new_path, sizeof(new_path), "%.*s.new", PST_STR_ARG(paths.key_file));
    if (n < 0 || (size_t)n >= sizeof(new_path))
        return PST_FAIL(err, PST_E_INVALID, "the path of the key file is too long");
    struct pst_db_options options = {.path = paths.store.ptr};
    PST_TRY(pst_store_open(&db, &options, err));
    PST_TRY(rotate(db, paths.key_file.ptr, new_path, &count, &fresh, err));
    print_result(cli, fresh, count, paths.key_file.ptr);
    return PST_OK;
}

static const struct pst_example examples[] = {
    {"systemctl stop penstock && penstock keys rotate-root && systemctl start penstock", NULL},
    {0},
};

const struct pst_command pst_command_keys_rotate_root = {
    .name = "keys rotate-root",
    .words = "",
    .summary = "replace the root key that seals credentials (while the server is stopped)",
    .details = "Makes a new key, wraps every organization's data key with it in one transaction, "
               "and puts it in\nthe place of the key file. Stored credentials stay as they are.",
    .table = &table,
    .examples = examples,
    .run = run,
};
