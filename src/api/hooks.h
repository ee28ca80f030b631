/* api/hooks.h: what the files of webhooks share: limits, settings that were read from a request,
 * an endpoint as it is shown. Not for other modules.
 */
#ifndef PST_API_HOOKS_H
#define PST_API_HOOKS_H

#include "api/internal.h"
#include "store/deliveries.h"
#include "store/endpoints.h"

enum {
    PST_HOOK_URL_MAX = 2000, /* bytes */
    PST_HOOK_DESCRIPTION_MAX = 1000, /* bytes */
    PST_HOOK_EVENTS_MAX = 50,
    PST_HOOK_TYPE_MAX = 100, /* bytes; flow.NAME */
    PST_HOOK_HEADERS_MAX = 20,
    PST_HOOK_HEADER_NAME_MAX = 100, /* bytes */
    PST_HOOK_HEADER_VALUE_MAX = 1000, /* bytes */
    PST_HOOK_RATE_MAX = 10000, /* deliveries a second */
    PST_HOOK_ENDPOINTS_MAX = 500, /* of an organization */
    PST_HOOK_SECRETS_MAX = 5, /* that sign at a time */
    PST_HOOK_TIMEOUT_MIN_MS = 1000,
    PST_HOOK_TIMEOUT_MS = 10 * 1000,
    PST_HOOK_TIMEOUT_MAX_MS = 30 * 1000,
    PST_HOOK_HORIZON_MIN_MS = 3600 * 1000,
    PST_HOOK_HORIZON_MS = 24 * 3600 * 1000,
    PST_HOOK_HORIZON_MAX_MS = 7 * 24 * 3600 * 1000,
    PST_HOOK_OVERLAP_MS = 24 * 3600 * 1000,
    PST_HOOK_OVERLAP_MAX_MS = 7 * 24 * 3600 * 1000,
};

/* ---- hook_settings.c: reading and checking what a request says ---- */

/* What a body sets; texts in the request's arena. */
struct pst_hook_settings {
    bool set_url, set_description, set_events, set_enabled, set_ordered, set_rate_limit,
        set_timeout, set_horizon;
    pst_str url, description, events;
    bool enabled, ordered;
    int64_t rate_limit, timeout_ms, horizon_ms;
    yyjson_val *headers; /* checked; null removes one; NULL = not given */
};

/* Errors: INVALID, EGRESS (the URL's host is an address that may not be connected to). */
pst_code pst_hook_settings_read(const struct pst_api_call *call, struct pst_hook_settings *out,
                                struct pst_err *err);
/* Put them over e; headers are not among them. */
void pst_hook_settings_apply(const struct pst_hook_settings *s, struct pst_endpoint *e);
/* {"members":["url","events"]}: names of what was set. */
pst_code pst_hook_settings_names(const struct pst_hook_settings *s, struct pst_arena *arena,
                                 pst_str *out, struct pst_err *err);

/* A JSON array of event types as struct pst_endpoint keeps it. */
pst_code pst_hook_events_read(const struct pst_api_call *call, yyjson_val *list, pst_str *out,
                              struct pst_err *err);
/* Parameter `name`, a list of types: each has to be one. Errors: INVALID. */
pst_code pst_hook_types_check(const struct pst_api_call *call, const char *name,
                              struct pst_err *err);
/* A text such as "24h" within limits; absent leaves *ms as it is. Errors: INVALID. */
pst_code pst_hook_duration_read(yyjson_val *body, const char *name, int64_t min_ms, int64_t max_ms,
                                int64_t *ms, struct pst_err *err);
void pst_hook_duration_put(struct pst_json_writer *w, const char *name, int64_t ms);

/* ---- hook_seals.c: sealed headers and secrets; inside a writer job unless it is said ---- */

/* Put given headers (as in settings) over e's. Errors: INVALID (too many, the same name twice). */
pst_code pst_hook_headers_merge(struct pst_db_conn *conn, const struct pst_api_call *call,
                                struct pst_endpoint *e, yyjson_val *given, struct pst_err *err);
/* The names with "***" for each value, as JSON. Reader or writer. */
pst_code pst_hook_headers_show(struct pst_db_conn *conn, const struct pst_api_call *call,
                               const struct pst_endpoint *e, pst_str *out, struct pst_err *err);
/* `secret` signs from now on; those before it for overlap_ms more, at most PST_HOOK_SECRETS_MAX in
 * all. Fills e->secrets and e->public_keys. */
pst_code pst_hook_secrets_add(struct pst_db_conn *conn, const struct pst_api_call *call,
                              struct pst_endpoint *e, pst_str secret, int64_t overlap_ms,
                              struct pst_err *err);

/* ---- webhooks.c: showing ---- */

struct pst_hook_view {
    struct pst_endpoint endpoint;
    pst_str headers; /* JSON, without values */
    pst_str events; /* in force; of call->connection, where there is one */
    bool chosen; /* they were chosen for that connection */
    int64_t waiting; /* -1 = not counted */
};
/* Reader or writer. */
pst_code pst_hook_view_load(struct pst_db_conn *conn, const struct pst_api_call *call,
                            const struct pst_endpoint *e, struct pst_hook_view *out,
                            struct pst_err *err);
/* Members of an object that is begun. */
void pst_hook_view_put(struct pst_json_writer *w, const struct pst_api_call *call,
                       const struct pst_hook_view *v);

/* Deliveries of such an endpoint are held. */
static inline bool pst_hook_is_off(const struct pst_endpoint *e)
{
    return !e->enabled || !pst_wall_is_none(e->health.disabled_at);
}

#endif
