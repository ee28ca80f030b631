/* cli/settings.h: the flags by which connect and `connections update` set up a connection, and
 * their JSON.
 *
 * Values of --set and passwords never come from the command line's arguments when they are
 * secret: a password is asked for, or read from a file or standard input.
 */
#ifndef PST_CLI_SETTINGS_H
#define PST_CLI_SETTINGS_H

#include "cli/command.h"
#include "codec/json.h"

enum {
    PST_SETTINGS_NAME = PST_CLI_OWN,
    PST_SETTINGS_BASE_URL,
    PST_SETTINGS_TIME_ZONE,
    PST_SETTINGS_SET,
    PST_SETTINGS_USERNAME,
    PST_SETTINGS_PASSWORD_FILE,
    PST_SETTINGS_PASSWORD,
    PST_SETTINGS_ASK_PASSWORD,
    PST_SETTINGS_SCHEDULE,
    PST_SETTINGS_HISTORY_DAYS,
    PST_SETTINGS_ENTITIES,
    PST_SETTINGS_METADATA,
    PST_SETTINGS_END,
    PST_SETTINGS_COUNT = PST_SETTINGS_END - PST_CLI_OWN,
};

/* clang-format off */
#define PST_SETTINGS_FLAG(name_, letter_, type_, max_, arg_, help_)                                \
    {.name = (name_), .letter = (letter_), .type = (type_), .max = (max_),                         \
     .flags = PST_CONFIG_FLAG_ONLY, .arg = (arg_), .group = "Connection", .help = (help_)}
#define PST_SETTINGS_PAIRS(name_, letter_, max_, help_)                                            \
    {.name = (name_), .letter = (letter_), .type = PST_CONFIG_LIST, .max = (max_), .arg = "KEY=VALUE", \
     .flags = PST_CONFIG_FLAG_ONLY | PST_CONFIG_WHOLE, .group = "Connection", .help = (help_)}
#define PST_SETTINGS_OPTIONS                                                                       \
    PST_SETTINGS_FLAG("name", 'n', PST_CONFIG_STRING, 200, "NAME", "What the connection is called."), \
    PST_SETTINGS_FLAG("base_url", 0, PST_CONFIG_STRING, 2000, "URL",                               \
                      "Address of the system: https://ps.example.com:8443."),                      \
    PST_SETTINGS_FLAG("time_zone", 0, PST_CONFIG_STRING, 64, "ZONE",                               \
                      "Time zone of the system's times (America/New_York). Default when new: UTC."), \
    PST_SETTINGS_PAIRS("set", 0, 256,                                                              \
                       "A further option of the connector; KEY:=JSON for numbers, lists and "      \
                       "objects. May be repeated."),                                               \
    PST_SETTINGS_FLAG("username", 'u', PST_CONFIG_STRING, 200, "USER", "User to sign on with."),   \
    PST_SETTINGS_FLAG("password_file", 0, PST_CONFIG_STRING, 4000, "FILE",                         \
                      "Read the password from the first line of this file; - is standard input."), \
    {.name = "password", .type = PST_CONFIG_STRING, .max = 1000, .flags = PST_CONFIG_SECRET,       \
     .arg = "PASSWORD", .group = "Connection", .help = "The password, where no file and no terminal are at hand."}, \
    PST_SETTINGS_FLAG("ask_password", 0, PST_CONFIG_BOOL, 0, NULL, "Ask for the password."),       \
    PST_SETTINGS_FLAG("schedule", 's', PST_CONFIG_STRING, 200, "SCHEDULE",                         \
                      "How often to sync: an interval (5m), a cron expression with a zone "        \
                      "('0 6 * * * Europe/Berlin'), or manual. Default when new: 15m."),           \
    PST_SETTINGS_FLAG("history_days", 0, PST_CONFIG_STRING, 8, "DAYS",                             \
                      "How many days back transactions are read; 0 is everything. Default when "   \
                      "new: 90."),                                                                 \
    PST_SETTINGS_FLAG("entities", 'e', PST_CONFIG_LIST, 64, "ENTITY,...",                          \
                      "Which entities to sync. Default when new: all of them."),                   \
    PST_SETTINGS_PAIRS("metadata", 'm', 64,                                                        \
                       "A text of your own to keep with the connection. May be repeated.")
/* clang-format on */

enum pst_settings_use {
    PST_SETTINGS_CREATE, /* asks for a password when a user was named without one */
    PST_SETTINGS_CHANGE, /* only what was given; config is sent as the changed members */
};

/* Members of the request's object for what was given: name, config, credentials, schedule,
 * history_days, entities, metadata. Errors: INVALID, and those of reading a password. */
pst_code pst_settings_put(struct pst_cli *cli, struct pst_json_writer *w, enum pst_settings_use use,
                          struct pst_err *err);

/* Run the connection's test: what the server answers. */
struct pst_reply;
pst_code pst_ask_test(struct pst_cli *cli, pst_str id, struct pst_reply *out, struct pst_err *err);
/* The same, and print its findings. Errors: also that of the first failed check. */
pst_code pst_test_connection(struct pst_cli *cli, pst_str id, struct pst_err *err);

/* Of a sync-status: the error of the first entity whose last sync failed, or NULL. */
yyjson_val *pst_connection_error(yyjson_val *sync_status);
/* Ask for it, and add "message (CODE)"; nothing where there is none. */
void pst_connection_failure(struct pst_cli *cli, pst_str id, struct pst_buf *out);

#endif
