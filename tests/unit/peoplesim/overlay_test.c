/* Tests of peoplesim/overlay.h: order, lookups and what is kept, against a plain array. */
#include "peoplesim/overlay.h"

#include "base/cleanup.h"
#include "tests/unit/test.h"

enum { MANY = 5000 };

static void changes_come_in_order_whatever_order_they_were_made_in(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_sim_overlay o = {0};
    for (uint64_t i = 0; i < MANY; i++) {
        struct pst_sim_change *c = NULL;
        assert_ok(pst_sim_overlay_touch(&o, i * 7919 % MANY * 10, &c, &err));
        assert_int_equal(c->stamp, PST_SIM_STAMP_BASE);
    }
    assert_int_equal(o.count, MANY);
    uint64_t want = 0;
    for (struct pst_sim_place p = pst_sim_overlay_lower(&o, 0); pst_sim_overlay_at(&o, p);
         pst_sim_overlay_step(&o, &p)) {
        assert_int_equal(pst_sim_overlay_at(&o, p)->doc, want);
        want += 10;
    }
    assert_int_equal(want, MANY * 10);
    pst_sim_overlay_fini(&o);
}

static void lower_finds_the_first_change_not_below(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_sim_overlay o = {0};
    struct pst_sim_change *c = NULL;
    assert_null(pst_sim_overlay_at(&o, pst_sim_overlay_lower(&o, 5)));
    for (uint64_t doc = 10; doc <= MANY; doc += 10)
        assert_ok(pst_sim_overlay_touch(&o, doc, &c, &err));
    for (uint64_t doc = 0; doc <= MANY; doc += 5) {
        const struct pst_sim_change *at = pst_sim_overlay_at(&o, pst_sim_overlay_lower(&o, doc));
        uint64_t want = doc == 0 ? 10 : (doc + 9) / 10 * 10;
        assert_non_null(at);
        assert_int_equal(at->doc, want);
        assert_true((pst_sim_overlay_find(&o, doc) != NULL) == (doc != 0 && doc % 10 == 0));
    }
    assert_null(pst_sim_overlay_at(&o, pst_sim_overlay_lower(&o, MANY + 1)));
    pst_sim_overlay_fini(&o);
}

static void edits_are_kept_by_line_and_record_and_cleared_together(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_sim_overlay o = {0};
    struct pst_sim_change *c = NULL;
    struct pst_sim_edit *e = NULL;
    assert_ok(pst_sim_overlay_touch(&o, 1, &c, &err));
    assert_ok(pst_sim_edit_touch(c, 2, 1, &e, &err));
    assert_ok(pst_sim_edit_set(e, 4, PST_STR("first"), &err));
    assert_ok(pst_sim_edit_set(e, 4, PST_STR("second"), &err));
    assert_ok(pst_sim_edit_touch(c, 1, 9, &e, &err));
    assert_ok(pst_sim_edit_touch(c, 2, 0, &e, &err));
    assert_int_equal(c->edits.len, 3);
    const struct pst_sim_edit *found = pst_sim_edit_find(c, 2, 1);
    assert_non_null(found);
    assert_int_equal(found->values.len, 1);
    assert_str(found->values.items[0].text, "second");
    assert_null(pst_sim_edit_find(c, 2, 2));
    for (size_t i = 1; i < c->edits.len; i++)
        assert_true(c->edits.items[i - 1].line * 1000 + c->edits.items[i - 1].sub <
                    c->edits.items[i].line * 1000 + c->edits.items[i].sub);
    pst_sim_change_clear(c);
    assert_null(pst_sim_edit_find(c, 2, 1));
    pst_sim_overlay_fini(&o);
}

static void a_refused_allocation_leaves_nothing_behind(void **state)
{
    (void)state;
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        struct pst_sim_overlay o = {0};
        struct pst_sim_change *c = NULL;
        struct pst_sim_edit *e = NULL;
        int64_t live = pst_alloc_live();
        pst_code rc = pst_sim_overlay_touch(&o, 7, &c, &err);
        if (rc == PST_OK)
            rc = pst_sim_edit_touch(c, 1, 1, &e, &err);
        if (rc == PST_OK)
            rc = pst_sim_edit_set(e, 3, PST_STR("text"), &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
        pst_sim_overlay_fini(&o);
        assert_int_equal(pst_alloc_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_come_in_order_whatever_order_they_were_made_in),
        cmocka_unit_test(lower_finds_the_first_change_not_below),
        cmocka_unit_test(edits_are_kept_by_line_and_record_and_cleared_together),
        cmocka_unit_test(a_refused_allocation_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
