/* server/peers.c: how many connections each address has open, over all loops. */
#include "base/alloc.h"
#include "server/internal.h"

enum { BUCKETS = 1024 };

struct peer {
    struct peer *next;
    size_t count;
    char address[PST_PEER_TEXT];
};

struct pst_peers {
    pthread_mutex_t lock; /* held for a look-up only */
    struct peer *buckets[BUCKETS];
};

pst_code pst_server_peers_new(struct pst_peers **out, struct pst_err *err)
{
    void *made = NULL;
    PST_TRY(pst_new(&made, sizeof(struct pst_peers), err));
    *out = made;
    (void)pthread_mutex_init(&(*out)->lock, NULL);
    return PST_OK;
}

void pst_server_peers_free(struct pst_peers *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct peer *e = p->buckets[i], *next = NULL; e; e = next) {
            next = e->next;
            pst_free(e);
        }
    }
    (void)pthread_mutex_destroy(&p->lock);
    pst_free(p);
}

/* FNV-1a. An attacker owns few addresses next to the buckets, so no keyed hash is needed. */
static size_t bucket_of(const char *address)
{
    uint32_t h = 2166136261U;
    for (; *address; address++)
        h = (h ^ (unsigned char)*address) * 16777619U;
    return h % BUCKETS;
}

static struct peer **find(struct pst_peers *p, const char *address)
{
    struct peer **slot = &p->buckets[bucket_of(address)];
    while (*slot && strcmp((*slot)->address, address) != 0)
        slot = &(*slot)->next;
    return slot;
}

static pst_code enter(struct pst_peers *p, const char *address, size_t max, struct pst_err *err)
{
    struct peer **slot = find(p, address);
    if (!*slot) {
        *slot = pst_calloc(1, sizeof(**slot));
        if (!*slot)
            return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for another connection");
        (void)pst_str_copy((*slot)->address, PST_PEER_TEXT, pst_str_from(address));
    }
    if ((*slot)->count >= max)
        return PST_FAIL(err, PST_E_RATE_LIMIT, "more than %zu connections from one address", max);
    (*slot)->count++;
    return PST_OK;
}

pst_code pst_server_peers_enter(struct pst_peers *p, const char *address, size_t max,
                                struct pst_err *err)
{
    (void)pthread_mutex_lock(&p->lock);
    pst_code code = enter(p, address, max, err);
    (void)pthread_mutex_unlock(&p->lock);
    return code;
}

void pst_server_peers_leave(struct pst_peers *p, const char *address)
{
    (void)pthread_mutex_lock(&p->lock);
    struct peer **slot = find(p, address);
    struct peer *e = *slot;
    if (e && --e->count == 0) {
        *slot = e->next;
        pst_free(e);
    }
    (void)pthread_mutex_unlock(&p->lock);
}
