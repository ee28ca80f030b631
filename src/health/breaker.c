/* health/breaker.c: origins whose calls fail, and connections that are offline.
 *
 * Only what is not well is kept: an origin from its first failure to its next answer, a connection
 * while it is offline or a trial of it is under way. */
#include "base/alloc.h"
#include "base/map.h"
#include "health/health.h"

enum {
    NAME_MAX = 40, /* "conn_..." */
    MOMENT_MS =
        2000, /* what fails in it fails together: as long as a connection waits to confirm */
};

struct origin {
    int64_t failures; /* in a row, those of one moment counted once */
    pst_mono counted; /* end of the last one that counted */
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
                            struct pst_breaker_call *call, enum pst_admission *out,
                            struct pst_err *err)
{
    void *entry = NULL;
    PST_TRY(ensure(&b->connections, call->connection, sizeof(struct connection), &entry, err));
    struct connection *c = entry;
    bool is_soon = call->trial == PST_TRIAL_EARLY && c->had_trial &&
                   now.ns < pst_mono_after_ms(c->last_trial, PST_EARLY_GAP_MS).ns;
    bool is_away = o && o->is_away;
    if (!call->is_trial && (c->has_trial || is_soon))
        *out = PST_ADMIT_NOT_NOW;
    else if (is_away && !call->is_of_origin && o->has_trial)
        /* Whose status does not say yet that the origin is away learns it by this. */
        *out = c->is_offline ? PST_ADMIT_NOT_NOW : PST_ADMIT_NOT_ORIGIN;
    if (*out != PST_ADMIT) {
        drop_calm(b, PST_STR(""), call->connection);
        return PST_OK;
    }
    if (!call->is_trial) {
        c->has_trial = c->had_trial = call->is_trial = true;
        c->last_trial = now;
    }
    if (is_away)
        o->has_trial = call->is_of_origin = true;
    return PST_OK;
}

pst_code pst_breakers_admit(struct pst_breakers *b, pst_mono now, struct pst_breaker_call *call,
                            enum pst_admission *out, struct pst_err *err)
{
    struct origin *o = pst_map_get(&b->origins, pst_str_from(call->origin));
    const struct connection *c = pst_map_get(&b->connections, call->connection);
    bool is_away = o && o->is_away;
    bool is_offline = c && c->is_offline;
    *out = PST_ADMIT;
    if (!is_away && !is_offline)
        return PST_OK;
    if (call->trial != PST_TRIAL_NONE)
        return begin_trial(b, now, o, call, out, err);
    *out = is_away ? PST_ADMIT_NOT_ORIGIN : PST_ADMIT_NOT_CONNECTION;
    return PST_OK;
}

/* ---- what calls tell ---- */

static void count_failure(const struct pst_breakers *b, pst_mono now, struct origin *o,
                          const struct pst_breaker_call *call)
{
    bool is_first = o->failures == 0;
    if (is_first)
        (void)pst_str_copy(o->first, sizeof(o->first), call->connection);
    else if (!pst_str_is(call->connection, o->first))
        o->is_common = true;
    if (is_first || call->began.ns >= pst_mono_after_ms(o->counted, MOMENT_MS).ns) {
        o->failures++;
        o->counted = now;
    }
    o->is_away = o->is_common && o->failures >= b->offline_after;
}

void pst_breakers_ended(struct pst_breakers *b, pst_mono now, const struct pst_breaker_call *call,
                        bool is_down, bool is_up)
{
    pst_str name = pst_str_from(call->origin);
    struct connection *c = pst_map_get(&b->connections, call->connection);
    struct pst_err ignored;
    void *entry = pst_map_get(&b->origins, name);
    /* Without memory a failure is not counted here; the connection counts it for itself. */
    if (is_down && !entry && ensure(&b->origins, name, sizeof(struct origin), &entry, &ignored))
        entry = NULL;
    struct origin *o = entry;
    if (call->is_trial)
        c->has_trial = false; /* what has a trial is kept */
    if (o && call->is_of_origin)
        o->has_trial = false;
    if (o && is_down)
        count_failure(b, now, o, call);
    if (o && is_up)
        *o = (struct origin){.has_trial = o->has_trial};
    drop_calm(b, name, call->connection);
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
    const struct pst_breaker_call call = {.origin = origin, .connection = connection};
    struct origin *o = entry;
    count_failure(b, (pst_mono){0}, o, &call);
    o->failures = b->offline_after;
    return PST_OK;
}

size_t pst_breakers_count(const struct pst_breakers *b)
{
    return b->origins.count + b->connections.count;
}
