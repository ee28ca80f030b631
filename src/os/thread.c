/* os/thread.c: pthreads with a name, blocked signals and one way to fail. */
#include "os/thread.h"

#include <sched.h>
#include <signal.h>

#include "base/alloc.h"

enum { NAME_MAX_BYTES = 16, STACK_BYTES = 2 << 20 };

struct pst_thread {
    pthread_t handle;
    void (*run)(void *arg);
    void *arg;
    char name[NAME_MAX_BYTES];
};

static void *thread_main(void *self)
{
    struct pst_thread *t = self;
    (void)pthread_setname_np(pthread_self(), t->name);
    t->run(t->arg);
    return NULL;
}

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

static int create_blocked(struct pst_thread *t)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;
    int rc = pthread_attr_init(&attr);
    if (rc != 0)
        return rc;
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)sigfillset(&all);
    /* Faults of the thread itself stay deliverable, so that a crash can be reported. */
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        (void)sigdelset(&all, faults[i]);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&t->handle, &attr, thread_main, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return rc;
}

pst_code pst_thread_start(struct pst_thread **out, const char *name, void (*run)(void *arg),
                          void *arg, struct pst_err *err)
{
    struct pst_thread *t = NULL;
    PST_TRY(pst_new((void **)&t, sizeof(*t), err));
    t->run = run;
    t->arg = arg;
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    int rc = create_blocked(t);
    if (rc != 0) {
        pst_free(t);
        errno = rc;
        return PST_FAIL_OS(err, PST_E_UNAVAILABLE, "cannot start thread '%s'", name);
    }
    *out = t;
    return PST_OK;
}

void pst_thread_join(struct pst_thread *t)
{
    if (!t)
        return;
    (void)pthread_join(t->handle, NULL);
    pst_free(t);
}

void pst_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

bool pst_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, pst_mono deadline)
{
    if (deadline.ns == PST_MONO_NEVER.ns)
        return pthread_cond_wait(cond, mutex) == 0;
    struct timespec ts = {.tv_sec = deadline.ns / PST_NS_PER_S,
                          .tv_nsec = deadline.ns % PST_NS_PER_S};
    return pthread_cond_timedwait(cond, mutex, &ts) == 0;
}

int pst_cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}
