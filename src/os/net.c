/* os/net.c: interfaces and their addresses, by getifaddrs(3). */
#include "os/net.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

static bool read_address(struct pst_net_address *out, const struct sockaddr *address)
{
    *out = (struct pst_net_address){0};
    if (address && address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        out->ip[10] = out->ip[11] = 0xff;
        memcpy(out->ip + 12, &in.sin_addr, 4);
        return true;
    }
    if (address && address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        memcpy(out->ip, &in6.sin6_addr, 16);
        return true;
    }
    return false;
}

static pst_code copy_all(const struct ifaddrs *all, struct pst_arena *arena,
                         struct pst_net_address **out, size_t *count, struct pst_err *err)
{
    size_t most = 0;
    for (const struct ifaddrs *each = all; each; each = each->ifa_next)
        most++;
    PST_TRY(pst_arena_array(arena, out, most, sizeof(**out), err));
    *count = 0;
    for (const struct ifaddrs *each = all; each; each = each->ifa_next)
        *count += read_address(&(*out)[*count], each->ifa_addr);
    return PST_OK;
}

pst_code pst_net_addresses(struct pst_arena *arena, struct pst_net_address **out, size_t *count,
                           struct pst_err *err)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return PST_FAIL_OS(err, PST_E_UNAVAILABLE, "this machine's addresses cannot be listed");
    pst_code code = copy_all(all, arena, out, count, err);
    freeifaddrs(all);
    return code;
}
