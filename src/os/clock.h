/* os/clock.h: reading time, through a table so that tests can pass a clock of their own.
 *
 * Thread-safety: the system clock may be read from any thread; a virtual one is as safe as
 * whoever wrote it says.
 */
#ifndef PST_OS_CLOCK_H
#define PST_OS_CLOCK_H

#include "base/time.h"

/* Passed by pointer to const; self is borrowed and outlives every user. */
struct pst_clock {
    pst_mono (*mono)(void *self); /* never goes back */
    pst_wall (*wall)(void *self); /* UTC, may jump */
    void *self;
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME. Static storage. */
extern const struct pst_clock pst_clock_system;

static inline pst_mono pst_clock_mono(const struct pst_clock *c)
{
    return c->mono(c->self);
}

static inline pst_wall pst_clock_wall(const struct pst_clock *c)
{
    return c->wall(c->self);
}

/* The system clocks, where no table is at hand. */
pst_mono pst_mono_now(void);
pst_wall pst_wall_now(void);

/* CPU time this thread, and the whole process, has used; nanoseconds. */
int64_t pst_cpu_thread_ns(void);
int64_t pst_cpu_process_ns(void);

/* Block this thread for at least ms milliseconds (ms <= 0: not at all). */
void pst_sleep_ms(int64_t ms);

#endif
