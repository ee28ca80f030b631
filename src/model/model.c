/* model/model.c: looking things up in the generated tables. */
#include "model/tables.h"

const struct pst_entity *pst_model_entities(size_t *count)
{
    *count = pst_model_table_count;
    return pst_model_table;
}

const struct pst_entity *pst_model_entity(pst_str name)
{
    for (size_t i = 0; i < pst_model_table_count; i++) {
        if (pst_str_is(name, pst_model_table[i].name))
            return &pst_model_table[i];
    }
    return NULL;
}

const struct pst_entity *pst_model_entity_by_path(pst_str path)
{
    for (size_t i = 0; i < pst_model_table_count; i++) {
        if (pst_str_is(path, pst_model_table[i].path))
            return &pst_model_table[i];
    }
    return NULL;
}

const struct pst_field *pst_model_field(const struct pst_entity *entity, pst_str name)
{
    for (size_t i = 0; i < entity->field_count; i++) {
        if (pst_str_is(name, entity->fields[i].name))
            return &entity->fields[i];
    }
    return NULL;
}

size_t pst_model_entity_index(const struct pst_entity *entity)
{
    return (size_t)(entity - pst_model_table);
}

const char *pst_field_type_name(enum pst_field_type type)
{
    static const char *const names[] = {
        [PST_TYPE_STRING] = "string",       [PST_TYPE_TEXT] = "text",
        [PST_TYPE_INTEGER] = "integer",     [PST_TYPE_DECIMAL] = "decimal",
        [PST_TYPE_BOOLEAN] = "boolean",     [PST_TYPE_DATE] = "date",
        [PST_TYPE_DATETIME] = "datetime",   [PST_TYPE_ENUM] = "enum",
        [PST_TYPE_REFERENCE] = "reference", [PST_TYPE_ARRAY] = "array",
    };
    return names[type];
}
