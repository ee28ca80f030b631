/* api/credits.c: what connections take of the organization's pool, and who sees it.
 *
 * A connection takes its credits in the transaction that creates it and gives them back in the one
 * that deletes it; its status in between does not matter. Where there are too few it is created
 * switched off, without any, and takes them when it is switched on. Nothing is switched on by
 * itself: when credits are back is known to whoever freed them. */
#include "api/internal.h"

enum { NEWEST = 20 };

static pst_code due_of(const struct pst_api_call *call, const struct pst_manifest *m,
                       pst_str config, int64_t *out, struct pst_err *err)
{
    yyjson_doc *doc = NULL;
    PST_TRY(pst_json_read(config, NULL, call->arena, &doc, err));
    *out = pst_credits_due(m, yyjson_doc_get_root(doc));
    return PST_OK;
}

pst_code pst_api_plan_credits(struct pst_db_conn *conn, const struct pst_api_call *call,
                              const struct pst_manifest *m, pst_str config,
                              struct pst_api_credits *out, struct pst_err *err)
{
    struct pst_err why;
    *out = (struct pst_api_credits){0};
    PST_TRY(due_of(call, m, config, &out->due, err));
    pst_code code = pst_credits_check(conn, call->organization_pk, out->due, &why);
    out->is_short = code == PST_E_CREDITS;
    if (out->is_short)
        return pst_arena_printf(call->arena, &out->reason, err, "%s: %s", pst_code_name(code),
                                why.msg);
    if (code != PST_OK)
        *err = why;
    return code;
}

pst_code pst_api_hold_credits(struct pst_db_conn *conn, const struct pst_api_call *call,
                              const struct pst_connection *c, int64_t credits, const char *reason,
                              struct pst_err *err)
{
    const struct pst_credit_wish wish = {
        .organization_pk = c->organization_pk,
        .connection_pk = c->pk,
        .connection_id = c->id,
        .credits = credits,
        .reason = reason,
        .request_id = pst_id_str(&call->req->id),
        .now = call->now,
    };
    return pst_credits_hold(conn, &wish, err);
}

pst_code pst_api_adjust_credits(struct pst_db_conn *conn, const struct pst_api_call *call,
                                const struct pst_connection *c, const struct pst_manifest *m,
                                pst_str config, bool is_switched_on, struct pst_err *err)
{
    int64_t held = 0;
    int64_t before = 0;
    int64_t after = 0;
    PST_TRY(pst_credits_held(conn, c->pk, &held, err));
    PST_TRY(due_of(call, m, c->config, &before, err));
    PST_TRY(due_of(call, m, config, &after, err));
    /* One that holds none was created without, and does until it is switched on. */
    if (!is_switched_on && (held == 0 || before == after))
        return PST_OK;
    return pst_api_hold_credits(conn, call, c, after,
                                is_switched_on ? "switched on" : "deployment changed", err);
}

/* ---- reading ---- */

static void put_entry(struct pst_json_writer *w, const struct pst_credit_entry *e)
{
    pst_json_begin_object(w);
    pst_json_add_wall(w, "at", e->at);
    pst_json_add_str(w, "connection_id", pst_id_str(&e->connection_id));
    pst_json_add_i64(w, "amount", e->amount);
    pst_json_add_i64(w, "overage", e->overage);
    pst_json_add_i64(w, "used", e->used);
    pst_json_add_str(w, "reason", e->reason);
    if (e->request_id.len)
        pst_json_add_str(w, "request_id", e->request_id);
    else
        pst_json_add_null(w, "request_id");
    pst_json_end_object(w);
}

static void put_sums(struct pst_json_writer *w, const struct pst_credits *c)
{
    int64_t left = c->pool - c->used;
    if (c->has_pool)
        pst_json_add_i64(w, "pool", c->pool);
    else
        pst_json_add_null(w, "pool");
    pst_json_add_i64(w, "used", c->used);
    if (c->has_pool)
        pst_json_add_i64(w, "free", left > 0 ? left : 0);
    else
        pst_json_add_null(w, "free");
    pst_json_add_i64(w, "overage", c->has_pool && left < 0 ? -left : 0);
    pst_json_add_bool(w, "overage_allowed", c->allows_overage);
}

static void put_holder(struct pst_json_writer *w, const struct pst_credit_holder *h)
{
    pst_json_begin_object(w);
    pst_json_add_str(w, "connection_id", pst_id_str(&h->id));
    pst_json_add_str(w, "name", h->name);
    pst_json_add_str(w, "connector", h->connector);
    pst_json_add_z(w, "status", pst_connection_status_name(h->status));
    pst_json_add_i64(w, "credits", h->credits);
    pst_json_end_object(w);
}

pst_code pst_api_get_credits(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_credits sums;
    struct pst_credit_holder *holders = NULL;
    struct pst_credit_entry *newest = NULL;
    size_t holder_count = 0;
    size_t entry_count = 0;
    bool more = false;
    bool older = false;
    int64_t after = 0;
    PST_TRY(pst_api_cursor_read(call, &after, err));
    PST_TRY(pst_credits_get(call->reader, call->organization_pk, &sums, err));
    PST_TRY(pst_credits_holders(call->reader, call->organization_pk, after,
                                (size_t)pst_api_query_i64(call, "limit"), call->arena, &holders,
                                &holder_count, &more, err));
    PST_TRY(pst_credits_ledger(call->reader, call->organization_pk, 0, NEWEST, call->arena, &newest,
                               &entry_count, &older, err));
    pst_api_begin(call, &w);
    put_sums(&w, &sums);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < holder_count; i++)
        put_holder(&w, &holders[i]);
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, holder_count ? holders[holder_count - 1].pk : 0);
    pst_json_add_array(&w, "ledger");
    for (size_t i = 0; i < entry_count; i++)
        put_entry(&w, &newest[i]);
    pst_json_end_array(&w);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

pst_code pst_api_list_credit_entries(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_credit_entry *list = NULL;
    size_t count = 0;
    bool more = false;
    int64_t before = 0;
    PST_TRY(pst_api_cursor_read(call, &before, err));
    PST_TRY(pst_credits_ledger(call->reader, call->organization_pk, before,
                               (size_t)pst_api_query_i64(call, "limit"), call->arena, &list, &count,
                               &more, err));
    pst_api_begin(call, &w);
    pst_json_add_array(&w, "data");
    for (size_t i = 0; i < count; i++)
        put_entry(&w, &list[i]);
    pst_json_end_array(&w);
    pst_api_cursor_write(call, &w, more, count ? list[count - 1].pk : 0);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
