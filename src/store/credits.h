/* store/credits.h: the pool of an organization, what each connection holds of it, and the ledger.
 *
 * Three places agree at every commit, since only pst_credits_move changes them, all at once:
 * what the organization uses, the sum of what its connections hold, and the sum of its ledger.
 * Who may take how much is decided in account/credits.c.
 *
 * Functions that change something run inside a writer job. Errors of all: as db.h, and NO_MEMORY,
 * LIMIT from the arena. Thread-safety: as the connection to the store that is passed.
 */
#ifndef PST_STORE_CREDITS_H
#define PST_STORE_CREDITS_H

#include "store/connections.h"

struct pst_credits {
    bool has_pool; /* false: without end */
    bool allows_overage; /* connections may take more than there is */
    int64_t pool; /* has_pool */
    int64_t used; /* also more than the pool */
};

/* Errors: NOT_FOUND (no such organization). */
pst_code pst_credits_get(struct pst_db_conn *conn, int64_t organization_pk, struct pst_credits *out,
                         struct pst_err *err);
/* has_pool, allows_overage and pool of c; `used` stays as it is. Errors: NOT_FOUND. */
pst_code pst_credits_set(struct pst_db_conn *conn, int64_t organization_pk,
                         const struct pst_credits *c, struct pst_err *err);
/* What all organizations use together. */
pst_code pst_credits_total(struct pst_db_conn *conn, int64_t *out, struct pst_err *err);

/* What the connection holds. */
pst_code pst_credits_held(struct pst_db_conn *conn, int64_t connection_pk, int64_t *out,
                          struct pst_err *err);

/* One row of the ledger. */
struct pst_credit_entry {
    int64_t pk; /* set by the ledger */
    int64_t organization_pk;
    int64_t connection_pk; /* its row may be gone */
    struct pst_id connection_id;
    pst_wall at;
    int64_t amount; /* taken; negative: given back */
    int64_t overage; /* of the amount, what was beyond the pool then */
    int64_t used; /* of the organization, after it; set by pst_credits_move */
    pst_str reason; /* "created", ... */
    pst_str request_id;
};

/* Book the entry. Errors: NOT_FOUND (no such organization or connection). */
pst_code pst_credits_move(struct pst_db_conn *conn, struct pst_credit_entry *entry,
                          struct pst_err *err);
/* Newest first, before before_pk (0 = from the newest). limit 1..500. */
pst_code pst_credits_ledger(struct pst_db_conn *conn, int64_t organization_pk, int64_t before_pk,
                            size_t limit, struct pst_arena *arena, struct pst_credit_entry **out,
                            size_t *count, bool *more, struct pst_err *err);

/* A connection and what it holds. */
struct pst_credit_holder {
    int64_t pk;
    struct pst_id id;
    pst_str name, connector;
    enum pst_connection_status status;
    int64_t credits; /* 0: none were left, or it needs none */
};
/* All connections of the organization in order of creation, behind after_pk. limit 1..500. */
pst_code pst_credits_holders(struct pst_db_conn *conn, int64_t organization_pk, int64_t after_pk,
                             size_t limit, struct pst_arena *arena, struct pst_credit_holder **out,
                             size_t *count, bool *more, struct pst_err *err);

#endif
