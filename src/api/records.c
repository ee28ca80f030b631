/* api/records.c: lists of records and single records. */
#include "api/internal.h"
#include "base/num.h"

static pst_code bad_filter(const char *name, const char *what, struct pst_err *err)
{
    return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' is %s", name, what);
}

static bool is_enum_value(const struct pst_field *field, pst_str value)
{
    for (size_t i = 0; i < field->value_count; i++) {
        if (pst_str_is(value, field->values[i].name))
            return true;
    }
    return false;
}

/* The value as the filter's column holds it. */
static pst_code read_filter_value(const struct pst_field *field, const char *name, pst_str text,
                                  struct pst_filter_value *out, struct pst_err *err)
{
    pst_wall time = PST_WALL_NONE;
    *out = (struct pst_filter_value){.kind = PST_FILTER_TEXT, .text = text};
    switch (field->type) {
    case PST_TYPE_INTEGER:
        out->kind = PST_FILTER_INT;
        return pst_parse_i64(&out->num, text, INT64_MIN, INT64_MAX)
                   ? PST_OK
                   : bad_filter(name, "a whole number", err);
    case PST_TYPE_BOOLEAN:
        out->kind = PST_FILTER_INT;
        out->num = pst_str_is(text, "true");
        return out->num || pst_str_is(text, "false") ? PST_OK
                                                     : bad_filter(name, "true or false", err);
    case PST_TYPE_DATETIME:
        out->kind = PST_FILTER_INT;
        if (!pst_wall_parse(&time, text))
            return bad_filter(name, "a time such as 2026-11-24T06:30:00Z", err);
        out->num = time.us;
        return PST_OK;
    case PST_TYPE_DATE:
        return text.len == strlen("2026-11-24") && pst_wall_parse(&time, text)
                   ? PST_OK
                   : bad_filter(name, "a date such as 2026-11-24", err);
    case PST_TYPE_ENUM:
        return is_enum_value(field, text)
                   ? PST_OK
                   : PST_FAIL_AT(err, PST_E_INVALID, name, "'%.*s' is not a value of '%s'",
                                 PST_STR_ARG(text), field->name);
    case PST_TYPE_REFERENCE:
        return pst_id_parse(NULL, "rec_", text) ? PST_OK : bad_filter(name, "a record id", err);
    case PST_TYPE_STRING:
    case PST_TYPE_TEXT:
    case PST_TYPE_DECIMAL:
    case PST_TYPE_ARRAY:
        break;
    }
    return text.len ? PST_OK : bad_filter(name, "not to be empty", err);
}

static pst_code read_filters(const struct pst_api_call *call, struct pst_record_query *q,
                             struct pst_err *err)
{
    for (size_t i = 0; i < call->item_count; i++) {
        int match = 0;
        const struct pst_query_item *item = &call->items[i];
        const struct pst_filter *filter = pst_api_filter(call->entity, item->name, &match);
        bool own = false;
        for (const struct pst_api_param *p = call->op->params; p->name; p++)
            own = own || pst_str_is(item->name, p->name);
        if (own || !filter)
            continue;
        if (q->filter_count == PST_COUNT(q->filters))
            return PST_FAIL_AT(err, PST_E_INVALID, item->name.ptr, "too many filters");
        struct pst_record_filter *f = &q->filters[q->filter_count++];
        f->filter = filter;
        f->match = (__typeof__(f->match))match;
        PST_TRY(read_filter_value(filter->field, item->name.ptr, item->value, &f->value, err));
    }
    return PST_OK;
}

static enum pst_record_sort read_sort(const struct pst_api_call *call)
{
    pst_str sort = pst_api_query(call, "sort");
    if (pst_str_is(sort, "updated_at"))
        return PST_SORT_UPDATED;
    return pst_str_is(sort, "-updated_at") ? PST_SORT_UPDATED_DESC : PST_SORT_FIRST_SEEN;
}

static enum pst_deleted_filter read_deleted(const struct pst_api_call *call)
{
    pst_str deleted = pst_api_query(call, "deleted");
    if (pst_str_is(deleted, "include"))
        return PST_DELETED_INCLUDE;
    return pst_str_is(deleted, "only") ? PST_DELETED_ONLY : PST_DELETED_EXCLUDE;
}

static pst_code read_query(const struct pst_api_call *call, const struct pst_api_shape *shape,
                           struct pst_record_query *q, struct pst_err *err)
{
    *q = (struct pst_record_query){
        .entity = call->entity,
        .connection_pk = call->connection.pk,
        .deleted = read_deleted(call),
        .sort = read_sort(call),
        .updated_after = pst_api_query_wall(call, "updated_after"),
        .updated_before = pst_api_query_wall(call, "updated_before"),
        .created_after = pst_api_query_wall(call, "created_after"),
        .created_before = pst_api_query_wall(call, "created_before"),
        .synced_after = pst_api_query_wall(call, "synced_after"),
        .synced_before = pst_api_query_wall(call, "synced_before"),
        .with_source = shape->with_source,
        .limit = (size_t)pst_api_query_i64(call, "limit"),
    };
    PST_TRY(read_filters(call, q, err));
    pst_str cursor = pst_api_query(call, "cursor");
    return cursor.ptr ? pst_record_cursor_parse(q, cursor, err) : PST_OK;
}

pst_code pst_api_list_records(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_api_shape shape;
    struct pst_record_query query;
    struct pst_record_position last = {0};
    bool more = false;
    PST_TRY(pst_api_shape_init(&shape, call, err));
    PST_TRY(read_query(call, &shape, &query, err));

    pst_api_json(call, 200);
    struct pst_buf *b = &call->res->body;
    pst_buf_add_lit(b, "{\"data\":[");
    PST_TRY(
        pst_records_list(call->reader, &query, pst_api_write_record, &shape, &last, &more, err));
    pst_buf_add_lit(b, "],\"next_cursor\":");
    if (!more) {
        pst_buf_add_lit(b, "null}");
        return PST_OK;
    }
    char cursor[PST_RECORD_CURSOR];
    pst_record_cursor_format(cursor, &query, &last);
    pst_buf_add_char(b, '"');
    pst_buf_add_str(b, pst_str_from(cursor));
    pst_buf_add_lit(b, "\"}");
    return PST_OK;
}

/* "rec_..." or "source_id:US001|0000000123" */
static pst_code read_record_id(const struct pst_api_call *call, uint8_t raw[PST_ID_RAW],
                               struct pst_err *err)
{
    static const char by_source[] = "source_id:";
    pst_str text = pst_request_param(call->req, "record_id");
    if (pst_str_starts(text, PST_STR("source_id:"))) {
        pst_record_id_raw(raw, pst_id_str(&call->connection.id), pst_str_from(call->entity->name),
                          pst_str_sub(text, sizeof(by_source) - 1, text.len));
        return PST_OK;
    }
    if (!pst_id_parse(raw, "rec_", text))
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no record '%.*s'", PST_STR_ARG(text));
    return PST_OK;
}

pst_code pst_api_get_record(struct pst_api_call *call, struct pst_err *err)
{
    uint8_t id[PST_ID_RAW];
    struct pst_api_shape shape;
    struct pst_record_row row;
    bool found = false;
    PST_TRY(pst_api_shape_init(&shape, call, err));
    PST_TRY(read_record_id(call, id, err));
    PST_TRY(pst_records_get(call->reader, call->entity, call->connection.pk, id, shape.with_source,
                            call->arena, &row, &found, err));
    if (!found)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no record '%.*s'",
                        PST_STR_ARG(pst_request_param(call->req, "record_id")));
    pst_api_json(call, 200);
    return pst_api_write_record(&shape, &row, err);
}
