/* tests/unit/http/tls_test.c: certificates that are trusted and that are not, against openssl's
 * own test server with a certificate made here. */
#include "../test.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "crypto/crypto.h"
#include "http/http.h"
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

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK || pst_http_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_trusted_certificates_of_that_host_are_taken),
        cmocka_unit_test(plain_http_behind_https_is_a_tls_fault),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
