/* health/health.c: status names, what a contact means, and the step. */
#include "health/health.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

enum {
    CONFIRM_FIRST_MS = 2000, /* after the first failure, */
    CONFIRM_NEXT_MS = 3000, /* and after each further one */
    CONFIRM_OTHERS_MS = 15000, /* when somebody else was to find it out, and did not */
    DETECT_MS = 45000, /* that all confirming probes may take together */
    PROBE_MAX_MS = 10000,
};

const struct pst_health_options pst_health_defaults = {
    .offline_after = 3,
    .backoff = {.first_ms = 15000, .max_ms = 1800000},
    .hold_first_ms = 300000,
    .hold_max_ms = 1800000,
};

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
    case PST_E_AWAY:
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

/* ---- small changes of the state ---- */

/* false: it is what it was. */
static bool set_reason(struct pst_health *state, const char *reason)
{
    char before[PST_REASON_MAX];
    pst_str text = pst_str_from(reason);
    if (text.len >= sizeof(state->reason)) {
        text.len = sizeof(state->reason) - 1;
        while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
            text.len--; /* not inside a character */
    }
    memcpy(before, state->reason, sizeof(before));
    memset(state->reason, 0, sizeof(state->reason));
    if (text.len)
        memcpy(state->reason, text.ptr, text.len);
    return strcmp(before, state->reason) != 0;
}

static void forget_failures(struct pst_health *state)
{
    state->failures = 0;
    state->failing_since = PST_WALL_NONE;
    state->is_origin = false;
    state->step = 0;
    state->probe = PST_MONO_NEVER;
    state->cause[0] = '\0';
}

struct pst_health pst_health_initial(pst_wall now, bool is_active, const char *reason)
{
    struct pst_health state = {
        .status = is_active ? PST_CONN_PENDING : PST_CONN_INACTIVE,
        .since = now,
        .told = PST_CONN_PENDING,
        .tell = PST_MONO_NEVER,
    };
    forget_failures(&state);
    (void)set_reason(&state, reason);
    return state;
}

static void move_to(struct pst_health *state, const struct pst_health_options *o,
                    const struct pst_health_time *now, enum pst_conn_status status,
                    const char *reason, struct pst_health_actions *actions)
{
    enum pst_conn_status before = state->status;
    actions->must_save |= set_reason(state, reason);
    if (status == before)
        return;
    state->status = status;
    state->since = now->wall;
    actions->from = before;
    actions->has_changed = true;
    actions->must_save = true;
    state->owed = status == PST_CONN_ONLINE && before == PST_CONN_OFFLINE;
    pst_telling_changed(state, o, now->mono, actions);
}

/* ---- contacts ---- */

static void step_good(struct pst_health *state, const struct pst_health_options *o,
                      const struct pst_health_time *now, const struct pst_health_event *event,
                      struct pst_health_actions *actions)
{
    bool is_denied = event->code == PST_E_SYSTEM_DENIED;
    bool was_calm = state->failures == 0 && state->probe.ns == PST_MONO_NEVER.ns;
    forget_failures(state);
    /* The entity's own trouble, unless a probe gets it, too, or another entity is read well. */
    if (is_denied)
        state->probe = pst_mono_after_ms(now->mono, CONFIRM_FIRST_MS);
    actions->must_save = !was_calm || is_denied;
    move_to(state, o, now, PST_CONN_ONLINE, NULL, actions);
}

static void note_failure(struct pst_health *state, const struct pst_health_time *now,
                         const struct pst_health_event *event)
{
    if (state->failures++ == 0)
        state->failing_since = now->wall;
    state->counted = now->mono;
    state->is_origin =
        !event->is_private &&
        pst_contact_classify(event->code, event->http_status) == PST_CONTACT_UNREACHABLE;
    (void)pst_str_copy(state->cause, sizeof(state->cause),
                       pst_str_from(pst_code_name(event->code)));
    (void)pst_str_copy(state->origin, sizeof(state->origin), pst_str_from(event->origin));
}

/* In about that time: a fifth more or less. */
static pst_mono in_about(const struct pst_health_time *now, int64_t ms)
{
    int64_t fifth = ms / 5;
    ms += (int64_t)(now->random % (uint64_t)(2 * fifth + 1)) - fifth;
    return pst_mono_after_ms(now->mono, ms);
}

static void step_failure(struct pst_health *state, const struct pst_health_options *o,
                         const struct pst_health_time *now, const struct pst_health_event *event,
                         struct pst_health_actions *actions)
{
    if (state->failures > 0 && event->began.ns < state->counted.ns)
        return; /* the same moment of weakness */
    note_failure(state, now, event);
    actions->must_save = true;
    if (state->status == PST_CONN_OFFLINE) {
        bool is_due = event->trial == PST_TRIAL_PROBE || state->probe.ns == PST_MONO_NEVER.ns;
        state->step += is_due;
        if (is_due)
            state->probe =
                pst_mono_after_ms(now->mono, pst_backoff_ms(&o->backoff, state->step, now->random));
        (void)set_reason(state, event->reason);
    } else if (event->is_certain || state->failures >= o->offline_after) {
        state->step = 0;
        state->probe = pst_mono_after_ms(now->mono, pst_backoff_ms(&o->backoff, 0, now->random));
        move_to(state, o, now, PST_CONN_OFFLINE, event->reason, actions);
    } else {
        state->probe = in_about(now, event->will_retry      ? CONFIRM_OTHERS_MS
                                     : state->failures == 1 ? CONFIRM_FIRST_MS
                                                            : CONFIRM_NEXT_MS);
    }
}

static void step_contact(struct pst_health *state, const struct pst_health_options *o,
                         const struct pst_health_time *now, const struct pst_health_event *event,
                         struct pst_health_actions *actions)
{
    /* A call that was under way when the connection was switched off, or when its credentials
     * were refused, does not bring it back. */
    if (state->status == PST_CONN_INACTIVE || state->status == PST_CONN_REAUTH)
        return;
    bool is_refused = event->code == PST_E_SYSTEM_DENIED && event->trial == PST_TRIAL_PROBE;
    switch (is_refused ? PST_CONTACT_REFUSED
                       : pst_contact_classify(event->code, event->http_status)) {
    case PST_CONTACT_GOOD:
        step_good(state, o, now, event, actions);
        break;
    case PST_CONTACT_UNREACHABLE:
    case PST_CONTACT_UNWELL:
        step_failure(state, o, now, event, actions);
        break;
    case PST_CONTACT_REFUSED:
        forget_failures(state);
        (void)pst_str_copy(state->cause, sizeof(state->cause),
                           pst_str_from(pst_code_name(PST_E_REAUTH)));
        move_to(state, o, now, PST_CONN_REAUTH, event->reason, actions);
        break;
    case PST_CONTACT_LOCAL:
    default:
        break;
    }
}

/* ---- the step ---- */

/* Tried also where it was pending before: what made it so was tried with other credentials. What
 * comes of it is told, whatever was told before. The run that the caller queues may find another
 * try under way, of the old ones, and is not made then. */
static void restart(struct pst_health *state, const struct pst_health_options *o,
                    const struct pst_health_time *now, const char *reason,
                    struct pst_health_actions *actions)
{
    forget_failures(state);
    state->origin[0] = '\0'; /* it may be another one now */
    state->told = PST_CONN_PENDING;
    move_to(state, o, now, PST_CONN_PENDING, reason, actions);
    state->probe = in_about(now, CONFIRM_OTHERS_MS);
    actions->must_save = true;
    actions->must_probe = true;
}

struct pst_health_actions pst_health_step(struct pst_health *state,
                                          const struct pst_health_options *o,
                                          const struct pst_health_time *now,
                                          const struct pst_health_event *event)
{
    struct pst_health_actions actions = {.from = state->status};
    bool is_inactive = state->status == PST_CONN_INACTIVE;
    switch (event->kind) {
    case PST_HEALTH_CONTACT:
        step_contact(state, o, now, event, &actions);
        break;
    case PST_HEALTH_CREDENTIALS:
        if (!is_inactive)
            restart(state, o, now, event->reason, &actions);
        break;
    case PST_HEALTH_ENABLED:
        if (is_inactive)
            restart(state, o, now, event->reason, &actions);
        break;
    case PST_HEALTH_DISABLED:
        forget_failures(state);
        move_to(state, o, now, PST_CONN_INACTIVE, event->reason, &actions);
        break;
    case PST_HEALTH_TELL:
    default: {
        pst_mono before = state->tell;
        pst_telling_due(state, o, now->mono, &actions);
        actions.must_save = actions.must_tell || state->tell.ns != before.ns;
        break;
    }
    }
    return actions;
}

/* ---- what follows from the state ---- */

int64_t pst_health_probe_ms(const struct pst_health_options *o)
{
    int64_t ms =
        o->offline_after > 1 ? DETECT_MS / (o->offline_after - 1) - CONFIRM_NEXT_MS : PROBE_MAX_MS;
    return ms < PROBE_MAX_MS ? ms : PROBE_MAX_MS;
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

pst_code pst_health_unreachable(const struct pst_health *state, const struct pst_health_time *now,
                                int64_t in_ms, struct pst_err *err)
{
    char since[PST_WALL_TEXT];
    bool is_failing = !pst_wall_is_none(state->failing_since);
    (void)pst_wall_format(since, is_failing ? state->failing_since : state->since);
    if (in_ms < 0)
        in_ms =
            state->probe.ns == PST_MONO_NEVER.ns ? 0 : pst_mono_ms_until(now->mono, state->probe);
    int64_t seconds = (in_ms + 999) / 1000;
    pst_code code =
        PST_FAIL(err, PST_E_UNREACHABLE, "the system has not been reached since %s (%lld %s)%s%s",
                 since, (long long)state->failures, state->failures == 1 ? "try" : "tries",
                 state->reason[0] ? ": " : "", state->reason);
    err->retry_after_s = seconds > 0 ? (int)seconds : 1;
    return code;
}
