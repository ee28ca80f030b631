/* app/pool.c: a bounded pool of threads for what API requests may not do on an event loop. */
#include "app/internal.h"
#include "base/alloc.h"

enum { QUEUE_PER_WORKER = 16 };

struct work {
    void (*fn)(void *arg, unsigned worker);
    void *arg;
};

struct pool_thread {
    struct pst_pool *pool;
    unsigned index; /* what fn gets */
    struct pst_thread *thread;
};

struct pst_pool {
    const char *name; /* static */
    struct pst_queue *queue; /* of struct work */
    struct pool_thread *threads;
    unsigned count;
};

pst_code pst_pool_new(struct pst_pool **out, const char *name, unsigned workers,
                      unsigned first_index, struct pst_err *err)
{
    PST_AUTO(pool) struct pst_pool *p = NULL;
    PST_TRY(pst_new((void **)&p, sizeof(*p), err));
    PST_TRY(pst_new((void **)&p->threads, workers * sizeof(*p->threads), err));
    PST_TRY(pst_queue_new(&p->queue, (size_t)workers * QUEUE_PER_WORKER, err));
    p->name = name;
    p->count = workers;
    for (unsigned i = 0; i < workers; i++)
        p->threads[i] = (struct pool_thread){.pool = p, .index = first_index + i};
    *out = PST_TAKE(p);
    return PST_OK;
}

static void run_work(void *arg)
{
    struct pool_thread *self = arg;
    void *item = NULL;
    while (pst_queue_pop(self->pool->queue, &item, -1) == PST_POP_ITEM) {
        struct work w = *(struct work *)item;
        pst_free(item);
        w.fn(w.arg, self->index);
    }
}

pst_code pst_pool_start(struct pst_pool *p, struct pst_err *err)
{
    for (unsigned i = 0; i < p->count; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "%s-%u", p->name, i + 1);
        PST_TRY(pst_thread_start(&p->threads[i].thread, name, run_work, &p->threads[i], err));
    }
    return PST_OK;
}

bool pst_pool_submit(void *self, void (*fn)(void *arg, unsigned worker), void *arg)
{
    struct pst_pool *p = self;
    struct work *w = pst_malloc(sizeof(*w));
    if (!w)
        return false;
    *w = (struct work){.fn = fn, .arg = arg};
    if (pst_queue_try_push(p->queue, w))
        return true;
    pst_free(w);
    return false;
}

void pst_pool_stop(struct pst_pool *p)
{
    pst_queue_close(p->queue);
    for (unsigned i = 0; i < p->count; i++) {
        pst_thread_join(p->threads[i].thread);
        p->threads[i].thread = NULL;
    }
}

void pst_pool_free(struct pst_pool *p)
{
    if (!p)
        return;
    if (p->queue)
        pst_pool_stop(p);
    pst_queue_free(p->queue, pst_free);
    pst_free(p->threads);
    pst_free(p);
}
