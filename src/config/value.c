/* config/value.c: one option's text to its value, and what is allowed in words. */
#include "base/num.h"
#include "config/internal.h"

static void format_duration(char *out, size_t size, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    for (size_t i = 0; i < PST_COUNT(units); i++) {
        if (ms >= units[i].ms && ms % units[i].ms == 0) {
            (void)snprintf(out, size, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
            return;
        }
    }
    (void)snprintf(out, size, "%lldms", (long long)ms);
}

static void format_size(char *out, size_t size, int64_t bytes)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    while (bytes >= 1024 && bytes % 1024 == 0 && u + 1 < PST_COUNT(units)) {
        bytes /= 1024;
        u++;
    }
    (void)snprintf(out, size, "%lld%s", (long long)bytes, units[u]);
}

static void describe_choices(char *out, size_t size, const char *choices)
{
    pst_str rest = pst_str_from(choices);
    size_t len = (size_t)snprintf(out, size, "one of");
    for (const char *sep = " "; rest.ptr && len < size; sep = ", ") {
        pst_str one = pst_str_split(&rest, '|');
        len += (size_t)snprintf(out + len, size - len, "%s%.*s", sep, PST_STR_ARG(one));
    }
}

void pst_config_allowed(char *out, size_t size, const struct pst_config_option *o)
{
    char low[32];
    char high[32];
    bool bounded = o->min != 0 || o->max != 0;
    switch (o->type) {
    case PST_CONFIG_STRING:
        if (bounded && o->min > 0)
            (void)snprintf(out, size, "a text of %lld to %lld characters", (long long)o->min,
                           (long long)o->max);
        else if (bounded)
            (void)snprintf(out, size, "a text of at most %lld characters", (long long)o->max);
        else
            (void)snprintf(out, size, "a text");
        return;
    case PST_CONFIG_INT:
        if (bounded)
            (void)snprintf(out, size, "a whole number from %lld to %lld", (long long)o->min,
                           (long long)o->max);
        else
            (void)snprintf(out, size, "a whole number");
        return;
    case PST_CONFIG_BOOL:
        (void)snprintf(out, size, "true or false");
        return;
    case PST_CONFIG_DURATION:
        format_duration(low, sizeof(low), o->min);
        format_duration(high, sizeof(high), o->max);
        (void)snprintf(out, size, bounded ? "a time from %s to %s" : "a time like 500ms, 90s or 7d",
                       low, high);
        return;
    case PST_CONFIG_SIZE:
        format_size(low, sizeof(low), o->min);
        format_size(high, sizeof(high), o->max);
        (void)snprintf(out, size, bounded ? "a size from %s to %s" : "a size like 4096 or 64MiB",
                       low, high);
        return;
    case PST_CONFIG_ENUM:
        describe_choices(out, size, o->choices);
        return;
    case PST_CONFIG_LIST:
        if (bounded)
            (void)snprintf(out, size, "%lld to %lld items with commas between them",
                           (long long)o->min, (long long)o->max);
        else
            (void)snprintf(out, size, "items with commas between them");
        return;
    }
}

static pst_code refuse(const struct pst_config_option *o, const char *where, pst_str text,
                       struct pst_err *err)
{
    char allowed[PST_CONFIG_TEXT_MAX];
    pst_config_allowed(allowed, sizeof(allowed), o);
    if (o->flags & PST_CONFIG_SECRET)
        return PST_FAIL_AT(err, PST_E_INVALID, o->name, "%s: the value is not %s", where, allowed);
    return PST_FAIL_AT(err, PST_E_INVALID, o->name, "%s: '%.*s' is not %s", where,
                       (int)(text.len < 80 ? text.len : 80), text.ptr ? text.ptr : "", allowed);
}

static bool in_bounds(const struct pst_config_option *o, int64_t v)
{
    return (o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max);
}

static bool parse_bool(int64_t *out, pst_str text)
{
    static const char *const words[2][5] = {{"false", "no", "off", "0", "n"},
                                            {"true", "yes", "on", "1", "y"}};
    for (int64_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < PST_COUNT(words[v]); i++) {
            if (pst_str_eq_nocase(text, pst_str_from(words[v][i]))) {
                *out = v;
                return true;
            }
        }
    }
    return false;
}

static bool parse_choice(int64_t *out, const char *choices, pst_str text)
{
    pst_str rest = pst_str_from(choices);
    for (int64_t i = 0; rest.ptr; i++) {
        if (pst_str_eq(pst_str_split(&rest, '|'), text)) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* The number behind every type but LIST; for STRING its length. */
static bool parse_number(int64_t *out, const struct pst_config_option *o, pst_str text)
{
    uint64_t size = 0;
    switch (o->type) {
    case PST_CONFIG_STRING:
        *out = (int64_t)text.len;
        /* An empty text means "not set" and is always in bounds. */
        return memchr(text.ptr ? text.ptr : "", '\0', text.len) == NULL &&
               (text.len == 0 || in_bounds(o, *out));
    case PST_CONFIG_INT:
        return pst_parse_i64(out, text, INT64_MIN, INT64_MAX) && in_bounds(o, *out);
    case PST_CONFIG_BOOL:
        return parse_bool(out, text);
    case PST_CONFIG_DURATION:
        return pst_parse_duration_ms(out, text) && in_bounds(o, *out);
    case PST_CONFIG_SIZE:
        if (!pst_parse_size(&size, text) || size > INT64_MAX)
            return false;
        *out = (int64_t)size;
        return in_bounds(o, *out);
    case PST_CONFIG_ENUM:
        return parse_choice(out, o->choices, text);
    case PST_CONFIG_LIST:
        break;
    }
    return false;
}

pst_code pst_config_parse_items(struct pst_arena *a, const struct pst_config_option *o,
                                const pst_str *items, size_t count, enum pst_config_source source,
                                const char *where, struct pst_config_value *out,
                                struct pst_err *err)
{
    pst_str *copies = NULL;
    PST_AUTO(buf) struct pst_buf joined = {0};
    pst_buf_init(&joined, PST_CONFIG_FILE_BYTES);
    if (count > PST_CONFIG_LIST_MAX || !in_bounds(o, (int64_t)count))
        return refuse(o, where, count ? items[0] : PST_STR(""), err);
    PST_TRY(pst_arena_array(a, &copies, count, sizeof(*copies), err));
    for (size_t i = 0; i < count; i++) {
        pst_str item = pst_str_trim(items[i]);
        if (item.len == 0 || memchr(item.ptr, '\0', item.len))
            return PST_FAIL_AT(err, PST_E_INVALID, o->name, "%s: an item is empty", where);
        PST_TRY(pst_arena_dup(a, &copies[i], item, err));
        if (i > 0)
            pst_buf_add_char(&joined, ',');
        pst_buf_add_str(&joined, item);
    }
    PST_TRY(pst_buf_check(&joined, err));
    pst_str text = {0};
    PST_TRY(pst_arena_dup(a, &text, pst_buf_str(&joined), err));
    *out =
        (struct pst_config_value){.source = source, .text = text, .items = copies, .count = count};
    return PST_OK;
}

static pst_code parse_list(struct pst_arena *a, const struct pst_config_option *o, pst_str text,
                           enum pst_config_source source, const char *where,
                           struct pst_config_value *out, struct pst_err *err)
{
    pst_str items[PST_CONFIG_LIST_MAX];
    size_t count = 0;
    pst_str rest = text;
    while (text.len > 0 && rest.ptr) {
        if (count == PST_COUNT(items))
            return refuse(o, where, text, err);
        items[count++] = pst_str_split(&rest, ',');
    }
    return pst_config_parse_items(a, o, items, count, source, where, out, err);
}

pst_code pst_config_parse(struct pst_arena *a, const struct pst_config_option *o, pst_str text,
                          enum pst_config_source source, const char *where,
                          struct pst_config_value *out, struct pst_err *err)
{
    if (o->type == PST_CONFIG_LIST)
        return parse_list(a, o, text, source, where, out, err);
    int64_t num = 0;
    if (!parse_number(&num, o, text))
        return refuse(o, where, text, err);
    pst_str copy = {0};
    PST_TRY(pst_arena_dup(a, &copy, text, err));
    *out = (struct pst_config_value){.source = source, .text = copy, .num = num};
    return PST_OK;
}

void pst_config_flag_name(char out[PST_CONFIG_NAME_MAX], const struct pst_config_option *o)
{
    (void)snprintf(out, PST_CONFIG_NAME_MAX, "%s", o->name);
    for (char *p = out; *p; p++) {
        if (*p == '_')
            *p = '-';
    }
}

void pst_config_env_name(char out[PST_CONFIG_NAME_MAX], const struct pst_config_table *table,
                         const struct pst_config_option *o)
{
    (void)snprintf(out, PST_CONFIG_NAME_MAX, "%s%s", table->env_prefix ? table->env_prefix : "",
                   o->name);
    for (char *p = out; *p; p++) {
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    }
}

static bool same_name(const char *name, pst_str given)
{
    size_t i = 0;
    for (; i < given.len && name[i]; i++) {
        char c = given.ptr[i] == '-' ? '_' : given.ptr[i];
        if (c != name[i])
            return false;
    }
    return i == given.len && !name[i];
}

size_t pst_config_find(const struct pst_config_table *table, pst_str name)
{
    size_t i = 0;
    while (i < table->count && !same_name(table->options[i].name, name))
        i++;
    return i;
}

/* Levenshtein distance, for names below PST_CONFIG_NAME_MAX. */
static size_t distance(pst_str a, pst_str b)
{
    size_t row[PST_CONFIG_NAME_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < shorter ? change : shorter;
        }
    }
    return row[b.len];
}

const char *pst_config_nearest(const struct pst_config_table *table, pst_str name)
{
    const char *best = NULL;
    size_t best_distance = 3;
    char plain[PST_CONFIG_NAME_MAX];
    if (!pst_str_copy(plain, sizeof(plain), name))
        return NULL;
    for (char *p = plain; *p; p++) {
        if (*p == '-')
            *p = '_';
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t d = distance(pst_str_from(plain), pst_str_from(table->options[i].name));
        if (d < best_distance && d < name.len) {
            best = table->options[i].name;
            best_distance = d;
        }
    }
    return best;
}
