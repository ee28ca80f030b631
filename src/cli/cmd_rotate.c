/* cli/cmd_rotate.c: penstock keys rotate-root and rotate-data: a new root key for the store, new
 * data keys for its organizations, offline. */
#include "app/rotate.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "store/store.h"

PST_CLI_TABLE(table);

static pst_code print_json(const struct pst_key *fresh, const struct pst_root_rotation *done,
                           struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf text = {.max = 8 * PATH_MAX};
    struct pst_json_writer w;
    pst_json_init(&w, &text);
    pst_json_begin_object(&w);
    pst_json_add_z(&w, "key_id", pst_key_id(fresh));
    pst_json_add_i64(&w, "data_keys", done->count);
    pst_json_add_z(&w, "old_key_file", done->kept);
    pst_json_add_bool(&w, "resumed", done->was_resumed);
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    pst_print_json(pst_buf_str(&text));
    return PST_OK;
}

static void print_text(const struct pst_key *fresh, const struct pst_root_rotation *done)
{
    if (done->was_resumed)
        pst_printf("finished a rotation that was broken off: root key %s is in force\n",
                   pst_key_id(fresh));
    else
        pst_printf("root key %s is in force; %lld data keys were wrapped anew\n", pst_key_id(fresh),
                   (long long)done->count);
    pst_printf("the old key is kept as '%s': backups made before now need it\n", done->kept);
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    PST_AUTO(key) struct pst_key *fresh = NULL;
    struct pst_paths paths;
    struct pst_root_rotation done;
    PST_TRY(pst_client_paths(cli, &paths, err));
    struct pst_db_options options = {.path = paths.store.ptr};
    PST_TRY(pst_store_open(&db, &options, err));
    PST_TRY(pst_rotate_root_key(db, paths.key_file.ptr, &fresh, &done, err));
    if (cli->json)
        return print_json(fresh, &done, err);
    print_text(fresh, &done);
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
               "and puts it in\nthe place of the key file. Stored credentials stay as they are. "
               "The old key is kept "
               "beside it as\n<key file>.old, or under a number behind that; no old key is "
               "replaced, for backups made under it\nneed it. Broken off at any moment, the same "
               "command, or a start of the server, finishes it.",
    .table = &table,
    .examples = examples,
    .run = run,
};

static pst_code rotate_data(struct pst_cli *cli, struct pst_db *db,
                            const struct pst_settings *settings, struct pst_err *err)
{
    struct pst_data_rotation done;
    PST_TRY(pst_rotate_data_keys(db, settings->config, &settings->paths,
                                 pst_config_str(cli->options, PST_CLI_ORGANIZATION), &done, err));
    if (cli->json)
        pst_printf("{\"organizations\":%lld,\"secrets\":%lld,\"resumed\":%s}\n",
                   (long long)done.organizations, (long long)done.secrets,
                   done.was_resumed ? "true" : "false");
    else
        pst_printf("%s%lld organizations have a new data key; %lld secrets were sealed with it\n",
                   done.was_resumed ? "went on with a rotation that was broken off: " : "",
                   (long long)done.organizations, (long long)done.secrets);
    return PST_OK;
}

static pst_code run_data(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    struct pst_settings settings;
    PST_TRY(pst_client_settings(cli, &settings, err));
    struct pst_db_options options = {.path = settings.paths.store.ptr};
    pst_code rc = pst_store_open(&db, &options, err);
    if (rc == PST_OK)
        rc = rotate_data(cli, db, &settings, err);
    pst_config_unref(settings.config);
    return rc;
}

static const struct pst_example data_examples[] = {
    {"systemctl stop penstock && penstock keys rotate-data && systemctl start penstock", NULL},
    {"penstock keys rotate-data --organization Acme", "one organization's only"},
    {0},
};

const struct pst_command pst_command_keys_rotate_data = {
    .name = "keys rotate-data",
    .words = "",
    .summary = "replace the data keys of the organizations (while the server is stopped)",
    .details =
        "Makes a new data key for each organization, or for that of --organization, seals its "
        "stored secrets\nwith it in batches and removes the old key. Broken off at any "
        "moment, everything still opens, and the same\ncommand goes on where it was.",
    .table = &table,
    .examples = data_examples,
    .run = run_data,
};
