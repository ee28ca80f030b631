/* cli/cmd_credits.c: penstock credits: the pool, who holds what of it, and the ledger. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

enum { LIST_MAX = 100000, LEDGER = PST_CLI_OWN };

PST_CLI_TABLE(table, {.name = "ledger",
                      .type = PST_CONFIG_BOOL,
                      .flags = PST_CONFIG_FLAG_ONLY,
                      .help = "What was taken and given back, newest first."});

static const struct pst_column sums[] = {
    {"Pool", "pool", PST_COLUMN_LIMIT, 0},
    {"Used", "used", PST_COLUMN_NUMBER, 0},
    {"Free", "free", PST_COLUMN_LIMIT, 0},
    {"Overage", "overage", PST_COLUMN_NUMBER, 0},
    {"Overage allowed", "overage_allowed", PST_COLUMN_YES, 0},
};

static const struct pst_column holders[] = {
    {"CONNECTION", "connection_id", PST_COLUMN_TEXT, 40}, {"NAME", "name", PST_COLUMN_TEXT, 30},
    {"CONNECTOR", "connector", PST_COLUMN_TEXT, 16},      {"STATUS", "status", PST_COLUMN_TEXT, 24},
    {"CREDITS", "credits", PST_COLUMN_NUMBER, 0},
};

static const struct pst_column entries[] = {
    {"AT", "at", PST_COLUMN_TIME, 0},
    {"CONNECTION", "connection_id", PST_COLUMN_TEXT, 40},
    {"CREDITS", "amount", PST_COLUMN_NUMBER, 0},
    {"OVERAGE", "overage", PST_COLUMN_NUMBER, 0},
    {"USED", "used", PST_COLUMN_NUMBER, 0},
    {"REASON", "reason", PST_COLUMN_TEXT, 30},
};

static pst_code show_ledger(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("credits"));
    pst_target_add(&target, PST_STR("ledger"));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    if (cli->json)
        return pst_print_items(items, count, err);
    pst_print_table(items, count, entries, PST_COUNT(entries), "nothing was taken yet");
    return PST_OK;
}

static pst_code show(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    if (pst_config_bool(cli->options, LEDGER))
        return show_ledger(cli, err);
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("credits"));
    PST_TRY(pst_client_get(cli, &target, &reply, err));
    if (cli->json) {
        pst_print_json(reply.text);
        return PST_OK;
    }
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    pst_print_fields(reply.root, sums, PST_COUNT(sums));
    pst_printf("\n");
    pst_print_table(items, count, holders, PST_COUNT(holders), "no connections yet");
    return PST_OK;
}

static const struct pst_example examples[] = {
    {"penstock credits", NULL},
    {"penstock credits --ledger --organization Acme", "what was taken and given back"},
    {0},
};

const struct pst_command pst_command_credits = {
    .name = "credits",
    .words = "",
    .summary = "show the credits of an organization and who holds them",
    .details =
        "A connection takes its connector's credits from creation to deletion, twice as many "
        "with deployment on_premises. The operator sets the pool: penstock organizations update.",
    .table = &table,
    .examples = examples,
    .run = show,
};
