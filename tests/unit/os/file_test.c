/* Files, directories, permissions and locks. */
#include "tests/unit/test.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"

struct world {
    char dir[64];
    char path[128];
    struct pst_arena *arena;
};

static int set_up(void **state)
{
    static struct world w;
    struct pst_err err;
    w = (struct world){.dir = "/tmp/pst_file_test_XXXXXX"};
    if (!mkdtemp(w.dir) || pst_arena_new(&w.arena, 1 << 20, &err) != PST_OK)
        return -1;
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];
    pst_arena_free(w->arena);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    return system(command);
}

static const char *in_dir(struct world *w, const char *name)
{
    (void)snprintf(w->path, sizeof(w->path), "%s/%s", w->dir, name);
    return w->path;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void what_is_written_is_read_back_with_its_exact_mode(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_str text = {0};
    const char *path = in_dir(w, "a");
    mode_t before = umask(0077);
    assert_ok(pst_file_write(path, PST_STR("one\0two"), 0644, &err));
    (void)umask(before);
    assert_int_equal(mode_of(path), 0644);
    assert_ok(pst_file_read(w->arena, &text, path, 100, &err));
    assert_true(pst_str_eq(text, PST_STR("one\0two")));
    assert_ok(pst_file_write(path, PST_STR(""), 0600, &err));
    assert_ok(pst_file_read(w->arena, &text, path, 100, &err));
    assert_int_equal(text.len, 0);
    assert_int_equal(mode_of(path), 0600);
}

static void a_replaced_file_leaves_no_temporary_behind(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    char command[160];
    assert_ok(pst_file_write(in_dir(w, "a"), PST_STR("1"), 0600, &err));
    assert_ok(pst_file_write(in_dir(w, "a"), PST_STR("2"), 0600, &err));
    assert_code(pst_file_create(in_dir(w, "a"), PST_STR("3"), 0600, &err), PST_E_CONFLICT);
    assert_code(pst_file_write(in_dir(w, "none/a"), PST_STR("3"), 0600, &err), PST_E_NOT_FOUND);
    (void)snprintf(command, sizeof(command), "test \"$(ls -A '%s')\" = a", w->dir);
    assert_int_equal(system(command), 0);
    pst_str text = {0};
    assert_ok(pst_file_read(w->arena, &text, in_dir(w, "a"), 1, &err));
    assert_str(text, "2");
}

static void a_file_of_exactly_the_limit_is_read_and_one_more_byte_is_not(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    char bytes[9000];
    pst_str text = {0};
    size_t len = 0;
    memset(bytes, 'x', sizeof(bytes));
    const char *path = in_dir(w, "big");
    assert_ok(pst_file_write(path, (pst_str){bytes, sizeof(bytes)}, 0600, &err));
    assert_ok(pst_file_read(w->arena, &text, path, sizeof(bytes), &err));
    assert_int_equal(text.len, sizeof(bytes));
    assert_code(pst_file_read(w->arena, &text, path, sizeof(bytes) - 1, &err), PST_E_LIMIT);
    assert_ok(pst_file_read_into(bytes, sizeof(bytes), &len, path, &err));
    assert_int_equal(len, sizeof(bytes));
    assert_code(pst_file_read_into(bytes, sizeof(bytes) - 1, &len, path, &err), PST_E_LIMIT);
    assert_int_equal(bytes[0], 0); /* wiped */
}

static void a_file_whose_size_is_not_known_is_read_whole(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    pst_str text = {0};
    /* Files of /proc say that they have 0 bytes. */
    assert_ok(pst_file_read(w->arena, &text, "/proc/self/status", 1 << 16, &err));
    assert_true(text.len > 500);
    assert_code(pst_file_read(w->arena, &text, "/proc/self/status", 10, &err), PST_E_LIMIT);
    assert_code(pst_file_read(w->arena, &text, in_dir(w, "none"), 10, &err), PST_E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "none"));
}

static void directories_are_made_with_their_parents(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    assert_ok(pst_dir_make(in_dir(w, "x/y/z"), 0700, &err));
    assert_int_equal(mode_of(in_dir(w, "x/y")), 0700);
    assert_ok(pst_dir_make(in_dir(w, "x/y/z/"), 0755, &err)); /* exists: stays as it is */
    assert_int_equal(mode_of(in_dir(w, "x/y/z")), 0700);
    assert_ok(pst_file_write(in_dir(w, "f"), PST_STR(""), 0600, &err));
    assert_code(pst_dir_make(in_dir(w, "f"), 0700, &err), PST_E_CONFLICT);
    assert_code(pst_dir_make(in_dir(w, "f/g"), 0700, &err), PST_E_CONFLICT);
    assert_code(pst_dir_make("", 0700, &err), PST_E_INVALID);
}

static void a_file_that_others_may_read_is_not_private(void **state)
{
    static const struct {
        unsigned mode;
        bool is_private;
    } rows[] = {{0600, true},  {0400, true},  {0700, true}, {0640, false},
                {0604, false}, {0601, false}, {0610, false}};
    struct world *w = *state;
    struct pst_err err;
    const char *path = in_dir(w, "key");
    assert_code(pst_file_check_private(path, &err), PST_E_NOT_FOUND);
    for (size_t i = 0; i < PST_COUNT(rows); i++) {
        struct pst_file_info info;
        assert_ok(pst_file_write(path, PST_STR("k"), rows[i].mode, &err));
        assert_ok(pst_file_stat(path, &info, &err));
        assert_int_equal(info.is_private, rows[i].is_private);
        assert_int_equal(info.mode, rows[i].mode);
        pst_code rc = pst_file_check_private(path, &err);
        assert_int_equal(rc, rows[i].is_private ? PST_OK : PST_E_DENIED);
        if (rc != PST_OK)
            assert_non_null(strstr(err.msg, "chmod 600"));
    }
}

static void a_lock_excludes_others_until_it_is_released(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    PST_AUTO(lock) struct pst_lock *first = NULL;
    struct pst_lock *second = NULL;
    char pid[24];
    const char *path = in_dir(w, "lock");
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_ok(pst_lock_take(&first, path, &err));
    assert_int_equal(mode_of(path), 0600);
    assert_code(pst_lock_take(&second, path, &err), PST_E_CONFLICT);
    assert_non_null(strstr(err.msg, pid));
    pst_lock_free(PST_TAKE(first));
    assert_ok(pst_lock_take(&second, path, &err));
    pst_lock_free(second);
}

static void a_lock_ends_with_its_process(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    struct pst_lock *lock = NULL;
    const char *path = in_dir(w, "lock");
    pid_t child = fork();
    if (child == 0)
        _exit(pst_lock_take(&lock, path, &err) == PST_OK ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_ok(pst_lock_take(&lock, path, &err));
    pst_lock_free(lock);
}

static void reading_survives_every_failing_allocation(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    int64_t live = pst_alloc_live();
    assert_ok(pst_file_write(in_dir(w, "a"), PST_STR("text"), 0600, &err));
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(arena) struct pst_arena *a = NULL;
        PST_AUTO(lock) struct pst_lock *lock = NULL;
        pst_str text = {0};
        pst_code rc = pst_arena_new(&a, 1 << 16, &err);
        if (rc == PST_OK)
            rc = pst_file_read(a, &text, in_dir(w, "a"), 100, &err);
        if (rc == PST_OK)
            rc = pst_lock_take(&lock, in_dir(w, "lock"), &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
    }
    assert_int_equal(pst_alloc_live(), live);
}

static void free_space_is_known(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    uint64_t bytes = 0;
    assert_ok(pst_file_space(w->dir, &bytes, &err));
    assert_true(bytes > 0);
    assert_code(pst_file_space(in_dir(w, "none"), &bytes, &err), PST_E_NOT_FOUND);
    assert_true(pst_file_exists(w->dir));
    assert_false(pst_file_exists(in_dir(w, "none")));
}

/* From `from` to `to`, both made anew; a file of a size that no single call copies. */
static void assert_moves(const char *from, const char *to)
{
    enum { BYTES = (1 << 24) + 4097 };
    struct pst_err err;
    pst_str text = {0};
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    char *bytes = NULL;
    assert_ok(pst_arena_new(&arena, 4 * BYTES, &err));
    assert_ok(pst_arena_alloc(arena, &bytes, BYTES, &err));
    memset(bytes, 'x', BYTES);
    assert_ok(pst_file_write(from, (pst_str){bytes, BYTES}, 0600, &err));
    assert_ok(pst_file_move(from, to, &err));
    assert_false(pst_file_exists(from));
    assert_ok(pst_file_read(arena, &text, to, BYTES, &err));
    assert_true(pst_str_eq(text, (pst_str){bytes, BYTES}));
    assert_int_equal(mode_of(to), 0600);
    assert_ok(pst_file_write(from, PST_STR("new"), 0600, &err));
    assert_code(pst_file_move(from, to, &err), PST_E_CONFLICT);
    assert_true(pst_file_exists(from));
    assert_int_equal(unlink(to), 0);
}

static void a_file_is_moved_also_to_another_file_system_and_replaces_nothing(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    char from[160];
    char there[] = "/dev/shm/pst_file_test_XXXXXX";
    char to[160];
    (void)snprintf(from, sizeof(from), "%s/from", w->dir);
    (void)snprintf(to, sizeof(to), "%s/to", w->dir);
    assert_moves(from, to);
    assert_code(pst_file_move(in_dir(w, "none"), to, &err), PST_E_NOT_FOUND);
    (void)snprintf(to, sizeof(to), "%s/nowhere/to", w->dir);
    assert_code(pst_file_move(from, to, &err), PST_E_NOT_FOUND);
    if (mkdtemp(there)) { /* a memory file system nearly everywhere */
        (void)snprintf(to, sizeof(to), "%s/to", there);
        assert_moves(from, to);
        assert_int_equal(rmdir(there), 0); /* nothing else is left there */
    }
}

static void only_files_with_the_prefix_are_swept(void **state)
{
    struct world *w = *state;
    struct pst_err err;
    static const char *const names[] = {"copy", "left-1.db", "left-2.db.part", "le", "xleft-3"};
    for (size_t i = 0; i < PST_COUNT(names); i++)
        assert_ok(pst_file_write(in_dir(w, names[i]), PST_STR("x"), 0600, &err));
    assert_ok(pst_dir_make(in_dir(w, "left-directory"), 0700, &err));
    assert_ok(pst_dir_sweep(w->dir, "left-", &err));
    for (size_t i = 0; i < PST_COUNT(names); i++)
        assert_int_equal(pst_file_exists(in_dir(w, names[i])), strncmp(names[i], "left-", 5) != 0);
    assert_true(pst_file_exists(in_dir(w, "left-directory")));
    assert_code(pst_dir_sweep(in_dir(w, "none"), "left-", &err), PST_E_NOT_FOUND);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read_back_with_its_exact_mode),
        TEST(a_replaced_file_leaves_no_temporary_behind),
        TEST(a_file_of_exactly_the_limit_is_read_and_one_more_byte_is_not),
        TEST(a_file_whose_size_is_not_known_is_read_whole),
        TEST(directories_are_made_with_their_parents),
        TEST(a_file_that_others_may_read_is_not_private),
        TEST(a_lock_excludes_others_until_it_is_released),
        TEST(a_lock_ends_with_its_process),
        TEST(reading_survives_every_failing_allocation),
        TEST(free_space_is_known),
        TEST(only_files_with_the_prefix_are_swept),
        TEST(a_file_is_moved_also_to_another_file_system_and_replaces_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
