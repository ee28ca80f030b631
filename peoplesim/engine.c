/* peoplesim/engine.c: making an engine, its clock, and places from key texts. */
#include "base/alloc.h"
#include "base/num.h"
#include "os/clock.h"
#include "peoplesim/engine_state.h"

pst_code pst_sim_engine_new(struct pst_sim_engine **out, const struct pst_sim_settings *settings,
                            const struct pst_sim_zone *zone, struct pst_err *err)
{
    struct pst_sim_engine *e = NULL;
    PST_TRY(pst_new((void **)&e, sizeof(*e), err));
    pst_code rc = pst_sim_world_init(&e->world, settings, zone, err);
    if (rc != PST_OK) {
        pst_free(e);
        return rc;
    }
    pthread_rwlock_init(&e->lock, NULL);
    pthread_mutex_init(&e->clock_lock, NULL);
    *out = e;
    return PST_OK;
}

void pst_sim_engine_free(struct pst_sim_engine *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT; i++)
        pst_sim_overlay_fini(&e->overlays[i]);
    pthread_rwlock_destroy(&e->lock);
    pthread_mutex_destroy(&e->clock_lock);
    pst_free(e);
}

const struct pst_sim_world *pst_sim_engine_world(const struct pst_sim_engine *e)
{
    return &e->world;
}

struct pst_sim_clock pst_sim_engine_clock(struct pst_sim_engine *e)
{
    pthread_mutex_lock(&e->clock_lock);
    struct pst_sim_clock c = e->clock;
    pthread_mutex_unlock(&e->clock_lock);
    return c;
}

void pst_sim_engine_set_clock(struct pst_sim_engine *e, struct pst_sim_clock clock)
{
    pthread_mutex_lock(&e->clock_lock);
    e->clock = clock;
    pthread_mutex_unlock(&e->clock_lock);
}

int64_t pst_sim_engine_now(struct pst_sim_engine *e)
{
    struct pst_sim_clock c = pst_sim_engine_clock(e);
    return c.is_frozen ? c.frozen_us : pst_wall_now().us + c.offset_us;
}

uint64_t pst_sim_engine_changed(struct pst_sim_engine *e)
{
    uint64_t n = 0;
    pthread_rwlock_rdlock(&e->lock);
    for (size_t i = 0; i < PST_SIM_ENTITY_COUNT; i++)
        n += e->overlays[i].count;
    pthread_rwlock_unlock(&e->lock);
    return n;
}

/* ---- places from key texts ---- */

static pst_code read_number(const struct pst_sim_query *q, size_t key, pst_str text, int64_t *out,
                            struct pst_err *err)
{
    *out = 0;
    if (text.len && !pst_parse_i64(out, text, -99999, 99999))
        return PST_FAIL_AT(err, PST_E_INVALID, q->columns[q->keys[key]].name,
                           "'%.*s' is not a number", PST_STR_ARG(text));
    return PST_OK;
}

pst_code pst_sim_position_of(const struct pst_sim_world *w, const struct pst_sim_query *q,
                             const pst_str keys[PST_SIM_KEYS_MAX], struct pst_sim_position *out,
                             struct pst_err *err)
{
    const struct pst_sim_table *t = &w->tables[q->entity];
    int64_t line = 0;
    int64_t sub = 0;
    size_t level_keys = q->key_count - q->doc_keys;
    if (level_keys > 0)
        PST_TRY(read_number(q, q->doc_keys, keys[q->doc_keys], &line, err));
    if (level_keys > 1)
        PST_TRY(read_number(q, q->doc_keys + 1, keys[q->doc_keys + 1], &sub, err));
    *out = PST_SIM_FROM_START;
    if (q->key_count == 0)
        return PST_OK;
    size_t g = 0;
    if (q->doc_keys > 1) {
        while (g < t->group_count && pst_str_cmp(pst_str_from(t->group_names[g]), keys[0]) < 0)
            g++;
        out->doc = pst_sim_doc(g, 0);
        if (g == t->group_count || !pst_str_is(keys[0], t->group_names[g]))
            return PST_OK;
    }
    pst_str id = keys[q->doc_keys - 1];
    out->doc = pst_sim_doc(g, pst_sim_id_lower(w, q->entity, id));
    uint64_t number = 0;
    if (pst_sim_id_read(w, q->entity, id, &number)) {
        out->line = line;
        out->sub = sub;
    }
    return PST_OK;
}
