/* tests/unit/store/incidents_test.c: incidents with their updates; days. */
#include "store/incidents.h"

#include <stdio.h>

#include "store/schema.h"
#include "tests/unit/store/world.h"

static struct pst_incident open_one(struct world *w, unsigned n, enum pst_incident_kind kind)
{
    struct pst_incident i = {.id = world_id("inc_", n),
                             .kind = kind,
                             .subject = PST_STR("https://ps:443"),
                             .connector = PST_STR("peoplesoft"),
                             .components = PST_STR("connector:peoplesoft"),
                             .impact = PST_IMPACT_DEGRADED,
                             .title = PST_STR("title"),
                             .affected = 3,
                             .opened_at = at(n)};
    const struct pst_incident_update first = {
        .at = at(n), .text = PST_STR("it begins"), .actor = PST_STR("detector")};
    assert_write(w, pst_incidents_add(w->writer, &i, &first, &w->err));
    return i;
}

static struct pst_incident get(struct world *w, unsigned n)
{
    struct pst_incident got;
    struct pst_id id = world_id("inc_", n);
    assert_read(w, pst_incidents_get(w->reader, pst_id_str(&id), w->arena, &got, &w->err));
    return got;
}

static void an_incident_lives_from_its_first_update_to_its_last(void **state)
{
    struct world *w = *state;
    struct pst_incident i = open_one(w, 1, PST_INCIDENT_HOST);
    struct pst_incident got = get(w, 1);
    assert_int_equal(got.kind, PST_INCIDENT_HOST);
    assert_str(got.subject, "https://ps:443");
    assert_int_equal(got.affected, 3);
    assert_true(pst_wall_is_none(got.closed_at));
    assert_int_equal(got.update_count, 1);
    assert_str(got.updates[0].text, "it begins");
    struct pst_incident_update u = {.at = at(9),
                                    .state = PST_INCIDENT_RESOLVED,
                                    .text = PST_STR("over"),
                                    .actor = PST_STR("operator")};
    assert_write(w, pst_incidents_update(w->writer, i.pk, &u, &w->err));
    got = get(w, 1);
    assert_int_equal(got.closed_at.us, at(9).us);
    assert_int_equal(got.state, PST_INCIDENT_RESOLVED);
    /* Resolved twice is closed once; another state opens it again. */
    u.at = at(11);
    assert_write(w, pst_incidents_update(w->writer, i.pk, &u, &w->err));
    assert_int_equal(get(w, 1).closed_at.us, at(9).us);
    u.state = PST_INCIDENT_MONITORING;
    assert_write(w, pst_incidents_update(w->writer, i.pk, &u, &w->err));
    got = get(w, 1);
    assert_true(pst_wall_is_none(got.closed_at));
    assert_int_equal(got.update_count, 4);
    assert_code(WRITE(w, pst_incidents_update(w->writer, i.pk + 1, &u, &w->err)), PST_E_NOT_FOUND);
}

static void what_is_edited_changes_and_nothing_else(void **state)
{
    struct world *w = *state;
    struct pst_incident i = open_one(w, 1, PST_INCIDENT_MANUAL);
    pst_str none = {NULL, 0};
    assert_write(w, pst_incidents_edit(w->writer, i.pk, PST_STR("new"), none, -1, at(5), &w->err));
    struct pst_incident got = get(w, 1);
    assert_str(got.title, "new");
    assert_str(got.components, "connector:peoplesoft");
    assert_int_equal(got.impact, PST_IMPACT_DEGRADED);
    assert_write(w, pst_incidents_edit(w->writer, i.pk, none, PST_STR("api"), PST_IMPACT_DOWN,
                                       at(6), &w->err));
    got = get(w, 1);
    assert_str(got.title, "new");
    assert_str(got.components, "api");
    assert_int_equal(got.impact, PST_IMPACT_DOWN);
    assert_int_equal(got.updated_at.us, at(6).us);
    assert_code(WRITE(w, pst_incidents_edit(w->writer, 99, none, none, -1, at(6), &w->err)),
                PST_E_NOT_FOUND);
    struct pst_id id = world_id("inc_", 9);
    assert_code(pst_incidents_get(w->reader, pst_id_str(&id), w->arena, &got, &w->err),
                PST_E_NOT_FOUND);
    assert_code(pst_incidents_get(w->reader, PST_STR("inc_"), w->arena, &got, &w->err),
                PST_E_NOT_FOUND);
    i.id = world_id("req_", 1);
    const struct pst_incident_update u = {.at = at(1)};
    assert_code(WRITE(w, pst_incidents_add(w->writer, &i, &u, &w->err)), PST_E_INTERNAL);
}

static size_t list(struct world *w, bool open_only, int64_t before, bool *more)
{
    struct pst_incident *items = NULL;
    size_t count = 0;
    assert_read(w, pst_incidents_list(w->reader, open_only, before, 2, w->arena, &items, &count,
                                      more, &w->err));
    return count;
}

static void incidents_of_an_older_store_have_their_connector(void **state)
{
    struct world *w = *state;
    const pst_str none = {NULL, 0};
    size_t count = 0;
    const struct pst_migration *m = &pst_schema_migrations(&count)[9];
    (void)open_one(w, 1, PST_INCIDENT_HOST);
    const struct pst_incident edited = open_one(w, 2, PST_INCIDENT_HOST);
    const struct pst_incident lost = open_one(w, 3, PST_INCIDENT_HOST);
    (void)open_one(w, 4, PST_INCIDENT_CONNECTOR);
    (void)open_one(w, 5, PST_INCIDENT_MANUAL);
    assert_write(w, pst_incidents_edit(w->writer, edited.pk, none,
                                       PST_STR("api,connector:sandbox,sync"), -1, at(5), &w->err));
    assert_write(w,
                 pst_incidents_edit(w->writer, lost.pk, none, PST_STR("sync"), -1, at(5), &w->err));
    assert_write(w, pst_db_exec_script(
                        w->writer, PST_STR("ALTER TABLE incident DROP COLUMN connector"), &w->err));
    assert_int_equal(m->number, 10);
    assert_write(w, pst_db_exec_script(w->writer, m->sql, &w->err));
    assert_str(get(w, 1).connector, "peoplesoft");
    assert_str(get(w, 2).connector, "sandbox");
    assert_str(get(w, 3).connector, "");
    assert_str(get(w, 4).connector, "https://ps:443"); /* its subject */
    assert_str(get(w, 5).connector, "");
    assert_str(get(w, 1).subject, "ps"); /* whatever its ports */
    assert_str(get(w, 4).subject, "https://ps:443");
}

static void lists_take_all_or_what_is_open(void **state)
{
    struct world *w = *state;
    bool more = false;
    struct pst_incident last = {0};
    for (unsigned n = 1; n <= 3; n++)
        last = open_one(w, n, PST_INCIDENT_HOST);
    const struct pst_incident_update u = {.at = at(50), .state = PST_INCIDENT_RESOLVED};
    assert_int_equal(list(w, false, 0, &more), 2);
    assert_true(more);
    assert_int_equal(list(w, false, 2, &more), 1);
    assert_false(more);
    assert_write(w, pst_incidents_update(w->writer, last.pk, &u, &w->err));
    assert_int_equal(list(w, true, 0, &more), 2);
    assert_false(more);
    assert_int_equal(list(w, false, 0, &more), 2);
    assert_true(more);
}

static int64_t find(struct world *w, enum pst_incident_kind kind, const char *connector)
{
    int64_t pk = 0;
    assert_read(w, pst_incidents_find_open(w->reader, kind, PST_STR("https://ps:443"),
                                           pst_str_from(connector), &pk, &w->err));
    return pk;
}

static void the_detectors_incident_is_found_whatever_was_edited(void **state)
{
    struct world *w = *state;
    const pst_str none = {NULL, 0};
    const struct pst_incident i = open_one(w, 1, PST_INCIDENT_HOST);
    assert_str(get(w, 1).connector, "peoplesoft");
    assert_int_equal(find(w, PST_INCIDENT_HOST, "peoplesoft"), i.pk);
    assert_int_equal(find(w, PST_INCIDENT_HOST, "sandbox"), 0);
    assert_int_equal(find(w, PST_INCIDENT_CONNECTOR, "peoplesoft"), 0);
    assert_write(
        w, pst_incidents_edit(w->writer, i.pk, none, PST_STR("api,sync"), -1, at(5), &w->err));
    assert_int_equal(find(w, PST_INCIDENT_HOST, "peoplesoft"), i.pk);
    assert_str(get(w, 1).connector, "peoplesoft");
    const struct pst_incident_update u = {.at = at(9), .state = PST_INCIDENT_RESOLVED};
    assert_write(w, pst_incidents_update(w->writer, i.pk, &u, &w->err));
    assert_int_equal(find(w, PST_INCIDENT_HOST, "peoplesoft"), 0);
}

/* The keys of what the page shows, in its order. */
static void shown(struct world *w, pst_wall since, size_t limit, const char *wanted)
{
    struct pst_incident *items = NULL;
    char text[100] = "";
    size_t count = 0;
    size_t len = 0;
    assert_read(w, pst_incidents_shown(w->reader, since, limit, w->arena, &items, &count, &w->err));
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld", len ? " " : "",
                                (long long)items[i].pk);
    assert_string_equal(text, wanted);
}

static void what_is_open_is_shown_behind_however_many_newer_ones(void **state)
{
    struct world *w = *state;
    for (unsigned n = 1; n <= 6; n++) {
        const struct pst_incident i = open_one(w, n, PST_INCIDENT_MANUAL);
        const struct pst_incident_update u = {.at = at(50 + n), .state = PST_INCIDENT_RESOLVED};
        if (n > 2)
            assert_write(w, pst_incidents_update(w->writer, i.pk, &u, &w->err));
    }
    shown(w, at(0), 10, "2 1 6 5 4 3");
    shown(w, at(54), 10, "2 1 6 5 4");
    shown(w, at(0), 3, "2 1 6");
    shown(w, at(0), 2, "2 1");
    shown(w, at(0), 1, "2 1");
}

static void of_many_updates_the_newest_are_read(void **state)
{
    struct world *w = *state;
    const struct pst_incident i = open_one(w, 1, PST_INCIDENT_MANUAL);
    for (unsigned n = 1; n <= 101; n++) {
        const struct pst_incident_update u = {
            .at = at(n), .state = n == 101 ? PST_INCIDENT_RESOLVED : PST_INCIDENT_MONITORING};
        assert_write(w, pst_incidents_update(w->writer, i.pk, &u, &w->err));
    }
    const struct pst_incident got = get(w, 1);
    assert_int_equal(got.update_count, 100);
    for (unsigned k = 0; k < 100; k++)
        assert_int_equal(got.updates[k].at.us, at(k + 2).us);
    assert_int_equal(got.updates[99].state, PST_INCIDENT_RESOLVED);
}

static void days_add_up_and_go_with_old_incidents(void **state)
{
    struct world *w = *state;
    struct pst_status_day day = {.day = 20000, .component = PST_STR("api"), .watched_s = 60};
    struct pst_status_day *days = NULL;
    size_t count = 0;
    bool left = true;
    assert_write(w, pst_status_days_add(w->writer, &day, &w->err));
    day.down_s = 10;
    day.degraded_s = 20;
    assert_write(w, pst_status_days_add(w->writer, &day, &w->err));
    day.day = 20001;
    assert_write(w, pst_status_days_add(w->writer, &day, &w->err));
    assert_read(w, pst_status_days_list(w->reader, 20000, 10, w->arena, &days, &count, &w->err));
    assert_int_equal(count, 2);
    assert_str(days[0].component, "api");
    assert_int_equal(days[0].watched_s, 120);
    assert_int_equal(days[0].down_s, 10);
    assert_int_equal(days[0].degraded_s, 20);
    assert_read(w, pst_status_days_list(w->reader, 20001, 10, w->arena, &days, &count, &w->err));
    assert_int_equal(count, 1);
    struct pst_incident i = open_one(w, 1, PST_INCIDENT_HOST);
    (void)open_one(w, 2, PST_INCIDENT_HOST);
    const struct pst_incident_update u = {.at = at(50), .state = PST_INCIDENT_RESOLVED};
    assert_write(w, pst_incidents_update(w->writer, i.pk, &u, &w->err));
    assert_write(w, pst_incidents_retain(w->writer, at(51), 2, &left, &w->err));
    assert_true(left); /* two updates, and only then their incident */
    assert_write(w, pst_incidents_retain(w->writer, at(51), 10, &left, &w->err));
    assert_false(left);
    assert_int_equal(list(w, false, 0, &left), 1);
    assert_read(w, pst_status_days_list(w->reader, 0, 10, w->arena, &days, &count, &w->err));
    assert_int_equal(count, 0);
}

static void names_are_read_back(void **state)
{
    (void)state;
    enum pst_incident_impact impact = PST_IMPACT_DOWN;
    enum pst_incident_state what = PST_INCIDENT_RESOLVED;
    assert_true(pst_incident_impact_parse(&impact, PST_STR("maintenance")));
    assert_string_equal(pst_incident_impact_name(impact), "maintenance");
    assert_false(pst_incident_impact_parse(&impact, PST_STR("bad")));
    assert_true(pst_incident_state_parse(&what, PST_STR("identified")));
    assert_string_equal(pst_incident_state_name(what), "identified");
    assert_false(pst_incident_state_parse(&what, PST_STR("")));
    assert_string_equal(pst_incident_kind_name(PST_INCIDENT_PENSTOCK), "penstock");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_incident_lives_from_its_first_update_to_its_last),
        CASE(what_is_edited_changes_and_nothing_else),
        CASE(the_detectors_incident_is_found_whatever_was_edited),
        CASE(incidents_of_an_older_store_have_their_connector),
        CASE(lists_take_all_or_what_is_open),
        CASE(what_is_open_is_shown_behind_however_many_newer_ones),
        CASE(of_many_updates_the_newest_are_read),
        CASE(days_add_up_and_go_with_old_incidents),
        CASE(names_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
