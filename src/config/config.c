/* config/config.c: building a snapshot from its sources, and reading it. */
#include "config/config.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "config/internal.h"

enum { OPTIONS_MAX = 128 };

static void free_config(struct pst_config *c)
{
    for (size_t i = 0; c->values && i < c->table->count; i++) {
        /* The one place where a snapshot is written after it was built: nobody reads it now. */
        pst_str text = c->values[i].text;
        if ((c->table->options[i].flags & PST_CONFIG_SECRET) && text.len > 0)
            explicit_bzero((void *)(uintptr_t)text.ptr, text.len);
    }
    pst_arena_free(c->arena);
    pst_free(c);
}

struct pst_config *pst_config_ref(struct pst_config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void pst_config_unref(struct pst_config *c)
{
    if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        free_config(c);
}

static pst_code new_config(struct pst_config **out, const struct pst_config_table *table,
                           struct pst_err *err)
{
    PST_AUTO(config) struct pst_config *c = NULL;
    if (table->count > OPTIONS_MAX)
        return PST_FAIL(err, PST_E_INTERNAL, "an option table has at most %d rows", OPTIONS_MAX);
    PST_TRY(pst_new((void **)&c, sizeof(*c), err));
    c->refs = 1;
    c->table = table;
    PST_TRY(pst_arena_new(&c->arena, PST_CONFIG_ARENA_BYTES, err));
    PST_TRY(pst_arena_array(c->arena, &c->values, table->count, sizeof(*c->values), err));
    *out = PST_TAKE(c);
    return PST_OK;
}

static pst_code fill_defaults(struct pst_config *c, struct pst_err *err)
{
    for (size_t i = 0; i < c->table->count; i++) {
        const struct pst_config_option *o = &c->table->options[i];
        if (!o->value && o->type != PST_CONFIG_STRING)
            continue;
        /* A default is text like every other source, so the table cannot disagree with its own
         * bounds unnoticed. */
        PST_TRY(pst_config_parse(c->arena, o, pst_str_from(o->value), PST_FROM_DEFAULT,
                                 "default value", &c->values[i], err));
    }
    return PST_OK;
}

static pst_code check_required(const struct pst_config *c, struct pst_err *err)
{
    for (size_t i = 0; i < c->table->count; i++) {
        const struct pst_config_option *o = &c->table->options[i];
        if ((o->flags & PST_CONFIG_REQUIRED) && c->values[i].text.len == 0) {
            char flag[PST_CONFIG_NAME_MAX];
            pst_config_flag_name(flag, o);
            return PST_FAIL_AT(err, PST_E_INVALID, o->name, "--%s %s is needed", flag,
                               o->arg ? o->arg : "");
        }
    }
    return PST_OK;
}

pst_code pst_config_load(struct pst_config **out, const struct pst_config_table *table,
                         const struct pst_config_input *in, struct pst_err *err)
{
    PST_AUTO(config) struct pst_config *c = NULL;
    PST_TRY(new_config(&c, table, err));
    PST_TRY(fill_defaults(c, err));
    if (in->file_name)
        PST_TRY(pst_config_read_file(c, in->file_name, in->file_text, err));
    if (in->env && table->env_prefix)
        PST_TRY(pst_config_read_env(c, in->env, err));
    PST_TRY(pst_config_read_args(c, in, err));
    PST_TRY(check_required(c, err));
    *out = PST_TAKE(c);
    return PST_OK;
}

static const struct pst_config_value *value_of(const struct pst_config *c, size_t option,
                                               unsigned types)
{
    if (option >= c->table->count || !(types & 1U << c->table->options[option].type))
        abort(); /* the program asks for what its own table does not have */
    return &c->values[option];
}

pst_str pst_config_str(const struct pst_config *c, size_t option)
{
    pst_str s = value_of(c, option, 1U << PST_CONFIG_STRING | 1U << PST_CONFIG_ENUM)->text;
    return s.ptr ? s : PST_STR("");
}

int64_t pst_config_int(const struct pst_config *c, size_t option)
{
    return value_of(c, option,
                    1U << PST_CONFIG_INT | 1U << PST_CONFIG_ENUM | 1U << PST_CONFIG_DURATION |
                        1U << PST_CONFIG_SIZE)
        ->num;
}

bool pst_config_bool(const struct pst_config *c, size_t option)
{
    return value_of(c, option, 1U << PST_CONFIG_BOOL)->num != 0;
}

size_t pst_config_list(const struct pst_config *c, size_t option, const pst_str **out_items)
{
    const struct pst_config_value *v = value_of(c, option, 1U << PST_CONFIG_LIST);
    *out_items = v->items;
    return v->count;
}

enum pst_config_source pst_config_source(const struct pst_config *c, size_t option)
{
    return value_of(c, option, ~0U)->source;
}

bool pst_config_has_secret_in_file(const struct pst_config *c)
{
    for (size_t i = 0; i < c->table->count; i++) {
        if ((c->table->options[i].flags & PST_CONFIG_SECRET) &&
            c->values[i].source == PST_FROM_FILE && c->values[i].text.len > 0)
            return true;
    }
    return false;
}

size_t pst_config_words(const struct pst_config *c, const pst_str **out_words)
{
    *out_words = c->words;
    return c->word_count;
}

size_t pst_config_diff(const struct pst_config *old, const struct pst_config *new_one,
                       size_t *changed, size_t cap, bool *out_needs_restart)
{
    size_t count = 0;
    bool needs_restart = false;
    for (size_t i = 0; i < old->table->count; i++) {
        if (pst_str_eq(old->values[i].text, new_one->values[i].text))
            continue;
        if (count < cap)
            changed[count++] = i;
        if (!(old->table->options[i].flags & PST_CONFIG_RELOADABLE))
            needs_restart = true;
    }
    *out_needs_restart = needs_restart;
    return count;
}

static pst_code copy_value(struct pst_arena *a, struct pst_config_value *out,
                           const struct pst_config_value *from, struct pst_err *err)
{
    struct pst_config_value v = *from;
    pst_str *items = NULL;
    PST_TRY(pst_arena_dup(a, &v.text, from->text, err));
    PST_TRY(pst_arena_array(a, &items, from->count, sizeof(*items), err));
    for (size_t i = 0; i < from->count; i++)
        PST_TRY(pst_arena_dup(a, &items[i], from->items[i], err));
    v.items = items;
    *out = v;
    return PST_OK;
}

pst_code pst_config_merge_reload(struct pst_config **out, const struct pst_config *old,
                                 const struct pst_config *new_one, struct pst_err *err)
{
    PST_AUTO(config) struct pst_config *c = NULL;
    PST_TRY(new_config(&c, old->table, err));
    for (size_t i = 0; i < old->table->count; i++) {
        bool reload = (old->table->options[i].flags & PST_CONFIG_RELOADABLE) != 0;
        const struct pst_config *from = reload ? new_one : old;
        PST_TRY(copy_value(c->arena, &c->values[i], &from->values[i], err));
    }
    *out = PST_TAKE(c);
    return PST_OK;
}
