/* model/tables.h: what tools/gen.py makes of model/, private to this module. */
#ifndef PST_MODEL_TABLES_H
#define PST_MODEL_TABLES_H

#include "model/model.h"

extern const struct pst_entity pst_model_table[]; /* by name */
extern const size_t pst_model_table_count;

#endif
