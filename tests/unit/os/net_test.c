/* tests/unit/os/net_test.c: the addresses of this machine. */
#include "os/net.h"

#include "tests/unit/test.h"

static void the_addresses_of_all_interfaces_are_listed(void **state)
{
    (void)state;
    static const struct pst_net_address loopback = {
        {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_net_address *all = NULL;
    struct pst_err err;
    size_t count = 0;
    bool found = false;
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    assert_ok(pst_net_addresses(arena, &all, &count, &err));
    for (size_t i = 0; i < count; i++)
        found = found || memcmp(&all[i], &loopback, sizeof(loopback)) == 0;
    assert_true(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_addresses_of_all_interfaces_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
