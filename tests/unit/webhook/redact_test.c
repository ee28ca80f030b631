/* tests/unit/webhook/redact_test.c: receivers that say again what they were sent. */
#include "tests/unit/test.h"

#include "webhook/internal.h"

/* Stars for every byte of the answer that was hidden. */
static const struct {
    const char *value, *answer, *kept;
} ROWS[] = {
    {"Bearer abcdef", "you sent Bearer abcdef, abcdef", "you sent *************, ******"},
    {"abc", "abc", "abc"}, /* no secret */
    {"abcdefgh", "and it was abcdefg", "and it was *******"}, /* cut off */
    {"abcdefgh", "abcdefg and more", "abcdefg and more"},
    {"abc/de+f", "{\"x\":\"abc\\/de+f\",\"y\":\"abc/de+f\"}",
     "{\"x\":\"*********\",\"y\":\"********\"}"},
    {"a\"b\\cdef", "a\"b\\cdef {\"x\":\"a\\\"b\\\\cdef\"}", "******** {\"x\":\"**********\"}"},
    {"abcd/efgh", "cut: abcd\\/e", "cut: *******"},
    {"abcd/efgh", "abcd\\efgh abcd\\", "abcd\\efgh *****"},
    {"abcdef==", "{\"x\":\"abcdef\\u003d\\u003D\"}", "{\"x\":\"******************\"}"},
    {"abcdef==", "cut: abcdef\\u00", "cut: **********"},
    {"abcde/fgh", "cut: abcde\\", "cut: ******"},
    {"\\\\\\\\\\\\", "\\\\\\\\\\\\", "******"},
};

static void values_of_headers_are_hidden_in_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < PST_COUNT(ROWS); i++) {
        char kept[PST_FLEET_KEPT];
        struct pst_hook_endpoint e = {.header_count = 1};
        e.headers[0] = (struct pst_http_header){PST_STR("X"), pst_str_from(ROWS[i].value)};
        pst_str out = pst_hook_redact(kept, &e, pst_str_from(ROWS[i].answer));
        if (!pst_str_is(out, ROWS[i].kept))
            fail_msg("row %zu: %.*s", i, PST_STR_ARG(out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_headers_are_hidden_in_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
