/* crypto/internal.h: what the files of crypto share. Not for other modules. */
#ifndef PST_CRYPTO_INTERNAL_H
#define PST_CRYPTO_INTERNAL_H

#include "crypto/crypto.h"

/* Guarded memory of len bytes (see sodium_malloc). Errors: NO_MEMORY. */
pst_code pst_guarded_alloc(void **out, size_t len, struct pst_err *err);
void pst_guarded_free(void *ptr); /* wipes; NULL is a no-op */

/* A secret of len bytes that are filled in by the caller before anyone else sees it. */
pst_code pst_secret_alloc(struct pst_secret **out, size_t len, unsigned char **out_bytes,
                          struct pst_err *err);

/* 32 bytes of key material, copied. Errors: NO_MEMORY. */
pst_code pst_key_from_bytes(struct pst_key **out, const unsigned char *bytes, struct pst_err *err);
const unsigned char *pst_key_bytes(const struct pst_key *key);
const uint8_t *pst_key_raw_id(const struct pst_key *key); /* PST_KEY_ID_BYTES */

#endif
