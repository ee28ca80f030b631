/* account/account.h: what belongs to an organization as a whole: its sealed secrets, its credits.
 *
 * The root key opens the organizations' data keys (store/accounts.h keeps them wrapped), a data
 * key opens the secrets of one organization. Nothing is kept in memory between calls but the
 * root key, which the caller owns: opening a data key costs one row and about 10 us.
 *
 * Errors of all: as store and crypto. CORRUPT means damaged or foreign bytes, never a
 * customer's wrong password.
 * Thread-safety: as the connection to the store that is passed; the root key may be shared.
 */
#ifndef PST_ACCOUNT_ACCOUNT_H
#define PST_ACCOUNT_ACCOUNT_H

#include "connector/connector.h"
#include "store/accounts.h"
#include "store/credits.h"

/* Whose secret, and where it stands: a secret opens only there. */
struct pst_vault_place {
    int64_t organization_pk;
    pst_str organization_id; /* "org_..." */
    pst_str row_id; /* "conn_..." */
    pst_str field; /* "credentials" */
};

/* Inside a writer job. Makes the organization's data key with its first secret. */
pst_code pst_vault_seal(struct pst_db_conn *conn, const struct pst_key *root,
                        const struct pst_vault_place *place, pst_str plain, pst_wall now,
                        struct pst_arena *arena, pst_str *out, struct pst_err *err);

/* Reader or writer. *out is the caller's. Errors: also NOT_FOUND (the data key is gone). */
pst_code pst_vault_unseal(struct pst_db_conn *conn, const struct pst_key *root,
                          const struct pst_vault_place *place, pst_str sealed,
                          struct pst_secret **out, struct pst_err *err);

/* Whether root is the key of this store; a new store is marked with it. Before threads start.
 * Errors: INVALID (another key: both ids are named), CORRUPT. */
pst_code pst_vault_open(struct pst_db *db, const struct pst_key *root, struct pst_err *err);
/* The same without marking anything (reader); a store that was never opened is OK. */
pst_code pst_vault_check(struct pst_db_conn *conn, const struct pst_key *root, struct pst_err *err);
/* The id of the root key that opens the store (reader); "" for one that was never opened.
 * Errors: CORRUPT. */
pst_code pst_vault_key_id(struct pst_db_conn *conn, char out[PST_KEY_ID_TEXT], struct pst_err *err);

/* Every data key and the mark move to another root key, in one transaction: afterwards only
 * new_root opens the store, before it only old_root. An audit row tells. Offline. *count (may be
 * NULL): data keys. */
pst_code pst_vault_rotate_root(struct pst_db *db, const struct pst_key *old_root,
                               const struct pst_key *new_root, pst_wall now, int64_t *count,
                               struct pst_err *err);

struct pst_data_rotation {
    int64_t organizations; /* whose secrets are sealed with another data key now */
    int64_t secrets; /* sealed anew */
    bool was_resumed; /* an earlier one had been broken off */
};
/* Another data key for one organization (its id or name), or for each that has one (""); its
 * secrets are sealed with it in batches, then the old key goes. Broken off anywhere, every secret
 * opens, and the next call goes on where it was: of all organizations only those are done that the
 * first try did not reach. Audit rows tell. Offline.
 * Errors: also NOT_FOUND (no such organization); CORRUPT names the secret that does not open. */
pst_code pst_vault_rotate_data(struct pst_db *db, const struct pst_key *root, pst_str organization,
                               pst_wall now, struct pst_data_rotation *out, struct pst_err *err);

/* ---- credits ---- */

/* What a connection of this connector takes: its tier, twice when config.deployment (or its
 * default) is on_premises. config: the object, NULL = empty. */
int64_t pst_credits_due(const struct pst_manifest *m, yyjson_val *config);

/* Whether so many more may be taken; giving back (0 and below) always may. Errors: CREDITS. */
pst_code pst_credits_judge(const struct pst_credits *c, int64_t more, struct pst_err *err);
/* The same for an organization of the store. */
pst_code pst_credits_check(struct pst_db_conn *conn, int64_t organization_pk, int64_t more,
                           struct pst_err *err);

/* What a connection shall hold from now on. */
struct pst_credit_wish {
    int64_t organization_pk, connection_pk;
    struct pst_id connection_id;
    int64_t credits;
    const char *reason; /* for the ledger */
    pst_str request_id;
    pst_wall now;
};
/* Inside the writer job that changes the connection: take or give back the difference to what it
 * holds, with a row of the ledger. Errors: CREDITS (the pool is too short: nothing was changed). */
pst_code pst_credits_hold(struct pst_db_conn *conn, const struct pst_credit_wish *wish,
                          struct pst_err *err);

#endif
