/* tests/conformance/subject_peoplesoft.c: the peoplesoft connector and peoplesim, run as the
 * program that it is and told what to do through its control port. */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/json.h"
#include "connectors/peoplesoft/peoplesoft.h"
#include "subject.h"

#define ZONE "America/New_York"

static struct {
    pid_t pid;
    char config[256];
    char control[128]; /* base URL */
    struct pst_http *http;
    struct pst_arena *arena;
} sim;

static void die(const char *what)
{
    (void)fprintf(stderr, "peoplesim: %s\n", what);
    abort();
}

/* The answer's body, valid until the next call. */
static pst_str control(const char *method, const char *path, const char *body)
{
    struct pst_http_response response;
    struct pst_err err;
    pst_str url;
    pst_arena_reset(sim.arena);
    if (pst_arena_printf(sim.arena, &url, &err, "%s%s", sim.control, path) != PST_OK)
        die(err.msg);
    const struct pst_http_header json = {PST_STR("Content-Type"), PST_STR("application/json")};
    const struct pst_http_request request = {.method = pst_str_from(method),
                                             .url = url,
                                             .headers = &json,
                                             .header_count = 1,
                                             .body = pst_str_from(body)};
    if (pst_http_call(sim.http, &request, sim.arena, &response, &err) != PST_OK)
        die(err.msg);
    if (response.status < 200 || response.status > 299) {
        (void)fprintf(stderr, "%s %s: %d %.*s\n", path, body, response.status,
                      PST_STR_ARG(response.body));
        abort();
    }
    return response.body;
}

static int read_port(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    if (!at)
        die("its first line has no port");
    return (int)strtol(at + strlen(name), NULL, 10);
}

static void start(const char *program)
{
    static const char *const ARGS[] = {
        "peoplesim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--orders", "24",
        "--lines",   "1-3",      "--schedules", "1-3",       "--zone",      ZONE,       NULL};
    posix_spawn_file_actions_t actions;
    struct pst_err err;
    char line[1024];
    int fds[2];
    if (pipe(fds) != 0)
        die("no pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    char *args[PST_COUNT(ARGS)];
    memcpy(args, ARGS, sizeof(ARGS));
    if (posix_spawn(&sim.pid, program, &actions, NULL, args, environ) != 0)
        die("does not start");
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    FILE *out = fdopen(fds[0], "r");
    if (!out || !fgets(line, sizeof(line), out))
        die("prints no first line");
    (void)fclose(out);
    (void)snprintf(sim.config, sizeof(sim.config),
                   "{\"base_url\":\"http://127.0.0.1:%d\",\"time_zone\":\"" ZONE "\"}",
                   read_port(line, "\"port\":"));
    (void)snprintf(sim.control, sizeof(sim.control), "http://127.0.0.1:%d",
                   read_port(line, "\"control_port\":"));
    if (pst_http_new(&sim.http, &(struct pst_http_options){0}, &err) != PST_OK ||
        pst_arena_new(&sim.arena, 64 << 20, &err) != PST_OK)
        die(err.msg);
}

static void stop(void)
{
    if (sim.pid > 0) {
        kill(sim.pid, SIGTERM);
        waitpid(sim.pid, NULL, 0);
    }
    pst_http_free(sim.http);
    pst_arena_free(sim.arena);
}

static const char *config(void)
{
    return sim.config;
}

static void set_fault(enum subject_fault fault, unsigned skip)
{
    static const char *const FAULTS[FAULT_COUNT] = {
        [FAULT_REFUSED] = "\"kind\":\"401\"",
        [FAULT_REFUSED_IN_WORDS] = "\"kind\":\"ib_158_45\"",
        [FAULT_DENIED] = "\"kind\":\"403\"",
        [FAULT_NOT_FOUND] = "\"kind\":\"404\"",
        [FAULT_ERROR] = "\"kind\":\"500\"",
        [FAULT_ERROR_IN_WORDS] = "\"kind\":\"500_text\"",
        [FAULT_UNAVAILABLE] = "\"kind\":\"503\"",
        [FAULT_SIGN_ON_PAGE] = "\"kind\":\"sign_on\"",
        [FAULT_REDIRECT] = "\"kind\":\"redirect\"",
        [FAULT_RESET] = "\"kind\":\"reset\"",
        [FAULT_TRUNCATED] = "\"kind\":\"truncate\"",
        [FAULT_GARBAGE] = "\"kind\":\"garbage\"",
        [FAULT_SLOW] = "\"kind\":\"slow\",\"ms\":5000",
        [FAULT_ROW_CAP] = "\"kind\":\"row_cap\",\"rows\":3",
        [FAULT_PROMPTS_IGNORED] = "\"kind\":\"prompts_ignored\"",
        [FAULT_BAD_TEXT] = "\"kind\":\"bad_utf8\",\"row\":2",
    };
    char body[256];
    (void)snprintf(body, sizeof(body), "{%s,\"after\":%u}", FAULTS[fault], skip);
    (void)control("POST", "/sim/faults", body);
}

static void clear_faults(void)
{
    (void)control("DELETE", "/sim/faults", "");
}

static pst_wall now(void)
{
    pst_str body = control("GET", "/sim/clock", "");
    struct pst_err err;
    yyjson_doc *doc = NULL;
    pst_str text = {0};
    pst_wall t = PST_WALL_NONE;
    if (pst_json_read(body, NULL, sim.arena, &doc, &err) != PST_OK ||
        pst_json_need_str(yyjson_doc_get_root(doc), "now", &text, &err) != PST_OK ||
        !pst_wall_parse(&t, text))
        die("its clock cannot be read");
    return t;
}

static size_t count_rows(pst_str entity)
{
    static const struct {
        const char *entity, *path;
    } DUMPS[] = {
        {"suppliers", "/sim/dump?query=PST_SUPPLIERS"},
        {"items", "/sim/dump?query=PST_ITEMS"},
        {"purchase_orders", "/sim/dump?query=PST_PURCHASE_ORDERS"},
        {"work_orders", "/sim/dump?query=PST_WORK_ORDERS"},
    };
    size_t count = 0;
    for (size_t i = 0; i < PST_COUNT(DUMPS); i++) {
        if (!pst_str_is(entity, DUMPS[i].entity))
            continue;
        pst_str body = control("GET", DUMPS[i].path, "");
        for (size_t k = 0; k < body.len; k++)
            count += body.ptr[k] == '\n';
    }
    return count;
}

const struct subject SUBJECT_PEOPLESOFT = {
    .ops = &pst_peoplesoft_ops,
    .zone = ZONE,
    .credentials = "{\"username\":\"PSAPI\",\"password\":\"penstock\"}",
    .wrong_credentials = "{\"username\":\"PSAPI\",\"password\":\"pennstock\"}",
    .start = start,
    .stop = stop,
    .config = config,
    .set_fault = set_fault,
    .clear_faults = clear_faults,
    .now = now,
    .count_rows = count_rows,
    .expected =
        {
            [FAULT_REFUSED] = PST_E_REAUTH,
            [FAULT_REFUSED_IN_WORDS] = PST_E_REAUTH,
            [FAULT_DENIED] = PST_E_SYSTEM_DENIED,
            [FAULT_NOT_FOUND] = PST_E_SYSTEM,
            [FAULT_ERROR] = PST_E_SYSTEM,
            [FAULT_ERROR_IN_WORDS] = PST_E_SYSTEM,
            [FAULT_UNAVAILABLE] = PST_E_UNREACHABLE,
            [FAULT_SIGN_ON_PAGE] = PST_E_FOREIGN_PAGE,
            [FAULT_REDIRECT] = PST_E_FOREIGN_PAGE,
            [FAULT_RESET] = PST_E_UNREACHABLE,
            [FAULT_TRUNCATED] = PST_E_UNREACHABLE,
            [FAULT_GARBAGE] = PST_E_SYSTEM,
            [FAULT_PROMPTS_IGNORED] = PST_E_SYSTEM,
        },
};
