/* peoplesim/apply.c: changing, adding, deleting documents and records. */
#include "base/num.h"
#include "peoplesim/engine_state.h"

enum { KEYS_SHOWN = 1000, NUMBER_MAX = 99999 };

struct job {
    struct pst_sim_engine *e;
    const struct pst_sim_operation *op;
    const struct pst_sim_world *world;
    struct pst_sim_overlay *overlay;
    struct pst_buf *keys;
    uint64_t done;
    uint64_t random; /* the next number comes from it */
};

static uint64_t next_random(struct job *j)
{
    j->random = pst_sim_derive(j->random, 77);
    return j->random;
}

static enum pst_sim_entity entity_of(const struct job *j)
{
    return j->op->query->entity;
}

static bool doc_exists(const struct job *j, uint64_t doc)
{
    const struct pst_sim_change *c = pst_sim_overlay_find(j->overlay, doc);
    if (c && c->presence != PST_SIM_AS_BASE)
        return c->presence == PST_SIM_PRESENT;
    return pst_sim_is_base(j->world, entity_of(j), doc, NULL);
}

/* Position s before the rows of doc; false when it does not exist. */
static bool enter(const struct job *j, uint64_t doc, struct pst_sim_scan *s)
{
    pst_sim_scan_init(s, j->world, j->overlay, j->op->query, PST_SIM_ALL_TIMES, PST_SIM_NO_TIME,
                      (struct pst_sim_position){doc, -1, -1});
    return doc_exists(j, doc) && pst_sim_scan_next_doc(s) && s->doc == doc;
}

static bool row_exists(const struct job *j, uint64_t doc, uint32_t line, uint32_t sub, bool any_sub)
{
    struct pst_sim_scan s;
    if (!enter(j, doc, &s))
        return false;
    while (pst_sim_scan_next_row(&s))
        if (s.line == line && (any_sub || s.sub == sub))
            return true;
    return false;
}

/* ---- what is told back ---- */

static void tell(struct job *j, uint64_t doc, uint32_t line, uint32_t sub)
{
    if (j->done++ >= KEYS_SHOWN)
        return;
    const struct pst_sim_query *q = j->op->query;
    char id[PST_SIM_ID_TEXT];
    size_t len = pst_sim_id_write(j->world, q->entity, pst_sim_doc_number(doc), id);
    if (j->done > 1)
        pst_buf_add_char(j->keys, ',');
    pst_buf_add_char(j->keys, '[');
    if (q->doc_keys > 1)
        pst_buf_addf(j->keys, "\"%s\",",
                     j->world->tables[q->entity].group_names[pst_sim_doc_group(doc)]);
    pst_buf_addf(j->keys, "\"%.*s\"", (int)len, id);
    if (j->op->level > 0)
        pst_buf_addf(j->keys, ",\"%u\"", line);
    if (j->op->level > 1)
        pst_buf_addf(j->keys, ",\"%u\"", sub);
    pst_buf_add_char(j->keys, ']');
}

/* ---- one document or record ---- */

static pst_code touch(struct job *j, uint64_t doc, struct pst_sim_change **out, struct pst_err *err)
{
    PST_TRY(pst_sim_overlay_touch(j->overlay, doc, out, err));
    (*out)->operation = j->e->operations;
    return PST_OK;
}

static void set_stamp(const struct job *j, struct pst_sim_change *c)
{
    if (j->op->stamp == PST_SIM_STAMP_KEEP)
        return;
    int64_t utc = j->op->stamp == PST_SIM_STAMP_AT ? j->op->stamp_us : j->op->now_us;
    c->stamp = pst_sim_zone_local(j->world->zone, utc);
}

static pst_code assign_stamp(struct pst_sim_change *c, const struct pst_sim_column *column,
                             pst_str text, struct pst_err *err)
{
    int64_t days = 0;
    if (text.len == 0)
        c->stamp = PST_SIM_NO_TIME;
    else if (pst_sim_date_read(&days, text))
        c->stamp = days * PST_SIM_DAY_US;
    else if (!pst_sim_dttm_read(&c->stamp, text))
        return PST_FAIL_AT(err, PST_E_INVALID, column->name,
                           "'%s' must be YYYY-MM-DD-HH.MI.SS.FFFFFF or empty", column->name);
    return PST_OK;
}

static pst_code change_record(struct job *j, uint64_t doc, uint32_t line, uint32_t sub,
                              struct pst_err *err)
{
    struct pst_sim_change *c = NULL;
    struct pst_sim_edit *e = NULL;
    PST_TRY(touch(j, doc, &c, err));
    PST_TRY(pst_sim_edit_touch(c, line, sub, &e, err));
    set_stamp(j, c);
    for (size_t i = 0; i < j->op->assign_count; i++) {
        const struct pst_sim_assign *a = &j->op->assigns[i];
        if (a->column == j->op->query->stamp)
            PST_TRY(assign_stamp(c, &j->op->query->columns[a->column], a->text, err));
        else
            PST_TRY(pst_sim_edit_set(e, a->column, a->text, err));
    }
    if (j->op->assign_count == 0 && j->op->action == PST_SIM_CHANGE)
        e->version++;
    return PST_OK;
}

static pst_code set_row(struct job *j, uint64_t doc, uint32_t line, uint32_t sub,
                        enum pst_sim_presence presence, struct pst_err *err)
{
    struct pst_sim_change *c = NULL;
    struct pst_sim_edit *e = NULL;
    PST_TRY(touch(j, doc, &c, err));
    PST_TRY(pst_sim_edit_touch(c, line, sub, &e, err));
    e->presence = presence;
    c->has_rows = true;
    set_stamp(j, c);
    return PST_OK;
}

static pst_code add_document(struct job *j, uint64_t doc, struct pst_err *err)
{
    struct pst_sim_change *c = NULL;
    PST_TRY(touch(j, doc, &c, err));
    uint64_t operation = c->operation;
    pst_sim_change_clear(c);
    c->operation = operation;
    c->presence = PST_SIM_PRESENT;
    c->lines = j->op->lines;
    c->subs = j->op->subs;
    return change_record(j, doc, 0, 0, err);
}

static pst_code delete_document(struct job *j, uint64_t doc, struct pst_err *err)
{
    struct pst_sim_change *c = NULL;
    PST_TRY(touch(j, doc, &c, err));
    uint64_t operation = c->operation;
    pst_sim_change_clear(c);
    c->operation = operation;
    c->presence = PST_SIM_ABSENT;
    return PST_OK;
}

static pst_code delete_line(struct job *j, uint64_t doc, uint32_t line, struct pst_err *err)
{
    /* The rows are collected first: deleting them moves what the scan walks over. */
    uint32_t subs[1000];
    size_t count = 0;
    struct pst_sim_scan s;
    if (enter(j, doc, &s))
        while (pst_sim_scan_next_row(&s))
            if (s.line == line && count < PST_COUNT(subs))
                subs[count++] = s.sub;
    for (size_t i = 0; i < count; i++)
        PST_TRY(set_row(j, doc, line, subs[i], PST_SIM_ABSENT, err));
    return PST_OK;
}

static pst_code add_line(struct job *j, uint64_t doc, uint32_t line, struct pst_err *err)
{
    if (j->op->query->levels == 2) {
        PST_TRY(set_row(j, doc, line, 0, PST_SIM_PRESENT, err));
    } else {
        uint32_t subs = j->op->subs ? j->op->subs : j->world->settings.schedules_min;
        for (uint32_t i = 1; i <= subs; i++)
            PST_TRY(set_row(j, doc, line, i, PST_SIM_PRESENT, err));
    }
    return j->op->assign_count ? change_record(j, doc, line, 0, err) : PST_OK;
}

/* Do op's action at that place; sub and line are 0 above op's level. */
static pst_code act(struct job *j, uint64_t doc, uint32_t line, uint32_t sub, struct pst_err *err)
{
    bool is_line = j->op->level == 1;
    struct pst_sim_change *c = NULL;
    switch (j->op->action) {
    case PST_SIM_CHANGE:
        PST_TRY(change_record(j, doc, line, sub, err));
        break;
    case PST_SIM_ADD:
        if (j->op->level == 0)
            PST_TRY(add_document(j, doc, err));
        else if (is_line)
            PST_TRY(add_line(j, doc, line, err));
        else {
            PST_TRY(set_row(j, doc, line, sub, PST_SIM_PRESENT, err));
            if (j->op->assign_count)
                PST_TRY(change_record(j, doc, line, sub, err));
        }
        break;
    case PST_SIM_DELETE:
        if (j->op->level == 0)
            PST_TRY(delete_document(j, doc, err));
        else if (is_line)
            PST_TRY(delete_line(j, doc, line, err));
        else
            PST_TRY(set_row(j, doc, line, sub, PST_SIM_ABSENT, err));
        break;
    case PST_SIM_RESTORE:
        PST_TRY(touch(j, doc, &c, err));
        pst_sim_change_clear(c);
        break;
    }
    tell(j, doc, line, sub);
    return PST_OK;
}

/* ---- a place by key ---- */

static pst_code read_key_number(const struct job *j, size_t key, uint32_t *out, struct pst_err *err)
{
    int64_t n = 0;
    const struct pst_sim_query *q = j->op->query;
    if (!pst_parse_i64(&n, j->op->keys[key], 1, NUMBER_MAX))
        return PST_FAIL_AT(err, PST_E_INVALID, q->columns[q->keys[key]].name,
                           "'%.*s' is not a number from 1 to %d", PST_STR_ARG(j->op->keys[key]),
                           NUMBER_MAX);
    *out = (uint32_t)n;
    return PST_OK;
}

static pst_code find_doc(const struct job *j, uint64_t *doc, struct pst_err *err)
{
    const struct pst_sim_query *q = j->op->query;
    const struct pst_sim_table *t = &j->world->tables[q->entity];
    size_t g = 0;
    if (q->doc_keys > 1)
        while (g < t->group_count && !pst_str_is(j->op->keys[0], t->group_names[g]))
            g++;
    uint64_t number = 0;
    if (g == t->group_count ||
        !pst_sim_id_read(j->world, q->entity, j->op->keys[q->doc_keys - 1], &number))
        return PST_FAIL_AT(err, PST_E_NOT_FOUND, "key", "no %s can have that key", q->entity_name);
    *doc = pst_sim_doc(g, number);
    return PST_OK;
}

static pst_code apply_by_key(struct job *j, struct pst_err *err)
{
    const struct pst_sim_operation *op = j->op;
    uint64_t doc = 0;
    uint32_t line = 0;
    uint32_t sub = 0;
    PST_TRY(find_doc(j, &doc, err));
    if (op->level > 0)
        PST_TRY(read_key_number(j, op->query->doc_keys, &line, err));
    if (op->level > 1)
        PST_TRY(read_key_number(j, op->query->doc_keys + 1, &sub, err));
    bool exists = op->level == 0 ? doc_exists(j, doc)
                                 : row_exists(j, doc, line, sub, /* any_sub= */ op->level == 1);
    bool is_adding = op->action == PST_SIM_ADD;
    if (is_adding && exists)
        return PST_FAIL_AT(err, PST_E_CONFLICT, "key", "the key exists already");
    if (is_adding && op->level > 0 && !doc_exists(j, doc))
        return PST_FAIL_AT(err, PST_E_NOT_FOUND, "key", "the document to add to does not exist");
    if (!is_adding && !exists && op->action != PST_SIM_RESTORE)
        return PST_FAIL_AT(err, PST_E_NOT_FOUND, "key", "the key does not exist");
    return act(j, doc, line, sub, err);
}

/* ---- places by chance ---- */

/* A key for a new document: between present ones, or behind the last of a group. */
static uint64_t new_doc(struct job *j)
{
    const struct pst_sim_table *t = &j->world->tables[entity_of(j)];
    uint64_t near = t->total ? pst_sim_nth_base(j->world, entity_of(j), next_random(j) % t->total)
                             : pst_sim_doc(0, 0);
    if (j->op->between)
        for (uint64_t i = 1; i < t->stride; i++)
            if (!pst_sim_overlay_find(j->overlay, near + i))
                return near + i;
    uint32_t g = pst_sim_doc_group(near);
    uint64_t last = t->counts[g] ? pst_sim_base_doc(t, g, t->counts[g] - 1) : pst_sim_doc(g, 0);
    struct pst_sim_place p = pst_sim_overlay_lower(j->overlay, pst_sim_doc(g + 1, 0));
    /* The change before the next group's first is this group's last, if it is this group's. */
    if (p.item > 0)
        p.item--;
    else if (p.chunk > 0)
        p = (struct pst_sim_place){p.chunk - 1, j->overlay->chunks.items[p.chunk - 1]->len - 1};
    const struct pst_sim_change *c = pst_sim_overlay_at(j->overlay, p);
    if (c && pst_sim_doc_group(c->doc) == g && c->doc > last)
        last = c->doc;
    return last + t->stride;
}

/* A random present row of doc, and the key behind its last line and record. */
static bool pick_row(struct job *j, uint64_t doc, uint32_t *line, uint32_t *sub)
{
    struct pst_sim_scan s;
    if (!enter(j, doc, &s))
        return false;
    uint32_t last_line = 0;
    uint32_t last_sub = 0;
    uint32_t seen = 0;
    while (pst_sim_scan_next_row(&s)) {
        if (pst_sim_below(next_random(j), ++seen) == 0) {
            *line = s.line;
            *sub = s.sub;
            last_sub = s.sub;
        }
        if (s.line == *line)
            last_sub = s.sub;
        last_line = s.line;
    }
    if (seen == 0)
        return false;
    bool is_adding = j->op->action == PST_SIM_ADD;
    if (is_adding && j->op->level == 1)
        *line = last_line + 1;
    if (is_adding && j->op->level == 2)
        *sub = last_sub + 1;
    if (j->op->level == 1)
        *sub = 0;
    return *line <= NUMBER_MAX && *sub <= 999;
}

static pst_code apply_by_chance(struct job *j, struct pst_err *err)
{
    const struct pst_sim_operation *op = j->op;
    const struct pst_sim_table *t = &j->world->tables[entity_of(j)];
    uint64_t tries = op->count * 8 + 1000;
    while (j->done < op->count && tries-- > 0) {
        if (op->action == PST_SIM_ADD && op->level == 0) {
            PST_TRY(act(j, new_doc(j), 0, 0, err));
            continue;
        }
        uint64_t doc = pst_sim_nth_base(j->world, entity_of(j), next_random(j) % t->total);
        const struct pst_sim_change *c = pst_sim_overlay_find(j->overlay, doc);
        uint32_t line = 0;
        uint32_t sub = 0;
        bool is_new = !c || c->operation != j->e->operations;
        if (!is_new || !doc_exists(j, doc) || (op->level > 0 && !pick_row(j, doc, &line, &sub)))
            continue;
        PST_TRY(act(j, doc, line, sub, err));
    }
    return PST_OK;
}

/* ---- the operation ---- */

static pst_code check(const struct pst_sim_operation *op, struct pst_err *err)
{
    const struct pst_sim_query *q = op->query;
    if (q->key_count == 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "entity", "'%s' has no rows to change",
                           q->entity_name);
    if (op->level < 0 || op->level >= q->levels)
        return PST_FAIL_AT(err, PST_E_INVALID, "level", "%s have levels 0 to %d", q->entity_name,
                           q->levels - 1);
    if (op->action == PST_SIM_RESTORE && (op->level != 0 || !op->has_key))
        return PST_FAIL_AT(err, PST_E_INVALID, "key", "restore takes a document's key");
    for (size_t i = 0; i < op->assign_count; i++) {
        const struct pst_sim_column *c = &q->columns[op->assigns[i].column];
        if (c->flag == PST_SIM_KEY || c->level != op->level)
            return PST_FAIL_AT(err, PST_E_INVALID, c->name,
                               "'%s' is a key or does not belong to level %d", c->name, op->level);
    }
    return PST_OK;
}

pst_code pst_sim_engine_apply(struct pst_sim_engine *e, const struct pst_sim_operation *op,
                              struct pst_buf *keys, uint64_t *done, struct pst_err *err)
{
    PST_TRY(check(op, err));
    pthread_rwlock_wrlock(&e->lock);
    e->operations++;
    struct job j = {.e = e,
                    .op = op,
                    .world = &e->world,
                    .overlay = &e->overlays[op->query->entity],
                    .keys = keys,
                    .random = pst_sim_derive(e->world.settings.seed, op->seed)};
    pst_code rc = op->has_key ? apply_by_key(&j, err) : apply_by_chance(&j, err);
    pthread_rwlock_unlock(&e->lock);
    *done = j.done;
    return rc;
}
