/* health/stored.c: the state of the machine as rows of the store have it.
 *
 * The store and the machine each have the enum, neither may see the other's; their words are the
 * same. */
#include "event/event.h"
#include "health/health.h"

void pst_health_load(struct pst_health *out, const struct pst_connection *c)
{
    *out = (struct pst_health){.since = c->status_since};
    (void)pst_conn_status_parse(&out->status, pst_str_from(pst_connection_status_name(c->status)));
    (void)snprintf(out->reason, sizeof(out->reason), "%.*s", PST_STR_ARG(c->status_reason));
}

pst_code pst_health_save(struct pst_db_conn *conn, const struct pst_health *state, int64_t pk,
                         pst_str request_id, pst_wall now, bool *changed, struct pst_err *err)
{
    enum pst_connection_status status = PST_CONNECTION_PENDING;
    (void)pst_connection_status_parse(&status, pst_str_from(pst_conn_status_name(state->status)));
    return pst_event_set_status(conn, pk, status, pst_str_from(state->reason), request_id, now,
                                changed, err);
}
