/* store/accounts.h: organizations, who may call (API keys, connection tokens), the audit log,
 * wrapped data keys and the store's own facts.
 *
 * Secrets are not seen here: of a key or token only its SHA-256 is kept, data keys are stored
 * as crypto/crypto.h wrapped them.
 *
 * Functions that change something run inside a writer job. Text in results lives in the arena.
 * Errors of all: as db.h, and NO_MEMORY, LIMIT from the arena.
 * Thread-safety: as the connection that is passed.
 */
#ifndef PST_STORE_ACCOUNTS_H
#define PST_STORE_ACCOUNTS_H

#include "base/arena.h"
#include "base/id.h"
#include "crypto/crypto.h"
#include "db/db.h"
#include "store/credits.h"

/* ---- organizations ---- */

struct pst_organization {
    int64_t pk;
    struct pst_id id; /* "org_..." */
    pst_str name;
    pst_wall created_at;
    struct pst_credits credits;
};

/* Writes id, name and created_at. Fills out->pk. Errors: CONFLICT (the id exists). */
pst_code pst_organizations_create(struct pst_db_conn *conn, struct pst_organization *org,
                                  struct pst_err *err);
/* Errors: NOT_FOUND. */
pst_code pst_organizations_get(struct pst_db_conn *conn, pst_str id, struct pst_arena *arena,
                               struct pst_organization *out, struct pst_err *err);
/* The same by internal key. Errors: NOT_FOUND. */
pst_code pst_organizations_get_pk(struct pst_db_conn *conn, int64_t pk, struct pst_arena *arena,
                                  struct pst_organization *out, struct pst_err *err);
/* In order of creation, behind after_pk (0 = from the start); *more: there are further ones.
 * limit 1..500. */
pst_code pst_organizations_list(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                                struct pst_arena *arena, struct pst_organization **out,
                                size_t *count, bool *more, struct pst_err *err);

/* ---- API keys and connection tokens ---- */

enum pst_role {
    PST_ROLE_VIEWER,
    PST_ROLE_DEVELOPER,
    PST_ROLE_ADMIN
}; /* each includes those before */

const char *pst_role_name(enum pst_role role); /* "viewer" */
bool pst_role_parse(enum pst_role *out, pst_str name);

/* One table holds both kinds; a connection token has connection_pk and the role VIEWER. */
struct pst_access {
    int64_t pk;
    struct pst_id id; /* "key_..." */
    int64_t organization_pk;
    struct pst_id organization_id;
    int64_t connection_pk; /* 0 = an API key */
    struct pst_id connection_id; /* "" for an API key */
    uint8_t hash[PST_SHA256_BYTES];
    pst_str hint; /* "psk_01234567" */
    pst_str name;
    enum pst_role role;
    pst_wall created_at;
    pst_wall last_used_at; /* to the minute; none = never */
    pst_wall revoked_at; /* none = valid */
};

/* From access: id, organization_pk, connection_pk, hash, hint, name, role, created_at. Fills pk.
 * Errors: CONFLICT. */
pst_code pst_accesses_create(struct pst_db_conn *conn, struct pst_access *access,
                             struct pst_err *err);
/* By the hash of what was presented; revoked ones and those of deleted connections are not
 * found. *found false when there is none. */
pst_code pst_accesses_find(struct pst_db_conn *conn, const uint8_t hash[PST_SHA256_BYTES],
                           struct pst_arena *arena, struct pst_access *out, bool *found,
                           struct pst_err *err);
/* Of one organization, all (connection_pk -1), its API keys (0) or one connection's tokens;
 * in order of creation, behind after_pk. limit 1..500. */
pst_code pst_accesses_list(struct pst_db_conn *conn, int64_t organization_pk, int64_t connection_pk,
                           int64_t after_pk, size_t limit, struct pst_arena *arena,
                           struct pst_access **out, size_t *count, bool *more, struct pst_err *err);
/* Revoking again changes nothing. Errors: NOT_FOUND. */
pst_code pst_accesses_revoke(struct pst_db_conn *conn, int64_t organization_pk, pst_str id,
                             pst_wall now, struct pst_err *err);
/* Meant to be called at most once a minute per key: the caller remembers what it touched. */
pst_code pst_accesses_touch(struct pst_db_conn *conn, int64_t pk, pst_wall now,
                            struct pst_err *err);

/* ---- audit ---- */

struct pst_audit {
    int64_t pk; /* set by list */
    int64_t organization_pk; /* 0 = the operator's, of no organization */
    pst_wall at;
    pst_str actor; /* "key_...", "operator" */
    pst_str action; /* "connection.create" */
    pst_str object; /* id of what was changed, or "" */
    pst_str request_id;
    pst_str detail; /* JSON object, never a secret; "" = {} */
};

pst_code pst_audit_add(struct pst_db_conn *conn, const struct pst_audit *entry,
                       struct pst_err *err);
/* Newest first, before before_pk (0 = from the newest). limit 1..500. */
pst_code pst_audit_list(struct pst_db_conn *conn, int64_t organization_pk, int64_t before_pk,
                        size_t limit, struct pst_arena *arena, struct pst_audit **out,
                        size_t *count, bool *more, struct pst_err *err);

/* ---- wrapped data keys ---- */

struct pst_data_key {
    int64_t pk;
    int64_t organization_pk;
    struct pst_id organization_id;
    pst_str key_id; /* hex, as pst_key_id gives it */
    pst_str wrapped; /* under the root key */
    pst_wall created_at;
    pst_wall retired_at; /* none = the one that seals new secrets */
};

/* Adds a key and retires the ones before it. Fills pk. */
pst_code pst_data_keys_add(struct pst_db_conn *conn, struct pst_data_key *key, struct pst_err *err);
/* The key that seals now (key_id ""), or the one with that id. Errors: NOT_FOUND. */
pst_code pst_data_keys_get(struct pst_db_conn *conn, int64_t organization_pk, pst_str key_id,
                           struct pst_arena *arena, struct pst_data_key *out, struct pst_err *err);
/* All keys of all organizations, by pk, behind after_pk: what a rotation walks. */
pst_code pst_data_keys_list(struct pst_db_conn *conn, int64_t after_pk, size_t limit,
                            struct pst_arena *arena, struct pst_data_key **out, size_t *count,
                            bool *more, struct pst_err *err);
/* The same key under another root key. Errors: NOT_FOUND. */
pst_code pst_data_keys_rewrap(struct pst_db_conn *conn, int64_t pk, pst_str wrapped,
                              struct pst_err *err);
/* The oldest retired key of an organization; 0 = there is none. */
pst_code pst_data_keys_retired(struct pst_db_conn *conn, int64_t organization_pk, int64_t *pk,
                               struct pst_err *err);
/* Only a retired key that seals nothing any more. Errors: CONFLICT, NOT_FOUND. */
pst_code pst_data_keys_remove(struct pst_db_conn *conn, int64_t pk, struct pst_err *err);

/* ---- facts of the store: "canary", ... ---- */

/* *found false, and an empty value, when there is none. */
pst_code pst_meta_get(struct pst_db_conn *conn, pst_str name, struct pst_arena *arena, pst_str *out,
                      bool *found, struct pst_err *err);
pst_code pst_meta_put(struct pst_db_conn *conn, pst_str name, pst_str value, struct pst_err *err);

#endif
