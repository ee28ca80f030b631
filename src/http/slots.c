/* http/slots.c: the turns of turns.h for threads: one lock, and a condition for each that waits. */
#include "base/alloc.h"
#include "http/http.h"
#include "http/turns.h"
#include "os/clock.h"
#include "os/thread.h"

enum { LOOK_MS = 100 }; /* how often a waiting call looks at its cancel flag */

struct pst_http_slots {
    pthread_mutex_t mutex; /* guards turns, and the is_in of every slot */
    struct pst_turns *turns;
    uint32_t per_host, per_owner;
};

struct pst_http_slot {
    struct pst_turn turn; /* first: a turn is its slot */
    pthread_cond_t let_in;
};

pst_code pst_http_slots_new(struct pst_http_slots **out, uint32_t per_host, uint32_t per_owner,
                            struct pst_err *err)
{
    void *p = NULL;
    PST_TRY(pst_new(&p, sizeof(struct pst_http_slots), err));
    struct pst_http_slots *slots = p;
    pst_code code = pst_turns_new(&slots->turns, per_host, per_owner, err);
    if (code != PST_OK) {
        pst_free(slots);
        return code;
    }
    slots->per_host = per_host;
    slots->per_owner = per_owner;
    pthread_mutex_init(&slots->mutex, NULL);
    *out = slots;
    return PST_OK;
}

void pst_http_slots_free(struct pst_http_slots *slots)
{
    if (!slots)
        return;
    pst_turns_free(slots->turns);
    pthread_mutex_destroy(&slots->mutex);
    pst_free(slots);
}

static void let_in(struct pst_http_slots *slots)
{
    for (struct pst_turn *t = pst_turns_next(slots->turns); t; t = pst_turns_next(slots->turns))
        pthread_cond_signal(&((struct pst_http_slot *)t)->let_in);
}

static pst_code wait_for_turn(struct pst_http_slots *slots, struct pst_http_slot *slot,
                              const struct pst_http_wait *wait, struct pst_err *err)
{
    while (!slot->turn.is_in) {
        pst_mono now = pst_mono_now();
        pst_mono look = pst_mono_after_ms(now, LOOK_MS);
        if (wait->cancel && atomic_load_explicit(wait->cancel, memory_order_relaxed))
            return PST_FAIL(err, PST_E_CANCELLED, "cancelled");
        if (wait->deadline.ns != 0 && now.ns >= wait->deadline.ns)
            return PST_FAIL(err, PST_E_UNAVAILABLE,
                            "no call to this system was free in time (at most %u at once, %u of "
                            "one connection)",
                            slots->per_host, slots->per_owner);
        if (wait->deadline.ns != 0 && wait->deadline.ns < look.ns)
            look = wait->deadline;
        (void)pst_cond_wait_until(&slot->let_in, &slots->mutex, look);
    }
    return PST_OK;
}

static void free_slot(struct pst_http_slot *slot)
{
    pthread_cond_destroy(&slot->let_in);
    pst_free(slot);
}

pst_code pst_http_slot_take(struct pst_http_slots *slots, const struct pst_http_wait *wait,
                            struct pst_http_slot **out, int64_t *waited_us, struct pst_err *err)
{
    void *p = NULL;
    pst_mono begin = pst_mono_now();
    PST_TRY(pst_new(&p, sizeof(struct pst_http_slot), err));
    struct pst_http_slot *slot = p;
    pst_cond_init(&slot->let_in);
    pthread_mutex_lock(&slots->mutex);
    pst_code code = pst_turns_ask(slots->turns, &slot->turn, wait->host, wait->owner, err);
    if (code == PST_OK) {
        let_in(slots);
        code = wait_for_turn(slots, slot, wait, err);
        if (code != PST_OK)
            pst_turns_leave(slots->turns, &slot->turn);
    }
    pthread_mutex_unlock(&slots->mutex);
    *waited_us = (pst_mono_now().ns - begin.ns) / 1000;
    if (code == PST_OK)
        *out = slot;
    else
        free_slot(slot);
    return code;
}

void pst_http_slot_give(struct pst_http_slots *slots, struct pst_http_slot *slot)
{
    pthread_mutex_lock(&slots->mutex);
    pst_turns_leave(slots->turns, &slot->turn);
    let_in(slots);
    pthread_mutex_unlock(&slots->mutex);
    free_slot(slot);
}
