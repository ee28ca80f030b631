/* cli/cmd_tail.c: penstock tail: events as they happen. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/webhooks.h"
#include "os/service.h"

enum { PAGES_BYTES = 64 << 20, ENOUGH = 2 };
enum { CONNECTION = PST_CLI_OWN, TYPES, SINCE, AFTER };

PST_CLI_TABLE(
    table,
    {.name = "connection",
     .letter = 'c',
     .type = PST_CONFIG_STRING,
     .max = 200,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "CONNECTION",
     .help = "Only events of this connection."},
    {.name = "types",
     .letter = 't',
     .type = PST_CONFIG_STRING,
     .max = 2000,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "TYPE,...",
     .help = "Only events of these types; sync.* takes all that begin so."},
    {.name = "since",
     .letter = 's',
     .type = PST_CONFIG_STRING,
     .max = 40,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "TIME",
     .help = "Begin with events of then: 2026-11-24T06:30:00Z, or 2h for two hours ago. Without "
             "it: with the next one."},
    {.name = "after",
     .letter = 'a',
     .type = PST_CONFIG_STRING,
     .max = 40,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "EVENT_ID",
     .help = "Go on behind this event; oldest: from the oldest that is kept."});

struct tail {
    struct pst_cli *cli;
    pst_str connection_id, types, since;
    char after[PST_ID_TEXT]; /* where the next call goes on */
    struct pst_follow follow;
};

/* What of an event's data says most in one line. */
static void add_gist(struct pst_buf *b, yyjson_val *data)
{
    static const char *const paths[] = {"error.message", "message", "reason", "entity",
                                        "error.code"};
    size_t begin = b->len;
    for (size_t i = 0; i < PST_COUNT(paths) && b->len == begin; i++)
        pst_terminal_clean(b, pst_value_str(data, paths[i]), 120);
    if (b->len == begin && data) {
        PST_AUTO(buf) struct pst_buf text = {.max = 1 << 20};
        pst_value_text(&text, data, PST_COLUMN_TEXT);
        pst_terminal_clean(b, pst_buf_str(&text), 120);
    }
}

static void print_event(const struct tail *t, yyjson_val *event)
{
    PST_AUTO(buf) struct pst_buf b = {.max = 4 << 20};
    struct pst_json_writer w;
    if (t->cli->json) {
        pst_json_init(&w, &b);
        pst_json_put_val(&w, event);
    } else {
        pst_str connection = pst_value_str(event, "connection_id");
        pst_value_text(&b, pst_value_at(event, "timestamp"), PST_COLUMN_TIME);
        pst_buf_addf(&b, "  %-34.*s  %-31.*s  ", PST_STR_ARG(pst_value_str(event, "type")),
                     PST_STR_ARG(connection.len ? connection : PST_STR("-")));
        add_gist(&b, pst_value_at(event, "data"));
    }
    pst_buf_add_char(&b, '\n');
    pst_terminal_print(pst_buf_str(&b));
}

static pst_code read_page(struct tail *t, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    size_t i = 0;
    size_t n = 0;
    yyjson_val *event = NULL;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("events"));
    pst_target_query(&target, "after", pst_str_from(t->after));
    pst_target_query(&target, "connection_id", t->connection_id);
    pst_target_query(&target, "types", t->types);
    pst_target_query(&target, "since", t->since);
    pst_target_query(&target, "wait", pst_follow_wait(&t->follow));
    PST_TRY(pst_client_get(t->cli, &target, &reply, err));
    yyjson_arr_foreach(pst_value_at(reply.root, "data"), i, n, event)
    {
        print_event(t, event);
    }
    pst_str next = pst_value_str(reply.root, "next_after");
    /* null: there is no event yet, so whatever comes is new. */
    (void)pst_str_copy(t->after, sizeof(t->after), next.len ? next : PST_STR("oldest"));
    return PST_OK;
}

static bool goes_on(struct tail *t, pst_code code, const struct pst_err *err)
{
    if (code == PST_E_EXPIRED && t->follow.is_connected) {
        pst_notef("the last event shown is no longer kept; going on with the oldest that is\n");
        (void)pst_str_copy(t->after, sizeof(t->after), PST_STR("oldest"));
        return true;
    }
    return pst_follow_goes_on(&t->follow, code, err);
}

static pst_code follow(struct tail *t, struct pst_err *err)
{
    for (;;) {
        pst_arena_reset(t->cli->arena);
        pst_code code = read_page(t, err);
        if (!goes_on(t, code, err))
            return code;
    }
}

/* The operator's socket serves every organization, and takes the only one where none is named: that
 * one is kept to, also when there are more later. */
static pst_code keep_to_organization(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    if (pst_config_str(cli->options, PST_CLI_ORGANIZATION).len > 0 ||
        pst_config_str(cli->options, PST_CLI_URL).len > 0)
        return PST_OK;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("organizations"));
    PST_TRY(pst_client_list(cli, &target, ENOUGH, &items, &count, err));
    if (count == 1)
        pst_client_act_for(cli, pst_value_str(items[0], "id"));
    return PST_OK;
}

static pst_code begin(struct tail *t, struct pst_err *err)
{
    struct pst_cli *cli = t->cli;
    pst_str after = pst_config_str(cli->options, AFTER);
    pst_str connection = pst_config_str(cli->options, CONNECTION);
    t->since = pst_config_str(cli->options, SINCE);
    t->types = pst_config_str(cli->options, TYPES);
    if (after.len && t->since.len)
        return PST_FAIL(err, PST_E_INVALID, "either --since or --after says where to begin");
    if (t->since.len)
        PST_TRY(pst_cli_time(cli, "since", t->since, &t->since, err));
    if (after.len == 0)
        after = t->since.len ? PST_STR("oldest") : PST_STR("newest");
    if (!pst_str_copy(t->after, sizeof(t->after), after))
        return PST_FAIL(err, PST_E_INVALID, "flag --after: '%.*s' is no id of an event (evt_...)",
                        PST_STR_ARG(after));
    PST_TRY(keep_to_organization(cli, err));
    if (connection.len)
        PST_TRY(pst_client_connection(cli, connection, &t->connection_id, err));
    return PST_OK;
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *pages = NULL;
    struct tail t = {.cli = cli};
    pst_service_end_on_signals();
    PST_TRY(begin(&t, err));
    PST_TRY(pst_arena_new(&pages, PAGES_BYTES, err));
    struct pst_arena *kept = cli->arena;
    cli->arena = pages; /* each page goes before the next one */
    pst_code code = follow(&t, err);
    cli->arena = kept;
    return code;
}

static const struct pst_example examples[] = {
    {"penstock tail", "from now on, one line each, until Ctrl-C"},
    {"penstock tail --connection acme --types sync.failed,system.error --since 24h", NULL},
    {"penstock tail --json | jq -c .data", "whole events, as they are sent to webhooks"},
    {0},
};

const struct pst_command pst_command_tail = {
    .name = "tail",
    .words = "",
    .summary = "show events as they happen",
    .details = "It goes on by itself when the server is started again, and misses nothing.",
    .table = &table,
    .examples = examples,
    .run = run,
};
