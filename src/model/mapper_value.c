/* model/mapper_value.c: cells to JSON values, by the type of the field.
 *
 * Everything is appended to m->out; a value that cannot be converted is INVALID with a message
 * that names field and column and what was expected, never the value (it is the customer's data).
 */
#include "base/decimal.h"
#include "codec/json.h"
#include "codec/percent.h"
#include "codec/timestamp.h"
#include "model/plan.h"

bool pst_cell_is_blank(const struct pst_cell *cell)
{
    if (cell->kind == PST_CELL_ABSENT || cell->kind == PST_CELL_NULL)
        return true;
    for (size_t i = 0; i < cell->text.len; i++) {
        if (cell->text.ptr[i] != ' ')
            return false;
    }
    return true;
}

static pst_code refuse(const struct pst_mapper *m, const struct pst_rule *rule, unsigned column,
                       const char *expected, struct pst_err *err)
{
    return PST_FAIL(err, PST_E_INVALID, "%.*s: %.*s is not %s", PST_STR_ARG(rule->name),
                    PST_STR_ARG(m->mapping->columns[column]), expected);
}

static pst_code put_null(struct pst_mapper *m, bool *null)
{
    pst_buf_add_lit(&m->out, "null");
    *null = true;
    return PST_OK;
}

static void put_quoted(struct pst_mapper *m, const char *text, size_t len)
{
    pst_buf_add_char(&m->out, '"');
    pst_buf_add(&m->out, text, len);
    pst_buf_add_char(&m->out, '"');
}

/* ---- filters ------------------------------------------------------------------------------ */

static pst_code filter_text(struct pst_mapper *m, const struct pst_rule *rule, pst_str text,
                            struct pst_err *err)
{
    if (rule->filter < 0)
        return PST_OK;
    struct pst_filter_value *v = &m->mapped->filters[rule->filter];
    v->kind = PST_FILTER_TEXT;
    return pst_arena_dup(m->results, &v->text, text, err);
}

static void filter_int(struct pst_mapper *m, const struct pst_rule *rule, int64_t num)
{
    if (rule->filter < 0)
        return;
    m->mapped->filters[rule->filter] =
        (struct pst_filter_value){.kind = PST_FILTER_INT, .num = num};
}

/* ---- one cell by type ---------------------------------------------------------------------- */

static pst_code put_text(struct pst_mapper *m, const struct pst_rule *rule, unsigned column,
                         pst_str text, struct pst_err *err)
{
    (void)column;
    pst_json_quote(&m->out, text);
    return filter_text(m, rule, text, err);
}

/* A whole number, also when it is written like "5.00" or "1E+2". */
static bool read_integer(pst_str text, int64_t *out)
{
    struct pst_decimal d;
    struct pst_err why;
    if (pst_parse_i64(out, text, INT64_MIN, INT64_MAX))
        return true;
    if (pst_decimal_parse(&d, text, &why) != PST_OK)
        return false;
    for (; d.scale > 0; d.scale--) {
        if (d.coefficient % 10 != 0)
            return false;
        d.coefficient /= 10;
    }
    *out = (int64_t)d.coefficient;
    return d.coefficient == *out;
}

static pst_code put_integer(struct pst_mapper *m, const struct pst_rule *rule, unsigned column,
                            pst_str text, struct pst_err *err)
{
    int64_t v = 0;
    if (!read_integer(pst_str_trim(text), &v))
        return refuse(m, rule, column, "a whole number", err);
    pst_buf_add_i64(&m->out, v);
    filter_int(m, rule, v);
    return PST_OK;
}

static pst_code put_decimal(struct pst_mapper *m, const struct pst_rule *rule, unsigned column,
                            pst_str text, struct pst_err *err)
{
    char plain[PST_DECIMAL_TEXT];
    text = pst_str_trim(text);
    if (!pst_decimal_is_plain(text)) {
        struct pst_decimal d;
        struct pst_err why;
        if (pst_decimal_parse(&d, text, &why) != PST_OK)
            return refuse(m, rule, column, "a number", err);
        text = (pst_str){plain, pst_decimal_format(plain, d)};
    }
    if (text.len > 64)
        return refuse(m, rule, column, "a number of at most 64 characters", err);
    put_quoted(m, text.ptr, text.len);
    return filter_text(m, rule, text, err);
}

static pst_code put_boolean(struct pst_mapper *m, const struct pst_rule *rule, unsigned column,
                            pst_str text, struct pst_err *err)
{
    static const char *const yes[] = {"Y", "YES", "TRUE", "1"};
    static const char *const no[] = {"N", "NO", "FALSE", "0"};
    text = pst_str_trim(text);
    for (size_t i = 0; i < PST_COUNT(yes); i++) {
        bool is_yes = pst_str_eq_nocase(text, pst_str_from(yes[i]));
        if (!is_yes && !pst_str_eq_nocase(text, pst_str_from(no[i])))
            continue;
        pst_buf_add_str(&m->out, is_yes ? PST_STR("true") : PST_STR("false"));
        filter_int(m, rule, is_yes);
        return PST_OK;
    }
    return refuse(m, rule, column, "Y or N", err);
}

static pst_code put_date(struct pst_mapper *m, const struct pst_rule *rule, unsigned column,
                         pst_str text, struct pst_err *err)
{
    struct pst_stamp stamp;
    char out[PST_DATE_TEXT];
    if (!pst_stamp_parse(&stamp, text))
        return refuse(m, rule, column, "a date", err);
    size_t len = pst_date_format(out, &stamp.civil);
    put_quoted(m, out, len);
    return filter_text(m, rule, (pst_str){out, len}, err);
}

static pst_code put_datetime(struct pst_mapper *m, const struct pst_rule *rule, unsigned column,
                             pst_str text, struct pst_err *err)
{
    struct pst_stamp stamp;
    char out[PST_WALL_TEXT];
    if (!pst_stamp_parse(&stamp, text))
        return refuse(m, rule, column, "a date and time", err);
    pst_wall t = pst_stamp_to_wall(&stamp, m->mapping->zone, &m->memo);
    put_quoted(m, out, pst_wall_format(out, t));
    filter_int(m, rule, t.us);
    return PST_OK;
}

/* By type; enums, references and arrays are never one cell. */
static pst_code (*const converters[])(struct pst_mapper *m, const struct pst_rule *rule,
                                      unsigned column, pst_str text, struct pst_err *err) = {
    [PST_TYPE_STRING] = put_text,       [PST_TYPE_TEXT] = put_text,
    [PST_TYPE_INTEGER] = put_integer,   [PST_TYPE_DECIMAL] = put_decimal,
    [PST_TYPE_BOOLEAN] = put_boolean,   [PST_TYPE_DATE] = put_date,
    [PST_TYPE_DATETIME] = put_datetime,
};

static pst_code put_cell(struct pst_mapper *m, const struct pst_rule *rule, unsigned column,
                         const struct pst_cell *cell, struct pst_err *err)
{
    return converters[rule->type](m, rule, column, cell->text, err);
}

/* ---- enums --------------------------------------------------------------------------------- */

static bool test_holds(const struct pst_mapper *m, const struct pst_rule_test *t, uint32_t row)
{
    pst_str text = pst_str_trim(pst_mapper_cell(m, row, t->column)->text);
    for (size_t i = 0; i < t->value_count; i++) {
        if (pst_str_eq_nocase(text, t->values[i]))
            return true;
    }
    return false;
}

static const char *when_value(const struct pst_mapper *m, const struct pst_rule *rule, uint32_t row)
{
    for (size_t i = 0; i < rule->when_count; i++) {
        const struct pst_rule_when *w = &rule->whens[i];
        size_t held = 0;
        while (held < w->test_count && test_holds(m, &w->tests[held], row))
            held++;
        if (held == w->test_count)
            return w->value;
    }
    return NULL;
}

/* A code that nobody mapped gives null; the twin beside it still shows it. */
static pst_code put_enum(struct pst_mapper *m, const struct pst_rule *rule,
                         const struct pst_cell *cell, uint32_t row, bool *null, struct pst_err *err)
{
    const char *value = when_value(m, rule, row);
    pst_str text = pst_str_trim(cell->text);
    for (size_t i = 0; !value && i < rule->code_count; i++) {
        if (pst_str_eq_nocase(text, rule->codes[i].code))
            value = rule->codes[i].value;
    }
    if (!value)
        return put_null(m, null);
    put_quoted(m, value, strlen(value));
    return filter_text(m, rule, pst_str_from(value), err);
}

/* ---- rules --------------------------------------------------------------------------------- */

static pst_code column_value(struct pst_mapper *m, const struct pst_rule *rule,
                             struct pst_group group, bool *null, struct pst_err *err)
{
    uint32_t row = group.rows[0];
    for (size_t i = 0; i < rule->column_count; i++) {
        const struct pst_cell *cell = pst_mapper_cell(m, row, rule->columns[i]);
        if (pst_cell_is_blank(cell))
            continue;
        if (rule->type == PST_TYPE_ENUM)
            return put_enum(m, rule, cell, row, null, err);
        return put_cell(m, rule, rule->columns[i], cell, err);
    }
    return put_null(m, null);
}

static pst_code sum_value(struct pst_mapper *m, const struct pst_rule *rule, struct pst_group group,
                          bool *null, struct pst_err *err)
{
    struct pst_decimal total = {0};
    struct pst_decimal d;
    char out[PST_DECIMAL_TEXT];
    bool any = false;
    for (size_t i = 0; i < group.count; i++) {
        const struct pst_cell *cell = pst_mapper_cell(m, group.rows[i], rule->columns[0]);
        struct pst_err why;
        if (pst_cell_is_blank(cell))
            continue;
        if (pst_decimal_parse(&d, pst_str_trim(cell->text), &why) != PST_OK ||
            pst_decimal_add(&total, any ? total : (struct pst_decimal){0, d.scale}, d, &why) !=
                PST_OK)
            return refuse(m, rule, rule->columns[0], "a number that can be summed", err);
        any = true;
    }
    if (!any)
        return put_null(m, null);
    size_t len = pst_decimal_format(out, total);
    put_quoted(m, out, len);
    return filter_text(m, rule, (pst_str){out, len}, err);
}

/* <0, 0, >0; *ok false when one of them is not of the rule's type. */
static int compare_cells(struct pst_mapper *m, const struct pst_rule *rule, pst_str a, pst_str b,
                         bool *ok)
{
    struct pst_err why;
    if (rule->type == PST_TYPE_DECIMAL || rule->type == PST_TYPE_INTEGER) {
        struct pst_decimal x = {0};
        struct pst_decimal y = {0};
        *ok = pst_decimal_parse(&x, pst_str_trim(a), &why) == PST_OK &&
              pst_decimal_parse(&y, pst_str_trim(b), &why) == PST_OK;
        return *ok ? pst_decimal_cmp(x, y) : 0;
    }
    struct pst_stamp x;
    struct pst_stamp y;
    *ok = pst_stamp_parse(&x, a) && pst_stamp_parse(&y, b);
    if (!*ok)
        return 0;
    int64_t p = pst_stamp_to_wall(&x, m->mapping->zone, &m->memo).us;
    int64_t q = pst_stamp_to_wall(&y, m->mapping->zone, &m->memo).us;
    return (p > q) - (p < q);
}

/* For the message about a cell that cannot be compared. */
static const char *expected_of(enum pst_field_type type)
{
    if (type == PST_TYPE_DATE)
        return "a date";
    return type == PST_TYPE_DATETIME ? "a date and time" : "a number";
}

static pst_code extreme_value(struct pst_mapper *m, const struct pst_rule *rule,
                              struct pst_group group, bool *null, struct pst_err *err)
{
    const struct pst_cell *best = NULL;
    for (size_t i = 0; i < group.count; i++) {
        const struct pst_cell *cell = pst_mapper_cell(m, group.rows[i], rule->columns[0]);
        bool ok = true;
        if (pst_cell_is_blank(cell))
            continue;
        int order = best ? compare_cells(m, rule, cell->text, best->text, &ok) : 0;
        if (!ok)
            return refuse(m, rule, rule->columns[0], expected_of(rule->type), err);
        if (!best || (rule->kind == PST_RULE_MIN ? order < 0 : order > 0))
            best = cell;
    }
    return best ? put_cell(m, rule, rule->columns[0], best, err) : put_null(m, null);
}

static pst_code ref_value(struct pst_mapper *m, const struct pst_rule *rule, struct pst_group group,
                          bool *null, struct pst_err *err)
{
    uint32_t row = group.rows[0];
    pst_buf_reset(&m->scratch);
    for (size_t i = 0; i < rule->column_count; i++) {
        const struct pst_cell *cell = pst_mapper_cell(m, row, rule->columns[i]);
        if (pst_cell_is_blank(cell))
            return put_null(m, null);
        pst_source_id_add(&m->scratch, cell->text, i == 0);
    }
    PST_TRY(pst_buf_check(&m->scratch, err));
    struct pst_id id = m->mapping->record_id(m->mapping->connection_id, pst_str_from(rule->target),
                                             pst_buf_str(&m->scratch));
    pst_str text = pst_id_str(&id);
    put_quoted(m, text.ptr, text.len);
    return filter_text(m, rule, text, err);
}

static pst_code template_value(struct pst_mapper *m, const struct pst_rule *rule,
                               struct pst_group group, bool *null, struct pst_err *err)
{
    uint32_t row = group.rows[0];
    bool any = false;
    for (size_t i = 0; i < rule->column_count; i++)
        any |= !pst_cell_is_blank(pst_mapper_cell(m, row, rule->columns[i]));
    if (!any)
        return put_null(m, null);
    pst_buf_reset(&m->scratch);
    for (size_t i = 0; i < rule->piece_count; i++) {
        int column = rule->pieces[i].column;
        pst_buf_add_str(&m->scratch, rule->pieces[i].text);
        if (column >= 0)
            pst_buf_add_str(&m->scratch, pst_mapper_cell(m, row, (unsigned)column)->text);
    }
    PST_TRY(pst_buf_check(&m->scratch, err));
    return put_text(m, rule, 0, pst_buf_str(&m->scratch), err);
}

/* ---- arrays -------------------------------------------------------------------------------- */

static bool same_group(const struct pst_mapper *m, const struct pst_rule *rule, uint32_t a,
                       uint32_t b)
{
    for (size_t i = 0; i < rule->column_count; i++) {
        if (!pst_str_eq(pst_mapper_cell(m, a, rule->columns[i])->text,
                        pst_mapper_cell(m, b, rule->columns[i])->text))
            return false;
    }
    return true;
}

static bool row_is_blank(const struct pst_mapper *m, const struct pst_rule *rule, uint32_t row)
{
    for (size_t i = 0; i < rule->column_count; i++) {
        if (!pst_cell_is_blank(pst_mapper_cell(m, row, rule->columns[i])))
            return false;
    }
    return true;
}

/* Whether b comes after a in the order keys have: shorter numbers first, texts by bytes. Numbers
 * and texts have no common order. */
static bool ascends(const struct pst_mapper *m, const struct pst_rule *rule, uint32_t a, uint32_t b)
{
    const struct pst_cell *x = pst_mapper_cell(m, a, rule->columns[0]);
    const struct pst_cell *y = pst_mapper_cell(m, b, rule->columns[0]);
    if ((x->kind == PST_CELL_NUMBER) != (y->kind == PST_CELL_NUMBER))
        return false;
    if (x->kind == PST_CELL_NUMBER && x->text.len != y->text.len)
        return x->text.len < y->text.len;
    return pst_str_cmp(x->text, y->text) < 0;
}

/* Rows of the group without blank ones, equal values side by side, in the order in which the
 * values first appear; in room of their own behind m->rows_used. Rows that come in key order
 * (all that adapters give) are only copied; others are gathered value by value. */
static struct pst_group regroup(struct pst_mapper *m, const struct pst_rule *rule,
                                struct pst_group group)
{
    uint32_t *rows = m->rows + m->rows_used;
    size_t count = 0;
    bool ascending = true;
    for (size_t i = 0; i < group.count; i++) {
        uint32_t row = group.rows[i];
        if (row_is_blank(m, rule, row))
            continue;
        size_t at = count;
        if (count > 0 && !same_group(m, rule, rows[count - 1], row)) {
            ascending = ascending && ascends(m, rule, rows[count - 1], row);
            while (!ascending && at > 0 && !same_group(m, rule, rows[at - 1], row))
                at--;
            at = at == 0 ? count : at;
        }
        memmove(rows + at + 1, rows + at, (count - at) * sizeof(*rows));
        rows[at] = row;
        count++;
    }
    return (struct pst_group){rows, count};
}

static pst_code group_value(struct pst_mapper *m, const struct pst_rule *rule,
                            struct pst_group group, bool *null, struct pst_err *err)
{
    (void)null;
    size_t mark = m->rows_used;
    struct pst_group rows = regroup(m, rule, group);
    m->rows_used += rows.count;
    pst_buf_add_char(&m->out, '[');
    for (size_t from = 0, to = 0; from < rows.count; from = to) {
        for (to = from + 1; to < rows.count && same_group(m, rule, rows.rows[from], rows.rows[to]);
             to++)
            ;
        struct pst_group one = {rows.rows + from, to - from};
        pst_buf_add_str(&m->out, from ? PST_STR(",{") : PST_STR("{"));
        for (size_t i = 0; i < rule->rule_count; i++) {
            const struct pst_rule *r = &rule->rules[i];
            bool blank = false;
            pst_buf_add_str(&m->out, r->lead);
            PST_TRY(pst_mapper_value(m, r, one, &blank, err));
            if (blank && r->required)
                return refuse(m, r, r->columns[0], "filled, and it must be", err);
        }
        pst_buf_add_char(&m->out, '}');
    }
    pst_buf_add_char(&m->out, ']');
    m->rows_used = mark;
    return PST_OK;
}

/* ---- by kind of rule ------------------------------------------------------------------------ */

static pst_code no_value(struct pst_mapper *m, const struct pst_rule *rule, struct pst_group group,
                         bool *null, struct pst_err *err)
{
    (void)group;
    (void)err;
    if (rule->type != PST_TYPE_ARRAY)
        return put_null(m, null);
    pst_buf_add_lit(&m->out, "[]");
    return PST_OK;
}

static pst_code const_value(struct pst_mapper *m, const struct pst_rule *rule,
                            struct pst_group group, bool *null, struct pst_err *err)
{
    (void)group;
    (void)null;
    return put_text(m, rule, 0, rule->constant, err);
}

static pst_code (*const evaluators[])(struct pst_mapper *m, const struct pst_rule *rule,
                                      struct pst_group group, bool *null, struct pst_err *err) = {
    [PST_RULE_NULL] = no_value,      [PST_RULE_COLUMN] = column_value,
    [PST_RULE_FIRST] = column_value, [PST_RULE_SUM] = sum_value,
    [PST_RULE_MIN] = extreme_value,  [PST_RULE_MAX] = extreme_value,
    [PST_RULE_REF] = ref_value,      [PST_RULE_TEMPLATE] = template_value,
    [PST_RULE_CONST] = const_value,  [PST_RULE_GROUP] = group_value,
};

pst_code pst_mapper_value(struct pst_mapper *m, const struct pst_rule *rule, struct pst_group group,
                          bool *null, struct pst_err *err)
{
    *null = false;
    return evaluators[rule->kind](m, rule, group, null, err);
}
