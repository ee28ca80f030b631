/* cli/cmd_organizations.c: penstock organizations: list and create the tenants, and set their pools
 * of credits (operator). */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

enum { LIST_MAX = 10000, CALL_MS = 60000 };

PST_CLI_TABLE(table);

static const struct pst_column columns[] = {
    {"ID", "id", PST_COLUMN_TEXT, 40},           {"NAME", "name", PST_COLUMN_TEXT, 40},
    {"CREDITS", "credits", PST_COLUMN_LIMIT, 0}, {"USED", "credits_used", PST_COLUMN_NUMBER, 0},
    {"OVERAGE", "overage", PST_COLUMN_YES, 0},   {"CREATED", "created_at", PST_COLUMN_TIME, 0},
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
    .summary = "list the organizations, create one, set their credits",
    .details = "An organization is a tenant: its keys, connections and data. Through the local "
               "socket only.",
    .table = &table,
    .examples = list_examples,
    .run = list,
};

enum { CREDITS = PST_CLI_OWN, OVERAGE };

/* clang-format off */
#define CREDIT_OPTIONS(credits_, overage_, choices_)                                               \
    {.name = "credits", .type = PST_CONFIG_STRING, .max = 20, .flags = PST_CONFIG_FLAG_ONLY,       \
     .arg = "N", .help = "The pool that its connections share; unlimited: without end." credits_}, \
    {.name = "overage", .type = PST_CONFIG_ENUM, .value = overage_, .choices = choices_,           \
     .flags = PST_CONFIG_FLAG_ONLY, .arg = "YES",                                                  \
     .help = "Whether connections may take more than there is."}
/* clang-format on */

/* Both with yes in the second place, and first what needs no word. */
PST_CLI_TABLE(create_table, CREDIT_OPTIONS(" Default: unlimited.", "no", "no|yes"));
PST_CLI_TABLE(update_table, CREDIT_OPTIONS("", "unchanged", "unchanged|yes|no"));

/* Members "credits" and "overage", where they are given. */
static pst_code put_credits(struct pst_cli *cli, struct pst_json_writer *w, struct pst_err *err)
{
    int64_t pool = 0;
    pst_str text = pst_config_str(cli->options, CREDITS);
    int64_t overage = pst_config_int(cli->options, OVERAGE);
    if (pst_str_is(text, "unlimited"))
        pst_json_add_null(w, "credits");
    else if (text.len > 0 && !pst_parse_i64(&pool, text, 0, INT64_MAX))
        return PST_FAIL_AT(err, PST_E_INVALID, "credits",
                           "--credits is a number, or unlimited: '%.*s'", PST_STR_ARG(text));
    else if (text.len > 0)
        pst_json_add_i64(w, "credits", pool);
    if (overage != 0)
        pst_json_add_bool(w, "overage", overage == 1);
    return PST_OK;
}

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
    PST_TRY(put_credits(cli, &w, err));
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
    {"penstock organizations create Acme --credits 100", "with a pool of credits"},
    {"penstock keys create --organization Acme --name backend", "then its first API key"},
    {0},
};

const struct pst_command pst_command_organizations_create = {
    .name = "organizations create",
    .words = "NAME",
    .min_words = 1,
    .max_words = 1,
    .summary = "create an organization and print its id",
    .table = &create_table,
    .examples = create_examples,
    .run = create,
};

/* The id of the organization that word names: its id or its name. */
static pst_code find(struct pst_cli *cli, pst_str word, pst_str *out, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("organizations"));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    for (size_t i = 0; i < count; i++) {
        *out = pst_value_str(items[i], "id");
        if (pst_str_eq(*out, word) || pst_str_eq(pst_value_str(items[i], "name"), word))
            return PST_OK;
    }
    return PST_FAIL(err, PST_E_NOT_FOUND,
                    "there is no organization '%.*s' (see `penstock "
                    "organizations`)",
                    PST_STR_ARG(word));
}

static pst_code update(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {0};
    struct pst_json_writer w;
    struct pst_reply reply = {0};
    pst_str id = {0};
    pst_buf_init(&body, PST_BODY_BYTES);
    pst_json_init(&w, &body);
    pst_json_begin_object(&w);
    PST_TRY(put_credits(cli, &w, err));
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    if (body.len <= strlen("{}"))
        return PST_FAIL(err, PST_E_INVALID, "nothing to change: give --credits or --overage");
    PST_TRY(find(cli, cli->words[0], &id, err));
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("organizations"));
    pst_target_add(&target, id);
    PST_TRY(pst_client_call(cli, "PATCH", &target, pst_buf_str(&body), CALL_MS, &reply, err));
    if (cli->json)
        pst_print_json(reply.text);
    else
        pst_print_table(&reply.root, 1, columns, PST_COUNT(columns), "");
    return PST_OK;
}

static const struct pst_example update_examples[] = {
    {"penstock organizations update Acme --credits 100", "a pool of 100 credits"},
    {"penstock organizations update Acme --overage yes", "more may be taken, and is counted"},
    {"penstock organizations update Acme --credits unlimited", NULL},
    {0},
};

const struct pst_command pst_command_organizations_update = {
    .name = "organizations update",
    .words = "ORG",
    .min_words = 1,
    .max_words = 1,
    .summary = "set the credits of an organization",
    .details = "A smaller pool switches nothing off; a larger one switches nothing on: that is for "
               "whoever owns the connection.",
    .table = &update_table,
    .examples = update_examples,
    .run = update,
};
