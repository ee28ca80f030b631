/* app/journal.c: the request log between the threads that have something to log and the store.
 *
 * What is logged goes into bounded rings, one per server loop and one for calls of connected
 * systems, each under a lock that nobody holds for longer than a copy. Once a second the watch
 * thread takes what is there and writes it as one job; while the store does not take it, it is
 * kept, and the rings drop their oldest when they are full. A look-up finds what is not stored yet,
 * too.
 *
 * Calls that were denied, since their origin is away, are told to who watches and never stored:
 * thousands may come at once, and there is nothing to show of them. */
#include "app/journal.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/log.h"
#include "health/diagnose.h"
#include "os/clock.h"

enum {
    REQUEST_SLOTS = 2048, /* per loop */
    CALL_SLOTS = 4096,
    DENIED_SLOTS = 16384,
    SAMPLED_PER_SECOND = 5, /* per loop: of routine with request_log=sample, of strangers always */
    PUT_BACK_S = 60, /* requests that ended late are not that old: the clock was put back */
    SLOW_US = 1000000, /* routine or not, what took longer is logged */
};

/* How many there were in that second. */
struct sample {
    int64_t second;
    unsigned count;
};

/* One half is written to while the other one is being stored. */
struct ring {
    pthread_mutex_t mutex; /* guards everything */
    char *items, *spare;
    size_t size; /* of an item */
    size_t slots;
    size_t first, len; /* in items */
    size_t spare_len; /* in spare, from 0 on: taken, not stored yet */
    struct sample routine, strangers;
};

struct denied {
    pst_wall at;
    struct pst_id connection_id;
    char origin[sizeof((struct pst_call_row){0}.origin)];
};

struct pst_journal {
    struct pst_db *db;
    enum pst_journal_mode mode;
    struct ring *requests; /* one per loop */
    unsigned loops;
    struct ring calls;
    struct ring denied;
    _Atomic uint64_t logged, unlogged, dropped;
};

/* ---- rings ---- */

static pst_code open_ring(struct ring *r, size_t size, size_t slots, struct pst_err *err)
{
    void *items = NULL;
    void *spare = NULL;
    (void)pthread_mutex_init(&r->mutex, NULL);
    r->size = size;
    r->slots = slots;
    PST_TRY(pst_new(&items, size * slots, err));
    r->items = items;
    PST_TRY(pst_new(&spare, size * slots, err));
    r->spare = spare;
    return PST_OK;
}

static void close_ring(struct ring *r)
{
    if (r->size == 0)
        return;
    pst_free(r->items);
    pst_free(r->spare);
    (void)pthread_mutex_destroy(&r->mutex);
}

static void *item_at(const struct ring *r, size_t index)
{
    return r->items + (r->first + index) % r->slots * r->size;
}

/* Held: mutex. True when the oldest one had to go. */
static bool put_item(struct ring *r, const void *item)
{
    bool is_full = r->len == r->slots;
    if (is_full) {
        r->first = (r->first + 1) % r->slots;
        r->len--;
    }
    memcpy(item_at(r, r->len), item, r->size);
    r->len++;
    return is_full;
}

static void swap_halves(struct ring *r)
{
    char *items = r->spare;
    r->spare = r->items;
    r->items = items;
    r->first = r->len = 0;
}

/* Take what is there, in order, unless something taken before is still to be stored. Only the watch
 * thread takes, so what is taken may be read without the lock. */
static size_t take_items(struct ring *r)
{
    (void)pthread_mutex_lock(&r->mutex);
    if (r->spare_len == 0 && r->len > 0) {
        if (r->first == 0) {
            r->spare_len = r->len;
            swap_halves(r);
        } else {
            for (size_t i = 0; i < r->len; i++)
                memcpy(r->spare + i * r->size, item_at(r, i), r->size);
            r->spare_len = r->len;
            r->first = r->len = 0;
        }
    }
    size_t taken = r->spare_len;
    (void)pthread_mutex_unlock(&r->mutex);
    return taken;
}

static void forget_taken(struct ring *r)
{
    (void)pthread_mutex_lock(&r->mutex);
    r->spare_len = 0;
    (void)pthread_mutex_unlock(&r->mutex);
}

/* ---- the journal ---- */

pst_code pst_journal_new(struct pst_journal **out, const struct pst_journal_options *options,
                         struct pst_err *err)
{
    void *made = NULL;
    void *rings = NULL;
    PST_TRY(pst_new(&made, sizeof(struct pst_journal), err));
    PST_AUTO(journal) struct pst_journal *j = made;
    j->db = options->db;
    j->mode = options->mode;
    PST_TRY(pst_new(&rings, options->loops * sizeof(*j->requests), err));
    j->requests = rings;
    j->loops = options->loops;
    for (unsigned i = 0; i < j->loops; i++)
        PST_TRY(open_ring(&j->requests[i], sizeof(struct pst_request_row), REQUEST_SLOTS, err));
    PST_TRY(open_ring(&j->calls, sizeof(struct pst_call_row), CALL_SLOTS, err));
    PST_TRY(open_ring(&j->denied, sizeof(struct denied), DENIED_SLOTS, err));
    *out = PST_TAKE(j);
    return PST_OK;
}

void pst_journal_free(struct pst_journal *j)
{
    if (!j)
        return;
    for (unsigned i = 0; i < j->loops; i++)
        close_ring(&j->requests[i]);
    close_ring(&j->calls);
    close_ring(&j->denied);
    pst_free(j->requests);
    pst_free(j);
}

/* Held: mutex. Whether a request is among the first ones of its second; what came in before counts
 * as of the newest, or requests held back by turns would begin a second each. */
static bool is_sampled(struct sample *s, pst_wall at)
{
    int64_t second = at.us / PST_US_PER_S;
    if (second > s->second || second < s->second - PUT_BACK_S)
        *s = (struct sample){.second = second};
    return s->count++ < SAMPLED_PER_SECOND;
}

/* Failures of callers without a valid key. Anybody can make any number of them, of any duration. */
static bool is_strangers(const struct pst_request_row *row)
{
    return row->status >= 400 && row->actor.text[0] == '\0';
}

/* Held: mutex. */
static bool is_wanted(const struct pst_journal *j, struct ring *r, bool is_routine,
                      const struct pst_request_row *row)
{
    if (is_strangers(row))
        return is_sampled(&r->strangers, row->at);
    if (row->status >= 400 || j->mode == PST_JOURNAL_ALL)
        return true;
    return j->mode == PST_JOURNAL_SAMPLE &&
           (!is_routine || row->duration_us >= SLOW_US || is_sampled(&r->routine, row->at));
}

void pst_journal_request(void *self, unsigned loop, bool is_routine,
                         const struct pst_request_row *row)
{
    struct pst_journal *j = self;
    struct ring *r = &j->requests[loop < j->loops ? loop : 0];
    bool has_dropped = false;
    (void)pthread_mutex_lock(&r->mutex);
    bool is_logged = is_wanted(j, r, is_routine, row);
    if (is_logged)
        has_dropped = put_item(r, row);
    (void)pthread_mutex_unlock(&r->mutex);
    atomic_fetch_add_explicit(is_logged ? &j->logged : &j->unlogged, 1, memory_order_relaxed);
    if (has_dropped)
        atomic_fetch_add_explicit(&j->dropped, 1, memory_order_relaxed);
}

static void cut(char *out, size_t size, pst_str text)
{
    (void)pst_str_copy(out, size, pst_str_sub(text, 0, size - 1));
}

static void read_contact(struct pst_call_row *row, const struct pst_contact *c)
{
    const struct pst_http_response *r = c->response;
    const char *fault = r->fault == PST_FAULT_NONE ? "" : pst_http_fault_name(r->fault);
    *row = (struct pst_call_row){
        .at = pst_wall_now(),
        .class = (enum pst_call_class)c->klass,
        .number = c->number,
        .status = r->status,
        .bytes = r->body.len,
        .waited_us = c->waited_us,
        .dns_us = r->timing.dns_us,
        .connect_us = r->timing.connect_us,
        .tls_us = r->timing.tls_us,
        .first_byte_us = r->timing.first_byte_us,
        .total_us = r->timing.total_us,
    };
    cut(row->connection_id.text, sizeof(row->connection_id.text), c->connection_id);
    cut(row->request_id.text, sizeof(row->request_id.text), c->request_id);
    cut(row->sync_id.text, sizeof(row->sync_id.text), c->sync_id);
    cut(row->origin, sizeof(row->origin), pst_str_from(c->origin));
    cut(row->path, sizeof(row->path), pst_str_from(c->path));
    cut(row->method, sizeof(row->method),
        c->request->method.len ? c->request->method : PST_STR("GET"));
    cut(row->fault, sizeof(row->fault), pst_str_from(fault));
    if (c->span_id)
        memcpy(row->span_id, c->span_id, PST_SPAN_ID);
    if (c->code == PST_OK)
        return;
    cut(row->code, sizeof(row->code), pst_str_from(pst_code_name(c->code)));
    cut(row->cause, sizeof(row->cause),
        pst_str_from(pst_cause_name(pst_cause_of(c->code, r->status, fault))));
    cut(row->error, sizeof(row->error), pst_str_from(c->err->msg));
}

void pst_journal_contact(struct pst_journal *j, const struct pst_contact *contact)
{
    struct pst_call_row row;
    read_contact(&row, contact);
    (void)pthread_mutex_lock(&j->calls.mutex);
    bool has_dropped = put_item(&j->calls, &row);
    (void)pthread_mutex_unlock(&j->calls.mutex);
    if (has_dropped)
        atomic_fetch_add_explicit(&j->dropped, 1, memory_order_relaxed);
}

void pst_journal_denied(struct pst_journal *j, const struct pst_contact *contact)
{
    struct denied item = {.at = pst_wall_now()};
    cut(item.connection_id.text, sizeof(item.connection_id.text), contact->connection_id);
    cut(item.origin, sizeof(item.origin), pst_str_from(contact->origin));
    (void)pthread_mutex_lock(&j->denied.mutex);
    (void)put_item(&j->denied, &item);
    (void)pthread_mutex_unlock(&j->denied.mutex);
}

/* ---- looking up what is not stored yet ---- */

static bool is_request(const struct pst_request_row *row, const uint8_t raw[PST_ID_RAW])
{
    return memcmp(row->id, raw, PST_ID_RAW) == 0;
}

static bool find_in_ring(struct ring *r, const uint8_t raw[PST_ID_RAW], struct pst_request_row *out)
{
    const struct pst_request_row *found = NULL;
    (void)pthread_mutex_lock(&r->mutex);
    const struct pst_request_row *taken = (const void *)r->spare;
    for (size_t i = 0; i < r->spare_len && !found; i++)
        found = is_request(&taken[i], raw) ? &taken[i] : NULL;
    for (size_t i = 0; i < r->len && !found; i++) {
        const struct pst_request_row *row = item_at(r, i);
        found = is_request(row, raw) ? row : NULL;
    }
    if (found)
        *out = *found;
    (void)pthread_mutex_unlock(&r->mutex);
    return found != NULL;
}

bool pst_journal_find(void *self, pst_str id, struct pst_request_row *out)
{
    struct pst_journal *j = self;
    uint8_t raw[PST_ID_RAW];
    bool found = false;
    if (!pst_id_parse(raw, "req_", id))
        return false;
    for (unsigned i = 0; i < j->loops && !found; i++)
        found = find_in_ring(&j->requests[i], raw, out);
    return found;
}

static bool is_call_of(const struct pst_call_row *c, pst_str id)
{
    return pst_str_is(id, c->request_id.text) || pst_str_is(id, c->sync_id.text) ||
           pst_str_is(id, c->connection_id.text);
}

/* Of what is on its way to the store and what waits behind it, the oldest first. */
static const struct pst_call_row *call_at(const struct ring *r, size_t i)
{
    const struct pst_call_row *taken = (const void *)r->spare;
    return i < r->spare_len ? &taken[i] : item_at(r, i - r->spare_len);
}

size_t pst_journal_calls(void *self, pst_str id, struct pst_call_row *out, size_t max)
{
    struct pst_journal *j = self;
    struct ring *r = &j->calls;
    size_t count = 0;
    size_t n = 0;
    (void)pthread_mutex_lock(&r->mutex);
    size_t from = r->spare_len + r->len;
    while (from > 0 && count < max)
        count += is_call_of(call_at(r, --from), id);
    for (size_t i = from; n < count; i++) {
        const struct pst_call_row *row = call_at(r, i);
        if (is_call_of(row, id))
            out[n++] = *row;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return n;
}

void pst_journal_stats(void *self, struct pst_api_journal_stats *out)
{
    struct pst_journal *j = self;
    *out = (struct pst_api_journal_stats){
        .logged = atomic_load_explicit(&j->logged, memory_order_relaxed),
        .unlogged = atomic_load_explicit(&j->unlogged, memory_order_relaxed),
        .dropped = atomic_load_explicit(&j->dropped, memory_order_relaxed),
    };
}

/* ---- telling ---- */

static void tell_denied(const struct denied *item,
                        void (*seen)(void *self, const struct pst_call_row *call), void *self)
{
    struct pst_call_row row = {
        .at = item->at, .connection_id = item->connection_id, .class = PST_CALL_UNREACHABLE};
    memcpy(row.origin, item->origin, sizeof(row.origin));
    seen(self, &row);
}

/* In the order of time: of a connection the last word counts. */
static void tell_all(struct pst_journal *j, size_t call_count,
                     void (*seen)(void *self, const struct pst_call_row *call), void *self)
{
    const struct pst_call_row *calls = (const void *)j->calls.spare;
    size_t denied_count = take_items(&j->denied);
    const struct denied *denied = (const void *)j->denied.spare;
    size_t k = 0;
    for (size_t i = 0; i < call_count; i++) {
        for (; k < denied_count && denied[k].at.us < calls[i].at.us; k++)
            tell_denied(&denied[k], seen, self);
        seen(self, &calls[i]);
    }
    for (; k < denied_count; k++)
        tell_denied(&denied[k], seen, self);
    forget_taken(&j->denied);
}

/* ---- storing ---- */

/* One job for all rings, so that what came first is never stored last. */
static pst_code write_taken(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct pst_journal *j = arg;
    struct pst_request_batch batch = {.calls = (const void *)j->calls.spare,
                                      .call_count = j->calls.spare_len};
    PST_TRY(pst_requests_add(conn, &batch, err));
    for (unsigned i = 0; i < j->loops; i++) {
        const struct ring *r = &j->requests[i];
        batch = (struct pst_request_batch){.requests = (const void *)r->spare,
                                           .request_count = r->spare_len};
        PST_TRY(pst_requests_add(conn, &batch, err));
    }
    return PST_OK;
}

void pst_journal_flush(struct pst_journal *j,
                       void (*seen)(void *self, const struct pst_call_row *call), void *self)
{
    struct pst_err err;
    bool was_taken = j->calls.spare_len > 0; /* before, and told of then */
    size_t count = take_items(&j->calls);
    if (seen)
        tell_all(j, was_taken ? 0 : count, seen, self);
    for (unsigned i = 0; i < j->loops; i++)
        count += take_items(&j->requests[i]);
    if (count == 0)
        return;
    if (pst_db_write(j->db, write_taken, j, &err) != PST_OK) {
        PST_LOG(PST_LOG_DEBUG, "the request log waits for the store", PST_F_Z("error", err.msg));
        return;
    }
    forget_taken(&j->calls);
    for (unsigned i = 0; i < j->loops; i++)
        forget_taken(&j->requests[i]);
}
