/* app/days.h: how long each day each component of the status page was well, degraded or down. Not
 * for other modules.
 *
 * Counted in memory and added to the store now and then. What the store does not take waits, each
 * second under the day it belongs to. What passes while the program does not run is down for
 * Penstock's own components: from the moment that was stored last to the start; of the connectors
 * nothing is known then.
 *
 * Bounded: PST_DAYS_WAITING days wait; then the oldest is given up.
 *
 * Thread-safety: one thread at a time.
 */
#ifndef PST_APP_DAYS_H
#define PST_APP_DAYS_H

#include "store/incidents.h"
#include "web/web.h"

enum { PST_DAYS_WAITING = 8 };

struct pst_days {
    const struct pst_web *web; /* borrowed: the components, and how they are */
    struct pst_days_one {
        int64_t day; /* since 1970, UTC */
        struct pst_status_day of[PST_WEB_COMPONENTS];
    } waiting[PST_DAYS_WAITING]; /* the oldest first */
    size_t count;
    pst_wall off_from, off_to; /* the program did not run; none = that is stored */
    pst_wall seen; /* counted up to here */
};

/* At the start of the program: `seen` is what the store has (pst_status_seen_get). */
void pst_days_begin(struct pst_days *d, const struct pst_web *web, pst_wall seen, pst_wall now);

/* So many seconds up to now the components were as they are. */
void pst_days_count(struct pst_days *d, pst_wall now, int64_t seconds);

/* The writer's job that adds to the store what waits in the struct pst_days arg; it waits on until
 * pst_days_stored says that this was committed. Errors: as db.h. */
pst_code pst_days_write(struct pst_db_conn *conn, void *arg, struct pst_err *err);
void pst_days_stored(struct pst_days *d);

#endif
