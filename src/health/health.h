/* health/health.h: the status of a connection, as a pure machine.
 *
 * Whatever learns something about a connection (a contact made by the gate, new credentials,
 * the on/off switch) is an event; pst_health_step() says what the status is from then on and
 * what to do. The caller stores the state with the history row in one transaction and carries
 * the actions out.
 *
 * Status follows the last contact. Refused credentials end all tries until they change.
 *
 * Thread-safety: pure, but for pst_health_save: as the connection to the store that is passed.
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

enum { PST_REASON_MAX = 256 };

struct pst_health {
    enum pst_conn_status status;
    pst_wall since; /* of the status */
    char reason[PST_REASON_MAX]; /* why, for people; "" when online */
};

enum pst_health_event_kind {
    PST_HEALTH_CONTACT, /* one call came to its end */
    PST_HEALTH_CREDENTIALS, /* credentials were replaced */
    PST_HEALTH_ENABLED, /* switched on again, or credits are back */
    PST_HEALTH_DISABLED, /* switched off; reason says by what */
};

struct pst_health_event {
    enum pst_health_event_kind kind;
    pst_code code; /* CONTACT: PST_OK or what the gate made of the answer */
    int http_status; /* CONTACT: 0 when there was no answer */
    const char *reason; /* for people: the error's message, or what was done; may be NULL */
};

struct pst_health_actions {
    bool has_changed; /* the status is another one: write a history row */
    bool must_save; /* status or reason differ from what is stored */
    bool must_probe; /* try the system now */
    enum pst_conn_status from; /* status before, when has_changed */
};

/* The state of a connection just created (is_active false: no credits). The caller probes a
 * pending one. */
struct pst_health pst_health_initial(pst_wall now, bool is_active, const char *reason);

struct pst_health_actions pst_health_step(struct pst_health *state, pst_wall now,
                                          const struct pst_health_event *event);

/* The state as it is stored. Save writes status and reason, with a history row and an event when
 * the status is another one; inside a writer job. Errors: as pst_connections_set_status. */
void pst_health_load(struct pst_health *out, const struct pst_connection *c);
pst_code pst_health_save(struct pst_db_conn *conn, const struct pst_health *state, int64_t pk,
                         pst_str request_id, pst_wall now, bool *changed, struct pst_err *err);

/* PST_OK when the system may be called in this state. Errors: REAUTH, INACTIVE. */
pst_code pst_health_admit(const struct pst_health *state, struct pst_err *err);

/* What a contact's code says about the system. */
enum pst_contact_class {
    PST_CONTACT_GOOD, /* it answered, also when it refused or failed this one request */
    PST_CONTACT_UNREACHABLE, /* dns, connect, TLS, silence: the origin */
    PST_CONTACT_UNWELL, /* 502/503/504, foreign pages: this connection */
    PST_CONTACT_REFUSED, /* the credentials */
    PST_CONTACT_LOCAL, /* our own trouble, or 429: says nothing about the system */
};
enum pst_contact_class pst_contact_classify(pst_code code, int http_status);

#endif
