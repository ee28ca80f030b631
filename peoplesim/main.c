/* peoplesim/main.c: the program: options, state, server, threads, and the way out. */
#include <inttypes.h>
#include <malloc.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/map.h"
#include "os/clock.h"
#include "os/rand.h"
#include "os/service.h"
#include "os/thread.h"
#include "peoplesim/control.h"
#include "peoplesim/options.h"

enum {
    STATE_MAX = 512 << 20,
    HELP_MAX = 1 << 20,
    LOOPS_MAX = 64,
    ROUTES_MAX = PST_SIM_GATEWAY_ROUTES + PST_SIM_CONTROL_ROUTES,
    STOP_MS = 2000,
    WRITE_MS = 600000, /* a stalled answer stays as long as a client may want to wait */
    PER_ADDRESS = 4096,
};

struct loop {
    struct pst_server *server;
    unsigned index;
    struct pst_thread *thread;
};

struct program {
    struct pst_config *config;
    struct pst_sim_zone zone;
    struct pst_sim_engine *engine;
    struct pst_sim_gateway gateway;
    struct pst_sim_journal *journal;
    struct pst_sim_control control;
    struct pst_route routes[ROUTES_MAX];
    struct pst_router *router;
    struct pst_server *server;
    struct loop loops[LOOPS_MAX];
};

/* ---- state ---- */

static int settings_line(const struct program *p, const struct pst_sim_settings *s, char *out,
                         size_t size)
{
    return snprintf(out, size,
                    "{\"op\":\"settings\",\"seed\":%" PRIu64 ",\"orders\":%" PRIu64
                    ",\"lines\":\"%u-%u\",\"schedules\":\"%u-%u\",\"history_us\":%" PRId64
                    ",\"odd\":%s,\"zone\":\"%s\",\"epoch_us\":%" PRId64 "}",
                    s->seed, s->orders, s->lines_min, s->lines_max, s->schedules_min,
                    s->schedules_max, s->history_us, s->odd ? "true" : "false", p->zone.name,
                    s->epoch_us);
}

/* The epoch is the file's where the options give none; all else has to be the same, or the
 * changes in the file would meet other rows. */
static pst_code adopt_settings(const struct program *p, pst_str first,
                               struct pst_sim_settings *settings, struct pst_err *err)
{
    PST_AUTO(sim_json) yyjson_doc *doc = NULL;
    char line[512];
    int64_t epoch = settings->epoch_us;
    PST_TRY(pst_sim_json_read(first, &doc, err));
    PST_TRY(
        pst_sim_json_int(yyjson_doc_get_root(doc), "epoch_us", INT64_MIN, INT64_MAX, &epoch, err));
    if (pst_config_source(p->config, PST_SIM_OPT_EPOCH) == PST_FROM_DEFAULT)
        settings->epoch_us = epoch;
    int n = settings_line(p, settings, line, sizeof(line));
    if (!pst_str_eq((pst_str){line, (size_t)n}, first))
        return PST_FAIL_AT(err, PST_E_CONFLICT, "state",
                           "the state file was made with other options: %.*s", PST_STR_ARG(first));
    return PST_OK;
}

/* Open the state file; *rest gets its operations, for when the engine is there. */
static pst_code open_state(struct program *p, struct pst_arena *arena,
                           struct pst_sim_settings *settings, pst_str *rest, struct pst_err *err)
{
    pst_str path = pst_config_str(p->config, PST_SIM_OPT_STATE);
    char line[512];
    if (path.len == 0)
        return PST_OK;
    PST_TRY(pst_sim_journal_open(&p->journal, path.ptr, arena, rest, err));
    if (rest->len)
        return adopt_settings(p, pst_str_split(rest, '\n'), settings, err);
    int n = settings_line(p, settings, line, sizeof(line));
    return pst_sim_journal_append(p->journal, (pst_str){line, (size_t)n}, err);
}

static pst_code replay(struct program *p, pst_str lines, struct pst_err *err)
{
    for (size_t number = 2; lines.len; number++) {
        pst_code rc = pst_sim_control_replay(&p->control, pst_str_split(&lines, '\n'), err);
        if (rc != PST_OK)
            return pst_err_wrap(err, "state file, line %zu", number);
    }
    return PST_OK;
}

static pst_code set_clock(struct program *p, struct pst_err *err)
{
    pst_str text = pst_config_str(p->config, PST_SIM_OPT_NOW);
    bool is_frozen = pst_config_bool(p->config, PST_SIM_OPT_FREEZE);
    pst_wall real = pst_wall_now();
    pst_wall now = real;
    if (text.len && !pst_wall_parse(&now, text))
        return PST_FAIL_AT(err, PST_E_INVALID, "now",
                           "--now must be a time like 2026-11-24T10:00:00Z");
    struct pst_sim_clock clock = {now.us - real.us, is_frozen, is_frozen ? now.us : 0};
    pst_sim_engine_set_clock(p->engine, clock);
    return PST_OK;
}

/* ---- building ---- */

static pst_code build_engine(struct program *p, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_sim_settings settings;
    pst_str lines = {0};
    PST_TRY(pst_arena_new(&arena, STATE_MAX, err));
    PST_TRY(pst_sim_zone_init(&p->zone, pst_config_str(p->config, PST_SIM_OPT_ZONE).ptr, err));
    PST_TRY(pst_sim_read_settings(p->config, pst_wall_now(), &settings, err));
    PST_TRY(open_state(p, arena, &settings, &lines, err));
    PST_TRY(pst_sim_engine_new(&p->engine, &settings, &p->zone, err));
    PST_TRY(set_clock(p, err));
    p->gateway.engine = p->engine;
    p->control.gateway = &p->gateway;
    PST_TRY(replay(p, lines, err));
    p->control.journal = p->journal;
    return PST_OK;
}

static void build_gateway(struct program *p)
{
    const struct pst_config *c = p->config;
    struct pst_sim_gateway *g = &p->gateway;
    g->node = pst_config_str(c, PST_SIM_OPT_NODE).ptr;
    g->xlat = (enum pst_sim_xlat_mode)pst_config_int(c, PST_SIM_OPT_TRANSLATE);
    g->wrong = (enum pst_sim_wrong)pst_config_int(c, PST_SIM_OPT_WRONG_PROMPTS);
    g->row_cap = (uint64_t)pst_config_int(c, PST_SIM_OPT_ROW_CAP);
    g->is_production = pst_config_bool(c, PST_SIM_OPT_PRODUCTION);
    g->answer_max = (size_t)pst_config_int(c, PST_SIM_OPT_MAX_ANSWER);
    pst_sim_account_init(&g->account, pst_config_str(c, PST_SIM_OPT_USER).ptr,
                         pst_config_str(c, PST_SIM_OPT_PASSWORD).ptr,
                         (uint64_t)pst_config_int(c, PST_SIM_OPT_LOCK_AFTER));
    pst_sim_faults_init(&g->faults, (uint64_t)pst_config_int(c, PST_SIM_OPT_SEED));
    pst_sim_faults_set_latency(&g->faults, pst_config_int(c, PST_SIM_OPT_LATENCY),
                               pst_config_int(c, PST_SIM_OPT_JITTER));
}

/* WebLogic's pages for the gateway, JSON for the control port. */
static void write_error(void *self, const struct pst_request *req, const struct pst_id *request_id,
                        const struct pst_err *err, struct pst_response *res)
{
    (void)self, (void)request_id;
    if (req && pst_str_starts(req->path, PST_STR("/sim")))
        pst_sim_control_fail(err, res);
    else
        pst_sim_fail_page(res, pst_code_http(err->code));
}

static pst_code build_server(struct program *p, struct pst_err *err)
{
    char control[PST_SIM_ADDRESS];
    const char *listen[] = {pst_config_str(p->config, PST_SIM_OPT_LISTEN).ptr, control};
    PST_TRY(pst_sim_control_address(p->config, control, err));
    size_t count = pst_sim_control_routes(&p->control, p->routes + PST_SIM_GATEWAY_ROUTES);
    pst_sim_gateway_routes(&p->gateway, p->routes);
    PST_TRY(pst_router_new(&p->router, p->routes, PST_SIM_GATEWAY_ROUTES + count, err));
    struct pst_server_options options = {
        .listen = listen,
        .listen_count = PST_COUNT(listen),
        .loops = (unsigned)pst_config_int(p->config, PST_SIM_OPT_THREADS),
        .router = p->router,
        .limits = {.response_max = p->gateway.answer_max,
                   .per_address_max = PER_ADDRESS,
                   .write_ms = WRITE_MS},
        .on_error = write_error,
    };
    return pst_server_new(&p->server, &options, err);
}

/* ---- running ---- */

static void run_loop(void *arg)
{
    struct loop *l = arg;
    struct pst_err err;
    if (pst_server_run_loop(l->server, l->index, &err) != PST_OK)
        (void)fprintf(stderr, "peoplesim: %s\n", err.msg);
}

static void tell_addresses(const struct program *p)
{
    const struct pst_sim_query *q = &pst_sim_queries[PST_SIM_PURCHASE_ORDERS];
    int port = pst_server_port(p->server, 0);
    int control = pst_server_port(p->server, 1);
    (void)printf(
        "{\"gateway\":\"http://127.0.0.1:%d\",\"control\":\"http://127.0.0.1:%d\",\"port\":%d,"
        "\"control_port\":%d,\"node\":\"%s\",\"zone\":\"%s\",\"query\":\"%s\",\"orders\":%" PRIu64
        "}\n",
        port, control, port, control, p->gateway.node, p->zone.name, q->name,
        pst_sim_engine_world(p->engine)->settings.orders);
    (void)fflush(stdout);
}

static pst_code serve(struct program *p, int signals, struct pst_err *err)
{
    unsigned loops = (unsigned)pst_config_int(p->config, PST_SIM_OPT_THREADS);
    pst_code rc = PST_OK;
    unsigned started = 0;
    for (; started < loops && rc == PST_OK; started++) {
        p->loops[started] = (struct loop){.server = p->server, .index = started};
        rc = pst_thread_start(&p->loops[started].thread, "sim-loop", run_loop, &p->loops[started],
                              err);
    }
    if (rc == PST_OK) {
        tell_addresses(p);
        while (pst_service_wait_signal(signals, -1) != PST_SIGNAL_STOP)
            continue;
    }
    pst_server_stop(p->server, STOP_MS);
    for (unsigned i = 0; i < started; i++)
        pst_thread_join(p->loops[i].thread);
    return rc;
}

static pst_code build_and_serve(struct program *p, struct pst_err *err)
{
    int signals = -1;
    PST_TRY(pst_service_signals(&signals, err));
    pst_code rc = build_engine(p, err);
    if (rc == PST_OK)
        rc = build_server(p, err);
    if (rc == PST_OK)
        rc = serve(p, signals, err);
    (void)close(signals);
    return rc;
}

static pst_code run(struct program *p, const char *const *args, size_t count, struct pst_err *err)
{
    const struct pst_config_input in = {
        .env = (const char *const *)environ, .args = args, .arg_count = count};
    PST_TRY(pst_config_load(&p->config, &pst_sim_options, &in, err));
    build_gateway(p);
    pthread_mutex_init(&p->control.lock, NULL);
    pst_code rc = build_and_serve(p, err);
    pst_server_free(p->server);
    pst_router_free(p->router);
    pst_sim_journal_free(p->journal);
    pst_sim_engine_free(p->engine);
    pst_sim_account_fini(&p->gateway.account);
    pst_sim_faults_fini(&p->gateway.faults);
    pthread_mutex_destroy(&p->control.lock);
    return rc;
}

static int show_help(void)
{
    PST_AUTO(buf) struct pst_buf help = {.max = HELP_MAX};
    pst_sim_help(&help);
    (void)fwrite(help.ptr, 1, help.len, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    const char *const *args = (const char *const *)argv + 1;
    size_t count = argc > 0 ? (size_t)argc - 1 : 0;
    struct pst_err err;
    struct program *p = NULL;
    if (pst_config_peek_flag(args, count, "help", 'h'))
        return show_help();
    /* Answers of some megabytes come and go all the time: keep their memory. */
    /* NOLINTBEGIN(concurrency-mt-unsafe): before any other thread */
    (void)mallopt(M_MMAP_THRESHOLD, 512 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
    /* NOLINTEND(concurrency-mt-unsafe) */
    pst_map_seed(pst_rand_u64());
    pst_code rc = pst_new((void **)&p, sizeof(*p), &err);
    if (rc == PST_OK)
        rc = run(p, args, count, &err);
    if (rc != PST_OK)
        (void)fprintf(stderr, "peoplesim: %s\n", err.msg);
    if (p)
        pst_config_unref(p->config);
    pst_free(p);
    return pst_code_exit(rc);
}
