/* tests/unit/sync/almanac.h: when a cron expression ticks, found minute by minute with libc's own
 * time zones: what codec/cron.h says in words, told once more without any of its code. */
#ifndef PST_TESTS_UNIT_SYNC_ALMANAC_H
#define PST_TESTS_UNIT_SYNC_ALMANAC_H

#include <stdbool.h>
#include <stdint.h>

enum { ALMANAC_MINUTES = 400 * 24 * 60 };

/* 400 days of one zone. */
struct almanac {
    int64_t start_s; /* of the first minute, UTC */
    int16_t offset[ALMANAC_MINUTES]; /* local less UTC, minutes */
    int changes[8]; /* minutes at which the offset is another than before */
    int change_count;
};

/* start_s: a whole minute. The zone's offsets have to be whole minutes. One at a time: it borrows
 * the process's TZ. Freed with free. */
struct almanac *almanac_new(const char *zone, int64_t start_s);

/* One bit per minute: whether `cron` ticks then. Local times of the two days at either end may
 * be missed or seen twice, so ask for what lies between. Freed with free. */
uint8_t *almanac_ticks(const struct almanac *a, const char *cron);

/* The first tick after us (microseconds since 1970), or INT64_MAX. */
int64_t almanac_next(const struct almanac *a, const uint8_t *ticks, int64_t us);

#endif
