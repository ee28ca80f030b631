/* connectors/peoplesoft/table.h: rows to documents. Private to this module. */
#ifndef PST_CONNECTORS_PEOPLESOFT_TABLE_H
#define PST_CONNECTORS_PEOPLESOFT_TABLE_H

#include "connectors/peoplesoft/reader.h"

/* Where the columns that this module reads stand among those of the rows. */
struct pst_ps_places {
    int key[PST_PS_KEY_PARTS];
    int stamp; /* -1: blank in all rows, or the stream has none */
};

/* Keys are never blank in PeopleSoft. Errors: SYSTEM, naming those that the query lacks. */
pst_code pst_ps_places_find(struct pst_ps_places *out, const struct pst_ps_rows *rows,
                            struct pst_err *err);

/* Blank and absent key parts are "" and 0. Errors: SYSTEM (a number that is no whole number). */
pst_code pst_ps_row_key(const struct pst_ps_rows *rows, const struct pst_ps_places *places,
                        size_t row, struct pst_ps_key *out, struct pst_err *err);

/* How many documents the rows make: all, and how many rows the last one has. */
size_t pst_ps_count_documents(const struct pst_ps_rows *rows, const struct pst_ps_places *places,
                              size_t *last_rows);

/* Whether two rows, all between them included, belong to one document. */
bool pst_ps_is_same_document(const struct pst_ps_rows *rows, const struct pst_ps_places *places,
                             size_t a, size_t b);

/* Why a document is rejected that has more rows than are read; of it only the first is kept. */
#define PST_PS_OVERSIZED "it has more than 10000 rows"

/* The first row_count rows, which end with a whole document, as documents. Errors: SYSTEM (rows
 * out of key order), LIMIT, NO_MEMORY. */
pst_code pst_ps_documents_build(struct pst_ps_rows *rows, const struct pst_ps_places *places,
                                size_t row_count, const struct pst_tz *tz, struct pst_page *out,
                                struct pst_err *err);

#endif
