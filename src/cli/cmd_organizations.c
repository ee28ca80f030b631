/* cli/cmd_organizations.c: penstock organizations: list and create the tenants (operator). */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

enum { LIST_MAX = 10000, CALL_MS = 60000 };

PST_CLI_TABLE(table);

static const struct pst_column columns[] = {
    {"ID", "id", PST_COLUMN_TEXT, 40},
    {"NAME", "name", PST_COLUMN_TEXT, 40},
    {"CREATED", "created_at", PST_COLUMN_TIME, 0},
};

static pst_code list(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("organizations"));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    if (cli->json)
        return pst_print_items(items, count, err);
    pst_print_table(items, count, columns, PST_COUNT(columns),
                    "no organizations yet: penstock organizations create NAME");
    return PST_OK;
}

static const struct pst_example list_examples[] = {
    {"penstock organizations", NULL},
    {"penstock organizations --json", NULL},
    {0},
};

const struct pst_command pst_command_organizations = {
    .name = "organizations",
    .words = "",
    .summary = "list the organizations, or create one",
    .details = "An organization is a tenant: its keys, connections and data. Through the local "
               "socket only.",
    .table = &table,
    .examples = list_examples,
    .run = list,
};

static pst_code create(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {0};
    struct pst_json_writer w;
    struct pst_reply reply = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("organizations"));
    pst_buf_init(&body, PST_BODY_BYTES);
    pst_json_init(&w, &body);
    pst_json_begin_object(&w);
    pst_json_add_str(&w, "name", cli->words[0]);
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    PST_TRY(pst_client_call(cli, "POST", &target, pst_buf_str(&body), CALL_MS, &reply, err));
    if (cli->json)
        pst_print_json(reply.text);
    else
        pst_printf("%.*s\n", PST_STR_ARG(pst_value_str(reply.root, "id")));
    return PST_OK;
}

static const struct pst_example create_examples[] = {
    {"penstock organizations create Acme", NULL},
    {"penstock keys create --organization Acme --name backend", "then its first API key"},
    {0},
};

const struct pst_command pst_command_organizations_create = {
    .name = "organizations create",
    .words = "NAME",
    .min_words = 1,
    .max_words = 1,
    .summary = "create an organization and print its id",
    .table = &table,
    .examples = create_examples,
    .run = create,
};
