/* Tests of peoplesim/stamp.h and peoplesim/zone.h: what the database writes and in which zone. */
#include "peoplesim/stamp.h"

#include "base/cleanup.h"
#include "base/time.h"
#include "peoplesim/zone.h"
#include "tests/unit/test.h"

static void a_date_time_is_written_and_read_back_to_the_microsecond(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        {"1970-01-01-00.00.00.000000", 0},
        {"1969-12-31-23.59.59.999999", -1},
        {"2026-11-24-10.05.07.000123", 1795514707000123},
        {"2024-02-29-23.59.59.500000", 1709251199500000},
        {"9999-12-31-00.00.00.000000", 253402214400000000},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        char out[PST_SIM_DTTM_TEXT];
        int64_t us = 0;
        pst_sim_dttm_write(out, cases[i].us);
        assert_str(((pst_str){out, sizeof(out)}), cases[i].text);
        assert_true(pst_sim_dttm_read(&us, pst_str_from(cases[i].text)));
        assert_int_equal(us, cases[i].us);
    }
}

static void text_that_is_no_moment_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-11-24",
        "2026-11-24T10:05:07.000000",
        "2026-13-01-00.00.00.000000",
        "2026-02-29-00.00.00.000000",
        "2026-11-24-24.00.00.000000",
        "2026-11-24-10.60.00.000000",
        "2026-11-24-10.00.00.00000",
        "2026-11-24-10.00.00.00000x",
        "0000-11-24-10.00.00.000000",
    };
    for (size_t i = 0; i < PST_COUNT(bad); i++) {
        int64_t us = 0;
        if (pst_sim_dttm_read(&us, pst_str_from(bad[i])))
            fail_msg("'%s' was taken", bad[i]);
    }
}

static void the_zone_table_knows_both_sides_of_a_clock_change(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_sim_zone z;
    assert_ok(pst_sim_zone_init(&z, "America/New_York", &err));
    static const struct {
        const char *utc;
        const char *local;
    } cases[] = {
        {"2026-03-08T06:59:59Z", "2026-03-08T01:59:59Z"},
        {"2026-03-08T07:00:00Z", "2026-03-08T03:00:00Z"},
        {"2026-11-01T05:30:00Z", "2026-11-01T01:30:00Z"},
        {"2026-11-01T06:30:00Z", "2026-11-01T01:30:00Z"},
        {"2090-07-01T12:00:00Z", "2090-07-01T08:00:00Z"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        pst_wall utc;
        pst_wall local;
        assert_true(pst_wall_parse(&utc, pst_str_from(cases[i].utc)));
        assert_true(pst_wall_parse(&local, pst_str_from(cases[i].local)));
        assert_int_equal(pst_sim_zone_local(&z, utc.us), local.us);
    }
}

static void a_zone_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_sim_zone z;
    assert_code(pst_sim_zone_init(&z, "America/Atlantis", &err), PST_E_INVALID);
    assert_code(pst_sim_zone_init(&z, "../../etc/passwd", &err), PST_E_INVALID);
    assert_code(pst_sim_zone_init(&z, "", &err), PST_E_INVALID);
    assert_ok(pst_sim_zone_init(&z, "UTC", &err));
    assert_int_equal(pst_sim_zone_local(&z, 42), 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_date_time_is_written_and_read_back_to_the_microsecond),
        cmocka_unit_test(text_that_is_no_moment_is_refused),
        cmocka_unit_test(the_zone_table_knows_both_sides_of_a_clock_change),
        cmocka_unit_test(a_zone_that_does_not_exist_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
