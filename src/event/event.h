/* event/event.h: what Penstock tells about: the types of events, their schemas and samples, and
 * writing them into the outbox (store/events.h) inside the caller's transaction.
 *
 * An event's body is {"id","type","timestamp","organization_id","connection_id","data"}; `data` has
 * the type's shape (types.c: JSON Schema, version, a sample). A shape only grows: members may be
 * added, none removed or changed, else the type's version is raised.
 *
 * Event ids are UUIDv7 made of the event's time and a hash of what it tells, so telling the same
 * thing twice is a CONFLICT, not a second event.
 *
 * Thread-safety: as the connection that is passed; the tables are constant.
 */
#ifndef PST_EVENT_EVENT_H
#define PST_EVENT_EVENT_H

#include "store/connections.h"
#include "store/events.h"
#include "store/syncs.h"

/* ---- types ---- */

struct pst_event_type {
    const char *name; /* "sync.completed"; "flow.*" stands for all names of Flows */
    int version; /* 1, 2, ... of the shape of `data` */
    bool of_connection; /* always tells about one connection */
    const char *description; /* one sentence */
    const char *schema; /* JSON Schema (2020-12) of `data` */
    const char *sample; /* JSON of `data` */
};
extern const struct pst_event_type pst_event_types[];
extern const size_t pst_event_type_count;

/* The type that name is, "flow.anything" included; NULL: there is none. */
const struct pst_event_type *pst_event_type_find(pst_str name);

/* Schema of a whole body of that type, as JSON. */
void pst_event_schema(struct pst_buf *out, const struct pst_event_type *type);

/* ---- telling; inside a writer job ---- */

/* Of runs that ended (whoever ended them) and are not told yet: sync.completed or sync.failed, and
 * records.changed for what the run committed, cancelled ones included. Called at the end of every
 * job that may have ended a run of that connection. */
pst_code pst_event_tell_syncs(struct pst_db_conn *conn, int64_t connection_pk, pst_wall now,
                              struct pst_err *err);

/* connection.online, connection.offline or connection.authentication_required; nothing for other
 * statuses, nor of a connection that is gone. What is stored is not looked at: health decides what
 * is told, and when (hold-down). */
struct pst_event_status {
    enum pst_connection_status status;
    enum pst_connection_status previous; /* that was told before, or that it had */
    pst_wall since; /* of the status, which may be before now */
    int64_t tries; /* contacts that failed in a row */
    pst_str code; /* public code of the failure, "" = none */
    pst_str reason; /* for people */
    pst_str request_id; /* that brought it to light, "" = none */
};
pst_code pst_event_tell_status(struct pst_db_conn *conn, int64_t connection_pk,
                               const struct pst_event_status *status, pst_wall now,
                               struct pst_err *err);

/* system.error: something that people have to look at. */
struct pst_event_trouble {
    int64_t organization_pk;
    int64_t connection_pk; /* 0 = none */
    pst_code code;
    pst_str message; /* for people */
    pst_str webhook_id; /* the endpoint it is about, "" = none */
    pst_str request_id; /* "" = none */
};
pst_code pst_event_tell_trouble(struct pst_db_conn *conn, const struct pst_event_trouble *trouble,
                                pst_wall now, struct pst_err *err);

/* schema.changed: columns of one entity's source that came, went or changed their type. */
struct pst_event_column {
    pst_str name;
    pst_str before, after; /* types; before "" = it came, after "" = it went */
};
pst_code pst_event_tell_schema(struct pst_db_conn *conn, int64_t connection_pk, const char *entity,
                               const struct pst_event_column *columns, size_t count, pst_wall now,
                               struct pst_err *err);

/* A sample of a type ("flow.x" included) for organization and connection (0 = none), written as
 * a sample event; *out gets it. unique: makes its id, any bytes not used before.
 * Errors: also INVALID (no such type). */
pst_code pst_event_add_sample(struct pst_db_conn *conn, int64_t organization_pk,
                              int64_t connection_pk, pst_str type, pst_str unique, pst_wall now,
                              struct pst_arena *arena, struct pst_event *out, struct pst_err *err);

#endif
