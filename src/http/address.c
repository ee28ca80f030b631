/* http/address.c: addresses, ranges and origins as text. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "http/url.h"

static const uint8_t V4_PREFIX[12] = {[10] = 0xff, [11] = 0xff};

bool pst_address_parse(struct pst_address *out, pst_str text)
{
    char z[64];
    struct pst_address a = {0};
    if (!pst_str_copy(z, sizeof(z), text))
        return false;
    if (inet_pton(AF_INET, z, a.ip + 12) == 1)
        memcpy(a.ip, V4_PREFIX, sizeof(V4_PREFIX));
    else if (inet_pton(AF_INET6, z, a.ip) != 1)
        return false;
    *out = a;
    return true;
}

size_t pst_address_format(char out[PST_ADDRESS_TEXT], const struct pst_address *a)
{
    char ip[INET6_ADDRSTRLEN] = "";
    bool is_v4 = memcmp(a->ip, V4_PREFIX, sizeof(V4_PREFIX)) == 0;
    if (is_v4)
        inet_ntop(AF_INET, a->ip + 12, ip, sizeof(ip));
    else
        inet_ntop(AF_INET6, a->ip, ip, sizeof(ip));
    int n;
    if (a->port == 0)
        n = snprintf(out, PST_ADDRESS_TEXT, "%s", ip);
    else
        n = snprintf(out, PST_ADDRESS_TEXT, is_v4 ? "%s:%u" : "[%s]:%u", ip, (unsigned)a->port);
    return n > 0 ? (size_t)n : 0;
}

static bool has_host_bits(const uint8_t ip[16], unsigned bits)
{
    for (unsigned i = bits; i < 128; i++)
        if (ip[i / 8] & (0x80u >> (i % 8)))
            return true;
    return false;
}

bool pst_range_parse(struct pst_range *out, pst_str text)
{
    pst_str rest = text;
    pst_str ip = pst_str_split(&rest, '/');
    struct pst_address a;
    if (!pst_address_parse(&a, ip))
        return false;
    bool is_v4 = pst_str_index(ip, ':') == ip.len;
    uint64_t bits = is_v4 ? 32 : 128;
    if (ip.len != text.len && !pst_parse_u64(&bits, rest, 0, bits))
        return false;
    bits += is_v4 ? 96 : 0;
    if (has_host_bits(a.ip, (unsigned)bits))
        return false;
    memcpy(out->ip, a.ip, sizeof(out->ip));
    out->bits = (uint8_t)bits;
    return true;
}

pst_code pst_url_split(struct pst_url *out, pst_str url, struct pst_err *err)
{
    struct pst_url u = {0};
    pst_str http = PST_STR("http://");
    pst_str https = PST_STR("https://");
    if (pst_str_eq_nocase(pst_str_sub(url, 0, https.len), https)) {
        u.is_tls = true;
        url = pst_str_sub(url, https.len, url.len);
    } else if (pst_str_eq_nocase(pst_str_sub(url, 0, http.len), http)) {
        url = pst_str_sub(url, http.len, url.len);
    } else {
        return PST_FAIL(err, PST_E_INVALID, "the address must begin with https:// or http://");
    }
    size_t end = 0;
    while (end < url.len && !strchr("/?#", url.ptr[end]))
        end++;
    pst_str authority = pst_str_sub(url, 0, end);
    u.target = pst_str_sub(url, end, url.len);
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.ptr[i] <= ' ' || url.ptr[i] == 0x7f || url.ptr[i] == '\\')
            return PST_FAIL(err, PST_E_INVALID,
                            "the address has a blank, a backslash or a control character");
    if (pst_str_index(authority, '@') != authority.len)
        return PST_FAIL(err, PST_E_INVALID, "the address may not carry a user name");
    pst_str port = {0};
    if (authority.len && authority.ptr[0] == '[') {
        size_t close = pst_str_index(authority, ']');
        u.host = pst_str_sub(authority, 0, close + 1);
        port = pst_str_sub(authority, u.host.len, authority.len);
    } else {
        u.host = pst_str_sub(authority, 0, pst_str_index(authority, ':'));
        port = pst_str_sub(authority, u.host.len, authority.len);
    }
    uint64_t number = u.is_tls ? 443 : 80;
    if (port.len > 1 &&
        (port.ptr[0] != ':' || !pst_parse_u64(&number, pst_str_sub(port, 1, port.len), 1, 65535)))
        return PST_FAIL(err, PST_E_INVALID, "the address has a port that is no number");
    if (u.host.len == 0 || u.host.len > 255)
        return PST_FAIL(err, PST_E_INVALID, "the address has no host name");
    u.port = (uint16_t)number;
    *out = u;
    return PST_OK;
}

pst_code pst_http_origin(char out[PST_ORIGIN_TEXT], pst_str url, struct pst_err *err)
{
    struct pst_url u;
    PST_TRY(pst_url_split(&u, url, err));
    int n = snprintf(out, PST_ORIGIN_TEXT, "%s://%.*s:%u", u.is_tls ? "https" : "http",
                     PST_STR_ARG(u.host), (unsigned)u.port);
    for (int i = 0; i < n; i++)
        if (out[i] >= 'A' && out[i] <= 'Z')
            out[i] = (char)(out[i] + ('a' - 'A'));
    return PST_OK;
}
