/* Error records and log lines. */
#include "tests/unit/test.h"

#include "base/log.h"

static void raising_fills_the_record_and_returns_the_code(void **state)
{
    (void)state;
    struct pst_err err;
    assert_code(PST_FAIL(&err, PST_E_NOT_FOUND, "no %s '%d'", "thing", 5), PST_E_NOT_FOUND);
    assert_string_equal(err.msg, "no thing '5'");
    assert_string_equal(err.param, "");
    assert_true(err.line > 0);
    assert_code(PST_FAIL_AT(&err, PST_E_INVALID, "limit", "1..500"), PST_E_INVALID);
    assert_string_equal(err.param, "limit");
    errno = ENOENT;
    assert_code(PST_FAIL_OS(&err, PST_E_IO, "open 'x'"), PST_E_IO);
    assert_string_equal(err.msg, "open 'x': No such file or directory");
    assert_int_equal(err.os_errno, ENOENT);
}

static void an_overlong_message_says_that_it_was_cut(void **state)
{
    (void)state;
    struct pst_err err;
    char text[600];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_code(PST_FAIL(&err, PST_E_INVALID, "%s", text), PST_E_INVALID);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    assert_string_equal(err.msg + sizeof(err.msg) - 4, "...");
    assert_code(pst_err_wrap(&err, "%s", text), PST_E_INVALID);
    assert_string_equal(err.msg + sizeof(err.msg) - 4, "...");
    text[505] = '\0';
    errno = EACCES;
    assert_code(PST_FAIL_OS(&err, PST_E_IO, "%s", text), PST_E_IO);
    assert_string_equal(err.msg + sizeof(err.msg) - 4, "...");
}

static void a_text_that_cannot_be_formatted_is_left_out(void **state)
{
    (void)state;
    struct pst_err err;
    errno = EACCES;
    assert_code(PST_FAIL_OS(&err, PST_E_IO, "open %ls", L"\x7FFFFFFF"), PST_E_IO);
    assert_string_equal(err.msg, ": Permission denied");
    assert_code(PST_FAIL(&err, PST_E_IO, "open %ls", L"\x7FFFFFFF"), PST_E_IO);
    assert_string_equal(err.msg, "");
    char text[600];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    errno = EACCES;
    assert_code(PST_FAIL_OS(&err, PST_E_IO, "%s", text), PST_E_IO);
    assert_string_equal(err.msg + sizeof(err.msg) - 4, "...");
}

static void text_in_messages_is_cut_at_4096_bytes(void **state)
{
    (void)state;
    char big[5000];
    memset(big, 'x', sizeof(big));
    assert_int_equal(pst_str_arg_len_((pst_str){big, 4095}), 4095);
    assert_int_equal(pst_str_arg_len_((pst_str){big, sizeof(big)}), 4096);
    assert_string_equal(pst_str_arg_ptr_((pst_str){NULL, 0}), "");
}

static void wrapping_adds_a_prefix_and_keeps_the_rest(void **state)
{
    (void)state;
    struct pst_err err;
    (void)PST_FAIL_AT(&err, PST_E_TIMEOUT, "p", "no answer");
    assert_code(pst_err_wrap(&err, "page %d", 12), PST_E_TIMEOUT);
    assert_string_equal(err.msg, "page 12: no answer");
    assert_string_equal(err.param, "p");
}

static pst_code fails_inside(struct pst_err *err)
{
    PST_TRY(PST_OK);
    PST_TRY(PST_FAIL(err, PST_E_LIMIT, "inner"));
    return PST_OK;
}

static void try_passes_the_failure_on(void **state)
{
    (void)state;
    struct pst_err err;
    assert_code(fails_inside(&err), PST_E_LIMIT);
}

static void every_code_has_a_complete_row(void **state)
{
    (void)state;
    for (int c = 0; c < PST_CODE_COUNT; c++) {
        pst_code code = (pst_code)c;
        assert_true(strlen(pst_code_name(code)) > 1);
        assert_true(strlen(pst_code_title(code)) > 1);
        if (code != PST_OK) {
            assert_in_range(pst_code_http(code), 400, 505);
            assert_in_range(pst_code_exit(code), 64, 78);
        }
        /* One public name means one status: clients may switch on either. */
        for (int d = 1; c > 0 && d < PST_CODE_COUNT; d++) {
            if (strcmp(pst_code_name(code), pst_code_name((pst_code)d)) == 0)
                assert_int_equal(pst_code_http(code), pst_code_http((pst_code)d));
        }
    }
    assert_string_equal(pst_code_name((pst_code)9999), "INTERNAL_ERROR");
    assert_int_equal(pst_code_from_name("SYSTEM_UNREACHABLE"), PST_E_UNREACHABLE);
    assert_int_equal(pst_code_from_name("no such code"), PST_E_INTERNAL);
    assert_string_equal(pst_origin_name(pst_code_origin(PST_E_UNREACHABLE)), "connected_system");
    assert_string_equal(pst_origin_name(pst_code_origin(PST_E_INVALID)), "request");
    assert_string_equal(pst_origin_name(pst_code_origin(PST_E_IO)), "penstock");
}

static void only_backoff_and_later_are_retryable(void **state)
{
    (void)state;
    assert_true(pst_code_retryable(PST_E_TIMEOUT));
    assert_true(pst_code_retryable(PST_E_UNAVAILABLE));
    assert_false(pst_code_retryable(PST_E_REAUTH));
    assert_false(pst_code_retryable(PST_E_INVALID));
}

static char written[8192];
static size_t written_len;

static void remember(void *self, const char *line, size_t len)
{
    (void)self;
    assert_true(len < sizeof(written));
    memcpy(written, line, len);
    written[len] = '\0';
    written_len = len;
}

static pst_wall fixed_now(void *self)
{
    (void)self;
    return (pst_wall){0};
}

static void a_log_line_is_one_json_object(void **state)
{
    (void)state;
    struct pst_id id = {"sync_1"};
    pst_log_init((struct pst_log_sink){remember, fixed_now, NULL}, PST_LOG_INFO);
    PST_LOG(PST_LOG_INFO, "done \"x\"", PST_F_ID("sync_id", &id), PST_F_INT("rows", -5),
            PST_F_STR("text", PST_STR("a\nb\\\x7F")));
    assert_string_equal(written,
                        "{\"ts\":\"1970-01-01T00:00:00Z\",\"level\":\"info\",\"msg\":\"done "
                        "\\\"x\\\"\",\"sync_id\":\"sync_1\",\"rows\":-5,"
                        "\"text\":\"a\\u000ab\\\\\\u007f\"}\n");
    PST_LOG(PST_LOG_WARN, "bare");
    assert_string_equal(written,
                        "{\"ts\":\"1970-01-01T00:00:00Z\",\"level\":\"warn\",\"msg\":\"bare\"}\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    struct pst_err err;
    written_len = 0;
    PST_LOG(PST_LOG_DEBUG, "quiet");
    pst_log_set_level(PST_LOG_ERROR);
    PST_LOG(PST_LOG_WARN, "quiet");
    (void)PST_FAIL(&err, PST_E_IO, "x");
    pst_log_err(PST_LOG_WARN, "quiet", &err, NULL);
    assert_int_equal(written_len, 0);
    assert_false(pst_log_enabled(PST_LOG_WARN));
    pst_log_err(PST_LOG_ERROR, "loud", &err, NULL);
    assert_non_null(strstr(written, "\"code\":\"INTERNAL_ERROR\",\"error\":\"x\""));
    pst_log_init((struct pst_log_sink){0}, PST_LOG_DEBUG);
    written_len = 0;
    PST_LOG(PST_LOG_ERROR, "no sink");
    assert_int_equal(written_len, 0);
    pst_log_init((struct pst_log_sink){.write = remember}, PST_LOG_DEBUG);
    PST_LOG(PST_LOG_ERROR, "no clock");
    assert_non_null(strstr(written, "\"ts\":\"\""));
}

static void an_overlong_line_stays_one_line(void **state)
{
    (void)state;
    static char big[9000];
    memset(big, '\n', sizeof(big) - 1);
    pst_log_init((struct pst_log_sink){remember, fixed_now, NULL}, PST_LOG_DEBUG);
    PST_LOG(PST_LOG_INFO, "m", PST_F_Z("big", big), PST_F_Z("more", big), PST_F_INT("n", 1));
    assert_true(written_len <= 4096);
    assert_string_equal(written + written_len - 2, "}\n");
    assert_ptr_equal(memchr(written, '\n', written_len), written + written_len - 1);
    /* A field that does not fit is left out whole: the line is still JSON. */
    memset(big, 'k', sizeof(big) - 1);
    PST_LOG(PST_LOG_INFO, "m", PST_F_INT(big, 1), PST_F_Z("more", "x"));
    assert_non_null(strstr(written, "\"msg\":\"m\",\"more\":\"x\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raising_fills_the_record_and_returns_the_code),
        cmocka_unit_test(an_overlong_message_says_that_it_was_cut),
        cmocka_unit_test(a_text_that_cannot_be_formatted_is_left_out),
        cmocka_unit_test(text_in_messages_is_cut_at_4096_bytes),
        cmocka_unit_test(wrapping_adds_a_prefix_and_keeps_the_rest),
        cmocka_unit_test(try_passes_the_failure_on),
        cmocka_unit_test(every_code_has_a_complete_row),
        cmocka_unit_test(only_backoff_and_later_are_retryable),
        cmocka_unit_test(a_log_line_is_one_json_object),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(an_overlong_line_stays_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
