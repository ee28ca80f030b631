/* cli/cmd_deliveries.c: penstock webhooks test, deliveries, attempts, resend: what was sent, and
 * sending it again. */
#include <unistd.h>

#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/webhooks.h"
#include "os/clock.h"

enum { CALL_MS = 60000, LOOK_MS = 100, OUTCOME_MS = 45000, LOOK_BYTES = 8 << 20 };

static pst_str word_of(const struct pst_cli *cli)
{
    return cli->word_count > 0 ? cli->words[0] : PST_STR("");
}

/* "/v1/webhooks/<id>/deliveries/<delivery>"; delivery "" for the list. */
static void deliveries_target(struct pst_target *t, pst_str webhook, pst_str delivery)
{
    pst_target_init(t);
    pst_target_add(t, PST_STR("webhooks"));
    pst_target_add(t, webhook);
    pst_target_add(t, PST_STR("deliveries"));
    if (delivery.len)
        pst_target_add(t, delivery);
}

/* ---- test ---- */

enum { TYPE = PST_CLI_OWN };
PST_CLI_TABLE(test_table,
              {.name = "type",
               .letter = 't',
               .type = PST_CONFIG_STRING,
               .value = "sync.completed",
               .max = 100,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "TYPE",
               .help = "Which type of event to send a sample of; flow.NAME is a flow's."});

static pst_code send_sample(struct pst_cli *cli, pst_str webhook, pst_str *out_id,
                            struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {.max = 4096};
    struct pst_json_writer w;
    struct pst_reply reply = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("webhooks"));
    pst_target_add(&target, webhook);
    pst_target_add(&target, PST_STR("test"));
    pst_json_init(&w, &body);
    pst_json_begin_object(&w);
    pst_json_add_str(&w, "type", pst_config_str(cli->options, TYPE));
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    PST_TRY(pst_client_call(cli, "POST", &target, pst_buf_str(&body), CALL_MS, &reply, err));
    *out_id = pst_value_str(reply.root, "id");
    return PST_OK;
}

/* Ask until the one attempt was made. */
static pst_code await_outcome(struct pst_cli *cli, const struct pst_target *target,
                              struct pst_reply *reply, struct pst_err *err)
{
    pst_mono started = pst_mono_now();
    for (;;) {
        pst_arena_reset(cli->arena);
        PST_TRY(pst_client_get(cli, target, reply, err));
        pst_str status = pst_value_str(reply->root, "status");
        if (pst_str_is(status, "delivered") || pst_str_is(status, "failed"))
            return PST_OK;
        if (pst_mono_ms_until(started, pst_mono_now()) > OUTCOME_MS)
            return PST_FAIL(err, PST_E_TIMEOUT,
                            "the sample is still waiting; look again: penstock webhooks attempts "
                            "%.*s %.*s",
                            PST_STR_ARG(pst_value_str(reply->root, "webhook_id")),
                            PST_STR_ARG(pst_value_str(reply->root, "id")));
        pst_sleep_ms(LOOK_MS);
    }
}

/* "delivered: 200 in 12.3 ms", and the beginning of the answer. */
static void print_outcome(yyjson_val *delivery)
{
    PST_AUTO(buf) struct pst_buf b = {.max = 1 << 16};
    yyjson_val *attempt = yyjson_arr_get_last(pst_value_at(delivery, "attempts"));
    pst_str response = pst_value_str(attempt, "response");
    pst_str duration = PST_STR("?");
    (void)pst_json_number(pst_value_at(attempt, "duration_ms"), &duration);
    pst_buf_add_str(&b, pst_value_str(delivery, "status"));
    pst_buf_add_lit(&b, ": ");
    if (pst_value_i64(attempt, "status"))
        pst_buf_addf(&b, "HTTP %lld", (long long)pst_value_i64(attempt, "status"));
    else
        pst_terminal_clean(&b, pst_value_str(attempt, "error"), 300);
    pst_buf_addf(&b, " after %.*s ms (%.*s)\n", PST_STR_ARG(duration),
                 PST_STR_ARG(pst_value_str(delivery, "id")));
    if (response.len) {
        pst_buf_add_lit(&b, "the answer begins: ");
        pst_terminal_clean(&b, response, 300);
        pst_buf_add_char(&b, '\n');
    }
    pst_terminal_print(pst_buf_str(&b));
}

static pst_code judge_outcome(yyjson_val *delivery, struct pst_err *err)
{
    yyjson_val *attempt = yyjson_arr_get_last(pst_value_at(delivery, "attempts"));
    if (pst_str_is(pst_value_str(delivery, "status"), "delivered"))
        return PST_OK;
    if (pst_value_i64(attempt, "status"))
        return PST_FAIL(err, PST_E_SYSTEM, "the receiver did not take it: it has to answer 2xx");
    return PST_FAIL(err, PST_E_UNREACHABLE, "the receiver was not reached");
}

static pst_code test(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(target) struct pst_target found = {0};
    PST_AUTO(arena) struct pst_arena *looks = NULL;
    struct pst_reply reply = {0};
    pst_str webhook = {NULL, 0};
    pst_str delivery = {NULL, 0};
    pst_target_init(&found);
    PST_TRY(pst_webhook_target(cli, word_of(cli), PST_STR(""), &found, &webhook, err));
    PST_TRY(send_sample(cli, webhook, &delivery, err));
    deliveries_target(&target, webhook, delivery);
    PST_TRY(pst_arena_new(&looks, LOOK_BYTES, err));
    struct pst_arena *kept = cli->arena;
    cli->arena = looks; /* each look's answer goes before the next one */
    pst_code code = await_outcome(cli, &target, &reply, err);
    cli->arena = kept;
    PST_TRY(code);
    if (cli->json)
        pst_print_json(reply.text);
    else
        print_outcome(reply.root);
    return judge_outcome(reply.root, err);
}

static const struct pst_example test_examples[] = {
    {"penstock webhooks test", "where there is only one webhook"},
    {"penstock webhooks test whk_01jd... --type sync.failed", NULL},
    {0},
};

const struct pst_command pst_command_webhooks_test = {
    .name = "webhooks test",
    .words = "[WEBHOOK]",
    .max_words = 1,
    .summary = "send a sample, wait for the receiver's answer and show it",
    .details = "The sample is signed like every event, has the header penstock-sample: true, waits "
               "for nothing else and\nis tried once. The exit status is 0 when the receiver "
               "answered 2xx.",
    .table = &test_table,
    .examples = test_examples,
    .run = test,
};

/* ---- deliveries ---- */

enum { STATUS = PST_CLI_OWN, TYPES, CONNECTION, SINCE, UNTIL, LIMIT };
PST_CLI_TABLE(
    list_table,
    {.name = "status",
     .letter = 's',
     .type = PST_CONFIG_STRING,
     .max = 100,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "STATUS,...",
     .help = "waiting, held (the webhook is off or disabled), delivered, failed."},
    {.name = "type",
     .letter = 't',
     .type = PST_CONFIG_STRING,
     .max = 2000,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "TYPE,...",
     .help = "Only events of these types; sync.* takes all that begin so."},
    {.name = "connection",
     .letter = 'c',
     .type = PST_CONFIG_STRING,
     .max = 200,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "CONNECTION",
     .help = "Only events of this connection."},
    {.name = "since",
     .type = PST_CONFIG_STRING,
     .max = 40,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "TIME",
     .help = "Only what was queued since then: 2026-11-24T06:30:00Z, or 2h for two hours ago."},
    {.name = "until",
     .type = PST_CONFIG_STRING,
     .max = 40,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "TIME",
     .help = "Only what was queued before then."},
    {.name = "limit",
     .letter = 'l',
     .type = PST_CONFIG_INT,
     .value = "50",
     .min = 1,
     .max = 100000,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "N",
     .unit = "deliveries",
     .help = "At most so many, the newest first."});

static const struct pst_column list_columns[] = {
    {"ID", "id", PST_COLUMN_TEXT, 40},
    {"QUEUED", "created_at", PST_COLUMN_TIME, 0},
    {"TYPE", "type", PST_COLUMN_TEXT, 36},
    {"SEQUENCE", "sequence", PST_COLUMN_NUMBER, 0},
    {"SAMPLE", "sample", PST_COLUMN_YES, 0},
    {"STATUS", "status", PST_COLUMN_TEXT, 12},
    {"ATTEMPTS", "attempts_made", PST_COLUMN_NUMBER, 0},
    {"HTTP", "last_status", PST_COLUMN_TEXT, 4},
    {"NEXT", "next_attempt_at", PST_COLUMN_AGO, 0},
    {"LAST ERROR", "last_error", PST_COLUMN_TEXT, 60},
};

static pst_code add_time(struct pst_cli *cli, struct pst_target *t, const char *name, size_t option,
                         struct pst_err *err)
{
    pst_str text = pst_config_str(cli->options, option);
    if (text.len)
        PST_TRY(pst_cli_time(cli, name, text, &text, err));
    pst_target_query(t, name, text);
    return PST_OK;
}

static pst_code list(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_str connection = pst_config_str(cli->options, CONNECTION);
    pst_target_init(&target);
    PST_TRY(pst_webhook_target(cli, word_of(cli), PST_STR(""), &target, NULL, err));
    pst_target_add(&target, PST_STR("deliveries"));
    pst_target_query(&target, "status", pst_config_str(cli->options, STATUS));
    pst_target_query(&target, "type", pst_config_str(cli->options, TYPES));
    if (connection.len)
        PST_TRY(pst_client_connection(cli, connection, &connection, err));
    pst_target_query(&target, "connection_id", connection);
    PST_TRY(add_time(cli, &target, "since", SINCE, err));
    PST_TRY(add_time(cli, &target, "until", UNTIL, err));
    PST_TRY(pst_client_list(cli, &target, (size_t)pst_config_int(cli->options, LIMIT), &items,
                            &count, err));
    if (cli->json)
        return pst_print_items(items, count, err);
    pst_print_table(items, count, list_columns, PST_COUNT(list_columns), "no deliveries");
    return PST_OK;
}

static const struct pst_example list_examples[] = {
    {"penstock webhooks deliveries", "where there is only one webhook"},
    {"penstock webhooks deliveries whk_01jd... --status failed,held --since 24h", NULL},
    {"penstock webhooks deliveries whk_01jd... --type 'flow.*' --json", NULL},
    {0},
};

const struct pst_command pst_command_webhooks_deliveries = {
    .name = "webhooks deliveries",
    .words = "[WEBHOOK]",
    .max_words = 1,
    .summary = "list what was sent or waits to be",
    .table = &list_table,
    .examples = list_examples,
    .run = list,
};

/* ---- attempts ---- */

PST_CLI_TABLE(plain_table);

static const struct pst_column delivery_fields[] = {
    {"Delivery", "id", PST_COLUMN_TEXT, 0},
    {"Event", "event_id", PST_COLUMN_TEXT, 0},
    {"Type", "type", PST_COLUMN_TEXT, 0},
    {"Connection", "connection_id", PST_COLUMN_TEXT, 0},
    {"Sequence", "sequence", PST_COLUMN_NUMBER, 0},
    {"Sample", "sample", PST_COLUMN_YES, 0},
    {"Status", "status", PST_COLUMN_TEXT, 0},
    {"Queued", "created_at", PST_COLUMN_TIME, 0},
    {"Next attempt", "next_attempt_at", PST_COLUMN_TIME, 0},
    {"Ended", "ended_at", PST_COLUMN_TIME, 0},
    {"Event's data", "event.data", PST_COLUMN_TEXT, 400},
};

static const struct pst_column attempt_columns[] = {
    {"ATTEMPT", "number", PST_COLUMN_NUMBER, 0}, {"AT", "at", PST_COLUMN_TIME, 0},
    {"MS", "duration_ms", PST_COLUMN_NUMBER, 0}, {"HTTP", "status", PST_COLUMN_TEXT, 4},
    {"ERROR", "error", PST_COLUMN_TEXT, 60},     {"ANSWER BEGINS", "response", PST_COLUMN_TEXT, 60},
};

static pst_code attempts(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    yyjson_val *items[128];
    yyjson_val *item = NULL;
    size_t count = 0;
    size_t i = 0;
    size_t n = 0;
    pst_target_init(&target);
    PST_TRY(pst_webhook_target(cli, cli->words[0], PST_STR(""), &target, NULL, err));
    pst_target_add(&target, PST_STR("deliveries"));
    pst_target_add(&target, cli->words[1]);
    PST_TRY(pst_client_get(cli, &target, &reply, err));
    if (cli->json) {
        pst_print_json(reply.text);
        return PST_OK;
    }
    yyjson_arr_foreach(pst_value_at(reply.root, "attempts"), i, n, item)
    {
        if (count < PST_COUNT(items))
            items[count++] = item;
    }
    pst_print_fields(reply.root, delivery_fields, PST_COUNT(delivery_fields));
    pst_printf("\n");
    pst_print_table(items, count, attempt_columns, PST_COUNT(attempt_columns), "no attempts yet");
    return PST_OK;
}

static const struct pst_example attempts_examples[] = {
    {"penstock webhooks attempts whk_01jd... dlv_01jd...", NULL},
    {"penstock webhooks attempts whk_01jd... dlv_01jd... --json | jq .event", "the event as sent"},
    {0},
};

const struct pst_command pst_command_webhooks_attempts = {
    .name = "webhooks attempts",
    .words = "WEBHOOK DELIVERY",
    .min_words = 2,
    .max_words = 2,
    .summary = "show one delivery: its event and every attempt",
    .table = &plain_table,
    .examples = attempts_examples,
    .run = attempts,
};

/* ---- resend ---- */

enum { RESEND_SINCE = PST_CLI_OWN, RESEND_UNTIL, ALL };
PST_CLI_TABLE(resend_table,
              {.name = "since",
               .type = PST_CONFIG_STRING,
               .max = 40,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "TIME",
               .help = "Events told since then: 2026-11-24T06:30:00Z, or 2h for two hours ago."},
              {.name = "until",
               .type = PST_CONFIG_STRING,
               .max = 40,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "TIME",
               .help = "Events told before then. Without it: up to now."},
              {.name = "all",
               .letter = 'a',
               .type = PST_CONFIG_BOOL,
               .flags = PST_CONFIG_FLAG_ONLY,
               .help = "Not only failed ones: also what was delivered, and events that the webhook "
                       "wants and never got."});

static pst_code write_range(struct pst_cli *cli, struct pst_buf *body, struct pst_err *err)
{
    struct pst_json_writer w;
    pst_str since = pst_config_str(cli->options, RESEND_SINCE);
    pst_str until = pst_config_str(cli->options, RESEND_UNTIL);
    if (since.len == 0)
        return PST_FAIL(err, PST_E_INVALID,
                        "say which delivery (dlv_...), or since when: --since 2h");
    PST_TRY(pst_cli_time(cli, "since", since, &since, err));
    if (until.len)
        PST_TRY(pst_cli_time(cli, "until", until, &until, err));
    pst_json_init(&w, body);
    pst_json_begin_object(&w);
    pst_json_add_str(&w, "since", since);
    if (until.len)
        pst_json_add_str(&w, "until", until);
    pst_json_add_z(&w, "status", pst_config_bool(cli->options, ALL) ? "all" : "failed");
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code resend(struct pst_cli *cli, struct pst_err *err)
{
    enum { RANGE_MS = 3600 * 1000 }; /* a million events take a while */
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {.max = 4096};
    struct pst_reply reply = {0};
    bool is_one = cli->word_count > 1;
    pst_target_init(&target);
    if (!is_one)
        PST_TRY(write_range(cli, &body, err));
    PST_TRY(pst_webhook_target(cli, word_of(cli), PST_STR(""), &target, NULL, err));
    if (is_one) {
        pst_target_add(&target, PST_STR("deliveries"));
        pst_target_add(&target, cli->words[1]);
    }
    pst_target_add(&target, PST_STR("resend"));
    PST_TRY(pst_client_call(cli, "POST", &target, pst_buf_str(&body), is_one ? CALL_MS : RANGE_MS,
                            &reply, err));
    if (cli->json)
        pst_print_json(reply.text);
    else if (is_one)
        pst_printf("%.*s is %.*s\n", PST_STR_ARG(cli->words[1]),
                   PST_STR_ARG(pst_value_str(reply.root, "status")));
    else
        pst_printf("%lld queued\n", (long long)pst_value_i64(reply.root, "queued"));
    return PST_OK;
}

static const struct pst_example resend_examples[] = {
    {"penstock webhooks resend whk_01jd... dlv_01jd...", "one delivery"},
    {"penstock webhooks resend whk_01jd... --since 24h", "all that failed in a day"},
    {"penstock webhooks resend whk_01jd... --all \\\n"
     "      --since 2026-11-24T06:00:00Z --until 2026-11-24T07:00:00Z",
     "everything that was told in that hour"},
    {0},
};

const struct pst_command pst_command_webhooks_resend = {
    .name = "webhooks resend",
    .words = "[WEBHOOK] [DELIVERY]",
    .max_words = 2,
    .summary = "send a delivery again, or all that failed since a time",
    .details = "What is sent again keeps its event id, so that a receiver can tell that it had it "
               "before.",
    .table = &resend_table,
    .examples = resend_examples,
    .run = resend,
};
