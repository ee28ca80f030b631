/* server/parse.c: from a scanned head to a request, with llhttp, and our own checks on what the
 * headers say together (Host, Content-Length, Transfer-Encoding, Expect, Connection).
 *
 * The scanner has made sure of the bytes; llhttp cuts the head into names and values and decodes
 * chunks. It is stopped at the end of the head and at the last chunk's size line: bodies of a
 * known length are copied without it, and trailers are read by the scanner and dropped.
 */
#include "base/num.h"
#include "server/internal.h"

enum { EXTENSION_MAX = 64 };

static const char *const method_names[PST_METHOD_COUNT] = {
    [PST_METHOD_GET] = "GET",         [PST_METHOD_HEAD] = "HEAD",   [PST_METHOD_POST] = "POST",
    [PST_METHOD_PUT] = "PUT",         [PST_METHOD_PATCH] = "PATCH", [PST_METHOD_DELETE] = "DELETE",
    [PST_METHOD_OPTIONS] = "OPTIONS",
};

const char *pst_method_name(enum pst_method method)
{
    return method < PST_METHOD_COUNT ? method_names[method] : "";
}

pst_str pst_request_header(const struct pst_request *req, const char *name, size_t *count)
{
    pst_str wanted = pst_str_from(name);
    pst_str found = {NULL, 0};
    size_t n = 0;
    for (size_t i = 0; i < req->header_count; i++) {
        if (!pst_str_eq_nocase(req->headers[i].name, wanted))
            continue;
        if (n++ == 0)
            found = req->headers[i].value;
    }
    if (count)
        *count = n;
    return found;
}

/* ---- llhttp's callbacks; parser->data is the exchange ---- */

static int on_name(llhttp_t *parser, const char *at, size_t len)
{
    struct pst_exchange *ex = parser->data;
    if (ex->req.header_count >= ex->headers_max)
        return HPE_USER;
    ex->headers[ex->req.header_count++] = (struct pst_header){.name = {at, len}};
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct pst_exchange *ex = parser->data;
    if (ex->req.header_count == 0)
        return HPE_USER;
    pst_str *value = &ex->headers[ex->req.header_count - 1].value;
    if (!value->ptr)
        value->ptr = at;
    /* A value may come in pieces, but they lie behind each other in the same buffer. */
    value->len = (size_t)(at + len - value->ptr);
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct pst_exchange *ex = parser->data;
    ex->parsed = true;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct pst_exchange *ex = parser->data;
    pst_buf_add(&ex->body, at, len);
    return ex->body.fail == PST_OK ? 0 : HPE_USER;
}

static int on_extension(llhttp_t *parser, const char *at, size_t len)
{
    (void)at;
    struct pst_exchange *ex = parser->data;
    ex->extension_bytes += len;
    return ex->extension_bytes <= EXTENSION_MAX ? 0 : HPE_USER;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct pst_exchange *ex = parser->data;
    ex->extension_bytes = 0;
    /* Refused at its announcement, not after having read it. */
    if (parser->content_length > ex->body.max - ex->body.len) {
        ex->body.fail = PST_E_LIMIT;
        return HPE_USER;
    }
    return parser->content_length == 0 ? HPE_PAUSED : 0;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_extension_name = on_extension,
    .on_chunk_extension_value = on_extension,
    .on_chunk_header = on_chunk_header,
};

/* ---- the request line ---- */

static pst_code parse_version(struct pst_exchange *ex, pst_str text, struct pst_err *err)
{
    ex->http_1_0 = pst_str_is(text, "HTTP/1.0");
    if (ex->http_1_0 || pst_str_is(text, "HTTP/1.1"))
        return PST_OK;
    if (text.len == 8 && pst_str_starts(text, PST_STR("HTTP/")) && text.ptr[6] == '.')
        return PST_FAIL(err, PST_E_HTTP_VERSION, "'%.*s' is not spoken here", PST_STR_ARG(text));
    return PST_FAIL(err, PST_E_INVALID, "the request line has no HTTP version");
}

static pst_code parse_request_line(struct pst_exchange *ex, pst_str line, size_t target_max,
                                   struct pst_err *err)
{
    pst_str method = pst_str_split(&line, ' ');
    pst_str target = pst_str_split(&line, ' ');
    PST_TRY(parse_version(ex, line, err));
    if (target.len > target_max)
        return PST_FAIL(err, PST_E_URI_TOO_LONG, "the target has more than %zu bytes", target_max);

    struct pst_request *req = &ex->req;
    req->target = target;
    size_t question = pst_str_index(target, '?');
    req->path = pst_str_sub(target, 0, question);
    req->query = pst_str_sub(target, question + 1, target.len);
    for (int m = 0; m < PST_METHOD_COUNT; m++) {
        if (pst_str_is(method, method_names[m])) {
            req->method = (enum pst_method)m;
            return PST_OK;
        }
    }
    return PST_FAIL(err, PST_E_UNKNOWN_METHOD, "unknown method '%.*s'",
                    (int)(method.len < 32 ? method.len : 32), method.ptr);
}

/* ---- what the headers say together ---- */

static bool all_of(pst_str text, const char *marks)
{
    for (size_t i = 0; i < text.len; i++) {
        char b = text.ptr[i];
        bool alnum = (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
        if (!alnum && !memchr(marks, b, strlen(marks)))
            return false;
    }
    return text.len > 0;
}

/* A name or address without empty labels, and a port where there is a colon. */
static bool host_valid(pst_str host)
{
    bool literal = pst_str_starts(host, PST_STR("["));
    size_t end = literal ? pst_str_index(host, ']') : pst_str_index(host, ':');
    pst_str name = pst_str_sub(host, literal, end - literal);
    pst_str port = pst_str_sub(host, end + literal, host.len);
    uint64_t number = 0;
    if (port.len && (port.ptr[0] != ':' ||
                     !pst_parse_u64(&number, pst_str_sub(port, 1, port.len), 0, UINT16_MAX)))
        return false;
    if (literal)
        return end < host.len && all_of(name, ":.%");
    return all_of(name, "-._~%") && name.ptr[0] != '.' && !memmem(name.ptr, name.len, "..", 2);
}

static pst_code check_host(const struct pst_exchange *ex, struct pst_err *err)
{
    size_t count = 0;
    pst_str host = pst_request_header(&ex->req, "Host", &count);
    if (count > 1)
        return PST_FAIL(err, PST_E_INVALID, "more than one Host header");
    if (count == 0 && !ex->http_1_0)
        return PST_FAIL(err, PST_E_INVALID, "no Host header");
    if (count == 1 && !host_valid(host))
        return PST_FAIL(err, PST_E_INVALID, "the Host header is malformed");
    return PST_OK;
}

/* Parsers differ on whether a tab belongs to a value; where a body ends must not depend on that.
 * A value lies in the head, between the ':' and the CR of its line. */
static bool has_tab_around(pst_str value)
{
    if (!value.ptr)
        return false;
    const char *begin = value.ptr;
    const char *end = value.ptr + value.len;
    while (begin[-1] == ' ')
        begin--;
    while (*end == ' ')
        end++;
    return begin[-1] == '\t' || *end == '\t';
}

static pst_code check_length(struct pst_exchange *ex, struct pst_err *err)
{
    size_t lengths = 0;
    size_t codings = 0;
    pst_str length = pst_request_header(&ex->req, "Content-Length", &lengths);
    pst_str coding = pst_request_header(&ex->req, "Transfer-Encoding", &codings);
    if (has_tab_around(length) || has_tab_around(coding))
        return PST_FAIL(err, PST_E_INVALID, "a tab beside the body's length");
    if (lengths > 1 || codings > 1 || (lengths && codings))
        return PST_FAIL(err, PST_E_INVALID, "the body's length is said more than once");
    if (codings) {
        if (ex->http_1_0 || !pst_str_eq_nocase(coding, PST_STR("chunked")))
            return PST_FAIL(err, PST_E_INVALID,
                            "Transfer-Encoding must be exactly 'chunked', in HTTP/1.1");
        ex->chunked = true;
        ex->body_expected = UINT64_MAX;
        return PST_OK;
    }
    ex->body_expected = 0;
    if (lengths && !pst_parse_u64(&ex->body_expected, length, 0, INT64_MAX))
        return PST_FAIL(err, PST_E_INVALID, "Content-Length is not a decimal number");
    return PST_OK;
}

/* Whether the comma-separated list has the token, in any case of letters. */
static bool list_has(pst_str list, pst_str token)
{
    while (list.len) {
        if (pst_str_eq_nocase(pst_str_trim(pst_str_split(&list, ',')), token))
            return true;
    }
    return false;
}

static void read_keep_alive(struct pst_exchange *ex)
{
    bool close = false;
    bool keep = false;
    for (size_t i = 0; i < ex->req.header_count; i++) {
        const struct pst_header *h = &ex->headers[i];
        if (!pst_str_eq_nocase(h->name, PST_STR("Connection")))
            continue;
        close = close || list_has(h->value, PST_STR("close"));
        keep = keep || list_has(h->value, PST_STR("keep-alive"));
    }
    ex->keep_alive = !close && (keep || !ex->http_1_0);
}

static pst_code check_expect(struct pst_exchange *ex, struct pst_err *err)
{
    size_t count = 0;
    pst_str expect = pst_request_header(&ex->req, "Expect", &count);
    if (count == 0 || ex->http_1_0)
        return PST_OK;
    if (count > 1 || !pst_str_eq_nocase(expect, PST_STR("100-continue")))
        return PST_FAIL_AT(err, PST_E_EXPECTATION, "Expect", "only '100-continue' can be expected");
    ex->expects_continue = true;
    return PST_OK;
}

static pst_code run_llhttp(struct pst_exchange *ex, const char *bytes, size_t len,
                           struct pst_err *err)
{
    llhttp_init(&ex->parser, HTTP_REQUEST, &settings);
    ex->parser.data = ex;
    ex->parsed = false;
    llhttp_errno_t rc = llhttp_execute(&ex->parser, bytes, len);
    if (rc != HPE_PAUSED || !ex->parsed || llhttp_get_error_pos(&ex->parser) != bytes + len) {
        const char *reason = llhttp_get_error_reason(&ex->parser);
        return PST_FAIL(err, PST_E_INVALID, "malformed head: %s", reason ? reason : "no reason");
    }
    llhttp_resume(&ex->parser);
    for (size_t i = 0; i < ex->req.header_count; i++)
        ex->headers[i].value = pst_str_trim(ex->headers[i].value);
    ex->req.headers = ex->headers;
    return PST_OK;
}

pst_code pst_server_parse_head(struct pst_exchange *ex, const char *bytes, size_t len,
                               const struct pst_server_limits *limits, struct pst_err *err)
{
    size_t line_len = (size_t)((const char *)memchr(bytes, '\r', len) - bytes);
    PST_TRY(parse_request_line(ex, (pst_str){bytes, line_len}, limits->target_max, err));
    PST_TRY(
        pst_arena_array(ex->req.arena, &ex->headers, ex->headers_max, sizeof(*ex->headers), err));
    PST_TRY(run_llhttp(ex, bytes, len, err));
    PST_TRY(check_host(ex, err));
    PST_TRY(check_length(ex, err));
    PST_TRY(check_expect(ex, err));
    read_keep_alive(ex);
    return PST_OK;
}

pst_code pst_server_parse_chunks(struct pst_exchange *ex, const char *bytes, size_t len,
                                 size_t *used, bool *done, struct pst_err *err)
{
    llhttp_errno_t rc = llhttp_execute(&ex->parser, bytes, len);
    *used = len;
    *done = false;
    if (rc == HPE_OK)
        return PST_OK;
    if (rc == HPE_PAUSED) {
        *used = (size_t)(llhttp_get_error_pos(&ex->parser) - bytes);
        *done = true;
        return PST_OK;
    }
    if (ex->body.fail == PST_E_LIMIT)
        return PST_FAIL(err, PST_E_LIMIT, "the body has more than %zu bytes", ex->body_max);
    if (ex->body.fail != PST_OK)
        return pst_buf_check(&ex->body, err);
    if (ex->extension_bytes > EXTENSION_MAX)
        return PST_FAIL(err, PST_E_INVALID, "a chunk's extensions have more than %d bytes",
                        EXTENSION_MAX);
    const char *reason = llhttp_get_error_reason(&ex->parser);
    return PST_FAIL(err, PST_E_INVALID, "malformed chunk: %s", reason ? reason : "no reason");
}
