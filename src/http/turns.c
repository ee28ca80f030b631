/* http/turns.c: rings of owners per host. */
#include "http/turns.h"

#include "base/alloc.h"
#include "base/map.h"

struct owner {
    pst_str name; /* the map's key */
    uint32_t taken;
    size_t lanes;
};

/* An owner at a host. */
struct pst_turn_lane {
    struct pst_turn_lane *next; /* of the host's ring */
    struct host *host;
    struct owner *owner;
    struct pst_turn *first, **last; /* who waits */
    size_t taken;
};

struct host {
    pst_str name; /* the map's key */
    uint32_t taken;
    size_t waiting;
    struct pst_turn_lane *lanes; /* whose turn it is first */
};

struct pst_turns {
    struct pst_map hosts; /* name -> struct host */
    struct pst_map owners; /* name -> struct owner */
    uint32_t per_host, per_owner;
};

pst_code pst_turns_new(struct pst_turns **out, uint32_t per_host, uint32_t per_owner,
                       struct pst_err *err)
{
    void *p = NULL;
    PST_TRY(pst_new(&p, sizeof(struct pst_turns), err));
    *out = p;
    (*out)->per_host = per_host;
    (*out)->per_owner = per_owner;
    return PST_OK;
}

void pst_turns_free(struct pst_turns *turns)
{
    if (!turns)
        return;
    pst_map_fini(&turns->hosts);
    pst_map_fini(&turns->owners);
    pst_free(turns);
}

/* ---- the ring ---- */

static struct pst_turn_lane **place_of(struct host *h, const struct pst_turn_lane *lane)
{
    struct pst_turn_lane **at = &h->lanes;
    while (*at != lane)
        at = &(*at)->next;
    return at;
}

static void unlink_lane(struct pst_turn_lane *lane)
{
    *place_of(lane->host, lane) = lane->next;
    lane->next = NULL;
}

static void append_lane(struct pst_turn_lane *lane)
{
    *place_of(lane->host, NULL) = lane;
}

static void move_to_end(struct pst_turn_lane *lane)
{
    unlink_lane(lane);
    append_lane(lane);
}

/* ---- finding and forgetting ---- */

static void drop_unused(struct pst_turns *turns, struct host *h, struct owner *w)
{
    if (h && !h->lanes)
        pst_free(pst_map_remove(&turns->hosts, h->name));
    if (w && w->lanes == 0)
        pst_free(pst_map_remove(&turns->owners, w->name));
}

/* The entry of that name; one of `size` bytes, all zero but for the name it begins with. */
static pst_code find(struct pst_map *map, pst_str name, size_t size, void **out,
                     struct pst_err *err)
{
    *out = pst_map_get(map, name);
    if (*out)
        return PST_OK;
    PST_TRY(pst_new(out, size, err));
    pst_code code = pst_map_put(map, name, *out, NULL, err);
    if (code != PST_OK) {
        pst_free(*out);
        *out = NULL;
        return code;
    }
    *(pst_str *)*out = map->entries[map->count - 1].key;
    return PST_OK;
}

static pst_code find_lane(struct host *h, struct owner *w, struct pst_turn_lane **out,
                          struct pst_err *err)
{
    void *made = NULL;
    for (*out = h->lanes; *out; *out = (*out)->next) {
        if ((*out)->owner == w)
            return PST_OK;
    }
    PST_TRY(pst_new(&made, sizeof(struct pst_turn_lane), err));
    *out = made;
    (*out)->host = h;
    (*out)->owner = w;
    (*out)->last = &(*out)->first;
    append_lane(*out);
    w->lanes++;
    return PST_OK;
}

/* ---- taking turns ---- */

pst_code pst_turns_ask(struct pst_turns *turns, struct pst_turn *turn, pst_str host, pst_str owner,
                       struct pst_err *err)
{
    void *h = NULL;
    void *w = NULL;
    struct pst_turn_lane *lane = NULL;
    pst_code code = find(&turns->hosts, host, sizeof(struct host), &h, err);
    if (code == PST_OK)
        code = find(&turns->owners, owner, sizeof(struct owner), &w, err);
    if (code == PST_OK)
        code = find_lane(h, w, &lane, err);
    if (code != PST_OK) {
        drop_unused(turns, h, w);
        return code;
    }
    if (!lane->first)
        move_to_end(lane);
    *turn = (struct pst_turn){.lane = lane};
    *lane->last = turn;
    lane->last = &turn->next;
    lane->host->waiting++;
    return PST_OK;
}

static void stop_waiting(struct pst_turn_lane *lane, struct pst_turn *turn)
{
    struct pst_turn **at = &lane->first;
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    if (lane->last == &turn->next)
        lane->last = at;
    turn->next = NULL;
    lane->host->waiting--;
}

void pst_turns_leave(struct pst_turns *turns, struct pst_turn *turn)
{
    struct pst_turn_lane *lane = turn->lane;
    struct host *h = lane->host;
    struct owner *w = lane->owner;
    if (turn->is_in) {
        lane->taken--;
        h->taken--;
        w->taken--;
    } else {
        stop_waiting(lane, turn);
    }
    if (lane->first || lane->taken > 0)
        return;
    unlink_lane(lane);
    pst_free(lane);
    w->lanes--;
    drop_unused(turns, h, w);
}

static bool may_go(const struct pst_turns *turns, const struct pst_turn_lane *lane)
{
    return lane->first && (lane->owner->name.len == 0 || lane->owner->taken < turns->per_owner);
}

struct pst_turn *pst_turns_next(struct pst_turns *turns)
{
    for (size_t i = 0; i < turns->hosts.count; i++) {
        struct host *h = turns->hosts.entries[i].value;
        struct pst_turn_lane *lane = h->lanes;
        if (h->waiting == 0 || h->taken >= turns->per_host)
            continue;
        while (lane && !may_go(turns, lane))
            lane = lane->next;
        if (!lane)
            continue;
        struct pst_turn *turn = lane->first;
        stop_waiting(lane, turn);
        turn->is_in = true;
        lane->taken++;
        lane->owner->taken++;
        h->taken++;
        move_to_end(lane);
        return turn;
    }
    return NULL;
}
