/* connectors/peoplesoft/reader.h: response bytes to cells. Private to this module.
 *
 * Accepted are all the ways in which the service answers:
 *   - a byte order mark, any content type, `"queryname="` and `"queryname"`, other members
 *   - `rows` as a list, one object, "", null, or missing: the last three are no rows
 *   - column names with alias, without, or renamed at the site
 *   - numbers as numbers or as text, with every digit kept
 *   - JSON that is not quite JSON (repair.c): raw control characters, single surrogates, `.5`, NaN
 * A row that holds invalid UTF-8, a control character that JSON does not allow, NUL, a column
 * twice or a nested value has a fault; the others are not touched by it. An answer that is cut off
 * is UNREACHABLE (to be tried again); one with a status other than "success" is SYSTEM.
 */
#ifndef PST_CONNECTORS_PEOPLESOFT_READER_H
#define PST_CONNECTORS_PEOPLESOFT_READER_H

#include "connectors/peoplesoft/stream.h"

/* Rows of one or more answers to the same query, in the order in which they came. Everything
 * lies in the arena; cells point into the bodies. */
struct pst_ps_rows {
    struct pst_arena *arena;
    const struct pst_ps_stream *stream; /* whose names the columns get; NULL: as they are */
    pst_str *names; /* the pack's names */
    size_t column_count;
    struct pst_cell *cells; /* row_count x stride */
    size_t stride; /* at least column_count; packed by pst_ps_rows_pack */
    size_t row_count;
    size_t row_cap;
    pst_str *faults; /* per row; NULL while no row has one */
    pst_code disorder; /* what rows out of their order are reported as */
    /* private: names in the order in which the source writes them */
    struct pst_ps_seen {
        pst_str name; /* as the source wrote it */
        pst_str key; /* the same in its quotes; "" where that needs an escape */
        int column; /* -1: a transport column, dropped */
    } *seen;
    size_t seen_count;
    bool is_suspicious; /* the body at hand needs a look at every cell */
};

/* body must lie in rows->arena, writable, with PST_HTTP_PADDING zero bytes behind it; it is
 * changed and has to stay. Adds the answer's rows; *added says how many.
 * Errors: UNREACHABLE (cut off), SYSTEM (no answer of the service), LIMIT, NO_MEMORY. */
pst_code pst_ps_rows_read(struct pst_ps_rows *rows, pst_str body, size_t *added,
                          struct pst_err *err);

/* What pst_ps_rows_read is made of: the tolerant way, for any answer; */
pst_code pst_ps_rows_parse(struct pst_ps_rows *rows, pst_str body, struct pst_err *err);

/* and the quick way, for regular answers. *is_done false: this is none, no row was added and body
 * is as it was. Errors: LIMIT, NO_MEMORY, SYSTEM (names of columns). */
pst_code pst_ps_rows_scan(struct pst_ps_rows *rows, pst_str body, bool *is_done,
                          struct pst_err *err);

/* Ready to learn names; again and again is fine. */
pst_code pst_ps_rows_begin(struct pst_ps_rows *rows, struct pst_err *err);

/* Room for `rows_more` rows of at least `columns` columns; what is there keeps its place. */
pst_code pst_ps_rows_reserve(struct pst_ps_rows *rows, size_t columns, size_t rows_more,
                             struct pst_err *err);

/* Learn the names of one row that are new. */
pst_code pst_ps_rows_learn(struct pst_ps_rows *rows, const pst_str *all, size_t count,
                           struct pst_err *err);

/* Move the cells of `from` over those of `to`, row by row (dropping rows), and cut the count. */
void pst_ps_rows_move(struct pst_ps_rows *rows, size_t to, size_t from);

/* Say why a row's document cannot be used; `why` outlives the rows. */
pst_code pst_ps_rows_fault(struct pst_ps_rows *rows, size_t row, pst_str why, struct pst_err *err);

/* Make stride equal to column_count. */
void pst_ps_rows_pack(struct pst_ps_rows *rows);

/* Number of the column with that name of the pack; -1 when the rows have none. */
int pst_ps_rows_column(const struct pst_ps_rows *rows, pst_str name);

/* Rewrite what a careless serializer wrote into strict JSON in `arena` (padded as above): raw
 * blanks in texts become escapes, other control characters and single surrogates a 0xff byte
 * (which makes the row faulty), bare words and numbers that JSON does not know become texts.
 * Errors: LIMIT, NO_MEMORY. */
pst_code pst_ps_repair(pst_str body, struct pst_arena *arena, pst_str *out, struct pst_err *err);

#endif
