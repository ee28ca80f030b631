/* http/client.c: one call, from the request's fields to curl's options and from curl's result to
 * a code. What happens while bytes move is in transfer.c. */
#include <malloc.h>
#include <stdio.h>

#include "base/alloc.h"
#include "crypto/crypto.h"
#include "http/transfer.h"
#include "http/url.h"
#include "os/clock.h"

enum {
    CONNECT_MS = 10 * 1000,
    FIRST_BYTE_MS = 120 * 1000,
    TOTAL_MS = 15 * 60 * 1000,
    SLOW_MS = 60 * 1000,
    SLOW_BYTES_PER_S = 256,
    MAX_BODY = 64 << 20,
    MAX_RATIO = 200,
    CURL_BUFFER = 256 << 10,
    SPOOL_KEPT = 8 << 20, /* a larger spool is given back after its call */
};

struct pst_http {
    struct pst_http_options options;
    CURL *easy;
    CURLSH *jar; /* the run's cookies; `easy` forgets its own with its options */
    struct pst_buf spool; /* bodies of unknown length */
    char message[CURL_ERROR_SIZE];
};

/* curl's memory may hold a password, so it is wiped before it is given back. */
static void wiping_free(void *ptr)
{
    if (ptr)
        explicit_bzero(ptr, malloc_usable_size(ptr));
    pst_free(ptr);
}

static void *wiping_realloc(void *ptr, size_t size)
{
    void *grown = pst_malloc(size);
    if (!grown || !ptr)
        return grown;
    size_t had = malloc_usable_size(ptr);
    memcpy(grown, ptr, had < size ? had : size);
    wiping_free(ptr);
    return grown;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = pst_malloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

pst_code pst_http_init(struct pst_err *err)
{
    CURLcode rc = curl_global_init_mem(CURL_GLOBAL_DEFAULT, pst_malloc, wiping_free, wiping_realloc,
                                       copy_text, pst_calloc);
    if (rc != CURLE_OK)
        return PST_FAIL(err, PST_E_INTERNAL, "the HTTP library does not start: %s",
                        curl_easy_strerror(rc));
    return PST_OK;
}

pst_code pst_http_new(struct pst_http **out, const struct pst_http_options *options,
                      struct pst_err *err)
{
    void *p = NULL;
    PST_TRY(pst_new(&p, sizeof(struct pst_http), err));
    struct pst_http *http = p;
    http->options = *options;
    pst_buf_init(&http->spool, SIZE_MAX / 2);
    *out = http;
    return PST_OK;
}

void pst_http_reset(struct pst_http *http)
{
    curl_easy_cleanup(http->easy);
    (void)curl_share_cleanup(http->jar);
    http->easy = NULL;
    http->jar = NULL;
}

void pst_http_free(struct pst_http *http)
{
    if (!http)
        return;
    pst_http_reset(http);
    pst_buf_fini(&http->spool);
    pst_free(http);
}

static void set_default(int64_t *value, int64_t fallback)
{
    if (*value <= 0)
        *value = fallback;
}

static struct pst_http_limits fill_limits(struct pst_http_limits l)
{
    set_default(&l.connect_ms, CONNECT_MS);
    set_default(&l.first_byte_ms, FIRST_BYTE_MS);
    set_default(&l.total_ms, TOTAL_MS);
    set_default(&l.slow_ms, SLOW_MS);
    set_default(&l.slow_bytes_per_s, SLOW_BYTES_PER_S);
    if (l.max_body_bytes == 0)
        l.max_body_bytes = MAX_BODY;
    if (l.max_ratio == 0)
        l.max_ratio = MAX_RATIO;
    return l;
}

/* Values that curl copies, in a request that lives on the caller's stack. */
struct prepared {
    struct curl_slist *headers;
    char method[16];
    pst_str url, user; /* NUL-terminated, in the arena */
    pst_str password;
};

static void release_prepared(struct prepared *p)
{
    curl_slist_free_all(p->headers);
}

static void pst_auto_prepared(struct prepared *p)
{
    release_prepared(p);
}

static pst_code add_header(struct prepared *p, const char *line, struct pst_err *err)
{
    struct curl_slist *longer = curl_slist_append(p->headers, line);
    if (!longer)
        return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for a request header");
    p->headers = longer;
    return PST_OK;
}

static pst_code prepare_headers(struct prepared *p, const struct pst_http_request *request,
                                struct pst_arena *arena, struct pst_err *err)
{
    bool has_type = false;
    PST_TRY(add_header(p, "Expect:", err)); /* some gateways never answer 100-continue */
    for (size_t i = 0; i < request->header_count; i++) {
        const struct pst_http_header *h = &request->headers[i];
        pst_str line;
        if (h->name.len == 0 || !pst_handle_is_header_text(h->name) ||
            !pst_handle_is_header_text(h->value) || pst_str_index(h->name, ':') != h->name.len)
            return PST_FAIL(err, PST_E_INVALID, "a request header has characters it may not have");
        has_type = has_type || pst_str_eq_nocase(h->name, PST_STR("content-type"));
        PST_TRY(pst_arena_printf(arena, &line, err, h->value.len ? "%.*s: %.*s" : "%.*s;",
                                 PST_STR_ARG(h->name), PST_STR_ARG(h->value)));
        PST_TRY(add_header(p, line.ptr, err));
    }
    return has_type ? PST_OK : add_header(p, "Content-Type:", err);
}

static pst_code prepare(struct prepared *p, const struct pst_http_request *request,
                        struct pst_arena *arena, struct pst_err *err)
{
    pst_str method = request->method.len ? request->method : PST_STR("GET");
    for (size_t i = 0; i < method.len; i++)
        if (method.ptr[i] < 'A' || method.ptr[i] > 'Z')
            return PST_FAIL(err, PST_E_INVALID, "the request method is not valid");
    if (!pst_str_copy(p->method, sizeof(p->method), method))
        return PST_FAIL(err, PST_E_INVALID, "the request method is not valid");
    PST_TRY(pst_arena_dup(arena, &p->url, request->url, err));
    PST_TRY(pst_arena_dup(arena, &p->user, request->user, err));
    if (request->password)
        p->password = pst_secret_expose(request->password);
    return prepare_headers(p, request, arena, err);
}

/* A proxy hides the target's address from the open-socket callback; what is written as an
 * address in the URL is still looked at. */
static pst_code check_literal(const struct pst_http *http, const struct pst_url *url,
                              struct pst_err *err)
{
    struct pst_address a;
    const char *why = "";
    pst_str host = url->host;
    if (host.ptr[0] == '[')
        host = pst_str_sub(host, 1, host.len - 2);
    if (!http->options.allows || !pst_address_parse(&a, host))
        return PST_OK;
    a.port = url->port;
    if (http->options.allows(http->options.allows_self, &a, &why))
        return PST_OK;
    return PST_FAIL(err, PST_E_EGRESS, "penstock may not connect to '%.*s': it is %s",
                    PST_STR_ARG(url->host), why);
}

/* Every curl option in one table-like function; a refusal is remembered in rc. */
static CURLcode set_options(struct pst_http *http, const struct pst_http_request *request,
                            const struct prepared *p, struct pst_transfer *t)
{
    CURL *e = http->easy;
    CURLcode rc = pst_handle_set_rules(e, &http->options, &t->guard, http->message);
#define SET(option, value) PST_SET(e, rc, option, value)
    SET(CURLOPT_URL, p->url.ptr);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    SET(CURLOPT_SHARE, http->jar);
    SET(CURLOPT_COOKIEFILE, ""); /* switches cookies on */
    SET(CURLOPT_BUFFERSIZE, (long)CURL_BUFFER);
    SET(CURLOPT_HTTPHEADER, p->headers);
    if (request->unix_socket)
        SET(CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    if (request->is_unverified) {
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (request->ca_pem.len) {
        struct curl_blob pem = {(void *)(uintptr_t)request->ca_pem.ptr, request->ca_pem.len,
                                CURL_BLOB_COPY};
        SET(CURLOPT_CAINFO_BLOB, &pem);
    }

    SET(CURLOPT_CUSTOMREQUEST, p->method);
    if (strcmp(p->method, "HEAD") == 0)
        SET(CURLOPT_NOBODY, 1L);
    if (strcmp(p->method, "POST") == 0 || strcmp(p->method, "PUT") == 0 ||
        strcmp(p->method, "PATCH") == 0) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        SET(CURLOPT_POSTFIELDS, request->body.ptr ? request->body.ptr : "");
    }
    if (request->password) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(CURLOPT_USERNAME, p->user.ptr);
        SET(CURLOPT_PASSWORD, p->password.ptr);
    }

    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)t->limits.connect_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)t->limits.total_ms);
    SET(CURLOPT_HEADERFUNCTION, pst_transfer_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, pst_transfer_write);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, pst_transfer_progress);
    SET(CURLOPT_XFERINFODATA, t);
#undef SET
    return rc;
}

static int64_t info_us(CURL *e, CURLINFO what)
{
    curl_off_t v = 0;
    return curl_easy_getinfo(e, what, &v) == CURLE_OK ? (int64_t)v : 0;
}

static int64_t step_us(int64_t from, int64_t to)
{
    return to > from ? to - from : 0;
}

static void read_info(CURL *e, struct pst_http_response *r)
{
    int64_t dns = info_us(e, CURLINFO_NAMELOOKUP_TIME_T);
    int64_t connect = info_us(e, CURLINFO_CONNECT_TIME_T);
    int64_t tls = info_us(e, CURLINFO_APPCONNECT_TIME_T);
    int64_t ready = info_us(e, CURLINFO_PRETRANSFER_TIME_T);
    r->timing = (struct pst_http_timing){
        .dns_us = dns,
        .connect_us = step_us(dns, connect),
        .tls_us = step_us(connect, tls),
        .first_byte_us = step_us(ready, info_us(e, CURLINFO_STARTTRANSFER_TIME_T)),
        .total_us = info_us(e, CURLINFO_TOTAL_TIME_T),
    };
    r->wire_bytes = (uint64_t)info_us(e, CURLINFO_SIZE_DOWNLOAD_T);
    long opened = 0;
    (void)curl_easy_getinfo(e, CURLINFO_NUM_CONNECTS, &opened);
    r->is_reused = opened == 0 && r->status != 0;
    char *ip = NULL;
    long port = 0;
    (void)curl_easy_getinfo(e, CURLINFO_PRIMARY_IP, &ip);
    (void)curl_easy_getinfo(e, CURLINFO_PRIMARY_PORT, &port);
    if (pst_address_parse(&r->peer, pst_str_from(ip)))
        r->peer.port = (uint16_t)port;
}

/* Body of unknown length: from the spool to the arena. */
static pst_code keep_body(struct pst_http *http, struct pst_transfer *t, struct pst_err *err)
{
    struct pst_http_response *r = t->response;
    pst_str from = t->direct ? (pst_str){t->direct, t->received} : pst_buf_str(&http->spool);
    if (!t->direct) {
        char *copy = NULL;
        PST_TRY(pst_arena_alloc(t->arena, &copy, from.len + PST_HTTP_PADDING, err));
        if (from.len)
            memcpy(copy, from.ptr, from.len);
        from.ptr = copy;
    }
    r->body = from;
    return PST_OK;
}

static pst_code open_handle(struct pst_http *http, struct pst_err *err)
{
    bool has_jar = http->jar != NULL;
    if (!http->easy)
        http->easy = curl_easy_init();
    if (!has_jar)
        http->jar = curl_share_init();
    if (http->easy && http->jar &&
        (has_jar ||
         curl_share_setopt(http->jar, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE) == CURLSHE_OK))
        return PST_OK;
    pst_http_reset(http);
    return PST_FAIL(err, PST_E_NO_MEMORY, "no memory for an HTTP client");
}

static pst_code perform(struct pst_http *http, const struct pst_http_request *request,
                        const struct pst_url *url, struct pst_transfer *t, struct pst_err *err)
{
    PST_AUTO(prepared) struct prepared p = {0};
    PST_TRY(prepare(&p, request, t->arena, err));
    PST_TRY(open_handle(http, err));
    http->message[0] = '\0';
    CURLcode rc = set_options(http, request, &p, t);
    if (rc == CURLE_OK)
        rc = curl_easy_perform(http->easy);
    read_info(http->easy, t->response);
    /* Nothing that curl was given may outlive the arena it lies in. The list of cookie files is
     * the one option that a reset forgets without freeing it. */
    (void)curl_easy_setopt(http->easy, CURLOPT_COOKIEFILE, (char *)NULL);
    curl_easy_reset(http->easy);
    if (rc == CURLE_OK && t->guard.stop == PST_OK)
        return keep_body(http, t, err);
    pst_code code = pst_handle_fail(&t->guard, rc, url->host, http->message, t->response->status,
                                    &t->response->fault, err);
    /* A call that failed before it was connected leaves curl 7.88's handle with a buffer, for which
     * it refuses every later call. The cookies are the jar's and stay. */
    curl_easy_cleanup(http->easy);
    http->easy = NULL;
    return code;
}

pst_code pst_http_call(struct pst_http *http, const struct pst_http_request *request,
                       struct pst_arena *arena, struct pst_http_response *out, struct pst_err *err)
{
    struct pst_url url;
    *out = (struct pst_http_response){.fault = PST_FAULT_LOCAL};
    PST_TRY(pst_url_split(&url, request->url, err));
    struct pst_transfer t = {
        .guard = {.allows = http->options.allows,
                  .allows_self = http->options.allows_self,
                  .is_local = request->unix_socket != NULL,
                  .is_proxied = http->options.proxy != NULL},
        .limits = fill_limits(request->limits),
        .cancel = request->cancel,
        .arena = arena,
        .spool = &http->spool,
        .response = out,
        .begin = pst_mono_now(),
    };
    if (request->deadline.ns != 0) {
        int64_t left = pst_mono_ms_until(t.begin, request->deadline);
        if (left == 0) {
            out->fault = PST_FAULT_TIMEOUT;
            return PST_FAIL(err, PST_E_TIMEOUT, "the time for this work was over before the call");
        }
        if (left < t.limits.total_ms)
            t.limits.total_ms = left;
    }
    if (http->options.proxy) {
        out->fault = PST_FAULT_EGRESS;
        PST_TRY(check_literal(http, &url, err));
        out->fault = PST_FAULT_LOCAL;
    }
    pst_buf_reset(&http->spool);
    pst_code code = perform(http, request, &url, &t, err);
    if (code == PST_OK)
        out->fault = PST_FAULT_NONE;
    if (http->spool.cap > SPOOL_KEPT)
        pst_buf_fini(&http->spool);
    return code;
}
