/* tests/unit/test.h: what every unit test includes: cmocka, and running a block once for each
 * allocation that may fail. */
#ifndef PST_TESTS_UNIT_TEST_H
#define PST_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

/* Runs the tests; with PST_TORTURE set, each again and again with another allocation failing
 * (torture.c). */
int pst_test_run_group(const char *name, const struct CMUnitTest *tests, size_t count,
                       CMFixtureFunction set_up, CMFixtureFunction tear_down);
#undef cmocka_run_group_tests
#define cmocka_run_group_tests(tests, set_up, tear_down)                                           \
    pst_test_run_group(#tests, (tests), sizeof(tests) / sizeof((tests)[0]), (set_up), (tear_down))

#define assert_ok(expr)                                                                            \
    do {                                                                                           \
        pst_code test_rc_ = (expr);                                                                \
        if (test_rc_ != PST_OK)                                                                    \
            fail_msg("%s: %s: %s", #expr, pst_code_name(test_rc_), err.msg);                       \
    } while (0)

#define assert_code(expr, expected)                                                                \
    do {                                                                                           \
        pst_code test_rc_ = (expr);                                                                \
        if (test_rc_ != (expected))                                                                \
            fail_msg("%s: code %d, expected %d", #expr, (int)test_rc_, (int)(expected));           \
    } while (0)

#define assert_str(s, expected)                                                                    \
    do {                                                                                           \
        pst_str test_s_ = (s);                                                                     \
        if (!pst_str_is(test_s_, (expected)))                                                      \
            fail_msg("%s is '%.*s', expected '%s'", #s, PST_STR_ARG(test_s_), (expected));         \
    } while (0)

/* Run the block with the 1st, 2nd, 3rd ... allocation of this thread failing, until a pass in
 * which none failed. The block must leave nothing allocated on any of them. */
#define FOR_EACH_ALLOC_FAULT(i)                                                                    \
    for (long i = 0, more_ = 1; more_ && (pst_alloc_fail_at(i), 1);                                \
         more_ = pst_alloc_failed(), pst_alloc_fail_at(-1), i++)

#endif
