/* tests/unit/http/egress_test.c: where connections may go, over every spelling of an address that
 * ends at this decision, and addresses, ranges and origins as text. */
#include "../test.h"

#include <stdio.h>

#include "http/http.h"

enum verdict {
    NEVER, /* in no zone, whatever is listed */
    LOCAL, /* loopback: only in development mode */
    LISTED, /* in the system zone when its range is listed */
    ALWAYS,
};

static const struct {
    const char *ip;
    enum verdict verdict;
} ADDRESSES[] = {
    /* loopback */
    {"127.0.0.1", LOCAL},
    {"127.0.0.0", LOCAL},
    {"127.255.255.255", LOCAL},
    {"127.1.2.3", LOCAL},
    {"::1", LOCAL},
    {"::ffff:127.0.0.1", LOCAL},
    {"::ffff:7f00:1", LOCAL},
    {"126.255.255.255", ALWAYS},
    {"128.0.0.0", ALWAYS},
    /* this host, link-local, metadata */
    {"0.0.0.0", NEVER},
    {"0.0.0.1", NEVER},
    {"0.255.255.255", NEVER},
    {"1.0.0.0", ALWAYS},
    {"::", NEVER},
    {"169.254.0.0", NEVER},
    {"169.254.169.254", NEVER},
    {"169.254.255.255", NEVER},
    {"169.253.255.255", ALWAYS},
    {"169.255.0.0", ALWAYS},
    {"::ffff:169.254.169.254", NEVER},
    {"100.100.100.200", NEVER},
    {"100.100.100.199", LISTED},
    {"168.63.129.16", NEVER},
    {"168.63.129.17", ALWAYS},
    {"192.0.0.192", NEVER},
    {"192.0.0.170", NEVER},
    {"192.0.1.0", ALWAYS},
    {"fe80::1", NEVER},
    {"febf:ffff::1", NEVER},
    {"fec0::1", NEVER},
    {"fd00:ec2::254", NEVER},
    {"fd20:ce::254", NEVER},
    /* private */
    {"9.255.255.255", ALWAYS},
    {"10.0.0.0", LISTED},
    {"10.255.255.255", LISTED},
    {"11.0.0.0", ALWAYS},
    {"172.15.255.255", ALWAYS},
    {"172.16.0.0", LISTED},
    {"172.31.255.255", LISTED},
    {"172.32.0.0", ALWAYS},
    {"192.167.255.255", ALWAYS},
    {"192.168.0.0", LISTED},
    {"192.168.255.255", LISTED},
    {"192.169.0.0", ALWAYS},
    {"::ffff:10.1.2.3", LISTED},
    {"fc00::1", LISTED},
    {"fd12:3456::1", LISTED},
    {"fdff:ffff::1", LISTED},
    {"fe00::1", NEVER},
    /* carriers, benchmarks, documentation, relays */
    {"100.63.255.255", ALWAYS},
    {"100.64.0.0", LISTED},
    {"100.127.255.255", LISTED},
    {"100.128.0.0", ALWAYS},
    {"198.17.255.255", ALWAYS},
    {"198.18.0.0", LISTED},
    {"198.19.255.255", LISTED},
    {"198.20.0.0", ALWAYS},
    {"192.0.2.1", LISTED},
    {"198.51.100.1", LISTED},
    {"203.0.113.1", LISTED},
    {"203.0.114.1", ALWAYS},
    {"192.88.99.1", NEVER},
    {"2001:db8::1", LISTED},
    {"3fff::1", LISTED},
    /* multicast, reserved, broadcast */
    {"223.255.255.255", ALWAYS},
    {"224.0.0.1", NEVER},
    {"239.255.255.255", NEVER},
    {"240.0.0.1", NEVER},
    {"255.255.255.255", NEVER},
    {"ff02::1", NEVER},
    {"ff0e::1", NEVER},
    /* IPv4 inside IPv6: NAT64, 6to4, Teredo, compatible, ISATAP, local NAT64, SIIT */
    {"64:ff9b::127.0.0.1", NEVER},
    {"64:ff9b::169.254.169.254", NEVER},
    {"64:ff9b::10.0.0.1", LISTED},
    {"64:ff9b::8.8.8.8", ALWAYS},
    {"64:ff9b:1::8.8.8.8", NEVER},
    {"2002:7f00:1::1", NEVER},
    {"2002:a9fe:a9fe::1", NEVER},
    {"2002:a00:1::1", LISTED},
    {"2002:808:808::1", ALWAYS},
    {"2001:0:808:808:0:0:f7f7:f7f7", ALWAYS}, /* server 8.8.8.8, client 8.8.8.8 */
    {"2001:0:808:808:0:0:80ff:fffe", NEVER}, /* client 127.0.0.1 */
    {"2001:0:7f00:1:0:0:f7f7:f7f7", NEVER}, /* server 127.0.0.1 */
    {"2001:0:a00:1:0:0:f7f7:f7f7", LISTED}, /* server 10.0.0.1 */
    {"::127.0.0.1", NEVER},
    {"::8.8.8.8", ALWAYS},
    {"2600::5efe:127.0.0.1", NEVER},
    {"2600::200:5efe:169.254.169.254", NEVER},
    {"2600::5efe:8.8.8.8", ALWAYS},
    {"fd00::5efe:127.0.0.1", NEVER},
    {"::ffff:0:127.0.0.1", NEVER},
    /* the rest of IPv6 */
    {"2000::1", ALWAYS},
    {"2606:4700::1111", ALWAYS},
    {"3ffe:ffff::1", ALWAYS},
    {"2001:4860:4860::8888", ALWAYS},
    {"2001:10::1", NEVER},
    {"2001:2::1", NEVER},
    {"100::1", NEVER},
    {"4000::1", NEVER},
    {"5f00::1", NEVER},
    {"e000::1", NEVER},
};

static struct pst_address address(const char *ip, uint16_t port)
{
    struct pst_address a;
    if (!pst_address_parse(&a, pst_str_from(ip)))
        fail_msg("'%s' is no address", ip);
    a.port = port;
    return a;
}

static bool allows(const struct pst_egress *egress, enum pst_zone zone, const char *ip)
{
    struct pst_address a = address(ip, 443);
    const char *why = NULL;
    bool ok = pst_egress_allows(egress, zone, &a, &why);
    assert_non_null(why);
    assert_int_equal(ok, why[0] == '\0' || ok);
    return ok;
}

static void every_address_ends_in_its_class(void **state)
{
    (void)state;
    struct pst_range every[2];
    assert_true(pst_range_parse(&every[0], PST_STR("0.0.0.0/0")));
    assert_true(pst_range_parse(&every[1], PST_STR("::/0")));
    const struct pst_egress none = {0};
    const struct pst_egress listed = {.ranges = {[PST_ZONE_SYSTEM] = every},
                                      .range_counts = {[PST_ZONE_SYSTEM] = 2}};
    const struct pst_egress dev = {.allow_loopback = true};
    for (size_t i = 0; i < PST_COUNT(ADDRESSES); i++) {
        const char *ip = ADDRESSES[i].ip;
        enum verdict v = ADDRESSES[i].verdict;
        bool want[6] = {
            v == ALWAYS,
            v == ALWAYS,
            v >= LISTED,
            v == ALWAYS,
            v == ALWAYS || v == LOCAL,
            v == ALWAYS || v == LOCAL,
        };
        bool got[6] = {
            allows(&none, PST_ZONE_SYSTEM, ip),   allows(&none, PST_ZONE_PUBLIC, ip),
            allows(&listed, PST_ZONE_SYSTEM, ip), allows(&listed, PST_ZONE_PUBLIC, ip),
            allows(&dev, PST_ZONE_SYSTEM, ip),    allows(&dev, PST_ZONE_PUBLIC, ip),
        };
        for (size_t k = 0; k < 6; k++)
            if (got[k] != want[k])
                fail_msg("%s, case %zu: %s", ip, k, got[k] ? "allowed" : "refused");
    }
}

static void only_the_listed_private_range_is_reached(void **state)
{
    (void)state;
    struct pst_range r[2];
    assert_true(pst_range_parse(&r[0], PST_STR("10.20.0.0/16")));
    assert_true(pst_range_parse(&r[1], PST_STR("fd12::/16")));
    const struct pst_egress e = {.ranges = {[PST_ZONE_SYSTEM] = r},
                                 .range_counts = {[PST_ZONE_SYSTEM] = 2}};
    assert_true(allows(&e, PST_ZONE_SYSTEM, "10.20.0.1"));
    assert_true(allows(&e, PST_ZONE_SYSTEM, "10.20.255.255"));
    assert_true(allows(&e, PST_ZONE_SYSTEM, "::ffff:10.20.0.1"));
    assert_true(allows(&e, PST_ZONE_SYSTEM, "64:ff9b::10.20.0.1"));
    assert_true(allows(&e, PST_ZONE_SYSTEM, "fd12:1::1"));
    assert_false(allows(&e, PST_ZONE_SYSTEM, "10.21.0.1"));
    assert_false(allows(&e, PST_ZONE_SYSTEM, "10.19.255.255"));
    assert_false(allows(&e, PST_ZONE_SYSTEM, "fd13::1"));
    assert_false(allows(&e, PST_ZONE_PUBLIC, "10.20.0.1"));
}

static void each_zone_has_ranges_of_its_own(void **state)
{
    (void)state;
    struct pst_range system;
    struct pst_range public;
    assert_true(pst_range_parse(&system, PST_STR("10.20.0.0/16")));
    assert_true(pst_range_parse(&public, PST_STR("10.30.0.0/16")));
    const struct pst_egress e = {
        .ranges = {[PST_ZONE_SYSTEM] = &system, [PST_ZONE_PUBLIC] = &public},
        .range_counts = {[PST_ZONE_SYSTEM] = 1, [PST_ZONE_PUBLIC] = 1}};
    assert_true(allows(&e, PST_ZONE_SYSTEM, "10.20.0.1"));
    assert_false(allows(&e, PST_ZONE_PUBLIC, "10.20.0.1"));
    assert_true(allows(&e, PST_ZONE_PUBLIC, "10.30.0.1"));
    assert_false(allows(&e, PST_ZONE_SYSTEM, "10.30.0.1"));
    assert_false(allows(&e, PST_ZONE_PUBLIC, "169.254.169.254"));
}

static void a_wide_ipv6_range_does_not_open_private_ipv4(void **state)
{
    (void)state;
    struct pst_range r;
    assert_true(pst_range_parse(&r, PST_STR("::/0")));
    const struct pst_egress e = {.ranges = {[PST_ZONE_SYSTEM] = &r},
                                 .range_counts = {[PST_ZONE_SYSTEM] = 1}};
    assert_false(allows(&e, PST_ZONE_SYSTEM, "10.0.0.1"));
    assert_true(allows(&e, PST_ZONE_SYSTEM, "fd00::1"));
}

static void own_addresses_are_refused_also_in_development(void **state)
{
    (void)state;
    struct pst_address own[2] = {address("127.0.0.1", 7400), address("93.184.216.34", 0)};
    const struct pst_egress e = {.own = own, .own_count = 2, .allow_loopback = true};
    struct pst_address a = address("127.0.0.1", 7400);
    assert_false(pst_egress_allows(&e, PST_ZONE_SYSTEM, &a, NULL));
    a.port = 7401;
    assert_true(pst_egress_allows(&e, PST_ZONE_SYSTEM, &a, NULL));
    a = address("93.184.216.34", 8443);
    assert_false(pst_egress_allows(&e, PST_ZONE_SYSTEM, &a, NULL));
}

static void ports_of_other_services_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint16_t port;
        bool ok;
    } PORTS[] = {{80, true},    {443, true},   {1024, true}, {8443, true},  {65535, true},
                 {22, false},   {25, false},   {79, false},  {1023, false}, {3306, false},
                 {5432, false}, {6379, false}, {9200, false}};
    const struct pst_egress e = {0};
    for (size_t i = 0; i < PST_COUNT(PORTS); i++) {
        struct pst_address a = address("8.8.8.8", PORTS[i].port);
        if (pst_egress_allows(&e, PST_ZONE_SYSTEM, &a, NULL) != PORTS[i].ok)
            fail_msg("port %d", PORTS[i].port);
    }
}

static void ranges_are_read_strictly(void **state)
{
    (void)state;
    struct pst_range r;
    assert_true(pst_range_parse(&r, PST_STR("192.168.1.7")));
    assert_int_equal(r.bits, 128);
    assert_true(pst_range_parse(&r, PST_STR("10.0.0.0/8")));
    assert_int_equal(r.bits, 104);
    static const char *const BAD[] = {
        "",           "10.0.0.0/33", "10.0.0.1/8", "fd00::/129",   "10.0.0.0/-1", "10.0.0/8",
        "0x7f.0.0.1", "10.0.0.0/",   "host/8",     "10.0.0.0/8/8", " 10.0.0.0/8", "2130706433"};
    for (size_t i = 0; i < PST_COUNT(BAD); i++)
        if (pst_range_parse(&r, pst_str_from(BAD[i])))
            fail_msg("'%s' was read as a range", BAD[i]);
}

static void addresses_are_shown_as_people_write_them(void **state)
{
    (void)state;
    char text[PST_ADDRESS_TEXT];
    struct pst_address a = address("10.1.2.3", 0);
    assert_int_equal(pst_address_format(text, &a), 8);
    assert_string_equal(text, "10.1.2.3");
    a.port = 8443;
    pst_address_format(text, &a);
    assert_string_equal(text, "10.1.2.3:8443");
    a = address("fd00::1", 443);
    pst_address_format(text, &a);
    assert_string_equal(text, "[fd00::1]:443");
}

static void an_origin_is_scheme_host_and_port(void **state)
{
    (void)state;
    struct pst_err err;
    char out[PST_ORIGIN_TEXT];
    static const char *const GOOD[][2] = {
        {"https://PS.Example.com/PSIGW/x?y#z", "https://ps.example.com:443"},
        {"HTTP://h", "http://h:80"},
        {"http://h:8000", "http://h:8000"},
        {"https://[FD00::1]:8443/a", "https://[fd00::1]:8443"},
        {"https://h?q=@", "https://h:443"},
    };
    for (size_t i = 0; i < PST_COUNT(GOOD); i++) {
        assert_ok(pst_http_origin(out, pst_str_from(GOOD[i][0]), &err));
        assert_string_equal(out, GOOD[i][1]);
    }
    static const char *const BAD[] = {"",
                                      "ftp://h/",
                                      "h/x",
                                      "https://",
                                      "https:///",
                                      "https://u:p@h/",
                                      "https://u@h",
                                      "https://h:0/",
                                      "https://h:x",
                                      "https://h:65536",
                                      "https://h /",
                                      "https://h\\x"};
    for (size_t i = 0; i < PST_COUNT(BAD); i++)
        if (pst_http_origin(out, pst_str_from(BAD[i]), &err) != PST_E_INVALID)
            fail_msg("'%s' was taken", BAD[i]);
}

static void http_dates_are_read_in_all_three_forms(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    static const char *const BAD[] = {"",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 31 Feb 1994 08:49:37 GMT",
                                      "Sun, 06 Nev 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "yesterday"};
    pst_wall t;
    char text[PST_WALL_TEXT];
    for (size_t i = 0; i < PST_COUNT(GOOD); i++) {
        assert_true(pst_http_date_parse(&t, pst_str_from(GOOD[i])));
        pst_wall_format(text, t);
        assert_string_equal(text, "1994-11-06T08:49:37Z");
    }
    for (size_t i = 0; i < PST_COUNT(BAD); i++)
        if (pst_http_date_parse(&t, pst_str_from(BAD[i])))
            fail_msg("'%s' was taken", BAD[i]);
}

static void retry_after_is_seconds_or_a_date(void **state)
{
    (void)state;
    pst_wall now;
    assert_true(pst_http_date_parse(&now, PST_STR("Sun, 06 Nov 1994 08:49:37 GMT")));
    assert_int_equal(pst_http_retry_after_s(PST_STR("120"), now), 120);
    assert_int_equal(pst_http_retry_after_s(PST_STR("0"), now), 0);
    assert_int_equal(pst_http_retry_after_s(PST_STR("99999999999999"), now), 86400);
    assert_int_equal(pst_http_retry_after_s(PST_STR("Sun, 06 Nov 1994 08:50:07 GMT"), now), 30);
    assert_int_equal(pst_http_retry_after_s(PST_STR("Sun, 06 Nov 1994 08:00:00 GMT"), now), 0);
    assert_int_equal(pst_http_retry_after_s(PST_STR(""), now), -1);
    assert_int_equal(pst_http_retry_after_s(PST_STR("soon"), now), -1);
    assert_int_equal(pst_http_retry_after_s(PST_STR("-5"), now), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_ends_in_its_class),
        cmocka_unit_test(only_the_listed_private_range_is_reached),
        cmocka_unit_test(each_zone_has_ranges_of_its_own),
        cmocka_unit_test(a_wide_ipv6_range_does_not_open_private_ipv4),
        cmocka_unit_test(own_addresses_are_refused_also_in_development),
        cmocka_unit_test(ports_of_other_services_are_refused),
        cmocka_unit_test(ranges_are_read_strictly),
        cmocka_unit_test(addresses_are_shown_as_people_write_them),
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(http_dates_are_read_in_all_three_forms),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
