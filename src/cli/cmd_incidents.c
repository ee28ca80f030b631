/* cli/cmd_incidents.c: penstock incidents: what stands on the status page (operator). */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

enum { LIST_MAX = 1000, CALL_MS = 60000 };

/* ---- list ---- */

PST_CLI_TABLE(list_table, {.name = "open",
                           .letter = 'o',
                           .type = PST_CONFIG_BOOL,
                           .flags = PST_CONFIG_FLAG_ONLY,
                           .help = "Only those that are not over."});

static const struct pst_column columns[] = {
    {"ID", "id", PST_COLUMN_TEXT, 40},           {"STATE", "state", PST_COLUMN_TEXT, 14},
    {"IMPACT", "impact", PST_COLUMN_TEXT, 12},   {"KIND", "kind", PST_COLUMN_TEXT, 10},
    {"OPENED", "opened_at", PST_COLUMN_AGO, 0},  {"CLOSED", "closed_at", PST_COLUMN_AGO, 0},
    {"SUBJECT", "subject", PST_COLUMN_TEXT, 40}, {"TITLE", "title", PST_COLUMN_TEXT, 60},
};

static pst_code list(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("incidents"));
    pst_target_query(&target, "open",
                     pst_config_bool(cli->options, PST_CLI_OWN) ? PST_STR("true") : PST_STR(""));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    if (cli->json)
        return pst_print_items(items, count, err);
    pst_print_table(items, count, columns, PST_COUNT(columns), "no incidents");
    return PST_OK;
}

static const struct pst_example list_examples[] = {
    {"penstock incidents", NULL},
    {"penstock incidents --open", "what is going on now"},
    {0},
};

const struct pst_command pst_command_incidents = {
    .name = "incidents",
    .words = "",
    .summary = "list incidents, open, update or close one",
    .details = "The detector opens and closes its own; people may add theirs. All stand on the "
               "public status page. Through the local socket only.",
    .table = &list_table,
    .examples = list_examples,
    .run = list,
};

/* ---- changing ---- */

static pst_code send(struct pst_cli *cli, const struct pst_target *target,
                     struct pst_json_writer *w, struct pst_buf *body, struct pst_err *err)
{
    /* The id alone on standard output, for scripts; people see the state beside it. */
    struct pst_reply reply = {0};
    pst_json_end_object(w);
    PST_TRY(pst_json_finish(w, err));
    PST_TRY(pst_client_call(cli, "POST", target, pst_buf_str(body), CALL_MS, &reply, err));
    if (cli->json)
        pst_print_json(reply.text);
    else
        pst_printf("%.*s\n", PST_STR_ARG(pst_value_str(reply.root, "id")));
    if (!cli->json)
        pst_notef("state: %.*s\n", PST_STR_ARG(pst_value_str(reply.root, "state")));
    return PST_OK;
}

static void begin(struct pst_json_writer *w, struct pst_buf *body)
{
    pst_buf_init(body, PST_BODY_BYTES);
    pst_json_init(w, body);
    pst_json_begin_object(w);
}

static void add_text(struct pst_cli *cli, size_t option, struct pst_json_writer *w,
                     const char *name)
{
    pst_str text = pst_config_str(cli->options, option);
    if (text.len)
        pst_json_add_str(w, name, text);
}

enum { OPEN_TEXT = PST_CLI_OWN, OPEN_IMPACT, OPEN_COMPONENTS };
PST_CLI_TABLE(open_table,
              {.name = "text",
               .letter = 't',
               .type = PST_CONFIG_STRING,
               .max = 4000,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "TEXT",
               .help = "What the page says about it. It is public: nothing about any customer."},
              {.name = "impact",
               .letter = 'i',
               .type = PST_CONFIG_ENUM,
               .value = "degraded",
               .choices = "degraded|down|maintenance",
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "IMPACT",
               .help = "How the components are meanwhile."},
              {.name = "components",
               .letter = 'c',
               .type = PST_CONFIG_LIST,
               .max = 32,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "NAME,...",
               .help = "api, sync, webhooks, connector:NAME."});

static pst_code open_incident(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {0};
    struct pst_json_writer w;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("incidents"));
    begin(&w, &body);
    pst_json_add_str(&w, "title", cli->words[0]);
    add_text(cli, OPEN_TEXT, &w, "text");
    add_text(cli, OPEN_IMPACT, &w, "impact");
    const pst_str *names = NULL;
    size_t count = pst_config_list(cli->options, OPEN_COMPONENTS, &names);
    pst_json_add_array(&w, "components");
    for (size_t i = 0; i < count; i++)
        pst_json_put_str(&w, names[i]);
    pst_json_end_array(&w);
    return send(cli, &target, &w, &body, err);
}

static const struct pst_example open_examples[] = {
    {"penstock incidents open 'Slow answers' --components api --text 'We are looking into it.'",
     NULL},
    {"penstock incidents open 'Move to a new machine' --impact maintenance --components api,sync",
     NULL},
    {0},
};

const struct pst_command pst_command_incidents_open = {
    .name = "incidents open",
    .words = "TITLE",
    .min_words = 1,
    .max_words = 1,
    .summary = "open an incident and print its id",
    .table = &open_table,
    .examples = open_examples,
    .run = open_incident,
};

enum { UPDATE_STATE = PST_CLI_OWN };
PST_CLI_TABLE(update_table, {.name = "state",
                             .letter = 's',
                             .type = PST_CONFIG_ENUM,
                             .value = "identified",
                             .choices = "investigating|identified|monitoring|resolved",
                             .flags = PST_CONFIG_FLAG_ONLY,
                             .arg = "STATE",
                             .help = "Where the work on it stands."});

static pst_code add_update(struct pst_cli *cli, pst_str state, pst_str text, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {0};
    struct pst_json_writer w;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("incidents"));
    pst_target_add(&target, cli->words[0]);
    pst_target_add(&target, PST_STR("updates"));
    begin(&w, &body);
    pst_json_add_str(&w, "state", state);
    pst_json_add_str(&w, "text", text);
    return send(cli, &target, &w, &body, err);
}

static pst_code update_incident(struct pst_cli *cli, struct pst_err *err)
{
    return add_update(cli, pst_config_str(cli->options, UPDATE_STATE), cli->words[1], err);
}

static const struct pst_example update_examples[] = {
    {"penstock incidents update inc_01m85gjr84fn2tvxyf0ejj4x3j 'A disk is being replaced.'", NULL},
    {0},
};

const struct pst_command pst_command_incidents_update = {
    .name = "incidents update",
    .words = "INCIDENT TEXT",
    .min_words = 2,
    .max_words = 2,
    .summary = "add an update to an incident",
    .table = &update_table,
    .examples = update_examples,
    .run = update_incident,
};

PST_CLI_TABLE(close_table);

static pst_code close_incident(struct pst_cli *cli, struct pst_err *err)
{
    pst_str text = cli->word_count > 1 ? cli->words[1] : PST_STR("This is over.");
    return add_update(cli, PST_STR("resolved"), text, err);
}

static const struct pst_example close_examples[] = {
    {"penstock incidents close inc_01m85gjr84fn2tvxyf0ejj4x3j 'The disk was replaced.'", NULL},
    {0},
};

const struct pst_command pst_command_incidents_close = {
    .name = "incidents close",
    .words = "INCIDENT [TEXT]",
    .min_words = 1,
    .max_words = 2,
    .summary = "close an incident",
    .table = &close_table,
    .examples = close_examples,
    .run = close_incident,
};
