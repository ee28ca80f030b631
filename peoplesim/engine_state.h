/* peoplesim/engine_state.h: what an engine is; for engine.c, select.c and apply.c only. */
#ifndef PEOPLESIM_ENGINE_STATE_H
#define PEOPLESIM_ENGINE_STATE_H

#include <pthread.h>

#include "peoplesim/engine.h"

struct pst_sim_engine {
    struct pst_sim_world world; /* immutable */
    struct pst_sim_overlay overlays[PST_SIM_ENTITY_COUNT];
    uint64_t operations; /* ever applied; numbers them */
    pthread_rwlock_t lock; /* over overlays and operations */
    struct pst_sim_clock clock;
    pthread_mutex_t clock_lock; /* over clock; taken last */
};

#endif
