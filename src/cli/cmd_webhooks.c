/* cli/cmd_webhooks.c: penstock webhooks: list, create, show, change, delete, rotate the secret. */
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/webhooks.h"

enum { LIST_MAX = 1000, CALL_MS = 60000 };

/* ---- list ---- */

enum { LIST_CONNECTION = PST_CLI_OWN };
#define CONNECTION_OPTION(help_)                                                                   \
    {.name = "connection",                                                                         \
     .letter = 'c',                                                                                \
     .type = PST_CONFIG_STRING,                                                                    \
     .max = 200,                                                                                   \
     .flags = PST_CONFIG_FLAG_ONLY,                                                                \
     .arg = "CONNECTION",                                                                          \
     .help = help_}
PST_CLI_TABLE(list_table,
              CONNECTION_OPTION("Those that this connection's events go to, and which events."));

static const struct pst_column list_columns[] = {
    {"ID", "id", PST_COLUMN_TEXT, 40},
    {"URL", "url", PST_COLUMN_TEXT, 50},
    {"EVENTS", "events", PST_COLUMN_TEXT, 30},
    {"STATUS", "status", PST_COLUMN_TEXT, 10},
    {"LAST SUCCESS", "last_success_at", PST_COLUMN_AGO, 0},
    {"DESCRIPTION", "description", PST_COLUMN_TEXT, 30},
};

static void print_advice(yyjson_val *webhook)
{
    PST_AUTO(buf) struct pst_buf b = {.max = 8192};
    PST_AUTO(buf) struct pst_buf advice = {.max = 4096};
    pst_webhook_advice(&advice, webhook);
    if (advice.len == 0)
        return;
    pst_buf_addf(&b, "%.*s: ", PST_STR_ARG(pst_value_str(webhook, "id")));
    pst_buf_add_str(&b, pst_buf_str(&advice));
    pst_buf_add_char(&b, '\n');
    pst_terminal_print(pst_buf_str(&b));
}

static pst_code list(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_str connection = pst_config_str(cli->options, LIST_CONNECTION);
    pst_target_init(&target);
    if (connection.len)
        PST_TRY(pst_client_connection_target(cli, connection, &target, err));
    pst_target_add(&target, PST_STR("webhooks"));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    if (cli->json)
        return pst_print_items(items, count, err);
    pst_print_table(items, count, list_columns, PST_COUNT(list_columns),
                    "no webhooks yet: penstock webhooks create URL");
    for (size_t i = 0; i < count; i++)
        print_advice(items[i]);
    return PST_OK;
}

static const struct pst_example list_examples[] = {
    {"penstock webhooks", NULL},
    {"penstock webhooks --connection acme", "which of them get this connection's events"},
    {0},
};

const struct pst_command pst_command_webhooks = {
    .name = "webhooks",
    .words = "",
    .summary = "list, create, change, test and repair webhooks",
    .details = "WEBHOOK is an id (whk_...), or a URL or description where only one webhook has it; "
               "it may be left\nout when there is only one.",
    .table = &list_table,
    .examples = list_examples,
    .run = list,
};

/* ---- show ---- */

static const struct pst_column fields[] = {
    {"Id", "id", PST_COLUMN_TEXT, 0},
    {"URL", "url", PST_COLUMN_TEXT, 0},
    {"Description", "description", PST_COLUMN_TEXT, 0},
    {"Connection", "connection_id", PST_COLUMN_TEXT, 0},
    {"Events", "events", PST_COLUMN_TEXT, 0},
    {"Chosen for it", "events_chosen", PST_COLUMN_YES, 0},
    {"Status", "status", PST_COLUMN_TEXT, 0},
    {"Failing since", "failing_since", PST_COLUMN_TIME, 0},
    {"Last error", "last_error", PST_COLUMN_TEXT, 0},
    {"Next attempt", "next_attempt_at", PST_COLUMN_TIME, 0},
    {"Last success", "last_success_at", PST_COLUMN_TIME, 0},
    {"Last failure", "last_failure_at", PST_COLUMN_TIME, 0},
    {"Disabled", "disabled_at", PST_COLUMN_TIME, 0},
    {"Waiting", "waiting", PST_COLUMN_NUMBER, 0},
    {"Enabled", "enabled", PST_COLUMN_YES, 0},
    {"Ordered", "ordered", PST_COLUMN_YES, 0},
    {"Rate limit", "rate_limit", PST_COLUMN_NUMBER, 0},
    {"Timeout", "timeout", PST_COLUMN_TEXT, 0},
    {"Retry for", "retry_for", PST_COLUMN_TEXT, 0},
    {"Headers", "headers", PST_COLUMN_TEXT, 0},
    {"Signing", "signing", PST_COLUMN_TEXT, 0},
    {"Public keys", "public_keys", PST_COLUMN_TEXT, 0},
    {"Created", "created_at", PST_COLUMN_TIME, 0},
    {"Updated", "updated_at", PST_COLUMN_TIME, 0},
};

static void print_webhook(const struct pst_cli *cli, const struct pst_reply *reply)
{
    if (cli->json) {
        pst_print_json(reply->text);
        return;
    }
    pst_print_fields(reply->root, fields, PST_COUNT(fields));
    print_advice(reply->root);
}

static pst_str word_of(const struct pst_cli *cli)
{
    return cli->word_count > 0 ? cli->words[0] : PST_STR("");
}

static pst_code show(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    pst_target_init(&target);
    PST_TRY(pst_webhook_target(cli, word_of(cli), pst_config_str(cli->options, LIST_CONNECTION),
                               &target, NULL, err));
    PST_TRY(pst_client_get(cli, &target, &reply, err));
    print_webhook(cli, &reply);
    return PST_OK;
}

static const struct pst_example show_examples[] = {
    {"penstock webhooks show whk_01jd...", NULL},
    {"penstock webhooks show whk_01jd... --connection acme",
     "with the events that are in force for one connection"},
    {0},
};

PST_CLI_TABLE(show_table, CONNECTION_OPTION("As it is for this connection."));

const struct pst_command pst_command_webhooks_show = {
    .name = "webhooks show",
    .words = "[WEBHOOK]",
    .max_words = 1,
    .summary = "show one webhook: settings, how it fares, what waits",
    .table = &show_table,
    .examples = show_examples,
    .run = show,
};

/* ---- create ---- */

enum { SIGNING = PST_WEBHOOK_END, CREATE_SECRET_FILE, CREATE_SECRET };

#define SECRET_OPTIONS(help_)                                                                      \
    {.name = "secret_file",                                                                        \
     .type = PST_CONFIG_STRING,                                                                    \
     .max = 4000,                                                                                  \
     .flags = PST_CONFIG_FLAG_ONLY,                                                                \
     .arg = "FILE",                                                                                \
     .group = "Webhook",                                                                           \
     .help = help_},                                                                               \
        {.name = "webhook_secret",                                                                 \
         .type = PST_CONFIG_STRING,                                                                \
         .max = 400,                                                                               \
         .flags = PST_CONFIG_SECRET,                                                               \
         .arg = "SECRET",                                                                          \
         .group = "Webhook",                                                                       \
         .help = "The same from the environment."}

PST_CLI_TABLE(create_table,
              PST_WEBHOOK_OPTIONS("yes", "yes|no",
                                  "Only events of this connection, instead of the whole "
                                  "organization's.",
                                  "Which types of events; sync.* is all that begin so. Without "
                                  "it: all.",
                                  "no: make it, but send nothing yet."),
              {.name = "signing",
               .type = PST_CONFIG_ENUM,
               .value = "hmac",
               .flags = PST_CONFIG_FLAG_ONLY,
               .choices = "hmac|ed25519",
               .arg = "KIND",
               .group = "Webhook",
               .help = "How deliveries are signed; ed25519 where the receiver shall not be able to "
                       "sign itself."},
              SECRET_OPTIONS("A secret of your own (whsec_... or whsk_...), from the first line of "
                             "this file; - is standard input. Without it one is made."));

static pst_code write_create(struct pst_cli *cli, struct pst_buf *body, struct pst_err *err)
{
    struct pst_json_writer w;
    PST_AUTO(secret) struct pst_secret *secret = NULL;
    PST_TRY(pst_webhook_secret(cli, CREATE_SECRET_FILE, CREATE_SECRET, &secret, err));
    pst_json_init(&w, body);
    pst_json_begin_object(&w);
    pst_json_add_str(&w, "url", cli->words[0]);
    PST_TRY(pst_webhook_put(cli, &w, false, err));
    pst_json_add_str(&w, "signing", pst_config_str(cli->options, SIGNING));
    if (secret)
        pst_json_add_str(&w, "secret", pst_secret_expose(secret));
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* The secret alone on standard output, so that it can be sent to a file. */
static void print_secret(const struct pst_cli *cli, const struct pst_reply *reply,
                         const char *what_else)
{
    if (cli->json) {
        pst_print_json(reply->text);
        return;
    }
    pst_printf("%.*s\n", PST_STR_ARG(pst_value_str(reply->root, "secret")));
    pst_notef("This is shown once: give it to the receiver, which checks signatures with it.\n");
    yyjson_val *key = yyjson_arr_get_first(pst_value_at(reply->root, "public_keys"));
    pst_str public_key = PST_STR("");
    if (pst_json_str(key, &public_key))
        pst_notef("Or rather its public key: %.*s\n", PST_STR_ARG(public_key));
    pst_notef("%s %.*s\n", what_else, PST_STR_ARG(pst_value_str(reply->root, "id")));
}

static pst_code create(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {.max = PST_BODY_BYTES};
    struct pst_reply reply = {0};
    pst_str connection = pst_config_str(cli->options, PST_WEBHOOK_CONNECTION);
    pst_target_init(&target);
    if (connection.len)
        PST_TRY(pst_client_connection_target(cli, connection, &target, err));
    pst_target_add(&target, PST_STR("webhooks"));
    PST_TRY(write_create(cli, &body, err));
    pst_code code = pst_client_call(cli, "POST", &target, pst_buf_str(&body), CALL_MS, &reply, err);
    pst_wipe(body.ptr, body.len);
    PST_TRY(code);
    print_secret(cli, &reply, "Try it out: penstock webhooks test");
    return PST_OK;
}

static const struct pst_example create_examples[] = {
    {"penstock webhooks create https://app.example.com/penstock > secret",
     "every event of the organization"},
    {"penstock webhooks create https://app.example.com/acme --connection acme \\\n"
     "      --events sync.completed,sync.failed",
     NULL},
    {"penstock webhooks create https://app.example.com/x -H Authorization=@token.txt \\\n"
     "      --ordered no --rate-limit 50",
     NULL},
    {0},
};

const struct pst_command pst_command_webhooks_create = {
    .name = "webhooks create",
    .words = "URL",
    .min_words = 1,
    .max_words = 1,
    .summary = "send events to an address, and print the secret that signs them",
    .table = &create_table,
    .examples = create_examples,
    .run = create,
};

/* ---- update ---- */

enum { NEW_URL = PST_WEBHOOK_END };
PST_CLI_TABLE(update_table,
              PST_WEBHOOK_OPTIONS("unchanged", "unchanged|yes|no",
                                  "As it is for this connection. Of a webhook of the whole "
                                  "organization only --events can be chosen so.",
                                  "Which types of events; sync.* is all that begin so, `none` is "
                                  "nothing. With --connection, `default` takes the choice back.",
                                  "no: what happens is not sent, and not kept for later; yes: on "
                                  "again, also after Penstock disabled it, and what was held goes "
                                  "on."),
              PST_WEBHOOK_FLAG("to", 0, PST_CONFIG_STRING, 2000, "URL", "Another address."));

static pst_code write_update(struct pst_cli *cli, struct pst_buf *body, struct pst_err *err)
{
    struct pst_json_writer w;
    pst_str url = pst_config_str(cli->options, NEW_URL);
    pst_json_init(&w, body);
    pst_json_begin_object(&w);
    if (url.len)
        pst_json_add_str(&w, "url", url);
    PST_TRY(pst_webhook_put(cli, &w, pst_config_str(cli->options, PST_WEBHOOK_CONNECTION).len > 0,
                            err));
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    if (body->len <= 2)
        return PST_FAIL(err, PST_E_INVALID,
                        "say what to change (see penstock webhooks update --help)");
    return PST_OK;
}

static pst_code update(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {.max = PST_BODY_BYTES};
    struct pst_reply reply = {0};
    pst_target_init(&target);
    PST_TRY(write_update(cli, &body, err));
    PST_TRY(pst_webhook_target(cli, word_of(cli),
                               pst_config_str(cli->options, PST_WEBHOOK_CONNECTION), &target, NULL,
                               err));
    pst_code code =
        pst_client_call(cli, "PATCH", &target, pst_buf_str(&body), CALL_MS, &reply, err);
    pst_wipe(body.ptr, body.len);
    PST_TRY(code);
    print_webhook(cli, &reply);
    return PST_OK;
}

static const struct pst_example update_examples[] = {
    {"penstock webhooks update whk_01jd... --enabled yes", "after its receiver was mended"},
    {"penstock webhooks update whk_01jd... --to https://new.example.com/hook --timeout 20s", NULL},
    {"penstock webhooks update whk_01jd... --connection acme --events sync.failed",
     "what one connection sends to it; `default` takes that back, `none` sends nothing"},
    {0},
};

const struct pst_command pst_command_webhooks_update = {
    .name = "webhooks update",
    .words = "[WEBHOOK]",
    .max_words = 1,
    .summary = "change a webhook, or switch it off and on",
    .table = &update_table,
    .examples = update_examples,
    .run = update,
};

/* ---- delete ---- */

enum { YES = PST_CLI_OWN };
PST_CLI_TABLE(delete_table, {.name = "yes",
                             .letter = 'y',
                             .type = PST_CONFIG_BOOL,
                             .flags = PST_CONFIG_FLAG_ONLY,
                             .help = "Do not ask."});

static pst_code delete_webhook(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    pst_target_init(&target);
    PST_TRY(pst_webhook_target(cli, cli->words[0], PST_STR(""), &target, NULL, err));
    if (!pst_config_bool(cli->options, YES) &&
        !pst_terminal_confirm("Delete the webhook, and what still waits for it?"))
        return PST_FAIL(err, PST_E_CANCELLED, "nothing was changed (--yes does not ask)");
    PST_TRY(pst_client_call(cli, "DELETE", &target, PST_STR(""), CALL_MS, &reply, err));
    if (cli->json)
        pst_print_json(PST_STR("{}"));
    else
        pst_notef("deleted\n");
    return PST_OK;
}

static const struct pst_example delete_examples[] = {
    {"penstock webhooks delete whk_01jd...", NULL},
    {"penstock webhooks delete https://app.example.com/penstock --yes", NULL},
    {0},
};

const struct pst_command pst_command_webhooks_delete = {
    .name = "webhooks delete",
    .words = "WEBHOOK",
    .min_words = 1,
    .max_words = 1,
    .summary = "stop sending to an address",
    .table = &delete_table,
    .examples = delete_examples,
    .run = delete_webhook,
};

/* ---- rotate-secret ---- */

enum { OVERLAP = PST_CLI_OWN, ROTATE_SECRET_FILE, ROTATE_SECRET };
PST_CLI_TABLE(rotate_table,
              {.name = "overlap",
               .type = PST_CONFIG_STRING,
               .value = "24h",
               .max = 16,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "TIME",
               .help = "How long the old secret signs, too: 0s to 7d. 0s where it leaked."},
              SECRET_OPTIONS("A secret of your own, from the first line of this file; - is "
                             "standard input. Without it one is made."));

static pst_code write_rotate(struct pst_cli *cli, struct pst_buf *body, struct pst_err *err)
{
    struct pst_json_writer w;
    PST_AUTO(secret) struct pst_secret *secret = NULL;
    PST_TRY(pst_webhook_secret(cli, ROTATE_SECRET_FILE, ROTATE_SECRET, &secret, err));
    pst_json_init(&w, body);
    pst_json_begin_object(&w);
    pst_json_add_str(&w, "overlap", pst_config_str(cli->options, OVERLAP));
    if (secret)
        pst_json_add_str(&w, "secret", pst_secret_expose(secret));
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code rotate(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {.max = PST_BODY_BYTES};
    struct pst_reply reply = {0};
    pst_target_init(&target);
    PST_TRY(pst_webhook_target(cli, word_of(cli), PST_STR(""), &target, NULL, err));
    pst_target_add(&target, PST_STR("rotate-secret"));
    PST_TRY(write_rotate(cli, &body, err));
    pst_code code = pst_client_call(cli, "POST", &target, pst_buf_str(&body), CALL_MS, &reply, err);
    pst_wipe(body.ptr, body.len);
    PST_TRY(code);
    int64_t overlap_ms = 0;
    (void)pst_parse_duration_ms(&overlap_ms, pst_config_str(cli->options, OVERLAP));
    print_secret(cli, &reply,
                 overlap_ms > 0
                     ? "The old one signs, too, until --overlap is over. Try it out: "
                       "penstock webhooks test"
                     : "The old one signs no longer. Try it out: penstock webhooks test");
    return PST_OK;
}

static const struct pst_example rotate_examples[] = {
    {"penstock webhooks rotate-secret whk_01jd... > secret", "both sign for a day"},
    {"penstock webhooks rotate-secret whk_01jd... --overlap 0s", "the old one at once no longer"},
    {0},
};

const struct pst_command pst_command_webhooks_rotate_secret = {
    .name = "webhooks rotate-secret",
    .words = "[WEBHOOK]",
    .max_words = 1,
    .summary = "sign with a new secret, and print it",
    .table = &rotate_table,
    .examples = rotate_examples,
    .run = rotate,
};
