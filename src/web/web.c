/* web/web.c: reading what the status page shows, keeping it drawn, and answering. */
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "codec/base64.h"
#include "crypto/crypto.h"
#include "web/internal.h"

enum {
    PAGE_MAX = 4 << 20,
    ARENA_BYTES = 16 << 20,
    INCIDENTS = 50, /* closed ones only up to here */
    HEADER_BYTES = 256,
    TAG_BYTES = 40,
};

enum page { PAGE_HTML, PAGE_JSON, PAGE_ATOM, PAGES };

static const char *const TYPES[PAGES] = {"text/html; charset=utf-8", "application/json",
                                         "application/atom+xml; charset=utf-8"};

struct pst_web {
    struct pst_board board; /* of the refreshing thread */
    struct pst_arena *arena; /* of the board's incidents */
    char policy[HEADER_BYTES]; /* Content-Security-Policy */
    struct pst_route routes[3];
    struct entry {
        struct pst_web *web;
        enum page page;
        bool may_choose; /* by Accept */
    } entries[3];
    pthread_mutex_t mutex; /* guards what follows */
    struct pst_buf pages[PAGES];
    char tags[PAGES][TAG_BYTES];
};

/* ---- answering ---- */

/* Whether JSON is asked for and HTML is not: browsers name both, or neither. */
static bool wants_json(const struct pst_request *req)
{
    pst_str accept = pst_request_header(req, "Accept", NULL);
    if (!accept.ptr)
        return false;
    return memmem(accept.ptr, accept.len, "application/json", 16) &&
           !memmem(accept.ptr, accept.len, "text/html", 9);
}

static bool is_known_to(const struct pst_request *req, const char *tag)
{
    pst_str list = pst_request_header(req, "If-None-Match", NULL);
    while (list.len) {
        pst_str one = pst_str_trim(pst_str_split(&list, ','));
        if (pst_str_starts(one, PST_STR("W/")))
            one = pst_str_sub(one, 2, one.len);
        if (pst_str_is(one, tag) || pst_str_is(one, "*"))
            return true;
    }
    return false;
}

static pst_code serve(void *self, struct pst_request *req, struct pst_response *res,
                      struct pst_err *err)
{
    const struct entry *e = self;
    struct pst_web *web = e->web;
    char tag[TAG_BYTES];
    enum page page = e->may_choose && wants_json(req) ? PAGE_JSON : e->page;
    (void)pthread_mutex_lock(&web->mutex);
    bool is_drawn = web->pages[page].len > 0;
    memcpy(tag, web->tags[page], sizeof(tag));
    bool is_known = is_drawn && is_known_to(req, tag);
    if (is_drawn && !is_known)
        pst_buf_add_str(&res->body, pst_buf_str(&web->pages[page]));
    (void)pthread_mutex_unlock(&web->mutex);
    if (!is_drawn)
        return PST_FAIL(err, PST_E_UNAVAILABLE, "the status page is not drawn yet");
    res->status = is_known ? 304 : 200;
    res->bare = true;
    if (!is_known)
        pst_response_header(res, "Content-Type", pst_str_from(TYPES[page]));
    pst_response_header(res, "Cache-Control",
                        PST_STR("public, max-age=15, stale-while-revalidate=60, "
                                "stale-if-error=3600"));
    pst_response_header(res, "ETag", pst_str_from(tag));
    if (e->may_choose)
        pst_response_header(res, "Vary", PST_STR("Accept"));
    pst_response_header(res, "Content-Security-Policy", pst_str_from(web->policy));
    pst_response_header(res, "X-Content-Type-Options", PST_STR("nosniff"));
    pst_response_header(res, "Referrer-Policy", PST_STR("no-referrer"));
    return PST_OK;
}

/* ---- building ---- */

static pst_code write_policy(struct pst_web *web, struct pst_err *err)
{
    uint8_t digest[PST_SHA256_BYTES];
    PST_AUTO(buf) struct pst_buf text = {.max = HEADER_BYTES};
    pst_sha256(digest, pst_str_from(pst_web_style));
    pst_base64_encode(&text, PST_BASE64, (pst_str){(const char *)digest, sizeof(digest)});
    PST_TRY(pst_buf_check(&text, err));
    (void)snprintf(
        web->policy, sizeof(web->policy),
        "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors *",
        text.ptr);
    return PST_OK;
}

static void add_component(struct pst_web *web, const char *kind, pst_str name, pst_str title)
{
    struct pst_board *b = &web->board;
    if (b->component_count == PST_WEB_COMPONENTS)
        return;
    struct pst_board_component *c = &b->components[b->component_count++];
    (void)snprintf(c->name, sizeof(c->name), "%s%.*s", kind, PST_STR_ARG(name));
    (void)pst_str_copy(c->title, sizeof(c->title), pst_str_sub(title, 0, sizeof(c->title) - 1));
}

pst_code pst_web_new(struct pst_web **out, const struct pst_connectors *connectors,
                     struct pst_err *err)
{
    static const char *const PATHS[] = {"/status", "/status.json", "/status.atom"};
    void *made = NULL;
    PST_TRY(pst_new(&made, sizeof(struct pst_web), err));
    PST_AUTO(web) struct pst_web *web = made;
    (void)pthread_mutex_init(&web->mutex, NULL);
    add_component(web, "", PST_STR("api"), PST_STR("API"));
    add_component(web, "", PST_STR("sync"), PST_STR("Sync engine"));
    add_component(web, "", PST_STR("webhooks"), PST_STR("Webhooks"));
    for (size_t i = 0; i < connectors->count; i++)
        add_component(web, "connector:", connectors->items[i].manifest->name,
                      connectors->items[i].manifest->title);
    for (size_t i = 0; i < PAGES; i++) {
        pst_buf_init(&web->pages[i], PAGE_MAX);
        web->entries[i] = (struct entry){web, (enum page)i, i == PAGE_HTML};
        web->routes[i] = (struct pst_route){
            .method = PST_METHOD_GET,
            .pattern = PATHS[i],
            .handler = serve,
            .self = &web->entries[i],
        };
    }
    PST_TRY(write_policy(web, err));
    *out = PST_TAKE(web);
    return PST_OK;
}

void pst_web_free(struct pst_web *web)
{
    if (!web)
        return;
    for (size_t i = 0; i < PAGES; i++)
        pst_buf_fini(&web->pages[i]);
    pst_arena_free(web->arena);
    (void)pthread_mutex_destroy(&web->mutex);
    pst_free(web);
}

const struct pst_route *pst_web_routes(struct pst_web *web, size_t *count)
{
    *count = PST_COUNT(web->routes);
    return web->routes;
}

size_t pst_web_component_count(const struct pst_web *web)
{
    return web->board.component_count;
}

const char *pst_web_component_name(const struct pst_web *web, size_t index)
{
    return web->board.components[index].name;
}

enum pst_web_level pst_web_component_level(const struct pst_web *web, size_t index)
{
    return web->board.components[index].level;
}

/* ---- reading ---- */

static void place_day(struct pst_board *b, const struct pst_status_day *d)
{
    int64_t place = d->day - b->today + PST_WEB_DAYS - 1;
    for (size_t i = 0; i < b->component_count; i++) {
        if (place >= 0 && place < PST_WEB_DAYS && pst_str_is(d->component, b->components[i].name))
            b->components[i].days[place] =
                (struct pst_board_day){d->watched_s, d->degraded_s, d->down_s};
    }
}

/* Nothing of web changes when reading fails. */
static pst_code read_board(struct pst_web *web, struct pst_db_conn *conn, pst_wall now,
                           struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_board *b = &web->board;
    struct pst_incident *incidents = NULL;
    struct pst_status_day *days = NULL;
    size_t incident_count = 0;
    size_t day_count = 0;
    int64_t today = now.us / (86400 * PST_US_PER_S);
    pst_wall since = {(today - PST_WEB_DAYS + 1) * 86400 * PST_US_PER_S};
    size_t limit = (size_t)PST_WEB_DAYS * PST_WEB_COMPONENTS;
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    PST_TRY(pst_incidents_shown(conn, since, INCIDENTS, arena, &incidents, &incident_count, err));
    PST_TRY(
        pst_status_days_list(conn, today - PST_WEB_DAYS + 1, limit, arena, &days, &day_count, err));
    b->today = today;
    b->incidents = incidents;
    b->incident_count = incident_count;
    for (size_t i = 0; i < b->component_count; i++)
        memset(b->components[i].days, 0, sizeof(b->components[i].days));
    for (size_t i = 0; i < day_count; i++)
        place_day(b, &days[i]);
    pst_arena_free(web->arena);
    web->arena = PST_TAKE(arena);
    return PST_OK;
}

/* ---- how things are now ---- */

static enum pst_web_level level_of(const struct pst_incident *i, const char *component)
{
    static const enum pst_web_level LEVELS[] = {
        [PST_IMPACT_DEGRADED] = PST_WEB_DEGRADED,
        [PST_IMPACT_DOWN] = PST_WEB_DOWN,
        [PST_IMPACT_MAINTENANCE] = PST_WEB_MAINTENANCE,
    };
    /* Without its store the API still reads. */
    if (i->kind == PST_INCIDENT_PENSTOCK && strcmp(component, "api") == 0)
        return PST_WEB_DEGRADED;
    return LEVELS[i->impact];
}

static bool concerns(pst_str list, const char *component)
{
    while (list.len) {
        if (pst_str_is(pst_str_split(&list, ','), component))
            return true;
    }
    return false;
}

static void raise_level(struct pst_board_component *c, enum pst_web_level level)
{
    /* Trouble says more than maintenance, and down more than degraded. */
    bool is_worse = c->level == PST_WEB_OK || c->level == PST_WEB_MAINTENANCE ||
                    (c->level == PST_WEB_DEGRADED && level == PST_WEB_DOWN);
    if (is_worse && level != PST_WEB_OK)
        c->level = level;
}

static void set_levels(struct pst_board *b)
{
    for (size_t i = 0; i < b->component_count; i++) {
        struct pst_board_component *c = &b->components[i];
        bool is_api = strcmp(c->name, "api") == 0;
        bool is_ours = strchr(c->name, ':') == NULL;
        c->level = PST_WEB_OK;
        for (size_t k = 0; k < b->incident_count; k++) {
            const struct pst_incident *one = &b->incidents[k];
            if (pst_wall_is_none(one->closed_at) && concerns(one->components, c->name))
                raise_level(c, level_of(one, c->name));
        }
        if (b->store_is_failing && is_ours)
            raise_level(c, is_api ? PST_WEB_DEGRADED : PST_WEB_DOWN);
    }
}

/* ---- drawing ---- */

static pst_code draw_page(struct pst_web *web, enum page page, struct pst_err *err)
{
    static void (*const DRAW[PAGES])(struct pst_buf *, const struct pst_board *) = {
        pst_web_draw_html, pst_web_draw_json, pst_web_draw_atom};
    PST_AUTO(buf) struct pst_buf fresh = {.max = PAGE_MAX};
    uint8_t digest[PST_BLAKE2B_BYTES];
    uint64_t tag = 0;
    DRAW[page](&fresh, &web->board);
    PST_TRY(pst_buf_check(&fresh, err));
    pst_blake2b(digest, pst_buf_str(&fresh));
    memcpy(&tag, digest, sizeof(tag));
    (void)pthread_mutex_lock(&web->mutex);
    struct pst_buf old = web->pages[page];
    web->pages[page] = fresh;
    (void)snprintf(web->tags[page], TAG_BYTES, "\"%016llx\"", (unsigned long long)tag);
    (void)pthread_mutex_unlock(&web->mutex);
    fresh = old;
    return PST_OK;
}

pst_code pst_web_refresh(struct pst_web *web, struct pst_db_conn *conn, bool store_is_failing,
                         pst_wall now, struct pst_err *err)
{
    struct pst_err trouble;
    pst_code code = read_board(web, conn, now, &trouble);
    if (code == PST_E_NO_MEMORY || code == PST_E_LIMIT) {
        *err = trouble;
        return code;
    }
    web->board.store_is_failing = store_is_failing || code != PST_OK;
    web->board.drawn_at = now;
    set_levels(&web->board);
    for (size_t i = 0; i < PAGES; i++)
        PST_TRY(draw_page(web, (enum page)i, err));
    return PST_OK;
}
