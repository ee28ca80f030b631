/* store/endpoints.h: webhook endpoints: what a user set, and what deliveries made of it.
 *
 * Secrets and custom headers are sealed bytes here (account/account.h opens them, in the place
 * {organization, endpoint id, "secrets" or "headers"}).
 *
 * Functions that change something run inside a writer job and, where it says so, notify
 * pst_topic_endpoint. Text in results lives in the arena. Errors of all: as db.h, and NO_MEMORY,
 * LIMIT.
 * Thread-safety: as the connection that is passed.
 */
#ifndef PST_STORE_ENDPOINTS_H
#define PST_STORE_ENDPOINTS_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"
#include "store/sealed.h"

/* How the endpoint fares; pst_hook_step (webhook/plan.h) decides, the dispatcher writes. */
struct pst_endpoint_health {
    int64_t failures; /* in a row, of all its deliveries */
    pst_wall failing_since; /* the first of them; none = the last attempt succeeded */
    pst_wall
        open_since; /* the breaker is open since; none = closed; open while it is switched off */
    pst_wall probe_at; /* open: when the next attempt may be made */
    int64_t open_step; /* attempts since it opened */
    int64_t open_us; /* how long it was open in all, up to open_since */
    pst_wall disabled_at; /* by us; none = it is not */
    pst_str disabled_reason; /* "gone" (410), "failing" (3 days), or "" */
    pst_wall last_success_at, last_failure_at;
    pst_str last_error; /* words of the last failure; "" after a success */
};

enum pst_endpoint_signing { PST_SIGNING_HMAC, PST_SIGNING_ED25519 };
const char *pst_endpoint_signing_name(enum pst_endpoint_signing signing); /* "hmac", "ed25519" */
bool pst_endpoint_signing_parse(enum pst_endpoint_signing *out, pst_str name);

struct pst_endpoint {
    int64_t pk;
    struct pst_id id; /* "whk_..." */
    int64_t organization_pk;
    struct pst_id organization_id; /* set by reads */
    int64_t connection_pk; /* 0 = organization-wide */
    struct pst_id connection_id; /* set by reads; "" then */
    pst_str url;
    pst_str description;
    pst_str events; /* "*", or types separated by single blanks; "" = none */
    bool enabled;
    bool ordered; /* one lane per connection; false: each delivery for itself */
    int64_t rate_limit; /* deliveries a second, 0 = none */
    int64_t timeout_ms;
    int64_t horizon_ms; /* how long an event is tried */
    enum pst_endpoint_signing signing;
    pst_str headers; /* sealed JSON object of name -> value; "" = none */
    pst_str secrets; /* sealed JSON array, newest first: [{"secret":"whsec_...","until":null}, ...];
                        "until" (RFC 3339): it signs no more from then on */
    pst_str public_keys; /* JSON array of "whpk_..." of the secrets, for ed25519; else "[]" */
    int64_t version; /* 1, 2, ...: raised by every change of what a user set */
    pst_wall created_at, updated_at;
    pst_wall deleted_at; /* none = it exists */
    struct pst_endpoint_health health;
};

/* From e: everything but pk, version and health. Fills pk. Notifies. Errors: CONFLICT. */
pst_code pst_endpoints_create(struct pst_db_conn *conn, struct pst_endpoint *e,
                              struct pst_err *err);

/* By id within an organization (0 = any). Deleted ones are NOT_FOUND. */
pst_code pst_endpoints_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                           struct pst_arena *arena, struct pst_endpoint *out, struct pst_err *err);
/* Deleted ones too. */
pst_code pst_endpoints_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                              struct pst_endpoint *out, struct pst_err *err);

/* In order of creation, behind after_pk. connection_pk -1: all of the organization; 0: the
 * organization-wide ones; else what applies to that connection: its own and the organization-wide
 * ones. limit 1..500. */
pst_code pst_endpoints_list(struct pst_db_conn *conn, int64_t organization_pk,
                            int64_t connection_pk, int64_t after_pk, size_t limit,
                            struct pst_arena *arena, struct pst_endpoint **out, size_t *count,
                            bool *more, struct pst_err *err);

/* How many the organization has. */
pst_code pst_endpoints_count(struct pst_db_conn *conn, int64_t organization_pk, int64_t *out,
                             struct pst_err *err);

/* Write what a user set (url .. public_keys; not organization, connection, signing) as it stands
 * in e; raises version and updated_at = now. Switching on (enabled, where it was off; or without
 * health.disabled_at, where it was disabled), or another url of one that is not disabled, also
 * closes the breaker, clears disabled_*, failures and failing_since, and begins to make what waits
 * due (one pst_deliveries_hasten of 500; the dispatcher goes on, so that no commit grows with what
 * waits). Notifies. Errors: NOT_FOUND, CONFLICT (e->version is not the stored one). */
pst_code pst_endpoints_update(struct pst_db_conn *conn, const struct pst_endpoint *e, pst_wall now,
                              struct pst_err *err);

/* What waits is not sent any more; its secrets and headers are erased. Notifies. Errors:
 * NOT_FOUND. */
pst_code pst_endpoints_delete(struct pst_db_conn *conn, int64_t pk, pst_wall now,
                              struct pst_err *err);

/* Write the health; nothing else changes, nobody is notified. version: of the endpoint that it was
 * learned of. Errors: NOT_FOUND (deleted), CONFLICT (a user has changed it since, and perhaps
 * switched it on). */
pst_code pst_endpoints_set_health(struct pst_db_conn *conn, int64_t pk, int64_t version,
                                  const struct pst_endpoint_health *health, struct pst_err *err);

/* For a rotation of keys: sealed secrets (headers) of an organization that another key than key_id
 * sealed, by pk, behind after_pk; and replacing them without raising version: CONFLICT when they
 * are no longer `before`. */
pst_code pst_endpoints_sealed_secrets(struct pst_db_conn *conn, int64_t organization_pk,
                                      pst_str key_id, int64_t after_pk, size_t limit,
                                      struct pst_arena *arena, struct pst_sealed **out,
                                      size_t *count, struct pst_err *err);
pst_code pst_endpoints_sealed_headers(struct pst_db_conn *conn, int64_t organization_pk,
                                      pst_str key_id, int64_t after_pk, size_t limit,
                                      struct pst_arena *arena, struct pst_sealed **out,
                                      size_t *count, struct pst_err *err);
pst_code pst_endpoints_reseal_secrets(struct pst_db_conn *conn, int64_t pk, pst_str before,
                                      pst_str after, struct pst_err *err);
pst_code pst_endpoints_reseal_headers(struct pst_db_conn *conn, int64_t pk, pst_str before,
                                      pst_str after, struct pst_err *err);

/* ---- what a connection chose of an organization-wide endpoint ---- */

/* events as in struct pst_endpoint; is_default removes the choice. It holds for events to come. */
pst_code pst_endpoints_choose(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t connection_pk,
                              pst_str events, bool is_default, struct pst_err *err);
/* *chosen false: there is none, the endpoint's own events hold. */
pst_code pst_endpoints_choice(struct pst_db_conn *conn, int64_t endpoint_pk, int64_t connection_pk,
                              struct pst_arena *arena, pst_str *events, bool *chosen,
                              struct pst_err *err);

/* For metrics and doctor. */
struct pst_endpoint_totals {
    int64_t endpoints, disabled, failing; /* that exist; disabled by us; with failing_since */
};
pst_code pst_endpoints_totals(struct pst_db_conn *conn, struct pst_endpoint_totals *out,
                              struct pst_err *err);

#endif
