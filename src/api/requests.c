/* api/requests.c: looking up what was asked: one request with its calls and verdict, and lists. */
#include "api/internal.h"

enum { CALLS_MAX = 200 };

/* ---- who may see what: the operator all, a key its organization's, a token its connection's ----
 */

/* 0: all. The operator may narrow it to one organization by naming it. */
static int64_t visible_organization(const struct pst_api_call *call)
{
    bool is_named = pst_request_header(call->req, "Penstock-Organization", NULL).len > 0;
    return call->caller == PST_CALLER_OPERATOR && !is_named ? 0 : call->organization_pk;
}

static bool is_visible(const struct pst_api_call *call, const struct pst_request_row *row)
{
    int64_t organization_pk = visible_organization(call);
    if (organization_pk && row->organization_pk != organization_pk)
        return false;
    return call->caller != PST_CALLER_TOKEN || row->connection_pk == call->access.connection_pk;
}

/* ---- writing ---- */

static void put_text(struct pst_json_writer *w, const char *name, const char *text)
{
    pst_json_add_z(w, name, text[0] ? text : NULL);
}

/* The pattern that an operation answers; NULL: there is no such operation in this version. */
static const char *route_of(const char *operation)
{
    for (size_t i = 0; i < pst_api_op_count; i++) {
        if (strcmp(pst_api_ops[i].id, operation) == 0)
            return pst_api_ops[i].path;
    }
    return NULL;
}

static void put_request(struct pst_json_writer *w, const struct pst_request_row *r)
{
    char trace[PST_TRACE_TEXT];
    struct pst_id id = pst_id_format("req_", r->id);
    pst_trace_format_id(trace, r->trace_id);
    pst_json_add_str(w, "id", pst_id_str(&id));
    pst_json_add_wall(w, "at", r->at);
    put_text(w, "operation", r->operation);
    put_text(w, "method", r->method);
    pst_json_add_z(w, "route", route_of(r->operation));
    pst_json_add_i64(w, "status", r->status);
    put_text(w, "code", r->code);
    put_text(w, "detail", r->detail);
    pst_json_add_i64(w, "duration_us", r->duration_us);
    pst_json_add_i64(w, "bytes", (int64_t)r->bytes);
    put_text(w, "caller", r->actor.text);
    put_text(w, "organization_id", r->organization_id.text);
    put_text(w, "connection_id", r->connection_id.text);
    put_text(w, "sync_id", r->sync_id.text);
    pst_json_add_z(w, "trace_id", trace);
}

static void put_call(struct pst_json_writer *w, const struct pst_call_row *c)
{
    const struct {
        const char *name;
        int64_t us;
    } steps[] = {
        {"waiting", c->waited_us},        {"dns", c->dns_us},
        {"connect", c->connect_us},       {"tls", c->tls_us},
        {"first_byte", c->first_byte_us}, {"total", c->total_us},
    };
    pst_json_begin_object(w);
    pst_json_add_i64(w, "number", c->number);
    pst_json_add_wall(w, "at", c->at);
    pst_json_add_z(w, "origin", c->origin);
    pst_json_add_z(w, "method", c->method);
    pst_json_add_z(w, "path", c->path);
    if (c->status)
        pst_json_add_i64(w, "status", c->status);
    else
        pst_json_add_null(w, "status");
    pst_json_add_i64(w, "bytes", (int64_t)c->bytes);
    put_text(w, "fault", c->fault);
    put_text(w, "code", c->code);
    put_text(w, "error", c->error);
    pst_json_add_object(w, "times_us");
    for (size_t i = 0; i < PST_COUNT(steps); i++)
        pst_json_add_i64(w, steps[i].name, steps[i].us);
    pst_json_end_object(w);
    pst_json_end_object(w);
}

void pst_api_put_calls(struct pst_json_writer *w, const struct pst_call_row *calls, size_t count)
{
    pst_json_add_array(w, "calls");
    for (size_t i = 0; i < count; i++)
        put_call(w, &calls[i]);
    pst_json_end_array(w);
}

/* ---- one ---- */

static pst_code no_such_request(const struct pst_api_call *call, struct pst_err *err)
{
    return PST_FAIL(err, PST_E_NOT_FOUND, "there is no request '%.*s', or it is not kept any more",
                    PST_STR_ARG(pst_request_param(call->req, "request_id")));
}

static pst_code find_request(struct pst_api_call *call, struct pst_request_row *row,
                             struct pst_err *err)
{
    const struct pst_api_journal *j = &call->api->options.journal;
    pst_str id = pst_request_param(call->req, "request_id");
    if (!j->find || !j->find(j->self, id, row)) {
        pst_code code = pst_requests_get(call->reader, visible_organization(call), id, row, err);
        if (code == PST_E_NOT_FOUND)
            return no_such_request(call, err);
        PST_TRY(code);
    }
    return is_visible(call, row) ? PST_OK : no_such_request(call, err);
}

/* What was stored at this moment is in both places. */
static bool is_among(const struct pst_call_row *list, size_t n, const struct pst_call_row *call)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].number == call->number && list[i].at.us == call->at.us)
            return true;
    }
    return false;
}

/* Stored ones, and those that are not stored yet behind them. These are looked for first: what is
 * stored in between is then found in both places, and not in none. */
pst_code pst_api_find_calls(struct pst_api_call *call, pst_str id, struct pst_call_row **out,
                            size_t *count, struct pst_err *err)
{
    const struct pst_api_journal *j = &call->api->options.journal;
    struct pst_call_row *all = NULL;
    struct pst_call_row *fresh = NULL;
    size_t n = 0;
    PST_TRY(pst_arena_array(call->arena, &fresh, CALLS_MAX, sizeof(*fresh), err));
    if (j->calls)
        n = j->calls(j->self, id, fresh, CALLS_MAX);
    PST_TRY(pst_calls_of(call->reader, id, CALLS_MAX, call->arena, out, count, err));
    PST_TRY(pst_arena_array(call->arena, &all, *count + n, sizeof(*all), err));
    size_t stored = *count;
    if (stored)
        memcpy(all, *out, stored * sizeof(*all));
    for (size_t i = 0; i < n; i++) {
        if (!is_among(all, stored, &fresh[i]))
            all[(*count)++] = fresh[i];
    }
    size_t surplus = *count > CALLS_MAX ? *count - CALLS_MAX : 0;
    *out = all + surplus;
    *count -= surplus;
    return PST_OK;
}

pst_code pst_api_find_calls_until(struct pst_api_call *call,
                                  const struct pst_connection *connection, pst_wall until,
                                  struct pst_call_row **out, size_t *count, struct pst_err *err)
{
    const struct pst_api_journal *j = &call->api->options.journal;
    struct pst_call_row *stored = NULL;
    struct pst_call_row *fresh = NULL;
    struct pst_call_row *all = NULL;
    size_t n = 0;
    size_t stored_count = 0;
    PST_TRY(pst_arena_array(call->arena, &fresh, CALLS_MAX, sizeof(*fresh), err));
    PST_TRY(pst_arena_array(call->arena, &all, 2 * CALLS_MAX, sizeof(*all), err));
    if (j->calls && connection->pk)
        n = j->calls(j->self, pst_id_str(&connection->id), fresh, CALLS_MAX);
    PST_TRY(pst_calls_of_connection(call->reader, connection->pk, until, CALLS_MAX, call->arena,
                                    &stored, &stored_count, err));
    *count = 0;
    for (size_t i = n; i-- > 0;) { /* the journal gives the oldest first */
        if (fresh[i].at.us <= until.us)
            all[(*count)++] = fresh[i];
    }
    for (size_t i = 0, known = *count; i < stored_count; i++) {
        if (!is_among(all, known, &stored[i]))
            all[(*count)++] = stored[i];
    }
    *out = all;
    return PST_OK;
}

pst_code pst_api_get_request(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_request_row row;
    struct pst_call_row *calls = NULL;
    size_t count = 0;
    PST_TRY(find_request(call, &row, err));
    PST_TRY(
        pst_api_find_calls(call, pst_request_param(call->req, "request_id"), &calls, &count, err));
    pst_api_begin(call, &w);
    put_request(&w, &row);
    pst_api_put_calls(&w, calls, count);
    PST_TRY(pst_api_put_diagnosis(&w, call, &row, calls, count, err));
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

/* ---- many ---- */

static pst_code read_connection(struct pst_api_call *call, int64_t *pk, struct pst_err *err)
{
    struct pst_connection connection;
    pst_str id = pst_api_query(call, "connection_id");
    *pk = call->caller == PST_CALLER_TOKEN ? call->access.connection_pk : 0;
    if (id.len == 0)
        return PST_OK;
    pst_code code = pst_connections_get_deleted(call->reader, visible_organization(call), id,
                                                call->arena, &connection, err);
    bool is_foreign = code == PST_OK && *pk && *pk != connection.pk;
    if (code == PST_E_NOT_FOUND || is_foreign)
        return PST_FAIL(err, PST_E_NOT_FOUND, "there is no connection '%.*s'", PST_STR_ARG(id));
    PST_TRY(code);
    *pk = connection.pk;
    return PST_OK;
}

pst_code pst_api_list_requests(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_request_row *list = NULL;
    size_t count = 0;
    int64_t last_pk = 0;
    bool more = false;
    struct pst_request_query q = {
        .organization_pk = visible_organization(call),
        .code = pst_api_query(call, "code"),
        .status = pst_api_query_i64(call, "status"),
        .since = pst_api_query_wall(call, "since"),
        .until = pst_api_query_wall(call, "until"),
        .limit = (size_t)pst_api_query_i64(call, "limit"),
    };
    PST_TRY(pst_api_cursor_read(call, &q.before_pk, err));
    PST_TRY(read_connection(call, &q.connection_pk, err));
    PST_TRY(pst_requests_list(call->reader, &q, call->arena, &list, &count, &last_pk, &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++) {
        pst_json_begin_object(&w);
        put_request(&w, &list[i]);
        pst_json_end_object(&w);
    }
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, last_pk);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
