/* Allocation, arenas, buffers, vectors and maps: limits, and every allocation failing once. */
#include "tests/unit/test.h"

#include <stdalign.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"

/* The sanitizers' allocators stop the program when they refuse, unless asked not to. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void what_the_system_refuses_is_null_and_not_counted(void **state)
{
    (void)state;
    struct pst_err err;
    void *p = NULL;
    volatile size_t too_much = SIZE_MAX / 2;
    int64_t live = pst_alloc_live();
    assert_null(pst_malloc(too_much));
    assert_null(pst_calloc(too_much, 4));
    assert_code(pst_new(&p, too_much, &err), PST_E_NO_MEMORY);
    assert_int_equal(pst_alloc_live(), live);
    pst_alloc_trim();
    assert_int_equal(pst_alloc_live(), live);
}

static void the_nth_allocation_can_be_made_to_fail(void **state)
{
    (void)state;
    struct pst_err err;
    void *p = NULL;
    int64_t live = pst_alloc_live();
    pst_alloc_fail_at(1);
    assert_non_null(p = pst_malloc(8));
    assert_int_equal(pst_alloc_fail_left(), 0);
    pst_free(p);
    assert_null(pst_malloc(8));
    assert_true(pst_alloc_failed());
    assert_true(pst_alloc_fail_left() < 0);
    assert_non_null(p = pst_malloc(0));
    pst_alloc_fail_at(0);
    assert_null(pst_realloc(p, 64));
    pst_alloc_fail_at(0);
    assert_null(pst_calloc(2, 2));
    pst_alloc_fail_at(0);
    assert_code(pst_new(&p, 8, &err), PST_E_NO_MEMORY);
    pst_alloc_fail_at(-1);
    assert_int_equal(pst_alloc_live(), live + 1);
    p = pst_realloc(p, 0);
    pst_free(p);
    pst_free(NULL);
    assert_ok(pst_new(&p, 8, &err));
    assert_int_equal(*(int64_t *)p, 0);
    pst_free(p);
    p = pst_calloc(0, 0);
    assert_non_null(p);
    pst_free(p);
    assert_non_null(p = pst_realloc(NULL, 3));
    pst_free(p);
    assert_int_equal(pst_alloc_live(), live);
}

static void an_arena_hands_out_zeroed_aligned_memory(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    assert_ok(pst_arena_new(&a, 1 << 20, &err));
    for (size_t size = 0; size < 5000; size += 97) {
        unsigned char *p = NULL;
        assert_ok(pst_arena_alloc(a, &p, size, &err));
        assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xAA, size);
    }
    assert_true(pst_arena_used(a) > 5000);
    pst_arena_reset(a);
    assert_int_equal(pst_arena_used(a), 0);
}

static void passing_the_limit_leaves_an_arena_usable(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    void *p = NULL;
    pst_str s;
    assert_ok(pst_arena_new(&a, 4096, &err));
    assert_ok(pst_arena_alloc(a, &p, 4096, &err));
    assert_code(pst_arena_alloc(a, &p, 1, &err), PST_E_LIMIT);
    assert_code(pst_arena_dup(a, &s, PST_STR("x"), &err), PST_E_LIMIT);
    assert_code(pst_arena_printf(a, &s, &err, "%s", "x"), PST_E_LIMIT);
    pst_arena_reset(a);
    assert_code(pst_arena_alloc(a, &p, 4097, &err), PST_E_LIMIT);
    assert_code(pst_arena_alloc(a, &p, SIZE_MAX, &err), PST_E_LIMIT);
    assert_code(pst_arena_array(a, &p, SIZE_MAX, 2, &err), PST_E_LIMIT);
    assert_code(pst_arena_dup(a, &s, (pst_str){"", SIZE_MAX}, &err), PST_E_LIMIT);
    assert_code(pst_arena_printf(a, &s, &err, "%ls", L"\x7FFFFFFF"), PST_E_INTERNAL);
    assert_ok(pst_arena_array(a, &p, 16, 16, &err));
    assert_ok(pst_arena_dup(a, &s, PST_STR("after"), &err));
    assert_str(s, "after");
    assert_int_equal(s.ptr[5], 0);
    assert_ok(pst_arena_printf(a, &s, &err, "%d-%s", 7, "up"));
    assert_str(s, "7-up");
}

static void an_arena_hands_out_bytes_that_nobody_cleared(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    char *p = NULL;
    char *q = NULL;
    assert_ok(pst_arena_new(&a, 4096, &err));
    assert_ok(pst_arena_bytes(a, &p, 0, &err));
    assert_ok(pst_arena_bytes(a, &q, 100, &err));
    assert_ptr_not_equal(p, q);
    memset(q, 'q', 100);
    assert_code(pst_arena_bytes(a, &q, 4096, &err), PST_E_LIMIT);
}

static void a_tiny_arena_limit_is_raised_to_a_page(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    void *p = NULL;
    assert_ok(pst_arena_new(&a, 1, &err));
    assert_ok(pst_arena_alloc(a, &p, 4000, &err));
}

static void what_is_used_again_soon_has_one_block(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    void *p = NULL;
    int64_t begun = pst_alloc_live();
    assert_ok(pst_arena_new(&a, 64U << 20, &err));
    pst_arena_reset(a); /* nothing was taken yet */
    for (int round = 0; round < 3; round++) {
        assert_ok(pst_arena_alloc(a, &p, 100, &err));
        assert_ok(pst_arena_alloc(a, &p, 8U << 20, &err));
        assert_ok(pst_arena_alloc(a, &p, 1U << 20, &err));
        /* itself, and its blocks: several in the first round, then one that is kept */
        assert_int_equal(pst_alloc_live() - begun, round == 0 ? 4 : 2);
        pst_arena_reset(a);
        assert_int_equal(pst_alloc_live() - begun, round == 0 ? 1 : 2);
    }
    for (int i = 0; i < 14; i++) /* the steps stop growing long before the limit */
        assert_ok(pst_arena_alloc(a, &p, 4U << 20, &err));
    assert_code(pst_arena_alloc(a, &p, 9U << 20, &err), PST_E_LIMIT);
    pst_arena_free(NULL);
}

static void a_block_for_all_is_no_larger_than_the_limit(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(arena) struct pst_arena *a = NULL;
    void *p = NULL;
    assert_ok(pst_arena_new(&a, 4096, &err));
    for (int round = 0; round < 3; round++) {
        assert_ok(pst_arena_alloc(a, &p, 2048, &err));
        assert_ok(pst_arena_alloc(a, &p, 2048, &err));
        assert_code(pst_arena_alloc(a, &p, 1, &err), PST_E_LIMIT);
        pst_arena_reset(a);
        assert_ok(pst_arena_bytes(a, &p, 0, &err));
        assert_non_null(p);
        pst_arena_reset(a);
    }
}

static void arenas_survive_every_allocation_fault(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    int passes = 0;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        PST_AUTO(arena) struct pst_arena *a = NULL;
        void *p = NULL;
        pst_str s;
        pst_code rc = pst_arena_new(&a, 1 << 20, &err);
        if (rc == PST_OK)
            rc = pst_arena_alloc(a, &p, 10, &err);
        if (rc == PST_OK)
            rc = pst_arena_dup(a, &s, (pst_str){"", 0}, &err);
        if (rc == PST_OK)
            rc = pst_arena_alloc(a, &p, 100000, &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
        passes++;
    }
    assert_int_equal(passes, 7);
    assert_int_equal(pst_alloc_live(), live);
}

static void a_buffer_appends_and_stops_at_its_maximum(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 64);
    pst_buf_add_lit(&b, "n=");
    pst_buf_add_i64(&b, INT64_MIN);
    pst_buf_add_char(&b, ' ');
    pst_buf_add_u64(&b, 0);
    pst_buf_addf(&b, "/%s", "x");
    pst_buf_add(&b, NULL, 0);
    pst_buf_add_i64(&b, 5);
    assert_str(pst_buf_str(&b), "n=-9223372036854775808 0/x5");
    assert_ok(pst_buf_check(&b, &err));

    while (b.len < 64)
        pst_buf_add_char(&b, '.');
    assert_ok(pst_buf_check(&b, &err));
    pst_buf_add_char(&b, '!');
    assert_int_equal(b.len, 64);
    assert_code(pst_buf_check(&b, &err), PST_E_LIMIT);
    pst_buf_addf(&b, "more");
    pst_buf_add_str(&b, PST_STR("more"));
    assert_int_equal(b.len, 64);

    pst_buf_reset(&b);
    assert_ok(pst_buf_check(&b, &err));
    assert_str(pst_buf_str(&b), "");
    pst_buf_addf(&b, "%065d", 1);
    assert_code(pst_buf_check(&b, &err), PST_E_LIMIT);
}

static void a_buffer_grows_at_once_to_what_is_asked(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1 << 20);
    assert_true(pst_buf_reserve(&b, 100000));
    assert_true(b.cap > 100000);
    size_t cap = b.cap;
    assert_true(pst_buf_reserve(&b, 100000));
    assert_int_equal(b.cap, cap);
    memset(b.ptr, 'x', 100000);
    pst_buf_addf(&b, "%d", 5);
    assert_str(pst_buf_str(&b), "5");
    pst_buf_addf(&b, "%ls", L"\x7FFFFFFF");
    pst_buf_addf(&b, "%ls", L"\x7FFFFFFF");
    assert_code(pst_buf_check(&b, &err), PST_E_INTERNAL);
    assert_str(pst_buf_str(&b), "5");
}

static void consuming_drops_bytes_at_the_front(void **state)
{
    (void)state;
    PST_AUTO(buf) struct pst_buf b = {0};
    pst_buf_init(&b, 1000);
    pst_buf_consume(&b, 1);
    pst_buf_add_lit(&b, "abcdef");
    pst_buf_consume(&b, 0);
    pst_buf_consume(&b, 2);
    assert_str(pst_buf_str(&b), "cdef");
    pst_buf_consume(&b, 99);
    assert_str(pst_buf_str(&b), "");
    pst_buf_fini(&b);
    pst_buf_reset(&b);
    assert_null(b.ptr);
}

static void buffers_survive_every_allocation_fault(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        PST_AUTO(buf) struct pst_buf b = {0};
        pst_buf_init(&b, 100000);
        pst_buf_add_lit(&b, "start");
        for (int k = 0; k < 4000; k++)
            pst_buf_add_lit(&b, "0123456789");
        pst_code rc = pst_buf_check(&b, &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
        assert_true(rc != PST_OK || b.len == 40005);
    }
    assert_int_equal(pst_alloc_live(), live);
}

static void a_vector_grows_and_zeroes_new_items(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        struct {
            struct {
                int a;
                char pad[20];
            } *items;
            size_t len, cap;
        } v = {0};
        pst_code rc = PST_OK;
        for (int k = 0; k < 100 && rc == PST_OK; k++) {
            typeof(v.items) item = NULL;
            rc = pst_vec_push(&v, &item, &err);
            if (rc == PST_OK) {
                assert_int_equal(item->a, 0);
                item->a = k;
            }
        }
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
        for (size_t k = 0; k < v.len; k++)
            assert_int_equal(v.items[k].a, (int)k);
        pst_vec_fini(&v);
        assert_int_equal(v.cap, 0);
    }
    assert_int_equal(pst_alloc_live(), live);
}

static void a_vector_too_large_to_count_is_refused(void **state)
{
    (void)state;
    struct pst_err err;
    void *items = NULL;
    void *item = NULL;
    size_t len = SIZE_MAX / 4;
    size_t cap = len;
    assert_code(pst_vec_push_(&items, &len, &cap, 16, &item, &err), PST_E_NO_MEMORY);
    assert_null(items);
    assert_int_equal(len, SIZE_MAX / 4);
}

static void a_map_puts_finds_replaces_and_removes(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_map m = {0};
    int values[200];
    void *old = NULL;
    pst_map_seed(42);
    assert_null(pst_map_get(&m, PST_STR("none")));
    assert_null(pst_map_remove(&m, PST_STR("none")));
    for (int i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "key%d", i);
        assert_ok(pst_map_put(&m, pst_str_from(key), &values[i], NULL, &err));
    }
    assert_int_equal(m.count, 200);
    assert_ok(pst_map_put(&m, PST_STR("key7"), &values[9], &old, &err));
    assert_ptr_equal(old, &values[7]);
    assert_ok(pst_map_put(&m, PST_STR("key8"), &values[8], NULL, &err));
    assert_int_equal(m.count, 200);
    assert_ptr_equal(pst_map_get(&m, PST_STR("key7")), &values[9]);
    assert_ptr_equal(pst_map_remove(&m, PST_STR("key199")), &values[199]);
    assert_ptr_equal(pst_map_remove(&m, PST_STR("key0")), &values[0]);
    assert_false(pst_map_has(&m, PST_STR("key0")));
    assert_true(pst_map_has(&m, PST_STR("key198")));
    assert_ok(pst_map_put(&m, PST_STR(""), NULL, &old, &err));
    assert_null(old);
    assert_true(pst_map_has(&m, PST_STR("")));
    pst_map_fini(&m);
    pst_map_seed(0);
}

static void maps_survive_every_allocation_fault(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        struct pst_map m = {0};
        pst_code rc = PST_OK;
        size_t put = 0;
        for (; put < 20 && rc == PST_OK; put += rc == PST_OK) {
            char key[] = {'k', (char)('a' + put), 0};
            rc = pst_map_put(&m, pst_str_from(key), &err, NULL, &err);
        }
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
        assert_int_equal(m.count, put);
        for (size_t k = 0; k < put; k++) {
            char key[] = {'k', (char)('a' + k), 0};
            assert_true(pst_map_has(&m, pst_str_from(key)));
        }
        pst_map_fini(&m);
    }
    assert_int_equal(pst_alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_system_refuses_is_null_and_not_counted),
        cmocka_unit_test(the_nth_allocation_can_be_made_to_fail),
        cmocka_unit_test(an_arena_hands_out_zeroed_aligned_memory),
        cmocka_unit_test(passing_the_limit_leaves_an_arena_usable),
        cmocka_unit_test(an_arena_hands_out_bytes_that_nobody_cleared),
        cmocka_unit_test(a_tiny_arena_limit_is_raised_to_a_page),
        cmocka_unit_test(what_is_used_again_soon_has_one_block),
        cmocka_unit_test(a_block_for_all_is_no_larger_than_the_limit),
        cmocka_unit_test(arenas_survive_every_allocation_fault),
        cmocka_unit_test(a_buffer_appends_and_stops_at_its_maximum),
        cmocka_unit_test(a_buffer_grows_at_once_to_what_is_asked),
        cmocka_unit_test(consuming_drops_bytes_at_the_front),
        cmocka_unit_test(buffers_survive_every_allocation_fault),
        cmocka_unit_test(a_vector_grows_and_zeroes_new_items),
        cmocka_unit_test(a_vector_too_large_to_count_is_refused),
        cmocka_unit_test(a_map_puts_finds_replaces_and_removes),
        cmocka_unit_test(maps_survive_every_allocation_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
