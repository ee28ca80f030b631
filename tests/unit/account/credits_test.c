/* What connections take, whether it is there, and the books: in a real store, and by random changes
 * against sums of the test's own. */
#include "tests/unit/store/world.h"

#include "account/account.h"
#include "codec/json.h"
#include "store/schema.h"

/* ---- what a connection takes ---- */

static int64_t due(struct world *w, const struct pst_manifest *m, const char *config)
{
    yyjson_doc *doc = NULL;
    if (!config)
        return pst_credits_due(m, NULL);
    assert_read(w, pst_json_read(pst_str_from(config), NULL, w->arena, &doc, &w->err));
    return pst_credits_due(m, yyjson_doc_get_root(doc));
}

static yyjson_val *json(struct world *w, const char *text)
{
    yyjson_doc *doc = NULL;
    assert_read(w, pst_json_read(pst_str_from(text), NULL, w->arena, &doc, &w->err));
    return yyjson_doc_get_root(doc);
}

static void a_connection_takes_its_tier_and_twice_on_premises(void **state)
{
    struct world *w = *state;
    static const int tiers[] = {0, 1, 2, 4};
    for (size_t i = 0; i < PST_COUNT(tiers); i++) {
        struct pst_manifest m = {.credits = tiers[i]};
        assert_int_equal(due(w, &m, NULL), tiers[i]);
        assert_int_equal(due(w, &m, "{}"), tiers[i]);
        assert_int_equal(due(w, &m, "{\"deployment\":\"cloud\"}"), tiers[i]);
        assert_int_equal(due(w, &m, "{\"deployment\":\"on_premises\"}"), 2 * tiers[i]);
        assert_int_equal(due(w, &m, "{\"deployment\":\"on_premises \"}"), tiers[i]);
        assert_int_equal(due(w, &m, "{\"deployment\":true}"), tiers[i]);
        assert_int_equal(due(w, &m, "{\"Deployment\":\"on_premises\"}"), tiers[i]);
    }
}

static void without_a_deployment_the_connectors_default_counts(void **state)
{
    struct world *w = *state;
    struct pst_option options[] = {
        {.name = PST_STR("address"), .fallback = json(w, "\"on_premises\"")},
        {.name = PST_STR("deployment"), .fallback = json(w, "\"on_premises\"")},
    };
    struct pst_manifest m = {.credits = 2, .options = options, .option_count = 2};
    assert_int_equal(due(w, &m, "{}"), 4);
    assert_int_equal(due(w, &m, "{\"deployment\":null}"), 4);
    assert_int_equal(due(w, &m, "{\"deployment\":\"cloud\"}"), 2);
    options[1].fallback = NULL;
    assert_int_equal(due(w, &m, "{}"), 2);
    m.option_count = 1;
    assert_int_equal(due(w, &m, "{}"), 2);
}

/* ---- whether it is there ---- */

static void a_pool_has_as_many_as_it_has(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_credits c = {.has_pool = true, .pool = 10, .used = 6};
    assert_ok(pst_credits_judge(&c, 4, &err));
    assert_code(pst_credits_judge(&c, 5, &err), PST_E_CREDITS);
    assert_string_equal(err.msg, "5 credits are needed, of 10 there are 4 left");
    c.used = 12; /* the pool was made smaller */
    assert_code(pst_credits_judge(&c, 1, &err), PST_E_CREDITS);
    assert_string_equal(err.msg, "1 credits are needed, of 10 there are 0 left");
    assert_ok(pst_credits_judge(&c, 0, &err));
    assert_ok(pst_credits_judge(&c, -3, &err));
    c.allows_overage = true;
    assert_ok(pst_credits_judge(&c, 1000, &err));
    c.allows_overage = false;
    c.has_pool = false;
    assert_ok(pst_credits_judge(&c, 1000, &err));
}

/* ---- the books ---- */

static struct pst_credit_wish wish_of(const struct world *w, int64_t credits)
{
    return (struct pst_credit_wish){
        .organization_pk = w->org.pk,
        .connection_pk = w->conn.pk,
        .connection_id = w->conn.id,
        .credits = credits,
        .reason = "created",
        .request_id = PST_STR("req_1"),
        .now = at(60),
    };
}

static struct pst_credits sums_of(struct world *w)
{
    struct pst_credits c = {0};
    assert_read(w, pst_credits_get(w->reader, w->org.pk, &c, &w->err));
    return c;
}

static void note_finding(void *self, pst_str text)
{
    (void)self;
    print_error("%.*s\n", PST_STR_ARG(text));
}

static void assert_books_agree(struct world *w)
{
    int64_t findings = 0;
    assert_read(w, pst_store_audit(w->reader, note_finding, NULL, &findings, &w->err));
    assert_int_equal(findings, 0);
}

static void what_is_taken_is_in_the_books_with_the_amount_beyond_the_pool(void **state)
{
    struct world *w = *state;
    struct pst_credit_entry *entries = NULL;
    size_t count = 0;
    bool more = false;
    int64_t held = 0;
    struct pst_credits pool = {.has_pool = true, .pool = 5};
    assert_write(w, pst_credits_set(w->writer, w->org.pk, &pool, &w->err));
    struct pst_credit_wish wish = wish_of(w, 4);
    assert_write(w, pst_credits_hold(w->writer, &wish, &w->err));
    assert_write(w, pst_credits_hold(w->writer, &wish, &w->err)); /* has them */
    wish.credits = 8;
    assert_code(WRITE(w, pst_credits_hold(w->writer, &wish, &w->err)), PST_E_CREDITS);
    assert_int_equal(sums_of(w).used, 4);
    pool.allows_overage = true;
    assert_write(w, pst_credits_set(w->writer, w->org.pk, &pool, &w->err));
    assert_write(w, pst_credits_hold(w->writer, &wish, &w->err));
    wish.credits = 1;
    assert_write(w, pst_credits_hold(w->writer, &wish, &w->err));
    assert_read(w, pst_credits_held(w->reader, w->conn.pk, &held, &w->err));
    assert_int_equal(held, 1);
    assert_int_equal(sums_of(w).used, 1);
    assert_int_equal(sums_of(w).pool, 5);
    assert_true(sums_of(w).allows_overage);

    assert_read(w, pst_credits_ledger(w->reader, w->org.pk, 0, 2, w->arena, &entries, &count, &more,
                                      &w->err));
    assert_int_equal(count, 2);
    assert_true(more);
    assert_int_equal(entries[0].amount, -7);
    assert_int_equal(entries[0].overage, 0);
    assert_int_equal(entries[0].used, 1);
    assert_int_equal(entries[1].amount, 4);
    assert_int_equal(entries[1].overage, 3);
    assert_int_equal(entries[1].used, 8);
    assert_str(entries[1].reason, "created");
    assert_str(entries[1].request_id, "req_1");
    assert_string_equal(entries[1].connection_id.text, w->conn.id.text);
    assert_true(entries[1].at.us == at(60).us);
    assert_read(w, pst_credits_ledger(w->reader, w->org.pk, entries[1].pk, 2, w->arena, &entries,
                                      &count, &more, &w->err));
    assert_int_equal(count, 1);
    assert_false(more);
    assert_int_equal(entries[0].amount, 4);
    assert_books_agree(w);
}

static void a_pool_comes_and_goes(void **state)
{
    struct world *w = *state;
    int64_t total = 0;
    assert_false(sums_of(w).has_pool);
    struct pst_credit_wish wish = wish_of(w, 1000);
    assert_write(w, pst_credits_hold(w->writer, &wish, &w->err));
    struct pst_credits none = {.has_pool = true, .pool = 0};
    assert_write(w, pst_credits_set(w->writer, w->org.pk, &none, &w->err));
    assert_code(pst_credits_check(w->reader, w->org.pk, 1, &w->err), PST_E_CREDITS);
    assert_true(sums_of(w).has_pool);
    assert_write(w, pst_credits_set(w->writer, w->org.pk, &(struct pst_credits){0}, &w->err));
    assert_false(sums_of(w).has_pool);
    assert_read(w, pst_credits_check(w->reader, w->org.pk, 1, &w->err));
    assert_read(w, pst_credits_total(w->reader, &total, &w->err));
    assert_int_equal(total, 1000);
}

static void who_is_not_there_has_no_credits(void **state)
{
    struct world *w = *state;
    struct pst_credits c;
    struct pst_credit_wish wish = wish_of(w, 4);
    assert_code(pst_credits_get(w->reader, 999, &c, &w->err), PST_E_NOT_FOUND);
    assert_code(pst_credits_check(w->reader, 999, 1, &w->err), PST_E_NOT_FOUND);
    assert_code(WRITE(w, pst_credits_set(w->writer, 999, &(struct pst_credits){0}, &w->err)),
                PST_E_NOT_FOUND);
    wish.connection_pk = 999;
    assert_code(WRITE(w, pst_credits_hold(w->writer, &wish, &w->err)), PST_E_NOT_FOUND);
    wish = wish_of(w, 4);
    wish.organization_pk = 999;
    assert_code(WRITE(w, pst_credits_hold(w->writer, &wish, &w->err)), PST_E_NOT_FOUND);
    wish = wish_of(w, 4);
    wish.connection_id = w->org.id;
    assert_code(WRITE(w, pst_credits_hold(w->writer, &wish, &w->err)), PST_E_INTERNAL);
    assert_int_equal(sums_of(w).used, 0);
    assert_books_agree(w);
}

static void holders_are_listed_page_by_page(void **state)
{
    struct world *w = *state;
    struct pst_credit_holder *list = NULL;
    size_t count = 0;
    bool more = false;
    struct pst_connection second = w->conn;
    second.id = world_id("conn_", 2);
    second.name = PST_STR("Second");
    assert_write(w, pst_connections_create(w->writer, &second, PST_STR(""), &w->err));
    struct pst_credit_wish wish = wish_of(w, 4);
    assert_write(w, pst_credits_hold(w->writer, &wish, &w->err));
    assert_read(w, pst_credits_holders(w->reader, w->org.pk, 0, 1, w->arena, &list, &count, &more,
                                       &w->err));
    assert_int_equal(count, 1);
    assert_true(more);
    assert_int_equal(list[0].credits, 4);
    assert_str(list[0].name, "Plant");
    assert_str(list[0].connector, "peoplesoft");
    assert_read(w, pst_credits_holders(w->reader, w->org.pk, list[0].pk, 1, w->arena, &list, &count,
                                       &more, &w->err));
    assert_false(more);
    assert_int_equal(list[0].credits, 0);
    assert_string_equal(list[0].id.text, second.id.text);
    assert_write(w, pst_connections_delete(w->writer, second.pk, false, at(9), &w->err));
    assert_read(w, pst_credits_holders(w->reader, w->org.pk, 0, 500, w->arena, &list, &count, &more,
                                       &w->err));
    assert_int_equal(count, 1);
    assert_code(
        pst_credits_holders(w->reader, w->org.pk, 0, 501, w->arena, &list, &count, &more, &w->err),
        PST_E_INVALID);
}

static void books_that_do_not_agree_are_found(void **state)
{
    struct world *w = *state;
    static const char *const wrong[] = {
        "UPDATE organization SET credits_used = credits_used + 1",
        "UPDATE connection SET credits = credits - 1",
        "DELETE FROM credit_entry",
    };
    struct pst_credit_wish wish = wish_of(w, 4);
    assert_write(w, pst_credits_hold(w->writer, &wish, &w->err));
    assert_books_agree(w);
    for (size_t i = 0; i < PST_COUNT(wrong); i++) {
        int64_t findings = 0;
        world_begin(w);
        assert_read(w, pst_db_exec_script(w->writer, pst_str_from(wrong[i]), &w->err));
        assert_read(w, pst_store_audit(w->writer, note_finding, NULL, &findings, &w->err));
        assert_int_equal(findings, 1);
        (void)world_finish(w, PST_E_CANCELLED);
    }
    assert_books_agree(w);
}

/* ---- any sequence ---- */

enum { OWNERS = 8, STEPS = 800 };

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void any_sequence_adds_up(void **state)
{
    struct world *w = *state;
    struct pst_connection owners[OWNERS];
    int64_t holds[OWNERS] = {0};
    int64_t used = 0;
    int64_t pool = -1; /* none */
    bool overage = false;
    uint64_t seed = 2685821657736338717U;
    for (unsigned i = 0; i < OWNERS; i++) {
        owners[i] = w->conn;
        owners[i].id = world_id("conn_", 100 + i);
        assert_write(w, pst_connections_create(w->writer, &owners[i], PST_STR(""), &w->err));
    }
    for (int step = 0; step < STEPS; step++) {
        if (next(&seed) % 10 == 0) {
            pool = (int64_t)(next(&seed) % 40) - 1;
            overage = next(&seed) % 4 == 0;
            struct pst_credits c = {
                .has_pool = pool >= 0, .pool = pool >= 0 ? pool : 0, .allows_overage = overage};
            assert_write(w, pst_credits_set(w->writer, w->org.pk, &c, &w->err));
            continue;
        }
        size_t who = next(&seed) % OWNERS;
        int64_t wanted = (int64_t[]){0, 1, 2, 4, 8}[next(&seed) % 5];
        int64_t after = used - holds[who] + wanted;
        bool fits = pool < 0 || overage || wanted <= holds[who] || after <= pool;
        struct pst_credit_wish wish = wish_of(w, wanted);
        wish.connection_pk = owners[who].pk;
        wish.connection_id = owners[who].id;
        assert_code(WRITE(w, pst_credits_hold(w->writer, &wish, &w->err)),
                    fits ? PST_OK : PST_E_CREDITS);
        if (fits) {
            holds[who] = wanted;
            used = after;
        }
        assert_int_equal(sums_of(w).used, used);
        if (step % 100 == 0)
            assert_books_agree(w);
    }
    assert_books_agree(w);
}

/* A store of the time before there were credits. */
static void what_was_there_before_takes_its_credits(void **state)
{
    struct world *w = *state;
    size_t count = 0;
    const struct pst_migration *list = pst_schema_migrations(&count);
    const struct pst_migration *step = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, "credits") == 0)
            step = &list[i];
    }
    assert_non_null(step);
    static const char *const configs[] = {"{\"deployment\":\"on_premises\"}", "{}"};
    struct pst_connection gone = {0};
    for (unsigned i = 0; i < 3; i++) {
        struct pst_connection c = w->conn;
        c.id = world_id("conn_", 10 + i);
        c.config = pst_str_from(configs[i % 2]);
        assert_write(w, pst_connections_create(w->writer, &c, PST_STR(""), &w->err));
        gone = c;
    }
    assert_write(w, pst_connections_delete(w->writer, gone.pk, false, at(1), &w->err));
    world_begin(w);
    assert_read(w, pst_db_exec_script(w->writer,
                                      PST_STR("DROP TABLE credit_entry;"
                                              "ALTER TABLE connection DROP COLUMN credits;"
                                              "ALTER TABLE organization DROP COLUMN credits;"
                                              "ALTER TABLE organization DROP COLUMN overage;"
                                              "ALTER TABLE organization DROP COLUMN credits_used"),
                                      &w->err));
    assert_read(w, pst_db_exec_script(w->writer, step->sql, &w->err));
    (void)world_finish(w, PST_OK);
    assert_int_equal(sums_of(w).used, 4 + 8 + 4);
    assert_false(sums_of(w).has_pool);
    assert_books_agree(w);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_connection_takes_its_tier_and_twice_on_premises),
        CASE(without_a_deployment_the_connectors_default_counts),
        CASE(a_pool_has_as_many_as_it_has),
        CASE(what_is_taken_is_in_the_books_with_the_amount_beyond_the_pool),
        CASE(a_pool_comes_and_goes),
        CASE(who_is_not_there_has_no_credits),
        CASE(holders_are_listed_page_by_page),
        CASE(books_that_do_not_agree_are_found),
        CASE(any_sequence_adds_up),
        CASE(what_was_there_before_takes_its_credits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
