/* crypto/crypto.h: the one door to libsodium: record ids, digests, signatures, tokens, sealed
 * secrets.
 *
 * Secrets. `struct pst_secret` and `struct pst_key` are opaque and live in guarded memory that
 * is wiped on release; no formatter takes them, and pst_secret_expose() is the only way to see
 * the bytes (search for it to review every use).
 *
 * Sealing (envelope): the root key (32 bytes, outside the database) wraps one data key per
 * organization; a data key seals secrets. Everything is XChaCha20-Poly1305 with a random
 * 24-byte nonce; the associated data is format | organization | row id | field | key id, each
 * with its length, so that a ciphertext opens only in the place it was made for.
 * Layout of sealed bytes: 1 format (0x01), 16 key id, 24 nonce, ciphertext, 16 tag.
 *
 * This module keeps nothing and stores nothing: rows belong to `store`.
 * Thread-safety: pst_crypto_init once, before anything else here; then any thread. Keys and
 * secrets are immutable after they were made, so they may be shared.
 */
#ifndef PST_CRYPTO_CRYPTO_H
#define PST_CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/id.h"
#include "base/str.h"

/* Errors: INTERNAL. May be called again. */
pst_code pst_crypto_init(struct pst_err *err);

/* ---- digests ---------------------------------------------------------------------------- */

enum { PST_SHA256_BYTES = 32 };

/* "rec_..." of a record: BLAKE2b-128 over the three parts, each preceded by its length as 8
 * little-endian bytes, so that no two triples share an id by shifting a border. */
void pst_record_id_raw(uint8_t out[PST_ID_RAW], pst_str connection_id, pst_str entity,
                       pst_str source_id);
struct pst_id pst_record_id(pst_str connection_id, pst_str entity, pst_str source_id);

/* BLAKE2b-256: as good, and several times faster; for what is not kept. */
enum { PST_BLAKE2B_BYTES = 32 };
void pst_blake2b(uint8_t out[PST_BLAKE2B_BYTES], pst_str bytes);

void pst_sha256(uint8_t out[PST_SHA256_BYTES], pst_str bytes);

/* HMAC-SHA256 over the parts as if they were one text; any key length. */
void pst_hmac_sha256(uint8_t out[PST_SHA256_BYTES], pst_str key, const pst_str *parts,
                     size_t part_count);

/* Equal bytes, in a time that depends on len only. */
bool pst_bytes_equal(const void *a, const void *b, size_t len);

/* ---- text forms ------------------------------------------------------------------------- */

/* Lower case; out has 2 * len + 1 bytes. */
void pst_hex_encode(char *out, const uint8_t *bytes, size_t len);

/* ---- secrets in memory ------------------------------------------------------------------ */

struct pst_secret;

enum { PST_SECRET_MAX = 1 << 20 };

/* Copy bytes (at most PST_SECRET_MAX). The caller wipes its own copy with pst_wipe.
 * Errors: LIMIT, NO_MEMORY. */
pst_code pst_secret_new(struct pst_secret **out, pst_str bytes, struct pst_err *err);
/* The bytes; valid as long as s is. NUL-terminated behind the length. */
pst_str pst_secret_expose(const struct pst_secret *s);
void pst_secret_free(struct pst_secret *s); /* wipes; NULL is a no-op */
PST_DEFINE_AUTO(secret, struct pst_secret, pst_secret_free);

/* Overwrite with zeros in a way the compiler keeps. */
void pst_wipe(void *ptr, size_t len);

/* len random bytes. Errors: LIMIT, NO_MEMORY. */
pst_code pst_secret_random(struct pst_secret **out, size_t len, struct pst_err *err);
/* prefix and the bytes as base 64 with padding. Errors: LIMIT, NO_MEMORY. */
pst_code pst_secret_encode(struct pst_secret **out, pst_str prefix, pst_str bytes,
                           struct pst_err *err);
/* The bytes of base 64 text, in a time that depends on its length only; strict as
 * pst_base64_decode. Errors: INVALID, LIMIT, NO_MEMORY. */
pst_code pst_secret_decode(struct pst_secret **out, pst_str text, struct pst_err *err);

/* ---- signatures: ed25519 (RFC 8032) ------------------------------------------------------- */

enum { PST_ED25519_SECRET = 64, PST_ED25519_PUBLIC = 32, PST_ED25519_SIGNATURE = 64 };

/* A new secret key: 32 bytes of seed and the public key. Errors: NO_MEMORY. */
pst_code pst_ed25519_new(struct pst_secret **out, struct pst_err *err);
/* The public key that belongs to the seed; false when the bytes are no secret key, or its halves
 * do not fit. */
bool pst_ed25519_public(uint8_t out[PST_ED25519_PUBLIC], pst_str secret);
/* secret: one that pst_ed25519_public takes. */
void pst_ed25519_sign(uint8_t out[PST_ED25519_SIGNATURE], const struct pst_secret *secret,
                      pst_str message);

/* ---- API keys and connection tokens ----------------------------------------------------- */

enum pst_token_kind { PST_TOKEN_API_KEY /* psk_ */, PST_TOKEN_CONNECTION /* pct_ */ };

enum {
    PST_TOKEN_LEN = 4 + 52 + 6, /* prefix, 256 bits in Crockford base 32, checksum */
    PST_TOKEN_HINT = 12, /* prefix and the first 8 characters, shown in lists */
};

struct pst_token {
    enum pst_token_kind kind;
    uint8_t hash[PST_SHA256_BYTES]; /* SHA-256 of the text: what the store keeps and looks up */
    char hint[PST_TOKEN_HINT + 1]; /* "psk_01234567"; not secret */
};

/* A new token; *out_text is shown once and then forgotten. Errors: NO_MEMORY. */
pst_code pst_token_new(enum pst_token_kind kind, struct pst_token *out,
                       struct pst_secret **out_text, struct pst_err *err);

/* Shape and checksum of a presented token, and its hash. false for anything else, without
 * touching the store: mistyped and cut tokens are told apart from unknown ones for free. */
bool pst_token_parse(struct pst_token *out, pst_str text);

/* Whether the presented token is the stored one; constant time. */
bool pst_token_matches(const struct pst_token *presented, const uint8_t stored[PST_SHA256_BYTES]);

/* ---- keys ------------------------------------------------------------------------------- */

struct pst_key;

enum {
    PST_KEY_BYTES = 32,
    PST_KEY_ID_BYTES = 16,
    PST_KEY_ID_TEXT = 33, /* hex with NUL */
    PST_SEAL_OVERHEAD = 1 + PST_KEY_ID_BYTES + 24 + 16,
};

pst_code pst_key_generate(struct pst_key **out, struct pst_err *err); /* NO_MEMORY */

/* 32 bytes as base 64 (44 characters; surrounding white space is allowed).
 * Errors: INVALID, NO_MEMORY. */
pst_code pst_key_from_text(struct pst_key **out, pst_str text, struct pst_err *err);

/* Read a key file (base 64, one line). A file that group or others may read is refused.
 * Errors: NOT_FOUND, DENIED, INVALID, IO, NO_MEMORY. */
pst_code pst_key_load(struct pst_key **out, const char *path, struct pst_err *err);

/* Write a key file, mode 0600; never replaces one. Errors: CONFLICT, DENIED, DISK_FULL, IO. */
pst_code pst_key_save(const struct pst_key *key, const char *path, struct pst_err *err);

/* First start: load path, or make a key and save it there; *out_created says which. */
pst_code pst_key_load_or_create(struct pst_key **out, const char *path, bool *out_created,
                                struct pst_err *err);

/* Names the key without giving it away (a keyed digest): 32 hex digits. */
const char *pst_key_id(const struct pst_key *key);

void pst_key_free(struct pst_key *key); /* wipes; NULL is a no-op */
PST_DEFINE_AUTO(key, struct pst_key, pst_key_free);

/* ---- sealing ---------------------------------------------------------------------------- */

/* Where a secret stands. All parts are borrowed for the call; any may be empty. */
struct pst_seal_place {
    pst_str organization_id;
    pst_str row_id;
    pst_str field;
};

/* Sealed bytes in the arena, PST_SEAL_OVERHEAD longer than plain.
 * Errors: LIMIT (plain above PST_SECRET_MAX), NO_MEMORY. */
pst_code pst_seal(struct pst_arena *a, pst_str *out, const struct pst_key *key,
                  const struct pst_seal_place *place, pst_str plain, struct pst_err *err);

/* Errors: CORRUPT (not sealed bytes, sealed with another key, for another place, or changed;
 * the text says which can be told), NO_MEMORY. */
pst_code pst_unseal(struct pst_secret **out, const struct pst_key *key,
                    const struct pst_seal_place *place, pst_str sealed, struct pst_err *err);

/* The id of the key that sealed these bytes; false when they are not sealed bytes. */
bool pst_seal_key_id(char out[PST_KEY_ID_TEXT], pst_str sealed);

/* Open with one key and seal with another, for the same place. Errors: as both. */
pst_code pst_reseal(struct pst_arena *a, pst_str *out, const struct pst_key *from,
                    const struct pst_key *to, const struct pst_seal_place *place, pst_str sealed,
                    struct pst_err *err);

/* Data keys under the root key, bound to the organization; rotation of the root key is
 * pst_key_rewrap over all of them. Errors: as pst_seal and pst_unseal. */
pst_code pst_key_wrap(struct pst_arena *a, pst_str *out, const struct pst_key *root,
                      const struct pst_key *data_key, pst_str organization_id, struct pst_err *err);
pst_code pst_key_unwrap(struct pst_key **out, const struct pst_key *root, pst_str wrapped,
                        pst_str organization_id, struct pst_err *err);
pst_code pst_key_rewrap(struct pst_arena *a, pst_str *out, const struct pst_key *old_root,
                        const struct pst_key *new_root, pst_str wrapped, pst_str organization_id,
                        struct pst_err *err);

/* The canary: sealed once with the root key when a store is made, opened at every start, so
 * that a wrong key is told from damaged data and from a customer's wrong password.
 * Errors of check: INVALID (another key; the text has both key ids), CORRUPT. */
pst_code pst_canary_make(struct pst_arena *a, pst_str *out, const struct pst_key *root,
                         struct pst_err *err);
pst_code pst_canary_check(const struct pst_key *root, pst_str canary, struct pst_err *err);

#endif
