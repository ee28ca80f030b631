/* store/outages.h: what is known of a connection's health beside its status: failures, probes,
 * what was told. A row from the connection's first contact on.
 *
 * Times that measure intervals are kept on the monotonic clock, tied to the wall by the moment at
 * which the row was saved; health/stored.c turns them into those of another boot.
 *
 * Functions that change something run inside a writer job. Errors of all: as db.h.
 * Thread-safety: as the connection to the store that is passed.
 */
#ifndef PST_STORE_OUTAGES_H
#define PST_STORE_OUTAGES_H

#include "store/connections.h"

enum { PST_OUTAGE_CAUSE = 48, PST_OUTAGE_ORIGIN = 300 };

enum pst_outage_kind { PST_OUTAGE_NONE, PST_OUTAGE_ORIGIN_DOWN, PST_OUTAGE_CONNECTION };

struct pst_outage {
    int64_t connection_pk;
    int64_t version; /* 1, 2, ...: of the row; 0 = there is none */
    bool owed; /* a run that catches up is still to be queued */
    int64_t failures; /* contacts that failed in a row */
    pst_wall failing_since; /* the first of them; none = nothing fails */
    enum pst_outage_kind kind;
    int64_t step; /* of the backoff */
    enum pst_connection_status told; /* what was last told; PENDING = nothing yet */
    int64_t hold_ms; /* the hold-down in force */
    pst_wall saved_at;
    pst_mono saved, counted, changed, told_at, tell, probe; /* PST_MONO_NEVER = never */
    char cause[PST_OUTAGE_CAUSE]; /* public code of the last failure, or "" */
    char origin[PST_OUTAGE_ORIGIN]; /* whom the last failure was with, or "" */
};

/* out->version is 0 when there is no row yet. */
pst_code pst_outages_get(struct pst_db_conn *conn, int64_t connection_pk, struct pst_outage *out,
                         struct pst_err *err);

/* Whether contacts failed of late, without reading the rest. */
pst_code pst_outages_is_failing(struct pst_db_conn *conn, int64_t connection_pk, bool *out,
                                struct pst_err *err);

/* Insert or replace; o->version is the one that was read, the stored one is the next. */
pst_code pst_outages_put(struct pst_db_conn *conn, const struct pst_outage *o, struct pst_err *err);

/* The run that catches up was queued, or is not needed. */
pst_code pst_outages_settle(struct pst_db_conn *conn, int64_t connection_pk, struct pst_err *err);

/* Connections of which a probe or an event is due some time, behind after_pk, in order; at most
 * `limit` pks into out, *count of them. For the start. */
pst_code pst_outages_busy(struct pst_db_conn *conn, int64_t after_pk, int64_t *out, size_t limit,
                          size_t *count, struct pst_err *err);

/* Connections that were online once and whose origin is away, behind after_pk, in order: at most
 * `limit` into out. */
struct pst_outage_away {
    int64_t connection_pk;
    char connector[64];
    char origin[PST_OUTAGE_ORIGIN];
};
pst_code pst_outages_away(struct pst_db_conn *conn, int64_t after_pk, struct pst_outage_away *out,
                          size_t limit, size_t *count, struct pst_err *err);

#endif
