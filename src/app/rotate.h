/* app/rotate.h: another root key, or other data keys, for a store that no server has open.
 *
 * Thread-safety: as the store, which no writer thread serves.
 */
#ifndef PST_APP_ROTATE_H
#define PST_APP_ROTATE_H

#include <limits.h>

#include "account/account.h"
#include "app/settings.h"
#include "db/db.h"

struct pst_root_rotation {
    int64_t count; /* data keys that were wrapped anew */
    bool was_resumed; /* an earlier one that was broken off was finished, and no key made */
    char kept[PATH_MAX]; /* where the old key is kept */
};

/* Make a key beside the one at `path`, move the store to it, put it in the old one's place; that
 * one stays as <path>.old, or .old.2 and so on: older backups need it, so no old key is replaced.
 * Broken off anywhere, the next start works: with the old key, or by taking the new one over
 * (pst_start_vault); and so does the next call. *fresh is the caller's. Errors: as pst_key_load,
 * pst_key_save, pst_vault_open, pst_rotate_finish and pst_db_open. */
pst_code pst_rotate_root_key(struct pst_db *db, const char *path, struct pst_key **fresh,
                             struct pst_root_rotation *out, struct pst_err *err);

/* The last step alone, for a store that the key at `path` did not open (err says so): where a
 * rotation was broken off that had moved it, <path>.new opens it and takes the other's place, which
 * is kept as above. *out is the caller's. May be repeated. Errors: err as it was (there is no such
 * file); INVALID (nor does that one open it), as pst_key_load, pst_vault_open, and IO. */
pst_code pst_rotate_finish(struct pst_db *db, const char *path, struct pst_key **out,
                           char kept[PATH_MAX], struct pst_err *err);

/* pst_vault_rotate_data with the root key of that configuration; a rotation of the root key that
 * was broken off is finished first. Errors: as that, pst_key_load and pst_vault_open. */
pst_code pst_rotate_data_keys(struct pst_db *db, const struct pst_config *config,
                              const struct pst_paths *paths, pst_str organization,
                              struct pst_data_rotation *out, struct pst_err *err);

#endif
