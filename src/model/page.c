/* model/page.c: sort keys, and source rows as JSON. */
#include "model/page.h"

#include "codec/json.h"
#include "model/source.h"

void pst_sort_key_add_text(struct pst_buf *key, pst_str part)
{
    pst_buf_add_str(key, part);
    pst_buf_add_char(key, '\0');
}

void pst_sort_key_add_i64(struct pst_buf *key, int64_t part)
{
    uint64_t biased = (uint64_t)part ^ (1ULL << 63);
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(biased >> (56 - 8 * i));
    pst_buf_add(key, bytes, sizeof(bytes));
}

static void put_cell(struct pst_buf *out, const struct pst_cell *cell)
{
    if (cell->kind == PST_CELL_TEXT)
        pst_json_quote(out, cell->text);
    else
        pst_buf_add_str(out, cell->kind == PST_CELL_NULL ? PST_STR("null") : cell->text);
}

void pst_source_put_row(struct pst_buf *out, const struct pst_columns *columns,
                        const struct pst_cell *cells)
{
    bool first = true;
    pst_buf_add_char(out, '{');
    for (size_t i = 0; i < columns->count; i++) {
        if (cells[i].kind == PST_CELL_ABSENT)
            continue;
        if (!first)
            pst_buf_add_char(out, ',');
        first = false;
        pst_json_quote(out, columns->names[i]);
        pst_buf_add_char(out, ':');
        put_cell(out, &cells[i]);
    }
    pst_buf_add_char(out, '}');
}

void pst_document_source_head(struct pst_buf *out, const struct pst_columns *columns,
                              const struct pst_document *doc, size_t max)
{
    static const pst_str CUT = PST_STR_INIT(",null]");
    const size_t begin = out->len;
    size_t kept = begin + 1; /* so much of it leaves room for the mark */
    bool is_short = true;
    pst_buf_add_char(out, '[');
    for (uint32_t r = 0; r < doc->row_count && is_short; r++) {
        if (out->len - begin <= max - CUT.len)
            kept = out->len;
        if (r)
            pst_buf_add_char(out, ',');
        pst_source_put_row(out, columns, doc->cells + (size_t)r * columns->count);
        is_short = out->len - begin < max;
    }
    if (is_short) {
        pst_buf_add_char(out, ']');
        return;
    }
    out->len = kept;
    pst_buf_add_str(out, pst_str_sub(CUT, kept == begin + 1, CUT.len));
}

void pst_document_source_json(struct pst_buf *out, const struct pst_columns *columns,
                              const struct pst_document *doc)
{
    pst_document_source_head(out, columns, doc, SIZE_MAX);
}
