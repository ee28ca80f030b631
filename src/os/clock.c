/* os/clock.c: the system's clocks. */
#include "os/clock.h"

#include <errno.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec ts = {0};
    /* Fails only for an unknown clock id; these are constants of every Linux. */
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * PST_NS_PER_S + ts.tv_nsec;
}

pst_mono pst_mono_now(void)
{
    return (pst_mono){read_ns(CLOCK_MONOTONIC)};
}

pst_wall pst_wall_now(void)
{
    return (pst_wall){read_ns(CLOCK_REALTIME) / 1000};
}

static pst_mono system_mono(void *self)
{
    (void)self;
    return pst_mono_now();
}

static pst_wall system_wall(void *self)
{
    (void)self;
    return pst_wall_now();
}

const struct pst_clock pst_clock_system = {.mono = system_mono, .wall = system_wall};

int64_t pst_cpu_thread_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t pst_cpu_process_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void pst_sleep_ms(int64_t ms)
{
    if (ms <= 0)
        return;
    /* An absolute end, so that interruptions do not lengthen the sleep. */
    pst_mono end = pst_mono_after_ms(pst_mono_now(), ms);
    struct timespec ts = {.tv_sec = end.ns / PST_NS_PER_S, .tv_nsec = end.ns % PST_NS_PER_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        continue;
}
