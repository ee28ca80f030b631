/* http/slots.c: a counter per origin under one lock; origins without a call are not kept. */
#include "base/alloc.h"
#include "base/map.h"
#include "http/http.h"
#include "os/clock.h"
#include "os/thread.h"

enum { LOOK_MS = 100 }; /* how often a waiting call looks at its cancel flag */

struct origin {
    uint32_t taken;
    uint32_t waiting;
};

struct pst_http_slots {
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    struct pst_map origins; /* text -> struct origin */
    uint32_t per_origin;
};

pst_code pst_http_slots_new(struct pst_http_slots **out, uint32_t per_origin, struct pst_err *err)
{
    void *p = NULL;
    PST_TRY(pst_new(&p, sizeof(struct pst_http_slots), err));
    struct pst_http_slots *slots = p;
    slots->per_origin = per_origin;
    pthread_mutex_init(&slots->mutex, NULL);
    pst_cond_init(&slots->freed);
    *out = slots;
    return PST_OK;
}

void pst_http_slots_free(struct pst_http_slots *slots)
{
    if (!slots)
        return;
    for (size_t i = 0; i < slots->origins.count; i++)
        pst_free(slots->origins.entries[i].value);
    pst_map_fini(&slots->origins);
    pthread_cond_destroy(&slots->freed);
    pthread_mutex_destroy(&slots->mutex);
    pst_free(slots);
}

static pst_code find_origin(struct pst_http_slots *slots, pst_str name, struct origin **out,
                            struct pst_err *err)
{
    void *p = pst_map_get(&slots->origins, name);
    if (!p) {
        PST_TRY(pst_new(&p, sizeof(struct origin), err));
        pst_code code = pst_map_put(&slots->origins, name, p, NULL, err);
        if (code != PST_OK) {
            pst_free(p);
            return code;
        }
    }
    *out = p;
    return PST_OK;
}

static void drop_idle(struct pst_http_slots *slots, pst_str name, const struct origin *o)
{
    if (o->taken == 0 && o->waiting == 0)
        pst_free(pst_map_remove(&slots->origins, name));
}

static pst_code wait_for_slot(struct pst_http_slots *slots, struct origin *o, pst_mono deadline,
                              const atomic_bool *cancel, struct pst_err *err)
{
    while (o->taken >= slots->per_origin) {
        pst_mono now = pst_mono_now();
        pst_mono look = pst_mono_after_ms(now, LOOK_MS);
        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
            return PST_FAIL(err, PST_E_CANCELLED, "cancelled");
        if (deadline.ns != 0 && now.ns >= deadline.ns)
            return PST_FAIL(err, PST_E_UNAVAILABLE,
                            "no call to this system was free in time (at most %u at once)",
                            slots->per_origin);
        if (deadline.ns != 0 && deadline.ns < look.ns)
            look = deadline;
        (void)pst_cond_wait_until(&slots->freed, &slots->mutex, look);
    }
    return PST_OK;
}

pst_code pst_http_slot_take(struct pst_http_slots *slots, const char *origin, pst_mono deadline,
                            const atomic_bool *cancel, int64_t *waited_us, struct pst_err *err)
{
    pst_str name = pst_str_from(origin);
    struct origin *o = NULL;
    pst_mono begin = pst_mono_now();
    pthread_mutex_lock(&slots->mutex);
    pst_code code = find_origin(slots, name, &o, err);
    if (code == PST_OK) {
        o->waiting++;
        code = wait_for_slot(slots, o, deadline, cancel, err);
        o->waiting--;
        if (code == PST_OK)
            o->taken++;
        drop_idle(slots, name, o);
    }
    pthread_mutex_unlock(&slots->mutex);
    *waited_us = (pst_mono_now().ns - begin.ns) / 1000;
    return code;
}

void pst_http_slot_give(struct pst_http_slots *slots, const char *origin)
{
    pst_str name = pst_str_from(origin);
    pthread_mutex_lock(&slots->mutex);
    struct origin *o = pst_map_get(&slots->origins, name);
    if (o) {
        o->taken--;
        drop_idle(slots, name, o);
    }
    pthread_cond_broadcast(&slots->freed);
    pthread_mutex_unlock(&slots->mutex);
}
