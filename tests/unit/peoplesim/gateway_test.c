/* Tests of the gateway's parts that need no server: signing on, faults, options, the journal. */
#include "peoplesim/account.h"

#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "peoplesim/faults.h"
#include "peoplesim/journal.h"
#include "peoplesim/options.h"
#include "tests/unit/test.h"

static void base_64_is_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *plain; /* NULL: refused */
    } cases[] = {
        {"", ""},
        {"YQ==", "a"},
        {"YWI=", "ab"},
        {"YWJj", "abc"},
        {"dTpw", "u:p"},
        {"YQ=", NULL},
        {"YQ", NULL},
        {"Y Q=", NULL},
        {"YQ==YQ==", NULL},
        {"=AAA", NULL},
        {"YWJj\n", NULL},
        {"YW-j", NULL},
        {"++//", "\xfb\xef\xff"},
        {"AAAAAAAAAAAA", NULL /* too long for the buffer */},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        char out[8];
        size_t len = 0;
        bool ok = pst_sim_base64_decode(out, sizeof(out), &len, pst_str_from(cases[i].text));
        if (ok != (cases[i].plain != NULL))
            fail_msg("'%s'", cases[i].text);
        if (ok)
            assert_str(((pst_str){out, len}), cases[i].plain);
    }
}

static void an_account_admits_its_user_until_it_is_locked(void **state)
{
    (void)state;
    struct pst_sim_account a;
    pst_sim_account_init(&a, "user", "pass:word", 2);
    pst_str right = PST_STR("Basic dXNlcjpwYXNzOndvcmQ=");
    pst_str wrong = PST_STR("Basic dXNlcjpwYXNz");
    assert_true(pst_sim_account_admits(&a, right));
    assert_true(pst_sim_account_admits(&a, PST_STR("bAsIc   dXNlcjpwYXNzOndvcmQ=")));
    assert_false(pst_sim_account_admits(&a, PST_STR("Bearer dXNlcjpwYXNzOndvcmQ=")));
    assert_true(pst_sim_account_admits(&a, right)); /* begins the count anew */
    assert_false(pst_sim_account_admits(&a, wrong));
    assert_false(pst_sim_account_is_locked(&a));
    assert_false(pst_sim_account_admits(&a, (pst_str){0}));
    assert_true(pst_sim_account_is_locked(&a));
    assert_false(pst_sim_account_admits(&a, right));
    pst_sim_account_set_locked(&a, false);
    assert_true(pst_sim_account_admits(&a, right));
    assert_false(pst_sim_account_set_password(&a, PST_STR("")));
    assert_true(pst_sim_account_set_password(&a, PST_STR("pass")));
    assert_true(pst_sim_account_admits(&a, wrong));
    pst_sim_account_fini(&a);
}

static void every_fault_has_a_name_that_finds_it(void **state)
{
    (void)state;
    for (int i = 1; i < PST_SIM_FAULT_KINDS; i++) {
        const char *name = pst_sim_fault_name((enum pst_sim_fault_kind)i);
        assert_non_null(name);
        assert_int_equal(pst_sim_fault_kind_of(pst_str_from(name)), i);
    }
    assert_int_equal(pst_sim_fault_kind_of(PST_STR("none")), PST_SIM_FAULT_NONE);
    assert_int_equal(pst_sim_fault_kind_of(PST_STR("5000")), PST_SIM_FAULT_NONE);
}

static void faults_add_up_and_the_first_answer_wins(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_sim_faults f;
    struct pst_sim_effects e;
    uint64_t id = 0;
    pst_sim_faults_init(&f, 1);
    pst_sim_faults_set_latency(&f, 5, 0);
    static const struct pst_sim_fault faults[] = {
        {.kind = PST_SIM_FAULT_SLOW, .per_mille = 1000, .ms = 20},
        {.kind = PST_SIM_FAULT_503, .per_mille = 1000, .query = "PST_ITEMS"},
        {.kind = PST_SIM_FAULT_403, .per_mille = 1000, .service = "ExecuteQuery", .count = 1},
        {.kind = PST_SIM_FAULT_ROW_CAP, .per_mille = 1000, .rows = 9},
        {.kind = PST_SIM_FAULT_500, .per_mille = 0},
    };
    for (size_t i = 0; i < PST_COUNT(faults); i++)
        assert_ok(pst_sim_faults_add(&f, &faults[i], &id, &err));
    pst_sim_faults_decide(&f, "ExecuteQuery", PST_STR("PST_ITEMS"), &e);
    assert_int_equal(e.answer, PST_SIM_FAULT_503);
    assert_int_equal(e.delay_ms, 25);
    assert_int_equal(e.row_cap, 9);
    pst_sim_faults_decide(&f, "ExecuteQuery", PST_STR("PST_CLOCK"), &e);
    assert_int_equal(e.answer, PST_SIM_FAULT_NONE); /* the 403 had its one time */
    assert_int_equal(pst_sim_faults_remove(&f, 2), 1);
    pst_sim_faults_decide(&f, "ListQuery", PST_STR("PST_ITEMS"), &e);
    assert_int_equal(e.answer, PST_SIM_FAULT_NONE);
    assert_int_equal(pst_sim_faults_remove(&f, 0), 4);
    for (size_t i = 0; i < PST_SIM_FAULTS_MAX; i++)
        assert_ok(pst_sim_faults_add(&f, &faults[0], &id, &err));
    assert_code(pst_sim_faults_add(&f, &faults[0], &id, &err), PST_E_LIMIT);
    pst_sim_faults_fini(&f);
}

static pst_code settings_of(const char *const *args, size_t count, struct pst_sim_settings *out,
                            struct pst_err *err)
{
    PST_AUTO(config) struct pst_config *c = NULL;
    struct pst_config_input in = {.args = args, .arg_count = count};
    PST_TRY(pst_config_load(&c, &pst_sim_options, &in, err));
    return pst_sim_read_settings(c, (pst_wall){1795514707000123}, out, err);
}

static void sizes_are_read_as_numbers_and_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *args[6];
        uint64_t orders; /* 0: refused */
        uint32_t lines_min, lines_max;
    } cases[] = {
        {{"--orders", "7"}, 7, 5, 5},
        {{"--records", "1000000"}, 100000, 5, 5},
        {{"--records", "11"}, 2, 5, 5},
        {{"--records", "90", "--lines", "1-2", "--schedules", "1-2"}, 40, 1, 2},
        {{"--lines", "1-9"}, 1000, 1, 9},
        {{"--lines", "9-1"}, 0, 0, 0},
        {{"--lines", "0"}, 0, 0, 0},
        {{"--lines", "5-"}, 0, 0, 0},
        {{"--lines", "10001"}, 0, 0, 0},
        {{"--epoch", "tomorrow"}, 0, 0, 0},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        struct pst_sim_settings s = {0};
        size_t count = 0;
        while (count < 6 && cases[i].args[count])
            count++;
        pst_code rc = settings_of(cases[i].args, count, &s, &err);
        if ((rc == PST_OK) != (cases[i].orders != 0))
            fail_msg("case %zu: %s", i, rc == PST_OK ? "taken" : err.msg);
        assert_int_equal(s.orders, cases[i].orders);
        assert_int_equal(s.lines_min, cases[i].lines_min);
        assert_int_equal(s.lines_max, cases[i].lines_max);
        if (rc == PST_OK)
            assert_int_equal(s.epoch_us, 1795478400000000LL); /* midnight of that day */
    }
}

static void the_control_port_follows_the_gateways(void **state)
{
    (void)state;
    static const struct {
        const char *args[4];
        const char *address; /* NULL: refused */
    } cases[] = {
        {{NULL}, "127.0.0.1:7402"},
        {{"--listen", "127.0.0.1:0"}, "127.0.0.1:0"},
        {{"--listen", "[::1]:80"}, "[::1]:81"},
        {{"--control", "127.0.0.2:9"}, "127.0.0.2:9"},
        {{"--listen", "somewhere"}, NULL},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        PST_AUTO(config) struct pst_config *c = NULL;
        struct pst_config_input in = {.args = cases[i].args, .arg_count = cases[i].args[0] ? 2 : 0};
        char out[PST_SIM_ADDRESS] = "";
        assert_ok(pst_config_load(&c, &pst_sim_options, &in, &err));
        pst_code rc = pst_sim_control_address(c, out, &err);
        assert_int_equal(rc == PST_OK, cases[i].address != NULL);
        if (rc == PST_OK)
            assert_string_equal(out, cases[i].address);
    }
}

static void a_journal_gives_back_its_whole_lines(void **state)
{
    (void)state;
    struct pst_err err;
    char path[64];
    (void)snprintf(path, sizeof(path), "/tmp/peoplesim_journal_%ld", (long)getpid());
    (void)unlink(path); /* of a process before that had this number and was killed */
    for (int round = 0; round < 2; round++) {
        PST_AUTO(arena) struct pst_arena *arena = NULL;
        PST_AUTO(sim_journal) struct pst_sim_journal *j = NULL;
        pst_str lines = {0};
        assert_ok(pst_arena_new(&arena, 1 << 20, &err));
        assert_ok(pst_sim_journal_open(&j, path, arena, &lines, &err));
        if (round == 0) {
            assert_str(lines, "");
            assert_ok(pst_sim_journal_append(j, PST_STR("one"), &err));
            assert_ok(pst_sim_journal_append(j, PST_STR("two"), &err));
            FILE *f = fopen(path, "a");
            assert_non_null(f);
            assert_true(fputs("torn", f) >= 0);
            assert_int_equal(fclose(f), 0);
        } else {
            assert_str(lines, "one\ntwo\n");
        }
    }
    (void)unlink(path);
    assert_ok(pst_sim_journal_append(NULL, PST_STR("nowhere"), &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_64_is_read_strictly),
        cmocka_unit_test(an_account_admits_its_user_until_it_is_locked),
        cmocka_unit_test(every_fault_has_a_name_that_finds_it),
        cmocka_unit_test(faults_add_up_and_the_first_answer_wins),
        cmocka_unit_test(sizes_are_read_as_numbers_and_ranges),
        cmocka_unit_test(the_control_port_follows_the_gateways),
        cmocka_unit_test(a_journal_gives_back_its_whole_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
