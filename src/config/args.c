/* config/args.c: options from the command line and the environment. */
#include "config/internal.h"

struct args {
    struct pst_config *config;
    const char *const *argv;
    size_t count;
    size_t next; /* index of the next argument to look at */
    pst_str words[PST_CONFIG_WORDS_MAX];
    size_t word_count;
    size_t words_allowed;
};

static pst_code refuse_unknown(const struct args *in, pst_str name, struct pst_err *err)
{
    const char *near_name = pst_config_nearest(in->config->table, name);
    if (!near_name)
        return PST_FAIL(err, PST_E_INVALID, "there is no flag --%.*s (see --help)",
                        PST_STR_ARG(name));
    char flag[PST_CONFIG_NAME_MAX];
    pst_config_flag_name(
        flag,
        &in->config->table->options[pst_config_find(in->config->table, pst_str_from(near_name))]);
    return PST_FAIL(err, PST_E_INVALID, "there is no flag --%.*s; did you mean --%s?",
                    PST_STR_ARG(name), flag);
}

static pst_code add_item(struct pst_config *c, const struct pst_config_option *o, pst_str text,
                         const char *where, struct pst_config_value *v, struct pst_err *err)
{
    pst_str *items = NULL;
    size_t had = v->source == PST_FROM_FLAG ? v->count : 0;
    PST_TRY(pst_arena_array(c->arena, &items, had + 1, sizeof(*items), err));
    if (had > 0)
        memcpy(items, v->items, had * sizeof(*items));
    items[had] = text;
    return pst_config_parse_items(c->arena, o, items, had + 1, PST_FROM_FLAG, where, v, err);
}

/* The value a flag repeats is added to a list, and replaces anything else. */
static pst_code store_value(struct args *in, size_t index, pst_str text, const char *where,
                            struct pst_err *err)
{
    struct pst_config *c = in->config;
    const struct pst_config_option *o = &c->table->options[index];
    struct pst_config_value *v = &c->values[index];
    if (o->type == PST_CONFIG_LIST && o->flags & PST_CONFIG_WHOLE)
        return add_item(c, o, text, where, v, err);
    if (o->type != PST_CONFIG_LIST || v->source != PST_FROM_FLAG || v->text.len == 0)
        return pst_config_parse(c->arena, o, text, PST_FROM_FLAG, where, v, err);
    pst_str joined = {0};
    PST_TRY(pst_arena_printf(c->arena, &joined, err, "%.*s,%.*s", PST_STR_ARG(v->text),
                             PST_STR_ARG(text)));
    return pst_config_parse(c->arena, o, joined, PST_FROM_FLAG, where, v, err);
}

/* has_value: text was joined to the flag. Else the next argument is the value, but for BOOL and
 * where it may be left out. */
static pst_code take_flag(struct args *in, size_t index, const char *where, bool has_value,
                          pst_str text, struct pst_err *err)
{
    const struct pst_config_option *o = &in->config->table->options[index];
    if (o->flags & PST_CONFIG_SECRET) {
        char env[PST_CONFIG_NAME_MAX];
        pst_config_env_name(env, in->config->table, o);
        return PST_FAIL_AT(err, PST_E_INVALID, o->name,
                           "%s: other users could read it from the command line; set %s instead",
                           where, env);
    }
    if (!has_value && o->type == PST_CONFIG_BOOL)
        return store_value(in, index, PST_STR("true"), where, err);
    if (!has_value && o->bare)
        return store_value(in, index, pst_str_from(o->bare), where, err);
    if (!has_value) {
        if (in->next >= in->count || strncmp(in->argv[in->next], "--", 2) == 0)
            return PST_FAIL_AT(err, PST_E_INVALID, o->name, "%s needs a value (%s)", where,
                               o->arg ? o->arg : "VALUE");
        text = pst_str_from(in->argv[in->next++]);
    }
    return store_value(in, index, text, where, err);
}

static pst_code read_long(struct args *in, const char *arg, struct pst_err *err)
{
    const struct pst_config_table *table = in->config->table;
    pst_str rest = pst_str_from(arg + 2);
    pst_str name = pst_str_split(&rest, '=');
    char where[PST_CONFIG_TEXT_MAX];
    (void)snprintf(where, sizeof(where), "flag --%.*s", PST_STR_ARG(name));
    size_t index = pst_config_find(table, name);
    if (index < table->count)
        return take_flag(in, index, where, rest.ptr != NULL, rest, err);

    if (pst_str_starts(name, PST_STR("no-")) && !rest.ptr) {
        index = pst_config_find(table, pst_str_sub(name, 3, name.len));
        if (index < table->count && table->options[index].type == PST_CONFIG_BOOL)
            return take_flag(in, index, where, true, PST_STR("false"), err);
    }
    return refuse_unknown(in, name, err);
}

/* "-f", "-f VALUE", "-fVALUE", and several bools in one: "-ab". */
static pst_code read_short(struct args *in, const char *arg, struct pst_err *err)
{
    const struct pst_config_table *table = in->config->table;
    for (const char *p = arg + 1; *p; p++) {
        size_t index = 0;
        while (index < table->count && table->options[index].letter != *p)
            index++;
        if (index == table->count)
            return PST_FAIL(err, PST_E_INVALID, "there is no flag -%c (see --help)", *p);
        char where[PST_CONFIG_TEXT_MAX];
        (void)snprintf(where, sizeof(where), "flag -%c", *p);
        if (table->options[index].type != PST_CONFIG_BOOL)
            return take_flag(in, index, where, p[1] != '\0', pst_str_from(p + 1), err);
        PST_TRY(take_flag(in, index, where, false, PST_STR(""), err));
    }
    return PST_OK;
}

static pst_code take_word(struct args *in, const char *arg, struct pst_err *err)
{
    if (in->word_count >= in->words_allowed || in->word_count == PST_COUNT(in->words))
        return PST_FAIL(err, PST_E_INVALID, "unexpected argument '%.80s'", arg);
    return pst_arena_dup(in->config->arena, &in->words[in->word_count++], pst_str_from(arg), err);
}

pst_code pst_config_read_args(struct pst_config *c, const struct pst_config_input *input,
                              struct pst_err *err)
{
    struct args in = {.config = c,
                      .argv = input->args,
                      .count = input->arg_count,
                      .words_allowed = input->max_words};
    bool only_words = false;
    while (in.next < in.count) {
        const char *arg = in.argv[in.next++];
        if (!only_words && strcmp(arg, "--") == 0)
            only_words = true;
        else if (!only_words && strncmp(arg, "--", 2) == 0)
            PST_TRY(read_long(&in, arg, err));
        else if (!only_words && arg[0] == '-' && arg[1] != '\0')
            PST_TRY(read_short(&in, arg, err));
        else
            PST_TRY(take_word(&in, arg, err));
    }
    pst_str *words = NULL;
    PST_TRY(pst_arena_array(c->arena, &words, in.word_count, sizeof(*words), err));
    if (in.word_count > 0)
        memcpy(words, in.words, in.word_count * sizeof(*words));
    c->words = words;
    c->word_count = in.word_count;
    return PST_OK;
}

const char *pst_config_peek_flag(const char *const *args, size_t arg_count, const char *name,
                                 char letter)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < arg_count && strcmp(args[i], "--") != 0; i++) {
        const char *arg = args[i];
        const char *next = i + 1 < arg_count ? args[i + 1] : "";
        if (letter && arg[0] == '-' && arg[1] == letter)
            return arg[2] ? arg + 2 : next;
        if (strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, name, len) != 0)
            continue;
        if (arg[2 + len] == '=')
            return arg + 3 + len;
        if (arg[2 + len] == '\0')
            return next;
    }
    return NULL;
}

pst_code pst_config_read_env(struct pst_config *c, const char *const *env, struct pst_err *err)
{
    for (size_t i = 0; i < c->table->count; i++) {
        const struct pst_config_option *o = &c->table->options[i];
        char name[PST_CONFIG_NAME_MAX];
        char where[PST_CONFIG_TEXT_MAX];
        if (o->flags & PST_CONFIG_FLAG_ONLY)
            continue;
        pst_config_env_name(name, c->table, o);
        size_t len = strlen(name);
        for (const char *const *e = env; *e; e++) {
            /* An empty variable counts as not set, as unset variables arrive from unit files
             * and compose files. */
            if (strncmp(*e, name, len) != 0 || (*e)[len] != '=' || (*e)[len + 1] == '\0')
                continue;
            (void)snprintf(where, sizeof(where), "environment variable %s", name);
            PST_TRY(pst_config_parse(c->arena, o, pst_str_from(*e + len + 1), PST_FROM_ENV, where,
                                     &c->values[i], err));
            break;
        }
    }
    return PST_OK;
}
