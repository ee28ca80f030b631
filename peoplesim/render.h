/* peoplesim/render.h: rows as JSON text, fast.
 *
 * A row is the text of its header, its line and its schedule one after the other; the first two
 * are written once per document and line and copied from then on. Column names are prepared
 * once per query.
 *
 * Thread-safety: a renderer belongs to one thread.
 */
#ifndef PEOPLESIM_RENDER_H
#define PEOPLESIM_RENDER_H

#include "base/buf.h"
#include "peoplesim/gen.h"
#include "peoplesim/scan.h"

enum pst_sim_xlat_mode { PST_SIM_XLAT_CODE, PST_SIM_XLAT_SHORT, PST_SIM_XLAT_LONG };

/* How one row of an answer is damaged on purpose. */
struct pst_sim_spoil {
    uint64_t row; /* 1-based; 0: none */
    int column;
    bool drop; /* leave the column out */
    char raw[64]; /* else these bytes stand for the value, NUL-terminated */
};

struct pst_sim_render {
    const struct pst_sim_world *world;
    const struct pst_sim_query *query;
    uint64_t columns; /* bit i: column i is wanted */
    enum pst_sim_xlat_mode xlat;
    bool leaves_out_blanks;
    int64_t asof_day;
    int64_t now; /* local */

    /* private */
    struct pst_sim_name {
        size_t len;
        char text[48]; /* ,"A.PO_ID": */
    } names[PST_SIM_COLUMNS_MAX];
    struct pst_buf parts[PST_SIM_LEVELS_MAX - 1]; /* the levels above the row's */
    struct pst_sim_value values[PST_SIM_COLUMNS_MAX];
    struct pst_sim_scratch scratch;
    uint64_t part_doc; /* what the parts hold */
    uint32_t part_line;
    bool has_doc, has_line;
};

#define PST_SIM_ALL_COLUMNS UINT64_MAX

/* The public fields are set by the caller before. */
void pst_sim_render_init(struct pst_sim_render *r);
void pst_sim_render_fini(struct pst_sim_render *r);

/* Append the wanted columns of the scan's row, each with a comma before it. spoil may be NULL. */
void pst_sim_render_row(struct pst_sim_render *r, const struct pst_sim_scan *s,
                        const struct pst_sim_spoil *spoil, struct pst_buf *out);

#endif
