/* app/watch.h: the thread behind the request log, the detector, incidents and the status page. Not
 * for other modules.
 *
 * Thread-safety: as said at each function; _new and _free without other threads.
 */
#ifndef PST_APP_WATCH_H
#define PST_APP_WATCH_H

#include "app/internal.h"
#include "app/journal.h"
#include "web/web.h"

struct pst_watch_options {
    struct pst_db *db;
    struct pst_journal *journal;
    struct pst_web *web;
    int64_t open_after_ms, close_after_ms; /* of the detector */
    int64_t window_ms; /* of the detector; 0 = PST_DETECT_WINDOW_MS */
};

pst_code pst_watch_new(struct pst_watch **out, const struct pst_watch_options *options,
                       struct pst_err *err);
void pst_watch_free(struct pst_watch *w); /* NULL is a no-op */
PST_DEFINE_AUTO(watch, struct pst_watch, pst_watch_free);

void pst_watch_run(void *watch); /* body of the thread; returns after pst_watch_stop */
void pst_watch_stop(struct pst_watch *w); /* any thread */
void pst_watch_redraw(struct pst_watch *w); /* incidents have changed; any thread */
/* Some may have been deleted or switched off; any thread. */
void pst_watch_connections_changed(struct pst_watch *w);

#endif
