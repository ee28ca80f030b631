/* cli/cmd_backup.c: penstock backup and penstock restore: the store as one file. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "account/account.h"
#include "app/settings.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/rand.h"
#include "store/accounts.h"
#include "store/store.h"

enum { BACKUP_MS = 6 * 3600 * 1000 };
enum { YES = PST_CLI_OWN };

PST_CLI_TABLE(backup_table);
PST_CLI_TABLE(restore_table, {.name = "yes",
                              .letter = 'y',
                              .type = PST_CONFIG_BOOL,
                              .flags = PST_CONFIG_FLAG_ONLY,
                              .help = "Do not ask."});

/* The server runs in a directory of its own, so it needs the path from the root. */
static pst_code absolute_path(char out[PATH_MAX], pst_str path, struct pst_err *err)
{
    char cwd[PATH_MAX];
    int n = 0;
    if (path.ptr[0] == '/')
        n = snprintf(out, PATH_MAX, "%.*s", PST_STR_ARG(path));
    else if (getcwd(cwd, sizeof(cwd)))
        n = snprintf(out, PATH_MAX, "%s/%.*s", cwd, PST_STR_ARG(path));
    else
        return PST_FAIL_OS(err, PST_E_IO, "cannot tell the current directory");
    if (n < 0 || n >= PATH_MAX)
        return PST_FAIL(err, PST_E_INVALID, "the path is too long");
    return PST_OK;
}

static pst_code ask_server(struct pst_cli *cli, const char *path, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {0};
    struct pst_json_writer w;
    struct pst_reply reply = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("backup"));
    pst_buf_init(&body, PST_BODY_BYTES);
    pst_json_init(&w, &body);
    pst_json_begin_object(&w);
    pst_json_add_z(&w, "path", path);
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    return pst_client_call(cli, "POST", &target, pst_buf_str(&body), BACKUP_MS, &reply, err);
}

/* The server may not write there, in its sandbox or as its user: it makes the copy in its data
 * directory, and this command, with the rights of who runs it, takes it from there. */
static pst_code backup_staged(struct pst_cli *cli, const char *path, struct pst_err *err)
{
    char name[PATH_MAX];
    char stage[PATH_MAX];
    struct pst_paths paths;
    PST_TRY(pst_client_paths(cli, &paths, err));
    int n = snprintf(name, sizeof(name), "%.*s/" PST_STAGED "%016llx.db",
                     PST_STR_ARG(paths.data_dir), (unsigned long long)pst_rand_u64());
    if (n < 0 || (size_t)n >= sizeof(name))
        return PST_FAIL(err, PST_E_INVALID, "the path of the data directory is too long");
    PST_TRY(absolute_path(stage, pst_str_from(name), err));
    pst_code rc = ask_server(cli, stage, err);
    if (rc == PST_OK)
        rc = pst_file_move(stage, path, err);
    if (rc != PST_OK)
        (void)unlink(stage);
    return rc;
}

static pst_code backup_online(struct pst_cli *cli, const char *path, struct pst_err *err)
{
    bool is_remote = pst_config_str(cli->options, PST_CLI_URL).len > 0;
    pst_code rc = ask_server(cli, path, err);
    return rc == PST_E_DENIED && !is_remote ? backup_staged(cli, path, err) : rc;
}

static pst_code backup_offline(struct pst_cli *cli, const char *path, struct pst_backup_info *info,
                               struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    struct pst_paths paths;
    PST_TRY(pst_client_paths(cli, &paths, err));
    struct pst_db_options options = {.path = paths.store.ptr};
    PST_TRY(pst_store_open(&db, &options, err));
    return pst_store_backup(db, path, info, err);
}

/* kept: name of the store that was there before; NULL or "" where there is none. */
static void print_info(const struct pst_cli *cli, const char *path,
                       const struct pst_backup_info *info, const char *kept)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    char newest[PST_WALL_TEXT];
    (void)pst_wall_format(newest, info->newest_change);
    pst_buf_init(&b, 8192);
    if (!cli->json) {
        pst_printf("%s: %lld organizations, %lld connections, %lld records, newest change %s, "
                   "%llu bytes\n",
                   path, (long long)info->organizations, (long long)info->connections,
                   (long long)info->records, newest[0] ? newest : "none",
                   (unsigned long long)info->bytes);
        return;
    }
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_json_add_z(&w, "path", path);
    pst_json_add_i64(&w, "schema", info->schema);
    pst_json_add_i64(&w, "organizations", info->organizations);
    pst_json_add_i64(&w, "connections", info->connections);
    pst_json_add_i64(&w, "records", info->records);
    pst_json_add_wall(&w, "newest_change", info->newest_change);
    pst_json_add_i64(&w, "bytes", (int64_t)info->bytes);
    if (kept && kept[0])
        pst_json_add_z(&w, "kept", kept);
    pst_json_end_object(&w);
    pst_print_json(pst_buf_str(&b));
}

static pst_code run_backup(struct pst_cli *cli, struct pst_err *err)
{
    char path[PATH_MAX];
    struct pst_backup_info info;
    PST_TRY(absolute_path(path, cli->words[0], err));
    if (pst_file_exists(path))
        return PST_FAIL(err, PST_E_CONFLICT, "'%s' exists; a backup never replaces a file", path);
    pst_code rc = backup_online(cli, path, err);
    bool is_remote = pst_config_str(cli->options, PST_CLI_URL).len > 0;
    bool is_offline = rc == PST_E_UNAVAILABLE && !is_remote;
    if (is_offline)
        rc = backup_offline(cli, path, &info, err);
    PST_TRY(rc);
    if (is_remote) {
        pst_notef("the backup lies on the server as '%s'\n", path);
        return PST_OK;
    }
    if (!is_offline) /* what the server wrote is looked at from here */
        PST_TRY(pst_store_verify(path, &info, err));
    print_info(cli, path, &info, NULL);
    if (!cli->json)
        pst_notef("the root key is not in it: keep a copy of the key file in another place\n");
    return PST_OK;
}

static const struct pst_example backup_examples[] = {
    {"penstock backup /backup/penstock-$(date +%F).db", "while the server runs, or not"},
    {0},
};

const struct pst_command pst_command_backup = {
    .name = "backup",
    .words = "FILE",
    .min_words = 1,
    .max_words = 1,
    .summary = "copy the store to a file, checked, while the server goes on",
    .details = "The copy holds everything but the root key. A server that runs makes it; without "
               "one the command\ntakes the store's lock and makes it itself.",
    .table = &backup_table,
    .examples = backup_examples,
    .run = run_backup,
};

static pst_code audit_restore(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct pst_audit entry = {.at = pst_wall_now(),
                                    .actor = PST_STR("operator"),
                                    .action = PST_STR("store.restore"),
                                    .object = pst_str_from(arg)};
    return pst_audit_add(conn, &entry, err);
}

/* The restore stands, whether it can be noted or not. */
static void note_restore(const char *path, const char *backup)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    struct pst_db_options options = {.path = path};
    struct pst_err err;
    pst_code rc = pst_store_open(&db, &options, &err);
    if (rc == PST_OK)
        rc = pst_db_write_direct(db, audit_restore, (void *)(uintptr_t)backup, &err);
    if (rc != PST_OK)
        pst_notef("it could not be noted in the store's audit log: %s\n", err.msg);
}

static pst_code load_key(struct pst_key **out, const struct pst_settings *settings,
                         struct pst_err *err)
{
    pst_str text = pst_config_str(settings->config, PST_OPT_ROOT_KEY);
    return text.len > 0 ? pst_key_from_text(out, text, err)
                        : pst_key_load(out, settings->paths.key_file.ptr, err);
}

static pst_code read_key_id(char out[PST_KEY_ID_TEXT], const char *path, struct pst_err *err)
{
    PST_AUTO(db) struct pst_db *db = NULL;
    PST_AUTO(db_reader) struct pst_db_conn *reader = NULL;
    struct pst_db_options options = {.path = path};
    PST_TRY(pst_store_open(&db, &options, err));
    PST_TRY(pst_db_reader_new(db, &reader, err));
    return pst_vault_key_id(reader, out, err);
}

/* A store that another root key seals does not start: say so now, and which one it wants. */
static void note_key(struct pst_cli *cli)
{
    PST_AUTO(key) struct pst_key *key = NULL;
    struct pst_settings settings;
    struct pst_err err;
    char wanted[PST_KEY_ID_TEXT];
    if (pst_client_settings(cli, &settings, &err) != PST_OK)
        return;
    if (read_key_id(wanted, settings.paths.store.ptr, &err) == PST_OK && wanted[0]) {
        bool is_there = load_key(&key, &settings, &err) == PST_OK;
        if (!is_there || strcmp(wanted, pst_key_id(key)) != 0)
            pst_notef("this backup needs root key %s, %s%s: put that one in place before the "
                      "start (old keys are kept as '%.*s.old', .old.2 ...)\n",
                      wanted, is_there ? "but the key in place is " : "which is not in place",
                      is_there ? pst_key_id(key) : "", PST_STR_ARG(settings.paths.key_file));
    }
    pst_config_unref(settings.config);
}

static pst_code run_restore(struct pst_cli *cli, struct pst_err *err)
{
    struct pst_paths paths;
    struct pst_backup_info info;
    const char *backup = cli->words[0].ptr;
    char kept[PST_DB_PATH] = "";
    PST_TRY(pst_client_paths(cli, &paths, err));
    PST_TRY(pst_store_verify(backup, &info, err));
    if (!cli->json)
        print_info(cli, backup, &info, NULL);
    if (pst_file_exists(paths.store.ptr) && !pst_config_bool(cli->options, YES) &&
        !pst_terminal_confirm(
            "Put it in the place of the present store (which is kept beside it)?"))
        return PST_FAIL(err, PST_E_CANCELLED, "nothing was changed (--yes does not ask)");
    PST_TRY(pst_dir_make(paths.data_dir.ptr, 0700, err));
    PST_TRY(pst_store_restore(backup, paths.store.ptr, pst_wall_now(), &info, kept, err));
    note_restore(paths.store.ptr, backup);
    note_key(cli);
    if (cli->json)
        print_info(cli, paths.store.ptr, &info, kept);
    else
        pst_printf("restored to '%s'\n", paths.store.ptr);
    if (!cli->json && kept[0])
        pst_printf("the store that was there is kept as '%s'\n", kept);
    return PST_OK;
}

static const struct pst_example restore_examples[] = {
    {"systemctl stop penstock && penstock restore /backup/penstock-2026-11-24.db", NULL},
    {0},
};

const struct pst_command pst_command_restore = {
    .name = "restore",
    .words = "FILE",
    .min_words = 1,
    .max_words = 1,
    .summary = "put a backup in the place of the store (while the server is stopped)",
    .details =
        "The present store is kept beside it as <store>.before-restore, or under a number behind "
        "that; the name is\nprinted, and no file is replaced. Broken off at any moment it may be "
        "repeated. The root key must be the one\nthat was in force when the backup was made; where "
        "another is in place, its id is said. Change feeds begin\nanew behind every number given "
        "out so far: a follower gets 410, lists the records and follows on.",
    .table = &restore_table,
    .examples = restore_examples,
    .run = run_restore,
};
