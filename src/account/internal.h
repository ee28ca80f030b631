/* account/internal.h: what the files of account share. Not for other modules. */
#ifndef PST_ACCOUNT_INTERNAL_H
#define PST_ACCOUNT_INTERNAL_H

#include "account/account.h"

/* A new data key, which retires the one in force. Inside a writer job; *out is the caller's. Of
 * place only the organization counts. */
pst_code pst_vault_make_key(struct pst_db_conn *conn, const struct pst_key *root,
                            const struct pst_vault_place *place, pst_wall now,
                            struct pst_arena *arena, struct pst_key **out, struct pst_err *err);

#endif
