/* health/telling.c: which changes of status are told, and when. */
#include "health/health.h"

static bool is_told_of(enum pst_conn_status status)
{
    return status == PST_CONN_ONLINE || status == PST_CONN_OFFLINE || status == PST_CONN_REAUTH;
}

static pst_mono later(pst_mono a, pst_mono b)
{
    return a.ns > b.ns ? a : b;
}

static pst_mono sooner(pst_mono a, pst_mono b)
{
    return a.ns < b.ns ? a : b;
}

/* What follows from what a person did (a new connection, credentials, the switch) is told at once
 * and starts no hold-down; that credentials are refused is told at once, since nothing else is
 * tried. */
static bool is_prompt(const struct pst_health *state)
{
    return state->told == PST_CONN_PENDING || state->status == PST_CONN_REAUTH;
}

static void tell(struct pst_health *state, const struct pst_health_options *o, pst_mono now,
                 struct pst_health_actions *actions)
{
    actions->must_tell = true;
    actions->told_before = state->told;
    state->told_at = is_prompt(state) ? pst_mono_after_ms(now, -o->hold_max_ms) : now;
    state->told = state->status;
    state->tell = PST_MONO_NEVER;
}

void pst_telling_due(struct pst_health *state, const struct pst_health_options *o, pst_mono now,
                     struct pst_health_actions *actions)
{
    if (state->status == state->told || !is_told_of(state->status)) {
        state->tell = PST_MONO_NEVER;
        return;
    }
    pst_mono settled = pst_mono_after_ms(state->changed, o->hold_first_ms);
    pst_mono released = pst_mono_after_ms(state->told_at, state->hold_ms);
    pst_mono earliest = pst_mono_after_ms(state->told_at, o->hold_first_ms);
    pst_mono due = later(sooner(settled, released), earliest);
    if (is_prompt(state) || due.ns <= now.ns)
        tell(state, o, now, actions);
    else
        state->tell = due;
}

void pst_telling_changed(struct pst_health *state, const struct pst_health_options *o, pst_mono now,
                         struct pst_health_actions *actions)
{
    bool was_calm = now.ns >= pst_mono_after_ms(state->changed, o->hold_max_ms).ns;
    bool is_held = now.ns < pst_mono_after_ms(state->told_at, state->hold_ms).ns;
    if (was_calm || state->hold_ms < o->hold_first_ms)
        state->hold_ms = o->hold_first_ms;
    else if (is_held && state->status == PST_CONN_OFFLINE && state->hold_ms < o->hold_max_ms)
        state->hold_ms = 2 * state->hold_ms < o->hold_max_ms ? 2 * state->hold_ms : o->hold_max_ms;
    state->changed = now;
    pst_telling_due(state, o, now, actions);
}
