/* health/health.c: status names, what a contact means, and the step. */
#include "health/health.h"

#include <string.h>

#include "base/cleanup.h"

static const char *const STATUS_NAMES[] = {
    [PST_CONN_PENDING] = "pending",   [PST_CONN_ONLINE] = "online",
    [PST_CONN_OFFLINE] = "offline",   [PST_CONN_REAUTH] = "authentication_required",
    [PST_CONN_INACTIVE] = "inactive",
};

const char *pst_conn_status_name(enum pst_conn_status s)
{
    return STATUS_NAMES[s];
}

bool pst_conn_status_parse(enum pst_conn_status *out, pst_str name)
{
    for (size_t i = 0; i < PST_COUNT(STATUS_NAMES); i++) {
        if (pst_str_is(name, STATUS_NAMES[i])) {
            *out = (enum pst_conn_status)i;
            return true;
        }
    }
    return false;
}

enum pst_contact_class pst_contact_classify(pst_code code, int http_status)
{
    bool is_answered = http_status != 0;
    switch ((int)code) {
    case PST_OK:
    case PST_E_SYSTEM:
    case PST_E_SYSTEM_DENIED:
    case PST_E_REJECTED:
    case PST_E_OUTCOME_UNKNOWN:
        return PST_CONTACT_GOOD;
    case PST_E_UNREACHABLE:
        return is_answered ? PST_CONTACT_UNWELL : PST_CONTACT_UNREACHABLE;
    case PST_E_TIMEOUT:
        return PST_CONTACT_UNREACHABLE;
    case PST_E_FOREIGN_PAGE:
        return PST_CONTACT_UNWELL;
    case PST_E_REAUTH:
        return PST_CONTACT_REFUSED;
    default: /* ours, and 429, which asks for patience and says nothing else */
        return PST_CONTACT_LOCAL;
    }
}

static void set_reason(struct pst_health *state, const char *reason)
{
    pst_str text = pst_str_from(reason);
    if (text.len >= sizeof(state->reason)) {
        text.len = sizeof(state->reason) - 1;
        while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
            text.len--; /* not inside a character */
    }
    memset(state->reason, 0, sizeof(state->reason));
    if (text.len)
        memcpy(state->reason, text.ptr, text.len);
}

struct pst_health pst_health_initial(pst_wall now, bool is_active, const char *reason)
{
    struct pst_health state = {
        .status = is_active ? PST_CONN_PENDING : PST_CONN_INACTIVE,
        .since = now,
    };
    set_reason(&state, reason);
    return state;
}

static struct pst_health_actions move_to(struct pst_health *state, pst_wall now,
                                         enum pst_conn_status status, const char *reason)
{
    struct pst_health before = *state;
    struct pst_health_actions actions = {.from = before.status};
    set_reason(state, reason);
    if (status != before.status) {
        state->status = status;
        state->since = now;
        actions.has_changed = true;
    }
    actions.must_save = actions.has_changed || strcmp(before.reason, state->reason) != 0;
    return actions;
}

static struct pst_health_actions step_contact(struct pst_health *state, pst_wall now,
                                              const struct pst_health_event *event)
{
    const struct pst_health_actions none = {.from = state->status};
    /* A call that was under way when the connection was switched off, or when its credentials
     * were refused, does not bring it back. */
    if (state->status == PST_CONN_INACTIVE || state->status == PST_CONN_REAUTH)
        return none;
    switch (pst_contact_classify(event->code, event->http_status)) {
    case PST_CONTACT_GOOD:
        return move_to(state, now, PST_CONN_ONLINE, NULL);
    case PST_CONTACT_UNREACHABLE:
    case PST_CONTACT_UNWELL:
        return move_to(state, now, PST_CONN_OFFLINE, event->reason);
    case PST_CONTACT_REFUSED:
        return move_to(state, now, PST_CONN_REAUTH, event->reason);
    case PST_CONTACT_LOCAL:
        break;
    }
    return none;
}

/* Probed also where it was pending before: what made it so was tried with other credentials. */
static struct pst_health_actions restart(struct pst_health *state, pst_wall now, const char *reason)
{
    struct pst_health_actions actions = move_to(state, now, PST_CONN_PENDING, reason);
    actions.must_probe = true;
    return actions;
}

struct pst_health_actions pst_health_step(struct pst_health *state, pst_wall now,
                                          const struct pst_health_event *event)
{
    bool is_inactive = state->status == PST_CONN_INACTIVE;
    switch (event->kind) {
    case PST_HEALTH_CONTACT:
        return step_contact(state, now, event);
    case PST_HEALTH_CREDENTIALS:
        if (!is_inactive)
            return restart(state, now, event->reason);
        break;
    case PST_HEALTH_ENABLED:
        if (is_inactive)
            return restart(state, now, event->reason);
        break;
    case PST_HEALTH_DISABLED:
        return move_to(state, now, PST_CONN_INACTIVE, event->reason);
    }
    return (struct pst_health_actions){.from = state->status};
}

pst_code pst_health_admit(const struct pst_health *state, struct pst_err *err)
{
    if (state->status == PST_CONN_REAUTH)
        return PST_FAIL(err, PST_E_REAUTH,
                        "the system refused the credentials; nothing is tried until they change");
    if (state->status == PST_CONN_INACTIVE)
        return PST_FAIL(err, PST_E_INACTIVE, "the connection is inactive%s%s",
                        state->reason[0] ? ": " : "", state->reason);
    return PST_OK;
}
