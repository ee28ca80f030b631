/* store/connections.h: connections, their settings, status and history.
 *
 * Inside the program a connection is known by its integer pk; its id ("conn_...") is for the
 * API and for record ids. Credentials are sealed bytes (crypto/crypto.h), opened elsewhere.
 *
 * Functions that change something run inside a writer job and notify PST_TOPIC_CONNECTIONS.
 * Text in results lives in the arena. Errors of all: as db.h, and NO_MEMORY, LIMIT.
 * Thread-safety: as the connection to the store that is passed.
 */
#ifndef PST_STORE_CONNECTIONS_H
#define PST_STORE_CONNECTIONS_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"
#include "store/sealed.h"

enum pst_connection_status {
    PST_CONNECTION_PENDING, /* created, never reached */
    PST_CONNECTION_ONLINE,
    PST_CONNECTION_OFFLINE,
    PST_CONNECTION_AUTHENTICATION_REQUIRED,
    PST_CONNECTION_INACTIVE, /* switched off by the user */
};

const char *pst_connection_status_name(enum pst_connection_status status); /* "pending" */
bool pst_connection_status_parse(enum pst_connection_status *out, pst_str name);

struct pst_connection {
    int64_t pk;
    struct pst_id id;
    int64_t organization_pk;
    struct pst_id organization_id;
    pst_str name;
    pst_str connector; /* "peoplesoft" */
    pst_str config; /* JSON object */
    pst_str credentials; /* sealed; "" = none */
    pst_str schedule; /* "15m", or a cron expression with its zone; "" = never by itself */
    int64_t history_days; /* 0 = everything */
    pst_str entities; /* JSON array of names; "[]" = every entity of the connector */
    pst_str metadata; /* JSON object */
    pst_str mapping; /* JSON object: entity -> overrides */
    bool serve_stale;
    bool initial_sync_done; /* a first full sync has completed */
    enum pst_connection_status status;
    pst_wall status_since;
    pst_str status_reason; /* "" or words for people */
    int64_t last_seq; /* newest change */
    int64_t version; /* 1, 2, ...: raised by every change of settings, credentials, mapping */
    pst_wall next_run_at; /* of the schedule; none = not planned */
    pst_wall last_tick_at; /* the tick that was last turned into a sync; none = never */
    pst_wall created_at, updated_at;
    pst_wall deleted_at; /* none = it exists */
    bool purge; /* deleted, and its data shall go too */
};

/* The same number as long as the stored credentials are the same ones. */
uint64_t pst_connection_credentials_mark(const struct pst_connection *c);

/* From c: everything but pk, organization_id, last_seq, version, updated_at, deleted_at, purge
 * and the times of the schedule. status is PENDING or INACTIVE, status_since created_at.
 * Writes the first history row, caused by request_id; fills pk. Errors: CONFLICT (the id exists, or
 * there is no such organization). */
pst_code pst_connections_create(struct pst_db_conn *conn, struct pst_connection *c,
                                pst_str request_id, struct pst_err *err);

/* By id within an organization (organization_pk 0 = any). Deleted ones are NOT_FOUND. */
pst_code pst_connections_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                             struct pst_arena *arena, struct pst_connection *out,
                             struct pst_err *err);
/* The same including deleted ones, for `?purge=true`. */
pst_code pst_connections_get_deleted(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                                     struct pst_arena *arena, struct pst_connection *out,
                                     struct pst_err *err);
pst_code pst_connections_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                                struct pst_connection *out, struct pst_err *err);

/* initial_sync_done alone; true also when there is no such connection. */
pst_code pst_connections_is_read(struct pst_db_conn *conn, int64_t pk, bool *out,
                                 struct pst_err *err);

/* In order of creation, behind after_pk (0 = from the start), without deleted ones.
 * organization_pk 0 = all organizations (the scheduler at start). limit 1..500. */
pst_code pst_connections_list(struct pst_db_conn *conn, int64_t organization_pk, int64_t after_pk,
                              size_t limit, struct pst_arena *arena, struct pst_connection **out,
                              size_t *count, bool *more, struct pst_err *err);

/* Only what the scheduler needs, for stores of 100,000 connections: calls row for every
 * connection that is not deleted; the slices are valid during the call. */
struct pst_connection_plan {
    int64_t pk;
    struct pst_id id;
    pst_str schedule;
    enum pst_connection_status status;
    bool initial_sync_done;
    bool owed; /* it is back, and a run has to catch up (store/outages.h) */
    bool has_own_run; /* pst_syncs_has_own; kept by pst_connections_plan only */
    int64_t version;
    pst_wall created_at, next_run_at, last_tick_at;
};
pst_code pst_connections_plan(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                              pst_code (*row)(void *self, const struct pst_connection_plan *plan,
                                              struct pst_err *err),
                              void *self, bool *more, struct pst_err *err);

/* A patch: only what has its flag is written. */
struct pst_connection_patch {
    bool set_name, set_config, set_credentials, set_schedule, set_history_days, set_entities,
        set_metadata, set_mapping, set_serve_stale;
    pst_str name, config, credentials, schedule, entities, metadata, mapping;
    int64_t history_days;
    bool serve_stale;
};
/* Raises version and updated_at. Errors: NOT_FOUND (deleted meanwhile), CONFLICT when
 * if_version is not 0 and not the stored one. */
pst_code pst_connections_patch(struct pst_db_conn *conn, int64_t pk,
                               const struct pst_connection_patch *patch, int64_t if_version,
                               pst_wall now, struct pst_err *err);

/* Write a new status with its history row; when status is the stored one, only the reason is
 * written (and *changed is false). changed may be NULL. An INACTIVE connection only leaves that
 * status for PENDING. Errors: NOT_FOUND, CONFLICT. */
pst_code pst_connections_set_status(struct pst_db_conn *conn, int64_t pk,
                                    enum pst_connection_status status, pst_str reason,
                                    pst_str request_id, pst_wall now, bool *changed,
                                    struct pst_err *err);

/* What the scheduler decided; does not raise version and notifies nobody. */
pst_code pst_connections_set_plan(struct pst_db_conn *conn, int64_t pk, pst_wall next_run_at,
                                  pst_wall last_tick_at, struct pst_err *err);

/* Credentials of an organization that are sealed with another data key than key_id, behind
 * after_pk; at most limit, fewer only at the end. limit 1..500. */
pst_code pst_connections_sealed(struct pst_db_conn *conn, int64_t organization_pk, pst_str key_id,
                                int64_t after_pk, size_t limit, struct pst_arena *arena,
                                struct pst_sealed **out, size_t *count, struct pst_err *err);

/* Replace the sealed credentials without raising version (a rotation of keys).
 * Errors: CONFLICT when they are no longer `before`. */
pst_code pst_connections_reseal(struct pst_db_conn *conn, int64_t pk, pst_str before, pst_str after,
                                struct pst_err *err);

/* Mark deleted: no longer listed, its tokens and webhooks do not work, credentials are erased,
 * queued syncs are cancelled and running ones end at their next page. Data stays unless purge.
 * Again with purge, after it was deleted, is allowed. Errors: NOT_FOUND. */
pst_code pst_connections_delete(struct pst_db_conn *conn, int64_t pk, bool purge, pst_wall now,
                                struct pst_err *err);

/* Remove at most `limit` rows of what belongs to connections marked for purging, last of all
 * the connection itself; *left tells whether more remains. Call until false. */
pst_code pst_connections_purge(struct pst_db_conn *conn, size_t limit, bool *left,
                               struct pst_err *err);

/* ---- history ---- */

struct pst_connection_event {
    int64_t pk;
    pst_wall at;
    enum pst_connection_status status;
    pst_str reason;
    pst_str request_id;
};
/* Newest first, before before_pk (0 = from the newest). limit 1..500. */
pst_code pst_connections_history(struct pst_db_conn *conn, int64_t connection_pk, int64_t before_pk,
                                 size_t limit, struct pst_arena *arena,
                                 struct pst_connection_event **out, size_t *count, bool *more,
                                 struct pst_err *err);

#endif
