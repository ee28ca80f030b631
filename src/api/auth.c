/* api/auth.c: who calls, and whether they may. */
#include "api/internal.h"
#include "base/alloc.h"
#include "base/log.h"

static pst_code not_known(struct pst_err *err)
{
    return PST_FAIL(err, PST_E_UNAUTHENTICATED,
                    "the API key or token is not known, or was revoked");
}

/* The stored key that was presented, from the store. */
static pst_code find_access(struct pst_api_call *call, pst_str text, enum pst_token_kind *kind,
                            struct pst_err *err)
{
    struct pst_token token;
    bool found = false;
    if (!pst_token_parse(&token, text))
        return PST_FAIL(err, PST_E_UNAUTHENTICATED,
                        "this is not an API key or token: it is mistyped or cut off");
    PST_TRY(pst_accesses_find(call->reader, token.hash, call->arena, &call->access, &found, err));
    if (!found || !pst_token_matches(&token, call->access.hash))
        return not_known(err);
    /* The kinds differ in what they may do, so the prefix has to agree with the row. */
    if ((token.kind == PST_TOKEN_CONNECTION) != (call->access.connection_pk != 0))
        return not_known(err);
    *kind = token.kind;
    return PST_OK;
}

static pst_code read_bearer(struct pst_api_call *call, pst_str header, struct pst_err *err)
{
    uint8_t digest[PST_BLAKE2B_BYTES];
    enum pst_token_kind kind = PST_TOKEN_API_KEY;
    pst_str scheme = pst_str_split(&header, ' ');
    if (!pst_str_eq_nocase(scheme, PST_STR("Bearer")))
        return PST_FAIL(err, PST_E_UNAUTHENTICATED,
                        "the Authorization header has to be 'Bearer' and an API key or token");
    pst_blake2b(digest, header);
    if (!pst_api_recall_access(call, digest, &kind)) {
        uint64_t commits = pst_db_commits(call->api->options.db);
        PST_TRY(find_access(call, header, &kind, err));
        pst_api_remember_access(call, digest, kind, commits);
    }
    call->caller = kind == PST_TOKEN_CONNECTION ? PST_CALLER_TOKEN : PST_CALLER_KEY;
    call->role = call->access.role;
    call->organization_pk = call->access.organization_pk;
    call->organization_id = call->access.organization_id;
    call->actor = pst_id_str(&call->access.id);
    return PST_OK;
}

/* The organization that the operator acts for: by id, else by name, else the only one. */
static pst_code read_organization(struct pst_api_call *call, struct pst_err *err)
{
    pst_str wanted = pst_request_header(call->req, "Penstock-Organization", NULL);
    int64_t after = 0;
    bool more = true;
    size_t seen = 0;
    while (more) {
        struct pst_organization *list = NULL;
        size_t count = 0;
        PST_TRY(pst_organizations_list(call->reader, after, 500, call->arena, &list, &count, &more,
                                       err));
        seen += count;
        for (size_t i = 0; i < count; i++) {
            after = list[i].pk;
            bool is_it = wanted.len == 0 ? seen == 1 && !more
                                         : pst_str_eq(wanted, pst_id_str(&list[i].id)) ||
                                               pst_str_eq(wanted, list[i].name);
            if (!is_it)
                continue;
            call->organization_pk = list[i].pk;
            call->organization_id = list[i].id;
            return PST_OK;
        }
    }
    if (wanted.len)
        return PST_FAIL_AT(err, PST_E_NOT_FOUND, "Penstock-Organization",
                           "there is no organization '%.*s'", PST_STR_ARG(wanted));
    if (seen == 0 && (call->op->flags & PST_OP_ORGANIZATION))
        return PST_FAIL(err, PST_E_NOT_FOUND,
                        "there is no organization yet: penstock organizations create NAME");
    if (call->op->flags & PST_OP_ORGANIZATION)
        return PST_FAIL_AT(
            err, PST_E_INVALID, "Penstock-Organization",
            "there are several organizations: name one, with --organization or in the "
            "header Penstock-Organization");
    return PST_OK;
}

static pst_code identify(struct pst_api_call *call, struct pst_err *err)
{
    size_t count = 0;
    pst_str header = pst_request_header(call->req, "Authorization", &count);
    if (count > 1)
        return PST_FAIL(err, PST_E_UNAUTHENTICATED, "more than one Authorization header");
    if (count == 1)
        return read_bearer(call, header, err);
    const struct pst_peer *peer = &call->req->peer;
    if (peer->local && (peer->uid == call->api->options.operator_uid || peer->uid == 0)) {
        call->caller = PST_CALLER_OPERATOR;
        call->role = PST_ROLE_ADMIN;
        call->actor = PST_STR("operator");
        return call->op->flags & PST_OP_OPERATOR ? PST_OK : read_organization(call, err);
    }
    return PST_FAIL(err, PST_E_UNAUTHENTICATED,
                    "an API key or connection token is needed: Authorization: Bearer psk_...");
}

pst_code pst_api_authenticate(struct pst_api_call *call, struct pst_err *err)
{
    unsigned flags = call->op->flags;
    if (flags & PST_OP_PUBLIC)
        return PST_OK;
    pst_code code = identify(call, err);
    if (code == PST_E_UNAUTHENTICATED)
        return pst_api_limit_failure(call, err);
    PST_TRY(code);
    PST_TRY(pst_api_limit_key(call, err));
    if ((flags & PST_OP_OPERATOR) && call->caller != PST_CALLER_OPERATOR)
        return PST_FAIL(err, PST_E_DENIED,
                        "only the operator may do this, through the server's local socket");
    if (call->caller == PST_CALLER_TOKEN && !(flags & PST_OP_TOKEN))
        return PST_FAIL(err, PST_E_DENIED, "a connection token may not do this");
    if (call->caller == PST_CALLER_KEY && call->role < call->op->role)
        return PST_FAIL(err, PST_E_DENIED, "this needs the role '%s', the key has '%s'",
                        pst_role_name(call->op->role), pst_role_name(call->role));
    return PST_OK;
}

/* ---- when a key was last used ---- */

struct touch {
    struct pst_db_job job; /* first: freed as a whole */
    int64_t pk;
    pst_wall at;
};

static pst_code write_touch(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct touch *t = arg;
    return pst_accesses_touch(conn, t->pk, t->at, err);
}

static void touch_done(struct pst_db_job *job)
{
    pst_free(job);
}

void pst_api_touch(struct pst_api_call *call)
{
    enum { MINUTE_US = 60000000 };
    struct pst_api_loop *loop = &call->api->loops[call->req->loop];
    int64_t minute = call->now.us / MINUTE_US;
    int64_t pk = call->access.pk;
    if (pk == 0)
        return;
    size_t slot = (size_t)pk % PST_COUNT(loop->touched);
    if (loop->touched[slot].pk == pk && loop->touched[slot].minute == minute)
        return;
    struct touch *t = pst_calloc(1, sizeof(*t));
    struct pst_err ignored;
    if (!t)
        return;
    *t = (struct touch){.job = {.fn = write_touch, .done = touch_done}, .pk = pk, .at = call->now};
    t->job.arg = t;
    /* It is only for people to look at: a store that is busy leaves it for the next minute. */
    if (pst_db_write_async(call->api->options.db, &t->job, &ignored) != PST_OK) {
        pst_free(t);
        return;
    }
    loop->touched[slot].pk = pk;
    loop->touched[slot].minute = minute;
}
