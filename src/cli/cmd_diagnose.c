/* cli/cmd_diagnose.c: penstock diagnose: whose trouble a request, a connection or a sync has. */
#include "base/id.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

enum { CALLS_SHOWN = 40 };

PST_CLI_TABLE(table);

static const struct pst_column request_fields[] = {
    {"Request", "id", PST_COLUMN_TEXT, 0},
    {"At", "at", PST_COLUMN_TIME, 0},
    {"Operation", "operation", PST_COLUMN_TEXT, 0},
    {"Status", "status", PST_COLUMN_NUMBER, 0},
    {"Code", "code", PST_COLUMN_TEXT, 0},
    {"Detail", "detail", PST_COLUMN_TEXT, 0},
    {"Microseconds", "duration_us", PST_COLUMN_NUMBER, 0},
    {"Caller", "caller", PST_COLUMN_TEXT, 0},
    {"Connection", "connection_id", PST_COLUMN_TEXT, 0},
    {"Sync", "sync_id", PST_COLUMN_TEXT, 0},
    {"Trace", "trace_id", PST_COLUMN_TEXT, 0},
};

static const struct pst_column call_columns[] = {
    {"CALL", "number", PST_COLUMN_NUMBER, 0},
    {"STATUS", "status", PST_COLUMN_NUMBER, 0},
    {"FAULT", "fault", PST_COLUMN_TEXT, 10},
    {"DNS", "times_us.dns", PST_COLUMN_NUMBER, 0},
    {"CONNECT", "times_us.connect", PST_COLUMN_NUMBER, 0},
    {"TLS", "times_us.tls", PST_COLUMN_NUMBER, 0},
    {"FIRST BYTE", "times_us.first_byte", PST_COLUMN_NUMBER, 0},
    {"TOTAL (us)", "times_us.total", PST_COLUMN_NUMBER, 0},
    {"BYTES", "bytes", PST_COLUMN_NUMBER, 0},
    {"PATH", "path", PST_COLUMN_TEXT, 80},
};

static void print_calls(yyjson_val *calls)
{
    yyjson_val *items[CALLS_SHOWN];
    yyjson_val *item = NULL;
    size_t count = 0;
    size_t i = 0;
    size_t n = 0;
    yyjson_arr_foreach(calls, i, n, item)
    {
        if (count < PST_COUNT(items))
            items[count++] = item;
    }
    if (count == 0)
        return;
    pst_printf("\n");
    pst_print_table(items, count, call_columns, PST_COUNT(call_columns), "");
    if (n > count)
        pst_printf("... and %zu more: see --json\n", n - count);
}

static const struct pst_column verdict_fields[] = {
    {"Likely cause", "likely_cause", PST_COLUMN_TEXT, 0},
    {"What to do", "what_to_do", PST_COLUMN_TEXT, 0},
    {"Since", "since", PST_COLUMN_TIME, 0},
};

static void print_verdict(yyjson_val *diagnosis)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *item = NULL;
    pst_printf("%.*s\n\n", PST_STR_ARG(pst_value_str(diagnosis, "summary")));
    pst_print_fields(diagnosis, verdict_fields, PST_COUNT(verdict_fields));
    yyjson_arr_foreach(pst_value_at(diagnosis, "because"), i, n, item)
    {
        pst_str text = {NULL, 0};
        (void)pst_json_str(item, &text);
        pst_printf("%s%.*s\n", i == 0 ? "\nBecause\n  - " : "  - ", PST_STR_ARG(text));
    }
    yyjson_arr_foreach(pst_value_at(diagnosis, "evidence.operations"), i, n, item)
    {
        pst_str path = pst_value_str(item, "path");
        pst_str code = pst_value_str(item, "code");
        pst_printf("%s%.*s: %.*s\n", i == 0 ? "\nOperations that fail\n  - " : "  - ",
                   PST_STR_ARG(path), PST_STR_ARG(code));
    }
}

static pst_code diagnose_request(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("requests"));
    pst_target_add(&target, cli->words[0]);
    PST_TRY(pst_client_get(cli, &target, &reply, err));
    if (cli->json) {
        pst_print_json(reply.text);
        return PST_OK;
    }
    print_verdict(pst_value_at(reply.root, "diagnosis"));
    pst_printf("\n");
    pst_print_fields(reply.root, request_fields, PST_COUNT(request_fields));
    print_calls(pst_value_at(reply.root, "calls"));
    return PST_OK;
}

static pst_code show(struct pst_cli *cli, const struct pst_target *target, struct pst_err *err)
{
    struct pst_reply reply = {0};
    PST_TRY(pst_client_get(cli, target, &reply, err));
    if (cli->json) {
        pst_print_json(reply.text);
        return PST_OK;
    }
    print_verdict(reply.root);
    print_calls(pst_value_at(reply.root, "calls"));
    return PST_OK;
}

static pst_code diagnose_connection(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    pst_target_init(&target);
    PST_TRY(pst_client_connection_target(cli, cli->words[0], &target, err));
    pst_target_add(&target, PST_STR("diagnosis"));
    return show(cli, &target, err);
}

static pst_code diagnose_sync(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("syncs"));
    pst_target_add(&target, cli->words[0]);
    pst_target_add(&target, PST_STR("diagnosis"));
    return show(cli, &target, err);
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    if (pst_id_parse(NULL, "req_", cli->words[0]))
        return diagnose_request(cli, err);
    if (pst_id_parse(NULL, "sync_", cli->words[0]))
        return diagnose_sync(cli, err);
    return diagnose_connection(cli, err);
}

static const struct pst_example examples[] = {
    {"penstock diagnose req_01m85gjr84fn2tvxyf0ejj4x3j", "the request id of an error"},
    {"penstock diagnose acme", "a connection as it is now, by name or id"},
    {"penstock diagnose sync_01m85gjr84fn2tvxyf0ejj4x3j --json", NULL},
    {0},
};

const struct pst_command pst_command_diagnose = {
    .name = "diagnose",
    .words = "REQUEST|CONNECTION|SYNC",
    .min_words = 1,
    .max_words = 1,
    .summary = "say whose trouble it is, with evidence, and what to do",
    .details = "Three answers: systemic (many connections of the host or connector, or Penstock "
               "itself), of this connection, or of the request alone.\n"
               "Requests are kept for 30 days; of successful reads only a sample is "
               "(docs/diagnosis.md).",
    .table = &table,
    .examples = examples,
    .run = run,
};
