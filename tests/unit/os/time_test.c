/* Clocks and randomness. */
#include "tests/unit/test.h"

#include "os/clock.h"
#include "os/rand.h"

static pst_mono fixed_mono(void *self)
{
    return (pst_mono){*(int64_t *)self};
}

static pst_wall fixed_wall(void *self)
{
    return (pst_wall){*(int64_t *)self + 1};
}

static void a_clock_is_a_table(void **state)
{
    (void)state;
    int64_t now = 41;
    struct pst_clock c = {.mono = fixed_mono, .wall = fixed_wall, .self = &now};
    assert_int_equal(pst_clock_mono(&c).ns, 41);
    assert_int_equal(pst_clock_wall(&c).us, 42);
}

static void the_system_clocks_go_forward(void **state)
{
    (void)state;
    pst_mono a = pst_clock_mono(&pst_clock_system);
    pst_sleep_ms(15);
    pst_sleep_ms(0);
    pst_sleep_ms(-5);
    pst_mono b = pst_mono_now();
    assert_true(b.ns - a.ns >= 15 * PST_NS_PER_MS);
    /* After 2026 and before 2200, in microseconds. */
    assert_true(pst_clock_wall(&pst_clock_system).us > 1767225600LL * PST_US_PER_S);
    assert_true(pst_wall_now().us < 7258118400LL * PST_US_PER_S);
    int64_t thread_ns = pst_cpu_thread_ns();
    assert_true(thread_ns > 0);
    assert_true(pst_cpu_process_ns() >= thread_ns);
}

static void random_numbers_stay_below_their_bound_and_reach_every_value(void **state)
{
    (void)state;
    int seen[7] = {0};
    for (int i = 0; i < 2000; i++) {
        uint64_t v = pst_rand_below(7);
        assert_true(v < 7);
        seen[v]++;
    }
    for (size_t i = 0; i < 7; i++)
        assert_true(seen[i] > 100);
    assert_int_equal(pst_rand_below(1), 0);
    assert_true(pst_rand_u64() != pst_rand_u64());
}

static void ids_are_time_ordered_and_differ(void **state)
{
    (void)state;
    struct pst_id a = pst_rand_id_at("conn_", (pst_wall){1000000});
    struct pst_id b = pst_rand_id_at("conn_", (pst_wall){2000000});
    struct pst_id c = pst_rand_id_at("conn_", (pst_wall){2000000});
    assert_true(pst_id_parse(NULL, "conn_", pst_id_str(&a)));
    assert_true(strcmp(a.text, b.text) < 0);
    assert_string_not_equal(b.text, c.text);
    struct pst_id now = pst_rand_id("req_");
    assert_true(pst_id_parse(NULL, "req_", pst_id_str(&now)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_is_a_table),
        cmocka_unit_test(the_system_clocks_go_forward),
        cmocka_unit_test(random_numbers_stay_below_their_bound_and_reach_every_value),
        cmocka_unit_test(ids_are_time_ordered_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
