/* health/probes.c: a heap of due times over the connections that are not well, and over the
 * origins that are away.
 *
 * A member (connection) has a place in the heap for whichever comes first, its probe or its event.
 * While its origin is away, or is coming back, or has no room for a probe that is due, that is the
 * origin's business: the origin stands in the heap, and takes its members by turns. */
#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "health/health.h"

#define NOT_IN_HEAP UINT32_MAX

enum { HELD_MS = 100 }; /* how long what is to confirm a failure waits for its origin's others */

struct node {
    pst_mono due;
    uint32_t heap_at;
    bool is_origin;
};

struct member {
    struct node node; /* first */
    int64_t pk, version;
    struct origin *origin; /* NULL: not known */
    struct origin *asked; /* whose probe is under way; it may have moved since. NULL: none */
    struct member *next, *prev; /* in the origin's ring of those it probes; NULL: not in it */
    pst_mono probe, tell;
    int64_t step;
    bool is_offline;
    bool is_busy; /* a task of it is being done */
    bool is_gone; /* to be forgotten when that is done */
};

struct origin {
    struct node node; /* first */
    pst_str name;
    uint32_t members; /* that name it, or ask it */
    uint32_t busy; /* probes under way */
    uint32_t
        answered; /* well, since it is back; else since one of those that are offline did not */
    int64_t step;
    struct member *turn; /* ring of those that wait for a probe of it */
    enum { SEPARATE, AWAY, RETURNING } state;
};

struct pst_probes {
    struct pst_backoff backoff;
    struct pst_map members; /* pk's bytes -> struct member */
    struct pst_map origins; /* text -> struct origin */
    struct {
        struct node **items;
        size_t len, cap;
    } heap;
};

/* ---- heap ---- */

static void place(struct pst_probes *p, uint32_t at, struct node *n)
{
    p->heap.items[at] = n;
    n->heap_at = at;
}

static void sift(struct pst_probes *p, uint32_t at)
{
    struct node *n = p->heap.items[at];
    while (at > 0 && n->due.ns < p->heap.items[(at - 1) / 2]->due.ns) {
        place(p, at, p->heap.items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= p->heap.len)
            break;
        if (child + 1 < p->heap.len &&
            p->heap.items[child + 1]->due.ns < p->heap.items[child]->due.ns)
            child++;
        if (p->heap.items[child]->due.ns >= n->due.ns)
            break;
        place(p, at, p->heap.items[child]);
        at = child;
    }
    place(p, at, n);
}

static void set_due(struct pst_probes *p, struct node *n, pst_mono due)
{
    n->due = due;
    sift(p, n->heap_at);
}

static pst_code enter(struct pst_probes *p, struct node *n, struct pst_err *err)
{
    struct node **slot = NULL;
    PST_TRY(pst_vec_push(&p->heap, &slot, err));
    n->due = PST_MONO_NEVER;
    place(p, (uint32_t)p->heap.len - 1, n);
    return PST_OK;
}

static void leave(struct pst_probes *p, struct node *n)
{
    uint32_t at = n->heap_at;
    struct node *last = p->heap.items[--p->heap.len];
    if (last == n)
        return;
    place(p, at, last);
    sift(p, at);
}

/* ---- an origin's ring ---- */

static void ring_add(struct member *m)
{
    struct origin *o = m->origin;
    if (m->next)
        return;
    if (!o->turn) {
        o->turn = m->next = m->prev = m;
        return;
    }
    m->next = o->turn;
    m->prev = o->turn->prev;
    m->prev->next = m;
    m->next->prev = m;
}

static void ring_remove(struct member *m)
{
    struct origin *o = m->origin;
    if (!o || !m->next)
        return;
    if (o->turn == m)
        o->turn = m->next == m ? NULL : m->next;
    m->prev->next = m->next;
    m->next->prev = m->prev;
    m->next = m->prev = NULL;
}

/* ---- life ---- */

pst_code pst_probes_new(struct pst_probes **out, const struct pst_backoff *backoff,
                        struct pst_err *err)
{
    PST_TRY(pst_new((void **)out, sizeof(**out), err));
    (*out)->backoff = *backoff;
    return PST_OK;
}

void pst_probes_free(struct pst_probes *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->members.count; i++)
        pst_free(p->members.entries[i].value);
    for (size_t i = 0; i < p->origins.count; i++)
        pst_free(p->origins.entries[i].value);
    pst_map_fini(&p->members);
    pst_map_fini(&p->origins);
    pst_vec_fini(&p->heap);
    pst_free(p);
}

static pst_str key_of(const int64_t *pk)
{
    return (pst_str){(const char *)pk, sizeof(*pk)};
}

static struct member *find(const struct pst_probes *p, int64_t pk)
{
    return pst_map_get(&p->members, key_of(&pk));
}

static pst_code ensure_origin(struct pst_probes *p, const char *name, struct origin **out,
                              struct pst_err *err)
{
    pst_str key = pst_str_from(name);
    struct origin *o = pst_map_get(&p->origins, key);
    if (!o) {
        PST_TRY(pst_new((void **)&o, sizeof(*o) + key.len + 1, err));
        char *copy = (char *)(o + 1);
        memcpy(copy, name, key.len + 1);
        o->name = (pst_str){copy, key.len};
        o->node.is_origin = true;
        pst_code rc = enter(p, &o->node, err);
        if (rc == PST_OK && (rc = pst_map_put(&p->origins, key, o, NULL, err)) != PST_OK)
            leave(p, &o->node);
        if (rc != PST_OK) {
            pst_free(o);
            return rc;
        }
    }
    *out = o;
    return PST_OK;
}

static void drop_origin(struct pst_probes *p, struct origin *o)
{
    if (--o->members > 0)
        return;
    leave(p, &o->node);
    pst_free(pst_map_remove(&p->origins, o->name));
}

static void leave_origin(struct pst_probes *p, struct member *m)
{
    struct origin *o = m->origin;
    if (!o)
        return;
    ring_remove(m);
    m->origin = NULL;
    drop_origin(p, o);
}

static pst_code ensure_member(struct pst_probes *p, int64_t pk, struct member **out,
                              struct pst_err *err)
{
    struct member *m = find(p, pk);
    if (!m) {
        PST_TRY(pst_new((void **)&m, sizeof(*m), err));
        m->pk = pk;
        m->probe = m->tell = PST_MONO_NEVER;
        pst_code rc = enter(p, &m->node, err);
        if (rc == PST_OK && (rc = pst_map_put(&p->members, key_of(&pk), m, NULL, err)) != PST_OK)
            leave(p, &m->node);
        if (rc != PST_OK) {
            pst_free(m);
            return rc;
        }
    }
    *out = m;
    return PST_OK;
}

static void forget(struct pst_probes *p, struct member *m)
{
    if (m->is_busy) {
        m->is_gone = true;
        m->probe = m->tell = PST_MONO_NEVER;
        ring_remove(m);
        set_due(p, &m->node, PST_MONO_NEVER);
        return;
    }
    leave_origin(p, m);
    leave(p, &m->node);
    (void)pst_map_remove(&p->members, key_of(&m->pk));
    pst_free(m);
}

/* ---- when ---- */

/* The more of them have answered well, the more may be asked at a time. */
static uint32_t room_of(const struct origin *o)
{
    uint32_t room = 1;
    if (o->state != AWAY)
        room += o->answered;
    return room < PST_PROBES_PER_ORIGIN ? room : PST_PROBES_PER_ORIGIN;
}

static void plan_origin(struct pst_probes *p, struct origin *o, pst_mono due)
{
    bool is_waiting = !o->turn || o->busy >= room_of(o);
    set_due(p, &o->node, is_waiting ? PST_MONO_NEVER : due);
}

static void plan_member(struct pst_probes *p, struct member *m)
{
    pst_mono due = m->tell;
    if (!m->next && m->probe.ns < due.ns)
        due = m->probe;
    set_due(p, &m->node, m->is_busy ? PST_MONO_NEVER : due);
}

/* Put a member whose origin is away into its ring; no longer failing by it, out of it. */
static void join(struct pst_probes *p, struct member *m, bool is_origin, pst_mono now)
{
    struct origin *o = m->origin;
    if (!o || !is_origin || o->state != AWAY || m->probe.ns == PST_MONO_NEVER.ns) {
        ring_remove(m);
        return;
    }
    bool was_empty = !o->turn;
    ring_add(m);
    if (was_empty)
        plan_origin(p, o, m->probe.ns > now.ns ? m->probe : now);
}

bool pst_probes_knows_newer(const struct pst_probes *p, int64_t connection_pk, int64_t version)
{
    const struct member *m = find(p, connection_pk);
    return m && version < m->version;
}

pst_code pst_probes_put(struct pst_probes *p, pst_mono now, const struct pst_probe_item *item,
                        struct pst_err *err)
{
    bool is_calm = item->probe.ns == PST_MONO_NEVER.ns && item->tell.ns == PST_MONO_NEVER.ns;
    struct member *m = find(p, item->connection_pk);
    if (pst_probes_knows_newer(p, item->connection_pk, item->version))
        return PST_OK;
    if (is_calm) {
        if (m) {
            m->version = item->version;
            forget(p, m);
        }
        return PST_OK;
    }
    struct origin *o = NULL;
    PST_TRY(ensure_member(p, item->connection_pk, &m, err));
    if (m->origin && !pst_str_is(m->origin->name, item->origin))
        leave_origin(p, m);
    if (!m->origin && item->origin[0]) {
        PST_TRY(ensure_origin(p, item->origin, &o, err));
        o->members++;
        m->origin = o;
    }
    m->version = item->version;
    m->is_gone = false;
    m->probe = item->probe;
    m->tell = item->tell;
    m->step = item->step;
    /* One outage more: what answered before it says nothing any more. */
    if (m->origin && item->is_offline && !m->is_offline)
        m->origin->answered = 0;
    m->is_offline = item->is_offline;
    join(p, m, item->is_origin, now);
    plan_member(p, m);
    return PST_OK;
}

void pst_probes_remove(struct pst_probes *p, int64_t connection_pk)
{
    struct member *m = find(p, connection_pk);
    if (m)
        forget(p, m);
}

/* Which of the origin's members it takes into its ring, or gives back. */
static void gather(struct pst_probes *p, struct origin *o)
{
    for (size_t i = 0; i < p->members.count; i++) {
        struct member *m = p->members.entries[i].value;
        if (m->origin != o || m->probe.ns == PST_MONO_NEVER.ns)
            continue;
        ring_add(m);
        plan_member(p, m);
        if (m->step > o->step)
            o->step = m->step;
    }
}

void pst_probes_origin(struct pst_probes *p, pst_mono now, uint64_t random, const char *origin,
                       bool is_away)
{
    struct origin *o = pst_map_get(&p->origins, pst_str_from(origin));
    if (!o || is_away == (o->state == AWAY))
        return;
    if (is_away) {
        o->state = AWAY;
        o->step = 0;
        gather(p, o);
        plan_origin(p, o, pst_mono_after_ms(now, pst_backoff_ms(&p->backoff, o->step, random)));
        return;
    }
    o->state = o->turn ? RETURNING : SEPARATE;
    o->answered = 0;
    plan_origin(p, o, now);
}

/* ---- doing ---- */

static struct member *take_turn(struct origin *o)
{
    struct member *m = o->turn;
    while (m->is_busy) {
        m = m->next;
        if (m == o->turn)
            return NULL;
    }
    return m;
}

static struct pst_probe_task begin_probe(struct pst_probes *p, struct member *m)
{
    m->is_busy = true;
    m->asked = m->origin;
    if (m->asked) {
        m->asked->busy++;
        m->asked->members++;
    }
    plan_member(p, m);
    return (struct pst_probe_task){PST_PROBE_CONTACT, m->pk};
}

static struct pst_probe_task begin_of_origin(struct pst_probes *p, struct origin *o, pst_mono now)
{
    struct member *m = take_turn(o);
    if (!m) {
        set_due(p, &o->node, pst_mono_after_ms(now, HELD_MS));
        return (struct pst_probe_task){0};
    }
    o->turn = m->next; /* the next one's turn */
    if (o->state != AWAY)
        ring_remove(m);
    struct pst_probe_task task = begin_probe(p, m);
    plan_origin(p, o, now);
    return task;
}

static struct pst_probe_task begin_of_member(struct pst_probes *p, struct member *m, pst_mono now)
{
    if (m->tell.ns <= now.ns) {
        m->is_busy = true;
        plan_member(p, m);
        return (struct pst_probe_task){PST_PROBE_TELL, m->pk};
    }
    struct origin *o = m->origin;
    if (o && m->is_offline && o->busy >= room_of(o)) {
        ring_add(m);
        plan_member(p, m);
        return (struct pst_probe_task){0};
    }
    if (o && o->busy >= PST_PROBES_PER_ORIGIN) {
        m->probe = pst_mono_after_ms(now, HELD_MS);
        plan_member(p, m);
        return (struct pst_probe_task){0};
    }
    return begin_probe(p, m);
}

struct pst_probe_task pst_probes_next(struct pst_probes *p, pst_mono now, pst_mono *wake)
{
    struct pst_probe_task task = {0};
    while (task.kind == PST_PROBE_NONE && p->heap.len > 0 && p->heap.items[0]->due.ns <= now.ns) {
        struct node *n = p->heap.items[0];
        task = n->is_origin ? begin_of_origin(p, (struct origin *)n, now)
                            : begin_of_member(p, (struct member *)n, now);
    }
    *wake = p->heap.len > 0 ? p->heap.items[0]->due : PST_MONO_NEVER;
    return task;
}

/* The member's probe of that origin is over. While the origin is away a failed one doubles the
 * wait; its success came as pst_probes_origin() before. A member that wants no probe (any more) has
 * not asked: its turn goes to the next. What came of it for a member that moved is not known. */
static void end_of_origin(struct pst_probes *p, struct member *m, pst_mono now, uint64_t random,
                          int64_t again_ms)
{
    struct origin *o = m->asked;
    bool is_known = m->origin == o && again_ms == 0;
    bool is_good = m->origin == o && m->probe.ns == PST_MONO_NEVER.ns;
    pst_mono due = now;
    m->asked = NULL;
    o->busy--;
    if (o->state == AWAY && !is_good) {
        o->step += is_known;
        int64_t ms = pst_backoff_ms(&p->backoff, o->step, random);
        due = pst_mono_after_ms(now, ms > again_ms ? ms : again_ms);
    } else if (o->state != AWAY && is_good) {
        o->answered++;
    } else if (m->is_offline && is_known) {
        o->answered = 0;
    }
    if (o->state == RETURNING && !o->turn && o->busy == 0)
        o->state = SEPARATE;
    plan_origin(p, o, due);
    drop_origin(p, o);
}

void pst_probes_done(struct pst_probes *p, pst_mono now, uint64_t random,
                     const struct pst_probe_task *task, int64_t again_ms)
{
    struct member *m = find(p, task->connection_pk);
    if (!m)
        return;
    m->is_busy = false;
    if (again_ms > 0 && task->kind == PST_PROBE_CONTACT && m->probe.ns != PST_MONO_NEVER.ns)
        m->probe = pst_mono_after_ms(now, again_ms);
    if (again_ms > 0 && task->kind == PST_PROBE_TELL && m->tell.ns != PST_MONO_NEVER.ns)
        m->tell = pst_mono_after_ms(now, again_ms);
    if (m->asked)
        end_of_origin(p, m, now, random, again_ms);
    if (m->is_gone)
        forget(p, m);
    else
        plan_member(p, m);
}

/* ---- looks ---- */

int64_t pst_probes_in_ms(const struct pst_probes *p, pst_mono now, int64_t connection_pk)
{
    const struct member *m = find(p, connection_pk);
    if (!m || m->probe.ns == PST_MONO_NEVER.ns)
        return -1;
    pst_mono due = m->next ? m->origin->node.due : m->probe;
    return due.ns == PST_MONO_NEVER.ns ? 0 : pst_mono_ms_until(now, due);
}

size_t pst_probes_count(const struct pst_probes *p)
{
    return p->members.count;
}
