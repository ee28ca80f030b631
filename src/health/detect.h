/* health/detect.h: the systemic detector, as a pure machine: from contacts of all connections to
 * incidents that begin and end.
 *
 * Of every connection the newest contact counts, for as long as the window. One that is away and
 * shares its probe with others may have none for longer: the caller tells it again as failing. When
 * many connections of a host or of a connector fail (pst_peers_many_of_*) for open_after_ms without
 * a break, an incident begins; when fewer than a fifth of those seen fail for close_after_ms, it
 * ends. Penstock's own trouble (its store) is told as a state and treated the same way. An incident
 * of the connector takes the place of those of its hosts: none is opened beside it.
 *
 * Bounded: at most PST_DETECT_CONNECTIONS connections, of which the one seen longest ago makes
 * room.
 *
 * Thread-safety: one thread at a time. Time is passed in and may stand still, not go back.
 */
#ifndef PST_HEALTH_DETECT_H
#define PST_HEALTH_DETECT_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "health/diagnose.h"

enum {
    PST_DETECT_CONNECTIONS = 200000,
    PST_DETECT_TEXT = 128,
    PST_DETECT_WINDOW_MS = 45 * 60 * 1000, /* longer than the longest pause between probes */
};

struct pst_detector;

struct pst_detector_options {
    int64_t window_ms; /* 0 = PST_DETECT_WINDOW_MS */
    int64_t open_after_ms;
    int64_t close_after_ms;
};

pst_code pst_detector_new(struct pst_detector **out, const struct pst_detector_options *options,
                          struct pst_err *err);
void pst_detector_free(struct pst_detector *d); /* NULL is a no-op */
PST_DEFINE_AUTO(detector, struct pst_detector, pst_detector_free);

/* The newest contact of a connection (its pk). Errors: NO_MEMORY. */
pst_code pst_detector_contact(struct pst_detector *d, pst_mono now, int64_t connection_pk,
                              pst_str connector, pst_str host, bool is_failing,
                              struct pst_err *err);
/* A connection is not there any more, or switched off. */
void pst_detector_forget(struct pst_detector *d, int64_t connection_pk);

/* Whether Penstock's own store has trouble, from now on. */
void pst_detector_store(struct pst_detector *d, bool is_failing);

/* An incident that was open when the program ended: it is closed as if it had begun now. */
pst_code pst_detector_resume(struct pst_detector *d, pst_mono now, enum pst_reach reach,
                             pst_str subject, pst_str connector, struct pst_err *err);

struct pst_detection {
    bool opens; /* else it closes */
    enum pst_reach reach;
    char subject[PST_DETECT_TEXT]; /* host or connector, "store" */
    char connector[PST_DETECT_TEXT]; /* that it belongs to, "" = none */
    struct pst_peers peers;
};

/* What has to be opened or closed now, at most `max` at a time; the rest comes with the next call.
 * Called about once a second. */
size_t pst_detector_step(struct pst_detector *d, pst_mono now, struct pst_detection *out,
                         size_t max);

/* Connections that fail and belong to that incident (NULL: all that fail): up to max of their keys.
 */
size_t pst_detector_affected(const struct pst_detector *d, const struct pst_detection *of,
                             int64_t *out, size_t max);

#endif
