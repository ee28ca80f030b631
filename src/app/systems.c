/* app/systems.c: opens a connected system for one run: credentials unsealed, adapter and gate run
 * begun, the zone of its times loaded.
 *
 * Each worker has an HTTP client and a reader of the store of its own, made at its first use. */
#include "app/internal.h"
#include "base/alloc.h"
#include "base/map.h"
#include "codec/json.h"
#include "codec/tz.h"
#include "health/health.h"

enum { CONFIG_BYTES = 4 << 20 };

struct worker_kit {
    struct pst_http *http;
    struct pst_db_conn *reader;
    bool is_traced; /* trace is for what is opened next */
    struct pst_trace trace;
};

struct pst_systems {
    struct pst_systems_options options;
    struct worker_kit *kits; /* options.workers of them; one worker each */
    pthread_mutex_t mutex; /* guards zones */
    struct pst_map zones; /* name -> struct pst_tz, kept until the end */
};

/* What open_system made and close_system releases. */
struct opened {
    struct pst_gate_run *run;
    struct pst_connector *connector;
    const struct pst_connector_ops *ops;
};

pst_code pst_systems_new(struct pst_systems **out, const struct pst_systems_options *options,
                         struct pst_err *err)
{
    struct pst_systems *s = NULL;
    PST_TRY(pst_new((void **)&s, sizeof(*s), err));
    s->options = *options;
    pst_code rc = pst_new((void **)&s->kits, options->workers * sizeof(*s->kits), err);
    if (rc != PST_OK) {
        pst_free(s);
        return rc;
    }
    (void)pthread_mutex_init(&s->mutex, NULL);
    *out = s;
    return PST_OK;
}

void pst_systems_free(struct pst_systems *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->options.workers; i++) {
        pst_http_free(s->kits[i].http);
        pst_db_reader_free(s->kits[i].reader);
    }
    for (size_t i = 0; i < s->zones.count; i++)
        pst_tz_free(s->zones.entries[i].value);
    pst_map_fini(&s->zones);
    (void)pthread_mutex_destroy(&s->mutex);
    pst_free(s->kits);
    pst_free(s);
}

static bool allows_system(void *self, const struct pst_address *address, const char **why)
{
    const struct pst_systems *s = self;
    return pst_egress_allows(s->options.egress, PST_ZONE_SYSTEM, address, why);
}

static pst_code ready_kit(struct pst_systems *s, unsigned worker, struct worker_kit **out,
                          struct pst_err *err)
{
    if (worker >= s->options.workers)
        return PST_FAIL(err, PST_E_INTERNAL, "there is no worker %u", worker);
    struct worker_kit *kit = &s->kits[worker];
    struct pst_http_options http = {.allows = allows_system, .allows_self = s};
    if (!kit->http)
        PST_TRY(pst_http_new(&kit->http, &http, err));
    if (!kit->reader)
        PST_TRY(pst_db_reader_new(s->options.db, &kit->reader, err));
    *out = kit;
    return PST_OK;
}

static pst_code find_zone(struct pst_systems *s, pst_str name, const struct pst_tz **out,
                          struct pst_err *err)
{
    (void)pthread_mutex_lock(&s->mutex);
    struct pst_tz *zone = pst_map_get(&s->zones, name);
    (void)pthread_mutex_unlock(&s->mutex);
    if (!zone) {
        struct pst_tz *fresh = NULL;
        pst_code rc = PST_OK;
        PST_TRY(pst_tz_load(&fresh, NULL, name, err));
        (void)pthread_mutex_lock(&s->mutex);
        zone = pst_map_get(&s->zones, name); /* another worker may have been quicker */
        if (!zone) {
            rc = pst_map_put(&s->zones, name, fresh, NULL, err);
            zone = rc == PST_OK ? PST_TAKE(fresh) : NULL;
        }
        (void)pthread_mutex_unlock(&s->mutex);
        pst_tz_free(fresh);
        PST_TRY(rc);
    }
    *out = zone;
    return PST_OK;
}

/* The bytes of every text in v; the document is not used afterwards. */
static void wipe_texts(yyjson_val *v)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *key = NULL;
    yyjson_val *item = NULL;
    if (yyjson_is_str(v) || yyjson_is_raw(v)) {
        const char *text = yyjson_is_str(v) ? yyjson_get_str(v) : yyjson_get_raw(v);
        pst_wipe((void *)(uintptr_t)text, yyjson_get_len(v));
    } else if (yyjson_is_obj(v)) {
        yyjson_obj_foreach(v, i, n, key, item)
        {
            (void)key;
            wipe_texts(item);
        }
    } else if (yyjson_is_arr(v)) {
        yyjson_arr_foreach(v, i, n, item)
        {
            wipe_texts(item);
        }
    }
}

static pst_code read_credentials(struct pst_systems *s, struct worker_kit *kit,
                                 const struct pst_connection *c, struct pst_arena *arena,
                                 yyjson_doc **out, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *plain = NULL;
    struct pst_vault_place place = {.organization_pk = c->organization_pk,
                                    .organization_id = pst_id_str(&c->organization_id),
                                    .row_id = pst_id_str(&c->id),
                                    .field = PST_STR("credentials")};
    if (c->credentials.len == 0)
        return pst_json_read(PST_STR("{}"), NULL, arena, out, err);
    PST_TRY(pst_vault_unseal(kit->reader, s->options.root, &place, c->credentials, &plain, err));
    return pst_json_read(pst_secret_expose(plain), NULL, arena, out, err);
}

static pst_code open_adapter(struct pst_systems *s, struct worker_kit *kit,
                             const struct pst_connector_entry *entry,
                             const struct pst_connection *c, struct pst_sync_system *out,
                             struct pst_connector **connector, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    yyjson_doc *config = NULL;
    yyjson_doc *credentials = NULL;
    PST_TRY(pst_arena_new(&arena, CONFIG_BYTES, err));
    PST_TRY(pst_json_read(c->config, NULL, arena, &config, err));
    yyjson_val *root = yyjson_doc_get_root(config);
    pst_str zone = pst_option_str(entry->manifest, root, "time_zone");
    PST_TRY(find_zone(s, zone.len > 0 ? zone : PST_STR("UTC"), &out->ctx.zone, err));
    PST_TRY(read_credentials(s, kit, c, arena, &credentials, err));
    pst_code rc =
        entry->ops->open(connector, entry->manifest, root, yyjson_doc_get_root(credentials), err);
    wipe_texts(yyjson_doc_get_root(credentials));
    return rc;
}

static void close_opened(struct opened *o)
{
    if (!o)
        return;
    if (o->connector)
        o->ops->close(o->connector);
    pst_gate_end(o->run);
    pst_free(o);
}
PST_DEFINE_AUTO(opened, struct opened, close_opened);

/* Whatever wants to call: refused credentials are never tried again until they change. */
static pst_code admit(const struct pst_connection *c, struct pst_err *err)
{
    struct pst_health health = pst_health_initial(c->status_since, true, NULL);
    (void)pst_conn_status_parse(&health.status,
                                pst_str_from(pst_connection_status_name(c->status)));
    (void)snprintf(health.reason, sizeof(health.reason), "%.*s", PST_STR_ARG(c->status_reason));
    return pst_health_admit(&health, err);
}

/* Who wants to call, and for whom. */
struct caller {
    unsigned worker;
    pst_str sync_id, request_id;
    enum pst_trial trial;
    const atomic_bool *cancel;
};

static pst_code open_for(struct pst_systems *s, const struct caller *caller,
                         const struct pst_connection *c, struct pst_sync_system *out,
                         struct pst_err *err)
{
    PST_AUTO(opened) struct opened *o = NULL;
    struct worker_kit *kit = NULL;
    struct pst_sync_system system = {0};
    const struct pst_connector_entry *entry =
        pst_connectors_find(s->options.connectors, c->connector);
    if (!entry)
        return PST_FAIL(err, PST_E_UNSUPPORTED, "this build has no connector '%.*s'",
                        PST_STR_ARG(c->connector));
    PST_TRY(admit(c, err));
    PST_TRY(ready_kit(s, caller->worker, &kit, err));
    PST_TRY(pst_new((void **)&o, sizeof(*o), err));
    o->ops = entry->ops;
    PST_TRY(open_adapter(s, kit, entry, c, &system, &o->connector, err));
    struct pst_gate_run_options run = {
        .connection_id = pst_id_str(&c->id),
        .sync_id = caller->sync_id,
        .request_id = caller->request_id,
        .trial = caller->trial,
        .credentials_mark = pst_connection_credentials_mark(c),
        .pending_since = {c->status == PST_CONNECTION_PENDING ? c->status_since.us : 0},
        .trace = kit->is_traced ? &kit->trace : NULL,
        .connector = entry->ops,
        .http = kit->http,
        .cancel = caller->cancel ? caller->cancel : s->options.stopping,
    };
    /* The breaker may have been told of an older status last. */
    if (c->status != PST_CONNECTION_OFFLINE)
        pst_gate_set_offline(s->options.gate, pst_id_str(&c->id), false, "");
    PST_TRY(pst_gate_begin(&o->run, s->options.gate, &run, err));
    kit->is_traced = false;
    system.ops = entry->ops;
    system.manifest = entry->manifest;
    system.connector = o->connector;
    system.ctx.call = pst_gate_call;
    system.ctx.self = o->run;
    system.self = PST_TAKE(o);
    *out = system;
    return PST_OK;
}

static pst_code open_system(void *self, unsigned worker, const struct pst_connection *c,
                            pst_str sync_id, pst_str request_id, const atomic_bool *cancel,
                            struct pst_sync_system *out, struct pst_err *err)
{
    /* A test is made because somebody waits for it, a sync of what is offline, is new, has new
     * credentials or was switched on, likewise. */
    bool is_asked_for = sync_id.len == 0 || c->status == PST_CONNECTION_OFFLINE ||
                        c->status == PST_CONNECTION_PENDING;
    const struct caller caller = {
        .worker = worker,
        .sync_id = sync_id,
        .request_id = request_id,
        .trial = is_asked_for ? PST_TRIAL_EARLY : PST_TRIAL_NONE,
        .cancel = cancel,
    };
    return open_for(self, &caller, c, out, err);
}

pst_code pst_systems_open_probe(struct pst_systems *s, unsigned worker,
                                const struct pst_connection *c, struct pst_sync_system *out,
                                struct pst_err *err)
{
    const struct caller caller = {.worker = worker, .trial = PST_TRIAL_PROBE};
    return open_for(s, &caller, c, out, err);
}

static void close_system(void *self, struct pst_sync_system *system)
{
    (void)self;
    close_opened(system->self);
    system->self = NULL;
}

static int64_t count_calls(void *self, const struct pst_sync_system *system)
{
    const struct opened *o = system->self;
    (void)self;
    return pst_gate_counters(o->run).calls;
}

static void set_trace(void *self, unsigned worker, const struct pst_trace *trace)
{
    struct pst_systems *s = self;
    if (worker >= s->options.workers)
        return;
    s->kits[worker].is_traced = trace != NULL;
    if (trace)
        s->kits[worker].trace = *trace;
}

void pst_systems_close(struct pst_systems *s, struct pst_sync_system *system)
{
    close_system(s, system);
}

struct pst_sync_systems pst_systems_table(struct pst_systems *s)
{
    return (struct pst_sync_systems){
        .open = open_system,
        .close = close_system,
        .calls = count_calls,
        .set_trace = set_trace,
        .self = s,
    };
}
