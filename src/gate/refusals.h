/* gate/refusals.h: which credentials were refused a moment ago.
 *
 * The status of a connection says so too, once it is stored; what was opened before that must not
 * try them again. Only the latest are kept, without memory of their own.
 *
 * Thread-safety: one thread at a time.
 */
#ifndef PST_GATE_REFUSALS_H
#define PST_GATE_REFUSALS_H

#include <stdbool.h>

#include "base/id.h"
#include "base/time.h"

enum { PST_REFUSALS_KEPT = 256 };

struct pst_refusal {
    struct pst_id connection_id;
    uint64_t mark; /* of the credentials; 0 = not known: never kept */
    pst_wall pending_since; /* us 0 = it was not pending */
};

struct pst_refusals {
    struct pst_refusal kept[PST_REFUSALS_KEPT];
    unsigned next; /* whose place the next one takes */
};

void pst_refusals_add(struct pst_refusals *r, const struct pst_refusal *refusal);

/* They were accepted: what was refused of them before is forgotten. */
void pst_refusals_drop(struct pst_refusals *r, const struct pst_refusal *accepted);

/* Whether what asks goes by credentials that were refused. A connection that was put to pending
 * since (switched on, another address) may try them once more. */
bool pst_refusals_has(const struct pst_refusals *r, const struct pst_refusal *asking);

#endif
