/* health/stored.c: the state of the machine as rows of the store have it.
 *
 * The store and the machine each have the enum, neither may see the other's; their words are the
 * same. */
#include "event/event.h"
#include "health/health.h"
#include "store/outages.h"

static enum pst_conn_status status_of(enum pst_connection_status status)
{
    enum pst_conn_status out = PST_CONN_PENDING;
    (void)pst_conn_status_parse(&out, pst_str_from(pst_connection_status_name(status)));
    return out;
}

static enum pst_connection_status stored_status(enum pst_conn_status status)
{
    enum pst_connection_status out = PST_CONNECTION_PENDING;
    (void)pst_connection_status_parse(&out, pst_str_from(pst_conn_status_name(status)));
    return out;
}

/* How far to move the row's monotonic times: nothing within one boot of the machine; after another
 * one by what the wall says has passed. A wall that was set back counts as no time. */
static int64_t shift_of(const struct pst_outage *row, const struct pst_health_time *now)
{
    if (now->mono.ns >= row->saved.ns && row->saved.ns != 0)
        return 0;
    int64_t passed_us = now->wall.us - row->saved_at.us;
    if (pst_wall_is_none(row->saved_at) || passed_us < 0)
        passed_us = 0;
    return now->mono.ns - row->saved.ns - passed_us * 1000;
}

static pst_mono moved(pst_mono t, int64_t by)
{
    if (t.ns != PST_MONO_NEVER.ns && __builtin_add_overflow(t.ns, by, &t.ns))
        t.ns = by < 0 ? INT64_MIN : PST_MONO_NEVER.ns - 1;
    return t;
}

pst_code pst_health_load(struct pst_health *out, struct pst_db_conn *conn,
                         const struct pst_connection *c, const struct pst_health_time *now,
                         struct pst_err *err)
{
    struct pst_outage row;
    PST_TRY(pst_outages_get(conn, c->pk, &row, err));
    int64_t shift = row.version ? shift_of(&row, now) : 0;
    *out = (struct pst_health){
        .status = status_of(c->status),
        .since = c->status_since,
        .version = row.version,
        .failures = row.failures,
        .failing_since = row.failing_since,
        .is_origin = row.kind == PST_OUTAGE_ORIGIN_DOWN,
        .owed = row.owed,
        .step = row.step,
        .probe = moved(row.probe, shift),
        .counted = moved(row.counted, shift),
        .told = status_of(row.told),
        .told_at = moved(row.told_at, shift),
        .changed = moved(row.changed, shift),
        .tell = moved(row.tell, shift),
        .hold_ms = row.hold_ms,
    };
    (void)snprintf(out->reason, sizeof(out->reason), "%.*s", PST_STR_ARG(c->status_reason));
    (void)pst_str_copy(out->cause, sizeof(out->cause), pst_str_from(row.cause));
    (void)pst_str_copy(out->origin, sizeof(out->origin), pst_str_from(row.origin));
    return PST_OK;
}

static pst_code tell(struct pst_db_conn *conn, const struct pst_health *state,
                     enum pst_conn_status before, int64_t pk, pst_str request_id, pst_wall now,
                     struct pst_err *err)
{
    const struct pst_event_status status = {
        .status = stored_status(state->status),
        .previous = stored_status(before),
        .since = state->since,
        .tries = state->failures,
        .code = pst_str_from(state->cause),
        .reason = pst_str_from(state->reason),
        .request_id = request_id,
    };
    return pst_event_tell_status(conn, pk, &status, now, err);
}

pst_code pst_health_save(struct pst_db_conn *conn, struct pst_health *state,
                         const struct pst_health_actions *actions, int64_t pk, pst_str request_id,
                         const struct pst_health_time *now, struct pst_err *err)
{
    struct pst_outage row = {
        .connection_pk = pk,
        .version = state->version,
        .owed = state->owed,
        .failures = state->failures,
        .failing_since = state->failing_since,
        .kind = state->failures == 0 ? PST_OUTAGE_NONE
                : state->is_origin   ? PST_OUTAGE_ORIGIN_DOWN
                                     : PST_OUTAGE_CONNECTION,
        .step = state->step,
        .told = stored_status(state->told),
        .hold_ms = state->hold_ms,
        .saved_at = now->wall,
        .saved = now->mono,
        .counted = state->counted,
        .changed = state->changed,
        .told_at = state->told_at,
        .tell = state->tell,
        .probe = state->probe,
    };
    (void)pst_str_copy(row.cause, sizeof(row.cause), pst_str_from(state->cause));
    (void)pst_str_copy(row.origin, sizeof(row.origin), pst_str_from(state->origin));
    PST_TRY(pst_connections_set_status(conn, pk, stored_status(state->status),
                                       pst_str_from(state->reason), request_id, now->wall, NULL,
                                       err));
    if (actions->must_tell) {
        /* Between two told statuses there may have been others that were not. */
        enum pst_conn_status before = actions->told_before;
        if (before == PST_CONN_PENDING && actions->has_changed)
            before = actions->from;
        PST_TRY(tell(conn, state, before, pk, request_id, now->wall, err));
    }
    state->version++;
    return pst_outages_put(conn, &row, err);
}
