/* api/hook_settings.c: what a request says about a webhook endpoint, checked. */
#include "api/hooks.h"
#include "base/num.h"
#include "event/event.h"

enum { EVENTS_BYTES = 16 << 10, DURATION_TEXT = 32 };

static const char *const members[] = {
    "url",     "description", "events",  "enabled", "ordered", "rate_limit",
    "timeout", "retry_for",   "headers", "signing", "secret",  NULL,
};

/* ---- durations ---- */

/* "90s", "24h", "7d": the largest unit that says it whole; a single day is 24 hours. */
static void format_duration(char out[DURATION_TEXT], int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = ms == units[0].ms ? 1 : 0;
    while (ms % units[i].ms != 0)
        i++;
    (void)snprintf(out, DURATION_TEXT, "%lld%s", (long long)(ms / units[i].ms),
                   ms == 0 ? "s" : units[i].unit);
}

void pst_hook_duration_put(struct pst_json_writer *w, const char *name, int64_t ms)
{
    char text[DURATION_TEXT];
    format_duration(text, ms);
    pst_json_add_z(w, name, text);
}

pst_code pst_hook_duration_read(yyjson_val *body, const char *name, int64_t min_ms, int64_t max_ms,
                                int64_t *ms, struct pst_err *err)
{
    pst_str text = {NULL, 0};
    int64_t value = -1;
    PST_TRY(pst_json_opt_str(body, name, &text, err));
    if (!text.ptr)
        return PST_OK;
    if (!pst_parse_duration_ms(&value, text) || value < min_ms || value > max_ms) {
        char min[DURATION_TEXT];
        char max[DURATION_TEXT];
        format_duration(min, min_ms);
        format_duration(max, max_ms);
        return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' is a time from %s to %s, such as \"%s\"",
                           name, min, max, max);
    }
    *ms = value;
    return PST_OK;
}

/* ---- the URL ---- */

static pst_code bad_url(struct pst_err *err, const char *what)
{
    return PST_FAIL_AT(err, PST_E_INVALID, "url", "'url' %s", what);
}

/* Labels of letters, digits, '-' and '_', of which the last is no number. */
static bool is_host_name(pst_str host)
{
    pst_str rest = host;
    pst_str label = {NULL, 0};
    if (pst_str_ends(rest, PST_STR(".")))
        rest.len--;
    while (rest.ptr) {
        label = pst_str_split(&rest, '.');
        if (label.len == 0 || label.len > 63)
            return false;
        for (size_t i = 0; i < label.len; i++) {
            char c = label.ptr[i];
            bool is_fit = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
            if (!is_fit)
                return false;
        }
    }
    return label.len > 0 && (label.ptr[0] < '0' || label.ptr[0] > '9');
}

/* Names are decided on when they are resolved, for each connection; an address is at once. */
static pst_code check_host(const struct pst_api_call *call, pst_str host, int64_t port,
                           struct pst_err *err)
{
    struct pst_address address;
    const char *why = "";
    const struct pst_api_options *o = &call->api->options;
    bool is_v6 = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    pst_str bare = is_v6 ? pst_str_sub(host, 1, host.len - 2) : host;
    if (!pst_address_parse(&address, bare))
        return !is_v6 && is_host_name(host)
                   ? PST_OK
                   : bad_url(err, "has a host that is neither a name nor an address; a name with "
                                  "letters beyond ASCII is written as xn--...");
    address.port = (uint16_t)port;
    if (o->hook_allows && !o->hook_allows(o->hook_allows_self, &address, &why))
        return PST_FAIL_AT(err, PST_E_EGRESS, "url",
                           "'url' names %s, where webhooks are not delivered: use a public address",
                           why);
    return PST_OK;
}

static pst_code check_url(const struct pst_api_call *call, pst_str url, struct pst_err *err)
{
    char origin[PST_ORIGIN_TEXT];
    const struct pst_api_options *o = &call->api->options;
    int64_t port = 0;
    if (url.len == 0 || url.len > PST_HOOK_URL_MAX)
        return PST_FAIL_AT(err, PST_E_INVALID, "url", "'url' has 1 to %d bytes", PST_HOOK_URL_MAX);
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.ptr[i] > 0x7e)
            return bad_url(err, "has characters beyond ASCII: write them percent-encoded, and the "
                                "host as xn--...");
    pst_code code = pst_http_origin(origin, url, err);
    if (code != PST_OK) {
        (void)pst_str_copy(err->param, sizeof(err->param), PST_STR("url"));
        return pst_err_wrap(err, "'url'");
    }
    if (pst_str_index(url, '#') != url.len)
        return bad_url(err, "has a fragment (#...), which is never sent: leave it out");
    pst_str left = pst_str_from(origin);
    bool is_tls = pst_str_starts(left, PST_STR("https:"));
    if (!is_tls && !o->dev && !o->webhook_http)
        return bad_url(err, "has to begin with https:// (http:// only where the server is run with "
                            "webhook_http or --dev)");
    left = pst_str_sub(left, is_tls ? 8 : 7, left.len);
    size_t colon = left.len;
    while (colon > 0 && left.ptr[colon - 1] != ':')
        colon--;
    (void)pst_parse_i64(&port, pst_str_sub(left, colon, left.len), 0, 65535);
    return check_host(call, pst_str_sub(left, 0, colon - 1), port, err);
}

static pst_code read_url(const struct pst_api_call *call, struct pst_hook_settings *s,
                         struct pst_err *err)
{
    PST_TRY(pst_json_opt_str(call->body, "url", &s->url, err));
    s->set_url = s->url.ptr != NULL;
    return s->set_url ? check_url(call, s->url, err) : PST_OK;
}

/* ---- events ---- */

static pst_code no_such_type(const char *param, pst_str name, struct pst_err *err)
{
    return PST_FAIL_AT(err, PST_E_INVALID, param,
                       "there is no event type '%.*s': GET /v1/event-types lists them",
                       PST_STR_ARG(pst_str_sub(name, 0, 100)));
}

/* A type, or what stands for several: "*", "connection.*", "flow.*". */
static bool is_type(pst_str name)
{
    bool is_group = name.len > 2 && pst_str_ends(name, PST_STR(".*"));
    pst_str prefix = pst_str_sub(name, 0, name.len - 1);
    for (size_t i = 0; is_group && i < pst_event_type_count; i++)
        if (pst_str_starts(pst_str_from(pst_event_types[i].name), prefix))
            return true;
    return pst_str_is(name, "*") || (name.len <= PST_HOOK_TYPE_MAX && pst_event_type_find(name));
}

/* Whether name stands among the words of list. */
static bool has_word(pst_str list, pst_str name)
{
    while (list.len) {
        if (pst_str_eq(pst_str_split(&list, ' '), name))
            return true;
    }
    return false;
}

pst_code pst_hook_events_read(const struct pst_api_call *call, yyjson_val *list, pst_str *out,
                              struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {.max = EVENTS_BYTES};
    yyjson_val *item = NULL;
    size_t i = 0;
    size_t n = 0;
    if (!yyjson_is_arr(list))
        return PST_FAIL_AT(err, PST_E_INVALID, "events",
                           "'events' is a list of event types, such as [\"sync.completed\"]");
    if (yyjson_arr_size(list) > PST_HOOK_EVENTS_MAX)
        return PST_FAIL_AT(err, PST_E_INVALID, "events",
                           "'events' has %zu types, at most %d are possible; \"*\" is all of them",
                           yyjson_arr_size(list), PST_HOOK_EVENTS_MAX);
    yyjson_arr_foreach(list, i, n, item)
    {
        pst_str name = {NULL, 0};
        if (!pst_json_str(item, &name))
            return PST_FAIL_AT(err, PST_E_INVALID, "events", "'events' is a list of texts");
        if (!is_type(name))
            return no_such_type("events", name, err);
        if (pst_str_is(name, "*")) {
            *out = PST_STR("*");
            return PST_OK;
        }
        if (!has_word(pst_buf_str(&b), name))
            pst_buf_addf(&b, "%s%.*s", b.len ? " " : "", PST_STR_ARG(name));
    }
    PST_TRY(pst_buf_check(&b, err));
    return pst_arena_dup(call->arena, out, pst_buf_str(&b), err);
}

pst_code pst_hook_types_check(const struct pst_api_call *call, const char *param,
                              struct pst_err *err)
{
    pst_str left = pst_api_query(call, param);
    while (left.ptr) {
        pst_str name = pst_str_split(&left, ',');
        if (!is_type(name))
            return no_such_type(param, name, err);
    }
    return PST_OK;
}

static pst_code read_events(const struct pst_api_call *call, struct pst_hook_settings *s,
                            struct pst_err *err)
{
    yyjson_val *v = pst_json_get(call->body, PST_STR("events"));
    if (!v || yyjson_is_null(v))
        return PST_OK;
    s->set_events = true;
    return pst_hook_events_read(call, v, &s->events, err);
}

/* ---- headers ---- */

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(pst_str s)
{
    for (size_t i = 0; s.ptr && i < s.len; i++)
        if (!is_token_char(s.ptr[i]))
            return false;
    return s.len > 0;
}

/* What the dispatcher or HTTP itself sets. */
static bool is_reserved(pst_str name)
{
    static const char *const names[] = {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    };
    static const char *const prefixes[] = {"webhook-", "penstock-", "proxy-"};
    for (size_t i = 0; i < PST_COUNT(names); i++)
        if (pst_str_eq_nocase(name, pst_str_from(names[i])))
            return true;
    for (size_t i = 0; i < PST_COUNT(prefixes); i++) {
        pst_str prefix = pst_str_from(prefixes[i]);
        if (pst_str_eq_nocase(pst_str_sub(name, 0, prefix.len), prefix))
            return true;
    }
    return false;
}

static bool is_header_value(pst_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || (unsigned char)s.ptr[i] > 0x7e)
            return false;
    return s.len > 0 && s.len <= PST_HOOK_HEADER_VALUE_MAX && s.ptr[0] != ' ' &&
           s.ptr[s.len - 1] != ' ';
}

/* Values are not repeated in what is said: they may be credentials. */
static pst_code check_header(pst_str name, yyjson_val *value, struct pst_err *err)
{
    pst_str text = {NULL, 0};
    if (name.len > PST_HOOK_HEADER_NAME_MAX || !is_token(name))
        return PST_FAIL_AT(err, PST_E_INVALID, "headers",
                           "the name of a header has 1 to %d letters, digits or !#$%%&'*+-.^_`|~",
                           PST_HOOK_HEADER_NAME_MAX);
    if (is_reserved(name))
        return PST_FAIL_AT(err, PST_E_INVALID, "headers",
                           "the header '%.*s' is set by Penstock itself: choose another name",
                           PST_STR_ARG(name));
    if (yyjson_is_null(value))
        return PST_OK;
    if (!pst_json_str(value, &text) || !is_header_value(text))
        return PST_FAIL_AT(err, PST_E_INVALID, "headers",
                           "the header '%.*s' needs a text of 1 to %d printable ASCII characters "
                           "without blanks at its ends (or null, to remove it)",
                           PST_STR_ARG(name), PST_HOOK_HEADER_VALUE_MAX);
    return PST_OK;
}

static pst_code read_headers(const struct pst_api_call *call, struct pst_hook_settings *s,
                             struct pst_err *err)
{
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    size_t i = 0;
    size_t n = 0;
    PST_TRY(pst_json_opt_object(call->body, "headers", &s->headers, err));
    yyjson_obj_foreach(s->headers, i, n, key, value)
    {
        pst_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        PST_TRY(check_header(name, value, err));
    }
    return PST_OK;
}

/* ---- all of them ---- */

static pst_code read_rate_limit(const struct pst_api_call *call, struct pst_hook_settings *s,
                                struct pst_err *err)
{
    /* null resets it, which 0 stands for in the store. */
    s->set_rate_limit = pst_json_get(call->body, PST_STR("rate_limit")) != NULL;
    return pst_json_opt_i64(call->body, "rate_limit", 1, PST_HOOK_RATE_MAX, &s->rate_limit, err);
}

pst_code pst_hook_settings_read(const struct pst_api_call *call, struct pst_hook_settings *out,
                                struct pst_err *err)
{
    struct pst_hook_settings s = {.timeout_ms = -1, .horizon_ms = -1};
    yyjson_val *body = call->body;
    PST_TRY(pst_json_only(body, "webhook", members, err));
    PST_TRY(read_url(call, &s, err));
    PST_TRY(pst_json_opt_str(body, "description", &s.description, err));
    s.set_description = s.description.ptr != NULL;
    if (s.description.len > PST_HOOK_DESCRIPTION_MAX)
        return PST_FAIL_AT(err, PST_E_INVALID, "description", "'description' has at most %d bytes",
                           PST_HOOK_DESCRIPTION_MAX);
    PST_TRY(read_events(call, &s, err));
    s.set_enabled = pst_json_has(body, "enabled");
    PST_TRY(pst_json_opt_bool(body, "enabled", &s.enabled, err));
    s.set_ordered = pst_json_has(body, "ordered");
    PST_TRY(pst_json_opt_bool(body, "ordered", &s.ordered, err));
    PST_TRY(read_rate_limit(call, &s, err));
    PST_TRY(pst_hook_duration_read(body, "timeout", PST_HOOK_TIMEOUT_MIN_MS,
                                   PST_HOOK_TIMEOUT_MAX_MS, &s.timeout_ms, err));
    s.set_timeout = s.timeout_ms >= 0;
    PST_TRY(pst_hook_duration_read(body, "retry_for", PST_HOOK_HORIZON_MIN_MS,
                                   PST_HOOK_HORIZON_MAX_MS, &s.horizon_ms, err));
    s.set_horizon = s.horizon_ms >= 0;
    PST_TRY(read_headers(call, &s, err));
    *out = s;
    return PST_OK;
}

void pst_hook_settings_apply(const struct pst_hook_settings *s, struct pst_endpoint *e)
{
    if (s->set_url)
        e->url = s->url;
    if (s->set_description)
        e->description = s->description;
    if (s->set_events)
        e->events = s->events;
    if (s->set_enabled)
        e->enabled = s->enabled;
    if (s->set_ordered)
        e->ordered = s->ordered;
    if (s->set_rate_limit)
        e->rate_limit = s->rate_limit;
    if (s->set_timeout)
        e->timeout_ms = s->timeout_ms;
    if (s->set_horizon)
        e->horizon_ms = s->horizon_ms;
}

pst_code pst_hook_settings_names(const struct pst_hook_settings *s, struct pst_arena *arena,
                                 pst_str *out, struct pst_err *err)
{
    const struct {
        const char *name;
        bool is_set;
    } rows[] = {
        {"url", s->set_url},         {"description", s->set_description},
        {"events", s->set_events},   {"enabled", s->set_enabled},
        {"ordered", s->set_ordered}, {"rate_limit", s->set_rate_limit},
        {"timeout", s->set_timeout}, {"retry_for", s->set_horizon},
        {"headers", s->headers},
    };
    struct pst_json_writer w;
    PST_AUTO(buf) struct pst_buf b = {.max = 1024};
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_json_add_array(&w, "members");
    for (size_t i = 0; i < PST_COUNT(rows); i++)
        if (rows[i].is_set)
            pst_json_put_str(&w, pst_str_from(rows[i].name));
    pst_json_end_array(&w);
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    return pst_arena_dup(arena, out, pst_buf_str(&b), err);
}
