/* tests/unit/store/endpoints_test.c: webhook endpoints: what a user set, how they fare, choices. */
#include "store/endpoints.h"
#include "tests/unit/store/world.h"

static struct pst_endpoint sample(const struct world *w, unsigned n, int64_t connection_pk)
{
    return (struct pst_endpoint){.id = world_id("whk_", n),
                                 .organization_pk = w->org.pk,
                                 .connection_pk = connection_pk,
                                 .url = PST_STR("https://app.example.com/hooks"),
                                 .description = PST_STR("app"),
                                 .events = PST_STR("*"),
                                 .enabled = true,
                                 .ordered = true,
                                 .rate_limit = 50,
                                 .timeout_ms = 10000,
                                 .horizon_ms = 86400000,
                                 .signing = PST_SIGNING_ED25519,
                                 .headers = PST_STR("h"),
                                 .secrets = PST_STR("s"),
                                 .public_keys = PST_STR("[\"whpk_x\"]"),
                                 .created_at = at(1)};
}

static struct pst_endpoint add(struct world *w, unsigned n, int64_t connection_pk)
{
    struct pst_endpoint e = sample(w, n, connection_pk);
    assert_write(w, pst_endpoints_create(w->writer, &e, &w->err));
    return e;
}

static struct pst_endpoint get(struct world *w, const struct pst_endpoint *e)
{
    struct pst_endpoint got;
    assert_read(
        w, pst_endpoints_get(w->reader, w->org.pk, pst_id_str(&e->id), w->arena, &got, &w->err));
    return got;
}

static void an_endpoint_comes_back_as_it_was_written(void **state)
{
    struct world *w = *state;
    struct pst_endpoint e = add(w, 1, w->conn.pk);
    struct pst_endpoint got = get(w, &e);
    assert_string_equal(got.organization_id.text, w->org.id.text);
    assert_string_equal(got.connection_id.text, w->conn.id.text);
    assert_str(got.url, "https://app.example.com/hooks");
    assert_str(got.description, "app");
    assert_str(got.events, "*");
    assert_str(got.headers, "h");
    assert_str(got.secrets, "s");
    assert_str(got.public_keys, "[\"whpk_x\"]");
    assert_true(got.enabled && got.ordered && got.signing == PST_SIGNING_ED25519);
    assert_int_equal(got.rate_limit, 50);
    assert_int_equal(got.timeout_ms, 10000);
    assert_int_equal(got.horizon_ms, 86400000);
    assert_int_equal(got.version, 1);
    assert_true(pst_wall_is_none(got.health.failing_since));
    assert_true(pst_wall_is_none(got.health.disabled_at));
    assert_code(WRITE(w, pst_endpoints_create(w->writer, &e, &w->err)), PST_E_CONFLICT);
    e.id = world_id("conn_", 1);
    assert_code(WRITE(w, pst_endpoints_create(w->writer, &e, &w->err)), PST_E_INTERNAL);
}

static void foreign_absent_and_deleted_ones_are_not_found(void **state)
{
    struct world *w = *state;
    struct pst_endpoint e = add(w, 1, 0);
    struct pst_endpoint got;
    pst_str id = pst_id_str(&e.id);
    assert_code(pst_endpoints_get(w->reader, w->org.pk + 1, id, w->arena, &got, &w->err),
                PST_E_NOT_FOUND);
    assert_code(pst_endpoints_get(w->reader, 0, PST_STR("whk_"), w->arena, &got, &w->err),
                PST_E_NOT_FOUND);
    assert_code(pst_endpoints_get_pk(w->reader, e.pk + 1, w->arena, &got, &w->err),
                PST_E_NOT_FOUND);
    assert_write(w, pst_endpoints_delete(w->writer, e.pk, at(2), &w->err));
    assert_code(pst_endpoints_get(w->reader, 0, id, w->arena, &got, &w->err), PST_E_NOT_FOUND);
    assert_code(WRITE(w, pst_endpoints_delete(w->writer, e.pk, at(2), &w->err)), PST_E_NOT_FOUND);
    assert_code(WRITE(w, pst_endpoints_update(w->writer, &e, at(3), &w->err)), PST_E_NOT_FOUND);
    assert_code(WRITE(w, pst_endpoints_set_health(w->writer, e.pk, 1, &e.health, &w->err)),
                PST_E_NOT_FOUND);
    assert_read(w, pst_endpoints_get_pk(w->reader, e.pk, w->arena, &got, &w->err));
    assert_true(got.deleted_at.us == at(2).us);
    assert_int_equal(got.secrets.len + got.headers.len, 0);
}

static void lists_say_what_applies_to_a_connection(void **state)
{
    struct world *w = *state;
    struct pst_endpoint *items = NULL;
    size_t count = 0;
    bool more = false;
    (void)add(w, 1, 0);
    (void)add(w, 2, w->conn.pk);
    (void)add(w, 3, w->conn.pk + 1);
    static const struct {
        int of_connection; /* -1 all, 0 organization-wide, 1 what applies to the connection */
        size_t count;
    } cases[] = {{-1, 3}, {0, 1}, {1, 2}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        int64_t of = cases[i].of_connection == 1 ? w->conn.pk : cases[i].of_connection;
        assert_read(w, pst_endpoints_list(w->reader, w->org.pk, of, 0, 10, w->arena, &items, &count,
                                          &more, &w->err));
        assert_int_equal(count, cases[i].count);
        assert_false(more);
    }
    assert_read(w, pst_endpoints_list(w->reader, w->org.pk, -1, 0, 2, w->arena, &items, &count,
                                      &more, &w->err));
    assert_true(more && count == 2);
    assert_read(w, pst_endpoints_list(w->reader, w->org.pk, -1, items[1].pk, 2, w->arena, &items,
                                      &count, &more, &w->err));
    assert_true(!more && count == 1);
    assert_read(w, pst_endpoints_list(w->reader, w->org.pk + 1, -1, 0, 2, w->arena, &items, &count,
                                      &more, &w->err));
    assert_int_equal(count, 0);
    assert_code(pst_endpoints_list(w->reader, w->org.pk, -1, 0, 501, w->arena, &items, &count,
                                   &more, &w->err),
                PST_E_INVALID);
}

static void an_update_needs_the_version_it_read(void **state)
{
    struct world *w = *state;
    struct pst_endpoint e = add(w, 1, 0);
    e.url = PST_STR("https://other.example.com/");
    e.rate_limit = 0;
    assert_write(w, pst_endpoints_update(w->writer, &e, at(9), &w->err));
    struct pst_endpoint got = get(w, &e);
    assert_str(got.url, "https://other.example.com/");
    assert_int_equal(got.rate_limit, 0);
    assert_int_equal(got.version, 2);
    assert_true(got.updated_at.us == at(9).us);
    assert_code(WRITE(w, pst_endpoints_update(w->writer, &e, at(9), &w->err)), PST_E_CONFLICT);
}

static const struct pst_endpoint_health bad = {.failures = 12,
                                               .open_step = 2,
                                               .open_us = 7,
                                               .disabled_reason = PST_STR_INIT("failing"),
                                               .last_error = PST_STR_INIT("503")};

static void switching_on_forgets_failures_but_not_how_long_it_was_open(void **state)
{
    struct world *w = *state;
    struct pst_endpoint_totals totals = {0};
    struct pst_endpoint e = add(w, 1, 0);
    struct pst_endpoint_health h = bad;
    h.failing_since = at(1);
    h.open_since = at(10);
    h.probe_at = at(40);
    h.disabled_at = at(50);
    h.last_failure_at = at(39);
    h.last_success_at = PST_WALL_NONE;
    assert_write(w, pst_endpoints_set_health(w->writer, e.pk, 1, &h, &w->err));
    struct pst_endpoint got = get(w, &e);
    assert_int_equal(got.health.failures, 12);
    assert_int_equal(got.health.open_step, 2);
    assert_true(got.health.open_since.us == at(10).us && got.health.probe_at.us == at(40).us);
    assert_str(got.health.disabled_reason, "failing");
    assert_str(got.health.last_error, "503");
    assert_int_equal(got.version, 1);
    assert_read(w, pst_endpoints_totals(w->reader, &totals, &w->err));
    assert_true(totals.endpoints == 1 && totals.disabled == 1 && totals.failing == 0);

    /* Another change leaves it disabled; who switches it on takes that back. */
    assert_write(w, pst_endpoints_update(w->writer, &got, at(55), &w->err));
    got = get(w, &e);
    assert_int_equal(got.health.failures, 12);
    assert_true(got.health.disabled_at.us == at(50).us);
    got.health.disabled_at = PST_WALL_NONE;
    assert_write(w, pst_endpoints_update(w->writer, &got, at(60), &w->err));
    got = get(w, &e);
    assert_int_equal(got.health.failures, 0);
    assert_true(pst_wall_is_none(got.health.failing_since));
    assert_true(pst_wall_is_none(got.health.disabled_at));
    assert_true(pst_wall_is_none(got.health.open_since));
    assert_int_equal(got.health.open_us, 7 + 50 * PST_US_PER_S);
    assert_str(got.health.disabled_reason, "");

    h = (struct pst_endpoint_health){.failures = 3, .failing_since = at(70)};
    h.open_since = h.probe_at = h.disabled_at = h.last_success_at = h.last_failure_at =
        PST_WALL_NONE;
    assert_code(WRITE(w, pst_endpoints_set_health(w->writer, e.pk, 1, &h, &w->err)),
                PST_E_CONFLICT);
    assert_write(w, pst_endpoints_set_health(w->writer, e.pk, got.version, &h, &w->err));
    assert_read(w, pst_endpoints_totals(w->reader, &totals, &w->err));
    assert_int_equal(totals.failing, 1);
    got = get(w, &e);
    assert_write(w, pst_endpoints_update(w->writer, &got, at(80), &w->err));
    assert_int_equal(get(w, &e).health.failures, 3); /* it was on all the time */
}

static void a_new_url_forgets_failures_of_the_old_receiver(void **state)
{
    struct world *w = *state;
    struct pst_endpoint e = add(w, 1, 0);
    struct pst_endpoint_health h = bad;
    h.failing_since = h.open_since = at(10);
    h.probe_at = at(40);
    h.disabled_at = h.last_success_at = PST_WALL_NONE;
    h.disabled_reason = (pst_str){0};
    assert_write(w, pst_endpoints_set_health(w->writer, e.pk, 1, &h, &w->err));
    struct pst_endpoint got = get(w, &e);
    got.url = PST_STR("https://else.example.com/hooks");
    assert_write(w, pst_endpoints_update(w->writer, &got, at(50), &w->err));
    got = get(w, &e);
    assert_int_equal(got.health.failures, 0);
    assert_true(pst_wall_is_none(got.health.failing_since));
    assert_true(pst_wall_is_none(got.health.open_since));

    /* Off it stays off, disabled it stays disabled. */
    got.enabled = false;
    assert_write(w, pst_endpoints_update(w->writer, &got, at(60), &w->err));
    got = get(w, &e);
    got.url = PST_STR("https://third.example.com/hooks");
    assert_write(w, pst_endpoints_update(w->writer, &got, at(61), &w->err));
    got = get(w, &e);
    assert_false(got.enabled);
    assert_true(got.health.open_since.us == at(60).us); /* time stands still all along */
    got.enabled = true;
    assert_write(w, pst_endpoints_update(w->writer, &got, at(62), &w->err));
    h.disabled_at = at(70);
    h.disabled_reason = PST_STR("gone");
    got = get(w, &e);
    assert_write(w, pst_endpoints_set_health(w->writer, e.pk, got.version, &h, &w->err));
    got = get(w, &e);
    got.url = PST_STR("https://fourth.example.com/hooks");
    assert_write(w, pst_endpoints_update(w->writer, &got, at(71), &w->err));
    assert_true(get(w, &e).health.disabled_at.us == at(70).us);
}

static void choices_are_kept_per_connection(void **state)
{
    struct world *w = *state;
    struct pst_endpoint e = add(w, 1, 0);
    pst_str events = {NULL, 0};
    bool chosen = true;
    assert_read(
        w, pst_endpoints_choice(w->reader, e.pk, w->conn.pk, w->arena, &events, &chosen, &w->err));
    assert_false(chosen);
    static const char *const choices[] = {"sync.failed", "flow.* sync.failed", ""};
    for (size_t i = 0; i < PST_COUNT(choices); i++) {
        assert_write(w, pst_endpoints_choose(w->writer, e.pk, w->conn.pk, pst_str_from(choices[i]),
                                             false, &w->err));
        assert_read(w, pst_endpoints_choice(w->reader, e.pk, w->conn.pk, w->arena, &events, &chosen,
                                            &w->err));
        assert_true(chosen);
        assert_str(events, choices[i]);
    }
    assert_write(w, pst_endpoints_choose(w->writer, e.pk, w->conn.pk, PST_STR(""), true, &w->err));
    assert_read(
        w, pst_endpoints_choice(w->reader, e.pk, w->conn.pk, w->arena, &events, &chosen, &w->err));
    assert_false(chosen);
}

static void sealed_bytes_are_replaced_only_when_nobody_changed_them(void **state)
{
    struct world *w = *state;
    struct pst_endpoint e = add(w, 1, 0);
    static const struct {
        pst_code (*reseal)(struct pst_db_conn *conn, int64_t pk, pst_str before, pst_str after,
                           struct pst_err *err);
        const char *before, *after;
    } cases[] = {{pst_endpoints_reseal_secrets, "s", "s2"},
                 {pst_endpoints_reseal_headers, "h", "h2"}};
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        pst_str before = pst_str_from(cases[i].before);
        pst_str after = pst_str_from(cases[i].after);
        assert_write(w, cases[i].reseal(w->writer, e.pk, before, after, &w->err));
        assert_code(WRITE(w, cases[i].reseal(w->writer, e.pk, before, after, &w->err)),
                    PST_E_CONFLICT);
    }
    struct pst_endpoint got = get(w, &e);
    assert_str(got.secrets, "s2");
    assert_str(got.headers, "h2");
    assert_int_equal(got.version, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)
        IN_WORLD(an_endpoint_comes_back_as_it_was_written),
        IN_WORLD(foreign_absent_and_deleted_ones_are_not_found),
        IN_WORLD(lists_say_what_applies_to_a_connection),
        IN_WORLD(an_update_needs_the_version_it_read),
        IN_WORLD(switching_on_forgets_failures_but_not_how_long_it_was_open),
        IN_WORLD(a_new_url_forgets_failures_of_the_old_receiver),
        IN_WORLD(choices_are_kept_per_connection),
        IN_WORLD(sealed_bytes_are_replaced_only_when_nobody_changed_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
