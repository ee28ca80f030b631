/* cli/webhooks.h: what the commands about webhooks share: naming one, the flags that set one up,
 * and words about one that is in trouble.
 *
 * Thread-safety: main thread.
 */
#ifndef PST_CLI_WEBHOOKS_H
#define PST_CLI_WEBHOOKS_H

#include "cli/client.h"
#include "cli/command.h"
#include "crypto/crypto.h"

/* Begin a target of the webhook that word names: its id, or its URL or description where that is
 * unique; the empty word is the only one there is. connection: "" for /v1/webhooks/<id>, else
 * below that connection. *out_id may be NULL. Errors: NOT_FOUND, INVALID, CONFLICT. */
pst_code pst_webhook_target(struct pst_cli *cli, pst_str word, pst_str connection,
                            struct pst_target *t, pst_str *out_id, struct pst_err *err);

/* A time as a flag has it: RFC 3339 as it is, or "2h" for two hours ago. Errors: INVALID. */
pst_code pst_cli_time(struct pst_cli *cli, const char *flag, pst_str text, pst_str *out,
                      struct pst_err *err);

/* The secret of option `file` (the first line of that file), else of option `text` (from the
 * environment); *out NULL where neither is given. */
pst_code pst_webhook_secret(struct pst_cli *cli, size_t file, size_t text, struct pst_secret **out,
                            struct pst_err *err);

/* What is wrong with a webhook (as the API has it) and what to do, one line without its end;
 * nothing where it is well or was switched off on purpose. */
void pst_webhook_advice(struct pst_buf *out, yyjson_val *webhook);

/* ---- flags of `webhooks create` and `webhooks update` ---- */

enum {
    PST_WEBHOOK_CONNECTION = PST_CLI_OWN,
    PST_WEBHOOK_EVENTS,
    PST_WEBHOOK_DESCRIPTION,
    PST_WEBHOOK_ENABLED,
    PST_WEBHOOK_ORDERED,
    PST_WEBHOOK_RATE_LIMIT,
    PST_WEBHOOK_TIMEOUT,
    PST_WEBHOOK_RETRY_FOR,
    PST_WEBHOOK_HEADER,
    PST_WEBHOOK_END,
};

/* clang-format off */
#define PST_WEBHOOK_FLAG(name_, letter_, type_, max_, arg_, help_)                                 \
    {.name = (name_), .letter = (letter_), .type = (type_), .max = (max_),                         \
     .flags = PST_CONFIG_FLAG_ONLY, .arg = (arg_), .group = "Webhook", .help = (help_)}
#define PST_WEBHOOK_SWITCH(name_, default_, choices_, help_)                                       \
    {.name = (name_), .type = PST_CONFIG_ENUM, .value = (default_), .choices = (choices_),         \
     .flags = PST_CONFIG_FLAG_ONLY, .arg = "YES", .group = "Webhook", .help = (help_)}
/* The switches' default and choices ("yes", "yes|no" to create, "unchanged", ... to change), and
 * words that differ. */
#define PST_WEBHOOK_OPTIONS(default_, choices_, connection_, events_, enabled_)                    \
    PST_WEBHOOK_FLAG("connection", 'c', PST_CONFIG_STRING, 200, "CONNECTION", connection_),        \
    PST_WEBHOOK_FLAG("events", 'e', PST_CONFIG_LIST, 50, "TYPE,...", events_),                     \
    PST_WEBHOOK_FLAG("description", 'd', PST_CONFIG_STRING, 1000, "TEXT",                          \
                     "What it is for, to recognise it in lists."),                                 \
    PST_WEBHOOK_SWITCH("enabled", default_, choices_, enabled_),                                   \
    PST_WEBHOOK_SWITCH("ordered", default_, choices_,                                              \
                       "yes: in the order of events, one at a time per connection; no: each for "  \
                       "itself, side by side."),                                                   \
    PST_WEBHOOK_FLAG("rate_limit", 0, PST_CONFIG_STRING, 8, "N",                                   \
                     "At most so many deliveries a second; `none` lifts the limit."),              \
    PST_WEBHOOK_FLAG("timeout", 0, PST_CONFIG_STRING, 16, "TIME",                                  \
                     "How long the receiver may take for its answer: 1s to 30s. Default when "     \
                     "new: 10s."),                                                                 \
    PST_WEBHOOK_FLAG("retry_for", 0, PST_CONFIG_STRING, 16, "TIME",                                \
                     "How long an event is tried: 1h to 7d. Default when new: 24h."),              \
    {.name = "header", .letter = 'H', .type = PST_CONFIG_LIST, .max = 20, .arg = "NAME=VALUE",     \
     .flags = PST_CONFIG_FLAG_ONLY | PST_CONFIG_WHOLE, .group = "Webhook",                         \
     .help = "A header to send along; NAME=@FILE takes the first line of a file, so that nobody "  \
             "sees it here, NAME= removes it. May be repeated."}
/* clang-format on */

/* Members of the request's object for what was given; with is_choice `--events default` is null. */
pst_code pst_webhook_put(struct pst_cli *cli, struct pst_json_writer *w, bool is_choice,
                         struct pst_err *err);

#endif
