/* model/page.h: one page of source rows, independent of the wire format.
 *
 * An adapter turns response bytes into a page: a table of cells (rows x columns), grouped into
 * documents (an order with its lines and schedules is one document). Mapping, hashing, the
 * kept source copy and custom fields all work on this form, so none of them knows JSON or XML.
 *
 * Ownership: everything points into the arena that was passed to fetch(); nothing is copied
 * on the way from the response to the mapping. Thread-safety: immutable once returned; may be
 * handed to another thread together with its arena.
 */
#ifndef PST_MODEL_PAGE_H
#define PST_MODEL_PAGE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

enum pst_cell_kind {
    PST_CELL_ABSENT, /* the row does not have this column */
    PST_CELL_NULL,
    PST_CELL_TEXT, /* text: unescaped, valid UTF-8, no NUL */
    PST_CELL_NUMBER, /* text: the number's digits exactly as the source wrote them */
    PST_CELL_BOOL, /* text: "true" or "false" */
};

struct pst_cell {
    pst_str text;
    enum pst_cell_kind kind;
};

/* Column names as the source wrote them, alias and all ("A.PO_ID"); transport columns such as
 * attr:rownumber are not among them. */
struct pst_columns {
    const pst_str *names;
    size_t count;
};

struct pst_document {
    pst_str source_id; /* key parts joined by '|', see product.md 1 */
    pst_str sort_key; /* bytes; memcmp order = the source's key order */
    pst_wall stamp; /* when the source last changed it; PST_WALL_NONE = unknown */
    const struct pst_cell *cells; /* row_count x columns.count, row after row */
    uint32_t row_count; /* at least 1 */
    pst_str fault; /* not "": why this document cannot be used (bad UTF-8 at
                      byte 812, two rows with one key, ...); it is rejected */
};

struct pst_page {
    struct pst_columns columns;
    pst_str unnamed; /* a column that the adapter itself reads and that no row names: it was taken
                        for blank, which it is if the source still has it; "" = none */
    const struct pst_document *documents; /* in key order, each whole */
    size_t count;
    pst_str next_key; /* printable token for pst_fetch.after_key; stored as the checkpoint in
                         the transaction that stores these documents. "" when count is 0 */
    bool end; /* nothing lies behind these documents (an empty page was seen) */
    uint64_t rows; /* source rows in the documents */
    uint64_t bytes; /* response bytes, decoded */
    int64_t wait_us; /* time spent waiting for the system */
};

/* Append one key part to a sort key. Text ends with a 0 byte (text has none inside), so that
 * ("A","9") sorts before ("AB","1"). Numbers (integers of up to 18 digits) are 8 bytes, biased
 * so that byte order is numeric order. */
void pst_sort_key_add_text(struct pst_buf *key, pst_str part);
void pst_sort_key_add_i64(struct pst_buf *key, int64_t part);

/* The document's rows as a JSON array of objects, absent cells left out, numbers as written:
 * the untouched source rows that `include=source` shows. */
void pst_document_source_json(struct pst_buf *out, const struct pst_columns *columns,
                              const struct pst_document *doc);

/* The first rows of that, whole, so that it takes at most `max` bytes (7 or more). Where rows are
 * left out, a null stands behind the others. */
void pst_document_source_head(struct pst_buf *out, const struct pst_columns *columns,
                              const struct pst_document *doc, size_t max);

/* The same rows in the form that is kept in the store (after compression): the columns' names
 * once, then per row only the cells that differ from the row above. Appends to out. */
void pst_source_pack(struct pst_buf *out, const struct pst_columns *columns,
                     const struct pst_document *doc);

/* Append what pst_source_pack made as the JSON of pst_document_source_json. Errors: CORRUPT,
 * LIMIT (out's maximum), NO_MEMORY. */
pst_code pst_source_unpack(struct pst_buf *out, pst_str packed, struct pst_err *err);

#endif
