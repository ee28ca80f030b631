/* peoplesim/engine.h: the simulated database: generated data, changes, clock, queries.
 *
 * Every operation is deterministic: the same settings and the same operations at the same times
 * give the same data, which is what a journal replays (journal.h).
 *
 * Thread-safety: all functions from any thread; reads run beside each other, a change waits for
 * them.
 */
#ifndef PEOPLESIM_ENGINE_H
#define PEOPLESIM_ENGINE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "peoplesim/render.h"

struct pst_sim_engine;

/* zone is borrowed. Errors: INVALID, NO_MEMORY. */
pst_code pst_sim_engine_new(struct pst_sim_engine **out, const struct pst_sim_settings *settings,
                            const struct pst_sim_zone *zone, struct pst_err *err);
void pst_sim_engine_free(struct pst_sim_engine *e); /* NULL is a no-op */
PST_DEFINE_AUTO(sim_engine, struct pst_sim_engine, pst_sim_engine_free);

const struct pst_sim_world *pst_sim_engine_world(const struct pst_sim_engine *e);

/* ---- clock ---- */

/* The simulated time is the system's plus an offset, or stands still. */
struct pst_sim_clock {
    int64_t offset_us;
    bool is_frozen;
    int64_t frozen_us; /* UTC, while frozen */
};
struct pst_sim_clock pst_sim_engine_clock(struct pst_sim_engine *e);
void pst_sim_engine_set_clock(struct pst_sim_engine *e, struct pst_sim_clock clock);
int64_t pst_sim_engine_now(struct pst_sim_engine *e); /* UTC microseconds */

/* ---- queries ---- */

struct pst_sim_select {
    const struct pst_sim_query *query;
    struct pst_sim_window window;
    struct pst_sim_position after;
    int64_t asof_day; /* PST_SIM_NO_TIME: today */
    uint64_t columns; /* PST_SIM_ALL_COLUMNS */
    enum pst_sim_xlat_mode xlat;
    bool leaves_out_blanks; /* rows do not name what is blank */
    uint64_t max_rows; /* 0: no limit */
    const struct pst_sim_spoil *spoil; /* NULL: none */
};

struct pst_sim_selected {
    uint64_t rows;
    bool is_end; /* nothing follows */
    struct pst_sim_position last; /* of the last row; only with rows > 0 */
};

/* Append the answer of ExecuteQuery as JSON. Errors: LIMIT, NO_MEMORY (of out). */
pst_code pst_sim_engine_select(struct pst_sim_engine *e, const struct pst_sim_select *q,
                               struct pst_buf *out, struct pst_sim_selected *got,
                               struct pst_err *err);

/* Append rows as JSON lines without row numbers, until about `bytes` were added. */
pst_code pst_sim_engine_dump(struct pst_sim_engine *e, const struct pst_sim_select *q, size_t bytes,
                             struct pst_buf *out, struct pst_sim_selected *got,
                             struct pst_err *err);

/* How many documents and rows there are in the window. */
void pst_sim_engine_count(struct pst_sim_engine *e, const struct pst_sim_query *query,
                          struct pst_sim_window window, uint64_t *docs, uint64_t *rows);

/* Where a page after these key texts begins; missing ones (and "") are the lowest.
 * Errors: INVALID (a number that is none). */
pst_code pst_sim_position_of(const struct pst_sim_world *w, const struct pst_sim_query *q,
                             const pst_str keys[PST_SIM_KEYS_MAX], struct pst_sim_position *out,
                             struct pst_err *err);

/* ---- changes ---- */

enum pst_sim_action { PST_SIM_CHANGE, PST_SIM_ADD, PST_SIM_DELETE, PST_SIM_RESTORE };

/* One column set by hand. */
struct pst_sim_assign {
    int column;
    pst_str text;
};

struct pst_sim_operation {
    enum pst_sim_action action;
    const struct pst_sim_query *query;
    int level; /* what is changed, added, deleted: 0 document, 1 line, 2 record */
    bool has_key;
    pst_str keys[PST_SIM_KEYS_MAX]; /* as many as the level has, with has_key */
    uint64_t count; /* without a key: how many, chosen by `seed` */
    uint64_t seed;
    bool between; /* ADD of documents: among the present ones instead of behind the last */
    uint32_t lines, subs; /* ADD: number of lines and of records in each; 0: as others */
    enum { PST_SIM_STAMP_KEEP, PST_SIM_STAMP_NOW, PST_SIM_STAMP_AT } stamp;
    int64_t now_us; /* UTC, when this happens */
    int64_t stamp_us; /* UTC, for STAMP_AT */
    const struct pst_sim_assign *assigns;
    size_t assign_count;
};

/* Carry it out. `keys` gets one JSON array of key texts per document or record touched,
 * separated by commas (the first 1,000). *done: how many. Errors: NOT_FOUND (a key that does not
 * exist), CONFLICT (an added key that does), INVALID, NO_MEMORY. */
pst_code pst_sim_engine_apply(struct pst_sim_engine *e, const struct pst_sim_operation *op,
                              struct pst_buf *keys, uint64_t *done, struct pst_err *err);

/* Documents that differ from what was generated, over all entities. */
uint64_t pst_sim_engine_changed(struct pst_sim_engine *e);

#endif
