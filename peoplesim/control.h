/* peoplesim/control.h: the control port: /sim/... with JSON in and out.
 *
 * Changes rows, moves the clock, switches faults, tells what was asked and what is true.
 * README.md of this directory lists the calls. Changes and the clock go to the journal.
 *
 * Thread-safety: handlers run on the server's loops; changes are made one at a time.
 */
#ifndef PEOPLESIM_CONTROL_H
#define PEOPLESIM_CONTROL_H

#include <pthread.h>

#include "peoplesim/gateway.h"
#include "peoplesim/journal.h"
#include "peoplesim/json.h"

struct pst_sim_control {
    struct pst_sim_gateway *gateway; /* borrowed, with its engine */
    struct pst_sim_journal *journal; /* borrowed; NULL: nothing is kept */
    pthread_mutex_t lock; /* over changes, the clock and their journal */
    uint64_t operations; /* seeds of operations that bring none */
};

enum { PST_SIM_CONTROL_ROUTES = 20 };
/* routes has room for PST_SIM_CONTROL_ROUTES; returns how many there are. */
size_t pst_sim_control_routes(struct pst_sim_control *c, struct pst_route *routes);

/* Carry out one line of the journal (but the first). Errors: CORRUPT, and those of the
 * operation. */
pst_code pst_sim_control_replay(struct pst_sim_control *c, pst_str line, struct pst_err *err);

/* Errors of the control port as JSON. */
void pst_sim_control_fail(const struct pst_err *err, struct pst_response *res);

/* ---- for the control's own files ---- */

pst_handler_fn pst_sim_control_change, pst_sim_control_clock, pst_sim_control_set_clock,
    pst_sim_control_faults, pst_sim_control_add_fault, pst_sim_control_remove_faults,
    pst_sim_control_latency, pst_sim_control_set_latency, pst_sim_control_state,
    pst_sim_control_stats, pst_sim_control_reset_stats, pst_sim_control_dump,
    pst_sim_control_set_account;

/* clock.c: set the engine's clock from its journal line. */
pst_code pst_sim_clock_replay(struct pst_sim_control *c, yyjson_val *line, struct pst_err *err);
void pst_sim_clock_json(struct pst_sim_control *c, struct pst_buf *out);

/* change.c: read a change request, apply it and keep it. at_us and seed are the journal's when
 * it is replayed; at_us 0: now, with the seed of the body or the next one. out gets the answer.
 * c->lock is held. */
pst_code pst_sim_change_apply(struct pst_sim_control *c, pst_str body, uint64_t seed, int64_t at_us,
                              struct pst_buf *out, struct pst_err *err);

#endif
