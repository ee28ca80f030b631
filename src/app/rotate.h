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

/* Make a key beside the one at `path`, move the store to it, put it in the old one's place; that
 * one stays as <path>.old, or .old.2 and so on: older backups need it, so no old key is replaced.
 * Broken off anywhere, the next start works: with the old key, or by taking the new one over
 * (pst_start_vault). *fresh is the caller's; kept gets the old key's path, *count the data keys
 * that were wrapped anew. Errors: as pst_key_load, pst_key_save, pst_vault_open and pst_db_open. */
pst_code pst_rotate_root_key(struct pst_db *db, const char *path, struct pst_key **fresh,
                             char kept[PATH_MAX], int64_t *count, struct pst_err *err);

/* The last step alone, for a start that finds the store moved: <path>.new takes the place of the
 * key at `path`, which is kept as above. May be repeated. Errors: INVALID (a path too long), IO. */
pst_code pst_rotate_finish(const char *path, char kept[PATH_MAX], struct pst_err *err);

/* pst_vault_rotate_data with the root key of that configuration; a rotation of the root key that
 * was broken off is finished first. Errors: as that, pst_key_load and pst_vault_open. */
pst_code pst_rotate_data_keys(struct pst_db *db, const struct pst_config *config,
                              const struct pst_paths *paths, pst_str organization,
                              struct pst_data_rotation *out, struct pst_err *err);

#endif
