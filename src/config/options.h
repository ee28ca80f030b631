/* config/options.h: the options of `penstock serve` and the paths that follow from them.
 *
 *   pst_config_int(config, PST_OPT_PAGE_ROWS)
 *
 * Thread-safety: static data and pure functions.
 */
#ifndef PST_CONFIG_OPTIONS_H
#define PST_CONFIG_OPTIONS_H

#include "base/arena.h"
#include "config/config.h"

/* clang-format off */
enum pst_opt {
#define X(id, ...) PST_OPT_##id,
#include "config/options.def"
#undef X
    PST_OPT_COUNT
};
/* clang-format on */

extern const struct pst_config_table pst_options;

/* The paths in force; NUL-terminated, in the arena. */
struct pst_paths {
    pst_str data_dir;
    pst_str store; /* SQLite file */
    pst_str key_file;
    pst_str socket; /* operator's socket */
    pst_str lock; /* held while the store is open */
};
/* env: list as in struct pst_config_input (HOME, XDG_STATE_HOME); is_root: runs as uid 0.
 * Errors: INVALID (no data_dir and no home), NO_MEMORY, LIMIT. */
pst_code pst_paths_resolve(struct pst_arena *a, struct pst_paths *out, const struct pst_config *c,
                           const char *const *env, bool is_root, struct pst_err *err);

/* Where the configuration file may be when --config is not given: `named` by PENSTOCK_CONFIG
 * (it must exist then), else the first of `user` and `system` that exists. Empty texts where
 * there is no such place. NUL-terminated, in the arena. Errors: NO_MEMORY, LIMIT. */
struct pst_config_files {
    pst_str named;
    pst_str user; /* $XDG_CONFIG_HOME/penstock/penstock.yaml or ~/.config/... */
    pst_str system; /* /etc/penstock/penstock.yaml */
};
pst_code pst_config_file_names(struct pst_arena *a, struct pst_config_files *out,
                               const char *const *env, struct pst_err *err);

/* The value of NAME in an environment list, or NULL. */
const char *pst_env_get(const char *const *env, const char *name);

#endif
