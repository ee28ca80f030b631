/* tests/unit/base/trace_test.c: traceparent as W3C Trace Context says: its examples, both sides of
 * every rule, and a round trip of what is read. */
#include "../test.h"

#include "base/cleanup.h"
#include "base/trace.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static void headers_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } CASES[] = {
        {"00-" ID "-" PARENT "-01", true},
        {"00-" ID "-" PARENT "-00", true},
        {"00-" ID "-" PARENT "-ff", true}, /* flags of the future */
        {"01-" ID "-" PARENT "-01", true}, /* a later version */
        {"cc-" ID "-" PARENT "-01-what-comes-then", true},
        {"", false},
        {"0-" ID "-" PARENT "-01", false},
        {"ff-" ID "-" PARENT "-01", false},
        {"00-" ID "-" PARENT, false},
        {"00-" ID "-" PARENT "-", false},
        {"00-" ID "-" PARENT "-1", false},
        {"00-" ID "-" PARENT "-01-", false},
        {"00-" ID "-" PARENT "-01-more", false},
        {"cc-" ID "-" PARENT "-01more", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", false},
        {"00-" ID "-00F067AA0BA902B7-01", false},
        {"00-" ID "-" PARENT "-0G", false},
        {"00-" ID "-" PARENT "-g0", false},
        {"00-" ID "-" PARENT "- 0", false},
        {"00-00000000000000000000000000000000-" PARENT "-01", false},
        {"00-" ID "-0000000000000000-01", false},
        {"00-" ID "f-" PARENT "-01", false},
        {" 00-" ID "-" PARENT "-01", false},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct pst_trace t = {.flags = 77};
        bool good = pst_trace_parse(&t, pst_str_from(CASES[i].text), PST_STR("a=b"));
        if (good != CASES[i].good || (!good && t.flags != 77))
            fail_msg("'%s'", CASES[i].text);
    }
}

static void what_is_read_is_written_with_a_parent_of_our_own(void **state)
{
    (void)state;
    const uint8_t span[PST_SPAN_ID] = {1, 2, 3, 4, 5, 6, 7, 0xab};
    char text[PST_TRACEPARENT_TEXT];
    char id[PST_TRACE_TEXT];
    struct pst_trace t;
    assert_true(pst_trace_parse(&t, PST_STR("00-" ID "-" PARENT "-03"), PST_STR("rojo=1,congo=2")));
    pst_trace_format(text, &t, span);
    assert_string_equal(text, "00-" ID "-01020304050607ab-01");
    pst_trace_format_id(id, t.id);
    assert_string_equal(id, ID);
    assert_string_equal(t.state, "rojo=1,congo=2");
    assert_true(pst_trace_parse(&t, PST_STR("00-" ID "-" PARENT "-02"), PST_STR("")));
    pst_trace_format(text, &t, span);
    assert_string_equal(text, "00-" ID "-01020304050607ab-00");
}

static void a_state_that_does_not_fit_is_left_out(void **state)
{
    (void)state;
    char longest[PST_TRACESTATE_MAX + 2];
    struct pst_trace t;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    pst_str parent = PST_STR("00-" ID "-" PARENT "-01");
    assert_true(pst_trace_parse(&t, parent, pst_str_from(longest)));
    assert_string_equal(t.state, "");
    longest[PST_TRACESTATE_MAX] = '\0';
    assert_true(pst_trace_parse(&t, parent, pst_str_from(longest)));
    assert_int_equal(strlen(t.state), PST_TRACESTATE_MAX);
    assert_true(pst_trace_parse(&t, parent, PST_STR("a=b\r\nX: y")));
    assert_string_equal(t.state, "");
    assert_true(pst_trace_parse(&t, parent, PST_STR("a=\x7F")));
    assert_string_equal(t.state, "");
    assert_true(pst_trace_parse(&t, parent, PST_STR("a=\xC3\xA4")));
    assert_string_equal(t.state, "");
}

static void a_trace_begins_with_the_bits_it_is_given(void **state)
{
    (void)state;
    const uint8_t id[PST_TRACE_ID] = {0x01, 0xff, [15] = 0x80};
    const uint8_t span[PST_SPAN_ID] = {0xff};
    char text[PST_TRACEPARENT_TEXT];
    struct pst_trace t;
    pst_trace_begin(&t, id);
    pst_trace_format(text, &t, span);
    assert_string_equal(text, "00-01ff0000000000000000000000000080-ff00000000000000-01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read_strictly),
        cmocka_unit_test(what_is_read_is_written_with_a_parent_of_our_own),
        cmocka_unit_test(a_state_that_does_not_fit_is_left_out),
        cmocka_unit_test(a_trace_begins_with_the_bits_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
