/* Signals as events, word to the service manager, protected memory. */
#include "tests/unit/test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/service.h"

static void signals_arrive_as_events(void **state)
{
    (void)state;
    static const struct {
        int sig;
        enum pst_signal expected;
    } rows[] = {{SIGTERM, PST_SIGNAL_STOP}, {SIGINT, PST_SIGNAL_STOP}, {SIGHUP, PST_SIGNAL_RELOAD}};
    struct pst_err err;
    int fd = -1;
    assert_ok(pst_service_signals(&fd, &err));
    assert_int_equal(pst_service_wait_signal(fd, 0), PST_SIGNAL_NONE);
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        assert_int_equal(kill(getpid(), rows[i].sig), 0);
        assert_int_equal(pst_service_wait_signal(fd, 1000), rows[i].expected);
    }
    assert_int_equal(pst_service_wait_signal(fd, 5), PST_SIGNAL_NONE);
    assert_int_equal(kill(getpid(), SIGPIPE), 0); /* ignored */
    (void)close(fd);
}

static void assert_notifies(int fd, enum pst_notify what, const char *status, const char *expected)
{
    char text[512] = "";
    pst_service_notify(what, status);
    ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    text[n] = '\0';
    assert_memory_equal(text, expected, strlen(expected));
}

static void the_service_manager_is_told(void **state)
{
    (void)state;
    enum { PATH_AND_ABSTRACT = 2 };
    for (size_t i = 0; i < PATH_AND_ABSTRACT; i++) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        char name[64];
        int n = i == 0 ? snprintf(name, sizeof(name), "/tmp/pst_notify_%ld", (long)getpid())
                       : snprintf(name, sizeof(name), "@pst_notify_%ld", (long)getpid());
        memcpy(at.sun_path, name, (size_t)n);
        (void)unlink(name); /* of a process before that had this number and was killed */
        if (name[0] == '@')
            at.sun_path[0] = '\0';
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
        assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
        assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
        assert_notifies(fd, PST_NOTIFY_READY, NULL, "READY=1");
        assert_notifies(fd, PST_NOTIFY_READY, "up", "READY=1\nSTATUS=up");
        assert_notifies(fd, PST_NOTIFY_RELOADING, NULL, "RELOADING=1\nMONOTONIC_USEC=");
        assert_notifies(fd, PST_NOTIFY_STOPPING, NULL, "STOPPING=1");
        assert_notifies(fd, PST_NOTIFY_STATUS, "3 syncs", "STATUS=3 syncs");
        (void)close(fd);
        if (name[0] == '/')
            (void)unlink(name);
    }
    /* Nobody listens, no variable, a senseless one: nothing happens. */
    pst_service_notify(PST_NOTIFY_READY, NULL);
    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    pst_service_notify(PST_NOTIFY_READY, NULL);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    pst_service_notify(PST_NOTIFY_READY, NULL);
}

static void the_process_leaves_no_core(void **state)
{
    (void)state;
    struct pst_err err;
    struct rlimit limit;
    assert_ok(pst_service_protect_memory(&err));
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_cur, 0);
    assert_int_equal(limit.rlim_max, 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
}

static void descriptors_are_raised_up_to_the_hard_limit(void **state)
{
    (void)state;
    struct rlimit before;
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {.rlim_cur = 100, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(pst_service_raise_files(99), 100);
    assert_int_equal(pst_service_raise_files(101), 101);
    assert_int_equal(pst_service_raise_files(UINT64_MAX), before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void a_log_line_goes_to_standard_error(void **state)
{
    (void)state;
    int ends[2];
    char text[512] = "";
    int saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    pst_log_init(pst_service_log_sink(), PST_LOG_INFO);
    PST_LOG(PST_LOG_DEBUG, "not shown");
    PST_LOG(PST_LOG_WARN, "shown", PST_F_INT("n", 7));
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    assert_null(strstr(text, "not shown"));
    assert_non_null(strstr(text, "\"level\":\"warn\",\"msg\":\"shown\",\"n\":7}\n"));
    assert_non_null(strstr(text, "\"ts\":\"20"));
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_arrive_as_events),
        cmocka_unit_test(the_service_manager_is_told),
        cmocka_unit_test(a_log_line_goes_to_standard_error),
        cmocka_unit_test(the_process_leaves_no_core),
        cmocka_unit_test(descriptors_are_raised_up_to_the_hard_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
