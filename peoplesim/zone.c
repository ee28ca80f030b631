/* peoplesim/zone.c: offsets of one zone, read from libc once. */
#include "peoplesim/zone.h"

#include <ctype.h>
#include <time.h>

#include "base/str.h"
#include "os/file.h"

enum { STEP_S = 7 * 86400 };
#define FIRST_S 0LL
#define LAST_S 4102444800LL /* 2100-01-01 */

static int64_t offset_at(int64_t utc_s)
{
    time_t t = (time_t)utc_s;
    struct tm tm = {0};
    if (!localtime_r(&t, &tm))
        return 0;
    return tm.tm_gmtoff;
}

/* The first second in (lo, hi] whose offset is not that of lo. */
static int64_t find_change(int64_t lo, int64_t hi)
{
    int64_t before = offset_at(lo);
    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;
        if (offset_at(mid) == before)
            lo = mid;
        else
            hi = mid;
    }
    return hi;
}

static pst_code add_span(struct pst_sim_zone *z, int64_t from_s, int64_t offset_s,
                         struct pst_err *err)
{
    if (z->count == PST_SIM_SPANS_MAX)
        return PST_FAIL(err, PST_E_LIMIT, "zone '%s' has too many changes", z->name);
    z->spans[z->count++] = (struct pst_sim_span){from_s * 1000000, offset_s * 1000000};
    return PST_OK;
}

/* libc takes an unknown name for UTC without a word, so the file is looked for first. */
static bool zone_exists(const char *name)
{
    if (strcmp(name, "UTC") == 0)
        return true;
    if (strstr(name, "..") || !isalpha((unsigned char)name[0]))
        return false;
    const char *dir = getenv("TZDIR");
    char path[256];
    int n = snprintf(path, sizeof(path), "%s/%s", dir ? dir : "/usr/share/zoneinfo", name);
    return n > 0 && (size_t)n < sizeof(path) && pst_file_exists(path);
}

pst_code pst_sim_zone_init(struct pst_sim_zone *z, const char *name, struct pst_err *err)
{
    if (!pst_str_copy(z->name, sizeof(z->name), pst_str_from(name)) || !zone_exists(name))
        return PST_FAIL_AT(err, PST_E_INVALID, "zone", "there is no time zone '%.60s'", name);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): at the start of main, before any thread */
    if (setenv("TZ", strcmp(name, "UTC") == 0 ? "UTC0" : name, 1) != 0)
        return PST_FAIL_OS(err, PST_E_NO_MEMORY, "no memory for the environment");
    tzset();
    z->count = 0;
    PST_TRY(add_span(z, FIRST_S, offset_at(FIRST_S), err));
    for (int64_t s = FIRST_S; s < LAST_S; s += STEP_S) {
        int64_t lo = s;
        int64_t hi = s + STEP_S;
        while (offset_at(lo) != offset_at(hi)) {
            lo = find_change(lo, hi);
            PST_TRY(add_span(z, lo, offset_at(lo), err));
        }
    }
    return PST_OK;
}

/* Index of the span that holds utc_us; the first one for everything before it. */
static size_t find_span(const struct pst_sim_zone *z, int64_t utc_us)
{
    size_t lo = 0;
    size_t hi = z->count;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (z->spans[mid].from_us <= utc_us)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

int64_t pst_sim_zone_local(const struct pst_sim_zone *z, int64_t utc_us)
{
    return utc_us + z->spans[find_span(z, utc_us)].offset_us;
}
