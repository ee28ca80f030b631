/* account/credits.c: how many credits a connection takes, and whether there are as many. */
#include "account/account.h"
#include "codec/json.h"

int64_t pst_credits_due(const struct pst_manifest *m, yyjson_val *config)
{
    static const pst_str name = PST_STR_INIT("deployment");
    pst_str deployment = {NULL, 0};
    if (!pst_json_str(pst_json_get(config, name), &deployment)) {
        for (size_t i = 0; i < m->option_count; i++) {
            if (pst_str_eq(m->options[i].name, name))
                (void)pst_json_str(m->options[i].fallback, &deployment);
        }
    }
    return pst_str_is(deployment, "on_premises") ? m->credits * 2 : m->credits;
}

/* What `more` takes beyond the pool. */
static int64_t beyond_pool(const struct pst_credits *c, int64_t more)
{
    if (!c->has_pool || more <= 0)
        return 0;
    int64_t left = c->pool > c->used ? c->pool - c->used : 0;
    return more > left ? more - left : 0;
}

pst_code pst_credits_judge(const struct pst_credits *c, int64_t more, struct pst_err *err)
{
    if (c->allows_overage || beyond_pool(c, more) == 0)
        return PST_OK;
    return PST_FAIL(err, PST_E_CREDITS, "%lld credits are needed, of %lld there are %lld left",
                    (long long)more, (long long)c->pool,
                    (long long)(c->pool > c->used ? c->pool - c->used : 0));
}

pst_code pst_credits_check(struct pst_db_conn *conn, int64_t organization_pk, int64_t more,
                           struct pst_err *err)
{
    struct pst_credits c;
    PST_TRY(pst_credits_get(conn, organization_pk, &c, err));
    return pst_credits_judge(&c, more, err);
}

pst_code pst_credits_hold(struct pst_db_conn *conn, const struct pst_credit_wish *wish,
                          struct pst_err *err)
{
    struct pst_credits c;
    int64_t held = 0;
    PST_TRY(pst_credits_get(conn, wish->organization_pk, &c, err));
    PST_TRY(pst_credits_held(conn, wish->connection_pk, &held, err));
    struct pst_credit_entry entry = {
        .organization_pk = wish->organization_pk,
        .connection_pk = wish->connection_pk,
        .connection_id = wish->connection_id,
        .at = wish->now,
        .amount = wish->credits - held,
        .overage = beyond_pool(&c, wish->credits - held),
        .reason = pst_str_from(wish->reason),
        .request_id = wish->request_id,
    };
    if (entry.amount == 0)
        return PST_OK;
    PST_TRY(pst_credits_judge(&c, entry.amount, err));
    return pst_credits_move(conn, &entry, err);
}
