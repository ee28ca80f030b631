/* api/limit.c: how many requests a key, a connection and a stranger may make, and the words for it:
 * RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers, which is no RFC yet; its
 * form is known here only), Retry-After and 429. */
#include "api/internal.h"

static const char *const names[] = {
    [PST_API_LIMIT_KEY] = "key",
    [PST_API_LIMIT_CONNECTION] = "connection",
    [PST_API_LIMIT_ADDRESS] = "address",
};

const char *pst_api_limit_name(enum pst_api_limit limit)
{
    return names[limit];
}

pst_code pst_api_limits_init(struct pst_api *api, struct pst_err *err)
{
    for (size_t i = 0; i < PST_API_LIMITS; i++)
        PST_TRY(pst_rates_new(&api->limits[i].rates, err));
    return PST_OK;
}

void pst_api_limits_fini(struct pst_api *api)
{
    for (size_t i = 0; i < PST_API_LIMITS; i++)
        pst_rates_free(api->limits[i].rates);
}

void pst_api_set_limits(struct pst_api *api, const struct pst_api_limits *limits)
{
    const int64_t quotas[PST_API_LIMITS] = {limits->key, limits->connection, limits->failures};
    for (size_t i = 0; i < PST_API_LIMITS; i++)
        atomic_store_explicit(&api->limits[i].quota, quotas[i], memory_order_relaxed);
}

/* false: refused, and counted as such. */
static bool take(struct pst_api_call *call, enum pst_api_limit limit, uint64_t key,
                 struct pst_rate *out)
{
    typeof(&call->api->limits[0]) l = &call->api->limits[limit];
    int64_t quota = atomic_load_explicit(&l->quota, memory_order_relaxed);
    if (pst_rates_take(l->rates, key, call->req->now, quota, out))
        return true;
    atomic_fetch_add_explicit(&l->refused, 1, memory_order_relaxed);
    return false;
}

static pst_code refuse(enum pst_api_limit limit, const struct pst_rate *rate, const char *what,
                       struct pst_err *err)
{
    pst_code code = PST_FAIL_AT(err, PST_E_RATE_LIMIT, names[limit],
                                "%s: more than %lld in a minute; the next is possible in %d s",
                                what, (long long)rate->quota, rate->retry_s);
    err->retry_after_s = rate->retry_s;
    return code;
}

pst_code pst_api_limit_key(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_rate *rate = &call->rates[PST_API_LIMIT_KEY];
    if (call->access.pk == 0 || take(call, PST_API_LIMIT_KEY, (uint64_t)call->access.pk, rate))
        return PST_OK;
    return refuse(PST_API_LIMIT_KEY, rate,
                  call->caller == PST_CALLER_TOKEN ? "requests with this connection token"
                                                   : "requests with this API key",
                  err);
}

pst_code pst_api_limit_connection(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_rate *rate = &call->rates[PST_API_LIMIT_CONNECTION];
    if (call->caller == PST_CALLER_OPERATOR ||
        take(call, PST_API_LIMIT_CONNECTION, (uint64_t)call->connection.pk, rate))
        return PST_OK;
    return refuse(PST_API_LIMIT_CONNECTION, rate, "requests for this connection", err);
}

uint64_t pst_api_address_key(const struct pst_address *a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    size_t from = memcmp(a->ip, mapped, sizeof(mapped)) == 0 ? sizeof(mapped) : 0;
    size_t to = from ? sizeof(a->ip) : 8;
    uint64_t key = from ? 1 : 0; /* 0:1::/32 is nobody's */
    for (size_t i = from; i < to; i++)
        key = key << 8 | a->ip[i];
    return key ? key : 1; /* ::1 */
}

pst_code pst_api_limit_failure(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_rate rate;
    struct pst_address address;
    size_t presented = 0;
    (void)pst_request_header(call->req, "Authorization", &presented);
    if (presented == 0 || call->req->peer.local ||
        !pst_address_parse(&address, pst_str_from(call->req->peer.address)))
        return err->code;
    if (take(call, PST_API_LIMIT_ADDRESS, pst_api_address_key(&address), &rate))
        return err->code;
    return refuse(PST_API_LIMIT_ADDRESS, &rate, "failed authentications from this address", err);
}

/* ---- headers ---- */

static char *put_text(char *p, const char *text)
{
    size_t len = strlen(text);
    memcpy(p, text, len);
    return p + len;
}

static char *put_number(char *p, int64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    memcpy(p, digits + at, sizeof(digits) - at);
    return p + sizeof(digits) - at;
}

void pst_api_put_limits(const struct pst_api_call *call, struct pst_response *res)
{
    char policy[128];
    char left[128];
    char *p = policy;
    char *l = left;
    for (size_t i = 0; i < PST_COUNT(call->rates); i++) {
        const struct pst_rate *rate = &call->rates[i];
        if (rate->quota == 0)
            continue;
        const char *open = p == policy ? "\"" : ", \"";
        p = put_text(put_text(p, open), names[i]);
        p = put_text(put_number(put_text(p, "\";q="), rate->quota), ";w=60");
        l = put_text(put_text(l, open), names[i]);
        l = put_number(put_text(l, "\";r="), rate->left);
        l = put_number(put_text(l, ";t="), rate->full_s);
    }
    if (p == policy)
        return;
    pst_response_header(res, "RateLimit-Policy", (pst_str){policy, (size_t)(p - policy)});
    pst_response_header(res, "RateLimit", (pst_str){left, (size_t)(l - left)});
}
