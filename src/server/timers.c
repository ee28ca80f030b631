/* server/timers.c: a binary heap of connections by deadline.
 *
 * Deadlines move later with every request but almost never fire, so moving one later only writes
 * a number: the heap is ordered by timer_key, which may be earlier than the true deadline and is
 * corrected when it comes to the top.
 */
#include "base/vec.h"
#include "server/internal.h"

static void put(struct pst_timers *t, size_t i, struct pst_conn *c)
{
    t->items[i] = c;
    c->timer_index = i;
}

static void sift_up(struct pst_timers *t, size_t i)
{
    struct pst_conn *c = t->items[i];
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (t->items[parent]->timer_key.ns <= c->timer_key.ns)
            break;
        put(t, i, t->items[parent]);
        i = parent;
    }
    put(t, i, c);
}

static void sift_down(struct pst_timers *t, size_t i)
{
    struct pst_conn *c = t->items[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= t->len)
            break;
        if (child + 1 < t->len && t->items[child + 1]->timer_key.ns < t->items[child]->timer_key.ns)
            child++;
        if (c->timer_key.ns <= t->items[child]->timer_key.ns)
            break;
        put(t, i, t->items[child]);
        i = child;
    }
    put(t, i, c);
}

pst_code pst_server_timer_add(struct pst_timers *t, struct pst_conn *c, struct pst_err *err)
{
    struct pst_conn **item = NULL;
    PST_TRY(pst_vec_push(t, &item, err));
    *item = c;
    c->deadline = c->timer_key = PST_MONO_NEVER;
    c->timer_index = t->len - 1;
    return PST_OK;
}

void pst_server_timer_remove(struct pst_timers *t, struct pst_conn *c)
{
    size_t i = c->timer_index;
    struct pst_conn *last = t->items[--t->len];
    if (last == c)
        return;
    put(t, i, last);
    sift_down(t, i);
    sift_up(t, last->timer_index);
}

void pst_server_timer_set(struct pst_timers *t, struct pst_conn *c, pst_mono deadline)
{
    c->deadline = deadline;
    if (deadline.ns >= c->timer_key.ns)
        return;
    c->timer_key = deadline;
    sift_up(t, c->timer_index);
}

struct pst_conn *pst_server_timer_expired(struct pst_timers *t, pst_mono now)
{
    while (t->len && t->items[0]->timer_key.ns <= now.ns) {
        struct pst_conn *c = t->items[0];
        if (c->deadline.ns <= now.ns)
            return c;
        c->timer_key = c->deadline;
        sift_down(t, 0);
    }
    return NULL;
}

pst_mono pst_server_timer_next(const struct pst_timers *t)
{
    return t->len ? t->items[0]->timer_key : PST_MONO_NEVER;
}
