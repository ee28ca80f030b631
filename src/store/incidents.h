/* store/incidents.h: incidents with their updates, and how long each day a component was unwell:
 * what the status page shows.
 *
 * Functions that change something run inside a writer job and notify PST_TOPIC_INCIDENTS. Text in
 * results lives in the arena. Errors of all: as db.h, and NO_MEMORY, LIMIT.
 * Thread-safety: as the connection that is passed.
 */
#ifndef PST_STORE_INCIDENTS_H
#define PST_STORE_INCIDENTS_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"

enum pst_incident_kind {
    PST_INCIDENT_MANUAL, /* of people */
    PST_INCIDENT_HOST, /* the detector's: see enum pst_reach */
    PST_INCIDENT_CONNECTOR,
    PST_INCIDENT_PENSTOCK,
};
enum pst_incident_impact { PST_IMPACT_DEGRADED, PST_IMPACT_DOWN, PST_IMPACT_MAINTENANCE };
enum pst_incident_state {
    PST_INCIDENT_INVESTIGATING,
    PST_INCIDENT_IDENTIFIED,
    PST_INCIDENT_MONITORING,
    PST_INCIDENT_RESOLVED, /* closes it */
};
const char *pst_incident_kind_name(enum pst_incident_kind kind); /* "manual" */
const char *pst_incident_impact_name(enum pst_incident_impact impact); /* "degraded" */
const char *pst_incident_state_name(enum pst_incident_state state); /* "investigating" */
bool pst_incident_impact_parse(enum pst_incident_impact *out, pst_str name);
bool pst_incident_state_parse(enum pst_incident_state *out, pst_str name);

struct pst_incident_update {
    pst_wall at;
    enum pst_incident_state state;
    pst_str text;
    pst_str actor; /* "operator", "detector" */
};

struct pst_incident {
    int64_t pk;
    struct pst_id id; /* "inc_..." */
    enum pst_incident_kind kind;
    pst_str subject; /* origin or connector; for the operator only */
    pst_str connector; /* of the detector's host or connector, else "" */
    pst_str components; /* "api,connector:peoplesoft" */
    enum pst_incident_impact impact;
    enum pst_incident_state state;
    pst_str title;
    int64_t affected; /* connections, when it began */
    pst_wall opened_at, updated_at;
    pst_wall closed_at; /* none = open */
    struct pst_incident_update *updates; /* oldest first: the newest 100 */
    size_t update_count;
};

/* From id, kind, subject, connector, components, impact, state, title, affected, opened_at; with
 * its first update. Fills pk. */
pst_code pst_incidents_add(struct pst_db_conn *conn, struct pst_incident *incident,
                           const struct pst_incident_update *first, struct pst_err *err);

/* A further update; its state becomes the incident's, and RESOLVED closes it (any other opens it
 * again). Errors: NOT_FOUND. */
pst_code pst_incidents_update(struct pst_db_conn *conn, int64_t pk,
                              const struct pst_incident_update *update, struct pst_err *err);

/* Title, components and impact ({NULL, 0} or negative: as it is). Errors: NOT_FOUND. */
pst_code pst_incidents_edit(struct pst_db_conn *conn, int64_t pk, pst_str title, pst_str components,
                            int impact, pst_wall now, struct pst_err *err);

/* With its updates. Errors: NOT_FOUND. */
pst_code pst_incidents_get(struct pst_db_conn *conn, pst_str id, struct pst_arena *arena,
                           struct pst_incident *out, struct pst_err *err);

/* Newest first, before before_pk (0 = from the newest). limit 1..500. */
pst_code pst_incidents_list(struct pst_db_conn *conn, bool open_only, int64_t before_pk,
                            size_t limit, struct pst_arena *arena, struct pst_incident **out,
                            size_t *count, bool *more, struct pst_err *err);

/* What the status page shows: those that are open, however many newer ones there are (at most 500),
 * and behind them those closed since then as long as there are fewer than limit; the newest of
 * either first. */
pst_code pst_incidents_shown(struct pst_db_conn *conn, pst_wall since, size_t limit,
                             struct pst_arena *arena, struct pst_incident **out, size_t *count,
                             struct pst_err *err);

/* The open incident of the detector about that subject of that connector, whatever people made of
 * its components; *pk 0 = there is none. */
pst_code pst_incidents_find_open(struct pst_db_conn *conn, enum pst_incident_kind kind,
                                 pst_str subject, pst_str connector, int64_t *pk,
                                 struct pst_err *err);

/* ---- days ---- */

struct pst_status_day {
    int64_t day; /* since 1970, UTC */
    pst_str component;
    int64_t watched_s, degraded_s, down_s;
};
pst_code pst_status_days_add(struct pst_db_conn *conn, const struct pst_status_day *more,
                             struct pst_err *err);
/* Of all components, from from_day on, by day. At most limit. */
pst_code pst_status_days_list(struct pst_db_conn *conn, int64_t from_day, size_t limit,
                              struct pst_arena *arena, struct pst_status_day **out, size_t *count,
                              struct pst_err *err);

/* The moment up to which days were counted; none = never. */
pst_code pst_status_seen_get(struct pst_db_conn *conn, pst_wall *out, struct pst_err *err);
pst_code pst_status_seen_put(struct pst_db_conn *conn, pst_wall at, struct pst_err *err);

/* Days and closed incidents from before go: one bounded batch. */
pst_code pst_incidents_retain(struct pst_db_conn *conn, pst_wall before, size_t limit, bool *left,
                              struct pst_err *err);

#endif
