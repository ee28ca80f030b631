/* peoplesim/trouble.c: the control port's calls for faults and latency. */
#include <inttypes.h>

#include "base/num.h"
#include "peoplesim/control.h"

pst_code pst_sim_control_faults(void *self, struct pst_request *req, struct pst_response *res,
                                struct pst_err *err)
{
    (void)req, (void)err;
    struct pst_sim_control *c = self;
    pst_buf_add_lit(&res->body, "{\"faults\":");
    pst_sim_faults_list(&c->gateway->faults, &res->body);
    pst_buf_add_lit(&res->body, "}\n");
    return PST_OK;
}

static pst_code read_name(yyjson_val *body, const char *name, char out[PST_SIM_FAULT_NAME],
                          struct pst_err *err)
{
    pst_str text = {0};
    PST_TRY(pst_sim_json_str(body, name, &text, err));
    if (!pst_sim_is_plain(text) || !pst_str_copy(out, PST_SIM_FAULT_NAME, text))
        return PST_FAIL_AT(err, PST_E_INVALID, name, "'%s' is no name", name);
    return PST_OK;
}

static pst_code read_probability(yyjson_val *body, uint32_t *per_mille, struct pst_err *err)
{
    yyjson_val *v = yyjson_obj_get(body, "probability");
    double p = yyjson_get_num(v);
    *per_mille = 1000;
    if (!v)
        return PST_OK;
    if (!yyjson_is_num(v) || p < 0 || p > 1)
        return PST_FAIL_AT(err, PST_E_INVALID, "probability",
                           "'probability' must be a number from 0 to 1");
    *per_mille = (uint32_t)(p * 1000 + 0.5);
    return PST_OK;
}

static pst_code read_numbers(yyjson_val *body, struct pst_sim_fault *f, struct pst_err *err)
{
    int64_t count = 0;
    int64_t after = 0;
    int64_t rows = 0;
    int64_t row = 0;
    f->bytes = -1;
    PST_TRY(pst_sim_json_int(body, "count", 0, INT64_MAX, &count, err));
    PST_TRY(pst_sim_json_int(body, "after", 0, INT64_MAX, &after, err));
    PST_TRY(pst_sim_json_int(body, "ms", 0, 3600000, &f->ms, err));
    PST_TRY(pst_sim_json_int(body, "bytes", 0, INT64_MAX, &f->bytes, err));
    PST_TRY(pst_sim_json_int(body, "rows", 0, INT64_MAX, &rows, err));
    PST_TRY(pst_sim_json_int(body, "row", 0, INT64_MAX, &row, err));
    f->count = (uint64_t)count;
    f->after = (uint64_t)after;
    f->rows = (uint64_t)rows;
    f->row = (uint64_t)row;
    return PST_OK;
}

static pst_code read_fault(yyjson_val *body, struct pst_sim_fault *f, struct pst_err *err)
{
    static const char *const members[] = {"kind",  "service", "query",       "column",
                                          "count", "after",   "probability", "ms",
                                          "bytes", "rows",    "row",         NULL};
    pst_str kind = {0};
    PST_TRY(pst_sim_json_only(body, members, err));
    PST_TRY(pst_sim_json_str(body, "kind", &kind, err));
    f->kind = pst_sim_fault_kind_of(kind);
    if (f->kind == PST_SIM_FAULT_NONE)
        return PST_FAIL_AT(err, PST_E_INVALID, "kind", "there is no fault '%.*s'",
                           PST_STR_ARG(kind));
    PST_TRY(read_name(body, "service", f->service, err));
    PST_TRY(read_name(body, "query", f->query, err));
    PST_TRY(read_name(body, "column", f->column, err));
    PST_TRY(read_probability(body, &f->per_mille, err));
    PST_TRY(read_numbers(body, f, err));
    if (f->kind == PST_SIM_FAULT_MISSING_COLUMN && !f->column[0])
        return PST_FAIL_AT(err, PST_E_INVALID, "column", "missing_column needs 'column'");
    if (f->kind == PST_SIM_FAULT_ROW_CAP && f->rows == 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "rows", "row_cap needs 'rows'");
    if (f->kind == PST_SIM_FAULT_SLOW && f->ms == 0)
        return PST_FAIL_AT(err, PST_E_INVALID, "ms", "slow needs 'ms'");
    return PST_OK;
}

pst_code pst_sim_control_add_fault(void *self, struct pst_request *req, struct pst_response *res,
                                   struct pst_err *err)
{
    struct pst_sim_control *c = self;
    PST_AUTO(sim_json) yyjson_doc *doc = NULL;
    struct pst_sim_fault fault = {0};
    uint64_t id = 0;
    PST_TRY(pst_sim_json_read(req->body, &doc, err));
    PST_TRY(read_fault(yyjson_doc_get_root(doc), &fault, err));
    PST_TRY(pst_sim_faults_add(&c->gateway->faults, &fault, &id, err));
    res->status = 201;
    pst_buf_addf(&res->body, "{\"id\":%" PRIu64 "}\n", id);
    return PST_OK;
}

pst_code pst_sim_control_remove_faults(void *self, struct pst_request *req,
                                       struct pst_response *res, struct pst_err *err)
{
    struct pst_sim_control *c = self;
    pst_str text = pst_request_param(req, "id");
    uint64_t id = 0;
    if (text.len && !pst_parse_u64(&id, text, 1, UINT64_MAX))
        return PST_FAIL_AT(err, PST_E_INVALID, "id", "a fault's id is a number");
    size_t removed = pst_sim_faults_remove(&c->gateway->faults, id);
    if (id && removed == 0)
        return PST_FAIL_AT(err, PST_E_NOT_FOUND, "id", "there is no fault %" PRIu64, id);
    pst_buf_addf(&res->body, "{\"removed\":%zu}\n", removed);
    return PST_OK;
}

static void put_latency(struct pst_sim_control *c, struct pst_buf *out)
{
    int64_t ms = 0;
    int64_t jitter = 0;
    pst_sim_faults_latency(&c->gateway->faults, &ms, &jitter);
    pst_buf_addf(out, "{\"ms\":%" PRId64 ",\"jitter_ms\":%" PRId64 "}\n", ms, jitter);
}

pst_code pst_sim_control_latency(void *self, struct pst_request *req, struct pst_response *res,
                                 struct pst_err *err)
{
    (void)req, (void)err;
    put_latency(self, &res->body);
    return PST_OK;
}

pst_code pst_sim_control_set_latency(void *self, struct pst_request *req, struct pst_response *res,
                                     struct pst_err *err)
{
    static const char *const members[] = {"ms", "jitter_ms", NULL};
    struct pst_sim_control *c = self;
    PST_AUTO(sim_json) yyjson_doc *doc = NULL;
    int64_t ms = 0;
    int64_t jitter = 0;
    PST_TRY(pst_sim_json_read(req->body, &doc, err));
    yyjson_val *body = yyjson_doc_get_root(doc);
    PST_TRY(pst_sim_json_only(body, members, err));
    PST_TRY(pst_sim_json_int(body, "ms", 0, 3600000, &ms, err));
    PST_TRY(pst_sim_json_int(body, "jitter_ms", 0, 3600000, &jitter, err));
    pst_sim_faults_set_latency(&c->gateway->faults, ms, jitter);
    put_latency(c, &res->body);
    return PST_OK;
}
