/* app/watch.c: the watch thread: once a second it stores the request log, tells the detector what
 * calls of connected systems came to, writes down incidents that begin and end, and now and then
 * draws the status page. */
#include "app/watch.h"

#include "app/days.h"
#include "base/alloc.h"
#include "base/log.h"
#include "event/event.h"
#include "health/detect.h"
#include "os/clock.h"
#include "os/rand.h"
#include "store/incidents.h"
#include "store/outages.h"
#include "store/requests.h"
#include "store/store.h"

enum {
    TICK_MS = 1000,
    DRAW_TICKS = 15,
    DAY_TICKS = 60,
    WAITING_MAX = 64, /* incidents that the store has not taken yet */
    RECALLS = 4, /* of what is away, in a window of the detector */
    ARENA_BYTES = 8 << 20,
};

struct pst_watch {
    struct pst_watch_options options;
    struct pst_db_conn *reader;
    struct pst_detector *detector;
    struct pst_bell bell;
    atomic_bool stopping;
    atomic_bool must_draw;
    atomic_bool may_forget;
    struct waiting {
        struct pst_detection what;
        pst_wall at;
        struct pst_id id;
    } waiting[WAITING_MAX];
    size_t waiting_count;
    int64_t affected[PST_DETECT_CONNECTIONS]; /* or that fail at all */
    size_t affected_count;
    pst_mono recall; /* when the detector is told again of what is away */
    struct pst_days days; /* not stored yet */
    pst_mono counted; /* up to here */
    unsigned ticks;
    bool was_failing;
};

pst_code pst_watch_new(struct pst_watch **out, const struct pst_watch_options *options,
                       struct pst_err *err)
{
    void *made = NULL;
    const struct pst_detector_options detector = {.window_ms = options->window_ms,
                                                  .open_after_ms = options->open_after_ms,
                                                  .close_after_ms = options->close_after_ms};
    PST_TRY(pst_new(&made, sizeof(struct pst_watch), err));
    struct pst_watch *w = made;
    pst_bell_init(&w->bell);
    w->options = *options;
    if (w->options.window_ms == 0)
        w->options.window_ms = PST_DETECT_WINDOW_MS;
    pst_code code = pst_db_reader_new(options->db, &w->reader, err);
    if (code == PST_OK)
        code = pst_detector_new(&w->detector, &detector, err);
    if (code != PST_OK) {
        pst_watch_free(w);
        return code;
    }
    *out = w;
    return PST_OK;
}

void pst_watch_free(struct pst_watch *w)
{
    if (!w)
        return;
    pst_detector_free(w->detector);
    pst_db_reader_free(w->reader);
    pst_bell_fini(&w->bell);
    pst_free(w);
}

void pst_watch_redraw(struct pst_watch *w)
{
    atomic_store_explicit(&w->must_draw, true, memory_order_relaxed);
}

void pst_watch_connections_changed(struct pst_watch *w)
{
    atomic_store_explicit(&w->may_forget, true, memory_order_relaxed);
}

void pst_watch_stop(struct pst_watch *w)
{
    atomic_store(&w->stopping, true);
    pst_bell_ring(&w->bell);
}

/* ---- contacts ---- */

/* Refused credentials are no outage: it was reached. */
static bool is_failing(const struct pst_call_row *call)
{
    return call->class == PST_CALL_UNREACHABLE || call->class == PST_CALL_UNWELL;
}

/* A connection that never worked tells of its own settings, not of its system: an address that was
 * mistyped is no outage of anybody. */
static void see_call(void *self, const struct pst_call_row *call)
{
    struct pst_watch *w = self;
    struct pst_err err;
    char connector[64];
    int64_t pk = 0;
    bool has_worked = false;
    if (call->class == PST_CALL_LOCAL)
        return;
    pst_code code = pst_calls_owner(w->reader, pst_id_str(&call->connection_id), &pk, connector,
                                    sizeof(connector), &has_worked, &err);
    if (code == PST_OK && pk && (has_worked || !is_failing(call)))
        code =
            pst_detector_contact(w->detector, pst_mono_now(), pk, pst_str_from(connector),
                                 pst_str_host(pst_str_from(call->origin)), is_failing(call), &err);
    if (code != PST_OK)
        PST_LOG(PST_LOG_DEBUG, "a contact was not looked at", PST_F_Z("error", err.msg));
}

/* Connections that failed and were deleted or switched off since do not keep an incident open. */
static void forget_gone(struct pst_watch *w)
{
    struct pst_err err;
    bool is_active = true;
    size_t count = pst_detector_affected(w->detector, NULL, w->affected, PST_DETECT_CONNECTIONS);
    for (size_t i = 0; i < count; i++) {
        if (pst_calls_is_active(w->reader, w->affected[i], &is_active, &err) != PST_OK)
            return;
        if (!is_active)
            pst_detector_forget(w->detector, w->affected[i]);
    }
}

/* ---- incidents ---- */

static enum pst_incident_kind kind_of(enum pst_reach reach)
{
    switch (reach) {
    case PST_REACH_HOST:
        return PST_INCIDENT_HOST;
    case PST_REACH_CONNECTOR:
        return PST_INCIDENT_CONNECTOR;
    case PST_REACH_PENSTOCK:
    case PST_REACH_NONE:
        break;
    }
    return PST_INCIDENT_PENSTOCK;
}

static const char *title_of(const struct pst_watch *w, const struct pst_detection *d)
{
    (void)w;
    switch (d->reach) {
    case PST_REACH_HOST:
        return "A connected system cannot be reached";
    case PST_REACH_CONNECTOR:
        return "Many connected systems cannot be reached";
    case PST_REACH_PENSTOCK:
    case PST_REACH_NONE:
        break;
    }
    return "Changes cannot be stored";
}

static const char *text_of(const struct pst_detection *d)
{
    if (!d->opens)
        return d->reach == PST_REACH_PENSTOCK ? "Changes are stored again."
                                              : "Connections work again; what was missed is read.";
    switch (d->reach) {
    case PST_REACH_HOST:
        return "Several connections to the same system fail at the same time. It is tried again "
               "and "
               "again; as soon as it answers, syncs go on by themselves and read what was missed.";
    case PST_REACH_CONNECTOR:
        return "Connections to several systems of the same kind fail at the same time. They are "
               "tried again and again; as soon as they answer, syncs go on by themselves and read "
               "what was missed.";
    case PST_REACH_PENSTOCK:
    case PST_REACH_NONE:
        break;
    }
    return "Data can be read; changes and syncs wait until the store can be written again.";
}

static pst_str components_of(const struct pst_detection *d, char *out, size_t size)
{
    if (d->reach == PST_REACH_PENSTOCK)
        return PST_STR("api,sync,webhooks");
    (void)snprintf(out, size, "connector:%s", d->connector);
    return pst_str_from(out);
}

static pst_code tell_one(struct pst_db_conn *conn, const struct waiting *x, int64_t organization_pk,
                         struct pst_err *err)
{
    struct pst_err ignored;
    char message[400];
    bool is_ours = x->what.reach == PST_REACH_PENSTOCK;
    if (is_ours)
        (void)snprintf(message, sizeof(message),
                       "penstock could not write to its store for a while (incident %s)",
                       x->id.text);
    else
        (void)snprintf(message, sizeof(message),
                       "many connections %s '%s' fail at the same time (incident %s)",
                       x->what.reach == PST_REACH_HOST ? "to" : "of the connector", x->what.subject,
                       x->id.text);
    const struct pst_event_trouble trouble = {
        .organization_pk = organization_pk,
        .code = is_ours ? PST_E_UNAVAILABLE : PST_E_UNREACHABLE,
        .message = pst_str_from(message),
    };
    /* An organization that went meanwhile need not be told. */
    pst_code code = pst_event_tell_trouble(conn, &trouble, x->at, &ignored);
    return code == PST_OK || code == PST_E_NOT_FOUND ? PST_OK
                                                     : PST_FAIL(err, code, "%s", ignored.msg);
}

static pst_code tell_concerned(struct pst_db_conn *conn, struct pst_watch *w,
                               const struct waiting *x, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    int64_t *list = NULL;
    size_t count = 0;
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    if (x->what.reach == PST_REACH_PENSTOCK)
        w->affected_count = 0;
    PST_TRY(pst_calls_organizations(conn, w->affected, w->affected_count,
                                    x->what.reach == PST_REACH_PENSTOCK, arena, &list, &count,
                                    err));
    for (size_t i = 0; i < count; i++)
        PST_TRY(tell_one(conn, x, list[i], err));
    return PST_OK;
}

struct incident_job {
    struct pst_watch *watch;
    const struct waiting *x;
};

static pst_code write_incident(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct incident_job *job = arg;
    const struct waiting *x = job->x;
    const struct pst_detection *d = &x->what;
    char name[2 * PST_DETECT_TEXT];
    int64_t pk = 0;
    pst_str connector = pst_str_from(d->connector);
    enum pst_incident_kind kind = kind_of(d->reach);
    struct pst_incident_update update = {
        .at = x->at,
        .state = d->opens ? PST_INCIDENT_INVESTIGATING : PST_INCIDENT_RESOLVED,
        .text = pst_str_from(text_of(d)),
        .actor = PST_STR("detector"),
    };
    PST_TRY(pst_incidents_find_open(conn, kind, pst_str_from(d->subject), connector, &pk, err));
    if (d->opens != (pk == 0))
        return PST_OK; /* people were quicker */
    if (!d->opens)
        return pst_incidents_update(conn, pk, &update, err);
    bool is_down = d->reach == PST_REACH_PENSTOCK ||
                   (d->reach == PST_REACH_CONNECTOR && d->peers.failing * 5 >= d->peers.seen * 4);
    struct pst_incident incident = {
        .id = x->id,
        .kind = kind,
        .subject = pst_str_from(d->subject),
        .connector = connector,
        .components = components_of(d, name, sizeof(name)),
        .impact = is_down ? PST_IMPACT_DOWN : PST_IMPACT_DEGRADED,
        .state = update.state,
        .title = pst_str_from(title_of(job->watch, d)),
        .affected = d->peers.failing,
        .opened_at = x->at,
    };
    PST_TRY(pst_incidents_add(conn, &incident, &update, err));
    return tell_concerned(conn, job->watch, x, err);
}

/* In the order in which they came; what the store does not take waits. */
static void write_waiting(struct pst_watch *w)
{
    size_t done = 0;
    struct pst_err err;
    while (done < w->waiting_count) {
        struct waiting *x = &w->waiting[done];
        struct incident_job job = {w, x};
        w->affected_count =
            pst_detector_affected(w->detector, &x->what, w->affected, PST_DETECT_CONNECTIONS);
        if (pst_db_write(w->options.db, write_incident, &job, &err) != PST_OK) {
            PST_LOG(PST_LOG_DEBUG, "an incident waits for the store", PST_F_Z("error", err.msg));
            break;
        }
        done++;
        PST_LOG(PST_LOG_WARN, x->what.opens ? "incident begins" : "incident is over",
                PST_F_Z("reach", pst_reach_name(x->what.reach)),
                PST_F_Z("subject", x->what.subject), PST_F_INT("failing", x->what.peers.failing),
                PST_F_INT("seen", x->what.peers.seen));
        pst_watch_redraw(w);
    }
    if (done)
        memmove(w->waiting, w->waiting + done, (w->waiting_count - done) * sizeof(w->waiting[0]));
    w->waiting_count -= done;
}

static void detect(struct pst_watch *w)
{
    struct pst_detection found[8];
    size_t room = WAITING_MAX - w->waiting_count;
    size_t count = pst_detector_step(w->detector, pst_mono_now(), found,
                                     room < PST_COUNT(found) ? room : PST_COUNT(found));
    for (size_t i = 0; i < count; i++)
        w->waiting[w->waiting_count++] =
            (struct waiting){found[i], pst_wall_now(), pst_rand_id("inc_")};
    write_waiting(w);
}

/* Incidents that were open when the program ended last. */
static pst_code resume_incidents(struct pst_watch *w, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_incident *list = NULL;
    size_t count = 0;
    bool more = false;
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    PST_TRY(pst_incidents_list(w->reader, true, 0, 500, arena, &list, &count, &more, err));
    for (size_t i = 0; i < count; i++) {
        static const enum pst_reach REACHES[] = {
            [PST_INCIDENT_MANUAL] = PST_REACH_NONE,
            [PST_INCIDENT_HOST] = PST_REACH_HOST,
            [PST_INCIDENT_CONNECTOR] = PST_REACH_CONNECTOR,
            [PST_INCIDENT_PENSTOCK] = PST_REACH_PENSTOCK,
        };
        if (list[i].kind != PST_INCIDENT_MANUAL)
            PST_TRY(pst_detector_resume(w->detector, pst_mono_now(), REACHES[list[i].kind],
                                        list[i].subject, list[i].connector, err));
    }
    return PST_OK;
}

/* Connections whose origin is away: few of them are called before it is back, by turns, and none
 * between the end of the program and its next start. */
static pst_code tell_away(struct pst_watch *w, struct pst_err *err)
{
    struct pst_outage_away list[64];
    size_t count = 0;
    int64_t after = 0;
    do {
        PST_TRY(pst_outages_away(w->reader, after, list, PST_COUNT(list), &count, err));
        for (size_t i = 0; i < count; i++) {
            after = list[i].connection_pk;
            PST_TRY(pst_detector_contact(
                w->detector, pst_mono_now(), after, pst_str_from(list[i].connector),
                pst_str_host(pst_call_origin(pst_str_from(list[i].origin))), true, err));
        }
    } while (count > 0);
    return PST_OK;
}

/* Again before the detector forgets them. What calls of the last second found is told after it. */
static void recall_away(struct pst_watch *w)
{
    struct pst_err err;
    pst_mono now = pst_mono_now();
    if (now.ns < w->recall.ns)
        return;
    w->recall = pst_mono_after_ms(now, w->options.window_ms / RECALLS);
    if (tell_away(w, &err) != PST_OK)
        pst_log_err(PST_LOG_WARN, "connections whose system is away could not be read", &err, NULL);
}

/* ---- the page ---- */

static void draw(struct pst_watch *w, bool is_failing)
{
    struct pst_err err;
    atomic_store_explicit(&w->must_draw, false, memory_order_relaxed);
    if (pst_web_refresh(w->options.web, w->reader, is_failing, pst_wall_now(), &err) != PST_OK)
        pst_log_err(PST_LOG_WARN, "the status page could not be drawn", &err, NULL);
}

static void store_days(struct pst_watch *w)
{
    struct pst_err err;
    if (pst_db_write(w->options.db, pst_days_write, &w->days, &err) == PST_OK)
        pst_days_stored(&w->days);
}

/* What has passed since the last time counts as the components are now. */
static void count_days(struct pst_watch *w)
{
    int64_t passed_s = (pst_mono_now().ns - w->counted.ns) / PST_NS_PER_S;
    w->counted.ns += passed_s * PST_NS_PER_S;
    pst_days_count(&w->days, pst_wall_now(), passed_s);
}

/* What passed without the program is on the page from the first time it is drawn. */
static pst_code begin_days(struct pst_watch *w, struct pst_err *err)
{
    pst_wall seen = PST_WALL_NONE;
    pst_code code = pst_status_seen_get(w->reader, &seen, err);
    w->counted = pst_mono_now();
    pst_days_begin(&w->days, w->options.web, seen, pst_wall_now());
    store_days(w);
    return code;
}

/* ---- the thread ---- */

static void tick(struct pst_watch *w)
{
    struct pst_err trouble;
    bool is_failing = pst_db_trouble(w->options.db, &trouble);
    recall_away(w);
    pst_journal_flush(w->options.journal, see_call, w);
    pst_detector_store(w->detector, is_failing);
    if (atomic_exchange_explicit(&w->may_forget, false, memory_order_relaxed))
        forget_gone(w);
    detect(w);
    count_days(w);
    if (w->ticks % DAY_TICKS == DAY_TICKS - 1)
        store_days(w);
    bool must_draw = atomic_load_explicit(&w->must_draw, memory_order_relaxed);
    if (must_draw || is_failing != w->was_failing || w->ticks % DRAW_TICKS == 0)
        draw(w, is_failing);
    w->was_failing = is_failing;
    w->ticks++;
}

void pst_watch_run(void *arg)
{
    struct pst_watch *w = arg;
    struct pst_err err;
    if (begin_days(w, &err) != PST_OK)
        pst_log_err(PST_LOG_WARN, "the history of the status page could not be read", &err, NULL);
    if (resume_incidents(w, &err) != PST_OK)
        pst_log_err(PST_LOG_WARN, "open incidents could not be read", &err, NULL);
    while (!atomic_load(&w->stopping)) {
        tick(w);
        pst_bell_await(&w->bell, TICK_MS);
    }
    pst_journal_flush(w->options.journal, NULL, NULL);
    count_days(w);
    store_days(w);
}
