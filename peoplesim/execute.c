/* peoplesim/execute.c: ExecuteQuery: parameters to a select, rows to the answer. */
#include <inttypes.h>
#include <stdio.h>

#include "base/num.h"
#include "peoplesim/gateway.h"

enum { ENVELOPE_BYTES = 256, ROW_BYTES = 1100, LISTED_MAX = PST_SIM_COLUMNS_MAX };

/* What is wrong with a request, in PeopleSoft's words. */
struct refusal {
    char text[256];
};

static const char wrong_prompts[] =
    "The prompt names or values do not match those of query %s. (139,262)";
static const char no_number[] =
    "SQL error. Stmt #: 8553  Error Position: 0  Return: 1722 - ORA-01722: invalid number (2,116)";
static const char no_date[] =
    "SQL error. Stmt #: 8553  Error Position: 0  Return: 1858 - ORA-01858: a non-numeric character "
    "was found where a numeric was expected (2,116)";

static bool refuse(struct refusal *why, const char *text)
{
    (void)snprintf(why->text, sizeof(why->text), "%s", text);
    return false;
}

/* Split at commas, empty slots kept; returns how many (at most max + 1). */
static size_t split_list(pst_str text, pst_str *out, size_t max)
{
    size_t n = 0;
    pst_str rest = text;
    do {
        pst_str item = pst_str_split(&rest, ',');
        if (n < max)
            out[n] = item;
        n++;
    } while (rest.ptr && n <= max);
    return n;
}

/* ---- prompts ---- */

static int find_prompt(const struct pst_sim_prompt *prompts, size_t count, pst_str name)
{
    for (size_t i = 0; i < count; i++)
        if (pst_str_is(name, prompts[i].name))
            return (int)i;
    return -1;
}

/* Values by prompt of the query. false: names or counts are wrong. */
static bool read_prompts(const struct pst_sim_call *call, const struct pst_sim_prompt *prompts,
                         size_t count, pst_str values[PST_SIM_PROMPTS_MAX])
{
    pst_str names_text = pst_sim_param(call, "prompt_uniquepromptname");
    pst_str values_text = pst_sim_param(call, "prompt_fieldvalue");
    if (count == 0)
        return names_text.len == 0;
    pst_str names[PST_SIM_PROMPTS_MAX];
    pst_str given[PST_SIM_PROMPTS_MAX];
    bool is_set[PST_SIM_PROMPTS_MAX] = {0};
    size_t n = split_list(names_text, names, PST_SIM_PROMPTS_MAX);
    if (n != count || split_list(values_text, given, PST_SIM_PROMPTS_MAX) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int at = find_prompt(prompts, count, names[i]);
        if (at < 0 || is_set[at])
            return false;
        is_set[at] = true;
        values[at] = given[i];
    }
    return true;
}

static bool set_time(int64_t *out, pst_str text, struct refusal *why)
{
    if (text.len == 0)
        return true;
    if (!pst_sim_dttm_read(out, text))
        return refuse(why, no_date);
    return true;
}

/* Put the prompt values into the select. false: the database would refuse them. */
static bool use_prompts(const struct pst_sim_world *w, const struct pst_sim_prompt *prompts,
                        size_t count, const pst_str values[PST_SIM_PROMPTS_MAX],
                        struct pst_sim_select *q, struct refusal *why)
{
    pst_str keys[PST_SIM_KEYS_MAX] = {0};
    struct pst_err err;
    for (size_t i = 0; i < count; i++) {
        switch (prompts[i].kind) {
        case PST_SIM_PROMPT_FROM:
            if (!set_time(&q->window.from, values[i], why))
                return false;
            break;
        case PST_SIM_PROMPT_TO:
            if (!set_time(&q->window.to, values[i], why))
                return false;
            break;
        case PST_SIM_PROMPT_ASOF:
            if (values[i].len && !pst_sim_date_read(&q->asof_day, values[i]))
                return refuse(why, no_date);
            break;
        case PST_SIM_PROMPT_AFTER:
            keys[prompts[i].key] = values[i];
            break;
        }
    }
    if (pst_sim_position_of(w, q->query, keys, &q->after, &err) != PST_OK)
        return refuse(why, no_number);
    return true;
}

static bool take_prompts(const struct pst_sim_call *call, struct pst_sim_select *q,
                         struct refusal *why)
{
    struct pst_sim_prompt prompts[PST_SIM_PROMPTS_MAX];
    pst_str values[PST_SIM_PROMPTS_MAX] = {0};
    size_t count = pst_sim_prompts(q->query, prompts);
    if (call->effects.prompts_ignored)
        return true;
    if (!read_prompts(call, prompts, count, values)) {
        if (call->gateway->wrong == PST_SIM_WRONG_IGNORE)
            return true; /* every row is returned, as some releases do */
        (void)snprintf(why->text, sizeof(why->text), wrong_prompts, q->query->name);
        return false;
    }
    return use_prompts(pst_sim_engine_world(call->gateway->engine), prompts, count, values, q, why);
}

/* ---- the other parameters ---- */

static bool take_rows(const struct pst_sim_call *call, struct pst_sim_select *q,
                      struct refusal *why)
{
    const uint64_t caps[] = {call->gateway->row_cap, call->effects.row_cap};
    int64_t max = 0;
    if (!pst_parse_i64(&max, pst_sim_param(call, "maxrows"), 0, INT64_MAX))
        return refuse(why, "Required variable maxrows is missing or not a number. (158,10503)");
    q->max_rows = (uint64_t)max;
    for (size_t i = 0; i < PST_COUNT(caps); i++)
        if (caps[i] && (q->max_rows == 0 || q->max_rows > caps[i]))
            q->max_rows = caps[i];
    return true;
}

static bool take_columns(const struct pst_sim_call *call, struct pst_sim_select *q,
                         struct refusal *why)
{
    pst_str text = pst_sim_param(call, "filterfields");
    pst_str names[LISTED_MAX];
    q->columns = PST_SIM_ALL_COLUMNS;
    if (text.len == 0)
        return true;
    size_t n = split_list(text, names, LISTED_MAX);
    uint64_t wanted = 0;
    bool is_wrong = n > LISTED_MAX;
    for (size_t i = 0; i < n && !is_wrong; i++) {
        int c = pst_sim_find_column(q->query, names[i]);
        if (c >= 0)
            wanted |= 1ULL << c;
        else
            is_wrong = call->gateway->wrong == PST_SIM_WRONG_ERROR;
    }
    if (is_wrong)
        return refuse(why, "A field of filterfields is not in the query. (139,263)");
    if (wanted)
        q->columns = wanted;
    return true;
}

/* ---- damaged rows ---- */

static int first_of_type(const struct pst_sim_query *q, enum pst_sim_fault_kind kind)
{
    for (size_t i = 0; i < q->column_count; i++) {
        enum pst_sim_type t = q->columns[i].type;
        if ((kind == PST_SIM_FAULT_BAD_STAMP && t == PST_SIM_DATETIME) ||
            (kind == PST_SIM_FAULT_BAD_NUMBER && t == PST_SIM_SIGNED) ||
            (kind == PST_SIM_FAULT_BAD_UTF8 && t == PST_SIM_CHAR &&
             q->columns[i].flag == PST_SIM_PLAIN))
            return (int)i;
    }
    return -1;
}

static void take_spoil(const struct pst_sim_call *call, struct pst_sim_select *q,
                       struct pst_sim_spoil *spoil)
{
    const struct pst_sim_effects *e = &call->effects;
    const char *raw = e->row_kind == PST_SIM_FAULT_BAD_STAMP    ? "\"2026-13-45-99.99.99.000000\""
                      : e->row_kind == PST_SIM_FAULT_BAD_NUMBER ? "\"1.2.3\""
                                                                : "\"broken \xff\xc3 text\"";
    if (e->row_kind == PST_SIM_FAULT_NONE)
        return;
    *spoil = (struct pst_sim_spoil){.row = e->row ? e->row : 1};
    spoil->column = e->column[0] ? pst_sim_find_column(q->query, pst_str_from(e->column))
                                 : first_of_type(q->query, e->row_kind);
    if (spoil->column < 0)
        return;
    spoil->drop = e->row_kind == PST_SIM_FAULT_MISSING_COLUMN;
    (void)snprintf(spoil->raw, sizeof(spoil->raw), "%s", raw);
    if (spoil->drop && e->row == 0)
        q->columns &= ~(1ULL << spoil->column);
    else
        q->spoil = spoil;
}

/* ---- the call ---- */

static pst_code write_rows(struct pst_sim_call *call, const struct pst_sim_select *q,
                           struct pst_response *res, struct pst_err *err)
{
    struct pst_sim_gateway *g = call->gateway;
    struct pst_sim_selected got;
    size_t guess =
        ENVELOPE_BYTES + (q->max_rows && q->max_rows < 5000 ? q->max_rows : 5000) * ROW_BYTES;
    if (q->query->entity != PST_SIM_CLOCK)
        (void)pst_buf_reserve(&res->body, guess < g->answer_max ? guess : g->answer_max);
    pst_code rc = pst_sim_engine_select(g->engine, q, &res->body, &got, err);
    if (rc != PST_OK) {
        /* An answer of that size makes the application server run out of memory. */
        pst_buf_fini(&res->body);
        pst_sim_fail_ib(g, res, 500,
                        "Integration Gateway - ExternalApplicationException: PSAPPSRV ended "
                        "(158,10623)");
        return PST_OK;
    }
    pst_response_header(res, "Content-Type", PST_STR("application/json"));
    pst_sim_stats_query(&g->stats, q->query->entity, got.rows, res->body.len);
    return PST_OK;
}

pst_code pst_sim_execute(struct pst_sim_call *call, struct pst_request *req,
                         struct pst_response *res, struct pst_err *err)
{
    struct refusal why = {0};
    struct pst_sim_spoil spoil = {0};
    struct pst_sim_select q = {
        .query = call->found,
        .window = PST_SIM_ALL_TIMES,
        .after = PST_SIM_FROM_START,
        .asof_day = PST_SIM_NO_TIME,
        .xlat = call->gateway->xlat,
        .leaves_out_blanks = call->effects.leaves_out_blanks,
    };
    if (!q.query) {
        pst_str name = pst_sim_is_plain(call->query) ? call->query : PST_STR("");
        (void)snprintf(why.text, sizeof(why.text),
                       "Query %.*s does not exist or you are not authorized to it. (139,261)",
                       PST_STR_ARG(name));
        pst_sim_fail_ib(call->gateway, res, 500, why.text);
        return PST_OK;
    }
    if (!pst_str_eq_nocase(pst_request_param(req, "type"), PST_STR("JSON")) ||
        !pst_str_eq_nocase(pst_request_param(req, "format"), PST_STR("NONFILE"))) {
        pst_sim_fail_ib(call->gateway, res, 500,
                        "The output type and format are not valid. (139,264)");
        return PST_OK;
    }
    if (!take_rows(call, &q, &why) || !take_prompts(call, &q, &why) ||
        !take_columns(call, &q, &why)) {
        pst_sim_fail_ib(call->gateway, res, 500, why.text);
        return PST_OK;
    }
    take_spoil(call, &q, &spoil);
    return write_rows(call, &q, res, err);
}
