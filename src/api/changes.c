/* api/changes.c: the change feed, with long-poll. */
#include "api/internal.h"

struct page {
    struct pst_buf *out;
    size_t count;
    struct pst_api_wall at;
};

/* Room for all of a change but its entity and the names of its fields. */
enum { CHANGE_BYTES = 512 };

static char *put(char *p, pst_str text)
{
    memcpy(p, text.ptr, text.len);
    return p + text.len;
}

/* Written through a pointer: a page of changes is hardly anything but this. */
static pst_code put_change(void *self, const struct pst_change_row *row, struct pst_err *err)
{
    static const pst_str ops[] = {
        [PST_CHANGE_CREATED] = PST_STR_INIT("created"),
        [PST_CHANGE_UPDATED] = PST_STR_INIT("updated"),
        [PST_CHANGE_DELETED] = PST_STR_INIT("deleted"),
    };
    struct page *page = self;
    struct pst_buf *b = page->out;
    pst_str entity = pst_str_from(row->entity->name);
    struct pst_id id = pst_id_format("rec_", row->id);
    pst_str sync = pst_id_str(&row->sync_id);
    pst_buf_add_str(b, page->count++ ? PST_STR(",{\"seq\":") : PST_STR("{\"seq\":"));
    pst_buf_add_i64(b, row->seq);
    if (!pst_buf_reserve(b, CHANGE_BYTES + entity.len + row->fields.len))
        return pst_buf_check(b, err);
    char *p = put(b->ptr + b->len, PST_STR(",\"entity\":\""));
    p = put(p, entity);
    p = put(p, PST_STR("\",\"op\":\""));
    p = put(p, ops[row->op]);
    p = put(p, PST_STR("\",\"record_id\":\""));
    p = put(p, pst_id_str(&id));
    p = put(p, PST_STR("\",\"at\":\""));
    p = pst_api_put_wall(&page->at, p, row->at);
    p = put(p, PST_STR("\",\"fields\":"));
    p = put(p, row->fields.len ? row->fields : PST_STR("null"));
    p = put(p, sync.len ? PST_STR(",\"sync_id\":\"") : PST_STR(",\"sync_id\":null}"));
    if (sync.len)
        p = put(put(p, sync), PST_STR("\"}"));
    *p = '\0';
    b->len = (size_t)(p - b->ptr);
    return PST_OK;
}

/* "suppliers,items" -> bit per entity; 0 when not given. */
static pst_code read_entities(const struct pst_api_call *call, uint64_t *bits, struct pst_err *err)
{
    pst_str left = pst_api_query(call, "entities");
    *bits = 0;
    while (left.len) {
        pst_str name = pst_str_split(&left, ',');
        const struct pst_entity *entity = pst_model_entity(name);
        if (!entity)
            entity = pst_model_entity_by_path(name);
        if (!entity)
            return PST_FAIL_AT(err, PST_E_INVALID, "entities", "there is no entity '%.*s'",
                               PST_STR_ARG(name));
        *bits |= 1ULL << pst_model_entity_index(entity);
    }
    return PST_OK;
}

/* Write one page to the (emptied) answer. *got: there is a change in it, or something behind it; a
 * page may also be empty because all that the feed looked through was filtered out. */
static pst_code write_page(struct pst_api_call *call, bool *got, struct pst_err *err)
{
    struct pst_buf *b = &call->res->body;
    struct page page = {.out = b};
    uint64_t entities = 0;
    int64_t scanned = 0;
    int64_t newest = 0;
    PST_TRY(read_entities(call, &entities, err));
    pst_response_reset(call->res);
    pst_api_put_limits(call, call->res);
    pst_api_json(call, call->op->status);
    pst_buf_add_lit(b, "{\"data\":[");
    PST_TRY(pst_changes_list(call->reader, call->connection.pk, pst_api_query_i64(call, "after"),
                             entities, (size_t)pst_api_query_i64(call, "limit"), put_change, &page,
                             &scanned, &newest, err));
    pst_buf_add_lit(b, "],\"next_after\":");
    pst_buf_add_i64(b, scanned);
    pst_buf_add_lit(b, ",\"last_seq\":");
    pst_buf_add_i64(b, newest);
    pst_buf_add_char(b, '}');
    *got = page.count > 0 || scanned != newest;
    return pst_buf_check(b, err);
}

pst_code pst_api_list_changes(struct pst_api_call *call, struct pst_err *err)
{
    return pst_api_look_or_wait(call, call->connection.pk, pst_api_query_i64(call, "wait"),
                                write_page, err);
}
