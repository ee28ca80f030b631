/* What the kernel refuses about files: told with the right code, and nothing is left behind. */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "tests/unit/test.h"

static char dir[64];
static struct pst_err err;

static int set_up(void **state)
{
    (void)state;
    pst_str template = PST_STR("/tmp/pst_refuse_test_XXXXXX");
    return pst_str_copy(dir, sizeof dir, template) && mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[96];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static pst_code read_it(const char *path)
{
    PST_AUTO(arena) struct pst_arena *a = NULL;
    pst_str text;
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    return pst_file_read(a, &text, path, 1000, &err);
}

static pst_code read_into(const char *path)
{
    char bytes[10];
    size_t len = 0;
    return pst_file_read_into(bytes, sizeof bytes, &len, path, &err);
}

static pst_code write_it(const char *path)
{
    return pst_file_write(path, PST_STR("text"), 0600, &err);
}

static pst_code create(const char *path)
{
    return pst_file_create(path, PST_STR("text"), 0600, &err);
}

static pst_code make_dir(const char *path)
{
    return pst_dir_make(path, 0700, &err);
}

static pst_code sync_dir(const char *path)
{
    return pst_file_sync_dir(path, &err);
}

static pst_code look(const char *path)
{
    struct pst_file_info info;
    return pst_file_stat(path, &info, &err);
}

static pst_code is_private(const char *path)
{
    return pst_file_check_private(path, &err);
}

static pst_code space(const char *path)
{
    uint64_t bytes = 0;
    return pst_file_space(path, &bytes, &err);
}

static pst_code lock(const char *path)
{
    struct pst_lock *l = NULL;
    return pst_lock_take(&l, path, &err);
}

static pst_code move_there(const char *path)
{
    char from[96];
    (void)snprintf(from, sizeof from, "%s/file", dir);
    return pst_file_move(from, path, &err);
}

#define A16 "aaaaaaaaaaaaaaaa"
#define A256 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16

static size_t entries(void)
{
    size_t count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        count++;
    (void)closedir(d);
    return count;
}

static void a_refusal_has_its_code_and_leaves_nothing(void **state)
{
    (void)state;
    static const struct {
        pst_code (*act)(const char *path);
        const char *path; /* below the directory, or absolute */
        pst_code want;
    } cases[] = {
        {read_it, "none", PST_E_NOT_FOUND},
        {read_it, "file/below", PST_E_NOT_FOUND},
        {read_it, "sub", PST_E_IO}, /* a directory */
        {read_it, "loop", PST_E_IO},
        {read_it, A256, PST_E_IO},
        {read_into, "none", PST_E_NOT_FOUND},
        {read_into, "sub", PST_E_IO},
        {write_it, "none/file", PST_E_NOT_FOUND},
        {write_it, "sub", PST_E_IO}, /* cannot be replaced by a file */
        {write_it, A256, PST_E_IO},
        {create, "file", PST_E_CONFLICT},
        {create, "none/file", PST_E_NOT_FOUND},
        {move_there, "file", PST_E_CONFLICT},
        {move_there, "none/file", PST_E_NOT_FOUND},
        {make_dir, "file", PST_E_CONFLICT},
        {make_dir, "file/sub", PST_E_CONFLICT},
        {make_dir, "loop", PST_E_IO},
        {make_dir, "sub/" A256, PST_E_IO},
        {make_dir, "", PST_OK}, /* it is there */
        {sync_dir, "none/file", PST_E_NOT_FOUND},
        {look, A256, PST_E_IO},
        {look, "none", PST_OK}, /* it says that there is none */
        {look, "loop", PST_E_IO},
        {is_private, "none", PST_E_NOT_FOUND},
        {is_private, "loop", PST_E_IO},
        {space, "none", PST_E_NOT_FOUND},
        {lock, "none/lock", PST_E_IO},
        {lock, "sub", PST_E_IO},
        {lock, "loop", PST_E_IO},
    };
    char path[512];
    (void)snprintf(path, sizeof path, "%s/file", dir);
    assert_ok(write_it(path));
    (void)snprintf(path, sizeof path, "%s/sub/inner", dir);
    assert_ok(make_dir(path));
    (void)snprintf(path, sizeof path, "%s/loop", dir);
    assert_int_equal(symlink("loop", path), 0);
    size_t before = entries();
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, cases[i].path);
        err.msg[0] = '\0';
        pst_code rc = cases[i].act(path);
        if (rc != cases[i].want)
            fail_msg("case %zu (%s): %s: %s", i, cases[i].path, pst_code_name(rc), err.msg);
        assert_true(rc == PST_OK || err.msg[0] != '\0');
        assert_int_equal(entries(), before);
    }
    (void)snprintf(path, sizeof path, "%s/file", dir);
    assert_ok(read_into(path));
}

static void a_path_that_no_buffer_holds_is_refused(void **state)
{
    (void)state;
    static char path[PATH_MAX + 100];
    pst_code (*const acts[])(const char *) = {write_it, create, make_dir, sync_dir};
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 2] = '/';
    for (size_t i = 0; i < PST_COUNT(acts); i++)
        assert_code(acts[i](path), PST_E_INVALID);
    assert_code(make_dir(""), PST_E_INVALID);
    /* One that fits, but for what is added to it. */
    path[PATH_MAX - 10] = '\0';
    assert_code(write_it(path), PST_E_INVALID);
}

/* A disk that takes a part of the file only. */
static void a_write_that_ends_early_leaves_the_old_file(void **state)
{
    (void)state;
    static char bytes[5000];
    char path[96];
    char was[16];
    size_t len = 0;
    struct rlimit limit;
    (void)snprintf(path, sizeof path, "%s/old", dir);
    assert_ok(write_it(path));
    size_t before = entries();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit small = {1000, limit.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    pst_code rc = pst_file_write(path, (pst_str){bytes, sizeof bytes}, 0600, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(rc, PST_E_IO);
    assert_int_equal(entries(), before);
    assert_ok(pst_file_read_into(was, sizeof was, &len, path, &err));
    assert_int_equal(len, 4);
}

/* What root may and others may not; tests that run as somebody else have their own refusals. */
static void what_may_not_be_touched_is_denied(void **state)
{
    (void)state;
    char path[96];
    pst_code rc[3];
    if (geteuid() != 0)
        skip();
    (void)snprintf(path, sizeof path, "%s/secret", dir);
    assert_ok(write_it(path));
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(seteuid(12345), 0);
    rc[0] = read_it(path);
    rc[1] = write_it(path);
    rc[2] = lock(path);
    assert_int_equal(seteuid(0), 0);
    for (size_t i = 0; i < PST_COUNT(rc); i++)
        assert_int_equal(rc[i], PST_E_DENIED);
}

static void a_file_of_another_user_is_not_private(void **state)
{
    (void)state;
    char path[96];
    if (geteuid() != 0)
        skip();
    (void)snprintf(path, sizeof path, "%s/theirs", dir);
    assert_ok(write_it(path));
    assert_ok(is_private(path));
    assert_int_equal(chown(path, 12345, 12345), 0);
    assert_code(is_private(path), PST_E_DENIED);
    assert_non_null(strstr(err.msg, "another user (uid 12345)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_has_its_code_and_leaves_nothing),
        cmocka_unit_test(a_path_that_no_buffer_holds_is_refused),
        cmocka_unit_test(a_write_that_ends_early_leaves_the_old_file),
        cmocka_unit_test(what_may_not_be_touched_is_denied),
        cmocka_unit_test(a_file_of_another_user_is_not_private),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
