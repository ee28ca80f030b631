/* gate/gate.h: the only way to a connected system, for syncs, probes, tests, writes,
 * passthrough and flows.
 *
 * A call passes: admission (not cancelled, deadline not over, no breaker open, a free slot: at most
 * 4 at once of a host, whichever its ports, and 2 of a connection, taken in fair turns, then no
 * breaker open still and credentials that were not refused meanwhile) -> the HTTP client ->
 * classification of the answer -> the observer, which gets one pst_contact for every call that was
 * made, good or bad (status of the connection, request log).
 *
 *   sync, tests, api -- pst_gate_begin --> struct pst_gate_run (one run, one thread)
 *                       ctx.call = pst_gate_call, ctx.self = run
 *
 * Classification (errors.def has what each code means for retry and status):
 *   UNREACHABLE    dns, connect, TLS, reset, short answer, 502, 503, 504
 *   TIMEOUT        no answer in time
 *   FOREIGN_PAGE   an HTML page or a redirect where data was asked for; its title is named
 *   REAUTH         401, or the system's own words for refused credentials
 *   SYSTEM_DENIED  403, or the system's own words for a missing permission
 *   SYSTEM_BUSY    429; err->retry_after_s
 *   AWAY           no call was made: a breaker is open (health/health.h)
 *   SYSTEM         every other answer outside 2xx, or an error message in a 200
 *   EGRESS, CANCELLED, LIMIT, NO_MEMORY, UNAVAILABLE, INVALID: ours, never held against the system
 *
 * Thread-safety: struct pst_gate is shared by all threads; a run belongs to one thread at a
 * time, but for its cancel flag.
 */
#ifndef PST_GATE_GATE_H
#define PST_GATE_GATE_H

#include "base/id.h"
#include "base/trace.h"
#include "connector/connector.h"
#include "health/health.h"
#include "http/http.h"

struct pst_gate;
struct pst_gate_run;

/* One call that came to its end. Everything is borrowed for the callback. */
struct pst_contact {
    pst_str connection_id, request_id, sync_id; /* "" where there is none */
    uint64_t credentials_mark; /* of the run's options */
    const char *origin; /* "https://ps.example.com:8443" */
    pst_mono began; /* when it was admitted */
    enum pst_trial trial; /* of the run */
    bool is_private; /* a failure that the connection's own settings may have made */
    bool is_denied; /* no call was made: the origin is away, or the credentials were refused before
                       (code); request and response say nothing */
    const struct pst_http_request *request; /* never show password or body */
    const struct pst_http_response *response;
    bool is_confirmed; /* it failed in the way in which its origin was known to fail */
    bool has_returned; /* its origin was away, and answered it */
    pst_code code; /* PST_OK or the classification */
    enum pst_contact_class klass;
    const struct pst_err *err; /* NULL when code is PST_OK */
    unsigned number; /* of the call in its run: 1, 2, ... */
    int64_t waited_us; /* for a free slot of the host */
    const char *path; /* of the URL, without its query and anything secret; cut */
    const uint8_t *span_id; /* PST_SPAN_ID bytes: what traceparent named as the parent */
};

struct pst_gate_options {
    uint32_t per_host; /* calls at once; 0 = 4 */
    uint32_t per_connection; /* of them, of one connection; 0 = 2 */
    pst_mono (*mono)(void); /* the clock; NULL stands still (tests) */
    int offline_after; /* failures of an origin in a row that open its breaker; 0 = 3 */
    struct pst_http_limits limits; /* of every call that does not set its own */
    void (*observe)(void *self, const struct pst_contact *contact); /* any thread; may be NULL */
    void *observe_self;
    void (*random)(void *out, size_t len); /* for spans; NULL: no trace is sent upstream */
};

pst_code pst_gate_new(struct pst_gate **out, const struct pst_gate_options *options,
                      struct pst_err *err);
void pst_gate_free(struct pst_gate *gate); /* after the last run has ended; NULL is a no-op */
PST_DEFINE_AUTO(gate, struct pst_gate, pst_gate_free);

/* Texts are copied, pointers are borrowed until pst_gate_end. */
struct pst_gate_run_options {
    pst_str connection_id, request_id, sync_id;
    uint64_t credentials_mark; /* which credentials it goes by; handed on to the observer. Those
                                  that were refused are not tried again (REAUTH). 0 = not known */
    pst_wall pending_since; /* nobody knows yet whether they are good: one call of the connection at
                               a time; us 0 = it is not pending */
    const struct pst_trace *trace; /* that it belongs to, copied; NULL: one of its own, with the
                                      bits of the sync's id, else of the request's */
    enum pst_trial trial; /* may call, once at a time, although its system is away */
    const struct pst_connector_ops *connector; /* its words for refusals; may be NULL */
    struct pst_http *http; /* this thread's client; its cookies are forgotten at both ends */
    const atomic_bool *cancel; /* may be NULL */
    pst_mono deadline; /* of the whole run; ns 0 = none */
};

struct pst_gate_counters {
    uint32_t calls; /* that were made: as many as the observer was told of, but for denied ones */
    uint64_t bytes; /* decoded bodies */
    uint64_t wire_bytes;
    int64_t wait_us; /* for a slot and for the answer, to its last byte */
};

pst_code pst_gate_begin(struct pst_gate_run **out, struct pst_gate *gate,
                        const struct pst_gate_run_options *options, struct pst_err *err);
void pst_gate_end(struct pst_gate_run *run); /* NULL is a no-op */
PST_DEFINE_AUTO(gate_run, struct pst_gate_run, pst_gate_end);

/* ---- breakers; any thread ---- */

/* The connection is offline, for that reason, or it is not; restore: at the start, with the origin
 * that is to blame ("" = none). Without memory it is not closed to calls, which only costs some in
 * vain. */
void pst_gate_set_offline(struct pst_gate *gate, pst_str connection_id, bool is_offline,
                          const char *reason);
void pst_gate_restore(struct pst_gate *gate, pst_str connection_id, const char *origin,
                      const char *reason);
/* Whether the origin is known to be away. */
bool pst_gate_is_away(struct pst_gate *gate, const char *origin);

/* struct pst_connector_ctx.call; self is the struct pst_gate_run. Error messages name the host
 * and what was wrong, never a credential. */
pst_code pst_gate_call(void *self, const struct pst_http_request *request, struct pst_arena *arena,
                       struct pst_http_response *response, struct pst_err *err);

struct pst_gate_counters pst_gate_counters(const struct pst_gate_run *run);

/* The classification alone (tests, fuzzing): PST_OK when the answer is what was expected. */
pst_code pst_gate_classify(const struct pst_http_request *request,
                           const struct pst_http_response *response,
                           const struct pst_connector_ops *connector, struct pst_err *err);

#endif
