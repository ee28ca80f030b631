/* Converters against second opinions: times against libc's own zones, all of them, at both edges of
 * every change of the clocks since 2000; decimals against arithmetic on their text. */
#include <time.h>

#include "base/decimal.h"
#include "codec/timestamp.h"
#include "tests/unit/model/fixture.h"
#include "tests/unit/test.h"

static struct pst_err err;
static uint64_t seed = 0x853c49e6748fea9bU;

static int64_t draw(int64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (int64_t)(seed % (uint64_t)below);
}

/* ---- times ---- */

static int64_t offset_at(int64_t at_s)
{
    time_t t = (time_t)at_s;
    struct tm c;
    if (localtime_r(&t, &c) == NULL)
        fail_msg("localtime_r");
    return c.tm_gmtoff;
}

/* The instant of a local time near a change from offset `before` to `after`: the first that has
 * it, or where none has it, moved on by the gap. */
static int64_t expected_instant(int64_t local_s, int64_t before, int64_t after)
{
    int64_t early = local_s - (before > after ? before : after);
    int64_t late = local_s - (before > after ? after : before);
    if (offset_at(early) == local_s - early)
        return early;
    if (offset_at(late) == local_s - late)
        return late;
    return local_s - before;
}

static void check_local(const char *zone, const struct pst_tz *tz, struct pst_tz_memo *memo,
                        int64_t local_s, int64_t expected_s)
{
    time_t t = (time_t)local_s;
    struct tm c;
    char text[64];
    char forms[2][PST_WALL_TEXT];
    struct pst_stamp stamp;
    assert_non_null(gmtime_r(&t, &c));
    assert_true(strftime(text, sizeof text, "%Y-%m-%d-%H.%M.%S.000000", &c) > 0);
    assert_true(pst_stamp_parse(&stamp, pst_str_from(text)));
    pst_wall got = pst_stamp_to_wall(&stamp, tz, memo);
    if (got.us == expected_s * PST_US_PER_S)
        return;
    pst_wall_format(forms[0], got);
    pst_wall_format(forms[1], (pst_wall){expected_s * PST_US_PER_S});
    fail_msg("%s in %s is %s, not %s", text, zone, forms[0], forms[1]);
}

/* The second at which the offset is no longer that of `from`; it changes once in between. */
static int64_t find_change(int64_t from, int64_t to)
{
    int64_t before = offset_at(from);
    while (to - from > 1) {
        int64_t middle = from + (to - from) / 2;
        if (offset_at(middle) == before)
            from = middle;
        else
            to = middle;
    }
    return to;
}

static int check_zone(const char *zone)
{
    static const int64_t edges[] = {-7200, -3601, -3600, -1801, -61,  -1,   0,
                                    1,     59,    1800,  3599,  3600, 3601, 7200};
    const int64_t start = 946684800; /* 2000 */
    const int64_t end = start + 40LL * 365 * 86400;
    char path[128];
    int changes = 0;
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    struct pst_tz_memo memo = {0};
    (void)snprintf(path, sizeof path, ":%s", zone);
    assert_int_equal(setenv("TZ", path, 1), 0);
    tzset();
    assert_ok(pst_tz_load(&tz, NULL, pst_str_from(zone), &err));
    for (int64_t at = start; at < end; at += 10 * 86400) {
        int64_t local = at + offset_at(at);
        if (offset_at(at) == offset_at(at + 10 * 86400)) {
            if (offset_at(at - 86400) == offset_at(at)) /* nothing changes near it */
                check_local(zone, tz, &memo, local, at);
            continue;
        }
        int64_t change = find_change(at, at + 10 * 86400);
        int64_t before = offset_at(change - 1);
        int64_t after = offset_at(change);
        changes++;
        for (size_t i = 0; i < PST_COUNT(edges); i++) {
            local = change + before + edges[i];
            check_local(zone, tz, &memo, local, expected_instant(local, before, after));
            local = change + after + edges[i];
            check_local(zone, tz, &memo, local, expected_instant(local, before, after));
        }
    }
    return changes;
}

static void every_zone_converts_as_libc_does(void **state)
{
    (void)state;
    char line[256];
    int zones = 0;
    int changes = 0;
    FILE *table = fopen("/usr/share/zoneinfo/zone.tab", "re");
    assert_non_null(table);
    while (fgets(line, sizeof line, table)) {
        char zone[64];
        if (line[0] == '#' || sscanf(line, "%*s %*s %63s", zone) != 1)
            continue;
        changes += check_zone(zone);
        zones++;
    }
    (void)fclose(table);
    (void)unsetenv("TZ");
    assert_true(zones > 300);
    assert_true(changes > 5000);
}

/* An offset in the text is arithmetic, whatever the zone. */
static void an_offset_is_taken_as_written(void **state)
{
    (void)state;
    PST_AUTO(tz) struct pst_tz *tz = NULL;
    assert_ok(pst_tz_load(&tz, NULL, PST_STR("Australia/Lord_Howe"), &err));
    for (int i = 0; i < 20000; i++) {
        int64_t at = draw(4102444800LL); /* to 2100 */
        int64_t minutes = draw(2 * 24 * 60 - 1) - (24 * 60 - 1);
        int64_t length = minutes < 0 ? -minutes : minutes;
        time_t local = (time_t)(at + minutes * 60);
        struct tm c;
        char date[32];
        char text[64];
        struct pst_stamp stamp;
        assert_non_null(gmtime_r(&local, &c));
        assert_true(strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &c) > 0);
        (void)snprintf(text, sizeof text, draw(2) ? "%s%c%02d:%02d" : "%s%c%02d%02d", date,
                       minutes < 0 ? '-' : '+', (int)(length / 60), (int)(length % 60));
        if (local < 0)
            continue;
        assert_true(pst_stamp_parse(&stamp, pst_str_from(text)));
        if (pst_stamp_to_wall(&stamp, tz, NULL).us != at * PST_US_PER_S)
            fail_msg("%s", text);
    }
}

/* ---- decimals ---- */

/* A mapping of suppliers with custom fields over a column, mapped once per call. */
struct converter {
    struct pst_mapping *mapping;
    struct pst_mapper *mapper;
    struct pst_arena *arena;
};

static struct converter converter_new(const char *custom)
{
    struct converter c = {NULL, NULL, NULL};
    char over[200];
    PST_AUTO(tz) struct pst_tz *utc = NULL;
    assert_ok(pst_tz_load(&utc, NULL, PST_STR("UTC"), &err));
    (void)snprintf(over, sizeof over, "custom_fields: {x: %s}", custom);
    assert_ok(fixture_mapping(&c.mapping, "suppliers", "fields: {}", over, utc, &err));
    assert_ok(pst_mapper_new(&c.mapper, c.mapping, &err));
    assert_ok(pst_arena_new(&c.arena, 1 << 22, &err));
    return c;
}

static void converter_free(struct converter *c)
{
    pst_mapper_free(c->mapper);
    pst_mapping_free(c->mapping);
    pst_arena_free(c->arena);
}

/* What becomes of rows of one column: the value between the quotes, "" when rejected. */
static void convert(struct converter *c, const char rows[][64], size_t count, char out[128])
{
    struct fixture_page p;
    struct pst_mapped mapped;
    fixture_columns(&p, "C");
    for (size_t i = 0; i < count; i++)
        fixture_row(&p, rows[i]);
    pst_arena_reset(c->arena);
    assert_ok(pst_mapper_bind(c->mapper, &p.columns, &err));
    assert_ok(pst_mapper_apply(c->mapper, &p.doc, c->arena, &mapped, &err));
    out[0] = '\0';
    if (mapped.reject.len > 0)
        return;
    const char *value = strstr(mapped.data.ptr, "\"x\":\"");
    assert_non_null(value);
    value += strlen("\"x\":\"");
    (void)snprintf(out, 128, "%.*s", (int)(strchr(value, '"') - value), value);
}

/* A number as text in any of its forms, and its plain notation made by moving characters. */
static void draw_number(char text[64], char plain[128])
{
    char digits[48];
    char all[160] = "";
    int whole = (int)draw(20);
    int fraction = (int)draw(20) + (whole == 0);
    int exponent = draw(3) ? 0 : (int)draw(41) - 20;
    for (int i = 0; i < whole + fraction; i++)
        digits[i] = (char)(draw(4) ? '0' + draw(10) : '0');
    digits[whole + fraction] = '\0';
    const char *sign = draw(3) ? "" : draw(2) ? "-" : "+";
    int at = snprintf(text, 64, "%s%.*s%s%s", sign, whole, digits, fraction || draw(2) ? "." : "",
                      digits + whole);
    if (exponent || draw(4) == 0)
        (void)snprintf(text + at, (size_t)(64 - at), "%c%s%d", draw(2) ? 'e' : 'E',
                       exponent >= 0 && draw(2) ? "+" : "", exponent);
    /* digits * 10^-scale */
    int scale = fraction - exponent;
    (void)snprintf(all, sizeof all, "%060d%s", 0, digits);
    size_t len = strlen(all);
    for (; scale < 0; scale++)
        all[len++] = '0';
    all[len] = '\0';
    const char *first = all;
    while (*first == '0' && first < all + len - scale - 1)
        first++;
    bool is_zero = strspn(all, "0") == len;
    (void)snprintf(plain, 128, "%s%.*s%s%s", *sign == '-' && !is_zero ? "-" : "",
                   (int)(all + len - scale - first), first, scale ? "." : "", all + len - scale);
}

static size_t significant(const char *plain)
{
    size_t count = 0;
    for (const char *c = plain; *c; c++)
        count += *c >= '0' && *c <= '9' && (count > 0 || *c != '0');
    return count;
}

static bool is_plain(const char *text)
{
    const char *c = text + (*text == '-');
    size_t whole = strspn(c, "0123456789");
    if (whole == 0 || (whole > 1 && *c == '0'))
        return false;
    c += whole;
    return *c == '\0' || (*c == '.' && c[1] && strspn(c + 1, "0123456789") == strlen(c + 1));
}

static void decimals_keep_every_digit(void **state)
{
    (void)state;
    struct converter c = converter_new("{column: C, type: decimal}");
    int refused = 0;
    for (int i = 0; i < 50000; i++) {
        char text[1][64];
        char plain[128];
        char got[128];
        draw_number(text[0], plain);
        convert(&c, (const char(*)[64])text, 1, got);
        const char *point = strchr(plain, '.');
        /* Plain notation is taken as it is, other forms have a limit. */
        bool is_large = significant(plain) > PST_DECIMAL_DIGITS ||
                        (point && strlen(point + 1) > PST_DECIMAL_DIGITS);
        const char *want = is_plain(text[0]) ? text[0] : is_large ? "" : plain;
        if (strcmp(got, want) != 0)
            fail_msg("%s becomes '%s', not '%s'", text[0], got, want);
        refused += want[0] == '\0';
    }
    assert_in_range(refused, 100, 25000);
    converter_free(&c);
}

/* Beside the edge of 128 bits. */
static void a_number_too_large_is_refused_whatever_its_last_digit(void **state)
{
    (void)state;
    static const char *const lasts[] = {"7", "8", "9"};
    struct converter c = converter_new("{sum: C, type: decimal}");
    for (size_t i = 0; i < PST_COUNT(lasts); i++) {
        for (int negative = 0; negative < 2; negative++) {
            char rows[1][64];
            char got[128];
            (void)snprintf(rows[0], 64, "%s17014118346046923173168730371588410572%s",
                           negative ? "-" : "", lasts[i]);
            convert(&c, (const char(*)[64])rows, 1, got);
            assert_string_equal(got, "");
        }
    }
    converter_free(&c);
}

static void sums_are_exact(void **state)
{
    (void)state;
    struct converter c = converter_new("{sum: C, type: decimal}");
    for (int i = 0; i < 20000; i++) {
        char rows[6][64];
        char got[128];
        char want[128];
        int places = 0;
        pst_i128 total = 0; /* in units of 10^-9 */
        size_t count = 1 + (size_t)draw(6);
        for (size_t r = 0; r < count; r++) {
            int64_t whole = draw(draw(2) ? 1000 : 1000000000000000000LL);
            int scale = (int)draw(10);
            int64_t unit = 1;
            for (int d = 0; d < scale; d++)
                unit *= 10;
            int64_t part = draw(unit);
            bool negative = draw(2);
            (void)snprintf(rows[r], 64, scale ? "%s%lld.%0*lld" : "%s%lld", negative ? "-" : "",
                           (long long)whole, scale, (long long)part);
            pst_i128 value = (pst_i128)whole * 1000000000 + part * (1000000000 / unit);
            total += negative ? -value : value;
            places = scale > places ? scale : places;
        }
        pst_i128 size = total < 0 ? -total : total;
        int at = snprintf(want, sizeof want, "%s%lld", total < 0 ? "-" : "",
                          (long long)(size / 1000000000));
        if (places)
            (void)snprintf(want + at, sizeof want - (size_t)at, ".%09lld",
                           (long long)(size % 1000000000));
        if (places)
            want[at + 1 + places] = '\0';
        convert(&c, (const char(*)[64])rows, count, got);
        if (strcmp(got, want) != 0)
            fail_msg("%s + ... (%zu) is '%s', not '%s'", rows[0], count, got, want);
    }
    converter_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_zone_converts_as_libc_does),
        cmocka_unit_test(an_offset_is_taken_as_written),
        cmocka_unit_test(decimals_keep_every_digit),
        cmocka_unit_test(a_number_too_large_is_refused_whatever_its_last_digit),
        cmocka_unit_test(sums_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
