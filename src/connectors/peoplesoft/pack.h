/* connectors/peoplesoft/pack.h: the query pack as tables, compiled from queries/ by pack.py.
 * Private to this module. Thread-safety: constant data. */
#ifndef PST_CONNECTORS_PEOPLESOFT_PACK_H
#define PST_CONNECTORS_PEOPLESOFT_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct ps_column {
    pst_str name; /* "A.PO_ID" */
    char kind; /* Character, Number, Signed number, Date, daTetime, Long character */
    uint16_t length; /* all digits or characters; 0 = not looked at */
    uint8_t decimals;
};

struct ps_prompt {
    pst_str name;
    uint16_t length;
};

struct ps_query {
    pst_str name;
    const char *description;
    pst_str sql; /* for the administrator */
    const struct ps_column *columns;
    size_t column_count;
    const struct ps_prompt *prompts;
    size_t prompt_count;
};

struct ps_pack {
    const struct ps_query *queries;
    size_t query_count;
};

extern const struct ps_pack PS_PACK;

const struct ps_query *ps_pack_find(pst_str name); /* NULL: not in the pack */
const struct ps_column *ps_query_column(const struct ps_query *query, pst_str name);

#endif
