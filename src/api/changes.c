/* api/changes.c: the change feed, with long-poll. */
#include "api/internal.h"

struct page {
    struct pst_json_writer w;
    size_t count;
};

static pst_code put_change(void *self, const struct pst_change_row *row, struct pst_err *err)
{
    static const char *const ops[] = {
        [PST_CHANGE_CREATED] = "created",
        [PST_CHANGE_UPDATED] = "updated",
        [PST_CHANGE_DELETED] = "deleted",
    };
    (void)err;
    struct page *page = self;
    struct pst_json_writer *w = &page->w;
    struct pst_id id = pst_id_format("rec_", row->id);
    page->count++;
    pst_json_begin_object(w);
    pst_json_add_i64(w, "seq", row->seq);
    pst_json_add_z(w, "entity", row->entity->name);
    pst_json_add_z(w, "op", ops[row->op]);
    pst_json_add_str(w, "record_id", pst_id_str(&id));
    pst_json_add_wall(w, "at", row->at);
    if (row->fields.len)
        pst_json_add_raw(w, "fields", row->fields);
    else
        pst_json_add_null(w, "fields");
    if (row->sync_id.text[0])
        pst_json_add_str(w, "sync_id", pst_id_str(&row->sync_id));
    else
        pst_json_add_null(w, "sync_id");
    pst_json_end_object(w);
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

/* Write one page to the (emptied) answer; *count tells how many changes are in it. */
static pst_code write_page(struct pst_api_call *call, size_t *count, struct pst_err *err)
{
    struct page page = {.count = 0};
    uint64_t entities = 0;
    int64_t scanned = 0;
    int64_t newest = 0;
    PST_TRY(read_entities(call, &entities, err));
    pst_response_reset(call->res);
    pst_api_begin(call, &page.w);
    pst_json_add_array(&page.w, "data");
    PST_TRY(pst_changes_list(call->reader, call->connection.pk, pst_api_query_i64(call, "after"),
                             entities, (size_t)pst_api_query_i64(call, "limit"), put_change, &page,
                             &scanned, &newest, err));
    pst_json_end_array(&page.w);
    pst_json_add_i64(&page.w, "next_after", scanned);
    pst_json_add_i64(&page.w, "last_seq", newest);
    pst_json_end_object(&page.w);
    *count = page.count;
    return pst_json_finish(&page.w, err);
}

static pst_code look_or_wait(struct pst_api_call *call, struct pst_err *err);

static pst_code woken(void *data, struct pst_request *req, struct pst_response *res,
                      enum pst_wake why, struct pst_err *err)
{
    (void)res;
    struct pst_api_call *call = data;
    pst_api_unwait(call);
    if (why == PST_WAKE_GONE)
        return PST_OK;
    if (why != PST_WAKE_RESUMED)
        call->wait_until = req->now; /* answer with what there is, even nothing */
    return look_or_wait(call, err);
}

static pst_code look_or_wait(struct pst_api_call *call, struct pst_err *err)
{
    size_t count = 0;
    if (call->wait_until.ns <= call->req->now.ns)
        return write_page(call, &count, err);
    struct pst_suspend how = {
        .resumed = woken,
        .data = call,
        .deadline = call->wait_until,
    };
    call->ticket = pst_server_suspend(call->req, &how);
    PST_TRY(pst_api_wait(call, err));
    pst_code code = write_page(call, &count, err);
    if (code == PST_OK && count == 0)
        return PST_OK;
    pst_api_unwait(call);
    pst_server_unsuspend(call->req);
    return code;
}

pst_code pst_api_list_changes(struct pst_api_call *call, struct pst_err *err)
{
    int64_t wait_s = pst_api_query_i64(call, "wait");
    call->wait_until = pst_mono_after_ms(call->req->now, wait_s * 1000);
    return look_or_wait(call, err);
}
