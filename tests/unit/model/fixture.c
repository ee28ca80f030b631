/* Pages and mappings for the tests of model. */
#include "tests/unit/model/fixture.h"

#include "codec/yaml.h"

void fixture_columns(struct fixture_page *p, const char *columns)
{
    pst_str rest = pst_str_from(columns);
    *p = (struct fixture_page){.columns = {.names = p->names}};
    while (rest.ptr)
        p->names[p->columns.count++] = pst_str_split(&rest, '|');
    p->columns.names = p->names;
    p->doc = (struct pst_document){
        .source_id = PST_STR("US001|1"), .cells = p->cells, .stamp = PST_WALL_NONE};
}

void fixture_row(struct fixture_page *p, const char *values)
{
    pst_str rest = pst_str_from(values);
    for (size_t i = 0; i < p->columns.count; i++) {
        struct pst_cell *cell = &p->cells[p->doc.row_count * p->columns.count + i];
        pst_str v = pst_str_split(&rest, '|');
        cell->kind = PST_CELL_TEXT;
        cell->text = v;
        if (v.len > 1 && v.ptr[0] == '#')
            *cell = (struct pst_cell){pst_str_sub(v, 1, v.len), PST_CELL_NUMBER};
        else if (pst_str_is(v, "\\0"))
            *cell = (struct pst_cell){.kind = PST_CELL_NULL};
        else if (pst_str_is(v, "-"))
            *cell = (struct pst_cell){.kind = PST_CELL_ABSENT};
    }
    p->doc.row_count++;
}

struct pst_id fixture_record_id(pst_str connection_id, pst_str entity, pst_str source_id)
{
    struct pst_id id = {{0}};
    (void)connection_id;
    (void)snprintf(id.text, sizeof(id.text), "rec_%.*s:%.*s", PST_STR_ARG(entity),
                   PST_STR_ARG(source_id));
    return id;
}

pst_code fixture_mapping_of(struct pst_mapping **out, const struct pst_entity *entity,
                            const char *stream, const char *overrides, const struct pst_tz *zone,
                            struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *a = NULL;
    yyjson_doc *doc = NULL;
    yyjson_doc *over = NULL;
    PST_TRY(pst_arena_new(&a, 1 << 22, err));
    PST_TRY(pst_yaml_read(pst_str_from(stream), a, &doc, err));
    if (*overrides)
        PST_TRY(pst_yaml_read(pst_str_from(overrides), a, &over, err));
    const struct pst_mapping_options options = {
        .zone = zone,
        .record_id = fixture_record_id,
        .connection_id = PST_STR("conn_1"),
    };
    return pst_mapping_new(out, entity, yyjson_doc_get_root(doc),
                           over ? yyjson_doc_get_root(over) : NULL, &options, err);
}

pst_code fixture_mapping(struct pst_mapping **out, const char *entity, const char *stream,
                         const char *overrides, const struct pst_tz *zone, struct pst_err *err)
{
    return fixture_mapping_of(out, pst_model_entity(pst_str_from(entity)), stream, overrides, zone,
                              err);
}
