/* config/describe.c: help text, manual page and JSON from the option table. */
#include "codec/json.h"
#include "config/internal.h"

enum { WIDTH = 88, INDENT = 8 };

/* Words of text, wrapped, every line indented. */
static void add_wrapped(struct pst_buf *out, pst_str text)
{
    size_t column = 0;
    while (text.ptr && text.len > 0) {
        pst_str word = pst_str_split(&text, ' ');
        if (column == 0 || column + 1 + word.len > WIDTH) {
            pst_buf_addf(out, "%s%*s", column == 0 ? "" : "\n", INDENT, "");
            column = INDENT;
        } else {
            pst_buf_add_char(out, ' ');
            column++;
        }
        pst_buf_add_str(out, word);
        column += word.len;
    }
    pst_buf_add_char(out, '\n');
}

static const char *group_of(const struct pst_config_option *o)
{
    return o->group ? o->group : "Options";
}

static bool starts_group(const struct pst_config_table *table, size_t index)
{
    return index == 0 ||
           strcmp(group_of(&table->options[index]), group_of(&table->options[index - 1])) != 0;
}

/* "-f, --flag ARG", or the variable of a secret. */
static void add_usage(struct pst_buf *out, const struct pst_config_table *table,
                      const struct pst_config_option *o)
{
    char name[PST_CONFIG_NAME_MAX];
    if (o->flags & PST_CONFIG_SECRET) {
        pst_config_env_name(name, table, o);
        pst_buf_addf(out, "%s=%s", name, o->arg ? o->arg : "VALUE");
        return;
    }
    pst_config_flag_name(name, o);
    if (o->letter)
        pst_buf_addf(out, "-%c, ", o->letter);
    pst_buf_addf(out, "--%s", name);
    if (o->bare)
        pst_buf_addf(out, "[=%s]", o->arg);
    else if (o->type != PST_CONFIG_BOOL)
        pst_buf_addf(out, " %s", o->arg ? o->arg : "VALUE");
    else if (o->value && strcmp(o->value, "true") == 0)
        pst_buf_addf(out, ", --no-%s", name);
}

/* "Default: 16KiB; a size from 1KiB to 1MiB." */
static void add_facts(struct pst_buf *out, const struct pst_config_option *o)
{
    char allowed[PST_CONFIG_TEXT_MAX];
    bool has_default = o->value && *o->value && o->type != PST_CONFIG_BOOL;
    bool has_range = o->type == PST_CONFIG_ENUM ||
                     ((o->type == PST_CONFIG_INT || o->type == PST_CONFIG_DURATION ||
                       o->type == PST_CONFIG_SIZE) &&
                      (o->min != 0 || o->max != 0));
    if (has_default)
        pst_buf_addf(out, " Default: %s", o->value);
    if (has_default && o->unit && o->type == PST_CONFIG_INT)
        pst_buf_addf(out, " %s", o->unit);
    if (has_range) {
        pst_config_allowed(allowed, sizeof(allowed), o);
        if (has_default)
            pst_buf_addf(out, "; %s", allowed);
        else
            pst_buf_addf(out, " %c%s", allowed[0] - 'a' + 'A', allowed + 1);
    }
    if (has_default || has_range)
        pst_buf_add_char(out, '.');
}

void pst_config_help(const struct pst_config_table *table, struct pst_buf *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct pst_config_option *o = &table->options[i];
        PST_AUTO(buf) struct pst_buf text = {0};
        pst_buf_init(&text, 4096);
        if (starts_group(table, i))
            pst_buf_addf(out, "%s%s:\n", i == 0 ? "" : "\n", group_of(o));
        pst_buf_add_lit(out, "  ");
        add_usage(out, table, o);
        pst_buf_add_char(out, '\n');
        pst_buf_addf(&text, "%s", o->help);
        add_facts(&text, o);
        add_wrapped(out, pst_buf_str(&text));
    }
}

/* Text for roff: backslashes and hyphens escaped, a leading dot or quote made harmless. */
static void add_roff(struct pst_buf *out, pst_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (i == 0 && (c == '.' || c == '\''))
            pst_buf_add_lit(out, "\\&");
        if (c == '\\')
            pst_buf_add_lit(out, "\\e");
        else if (c == '-')
            pst_buf_add_lit(out, "\\-");
        else
            pst_buf_add_char(out, c);
    }
}

/* One group needs no heading of its own. */
static bool has_groups(const struct pst_config_table *table)
{
    const char *first = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const char *group = table->options[i].group;
        if (group && first && strcmp(group, first) != 0)
            return true;
        first = group ? group : first;
    }
    return false;
}

void pst_config_man(const struct pst_config_table *table, struct pst_buf *out)
{
    bool has_headings = has_groups(table);
    for (size_t i = 0; i < table->count; i++) {
        const struct pst_config_option *o = &table->options[i];
        PST_AUTO(buf) struct pst_buf text = {0};
        char env[PST_CONFIG_NAME_MAX];
        pst_buf_init(&text, 4096);
        if (has_headings && starts_group(table, i) && o->group)
            pst_buf_addf(out, ".SS %s\n", o->group);
        add_usage(&text, table, o);
        pst_buf_add_lit(out, ".TP\n.B ");
        add_roff(out, pst_buf_str(&text));
        pst_buf_add_char(out, '\n');
        pst_buf_reset(&text);
        pst_buf_addf(&text, "%s", o->help);
        add_facts(&text, o);
        if (o->flags & PST_CONFIG_RELOADABLE)
            pst_buf_add_lit(&text, " Taken over on SIGHUP.");
        if (table->env_prefix && !(o->flags & (PST_CONFIG_FLAG_ONLY | PST_CONFIG_SECRET))) {
            pst_config_env_name(env, table, o);
            pst_buf_addf(&text, " Environment: %s.", env);
        }
        add_roff(out, pst_buf_str(&text));
        pst_buf_add_char(out, '\n');
    }
}

static const char *const type_names[] = {"string", "integer", "boolean", "duration",
                                         "size",   "enum",    "list"};
static const char *const source_names[] = {"default", "file", "environment", "flag"};

static void put_choices(struct pst_json_writer *w, const char *choices)
{
    pst_str rest = pst_str_from(choices);
    pst_json_put_name(w, PST_STR("choices"));
    pst_json_begin_array(w);
    while (rest.ptr)
        pst_json_put_str(w, pst_str_split(&rest, '|'));
    pst_json_end_array(w);
}

static void put_text(struct pst_json_writer *w, pst_str name, const char *text)
{
    pst_json_put_name(w, name);
    pst_json_put_str(w, pst_str_from(text));
}

void pst_config_describe_json(const struct pst_config_table *table, struct pst_buf *out)
{
    struct pst_json_writer w;
    char name[PST_CONFIG_NAME_MAX + 2];
    pst_json_init(&w, out);
    pst_json_begin_array(&w);
    for (size_t i = 0; i < table->count; i++) {
        const struct pst_config_option *o = &table->options[i];
        pst_json_begin_object(&w);
        put_text(&w, PST_STR("name"), o->name);
        put_text(&w, PST_STR("type"), type_names[o->type]);
        put_text(&w, PST_STR("default"), o->value);
        if (o->unit)
            put_text(&w, PST_STR("unit"), o->unit);
        if (o->min != 0 || o->max != 0) {
            pst_json_put_name(&w, PST_STR("min"));
            pst_json_put_i64(&w, o->min);
            pst_json_put_name(&w, PST_STR("max"));
            pst_json_put_i64(&w, o->max);
        }
        if (o->choices)
            put_choices(&w, o->choices);
        if (table->env_prefix && !(o->flags & PST_CONFIG_FLAG_ONLY)) {
            pst_config_env_name(name, table, o);
            put_text(&w, PST_STR("env"), name);
        }
        if (!(o->flags & PST_CONFIG_SECRET)) {
            memcpy(name, "--", 2);
            pst_config_flag_name(name + 2, o);
            put_text(&w, PST_STR("flag"), name);
        }
        pst_json_put_name(&w, PST_STR("reloadable"));
        pst_json_put_bool(&w, (o->flags & PST_CONFIG_RELOADABLE) != 0);
        put_text(&w, PST_STR("group"), group_of(o));
        put_text(&w, PST_STR("help"), o->help);
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
}

void pst_config_values_json(const struct pst_config *c, struct pst_buf *out)
{
    struct pst_json_writer w;
    pst_json_init(&w, out);
    pst_json_begin_object(&w);
    for (size_t i = 0; i < c->table->count; i++) {
        const struct pst_config_option *o = &c->table->options[i];
        const struct pst_config_value *v = &c->values[i];
        bool hide = (o->flags & PST_CONFIG_SECRET) && v->text.len > 0;
        pst_json_put_name(&w, pst_str_from(o->name));
        pst_json_begin_object(&w);
        pst_json_put_name(&w, PST_STR("value"));
        pst_json_put_str(&w, hide ? PST_STR("***") : v->text);
        put_text(&w, PST_STR("source"), source_names[v->source]);
        pst_json_end_object(&w);
    }
    pst_json_end_object(&w);
}
