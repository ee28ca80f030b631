/* The sandbox: every attempt runs in a child of its own, once free and once confined, so that a
 * refusal is known to be the sandbox's. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/sandbox.h"

enum { PAGE = 4096, CHILD_BROKE = 255, NO_LANDLOCK = 254 };

struct world {
    char dir[40]; /* may be written */
    char read[40]; /* may be read */
    char out[40]; /* may not be touched */
    int open_file; /* in `out`, opened before */
};

static int set_up(void **state)
{
    static struct world w;
    char path[80];
    w = (struct world){.dir = "/tmp/pst_sandbox_w_XXXXXX",
                       .read = "/tmp/pst_sandbox_r_XXXXXX",
                       .out = "/tmp/pst_sandbox_o_XXXXXX"};
    char *const dirs[] = {w.dir, w.read, w.out};
    for (size_t i = 0; i < PST_COUNT(dirs); i++) {
        if (!mkdtemp(dirs[i]))
            return -1;
        (void)snprintf(path, sizeof(path), "%s/file", dirs[i]);
        w.open_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (w.open_file < 0 || write(w.open_file, "text", 4) != 4)
            return -1;
    }
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[200];
    (void)snprintf(command, sizeof(command), "rm -rf '%s' '%s' '%s'", w->dir, w->read, w->out);
    return system(command);
}

/* ---- attempts: 0 when it went well, else errno ---- */

typedef int attempt_fn(const struct world *w);

static int result(long rc)
{
    return rc < 0 ? errno : 0;
}

static int run_program(const struct world *w)
{
    (void)w;
    char *const args[] = {(char[]){"true"}, NULL};
    (void)execv("/bin/true", args);
    return errno;
}

static int start_process(const struct world *w)
{
    (void)w;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return result(child);
}

static int be_traced(const struct world *w)
{
    (void)w;
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int read_other_memory(const struct world *w)
{
    (void)w;
    char byte = 0;
    struct iovec here = {&byte, 1};
    struct iovec there = {&byte, 1};
    return result(process_vm_readv(getpid(), &here, 1, &there, 1, 0));
}

static int leave_name_space(const struct world *w)
{
    (void)w;
    return result(unshare(CLONE_FS));
}

static int make_code(const struct world *w)
{
    (void)w;
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? CHILD_BROKE : result(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
}

static int map_writable_code(const struct world *w)
{
    (void)w;
    void *p =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

static int make_anonymous_file(const struct world *w)
{
    (void)w;
    return result(memfd_create("x", 0));
}

static int raise_limit(const struct world *w)
{
    (void)w;
    struct rlimit limit = {0, 0};
    return result(setrlimit(RLIMIT_CORE, &limit));
}

static int become_dumpable(const struct world *w)
{
    (void)w;
    return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int change_user(const struct world *w)
{
    (void)w;
    return result(syscall(SYS_setuid, geteuid()));
}

static int signal_another(const struct world *w)
{
    (void)w;
    return result(kill(getppid(), 0));
}

static int open_odd_socket(const struct world *w)
{
    (void)w;
    int fd = socket(AF_ALG, SOCK_SEQPACKET, 0);
    return fd < 0 && errno == EAFNOSUPPORT ? 0 : result(fd); /* not every kernel has it */
}

static int type_into_terminal(const struct world *w)
{
    (void)w;
    int rc = ioctl(STDIN_FILENO, TIOCSTI, "x");
    return rc < 0 && errno != ENOSYS ? 0 : result(rc); /* no terminal: it was asked, at least */
}

static int set_up_ring(const struct world *w)
{
    (void)w;
    long rc = syscall(SYS_io_uring_setup, 0, NULL);
    return rc < 0 && errno != ENOSYS ? 0 : result(rc);
}

static int mount_something(const struct world *w)
{
    (void)w;
    long rc = syscall(SYS_mount, NULL, NULL, NULL, 0UL, NULL);
    return rc < 0 && errno != ENOSYS ? 0 : result(rc);
}

static int load_program_into_kernel(const struct world *w)
{
    (void)w;
    long rc = syscall(SYS_bpf, -1, NULL, 0);
    return rc < 0 && errno != ENOSYS ? 0 : result(rc);
}

static int use_key_ring(const struct world *w)
{
    (void)w;
    long rc = syscall(SYS_keyctl, -1L, 0, 0, 0, 0);
    return rc < 0 && errno != ENOSYS ? 0 : result(rc);
}

static int open_in(const char *dir, const char *name, int flags)
{
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return result(fd);
}

static int read_outside(const struct world *w)
{
    return open_in(w->out, "file", O_RDONLY);
}

static int list_outside(const struct world *w)
{
    return open_in(w->out, "", O_RDONLY | O_DIRECTORY);
}

static int write_outside(const struct world *w)
{
    return open_in(w->out, "file", O_WRONLY);
}

static int create_outside(const struct world *w)
{
    return open_in(w->out, "new", O_WRONLY | O_CREAT);
}

static int write_what_is_read(const struct world *w)
{
    return open_in(w->read, "file", O_WRONLY);
}

static int create_where_is_read(const struct world *w)
{
    return open_in(w->read, "new", O_WRONLY | O_CREAT);
}

static int remove_where_is_read(const struct world *w)
{
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/file", w->read);
    return result(unlink(path));
}

static int link_out(const struct world *w)
{
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/link", w->dir);
    return result(symlink("/etc/passwd", path));
}

static int listen_on_a_port(const struct world *w)
{
    (void)w;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? CHILD_BROKE : result(bind(fd, (struct sockaddr *)&at, sizeof(at)));
}

/* ---- what has to go on ---- */

static int read_readable(const struct world *w)
{
    return open_in(w->read, "file", O_RDONLY);
}

static int list_readable(const struct world *w)
{
    return open_in(w->read, "", O_RDONLY | O_DIRECTORY);
}

static int use_data_directory(const struct world *w)
{
    char from[100];
    char to[100];
    (void)snprintf(from, sizeof(from), "%s/new", w->dir);
    (void)snprintf(to, sizeof(to), "%s/newer", w->dir);
    int fd = open(from, O_RDWR | O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "text", 4) != 4 || ftruncate(fd, 2) != 0 || fsync(fd) != 0)
        return errno;
    if (fchmod(fd, 0640) != 0 || rename(from, to) != 0 || link(to, from) != 0)
        return errno;
    return result(unlink(from) | unlink(to));
}

static int write_what_was_open(const struct world *w)
{
    return result(write(w->open_file, "more", 4));
}

static void *nothing(void *arg)
{
    return arg;
}

static int start_thread(const struct world *w)
{
    (void)w;
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, nothing, NULL);
    return rc ? rc : pthread_join(thread, NULL);
}

static int look_up_name(const struct world *w)
{
    (void)w;
    struct addrinfo *found = NULL;
    int rc = getaddrinfo("localhost", "80", NULL, &found);
    if (rc == 0)
        freeaddrinfo(found);
    return rc;
}

static int signal_itself(const struct world *w)
{
    (void)w;
    return result(kill(getpid(), 0));
}

/* ---- running them ---- */

enum expected {
    CALL_REFUSED, /* ENOSYS, with the filter */
    FILE_REFUSED, /* EACCES, with Landlock */
    PORT_REFUSED, /* EACCES, with Landlock from version 4 */
    ALLOWED,
};

static const struct {
    const char *name;
    attempt_fn *run;
    enum expected expected;
} attempts[] = {
    {"run a program", run_program, CALL_REFUSED},
    {"start a process", start_process, CALL_REFUSED},
    {"be traced", be_traced, CALL_REFUSED},
    {"read another process's memory", read_other_memory, CALL_REFUSED},
    {"leave a name space", leave_name_space, CALL_REFUSED},
    {"make memory executable", make_code, CALL_REFUSED},
    {"map memory to write and execute", map_writable_code, CALL_REFUSED},
    {"make a file without a name", make_anonymous_file, CALL_REFUSED},
    {"change a limit", raise_limit, CALL_REFUSED},
    {"become dumpable again", become_dumpable, CALL_REFUSED},
    {"change the user", change_user, CALL_REFUSED},
    {"signal another process", signal_another, CALL_REFUSED},
    {"open a socket of an odd kind", open_odd_socket, CALL_REFUSED},
    {"type into the terminal", type_into_terminal, CALL_REFUSED},
    {"set up an io_uring", set_up_ring, CALL_REFUSED},
    {"mount", mount_something, CALL_REFUSED},
    {"load a program into the kernel", load_program_into_kernel, CALL_REFUSED},
    {"use the kernel's key ring", use_key_ring, CALL_REFUSED},
    {"read outside", read_outside, FILE_REFUSED},
    {"list outside", list_outside, FILE_REFUSED},
    {"write outside", write_outside, FILE_REFUSED},
    {"create outside", create_outside, FILE_REFUSED},
    {"write what may be read", write_what_is_read, FILE_REFUSED},
    {"create beside what may be read", create_where_is_read, FILE_REFUSED},
    {"make a symbolic link", link_out, CALL_REFUSED},
    {"listen on a port", listen_on_a_port, PORT_REFUSED},
    {"read what may be read", read_readable, ALLOWED},
    {"list what may be read", list_readable, ALLOWED},
    {"use the data directory", use_data_directory, ALLOWED},
    {"write a file that was open", write_what_was_open, ALLOWED},
    {"start a thread", start_thread, ALLOWED},
    {"look up a name", look_up_name, ALLOWED},
    {"signal itself", signal_itself, ALLOWED},
    {"remove what may be read", remove_where_is_read, FILE_REFUSED}, /* last: it is gone then */
};

static void enter(const struct world *w, struct pst_sandbox_state *out)
{
    const struct pst_sandbox_path paths[] = {
        {w->dir, PST_SANDBOX_WRITE}, {w->read, PST_SANDBOX_READ},
        {"/etc", PST_SANDBOX_READ},  {"/usr", PST_SANDBOX_READ},
        {"/lib", PST_SANDBOX_READ},  {"/nowhere/to/be/found", PST_SANDBOX_WRITE},
    };
    pst_sandbox_enter(paths, PST_COUNT(paths), out);
}

/* In a child; its exit status. */
static int in_child(const struct world *w, attempt_fn *attempt, bool confined)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct pst_sandbox_state state;
        if (confined)
            enter(w, &state);
        _exit(attempt(w));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static struct pst_sandbox_state kernel_offers(const struct world *w)
{
    struct pst_sandbox_state *shared =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        enter(w, shared);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    struct pst_sandbox_state state = *shared;
    (void)munmap(shared, PAGE);
    return state;
}

static void what_is_not_needed_is_refused_and_the_rest_goes_on(void **state)
{
    const struct world *w = *state;
    struct pst_sandbox_state offered = kernel_offers(w);
    for (size_t i = 0; i < PST_COUNT(attempts); i++) {
        enum expected e = attempts[i].expected;
        int wanted = e == CALL_REFUSED ? ENOSYS : EACCES;
        if (e == ALLOWED || (e == CALL_REFUSED && !offered.syscalls) ||
            (e == FILE_REFUSED && offered.landlock == 0) ||
            (e == PORT_REFUSED && offered.landlock < 4))
            wanted = 0;
        int got = in_child(w, attempts[i].run, true);
        if (got != wanted)
            fail_msg("%s: '%s' instead of '%s'", attempts[i].name, strerror(got), strerror(wanted));
    }
}

static void without_it_every_attempt_would_succeed(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < PST_COUNT(attempts); i++) {
        int got = in_child(w, attempts[i].run, false);
        if (got != 0)
            fail_msg("%s: '%s'", attempts[i].name, strerror(got));
    }
}

static void it_cannot_be_left_or_widened(void **state)
{
    const struct world *w = *state;
    struct pst_sandbox_state offered = kernel_offers(w);
    if (!offered.landlock || !offered.syscalls)
        skip();
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct pst_sandbox_state ignored;
        const struct pst_sandbox_path all[] = {{"/", PST_SANDBOX_WRITE}};
        enter(w, &ignored);
        pst_sandbox_enter(all, 1, &ignored);
        _exit(read_outside(w) == EACCES && run_program(w) == ENOSYS ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void the_state_says_what_is_in_force(void **state)
{
    struct pst_sandbox_state offered = kernel_offers(*state);
    assert_true(offered.no_new_privileges);
    assert_int_equal(offered.why[0] == '\0', pst_sandbox_is_whole(&offered));
    assert_int_equal(pst_sandbox_is_whole(&offered), offered.syscalls && offered.landlock > 0);
}

/* ---- kernels and containers that have not all of it ---- */

/* Makes a call answer as if it were not there, as an older kernel or a container's own filter. */
static void take_away(const char *name, int failure)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    if (!ctx ||
        seccomp_rule_add(ctx, SCMP_ACT_ERRNO((uint16_t)failure), seccomp_syscall_resolve_name(name),
                         0) != 0 ||
        seccomp_load(ctx) != 0)
        _exit(CHILD_BROKE);
    seccomp_release(ctx);
}

static void without_landlock_the_filter_still_holds(void **state)
{
    const struct world *w = *state;
    static const int failures[] = {ENOSYS, EOPNOTSUPP, EPERM};
    if (!kernel_offers(w).syscalls)
        skip();
    for (size_t i = 0; i < PST_COUNT(failures); i++) {
        int status = 0;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct pst_sandbox_state s;
            take_away("landlock_create_ruleset", failures[i]);
            enter(w, &s);
            bool good = s.landlock == 0 && s.syscalls && strstr(s.why, "Landlock: ") &&
                        !pst_sandbox_is_whole(&s);
            _exit(good && read_outside(w) == 0 && run_program(w) == ENOSYS ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static void without_the_filter_landlock_still_holds(void **state)
{
    const struct world *w = *state;
    struct pst_sandbox_state offered = kernel_offers(w);
    if (!offered.syscalls || !offered.landlock)
        skip();
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct pst_sandbox_state s;
        take_away("seccomp", EPERM);
        enter(w, &s);
        bool good = s.landlock > 0 && !s.syscalls && strstr(s.why, "system call filter: ");
        _exit(good && read_outside(w) == EACCES && make_anonymous_file(w) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_needed_is_refused_and_the_rest_goes_on),
        TEST(without_it_every_attempt_would_succeed),
        TEST(it_cannot_be_left_or_widened),
        TEST(the_state_says_what_is_in_force),
        TEST(without_landlock_the_filter_still_holds),
        TEST(without_the_filter_landlock_still_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
