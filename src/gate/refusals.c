/* gate/refusals.c: a ring of the latest refusals. */
#include "gate/refusals.h"

void pst_refusals_add(struct pst_refusals *r, const struct pst_refusal *refusal)
{
    if (refusal->mark == 0)
        return;
    r->kept[r->next] = *refusal;
    r->next = (r->next + 1) % PST_REFUSALS_KEPT;
}

bool pst_refusals_has(const struct pst_refusals *r, const struct pst_refusal *asking)
{
    for (size_t i = 0; i < PST_REFUSALS_KEPT && asking->mark != 0; i++) {
        const struct pst_refusal *k = &r->kept[i];
        bool is_anew =
            asking->pending_since.us != 0 && asking->pending_since.us != k->pending_since.us;
        if (k->mark == asking->mark && !is_anew &&
            strcmp(k->connection_id.text, asking->connection_id.text) == 0)
            return true;
    }
    return false;
}
