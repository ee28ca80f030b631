/* cli/webhooks.c: naming webhooks, and their flags as JSON. */
#include "cli/webhooks.h"

#include "base/num.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "os/clock.h"

enum { LIST_MAX = 1000, NAMES_SHOWN = 10 };

/* ---- naming one ---- */

static pst_code refuse_choice(pst_str word, yyjson_val *const *found, size_t count,
                              struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf list = {.max = 4096};
    for (size_t i = 0; i < count && i < NAMES_SHOWN; i++)
        pst_buf_addf(&list, "%s%.*s", i ? ", " : "", PST_STR_ARG(pst_value_str(found[i], "id")));
    if (count > NAMES_SHOWN)
        pst_buf_add_lit(&list, ", ...");
    if (word.len == 0)
        return PST_FAIL(err, PST_E_INVALID, "say which webhook: %.*s",
                        PST_STR_ARG(pst_buf_str(&list)));
    return PST_FAIL(err, PST_E_CONFLICT, "several webhooks are meant by '%.*s': %.*s",
                    PST_STR_ARG(word), PST_STR_ARG(pst_buf_str(&list)));
}

static bool is_meant(yyjson_val *webhook, pst_str word)
{
    return word.len == 0 || pst_str_eq(pst_value_str(webhook, "url"), word) ||
           pst_str_eq(pst_value_str(webhook, "description"), word);
}

static pst_code find_webhook(struct pst_cli *cli, pst_str word, pst_str *out, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    yyjson_val **items = NULL;
    size_t count = 0;
    size_t found = 0;
    *out = word;
    if (pst_id_parse(NULL, "whk_", word))
        return PST_OK;
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("webhooks"));
    PST_TRY(pst_client_list(cli, &target, LIST_MAX, &items, &count, err));
    for (size_t i = 0; i < count; i++)
        if (is_meant(items[i], word))
            items[found++] = items[i];
    if (found == 0 && word.len == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND,
                        "there is no webhook yet: penstock webhooks create URL");
    if (found == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND,
                        "there is no webhook '%.*s' (see `penstock webhooks`)", PST_STR_ARG(word));
    if (found > 1)
        return refuse_choice(word, items, found, err);
    *out = pst_value_str(items[0], "id");
    return PST_OK;
}

pst_code pst_webhook_target(struct pst_cli *cli, pst_str word, pst_str connection,
                            struct pst_target *t, pst_str *out_id, struct pst_err *err)
{
    pst_str id = {NULL, 0};
    PST_TRY(find_webhook(cli, word, &id, err));
    if (connection.len)
        PST_TRY(pst_client_connection_target(cli, connection, t, err));
    pst_target_add(t, PST_STR("webhooks"));
    pst_target_add(t, id);
    if (out_id)
        *out_id = id;
    return PST_OK;
}

/* ---- flags ---- */

pst_code pst_cli_time(struct pst_cli *cli, const char *flag, pst_str text, pst_str *out,
                      struct pst_err *err)
{
    pst_wall at = PST_WALL_NONE;
    int64_t ago_ms = 0;
    char shown[PST_WALL_TEXT];
    if (pst_parse_duration_ms(&ago_ms, text))
        at.us = pst_wall_now().us - ago_ms * 1000;
    else if (!pst_wall_parse(&at, text))
        return PST_FAIL(err, PST_E_INVALID,
                        "flag --%s: '%.*s' is neither a time (2026-11-24T06:30:00Z) nor how long "
                        "ago (2h)",
                        flag, PST_STR_ARG(text));
    size_t len = pst_wall_format(shown, at);
    return pst_arena_dup(cli->arena, out, (pst_str){shown, len}, err);
}

pst_code pst_webhook_secret(struct pst_cli *cli, size_t file, size_t text, struct pst_secret **out,
                            struct pst_err *err)
{
    pst_str path = pst_config_str(cli->options, file);
    pst_str secret = pst_config_str(cli->options, text);
    *out = NULL;
    if (path.len)
        return pst_terminal_secret_file(out, path.ptr, err);
    return secret.len ? pst_secret_new(out, secret, err) : PST_OK;
}

static bool is_given(const struct pst_cli *cli, size_t option)
{
    return pst_config_source(cli->options, option) != PST_FROM_DEFAULT;
}

static void put_switch(struct pst_cli *cli, struct pst_json_writer *w, const char *name,
                       size_t option)
{
    pst_str value = pst_config_str(cli->options, option);
    if (is_given(cli, option) && !pst_str_is(value, "unchanged"))
        pst_json_add_bool(w, name, pst_str_is(value, "yes"));
}

static pst_code put_header(struct pst_json_writer *w, pst_str pair, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *from_file = NULL;
    size_t at = pst_str_index(pair, '=');
    pst_str value = pst_str_sub(pair, at + 1, pair.len);
    if (at == pair.len || at == 0)
        return PST_FAIL(err, PST_E_INVALID, "flag --header: '%.*s' is not NAME=VALUE",
                        PST_STR_ARG(pst_str_sub(pair, 0, at)));
    if (value.len > 1 && value.ptr[0] == '@') {
        PST_TRY(pst_terminal_secret_file(&from_file, value.ptr + 1, err));
        value = pst_secret_expose(from_file);
    }
    pst_json_put_name(w, pst_str_sub(pair, 0, at));
    if (value.len)
        pst_json_put_str(w, value);
    else
        pst_json_put_null(w);
    return PST_OK;
}

static pst_code put_rate_limit(struct pst_cli *cli, struct pst_json_writer *w, struct pst_err *err)
{
    pst_str text = pst_config_str(cli->options, PST_WEBHOOK_RATE_LIMIT);
    int64_t limit = 0;
    if (!is_given(cli, PST_WEBHOOK_RATE_LIMIT))
        return PST_OK;
    if (pst_str_is(text, "none")) {
        pst_json_add_null(w, "rate_limit");
        return PST_OK;
    }
    if (!pst_parse_i64(&limit, text, 1, 10000))
        return PST_FAIL_AT(err, PST_E_INVALID, "rate_limit",
                           "flag --rate-limit: '%.*s' is neither a number from 1 to 10000 nor none",
                           PST_STR_ARG(text));
    pst_json_add_i64(w, "rate_limit", limit);
    return PST_OK;
}

static void put_events(struct pst_cli *cli, struct pst_json_writer *w, bool is_choice)
{
    const pst_str *items = NULL;
    size_t count = pst_config_list(cli->options, PST_WEBHOOK_EVENTS, &items);
    if (!is_given(cli, PST_WEBHOOK_EVENTS))
        return;
    if (is_choice && count == 1 && pst_str_is(items[0], "default")) {
        pst_json_add_null(w, "events");
        return;
    }
    if (count == 1 && pst_str_is(items[0], "none"))
        count = 0;
    pst_json_add_array(w, "events");
    for (size_t i = 0; i < count; i++)
        pst_json_put_str(w, items[i]);
    pst_json_end_array(w);
}

pst_code pst_webhook_put(struct pst_cli *cli, struct pst_json_writer *w, bool is_choice,
                         struct pst_err *err)
{
    static const struct {
        size_t option;
        const char *name;
    } texts[] = {{PST_WEBHOOK_DESCRIPTION, "description"},
                 {PST_WEBHOOK_TIMEOUT, "timeout"},
                 {PST_WEBHOOK_RETRY_FOR, "retry_for"}};
    const pst_str *headers = NULL;
    size_t count = pst_config_list(cli->options, PST_WEBHOOK_HEADER, &headers);
    for (size_t i = 0; i < PST_COUNT(texts); i++)
        if (is_given(cli, texts[i].option))
            pst_json_add_str(w, texts[i].name, pst_config_str(cli->options, texts[i].option));
    put_events(cli, w, is_choice);
    put_switch(cli, w, "enabled", PST_WEBHOOK_ENABLED);
    put_switch(cli, w, "ordered", PST_WEBHOOK_ORDERED);
    PST_TRY(put_rate_limit(cli, w, err));
    if (count == 0)
        return PST_OK;
    pst_json_add_object(w, "headers");
    for (size_t i = 0; i < count; i++)
        PST_TRY(put_header(w, headers[i], err));
    pst_json_end_object(w);
    return PST_OK;
}

/* ---- words about trouble ---- */

static void add_ago(struct pst_buf *out, yyjson_val *webhook, const char *path)
{
    pst_value_text(out, pst_value_at(webhook, path), PST_COLUMN_AGO);
}

void pst_webhook_advice(struct pst_buf *out, yyjson_val *webhook)
{
    pst_str status = pst_value_str(webhook, "status");
    pst_str error = pst_value_str(webhook, "last_error");
    pst_str id = pst_value_str(webhook, "id");
    bool is_gone = pst_str_is(pst_value_str(webhook, "disabled_reason"), "gone");
    if (pst_str_is(status, "disabled")) {
        pst_buf_add_lit(out, "disabled ");
        add_ago(out, webhook, "disabled_at");
        pst_buf_add_str(out, is_gone ? PST_STR(": the receiver said it is gone for good (410)")
                                     : PST_STR(": it failed for 3 days"));
        pst_buf_addf(out,
                     "; what waits is held. Mend the receiver, then: penstock webhooks update "
                     "%.*s --enabled yes",
                     PST_STR_ARG(id));
        return;
    }
    if (!pst_str_is(status, "failing") && !pst_str_is(status, "paused"))
        return;
    pst_buf_add_lit(out, "fails, first ");
    add_ago(out, webhook, "failing_since");
    if (error.len) {
        pst_buf_add_lit(out, ": ");
        pst_terminal_clean(out, error, 200);
    }
    if (pst_str_is(status, "paused")) {
        pst_buf_add_lit(out, "; tried again ");
        add_ago(out, webhook, "next_attempt_at");
    } else {
        pst_buf_add_lit(out, "; it is tried again by itself");
    }
    pst_buf_addf(out, ". Try it out: penstock webhooks test %.*s", PST_STR_ARG(id));
}
