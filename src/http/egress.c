/* http/egress.c: whether Penstock may connect to an address. A table of blocks, most specific
 * first, from the IANA special-purpose registries; what is in no block is global. */
#include <string.h>

#include "http/http.h"

enum block_class {
    BLOCK_NEVER,
    BLOCK_LOOPBACK,
    BLOCK_LISTED, /* only where the operator listed it for the zone */
    BLOCK_GLOBAL,
    BLOCK_IPV4_LOW, /* IPv6 with an IPv4 address in its last four bytes */
    BLOCK_IPV4_6TO4, /* in bytes 2 to 5 */
    BLOCK_IPV4_TEREDO, /* server in bytes 4 to 7, client inverted in the last four */
};

struct block {
    uint8_t ip[16];
    uint8_t bits;
    enum block_class klass;
    const char *what;
};

#define V4(a, b, c, d) {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (a), (b), (c), (d)}
#define V4_BITS(n) (96 + (n))

static const struct block BLOCKS[] = {
    {V4(127, 0, 0, 0), V4_BITS(8), BLOCK_LOOPBACK, "a loopback address"},
    {V4(0, 0, 0, 0), V4_BITS(8), BLOCK_NEVER, "an address of \"this host\""},
    {V4(169, 254, 0, 0), V4_BITS(16), BLOCK_NEVER, "a link-local or metadata address"},
    {V4(100, 100, 100, 200), V4_BITS(32), BLOCK_NEVER, "a metadata address"},
    {V4(168, 63, 129, 16), V4_BITS(32), BLOCK_NEVER, "a metadata address"},
    {V4(192, 0, 0, 0), V4_BITS(24), BLOCK_NEVER, "a protocol or metadata address"},
    {V4(224, 0, 0, 0), V4_BITS(4), BLOCK_NEVER, "a multicast address"},
    {V4(240, 0, 0, 0), V4_BITS(4), BLOCK_NEVER, "a reserved or broadcast address"},
    {V4(10, 0, 0, 0), V4_BITS(8), BLOCK_LISTED, "a private address"},
    {V4(172, 16, 0, 0), V4_BITS(12), BLOCK_LISTED, "a private address"},
    {V4(192, 168, 0, 0), V4_BITS(16), BLOCK_LISTED, "a private address"},
    {V4(100, 64, 0, 0), V4_BITS(10), BLOCK_LISTED, "a carrier's shared address"},
    {V4(198, 18, 0, 0), V4_BITS(15), BLOCK_LISTED, "a benchmark address"},
    {V4(192, 0, 2, 0), V4_BITS(24), BLOCK_LISTED, "a documentation address"},
    {V4(198, 51, 100, 0), V4_BITS(24), BLOCK_LISTED, "a documentation address"},
    {V4(203, 0, 113, 0), V4_BITS(24), BLOCK_LISTED, "a documentation address"},
    {V4(192, 88, 99, 0), V4_BITS(24), BLOCK_NEVER, "a 6to4 relay"},
    {V4(0, 0, 0, 0), V4_BITS(0), BLOCK_GLOBAL, ""},

    {{[15] = 1}, 128, BLOCK_LOOPBACK, "a loopback address"},
    {{0}, 128, BLOCK_NEVER, "the unspecified address"},
    {{0}, 96, BLOCK_IPV4_LOW, ""}, /* IPv4-compatible, deprecated */
    {{0x00, 0x64, 0xff, 0x9b}, 96, BLOCK_IPV4_LOW, ""}, /* NAT64 */
    {{0x20, 0x02}, 16, BLOCK_IPV4_6TO4, ""},
    {{0x20, 0x01, 0x00, 0x00}, 32, BLOCK_IPV4_TEREDO, ""},
    {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, 128, BLOCK_NEVER, "a metadata address"},
    {{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54}, 128, BLOCK_NEVER, "a metadata address"},
    {{0xfc}, 7, BLOCK_LISTED, "a private address"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, BLOCK_LISTED, "a documentation address"},
    {{0x3f, 0xff}, 20, BLOCK_LISTED, "a documentation address"},
    {{0x20, 0x01}, 23, BLOCK_NEVER, "a protocol address"},
    {{0x20}, 3, BLOCK_GLOBAL, ""}, /* 2000::/3, all that is given out */
    {{0}, 0, BLOCK_NEVER, "an address outside the global range"},
};

/* Services that an HTTP request must not reach, beside everything below 1024 but 80 and 443. */
static const uint16_t NEVER_PORTS[] = {1433, 1521, 2375, 2376, 2379,  3306,
                                       5432, 6379, 9200, 9300, 11211, 27017};

static bool has_prefix(const uint8_t ip[16], const uint8_t prefix[16], unsigned bits)
{
    unsigned whole = bits / 8;
    if (memcmp(ip, prefix, whole) != 0)
        return false;
    unsigned rest = bits % 8;
    if (rest == 0)
        return true;
    uint8_t mask = (uint8_t)(0xffu << (8 - rest));
    return ((ip[whole] ^ prefix[whole]) & mask) == 0;
}

static const struct block *find_block(const uint8_t ip[16])
{
    const struct block *b = BLOCKS;
    while (!has_prefix(ip, b->ip, b->bits))
        b++; /* the last block holds everything */
    return b;
}

static bool is_listed(const struct pst_egress *egress, enum pst_zone zone, const uint8_t ip[16])
{
    for (size_t i = 0; i < egress->range_counts[zone]; i++) {
        const struct pst_range *r = &egress->ranges[zone][i];
        /* A range of IPv6 never holds IPv4 by accident ("::/0" would). */
        bool is_v4 = has_prefix(ip, (const uint8_t[16])V4(0, 0, 0, 0), 96);
        if ((!is_v4 || r->bits >= 96) && has_prefix(ip, r->ip, r->bits))
            return true;
    }
    return false;
}

static bool is_own(const struct pst_egress *egress, const struct pst_address *a)
{
    static const uint8_t unspecified[16] = {0};
    bool is_loopback = find_block(a->ip)->klass == BLOCK_LOOPBACK;
    for (size_t i = 0; i < egress->own_count; i++) {
        const struct pst_address *own = &egress->own[i];
        bool is_it = memcmp(own->ip, a->ip, 16) == 0 ||
                     (is_loopback && memcmp(own->ip, unspecified, 16) == 0);
        if (is_it && (own->port == 0 || own->port == a->port))
            return true;
    }
    return false;
}

static bool is_port_fit(uint16_t port)
{
    if (port == 0 || port == 80 || port == 443)
        return true;
    if (port < 1024)
        return false;
    for (size_t i = 0; i < PST_COUNT(NEVER_PORTS); i++)
        if (port == NEVER_PORTS[i])
            return false;
    return true;
}

static bool allows_ip(const struct pst_egress *egress, enum pst_zone zone, const uint8_t ip[16],
                      bool allow_loopback, const char **why);

/* An address that carries an IPv4 address goes where that one goes. */
static bool allows_embedded(const struct pst_egress *egress, enum pst_zone zone,
                            const uint8_t *four, uint8_t invert, const char **why)
{
    uint8_t ip[16] = V4(0, 0, 0, 0);
    for (size_t i = 0; i < 4; i++)
        ip[12 + i] = (uint8_t)(four[i] ^ invert);
    return allows_ip(egress, zone, ip, false, why);
}

static bool allows_ip(const struct pst_egress *egress, enum pst_zone zone, const uint8_t ip[16],
                      bool allow_loopback, const char **why)
{
    /* ISATAP hides an IPv4 address in the interface part of any prefix. */
    static const uint8_t ISATAP[4] = {0x00, 0x00, 0x5e, 0xfe};
    uint8_t interface[4];
    memcpy(interface, ip + 8, 4);
    interface[0] &= 0xfd; /* the "universal" bit */
    if (memcmp(interface, ISATAP, 4) == 0 && !allows_embedded(egress, zone, ip + 12, 0, why))
        return false;

    const struct block *b = find_block(ip);
    *why = b->what;
    switch (b->klass) {
    case BLOCK_NEVER:
        return false;
    case BLOCK_LOOPBACK:
        return allow_loopback;
    case BLOCK_LISTED:
        return is_listed(egress, zone, ip);
    case BLOCK_GLOBAL:
        return true;
    case BLOCK_IPV4_LOW:
        return allows_embedded(egress, zone, ip + 12, 0, why);
    case BLOCK_IPV4_6TO4:
        return allows_embedded(egress, zone, ip + 2, 0, why);
    case BLOCK_IPV4_TEREDO:
        return allows_embedded(egress, zone, ip + 4, 0, why) &&
               allows_embedded(egress, zone, ip + 12, 0xff, why);
    }
    return false;
}

bool pst_egress_allows(const struct pst_egress *egress, enum pst_zone zone,
                       const struct pst_address *address, const char **why)
{
    const char *unused = NULL;
    const char **reason = why ? why : &unused;
    *reason = "";
    if (is_own(egress, address)) {
        *reason = "one of Penstock's own addresses";
        return false;
    }
    if (!is_port_fit(address->port)) {
        *reason = "a port that is not for web services";
        return false;
    }
    return allows_ip(egress, zone, address->ip, egress->allow_loopback, reason);
}
