/* connectors/peoplesoft/table.h: rows to documents. Private to this module. */
#ifndef PST_CONNECTORS_PEOPLESOFT_TABLE_H
#define PST_CONNECTORS_PEOPLESOFT_TABLE_H

#include "connectors/peoplesoft/reader.h"

/* Where the columns that this module reads stand among those of the rows. */
struct ps_places {
    int key[PS_KEY_PARTS];
    int stamp; /* -1: the stream has none */
};

/* Errors: SYSTEM, naming the columns that the query lacks. */
pst_code ps_places_find(struct ps_places *out, const struct ps_rows *rows, struct pst_err *err);

/* Blank and absent key parts are "" and 0. Errors: SYSTEM (a number that is no whole number). */
pst_code ps_row_key(const struct ps_rows *rows, const struct ps_places *places, size_t row,
                    struct ps_key *out, struct pst_err *err);

/* How many documents the rows make: all, and how many rows the last one has. */
size_t ps_count_documents(const struct ps_rows *rows, const struct ps_places *places,
                          size_t *last_rows);

/* LIMIT: a document of more than PS_DOCUMENT_ROWS rows. */
pst_code ps_fail_document_size(const struct ps_stream *s, struct pst_err *err);

/* The first row_count rows, which end with a whole document, as documents. Errors: SYSTEM (rows
 * out of key order), LIMIT, NO_MEMORY. */
pst_code ps_documents_build(struct ps_rows *rows, const struct ps_places *places, size_t row_count,
                            const struct pst_tz *tz, struct pst_page *out, struct pst_err *err);

#endif
