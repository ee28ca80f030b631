/* cli/cmd_connections.c: penstock connections: list, look at, change, delete, test, history. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "crypto/crypto.h"

enum { LIST_MAX = 10000, CALL_MS = 60000, TEST_MS = 10 * 60000, HISTORY_MAX = 100 };

PST_CLI_TABLE(plain_table);

static const struct pst_column list_columns[] = {
    {"ID", "id", PST_COLUMN_TEXT, 40},
    {"NAME", "name", PST_COLUMN_TEXT, 30},
    {"CONNECTOR", "connector", PST_COLUMN_TEXT, 16},
    {"STATUS", "status", PST_COLUMN_TEXT, 24},
    {"SINCE", "status_since", PST_COLUMN_AGO, 0},
    {"SYNCING", "syncing", PST_COLUMN_YES, 0},
};

static pst_code list(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    if (cli->json)
        return pst_print_items(items, count, err);
    pst_print_table(items, count, list_columns, PST_COUNT(list_columns),
                    "no connections yet: see penstock connect --help");
    return PST_OK;
}

static const struct pst_example list_examples[] = {
    {"penstock connections", NULL},
    {"penstock connections --json", NULL},
    {0},
};

const struct pst_command pst_command_connections = {
    .name = "connections",
    .words = "",
    .summary = "list, change, test and delete connections",
    .table = &plain_table,
    .examples = list_examples,
    .run = list,
};

/* ---- get ---- */

static const struct pst_column fields[] = {
    {"Id", "id", PST_COLUMN_TEXT, 0},
    {"Name", "name", PST_COLUMN_TEXT, 0},
    {"Connector", "connector", PST_COLUMN_TEXT, 0},
    {"Status", "status", PST_COLUMN_TEXT, 0},
    {"Since", "status_since", PST_COLUMN_TIME, 0},
    {"Reason", "status_reason", PST_COLUMN_TEXT, 0},
    {"Away since", "outage.since", PST_COLUMN_TIME, 0},
    {"Tries", "outage.tries", PST_COLUMN_NUMBER, 0},
    {"Next probe", "outage.next_probe_at", PST_COLUMN_TIME, 0},
    {"Syncing", "syncing", PST_COLUMN_YES, 0},
    {"First sync done", "initial_sync_done", PST_COLUMN_YES, 0},
    {"Schedule", "schedule", PST_COLUMN_SCHEDULE, 0},
    {"Next run", "next_run_at", PST_COLUMN_TIME, 0},
    {"History days", "history_days", PST_COLUMN_TEXT, 0},
    {"Entities", "entities", PST_COLUMN_CHOICE, 0},
    {"Config", "config", PST_COLUMN_TEXT, 0},
    {"Metadata", "metadata", PST_COLUMN_TEXT, 0},
    {"Created", "created_at", PST_COLUMN_TIME, 0},
    {"Updated", "updated_at", PST_COLUMN_TIME, 0},
};

static void print_connection(const struct pst_cli *cli, const struct pst_reply *reply)
{
    if (cli->json)
        pst_print_json(reply->text);
    else
        pst_print_fields(reply->root, fields, PST_COUNT(fields));
}

static pst_code get(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    pst_target_init(&target);
    PST_TRY(pst_client_connection_target(cli, cli->words[0], &target, err));
    PST_TRY(pst_client_get(cli, &target, &reply, err));
    print_connection(cli, &reply);
    return PST_OK;
}

static const struct pst_example get_examples[] = {
    {"penstock connections get acme", "by name, where it is unique"},
    {"penstock connections get conn_01jd... --json", NULL},
    {0},
};

const struct pst_command pst_command_connections_get = {
    .name = "connections get",
    .words = "CONNECTION",
    .min_words = 1,
    .max_words = 1,
    .summary = "show one connection",
    .table = &plain_table,
    .examples = get_examples,
    .run = get,
};

/* ---- update ---- */

enum { ENABLE = PST_CLI_OWN + PST_SETTINGS_COUNT, SERVE_STALE };
PST_CLI_TABLE(update_table, PST_SETTINGS_OPTIONS,
              {.name = "enabled",
               .type = PST_CONFIG_ENUM,
               .value = "unchanged",
               .flags = PST_CONFIG_FLAG_ONLY,
               .choices = "unchanged|yes|no",
               .arg = "YES",
               .group = "Connection",
               .help = "no: switch the connection off; yes: on again, with a look at it at once."},
              {.name = "serve_stale",
               .type = PST_CONFIG_ENUM,
               .value = "unchanged",
               .flags = PST_CONFIG_FLAG_ONLY,
               .choices = "unchanged|yes|no",
               .arg = "YES",
               .group = "Connection",
               .help = "yes: while its system is away its records are served as they are stored."});

static void put_switch(struct pst_cli *cli, struct pst_json_writer *w, const char *name,
                       size_t option)
{
    int64_t choice = pst_config_int(cli->options, option);
    if (choice != 0)
        pst_json_add_bool(w, name, choice == 1);
}

static pst_code write_update(struct pst_cli *cli, struct pst_buf *body, struct pst_err *err)
{
    struct pst_json_writer w;
    pst_json_init(&w, body);
    pst_json_begin_object(&w);
    PST_TRY(pst_settings_put(cli, &w, PST_SETTINGS_CHANGE, err));
    put_switch(cli, &w, "enabled", ENABLE);
    put_switch(cli, &w, "serve_stale", SERVE_STALE);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code update(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {0};
    struct pst_reply reply = {0};
    pst_target_init(&target);
    pst_buf_init(&body, PST_BODY_BYTES);
    PST_TRY(write_update(cli, &body, err));
    if (body.len <= strlen("{}"))
        return PST_FAIL(err, PST_E_INVALID,
                        "say what to change (see penstock connections update --help)");
    PST_TRY(pst_client_connection_target(cli, cli->words[0], &target, err));
    pst_code rc = pst_client_call(cli, "PATCH", &target, pst_buf_str(&body), CALL_MS, &reply, err);
    pst_wipe(body.ptr, body.len);
    PST_TRY(rc);
    print_connection(cli, &reply);
    if (!cli->json && pst_value_str(reply.root, "notice").len > 0)
        pst_notef("%.*s\n", PST_STR_ARG(pst_value_str(reply.root, "notice")));
    return PST_OK;
}

static const struct pst_example update_examples[] = {
    {"penstock connections update acme --schedule 5m", NULL},
    {"penstock connections update acme --schedule '0 6 * * * Europe/Berlin'", NULL},
    {"penstock connections update acme --ask-password", "new credentials; tried at once"},
    {"penstock connections update acme --enabled no", "stop syncing, keep the data"},
    {0},
};

const struct pst_command pst_command_connections_update = {
    .name = "connections update",
    .words = "CONNECTION",
    .min_words = 1,
    .max_words = 1,
    .summary = "change settings or credentials",
    .table = &update_table,
    .examples = update_examples,
    .run = update,
};

/* ---- delete ---- */

enum { PURGE = PST_CLI_OWN, YES };
PST_CLI_TABLE(delete_table,
              {.name = "purge",
               .type = PST_CONFIG_BOOL,
               .flags = PST_CONFIG_FLAG_ONLY,
               .help = "Remove its data, too."},
              {.name = "yes",
               .letter = 'y',
               .type = PST_CONFIG_BOOL,
               .flags = PST_CONFIG_FLAG_ONLY,
               .help = "Do not ask."});

static pst_code delete_connection(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    bool purge = pst_config_bool(cli->options, PURGE);
    pst_target_init(&target);
    PST_TRY(pst_client_connection_target(cli, cli->words[0], &target, err));
    if (purge)
        pst_target_query(&target, "purge", PST_STR("true"));
    if (!pst_config_bool(cli->options, YES) &&
        !pst_terminal_confirm(purge ? "Delete the connection and all its data?"
                                    : "Delete the connection? (Its data is kept.)"))
        return PST_FAIL(err, PST_E_CANCELLED, "nothing was changed (--yes does not ask)");
    PST_TRY(pst_client_call(cli, "DELETE", &target, PST_STR(""), CALL_MS, &reply, err));
    if (cli->json)
        pst_print_json(reply.text.len ? reply.text : PST_STR("{}"));
    else
        pst_notef("deleted%s\n", purge ? ", its data goes now" : "; its data is kept");
    return PST_OK;
}

static const struct pst_example delete_examples[] = {
    {"penstock connections delete acme", NULL},
    {"penstock connections delete conn_01jd... --purge --yes", NULL},
    {0},
};

const struct pst_command pst_command_connections_delete = {
    .name = "connections delete",
    .words = "CONNECTION",
    .min_words = 1,
    .max_words = 1,
    .summary = "delete a connection",
    .table = &delete_table,
    .examples = delete_examples,
    .run = delete_connection,
};

/* ---- test ---- */

static void print_checks(yyjson_val *checks)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *check = NULL;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1 << 20);
    yyjson_arr_foreach(checks, i, n, check)
    {
        bool ok = false;
        (void)pst_json_bool(pst_value_at(check, "ok"), &ok);
        pst_buf_add_str(&b, ok ? PST_STR("  ok    ") : PST_STR("  FAIL  "));
        pst_terminal_clean(&b, pst_value_str(check, "name"), 60);
        pst_buf_add_lit(&b, ": ");
        pst_terminal_clean(&b, pst_value_str(check, "detail"), 400);
        pst_buf_add_char(&b, '\n');
        if (pst_value_str(check, "fix").len > 0) {
            pst_buf_add_lit(&b, "        -> ");
            pst_terminal_clean(&b, pst_value_str(check, "fix"), 600);
            pst_buf_add_char(&b, '\n');
        }
    }
    pst_terminal_print(pst_buf_str(&b));
}

pst_code pst_ask_test(struct pst_cli *cli, pst_str id, struct pst_reply *out, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, id);
    pst_target_add(&target, PST_STR("test"));
    return pst_client_call(cli, "POST", &target, PST_STR("{}"), TEST_MS, out, err);
}

pst_code pst_test_connection(struct pst_cli *cli, pst_str id, struct pst_err *err)
{
    struct pst_reply reply = {0};
    size_t i = 0;
    size_t n = 0;
    yyjson_val *check = NULL;
    PST_TRY(pst_ask_test(cli, id, &reply, err));
    if (cli->json)
        pst_print_json(reply.text);
    else
        print_checks(pst_value_at(reply.root, "checks"));
    yyjson_arr_foreach(pst_value_at(reply.root, "checks"), i, n, check)
    {
        char code[64] = "";
        bool ok = true;
        (void)pst_json_bool(pst_value_at(check, "ok"), &ok);
        (void)pst_str_copy(code, sizeof(code), pst_value_str(check, "code"));
        if (!ok)
            return PST_FAIL(err, pst_code_from_name(code),
                            "the connection cannot be synced yet: "
                            "see what to do above");
    }
    return PST_OK;
}

static pst_code test(struct pst_cli *cli, struct pst_err *err)
{
    pst_str id = {0};
    PST_TRY(pst_client_connection(cli, cli->words[0], &id, err));
    return pst_test_connection(cli, id, err);
}

static const struct pst_example test_examples[] = {
    {"penstock connections test acme", "address, credentials, permissions, each entity"},
    {0},
};

const struct pst_command pst_command_connections_test = {
    .name = "connections test",
    .words = "CONNECTION",
    .min_words = 1,
    .max_words = 1,
    .summary = "check address, credentials and what can be read, and say what to fix",
    .table = &plain_table,
    .examples = test_examples,
    .run = test,
};

yyjson_val *pst_connection_error(yyjson_val *sync_status)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *entity = NULL;
    yyjson_arr_foreach(pst_value_at(sync_status, "entities"), i, n, entity)
    {
        yyjson_val *error = pst_value_at(entity, "error");
        if (yyjson_is_obj(error))
            return error;
    }
    return NULL;
}

void pst_connection_failure(struct pst_cli *cli, pst_str id, struct pst_buf *out)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    struct pst_err err;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, id);
    pst_target_add(&target, PST_STR("sync-status"));
    if (pst_client_get(cli, &target, &reply, &err) != PST_OK)
        return;
    yyjson_val *error = pst_connection_error(reply.root);
    if (error)
        pst_buf_addf(out, "%.*s (%.*s)", PST_STR_ARG(pst_value_str(error, "message")),
                     PST_STR_ARG(pst_value_str(error, "code")));
}

/* ---- history ---- */

static const struct pst_column history_columns[] = {
    {"AT", "at", PST_COLUMN_TIME, 0},
    {"STATUS", "status", PST_COLUMN_TEXT, 24},
    {"REASON", "reason", PST_COLUMN_TEXT, 100},
};

static pst_code history(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_target_init(&target);
    PST_TRY(pst_client_connection_target(cli, cli->words[0], &target, err));
    pst_target_add(&target, PST_STR("history"));
    PST_TRY(pst_client_list(cli, &target, HISTORY_MAX, &items, &count, err));
    if (cli->json)
        return pst_print_items(items, count, err);
    pst_print_table(items, count, history_columns, PST_COUNT(history_columns), "no history");
    return PST_OK;
}

static const struct pst_example history_examples[] = {
    {"penstock connections history acme", NULL},
    {0},
};

const struct pst_command pst_command_connections_history = {
    .name = "connections history",
    .words = "CONNECTION",
    .min_words = 1,
    .max_words = 1,
    .summary = "show when and why the status changed",
    .table = &plain_table,
    .examples = history_examples,
    .run = history,
};
