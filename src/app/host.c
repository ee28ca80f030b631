/* app/host.c: bells, lanes and clocks for sync. */
#include "app/internal.h"
#include "os/clock.h"
#include "os/rand.h"

void pst_bell_init(struct pst_bell *b)
{
    (void)pthread_mutex_init(&b->mutex, NULL);
    pst_cond_init(&b->cond);
    b->count = 0;
}

void pst_bell_fini(struct pst_bell *b)
{
    (void)pthread_cond_destroy(&b->cond);
    (void)pthread_mutex_destroy(&b->mutex);
}

void pst_bell_ring(struct pst_bell *b)
{
    (void)pthread_mutex_lock(&b->mutex);
    b->count++;
    (void)pthread_cond_signal(&b->cond);
    (void)pthread_mutex_unlock(&b->mutex);
}

void pst_bell_await(struct pst_bell *b, int64_t timeout_ms)
{
    pst_mono deadline =
        timeout_ms < 0 ? PST_MONO_NEVER : pst_mono_after_ms(pst_mono_now(), timeout_ms);
    (void)pthread_mutex_lock(&b->mutex);
    while (b->count == 0 && pst_cond_wait_until(&b->cond, &b->mutex, deadline))
        continue;
    if (b->count > 0)
        b->count--;
    (void)pthread_mutex_unlock(&b->mutex);
}

/* ---- the host ---- */

static pst_mono host_mono(void *self)
{
    (void)self;
    return pst_mono_now();
}

static pst_wall host_wall(void *self)
{
    (void)self;
    return pst_wall_now();
}

static uint64_t host_random(void *self)
{
    (void)self;
    return pst_rand_u64();
}

static void host_sleep(void *self, int64_t ms)
{
    (void)self;
    pst_sleep_ms(ms);
}

static void host_ring(void *self, enum pst_sync_bell bell)
{
    struct pst_host *h = self;
    pst_bell_ring(&h->bells[bell]);
}

static void host_await(void *self, enum pst_sync_bell bell, int64_t timeout_ms)
{
    struct pst_host *h = self;
    pst_bell_await(&h->bells[bell], timeout_ms);
}

void pst_host_init(struct pst_host *h)
{
    for (size_t i = 0; i < PST_BELLS; i++)
        pst_bell_init(&h->bells[i]);
}

void pst_host_fini(struct pst_host *h)
{
    for (size_t i = 0; i < PST_BELLS; i++)
        pst_bell_fini(&h->bells[i]);
}

struct pst_sync_host pst_host_table(struct pst_host *h)
{
    return (struct pst_sync_host){
        .mono = host_mono,
        .wall = host_wall,
        .random = host_random,
        .sleep_ms = host_sleep,
        .ring = host_ring,
        .await = host_await,
        .self = h,
    };
}

/* ---- lanes ---- */

static void run_fetches(void *arg)
{
    struct pst_lane *lane = arg;
    (void)pthread_mutex_lock(&lane->mutex);
    for (;;) {
        while (!lane->busy && !lane->closed)
            (void)pthread_cond_wait(&lane->changed, &lane->mutex);
        if (!lane->busy)
            break;
        void (*fn)(void *) = lane->fn;
        void *fn_arg = lane->arg;
        (void)pthread_mutex_unlock(&lane->mutex);
        fn(fn_arg);
        (void)pthread_mutex_lock(&lane->mutex);
        lane->busy = false;
        (void)pthread_cond_broadcast(&lane->changed);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
}

pst_code pst_lane_open(struct pst_lane *lane, unsigned worker, struct pst_err *err)
{
    char name[24];
    (void)snprintf(name, sizeof(name), "fetch-%u", worker + 1);
    (void)pthread_mutex_init(&lane->mutex, NULL);
    pst_cond_init(&lane->changed);
    pst_bell_init(&lane->latch);
    pst_code rc = pst_thread_start(&lane->thread, name, run_fetches, lane, err);
    if (rc != PST_OK) {
        pst_bell_fini(&lane->latch);
        (void)pthread_cond_destroy(&lane->changed);
        (void)pthread_mutex_destroy(&lane->mutex);
    }
    return rc;
}

void pst_lane_close(struct pst_lane *lane)
{
    if (!lane->thread)
        return;
    (void)pthread_mutex_lock(&lane->mutex);
    lane->closed = true;
    (void)pthread_cond_broadcast(&lane->changed);
    (void)pthread_mutex_unlock(&lane->mutex);
    pst_thread_join(lane->thread);
    lane->thread = NULL;
    pst_bell_fini(&lane->latch);
    (void)pthread_cond_destroy(&lane->changed);
    (void)pthread_mutex_destroy(&lane->mutex);
}

static void lane_start(void *self, void (*fn)(void *arg), void *arg)
{
    struct pst_lane *lane = self;
    (void)pthread_mutex_lock(&lane->mutex);
    lane->fn = fn;
    lane->arg = arg;
    lane->busy = true;
    (void)pthread_cond_broadcast(&lane->changed);
    (void)pthread_mutex_unlock(&lane->mutex);
}

static void lane_wait(void *self)
{
    struct pst_lane *lane = self;
    (void)pthread_mutex_lock(&lane->mutex);
    while (lane->busy)
        (void)pthread_cond_wait(&lane->changed, &lane->mutex);
    (void)pthread_mutex_unlock(&lane->mutex);
}

static void lane_signal(void *self)
{
    struct pst_lane *lane = self;
    pst_bell_ring(&lane->latch);
}

static void lane_await(void *self)
{
    struct pst_lane *lane = self;
    pst_bell_await(&lane->latch, -1);
}

struct pst_sync_lane pst_lane_table(struct pst_lane *lane)
{
    return (struct pst_sync_lane){.fetch_start = lane_start,
                                  .fetch_wait = lane_wait,
                                  .signal = lane_signal,
                                  .await = lane_await,
                                  .self = lane};
}
