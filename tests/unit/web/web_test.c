/* tests/unit/web/web_test.c: what the status page makes of days and incidents, and that texts of
 * people cannot break out of it. */
#include "web/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/rand.h"
#include "store/store.h"
#include "tests/unit/test.h"

static const int64_t NOW_US = 1796054400000000;

static const struct pst_incident_update UPDATES[] = {{.at = {1796054400000000},
                                                      .text = PST_STR_INIT("<script>\x01&\"'"),
                                                      .actor = PST_STR_INIT("me")}};

static struct pst_board board_with(const struct pst_incident *incident)
{
    struct pst_board b = {
        .components = {{.name = "api", .title = "API"},
                       {.name = "connector:x", .title = "<X> & \"Y\""}},
        .component_count = 2,
        .today = 20785,
        .drawn_at = {1796054400000000},
        .incidents = incident,
        .incident_count = incident ? 1 : 0,
    };
    return b;
}

static void days_have_the_worst_of_their_levels(void **state)
{
    (void)state;
    static const struct {
        struct pst_board_day day;
        bool known;
        enum pst_web_level level;
    } CASES[] = {
        {{0, 0, 0}, false, PST_WEB_OK},
        {{86400, 0, 0}, true, PST_WEB_OK},
        {{86400, 1, 0}, true, PST_WEB_DEGRADED},
        {{86400, 0, 1}, true, PST_WEB_DEGRADED},
        {{86400, 0, 863}, true, PST_WEB_DEGRADED},
        {{86400, 0, 864}, true, PST_WEB_DOWN},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        bool known = false;
        assert_int_equal(pst_web_day_level(&CASES[i].day, &known), CASES[i].level);
        assert_int_equal(known, CASES[i].known);
    }
}

static void uptime_is_rounded_down(void **state)
{
    (void)state;
    char text[16];
    struct pst_board_component c = {.name = "api"};
    assert_false(pst_web_uptime(&c, text));
    c.days[89] = (struct pst_board_day){86400, 5000, 0};
    assert_true(pst_web_uptime(&c, text));
    assert_string_equal(text, "100.00");
    c.days[0] = (struct pst_board_day){86400, 0, 1};
    assert_true(pst_web_uptime(&c, text));
    assert_string_equal(text, "99.99");
}

static void the_worst_component_is_the_headline(void **state)
{
    (void)state;
    static const struct {
        enum pst_web_level first, second, worst;
    } CASES[] = {
        {PST_WEB_OK, PST_WEB_OK, PST_WEB_OK},
        {PST_WEB_MAINTENANCE, PST_WEB_OK, PST_WEB_MAINTENANCE},
        {PST_WEB_MAINTENANCE, PST_WEB_DEGRADED, PST_WEB_DEGRADED},
        {PST_WEB_DOWN, PST_WEB_DEGRADED, PST_WEB_DOWN},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct pst_board b = board_with(NULL);
        b.components[0].level = CASES[i].first;
        b.components[1].level = CASES[i].second;
        assert_int_equal(pst_web_overall(&b), CASES[i].worst);
    }
}

static bool has(const struct pst_buf *b, const char *text)
{
    return memmem(b->ptr, b->len, text, strlen(text)) != NULL;
}

static void texts_of_people_stay_texts(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_incident incident = {
        .id = {"inc_01m85gjr84fn2tvxyf0ejj4x3j"},
        .components = PST_STR("api,connector:x,gone"),
        .title = PST_STR("</title><b>\"&"),
        .opened_at = {1796054400000000},
        .updated_at = {1796054400000000},
        .closed_at = PST_WALL_NONE,
        .updates = (struct pst_incident_update *)(uintptr_t)UPDATES,
        .update_count = 1,
        .subject = PST_STR("https://secret.example.com"),
    };
    struct pst_board b = board_with(&incident);
    PST_AUTO(buf) struct pst_buf html = {.max = 1 << 20};
    PST_AUTO(buf) struct pst_buf json = {.max = 1 << 20};
    PST_AUTO(buf) struct pst_buf atom = {.max = 1 << 20};
    pst_web_draw_html(&html, &b);
    pst_web_draw_json(&json, &b);
    pst_web_draw_atom(&atom, &b);
    const struct pst_buf *const pages[] = {&html, &json, &atom};
    for (size_t i = 0; i < PST_COUNT(pages); i++) {
        assert_ok(pst_buf_check(pages[i], &err));
        assert_false(has(pages[i], "secret.example.com"));
        assert_false(has(pages[i], "\"me\""));
    }
    assert_false(has(&html, "<script>") || has(&html, "</title><b>") || has(&html, "<X>"));
    assert_true(has(&html, "&lt;script&gt;") && has(&html, "&lt;X&gt; &amp; &quot;Y&quot;"));
    assert_false(has(&atom, "<script>") || has(&atom, "\x01"));
    assert_true(has(&json, "\\u0001"));
    assert_true(has(&html, "Going on now") && has(&html, "None in the last 90 days."));
    incident.closed_at = incident.opened_at;
    pst_buf_reset(&html);
    b.store_is_failing = true;
    pst_web_draw_html(&html, &b);
    assert_false(has(&html, "Going on now") || has(&html, "None in the last 90 days."));
    assert_true(has(&html, "store cannot be written"));
}

/* Its states have names of their own, and an update without a text leaves no hole. */
static void a_maintenance_is_not_investigated(void **state)
{
    (void)state;
    struct pst_incident_update updates[] = {
        {.at = {1796054400000000}, .state = PST_INCIDENT_INVESTIGATING},
        {.at = {1796054500000000}, .state = PST_INCIDENT_MONITORING, .text = PST_STR("nearly")},
        {.at = {1796054600000000}, .state = PST_INCIDENT_RESOLVED},
    };
    struct pst_incident incident = {
        .id = {"inc_01m85gjr84fn2tvxyf0ejj4x3j"},
        .components = PST_STR("api"),
        .impact = PST_IMPACT_MAINTENANCE,
        .title = PST_STR("New disks"),
        .opened_at = {1796054400000000},
        .updated_at = {1796054600000000},
        .closed_at = {1796054600000000},
        .updates = updates,
        .update_count = PST_COUNT(updates),
    };
    struct pst_board b = board_with(&incident);
    PST_AUTO(buf) struct pst_buf html = {.max = 1 << 20};
    PST_AUTO(buf) struct pst_buf atom = {.max = 1 << 20};
    pst_web_draw_html(&html, &b);
    pst_web_draw_atom(&atom, &b);
    assert_true(has(&html, "<b>In progress</b>") && has(&html, "<b>Verifying</b>") &&
                has(&html, "<b>Completed</b>") && has(&html, ">nearly</p>"));
    assert_true(has(&atom, "Z In progress\n") && has(&atom, "Z Verifying: nearly\n") &&
                has(&atom, "Z Completed\n"));
    assert_false(has(&html, "Investigating") || has(&html, "class=\"text\"></p>"));
    incident.impact = PST_IMPACT_DOWN;
    pst_buf_reset(&html);
    pst_web_draw_html(&html, &b);
    assert_true(has(&html, "<b>Investigating</b>") && has(&html, "<b>Resolved</b>"));
}

static void a_page_without_room_says_so(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_board b = board_with(NULL);
    PST_AUTO(buf) struct pst_buf small = {.max = 100};
    pst_web_draw_json(&small, &b);
    assert_code(pst_buf_check(&small, &err), PST_E_LIMIT);
}

/* One that is open, and behind it so many that were. */
static pst_code open_many(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    unsigned closed = *(const unsigned *)arg;
    for (unsigned i = 0; i <= closed; i++) {
        struct pst_incident one = {
            .id = pst_rand_id("inc_"),
            .components = i ? PST_STR("sync") : PST_STR("api"),
            .impact = PST_IMPACT_DOWN,
            .title = PST_STR("Trouble"),
            .opened_at = {NOW_US},
        };
        struct pst_incident_update update = {.at = {NOW_US}, .text = PST_STR("begins")};
        PST_TRY(pst_incidents_add(conn, &one, &update, err));
        update.state = PST_INCIDENT_RESOLVED;
        if (i)
            PST_TRY(pst_incidents_update(conn, one.pk, &update, err));
    }
    return PST_OK;
}

static void an_open_incident_stays_behind_newer_ones(void **state)
{
    (void)state;
    static const struct pst_connectors none = {0};
    struct pst_err err;
    char dir[] = "/tmp/pst-web-XXXXXX";
    char path[64];
    unsigned closed = 60;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s.db", dir);
    const struct pst_db_options options = {.path = path, .create = true};
    struct pst_db *db = NULL;
    struct pst_db_conn *reader = NULL;
    struct pst_web *web = NULL;
    assert_ok(pst_store_open(&db, &options, &err));
    assert_ok(pst_db_reader_new(db, &reader, &err));
    assert_ok(pst_web_new(&web, &none, &err));
    assert_ok(pst_db_write_direct(db, open_many, &closed, &err));
    assert_ok(pst_web_refresh(web, reader, false, (pst_wall){NOW_US}, &err));
    assert_string_equal(pst_web_component_name(web, 0), "api");
    assert_int_equal(pst_web_component_level(web, 0), PST_WEB_DOWN);
    assert_int_equal(pst_web_component_level(web, 1), PST_WEB_OK);
    pst_web_free(web);
    pst_db_reader_free(reader);
    pst_db_close(db);
    static const char *const files[] = {"s.db", "s.db-wal", "s.db-shm", "s.db.lock"};
    for (size_t i = 0; i < PST_COUNT(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_have_the_worst_of_their_levels),
        cmocka_unit_test(uptime_is_rounded_down),
        cmocka_unit_test(the_worst_component_is_the_headline),
        cmocka_unit_test(texts_of_people_stay_texts),
        cmocka_unit_test(a_maintenance_is_not_investigated),
        cmocka_unit_test(a_page_without_room_says_so),
        cmocka_unit_test(an_open_incident_stays_behind_newer_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
