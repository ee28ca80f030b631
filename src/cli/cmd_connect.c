/* cli/cmd_connect.c: penstock connect: a new connection, tested at once. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "crypto/crypto.h"

enum { CALL_MS = 60000 };
enum { TEST = PST_CLI_OWN + PST_SETTINGS_COUNT };

PST_CLI_TABLE(table, PST_SETTINGS_OPTIONS,
              {.name = "test",
               .type = PST_CONFIG_BOOL,
               .value = "true",
               .flags = PST_CONFIG_FLAG_ONLY,
               .group = "Connection",
               .help = "Check address, credentials and permissions after creating it."});

static pst_code write_body(struct pst_cli *cli, struct pst_buf *body, struct pst_err *err)
{
    struct pst_json_writer w;
    pst_json_init(&w, body);
    pst_json_begin_object(&w);
    pst_json_add_str(&w, "connector", cli->words[0]);
    if (pst_config_source(cli->options, PST_SETTINGS_NAME) == PST_FROM_DEFAULT)
        pst_json_add_str(&w, "name", cli->words[0]);
    PST_TRY(pst_settings_put(cli, &w, PST_SETTINGS_CREATE, err));
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {0};
    struct pst_reply reply = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_buf_init(&body, PST_BODY_BYTES);
    pst_code rc = write_body(cli, &body, err);
    if (rc == PST_OK)
        rc = pst_client_call(cli, "POST", &target, pst_buf_str(&body), CALL_MS, &reply, err);
    pst_wipe(body.ptr, body.len);
    PST_TRY(rc);
    pst_str id = pst_value_str(reply.root, "id");
    if (cli->json) {
        pst_print_json(reply.text);
        return PST_OK;
    }
    pst_printf("%.*s\n", PST_STR_ARG(id));
    if (pst_str_is(pst_value_str(reply.root, "status"), "inactive"))
        return PST_FAIL(err, PST_E_CREDITS,
                        "the connection was made, but is switched off (%.*s): when there are "
                        "credits, penstock connections update %.*s --enabled yes",
                        PST_STR_ARG(pst_value_str(reply.root, "status_reason")), PST_STR_ARG(id));
    if (pst_config_bool(cli->options, TEST))
        PST_TRY(pst_test_connection(cli, id, err));
    pst_notef("the first full sync begins by itself; watch it: penstock sync %.*s --watch\n",
              PST_STR_ARG(id));
    return PST_OK;
}

static const struct pst_example examples[] = {
    {"penstock connect peoplesoft --name acme --base-url https://ps.example.com:8443 --username "
     "PSAPI",
     "asks for the password"},
    {"penstock connect peoplesoft --name acme --base-url https://ps.example.com --username PSAPI "
     "\\\n"
     "      --password-file ps.password --time-zone America/New_York --schedule 5m",
     NULL},
    {"penstock connect peoplesoft --name acme ... --set 'business_units:=[\"US001\",\"US002\"]'",
     "options of the connector"},
    {0},
};

const struct pst_command pst_command_connect = {
    .name = "connect",
    .words = "CONNECTOR",
    .min_words = 1,
    .max_words = 1,
    .summary = "connect a system, test the connection and begin its first sync",
    .details =
        "CONNECTOR is peoplesoft. The test says in words what the system's administrator has "
        "to do:\nwhich user, permission or query is missing. The connection is made also "
        "when the test fails.",
    .table = &table,
    .examples = examples,
    .run = run,
};
