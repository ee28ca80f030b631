/* cli/help.c: help, manual page and docs/cli.md from the command rows. */
#include "cli/command.h"

enum { LONGEST_NAME = 24, WIDTH = 88 };

static const char overview_tail[] =
    "\n"
    "penstock COMMAND --help shows a command's actions, flags and examples; penstock --version "
    "the\n"
    "version.\n"
    "\n"
    "Commands talk to the server on this machine through its local socket. With --url and an\n"
    "API key in PENSTOCK_KEY they talk to any server.\n";

static bool is_action(const struct pst_command *c)
{
    return strchr(c->name, ' ') != NULL;
}

void pst_help_overview(struct pst_buf *out)
{
    pst_buf_addf(out,
                 "penstock %s: keeps a copy of business systems and serves it over one API\n"
                 "\n"
                 "Usage: penstock COMMAND [ARGUMENTS] [FLAGS]\n"
                 "\n"
                 "Commands:\n",
                 PST_VERSION);
    for (size_t i = 0; pst_commands[i]; i++) {
        if (!is_action(pst_commands[i]))
            pst_buf_addf(out, "  %-14s %s\n", pst_commands[i]->name, pst_commands[i]->summary);
    }
    pst_buf_add_str(out, pst_str_from(overview_tail));
}

void pst_help_group(const char *group, struct pst_buf *out)
{
    size_t len = strlen(group);
    bool is_first = true;
    for (size_t i = 0; pst_commands[i]; i++) {
        const struct pst_command *c = pst_commands[i];
        if (strncmp(c->name, group, len) != 0 || c->name[len] != ' ')
            continue;
        if (is_first)
            pst_buf_add_lit(out, "\nActions:\n");
        is_first = false;
        pst_buf_addf(out, "  %-*s %s\n", LONGEST_NAME, c->name, c->summary);
    }
}

/* Filled to the width, wherever its own lines end. */
static void add_filled(struct pst_buf *out, const char *text)
{
    size_t column = 0;
    for (const char *p = text; *p; p += strspn(p, " \n")) {
        size_t n = strcspn(p, " \n");
        bool fits = column > 0 && column + 1 + n <= WIDTH;
        if (column > 0)
            pst_buf_add_char(out, fits ? ' ' : '\n');
        pst_buf_add(out, p, n);
        column = fits ? column + 1 + n : n;
        p += n;
    }
    pst_buf_add_char(out, '\n');
}

/* What the command is about, where the summary does not say it all. */
static void add_details(const struct pst_command *c, struct pst_buf *out)
{
    if (!c->details)
        return;
    pst_buf_add_char(out, '\n');
    add_filled(out, c->details);
}

static void add_usage(const struct pst_command *c, struct pst_buf *out)
{
    pst_buf_addf(out, "penstock %s%s%s [FLAGS]", c->name, *c->words ? " " : "", c->words);
}

/* The command's own options; those all commands share are described once. */
static struct pst_config_table own_options(const struct pst_command *c)
{
    struct pst_config_table t = *c->table;
    if (t.count >= PST_CLI_OWN && strcmp(t.options[PST_CLI_JSON].name, "json") == 0) {
        t.options += PST_CLI_OWN;
        t.count -= PST_CLI_OWN;
    }
    return t;
}

/* Its own options first, then those that all commands share. */
static void add_options(const struct pst_command *c, struct pst_buf *out)
{
    struct pst_config_table own = own_options(c);
    struct pst_config_table common = *c->table;
    common.count -= own.count;
    if (own.count > 0) {
        pst_buf_add_char(out, '\n');
        pst_config_help(&own, out);
    }
    if (common.count > 0) {
        pst_buf_add_char(out, '\n');
        pst_config_help(&common, out);
    }
}

void pst_help_command(const struct pst_command *c, struct pst_buf *out)
{
    pst_buf_addf(out, "penstock %s: %s\n\nUsage: ", c->name, c->summary);
    add_usage(c, out);
    pst_buf_add_char(out, '\n');
    add_details(c, out);
    pst_help_group(c->name, out);
    if (c->examples)
        pst_buf_add_lit(out, "\nExamples:\n");
    for (const struct pst_example *e = c->examples; e && e->line; e++) {
        if (e->note)
            pst_buf_addf(out, "  # %s\n", e->note);
        pst_buf_addf(out, "  %s\n", e->line);
    }
    add_options(c, out);
}

/* ---- the manual page ---- */

static void add_roff(struct pst_buf *out, const char *text)
{
    bool line_start = true;
    for (const char *p = text; *p; p++) {
        if (line_start && (*p == '.' || *p == '\''))
            pst_buf_add_lit(out, "\\&");
        line_start = *p == '\n';
        if (*p == '\\')
            pst_buf_add_lit(out, "\\e");
        else if (*p == '-')
            pst_buf_add_lit(out, "\\-");
        else
            pst_buf_add_char(out, *p);
    }
}

static void add_man_command(const struct pst_command *c, struct pst_buf *out)
{
    struct pst_config_table own = own_options(c);
    pst_buf_addf(out, ".SS penstock %s%s%s\n", c->name, *c->words ? " " : "", c->words);
    add_roff(out, c->summary);
    pst_buf_add_lit(out, ".\n");
    if (c->details) {
        pst_buf_add_lit(out, ".PP\n");
        add_roff(out, c->details);
        pst_buf_add_char(out, '\n');
    }
    for (const struct pst_example *e = c->examples; e && e->line; e++) {
        pst_buf_add_lit(out, ".PP\n");
        add_roff(out, e->note ? e->note : "Example");
        pst_buf_add_lit(out, ":\n.RS\n.EX\n");
        add_roff(out, e->line);
        pst_buf_add_lit(out, "\n.EE\n.RE\n");
    }
    if (c == &pst_command_serve || own.count == 0)
        return;
    pst_buf_add_lit(out, ".PP\nFlags:\n");
    pst_config_man(&own, out);
}

/* Several codes have one title. */
static bool is_said(int code)
{
    for (int before = 1; before < code; before++) {
        if (pst_code_exit((pst_code)before) == pst_code_exit((pst_code)code) &&
            strcmp(pst_code_title((pst_code)before), pst_code_title((pst_code)code)) == 0)
            return true;
    }
    return false;
}

static void add_exit_statuses(struct pst_buf *out)
{
    for (int status = 1; status < 256; status++) {
        bool is_first = true;
        for (int code = 1; code < PST_CODE_COUNT; code++) {
            if (pst_code_exit((pst_code)code) != status || is_said(code))
                continue;
            if (is_first)
                pst_buf_addf(out, ".TP\n.B %d\n", status);
            pst_buf_addf(out, "%s%s", is_first ? "" : "; ", pst_code_title((pst_code)code));
            is_first = false;
        }
        if (!is_first)
            pst_buf_add_lit(out, ".\n");
    }
}

void pst_help_man(struct pst_buf *out)
{
    pst_buf_addf(out, ".TH PENSTOCK 1 \"\" \"Penstock %s\" \"Penstock\"\n", PST_VERSION);
    pst_buf_add_lit(out, ".SH NAME\npenstock \\- keeps a copy of business systems and serves it "
                         "over one API\n"
                         ".SH SYNOPSIS\n.B penstock\n.I COMMAND\n[ARGUMENTS] [FLAGS]\n"
                         ".SH COMMANDS\n");
    for (size_t i = 0; pst_commands[i]; i++)
        add_man_command(pst_commands[i], out);
    pst_buf_add_lit(out, ".SH COMMON FLAGS\nEvery command but serve and help takes these.\n");
    static const struct pst_config_option common[] = {PST_CLI_COMMON_OPTIONS};
    const struct pst_config_table table = {.program = "penstock",
                                           .env_prefix = "PENSTOCK_",
                                           .options = common,
                                           .count = PST_COUNT(common)};
    pst_config_man(&table, out);
    pst_buf_add_lit(out,
                    ".SH CONFIGURATION\nThe server's options. Each is a flag of penstock serve, a "
                    "variable of the environment, and a line of penstock.yaml with the flag's name "
                    "and underscores: data_dir: /srv/penstock. A flag beats the environment, the "
                    "environment beats the file.\n");
    pst_config_man(&pst_options, out);
    pst_buf_add_lit(out, ".SH EXIT STATUS\n.TP\n.B 0\nSuccess.\n");
    add_exit_statuses(out);
    pst_buf_add_lit(out,
                    ".SH FILES\n.TP\n.I /etc/penstock/penstock.yaml\nConfiguration.\n.TP\n.I "
                    "/var/lib/penstock\nThe store, the root key and the local socket.\n.PP\n"
                    "Of a user other than root: ~/.config/penstock/penstock.yaml (or under "
                    "XDG_CONFIG_HOME), where it is there, and ~/.local/state/penstock (or under "
                    "XDG_STATE_HOME).\n");
}

/* ---- docs/cli.md ---- */

static void add_markdown_command(const struct pst_command *c, struct pst_buf *out)
{
    struct pst_config_table own = own_options(c);
    pst_buf_addf(out, "\n## penstock %s\n\n", c->name);
    pst_buf_addf(out, "%s.\n\n```\n", c->summary);
    add_usage(c, out);
    pst_buf_add_lit(out, "\n```\n");
    add_details(c, out);
    if (c->examples)
        pst_buf_add_lit(out, "\n```sh\n");
    for (const struct pst_example *e = c->examples; e && e->line; e++)
        pst_buf_addf(out, "%s%s%s%s\n", e->note ? "# " : "", e->note ? e->note : "",
                     e->note ? "\n" : "", e->line);
    if (c->examples)
        pst_buf_add_lit(out, "```\n");
    if (c != &pst_command_serve && own.count > 0) {
        pst_buf_add_lit(out, "\n```\n");
        pst_config_help(&own, out);
        pst_buf_add_lit(out, "```\n");
    }
}

void pst_help_markdown(struct pst_buf *out)
{
    pst_buf_add_lit(out, "# Commands\n\nThe options of `penstock serve` are in "
                         "[configuration.md](configuration.md).\n");
    for (size_t i = 0; pst_commands[i]; i++)
        add_markdown_command(pst_commands[i], out);
}
