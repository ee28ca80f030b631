/* http/handle.c: rules, guard and failures of curl handles. */
#include "http/handle.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the guard ---------------------------------------------------------------------------- */

void pst_guard_stop(struct pst_guard *g, pst_code code, enum pst_http_fault fault, const char *text)
{
    if (g->stop != PST_OK)
        return;
    g->stop = code;
    g->fault = fault;
    g->text = text;
}

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

static bool may_connect(struct pst_guard *g, const struct curl_sockaddr *address)
{
    struct pst_address a;
    const char *why = "an address of an unknown kind";
    if (g->is_local)
        return address->family == AF_UNIX;
    if (!read_sockaddr(&a, address)) {
        pst_guard_stop(g, PST_E_EGRESS, PST_FAULT_EGRESS, why);
        return false;
    }
    if (g->is_proxied || !g->allows)
        return true;
    /* Of a name's addresses libcurl asks about each that it is about to try. A forbidden one spoils
     * the call, and no other is picked; those behind one that answers are never asked about. */
    if (g->stop != PST_OK)
        return false;
    if (g->allows(g->allows_self, &a, &why))
        return true;
    g->refused = a;
    pst_guard_stop(g, PST_E_EGRESS, PST_FAULT_EGRESS, why);
    return false;
}

static curl_socket_t open_socket(void *self, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct pst_guard *g = self;
    (void)purpose;
    if (!may_connect(g, address))
        return CURL_SOCKET_BAD;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0)
        return fd;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        g->os_errno = errno;
        pst_guard_stop(g, PST_E_UNAVAILABLE, PST_FAULT_LOCAL, "no socket could be opened");
    }
    return CURL_SOCKET_BAD;
}

/* ---- the rules ---------------------------------------------------------------------------- */

CURLcode pst_handle_set_rules(CURL *easy, const struct pst_http_options *options,
                              struct pst_guard *guard, char *message)
{
    CURLcode rc = CURLE_OK;
    PST_SET(easy, rc, CURLOPT_PROTOCOLS_STR, "http,https");
    PST_SET(easy, rc, CURLOPT_FOLLOWLOCATION, 0L);
    PST_SET(easy, rc, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    PST_SET(easy, rc, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    PST_SET(easy, rc, CURLOPT_NOSIGNAL, 1L);
    PST_SET(easy, rc, CURLOPT_PROXY, options->proxy ? options->proxy : "");
    PST_SET(easy, rc, CURLOPT_NOPROXY, "");
    PST_SET(easy, rc, CURLOPT_USERAGENT,
            options->user_agent ? options->user_agent : "penstock/" PST_VERSION);
    PST_SET(easy, rc, CURLOPT_TCP_KEEPALIVE, 1L);
    PST_SET(easy, rc, CURLOPT_ERRORBUFFER, message);
    PST_SET(easy, rc, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    PST_SET(easy, rc, CURLOPT_SSL_VERIFYPEER, 1L);
    PST_SET(easy, rc, CURLOPT_SSL_VERIFYHOST, 2L);
    if (options->ca_file)
        PST_SET(easy, rc, CURLOPT_CAINFO, options->ca_file);
    PST_SET(easy, rc, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    PST_SET(easy, rc, CURLOPT_OPENSOCKETDATA, guard);
    return rc;
}

bool pst_handle_is_header_text(pst_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\t') || s.ptr[i] == 0x7f)
            return false;
    return true;
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
    {CURLE_HTTP2, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "reading the answer"},
    {CURLE_HTTP2_STREAM, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "reading the answer"},
    {CURLE_UNSUPPORTED_PROTOCOL, PST_E_UNREACHABLE, PST_FAULT_PROTOCOL, "reading the answer"},
    {CURLE_OUT_OF_MEMORY, PST_E_NO_MEMORY, PST_FAULT_LOCAL, "the call"},
    {CURLE_URL_MALFORMAT, PST_E_INVALID, PST_FAULT_LOCAL, "reading the address"},
    {CURLE_LOGIN_DENIED, PST_E_INVALID, PST_FAULT_LOCAL, "reading the address"},
};

static pst_code fail_stopped(const struct pst_guard *g, pst_str host, int status,
                             struct pst_err *err)
{
    char address[PST_ADDRESS_TEXT];
    if (g->stop == PST_E_EGRESS) {
        pst_address_format(address, &g->refused);
        return PST_FAIL(err, PST_E_EGRESS, "penstock may not connect to '%.*s': %s is %s",
                        PST_STR_ARG(host), address, g->text);
    }
    pst_code code = PST_FAIL(err, g->stop, "'%.*s': %s", PST_STR_ARG(host), g->text);
    err->os_errno = g->os_errno;
    err->http_status = status;
    return code;
}

pst_code pst_handle_fail(const struct pst_guard *g, CURLcode rc, pst_str host, const char *message,
                         int status, enum pst_http_fault *fault, struct pst_err *err)
{
    *fault = g->fault;
    if (g->stop != PST_OK)
        return fail_stopped(g, host, status, err);
    const char *text = message[0] ? message : curl_easy_strerror(rc);
    for (size_t i = 0; i < PST_COUNT(FAILURES); i++) {
        if (FAILURES[i].rc != rc)
            continue;
        *fault = FAILURES[i].fault;
        pst_code code = PST_FAIL(err, FAILURES[i].code, "%s with '%.*s' failed: %s",
                                 FAILURES[i].doing, PST_STR_ARG(host), text);
        err->http_status = status;
        return code;
    }
    *fault = PST_FAULT_LOCAL;
    return PST_FAIL(err, PST_E_INTERNAL, "the call to '%.*s' failed: %s", PST_STR_ARG(host), text);
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
