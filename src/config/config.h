/* config/config.h: options from one table.
 *
 * A program (penstock, peoplesim, every command of the command line) describes its options as
 * rows of struct pst_config_option. From that table come parsing, checking, --help, the manual page
 * and the JSON description; nothing about an option is written anywhere else.
 *
 * One name, three spellings: "data_dir" is data_dir in the YAML file, PREFIX_DATA_DIR in the
 * environment, --data-dir (and --data-dir=VALUE) on the command line. A bool is --name or
 * --no-name. A list is comma-separated; in the file it may be a YAML list, on the command line
 * the flag may be repeated. Later wins: default < file < environment < flag.
 *
 * The result is an immutable snapshot, counted: a reload builds a new one and lets the old one
 * go. An error names the source, the option, the value and what is allowed.
 *
 * Thread-safety: a snapshot may be read, referenced and released from any thread.
 */
#ifndef PST_CONFIG_CONFIG_H
#define PST_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

enum pst_config_type {
    PST_CONFIG_STRING, /* min/max: length in bytes */
    PST_CONFIG_INT, /* min/max: value */
    PST_CONFIG_BOOL, /* true/false, yes/no, on/off, 1/0 */
    PST_CONFIG_DURATION, /* "90s", "15m", "7d"; kept and bounded in milliseconds */
    PST_CONFIG_SIZE, /* "64MiB"; kept and bounded in bytes */
    PST_CONFIG_ENUM, /* one of `choices`; the number is its index */
    PST_CONFIG_LIST, /* texts; min/max: how many */
};

enum pst_config_flags {
    PST_CONFIG_RELOADABLE = 1U << 0, /* a new value is taken over on SIGHUP */
    PST_CONFIG_SECRET = 1U << 1, /* never shown; no flag, because argv is public */
    PST_CONFIG_FLAG_ONLY = 1U << 2, /* neither in the file nor in the environment */
    PST_CONFIG_REQUIRED = 1U << 3, /* an empty value is an error */
    PST_CONFIG_WHOLE = 1U << 4, /* LIST as a flag: each use gives one item, commas and all */
};

struct pst_config_option {
    const char *name; /* [a-z0-9_]+ */
    char letter; /* short flag, or 0 */
    enum pst_config_type type;
    const char *value; /* the default, as text; NULL: empty, 0, false */
    int64_t min, max; /* both 0: no bound beyond the type's own */
    unsigned flags; /* enum pst_config_flags */
    const char *choices; /* ENUM: "debug|info|warn|error" */
    const char *arg; /* what the value is called in help: "ADDRESS:PORT"; NULL for BOOL */
    const char *unit; /* "milliseconds", "rows", "percent"; NULL where there is none */
    const char *group; /* heading in help and manual; NULL: "Options" */
    const char *help; /* one or two sentences: what it does, when to change it */
    const char *bare; /* the value of the flag alone, which takes another one only joined to it
                         (--stale=1h); NULL: a value has to be given */
};

/* A table. All strings static. Options are addressed by their index in it. */
struct pst_config_table {
    const char *program; /* "penstock", for error texts */
    const char *env_prefix; /* "PENSTOCK_"; NULL: the environment is not read */
    const struct pst_config_option *options;
    size_t count; /* at most 128 */
};

struct pst_config;

/* Where values come from. Everything is borrowed for the call. */
struct pst_config_input {
    const char *file_name; /* for error texts; NULL: there is no file */
    pst_str file_text; /* YAML; the caller reads the file */
    const char *const *env; /* "NAME=value" list ending in NULL, or NULL for none */
    const char *const *args; /* arguments after the command's name */
    size_t arg_count;
    size_t max_words; /* how many arguments that are no flags are allowed */
};

/* Build a snapshot. *out has one reference. Errors: INVALID (param is the option's name),
 * LIMIT, NO_MEMORY. */
pst_code pst_config_load(struct pst_config **out, const struct pst_config_table *table,
                         const struct pst_config_input *in, struct pst_err *err);

struct pst_config *pst_config_ref(struct pst_config *c);
void pst_config_unref(struct pst_config *c); /* the last one frees; NULL is a no-op */
PST_DEFINE_AUTO(config, struct pst_config, pst_config_unref);

/* Values by index in the table. Texts are NUL-terminated and live as long as the snapshot.
 * Asking with the wrong type is a bug and aborts. */
pst_str pst_config_str(const struct pst_config *c, size_t option); /* STRING, ENUM */
int64_t pst_config_int(const struct pst_config *c, size_t option); /* INT, ENUM, DURATION, SIZE */
bool pst_config_bool(const struct pst_config *c, size_t option);
size_t pst_config_list(const struct pst_config *c, size_t option, const pst_str **out_items);

enum pst_config_source { PST_FROM_DEFAULT, PST_FROM_FILE, PST_FROM_ENV, PST_FROM_FLAG };
enum pst_config_source pst_config_source(const struct pst_config *c, size_t option);

/* Whether a secret came from the file, which then has to be private (os/file.h). */
bool pst_config_has_secret_in_file(const struct pst_config *c);

/* Arguments that are no flags, in order. */
size_t pst_config_words(const struct pst_config *c, const pst_str **out_words);

/* The value of flag --name (or -letter) in args, before anything is loaded: to find --config
 * and --help. NULL when absent; "" for a flag without value. */
const char *pst_config_peek_flag(const char *const *args, size_t arg_count, const char *name,
                                 char letter);

/* Options that differ between two snapshots of one table: fills changed[0..count) with
 * indexes, returns how many; out_needs_restart: one of them is not reloadable. */
size_t pst_config_diff(const struct pst_config *old, const struct pst_config *new_one,
                       size_t *changed, size_t cap, bool *out_needs_restart);

/* A snapshot with old's values, except for the reloadable options, which are new_one's.
 * Errors: NO_MEMORY, LIMIT. */
pst_code pst_config_merge_reload(struct pst_config **out, const struct pst_config *old,
                                 const struct pst_config *new_one, struct pst_err *err);

/* ---- descriptions ----------------------------------------------------------------------- */

/* The options as help text, at most 100 columns, grouped. */
void pst_config_help(const struct pst_config_table *table, struct pst_buf *out);
/* The options as a section body of a manual page (man(7) macros). */
void pst_config_man(const struct pst_config_table *table, struct pst_buf *out);
/* A JSON array of objects: name, type, default, unit, min, max, choices, env, flag, help. */
void pst_config_describe_json(const struct pst_config_table *table, struct pst_buf *out);
/* A JSON object of the values in force with their sources; secrets as "***". */
void pst_config_values_json(const struct pst_config *c, struct pst_buf *out);

#endif
