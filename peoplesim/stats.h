/* peoplesim/stats.h: what the gateway was asked for, counted. Thread-safety: any thread. */
#ifndef PEOPLESIM_STATS_H
#define PEOPLESIM_STATS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "peoplesim/schema.h"

struct pst_sim_stats {
    _Atomic uint64_t calls; /* of the gateway */
    _Atomic uint64_t rows;
    _Atomic uint64_t bytes; /* of bodies composed */
    _Atomic uint64_t refused_logins;
    _Atomic uint64_t faults; /* calls on which at least one fired */
    _Atomic uint64_t concurrent, concurrent_max;
    struct {
        _Atomic uint64_t calls, rows, bytes;
    } queries[PST_SIM_ENTITY_COUNT]; /* ExecuteQuery only */
};

void pst_sim_stats_enter(struct pst_sim_stats *s);
void pst_sim_stats_leave(struct pst_sim_stats *s, uint64_t bytes);
void pst_sim_stats_query(struct pst_sim_stats *s, enum pst_sim_entity e, uint64_t rows,
                         uint64_t bytes);
void pst_sim_stats_reset(struct pst_sim_stats *s); /* all but `concurrent` */
void pst_sim_stats_json(struct pst_sim_stats *s, struct pst_buf *out);

#endif
