/* http/transfer.c: what happens while bytes move: the decision about an address, response headers,
 * the body's limits, deadlines, cancelling; and what a failure was. */
#include "http/transfer.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "http/url.h"
#include "os/clock.h"

enum { RATIO_FREE = 1 << 20 }; /* decoded bytes before the compression ratio counts */

static void stop(struct pst_transfer *t, pst_code code, enum pst_http_fault fault, const char *text)
{
    if (t->stop != PST_OK)
        return;
    t->stop = code;
    t->stop_fault = fault;
    t->stop_text = text;
}

/* ---- connecting --------------------------------------------------------------------------- */

static bool read_sockaddr(struct pst_address *out, const struct curl_sockaddr *address)
{
    *out = (struct pst_address){0};
    if (address->family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &address->addr, sizeof(in));
        out->ip[10] = out->ip[11] = 0xff;
        memcpy(out->ip + 12, &in.sin_addr, 4);
        out->port = ntohs(in.sin_port);
        return true;
    }
    if (address->family == AF_INET6) {
        struct sockaddr_in6 in6;
        if (address->addrlen < sizeof(in6))
            return false;
        memcpy(&in6, &address->addr, sizeof(in6));
        memcpy(out->ip, &in6.sin6_addr, 16);
        out->port = ntohs(in6.sin6_port);
        return true;
    }
    return false;
}

static bool may_connect(struct pst_transfer *t, const struct curl_sockaddr *address)
{
    struct pst_address a;
    const char *why = "an address of an unknown kind";
    if (t->is_local)
        return address->family == AF_UNIX;
    if (!read_sockaddr(&a, address)) {
        stop(t, PST_E_EGRESS, PST_FAULT_EGRESS, why);
        return false;
    }
    if (t->options->proxy || !t->options->allows)
        return true;
    /* One forbidden address among those of a name spoils the call: no picking. */
    if (t->stop != PST_OK)
        return false;
    if (t->options->allows(t->options->allows_self, &a, &why))
        return true;
    t->refused = a;
    stop(t, PST_E_EGRESS, PST_FAULT_EGRESS, why);
    return false;
}

curl_socket_t pst_transfer_open_socket(void *self, curlsocktype purpose,
                                       struct curl_sockaddr *address)
{
    struct pst_transfer *t = self;
    (void)purpose;
    if (!may_connect(t, address))
        return CURL_SOCKET_BAD;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0)
        return fd;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        t->stop_errno = errno;
        stop(t, PST_E_UNAVAILABLE, PST_FAULT_LOCAL, "no socket could be opened");
    }
    return CURL_SOCKET_BAD;
}

/* ---- headers ------------------------------------------------------------------------------ */

static void keep_header(struct pst_transfer *t, pst_str *out, pst_str value)
{
    struct pst_err err;
    pst_code code = pst_arena_dup(t->arena, out, value, &err);
    if (code != PST_OK)
        stop(t, code, PST_FAULT_LOCAL, "no memory for the answer's header");
}

static void read_length(struct pst_transfer *t, pst_str value)
{
    int64_t length = 0;
    /* libcurl takes the last of several lengths; a second one means that somebody between
     * disagrees about where this answer ends. */
    if (++t->lengths > 1 || !pst_parse_i64(&length, value, 0, INT64_MAX)) {
        stop(t, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "the answer has more than one length");
        return;
    }
    t->announced = length;
}

static void begin_block(struct pst_transfer *t, pst_str line)
{
    struct pst_http_response *r = t->response;
    int64_t status = 0;
    pst_str rest = line;
    (void)pst_str_split(&rest, ' ');
    if (!pst_parse_i64(&status, pst_str_sub(rest, 0, 3), 100, 999))
        stop(t, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "the answer's status line is not HTTP");
    r->status = (int)status;
    r->content_type = r->date = r->retry_after = r->location = r->www_authenticate = (pst_str){0};
    t->announced = -1;
    t->lengths = 0;
    t->is_coded = false;
}

static const struct {
    pst_str name;
    size_t offset; /* of the pst_str in struct pst_http_response */
} KEPT[] = {
    {PST_STR_INIT("content-type"), offsetof(struct pst_http_response, content_type)},
    {PST_STR_INIT("date"), offsetof(struct pst_http_response, date)},
    {PST_STR_INIT("retry-after"), offsetof(struct pst_http_response, retry_after)},
    {PST_STR_INIT("location"), offsetof(struct pst_http_response, location)},
    {PST_STR_INIT("www-authenticate"), offsetof(struct pst_http_response, www_authenticate)},
};

static void read_field(struct pst_transfer *t, pst_str name, pst_str value)
{
    for (size_t i = 0; i < PST_COUNT(KEPT); i++) {
        pst_str *field = (pst_str *)(void *)((char *)t->response + KEPT[i].offset);
        if (field->len == 0 && pst_str_eq_nocase(name, KEPT[i].name))
            keep_header(t, field, value);
    }
    if (pst_str_eq_nocase(name, PST_STR("content-length")))
        read_length(t, value);
    if (pst_str_eq_nocase(name, PST_STR("content-encoding")) &&
        !pst_str_eq_nocase(value, PST_STR("identity"))) {
        if (t->is_coded || pst_str_index(value, ',') != value.len)
            stop(t, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "the answer is compressed twice");
        t->is_coded = true;
    }
}

size_t pst_transfer_header(char *bytes, size_t size, size_t count, void *self)
{
    struct pst_transfer *t = self;
    pst_str line = pst_str_trim((pst_str){bytes, size * count});
    t->has_answer = true;
    t->window = pst_mono_now();
    if (pst_str_starts(line, PST_STR("HTTP/"))) {
        begin_block(t, line);
    } else {
        size_t colon = pst_str_index(line, ':');
        if (colon < line.len)
            read_field(t, pst_str_sub(line, 0, colon),
                       pst_str_trim(pst_str_sub(line, colon + 1, line.len)));
    }
    return t->stop == PST_OK ? size * count : 0;
}

/* ---- body --------------------------------------------------------------------------------- */

static bool is_too_large(struct pst_transfer *t, size_t more)
{
    if (more > t->limits.max_body_bytes - t->received) {
        stop(t, PST_E_LIMIT, PST_FAULT_LIMIT, "the answer is larger than allowed");
        return true;
    }
    return false;
}

/* A body whose length is announced goes straight to its place. */
static bool take_place(struct pst_transfer *t)
{
    if (t->announced < 0 || t->is_coded || t->received > 0 ||
        (uint64_t)t->announced > t->limits.max_body_bytes)
        return false;
    struct pst_err err;
    pst_code code =
        pst_arena_bytes(t->arena, &t->direct, (size_t)t->announced + PST_HTTP_PADDING, &err);
    if (code != PST_OK)
        stop(t, code, code == PST_E_LIMIT ? PST_FAULT_LIMIT : PST_FAULT_LOCAL,
             "no room for the answer");
    else
        memset(t->direct + t->announced, 0, PST_HTTP_PADDING);
    return code == PST_OK;
}

size_t pst_transfer_write(char *bytes, size_t size, size_t count, void *self)
{
    struct pst_transfer *t = self;
    size_t len = size * count;
    if (len == 0)
        return 0;
    if (t->stop != PST_OK || is_too_large(t, len))
        return 0;
    if (t->direct || take_place(t)) {
        if (len > (size_t)t->announced - t->received)
            stop(t, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "the answer is longer than it said");
        else
            memcpy(t->direct + t->received, bytes, len);
    } else if (t->stop == PST_OK) {
        pst_buf_add(t->spool, bytes, len);
        if (t->spool->fail != PST_OK)
            stop(t, t->spool->fail, PST_FAULT_LOCAL, "no memory for the answer");
    }
    t->received += len;
    return t->stop == PST_OK ? len : 0;
}

/* ---- time --------------------------------------------------------------------------------- */

static void check_speed(struct pst_transfer *t, curl_off_t got, pst_mono now)
{
    int64_t ms = pst_mono_ms_until(t->window, now);
    if (ms < t->limits.slow_ms)
        return;
    if (got - t->window_bytes < t->limits.slow_bytes_per_s * ms / 1000)
        stop(t, PST_E_TIMEOUT, PST_FAULT_TIMEOUT, "the answer came too slowly");
    t->window = now;
    t->window_bytes = got;
}

int pst_transfer_progress(void *self, curl_off_t to_get, curl_off_t got, curl_off_t to_send,
                          curl_off_t sent)
{
    struct pst_transfer *t = self;
    (void)to_get;
    (void)to_send;
    (void)sent;
    pst_mono now = pst_mono_now();
    if (t->cancel && atomic_load_explicit(t->cancel, memory_order_relaxed))
        stop(t, PST_E_CANCELLED, PST_FAULT_CANCELLED, "cancelled");
    if (!t->has_answer && pst_mono_ms_until(t->begin, now) >= t->limits.first_byte_ms)
        stop(t, PST_E_TIMEOUT, PST_FAULT_TIMEOUT, "no byte of an answer came in time");
    if (t->has_answer)
        check_speed(t, got, now);
    if (t->is_coded && t->received > RATIO_FREE && got > 0 &&
        t->received / (size_t)got >= t->limits.max_ratio)
        stop(t, PST_E_LIMIT, PST_FAULT_LIMIT, "the answer is compressed beyond belief");
    return t->stop == PST_OK ? 0 : 1;
}

/* ---- what went wrong ---------------------------------------------------------------------- */

static const struct {
    CURLcode rc;
    pst_code code;
    enum pst_http_fault fault;
    const char *doing;
} FAILURES[] = {
    {CURLE_COULDNT_RESOLVE_HOST, PST_E_UNREACHABLE, PST_FAULT_DNS, "looking up the name"},
    {CURLE_COULDNT_RESOLVE_PROXY, PST_E_UNREACHABLE, PST_FAULT_DNS, "looking up the proxy"},
    {CURLE_COULDNT_CONNECT, PST_E_UNREACHABLE, PST_FAULT_CONNECT, "connecting"},
    {CURLE_PROXY, PST_E_UNREACHABLE, PST_FAULT_CONNECT, "connecting through the proxy"},
    {CURLE_SSL_CONNECT_ERROR, PST_E_UNREACHABLE, PST_FAULT_TLS, "the TLS handshake"},
    {CURLE_PEER_FAILED_VERIFICATION, PST_E_UNREACHABLE, PST_FAULT_TLS, "checking the certificate"},
    {CURLE_SSL_CERTPROBLEM, PST_E_UNREACHABLE, PST_FAULT_TLS, "the TLS handshake"},
    {CURLE_SSL_CIPHER, PST_E_UNREACHABLE, PST_FAULT_TLS, "the TLS handshake"},
    {CURLE_SSL_CACERT_BADFILE, PST_E_INVALID, PST_FAULT_LOCAL, "reading the trusted authorities"},
    {CURLE_SSL_ISSUER_ERROR, PST_E_UNREACHABLE, PST_FAULT_TLS, "checking the certificate"},
    {CURLE_SSL_INVALIDCERTSTATUS, PST_E_UNREACHABLE, PST_FAULT_TLS, "checking the certificate"},
    {CURLE_SSL_CLIENTCERT, PST_E_UNREACHABLE, PST_FAULT_TLS, "the TLS handshake"},
    {CURLE_OPERATION_TIMEDOUT, PST_E_TIMEOUT, PST_FAULT_TIMEOUT, "waiting"},
    {CURLE_GOT_NOTHING, PST_E_UNREACHABLE, PST_FAULT_RESET, "waiting for the answer"},
    {CURLE_SEND_ERROR, PST_E_UNREACHABLE, PST_FAULT_RESET, "sending the request"},
    {CURLE_RECV_ERROR, PST_E_UNREACHABLE, PST_FAULT_RESET, "reading the answer"},
    {CURLE_PARTIAL_FILE, PST_E_UNREACHABLE, PST_FAULT_TRUNCATED, "reading the answer"},
    {CURLE_WEIRD_SERVER_REPLY, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "reading the answer"},
    {CURLE_BAD_CONTENT_ENCODING, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "unpacking the answer"},
    {CURLE_UNSUPPORTED_PROTOCOL, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "reading the answer"},
    {CURLE_OUT_OF_MEMORY, PST_E_NO_MEMORY, PST_FAULT_LOCAL, "the call"},
    {CURLE_URL_MALFORMAT, PST_E_INVALID, PST_FAULT_LOCAL, "reading the address"},
    {CURLE_LOGIN_DENIED, PST_E_INVALID, PST_FAULT_LOCAL, "reading the address"},
};

static pst_code fail_stopped(struct pst_transfer *t, const struct pst_url *url, struct pst_err *err)
{
    char address[PST_ADDRESS_TEXT];
    t->response->fault = t->stop_fault;
    if (t->stop == PST_E_EGRESS) {
        pst_address_format(address, &t->refused);
        return PST_FAIL(err, PST_E_EGRESS, "penstock may not connect to '%.*s': %s is %s",
                        PST_STR_ARG(url->host), address, t->stop_text);
    }
    pst_code code = PST_FAIL(err, t->stop, "'%.*s': %s", PST_STR_ARG(url->host), t->stop_text);
    err->os_errno = t->stop_errno;
    err->http_status = t->response->status;
    return code;
}

pst_code pst_transfer_fail(struct pst_transfer *t, CURLcode rc, const struct pst_url *url,
                           const char *message, struct pst_err *err)
{
    if (t->stop != PST_OK)
        return fail_stopped(t, url, err);
    const char *text = message[0] ? message : curl_easy_strerror(rc);
    for (size_t i = 0; i < PST_COUNT(FAILURES); i++) {
        if (FAILURES[i].rc != rc)
            continue;
        t->response->fault = FAILURES[i].fault;
        pst_code code = PST_FAIL(err, FAILURES[i].code, "%s with '%.*s' failed: %s",
                                 FAILURES[i].doing, PST_STR_ARG(url->host), text);
        err->http_status = t->response->status;
        return code;
    }
    t->response->fault = PST_FAULT_LOCAL;
    return PST_FAIL(err, PST_E_INTERNAL, "the call to '%.*s' failed: %s", PST_STR_ARG(url->host),
                    text);
}

const char *pst_http_fault_name(enum pst_http_fault fault)
{
    static const char *const NAMES[] = {
        [PST_FAULT_NONE] = "none",           [PST_FAULT_DNS] = "dns",
        [PST_FAULT_CONNECT] = "connect",     [PST_FAULT_TLS] = "tls",
        [PST_FAULT_TIMEOUT] = "timeout",     [PST_FAULT_RESET] = "reset",
        [PST_FAULT_TRUNCATED] = "truncated", [PST_FAULT_PROTOCOL] = "protocol",
        [PST_FAULT_LIMIT] = "limit",         [PST_FAULT_EGRESS] = "egress",
        [PST_FAULT_CANCELLED] = "cancelled", [PST_FAULT_LOCAL] = "local",
    };
    return NAMES[fault];
}
