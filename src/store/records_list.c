/* store/records_list.c: one page of a list of records.
 *
 * A walk follows one index. What the index can answer stands in WHERE: the connection, one
 * filter (or a range), and the position after the last page. Everything else is a condition on
 * the row, evaluated under a budget, so that no request walks a million rows: it stands in
 * CASE, where the planner cannot be led to another index by it, and keeps `data` of rows that
 * do not match from being read at all.
 */
#include "store/records_list.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

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
    bool is_ordered; /* by column, then first_seq; else by first_seq */
    bool is_descending;
    bool is_text;
    const struct pst_record_filter *from, *upto; /* ranges on the column that it answers */
    bool is_updated; /* column is updated_at */
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
        w->is_ordered = true;
        w->is_text = f->value.kind == PST_FILTER_TEXT;
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
    if (q->sort == PST_SORT_FIRST_SEEN)
        choose_range(q, &w);
    if (q->sort != PST_SORT_FIRST_SEEN || (!w.column && has_updated_range)) {
        w.column = "updated_at";
        w.is_ordered = w.is_updated = true;
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
        if (f != w->equal && f != w->from && f != w->upto)
            add_filter_condition(s, f);
    }
    if (!w->is_updated) {
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

static void add_position(struct statement *s, const struct pst_record_query *q,
                         const struct walk *w)
{
    add_texts(s, " AND (", w->column, w->is_descending ? ", first_seq) < (" : ", first_seq) > (");
    if (w->is_text)
        add_value(s, (struct value){.kind = VALUE_TEXT, .text = pst_str_from(q->after.date)});
    else
        add_int(s, q->after.num);
    pst_buf_add_lit(&s->sql, ", ");
    add_int(s, q->after.first_seq);
    pst_buf_add_char(&s->sql, ')');
}

/* The bounds of an ordered walk. Behind a position the bound on its side says nothing new, and
 * would only compete with it for the index. */
static void add_bounds(struct statement *s, const struct pst_record_query *q, const struct walk *w)
{
    bool is_first = q->after.first_seq == 0;
    struct pst_filter_value lower = {.kind = PST_FILTER_NULL};
    struct pst_filter_value upper = {.kind = PST_FILTER_NULL};
    if (w->is_updated && !pst_wall_is_none(q->updated_after))
        lower = (struct pst_filter_value){.kind = PST_FILTER_INT, .num = q->updated_after.us};
    if (w->is_updated && !pst_wall_is_none(q->updated_before))
        upper = (struct pst_filter_value){.kind = PST_FILTER_INT, .num = q->updated_before.us};
    if (w->from)
        lower = w->from->value;
    if (w->upto)
        upper = w->upto->value;
    if (!is_first)
        add_position(s, q, w);
    if (!is_first && !w->is_updated) /* the index is partial; a pair does not imply it */
        add_texts(s, " AND ", w->column, " IS NOT NULL");
    if (lower.kind != PST_FILTER_NULL && (is_first || w->is_descending)) {
        add_texts(s, " AND ", w->column, " >= ");
        add_filter_value(s, &lower);
    }
    if (upper.kind != PST_FILTER_NULL && (is_first || !w->is_descending)) {
        add_texts(s, " AND ", w->column, " < ");
        add_filter_value(s, &upper);
    }
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
    pst_buf_add_str(&s->sql, pst_str_from(w->is_ordered ? w->column : "0"));
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
    if (w->is_ordered) {
        add_bounds(s, q, w);
        add_texts(s, " ORDER BY ", w->column,
                  w->is_descending ? " DESC, first_seq DESC" : ", first_seq");
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
    compose(&s, query, &w);
    pst_buf_add_str(out, pst_buf_str(&s.sql));
    pst_buf_fini(&s.sql);
}

/* ---- walking ---- */

static void read_position(struct pst_stmt *st, const struct walk *w,
                          struct pst_record_position *out)
{
    *out = (struct pst_record_position){.first_seq = pst_stmt_i64(st, FIRST_SEQ)};
    if (!w->is_ordered)
        return;
    if (w->is_text)
        (void)pst_str_copy(out->date, sizeof(out->date), pst_stmt_str(st, ORDER));
    else
        out->num = pst_stmt_i64(st, ORDER);
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

static pst_code open_list(struct pst_db_conn *conn, const struct pst_record_query *q,
                          const struct walk *w, struct pst_stmt **out, struct pst_err *err)
{
    struct statement s = {.count = 0};
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    pst_buf_init(&s.sql, SQL_BYTES);
    compose(&s, q, w);
    pst_code code = pst_buf_check(&s.sql, err);
    if (code == PST_OK)
        code = pst_db_stmt(conn, pst_buf_str(&s.sql), &st, err);
    pst_buf_fini(&s.sql);
    PST_TRY(code);
    for (int i = 0; i < s.count; i++) {
        if (s.values[i].kind == VALUE_INT)
            pst_stmt_bind_i64(st, i + 1, s.values[i].num);
        else
            pst_stmt_bind_str(st, i + 1, s.values[i].text);
    }
    *out = PST_TAKE(st);
    return PST_OK;
}

pst_code pst_records_list(struct pst_db_conn *conn, const struct pst_record_query *q,
                          pst_code (*row_fn)(void *self, const struct pst_record_row *row,
                                             struct pst_err *err),
                          void *self, struct pst_record_position *last, bool *more,
                          struct pst_err *err)
{
    PST_AUTO(stmt) struct pst_stmt *st = NULL;
    size_t given = 0;
    bool has_row = false;
    bool has_index = true;
    PST_TRY(pst_row_limit(q->limit, err));
    PST_TRY(see_index(conn, q, &has_index, err));
    struct walk w = choose_walk(q, has_index);
    PST_TRY(open_list(conn, q, &w, &st, err));
    *last = q->after;
    *more = false;
    PST_TRY(pst_stmt_step(st, &has_row, err));
    for (int scanned = 0; has_row; scanned++) {
        struct pst_record_row row;
        bool is_match = read_row(st, q, &row);
        if (scanned == SCAN_BUDGET || (is_match && given == q->limit)) {
            *more = true;
            return PST_OK;
        }
        if (is_match) {
            struct pst_err refusal;
            pst_code code = row_fn(self, &row, &refusal);
            if (code == PST_E_LIMIT && given > 0) {
                *more = true;
                return PST_OK;
            }
            if (code != PST_OK)
                *err = refusal;
            PST_TRY(code);
            given++;
        }
        read_position(st, &w, last);
        PST_TRY(pst_stmt_step(st, &has_row, err));
    }
    return PST_OK;
}

/* ---- cursors ---- */

static void hash_bytes(XXH3_state_t *h, const void *bytes, size_t len)
{
    uint64_t n = len;
    (void)XXH3_64bits_update(h, &n, sizeof(n)); /* borders count too */
    if (len)
        (void)XXH3_64bits_update(h, bytes, len);
}

/* What a cursor is bound to: everything that decides which rows come in which order, and the
 * position itself, so that a damaged cursor is not another place in the list. */
static uint64_t fingerprint(const struct pst_record_query *q, const struct pst_record_position *p)
{
    XXH3_state_t h;
    const int64_t numbers[] = {
        q->connection_pk,     (int64_t)q->deleted,      (int64_t)q->sort,     q->updated_after.us,
        q->updated_before.us, q->created_after.us,      q->created_before.us, q->synced_after.us,
        q->synced_before.us,  (int64_t)q->filter_count,
    };
    const int64_t place[] = {p->first_seq, p->num};
    (void)XXH3_64bits_reset(&h);
    hash_bytes(&h, place, sizeof(place));
    hash_bytes(&h, p->date, strlen(p->date));
    hash_bytes(&h, q->entity->name, strlen(q->entity->name));
    hash_bytes(&h, numbers, sizeof(numbers));
    for (size_t i = 0; i < q->filter_count; i++) {
        const struct pst_record_filter *f = &q->filters[i];
        const int64_t parts[] = {(int64_t)f->match, (int64_t)f->value.kind,
                                 f->value.kind == PST_FILTER_INT ? f->value.num : 0};
        hash_bytes(&h, f->filter->column, strlen(f->filter->column));
        hash_bytes(&h, parts, sizeof(parts));
        if (f->value.kind == PST_FILTER_TEXT)
            hash_bytes(&h, f->value.text.ptr, f->value.text.len);
    }
    return XXH3_64bits_digest(&h);
}

void pst_record_cursor_format(char out[PST_RECORD_CURSOR], const struct pst_record_query *query,
                              const struct pst_record_position *position)
{
    int n = snprintf(out, PST_RECORD_CURSOR, "%016llx%016llx%016llx",
                     (unsigned long long)fingerprint(query, position),
                     (unsigned long long)position->first_seq, (unsigned long long)position->num);
    for (const char *c = position->date; *c && n > 0; c++, n += 2)
        (void)snprintf(out + n, (size_t)(PST_RECORD_CURSOR - n), "%02x", (unsigned char)*c);
}

static bool parse_hex(uint64_t *out, pst_str text)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *at = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
        if (!at)
            return false;
        *out = *out << 4 | (uint64_t)(at - digits);
    }
    return true;
}

pst_code pst_record_cursor_parse(struct pst_record_query *query, pst_str text, struct pst_err *err)
{
    struct pst_record_position p = {0};
    uint64_t parts[3] = {0};
    bool fine = text.len >= 48 && text.len % 2 == 0 && text.len < 48 + 2 * sizeof(p.date);
    for (size_t i = 0; fine && i < PST_COUNT(parts); i++)
        fine = parse_hex(&parts[i], pst_str_sub(text, i * 16, 16));
    for (size_t i = 48; fine && i < text.len; i += 2) {
        uint64_t byte = 0;
        fine = parse_hex(&byte, pst_str_sub(text, i, 2)) && byte != 0;
        p.date[(i - 48) / 2] = (char)byte;
    }
    p.first_seq = (int64_t)parts[1];
    p.num = (int64_t)parts[2];
    if (!fine || p.first_seq <= 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "cursor", "'cursor' is not one of ours");
    if (parts[0] != fingerprint(query, &p))
        return PST_FAIL_AT(err, PST_E_INVALID, "cursor",
                           "'cursor' is damaged, or belongs to a list with other filters or "
                           "another order");
    query->after = p;
    return PST_OK;
}
