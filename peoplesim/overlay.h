/* peoplesim/overlay.h: what was changed, added and deleted since the data was generated.
 *
 * Documents in key order, each with what differs in it: whether it exists, its stamp, and per
 * record (header, line, schedule) a version, values set by hand, or that the record was added
 * or deleted. Only what was touched takes memory.
 *
 * Kept as a sorted list of sorted chunks, so that inserting anywhere among hundreds of
 * thousands of changes stays cheap and walking them in order is an index.
 *
 * Thread-safety: many readers or one writer (engine.h holds the lock).
 */
#ifndef PEOPLESIM_OVERLAY_H
#define PEOPLESIM_OVERLAY_H

#include "base/err.h"
#include "peoplesim/world.h"

enum pst_sim_presence { PST_SIM_AS_BASE, PST_SIM_PRESENT, PST_SIM_ABSENT };

#define PST_SIM_STAMP_BASE (INT64_MIN + 1) /* the stamp is the generated one */

struct pst_sim_set_value {
    int column;
    pst_str text; /* owned */
};

struct pst_sim_edit {
    uint32_t line, sub; /* 0, 0: the header; line, 0: the line; line, sub: the record */
    uint32_t version;
    enum pst_sim_presence presence; /* of the row this is; AS_BASE on headers and lines above */
    struct {
        struct pst_sim_set_value *items;
        size_t len, cap;
    } values;
};

struct pst_sim_change {
    uint64_t doc;
    enum pst_sim_presence presence;
    int64_t stamp; /* local, PST_SIM_NO_TIME: none; PST_SIM_STAMP_BASE */
    uint32_t lines, subs; /* number of each; 0: as generated */
    bool has_rows; /* some edit adds or deletes rows */
    uint64_t operation; /* the last one that touched it */
    struct {
        struct pst_sim_edit *items; /* by (line, sub) */
        size_t len, cap;
    } edits;
};

enum { PST_SIM_CHUNK = 256 };

struct pst_sim_chunk {
    size_t len;
    struct pst_sim_change *items[PST_SIM_CHUNK];
};

struct pst_sim_overlay {
    struct {
        struct pst_sim_chunk **items;
        size_t len, cap;
    } chunks; /* none is empty */
    size_t count;
};

/* An all-zero overlay is empty and ready. */
void pst_sim_overlay_fini(struct pst_sim_overlay *o);

/* NULL when doc was never touched. */
const struct pst_sim_change *pst_sim_overlay_find(const struct pst_sim_overlay *o, uint64_t doc);

/* The change of doc, made when there is none yet. *out is valid until fini.
 * Errors: NO_MEMORY. */
pst_code pst_sim_overlay_touch(struct pst_sim_overlay *o, uint64_t doc, struct pst_sim_change **out,
                               struct pst_err *err);

/* Back to the generated state, as if never touched (the entry stays). */
void pst_sim_change_clear(struct pst_sim_change *c);

/* The edit of a record of c. NULL / made when there is none. *out is valid until the next
 * touch_edit on c. Errors: NO_MEMORY. */
const struct pst_sim_edit *pst_sim_edit_find(const struct pst_sim_change *c, uint32_t line,
                                             uint32_t sub);
pst_code pst_sim_edit_touch(struct pst_sim_change *c, uint32_t line, uint32_t sub,
                            struct pst_sim_edit **out, struct pst_err *err);

/* Set a column of that record by hand; the text is copied. Errors: NO_MEMORY. */
pst_code pst_sim_edit_set(struct pst_sim_edit *e, int column, pst_str text, struct pst_err *err);

/* A place among the changes. */
struct pst_sim_place {
    size_t chunk, item;
};
/* The first change whose document is not below doc. */
struct pst_sim_place pst_sim_overlay_lower(const struct pst_sim_overlay *o, uint64_t doc);
/* The change there, NULL behind the last. */
const struct pst_sim_change *pst_sim_overlay_at(const struct pst_sim_overlay *o,
                                                struct pst_sim_place p);
void pst_sim_overlay_step(const struct pst_sim_overlay *o, struct pst_sim_place *p);

#endif
