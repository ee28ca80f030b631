/* peoplesim/change.c: POST /sim/change: which rows, and what happens to them. */
#include <inttypes.h>

#include "peoplesim/control.h"
#include "peoplesim/json.h"

enum { ANSWER_MAX = 4 << 20, COUNT_MAX = 1000000, ASSIGNS_MAX = PST_SIM_COLUMNS_MAX };

static const char *const members[] = {"action", "entity",    "query", "key",   "count",
                                      "seed",   "level",     "set",   "stamp", "between",
                                      "lines",  "schedules", NULL};

/* A request in its parts; the texts lie in the document. */
struct request {
    struct pst_sim_operation op;
    struct pst_sim_assign assigns[ASSIGNS_MAX];
};

static pst_code read_action(yyjson_val *body, struct pst_sim_operation *op, struct pst_err *err)
{
    static const struct {
        const char *name;
        enum pst_sim_action action;
    } actions[] = {{"change", PST_SIM_CHANGE},
                   {"add", PST_SIM_ADD},
                   {"delete", PST_SIM_DELETE},
                   {"restore", PST_SIM_RESTORE}};
    pst_str name = {0};
    PST_TRY(pst_sim_json_str(body, "action", &name, err));
    for (size_t i = 0; i < PST_COUNT(actions); i++)
        if (pst_str_is(name, actions[i].name)) {
            op->action = actions[i].action;
            return PST_OK;
        }
    return PST_FAIL_AT(err, PST_E_INVALID, "action",
                       "'action' must be change, add, delete or restore");
}

static pst_code read_query(yyjson_val *body, struct pst_sim_operation *op, struct pst_err *err)
{
    pst_str entity = {0};
    pst_str query = {0};
    PST_TRY(pst_sim_json_str(body, "entity", &entity, err));
    PST_TRY(pst_sim_json_str(body, "query", &query, err));
    op->query = query.len ? pst_sim_find_query(query) : pst_sim_find_entity(entity);
    if (!op->query)
        return PST_FAIL_AT(err, PST_E_INVALID, query.len ? "query" : "entity", "there is no '%.*s'",
                           PST_STR_ARG(query.len ? query : entity));
    return PST_OK;
}

/* "document", "line", "record" (of which there are as many as the query has levels). */
static pst_code read_level(yyjson_val *body, struct pst_sim_operation *op, struct pst_err *err)
{
    static const char *const names[] = {"document", "line", "record"};
    pst_str name = {0};
    PST_TRY(pst_sim_json_str(body, "level", &name, err));
    for (int i = 0; name.len && i < (int)PST_COUNT(names); i++)
        if (pst_str_is(name, names[i])) {
            op->level = i;
            return PST_OK;
        }
    if (name.len)
        return PST_FAIL_AT(err, PST_E_INVALID, "level", "'level' must be document, line or record");
    return PST_OK;
}

static pst_code read_key(yyjson_val *body, struct pst_sim_operation *op, struct pst_err *err)
{
    yyjson_val *key = yyjson_obj_get(body, "key");
    size_t i = 0;
    size_t max = 0;
    yyjson_val *part = NULL;
    if (!key)
        return PST_OK;
    size_t least = op->query->doc_keys;
    if (!yyjson_is_arr(key) || yyjson_arr_size(key) < least ||
        yyjson_arr_size(key) > op->query->key_count)
        return PST_FAIL_AT(err, PST_E_INVALID, "key", "'key' must be a list of %zu to %zu texts",
                           least, op->query->key_count);
    yyjson_arr_foreach(key, i, max, part)
    {
        if (!yyjson_is_str(part))
            return PST_FAIL_AT(err, PST_E_INVALID, "key", "the parts of 'key' must be texts");
        op->keys[i] = (pst_str){yyjson_get_str(part), yyjson_get_len(part)};
    }
    op->has_key = true;
    op->level = (int)(max - least);
    return PST_OK;
}

static pst_code read_stamp(yyjson_val *body, struct pst_sim_operation *op, struct pst_err *err)
{
    yyjson_val *v = yyjson_obj_get(body, "stamp");
    op->stamp = PST_SIM_STAMP_NOW;
    if (!v || yyjson_is_true(v))
        return PST_OK;
    if (yyjson_is_false(v)) {
        op->stamp = PST_SIM_STAMP_KEEP;
        return PST_OK;
    }
    pst_wall at = {0};
    if (!yyjson_is_str(v) || !pst_wall_parse(&at, (pst_str){yyjson_get_str(v), yyjson_get_len(v)}))
        return PST_FAIL_AT(err, PST_E_INVALID, "stamp",
                           "'stamp' must be true, false or a time like 2026-11-24T10:00:00Z");
    op->stamp = PST_SIM_STAMP_AT;
    op->stamp_us = at.us;
    return PST_OK;
}

static pst_code read_assigns(yyjson_val *body, struct request *r, struct pst_err *err)
{
    yyjson_val *set = yyjson_obj_get(body, "set");
    size_t i = 0;
    size_t max = 0;
    yyjson_val *name = NULL;
    yyjson_val *value = NULL;
    if (!set)
        return PST_OK;
    if (!yyjson_is_obj(set) || yyjson_obj_size(set) > ASSIGNS_MAX)
        return PST_FAIL_AT(err, PST_E_INVALID, "set", "'set' must be an object of columns");
    yyjson_obj_foreach(set, i, max, name, value)
    {
        pst_str text = {yyjson_get_str(name), yyjson_get_len(name)};
        int column = pst_sim_find_column(r->op.query, text);
        if (column < 0 || !yyjson_is_str(value))
            return PST_FAIL_AT(err, PST_E_INVALID, "set",
                               "'%.*s' must be a column of %s, and its value a text",
                               PST_STR_ARG(text), r->op.query->name);
        r->assigns[i] =
            (struct pst_sim_assign){column, {yyjson_get_str(value), yyjson_get_len(value)}};
    }
    r->op.assigns = r->assigns;
    r->op.assign_count = max;
    return PST_OK;
}

static pst_code read_request(yyjson_val *body, struct request *r, struct pst_err *err)
{
    int64_t count = 1;
    int64_t seed = 0;
    int64_t lines = 0;
    int64_t schedules = 0;
    PST_TRY(pst_sim_json_only(body, members, err));
    PST_TRY(read_action(body, &r->op, err));
    PST_TRY(read_query(body, &r->op, err));
    PST_TRY(read_level(body, &r->op, err));
    PST_TRY(read_key(body, &r->op, err));
    PST_TRY(read_stamp(body, &r->op, err));
    PST_TRY(read_assigns(body, r, err));
    PST_TRY(pst_sim_json_int(body, "count", 0, COUNT_MAX, &count, err));
    PST_TRY(pst_sim_json_int(body, "seed", 1, INT64_MAX, &seed, err));
    PST_TRY(pst_sim_json_int(body, "lines", 0, PST_SIM_LINES_MAX / 2, &lines, err));
    PST_TRY(pst_sim_json_int(body, "schedules", 0, 999, &schedules, err));
    PST_TRY(pst_sim_json_bool(body, "between", &r->op.between, err));
    r->op.count = (uint64_t)count;
    r->op.seed = (uint64_t)seed;
    r->op.lines = (uint32_t)lines;
    r->op.subs = (uint32_t)schedules;
    return PST_OK;
}

/* The body goes into the journal as it came; outside of texts a line's end is a blank. */
static pst_code keep_change(struct pst_sim_control *c, const struct pst_sim_operation *op,
                            pst_str body, struct pst_err *err)
{
    PST_AUTO(buf) struct pst_buf line = {.max = ANSWER_MAX};
    pst_buf_addf(&line,
                 "{\"op\":\"change\",\"at\":%" PRId64 ",\"seed\":%" PRIu64 ",\"body\":", op->now_us,
                 op->seed);
    for (size_t i = 0; i < body.len; i++)
        pst_buf_add_char(&line, body.ptr[i] == '\n' || body.ptr[i] == '\r' ? ' ' : body.ptr[i]);
    pst_buf_add_char(&line, '}');
    PST_TRY(pst_buf_check(&line, err));
    return pst_sim_journal_append(c->journal, pst_buf_str(&line), err);
}

pst_code pst_sim_change_apply(struct pst_sim_control *c, pst_str body, uint64_t seed, int64_t at_us,
                              struct pst_buf *out, struct pst_err *err)
{
    PST_AUTO(sim_json) yyjson_doc *doc = NULL;
    PST_AUTO(buf) struct pst_buf keys = {.max = ANSWER_MAX};
    struct request r = {0};
    uint64_t done = 0;
    PST_TRY(pst_sim_json_read(body, &doc, err));
    PST_TRY(read_request(yyjson_doc_get_root(doc), &r, err));
    bool is_replay = at_us != 0;
    if (is_replay)
        r.op.seed = seed;
    else if (r.op.seed == 0)
        r.op.seed = c->operations + 1;
    r.op.now_us = is_replay ? at_us : pst_sim_engine_now(c->gateway->engine);
    PST_TRY(pst_sim_engine_apply(c->gateway->engine, &r.op, &keys, &done, err));
    c->operations++;
    if (!is_replay)
        PST_TRY(keep_change(c, &r.op, body, err));
    pst_buf_addf(out, "{\"done\":%" PRIu64 ",\"keys\":[", done);
    pst_buf_add_str(out, pst_buf_str(&keys));
    pst_buf_add_lit(out, "]}\n");
    return PST_OK;
}

pst_code pst_sim_control_change(void *self, struct pst_request *req, struct pst_response *res,
                                struct pst_err *err)
{
    struct pst_sim_control *c = self;
    pthread_mutex_lock(&c->lock);
    pst_code rc = pst_sim_change_apply(c, req->body, 0, 0, &res->body, err);
    pthread_mutex_unlock(&c->lock);
    return rc;
}
