/* webhook/webhook.h: delivering events to endpoints: secrets, signing, the dispatcher.
 *
 *   outbox (store) --> dispatcher thread: lanes, planner --> http/fleet.h --> receivers
 *                          ^                                     |
 *                          +--- outcomes, one commit for many <--+
 *
 * One thread does all of it and owns everything; it never waits for the store (but at its end) or a
 * receiver. An attempt's outcome is written together with others; the next delivery of a lane may
 * be sent before that commit (at most 32 ahead), so a crash repeats at most those, with the same
 * webhook-id.
 *
 * Thread-safety: as said at each function.
 */
#ifndef PST_WEBHOOK_WEBHOOK_H
#define PST_WEBHOOK_WEBHOOK_H

#include <stdatomic.h>

#include "base/buf.h"
#include "crypto/crypto.h"
#include "db/db.h"
#include "http/http.h"
#include "store/endpoints.h"

/* ---- secrets (Standard Webhooks 1.0.0) ---- */

/* A new secret: "whsec_" + base64 of 32 random bytes, or "whsk_" + base64 of an ed25519 secret key
 * (64 bytes). Errors: NO_MEMORY. */
pst_code pst_hook_secret_new(struct pst_secret **out, enum pst_endpoint_signing signing,
                             struct pst_err *err);
/* Whether text is a secret of that kind: whsec_ of 24 to 64 bytes; whsk_ whose halves fit.
 * Errors: INVALID (says what is wrong). */
pst_code pst_hook_secret_check(pst_str text, enum pst_endpoint_signing signing,
                               struct pst_err *err);
/* "whpk_..." of a "whsk_...". Errors: INVALID. */
enum { PST_HOOK_PUBLIC_KEY = 64 };
pst_code pst_hook_public_key(char out[PST_HOOK_PUBLIC_KEY], pst_str secret, struct pst_err *err);

/* Append the value of webhook-signature: one "v1,..." or "v1a,..." per secret, separated by blanks;
 * signed is id.timestamp.body. Errors: INVALID (a secret), NO_MEMORY. */
pst_code pst_hook_sign(struct pst_buf *out, const struct pst_secret *const *secrets, size_t count,
                       pst_str id, int64_t timestamp_s, pst_str body, struct pst_err *err);

/* ---- the dispatcher ---- */

/* Attempts that take longer than a second are not counted against in_flight, so that slow
 * receivers do not hold up the others; but at most so many times in_flight are under way, and half
 * of these to endpoints of one organization. */
enum { PST_HOOKS_SLOW_TIMES = 4 };

struct pst_hooks;

struct pst_hooks_options {
    struct pst_db *db;
    const struct pst_key *root;
    /* As struct pst_http_options: asked at connect time for every address (the public zone). */
    bool (*allows)(void *self, const struct pst_address *address, const char **why);
    void *allows_self;
    const char *ca_file; /* NULL = the system's */
    bool allow_http; /* plain http endpoints; else https only */
    uint32_t per_endpoint; /* deliveries in flight to one endpoint; 0 = 8 */
    uint32_t in_flight; /* in all; 0 = 512 */
    pst_mono (*mono)(void);
    pst_wall (*wall)(void);
    uint64_t (*random)(void);
};

/* What options point to outlives it. Errors: NO_MEMORY, IO. */
pst_code pst_hooks_new(struct pst_hooks **out, const struct pst_hooks_options *options,
                       struct pst_err *err);
void pst_hooks_free(struct pst_hooks *h); /* after its thread has ended; NULL is a no-op */
PST_DEFINE_AUTO(hooks, struct pst_hooks, pst_hooks_free);

/* Body of the dispatcher thread; returns after pst_hooks_stop. Whatever it returns, nothing is in
 * flight afterwards, nor with the writer, and outcomes are written as far as the store takes them.
 */
pst_code pst_hooks_run(struct pst_hooks *h, struct pst_err *err);

/* Any thread; never waits. Nothing new is sent; what is in flight gets grace_ms, then is broken off
 * (and sent again after the next start). */
void pst_hooks_stop(struct pst_hooks *h, int64_t grace_ms);

/* Any thread; never waits. struct pst_db_options.on_commit: topic PST_TOPIC_EVENTS (something new)
 * or pst_topic_endpoint (one changed, deliveries re-sent: its lanes are looked at again). */
void pst_hooks_on_commit(struct pst_hooks *h, int64_t topic);

/* For /metrics; any thread. */
struct pst_hooks_stats {
    uint64_t attempts, delivered, refused, unreachable, given_up; /* since the start */
    uint64_t in_flight, endpoints, lanes; /* now, in memory */
    uint64_t duration_us; /* of all attempts */
};
void pst_hooks_stats(const struct pst_hooks *h, struct pst_hooks_stats *out);

#endif
