/* store/events.h: the outbox. An event is written in the transaction of what it tells, together
 * with one delivery for every endpoint that wants it (store/deliveries.h), so that no crash loses
 * one or makes one up.
 *
 * Events are immutable: `body` is the very text that is signed and sent. What they say is not this
 * module's business (event/event.h).
 *
 * Functions that change something run inside a writer job. Text in results lives in the arena.
 * Errors of all: as db.h, and NO_MEMORY, LIMIT. Thread-safety: as the connection that is passed.
 */
#ifndef PST_STORE_EVENTS_H
#define PST_STORE_EVENTS_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"

struct pst_event {
    int64_t pk; /* grows in commit order */
    struct pst_id id; /* "evt_..." */
    int64_t organization_pk;
    int64_t connection_pk; /* 0 = of the organization as a whole */
    struct pst_id connection_id; /* "" then; set by reads */
    pst_str type; /* "sync.completed" */
    pst_wall at;
    bool is_sample; /* made by a test of an endpoint: not listed, not replayed */
    pst_str body; /* JSON */
};

/* Write an event (from id, organization_pk, connection_pk, type, at, is_sample, body; fills pk) and
 * a delivery for each endpoint that wants it: of its organization, not deleted, of no connection or
 * of this one, switched on (or disabled by us: those are held), and with the type among its
 * events, or among those that were chosen for this connection. A sample gets none
 * (pst_deliveries_add). Notifies PST_TOPIC_EVENTS. Errors: also CONFLICT (the id exists). */
pst_code pst_events_add(struct pst_db_conn *conn, struct pst_event *event, struct pst_err *err);

/* Errors: NOT_FOUND. organization_pk 0 = any. */
pst_code pst_events_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                        struct pst_arena *arena, struct pst_event *out, struct pst_err *err);

struct pst_event_query {
    int64_t organization_pk;
    int64_t connection_pk; /* 0 = all */
    pst_str types; /* comma-separated, "flow.*" takes all flows; "" = all */
    pst_wall since, until; /* at >= since, at < until; none = open */
    int64_t after_pk; /* oldest first: events behind it */
    int64_t before_pk; /* newest first when > 0 (INT64_MAX = from the newest) */
    size_t limit; /* 1..500 */
};
/* *last_pk: where the next call goes on (it moves past events of other types; at most 10,000 rows
 * are looked at in one call, so a page may be short and have more behind it). */
pst_code pst_events_list(struct pst_db_conn *conn, const struct pst_event_query *query,
                         struct pst_arena *arena, struct pst_event **out, size_t *count,
                         int64_t *last_pk, bool *more, struct pst_err *err);

/* The pk of the first event at or after a time (one behind the newest when there is none), by
 * halving: event times grow with their pks, but for a clock that was put back. */
pst_code pst_events_seek(struct pst_db_conn *conn, pst_wall at, int64_t *pk, struct pst_err *err);

/* The pk of the newest event of all, 0 = none. Where a follower that wants only news begins. */
pst_code pst_events_newest(struct pst_db_conn *conn, int64_t *pk, struct pst_err *err);

/* What the outbox holds. */
struct pst_outbox_size {
    int64_t events;
    int64_t bytes; /* of them, their deliveries and attempts, about as they lie in the store */
};
pst_code pst_events_size(struct pst_db_conn *conn, struct pst_outbox_size *out,
                         struct pst_err *err);

/* Deliveries that were dropped though they still waited. Those of samples and to endpoints that
 * were deleted are no loss. */
enum { PST_OUTBOX_LOSERS = 64 };
struct pst_outbox_loss {
    int64_t count;
    int64_t organizations[PST_OUTBOX_LOSERS]; /* whose they were, each once; no more than fit */
    size_t organization_count;
};

/* Remove the oldest events with their deliveries and attempts: those before `before`, and beyond it
 * as many as it takes to come down to max_bytes (a few more, see the source); at most `limit`
 * events, as many deliveries and as many attempts. Deliveries that were still waiting go as well.
 * *left: more is due. */
pst_code pst_events_retain(struct pst_db_conn *conn, pst_wall before, int64_t max_bytes,
                           size_t limit, struct pst_outbox_loss *loss, bool *left,
                           struct pst_err *err);

/* Whether `type` is among `list` ("*", or types and "flow.*", separated by single blanks). Pure. */
bool pst_events_match(pst_str list, pst_str type);

#endif
