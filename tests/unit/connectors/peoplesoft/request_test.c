/* tests/unit/connectors/peoplesoft/request_test.c: URLs letter by letter, and windows that are
 * never narrower than asked for, also where clocks change. */
#include "../../test.h"

#include "connectors/peoplesoft/request.h"
#include "crypto/crypto.h"
#include "gateway.h"

static pst_wall wall(const char *text)
{
    pst_wall t = PST_WALL_NONE;
    if (text[0] && !pst_wall_parse(&t, pst_str_from(text)))
        fail_msg("'%s' is no time", text);
    return t;
}

static void windows_are_widened_and_never_narrowed(void **state)
{
    (void)state;
    /* Berlin 2026: forward on March 29 at 01:00Z, back on October 25 at 01:00Z. */
    static const struct {
        const char *zone, *at;
        bool date_only;
        const char *from, *to;
    } CASES[] = {
        {"UTC", "", false, "", ""},
        {"UTC", "2026-07-01T12:00:00.25Z", false, "2026-07-01-12.00.00.250000",
         "2026-07-01-12.00.00.250000"},
        {"UTC", "2026-07-01T12:00:00Z", true, "2026-07-01-00.00.00.000000",
         "2026-07-01-23.59.59.999999"},
        {"Europe/Berlin", "2026-07-01T12:00:00Z", false, "2026-07-01-14.00.00.000000",
         "2026-07-01-14.00.00.000000"},
        {"Europe/Berlin", "2026-07-01T23:00:00Z", true, "2026-07-02-00.00.00.000000",
         "2026-07-02-23.59.59.999999"},
        {"America/New_York", "2026-07-01T01:00:00Z", true, "2026-06-30-00.00.00.000000",
         "2026-06-30-23.59.59.999999"},
        /* clocks go forward: nothing to widen */
        {"Europe/Berlin", "2026-03-29T00:59:59Z", false, "2026-03-29-01.59.59.000000",
         "2026-03-29-01.59.59.000000"},
        {"Europe/Berlin", "2026-03-29T01:00:00Z", false, "2026-03-29-03.00.00.000000",
         "2026-03-29-03.00.00.000000"},
        /* before the repeated hour */
        {"Europe/Berlin", "2026-10-24T23:59:00Z", false, "2026-10-25-01.59.00.000000",
         "2026-10-25-01.59.00.000000"},
        /* first pass of 02:00-03:00: what is written later may read 02:00 again */
        {"Europe/Berlin", "2026-10-25T00:30:00Z", false, "2026-10-25-02.00.00.000000",
         "2026-10-25-02.30.00.000000"},
        /* second pass: what was written before may read up to 03:00 */
        {"Europe/Berlin", "2026-10-25T01:00:00Z", false, "2026-10-25-02.00.00.000000",
         "2026-10-25-03.00.00.000000"},
        {"Europe/Berlin", "2026-10-25T01:30:00Z", false, "2026-10-25-02.30.00.000000",
         "2026-10-25-03.00.00.000000"},
        {"Europe/Berlin", "2026-10-25T02:00:00Z", false, "2026-10-25-03.00.00.000000",
         "2026-10-25-03.00.00.000000"},
        {"Europe/Berlin", "2026-10-25T02:01:00Z", false, "2026-10-25-03.01.00.000000",
         "2026-10-25-03.01.00.000000"},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        char from[PST_PS_STAMP_TEXT];
        char to[PST_PS_STAMP_TEXT];
        pst_ps_window_from(from, gateway_zone(CASES[i].zone), wall(CASES[i].at),
                           CASES[i].date_only);
        pst_ps_window_to(to, gateway_zone(CASES[i].zone), wall(CASES[i].at), CASES[i].date_only);
        if (strcmp(from, CASES[i].from) != 0 || strcmp(to, CASES[i].to) != 0)
            fail_msg("%s %s: from %s, to %s", CASES[i].zone, CASES[i].at, from, to);
    }
}

/* As the database writes that instant. */
static void local_text(char out[40], const struct pst_tz *tz, pst_wall t)
{
    struct pst_civil c = pst_tz_to_local(tz, t);
    (void)snprintf(out, 40, "%04d-%02d-%02d-%02d.%02d.%02d.%06d", c.year % 10000, c.month % 100,
                   c.day % 100, c.hour % 100, c.minute % 100, c.second % 100, c.micro % 1000000);
}

static void every_instant_inside_a_window_reads_inside_its_texts(void **state)
{
    (void)state;
    static const char *const ZONES[] = {
        "UTC",          "Europe/Berlin",   "America/New_York", "Australia/Lord_Howe",
        "Asia/Kolkata", "America/St_Johns"};
    static const char *const DAYS[] = {"2026-03-08T00:00:00Z", "2026-03-28T20:00:00Z",
                                       "2026-04-04T08:00:00Z", "2026-10-03T08:00:00Z",
                                       "2026-10-24T20:00:00Z", "2026-11-01T00:00:00Z"};
    enum { STEP_MIN = 10, STEPS = 72 }; /* 12 hours */
    for (size_t z = 0; z < PST_COUNT(ZONES); z++) {
        const struct pst_tz *tz = gateway_zone(ZONES[z]);
        for (size_t d = 0; d < PST_COUNT(DAYS); d++) {
            int64_t base = wall(DAYS[d]).us;
            char text[STEPS][40];
            for (int i = 0; i < STEPS; i++)
                local_text(text[i], tz, (pst_wall){base + i * STEP_MIN * 60 * PST_US_PER_S});
            for (int a = 0; a < STEPS; a++) {
                char from[PST_PS_STAMP_TEXT];
                char to[PST_PS_STAMP_TEXT];
                pst_wall at = {base + a * STEP_MIN * 60 * PST_US_PER_S};
                pst_ps_window_from(from, tz, at, false);
                pst_ps_window_to(to, tz, at, false);
                for (int i = a; i < STEPS; i++)
                    if (strcmp(text[i], from) < 0)
                        fail_msg("%s: %s is before %s", ZONES[z], text[i], from);
                for (int i = 0; i < a; i++)
                    if (strcmp(text[i], to) >= 0)
                        fail_msg("%s: %s is not before %s", ZONES[z], text[i], to);
            }
        }
    }
}

/* Where a connection's services are, by its base URL and node. */
static void a_base_url_is_taken_in_the_forms_that_people_copy(void **state)
{
    (void)state;
    static const struct {
        const char *base, *node, *services;
    } CASES[] = {
        {"https://h", "PSFT_EP", "https://h/PSIGW/RESTListeningConnector/PSFT_EP/"},
        {"https://h:8443/", "HC92UAT", "https://h:8443/PSIGW/RESTListeningConnector/HC92UAT/"},
        {"https://h/prefix/erp", "N", "https://h/prefix/erp/PSIGW/RESTListeningConnector/N/"},
        {"https://h/PSIGW", "N", "https://h/PSIGW/RESTListeningConnector/N/"},
        {"https://h/PSIGW/RESTListeningConnector/", "N",
         "https://h/PSIGW/RESTListeningConnector/N/"},
        {"https://h/PSIGW/RESTListeningConnector/N", "N",
         "https://h/PSIGW/RESTListeningConnector/N/"},
        {"https://N", "N", "https://N/PSIGW/RESTListeningConnector/N/"},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct pst_connector *self = NULL;
        struct pst_err err;
        char config[256];
        (void)snprintf(config, sizeof(config), "{\"base_url\":\"%s\",\"node\":\"%s\"}",
                       CASES[i].base, CASES[i].node);
        assert_ok(gateway_open(&self, config, GATEWAY_CREDENTIALS, &err));
        assert_str(self->services, CASES[i].services);
        pst_peoplesoft_ops.close(self);
    }
}

struct url_case {
    const char *stream, *from, *to, *as_of, *after;
    uint32_t rows;
    const char *url;
};

static const struct url_case URLS[] = {
    {"purchase_orders", "", "", "", "", 999,
     "PUBLIC/PST_PURCHASE_ORDERS/JSON/"
     "NONFILE?isconnectedquery=N&maxrows=999&prompt_uniquepromptname="
     "FROMDTTM,TODTTM,LAST_BUSINESS_UNIT,LAST_PO_ID,LAST_LINE_NBR,LAST_SCHED_NBR"
     "&prompt_fieldvalue=,,,,,&json_resp=true"},
    {"purchase_orders", "2026-01-02T03:04:05Z", "2026-02-03T00:00:00Z", "2026-02-03T00:00:00Z",
     "US001|0000000123", 1,
     "PUBLIC/PST_PURCHASE_ORDERS/JSON/NONFILE?isconnectedquery=N&maxrows=1&prompt_uniquepromptname="
     "FROMDTTM,TODTTM,LAST_BUSINESS_UNIT,LAST_PO_ID,LAST_LINE_NBR,LAST_SCHED_NBR"
     "&prompt_fieldvalue=2026-01-02-03.04.05.000000,2026-02-03-00.00.00.000000,US001,0000000123,"
     "99999,"
     "999&json_resp=true"},
    {"suppliers", "2026-01-02T03:04:05Z", "2026-02-03T04:00:00Z", "2026-02-03T00:00:00Z",
     "SHARE|A%7CB%25 &#+\xc3\xa9", 7,
     "PUBLIC/PST_SUPPLIERS/JSON/NONFILE?isconnectedquery=N&maxrows=7&prompt_uniquepromptname="
     "FROMDTTM,TODTTM,ASOFDATE,LAST_SETID,LAST_VENDOR_ID"
     "&prompt_fieldvalue=2026-01-02-00.00.00.000000,2026-02-03-23.59.59.999999,2026-02-03,SHARE,"
     "A%7CB%25%20%26%23%2B%C3%A9&json_resp=true"},
};

static void a_page_s_url_is_what_the_service_expects(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_arena *arena = NULL;
    struct pst_connector *self = NULL;
    assert_ok(pst_arena_new(&arena, 1 << 20, &err));
    assert_ok(gateway_open(&self, "{\"base_url\":\"https://h\"}", GATEWAY_CREDENTIALS, &err));
    for (size_t i = 0; i < PST_COUNT(URLS); i++) {
        const struct pst_ps_stream *s = NULL;
        struct pst_ps_after after;
        pst_str url = {0};
        const struct pst_stream *stream =
            pst_manifest_stream(gateway_manifest(), pst_str_from(URLS[i].stream));
        const struct pst_fetch fetch = {
            .from = wall(URLS[i].from), .to = wall(URLS[i].to), .as_of = wall(URLS[i].as_of)};
        assert_ok(pst_ps_stream_find(self, stream, &s, &err));
        assert_ok(pst_ps_after_decode(&after, s, pst_str_from(URLS[i].after), arena, &err));
        assert_ok(pst_ps_url_page(self, s, &fetch, gateway_zone("UTC"), &after, URLS[i].rows, arena,
                                  &url, &err));
        pst_str lead = PST_STR("https://h/PSIGW/RESTListeningConnector/PSFT_EP/ExecuteQuery.v1/");
        assert_true(pst_str_starts(url, lead));
        assert_str(pst_str_sub(url, lead.len, url.len), URLS[i].url);
    }
    pst_peoplesoft_ops.close(self);
    pst_arena_free(arena);
}

static void wrong_configuration_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *config, *credentials, *param;
    } CASES[] = {
        {"{}", GATEWAY_CREDENTIALS, "config.base_url"},
        {"{\"base_url\":\"ps.example.com\"}", GATEWAY_CREDENTIALS, "config.base_url"},
        {"{\"base_url\":\"https://h?x=1\"}", GATEWAY_CREDENTIALS, "config.base_url"},
        {"{\"base_url\":\"https://h\",\"node\":\"A/B\"}", GATEWAY_CREDENTIALS, "config.node"},
        {"{\"base_url\":\"https://h\",\"owner\":\"Public\"}", GATEWAY_CREDENTIALS, "config.owner"},
        {"{\"base_url\":\"https://h\",\"page_size\":9}", GATEWAY_CREDENTIALS, "config.page_size"},
        {"{\"base_url\":\"https://h\",\"password\":\"x\"}", GATEWAY_CREDENTIALS, "config.password"},
        {"{\"base_url\":\"https://h\"}", "{\"username\":\"u\"}", "credentials.password"},
        {"{\"base_url\":\"https://h\"}", "{\"username\":\"\",\"password\":\"x\"}",
         "credentials.username"},
        {"{\"base_url\":\"https://h\",\"queries\":{\"orders\":\"X\"}}", GATEWAY_CREDENTIALS,
         "config"},
        {"{\"base_url\":\"https://h\",\"columns\":{\"items\":{\"A.NONE\":\"X\"}}}",
         GATEWAY_CREDENTIALS, "config.columns"},
    };
    for (size_t i = 0; i < PST_COUNT(CASES); i++) {
        struct pst_connector *self = NULL;
        struct pst_err err = {0};
        pst_code code = gateway_open(&self, CASES[i].config, CASES[i].credentials, &err);
        if (code != PST_E_INVALID || strcmp(err.param, CASES[i].param) != 0 || self)
            fail_msg("case %zu: %s, %s: %s", i, pst_code_name(code), err.param, err.msg);
    }
}

int main(void)
{
    struct pst_err err;
    if (pst_crypto_init(&err) != PST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_widened_and_never_narrowed),
        cmocka_unit_test(every_instant_inside_a_window_reads_inside_its_texts),
        cmocka_unit_test(a_base_url_is_taken_in_the_forms_that_people_copy),
        cmocka_unit_test(a_page_s_url_is_what_the_service_expects),
        cmocka_unit_test(wrong_configuration_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
