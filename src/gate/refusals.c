/* gate/refusals.c: a ring of the latest refusals. */
#include "gate/refusals.h"

void pst_refusals_add(struct pst_refusals *r, const struct pst_refusal *refusal)
{
    if (refusal->mark == 0)
        return;
    r->kept[r->next] = *refusal;
    r->next = (r->next + 1) % PST_REFUSALS_KEPT;
}

static bool is_of_same(const struct pst_refusal *a, const struct pst_refusal *b)
{
    return a->mark == b->mark && strcmp(a->connection_id.text, b->connection_id.text) == 0;
}

void pst_refusals_drop(struct pst_refusals *r, const struct pst_refusal *accepted)
{
    for (size_t i = 0; i < PST_REFUSALS_KEPT; i++)
        if (is_of_same(&r->kept[i], accepted))
            r->kept[i] = (struct pst_refusal){0};
}

bool pst_refusals_has(const struct pst_refusals *r, const struct pst_refusal *asking)
{
    for (size_t i = 0; i < PST_REFUSALS_KEPT && asking->mark != 0; i++) {
        const struct pst_refusal *k = &r->kept[i];
        bool is_anew =
            asking->pending_since.us != 0 && asking->pending_since.us != k->pending_since.us;
        if (!is_anew && is_of_same(k, asking))
            return true;
    }
    return false;
}
