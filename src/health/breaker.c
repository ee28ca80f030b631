/* health/breaker.c: origins whose calls fail, and connections that are offline.
 *
 * Only what is not well is kept: an origin from its first failure to its next answer, a connection
 * while it is offline or a trial of it is under way. */
#include "base/alloc.h"
#include "base/map.h"
#include "health/health.h"

enum { NAME_MAX = 40 }; /* "conn_..." */

struct origin {
    int64_t failures; /* calls that failed in a row */
    char first[NAME_MAX]; /* whose call was the first of them */
    bool is_common; /* those of several connections did */
    bool is_away;
    bool has_trial; /* one is under way */
};

struct connection {
    bool is_offline;
    bool has_trial;
    bool had_trial;
    pst_mono last_trial; /* its begin */
    char reason[PST_REASON_MAX];
};

struct pst_breakers {
    int offline_after;
    struct pst_map origins; /* text -> struct origin */
    struct pst_map connections; /* id -> struct connection */
};

pst_code pst_breakers_new(struct pst_breakers **out, int offline_after, struct pst_err *err)
{
    PST_TRY(pst_new((void **)out, sizeof(**out), err));
    (*out)->offline_after = offline_after;
    return PST_OK;
}

static void free_all(struct pst_map *m)
{
    for (size_t i = 0; i < m->count; i++)
        pst_free(m->entries[i].value);
    pst_map_fini(m);
}

void pst_breakers_free(struct pst_breakers *b)
{
    if (!b)
        return;
    free_all(&b->origins);
    free_all(&b->connections);
    pst_free(b);
}

/* The entry, made when it is missing; the caller knows its size. */
static pst_code ensure(struct pst_map *m, pst_str name, size_t size, void **out,
                       struct pst_err *err)
{
    *out = pst_map_get(m, name);
    if (*out)
        return PST_OK;
    PST_TRY(pst_new(out, size, err));
    pst_code rc = pst_map_put(m, name, *out, NULL, err);
    if (rc != PST_OK)
        pst_free(*out);
    return rc;
}

static void drop_calm(struct pst_breakers *b, pst_str origin, pst_str connection)
{
    const struct origin *o = pst_map_get(&b->origins, origin);
    const struct connection *c = pst_map_get(&b->connections, connection);
    if (o && o->failures == 0 && !o->has_trial)
        pst_free(pst_map_remove(&b->origins, origin));
    if (c && !c->is_offline && !c->has_trial)
        pst_free(pst_map_remove(&b->connections, connection));
}

/* ---- admission ---- */

static pst_code begin_trial(struct pst_breakers *b, pst_mono now, struct origin *o,
                            pst_str connection, enum pst_trial trial, enum pst_admission *out,
                            struct pst_err *err)
{
    void *entry = NULL;
    PST_TRY(ensure(&b->connections, connection, sizeof(struct connection), &entry, err));
    struct connection *c = entry;
    bool is_soon = trial == PST_TRIAL_EARLY && c->had_trial &&
                   now.ns < pst_mono_after_ms(c->last_trial, PST_EARLY_GAP_MS).ns;
    if (c->has_trial || is_soon || (o && o->is_away && o->has_trial)) {
        *out = PST_ADMIT_NOT_NOW;
        return PST_OK;
    }
    c->has_trial = true;
    c->had_trial = true;
    c->last_trial = now;
    if (o && o->is_away)
        o->has_trial = true;
    return PST_OK;
}

pst_code pst_breakers_admit(struct pst_breakers *b, pst_mono now, const char *origin,
                            pst_str connection, enum pst_trial trial, enum pst_admission *out,
                            struct pst_err *err)
{
    struct origin *o = pst_map_get(&b->origins, pst_str_from(origin));
    const struct connection *c = pst_map_get(&b->connections, connection);
    bool is_away = o && o->is_away;
    bool is_offline = c && c->is_offline;
    *out = PST_ADMIT;
    if (!is_away && !is_offline)
        return PST_OK;
    if (trial != PST_TRIAL_NONE)
        return begin_trial(b, now, o, connection, trial, out, err);
    *out = is_away ? PST_ADMIT_NOT_ORIGIN : PST_ADMIT_NOT_CONNECTION;
    return PST_OK;
}

/* ---- what calls tell ---- */

static void count_failure(const struct pst_breakers *b, struct origin *o, pst_str connection)
{
    if (o->failures++ == 0)
        (void)pst_str_copy(o->first, sizeof(o->first), connection);
    else if (!pst_str_is(connection, o->first))
        o->is_common = true;
    o->is_away = o->is_common && o->failures >= b->offline_after;
}

void pst_breakers_ended(struct pst_breakers *b, const char *origin, pst_str connection,
                        enum pst_trial trial, bool is_down, bool is_up)
{
    pst_str name = pst_str_from(origin);
    struct connection *c = pst_map_get(&b->connections, connection);
    struct pst_err ignored;
    void *entry = pst_map_get(&b->origins, name);
    /* Without memory a failure is not counted here; the connection counts it for itself. */
    if (is_down && !entry && ensure(&b->origins, name, sizeof(struct origin), &entry, &ignored))
        entry = NULL;
    struct origin *o = entry;
    if (trial != PST_TRIAL_NONE && c && c->has_trial) {
        c->has_trial = false;
        if (o)
            o->has_trial = false;
    }
    if (o && is_down)
        count_failure(b, o, connection);
    if (o && is_up)
        *o = (struct origin){.has_trial = o->has_trial};
    drop_calm(b, name, connection);
}

bool pst_breakers_is_away(const struct pst_breakers *b, const char *origin)
{
    const struct origin *o = pst_map_get(&b->origins, pst_str_from(origin));
    return o && o->is_away;
}

pst_code pst_breakers_set(struct pst_breakers *b, pst_str connection, bool is_offline,
                          const char *reason, struct pst_err *err)
{
    void *entry = pst_map_get(&b->connections, connection);
    if (is_offline)
        PST_TRY(ensure(&b->connections, connection, sizeof(struct connection), &entry, err));
    struct connection *c = entry;
    if (c) {
        c->is_offline = is_offline;
        (void)pst_str_copy(c->reason, sizeof(c->reason), pst_str_from(reason));
    }
    drop_calm(b, PST_STR(""), connection);
    return PST_OK;
}

const char *pst_breakers_reason(const struct pst_breakers *b, pst_str connection)
{
    const struct connection *c = pst_map_get(&b->connections, connection);
    return c ? c->reason : "";
}

pst_code pst_breakers_restore(struct pst_breakers *b, const char *origin, pst_str connection,
                              const char *reason, struct pst_err *err)
{
    void *entry = NULL;
    PST_TRY(pst_breakers_set(b, connection, true, reason, err));
    if (origin[0] == '\0')
        return PST_OK;
    PST_TRY(ensure(&b->origins, pst_str_from(origin), sizeof(struct origin), &entry, err));
    /* It had failed as often as it takes. */
    for (int i = 0; i < b->offline_after; i++)
        count_failure(b, entry, connection);
    return PST_OK;
}

size_t pst_breakers_count(const struct pst_breakers *b)
{
    return b->origins.count + b->connections.count;
}
