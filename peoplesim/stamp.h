/* peoplesim/stamp.h: dates and date-times as PeopleSoft writes them, without a zone.
 *
 * A local date-time is microseconds since 1970-01-01 00:00 on the database's wall clock; a date
 * is days since 1970-01-01. This is a reader and writer of its own: the product's codec is
 * tested against it. Thread-safety: pure.
 */
#ifndef PEOPLESIM_STAMP_H
#define PEOPLESIM_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define PST_SIM_NO_TIME INT64_MIN /* an empty date-time or date */
#define PST_SIM_DAY_US (86400LL * 1000000LL)

enum { PST_SIM_DTTM_TEXT = 26, PST_SIM_DATE_TEXT = 10 };

/* "2026-11-24-10.05.00.000000" and "2026-11-24"; no NUL. Years 0001 to 9999. */
void pst_sim_dttm_write(char out[PST_SIM_DTTM_TEXT], int64_t local_us);
void pst_sim_date_write(char out[PST_SIM_DATE_TEXT], int64_t days);

/* Exactly those forms, of a day that exists. false for everything else. */
bool pst_sim_dttm_read(int64_t *local_us, pst_str text);
bool pst_sim_date_read(int64_t *days, pst_str text);

/* The day a local date-time lies on. */
static inline int64_t pst_sim_day_of(int64_t local_us)
{
    int64_t days = local_us / PST_SIM_DAY_US;
    return local_us % PST_SIM_DAY_US < 0 ? days - 1 : days;
}

#endif
