/* api/events.c: what happened: the outbox as a list, followed with long-poll, and the types. */
#include "store/events.h"
#include "api/hooks.h"
#include "event/event.h"

/* Bodies may be large, so a page ends early. */
enum { PAGE_BYTES = 8 << 20, SAMPLE_BYTES = 64 << 10 };

static struct pst_event_query query_of(const struct pst_api_call *call)
{
    return (struct pst_event_query){
        .organization_pk = call->organization_pk,
        .types = pst_api_query(call, "types"),
        .since = pst_api_query_wall(call, "since"),
        .until = pst_api_query_wall(call, "until"),
        .limit = (size_t)pst_api_query_i64(call, "limit"),
    };
}

/* Events lie in the loop's own scratch arena: a page of large ones is more than a request has. */
static struct pst_arena *scratch_of(const struct pst_api_call *call)
{
    return call->api->loops[call->req->loop].scratch;
}

/* The bodies as they were sent; *written tells how many found room. */
static void put_bodies(struct pst_json_writer *w, const struct pst_event *list, size_t count,
                       size_t *written)
{
    pst_json_add_array(w, "data");
    for (*written = 0; *written < count && w->buf->len < PAGE_BYTES; ++*written)
        pst_json_put_raw(w, list[*written].body);
    pst_json_end_array(w);
}

/* ---- newest first ---- */

static pst_code write_list(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_event *list = NULL;
    size_t count = 0;
    size_t written = 0;
    bool more = false;
    int64_t last = 0;
    struct pst_event_query query = query_of(call);
    pst_arena_reset(scratch_of(call));
    PST_TRY(pst_api_cursor_read(call, &query.before_pk, err));
    PST_TRY(pst_api_query_connection(call, 0, &query.connection_pk, err));
    if (query.before_pk == 0)
        query.before_pk = INT64_MAX;
    PST_TRY(
        pst_events_list(call->reader, &query, scratch_of(call), &list, &count, &last, &more, err));
    pst_api_begin(call, &w);
    put_bodies(&w, list, count, &written);
    if (written < count)
        pst_api_cursor_write(call, &w, true, list[written - 1].pk);
    else
        pst_api_cursor_write(call, &w, more, last);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* ---- following ---- */

/* The organization's event at pk, or the next one before it; *found false: there is none. */
static pst_code event_upto(const struct pst_api_call *call, int64_t pk, struct pst_event *out,
                           bool *found, struct pst_err *err)
{
    struct pst_event *list = NULL;
    size_t count = 0;
    int64_t last = 0;
    bool more = false;
    struct pst_event_query query = {
        .organization_pk = call->organization_pk,
        .since = PST_WALL_NONE,
        .until = PST_WALL_NONE,
        .before_pk = pk < INT64_MAX ? pk + 1 : pk,
        .limit = 1,
    };
    PST_TRY(pst_events_list(call->reader, &query, call->arena, &list, &count, &last, &more, err));
    *found = count == 1;
    if (*found)
        *out = list[0];
    return PST_OK;
}

static pst_code read_after(struct pst_api_call *call, int64_t *pk, struct pst_err *err)
{
    pst_str after = pst_api_query(call, "after");
    struct pst_event event;
    bool found = false;
    *pk = 0;
    if (pst_str_is(after, "oldest"))
        return PST_OK;
    if (pst_str_is(after, "newest")) {
        PST_TRY(event_upto(call, INT64_MAX, &event, &found, err));
        *pk = found ? event.pk : 0;
        return PST_OK;
    }
    if (!pst_id_parse(NULL, "evt_", after))
        return PST_FAIL_AT(err, PST_E_INVALID, "after",
                           "'after' is the id of an event (evt_...), 'newest' or 'oldest'");
    pst_code code =
        pst_events_get(call->reader, call->organization_pk, after, call->arena, &event, err);
    if (code == PST_E_NOT_FOUND)
        return PST_FAIL_AT(err, PST_E_EXPIRED, "after",
                           "there is no event '%.*s', or it is no longer kept: go on with "
                           "'oldest', which begins with the oldest that is",
                           PST_STR_ARG(after));
    *pk = event.pk;
    return code;
}

/* The id of the last event that was looked at, where the next call goes on; null: there is none
 * yet. */
static pst_code put_next_after(struct pst_json_writer *w, const struct pst_api_call *call,
                               int64_t pk, struct pst_err *err)
{
    struct pst_event event;
    bool found = false;
    if (pk > 0)
        PST_TRY(event_upto(call, pk, &event, &found, err));
    if (found)
        pst_json_add_str(w, "next_after", pst_id_str(&event.id));
    else
        pst_json_add_null(w, "next_after");
    return PST_OK;
}

/* One page to the (emptied) answer; *got: there is a reason to answer at once. */
static pst_code write_page(struct pst_api_call *call, bool *got, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_event *list = NULL;
    size_t count = 0;
    size_t written = 0;
    bool more = false;
    int64_t last = 0;
    struct pst_event_query query = query_of(call);
    query.after_pk = call->after_pk;
    pst_arena_reset(scratch_of(call));
    PST_TRY(pst_api_query_connection(call, 0, &query.connection_pk, err));
    PST_TRY(
        pst_events_list(call->reader, &query, scratch_of(call), &list, &count, &last, &more, err));
    pst_response_reset(call->res);
    pst_api_begin(call, &w);
    put_bodies(&w, list, count, &written);
    if (written < count)
        last = list[written - 1].pk;
    PST_TRY(put_next_after(&w, call, last > call->after_pk ? last : call->after_pk, err));
    pst_json_end_object(&w);
    *got = count > 0 || more;
    return pst_json_finish(&w, err);
}

pst_code pst_api_list_events(struct pst_api_call *call, struct pst_err *err)
{
    int64_t wait_s = pst_api_query_i64(call, "wait");
    PST_TRY(pst_hook_types_check(call, "types", err));
    if (!pst_api_query(call, "after").ptr) {
        if (wait_s > 0)
            return PST_FAIL_AT(err, PST_E_INVALID, "wait",
                               "'wait' goes with 'after': the newest event so far has nothing to "
                               "wait for");
        return write_list(call, err);
    }
    if (pst_api_query(call, "cursor").ptr)
        return PST_FAIL_AT(err, PST_E_INVALID, "cursor",
                           "'cursor' does not go with 'after', which says itself where to go on");
    PST_TRY(read_after(call, &call->after_pk, err));
    return pst_api_look_or_wait(call, pst_topic_events_of(call->organization_pk), wait_s,
                                write_page, err);
}

pst_code pst_api_get_event(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_event event;
    pst_str id = pst_request_param(call->req, "event_id");
    pst_code code =
        pst_events_get(call->reader, call->organization_pk, id, call->arena, &event, err);
    if (code == PST_E_NOT_FOUND)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no event '%.*s', or it is no longer kept",
                        PST_STR_ARG(pst_str_sub(id, 0, 100)));
    PST_TRY(code);
    pst_api_json(call, 200);
    pst_buf_add_str(&call->res->body, event.body);
    return pst_buf_check(&call->res->body, err);
}

/* ---- types ---- */

void pst_api_put_sample(struct pst_json_writer *w, const struct pst_event_type *type)
{
    const char *name = strcmp(type->name, "flow.*") == 0 ? "flow.large_order" : type->name;
    pst_json_begin_object(w);
    pst_json_add_z(w, "id", "evt_01m85gjr84fn2tvxyf0ejj4x3j");
    pst_json_add_z(w, "type", name);
    pst_json_add_z(w, "timestamp", "2026-11-24T06:30:00Z");
    pst_json_add_z(w, "organization_id", "org_01m85gjr84ejeexv9gtrm0sgmb");
    pst_json_add_z(w, "connection_id",
                   type->of_connection ? "conn_01m85gjr84e0c8sarp5fd9zzf8" : NULL);
    pst_json_add_raw(w, "data", pst_str_from(type->sample));
    pst_json_end_object(w);
}

static pst_code put_type(struct pst_json_writer *w, const struct pst_event_type *type,
                         struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf schema = {.max = SAMPLE_BYTES};
    pst_event_schema(&schema, type);
    PST_TRY(pst_buf_check(&schema, err));
    pst_json_begin_object(w);
    pst_json_add_z(w, "type", type->name);
    pst_json_add_i64(w, "version", type->version);
    pst_json_add_z(w, "description", type->description);
    pst_json_add_raw(w, "schema", pst_buf_str(&schema));
    pst_json_put_name(w, PST_STR("sample"));
    pst_api_put_sample(w, type);
    pst_json_end_object(w);
    return PST_OK;
}

pst_code pst_api_list_event_types(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < pst_event_type_count; i++)
        PST_TRY(put_type(&w, &pst_event_types[i], err));
    pst_json_end_array(&w);
    pst_json_add_null(&w, "next_cursor");
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
