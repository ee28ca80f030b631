/* cli/client.c: how commands reach a server. */
#include "cli/client.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/num.h"
#include "cli/output.h"
#include "cli/retry.h"
#include "codec/percent.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/rand.h"

enum {
    CALL_MS = 60000,
    CLIENT_BYTES = 64 << 10,
    MESSAGE_MAX = 400,
    PAGE_LIMIT = 500,
};

struct pst_client {
    struct pst_http *http;
    struct pst_arena *arena; /* owns the texts below; calls may come with arenas of their own */
    pst_str base; /* "http://localhost", or --url */
    pst_str socket; /* "" with --url */
    struct pst_secret *authorization; /* "Bearer psk_...", or NULL */
    bool is_token; /* it is a connection's token, which sees no list of connections */
    pst_str organization; /* id to send along, or "" */
};

void pst_client_free(struct pst_client *client)
{
    if (!client)
        return;
    pst_http_free(client->http);
    pst_secret_free(client->authorization);
    pst_arena_free(client->arena);
    pst_free(client);
}

void pst_target_init(struct pst_target *t)
{
    pst_buf_init(&t->text, PST_TARGET_BYTES);
    pst_buf_add_lit(&t->text, "/v1");
    t->has_query = false;
}

void pst_target_fini(struct pst_target *t)
{
    pst_buf_fini(&t->text);
}

void pst_target_add(struct pst_target *t, pst_str segment)
{
    pst_buf_add_char(&t->text, '/');
    pst_percent_encode(&t->text, segment);
}

void pst_target_query(struct pst_target *t, const char *name, pst_str value)
{
    if (value.len == 0)
        return;
    pst_buf_addf(&t->text, "%c%s=", t->has_query ? '&' : '?', name);
    pst_percent_encode(&t->text, value);
    t->has_query = true;
}

/* ---- opening ---- */

pst_code pst_client_settings(struct pst_cli *cli, struct pst_settings *out, struct pst_err *err)
{
    pst_str file = pst_config_str(cli->options, PST_CLI_CONFIG);
    pst_str dir = pst_config_str(cli->options, PST_CLI_DATA_DIR);
    const char *args[4];
    size_t count = 0;
    if (file.len > 0) {
        args[count++] = "--config";
        args[count++] = file.ptr;
    }
    if (dir.len > 0) {
        args[count++] = "--data-dir";
        args[count++] = dir.ptr;
    }
    return pst_settings_load(out, cli->arena, args, count, cli->env, err);
}

pst_code pst_client_paths(struct pst_cli *cli, struct pst_paths *out, struct pst_err *err)
{
    struct pst_settings settings;
    PST_TRY(pst_client_settings(cli, &settings, err));
    *out = settings.paths;
    pst_config_unref(settings.config);
    return PST_OK;
}

static pst_code make_authorization(struct pst_client *client, pst_str key, struct pst_err *err)
{
    char text[PST_TOKEN_LEN + 16];
    struct pst_token token;
    if (!pst_token_parse(&token, key))
        return PST_FAIL_AT(err, PST_E_INVALID, "key",
                           "PENSTOCK_KEY does not hold an API key (psk_...) or connection token "
                           "(pct_...)");
    client->is_token = token.kind == PST_TOKEN_CONNECTION;
    int n = snprintf(text, sizeof(text), "Bearer %.*s", PST_STR_ARG(key));
    pst_code rc = pst_secret_new(&client->authorization, (pst_str){text, (size_t)n}, err);
    pst_wipe(text, sizeof(text));
    return rc;
}

static pst_code open_remote(struct pst_cli *cli, struct pst_client *client, struct pst_err *err)
{
    pst_str url = pst_config_str(cli->options, PST_CLI_URL);
    pst_str key = pst_config_str(cli->options, PST_CLI_KEY);
    while (pst_str_ends(url, PST_STR("/")))
        url.len--;
    if (key.len == 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "key", "--url needs an API key in PENSTOCK_KEY");
    PST_TRY(pst_arena_dup(client->arena, &client->base, url, err));
    return make_authorization(client, key, err);
}

static pst_code open_local(struct pst_cli *cli, struct pst_client *client, struct pst_err *err)
{
    struct pst_paths paths;
    PST_TRY(pst_client_paths(cli, &paths, err));
    client->base = PST_STR("http://localhost");
    PST_TRY(pst_arena_dup(client->arena, &client->socket, paths.socket, err));
    if (access(paths.socket.ptr, F_OK) != 0)
        return PST_FAIL(err, PST_E_UNAVAILABLE,
                        "no server runs on '%.*s' (no socket there): start it with `penstock "
                        "serve`, or name its directory with --data-dir, or its address with --url",
                        PST_STR_ARG(paths.data_dir));
    return PST_OK;
}

static pst_code open_client(struct pst_cli *cli, struct pst_err *err)
{
    struct pst_client *client = NULL;
    struct pst_http_options options = {0};
    PST_TRY(pst_http_init(err));
    PST_TRY(pst_new((void **)&client, sizeof(*client), err));
    cli->client = client; /* the dispatcher frees it, half-open or not */
    PST_TRY(pst_arena_new(&client->arena, CLIENT_BYTES, err));
    client->organization = pst_config_str(cli->options, PST_CLI_ORGANIZATION);
    PST_TRY(pst_http_new(&client->http, &options, err));
    if (pst_config_str(cli->options, PST_CLI_URL).len > 0)
        return open_remote(cli, client, err);
    return open_local(cli, client, err);
}

void pst_client_act_for(struct pst_cli *cli, pst_str organization)
{
    if (cli->client)
        cli->client->organization = organization;
}

/* ---- calling ---- */

static pst_code fail_problem(const struct pst_reply *reply, struct pst_err *err)
{
    char code[64] = "";
    (void)pst_str_copy(code, sizeof(code), pst_value_str(reply->root, "code"));
    pst_str detail = pst_value_str(reply->root, "detail");
    pst_str request_id = pst_value_str(reply->root, "request_id");
    if (code[0] == '\0')
        return PST_FAIL(err, PST_E_SYSTEM,
                        "the server answered %d with something that is not its "
                        "own: is another program at this address?",
                        reply->status);
    if (detail.len == 0)
        detail = pst_value_str(reply->root, "title");
    int n = detail.len < MESSAGE_MAX ? (int)detail.len : MESSAGE_MAX;
    if (pst_code_http(pst_code_from_name(code)) >= 500 && request_id.len > 0)
        (void)PST_FAIL(err, pst_code_from_name(code), "%.*s (%.*s)", n, detail.ptr,
                       PST_STR_ARG(request_id));
    else
        (void)PST_FAIL(err, pst_code_from_name(code), "%.*s", n, detail.ptr);
    err->http_status = reply->status;
    err->retry_after_s = (int)pst_value_i64(reply->root, "retry_after");
    (void)pst_str_copy(err->param, sizeof(err->param), pst_value_str(reply->root, "param"));
    return err->code;
}

static pst_code explain_silence(const struct pst_client *client, struct pst_err *err)
{
    if (client->socket.len > 0 && err->code == PST_E_UNREACHABLE)
        return PST_FAIL(err, PST_E_UNAVAILABLE,
                        "no server answers at '%.*s': start it with `penstock serve`",
                        PST_STR_ARG(client->socket));
    return pst_err_wrap(err, "%.*s", PST_STR_ARG(client->base));
}

enum { HEADERS_MAX = 5 };

static size_t fill_headers(const struct pst_cli *cli, struct pst_http_header *headers,
                           bool has_body)
{
    const struct pst_client *client = cli->client;
    size_t n = 0;
    headers[n++] = (struct pst_http_header){PST_STR("Accept"), PST_STR("application/json")};
    if (has_body)
        headers[n++] =
            (struct pst_http_header){PST_STR("Content-Type"), PST_STR("application/json")};
    if (client->authorization)
        headers[n++] = (struct pst_http_header){PST_STR("Authorization"),
                                                pst_secret_expose(client->authorization)};
    if (client->organization.len > 0)
        headers[n++] =
            (struct pst_http_header){PST_STR("Penstock-Organization"), client->organization};
    if (cli->cache_control.len > 0)
        headers[n++] = (struct pst_http_header){PST_STR("Cache-Control"), cli->cache_control};
    return n;
}

static void note_age(struct pst_cli *cli, const struct pst_http_response *response)
{
    int64_t age_s = 0;
    if (!pst_str_is(response->penstock_stale, "true") ||
        !pst_parse_i64(&age_s, response->age, 0, INT64_MAX / 1000))
        return;
    cli->is_stale = true;
    cli->age_s = age_s > cli->age_s ? age_s : cli->age_s;
}

static pst_code read_reply(struct pst_cli *cli, const struct pst_http_response *response,
                           struct pst_reply *out, struct pst_err *err)
{
    yyjson_doc *doc = NULL;
    struct pst_json_limits limits = {.max_bytes = 64 << 20};
    *out = (struct pst_reply){.status = response->status, .text = response->body};
    bool is_json = pst_str_starts(response->content_type, PST_STR("application/json")) ||
                   pst_str_starts(response->content_type, PST_STR("application/problem+json"));
    if (is_json && response->body.len > 0) {
        PST_TRY(pst_json_read(response->body, &limits, cli->arena, &doc, err));
        out->root = yyjson_doc_get_root(doc);
    }
    return response->status >= 400 ? fail_problem(out, err) : PST_OK;
}

/* One try. *answer tells whether there may be another; status 0: nothing was answered. */
static pst_code call_once(struct pst_cli *cli, const char *method, const struct pst_target *target,
                          pst_str body, int64_t timeout_ms, struct pst_reply *out,
                          struct pst_retry_answer *answer, struct pst_err *err)
{
    struct pst_http_header headers[HEADERS_MAX];
    struct pst_http_response response = {0};
    pst_str url = {0};
    struct pst_client *client = cli->client;
    PST_TRY(pst_buf_check(&target->text, err));
    PST_TRY(pst_arena_printf(cli->arena, &url, err, "%.*s%.*s", PST_STR_ARG(client->base),
                             PST_STR_ARG(pst_buf_str(&target->text))));
    struct pst_http_request request = {
        .method = pst_str_from(method),
        .url = url,
        .headers = headers,
        .header_count = fill_headers(cli, headers, body.len > 0),
        .body = body,
        .limits = {.total_ms = timeout_ms, .first_byte_ms = timeout_ms},
        .unix_socket = client->socket.len > 0 ? client->socket.ptr : NULL,
    };
    if (pst_http_call(client->http, &request, cli->arena, &response, err) != PST_OK)
        return explain_silence(client, err);
    note_age(cli, &response);
    pst_code code = read_reply(cli, &response, out, err);
    int seconds = pst_http_retry_after_s(response.retry_after, pst_wall_now());
    *answer = (struct pst_retry_answer){
        .method = method, .status = response.status, .retry_after_s = seconds > 0 ? seconds : 0};
    (void)pst_json_bool(pst_value_at(out->root, "retryable"), &answer->is_retryable);
    return code;
}

/* Told, since the person at the terminal waits meanwhile. */
static void wait_for_next(const struct pst_retry_state *state, int64_t wait_ms,
                          const struct pst_err *err)
{
    pst_notef("%s: trying again in %.1f s (%d of %d; --no-retry does not)\n",
              pst_code_name(err->code), (double)wait_ms / 1000, state->tries, PST_RETRY_TRIES);
    pst_sleep_ms(wait_ms);
}

pst_code pst_client_call(struct pst_cli *cli, const char *method, const struct pst_target *target,
                         pst_str body, int64_t timeout_ms, struct pst_reply *out,
                         struct pst_err *err)
{
    struct pst_retry_state state = {0};
    if (!cli->client)
        PST_TRY(open_client(cli, err));
    for (;;) {
        struct pst_retry_answer answer = {.method = method};
        pst_code code = call_once(cli, method, target, body, timeout_ms, out, &answer, err);
        if (code == PST_OK || !pst_config_bool(cli->options, PST_CLI_RETRY))
            return code;
        int64_t wait_ms = pst_retry_next(&state, &answer, pst_rand_u64());
        if (wait_ms < 0)
            return code;
        wait_for_next(&state, wait_ms, err);
    }
}

pst_code pst_client_get(struct pst_cli *cli, const struct pst_target *target, struct pst_reply *out,
                        struct pst_err *err)
{
    return pst_client_call(cli, "GET", target, PST_STR(""), CALL_MS, out, err);
}

/* The list's next page: the same target with the cursor behind it. */
static pst_code next_page(struct pst_target *target, size_t plain_len, bool plain_query,
                          pst_str cursor, struct pst_err *err)
{
    target->text.len = plain_len;
    target->has_query = plain_query;
    pst_target_query(target, "cursor", cursor);
    return pst_buf_check(&target->text, err);
}

pst_code pst_client_list(struct pst_cli *cli, struct pst_target *target, size_t max,
                         yyjson_val ***out_items, size_t *out_count, struct pst_err *err)
{
    char limit[24];
    yyjson_val **items = NULL;
    size_t count = 0;
    PST_TRY(pst_arena_array(cli->arena, &items, max, sizeof(yyjson_val *), err));
    (void)snprintf(limit, sizeof(limit), "%zu", max < PAGE_LIMIT ? max : (size_t)PAGE_LIMIT);
    pst_target_query(target, "limit", pst_str_from(limit));
    size_t plain_len = target->text.len;
    bool plain_query = target->has_query;
    for (;;) {
        struct pst_reply reply = {0};
        size_t i = 0;
        size_t n = 0;
        yyjson_val *item = NULL;
        PST_TRY(pst_client_get(cli, target, &reply, err));
        yyjson_arr_foreach(pst_value_at(reply.root, "data"), i, n, item)
        {
            if (count < max)
                items[count++] = item;
        }
        pst_str cursor = pst_value_str(reply.root, "next_cursor");
        if (cursor.len == 0 || count == max)
            break;
        PST_TRY(next_page(target, plain_len, plain_query, cursor, err));
    }
    *out_items = items;
    *out_count = count;
    return PST_OK;
}

/* ---- connections by name ---- */

enum { NAMES_SHOWN = 10, CONNECTIONS_MAX = 10000 };

static pst_code refuse_choice(pst_str word, yyjson_val *const *found, size_t count,
                              struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf list = {0};
    pst_buf_init(&list, 4096);
    for (size_t i = 0; i < count && i < NAMES_SHOWN; i++)
        pst_buf_addf(&list, "%s%.*s", i ? ", " : "",
                     PST_STR_ARG(pst_value_str(found[i], word.len ? "id" : "name")));
    if (count > NAMES_SHOWN)
        pst_buf_add_lit(&list, ", ...");
    if (word.len == 0)
        return PST_FAIL(err, PST_E_INVALID, "say which connection: %.*s",
                        PST_STR_ARG(pst_buf_str(&list)));
    return PST_FAIL(err, PST_E_CONFLICT, "several connections are called '%.*s': %.*s",
                    PST_STR_ARG(word), PST_STR_ARG(pst_buf_str(&list)));
}

pst_code pst_client_connection(struct pst_cli *cli, pst_str word, pst_str *out_id,
                               struct pst_err *err)
{
    yyjson_val **items = NULL;
    size_t count = 0;
    size_t found = 0;
    if (pst_id_parse(NULL, "conn_", word)) {
        *out_id = word;
        return PST_OK;
    }
    if (!cli->client)
        PST_TRY(open_client(cli, err));
    if (cli->client->is_token)
        return PST_FAIL(err, PST_E_DENIED,
                        "with a connection token, name the connection by its id (conn_...)");
    PST_AUTO(target) struct pst_target target = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("connections"));
    PST_TRY(pst_client_list(cli, &target, CONNECTIONS_MAX, &items, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (word.len == 0 || pst_str_eq(pst_value_str(items[i], "name"), word))
            items[found++] = items[i];
    }
    if (found == 0 && word.len == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no connection yet: see `penstock connect`");
    if (found == 0)
        return PST_FAIL(err, PST_E_NOT_FOUND,
                        "there is no connection '%.*s' (see `penstock "
                        "connections`)",
                        PST_STR_ARG(word));
    if (found > 1)
        return refuse_choice(word, items, found, err);
    *out_id = pst_value_str(items[0], "id");
    return PST_OK;
}

pst_code pst_client_connection_target(struct pst_cli *cli, pst_str word, struct pst_target *t,
                                      struct pst_err *err)
{
    pst_str id = {0};
    PST_TRY(pst_client_connection(cli, word, &id, err));
    pst_target_add(t, PST_STR("connections"));
    pst_target_add(t, id);
    return PST_OK;
}
