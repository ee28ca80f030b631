/* model/source.h: what the two forms of source rows share. Private to this module. */
#ifndef PST_MODEL_SOURCE_H
#define PST_MODEL_SOURCE_H

#include "model/page.h"

/* One row as a JSON object. */
void pst_source_put_row(struct pst_buf *out, const struct pst_columns *columns,
                        const struct pst_cell *cells);

#endif
