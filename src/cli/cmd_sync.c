/* cli/cmd_sync.c: penstock sync: run a sync and watch it, or cancel one. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/watch.h"

enum { CALL_MS = 60000, OPEN_MAX = 100 };
enum { FULL = PST_CLI_OWN, ENTITIES, WATCH, CANCEL, WAIT };

PST_CLI_TABLE(table,
              {.name = "full",
               .letter = 'f',
               .type = PST_CONFIG_BOOL,
               .flags = PST_CONFIG_FLAG_ONLY,
               .help = "Read the whole history window again and find what was deleted."},
              {.name = "entities",
               .letter = 'e',
               .type = PST_CONFIG_LIST,
               .max = 64,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "ENTITY,...",
               .help = "Only these entities."},
              {.name = "watch",
               .letter = 'w',
               .type = PST_CONFIG_BOOL,
               .flags = PST_CONFIG_FLAG_ONLY,
               .help = "Watch the sync that is already running; where there is none, begin one."},
              {.name = "cancel",
               .type = PST_CONFIG_BOOL,
               .flags = PST_CONFIG_FLAG_ONLY,
               .help = "Cancel the sync that is running or waiting."},
              {.name = "wait",
               .type = PST_CONFIG_BOOL,
               .value = "true",
               .flags = PST_CONFIG_FLAG_ONLY,
               .help = "Wait for its end; --no-wait only queues it."});

static pst_code write_body(struct pst_cli *cli, struct pst_buf *body, struct pst_err *err)
{
    struct pst_json_writer w;
    const pst_str *entities = NULL;
    size_t count = pst_config_list(cli->options, ENTITIES, &entities);
    pst_json_init(&w, body);
    pst_json_begin_object(&w);
    pst_json_add_z(&w, "mode", pst_config_bool(cli->options, FULL) ? "full" : "incremental");
    if (count > 0) {
        pst_json_add_array(&w, "entities");
        for (size_t i = 0; i < count; i++)
            pst_json_put_str(&w, entities[i]);
        pst_json_end_array(&w);
    }
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* The sync that runs, else the one that waits; NULL when there is none. */
static pst_code find_open(struct pst_cli *cli, pst_str connection, yyjson_val **out,
                          struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, connection);
    pst_target_add(&target, PST_STR("syncs"));
    pst_target_query(&target, "status", PST_STR("queued,running"));
    PST_TRY(pst_client_list(cli, &target, OPEN_MAX, &items, &count, err));
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        bool runs = pst_str_eq(pst_value_str(items[i], "status"), PST_STR("running"));
        if (!*out || runs)
            *out = items[i];
    }
    return PST_OK;
}

static pst_code cancel(struct pst_cli *cli, pst_str connection, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val *sync = NULL;
    struct pst_reply reply = {0};
    PST_TRY(find_open(cli, connection, &sync, err));
    if (!sync)
        return PST_FAIL(err, PST_E_NOT_FOUND, "no sync is running or waiting");
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, connection);
    pst_target_add(&target, PST_STR("syncs"));
    pst_target_add(&target, pst_value_str(sync, "id"));
    pst_target_add(&target, PST_STR("cancel"));
    PST_TRY(pst_client_call(cli, "POST", &target, PST_STR("{}"), CALL_MS, &reply, err));
    if (cli->json)
        pst_print_json(reply.text);
    else
        pst_printf("cancelling %.*s; what it committed stays\n",
                   PST_STR_ARG(pst_value_str(sync, "id")));
    return PST_OK;
}

static pst_code start(struct pst_cli *cli, pst_str connection, struct pst_reply *reply,
                      struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, connection);
    pst_target_add(&target, PST_STR("syncs"));
    pst_buf_init(&body, PST_BODY_BYTES);
    PST_TRY(write_body(cli, &body, err));
    return pst_client_call(cli, "POST", &target, pst_buf_str(&body), CALL_MS, reply, err);
}

static pst_code print_value(yyjson_val *v, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    pst_buf_init(&b, PST_BODY_BYTES);
    pst_json_init(&w, &b);
    pst_json_put_val(&w, v);
    PST_TRY(pst_json_finish(&w, err));
    pst_print_json(pst_buf_str(&b));
    return PST_OK;
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    pst_str connection = {0};
    yyjson_val *sync = NULL;
    struct pst_reply reply = {0};
    PST_TRY(pst_client_connection(cli, cli->word_count > 0 ? cli->words[0] : PST_STR(""),
                                  &connection, err));
    if (pst_config_bool(cli->options, CANCEL))
        return cancel(cli, connection, err);
    if (pst_config_bool(cli->options, WATCH))
        PST_TRY(find_open(cli, connection, &sync, err));
    if (!sync) {
        PST_TRY(start(cli, connection, &reply, err));
        sync = reply.root;
    }
    if (pst_config_bool(cli->options, WAIT))
        return pst_watch_sync(cli, connection, pst_value_str(sync, "id"), err);
    if (cli->json)
        return print_value(sync, err);
    pst_printf("%.*s\n", PST_STR_ARG(pst_value_str(sync, "id")));
    return PST_OK;
}

static const struct pst_example examples[] = {
    {"penstock sync acme", "what changed since the last sync"},
    {"penstock sync acme --full", "everything, and what was deleted"},
    {"penstock sync acme --entities purchase_orders,suppliers", NULL},
    {"penstock sync acme --watch", "look at the sync that is running"},
    {"penstock sync acme --cancel", NULL},
    {0},
};

const struct pst_command pst_command_sync = {
    .name = "sync",
    .words = "[CONNECTION]",
    .max_words = 1,
    .summary = "sync a connection now and watch its progress",
    .details = "CONNECTION may be left out when there is only one. Ctrl-C ends the watching, not "
               "the sync. The\nexit status is 0 when the sync completed, else that of its error.",
    .table = &table,
    .examples = examples,
    .run = run,
};
