/* model/mapper.c: one thread's way of pages through a mapping: bind, hash, map. */
#include "codec/json.h"
#include "model/plan.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "codec/percent.h"

pst_code pst_mapper_new(struct pst_mapper **out, const struct pst_mapping *m, struct pst_err *err)
{
    struct pst_mapper *p = NULL;
    PST_TRY(pst_new((void **)&p, sizeof(*p), err));
    p->mapping = m;
    pst_buf_init(&p->out, PST_MAPPED_BYTES);
    pst_buf_init(&p->scratch, 2 * PST_MAPPED_BYTES);
    pst_code rc = pst_new((void **)&p->cell_of, (m->column_count + 1) * sizeof(*p->cell_of), err);
    if (rc == PST_OK)
        rc = pst_arena_new(&p->names, PST_MAPPED_BYTES, err);
    if (rc != PST_OK) {
        pst_mapper_free(p);
        return rc;
    }
    *out = p;
    return PST_OK;
}

void pst_mapper_free(struct pst_mapper *p)
{
    if (!p)
        return;
    pst_buf_fini(&p->out);
    pst_buf_fini(&p->scratch);
    pst_free(p->cell_of);
    pst_free(p->rows);
    pst_arena_free(p->names);
    pst_free(p);
}

/* ---- binding ------------------------------------------------------------------------------ */

static bool names_repeat(const struct pst_mapper *p, const struct pst_columns *columns)
{
    if (!p->bound_names || p->bound_count != columns->count)
        return false;
    for (size_t i = 0; i < columns->count; i++) {
        if (!pst_str_eq(p->bound_names[i], columns->names[i]))
            return false;
    }
    return true;
}

/* The column for a name: the same name, else the only one with the same tail. */
static int find_column(const struct pst_columns *columns, pst_str name, bool *is_same)
{
    int by_tail = -1;
    int tails = 0;
    *is_same = false;
    for (size_t i = 0; i < columns->count; i++) {
        if (pst_str_eq(columns->names[i], name)) {
            *is_same = true;
            return (int)i;
        }
        if (pst_str_eq(pst_column_tail(columns->names[i]), pst_column_tail(name))) {
            by_tail = (int)i;
            tails++;
        }
    }
    return tails == 1 ? by_tail : -1;
}

bool pst_columns_have(const struct pst_columns *columns, pst_str name)
{
    bool is_same;
    return find_column(columns, name, &is_same) >= 0;
}

static bool has_alias(pst_str name)
{
    return pst_column_tail(name).len < name.len;
}

/* The cell of a mapping's column, -1 where it is blank; false when the source has it no longer, or
 * when that cannot be told. A name with another alias may be that of another column, while ours was
 * left out because it is blank: then the source's own list decides. */
static bool find_cell(struct pst_mapper *p, const struct pst_columns *columns,
                      const struct pst_known_columns *known, pst_str name, int *cell)
{
    bool is_same = false;
    *cell = find_column(columns, name, &is_same);
    if (*cell >= 0 && (is_same || !has_alias(name) || !has_alias(columns->names[*cell])))
        return true;
    p->is_sure = false;
    if (!known)
        return false;
    if (*cell < 0)
        return known->is_untold || pst_columns_have(&known->columns, name);
    (void)find_column(&known->columns, name, &is_same);
    if (is_same)
        *cell = -1;
    return true;
}

static pst_code find_all(struct pst_mapper *p, const struct pst_columns *columns,
                         const struct pst_known_columns *known, struct pst_err *err)
{
    char missing[400];
    size_t used = 0;
    missing[0] = '\0';
    p->is_sure = true;
    for (size_t i = 0; i < p->mapping->column_count; i++) {
        pst_str name = p->mapping->columns[i];
        if (!find_cell(p, columns, known, name, &p->cell_of[i]) && used < sizeof(missing)) {
            int n = snprintf(missing + used, sizeof(missing) - used, "%s%.*s", used ? ", " : "",
                             PST_STR_ARG(name));
            used += n > 0 ? (size_t)n : 0;
        }
    }
    if (used > 0)
        return PST_FAIL(err, PST_E_INVALID,
                        "the source no longer has these columns of the %s mapping: %s",
                        p->mapping->entity->name, missing);
    return PST_OK;
}

/* Insertion sort: names are few and mostly in order. */
static void sort_order(const struct pst_str *names, unsigned *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && pst_str_cmp(names[order[at - 1]], names[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = (unsigned)i;
    }
}

/* Of the page's names in their order; without those that are not `there` (NULL: all are). */
static uint64_t hash_names(const struct pst_mapper *p, const bool *there)
{
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    (void)XXH3_64bits_reset_withSeed(&state, p->mapping->version);
    for (size_t i = 0; i < p->bound_count; i++) {
        pst_str name = p->bound_names[p->order[i]];
        if (!there || there[p->order[i]]) /* with the NUL behind each, as a border */
            (void)XXH3_64bits_update(&state, name.ptr, name.len + 1);
    }
    return XXH3_64bits_digest(&state);
}

static pst_code keep_names(struct pst_mapper *p, const struct pst_columns *columns,
                           struct pst_err *err)
{
    const size_t count = columns->count;
    pst_str *names = NULL;
    pst_arena_reset(p->names);
    PST_TRY(pst_arena_array(p->names, &names, count, sizeof(*names), err));
    PST_TRY(pst_arena_array(p->names, &p->order, count, sizeof(*p->order), err));
    PST_TRY(pst_arena_array(p->names, &p->is_there, count, sizeof(*p->is_there), err));
    for (size_t i = 0; i < count; i++)
        PST_TRY(pst_arena_dup(p->names, &names[i], columns->names[i], err));
    sort_order(names, p->order, count);
    p->bound_names = names;
    p->bound_count = count;
    p->names_hash = hash_names(p, NULL);
    return PST_OK;
}

pst_code pst_mapper_bind_known(struct pst_mapper *p, const struct pst_columns *columns,
                               const struct pst_known_columns *known, struct pst_err *err)
{
    bool is_repeated = names_repeat(p, columns);
    if (!is_repeated)
        p->bound_names = NULL;
    if (!is_repeated || !p->is_sure)
        PST_TRY(find_all(p, columns, known, err));
    if (!is_repeated)
        PST_TRY(keep_names(p, columns, err));
    p->columns = columns;
    return PST_OK;
}

pst_code pst_mapper_bind(struct pst_mapper *p, const struct pst_columns *columns,
                         struct pst_err *err)
{
    static const struct pst_known_columns NO_MORE = {0};
    return pst_mapper_bind_known(p, columns, &NO_MORE, err);
}

/* ---- hashing ------------------------------------------------------------------------------ */

/* Only the columns that are `there` (NULL: all). *is_whole: every cell of those was. */
static pst_hash128 hash_rows(struct pst_mapper *p, const struct pst_document *doc, uint64_t seed,
                             const bool *there, bool *is_whole)
{
    const size_t width = p->columns->count;
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    *is_whole = true;
    (void)XXH3_128bits_reset_withSeed(&state, seed);
    for (uint32_t r = 0; r < doc->row_count; r++) {
        const struct pst_cell *cells = doc->cells + (size_t)r * width;
        pst_buf_reset(&p->scratch);
        for (size_t i = 0; i < width; i++) {
            const struct pst_cell *cell = &cells[p->order[i]];
            if (cell->kind == PST_CELL_ABSENT) {
                *is_whole = false;
                if (there && !there[p->order[i]])
                    continue;
            }
            uint64_t head = (uint64_t)cell->text.len << 3 | (uint64_t)cell->kind;
            pst_buf_add(&p->scratch, &head, sizeof(head));
            pst_buf_add_str(&p->scratch, cell->text);
        }
        (void)XXH3_128bits_update(&state, p->scratch.ptr, p->scratch.len);
        /* A row that did not fit must not look like any other. */
        if (p->scratch.fail != PST_OK)
            (void)XXH3_128bits_update(&state, &r, sizeof(r));
    }
    XXH128_hash_t h = XXH3_128bits_digest(&state);
    return (pst_hash128){h.low64, h.high64};
}

/* Fill is_there. Returns whether the rows together have every column. */
static bool look_what_is_there(struct pst_mapper *p, const struct pst_document *doc)
{
    const size_t width = p->columns->count;
    size_t count = 0;
    memset(p->is_there, 0, width * sizeof(*p->is_there));
    for (uint32_t r = 0; r < doc->row_count && count < width; r++) {
        const struct pst_cell *cells = doc->cells + (size_t)r * width;
        for (size_t i = 0; i < width; i++) {
            bool is_new = cells[i].kind != PST_CELL_ABSENT && !p->is_there[i];
            p->is_there[i] |= is_new;
            count += is_new;
        }
    }
    return count == width;
}

pst_hash128 pst_mapper_source_hash(struct pst_mapper *p, const struct pst_document *doc)
{
    bool is_whole;
    pst_hash128 hash = hash_rows(p, doc, p->names_hash, NULL, &is_whole);
    if (is_whole || look_what_is_there(p, doc))
        return hash;
    return hash_rows(p, doc, hash_names(p, p->is_there), p->is_there, &is_whole);
}

/* ---- mapping ------------------------------------------------------------------------------ */

const struct pst_cell *pst_mapper_cell(const struct pst_mapper *p, uint32_t row, unsigned column)
{
    static const struct pst_cell BLANK = {.kind = PST_CELL_ABSENT};
    int at = p->cell_of[column];
    return at < 0 ? &BLANK : &p->doc->cells[(size_t)row * p->columns->count + (size_t)at];
}

static pst_code ready_rows(struct pst_mapper *p, uint32_t count, struct pst_err *err)
{
    /* Twice: the rows in order, and room for a regrouped copy per level of arrays. */
    size_t need = (size_t)count * (1 + PST_MAPPING_DEPTH);
    if (need > p->rows_cap) {
        uint32_t *rows = pst_realloc(p->rows, need * sizeof(*rows));
        if (!rows)
            return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for %u rows", count);
        p->rows = rows;
        p->rows_cap = need;
    }
    for (uint32_t i = 0; i < count; i++)
        p->rows[i] = i;
    p->rows_used = count;
    return PST_OK;
}

static pst_code put_member(struct pst_mapper *p, const struct pst_rule *rule,
                           struct pst_group group, struct pst_err *err)
{
    bool null = false;
    pst_buf_add_str(&p->out, rule->lead);
    PST_TRY(pst_mapper_value(p, rule, group, &null, err));
    if (null && rule->required)
        return PST_FAIL(err, PST_E_INVALID, "%.*s: %.*s is blank and must not be",
                        PST_STR_ARG(rule->name),
                        PST_STR_ARG(p->mapping->columns[rule->columns[0]]));
    return PST_OK;
}

static pst_code put_members(struct pst_mapper *p, const struct pst_rule *rules, size_t count,
                            struct pst_group group, struct pst_err *err)
{
    for (size_t i = 0; i < count; i++)
        PST_TRY(put_member(p, &rules[i], group, err));
    return PST_OK;
}

static pst_code put_display_name(struct pst_mapper *p, struct pst_group group, struct pst_err *err)
{
    bool null = false;
    pst_buf_add_lit(&p->out, "{\"display_name\":");
    size_t at = p->out.len;
    PST_TRY(pst_mapper_value(p, &p->mapping->display_name, group, &null, err));
    if (!null)
        return PST_OK;
    p->out.len = at;
    pst_json_quote(&p->out, p->doc->source_id);
    return PST_OK;
}

/* The source's own time of creation: the rule's JSON text, read back. A time that cannot be
 * read is no reason to reject the document. */
static pst_code created_at(struct pst_mapper *p, struct pst_group group, pst_wall *out,
                           struct pst_err *err)
{
    bool null = false;
    struct pst_err why;
    *out = PST_WALL_NONE;
    if (pst_mapper_value(p, &p->mapping->created, group, &null, &why) != PST_OK || null)
        return PST_OK;
    PST_TRY(pst_buf_check(&p->out, err));
    (void)pst_wall_parse(out, (pst_str){p->out.ptr + 1, p->out.len - 2});
    return PST_OK;
}

static pst_code map_document(struct pst_mapper *p, struct pst_err *err)
{
    const struct pst_mapping *m = p->mapping;
    struct pst_group all = {p->rows, p->doc->row_count};
    pst_buf_reset(&p->out);
    PST_TRY(created_at(p, all, &p->mapped->created, err));
    pst_buf_reset(&p->out);
    PST_TRY(put_display_name(p, all, err));
    PST_TRY(put_members(p, m->rules, m->rule_count, all, err));
    pst_buf_add_lit(&p->out, ",\"custom_fields\":{");
    PST_TRY(put_members(p, m->custom, m->custom_count, all, err));
    pst_buf_add_lit(&p->out, "}}");
    return pst_buf_check(&p->out, err);
}

pst_code pst_mapper_apply(struct pst_mapper *p, const struct pst_document *doc,
                          struct pst_arena *arena, struct pst_mapped *out, struct pst_err *err)
{
    struct pst_err why;
    *out = (struct pst_mapped){.created = PST_WALL_NONE};
    p->doc = doc;
    p->mapped = out;
    p->results = arena;
    if (doc->fault.len > 0)
        return pst_arena_dup(arena, &out->reject, doc->fault, err);
    PST_TRY(ready_rows(p, doc->row_count, err));
    pst_code rc = map_document(p, &why);
    if (p->out.fail == PST_E_LIMIT)
        rc = PST_FAIL(&why, PST_E_INVALID, "the unified record would be larger than %d MiB",
                      PST_MAPPED_BYTES >> 20);
    if (rc == PST_E_INVALID) {
        *out = (struct pst_mapped){.created = PST_WALL_NONE};
        return pst_arena_dup(arena, &out->reject, pst_str_from(why.msg), err);
    }
    if (rc != PST_OK) {
        *err = why;
        return rc;
    }
    PST_TRY(pst_arena_dup(arena, &out->data, pst_buf_str(&p->out), err));
    XXH128_hash_t h = XXH3_128bits(out->data.ptr, out->data.len);
    out->hash = (pst_hash128){h.low64, h.high64};
    return PST_OK;
}
