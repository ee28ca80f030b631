/* store/sealed.h: a sealed secret as a row of some table holds it, for what walks them all.
 *
 * Thread-safety: plain data, in the arena of whoever listed it.
 */
#ifndef PST_STORE_SEALED_H
#define PST_STORE_SEALED_H

#include <stdint.h>

#include "base/id.h"
#include "base/str.h"

struct pst_sealed {
    int64_t pk; /* of its row */
    struct pst_id row_id; /* "conn_...", part of the place it is sealed to */
    pst_str bytes;
};

#endif
