/* server/exchange.c: the pool of exchanges and input blocks, suspension and wake-ups. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/vec.h"
#include "os/rand.h"
#include "server/internal.h"

/* Kept per loop, so that the next requests find warm memory; what is larger goes back. */
enum { POOL_EXCHANGES = 8, POOL_BLOCKS = 16, KEEP_BYTES = 1 << 20 };
enum { ANSWER_HEAD_MAX = 32 << 10 };

/* ---- blocks ---- */

char *pst_server_block_take(struct pst_loop *loop)
{
    char *block = loop->free_blocks;
    if (!block)
        return pst_malloc(loop->server->block_size);
    memcpy(&loop->free_blocks, block, sizeof(loop->free_blocks));
    loop->free_block_count--;
    return block;
}

void pst_server_block_give(struct pst_loop *loop, char *block)
{
    if (!block)
        return;
    if (loop->free_block_count >= POOL_BLOCKS) {
        pst_free(block);
        return;
    }
    memcpy(block, &loop->free_blocks, sizeof(loop->free_blocks));
    loop->free_blocks = block;
    loop->free_block_count++;
}

/* ---- slots ---- */

static pst_code grow_inbox(struct pst_loop *loop, struct pst_err *err)
{
    size_t cap = loop->inbox_cap ? loop->inbox_cap * 2 : 16;
    uint64_t *wake = pst_calloc(cap, sizeof(*wake));
    uint32_t *ring = pst_calloc(cap, sizeof(*ring));
    if (!wake || !ring) {
        pst_free(wake);
        pst_free(ring);
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for a request");
    }
    (void)pthread_mutex_lock(&loop->inbox_lock);
    for (size_t i = 0; i < loop->inbox_cap; i++)
        wake[i] = loop->wake[i];
    for (size_t i = 0; loop->inbox_cap && i < loop->ring_len; i++)
        ring[i] = loop->ring[(loop->ring_head + i) % loop->inbox_cap];
    pst_free(loop->wake);
    pst_free(loop->ring);
    loop->wake = wake;
    loop->ring = ring;
    loop->ring_head = 0;
    loop->inbox_cap = cap;
    (void)pthread_mutex_unlock(&loop->inbox_lock);
    return PST_OK;
}

static pst_code take_slot(struct pst_loop *loop, struct pst_exchange *ex, struct pst_err *err)
{
    if (loop->free_slots.len) {
        ex->slot = loop->free_slots.items[--loop->free_slots.len];
        loop->slots.items[ex->slot] = ex;
        return PST_OK;
    }
    if (loop->slots.len == loop->inbox_cap)
        PST_TRY(grow_inbox(loop, err));
    struct pst_exchange **item = NULL;
    PST_TRY(pst_vec_push(&loop->slots, &item, err));
    *item = ex;
    ex->slot = (uint32_t)(loop->slots.len - 1);
    return PST_OK;
}

static void give_slot(struct pst_loop *loop, uint32_t slot)
{
    struct pst_err ignored;
    uint32_t *item = NULL;
    loop->slots.items[slot] = NULL;
    /* Without memory the slot is not used again, which does no harm. */
    if (pst_vec_push(&loop->free_slots, &item, &ignored) == PST_OK)
        *item = slot;
}

/* ---- exchanges ---- */

static void free_exchange(struct pst_exchange *ex)
{
    pst_buf_fini(&ex->body);
    pst_buf_fini(&ex->res.body);
    pst_buf_fini(&ex->res.head);
    pst_buf_fini(&ex->head);
    pst_buf_fini(&ex->part);
    pst_arena_free(ex->req.arena);
    pst_free(ex);
}

static pst_code new_exchange(struct pst_loop *loop, struct pst_exchange **out, struct pst_err *err)
{
    const struct pst_server_limits *limits = &loop->server->limits;
    void *made = NULL;
    PST_TRY(pst_new(&made, sizeof(struct pst_exchange), err));
    struct pst_exchange *ex = made;
    ex->loop = loop;
    pst_buf_init(&ex->body, limits->body_max);
    pst_buf_init(&ex->res.body, limits->response_max);
    pst_buf_init(&ex->res.head, ANSWER_HEAD_MAX);
    pst_buf_init(&ex->head, (size_t)2 * ANSWER_HEAD_MAX);
    pst_buf_init(&ex->part, limits->response_max);
    pst_code code = pst_arena_new(&ex->req.arena, limits->arena_max, err);
    if (code == PST_OK)
        code = take_slot(loop, ex, err);
    if (code != PST_OK) {
        free_exchange(ex);
        return code;
    }
    *out = ex;
    return PST_OK;
}

static void new_request_id(struct pst_exchange *ex)
{
    struct pst_loop *loop = ex->loop;
    enum { NEED = 10 };
    if (loop->random_left < NEED) {
        pst_rand_bytes(loop->random, sizeof(loop->random));
        loop->random_left = sizeof(loop->random);
    }
    loop->random_left -= NEED;
    uint8_t raw[PST_ID_RAW];
    pst_id_v7(raw, ex->req.wall, loop->random + loop->random_left);
    ex->req.id = pst_id_format("req_", raw);
}

pst_code pst_server_exchange_take(struct pst_loop *loop, struct pst_exchange **out,
                                  struct pst_err *err)
{
    struct pst_exchange *ex = loop->free_exchanges;
    if (ex) {
        loop->free_exchanges = ex->next_free;
        loop->free_exchange_count--;
        ex->next_free = NULL;
    } else {
        PST_TRY(new_exchange(loop, &ex, err));
    }
    ex->req.loop = loop->index;
    ex->req.server = loop->server;
    ex->req.started = ex->req.now = pst_server_now(loop);
    ex->req.wall = pst_clock_wall(loop->server->clock);
    new_request_id(ex);
    *out = ex;
    return PST_OK;
}

static void count_as(struct pst_exchange *ex, size_t bytes)
{
    ex->loop->buffered += bytes - ex->counted;
    ex->counted = bytes;
}

bool pst_server_exchange_fits(struct pst_exchange *ex)
{
    const struct pst_server *server = ex->loop->server;
    size_t bytes = ex->body.len + ex->res.body.len;
    count_as(ex, bytes > PST_SMALL_BODY ? bytes : 0);
    return bytes <= PST_SMALL_BODY ||
           ex->loop->buffered <= server->limits.buffered_max / server->loop_count;
}

pst_code pst_server_exchange_refuse(struct pst_err *err)
{
    pst_code code =
        PST_FAIL(err, PST_E_UNAVAILABLE, "too much is being sent and received at a time");
    err->retry_after_s = 1;
    return code;
}

static void recycle_buf(struct pst_buf *b, size_t max)
{
    if (b->cap > KEEP_BYTES)
        pst_buf_fini(b);
    else
        pst_buf_reset(b);
    b->max = max;
}

/* Everything of the last request is forgotten, but for the memory. */
static void recycle(struct pst_exchange *ex)
{
    const struct pst_server_limits *limits = &ex->loop->server->limits;
    recycle_buf(&ex->body, limits->body_max);
    recycle_buf(&ex->res.body, limits->response_max);
    recycle_buf(&ex->res.head, ANSWER_HEAD_MAX);
    recycle_buf(&ex->head, (size_t)2 * ANSWER_HEAD_MAX);
    recycle_buf(&ex->part, limits->response_max);
    pst_arena_reset(ex->req.arena);
    *ex = (struct pst_exchange){
        .req = {.arena = ex->req.arena},
        .res = {.body = ex->res.body, .head = ex->res.head},
        .loop = ex->loop,
        .slot = ex->slot,
        .body = ex->body,
        .head = ex->head,
        .part = ex->part,
    };
}

void pst_server_exchange_give(struct pst_exchange *ex)
{
    struct pst_loop *loop = ex->loop;
    pst_server_answer_end(ex);
    count_as(ex, 0);
    pst_server_block_give(loop, ex->block);
    ex->block = NULL;
    if (loop->free_exchange_count >= POOL_EXCHANGES || pst_arena_used(ex->req.arena) > KEEP_BYTES) {
        give_slot(loop, ex->slot);
        free_exchange(ex);
        return;
    }
    recycle(ex);
    ex->next_free = loop->free_exchanges;
    loop->free_exchanges = ex;
    loop->free_exchange_count++;
}

void pst_server_pools_free(struct pst_loop *loop)
{
    for (struct pst_exchange *ex = loop->free_exchanges, *next = NULL; ex; ex = next) {
        next = ex->next_free;
        free_exchange(ex);
    }
    while (loop->free_blocks) {
        char *block = loop->free_blocks;
        memcpy(&loop->free_blocks, block, sizeof(loop->free_blocks));
        pst_free(block);
    }
    pst_vec_fini(&loop->slots);
    pst_vec_fini(&loop->free_slots);
    pst_free(loop->wake);
    pst_free(loop->ring);
}

void pst_server_finished(struct pst_exchange *ex, bool gone)
{
    const struct pst_server *server = ex->loop->server;
    if (!server->on_finished)
        return;
    struct pst_server_outcome outcome = {
        .status = ex->status,
        .bytes = ex->body_sent,
        .duration_us = (pst_server_now(ex->loop).ns - ex->req.started.ns) / 1000,
        .gone = gone,
    };
    server->on_finished(server->self, ex->head_ok ? &ex->req : NULL, &ex->req.id, &outcome);
}

/* ---- suspension ---- */

struct pst_ticket pst_server_suspend(struct pst_request *req, const struct pst_suspend *how)
{
    struct pst_exchange *ex = (struct pst_exchange *)req;
    struct pst_loop *loop = ex->loop;
    if (!ex->suspended)
        atomic_fetch_add_explicit(&loop->stats.suspended, 1, memory_order_relaxed);
    ex->suspended = true;
    ex->wait = *how;
    ex->serial = ++loop->next_serial;
    return (struct pst_ticket){.loop = loop->index, .slot = ex->slot, .serial = ex->serial};
}

void pst_server_exchange_unsuspend(struct pst_exchange *ex)
{
    if (ex->suspended)
        atomic_fetch_sub_explicit(&ex->loop->stats.suspended, 1, memory_order_relaxed);
    ex->suspended = false;
}

void pst_server_unsuspend(struct pst_request *req)
{
    pst_server_exchange_unsuspend((struct pst_exchange *)req);
}

void pst_server_wake(struct pst_loop *loop)
{
    uint64_t one = 1;
    /* The counter can only be full when the loop has not yet seen an earlier wake-up. */
    ssize_t ignored = write(loop->waker.fd, &one, sizeof(one));
    (void)ignored;
}

void pst_server_resume(struct pst_server *server, struct pst_ticket ticket)
{
    if (ticket.serial == 0 || ticket.loop >= server->loop_count)
        return;
    struct pst_loop *loop = &server->loops[ticket.loop];
    (void)pthread_mutex_lock(&loop->inbox_lock);
    bool first = loop->ring_len == 0;
    if (ticket.slot < loop->inbox_cap) {
        if (loop->wake[ticket.slot] == 0) {
            loop->ring[(loop->ring_head + loop->ring_len) % loop->inbox_cap] = ticket.slot;
            loop->ring_len++;
        }
        if (ticket.serial > loop->wake[ticket.slot])
            loop->wake[ticket.slot] = ticket.serial;
    }
    (void)pthread_mutex_unlock(&loop->inbox_lock);
    if (first)
        pst_server_wake(loop);
}

static bool pop_inbox(struct pst_loop *loop, uint32_t *slot, uint64_t *serial)
{
    (void)pthread_mutex_lock(&loop->inbox_lock);
    bool some = loop->ring_len > 0;
    if (some) {
        *slot = loop->ring[loop->ring_head];
        *serial = loop->wake[*slot];
        loop->wake[*slot] = 0;
        loop->ring_head = (loop->ring_head + 1) % loop->inbox_cap;
        loop->ring_len--;
    }
    (void)pthread_mutex_unlock(&loop->inbox_lock);
    return some;
}

struct pst_exchange *pst_server_inbox_next(struct pst_loop *loop)
{
    uint32_t slot = 0;
    uint64_t serial = 0;
    while (pop_inbox(loop, &slot, &serial)) {
        struct pst_exchange *ex = slot < loop->slots.len ? loop->slots.items[slot] : NULL;
        if (ex && ex->suspended && ex->serial == serial)
            return ex;
    }
    return NULL;
}
