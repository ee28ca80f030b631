/* cli/cmd_changes.c: penstock changes: the change feed, once or for ever. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/output.h"
#include "cli/terminal.h"

enum { CALL_MS = 60000, PAGE = 500, PAGES_BYTES = 64 << 20 };
enum { AFTER = PST_CLI_OWN, ENTITIES, LIMIT, FOLLOW };

PST_CLI_TABLE(
    table,
    {.name = "after",
     .letter = 'a',
     .type = PST_CONFIG_INT,
     .value = "0",
     .min = 0,
     .max = INT64_MAX,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "SEQ",
     .help = "Only changes behind this number."},
    {.name = "entities",
     .letter = 'e',
     .type = PST_CONFIG_LIST,
     .max = 64,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "ENTITY,...",
     .help = "Only these entities."},
    {.name = "limit",
     .letter = 'l',
     .type = PST_CONFIG_INT,
     .value = "100",
     .min = 1,
     .max = 1000000,
     .flags = PST_CONFIG_FLAG_ONLY,
     .arg = "N",
     .unit = "changes",
     .help = "At most this many; with --follow there is no end."},
    {.name = "follow",
     .letter = 'f',
     .type = PST_CONFIG_BOOL,
     .flags = PST_CONFIG_FLAG_ONLY,
     .help = "Wait for further changes until Ctrl-C, also while the server is started again; "
             "with --json one object a line."});

struct feed {
    struct pst_cli *cli;
    pst_str connection_id;
    pst_str entities; /* joined by commas */
    int64_t after;
    int64_t left; /* how many may still be printed */
    bool is_endless;
    struct pst_follow follow;
};

static void add_change(struct pst_buf *b, yyjson_val *change)
{
    pst_buf_addf(b, "%8lld  ", (long long)pst_value_i64(change, "seq"));
    pst_value_text(b, pst_value_at(change, "at"), PST_COLUMN_TIME);
    pst_buf_addf(b, "  %-16.*s %-8.*s %.*s", PST_STR_ARG(pst_value_str(change, "entity")),
                 PST_STR_ARG(pst_value_str(change, "op")),
                 PST_STR_ARG(pst_value_str(change, "record_id")));
    yyjson_val *fields = pst_value_at(change, "fields");
    if (yyjson_is_arr(fields) && yyjson_arr_size(fields) > 0) {
        pst_buf_add_lit(b, "  ");
        pst_value_text(b, fields, PST_COLUMN_TEXT);
    }
    pst_buf_add_char(b, '\n');
}

static void print_change(const struct feed *f, yyjson_val *change)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    pst_buf_init(&b, 1 << 20);
    if (f->cli->json) {
        pst_json_init(&w, &b);
        pst_json_put_val(&w, change);
        pst_buf_add_char(&b, '\n');
    } else {
        add_change(&b, change);
    }
    pst_terminal_print(pst_buf_str(&b));
}

/* One call; *got tells how many changes came. */
static pst_code read_page(struct feed *f, size_t *got, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    char number[24];
    size_t i = 0;
    size_t n = 0;
    yyjson_val *change = NULL;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    pst_target_add(&target, f->connection_id);
    pst_target_add(&target, PST_STR("changes"));
    (void)snprintf(number, sizeof(number), "%lld", (long long)f->after);
    pst_target_query(&target, "after", pst_str_from(number));
    pst_target_query(&target, "entities", f->entities);
    (void)snprintf(number, sizeof(number), "%lld", (long long)(f->left < PAGE ? f->left : PAGE));
    pst_target_query(&target, "limit", pst_str_from(number));
    if (f->is_endless)
        pst_target_query(&target, "wait", pst_follow_wait(&f->follow));
    PST_TRY(pst_client_get(f->cli, &target, &reply, err));
    yyjson_arr_foreach(pst_value_at(reply.root, "data"), i, n, change)
    {
        print_change(f, change);
        f->after = pst_value_i64(change, "seq");
    }
    *got = n;
    return PST_OK;
}

static pst_code read_feed(struct feed *f, struct pst_err *err)
{
    while (f->left > 0) {
        size_t got = 0;
        pst_arena_reset(f->cli->arena);
        pst_code code = read_page(f, &got, err);
        if (f->is_endless ? !pst_follow_goes_on(&f->follow, code, err) : code != PST_OK)
            return code;
        if (!f->is_endless)
            f->left -= (int64_t)got;
        if (got == 0 && !f->is_endless)
            break;
    }
    return PST_OK;
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *pages = NULL;
    PST_AUTO(buf) struct pst_buf joined = {0};
    const pst_str *entities = NULL;
    size_t count = pst_config_list(cli->options, ENTITIES, &entities);
    struct feed f = {.cli = cli,
                     .after = pst_config_int(cli->options, AFTER),
                     .left = pst_config_int(cli->options, LIMIT),
                     .is_endless = pst_config_bool(cli->options, FOLLOW)};
    pst_buf_init(&joined, 4096);
    for (size_t i = 0; i < count; i++)
        pst_buf_addf(&joined, "%s%.*s", i > 0 ? "," : "", PST_STR_ARG(entities[i]));
    PST_TRY(pst_buf_check(&joined, err));
    f.entities = pst_buf_str(&joined);
    PST_TRY(pst_client_connection(cli, cli->word_count > 0 ? cli->words[0] : PST_STR(""),
                                  &f.connection_id, err));
    PST_TRY(pst_arena_new(&pages, PAGES_BYTES, err));
    struct pst_arena *kept = cli->arena;
    cli->arena = pages; /* each page goes before the next one */
    pst_code rc = read_feed(&f, err);
    cli->arena = kept;
    return rc;
}

static const struct pst_example examples[] = {
    {"penstock changes acme --after 4711", NULL},
    {"penstock changes acme --follow --json | jq .record_id", "as they come"},
    {0},
};

const struct pst_command pst_command_changes = {
    .name = "changes",
    .words = "[CONNECTION]",
    .max_words = 1,
    .summary = "read the change feed of a connection",
    .table = &table,
    .examples = examples,
    .run = run,
};
