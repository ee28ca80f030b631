/* health/diagnose.h: whose trouble it is, as a pure function: evidence in, verdict out.
 *
 * Three answers: systemic (many connections of the host or of the connector fail at the same time,
 * or Penstock itself has trouble), of one connection, or of the request alone. Beside it the likely
 * cause, from the table in causes.def.
 *
 * Thread-safety: pure.
 */
#ifndef PST_HEALTH_DIAGNOSE_H
#define PST_HEALTH_DIAGNOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* clang-format off */
enum pst_cause {
#define X(id, name, nature, title, advice) PST_CAUSE_##id,
#include "health/causes.def"
#undef X
    PST_CAUSE_COUNT
};
/* clang-format on */

const char *pst_cause_name(enum pst_cause cause); /* "disk_full" */
const char *pst_cause_title(enum pst_cause cause); /* a sentence */
const char *pst_cause_advice(enum pst_cause cause);
bool pst_cause_find(enum pst_cause *out, pst_str name);
/* Whether the system was reached and refused the credentials: another trouble than an outage, and
 * counted apart. */
bool pst_cause_is_refusal(enum pst_cause cause);

/* The cause that an error's code, with the peer's HTTP status and the step of the call that failed
 * ("dns", "tls", ..., as pst_http_fault_name; NULL or "" = none), most likely has. */
enum pst_cause pst_cause_of(pst_code code, int http_status, const char *fault);

/* ---- how many are many ---- */

struct pst_peers {
    int seen; /* connections, this one included */
    int failing; /* all in the same way: not reached, or refused (pst_cause_is_refusal) */
};
/* At least 3 failing, and at least half of those seen. */
bool pst_peers_many_of_host(const struct pst_peers *peers);
/* At least 5 failing on at least 3 hosts, and at least half of those seen. */
bool pst_peers_many_of_connector(const struct pst_peers *peers, int failing_hosts);

/* ---- the verdict ---- */

enum pst_scope { PST_SCOPE_NONE, PST_SCOPE_SYSTEMIC, PST_SCOPE_CONNECTION, PST_SCOPE_REQUEST };
enum pst_reach { PST_REACH_NONE, PST_REACH_HOST, PST_REACH_CONNECTOR, PST_REACH_PENSTOCK };
const char *pst_scope_name(enum pst_scope scope); /* "systemic" */
const char *pst_reach_name(enum pst_reach reach); /* "host" */

struct pst_evidence {
    enum pst_cause cause; /* of the failure that is looked at */
    bool store_is_failing; /* Penstock's own store, at the moment of the failure */
    /* At the time of the failure, those that fail in the way of `cause`: */
    struct pst_peers host, connector;
    int failing_hosts; /* of the connector */
    /* Calls of this connection around the failure, of the same kind or not: */
    int good; /* that the system answered well */
    int failed_operations; /* that it answered with an error */
    bool is_failing_now; /* the newest call that says something failed to reach the system, or the
                            connection is offline or was refused */
};

struct pst_verdict {
    enum pst_scope scope;
    enum pst_reach reach; /* of a systemic one */
    enum pst_cause cause;
};
struct pst_verdict pst_diagnose(const struct pst_evidence *e);

#endif
