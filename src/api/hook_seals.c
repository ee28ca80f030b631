/* api/hook_seals.c: what of a webhook endpoint is sealed: the values of its headers, and the
 * secrets that sign, {"secret":"whsec_...","until":null} each, newest first. */
#include "api/hooks.h"
#include "webhook/webhook.h"

enum { TEXT_MAX = 256 << 10 };

static struct pst_vault_place place_of(const struct pst_endpoint *e, pst_str field)
{
    return (struct pst_vault_place){
        .organization_pk = e->organization_pk,
        .organization_id = pst_id_str(&e->organization_id),
        .row_id = pst_id_str(&e->id),
        .field = field,
    };
}

/* Sealed JSON as a document in the arena; *doc NULL where there is none. */
static pst_code open_sealed(struct pst_db_conn *conn, const struct pst_api_call *call,
                            const struct pst_endpoint *e, pst_str field, pst_str sealed,
                            yyjson_val **out, struct pst_err *err)
{
    PST_AUTO(secret) struct pst_secret *plain = NULL;
    struct pst_vault_place place = place_of(e, field);
    yyjson_doc *doc = NULL;
    *out = NULL;
    if (sealed.len == 0)
        return PST_OK;
    PST_TRY(pst_vault_unseal(conn, call->api->options.root, &place, sealed, &plain, err));
    PST_TRY(pst_json_read(pst_secret_expose(plain), NULL, call->arena, &doc, err));
    *out = yyjson_doc_get_root(doc);
    return PST_OK;
}

/* What w wrote to b, sealed; b is wiped. */
static pst_code seal(struct pst_db_conn *conn, const struct pst_api_call *call,
                     const struct pst_endpoint *e, pst_str field, struct pst_json_writer *w,
                     struct pst_buf *b, pst_str *out, struct pst_err *err)
{
    struct pst_vault_place place = place_of(e, field);
    pst_code code = pst_json_finish(w, err);
    if (code == PST_OK)
        code = pst_vault_seal(conn, call->api->options.root, &place, pst_buf_str(b), call->now,
                              call->arena, out, err);
    pst_wipe(b->ptr, b->len);
    return code;
}

/* ---- headers ---- */

/* The member of that name, in whatever case. */
static yyjson_val *find_header(yyjson_val *headers, pst_str name)
{
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    size_t i = 0;
    size_t n = 0;
    yyjson_obj_foreach(headers, i, n, key, value)
    {
        if (pst_str_eq_nocase(name, (pst_str){yyjson_get_str(key), yyjson_get_len(key)}))
            return value;
    }
    return NULL;
}

static pst_code merge(struct pst_json_writer *w, yyjson_val *before, yyjson_val *given,
                      struct pst_err *err)
{
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    size_t i = 0;
    size_t n = 0;
    int count = 0;
    pst_json_begin_object(w);
    yyjson_obj_foreach(before, i, n, key, value)
    {
        if (find_header(given, (pst_str){yyjson_get_str(key), yyjson_get_len(key)}))
            continue;
        pst_json_add_val(w, yyjson_get_str(key), value);
        count++;
    }
    yyjson_obj_foreach(given, i, n, key, value)
    {
        pst_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        if (find_header(given, name) != value)
            return PST_FAIL_AT(err, PST_E_INVALID, "headers", "the header '%.*s' is given twice",
                               PST_STR_ARG(name));
        if (yyjson_is_null(value))
            continue;
        pst_json_add_val(w, yyjson_get_str(key), value);
        count++;
    }
    pst_json_end_object(w);
    if (count > PST_HOOK_HEADERS_MAX)
        return PST_FAIL_AT(err, PST_E_INVALID, "headers",
                           "these would be %d headers, at most %d are possible: remove some (null)",
                           count, PST_HOOK_HEADERS_MAX);
    return PST_OK;
}

pst_code pst_hook_headers_merge(struct pst_db_conn *conn, const struct pst_api_call *call,
                                struct pst_endpoint *e, yyjson_val *given, struct pst_err *err)
{
    struct pst_json_writer w;
    yyjson_val *before = NULL;
    PST_AUTO(buf) struct pst_buf b = {.max = TEXT_MAX};
    if (!given)
        return PST_OK;
    PST_TRY(open_sealed(conn, call, e, PST_STR("headers"), e->headers, &before, err));
    pst_json_init(&w, &b);
    pst_code code = merge(&w, before, given, err);
    if (code != PST_OK) {
        pst_wipe(b.ptr, b.len);
        return code;
    }
    return seal(conn, call, e, PST_STR("headers"), &w, &b, &e->headers, err);
}

pst_code pst_hook_headers_show(struct pst_db_conn *conn, const struct pst_api_call *call,
                               const struct pst_endpoint *e, pst_str *out, struct pst_err *err)
{
    struct pst_json_writer w;
    yyjson_val *headers = NULL;
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    size_t i = 0;
    size_t n = 0;
    PST_AUTO(buf) struct pst_buf b = {.max = TEXT_MAX};
    PST_TRY(open_sealed(conn, call, e, PST_STR("headers"), e->headers, &headers, err));
    pst_json_init(&w, &b);
    pst_json_begin_object(&w);
    yyjson_obj_foreach(headers, i, n, key, value)
    {
        pst_json_add_z(&w, yyjson_get_str(key), "***");
    }
    pst_json_end_object(&w);
    PST_TRY(pst_json_finish(&w, err));
    return pst_arena_dup(call->arena, out, pst_buf_str(&b), err);
}

/* ---- secrets ---- */

struct rotation {
    struct pst_json_writer secrets, keys;
    bool is_pair; /* ed25519: public keys are listed */
    int count;
};

static pst_code keep_secret(struct rotation *r, pst_str secret, pst_wall until, struct pst_err *err)
{
    pst_json_begin_object(&r->secrets);
    pst_json_add_str(&r->secrets, "secret", secret);
    pst_json_add_wall(&r->secrets, "until", until);
    pst_json_end_object(&r->secrets);
    r->count++;
    if (r->is_pair) {
        char key[PST_HOOK_PUBLIC_KEY];
        PST_TRY(pst_hook_public_key(key, secret, err));
        pst_json_put_str(&r->keys, pst_str_from(key));
    }
    return PST_OK;
}

/* The new one, then those that may sign on. */
static pst_code rotate(struct rotation *r, yyjson_val *before, pst_str secret, pst_wall now,
                       int64_t overlap_ms, struct pst_err *err)
{
    yyjson_val *item = NULL;
    size_t i = 0;
    size_t n = 0;
    pst_wall end = {now.us + overlap_ms * 1000};
    pst_json_begin_array(&r->secrets);
    pst_json_begin_array(&r->keys);
    PST_TRY(keep_secret(r, secret, PST_WALL_NONE, err));
    yyjson_arr_foreach(before, i, n, item)
    {
        pst_str old = {NULL, 0};
        pst_str text = {NULL, 0};
        pst_wall until = end;
        if (!pst_json_str(pst_json_get(item, PST_STR("secret")), &old))
            return PST_FAIL(err, PST_E_CORRUPT, "a stored secret has no text");
        if (pst_json_str(pst_json_get(item, PST_STR("until")), &text))
            (void)pst_wall_parse(&until, text);
        until.us = until.us < end.us ? until.us : end.us;
        if (until.us > now.us && r->count < PST_HOOK_SECRETS_MAX)
            PST_TRY(keep_secret(r, old, until, err));
    }
    pst_json_end_array(&r->secrets);
    pst_json_end_array(&r->keys);
    return PST_OK;
}

pst_code pst_hook_secrets_add(struct pst_db_conn *conn, const struct pst_api_call *call,
                              struct pst_endpoint *e, pst_str secret, int64_t overlap_ms,
                              struct pst_err *err)
{
    yyjson_val *before = NULL;
    struct rotation r = {.is_pair = e->signing == PST_SIGNING_ED25519};
    PST_AUTO(buf) struct pst_buf secrets = {.max = TEXT_MAX};
    PST_AUTO(buf) struct pst_buf keys = {.max = TEXT_MAX};
    PST_TRY(open_sealed(conn, call, e, PST_STR("secrets"), e->secrets, &before, err));
    pst_json_init(&r.secrets, &secrets);
    pst_json_init(&r.keys, &keys);
    pst_code code = rotate(&r, before, secret, call->now, overlap_ms, err);
    if (code == PST_OK)
        code = pst_json_finish(&r.keys, err);
    if (code != PST_OK) {
        pst_wipe(secrets.ptr, secrets.len);
        return code;
    }
    PST_TRY(pst_arena_dup(call->arena, &e->public_keys, pst_buf_str(&keys), err));
    return seal(conn, call, e, PST_STR("secrets"), &r.secrets, &secrets, &e->secrets, err);
}
