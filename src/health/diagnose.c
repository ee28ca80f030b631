/* health/diagnose.c: causes as a table, and the verdict. */
#include "health/diagnose.h"

#include "base/cleanup.h"

enum { HOST_MIN = 3, CONNECTOR_MIN = 5, CONNECTOR_HOSTS = 3, OPERATIONS_MIN = 3 };

enum nature { FINE, REQUEST, PENSTOCK, REACH, REFUSED, OPERATION, SETTING };

struct cause_row {
    const char *name;
    enum nature nature;
    const char *title, *advice;
};

/* clang-format off */
static const struct cause_row CAUSES[PST_CAUSE_COUNT] = {
#define X(id, name, nature, title, advice) [PST_CAUSE_##id] = {name, nature, title, advice},
#include "health/causes.def"
#undef X
};
/* clang-format on */

const char *pst_cause_name(enum pst_cause cause)
{
    return CAUSES[cause].name;
}

const char *pst_cause_title(enum pst_cause cause)
{
    return CAUSES[cause].title;
}

const char *pst_cause_advice(enum pst_cause cause)
{
    return CAUSES[cause].advice;
}

bool pst_cause_find(enum pst_cause *out, pst_str name)
{
    for (size_t i = 0; i < PST_CAUSE_COUNT; i++) {
        if (pst_str_is(name, CAUSES[i].name)) {
            *out = (enum pst_cause)i;
            return true;
        }
    }
    return false;
}

bool pst_cause_is_refusal(enum pst_cause cause)
{
    return CAUSES[cause].nature == REFUSED;
}

/* ---- from an error to its cause ---- */

/* What does not depend on how a call failed. */
static const struct {
    pst_code code;
    enum pst_cause cause;
} BY_CODE[] = {
    {PST_OK, PST_CAUSE_WORKED},
    {PST_E_UNAUTHENTICATED, PST_CAUSE_NO_KEY},
    {PST_E_CREDITS, PST_CAUSE_CREDITS},
    {PST_E_DENIED, PST_CAUSE_NO_PERMISSION},
    {PST_E_NOT_FOUND, PST_CAUSE_NOT_FOUND},
    {PST_E_CONFLICT, PST_CAUSE_CONFLICT},
    {PST_E_SYNC_IN_PROGRESS, PST_CAUSE_CONFLICT},
    {PST_E_INACTIVE, PST_CAUSE_INACTIVE},
    {PST_E_WEBHOOK_DISABLED, PST_CAUSE_INACTIVE},
    {PST_E_EXPIRED, PST_CAUSE_EXPIRED},
    {PST_E_LIMIT, PST_CAUSE_TOO_LARGE},
    {PST_E_URI_TOO_LONG, PST_CAUSE_TOO_LARGE},
    {PST_E_HEADERS_TOO_LARGE, PST_CAUSE_TOO_LARGE},
    {PST_E_RATE_LIMIT, PST_CAUSE_RATE_LIMIT},
    {PST_E_EGRESS, PST_CAUSE_ADDRESS},
    {PST_E_CANCELLED, PST_CAUSE_CANCELLED},
    {PST_E_UNSUPPORTED, PST_CAUSE_UNSUPPORTED},
    {PST_E_DISK_FULL, PST_CAUSE_DISK_FULL},
    {PST_E_IO, PST_CAUSE_STORE},
    {PST_E_CORRUPT, PST_CAUSE_STORE},
    {PST_E_UNAVAILABLE, PST_CAUSE_OVERLOAD},
    {PST_E_NO_MEMORY, PST_CAUSE_OVERLOAD},
    {PST_E_INTERNAL, PST_CAUSE_INTERNAL},
    {PST_E_DROPPED, PST_CAUSE_INTERNAL},
    {PST_E_TIMEOUT, PST_CAUSE_TIMEOUT},
    {PST_E_AWAY, PST_CAUSE_AWAY},
    {PST_E_FOREIGN_PAGE, PST_CAUSE_FOREIGN_PAGE},
    {PST_E_REAUTH, PST_CAUSE_CREDENTIALS},
    {PST_E_SYSTEM_BUSY, PST_CAUSE_SLOW_DOWN},
    {PST_E_SYSTEM_DENIED, PST_CAUSE_FORBIDDEN},
    {PST_E_SYSTEM, PST_CAUSE_SYSTEM_ERROR},
    {PST_E_REJECTED, PST_CAUSE_REJECTED},
    {PST_E_OUTCOME_UNKNOWN, PST_CAUSE_OUTCOME_UNKNOWN},
    {PST_E_DELETE_GUARD, PST_CAUSE_DELETE_GUARD},
};

static const struct {
    const char *fault;
    enum pst_cause cause;
} BY_FAULT[] = {
    {"dns", PST_CAUSE_DNS},         {"connect", PST_CAUSE_CONNECT},
    {"tls", PST_CAUSE_TLS},         {"reset", PST_CAUSE_RESET},
    {"truncated", PST_CAUSE_RESET}, {"protocol", PST_CAUSE_PROTOCOL},
    {"timeout", PST_CAUSE_TIMEOUT},
};

static enum pst_cause how_unreachable(int http_status, const char *fault)
{
    pst_str name = pst_str_from(fault);
    if (http_status == 502 || http_status == 504)
        return PST_CAUSE_PROXY;
    if (http_status == 503)
        return PST_CAUSE_MAINTENANCE;
    for (size_t i = 0; i < PST_COUNT(BY_FAULT); i++) {
        if (pst_str_is(name, BY_FAULT[i].fault))
            return BY_FAULT[i].cause;
    }
    /* It answered, with nothing, or asks for a sign-on at a proxy. */
    return http_status ? PST_CAUSE_PROXY : PST_CAUSE_CONNECT;
}

enum pst_cause pst_cause_of(pst_code code, int http_status, const char *fault)
{
    if (code == PST_E_UNREACHABLE)
        return how_unreachable(http_status, fault);
    for (size_t i = 0; i < PST_COUNT(BY_CODE); i++) {
        if (BY_CODE[i].code == code)
            return BY_CODE[i].cause;
    }
    return PST_CAUSE_INVALID; /* all others are of the request */
}

/* ---- how many are many ---- */

static bool is_half(const struct pst_peers *p)
{
    return 2 * p->failing >= p->seen;
}

bool pst_peers_many_of_host(const struct pst_peers *p)
{
    return p->failing >= HOST_MIN && is_half(p);
}

bool pst_peers_many_of_connector(const struct pst_peers *p, int failing_hosts)
{
    return p->failing >= CONNECTOR_MIN && failing_hosts >= CONNECTOR_HOSTS && is_half(p);
}

/* ---- the verdict ---- */

const char *pst_scope_name(enum pst_scope scope)
{
    static const char *const NAMES[] = {"none", "systemic", "connection", "request"};
    return NAMES[scope];
}

const char *pst_reach_name(enum pst_reach reach)
{
    static const char *const NAMES[] = {"", "host", "connector", "penstock"};
    return NAMES[reach];
}

static struct pst_verdict systemic(enum pst_reach reach, enum pst_cause cause)
{
    return (struct pst_verdict){PST_SCOPE_SYSTEMIC, reach, cause};
}

/* One call that went without an answer, while the system answers others, is that call's own. */
static bool is_single(const struct pst_evidence *e)
{
    bool may_be_single = e->cause == PST_CAUSE_TIMEOUT || e->cause == PST_CAUSE_RESET ||
                         e->cause == PST_CAUSE_PROTOCOL;
    return may_be_single && e->good > 0 && !e->is_failing_now;
}

static struct pst_verdict judge_reach(const struct pst_evidence *e)
{
    if (pst_peers_many_of_connector(&e->connector, e->failing_hosts))
        return systemic(PST_REACH_CONNECTOR, e->cause);
    if (pst_peers_many_of_host(&e->host))
        return systemic(PST_REACH_HOST, e->cause);
    enum pst_scope scope = is_single(e) ? PST_SCOPE_REQUEST : PST_SCOPE_CONNECTION;
    return (struct pst_verdict){scope, PST_REACH_NONE, e->cause};
}

struct pst_verdict pst_diagnose(const struct pst_evidence *e)
{
    struct pst_verdict v = {.cause = e->cause};
    switch (CAUSES[e->cause].nature) {
    case FINE:
        return v;
    case PENSTOCK:
        return systemic(PST_REACH_PENSTOCK, e->store_is_failing && e->cause != PST_CAUSE_DISK_FULL
                                                ? PST_CAUSE_STORE
                                                : e->cause);
    case REACH:
    case REFUSED:
        return judge_reach(e);
    case OPERATION:
        /* Where nothing works any more it is not this one operation. */
        v.scope = e->good == 0 && e->failed_operations >= OPERATIONS_MIN ? PST_SCOPE_CONNECTION
                                                                         : PST_SCOPE_REQUEST;
        return v;
    case SETTING:
        v.scope = PST_SCOPE_CONNECTION;
        return v;
    case REQUEST:
    default:
        v.scope = PST_SCOPE_REQUEST;
        return v;
    }
}
