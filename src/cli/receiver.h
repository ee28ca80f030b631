/* cli/receiver.h: a webhook receiver on this machine, for trying things out: takes deliveries on
 * 127.0.0.1, checks them as Standard Webhooks says, and answers 204, or 401 to what does not prove
 * where it comes from.
 *
 * Thread-safety: pst_receiver_run on a thread of its own, which calls `received`;
 * pst_receiver_stop from any; the rest before and after.
 */
#ifndef PST_CLI_RECEIVER_H
#define PST_CLI_RECEIVER_H

#include "codec/json.h"
#include "crypto/crypto.h"

enum pst_verdict {
    PST_VERDICT_OK,
    PST_VERDICT_UNCHECKED, /* no secret was given */
    PST_VERDICT_UNSIGNED, /* a header of Standard Webhooks is missing */
    PST_VERDICT_STALE, /* the timestamp is more than 5 minutes off */
    PST_VERDICT_FORGED, /* no signature of this secret */
};
const char *pst_verdict_name(enum pst_verdict verdict); /* "ok", "not checked", ... */

/* One delivery, borrowed for the call. */
struct pst_received {
    enum pst_verdict verdict;
    bool is_duplicate; /* its id came before */
    bool is_sample;
    pst_str id, sequence, attempt; /* headers; "" where they are missing */
    pst_str body;
    yyjson_val *event; /* the body parsed; NULL where it is no JSON */
    pst_wall at;
};

/* Of headers and body against a secret (NULL: none). Pure, but for memory. Errors: NO_MEMORY,
 * INVALID (the secret is none). */
pst_code pst_receiver_judge(enum pst_verdict *out, const struct pst_secret *secret, pst_str id,
                            pst_str timestamp, pst_str signature, pst_str body, pst_wall now,
                            struct pst_err *err);

struct pst_receiver_options {
    int port; /* 0: any free one */
    const struct pst_secret *secret; /* borrowed; NULL: nothing is checked */
    void (*received)(void *self, const struct pst_received *r);
    void *self;
};

struct pst_receiver;
/* Errors: CONFLICT (the port is taken), IO, NO_MEMORY. */
pst_code pst_receiver_new(struct pst_receiver **out, const struct pst_receiver_options *options,
                          struct pst_err *err);
int pst_receiver_port(const struct pst_receiver *r);
/* The secret is often known only when the port is: before pst_receiver_run. */
void pst_receiver_set_secret(struct pst_receiver *r, const struct pst_secret *secret);
pst_code pst_receiver_run(struct pst_receiver *r, struct pst_err *err); /* until it is stopped */
void pst_receiver_stop(struct pst_receiver *r);
void pst_receiver_free(struct pst_receiver *r); /* NULL is a no-op */
PST_DEFINE_AUTO(receiver, struct pst_receiver, pst_receiver_free);

#endif
