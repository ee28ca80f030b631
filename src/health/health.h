/* health/health.h: the status of a connection, as a pure machine, and what breakers and probes
 * follow from it.
 *
 *   health.c   the machine: contacts, credentials, switch -> status, next probe
 *   telling.c  which changes of status are told as events, and when (hold-down)
 *   backoff.c  how long until the next probe
 *   breaker.c  which calls may be made: origins and connections that are known to be away
 *   probes.c   which connection is probed when
 *   stored.c   the machine's state in the store
 *
 * Whatever learns something about a connection (a contact made by the gate, new credentials,
 * the on/off switch) is an event; pst_health_step() says what the status is from then on and
 * what to do. The caller stores the state with the history row in one transaction and carries
 * the actions out.
 *
 * Rules
 *   - `offline_after` connectivity failures in a row make a connection offline, one good contact
 *     online. Calls that were under way together fail together: a failure counts only when its
 *     call began after the last one that counted.
 *   - Refused credentials end all tries until they change. New ones are to be tried at once by a
 *     run; where that does not come to a call, a probe tries them. A 403 is a refusal only when a
 *     probe gets it, too: after one, a probe is due.
 *   - Busy systems (429) and our own troubles change nothing.
 *   - While offline, probes are due with exponential backoff and full jitter.
 *   - A change of status is told at once when nothing was told for hold_first; else when it has
 *     lasted for hold_first, or the hold-down is over, whichever is first, and never sooner than
 *     hold_first after the last event. The hold-down doubles with every relapse in it. What is told
 *     is the status at that time; where that was told last, nothing is.
 *
 * Intervals are measured on the monotonic clock; wall times are only for people.
 *
 * Thread-safety: pure, but for what is said at "stored".
 */
#ifndef PST_HEALTH_HEALTH_H
#define PST_HEALTH_HEALTH_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

struct pst_connection;
struct pst_db_conn;

enum pst_conn_status {
    PST_CONN_PENDING, /* created, never reached */
    PST_CONN_ONLINE, /* last contact worked */
    PST_CONN_OFFLINE, /* unreachable */
    PST_CONN_REAUTH, /* the system refused the credentials */
    PST_CONN_INACTIVE, /* switched off, or no credits */
};
const char *pst_conn_status_name(enum pst_conn_status s); /* "authentication_required" */
bool pst_conn_status_parse(enum pst_conn_status *out, pst_str name);

/* ---- contacts ---- */

/* What a contact's code says about the system. */
enum pst_contact_class {
    PST_CONTACT_GOOD, /* it answered, also when it refused or failed this one request */
    PST_CONTACT_UNREACHABLE, /* dns, connect, TLS, silence: the origin */
    PST_CONTACT_UNWELL, /* 502/503/504, foreign pages: this connection */
    PST_CONTACT_REFUSED, /* the credentials */
    PST_CONTACT_LOCAL, /* our own trouble, or 429: says nothing about the system */
};
enum pst_contact_class pst_contact_classify(pst_code code, int http_status);

/* Why a call is made although its system is known to be away. */
enum pst_trial {
    PST_TRIAL_NONE, /* it is not: the call is refused then */
    PST_TRIAL_EARLY, /* somebody asked for it: a manual sync, a test */
    PST_TRIAL_PROBE, /* a probe that was due */
};

/* ---- the machine ---- */

struct pst_backoff {
    int64_t first_ms, max_ms; /* 15 s, 30 min; 1 or more */
};

struct pst_health_options {
    int offline_after; /* 1..10 */
    struct pst_backoff backoff;
    int64_t hold_first_ms, hold_max_ms; /* 5 min, 30 min; 0 = every change is told at once */
};
extern const struct pst_health_options pst_health_defaults;

struct pst_health_time {
    pst_wall wall;
    pst_mono mono;
    uint64_t random; /* 64 random bits */
};

enum { PST_REASON_MAX = 256, PST_CAUSE_MAX = 48, PST_HEALTH_ORIGIN = 300 };

struct pst_health {
    enum pst_conn_status status;
    pst_wall since; /* of the status */
    char reason[PST_REASON_MAX]; /* why, for people; "" when online */

    int64_t version; /* of the stored row; 0 = none */
    int64_t failures; /* contacts that failed in a row */
    pst_wall failing_since; /* none = nothing fails */
    bool is_origin; /* what fails is the origin's (dns, connect, TLS, silence) */
    bool owed; /* a run that catches up was not queued yet */
    int64_t step; /* probes that failed since it is offline */
    pst_mono probe; /* when the next one is due; PST_MONO_NEVER = none */
    pst_mono counted; /* end of the last failure that counted */
    char cause[PST_CAUSE_MAX]; /* public code of the last failure, or "" */
    char origin[PST_HEALTH_ORIGIN]; /* of the last failure, or "" */

    enum pst_conn_status told; /* PENDING = nothing yet */
    pst_mono told_at, changed; /* last event; last change of status */
    pst_mono tell; /* when the status has to be told; PST_MONO_NEVER = nothing to tell */
    int64_t hold_ms;
};

enum pst_health_event_kind {
    PST_HEALTH_CONTACT, /* one call came to its end */
    PST_HEALTH_CREDENTIALS, /* credentials were replaced */
    PST_HEALTH_ENABLED, /* switched on again, or credits are back */
    PST_HEALTH_DISABLED, /* switched off; reason says by what */
    PST_HEALTH_TELL, /* state->tell has come */
};

struct pst_health_event {
    enum pst_health_event_kind kind;
    const char *reason; /* for people: the error's message, or what was done; may be NULL */
    /* CONTACT */
    pst_code code; /* PST_OK or what the gate made of the answer */
    int http_status; /* 0 when there was no answer */
    pst_mono began; /* of the call */
    enum pst_trial trial;
    bool is_private; /* UNREACHABLE, but by the connection's own settings */
    bool
        is_certain; /* its origin is known to be away: no call was made, or one found it so again */
    bool will_retry; /* whoever called confirms the failure himself */
    const char *origin; /* "https://ps.example.com:8443"; may be NULL */
};

struct pst_health_actions {
    bool has_changed; /* the status is another one: write a history row */
    bool must_save; /* anything differs from what is stored */
    bool must_probe; /* try the system now: queue a sync */
    bool must_tell; /* status is to be told as an event */
    enum pst_conn_status from; /* status before, when has_changed */
    enum pst_conn_status told_before; /* when must_tell */
};

/* The state of a connection just created (is_active false: no credits). The caller probes a
 * pending one. */
struct pst_health pst_health_initial(pst_wall now, bool is_active, const char *reason);

struct pst_health_actions pst_health_step(struct pst_health *state,
                                          const struct pst_health_options *options,
                                          const struct pst_health_time *now,
                                          const struct pst_health_event *event);

/* PST_OK when the system may be called in this state. Errors: REAUTH, INACTIVE. */
pst_code pst_health_admit(const struct pst_health *state, struct pst_err *err);

/* "SYSTEM_UNREACHABLE", since when and how often tried, with retry_after_s: what is answered for
 * an offline connection. in_ms: until the next probe, as far as it is known; < 0: by the state. */
pst_code pst_health_unreachable(const struct pst_health *state, const struct pst_health_time *now,
                                int64_t in_ms, struct pst_err *err);

/* How long a probe may take, so that a silent system is found offline in time. */
int64_t pst_health_probe_ms(const struct pst_health_options *options);

/* Milliseconds until the next probe after `step` of them failed: uniform between 1 s and
 * first_ms * 2^step, at most max_ms. */
int64_t pst_backoff_ms(const struct pst_backoff *backoff, int64_t step, uint64_t random);
/* The same where the system, which is busy, asked not to be called for asked_ms (0 = it did not):
 * not sooner, but for max_ms, which it never is later than. */
int64_t pst_backoff_asked_ms(const struct pst_backoff *backoff, int64_t step, uint64_t random,
                             int64_t asked_ms);
int64_t pst_backoff_range_ms(const struct pst_backoff *backoff, int64_t step); /* the upper end */

/* telling.c; private to health. */
void pst_telling_changed(struct pst_health *state, const struct pst_health_options *o, pst_mono now,
                         struct pst_health_actions *actions);
void pst_telling_due(struct pst_health *state, const struct pst_health_options *o, pst_mono now,
                     struct pst_health_actions *actions);

/* ---- stored ---- */

/* The state of a connection. Reads the row of store/outages.h. Errors: as db.h. */
pst_code pst_health_load(struct pst_health *out, struct pst_db_conn *conn,
                         const struct pst_connection *c, const struct pst_health_time *now,
                         struct pst_err *err);

/* What has to be written after a step: status and reason with a history row where the status is
 * another one, the outage's row, the event where one is to be sent. Inside a writer job; raises
 * state->version. Errors: as pst_connections_set_status. */
pst_code pst_health_save(struct pst_db_conn *conn, struct pst_health *state,
                         const struct pst_health_actions *actions, int64_t pk, pst_str request_id,
                         const struct pst_health_time *now, struct pst_err *err);

/* ---- breakers ---- */

/* Which calls may be made. An origin is closed to calls when as many of its calls as make a
 * connection offline failed in a row, those of two connections at least: what one connection's
 * settings break is nobody else's outage. Calls that fail within two seconds count once: a moment
 * of weakness of a busy origin is no outage, and a connection has the time to confirm its own. A
 * connection is closed while it is offline. Either lets one trial through at a time. One answer of
 * the origin opens it for all. One thread at a time. */
struct pst_breakers;

pst_code pst_breakers_new(struct pst_breakers **out, int offline_after, struct pst_err *err);
void pst_breakers_free(struct pst_breakers *b); /* NULL is a no-op */

enum { PST_EARLY_GAP_MS = 5000 }; /* between trials that somebody asked for, per connection */

enum pst_admission {
    PST_ADMIT,
    PST_ADMIT_NOT_ORIGIN, /* the origin is away */
    PST_ADMIT_NOT_CONNECTION, /* the connection is offline */
    PST_ADMIT_NOT_NOW, /* a trial is under way, or was a moment ago */
};

/* One call, from its admission to its end. */
struct pst_breaker_call {
    const char *origin;
    pst_str connection; /* "": only the origin counts */
    enum pst_trial trial;
    bool is_trial, is_of_origin; /* out: let through as the connection's trial, the origin's */
    pst_mono began; /* for pst_breakers_ended */
};

/* What was admitted is given back by pst_breakers_ended. It may be asked again before that, since
 * things may have changed while the call waited. Errors: NO_MEMORY. */
pst_code pst_breakers_admit(struct pst_breakers *b, pst_mono now, struct pst_breaker_call *call,
                            enum pst_admission *out, struct pst_err *err);

/* A call that was admitted came to its end. is_down: it speaks against the origin; is_up: it was
 * answered. */
void pst_breakers_ended(struct pst_breakers *b, pst_mono now, const struct pst_breaker_call *call,
                        bool is_down, bool is_up);
bool pst_breakers_is_away(const struct pst_breakers *b, const char *origin);

/* A connection is offline, and why (NULL, ""), or it is not. Errors: NO_MEMORY. */
pst_code pst_breakers_set(struct pst_breakers *b, pst_str connection, bool is_offline,
                          const char *reason, struct pst_err *err);
/* Why it is offline, for people; "" when it is not, or that is not known. Valid until the next
 * call. */
const char *pst_breakers_reason(const struct pst_breakers *b, pst_str connection);
/* At the start: it is offline, because of that origin ("" = its own trouble). Errors: NO_MEMORY. */
pst_code pst_breakers_restore(struct pst_breakers *b, const char *origin, pst_str connection,
                              const char *reason, struct pst_err *err);
size_t pst_breakers_count(const struct pst_breakers *b); /* what is kept; for tests */

/* ---- probes ---- */

/* Which connection is probed when, and whose status is told when. Connections whose origin is
 * away share one probe at a time, by turns; when it is back they are probed one after the other,
 * the more at a time the more have answered, at most four. Those that are offline by themselves
 * (503, foreign pages) are probed in the same way, each when it is due. One thread at a time. */
struct pst_probes;

struct pst_probe_item {
    int64_t connection_pk;
    int64_t version; /* of the state: an older one changes nothing */
    const char *origin; /* "" = not known */
    bool is_origin; /* what fails is the origin's */
    bool is_offline; /* else the probe confirms a failure */
    int64_t step;
    pst_mono probe, tell; /* PST_MONO_NEVER = none; with neither it is forgotten */
};

enum pst_probe_kind { PST_PROBE_NONE, PST_PROBE_CONTACT, PST_PROBE_TELL };
struct pst_probe_task {
    enum pst_probe_kind kind;
    int64_t connection_pk;
};

/* A host with several ports may have more of them under way: the gate's slots (gate/gate.h) let no
 * more than four of all calls through to it. */
enum { PST_PROBES_PER_ORIGIN = 4 };

pst_code pst_probes_new(struct pst_probes **out, const struct pst_backoff *backoff,
                        struct pst_err *err);
void pst_probes_free(struct pst_probes *p); /* NULL is a no-op */

/* Errors: NO_MEMORY. */
pst_code pst_probes_put(struct pst_probes *p, pst_mono now, const struct pst_probe_item *item,
                        struct pst_err *err);
/* Whether a state was put that is newer than that version. */
bool pst_probes_knows_newer(const struct pst_probes *p, int64_t connection_pk, int64_t version);
void pst_probes_remove(struct pst_probes *p, int64_t connection_pk);
/* Whether the origin is away, told whenever that may have changed. */
void pst_probes_origin(struct pst_probes *p, pst_mono now, uint64_t random, const char *origin,
                       bool is_away);

/* The next thing to do now; kind NONE: nothing, and *wake says when to ask again. */
struct pst_probe_task pst_probes_next(struct pst_probes *p, pst_mono now, pst_mono *wake);
/* It was done. again_ms: nothing was found out (a busy system, our own trouble): not sooner than
 * after that time; 0 otherwise. */
void pst_probes_done(struct pst_probes *p, pst_mono now, uint64_t random,
                     const struct pst_probe_task *task, int64_t again_ms);

/* Milliseconds until the connection's next probe, of its origin's if that is away; -1: none. */
int64_t pst_probes_in_ms(const struct pst_probes *p, pst_mono now, int64_t connection_pk);
size_t pst_probes_count(const struct pst_probes *p);

#endif
