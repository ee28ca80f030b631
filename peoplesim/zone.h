/* peoplesim/zone.h: the one time zone of the simulated database.
 *
 * libc knows the zone (TZ); at start its offsets from 1970 to 2100 are read into a table, after
 * which no call to libc is needed. The product's own zone reader is thereby checked against
 * libc's. Thread-safety: pst_sim_zone_init before any thread starts, the rest pure.
 */
#ifndef PEOPLESIM_ZONE_H
#define PEOPLESIM_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { PST_SIM_SPANS_MAX = 1024, PST_SIM_ZONE_NAME = 64 };

struct pst_sim_zone {
    char name[PST_SIM_ZONE_NAME];
    size_t count;
    struct pst_sim_span {
        int64_t from_us; /* UTC, first moment of this offset */
        int64_t offset_us; /* local = UTC + offset */
    } spans[PST_SIM_SPANS_MAX]; /* ascending */
};

/* name: of the zone data base, "America/New_York". Sets TZ for the process.
 * Errors: INVALID (no such zone), LIMIT. */
pst_code pst_sim_zone_init(struct pst_sim_zone *z, const char *name, struct pst_err *err);

int64_t pst_sim_zone_local(const struct pst_sim_zone *z, int64_t utc_us);

#endif
