/* sync/sched.h: which connection is due, as a pure state machine.
 *
 *   step(state, now_mono, now_wall, event) -> connections to run, and when to come back
 *
 * No clock, no thread, no database: whoever owns the scheduler (sync's scheduler thread, or a
 * test in virtual time) passes events in and carries out what comes back.
 *
 * Rules
 *   - Ticks are wall-clock times (schedule.h); a manual run neither moves nor replaces them.
 *   - A connection never overlaps itself: a tick that comes while its own run is going on is
 *     remembered, once, and runs when that run has ended.
 *   - Ticks missed while nobody looked (the process was down, the machine slept, the clock
 *     jumped ahead, the connection was paused) become one run. Many of them at once are
 *     spread: at most 10 ms per known connection, at most half of the interval or 5 minutes, and
 *     never behind the tick that follows. Looks up to 20 s late (4 * PST_SCHED_LOOK_MS) are not
 *     yet a miss.
 *   - A clock set back: intervals go on with their rhythm from the new time; a cron tick that
 *     was run in the hour before is not repeated.
 *   - A connection that was never synced runs first as PST_RUN_INITIAL, at once.
 *   - A paused connection (inactive, authentication_required, offline) does not run. Its initial
 * run and one missed tick wait for it. A run that it owes comes as those of missed ticks do, and
 *     stands for them.
 *
 * Cost: about 200 bytes per connection, O(log n) per tick; a step returns at most
 * PST_SCHED_RUNS runs and asks to be called again at once when more are due.
 *
 * Thread-safety: one thread.
 */
#ifndef PST_SYNC_SCHED_H
#define PST_SYNC_SCHED_H

#include "sync/schedule.h"

struct pst_sched;

enum { PST_SCHED_RUNS = 64, PST_SCHED_LOOK_MS = 5000 };

enum pst_sched_event_kind {
    PST_SCHED_TIME, /* nothing happened but time */
    PST_SCHED_PUT, /* a connection is new, or was changed */
    PST_SCHED_REMOVE,
    PST_SCHED_FINISHED, /* the run that was asked for has ended, or could not begin */
};

struct pst_sched_event {
    enum pst_sched_event_kind kind;
    int64_t connection; /* all but TIME; any number but 0 */
    /* PUT */
    enum pst_schedule_kind schedule;
    int64_t interval_ms;
    struct pst_cron cron;
    const struct pst_tz *zone; /* of cron; outlives the scheduler or the next PUT */
    uint64_t spread;
    bool paused;
    bool initial; /* its first full sync was never asked for */
    bool owed; /* its system is back: a run has to catch up, ticks missed or not */
    bool running; /* new connections only: a run of it is already under way */
    pst_wall last_run; /* new connections only: when a tick of it last ran; none = never */
};

enum pst_run_kind { PST_RUN_INITIAL, PST_RUN_SCHEDULED };

struct pst_sched_run {
    int64_t connection;
    enum pst_run_kind kind;
    pst_wall tick; /* the tick it stands for, the first of those missed */
};

struct pst_sched_actions {
    struct pst_sched_run runs[PST_SCHED_RUNS];
    size_t count;
    pst_mono wake; /* call again no later; at most PST_SCHED_LOOK_MS away while there are
                      connections, so that clock jumps are seen */
};

pst_code pst_sched_new(struct pst_sched **out, struct pst_err *err); /* NO_MEMORY */
void pst_sched_free(struct pst_sched *s); /* NULL is a no-op */
PST_DEFINE_AUTO(sched, struct pst_sched, pst_sched_free);

/* Errors: NO_MEMORY (PUT only; the state is as before). *out is set in either case. */
pst_code pst_sched_step(struct pst_sched *s, pst_mono now, pst_wall wall,
                        const struct pst_sched_event *event, struct pst_sched_actions *out,
                        struct pst_err *err);

/* When the connection is due next; none: unknown, manual or paused. */
pst_wall pst_sched_next_run(const struct pst_sched *s, int64_t connection);
/* Whether a run that was asked for is still going on. */
bool pst_sched_is_running(const struct pst_sched *s, int64_t connection);
size_t pst_sched_count(const struct pst_sched *s);

/* Tests: false when the heap or the index is not as it must be. */
bool pst_sched_valid(const struct pst_sched *s);

#endif
