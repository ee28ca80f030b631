/* peoplesim/options.h: the command line of peoplesim. Thread-safety: static data, pure functions.
 */
#ifndef PEOPLESIM_OPTIONS_H
#define PEOPLESIM_OPTIONS_H

#include "base/time.h"
#include "config/config.h"
#include "peoplesim/world.h"

/* clang-format off */
enum pst_sim_opt {
#define X(id, ...) PST_SIM_OPT_##id,
#include "peoplesim/options.def"
#undef X
    PST_SIM_OPT_COUNT
};
/* clang-format on */

extern const struct pst_config_table pst_sim_options;

/* The whole of --help. */
void pst_sim_help(struct pst_buf *out);

/* Where the control port listens; out has PST_SIM_ADDRESS bytes. Errors: INVALID. */
enum { PST_SIM_ADDRESS = 280 };
pst_code pst_sim_control_address(const struct pst_config *c, char out[PST_SIM_ADDRESS],
                                 struct pst_err *err);

/* The settings of the data. now: for an epoch that is not given. Errors: INVALID. */
pst_code pst_sim_read_settings(const struct pst_config *c, pst_wall now,
                               struct pst_sim_settings *out, struct pst_err *err);

#endif
