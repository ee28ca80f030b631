/* cli/cmd_help.c: penstock help: the overview, one command, or the whole as a manual page,
 * Markdown, or JSON of the server's options. */
#include "api/api.h"
#include "cli/command.h"
#include "cli/terminal.h"

enum {
    FORMAT,
    FORMAT_TEXT = 0,
    FORMAT_MAN,
    FORMAT_MARKDOWN,
    FORMAT_OPTIONS,
    FORMAT_OPENAPI,
    HELP_BYTES = 8 << 20
};

static const struct pst_config_option rows[] = {
    [FORMAT] = {.name = "format",
                .type = PST_CONFIG_ENUM,
                .value = "text",
                .flags = PST_CONFIG_FLAG_ONLY,
                .choices = "text|man|markdown|options|openapi",
                .arg = "FORMAT",
                .help = "man: penstock(1). markdown: docs/cli.md. options: the options of "
                        "penstock serve as JSON. openapi: the API's description."},
};
static const struct pst_config_table table = {
    .program = "penstock", .options = rows, .count = PST_COUNT(rows)};

static const struct pst_example examples[] = {
    {"penstock help sync", NULL},
    {"penstock help --format man | man -l -", "read the manual page"},
    {0},
};

static pst_code write_text(struct pst_cli *cli, struct pst_buf *out, struct pst_err *err)
{
    const char *names[2] = {0};
    size_t taken = 0;
    if (cli->word_count == 0) {
        pst_help_overview(out);
        return PST_OK;
    }
    for (size_t i = 0; i < cli->word_count; i++)
        names[i] = cli->words[i].ptr;
    const struct pst_command *c = pst_command_find(names, cli->word_count, &taken);
    if (!c)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no command '%.60s'", names[0]);
    pst_help_command(c, out);
    return PST_OK;
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, HELP_BYTES);
    switch (pst_config_int(cli->options, FORMAT)) {
    case FORMAT_MAN:
        pst_help_man(&b);
        break;
    case FORMAT_MARKDOWN:
        pst_help_markdown(&b);
        break;
    case FORMAT_OPTIONS:
        pst_config_describe_json(&pst_options, &b);
        pst_buf_add_char(&b, '\n');
        break;
    case FORMAT_OPENAPI:
        pst_api_openapi(&b);
        pst_buf_add_char(&b, '\n');
        break;
    default:
        PST_TRY(write_text(cli, &b, err));
    }
    PST_TRY(pst_buf_check(&b, err));
    pst_terminal_print(pst_buf_str(&b));
    return PST_OK;
}

const struct pst_command pst_command_help = {
    .name = "help",
    .words = "[COMMAND [ACTION]]",
    .max_words = 2,
    .summary = "explain the commands",
    .table = &table,
    .examples = examples,
    .run = run,
};
