/* tests/unit/store/accounts_test.c: organizations, keys, audit, data keys, connections. */
#include "tests/unit/store/world.h"

/* ---- organizations ---- */

static void organizations_are_found_by_id_and_listed_in_order(void **state)
{
    struct world *w = *state;
    struct pst_organization got;
    struct pst_organization *all = NULL;
    size_t count = 0;
    bool more = false;
    struct pst_id second = world_id("org_", 2);
    struct pst_organization org = {.id = second, .name = PST_STR("Beta"), .created_at = at(5)};
    assert_write(w, pst_organizations_create(w->writer, &org, &w->err));
    assert_code(WRITE(w, pst_organizations_create(w->writer, &org, &w->err)), PST_E_CONFLICT);
    assert_read(w, pst_organizations_get(w->reader, pst_id_str(&second), w->arena, &got, &w->err));
    assert_str(got.name, "Beta");
    assert_true(got.created_at.us == at(5).us);
    assert_read(w, pst_organizations_get_pk(w->reader, w->org.pk, w->arena, &got, &w->err));
    assert_string_equal(got.id.text, w->org.id.text);
    assert_read(w, pst_organizations_list(w->reader, 0, 1, w->arena, &all, &count, &more, &w->err));
    assert_int_equal(count, 1);
    assert_true(more);
    assert_read(
        w, pst_organizations_list(w->reader, all[0].pk, 1, w->arena, &all, &count, &more, &w->err));
    assert_str(all[0].name, "Beta");
    assert_false(more);
    static const char *const absent[] = {"", "org_", "org_x", "conn_00000000000000000000000000"};
    for (size_t i = 0; i < PST_COUNT(absent); i++)
        assert_code(
            pst_organizations_get(w->reader, pst_str_from(absent[i]), w->arena, &got, &w->err),
            PST_E_NOT_FOUND);
}

/* ---- keys ---- */

static struct pst_access access_of(const struct world *w, unsigned n, int64_t connection_pk)
{
    struct pst_access a = {.id = world_id("key_", n),
                           .organization_pk = w->org.pk,
                           .connection_pk = connection_pk,
                           .hint = PST_STR("psk_01234567"),
                           .name = PST_STR("ci"),
                           .role = PST_ROLE_DEVELOPER,
                           .created_at = at(n)};
    memset(a.hash, (int)n, sizeof(a.hash));
    return a;
}

static void keys_work_until_they_are_revoked(void **state)
{
    struct world *w = *state;
    struct pst_access a = access_of(w, 1, 0);
    struct pst_access got;
    bool found = false;
    assert_write(w, pst_accesses_create(w->writer, &a, &w->err));
    assert_code(WRITE(w, pst_accesses_create(w->writer, &a, &w->err)), PST_E_CONFLICT);
    assert_read(w, pst_accesses_find(w->reader, a.hash, w->arena, &got, &found, &w->err));
    assert_true(found);
    assert_string_equal(got.organization_id.text, w->org.id.text);
    assert_string_equal(got.connection_id.text, "");
    assert_int_equal(got.role, PST_ROLE_DEVELOPER);
    assert_true(pst_wall_is_none(got.last_used_at));
    assert_write(w, pst_accesses_touch(w->writer, a.pk, at(125), &w->err));
    assert_read(w, pst_accesses_find(w->reader, a.hash, w->arena, &got, &found, &w->err));
    assert_true(got.last_used_at.us == at(120).us);
    assert_code(
        WRITE(w, pst_accesses_revoke(w->writer, w->org.pk + 1, pst_id_str(&a.id), at(9), &w->err)),
        PST_E_NOT_FOUND);
    assert_write(w, pst_accesses_revoke(w->writer, w->org.pk, pst_id_str(&a.id), at(9), &w->err));
    assert_write(w, pst_accesses_revoke(w->writer, w->org.pk, pst_id_str(&a.id), at(10), &w->err));
    assert_read(w, pst_accesses_find(w->reader, a.hash, w->arena, &got, &found, &w->err));
    assert_false(found);
    struct pst_access *all = NULL;
    size_t count = 0;
    bool more = false;
    assert_read(w, pst_accesses_list(w->reader, w->org.pk, 0, 0, 10, w->arena, &all, &count, &more,
                                     &w->err));
    assert_int_equal(count, 1);
    assert_true(all[0].revoked_at.us == at(9).us);
}

static void a_token_dies_with_its_connection(void **state)
{
    struct world *w = *state;
    struct pst_access token = access_of(w, 1, w->conn.pk);
    struct pst_access key = access_of(w, 2, 0);
    struct pst_access got;
    struct pst_access *all = NULL;
    size_t count = 0;
    bool more = false;
    bool found = false;
    assert_write(w, pst_accesses_create(w->writer, &token, &w->err));
    assert_write(w, pst_accesses_create(w->writer, &key, &w->err));
    assert_read(w, pst_accesses_find(w->reader, token.hash, w->arena, &got, &found, &w->err));
    assert_true(found);
    assert_string_equal(got.connection_id.text, w->conn.id.text);
    static const int64_t which[] = {-1, 0, 1};
    static const size_t expected[] = {2, 1, 1};
    for (size_t i = 0; i < PST_COUNT(which); i++) {
        assert_read(w, pst_accesses_list(w->reader, w->org.pk, which[i], 0, 10, w->arena, &all,
                                         &count, &more, &w->err));
        assert_int_equal(count, expected[i]);
    }
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, false, at(3), &w->err));
    assert_read(w, pst_accesses_find(w->reader, token.hash, w->arena, &got, &found, &w->err));
    assert_false(found);
    assert_read(w, pst_accesses_find(w->reader, key.hash, w->arena, &got, &found, &w->err));
    assert_true(found);
}

static void role_names_go_both_ways(void **state)
{
    (void)state;
    for (int i = PST_ROLE_VIEWER; i <= PST_ROLE_ADMIN; i++) {
        enum pst_role back = PST_ROLE_VIEWER;
        assert_true(pst_role_parse(&back, pst_str_from(pst_role_name((enum pst_role)i))));
        assert_int_equal(back, i);
    }
    enum pst_role role;
    assert_false(pst_role_parse(&role, PST_STR("owner")));
}

/* ---- audit, data keys, facts ---- */

static void the_audit_log_is_read_newest_first(void **state)
{
    struct world *w = *state;
    struct pst_audit *all = NULL;
    size_t count = 0;
    bool more = false;
    for (int i = 1; i <= 3; i++) {
        const struct pst_audit entry = {.organization_pk = w->org.pk,
                                        .at = at(i),
                                        .actor = PST_STR("operator"),
                                        .action = PST_STR("key.create"),
                                        .detail = i == 3 ? PST_STR("") : PST_STR("{\"a\":1}")};
        assert_write(w, pst_audit_add(w->writer, &entry, &w->err));
    }
    assert_read(w,
                pst_audit_list(w->reader, w->org.pk, 0, 2, w->arena, &all, &count, &more, &w->err));
    assert_int_equal(count, 2);
    assert_true(more);
    assert_true(all[0].at.us == at(3).us);
    assert_str(all[0].detail, "{}");
    assert_str(all[1].detail, "{\"a\":1}");
    assert_read(w, pst_audit_list(w->reader, w->org.pk, all[1].pk, 2, w->arena, &all, &count, &more,
                                  &w->err));
    assert_int_equal(count, 1);
    assert_read(w, pst_audit_list(w->reader, 99, 0, 2, w->arena, &all, &count, &more, &w->err));
    assert_int_equal(count, 0);
}

static void a_new_data_key_retires_the_old_one(void **state)
{
    struct world *w = *state;
    struct pst_data_key first = {.organization_pk = w->org.pk,
                                 .key_id = PST_STR("000102030405060708090a0b0c0d0e0f"),
                                 .wrapped = PST_STR("w1"),
                                 .created_at = at(1)};
    struct pst_data_key second = first;
    struct pst_data_key got;
    struct pst_data_key *all = NULL;
    size_t count = 0;
    bool more = false;
    second.key_id = PST_STR("ff");
    second.created_at = at(2);
    assert_code(pst_data_keys_get(w->reader, w->org.pk, PST_STR(""), w->arena, &got, &w->err),
                PST_E_NOT_FOUND);
    assert_write(w, pst_data_keys_add(w->writer, &first, &w->err));
    assert_write(w, pst_data_keys_add(w->writer, &second, &w->err));
    assert_read(w, pst_data_keys_get(w->reader, w->org.pk, PST_STR(""), w->arena, &got, &w->err));
    assert_str(got.key_id, "ff");
    assert_read(w, pst_data_keys_get(w->reader, w->org.pk, first.key_id, w->arena, &got, &w->err));
    assert_true(got.retired_at.us == at(2).us);
    assert_write(w, pst_data_keys_rewrap(w->writer, first.pk, PST_STR("w2"), &w->err));
    assert_read(w, pst_data_keys_list(w->reader, 0, 10, w->arena, &all, &count, &more, &w->err));
    assert_int_equal(count, 2);
    assert_str(all[0].wrapped, "w2");
    assert_string_equal(all[0].organization_id.text, w->org.id.text);
    assert_code(WRITE(w, pst_data_keys_remove(w->writer, second.pk, &w->err)), PST_E_CONFLICT);
    /* A connection's credentials are sealed with the first one: format, then the key's id. */
    struct pst_connection_patch patch = {.set_credentials = true};
    patch.credentials = (pst_str){"\x01\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"
                                  "\x0e\x0f and so on",
                                  27};
    assert_write(w, pst_connections_patch(w->writer, w->conn.pk, &patch, 0, at(3), &w->err));
    assert_code(WRITE(w, pst_data_keys_remove(w->writer, first.pk, &w->err)), PST_E_CONFLICT);
    assert_write(w, pst_connections_reseal(w->writer, w->conn.pk, patch.credentials,
                                           PST_STR("other"), &w->err));
    assert_write(w, pst_data_keys_remove(w->writer, first.pk, &w->err));
    assert_code(WRITE(w, pst_data_keys_remove(w->writer, first.pk, &w->err)), PST_E_NOT_FOUND);
    assert_code(WRITE(w, pst_data_keys_rewrap(w->writer, first.pk, PST_STR(""), &w->err)),
                PST_E_NOT_FOUND);
}

static void facts_are_replaced(void **state)
{
    struct world *w = *state;
    pst_str value;
    bool found = true;
    assert_read(w, pst_meta_get(w->reader, PST_STR("canary"), w->arena, &value, &found, &w->err));
    assert_false(found);
    assert_write(w, pst_meta_put(w->writer, PST_STR("canary"), PST_STR("one"), &w->err));
    assert_write(w, pst_meta_put(w->writer, PST_STR("canary"), PST_STR("two"), &w->err));
    assert_read(w, pst_meta_get(w->reader, PST_STR("canary"), w->arena, &value, &found, &w->err));
    assert_true(found);
    assert_str(value, "two");
}

/* ---- connections ---- */

static struct pst_connection connection(struct world *w)
{
    struct pst_connection c = {0};
    assert_read(w, pst_connections_get(w->reader, w->org.pk, pst_id_str(&w->conn.id), w->arena, &c,
                                       &w->err));
    return c;
}

static void a_connection_is_read_as_it_was_written(void **state)
{
    struct world *w = *state;
    struct pst_connection c = connection(w);
    assert_str(c.name, "Plant");
    assert_str(c.connector, "peoplesoft");
    assert_str(c.config, "{\"url\":\"http://ps\"}");
    assert_str(c.credentials, "sealed");
    assert_str(c.schedule, "15m");
    assert_int_equal(c.history_days, 90);
    assert_int_equal(c.status, PST_CONNECTION_PENDING);
    assert_int_equal(c.version, 1);
    assert_true(c.status_since.us == at(0).us);
    assert_true(pst_wall_is_none(c.next_run_at));
    assert_string_equal(c.organization_id.text, w->org.id.text);
    assert_code(pst_connections_get(w->reader, w->org.pk + 1, pst_id_str(&w->conn.id), w->arena, &c,
                                    &w->err),
                PST_E_NOT_FOUND);
    struct pst_connection orphan = w->conn;
    orphan.id = world_id("conn_", 5);
    orphan.organization_pk = 99;
    assert_code(WRITE(w, pst_connections_create(w->writer, &orphan, PST_STR(""), &w->err)),
                PST_E_CONFLICT);
}

static void a_patch_writes_only_what_it_names(void **state)
{
    struct world *w = *state;
    const struct pst_connection_patch patch = {.set_name = true,
                                               .name = PST_STR("Works"),
                                               .set_history_days = true,
                                               .history_days = 0,
                                               .set_serve_stale = true,
                                               .serve_stale = true};
    assert_write(w, pst_connections_patch(w->writer, w->conn.pk, &patch, 1, at(9), &w->err));
    struct pst_connection c = connection(w);
    assert_str(c.name, "Works");
    assert_int_equal(c.history_days, 0);
    assert_true(c.serve_stale);
    assert_str(c.schedule, "15m");
    assert_str(c.credentials, "sealed");
    assert_int_equal(c.version, 2);
    assert_true(c.updated_at.us == at(9).us);
    assert_code(WRITE(w, pst_connections_patch(w->writer, w->conn.pk, &patch, 1, at(9), &w->err)),
                PST_E_CONFLICT);
    assert_code(WRITE(w, pst_connections_patch(w->writer, 99, &patch, 0, at(9), &w->err)),
                PST_E_NOT_FOUND);
}

static void every_change_of_status_is_a_row_of_history(void **state)
{
    struct world *w = *state;
    struct pst_connection_event *all = NULL;
    size_t count = 0;
    bool more = false;
    bool changed = false;
    static const struct {
        enum pst_connection_status to;
        pst_code code;
        bool changed;
    } steps[] = {
        {PST_CONNECTION_ONLINE, PST_OK, true},
        {PST_CONNECTION_ONLINE, PST_OK, false},
        {PST_CONNECTION_AUTHENTICATION_REQUIRED, PST_OK, true},
        {PST_CONNECTION_INACTIVE, PST_OK, true},
        {PST_CONNECTION_ONLINE, PST_E_CONFLICT, true},
        {PST_CONNECTION_PENDING, PST_OK, true},
    };
    for (size_t i = 0; i < PST_COUNT(steps); i++) {
        assert_code(WRITE(w, pst_connections_set_status(w->writer, w->conn.pk, steps[i].to,
                                                        PST_STR("why"), PST_STR("req_1"),
                                                        at((int64_t)i + 1), &changed, &w->err)),
                    steps[i].code);
        assert_int_equal(changed, steps[i].changed);
    }
    assert_read(w, pst_connections_history(w->reader, w->conn.pk, 0, 3, w->arena, &all, &count,
                                           &more, &w->err));
    assert_int_equal(count, 3);
    assert_true(more);
    assert_int_equal(all[0].status, PST_CONNECTION_PENDING);
    assert_int_equal(all[1].status, PST_CONNECTION_INACTIVE);
    assert_str(all[2].reason, "why");
    assert_read(w, pst_connections_history(w->reader, w->conn.pk, all[2].pk, 9, w->arena, &all,
                                           &count, &more, &w->err));
    assert_int_equal(count, 2); /* online, and pending from the creation */
    assert_string_equal(pst_connection_status_name(all[1].status), "pending");
}

static void a_new_reason_is_kept_without_a_row_of_history(void **state)
{
    struct world *w = *state;
    struct pst_connection c;
    static const char *const reasons[] = {"no route", "silence", ""};
    for (size_t i = 0; i < PST_COUNT(reasons); i++) {
        bool changed = true;
        assert_write(w, pst_connections_set_status(w->writer, w->conn.pk, PST_CONNECTION_OFFLINE,
                                                   pst_str_from(reasons[i]), PST_STR("req_1"),
                                                   at((int64_t)i + 1), &changed, &w->err));
        assert_int_equal(changed, i == 0);
        assert_read(w, pst_connections_get_pk(w->reader, w->conn.pk, w->arena, &c, &w->err));
        assert_str(c.status_reason, reasons[i]);
        assert_int_equal(c.status_since.us, at(1).us);
    }
    struct pst_connection_event *all = NULL;
    size_t count = 0;
    bool more = false;
    assert_read(w, pst_connections_history(w->reader, w->conn.pk, 0, 9, w->arena, &all, &count,
                                           &more, &w->err));
    assert_int_equal(count, 2); /* the creation, and offline once */
}

struct plans {
    int count;
    int64_t last_pk;
    pst_wall next_run_at;
};

static pst_code take_plan(void *self, const struct pst_connection_plan *plan, struct pst_err *err)
{
    struct plans *p = self;
    (void)err;
    p->count++;
    p->last_pk = plan->pk;
    p->next_run_at = plan->next_run_at;
    return PST_OK;
}

static void plans_and_lists_leave_deleted_connections_out(void **state)
{
    struct world *w = *state;
    struct plans plans = {0};
    struct pst_connection *all = NULL;
    size_t count = 0;
    bool more = false;
    struct pst_connection other = w->conn;
    other.id = world_id("conn_", 2);
    assert_write(w, pst_connections_create(w->writer, &other, PST_STR(""), &w->err));
    assert_write(w, pst_connections_set_plan(w->writer, w->conn.pk, at(900), at(0), &w->err));
    assert_read(w, pst_connections_plan(w->reader, 0, 1, take_plan, &plans, &more, &w->err));
    assert_int_equal(plans.count, 1);
    assert_true(more);
    assert_true(plans.next_run_at.us == at(900).us);
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, false, at(5), &w->err));
    assert_read(w, pst_connections_plan(w->reader, 0, 9, take_plan, &plans, &more, &w->err));
    assert_int_equal(plans.count, 2);
    assert_int_equal(plans.last_pk, other.pk);
    static const int64_t organizations[] = {0, 1, 2};
    static const size_t expected[] = {1, 1, 0};
    for (size_t i = 0; i < PST_COUNT(organizations); i++) {
        assert_read(w, pst_connections_list(w->reader, organizations[i], 0, 9, w->arena, &all,
                                            &count, &more, &w->err));
        assert_int_equal(count, expected[i]);
    }
}

static pst_code delete_connection(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    const struct world *w = arg;
    return pst_connections_delete(conn, w->conn.pk, false, at(3), err);
}

/* Who follows its feed shall learn it now, not when the wait is over. */
static void deleting_a_connection_wakes_who_waits_for_its_changes(void **state)
{
    struct world *w = *state;
    bool told = false;
    w->topic_count = 0;
    assert_read(w, pst_db_write_direct(w->db, delete_connection, w, &w->err));
    for (size_t i = 0; i < w->topic_count; i++)
        told = told || w->topics[i] == w->conn.pk;
    assert_true(told);
}

static void a_deleted_connection_keeps_its_data_until_it_is_purged(void **state)
{
    struct world *w = *state;
    struct pst_connection c;
    bool left = true;
    int batches = 0;
    int64_t n = -1;
    static struct order many[300];
    static char numbers[300][8];
    struct run r = world_run(w, 1, PST_SYNC_FULL);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(numbers[i], sizeof(numbers[i]), "N%03d", i);
        many[i] = (struct order){.number = numbers[i], .status = "draft"};
    }
    assert_read(w, world_commit(w, &r, PST_RECORD_CREATE, many, 300, "1", at(2)));
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, false, at(3), &w->err));
    assert_code(WRITE(w, pst_connections_delete(w->writer, w->conn.pk, false, at(4), &w->err)),
                PST_E_NOT_FOUND);
    assert_write(w, pst_connections_purge(w->writer, 100, &left, &w->err));
    assert_false(left); /* nobody asked for it */
    assert_read(w, pst_connections_get_deleted(w->reader, w->org.pk, pst_id_str(&w->conn.id),
                                               w->arena, &c, &w->err));
    assert_true(c.deleted_at.us == at(3).us);
    assert_str(c.credentials, "");
    assert_write(w, pst_connections_delete(w->writer, w->conn.pk, true, at(4), &w->err));
    assert_write(w, pst_connections_purge(w->writer, 100, &left, &w->err));
    assert_false(left); /* its run has not ended yet */
    assert_code(pst_records_count(w->reader, w->orders, w->conn.pk, &n, &w->err), PST_OK);
    assert_int_equal(n, 300);
    world_end(w, &r, PST_SYNC_CANCELLED);
    do
        assert_write(w, pst_connections_purge(w->writer, 100, &left, &w->err));
    while (left && ++batches < 100);
    assert_in_range(batches, 5, 99);
    assert_code(pst_connections_get_deleted(w->reader, w->org.pk, pst_id_str(&w->conn.id), w->arena,
                                            &c, &w->err),
                PST_E_NOT_FOUND);
    struct pst_record_query q = world_query(w, 10);
    char text[64];
    bool more = false;
    assert_read(w, world_list(w, &q, text, sizeof(text), &more));
    assert_string_equal(text, "");
    assert_read(w, pst_db_check(w->reader, &w->err));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(organizations_are_found_by_id_and_listed_in_order),
        CASE(keys_work_until_they_are_revoked),
        CASE(a_token_dies_with_its_connection),
        CASE(role_names_go_both_ways),
        CASE(the_audit_log_is_read_newest_first),
        CASE(a_new_data_key_retires_the_old_one),
        CASE(facts_are_replaced),
        CASE(a_connection_is_read_as_it_was_written),
        CASE(a_patch_writes_only_what_it_names),
        CASE(every_change_of_status_is_a_row_of_history),
        CASE(a_new_reason_is_kept_without_a_row_of_history),
        CASE(plans_and_lists_leave_deleted_connections_out),
        CASE(deleting_a_connection_wakes_who_waits_for_its_changes),
        CASE(a_deleted_connection_keeps_its_data_until_it_is_purged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
