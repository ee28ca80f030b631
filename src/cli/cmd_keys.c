/* cli/cmd_keys.c: penstock keys: API keys of an organization and tokens of its connections. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

enum { LIST_MAX = 10000, CALL_MS = 60000 };
enum { CONNECTION = PST_CLI_OWN, NAME, ROLE };

#define CONNECTION_OPTION(help_)                                                                   \
    {.name = "connection",                                                                         \
     .letter = 'c',                                                                                \
     .type = PST_CONFIG_STRING,                                                                    \
     .max = 200,                                                                                   \
     .flags = PST_CONFIG_FLAG_ONLY,                                                                \
     .arg = "CONNECTION",                                                                          \
     .help = help_}

PST_CLI_TABLE(list_table, CONNECTION_OPTION("The tokens of this connection, instead of the "
                                            "organization's API keys."));
PST_CLI_TABLE(revoke_table,
              CONNECTION_OPTION("The connection whose token it is. Without it: an API "
                                "key of the organization."));
PST_CLI_TABLE(create_table,
              CONNECTION_OPTION("Make a token for this connection, instead of an API key of the "
                                "organization."),
              {.name = "name",
               .letter = 'n',
               .type = PST_CONFIG_STRING,
               .value = "",
               .max = 200,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "NAME",
               .help = "What it is for, to recognise it in the list."},
              {.name = "role",
               .letter = 'r',
               .type = PST_CONFIG_ENUM,
               .value = "admin",
               .flags = PST_CONFIG_FLAG_ONLY,
               .choices = "viewer|developer|admin",
               .arg = "ROLE",
               .help = "What an API key may do. Tokens read and sync their connection only."});

/* "/v1/keys", or "/v1/connections/<id>/tokens". */
static pst_code begin_target(struct pst_cli *cli, struct pst_target *t, struct pst_err *err)
{
    pst_str connection = pst_config_str(cli->options, CONNECTION);
    pst_target_init(t);
    if (connection.len == 0) {
        pst_target_add(t, PST_STR("keys"));
        return PST_OK;
    }
    PST_TRY(pst_client_connection_target(cli, connection, t, err));
    pst_target_add(t, PST_STR("tokens"));
    return PST_OK;
}

static const struct pst_column columns[] = {
    {"ID", "id", PST_COLUMN_TEXT, 40},
    {"NAME", "name", PST_COLUMN_TEXT, 30},
    {"ROLE", "role", PST_COLUMN_TEXT, 12},
    {"BEGINS", "hint", PST_COLUMN_TEXT, 16},
    {"CREATED", "created_at", PST_COLUMN_TIME, 0},
    {"LAST USED", "last_used_at", PST_COLUMN_AGO, 0},
    {"REVOKED", "revoked_at", PST_COLUMN_TIME, 0},
};

static pst_code list(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    PST_TRY(begin_target(cli, &target, err));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    if (cli->json)
        return pst_print_items(items, count, err);
    pst_print_table(items, count, columns, PST_COUNT(columns),
                    "no keys yet: penstock keys create --name NAME");
    return PST_OK;
}

static const struct pst_example list_examples[] = {
    {"penstock keys", NULL},
    {"penstock keys --connection acme", "the tokens of one connection"},
    {0},
};

const struct pst_command pst_command_keys = {
    .name = "keys",
    .words = "",
    .summary = "list, create and revoke API keys and connection tokens",
    .table = &list_table,
    .examples = list_examples,
    .run = list,
};

static pst_code write_body(struct pst_cli *cli, struct pst_buf *body, struct pst_err *err)
{
    struct pst_json_writer w;
    bool is_token = pst_config_str(cli->options, CONNECTION).len > 0;
    pst_json_init(&w, body);
    pst_json_begin_object(&w);
    pst_json_add_str(&w, "name", pst_config_str(cli->options, NAME));
    if (!is_token)
        pst_json_add_str(&w, "role", pst_config_str(cli->options, ROLE));
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code create(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {0};
    struct pst_reply reply = {0};
    pst_buf_init(&body, PST_BODY_BYTES);
    PST_TRY(begin_target(cli, &target, err));
    PST_TRY(write_body(cli, &body, err));
    PST_TRY(pst_client_call(cli, "POST", &target, pst_buf_str(&body), CALL_MS, &reply, err));
    if (cli->json) {
        pst_print_json(reply.text);
        return PST_OK;
    }
    pst_str text = pst_value_str(reply.root, "key");
    if (text.len == 0)
        text = pst_value_str(reply.root, "token");
    pst_printf("%.*s\n", PST_STR_ARG(text));
    pst_notef("This is shown once; Penstock keeps only its hash. Id: %.*s\n",
              PST_STR_ARG(pst_value_str(reply.root, "id")));
    return PST_OK;
}

static const struct pst_example create_examples[] = {
    {"penstock keys create --name backend", "an API key with all rights of its organization"},
    {"penstock keys create --name reports --role viewer > reports.key", NULL},
    {"penstock keys create --connection acme --name app", "a token for one connection"},
    {0},
};

const struct pst_command pst_command_keys_create = {
    .name = "keys create",
    .words = "",
    .summary = "create an API key or connection token and print it",
    .table = &create_table,
    .examples = create_examples,
    .run = create,
};

static pst_code revoke(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    PST_TRY(begin_target(cli, &target, err));
    pst_target_add(&target, cli->words[0]);
    PST_TRY(pst_client_call(cli, "DELETE", &target, PST_STR(""), CALL_MS, &reply, err));
    if (cli->json)
        pst_print_json(reply.text.len ? reply.text : PST_STR("{}"));
    else
        pst_notef("revoked %.*s\n", PST_STR_ARG(cli->words[0]));
    return PST_OK;
}

static const struct pst_example revoke_examples[] = {
    {"penstock keys revoke key_01jd...", NULL},
    {"penstock keys revoke key_01jd... --connection acme", "a connection's token"},
    {0},
};

const struct pst_command pst_command_keys_revoke = {
    .name = "keys revoke",
    .words = "KEY_ID",
    .min_words = 1,
    .max_words = 1,
    .summary = "make a key or token useless at once",
    .table = &revoke_table,
    .examples = revoke_examples,
    .run = revoke,
};
