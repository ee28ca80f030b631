/* cli/cmd_records.c: penstock records: look at unified records. */
#include "base/num.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/terminal.h"

enum { LIMIT_MAX = 100000, ANY_AGE_DAYS = 36500 };
#define MS_PER_DAY INT64_C(86400000)
enum { LIMIT = PST_CLI_OWN, FILTER, SORT, DELETED, FIELDS, SOURCE, STALE };

PST_CLI_TABLE(table,
              {.name = "limit",
               .letter = 'l',
               .type = PST_CONFIG_INT,
               .value = "20",
               .min = 1,
               .max = LIMIT_MAX,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "N",
               .unit = "records",
               .help = "At most this many."},
              {.name = "filter",
               .type = PST_CONFIG_LIST,
               .max = 32,
               .flags = PST_CONFIG_FLAG_ONLY | PST_CONFIG_WHOLE,
               .arg = "FIELD=VALUE",
               .help = "Only records with this value; dates also with _after and _before "
                       "(updated_after=2026-11-01). May be repeated."},
              {.name = "sort",
               .type = PST_CONFIG_STRING,
               .max = 40,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "ORDER",
               .help = "updated_at or -updated_at; else in the order of first appearance."},
              {.name = "deleted",
               .type = PST_CONFIG_ENUM,
               .value = "exclude",
               .flags = PST_CONFIG_FLAG_ONLY,
               .choices = "exclude|include|only",
               .arg = "HOW",
               .help = "What to do with deleted records."},
              {.name = "fields",
               .type = PST_CONFIG_LIST,
               .max = 64,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "FIELD,...",
               .help = "Only these fields; of a list only with --json."},
              {.name = "source",
               .type = PST_CONFIG_BOOL,
               .flags = PST_CONFIG_FLAG_ONLY,
               .help = "With the source rows, as they came."},
              {.name = "stale",
               .type = PST_CONFIG_DURATION,
               .min = 1000,
               .max = MS_PER_DAY * ANY_AGE_DAYS,
               .bare = "36500d",
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "AGE",
               .help = "While the system is away, the stored copy, if it is no older than this "
                       "(--stale=6h); --stale alone takes any age."});

static const struct pst_column columns[] = {
    {"SOURCE ID", "source_id", PST_COLUMN_TEXT, 36}, {"NAME", "display_name", PST_COLUMN_TEXT, 36},
    {"STATUS", "status", PST_COLUMN_TEXT, 20},       {"UPDATED", "updated_at", PST_COLUMN_TIME, 0},
    {"DELETED", "deleted_at", PST_COLUMN_TIME, 0},   {"ID", "id", PST_COLUMN_TEXT, 40},
};

/* "purchase_orders" and "purchase-orders" both name the path's segment. */
static pst_code entity_segment(struct pst_cli *cli, pst_str word, pst_str *out, struct pst_err *err)
{
    char *text = NULL;
    PST_TRY(pst_arena_alloc(cli->arena, &text, word.len + 1, err));
    for (size_t i = 0; i < word.len; i++)
        text[i] = word.ptr[i] == '_' ? '-' : word.ptr[i];
    *out = (pst_str){text, word.len};
    return PST_OK;
}

static pst_code join(struct pst_cli *cli, size_t option, pst_str *out, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    const pst_str *items = NULL;
    size_t count = pst_config_list(cli->options, option, &items);
    pst_buf_init(&b, 8192);
    for (size_t i = 0; i < count; i++)
        pst_buf_addf(&b, "%s%.*s", i > 0 ? "," : "", PST_STR_ARG(items[i]));
    PST_TRY(pst_buf_check(&b, err));
    return pst_arena_dup(cli->arena, out, pst_buf_str(&b), err);
}

static pst_code add_filters(struct pst_cli *cli, struct pst_target *target, struct pst_err *err)
{
    const pst_str *items = NULL;
    size_t count = pst_config_list(cli->options, FILTER, &items);
    for (size_t i = 0; i < count; i++) {
        char name[80];
        size_t at = pst_str_index(items[i], '=');
        if (at == items[i].len || !pst_str_copy(name, sizeof(name), pst_str_sub(items[i], 0, at)))
            return PST_FAIL_AT(err, PST_E_INVALID, "filter",
                               "flag --filter: '%.*s' is not "
                               "FIELD=VALUE",
                               PST_STR_ARG(items[i]));
        pst_target_query(target, name, pst_str_sub(items[i], at + 1, items[i].len));
    }
    return PST_OK;
}

static pst_code build_target(struct pst_cli *cli, pst_str connection_id, struct pst_target *target,
                             struct pst_err *err)
{
    pst_str segment = {0};
    pst_str fields = {0};
    pst_target_add(target, PST_STR("connections"));
    pst_target_add(target, connection_id);
    PST_TRY(entity_segment(cli, cli->words[1], &segment, err));
    pst_target_add(target, segment);
    if (cli->word_count > 2)
        pst_target_add(target, cli->words[2]);
    PST_TRY(join(cli, FIELDS, &fields, err));
    if (cli->json || cli->word_count > 2) /* a table has columns of its own */
        pst_target_query(target, "fields", fields);
    if (pst_config_bool(cli->options, SOURCE))
        pst_target_query(target, "include", PST_STR("source"));
    if (cli->word_count > 2)
        return PST_OK;
    pst_target_query(target, "sort", pst_config_str(cli->options, SORT));
    if (pst_config_int(cli->options, DELETED) != 0)
        pst_target_query(target, "deleted", pst_config_str(cli->options, DELETED));
    return add_filters(cli, target, err);
}

/* ---- a copy that is old ---- */

static pst_code accept_stale(struct pst_cli *cli, struct pst_err *err)
{
    int64_t ms = pst_config_int(cli->options, STALE);
    int64_t ignored = 0;
    if (ms == 0)
        return PST_OK;
    if (cli->word_count > 2 && pst_parse_duration_ms(&ignored, cli->words[2]))
        return PST_FAIL_AT(err, PST_E_INVALID, "stale",
                           "flag --stale: its age is joined to it: --stale=%.*s",
                           PST_STR_ARG(cli->words[2]));
    return pst_arena_printf(cli->arena, &cli->cache_control, err, "stale-if-error=%lld",
                            (long long)(ms / 1000));
}

/* Since when the connection is offline; NULL: it is not any more, or that cannot be told. */
static yyjson_val *offline_since(struct pst_cli *cli, pst_str connection_id)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    struct pst_err ignored;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, connection_id);
    if (pst_client_get(cli, &target, &reply, &ignored) != PST_OK)
        return NULL;
    return pst_value_at(reply.root, "outage.since");
}

/* "the system has been offline since 2026-11-28 09:12:04Z: this is the stored copy of 3 h ago". */
static void note_stale(const struct pst_cli *cli, yyjson_val *since)
{
    PST_AUTO(buf) struct pst_buf b = {.max = 400};
    pst_buf_addf(&b, "the system %s", since ? "has been offline since " : "was offline");
    if (since)
        pst_value_text(&b, since, PST_COLUMN_TIME);
    pst_buf_add_lit(&b, ": this is the stored copy of ");
    pst_format_span(&b, cli->age_s * 1000);
    pst_buf_add_lit(&b, " ago\n");
    pst_terminal_note(pst_buf_str(&b));
}

/* {"age":412,"offline_since":"..."}, as a list has it in `stale`. */
static pst_code write_stale(const struct pst_cli *cli, yyjson_val *since, struct pst_buf *out,
                            struct pst_err *err)
{
    struct pst_json_writer w;
    pst_json_init(&w, out);
    pst_json_begin_object(&w);
    pst_json_add_i64(&w, "age", cli->age_s);
    pst_json_put_name(&w, PST_STR("offline_since"));
    pst_json_put_val(&w, since);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code show_one(struct pst_cli *cli, const struct pst_target *target,
                         pst_str connection_id, struct pst_err *err)
{
    struct pst_reply reply = {0};
    PST_TRY(pst_client_get(cli, target, &reply, err));
    if (cli->is_stale)
        note_stale(cli, offline_since(cli, connection_id));
    if (cli->json)
        pst_print_json(reply.text);
    else
        pst_print_pretty(reply.root);
    return PST_OK;
}

static pst_code show_list(struct pst_cli *cli, struct pst_target *target, pst_str connection_id,
                          struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf stale = {.max = 400};
    yyjson_val **items = NULL;
    size_t count = 0;
    PST_TRY(pst_client_list(cli, target, (size_t)pst_config_int(cli->options, LIMIT), &items,
                            &count, err));
    if (cli->is_stale) {
        yyjson_val *since = offline_since(cli, connection_id);
        note_stale(cli, since);
        PST_TRY(write_stale(cli, since, &stale, err));
    }
    if (cli->json)
        return pst_print_items_with(items, count, "stale", pst_buf_str(&stale), err);
    pst_print_table(items, count, columns, PST_COUNT(columns), "no records");
    return PST_OK;
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    pst_str connection_id = {0};
    PST_TRY(accept_stale(cli, err));
    pst_target_init(&target);
    PST_TRY(pst_client_connection(cli, cli->words[0], &connection_id, err));
    PST_TRY(build_target(cli, connection_id, &target, err));
    pst_code code = cli->word_count > 2 ? show_one(cli, &target, connection_id, err)
                                        : show_list(cli, &target, connection_id, err);
    if (code == PST_E_UNREACHABLE)
        pst_notef(pst_config_int(cli->options, STALE) == 0
                      ? "The copy that is stored: the same with --stale\n"
                      : "No copy is as young as that: --stale alone takes any age\n");
    return code;
}

static const struct pst_example examples[] = {
    {"penstock records acme purchase_orders --filter status=approved", NULL},
    {"penstock records acme suppliers --filter updated_after=2026-11-01 --limit 500 --json", NULL},
    {"penstock records acme purchase_orders 'source_id:US001|0000000123' --source",
     "one record with its source rows"},
    {"penstock records acme purchase_orders --stale=6h --json",
     "while the system is away: its stored copy, and in `stale` how old that is"},
    {0},
};

const struct pst_command pst_command_records = {
    .name = "records",
    .words = "CONNECTION ENTITY [RECORD]",
    .min_words = 2,
    .max_words = 3,
    .summary = "look at the records of an entity, or at one of them",
    .details = "RECORD is an id (rec_...) or source_id: and the source's key.\n"
               "Of a system that is away nothing is shown without --stale (or serve_stale of the "
               "connection);\nwhat is shown then may be out of date, which is said.",
    .table = &table,
    .examples = examples,
    .run = run,
};
