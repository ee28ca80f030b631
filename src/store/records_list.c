/* store/records_list.c: one page of a list of records.
 *
 * A walk follows one index. What the index can answer stands in WHERE: the connection, one
 * filter, and the position after the last page. Everything else is a condition on the row,
 * evaluated under a budget, so that no request walks a million rows: it stands in CASE, where the
 * planner cannot be led to another index by it, and keeps `data` of rows that do not match from
 * being read at all.
 *
 * A range (dates, updated_at) has an index of its own, but not the order of first appearance, in
 * which alone nothing is missed or repeated while records change. So where the range holds no more
 * rows than the budget, that index gives their places, which are put in order and looked up one by
 * one; a wider range is a condition like others, met often enough. A position is good for both.
 */
#include "store/records_list.h"

#include "store/rows.h"
#include "store/schema.h"

enum { SQL_BYTES = 16384, SCAN_BUDGET = 10000, VALUES_MAX = 64 };

struct value {
    enum { VALUE_INT, VALUE_TEXT } kind;
    int64_t num;
    pst_str text;
};

/* A statement under construction: text, and what is bound to ?1, ?2, ... */
struct statement {
    struct pst_buf sql;
    struct value values[VALUES_MAX];
    int count;
    int conditions; /* written to the CASE so far */
};

/* The index that is followed. */
struct walk {
    const char *column; /* NULL: first_seq alone */
    const struct pst_record_filter *equal; /* the filter that the index answers, or NULL */
    bool is_ordered; /* by updated_at, then first_seq; else by first_seq */
    bool is_descending;
    const struct pst_record_filter *from, *upto; /* ranges on the column */
    bool is_updated; /* column is updated_at: its range are two members of the query */
    bool is_narrow; /* the column's index gives the places of the range */
};

/* ---- choosing ---- */

/* Equality on many values first: a reference or a number says more than a status. */
static int rank_of(const struct pst_record_filter *f)
{
    if (f->match != PST_MATCH_EQUAL || f->value.kind == PST_FILTER_NULL)
        return -1;
    switch (f->filter->field->type) {
    case PST_TYPE_BOOLEAN:
        return 0;
    case PST_TYPE_ENUM:
        return 1;
    case PST_TYPE_DATE:
        return 2;
    case PST_TYPE_STRING:
    case PST_TYPE_TEXT:
    case PST_TYPE_INTEGER:
    case PST_TYPE_DECIMAL:
    case PST_TYPE_DATETIME:
    case PST_TYPE_REFERENCE:
    case PST_TYPE_ARRAY:
        return 3;
    }
    return 0;
}

static const struct pst_record_filter *best_equal(const struct pst_record_query *q)
{
    const struct pst_record_filter *best = NULL;
    for (size_t i = 0; i < q->filter_count; i++)
        if (rank_of(&q->filters[i]) > (best ? rank_of(best) : -1))
            best = &q->filters[i];
    return best;
}

static void choose_range(const struct pst_record_query *q, struct walk *w)
{
    for (size_t i = 0; i < q->filter_count; i++) {
        const struct pst_record_filter *f = &q->filters[i];
        if (f->match == PST_MATCH_EQUAL || f->value.kind == PST_FILTER_NULL)
            continue;
        if (w->column && w->column != f->filter->column)
            continue;
        w->column = f->filter->column;
        *(f->match == PST_MATCH_AFTER ? &w->from : &w->upto) = f;
    }
}

/* has_index: that of the best equality is there (store/indexes.c); without it the walk is the plain
 * one, in the same order. */
static struct walk choose_walk(const struct pst_record_query *q, bool has_index)
{
    struct walk w = {0};
    const struct pst_record_filter *equal = q->sort == PST_SORT_FIRST_SEEN ? best_equal(q) : NULL;
    bool has_updated_range =
        !pst_wall_is_none(q->updated_after) || !pst_wall_is_none(q->updated_before);
    if (equal) {
        w.equal = has_index ? equal : NULL;
        w.column = has_index ? equal->filter->column : NULL;
        return w;
    }
    w.is_ordered = q->sort != PST_SORT_FIRST_SEEN;
    if (!w.is_ordered)
        choose_range(q, &w);
    if (w.is_ordered || (!w.column && has_updated_range)) {
        w.column = "updated_at";
        w.is_updated = true;
        w.is_descending = q->sort == PST_SORT_UPDATED_DESC;
    }
    return w;
}

static pst_code see_index(struct pst_db_conn *conn, const struct pst_record_query *q, bool *out,
                          struct pst_err *err)
{
    const struct pst_record_filter *equal = best_equal(q);
    if (!equal || q->sort != PST_SORT_FIRST_SEEN || !pst_tables_may_defer(equal->filter))
        return PST_OK;
    return pst_tables_has_index(conn, q->entity, equal->filter, out, err);
}

/* ---- composing ---- */

static void add_value(struct statement *s, struct value v)
{
    if (s->count == VALUES_MAX) { /* the query's arrays are smaller than this */
        s->sql.fail = PST_E_INTERNAL;
        return;
    }
    s->values[s->count++] = v;
    pst_buf_add_char(&s->sql, '?');
    pst_buf_add_i64(&s->sql, s->count);
}

/* Text made once per page: printf would cost as much as a record. */
static void add_texts(struct statement *s, const char *a, const char *b, const char *c)
{
    pst_buf_add_str(&s->sql, pst_str_from(a));
    pst_buf_add_str(&s->sql, pst_str_from(b));
    pst_buf_add_str(&s->sql, pst_str_from(c));
}

static void add_int(struct statement *s, int64_t v)
{
    add_value(s, (struct value){.kind = VALUE_INT, .num = v});
}

static void add_filter_value(struct statement *s, const struct pst_filter_value *v)
{
    if (v->kind == PST_FILTER_TEXT)
        add_value(s, (struct value){.kind = VALUE_TEXT, .text = v->text});
    else
        add_int(s, v->num);
}

static void begin_condition(struct statement *s)
{
    pst_buf_add_str(&s->sql, s->conditions++ ? PST_STR(" AND ") : PST_STR("CASE WHEN "));
}

static void add_time_condition(struct statement *s, const char *column, const char *op, pst_wall t)
{
    if (pst_wall_is_none(t))
        return;
    begin_condition(s);
    add_texts(s, column, op, " ");
    add_int(s, t.us);
}

static void add_filter_condition(struct statement *s, const struct pst_record_filter *f)
{
    static const char *const operators[] = {
        [PST_MATCH_EQUAL] = " = ", [PST_MATCH_AFTER] = " >= ", [PST_MATCH_BEFORE] = " < "};
    begin_condition(s);
    if (f->value.kind == PST_FILTER_NULL) {
        add_texts(s, f->filter->column, " IS NULL", "");
        return;
    }
    add_texts(s, f->filter->column, operators[f->match], "");
    add_filter_value(s, &f->value);
}

/* `CASE WHEN <all that the index does not answer> THEN <column> END`, or just the column. */
static void add_conditional(struct statement *s, const struct pst_record_query *q,
                            const struct walk *w, const char *column)
{
    s->conditions = 0;
    if (q->deleted != PST_DELETED_INCLUDE) {
        begin_condition(s);
        pst_buf_add_str(&s->sql, q->deleted == PST_DELETED_EXCLUDE
                                     ? PST_STR("deleted_at IS NULL")
                                     : PST_STR("deleted_at IS NOT NULL"));
    }
    for (size_t i = 0; i < q->filter_count; i++) {
        const struct pst_record_filter *f = &q->filters[i];
        if (f != w->equal)
            add_filter_condition(s, f);
    }
    if (!w->is_ordered) {
        add_time_condition(s, "updated_at", " >=", q->updated_after);
        add_time_condition(s, "updated_at", " <", q->updated_before);
    }
    add_time_condition(s, "created_at", " >=", q->created_after);
    add_time_condition(s, "created_at", " <", q->created_before);
    add_time_condition(s, "synced_at", " >=", q->synced_after);
    add_time_condition(s, "synced_at", " <", q->synced_before);
    if (s->conditions)
        add_texts(s, " THEN ", column, " END");
    else
        pst_buf_add_str(&s->sql, pst_str_from(column));
}

static void add_bound(struct statement *s, const char *column, const char *op,
                      const struct pst_filter_value *v)
{
    if (v->kind == PST_FILTER_NULL)
        return;
    add_texts(s, " AND ", column, op);
    add_filter_value(s, v);
}

static void find_bounds(const struct pst_record_query *q, const struct walk *w,
                        struct pst_filter_value *lower, struct pst_filter_value *upper)
{
    *lower = *upper = (struct pst_filter_value){.kind = PST_FILTER_NULL};
    if (w->is_updated && !pst_wall_is_none(q->updated_after))
        *lower = (struct pst_filter_value){.kind = PST_FILTER_INT, .num = q->updated_after.us};
    if (w->is_updated && !pst_wall_is_none(q->updated_before))
        *upper = (struct pst_filter_value){.kind = PST_FILTER_INT, .num = q->updated_before.us};
    if (w->from)
        *lower = w->from->value;
    if (w->upto)
        *upper = w->upto->value;
}

/* The bounds of an ordered walk. Behind a position the bound on its side says nothing new, and
 * would only compete with it for the index. */
static void add_order(struct statement *s, const struct pst_record_query *q, const struct walk *w)
{
    bool is_first = q->after.first_seq == 0;
    struct pst_filter_value lower;
    struct pst_filter_value upper;
    find_bounds(q, w, &lower, &upper);
    if (!is_first) {
        add_texts(s, " AND (updated_at, first_seq)", w->is_descending ? " < (" : " > (", "");
        add_int(s, q->after.num);
        pst_buf_add_lit(&s->sql, ", ");
        add_int(s, q->after.first_seq);
        pst_buf_add_char(&s->sql, ')');
    }
    if (is_first || w->is_descending)
        add_bound(s, w->column, " >= ", &lower);
    if (is_first || !w->is_descending)
        add_bound(s, w->column, " < ", &upper);
    add_texts(s, " ORDER BY updated_at", w->is_descending ? " DESC, first_seq DESC" : ", first_seq",
              "");
}

/* What an index alone answers of a range: `what` of its rows. */
static void compose_range(struct statement *s, const struct pst_record_query *q,
                          const struct walk *w, const char *what)
{
    struct pst_filter_value lower;
    struct pst_filter_value upper;
    find_bounds(q, w, &lower, &upper);
    add_texts(s, "SELECT ", what, " FROM ");
    add_texts(s, q->entity->table, " WHERE conn = ", "");
    add_int(s, q->connection_pk);
    add_bound(s, w->column, " >= ", &lower);
    add_bound(s, w->column, " < ", &upper);
}

/* The pluses keep the planner from the index of first_seq, along which it need not sort but has to
 * look at every record. */
static void compose_places(struct statement *s, const struct pst_record_query *q,
                           const struct walk *w)
{
    compose_range(s, q, w, "first_seq");
    pst_buf_add_lit(&s->sql, " AND +first_seq > ");
    add_int(s, q->after.first_seq);
    pst_buf_add_lit(&s->sql, " ORDER BY +first_seq");
}

/* Whether it is more than the budget. */
static void compose_width(struct statement *s, const struct pst_record_query *q,
                          const struct walk *w)
{
    pst_buf_add_lit(&s->sql, "SELECT count(*) FROM (");
    compose_range(s, q, w, "1");
    pst_buf_add_lit(&s->sql, " LIMIT ");
    pst_buf_add_i64(&s->sql, SCAN_BUDGET + 1);
    pst_buf_add_char(&s->sql, ')');
}

/* What a list selects. Every column of every row costs, so only what is going to be read. */
enum {
    FIRST_SEQ,
    ORDER,
    SEQ,
    CREATED_AT,
    UPDATED_AT,
    SYNCED_AT,
    DELETED_AT,
    ID,
    SOURCE_ID,
    DATA,
    DICT,
    SOURCE
};

static void compose(struct statement *s, const struct pst_record_query *q, const struct walk *w)
{
    pst_buf_add_lit(&s->sql, "SELECT first_seq, ");
    pst_buf_add_str(&s->sql, w->is_ordered ? PST_STR("updated_at") : PST_STR("0"));
    add_texts(s, ", seq, created_at, updated_at, synced_at, ",
              q->deleted == PST_DELETED_EXCLUDE ? "NULL" : "deleted_at", ", id, source_id, ");
    add_conditional(s, q, w, "data");
    if (q->with_source) {
        pst_buf_add_lit(&s->sql, ", dict, ");
        add_conditional(s, q, w, "source");
    }
    add_texts(s, " FROM ", q->entity->table, " WHERE conn = ");
    add_int(s, q->connection_pk);
    if (w->equal) {
        add_texts(s, " AND ", w->column, " = ");
        add_filter_value(s, &w->equal->value);
    }
    if (w->is_narrow) { /* bound anew for each place */
        pst_buf_add_lit(&s->sql, " AND first_seq = ");
        add_int(s, 0);
        return;
    }
    if (w->is_ordered) {
        add_order(s, q, w);
    } else {
        pst_buf_add_lit(&s->sql, " AND first_seq > ");
        add_int(s, q->after.first_seq);
        pst_buf_add_lit(&s->sql, " ORDER BY first_seq");
    }
    pst_buf_add_lit(&s->sql, " LIMIT ");
    pst_buf_add_i64(&s->sql, SCAN_BUDGET + 1);
}

void pst_records_list_sql(struct pst_buf *out, const struct pst_record_query *query)
{
    struct walk w = choose_walk(query, true);
    struct statement s = {.count = 0};
    pst_buf_init(&s.sql, SQL_BYTES);
    if (w.column && !w.equal && !w.is_ordered)
        compose_places(&s, query, &w);
    else
        compose(&s, query, &w);
    pst_buf_add_str(out, pst_buf_str(&s.sql));
    pst_buf_fini(&s.sql);
}

/* ---- walking ---- */

static void read_position(struct pst_stmt *st, struct pst_record_position *out)
{
    *out = (struct pst_record_position){.first_seq = pst_stmt_i64(st, FIRST_SEQ),
                                        .num = pst_stmt_i64(st, ORDER)};
}

static bool read_row(struct pst_stmt *st, const struct pst_record_query *q,
                     struct pst_record_row *out)
{
    pst_str data = pst_stmt_str(st, DATA);
    if (data.len == 0)
        return false; /* NULL: a condition does not hold; a record has at least its braces */
    *out = (struct pst_record_row){
        .first_seq = pst_stmt_i64(st, FIRST_SEQ),
        .seq = pst_stmt_i64(st, SEQ),
        .created_at = {pst_stmt_i64(st, CREATED_AT)}, /* these three are never NULL */
        .updated_at = {pst_stmt_i64(st, UPDATED_AT)},
        .synced_at = {pst_stmt_i64(st, SYNCED_AT)},
        .deleted_at =
            q->deleted == PST_DELETED_EXCLUDE ? PST_WALL_NONE : pst_stmt_wall(st, DELETED_AT),
        .source_id = pst_stmt_str(st, SOURCE_ID),
        .data = data,
    };
    pst_str id = pst_stmt_blob(st, ID);
    if (id.len == PST_ID_RAW)
        memcpy(out->id, id.ptr, PST_ID_RAW);
    if (q->with_source) {
        out->dict = pst_stmt_i64(st, DICT);
        out->source = pst_stmt_blob(st, SOURCE);
    }
    return true;
}

static pst_code open_statement(struct pst_db_conn *conn, struct statement *s, struct pst_stmt **out,
                               struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    pst_code code = pst_buf_check(&s->sql, err);
    if (code == PST_OK)
        code = pst_db_stmt(conn, pst_buf_str(&s->sql), &st, err);
    pst_buf_fini(&s->sql);
    PST_TRY(code);
    for (int i = 0; i < s->count; i++) {
        if (s->values[i].kind == VALUE_INT)
            pst_stmt_bind_i64(st, i + 1, s->values[i].num);
        else
            pst_stmt_bind_str(st, i + 1, s->values[i].text);
    }
    *out = PST_TAKE(st);
    return PST_OK;
}

static pst_code see_width(struct pst_db_conn *conn, const struct pst_record_query *q,
                          struct walk *w, struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    struct statement s = {.count = 0};
    bool has_row = false;
    if (!w->column || w->equal || w->is_ordered)
        return PST_OK;
    pst_buf_init(&s.sql, SQL_BYTES);
    compose_width(&s, q, w);
    PST_TRY(open_statement(conn, &s, &st, err));
    PST_TRY(pst_stmt_step(st, &has_row, err));
    w->is_narrow = has_row && pst_stmt_i64(st, 0) <= SCAN_BUDGET;
    return PST_OK;
}

/* The rows in the order of the list. The statement of places stays open, so that both see one
 * state of the store. */
struct rows {
    struct pst_stmt *places; /* NULL: `st` gives row after row */
    struct pst_stmt *st;
    int place_index; /* of the place among what is bound to st */
};

static void close_rows(struct rows *r)
{
    pst_stmt_done(r->st);
    pst_stmt_done(r->places);
}

static pst_code open_rows(struct pst_db_conn *conn, const struct pst_record_query *q,
                          const struct walk *w, struct rows *out, struct pst_err *err)
{
    struct statement places = {.count = 0};
    struct statement s = {.count = 0};
    if (w->is_narrow) {
        pst_buf_init(&places.sql, SQL_BYTES);
        compose_places(&places, q, w);
        PST_TRY(open_statement(conn, &places, &out->places, err));
    }
    pst_buf_init(&s.sql, SQL_BYTES);
    compose(&s, q, w);
    out->place_index = s.count;
    return open_statement(conn, &s, &out->st, err);
}

static pst_code next_row(struct rows *r, bool *has_row, struct pst_err *err)
{
    if (!r->places)
        return pst_stmt_step(r->st, has_row, err);
    PST_TRY(pst_stmt_step(r->places, has_row, err));
    if (!*has_row)
        return PST_OK;
    pst_stmt_reset(r->st);
    pst_stmt_bind_i64(r->st, r->place_index, pst_stmt_i64(r->places, 0));
    return pst_stmt_step(r->st, has_row, err);
}

/* *is_over: the row does not go onto this page any more. */
static pst_code give_row(const struct pst_record_row *row,
                         pst_code (*row_fn)(void *self, const struct pst_record_row *row,
                                            struct pst_err *err),
                         void *self, size_t given, bool *is_over, struct pst_err *err)
{
    struct pst_err refusal;
    pst_code code = row_fn(self, row, &refusal);
    *is_over = code == PST_E_LIMIT && given > 0;
    if (code == PST_OK || *is_over)
        return PST_OK;
    *err = refusal;
    return code;
}

pst_code pst_records_list(struct pst_db_conn *conn, const struct pst_record_query *q,
                          pst_code (*row_fn)(void *self, const struct pst_record_row *row,
                                             struct pst_err *err),
                          void *self, struct pst_record_position *last, bool *more,
                          struct pst_err *err)
{
    __attribute__((cleanup(close_rows))) struct rows rows = {.places = NULL};
    size_t given = 0;
    bool has_row = false;
    bool has_index = true;
    PST_TRY(pst_row_limit(q->limit, err));
    PST_TRY(see_index(conn, q, &has_index, err));
    struct walk w = choose_walk(q, has_index);
    PST_TRY(see_width(conn, q, &w, err));
    PST_TRY(open_rows(conn, q, &w, &rows, err));
    *last = q->after;
    *more = false;
    PST_TRY(next_row(&rows, &has_row, err));
    for (int scanned = 0; has_row; scanned++) {
        struct pst_record_row row;
        bool is_match = read_row(rows.st, q, &row);
        bool is_over = scanned == SCAN_BUDGET || (is_match && given == q->limit);
        if (is_match && !is_over)
            PST_TRY(give_row(&row, row_fn, self, given, &is_over, err));
        if (is_over) {
            *more = true;
            return PST_OK;
        }
        given += is_match;
        read_position(rows.st, last);
        PST_TRY(next_row(&rows, &has_row, err));
    }
    return PST_OK;
}
