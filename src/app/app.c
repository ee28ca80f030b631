/* app/app.c: the server from its configuration to its end. */
#include "app/app.h"

#include <signal.h>
#include <unistd.h>

#include "app/internal.h"
#include "app/watch.h"
#include "base/alloc.h"
#include "base/log.h"
#include "connectors/peoplesoft/peoplesoft.h"
#include "os/clock.h"
#include "os/rand.h"
#include "os/service.h"
#include "store/store.h"

enum {
    ARENA_BYTES = 1 << 20,
    FIRST_CARE_MS = 10 * 1000,
    CARE_MS = 60 * 1000,
    CARE_PAUSE_MS = 20, /* between batches, for other writers */
    LOOKERS = 2, /* threads for what reads much */
};

/* ---- building, in the order of struct pst_app ---- */

static pst_code build_files(struct pst_app *app, struct pst_err *err)
{
    struct pst_settings settings;
    PST_TRY(pst_arena_new(&app->arena, ARENA_BYTES, err));
    PST_TRY(pst_settings_load(&settings, app->arena, app->args, app->arg_count, app->env, err));
    app->config = settings.config;
    app->paths = settings.paths;
    app->config_file = settings.file;
    pst_log_init(pst_service_log_sink(),
                 (enum pst_log_level)pst_config_int(app->config, PST_OPT_LOG_LEVEL));
    PST_TRY(pst_start_egress(&app->egress, app->config, app->arena, err));
    PST_TRY(pst_start_data_dir(&app->paths, err));
    return pst_start_root_key(&app->root, app->config, &app->paths, err);
}

static void committed(void *self, int64_t topic)
{
    struct pst_app *app = self;
    if (topic == PST_TOPIC_INCIDENTS && app->watch)
        pst_watch_redraw(app->watch);
    if (topic == PST_TOPIC_CONNECTIONS && app->watch)
        pst_watch_connections_changed(app->watch);
    if (app->api) /* set before the writer thread starts */
        pst_api_on_commit(app->api, topic);
    if (app->hooks)
        pst_hooks_on_commit(app->hooks, topic);
}

static pst_code build_store(struct pst_app *app, struct pst_err *err)
{
    struct pst_db_options options = {
        .path = app->paths.store.ptr,
        .create = true,
        .cache_bytes = pst_config_int(app->config, PST_OPT_SQLITE_CACHE),
        .stopping = &app->stopping,
        .on_commit = committed,
        .on_commit_self = app,
    };
    PST_TRY(pst_store_open(&app->db, &options, err));
    return pst_start_vault(app->db, &app->root, &app->paths, err);
}

static pst_code build_connectors(struct pst_app *app, struct pst_err *err)
{
    static const struct pst_connector_ops *const all[PST_CONNECTORS] = {&pst_peoplesoft_ops};
    for (size_t i = 0; i < PST_CONNECTORS; i++) {
        app->entries[i].ops = all[i];
        PST_TRY(pst_manifest_new(&app->entries[i].manifest, all[i], err));
    }
    app->connectors = (struct pst_connectors){.items = app->entries, .count = PST_CONNECTORS};
    return PST_OK;
}

/* The request log, the status page, and the thread behind both. */
static pst_code build_watch(struct pst_app *app, struct pst_err *err)
{
    const struct pst_config *c = app->config;
    struct pst_journal_options journal = {
        .db = app->db,
        .loops = (unsigned)pst_config_int(c, PST_OPT_SERVER_THREADS),
        .mode = (enum pst_journal_mode)pst_config_int(c, PST_OPT_REQUEST_LOG),
    };
    PST_TRY(pst_journal_new(&app->journal, &journal, err));
    PST_TRY(pst_web_new(&app->web, &app->connectors, err));
    struct pst_watch_options watch = {
        .db = app->db,
        .journal = app->journal,
        .web = app->web,
        .open_after_ms = pst_config_int(c, PST_OPT_INCIDENT_AFTER),
        .close_after_ms = pst_config_int(c, PST_OPT_INCIDENT_QUIET),
    };
    return pst_watch_new(&app->watch, &watch, err);
}

/* Every call of a connected system is noted, then weighed; one that was not made, where it speaks
 * of its origin. */
static void observe(void *self, const struct pst_contact *contact)
{
    struct pst_app *app = self;
    if (!contact->is_denied)
        pst_journal_contact(app->journal, contact);
    else if (contact->klass == PST_CONTACT_UNREACHABLE)
        pst_journal_denied(app->journal, contact);
    pst_contacts_observe(app->contacts, contact);
}

static struct pst_health_options health_options(const struct pst_config *c)
{
    enum { HOLD_GROWTH = 6 };
    int64_t hold_ms = pst_config_int(c, PST_OPT_HOLD_DOWN);
    return (struct pst_health_options){
        .offline_after = (int)pst_config_int(c, PST_OPT_OFFLINE_AFTER),
        .backoff = {.first_ms = pst_config_int(c, PST_OPT_PROBE_FIRST),
                    .max_ms = pst_config_int(c, PST_OPT_PROBE_MAX)},
        .hold_first_ms = hold_ms,
        .hold_max_ms = HOLD_GROWTH * hold_ms,
    };
}

static pst_code build_gate(struct pst_app *app, struct pst_err *err)
{
    unsigned callers = (unsigned)(pst_config_int(app->config, PST_OPT_SYNC_WORKERS) +
                                  pst_config_int(app->config, PST_OPT_CALL_WORKERS));
    unsigned probers = (unsigned)pst_config_int(app->config, PST_OPT_PROBE_WORKERS);
    struct pst_health_options health = health_options(app->config);
    PST_TRY(pst_contacts_new(&app->contacts, app->db, &health, err));
    struct pst_gate_options gate = {
        .per_connection = (uint32_t)pst_config_int(app->config, PST_OPT_CALLS_PER_CONNECTION),
        .mono = pst_mono_now,
        .offline_after = health.offline_after,
        .limits = {.connect_ms = pst_config_int(app->config, PST_OPT_CONNECT_TIMEOUT),
                   .total_ms = pst_config_int(app->config, PST_OPT_CALL_TIMEOUT),
                   .max_body_bytes = (size_t)pst_config_int(app->config, PST_OPT_MAX_RESPONSE)},
        .observe = observe,
        .observe_self = app,
        .random = pst_rand_bytes,
    };
    PST_TRY(pst_gate_new(&app->gate, &gate, err));
    struct pst_systems_options systems = {.db = app->db,
                                          .root = app->root,
                                          .connectors = &app->connectors,
                                          .gate = app->gate,
                                          .egress = &app->egress,
                                          .stopping = &app->stopping,
                                          .workers = callers + probers};
    PST_TRY(pst_systems_new(&app->systems, &systems, err));
    struct pst_prober_options prober = {.db = app->db,
                                        .gate = app->gate,
                                        .systems = app->systems,
                                        .health = health,
                                        .workers = probers,
                                        .first_index = callers};
    return pst_prober_new(&app->prober, &prober, err);
}

static void report_sync(void *self, const struct pst_sync_report *report)
{
    (void)self;
    const struct pst_sync_counts *c = &report->counts;
    const struct pst_log_field fields[] = {
        PST_F_ID("sync_id", &report->sync_id),
        PST_F_ID("connection_id", &report->connection_id),
        PST_F_STR("request_id", report->request_id),
        PST_F_Z("status", pst_sync_status_name(report->status)),
        PST_F_Z("mode", pst_sync_mode_name(report->mode)),
        PST_F_Z("trigger", pst_sync_trigger_name(report->trigger)),
        PST_F_INT("read", c->read),
        PST_F_INT("created", c->created),
        PST_F_INT("updated", c->updated),
        PST_F_INT("deleted", c->deleted),
        PST_F_INT("rejected", c->rejected),
        PST_F_INT("pages", c->pages),
        PST_F_INT("wait_ms", c->wait_us / 1000),
        PST_F_INT("work_ms", c->work_us / 1000),
        {0},
    };
    const char *what = report->status == PST_SYNC_QUEUED ? "sync goes on later" : "sync ended";
    if (report->err)
        pst_log_err(PST_LOG_WARN, what, report->err, fields);
    else
        pst_log_write(PST_LOG_INFO, what, fields);
}

static pst_code build_sync(struct pst_app *app, struct pst_err *err)
{
    struct pst_health_options health = health_options(app->config);
    struct pst_sync_options options = {
        .db = app->db,
        .connectors = &app->connectors,
        .host = pst_host_table(&app->host),
        .systems = pst_systems_table(app->systems),
        .report = report_sync,
        .report_self = app,
        .workers = (unsigned)pst_config_int(app->config, PST_OPT_SYNC_WORKERS),
        .page_rows = (uint32_t)pst_config_int(app->config, PST_OPT_PAGE_ROWS),
        .overlap_ms = pst_config_int(app->config, PST_OPT_SYNC_OVERLAP),
        .delete_guard_percent = (int)pst_config_int(app->config, PST_OPT_DELETE_GUARD),
        .probe_ms = pst_health_probe_ms(&health),
    };
    PST_TRY(pst_sync_engine_new(&app->sync, &options, err));
    pst_contacts_set(app->contacts, app->sync, app->prober);
    return PST_OK;
}

static bool allows_receiver(void *self, const struct pst_address *address, const char **why)
{
    const struct pst_app *app = self;
    return pst_egress_allows(&app->egress, PST_ZONE_PUBLIC, address, why);
}

static bool may_use_http(const struct pst_config *c)
{
    return pst_config_bool(c, PST_OPT_WEBHOOK_HTTP) || pst_config_bool(c, PST_OPT_DEV);
}

static pst_code build_hooks(struct pst_app *app, struct pst_err *err)
{
    const struct pst_config *c = app->config;
    struct pst_hooks_options options = {
        .db = app->db,
        .root = app->root,
        .allows = allows_receiver,
        .allows_self = app,
        .allow_http = may_use_http(c),
        .per_endpoint = (uint32_t)pst_config_int(c, PST_OPT_WEBHOOK_CONCURRENCY),
        .in_flight = (uint32_t)pst_config_int(c, PST_OPT_WEBHOOK_IN_FLIGHT),
        .mono = pst_mono_now,
        .wall = pst_wall_now,
        .random = pst_rand_u64,
    };
    PST_TRY(pst_start_receivers_ca(&options.ca_file, c, app->arena, err));
    return pst_hooks_new(&app->hooks, &options, err);
}

static pst_code build_api(struct pst_app *app, struct pst_err *err)
{
    const struct pst_config *c = app->config;
    unsigned sync_workers = (unsigned)pst_config_int(c, PST_OPT_SYNC_WORKERS);
    PST_TRY(pst_pool_new(&app->work, "work", (unsigned)pst_config_int(c, PST_OPT_WORK_THREADS), 0,
                         err));
    PST_TRY(pst_pool_new(&app->looks, "look", LOOKERS, 0, err));
    PST_TRY(pst_pool_new(&app->calls, "call", (unsigned)pst_config_int(c, PST_OPT_CALL_WORKERS),
                         sync_workers, err));
    struct pst_api_options options = {
        .db = app->db,
        .root = app->root,
        .connectors = &app->connectors,
        .sync = app->sync,
        .systems = pst_systems_table(app->systems),
        .work = pst_pool_submit,
        .work_self = app->work,
        .look = pst_pool_submit,
        .look_self = app->looks,
        .lookers = LOOKERS,
        .call = pst_pool_submit,
        .call_self = app->calls,
        .new_id = pst_rand_id,
        .mono = pst_mono_now,
        .prober = {pst_prober_in_ms, pst_prober_changed, app->prober},
        .loops = (unsigned)pst_config_int(c, PST_OPT_SERVER_THREADS),
        .operator_uid = geteuid(),
        .dev = pst_config_bool(c, PST_OPT_DEV),
        .webhook_http = may_use_http(c),
        .hook_allows = allows_receiver,
        .hook_allows_self = app,
        .hooks = app->hooks,
        .journal = {pst_journal_request, pst_journal_find, pst_journal_calls, pst_journal_stats,
                    app->journal},
    };
    options.more_routes = pst_web_routes(app->web, &options.more_route_count);
    PST_TRY(pst_api_new(&app->api, &options, err));
    pst_app_set_limits(app, c);
    return PST_OK;
}

static struct pst_server_limits server_limits(const struct pst_config *c)
{
    return (struct pst_server_limits){
        .head_max = (size_t)pst_config_int(c, PST_OPT_MAX_HEAD),
        .target_max = (size_t)pst_config_int(c, PST_OPT_MAX_TARGET),
        .headers_max = (size_t)pst_config_int(c, PST_OPT_MAX_HEADERS),
        .body_max = (size_t)pst_config_int(c, PST_OPT_MAX_BODY),
        .buffered_max = (size_t)pst_config_int(c, PST_OPT_MAX_BUFFERED),
        .connections_max = (size_t)pst_config_int(c, PST_OPT_MAX_CONNECTIONS),
        .per_address_max = (size_t)pst_config_int(c, PST_OPT_MAX_PER_ADDRESS),
        .head_ms = pst_config_int(c, PST_OPT_HEAD_TIMEOUT),
        .body_ms = pst_config_int(c, PST_OPT_BODY_TIMEOUT),
        .idle_ms = pst_config_int(c, PST_OPT_IDLE_TIMEOUT),
        .write_ms = pst_config_int(c, PST_OPT_WRITE_TIMEOUT),
    };
}

/* A shell starts programs with 1,024 descriptors, and each client and receiver needs one. */
static void make_room_for_sockets(const struct pst_config *c)
{
    enum { OTHERS = 512 }; /* the store, its readers, calls to systems */
    uint64_t wanted = (uint64_t)pst_config_int(c, PST_OPT_MAX_CONNECTIONS) + OTHERS +
                      PST_HOOKS_SLOW_TIMES * (uint64_t)pst_config_int(c, PST_OPT_WEBHOOK_IN_FLIGHT);
    uint64_t limit = pst_service_raise_files(wanted);
    if (limit < wanted)
        PST_LOG(PST_LOG_WARN, "the limit of open files is lower than max_connections needs",
                PST_F_INT("limit", (int64_t)limit), PST_F_INT("needed", (int64_t)wanted));
}

static pst_code build_server(struct pst_app *app, struct pst_err *err)
{
    make_room_for_sockets(app->config);
    pst_str socket = {0};
    PST_TRY(
        pst_arena_printf(app->arena, &socket, err, "unix:%.*s", PST_STR_ARG(app->paths.socket)));
    const char *const listen[] = {pst_config_str(app->config, PST_OPT_LISTEN).ptr, socket.ptr};
    struct pst_server_options options = {
        .listen = listen,
        .listen_count = PST_COUNT(listen),
        .loops = (unsigned)pst_config_int(app->config, PST_OPT_SERVER_THREADS),
        .router = pst_api_router(app->api),
        .limits = server_limits(app->config),
        .self = app->api,
        .on_error = pst_api_on_error,
        .on_finished = pst_api_on_finished,
        .common_headers = pst_api_common_headers,
    };
    PST_TRY(pst_server_new(&app->server, &options, err));
    pst_api_set_server(app->api, app->server);
    return pst_start_own_address(&app->egress, pst_config_str(app->config, PST_OPT_LISTEN),
                                 pst_server_port(app->server, 0), app->arena, err);
}

static pst_code build(struct pst_app *app, struct pst_err *err)
{
    PST_TRY(build_files(app, err));
    PST_TRY(pst_http_init(err));
    PST_TRY(build_store(app, err));
    PST_TRY(build_connectors(app, err));
    PST_TRY(build_watch(app, err));
    PST_TRY(build_gate(app, err));
    PST_TRY(build_sync(app, err));
    PST_TRY(build_hooks(app, err));
    PST_TRY(build_api(app, err));
    return build_server(app, err);
}

/* Everything may be half-built. */
static void tear_down(struct pst_app *app)
{
    pst_server_free(app->server);
    pst_api_free(app->api);
    pst_pool_free(app->calls);
    pst_pool_free(app->looks);
    pst_pool_free(app->work);
    pst_hooks_free(app->hooks);
    pst_sync_engine_free(app->sync);
    pst_prober_free(app->prober);
    pst_systems_free(app->systems);
    pst_gate_free(app->gate);
    pst_contacts_free(app->contacts);
    pst_watch_free(app->watch);
    pst_web_free(app->web);
    pst_journal_free(app->journal);
    for (size_t i = 0; i < PST_CONNECTORS; i++)
        pst_manifest_free(app->entries[i].manifest);
    pst_db_close(app->db);
    pst_key_free(app->root);
    pst_config_unref(app->config);
    pst_arena_free(app->arena);
}

/* ---- running ---- */

static void log_start(const struct pst_app *app)
{
    char status[128];
    int port = pst_server_port(app->server, 0);
    PST_LOG(PST_LOG_INFO, "serving", PST_F_Z("version", PST_VERSION),
            PST_F_STR("listen", pst_config_str(app->config, PST_OPT_LISTEN)),
            PST_F_INT("port", port), PST_F_STR("data_dir", app->paths.data_dir),
            PST_F_Z("dev", pst_config_bool(app->config, PST_OPT_DEV) ? "yes" : "no"));
    (void)snprintf(status, sizeof(status), "serving on port %d", port);
    pst_service_notify(PST_NOTIFY_READY, status);
}

/* From here on a further signal does what it does by default: end the process at once. Every
 * commit is whole, so nothing is lost by that. */
static void allow_hard_stop(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void wait_for_stop(struct pst_app *app, int signals)
{
    pst_mono next_care = pst_mono_after_ms(pst_mono_now(), FIRST_CARE_MS);
    for (;;) {
        int64_t wait_ms = pst_mono_ms_until(pst_mono_now(), next_care);
        switch (pst_service_wait_signal(signals, wait_ms)) {
        case PST_SIGNAL_STOP:
            return;
        case PST_SIGNAL_RELOAD:
            pst_app_reload(app);
            break;
        case PST_SIGNAL_NONE:
            if (pst_mono_ms_until(pst_mono_now(), next_care) == 0) {
                bool more = pst_care_step(app);
                next_care = pst_mono_after_ms(pst_mono_now(), more ? CARE_PAUSE_MS : CARE_MS);
            }
            break;
        }
    }
}

static pst_code run(struct pst_app *app, int signals, struct pst_err *err)
{
    PST_TRY(pst_app_confine(app, err));
    PST_TRY(pst_threads_start(app, err));
    log_start(app);
    wait_for_stop(app, signals);
    PST_LOG(PST_LOG_INFO, "stopping");
    pst_service_notify(PST_NOTIFY_STOPPING, NULL);
    allow_hard_stop();
    pst_threads_stop(app);
    PST_LOG(PST_LOG_INFO, "stopped");
    return PST_OK;
}

/* AddressSanitizer's leak check attaches to the process, which a protected one refuses. */
static pst_code protect_memory(struct pst_err *err)
{
#ifdef __SANITIZE_ADDRESS__
    (void)err;
    return PST_OK;
#else
    return pst_service_protect_memory(err);
#endif
}

pst_code pst_app_serve(const char *const *args, size_t arg_count, const char *const *env,
                       struct pst_err *err)
{
    struct pst_app app = {.args = args, .arg_count = arg_count, .env = env};
    int signals = -1;
    PST_TRY(protect_memory(err));
    PST_TRY(pst_service_signals(&signals, err));
    (void)pthread_mutex_init(&app.mutex, NULL);
    pst_host_init(&app.host);
    pst_code rc = build(&app, err);
    if (rc == PST_OK)
        rc = run(&app, signals, err);
    tear_down(&app);
    pst_host_fini(&app.host);
    (void)pthread_mutex_destroy(&app.mutex);
    (void)close(signals);
    return rc;
}
