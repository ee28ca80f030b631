/* connectors/peoplesoft/table.c: grouping by key, the order of keys, stamps and faults. */
#include "connectors/peoplesoft/table.h"

#include "base/decimal.h"
#include "base/utf8.h"
#include "codec/percent.h"
#include "codec/timestamp.h"

enum { KEY_BYTES = 4096 };

pst_code pst_ps_places_find(struct pst_ps_places *out, const struct pst_ps_rows *rows,
                            struct pst_err *err)
{
    const struct pst_ps_stream *s = rows->stream;
    PST_AUTO(buf) struct pst_buf missing = {0};
    pst_buf_init(&missing, 1024);
    for (size_t i = 0; i <= s->key_count; i++) {
        bool is_stamp = i == s->key_count;
        pst_str name = is_stamp ? s->stamp : s->key[i].column;
        int column = name.len ? pst_ps_rows_column(rows, name) : -1;
        if (column < 0 && !is_stamp)
            pst_buf_addf(&missing, "%s'%.*s'", missing.len ? ", " : "",
                         PST_STR_ARG(pst_ps_stream_site_name(s, name)));
        if (is_stamp)
            out->stamp = column;
        else
            out->key[i] = column;
    }
    if (missing.len)
        return PST_FAIL(err, PST_E_SYSTEM, "query '%.*s' has no column %.*s", PST_STR_ARG(s->query),
                        PST_STR_ARG(pst_buf_str(&missing)));
    return PST_OK;
}

static bool is_blank(pst_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != ' ')
            return false;
    return true;
}

static const struct pst_cell *cell_at(const struct pst_ps_rows *rows, size_t row, int column)
{
    return &rows->cells[row * rows->stride + (size_t)column];
}

/* A key part as text: blanks are how PeopleSoft stores "nothing". */
static pst_str key_text(const struct pst_ps_rows *rows, size_t row, int column)
{
    pst_str text = cell_at(rows, row, column)->text;
    if (is_blank(text))
        return (pst_str){0};
    return text;
}

static bool read_whole_number(pst_str text, int64_t *out)
{
    struct pst_decimal d;
    struct pst_err ignored;
    text = pst_str_trim(text);
    if (text.len == 0) {
        *out = 0;
        return true;
    }
    if (pst_parse_i64(out, text, INT64_MIN, INT64_MAX))
        return true;
    if (pst_decimal_parse(&d, text, &ignored) != PST_OK)
        return false;
    for (; d.scale > 0 && d.coefficient % 10 == 0; d.scale--)
        d.coefficient /= 10;
    if (d.scale != 0 || d.coefficient > INT64_MAX || d.coefficient < INT64_MIN)
        return false;
    *out = (int64_t)d.coefficient;
    return true;
}

pst_code pst_ps_row_key(const struct pst_ps_rows *rows, const struct pst_ps_places *places,
                        size_t row, struct pst_ps_key *out, struct pst_err *err)
{
    const struct pst_ps_stream *s = rows->stream;
    for (size_t i = 0; i < s->key_count; i++) {
        out->text[i] = key_text(rows, row, places->key[i]);
        out->number[i] = 0;
        if (s->key[i].is_number && !read_whole_number(out->text[i], &out->number[i]))
            return PST_FAIL(err, PST_E_SYSTEM,
                            "column '%.*s' of query '%.*s' is part of the key and holds something "
                            "that is no whole number",
                            PST_STR_ARG(s->key[i].column), PST_STR_ARG(s->query));
    }
    return PST_OK;
}

bool pst_ps_is_same_document(const struct pst_ps_rows *rows, const struct pst_ps_places *places,
                             size_t a, size_t b)
{
    /* From the last part on: that is where neighbours differ. */
    for (size_t i = rows->stream->document_parts; i-- > 0;)
        if (!pst_str_eq(key_text(rows, a, places->key[i]), key_text(rows, b, places->key[i])))
            return false;
    return true;
}

size_t pst_ps_count_documents(const struct pst_ps_rows *rows, const struct pst_ps_places *places,
                              size_t *last_rows)
{
    size_t count = 0;
    *last_rows = 0;
    for (size_t i = 0; i < rows->row_count; i++) {
        if (i == 0 || !pst_ps_is_same_document(rows, places, i - 1, i)) {
            count++;
            *last_rows = 0;
        }
        ++*last_rows;
    }
    return count;
}

struct builder {
    struct pst_ps_rows *rows;
    const struct pst_ps_places *places;
    const struct pst_tz *tz;
    struct pst_tz_memo memo;
    struct pst_buf id, sort;
    struct pst_document *documents;
    size_t count;
    uint32_t rows_of_last; /* of the last document, also those that are too many */
    struct pst_ps_key last; /* of the row before */
};

static pst_code fail_order(const struct builder *b, struct pst_err *err)
{
    return PST_FAIL(err, b->rows->disorder,
                    "the rows of query '%.*s' do not come in the order of its key: the query must "
                    "be ordered by all key columns, ascending, with a binary sort",
                    PST_STR_ARG(b->rows->stream->query));
}

static void set_fault(struct pst_document *doc, pst_str fault)
{
    if (doc->fault.len == 0)
        doc->fault = fault;
}

static void read_stamp(struct builder *b, struct pst_document *doc, size_t row)
{
    struct pst_stamp stamp;
    doc->stamp = PST_WALL_NONE;
    if (b->places->stamp < 0)
        return;
    pst_str text = cell_at(b->rows, row, b->places->stamp)->text;
    if (is_blank(text))
        return;
    if (pst_stamp_parse(&stamp, text))
        doc->stamp = pst_stamp_to_wall(&stamp, b->tz, &b->memo);
    else
        set_fault(doc, PST_STR("its change stamp is no date or time"));
}

/* A key part for the source_id of a document that is rejected anyway: what cannot be stored
 * becomes '?'. */
static void add_unclean(struct pst_buf *id, pst_str text, bool is_first)
{
    struct pst_buf clean;
    pst_buf_init(&clean, KEY_BYTES);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        pst_buf_add_char(&clean, c < ' ' || c > '~' ? '?' : (char)c);
    }
    pst_source_id_add(id, pst_buf_str(&clean), is_first);
    pst_buf_fini(&clean);
}

static bool is_clean(pst_str text)
{
    return pst_utf8_valid(text, NULL) && !(text.len && memchr(text.ptr, '\0', text.len));
}

static void add_key(struct builder *b, const struct pst_ps_key *key)
{
    const struct pst_ps_stream *s = b->rows->stream;
    char digits[24];
    pst_buf_reset(&b->id);
    pst_buf_reset(&b->sort);
    for (size_t i = 0; i < s->document_parts; i++) {
        pst_str text = key->text[i];
        if (s->key[i].is_number) {
            int n = snprintf(digits, sizeof(digits), "%lld", (long long)key->number[i]);
            text = (pst_str){digits, (size_t)n};
            pst_sort_key_add_i64(&b->sort, key->number[i]);
        } else {
            pst_sort_key_add_text(&b->sort, text);
        }
        if (!b->rows->faults || is_clean(text))
            pst_source_id_add(&b->id, text, i == 0);
        else
            add_unclean(&b->id, text, i == 0);
    }
}

static pst_code begin_document(struct builder *b, const struct pst_ps_key *key, size_t row,
                               struct pst_err *err)
{
    struct pst_document *doc = &b->documents[b->count];
    struct pst_arena *arena = b->rows->arena;
    add_key(b, key);
    PST_TRY(pst_buf_check(&b->id, err));
    PST_TRY(pst_buf_check(&b->sort, err));
    if (b->count > 0 && pst_str_cmp(doc[-1].sort_key, pst_buf_str(&b->sort)) >= 0)
        return fail_order(b, err);
    PST_TRY(pst_arena_dup(arena, &doc->source_id, pst_buf_str(&b->id), err));
    PST_TRY(pst_arena_dup(arena, &doc->sort_key, pst_buf_str(&b->sort), err));
    doc->cells = b->rows->cells + row * b->rows->stride;
    doc->row_count = 1;
    read_stamp(b, doc, row);
    b->count++;
    return PST_OK;
}

static pst_code add_row(struct builder *b, size_t row, struct pst_err *err)
{
    const struct pst_ps_stream *s = b->rows->stream;
    struct pst_ps_key key = {0};
    PST_TRY(pst_ps_row_key(b->rows, b->places, row, &key, err));
    bool is_next = b->count == 0 || !pst_ps_is_same_document(b->rows, b->places, row - 1, row);
    if (is_next) {
        PST_TRY(begin_document(b, &key, row, err));
        b->rows_of_last = 1;
    } else {
        struct pst_document *doc = &b->documents[b->count - 1];
        int order = pst_ps_key_cmp(s, &b->last, &key, s->key_count);
        if (order > 0)
            return fail_order(b, err);
        if (order == 0)
            set_fault(doc, PST_STR("two of its rows have the same key"));
        doc->row_count = ++b->rows_of_last;
        if (b->rows_of_last > PST_PS_DOCUMENT_ROWS) {
            set_fault(doc, PST_STR(PST_PS_OVERSIZED));
            doc->row_count = 1;
        }
    }
    if (b->rows->faults)
        set_fault(&b->documents[b->count - 1], b->rows->faults[row]);
    b->last = key;
    return PST_OK;
}

pst_code pst_ps_documents_build(struct pst_ps_rows *rows, const struct pst_ps_places *places,
                                size_t row_count, const struct pst_tz *tz, struct pst_page *out,
                                struct pst_err *err)
{
    struct builder b = {.rows = rows, .places = places, .tz = tz};
    size_t last_rows = 0;
    pst_ps_rows_pack(rows);
    rows->row_count = row_count;
    size_t count = pst_ps_count_documents(rows, places, &last_rows);
    PST_TRY(pst_arena_array(rows->arena, &b.documents, count, sizeof(*b.documents), err));
    pst_buf_init(&b.id, KEY_BYTES);
    pst_buf_init(&b.sort, KEY_BYTES);
    pst_code code = PST_OK;
    for (size_t i = 0; i < row_count && code == PST_OK; i++)
        code = add_row(&b, i, err);
    pst_buf_fini(&b.id);
    pst_buf_fini(&b.sort);
    PST_TRY(code);
    out->columns = (struct pst_columns){rows->names, rows->column_count};
    out->documents = b.documents;
    out->count = b.count;
    out->rows = row_count;
    if (b.count > 0)
        out->next_key = b.documents[b.count - 1].source_id;
    if (b.count > 0 && places->stamp < 0)
        out->unnamed = rows->stream->stamp;
    return PST_OK;
}
