/* store/deliveries.h: which event goes to which endpoint, how far that came, every attempt.
 *
 * A delivery waits, then was delivered or failed. It waits in a *lane*: that of its endpoint and
 * connection, in the order of the events, one at a time; or, at an endpoint that asked for
 * `ordered: false` and for tests, loose: each for itself. `sequence` counts the deliveries of an
 * endpoint and connection as they are queued, 1, 2, 3, ... (a restore leaps ahead once), in either
 * case; samples have 0.
 *
 * Deliveries of an endpoint that is switched off or was disabled stay waiting and are shown as
 * `held`.
 *
 * Functions that change something run inside a writer job. Text in results lives in the arena.
 * Errors of all: as db.h, and NO_MEMORY, LIMIT. Thread-safety: as the connection that is passed.
 */
#ifndef PST_STORE_DELIVERIES_H
#define PST_STORE_DELIVERIES_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"

enum pst_delivery_status { PST_DELIVERY_WAITING, PST_DELIVERY_DELIVERED, PST_DELIVERY_FAILED };
const char *pst_delivery_status_name(enum pst_delivery_status status); /* "waiting", ... */

/* A lane is a connection's pk, 0 = events of no connection. */
enum { PST_LANE_LOOSE = -1, PST_LANE_DONE = -2 };

/* How far the attempts came; pst_hook_step (webhook/plan.h) decides. */
struct pst_delivery_tries {
    int64_t attempts; /* in all, re-sends included: the number of the last one */
    int64_t tries; /* since it was queued or re-sent: what backoff and horizon count */
    pst_wall first_try_at; /* of these; none = not yet */
    int64_t open_before_us; /* how long the breaker had been open in all at first_try_at */
    pst_wall due_at; /* not before this */
    int64_t refused_status; /* the 4xx of the last tries, 0 = none */
    int64_t refused_count; /* how many tries in a row it came */
    pst_wall refused_since;
};

struct pst_delivery {
    int64_t pk; /* grows as deliveries are made */
    struct pst_id id; /* "dlv_..." */
    int64_t endpoint_pk;
    int64_t connection_pk; /* of the event, 0 = none */
    struct pst_id connection_id;
    int64_t event_pk;
    struct pst_id event_id;
    pst_str type; /* of the event */
    bool is_sample;
    bool is_loose;
    int64_t sequence;
    enum pst_delivery_status status;
    struct pst_delivery_tries tries;
    int64_t last_status; /* of the last attempt, 0 = no answer or none made */
    pst_str last_error; /* "" = none */
    pst_wall created_at, ended_at;
    pst_str body; /* of the event; only where it is said */
};

/* ---- the dispatcher ---- */

/* The pk of the newest delivery of all, 0 = none: where news begin. */
pst_code pst_deliveries_newest(struct pst_db_conn *conn, int64_t *pk, struct pst_err *err);

/* What came since after_pk, oldest first: pk, endpoint and lane of waiting deliveries. */
struct pst_delivery_news {
    int64_t pk, endpoint_pk, lane;
    bool is_sample;
};
pst_code pst_deliveries_news(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                             struct pst_delivery_news *out, size_t *count, struct pst_err *err);

/* The loose ones of an endpoint that wait, those due first. */
pst_code pst_deliveries_loose(struct pst_db_conn *conn, int64_t endpoint_pk, size_t limit,
                              struct pst_delivery_news *out, size_t *count, struct pst_err *err);

/* Endpoints that have something waiting, by pk, behind after_pk. */
pst_code pst_deliveries_endpoints(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                                  int64_t *out, size_t *count, struct pst_err *err);

/* Lanes of an endpoint that have something waiting, behind after_lane (loose ones are no lane), and
 * when their first delivery is due. A step per lane, however much waits in it. */
struct pst_delivery_lane {
    int64_t lane;
    pst_wall due_at;
};
pst_code pst_deliveries_lanes(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t after_lane,
                              size_t limit, struct pst_delivery_lane *out, size_t *count,
                              struct pst_err *err);

/* The next waiting ones of a lane in order, behind after_event_pk, with body; or, of
 * PST_LANE_LOOSE, those due first. */
pst_code pst_deliveries_next(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t lane,
                             int64_t after_event_pk, size_t limit, struct pst_arena *arena,
                             struct pst_delivery **out, size_t *count, struct pst_err *err);

/* One that waits, with body; *out NULL when it does not (any more). */
pst_code pst_deliveries_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                               struct pst_delivery **out, struct pst_err *err);

/* One attempt and what follows from it. A delivery that is not waiting any more (given up
 * meanwhile) only gets the attempt; so does one that was re-sent since the attempt began (its tries
 * begin anew), but for a success, which ends it; one that is gone gets nothing. */
struct pst_attempt {
    int64_t number; /* 1, 2, ...; set by reads */
    pst_wall at;
    int64_t duration_us;
    int64_t status; /* HTTP, 0 = no answer */
    pst_str error; /* "" = 2xx */
    pst_str response; /* the first 4 KiB of the answer's body */
};
struct pst_delivery_result {
    int64_t pk;
    enum pst_delivery_status status; /* WAITING: again at tries.due_at */
    struct pst_delivery_tries tries; /* after the attempt, which is one try */
    struct pst_attempt attempt;
};
pst_code pst_deliveries_record(struct pst_db_conn *conn, const struct pst_delivery_result *result,
                               struct pst_err *err);

/* A breaker has closed, or the endpoint was switched on or moved: the heads of its lanes are due
 * again, spread evenly from now over spread_ms. One that was refused already before failing_since
 * (while the endpoint took others) keeps its time; none = all are due, and their refusals are
 * forgotten. after_lane PST_LANE_LOOSE begins, with up to `limit` loose ones (those that are due
 * within spread_ms are left as they are); when there may be more, *next_lane is that again, else
 * the lanes follow, at most `limit` behind after_lane. PST_LANE_DONE = that was all. */
struct pst_delivery_haste {
    int64_t endpoint_pk;
    pst_wall failing_since;
    int64_t spread_ms;
};
pst_code pst_deliveries_hasten(struct pst_db_conn *conn, const struct pst_delivery_haste *haste,
                               int64_t after_lane, size_t limit, pst_wall now, int64_t *next_lane,
                               struct pst_err *err);

/* ---- the API ---- */

/* A loose delivery of a sample to one endpoint, due now. Fills d->pk, id, sequence. */
pst_code pst_deliveries_add_sample(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t event_pk,
                                   pst_wall now, struct pst_delivery *out, struct pst_err *err);

struct pst_delivery_query {
    int64_t endpoint_pk;
    int64_t connection_pk; /* -1 = all, 0 = of no connection */
    unsigned statuses; /* bit i = status i; 0 = all */
    pst_str types; /* as struct pst_event_query */
    pst_wall since, until; /* created_at */
    int64_t before_event_pk; /* 0 = from the newest */
    size_t limit; /* 1..500 */
};
/* Newest event first, without bodies; the budget of pst_events_list holds here, too. */
pst_code pst_deliveries_list(struct pst_db_conn *conn, const struct pst_delivery_query *query,
                             struct pst_arena *arena, struct pst_delivery **out, size_t *count,
                             int64_t *last_event_pk, bool *more, struct pst_err *err);

/* With body. Errors: NOT_FOUND. */
pst_code pst_deliveries_get(struct pst_db_conn *conn, int64_t endpoint_pk, pst_str id,
                            struct pst_arena *arena, struct pst_delivery *out, struct pst_err *err);
/* The newest `limit` (1..500) of them, oldest first. */
pst_code pst_deliveries_attempts(struct pst_db_conn *conn, int64_t delivery_pk, size_t limit,
                                 struct pst_arena *arena, struct pst_attempt **out, size_t *count,
                                 struct pst_err *err);

/* Make a delivery wait again as if it were new (attempts go on counting), due at once. Notifies
 * pst_topic_endpoint. Errors: NOT_FOUND (also where its event is not kept any more). */
pst_code pst_deliveries_resend(struct pst_db_conn *conn, int64_t pk, pst_wall now,
                               struct pst_err *err);

/* The same for a range of events: told from `since` to `until`; failed ones only, or all: then
 * also what was delivered, and events that were never queued for this endpoint but that it wants,
 * unless their connection was purged.
 * What waits already is left as it is, and so are samples.
 * Works off at most `limit` events behind *cursor (0 = begin), which it moves on (-1 = done);
 * *count grows by what was queued. Notifies pst_topic_endpoint. */
struct pst_delivery_range {
    int64_t endpoint_pk, organization_pk;
    pst_wall since, until; /* until none = up to now */
    bool all;
};
pst_code pst_deliveries_resend_range(struct pst_db_conn *conn,
                                     const struct pst_delivery_range *range, size_t limit,
                                     pst_wall now, int64_t *cursor, int64_t *count,
                                     struct pst_err *err);

/* Waiting deliveries of an endpoint (0 = of all), counted up to `most`. */
pst_code pst_deliveries_waiting(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t most,
                                int64_t *count, struct pst_err *err);

#endif
