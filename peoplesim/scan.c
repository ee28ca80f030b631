/* peoplesim/scan.c: merging generated documents with the overlay, in key order. */
#include "peoplesim/scan.h"

#include "peoplesim/gen.h"

void pst_sim_scan_init(struct pst_sim_scan *s, const struct pst_sim_world *w,
                       const struct pst_sim_overlay *o, const struct pst_sim_query *q,
                       struct pst_sim_window window, int64_t asof_day,
                       struct pst_sim_position after)
{
    const struct pst_sim_table *t = &w->tables[q->entity];
    *s = (struct pst_sim_scan){.world = w,
                               .overlay = o,
                               .query = q,
                               .window = window,
                               .asof_day = asof_day,
                               .after = after};
    s->place = pst_sim_overlay_lower(o, after.doc);
    s->group = pst_sim_doc_group(after.doc);
    uint64_t number = pst_sim_doc_number(after.doc);
    if (number > t->first)
        s->index = (number - t->first + t->stride - 1) / t->stride;
    /* Nothing generated is as new as this window, so only what was changed can be in it. */
    if (q->stamp >= 0 && window.from != PST_SIM_NO_TIME && window.from > w->newest_local &&
        !(q->has_asof && asof_day != PST_SIM_NO_TIME))
        s->group = t->group_count;
}

static bool is_stamped_in_window(const struct pst_sim_scan *s)
{
    const struct pst_sim_window *w = &s->window;
    if (s->query->stamp < 0 || (w->from == PST_SIM_NO_TIME && w->to == PST_SIM_NO_TIME))
        return true;
    if (s->stamp == PST_SIM_NO_TIME)
        return false;
    if (s->query->columns[s->query->stamp].type == PST_SIM_DATE) {
        int64_t day = pst_sim_day_of(s->stamp);
        return (w->from == PST_SIM_NO_TIME || day >= pst_sim_day_of(w->from)) &&
               (w->to == PST_SIM_NO_TIME || day <= pst_sim_day_of(w->to));
    }
    return (w->from == PST_SIM_NO_TIME || s->stamp >= w->from) &&
           (w->to == PST_SIM_NO_TIME || s->stamp < w->to);
}

static bool in_window(const struct pst_sim_scan *s)
{
    if (is_stamped_in_window(s))
        return true;
    if (!s->query->has_asof || s->window.from == PST_SIM_NO_TIME || s->asof_day == PST_SIM_NO_TIME)
        return false;
    int64_t since = pst_sim_in_force_since(s->world, s->query->entity, s->doc, s->asof_day);
    return since != PST_SIM_NO_TIME && since >= pst_sim_day_of(s->window.from);
}

/* ---- rows ---- */

/* Set next_line and sub_count for the line at line_index. */
static void enter_line(struct pst_sim_scan *s)
{
    enum pst_sim_entity e = s->query->entity;
    s->next_line = pst_sim_line_number(s->world, e, s->doc, s->line_index);
    s->next_sub = s->query->levels == 3 ? 1 : 0;
    s->sub_count = s->query->levels < 3 ? 0
                   : s->change && s->change->subs
                       ? s->change->subs
                       : pst_sim_base_subs(s->world, e, s->doc, s->next_line);
}

/* Move to the first generated row at or behind the present place. */
static void settle(struct pst_sim_scan *s)
{
    while (!s->base_done && s->next_sub > s->sub_count) {
        if (++s->line_index >= s->line_count)
            s->base_done = true;
        else
            enter_line(s);
    }
}

static void step_base(struct pst_sim_scan *s)
{
    if (s->query->levels == 3)
        s->next_sub++;
    else
        s->next_sub = s->sub_count + 1;
    settle(s);
}

static void enter_doc(struct pst_sim_scan *s)
{
    s->line_index = 0;
    s->edit = 0;
    s->base_done = false;
    s->line_count = s->change && s->change->lines
                        ? s->change->lines
                        : pst_sim_base_lines(s->world, s->query->entity, s->doc);
    enter_line(s);
    settle(s);
}

static bool is_row_edit(const struct pst_sim_scan *s, const struct pst_sim_edit *e)
{
    return s->query->levels == 3 ? e->sub > 0 : s->query->levels == 2 ? e->line > 0 : false;
}

/* The next added row that the edits hold, or NULL. */
static const struct pst_sim_edit *next_added(struct pst_sim_scan *s)
{
    while (s->change && s->edit < s->change->edits.len) {
        const struct pst_sim_edit *e = &s->change->edits.items[s->edit];
        if (is_row_edit(s, e) && e->presence == PST_SIM_PRESENT)
            return e;
        s->edit++;
    }
    return NULL;
}

static bool is_deleted(const struct pst_sim_scan *s)
{
    const struct pst_sim_edit *row = pst_sim_edit_find(s->change, s->line, s->sub);
    return row && row->presence == PST_SIM_ABSENT;
}

static bool is_after(const struct pst_sim_scan *s)
{
    if (s->doc != s->after.doc)
        return true;
    return s->line > s->after.line || (s->line == s->after.line && s->sub > s->after.sub);
}

/* The next row, whether wanted or not. */
static bool step_row(struct pst_sim_scan *s)
{
    const struct pst_sim_edit *added = s->change && s->change->has_rows ? next_added(s) : NULL;
    if (s->base_done && !added)
        return false;
    bool is_base =
        !added || (!s->base_done && (s->next_line < added->line ||
                                     (s->next_line == added->line && s->next_sub <= added->sub)));
    s->line = is_base ? s->next_line : added->line;
    s->sub = is_base ? s->next_sub : added->sub;
    if (added && added->line == s->line && added->sub == s->sub)
        s->edit++;
    if (is_base)
        step_base(s);
    return true;
}

bool pst_sim_scan_next_row(struct pst_sim_scan *s)
{
    while (step_row(s)) {
        if (is_after(s) && !(s->change && s->change->has_rows && is_deleted(s)))
            return true;
    }
    return false;
}

/* ---- documents ---- */

bool pst_sim_scan_next_doc(struct pst_sim_scan *s)
{
    const struct pst_sim_table *t = &s->world->tables[s->query->entity];
    enum pst_sim_entity e = s->query->entity;
    for (;;) {
        while (s->group < t->group_count && s->index >= t->counts[s->group]) {
            s->group++;
            s->index = 0;
        }
        uint64_t base =
            s->group < t->group_count ? pst_sim_base_doc(t, s->group, s->index) : UINT64_MAX;
        const struct pst_sim_change *change = pst_sim_overlay_at(s->overlay, s->place);
        if (base == UINT64_MAX && !change)
            return false;
        s->doc = change && change->doc < base ? change->doc : base;
        s->change = change && change->doc == s->doc ? change : NULL;
        if (s->doc == base)
            s->index++;
        if (s->change)
            pst_sim_overlay_step(s->overlay, &s->place);
        if (s->change && (s->change->presence == PST_SIM_ABSENT ||
                          (s->change->presence == PST_SIM_AS_BASE &&
                           !pst_sim_is_base(s->world, e, s->doc, NULL))))
            continue;
        s->base_stamp =
            s->query->stamp >= 0 ? pst_sim_base_stamp(s->world, e, s->doc) : s->world->newest_local;
        s->stamp =
            s->change && s->change->stamp != PST_SIM_STAMP_BASE ? s->change->stamp : s->base_stamp;
        if (!in_window(s))
            continue;
        enter_doc(s);
        return true;
    }
}
