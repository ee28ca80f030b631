/* peoplesim/scan.h: walking the documents and rows of one query in key order.
 *
 * The generated documents and the overlay are merged on the way; nothing is collected, so a
 * walk costs only the rows it passes. A walk begins strictly after a position, which is how
 * keyset paging and interrupted streams go on.
 *
 * Thread-safety: a scan belongs to one thread, which holds the engine's lock for reading.
 */
#ifndef PEOPLESIM_SCAN_H
#define PEOPLESIM_SCAN_H

#include "peoplesim/overlay.h"

/* Rows with a key above (doc, line, sub). line -1: every row of doc is above. */
struct pst_sim_position {
    uint64_t doc;
    int64_t line, sub;
};
#define PST_SIM_FROM_START ((struct pst_sim_position){0, -1, -1})

/* Which stamps are wanted: local, from <= stamp < to; of date-only stamps the days of both,
 * included. A bound that is not set: PST_SIM_NO_TIME. With a beginning, documents of which an
 * effective-dated row came into force on its day or since are wanted, too, whatever their stamp. */
struct pst_sim_window {
    int64_t from, to;
};
#define PST_SIM_ALL_TIMES ((struct pst_sim_window){PST_SIM_NO_TIME, PST_SIM_NO_TIME})

struct pst_sim_scan {
    const struct pst_sim_world *world;
    const struct pst_sim_overlay *overlay;
    const struct pst_sim_query *query;
    struct pst_sim_window window;
    int64_t asof_day; /* PST_SIM_NO_TIME: the window looks at stamps alone */
    struct pst_sim_position after;

    /* private: where the next document is looked for */
    size_t group;
    uint64_t index;
    struct pst_sim_place place;

    /* The current document, after next_doc gave true. */
    uint64_t doc;
    const struct pst_sim_change *change; /* or NULL */
    int64_t base_stamp; /* local */
    int64_t stamp; /* local, or PST_SIM_NO_TIME */

    /* The current row, after next_row gave true. */
    uint32_t line, sub;

    /* private: the next generated row of the document and the next edit to look at */
    uint32_t line_count, line_index, next_line, next_sub, sub_count;
    bool base_done;
    size_t edit;
};

void pst_sim_scan_init(struct pst_sim_scan *s, const struct pst_sim_world *w,
                       const struct pst_sim_overlay *o, const struct pst_sim_query *q,
                       struct pst_sim_window window, int64_t asof_day,
                       struct pst_sim_position after);

/* The next document that exists and lies in the window; false behind the last. */
bool pst_sim_scan_next_doc(struct pst_sim_scan *s);

/* The next row of the current document; false behind its last. */
bool pst_sim_scan_next_row(struct pst_sim_scan *s);

/* The row the scan stands on. */
static inline struct pst_sim_position pst_sim_scan_position(const struct pst_sim_scan *s)
{
    return (struct pst_sim_position){s->doc, s->line, s->sub};
}

#endif
