/* cli/settings.c: flags of a connection to JSON. */
#include "cli/settings.h"

#include "base/num.h"
#include "cli/terminal.h"
#include "crypto/crypto.h"

static bool is_given(const struct pst_cli *cli, size_t option)
{
    return pst_config_source(cli->options, option) != PST_FROM_DEFAULT;
}

/* "key=text" as a string member, "key:=json" as what it says. */
static pst_code put_pair(struct pst_cli *cli, struct pst_json_writer *w, pst_str pair,
                         const char *flag, struct pst_err *err)
{
    yyjson_doc *doc = NULL;
    size_t at = pst_str_index(pair, '=');
    bool is_json = at > 0 && at < pair.len && pair.ptr[at - 1] == ':';
    pst_str key = pst_str_sub(pair, 0, is_json ? at - 1 : at);
    pst_str value = pst_str_sub(pair, at + 1, pair.len);
    if (at == pair.len || key.len == 0)
        return PST_FAIL(err, PST_E_INVALID, "flag --%s: '%.*s' is not KEY=VALUE or KEY:=JSON", flag,
                        PST_STR_ARG(pair));
    pst_json_put_name(w, key);
    if (!is_json) {
        pst_json_put_str(w, value);
        return PST_OK;
    }
    if (pst_json_read(value, NULL, cli->arena, &doc, err) != PST_OK)
        return pst_err_wrap(err, "flag --%s, %.*s", flag, PST_STR_ARG(key));
    pst_json_put_val(w, yyjson_doc_get_root(doc));
    return PST_OK;
}

static pst_code put_pairs(struct pst_cli *cli, struct pst_json_writer *w, size_t option,
                          const char *flag, struct pst_err *err)
{
    const pst_str *items = NULL;
    size_t count = pst_config_list(cli->options, option, &items);
    for (size_t i = 0; i < count; i++)
        PST_TRY(put_pair(cli, w, items[i], flag, err));
    return PST_OK;
}

static pst_code put_config(struct pst_cli *cli, struct pst_json_writer *w,
                           enum pst_settings_use use, struct pst_err *err)
{
    if (use != PST_SETTINGS_CREATE && !is_given(cli, PST_SETTINGS_BASE_URL) &&
        !is_given(cli, PST_SETTINGS_TIME_ZONE) && !is_given(cli, PST_SETTINGS_SET))
        return PST_OK;
    pst_json_add_object(w, "config");
    if (is_given(cli, PST_SETTINGS_BASE_URL))
        pst_json_add_str(w, "base_url", pst_config_str(cli->options, PST_SETTINGS_BASE_URL));
    if (is_given(cli, PST_SETTINGS_TIME_ZONE))
        pst_json_add_str(w, "time_zone", pst_config_str(cli->options, PST_SETTINGS_TIME_ZONE));
    PST_TRY(put_pairs(cli, w, PST_SETTINGS_SET, "set", err));
    pst_json_end_object(w);
    return PST_OK;
}

static pst_code read_password(struct pst_cli *cli, enum pst_settings_use use,
                              struct pst_secret **out, struct pst_err *err)
{
    pst_str file = pst_config_str(cli->options, PST_SETTINGS_PASSWORD_FILE);
    pst_str text = pst_config_str(cli->options, PST_SETTINGS_PASSWORD);
    bool ask = pst_config_bool(cli->options, PST_SETTINGS_ASK_PASSWORD);
    if (file.len > 0)
        return pst_terminal_secret_file(out, file.ptr, err);
    if (!ask && text.len > 0)
        return pst_secret_new(out, text, err);
    if (ask || (use == PST_SETTINGS_CREATE && is_given(cli, PST_SETTINGS_USERNAME)))
        return pst_terminal_password(out, "Password: ", err);
    return PST_OK;
}

static pst_code put_credentials(struct pst_cli *cli, struct pst_json_writer *w,
                                enum pst_settings_use use, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *password = NULL;
    PST_TRY(read_password(cli, use, &password, err));
    if (!password && !is_given(cli, PST_SETTINGS_USERNAME))
        return PST_OK;
    pst_json_add_object(w, "credentials");
    if (is_given(cli, PST_SETTINGS_USERNAME))
        pst_json_add_str(w, "username", pst_config_str(cli->options, PST_SETTINGS_USERNAME));
    if (password)
        pst_json_add_str(w, "password", pst_secret_expose(password));
    pst_json_end_object(w);
    return PST_OK;
}

static pst_code put_history_days(struct pst_cli *cli, struct pst_json_writer *w,
                                 struct pst_err *err)
{
    int64_t days = 0;
    pst_str text = pst_config_str(cli->options, PST_SETTINGS_HISTORY_DAYS);
    if (text.len == 0)
        return PST_OK;
    if (!pst_parse_i64(&days, text, 0, 36500))
        return PST_FAIL_AT(err, PST_E_INVALID, "history_days",
                           "flag --history-days: '%.*s' is not a number of days from 0 to 36500",
                           PST_STR_ARG(text));
    pst_json_add_i64(w, "history_days", days);
    return PST_OK;
}

static void put_entities(struct pst_cli *cli, struct pst_json_writer *w)
{
    const pst_str *items = NULL;
    size_t count = pst_config_list(cli->options, PST_SETTINGS_ENTITIES, &items);
    if (!is_given(cli, PST_SETTINGS_ENTITIES))
        return;
    pst_json_add_array(w, "entities");
    for (size_t i = 0; i < count; i++)
        pst_json_put_str(w, items[i]);
    pst_json_end_array(w);
}

pst_code pst_settings_put(struct pst_cli *cli, struct pst_json_writer *w, enum pst_settings_use use,
                          struct pst_err *err)
{
    if (is_given(cli, PST_SETTINGS_NAME))
        pst_json_add_str(w, "name", pst_config_str(cli->options, PST_SETTINGS_NAME));
    PST_TRY(put_config(cli, w, use, err));
    PST_TRY(put_credentials(cli, w, use, err));
    if (is_given(cli, PST_SETTINGS_SCHEDULE))
        pst_json_add_str(w, "schedule", pst_config_str(cli->options, PST_SETTINGS_SCHEDULE));
    PST_TRY(put_history_days(cli, w, err));
    put_entities(cli, w);
    if (is_given(cli, PST_SETTINGS_METADATA)) {
        pst_json_add_object(w, "metadata");
        PST_TRY(put_pairs(cli, w, PST_SETTINGS_METADATA, "metadata", err));
        pst_json_end_object(w);
    }
    return PST_OK;
}
