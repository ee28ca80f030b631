/* cli/cmd_serve.c: penstock serve: the server itself, in the foreground. */
#include "app/app.h"
#include "cli/command.h"

static const struct pst_example examples[] = {
    {"penstock serve", "with /etc/penstock/penstock.yaml, where there is one"},
    {"penstock serve --listen 127.0.0.1:8400 --data-dir ./data", NULL},
    {"penstock serve --dev", "allow systems on this machine, for trying things out"},
    {"systemctl reload penstock",
     "take over changed options, those that need no new start (SIGHUP)"},
    {0},
};

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    return pst_app_serve(cli->args, cli->arg_count, cli->env, err);
}

const struct pst_command pst_command_serve = {
    .name = "serve",
    .words = "",
    .summary = "run the server",
    .details =
        "The first start makes the data directory, the store and the root key. Logs are JSON "
        "lines on\nstandard error. SIGTERM and Ctrl-C stop it gracefully: requests are "
        "finished and syncs stop\nafter the page in hand; the next start goes on there. A "
        "second signal ends it at once, which\nis safe, too.",
    .table = &pst_options,
    .examples = examples,
    .run = run,
};
