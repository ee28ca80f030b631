/* Time zones, timestamps and cron, clock changes included. */
#include "tests/unit/test.h"

#include <unistd.h>

#include "codec/cron.h"
#include "codec/timestamp.h"
#include "codec/tz_rule.h"

static struct pst_tz *zone(const char *name)
{
    struct pst_err err;
    struct pst_tz *tz = NULL;
    assert_ok(pst_tz_load(&tz, NULL, pst_str_from(name), &err));
    return tz;
}

static void text_of(char out[PST_WALL_TEXT], const struct pst_tz *tz, const char *local)
{
    struct pst_stamp s;
    struct pst_tz_memo memo = {0};
    char again[PST_WALL_TEXT];
    assert_true(pst_stamp_parse(&s, pst_str_from(local)));
    (void)pst_wall_format(out, pst_stamp_to_wall(&s, tz, NULL));
    (void)pst_wall_format(again, pst_stamp_to_wall(&s, tz, &memo));
    assert_string_equal(out, again);
    (void)pst_wall_format(again, pst_stamp_to_wall(&s, tz, &memo));
    assert_string_equal(out, again);
}

static void local_times_become_utc_through_clock_changes(void **state)
{
    (void)state;
    static const struct {
        const char *zone, *local, *utc;
    } cases[] = {
        {"Europe/Berlin", "2026-01-15-12.00.00.000000", "2026-01-15T11:00:00Z"},
        {"Europe/Berlin", "2026-07-15T12:00:00", "2026-07-15T10:00:00Z"},
        /* the missing hour is moved forward, the repeated one is its first pass */
        {"Europe/Berlin", "2026-03-29-01.59.59.999999", "2026-03-29T00:59:59.999999Z"},
        {"Europe/Berlin", "2026-03-29-02.00.00.000000", "2026-03-29T01:00:00Z"},
        {"Europe/Berlin", "2026-03-29-02.30.00.000000", "2026-03-29T01:30:00Z"},
        {"Europe/Berlin", "2026-03-29-03.00.00.000000", "2026-03-29T01:00:00Z"},
        {"Europe/Berlin", "2026-10-25-02.30.00.000000", "2026-10-25T00:30:00Z"},
        {"Europe/Berlin", "2026-10-25-03.00.00.000000", "2026-10-25T02:00:00Z"},
        {"America/New_York", "2026-03-08 02:30:00", "2026-03-08T07:30:00Z"},
        {"America/New_York", "2026-11-01 01:30:00", "2026-11-01T05:30:00Z"},
        {"Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-04T14:45:00Z"},
        {"Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30T22:00:00Z"},
        {"America/New_York", "1900-06-01 00:00:00", "1900-06-01T05:00:00Z"},
        {"America/New_York", "2999-07-01 00:00:00", "2999-07-01T04:00:00Z"},
        {"America/New_York", "9999-12-31 18:00:00", "9999-12-31T23:00:00Z"},
        {"Asia/Kolkata", "2026-11-24", "2026-11-23T18:30:00Z"},
        {"UTC", "2026-11-24 00:08:45", "2026-11-24T00:08:45Z"},
        {"Europe/Berlin", "2026-07-15T12:00:00-0700", "2026-07-15T19:00:00Z"},
        {"Europe/Berlin", "2026-07-15T12:00:00Z", "2026-07-15T12:00:00Z"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        PST_AUTO(tz) struct pst_tz *tz = zone(cases[i].zone);
        char out[PST_WALL_TEXT];
        text_of(out, tz, cases[i].local);
        if (strcmp(out, cases[i].utc) != 0)
            fail_msg("%s %s gives %s", cases[i].zone, cases[i].local, out);
    }
}

static void every_quarter_hour_survives_the_way_to_local_and_back(void **state)
{
    (void)state;
    static const char *const names[] = {"Europe/Berlin", "America/St_Johns", "Africa/Casablanca",
                                        "Antarctica/Troll", "Australia/Lord_Howe"};
    for (size_t z = 0; z < PST_COUNT(names); z++) {
        PST_AUTO(tz) struct pst_tz *tz = zone(names[z]);
        struct pst_tz_memo memo = {0};
        int64_t repeated = 0;
        int64_t s = pst_days_from_civil(2024, 1, 1) * 86400;
        for (int i = 0; i < 3 * 366 * 96; i++, s += 900) {
            pst_wall t = {s * PST_US_PER_S};
            struct pst_civil c = pst_tz_to_local(tz, t);
            pst_wall back = pst_tz_to_utc(tz, &memo, &c);
            /* Only the second pass of a repeated hour comes back earlier, by its length. */
            if (back.us != t.us) {
                repeated++;
                assert_true(back.us < t.us && t.us - back.us <= 7200 * PST_US_PER_S);
            }
        }
        assert_true(repeated <= 3 * 2 * 8);
        assert_string_equal(pst_tz_name(tz).ptr, names[z]);
    }
}

static void bad_zones_are_refused(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_tz *tz = NULL;
    static const char *const bad[] = {
        "",
        "No/Such",
        "../etc/passwd",
        "/etc/passwd",
        "Europe/../UTC",
        "Europe",
        "a b",
        "a{",
        "a[",
        "a:",
        "a@",
        "a`",
        "Zones_of_more_than_64_bytes/have_no_name_that_anybody_would_have_wanted"};
    for (size_t i = 0; i < PST_COUNT(bad); i++) {
        if (pst_tz_load(&tz, NULL, pst_str_from(bad[i]), &err) != PST_E_INVALID)
            fail_msg("'%s'", bad[i]);
    }
    assert_code(pst_tz_load(&tz, NULL, (pst_str){"UTC\0", 4}, &err), PST_E_INVALID);
    char dir[5000];
    memset(dir, '/', sizeof(dir) - 1);
    dir[sizeof(dir) - 1] = '\0';
    assert_code(pst_tz_load(&tz, dir, PST_STR("UCT"), &err), PST_E_INVALID);
    static const char *const good[] = {"Etc/GMT+1", "Etc/GMT-14", "America/Port-au-Prince",
                                       "America/New_York"};
    for (size_t i = 0; i < PST_COUNT(good); i++) {
        assert_ok(pst_tz_load(&tz, NULL, pst_str_from(good[i]), &err));
        pst_tz_free(tz);
    }
    assert_code(pst_tz_load(&tz, "/no/such/directory", PST_STR("Europe/Berlin"), &err),
                PST_E_INVALID);
    static const char *const junk[] = {"", "TZif", "XXXX2", "TZif2"};
    for (size_t i = 0; i < PST_COUNT(junk); i++) {
        char file[200] = "";
        (void)pst_str_copy(file, sizeof(file), pst_str_from(junk[i]));
        assert_code(
            pst_tz_parse(&tz, PST_STR("x"), (pst_str){file, i == 0 ? 0 : sizeof(file)}, &err),
            PST_E_CORRUPT);
    }
}

/* A TZif file cut off anywhere, or with any byte changed, is refused or read, never more. */
static void damaged_zone_files_do_no_harm(void **state)
{
    (void)state;
    static char file[1 << 16];
    FILE *f = fopen(PST_TZ_DIR "/Europe/Berlin", "re");
    assert_non_null(f);
    size_t len = fread(file, 1, sizeof(file), f);
    (void)fclose(f);
    for (size_t cut = 0; cut < len; cut++) {
        struct pst_err err;
        PST_AUTO(tz) struct pst_tz *tz = NULL;
        pst_code rc = pst_tz_parse(&tz, PST_STR("cut"), (pst_str){file, cut}, &err);
        assert_true(rc == PST_E_CORRUPT || rc == PST_OK);
        assert_true(cut > len - 40 || rc != PST_OK);
    }
    for (size_t at = 0; at < len; at++) {
        struct pst_err err;
        PST_AUTO(tz) struct pst_tz *tz = NULL;
        struct pst_civil c = {.year = 2026, .month = 7, .day = 1};
        file[at] ^= (char)0xA5;
        if (pst_tz_parse(&tz, PST_STR("x"), (pst_str){file, len}, &err) == PST_OK)
            (void)pst_tz_to_utc(tz, NULL, &c);
        file[at] ^= (char)0xA5;
    }
}

/* A TZif file of version 2 with one offset, no changes, and this text behind it. */
static size_t small_zone(char out[200], int offset_s, const char *footer)
{
    size_t at = 0;
    for (int block = 0; block < 2; block++) {
        memset(out + at, 0, 51);
        memcpy(out + at, "TZif2", 5);
        out[at + 39] = 1; /* one type */
        out[at + 43] = 1; /* one byte of names */
        for (int i = 0; i < 4; i++)
            out[at + 44 + (size_t)i] = (char)(offset_s >> (24 - 8 * i));
        at += 51;
    }
    memcpy(out + at, footer, strlen(footer));
    return at + strlen(footer);
}

static void the_rule_behind_the_table_is_needed(void **state)
{
    (void)state;
    static const struct {
        int offset_s;
        const char *footer;
        const char *july; /* UTC of noon in July 2026; NULL: refused */
    } cases[] = {
        {3600, "\n\n", "2026-07-01T11:00:00Z"},
        {3600, "\nCET-1\n", "2026-07-01T11:00:00Z"},
        {3600, "\nCET-1", "2026-07-01T11:00:00Z"},
        {3600, "\nCET-1CEST,M3.5.0,M10.5.0/3\n", "2026-07-01T10:00:00Z"},
        {3600, "\nAAA-2\n", "2026-07-01T10:00:00Z"},
        {36000, "\nAEST-10AEDT,M10.1.0,M4.1.0/3\n", "2026-07-01T02:00:00Z"},
        {3600, "", NULL},
        {3600, "\n", NULL},
        {3600, "xx", NULL},
        {3600, "\nnonsense!\n", NULL},
        {700 * 3600, "\n\n", NULL},
        {-700 * 3600, "\n\n", NULL},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        PST_AUTO(tz) struct pst_tz *tz = NULL;
        char file[200];
        char out[PST_WALL_TEXT];
        size_t len = small_zone(file, cases[i].offset_s, cases[i].footer);
        pst_code rc = pst_tz_parse(&tz, PST_STR("small"), (pst_str){file, len}, &err);
        if (!cases[i].july) {
            assert_code(rc, PST_E_CORRUPT);
            continue;
        }
        assert_int_equal(rc, PST_OK);
        text_of(out, tz, "2026-07-01 12:00");
        if (strcmp(out, cases[i].july) != 0)
            fail_msg("case %zu gives %s", i, out);
    }
}

/* A table whose last change is late needs no repetition: its rule is written out to the end. */
static void a_rule_that_begins_late_is_written_out_to_the_end(void **state)
{
    (void)state;
    struct pst_err err;
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    char file[200];
    char out[PST_WALL_TEXT];
    size_t len = small_zone(file, 3600, "\nCET-1CEST,M3.5.0,M10.5.0/3\n");
    char footer[64];
    size_t body = 2 * 51;
    memcpy(footer, file + body, len - body);
    /* One change of the second block, to its own type, in the year 9700. */
    int64_t at = pst_days_from_civil(9700, 1, 1) * 86400;
    file[51 + 35] = 1;
    memmove(file + 51 + 44 + 9, file + 51 + 44, 7);
    for (int i = 0; i < 8; i++)
        file[51 + 44 + i] = (char)(at >> (56 - 8 * i));
    file[51 + 44 + 8] = 0;
    memcpy(file + body + 9, footer, len - body);
    assert_ok(pst_tz_parse(&tz, PST_STR("late"), (pst_str){file, len + 9}, &err));
    text_of(out, tz, "9999-07-01 12:00");
    assert_string_equal(out, "9999-07-01T10:00:00Z");
    text_of(out, tz, "9699-07-01 12:00");
    assert_string_equal(out, "9699-07-01T11:00:00Z");
}

static void a_zone_file_is_read_up_to_its_limit(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_tz *tz = NULL;
    static char bytes[(1 << 20) + 1];
    char dir[] = "/tmp/pst_zone_test_XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/Big", dir);
    for (size_t i = 0; i < 2; i++) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, (1 << 20) - 4096 + i * 4096, f),
                         (1 << 20) - 4096 + i * 4096);
        (void)fclose(f);
        assert_code(pst_tz_load(&tz, dir, PST_STR("Big"), &err),
                    i == 0 ? PST_E_CORRUPT : PST_E_LIMIT);
    }
    (void)unlink(path);
    (void)rmdir(dir);
}

static void zones_survive_every_allocation_fault(void **state)
{
    (void)state;
    int64_t live = pst_alloc_live();
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        PST_AUTO(tz) struct pst_tz *tz = NULL;
        pst_code rc = pst_tz_load(&tz, NULL, PST_STR("Europe/Berlin"), &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
    }
    FOR_EACH_ALLOC_FAULT(i)
    {
        struct pst_err err;
        PST_AUTO(tz) struct pst_tz *tz = NULL;
        pst_code rc = pst_tz_load(&tz, NULL, PST_STR("UTC"), &err);
        assert_true((rc == PST_E_NO_MEMORY) == pst_alloc_failed());
    }
    assert_int_equal(pst_alloc_live(), live);
}

static void posix_rules_are_read(void **state)
{
    (void)state;
    struct pst_tz_rule r;
    assert_true(pst_tz_rule_parse(&r, PST_STR("CET-1CEST,M3.5.0,M10.5.0/3")));
    assert_true(r.has_dst && r.std_s == 3600 && r.dst_s == 7200);
    assert_true(pst_tz_rule_parse(&r, PST_STR("<+0330>-3:30")));
    assert_true(!r.has_dst && r.std_s == 12600);
    assert_true(pst_tz_rule_parse(&r, PST_STR("IST-1GMT0,M10.5.0,M3.5.0/1")));
    assert_int_equal(r.dst_s, 0);
    assert_true(pst_tz_rule_parse(&r, PST_STR("AAA3BBB,J60/-1:30:15,365/25")));
    assert_int_equal(pst_tz_rule_moment(&r.begin, 2024),
                     pst_days_from_civil(2024, 3, 1) * 86400 - 5415);
    assert_int_equal(pst_tz_rule_moment(&r.begin, 2023),
                     pst_days_from_civil(2023, 3, 1) * 86400 - 5415);
    assert_int_equal(pst_tz_rule_moment(&r.end, 2024),
                     pst_days_from_civil(2024, 12, 31) * 86400 + 90000);
    assert_true(pst_tz_rule_parse(&r, PST_STR("AAA3BBB,J59,J60")));
    assert_int_equal(pst_tz_rule_moment(&r.begin, 2024),
                     pst_days_from_civil(2024, 2, 28) * 86400 + 7200);
    assert_int_equal(pst_tz_rule_moment(&r.end, 2024),
                     pst_days_from_civil(2024, 3, 1) * 86400 + 7200);
    static const char *const bad[] = {"",
                                      "C",
                                      "CET",
                                      "CET-1CEST",
                                      "CET-1CEST,M3.5.0",
                                      "CET-200",
                                      "CET-1:60",
                                      "CET-1:0:60",
                                      "<CET-1",
                                      "CET-1CEST,M0.1.0,M1.1.0",
                                      "CET-1CEST,M13.1.0,M1.1.0",
                                      "CET-1CEST,M3.6.0,M1.1.0",
                                      "CET-1CEST,M3.5.7,M1.1.0",
                                      "CET-1CEST,J0,J1",
                                      "CET-1CEST,J366,J1",
                                      "CET-1CEST,366,1",
                                      "CET-1CEST,1,2x",
                                      "CET-1CE",
                                      "CET-2000",
                                      "CET-1:",
                                      "CET{",
                                      "CE@-1",
                                      "CE[-1",
                                      "CE`-1",
                                      "CET/1",
                                      "CET-1CEST,M3.0.0,M1.1.0",
                                      "CET-1CEST,M3,M1.1.0",
                                      "CET-1CEST,M3.1,M1.1.0",
                                      "CET-1CEST,M3x1.0,M1.1.0",
                                      "CET-1CEST9x,1,2",
                                      "CET-1CEST,1/x,2"};
    for (size_t i = 0; i < PST_COUNT(bad); i++) {
        if (pst_tz_rule_parse(&r, pst_str_from(bad[i])))
            fail_msg("'%s'", bad[i]);
    }
}

static void timestamps_are_read_in_all_their_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *canonical; /* as UTC; NULL: refused */
    } cases[] = {
        {"2016-08-30-12.34.56.000000", "2016-08-30T12:34:56Z"},
        {"2016-08-30-12.34.56.123456", "2016-08-30T12:34:56.123456Z"},
        {"2016-08-30T12:34:56.000000-0700", "2016-08-30T19:34:56Z"},
        {"2016-08-30T12:34:56-07:00", "2016-08-30T19:34:56Z"},
        {"2016-08-30T12:34:56+07", "2016-08-30T05:34:56Z"},
        {"2016-08-30T12:34:56z", "2016-08-30T12:34:56Z"},
        {"2016-08-30 12:34:56", "2016-08-30T12:34:56Z"},
        {"2016-08-30 12:34", "2016-08-30T12:34:00Z"},
        {"2016-08-30  9:05:00", "2016-08-30T09:05:00Z"},
        {" 2016-08-30 ", "2016-08-30T00:00:00Z"},
        {"1900-01-01", "1900-01-01T00:00:00Z"},
        {"9999-12-31T23:59:59.999999999", "9999-12-31T23:59:59.999999Z"},
        {"", NULL},
        {"   ", NULL},
        {"0000-01-01", NULL},
        {"2016-02-30", NULL},
        {"2016-13-01", NULL},
        {"2016-8-30", NULL},
        {"201", NULL},
        {"2016/08/30", NULL},
        {"2016-x8-30", NULL},
        {"2016-08", NULL},
        {"2016-08-3", NULL},
        {"2016-08-x0", NULL},
        {"2016-08-/0", NULL},
        {"2016-08-30T12:x0", NULL},
        {"2016-08-30T12:34:56.1x", NULL},
        {"2016-08-30T12:34:56.1/", NULL},
        {"30 Aug 2016", NULL},
        {"2016-08-30T", NULL},
        {"2016-08-30T12", NULL},
        {"2016-08-30T12:3", NULL},
        {"2016-08-30-12.34", NULL},
        {"2016-08-30T24:00:00", NULL},
        {"2016-08-30T12:34:60", NULL},
        {"2016-08-30T12:34.56", NULL},
        {"2016-08-30T12:34:56.", NULL},
        {"2016-08-30T12:34:56.1234567890", NULL},
        {"2016-08-30T12:34:56+", NULL},
        {"2016-08-30T12:34:56+24:00", NULL},
        {"2016-08-30T12:34:56+01:60", NULL},
        {"2016-08-30T12:34:56+01:", NULL},
        {"2016-08-30T12:34:56*01", NULL},
        {"2016-08-30T12:34:56Zx", NULL},
        {"2016-08-30x12:34:56", NULL},
        {"2016-08-30T12;34:56", NULL},
        {"2016-08-30T12:34:5", NULL},
    };
    PST_AUTO(tz) struct pst_tz *utc = zone("UTC");
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_stamp s;
        char out[PST_WALL_TEXT] = "";
        bool good = pst_stamp_parse(&s, pst_str_from(cases[i].text));
        if (good)
            (void)pst_wall_format(out, pst_stamp_to_wall(&s, utc, NULL));
        if (good != (cases[i].canonical != NULL) || (good && strcmp(out, cases[i].canonical) != 0))
            fail_msg("'%s' gives '%s'", cases[i].text, out);
    }
    struct pst_civil c = {.year = 2026, .month = 1, .day = 2};
    char date[PST_DATE_TEXT];
    assert_true(pst_stamp_parse_time(&c, PST_STR(" 9:05")));
    assert_true(c.hour == 9 && c.minute == 5 && c.year == 2026);
    assert_true(pst_stamp_parse_time(&c, PST_STR("13:00:30.5")) && c.micro == 500000);
    assert_false(pst_stamp_parse_time(&c, PST_STR("25:00")));
    assert_false(pst_stamp_parse_time(&c, PST_STR("12:60")));
    assert_false(pst_stamp_parse_time(&c, PST_STR("12:00:61")));
    assert_false(pst_stamp_parse_time(&c, PST_STR("12:00x")));
    assert_false(pst_stamp_parse_time(&c, PST_STR("x")));
    assert_int_equal(pst_date_format(date, &c), 10);
    assert_string_equal(date, "2026-01-02");
}

static void cron_mistakes_name_their_field(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "five fields"},
        {"* * * *", "five fields"},
        {"* * * * * *", "more than five"},
        {"60 * * * *", "minute"},
        {"* 24 * * *", "hour"},
        {"* * 0 * *", "day of month"},
        {"* * 32 * *", "day of month"},
        {"* * * 13 *", "month"},
        {"* * * 0 *", "month"},
        {"* * * * 8", "day of week"},
        {"*/0 * * * *", "minute"},
        {"*/60 * * * *", "minute"},
        {"5-1 * * * *", "minute"},
        {"1/5 * * * *", "minute"},
        {"a * * * *", "minute"},
        {"1,,2 * * * *", "minute"},
        {"1- * * * *", "minute"},
        {"* * * foo *", "month"},
        {"0 0 30 2 *", "no such day"},
        {"0 0 31 4,6,9,11 *", "no such day"},
        {"@never", "minute"},
        {"*\t*", "five fields"},
        {"* * * * mon-", "day of week"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err = {0};
        struct pst_cron c;
        assert_code(pst_cron_parse(&c, pst_str_from(cases[i][0]), &err), PST_E_INVALID);
        if (!strstr(err.msg, cases[i][1]))
            fail_msg("'%s' says '%s'", cases[i][0], err.msg);
    }
}

static pst_wall wall(const char *text)
{
    pst_wall t;
    assert_true(pst_wall_parse(&t, pst_str_from(text)));
    return t;
}

static void cron_ticks_come_when_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *cron, *zone, *after, *next;
    } cases[] = {
        {"0 6 * * *", "Europe/Berlin", "2026-11-24T05:00:00Z", "2026-11-25T05:00:00Z"},
        {"0 6 * * *", "Europe/Berlin", "2026-11-24T04:59:59.999999Z", "2026-11-24T05:00:00Z"},
        {"*/15 * * * *", "UTC", "2026-11-24T00:00:00Z", "2026-11-24T00:15:00Z"},
        {"0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
        {"0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
        {"0 9 * * mon-fri", "UTC", "2026-11-27T09:00:00Z", "2026-11-30T09:00:00Z"},
        {"0 9 1 * 7", "UTC", "2026-11-24T00:00:00Z", "2026-11-29T09:00:00Z"},
        {"0 9 1 * sun", "UTC", "2026-11-29T09:00:00Z", "2026-12-01T09:00:00Z"},
        {"@monthly", "UTC", "2026-11-24T00:00:00Z", "2026-12-01T00:00:00Z"},
        {"@Hourly", "UTC", "2026-11-24T00:00:00Z", "2026-11-24T01:00:00Z"},
        /* missing hour: moved forward, and then not once more */
        {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"},
        {"30 2 * * *", "Europe/Berlin", "2026-03-29T01:10:00Z", "2026-03-29T01:30:00Z"},
        {"30 2 * * *", "Europe/Berlin", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
        /* repeated hour: a named time once, a rhythm in both passes */
        {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
        {"30 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
        {"30 * * * *", "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"},
        {"30 */3 * * *", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-24T22:30:00Z"},
    };
    for (size_t i = 0; i < PST_COUNT(cases); i++) {
        struct pst_err err;
        struct pst_cron c;
        PST_AUTO(tz) struct pst_tz *tz = zone(cases[i].zone);
        char out[PST_WALL_TEXT];
        assert_ok(pst_cron_parse(&c, pst_str_from(cases[i].cron), &err));
        (void)pst_wall_format(out, pst_cron_next(&c, tz, wall(cases[i].after)));
        if (strcmp(out, cases[i].next) != 0)
            fail_msg("%s after %s gives %s", cases[i].cron, cases[i].after, out);
    }
    struct pst_err err;
    struct pst_cron c;
    PST_AUTO(tz) struct pst_tz *utc = zone("UTC");
    assert_ok(pst_cron_parse(&c, PST_STR("0 0 1 1 *"), &err));
    assert_true(pst_wall_is_none(pst_cron_next(&c, utc, wall("9998-06-01T00:00:00Z"))));
    assert_ok(pst_cron_parse(&c, PST_STR("0 * 1 1 *"), &err));
    assert_true(pst_wall_is_none(pst_cron_next(&c, utc, wall("9998-06-01T00:00:00Z"))));
}

static void ticks_end_with_the_year_9998(void **state)
{
    (void)state;
    struct pst_err err;
    struct pst_cron c;
    PST_AUTO(tz) struct pst_tz *ny = zone("America/New_York");
    PST_AUTO(tz) struct pst_tz *odd = NULL;
    char file[200];
    char out[PST_WALL_TEXT];
    assert_ok(pst_cron_parse(&c, PST_STR("0\t* * * *"), &err));
    (void)pst_wall_format(out, pst_cron_next(&c, ny, wall("9999-01-01T03:30:00Z")));
    assert_string_equal(out, "9999-01-01T04:00:00Z");
    assert_true(pst_wall_is_none(pst_cron_next(&c, ny, wall("9999-01-01T04:30:00Z"))));
    /* Where the last hour of the year comes twice, a rhythm has one tick more. */
    size_t len = small_zone(file, 0, "\nAAA0BBB,J1/0,J365/24\n");
    assert_ok(pst_tz_parse(&odd, PST_STR("odd"), (pst_str){file, len}, &err));
    assert_ok(pst_cron_parse(&c, PST_STR("30 * 31 12 *"), &err));
    (void)pst_wall_format(out, pst_cron_next(&c, odd, wall("9998-12-31T23:10:00Z")));
    assert_string_equal(out, "9998-12-31T23:30:00Z");
    assert_true(pst_wall_is_none(pst_cron_next(&c, odd, wall("9998-12-31T23:30:00Z"))));
}

static bool field_has(uint64_t bits, int v)
{
    return bits >> v & 1;
}

/* What the header says, minute by minute over UTC: a minute ticks when its local time fits in its
 * first pass (or, for rhythms, in any), or when a local time inside a gap was moved onto it. */
static bool ticks_at(const struct pst_cron *c, const struct pst_tz *tz, pst_wall t)
{
    struct pst_civil l = pst_tz_to_local(tz, t);
    for (int64_t local = -180; local <= 180; local++) {
        struct pst_civil m =
            pst_wall_to_civil((pst_wall){pst_wall_from_civil(&l).us + local * 60 * PST_US_PER_S});
        int64_t days = pst_days_from_civil(m.year, m.month, m.day);
        bool by_day = field_has(c->days, m.day);
        bool by_week = field_has(c->weekdays, (int)((days + 4) % 7));
        bool day = c->any_day || c->any_weekday ? by_day && by_week : by_day || by_week;
        if (!field_has(c->minutes, m.minute) || !field_has(c->hours, m.hour) ||
            !field_has(c->months, m.month) || !day)
            continue;
        if (pst_tz_to_utc(tz, NULL, &m).us == t.us || (local == 0 && c->any_hour))
            return true;
    }
    return false;
}

static void cron_agrees_with_a_slow_reference_around_clock_changes(void **state)
{
    (void)state;
    static const char *const exprs[] = {"*/20 * * * *", "30 2 * * *", "0 1-3 * * *", "15 */2 * * *",
                                        "45 2,3 * * sun"};
    static const struct {
        const char *zone, *around;
    } places[] = {
        {"Europe/Berlin", "2026-03-28T22:00:00Z"},
        {"Europe/Berlin", "2026-10-24T21:00:00Z"},
        {"America/New_York", "2026-03-08T04:00:00Z"},
        {"Australia/Lord_Howe", "2026-04-04T11:00:00Z"},
        {"Australia/Lord_Howe", "2026-10-03T11:00:00Z"},
    };
    for (size_t p = 0; p < PST_COUNT(places); p++) {
        PST_AUTO(tz) struct pst_tz *tz = zone(places[p].zone);
        for (size_t e = 0; e < PST_COUNT(exprs); e++) {
            struct pst_err err;
            struct pst_cron c;
            pst_wall from = wall(places[p].around);
            assert_ok(pst_cron_parse(&c, pst_str_from(exprs[e]), &err));
            pst_wall next = pst_cron_next(&c, tz, from);
            for (int m = 1; m < 10 * 60; m++) {
                pst_wall t = {from.us + m * 60 * PST_US_PER_S};
                bool want = ticks_at(&c, tz, t);
                if (want != (next.us == t.us))
                    fail_msg("%s in %s at minute %d: reference says %d", exprs[e], places[p].zone,
                             m, want);
                if (want)
                    next = pst_cron_next(&c, tz, t);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_times_become_utc_through_clock_changes),
        cmocka_unit_test(every_quarter_hour_survives_the_way_to_local_and_back),
        cmocka_unit_test(bad_zones_are_refused),
        cmocka_unit_test(damaged_zone_files_do_no_harm),
        cmocka_unit_test(the_rule_behind_the_table_is_needed),
        cmocka_unit_test(a_rule_that_begins_late_is_written_out_to_the_end),
        cmocka_unit_test(a_zone_file_is_read_up_to_its_limit),
        cmocka_unit_test(zones_survive_every_allocation_fault),
        cmocka_unit_test(posix_rules_are_read),
        cmocka_unit_test(timestamps_are_read_in_all_their_forms),
        cmocka_unit_test(cron_mistakes_name_their_field),
        cmocka_unit_test(cron_ticks_come_when_they_should),
        cmocka_unit_test(ticks_end_with_the_year_9998),
        cmocka_unit_test(cron_agrees_with_a_slow_reference_around_clock_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
