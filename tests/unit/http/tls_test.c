/* tests/unit/http/tls_test.c: certificates that are trusted and that are not, against openssl's
 * own test server with a certificate made here. */
#include "../test.h"

#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "os/clock.h"
#include "os/file.h"
#include "peer.h"

static char dir[] = "/tmp/pst-tls-XXXXXX";
static char key_path[64], cert_path[64];
static struct pst_arena *arena;
static pst_str cert_pem;

static pid_t spawn(const char *const args[], int out)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", 0, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", 1, 0);
    if (out >= 0)
        posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (posix_spawnp(&pid, args[0], &actions, NULL, (char *const *)(uintptr_t)args, environ) != 0)
        fail_msg("'%s' does not start", args[0]);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static int make_certificate(void **state)
{
    (void)state;
    struct pst_err err;
    int status = 0;
    if (!mkdtemp(dir) || pst_arena_new(&arena, 4 << 20, &err) != PST_OK)
        return -1;
    (void)snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
    (void)snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", dir);
    const char *const args[] = {"openssl",
                                "req",
                                "-x509",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:prime256v1",
                                "-nodes",
                                "-days",
                                "2",
                                "-subj",
                                "/CN=localhost",
                                "-addext",
                                "subjectAltName=DNS:localhost",
                                "-keyout",
                                key_path,
                                "-out",
                                cert_path,
                                NULL};
    waitpid(spawn(args, -1), &status, 0);
    return status == 0 && pst_file_read(arena, &cert_pem, cert_path, 65536, &err) == PST_OK ? 0
                                                                                            : -1;
}

static int remove_certificate(void **state)
{
    (void)state;
    pst_arena_free(arena);
    unlink(key_path);
    unlink(cert_path);
    (void)snprintf(cert_path, sizeof(cert_path), "%s/nginx.conf", dir);
    unlink(cert_path);
    return rmdir(dir);
}

/* Returns its port. version: "-tls1_2", ... */
static int start_server(const char *version, pid_t *pid)
{
    char line[128] = "";
    int fds[2];
    int port = 0;
    const char *const args[] = {"openssl",  "s_server", "-accept", "127.0.0.1:0", "-www",
                                "-cert",    cert_path,  "-key",    key_path,      version,
                                "-naccept", "8",        NULL};
    assert_int_equal(pipe(fds), 0);
    *pid = spawn(args, fds[1]);
    close(fds[1]);
    FILE *out = fdopen(fds[0], "r");
    assert_non_null(out);
    while (port == 0 && fgets(line, sizeof(line), out)) {
        const char *colon = strrchr(line, ':');
        if (strncmp(line, "ACCEPT ", 7) == 0 && colon)
            port = (int)strtol(colon + 1, NULL, 10);
    }
    (void)fclose(out);
    assert_true(port > 0);
    return port;
}

static const struct {
    const char *what;
    const char *version;
    const char *host;
    bool is_trusted, is_unverified;
    pst_code code;
    const char *says;
} CASES[] = {
    {"a certificate of one's own", "-tls1_2", "localhost", false, false, PST_E_UNREACHABLE, "self"},
    {"the same, given as authority", "-tls1_2", "localhost", true, false, PST_OK, ""},
    {"the same over TLS 1.3", "-tls1_3", "localhost", true, false, PST_OK, ""},
    {"another host's name", "-tls1_2", "127.0.0.1", true, false, PST_E_UNREACHABLE, "127.0.0.1"},
    {"checks switched off", "-tls1_2", "127.0.0.1", false, true, PST_OK, ""},
    {"an old protocol", "-tls1_1", "localhost", true, false, PST_E_UNREACHABLE, "TLS"},
};

static void only_trusted_certificates_of_that_host_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct pst_http *http = NULL;
        struct pst_http_response response;
        struct pst_err err = {0};
        char url[64];
        pid_t pid = 0;
        int port = start_server(CASES[i].version, &pid);
        (void)snprintf(url, sizeof(url), "https://%s:%d/", CASES[i].host, port);
        assert_ok(pst_http_new(&http, &(struct pst_http_options){0}, &err));
        const struct pst_http_request request = {.url = pst_str_from(url),
                                                 .ca_pem =
                                                     CASES[i].is_trusted ? cert_pem : (pst_str){0},
                                                 .is_unverified = CASES[i].is_unverified};
        pst_code code = pst_http_call(http, &request, arena, &response, &err);
        if (code != CASES[i].code ||
            response.fault != (code == PST_OK ? PST_FAULT_NONE : PST_FAULT_TLS) ||
            !strstr(err.msg, CASES[i].says))
            fail_msg("%s: %s, fault %s: %s", CASES[i].what, pst_code_name(code),
                     pst_http_fault_name(response.fault), err.msg);
        assert_true(code != PST_OK || response.timing.tls_us > 0);
        pst_http_free(http);
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
}

static void plain_http_behind_https_is_a_tls_fault(void **state)
{
    (void)state;
    static const struct peer_answer A[] = {
        {.bytes = "HTTP/1.1 400 Bad Request\r\n\r\n", .end = PEER_CLOSE}};
    struct peer p;
    struct pst_http *http = NULL;
    struct pst_http_response response;
    struct pst_err err;
    char url[64];
    peer_start(&p, A, 1);
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/", (unsigned)p.port);
    assert_ok(pst_http_new(&http, &(struct pst_http_options){0}, &err));
    const struct pst_http_request request = {.url = pst_str_from(url), .limits.connect_ms = 1000};
    pst_code code = pst_http_call(http, &request, arena, &response, &err);
    /* The peer waits for the end of a request that never comes: silence, or a TLS error. */
    assert_true(code == PST_E_UNREACHABLE || code == PST_E_TIMEOUT);
    assert_int_equal(response.status, 0);
    pst_http_free(http);
    peer_stop(&p);
}

/* ---- the fleet: against nginx, which speaks HTTP/2 ---- */

static int free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    close(fd);
    return ntohs(in.sin_port);
}

static bool answers(int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool yes = connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0;
    close(fd);
    return yes;
}

/* Answers with the protocol and the number of the connection's request. 0: there is no nginx. */
static pid_t start_nginx(int port, const char *protocols)
{
    struct pst_err err;
    char config[128], text[2000];
    const char *const binaries[] = {"/usr/sbin/nginx", "/usr/local/sbin/nginx"};
    const char *binary = binaries[access(binaries[0], X_OK) != 0];
    if (access(binary, X_OK) != 0)
        return 0;
    (void)snprintf(config, sizeof(config), "%s/nginx.conf", dir);
    int len =
        snprintf(text, sizeof(text),
                 "daemon off; master_process off; pid %s/nginx.pid; error_log stderr;\n"
                 "events { worker_connections 64; }\n"
                 "http { access_log off; client_body_temp_path %s; proxy_temp_path %s;"
                 " fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;\n"
                 " server { listen 127.0.0.1:%d %s; ssl_certificate %s; ssl_certificate_key %s;\n"
                 "  location / { return 200 \"$server_protocol $connection_requests\"; } } }\n",
                 dir, dir, dir, dir, dir, dir, port, protocols, cert_path, key_path);
    assert_ok(pst_file_write(config, (pst_str){text, (size_t)len}, 0600, &err));
    const char *const args[] = {binary, "-e", "stderr", "-p", dir, "-c", config, NULL};
    pid_t pid = spawn(args, -1);
    for (int i = 0; !answers(port); i++) {
        if (i == 10000 || waitpid(pid, NULL, WNOHANG) != 0)
            fail_msg("nginx does not answer");
        pst_sleep_ms(1);
    }
    return pid;
}

struct outcome {
    int calls, status;
    enum pst_http_fault fault;
    char body[64];
};

static void note(void *self, const struct pst_fleet_answer *a)
{
    struct outcome *o = self;
    o->calls++;
    o->status = a->status;
    o->fault = a->fault;
    (void)snprintf(o->body, sizeof(o->body), "%.*s", PST_STR_ARG(a->body));
}

static struct outcome post(struct pst_fleet *f, const char *host, int port)
{
    struct pst_err err;
    struct outcome o = {0};
    char url[64];
    (void)snprintf(url, sizeof(url), "https://%s:%d/", host, port);
    const struct pst_fleet_request q = {.url = pst_str_from(url),
                                        .body = PST_STR("{}"),
                                        .timeout_ms = 20000,
                                        .done = note,
                                        .self = &o};
    assert_ok(pst_fleet_add(f, &q, &err));
    while (o.calls == 0)
        assert_ok(pst_fleet_run(f, 100, &err));
    return o;
}

static void a_fleet_speaks_tls_and_http_2(void **state)
{
    (void)state;
    static const struct {
        const char *protocols, *first, *second;
    } rows[] = {
        {"ssl", "HTTP/1.1 1", "HTTP/1.1 2"},
        {"ssl http2", "HTTP/2.0 1", "HTTP/2.0 2"}, /* by ALPN */
    };
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        struct pst_err err;
        int port = free_port();
        pid_t pid = start_nginx(port, rows[i].protocols);
        if (pid == 0)
            skip();
        PST_AUTO(fleet) struct pst_fleet *own = NULL;
        PST_AUTO(fleet) struct pst_fleet *systems = NULL;
        assert_ok(
            pst_fleet_new(&own, &(struct pst_fleet_options){.http.ca_file = cert_path}, &err));
        assert_ok(pst_fleet_new(&systems, &(struct pst_fleet_options){0}, &err));
        struct outcome o = post(own, "localhost", port);
        assert_int_equal(o.status, 200);
        assert_string_equal(o.body, rows[i].first);
        o = post(own, "localhost", port); /* on the same connection */
        assert_string_equal(o.body, rows[i].second);
        assert_int_equal(post(own, "127.0.0.1", port).fault, PST_FAULT_TLS); /* another name */
        assert_int_equal(post(systems, "localhost", port).fault, PST_FAULT_TLS);
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK || pst_http_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_trusted_certificates_of_that_host_are_taken),
        cmocka_unit_test(plain_http_behind_https_is_a_tls_fault),
        cmocka_unit_test(a_fleet_speaks_tls_and_http_2),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
