/* config/internal.h: what the files of config share. Not for other modules. */
#ifndef PST_CONFIG_INTERNAL_H
#define PST_CONFIG_INTERNAL_H

#include "config/config.h"

enum {
    PST_CONFIG_ARENA_BYTES = 4 << 20,
    PST_CONFIG_FILE_BYTES = 1 << 20,
    PST_CONFIG_LIST_MAX = 1024, /* items of one list, whatever its own bound says */
    PST_CONFIG_WORDS_MAX = 256,
    PST_CONFIG_NAME_MAX = 64, /* bytes of a spelling, NUL included */
    PST_CONFIG_TEXT_MAX = 160, /* bytes of a source's or a range's description */
};

struct pst_config_value {
    enum pst_config_source source;
    pst_str text; /* as given (a list: joined by commas); in the arena */
    int64_t num; /* INT, DURATION, SIZE; ENUM: index; BOOL: 0 or 1 */
    const pst_str *items; /* LIST */
    size_t count;
};

struct pst_config {
    _Atomic unsigned refs;
    const struct pst_config_table *table;
    struct pst_arena *arena; /* owns every text below */
    struct pst_config_value *values; /* one per row of the table */
    const pst_str *words;
    size_t word_count;
};

/* ---- value.c ---- */

/* Read `text` as the option's value into *out (source included). where: the source as an
 * error names it ("flag --listen"). Errors: INVALID, NO_MEMORY, LIMIT. */
pst_code pst_config_parse(struct pst_arena *a, const struct pst_config_option *o, pst_str text,
                          enum pst_config_source source, const char *where,
                          struct pst_config_value *out, struct pst_err *err);
/* The same for a list that comes in items. */
pst_code pst_config_parse_items(struct pst_arena *a, const struct pst_config_option *o,
                                const pst_str *items, size_t count, enum pst_config_source source,
                                const char *where, struct pst_config_value *out,
                                struct pst_err *err);
/* What is allowed, in words: "a whole number from 10 to 100000". Length as snprintf. */
void pst_config_allowed(char *out, size_t size, const struct pst_config_option *o);

/* Spellings, NUL-terminated: "data-dir" and "PENSTOCK_DATA_DIR". */
void pst_config_flag_name(char out[PST_CONFIG_NAME_MAX], const struct pst_config_option *o);
void pst_config_env_name(char out[PST_CONFIG_NAME_MAX], const struct pst_config_table *table,
                         const struct pst_config_option *o);

/* Index of the option called `name` (with - read as _), or table->count. */
size_t pst_config_find(const struct pst_config_table *table, pst_str name);

/* The known name nearest to a mistyped one, or NULL where nothing is near. */
const char *pst_config_nearest(const struct pst_config_table *table, pst_str name);

/* ---- sources ---- */

pst_code pst_config_read_file(struct pst_config *c, const char *name, pst_str text,
                              struct pst_err *err);
pst_code pst_config_read_env(struct pst_config *c, const char *const *env, struct pst_err *err);
pst_code pst_config_read_args(struct pst_config *c, const struct pst_config_input *in,
                              struct pst_err *err);

#endif
