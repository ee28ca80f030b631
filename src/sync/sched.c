/* sync/sched.c: a binary heap of due times over an array of connections. */
#include "sync/sched.h"

#include "base/alloc.h"

#define NOT_IN_HEAP UINT32_MAX
#define JUMP_BACK_US (1 * PST_US_PER_S)
#define CRON_MEMORY_US (3600 * PST_US_PER_S)
#define ASLEEP_US (4 * PST_SCHED_LOOK_MS * 1000LL)
#define SPREAD_PER_CONNECTION_US 10000LL
#define SPREAD_MAX_US (300 * PST_US_PER_S)

struct entry {
    int64_t connection;
    uint64_t spread;
    int64_t interval_ms;
    const struct pst_tz *zone;
    struct pst_cron cron;
    pst_wall due; /* heap key */
    pst_wall tick; /* what due stands for */
    pst_wall last_run; /* of a tick or of the initial run */
    pst_wall missed; /* the first tick that came while it was running, or none */
    uint32_t heap_at;
    uint8_t schedule; /* enum pst_schedule_kind */
    bool paused;
    bool initial;
    bool owed;
    bool running;
};

struct pst_sched {
    struct entry *entries; /* dense; the last one takes a removed one's place */
    uint32_t *heap; /* indexes of entries by due */
    uint32_t *slots; /* open addressing by connection: index + 1, 0 = empty */
    uint32_t count, cap;
    uint32_t heap_len;
    uint32_t slot_mask;
    bool clock_known;
    int64_t clock_offset_us; /* wall - mono at the last step */
    pst_wall looked; /* wall at the last step */
};

/* ---- index by connection ---- */

static uint32_t slot_of(const struct pst_sched *s, int64_t connection)
{
    uint64_t h = (uint64_t)connection * 0x9e3779b97f4a7c15U;
    return (uint32_t)(h >> 32) & s->slot_mask;
}

static uint32_t find_slot(const struct pst_sched *s, int64_t connection)
{
    uint32_t at = slot_of(s, connection);
    while (s->slots[at] != 0 && s->entries[s->slots[at] - 1].connection != connection)
        at = (at + 1) & s->slot_mask;
    return at;
}

static struct entry *find_entry(const struct pst_sched *s, int64_t connection)
{
    if (s->cap == 0)
        return NULL;
    uint32_t at = find_slot(s, connection);
    return s->slots[at] ? &s->entries[s->slots[at] - 1] : NULL;
}

/* Close the gap in the probe sequence, so that no tombstones are needed. */
static void clear_slot(struct pst_sched *s, uint32_t at)
{
    uint32_t next = at;
    for (;;) {
        next = (next + 1) & s->slot_mask;
        if (s->slots[next] == 0)
            break;
        uint32_t home = slot_of(s, s->entries[s->slots[next] - 1].connection);
        if (((next - home) & s->slot_mask) >= ((next - at) & s->slot_mask)) {
            s->slots[at] = s->slots[next];
            at = next;
        }
    }
    s->slots[at] = 0;
}

static pst_code grow(struct pst_sched *s, struct pst_err *err)
{
    uint32_t cap = s->cap ? s->cap * 2 : 64;
    uint32_t *slots = pst_calloc((size_t)cap * 2, sizeof *slots);
    struct entry *entries = slots ? pst_realloc(s->entries, cap * sizeof *entries) : NULL;
    if (entries)
        s->entries = entries;
    uint32_t *heap = entries ? pst_realloc(s->heap, cap * sizeof *heap) : NULL;
    if (heap == NULL) {
        pst_free(slots);
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for %u connections in the scheduler", cap);
    }
    s->heap = heap;
    pst_free(s->slots);
    s->slots = slots;
    s->slot_mask = cap * 2 - 1;
    s->cap = cap;
    for (uint32_t i = 0; i < s->count; i++)
        s->slots[find_slot(s, s->entries[i].connection)] = i + 1;
    return PST_OK;
}

/* ---- heap ---- */

static bool is_before(const struct pst_sched *s, uint32_t a, uint32_t b)
{
    const struct entry *x = &s->entries[a];
    const struct entry *y = &s->entries[b];
    return x->due.us != y->due.us ? x->due.us < y->due.us : x->connection < y->connection;
}

static void place(struct pst_sched *s, uint32_t at, uint32_t index)
{
    s->heap[at] = index;
    s->entries[index].heap_at = at;
}

static void sift(struct pst_sched *s, uint32_t at)
{
    uint32_t index = s->heap[at];
    while (at > 0 && is_before(s, index, s->heap[(at - 1) / 2])) {
        place(s, at, s->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= s->heap_len)
            break;
        if (child + 1 < s->heap_len && is_before(s, s->heap[child + 1], s->heap[child]))
            child++;
        if (!is_before(s, s->heap[child], index))
            break;
        place(s, at, s->heap[child]);
        at = child;
    }
    place(s, at, index);
}

static void heap_remove(struct pst_sched *s, struct entry *e)
{
    uint32_t at = e->heap_at;
    if (at == NOT_IN_HEAP)
        return;
    e->heap_at = NOT_IN_HEAP;
    uint32_t last = s->heap[--s->heap_len];
    if (at < s->heap_len) {
        place(s, at, last);
        sift(s, at);
    }
}

/* due none: out of the heap. */
static void set_due(struct pst_sched *s, struct entry *e, pst_wall due)
{
    if (pst_wall_is_none(due)) {
        heap_remove(s, e);
        return;
    }
    e->due = due;
    if (e->heap_at == NOT_IN_HEAP)
        place(s, s->heap_len++, (uint32_t)(e - s->entries));
    sift(s, e->heap_at);
}

/* ---- decisions ---- */

static pst_wall next_tick(const struct entry *e, pst_wall after)
{
    const struct pst_schedule schedule = {
        .kind = e->schedule, .interval_ms = e->interval_ms, .cron = e->cron};
    return pst_schedule_next(&schedule, e->zone, e->spread, after);
}

/* When to run what makes up for missed ticks: put off, so that all connections of a server that
 * was down do not fire in one instant, but never behind the tick that follows. */
static pst_wall catch_up(const struct pst_sched *s, const struct entry *e, pst_wall now)
{
    int64_t range = (int64_t)s->count * SPREAD_PER_CONNECTION_US;
    int64_t half = e->schedule == PST_SCHEDULE_INTERVAL ? e->interval_ms * 500 : SPREAD_MAX_US;
    if (range > half)
        range = half;
    if (range > SPREAD_MAX_US)
        range = SPREAD_MAX_US;
    pst_wall due = {now.us + (int64_t)((e->spread >> 16) % (uint64_t)range)};
    pst_wall following = next_tick(e, now);
    return following.us < due.us && !pst_wall_is_none(following) ? following : due;
}

/* The clock was set back behind the last run: from now on ticks count from here, but for the
 * cron ticks of the hour before. */
static void settle(struct entry *e, pst_wall now)
{
    int64_t ahead = e->last_run.us - now.us;
    if (ahead > (e->schedule == PST_SCHEDULE_CRON ? CRON_MEMORY_US : 0))
        e->last_run = now;
}

/* Give e its place in the heap, from what it last did and what time it is now. */
static void plan(struct pst_sched *s, struct entry *e, pst_wall now)
{
    settle(e, now);
    if (e->paused) {
        heap_remove(s, e);
        return;
    }
    if (!e->running && (e->initial || !pst_wall_is_none(e->missed))) {
        e->tick = e->initial ? now : e->missed;
        set_due(s, e, now);
        return;
    }
    if (!e->running && e->owed) {
        e->tick = now;
        set_due(s, e, catch_up(s, e, now));
        return;
    }
    e->tick = next_tick(e, e->last_run);
    if (pst_wall_is_none(e->tick)) {
        heap_remove(s, e);
        return;
    }
    set_due(s, e, e->tick.us < now.us ? catch_up(s, e, now) : e->tick);
}

static void take_schedule(struct entry *e, const struct pst_sched_event *event)
{
    e->schedule = (uint8_t)event->schedule;
    e->interval_ms = event->interval_ms;
    e->cron = event->cron;
    e->zone = event->zone;
    e->spread = event->spread;
    e->paused = event->paused;
    e->initial = event->initial;
    e->owed = event->owed;
}

static bool same_schedule(const struct entry *e, const struct pst_sched_event *event)
{
    return e->schedule == event->schedule && e->interval_ms == event->interval_ms &&
           e->zone == event->zone && e->spread == event->spread &&
           e->cron.minutes == event->cron.minutes && e->cron.hours == event->cron.hours &&
           e->cron.days == event->cron.days && e->cron.months == event->cron.months &&
           e->cron.weekdays == event->cron.weekdays && e->cron.any_hour == event->cron.any_hour &&
           e->cron.any_day == event->cron.any_day && e->cron.any_weekday == event->cron.any_weekday;
}

static pst_code put(struct pst_sched *s, pst_wall now, const struct pst_sched_event *event,
                    struct pst_err *err)
{
    struct entry *e = find_entry(s, event->connection);
    if (e) {
        bool same = same_schedule(e, event) && e->paused == event->paused;
        bool was_initial = e->initial;
        bool was_owed = e->owed;
        /* Ticks of the old schedule are not owed under the new one. */
        if (!same_schedule(e, event)) {
            e->last_run = now;
            e->missed = PST_WALL_NONE;
        }
        take_schedule(e, event);
        if (e->running)
            e->initial = false;
        if (!same || was_initial != e->initial || was_owed != e->owed)
            plan(s, e, now);
        return PST_OK;
    }
    if (s->count == s->cap)
        PST_TRY(grow(s, err));
    e = &s->entries[s->count];
    *e = (struct entry){.connection = event->connection,
                        .heap_at = NOT_IN_HEAP,
                        .running = event->running,
                        .last_run = event->last_run,
                        .missed = PST_WALL_NONE};
    take_schedule(e, event);
    if (e->running)
        e->initial = false;
    /* A connection that never ran a tick owes none from before it was known. */
    if (pst_wall_is_none(e->last_run))
        e->last_run = now;
    s->slots[find_slot(s, event->connection)] = ++s->count;
    plan(s, e, now);
    return PST_OK;
}

static void remove_entry(struct pst_sched *s, int64_t connection)
{
    struct entry *e = find_entry(s, connection);
    if (e == NULL)
        return;
    heap_remove(s, e);
    clear_slot(s, find_slot(s, connection));
    struct entry *last = &s->entries[s->count - 1];
    if (e != last) {
        uint32_t slot = find_slot(s, last->connection);
        *e = *last;
        s->slots[slot] = (uint32_t)(e - s->entries) + 1;
        if (e->heap_at != NOT_IN_HEAP)
            s->heap[e->heap_at] = (uint32_t)(e - s->entries);
    }
    s->count--;
}

static void finish(struct pst_sched *s, pst_wall now, int64_t connection)
{
    struct entry *e = find_entry(s, connection);
    if (e == NULL || !e->running)
        return;
    e->running = false;
    if (!pst_wall_is_none(e->missed) || e->owed)
        plan(s, e, now);
}

/* The clock was set back: times in the heap lie too far ahead. */
static void replan_all(struct pst_sched *s, pst_wall now)
{
    for (uint32_t i = 0; i < s->count; i++)
        plan(s, &s->entries[i], now);
}

/* Nobody looked for a while (the machine slept, the clock was set ahead): ticks that came in it
 * are spread as after a start. What was put off before is not put off again. */
static void replan_missed(struct pst_sched *s, pst_wall now)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct entry *e = &s->entries[i];
        if (e->heap_at != NOT_IN_HEAP && e->due.us < now.us && e->due.us == e->tick.us)
            plan(s, e, now);
    }
}

static void watch_clock(struct pst_sched *s, pst_mono now, pst_wall wall)
{
    int64_t offset = wall.us - now.ns / 1000;
    if (s->clock_known && offset < s->clock_offset_us - JUMP_BACK_US)
        replan_all(s, wall);
    else if (s->clock_known && wall.us - s->looked.us > ASLEEP_US)
        replan_missed(s, wall);
    s->clock_known = true;
    s->clock_offset_us = offset;
    s->looked = wall;
}

/* The top of the heap is due: run it, or remember that it was. */
static void fire(struct pst_sched *s, pst_wall now, struct pst_sched_actions *out)
{
    struct entry *e = &s->entries[s->heap[0]];
    if (e->running) {
        if (pst_wall_is_none(e->missed))
            e->missed = e->tick;
    } else {
        out->runs[out->count++] = (struct pst_sched_run){
            .connection = e->connection,
            .kind = e->initial ? PST_RUN_INITIAL : PST_RUN_SCHEDULED,
            .tick = e->tick,
        };
        e->running = true;
        e->initial = false;
        e->owed = false;
        e->missed = PST_WALL_NONE;
    }
    e->last_run = now;
    e->tick = next_tick(e, now);
    set_due(s, e, e->tick);
}

pst_code pst_sched_step(struct pst_sched *s, pst_mono now, pst_wall wall,
                        const struct pst_sched_event *event, struct pst_sched_actions *out,
                        struct pst_err *err)
{
    pst_code rc = PST_OK;
    out->count = 0;
    watch_clock(s, now, wall);
    if (event->kind == PST_SCHED_PUT)
        rc = put(s, wall, event, err);
    if (event->kind == PST_SCHED_REMOVE)
        remove_entry(s, event->connection);
    if (event->kind == PST_SCHED_FINISHED)
        finish(s, wall, event->connection);
    while (s->heap_len > 0 && s->entries[s->heap[0]].due.us <= wall.us &&
           out->count < PST_SCHED_RUNS)
        fire(s, wall, out);
    out->wake = PST_MONO_NEVER;
    if (s->heap_len > 0) {
        int64_t ms = (s->entries[s->heap[0]].due.us - wall.us + 999) / 1000;
        if (ms < 0)
            ms = 0;
        out->wake = pst_mono_after_ms(now, ms < PST_SCHED_LOOK_MS ? ms : PST_SCHED_LOOK_MS);
    }
    return rc;
}

/* ---- life and looks ---- */

pst_code pst_sched_new(struct pst_sched **out, struct pst_err *err)
{
    return pst_new((void **)out, sizeof(struct pst_sched), err);
}

void pst_sched_free(struct pst_sched *s)
{
    if (s == NULL)
        return;
    pst_free(s->entries);
    pst_free(s->heap);
    pst_free(s->slots);
    pst_free(s);
}

pst_wall pst_sched_next_run(const struct pst_sched *s, int64_t connection)
{
    const struct entry *e = find_entry(s, connection);
    return e && e->heap_at != NOT_IN_HEAP ? e->due : PST_WALL_NONE;
}

bool pst_sched_is_running(const struct pst_sched *s, int64_t connection)
{
    const struct entry *e = find_entry(s, connection);
    return e && e->running;
}

size_t pst_sched_count(const struct pst_sched *s)
{
    return s->count;
}

bool pst_sched_valid(const struct pst_sched *s)
{
    uint32_t in_heap = 0;
    bool ok = true;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct entry *e = &s->entries[i];
        ok &= find_entry(s, e->connection) == e;
        if (e->heap_at == NOT_IN_HEAP)
            continue;
        in_heap++;
        ok &= e->heap_at < s->heap_len;
        ok &= s->heap[e->heap_at] == i;
        if (e->heap_at > 0)
            ok &= !is_before(s, i, s->heap[(e->heap_at - 1) / 2]);
    }
    ok &= in_heap == s->heap_len;
    return ok;
}
