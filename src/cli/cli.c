/* cli/cli.c: from argv to a command, and from its result to text and exit status. */
#include "cli/cli.h"

#include <unistd.h>

#include "base/map.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "codec/json.h"
#include "crypto/crypto.h"
#include "os/rand.h"

enum { ARENA_BYTES = 512 << 20, HELP_BYTES = 1 << 20 };

static int print_help(void (*write)(struct pst_buf *out))
{
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, HELP_BYTES);
    write(&b);
    pst_terminal_print(pst_buf_str(&b));
    return 0;
}

static int print_command_help(const struct pst_command *command)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, HELP_BYTES);
    pst_help_command(command, &b);
    pst_terminal_print(pst_buf_str(&b));
    return 0;
}

/* One object on standard error, so that a script that reads JSON gets errors as JSON too. */
static void report_json(const struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    pst_buf_init(&b, 8192);
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_json_add_z(&w, "code", pst_code_name(err->code));
    pst_json_add_z(&w, "origin", pst_origin_name(pst_code_origin(err->code)));
    pst_json_add_z(&w, "detail", err->msg);
    if (err->param[0])
        pst_json_add_z(&w, "param", err->param);
    pst_json_add_bool(&w, "retryable", pst_code_retryable(err->code) != 0);
    pst_json_end_object(&w);
    pst_buf_add_char(&b, '\n');
    pst_terminal_note(pst_buf_str(&b));
}

static int report(const struct pst_err *err, bool json)
{
    if (json) {
        report_json(err);
    } else {
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 4096);
        pst_buf_add_lit(&b, "penstock: ");
        pst_terminal_clean(&b, pst_str_from(err->msg), sizeof(err->msg));
        pst_buf_add_char(&b, '\n');
        pst_terminal_note(pst_buf_str(&b));
    }
    return pst_code_exit(err->code);
}

static pst_code load_options(struct pst_cli *cli, struct pst_err *err)
{
    const struct pst_command *c = cli->command;
    struct pst_config_input in = {
        .env = cli->env, .args = cli->args, .arg_count = cli->arg_count, .max_words = c->max_words};
    PST_TRY(pst_config_load(&cli->options, c->table, &in, err));
    cli->word_count = pst_config_words(cli->options, &cli->words);
    cli->json = c->table->count > PST_CLI_JSON &&
                strcmp(c->table->options[PST_CLI_JSON].name, "json") == 0 &&
                pst_config_bool(cli->options, PST_CLI_JSON);
    if (cli->word_count < c->min_words)
        return PST_FAIL(err, PST_E_INVALID, "usage: penstock %s %s (see penstock %s --help)",
                        c->name, c->words, c->name);
    return PST_OK;
}

static pst_code run_command(struct pst_cli *cli, struct pst_err *err)
{
    PST_TRY(pst_crypto_init(err));
    pst_map_seed(pst_rand_u64());
    PST_TRY(pst_arena_new(&cli->arena, ARENA_BYTES, err));
    /* `serve` reads its configuration itself, since it does so again on every reload. */
    if (cli->command != &pst_command_serve)
        PST_TRY(load_options(cli, err));
    return cli->command->run(cli, err);
}

static int unknown_command(const char *name)
{
    if (name[0] == '-') {
        pst_notef("penstock: flags stand behind the command: penstock COMMAND %.60s\n", name);
        return pst_code_exit(PST_E_INVALID);
    }
    pst_notef("penstock: there is no command '%.60s'; penstock --help lists them\n", name);
    return pst_code_exit(PST_E_INVALID);
}

static void list_actions(struct pst_buf *out, pst_str group)
{
    for (size_t i = 0; pst_commands[i]; i++) {
        pst_str action = pst_str_from(pst_commands[i]->name);
        if (pst_str_eq(pst_str_split(&action, ' '), group) && action.len)
            pst_buf_addf(out, "%s%.*s", out->len ? ", " : "", PST_STR_ARG(action));
    }
}

/* "webhooks nosuch": a word behind a group that takes none is meant as one of its actions. */
static bool is_unknown_action(const struct pst_cli *cli)
{
    PST_AUTO(buf) struct pst_buf b = {.max = HELP_BYTES};
    if (cli->command->max_words > 0 || cli->arg_count == 0 || cli->args[0][0] == '-')
        return false;
    list_actions(&b, pst_str_from(cli->command->name));
    if (b.len == 0)
        return false;
    pst_notef("penstock: there is no action '%.60s'; there are: %.*s\n", cli->args[0],
              PST_STR_ARG(pst_buf_str(&b)));
    return true;
}

int pst_cli_main(int argc, char **argv, char **env)
{
    size_t count = argc > 1 ? (size_t)argc - 1 : 0;
    const char *const *args = (const char *const *)argv + (argc > 0 ? 1 : 0);
    if (count == 0 || strcmp(args[0], "--help") == 0 || strcmp(args[0], "-h") == 0)
        return print_help(pst_help_overview);
    if (strcmp(args[0], "--version") == 0 || strcmp(args[0], "version") == 0) {
        pst_printf("penstock %s\n", PST_VERSION);
        return 0;
    }
    size_t taken = 0;
    const struct pst_command *command = pst_command_find(args, count, &taken);
    if (!command)
        return unknown_command(args[0]);
    struct pst_cli cli = {.command = command,
                          .args = args + taken,
                          .arg_count = count - taken,
                          .env = (const char *const *)env};
    if (pst_config_peek_flag(cli.args, cli.arg_count, "help", 'h'))
        return print_command_help(command);
    if (is_unknown_action(&cli))
        return pst_code_exit(PST_E_INVALID);

    struct pst_err err;
    bool json = pst_config_peek_flag(cli.args, cli.arg_count, "json", 0) != NULL;
    pst_code rc = run_command(&cli, &err);
    int status = rc == PST_OK ? 0 : report(&err, json);
    pst_client_free(cli.client);
    pst_config_unref(cli.options);
    pst_arena_free(cli.arena);
    return status;
}
