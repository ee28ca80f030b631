/* api/outage.c: what is answered of a connection whose system is away: 503 with since when and how
 * often tried, or the stored copy where the caller prefers that. */
#include "api/internal.h"
#include "base/num.h"

struct pst_health_time pst_api_health_time(const struct pst_api_call *call)
{
    const struct pst_api_options *o = &call->api->options;
    return (struct pst_health_time){.wall = call->now, .mono = o->mono ? o->mono() : (pst_mono){0}};
}

static int64_t probe_in_ms(const struct pst_api_call *call, int64_t connection_pk)
{
    const struct pst_api_prober *p = &call->api->options.prober;
    return p->in_ms ? p->in_ms(p->self, connection_pk) : -1;
}

pst_code pst_api_load_health(struct pst_db_conn *conn, const struct pst_api_call *call,
                             const struct pst_connection *c, struct pst_health *out,
                             struct pst_err *err)
{
    struct pst_health_time now = pst_api_health_time(call);
    return pst_health_load(out, conn, c, &now, err);
}

void pst_api_put_outage(struct pst_json_writer *w, const struct pst_api_call *call,
                        const struct pst_connection *c, const struct pst_health *health)
{
    if (c->status != PST_CONNECTION_OFFLINE) {
        pst_json_add_null(w, "outage");
        return;
    }
    struct pst_health_time now = pst_api_health_time(call);
    int64_t ms = probe_in_ms(call, c->pk);
    if (ms < 0)
        ms = health->probe.ns == PST_MONO_NEVER.ns ? 0 : pst_mono_ms_until(now.mono, health->probe);
    pst_json_add_object(w, "outage");
    pst_json_add_wall(w, "since",
                      pst_wall_is_none(health->failing_since) ? c->status_since
                                                              : health->failing_since);
    pst_json_add_i64(w, "tries", health->failures);
    pst_json_add_wall(w, "next_probe_at", (pst_wall){now.wall.us + ms * 1000});
    pst_json_end_object(w);
}

/* ---- Cache-Control: stale-if-error ---- */

/* Whether a copy may be old, and how old at most (INT64_MAX: as old as it is). */
struct staleness {
    bool is_wanted;
    int64_t max_s;
};

/* A bare one is any age; one with a value that is no number of seconds is none. */
static void read_directive(pst_str directive, struct staleness *out)
{
    pst_str value = directive;
    pst_str name = pst_str_trim(pst_str_split(&value, '='));
    uint64_t seconds = INT64_MAX;
    if (!pst_str_eq_nocase(name, PST_STR("stale-if-error")))
        return;
    bool is_bare = value.ptr == NULL;
    value = pst_str_trim(value);
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        value = pst_str_sub(value, 1, value.len - 2);
    if (!is_bare && !pst_parse_u64(&seconds, value, 0, INT64_MAX))
        return;
    out->is_wanted = true;
    out->max_s = (int64_t)seconds;
}

static struct staleness read_staleness(const struct pst_api_call *call)
{
    struct staleness out = {.is_wanted = call->connection.serve_stale, .max_s = INT64_MAX};
    pst_str left = pst_request_header(call->req, "Cache-Control", NULL);
    while (left.ptr)
        read_directive(pst_str_split(&left, ','), &out);
    return out;
}

/* Seconds since the entity's copy was last known to be what the system has; -1: never. */
static pst_code age_of(const struct pst_api_call *call, int64_t *out, struct pst_err *err)
{
    struct pst_stream_state stream;
    bool found = false;
    PST_TRY(pst_streams_get(call->reader, call->connection.pk, call->entity, call->arena, &stream,
                            &found, err));
    *out = -1;
    if (!found || pst_wall_is_none(stream.last_success_at))
        return PST_OK;
    int64_t us = call->now.us - stream.last_success_at.us;
    *out = us > 0 ? us / PST_US_PER_S : 0;
    return PST_OK;
}

static pst_code serve_stale(struct pst_api_call *call, bool *is_served, struct pst_err *err)
{
    struct staleness wanted = read_staleness(call);
    int64_t age = -1;
    *is_served = false;
    if (!wanted.is_wanted || !call->entity || call->req->method != PST_METHOD_GET)
        return PST_OK;
    PST_TRY(age_of(call, &age, err));
    if (age < 0 || age > wanted.max_s)
        return PST_OK;
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)age);
    pst_response_header(call->res, "Penstock-Stale", PST_STR("true"));
    pst_response_header(call->res, "Age", pst_str_from(text));
    *is_served = true;
    return PST_OK;
}

pst_code pst_api_meet_outage(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_connection c;
    struct pst_health health;
    bool is_served = false;
    if (call->connection.status != PST_CONNECTION_OFFLINE)
        return PST_OK;
    PST_TRY(serve_stale(call, &is_served, err));
    if (is_served)
        return PST_OK;
    /* What the loop remembers of a connection has no texts. */
    PST_TRY(pst_connections_get_pk(call->reader, call->connection.pk, call->arena, &c, err));
    PST_TRY(pst_api_load_health(call->reader, call, &c, &health, err));
    struct pst_health_time now = pst_api_health_time(call);
    return pst_health_unreachable(&health, &now, probe_in_ms(call, c.pk), err);
}
