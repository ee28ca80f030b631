/* cli/output.c: JSON values for people. */
#include "cli/output.h"

#include <stdarg.h>

#include "cli/terminal.h"
#include "os/clock.h"

enum { TEXT_MAX = 1 << 20, CELL_WIDTH = 40, COLUMNS_MAX = 16, GAP = 2 };

yyjson_val *pst_value_at(yyjson_val *v, const char *path)
{
    pst_str rest = pst_str_from(path);
    while (v && rest.ptr)
        v = pst_json_get(v, pst_str_split(&rest, '.'));
    return v;
}

pst_str pst_value_str(yyjson_val *v, const char *path)
{
    pst_str s = PST_STR("");
    (void)pst_json_str(pst_value_at(v, path), &s);
    return s;
}

int64_t pst_value_i64(yyjson_val *v, const char *path)
{
    int64_t n = 0;
    (void)pst_json_i64(pst_value_at(v, path), &n);
    return n;
}

void pst_format_count(struct pst_buf *out, int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)n);
    for (int i = 0; i < len; i++) {
        pst_buf_add_char(out, digits[i]);
        int left = len - 1 - i;
        if (left > 0 && left % 3 == 0 && digits[i] != '-')
            pst_buf_add_char(out, ',');
    }
}

void pst_format_span(struct pst_buf *out, int64_t ms)
{
    if (ms < 10000)
        pst_buf_addf(out, "%lld.%lld s", (long long)(ms / 1000), (long long)(ms % 1000 / 100));
    else if (ms < 120000)
        pst_buf_addf(out, "%lld s", (long long)(ms / 1000));
    else if (ms < 2 * 3600000LL)
        pst_buf_addf(out, "%lld min", (long long)(ms / 60000));
    else if (ms < 2 * 86400000LL)
        pst_buf_addf(out, "%lld h", (long long)(ms / 3600000));
    else
        pst_buf_addf(out, "%lld days", (long long)(ms / 86400000));
}

static void add_time(struct pst_buf *out, pst_str text, bool is_relative)
{
    pst_wall t;
    char whole[PST_WALL_TEXT];
    if (!pst_wall_parse(&t, text)) {
        pst_terminal_clean(out, text, CELL_WIDTH);
        return;
    }
    if (!is_relative) {
        t.us -= ((t.us % PST_US_PER_S) + PST_US_PER_S) % PST_US_PER_S;
        size_t len = pst_wall_format(whole, t);
        if (len > 10)
            whole[10] = ' ';
        pst_buf_add(out, whole, len);
        return;
    }
    int64_t ms = (pst_wall_now().us - t.us) / 1000;
    int64_t span = ms < 0 ? -ms : ms;
    if (ms < 0)
        pst_buf_add_lit(out, "in ");
    if (span < 10000)
        pst_buf_addf(out, "%lld s", (long long)(span / 1000));
    else
        pst_format_span(out, span);
    if (ms >= 0)
        pst_buf_add_lit(out, " ago");
}

static void add_list(struct pst_buf *out, yyjson_val *list)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *item = NULL;
    yyjson_arr_foreach(list, i, n, item)
    {
        if (i > 0)
            pst_buf_add_lit(out, ", ");
        pst_value_text(out, item, PST_COLUMN_TEXT);
    }
    if (n == 0)
        pst_buf_add_char(out, '-');
}

static void add_json(struct pst_buf *out, yyjson_val *v)
{
    struct pst_json_writer w;
    pst_json_init(&w, out);
    pst_json_put_val(&w, v);
}

static void add_schedule(struct pst_buf *out, yyjson_val *v)
{
    pst_str interval = pst_value_str(v, "interval");
    pst_str cron = pst_value_str(v, "cron");
    if (interval.len > 0) {
        pst_buf_add_lit(out, "every ");
        pst_terminal_clean(out, interval, TEXT_MAX);
    } else if (cron.len > 0) {
        pst_terminal_clean(out, cron, TEXT_MAX);
        pst_buf_add_char(out, ' ');
        pst_terminal_clean(out, pst_value_str(v, "time_zone"), TEXT_MAX);
    } else {
        pst_buf_add_lit(out, "manual");
    }
}

void pst_value_text(struct pst_buf *out, yyjson_val *v, enum pst_column_kind kind)
{
    pst_str s = {0};
    int64_t n = 0;
    bool b = false;
    if (pst_json_str(v, &s)) {
        if (kind == PST_COLUMN_TIME || kind == PST_COLUMN_AGO)
            add_time(out, s, kind == PST_COLUMN_AGO);
        else
            pst_terminal_clean(out, s, TEXT_MAX);
    } else if (pst_json_bool(v, &b)) {
        if (kind == PST_COLUMN_YES)
            pst_buf_add_str(out, b ? PST_STR("yes") : PST_STR("no"));
        else
            pst_buf_add_str(out, b ? PST_STR("true") : PST_STR("false"));
    } else if ((kind == PST_COLUMN_NUMBER || kind == PST_COLUMN_LIMIT) && pst_json_i64(v, &n)) {
        pst_format_count(out, n);
    } else if (pst_json_number(v, &s)) {
        pst_buf_add_str(out, s);
    } else if (yyjson_is_arr(v) && kind == PST_COLUMN_CHOICE && yyjson_arr_size(v) == 0) {
        pst_buf_add_lit(out, "all");
    } else if (yyjson_is_arr(v)) {
        add_list(out, v);
    } else if (yyjson_is_obj(v) && kind == PST_COLUMN_SCHEDULE) {
        add_schedule(out, v);
    } else if (yyjson_is_obj(v)) {
        add_json(out, v);
    } else if (kind == PST_COLUMN_LIMIT) {
        pst_buf_add_lit(out, "unlimited");
    } else {
        pst_buf_add_char(out, '-');
    }
}

static size_t count_columns(pst_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* The cell's text, cut to the column's width. */
static void add_cell(struct pst_buf *out, yyjson_val *item, const struct pst_column *c)
{
    PST_AUTO(buf) struct pst_buf text = {0};
    pst_buf_init(&text, TEXT_MAX);
    pst_value_text(&text, pst_value_at(item, c->path), c->kind);
    pst_terminal_clean(out, pst_buf_str(&text), c->width ? c->width : CELL_WIDTH);
}

static size_t widest(yyjson_val *const *items, size_t count, const struct pst_column *c)
{
    size_t width = strlen(c->title);
    for (size_t i = 0; i < count; i++) {
        PST_AUTO(buf) struct pst_buf cell = {0};
        pst_buf_init(&cell, 4096);
        add_cell(&cell, items[i], c);
        size_t n = count_columns(pst_buf_str(&cell));
        if (n > width)
            width = n;
    }
    return width;
}

static void add_padded(struct pst_buf *out, pst_str text, size_t width, bool right, bool last)
{
    size_t have = count_columns(text);
    size_t pad = width > have ? width - have : 0;
    if (right)
        pst_buf_addf(out, "%*s", (int)pad, "");
    pst_buf_add_str(out, text);
    if (!last)
        pst_buf_addf(out, "%*s", (int)(right ? 0 : pad) + GAP, "");
}

static bool is_number(const struct pst_column *c)
{
    return c->kind == PST_COLUMN_NUMBER || c->kind == PST_COLUMN_LIMIT;
}

void pst_print_table(yyjson_val *const *items, size_t count, const struct pst_column *columns,
                     size_t column_count, const char *when_empty)
{
    size_t widths[COLUMNS_MAX];
    PST_AUTO(buf) struct pst_buf out = {.max = 64 << 20};
    if (count == 0) {
        pst_notef("%s\n", when_empty);
        return;
    }
    for (size_t c = 0; c < column_count; c++) {
        widths[c] = widest(items, count, &columns[c]);
        add_padded(&out, pst_str_from(columns[c].title), widths[c], is_number(&columns[c]),
                   c + 1 == column_count);
    }
    pst_buf_add_char(&out, '\n');
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < column_count; c++) {
            PST_AUTO(buf) struct pst_buf cell = {0};
            pst_buf_init(&cell, 4096);
            add_cell(&cell, items[i], &columns[c]);
            add_padded(&out, pst_buf_str(&cell), widths[c], is_number(&columns[c]),
                       c + 1 == column_count);
        }
        pst_buf_add_char(&out, '\n');
    }
    pst_terminal_print(pst_buf_str(&out));
}

void pst_print_fields(yyjson_val *v, const struct pst_column *columns, size_t column_count)
{
    size_t width = 0;
    PST_AUTO(buf) struct pst_buf out = {0};
    pst_buf_init(&out, 4 << 20);
    for (size_t c = 0; c < column_count; c++) {
        size_t n = strlen(columns[c].title);
        if (n > width)
            width = n;
    }
    for (size_t c = 0; c < column_count; c++) {
        yyjson_val *member = pst_value_at(v, columns[c].path);
        if (!member || (yyjson_is_null(member) && columns[c].kind != PST_COLUMN_LIMIT))
            continue;
        pst_buf_addf(&out, "%s:%*s", columns[c].title,
                     (int)(width - strlen(columns[c].title)) + GAP, "");
        PST_AUTO(buf) struct pst_buf text = {0};
        pst_buf_init(&text, TEXT_MAX);
        pst_value_text(&text, member, columns[c].kind);
        pst_terminal_clean(&out, pst_buf_str(&text),
                           columns[c].width ? columns[c].width : TEXT_MAX);
        pst_buf_add_char(&out, '\n');
    }
    pst_terminal_print(pst_buf_str(&out));
}

void pst_print_json(pst_str text)
{
    pst_terminal_print(text);
    if (!pst_str_ends(text, PST_STR("\n")))
        pst_terminal_print(PST_STR("\n"));
}

pst_code pst_print_items(yyjson_val *const *items, size_t count, struct pst_err *err)
{
    return pst_print_items_with(items, count, "", PST_STR(""), err);
}

pst_code pst_print_items_with(yyjson_val *const *items, size_t count, const char *name,
                              pst_str json, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf b = {0};
    struct pst_json_writer w;
    pst_buf_init(&b, 512 << 20);
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++)
        pst_json_put_val(&w, items[i]);
    pst_json_end_array(&w);
    if (json.len > 0)
        pst_json_add_raw(&w, name, json);
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    pst_print_json(pst_buf_str(&b));
    return PST_OK;
}

static void add_pretty(struct pst_buf *out, yyjson_val *v, int depth)
{
    size_t i = 0;
    size_t n = 0;
    yyjson_val *key = NULL;
    yyjson_val *item = NULL;
    if (yyjson_is_obj(v) && yyjson_obj_size(v) > 0) {
        yyjson_obj_foreach(v, i, n, key, item)
        {
            pst_buf_addf(out, "%*s", 2 * depth, "");
            pst_terminal_clean(out, (pst_str){yyjson_get_str(key), yyjson_get_len(key)}, 80);
            bool is_nested = (yyjson_is_obj(item) && yyjson_obj_size(item) > 0) ||
                             (yyjson_is_arr(item) && yyjson_is_obj(yyjson_arr_get_first(item)));
            pst_buf_add_str(out, is_nested ? PST_STR(":\n") : PST_STR(": "));
            add_pretty(out, item, depth + 1);
        }
    } else if (yyjson_is_arr(v) && yyjson_is_obj(yyjson_arr_get_first(v))) {
        yyjson_arr_foreach(v, i, n, item)
        {
            pst_buf_addf(out, "%*s-\n", 2 * depth, "");
            add_pretty(out, item, depth + 1);
        }
    } else {
        pst_value_text(out, v, PST_COLUMN_TEXT);
        pst_buf_add_char(out, '\n');
    }
}

void pst_print_pretty(yyjson_val *v)
{
    PST_AUTO(buf) struct pst_buf out = {0};
    pst_buf_init(&out, 64 << 20);
    add_pretty(&out, v, 0);
    pst_terminal_print(pst_buf_str(&out));
}

static void PST_PRINTF(2, 0) print_formatted(void (*print)(pst_str), const char *fmt, va_list ap)
{
    char text[4096];
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    print((pst_str){text, len});
}

void pst_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_formatted(pst_terminal_print, fmt, ap);
    va_end(ap);
}

void pst_notef(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_formatted(pst_terminal_note, fmt, ap);
    va_end(ap);
}
