/* A page against what is stored: order, pairing, what is missing, classification. */
#include <stdio.h>

#include "base/vec.h"
#include "sync/merge.h"
#include "tests/unit/test.h"

static struct pst_arena *arena;
static struct pst_err err;

static int setup(void **state)
{
    (void)state;
    return pst_arena_new(&arena, 64 << 20, &err) == PST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    pst_arena_free(arena);
    return 0;
}

static struct pst_document doc(const char *key, int64_t stamp)
{
    return (struct pst_document){.sort_key = pst_str_from(key), .stamp = {stamp}, .row_count = 1};
}

static struct pst_record_state stored(const char *key, int64_t pk)
{
    return (struct pst_record_state){
        .pk = pk, .sort_key = pst_str_from(key), .stamp = {1000}, .source_hash = {7, 7}};
}

static void documents_are_put_in_key_order(void **state)
{
    (void)state;
    struct pst_document docs[] = {doc("b", 1), doc("d", 1), doc("a", 1), doc("c", 1)};
    const struct pst_page page = {.documents = docs, .count = 4};
    struct pst_merge m;
    assert_ok(pst_merge_prepare(&m, &page, (pst_str){0}, false, arena, &err));
    assert_true(m.is_disordered);
    assert_int_equal(m.count, 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(m.docs[m.order[i]].sort_key.ptr[0], 'a' + (int)i);
    assert_str(m.min_key, "a");
    assert_str(m.max_key, "d");
}

static void order_is_judged_against_the_page_before(void **state)
{
    (void)state;
    struct pst_document docs[] = {doc("b", 1), doc("c", 1)};
    const struct pst_page page = {.documents = docs, .count = 2};
    static const struct {
        const char *prev;
        bool is_disordered;
    } cases[] = {{"", false}, {"a", false}, {"b", false}, {"ba", true}, {"z", true}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_merge m;
        assert_ok(pst_merge_prepare(&m, &page, pst_str_from(cases[i].prev), false, arena, &err));
        assert_int_equal(m.is_disordered, cases[i].is_disordered);
        assert_int_equal(m.count, 2);
    }
}

static void of_repeats_the_later_stamp_wins_then_the_later_place(void **state)
{
    (void)state;
    static const struct {
        int64_t first, second;
        size_t winner;
    } cases[] = {{5, 4, 0}, {4, 5, 1}, {5, 5, 1}, {INT64_MIN, 5, 1}, {5, INT64_MIN, 1}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_document docs[] = {doc("a", cases[i].first), doc("a", cases[i].second),
                                      doc("b", 1)};
        const struct pst_page page = {.documents = docs, .count = 3};
        struct pst_merge m;
        assert_ok(pst_merge_prepare(&m, &page, (pst_str){0}, false, arena, &err));
        assert_int_equal(m.count, 2);
        assert_int_equal(m.order[0], cases[i].winner);
        assert_false(m.is_disordered);
    }
}

static void repeats_are_found_in_any_order_and_keep_the_gaps_between_them(void **state)
{
    (void)state;
    struct pst_document docs[] = {doc("c", 1), doc("a", 2), doc("c", 3), doc("", 1), doc("a", 1)};
    const struct pst_page page = {.documents = docs, .count = 5};
    struct pst_merge m;
    assert_ok(pst_merge_prepare(&m, &page, (pst_str){0}, false, arena, &err));
    assert_true(m.is_disordered);
    assert_int_equal(m.count, 2);
    assert_int_equal(m.order[0], 1); /* a, by its later stamp */
    assert_int_equal(m.order[1], 2); /* c */
    struct pst_document again[] = {doc("a", 1), doc("", 1), doc("a", 1), doc("b", 1)};
    const struct pst_page repeated = {.documents = again, .count = 4};
    assert_ok(pst_merge_prepare(&m, &repeated, (pst_str){0}, false, arena, &err));
    assert_false(m.is_disordered);
    assert_int_equal(m.count, 2);
    assert_false(m.gaps[0]);
    assert_true(m.gaps[1]); /* between the two a there was something */
    assert_false(m.gaps[2]);
    /* So nothing that is stored between a and b can be told to be missing. */
    struct pst_record_state aa = stored("aa", 7);
    const struct pst_record_states chunk = {.items = &aa, .count = 1};
    struct pst_missing missing = {0};
    assert_ok(pst_merge_states(&m, &chunk, PST_WALL_NONE, &missing, &err));
    assert_int_equal(missing.len, 0);
}

static void of_an_empty_page_everything_is_missing(void **state)
{
    (void)state;
    const struct pst_page page = {.documents = NULL, .count = 0};
    struct pst_record_state states[] = {stored("a", 1), stored("b", 2)};
    const struct pst_record_states chunk = {.items = states, .count = 2};
    struct pst_missing missing = {0};
    struct pst_merge m;
    assert_ok(pst_merge_prepare(&m, &page, PST_STR("0"), false, arena, &err));
    assert_str(m.min_key, "");
    assert_ok(pst_merge_states(&m, &chunk, PST_WALL_NONE, &missing, &err));
    assert_int_equal(missing.len, 2);
    pst_vec_fini(&missing);
}

static void no_memory_is_an_error_of_every_step(void **state)
{
    (void)state;
    struct pst_document docs[] = {doc("d", 1), doc("b", 1)};
    const struct pst_page page = {.documents = docs, .count = 2};
    struct pst_record_state states[] = {stored("a", 1), stored("b", 2), stored("c", 3)};
    const struct pst_record_states chunk = {.items = states, .count = 3};
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        PST_AUTO(arena) struct pst_arena *own = NULL;
        struct pst_missing missing = {0};
        struct pst_merge m;
        pst_str before;
        pst_code rc = pst_arena_new(&own, 1 << 20, &err);
        if (rc == PST_OK)
            rc = pst_merge_prepare(&m, &page, (pst_str){0}, false, own, &err);
        if (rc == PST_OK)
            rc = pst_merge_states(&m, &chunk, PST_WALL_NONE, &missing, &err);
        if (rc == PST_OK)
            rc = pst_merge_key_before(PST_STR("z"), own, &before, &err);
        assert_int_equal(rc, pst_alloc_failed() ? PST_E_NO_MEMORY : PST_OK);
        assert_true(rc != PST_OK || missing.len == 2);
        pst_vec_fini(&missing);
    }
    assert_int_equal(pst_alloc_live(), live);
}

static void nothing_beside_a_document_without_key_is_called_missing(void **state)
{
    (void)state;
    struct pst_document docs[] = {doc("b", 1), doc("", 1), doc("d", 1), doc("f", 1), doc("", 1)};
    const struct pst_page page = {.documents = docs, .count = 5};
    struct pst_record_state states[] = {stored("a", 1), stored("b", 2), stored("c", 3),
                                        stored("d", 4), stored("e", 5), stored("f", 6)};
    const struct pst_record_states chunk = {.items = states, .count = 6};
    struct pst_merge m;
    struct pst_missing missing = {0};
    assert_ok(pst_merge_prepare(&m, &page, (pst_str){0}, true, arena, &err));
    assert_ok(pst_merge_states(&m, &chunk, PST_WALL_NONE, &missing, &err));
    /* a: the page before ended in a gap; c: the gap behind b. */
    assert_int_equal(missing.len, 1);
    assert_int_equal(missing.items[0], 5);
    assert_true(m.gaps[m.count]);
    pst_vec_fini(&missing);
}

static void missing_needs_a_live_record_inside_the_window(void **state)
{
    (void)state;
    static const struct {
        int64_t stamp, from;
        bool deleted, is_missing;
    } cases[] = {
        {1000, INT64_MIN, false, true},      {1000, INT64_MIN, true, false},
        {1000, 1000, false, true},           {1000, 1001, false, false},
        {INT64_MIN, INT64_MIN, false, true}, {INT64_MIN, 1, false, false},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_document docs[] = {doc("b", 1)};
        const struct pst_page page = {.documents = docs, .count = 1};
        struct pst_record_state s = stored("a", 9);
        s.stamp.us = cases[i].stamp;
        s.deleted = cases[i].deleted;
        const struct pst_record_states chunk = {.items = &s, .count = 1};
        struct pst_missing missing = {0};
        struct pst_merge m;
        assert_ok(pst_merge_prepare(&m, &page, (pst_str){0}, false, arena, &err));
        assert_ok(pst_merge_states(&m, &chunk, (pst_wall){cases[i].from}, &missing, &err));
        assert_int_equal(missing.len, cases[i].is_missing ? 1 : 0);
        pst_vec_fini(&missing);
    }
}

static void classification_compares_the_unified_record(void **state)
{
    (void)state;
    const pst_hash128 h = {1, 2};
    const pst_hash128 other = {1, 3};
    const pst_hash128 others = {2, 2};
    const struct pst_match none = {0};
    const struct pst_match live = {.pk = 1, .source_hash = {7, 7}, .hash = {1, 2}};
    const struct pst_match gone = {.pk = 1, .source_hash = {7, 7}, .hash = {1, 2}, .deleted = true};
    assert_int_equal(pst_merge_classify(&none, h), PST_RECORD_CREATE);
    assert_int_equal(pst_merge_classify(&live, h), PST_RECORD_RESTAMP);
    assert_int_equal(pst_merge_classify(&live, other), PST_RECORD_UPDATE);
    assert_int_equal(pst_merge_classify(&live, others), PST_RECORD_UPDATE);
    assert_int_equal(pst_merge_classify(&gone, h), PST_RECORD_UPDATE);
    assert_true(pst_merge_is_known(&live, (pst_hash128){7, 7}));
    assert_false(pst_merge_is_known(&live, (pst_hash128){7, 8}));
    assert_false(pst_merge_is_known(&gone, (pst_hash128){7, 7}));
    assert_false(pst_merge_is_known(&none, (pst_hash128){0, 0}));
}

static void the_key_before_leaves_room_for_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        size_t len;
    } cases[] = {{"A\0", 2}, {"\x80\0\0\0\0\0\0\0", 8}, {"\x80\0\0\0\0\0\0\1", 8}, {"z", 1}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        pst_str key = {cases[i].key, cases[i].len};
        pst_str before;
        assert_ok(pst_merge_key_before(key, arena, &before, &err));
        assert_true(pst_str_cmp(before, key) < 0);
        /* The neighbour one lower, as an integer key has it, is not above it. */
        if (key.ptr[key.len - 1] != 0) {
            char lower[8];
            memcpy(lower, key.ptr, key.len);
            lower[key.len - 1]--;
            assert_true(pst_str_cmp((pst_str){lower, key.len}, before) <= 0);
        }
    }
}

/* ---- against a slow reference ---- */

static uint64_t seed;

static unsigned draw(unsigned below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % below);
}

enum { KEYS = 60 };

/* Every second seed gives documents in key order; states always are. */
static void play(uint64_t with)
{
    seed = with * 0x9e3779b97f4a7c15U + 1;
    static char names[KEYS][4];
    struct pst_document docs[KEYS];
    struct pst_record_state states[KEYS];
    bool in_page[KEYS] = {false};
    bool in_store[KEYS] = {false};
    size_t doc_count = 0;
    size_t state_count = 0;
    unsigned last_doc = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        snprintf(names[k], sizeof names[k], "k%02u", k);
        if (draw(3) == 0) {
            in_page[k] = true;
            last_doc = k;
            docs[doc_count++] = doc(names[k], 1);
        }
    }
    for (unsigned k = 0; k <= last_doc; k++)
        if (draw(2) == 0) {
            in_store[k] = true;
            states[state_count++] = stored(names[k], k + 1);
        }
    if (with % 2)
        for (size_t i = 0; i + 1 < doc_count; i++) {
            size_t j = i + draw((unsigned)(doc_count - i));
            struct pst_document d = docs[i];
            docs[i] = docs[j];
            docs[j] = d;
        }
    const struct pst_page page = {.documents = docs, .count = doc_count};
    struct pst_merge m;
    struct pst_missing missing = {0};
    assert_ok(pst_merge_prepare(&m, &page, (pst_str){0}, false, arena, &err));
    for (size_t at = 0; at < state_count;) {
        size_t n = 1 + draw(7);
        if (n > state_count - at)
            n = state_count - at;
        const struct pst_record_states chunk = {.items = states + at, .count = n};
        assert_ok(pst_merge_states(&m, &chunk, PST_WALL_NONE, &missing, &err));
        at += n;
    }
    for (size_t i = 0; i < m.count; i++) {
        const char *key = m.docs[m.order[i]].sort_key.ptr;
        unsigned k = (unsigned)(10 * (key[1] - '0') + key[2] - '0');
        assert_int_equal(m.matches[i].pk, in_store[k] ? k + 1 : 0);
    }
    size_t at = 0;
    for (unsigned k = 0; k < KEYS; k++)
        if (in_store[k] && !in_page[k]) {
            assert_true(at < missing.len);
            assert_int_equal(missing.items[at++], k + 1);
        }
    assert_int_equal(at, missing.len);
    pst_vec_fini(&missing);
    pst_arena_reset(arena);
}

static void pairing_equals_a_slow_reference_on_random_pages(void **state)
{
    (void)state;
    for (uint64_t with = 1; with <= 2000; with++)
        play(with);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_put_in_key_order),
        cmocka_unit_test(order_is_judged_against_the_page_before),
        cmocka_unit_test(of_repeats_the_later_stamp_wins_then_the_later_place),
        cmocka_unit_test(repeats_are_found_in_any_order_and_keep_the_gaps_between_them),
        cmocka_unit_test(of_an_empty_page_everything_is_missing),
        cmocka_unit_test(no_memory_is_an_error_of_every_step),
        cmocka_unit_test(nothing_beside_a_document_without_key_is_called_missing),
        cmocka_unit_test(missing_needs_a_live_record_inside_the_window),
        cmocka_unit_test(classification_compares_the_unified_record),
        cmocka_unit_test(the_key_before_leaves_room_for_nothing_else),
        cmocka_unit_test(pairing_equals_a_slow_reference_on_random_pages),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
