/* model/source.c: source rows in the form that is kept.
 *
 * Rows of one document repeat what stands in its head, and every row repeats the columns' names:
 * written once, a document is a fifth of its JSON, and what is compressed is short.
 *
 *   1 byte FORMAT, number of columns, per column its name (length, bytes), number of rows,
 *   then row after row, column after column, a cell:
 *       length << 3 | kind, bytes         or
 *       count << 3 | SAME                 that many cells are those of the row above
 *
 * Numbers are little-endian groups of 7 bits, the highest bit telling that another follows.
 */
#include "model/source.h"

#include "base/alloc.h"

enum { FORMAT = 1, KIND_BITS = 3, SAME = 7, NUMBER_BYTES = 10 };

/* ---- packing ---- */

static void put_number(struct pst_buf *out, uint64_t v)
{
    char bytes[NUMBER_BYTES];
    size_t len = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[len++] = (char)(v | 0x80);
    bytes[len++] = (char)v;
    pst_buf_add(out, bytes, len);
}

static void put_text(struct pst_buf *out, uint64_t head, pst_str text)
{
    if (head < 0x80 && pst_buf_reserve(out, text.len + 1)) {
        char *at = out->ptr + out->len;
        *at++ = (char)head;
        if (text.len)
            memcpy(at, text.ptr, text.len);
        at[text.len] = '\0';
        out->len += text.len + 1;
        return;
    }
    put_number(out, head);
    pst_buf_add_str(out, text);
}

static bool is_same(const struct pst_cell *a, const struct pst_cell *b)
{
    return a->kind == b->kind && pst_str_eq(a->text, b->text);
}

static void pack_row(struct pst_buf *out, const struct pst_cell *cells,
                     const struct pst_cell *above, size_t width)
{
    uint64_t same = 0;
    for (size_t i = 0; i < width; i++) {
        if (above && is_same(&cells[i], &above[i])) {
            same++;
            continue;
        }
        if (same)
            put_number(out, same << KIND_BITS | SAME);
        same = 0;
        put_text(out, (uint64_t)cells[i].text.len << KIND_BITS | (uint64_t)cells[i].kind,
                 cells[i].text);
    }
    if (same)
        put_number(out, same << KIND_BITS | SAME);
}

void pst_source_pack(struct pst_buf *out, const struct pst_columns *columns,
                     const struct pst_document *doc)
{
    const struct pst_cell *above = NULL;
    pst_buf_add_char(out, FORMAT);
    put_number(out, columns->count);
    for (size_t i = 0; i < columns->count; i++)
        put_text(out, columns->names[i].len, columns->names[i]);
    put_number(out, doc->row_count);
    for (uint32_t r = 0; r < doc->row_count; r++) {
        const struct pst_cell *cells = doc->cells + (size_t)r * columns->count;
        pack_row(out, cells, above, columns->count);
        above = cells;
    }
}

/* ---- unpacking ---- */

struct reader {
    pst_str left;
    bool is_bad;
};

static uint64_t take_number(struct reader *in)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && in->left.len > 0; shift += 7) {
        unsigned char c = (unsigned char)in->left.ptr[0];
        in->left = (pst_str){in->left.ptr + 1, in->left.len - 1};
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return v;
    }
    in->is_bad = true;
    return 0;
}

static pst_str take_text(struct reader *in, uint64_t len)
{
    if (len > in->left.len) {
        in->is_bad = true;
        return (pst_str){0};
    }
    pst_str text = {in->left.ptr, (size_t)len};
    in->left = (pst_str){in->left.ptr + len, in->left.len - (size_t)len};
    return text;
}

/* Over the cells of the row above, which stand where this row's go. */
static void take_row(struct reader *in, struct pst_cell *cells, size_t width, bool is_first)
{
    for (size_t i = 0; i < width && !in->is_bad;) {
        uint64_t head = take_number(in);
        uint64_t value = head >> KIND_BITS;
        unsigned kind = head & ((1U << KIND_BITS) - 1);
        if (kind == SAME) {
            in->is_bad = is_first || value == 0 || value > width - i;
            i += in->is_bad ? 0 : (size_t)value;
            continue;
        }
        if (kind > PST_CELL_BOOL) {
            in->is_bad = true;
            return;
        }
        cells[i++] = (struct pst_cell){take_text(in, value), (enum pst_cell_kind)kind};
    }
}

static void take_rows(struct reader *in, struct pst_columns columns, struct pst_cell *cells,
                      struct pst_buf *out)
{
    uint64_t rows = take_number(in);
    pst_buf_add_char(out, '[');
    for (uint64_t r = 0; r < rows && !in->is_bad && out->fail == PST_OK; r++) {
        take_row(in, cells, columns.count, r == 0);
        if (r)
            pst_buf_add_char(out, ',');
        pst_source_put_row(out, &columns, cells);
    }
    pst_buf_add_char(out, ']');
    in->is_bad = in->is_bad || (out->fail == PST_OK && in->left.len > 0);
}

static void free_text(pst_str **names)
{
    pst_free(*names);
}

static void free_cells(struct pst_cell **cells)
{
    pst_free(*cells);
}

pst_code pst_source_unpack(struct pst_buf *out, pst_str packed, struct pst_err *err)
{
    __attribute__((cleanup(free_text))) pst_str *names = NULL;
    __attribute__((cleanup(free_cells))) struct pst_cell *cells = NULL;
    struct reader in = {packed, false};
    size_t begin = out->len;
    pst_str format = take_text(&in, 1);
    uint64_t count = take_number(&in);
    if (in.is_bad || format.ptr[0] != FORMAT || count == 0 || count > packed.len)
        return PST_FAIL(err, PST_E_CORRUPT, "a kept source row has no known form");
    names = pst_calloc((size_t)count, sizeof(*names));
    cells = pst_calloc((size_t)count, sizeof(*cells));
    if (!names || !cells)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory to read kept source rows");
    for (size_t i = 0; i < count; i++)
        names[i] = take_text(&in, take_number(&in));
    take_rows(&in, (struct pst_columns){names, (size_t)count}, cells, out);
    PST_TRY(pst_buf_check(out, err));
    if (in.is_bad) {
        out->len = begin;
        return PST_FAIL(err, PST_E_CORRUPT, "a kept source row is damaged");
    }
    return PST_OK;
}
