/* sync/schedule.h: when a connection is synced by itself.
 *
 * Written form (API, store): a JSON object
 *   {"interval":"15m"}                                      1m to 7d (from 1s in development mode)
 *   {"cron":"0 6 * * *","time_zone":"Europe/Berlin"}        codec/cron.h; the zone defaults to UTC
 *   {"manual":true}                                         never by itself
 * Short form (API and command line take it as well): "15m", "0 6 * * *", "0 6 * * * Europe/Berlin",
 * "manual". Printing always gives the JSON object, so that equal schedules print equally.
 *
 * An interval's ticks lie on a grid fixed for ever by the connection's id (spread), not by when
 * somebody last pressed a button: t is a tick when t - phase is a multiple of the interval, and
 * phase = spread modulo interval. Equal intervals of many connections thereby tick evenly spread.
 * A cron expression names times of the day and is not spread.
 *
 * Thread-safety: plain values.
 */
#ifndef PST_SYNC_SCHEDULE_H
#define PST_SYNC_SCHEDULE_H

#include "codec/cron.h"
#include "codec/json.h"

enum pst_schedule_kind { PST_SCHEDULE_MANUAL, PST_SCHEDULE_INTERVAL, PST_SCHEDULE_CRON };

enum {
    PST_SCHEDULE_CRON_TEXT = 128,
    PST_SCHEDULE_ZONE_TEXT = 64,
    PST_SCHEDULE_TEXT = 256, /* enough for every printed schedule, with its NUL */
};

struct pst_schedule {
    enum pst_schedule_kind kind;
    int64_t interval_ms; /* INTERVAL */
    struct pst_cron cron; /* CRON */
    char cron_text[PST_SCHEDULE_CRON_TEXT]; /* as given, with single blanks between its fields */
    char zone[PST_SCHEDULE_ZONE_TEXT]; /* "UTC" when not said */
};

/* {"interval":"15m"} */
extern const struct pst_schedule pst_schedule_default;

/* From a member of a request: an object or a string as above; NULL or null gives the default.
 * dev: intervals from 1 s. The zone's existence is checked. Errors: INVALID (param "schedule",
 * the message says what is allowed), IO, NO_MEMORY. */
pst_code pst_schedule_from_json(struct pst_schedule *out, yyjson_val *v, bool dev,
                                struct pst_err *err);

/* From text, either form above, without asking for the zone: for what the store holds (dev is
 * true there: it was checked once). */
pst_code pst_schedule_parse(struct pst_schedule *out, pst_str text, bool dev, struct pst_err *err);

/* Append the JSON object. */
void pst_schedule_print(struct pst_buf *out, const struct pst_schedule *s);

/* The grid's offset for a connection id ("conn_..."), the same for ever. */
uint64_t pst_schedule_spread(pst_str connection_id);

/* First tick strictly after `after`; PST_WALL_NONE when there is none (manual). tz: the zone of
 * a cron schedule, loaded by the caller (may be NULL for the others). */
pst_wall pst_schedule_next(const struct pst_schedule *s, const struct pst_tz *tz, uint64_t spread,
                           pst_wall after);

#endif
