/* cli/cmd_status.c: penstock status: how fresh every copy is. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "cli/webhooks.h"

enum { LIST_MAX = 1000 };

PST_CLI_TABLE(table);

static const struct pst_column all_columns[] = {
    {"NAME", "name", PST_COLUMN_TEXT, 30},
    {"STATUS", "status", PST_COLUMN_TEXT, 24},
    {"SYNCING", "syncing", PST_COLUMN_YES, 0},
    {"RECORDS", "records", PST_COLUMN_NUMBER, 0},
    {"FRESH AS OF", "last_success_at", PST_COLUMN_AGO, 0},
    {"NEXT RUN", "next_run_at", PST_COLUMN_AGO, 0},
    {"ID", "id", PST_COLUMN_TEXT, 40},
};

/* What a connection's entities add up to: its copy is as fresh as the stalest of them. */
struct sums {
    int64_t records;
    pst_wall oldest; /* none: an entity was never synced */
    bool has_oldest;
};

static void add_up(struct sums *s, yyjson_val *entities)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *entity = NULL;
    yyjson_arr_foreach(entities, i, n, entity)
    {
        pst_wall at = PST_WALL_NONE;
        (void)pst_wall_parse(&at, pst_value_str(entity, "last_success_at"));
        s->records += pst_value_i64(entity, "records");
        if (!s->has_oldest || pst_wall_is_none(at) ||
            (!pst_wall_is_none(s->oldest) && at.us < s->oldest.us))
            s->oldest = at;
        s->has_oldest = true;
    }
}

/* One row of the table: the connection with the sums of its sync-status. */
static pst_code summarise(struct pst_cli *cli, yyjson_val *connection, yyjson_val **out,
                          struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    struct pst_reply reply = {0};
    struct sums sums = {.oldest = PST_WALL_NONE};
    yyjson_doc *doc = NULL;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, pst_value_str(connection, "id"));
    pst_target_add(&target, PST_STR("sync-status"));
    PST_TRY(pst_client_get(cli, &target, &reply, err));
    add_up(&sums, pst_value_at(reply.root, "entities"));
    pst_buf_init(&b, 1 << 16);
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_json_add_str(&w, "id", pst_value_str(connection, "id"));
    pst_json_add_str(&w, "name", pst_value_str(connection, "name"));
    pst_json_add_str(&w, "status", pst_value_str(reply.root, "status"));
    pst_json_add_val(&w, "status_reason", pst_value_at(reply.root, "status_reason"));
    pst_json_add_val(&w, "syncing", pst_value_at(reply.root, "syncing"));
    pst_json_add_val(&w, "error", pst_connection_error(reply.root));
    pst_json_add_i64(&w, "records", sums.records);
    pst_json_add_wall(&w, "last_success_at", sums.oldest);
    pst_json_add_val(&w, "next_run_at", pst_value_at(reply.root, "next_run_at"));
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    PST_TRY(pst_json_read(pst_buf_str(&b), NULL, cli->arena, &doc, err));
    *out = yyjson_doc_get_root(doc);
    return PST_OK;
}

/* Webhooks that fail or were disabled. */
static pst_code list_troubled(struct pst_cli *cli, yyjson_val ***out, size_t *count,
                              struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t all = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("webhooks"));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &all, err));
    *count = 0;
    for (size_t i = 0; i < all; i++) {
        PST_AUTO(buf) struct pst_buf advice = {.max = 4096};
        pst_webhook_advice(&advice, items[i]);
        if (advice.len)
            items[(*count)++] = items[i];
    }
    *out = items;
    return PST_OK;
}

static void print_troubled(yyjson_val *const *webhooks, size_t count)
{
    PST_AUTO(buf) struct pst_buf b = {.max = 4 << 20};
    for (size_t i = 0; i < count; i++) {
        pst_buf_add_lit(&b, "webhook ");
        pst_terminal_clean(&b, pst_value_str(webhooks[i], "url"), 100);
        pst_buf_add_char(&b, ' ');
        pst_webhook_advice(&b, webhooks[i]);
        pst_buf_add_char(&b, '\n');
    }
    pst_terminal_print(pst_buf_str(&b));
}

static void put_array(struct pst_json_writer *w, const char *name, yyjson_val *const *items,
                      size_t count)
{
    pst_json_add_array(w, name);
    for (size_t i = 0; i < count; i++)
        pst_json_put_val(w, items[i]);
    pst_json_end_array(w);
}

static pst_code print_rows(yyjson_val *const *rows, size_t count, yyjson_val *const *webhooks,
                           size_t webhook_count, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    pst_buf_init(&b, 64 << 20);
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    put_array(&w, "data", rows, count);
    put_array(&w, "troubled_webhooks", webhooks, webhook_count);
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    pst_print_json(pst_buf_str(&b));
    return PST_OK;
}

/* Why a connection is as it is; where it is in no trouble itself, what its last syncs met. */
static void print_reasons(yyjson_val *const *connections, size_t count)
{
    PST_AUTO(buf) struct pst_buf b = {.max = 4 << 20};
    for (size_t i = 0; i < count; i++) {
        pst_str reason = pst_value_str(connections[i], "status_reason");
        bool is_pending = pst_str_is(pst_value_str(connections[i], "status"), "pending");
        bool has_failed = reason.len == 0;
        if (has_failed)
            reason = pst_value_str(connections[i], "error.message");
        if (reason.len == 0)
            continue;
        pst_terminal_clean(&b, pst_value_str(connections[i], "name"), 100);
        pst_buf_add_lit(&b, ": ");
        pst_terminal_clean(&b, reason, 600);
        if (has_failed)
            pst_buf_addf(&b, "\n  -> what to do: penstock %s %.*s",
                         is_pending ? "connections test" : "diagnose",
                         PST_STR_ARG(pst_value_str(connections[i], "id")));
        pst_buf_add_char(&b, '\n');
    }
    pst_terminal_print(pst_buf_str(&b));
}

static pst_code show_all(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    yyjson_val **webhooks = NULL;
    size_t count = 0;
    size_t webhook_count = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    for (size_t i = 0; i < count; i++)
        PST_TRY(summarise(cli, items[i], &items[i], err));
    PST_TRY(list_troubled(cli, &webhooks, &webhook_count, err));
    if (cli->json)
        return print_rows(items, count, webhooks, webhook_count, err);
    pst_print_table(items, count, all_columns, PST_COUNT(all_columns),
                    "no connections yet: see penstock connect --help");
    print_reasons(items, count);
    print_troubled(webhooks, webhook_count);
    return PST_OK;
}

static const struct pst_column one_fields[] = {
    {"Connection", "connection_id", PST_COLUMN_TEXT, 0}, {"Status", "status", PST_COLUMN_TEXT, 0},
    {"Reason", "status_reason", PST_COLUMN_TEXT, 0},     {"Syncing", "syncing", PST_COLUMN_YES, 0},
    {"Next run", "next_run_at", PST_COLUMN_TIME, 0},
};

/* Of one that is offline. */
static const struct pst_column outage_fields[] = {
    {"Away since", "outage.since", PST_COLUMN_TIME, 0},
    {"Tries", "outage.tries", PST_COLUMN_NUMBER, 0},
    {"Next probe", "outage.next_probe_at", PST_COLUMN_TIME, 0},
};

/* Of one whose system is busy. */
static const struct pst_column wait_fields[] = {
    {"Waits until", "resumes_at", PST_COLUMN_TIME, 0}, /* 429 */
};

static const struct pst_column entity_columns[] = {
    {"ENTITY", "entity", PST_COLUMN_TEXT, 24},
    {"STATUS", "status", PST_COLUMN_TEXT, 12},
    {"RECORDS", "records", PST_COLUMN_NUMBER, 0},
    {"REJECTED", "rejected", PST_COLUMN_NUMBER, 0},
    {"LAST SUCCESS", "last_success_at", PST_COLUMN_AGO, 0},
    {"LAST ATTEMPT", "last_attempt_at", PST_COLUMN_AGO, 0},
    {"ERROR", "error.message", PST_COLUMN_TEXT, 80},
};

static pst_code show_one(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    yyjson_val *items[PST_COUNT(entity_columns) * 32];
    size_t count = 0;
    size_t i = 0;
    size_t n = 0;
    yyjson_val *item = NULL;
    pst_target_init(&target);
    PST_TRY(pst_client_connection_target(cli, cli->words[0], &target, err));
    pst_target_add(&target, PST_STR("sync-status"));
    PST_TRY(pst_client_get(cli, &target, &reply, err));
    if (cli->json) {
        pst_print_json(reply.text);
        return PST_OK;
    }
    pst_print_fields(reply.root, one_fields, PST_COUNT(one_fields));
    if (yyjson_is_obj(pst_value_at(reply.root, "outage")))
        pst_print_fields(reply.root, outage_fields, PST_COUNT(outage_fields));
    if (yyjson_is_str(pst_value_at(reply.root, "resumes_at")))
        pst_print_fields(reply.root, wait_fields, PST_COUNT(wait_fields));
    yyjson_arr_foreach(pst_value_at(reply.root, "entities"), i, n, item)
    {
        if (count < PST_COUNT(items))
            items[count++] = item;
    }
    pst_printf("\n");
    pst_print_table(items, count, entity_columns, PST_COUNT(entity_columns), "no entities");
    return PST_OK;
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    return cli->word_count > 0 ? show_one(cli, err) : show_all(cli, err);
}

static const struct pst_example examples[] = {
    {"penstock status", "all connections"},
    {"penstock status acme", "one connection, entity by entity"},
    {0},
};

const struct pst_command pst_command_status = {
    .name = "status",
    .words = "[CONNECTION]",
    .max_words = 1,
    .summary = "show how connections and their syncs are, and webhooks in trouble",
    .table = &table,
    .examples = examples,
    .run = run,
};
