/* cli/cmd_rotate.c: penstock keys rotate-root: a new root key for the store, offline. */
#include "app/rotate.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "store/store.h"

PST_CLI_TABLE(table);

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
    int64_t count = 0;
    PST_TRY(pst_client_paths(cli, &paths, err));
    struct pst_db_options options = {.path = paths.store.ptr};
    PST_TRY(pst_store_open(&db, &options, err));
    PST_TRY(pst_rotate_root_key(db, paths.key_file.ptr, &fresh, &count, err));
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
