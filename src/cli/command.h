/* cli/command.h: what a command is. One cmd_<name>.c per command defines its row (or rows, for
 * commands with actions such as `connections list`); commands.c lists them all. Dispatch,
 * --help, the manual page and docs/cli.md come from these rows.
 *
 * Output. Results go to standard output, as text for people or, with --json, as JSON (what the
 * API answered, unchanged, where there is such an answer). Everything else (progress, notes,
 * errors) goes to standard error. Exit statuses are those of errors.def.
 */
#ifndef PST_CLI_COMMAND_H
#define PST_CLI_COMMAND_H

#include "base/arena.h"
#include "config/options.h"

struct pst_client;

/* One run of a command. Everything lives until the command has returned. */
struct pst_cli {
    const struct pst_command *command;
    struct pst_config *options; /* of the command's own table */
    const pst_str *words; /* arguments that are no flags */
    size_t word_count;
    const char *const *args; /* as given, after the command's name */
    size_t arg_count;
    const char *const *env;
    struct pst_arena *arena;
    bool json; /* --json */
    pst_str cache_control; /* header to send along, or "" */
    bool is_stale; /* an answer was the stored copy, since the system is away; the oldest one is */
    int64_t age_s; /* that old */
    struct pst_client *client; /* opened by the first call of the API */
};

struct pst_example {
    const char *line; /* what to type */
    const char *note; /* what it does; NULL where the line says it */
};

struct pst_command {
    const char *name; /* "sync", or two words: "connections get" */
    const char *words; /* "CONNECTION [RECORD]", "" where there are none */
    size_t min_words, max_words;
    const char *summary; /* one line, no full stop */
    const char *details; /* a paragraph, filled where it is shown; or NULL */
    const struct pst_config_table *table;
    const struct pst_example *examples; /* the last one has line NULL */
    pst_code (*run)(struct pst_cli *cli, struct pst_err *err);
};

/* The options that every command which talks to a server begins its table with, in this order;
 * its own follow from PST_CLI_OWN on. */
enum {
    PST_CLI_JSON,
    PST_CLI_CONFIG,
    PST_CLI_DATA_DIR,
    PST_CLI_URL,
    PST_CLI_KEY,
    PST_CLI_ORGANIZATION,
    PST_CLI_RETRY,
    PST_CLI_OWN,
};
/* clang-format off */
#define PST_CLI_COMMON_OPTIONS                                                                     \
    {.name = "json", .type = PST_CONFIG_BOOL, .flags = PST_CONFIG_FLAG_ONLY, .group = "Common",    \
     .help = "Print JSON instead of text."},                                                       \
    {.name = "config", .type = PST_CONFIG_STRING, .max = 4000, .flags = PST_CONFIG_FLAG_ONLY,      \
     .arg = "FILE", .group = "Common", .help = "The server's configuration file, to find its data."}, \
    {.name = "data_dir", .type = PST_CONFIG_STRING, .max = 4000, .arg = "DIR", .group = "Common",  \
     .help = "The data directory of the server to talk to; its socket penstock.sock is used."},    \
    {.name = "url", .type = PST_CONFIG_STRING, .max = 2000, .arg = "URL", .group = "Common",       \
     .help = "Talk to a server at this address (https://penstock.example.com) instead of the "     \
             "local socket; needs PENSTOCK_KEY."},                                                 \
    {.name = "key", .type = PST_CONFIG_STRING, .max = 200, .flags = PST_CONFIG_SECRET,             \
     .arg = "KEY", .group = "Common", .help = "The API key, or connection token, to use with --url."},                   \
    {.name = "organization", .type = PST_CONFIG_STRING, .max = 200, .arg = "ORG",                  \
     .group = "Common",                                                                            \
     .help = "Id or name of the organization, where the server has more than one."},               \
    {.name = "retry", .type = PST_CONFIG_BOOL, .value = "true", .group = "Common",                 \
     .help = "Try again, up to a minute long, when the server asks to come back later."}

/* The table of a command: PST_CLI_TABLE(table, {own option}, ...); */
#define PST_CLI_TABLE(name_, ...)                                                                  \
    static const struct pst_config_option name_##_rows[] = {PST_CLI_COMMON_OPTIONS, __VA_ARGS__};         \
    static const struct pst_config_table name_ = {.program = "penstock",                           \
                                                  .env_prefix = "PENSTOCK_",                       \
                                                  .options = name_##_rows,                         \
                                                  .count = PST_COUNT(name_##_rows)}
/* clang-format on */

/* All commands in the order of the help; the last entry is NULL. */
extern const struct pst_command *const pst_commands[];

/* The command that the first one or two of `args` name, and how many words that took.
 * NULL when there is none. */
const struct pst_command *pst_command_find(const char *const *args, size_t count, size_t *taken);

/* ---- help.c ---- */

void pst_help_overview(struct pst_buf *out);
void pst_help_command(const struct pst_command *command, struct pst_buf *out);
void pst_help_group(const char *group, struct pst_buf *out); /* the actions of "connections" */
void pst_help_man(struct pst_buf *out); /* penstock(1) */
void pst_help_markdown(struct pst_buf *out); /* docs/cli.md */

extern const struct pst_command pst_command_serve;
extern const struct pst_command pst_command_connect;
extern const struct pst_command pst_command_connections;
extern const struct pst_command pst_command_connections_get;
extern const struct pst_command pst_command_connections_update;
extern const struct pst_command pst_command_connections_delete;
extern const struct pst_command pst_command_connections_test;
extern const struct pst_command pst_command_connections_history;
extern const struct pst_command pst_command_organizations;
extern const struct pst_command pst_command_organizations_create;
extern const struct pst_command pst_command_organizations_update;
extern const struct pst_command pst_command_credits;
extern const struct pst_command pst_command_sync;
extern const struct pst_command pst_command_status;
extern const struct pst_command pst_command_records;
extern const struct pst_command pst_command_changes;
extern const struct pst_command pst_command_webhooks;
extern const struct pst_command pst_command_webhooks_show;
extern const struct pst_command pst_command_webhooks_create;
extern const struct pst_command pst_command_webhooks_update;
extern const struct pst_command pst_command_webhooks_delete;
extern const struct pst_command pst_command_webhooks_rotate_secret;
extern const struct pst_command pst_command_webhooks_test;
extern const struct pst_command pst_command_webhooks_deliveries;
extern const struct pst_command pst_command_webhooks_attempts;
extern const struct pst_command pst_command_webhooks_resend;
extern const struct pst_command pst_command_webhooks_listen;
extern const struct pst_command pst_command_tail;
extern const struct pst_command pst_command_keys;
extern const struct pst_command pst_command_keys_create;
extern const struct pst_command pst_command_keys_revoke;
extern const struct pst_command pst_command_keys_rotate_root;
extern const struct pst_command pst_command_keys_rotate_data;
extern const struct pst_command pst_command_diagnose;
extern const struct pst_command pst_command_incidents;
extern const struct pst_command pst_command_incidents_open;
extern const struct pst_command pst_command_incidents_update;
extern const struct pst_command pst_command_incidents_close;
extern const struct pst_command pst_command_doctor;
extern const struct pst_command pst_command_backup;
extern const struct pst_command pst_command_restore;
extern const struct pst_command pst_command_help;

#endif
