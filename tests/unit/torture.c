/* tests/unit/torture.c: the tests of a program; and each of them again and again with another
 * allocation failing.
 *
 *   PST_TORTURE=12 some_test          at most 12 failing allocations per test, spread over all
 *   PST_TORTURE=1 PST_TORTURE_TEST=name PST_TORTURE_AT=34 some_test       one of them, told
 *
 * A test that fails because there is no memory is fine. What is not: a signal, an abort that is
 * not cmocka's own, a sanitizer's report, no end within a minute, memory still held after a test
 * that did not fail, and memory that nothing points to any more when a test fails. The last is
 * looked at in builds with ASan only, at the moment of the failure: what the test's own frames hold
 * is lost by cmocka's jump out of them, which is nobody's mistake. Each run is a process of its
 * own. Only allocations of the test's own thread fail.
 *
 * Not tried, and listed: tests that do not pass alone, and those that make faults of their own. */
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

enum { SECONDS = 60, OUTPUT = 1 << 16, FAR = INT32_MAX, BROKEN = 90, FRAMES = 32 };

/* Of the sanitizer's, where the build has it: prints what nothing points to. */
__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

static bool is_tortured; /* in the process of one run */
static const char own_abort[] = "\nABORT: cmocka's own\n";

struct run {
    long allocations; /* asked for; -1: the test makes faults of its own */
    long held; /* more than before */
    int failed; /* tests */
    bool was_met;
};

struct group {
    const char *name;
    CMFixtureFunction set_up, tear_down;
};

/* cmocka's assertions come through here, as its library calls it by name. */
void _fail(const char *const file, const int line)
{
    void (*cmockas)(const char *, int) = NULL;
    *(void **)&cmockas = dlsym(RTLD_NEXT, "_fail");
    if (is_tortured && __lsan_do_recoverable_leak_check) {
        is_tortured = false; /* once: what is lost by jumps is not looked at */
        pst_alloc_fail_at(-1);
        (void)__lsan_do_recoverable_leak_check();
    }
    if (!cmockas)
        abort();
    cmockas(file, line);
    __builtin_unreachable();
}

/* Who called abort()? The frame behind it says so. */
static void tell_abort(int number)
{
    void *frames[FRAMES];
    Dl_info info;
    int count = backtrace(frames, FRAMES);
    (void)number;
    for (int i = 0; i + 1 < count; i++) {
        if (!dladdr(frames[i], &info) || !info.dli_sname || strcmp(info.dli_sname, "abort") != 0)
            continue;
        if (dladdr(frames[i + 1], &info) && info.dli_fname && strstr(info.dli_fname, "libcmocka"))
            (void)!write(STDERR_FILENO, own_abort, sizeof(own_abort) - 1);
        break;
    }
    (void)signal(SIGABRT, SIG_DFL); /* abort() goes on with it */
}

static void run_here(const struct group *g, const struct CMUnitTest *test, long at, struct run *r)
{
    int64_t before = pst_alloc_live();
    pst_alloc_fail_at(at);
    r->failed = _cmocka_run_group_tests(test->name, test, 1, g->set_up, g->tear_down);
    long left = pst_alloc_fail_left();
    r->was_met = pst_alloc_failed();
    r->allocations = at == FAR && left >= 0 ? FAR - left : -1;
    r->held = (long)(pst_alloc_live() - before);
    pst_alloc_fail_at(-1);
}

static const char *find_report(const char *output)
{
    static const char *const words[] = {"Test failed with exception",
                                        "Sanitizer",
                                        "runtime error:",
                                        "free(): ",
                                        "malloc(): ",
                                        "realloc(): ",
                                        "corrupted",
                                        "stack smashing"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strstr(output, words[i]))
            return words[i];
    return NULL;
}

/* false and *why: something happened that must not. */
static bool run_apart(const struct group *g, const struct CMUnitTest *test, long at, struct run *r,
                      const char **why)
{
    static char output[OUTPUT];
    int ends[2];
    FILE *out = tmpfile();
    if (!out || pipe(ends) != 0)
        exit(BROKEN);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fileno(out), STDOUT_FILENO);
        (void)dup2(fileno(out), STDERR_FILENO);
        (void)alarm(SECONDS);
        void *one[1];
        (void)backtrace(one, 1); /* its library is loaded now, while there is memory */
        (void)signal(SIGABRT, tell_abort);
        is_tortured = true;
        run_here(g, test, at, r);
        (void)fflush(NULL);
        _exit(write(ends[1], r, sizeof(*r)) == sizeof(*r) ? 0 : BROKEN);
    }
    (void)close(ends[1]);
    bool told = read(ends[0], r, sizeof(*r)) == sizeof(*r);
    (void)close(ends[0]);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    rewind(out);
    output[fread(output, 1, sizeof(output) - 1, out)] = '\0';
    (void)fclose(out);
    *why = find_report(output);
    /* An assertion that fails outside the test's own frames (a fixture of the group, a thread)
     * ends cmocka by abort or exit(-1). */
    bool is_assertion =
        (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(output, own_abort)) ||
        (WIFEXITED(status) && WEXITSTATUS(status) == 255);
    if (is_assertion)
        r->failed = 1;
    else if (!*why && WIFSIGNALED(status))
        *why = WTERMSIG(status) == SIGALRM ? "it does not end" : strsignal(WTERMSIG(status));
    else if (!*why && !told)
        *why = "it ended early";
    if (*why && getenv("PST_TORTURE_AT"))
        (void)printf("%s", output);
    return !*why;
}

struct sum {
    long runs, met, bad;
    long skipped; /* tests */
};

static void pass_over(const struct CMUnitTest *test, const char *why, struct sum *s)
{
    s->skipped++;
    (void)printf("NOT TRIED %s: %s\n", test->name, why);
}

static void complain(const struct CMUnitTest *test, long at, const char *why, struct sum *s)
{
    s->bad++;
    (void)printf("TORTURE %s, allocation %ld: %s\n", test->name, at, why);
}

static void torture(const struct group *g, const struct CMUnitTest *test, long points,
                    struct sum *s)
{
    struct run clean = {0};
    const char *why = NULL;
    if (!run_apart(g, test, FAR, &clean, &why) || clean.failed) {
        pass_over(test, "it does not pass in a process of its own", s);
        return;
    }
    if (clean.allocations < 0) {
        pass_over(test, "it makes faults of its own", s);
        return;
    }
    if (clean.allocations < points)
        points = clean.allocations;
    for (long i = 0; i < points; i++) {
        struct run r = {0};
        long at = i * clean.allocations / points;
        s->runs++;
        if (!run_apart(g, test, at, &r, &why))
            complain(test, at, why, s);
        else if (!r.failed && r.held > clean.held)
            complain(test, at, "memory is held after a test that did not fail", s);
        s->met += r.was_met;
    }
}

static int torture_one(const struct group *g, const struct CMUnitTest *tests, size_t count,
                       const char *name, const char *at)
{
    for (size_t i = 0; i < count; i++) {
        struct run r = {0};
        const char *why = NULL;
        if (strcmp(tests[i].name, name) == 0 &&
            !run_apart(g, &tests[i], strtol(at, NULL, 10), &r, &why))
            (void)printf("\n%s\n", why);
        if (strcmp(tests[i].name, name) == 0)
            (void)printf("failed %d, held %ld\n", r.failed, r.held);
    }
    return 0;
}

int pst_test_run_group(const char *name, const struct CMUnitTest *tests, size_t count,
                       CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
    const char *points = getenv("PST_TORTURE");
    const char *only = getenv("PST_TORTURE_TEST");
    const char *at = getenv("PST_TORTURE_AT");
    const struct group g = {name, set_up, tear_down};
    struct sum s = {0};
    if (!points)
        return _cmocka_run_group_tests(name, tests, count, set_up, tear_down);
    if (only && at)
        return torture_one(&g, tests, count, only, at);
    for (size_t i = 0; i < count; i++)
        torture(&g, &tests[i], strtol(points, NULL, 10), &s);
    (void)printf("TORTURED %zu tests, %ld runs, %ld faults met, %ld bad, %ld not tried\n", count,
                 s.runs, s.met, s.bad, s.skipped);
    return s.bad > 0;
}
