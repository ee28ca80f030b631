/* When a refused request is sent again: each answer, both sides of each bound, and how the waits
 * are spread. */
#include "tests/unit/test.h"

#include "base/cleanup.h"
#include "cli/retry.h"

static int64_t next_of(const char *method, int status, bool is_retryable)
{
    struct pst_retry_state state = {0};
    const struct pst_retry_answer answer = {
        .method = method, .status = status, .is_retryable = is_retryable};
    return pst_retry_next(&state, &answer, 0);
}

static void test_only_what_is_refused_for_now_is_repeated(void **state)
{
    (void)state;
    static const char *const methods[] = {"GET", "PATCH", "PUT", "POST", "DELETE"};
    for (size_t m = 0; m < PST_COUNT(methods); m++) {
        bool is_safe = m < 3;
        for (int status = 0; status < 600; status++) {
            assert_int_equal(next_of(methods[m], status, false), -1);
            bool again = status == 429 || (status == 503 && is_safe);
            assert_int_equal(next_of(methods[m], status, true), again ? 0 : -1);
        }
    }
}

static void test_the_span_doubles_and_then_it_is_given_up(void **state)
{
    (void)state;
    struct pst_retry_state s = {0};
    const struct pst_retry_answer answer = {.method = "GET", .status = 503, .is_retryable = true};
    static const int64_t spans[PST_RETRY_TRIES] = {1000, 2000, 4000, 8000, 16000};
    for (int i = 0; i < PST_RETRY_TRIES; i++) {
        struct pst_retry_state copy = s;
        assert_int_equal(pst_retry_next(&copy, &answer, (uint64_t)spans[i]), spans[i]);
        assert_int_equal(copy.waited_ms, spans[i]);
        copy = s;
        assert_int_equal(pst_retry_next(&copy, &answer, (uint64_t)spans[i] + 1), 0);
        assert_int_equal(pst_retry_next(&s, &answer, 0), 0);
        assert_int_equal(s.tries, i + 1);
    }
    assert_int_equal(pst_retry_next(&s, &answer, 0), -1);
}

static void test_what_the_server_asks_for_is_the_least(void **state)
{
    (void)state;
    for (int seconds = 0; seconds < 70; seconds++) {
        struct pst_retry_state s = {0};
        const struct pst_retry_answer answer = {
            .method = "POST", .status = 429, .is_retryable = true, .retry_after_s = seconds};
        int64_t wait = pst_retry_next(&s, &answer, 0);
        assert_int_equal(wait, seconds <= 60 ? seconds * 1000 : -1);
        assert_int_equal(s.tries, seconds <= 60);
        s = (struct pst_retry_state){0};
        assert_int_equal(pst_retry_next(&s, &answer, 1000),
                         seconds < 60 ? seconds * 1000 + 1000 : -1);
    }
}

static void test_no_more_than_a_minute_is_waited_in_all(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252U;
    for (int round = 0; round < 20000; round++) {
        struct pst_retry_state s = {0};
        int64_t sum = 0;
        int tries = 0;
        for (;;) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            const struct pst_retry_answer answer = {.method = "GET",
                                                    .status = 429,
                                                    .is_retryable = true,
                                                    .retry_after_s = (int)(seed >> 40) % 30};
            int64_t wait = pst_retry_next(&s, &answer, seed);
            if (wait < 0)
                break;
            assert_true(wait >= answer.retry_after_s * 1000);
            sum += wait;
            tries++;
        }
        assert_true(sum <= PST_RETRY_TOTAL_MS && tries <= PST_RETRY_TRIES);
        assert_int_equal(s.waited_ms, sum);
    }
}

/* Full jitter: every part of the span gets its share. */
static void test_the_waits_are_spread_over_the_whole_span(void **state)
{
    (void)state;
    enum { DRAWS = 40000, PARTS = 10 };
    int parts[PARTS] = {0};
    uint64_t seed = 2463534242U;
    for (int i = 0; i < DRAWS; i++) {
        struct pst_retry_state s = {.tries = 4};
        const struct pst_retry_answer answer = {
            .method = "GET", .status = 503, .is_retryable = true};
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        parts[pst_retry_next(&s, &answer, seed) * PARTS / 16001]++;
    }
    for (int i = 0; i < PARTS; i++)
        assert_in_range(parts[i], DRAWS / PARTS * 9 / 10, DRAWS / PARTS * 11 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_is_refused_for_now_is_repeated),
        cmocka_unit_test(test_the_span_doubles_and_then_it_is_given_up),
        cmocka_unit_test(test_what_the_server_asks_for_is_the_least),
        cmocka_unit_test(test_no_more_than_a_minute_is_waited_in_all),
        cmocka_unit_test(test_the_waits_are_spread_over_the_whole_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
