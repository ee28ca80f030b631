/* model/schema.c: entities as JSON Schema, from the same tables as everything else. */
#include "base/cleanup.h"
#include "codec/json.h"
#include "model/model.h"

/* Members of every record beside the model's fields (product page, 2.1). */
static const struct envelope_member {
    const char *name;
    const char *type; /* JSON type; NULL: date-time text or null */
    const char *description;
} envelope[] = {
    {"id", "string", "Penstock's id of the record, the same for ever for one source key."},
    {"source_id", "string", "The source's key: its parts joined by '|'."},
    {"seq", "integer",
     "Number of the latest change of this record in the connection's change feed."},
    {"display_name", "string", "A short text for people."},
    {"created_at", NULL, "When the source made it, else when it was first seen."},
    {"updated_at", NULL, "The source's stamp of the latest change, else when that was seen."},
    {"synced_at", NULL, "When the latest change was stored."},
    {"deleted_at", NULL, "When it was found to be gone from the source, else null."},
};

static const char *const json_types[] = {
    [PST_TYPE_STRING] = "string",   [PST_TYPE_TEXT] = "string", [PST_TYPE_INTEGER] = "integer",
    [PST_TYPE_DECIMAL] = "string",  [PST_TYPE_DATE] = "string", [PST_TYPE_BOOLEAN] = "boolean",
    [PST_TYPE_DATETIME] = "string", [PST_TYPE_ENUM] = "string", [PST_TYPE_REFERENCE] = "string",
};

/* "type": [t, "null"]: every field may be unknown to the source. */
static void put_nullable(struct pst_json_writer *w, const char *type)
{
    pst_json_add_array(w, "type");
    pst_json_put_str(w, pst_str_from(type));
    pst_json_put_str(w, PST_STR("null"));
    pst_json_end_array(w);
}

static void put_fields(struct pst_json_writer *w, const struct pst_field *fields, size_t count);

static void put_enum(struct pst_json_writer *w, const struct pst_field *f)
{
    pst_json_add_array(w, "enum");
    for (size_t i = 0; i < f->value_count; i++)
        pst_json_put_str(w, pst_str_from(f->values[i].name));
    pst_json_put_null(w);
    pst_json_end_array(w);
}

static void put_array(struct pst_json_writer *w, const struct pst_field *f)
{
    pst_json_add_z(w, "type", "array");
    pst_json_add_object(w, "items");
    pst_json_add_z(w, "type", "object");
    pst_json_add_object(w, "properties");
    put_fields(w, f->fields, f->field_count);
    pst_json_end_object(w);
    pst_json_end_object(w);
}

static void put_field(struct pst_json_writer *w, const struct pst_field *f)
{
    pst_json_add_object(w, f->name);
    if (f->type == PST_TYPE_ARRAY)
        put_array(w, f);
    else
        put_nullable(w, json_types[f->type]);
    if (f->type == PST_TYPE_DATE)
        pst_json_add_z(w, "format", "date");
    if (f->type == PST_TYPE_DATETIME)
        pst_json_add_z(w, "format", "date-time");
    if (f->type == PST_TYPE_DECIMAL)
        pst_json_add_z(w, "pattern", "^-?[0-9]+(\\.[0-9]+)?$");
    if (f->type == PST_TYPE_ENUM)
        put_enum(w, f);
    pst_json_add_z(w, "description", f->description);
    if (f->example) {
        pst_json_add_array(w, "examples");
        pst_json_put_raw(w, pst_str_from(f->example));
        pst_json_end_array(w);
    }
    pst_json_end_object(w);
}

static void put_fields(struct pst_json_writer *w, const struct pst_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_field(w, &fields[i]);
}

static void put_envelope(struct pst_json_writer *w)
{
    for (size_t i = 0; i < PST_COUNT(envelope); i++) {
        const struct envelope_member *m = &envelope[i];
        pst_json_add_object(w, m->name);
        if (m->type)
            pst_json_add_z(w, "type", m->type);
        else
            put_nullable(w, "string");
        if (!m->type)
            pst_json_add_z(w, "format", "date-time");
        pst_json_add_z(w, "description", m->description);
        pst_json_end_object(w);
    }
}

static void put_extras(struct pst_json_writer *w)
{
    pst_json_add_object(w, "custom_fields");
    pst_json_add_z(w, "type", "object");
    pst_json_add_z(w, "description", "Extra source fields that the connection's mapping names.");
    pst_json_end_object(w);
    pst_json_add_object(w, "source");
    pst_json_add_z(w, "type", "array");
    pst_json_add_z(w, "description", "The untouched source rows, only with include=source.");
    pst_json_add_object(w, "items");
    pst_json_add_z(w, "type", "object");
    pst_json_end_object(w);
    pst_json_end_object(w);
}

void pst_model_schema_json(struct pst_buf *out, const struct pst_entity *entity)
{
    struct pst_json_writer w;
    pst_json_init(&w, out);
    pst_json_begin_object(&w);
    pst_json_add_z(&w, "type", "object");
    pst_json_add_z(&w, "title", entity->singular);
    pst_json_add_z(&w, "description", entity->description);
    pst_json_add_object(&w, "properties");
    put_envelope(&w);
    put_fields(&w, entity->fields, entity->field_count);
    put_extras(&w);
    pst_json_end_object(&w);
    pst_json_add_array(&w, "required");
    pst_json_put_str(&w, PST_STR("id"));
    pst_json_put_str(&w, PST_STR("source_id"));
    pst_json_put_str(&w, PST_STR("seq"));
    pst_json_end_array(&w);
    pst_json_end_object(&w);
}
