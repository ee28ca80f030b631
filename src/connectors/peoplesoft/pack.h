/* connectors/peoplesoft/pack.h: the query pack as tables, compiled from queries/ by pack.py.
 * Private to this module. Thread-safety: constant data. */
#ifndef PST_CONNECTORS_PEOPLESOFT_PACK_H
#define PST_CONNECTORS_PEOPLESOFT_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct pst_ps_column {
    pst_str name; /* "A.PO_ID" */
    char kind; /* Character, Number, Signed number, Date, daTetime, Long character */
    uint16_t length; /* all digits or characters; 0 = not looked at */
    uint8_t decimals;
};

struct pst_ps_prompt {
    pst_str name;
    uint16_t length;
};

struct pst_ps_query {
    pst_str name;
    const char *description;
    pst_str sql; /* for the administrator */
    const struct pst_ps_column *columns;
    size_t column_count;
    const struct pst_ps_prompt *prompts;
    size_t prompt_count;
};

struct pst_ps_pack {
    const struct pst_ps_query *queries;
    size_t query_count;
};

extern const struct pst_ps_pack PST_PS_PACK;

const struct pst_ps_query *pst_ps_pack_find(pst_str name); /* NULL: not in the pack */
const struct pst_ps_column *pst_ps_query_column(const struct pst_ps_query *query, pst_str name);

#endif
