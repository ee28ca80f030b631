/* os/queue.c: a ring under one mutex with two conditions. */
#include "os/queue.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"

enum { CAPACITY_MAX = 1 << 20 };

struct pst_queue {
    pthread_mutex_t mutex; /* guards everything below */
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    void **ring;
    size_t cap;
    size_t head; /* index of the oldest item */
    size_t len;
    bool closed;
};

pst_code pst_queue_new(struct pst_queue **out, size_t capacity, struct pst_err *err)
{
    if (capacity < 1 || capacity > CAPACITY_MAX)
        return PST_FAIL(err, PST_E_INVALID, "a queue holds 1 to %d items, not %zu", CAPACITY_MAX,
                        capacity);
    struct pst_queue *q = NULL;
    PST_TRY(pst_new((void **)&q, sizeof(*q), err));
    pst_code rc = pst_new((void **)&q->ring, capacity * sizeof(*q->ring), err);
    if (rc != PST_OK) {
        pst_free(q);
        return rc;
    }
    q->cap = capacity;
    (void)pthread_mutex_init(&q->mutex, NULL);
    pst_cond_init(&q->not_empty);
    pst_cond_init(&q->not_full);
    *out = q;
    return PST_OK;
}

/* The mutex is held and there is room. */
static void put_item(struct pst_queue *q, void *item)
{
    q->ring[(q->head + q->len) % q->cap] = item;
    q->len++;
    (void)pthread_cond_signal(&q->not_empty);
}

pst_code pst_queue_push(struct pst_queue *q, void *item, struct pst_err *err)
{
    (void)pthread_mutex_lock(&q->mutex);
    while (q->len == q->cap && !q->closed)
        (void)pthread_cond_wait(&q->not_full, &q->mutex);
    bool closed = q->closed;
    if (!closed)
        put_item(q, item);
    (void)pthread_mutex_unlock(&q->mutex);
    return closed ? PST_FAIL(err, PST_E_CANCELLED, "the queue is closed") : PST_OK;
}

bool pst_queue_try_push(struct pst_queue *q, void *item)
{
    (void)pthread_mutex_lock(&q->mutex);
    bool ok = !q->closed && q->len < q->cap;
    if (ok)
        put_item(q, item);
    (void)pthread_mutex_unlock(&q->mutex);
    return ok;
}

enum pst_queue_pop pst_queue_pop(struct pst_queue *q, void **out, int64_t timeout_ms)
{
    pst_mono deadline =
        timeout_ms < 0 ? PST_MONO_NEVER : pst_mono_after_ms(pst_mono_now(), timeout_ms);
    enum pst_queue_pop result = PST_POP_ITEM;
    (void)pthread_mutex_lock(&q->mutex);
    while (q->len == 0 && !q->closed) {
        if (timeout_ms == 0 || !pst_cond_wait_until(&q->not_empty, &q->mutex, deadline))
            break;
    }
    if (q->len > 0) {
        *out = q->ring[q->head];
        q->head = (q->head + 1) % q->cap;
        q->len--;
        (void)pthread_cond_signal(&q->not_full);
    } else {
        result = q->closed ? PST_POP_CLOSED : PST_POP_TIMEOUT;
    }
    (void)pthread_mutex_unlock(&q->mutex);
    return result;
}

void pst_queue_close(struct pst_queue *q)
{
    (void)pthread_mutex_lock(&q->mutex);
    q->closed = true;
    (void)pthread_cond_broadcast(&q->not_empty);
    (void)pthread_cond_broadcast(&q->not_full);
    (void)pthread_mutex_unlock(&q->mutex);
}

bool pst_queue_is_closed(struct pst_queue *q)
{
    (void)pthread_mutex_lock(&q->mutex);
    bool closed = q->closed;
    (void)pthread_mutex_unlock(&q->mutex);
    return closed;
}

size_t pst_queue_len(struct pst_queue *q)
{
    (void)pthread_mutex_lock(&q->mutex);
    size_t len = q->len;
    (void)pthread_mutex_unlock(&q->mutex);
    return len;
}

void pst_queue_free(struct pst_queue *q, void (*drop)(void *item))
{
    if (!q)
        return;
    for (size_t i = 0; drop && i < q->len; i++)
        drop(q->ring[(q->head + i) % q->cap]);
    (void)pthread_cond_destroy(&q->not_empty);
    (void)pthread_cond_destroy(&q->not_full);
    (void)pthread_mutex_destroy(&q->mutex);
    pst_free(q->ring);
    pst_free(q);
}
