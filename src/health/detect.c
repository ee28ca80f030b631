/* health/detect.c: groups of connections (hosts, connectors), how many of each fail, and since when
 * that was too many. */
#include "health/detect.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/map.h"

enum { CLOSE_BELOW_PERCENT = 20, BUCKETS = 1 << 16 };

struct group {
    enum pst_reach reach;
    char name[PST_DETECT_TEXT];
    struct group *connector; /* of a host */
    struct pst_peers peers;
    int failing_hosts; /* of a connector */
    bool is_bad; /* of the store: as it was told last */
    bool is_open;
    bool is_counting; /* the other condition than is_open asks for holds since `since` */
    pst_mono since;
    pst_mono opened; /* or resumed */
};

struct member {
    int64_t pk;
    struct group *host, *connector;
    bool is_failing;
    pst_mono at;
    struct member *older, *newer; /* in order of `at` */
    struct member *next; /* in its bucket */
};

struct pst_detector {
    struct pst_detector_options options;
    struct member *buckets[BUCKETS]; /* by pk */
    size_t member_count;
    struct pst_map groups; /* by connector and host */
    struct member *oldest, *newest;
    struct group store;
};

pst_code pst_detector_new(struct pst_detector **out, const struct pst_detector_options *options,
                          struct pst_err *err)
{
    void *made = NULL;
    PST_TRY(pst_new(&made, sizeof(struct pst_detector), err));
    struct pst_detector *d = made;
    d->options = *options;
    if (d->options.window_ms == 0)
        d->options.window_ms = PST_DETECT_WINDOW_MS;
    d->store = (struct group){.reach = PST_REACH_PENSTOCK, .name = "store"};
    *out = d;
    return PST_OK;
}

void pst_detector_free(struct pst_detector *d)
{
    if (!d)
        return;
    for (struct member *m = d->oldest, *newer = NULL; m; m = newer) {
        newer = m->newer;
        pst_free(m);
    }
    for (size_t i = 0; i < d->groups.count; i++)
        pst_free(d->groups.entries[i].value);
    pst_map_fini(&d->groups);
    pst_free(d);
}

/* ---- groups ---- */

/* A host counts per connector: connector is NULL for a connector itself. */
static pst_code find_group(struct pst_detector *d, pst_str name, struct group *connector,
                           struct group **out, struct pst_err *err)
{
    char key[2 * PST_DETECT_TEXT];
    void *made = NULL;
    pst_str cut = pst_str_sub(name, 0, PST_DETECT_TEXT - 1);
    (void)snprintf(key, sizeof(key), "%s %.*s", connector ? connector->name : "", PST_STR_ARG(cut));
    *out = pst_map_get(&d->groups, pst_str_from(key));
    if (*out)
        return PST_OK;
    PST_TRY(pst_new(&made, sizeof(struct group), err));
    struct group *g = made;
    g->reach = connector ? PST_REACH_HOST : PST_REACH_CONNECTOR;
    g->connector = connector;
    (void)pst_str_copy(g->name, sizeof(g->name), cut);
    pst_code code = pst_map_put(&d->groups, pst_str_from(key), g, NULL, err);
    if (code != PST_OK) {
        pst_free(g);
        return code;
    }
    *out = g;
    return PST_OK;
}

/* Add (by 1) or take away (by -1) what a member counts for. */
static void count(struct member *m, int by)
{
    m->connector->peers.seen += by;
    m->host->peers.seen += by;
    if (!m->is_failing)
        return;
    int hosts_before = m->host->peers.failing > 0;
    m->connector->peers.failing += by;
    m->host->peers.failing += by;
    m->connector->failing_hosts += (m->host->peers.failing > 0) - hosts_before;
}

/* ---- members, in order of when they were seen ---- */

static void unlink_member(struct pst_detector *d, struct member *m)
{
    *(m->older ? &m->older->newer : &d->oldest) = m->newer;
    *(m->newer ? &m->newer->older : &d->newest) = m->older;
    m->older = m->newer = NULL;
}

static void append_member(struct pst_detector *d, struct member *m)
{
    m->older = d->newest;
    *(d->newest ? &d->newest->newer : &d->oldest) = m;
    d->newest = m;
}

/* The link that holds the member, or would. */
static struct member **find_member(struct pst_detector *d, int64_t pk)
{
    struct member **at = &d->buckets[(uint64_t)pk * 0x9E3779B97F4A7C15U >> 48];
    while (*at && (*at)->pk != pk)
        at = &(*at)->next;
    return at;
}

static void drop_member(struct pst_detector *d, struct member *m)
{
    *find_member(d, m->pk) = m->next;
    count(m, -1);
    unlink_member(d, m);
    d->member_count--;
    pst_free(m);
}

void pst_detector_forget(struct pst_detector *d, int64_t connection_pk)
{
    struct member *m = *find_member(d, connection_pk);
    if (m)
        drop_member(d, m);
}

/* Out of every count and order until it is put back. */
static pst_code take_member(struct pst_detector *d, int64_t pk, struct member **out,
                            struct pst_err *err)
{
    void *made = NULL;
    *out = *find_member(d, pk);
    if (*out) {
        count(*out, -1);
        unlink_member(d, *out);
        return PST_OK;
    }
    if (d->member_count >= PST_DETECT_CONNECTIONS)
        drop_member(d, d->oldest);
    PST_TRY(pst_new(&made, sizeof(struct member), err));
    *out = made;
    (*out)->pk = pk;
    *find_member(d, pk) = *out;
    d->member_count++;
    return PST_OK;
}

pst_code pst_detector_contact(struct pst_detector *d, pst_mono now, int64_t connection_pk,
                              pst_str connector, pst_str host_name, bool is_failing,
                              struct pst_err *err)
{
    struct group *kind = NULL;
    struct group *host = NULL;
    struct member *m = NULL;
    PST_TRY(find_group(d, connector, NULL, &kind, err));
    PST_TRY(find_group(d, host_name, kind, &host, err));
    PST_TRY(take_member(d, connection_pk, &m, err));
    m->connector = kind;
    m->host = host;
    m->is_failing = is_failing;
    m->at = now;
    count(m, 1);
    append_member(d, m);
    return PST_OK;
}

void pst_detector_store(struct pst_detector *d, bool is_failing)
{
    d->store.is_bad = is_failing;
}

pst_code pst_detector_resume(struct pst_detector *d, pst_mono now, enum pst_reach reach,
                             pst_str subject, pst_str connector, struct pst_err *err)
{
    struct group *g = &d->store;
    if (reach != PST_REACH_PENSTOCK)
        PST_TRY(find_group(d, connector, NULL, &g, err));
    if (reach == PST_REACH_HOST)
        PST_TRY(find_group(d, subject, g, &g, err));
    g->is_open = true;
    g->opened = now;
    return PST_OK;
}

/* ---- the step ---- */

static bool is_many(const struct group *g)
{
    if (g->reach == PST_REACH_PENSTOCK)
        return g->is_bad;
    if (g->reach == PST_REACH_CONNECTOR)
        return pst_peers_many_of_connector(&g->peers, g->failing_hosts);
    return pst_peers_many_of_host(&g->peers) && !g->connector->is_open;
}

/* Nobody seen at all says nothing, until the window has passed. */
static bool is_over(const struct pst_detector *d, const struct group *g, pst_mono now)
{
    if (g->reach == PST_REACH_PENSTOCK)
        return !g->is_bad;
    if (g->peers.seen == 0)
        return now.ns >= pst_mono_after_ms(g->opened, d->options.window_ms).ns;
    return g->peers.failing * 100 < g->peers.seen * CLOSE_BELOW_PERCENT;
}

/* Whether the group changes now. */
static bool step_group(const struct pst_detector *d, struct group *g, pst_mono now)
{
    bool holds = g->is_open ? is_over(d, g, now) : is_many(g);
    int64_t wanted_ms = g->is_open ? d->options.close_after_ms : d->options.open_after_ms;
    if (!holds) {
        g->is_counting = false;
        return false;
    }
    if (!g->is_counting) {
        g->is_counting = true;
        g->since = now;
    }
    if (now.ns < pst_mono_after_ms(g->since, wanted_ms).ns)
        return false;
    g->is_counting = false;
    g->is_open = !g->is_open;
    g->opened = now;
    return true;
}

static struct pst_detection detection_of(const struct group *g)
{
    struct pst_detection d = {.opens = g->is_open, .reach = g->reach, .peers = g->peers};
    (void)pst_str_copy(d.subject, sizeof(d.subject), pst_str_from(g->name));
    if (g->reach == PST_REACH_CONNECTOR)
        (void)pst_str_copy(d.connector, sizeof(d.connector), pst_str_from(g->name));
    else if (g->reach == PST_REACH_HOST)
        (void)pst_str_copy(d.connector, sizeof(d.connector), pst_str_from(g->connector->name));
    return d;
}

static void drop_old(struct pst_detector *d, pst_mono now)
{
    while (d->oldest && pst_mono_after_ms(d->oldest->at, d->options.window_ms).ns <= now.ns)
        drop_member(d, d->oldest);
    /* Hosts that nobody was seen at any more. */
    for (size_t i = d->groups.count; i > 0; i--) {
        struct group *g = d->groups.entries[i - 1].value;
        if (g->reach == PST_REACH_HOST && g->peers.seen == 0 && !g->is_open) {
            (void)pst_map_remove(&d->groups, d->groups.entries[i - 1].key);
            pst_free(g);
        }
    }
}

size_t pst_detector_step(struct pst_detector *d, pst_mono now, struct pst_detection *out,
                         size_t max)
{
    size_t n = 0;
    drop_old(d, now);
    if (max > 0 && step_group(d, &d->store, now))
        out[n++] = detection_of(&d->store);
    /* Connectors first, since their incidents stand for those of their hosts. */
    for (int pass = 0; pass < 2; pass++) {
        enum pst_reach reach = pass == 0 ? PST_REACH_CONNECTOR : PST_REACH_HOST;
        for (size_t i = 0; i < d->groups.count && n < max; i++) {
            struct group *g = d->groups.entries[i].value;
            if (g->reach == reach && step_group(d, g, now))
                out[n++] = detection_of(g);
        }
    }
    return n;
}

static bool belongs_to(const struct member *m, const struct pst_detection *of)
{
    const struct group *g = of->reach == PST_REACH_HOST ? m->host : m->connector;
    return of->reach != PST_REACH_PENSTOCK && strcmp(of->subject, g->name) == 0 &&
           strcmp(of->connector, m->connector->name) == 0;
}

size_t pst_detector_affected(const struct pst_detector *d, const struct pst_detection *of,
                             int64_t *out, size_t max)
{
    size_t n = 0;
    for (const struct member *m = d->newest; m && n < max; m = m->older) {
        if (m->is_failing && (!of || belongs_to(m, of)))
            out[n++] = m->pk;
    }
    return n;
}
